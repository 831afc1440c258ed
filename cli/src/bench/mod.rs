//! `carillon bench`: figures of this machine: of parts with the floor that bounds them, and of the whole service from
//! outside.

mod load;
mod pipeline;
mod push;
mod workload;

use crate::failure::Outcome;
use crate::offline::BenchMatchArgs;
use clap::Subcommand;

/// Measure Carillon, in parts and whole.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    Match(BenchMatchArgs),
    Pipeline(pipeline::BenchPipelineArgs),
    Push(push::BenchPushArgs),
    Load(load::BenchLoadArgs),
    Growth(load::BenchGrowthArgs),
}

impl Bench {
    pub(crate) fn run(&self) -> Outcome {
        match self {
            Bench::Match(args) => args.run(),
            Bench::Pipeline(args) => args.run(),
            Bench::Push(args) => args.run(),
            Bench::Load(args) => args.run(),
            Bench::Growth(args) => args.run(),
        }
    }
}

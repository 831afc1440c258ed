//! `carillon bench`: figures of this machine, each with the floor that bounds it.

mod pipeline;
mod push;

use crate::failure::Outcome;
use crate::offline::BenchMatchArgs;
use clap::Subcommand;

/// Measure parts of Carillon in this process.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    Match(BenchMatchArgs),
    Pipeline(pipeline::BenchPipelineArgs),
    Push(push::BenchPushArgs),
}

impl Bench {
    pub(crate) fn run(&self) -> Outcome {
        match self {
            Bench::Match(args) => args.run(),
            Bench::Pipeline(args) => args.run(),
            Bench::Push(args) => args.run(),
        }
    }
}

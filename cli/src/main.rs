//! The `carillon` command.
//!
//! | part | holds |
//! |---|---|
//! | [`up`] | the whole service in one process: the four handlers over SQLite |
//! | [`demo`] | the tutorials of seed 000, end to end on a temporary store |
//! | [`commands`] | commands that talk to a running service |
//! | [`offline`] | commands that need no service: match, explain, check, preview |
//! | [`invoke`] | one stage on one sample event |
//! | [`stack`] | commands over a stack on AWS |
//! | [`mod@bench`] | figures of this machine |
//! | [`client`] | the HTTP doors of the service, from outside |
//!
//! Exit status: 0 done, 1 refused or findings, 2 unusable arguments or no service.

mod bench;
mod client;
mod commands;
mod demo;
mod failure;
mod invoke;
mod offline;
mod output;
mod stack;
mod up;

use clap::{Parser, Subcommand};
use failure::Outcome;
use output::{BAD, complain};
use std::process::ExitCode;

/// Events are allocated by one thread and freed by another; the system's allocator is slow at that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Event notification by rules: when something happens to a resource, the rule that covers it decides who is told.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 120, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
    Up(Box<up::UpArgs>),
    Rule(commands::rule::RuleArgs),
    Topic(commands::topic::TopicArgs),
    Subscription(commands::subscription::SubscriptionArgs),
    Queue(commands::queue::QueueArgs),
    DeadLetter(commands::dead_letter::DeadLetterArgs),
    Delivery(commands::delivery::DeliveryArgs),
    Tail(commands::tail::Tail),
    Key(commands::key::KeyArgs),
    Send(commands::send::SendArgs),
    Replay(commands::replay::Replay),
    Bucket(stack::BucketArgs),
    Console(stack::ConsoleArgs),
    Invoke(invoke::InvokeArgs),
    Match(offline::MatchArgs),
    Check(offline::CheckArgs),
    Explain(offline::ExplainArgs),
    Preview(offline::PreviewArgs),
    #[command(subcommand)]
    Bench(bench::Bench),
    Account(commands::account::AccountArgs),
    NetworkAccess(commands::account::NetworkAccessArgs),
    Completions(commands::completions::Completions),
    Man(commands::man::Man),
}

impl Command {
    fn run(&self) -> Outcome {
        match self {
            Command::Demo(args) => args.run(),
            Command::Up(args) => args.run(),
            Command::Invoke(args) => args.run(),
            Command::Rule(args) => args.run(),
            Command::Topic(args) => args.run(),
            Command::Subscription(args) => args.run(),
            Command::Queue(args) => args.run(),
            Command::DeadLetter(args) => args.run(),
            Command::Delivery(args) => args.run(),
            Command::Tail(args) => args.run(),
            Command::Key(args) => args.run(),
            Command::Send(args) => args.run(),
            Command::Replay(args) => args.run(),
            Command::Account(args) => args.run(),
            Command::NetworkAccess(args) => args.run(),
            Command::Man(args) => args.run(),
            Command::Bucket(args) => args.run(),
            Command::Console(args) => args.run(),
            Command::Match(args) => args.run(),
            Command::Check(args) => args.run(),
            Command::Explain(args) => args.run(),
            Command::Preview(args) => args.run(),
            Command::Bench(bench) => bench.run(),
            Command::Completions(args) => {
                args.run();
                Ok(())
            }
        }
    }
}

fn main() -> ExitCode {
    match Cli::parse().command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain!("{BAD}error:{BAD:#} {failure}");
            failure.exit()
        }
    }
}

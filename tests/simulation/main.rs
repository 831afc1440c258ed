//! The pipeline in a simulated world: the real handlers, everything round them made of a seed.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test stops at the first surprise, and prints what it found"
)]

mod check;
mod clockwork;
mod crash;
mod document;
mod fault;
mod host;
mod http;
mod judging;
mod memory;
mod model;
mod operator;
mod outcomes;
mod plant;
mod planted;
mod ports;
mod property;
mod read;
mod readers;
mod rng;
mod runs;
mod sqs;
mod traffic;
mod wall;
mod world;

//! `cargo run --release -p carillon-deliver --example bench_push`: the figures of `carillon bench push` by themselves.
#![allow(clippy::print_stdout, reason = "it prints its figures")]

use std::time::Duration;

#[tokio::main]
async fn main() -> Result<(), carillon_deliver::bench::BenchError> {
    let figures = carillon_deliver::bench::push(Duration::from_secs(3)).await?;
    println!("{figures:#?}");
    Ok(())
}

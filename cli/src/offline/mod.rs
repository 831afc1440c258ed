//! Commands that need no service: they work on a rule file alone.

mod bench_match;
mod check;
mod explain;
mod line;
mod match_;
mod preview;
mod rules;

pub(crate) use bench_match::BenchMatchArgs;
pub(crate) use check::CheckArgs;
pub(crate) use explain::ExplainArgs;
pub(crate) use match_::MatchArgs;
pub(crate) use preview::PreviewArgs;
pub(crate) use rules::{OverlapArg, read, refuse};

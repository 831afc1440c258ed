//! Tests that need more than one crate.
// `allow-unwrap-in-tests` knows test functions, not libraries for tests.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

pub mod contract;

//! What the function binaries share: the loops that Lambda drives, and the log.

mod sqs;
mod url;

pub use sqs::{Failure, SqsAnswer, SqsAttributes, SqsEvent, SqsRecord, serve};
pub use url::{UrlAnswer, UrlRequest, serve_url};

pub use lambda_runtime::Error;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Writes the log as JSON to standard output. `RUST_LOG` (a level, and `target=level` for parts), else Lambda's own
/// `AWS_LAMBDA_LOG_LEVEL`, sets the level; default `info`, also for what cannot be read. Metrics carry the name in
/// `CARILLON_STACK`.
pub fn start_log() {
    if let Ok(stack) = std::env::var("CARILLON_STACK") {
        crate::metrics::name_stack(stack);
    }
    let level = ["RUST_LOG", "AWS_LAMBDA_LOG_LEVEL"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap_or_default();
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_ansi(false);
    tracing_subscriber::registry()
        .with(lines)
        .with(levels(&level))
        .init();
}

/// What is written, by a setting. Not `EnvFilter`: its regular expressions are a good part of a small function's size.
fn levels(setting: &str) -> Targets {
    let info = || Targets::new().with_default(LevelFilter::INFO);
    match setting.trim().to_lowercase().as_str() {
        "" => info(),
        // Lambda's levels go one further than ours.
        "fatal" => Targets::new().with_default(LevelFilter::ERROR),
        setting => setting.parse().unwrap_or_else(|_| info()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn levels_are_lambda_s_own_or_a_developer_s() {
        for (setting, shown, hidden) in [
            ("", Level::INFO, Level::DEBUG),
            ("INFO", Level::INFO, Level::DEBUG),
            ("DEBUG", Level::DEBUG, Level::TRACE),
            ("WARN", Level::WARN, Level::INFO),
            ("FATAL", Level::ERROR, Level::WARN),
            ("nothing=of=sense", Level::INFO, Level::DEBUG),
            ("warn,carillon::attempt=debug", Level::WARN, Level::INFO),
        ] {
            let levels = levels(setting);
            assert!(levels.would_enable("carillon_deliver", &shown), "{setting}");
            assert!(
                !levels.would_enable("carillon_deliver", &hidden),
                "{setting}"
            );
        }
        let levels = levels("warn,carillon::attempt=debug");
        assert!(levels.would_enable("carillon::attempt", &Level::DEBUG));
    }
}

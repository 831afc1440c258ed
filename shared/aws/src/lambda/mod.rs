//! What the function binaries share: the loops that Lambda drives, and the log.

mod sqs;
mod url;

pub use sqs::{Failure, SqsAnswer, SqsAttributes, SqsEvent, SqsRecord, serve};
pub use url::{UrlAnswer, UrlRequest, serve_url};

pub use lambda_runtime::Error;

/// Writes the log as JSON to standard output. `RUST_LOG`, else Lambda's own `AWS_LAMBDA_LOG_LEVEL`, sets the level;
/// default `info`. Metrics carry the name in `CARILLON_STACK`.
pub fn start_log() {
    if let Ok(stack) = std::env::var("CARILLON_STACK") {
        crate::metrics::name_stack(stack);
    }
    let level = ["RUST_LOG", "AWS_LAMBDA_LOG_LEVEL"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap_or_else(|| "info".to_owned());
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(tracing_subscriber::EnvFilter::new(level.to_lowercase()))
        .with_ansi(false)
        .init();
}

//! One call of a handler that may panic or never end.

use carillon_core::ports::BatchOutcome;
use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// How a call ended.
pub(super) enum Verdict {
    Answered(BatchOutcome),
    /// It panicked or took too long; the text says which.
    Failed(String),
}

/// Calls the handler. It runs in the caller's task, so that giving up the caller gives up the handler too.
pub(super) async fn attempt<F>(call: impl FnOnce() -> F, timeout: Duration) -> Verdict
where
    F: Future<Output = BatchOutcome>,
{
    // A handler is used again after a panic; what it shares is behind locks of its own, which know of it.
    let future = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(future) => Box::pin(future),
        Err(panic) => return Verdict::Failed(words(panic.as_ref())),
    };
    match tokio::time::timeout(timeout, Caught(future)).await {
        Ok(Ok(outcome)) => Verdict::Answered(outcome),
        Ok(Err(reason)) => Verdict::Failed(reason),
        Err(_) => Verdict::Failed(format!("the handler took longer than {timeout:?}")),
    }
}

/// Turns a panic of the future into a value.
struct Caught<F>(Pin<Box<F>>);

impl<F: Future<Output = BatchOutcome>> Future for Caught<F> {
    type Output = Result<BatchOutcome, String>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.0.as_mut();
        match catch_unwind(AssertUnwindSafe(|| future.poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(words(panic.as_ref()))),
        }
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    match text {
        Some(text) => format!("the handler panicked: {text}"),
        None => "the handler panicked".to_owned(),
    }
}

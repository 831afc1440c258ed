//! The attempt log: one line of JSON for each attempt, in the function's log, and counts as metrics.

use crate::metrics::{emit, line};
use carillon_core::delivery::OutcomeClass;
use carillon_core::ports::{AttemptLog, AttemptRecord, Clock, StoreError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Writes attempts to the log. Which successes are written is the deliver stage's setting; CloudWatch Logs Insights
/// finds an attempt by message id, rule or subscription: `filter attempt = 1 and message_id = "..."`.
pub struct AttemptLines {
    clock: Arc<dyn Clock>,
}

impl AttemptLines {
    /// A log that takes the time of its metrics from this clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        AttemptLines { clock }
    }
}

#[async_trait::async_trait]
impl AttemptLog for AttemptLines {
    async fn record(&self, attempts: Vec<AttemptRecord>) -> Result<(), StoreError> {
        let mut counts: BTreeMap<(String, &'static str), (u64, u64)> = BTreeMap::new();
        for record in &attempts {
            let outcome = &record.attempt.outcome;
            let class = match outcome.class {
                OutcomeClass::Success => "success",
                OutcomeClass::Retry => "retry",
                OutcomeClass::Hopeless => "hopeless",
            };
            let held = counts
                .entry((record.product.to_string(), class))
                .or_default();
            held.0 += 1;
            held.1 = held.1.max(u64::from(record.attempt.took_ms));
            tracing::info!(
                target: "carillon::attempt",
                attempt = record.number,
                message_id = %record.message_id,
                product = %record.product,
                rule = %record.rule,
                topic = %record.topic,
                subscription = %record.subscription,
                class,
                status = outcome.status,
                took_ms = record.attempt.took_ms,
                detail = outcome.detail,
                "attempt"
            );
        }
        let now = self.clock.now();
        for ((product, class), (count, slowest)) in counts {
            emit(&line(
                now,
                &[&["product", "class"]],
                &[("product", &product), ("class", class)],
                &[
                    ("LoggedAttempts", count, "Count"),
                    ("SlowestAttempt", slowest, "Milliseconds"),
                ],
            ));
        }
        Ok(())
    }
}

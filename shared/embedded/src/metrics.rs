//! The store's numbers, in Prometheus's text format (version 0.0.4).

use crate::Store;
use carillon_core::delivery::OutcomeClass;
use carillon_core::ports::{AttemptRecord, MetricsText, Stage};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// Attempts that this process recorded, by outcome, those that the sample leaves out included.
#[derive(Debug, Default)]
pub(crate) struct AttemptCounts([AtomicU64; 3]);

const OUTCOMES: [&str; 3] = ["success", "retry", "hopeless"];

impl AttemptCounts {
    pub(crate) fn count(&self, attempts: &[AttemptRecord]) {
        for record in attempts {
            let index = match record.attempt.outcome.class {
                OutcomeClass::Success => 0,
                OutcomeClass::Retry => 1,
                OutcomeClass::Hopeless => 2,
            };
            self.0[index].fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A family of samples: each a label in braces, or nothing, and a value.
fn family(text: &mut String, name: &str, kind: &str, help: &str, samples: &[(String, u64)]) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, value) in samples {
        let _ = writeln!(text, "{name}{labels} {value}");
    }
}

#[async_trait::async_trait]
impl MetricsText for Store {
    async fn text(&self) -> String {
        let mut text = String::new();
        let counters = &self.inner.shared.counters;
        let counted = [
            (
                "carillon_store_transactions_total",
                "Transactions of the store.",
                &counters.transactions,
            ),
            (
                "carillon_store_syncs_total",
                "Waits for the disk; each answers everything committed before it.",
                &counters.syncs,
            ),
            (
                "carillon_store_passed_total",
                "Records and messages handed on that were settled before they had to be written.",
                &counters.passed,
            ),
            (
                "carillon_store_spilled_total",
                "Records and messages handed on that had to be written after all.",
                &counters.spilled,
            ),
        ];
        for (name, help, counter) in counted {
            let count = counter.load(Ordering::Relaxed);
            family(&mut text, name, "counter", help, &[(String::new(), count)]);
        }
        let stages = [Stage::Ingest, Stage::Match, Stage::Deliver];
        let stages = stages.map(|stage| {
            let labels = format!("{{stage=\"{stage}\"}}");
            (labels, self.stage_statistics(stage))
        });
        let of = |number: fn(&crate::StageStatistics) -> u64| {
            let samples = stages.iter();
            samples
                .map(|(labels, held)| (labels.clone(), number(held)))
                .collect::<Vec<_>>()
        };
        family(
            &mut text,
            "carillon_stage_records",
            "gauge",
            "Records in a stage's queue, those being handled included.",
            &of(|held| held.records),
        );
        family(
            &mut text,
            "carillon_stage_leased",
            "gauge",
            "Records being handled, or resting after a failure.",
            &of(|held| held.leased),
        );
        family(
            &mut text,
            "carillon_stage_groups",
            "gauge",
            "Subscriptions (or none) with records in a stage's queue.",
            &of(|held| held.groups),
        );
        let counts = self.inner.shared.attempt_counts.0.iter();
        let counts: Vec<(String, u64)> = OUTCOMES
            .iter()
            .zip(counts)
            .map(|(outcome, count)| {
                let labels = format!("{{outcome=\"{outcome}\"}}");
                (labels, count.load(Ordering::Relaxed))
            })
            .collect();
        family(
            &mut text,
            "carillon_attempts_total",
            "counter",
            "Attempts of deliveries that were recorded since the start.",
            &counts,
        );
        let read = self.read(|conn| {
            let letters: u64 =
                conn.query_row("SELECT count(*) FROM dead_letters", [], |row| row.get(0))?;
            let pages: u64 = conn.pragma_query_value(None, "page_count", |row| row.get(0))?;
            let page: u64 = conn.pragma_query_value(None, "page_size", |row| row.get(0))?;
            let mut query = conn.prepare_cached(
                "SELECT name, messages FROM queues WHERE name IS NOT NULL ORDER BY name",
            )?;
            let queues: Vec<(String, u64)> = query
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<_>>()?;
            Ok((letters, pages * page, queues))
        });
        // A store that cannot be read is told by the requests that fail, and these lines by being missing.
        let Ok((letters, bytes, queues)) = read.await else {
            return text;
        };
        family(
            &mut text,
            "carillon_dead_letters",
            "gauge",
            "Dead letters that are kept.",
            &[(String::new(), letters)],
        );
        family(
            &mut text,
            "carillon_store_bytes",
            "gauge",
            "Size of the store's file, without its log.",
            &[(String::new(), bytes)],
        );
        // Names of queues are letters, digits and hyphens: nothing in a label needs escaping.
        let queues: Vec<(String, u64)> = queues
            .into_iter()
            .map(|(queue, messages)| (format!("{{queue=\"{queue}\"}}"), messages))
            .collect();
        family(
            &mut text,
            "carillon_queue_messages",
            "gauge",
            "Messages in a user's queue, invisible ones included.",
            &queues,
        );
        text
    }
}

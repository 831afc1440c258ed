//! What the store counts, for `GET /metrics`.

use crate::Store;
use carillon_core::ports::{MetricsText, Stage};
use std::fmt::Write as _;
use std::sync::atomic::Ordering;

#[async_trait::async_trait]
impl MetricsText for Store {
    async fn text(&self) -> String {
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
        let mut text = String::new();
        // Writing to a string cannot fail.
        for (name, help, counter) in counted {
            let count = counter.load(Ordering::Relaxed);
            let _ = writeln!(
                text,
                "# HELP {name} {help}\n# TYPE {name} counter\n{name} {count}"
            );
        }
        text.push_str(
            "# HELP carillon_stage_records Records in the queue of a stage.\n# TYPE carillon_stage_records gauge\n",
        );
        let stages = [Stage::Ingest, Stage::Match, Stage::Deliver];
        for stage in stages {
            let records = self.stage_statistics(stage).records;
            let _ = writeln!(
                text,
                "carillon_stage_records{{stage=\"{stage}\"}} {records}"
            );
        }
        text.push_str(
            "# HELP carillon_stage_groups Subscriptions (or none) with records in the queue of a stage.\n\
             # TYPE carillon_stage_groups gauge\n",
        );
        for stage in stages {
            let groups = self.stage_statistics(stage).groups;
            let _ = writeln!(text, "carillon_stage_groups{{stage=\"{stage}\"}} {groups}");
        }
        text
    }
}

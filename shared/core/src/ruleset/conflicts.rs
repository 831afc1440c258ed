//! Which rules of a book claim events of a given rule.

use crate::rule::{Rule, Witness};
use std::ops::ControlFlow;
use std::sync::Arc;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Conflicts {}

impl Conflicts {
    pub(super) fn insert(&mut self, _slot: u32, _rule: &Arc<Rule>) {}

    pub(super) fn remove(&mut self, _slot: u32, _rule: &Arc<Rule>) {}

    pub(super) fn settle(&mut self, _slots: &[Option<Arc<Rule>>]) {}

    /// Calls `each` with every rule that overlaps the given one, and an event of both.
    pub(super) fn each(
        &self,
        slots: &[Option<Arc<Rule>>],
        rule: &Rule,
        mut each: impl FnMut(&Arc<Rule>, Witness) -> ControlFlow<()>,
    ) {
        for other in slots.iter().flatten().filter(|other| !other.is_default()) {
            if let Some(witness) = rule.overlap(other)
                && each(other, witness).is_break()
            {
                return;
            }
        }
    }
}

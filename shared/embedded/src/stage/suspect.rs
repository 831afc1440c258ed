//! Records that may be what ends the process: handled alone, one of a group at a time.

use super::lease::Pick;
use super::{StageMemory, number};
use crate::store::Ledger;
use carillon_core::ports::Stage;
use std::collections::VecDeque;

/// A record that may be what ends the process.
///
/// Whatever was in hand at such an end was received once more, the guilty and the innocent alike. A record is therefore
/// never buried for ends that it met in company: from the second on it is handled alone, and what it hands on is written
/// before it is answered, so that it is in hand for as short a time as can be.
pub(super) struct Suspect {
    pub(super) seq: i64,
    pub(super) count: u32,
}

impl Suspect {
    /// Receptions that ended with the process, or out of time, before a record is handled alone.
    pub(super) const FROM: u32 = 2;
}

impl StageMemory {
    /// Lets the group's next suspect come, unless one is in hand.
    pub(super) fn give_suspect_turn(&mut self, id: i64) {
        if let Some(group) = self.groups.get(&id)
            && group.alone.is_none()
            && !group.suspects.is_empty()
            && !self.suspect_turns.contains(&id)
        {
            self.suspect_turns.push_back(id);
        }
    }

    /// A record's lease ended: should it be the suspect in hand, the next may come.
    pub(super) fn is_alone_no_more(&mut self, id: i64, seq: i64) {
        if let Some(group) = self.groups.get_mut(&id)
            && group.alone.take_if(|alone| *alone == seq).is_some()
        {
            self.give_suspect_turn(id);
        }
    }
}

impl Ledger {
    /// Takes a record that must be handled alone, of a group of which none is in hand.
    pub(super) fn pick_suspect(&mut self, stage: Stage, most: u32) -> rusqlite::Result<Vec<Pick>> {
        let mut picks = Vec::new();
        while picks.is_empty() {
            let queue = &mut self.stages.queues[number(stage)];
            let Some(&id) = queue.suspect_turns.front() else {
                break;
            };
            let suspects = queue.groups.get_mut(&id).map(|group| &mut group.suspects);
            let Some(Suspect { seq, count }) = suspects.and_then(VecDeque::pop_front) else {
                queue.suspect_turns.pop_front();
                continue;
            };
            let body = match self.body(seq) {
                Ok(Some(body)) => body,
                // Settled meanwhile.
                Ok(None) => continue,
                Err(error) => {
                    if let Some(group) = self.group(stage, id) {
                        group.suspects.push_front(Suspect { seq, count });
                    }
                    return Err(error);
                }
            };
            picks.push(Pick {
                seq,
                group: id,
                body,
                count,
                noted: true,
                reason: String::new(),
                alone: true,
            });
            self.bury_worn_out(stage, most, 0, &mut picks);
            if !picks.is_empty() {
                self.stages.queues[number(stage)].suspect_turns.pop_front();
            }
        }
        Ok(picks)
    }
}

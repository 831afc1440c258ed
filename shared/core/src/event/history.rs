//! What is remembered of an object's writes, so that a later one can say by how much the size changed, and which came
//! late.
//!
//! S3 tells neither the size of an overwritten object nor the order of its events, but gives each write and delete of a
//! key a *sequencer*: of one key, the greater is the later (S3 User Guide, "Event message structure").

use serde::{Deserialize, Serialize};

/// Writes of one key that are remembered, newest last: so far back, a duplicate gets the answer that its original got.
pub const REMEMBERED: usize = 16;

/// A write or a delete of an object, as its source tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectWrite {
    /// The bucket.
    pub bucket: String,
    /// The object's name.
    pub key: String,
    /// The store's sequencer, as the event has it.
    pub sequencer: String,
    /// Version of the object, or of the delete marker; none without versioning.
    pub version: Option<String>,
    /// What was done.
    pub effect: Effect,
}

/// What a write did to the object under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// There is an object of this size now; of unknown size, where the source does not say.
    Written(Option<i64>),
    /// There is no object now: it was deleted, or a delete marker hides it.
    Gone,
    /// One version was deleted: the object under the key, if it was the present one.
    VersionGone,
}

/// What the history says of a write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Change of size; none where it is not known.
    pub delta: Option<i64>,
    /// Whether a later write of the same key has been seen before.
    pub stale: bool,
}

/// What is remembered of one key. Every change of it moves [`sequencer`](Self::sequencer) on, so a store can guard a
/// write by the sequencer that it read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyHistory {
    /// Size of the object after the last write, 0 when it is gone; none when not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<i64>,
    /// Version that the last write made.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    version: String,
    /// Sequencers, ascending, each with the change of size that was told.
    #[serde(default)]
    seen: Vec<(String, Option<i64>)>,
}

impl KeyHistory {
    /// The sequencer of the last write, in comparable form; empty when there was none.
    #[must_use]
    pub fn sequencer(&self) -> &str {
        self.seen
            .last()
            .map_or("", |(sequencer, _)| sequencer.as_str())
    }

    /// Whether the size is 0, as that of a key never seen: forgetting it some time later loses nothing but late copies.
    #[must_use]
    pub fn may_be_forgotten(&self) -> bool {
        self.size == Some(0) && self.version.is_empty()
    }

    /// Judges a batch of writes of this key, in the order of their arrival, and remembers them. Their changes of size
    /// are reckoned in the order of their sequencers; `stale` is by arrival.
    ///
    /// A duplicate is told what its original was told. A write that comes after a later one has been told of gives no
    /// change of size: the later one's change holds it already, so that the sum of all changes stays true.
    pub fn judge(&mut self, writes: &[&ObjectWrite]) -> Vec<Judged> {
        let sequencers: Vec<String> = writes
            .iter()
            .map(|write| comparable(&write.sequencer))
            .collect();
        let mut highest = self.sequencer().to_owned();
        let mut judged: Vec<Judged> = sequencers
            .iter()
            .map(|sequencer| {
                let stale = *sequencer < highest;
                if !stale {
                    highest.clone_from(sequencer);
                }
                Judged { delta: None, stale }
            })
            .collect();
        let mut order: Vec<usize> = (0..writes.len()).collect();
        order.sort_by(|a, b| sequencers[*a].cmp(&sequencers[*b]));
        for index in order {
            judged[index].delta = self.reckon(&sequencers[index], writes[index]);
        }
        judged
    }

    fn reckon(&mut self, sequencer: &str, write: &ObjectWrite) -> Option<i64> {
        if let Some((_, told)) = self.seen.iter().find(|(seen, _)| seen == sequencer) {
            return *told;
        }
        if sequencer < self.sequencer() {
            return None;
        }
        let before = self.size;
        let version = write.version.as_deref().unwrap_or_default();
        let delta = match write.effect {
            Effect::Written(size) => {
                self.size = size;
                version.clone_into(&mut self.version);
                // A key never seen: the size itself, as without an index.
                size.map(|size| size.saturating_sub(before.unwrap_or(0)))
            }
            Effect::Gone => {
                self.size = Some(0);
                self.version.clear();
                before.map(|size| -size)
            }
            Effect::VersionGone => {
                // The version before it, if there is one, is the object now; nobody says how large that is.
                if version == self.version {
                    self.size = None;
                    self.version.clear();
                }
                None
            }
        };
        self.seen.push((sequencer.to_owned(), delta));
        if self.seen.len() > REMEMBERED {
            self.seen.remove(0);
        }
        delta
    }
}

/// Sequencers are hex digits of different lengths: the shorter is padded with zeros on the right, and then they compare
/// as texts (S3 User Guide). Without the zeros at the end they compare alike.
fn comparable(sequencer: &str) -> String {
    sequencer.trim_end_matches('0').to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(sequencer: &str, effect: Effect) -> ObjectWrite {
        ObjectWrite {
            bucket: "b".into(),
            key: "k".into(),
            sequencer: sequencer.into(),
            version: None,
            effect,
        }
    }

    fn put(sequencer: &str, size: i64) -> ObjectWrite {
        write(sequencer, Effect::Written(Some(size)))
    }

    fn judge(history: &mut KeyHistory, writes: &[ObjectWrite]) -> Vec<(Option<i64>, bool)> {
        let writes: Vec<&ObjectWrite> = writes.iter().collect();
        let judged = history.judge(&writes);
        judged.iter().map(|j| (j.delta, j.stale)).collect()
    }

    #[test]
    fn sizes_change_by_what_was_there_before() {
        let mut key = KeyHistory::default();
        let told = judge(
            &mut key,
            &[
                put("0A", 10),
                put("0B", 4),
                write("0C", Effect::Gone),
                put("0D", 7),
            ],
        );
        assert_eq!(
            told,
            [
                (Some(10), false),
                (Some(-6), false),
                (Some(-4), false),
                (Some(7), false)
            ]
        );
    }

    #[test]
    fn a_delete_of_a_key_never_seen_says_nothing() {
        let mut key = KeyHistory::default();
        assert_eq!(
            judge(&mut key, &[write("0A", Effect::Gone)]),
            [(None, false)]
        );
        assert_eq!(judge(&mut key, &[put("0B", 3)]), [(Some(3), false)]);
    }

    #[test]
    fn a_key_may_be_forgotten_when_nothing_is_known_of_it_but_that_it_is_gone() {
        let mut key = KeyHistory::default();
        assert!(!key.may_be_forgotten(), "its size is not known");
        judge(&mut key, &[put("0A", 10)]);
        assert!(!key.may_be_forgotten());
        judge(&mut key, &[write("0B", Effect::Gone)]);
        assert!(key.may_be_forgotten());
        let empty = ObjectWrite {
            version: Some("v1".into()),
            ..put("0C", 0)
        };
        judge(&mut key, &[empty]);
        assert!(!key.may_be_forgotten(), "its version may be deleted yet");
    }

    #[test]
    fn a_late_write_changes_nothing_and_is_stale() {
        let mut key = KeyHistory::default();
        judge(&mut key, &[put("0A", 10), put("0C", 30)]);
        let before = key.clone();
        assert_eq!(judge(&mut key, &[put("0B", 20)]), [(None, true)]);
        assert_eq!(key, before);
        assert_eq!(judge(&mut key, &[put("0D", 31)]), [(Some(1), false)]);
    }

    #[test]
    fn a_duplicate_is_told_what_its_original_was_told() {
        let mut key = KeyHistory::default();
        judge(&mut key, &[put("0A", 10), put("0B", 4)]);
        assert_eq!(judge(&mut key, &[put("0b", 4)]), [(Some(-6), false)]);
        assert_eq!(judge(&mut key, &[put("0A", 10)]), [(Some(10), true)]);
    }

    #[test]
    fn sequencers_of_different_lengths_are_padded_on_the_right() {
        let mut key = KeyHistory::default();
        judge(&mut key, &[put("00AB", 1)]);
        assert_eq!(judge(&mut key, &[put("00AB00", 1)]), [(Some(1), false)]);
        assert_eq!(judge(&mut key, &[put("00AA99", 5)]), [(None, true)]);
        assert_eq!(judge(&mut key, &[put("00AB01", 3)]), [(Some(2), false)]);
    }

    #[test]
    fn within_a_batch_sizes_go_by_sequencer_and_staleness_by_arrival() {
        let mut key = KeyHistory::default();
        let told = judge(&mut key, &[put("0B", 30), put("0A", 10)]);
        assert_eq!(told, [(Some(20), false), (Some(10), true)]);
    }

    #[test]
    fn deleting_an_old_version_leaves_the_object_alone() {
        let version = |sequencer: &str, version: &str, effect| ObjectWrite {
            version: Some(version.into()),
            ..write(sequencer, effect)
        };
        let mut key = KeyHistory::default();
        let told = judge(
            &mut key,
            &[
                version("0A", "v1", Effect::Written(Some(5))),
                version("0B", "v2", Effect::Written(Some(9))),
                version("0C", "v1", Effect::VersionGone),
                version("0D", "v3", Effect::Written(Some(10))),
                version("0E", "v3", Effect::VersionGone),
            ],
        );
        let deltas: Vec<Option<i64>> = told.iter().map(|(delta, _)| *delta).collect();
        assert_eq!(deltas, [Some(5), Some(4), None, Some(1), None]);
        // Some older version is the object now: of unknown size.
        assert!(!key.may_be_forgotten());
    }

    /// Whatever the order of arrival, the changes told add up to the size of the last object.
    #[test]
    fn the_sum_of_all_changes_is_the_size_in_every_order() {
        let sizes = [5_i64, 9, 0, 4, 12];
        let writes: Vec<ObjectWrite> = (0..5)
            .map(|n| put(&format!("0{}", n + 1), sizes[n]))
            .collect();
        for seed in 0..120_usize {
            let (mut rest, mut seed) = (writes.clone(), seed);
            let mut key = KeyHistory::default();
            let mut sum = 0;
            while !rest.is_empty() {
                let next = rest.remove(seed % rest.len());
                seed /= rest.len() + 1;
                sum += judge(&mut key, &[next])[0].0.unwrap_or(0);
            }
            assert_eq!(sum, 12);
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut key = KeyHistory::default();
        for n in 0..100 {
            judge(&mut key, &[put(&format!("{:04X}", n + 1), 1)]);
        }
        assert_eq!(key.seen.len(), REMEMBERED);
        let again: KeyHistory =
            serde_json::from_str(&serde_json::to_string(&key).unwrap()).unwrap();
        assert_eq!(again, key);
    }
}

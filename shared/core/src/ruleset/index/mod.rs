//! The match index: all patterns of a rule set, found by hash.
//!
//! Each pattern is a *node*: the text of a bucket, of a beginning or a full name within a bucket, or of an end below
//! one of these. A node is found by the hash of its text, seeded with its parent's hash. Which lengths are worth
//! hashing stands in the parent (a bucket knows the lengths of the beginnings in it), so that an event asks only for
//! lengths that exist where it is. A small filter in front answers nearly all questions whose answer is no; a text is
//! compared only when the filter and the tag in the table agree. Nodes lie bucket by bucket in one block of bytes, each
//! with its rules beside its text: a hit touches one slot and one node.
//!
//! Patterns with several clauses, or with negated ones, are filed under their positive part; a hit on one of them is
//! settled by asking the rule itself.

mod build;
mod hash;
mod node;
mod types;

use super::Hits;
use crate::rule::Rule;
pub(super) use hash::Chain;
use node::{Kind, Node, Nodes};
use std::sync::Arc;
use types::{Covering, Types};

pub(super) use build::build;

/// Seeds of the hashes, one for each kind of node.
const BUCKET: u64 = 0x1000_0001;
const BEGINNING: u64 = 0x2000_0003;
const FULL: u64 = 0x3000_0007;
const END: u64 = 0x4000_000f;
/// A beginning without a slash: of a bucket's name.
const BUCKET_BEGINNING: u64 = 0x5000_0011;

/// Set in an entry's set number when the rule itself must be asked.
const ASK: u32 = 1 << 31;

/// Events of a batch whose reads overlap.
const GROUP: usize = 16;

/// The hash by which the bucket of a resource is found.
#[inline]
fn bucket_hash(resource: &str) -> u64 {
    let len = resource.find('/').unwrap_or(resource.len());
    Chain::new(BUCKET).beginning(resource.as_bytes(), 0, len)
}

/// Lengths of texts, those up to 63 in a mask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lengths {
    mask: u64,
    /// Ascending.
    long: Box<[u16]>,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    nodes: Nodes,
    types: Types,
    /// Rules whose patterns every resource matches, by the atom that covers the event type.
    everywhere: Vec<Vec<u32>>,
    /// Lengths of beginnings without slash.
    bucket_beginnings: Lengths,
    /// Lengths of ends in any bucket, by the last byte; empty when there are none.
    ends: Vec<u64>,
    long_ends: Box<[u16]>,
}

/// The lengths of `lengths` up to `max`, ascending.
#[inline]
fn each_length(mask: u64, long: &[u16], max: usize, mut each: impl FnMut(usize)) {
    let mut left = if max >= 63 {
        mask
    } else {
        mask & ((1 << (max + 1)) - 1)
    };
    while left != 0 {
        each(left.trailing_zeros() as usize);
        left &= left - 1;
    }
    if max >= 64 {
        for &len in long.iter().take_while(|len| usize::from(**len) <= max) {
            each(usize::from(len));
        }
    }
}

/// One event being judged.
struct Query<'a> {
    index: &'a Index,
    rules: &'a [Arc<Rule>],
    covering: Covering<'a>,
    resource: &'a str,
    hits: &'a mut Hits,
}

impl Index {
    /// Finds the rules that cover the event, in ascending order.
    pub(super) fn covering(
        &self,
        rules: &[Arc<Rule>],
        event_type: &str,
        resource: &str,
        hits: &mut Hits,
    ) {
        hits.clear();
        if let Some(covering) = self.types.covering(event_type) {
            self.find(rules, covering, event_type, resource, hits);
        }
    }

    fn find<'a>(
        &'a self,
        rules: &'a [Arc<Rule>],
        covering: Covering<'a>,
        event_type: &str,
        resource: &'a str,
        hits: &'a mut Hits,
    ) {
        let mut query = Query {
            index: self,
            rules,
            covering,
            resource,
            hits,
        };
        query.everywhere(event_type);
        query.buckets();
        query.ends();
        if hits.len() > 1 {
            hits.sort_unstable();
            hits.dedup();
        }
    }

    /// Judges many events; `each` gets the number of the event and its hits. Events of one type in a row cost the
    /// look-up of the type once.
    pub(super) fn covering_batch<'a>(
        &self,
        rules: &[Arc<Rule>],
        events: impl IntoIterator<Item = (&'a str, &'a str)>,
        hits: &mut Hits,
        mut each: impl FnMut(usize, &[u32]),
    ) {
        let mut last: Option<(&str, Option<Covering<'_>>)> = None;
        let mut events = events.into_iter();
        let mut number = 0;
        loop {
            // A group at a time: first the memory that finding their buckets will read is asked for, for all of them at
            // once, so that the waits for it overlap; then each is judged.
            let (mut group, mut held) = ([("", ""); GROUP], 0);
            for (slot, event) in group.iter_mut().zip(events.by_ref()) {
                *slot = event;
                held += 1;
            }
            if held == 0 {
                return;
            }
            if self.nodes.exceed_caches() {
                self.touch(&group[..held]);
            }
            for (event_type, resource) in &group[..held] {
                let covering = match last {
                    Some((same, covering)) if same == *event_type => covering,
                    _ => {
                        let covering = self.types.covering(event_type);
                        last = Some((event_type, covering));
                        covering
                    }
                };
                hits.clear();
                if let Some(covering) = covering {
                    self.find(rules, covering, event_type, resource, hits);
                }
                each(number, hits);
                number += 1;
            }
        }
    }

    /// Reads where finding the buckets of these events begins.
    fn touch(&self, group: &[(&str, &str)]) {
        let mut places = [0; GROUP];
        for (place, (_, resource)) in places.iter_mut().zip(group) {
            *place = self.nodes.touch_slot(bucket_hash(resource));
        }
        let touched = places
            .iter()
            .fold(0, |sum, place| sum ^ self.nodes.touch_node(*place));
        // Keeps the reads from being left out as useless.
        std::hint::black_box(touched);
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        let everywhere: usize = self
            .everywhere
            .iter()
            .map(|rules| 24 + 4 * rules.capacity())
            .sum();
        self.nodes.heap_bytes()
            + self.types.heap_bytes()
            + everywhere
            + 8 * self.ends.capacity()
            + 2 * self.long_ends.len()
    }
}

impl Query<'_> {
    fn everywhere(&mut self, event_type: &str) {
        if self.index.everywhere.is_empty() {
            return;
        }
        let index = self.index;
        index.types.each_atom(event_type, |atom| {
            for &rule in &index.everywhere[atom as usize] {
                let number = rule & !ASK;
                if rule & ASK == 0 || self.rules[number as usize].resources.cover(self.resource) {
                    self.hits.push(number);
                }
            }
        });
    }

    /// Everything that is found by the bucket: full names, beginnings, and ends below them.
    fn buckets(&mut self) {
        let text = self.resource.as_bytes();
        let slash = self.resource.find('/');
        let bucket_len = slash.unwrap_or(text.len());
        let index = self.index;

        if index.bucket_beginnings != Lengths::default() {
            let mut chain = Chain::new(BUCKET_BEGINNING);
            let Lengths { mask, long } = &index.bucket_beginnings;
            each_length(*mask, long, bucket_len, |len| {
                let hash = chain.beginning(text, 0, len);
                if let Some(node) = index
                    .nodes
                    .find(Kind::BucketBeginning, hash, 0, &text[..len])
                {
                    self.take(&node);
                    self.below(&node, hash);
                }
            });
        }

        let hash = Chain::new(BUCKET).beginning(text, 0, bucket_len);
        let Some(bucket) = index.nodes.find(Kind::Bucket, hash, 0, &text[..bucket_len]) else {
            return;
        };
        let Some(slash) = slash else {
            // The bucket itself.
            self.take(&bucket);
            return;
        };
        let base = slash + 1;
        let key_len = text.len() - base;
        if bucket.has_full_names() {
            let full = Chain::new(hash ^ FULL).beginning(text, base, key_len);
            if let Some(node) = index
                .nodes
                .find(Kind::Full, full, bucket.at(), &text[base..])
            {
                self.take(&node);
            }
        }
        let (mask, long) = index.nodes.beginnings(&bucket);
        let mut chain = Chain::new(hash ^ BEGINNING);
        each_length(mask, long, key_len, |len| {
            let hash = chain.beginning(text, base, len);
            if let Some(node) =
                index
                    .nodes
                    .find(Kind::Beginning, hash, bucket.at(), &text[base..base + len])
            {
                self.take(&node);
                self.below(&node, hash);
            }
        });
    }

    /// The ends that are asked for together with a beginning.
    #[inline]
    fn below(&mut self, node: &Node<'_>, hash: u64) {
        let text = self.resource.as_bytes();
        let index = self.index;
        let (mask, long) = index.nodes.ends(node);
        if mask == 0 && long.is_empty() {
            return;
        }
        let mut chain = Chain::new(hash ^ END);
        each_length(mask, long, text.len(), |len| {
            let hash = chain.end(text, len);
            if let Some(found) =
                index
                    .nodes
                    .find(Kind::End, hash, node.at(), &text[text.len() - len..])
            {
                self.take(&found);
            }
        });
    }

    /// The ends that are asked for in any bucket.
    fn ends(&mut self) {
        let text = self.resource.as_bytes();
        let index = self.index;
        let Some(last) = text.last() else { return };
        let Some(&mask) = index.ends.get(usize::from(*last)) else {
            return;
        };
        let mut chain = Chain::new(END);
        each_length(mask, &index.long_ends, text.len(), |len| {
            let hash = chain.end(text, len);
            if let Some(node) = index
                .nodes
                .find(Kind::End, hash, 0, &text[text.len() - len..])
            {
                self.take(&node);
            }
        });
    }

    /// Takes the node's rules that ask for the event's type.
    #[inline]
    fn take(&mut self, node: &Node<'_>) {
        for (rule, set) in node.entries() {
            if self.index.types.covers(set & !ASK, &self.covering)
                && (set & ASK == 0 || self.rules[rule as usize].resources.cover(self.resource))
            {
                self.hits.push(rule);
            }
        }
    }
}

//! The match index: all patterns of a rule set, found by hash.
//!
//! Each pattern is a *node*: the text of a bucket, of a beginning or a full name within a bucket, or of an end below
//! one of these. A node is found by the hash of its text, that of an end seeded with its parent's hash. Which lengths
//! are worth hashing stands in the parent (a bucket knows the lengths of the beginnings in it, and at which of them
//! all end with a slash), so that an event asks only for lengths that exist where it is. A tag in the table answers
//! nearly all questions whose answer is no; a text is compared only when the tag agrees. What is in a bucket follows
//! it in one block of bytes, with a table of its own before it and each node's rules beside its text: all of a small
//! bucket is within a few cache lines.
//!
//! The key of an event is read once: its slashes, and the state of the hash at every eighth byte, from which any
//! beginning's hash is one step.
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
use hash::Key;
use node::{Bucket, Kind, Node, Nodes};
use std::sync::Arc;
use types::{Covering, Types};

pub(super) use build::build;

/// Seeds of the hashes, one for each kind of node; full keys are hashed as beginnings that reach the end.
const BUCKET: u64 = 0x1000_0001;
const BEGINNING: u64 = 0x2000_0003;
const END: u64 = 0x4000_000f;
/// A beginning without a slash: of a bucket's name.
const BUCKET_BEGINNING: u64 = 0x5000_0011;

/// Set in an entry's set number when the rule itself must be asked.
const ASK: u32 = 1 << 31;

/// Events of a batch whose reads overlap.
const GROUP: usize = 16;

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
    /// Lengths up to 63 of ends in any bucket, by the last byte (the first 256) and by the first byte (the others);
    /// empty when there are none.
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

/// Where an event's look-ups begin.
#[derive(Clone, Copy)]
struct Located<'a> {
    bucket_len: usize,
    bucket: Option<Node<'a>>,
}

/// What covers the type of the event before: events of a batch are often of one.
struct LastType<'i, 'e> {
    types: &'i Types,
    last: Option<(&'e str, Option<Covering<'e>>)>,
}

impl<'e> LastType<'_, 'e> {
    #[inline]
    fn covering(&mut self, event_type: &'e str) -> Option<Covering<'e>> {
        if let Some((same, covering)) = self.last
            && same == event_type
        {
            return covering;
        }
        let covering = self.types.covering(event_type);
        self.last = Some((event_type, covering));
        covering
    }
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
            let (bucket_len, hash) = hash::bucket(BUCKET, resource.as_bytes());
            let located = self.locate(resource, bucket_len, hash);
            self.find(rules, covering, event_type, resource, located, hits);
        }
    }

    #[inline]
    fn locate(&self, resource: &str, bucket_len: usize, hash: u64) -> Located<'_> {
        let text = &resource.as_bytes()[..bucket_len];
        Located {
            bucket_len,
            bucket: self.nodes.find(Kind::Bucket, hash, 0, text),
        }
    }

    #[inline]
    fn find<'a>(
        &'a self,
        rules: &'a [Arc<Rule>],
        covering: Covering<'a>,
        event_type: &str,
        resource: &'a str,
        located: Located<'a>,
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
        query.bucket_beginnings(located.bucket_len);
        if let Some(bucket) = &located.bucket {
            query.in_bucket(bucket, located.bucket_len);
        }
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
        let mut types = LastType {
            types: &self.types,
            last: None,
        };
        let mut number = 0;
        if !self.nodes.exceed_caches() {
            for (event_type, resource) in events {
                hits.clear();
                if let Some(covering) = types.covering(event_type) {
                    let (bucket_len, hash) = hash::bucket(BUCKET, resource.as_bytes());
                    let located = self.locate(resource, bucket_len, hash);
                    self.find(rules, covering, event_type, resource, located, hits);
                }
                each(number, hits);
                number += 1;
            }
            return;
        }
        let mut events = events.into_iter();
        loop {
            // A group at a time: first the memory that finding their patterns will read is asked for, for all of them
            // at once, so that the waits for it overlap; then each is judged.
            let (mut group, mut held) = ([("", ""); GROUP], 0);
            for (slot, event) in group.iter_mut().zip(events.by_ref()) {
                *slot = event;
                held += 1;
            }
            if held == 0 {
                return;
            }
            let mut located = [Located {
                bucket_len: 0,
                bucket: None,
            }; GROUP];
            self.locate_group(&group[..held], &mut located);
            for ((event_type, resource), located) in group[..held].iter().zip(located) {
                hits.clear();
                if let Some(covering) = types.covering(event_type) {
                    self.find(rules, covering, event_type, resource, located, hits);
                }
                each(number, hits);
                number += 1;
            }
        }
    }

    /// Finds the buckets of these events, and reads where the look-ups in them begin.
    fn locate_group<'a>(&'a self, group: &[(&str, &str)], located: &mut [Located<'a>; GROUP]) {
        let mut hashes = [(0, 0); GROUP];
        for (hash, (_, resource)) in hashes.iter_mut().zip(group) {
            *hash = hash::bucket(BUCKET, resource.as_bytes());
        }
        let mut places = [0; GROUP];
        for (place, (_, hash)) in places.iter_mut().zip(hashes) {
            *place = self.nodes.touch_slot(hash);
        }
        let touched = places
            .iter()
            .fold(0, |sum, place| sum ^ self.nodes.touch_node(*place));
        // Keeps the reads from being left out as useless.
        std::hint::black_box(touched);
        for ((located, (_, resource)), (len, hash)) in located.iter_mut().zip(group).zip(hashes) {
            *located = self.locate(resource, len, hash);
        }
        self.touch_patterns(group, located);
    }

    /// Reads the slots of the beginnings and ends that these events will be asked for, and then the nodes they name.
    fn touch_patterns<'a>(&'a self, group: &[(&str, &str)], located: &[Located<'a>; GROUP]) {
        /// Beginnings of one event that are touched.
        const EACH: usize = 6;
        let mut places = [[0; EACH]; GROUP];
        let mut ends = [0; GROUP];
        let mut buckets = [None; GROUP];
        for (number, ((_, resource), located)) in group.iter().zip(located).enumerate() {
            let text = resource.as_bytes();
            self.each_end(text, |len, hash| {
                let _ = len;
                ends[number] = self.nodes.touch_slot(hash);
            });
            let Some(bucket) = located
                .bucket
                .as_ref()
                .and_then(|bucket| self.nodes.open(bucket))
            else {
                continue;
            };
            buckets[number] = Some(bucket);
            let Some(bytes) = text.get(located.bucket_len + 1..) else {
                continue;
            };
            let key = Key::read(BEGINNING, bytes);
            let mut slots = places[number].iter_mut();
            let lengths = bucket.held.beginnings & (bucket.held.ragged | key.folders);
            each_length(lengths, &[], bytes.len(), |len| {
                if let Some(slot) = slots.next() {
                    *slot = bucket.touch_slot(key.hash(len));
                }
            });
            if bucket.held.full >> (bytes.len() & 63) & 1 == 1
                && let Some(slot) = slots.next()
            {
                *slot = bucket.touch_slot(full_hash(&key, bytes));
            }
        }
        let mut touched = 0;
        for ((bucket, places), end) in buckets.iter().zip(&places).zip(ends) {
            touched ^= self.nodes.touch_node(end);
            if let Some(bucket) = bucket {
                for place in places {
                    touched ^= bucket.touch_node(*place);
                }
            }
        }
        std::hint::black_box(touched);
    }

    /// The ends of the resource that are worth asking for in any bucket.
    #[inline]
    fn each_end(&self, text: &[u8], mut each: impl FnMut(usize, u64)) {
        let Some(last) = text.last() else { return };
        let Some(&mask) = self.ends.get(usize::from(*last)) else {
            return;
        };
        let mut chain = Chain::new(END);
        each_length(mask, &self.long_ends, text.len(), |len| {
            let first = text[text.len() - len];
            if len > 63 || self.ends[256 + usize::from(first)] >> len & 1 == 1 {
                each(len, chain.end(text, len));
            }
        });
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

/// The hash of a whole key.
#[inline]
fn full_hash(key: &Key, bytes: &[u8]) -> u64 {
    if bytes.len() < 64 {
        key.hash(bytes.len())
    } else {
        Chain::new(BEGINNING).beginning(bytes, 0, bytes.len())
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

    /// Beginnings of bucket names.
    #[inline]
    fn bucket_beginnings(&mut self, bucket_len: usize) {
        let index = self.index;
        let Lengths { mask, long } = &index.bucket_beginnings;
        if *mask == 0 && long.is_empty() {
            return;
        }
        let text = self.resource.as_bytes();
        let mut chain = Chain::new(BUCKET_BEGINNING);
        each_length(*mask, long, bucket_len, |len| {
            let hash = chain.beginning(text, 0, len);
            if let Some(node) = index
                .nodes
                .find(Kind::BucketBeginning, hash, 0, &text[..len])
            {
                self.take(&node);
                self.below(&node, hash, None);
            }
        });
    }

    /// Everything that is found by the bucket: full names, beginnings, and ends below them.
    #[inline]
    fn in_bucket(&mut self, bucket: &Node<'_>, bucket_len: usize) {
        let Some(key) = self.resource.as_bytes().get(bucket_len + 1..) else {
            // The bucket itself.
            return self.take(bucket);
        };
        let index = self.index;
        let Some(bucket) = index.nodes.open(bucket) else {
            return;
        };
        let read = Key::read(BEGINNING, key);
        if bucket.held.full >> (key.len() & 63) & 1 == 1
            && let Some(node) = bucket.find(Kind::Full, full_hash(&read, key), 0, key)
        {
            self.take(&node);
        }
        let lengths = bucket.held.beginnings & (bucket.held.ragged | read.folders);
        each_length(lengths, &[], key.len(), |len| {
            self.beginning(&bucket, read.hash(len), &key[..len]);
        });
        if !bucket.long_beginnings.is_empty() {
            let mut chain = Chain::new(BEGINNING);
            each_length(0, bucket.long_beginnings, key.len(), |len| {
                self.beginning(&bucket, chain.beginning(key, 0, len), &key[..len]);
            });
        }
    }

    #[inline]
    fn beginning(&mut self, bucket: &Bucket<'_>, hash: u64, text: &[u8]) {
        if let Some(node) = bucket.find(Kind::Beginning, hash, 0, text) {
            self.take(&node);
            self.below(&node, hash, Some(bucket));
        }
    }

    /// The ends that are asked for together with a beginning.
    #[inline]
    fn below(&mut self, node: &Node<'_>, hash: u64, bucket: Option<&Bucket<'_>>) {
        let text = self.resource.as_bytes();
        let index = self.index;
        let (mask, long) = index.nodes.ends(node);
        if mask == 0 && long.is_empty() {
            return;
        }
        let mut chain = Chain::new(hash ^ END);
        each_length(mask, long, text.len(), |len| {
            let hash = chain.end(text, len);
            let end = &text[text.len() - len..];
            let found = match bucket {
                Some(bucket) => bucket.find(Kind::EndBelow, hash, node.at(), end),
                None => index.nodes.find(Kind::EndBelow, hash, node.at(), end),
            };
            if let Some(found) = found {
                self.take(&found);
            }
        });
    }

    /// The ends that are asked for in any bucket.
    #[inline]
    fn ends(&mut self) {
        let index = self.index;
        let text = self.resource.as_bytes();
        index.each_end(text, |len, hash| {
            let end = &text[text.len() - len..];
            if let Some(node) = index.nodes.find(Kind::End, hash, 0, end) {
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

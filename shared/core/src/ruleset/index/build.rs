//! Building the index: one pass over the rules makes drafts of nodes, one over the drafts writes them bucket by bucket.

use super::hash::Chain;
use super::node::{Kind, Nodes, Parts};
use super::types::{SetId, Types};
use super::{ASK, BEGINNING, BUCKET, BUCKET_BEGINNING, END, FULL, Index, Lengths};
use crate::rule::overlap::{Shape, regions};
use crate::rule::{Clause, ResourcePattern, Resources, Rule};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

const NONE: u32 = u32::MAX;

/// The keys are hashes already.
#[derive(Default)]
struct Already(u64);

impl Hasher for Already {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only u64 keys are hashed here");
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// A node to be.
struct Draft<'r> {
    hash: u64,
    kind: Kind,
    parent: u32,
    /// The bucket it is written with; itself for a bucket, [`NONE`] for what is in no bucket.
    bucket: u32,
    text: &'r str,
    ends: u64,
    beginnings: u64,
    full_names: bool,
    /// Last entry, and how many there are.
    entry: u32,
    count: u32,
    /// Another draft of the same hash.
    twin: u32,
}

/// A rule at a draft; linked to the one before it.
struct Entry {
    before: u32,
    rule: u32,
    set: SetId,
}

#[derive(Default)]
struct Builder<'r> {
    drafts: Vec<Draft<'r>>,
    by_hash: HashMap<u64, u32, BuildHasherDefault<Already>>,
    entries: Vec<Entry>,
    types: Types,
    everywhere: Vec<(u32, SetId)>,
    bucket_beginnings: BTreeSet<u16>,
    ends: Vec<u64>,
    long_ends: BTreeSet<u16>,
    /// Lengths over 63 below a draft.
    long_ends_below: BTreeMap<u32, BTreeSet<u16>>,
    long_beginnings_below: BTreeMap<u32, BTreeSet<u16>>,
}

/// Builds the index of the enabled rules.
pub(in crate::ruleset) fn build(rules: &[Arc<Rule>]) -> Index {
    let mut builder = Builder::default();
    let patterns = rules.iter().map(|rule| match &rule.resources {
        Resources::All => 0,
        Resources::AnyOf(alternatives) => alternatives.len(),
    });
    let patterns = patterns.sum();
    builder.drafts.reserve(patterns);
    builder.by_hash.reserve(patterns);
    builder.entries.reserve(patterns);
    let mut scratch = Vec::new();
    for (number, rule) in rules.iter().enumerate() {
        if !rule.enabled {
            continue;
        }
        let number = u32::try_from(number).expect("a rule set holds fewer than 2^31 rules");
        assert!(number & ASK == 0, "a rule set holds fewer than 2^31 rules");
        let set = builder.types.intern(&rule.event_types, &mut scratch);
        match &rule.resources {
            Resources::All => builder.everywhere.push((number, set)),
            Resources::AnyOf(alternatives) => {
                for clauses in alternatives {
                    builder.alternative(number, set, clauses);
                }
            }
        }
    }
    builder.write()
}

impl<'r> Builder<'r> {
    fn alternative(&mut self, rule: u32, set: SetId, clauses: &'r [Clause]) {
        match clauses {
            [
                Clause {
                    negated: false,
                    pattern: ResourcePattern::Name(name),
                },
            ] if name.contains('/') => {
                self.full(rule, set, name);
            }
            [
                Clause {
                    negated: false,
                    pattern: ResourcePattern::Name(bucket),
                },
            ] => {
                self.full(rule, set, bucket);
                self.in_bucket(rule, set, bucket, "", "");
            }
            [
                Clause {
                    negated: false,
                    pattern: ResourcePattern::Ends { prefix, suffix },
                },
            ] => {
                self.ends(rule, set, prefix, suffix);
            }
            several => {
                for region in regions(several)
                    .into_iter()
                    .filter(|region| !region.is_empty())
                {
                    match region.shape {
                        Shape::One(name) => self.full(rule, set | ASK, name),
                        Shape::Ends(Cow::Borrowed(prefix), suffix) => {
                            self.ends(rule, set | ASK, prefix, suffix)
                        }
                        Shape::Ends(Cow::Owned(bucket), suffix) => {
                            // Only a bucket by full name gives a text that stands in no clause.
                            let bucket = several.iter().find_map(|clause| match &clause.pattern {
                                ResourcePattern::Name(name)
                                    if bucket.strip_suffix('/') == Some(name) =>
                                {
                                    Some(name)
                                }
                                _ => None,
                            });
                            let bucket = bucket
                                .expect("the beginning is that of a bucket named in a clause");
                            self.in_bucket(rule, set | ASK, bucket, "", suffix);
                        }
                    }
                }
            }
        }
    }

    fn full(&mut self, rule: u32, set: SetId, name: &'r str) {
        let Some((bucket, key)) = name.split_once('/') else {
            match self.bucket(name) {
                Some(bucket) => self.enter(bucket, rule, set),
                None => self.everywhere.push((rule, set | ASK)),
            }
            return;
        };
        let (Some(bucket), true) = (self.bucket(bucket), fits(key)) else {
            self.everywhere.push((rule, set | ASK));
            return;
        };
        let held = &mut self.drafts[bucket as usize];
        held.full_names = true;
        let hash = Chain::new(held.hash ^ FULL).beginning(key.as_bytes(), 0, key.len());
        let node = self.draft(hash, Kind::Full, bucket, bucket, key);
        self.enter(node, rule, set);
    }

    fn ends(&mut self, rule: u32, set: SetId, prefix: &'r str, suffix: &'r str) {
        if let Some((bucket, beginning)) = prefix.split_once('/') {
            return self.in_bucket(rule, set, bucket, beginning, suffix);
        }
        if !fits(prefix) || !fits(suffix) {
            self.everywhere.push((rule, set | ASK));
        } else if !prefix.is_empty() {
            self.bucket_beginnings.insert(prefix.len() as u16);
            let hash = Chain::new(BUCKET_BEGINNING).beginning(prefix.as_bytes(), 0, prefix.len());
            let node = self.draft(hash, Kind::BucketBeginning, NONE, NONE, prefix);
            self.below(rule, set, node, suffix);
        } else if let Some(last) = suffix.as_bytes().last() {
            if self.ends.is_empty() {
                self.ends = vec![0; 256];
            }
            match suffix.len() {
                len @ 0..64 => self.ends[usize::from(*last)] |= 1 << len,
                // Counted for every last byte; the empty mask still tells that there are ends.
                len => _ = self.long_ends.insert(len as u16),
            }
            let hash = Chain::new(END).end(suffix.as_bytes(), suffix.len());
            let node = self.draft(hash, Kind::End, NONE, NONE, suffix);
            self.enter(node, rule, set);
        } else {
            self.everywhere.push((rule, set));
        }
    }

    fn in_bucket(
        &mut self,
        rule: u32,
        set: SetId,
        bucket: &'r str,
        beginning: &'r str,
        suffix: &'r str,
    ) {
        let (Some(bucket), true) = (self.bucket(bucket), fits(beginning) && fits(suffix)) else {
            self.everywhere.push((rule, set | ASK));
            return;
        };
        let held = &mut self.drafts[bucket as usize];
        match beginning.len() {
            len @ 0..64 => held.beginnings |= 1 << len,
            len => {
                _ = self
                    .long_beginnings_below
                    .entry(bucket)
                    .or_default()
                    .insert(len as u16)
            }
        }
        let hash =
            Chain::new(held.hash ^ BEGINNING).beginning(beginning.as_bytes(), 0, beginning.len());
        let node = self.draft(hash, Kind::Beginning, bucket, bucket, beginning);
        self.below(rule, set, node, suffix);
    }

    fn below(&mut self, rule: u32, set: SetId, node: u32, suffix: &'r str) {
        if suffix.is_empty() {
            return self.enter(node, rule, set);
        }
        let held = &mut self.drafts[node as usize];
        match suffix.len() {
            len @ 0..64 => held.ends |= 1 << len,
            len => {
                _ = self
                    .long_ends_below
                    .entry(node)
                    .or_default()
                    .insert(len as u16)
            }
        }
        let bucket = held.bucket;
        let hash = Chain::new(held.hash ^ END).end(suffix.as_bytes(), suffix.len());
        let end = self.draft(hash, Kind::End, node, bucket, suffix);
        self.enter(end, rule, set);
    }

    fn bucket(&mut self, bucket: &'r str) -> Option<u32> {
        if !fits(bucket) {
            return None;
        }
        let hash = Chain::new(BUCKET).beginning(bucket.as_bytes(), 0, bucket.len());
        let node = self.draft(hash, Kind::Bucket, NONE, NONE, bucket);
        self.drafts[node as usize].bucket = node;
        Some(node)
    }

    /// The draft of these marks, made if there is none.
    fn draft(&mut self, hash: u64, kind: Kind, parent: u32, bucket: u32, text: &'r str) -> u32 {
        let fresh = u32::try_from(self.drafts.len()).expect("an index has fewer than 2^32 nodes");
        let first = *self.by_hash.entry(hash).or_insert(fresh);
        let mut at = first;
        while at != NONE && at != fresh {
            let held = &self.drafts[at as usize];
            if held.kind == kind && held.parent == parent && held.text == text {
                return at;
            }
            if held.twin == NONE {
                self.drafts[at as usize].twin = fresh;
                break;
            }
            at = held.twin;
        }
        self.drafts.push(Draft {
            hash,
            kind,
            parent,
            bucket,
            text,
            ends: 0,
            beginnings: 0,
            full_names: false,
            entry: NONE,
            count: 0,
            twin: NONE,
        });
        fresh
    }

    fn enter(&mut self, node: u32, rule: u32, set: SetId) {
        let held = &mut self.drafts[node as usize];
        let entry =
            u32::try_from(self.entries.len()).expect("a rule set holds fewer than 2^32 patterns");
        self.entries.push(Entry {
            before: held.entry,
            rule,
            set,
        });
        held.entry = entry;
        held.count += 1;
    }

    fn write(mut self) -> Index {
        let order = self.order();
        let lengths = |mask: u64, long: &BTreeMap<u32, BTreeSet<u16>>, node: u32| Lengths {
            mask,
            long: long
                .get(&node)
                .map(|long| long.iter().copied().collect())
                .unwrap_or_default(),
        };
        // Children name their parents by place: places first, then the nodes.
        let mut places = vec![0u32; self.drafts.len()];
        let mut words = 1;
        for &node in &order {
            let draft = &self.drafts[node as usize];
            places[node as usize] =
                u32::try_from(words).expect("an index has fewer than 2^32 words");
            let ends = lengths(draft.ends, &self.long_ends_below, node);
            let beginnings = lengths(draft.beginnings, &self.long_beginnings_below, node);
            words += Nodes::words(draft.text.len(), draft.count as usize, &ends, &beginnings);
        }
        let mut nodes = Nodes::with_capacity(self.drafts.len(), 4 * words);
        let mut entries = Vec::new();
        for &node in &order {
            let draft = &self.drafts[node as usize];
            entries.clear();
            let mut at = draft.entry;
            while at != NONE {
                let entry = &self.entries[at as usize];
                entries.push((entry.rule, entry.set));
                at = entry.before;
            }
            entries.reverse();
            nodes.push(
                draft.hash,
                Parts {
                    kind: draft.kind,
                    parent: places.get(draft.parent as usize).copied().unwrap_or(0),
                    text: draft.text.as_bytes(),
                    entries: &entries,
                    ends: lengths(draft.ends, &self.long_ends_below, node),
                    beginnings: lengths(draft.beginnings, &self.long_beginnings_below, node),
                    full_names: draft.full_names,
                },
            );
        }
        let mut everywhere = Vec::new();
        if !self.everywhere.is_empty() {
            everywhere = vec![Vec::new(); self.types.len()];
            for (rule, set) in self.everywhere {
                for atom in self.types.atoms_of(set & !ASK) {
                    everywhere[*atom as usize].push(rule | set & ASK);
                }
            }
        }
        self.types.seal();
        let (short, long): (BTreeSet<u16>, BTreeSet<u16>) = self
            .bucket_beginnings
            .into_iter()
            .partition(|len| *len < 64);
        Index {
            nodes,
            types: self.types,
            everywhere,
            bucket_beginnings: Lengths {
                mask: short.into_iter().fold(0, |mask, len| mask | 1 << len),
                long: long.into_iter().collect(),
            },
            ends: self.ends,
            long_ends: self.long_ends.into_iter().collect(),
        }
    }

    /// The drafts, those of one bucket side by side.
    fn order(&self) -> Vec<u32> {
        let group = |draft: &Draft<'_>| {
            if draft.bucket == NONE {
                self.drafts.len()
            } else {
                draft.bucket as usize
            }
        };
        let mut starts = vec![0u32; self.drafts.len() + 2];
        for draft in &self.drafts {
            starts[group(draft) + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut order = vec![0u32; self.drafts.len()];
        for (node, draft) in self.drafts.iter().enumerate() {
            let slot = &mut starts[group(draft)];
            order[*slot as usize] = node as u32;
            *slot += 1;
        }
        order
    }
}

/// Whether the length of the text fits a node. Validated patterns always do; the others go the slow way.
fn fits(text: &str) -> bool {
    text.len() <= usize::from(u16::MAX)
}

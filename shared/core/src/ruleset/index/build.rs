//! Building the index: one pass over the rules sorts their patterns by bucket; then each bucket is written, with all
//! that is in it, before the next is looked at, so that memory is met in order.

use super::hash::Chain;
use super::node::{Held, Inside, Kind, Nodes, Parts, Slots};
use super::types::{SetId, Types};
use super::{ASK, BEGINNING, BUCKET, BUCKET_BEGINNING, END, Index, Lengths};
use crate::rule::overlap::{Shape, regions};
use crate::rule::{Clause, ResourcePattern, Resources, Rule};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

const NONE: u32 = u32::MAX;

/// What a pattern is within its bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// The bucket itself.
    Bucket,
    /// A full key.
    Full,
    /// A beginning of keys, and an end that may be empty.
    Beginning,
    /// In no bucket: a beginning of bucket names, and an end that may be empty.
    BucketBeginning,
    /// In no bucket: an end.
    End,
}

/// A pattern of a rule.
#[derive(Clone, Copy)]
struct Item<'r> {
    /// Number of its bucket; [`NONE`] for what is in no bucket.
    bucket: u32,
    form: Form,
    rule: u32,
    set: SetId,
    first: &'r str,
    end: &'r str,
}

/// A node to be.
struct Draft<'r> {
    hash: u64,
    kind: Kind,
    /// A draft of the same bucket.
    parent: u32,
    text: &'r str,
    ends: u64,
    /// Last entry, and how many there are.
    entry: u32,
    count: u32,
    /// Where it was written.
    place: u32,
}

/// A rule at a draft; linked to the one before it.
struct Entry {
    before: u32,
    rule: u32,
    set: SetId,
}

/// First pass: the patterns of all rules.
#[derive(Default)]
struct Builder<'r> {
    items: Vec<Item<'r>>,
    buckets: Vec<&'r str>,
    numbers: HashMap<&'r str, u32, foldhash::fast::FixedState>,
    types: Types,
    everywhere: Vec<(u32, SetId)>,
}

/// Second pass: the nodes of one bucket after the other, or of what is in none.
#[derive(Default)]
struct Writer<'r> {
    nodes: Nodes,
    drafts: Vec<Draft<'r>>,
    entries: Vec<Entry>,
    hashes: Vec<u64>,
    /// Drafts by hash; [`NONE`] where empty.
    table: Vec<u32>,
    /// Lengths over 63 below a draft.
    long_ends_below: BTreeMap<u32, BTreeSet<u16>>,
    listed: Vec<(u32, u32)>,
}

/// Builds the index of the enabled rules.
pub(in crate::ruleset) fn build(rules: &[Arc<Rule>]) -> Index {
    let mut builder = Builder::default();
    let patterns = rules.iter().map(|rule| match &rule.resources {
        Resources::All => 0,
        Resources::AnyOf(alternatives) => alternatives.len(),
    });
    builder.items.reserve(patterns.sum());
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
        match name.split_once('/') {
            None => self.item(rule, set, Form::Bucket, name, "", ""),
            Some((bucket, key)) => self.item(rule, set, Form::Full, bucket, key, ""),
        }
    }

    fn ends(&mut self, rule: u32, set: SetId, prefix: &'r str, suffix: &'r str) {
        if let Some((bucket, beginning)) = prefix.split_once('/') {
            self.in_bucket(rule, set, bucket, beginning, suffix);
        } else if !prefix.is_empty() {
            self.item(rule, set, Form::BucketBeginning, "", prefix, suffix);
        } else if !suffix.is_empty() {
            self.item(rule, set, Form::End, "", "", suffix);
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
        self.item(rule, set, Form::Beginning, bucket, beginning, suffix);
    }

    fn item(
        &mut self,
        rule: u32,
        set: SetId,
        form: Form,
        bucket: &'r str,
        first: &'r str,
        end: &'r str,
    ) {
        if !fits(bucket) || !fits(first) || !fits(end) {
            return self.everywhere.push((rule, set | ASK));
        }
        let bucket = match form {
            Form::BucketBeginning | Form::End => NONE,
            Form::Bucket | Form::Full | Form::Beginning => {
                *self.numbers.entry(bucket).or_insert_with(|| {
                    self.buckets.push(bucket);
                    u32::try_from(self.buckets.len() - 1)
                        .expect("an index has fewer than 2^32 nodes")
                })
            }
        };
        self.items.push(Item {
            bucket,
            form,
            rule,
            set,
            first,
            end,
        });
    }

    /// The items, those of one bucket side by side and in their order, those in no bucket last; and where those of each
    /// bucket begin.
    fn sorted(&mut self) -> (Vec<Item<'r>>, Vec<u32>) {
        let items = std::mem::take(&mut self.items);
        let last = self.buckets.len();
        let group = |item: &Item<'_>| last.min(item.bucket as usize);
        let mut starts = vec![0u32; last + 2];
        for item in &items {
            starts[group(item) + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let Some(first) = items.first() else {
            return (items, starts);
        };
        let mut next = starts.clone();
        let mut sorted = vec![*first; items.len()];
        for item in &items {
            let slot = &mut next[group(item)];
            sorted[*slot as usize] = *item;
            *slot += 1;
        }
        (sorted, starts)
    }

    fn write(mut self) -> Index {
        let (items, starts) = self.sorted();
        let texts: usize = items
            .iter()
            .map(|item| item.first.len() + item.end.len() + 6)
            .chain(self.buckets.iter().map(|bucket| bucket.len() + 50))
            .sum();
        let loose = &items[starts[self.buckets.len()] as usize..];
        let mut writer = Writer {
            nodes: Nodes::with_capacity(
                self.buckets.len() + 2 * loose.len(),
                texts + 24 * items.len(),
            ),
            ..Writer::default()
        };
        for (bucket, range) in self.buckets.iter().zip(starts.windows(2)) {
            writer.bucket(bucket, &items[range[0] as usize..range[1] as usize]);
        }
        let mut index = Index::default();
        writer.loose(loose, &mut index);
        index.nodes = writer.nodes;
        index.nodes.seal();
        if !self.everywhere.is_empty() {
            index.everywhere = vec![Vec::new(); self.types.len()];
            for (rule, set) in self.everywhere {
                for atom in self.types.atoms_of(set & !ASK) {
                    index.everywhere[*atom as usize].push(rule | set & ASK);
                }
            }
        }
        self.types.seal();
        index.types = self.types;
        index
    }
}

impl<'r> Writer<'r> {
    /// Writes a bucket and all that is in it.
    fn bucket(&mut self, bucket: &'r str, items: &[Item<'r>]) {
        self.begin(2 * items.len() + 1);
        let hash = Chain::new(BUCKET).beginning(bucket.as_bytes(), 0, bucket.len());
        let itself = self.draft(hash, Kind::Bucket, NONE, bucket);
        let mut held = Held::default();
        let mut long = BTreeSet::new();
        // Hashed ahead of all else: the waits for texts that are far apart overlap.
        let mut hashes = std::mem::take(&mut self.hashes);
        hashes.clear();
        hashes.extend(items.iter().map(|item| {
            Chain::new(BEGINNING).beginning(item.first.as_bytes(), 0, item.first.len())
        }));
        for (item, hash) in items.iter().zip(&hashes) {
            match item.form {
                Form::Full => {
                    held.full |= 1 << (item.first.len() & 63);
                    let node = self.draft(*hash, Kind::Full, NONE, item.first);
                    self.enter(node, item);
                }
                Form::Beginning => {
                    match item.first.len() {
                        len @ 0..64 => {
                            held.beginnings |= 1 << len;
                            held.ragged |= u64::from(!item.first.ends_with('/')) << len;
                        }
                        len => _ = long.insert(len as u16),
                    }
                    let node = self.draft(*hash, Kind::Beginning, NONE, item.first);
                    self.below(node, item);
                }
                Form::Bucket | Form::BucketBeginning | Form::End => self.enter(itself, item),
            }
        }
        self.hashes = hashes;
        let inside = (self.drafts.len() > 1).then(|| Inside {
            held,
            long_beginnings: long.into_iter().collect(),
            nodes: self.drafts.len() - 1,
            words: self.drafts.iter().map(most_words).sum(),
        });
        let slots = self.put(itself, |nodes, hash, parts| nodes.push(hash, parts, inside));
        for node in 1..self.drafts.len() as u32 {
            let place = self.put(node, |nodes, hash, parts| {
                nodes.push_inside(&slots, hash, parts)
            });
            self.drafts[node as usize].place = place;
        }
    }

    /// Writes what is in no bucket.
    fn loose(&mut self, items: &[Item<'r>], index: &mut Index) {
        self.begin(2 * items.len());
        let mut long_ends = BTreeSet::new();
        let mut bucket_beginnings = BTreeSet::new();
        for item in items {
            if item.form == Form::BucketBeginning {
                match item.first.len() {
                    len @ 0..64 => index.bucket_beginnings.mask |= 1 << len,
                    len => _ = bucket_beginnings.insert(len as u16),
                }
                let hash = Chain::new(BUCKET_BEGINNING).beginning(
                    item.first.as_bytes(),
                    0,
                    item.first.len(),
                );
                let node = self.draft(hash, Kind::BucketBeginning, NONE, item.first);
                self.below(node, item);
                continue;
            }
            let end = item.end.as_bytes();
            let (Some(first), Some(last)) = (end.first(), end.last()) else {
                continue;
            };
            if index.ends.is_empty() {
                index.ends = vec![0; 512];
            }
            match end.len() {
                len @ 0..64 => {
                    index.ends[usize::from(*last)] |= 1 << len;
                    index.ends[256 + usize::from(*first)] |= 1 << len;
                }
                // Counted for every last byte; the empty mask still tells that there are ends.
                len => _ = long_ends.insert(len as u16),
            }
            let hash = Chain::new(END).end(end, end.len());
            let node = self.draft(hash, Kind::End, NONE, item.end);
            self.enter(node, item);
        }
        for node in 0..self.drafts.len() as u32 {
            let place = self.nodes.next();
            let _: Slots = self.put(node, |nodes, hash, parts| nodes.push(hash, parts, None));
            self.drafts[node as usize].place = place;
        }
        index.bucket_beginnings.long = bucket_beginnings.into_iter().collect();
        index.long_ends = long_ends.into_iter().collect();
    }

    /// Makes room for at most so many drafts.
    fn begin(&mut self, most: usize) {
        self.drafts.clear();
        self.entries.clear();
        self.long_ends_below.clear();
        self.table.clear();
        self.table.resize((2 * most).next_power_of_two(), NONE);
    }

    fn below(&mut self, node: u32, item: &Item<'r>) {
        if item.end.is_empty() {
            return self.enter(node, item);
        }
        let held = &mut self.drafts[node as usize];
        match item.end.len() {
            len @ 0..64 => held.ends |= 1 << len,
            len => {
                _ = self
                    .long_ends_below
                    .entry(node)
                    .or_default()
                    .insert(len as u16)
            }
        }
        let hash = Chain::new(held.hash ^ END).end(item.end.as_bytes(), item.end.len());
        let end = self.draft(hash, Kind::EndBelow, node, item.end);
        self.enter(end, item);
    }

    /// The draft of these marks, made if there is none.
    fn draft(&mut self, hash: u64, kind: Kind, parent: u32, text: &'r str) -> u32 {
        let mask = self.table.len() - 1;
        let mut slot = (hash >> 32) as usize & mask;
        loop {
            let at = self.table[slot];
            if at == NONE {
                break;
            }
            let held = &self.drafts[at as usize];
            if held.hash == hash && held.kind == kind && held.parent == parent && held.text == text
            {
                return at;
            }
            slot = (slot + 1) & mask;
        }
        let fresh = u32::try_from(self.drafts.len()).expect("an index has fewer than 2^32 nodes");
        self.table[slot] = fresh;
        self.drafts.push(Draft {
            hash,
            kind,
            parent,
            text,
            ends: 0,
            entry: NONE,
            count: 0,
            place: 0,
        });
        fresh
    }

    fn enter(&mut self, node: u32, item: &Item<'_>) {
        let held = &mut self.drafts[node as usize];
        let entry =
            u32::try_from(self.entries.len()).expect("a rule set holds fewer than 2^32 patterns");
        self.entries.push(Entry {
            before: held.entry,
            rule: item.rule,
            set: item.set,
        });
        held.entry = entry;
        held.count += 1;
    }

    /// Has `push` write a draft.
    fn put<T>(&mut self, node: u32, push: impl FnOnce(&mut Nodes, u64, &Parts<'_>) -> T) -> T {
        let draft = &self.drafts[node as usize];
        self.listed.clear();
        let mut at = draft.entry;
        while at != NONE {
            let entry = &self.entries[at as usize];
            self.listed.push((entry.rule, entry.set));
            at = entry.before;
        }
        self.listed.reverse();
        let long = match self.long_ends_below.get(&node) {
            Some(long) => long.iter().copied().collect(),
            None => Box::default(),
        };
        let parts = Parts {
            kind: draft.kind,
            parent: self
                .drafts
                .get(draft.parent as usize)
                .map_or(0, |parent| parent.place),
            text: draft.text.as_bytes(),
            entries: &self.listed,
            ends: Lengths {
                mask: draft.ends,
                long,
            },
        };
        push(&mut self.nodes, draft.hash, &parts)
    }
}

/// Words that a draft takes at most, a bucket's slots not counted.
fn most_words(draft: &Draft<'_>) -> usize {
    16 + 2 * draft.count as usize + draft.text.len() / 4
}

/// Whether the length of the text fits a node. Validated patterns always do; the others go the slow way.
fn fits(text: &str) -> bool {
    text.len() <= usize::from(u16::MAX)
}

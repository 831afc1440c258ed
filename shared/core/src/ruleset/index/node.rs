//! The nodes of the index as bytes, and the tables that find them.
//!
//! A node, in little-endian words of four bytes:
//!
//! | words | hold |
//! |---|---|
//! | 1 | length of its text (16 bits), flags (5 bits), kind (3 bits), number of entries (8 bits; 255: see the next word) |
//! | 0, 1 | number of entries, if 255 or more |
//! | 0, 1 | of an end below a beginning: where that is (within a bucket counted from the bucket) |
//! | 0, 2 | mask of the lengths of ends below it, if flagged |
//! | 0, 1 | number of its list of long ones, if flagged |
//! | 0, 1 | of a bucket: number of its list of long beginnings, if flagged |
//! | 0, 8 | of a bucket that holds patterns: the masks of [`Held`], its number of slots, how far they are shifted |
//! | 2 each | the entries: rule, set of event types |
//! | | its text |
//! | | of a bucket that holds patterns: its slots |
//!
//! What is in a bucket follows it, and is found by the bucket's own slots: place, counted from the bucket (upper bits),
//! and tag (the bits below that the greatest such place leaves); 0 where empty. All of a small bucket lies within a few
//! cache lines. Buckets themselves, and what is in none, are found by one table with a filter before it.

use super::Lengths;

const ENDS: u32 = 1;
const LONG_ENDS: u32 = 2;
const LONG_BEGINNINGS: u32 = 4;
const HOLDS: u32 = 8;
/// What the last of these brings with it.
const HOLDS_BYTES: usize = 32;
/// The kind stands in the upper three bits of the flags.
const KIND: u32 = 5;

/// What the text of a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A bucket's name.
    Bucket,
    /// A beginning of a key, in its bucket.
    Beginning,
    /// A full key, in its bucket.
    Full,
    /// An end of a resource, anywhere.
    End,
    /// An end of a resource, below its parent's beginning.
    EndBelow,
    /// A beginning of a bucket's name.
    BucketBeginning,
}

/// What a bucket holds, by length.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Held {
    /// Lengths of beginnings, up to 63.
    pub(super) beginnings: u64,
    /// Those of them at which some beginning does not end with a slash: the others are worth asking for only where
    /// the key has one.
    pub(super) ragged: u64,
    /// Lengths of full keys, modulo 64.
    pub(super) full: u64,
}

/// What a node is made of.
pub(super) struct Parts<'a> {
    pub(super) kind: Kind,
    pub(super) parent: u32,
    pub(super) text: &'a [u8],
    pub(super) entries: &'a [(u32, u32)],
    pub(super) ends: Lengths,
}

/// What a bucket has besides.
pub(super) struct Inside {
    pub(super) held: Held,
    pub(super) long_beginnings: Box<[u16]>,
    /// How many nodes are in it.
    pub(super) nodes: usize,
    /// Words that the bucket and what is in it take at most, its slots not counted.
    pub(super) words: usize,
}

/// All nodes.
#[derive(Clone, Debug, Default)]
pub(super) struct Nodes {
    /// Begins with an unused word, so that no node is at 0.
    bytes: Vec<u8>,
    /// Tag (upper half) and place (lower half) of buckets and of what is in none; 0 where empty. Probed one after the
    /// other.
    slots: Vec<u64>,
    /// Two bits of one word for each of these.
    filter: Vec<u64>,
    long: Vec<Box<[u16]>>,
}

/// One node.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    /// In words, from the bucket it is in or from the beginning of all.
    at: u32,
    flags: u32,
    /// From the first mask on.
    rest: &'a [u8],
    count: usize,
    entries: usize,
    text: usize,
}

/// A bucket, ready to be asked for what is in it.
#[derive(Clone, Copy)]
pub(super) struct Bucket<'a> {
    pub(super) held: Held,
    pub(super) long_beginnings: &'a [u16],
    /// From the bucket on.
    bytes: &'a [u8],
    slots: &'a [u8],
    count: usize,
    shift: u32,
}

#[inline]
fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(
        bytes[at..at + 4]
            .try_into()
            .expect("the range is four long"),
    )
}

#[inline]
fn wide(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(
        bytes[at..at + 8]
            .try_into()
            .expect("the range is eight long"),
    )
}

/// A place among `count`, by the upper half of the hash.
#[inline]
fn place(hash: u64, count: usize) -> usize {
    (((hash >> 32) * count as u64) >> 32) as usize
}

#[inline]
fn filter_bits(hash: u64) -> u64 {
    1 << (hash & 63) | 1 << (hash >> 6 & 63)
}

/// The node at this place, if it is of this kind and has this parent and text.
#[inline]
fn node<'a>(bytes: &'a [u8], at: u32, kind: Kind, parent: u32, text: &[u8]) -> Option<Node<'a>> {
    let bytes = &bytes[4 * at as usize..];
    let head = word(bytes, 0);
    let len = (head & 0xffff) as usize;
    if len != text.len() || head >> (16 + KIND) & 7 != kind as u32 {
        return None;
    }
    let flags = head >> 16 & 0x1f;
    let mut count = (head >> 24) as usize;
    let mut start = 4;
    if count == 255 {
        count = word(bytes, 4) as usize;
        start = 8;
    }
    if kind == Kind::EndBelow {
        if word(bytes, start) != parent {
            return None;
        }
        start += 4;
    }
    let entries = 8 * usize::from(flags & ENDS != 0)
        + 4 * usize::from(flags & LONG_ENDS != 0)
        + 4 * usize::from(flags & LONG_BEGINNINGS != 0)
        + HOLDS_BYTES * usize::from(flags & HOLDS != 0);
    let rest = &bytes[start..];
    let held = entries + 8 * count;
    (&rest[held..held + len] == text).then_some(Node {
        at,
        flags,
        rest,
        count,
        entries,
        text: len,
    })
}

impl<'a> Node<'a> {
    /// Where it is: what its children have as parent.
    #[inline]
    pub(super) fn at(&self) -> u32 {
        self.at
    }

    /// Rules, each with its set of event types.
    #[inline]
    pub(super) fn entries(&self) -> impl Iterator<Item = (u32, u32)> + use<'a> {
        self.rest[self.entries..self.entries + 8 * self.count]
            .chunks_exact(8)
            .map(|entry| (word(entry, 0), word(entry, 4)))
    }
}

impl<'a> Bucket<'a> {
    /// Where a look-up of the hash begins; reading it fetches it.
    #[inline]
    pub(super) fn touch_slot(&self, hash: u64) -> u32 {
        let slot = place(hash, self.count);
        self.slots
            .get(4 * slot..4 * slot + 4)
            .map_or(0, |bytes| word(bytes, 0) >> self.shift)
    }

    /// Reads the first byte of the node at a place.
    #[inline]
    pub(super) fn touch_node(&self, at: u32) -> u8 {
        self.bytes.get(4 * at as usize).copied().unwrap_or(0)
    }

    /// The node of this kind, hash, parent and text in the bucket.
    #[inline]
    pub(super) fn find(&self, kind: Kind, hash: u64, parent: u32, text: &[u8]) -> Option<Node<'a>> {
        let mut slot = place(hash, self.count);
        let tag = (1 << self.shift) - 1;
        loop {
            let held = word(self.slots, 4 * slot);
            if held == 0 {
                return None;
            }
            if (held ^ hash as u32) & tag == 0
                && let Some(node) = node(self.bytes, held >> self.shift, kind, parent, text)
            {
                return Some(node);
            }
            slot += 1;
            if slot == self.count {
                slot = 0;
            }
        }
    }
}

impl Nodes {
    /// Room for the table of so many buckets and nodes in none.
    pub(super) fn with_capacity(nodes: usize, bytes: usize) -> Self {
        let mut held = Vec::with_capacity(bytes + 4);
        held.extend_from_slice(&[0; 4]);
        Nodes {
            bytes: held,
            slots: vec![0; nodes + nodes / 2 + 1],
            filter: vec![0; nodes / 6 + 1],
            long: Vec::new(),
        }
    }

    /// The bucket, or the node in none, of this kind, hash, parent and text.
    #[inline]
    pub(super) fn find(&self, kind: Kind, hash: u64, parent: u32, text: &[u8]) -> Option<Node<'_>> {
        let bits = filter_bits(hash);
        if self.filter.get(place(hash, self.filter.len()))? & bits != bits {
            return None;
        }
        let mut slot = place(hash, self.slots.len());
        loop {
            let held = self.slots[slot];
            if held == 0 {
                return None;
            }
            if (held >> 32) as u32 == hash as u32
                && let Some(node) = node(&self.bytes, held as u32, kind, parent, text)
            {
                return Some(node);
            }
            slot += 1;
            if slot == self.slots.len() {
                slot = 0;
            }
        }
    }

    /// What a bucket holds; None when it holds nothing.
    #[inline]
    pub(super) fn open(&self, bucket: &Node<'_>) -> Option<Bucket<'_>> {
        if bucket.flags & HOLDS == 0 {
            return None;
        }
        let bytes = &self.bytes[4 * bucket.at as usize..];
        // The text of a bucket ends where its slots begin.
        let start = 4 + 4 * usize::from(bucket.count >= 255);
        let inner = start + bucket.entries - HOLDS_BYTES;
        let count = word(bytes, inner + 24) as usize;
        let slots = start + bucket.entries + 8 * bucket.count + bucket.text.next_multiple_of(4);
        let long_beginnings = if bucket.flags & LONG_BEGINNINGS != 0 {
            &*self.long[word(bytes, inner - 4) as usize]
        } else {
            &[]
        };
        Some(Bucket {
            held: Held {
                beginnings: wide(bytes, inner),
                ragged: wide(bytes, inner + 8),
                full: wide(bytes, inner + 16),
            },
            long_beginnings,
            bytes,
            slots: &bytes[slots..slots + 4 * count],
            count,
            shift: word(bytes, inner + 28),
        })
    }

    /// Whether the nodes are more than the caches hold; below that, asking for them beforehand costs more than it saves.
    pub(super) fn exceed_caches(&self) -> bool {
        self.bytes.len() > 16 << 20
    }

    /// Reads the first slot that a look-up of the hash would; gives the place in it, or 0.
    #[inline]
    pub(super) fn touch_slot(&self, hash: u64) -> u32 {
        self.slots
            .get(place(hash, self.slots.len()))
            .map_or(0, |slot| *slot as u32)
    }

    /// Reads the first byte of the node at a place.
    #[inline]
    pub(super) fn touch_node(&self, at: u32) -> u8 {
        self.bytes.get(4 * at as usize).copied().unwrap_or(0)
    }

    /// Lengths of the ends below the node.
    #[inline]
    pub(super) fn ends(&self, node: &Node<'_>) -> (u64, &[u16]) {
        let mask = if node.flags & ENDS != 0 {
            wide(node.rest, 0)
        } else {
            0
        };
        let long = if node.flags & LONG_ENDS != 0 {
            &*self.long[word(node.rest, 8 * usize::from(node.flags & ENDS != 0)) as usize]
        } else {
            &[]
        };
        (mask, long)
    }

    /// Where the next node will be.
    pub(super) fn next(&self) -> u32 {
        u32::try_from(self.bytes.len() / 4).expect("an index has fewer than 2^32 words")
    }

    /// Appends a bucket, or a node in none, and makes it findable.
    pub(super) fn push(&mut self, hash: u64, parts: &Parts<'_>, inside: Option<Inside>) -> Slots {
        let at = self.next();
        let slots = self.append(parts, inside);
        let filter_len = self.filter.len();
        self.filter[place(hash, filter_len)] |= filter_bits(hash);
        let mut slot = place(hash, self.slots.len());
        while self.slots[slot] != 0 {
            slot += 1;
            if slot == self.slots.len() {
                slot = 0;
            }
        }
        self.slots[slot] = (hash as u32 as u64) << 32 | u64::from(at);
        slots
    }

    /// Appends a node of a bucket, and makes it findable there. Gives its place, counted from the bucket.
    pub(super) fn push_inside(&mut self, bucket: &Slots, hash: u64, parts: &Parts<'_>) -> u32 {
        let at = self.next() - bucket.bucket;
        self.append(parts, None);
        let slots = &mut self.bytes[bucket.from..bucket.from + 4 * bucket.count];
        let mut slot = place(hash, bucket.count);
        while word(slots, 4 * slot) != 0 {
            slot += 1;
            if slot == bucket.count {
                slot = 0;
            }
        }
        let held = at << bucket.shift | (hash as u32) & ((1 << bucket.shift) - 1);
        slots[4 * slot..4 * slot + 4].copy_from_slice(&held.to_le_bytes());
        at
    }

    fn append(&mut self, parts: &Parts<'_>, inside: Option<Inside>) -> Slots {
        let bucket = self.next();
        let mut flags = (parts.kind as u32) << KIND;
        let mut put = |on: bool, flag: u32| flags |= if on { flag } else { 0 };
        put(parts.ends.mask != 0, ENDS);
        put(!parts.ends.long.is_empty(), LONG_ENDS);
        if let Some(inside) = &inside {
            put(!inside.long_beginnings.is_empty(), LONG_BEGINNINGS);
            put(true, HOLDS);
        }
        let len = u32::try_from(parts.text.len()).expect("the builder lets no longer texts in");
        let count = parts.entries.len();

        self.word(len | flags << 16 | (count.min(255) as u32) << 24);
        if count >= 255 {
            self.word(u32::try_from(count).expect("a rule set holds fewer than 2^32 patterns"));
        }
        if parts.kind == Kind::EndBelow {
            self.word(parts.parent);
        }
        if parts.ends.mask != 0 {
            self.bytes.extend_from_slice(&parts.ends.mask.to_le_bytes());
        }
        if !parts.ends.long.is_empty() {
            self.list(parts.ends.long.clone());
        }
        let (mut slots, mut shift) = (0, 0);
        if let Some(inside) = inside {
            if !inside.long_beginnings.is_empty() {
                self.list(inside.long_beginnings);
            }
            let Held {
                beginnings,
                ragged,
                full,
            } = inside.held;
            for mask in [beginnings, ragged, full] {
                self.bytes.extend_from_slice(&mask.to_le_bytes());
            }
            // Never full, so that every search ends.
            slots = 2 * inside.nodes + 1;
            let furthest =
                u32::try_from(inside.words + slots).expect("an index has fewer than 2^32 words");
            shift = furthest.leading_zeros().min(31);
            self.word(u32::try_from(slots).expect("an index has fewer than 2^32 words"));
            self.word(shift);
        }
        for (rule, set) in parts.entries {
            self.word(*rule);
            self.word(*set);
        }
        self.bytes.extend_from_slice(parts.text);
        let from = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(from + 4 * slots, 0);
        Slots {
            bucket,
            from,
            count: slots,
            shift,
        }
    }

    fn list(&mut self, list: Box<[u16]>) {
        self.word(u32::try_from(self.long.len()).expect("fewer lists than nodes"));
        self.long.push(list);
    }

    fn word(&mut self, word: u32) {
        self.bytes.extend_from_slice(&word.to_le_bytes());
    }

    /// To be called when all nodes are in.
    pub(super) fn seal(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        let long: usize = self.long.iter().map(|list| 16 + 2 * list.len()).sum();
        self.bytes.capacity() + 8 * self.slots.capacity() + 8 * self.filter.capacity() + long
    }
}

/// The slots of a bucket being filled.
pub(super) struct Slots {
    bucket: u32,
    /// In bytes.
    from: usize,
    count: usize,
    shift: u32,
}

//! The nodes of the index as bytes, the table that finds them, and the filter before the table.
//!
//! A node, in little-endian words of four bytes:
//!
//! | word | holds |
//! |---|---|
//! | 0 | where its parent is, in words; 0 for none |
//! | 1 | length of its text (16 bits), flags (5 bits), kind (3 bits), number of entries (8 bits; 255: see the next word) |
//! | - | number of entries, if 255 or more |
//! | - | mask of the lengths of ends below it (2 words), if flagged; number of its list of long ones, if flagged |
//! | - | the same for beginnings |
//! | - | the entries: rule, set of event types |
//! | - | its text |

use super::Lengths;

const ENDS: u32 = 1;
const LONG_ENDS: u32 = 2;
const BEGINNINGS: u32 = 4;
const LONG_BEGINNINGS: u32 = 8;
const FULL_NAMES: u32 = 16;
/// The kind stands in the upper three bits of the flags.
const KIND: u32 = 5;

/// What the text of a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A bucket's name.
    Bucket,
    /// A beginning of a key, in its parent's bucket.
    Beginning,
    /// A full key, in its parent's bucket.
    Full,
    /// An end of a resource, below its parent's beginning or anywhere.
    End,
    /// A beginning of a bucket's name.
    BucketBeginning,
}

/// What a node is made of.
pub(super) struct Parts<'a> {
    pub(super) kind: Kind,
    pub(super) parent: u32,
    pub(super) text: &'a [u8],
    pub(super) entries: &'a [(u32, u32)],
    pub(super) ends: Lengths,
    pub(super) beginnings: Lengths,
    pub(super) full_names: bool,
}

/// All nodes.
#[derive(Clone, Debug, Default)]
pub(super) struct Nodes {
    /// Begins with an unused word, so that no node is at 0.
    bytes: Vec<u8>,
    /// Tag (upper half) and place (lower half); 0 where empty. Probed one after the other.
    slots: Vec<u64>,
    /// Two bits of one word for each node.
    filter: Vec<u64>,
    long: Vec<Box<[u16]>>,
}

/// One node.
pub(super) struct Node<'a> {
    at: u32,
    flags: u32,
    /// From the masks on.
    rest: &'a [u8],
    count: usize,
    entries: usize,
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

impl<'a> Node<'a> {
    /// Where it is: what its children have as parent.
    #[inline]
    pub(super) fn at(&self) -> u32 {
        self.at
    }

    #[inline]
    pub(super) fn has_full_names(&self) -> bool {
        self.flags & FULL_NAMES != 0
    }

    /// Rules, each with its set of event types.
    #[inline]
    pub(super) fn entries(&self) -> impl Iterator<Item = (u32, u32)> + use<'a> {
        self.rest[self.entries..self.entries + 8 * self.count]
            .chunks_exact(8)
            .map(|entry| (word(entry, 0), word(entry, 4)))
    }
}

impl Nodes {
    /// Room for the table of so many nodes.
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

    /// The node of this kind, hash, parent and text.
    #[inline]
    pub(super) fn find(&self, kind: Kind, hash: u64, parent: u32, text: &[u8]) -> Option<Node<'_>> {
        let bits = filter_bits(hash);
        if self.filter.get(place(hash, self.filter.len()))? & bits != bits {
            return None;
        }
        self.look_up(kind, hash, parent, text)
    }

    /// Whether the nodes are more than the caches near a core hold.
    pub(super) fn exceed_caches(&self) -> bool {
        self.bytes.len() > 1 << 20
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

    fn look_up(&self, kind: Kind, hash: u64, parent: u32, text: &[u8]) -> Option<Node<'_>> {
        let mut slot = place(hash, self.slots.len());
        loop {
            let held = self.slots[slot];
            if held == 0 {
                return None;
            }
            if (held >> 32) as u32 == hash as u32
                && let Some(node) = self.node(kind, held as u32, parent, text)
            {
                return Some(node);
            }
            slot += 1;
            if slot == self.slots.len() {
                slot = 0;
            }
        }
    }

    /// The node at this place, if it is of this kind and has this parent and text.
    #[inline]
    fn node(&self, kind: Kind, at: u32, parent: u32, text: &[u8]) -> Option<Node<'_>> {
        let bytes = &self.bytes[4 * at as usize..];
        let head = word(bytes, 4);
        let len = (head & 0xffff) as usize;
        if word(bytes, 0) != parent || len != text.len() || head >> (16 + KIND) & 7 != kind as u32 {
            return None;
        }
        let flags = head >> 16 & 0xff;
        let (mut entries, mut count) = (0, (head >> 24) as usize);
        let mut start = 8;
        if count == 255 {
            count = word(bytes, 8) as usize;
            start = 12;
        }
        entries += 8 * usize::from(flags & ENDS != 0) + 4 * usize::from(flags & LONG_ENDS != 0);
        entries += 8 * usize::from(flags & BEGINNINGS != 0)
            + 4 * usize::from(flags & LONG_BEGINNINGS != 0);
        let rest = &bytes[start..];
        let held = entries + 8 * count;
        (&rest[held..held + len] == text).then_some(Node {
            at,
            flags,
            rest,
            count,
            entries,
        })
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

    /// Lengths of the beginnings in the bucket.
    #[inline]
    pub(super) fn beginnings(&self, node: &Node<'_>) -> (u64, &[u16]) {
        let at =
            8 * usize::from(node.flags & ENDS != 0) + 4 * usize::from(node.flags & LONG_ENDS != 0);
        let (mask, at) = if node.flags & BEGINNINGS != 0 {
            (wide(node.rest, at), at + 8)
        } else {
            (0, at)
        };
        let long = if node.flags & LONG_BEGINNINGS != 0 {
            &*self.long[word(node.rest, at) as usize]
        } else {
            &[]
        };
        (mask, long)
    }

    /// Words that a node takes.
    pub(super) fn words(
        text: usize,
        entries: usize,
        ends: &Lengths,
        beginnings: &Lengths,
    ) -> usize {
        let lengths = |lengths: &Lengths| {
            2 * usize::from(lengths.mask != 0) + usize::from(!lengths.long.is_empty())
        };
        2 + usize::from(entries >= 255)
            + lengths(ends)
            + lengths(beginnings)
            + 2 * entries
            + text.div_ceil(4)
    }

    /// Appends a node, and makes it findable.
    pub(super) fn push(&mut self, hash: u64, parts: Parts<'_>) {
        let at = self.bytes.len() / 4;
        let mut flags = (parts.kind as u32) << KIND;
        let mut put = |on: bool, flag: u32| flags |= if on { flag } else { 0 };
        put(parts.ends.mask != 0, ENDS);
        put(!parts.ends.long.is_empty(), LONG_ENDS);
        put(parts.beginnings.mask != 0, BEGINNINGS);
        put(!parts.beginnings.long.is_empty(), LONG_BEGINNINGS);
        put(parts.full_names, FULL_NAMES);
        let len = u32::try_from(parts.text.len()).expect("patterns are at most 2048 bytes long");
        let count = parts.entries.len();

        self.word(parts.parent);
        self.word(len | flags << 16 | (count.min(255) as u32) << 24);
        if count >= 255 {
            self.word(u32::try_from(count).expect("a rule set holds fewer than 2^32 patterns"));
        }
        for lengths in [parts.ends, parts.beginnings] {
            if lengths.mask != 0 {
                self.bytes.extend_from_slice(&lengths.mask.to_le_bytes());
            }
            if !lengths.long.is_empty() {
                self.word(u32::try_from(self.long.len()).expect("fewer lists than nodes"));
                self.long.push(lengths.long);
            }
        }
        for (rule, set) in parts.entries {
            self.word(*rule);
            self.word(*set);
        }
        self.bytes.extend_from_slice(parts.text);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);

        let filter_len = self.filter.len();
        self.filter[place(hash, filter_len)] |= filter_bits(hash);
        let mut slot = place(hash, self.slots.len());
        while self.slots[slot] != 0 {
            slot += 1;
            if slot == self.slots.len() {
                slot = 0;
            }
        }
        self.slots[slot] = (hash as u32 as u64) << 32
            | u64::from(u32::try_from(at).expect("an index has fewer than 2^32 words"));
    }

    fn word(&mut self, word: u32) {
        self.bytes.extend_from_slice(&word.to_le_bytes());
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        let long: usize = self.long.iter().map(|list| 16 + 2 * list.len()).sum();
        self.bytes.capacity() + 8 * self.slots.capacity() + 8 * self.filter.capacity() + long
    }
}

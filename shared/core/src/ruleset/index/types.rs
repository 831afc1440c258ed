//! The event types of a rule set: an event's type is looked up once, and each candidate rule then costs one test.

use super::hash::Chain;
use crate::rule::{EventTypePattern, EventTypes, KNOWN_EVENT_TYPES};
use std::collections::HashMap;

const SEED: u64 = 0x7000_0017;

type Map<V> = HashMap<Box<str>, V, foldhash::fast::FixedState>;

/// Number of a distinct list of event types.
pub(super) type SetId = u32;

/// All event type patterns of a rule set ("atoms"), and all distinct lists of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Types {
    names: Map<u32>,
    groups: Map<u32>,
    /// Sorted atoms of each set, one after the other; `starts` has one more element than there are sets.
    atoms: Vec<u32>,
    starts: Vec<u32>,
    /// With at most 64 atoms, each set as a mask.
    masks: Vec<u64>,
    /// With at most 64 atoms, what covers the types that are likely to come: one probe of the table finds it, where
    /// otherwise the name and each of its groups are looked up.
    likely: Vec<Likely>,
    /// Places in `likely`, by hash; [`NONE`] where empty. Its length is a power of two, and it is never full.
    table: Vec<u32>,
    interned: HashMap<Box<[u32]>, SetId, foldhash::fast::FixedState>,
    count: u32,
}

/// An event type that a rule names, or that sources are known to emit.
#[derive(Clone, Debug)]
struct Likely {
    name: Box<str>,
    mask: u64,
}

const NONE: u32 = u32::MAX;

fn hash(name: &str) -> usize {
    (Chain::new(SEED).beginning(name.as_bytes(), 0, name.len()) >> 32) as usize
}

/// Which atoms cover the type of an event.
#[derive(Clone, Copy, Debug)]
pub(super) enum Covering<'a> {
    /// As a mask, in sets of few atoms.
    Mask(u64),
    /// By number.
    Few([u32; 8], usize),
    /// Too many (a name of many groups): compare texts.
    Name(&'a str),
}

impl Types {
    /// Number of the list, equal for equal lists.
    pub(super) fn intern(&mut self, types: &EventTypes, scratch: &mut Vec<u32>) -> SetId {
        scratch.clear();
        for pattern in &types.0 {
            let (map, text) = match pattern {
                EventTypePattern::Name(name) => (&mut self.names, name.as_str()),
                EventTypePattern::Group(group) => (&mut self.groups, group.as_str()),
            };
            let atom = match map.get(text) {
                Some(atom) => *atom,
                None => {
                    map.insert(text.into(), self.count);
                    self.count += 1;
                    self.count - 1
                }
            };
            scratch.push(atom);
        }
        scratch.sort_unstable();
        scratch.dedup();
        if let Some(id) = self.interned.get(scratch.as_slice()) {
            return *id;
        }
        if self.starts.is_empty() {
            self.starts.push(0);
        }
        let id = u32::try_from(self.starts.len() - 1)
            .expect("fewer sets than rules, of which there are fewer than 2^32");
        self.interned.insert(scratch.as_slice().into(), id);
        self.atoms.extend_from_slice(scratch);
        self.starts
            .push(u32::try_from(self.atoms.len()).expect("fewer than 2^32 event types in all"));
        id
    }

    /// To be called when all sets are in.
    pub(super) fn seal(&mut self) {
        self.interned = HashMap::default();
        if self.count <= 64 {
            self.masks = (0..self.starts.len().saturating_sub(1) as u32)
                .map(|set| {
                    self.atoms_of(set)
                        .iter()
                        .fold(0, |mask, atom| mask | 1 << atom)
                })
                .collect();
            self.prepare();
        }
        self.atoms.shrink_to_fit();
        self.starts.shrink_to_fit();
    }

    /// Settles the likely types.
    fn prepare(&mut self) {
        let mut names: Vec<&str> = self.names.keys().map(|name| &**name).collect();
        names.extend(KNOWN_EVENT_TYPES);
        names.sort_unstable();
        names.dedup();
        self.likely = names
            .into_iter()
            .map(|name| {
                let mut mask = 0;
                self.each_atom(name, |atom| mask |= 1 << atom);
                Likely {
                    name: name.into(),
                    mask,
                }
            })
            .collect();
        self.table = vec![NONE; (4 * self.likely.len()).next_power_of_two()];
        let last = self.table.len() - 1;
        for (number, likely) in (0u32..).zip(&self.likely) {
            let mut slot = hash(&likely.name) & last;
            while self.table[slot] != NONE {
                slot = (slot + 1) & last;
            }
            self.table[slot] = number;
        }
    }

    /// What covers the type, if it is a likely one.
    #[inline]
    fn likely(&self, event_type: &str) -> Option<u64> {
        let last = self.table.len().checked_sub(1)?;
        let mut slot = hash(event_type) & last;
        loop {
            let likely = self.likely.get(self.table[slot] as usize)?;
            if *likely.name == *event_type {
                return Some(likely.mask);
            }
            slot = (slot + 1) & last;
        }
    }

    pub(super) fn atoms_of(&self, set: SetId) -> &[u32] {
        &self.atoms[self.starts[set as usize] as usize..self.starts[set as usize + 1] as usize]
    }

    /// How many atoms there are.
    pub(super) fn len(&self) -> usize {
        self.count as usize
    }

    /// The atoms that cover an event type, each given to `each`.
    pub(super) fn each_atom(&self, event_type: &str, mut each: impl FnMut(u32)) {
        if let Some(atom) = self.names.get(event_type) {
            each(*atom);
        }
        if !self.groups.is_empty() {
            for (at, _) in event_type.match_indices(':') {
                if let Some(atom) = self.groups.get(&event_type[..at]) {
                    each(*atom);
                }
            }
        }
    }

    /// What covers an event type; None when no rule asks for it.
    pub(super) fn covering<'a>(&self, event_type: &'a str) -> Option<Covering<'a>> {
        if let Some(mask) = self.likely(event_type) {
            return (mask != 0).then_some(Covering::Mask(mask));
        }
        let (mut mask, mut few, mut count) = (0u64, [0; 8], 0);
        self.each_atom(event_type, |atom| {
            mask |= 1u64.checked_shl(atom).unwrap_or_default();
            if let Some(slot) = few.get_mut(count) {
                *slot = atom;
            }
            count += 1;
        });
        match count {
            0 => None,
            _ if self.count <= 64 => Some(Covering::Mask(mask)),
            1..=8 => Some(Covering::Few(few, count)),
            _ => Some(Covering::Name(event_type)),
        }
    }

    /// Whether the set covers the event.
    #[inline]
    pub(super) fn covers(&self, set: SetId, covering: &Covering<'_>) -> bool {
        match covering {
            Covering::Mask(mask) => self.masks[set as usize] & mask != 0,
            Covering::Few(few, count) => {
                let atoms = self.atoms_of(set);
                few[..*count]
                    .iter()
                    .any(|atom| atoms.binary_search(atom).is_ok())
            }
            Covering::Name(event_type) => {
                let mut covered = false;
                let atoms = self.atoms_of(set);
                self.each_atom(event_type, |atom| {
                    covered |= atoms.binary_search(&atom).is_ok()
                });
                covered
            }
        }
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        let text = |map: &Map<u32>| map.keys().map(|text| text.len() + 32).sum::<usize>();
        4 * (self.atoms.capacity() + self.starts.capacity())
            + 8 * self.masks.capacity()
            + self
                .likely
                .iter()
                .map(|likely| likely.name.len() + 24)
                .sum::<usize>()
            + 4 * self.table.capacity()
            + text(&self.names)
            + text(&self.groups)
    }
}

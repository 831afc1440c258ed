//! Patterns of one event type, as points: by beginning one way, by end (read backwards) the other.
//!
//! Two patterns meet when their beginnings are comparable (one begins the other) and so are their ends. Seen from a new
//! pattern, an old one is an ancestor (shorter) or a descendant (longer, or equal) either way. The ancestors' texts are
//! few, and found by hash; for each, the old patterns that have it lie side by side in one of the two orders.
//! Descendants of both are sought in both orders at once, until the smaller of the two ranges is exhausted.

use super::Place;
use crate::ruleset::index::Chain;
use std::collections::{BTreeSet, HashMap};
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

/// One pattern.
#[derive(Clone, Debug)]
pub(super) struct Point {
    beginning: Arc<[u8]>,
    /// Backwards.
    end: Arc<[u8]>,
    /// A full name: only patterns that match it meet it.
    one: bool,
    place: Place,
}

impl Point {
    pub(super) fn new(prefix: &str, suffix: &str, one: bool, place: Place) -> Self {
        Point {
            beginning: prefix.as_bytes().into(),
            end: suffix.bytes().rev().collect(),
            one,
            place,
        }
    }
}

/// First text, second text, the rest.
type Key = (Arc<[u8]>, Arc<[u8]>, bool, Place);

/// How often each text is there, by hash. Two texts of one hash cost a look in vain.
#[derive(Clone, Debug, Default)]
struct Texts {
    counts: HashMap<u64, u32, foldhash::fast::FixedState>,
    lengths: HashMap<usize, u32, foldhash::fast::FixedState>,
    longest: usize,
}

impl Texts {
    fn add(&mut self, text: &[u8]) {
        *self.counts.entry(hash(text)).or_default() += 1;
        *self.lengths.entry(text.len()).or_default() += 1;
        self.longest = self.longest.max(text.len());
    }

    fn take(&mut self, text: &[u8]) {
        let hash = hash(text);
        if let Some(count) = self.counts.get_mut(&hash) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&hash);
            }
        }
        if let Some(count) = self.lengths.get_mut(&text.len()) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&text.len());
            }
        }
    }

    /// Lengths of those beginnings of `text`, shorter than it, that are there.
    fn ancestors(&self, text: &[u8], found: &mut Vec<usize>) {
        found.clear();
        let mut chain = Chain::new(SEED);
        for len in 0..text.len().min(self.longest + 1) {
            if self.lengths.contains_key(&len)
                && self.counts.contains_key(&chain.beginning(text, 0, len))
            {
                found.push(len);
            }
        }
    }
}

const SEED: u64 = 0x6000_0013;

fn hash(text: &[u8]) -> u64 {
    Chain::new(SEED).beginning(text, 0, text.len())
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Plane {
    by_beginning: BTreeSet<Key>,
    by_end: BTreeSet<Key>,
    beginnings: Texts,
    ends: Texts,
}

/// All keys from `first`, `second` on.
fn from(first: &[u8], second: &[u8]) -> (Bound<Key>, Bound<Key>) {
    let lowest = Place {
        slot: 0,
        alternative: 0,
    };
    (
        Bound::Included((first.into(), second.into(), false, lowest)),
        Bound::Unbounded,
    )
}

/// Patterns looked at side by side before it pays to seek.
const SHORT: usize = 16;

impl Plane {
    pub(super) fn build(points: Vec<Point>) -> Self {
        let mut plane = Plane::default();
        for point in &points {
            plane.beginnings.add(&point.beginning);
            plane.ends.add(&point.end);
        }
        plane.by_end = points
            .iter()
            .map(|point| {
                (
                    point.end.clone(),
                    point.beginning.clone(),
                    point.one,
                    point.place,
                )
            })
            .collect();
        plane.by_beginning = points
            .into_iter()
            .map(|point| (point.beginning, point.end, point.one, point.place))
            .collect();
        plane
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_beginning.is_empty()
    }

    pub(super) fn insert(&mut self, point: Point) {
        let Point {
            beginning,
            end,
            one,
            place,
        } = point;
        if self
            .by_beginning
            .insert((beginning.clone(), end.clone(), one, place))
        {
            self.beginnings.add(&beginning);
            self.ends.add(&end);
            self.by_end.insert((end, beginning, one, place));
        }
    }

    pub(super) fn remove(&mut self, point: &Point) {
        let Point {
            beginning,
            end,
            one,
            place,
        } = point;
        if self
            .by_beginning
            .remove(&(beginning.clone(), end.clone(), *one, *place))
        {
            self.beginnings.take(beginning);
            self.ends.take(end);
            self.by_end
                .remove(&(end.clone(), beginning.clone(), *one, *place));
        }
    }

    /// Calls `each` with the patterns that meet the one given.
    pub(super) fn meeting(
        &self,
        prefix: &str,
        suffix: &str,
        one: bool,
        mut each: impl FnMut(Place) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let beginning = prefix.as_bytes();
        let end: Vec<u8> = suffix.bytes().rev().collect();
        let (mut above, mut beyond) = (Vec::new(), Vec::new());
        self.beginnings.ancestors(beginning, &mut above);
        self.ends.ancestors(&end, &mut beyond);

        // Ancestors by beginning: with ends that are ancestors, descendants or equal.
        for len in &above {
            self.with_beginning(&beginning[..*len], &end, &beyond, one, &mut each)?;
        }
        if one {
            // A full name has no descendants but itself; patterns with its very beginning may have any end of it.
            return self.with_beginning(beginning, &end, &beyond, one, &mut each);
        }
        // Ancestors by end, descendants (or equal) by beginning.
        for len in &beyond {
            let end = &end[..*len];
            for (held, other, other_one, place) in self.by_end.range(from(end, beginning)) {
                if **held != *end || !other.starts_with(beginning) {
                    break;
                }
                if !other_one {
                    each(*place)?;
                }
            }
        }
        self.descendants(beginning, &end, &mut each)
    }

    /// Patterns of just this beginning, and an end comparable with the one given.
    fn with_beginning(
        &self,
        beginning: &[u8],
        end: &[u8],
        beyond: &[usize],
        one: bool,
        each: &mut impl FnMut(Place) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let meets = |other: &[u8], other_one: bool| {
            if other_one {
                // Two full names meet when they are equal; a shorter one is no ancestor.
                one && other == end
            } else {
                end.starts_with(other) || (!one && other.starts_with(end))
            }
        };
        let mut looked = 0;
        for (held, other, other_one, place) in self.by_beginning.range(from(beginning, &[])) {
            if **held != *beginning {
                return ControlFlow::Continue(());
            }
            looked += 1;
            if looked > SHORT {
                break;
            }
            if meets(other, *other_one) {
                each(*place)?;
            }
        }
        if looked <= SHORT {
            return ControlFlow::Continue(());
        }
        // Many ends: seek each that can meet, past those seen already.
        let run = |text: &[u8], exact: bool, each: &mut dyn FnMut(Place) -> ControlFlow<()>| {
            for (held, other, other_one, place) in self.by_beginning.range(from(beginning, text)) {
                let on = **held == *beginning
                    && if exact {
                        **other == *text
                    } else {
                        other.starts_with(text)
                    };
                if !on {
                    break;
                }
                if meets(other, *other_one) {
                    each(*place)?;
                }
            }
            ControlFlow::Continue(())
        };
        for len in beyond {
            run(&end[..*len], true, each)?;
        }
        run(end, one, each)
    }

    /// Patterns that have both ends longer than (or equal to) those given.
    fn descendants(
        &self,
        beginning: &[u8],
        end: &[u8],
        each: &mut impl FnMut(Place) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut down = self
            .by_beginning
            .range(from(beginning, &[]))
            .take_while(|(held, ..)| held.starts_with(beginning));
        let mut across = self
            .by_end
            .range(from(end, &[]))
            .take_while(|(held, ..)| held.starts_with(end));
        // Each order alone would find all: what one side found before the other ran out may come twice.
        loop {
            match down.next() {
                None => return ControlFlow::Continue(()),
                Some((_, other, _, place)) if other.starts_with(end) => each(*place)?,
                Some(_) => {}
            }
            match across.next() {
                None => return ControlFlow::Continue(()),
                Some((_, other, _, place)) if other.starts_with(beginning) => each(*place)?,
                Some(_) => {}
            }
        }
    }
}

//! Patterns of one event type, as points: by beginning one way, by end (read backwards) the other.
//!
//! Two patterns meet when their beginnings are comparable (one begins the other) and so are their ends. Seen from a new
//! pattern, an old one is an ancestor (shorter) or a descendant (longer, or equal) either way. The ancestors' texts are
//! few, and found by hash; for each, the old patterns that have it lie side by side in one of the two orders.
//! Descendants of both are sought in both orders at once, until the smaller of the two ranges is exhausted; when both
//! are long, in [`Grid`]s instead. A grid does not change: new points are put in a short list, and when that is full it
//! becomes a grid, together with those that are no larger, so that each point is put in order a few times only.

use super::Place;
use super::grid::Grid;
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
pub(super) type Key = (Arc<[u8]>, Arc<[u8]>, bool, Place);

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
    grids: Vec<Grid>,
    /// By beginning: what is in no grid, once there is one.
    young: Vec<Key>,
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
/// Patterns of each order looked at before grids are asked.
const LONG: usize = 64;
/// Planes of fewer points have no grids: looking at all of them is as fast.
const LARGE: usize = 1_024;
/// Points that wait to become a grid.
const YOUNG: usize = 128;

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
        plane.settle();
        plane
    }

    /// Makes the first grid of a plane that has grown large.
    fn settle(&mut self) {
        if self.grids.is_empty() && self.by_beginning.len() >= LARGE {
            self.young.clear();
            self.grids
                .push(Grid::build(self.by_beginning.iter().cloned().collect()));
        }
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
            self.by_end
                .insert((end.clone(), beginning.clone(), one, place));
            if self.grids.is_empty() {
                return self.settle();
            }
            self.young.push((beginning, end, one, place));
            if self.young.len() == YOUNG {
                let mut points = std::mem::take(&mut self.young);
                while let Some(grid) = self.grids.pop_if(|grid| grid.len() <= points.len()) {
                    points.extend(grid.into_points());
                }
                self.grids.push(Grid::build(points));
            }
        }
    }

    pub(super) fn remove(&mut self, point: &Point) {
        let Point {
            beginning,
            end,
            one,
            place,
        } = point;
        let key = (beginning.clone(), end.clone(), *one, *place);
        if self.by_beginning.remove(&key) {
            if let Some(at) = self.young.iter().position(|held| *held == key) {
                self.young.swap_remove(at);
            } else if let Some(at) = self.grids.iter_mut().position(|grid| grid.remove(&key))
                && self.grids[at].is_sparse()
            {
                let points = self.grids.remove(at).into_points();
                self.grids.insert(at, Grid::build(points));
            }
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
        let most = if self.grids.is_empty() {
            usize::MAX
        } else {
            LONG
        };
        for _ in 0..most {
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
        for (held, other, _, place) in &self.young {
            if held.starts_with(beginning) && other.starts_with(end) {
                each(*place)?;
            }
        }
        self.grids
            .iter()
            .try_for_each(|grid| grid.each_within(beginning, end, &mut |key| each(key.3)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small generator (xorshift64*).
    struct Draw(u64);

    impl Draw {
        fn below(&mut self, bound: usize) -> usize {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d);
            ((u128::from(drawn) * bound as u128) >> 64) as usize
        }

        fn text(&mut self, max: usize) -> String {
            (0..self.below(max + 1))
                .map(|_| ['a', 'b', '/'][self.below(3)])
                .collect()
        }

        /// Beginning, end, and whether it is one name.
        fn shape(&mut self) -> (String, String, bool) {
            if self.below(4) == 0 {
                let name = self.text(7);
                (name.clone(), name, true)
            } else {
                (self.text(8), self.text(8), false)
            }
        }
    }

    type Shape = (String, String, bool);

    /// Whether some text has both shapes.
    fn meet((p, s, one): &Shape, (q, t, other_one): &Shape) -> bool {
        let has = |name: &str, p: &str, s: &str| name.starts_with(p) && name.ends_with(s);
        match (one, other_one) {
            (true, true) => p == q,
            (true, false) => has(p, q, t),
            (false, true) => has(q, p, s),
            (false, false) => {
                (p.starts_with(&**q) || q.starts_with(&**p))
                    && (s.ends_with(&**t) || t.ends_with(&**s))
            }
        }
    }

    fn point((prefix, suffix, one): &Shape, slot: u32) -> Point {
        let place = Place {
            slot,
            alternative: 0,
        };
        Point::new(prefix, suffix, *one, place)
    }

    #[test]
    fn meets_what_asking_each_finds() {
        let mut draw = Draw(0x9e37_79b9_7f4a_7c15);
        let mut held: Vec<Option<Shape>> = (0..LARGE + 300).map(|_| Some(draw.shape())).collect();
        let points = held.iter().flatten().zip(0..);
        let mut plane = Plane::build(points.map(|(shape, slot)| point(shape, slot)).collect());
        let (mut asked, mut found, mut sparse) = (0, 0, 0);
        for round in 0..4_000usize {
            // The set grows, then falls to less than a grid needs, then grows again.
            let shrinks = (1_500..3_000).contains(&round);
            if draw.below(if shrinks { 8 } else { 3 }) == 0 {
                let shape = draw.shape();
                let slot = u32::try_from(held.len()).unwrap();
                plane.insert(point(&shape, slot));
                held.push(Some(shape));
            } else if shrinks || draw.below(4) == 0 {
                let at = draw.below(held.len());
                if let Some(shape) = held[at].take() {
                    plane.remove(&point(&shape, u32::try_from(at).unwrap()));
                    sparse += 1;
                }
            }
            if round % 8 != 0 {
                continue;
            }
            for _ in 0..4 {
                let shape = draw.shape();
                let mut got = BTreeSet::new();
                let flow = plane.meeting(&shape.0, &shape.1, shape.2, |place| {
                    got.insert(place.slot);
                    ControlFlow::Continue(())
                });
                assert!(flow.is_continue());
                let want: BTreeSet<u32> = (0..)
                    .zip(&held)
                    .filter(|(_, other)| other.as_ref().is_some_and(|other| meet(&shape, other)))
                    .map(|(slot, _)| slot)
                    .collect();
                assert_eq!(got, want, "{shape:?} in round {round}");
                asked += 1;
                found += want.len();
            }
        }
        assert!(found > asked && sparse > 500 && plane.grids.len() > 1);
        // What is left goes, too.
        for (slot, shape) in (0..).zip(&held) {
            if let Some(shape) = shape {
                plane.remove(&point(shape, slot));
            }
        }
        assert!(plane.is_empty());
        let flow = plane.meeting("", "", false, |place| panic!("{place:?} was removed"));
        assert!(flow.is_continue());
    }

    #[test]
    fn descendants_that_share_one_side_only_are_not_walked() {
        // Half begin as asked, half end as asked, and one does both.
        let count = 20_000u32;
        let shape = |number: u32| match number % 2 {
            0 => (format!("b/logs/{number}/"), format!("-{number}.png"), false),
            _ => (format!("b/raw/{number}/"), format!("-{number}.jpg"), false),
        };
        let mut plane = Plane::build((0..count).map(|slot| point(&shape(slot), slot)).collect());
        let looks = std::cell::Cell::new(0);
        let ask = |plane: &Plane| {
            let mut found = Vec::new();
            looks.set(0);
            let flow = plane.meeting("b/logs/", ".jpg", false, |place| {
                looks.set(looks.get() + 1);
                found.push(place.slot);
                ControlFlow::Continue(())
            });
            assert!(flow.is_continue());
            found.sort_unstable();
            found.dedup();
            found
        };
        assert!(ask(&plane).is_empty());
        let both = ("b/logs/x/".to_owned(), "-x.jpg".to_owned(), false);
        plane.insert(point(&both, count));
        assert_eq!(ask(&plane), [count]);
        // Long after, when it is in a grid.
        for slot in count + 1..count + 1_000 {
            plane.insert(point(&shape(slot), slot));
        }
        assert_eq!(ask(&plane), [count]);
        plane.remove(&point(&both, count));
        assert!(ask(&plane).is_empty());
        assert_eq!(looks.get(), 0);
    }
}

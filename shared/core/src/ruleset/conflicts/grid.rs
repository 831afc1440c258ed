//! Points in a fixed order both ways, asked for those in a rectangle: exact, in time that grows with the logarithm of
//! their number and with how many there are in the rectangle, not with how many share one of its sides.
//!
//! The points lie by beginning. Their places by end, read in that order, are held as a wavelet matrix: one row of bits
//! for each binary digit, the greatest first, each row ordered by the digits before it. A rectangle is a range of the
//! first row and a range of values; going down one row splits the range in two by counting bits.

use super::plane::Key;
use std::ops::{ControlFlow, Range};

/// One binary digit of all values.
#[derive(Clone, Debug)]
struct Row {
    bits: Vec<u64>,
    /// Zeros before each word.
    zeros_before: Vec<u32>,
    zeros: usize,
}

impl Row {
    fn of(bits: impl ExactSizeIterator<Item = bool>) -> Self {
        let count = bits.len();
        let mut row = Row {
            bits: vec![0; count / 64 + 1],
            zeros_before: Vec::with_capacity(count / 64 + 1),
            zeros: 0,
        };
        for (at, bit) in bits.enumerate() {
            row.bits[at / 64] |= u64::from(bit) << (at % 64);
        }
        let mut zeros = 0;
        for word in &row.bits {
            row.zeros_before.push(zeros);
            zeros += word.count_zeros();
        }
        // Those past the end are zeros, too.
        row.zeros = zeros as usize - (64 * row.bits.len() - count);
        row
    }

    /// Zeros before a place.
    fn zeros_to(&self, at: usize) -> usize {
        let ones = self.bits[at / 64] & ((1 << (at % 64)) - 1);
        self.zeros_before[at / 64] as usize + at % 64 - ones.count_ones() as usize
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    /// By beginning.
    points: Vec<Key>,
    /// Places in `points`, by end.
    by_end: Vec<u32>,
    rows: Vec<Row>,
    /// Bit of each point: it was removed.
    removed: Vec<u64>,
    removed_count: usize,
}

impl Grid {
    pub(super) fn build(mut points: Vec<Key>) -> Self {
        points.sort_unstable();
        let count = u32::try_from(points.len()).expect("a book holds fewer than 2^32 patterns");
        let mut by_end: Vec<u32> = (0..count).collect();
        by_end.sort_by(|a, b| points[*a as usize].1.cmp(&points[*b as usize].1));
        let mut values = vec![0u32; points.len()];
        for (value, place) in (0u32..).zip(&by_end) {
            values[*place as usize] = value;
        }
        let digits = u32::BITS - count.saturating_sub(1).leading_zeros();
        let mut rows = Vec::with_capacity(digits as usize);
        for digit in (0..digits).rev() {
            let one = |value: &u32| value >> digit & 1 == 1;
            rows.push(Row::of(values.iter().map(one)));
            let (ones, zeros): (Vec<u32>, Vec<u32>) = values.iter().partition(|value| one(value));
            values.clear();
            values.extend(zeros);
            values.extend(ones);
        }
        Grid {
            removed: vec![0; points.len().div_ceil(64)],
            removed_count: 0,
            points,
            by_end,
            rows,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.points.len()
    }

    fn is_removed(&self, place: usize) -> bool {
        self.removed[place / 64] >> (place % 64) & 1 == 1
    }

    /// Takes a point out; false when it is not here.
    pub(super) fn remove(&mut self, point: &Key) -> bool {
        match self.points.binary_search(point) {
            Ok(place) if !self.is_removed(place) => {
                self.removed[place / 64] |= 1 << (place % 64);
                self.removed_count += 1;
                true
            }
            _ => false,
        }
    }

    /// Whether so many points were removed that stepping over them could be felt.
    pub(super) fn is_sparse(&self) -> bool {
        self.removed_count > 1_024 + self.points.len() / 64
    }

    /// The points that were not removed.
    pub(super) fn into_points(self) -> Vec<Key> {
        let Grid {
            points, removed, ..
        } = self;
        let held = |place: &usize| removed[place / 64] >> (place % 64) & 1 == 0;
        points
            .into_iter()
            .enumerate()
            .filter(|(place, _)| held(place))
            .map(|(_, point)| point)
            .collect()
    }

    /// Calls `each` with the points whose beginning begins with `beginning` and whose end (read backwards) with `end`.
    pub(super) fn each_within(
        &self,
        beginning: &[u8],
        end: &[u8],
        each: &mut impl FnMut(&Key) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let down = range(self.points.len(), beginning, |place| &self.points[place].0);
        if down.is_empty() {
            return ControlFlow::Continue(());
        }
        let across = range(self.by_end.len(), end, |place| {
            &self.points[self.by_end[place] as usize].1
        });
        self.visit(0, down, 0, &across, each)
    }

    /// The points of a range of a row whose value, of which the digits so far are `low`, lies in `across`.
    fn visit(
        &self,
        row: usize,
        places: Range<usize>,
        low: usize,
        across: &Range<usize>,
        each: &mut impl FnMut(&Key) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let left = self.rows.len() - row;
        if places.is_empty() || low >= across.end || low + (1 << left) <= across.start {
            return ControlFlow::Continue(());
        }
        let Some(held) = self.rows.get(row) else {
            let place = self.by_end[low] as usize;
            return if self.is_removed(place) {
                ControlFlow::Continue(())
            } else {
                each(&self.points[place])
            };
        };
        let zeros = held.zeros_to(places.start)..held.zeros_to(places.end);
        let ones = held.zeros + places.start - zeros.start..held.zeros + places.end - zeros.end;
        self.visit(row + 1, zeros, low, across, each)?;
        self.visit(row + 1, ones, low + (1 << (left - 1)), across, each)
    }
}

/// The places, among `count` in order of text, whose text begins with `beginning`.
fn range<'a>(
    count: usize,
    beginning: &[u8],
    text: impl Fn(usize) -> &'a std::sync::Arc<[u8]>,
) -> Range<usize> {
    let first = |from: usize, below: &dyn Fn(&[u8]) -> bool| {
        let (mut from, mut to) = (from, count);
        while from < to {
            let middle = from + (to - from) / 2;
            if below(text(middle)) {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        from
    };
    let start = first(0, &|text| text < beginning);
    let end = first(start, &|text| text.starts_with(beginning));
    start..end
}

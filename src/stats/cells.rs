//! Cells: intervals of an anchored log-linear scale, in which distances are measured.
//!
//! A value `x` becomes `z = (x - median) / scale` and `u = 1 + |z|`. Its cell is given by a few top
//! bits of `u`: 8 cells per octave, 24 octaves to each side of the anchor. There is no search, a
//! normal feature touches 40-60 neighbouring cells, and a shift of 1,000 scales is still resolved
//! to 9 %.
//!
//! Each cell holds a count and the sum of the values' positions inside it, in fixed point: 0 at the
//! edge towards the anchor, 2^24 at the other edge. Integers make merging and subtracting exact,
//! and the result independent of the order of partitions, bit for bit. The sum makes the integral
//! over a cell exact although the cell is wide. A sum of plain `z` would overflow after half a
//! million far values, and a sum of floats depends on the order of its terms.
//!
//! Values beyond 2^24 scales count in the outermost cell, at its outer edge, and as saturated:
//! distances are then lower bounds.

use std::hint::select_unpredictable;
use std::iter::repeat_n;
use std::ops::Range;

use super::quantile::quantile_sorted;

/// Number of cells, both sides of the anchor together.
pub const CELLS: usize = 2 * SIDE;
/// Number of cells on each side of the anchor: 24 octaves of 8.
const SIDE: usize = 8 * 24;
/// Exponent and three mantissa bits of `1.0_f64`: the first cell of a side.
const FIRST: u64 = 1023 << 3;
/// The mantissa bits below the three that select the cell: the position inside it.
const MANTISSA_BELOW: u64 = (1 << 49) - 1;
/// The position of a value at the outward edge of its cell.
pub const FULL_WIDTH: i64 = 1 << 24;

/// The anchor and scale of a feature's cells; frozen with the reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CellScale {
    median: f64,
    scale: f64,
    inverse: f64,
}

/// A cell and a position inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellPosition {
    /// Index of the cell in `0..CELLS`, ascending in the value.
    pub cell: usize,
    /// Distance from the cell's edge on the anchor's side, in `0..=FULL_WIDTH`.
    pub outward: i64,
    /// Set where the value lies beyond the last cell.
    pub saturated: bool,
}

impl CellScale {
    /// Cells around `median`, in units of `scale`; `None` where they are not usable.
    ///
    /// Both must be finite, and `scale` positive and so large that its inverse is finite.
    #[must_use]
    pub fn try_new(median: f64, scale: f64) -> Option<Self> {
        let inverse = scale.recip();
        let usable = median.is_finite() && scale.is_finite() && scale > 0.0 && inverse.is_finite();
        usable.then_some(CellScale {
            median,
            scale,
            inverse,
        })
    }

    /// Cells fitted to a sample in ascending order with standard deviation `std`.
    ///
    /// The anchor is the median. The scale is the interquartile range / 1.35, which is the standard
    /// deviation of a normal distribution; where that is not usable, `std`, `|median| / 1000`, or
    /// 1. `None` for an empty sample.
    ///
    /// It is at least 2^-16 of the distance between the 0.1 % and 99.9 % quantiles, so that both
    /// lie well inside the 2^24 scales of a side. Where most values are equal up to rounding, the
    /// quartiles say nothing about the others.
    #[must_use]
    pub fn fit(sorted: &[f64], std: f64) -> Option<Self> {
        const SMALLEST_SHARE_OF_BODY: f64 = 1.0 / 65_536.0;
        if sorted.is_empty() {
            return None;
        }
        let [lowest, low, median, high, highest] =
            [0.001, 0.25, 0.5, 0.75, 0.999].map(|share| quantile_sorted(sorted, share));
        let smallest = (highest - lowest) * SMALLEST_SHARE_OF_BODY;
        [(high - low) / 1.35, std, median.abs() * 1e-3, 1.0]
            .into_iter()
            .filter(|scale| *scale > 0.0)
            .find_map(|scale| Self::try_new(median, scale.max(smallest)))
    }

    /// The anchor, in the feature's unit.
    #[must_use]
    pub const fn median(&self) -> f64 {
        self.median
    }

    /// One unit of `z`, in the feature's unit.
    #[must_use]
    pub const fn scale(&self) -> f64 {
        self.scale
    }

    /// The cell of a finite value, and the position inside it.
    #[must_use]
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "an index below CELLS and a position of 25 bits"
    )]
    pub fn locate(&self, x: f64) -> CellPosition {
        let z = (x - self.median) * self.inverse;
        let u = 1.0 + z.abs();
        let bits = u.to_bits();
        let step = ((bits >> 49) - FIRST) as usize;
        let saturated = step >= SIDE;
        let step = step.min(SIDE - 1);
        let inside = ((bits & MANTISSA_BELOW) + (1 << 24)) >> 25;
        let outward = if saturated {
            FULL_WIDTH
        } else {
            inside.cast_signed()
        };
        let cell = select_unpredictable(z < 0.0, SIDE - 1 - step, SIDE + step);
        CellPosition {
            cell,
            outward,
            saturated,
        }
    }

    /// The lower edge of cell `index`, in the feature's unit.
    ///
    /// `index` is in `0..=CELLS`; the last is the upper edge of the last cell.
    #[must_use]
    pub fn edge(&self, index: usize) -> f64 {
        self.median + self.scale * unit_edge(index)
    }

    /// The width of a cell in the feature's unit.
    #[must_use]
    pub fn width(&self, index: usize) -> f64 {
        self.scale * unit_width(index)
    }

    /// The mean of `count` values of a cell whose positions add up to `sum`, in the feature's unit.
    #[must_use]
    pub fn mean_in(&self, cell: usize, count: u64, sum: i64) -> f64 {
        let share = sum as f64 / (FULL_WIDTH as f64 * count.max(1) as f64);
        if cell >= SIDE {
            self.edge(cell) + self.width(cell) * share
        } else {
            self.edge(cell + 1) - self.width(cell) * share
        }
    }
}

/// Returns true if positions in this cell are measured from its lower edge, not from its upper
/// edge.
pub(crate) const fn is_upper_side(cell: usize) -> bool {
    cell >= SIDE
}

/// `|z|` at the inner edge of the `step`-th cell of a side: eighth `step % 8` of octave `step / 8`.
fn outward_distance(step: usize) -> f64 {
    let octave = (1_u64 << (step / 8)) as f64;
    octave * (1.0 + (step % 8) as f64 / 8.0) - 1.0
}

/// `z` at the lower edge of cell `index`, in `0..=CELLS`.
fn unit_edge(index: usize) -> f64 {
    match index.checked_sub(SIDE) {
        Some(step) => outward_distance(step),
        None => -outward_distance(SIDE - index),
    }
}

/// Width of a cell in units of `z`: an eighth of its octave.
fn unit_width(cell: usize) -> f64 {
    let step = if cell >= SIDE {
        cell - SIDE
    } else {
        SIDE - 1 - cell
    };
    (1_u64 << (step / 8)) as f64 / 8.0
}

/// A run of neighbouring cells as a pane stores it, from the first to the last touched cell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CellRun {
    /// Index of the cell of the first entry.
    pub first: u16,
    /// Values per cell.
    pub counts: Vec<u32>,
    /// Sums of positions per cell; as long as `counts`.
    pub sums: Vec<i64>,
}

/// Counts and sums of positions of every cell, stored from the first to the last touched one.
///
/// A feature touches 40 to 60 neighbouring cells of 384, and a reference by hour of the week holds
/// 168 of these for each feature.
///
/// Serialised as a list of cell, count and sum for each cell that holds a value.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(into = "Vec<(u16, u64, i64)>", from = "Vec<(u16, u64, i64)>")]
pub struct CellCounts {
    /// Index of the cell of the first entry.
    first: usize,
    counts: Vec<u64>,
    sums: Vec<i64>,
}

impl From<CellCounts> for Vec<(u16, u64, i64)> {
    /// Cell, count and sum of every cell that holds a value.
    fn from(cells: CellCounts) -> Self {
        cells
            .touched()
            .filter(|cell| cells.count(*cell) > 0)
            .map(|cell| {
                let index = u16::try_from(cell).unwrap_or(u16::MAX);
                (index, cells.count(cell), cells.sum(cell))
            })
            .collect()
    }
}

impl From<Vec<(u16, u64, i64)>> for CellCounts {
    fn from(entries: Vec<(u16, u64, i64)>) -> Self {
        let mut cells = CellCounts::default();
        for (cell, count, sum) in entries {
            cells.add(usize::from(cell), count, sum);
        }
        cells.counts.shrink_to_fit();
        cells.sums.shrink_to_fit();
        cells
    }
}

impl CellCounts {
    /// Counts one value.
    pub fn record(&mut self, position: CellPosition) {
        self.add(position.cell, 1, position.outward);
    }

    /// Adds `count` values of `cell` whose positions add up to `sum`.
    ///
    /// A cell outside `0..CELLS` is ignored.
    #[inline]
    pub fn add(&mut self, cell: usize, count: u64, sum: i64) {
        if cell >= CELLS || count == 0 {
            return;
        }
        self.cover(cell..cell + 1);
        self.counts[cell - self.first] += count;
        self.sums[cell - self.first] += sum;
    }

    /// Adds the run of a pane, which begins and ends with a cell that holds values.
    pub fn merge_run(&mut self, run: &CellRun) {
        let first = usize::from(run.first);
        if run.counts.is_empty() || first + run.counts.len() > CELLS {
            return;
        }
        self.cover(first..first + run.counts.len());
        let offset = first - self.first;
        self.counts[offset..]
            .iter_mut()
            .zip(&run.counts)
            .for_each(|(total, count)| *total += u64::from(*count));
        self.sums[offset..]
            .iter_mut()
            .zip(&run.sums)
            .for_each(|(total, sum)| *total += *sum);
    }

    /// Subtracts the run of a pane that was added before; the touched range stays.
    pub fn subtract_run(&mut self, run: &CellRun) {
        let first = usize::from(run.first);
        if run.counts.is_empty() || first + run.counts.len() > CELLS {
            return;
        }
        let offset = first - self.first;
        self.counts[offset..]
            .iter_mut()
            .zip(&run.counts)
            .for_each(|(total, count)| *total -= u64::from(*count));
        self.sums[offset..]
            .iter_mut()
            .zip(&run.sums)
            .for_each(|(total, sum)| *total -= *sum);
    }

    /// A copy that begins and ends with a cell that holds values, as if only its values had been
    /// added.
    #[must_use]
    pub fn trimmed(&self) -> Self {
        let is_occupied = |count: &u64| *count > 0;
        let (Some(first), Some(last)) = (
            self.counts.iter().position(is_occupied),
            self.counts.iter().rposition(is_occupied),
        ) else {
            return CellCounts::default();
        };
        CellCounts {
            first: self.first + first,
            counts: self.counts[first..=last].to_vec(),
            sums: self.sums[first..=last].to_vec(),
        }
    }

    /// Adds the counts of other values.
    pub fn merge(&mut self, other: &Self) {
        for cell in other.touched() {
            self.add(cell, other.count(cell), other.sum(cell));
        }
    }

    /// Subtracts counts that were added before; the touched range stays.
    pub fn subtract(&mut self, other: &Self) {
        for cell in other.touched().filter(|cell| other.count(*cell) > 0) {
            self.counts[cell - self.first] -= other.count(cell);
            self.sums[cell - self.first] -= other.sum(cell);
        }
    }

    /// Resets all counts to zero; the touched range stays.
    pub fn clear(&mut self) {
        self.counts.fill(0);
        self.sums.fill(0);
    }

    /// Grows the stored range until it contains `cells`.
    #[inline]
    fn cover(&mut self, cells: Range<usize>) {
        if cells.start < self.first || cells.end > self.first + self.counts.len() {
            self.grow(cells);
        }
    }

    #[cold]
    fn grow(&mut self, cells: Range<usize>) {
        if self.counts.is_empty() {
            self.first = cells.start;
        }
        let missing = self.first.saturating_sub(cells.start);
        if missing > 0 {
            self.counts.splice(..0, repeat_n(0, missing));
            self.sums.splice(..0, repeat_n(0, missing));
            self.first = cells.start;
        }
        let len = self.counts.len().max(cells.end - self.first);
        self.counts.resize(len, 0);
        self.sums.resize(len, 0);
    }

    /// Values in a cell.
    #[must_use]
    #[inline]
    pub fn count(&self, cell: usize) -> u64 {
        self.counts
            .get(cell.wrapping_sub(self.first))
            .copied()
            .unwrap_or(0)
    }

    /// Sum of the positions in a cell.
    #[must_use]
    #[inline]
    pub fn sum(&self, cell: usize) -> i64 {
        self.sums
            .get(cell.wrapping_sub(self.first))
            .copied()
            .unwrap_or(0)
    }

    /// The range outside which every cell is empty; empty when nothing was counted.
    #[must_use]
    pub fn touched(&self) -> Range<usize> {
        self.first..self.first + self.counts.len()
    }

    /// Number of values counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The value below which `share` (clamped to 0..=1) of the counted values lie.
    ///
    /// Inside a cell, the values are taken as spread evenly around their mean, as far as the nearer
    /// edge. So the result is exact to the width of a cell, and exact where all values of a cell
    /// are equal and the quantile is in their middle; far from the anchor a cell is wide, and a
    /// spread over the whole cell would report values that nobody sent. `None` when nothing was
    /// counted.
    #[must_use]
    pub fn quantile(&self, scale: &CellScale, share: f64) -> Option<f64> {
        let total = self.total();
        let mut remaining = share.clamp(0.0, 1.0) * total as f64;
        for cell in self.touched() {
            let count = self.count(cell) as f64;
            if count > 0.0 && remaining <= count {
                let mean = scale.mean_in(cell, self.count(cell), self.sum(cell));
                let reach = (mean - scale.edge(cell)).min(scale.edge(cell + 1) - mean);
                return Some(mean + reach.max(0.0) * (2.0 * remaining / count - 1.0));
            }
            remaining -= count;
        }
        self.touched().last().map(|cell| scale.edge(cell + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unit() -> CellScale {
        CellScale::try_new(0.0, 1.0).unwrap()
    }

    #[test]
    fn edges_ascend_and_are_mirrored_at_the_anchor() {
        let scale = unit();
        let edges: Vec<f64> = (0..=CELLS).map(|i| scale.edge(i)).collect();
        assert!(edges.is_sorted_by(|a, b| a < b), "ascending");
        assert!(
            edges
                .iter()
                .zip(edges.iter().rev())
                .all(|(a, b)| (a + b).abs() <= 0.0),
            "mirrored"
        );
        assert_eq!(
            edges[CELLS].to_bits(),
            (f64::from(1 << 24) - 1.0).to_bits(),
            "2^24 scales"
        );
    }

    #[test]
    fn a_value_beyond_the_last_cell_saturates_at_its_outer_edge() {
        let check = |x: f64, cell: usize| {
            assert_eq!(
                unit().locate(x),
                CellPosition {
                    cell,
                    outward: FULL_WIDTH,
                    saturated: true
                },
                "{x}"
            );
        };
        check(1e300, CELLS - 1);
        check(-1e300, 0);
        check(f64::MAX, CELLS - 1);
        check(f64::from(1 << 24), CELLS - 1);
    }

    #[test]
    fn the_scale_falls_back_when_quartiles_coincide() {
        let check = |sorted: &[f64], std: f64, expected: f64| {
            let scale = CellScale::fit(sorted, std).unwrap().scale();
            assert!(
                (scale / expected - 1.0).abs() < 1e-12,
                "scale of {sorted:?}: {scale}"
            );
        };
        check(&[0.0, 1.0, 2.0, 3.0, 4.0], 1.0, 2.0 / 1.35);
        check(&[0.0, 5.0, 5.0, 5.0, 9.0], 2.5, 2.5);
        check(&[5.0; 4], 0.0, 0.005);
        check(&[0.0; 4], 0.0, 1.0);
        check(&[5e-324; 4], 0.0, 1.0);
    }

    #[test]
    fn the_scale_covers_the_body_where_most_values_are_nearly_equal() {
        // 80 % of a score at 1e-9 and the rest in 0.2..0.5: all that matters was in the outermost
        // cell, and Wasserstein was 2,000 times too small.
        let mut xs: Vec<f64> = (0..800).map(|i| 1e-9 + f64::from(i) * 1e-13).collect();
        xs.extend((0..200).map(|i| 0.2 + f64::from(i) * 0.0015));
        let scale = CellScale::fit(&xs, 0.15).unwrap();
        let is_saturated = |xs: &[f64]| xs.iter().any(|x| scale.locate(*x).saturated);
        assert!(!is_saturated(&xs), "scale {}", scale.scale());
        assert!(!is_saturated(&[50.0]), "a hundred times the range");
    }

    #[test]
    fn an_infinite_z_saturates_instead_of_overflowing_the_index() {
        let scale = CellScale::try_new(-1e308, 1e-300).unwrap();
        assert!(scale.locate(1e308).saturated, "infinite z saturates");
    }

    /// A reference by hour of the week took 3.5 MB for each feature, 6 KB for each hour.
    #[test]
    fn only_touched_cells_take_memory() {
        let scale = CellScale::try_new(0.0, 1.0).unwrap();
        let mut cells = CellCounts::default();
        (-30..30).for_each(|i| cells.record(scale.locate(f64::from(i) / 10.0)));
        let entries: Vec<(u16, u64, i64)> = cells.clone().into();
        let restored = CellCounts::from(entries);
        assert_eq!(restored, cells);
        assert_eq!(restored.counts.capacity(), cells.touched().len());
        assert!(cells.touched().len() <= 40, "{:?}", cells.touched());
    }

    proptest! {
        #[test]
        fn a_value_lies_between_the_edges_of_its_cell(
            x in -1e7..1e7f64, median in -1e6..1e6f64, scale in 1e-3..1e3f64,
        ) {
            let cells = CellScale::try_new(median, scale).unwrap();
            let CellPosition { cell, outward, saturated } = cells.locate(x);
            prop_assume!(!saturated);
            let slack = 1e-9 * (x.abs() + median.abs() + scale);
            prop_assert!(cells.edge(cell) - slack <= x && x <= cells.edge(cell + 1) + slack);
            let back = cells.mean_in(cell, 1, outward);
            let resolution = cells.width(cell) / f64::from(1 << 24);
            prop_assert!((back - x).abs() <= resolution + slack, "{} for {}", back, x);
        }

        #[test]
        fn merging_is_plain_addition_in_any_order(
            xs in proptest::collection::vec(-1e5..1e5f64, 0..200), cut in 0..200usize,
        ) {
            let scale = unit();
            let count = |xs: &[f64]| {
                let mut cells = CellCounts::default();
                xs.iter().for_each(|x| cells.record(scale.locate(*x)));
                cells
            };
            let cut = cut.min(xs.len());
            let mut backwards = count(&xs[cut..]);
            let front = count(&xs[..cut]);
            for cell in front.touched() {
                backwards.add(cell, front.count(cell), front.sum(cell));
            }
            prop_assert_eq!(backwards, count(&xs));
        }
    }
}

//! Cells: where values lie on an anchored log-linear scale, for the question "how far".
//!
//! A value `x` becomes `z = (x - median) / scale` and `u = 1 + |z|`. The cell is a few top bits of `u`: 8 cells per octave, 24 octaves to each side of
//! the anchor, so a normal feature touches 40-60 neighbouring cells, a shift of 1,000 scales is still resolved to 9 %, and there is no search. Each
//! cell holds a count and the sum of the values' places inside it in fixed point (2^24 per width). Integers make merging and subtracting exact, and the
//! result independent of the order of partitions, bit for bit; the place makes the integral over a cell exact although the cell is wide.
//!
//! A sum of plain `z` would overflow after half a million far values, and floating sums depend on their order; hence places.
//!
//! Values beyond 2^24 scales go to the outermost cell at its outer edge and are counted as saturated: distances are then lower bounds and say so.

use std::hint::select_unpredictable;

use super::quantile_sorted;

/// Cells on both sides of the anchor.
pub const CELLS: usize = 2 * SIDE;
const SIDE: usize = 8 * 24;
/// `1.0_f64`'s exponent and three mantissa bits: the first cell of a side.
const FIRST: u64 = 1023 << 3;
const MANTISSA_BELOW: u64 = (1 << 49) - 1;
/// The place of a value at the outward edge of its cell.
pub const FULL_WIDTH: i64 = 1 << 24;

/// What the scale was taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScaleBasis {
    /// Interquartile range / 1.35, the standard deviation of a normal distribution.
    Quartiles,
    /// The standard deviation, where the quartiles coincide.
    Deviation,
    /// A thousandth of the median, where all values coincide.
    Median,
    /// One, where all values are zero.
    Unit,
}

/// The anchor and scale of a feature's cells; frozen with the reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CellScale {
    median: f64,
    scale: f64,
    inverse: f64,
}

/// Where a value lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellPosition {
    /// In `0..CELLS`, ascending in the value.
    pub cell: usize,
    /// Distance from the cell's edge on the anchor's side, in `0..=FULL_WIDTH`.
    pub outward: i64,
    /// Whether the value lies beyond the last cell.
    pub saturated: bool,
}

impl CellScale {
    /// Cells around `median`, `scale` wide at the anchor; both finite, `scale` positive and not so small that its inverse overflows.
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

    /// Cells fitted to a sample in ascending order with standard deviation `std`; `None` for an empty sample.
    #[must_use]
    pub fn fit(sorted: &[f64], std: f64) -> Option<(Self, ScaleBasis)> {
        if sorted.is_empty() {
            return None;
        }
        let [low, median, high] = [0.25, 0.5, 0.75].map(|share| quantile_sorted(sorted, share));
        let candidates = [
            ((high - low) / 1.35, ScaleBasis::Quartiles),
            (std, ScaleBasis::Deviation),
            (median.abs() * 1e-3, ScaleBasis::Median),
            (1.0, ScaleBasis::Unit),
        ];
        candidates
            .into_iter()
            .find_map(|(scale, basis)| Some((Self::try_new(median, scale)?, basis)))
    }

    /// The anchor.
    #[must_use]
    pub const fn median(&self) -> f64 {
        self.median
    }

    /// The width of one scale unit.
    #[must_use]
    pub const fn scale(&self) -> f64 {
        self.scale
    }

    /// Where a finite value lies.
    #[must_use]
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "an index below CELLS and a place of 25 bits"
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

    /// The lower edge of cell `index` in the feature's unit, for `0..=CELLS` (the last is the upper edge of the last cell).
    #[must_use]
    pub fn edge(&self, index: usize) -> f64 {
        self.median + self.scale * unit_edge(index)
    }

    /// The width of a cell in the feature's unit.
    #[must_use]
    pub fn width(&self, index: usize) -> f64 {
        self.scale * unit_width(index)
    }

    /// The mean of `count` values of a cell whose places add up to `sum`.
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

/// Whether places in this cell are measured upwards (from the lower edge) or downwards.
pub(crate) const fn is_upper_side(cell: usize) -> bool {
    cell >= SIDE
}

/// `|z|` at the inner edge of the `step`-th cell of a side: octave `step / 8`, eighth `step % 8`.
fn outward_distance(step: usize) -> f64 {
    let octave = (1_u64 << (step / 8)) as f64;
    octave * (1.0 + (step % 8) as f64 / 8.0) - 1.0
}

fn unit_edge(index: usize) -> f64 {
    match index.checked_sub(SIDE) {
        Some(step) => outward_distance(step),
        None => -outward_distance(SIDE - index),
    }
}

fn unit_width(cell: usize) -> f64 {
    let step = if cell >= SIDE {
        cell - SIDE
    } else {
        SIDE - 1 - cell
    };
    (1_u64 << (step / 8)) as f64 / 8.0
}

/// A run of neighbouring cells as a pane stores it: from the first to the last touched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CellRun {
    /// The cell of the first entry.
    pub first: u16,
    /// Values per cell.
    pub counts: Vec<u32>,
    /// Sums of places per cell; as long as `counts`.
    pub sums: Vec<i64>,
}

/// Counts and sums of places of every cell, with the touched range; written as that range alone.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(into = "Vec<(u16, u64, i64)>", from = "Vec<(u16, u64, i64)>")]
pub struct CellCounts {
    counts: Vec<u64>,
    sums: Vec<i64>,
    touched: (usize, usize),
}

impl Default for CellCounts {
    fn default() -> Self {
        CellCounts {
            counts: vec![0; CELLS],
            sums: vec![0; CELLS],
            touched: (CELLS, 0),
        }
    }
}

impl From<CellCounts> for Vec<(u16, u64, i64)> {
    /// Cell, count and sum of every cell that holds something.
    fn from(cells: CellCounts) -> Self {
        let entry = |cell: usize| {
            let place = u16::try_from(cell).unwrap_or(u16::MAX);
            (place, cells.counts[cell], cells.sums[cell])
        };
        let occupied = cells.touched().filter(|cell| cells.counts[*cell] > 0);
        occupied.map(entry).collect()
    }
}

impl From<Vec<(u16, u64, i64)>> for CellCounts {
    fn from(entries: Vec<(u16, u64, i64)>) -> Self {
        let mut cells = CellCounts::default();
        for (cell, count, sum) in entries {
            cells.add(usize::from(cell), count, sum);
        }
        cells
    }
}

impl CellCounts {
    /// Counts one value.
    pub fn record(&mut self, place: CellPosition) {
        self.add(place.cell, 1, place.outward);
    }

    /// Adds `count` values of `cell` whose places add up to `sum`; a cell outside `0..CELLS` is ignored.
    pub fn add(&mut self, cell: usize, count: u64, sum: i64) {
        if cell >= CELLS || count == 0 {
            return;
        }
        self.counts[cell] += count;
        self.sums[cell] += sum;
        self.touched = (self.touched.0.min(cell), self.touched.1.max(cell + 1));
    }

    /// Adds a pane's run.
    pub fn merge_run(&mut self, run: &CellRun) {
        for (i, (count, sum)) in run.counts.iter().zip(&run.sums).enumerate() {
            self.add(usize::from(run.first) + i, u64::from(*count), *sum);
        }
    }

    /// Takes away what was added before; the touched range stays.
    pub fn subtract(&mut self, other: &CellCounts) {
        for cell in other.touched() {
            self.counts[cell] -= other.counts[cell];
            self.sums[cell] -= other.sums[cell];
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        let (from, to) = self.touched;
        if from < to {
            self.counts[from..to].fill(0);
            self.sums[from..to].fill(0);
        }
        self.touched = (CELLS, 0);
    }

    /// Values per cell; `CELLS` long.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Sums of places per cell; `CELLS` long.
    #[must_use]
    pub fn sums(&self) -> &[i64] {
        &self.sums
    }

    /// The cells that may hold something, as `from..to`; empty when nothing was counted.
    #[must_use]
    pub fn touched(&self) -> std::ops::Range<usize> {
        if self.touched.0 < self.touched.1 {
            self.touched.0..self.touched.1
        } else {
            0..0
        }
    }

    /// Values counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts[self.touched()].iter().sum()
    }

    /// The value below which `share` of the counted values lie, interpolated linearly inside its cell; `None` when nothing was counted.
    #[must_use]
    pub fn quantile(&self, scale: &CellScale, share: f64) -> Option<f64> {
        let total = self.total();
        let mut wanted = share.clamp(0.0, 1.0) * total as f64;
        for cell in self.touched() {
            let count = self.counts[cell] as f64;
            if count > 0.0 && wanted <= count {
                return Some(scale.edge(cell) + scale.width(cell) * (wanted / count));
            }
            wanted -= count;
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
            let place = unit().locate(x);
            assert_eq!(
                place,
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
        let check = |sorted: &[f64], std: f64, expected: f64, basis: ScaleBasis| {
            let (scale, found) = CellScale::fit(sorted, std).unwrap();
            assert_eq!(
                (scale.scale(), found),
                (expected, basis),
                "scale of {sorted:?}"
            );
        };
        check(
            &[0.0, 1.0, 2.0, 3.0, 4.0],
            1.0,
            2.0 / 1.35,
            ScaleBasis::Quartiles,
        );
        check(&[0.0, 5.0, 5.0, 5.0, 9.0], 2.5, 2.5, ScaleBasis::Deviation);
        check(&[5.0; 4], 0.0, 0.005, ScaleBasis::Median);
        check(&[0.0; 4], 0.0, 1.0, ScaleBasis::Unit);
        check(&[5e-324; 4], 0.0, 1.0, ScaleBasis::Unit);
    }

    #[test]
    fn a_median_whose_values_are_far_apart_does_not_overflow_the_index() {
        let scale = CellScale::try_new(-1e308, 1e-300).unwrap();
        assert!(scale.locate(1e308).saturated, "infinite z saturates");
    }

    proptest! {
        #[test]
        fn a_value_lies_between_its_cells_edges(x in -1e7..1e7f64, median in -1e6..1e6f64, scale in 1e-3..1e3f64) {
            let cells = CellScale::try_new(median, scale).unwrap();
            let place = cells.locate(x);
            prop_assume!(!place.saturated);
            let slack = 1e-9 * (x.abs() + median.abs() + scale);
            prop_assert!(cells.edge(place.cell) - slack <= x && x <= cells.edge(place.cell + 1) + slack);
            let back = cells.mean_in(place.cell, 1, place.outward);
            prop_assert!((back - x).abs() <= cells.width(place.cell) / f64::from(1 << 24) + slack, "{} for {}", back, x);
        }

        #[test]
        fn merging_is_plain_addition_in_any_order(xs in proptest::collection::vec(-1e5..1e5f64, 0..200), cut in 0..200usize) {
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
                backwards.add(cell, front.counts()[cell], front.sums()[cell]);
            }
            prop_assert_eq!(backwards, count(&xs));
        }
    }
}

//! Distances that use the order of values: Wasserstein-1 and Kolmogorov-Smirnov, from cells.
//!
//! `W1 = integral |F - G| dx` with the cumulative shares `F` of the current and `G` of the
//! reference (Vallender 1974). For a cell of width `w` with upper edge `b`,
//! `integral F dx = w F(below) + sum (b - x) / n` over the values `x` of the cell. The second term
//! follows from the sum of positions. So the integral of `F - G` over a cell is known to 2^-24 of a
//! width, the resolution of the fixed point. The sum of its absolute values is W1 exactly where
//! `F - G` keeps its sign inside a cell, and otherwise a lower bound within the cell's width.
//! Counts alone are not enough: 64 quantile bins with interpolation are off by 10 % to 220 times.

use std::ops::Range;

use super::cells::{CellCounts, CellScale, FULL_WIDTH, is_upper_side};

/// Distances between two distributions over the same cells.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Transport {
    /// Wasserstein-1 in the feature's unit; never negative.
    pub wasserstein: f64,
    /// The part of `wasserstein` outside the reference's range of cells, in the feature's unit.
    pub beyond_reference: f64,
    /// The part of `wasserstein` inside the body, in the feature's unit.
    ///
    /// This is the distance of the two distributions clipped at the body's edges: clipping moves
    /// mass to the clips and changes nothing between them.
    pub body: f64,
    /// Kolmogorov-Smirnov statistic over cell edges, 0..=1: the largest `|F - G|`.
    ///
    /// A lower bound of the statistic over all values.
    pub ks: f64,
}

/// Distances between `current` and `reference`, which are counted in cells of the same `scale`.
///
/// `body` is the range of cells of the reference's body. All distances are 0 when either side is
/// empty. Saturated values count at the outer edge, so with them the distances are lower bounds.
#[must_use]
pub fn transport(
    current: &CellCounts,
    reference: &CellCounts,
    scale: &CellScale,
    body: &Range<usize>,
) -> Transport {
    let (current_cells, reference_cells) = (current.touched(), reference.touched());
    if current_cells.is_empty() || reference_cells.is_empty() {
        return Transport::default();
    }
    let mut walk = Walk::new(current, reference);
    let mut result = Transport::default();
    for cell in union(&current_cells, &reference_cells) {
        let moved = scale.width(cell) * walk.step(cell).abs();
        result.wasserstein += moved;
        if !reference_cells.contains(&cell) {
            result.beyond_reference += moved;
        }
        if body.contains(&cell) {
            result.body += moved;
        }
        result.ks = result
            .ks
            .max((walk.current_share - walk.reference_share).abs());
    }
    result
}

/// The smallest range that contains both ranges.
fn union(a: &Range<usize>, b: &Range<usize>) -> Range<usize> {
    a.start.min(b.start)..a.end.max(b.end)
}

/// A walk through the cells from the lowest to the highest.
struct Walk<'a> {
    current: &'a CellCounts,
    reference: &'a CellCounts,
    /// The share of one value, on each side.
    per_value: (f64, f64),
    /// Values in the cells passed so far, on each side.
    counted: (u64, u64),
    /// `F` at the upper edge of the cell passed last.
    current_share: f64,
    /// `G` at the upper edge of the cell passed last.
    reference_share: f64,
}

impl<'a> Walk<'a> {
    fn new(current: &'a CellCounts, reference: &'a CellCounts) -> Self {
        let per_value = (1.0 / current.total() as f64, 1.0 / reference.total() as f64);
        Walk {
            current,
            reference,
            per_value,
            counted: (0, 0),
            current_share: 0.0,
            reference_share: 0.0,
        }
    }

    /// Passes one cell; returns the integral of `F - G` over it, in widths of the cell.
    fn step(&mut self, cell: usize) -> f64 {
        let (n, m) = (self.current.count(cell), self.reference.count(cell));
        let below = self.current_share - self.reference_share;
        let inside = rise(cell, n, self.current.sum(cell)) * self.per_value.0
            - rise(cell, m, self.reference.sum(cell)) * self.per_value.1;
        self.counted = (self.counted.0 + n, self.counted.1 + m);
        self.current_share = self.counted.0 as f64 * self.per_value.0;
        self.reference_share = self.counted.1 as f64 * self.per_value.1;
        below + inside
    }
}

/// Sum of `(b - x) / w` over the values of a cell with upper edge `b` and width `w`.
///
/// `sum` adds up the distances from the inner edge in fixed point: from the lower edge above the
/// anchor, from the upper edge below it.
fn rise(cell: usize, count: u64, sum: i64) -> f64 {
    let positions = sum as f64 / FULL_WIDTH as f64;
    if is_upper_side(cell) {
        count as f64 - positions
    } else {
        positions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::CELLS;
    use proptest::prelude::*;

    fn counted(scale: &CellScale, xs: impl IntoIterator<Item = f64>) -> CellCounts {
        let mut cells = CellCounts::default();
        xs.into_iter().for_each(|x| cells.record(scale.locate(x)));
        cells
    }

    #[test]
    fn the_distance_of_a_shift_is_the_shift() {
        let scale = CellScale::try_new(0.0, 1.0).unwrap();
        let base: Vec<f64> = (0..1000).map(|i| f64::from(i) / 250.0 - 2.0).collect();
        let reference = counted(&scale, base.iter().copied());
        for shift in [0.0, 0.3, 5.0, 100.0, 1000.0, 1e6] {
            let moved = counted(&scale, base.iter().map(|x| x + shift));
            let w1 = transport(&moved, &reference, &scale, &(0..CELLS)).wasserstein;
            assert!(
                (w1 - shift).abs() <= 1e-3 * shift + 1e-9,
                "shift {shift}: {w1}"
            );
        }
    }

    #[test]
    fn agrees_with_scipy_on_a_small_sample() {
        // scipy 1.17: scipy.stats.wasserstein_distance([0, 1, 3], [5, 6, 8]) = 5.0;
        // scipy.stats.ks_2samp of the same = 1.0
        let scale = CellScale::try_new(2.0, 2.0).unwrap();
        let p = counted(&scale, [5.0, 6.0, 8.0]);
        let q = counted(&scale, [0.0, 1.0, 3.0]);
        let distances = transport(&p, &q, &scale, &(0..CELLS));
        let w1 = distances.wasserstein;
        assert!((w1 - 5.0).abs() < 1e-6, "w1 {w1}");
        assert!((distances.ks - 1.0).abs() < 1e-12, "ks {}", distances.ks);
    }

    #[test]
    fn an_outlier_shows_as_mass_beyond_the_reference() {
        let scale = CellScale::try_new(0.0, 1.0).unwrap();
        let base: Vec<f64> = (0..1000).map(|i| f64::from(i) / 250.0 - 2.0).collect();
        let reference = counted(&scale, base.iter().copied());
        let with = counted(&scale, base.iter().copied().chain([1e6]));
        let distances = transport(&with, &reference, &scale, &(0..CELLS));
        assert!(
            distances.beyond_reference > 0.99 * distances.wasserstein,
            "{distances:?}"
        );
    }

    proptest! {
        #[test]
        fn never_above_the_exact_distance_and_symmetric(
            a in proptest::collection::vec(-100.0..100.0f64, 1..60),
            b in proptest::collection::vec(-100.0..100.0f64, 1..60),
        ) {
            let scale = CellScale::try_new(3.0, 7.0).unwrap();
            let (p, q) = (counted(&scale, a.iter().copied()), counted(&scale, b.iter().copied()));
            let distances = transport(&p, &q, &scale, &(0..CELLS));
            let (w1, exact) = (distances.wasserstein, exact_w1(&a, &b));
            prop_assert!(w1 <= exact + 1e-5 * (1.0 + exact), "{} above {}", w1, exact);
            let back = transport(&q, &p, &scale, &(0..CELLS));
            prop_assert!((w1 - back.wasserstein).abs() < 1e-9);
            prop_assert!((0.0..=1.0 + 1e-12).contains(&distances.ks));
        }
    }

    fn exact_w1(a: &[f64], b: &[f64]) -> f64 {
        let mut merged: Vec<f64> = a.iter().chain(b).copied().collect();
        merged.sort_by(f64::total_cmp);
        let share =
            |xs: &[f64], at: f64| xs.iter().filter(|x| **x <= at).count() as f64 / xs.len() as f64;
        merged
            .windows(2)
            .map(|w| (w[1] - w[0]) * (share(a, w[0]) - share(b, w[0])).abs())
            .sum()
    }
}

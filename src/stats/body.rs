//! The body of a numeric reference: the values between its 0.1 % and its 99.9 % quantile.
//!
//! One value of 1e6 among ten thousand moves Wasserstein-1 by 33 standard deviations, so the raw
//! distance has no useful threshold. Clipped at two quantiles of the reference it has one, and
//! values times 10, 100, 1000, divided by 1000, or shifted by 0.3 standard deviations still exceed
//! it. The out-of-range rate watches the values beyond. Clipping at the smallest and largest value
//! would let one outlier in the *reference* hide every shift.
//!
//! The clips are the outward edges of the cells that contain the two quantiles, so that the clipped
//! distance can be computed from cells.

use std::ops::Range;

use super::cells::{CellCounts, CellScale};

/// The share of the reference beyond the body on each side.
const BEYOND: f64 = 0.001;

/// The cells of a reference's body, and the standard deviation inside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// The cells between the clips.
    pub cells: Range<usize>,
    /// Standard deviation of the clipped reference (divisor `n`), in the feature's unit.
    ///
    /// Each cell's values are taken at their mean. 1 where the reference has no variance.
    pub std: f64,
    /// The largest distance that a window can have from the body: that of a window with all values
    /// at one clip, in the feature's unit.
    pub reach: f64,
}

impl Body {
    /// The cells of `reference` from the one that holds the quantile `beyond` to the one that holds
    /// the quantile `1 - beyond`; `beyond` is in 0..0.5.
    #[must_use]
    pub fn central_cells(reference: &CellCounts, beyond: f64) -> Range<usize> {
        let total = reference.total() as f64;
        let first = cell_of_rank(reference, beyond * total);
        first..cell_of_rank(reference, (1.0 - beyond) * total) + 1
    }

    /// The body of `reference`, which is counted in cells of `scale`.
    #[must_use]
    pub fn of(reference: &CellCounts, scale: &CellScale) -> Self {
        let cells = Self::central_cells(reference, BEYOND);
        let (low, high) = (scale.edge(cells.start), scale.edge(cells.end));
        let clipped: Vec<(f64, f64)> = reference
            .touched()
            .filter_map(|cell| {
                let count = reference.count(cell);
                (count > 0).then(|| {
                    let mean = scale.mean_in(cell, count, reference.sum(cell));
                    (count as f64, mean.clamp(low, high))
                })
            })
            .collect();
        let mean = mean(&clipped);
        Body {
            cells,
            std: standard_deviation(&clipped),
            reach: (mean - low).max(high - mean),
        }
    }
}

/// The first cell at which the cumulative count reaches `rank`, else the last touched cell.
fn cell_of_rank(reference: &CellCounts, rank: f64) -> usize {
    let mut cumulative = 0.0;
    reference
        .touched()
        .find(|cell| {
            cumulative += reference.count(*cell) as f64;
            cumulative >= rank && cumulative > 0.0
        })
        .or(reference.touched().last())
        .unwrap_or(0)
}

/// Mean of pairs of count and value.
fn mean(counted: &[(f64, f64)]) -> f64 {
    let n: f64 = counted.iter().map(|(count, _)| count).sum();
    counted.iter().map(|(count, x)| count * x).sum::<f64>() / n
}

/// Standard deviation of pairs of count and value; 1 where they have no finite, positive one.
fn standard_deviation(counted: &[(f64, f64)]) -> f64 {
    let n: f64 = counted.iter().map(|(count, _)| count).sum();
    let mean = mean(counted);
    let variance = counted
        .iter()
        .map(|(count, x)| count * (x - mean).powi(2))
        .sum::<f64>()
        / n;
    let std = variance.sqrt();
    if counted.len() > 1 && std > 0.0 && std.is_finite() {
        std
    } else {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outlier_in_the_reference_does_not_widen_its_body() {
        let scale = CellScale::try_new(0.0, 1.0).unwrap();
        let mut cells = CellCounts::default();
        for i in 0..10_000 {
            cells.record(scale.locate(f64::from(i) / 2500.0 - 2.0));
        }
        let without = Body::of(&cells, &scale);
        cells.record(scale.locate(1e6));
        let with = Body::of(&cells, &scale);
        assert_eq!(without.cells, with.cells, "same clips");
        assert!((with.std / without.std - 1.0).abs() < 1e-3, "{with:?}");
        // A window with all values at one end of -2..2.
        assert!((without.reach / 2.0 - 1.0).abs() < 0.1, "{without:?}");
        // Uniform over four units: 4 / sqrt(12).
        assert!((without.std / 1.1547 - 1.0).abs() < 2e-3, "{without:?}");
    }

    #[test]
    fn a_constant_has_a_body_of_one_cell_and_a_standard_deviation_of_one() {
        let scale = CellScale::try_new(5.0, 0.005).unwrap();
        let mut cells = CellCounts::default();
        (0..100).for_each(|_| cells.record(scale.locate(5.0)));
        let body = Body::of(&cells, &scale);
        assert_eq!(
            (body.cells.len(), body.std.to_bits()),
            (1, 1.0_f64.to_bits())
        );
    }
}

//! The body of a numeric reference: what lies between its 0.1 % and its 99.9 % quantile.
//!
//! One value of 1e6 among ten thousand moves Wasserstein-1 by 33 standard deviations, so a line over clean windows cannot be drawn for it. Clipped at two quantiles
//! of the reference it can, and x10, x100, x1000, /1000 and a shift of 0.3 deviations still stand out; what lies beyond is the business of the out-of-range
//! rate. Clipping at the smallest and largest value would let one outlier in the *reference* blind it.
//!
//! The clips are the outward edges of the cells that hold the two quantiles, so the clipped distance follows from cells.

use std::ops::Range;

use super::{CellCounts, CellScale};

const BEYOND: f64 = 0.001;

/// The cells of a reference's body and the spread inside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// The cells between the clips.
    pub cells: Range<usize>,
    /// Standard deviation of the clipped reference, in the feature's unit; 1 where it has none.
    pub std: f64,
}

impl Body {
    /// The body of what `reference` counts.
    #[must_use]
    pub fn of(reference: &CellCounts, scale: &CellScale) -> Self {
        let total = reference.total() as f64;
        let cells =
            holder(reference, BEYOND * total)..holder(reference, (1.0 - BEYOND) * total) + 1;
        let clipped = reference.touched().filter_map(|cell| {
            let count = reference.counts()[cell];
            (count > 0).then(|| {
                let mean = scale.mean_in(cell, count, reference.sums()[cell]);
                let (low, high) = (scale.edge(cells.start), scale.edge(cells.end));
                (count as f64, mean.clamp(low, high))
            })
        });
        let std = spread(&clipped.collect::<Vec<_>>());
        Body { cells, std }
    }
}

/// The cell at which `wanted` values are reached.
fn holder(reference: &CellCounts, wanted: f64) -> usize {
    let mut below = 0.0;
    let mut found = reference.touched();
    found
        .find(|cell| {
            below += reference.counts()[*cell] as f64;
            below >= wanted && below > 0.0
        })
        .or(reference.touched().last())
        .unwrap_or(0)
}

/// Standard deviation of counted values; 1 where they have none.
fn spread(counted: &[(f64, f64)]) -> f64 {
    let n: f64 = counted.iter().map(|(count, _)| count).sum();
    let mean = counted.iter().map(|(count, x)| count * x).sum::<f64>() / n;
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
        let clean = Body::of(&cells, &scale);
        cells.record(scale.locate(1e6));
        let with = Body::of(&cells, &scale);
        assert_eq!(clean.cells, with.cells, "same clips");
        assert!((with.std / clean.std - 1.0).abs() < 1e-3, "{with:?}");
        // Uniform over four units: 4 / sqrt(12).
        assert!((clean.std / 1.1547 - 1.0).abs() < 2e-3, "{clean:?}");
    }

    #[test]
    fn a_constant_has_a_body_of_one_cell_and_unit_spread() {
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

//! A weighted sum of counts, rounded to counts that add up.

use crate::stats::{CELLS, FULL_WIDTH, FeatureCounts, Tallies};

/// A weighted sum of counts of one feature.
pub(super) struct WeightedCounts {
    bins: Vec<f64>,
    cells: Vec<f64>,
    /// Sums of positions per cell.
    positions: Vec<f64>,
    missing: [f64; 3],
    invalid: [f64; 2],
    saturated: f64,
}

impl WeightedCounts {
    /// A sum of zero, for a layout of `bins` bins.
    pub(super) fn new(bins: usize) -> Self {
        WeightedCounts {
            bins: vec![0.0; bins],
            cells: vec![0.0; CELLS],
            positions: vec![0.0; CELLS],
            missing: [0.0; 3],
            invalid: [0.0; 2],
            saturated: 0.0,
        }
    }

    /// Adds `counts` times `weight`, which may be negative.
    pub(super) fn add(&mut self, counts: &FeatureCounts, weight: f64) {
        add_to(&mut self.bins, &counts.bins, weight);
        for cell in counts.cells.touched() {
            self.cells[cell] += counts.cells.count(cell) as f64 * weight;
            self.positions[cell] += counts.cells.sum(cell) as f64 * weight;
        }
        add_to(&mut self.missing, &counts.tallies.missing, weight);
        add_to(&mut self.invalid, &counts.tallies.invalid, weight);
        self.saturated += counts.tallies.saturated as f64 * weight;
    }

    /// Integer counts in these proportions; bins and cells both add up to `values`, rounded.
    pub(super) fn to_counts(&self, values: f64) -> FeatureCounts {
        let values = rounded(values);
        let mut counts = FeatureCounts {
            bins: apportioned(&self.bins, values),
            tallies: Tallies {
                values,
                missing: self.missing.map(rounded),
                invalid: self.invalid.map(rounded),
                saturated: rounded(self.saturated).min(values),
            },
            ..FeatureCounts::default()
        };
        if self.cells.iter().any(|count| *count > 0.0) {
            for (cell, count) in apportioned(&self.cells, values).into_iter().enumerate() {
                let mean = (self.positions[cell] / self.cells[cell]).clamp(0.0, FULL_WIDTH as f64);
                let sum = rounded(count as f64 * mean).cast_signed();
                counts.cells.add(cell, count, sum);
            }
        }
        counts
    }
}

fn add_to(sums: &mut [f64], counts: &[u64], weight: f64) {
    sums.iter_mut()
        .zip(counts)
        .for_each(|(sum, count)| *sum += *count as f64 * weight);
}

/// Integers in proportion to `shares` that add up to `total`; negative shares count as 0.
///
/// Each running sum is off by at most a half: the next entry gets what rounding takes from the
/// entry before it.
fn apportioned(shares: &[f64], total: u64) -> Vec<u64> {
    let sum: f64 = shares.iter().map(|share| share.max(0.0)).sum();
    let (mut cumulative, mut assigned) = (0.0, 0);
    shares
        .iter()
        .map(|share| {
            cumulative += share.max(0.0);
            let due = rounded(cumulative / sum * total as f64).min(total);
            let count = due - assigned;
            assigned = due;
            count
        })
        .collect()
}

/// The nearest integer; 0 for negative numbers.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are not negative and far below 2^53"
)]
fn rounded(count: f64) -> u64 {
    count.max(0.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rounded_counts_add_up_to_the_total(
            shares in proptest::collection::vec(0.0..10.0f64, 1..60), total in 0..5000u64,
        ) {
            prop_assume!(shares.iter().sum::<f64>() > 0.0);
            let counts = apportioned(&shares, total);
            prop_assert_eq!(counts.iter().sum::<u64>(), total);
            let sum: f64 = shares.iter().sum();
            for (count, share) in counts.iter().zip(&shares) {
                let exact = share / sum * total as f64;
                prop_assert!((*count as f64 - exact).abs() <= 1.0 + 1e-6);
            }
        }
    }
}

//! The rare values of a reference: at least the outer one per cent on each side of a numeric
//! feature, in whole cells, and the rarest categories of another.
//!
//! Their share shows whether events that hardly ever occur come in clusters. Values beyond the
//! reference are too rare for that.

use std::ops::Range;

use crate::reference::FeatureReference;
use crate::stats::{Body, FeatureCounts};

/// The share of the reference on each side of a numeric feature, and half of that of all rare
/// categories.
const SHARE: f64 = 0.01;

/// The places of the rare values in counts of the reference's layout.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum RareValues {
    /// Outside of these cells.
    OutsideCells(Range<usize>),
    /// In these bins, ascending.
    InBins(Vec<usize>),
}

impl RareValues {
    /// The rare values of `reference`.
    pub(super) fn of(reference: &FeatureReference) -> Self {
        if reference.layout.numeric().is_some() {
            let central = Body::central_cells(reference.cells(), SHARE);
            return RareValues::OutsideCells(central.start + 1..central.end.saturating_sub(1));
        }
        let counts = &reference.counts.bins;
        let mut bins: Vec<usize> = (0..counts.len()).collect();
        bins.sort_by_key(|bin| (counts[*bin], *bin));
        let most = 2.0 * SHARE * reference.counts.tallies.values as f64;
        let (mut sum, mut has_some) = (0, false);
        bins.retain(|bin| {
            sum += counts[*bin];
            let is_rare = sum as f64 <= most || !has_some;
            has_some |= counts[*bin] > 0;
            is_rare
        });
        bins.sort_unstable();
        RareValues::InBins(bins)
    }

    /// The number of rare values in `counts`.
    pub(super) fn count(&self, counts: &FeatureCounts) -> u64 {
        match self {
            RareValues::OutsideCells(central) => {
                let cells = counts.cells.touched();
                let outside = cells.filter(|cell| !central.contains(cell));
                outside.map(|cell| counts.cells.count(cell)).sum()
            }
            RareValues::InBins(bins) => bins.iter().filter_map(|bin| counts.bins.get(*bin)).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;
    use crate::reference::{Column, FitOptions, fit};

    fn share(reference: &FeatureReference) -> f64 {
        let rare = RareValues::of(reference).count(&reference.counts);
        rare as f64 / reference.counts.tallies.values as f64
    }

    #[test]
    fn a_few_per_cent_of_the_numbers_are_rare() {
        let column = Column {
            numbers: (0..10_000).map(|i| f64::from(i) / 2500.0 - 2.0).collect(),
            ..Column::default()
        };
        let reference = fit("x", Kind::Numeric, column, &FitOptions::default()).unwrap();
        let share = share(&reference);
        // Cells hold up to 7 % there.
        assert!((0.02..0.2).contains(&share), "{share}");
    }

    #[test]
    fn the_rarest_categories_are_rare() {
        let reference = |counts: &[(&str, u64)]| {
            let categories = counts.iter().map(|(name, count)| ((*name).into(), *count));
            let column = Column {
                categories: categories.collect(),
                ..Column::default()
            };
            fit("x", Kind::Categorical, column, &FitOptions::default()).unwrap()
        };
        let tailed = reference(&[("a", 900), ("b", 84), ("c", 10), ("d", 6)]);
        assert!((share(&tailed) - 0.016).abs() < 1e-12, "c and d");
        let flat = reference(&[("a", 600), ("b", 400)]);
        assert!((share(&flat) - 0.4).abs() < 1e-12, "the rarest, at least");
    }
}

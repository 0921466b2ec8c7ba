//! The posterior distribution of a rate, given the reference.

use crate::model::Statistic;
use crate::reference::FeatureReference;
use crate::stats::RateDistribution;

/// The posterior of a rate in the reference; `None` where the feature has no such rate.
///
/// - Missing: Jeffreys' posterior of missing events among all events.
/// - Invalid: Jeffreys' posterior of unusable values among all present ones.
/// - Unseen: `max(seen once, unseen, 1/2)` hits among the values. Categories that occur once
///   estimate the share of categories that do not occur at all (Good and Turing).
/// - Out of range: see [`out_of_range`].
pub(super) fn reference_rate(
    statistic: Statistic,
    reference: &FeatureReference,
) -> Option<RateDistribution> {
    let tallies = &reference.counts.tallies;
    let (values, events) = (tallies.values as f64, tallies.events() as f64);
    match statistic {
        Statistic::MissingRatio => RateDistribution::seen(tallies.missing_total() as f64, events),
        Statistic::InvalidRatio => {
            RateDistribution::seen(tallies.invalid_total() as f64, tallies.present() as f64)
        }
        Statistic::UnseenRatio if reference.can_have_unseen() => {
            let hits = (reference.expected_unseen() as f64).max(0.5);
            RateDistribution::try_new(hits + 0.5, (values - hits).max(0.0) + 0.5)
        }
        Statistic::OutOfRangeRatio => out_of_range(reference, values),
        _ => None,
    }
}

/// The posterior of values beyond the outer edges.
///
/// Fitted edges lie at the extremes of the sample: the share beyond one extreme of `m` values is
/// distributed as Beta(1, m), beyond both nearly as Beta(2, m). Given edges say nothing about that,
/// so the posterior then follows from the values that were seen beyond them.
fn out_of_range(reference: &FeatureReference, values: f64) -> Option<RateDistribution> {
    let layout = reference.layout.numeric()?;
    let (below, above) = reference.counts.out_of_range(&reference.layout);
    if reference.numbers?.edges_given || below + above > 0 {
        return RateDistribution::seen((below + above) as f64, values);
    }
    let guards = [layout.bins.has_lower_guard(), layout.bins.has_upper_guard()]
        .into_iter()
        .filter(|has_guard| *has_guard)
        .count();
    RateDistribution::try_new(guards as f64, values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BinsSpec, Kind};
    use crate::reference::{Column, FitOptions, fit};

    fn mean(statistic: Statistic, column: Column, bins: Option<BinsSpec>) -> Option<f64> {
        let kind = if column.numbers.is_empty() {
            Kind::Categorical
        } else {
            Kind::Numeric
        };
        let options = FitOptions {
            bins,
            ..FitOptions::default()
        };
        let reference = fit("x", kind, column, &options).unwrap();
        Some(reference_rate(statistic, &reference)?.mean())
    }

    #[test]
    fn two_of_a_sample_lie_beyond_fitted_edges_and_none_beyond_given_edges() {
        let numbers = || Column {
            numbers: (0..998).map(f64::from).collect(),
            ..Column::default()
        };
        let fitted = mean(Statistic::OutOfRangeRatio, numbers(), None).unwrap();
        assert!(
            (fitted - 2.0 / 1000.0).abs() < 1e-12,
            "Beta(2, 998) {fitted}"
        );
        let edges = BinsSpec::Edges(vec![0.0, 500.0, 2000.0]);
        let given = mean(Statistic::OutOfRangeRatio, numbers(), Some(edges)).unwrap();
        assert!(
            (given - 0.5 / 999.0).abs() < 1e-12,
            "Beta(1/2, 998.5) {given}"
        );
    }

    #[test]
    fn categories_that_occur_once_estimate_the_unseen() {
        let column = Column {
            categories: [("a", 94), ("b", 1), ("c", 1), ("d", 1), ("e", 2)]
                .into_iter()
                .map(|(name, count)| (name.into(), count))
                .collect(),
            ..Column::default()
        };
        let unseen = mean(Statistic::UnseenRatio, column, None).unwrap();
        assert!(
            (unseen - 3.5 / 100.0).abs() < 1e-12,
            "Beta(3.5, 96.5) {unseen}"
        );
    }
}

//! The same hours of the week as a reference, each hour shrunk towards the whole week.
//!
//! An hour with four weeks of data holds few values. So `prior` values of the week's distribution
//! are added to it: the posterior mean under a Dirichlet prior around the week, which is also the
//! centre of the hour's null distribution. `prior` measures how much hours resemble one another and
//! is estimated by the method of moments (Mosimann 1962). Hours that do not differ share all their
//! values; hours that differ clearly share nearly none.
//!
//! A window over several hours is compared with their mixture, in the proportions of the window's
//! own events, so that a change of volume alone is not drift.

use std::sync::Arc;

use super::feature_reference::FeatureReference;
use super::weighted_counts::WeightedCounts;
use crate::stats::FeatureCounts;

/// Counts of one feature by hour of the week, in one layout.
#[derive(Debug, Clone)]
pub struct HourMixture {
    week: Arc<FeatureReference>,
    hours: Arc<[FeatureCounts]>,
    /// Values of the week's distribution that are added to each hour; at least 1.
    prior: f64,
}

/// Counts by hour of the week, for example of a block; an hour occurs at most once.
pub type HourCounts = Vec<(u16, FeatureCounts)>;

impl HourMixture {
    /// Creates the hours of a feature whose whole week is `week`.
    #[must_use]
    pub fn new(week: Arc<FeatureReference>, hours: Arc<[FeatureCounts]>) -> Self {
        let prior = concentration(&week.counts, &hours);
        HourMixture { week, hours, prior }
    }

    /// The reference of the whole week.
    #[must_use]
    pub const fn week(&self) -> &Arc<FeatureReference> {
        &self.week
    }

    /// The number of values that were seen in an hour of the week.
    #[must_use]
    pub fn values_in(&self, hour: u16) -> u64 {
        self.hours
            .get(usize::from(hour))
            .map_or(0, |counts| counts.tallies.values)
    }

    /// The reference of a window with these events per hour, without the counts of `excluded`.
    ///
    /// With `w_h` the share of the window's events in hour `h`, `c_h` the counts of that hour, `W`
    /// the shares of the week and `n_h = |c_h| + prior`, its shares are
    /// `sum w_h (c_h + prior W) / n_h`, which is the mean of the hours' posteriors. Its number of
    /// values is `1 / sum (w_h^2 / n_h)`, which gives a sample of that size the same variance. It
    /// is at most the week's, because the hours share what the prior adds.
    ///
    /// `None` without events, or where fewer than one value is left.
    #[must_use]
    pub fn mixed(
        &self,
        events: &[(u16, u64)],
        excluded: &[(u16, FeatureCounts)],
    ) -> Option<FeatureReference> {
        let total: u64 = events.iter().map(|(_, events)| events).sum();
        let weight = |events: u64| events as f64 / total as f64;
        let counts_of = |hour: u16| self.hours.get(usize::from(hour));
        let excluded_of = |hour: u16| excluded.iter().filter(move |(out, _)| *out == hour);
        let excluded_values: u64 = excluded
            .iter()
            .map(|(_, counts)| counts.tallies.values)
            .sum();
        let week_values = self
            .week
            .counts
            .tallies
            .values
            .saturating_sub(excluded_values) as f64;
        let prior = self.prior.min(week_values);
        let values_of = |hour: u16| {
            let excluded: u64 = excluded_of(hour)
                .map(|(_, counts)| counts.tallies.values)
                .sum();
            let values = counts_of(hour).map_or(0, |counts| counts.tallies.values);
            values.saturating_sub(excluded) as f64 + prior
        };
        let occupied = || events.iter().filter(|(_, events)| *events > 0);
        // The values of the prior come from the same week for every hour, hence the limit.
        let values = occupied()
            .map(|(hour, events)| weight(*events).powi(2) / values_of(*hour))
            .sum::<f64>()
            .recip()
            .min(week_values);
        if !values.is_finite() || values < 1.0 {
            return None;
        }
        let mut mixture = WeightedCounts::new(self.week.counts.bins.len());
        let mut week_weight = 0.0;
        for (hour, events) in occupied() {
            let hour_weight = values * weight(*events) / values_of(*hour);
            counts_of(*hour)
                .into_iter()
                .for_each(|counts| mixture.add(counts, hour_weight));
            excluded_of(*hour).for_each(|(_, counts)| mixture.add(counts, -hour_weight));
            week_weight += hour_weight * prior / week_values;
        }
        mixture.add(&self.week.counts, week_weight);
        excluded
            .iter()
            .for_each(|(_, counts)| mixture.add(counts, -week_weight));
        Some(
            self.week
                .with_counts(mixture.to_counts(values), self.edges_given()),
        )
    }

    fn edges_given(&self) -> bool {
        self.week.numbers.is_some_and(|facts| facts.edges_given)
    }
}

/// The hour that holds at least half of the events; `None` where no hour does.
#[must_use]
pub fn dominant(events: &[(u16, u64)]) -> Option<u16> {
    let total: u64 = events.iter().map(|(_, events)| events).sum();
    let (hour, most) = events.iter().max_by_key(|(_, events)| *events)?;
    (2 * most >= total && total > 0).then_some(*hour)
}

/// The concentration of the hours around the week, in values; between 1 and the week's values.
///
/// `(K - 1) / D - 1` for `K` occupied bins, where `D` is Pearson's chi-square distance of the hours
/// from the week less its expectation `K - 1` for samples, per value. Hours that do not differ have
/// `D <= 0` and the week's values. Source: Mosimann, On the Compound Multinomial Distribution
/// (1962), method of moments.
fn concentration(week: &FeatureCounts, hours: &[FeatureCounts]) -> f64 {
    let week_values = week.tallies.values as f64;
    let occupied = week.bins.iter().filter(|count| **count > 0).count();
    let degrees_of_freedom = occupied.saturating_sub(1) as f64;
    let seen = || hours.iter().filter(|hour| hour.tallies.values > 0);
    let values: f64 = seen().map(|hour| hour.tallies.values as f64).sum();
    let beyond_chance = seen()
        .map(|hour| {
            let chi_square = hour
                .bins
                .iter()
                .zip(&week.bins)
                .filter(|(_, in_week)| **in_week > 0)
                .map(|(in_hour, in_week)| {
                    let expected = hour.tallies.values as f64 * *in_week as f64 / week_values;
                    (*in_hour as f64 - expected).powi(2) / expected
                })
                .sum::<f64>();
            chi_square - degrees_of_freedom
        })
        .sum::<f64>()
        / values.max(1.0);
    if beyond_chance <= 0.0 {
        return week_values.max(1.0);
    }
    (degrees_of_freedom / beyond_chance - 1.0).clamp(1.0, week_values.max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;
    use crate::reference::{Column, FitOptions, HOURS, fit};
    use crate::stats::NumericLayout;
    use proptest::prelude::*;

    /// A week of `per_hour` values an hour; those of hour `h` are shifted by `rhythm(h)`.
    fn week(per_hour: i32, rhythm: &dyn Fn(i32) -> f64) -> HourMixture {
        let values = |hour: i32| {
            (0..per_hour).map(move |i| f64::from(i * 997 % 1009) / 100.0 + rhythm(hour))
        };
        let column = Column {
            numbers: (0..168).flat_map(values).collect(),
            ..Column::default()
        };
        let week = fit("x", Kind::Numeric, column, &FitOptions::default()).unwrap();
        let layout = week.layout.numeric().unwrap();
        let hours: Vec<FeatureCounts> = (0..168)
            .map(|hour| counted(values(hour), &week, layout))
            .collect();
        HourMixture::new(Arc::new(week), hours.into())
    }

    fn counted(
        values: impl Iterator<Item = f64>,
        week: &FeatureReference,
        layout: &NumericLayout,
    ) -> FeatureCounts {
        let mut counts = FeatureCounts::new(&week.layout);
        values.for_each(|x| counts.record_number(layout, x));
        counts
    }

    #[test]
    fn equal_hours_share_all_values_and_different_hours_nearly_none() {
        let equal = week(50, &|_| 0.0);
        assert!(equal.prior >= 168.0 * 50.0 - 1.0, "equal: {}", equal.prior);
        let different = week(50, &|hour| f64::from(hour % 24));
        assert!(different.prior < 30.0, "different: {}", different.prior);
    }

    #[test]
    fn an_hour_that_differs_has_nearly_its_own_counts() {
        let hours = week(500, &|hour| f64::from(hour % 24) * 10.0);
        let mixture = hours.mixed(&[(5, 40)], &[]).unwrap();
        let mean = mixture.numbers.unwrap().mean;
        assert!((mean - 55.0).abs() < 3.0, "mean {mean}");
        let without = hours
            .mixed(&[(5, 40)], &[(5, hours.hours[5].clone())])
            .unwrap();
        assert!(without.counts.tallies.values < 60, "only the prior is left");
    }

    #[test]
    fn a_window_over_two_hours_is_compared_with_both_in_proportion_to_its_events() {
        let hours = week(500, &|hour| f64::from(hour % 24) * 10.0);
        let mean = |events: &[(u16, u64)]| hours.mixed(events, &[]).unwrap().numbers.unwrap().mean;
        let (fifth, sixth) = (mean(&[(5, 7)]), mean(&[(6, 7)]));
        let both = mean(&[(5, 30), (6, 10)]);
        assert!(
            (both - (0.75 * fifth + 0.25 * sixth)).abs() < 0.1,
            "{fifth}, {sixth}, {both}"
        );
        assert_eq!(dominant(&[(5, 30), (6, 10)]), Some(5), "three quarters");
        assert_eq!(dominant(&[(5, 1), (6, 1), (7, 1)]), None, "a third each");
        assert!(hours.mixed(&[(3, 0)], &[]).is_none(), "no events");
    }

    proptest! {
        #[test]
        fn the_mixture_of_all_hours_is_the_week(per_hour in 20..60i32) {
            let hours = week(per_hour, &|hour| f64::from(hour / 24));
            let events: Vec<(u16, u64)> = (0..168).map(|hour| (hour, 3)).collect();
            prop_assert_eq!(hours.hours.len(), HOURS);
            let (mixture, week) = (hours.mixed(&events, &[]).unwrap().counts, &hours.week.counts);
            let (values, week_values) =
                (mixture.tallies.values as f64, week.tallies.values as f64);
            for (mixed, in_week) in mixture.bins.iter().zip(&week.bins) {
                let gap = *mixed as f64 / values - *in_week as f64 / week_values;
                prop_assert!(gap.abs() <= 2.0 / values);
            }
        }
    }
}

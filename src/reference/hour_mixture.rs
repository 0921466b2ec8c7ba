//! The same hour of the week as a reference, each hour shrunk interpolate the whole week.
//!
//! An hour seen for four weeks holds few values, so `k` values of the whole week's distribution are added to its own: the posterior mean under a Dirichlet prior
//! around the week, and the null of the hour is then just that posterior. `k` is how much hours resemble one another, by the method of moments (Mosimann 1962): hours
//! that do not differ lend each other everything, hours of their own next to nothing. A window that reaches over several hours is compared with their mixture in
//! the proportions of its own events, so a change of volume alone is no drift.

use std::sync::Arc;

use super::FeatureReference;
use crate::stats::{CELLS, FULL_WIDTH, FeatureCounts, Tallies};

/// Counts of one feature by hour of the week, over shared edges.
#[derive(Debug, Clone)]
pub struct HourMixture {
    week: Arc<FeatureReference>,
    hours: Arc<[FeatureCounts]>,
    /// Values of the week's distribution that stand beside an hour's own.
    prior: f64,
}

/// A part of a week that is left out, by hour.
pub type HourCounts = Vec<(u16, FeatureCounts)>;

impl HourMixture {
    /// The hours of a feature whose whole week is `week`.
    #[must_use]
    pub fn new(week: Arc<FeatureReference>, hours: Arc<[FeatureCounts]>) -> Self {
        let prior = resemblance(&week.counts, &hours);
        HourMixture { week, hours, prior }
    }

    /// The whole week.
    #[must_use]
    pub const fn week(&self) -> &Arc<FeatureReference> {
        &self.week
    }

    /// What a window is compared with whose events fall into hours as `events` says; `None` where it has none. `without` is left out of the week.
    #[must_use]
    pub fn mixed(
        &self,
        events: &[(u16, u64)],
        without: &[(u16, FeatureCounts)],
    ) -> Option<FeatureReference> {
        let all: u64 = events.iter().map(|(_, events)| events).sum();
        let weight = |count: u64| count as f64 / all as f64;
        let own = |hour: u16| self.hours.get(usize::from(hour));
        let left_out = |hour: u16| without.iter().filter(move |(out, _)| *out == hour);
        let gone: u64 = without.iter().map(|(_, part)| part.tallies.values).sum();
        let of_week = self.week.counts.tallies.values.saturating_sub(gone) as f64;
        let prior = self.prior.min(of_week);
        let size = |hour: u16| {
            let gone: u64 = left_out(hour).map(|(_, part)| part.tallies.values).sum();
            let values = own(hour).map_or(0, |hour| hour.tallies.values);
            values.saturating_sub(gone) as f64 + prior
        };
        let known = || events.iter().filter(|(_, events)| *events > 0);
        let spread = known().map(|(hour, events)| weight(*events).powi(2) / size(*hour));
        // What the hours borrow from the week they borrow together.
        let values = spread.sum::<f64>().recip().min(of_week);
        if !values.is_finite() || values < 1.0 {
            return None;
        }
        let mut sum = Sum::new(self.week.counts.bins.len());
        let mut of_prior = 0.0;
        for (hour, events) in known() {
            let factor = values * weight(*events) / size(*hour);
            own(*hour)
                .into_iter()
                .for_each(|hour| sum.add(hour, factor));
            left_out(*hour).for_each(|(_, part)| sum.add(part, -factor));
            of_prior += factor * prior / of_week;
        }
        sum.add(&self.week.counts, of_prior);
        without
            .iter()
            .for_each(|(_, part)| sum.add(part, -of_prior));
        Some(self.week.with_counts(sum.whole(values), self.edges_given()))
    }

    fn edges_given(&self) -> bool {
        self.week.numbers.is_some_and(|facts| facts.edges_given)
    }
}

/// The hour that holds at least half of the events.
#[must_use]
pub fn dominant(events: &[(u16, u64)]) -> Option<u16> {
    let all: u64 = events.iter().map(|(_, events)| events).sum();
    let most = events.iter().max_by_key(|(_, events)| *events)?;
    (2 * most.1 >= all && all > 0).then_some(most.0)
}

/// The concentration of hours around the week: `(K - 1) / D - 1`, where `D` is the mean chi-square distance per value beyond what samples differ by; between 1 and
/// the values of the week.
fn resemblance(week: &FeatureCounts, hours: &[FeatureCounts]) -> f64 {
    let all = week.tallies.values as f64;
    let occupied = week.bins.iter().filter(|count| **count > 0).count();
    let degrees_of_freedom = occupied.saturating_sub(1) as f64;
    let seen = || hours.iter().filter(|hour| hour.tallies.values > 0);
    let values: f64 = seen().map(|hour| hour.tallies.values as f64).sum();
    let distance = |hour: &FeatureCounts| {
        let bins = hour.bins.iter().zip(&week.bins);
        let expected = bins.filter(|(_, week)| **week > 0).map(|(own, week)| {
            let expected = hour.tallies.values as f64 * *week as f64 / all;
            (*own as f64 - expected).powi(2) / expected
        });
        expected.sum::<f64>() - degrees_of_freedom
    };
    let beyond = seen().map(distance).sum::<f64>() / values.max(1.0);
    if beyond <= 0.0 {
        return all.max(1.0);
    }
    (degrees_of_freedom / beyond - 1.0).clamp(1.0, all.max(1.0))
}

/// A weighted sum of counts.
struct Sum {
    bins: Vec<f64>,
    cells: Vec<f64>,
    places: Vec<f64>,
    missing: [f64; 3],
    invalid: [f64; 2],
    saturated: f64,
}

impl Sum {
    fn new(bins: usize) -> Self {
        Sum {
            bins: vec![0.0; bins],
            cells: vec![0.0; CELLS],
            places: vec![0.0; CELLS],
            missing: [0.0; 3],
            invalid: [0.0; 2],
            saturated: 0.0,
        }
    }

    fn add(&mut self, counts: &FeatureCounts, factor: f64) {
        add_to(&mut self.bins, &counts.bins, factor);
        for cell in counts.cells.touched() {
            self.cells[cell] += counts.cells.counts()[cell] as f64 * factor;
            self.places[cell] += counts.cells.sums()[cell] as f64 * factor;
        }
        add_to(&mut self.missing, &counts.tallies.missing, factor);
        add_to(&mut self.invalid, &counts.tallies.invalid, factor);
        self.saturated += counts.tallies.saturated as f64 * factor;
    }

    /// Whole counts that add up to `values`.
    fn whole(&self, values: f64) -> FeatureCounts {
        let values = rounded(values);
        let mut counts = FeatureCounts {
            bins: shared_out(&self.bins, values),
            tallies: Tallies {
                values,
                missing: self.missing.map(rounded),
                invalid: self.invalid.map(rounded),
                saturated: rounded(self.saturated).min(values),
            },
            ..FeatureCounts::default()
        };
        if self.cells.iter().any(|count| *count > 0.0) {
            for (cell, count) in shared_out(&self.cells, values).into_iter().enumerate() {
                let mean = (self.places[cell] / self.cells[cell]).clamp(0.0, FULL_WIDTH as f64);
                counts
                    .cells
                    .add(cell, count, rounded(count as f64 * mean).cast_signed());
            }
        }
        counts
    }
}

fn add_to(sums: &mut [f64], counts: &[u64], factor: f64) {
    let pairs = sums.iter_mut().zip(counts);
    pairs.for_each(|(sum, count)| *sum += *count as f64 * factor);
}

/// Whole numbers in proportion to `shares` that add up to `total`, none of whose running sums is off by more than a half: what one entry rounds away the next one
/// gets.
fn shared_out(shares: &[f64], total: u64) -> Vec<u64> {
    let all: f64 = shares.iter().map(|share| share.max(0.0)).sum();
    let (mut until, mut given) = (0.0, 0);
    let entry = |share: &f64| {
        until += share.max(0.0);
        let due = rounded(until / all * total as f64).min(total);
        let count = due - given;
        given = due;
        count
    };
    shares.iter().map(entry).collect()
}

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
    use crate::model::Kind;
    use crate::reference::{Column, FitOptions, HOURS, fit};
    use crate::stats::NumericLayout;
    use proptest::prelude::*;

    /// A week of `per_hour` values an hour; those of hour `h` are moved by `rhythm(h)`.
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
    fn hours_alike_lend_each_other_everything_and_hours_of_their_own_nearly_nothing() {
        let alike = week(50, &|_| 0.0);
        assert!(alike.prior >= 168.0 * 50.0 - 1.0, "alike: {}", alike.prior);
        let apart = week(50, &|hour| f64::from(hour % 24));
        assert!(apart.prior < 30.0, "apart: {}", apart.prior);
    }

    #[test]
    fn an_hour_of_its_own_is_nearly_its_own_counts() {
        let seasonal = week(500, &|hour| f64::from(hour % 24) * 10.0);
        let found = seasonal.mixed(&[(5, 40)], &[]).unwrap();
        let mean = found.numbers.unwrap().mean;
        assert!((mean - 55.0).abs() < 3.0, "mean {mean}");
        let whole = seasonal
            .mixed(&[(5, 40)], &[(5, seasonal.hours[5].clone())])
            .unwrap();
        assert!(whole.counts.tallies.values < 60, "only the prior is left");
    }

    #[test]
    fn a_window_over_two_hours_is_compared_with_both_as_its_events_fall() {
        let seasonal = week(500, &|hour| f64::from(hour % 24) * 10.0);
        let mean =
            |events: &[(u16, u64)]| seasonal.mixed(events, &[]).unwrap().numbers.unwrap().mean;
        let (one, other) = (mean(&[(5, 7)]), mean(&[(6, 7)]));
        let both = mean(&[(5, 30), (6, 10)]);
        assert!(
            (both - (0.75 * one + 0.25 * other)).abs() < 0.1,
            "{one}, {other}, {both}"
        );
        assert_eq!(dominant(&[(5, 30), (6, 10)]), Some(5), "three quarters");
        assert_eq!(dominant(&[(5, 1), (6, 1), (7, 1)]), None, "a third each");
        assert!(seasonal.mixed(&[(3, 0)], &[]).is_none(), "no events");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_in_rounding(shares in proptest::collection::vec(0.0..10.0f64, 1..60), total in 0..5000u64) {
            prop_assume!(shares.iter().sum::<f64>() > 0.0);
            let whole = shared_out(&shares, total);
            prop_assert_eq!(whole.iter().sum::<u64>(), total);
            let all: f64 = shares.iter().sum();
            for (count, share) in whole.iter().zip(&shares) {
                prop_assert!((*count as f64 - share / all * total as f64).abs() <= 1.0 + 1e-6);
            }
        }

        #[test]
        fn the_mixture_of_all_hours_is_the_week(per_hour in 20..60i32) {
            let seasonal = week(per_hour, &|hour| f64::from(hour / 24));
            let events: Vec<(u16, u64)> = (0..168).map(|hour| (hour, 3)).collect();
            prop_assert_eq!(seasonal.hours.len(), HOURS);
            let found = seasonal.mixed(&events, &[]).unwrap();
            let (m, all) = (found.counts.tallies.values as f64, seasonal.week.counts.tallies.values as f64);
            for (own, week) in found.counts.bins.iter().zip(&seasonal.week.counts.bins) {
                prop_assert!((*own as f64 / m - *week as f64 / all).abs() <= 2.0 / m);
            }
        }
    }
}

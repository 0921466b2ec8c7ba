//! Scores windows against one reference.
//!
//! What depends on the reference alone (its body, the rules for empty bins) is computed once,
//! because the same reference is used for every window and for ten thousand simulated ones.

use std::sync::Arc;

use super::rare_values::RareValues;
use super::scores::{Distances, Scores};
use crate::model::{NotReady, Statistic};
use crate::reference::FeatureReference;
use crate::stats::{Bins, Body, FeatureCounts, Open, divergences, transport};

/// A reference, prepared to score windows.
#[derive(Debug, Clone)]
pub struct Scorer {
    reference: Arc<FeatureReference>,
    open: Vec<Open>,
    pseudo_count: f64,
    /// The body of the reference; numeric features only.
    body: Option<Body>,
    rare_values: RareValues,
}

impl Scorer {
    /// Creates a scorer against `reference` that adds `pseudo_count` (at least 0) to smoothed
    /// counts.
    #[must_use]
    pub fn new(reference: Arc<FeatureReference>, pseudo_count: f64) -> Self {
        let open = reference.layout.open();
        let body = reference
            .layout
            .numeric()
            .map(|layout| Body::of(reference.cells(), &layout.cells));
        let rare_values = RareValues::of(&reference);
        Scorer {
            reference,
            open,
            pseudo_count,
            body,
            rare_values,
        }
    }

    /// The number of values in `counts` that are rare in the reference: about one per cent on each
    /// side of a numeric feature, the rarest categories of another.
    #[must_use]
    pub fn rare_values(&self, counts: &FeatureCounts) -> u64 {
        self.rare_values.count(counts)
    }

    /// The reference to compare with.
    #[must_use]
    pub const fn reference(&self) -> &Arc<FeatureReference> {
        &self.reference
    }

    /// The body of a numeric reference.
    #[must_use]
    pub const fn body(&self) -> Option<&Body> {
        self.body.as_ref()
    }

    /// The largest value that a statistic can take against the reference; `None` if there is no
    /// limit.
    #[must_use]
    pub fn largest(&self, statistic: Statistic) -> Option<f64> {
        match (statistic, &self.body) {
            (Statistic::WassersteinBody, Some(body)) => Some(body.reach / body.std),
            _ => statistic.upper_bound(),
        }
    }

    /// The number that is added to every count in the smoothed scores.
    #[must_use]
    pub const fn pseudo_count(&self) -> f64 {
        self.pseudo_count
    }

    /// All scores of `window`, which is counted in the reference's layout.
    ///
    /// # Errors
    /// `NoReference` when the reference has no values, `Empty` when the window has none, and
    /// `TooFewSamples` when it has fewer than `min_samples`.
    pub fn evaluate(&self, window: &FeatureCounts, min_samples: u64) -> Result<Scores, NotReady> {
        let reference = &self.reference.counts;
        if reference.tallies.values == 0 {
            return Err(NotReady::NoReference);
        }
        let have = window.tallies.values;
        if have == 0 {
            return Err(NotReady::Empty);
        }
        if have < min_samples {
            return Err(NotReady::TooFewSamples {
                have,
                need: min_samples,
            });
        }
        self.against(window, reference).ok_or(NotReady::Empty)
    }

    /// All scores of `window` against `reference`; `None` where either side is empty.
    ///
    /// Both are counted in the layout of this scorer's reference, whose body and standard deviation
    /// are used.
    pub(crate) fn against(
        &self,
        window: &FeatureCounts,
        reference: &FeatureCounts,
    ) -> Option<Scores> {
        let divergences =
            divergences(&window.bins, &reference.bins, &self.open, self.pseudo_count)?;
        Some(Scores {
            divergences,
            distances: self.distances(window, reference),
        })
    }

    fn distances(&self, window: &FeatureCounts, reference: &FeatureCounts) -> Option<Distances> {
        let (layout, body) = (self.reference.layout.numeric()?, self.body.as_ref()?);
        let moved = transport(&window.cells, &reference.cells, &layout.cells, &body.cells);
        let at_score_edges = largest_gap(&layout.bins, &window.bins, &reference.bins);
        Some(Distances {
            wasserstein: moved.wasserstein,
            wasserstein_normalized: moved.wasserstein / self.reference.unit_std(),
            beyond_reference: moved.beyond_reference,
            body: moved.body / body.std,
            ks: moved.ks.max(at_score_edges).min(1.0),
            is_lower_bound: window.tallies.is_saturated() || reference.tallies.is_saturated(),
            is_unscaled: !self.reference.has_std(),
        })
    }
}

/// The largest `|F - G|` over score edges, 0..=1; NaN is ignored, so 0 where a side is empty.
fn largest_gap(bins: &Bins, window: &[u64], reference: &[u64]) -> f64 {
    let (n, m) = (
        window.iter().sum::<u64>() as f64,
        reference.iter().sum::<u64>() as f64,
    );
    let mut below = (0, 0);
    window
        .iter()
        .zip(reference)
        .take(bins.boundaries())
        .map(|(current, reference)| {
            below = (below.0 + current, below.1 + reference);
            (below.0 as f64 / n - below.1 as f64 / m).abs()
        })
        .fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;
    use crate::reference::{Column, FitOptions, fit};
    use crate::score::ScoreStatus;

    fn scorer() -> Scorer {
        let column = Column {
            numbers: (0..1000).map(f64::from).collect(),
            ..Column::default()
        };
        let reference = fit("x", Kind::Numeric, column, &FitOptions::default()).unwrap();
        Scorer::new(Arc::new(reference), 0.5)
    }

    fn window(scorer: &Scorer, numbers: impl Iterator<Item = f64>) -> FeatureCounts {
        let layout = &scorer.reference().layout;
        let mut counts = FeatureCounts::new(layout);
        numbers.for_each(|x| counts.record_number(layout.numeric().unwrap(), x));
        counts
    }

    #[test]
    fn a_window_that_cannot_be_scored_has_a_reason() {
        let scorer = scorer();
        let evaluate = |count: u32| {
            let window = window(&scorer, (0..count).map(f64::from));
            scorer.evaluate(&window, 10).err()
        };
        assert_eq!(evaluate(0), Some(NotReady::Empty), "no values");
        let too_few = NotReady::TooFewSamples { have: 9, need: 10 };
        assert_eq!(evaluate(9), Some(too_few), "below min_samples");
        assert_eq!(evaluate(10), None, "enough");
    }

    #[test]
    fn a_window_far_beyond_the_cells_says_that_its_distance_is_a_lower_bound() {
        let scorer = scorer();
        let statuses = |far: u32| {
            let numbers = (0..10_000).map(|i| if i < far { 1e12 } else { f64::from(i % 1000) });
            let scores = scorer.evaluate(&window(&scorer, numbers), 1).unwrap();
            scores.statuses().collect::<Vec<_>>()
        };
        assert_eq!(statuses(10), [], "0.1 % are few outliers");
        assert_eq!(statuses(11), [ScoreStatus::WassersteinLowerBound]);
    }

    #[test]
    fn a_constant_reference_has_no_unit_for_normalized_distances() {
        let column = Column {
            numbers: vec![3.0; 1000],
            ..Column::default()
        };
        let reference = fit("x", Kind::Numeric, column, &FitOptions::default()).unwrap();
        let scorer = Scorer::new(Arc::new(reference), 0.5);
        let scores = scorer.evaluate(&window(&scorer, [3.0, 4.0].into_iter()), 1);
        let statuses: Vec<_> = scores.unwrap().statuses().collect();
        assert_eq!(statuses, [ScoreStatus::WassersteinUnscaled]);
    }

    #[test]
    fn a_shift_by_half_the_range_has_the_distance_of_the_shift() {
        let scorer = scorer();
        let shifted = window(&scorer, (0..1000).map(|i| f64::from(i) + 500.0));
        let scores = scorer.evaluate(&shifted, 1).unwrap();
        let w1 = scores.get(Statistic::Wasserstein).unwrap();
        assert!((w1 - 500.0).abs() < 1.0, "wasserstein {w1}");
        // Uniform over 0..1000: 500 / (1000 / sqrt(12)).
        let normalized = scores.get(Statistic::WassersteinNormalized).unwrap();
        assert!((normalized - 1.732).abs() < 0.01, "normalized {normalized}");
        let ks = scores.get(Statistic::Ks).unwrap();
        assert!((ks - 0.5).abs() < 0.01, "ks {ks}");
        assert_eq!(scores.get(Statistic::MissingRatio), None, "no score");
    }
}

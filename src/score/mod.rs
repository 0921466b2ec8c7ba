//! A window against a reference: every score of the field in one value, or the reason why there is none.

use std::sync::Arc;

use crate::model::{NotReady, Statistic};
use crate::reference::FeatureReference;
use crate::stats::{
    Bins, Body, Divergences, FeatureCounts, Layout, Open, Tallies, divergences, share, transport,
};

/// Every score of one feature in one window against one reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scores {
    /// The scores that need no order.
    pub divergences: Divergences,
    /// The scores that need numbers; `None` for categories.
    pub distances: Option<Distances>,
}

/// The scores that exist only for numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distances {
    /// Wasserstein-1 in the feature's unit.
    pub wasserstein: f64,
    /// Wasserstein-1 in standard deviations of the reference.
    pub wasserstein_normalized: f64,
    /// The part of `wasserstein` from beyond the reference's range.
    pub beyond_reference: f64,
    /// Wasserstein-1 between the bodies, in standard deviations of the reference's body.
    pub body: f64,
    /// Largest difference of the cumulative shares over cell and score edges, 0..=1.
    pub ks: f64,
    /// Whether values beyond the last cell make `wasserstein` a lower bound.
    pub is_lower_bound: bool,
}

/// What stands behind a statistic: events behind the share of missing values, values behind all others.
#[must_use]
pub fn samples_behind(statistic: Statistic, tallies: &Tallies) -> u64 {
    match statistic {
        Statistic::MissingRatio => tallies.events(),
        _ => tallies.values,
    }
}

/// Shares of a window that say something whatever the distribution; each `None` where it does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rates {
    /// Missing values per event.
    pub missing: Option<f64>,
    /// Values below the first or above the last edge, per value; only where there are guards.
    pub out_of_range: Option<f64>,
    /// Values of unseen categories, per value; categories only.
    pub unseen: Option<f64>,
}

/// A reference made ready to be compared with again and again.
#[derive(Debug, Clone)]
pub struct Scorer {
    reference: Arc<FeatureReference>,
    open: Vec<Open>,
    pseudo_count: f64,
    /// Numeric features only.
    body: Option<Body>,
}

impl Scorer {
    /// A scorer against `reference`, adding `pseudo_count` (not negative) in the smoothed scores.
    #[must_use]
    pub fn new(reference: Arc<FeatureReference>, pseudo_count: f64) -> Self {
        let open = reference.layout.open();
        let numeric = reference.layout.numeric();
        let body = numeric.map(|layout| Body::of(reference.cells(), &layout.cells));
        Scorer {
            reference,
            open,
            pseudo_count,
            body,
        }
    }

    /// The reference compared with.
    #[must_use]
    pub const fn reference(&self) -> &Arc<FeatureReference> {
        &self.reference
    }

    /// The body of a numeric reference.
    #[must_use]
    pub const fn body(&self) -> Option<&Body> {
        self.body.as_ref()
    }

    /// What is added to every count in the smoothed scores.
    #[must_use]
    pub const fn pseudo_count(&self) -> f64 {
        self.pseudo_count
    }

    /// All scores of `window`, which is counted in the reference's layout.
    ///
    /// # Errors
    /// `NoReference` when the reference holds no values, `Empty` when the window does, `TooFewSamples` below `min_samples`.
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

    /// All scores of `window` against other counts in the reference's layout; `None` where either side is empty.
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
        let (cells, scale) = (&layout.cells, &body.cells);
        let moved = transport(&window.cells, &reference.cells, cells, scale);
        let at_edges = largest_gap(&layout.bins, &window.bins, &reference.bins);
        Some(Distances {
            wasserstein: moved.wasserstein,
            wasserstein_normalized: moved.wasserstein / self.reference.unit_std(),
            beyond_reference: moved.beyond_reference,
            body: moved.body / body.std,
            ks: moved.ks.max(at_edges).min(1.0),
            is_lower_bound: window.tallies.saturated > 0 || reference.tallies.saturated > 0,
        })
    }
}

/// The largest `|F - G|` over score edges.
fn largest_gap(bins: &Bins, window: &[u64], reference: &[u64]) -> f64 {
    let (n, m) = (
        window.iter().sum::<u64>() as f64,
        reference.iter().sum::<u64>() as f64,
    );
    let mut below = (0, 0);
    let gaps = window
        .iter()
        .zip(reference)
        .take(bins.boundaries())
        .map(|(p, q)| {
            below = (below.0 + p, below.1 + q);
            (below.0 as f64 / n - below.1 as f64 / m).abs()
        });
    gaps.fold(0.0, f64::max)
}

impl Rates {
    /// The rates of a window counted in `layout`.
    #[must_use]
    pub fn of(window: &FeatureCounts, layout: &Layout) -> Self {
        let values = window.tallies.values;
        let missing = window.tallies.missing_ratio();
        match layout {
            Layout::Numeric(numeric) => {
                let guarded = numeric.bins.has_lower_guard() || numeric.bins.has_upper_guard();
                let (below, above) = window.out_of_range(layout);
                let out_of_range = share(below + above, values).filter(|_| guarded);
                Rates {
                    missing,
                    out_of_range,
                    unseen: None,
                }
            }
            Layout::Categorical(_) => {
                let unseen = share(window.unseen(layout), values);
                Rates {
                    missing,
                    out_of_range: None,
                    unseen,
                }
            }
        }
    }

    /// The rate with this name; `None` for other statistics and where it does not exist.
    #[must_use]
    pub const fn get(&self, statistic: Statistic) -> Option<f64> {
        match statistic {
            Statistic::MissingRatio => self.missing,
            Statistic::UnseenRatio => self.unseen,
            Statistic::OutOfRangeRatio => self.out_of_range,
            _ => None,
        }
    }
}

impl Scores {
    /// The score with this name; `None` for rates and where the kind has no such score.
    #[must_use]
    pub fn get(&self, statistic: Statistic) -> Option<f64> {
        let divergences = &self.divergences;
        match statistic {
            Statistic::Js => Some(divergences.js),
            Statistic::JsDistance => Some(divergences.js.sqrt()),
            Statistic::Kl => Some(divergences.kl),
            Statistic::KlReverse => Some(divergences.kl_reverse),
            Statistic::Psi => Some(divergences.psi),
            Statistic::Hellinger => Some(divergences.hellinger),
            Statistic::TotalVariation => Some(divergences.total_variation),
            Statistic::Wasserstein => self.distances.map(|distances| distances.wasserstein),
            Statistic::WassersteinNormalized => self
                .distances
                .map(|distances| distances.wasserstein_normalized),
            Statistic::WassersteinBody => self.distances.map(|distances| distances.body),
            Statistic::Ks => self.distances.map(|distances| distances.ks),
            Statistic::MissingRatio
            | Statistic::UnseenRatio
            | Statistic::OutOfRangeRatio
            | Statistic::Samples => None,
        }
    }
}

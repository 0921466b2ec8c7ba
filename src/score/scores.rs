//! All scores of one feature in one window against one reference.

use crate::model::Statistic;
use crate::stats::{Divergences, Tallies};

/// Every score of one feature in one window against one reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scores {
    /// The scores that need no order of the bins.
    pub divergences: Divergences,
    /// The scores that need numbers; `None` for categories.
    pub distances: Option<Distances>,
}

/// The scores that exist only for numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distances {
    /// Wasserstein-1 in the feature's unit; at least 0.
    pub wasserstein: f64,
    /// Wasserstein-1 in standard deviations of the reference; at least 0.
    ///
    /// In the feature's unit where the reference has no standard deviation.
    pub wasserstein_normalized: f64,
    /// The part of `wasserstein` from beyond the reference's range, in the feature's unit.
    pub beyond_reference: f64,
    /// Wasserstein-1 between the bodies, in standard deviations of the reference's body.
    pub body: f64,
    /// Largest difference of the cumulative shares over cell and score edges, 0..=1.
    pub ks: f64,
    /// Set where more than 0.1 % of a side's values lie beyond the last cell, which makes
    /// `wasserstein` a lower bound.
    pub is_lower_bound: bool,
    /// Set where the reference has no standard deviation, so that `wasserstein_normalized` is in
    /// the feature's unit.
    pub is_unscaled: bool,
}

/// A limit of the scores of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScoreStatus {
    /// Wasserstein is a lower bound.
    WassersteinLowerBound,
    /// Normalized Wasserstein is in the feature's unit.
    WassersteinUnscaled,
}

impl ScoreStatus {
    /// Every status, in the order of reports.
    pub const ALL: [ScoreStatus; 2] = [
        ScoreStatus::WassersteinLowerBound,
        ScoreStatus::WassersteinUnscaled,
    ];

    /// The name in JSON and labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ScoreStatus::WassersteinLowerBound => "wasserstein_lower_bound",
            ScoreStatus::WassersteinUnscaled => "wasserstein_unscaled",
        }
    }
}

/// Number of samples of a statistic: events for the missing ratio, present values for the invalid
/// ratio, valid values for all others.
#[must_use]
pub fn samples_behind(statistic: Statistic, tallies: &Tallies) -> u64 {
    match statistic {
        Statistic::MissingRatio => tallies.events(),
        Statistic::InvalidRatio => tallies.present(),
        _ => tallies.values,
    }
}

impl Scores {
    /// The limits of these scores.
    pub fn statuses(&self) -> impl Iterator<Item = ScoreStatus> + use<> {
        let distances = self.distances;
        ScoreStatus::ALL.into_iter().filter(move |status| {
            distances.is_some_and(|distances| match status {
                ScoreStatus::WassersteinLowerBound => distances.is_lower_bound,
                ScoreStatus::WassersteinUnscaled => distances.is_unscaled,
            })
        })
    }

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
            | Statistic::InvalidRatio
            | Statistic::UnseenRatio
            | Statistic::OutOfRangeRatio
            | Statistic::Samples => None,
        }
    }
}

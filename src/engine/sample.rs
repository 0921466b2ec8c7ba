//! The content of one feature in one window, as all of its comparisons see it.

use super::plan::FeaturePlan;
use crate::model::{NotReady, Statistic, WindowSpec};
use crate::score::{Rates, Scores, samples_behind};
use crate::stats::{FeatureCounts, Tallies};

/// One feature in one window.
#[derive(Debug, Clone, Copy)]
pub(super) struct FeatureSample<'a> {
    pub(super) plan: &'a FeaturePlan,
    pub(super) window: &'a WindowSpec,
    /// The counts; `None` before the first evaluation and while the window is stale.
    pub(super) counts: Option<&'a FeatureCounts>,
    /// The reason why no score and no rate is ready.
    pub(super) incomplete: Option<NotReady>,
    pub(super) rates: &'a Rates,
}

impl FeatureSample<'_> {
    /// The observed value of a statistic: a rate or the volume of the window, or one of `scores`.
    ///
    /// # Errors
    /// The reason why it is not ready.
    pub(super) fn value(
        &self,
        statistic: Statistic,
        scores: Result<Scores, NotReady>,
    ) -> Result<f64, NotReady> {
        if statistic.is_rate() {
            self.rate(statistic)
        } else {
            scores?.get(statistic).ok_or(NotReady::Empty)
        }
    }

    /// The number of samples behind a statistic: events for missing values, values for the others.
    pub(super) fn samples_behind(&self, statistic: Statistic) -> u64 {
        let tallies = self
            .counts
            .map_or_else(Tallies::default, |counts| counts.tallies);
        samples_behind(statistic, &tallies)
    }

    /// A rate with enough samples behind it; the volume needs none.
    fn rate(&self, statistic: Statistic) -> Result<f64, NotReady> {
        if let Some(reason) = self.incomplete {
            return Err(reason);
        }
        let (have, need) = (self.samples_behind(statistic), self.window.min_samples);
        if statistic == Statistic::Samples {
            return Ok(have as f64);
        }
        match self.rates.get(statistic) {
            Some(_) if have < need => Err(NotReady::TooFewSamples { have, need }),
            Some(value) => Ok(value),
            None => Err(NotReady::Empty),
        }
    }
}

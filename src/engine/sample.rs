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
    /// True if the last slide of the window has no event of the monitor: the stream has stopped.
    pub(super) is_paused: bool,
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

    /// The number of samples behind a statistic.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fixture::{fixed, plan, spec};

    /// Ten events, of which four have no value, in a window that needs `min_samples`.
    fn check(
        statistic: Statistic,
        min_samples: u64,
        incomplete: Option<NotReady>,
        expected: Result<f64, NotReady>,
    ) {
        let plan = plan(spec(vec![fixed()]));
        let mut window = plan.spec.windows[0].clone();
        window.min_samples = min_samples;
        let mut counts = FeatureCounts::default();
        counts.tallies.values = 6;
        counts.tallies.missing = [4, 0, 0];
        let rates = Rates {
            missing: Some(0.4),
            out_of_range: Some(0.5),
            ..Rates::default()
        };
        let sample = FeatureSample {
            plan: &plan.features[0],
            window: &window,
            counts: Some(&counts),
            incomplete,
            rates: &rates,
            is_paused: false,
        };
        let value = sample.value(statistic, Err(NotReady::Partial));
        assert_eq!(value, expected, "{statistic:?}");
    }

    #[test]
    fn a_rate_needs_the_samples_it_is_a_share_of() {
        let too_few = |have| Err(NotReady::TooFewSamples { have, need: 8 });
        check(Statistic::MissingRatio, 8, None, Ok(0.4));
        check(Statistic::OutOfRangeRatio, 8, None, too_few(6));
        check(Statistic::OutOfRangeRatio, 6, None, Ok(0.5));
    }

    #[test]
    fn a_rate_that_does_not_exist_is_empty() {
        check(Statistic::UnseenRatio, 1, None, Err(NotReady::Empty));
    }

    #[test]
    fn the_volume_needs_no_samples_but_a_complete_window() {
        check(Statistic::Samples, 1000, None, Ok(6.0));
        let warming = Some(NotReady::Warming);
        check(Statistic::Samples, 1, warming, Err(NotReady::Warming));
    }

    #[test]
    fn a_score_has_the_reason_of_its_comparison() {
        check(Statistic::Js, 1, None, Err(NotReady::Partial));
    }
}

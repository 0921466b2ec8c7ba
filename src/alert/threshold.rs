//! Thresholds of a score, and how far it must fall back before a firing alert clears.

/// The limits beyond which a score is an alarm, on the score's own scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// A score above this is an alarm.
    pub above: f64,
    /// A firing alert clears when its score is at or below this; at most `above`.
    pub cleared: f64,
    /// A score below this is an alarm too; for rates that may fall as well as rise.
    pub below: Option<f64>,
}

impl Threshold {
    /// A fixed maximum, at which an alert both fires and clears.
    #[must_use]
    pub const fn fixed(threshold: f64) -> Self {
        Threshold {
            above: threshold,
            cleared: threshold,
            below: None,
        }
    }

    /// A fixed minimum, at which an alert both fires and clears.
    #[must_use]
    pub const fn at_least(threshold: f64) -> Self {
        Threshold {
            above: f64::INFINITY,
            cleared: f64::INFINITY,
            below: Some(threshold),
        }
    }

    /// True if a score is an alarm.
    #[must_use]
    pub fn is_exceeded_by(&self, score: f64) -> bool {
        score > self.above || self.is_undercut_by(score)
    }

    /// The distance of a score in thresholds: the larger of score / maximum and minimum / score.
    ///
    /// Above 1 beyond the threshold; 0 for a score of 0 at a maximum of 0.
    #[must_use]
    pub fn ratio(&self, score: f64) -> f64 {
        let above = score / self.above;
        let below = self.below.map_or(0.0, |below| below.max(0.0) / score);
        [above, below]
            .into_iter()
            .filter(|ratio| !ratio.is_nan())
            .fold(0.0, f64::max)
    }

    /// True if a score keeps a firing alert firing.
    pub(super) fn keeps_firing(&self, score: f64) -> bool {
        score > self.cleared || self.is_undercut_by(score)
    }

    fn is_undercut_by(&self, score: f64) -> bool {
        self.below.is_some_and(|below| score < below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maximum_is_exceeded_only_from_above_and_clears_at_once() {
        let threshold = Threshold::fixed(0.5);
        assert!(!threshold.is_exceeded_by(0.5), "not at the threshold");
        assert!(threshold.is_exceeded_by(0.51));
        assert!(!threshold.keeps_firing(0.5), "no hysteresis");
        assert!(!threshold.is_exceeded_by(-1.0), "no lower limit");
    }

    #[test]
    fn a_minimum_is_exceeded_only_from_below() {
        let threshold = Threshold::at_least(100.0);
        assert!(threshold.is_exceeded_by(99.0));
        assert!(!threshold.is_exceeded_by(100.0), "not at the threshold");
        assert!(!threshold.keeps_firing(1e300), "no upper limit");
    }

    #[test]
    fn the_distance_is_a_ratio_on_either_side() {
        let both = Threshold {
            above: 0.4,
            cleared: 0.4,
            below: Some(0.1),
        };
        assert!((both.ratio(0.8) - 2.0).abs() < 1e-12, "twice the maximum");
        assert!((both.ratio(0.05) - 2.0).abs() < 1e-12, "half the minimum");
        assert!((both.ratio(0.2) - 0.5).abs() < 1e-12, "between");
        assert!(
            Threshold::fixed(0.0).ratio(0.0) <= 0.0,
            "nothing of nothing"
        );
        assert!(
            Threshold::at_least(5.0).ratio(0.0).is_infinite(),
            "no volume"
        );
    }

    #[test]
    fn between_threshold_and_clearance_only_a_firing_alert_goes_on() {
        let threshold = Threshold {
            above: 1.0,
            cleared: 0.8,
            below: Some(0.1),
        };
        assert!(!threshold.is_exceeded_by(0.9));
        assert!(threshold.keeps_firing(0.9));
        assert!(threshold.keeps_firing(0.05), "below the lower limit");
        assert!(!threshold.keeps_firing(0.8));
    }
}

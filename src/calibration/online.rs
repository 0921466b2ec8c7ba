//! An estimate of the design effect from quiet windows, where the reference has no time.
//!
//! Only windows without overlap are used, because overlapping windows repeat each other, and only
//! while no alert is pending or firing: a window with drift is not a measure of the noise.

use std::time::Duration;

use super::null_table::{SIMULATED, noise_variance, quadratic};
use crate::model::EventTime;
use crate::score::Scores;

/// Number of quiet windows that complete the estimate.
pub(super) const MIN_QUIET_WINDOWS: u32 = 20;

/// Sums over the scores of quiet windows; saved with the engine.
#[derive(serde::Serialize, serde::Deserialize, Debug, Clone, Copy, PartialEq, Default)]
pub struct OnlineDispersion {
    /// Number of windows in the sums.
    pub windows: u32,
    /// End of the latest window.
    pub until: Option<EventTime>,
    /// Sums of scores on the quadratic scale over their noise variance, by simulated statistic.
    pub sums: [f64; SIMULATED.len()],
    /// Sums of the squares of the same.
    pub squares: [f64; SIMULATED.len()],
    /// Sum of noise variances.
    pub noise_variance: f64,
}

impl OnlineDispersion {
    /// Returns true once enough windows were added; later windows are ignored.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.windows >= MIN_QUIET_WINDOWS
    }

    /// Adds a quiet window of length `size` that ends at `end`, unless it overlaps the latest one.
    ///
    /// `n` and `m` are the numbers of values in the window and in the reference.
    pub fn add(&mut self, end: EventTime, size: Duration, scores: &Scores, n: f64, m: f64) {
        let overlaps = self.until.is_some_and(|until| end.minus(size) < until);
        if self.is_complete() || overlaps {
            return;
        }
        let noise_variance = noise_variance(n, m);
        for (index, score) in quadratic(scores).into_iter().enumerate() {
            self.sums[index] += score / noise_variance;
            self.squares[index] += (score / noise_variance).powi(2);
        }
        self.windows += 1;
        self.noise_variance += noise_variance;
        self.until = Some(end);
    }

    /// Mean of a simulated statistic over its noise variance; 0 without windows.
    pub(super) fn mean(&self, index: usize) -> f64 {
        self.sums[index] / f64::from(self.windows.max(1))
    }

    /// `2 mean^2 / variance` of a simulated statistic; `None` without variance.
    pub(super) fn degrees_of_freedom(&self, index: usize) -> Option<f64> {
        let mean = self.mean(index);
        let variance = self.squares[index] / f64::from(self.windows.max(1)) - mean * mean;
        (variance > 0.0).then(|| 2.0 * mean * mean / variance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Divergences;

    const MINUTE: Duration = Duration::from_secs(60);

    fn add_window(dispersion: &mut OnlineDispersion, second: i64, js: f64) {
        let scores = Scores {
            divergences: Divergences {
                js,
                ..Divergences::default()
            },
            distances: None,
        };
        let end = EventTime::from_millis(second * 1000);
        dispersion.add(end, MINUTE, &scores, 100.0, 100.0);
    }

    #[test]
    fn overlapping_windows_are_ignored() {
        let mut dispersion = OnlineDispersion::default();
        for second in [60, 90, 120, 179] {
            add_window(&mut dispersion, second, 0.02);
        }
        assert_eq!(dispersion.windows, 2, "those that end at 60 and 120 s");
    }

    #[test]
    fn mean_and_degrees_of_freedom_are_of_scores_over_their_noise_variance() {
        let mut dispersion = OnlineDispersion::default();
        for minute in 1..=40 {
            add_window(
                &mut dispersion,
                minute * 60,
                if minute % 2 == 0 { 0.02 } else { 0.06 },
            );
        }
        assert!(dispersion.is_complete(), "20 windows");
        assert_eq!(dispersion.windows, MIN_QUIET_WINDOWS, "no more windows");
        // The noise variance is 1/50: values of 1 and 3, mean 2, variance 1.
        let mean = dispersion.mean(0);
        assert!((mean - 2.0).abs() < 1e-12, "mean {mean}");
        let degrees = dispersion.degrees_of_freedom(0).unwrap();
        assert!((degrees - 8.0).abs() < 1e-9, "2 * 2^2 / 1: {degrees}");
    }
}

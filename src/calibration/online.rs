//! What quiet windows teach about a stream whose reference carries no time.
//!
//! Windows are looked at side by side, because overlapping ones repeat each other, and only while nothing is pending or firing: drift is no lesson.

use std::time::Duration;

use super::null_table::{SIMULATED, noise, quadratic};
use crate::model::EventTime;
use crate::score::Scores;

/// Quiet windows after which there is nothing more to learn.
pub(super) const MIN_QUIET_WINDOWS: u32 = 20;

/// What quiet windows have taught about a reference without time; plain numbers.
#[derive(serde::Serialize, serde::Deserialize, Debug, Clone, Copy, PartialEq, Default)]
pub struct OnlineDispersion {
    /// Windows looked at, side by side.
    pub windows: u32,
    /// End of the latest one.
    pub until: Option<EventTime>,
    /// Sums of scores on the quadratic scale over `v`.
    pub sums: [f64; SIMULATED.len()],
    /// Sums of their squares.
    pub squares: [f64; SIMULATED.len()],
    /// Sum of `v`.
    pub v: f64,
}

impl OnlineDispersion {
    /// Whether there is nothing more to learn.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.windows >= MIN_QUIET_WINDOWS
    }

    /// Takes a quiet window of `size` ending at `end`, unless it overlaps the one before.
    pub fn take(&mut self, end: EventTime, size: Duration, scores: &Scores, n: f64, m: f64) {
        let overlaps = self.until.is_some_and(|until| end.minus(size) < until);
        if self.is_complete() || overlaps {
            return;
        }
        let v = noise(n, m);
        for (index, score) in quadratic(scores).into_iter().enumerate() {
            self.sums[index] += score / v;
            self.squares[index] += (score / v).powi(2);
        }
        self.windows += 1;
        self.v += v;
        self.until = Some(end);
    }

    pub(super) fn mean(&self, index: usize) -> f64 {
        self.sums[index] / f64::from(self.windows.max(1))
    }

    /// `2 mean^2 / variance`.
    pub(super) fn degrees_of_freedom(&self, index: usize) -> Option<f64> {
        let mean = self.mean(index);
        let variance = self.squares[index] / f64::from(self.windows.max(1)) - mean * mean;
        (variance > 0.0).then(|| 2.0 * mean * mean / variance)
    }
}

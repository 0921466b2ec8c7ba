//! The operating curve: the false alarms of each candidate, and the faults that it detects.
//!
//! A feature counts for detection if a candidate was ready for it and had no alarm at that time in
//! the control replay without faults. A feature that alarms anyway shows nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use super::alarm_trace::AlarmCounts;
use super::faults::{Fault, FaultInterval};
use super::outcomes::Outcomes;

/// The outcomes of all replays.
#[derive(Debug)]
pub(crate) struct Backtest {
    /// The interval of the replays below, `unchanged` excepted.
    pub(crate) interval: FaultInterval,
    /// The whole history without faults.
    pub(crate) unchanged: Outcomes,
    /// The interval without faults.
    pub(crate) control: Outcomes,
    /// The interval with each fault.
    pub(crate) faulty: Vec<(Fault, Outcomes)>,
}

/// The detection of one fault by one candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Detection {
    /// Number of features in which the fault could be detected.
    pub(crate) features: usize,
    /// Times from the onset to the end of the first firing window, one per feature, ascending.
    pub(crate) delays: Vec<Duration>,
    /// Evaluations of that window since the onset, ascending.
    pub(crate) evaluations: Vec<u64>,
    /// Features in which the fault was not detected.
    pub(crate) missed: Vec<usize>,
}

impl Backtest {
    /// Sums a candidate's counts on the unchanged history over these features.
    #[must_use]
    pub(crate) fn unchanged_counts<'a>(
        &self,
        candidate: usize,
        features: impl Iterator<Item = &'a usize>,
    ) -> AlarmCounts {
        features
            .map(|feature| self.unchanged.total(candidate, *feature).counts)
            .fold(AlarmCounts::default(), |sum, counts| sum + counts)
    }

    /// Returns the detection of a fault by a candidate; `faulty` are the outcomes with the fault.
    #[must_use]
    pub(crate) fn detection(&self, candidate: usize, faulty: &Outcomes) -> Detection {
        let mut detection = Detection {
            features: 0,
            delays: Vec::new(),
            evaluations: Vec::new(),
            missed: Vec::new(),
        };
        for feature in faulty.features() {
            if !self.can_detect(candidate, *feature) {
                continue;
            }
            detection.features += 1;
            match faulty.total(candidate, *feature).first {
                Some(alarm) => {
                    detection.delays.push(alarm.at.since(self.interval.onset));
                    detection.evaluations.push(alarm.evaluations);
                }
                None => detection.missed.push(*feature),
            }
        }
        detection.delays.sort_unstable();
        detection.evaluations.sort_unstable();
        detection
    }

    /// Reports whether the control replay has a ready evaluation and no alarm after the onset.
    fn can_detect(&self, candidate: usize, feature: usize) -> bool {
        let trace = self.control.total(candidate, feature);
        trace.counts.ready > 0 && trace.last_firing.is_none_or(|at| at < self.interval.onset)
    }

    /// Features for which a candidate was ready at least once on the unchanged history.
    #[must_use]
    pub(crate) fn ready_features(&self, candidate: usize) -> BTreeSet<usize> {
        self.unchanged
            .features()
            .iter()
            .copied()
            .filter(|feature| self.unchanged.total(candidate, *feature).counts.ready > 0)
            .collect()
    }

    /// Features that alarm on the unchanged history under every one of these candidates.
    #[must_use]
    pub(crate) fn never_quiet(&self, candidates: &[usize]) -> BTreeSet<usize> {
        if candidates.is_empty() {
            return BTreeSet::new();
        }
        self.unchanged
            .features()
            .iter()
            .copied()
            .filter(|feature| {
                candidates
                    .iter()
                    .all(|candidate| self.unchanged.total(*candidate, *feature).counts.alarms > 0)
            })
            .collect()
    }
}

/// Returns the quantile of ascending values by nearest rank; `None` without values.
///
/// It is the value of rank `ceil(share * n)`, at least 1: the smallest value that at least `share`
/// of all values do not exceed. `share` is between 0 and 1.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most the number of values"
)]
pub(crate) fn nearest_rank<T: Copy>(ascending: &[T], share: f64) -> Option<T> {
    let rank = (share * ascending.len() as f64).ceil() as usize;
    ascending.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        let check = |share: f64, expected: Option<u64>| {
            assert_eq!(nearest_rank(&[1, 2, 3, 10], share), expected, "{share}");
        };
        check(0.5, Some(2));
        check(0.9, Some(10));
        check(0.0, Some(1));
        check(1.0, Some(10));
        assert_eq!(nearest_rank::<u64>(&[], 0.5), None, "no values");
    }
}

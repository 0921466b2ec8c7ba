//! Durations counted in the buckets that are exported.
//!
//! A histogram of every value to two digits takes 24 KB, and there is one per shard and monitor: at
//! 512 shards and 100 monitors that is more memory than everything else. Only the exported buckets
//! are ever read, so only they are kept, with the exact sum. The bounds are arguments and not part
//! of a value: a list of counts takes a few bytes in the pane log.

use std::time::Duration;

use serde::{Deserialize, Serialize};

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn micros(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

/// Upper bounds of the buckets of an event's delay, from 100 ms to a day.
pub const DELAY_BOUNDS: [Duration; 11] = [
    millis(100),
    millis(500),
    millis(1000),
    millis(5000),
    millis(15_000),
    millis(60_000),
    millis(300_000),
    millis(900_000),
    millis(3_600_000),
    millis(14_400_000),
    millis(86_400_000),
];

/// Upper bounds of the buckets of an evaluation's duration, from 100 us to a second.
pub const EVALUATION_BOUNDS: [Duration; 9] = [
    micros(100),
    micros(500),
    micros(1000),
    micros(5000),
    micros(10_000),
    micros(50_000),
    micros(100_000),
    micros(500_000),
    micros(1_000_000),
];

/// Counts of durations by bucket, and their sum.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DurationHistogram {
    /// One count per bound, and one for longer durations; trailing zeros may be missing.
    counts: Vec<u64>,
    sum_nanos: u128,
}

impl DurationHistogram {
    /// Counts a duration that occurred `times` times, in the first bucket whose bound it does not
    /// exceed.
    pub fn record(&mut self, bounds: &[Duration], duration: Duration, times: u64) {
        let bucket = bounds.partition_point(|bound| *bound < duration);
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += times;
        self.sum_nanos += duration.as_nanos() * u128::from(times);
    }

    /// Adds the durations of another histogram with the same bounds.
    pub fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (sum, count) in self.counts.iter_mut().zip(&other.counts) {
            *sum += count;
        }
        self.sum_nanos += other.sum_nanos;
    }

    /// Returns for each bound the number of durations that do not exceed it.
    #[must_use]
    pub fn cumulative(&self, bounds: &[Duration]) -> Vec<u64> {
        let mut total = 0;
        (0..bounds.len())
            .map(|bucket| {
                total += self.counts.get(bucket).copied().unwrap_or(0);
                total
            })
            .collect()
    }

    /// Returns the number of durations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns the sum of all durations in seconds; a float, because no `Duration` is long enough.
    #[must_use]
    pub fn sum_seconds(&self) -> f64 {
        self.sum_nanos as f64 / 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_up_to_its_bound_and_summed_exactly() {
        let mut delays = DurationHistogram::default();
        for (millis, times) in [(100, 2), (101, 1), (3_600_000, 1), (90_000_000, 1)] {
            delays.record(&DELAY_BOUNDS, Duration::from_millis(millis), times);
        }
        let expected = [2, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4];
        assert_eq!(delays.cumulative(&DELAY_BOUNDS), expected, "up to a bound");
        assert_eq!(delays.count(), 5, "the longest is beyond the last bound");
        assert!((delays.sum_seconds() - 93_600.301).abs() < 1e-6, "sum");
    }

    #[test]
    fn merged_histograms_count_what_both_counted() {
        let of = |millis: &[u64]| {
            let mut delays = DurationHistogram::default();
            for millis in millis {
                delays.record(&DELAY_BOUNDS, Duration::from_millis(*millis), 1);
            }
            delays
        };
        let mut merged = of(&[50]);
        merged.merge(&of(&[400, 700_000]));
        assert_eq!(merged, of(&[700_000, 50, 400]), "in any order");
    }
}

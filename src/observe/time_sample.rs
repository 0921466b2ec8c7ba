//! The median of the times of a commit's records, from a bounded sample.
//!
//! Producers set Kafka timestamps, and one of them may be hours ahead of the others. The maximum of
//! a commit would be that one; the median is not moved by it. The sample is every record until it
//! is full, then every second one, every fourth one and so on, so it covers the whole commit in a
//! fixed memory and the same records always give the same median.

use crate::model::EventTime;

/// A time of the source, or a reading of the reader's clock in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceTime {
    /// The timestamp, or the reading.
    pub time: EventTime,
    /// True if it is a reading of the reader's clock: the source holds no time, or one that
    /// contradicts what the reader knows.
    pub is_of_reader: bool,
}

/// Most times in a sample.
const CAPACITY: usize = 64;

/// A sample of the times that were added, in constant memory.
#[derive(Debug)]
pub(super) struct TimeSample {
    /// The time of every `stride`-th record.
    times: Vec<SourceTime>,
    stride: usize,
    /// Records to leave out before the next one is taken.
    skip: usize,
}

impl Default for TimeSample {
    fn default() -> Self {
        TimeSample {
            times: Vec::new(),
            stride: 1,
            skip: 0,
        }
    }
}

impl TimeSample {
    /// Adds the time of a record. Nothing is allocated once a sample was full.
    pub(super) fn add(&mut self, time: SourceTime) {
        if self.skip > 0 {
            self.skip -= 1;
            return;
        }
        if self.times.len() == CAPACITY {
            let mut index = 0;
            self.times.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.stride *= 2;
        }
        self.times.push(time);
        self.skip = self.stride - 1;
    }

    /// Takes the median, the earlier one of two; `None` without times.
    pub(super) fn take_median(&mut self) -> Option<SourceTime> {
        let middle = self.times.len().checked_sub(1)? / 2;
        let (_, median, _) = self.times.select_nth_unstable(middle);
        let median = *median;
        self.times.clear();
        (self.stride, self.skip) = (1, 0);
        Some(median)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source_time(ms: i64) -> SourceTime {
        SourceTime {
            time: EventTime::from_millis(ms),
            is_of_reader: false,
        }
    }

    fn median(times: impl IntoIterator<Item = i64>) -> Option<i64> {
        let mut sample = TimeSample::default();
        times.into_iter().for_each(|ms| sample.add(source_time(ms)));
        assert!(sample.times.len() <= CAPACITY, "bounded");
        sample.take_median().map(|median| median.time.as_millis())
    }

    #[test]
    fn the_median_of_few_times_is_exact() {
        assert_eq!(median([]), None, "without times");
        assert_eq!(median([7]), Some(7), "of one");
        assert_eq!(median([9, 7]), Some(7), "of two, the earlier");
        assert_eq!(median([9, 7, 8_000_000]), Some(9), "of three");
    }

    #[test]
    fn the_sample_of_many_times_covers_all_of_them_evenly() {
        for records in [64, 65, 128, 129, 1000, 100_000] {
            let estimate = median(0..records).unwrap();
            let error = (estimate - records / 2).abs();
            assert!(error <= records / 32, "{estimate} of {records}");
        }
    }
}

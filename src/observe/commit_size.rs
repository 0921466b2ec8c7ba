//! The size at which a commit is closed.
//!
//! A commit should be large enough that what every commit repeats does not matter, and small enough
//! for the log. The counts of one record of 10,000 features take 240 KB and those of 1,000 records
//! little more, because most of them fall into bins and cells that are already there. So a commit
//! is closed relative to its first record, and never after a handful of records because there are
//! many features.

/// Size of a commit in the log, in bytes, at which it is closed if its first record was small.
///
/// A Kafka broker accepts 1 MiB per record unless configured otherwise.
const LARGE_COMMIT_BYTES: usize = 512 * 1024;
/// Size at which a commit is closed, in sizes of its first record.
const FIRST_RECORDS: usize = 4;
/// Size below which refusals do not halve a commit, in bytes.
///
/// Several commits of the refused size may be on their way, and each refusal halves again.
const SMALLEST_HALF_BYTES: usize = 32 * 1024;
/// Most records between two estimates of a commit's size.
const MAX_RECORDS_PER_ESTIMATE: usize = 256;
/// Bytes by which a record may let a feature's counts grow: a few empty bins and cells between the
/// others and the new one.
const GROWTH_PER_FEATURE: usize = 16;
/// Bytes that the first record of a pane takes for each feature.
const FIRST_PER_FEATURE: usize = 48;
/// A record is expected to add at least this part of the bytes that it may add at most.
const SLOWEST_GROWTH: usize = 16;

/// The limits of a commit's size in the log, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CommitSize {
    /// Size at which a commit is closed if its first record was small.
    usual: usize,
    /// Size at which a commit is closed whatever its first record took.
    largest: usize,
}

impl Default for CommitSize {
    fn default() -> Self {
        CommitSize::at_most(LARGE_COMMIT_BYTES)
    }
}

impl CommitSize {
    /// Returns the limits of a log that accepts `largest` bytes.
    pub(super) fn at_most(largest: usize) -> Self {
        CommitSize {
            usual: LARGE_COMMIT_BYTES.min(largest),
            largest,
        }
    }

    /// Returns half the limits, but not less than 32 KiB, nor more than the limits.
    pub(super) fn halved(self) -> Self {
        let half = self.usual / 2;
        CommitSize::at_most(half.max(SMALLEST_HALF_BYTES.min(self.usual)))
    }

    /// Returns the size at which a commit is closed whose first record took `first_record` bytes.
    fn limit(self, first_record: usize) -> usize {
        self.usual
            .max(first_record.saturating_mul(FIRST_RECORDS))
            .min(self.largest)
    }
}

/// The size of the commit that is being counted.
///
/// An estimate visits every bin and cell of all open panes, which takes about as long as counting a
/// record into each of them. So the time of the next one follows from the growth that was seen and
/// not from the largest possible one: most records fall into bins and cells that are already there.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CommitSizeEstimate {
    /// Size after the first record of the commit; `None` before it.
    first_record: Option<usize>,
    /// Size at the latest estimate.
    bytes: usize,
    /// Records since the latest estimate.
    records: usize,
    /// Records after which the size is estimated again at the latest.
    most_records: usize,
    /// Bytes that a record is expected to add: twice as many as before the latest estimate.
    growth: usize,
    /// Bytes that the commit may grow until the size is estimated again.
    left: usize,
}

impl CommitSizeEstimate {
    /// Counts a record that opened panes of so many features; returns true if the size is to be
    /// estimated again.
    pub(super) fn is_due(&mut self, opened_features: usize) -> bool {
        self.records += 1;
        let added = self.growth + opened_features * FIRST_PER_FEATURE;
        self.left = self.left.saturating_sub(added);
        self.left == 0 || self.records >= self.most_records
    }

    /// Returns true if a commit of `bytes` should not grow any more; `features` is the number of
    /// those whose counts may grow with the next record.
    ///
    /// However fast it grows, the next estimate comes before the commit is too large for the log.
    pub(super) fn is_large(&mut self, bytes: usize, features: usize, size: CommitSize) -> bool {
        let first_record = *self.first_record.get_or_insert(bytes);
        let fastest = (features * GROWTH_PER_FEATURE).max(1);
        let seen = bytes.saturating_sub(self.bytes) / self.records.max(1);
        self.growth = (2 * seen).clamp(fastest.div_ceil(SLOWEST_GROWTH), fastest);
        self.left = size.limit(first_record).saturating_sub(bytes);
        self.most_records =
            (size.largest.saturating_sub(bytes) / fastest).clamp(1, MAX_RECORDS_PER_ESTIMATE);
        (self.bytes, self.records) = (bytes, 0);
        self.left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Above 7,000 features every record became a commit.
    #[test]
    fn a_commit_is_closed_relative_to_its_first_record_within_the_limit_of_the_log() {
        let size = CommitSize::at_most(3 << 20);
        assert_eq!(size.limit(100), 512 << 10, "small records");
        assert_eq!(size.limit(250 << 10), 1000 << 10, "10,000 features");
        assert_eq!(size.limit(1 << 20), 3 << 20, "the log accepts no more");
        let halved = size.halved();
        assert_eq!(halved.limit(1 << 20), 256 << 10, "after a refusal");
        assert_eq!(halved.halved().limit(1), 128 << 10, "and another one");
    }

    /// The refusals of commits that were already on their way halved the size down to nothing, and
    /// every record was a commit until the restart.
    #[test]
    fn repeated_refusals_leave_commits_of_many_records() {
        let refuse = |size| (0..20).fold(size, |size: CommitSize, _| size.halved());
        let usual = refuse(CommitSize::default());
        assert_eq!(usual.limit(250), 32 << 10, "many small records");
        let small = refuse(CommitSize::at_most(10_000));
        assert_eq!(small.limit(250), 10_000, "not more than the log accepts");
    }

    /// Returns the number of records until the next estimate.
    fn records_until_due(estimate: &mut CommitSizeEstimate) -> usize {
        (1..).find(|_| estimate.is_due(0)).unwrap()
    }

    #[test]
    fn the_size_is_estimated_more_often_close_to_the_limit() {
        let (mut estimate, size) = (CommitSizeEstimate::default(), CommitSize::default());
        assert!(estimate.is_due(10), "the first record");
        assert!(!estimate.is_large(250, 10, size), "far from the limit");
        assert_eq!(records_until_due(&mut estimate), 256);
        assert!(!estimate.is_large((512 << 10) - 400, 10, size), "close");
        assert_eq!(records_until_due(&mut estimate), 2);
        assert!(estimate.is_large(512 << 10, 10, size), "at the limit");
    }

    /// The counts of a backlog's panes were summed up for every record once they took most of a
    /// commit, although they did not grow any more: three times the work of counting the record.
    #[test]
    fn the_size_of_counts_that_do_not_grow_is_seldom_estimated() {
        let size = CommitSize::at_most(1 << 20);
        let (features, bytes) = (100 * 8, 500_000);
        let mut estimate = CommitSizeEstimate::default();
        assert!(estimate.is_due(features));
        estimate.is_large(features * 30, features, size);
        let estimates = (0..1000)
            .filter(|_| {
                let is_due = estimate.is_due(0);
                if is_due {
                    assert!(!estimate.is_large(bytes, features, size));
                }
                is_due
            })
            .count();
        assert!(estimates < 50, "{estimates} estimates of 1,000 records");
    }

    #[test]
    fn opened_panes_are_part_of_the_growth() {
        let (mut estimate, size) = (CommitSizeEstimate::default(), CommitSize::at_most(8 << 20));
        assert!(estimate.is_due(1000));
        assert!(!estimate.is_large(30_000, 1000, size));
        let panes = (1..).find(|_| estimate.is_due(1000)).unwrap();
        assert!((5..20).contains(&panes), "{panes} panes of 48 KB and more");
    }

    /// The log refuses a commit that is too large, so the fastest growth counts close to its limit.
    #[test]
    fn no_growth_exceeds_the_limit_of_the_log_between_two_estimates() {
        let size = CommitSize::at_most(1 << 20);
        let features = 1000;
        let mut estimate = CommitSizeEstimate::default();
        let mut bytes = 30_000;
        assert!(estimate.is_due(features));
        assert!(!estimate.is_large(bytes, features, size));
        for record in 0..1000 {
            // The counts stop to grow, and then grow as fast as they can.
            let is_fast = bytes < 400_000 || record > 500;
            bytes += if is_fast {
                features * GROWTH_PER_FEATURE
            } else {
                0
            };
            assert!(bytes < 1 << 20, "record {record}: {bytes} bytes");
            if estimate.is_due(0) && estimate.is_large(bytes, features, size) {
                return;
            }
        }
        panic!("never large: {bytes} bytes");
    }
}

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
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CommitSizeEstimate {
    /// Size after the first record of the commit; `None` before it.
    first_record: Option<usize>,
    /// Records until the size is estimated again.
    records_left: usize,
}

impl CommitSizeEstimate {
    /// Counts a record; returns true if the size is to be estimated again.
    pub(super) fn is_due(&mut self, opened_pane: bool) -> bool {
        self.records_left = self.records_left.saturating_sub(1);
        opened_pane || self.records_left == 0
    }

    /// Returns true if a commit of `bytes` should not grow any more; `features` is the number of
    /// those whose counts may grow with the next record.
    pub(super) fn is_large(&mut self, bytes: usize, features: usize, size: CommitSize) -> bool {
        let first_record = *self.first_record.get_or_insert(bytes);
        let left = size.limit(first_record).saturating_sub(bytes);
        let growth = (features * GROWTH_PER_FEATURE).max(1);
        self.records_left = (left / growth).clamp(1, MAX_RECORDS_PER_ESTIMATE);
        left == 0
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

    #[test]
    fn the_size_is_estimated_more_often_close_to_the_limit() {
        let (mut estimate, size) = (CommitSizeEstimate::default(), CommitSize::default());
        assert!(estimate.is_due(true), "the first record opens a pane");
        assert!(!estimate.is_large(250, 10, size), "far from the limit");
        assert!(!(1..256).any(|_| estimate.is_due(false)), "255 records");
        assert!(estimate.is_due(false), "the 256th");
        assert!(!estimate.is_large((512 << 10) - 400, 10, size), "close");
        assert!(!estimate.is_due(false), "one more record");
        assert!(estimate.is_due(false), "the second");
        assert!(estimate.is_large(512 << 10, 10, size), "at the limit");
    }
}

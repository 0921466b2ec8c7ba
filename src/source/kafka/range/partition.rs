//! The offsets of a range in one partition.

use crate::model::Shard;

/// The offsets of a range in one partition, `[begin, end)`; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangePartition {
    /// The partition, without cluster and incarnation.
    pub shard: Shard,
    /// The first offset.
    pub begin: i64,
    /// The offset after the last one.
    pub end: i64,
    /// The range begins at the oldest record of the partition, and older ones were deleted: some of
    /// them may have been in the range.
    pub is_truncated: bool,
}

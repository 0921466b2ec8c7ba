//! Records that could not be decoded, as a log line needs them: how many, why, and where one of
//! them is.
//!
//! The counters have only the number by reason. To find the producer of a broken record, a person
//! needs its topic, partition and offset.

use std::sync::Arc;

use crate::decode::DecodeError;
use crate::model::Shard;

/// Records that could not be decoded for one reason, since the last report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedRecords {
    /// The reason, the same for all of them.
    pub error: DecodeError,
    /// The number of records.
    pub count: u64,
    /// The shard of the first of them.
    pub shard: Arc<Shard>,
    /// The offset of the first of them.
    pub offset: i64,
}

/// Collects undecodable records by reason until they are reported.
#[derive(Debug, Default)]
pub(super) struct Rejections {
    /// At most one entry per reason.
    by_reason: Vec<RejectedRecords>,
}

impl Rejections {
    /// Counts a record of a shard.
    pub(super) fn add(&mut self, error: DecodeError, shard: &Arc<Shard>, offset: i64) {
        match self
            .by_reason
            .iter_mut()
            .find(|rejected| rejected.error == error)
        {
            Some(rejected) => rejected.count += 1,
            None => self.by_reason.push(RejectedRecords {
                error,
                count: 1,
                shard: Arc::clone(shard),
                offset,
            }),
        }
    }

    /// Takes everything since the last call.
    pub(super) fn take(&mut self) -> Vec<RejectedRecords> {
        std::mem::take(&mut self.by_reason)
    }
}

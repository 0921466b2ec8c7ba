//! The partition at which the windows of a monitor wait.
//!
//! A watermark is the minimum over all shards, so one partition can hold all windows while records
//! arrive on the others. Without its name, the operator sees stale windows and a healthy source.

use std::fmt;

use crate::model::{EventTime, Shard};

/// The reason why the watermark of a monitor does not move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatermarkHold {
    /// So many partitions of the source were never read.
    Unread(usize),
    /// No time of the monitor could be read from a record of the shard yet.
    NoTime(Shard),
    /// The newest event of the shard is old.
    OldEvent(Shard, EventTime),
    /// The shard was read only up to this time: neither a record nor a confirmed end came after it.
    NotRead(Shard, EventTime),
}

impl fmt::Display for WatermarkHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name =
            |shard: &Shard| format!("partition {} of topic {}", shard.partition, shard.topic);
        match self {
            WatermarkHold::Unread(1) => write!(f, "a partition of the source was never read"),
            WatermarkHold::Unread(count) => {
                write!(f, "{count} partitions of the source were never read")
            }
            WatermarkHold::NoTime(shard) => {
                write!(f, "no event time was read from {} yet", name(shard))
            }
            WatermarkHold::OldEvent(shard, newest) => {
                write!(f, "the newest event of {} is from {newest}", name(shard))
            }
            WatermarkHold::NotRead(shard, read_time) => {
                write!(f, "{} was read only up to {read_time}", name(shard))
            }
        }
    }
}

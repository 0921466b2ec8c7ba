//! Where records come from.
//!
//! A source is polled by the thread that owns it and hands each record to a sink by reference: no channel, lock or copy per record.

pub mod files;
mod kafka;
mod rows;

use std::time::Duration;

use crate::model::{Shard, TopicId};

pub use kafka::range;
pub use kafka::{KafkaSource, SourceError, Timing, client_problem, property_problems};
pub use rows::{Rows, RowsError, Size};

/// A record as it arrived.
#[derive(Debug, Clone, Copy)]
pub struct RawRecord<'a> {
    /// The slot the sink was told of by `opened`.
    pub slot: usize,
    /// Position in its shard.
    pub offset: i64,
    /// The source's own time of the record, milliseconds since the epoch.
    pub timestamp_ms: Option<i64>,
    /// `None` = a tombstone.
    pub payload: Option<&'a [u8]>,
}

/// What takes records and news of a source, in order.
pub trait Sink {
    /// The source has this many shards, whoever reads them.
    fn extent(&mut self, shards: u32);
    /// A shard is read from offset `base` on; `from_start` when nothing was ever before it. `slot` is what records will carry: 0, 1, 2, ...
    fn opened(&mut self, slot: usize, shard: &Shard, base: i64, from_start: bool);
    /// The id of the topic a shard's records come from, as soon as it is known.
    fn identified(&mut self, slot: usize, topic_id: TopicId);
    /// One record.
    fn record(&mut self, record: RawRecord<'_>);
    /// Everything before `upto` was handed on; `caught_up` when it was the end of the shard at this moment. `upto` may lie beyond the last record + 1
    /// (control records, aborted transactions, compaction, what retention took). A silent shard says so again every few seconds, as long as it can know.
    fn position(&mut self, slot: usize, upto: i64, caught_up: bool);
    /// Retention took this many offsets before they were read; the next `position` lies behind them.
    fn lost(&mut self, slot: usize, offsets: u64);
    /// A shard is no longer read.
    fn closed(&mut self, slot: usize);
}

/// How far a partition was counted by whoever read it before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResumePoint {
    /// Not known yet: ask again soon.
    Pending,
    /// It was never counted.
    Unread,
    /// It was counted up to `upto`, in this life of its.
    At {
        /// Which life.
        incarnation: u32,
        /// The next offset to count.
        upto: i64,
        /// The topic it was counted from, where that is known.
        topic_id: Option<TopicId>,
    },
}

/// Who knows how far a partition was counted; its life is not looked at.
pub type ResumeLookup = Box<dyn Fn(&Shard) -> ResumePoint + Send>;

/// A stream of records.
pub trait Source {
    /// Waits at most `wait` for records and hands what there is to `sink`; returns `false` at the end of the input.
    fn poll(&mut self, wait: Duration, sink: &mut dyn Sink) -> bool;
    /// Everything before `upto` of a shard is safe with the scorer: positions a restart may resume at.
    fn accepted(&mut self, slot: usize, upto: i64);
    /// What was counted of a shard does not count: somebody else read it. It is let go, and begun again at the head after a while if it is still ours.
    fn rejected(&mut self, slot: usize, sink: &mut dyn Sink);
}

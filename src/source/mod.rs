//! Sources of records: Kafka topics, ranges of topics, and data files.
//!
//! One thread owns a live source and polls it. The source passes each record to a [`Sink`] by
//! reference, so a record costs no channel, lock or copy. Commands read finite [`Rows`] instead:
//! a data file, or a range of a topic.

mod decimal;
pub mod files;
mod kafka;
mod rows;
mod separator;
mod text_encoding;

use std::time::Duration;

use crate::model::{EventTime, Shard, TopicId};

pub use kafka::range;
pub use kafka::{KafkaSource, SourceError, Timing, client_problem, property_problems};
pub use rows::{Rows, RowsError, Size};

/// A record as the source delivered it.
#[derive(Debug, Clone, Copy)]
pub struct RawRecord<'a> {
    /// The number of its shard, as in [`Sink::opened`].
    pub slot: usize,
    /// Position in its shard.
    pub offset: i64,
    /// The timestamp that the source holds for it, in milliseconds since the epoch.
    pub timestamp_ms: Option<i64>,
    /// The bytes of the record; `None` for a tombstone.
    pub payload: Option<&'a [u8]>,
}

/// The receiver of records and of changes of their shards, in order.
pub trait Sink {
    /// The source has this many shards in total, whichever process reads them.
    fn extent(&mut self, shards: u32);
    /// Reading of a shard starts at offset `base`; `from_start` if no offset precedes `base`.
    /// Records of the shard carry `slot`. Slots count 0, 1, 2, ...; a shard that is closed and
    /// opened again may get its slot back.
    fn opened(&mut self, slot: usize, shard: &Shard, base: i64, from_start: bool);
    /// Reports the id of the shard's topic, once it is known.
    fn identified(&mut self, slot: usize, topic_id: TopicId);
    /// Delivers one record.
    fn record(&mut self, record: RawRecord<'_>);
    /// Every record before offset `upto` was delivered; with `confirmed_at`, every record that the
    /// shard held at that moment.
    ///
    /// `upto` may be greater than the last record's offset + 1: control records, aborted
    /// transactions, compaction and retention leave gaps. The call is repeated about every second
    /// with a later `confirmed_at`, with or without new records, as long as the partition's leader
    /// reports its end. Nothing else is a confirmation: an unreachable leader is silent as well.
    fn position(&mut self, slot: usize, upto: i64, confirmed_at: Option<EventTime>);
    /// The log lost this many offsets: retention deleted them before they were read, or its end was
    /// cut off. The next `position` is behind them.
    fn lost(&mut self, slot: usize, offsets: u64);
    /// The source no longer reads the shard.
    fn closed(&mut self, slot: usize);
}

/// The position up to which an earlier reader counted a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResumePoint {
    /// Not known yet; the lookup must be repeated.
    Pending,
    /// The partition was never counted.
    Unread,
    /// The partition was counted up to an offset of one of its incarnations.
    At {
        /// The incarnation that was counted.
        incarnation: u32,
        /// The next offset to count.
        upto: i64,
        /// The id of the topic that was counted, if known.
        topic_id: Option<TopicId>,
    },
}

/// Looks up how far a partition was counted, ignoring the shard's incarnation.
pub type ResumeLookup = Box<dyn Fn(&Shard) -> ResumePoint + Send>;

/// Forgets the answer of a [`ResumeLookup`] about a partition that is not opened: by the time it
/// is, its owner may have counted more.
pub type ResumeRelease = Box<dyn Fn(&Shard) + Send>;

/// A live stream of records.
pub trait Source {
    /// Delivers the records that are available, or waits for the first one up to about `wait`;
    /// returns `false` at the end of the input.
    ///
    /// `wait` limits only the wait for records. A call may return earlier. It may also take
    /// longer: the sink takes its time, and a Kafka source sends requests to brokers on the same
    /// thread, each with a timeout of its own ([`Timing::request`]).
    fn poll(&mut self, wait: Duration, sink: &mut dyn Sink) -> bool;
    /// Publishes what was read so far. Called before counts are handed on, so that nobody sees more
    /// events than records.
    fn publish(&mut self) {}
    /// Marks everything before `upto` of a shard as stored in the pane log; a restart may resume
    /// there.
    fn accepted(&mut self, slot: usize, upto: i64);
    /// Stops reading a shard because the pane log rejected its counts: another process counted the
    /// same offsets.
    ///
    /// After a pause the source opens the partition again at the head of the pane log, if the
    /// partition is still assigned to it.
    fn rejected(&mut self, slot: usize, sink: &mut dyn Sink);
}

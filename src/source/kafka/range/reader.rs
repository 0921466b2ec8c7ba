//! Reads a range, partition by partition, in the order that the caller chooses.
//!
//! Each partition has a queue of its own. librdkafka stops fetching a partition whose queue is
//! full, so memory is bounded, and the order depends on the caller and not on the network. A
//! partition is complete when the client's *position* reaches the end of the range. To wait for the
//! last record would be wrong: it may be a control record, belong to an aborted transaction, or
//! have been removed by compaction.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::buffer::{RangeRecord, RecordBuffer};
use super::error::RangeError;
use super::partition::RangePartition;
use super::session::Session;
use crate::clock;
use crate::kafka::{TopicPartition, partition_list};
use crate::source::kafka::error_code::stops_reading;
use crate::source::kafka::health::ProblemScope;
use crate::source::kafka::settings::SourceError;

/// The longest wait for records, so that callbacks are served at least this often.
const MAX_DRAIN_WAIT: Duration = Duration::from_millis(100);

/// The least number of offsets between two reports of the progress.
const OFFSETS_PER_REPORT: u64 = 1024;

/// One reading of a range.
pub struct RangeReader {
    session: Session,
    cursors: Vec<PartitionCursor>,
    /// The offsets that were passed in all partitions.
    passed: u64,
    /// The value of `passed` that was reported last.
    reported: u64,
}

/// The reading of one partition.
struct PartitionCursor {
    range: RangePartition,
    /// The index of its partition queue.
    queue: usize,
    buffer: RecordBuffer,
    /// The offset of the last record returned; before the first, the one before the range.
    last_offset: i64,
}

impl PartitionCursor {
    fn name(&self) -> TopicPartition {
        TopicPartition::from(&self.range.shard)
    }
}

impl RangeReader {
    pub(super) fn try_new(
        mut session: Session,
        partitions: &[RangePartition],
    ) -> Result<Self, RangeError> {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        let mut cursors = Vec::with_capacity(partitions.len());
        for range in partitions {
            let (topic, partition) = (&range.shard.topic, range.shard.partition);
            let queue = session.client.open_partition_queue(topic, partition);
            list.add_partition_offset(topic, partition, Offset::Offset(range.begin))
                .map_err(|error| session.client_rejection(&error))?;
            cursors.push(PartitionCursor {
                queue: queue.ok_or(SourceError::Queue)?,
                buffer: RecordBuffer::new(range.begin, range.end),
                last_offset: range.begin - 1,
                range: range.clone(),
            });
        }
        session
            .client
            .consumer()
            .assign(&list)
            .map_err(|error| session.client_rejection(&error))?;
        Ok(RangeReader {
            session,
            cursors,
            passed: 0,
            reported: 0,
        })
    }

    /// Waits for the next record of a partition, by its index in the range; `None` at the end.
    ///
    /// # Errors
    /// No record arrived for longer than the range's patience, or retention deleted records of the
    /// range.
    pub fn next(&mut self, slot: usize) -> Result<Option<RangeRecord<'_>>, RangeError> {
        if !self.fill(slot)? {
            return Ok(None);
        }
        let cursor = &mut self.cursors[slot];
        let record = cursor.buffer.take();
        if let Some(record) = record {
            self.passed += (record.offset - cursor.last_offset).unsigned_abs();
            cursor.last_offset = record.offset;
        }
        Ok(record)
    }

    /// Returns the offsets passed in all partitions, if they grew enough since the last report.
    pub fn look(&mut self) -> Option<u64> {
        if self.passed < self.reported + OFFSETS_PER_REPORT {
            return None;
        }
        self.reported = self.passed;
        Some(self.passed)
    }

    /// Fetches until the buffer has a record; returns `false` at the end of the range.
    fn fill(&mut self, slot: usize) -> Result<bool, RangeError> {
        let mut progress_at = None;
        while self.cursors[slot].buffer.is_empty() {
            if self.cursors[slot].buffer.is_complete() {
                return Ok(false);
            }
            let offset_before = self.cursors[slot].buffer.next_offset;
            self.fetch(slot)?;
            let has_advanced = self.cursors[slot].buffer.next_offset > offset_before;
            self.check_patience(slot, has_advanced, &mut progress_at)?;
        }
        Ok(true)
    }

    fn fetch(&mut self, slot: usize) -> Result<(), RangeError> {
        let cursor = &mut self.cursors[slot];
        cursor.buffer.clear();
        self.session
            .client
            .drain_partition(cursor.queue, MAX_DRAIN_WAIT, &mut cursor.buffer);
        self.session.handle_callback_events();
        self.handle_failure(slot)?;
        let buffer = &self.cursors[slot].buffer;
        if buffer.is_empty()
            && !buffer.is_complete()
            && let Some(position) = self.position(slot)
        {
            self.cursors[slot].buffer.advance_to(position);
        }
        if self.cursors[slot].buffer.is_complete() {
            self.unassign(slot);
        }
        Ok(())
    }

    fn handle_failure(&mut self, slot: usize) -> Result<(), RangeError> {
        let cursor = &mut self.cursors[slot];
        let name = cursor.name();
        let health = &mut self.session.health;
        match cursor.buffer.failure.take() {
            Some(code) if stops_reading(code) => Err(RangeError::Lost {
                topic: name.topic,
                partition: name.partition,
                offset: cursor.buffer.next_offset,
            }),
            Some(code) => {
                let scope = ProblemScope::Partition(name);
                let problem = scope.describe(code);
                health.set_problem(scope, Some(problem));
                Ok(())
            }
            None if !cursor.buffer.is_empty() => {
                health.answered();
                health.set_problem(ProblemScope::Partition(name), None);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Returns an error if the partition has made no progress for too long; `progress_at` is the
    /// time of the last progress, or of the first check.
    fn check_patience(
        &self,
        slot: usize,
        has_advanced: bool,
        progress_at: &mut Option<Instant>,
    ) -> Result<(), RangeError> {
        let now = clock::monotonic();
        let since = *progress_at.get_or_insert(now);
        if has_advanced {
            *progress_at = Some(now);
        } else if now.duration_since(since) >= self.session.patience {
            return Err(self.silent(slot));
        }
        Ok(())
    }

    fn silent(&self, slot: usize) -> RangeError {
        let PartitionCursor { range, buffer, .. } = &self.cursors[slot];
        let problem = buffer
            .reported_end
            .map(|end| format!("the partition now ends at {end}"))
            .or_else(|| self.session.health.problem())
            .unwrap_or_else(|| "no broker sent anything".to_owned());
        RangeError::Silent {
            topic: range.shard.topic.clone(),
            partition: range.shard.partition,
            offset: buffer.next_offset,
            end: range.end,
            patience: self.session.patience,
            problem,
        }
    }

    /// The client's position in a partition, which is past control records.
    fn position(&self, slot: usize) -> Option<i64> {
        let mut list = partition_list([&self.cursors[slot].name()]);
        self.session.client.positions(&mut list);
        match list.elements().first()?.offset() {
            Offset::Offset(position) => Some(position),
            _ => None,
        }
    }

    /// Stops fetching a partition that was read to the end of the range.
    fn unassign(&self, slot: usize) {
        let name = self.cursors[slot].name();
        let list = partition_list([&name]);
        if let Err(error) = self.session.client.consumer().incremental_unassign(&list) {
            let TopicPartition { topic, partition } = name;
            tracing::debug!(topic, partition, %error, "cannot unassign a partition");
        }
    }
}

impl std::fmt::Debug for RangeReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RangeReader")
            .field("passed", &self.passed)
            .finish_non_exhaustive()
    }
}

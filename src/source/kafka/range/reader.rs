//! Reads a range, partition by partition in any order the caller likes.
//!
//! Each partition has a queue of its own, so that one that is not asked for fills its queue and is then left alone by librdkafka: memory is bounded, and the
//! caller decides the order, not the network. A partition is at its end when the client's *position* is: the last record of a range may be a control record,
//! or of an aborted transaction, or gone by compaction, and would be waited for in vain.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::buffer::{Buffer, RangeRecord};
use super::session::Session;
use super::{RangeError, RangePart};
use crate::clock;
use crate::source::kafka::health::Concern;
use crate::source::kafka::list_offsets::list_of;
use crate::source::kafka::resume::needs_restart;

/// The longest wait for records: callbacks are served this often.
const DRAIN: Duration = Duration::from_millis(100);

/// Offsets between two looks at how far a range was read.
const OFFSETS_PER_LOOK: u64 = 1024;

/// A reading of a range.
pub struct RangeReader {
    session: Session,
    parts: Vec<Part>,
    passed: u64,
    looked_at: u64,
}

struct Part {
    part: RangePart,
    /// Its queue.
    tap: usize,
    buffer: Buffer,
    /// The last record handed over, or what is before the first.
    last: i64,
}

impl RangeReader {
    pub(super) fn try_new(mut session: Session, parts: &[RangePart]) -> Result<Self, RangeError> {
        let mut list = TopicPartitionList::with_capacity(parts.len());
        let mut own = Vec::with_capacity(parts.len());
        for part in parts {
            let (topic, partition) = (&part.shard.topic, part.shard.partition);
            let tap = session.link.tap(topic, partition);
            list.add_partition_offset(topic, partition, Offset::Offset(part.begin))
                .map_err(|error| session.refused(&error))?;
            own.push(Part {
                tap: tap.ok_or(super::SourceError::Queue)?,
                buffer: Buffer::new(part.begin, part.end),
                last: part.begin - 1,
                part: part.clone(),
            });
        }
        let assigned = session.link.consumer().assign(&list);
        assigned.map_err(|error| session.refused(&error))?;
        Ok(RangeReader {
            session,
            parts: own,
            passed: 0,
            looked_at: 0,
        })
    }

    /// The next record of a partition, by its place in the range; `None` at its end. Waits for it.
    ///
    /// # Errors
    /// Nothing came for longer than the range's patience, or retention was faster.
    pub fn next(&mut self, slot: usize) -> Result<Option<RangeRecord<'_>>, RangeError> {
        if !self.fill(slot)? {
            return Ok(None);
        }
        let part = &mut self.parts[slot];
        let record = part.buffer.take();
        if let Some(record) = record {
            self.passed += (record.offset - part.last).unsigned_abs();
            part.last = record.offset;
        }
        Ok(record)
    }

    /// Offsets that were passed, of all partitions, when there are enough more than last time to be worth telling.
    pub fn look(&mut self) -> Option<u64> {
        if self.passed < self.looked_at + OFFSETS_PER_LOOK {
            return None;
        }
        self.looked_at = self.passed;
        Some(self.passed)
    }

    /// Whether there is a record, after waiting for one.
    fn fill(&mut self, slot: usize) -> Result<bool, RangeError> {
        let mut heard_at = None;
        while self.parts[slot].buffer.is_empty() {
            if self.parts[slot].buffer.is_complete() {
                return Ok(false);
            }
            let before = self.parts[slot].buffer.next;
            self.fetch(slot)?;
            let is_news = self.parts[slot].buffer.next > before;
            self.check_silence(slot, is_news, &mut heard_at)?;
        }
        Ok(true)
    }

    fn fetch(&mut self, slot: usize) -> Result<(), RangeError> {
        let part = &mut self.parts[slot];
        part.buffer.clear();
        let link = &self.session.link;
        link.drain_tap(part.tap, DRAIN, &mut part.buffer);
        self.session.listen();
        self.look_at_failure(slot)?;
        let part = &mut self.parts[slot];
        if part.buffer.is_empty() && !part.buffer.is_complete() {
            let position = position(&self.session, &part.part);
            part.buffer.reached(position.unwrap_or(part.buffer.next));
        }
        if self.parts[slot].buffer.is_complete() {
            self.leave(slot);
        }
        Ok(())
    }

    fn look_at_failure(&mut self, slot: usize) -> Result<(), RangeError> {
        let part = &mut self.parts[slot];
        let shard = &part.part.shard;
        let concern = Concern::Partition(shard.topic.clone(), shard.partition);
        match part.buffer.failure.take() {
            Some((code, _)) if needs_restart(code) => Err(RangeError::Lost {
                topic: shard.topic.clone(),
                partition: shard.partition,
                offset: part.buffer.next,
            }),
            Some((code, _)) => {
                let problem = concern.describe(code);
                self.session.health.set(concern, Some(problem));
                Ok(())
            }
            None if !part.buffer.is_empty() => {
                self.session.health.answered();
                self.session.health.set(concern, None);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Begins to wait where it must, and gives up when that takes too long.
    fn check_silence(
        &self,
        slot: usize,
        is_news: bool,
        heard_at: &mut Option<Instant>,
    ) -> Result<(), RangeError> {
        let now = clock::monotonic();
        let since = *heard_at.get_or_insert(now);
        if is_news {
            *heard_at = Some(now);
        } else if now.duration_since(since) >= self.session.patience {
            return Err(self.silent(slot));
        }
        Ok(())
    }

    fn silent(&self, slot: usize) -> RangeError {
        let Part { part, buffer, .. } = &self.parts[slot];
        let shorter = |end: i64| format!("the partition now ends at {end}");
        let problem = buffer.told_end.map(shorter).or(self.session.problem());
        RangeError::Silent {
            topic: part.shard.topic.clone(),
            partition: part.shard.partition,
            offset: buffer.next,
            end: part.end,
            patience: self.session.patience,
            problem: problem.unwrap_or_else(|| "no broker sent anything".to_owned()),
        }
    }

    /// Stops to fetch a partition that was read to its end; what lies behind is of no use.
    fn leave(&self, slot: usize) {
        let shard = &self.parts[slot].part.shard;
        let list = list_of(&[(shard.topic.clone(), shard.partition)]);
        if let Err(error) = self.session.link.consumer().incremental_unassign(&list) {
            tracing::debug!(topic = shard.topic, partition = shard.partition, %error, "partition was not assigned");
        }
    }
}

/// What the client hands on next: past control records.
fn position(session: &Session, part: &RangePart) -> Option<i64> {
    let mut list = list_of(&[(part.shard.topic.clone(), part.shard.partition)]);
    session.link.positions(&mut list);
    match list.elements().first()?.offset() {
        Offset::Offset(position) => Some(position),
        _ => None,
    }
}

impl std::fmt::Debug for RangeReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RangeReader")
            .field("passed", &self.passed)
            .finish_non_exhaustive()
    }
}

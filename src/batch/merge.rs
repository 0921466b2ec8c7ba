//! Replays the partitions of a topic range as one stream in event time.
//!
//! **Order.** The next record is always read from the partition whose newest event is the oldest.
//! So the order depends on the records alone and not on which broker answers first. No partition
//! runs ahead of the slowest by more than one record, so memory holds the panes of a short span of
//! event time and not those of the whole range. Reading one partition after the other would be
//! simpler, but would keep every pane of a month until the last partition is read. The order
//! follows event time and not Kafka's time, because a topic may have been filled later, partition
//! by partition.
//!
//! **Clock.** The newest event of the slowest partition replaces the wall clock of a live stream:
//! at that moment, every partition has been read up to that time. Commits carry it as their write
//! time, as the time up to which their shard was read, and as the arrival of their events. So a
//! partition without events of a monitor becomes idle after `idle_after`, as it does live, and does
//! not hold the monitor's windows until the end of the range. The same is true for a partition that
//! has been read to its end.
//!
//! **Commits.** A shard's commit closes when its own watermark enters another pane, exactly as for
//! a file: a topic of one partition gives the same evaluations as a file with its records. In
//! between, all shards send heartbeats.
//!
//! Kafka's time of a record replaces its arrival time: `max_future` is measured from it, and
//! records without a time of their own may use it.

use indicatif::ProgressBar;

use super::evaluation::{OnEvaluation, apply};
use crate::engine::Engine;
use crate::ingest::{Flushed, Ingest};
use crate::model::EventTime;
use crate::source::range::{RangeError, RangeReader, TopicRange};
use crate::source::{RawRecord, Sink as _};

/// Reads a range, applies its commits to the engine, and moves `bar` along.
///
/// # Errors
/// The range cannot be read to its end.
pub(super) fn read(
    range: &TopicRange,
    ingest: Ingest,
    engine: &mut Engine,
    bar: &ProgressBar,
    on_evaluation: OnEvaluation<'_>,
) -> Result<(), RangeError> {
    let mut reader = range.open()?;
    let mut merge = Merge::new(range, ingest);
    while let Some(slot) = merge.order.slowest() {
        merge.step(slot, &mut reader)?;
        merge.flush_due(slot, engine, on_evaluation);
        if let Some(position) = reader.look() {
            bar.set_position(position);
        }
    }
    merge.flush_all(engine, on_evaluation);
    Ok(())
}

/// The state of a merge; a slot is the index of a partition in the range.
struct Merge<'a> {
    range: &'a TopicRange,
    ingest: Ingest,
    order: ReadOrder,
    /// Newest event of the slowest partition; `None` until every partition has shown an event.
    clock: Option<EventTime>,
    /// Clock of the latest heartbeat.
    last_heartbeat: Option<EventTime>,
    /// Commits that open the shards, held until the clock starts: all shards begin at that time.
    opening: Vec<Flushed>,
}

impl<'a> Merge<'a> {
    fn new(range: &'a TopicRange, mut ingest: Ingest) -> Self {
        for (slot, part) in range.parts().iter().enumerate() {
            // Not from the start, even at offset 0: nothing is known about records before a range.
            ingest.opened(slot, &part.shard, part.begin, false);
        }
        Merge {
            order: ReadOrder::new(range.parts().len()),
            range,
            opening: ingest.flush(),
            ingest,
            clock: None,
            last_heartbeat: None,
        }
    }

    /// Counts the next record of a partition, or registers its end.
    fn step(&mut self, slot: usize, reader: &mut RangeReader) -> Result<(), RangeError> {
        match reader.next(slot)? {
            Some(record) => {
                let arrived_at = record.time.filter(|at| at.as_millis() > 0);
                self.ingest.set_now(arrived_at);
                self.ingest.record(RawRecord {
                    slot,
                    offset: record.offset,
                    timestamp_ms: record.time.map(EventTime::as_millis),
                    payload: record.payload,
                });
                self.order.set_newest(slot, self.ingest.newest(slot));
            }
            None => {
                let end = self.range.parts()[slot].end;
                self.ingest.position(slot, end, None);
                self.order.remove(slot);
            }
        }
        self.clock = self.clock.max(self.order.clock());
        Ok(())
    }

    /// Applies the commits that are due: all shards on a heartbeat, one that has entered a pane.
    fn flush_due(&mut self, slot: usize, engine: &mut Engine, on_evaluation: OnEvaluation<'_>) {
        let has_crossed = self.ingest.take_crossed_pane();
        let Some(clock) = self.clock else {
            return;
        };
        let interval = self.ingest.heartbeat();
        let is_heartbeat_due = self
            .last_heartbeat
            .is_none_or(|at| clock >= at.plus(interval));
        if is_heartbeat_due {
            self.flush_all(engine, on_evaluation);
        } else if has_crossed {
            self.ingest.set_now(self.clock);
            let flushed = self.ingest.flush_shard(slot);
            apply(self.with_clock(flushed), engine, on_evaluation);
        }
    }

    fn flush_all(&mut self, engine: &mut Engine, on_evaluation: OnEvaluation<'_>) {
        self.last_heartbeat = self.clock;
        self.ingest.set_now(self.clock);
        let mut flushed = std::mem::take(&mut self.opening);
        flushed.extend(self.ingest.flush());
        apply(self.with_clock(flushed), engine, on_evaluation);
    }

    /// Sets the times of the commits to the clock; some were closed while a record was counted.
    fn with_clock(&self, mut flushed: Vec<Flushed>) -> Vec<Flushed> {
        for Flushed { commit, .. } in &mut flushed {
            commit.written_at = self.clock;
            commit.read_time = self.clock;
            commit.is_read_time_of_writer = false;
            for counts in &mut commit.monitors {
                counts.newest_arrived_at = counts.newest_event_time.and(self.clock);
            }
        }
        flushed
    }
}

/// The newest event of each partition that has not been read to its end.
#[derive(Debug)]
struct ReadOrder {
    /// Newest event and slot; `None` sorts before every time.
    unread: Vec<(Option<EventTime>, usize)>,
}

impl ReadOrder {
    fn new(partitions: usize) -> Self {
        ReadOrder {
            unread: (0..partitions).map(|slot| (None, slot)).collect(),
        }
    }

    fn first(&self) -> Option<(Option<EventTime>, usize)> {
        self.unread.iter().min().copied()
    }

    /// Returns the partition to read next, `None` at the end.
    ///
    /// Partitions without an event come first, then the oldest newest event; ties go to the lower
    /// slot.
    fn slowest(&self) -> Option<usize> {
        self.first().map(|(_, slot)| slot)
    }

    /// Returns the newest event of the slowest partition; `None` if one has no event, or all have
    /// ended.
    fn clock(&self) -> Option<EventTime> {
        self.first()?.0
    }

    fn set_newest(&mut self, slot: usize, newest: Option<EventTime>) {
        if let Some(partition) = self.unread.iter_mut().find(|(_, unread)| *unread == slot) {
            partition.0 = newest;
        }
    }

    fn remove(&mut self, slot: usize) {
        self.unread.retain(|(_, unread)| *unread != slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Option<EventTime> {
        Some(EventTime::from_millis(second * 1000))
    }

    #[test]
    fn the_partition_furthest_behind_is_next() {
        let mut order = ReadOrder::new(3);
        let check = |order: &ReadOrder, slot: Option<usize>, clock: Option<EventTime>| {
            assert_eq!((order.slowest(), order.clock()), (slot, clock), "{order:?}");
        };
        check(&order, Some(0), None);
        order.set_newest(0, at(10));
        check(&order, Some(1), None);
        order.set_newest(1, at(5));
        order.set_newest(2, at(5));
        check(&order, Some(1), at(5));
        order.set_newest(1, at(20));
        check(&order, Some(2), at(5));
        order.remove(2);
        check(&order, Some(0), at(10));
        order.remove(0);
        order.remove(1);
        check(&order, None, None);
    }
}

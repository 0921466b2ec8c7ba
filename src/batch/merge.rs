//! A topic range through the engine, in event time.
//!
//! **Order.** The partition whose newest event is the oldest is read next, and its next record is waited for. So the order is a function of the records alone,
//! never of which broker answered first, and no partition runs ahead of the slowest by more than one record: panes of a stretch of event time are in memory,
//! not those of the whole range. Event time, not the time Kafka holds, because a topic may have been filled partition by partition long after. Reading whole
//! partitions one after the other would be simpler and would keep every pane of a month until the last one is read.
//!
//! **Time.** The newest event of the slowest partition is what the wall clock is to a live stream: at this moment every partition was read as far as it goes.
//! Commits carry it as the time they were written and as the time their shard was caught up. A partition without events of a monitor (its records are other
//! monitors', or its key never comes) is therefore idle after `idle_after`, as it is live, and does not hold the monitor's windows until the end of the range.
//! A partition that was read to its end goes the same way.
//!
//! **Cuts.** A shard's commit closes when its own watermark passes into another pane, exactly as for a file: one partition gives the lines that a file of its
//! records gives. In between, all shards give a sign of life.
//!
//! Kafka's time of a record stands for its arrival: it is what `max_future` is measured from, and the time of records that carry none.

use indicatif::ProgressBar;

use super::replay::{Evaluated, hand_over};
use crate::engine::Engine;
use crate::ingest::{Flushed, Ingest};
use crate::model::EventTime;
use crate::source::range::{RangeError, RangeReader, TopicRange};
use crate::source::{RawRecord, Sink as _};

/// Reads a range and hands what is counted to the engine; `bar` is told how far it was read.
///
/// # Errors
/// The range cannot be read to its end.
pub(super) fn read(
    range: &TopicRange,
    ingest: Ingest,
    engine: &mut Engine,
    bar: &ProgressBar,
    evaluated: Evaluated<'_>,
) -> Result<(), RangeError> {
    let mut reader = range.open()?;
    let mut merge = Merge::new(range, ingest);
    while let Some(slot) = merge.order.slowest() {
        merge.step(slot, &mut reader)?;
        merge.cut(slot, engine, evaluated);
        if let Some(passed) = reader.look() {
            bar.set_position(passed);
        }
    }
    merge.cut_all(engine, evaluated);
    Ok(())
}

/// The state of a reading.
struct Merge<'a> {
    range: &'a TopicRange,
    ingest: Ingest,
    order: Order,
    /// The newest event of the slowest partition; `None` as long as one has shown none.
    clock: Option<EventTime>,
    /// When all shards were last heard of.
    beaten_at: Option<EventTime>,
    /// The commits that open the shards, until there is a time to write on them: counting of all of them begins where the first event is.
    opening: Vec<Flushed>,
}

impl<'a> Merge<'a> {
    fn new(range: &'a TopicRange, mut ingest: Ingest) -> Self {
        for (slot, part) in range.parts().iter().enumerate() {
            // A range is a cut: what was before it is not known, even where nothing was.
            ingest.opened(slot, &part.shard, part.begin, false);
        }
        Merge {
            order: Order::new(range.parts().len()),
            range,
            opening: ingest.flush(),
            ingest,
            clock: None,
            beaten_at: None,
        }
    }

    /// Counts the next record of a partition, or notes its end.
    fn step(&mut self, slot: usize, reader: &mut RangeReader) -> Result<(), RangeError> {
        match reader.next(slot)? {
            Some(record) => {
                let arrived_at = record.time.filter(|at| at.as_millis() > 0);
                self.ingest.arrived(arrived_at);
                self.ingest.record(RawRecord {
                    slot,
                    offset: record.offset,
                    timestamp_ms: record.time.map(EventTime::as_millis),
                    payload: record.payload,
                });
                self.order.came(slot, self.ingest.newest(slot));
            }
            None => {
                let end = self.range.parts()[slot].end;
                self.ingest.position(slot, end, false);
                self.order.ended(slot);
            }
        }
        self.clock = self.clock.max(self.order.clock());
        Ok(())
    }

    /// Closes the commits that are due.
    fn cut(&mut self, slot: usize, engine: &mut Engine, evaluated: Evaluated<'_>) {
        let has_crossed = self.ingest.take_crossed_pane();
        let Some(clock) = self.clock else {
            return;
        };
        let heartbeat = self.ingest.heartbeat();
        if self.beaten_at.is_none_or(|at| clock >= at.plus(heartbeat)) {
            self.cut_all(engine, evaluated);
        } else if has_crossed {
            self.ingest.arrived(self.clock);
            let flushed = self.ingest.flush_shard(slot);
            hand_over(self.timed(flushed), engine, evaluated);
        }
    }

    fn cut_all(&mut self, engine: &mut Engine, evaluated: Evaluated<'_>) {
        self.beaten_at = self.clock;
        self.ingest.arrived(self.clock);
        let mut flushed = std::mem::take(&mut self.opening);
        flushed.extend(self.ingest.flush());
        hand_over(self.timed(flushed), engine, evaluated);
    }

    /// Commits that say when they were written: some were cut while a record was counted.
    fn timed(&self, mut flushed: Vec<Flushed>) -> Vec<Flushed> {
        for Flushed { commit, .. } in &mut flushed {
            commit.written_at = self.clock;
            commit.caught_up_at = self.clock;
        }
        flushed
    }
}

/// How far each partition has come, those aside that were read to their end.
#[derive(Debug)]
struct Order {
    unread: Vec<(Option<EventTime>, usize)>,
}

impl Order {
    fn new(partitions: usize) -> Self {
        Order {
            unread: (0..partitions).map(|slot| (None, slot)).collect(),
        }
    }

    fn first(&self) -> Option<(Option<EventTime>, usize)> {
        self.unread.iter().min().copied()
    }

    /// The partition that is furthest behind; one without any event yet before all others, and the first of equals.
    fn slowest(&self) -> Option<usize> {
        self.first().map(|(_, slot)| slot)
    }

    /// How far all have come; `None` when one has not begun, or all have ended.
    fn clock(&self) -> Option<EventTime> {
        self.first()?.0
    }

    fn came(&mut self, slot: usize, newest: Option<EventTime>) {
        if let Some(entry) = self.unread.iter_mut().find(|(_, own)| *own == slot) {
            entry.0 = newest;
        }
    }

    fn ended(&mut self, slot: usize) {
        self.unread.retain(|(_, own)| *own != slot);
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
        let mut order = Order::new(3);
        let check = |order: &Order, slot: Option<usize>, clock: Option<EventTime>| {
            let found = (order.slowest(), order.clock());
            assert_eq!(found, (slot, clock), "{order:?}");
        };
        check(&order, Some(0), None);
        order.came(0, at(10));
        check(&order, Some(1), None);
        order.came(1, at(5));
        order.came(2, at(5));
        check(&order, Some(1), at(5));
        order.came(1, at(20));
        check(&order, Some(2), at(5));
        order.ended(2);
        check(&order, Some(0), at(10));
        order.ended(0);
        order.ended(1);
        check(&order, None, None);
    }
}

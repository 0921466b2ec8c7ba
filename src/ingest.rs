//! Turns the records of one source into commits: decodes them, counts them per shard, and cuts the
//! counts into commits for the pane log.
//!
//! It is a [`Sink`], so one thread owns it together with the source. A record passes through by
//! reference, without a lock, a channel or an allocation. It does not import the engine: the plan
//! of values to count is an argument.

use std::sync::Arc;
use std::time::Duration;

use crate::decode::{Columns, DecodeError, Decoder, Fields};
use crate::model::{EventTime, Moment, Shard, TopicId};
use crate::observe::{Observer, ObserverPlan, RejectedRecords, SourceTime, WrongKind};
use crate::pane_log::{HeadAnswer, HeadLookup};
use crate::panes::{Commit, Heads};
use crate::source::{RawRecord, Sink};

/// A commit of one shard.
#[derive(Debug)]
pub struct Flushed {
    /// The number of the shard, as in [`Sink::opened`].
    pub slot: usize,
    /// The number of the opening of the shard in which the commit was counted.
    pub opening: u64,
    /// The counts of the shard.
    pub commit: Commit,
}

/// Changes decoded records before they are counted; backtests simulate faults with it.
pub trait RecordTransform: std::fmt::Debug + Send {
    /// Returns a record's fields as they are to be counted, or `None` to drop the record;
    /// `source_time` is the timestamp that the source holds for it.
    fn apply<'a>(
        &'a mut self,
        fields: Fields<'a>,
        source_time: Option<EventTime>,
    ) -> Option<Fields<'a>>;
}

/// The times of one record.
#[derive(Debug, Clone, Copy)]
struct RecordTimes {
    /// The time that the source holds for it, as it is.
    source_time: Option<EventTime>,
    /// The same where it is a time, at most the present: the shard was read up to then.
    passed: Option<SourceTime>,
    /// Its arrival.
    arrived_at: Option<EventTime>,
}

/// Decoder and observer of one source.
#[derive(Debug)]
pub struct Ingest {
    decoder: Decoder,
    /// `None` except in a backtest.
    transform: Option<Box<dyn RecordTransform>>,
    observer: Observer,
    max_bytes: usize,
    /// The present; `None` where there is no clock, as in a file.
    now: Option<Moment>,
    /// Reads both clocks; `None` where the caller sets the present.
    clock: Option<fn() -> Moment>,
    /// True if the source may have waited since the clock was read.
    is_clock_due: bool,
    /// The heads of the shards that earlier owners counted.
    head_lookup: Arc<HeadLookup>,
    /// The plan has changed since the last early commits: each shard commits at once, so that the
    /// log holds the layouts of the new plan.
    has_switched_plan: bool,
    /// The number of the latest opening of each slot; it goes up over all slots.
    openings: Vec<u64>,
    opened: u64,
    flushed: Vec<Flushed>,
}

impl Ingest {
    /// Counts for the monitors of one source; JSON records above `max_bytes` are rejected.
    #[must_use]
    pub fn new(plan: ObserverPlan, max_bytes: usize) -> Self {
        Ingest {
            decoder: Decoder::new(&plan.paths).with_max_bytes(max_bytes),
            transform: None,
            observer: Observer::new(plan.monitors),
            max_bytes,
            now: None,
            clock: None,
            is_clock_due: true,
            head_lookup: Arc::new(HeadLookup::resolved(&Heads::default())),
            has_switched_plan: false,
            openings: Vec::new(),
            opened: 0,
            flushed: Vec::new(),
        }
    }

    /// Commits the counts of the current plan, and counts by another plan from now on.
    pub fn switch_plan(&mut self, plan: ObserverPlan) {
        self.cut();
        self.decoder = Decoder::new(&plan.paths).with_max_bytes(self.max_bytes);
        self.observer.switch_plan(plan.monitors);
        self.has_switched_plan = true;
    }

    /// Reads the time of records from these clocks, whenever records are handed over.
    #[must_use]
    pub fn with_clock(mut self, clock: fn() -> Moment) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Sets the present for the records that follow, for a source that is read long after they
    /// arrived and for a simulated one; `None` if it is unknown.
    pub fn set_now(&mut self, at: Option<EventTime>) {
        self.now = at.map(Moment::simulated);
    }

    /// Reads the clock, if there is one; the next record reads it again.
    fn read_clock(&mut self) {
        if let Some(clock) = self.clock {
            self.now = Some(clock());
        }
        self.is_clock_due = true;
    }

    /// Returns the time that a source holds for a record, and the arrival of the record.
    ///
    /// The arrival is the source's time, but not beyond the present: producers set it. Nor is it
    /// before the moment up to which the shard is known to be read: it was not there then. Without
    /// a time, it is the present. The clock is read for the first record after any other call,
    /// because the source may have waited in between, and not for every record.
    fn times_of(&mut self, slot: usize, timestamp_ms: Option<i64>) -> RecordTimes {
        if self.is_clock_due {
            self.read_clock();
            self.is_clock_due = false;
        }
        let now = self.now.map(|now| now.wall);
        let source_time = timestamp_ms.map(EventTime::from_millis);
        let passed = source_time
            .filter(|time| time.as_millis() > 0)
            .map(|time| SourceTime {
                time: now.map_or(time, |now| time.min(now)),
                is_of_reader: now.is_some_and(|now| time > now),
            });
        // The clock may have been set back since the confirmation.
        let confirmed_at = self.observer.confirmed_at(slot).min(now);
        RecordTimes {
            source_time,
            passed,
            arrived_at: passed
                .map(|passed| Some(passed.time).max(confirmed_at))
                .unwrap_or(now),
        }
    }

    /// Sets the lookup of the heads that earlier owners of a shard left.
    #[must_use]
    pub fn with_head_lookup(mut self, head_lookup: Arc<HeadLookup>) -> Self {
        self.head_lookup = head_lookup;
        self
    }

    /// Closes commits at this size at the latest, in bytes of the log.
    #[must_use]
    pub fn with_largest_commit(mut self, bytes: usize) -> Self {
        self.observer.set_largest_commit(bytes);
        self
    }

    /// Closes commits at half the size from now on: the log accepted none of the present size.
    pub fn halve_commits(&mut self) {
        self.observer.halve_commits();
    }

    /// Counts records as `transform` returns them.
    #[must_use]
    pub fn with_transform(mut self, transform: Option<Box<dyn RecordTransform>>) -> Self {
        self.transform = transform;
        self
    }

    /// Drops the counts of a shard that were not accepted; nothing of it is committed any more.
    pub fn forget(&mut self, slot: usize) {
        self.observer.forget(slot);
        self.flushed.retain(|flushed| flushed.slot != slot);
    }

    /// The decoder, to match the columns of a table.
    pub fn decoder(&mut self) -> &mut Decoder {
        &mut self.decoder
    }

    /// Counts one row of a table whose columns were matched by [`Decoder::table`].
    pub fn row(&mut self, slot: usize, offset: i64, columns: &Columns, cells: &csv::StringRecord) {
        let arrived_at = self.now.map(|now| now.wall);
        let fields = self.decoder.row(columns, cells);
        if let Some(fields) = transformed(&mut self.transform, fields, None) {
            self.observer.observe(slot, fields, None, arrived_at);
        }
        self.observer.position(slot, offset + 1, None);
    }

    /// Counts a malformed row, which has no record to decode.
    pub fn reject(&mut self, slot: usize, offset: i64, error: DecodeError) {
        self.observer.reject(slot, offset, error);
        self.observer.position(slot, offset + 1, None);
    }

    /// Returns true if a shard's watermark has passed into another pane since the last call.
    pub fn take_crossed_pane(&mut self) -> bool {
        self.observer.take_crossed_pane()
    }

    /// Takes the undecodable records since the last call, one entry per reason.
    pub fn take_rejections(&mut self) -> Vec<RejectedRecords> {
        self.observer.take_rejections()
    }

    /// Takes the first values of a wrong kind, one per feature, at most `count` at a time.
    pub fn take_wrong_kinds(&mut self, count: usize) -> Vec<WrongKind> {
        self.observer.take_wrong_kinds(count)
    }

    /// The newest event time of a shard, over all monitors.
    #[must_use]
    pub fn newest(&self, slot: usize) -> Option<EventTime> {
        self.observer.newest(slot)
    }

    /// The longest time between two commits of a shard; without new records, an empty commit is
    /// cut.
    #[must_use]
    pub fn heartbeat(&self) -> Duration {
        self.observer.heartbeat()
    }

    /// Commits the counts of one shard; also returns the commits that were cut early.
    pub fn flush_shard(&mut self, slot: usize) -> Vec<Flushed> {
        self.read_clock();
        let commit = self.observer.commit(slot, self.now);
        self.push(slot, commit);
        std::mem::take(&mut self.flushed)
    }

    /// Commits the counts of all shards.
    pub fn flush(&mut self) -> Vec<Flushed> {
        self.cut();
        std::mem::take(&mut self.flushed)
    }

    /// Takes the commits that do not wait for the next flush: of a closed shard, before lost
    /// offsets, after a change of the plan, or because a commit is large or holds many panes.
    pub fn take_early(&mut self) -> Vec<Flushed> {
        if std::mem::take(&mut self.has_switched_plan) {
            self.cut();
        }
        self.is_clock_due = true;
        std::mem::take(&mut self.flushed)
    }

    fn cut(&mut self) {
        self.read_clock();
        for (slot, commit) in self.observer.commits(self.now) {
            self.push(slot, Some(commit));
        }
    }

    fn push(&mut self, slot: usize, commit: Option<Commit>) {
        let opening = self.opening(slot);
        self.flushed.extend(commit.map(|commit| Flushed {
            slot,
            opening,
            commit,
        }));
    }

    /// Returns the number of the latest opening of a slot; 0 before the first one.
    ///
    /// A slot is used again, so an outcome of the log is about the opening of its commit only.
    #[must_use]
    pub fn opening(&self, slot: usize) -> u64 {
        self.openings.get(slot).copied().unwrap_or(0)
    }
}

impl Sink for Ingest {
    fn extent(&mut self, shards: u32) {
        self.observer.set_source_shards(shards);
    }

    fn opened(&mut self, slot: usize, shard: &Shard, base: i64, from_start: bool) {
        let head = match self.head_lookup.get(shard) {
            HeadAnswer::Head(latest, head) if latest == *shard => Some(head),
            _ => None,
        };
        self.head_lookup.evict(shard);
        self.opened += 1;
        if self.openings.len() <= slot {
            self.openings.resize(slot + 1, 0);
        }
        self.openings[slot] = self.opened;
        self.observer
            .open(slot, shard, base, from_start, head.as_ref());
    }

    fn identified(&mut self, slot: usize, topic_id: TopicId) {
        self.observer.identify(slot, topic_id);
    }

    fn record(&mut self, record: RawRecord<'_>) {
        let times = self.times_of(record.slot, record.timestamp_ms);
        match record.payload {
            None => self.observer.tombstone(record.slot),
            Some(payload) => match self.decoder.json(payload) {
                Ok(fields) => {
                    let (source_time, arrived_at) = (times.source_time, times.arrived_at);
                    if let Some(fields) = transformed(&mut self.transform, fields, source_time) {
                        self.observer
                            .observe(record.slot, fields, source_time, arrived_at);
                    }
                }
                Err(error) => self.observer.reject(record.slot, record.offset, error),
            },
        }
        self.observer
            .pass_record(record.slot, record.offset + 1, times.passed);
        if self.observer.wants_commit() {
            self.cut();
        }
    }

    fn position(&mut self, slot: usize, upto: i64, confirmed_at: Option<EventTime>) {
        self.is_clock_due = true;
        self.observer.position(slot, upto, confirmed_at);
    }

    fn lost(&mut self, slot: usize, offsets: u64) {
        // The loss must be at the beginning of a commit, so that the hole in coverage does not
        // include records that were read before it.
        self.cut();
        self.observer.lose(slot, offsets);
    }

    fn closed(&mut self, slot: usize) {
        self.read_clock();
        let commit = self.observer.close(slot, self.now);
        self.push(slot, commit);
    }
}

fn transformed<'a>(
    transform: &'a mut Option<Box<dyn RecordTransform>>,
    fields: Fields<'a>,
    source_time: Option<EventTime>,
) -> Option<Fields<'a>> {
    match transform {
        Some(transform) => transform.apply(fields, source_time),
        None => Some(fields),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;
    use crate::model::MonitorSpec;

    /// The clock of the tests, in seconds.
    static CLOCK: AtomicI64 = AtomicI64::new(0);

    fn clock() -> Moment {
        Moment::simulated(EventTime::from_millis(CLOCK.load(Ordering::Relaxed) * 1000))
    }

    fn shard() -> Shard {
        Shard {
            source: "s".to_owned(),
            cluster: String::new(),
            topic: "t".to_owned(),
            partition: 0,
            incarnation: 0,
        }
    }

    /// The clock was read before the source waited for records and sent requests, so the end of a
    /// partition was confirmed at a time that had passed, and records were from the future.
    #[test]
    fn the_clock_is_read_when_records_are_handed_over() {
        let mut ingest = Ingest::new(ObserverPlan::default(), 1000).with_clock(clock);
        ingest.opened(0, &shard(), 0, true);
        let read_time = |ingest: &mut Ingest| ingest.flush()[0].commit.read_time;
        let record = |offset: i64| RawRecord {
            slot: 0,
            offset,
            // The clock of the producer is an hour ahead.
            timestamp_ms: Some(10_000_000),
            payload: Some(b"{}"),
        };
        for second in [100, 200, 300] {
            // The source waits, and the time passes.
            CLOCK.store(second, Ordering::Relaxed);
            ingest.record(record(second));
            let at = Some(EventTime::from_millis(second * 1000));
            assert_eq!(read_time(&mut ingest), at, "a record at {second}");
        }
        let at = |second: i64| Some(EventTime::from_millis(second * 1000));
        CLOCK.store(450, Ordering::Relaxed);
        ingest.position(0, 301, at(420));
        assert_eq!(read_time(&mut ingest), at(420), "confirmed");
        ingest.position(0, 301, at(500));
        CLOCK.store(480, Ordering::Relaxed);
        ingest.position(0, 302, None);
        assert_eq!(read_time(&mut ingest), at(480), "the clock was set back");
    }

    /// The clocks of all producers are three hours late, and the topic is never at its end. The
    /// read time was three hours old, so windows waited and the monitor was never silent.
    #[test]
    fn producers_that_are_late_do_not_hold_the_read_time() {
        let second = |second: i64| EventTime::from_millis(second * 1000);
        let mut plan = ObserverPlan::default();
        plan.add(&MonitorSpec::bare(), &[]);
        let mut ingest = Ingest::new(plan, 1000);
        ingest.opened(0, &shard(), 0, false);
        for now in (20_000..20_100).step_by(5) {
            ingest.set_now(Some(second(now)));
            for offset in now..now + 5 {
                ingest.record(RawRecord {
                    slot: 0,
                    offset,
                    timestamp_ms: Some((now - 10_800) * 1000),
                    payload: Some(b"{}"),
                });
            }
            ingest.position(0, now + 5, Some(second(now - 1)));
            let commit = ingest.flush().remove(0).commit;
            assert_eq!(commit.read_time, Some(second(now - 1)), "confirmed");
            assert!(commit.is_read_time_of_writer);
            let arrived_at = match now {
                20_000 => now - 10_800,
                _ => now - 6,
            };
            let arrival = commit.monitors[0].newest_arrived_at;
            assert_eq!(arrival, Some(second(arrived_at)), "at {now}");
        }
    }

    /// A stream whose Kafka timestamps lag, as behind a mirror, counted as idle while it flowed:
    /// its records had arrived long ago, and its end was confirmed now.
    #[test]
    fn a_record_behind_a_confirmed_end_arrived_after_it() {
        let second = |second: i64| EventTime::from_millis(second * 1000);
        let mut plan = ObserverPlan::default();
        plan.add(&MonitorSpec::bare(), &[]);
        let mut ingest = Ingest::new(plan, 1000);
        ingest.opened(0, &shard(), 0, true);
        let mut offset = 0;
        let mut arrival = |ingest: &mut Ingest, now: i64, timestamp: i64| {
            ingest.set_now(Some(second(now)));
            ingest.record(RawRecord {
                slot: 0,
                offset,
                timestamp_ms: Some(timestamp * 1000),
                payload: Some(b"{}"),
            });
            offset += 1;
            ingest.flush()[0].commit.monitors[0].newest_arrived_at
        };
        let backlog = arrival(&mut ingest, 1000, 100);
        assert_eq!(backlog, Some(second(100)), "in a backlog");
        ingest.set_now(Some(second(1010)));
        ingest.position(0, 1, Some(second(1010)));
        for now in [1015, 1020] {
            let lagging = arrival(&mut ingest, now, 101);
            assert_eq!(lagging, Some(second(1010)), "since the end, at {now}");
        }
        let fresh = arrival(&mut ingest, 1025, 1024);
        assert_eq!(fresh, Some(second(1024)), "by Kafka's time");
        let corrected = arrival(&mut ingest, 500, 102);
        assert_eq!(corrected, Some(second(500)), "the clock was set back");
    }
}

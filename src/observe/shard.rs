//! The counts of one shard since its last commit, and the state that commits are cut from.
//!
//! A commit's `base` is the previous commit's `upto`, so the commits of a shard tile its offsets
//! whatever records were dropped or could not be decoded.

use std::sync::Arc;
use std::time::Duration;

use super::commit_size::{CommitSize, CommitSizeEstimate};
use super::event_clock::{EventClocks, ShardClock};
use super::plan::ObservedMonitor;
use super::time_sample::{SourceTime, TimeSample};
use crate::decode::DecodeError;
use crate::model::{DropReason, EventTime, Moment, Shard, TopicId};
use crate::panes::{Commit, CommitSchema, Frame, Head, MonitorCommit, RecordCounts};
use crate::stats::DELAY_BOUNDS;

/// One shard that is being read.
#[derive(Debug)]
pub(super) struct ShardObserver {
    shard: Arc<Shard>,
    /// Size of the next commit.
    size: CommitSizeEstimate,
    topic_id: Option<TopicId>,
    /// The ids that its commits refer to.
    schema: Arc<CommitSchema>,
    /// True if no head was known, so a commit from `opened_at` on opens the shard.
    opens: bool,
    /// True if the shard held no records before `opened_at`.
    from_start: bool,
    opened_at: i64,
    base: i64,
    upto: i64,
    offsets_lost: u64,
    /// Time up to which the shard was read, see [`Commit::read_time`].
    read_time: Option<EventTime>,
    /// See [`Commit::is_read_time_of_writer`].
    is_read_time_of_writer: bool,
    /// Times of the source since the last commit.
    source_times: TimeSample,
    /// Latest moment up to which the shard is known to be read, whatever was read since.
    confirmed_at: Option<EventTime>,
    records: RecordCounts,
    /// Monotonic time of the last commit, where there is a clock; `None` before the first commit.
    last_commit: Option<Option<Duration>>,
    /// True if a commit with the schema said up to which time the shard was read: from there on its
    /// layouts are counted, also if no record ever comes.
    has_begun: bool,
    /// One entry for each clock of the plan.
    pub(super) clocks: Vec<ShardClock>,
    pub(super) monitors: Vec<ShardMonitor>,
}

/// The facts that decide whether a commit is due, and that every commit carries.
#[derive(Debug, Clone, Copy)]
pub(super) struct CommitTiming {
    /// Both clocks; `None` where there are none.
    pub(super) now: Option<Moment>,
    /// Number of shards of the source.
    pub(super) source_shards: u32,
    /// Longest time without a commit.
    pub(super) heartbeat: Duration,
}

/// The counts of one monitor on one shard since the last commit.
#[derive(Debug)]
pub(super) struct ShardMonitor {
    counts: MonitorCommit,
    pub(super) frames: Vec<Frame>,
}

impl ShardObserver {
    /// Starts reading at `base`; `head` holds the state left by earlier writers.
    pub(super) fn new(
        shard: &Shard,
        base: i64,
        from_start: bool,
        schema: &Arc<CommitSchema>,
        clocks: &EventClocks,
        head: Option<&Head>,
    ) -> Self {
        let newest_of = |monitor: usize| {
            let id = schema.monitors[monitor].id;
            head?.newest.get(&id).copied()
        };
        ShardObserver {
            shard: Arc::new(shard.clone()),
            topic_id: None,
            clocks: shard_clocks(clocks, newest_of),
            monitors: (0..schema.monitors.len()).map(ShardMonitor::new).collect(),
            size: CommitSizeEstimate::default(),
            schema: Arc::clone(schema),
            opens: head.is_none(),
            from_start,
            opened_at: base,
            base,
            upto: base,
            offsets_lost: 0,
            read_time: None,
            is_read_time_of_writer: false,
            source_times: TimeSample::default(),
            confirmed_at: None,
            records: RecordCounts::default(),
            last_commit: None,
            has_begun: false,
        }
    }

    /// Counts by another schema from now on; the caller has already taken the last commit.
    ///
    /// A monitor that is in both schemas keeps its newest event time.
    pub(super) fn switch_plan(
        &mut self,
        schema: &Arc<CommitSchema>,
        clocks: &EventClocks,
        former_clocks: &EventClocks,
    ) {
        let former = &self.schema.monitors;
        let newest_of = |monitor: usize| {
            let id = schema.monitors[monitor].id;
            let index = former.iter().position(|monitor| monitor.id == id)?;
            self.clocks[former_clocks.of_monitor[index]].newest
        };
        self.clocks = shard_clocks(clocks, newest_of);
        self.monitors = (0..schema.monitors.len()).map(ShardMonitor::new).collect();
        self.schema = Arc::clone(schema);
        // The next commit is due at once, to publish the new schema.
        self.last_commit = None;
        self.has_begun = false;
    }

    pub(super) fn shard(&self) -> &Arc<Shard> {
        &self.shard
    }

    pub(super) fn identify(&mut self, topic_id: TopicId) {
        self.topic_id = Some(topic_id);
    }

    /// Sets the position; `confirmed_at` is set if every record that the shard held at that moment
    /// is before it.
    pub(super) fn position(&mut self, upto: i64, confirmed_at: Option<EventTime>) {
        self.upto = self.upto.max(upto);
        if confirmed_at.is_some() {
            self.confirmed_at = confirmed_at;
            self.advance_read_time(confirmed_at, true);
        }
    }

    fn advance_read_time(&mut self, time: Option<EventTime>, is_of_writer: bool) {
        if time > self.read_time {
            self.read_time = time;
            self.is_read_time_of_writer = is_of_writer;
        }
    }

    pub(super) fn confirmed_at(&self) -> Option<EventTime> {
        self.confirmed_at
    }

    /// Sets the position after a record with this time of the source.
    pub(super) fn pass_record(&mut self, upto: i64, source_time: Option<SourceTime>) {
        self.upto = self.upto.max(upto);
        if let Some(source_time) = source_time {
            self.source_times.add(source_time);
        }
    }

    pub(super) fn count_lost(&mut self, offsets: u64) {
        self.offsets_lost += offsets;
    }

    fn frames(&self) -> impl Iterator<Item = &Frame> {
        self.monitors.iter().flat_map(|monitor| &monitor.frames)
    }

    /// Returns true if a commit is due: for records, for another position, or as a heartbeat.
    pub(super) fn is_due(&self, timing: CommitTiming) -> bool {
        let Some(last_commit) = self.last_commit else {
            return true;
        };
        self.upto > self.base
            || self.records.consumed() > 0
            || matches!(
                (timing.now, last_commit),
                (Some(now), Some(last)) if now.uptime >= last.saturating_add(timing.heartbeat)
            )
    }

    pub(super) fn count_decoded(&mut self) {
        self.records.decoded += 1;
    }

    /// Returns true if the next commit should not grow any more.
    ///
    /// `opened_features` is the number of features in the panes that the record opened. The size is
    /// estimated the more often the closer it is to the limit; between estimates it is false.
    pub(super) fn is_large(&mut self, opened_features: usize, size: CommitSize) -> bool {
        if !self.size.is_due(opened_features) {
            return false;
        }
        let (bytes, features) = self.frames().fold((0, 0), |(bytes, features), frame| {
            (bytes + frame.encoded_bytes(), features + frame.features())
        });
        self.size.is_large(bytes, features, size)
    }

    pub(super) fn count_tombstone(&mut self) {
        self.records.tombstones += 1;
    }

    pub(super) fn count_error(&mut self, error: DecodeError) {
        if let Some(index) = DecodeError::ALL.iter().position(|known| *known == error) {
            self.records.errors[index] += 1;
        }
    }

    /// Takes everything since the last commit; `spare` receives the emptied frames by monitor.
    ///
    /// The read time advances to the median of the times of the source: one that is far ahead of
    /// its time does not stand for what was read. It is never beyond the wall clock, also after the
    /// clock was set back.
    pub(super) fn take(
        &mut self,
        timing: CommitTiming,
        clocks: &EventClocks,
        spare: &mut [Vec<Frame>],
    ) -> Commit {
        let now = timing.now.map(|now| now.wall);
        if let Some(median) = self.source_times.take_median() {
            self.advance_read_time(Some(median.time), median.is_of_reader);
        }
        if now.is_some() && self.read_time > now {
            self.read_time = now;
            self.is_read_time_of_writer = true;
        }
        let monitors: Vec<MonitorCommit> = self
            .monitors
            .iter_mut()
            .zip(&clocks.of_monitor)
            .zip(spare)
            .filter_map(|((monitor, clock), spare)| monitor.take(&self.clocks[*clock], spare))
            .collect();
        self.clocks.iter_mut().for_each(ShardClock::begin_commit);
        let needs_schema = self.upto > self.base
            || self.last_commit.is_none()
            || !self.has_begun
            || !monitors.is_empty();
        self.has_begun |= self.read_time.is_some();
        let commit = Commit {
            shard: Arc::clone(&self.shard),
            topic_id: self.topic_id,
            base: self.base,
            upto: self.upto,
            opens: self.opens && self.base == self.opened_at,
            written_at: now,
            read_time: self.read_time,
            is_read_time_of_writer: self.is_read_time_of_writer,
            from_start: self.from_start && self.base == self.opened_at,
            source_shards: timing.source_shards,
            offsets_lost: std::mem::take(&mut self.offsets_lost),
            counted: if needs_schema {
                Arc::clone(&self.schema)
            } else {
                Arc::default()
            },
            records: std::mem::take(&mut self.records),
            monitors,
        };
        self.size = CommitSizeEstimate::default();
        self.base = self.upto;
        self.last_commit = Some(timing.now.map(|now| now.uptime));
        commit
    }
}

/// Returns the clocks of a shard; each continues at the newest time of its monitors.
fn shard_clocks(
    clocks: &EventClocks,
    newest_of: impl Fn(usize) -> Option<EventTime>,
) -> Vec<ShardClock> {
    let mut newest = vec![None; clocks.clocks.len()];
    for (monitor, clock) in clocks.of_monitor.iter().enumerate() {
        newest[*clock] = newest[*clock].max(newest_of(monitor));
    }
    newest.into_iter().map(ShardClock::since).collect()
}

impl ShardMonitor {
    fn new(monitor: usize) -> Self {
        ShardMonitor {
            counts: MonitorCommit {
                monitor,
                ..MonitorCommit::default()
            },
            frames: Vec::new(),
        }
    }

    pub(super) fn drop_event(&mut self, reason: DropReason) {
        self.counts.dropped[reason as usize] += 1;
    }

    /// Counts the time of an event that is not too late; `newest` is the newest time of its shard,
    /// this event included.
    pub(super) fn count_time(
        &mut self,
        time: EventTime,
        arrived_at: Option<EventTime>,
        newest: Option<EventTime>,
        plan: &ObservedMonitor,
    ) {
        self.counts.events += 1;
        let is_late = newest.is_some_and(|newest| time < newest.minus(plan.out_of_orderness));
        self.counts.events_late += u64::from(is_late);
        self.counts.max_event_time = self.counts.max_event_time.max(Some(time));
        if let Some(arrived_at) = arrived_at {
            let delay = arrived_at.since(time);
            self.counts.delays.record(&DELAY_BOUNDS, delay, 1);
        }
    }

    /// Takes the counts since the last commit; `None` if no record reached the monitor.
    fn take(&mut self, clock: &ShardClock, spare: &mut Vec<Frame>) -> Option<MonitorCommit> {
        let mut counts = std::mem::take(&mut self.counts);
        self.counts.monitor = counts.monitor;
        if counts.events == 0 && counts.dropped.iter().all(|dropped| *dropped == 0) {
            return None;
        }
        clock.write_to(&mut counts);
        counts.panes = self.frames.iter_mut().map(Frame::take).collect();
        spare.append(&mut self.frames);
        Some(counts)
    }
}

/// Returns true if an event of this time is in no window any more: it is further behind the
/// watermark of its shard than the longest window.
#[must_use]
pub fn is_too_late(time: EventTime, newest: Option<EventTime>, plan: &ObservedMonitor) -> bool {
    newest.is_some_and(|newest| {
        time < newest
            .minus(plan.out_of_orderness)
            .minus(plan.longest_window)
    })
}

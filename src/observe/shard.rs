//! The counts of one shard since its last commit, and the state that commits are cut from.
//!
//! A commit's `base` is the previous commit's `upto`, so the commits of a shard tile its offsets
//! whatever records were dropped or could not be decoded.

use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::plan::ObservedMonitor;
use crate::decode::DecodeError;
use crate::model::{DropReason, EventTime, MonitorId, Shard, TopicId};
use crate::panes::{Commit, CommitSchema, Frame, Head, MonitorCommit, RecordCounts};

/// Longest delay in the histogram, a week; longer ones are counted as this long.
const LONGEST_DELAY_MS: u64 = 7 * 24 * 3600 * 1000;

/// Estimated size in the log at which a commit is closed.
///
/// A Kafka broker accepts 1 MiB per record unless configured otherwise, and the estimate is rough.
const LARGE_COMMIT_BYTES: usize = 512 * 1024;
/// Records between two estimates of a commit's size.
const RECORDS_PER_ESTIMATE: u32 = 256;

/// One shard that is being read.
#[derive(Debug)]
pub(super) struct ShardObserver {
    shard: Arc<Shard>,
    /// Records since the size of the next commit was last estimated.
    records_since_estimate: u32,
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
    caught_up_at: Option<EventTime>,
    /// True if the last position was the end of the shard.
    is_at_end: bool,
    records: RecordCounts,
    /// Wall time of the last commit, where there is a clock; `None` before the first commit.
    last_commit: Option<Option<EventTime>>,
    pub(super) monitors: Vec<ShardMonitor>,
}

/// The facts that decide whether a commit is due, and that every commit carries.
#[derive(Debug, Clone, Copy)]
pub(super) struct CommitTiming {
    /// The wall clock; `None` where there is none.
    pub(super) now: Option<EventTime>,
    /// True if the source would receive new records.
    pub(super) is_connected: bool,
    /// Number of shards of the source.
    pub(super) source_shards: u32,
    /// Longest time without a commit.
    pub(super) heartbeat: Duration,
}

/// The counts of one monitor on one shard since the last commit.
#[derive(Debug)]
pub(super) struct ShardMonitor {
    newest: Option<EventTime>,
    counts: MonitorCommit,
    delays: Histogram<u64>,
    pub(super) frames: Vec<Frame>,
}

impl ShardObserver {
    /// Starts reading at `base`; `head` holds the state left by earlier writers.
    pub(super) fn new(
        shard: &Shard,
        base: i64,
        from_start: bool,
        schema: &Arc<CommitSchema>,
        head: Option<&Head>,
    ) -> Self {
        let monitors = schema
            .monitors
            .iter()
            .enumerate()
            .map(|(index, monitor)| {
                let newest = head.and_then(|head| head.newest.get(&monitor.id).copied());
                ShardMonitor::new(index, newest)
            })
            .collect();
        ShardObserver {
            shard: Arc::new(shard.clone()),
            topic_id: None,
            monitors,
            records_since_estimate: 0,
            schema: Arc::clone(schema),
            opens: head.is_none(),
            from_start,
            opened_at: base,
            base,
            upto: base,
            offsets_lost: 0,
            caught_up_at: None,
            is_at_end: false,
            records: RecordCounts::default(),
            last_commit: None,
        }
    }

    /// Counts by another schema from now on; the caller has already taken the last commit.
    ///
    /// A monitor that is in both schemas keeps its newest event time.
    pub(super) fn switch_plan(&mut self, schema: &Arc<CommitSchema>) {
        self.monitors = schema
            .monitors
            .iter()
            .enumerate()
            .map(|(index, monitor)| ShardMonitor::new(index, self.newest_of(monitor.id)))
            .collect();
        self.schema = Arc::clone(schema);
        // The next commit is due at once, to publish the new schema.
        self.last_commit = None;
    }

    fn newest_of(&self, id: MonitorId) -> Option<EventTime> {
        let index = self
            .schema
            .monitors
            .iter()
            .position(|monitor| monitor.id == id)?;
        self.monitors[index].newest
    }

    pub(super) fn shard(&self) -> &Arc<Shard> {
        &self.shard
    }

    pub(super) fn identify(&mut self, topic_id: TopicId) {
        self.topic_id = Some(topic_id);
    }

    pub(super) fn position(&mut self, upto: i64, caught_up_at: Option<EventTime>) {
        if upto > self.upto {
            self.upto = upto;
            self.caught_up_at = None;
        }
        self.is_at_end = caught_up_at.is_some();
        self.caught_up_at = caught_up_at.or(self.caught_up_at);
    }

    pub(super) fn count_lost(&mut self, offsets: u64) {
        self.offsets_lost += offsets;
    }

    /// Estimates the size of the next commit in the log, in bytes; see [`Frame::encoded_bytes`].
    fn encoded_bytes(&self) -> usize {
        self.monitors
            .iter()
            .flat_map(|monitor| &monitor.frames)
            .map(Frame::encoded_bytes)
            .sum()
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
                (Some(now), Some(last)) if now >= last.plus(timing.heartbeat)
            )
    }

    pub(super) fn count_decoded(&mut self) {
        self.records.decoded += 1;
        self.records_since_estimate += 1;
    }

    /// Returns true if the next commit should not grow any more.
    ///
    /// The size is estimated when a pane was opened and every [`RECORDS_PER_ESTIMATE`] records;
    /// between estimates it is false.
    pub(super) fn is_large(&mut self, opened_pane: bool) -> bool {
        if !opened_pane && self.records_since_estimate < RECORDS_PER_ESTIMATE {
            return false;
        }
        self.records_since_estimate = 0;
        self.encoded_bytes() >= LARGE_COMMIT_BYTES
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
    /// A shard at its end stays caught up while the source is connected: the source reports the end
    /// only once.
    pub(super) fn take(&mut self, timing: CommitTiming, spare: &mut [Vec<Frame>]) -> Commit {
        if self.is_at_end && timing.is_connected {
            self.caught_up_at = timing.now.or(self.caught_up_at);
        }
        let monitors: Vec<MonitorCommit> = self
            .monitors
            .iter_mut()
            .zip(spare)
            .filter_map(|(monitor, spare)| monitor.take(spare))
            .collect();
        let needs_schema =
            self.upto > self.base || self.last_commit.is_none() || !monitors.is_empty();
        let commit = Commit {
            shard: Arc::clone(&self.shard),
            topic_id: self.topic_id,
            base: self.base,
            upto: self.upto,
            opens: self.opens && self.base == self.opened_at,
            written_at: timing.now,
            caught_up_at: self.caught_up_at,
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
        self.base = self.upto;
        self.last_commit = Some(timing.now);
        commit
    }
}

impl ShardMonitor {
    fn new(monitor: usize, newest: Option<EventTime>) -> Self {
        let delays = Histogram::new_with_max(LONGEST_DELAY_MS, 2)
            .expect("a week at two digits is a legal range");
        let counts = MonitorCommit {
            monitor,
            ..MonitorCommit::default()
        };
        ShardMonitor {
            newest,
            counts,
            delays,
            frames: Vec::new(),
        }
    }

    pub(super) fn newest(&self) -> Option<EventTime> {
        self.newest
    }

    pub(super) fn drop_event(&mut self, reason: DropReason) {
        self.counts.dropped[reason as usize] += 1;
    }

    /// Returns the newest event time less the allowed disorder.
    fn watermark(&self, plan: &ObservedMonitor) -> Option<EventTime> {
        self.newest
            .map(|newest| newest.minus(plan.out_of_orderness))
    }

    /// Returns true if an event of this time is in no window any more: it is further behind the
    /// watermark than the longest window.
    pub(super) fn is_too_late(&self, time: EventTime, plan: &ObservedMonitor) -> bool {
        self.watermark(plan)
            .is_some_and(|watermark| time < watermark.minus(plan.longest_window))
    }

    /// Counts the time of an event; returns true if the watermark moved into another pane.
    pub(super) fn count_time(
        &mut self,
        time: EventTime,
        now: Option<EventTime>,
        plan: &ObservedMonitor,
    ) -> bool {
        let before = self.watermark(plan);
        self.counts.events += 1;
        self.counts.events_late += u64::from(before.is_some_and(|watermark| time < watermark));
        self.counts.first_event_time = self.counts.first_event_time.or(Some(time));
        self.counts.max_event_time = self.counts.max_event_time.max(Some(time));
        if let Some(now) = now {
            let delay_ms = u64::try_from(now.since(time).as_millis()).unwrap_or(u64::MAX);
            self.delays.saturating_record(delay_ms);
        }
        self.newest = self.newest.max(Some(time));
        let after = self.watermark(plan);
        before.map(|at| at.align_down(plan.pane_width))
            != after.map(|at| at.align_down(plan.pane_width))
    }

    /// Takes the counts since the last commit; `None` if no record reached the monitor.
    fn take(&mut self, spare: &mut Vec<Frame>) -> Option<MonitorCommit> {
        let mut counts = std::mem::take(&mut self.counts);
        self.counts.monitor = counts.monitor;
        if counts.events == 0 && counts.dropped.iter().all(|dropped| *dropped == 0) {
            return None;
        }
        counts.delays_ms = self
            .delays
            .iter_recorded()
            .map(|step| (step.value_iterated_to(), step.count_since_last_iteration()))
            .collect();
        self.delays.reset();
        counts.panes = self.frames.iter_mut().map(Frame::take).collect();
        spare.append(&mut self.frames);
        Some(counts)
    }
}

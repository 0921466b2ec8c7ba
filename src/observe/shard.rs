//! What an observer knows of one shard, and what it has counted of it since the last commit.

use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::ObservedMonitor;
use crate::decode::DecodeError;
use crate::model::{DropReason, EventTime, Shard, TopicId};
use crate::panes::{Commit, CommitSchema, Frame, Head, MonitorCommit, MonitorSchema, RecordCounts};

/// A week: longer delays are counted as this long.
const LONGEST_DELAY_MS: u64 = 7 * 24 * 3600 * 1000;

/// A commit is closed when it would take about this many bytes in the log: a record of a Kafka topic is at most 1 MiB, if nobody raised it.
const LARGE_COMMIT_BYTES: usize = 512 * 1024;
/// Records between two looks at how large the next commit is.
const RECORDS_PER_LOOK: u32 = 256;

/// One shard being read.
#[derive(Debug)]
pub(super) struct ShardObserver {
    shard: Arc<Shard>,
    /// Records since it was last looked at how large the next commit is.
    unlooked: u32,
    topic_id: Option<TopicId>,
    /// What its commits say they count.
    counted: Arc<CommitSchema>,
    /// Whether no head was found, so that what is counted from `opened_at` on opens the shard.
    opens: bool,
    /// Whether nothing was ever before `opened_at`.
    from_start: bool,
    opened_at: i64,
    base: i64,
    upto: i64,
    offsets_lost: u64,
    caught_up_at: Option<EventTime>,
    /// Whether the last thing heard was the shard's end.
    is_at_end: bool,
    records: RecordCounts,
    /// Whether a commit was taken, and its time.
    last_commit: Option<Option<EventTime>>,
    pub(super) monitors: Vec<ShardMonitor>,
}

/// When a commit of a shard is due.
#[derive(Debug, Clone, Copy)]
pub(super) struct CommitTiming {
    /// The wall clock; `None` where there is none.
    pub(super) now: Option<EventTime>,
    /// Whether the source would know of new records.
    pub(super) is_connected: bool,
    /// How many shards the source has.
    pub(super) source_shards: u32,
    /// A shard without news says so this often.
    pub(super) heartbeat: Duration,
}

/// What one monitor has counted of one shard since the last commit.
#[derive(Debug)]
pub(super) struct ShardMonitor {
    newest: Option<EventTime>,
    counts: MonitorCommit,
    delays: Histogram<u64>,
    pub(super) frames: Vec<Frame>,
}

impl ShardObserver {
    /// Begins at `base`; `head` is what earlier owners counted.
    pub(super) fn new(
        shard: &Shard,
        base: i64,
        from_start: bool,
        counted: &Arc<CommitSchema>,
        head: Option<&Head>,
    ) -> Self {
        let monitor = |(place, monitor): (usize, &MonitorSchema)| {
            let newest = head.and_then(|head| head.newest.get(&monitor.id).copied());
            ShardMonitor::new(place, newest)
        };
        ShardObserver {
            shard: Arc::new(shard.clone()),
            topic_id: None,
            monitors: counted.monitors.iter().enumerate().map(monitor).collect(),
            unlooked: 0,
            counted: Arc::clone(counted),
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

    /// Counts for other monitors from now on, or for the same ones in other layouts; what was counted has been taken.
    pub(super) fn switch_plan(&mut self, counted: &Arc<CommitSchema>) {
        let newest = |monitor: &MonitorSchema| {
            let known = self
                .counted
                .monitors
                .iter()
                .position(|own| own.id == monitor.id);
            known.and_then(|place| self.monitors[place].newest)
        };
        let monitors = counted.monitors.iter().enumerate();
        let monitors = monitors.map(|(place, monitor)| ShardMonitor::new(place, newest(monitor)));
        self.monitors = monitors.collect();
        self.counted = Arc::clone(counted);
        // The next commit says what is counted from here on.
        self.last_commit = None;
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

    /// About how many bytes its next commit takes in the log.
    fn encoded_bytes(&self) -> usize {
        let frames = self.monitors.iter().flat_map(|monitor| &monitor.frames);
        frames.map(Frame::encoded_bytes).sum()
    }

    /// Whether there is something to tell: records, another position, or that it lives.
    pub(super) fn is_due(&self, rhythm: CommitTiming) -> bool {
        let Some(last) = self.last_commit else {
            return true;
        };
        let is_silent_for_long = || match (rhythm.now, last) {
            (Some(now), Some(last)) => now >= last.plus(rhythm.heartbeat),
            _ => false,
        };
        self.upto > self.base || self.records.consumed() > 0 || is_silent_for_long()
    }

    pub(super) fn count_decoded(&mut self) {
        self.records.decoded += 1;
        self.unlooked += 1;
    }

    /// Whether the next commit should not grow any more; looked at now and then, and when a pane was opened.
    pub(super) fn is_large(&mut self, opened_pane: bool) -> bool {
        if !opened_pane && self.unlooked < RECORDS_PER_LOOK {
            return false;
        }
        self.unlooked = 0;
        self.encoded_bytes() >= LARGE_COMMIT_BYTES
    }

    pub(super) fn count_tombstone(&mut self) {
        self.records.tombstones += 1;
    }

    pub(super) fn count_error(&mut self, error: DecodeError) {
        if let Some(place) = DecodeError::ALL.iter().position(|known| *known == error) {
            self.records.errors[place] += 1;
        }
    }

    /// Everything since the last commit; `spare` takes the emptied frames of each monitor.
    ///
    /// A shard at its end stays caught up while the source is connected, although nothing more is heard of it.
    pub(super) fn take(&mut self, rhythm: CommitTiming, spare: &mut [Vec<Frame>]) -> Commit {
        if self.is_at_end && rhythm.is_connected {
            self.caught_up_at = rhythm.now.or(self.caught_up_at);
        }
        let is_news = self.upto > self.base || self.last_commit.is_none();
        let monitors = self
            .monitors
            .iter_mut()
            .zip(spare)
            .filter_map(|(monitor, spare)| monitor.take(spare));
        let monitors: Vec<MonitorCommit> = monitors.collect();
        let commit = Commit {
            shard: Arc::clone(&self.shard),
            topic_id: self.topic_id,
            base: self.base,
            upto: self.upto,
            opens: self.opens && self.base == self.opened_at,
            written_at: rhythm.now,
            caught_up_at: self.caught_up_at,
            from_start: self.from_start && self.base == self.opened_at,
            source_shards: rhythm.source_shards,
            offsets_lost: std::mem::take(&mut self.offsets_lost),
            counted: if is_news || !monitors.is_empty() {
                Arc::clone(&self.counted)
            } else {
                Arc::default()
            },
            records: std::mem::take(&mut self.records),
            monitors,
        };
        self.base = self.upto;
        self.last_commit = Some(rhythm.now);
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

    /// Whether an event of this time is behind everything a window could still show.
    pub(super) fn is_too_late(&self, time: EventTime, plan: &ObservedMonitor) -> bool {
        let watermark = self
            .newest
            .map(|newest| newest.minus(plan.out_of_orderness));
        watermark.is_some_and(|watermark| time < watermark.minus(plan.longest_window))
    }

    /// Counts an event's time; `true` when the watermark passed into another pane.
    pub(super) fn count_time(
        &mut self,
        time: EventTime,
        now: Option<EventTime>,
        plan: &ObservedMonitor,
    ) -> bool {
        let before = self
            .newest
            .map(|newest| newest.minus(plan.out_of_orderness));
        self.counts.events += 1;
        self.counts.events_late += u64::from(before.is_some_and(|watermark| time < watermark));
        self.counts.first_event_time = self.counts.first_event_time.or(Some(time));
        self.counts.max_event_time = self.counts.max_event_time.max(Some(time));
        if let Some(now) = now {
            let delay_ms = u64::try_from(now.since(time).as_millis()).unwrap_or(u64::MAX);
            self.delays.saturating_record(delay_ms);
        }
        self.newest = self.newest.max(Some(time));
        let after = self
            .newest
            .map(|newest| newest.minus(plan.out_of_orderness));
        before.map(|at| at.align_down(plan.pane_width))
            != after.map(|at| at.align_down(plan.pane_width))
    }

    fn take(&mut self, spare: &mut Vec<Frame>) -> Option<MonitorCommit> {
        let mut counts = std::mem::take(&mut self.counts);
        self.counts.monitor = counts.monitor;
        if counts.events == 0 && counts.dropped.iter().all(|dropped| *dropped == 0) {
            return None;
        }
        let delays = self.delays.iter_recorded();
        counts.delays_ms = delays
            .map(|step| (step.value_iterated_to(), step.count_since_last_iteration()))
            .collect();
        self.delays.reset();
        counts.panes = self.frames.iter_mut().map(Frame::take).collect();
        spare.append(&mut self.frames);
        Some(counts)
    }
}

//! The observer: owns the frames of its shards and cuts them into commits.

use std::sync::Arc;
use std::time::Duration;

use super::plan::{ObservedFeature, ObservedMonitor};
use super::shard::{CommitTiming, ShardMonitor, ShardObserver};
use crate::decode::{DecodeError, Fields, Reading, boolean, category, matches, number, timestamp};
use crate::model::{DropReason, EventTime, Kind, Shard, TopicId};
use crate::panes::{Commit, CommitSchema, Frame, Head, MonitorSchema};
use crate::stats::Layout;

/// More open panes of one shard and monitor than this ask for a commit: a backlog passes through many panes between two flushes.
const MANY_PANES: usize = 8;

/// The longest silence of a shard in the log.
const LONGEST_HEARTBEAT: Duration = Duration::from_secs(30);

/// Counts the records of one source, shard by shard.
#[derive(Debug)]
pub struct Observer {
    monitors: Arc<[ObservedMonitor]>,
    counted: Arc<CommitSchema>,
    heartbeat: Duration,
    shards: Vec<Option<ShardObserver>>,
    /// Empty frames to use again, by monitor.
    spare: Vec<Vec<Frame>>,
    category: String,
    crossed_pane: bool,
    wants_commit: bool,
    is_connected: bool,
    source_shards: u32,
}

impl Observer {
    /// An observer for the monitors of one source.
    #[must_use]
    pub fn new(monitors: Vec<ObservedMonitor>) -> Self {
        let spare = monitors.iter().map(|_| Vec::new()).collect();
        let heartbeats = monitors.iter().map(|monitor| monitor.idle_after / 2);
        Observer {
            counted: Arc::new(counted(&monitors)),
            heartbeat: heartbeats.fold(LONGEST_HEARTBEAT, Duration::min),
            monitors: monitors.into(),
            shards: Vec::new(),
            spare,
            category: String::new(),
            crossed_pane: false,
            wants_commit: false,
            is_connected: true,
            source_shards: 0,
        }
    }

    /// Counts for other monitors from now on; what was counted for the old ones has been taken by [`Observer::commits`].
    pub fn switch_plan(&mut self, monitors: Vec<ObservedMonitor>) {
        let fresh = Observer::new(monitors);
        let open = self.shards.iter_mut().flatten();
        open.for_each(|shard| shard.switch_plan(&fresh.counted));
        (self.monitors, self.counted) = (fresh.monitors, fresh.counted);
        (self.spare, self.heartbeat) = (fresh.spare, fresh.heartbeat);
    }

    /// Whether the source would know of new records: only then does silence at a shard's end mean that there are none.
    pub fn set_connected(&mut self, is_connected: bool) {
        self.is_connected = is_connected;
    }

    /// How many shards the source has.
    pub fn set_source_shards(&mut self, count: u32) {
        self.source_shards = count;
    }

    /// Begins to read a shard at offset `base`; `slot` names it from now on, `head` is what earlier owners counted.
    pub fn open(
        &mut self,
        slot: usize,
        shard: &Shard,
        base: i64,
        from_start: bool,
        head: Option<&Head>,
    ) {
        if self.shards.len() <= slot {
            self.shards.resize_with(slot + 1, || None);
        }
        self.shards[slot] = Some(ShardObserver::new(
            shard,
            base,
            from_start,
            &self.counted,
            head,
        ));
    }

    /// Says which topic a shard's records come from.
    pub fn identify(&mut self, slot: usize, topic_id: TopicId) {
        if let Some(shard) = self.shards.get_mut(slot).and_then(Option::as_mut) {
            shard.identify(topic_id);
        }
    }

    /// Counts a record of which the decoder found `fields`.
    ///
    /// `source_time` is the time the source holds for the record, `now` the wall clock; both `None` where there is none, as in a file.
    pub fn observe(
        &mut self,
        slot: usize,
        fields: Fields<'_>,
        source_time: Option<EventTime>,
        now: Option<EventTime>,
    ) {
        let Some(shard) = self.shards.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        shard.count_decoded();
        let mut opened_pane = false;
        let parts = self
            .monitors
            .iter()
            .zip(&mut shard.monitors)
            .zip(&mut self.spare);
        for ((plan, counts), spare) in parts {
            match event_time(plan, fields, source_time, now, counts) {
                Err(reason) => counts.drop_event(reason),
                Ok(time) => {
                    self.crossed_pane |= counts.count_time(time, now, plan);
                    let panes = counts.frames.len();
                    let frame = frame_at(time, plan, counts, spare);
                    count_record(frame, plan, fields, &mut self.category);
                    opened_pane |= counts.frames.len() > panes;
                    self.wants_commit |= counts.frames.len() > MANY_PANES;
                }
            }
        }
        self.wants_commit |= shard.is_large(opened_pane);
    }

    /// Counts a record that could not be decoded.
    pub fn reject(&mut self, slot: usize, error: DecodeError) {
        if let Some(shard) = self.shards.get_mut(slot).and_then(Option::as_mut) {
            shard.count_error(error);
        }
    }

    /// Counts a record without a payload.
    pub fn tombstone(&mut self, slot: usize) {
        if let Some(shard) = self.shards.get_mut(slot).and_then(Option::as_mut) {
            shard.count_tombstone();
        }
    }

    /// Counts offsets that retention took before they were read.
    pub fn lose(&mut self, slot: usize, offsets: u64) {
        if let Some(shard) = self.shards.get_mut(slot).and_then(Option::as_mut) {
            shard.count_lost(offsets);
        }
    }

    /// Everything of a shard before `upto` has been handed over; `caught_up_at` when that was the shard's end at this moment.
    pub fn position(&mut self, slot: usize, upto: i64, caught_up_at: Option<EventTime>) {
        if let Some(shard) = self.shards.get_mut(slot).and_then(Option::as_mut) {
            shard.position(upto, caught_up_at);
        }
    }

    /// Stops reading a shard; what it counted goes into one last commit.
    pub fn close(&mut self, slot: usize, now: Option<EventTime>) -> Option<Commit> {
        let rhythm = self.rhythm(now);
        let mut shard = self.shards.get_mut(slot)?.take()?;
        Some(shard.take(rhythm, &mut self.spare))
    }

    /// Stops reading a shard and drops what it counted since its last commit.
    pub fn forget(&mut self, slot: usize) {
        if let Some(shard) = self.shards.get_mut(slot) {
            *shard = None;
        }
    }

    fn rhythm(&self, now: Option<EventTime>) -> CommitTiming {
        CommitTiming {
            now,
            is_connected: self.is_connected,
            source_shards: self.source_shards,
            heartbeat: self.heartbeat,
        }
    }

    /// Whether a shard's watermark has passed into another pane since this was last asked.
    pub fn take_crossed_pane(&mut self) -> bool {
        std::mem::take(&mut self.crossed_pane)
    }

    /// The newest event of a shard, of whichever monitor.
    #[must_use]
    pub fn newest(&self, slot: usize) -> Option<EventTime> {
        let shard = self.shards.get(slot)?.as_ref()?;
        shard.monitors.iter().filter_map(ShardMonitor::newest).max()
    }

    /// The longest time between two signs of life of a shard.
    #[must_use]
    pub fn heartbeat(&self) -> Duration {
        self.heartbeat
    }

    /// Everything counted of one shard since it was last committed.
    pub fn commit(&mut self, slot: usize, now: Option<EventTime>) -> Option<Commit> {
        let rhythm = self.rhythm(now);
        let shard = self.shards.get_mut(slot)?.as_mut()?;
        shard
            .is_due(rhythm)
            .then(|| shard.take(rhythm, &mut self.spare))
    }

    /// Whether so many panes are open that a commit should not wait for the next flush.
    #[must_use]
    pub fn wants_commit(&self) -> bool {
        self.wants_commit
    }

    /// Everything counted since the last call, with the slot of its shard; a shard without news is heard of now and then, to say it is alive.
    pub fn commits(&mut self, now: Option<EventTime>) -> Vec<(usize, Commit)> {
        self.wants_commit = false;
        let rhythm = self.rhythm(now);
        let open = self
            .shards
            .iter_mut()
            .enumerate()
            .filter_map(|(slot, shard)| Some((slot, shard.as_mut()?)));
        let due = open.filter(|(_, shard)| shard.is_due(rhythm));
        due.map(|(slot, shard)| (slot, shard.take(rhythm, &mut self.spare)))
            .collect()
    }
}

/// The names under which the counts of these monitors are filed.
fn counted(monitors: &[ObservedMonitor]) -> CommitSchema {
    let of = |monitor: &ObservedMonitor| MonitorSchema {
        id: monitor.id,
        features: monitor.features.iter().map(|feature| feature.id).collect(),
    };
    CommitSchema {
        monitors: monitors.iter().map(of).collect(),
    }
}

/// Whether a record is one of the monitor's.
#[must_use]
pub fn is_selected(plan: &ObservedMonitor, fields: Fields<'_>) -> bool {
    plan.select.as_ref().is_none_or(|(slot, literals)| {
        let found = fields.slots[*slot];
        literals
            .iter()
            .any(|literal| matches(found, fields.scratch, literal))
    })
}

/// The time of an event, or why it is none of the monitor's.
fn event_time(
    plan: &ObservedMonitor,
    fields: Fields<'_>,
    source_time: Option<EventTime>,
    now: Option<EventTime>,
    counts: &ShardMonitor,
) -> Result<EventTime, DropReason> {
    if !is_selected(plan, fields) {
        return Err(DropReason::Filtered);
    }
    let own = plan
        .timestamp
        .and_then(|slot| timestamp(fields.slots[slot], fields.scratch));
    let stand_in = source_time.filter(|time| plan.fallback && time.as_millis() > 0);
    let time = own.or(stand_in).ok_or(DropReason::NoTimestamp)?;
    if now.is_some_and(|now| time > now.plus(plan.max_future)) {
        return Err(DropReason::Future);
    }
    if counts.is_too_late(time, plan) {
        Err(DropReason::Late)
    } else {
        Ok(time)
    }
}

/// The frame of the pane that contains `time`; the newest is tried first.
fn frame_at<'a>(
    time: EventTime,
    plan: &ObservedMonitor,
    counts: &'a mut ShardMonitor,
    spare: &mut Vec<Frame>,
) -> &'a mut Frame {
    let start = time.align_down(plan.pane_width);
    let found = counts
        .frames
        .iter()
        .rposition(|frame| frame.start() == start);
    let place = found.unwrap_or_else(|| {
        let fresh = || {
            Frame::new(
                plan.features
                    .iter()
                    .map(|feature| feature.layout.as_deref()),
            )
        };
        let mut frame = spare.pop().unwrap_or_else(fresh);
        frame.begin(start);
        counts.frames.push(frame);
        counts.frames.len() - 1
    });
    &mut counts.frames[place]
}

/// Counts what every feature of a monitor makes of a record; `buffer` is reused for the text of numbers.
pub fn count_record(
    frame: &mut Frame,
    plan: &ObservedMonitor,
    fields: Fields<'_>,
    buffer: &mut String,
) {
    frame.count_event();
    for (index, feature) in plan.features.iter().enumerate() {
        count_feature(frame, index, feature, fields, buffer);
    }
}

#[inline]
fn count_feature(
    frame: &mut Frame,
    index: usize,
    feature: &ObservedFeature,
    fields: Fields<'_>,
    buffer: &mut String,
) {
    let slot = fields.slots[feature.slot];
    let layout = feature.layout.as_deref();
    let outcome = match feature.kind {
        Kind::Numeric => number(slot, fields.scratch).map(|x| match layout {
            Some(Layout::Numeric(layout)) => frame.record_number(index, layout, x),
            _ => frame.record_value(index),
        }),
        Kind::Categorical => category(slot, fields.scratch, buffer)
            .map(|name| record_category(frame, index, layout, name)),
        Kind::Boolean => boolean(slot, fields.scratch).map(|value| {
            record_category(frame, index, layout, if value { "true" } else { "false" })
        }),
    };
    match outcome {
        Reading::Value(()) => {}
        Reading::Missing(kind) => frame.miss(index, kind),
        Reading::Invalid(reason) => frame.reject(index, reason),
    }
}

fn record_category(frame: &mut Frame, index: usize, layout: Option<&Layout>, name: &str) {
    match layout {
        Some(Layout::Categorical(layout)) => frame.record_bin(index, layout.index(name)),
        _ => frame.record_value(index),
    }
}

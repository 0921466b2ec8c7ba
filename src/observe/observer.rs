//! The observer: owns the frames of its shards and cuts them into commits.
//!
//! For each record and monitor it reads the event time, drops the events that are filtered, without
//! a time, in the future or too late, and counts the others in the frame of their pane. The cost of
//! a record grows with the monitors that count it, and a value is one index computation and two
//! additions.

use std::sync::Arc;
use std::time::Duration;

use super::plan::{ObservedFeature, ObservedMonitor};
use super::rejections::{RejectedRecords, Rejections};
use super::shard::{CommitTiming, ShardMonitor, ShardObserver};
use crate::decode::{DecodeError, Fields, Reading, boolean, category, matches, number, timestamp};
use crate::model::{DropReason, EventTime, Kind, Shard, TopicId};
use crate::panes::{Commit, CommitSchema, Frame, Head, MonitorSchema};
use crate::stats::Layout;

/// Open panes of one shard and monitor above which a commit is requested.
///
/// A backlog passes through many panes between two flushes.
const MAX_OPEN_PANES: usize = 8;

/// Longest time without a commit of a shard.
const LONGEST_HEARTBEAT: Duration = Duration::from_secs(30);

/// Counts the records of one source, shard by shard.
#[derive(Debug)]
pub struct Observer {
    monitors: Arc<[ObservedMonitor]>,
    schema: Arc<CommitSchema>,
    heartbeat: Duration,
    shards: Vec<Option<ShardObserver>>,
    rejections: Rejections,
    /// Empty frames to reuse, by monitor.
    spare: Vec<Vec<Frame>>,
    category: String,
    crossed_pane: bool,
    wants_commit: bool,
    is_connected: bool,
    source_shards: u32,
}

impl Observer {
    /// Creates an observer for the monitors of one source.
    #[must_use]
    pub fn new(monitors: Vec<ObservedMonitor>) -> Self {
        Observer {
            schema: Arc::new(schema_of(&monitors)),
            heartbeat: monitors
                .iter()
                .map(|monitor| monitor.idle_after / 2)
                .fold(LONGEST_HEARTBEAT, Duration::min),
            spare: monitors.iter().map(|_| Vec::new()).collect(),
            monitors: monitors.into(),
            shards: Vec::new(),
            rejections: Rejections::default(),
            category: String::new(),
            crossed_pane: false,
            wants_commit: false,
            is_connected: true,
            source_shards: 0,
        }
    }

    /// Counts by another plan from now on.
    ///
    /// Counts by the old plan must have been taken by [`Observer::commits`]; others are dropped.
    pub fn switch_plan(&mut self, monitors: Vec<ObservedMonitor>) {
        let fresh = Observer::new(monitors);
        for shard in self.shards.iter_mut().flatten() {
            shard.switch_plan(&fresh.schema);
        }
        (self.monitors, self.schema) = (fresh.monitors, fresh.schema);
        (self.spare, self.heartbeat) = (fresh.spare, fresh.heartbeat);
    }

    /// Sets whether the source would receive new records.
    ///
    /// Only while it would does a shard at its end stay caught up.
    pub fn set_connected(&mut self, is_connected: bool) {
        self.is_connected = is_connected;
    }

    /// Sets the number of shards of the source.
    pub fn set_source_shards(&mut self, count: u32) {
        self.source_shards = count;
    }

    /// Starts reading a shard at offset `base`; `slot` identifies it from now on.
    ///
    /// `head` holds the state left by earlier writers, if the shard was ever counted. `from_start`
    /// is true if the shard held no records before `base`.
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
            &self.schema,
            head,
        ));
    }

    /// Sets the id of the topic that a shard's records come from.
    pub fn identify(&mut self, slot: usize, topic_id: TopicId) {
        if let Some(shard) = self.shard_mut(slot) {
            shard.identify(topic_id);
        }
    }

    /// Counts a decoded record.
    ///
    /// `source_time` is the time that the source holds for the record, and `now` the wall clock;
    /// each is `None` where there is none, as in a file.
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
        for ((plan, counts), spare) in self
            .monitors
            .iter()
            .zip(&mut shard.monitors)
            .zip(&mut self.spare)
        {
            match event_time(plan, fields, source_time, now, counts) {
                Err(reason) => counts.drop_event(reason),
                Ok(time) => {
                    self.crossed_pane |= counts.count_time(time, now, plan);
                    let panes = counts.frames.len();
                    let frame = frame_at(time, plan, counts, spare);
                    count_record(frame, plan, fields, &mut self.category);
                    opened_pane |= counts.frames.len() > panes;
                    self.wants_commit |= counts.frames.len() > MAX_OPEN_PANES;
                }
            }
        }
        self.wants_commit |= shard.is_large(opened_pane);
    }

    /// Counts a record that could not be decoded.
    pub fn reject(&mut self, slot: usize, offset: i64, error: DecodeError) {
        if let Some(shard) = self.shards.get_mut(slot).and_then(Option::as_mut) {
            shard.count_error(error);
            self.rejections.add(error, shard.shard(), offset);
        }
    }

    /// Takes the undecodable records since the last call, one entry per reason.
    pub fn take_rejections(&mut self) -> Vec<RejectedRecords> {
        self.rejections.take()
    }

    /// Counts a record without a payload.
    pub fn tombstone(&mut self, slot: usize) {
        if let Some(shard) = self.shard_mut(slot) {
            shard.count_tombstone();
        }
    }

    /// Counts offsets that retention deleted before they were read.
    pub fn lose(&mut self, slot: usize, offsets: u64) {
        if let Some(shard) = self.shard_mut(slot) {
            shard.count_lost(offsets);
        }
    }

    /// Sets the position of a shard: everything before `upto` was handed over.
    ///
    /// `caught_up_at` is set if `upto` was the shard's end at that moment.
    pub fn position(&mut self, slot: usize, upto: i64, caught_up_at: Option<EventTime>) {
        if let Some(shard) = self.shard_mut(slot) {
            shard.position(upto, caught_up_at);
        }
    }

    /// Stops reading a shard, and returns its last commit.
    pub fn close(&mut self, slot: usize, now: Option<EventTime>) -> Option<Commit> {
        let timing = self.timing(now);
        let mut shard = self.shards.get_mut(slot)?.take()?;
        Some(shard.take(timing, &mut self.spare))
    }

    /// Stops reading a shard, and drops its counts since the last commit.
    pub fn forget(&mut self, slot: usize) {
        if let Some(shard) = self.shards.get_mut(slot) {
            *shard = None;
        }
    }

    fn shard_mut(&mut self, slot: usize) -> Option<&mut ShardObserver> {
        self.shards.get_mut(slot)?.as_mut()
    }

    fn timing(&self, now: Option<EventTime>) -> CommitTiming {
        CommitTiming {
            now,
            is_connected: self.is_connected,
            source_shards: self.source_shards,
            heartbeat: self.heartbeat,
        }
    }

    /// Returns true if a watermark of a shard moved into another pane since the last call.
    pub fn take_crossed_pane(&mut self) -> bool {
        std::mem::take(&mut self.crossed_pane)
    }

    /// Returns the newest event time of a shard over all monitors.
    #[must_use]
    pub fn newest(&self, slot: usize) -> Option<EventTime> {
        let shard = self.shards.get(slot)?.as_ref()?;
        shard.monitors.iter().filter_map(ShardMonitor::newest).max()
    }

    /// Returns the longest time between two commits of a shard.
    ///
    /// It is half the shortest `idle_after`, at most 30 s.
    #[must_use]
    pub fn heartbeat(&self) -> Duration {
        self.heartbeat
    }

    /// Returns the commit of one shard, if one is due.
    pub fn commit(&mut self, slot: usize, now: Option<EventTime>) -> Option<Commit> {
        let timing = self.timing(now);
        let shard = self.shards.get_mut(slot)?.as_mut()?;
        shard
            .is_due(timing)
            .then(|| shard.take(timing, &mut self.spare))
    }

    /// Returns true if a commit should not wait for the next flush.
    ///
    /// It is large, or too many panes of a shard are open.
    #[must_use]
    pub fn wants_commit(&self) -> bool {
        self.wants_commit
    }

    /// Returns the commits of all shards for which one is due, each with the slot of its shard.
    pub fn commits(&mut self, now: Option<EventTime>) -> Vec<(usize, Commit)> {
        self.wants_commit = false;
        let timing = self.timing(now);
        self.shards
            .iter_mut()
            .enumerate()
            .filter_map(|(slot, shard)| Some((slot, shard.as_mut()?)))
            .filter(|(_, shard)| shard.is_due(timing))
            .map(|(slot, shard)| (slot, shard.take(timing, &mut self.spare)))
            .collect()
    }
}

/// Returns the ids under which these monitors are counted.
fn schema_of(monitors: &[ObservedMonitor]) -> CommitSchema {
    CommitSchema {
        monitors: monitors
            .iter()
            .map(|monitor| MonitorSchema {
                id: monitor.id,
                features: monitor.features.iter().map(|feature| feature.id).collect(),
            })
            .collect(),
    }
}

/// Returns true if the monitor selects the record.
#[must_use]
pub fn is_selected(plan: &ObservedMonitor, fields: Fields<'_>) -> bool {
    plan.select.as_ref().is_none_or(|(slot, literals)| {
        let value = fields.slots[*slot];
        literals
            .iter()
            .any(|literal| matches(value, fields.scratch, literal))
    })
}

/// Returns the event time of a record, or the reason why the monitor drops it.
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
    let field_time = plan
        .timestamp
        .and_then(|slot| timestamp(fields.slots[slot], fields.scratch));
    let fallback_time = source_time.filter(|time| plan.fallback && time.as_millis() > 0);
    let time = field_time
        .or(fallback_time)
        .ok_or(DropReason::NoTimestamp)?;
    if now.is_some_and(|now| time > now.plus(plan.max_future)) {
        return Err(DropReason::Future);
    }
    if counts.is_too_late(time, plan) {
        Err(DropReason::Late)
    } else {
        Ok(time)
    }
}

/// Returns the frame of the pane that contains `time`, and opens one if needed.
///
/// The newest frames are searched first.
fn frame_at<'a>(
    time: EventTime,
    plan: &ObservedMonitor,
    counts: &'a mut ShardMonitor,
    spare: &mut Vec<Frame>,
) -> &'a mut Frame {
    let start = time.align_down(plan.pane_width);
    let index = counts
        .frames
        .iter()
        .rposition(|frame| frame.start() == start)
        .unwrap_or_else(|| {
            let mut frame = spare.pop().unwrap_or_else(|| {
                Frame::new(
                    plan.features
                        .iter()
                        .map(|feature| feature.layout.as_deref()),
                )
            });
            frame.begin(start);
            counts.frames.push(frame);
            counts.frames.len() - 1
        });
    &mut counts.frames[index]
}

/// Counts one event and the value of each feature; `buffer` is reused for the text of numbers.
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
        Reading::Missing(kind) => frame.record_missing(index, kind),
        Reading::Invalid(reason) => frame.record_invalid(index, reason),
    }
}

fn record_category(frame: &mut Frame, index: usize, layout: Option<&Layout>, name: &str) {
    match layout {
        Some(Layout::Categorical(layout)) => frame.record_category(index, layout, name),
        _ => frame.record_value(index),
    }
}

//! The observer: owns the frames of its shards and cuts them into commits.
//!
//! For each record it reads the event time, once for all monitors that read it alike. For each
//! monitor it then drops the events that are filtered, without a time, in the future or too late,
//! and counts the others in the frame of their pane. The cost of a record grows with the monitors
//! that count it, and a value is one index computation and two additions.

use std::sync::Arc;
use std::time::Duration;

use super::commit_size::CommitSize;
use super::event_clock::EventClocks;
use super::plan::{ObservedFeature, ObservedMonitor, schema_of};
use super::rejections::{RejectedRecords, Rejections};
use super::shard::{CommitTiming, ShardMonitor, ShardObserver, is_too_late};
use super::time_sample::SourceTime;
use super::wrong_kinds::{WrongKind, WrongKinds};
use crate::decode::{DecodeError, Fields, Reading, boolean, category, matches, number, spelling};
use crate::model::{DropReason, EventTime, InvalidReason, Kind, Moment, Shard, TopicId};
use crate::panes::{Commit, CommitSchema, Frame, Head};
use crate::stats::Layout;

/// Open panes of one shard and monitor above which a commit is requested.
///
/// A backlog passes through many panes between two flushes.
const MAX_OPEN_PANES: usize = 8;

/// Longest time without a commit of a shard.
const LONGEST_HEARTBEAT: Duration = Duration::from_secs(30);
/// Shortest time without a commit of a shard, however short the slides are.
const SHORTEST_HEARTBEAT: Duration = Duration::from_secs(1);

/// Counts the records of one source, shard by shard.
#[derive(Debug)]
pub struct Observer {
    monitors: Arc<[ObservedMonitor]>,
    schema: Arc<CommitSchema>,
    event_clocks: EventClocks,
    /// The event time of the present record by each clock, or the reason why it has none.
    times: Vec<Result<EventTime, DropReason>>,
    heartbeat: Duration,
    shards: Vec<Option<ShardObserver>>,
    rejections: Rejections,
    wrong_kinds: WrongKinds,
    /// Empty frames to reuse, by monitor.
    spare: Vec<Vec<Frame>>,
    category: String,
    crossed_pane: bool,
    wants_commit: bool,
    commit_size: CommitSize,
    source_shards: u32,
}

impl Observer {
    /// Creates an observer for the monitors of one source.
    #[must_use]
    pub fn new(monitors: Vec<ObservedMonitor>) -> Self {
        Observer {
            schema: Arc::new(schema_of(&monitors)),
            event_clocks: EventClocks::new(&monitors),
            times: Vec::new(),
            heartbeat: monitors
                .iter()
                .map(|monitor| {
                    // A shard without records holds the watermark at its last commit, so its
                    // commits must not be further apart than the windows.
                    let slide = monitor.pane_width.max(SHORTEST_HEARTBEAT);
                    slide.min(monitor.idle_after / 2)
                })
                .fold(LONGEST_HEARTBEAT, Duration::min),
            spare: monitors.iter().map(|_| Vec::new()).collect(),
            monitors: monitors.into(),
            shards: Vec::new(),
            rejections: Rejections::default(),
            wrong_kinds: WrongKinds::default(),
            category: String::new(),
            crossed_pane: false,
            wants_commit: false,
            commit_size: CommitSize::default(),
            source_shards: 0,
        }
    }

    /// Counts by another plan from now on.
    ///
    /// Counts by the old plan must have been taken by [`Observer::commits`]; others are dropped.
    pub fn switch_plan(&mut self, monitors: Vec<ObservedMonitor>) {
        let fresh = Observer::new(monitors);
        for shard in self.shards.iter_mut().flatten() {
            shard.switch_plan(&fresh.schema, &fresh.event_clocks, &self.event_clocks);
        }
        self.event_clocks = fresh.event_clocks;
        self.wrong_kinds = fresh.wrong_kinds;
        (self.monitors, self.schema) = (fresh.monitors, fresh.schema);
        (self.spare, self.heartbeat) = (fresh.spare, fresh.heartbeat);
    }

    /// Sets the size in the log at which a commit is closed at the latest.
    pub fn set_largest_commit(&mut self, bytes: usize) {
        self.commit_size = CommitSize::at_most(bytes);
    }

    /// Closes commits at half the size from now on.
    pub fn halve_commits(&mut self) {
        self.commit_size = self.commit_size.halved();
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
            &self.event_clocks,
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
    /// `source_time` is the time that the source holds for the record. `arrived_at` is its arrival:
    /// that time, within [`Observer::confirmed_at`] and the wall clock, or else the wall clock.
    /// Each is `None` where there is none, as in a file.
    pub fn observe(
        &mut self,
        slot: usize,
        fields: Fields<'_>,
        source_time: Option<EventTime>,
        arrived_at: Option<EventTime>,
    ) {
        let Some(shard) = self.shards.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        shard.count_decoded();
        self.times.clear();
        let arrival = arrived_at.map(|time| SourceTime {
            time,
            is_of_reader: arrived_at != source_time,
        });
        for (clock, shard_clock) in self.event_clocks.clocks.iter().zip(&mut shard.clocks) {
            let time = clock.read(fields, source_time, arrived_at);
            if let Ok(time) = time {
                self.crossed_pane |= shard_clock.advance(time, arrival, clock);
            }
            self.times.push(time);
        }
        let mut opened_features = 0;
        for (index, (((plan, clock), counts), spare)) in self
            .monitors
            .iter()
            .zip(&self.event_clocks.of_monitor)
            .zip(&mut shard.monitors)
            .zip(&mut self.spare)
            .enumerate()
        {
            if !is_selected(plan, fields) {
                counts.drop_event(DropReason::Filtered);
                continue;
            }
            let newest = shard.clocks[*clock].newest;
            match self.times[*clock] {
                Err(reason) => counts.drop_event(reason),
                Ok(time) if is_too_late(time, newest, plan) => counts.drop_event(DropReason::Late),
                Ok(time) => {
                    counts.count_time(time, arrived_at, newest, plan);
                    let panes = counts.frames.len();
                    let frame = frame_at(time, plan, counts, spare);
                    let wrong_kinds = &mut self.wrong_kinds;
                    count_record(frame, plan, fields, &mut self.category, &mut |feature| {
                        wrong_kinds.note(index, feature);
                    });
                    if counts.frames.len() > panes {
                        opened_features += plan.features.len();
                    }
                    self.wants_commit |= counts.frames.len() > MAX_OPEN_PANES;
                }
            }
        }
        self.wants_commit |= shard.is_large(opened_features, self.commit_size);
        self.wrong_kinds
            .describe(&self.monitors, fields, shard.shard());
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

    /// Takes the first values of a wrong kind, one per feature, at most `count` at a time.
    pub fn take_wrong_kinds(&mut self, count: usize) -> Vec<WrongKind> {
        self.wrong_kinds.take(count)
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
    /// `confirmed_at` is set if that is every record that the shard held at that moment.
    pub fn position(&mut self, slot: usize, upto: i64, confirmed_at: Option<EventTime>) {
        if let Some(shard) = self.shard_mut(slot) {
            shard.position(upto, confirmed_at);
        }
    }

    /// Returns the latest moment up to which a shard is known to be read; `None` if there was none
    /// since it was opened. The records that are read from now on arrived after that.
    #[must_use]
    pub fn confirmed_at(&self, slot: usize) -> Option<EventTime> {
        self.shards.get(slot)?.as_ref()?.confirmed_at()
    }

    /// Sets the position of a shard after a record, whatever its outcome.
    ///
    /// `source_time` is the time that the source holds for it, at most the wall clock.
    pub fn pass_record(&mut self, slot: usize, upto: i64, source_time: Option<SourceTime>) {
        if let Some(shard) = self.shard_mut(slot) {
            shard.pass_record(upto, source_time);
        }
    }

    /// Stops reading a shard, and returns its last commit.
    pub fn close(&mut self, slot: usize, now: Option<Moment>) -> Option<Commit> {
        let timing = self.timing(now);
        let mut shard = self.shards.get_mut(slot)?.take()?;
        Some(shard.take(timing, &self.event_clocks, &mut self.spare))
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

    fn timing(&self, now: Option<Moment>) -> CommitTiming {
        CommitTiming {
            now,
            source_shards: self.source_shards,
            heartbeat: self.heartbeat,
        }
    }

    /// Returns true if a watermark of a shard moved into another pane since the last call.
    pub fn take_crossed_pane(&mut self) -> bool {
        std::mem::take(&mut self.crossed_pane)
    }

    /// Returns the newest event time of a shard over all monitors, selected or not.
    #[must_use]
    pub fn newest(&self, slot: usize) -> Option<EventTime> {
        let shard = self.shards.get(slot)?.as_ref()?;
        shard.clocks.iter().filter_map(|clock| clock.newest).max()
    }

    /// Returns the longest time between two commits of a shard.
    ///
    /// It is the shortest slide or half the shortest `idle_after`, at most 30 s.
    #[must_use]
    pub fn heartbeat(&self) -> Duration {
        self.heartbeat
    }

    /// Returns the commit of one shard, if one is due.
    pub fn commit(&mut self, slot: usize, now: Option<Moment>) -> Option<Commit> {
        let timing = self.timing(now);
        let shard = self.shards.get_mut(slot)?.as_mut()?;
        shard
            .is_due(timing)
            .then(|| shard.take(timing, &self.event_clocks, &mut self.spare))
    }

    /// Returns true if a commit should not wait for the next flush.
    ///
    /// It is large, or too many panes of a shard are open.
    #[must_use]
    pub fn wants_commit(&self) -> bool {
        self.wants_commit
    }

    /// Returns the commits of all shards for which one is due, each with the slot of its shard.
    pub fn commits(&mut self, now: Option<Moment>) -> Vec<(usize, Commit)> {
        self.wants_commit = false;
        let timing = self.timing(now);
        self.shards
            .iter_mut()
            .enumerate()
            .filter_map(|(slot, shard)| Some((slot, shard.as_mut()?)))
            .filter(|(_, shard)| shard.is_due(timing))
            .map(|(slot, shard)| {
                let commit = shard.take(timing, &self.event_clocks, &mut self.spare);
                (slot, commit)
            })
            .collect()
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
///
/// `on_wrong_kind` takes the index of each feature whose value is of another kind.
pub fn count_record(
    frame: &mut Frame,
    plan: &ObservedMonitor,
    fields: Fields<'_>,
    buffer: &mut String,
    on_wrong_kind: &mut impl FnMut(usize),
) {
    frame.count_event();
    for (index, feature) in plan.features.iter().enumerate() {
        let invalid = count_feature(frame, index, feature, fields, buffer);
        if invalid == Some(InvalidReason::WrongKind) {
            on_wrong_kind(index);
        }
    }
}

#[inline]
fn count_feature(
    frame: &mut Frame,
    index: usize,
    feature: &ObservedFeature,
    fields: Fields<'_>,
    buffer: &mut String,
) -> Option<InvalidReason> {
    let slot = feature.read(fields);
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
        Reading::Value(()) => None,
        Reading::Missing(kind) => {
            frame.record_missing(index, kind);
            None
        }
        Reading::Invalid(reason) => {
            frame.record_invalid(index, reason);
            if feature.kind != Kind::Categorical {
                frame.note_invalid(index, spelling(slot, fields.scratch, buffer));
            }
            Some(reason)
        }
    }
}

fn record_category(frame: &mut Frame, index: usize, layout: Option<&Layout>, name: &str) {
    match layout {
        Some(Layout::Categorical(layout)) => frame.record_category(index, layout, name),
        _ => frame.record_value(index),
    }
}

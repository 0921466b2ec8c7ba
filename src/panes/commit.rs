//! What an observer hands to the log: everything it counted of one shard between two offsets.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Claim, encoding};
use crate::decode::DecodeError;
use crate::model::{EventTime, LayoutId, MonitorId, Shard, TopicId};
use crate::stats::{CellRun, Tallies};

/// The counts of one shard's records in `base..upto`.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// Whose records.
    pub shard: Arc<Shard>,
    /// The topic they come from, where that is known.
    pub topic_id: Option<TopicId>,
    /// The previous commit's `upto`, never the first record's offset.
    pub base: i64,
    /// The reader's position after the last record; at least `base`.
    pub upto: i64,
    /// Whether its owner found no head, and counted from where it began.
    pub opens: bool,
    /// Wall time of writing; `None` where the input has no arrival times (a file).
    pub written_at: Option<EventTime>,
    /// The latest moment at which the shard had no further record.
    pub caught_up_at: Option<EventTime>,
    /// Whether nothing of the shard was ever before `base`.
    pub from_start: bool,
    /// How many shards its source has, as far as its reader knows; 0 = not known. While some of them were never heard of, time waits for them.
    pub source_shards: u32,
    /// Offsets in `base..upto` that retention took before they were read.
    pub offsets_lost: u64,
    /// What its owner counts; empty where no record was read and nothing is new to tell.
    pub counted: Arc<CommitSchema>,
    /// How its records fared.
    pub records: RecordCounts,
    /// One entry per monitor that saw a record.
    pub monitors: Vec<MonitorCommit>,
}

/// What an observer counts: the names its commits refer to by place.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CommitSchema {
    /// In the order of the source's monitors.
    pub monitors: Vec<MonitorSchema>,
}

/// What is counted of one monitor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitorSchema {
    /// Its events.
    pub id: MonitorId,
    /// Its features, in the monitor's order.
    pub features: Vec<LayoutId>,
}

/// How the records of a shard fared; `consumed = decoded + errors + tombstones`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RecordCounts {
    /// Records that could be decoded.
    pub decoded: u64,
    /// Records that could not, in the order of [`DecodeError::ALL`].
    #[serde(with = "encoding::reasons")]
    pub errors: [u64; DecodeError::ALL.len()],
    /// Records without a payload.
    pub tombstones: u64,
}

impl RecordCounts {
    /// All records.
    #[must_use]
    pub fn consumed(&self) -> u64 {
        self.decoded + self.errors.iter().sum::<u64>() + self.tombstones
    }

    /// Adds another stretch.
    pub fn merge(&mut self, other: &RecordCounts) {
        self.decoded += other.decoded;
        self.tombstones += other.tombstones;
        self.errors
            .iter_mut()
            .zip(other.errors)
            .for_each(|(sum, count)| *sum += count);
    }
}

/// What one monitor made of the records; `decoded = events + dropped`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct MonitorCommit {
    /// Its place in `CommitSchema::monitors`.
    pub monitor: usize,
    /// The newest event counted.
    pub max_event_time: Option<EventTime>,
    /// The first event counted, in order of arrival.
    pub first_event_time: Option<EventTime>,
    /// Events counted.
    pub events: u64,
    /// Events counted although behind the watermark; a subset.
    pub events_late: u64,
    /// Events not counted: filtered, no timestamp, future, late.
    pub dropped: [u64; 4],
    /// Arrival minus event time in milliseconds, and how often.
    pub delays_ms: Vec<(u64, u64)>,
    /// The counts, by pane.
    pub panes: Vec<PaneDelta>,
}

/// What was counted in one pane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PaneDelta {
    /// First instant of the pane.
    pub start: EventTime,
    /// Events of the monitor in this pane.
    pub events: u64,
    /// One entry per feature.
    pub features: Vec<FeatureDelta>,
}

/// What was counted of one feature in one pane.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct FeatureDelta {
    /// Its place in `MonitorSchema::features`.
    pub feature: usize,
    /// How its events fared.
    pub tallies: Tallies,
    /// Values per score bin from the first to the last touched bin.
    pub bins: (u16, Vec<u32>),
    /// Values per cell; empty for categories.
    #[serde(with = "encoding::cell_run")]
    pub cells: CellRun,
}

impl Commit {
    /// What the fold judges.
    #[must_use]
    pub fn claim(&self) -> Claim {
        let newest = |monitor: &MonitorCommit| {
            let id = self.counted.monitors.get(monitor.monitor)?.id;
            Some((id, monitor.max_event_time?))
        };
        Claim {
            shard: Arc::clone(&self.shard),
            topic_id: self.topic_id,
            base: self.base,
            upto: self.upto,
            opens: self.opens,
            newest: self.monitors.iter().filter_map(newest).collect(),
        }
    }

    /// What is left of a commit whose counts cannot be read: its offsets are lost.
    #[must_use]
    pub fn unreadable(claim: Claim) -> Self {
        Commit {
            shard: claim.shard,
            base: claim.base,
            topic_id: claim.topic_id,
            opens: claim.opens,
            upto: claim.upto,
            written_at: None,
            caught_up_at: None,
            from_start: false,
            source_shards: 0,
            offsets_lost: claim.upto.saturating_sub(claim.base).unsigned_abs(),
            counted: Arc::default(),
            records: RecordCounts::default(),
            monitors: Vec::new(),
        }
    }

    /// Tells its times by another clock, on which it was written `at`: the clocks of several writers need not agree.
    pub fn set_clock(&mut self, at: Option<EventTime>) {
        let (Some(at), Some(written_at)) = (at, self.written_at) else {
            self.written_at = at.or(self.written_at);
            return;
        };
        let moved = |time: EventTime| {
            let shift = at.as_millis().saturating_sub(written_at.as_millis());
            EventTime::from_millis(time.as_millis().saturating_add(shift))
        };
        self.caught_up_at = self.caught_up_at.map(moved);
        self.written_at = Some(at);
    }

    /// Bytes the commit holds in memory, about.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let features = |pane: &PaneDelta| {
            pane.features
                .iter()
                .map(FeatureDelta::size_bytes)
                .sum::<usize>()
        };
        let panes = self.monitors.iter().flat_map(|monitor| &monitor.panes);
        size_of::<Self>()
            + panes
                .map(|pane| size_of::<PaneDelta>() + features(pane))
                .sum::<usize>()
    }
}

impl FeatureDelta {
    fn size_bytes(&self) -> usize {
        size_of::<Self>()
            + self.bins.1.len() * size_of::<u32>()
            + self.cells.counts.len() * (size_of::<u32>() + size_of::<i64>())
    }
}

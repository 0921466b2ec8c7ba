//! A commit: everything an observer counted of one shard between two offsets.
//!
//! Names are written once, in the commit schema, and the counts refer to them by index. The field
//! order of every type here is part of the log's format.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::encoding;
use super::fold::Claim;
use crate::decode::DecodeError;
use crate::model::{EventTime, LayoutId, MonitorId, SchemaId, Shard, TopicId};
use crate::stats::{CellRun, DurationHistogram, FeatureCounts, HeavyHitters, Tallies};

/// The counts of one shard's records in `base..upto`.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// The shard that the records belong to.
    pub shard: Arc<Shard>,
    /// Id of the topic the records come from, if known.
    pub topic_id: Option<TopicId>,
    /// The previous commit's `upto`, never the first record's offset.
    pub base: i64,
    /// The reader's position after the last record; at least `base`.
    pub upto: i64,
    /// True if the writer found no head for the shard and began to count at `base`.
    pub opens: bool,
    /// Wall time of writing; `None` where the input has no arrival times (a file).
    pub written_at: Option<EventTime>,
    /// Time up to which the shard was read: the median Kafka timestamp of the records of a commit,
    /// or the moment at which its leader was asked for the end that was reached; the latest of
    /// these. Never beyond `written_at`.
    pub read_time: Option<EventTime>,
    /// True if `read_time` is a reading of the writer's clock and not a Kafka timestamp.
    pub is_read_time_of_writer: bool,
    /// True if the shard held no records before `base`.
    pub from_start: bool,
    /// Number of shards of the source, as far as the reader knows; 0 if unknown.
    ///
    /// The watermark waits until each of them has committed or is given up.
    pub source_shards: u32,
    /// Offsets in `base..upto` that retention deleted before they were read.
    pub offsets_lost: u64,
    /// The monitors and layouts that are counted.
    ///
    /// Empty in a heartbeat: no record was read, and the schema is already known.
    pub counted: Arc<CommitSchema>,
    /// Number of records by outcome.
    pub records: RecordCounts,
    /// One entry per monitor that received a record.
    pub monitors: Vec<MonitorCommit>,
}

/// The ids of everything an observer counts; its commits refer to them by index.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CommitSchema {
    /// One entry per monitor, in the order of the source's monitors.
    pub monitors: Vec<MonitorSchema>,
}

impl CommitSchema {
    /// Returns the id of the schema: a hash of its monitors and layouts, in order.
    #[must_use]
    pub fn id(&self) -> SchemaId {
        let layouts: Vec<Vec<u8>> = self
            .monitors
            .iter()
            .map(|monitor| {
                monitor
                    .features
                    .iter()
                    .flat_map(|layout| *layout.as_bytes())
                    .collect()
            })
            .collect();
        SchemaId::of(
            self.monitors
                .iter()
                .zip(&layouts)
                .flat_map(|(monitor, layouts)| {
                    [monitor.id.as_bytes().as_slice(), layouts.as_slice()]
                }),
        )
    }
}

/// The ids under which one monitor is counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitorSchema {
    /// Id of the monitor's events.
    pub id: MonitorId,
    /// Layout ids of its features, in the monitor's order.
    pub features: Vec<LayoutId>,
}

/// Records of a shard by outcome; `consumed = decoded + errors + tombstones`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RecordCounts {
    /// Records that were decoded.
    pub decoded: u64,
    /// Records that failed to decode, in the order of [`DecodeError::ALL`].
    #[serde(with = "encoding::reasons")]
    pub errors: [u64; DecodeError::ALL.len()],
    /// Records without a payload.
    pub tombstones: u64,
}

impl RecordCounts {
    /// Returns the number of records, whatever their outcome.
    #[must_use]
    pub fn consumed(&self) -> u64 {
        self.decoded + self.errors.iter().sum::<u64>() + self.tombstones
    }

    /// Adds the counts of other records.
    pub fn merge(&mut self, other: &Self) {
        self.decoded += other.decoded;
        self.tombstones += other.tombstones;
        self.errors
            .iter_mut()
            .zip(other.errors)
            .for_each(|(sum, count)| *sum += count);
    }
}

/// The counts of one monitor in a commit; `decoded = events + dropped`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct MonitorCommit {
    /// Index into `CommitSchema::monitors`.
    pub monitor: usize,
    /// Newest event time of all records from which the monitor's time can be read, selected or not.
    pub newest_event_time: Option<EventTime>,
    /// Arrival of the last record with that time: its Kafka timestamp, at least the moment up to
    /// which the shard was known to be read before it, and at most the wall clock.
    pub newest_arrived_at: Option<EventTime>,
    /// True if `newest_arrived_at` is a reading of the writer's clock and not a Kafka timestamp.
    pub is_arrival_of_writer: bool,
    /// Event time of the first such record, in order of arrival.
    pub first_event_time: Option<EventTime>,
    /// Time of the newest event counted.
    pub max_event_time: Option<EventTime>,
    /// Number of events counted.
    pub events: u64,
    /// Events behind the watermark that were still counted; a subset of `events`.
    pub events_late: u64,
    /// Events not counted: filtered, no timestamp, bad timestamp, future, late.
    pub dropped: [u64; 5],
    /// Arrival minus event time of the events counted, by [`crate::stats::DELAY_BOUNDS`].
    pub delays: DurationHistogram,
    /// The counts by pane.
    pub panes: Vec<PaneDelta>,
}

/// The counts of one monitor in one pane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PaneDelta {
    /// First instant of the pane.
    pub start: EventTime,
    /// Events of the monitor in this pane.
    pub events: u64,
    /// One entry per feature.
    pub features: Vec<FeatureDelta>,
}

/// The counts of one feature in one pane.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct FeatureDelta {
    /// Index into `MonitorSchema::features`.
    pub feature: usize,
    /// Events by outcome.
    pub tallies: Tallies,
    /// Index of the first touched bin, and values per bin up to the last touched one.
    pub bins: (u16, Vec<u32>),
    /// Values per cell; empty for categories.
    #[serde(with = "encoding::cell_run")]
    pub cells: CellRun,
    /// The most frequent unseen categories, or invalid values of another kind.
    pub unexpected_values: HeavyHitters,
}

impl FeatureDelta {
    /// Adds these counts to those of a window, without the names of unseen categories.
    pub fn add_counts_to(&self, window: &mut FeatureCounts) {
        let (first_bin, bins) = &self.bins;
        window.add_pane(&self.tallies, (*first_bin, bins), &self.cells);
    }
}

impl Commit {
    /// Returns the part that the fold decides on.
    #[must_use]
    pub fn claim(&self) -> Claim {
        Claim {
            shard: Arc::clone(&self.shard),
            topic_id: self.topic_id,
            base: self.base,
            upto: self.upto,
            opens: self.opens,
            newest: self
                .monitors
                .iter()
                .filter_map(|monitor| {
                    let id = self.counted.monitors.get(monitor.monitor)?.id;
                    Some((id, monitor.newest_event_time?))
                })
                .collect(),
        }
    }

    /// Returns a commit without counts for a claim whose counts cannot be read.
    ///
    /// All offsets of the claim are counted as lost.
    #[must_use]
    pub fn unreadable(claim: Claim) -> Self {
        Commit {
            shard: claim.shard,
            base: claim.base,
            topic_id: claim.topic_id,
            opens: claim.opens,
            upto: claim.upto,
            written_at: None,
            read_time: None,
            is_read_time_of_writer: false,
            from_start: false,
            source_shards: 0,
            offsets_lost: claim.upto.saturating_sub(claim.base).unsigned_abs(),
            counted: Arc::default(),
            records: RecordCounts::default(),
            monitors: Vec::new(),
        }
    }

    /// Shifts the commit's wall times to another clock, which read `at` when it was written.
    ///
    /// Readers use the broker's clock, because the clocks of several writers need not agree. Read
    /// times and arrivals that are Kafka timestamps are not shifted, but none is later than the
    /// commit.
    pub fn set_clock(&mut self, at: Option<EventTime>) {
        let Some(at) = at else {
            return;
        };
        let shift_ms = self.written_at.map_or(0, |written_at| {
            at.as_millis().saturating_sub(written_at.as_millis())
        });
        let shifted = |time: EventTime, is_of_writer: bool| {
            let shift_ms = if is_of_writer { shift_ms } else { 0 };
            EventTime::from_millis(time.as_millis().saturating_add(shift_ms)).min(at)
        };
        self.read_time = self
            .read_time
            .map(|time| shifted(time, self.is_read_time_of_writer));
        for counts in &mut self.monitors {
            counts.newest_arrived_at = counts
                .newest_arrived_at
                .map(|time| shifted(time, counts.is_arrival_of_writer));
        }
        self.written_at = Some(at);
    }

    /// Estimates the size in memory in bytes; schema and shard are shared and not included.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>()
            + self
                .monitors
                .iter()
                .flat_map(|monitor| &monitor.panes)
                .map(PaneDelta::size_bytes)
                .sum::<usize>()
    }
}

impl PaneDelta {
    fn size_bytes(&self) -> usize {
        size_of::<Self>()
            + self
                .features
                .iter()
                .map(FeatureDelta::size_bytes)
                .sum::<usize>()
    }
}

impl FeatureDelta {
    fn size_bytes(&self) -> usize {
        size_of::<Self>()
            + self.bins.1.len() * size_of::<u32>()
            + self.cells.counts.len() * (size_of::<u32>() + size_of::<i64>())
            + self.unexpected_values.size_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> EventTime {
        EventTime::from_millis(second * 1000)
    }

    /// A commit that was written at 400 by the writer's clock.
    fn commit(read_time: (i64, bool), arrived_at: (i64, bool)) -> Commit {
        let claim = Claim {
            shard: Arc::new(Shard {
                source: "s".to_owned(),
                cluster: "c".to_owned(),
                topic: "t".to_owned(),
                partition: 0,
                incarnation: 0,
            }),
            topic_id: None,
            base: 0,
            upto: 1,
            opens: true,
            newest: Vec::new(),
        };
        Commit {
            written_at: Some(at(400)),
            read_time: Some(at(read_time.0)),
            is_read_time_of_writer: read_time.1,
            monitors: vec![MonitorCommit {
                newest_arrived_at: Some(at(arrived_at.0)),
                is_arrival_of_writer: arrived_at.1,
                ..MonitorCommit::default()
            }],
            ..Commit::unreadable(claim)
        }
    }

    /// Only the read time was shifted to the broker's clock: behind a writer whose clock was ten
    /// minutes late, the newest event had always arrived ten minutes before the time up to which
    /// its shard was read, so a shard that flowed was idle.
    #[test]
    fn every_reading_of_the_writers_clock_is_shifted_and_no_timestamp_is() {
        let check = |mut commit: Commit, clock: i64, read_time: i64, arrived_at: i64| {
            commit.set_clock(Some(at(clock)));
            assert_eq!(commit.written_at, Some(at(clock)));
            assert_eq!(commit.read_time, Some(at(read_time)), "at {clock}");
            let arrival = commit.monitors[0].newest_arrived_at;
            assert_eq!(arrival, Some(at(arrived_at)), "at {clock}");
        };
        check(commit((399, true), (395, true)), 1000, 999, 995);
        check(commit((399, true), (350, false)), 1000, 999, 350);
        check(commit((380, false), (370, false)), 1000, 380, 370);
        check(commit((399, true), (395, true)), 100, 99, 95);
        check(commit((380, false), (370, false)), 100, 100, 100);
    }
}

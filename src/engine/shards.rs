//! What a monitor knows of the shards it is fed from: how far each has come, and what of it was counted.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::places::CommitIndex;
use crate::model::{EventTime, Lateness, Shard};
use crate::panes::{Commit, MonitorCommit};
use crate::window::{Coverage, Covered, LogTime, Progress, coverage, watermark};

/// One shard, as a monitor sees it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct ShardState {
    pub(super) progress: Progress,
    /// By feature; one entry for the monitor's events where it has no feature.
    pub(super) covered: Vec<Covered>,
}

/// All shards of a monitor.
#[derive(Debug, Clone)]
pub(super) struct Shards {
    features: usize,
    shards: BTreeMap<Shard, ShardState>,
    pub(super) extent: Extent,
    pub(super) time: LogTime,
}

/// How many shards the source has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Extent {
    shards: u32,
    /// When that was first heard.
    known_since: Option<EventTime>,
}

impl Shards {
    /// No shard yet, for a monitor with this many features.
    pub(super) fn new(features: usize) -> Self {
        Shards {
            features: features.max(1),
            shards: BTreeMap::new(),
            extent: Extent::default(),
            time: LogTime::default(),
        }
    }

    /// Shards that exist and were never heard of.
    fn missing(&self) -> usize {
        let expected = usize::try_from(self.extent.shards).unwrap_or(usize::MAX);
        expected.saturating_sub(self.shards.len())
    }

    /// Whether shards that were never heard of are still waited for.
    fn is_gathering(&self, stall_after: Duration) -> bool {
        let since = self.extent.known_since.max(self.time.resumed_at);
        let is_over = matches!((self.time.now, since), (Some(now), Some(since)) if now >= since.plus(stall_after));
        self.missing() > 0 && !is_over
    }

    /// Drops what is known of other lives of a partition: the topic was made anew, or lies on another cluster. `false` when this life is over itself.
    fn supersede(&mut self, shard: &Shard) -> bool {
        let is_same = |other: &Shard| {
            (&other.source, &other.topic, other.partition)
                == (&shard.source, &shard.topic, shard.partition)
        };
        let is_later =
            |other: &Shard| other.cluster == shard.cluster && other.incarnation > shard.incarnation;
        if self
            .shards
            .keys()
            .any(|other| is_same(other) && is_later(other))
        {
            return false;
        }
        self.shards.retain(|other, _| !is_same(other));
        true
    }

    /// Drops shards that nobody reads any more.
    pub(super) fn keep(&mut self, is_read: &dyn Fn(&Shard) -> bool) {
        self.shards.retain(|shard, _| is_read(shard));
    }

    /// Notes an accepted commit; `counts` is the monitor's part in it, `places` what the writer counts of it.
    pub(super) fn note(
        &mut self,
        commit: &Commit,
        counts: Option<&MonitorCommit>,
        places: Option<&CommitIndex>,
        lateness: &Lateness,
    ) {
        self.time.hear(commit.written_at, lateness.stall_after);
        if commit.source_shards != self.extent.shards && commit.source_shards > 0 {
            self.extent = Extent {
                shards: commit.source_shards,
                known_since: commit.written_at,
            };
        }
        if !self.shards.contains_key(&*commit.shard) && !self.supersede(&commit.shard) {
            return;
        }
        let fresh = || ShardState {
            progress: Progress {
                last_event_at: commit.written_at,
                ..Progress::default()
            },
            covered: vec![Covered::default(); self.features],
        };
        let shard = self
            .shards
            .entry(commit.shard.as_ref().clone())
            .or_insert_with(fresh);
        let before = shard.progress.newest;
        let missed_from = before.map(|newest| newest.minus(lateness.out_of_orderness));
        shard.note_progress(commit, counts);
        let counted = counts.filter(|counts| counts.events > 0);
        let first = counted.and_then(|counts| counts.first_event_time);
        let newest = counted.and_then(|counts| counts.max_event_time);
        let (first, newest) = (
            first.or(commit.caught_up_at),
            newest.or(commit.caught_up_at),
        );
        for (place, covered) in shard.covered.iter_mut().enumerate() {
            let counts_it =
                places.is_some_and(|places| places.covers.get(place).copied().unwrap_or(true));
            if commit.offsets_lost > 0 || (!counts_it && commit.upto > commit.base) {
                covered.miss(missed_from);
            }
            if counts_it {
                covered.count(first.zip(newest), commit.from_start);
            }
        }
    }

    /// Gives up shards beyond those the source has: of a topic made anew with fewer partitions.
    pub(super) fn forget_surplus(&mut self, stall_after: Duration) {
        let expected = usize::try_from(self.extent.shards).unwrap_or(usize::MAX);
        if expected > 0 && self.shards.len() > expected {
            let time = self.time;
            self.shards
                .retain(|_, shard| !shard.progress.is_released(time, stall_after));
        }
    }

    /// The time up to which no earlier event is expected; `None` while some shard has not said.
    pub(super) fn watermark(&self, lateness: &Lateness) -> Option<EventTime> {
        if self.is_gathering(lateness.stall_after) {
            return None;
        }
        let progress = self.shards.values().map(|shard| &shard.progress);
        watermark(progress, self.time, lateness)
    }

    /// The newest event of all.
    pub(super) fn newest(&self) -> Option<EventTime> {
        let newest = self.shards.values().map(|shard| shard.progress.newest);
        newest.max().flatten()
    }

    /// What was counted of one feature in a window.
    pub(super) fn coverage(
        &self,
        feature: usize,
        window: (EventTime, EventTime),
        slide: Duration,
        kept_from: EventTime,
        stall_after: Duration,
    ) -> Coverage {
        let shards = self.shards.values().map(|shard| {
            let is_released = shard.progress.is_released(self.time, stall_after);
            (&shard.covered[feature], is_released)
        });
        let unheard = Covered::default();
        let missing = std::iter::repeat_n((&unheard, true), self.missing());
        coverage(shards.chain(missing), window, slide, kept_from)
    }

    /// Whether two features were counted alike everywhere.
    pub(super) fn are_alike(&self, one: usize, other: usize) -> bool {
        let alike = |shard: &ShardState| shard.covered[one] == shard.covered[other];
        self.shards.values().all(alike)
    }

    /// Forgets holes that no window reaches any more.
    pub(super) fn expire(&mut self, floor: EventTime) {
        let covered = self
            .shards
            .values_mut()
            .flat_map(|shard| &mut shard.covered);
        covered.for_each(|covered| covered.expire(floor));
    }

    /// Every shard.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Shard, &ShardState)> {
        self.shards.iter()
    }

    /// Takes a shard over from an earlier process; `covered` is by feature of ours.
    pub(super) fn restore(&mut self, shard: Shard, progress: Progress, covered: Vec<Covered>) {
        self.shards.insert(shard, ShardState { progress, covered });
    }
}

impl ShardState {
    fn note_progress(&mut self, commit: &Commit, counts: Option<&MonitorCommit>) {
        let progress = &mut self.progress;
        progress.heard_at = progress.heard_at.max(commit.written_at);
        if let Some(counted) = counts.filter(|counts| counts.events > 0) {
            progress.newest = progress.newest.max(counted.max_event_time);
            progress.last_event_at = commit.written_at;
        }
        // The latest word counts, not the highest: the clocks of several owners need not agree.
        progress.caught_up_at = commit.caught_up_at;
    }
}

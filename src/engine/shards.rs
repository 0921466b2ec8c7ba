//! The shards that feed a monitor: how far each one has been read, and which event time was
//! counted.
//!
//! Watermark and coverage follow from here and from nothing else, so that every reader of the same
//! log evaluates the same windows.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::commit_index::CommitIndex;
use super::hold::WatermarkHold;
use super::silence::{Quietness, ShardReading, ShardSilence};
use crate::model::{EventTime, Lateness, MonitorSpec, NotReady, Shard};
use crate::panes::{Commit, MonitorCommit};
use crate::window::{Advance, Coverage, LogTime, Progress, ShardCoverage, coverage, watermark};

/// The state of one shard for one monitor.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct ShardState {
    progress: Progress,
    silence: ShardSilence,
    /// One entry per feature, and the last one for the events of the monitor.
    pub(super) covered: Vec<ShardCoverage>,
}

/// The number of shards of a source, as the ingesters report it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct ShardCount {
    shards: u32,
    /// Log time of the first commit with this number.
    known_since: Option<EventTime>,
}

/// All shards of a monitor.
#[derive(Debug, Clone)]
pub(super) struct Shards {
    /// The number of entries of [`ShardState::covered`].
    covered: usize,
    shards: BTreeMap<Shard, ShardState>,
    pub(super) expected: ShardCount,
    pub(super) time: LogTime,
}

impl Shards {
    /// No shards yet, for a monitor with `features` features.
    pub(super) fn new(features: usize) -> Self {
        Shards {
            covered: features + 1,
            shards: BTreeMap::new(),
            expected: ShardCount::default(),
            time: LogTime::default(),
        }
    }

    fn expected(&self) -> usize {
        usize::try_from(self.expected.shards).unwrap_or(usize::MAX)
    }

    /// The number of shards that exist and have no commit yet.
    fn missing(&self) -> usize {
        self.expected().saturating_sub(self.shards.len())
    }

    /// True while shards without a commit hold the watermark: for `stall_after` since their number
    /// was reported.
    fn is_gathering(&self, stall_after: Duration) -> bool {
        let since = self.time.since(self.expected.known_since);
        let is_over = self
            .time
            .now
            .zip(since)
            .is_some_and(|(now, since)| now >= since.plus(stall_after));
        self.missing() > 0 && !is_over
    }

    /// Drops other incarnations of a partition: the topic was recreated, or lies on another
    /// cluster. `false` if a later incarnation is known: then `shard` itself is outdated.
    fn supersede(&mut self, shard: &Shard) -> bool {
        let is_same_partition = |known: &Shard| {
            (&known.source, &known.topic, known.partition)
                == (&shard.source, &shard.topic, shard.partition)
        };
        if self.shards.keys().any(|known| {
            is_same_partition(known)
                && known.cluster == shard.cluster
                && known.incarnation > shard.incarnation
        }) {
            return false;
        }
        self.shards.retain(|known, _| !is_same_partition(known));
        true
    }

    /// Drops shards that nobody reads any more.
    pub(super) fn retain(&mut self, is_read: impl Fn(&Shard) -> bool) {
        self.shards.retain(|shard, _| is_read(shard));
    }

    /// Adds an accepted commit.
    ///
    /// `counts` is the part of the commit for this monitor, `index` the features that its writer
    /// counts; both are `None` where the writer does not count the monitor.
    pub(super) fn add(
        &mut self,
        commit: &Commit,
        counts: Option<&MonitorCommit>,
        index: Option<&CommitIndex>,
        spec: &MonitorSpec,
    ) {
        let lateness = &spec.lateness;
        if commit.source_shards != self.expected.shards && commit.source_shards > 0 {
            self.expected = ShardCount {
                shards: commit.source_shards,
                known_since: commit.written_at,
            };
        }
        if !self.shards.contains_key(&*commit.shard) && !self.supersede(&commit.shard) {
            return;
        }
        let shard = self
            .shards
            .entry(commit.shard.as_ref().clone())
            .or_insert_with(|| ShardState {
                progress: Progress::default(),
                silence: ShardSilence::default(),
                covered: vec![ShardCoverage::default(); self.covered],
            });
        let missed_from = shard
            .progress
            .newest
            .map(|newest| newest.minus(lateness.out_of_orderness));
        let newest = counts.and_then(|counts| counts.newest_event_time);
        let has_advanced = shard.progress.advance(Advance {
            written_at: commit.written_at,
            read_time: commit.read_time,
            has_offsets: commit.upto > commit.base,
            newest: newest.zip(counts.map(|counts| counts.newest_arrived_at)),
        });
        let reading = ShardReading {
            written_at: commit.written_at,
            read_time: commit.read_time,
            has_advanced,
            has_events: counts.is_some_and(|counts| counts.events > 0),
        };
        shard.silence.take_commit(reading, spec.silence);
        self.time
            .advance(commit.written_at, lateness.stall_after, has_advanced);
        // Without an event, a shard is counted up to the time up to which it was read.
        let read_up_to = shard.progress.event_time_read();
        let span = counts
            .and_then(|counts| counts.first_event_time)
            .or(read_up_to)
            .zip(newest.or(read_up_to));
        for (feature, covered) in shard.covered.iter_mut().enumerate() {
            let is_counted =
                index.is_some_and(|index| index.covers.get(feature).copied().unwrap_or(true));
            if commit.offsets_lost > 0 || (!is_counted && commit.upto > commit.base) {
                covered.miss(missed_from);
            }
            if is_counted {
                covered.count(span, commit.from_start);
            }
        }
    }

    /// Drops released shards beyond the number that the source has: the topic was recreated with
    /// fewer partitions.
    pub(super) fn drop_surplus(&mut self, stall_after: Duration) {
        let expected = self.expected();
        if expected > 0 && self.shards.len() > expected {
            let time = self.time;
            self.shards
                .retain(|_, shard| !shard.progress.is_released(time, stall_after));
        }
    }

    /// The time up to which no earlier event is expected; `None` while some shard has not reported
    /// one.
    pub(super) fn watermark(&self, lateness: &Lateness) -> Option<EventTime> {
        if self.is_gathering(lateness.stall_after) {
            return None;
        }
        let progress = self.shards.values().map(|shard| &shard.progress);
        watermark(progress, self.time, lateness)
    }

    /// The shard that holds the watermark, and how; `None` where none does.
    pub(super) fn hold(&self, lateness: &Lateness) -> Option<WatermarkHold> {
        if self.is_gathering(lateness.stall_after) {
            return Some(WatermarkHold::Unread(self.missing()));
        }
        let (shard, progress) = self
            .shards
            .iter()
            .map(|(shard, state)| (shard, &state.progress))
            .filter(|(_, progress)| !progress.is_released(self.time, lateness.stall_after))
            .min_by_key(|(_, progress)| progress.bound(lateness))?;
        let shard = shard.clone();
        Some(match (progress.newest, progress.read_time) {
            (_, Some(read_time)) if progress.is_idle(lateness.idle_after) => {
                WatermarkHold::NotRead(shard, read_time)
            }
            (Some(newest), _) => WatermarkHold::OldEvent(shard, newest),
            (None, _) => WatermarkHold::NoTime(shard),
        })
    }

    /// The time since the last events of the live shards, compared with the monitor's silence.
    pub(super) fn quietness(&self, spec: &MonitorSpec) -> Quietness {
        let stall_after = spec.lateness.stall_after;
        let mut quietness = Quietness {
            is_silent: !self.is_gathering(stall_after),
            has_recent_event: false,
            heard_at: None,
        };
        for ShardState {
            progress, silence, ..
        } in self.shards.values()
        {
            quietness.heard_at = quietness.heard_at.max(silence.heard_at());
            if !progress.is_released(self.time, stall_after) {
                quietness.is_silent &= silence.is_silent(spec.silence);
                quietness.has_recent_event |= silence.has_recent_event(spec.silence);
            }
        }
        quietness
    }

    /// Notes that no commit came for so long.
    pub(super) fn wait(&mut self, waited: Duration) {
        for shard in self.shards.values_mut() {
            shard.silence.wait(waited);
        }
    }

    /// The newest event time of all shards, selected or not.
    pub(super) fn newest(&self) -> Option<EventTime> {
        let newest = self.shards.values().map(|shard| shard.progress.newest);
        newest.max().flatten()
    }

    /// The coverage in `window` of one feature, or of the events after the last feature.
    ///
    /// Panes are one `slide` wide; those before `kept_from` are gone.
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
        let nothing = ShardCoverage::default();
        let missing = std::iter::repeat_n((&nothing, true), self.missing());
        coverage(shards.chain(missing), window, slide, kept_from)
    }

    /// The coverage in `window` of each feature, and at last that of the events.
    pub(super) fn coverage_by_feature(
        &self,
        window: (EventTime, EventTime),
        slide: Duration,
        kept_from: EventTime,
        stall_after: Duration,
    ) -> Vec<Coverage> {
        let mut coverage: Vec<Coverage> = Vec::with_capacity(self.covered);
        for feature in 0..self.covered {
            // Most features were counted over the same times, so the one before has the same
            // coverage.
            let same = feature
                .checked_sub(1)
                .filter(|previous| self.are_covered_alike(*previous, feature));
            coverage.push(match same {
                Some(previous) => coverage[previous],
                None => self.coverage(feature, window, slide, kept_from, stall_after),
            });
        }
        coverage
    }

    /// True if two features were counted over the same times on every shard.
    fn are_covered_alike(&self, a: usize, b: usize) -> bool {
        self.shards
            .values()
            .all(|shard| shard.covered[a] == shard.covered[b])
    }

    /// Drops holes in coverage that end before `floor`.
    pub(super) fn expire(&mut self, floor: EventTime) {
        for covered in self
            .shards
            .values_mut()
            .flat_map(|shard| &mut shard.covered)
        {
            covered.expire(floor);
        }
    }

    /// Every shard with its state.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Shard, &ShardState)> {
        self.shards.iter()
    }

    /// Restores a shard of an earlier process; `state.covered` is by feature of this process.
    pub(super) fn restore(&mut self, shard: Shard, state: ShardState) {
        self.shards.insert(shard, state);
    }
}

/// The reason why a window of this coverage has no scores; `None` where it was counted well enough.
pub(super) fn incompleteness(coverage: Coverage, min_coverage: f64) -> Option<NotReady> {
    if coverage.ratio >= min_coverage {
        None
    } else if coverage.began_inside {
        Some(NotReady::Warming)
    } else {
        Some(NotReady::Partial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::commit_index::CommitIndexCache;
    use crate::engine::fixture::{MINUTE, Stream, at, fixed, plan, spec, spread};
    use crate::model::MonitorSpec;

    /// Shards of a monitor with one feature that have received one minute from each of these
    /// partitions and incarnations, in a source of `count` shards.
    fn shards(spec: &MonitorSpec, count: u32, readers: &[(i32, u32)]) -> Shards {
        let plan = plan(spec.clone());
        let mut shards = Shards::new(1);
        for (partition, incarnation) in readers {
            let mut commit = Stream::default().minute(&plan, 0, &spread(0.0));
            let shard = std::sync::Arc::make_mut(&mut commit.shard);
            (shard.partition, shard.incarnation) = (*partition, *incarnation);
            commit.source_shards = count;
            let mut cache = CommitIndexCache::default();
            let indexes = cache.get(&commit.counted, std::iter::once(&plan));
            let counts = commit.monitors.first();
            shards.add(&commit, counts, indexes[0].as_ref(), spec);
        }
        shards
    }

    /// Lets another shard be read on at this time.
    fn set_time(shards: &mut Shards, now: EventTime) {
        (shards.time.now, shards.time.advanced_at) = (Some(now), Some(now));
    }

    fn read_shards(shards: &Shards) -> Vec<(i32, u32)> {
        shards
            .iter()
            .map(|(shard, _)| (shard.partition, shard.incarnation))
            .collect()
    }

    #[test]
    fn a_later_incarnation_replaces_an_earlier_one_and_not_the_reverse() {
        let spec = spec(vec![fixed()]);
        let shards = shards(&spec, 2, &[(0, 0), (1, 0), (0, 1), (0, 0)]);
        assert_eq!(read_shards(&shards), [(0, 1), (1, 0)]);
    }

    #[test]
    fn a_shard_without_a_commit_holds_the_watermark_until_it_is_released() {
        let spec = spec(vec![fixed()]);
        let mut shards = shards(&spec, 2, &[(0, 0)]);
        assert_eq!(shards.watermark(&spec.lateness), None, "one is missing");
        let now = at(1).plus(spec.lateness.stall_after);
        set_time(&mut shards, now);
        assert!(
            !shards.is_gathering(spec.lateness.stall_after),
            "time is up"
        );
        let window = (at(0), at(5));
        let coverage = shards.coverage(0, window, MINUTE, EventTime::MIN, MINUTE * 60);
        let is_half = (coverage.ratio - 0.5).abs() < 1e-12;
        assert!(is_half, "one of two was counted: {}", coverage.ratio);
    }

    #[test]
    fn shards_beyond_their_number_are_dropped_once_they_are_released() {
        let spec = spec(vec![fixed()]);
        let mut shards = shards(&spec, 1, &[(0, 0), (1, 0)]);
        shards.drop_surplus(spec.lateness.stall_after);
        assert_eq!(read_shards(&shards).len(), 2, "both have just reported");
        set_time(&mut shards, at(1).plus(spec.lateness.stall_after));
        shards.drop_surplus(spec.lateness.stall_after);
        assert_eq!(read_shards(&shards), [], "both are silent");
    }

    #[test]
    fn shards_that_nobody_reads_are_dropped() {
        let spec = spec(vec![fixed()]);
        let mut shards = shards(&spec, 2, &[(0, 0), (1, 0)]);
        shards.retain(|shard| shard.partition == 1);
        assert_eq!(read_shards(&shards), [(1, 0)]);
    }

    /// The hole ended at the wall clock, so all windows of the next two hours were not ready.
    #[test]
    fn lost_offsets_of_a_delayed_stream_leave_a_hole_of_their_length() {
        let spec = spec(vec![fixed()]);
        let plan = plan(spec.clone());
        let mut shards = Shards::new(1);
        let mut stream = Stream::default();
        let add = |shards: &mut Shards, commit: &Commit| {
            let mut cache = CommitIndexCache::default();
            let indexes = cache.get(&commit.counted, std::iter::once(&plan));
            let counts = commit.monitors.first();
            shards.add(commit, counts, indexes[0].as_ref(), &spec);
        };
        // Events of minute 0 arrive two hours later.
        let delayed = |commit: &mut Commit, minute: i64| {
            let now = Some(at(120 + minute));
            (commit.written_at, commit.read_time) = (now, now);
            for counts in &mut commit.monitors {
                counts.newest_arrived_at = now;
            }
        };
        let mut commit = stream.minute(&plan, 0, &spread(0.0));
        delayed(&mut commit, 1);
        add(&mut shards, &commit);
        let mut lost = stream.minute(&plan, 5, &[]);
        lost.monitors.clear();
        lost.offsets_lost = 100;
        delayed(&mut lost, 6);
        add(&mut shards, &lost);
        let coverage = |start: i64| {
            let window = (at(start), at(start + 10));
            shards
                .coverage(0, window, MINUTE, EventTime::MIN, MINUTE * 600)
                .ratio
        };
        assert!(coverage(0) < 0.5, "the hole: {}", coverage(0));
        assert!(coverage(10) > 0.99, "behind it: {}", coverage(10));
    }

    #[test]
    fn a_window_is_warming_where_counting_began_inside_and_partial_otherwise() {
        let reason = |ratio, began_inside| {
            let coverage = Coverage {
                ratio,
                began_inside,
            };
            incompleteness(coverage, 0.9)
        };
        assert_eq!(reason(0.9, true), None, "enough is enough");
        assert_eq!(reason(0.8, true), Some(NotReady::Warming));
        assert_eq!(reason(0.8, false), Some(NotReady::Partial));
    }
}

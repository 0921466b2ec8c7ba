//! The saved state of the engine.
//!
//! Monitors and features are saved under ids, windows, references and rules under names, never
//! under positions in a configuration. A later process restores whatever it still counts in the
//! same way and ignores the rest: a changed threshold keeps windows and alerts; a changed edge or
//! path is another layout, which starts to warm.
//!
//! The encoding carries no names of types or fields, only their order: a new field needs a new
//! format.

use std::collections::BTreeMap;
use std::time::Duration;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::counters::{FeatureCounters, MonitorCounters, SourceCounters};
use super::null_supply::SavedNullTable;
use super::reference::DynamicReferenceState;
use super::shards::{ShardCount, ShardState};
use super::silence::Silence;
use crate::alert::{Alert, AlertState};
use crate::calibration::StreamHistory;
use crate::model::{EventTime, LayoutId, MonitorId, NotReady, Shard};
use crate::panes::{LogState, PaneCounts};
use crate::stats::{DurationHistogram, FeatureCounts};
use crate::window::{LogTime, Ring};

/// The saved state of a whole engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineSnapshot {
    /// Heads and positions up to which the log was folded; a reader continues there.
    pub log: LogState,
    pub(super) sources: BTreeMap<String, SourceCounters>,
    pub(super) monitors: Vec<MonitorSnapshot>,
    /// Null tables that were simulated at run time.
    pub(super) null_tables: Vec<SavedNullTable>,
}

impl EngineSnapshot {
    /// True if every one of these monitors is in the snapshot.
    #[must_use]
    pub fn has_monitors(&self, ids: impl IntoIterator<Item = MonitorId>) -> bool {
        ids.into_iter()
            .all(|id| self.monitors.iter().any(|saved| saved.id == id))
    }
}

/// The saved state of one monitor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct MonitorSnapshot {
    pub(super) id: MonitorId,
    /// Ids give meaning to the feature positions in the rest of the snapshot.
    pub(super) features: Vec<(LayoutId, FeatureCounters)>,
    pub(super) counters: MonitorCounters,
    pub(super) delays: DurationHistogram,
    pub(super) evaluation_times: DurationHistogram,
    pub(super) watermark: Option<EventTime>,
    pub(super) shards: Vec<(Shard, ShardState)>,
    pub(super) expected_shards: ShardCount,
    pub(super) time: LogTime,
    pub(super) silence: Silence,
    pub(super) rings: Vec<RingSnapshot>,
    pub(super) windows: Vec<WindowSnapshot>,
}

/// The saved panes of one slide width.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct RingSnapshot {
    slide_ms: u64,
    floor: EventTime,
    /// By pane: events, and counts by feature in the order of the monitor's list.
    panes: Vec<(EventTime, u64, Vec<PaneCounts>)>,
}

impl RingSnapshot {
    /// Saves the panes of a ring.
    pub(super) fn of(ring: &Ring) -> Self {
        RingSnapshot {
            slide_ms: millis(ring.slide()),
            floor: ring.floor(),
            panes: ring
                .panes()
                .map(|(start, events, features)| (start, events, features.to_vec()))
                .collect(),
        }
    }

    /// Fills a ring from the saved one of the same slide, else from the widest one whose slide fits
    /// into it. Without either, everything counted up to `newest` is lost for this ring.
    pub(super) fn restore_into(
        ring: &mut Ring,
        saved: &[RingSnapshot],
        features: &FeaturePositions,
        newest: Option<EventTime>,
    ) {
        let slide = ring.slide();
        let slide_ms = millis(slide);
        let source = saved
            .iter()
            .filter(|saved| slide_ms.is_multiple_of(saved.slide_ms.max(1)))
            .max_by_key(|saved| saved.slide_ms);
        let Some(source) = source else {
            if let Some(newest) = newest {
                ring.expire(newest.align_down(slide).plus(slide));
            }
            return;
        };
        // A wider pane is whole only if all the narrow ones in it are kept.
        let floor = source.floor.align_down(slide);
        let is_whole = floor == source.floor || source.floor == EventTime::MIN;
        ring.expire(if is_whole {
            source.floor
        } else {
            floor.plus(slide)
        });
        for (start, events, saved_counts) in &source.panes {
            if *start < ring.floor() {
                continue;
            }
            for (saved_feature, counts) in saved_counts.iter().enumerate() {
                if let Some(feature) = features.get(saved_feature)
                    && !counts.is_empty()
                {
                    ring.put(*start, feature, counts);
                }
            }
            ring.put_events(*start, *events);
        }
    }
}

/// The saved state of one window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct WindowSnapshot {
    pub(super) name: String,
    pub(super) slide_ms: u64,
    pub(super) next_end: Option<EventTime>,
    pub(super) end: Option<EventTime>,
    pub(super) coverage: f64,
    pub(super) evaluated_at: Option<EventTime>,
    /// Counts, or the reason why there are none, in the order of the monitor's list.
    pub(super) features: Vec<(Option<FeatureCounts>, Option<NotReady>)>,
    pub(super) alerts: Vec<AlertSnapshot>,
    /// The alert on the number of events, where there is one.
    pub(super) volume: Option<VolumeSnapshot>,
    /// By position in the monitor's list and by reference.
    pub(super) histories: Vec<(usize, String, StreamHistory)>,
    /// By position in the monitor's list and by reference; dynamic references only.
    pub(super) references: Vec<(usize, String, DynamicReferenceState)>,
}

/// The saved alert of one rule of one comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct AlertSnapshot {
    /// Position in the monitor's list.
    pub(super) feature: usize,
    pub(super) reference: String,
    pub(super) statistic: String,
    pub(super) severity: String,
    pub(super) alert: Alert,
    pub(super) state: AlertState,
    pub(super) since: Option<EventTime>,
    /// True if the evaluation of the latest window waits for null tables.
    pub(super) is_waiting: bool,
}

/// The saved alert on the number of events of a window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct VolumeSnapshot {
    pub(super) alert: Alert,
    pub(super) state: AlertState,
    pub(super) since: Option<EventTime>,
    /// The events of the latest evaluation; `None` where it was not ready.
    pub(super) events: Option<u64>,
    /// Start of the slide with the first event ever; `None` before it.
    pub(super) begins: Option<EventTime>,
}

/// Maps the feature positions of a snapshot to those of this process.
#[derive(Debug)]
pub(super) struct FeaturePositions {
    /// By position in the snapshot.
    restored: Vec<Option<usize>>,
    /// The number of features of this process.
    features: usize,
}

impl FeaturePositions {
    /// Matches features by id.
    pub(super) fn new(
        saved: impl Iterator<Item = LayoutId>,
        features: impl Iterator<Item = LayoutId>,
    ) -> Self {
        let features: FxHashMap<LayoutId, usize> = features
            .enumerate()
            .map(|(position, id)| (id, position))
            .collect();
        FeaturePositions {
            restored: saved.map(|saved| features.get(&saved).copied()).collect(),
            features: features.len(),
        }
    }

    /// The feature at a position of the snapshot; `None` where this process does not count it.
    pub(super) fn get(&self, saved: usize) -> Option<usize> {
        self.restored.get(saved).copied().flatten()
    }

    /// Orders saved values by the features of this process; a new feature gets the default. The
    /// last value, that of the monitor's events, stays the last one.
    pub(super) fn reorder<T: Default + Clone>(&self, mut saved: Vec<T>) -> Vec<T> {
        let of_events = saved.pop().unwrap_or_default();
        let mut values = vec![T::default(); self.features];
        for (saved_feature, value) in saved.into_iter().enumerate() {
            if let Some(feature) = self.get(saved_feature) {
                values[feature] = value;
            }
        }
        values.push(of_events);
        values
    }
}

/// Whole milliseconds of a span.
pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

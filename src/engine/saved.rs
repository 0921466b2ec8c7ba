//! The engine's state in a snapshot, and back.
//!
//! Everything is filed under ids and names, never under places in a configuration: what the next process still counts in the same way it takes over, the
//! rest it leaves. A changed threshold therefore keeps windows and alerts; a changed edge or path is another layout and begins to warm.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::monitor::MonitorEngine;
use super::moving::Memory;
use super::shards::{Extent, ShardState};
use super::totals::{FeatureTotals, Totals};
use super::windows::WindowEngine;
use super::{Engine, MonitorPlan, Rule};
use crate::alert::{Alert, AlertState};
use crate::calibration::OnlineDispersion;
use crate::model::{EventTime, LayoutId, MonitorId, NotReady, Shard};
use crate::panes::LogState;
use crate::panes::{PaneCounts, RecordCounts, Rejected};
use crate::stats::FeatureCounts;
use crate::window::{Covered, LogTime, Progress, Ring};

/// A whole engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineSnapshot {
    /// How far the log was read; the reader goes on there.
    pub log: LogState,
    sources: BTreeMap<String, SourceSnapshot>,
    monitors: Vec<MonitorSnapshot>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SourceSnapshot {
    records: RecordCounts,
    commits: u64,
    commit_bytes: u64,
    rejected: [u64; Rejected::ALL.len()],
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct MonitorSnapshot {
    id: MonitorId,
    features: Vec<(LayoutId, FeatureTotals)>,
    totals: Totals,
    delays_ms: Vec<(u64, u64)>,
    watermark: Option<EventTime>,
    shards: Vec<(Shard, Progress, Vec<Covered>)>,
    extent: Extent,
    time: LogTime,
    rings: Vec<RingSnapshot>,
    windows: Vec<WindowSnapshot>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct RingSnapshot {
    slide_ms: u64,
    floor: EventTime,
    /// By pane, then by feature in the order of the monitor's list.
    panes: Vec<(EventTime, Vec<PaneCounts>)>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct WindowSnapshot {
    name: String,
    slide_ms: u64,
    next_end: Option<EventTime>,
    end: Option<EventTime>,
    coverage: f64,
    evaluated_at: Option<EventTime>,
    /// In the order of the monitor's list.
    features: Vec<(Option<FeatureCounts>, Option<NotReady>)>,
    alerts: Vec<AlertSnapshot>,
    /// By place in the monitor's list and by reference.
    learned: Vec<(usize, String, OnlineDispersion)>,
    /// By place in the monitor's list and by reference: what moving references were.
    moving: Vec<(usize, String, Memory)>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct AlertSnapshot {
    feature: usize,
    reference: String,
    statistic: String,
    severity: String,
    alert: Alert,
    state: AlertState,
}

impl Engine {
    /// Everything that a later process goes on from.
    #[must_use]
    pub fn save(&self) -> EngineSnapshot {
        let source = |(name, totals): (&String, &super::scorer::SourceTotals)| {
            let saved = SourceSnapshot {
                records: totals.records,
                commits: totals.commits,
                commit_bytes: totals.commit_bytes,
                rejected: totals.rejected,
            };
            (name.clone(), saved)
        };
        EngineSnapshot {
            log: self.log.clone(),
            sources: self.sources.iter().map(source).collect(),
            monitors: self.monitors.iter().map(save_monitor).collect(),
        }
    }

    /// Goes on from what an earlier process saved.
    pub fn restore(&mut self, saved: EngineSnapshot) {
        self.log = saved.log;
        for (name, saved) in saved.sources {
            if let Some(totals) = self.sources.get_mut(&name) {
                totals.records = saved.records;
                totals.commits = saved.commits;
                totals.commit_bytes = saved.commit_bytes;
                totals.rejected = saved.rejected;
            }
        }
        for saved in saved.monitors {
            let own = |monitor: &&mut MonitorEngine| monitor.plan.id == saved.id;
            if let Some(monitor) = self.monitors.iter_mut().find(own) {
                restore_monitor(monitor, saved);
            }
        }
        self.drop_unread_shards();
        self.note_change();
    }
}

impl EngineSnapshot {
    /// Whether every monitor of an engine is in it.
    #[must_use]
    pub fn has_all_of(&self, engine: &Engine) -> bool {
        let has = |own: &MonitorEngine| self.monitors.iter().any(|saved| saved.id == own.plan.id);
        engine.monitors.iter().all(has)
    }
}

fn save_monitor(monitor: &MonitorEngine) -> MonitorSnapshot {
    let features = monitor.plan.features.iter().zip(&monitor.features);
    let delays = monitor.delay_ms.iter_recorded();
    let shard = |(shard, state): (&Shard, &ShardState)| {
        (shard.clone(), state.progress, state.covered.clone())
    };
    MonitorSnapshot {
        id: monitor.plan.id,
        features: features
            .map(|(feature, totals)| (feature.id, totals.clone()))
            .collect(),
        totals: monitor.totals.clone(),
        delays_ms: delays
            .map(|step| (step.value_iterated_to(), step.count_at_value()))
            .collect(),
        watermark: monitor.watermark,
        shards: monitor.shards.iter().map(shard).collect(),
        extent: monitor.shards.extent,
        time: monitor.shards.time,
        rings: monitor.rings.iter().map(save_ring).collect(),
        windows: monitor
            .windows
            .iter()
            .map(|window| save_window(window, &monitor.plan))
            .collect(),
    }
}

fn save_ring(ring: &Ring) -> RingSnapshot {
    let pane = |(start, features): (EventTime, &[PaneCounts])| (start, features.to_vec());
    RingSnapshot {
        slide_ms: millis(ring.slide()),
        floor: ring.floor(),
        panes: ring.panes().map(pane).collect(),
    }
}

fn save_window(window: &WindowEngine, plan: &MonitorPlan) -> WindowSnapshot {
    let spec = &plan.spec.windows[window.state.index];
    let features = window.state.features.iter();
    let features = features.map(|state| (state.counts.as_deref().cloned(), state.incomplete));
    WindowSnapshot {
        name: spec.name.clone(),
        slide_ms: millis(spec.slide),
        next_end: window.schedule.next_end(),
        end: window.state.end,
        coverage: window.state.coverage,
        evaluated_at: window.evaluated_at,
        features: features.collect(),
        alerts: save_alerts(window, plan),
        learned: save_learned(window, plan),
        moving: save_moving(window, plan),
    }
}

fn save_moving(window: &WindowEngine, plan: &MonitorPlan) -> Vec<(usize, String, Memory)> {
    let all = window.moving.iter().enumerate();
    let saved = all.flat_map(|(feature, by_reference)| {
        let pairs = by_reference.iter().zip(&plan.references);
        pairs.filter_map(move |(moving, reference)| {
            let memory = moving.as_ref()?.memory.clone();
            Some((feature, reference.name.clone(), memory))
        })
    });
    saved.collect()
}

fn save_learned(
    window: &WindowEngine,
    plan: &MonitorPlan,
) -> Vec<(usize, String, OnlineDispersion)> {
    let mut saved = Vec::new();
    for (feature, by_reference) in window.learned.iter().enumerate() {
        for (learned, reference) in by_reference.iter().zip(&plan.references) {
            if learned.windows > 0 {
                saved.push((feature, reference.name.clone(), *learned));
            }
        }
    }
    saved
}

fn save_alerts(window: &WindowEngine, plan: &MonitorPlan) -> Vec<AlertSnapshot> {
    let mut saved = Vec::new();
    for (feature, by_reference) in window.alerts.iter().enumerate() {
        let comparisons = &window.state.features[feature].comparisons;
        for (reference, alerts) in by_reference.iter().enumerate() {
            for (alert, line) in alerts.iter().zip(&comparisons[reference].alerts) {
                saved.push(AlertSnapshot {
                    feature,
                    reference: plan.references[reference].name.clone(),
                    statistic: line.statistic.name().to_owned(),
                    severity: line.severity.name().to_owned(),
                    alert: *alert,
                    state: line.state,
                });
            }
        }
    }
    saved
}

fn restore_monitor(monitor: &mut MonitorEngine, saved: MonitorSnapshot) {
    let plan = std::sync::Arc::clone(&monitor.plan);
    let own = |id: &LayoutId| plan.features.iter().position(|feature| feature.id == *id);
    let places: Vec<Option<usize>> = saved.features.iter().map(|(id, _)| own(id)).collect();
    for (place, (_, totals)) in places.iter().zip(saved.features) {
        if let Some(place) = place {
            monitor.features[*place] = totals;
        }
    }
    monitor.totals = saved.totals;
    monitor.watermark = saved.watermark;
    for (delay_ms, times) in saved.delays_ms {
        monitor.delay_ms.saturating_record_n(delay_ms, times);
    }
    for (shard, progress, covered) in saved.shards {
        let covered = by_own_place(covered, &places, plan.features.len());
        monitor.shards.restore(shard, progress, covered);
    }
    let newest = monitor.shards.newest();
    (monitor.shards.extent, monitor.shards.time) = (saved.extent, saved.time);
    for ring in &mut monitor.rings {
        restore_ring(ring, &saved.rings, &places, newest);
    }
    for saved in saved.windows {
        let is_same = |window: &&mut WindowEngine| {
            let spec = &plan.spec.windows[window.state.index];
            spec.name == saved.name && millis(spec.slide) == saved.slide_ms
        };
        if let Some(window) = monitor.windows.iter_mut().find(is_same) {
            restore_window(window, saved, &places, &plan);
        }
    }
}

/// What was filed by the places of the saved list, by ours; what is new begins with nothing.
fn by_own_place<T: Default + Clone>(
    saved: Vec<T>,
    places: &[Option<usize>],
    features: usize,
) -> Vec<T> {
    if features == 0 {
        return saved.into_iter().take(1).collect();
    }
    let mut own = vec![T::default(); features];
    for (value, place) in saved.into_iter().zip(places) {
        if let Some(place) = place {
            own[*place] = value;
        }
    }
    own
}

/// Fills a ring from the saved one of the same slide, else from the widest one whose slide fits into it; else what was counted up to `newest` is gone.
fn restore_ring(
    ring: &mut Ring,
    saved: &[RingSnapshot],
    places: &[Option<usize>],
    newest: Option<EventTime>,
) {
    let slide_ms = millis(ring.slide());
    let fits = |saved: &&RingSnapshot| slide_ms.is_multiple_of(saved.slide_ms.max(1));
    let Some(source) = saved.iter().filter(fits).max_by_key(|saved| saved.slide_ms) else {
        let slide = ring.slide();
        if let Some(newest) = newest {
            ring.expire(newest.align_down(slide).plus(slide));
        }
        return;
    };
    // A wider pane is whole only when all the narrow ones in it are kept.
    let floor = source.floor.align_down(ring.slide());
    let is_whole = floor == source.floor || source.floor == EventTime::MIN;
    ring.expire(if is_whole {
        source.floor
    } else {
        floor.plus(ring.slide())
    });
    for (start, features) in &source.panes {
        if *start < ring.floor() {
            continue;
        }
        for (counts, place) in features.iter().zip(places) {
            if let (Some(place), false) = (place, counts.is_empty()) {
                ring.put(*start, *place, counts);
            }
        }
        ring.touch(*start);
    }
}

fn restore_window(
    window: &mut WindowEngine,
    saved: WindowSnapshot,
    places: &[Option<usize>],
    plan: &MonitorPlan,
) {
    window.schedule.resume(saved.next_end);
    window.state.end = saved.end;
    window.state.coverage = saved.coverage;
    window.evaluated_at = saved.evaluated_at;
    for (feature, reference, learned) in saved.learned {
        let place = places.get(feature).copied().flatten();
        if let (Some(place), Some(reference)) = (place, reference_named(&reference, plan)) {
            window.learned[place][reference] = learned;
        }
    }
    for (feature, reference, memory) in saved.moving {
        let place = places.get(feature).copied().flatten();
        if let (Some(place), Some(reference)) = (place, reference_named(&reference, plan)) {
            window.restore_moving((place, reference), memory, plan);
        }
    }
    for ((counts, incomplete), place) in saved.features.into_iter().zip(places) {
        match (place, counts) {
            (Some(place), Some(counts)) => {
                window.look(*place, &plan.features[*place], counts, incomplete, plan);
                window.draw_lines(*place, plan);
            }
            (Some(place), None) => window.miss(*place, &plan.features[*place], incomplete),
            (None, _) => {}
        }
    }
    for saved in saved.alerts {
        if let Some(Some(place)) = places.get(saved.feature) {
            restore_alert(window, *place, &saved, plan);
        }
    }
}

fn restore_alert(
    window: &mut WindowEngine,
    feature: usize,
    saved: &AlertSnapshot,
    plan: &MonitorPlan,
) {
    let Some(reference) = reference_named(&saved.reference, plan) else {
        return;
    };
    let is_same = |rule: &Rule| {
        rule.statistic.name() == saved.statistic && rule.severity.name() == saved.severity
    };
    let Some(place) = plan.features[feature].rules.iter().position(is_same) else {
        return;
    };
    let line = window.line_now((feature, reference, place), saved.state, plan);
    window.alerts[feature][reference][place] = saved.alert;
    window.state.features[feature].comparisons[reference].alerts[place] = line;
}

fn reference_named(name: &str, plan: &MonitorPlan) -> Option<usize> {
    let mut references = plan.references.iter();
    references.position(|reference| reference.name == name)
}

fn millis(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

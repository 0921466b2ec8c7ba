//! One monitor at run time: its rings, shards, windows and counters.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::windows::{Transitions, WindowEngine};
use super::{FeatureState, MonitorPlan, MonitorState, WindowState};
use crate::alert::Transition;
use crate::model::{DropReason, EventTime, Severity, Shard};
use crate::panes::{Commit, MonitorCommit, PaneDelta};
use crate::stats::{Layout, Tallies};
use crate::window::{Progress, Ring, coverage, watermark};

/// Life-long counters of one feature.
#[derive(Debug, Clone, Default)]
struct FeatureTotals {
    tallies: Tallies,
    out_of_range: (u64, u64),
    unseen: u64,
}

/// A monitor and everything it remembers.
#[derive(Debug)]
pub(super) struct MonitorEngine {
    plan: Arc<MonitorPlan>,
    rings: Vec<Ring>,
    windows: Vec<WindowEngine>,
    shards: BTreeMap<Shard, Progress>,
    watermark: Option<EventTime>,
    features: Vec<FeatureTotals>,
    events: u64,
    events_late: u64,
    dropped: [u64; DropReason::ALL.len()],
    delay_ms: Histogram<u64>,
    evaluation_us: Histogram<u64>,
    evaluations: u64,
    skipped: u64,
    transitions: Transitions,
    started_at: Option<EventTime>,
}

impl MonitorEngine {
    pub(super) fn new(plan: Arc<MonitorPlan>) -> Self {
        let mut slides: Vec<Duration> = plan
            .spec
            .windows
            .iter()
            .map(|window| window.slide)
            .collect();
        slides.sort_unstable();
        slides.dedup();
        let ring_of = |slide| {
            slides
                .iter()
                .position(|known| *known == slide)
                .unwrap_or_default()
        };
        let windows = plan.spec.windows.iter().enumerate();
        let windows =
            windows.map(|(index, spec)| WindowEngine::new(index, spec, ring_of(spec.slide), &plan));
        let histogram = || Histogram::new(2).expect("two digits are legal");
        MonitorEngine {
            windows: windows.collect(),
            rings: slides.iter().map(|slide| Ring::new(*slide)).collect(),
            shards: BTreeMap::new(),
            watermark: None,
            features: vec![FeatureTotals::default(); plan.features.len()],
            events: 0,
            events_late: 0,
            dropped: [0; DropReason::ALL.len()],
            delay_ms: histogram(),
            evaluation_us: histogram(),
            evaluations: 0,
            skipped: 0,
            transitions: Transitions::default(),
            started_at: None,
            plan,
        }
    }

    pub(super) fn plan(&self) -> &Arc<MonitorPlan> {
        &self.plan
    }

    /// Takes an accepted commit of a shard of the monitor's source; `counts` is the monitor's part in it.
    pub(super) fn apply(&mut self, commit: &Commit, counts: Option<&MonitorCommit>) {
        self.note_progress(commit, counts);
        let Some(counts) = counts else {
            return;
        };
        self.events += counts.events;
        self.events_late += counts.events_late;
        self.dropped
            .iter_mut()
            .zip(counts.dropped)
            .for_each(|(sum, count)| *sum += count);
        for (delay_ms, times) in &counts.delays_ms {
            self.delay_ms.saturating_record_n(*delay_ms, *times);
        }
        counts.panes.iter().for_each(|pane| self.add(pane));
    }

    fn note_progress(&mut self, commit: &Commit, counts: Option<&MonitorCommit>) {
        let progress = self
            .shards
            .entry(commit.shard.as_ref().clone())
            .or_insert_with(|| Progress {
                last_event_at: commit.written_at,
                covered_from: commit.from_start.then_some(EventTime::MIN),
                ..Progress::default()
            });
        progress.heard_at = progress.heard_at.max(commit.written_at);
        let counted = counts.filter(|counts| counts.events > 0);
        if let Some(counted) = counted {
            progress.newest = progress.newest.max(counted.max_event_time);
            progress.last_event_at = commit.written_at;
        }
        let first = counted.and_then(|counts| counts.first_event_time);
        progress.covered_from = progress.covered_from.or(first).or(commit.caught_up_at);
        progress.caught_up_at = progress.caught_up_at.max(commit.caught_up_at);
    }

    fn add(&mut self, pane: &PaneDelta) {
        let mut is_kept = false;
        for ring in &mut self.rings {
            is_kept |= ring.add(pane);
        }
        if !is_kept {
            self.dropped[DropReason::Expired as usize] += pane.events;
        }
        for delta in &pane.features {
            let layout = self.plan.features[delta.feature].layout.as_deref();
            self.features[delta.feature].add(&delta.tallies, &delta.bins, layout);
        }
    }

    /// Closes every window whose time has come; calls `evaluated` after each. Returns how many evaluations were made.
    pub(super) fn advance(
        &mut self,
        now: Option<EventTime>,
        evaluated: &mut dyn FnMut(&MonitorPlan, &WindowState),
    ) -> u64 {
        let lateness = &self.plan.spec.lateness;
        let found = watermark(self.shards.values(), now, lateness);
        self.watermark = self.watermark.max(found);
        self.started_at = self.started_at.or(now);
        let mut made = 0;
        if let Some(watermark) = self.watermark {
            for index in 0..self.windows.len() {
                made += self.close_until(index, watermark, now, evaluated);
            }
            self.expire();
        }
        self.check_staleness(now, evaluated);
        self.evaluations += made;
        made
    }

    /// The input has ended: closes every window up to the one that holds the newest event.
    pub(super) fn finish(&mut self, evaluated: &mut dyn FnMut(&MonitorPlan, &WindowState)) {
        let Some(newest) = self.shards.values().filter_map(|shard| shard.newest).max() else {
            return;
        };
        for index in 0..self.windows.len() {
            let closing = self.windows[index].schedule.closing(newest);
            self.evaluations += self.close_until(index, closing, None, evaluated);
        }
    }

    fn close_until(
        &mut self,
        index: usize,
        watermark: EventTime,
        now: Option<EventTime>,
        evaluated: &mut dyn FnMut(&MonitorPlan, &WindowState),
    ) -> u64 {
        let stall_after = self.plan.spec.lateness.stall_after;
        let window = &mut self.windows[index];
        let ring = &self.rings[window.ring];
        let mut made = 0;
        while let Some(due) = window.schedule.next(watermark, ring) {
            let covered = coverage(
                self.shards.values(),
                (due.start, due.end),
                ring.slide(),
                now,
                stall_after,
            );
            window.evaluate(due, ring, covered, &self.plan, &mut self.transitions);
            window.evaluated_at = now;
            self.skipped += due.skipped;
            made += 1;
            evaluated(&self.plan, &window.state);
        }
        made
    }

    fn expire(&mut self) {
        for (index, ring) in self.rings.iter_mut().enumerate() {
            let own = self.windows.iter().filter(|window| window.ring == index);
            if let Some(floor) = own.map(|window| window.schedule.floor()).min() {
                ring.expire(floor);
            }
        }
    }

    /// A window without an evaluation for `max(3 slides, idle_after + slide)` of wall time is stale, and says so again once per slide.
    fn check_staleness(
        &mut self,
        now: Option<EventTime>,
        evaluated: &mut dyn FnMut(&MonitorPlan, &WindowState),
    ) {
        let Some(now) = now else {
            return;
        };
        let idle_after = self.plan.spec.lateness.idle_after;
        for window in &mut self.windows {
            let slide = self.rings[window.ring].slide();
            let patience = (slide * 3).max(idle_after + slide);
            let since = window.evaluated_at.or(self.started_at).unwrap_or(now);
            if now >= since.plus(patience) {
                window.go_stale(&self.plan, &mut self.transitions);
                window.evaluated_at = Some(now.minus(patience).plus(slide));
                evaluated(&self.plan, &window.state);
            }
        }
    }

    /// Notes how long an evaluation took.
    pub(super) fn time_evaluation(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.evaluation_us.saturating_record(micros);
    }

    pub(super) fn snapshot(&self) -> MonitorState {
        let features = self
            .plan
            .features
            .iter()
            .zip(&self.features)
            .map(|(feature, totals)| FeatureState {
                name: feature.name.clone(),
                kind: feature.kind,
                role: feature.role,
                layout: feature.layout.clone(),
                tallies: totals.tallies,
                out_of_range: totals.out_of_range,
                unseen: totals.unseen,
            });
        let transitions = Severity::ALL.iter().flat_map(|severity| {
            [Transition::Firing, Transition::Resolved].map(|to| {
                (
                    *severity,
                    to.name(),
                    self.transitions[*severity as usize][to as usize],
                )
            })
        });
        let dropped = DropReason::ALL
            .iter()
            .map(|reason| (reason.name(), self.dropped[*reason as usize]));
        MonitorState {
            spec: Arc::clone(&self.plan.spec),
            events: self.events,
            events_late: self.events_late,
            dropped: dropped.collect(),
            watermark: self.watermark,
            delay_ms: Arc::new(self.delay_ms.clone()),
            references: self.plan.references.clone(),
            features: features.collect(),
            windows: self
                .windows
                .iter()
                .map(|window| window.state.clone())
                .collect(),
            evaluations: self.evaluations,
            evaluations_skipped: self.skipped,
            evaluation_us: Arc::new(self.evaluation_us.clone()),
            transitions: transitions.collect(),
        }
    }
}

impl FeatureTotals {
    fn add(
        &mut self,
        tallies: &Tallies,
        (first, counts): &(u16, Vec<u32>),
        layout: Option<&Layout>,
    ) {
        self.tallies.merge(tallies);
        let at = |bin: usize| {
            let place = bin.checked_sub(usize::from(*first));
            place
                .and_then(|place| counts.get(place))
                .map_or(0, |count| u64::from(*count))
        };
        match layout {
            Some(Layout::Numeric(numeric)) => {
                self.out_of_range.0 += if numeric.bins.has_lower_guard() {
                    at(0)
                } else {
                    0
                };
                self.out_of_range.1 += if numeric.bins.has_upper_guard() {
                    at(numeric.bins.len() - 1)
                } else {
                    0
                };
            }
            Some(Layout::Categorical(categories)) => self.unseen += at(categories.unseen()),
            None => {}
        }
    }
}

//! One monitor at run time: its rings, shards, windows and counters.

use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::moving::History;
use super::places::CommitIndex;
use super::shards::Shards;
use super::totals::{FeatureTotals, Totals};
use super::windows::WindowEngine;
use super::{FeatureView, MonitorPlan, MonitorView, WindowView};
use crate::alert::Transition;
use crate::model::{DropReason, EventTime, Severity};
use crate::panes::{Commit, MonitorCommit, PaneDelta};
use crate::window::{Coverage, Due, Ring};

/// A log that tells nothing of a source for this long: each shard is heard of at least every 30 s.
const SILENCE: Duration = Duration::from_secs(90);

/// A monitor and everything it remembers.
#[derive(Debug)]
pub(super) struct MonitorEngine {
    pub(super) plan: Arc<MonitorPlan>,
    /// By slide, ascending.
    pub(super) rings: Vec<Ring>,
    pub(super) windows: Vec<WindowEngine>,
    pub(super) shards: Shards,
    pub(super) watermark: Option<EventTime>,
    pub(super) features: Vec<FeatureTotals>,
    pub(super) totals: Totals,
    pub(super) delay_ms: Histogram<u64>,
    evaluation_us: Histogram<u64>,
    /// Wall time at which this process began to watch.
    started_at: Option<EventTime>,
}

impl MonitorEngine {
    pub(super) fn new(plan: Arc<MonitorPlan>) -> Self {
        let mut slides: Vec<Duration> = plan
            .spec
            .windows
            .iter()
            .map(|window| window.slide)
            .chain(plan.spec.lookbacks().map(|back| back.width))
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
            shards: Shards::new(plan.features.len()),
            watermark: None,
            features: vec![FeatureTotals::default(); plan.features.len()],
            totals: Totals::default(),
            delay_ms: histogram(),
            evaluation_us: histogram(),
            started_at: None,
            plan,
        }
    }

    pub(super) fn plan(&self) -> &Arc<MonitorPlan> {
        &self.plan
    }

    /// Takes an accepted commit of a shard of the monitor's source; `places` is what its writer counts of this monitor.
    pub(super) fn apply(&mut self, commit: &Commit, places: Option<&CommitIndex>) {
        let counts = places.and_then(|places| part_of(commit, places));
        let lateness = &self.plan.spec.lateness;
        self.shards.note(commit, counts, places, lateness);
        let (Some(counts), Some(places)) = (counts, places) else {
            return;
        };
        self.totals.count(counts);
        for (delay_ms, times) in &counts.delays_ms {
            self.delay_ms.saturating_record_n(*delay_ms, *times);
        }
        counts.panes.iter().for_each(|pane| self.add(pane, places));
    }

    fn add(&mut self, pane: &PaneDelta, places: &CommitIndex) {
        let mut is_kept = false;
        for ring in &mut self.rings {
            is_kept |= ring.add(pane, &places.features);
        }
        if !is_kept {
            self.totals.dropped[DropReason::Expired as usize] += pane.events;
        }
        for delta in &pane.features {
            if let Some(place) = places.features.get(delta.feature).copied().flatten() {
                let layout = self.plan.features[place].layout.as_deref();
                self.features[place].add(&delta.tallies, &delta.bins, layout);
            }
        }
    }

    /// Closes every window whose time has come; calls `evaluated` after each. Returns how many evaluations were made.
    ///
    /// Which windows are due, and which are stale, is decided by the log alone.
    pub(super) fn advance(&mut self, evaluated: &mut dyn FnMut(&MonitorPlan, &WindowView)) -> u64 {
        let lateness = &self.plan.spec.lateness;
        self.shards.forget_surplus(lateness.stall_after);
        let found = self.shards.watermark(lateness);
        self.watermark = self.watermark.max(found);
        let mut made = 0;
        if let Some(watermark) = self.watermark {
            for index in 0..self.windows.len() {
                made += self.close_until(index, watermark, evaluated);
            }
        }
        self.totals.evaluations += made;
        if made > 0 {
            self.expire();
        }
        if let Some(now) = self.shards.time.now {
            self.check_staleness(now, self.shards.time.resumed_at, evaluated);
        }
        made
    }

    /// The input has ended: closes every window up to the one that holds the newest event.
    pub(super) fn finish(&mut self, evaluated: &mut dyn FnMut(&MonitorPlan, &WindowView)) {
        let Some(newest) = self.shards.newest() else {
            return;
        };
        for index in 0..self.windows.len() {
            let closing = self.windows[index].schedule.closing(newest);
            self.totals.evaluations += self.close_until(index, closing, evaluated);
        }
    }

    fn close_until(
        &mut self,
        index: usize,
        watermark: EventTime,
        evaluated: &mut dyn FnMut(&MonitorPlan, &WindowView),
    ) -> u64 {
        let mut made = 0;
        loop {
            let window = &mut self.windows[index];
            let ring = &self.rings[window.ring];
            let Some(due) = window.schedule.next(watermark, ring) else {
                return made;
            };
            let coverage = coverages(&self.shards, &self.plan, ring, due);
            let history = History {
                rings: &self.rings,
                shards: &self.shards,
                stall_after: self.plan.spec.lateness.stall_after,
                min_coverage: self.plan.spec.min_coverage,
            };
            window.evaluate(due, &history, &coverage, &self.plan, &mut self.totals);
            window.evaluated_at = self.shards.time.now;
            self.totals.skipped += due.skipped;
            made += 1;
            evaluated(&self.plan, &window.state);
        }
    }

    fn expire(&mut self) {
        for (index, ring) in self.rings.iter_mut().enumerate() {
            let own = self.windows.iter().filter(|window| window.ring == index);
            let own = own.map(|window| window.schedule.floor());
            let width = ring.slide();
            let lookbacks = self
                .plan
                .spec
                .lookbacks()
                .filter(|back| back.width == width);
            let behind = lookbacks.map(|back| {
                let start = self.windows[back.window].schedule.floor();
                back.rolling
                    .span(&self.plan.spec.windows[back.window], start)
                    .0
            });
            if let Some(floor) = own.chain(behind).min() {
                ring.expire(floor);
            }
        }
        if let Some(floor) = self.rings.iter().map(Ring::floor).min() {
            self.shards.expire(floor);
        }
    }

    /// A window without an evaluation for `max(3 slides, idle_after + slide)` is stale, and says so again once per slide; a silence of everybody before
    /// `resumed_at` is not held against it.
    fn check_staleness(
        &mut self,
        now: EventTime,
        resumed_at: Option<EventTime>,
        evaluated: &mut dyn FnMut(&MonitorPlan, &WindowView),
    ) {
        let idle_after = self.plan.spec.lateness.idle_after;
        for window in &mut self.windows {
            let slide = self.rings[window.ring].slide();
            let patience = (slide * 3).max(idle_after + slide);
            // The watch over a window begins when it is first looked at.
            let evaluated_at = *window.evaluated_at.get_or_insert(now);
            let since = resumed_at.map_or(evaluated_at, |at| at.max(evaluated_at));
            if now >= since.plus(patience) {
                window.go_stale(&self.plan, &mut self.totals);
                window.evaluated_at = Some(now.minus(patience).plus(slide));
                evaluated(&self.plan, &window.state);
            }
        }
    }

    /// The same by the wall clock, once nobody has written for a while.
    pub(super) fn watch_silence(
        &mut self,
        now: EventTime,
        evaluated: &mut dyn FnMut(&MonitorPlan, &WindowView),
    ) {
        let started_at = *self.started_at.get_or_insert(now);
        let heard_at = self.shards.time.now.max(Some(started_at));
        let is_silent = heard_at.is_none_or(|heard_at| now >= heard_at.plus(SILENCE));
        if is_silent {
            self.check_staleness(now, Some(started_at), evaluated);
        }
    }

    /// Notes how long an evaluation took.
    pub(super) fn time_evaluation(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.evaluation_us.saturating_record(micros);
    }

    pub(super) fn view(&self) -> MonitorView {
        let features = self
            .plan
            .features
            .iter()
            .zip(&self.features)
            .map(|(feature, totals)| FeatureView {
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
                    self.totals.transitions[*severity as usize][to as usize],
                )
            })
        });
        let dropped = DropReason::ALL
            .iter()
            .map(|reason| (reason.name(), self.totals.dropped[*reason as usize]));
        MonitorView {
            spec: Arc::clone(&self.plan.spec),
            events: self.totals.events,
            events_late: self.totals.events_late,
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
            evaluations: self.totals.evaluations,
            evaluations_skipped: self.totals.skipped,
            evaluation_us: Arc::new(self.evaluation_us.clone()),
            transitions: transitions.collect(),
        }
    }
}

/// The monitor's part in a commit.
fn part_of<'a>(commit: &'a Commit, places: &CommitIndex) -> Option<&'a MonitorCommit> {
    let is_ours = |counts: &&MonitorCommit| counts.monitor == places.monitor;
    commit.monitors.iter().find(is_ours)
}

/// What was counted of each feature in the window that is due; at least one entry.
fn coverages(shards: &Shards, plan: &MonitorPlan, ring: &Ring, due: Due) -> Vec<Coverage> {
    let patience = plan.spec.lateness.stall_after;
    let window = (due.start, due.end);
    let mut found: Vec<Coverage> = Vec::with_capacity(plan.features.len().max(1));
    for feature in 0..plan.features.len().max(1) {
        let before = feature
            .checked_sub(1)
            .filter(|one| shards.are_alike(*one, feature));
        found.push(match before {
            Some(one) => found[one],
            None => shards.coverage(feature, window, ring.slide(), ring.floor(), patience),
        });
    }
    found
}

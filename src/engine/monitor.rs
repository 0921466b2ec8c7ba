//! One monitor at run time: its panes, shards, windows and counters.
//!
//! The log alone decides when a window is due or stale, so every reader of the same log makes the
//! same evaluations. The wall clock is used only once nobody writes any more.

use std::sync::Arc;
use std::time::Duration;

use super::commit_index::CommitIndex;
use super::counters::{FeatureCounters, MonitorCounters};
use super::hold::{WatermarkAge, WatermarkHold};
use super::null_supply::{NullSupply, TableNeed};
use super::plan::MonitorPlan;
use super::reference::CountedPanes;
use super::shards::Shards;
use super::silence::{MAX_GAP, SilenceWatch};
use super::snapshot::{FeaturePositions, MonitorSnapshot, RingSnapshot};
use super::staleness::stale_after;
use super::view::{FeatureView, MonitorView, WindowView};
use super::window::Window;
use crate::model::{DropReason, EventTime, Shard};
use crate::panes::{Commit, PaneDelta};
use crate::stats::{DurationHistogram, EVALUATION_BOUNDS};
use crate::window::Ring;

/// A monitor and its state.
#[derive(Debug)]
pub(super) struct MonitorEngine {
    plan: Arc<MonitorPlan>,
    /// By slide, ascending.
    rings: Vec<Ring>,
    windows: Vec<Window>,
    shards: Shards,
    watermark: WatermarkAge,
    silence: SilenceWatch,
    features: Vec<FeatureCounters>,
    counters: MonitorCounters,
    delays: DurationHistogram,
    evaluation_times: DurationHistogram,
}

impl MonitorEngine {
    /// A monitor without any counts.
    pub(super) fn new(plan: Arc<MonitorPlan>) -> Self {
        let mut slides: Vec<Duration> = plan
            .spec
            .windows
            .iter()
            .map(|window| window.slide)
            .chain(plan.spec.lookbacks().map(|lookback| lookback.width))
            .collect();
        slides.sort_unstable();
        slides.dedup();
        let windows = plan
            .spec
            .windows
            .iter()
            .enumerate()
            .map(|(index, spec)| {
                let ring = slides.iter().position(|slide| *slide == spec.slide);
                Window::new(index, spec, ring.unwrap_or_default(), &plan)
            })
            .collect();
        MonitorEngine {
            windows,
            rings: slides.iter().map(|slide| Ring::new(*slide)).collect(),
            shards: Shards::new(plan.features.len()),
            watermark: WatermarkAge::default(),
            silence: SilenceWatch::default(),
            features: vec![FeatureCounters::default(); plan.features.len()],
            counters: MonitorCounters::default(),
            delays: DurationHistogram::default(),
            evaluation_times: DurationHistogram::default(),
            plan,
        }
    }

    pub(super) fn plan(&self) -> &Arc<MonitorPlan> {
        &self.plan
    }

    /// Adds an accepted commit of a shard of the monitor's source; `index` is `None` where its
    /// writer does not count this monitor.
    pub(super) fn add(&mut self, commit: &Commit, index: Option<&CommitIndex>) {
        let counts = index.and_then(|index| index.counts_in(commit));
        self.silence
            .take_commit(counts.and_then(|counts| counts.max_event_time));
        self.shards.add(commit, counts, index, &self.plan.spec);
        let (Some(counts), Some(index)) = (counts, index) else {
            return;
        };
        self.counters.add(counts);
        self.delays.merge(&counts.delays);
        for pane in &counts.panes {
            self.add_pane(pane, index);
        }
    }

    fn add_pane(&mut self, pane: &PaneDelta, index: &CommitIndex) {
        let mut is_kept = false;
        for ring in &mut self.rings {
            is_kept |= ring.add(pane, &index.features);
        }
        if !is_kept {
            self.counters.dropped[DropReason::Expired as usize] += pane.events;
        }
        for delta in &pane.features {
            if let Some(feature) = index.features.get(delta.feature).copied().flatten() {
                let layout = self.plan.features[feature].layout.as_deref();
                self.features[feature].add(&delta.tallies, &delta.bins, layout);
                for window in &mut self.windows {
                    if window.may_hold(pane.start) {
                        window.add_late(feature, pane.start, delta);
                    }
                }
            }
        }
    }

    /// Drops shards that nobody reads any more.
    pub(super) fn retain_shards(&mut self, is_read: impl Fn(&Shard) -> bool) {
        self.shards.retain(is_read);
    }

    /// Evaluates every window that is due and calls `evaluated` after each; returns their number.
    pub(super) fn advance(
        &mut self,
        supply: &mut NullSupply,
        evaluated: &mut dyn FnMut(&MonitorPlan, &WindowView),
    ) -> u64 {
        let lateness = &self.plan.spec.lateness;
        self.shards.drop_surplus(lateness.stall_after);
        self.watermark
            .advance(self.shards.watermark(lateness), self.shards.time.now);
        self.check_silence();
        let mut evaluations = 0;
        if let Some(watermark) = self.watermark.get() {
            for index in 0..self.windows.len() {
                evaluations += self.evaluate_until(index, watermark, supply, evaluated);
            }
        }
        self.counters.evaluations += evaluations;
        if evaluations > 0 {
            self.expire();
        }
        if let Some(now) = self.shards.time.now {
            self.check_staleness(now, self.shards.time.resumed_at, evaluated);
        }
        evaluations
    }

    /// Evaluates every window up to the one that holds the newest event: the input has ended.
    pub(super) fn finish(
        &mut self,
        supply: &mut NullSupply,
        evaluated: &mut dyn FnMut(&MonitorPlan, &WindowView),
    ) {
        let Some(newest) = self.shards.newest() else {
            return;
        };
        for index in 0..self.windows.len() {
            let closing = self.windows[index].schedule.closing(newest);
            self.counters.evaluations += self.evaluate_until(index, closing, supply, evaluated);
        }
    }

    fn evaluate_until(
        &mut self,
        index: usize,
        watermark: EventTime,
        supply: &mut NullSupply,
        evaluated: &mut dyn FnMut(&MonitorPlan, &WindowView),
    ) -> u64 {
        let mut evaluations = 0;
        loop {
            let window = &mut self.windows[index];
            let ring = &self.rings[window.ring];
            let Some(due) = window.schedule.next(watermark, ring) else {
                return evaluations;
            };
            let stall_after = self.plan.spec.lateness.stall_after;
            let span = (due.start, due.end);
            let coverage =
                self.shards
                    .coverage_by_feature(span, ring.slide(), ring.floor(), stall_after);
            let panes = CountedPanes {
                rings: &self.rings,
                shards: &self.shards,
                stall_after,
                min_coverage: self.plan.spec.min_coverage,
            };
            let counters = &mut self.counters;
            if window.resume(supply, &self.plan, counters) {
                evaluated(&self.plan, &self.silence.show(window.take_evaluation()));
            }
            window.evaluate(due, &panes, &coverage, &self.plan, counters, supply);
            window.staleness.evaluated(self.shards.time.now);
            self.counters.skipped += due.skipped;
            evaluations += 1;
            evaluated(&self.plan, &self.silence.show(window.take_evaluation()));
        }
    }

    /// The null tables that the latest windows wait for.
    pub(super) fn tables_needed(&self) -> impl Iterator<Item = &TableNeed> {
        self.windows
            .iter()
            .flat_map(|window| window.tables().needed())
    }

    /// The null tables that later windows may need.
    pub(super) fn tables_ahead(&self) -> impl Iterator<Item = &TableNeed> {
        self.windows
            .iter()
            .flat_map(|window| window.tables().ahead())
    }

    /// The numbers of comparisons that were calibrated, and of those that need null tables.
    pub(super) fn calibration_progress(&self) -> (usize, usize) {
        self.windows
            .iter()
            .map(Window::calibration_progress)
            .fold((0, 0), |sum, window| (sum.0 + window.0, sum.1 + window.1))
    }

    /// Makes up for the evaluation of rules whose null tables have come, and calls `evaluated` for
    /// each window that has some.
    pub(super) fn resume(
        &mut self,
        supply: &mut NullSupply,
        evaluated: &mut dyn FnMut(&MonitorPlan, &WindowView),
    ) {
        for window in &mut self.windows {
            if window.resume(supply, &self.plan, &mut self.counters) {
                evaluated(&self.plan, &self.silence.show(window.take_evaluation()));
            }
        }
    }

    /// Drops panes that no window and no rolling reference can reach any more.
    fn expire(&mut self) {
        for window in &mut self.windows {
            window.leave_panes(&self.rings);
        }
        let spec = &self.plan.spec;
        for (index, ring) in self.rings.iter_mut().enumerate() {
            let window_floors = self
                .windows
                .iter()
                .filter(|window| window.ring == index)
                .map(|window| window.schedule.floor());
            let width = ring.slide();
            let lookback_floors = spec
                .lookbacks()
                .filter(|lookback| lookback.width == width)
                .map(|lookback| {
                    let start = self.windows[lookback.window].schedule.floor();
                    let (from, _) = lookback.rolling.span(&spec.windows[lookback.window], start);
                    from
                });
            if let Some(floor) = window_floors.chain(lookback_floors).min() {
                ring.expire(floor);
            }
        }
        if let Some(floor) = self.rings.iter().map(Ring::floor).min() {
            self.shards.expire(floor);
        }
    }

    /// Marks windows without an evaluation for `max(3 slides, idle_after + slide)` as stale, again
    /// once per slide. A time before `resumed_at` is not counted: nobody wrote then.
    fn check_staleness(
        &mut self,
        now: EventTime,
        resumed_at: Option<EventTime>,
        evaluated: &mut dyn FnMut(&MonitorPlan, &WindowView),
    ) {
        let idle_after = self.plan.spec.lateness.idle_after;
        for window in &mut self.windows {
            let slide = self.rings[window.ring].slide();
            let is_stale =
                window
                    .staleness
                    .check(now, resumed_at, slide, stale_after(slide, idle_after));
            if is_stale {
                window.mark_stale(&self.plan, &mut self.counters);
                evaluated(&self.plan, &self.silence.show(window.take_evaluation()));
            }
        }
    }

    /// The shard that has held the watermark for longer than a window may wait, although others
    /// were read on in the meantime.
    fn hold(&self) -> Option<WatermarkHold> {
        let lateness = &self.plan.spec.lateness;
        let windows = &self.plan.spec.windows;
        let patience = windows
            .iter()
            .map(|window| stale_after(window.slide, lateness.idle_after))
            .min()?;
        self.watermark
            .is_held(self.shards.time.advanced_at, patience)
            .then(|| self.shards.hold(lateness))
            .flatten()
    }

    /// Checks silence and staleness by the wall clock once nobody has written for `MAX_GAP`.
    ///
    /// The time of the log goes on by the time that this process has waited. So a clock that is
    /// set, or that differs from that of the log, makes no window stale.
    pub(super) fn watch_silence(
        &mut self,
        now: EventTime,
        evaluated: &mut dyn FnMut(&MonitorPlan, &WindowView),
    ) {
        let silence = self.plan.spec.silence;
        let waited = self.silence.wait(now, silence);
        if waited < MAX_GAP {
            return;
        }
        if waited >= silence {
            self.shards.wait(waited);
        }
        self.check_silence();
        let log_time = self.shards.time.now.unwrap_or(EventTime::MIN);
        let resumed_at = self.shards.time.resumed_at;
        self.check_staleness(log_time.plus(waited), resumed_at, evaluated);
    }

    fn check_silence(&mut self) {
        let spec = &self.plan.spec;
        if self.shards.time.now.is_some() {
            self.silence
                .update(self.shards.quietness(spec), spec.silence);
        }
    }

    /// Time since which the monitor is silent; `None` while it is not.
    pub(super) fn silent_since(&self) -> Option<EventTime> {
        self.silence.since()
    }

    /// True if a silence began or ended since the last call.
    pub(super) fn take_silence_change(&mut self) -> bool {
        self.silence.take_change()
    }

    /// Records the wall time of an evaluation.
    pub(super) fn time_evaluation(&mut self, took: Duration) {
        self.evaluation_times.record(&EVALUATION_BOUNDS, took, 1);
    }

    /// The monitor's counters and its latest evaluations.
    pub(super) fn view(&self) -> MonitorView {
        MonitorView {
            spec: Arc::clone(&self.plan.spec),
            events: self.counters.events,
            events_late: self.counters.events_late,
            dropped: DropReason::ALL
                .iter()
                .map(|reason| (reason.name(), self.counters.dropped[*reason as usize]))
                .collect(),
            silent_since: self.silence.since(),
            newest_event: self.silence.newest_event(),
            watermark: self.watermark.get(),
            held_by: self.hold(),
            delays: self.delays.clone(),
            references: self.plan.references.clone(),
            features: self
                .plan
                .features
                .iter()
                .zip(&self.features)
                .map(|(feature, counters)| FeatureView {
                    name: feature.name.clone(),
                    kind: feature.kind,
                    role: feature.role,
                    layout: feature.layout.clone(),
                    tallies: counters.tallies,
                    out_of_range: counters.out_of_range,
                    unseen: counters.unseen,
                })
                .collect(),
            windows: self
                .windows
                .iter()
                .map(|window| self.silence.show(window.view()))
                .collect(),
            evaluations: self.counters.evaluations,
            evaluations_skipped: self.counters.skipped,
            evaluation_times: self.evaluation_times.clone(),
            transitions: self
                .counters
                .transitions
                .iter()
                .map(|(severity, to, count)| (severity, to.name(), count))
                .collect(),
        }
    }

    /// The state to save.
    pub(super) fn save(&self) -> MonitorSnapshot {
        MonitorSnapshot {
            id: self.plan.id,
            features: self
                .plan
                .features
                .iter()
                .zip(&self.features)
                .map(|(feature, counters)| (feature.id, counters.clone()))
                .collect(),
            counters: self.counters.clone(),
            delays: self.delays.clone(),
            evaluation_times: self.evaluation_times.clone(),
            watermark: self.watermark.get(),
            shards: self
                .shards
                .iter()
                .map(|(shard, state)| (shard.clone(), state.clone()))
                .collect(),
            expected_shards: self.shards.expected,
            time: self.shards.time,
            silence: self.silence.save(),
            rings: self.rings.iter().map(RingSnapshot::of).collect(),
            windows: self.windows.iter().map(Window::save).collect(),
        }
    }

    /// Continues from the state of an earlier process.
    pub(super) fn restore(&mut self, saved: MonitorSnapshot, supply: &mut NullSupply) {
        let plan = Arc::clone(&self.plan);
        let positions = FeaturePositions::new(
            saved.features.iter().map(|(id, _)| *id),
            plan.features.iter().map(|feature| feature.id),
        );
        for (saved_feature, (_, counters)) in saved.features.into_iter().enumerate() {
            if let Some(feature) = positions.get(saved_feature) {
                self.features[feature] = counters;
            }
        }
        self.counters = saved.counters;
        self.watermark = WatermarkAge::at(saved.watermark);
        self.delays = saved.delays;
        self.evaluation_times = saved.evaluation_times;
        for (shard, mut state) in saved.shards {
            state.covered = positions.reorder(state.covered);
            self.shards.restore(shard, state);
        }
        let newest = self.shards.newest();
        (self.shards.expected, self.shards.time) = (saved.expected_shards, saved.time);
        self.silence.restore(saved.silence, plan.spec.silence);
        for ring in &mut self.rings {
            RingSnapshot::restore_into(ring, &saved.rings, &positions, newest);
        }
        for saved in saved.windows {
            if let Some(window) = self
                .windows
                .iter_mut()
                .find(|window| window.is_saved_as(&saved))
            {
                window.restore(saved, &positions, &plan, supply);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::engine::engine::Engine;
    use crate::engine::fixture::{Stream, fixed, plan, spec, spread};
    use crate::stats::{DELAY_BOUNDS, EVALUATION_BOUNDS};

    /// Histograms that could not grow cut everything above 255 off: events that were hours old and
    /// evaluations of seconds had a sum of fractions of a second.
    #[test]
    fn durations_of_a_minute_and_an_hour_survive_a_restart() {
        let spec = spec(vec![fixed()]);
        let mut engine = Engine::new(vec![plan(spec.clone())]);
        let mut commit = Stream::default().minute(&plan(spec.clone()), 0, &spread(0.0));
        let minute = Duration::from_secs(60);
        for delay in [minute, minute * 60] {
            commit.monitors[0].delays.record(&DELAY_BOUNDS, delay, 1);
        }
        engine.apply(&commit).unwrap();
        engine.time_evaluation(0, minute);
        engine.time_evaluation(0, minute * 60);
        let mut restarted = Engine::new(vec![plan(spec)]);
        restarted.restore(engine.save());
        for view in [engine.view(), restarted.view()] {
            let monitor = &view.monitors[0];
            assert_eq!(monitor.delays.count(), 2, "delays");
            assert_eq!(monitor.evaluation_times.count(), 2, "evaluations");
            for sum in [&monitor.delays, &monitor.evaluation_times] {
                assert!((sum.sum_seconds() - 3660.0).abs() < 1e-9, "{sum:?}");
            }
            let delays = monitor.delays.cumulative(&DELAY_BOUNDS);
            assert_eq!(delays, [0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2], "delays");
            let evaluations = monitor.evaluation_times.cumulative(&EVALUATION_BOUNDS);
            assert_eq!(evaluations, [0; 9], "beyond a second");
        }
    }
}

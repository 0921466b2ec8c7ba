//! One window of a monitor: its schedule, its features with their comparisons, and its latest
//! evaluation.

use super::comparison::Comparison;
use super::counters::MonitorCounters;
use super::null_supply::NullSupply;
use super::plan::MonitorPlan;
use super::reference::{CountedPanes, WindowFeatureRef};
use super::shards::incompleteness;
use super::snapshot::{AlertSnapshot, FeaturePositions, WindowSnapshot, millis};
use super::staleness::Staleness;
use super::view::WindowView;
use super::volume::VolumeState;
use super::window_feature::WindowFeature;
use super::window_tables::WindowTables;
use crate::model::{EventTime, NotReady, WindowSpec};
use crate::panes::FeatureDelta;
use crate::stats::FeatureCounts;
use crate::window::{Coverage, Due, Ring, Schedule};

/// A window and its state.
#[derive(Debug)]
pub(super) struct Window {
    /// Index into the monitor's windows.
    index: usize,
    spec: WindowSpec,
    pub(super) schedule: Schedule,
    /// Index of the monitor's ring that holds its panes.
    pub(super) ring: usize,
    end: Option<EventTime>,
    coverage: f64,
    features: Vec<WindowFeature>,
    volume: Option<VolumeState>,
    tables: WindowTables,
    /// True if an earlier process left evaluations that wait for null tables.
    was_waiting: bool,
    pub(super) staleness: Staleness,
}

impl Window {
    /// A window with this index of the monitor's windows, not evaluated yet.
    pub(super) fn new(index: usize, spec: &WindowSpec, ring: usize, plan: &MonitorPlan) -> Self {
        Window {
            index,
            spec: spec.clone(),
            schedule: Schedule::new(spec),
            ring,
            end: None,
            coverage: 0.0,
            features: plan
                .features
                .iter()
                .map(|feature| WindowFeature::new(feature, plan.spec.pseudo_count))
                .collect(),
            volume: plan.spec.volume.map(VolumeState::new),
            tables: WindowTables::default(),
            was_waiting: false,
            staleness: Staleness::default(),
        }
    }

    /// Evaluates the window that is due; `coverage` has an entry for each feature and one for the
    /// events.
    pub(super) fn evaluate(
        &mut self,
        due: Due,
        panes: &CountedPanes<'_>,
        coverage: &[Coverage],
        plan: &MonitorPlan,
        counters: &mut MonitorCounters,
        supply: &mut NullSupply,
    ) {
        self.miss_waiting();
        self.advance_references(due, panes);
        self.end = Some(due.end);
        self.coverage = coverage
            .iter()
            .map(|coverage| coverage.ratio)
            .fold(1.0, f64::min);
        let counts = self.sum_panes(due, panes, plan);
        let incomplete = coverage
            .iter()
            .map(|coverage| incompleteness(*coverage, panes.min_coverage))
            .collect::<Vec<_>>();
        let samples: Vec<Option<u64>> = counts
            .iter()
            .zip(&incomplete)
            .map(|(counts, incomplete)| incomplete.is_none().then_some(counts.tallies.values))
            .collect();
        self.tables
            .prepare(&mut self.features, &samples, &self.spec, due.end, supply);
        let ring = &panes.rings[self.ring];
        // A stream that stopped inside the last slide has no event behind the window.
        let is_paused = ring.events(due.end.minus(self.spec.slide), due.end) == 0
            || ring.events(due.end, EventTime::from_millis(i64::MAX)) == 0;
        if let (Some(volume), Some(incomplete)) = (&mut self.volume, incomplete.last()) {
            let events = ring.events(due.start, due.end);
            let observed = volume.observe(events, due, self.spec.slide, *incomplete);
            volume.evaluate(observed, self.end, is_paused, &mut counters.transitions);
        }
        for (((feature, feature_plan), counts), incomplete) in self
            .features
            .iter_mut()
            .zip(&plan.features)
            .zip(counts)
            .zip(incomplete)
        {
            feature.score(feature_plan, &self.spec, counts, incomplete);
            feature.evaluate(
                feature_plan,
                &self.spec,
                is_paused,
                &mut counters.transitions,
            );
            feature.stamp_alerts(due.end);
            feature.exclude_alarms(due.end.minus(self.spec.size), due.end);
        }
    }

    /// Gives up the evaluations of the latest window that still wait for null tables.
    fn miss_waiting(&mut self) {
        self.was_waiting = false;
        if let Some(end) = self.end {
            for feature in &mut self.features {
                feature.miss(end.minus(self.spec.size), end);
            }
        }
    }

    /// Adds the latest window to the histories, then builds the references of the next
    /// one.
    fn advance_references(&mut self, due: Due, panes: &CountedPanes<'_>) {
        if let Some(end) = self.end {
            for feature in &mut self.features {
                feature.add_to_history(end, &self.spec);
            }
        }
        for (index, feature) in self.features.iter_mut().enumerate() {
            let position = WindowFeatureRef {
                feature: index,
                window: &self.spec,
                due,
            };
            for comparison in feature.comparisons_mut() {
                comparison.advance(&position, panes);
            }
        }
    }

    /// The counts of each feature in the window that is due.
    fn sum_panes(
        &mut self,
        due: Due,
        panes: &CountedPanes<'_>,
        plan: &MonitorPlan,
    ) -> Vec<FeatureCounts> {
        let ring = &panes.rings[self.ring];
        self.features
            .iter_mut()
            .zip(&plan.features)
            .enumerate()
            .map(|(index, (feature, plan))| feature.sum_panes(plan, index, ring, due))
            .collect()
    }

    /// True if the latest window, or one of its references, may hold the pane that begins at
    /// `start`.
    pub(super) fn may_hold(&self, start: EventTime) -> bool {
        self.end.is_some_and(|end| start < end)
    }

    /// Adds late counts of a pane to the sums that hold it already.
    pub(super) fn add_late(&mut self, feature: usize, start: EventTime, delta: &FeatureDelta) {
        self.features[feature].add_late(start, &self.spec, delta);
    }

    /// Removes the panes that no later window or reference reaches, before the rings drop them.
    pub(super) fn leave_panes(&mut self, rings: &[Ring]) {
        let floor = self.schedule.floor();
        for (index, feature) in self.features.iter_mut().enumerate() {
            feature.leave_panes(index, rings, &rings[self.ring], &self.spec, floor);
        }
    }

    /// The null tables that the latest window waits for, and those that later ones may need.
    pub(super) const fn tables(&self) -> &WindowTables {
        &self.tables
    }

    /// The numbers of comparisons that were calibrated, and of those that need null tables.
    pub(super) fn calibration_progress(&self) -> (usize, usize) {
        self.comparisons()
            .filter_map(|(_, comparison)| comparison.is_calibrated())
            .fold((0, 0), |(calibrated, total), is_calibrated| {
                (calibrated + usize::from(is_calibrated), total + 1)
            })
    }

    /// Makes up for the evaluation of rules whose null tables have come; true if there were any.
    pub(super) fn resume(
        &mut self,
        supply: &mut NullSupply,
        plan: &MonitorPlan,
        counters: &mut MonitorCounters,
    ) -> bool {
        let end = self.end.unwrap_or(EventTime::MIN);
        let has_arrived = self.tables.take_arrived(end, supply);
        if !std::mem::take(&mut self.was_waiting) && !has_arrived {
            return false;
        }
        let mut is_resumed = false;
        for (feature, feature_plan) in self.features.iter_mut().zip(&plan.features) {
            if feature.resume(feature_plan, &self.spec, &mut counters.transitions) {
                is_resumed = true;
                feature.stamp_alerts(end);
                feature.exclude_alarms(end.minus(self.spec.size), end);
            }
        }
        is_resumed
    }

    /// Replaces every score by `Stale`: no evaluation has come for a long time. Firing alerts are
    /// held, because nothing was judged.
    pub(super) fn mark_stale(&mut self, plan: &MonitorPlan, counters: &mut MonitorCounters) {
        self.tables = WindowTables::default();
        self.miss_waiting();
        for (feature, feature_plan) in self.features.iter_mut().zip(&plan.features) {
            feature.clear(Some(NotReady::Stale));
            feature.evaluate(feature_plan, &self.spec, true, &mut counters.transitions);
            if let Some(end) = self.end {
                feature.stamp_alerts(end);
            }
        }
        if let Some(volume) = &mut self.volume {
            volume.evaluate(
                Err(NotReady::Stale),
                self.end,
                true,
                &mut counters.transitions,
            );
        }
    }

    /// The view of an evaluation, with the transitions of its alerts; a later view has none.
    pub(super) fn take_evaluation(&mut self) -> WindowView {
        let view = self.view();
        for comparison in self
            .features
            .iter_mut()
            .flat_map(WindowFeature::comparisons_mut)
        {
            comparison.forget_transitions();
        }
        if let Some(volume) = &mut self.volume {
            volume.forget_transition();
        }
        view
    }

    /// The latest evaluation.
    pub(super) fn view(&self) -> WindowView {
        WindowView {
            index: self.index,
            end: self.end,
            coverage: self.coverage,
            features: self.features.iter().map(WindowFeature::view).collect(),
            volume: self.volume.as_ref().map(|volume| *volume.view()),
        }
    }

    /// True if a snapshot is that of this window: it has the same name and slide.
    pub(super) fn is_saved_as(&self, saved: &WindowSnapshot) -> bool {
        self.spec.name == saved.name && millis(self.spec.slide) == saved.slide_ms
    }

    /// The state to save.
    pub(super) fn save(&self) -> WindowSnapshot {
        WindowSnapshot {
            name: self.spec.name.clone(),
            slide_ms: millis(self.spec.slide),
            next_end: self.schedule.next_end(),
            end: self.end,
            coverage: self.coverage,
            evaluated_at: self.staleness.evaluated_at(),
            features: self
                .features
                .iter()
                .map(|feature| {
                    let (counts, incomplete) = feature.content();
                    (counts.cloned(), incomplete)
                })
                .collect(),
            alerts: self.save_alerts(),
            volume: self.volume.as_ref().map(VolumeState::save),
            histories: self
                .comparisons()
                .filter_map(|(feature, comparison)| {
                    let history = comparison.history()?.clone();
                    Some((feature, comparison.name().to_owned(), history))
                })
                .collect(),
            references: self
                .comparisons()
                .filter_map(|(feature, comparison)| {
                    let state = comparison.reference_state()?.clone();
                    Some((feature, comparison.name().to_owned(), state))
                })
                .collect(),
        }
    }

    fn save_alerts(&self) -> Vec<AlertSnapshot> {
        self.comparisons()
            .flat_map(|(feature, comparison)| {
                comparison.rules().iter().map(move |rule| AlertSnapshot {
                    feature,
                    reference: comparison.name().to_owned(),
                    statistic: rule.view().statistic.name().to_owned(),
                    severity: rule.view().severity.name().to_owned(),
                    alert: *rule.alert(),
                    state: rule.view().state,
                    since: rule.since(),
                    is_waiting: rule.is_waiting(),
                })
            })
            .collect()
    }

    /// Every comparison with the index of its feature.
    fn comparisons(&self) -> impl Iterator<Item = (usize, &Comparison)> {
        self.features
            .iter()
            .enumerate()
            .flat_map(|(index, feature)| {
                feature
                    .comparisons()
                    .iter()
                    .map(move |comparison| (index, comparison))
            })
    }

    /// Continues from the state of an earlier process.
    ///
    /// Dynamic references and histories come first, because the scores depend on them, and alerts
    /// last, because they are shown beside the scores.
    pub(super) fn restore(
        &mut self,
        saved: WindowSnapshot,
        positions: &FeaturePositions,
        plan: &MonitorPlan,
        supply: &mut NullSupply,
    ) {
        self.schedule.resume(saved.next_end);
        self.end = saved.end;
        self.coverage = saved.coverage;
        self.staleness = Staleness::since(saved.evaluated_at);
        if let (Some(volume), Some(saved)) = (&mut self.volume, saved.volume) {
            volume.restore(saved);
        }
        for (saved_feature, reference, state) in saved.references {
            if let Some(comparison) = self.comparison(positions, saved_feature, &reference) {
                comparison.restore_reference(state);
            }
        }
        let spec = self.spec.clone();
        for (saved_feature, reference, history) in saved.histories {
            if let Some(comparison) = self.comparison(positions, saved_feature, &reference) {
                comparison.restore_history(history, &spec);
            }
        }
        let mut samples = vec![None; self.features.len()];
        for (saved_feature, (counts, incomplete)) in saved.features.iter().enumerate() {
            if let (Some(feature), Some(counts), None) =
                (positions.get(saved_feature), counts, incomplete)
            {
                samples[feature] = Some(counts.tallies.values);
            }
        }
        let end = saved.end.unwrap_or(EventTime::MIN);
        self.tables
            .prepare(&mut self.features, &samples, &self.spec, end, supply);
        for (saved_feature, (counts, incomplete)) in saved.features.into_iter().enumerate() {
            let Some(index) = positions.get(saved_feature) else {
                continue;
            };
            let (feature, feature_plan) = (&mut self.features[index], &plan.features[index]);
            let Some(counts) = counts else {
                feature.clear(incomplete);
                continue;
            };
            feature.score(feature_plan, &self.spec, counts, incomplete);
            let (sample, comparisons) = feature.split(feature_plan, &self.spec);
            for comparison in comparisons {
                comparison.initialize_alerts(&sample);
            }
        }
        self.was_waiting = saved.alerts.iter().any(|alert| alert.is_waiting);
        for alert in &saved.alerts {
            let Some(index) = positions.get(alert.feature) else {
                continue;
            };
            let (sample, comparisons) =
                self.features[index].split(&plan.features[index], &self.spec);
            if let Some(comparison) = comparisons
                .iter_mut()
                .find(|comparison| comparison.name() == alert.reference)
            {
                comparison.restore_alert(alert, &sample);
            }
        }
    }

    fn comparison(
        &mut self,
        positions: &FeaturePositions,
        saved_feature: usize,
        reference: &str,
    ) -> Option<&mut Comparison> {
        let feature = positions.get(saved_feature)?;
        self.features[feature].comparison_with(reference)
    }
}

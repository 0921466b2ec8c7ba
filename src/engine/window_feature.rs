//! One feature of one window: its latest counts and rates, and its comparisons.

use std::sync::Arc;

use super::comparison::Comparison;
use super::counters::TransitionCounts;
use super::plan::FeaturePlan;
use super::sample::FeatureSample;
use super::view::WindowFeatureView;
use crate::model::{EventTime, NotReady, WindowSpec};
use crate::panes::FeatureDelta;
use crate::score::Rates;
use crate::stats::FeatureCounts;
use crate::window::{Due, Ring, SlidingSum};

/// One feature of one window.
#[derive(Debug)]
pub(super) struct WindowFeature {
    sum: SlidingSum,
    counts: Option<Arc<FeatureCounts>>,
    incomplete: Option<NotReady>,
    rates: Rates,
    is_paused: bool,
    /// One for each reference, in the monitor's order.
    comparisons: Vec<Comparison>,
}

impl WindowFeature {
    /// A feature before the first window.
    pub(super) fn new(plan: &FeaturePlan, pseudo_count: f64) -> Self {
        WindowFeature {
            sum: SlidingSum::default(),
            counts: None,
            incomplete: Some(NotReady::Warming),
            rates: Rates::default(),
            is_paused: false,
            comparisons: (0..plan.references.len())
                .map(|reference| Comparison::new(plan, reference, pseudo_count))
                .collect(),
        }
    }

    /// The latest counts and the reason why they are not ready, as they are saved.
    pub(super) fn content(&self) -> (Option<&FeatureCounts>, Option<NotReady>) {
        (self.counts.as_deref(), self.incomplete)
    }

    pub(super) fn comparisons(&self) -> &[Comparison] {
        &self.comparisons
    }

    pub(super) fn comparisons_mut(&mut self) -> &mut [Comparison] {
        &mut self.comparisons
    }

    /// The comparison with a reference of this name.
    pub(super) fn comparison_with(&mut self, reference: &str) -> Option<&mut Comparison> {
        self.comparisons
            .iter_mut()
            .find(|comparison| comparison.name() == reference)
    }

    /// The counts of the feature with this index in the panes of a window that is due.
    pub(super) fn sum_panes(
        &mut self,
        plan: &FeaturePlan,
        index: usize,
        ring: &Ring,
        due: Due,
    ) -> FeatureCounts {
        let layout = plan.layout.as_deref();
        self.sum
            .slide(ring, index, layout, (due.start, due.end), |_| false);
        self.sum.counts(ring, index)
    }

    /// Adds late counts of a pane to the sums that hold it already.
    pub(super) fn add_late(&mut self, start: EventTime, window: &WindowSpec, delta: &FeatureDelta) {
        self.sum.add_late(start.align_down(window.slide), delta);
        for comparison in &mut self.comparisons {
            comparison.add_late(start, window, delta);
        }
    }

    /// Removes the panes that no later window reaches from the sums, before the rings drop them;
    /// the next window begins at `floor`.
    pub(super) fn leave_panes(
        &mut self,
        index: usize,
        rings: &[Ring],
        ring: &Ring,
        window: &WindowSpec,
        floor: EventTime,
    ) {
        self.sum.leave(ring, index, floor, |_| false);
        for comparison in &mut self.comparisons {
            comparison.leave_panes(index, rings, window, floor);
        }
    }

    /// Adds the latest window, which ended at `end`, to the histories.
    pub(super) fn add_to_history(&mut self, end: EventTime, window: &WindowSpec) {
        if let Some(counts) = self.counts.as_deref() {
            for comparison in &mut self.comparisons {
                comparison.add_to_history(counts, end, window);
            }
        }
    }

    /// Takes the counts of a window and scores them; the alerts do not change.
    pub(super) fn score(
        &mut self,
        plan: &FeaturePlan,
        window: &WindowSpec,
        counts: FeatureCounts,
        incomplete: Option<NotReady>,
    ) {
        self.rates = match plan.layout.as_deref() {
            Some(layout) => Rates::of(&counts, layout),
            None => Rates::without_layout(&counts),
        };
        self.counts = Some(Arc::new(counts));
        self.incomplete = incomplete;
        let (sample, comparisons) = self.split(plan, window);
        for comparison in comparisons {
            comparison.score(&sample);
        }
    }

    /// Advances every alert by one evaluation of the latest counts; `is_paused` is true if the
    /// stream has stopped.
    pub(super) fn evaluate(
        &mut self,
        plan: &FeaturePlan,
        window: &WindowSpec,
        is_paused: bool,
        transitions: &mut TransitionCounts,
    ) {
        self.is_paused = is_paused;
        let (sample, comparisons) = self.split(plan, window);
        for comparison in comparisons {
            comparison.evaluate(&sample, transitions);
        }
    }

    /// Notes since when alerts are pending or firing, after an evaluation of a window.
    pub(super) fn stamp_alerts(&mut self, end: EventTime) {
        for comparison in &mut self.comparisons {
            comparison.stamp_alerts(end);
        }
    }

    /// Makes up for the evaluation of rules that waited for null tables; true if there were any.
    pub(super) fn resume(
        &mut self,
        plan: &FeaturePlan,
        window: &WindowSpec,
        transitions: &mut TransitionCounts,
    ) -> bool {
        let (sample, comparisons) = self.split(plan, window);
        let mut is_resumed = false;
        for comparison in comparisons {
            is_resumed |= comparison.resume(&sample, transitions);
        }
        is_resumed
    }

    /// Gives up the evaluations of the latest window that still wait for null tables.
    pub(super) fn miss(&mut self, start: EventTime, end: EventTime) {
        for comparison in &mut self.comparisons {
            comparison.miss(start, end);
        }
    }

    /// Excludes the latest window from rolling references whose alerts are pending or firing.
    pub(super) fn exclude_alarms(&mut self, start: EventTime, end: EventTime) {
        for comparison in &mut self.comparisons {
            comparison.exclude_alarm(start, end);
        }
    }

    /// Drops counts and scores for a reason.
    pub(super) fn clear(&mut self, reason: Option<NotReady>) {
        self.counts = None;
        self.incomplete = reason;
        self.rates = Rates::default();
        for comparison in &mut self.comparisons {
            comparison.clear(reason.unwrap_or(NotReady::Warming));
        }
    }

    /// The latest counts as a sample, with the comparisons that use it.
    pub(super) fn split<'a>(
        &'a mut self,
        plan: &'a FeaturePlan,
        window: &'a WindowSpec,
    ) -> (FeatureSample<'a>, &'a mut [Comparison]) {
        let sample = FeatureSample {
            plan,
            window,
            counts: self.counts.as_deref(),
            incomplete: self.incomplete,
            rates: &self.rates,
            is_paused: self.is_paused,
        };
        (sample, &mut self.comparisons)
    }

    /// The latest counts, scores and alerts.
    pub(super) fn view(&self) -> WindowFeatureView {
        WindowFeatureView {
            counts: self.counts.clone(),
            incomplete: self.incomplete,
            rates: self.rates,
            comparisons: self.comparisons.iter().map(Comparison::view).collect(),
        }
    }
}

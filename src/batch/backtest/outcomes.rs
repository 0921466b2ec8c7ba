//! The outcomes of every candidate in one replay: counts and first alarms per comparison.
//!
//! An alarm is a run of evaluations in which at least one rule of a candidate fires for a feature,
//! in one window and against one reference. A budget is about these, and these wake a person. Two
//! statistics that fire together are one alarm. A long alarm is held against the budget once per
//! length of its window; otherwise a threshold that is always exceeded would be a single alarm.
//!
//! Candidates that differ in `for` alone share their rules in the engine, because thresholds are
//! the most expensive part of an evaluation.

use std::collections::{BTreeMap, BTreeSet};

use super::alarm_trace::{
    AlarmCounts, AlarmTrace, EvaluatedRule, EvaluatedWindow, evaluated_rules, is_ready,
};
use crate::alert::AlertState;
use crate::calibration::CalibrationStatus;
use crate::engine::{AlertView, MonitorPlan, WindowFeatureView, WindowView};
use crate::model::{EventTime, NotReady};

/// The candidate and comparison of a trace; features as numbered in the monitor without faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct TraceKey {
    candidate: usize,
    feature: usize,
    window: usize,
    reference: usize,
}

/// Candidates whose rules are in one monitor of the engine, one set of rules after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CandidateGroup {
    /// Name of the monitor.
    pub(crate) monitor: String,
    /// Index of the first candidate.
    pub(crate) first: usize,
    /// Number of sets of rules; at least 1.
    pub(crate) rule_sets: usize,
    /// The `for` of each candidate that shares a set of rules, whose alerts fire at once in the
    /// engine. Empty if each set belongs to one candidate, with the `for` that the engine uses.
    pub(crate) for_evaluations: Vec<u32>,
}

/// Collects the evaluations of one replay.
#[derive(Debug)]
pub(crate) struct Outcomes {
    groups: Vec<CandidateGroup>,
    /// Index of each replayed feature in the monitor without faults.
    features: Vec<usize>,
    /// Windows count if they end after the first and not after the second time.
    span: (EventTime, EventTime),
    /// End of the latest window by group and window.
    ends: BTreeMap<(usize, usize), EventTime>,
    traces: BTreeMap<TraceKey, AlarmTrace>,
    /// The alert on the number of events by window, as configured; it belongs to no candidate.
    volume: BTreeMap<usize, AlarmTrace>,
    /// Features by calibration status.
    by_status: [BTreeSet<usize>; CalibrationStatus::ALL.len()],
    /// First and last end of a window with a ready rule.
    ready_span: Option<(EventTime, EventTime)>,
    /// Latest reason why a feature was not ready.
    not_ready: BTreeMap<usize, NotReady>,
}

impl Outcomes {
    /// Creates empty outcomes; `features` are the indices of the replayed features.
    #[must_use]
    pub(crate) fn new(
        groups: Vec<CandidateGroup>,
        features: Vec<usize>,
        span: (EventTime, EventTime),
    ) -> Self {
        Outcomes {
            groups,
            features,
            span,
            ends: BTreeMap::new(),
            traces: BTreeMap::new(),
            volume: BTreeMap::new(),
            by_status: Default::default(),
            ready_span: None,
            not_ready: BTreeMap::new(),
        }
    }

    /// Adds an evaluation; a repeated one of the same window is ignored.
    pub(crate) fn record(&mut self, plan: &MonitorPlan, window: &WindowView) {
        let group = self
            .groups
            .iter()
            .position(|group| group.monitor == plan.spec.name);
        let (Some(group), Some(end)) = (group, window.end) else {
            return;
        };
        let previous = self.ends.insert((group, window.index), end);
        if previous.is_some_and(|previous| previous >= end) || end > self.span.1 {
            return;
        }
        let has_ready_rule = window
            .features
            .iter()
            .flat_map(WindowFeatureView::alerts)
            .any(is_ready);
        if has_ready_rule {
            let first = self.ready_span.map_or(end, |(first, _)| first.min(end));
            self.ready_span = Some((first, end));
        }
        let evaluated = EvaluatedWindow {
            end,
            size: plan.spec.windows[window.index].size,
        };
        if group == 0
            && let Some(volume) = &window.volume
        {
            self.record_volume(volume, window.index, evaluated);
        }
        for (position, state) in window.features.iter().enumerate() {
            if let Some(&feature) = self.features.get(position) {
                self.record_status(feature, state);
                self.record_feature(group, feature, window.index, state, evaluated);
            }
        }
    }

    fn record_volume(&mut self, volume: &AlertView, window: usize, evaluated: EvaluatedWindow) {
        let rules = evaluated_rules(std::slice::from_ref(volume), None);
        let trace = self.volume.entry(window).or_default();
        let is_firing = trace.update_firing(&rules, None);
        trace.record(is_firing, &rules, evaluated, self.span.0);
    }

    fn record_feature(
        &mut self,
        group: usize,
        feature: usize,
        window: usize,
        state: &WindowFeatureView,
        evaluated: EvaluatedWindow,
    ) {
        for (reference, comparison) in state.comparisons.iter().enumerate() {
            let rules = evaluated_rules(&comparison.alerts, comparison.assessment.as_deref());
            let set_size = (rules.len() / self.groups[group].rule_sets).max(1);
            for (set, rules) in rules.chunks(set_size).enumerate() {
                let first_of_set = TraceKey {
                    candidate: self.groups[group].first_candidate(set),
                    feature,
                    window,
                    reference,
                };
                self.record_rules(group, first_of_set, rules, evaluated);
            }
        }
    }

    /// Adds an evaluation of one set of rules to the traces of all candidates that share it.
    fn record_rules(
        &mut self,
        group: usize,
        first_of_set: TraceKey,
        rules: &[EvaluatedRule<'_>],
        evaluated: EvaluatedWindow,
    ) {
        let group = &self.groups[group];
        for index in 0..group.candidates_per_set() {
            let key = TraceKey {
                candidate: first_of_set.candidate + index,
                ..first_of_set
            };
            let trace = self.traces.entry(key).or_default();
            let for_evaluations = group.for_evaluations.get(index).copied();
            let is_firing = trace.update_firing(rules, for_evaluations);
            trace.record(is_firing, rules, evaluated, self.span.0);
        }
    }

    fn record_status(&mut self, feature: usize, state: &WindowFeatureView) {
        for status in state
            .comparisons
            .iter()
            .filter_map(|comparison| comparison.assessment.as_deref())
            .flat_map(|assessment| &assessment.statuses)
        {
            self.by_status[*status as usize].insert(feature);
        }
        let reason = state.alerts().find_map(|alert| match alert.state {
            AlertState::NotReady(reason) => Some(reason),
            _ => None,
        });
        if let Some(reason) = reason {
            self.not_ready.insert(feature, reason);
        }
    }

    /// Returns a candidate's trace of a feature, merged over all windows and references.
    #[must_use]
    pub(crate) fn total(&self, candidate: usize, feature: usize) -> AlarmTrace {
        let key = |window, reference| TraceKey {
            candidate,
            feature,
            window,
            reference,
        };
        self.traces
            .range(key(0, 0)..=key(usize::MAX, usize::MAX))
            .fold(AlarmTrace::default(), |sum, (_, trace)| sum.merge(trace))
    }

    /// The alert on the number of events, merged over all windows; `None` without one.
    #[must_use]
    pub(crate) fn volume(&self) -> Option<AlarmCounts> {
        let counts = self.volume.values().map(|trace| trace.counts);
        counts.reduce(|sum, counts| sum + counts)
    }

    /// Indices of the replayed features in the monitor without faults.
    #[must_use]
    pub(crate) fn features(&self) -> &[usize] {
        &self.features
    }

    /// Features that had this calibration status in at least one evaluation.
    #[must_use]
    pub(crate) fn with_status(&self, status: CalibrationStatus) -> &BTreeSet<usize> {
        &self.by_status[status as usize]
    }

    /// First and last end of a window in which at least one rule was ready.
    #[must_use]
    pub(crate) fn ready_span(&self) -> Option<(EventTime, EventTime)> {
        self.ready_span
    }

    /// Latest reason why a feature was not ready.
    #[must_use]
    pub(crate) fn not_ready_reason(&self, feature: usize) -> Option<NotReady> {
        self.not_ready.get(&feature).copied()
    }
}

impl CandidateGroup {
    fn candidates_per_set(&self) -> usize {
        self.for_evaluations.len().max(1)
    }

    /// Index of the first candidate of a set of rules.
    fn first_candidate(&self, set: usize) -> usize {
        self.first + set * self.candidates_per_set()
    }
}

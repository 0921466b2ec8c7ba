//! One window of a monitor: its schedule, its alerts, and its latest evaluation.

use std::sync::Arc;

use rayon::prelude::*;

use super::lines::{bar, count, judged_value, line, trusted};
use super::moving::{History, Moving};
use super::plan::{FeaturePlan, Rule};
use super::standards::moving;
use super::totals::{Totals, Transitions};
use super::{
    AlertView, Assessment, AssessmentInput, ComparisonView, MonitorPlan, WindowFeatureView,
    WindowView, assess, effective,
};
use crate::alert::{Alert, AlertState};
use crate::calibration::{CalibrationStatus, OnlineDispersion, WindowContext};
use crate::model::{EventTime, NotReady, WindowSpec};
use crate::score::{Rates, Scores};
use crate::stats::FeatureCounts;
use crate::window::{Coverage, Due, Schedule};

/// A window and everything it remembers.
#[derive(Debug)]
pub(super) struct WindowEngine {
    pub(super) schedule: Schedule,
    /// Which of the monitor's rings holds its panes.
    pub(super) ring: usize,
    /// By feature, reference and rule.
    pub(super) alerts: Vec<Vec<Vec<Alert>>>,
    /// By feature and reference; `None` where a reference stays what it is.
    pub(super) moving: Vec<Vec<Option<Moving>>>,
    /// By feature and reference: what quiet windows have taught.
    pub(super) learned: Vec<Vec<OnlineDispersion>>,
    pub(super) state: WindowView,
    /// When the latest evaluation was made, as the log tells time.
    pub(super) evaluated_at: Option<EventTime>,
}

impl WindowEngine {
    pub(super) fn new(index: usize, spec: &WindowSpec, ring: usize, plan: &MonitorPlan) -> Self {
        let alerts = |feature: &FeaturePlan| {
            plan.references
                .iter()
                .map(|_| vec![Alert::default(); feature.rules.len()])
                .collect()
        };
        let features = plan.features.iter().map(initial).collect();
        let untaught = vec![OnlineDispersion::default(); plan.references.len()];
        WindowEngine {
            schedule: Schedule::new(spec),
            ring,
            alerts: plan.features.iter().map(alerts).collect(),
            moving: plan.features.iter().map(moving).collect(),
            learned: vec![untaught; plan.features.len()],
            state: WindowView {
                index,
                end: None,
                coverage: 0.0,
                features,
            },
            evaluated_at: None,
        }
    }

    /// Evaluates the window that is due.
    pub(super) fn evaluate(
        &mut self,
        due: Due,
        history: &History<'_>,
        coverage: &[Coverage],
        plan: &MonitorPlan,
        totals: &mut Totals,
    ) {
        self.learn_from_last(plan);
        self.move_on(due, history, plan);
        let ring = &history.rings[self.ring];
        let transitions = &mut totals.transitions;
        let ratios = coverage.iter().map(|coverage| coverage.ratio);
        self.state.end = Some(due.end);
        self.state.coverage = ratios.fold(1.0, f64::min);
        let sum = |(index, feature): (usize, &FeaturePlan)| {
            let mut counts = feature
                .layout
                .as_deref()
                .map_or_else(FeatureCounts::default, FeatureCounts::new);
            ring.sum(due.start, due.end, index, &mut counts);
            counts
        };
        let counts: Vec<FeatureCounts> = plan.features.iter().enumerate().map(sum).collect();
        let incomplete = |index: usize| incompleteness(coverage[index], plan.spec.min_coverage);
        if (0..plan.features.len()).any(|index| incomplete(index).is_none()) {
            let unprepared = self.unprepared(&counts, plan).into_par_iter();
            unprepared.for_each(|(calibration, n)| calibration.prepare(n));
        }
        let features = plan.features.iter().enumerate();
        for ((index, feature), counts) in features.zip(counts) {
            self.judge(index, feature, counts, incomplete(index), plan, transitions);
        }
    }

    /// Says that no evaluation came for a long time.
    pub(super) fn go_stale(&mut self, plan: &MonitorPlan, totals: &mut Totals) {
        for (index, feature) in plan.features.iter().enumerate() {
            self.miss(index, feature, Some(NotReady::Stale));
            self.step_alerts(
                index,
                feature,
                None,
                Some(NotReady::Stale),
                plan,
                &mut totals.transitions,
            );
        }
    }

    /// Forgets a feature's scores, for this reason.
    pub(super) fn miss(&mut self, index: usize, feature: &FeaturePlan, reason: Option<NotReady>) {
        let state = &mut self.state.features[index];
        state.counts = None;
        state.incomplete = reason;
        state.rates = Rates::default();
        let reason = reason.unwrap_or(NotReady::Warming);
        for (comparison, scores) in state.comparisons.iter_mut().zip(waiting(feature, reason)) {
            comparison.assessment = None;
            comparison.reference = None;
            comparison.scores = scores;
        }
    }

    fn judge(
        &mut self,
        index: usize,
        feature: &FeaturePlan,
        counts: FeatureCounts,
        incomplete: Option<NotReady>,
        plan: &MonitorPlan,
        transitions: &mut Transitions,
    ) {
        self.look(index, feature, counts, incomplete, plan);
        let counts = self.state.features[index].counts.clone();
        self.step_alerts(
            index,
            feature,
            counts.as_deref(),
            incomplete,
            plan,
            transitions,
        );
        self.leave_out_alarms(index, plan);
    }

    /// Scores a feature's counts, without a step of its alerts.
    pub(super) fn look(
        &mut self,
        index: usize,
        feature: &FeaturePlan,
        counts: FeatureCounts,
        incomplete: Option<NotReady>,
        plan: &MonitorPlan,
    ) {
        let min_samples = self.min_samples(plan);
        let against = |reference: usize| {
            let found = self.standard(index, feature, reference);
            let (scorer, _) = match (found, incomplete) {
                (Err(NotReady::NoReference), _) => return (None, Err(NotReady::NoReference)),
                (_, Some(reason)) | (Err(reason), None) => return (None, Err(reason)),
                (Ok(standard), None) => standard,
            };
            let own = Arc::clone(scorer.reference());
            (Some(own), scorer.evaluate(&counts, min_samples))
        };
        let compared: Vec<_> = (0..plan.references.len()).map(against).collect();
        let state = &mut self.state.features[index];
        for (comparison, (reference, scores)) in state.comparisons.iter_mut().zip(compared) {
            comparison.scores = scores;
            comparison.reference = reference;
        }
        state.rates = feature.layout.as_deref().map_or_else(
            || Rates {
                missing: counts.tallies.missing_ratio(),
                ..Rates::default()
            },
            |layout| Rates::of(&counts, layout),
        );
        state.counts = Some(Arc::new(counts));
        state.incomplete = incomplete;
        let assessments = self.assessments(index, feature, plan);
        let comparisons = &mut self.state.features[index].comparisons;
        for (comparison, assessment) in comparisons.iter_mut().zip(assessments) {
            comparison.assessment = assessment;
        }
    }

    /// How a rule's line stands now, in a state that is not this process's doing.
    pub(super) fn line_now(
        &self,
        (feature, reference, place): (usize, usize, usize),
        state: AlertState,
        plan: &MonitorPlan,
    ) -> AlertView {
        let rule = &plan.features[feature].rules[place];
        if !rule.statistic.is_judged_against(reference) {
            return line(rule, None, None, AlertState::Inactive);
        }
        let own = &self.state.features[feature];
        let judged = (&own.rates, own.counts.as_deref(), own.incomplete);
        let scores = own.comparisons[reference].scores;
        let value = judged_value(rule.statistic, judged, scores, self.min_samples(plan));
        let bar = bar(
            rule,
            place,
            own.comparisons[reference].assessment.as_deref(),
        );
        line(rule, bar.as_ref(), value.ok(), state)
    }

    /// Puts every rule's line next to the scores as they are, its alert not judged yet.
    pub(super) fn draw_lines(&mut self, feature: usize, plan: &MonitorPlan) {
        let waiting = AlertState::NotReady(NotReady::Warming);
        let rules = 0..plan.features[feature].rules.len();
        for reference in 0..plan.references.len() {
            let lines = rules
                .clone()
                .map(|place| self.line_now((feature, reference, place), waiting, plan));
            self.state.features[feature].comparisons[reference].alerts = lines.collect();
        }
    }

    /// What calibration says about a feature, by reference.
    fn assessments(
        &self,
        index: usize,
        feature: &FeaturePlan,
        plan: &MonitorPlan,
    ) -> Vec<Option<Arc<Assessment>>> {
        let window = plan.spec.windows.get(self.state.index);
        let state = &self.state.features[index];
        let (Some(counts), None) = (state.counts.as_deref(), state.incomplete) else {
            return vec![None; state.comparisons.len()];
        };
        let assessment = |(reference, comparison): (usize, &ComparisonView)| {
            let judged = AssessmentInput {
                counts,
                scores: comparison.scores.as_ref().ok(),
                rates: &state.rates,
                step: window.map(|window| window.slide),
                context: WindowContext {
                    window: window.map(|window| window.size),
                    learned: Some(&self.learned[index][reference]),
                    reference: comparison.reference.as_deref(),
                },
            };
            let (_, calibration) = self.standard(index, feature, reference).ok()?;
            let mut assessment = assess(feature, calibration?, &judged);
            let samples = counts.tallies.values;
            if effective(samples, assessment.design_effect) < self.min_samples(plan) {
                assessment.statuses.push(CalibrationStatus::TooFewEffective);
            }
            Some(Arc::new(assessment))
        };
        let all = state.comparisons.iter().enumerate();
        all.map(assessment).collect()
    }

    fn min_samples(&self, plan: &MonitorPlan) -> u64 {
        plan.spec
            .windows
            .get(self.state.index)
            .map_or(1, |window| window.min_samples)
    }

    fn step_alerts(
        &mut self,
        index: usize,
        feature: &FeaturePlan,
        counts: Option<&FeatureCounts>,
        incomplete: Option<NotReady>,
        plan: &MonitorPlan,
        transitions: &mut Transitions,
    ) {
        let min_samples = self.min_samples(plan);
        let WindowFeatureView {
            rates, comparisons, ..
        } = &mut self.state.features[index];
        for (reference, machines) in self.alerts[index].iter_mut().enumerate() {
            let comparison = &mut comparisons[reference];
            let assessment = comparison.assessment.as_deref();
            let rules = feature.rules.iter().zip(machines).enumerate();
            let lines = rules.map(|(place, (rule, alert))| {
                if !rule.statistic.is_judged_against(reference) {
                    return line(rule, None, None, AlertState::Inactive);
                }
                let judged = (&*rates, counts, incomplete);
                let value = judged_value(rule.statistic, judged, comparison.scores, min_samples);
                let bar = bar(rule, place, assessment);
                let trusted = value.and_then(|value| {
                    trusted(rule, counts, assessment, min_samples).map(|()| value)
                });
                let (state, transition) = alert.step(trusted, bar.as_ref(), &rule.patience);
                count(transition, rule.severity, transitions);
                line(rule, bar.as_ref(), value.ok(), state)
            });
            comparison.alerts = lines.collect();
        }
    }
}

pub(super) fn incompleteness(coverage: Coverage, min_coverage: f64) -> Option<NotReady> {
    if coverage.ratio >= min_coverage {
        return None;
    }
    Some(if coverage.began_inside {
        NotReady::Warming
    } else {
        NotReady::Partial
    })
}

/// No score of any reference, for this reason or because there is no reference.
fn waiting(feature: &FeaturePlan, reason: NotReady) -> Vec<Result<Scores, NotReady>> {
    let pairs = feature.scorers.iter().zip(&feature.movers);
    let reason = |has_reference: bool| {
        if has_reference {
            reason
        } else {
            NotReady::NoReference
        }
    };
    pairs
        .map(|(scorer, mover)| Err(reason(scorer.is_some() || mover.is_some())))
        .collect()
}

fn initial(feature: &FeaturePlan) -> WindowFeatureView {
    let lines = || {
        let waiting = AlertState::NotReady(NotReady::Warming);
        let line = |rule: &Rule| line(rule, bar(rule, 0, None).as_ref(), None, waiting);
        feature.rules.iter().map(line).collect()
    };
    WindowFeatureView {
        counts: None,
        incomplete: Some(NotReady::Warming),
        rates: Rates::default(),
        comparisons: waiting(feature, NotReady::Warming)
            .into_iter()
            .map(|scores| ComparisonView {
                scores,
                reference: None,
                assessment: None,
                alerts: lines(),
            })
            .collect(),
    }
}

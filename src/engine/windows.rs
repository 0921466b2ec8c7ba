//! One window of a monitor: its schedule, its alerts, and its latest evaluation.

use std::sync::Arc;

use super::plan::{FeaturePlan, Rule};
use super::totals::{Totals, Transitions};
use super::{AlertLine, FeatureScores, MonitorPlan, WindowState};
use crate::alert::{Alert, AlertState, Transition};
use crate::model::{EventTime, NotReady, Severity, Statistic, WindowSpec};
use crate::score::{Rates, Scores};
use crate::stats::FeatureCounts;
use crate::window::{Coverage, Due, Ring, Schedule};

/// A window and everything it remembers.
#[derive(Debug)]
pub(super) struct WindowEngine {
    pub(super) schedule: Schedule,
    /// Which of the monitor's rings holds its panes.
    pub(super) ring: usize,
    /// By feature, reference and rule.
    pub(super) alerts: Vec<Vec<Vec<Alert>>>,
    pub(super) state: WindowState,
    /// Wall time at which the latest evaluation was made, or the watch over it began.
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
        let features = plan
            .features
            .iter()
            .map(|feature| initial(feature, plan))
            .collect();
        WindowEngine {
            schedule: Schedule::new(spec),
            ring,
            alerts: plan.features.iter().map(alerts).collect(),
            state: WindowState {
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
        ring: &Ring,
        coverage: &[Coverage],
        plan: &MonitorPlan,
        totals: &mut Totals,
    ) {
        let transitions = &mut totals.transitions;
        let ratios = coverage.iter().map(|coverage| coverage.ratio);
        self.state.end = Some(due.end);
        self.state.coverage = ratios.fold(1.0, f64::min);
        for ((index, feature), coverage) in plan.features.iter().enumerate().zip(coverage) {
            let incomplete = incompleteness(*coverage, plan.spec.min_coverage);
            let mut counts = feature
                .layout
                .as_deref()
                .map_or_else(FeatureCounts::default, FeatureCounts::new);
            ring.sum(due.start, due.end, index, &mut counts);
            self.judge(index, feature, counts, incomplete, plan, transitions);
        }
    }

    /// Says that no evaluation came for a long time.
    pub(super) fn go_stale(&mut self, plan: &MonitorPlan, totals: &mut Totals) {
        for (index, feature) in plan.features.iter().enumerate() {
            self.look_away(index, feature);
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

    /// Forgets what a feature's window holds, because that was too long ago.
    pub(super) fn look_away(&mut self, index: usize, feature: &FeaturePlan) {
        let state = &mut self.state.features[index];
        state.counts = None;
        state.incomplete = Some(NotReady::Stale);
        state.rates = Rates::default();
        state.scores = feature
            .scorers
            .iter()
            .map(|scorer| Err(absent(scorer.is_some(), NotReady::Stale)))
            .collect();
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
        let scores = feature
            .scorers
            .iter()
            .map(|scorer| match (scorer, incomplete) {
                (None, _) => Err(NotReady::NoReference),
                (Some(_), Some(reason)) => Err(reason),
                (Some(scorer), None) => scorer.evaluate(&counts, min_samples),
            });
        let scores = scores.collect();
        let state = &mut self.state.features[index];
        state.scores = scores;
        state.rates = feature.layout.as_deref().map_or_else(
            || Rates {
                missing: counts.tallies.missing_ratio(),
                ..Rates::default()
            },
            |layout| Rates::of(&counts, layout),
        );
        state.counts = Some(Arc::new(counts));
        state.incomplete = incomplete;
    }

    /// What a rule on this statistic judges now; `None` when there is nothing.
    pub(super) fn value_of(
        &self,
        feature: usize,
        reference: usize,
        statistic: Option<Statistic>,
        plan: &MonitorPlan,
    ) -> Option<f64> {
        let state = &self.state.features[feature];
        let judged = (&state.rates, state.counts.as_deref(), state.incomplete);
        let scores = state.scores[reference];
        judged_value(statistic?, judged, scores, self.min_samples(plan)).ok()
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
        let FeatureScores {
            rates,
            scores,
            alerts,
            ..
        } = &mut self.state.features[index];
        for (reference, machines) in self.alerts[index].iter_mut().enumerate() {
            let lines = feature.rules.iter().zip(machines).map(|(rule, alert)| {
                let judged = (&*rates, counts, incomplete);
                let value = judged_value(rule.statistic, judged, scores[reference], min_samples);
                let (state, transition) = alert.step(value, &rule.patience);
                count(transition, rule.severity, transitions);
                line(rule, value.ok(), state)
            });
            alerts[reference] = lines.collect();
        }
    }
}

/// What a rule judges: a rate of the window, or a score against a reference.
fn judged_value(
    statistic: Statistic,
    (rates, counts, incomplete): (&Rates, Option<&FeatureCounts>, Option<NotReady>),
    scores: Result<Scores, NotReady>,
    min_samples: u64,
) -> Result<f64, NotReady> {
    if statistic.is_rate() {
        rate(statistic, rates, counts, incomplete, min_samples)
    } else {
        scores.and_then(|scores| scores.get(statistic).ok_or(NotReady::Empty))
    }
}

/// A rate, if there is enough behind it: events for missing values, values for the others.
fn rate(
    statistic: Statistic,
    rates: &Rates,
    counts: Option<&FeatureCounts>,
    incomplete: Option<NotReady>,
    need: u64,
) -> Result<f64, NotReady> {
    if let Some(reason) = incomplete {
        return Err(reason);
    }
    let tallies = counts.map(|counts| counts.tallies).unwrap_or_default();
    let have = match statistic {
        Statistic::MissingRatio => tallies.events(),
        _ => tallies.values,
    };
    match rates.get(statistic) {
        Some(_) if have < need => Err(NotReady::TooFewSamples { have, need }),
        Some(value) => Ok(value),
        None => Err(NotReady::Empty),
    }
}

fn incompleteness(coverage: Coverage, min_coverage: f64) -> Option<NotReady> {
    if coverage.ratio >= min_coverage {
        return None;
    }
    Some(if coverage.began_inside {
        NotReady::Warming
    } else {
        NotReady::Partial
    })
}

fn absent(has_reference: bool, reason: NotReady) -> NotReady {
    if has_reference {
        reason
    } else {
        NotReady::NoReference
    }
}

fn initial(feature: &FeaturePlan, plan: &MonitorPlan) -> FeatureScores {
    let waiting = |has_reference| absent(has_reference, NotReady::Warming);
    let lines = || {
        let line = |rule: &Rule| line(rule, None, AlertState::NotReady(NotReady::Warming));
        feature.rules.iter().map(line).collect()
    };
    FeatureScores {
        counts: None,
        incomplete: Some(NotReady::Warming),
        rates: Rates::default(),
        scores: feature
            .scorers
            .iter()
            .map(|scorer| Err(waiting(scorer.is_some())))
            .collect(),
        alerts: plan.references.iter().map(|_| lines()).collect(),
    }
}

fn line(rule: &Rule, value: Option<f64>, state: AlertState) -> AlertLine {
    AlertLine {
        statistic: rule.statistic,
        severity: rule.severity,
        threshold: rule.patience.threshold,
        value,
        state,
    }
}

fn count(transition: Option<Transition>, severity: Severity, transitions: &mut Transitions) {
    if let Some(transition) = transition {
        transitions[severity as usize][transition as usize] += 1;
    }
}

//! One window of a monitor: its schedule, its alerts, and its latest evaluation.

use std::sync::Arc;

use rayon::prelude::*;

use super::judge::enough;
use super::plan::{Bar, FeaturePlan, Rule};
use super::{AlertLine, FeatureScores, Judged, Judgement, MonitorPlan, WindowState, judge};
use crate::alert::{Alert, AlertState, Line, Transition};
use crate::model::{EventTime, NotReady, Severity, Statistic, WindowSpec};
use crate::score::{Context, Learned, Rates, Scores};
use crate::stats::FeatureCounts;
use crate::window::{Coverage, Due, Ring, Schedule};

/// How often alerts changed, by severity, then firing and resolved.
pub(super) type Transitions = [[u64; 2]; Severity::ALL.len()];

/// A window and everything it remembers.
#[derive(Debug)]
pub(super) struct WindowEngine {
    pub(super) schedule: Schedule,
    /// Which of the monitor's rings holds its panes.
    pub(super) ring: usize,
    /// By feature, reference and rule.
    alerts: Vec<Vec<Vec<Alert>>>,
    /// By feature and reference: what quiet windows have taught.
    learned: Vec<Vec<Learned>>,
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
        let untaught = vec![Learned::default(); plan.references.len()];
        WindowEngine {
            schedule: Schedule::new(spec),
            ring,
            alerts: plan.features.iter().map(alerts).collect(),
            learned: vec![untaught; plan.features.len()],
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
        coverage: Coverage,
        plan: &MonitorPlan,
        transitions: &mut Transitions,
    ) {
        let incomplete = incompleteness(coverage, plan.spec.min_coverage);
        self.state.end = Some(due.end);
        self.state.coverage = coverage.ratio;
        let sum = |(index, feature): (usize, &FeaturePlan)| {
            let mut counts = feature
                .layout
                .as_deref()
                .map_or_else(FeatureCounts::default, FeatureCounts::new);
            ring.sum(due.start, due.end, index, &mut counts);
            counts
        };
        let counts: Vec<FeatureCounts> = plan.features.iter().enumerate().map(sum).collect();
        if incomplete.is_none() {
            let unprepared = plan.unprepared(&counts).into_par_iter();
            unprepared.for_each(|(calibration, n)| calibration.prepare(n));
        }
        let features = plan.features.iter().enumerate();
        for ((index, feature), counts) in features.zip(counts) {
            self.judge(index, feature, counts, incomplete, plan, transitions);
        }
    }

    /// Says that no evaluation came for a long time.
    pub(super) fn go_stale(&mut self, plan: &MonitorPlan, transitions: &mut Transitions) {
        for (index, feature) in plan.features.iter().enumerate() {
            let state = &mut self.state.features[index];
            state.counts = None;
            state.rates = Rates::default();
            state.judgements = vec![None; feature.scorers.len()];
            state.scores = feature
                .scorers
                .iter()
                .map(|scorer| Err(absent(scorer.is_some(), NotReady::Stale)))
                .collect();
            self.step_alerts(
                index,
                feature,
                None,
                Some(NotReady::Stale),
                plan,
                transitions,
            );
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
        let counts = Arc::new(counts);
        state.counts = Some(Arc::clone(&counts));
        let judgements = self.judgements(index, feature, &counts, incomplete, plan);
        self.state.features[index].judgements = judgements;
        self.step_alerts(index, feature, Some(&counts), incomplete, plan, transitions);
        self.learn(index, feature, counts.tallies.values, plan);
    }

    /// What calibration says about a feature, by reference.
    fn judgements(
        &self,
        index: usize,
        feature: &FeaturePlan,
        counts: &FeatureCounts,
        incomplete: Option<NotReady>,
        plan: &MonitorPlan,
    ) -> Vec<Option<Arc<Judgement>>> {
        let window = plan.spec.windows.get(self.state.index);
        let state = &self.state.features[index];
        let judgement = |(reference, scores): (usize, &Result<Scores, NotReady>)| {
            let judged = Judged {
                counts,
                scores: scores.as_ref().ok(),
                rates: &state.rates,
                step: window.map(|window| window.slide),
                context: Context {
                    window: window.map(|window| window.size),
                    learned: Some(&self.learned[index][reference]),
                },
            };
            judge(feature, reference, &judged).map(Arc::new)
        };
        let all = state.scores.iter().enumerate();
        all.map(|one| judgement(one).filter(|_| incomplete.is_none()))
            .collect()
    }

    /// A quiet window teaches a reference without time how much windows differ.
    fn learn(&mut self, index: usize, feature: &FeaturePlan, samples: u64, plan: &MonitorPlan) {
        let Some(window) = plan.spec.windows.get(self.state.index) else {
            return;
        };
        let state = &self.state.features[index];
        for (reference, calibration) in feature.calibrations.iter().enumerate() {
            let Some(calibration) = calibration.as_ref().filter(|own| own.needs_lessons()) else {
                continue;
            };
            let is_quiet = state.alerts[reference]
                .iter()
                .all(|line| line.state == AlertState::Inactive);
            if let (Ok(scores), Some(end), true) =
                (&state.scores[reference], self.state.end, is_quiet)
            {
                let m = calibration.reference_values();
                self.learned[index][reference].take(end, window.size, scores, samples as f64, m);
            }
        }
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
            judgements,
            alerts,
            ..
        } = &mut self.state.features[index];
        for (reference, machines) in self.alerts[index].iter_mut().enumerate() {
            let judgement = judgements[reference].as_deref();
            let rules = feature.rules.iter().zip(machines).enumerate();
            let lines = rules.map(|(place, (rule, alert))| {
                let value = if rule.statistic.is_rate() {
                    rate(rule, rates, counts, incomplete, min_samples)
                } else {
                    scores[reference].and_then(|scores: Scores| {
                        scores.get(rule.statistic).ok_or(NotReady::Empty)
                    })
                };
                let bar = bar(rule, place, judgement);
                let trusted = value.and_then(|value| {
                    trusted(rule, counts, judgement, min_samples).map(|()| value)
                });
                let (state, transition) = alert.step(trusted, bar.as_ref(), &rule.patience);
                count(transition, rule.severity, transitions);
                line(rule, bar.as_ref(), value.ok(), state)
            });
            alerts[reference] = lines.collect();
        }
    }
}

/// The line of a rule in a window.
fn bar(rule: &Rule, place: usize, judgement: Option<&Judgement>) -> Option<Line> {
    match rule.bar {
        Bar::Fixed(threshold) => Some(Line::fixed(threshold)),
        Bar::Budget { .. } => judgement?.lines.get(place).copied().flatten(),
    }
}

/// Whether a calibrated line has enough samples behind it; a fixed one asks for no more than the score did.
fn trusted(
    rule: &Rule,
    counts: Option<&FeatureCounts>,
    judgement: Option<&Judgement>,
    need: u64,
) -> Result<(), NotReady> {
    match (rule.bar, counts, judgement) {
        (Bar::Budget { .. }, Some(counts), Some(judgement)) => {
            let have = if rule.statistic == Statistic::MissingRatio {
                counts.tallies.events()
            } else {
                counts.tallies.values
            };
            enough(have, judgement.design_effect, need)
        }
        _ => Ok(()),
    }
}

/// A rate, if there is enough behind it: events for missing values, values for the others.
fn rate(
    rule: &Rule,
    rates: &Rates,
    counts: Option<&FeatureCounts>,
    incomplete: Option<NotReady>,
    need: u64,
) -> Result<f64, NotReady> {
    if let Some(reason) = incomplete {
        return Err(reason);
    }
    let tallies = counts.map(|counts| counts.tallies).unwrap_or_default();
    let have = match rule.statistic {
        crate::model::Statistic::MissingRatio => tallies.events(),
        _ => tallies.values,
    };
    match rates.get(rule.statistic) {
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
        let waiting = AlertState::NotReady(NotReady::Warming);
        let line = |rule: &Rule| line(rule, bar(rule, 0, None).as_ref(), None, waiting);
        feature.rules.iter().map(line).collect()
    };
    FeatureScores {
        counts: None,
        rates: Rates::default(),
        scores: feature
            .scorers
            .iter()
            .map(|scorer| Err(waiting(scorer.is_some())))
            .collect(),
        judgements: vec![None; feature.scorers.len()],
        alerts: plan.references.iter().map(|_| lines()).collect(),
    }
}

fn line(rule: &Rule, line: Option<&Line>, value: Option<f64>, state: AlertState) -> AlertLine {
    AlertLine {
        statistic: rule.statistic,
        severity: rule.severity,
        threshold: line.map(|line| line.above),
        lower: line.and_then(|line| line.below),
        interval: match rule.bar {
            Bar::Fixed(_) => None,
            Bar::Budget { interval, .. } => Some(interval),
        },
        value,
        state,
    }
}

fn count(transition: Option<Transition>, severity: Severity, transitions: &mut Transitions) {
    if let Some(transition) = transition {
        transitions[severity as usize][transition as usize] += 1;
    }
}

//! One rule of one comparison: its alert and the latest view of it.

use super::assess::{Assessment, effective};
use super::counters::TransitionCounts;
use super::plan::{Rule, ThresholdSource};
use super::sample::FeatureSample;
use super::view::AlertView;
use crate::alert::{Alert, AlertState, Threshold};
use crate::model::NotReady;
use crate::score::Scores;

/// A rule with the state of its alert.
#[derive(Debug)]
pub(super) struct RuleState {
    rule: Rule,
    /// False for the volume against every reference but the first: it is the same against all of them.
    is_evaluated: bool,
    alert: Alert,
    view: AlertView,
}

impl RuleState {
    /// A rule against the reference with this index, before the first window.
    pub(super) fn new(rule: &Rule, reference: usize) -> Self {
        let threshold = threshold_of(rule, None);
        let state = AlertState::NotReady(NotReady::Warming);
        RuleState {
            rule: *rule,
            is_evaluated: rule.statistic.is_judged_against(reference),
            alert: Alert::default(),
            view: alert_view(rule, threshold.as_ref(), None, state),
        }
    }

    /// True if this is the rule of a statistic and severity.
    pub(super) fn is_named(&self, statistic: &str, severity: &str) -> bool {
        self.rule.statistic.name() == statistic && self.rule.severity.name() == severity
    }

    pub(super) const fn alert(&self) -> &Alert {
        &self.alert
    }

    pub(super) const fn view(&self) -> &AlertView {
        &self.view
    }

    /// Compares a sample with the threshold and advances the alert by one evaluation.
    ///
    /// `calibrated` is the rule's entry in the assessment, with the design effect.
    pub(super) fn evaluate(
        &mut self,
        sample: &FeatureSample<'_>,
        scores: Result<Scores, NotReady>,
        calibrated: Option<Calibrated>,
        transitions: &mut TransitionCounts,
    ) {
        if !self.is_evaluated {
            self.view = alert_view(&self.rule, None, None, AlertState::Inactive);
            return;
        }
        let value = sample.value(self.rule.statistic, scores);
        let trusted = value.and_then(|value| {
            self.check_effective_samples(sample, calibrated)
                .map(|()| value)
        });
        let threshold = threshold_of(&self.rule, calibrated);
        let (state, transition) = self
            .alert
            .step(trusted, threshold.as_ref(), &self.rule.timing);
        if let Some(transition) = transition {
            transitions.record(self.rule.severity, transition);
        }
        self.view = alert_view(&self.rule, threshold.as_ref(), value.ok(), state);
    }

    /// Shows threshold and value of a sample beside a given state, without an evaluation.
    pub(super) fn show(
        &mut self,
        sample: &FeatureSample<'_>,
        scores: Result<Scores, NotReady>,
        calibrated: Option<Calibrated>,
        state: AlertState,
    ) {
        if !self.is_evaluated {
            self.view = alert_view(&self.rule, None, None, AlertState::Inactive);
            return;
        }
        let value = sample.value(self.rule.statistic, scores).ok();
        let threshold = threshold_of(&self.rule, calibrated);
        self.view = alert_view(&self.rule, threshold.as_ref(), value, state);
    }

    /// Continues with the alert of an earlier process.
    pub(super) fn restore(&mut self, alert: Alert) {
        self.alert = alert;
    }

    /// Checks that a calibrated threshold has enough effective samples behind it; a fixed one needs no
    /// more than the score itself.
    fn check_effective_samples(
        &self,
        sample: &FeatureSample<'_>,
        calibrated: Option<Calibrated>,
    ) -> Result<(), NotReady> {
        match (self.rule.threshold_source, calibrated, sample.counts) {
            (ThresholdSource::Budget { .. }, Some(calibrated), Some(_)) => {
                let samples = sample.samples_behind(self.rule.statistic);
                let have = effective(samples, calibrated.design_effect);
                let need = sample.window.min_samples;
                if have < need {
                    return Err(NotReady::TooFewSamples { have, need });
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// The part of an assessment that one rule needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calibrated {
    threshold: Option<Threshold>,
    design_effect: f64,
}

impl Calibrated {
    /// The entry of the rule with this index.
    pub(super) fn new(assessment: &Assessment, rule: usize) -> Self {
        Calibrated {
            threshold: assessment.lines.get(rule).copied().flatten(),
            design_effect: assessment.design_effect,
        }
    }
}

fn threshold_of(rule: &Rule, calibrated: Option<Calibrated>) -> Option<Threshold> {
    match rule.threshold_source {
        ThresholdSource::Fixed(threshold) => Some(rule.fixed_line(threshold)),
        ThresholdSource::Budget { .. } => calibrated?.threshold,
    }
}

fn alert_view(
    rule: &Rule,
    threshold: Option<&Threshold>,
    value: Option<f64>,
    state: AlertState,
) -> AlertView {
    let above = threshold.map(|threshold| threshold.above);
    let below = threshold.and_then(|threshold| threshold.below);
    let (threshold, lower) = if rule.statistic.alarms_below() {
        (below, None)
    } else {
        (above, below)
    };
    AlertView {
        statistic: rule.statistic,
        severity: rule.severity,
        threshold,
        lower,
        interval: match rule.threshold_source {
            ThresholdSource::Fixed(_) => None,
            ThresholdSource::Budget { interval, .. } => Some(interval),
        },
        value,
        state,
    }
}

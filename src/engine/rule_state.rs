//! One rule of one comparison: its alert and the latest view of it.

use super::assess::Assessment;
use super::counters::TransitionCounts;
use super::plan::{Rule, ThresholdSource};
use super::sample::FeatureSample;
use super::view::AlertView;
use crate::alert::{Alert, AlertState, Threshold};
use crate::model::{EventTime, NotReady, Statistic};
use crate::score::Scores;

/// A rule with the state of its alert.
#[derive(Debug)]
pub(super) struct RuleState {
    rule: Rule,
    /// False for the volume against every reference but the first: it is the same against all of
    /// them.
    is_evaluated: bool,
    alert: Alert,
    /// End of the window since which the alert is pending or firing.
    since: Option<EventTime>,
    /// True while the evaluation of the latest sample waits for null tables.
    is_waiting: bool,
    view: AlertView,
}

impl RuleState {
    /// A rule against the reference with this index, before the first window.
    pub(super) fn new(rule: &Rule, reference: usize) -> Self {
        let threshold = threshold_of(rule, None);
        let state = AlertState::NotReady(NotReady::Warming);
        RuleState {
            rule: *rule,
            is_evaluated: rule.statistic.applies_to_reference(reference),
            alert: Alert::default(),
            since: None,
            is_waiting: false,
            view: alert_view(rule, threshold.as_ref(), None, state),
        }
    }

    /// True if this is the rule of a statistic and severity.
    pub(super) fn is_named(&self, statistic: &str, severity: &str) -> bool {
        self.rule.statistic.name() == statistic && self.rule.severity.name() == severity
    }

    /// The statistic of the rule.
    pub(super) const fn statistic(&self) -> Statistic {
        self.rule.statistic
    }

    pub(super) const fn alert(&self) -> &Alert {
        &self.alert
    }

    pub(super) const fn view(&self) -> &AlertView {
        &self.view
    }

    /// Compares a sample with the threshold and advances the alert by one evaluation.
    ///
    /// `calibrated` is the rule's entry in the assessment. A calibrated threshold carries the
    /// design effect, so a value needs `min_samples` and no effective samples behind it.
    pub(super) fn evaluate(
        &mut self,
        sample: &FeatureSample<'_>,
        scores: Result<Scores, NotReady>,
        calibrated: Option<Calibrated>,
        transitions: &mut TransitionCounts,
    ) {
        self.is_waiting = false;
        if !self.is_evaluated {
            self.view = alert_view(&self.rule, None, None, AlertState::Inactive);
            return;
        }
        let value = sample.value(self.rule.statistic, scores);
        let trusted = match calibrated {
            Some(calibrated) if calibrated.is_unreachable => {
                value.and(Err(NotReady::LineUnreachable))
            }
            _ => value,
        };
        let threshold = threshold_of(&self.rule, calibrated);
        let (state, transition) = self.alert.step(
            trusted,
            threshold.as_ref(),
            &self.rule.timing,
            sample.is_paused,
        );
        if let Some(transition) = transition {
            transitions.record(self.rule.severity, transition);
        }
        self.view = AlertView {
            transition,
            ..alert_view(&self.rule, threshold.as_ref(), value.ok(), state)
        };
    }

    /// Postpones the evaluation of a sample until its null tables are there; false for a rule that
    /// needs none.
    ///
    /// The alert does not change meanwhile: one that fires goes on, and a pending one neither
    /// advances nor starts again. A value that is not ready needs no threshold.
    pub(super) fn wait_for_tables(
        &mut self,
        sample: &FeatureSample<'_>,
        scores: Result<Scores, NotReady>,
    ) -> bool {
        let is_budgeted = matches!(self.rule.threshold_source, ThresholdSource::Budget { .. });
        let needs_tables = is_budgeted && !self.rule.statistic.is_rate();
        self.is_waiting = match sample.value(self.rule.statistic, scores) {
            Ok(value) if needs_tables && self.is_evaluated => {
                self.view = alert_view(&self.rule, None, Some(value), self.waiting_state());
                true
            }
            _ => false,
        };
        self.is_waiting
    }

    /// Evaluates the sample that the rule waited with. A budgeted rule that did not wait was
    /// evaluated by an earlier process, so only its threshold is shown.
    pub(super) fn resume(
        &mut self,
        sample: &FeatureSample<'_>,
        scores: Result<Scores, NotReady>,
        calibrated: Option<Calibrated>,
        transitions: &mut TransitionCounts,
    ) {
        if self.is_waiting {
            self.evaluate(sample, scores, calibrated, transitions);
        } else {
            self.show(sample, scores, calibrated, self.view.state);
        }
    }

    /// Gives up an evaluation that still waits for null tables: it was not ready.
    ///
    /// A firing alert is held, because nothing was judged; a pending one starts again.
    pub(super) fn miss(&mut self) {
        if std::mem::take(&mut self.is_waiting) {
            let not_ready = Err(NotReady::Calibrating);
            self.alert.step(not_ready, None, &self.rule.timing, true);
            self.since = self.since.filter(|_| self.alert.is_firing());
        }
    }

    /// True while the evaluation of the latest sample waits for null tables.
    pub(super) const fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    /// The end of the window since which the alert is pending or firing.
    pub(super) const fn since(&self) -> Option<EventTime> {
        self.since
    }

    const fn waiting_state(&self) -> AlertState {
        if self.alert.is_firing() {
            AlertState::Firing
        } else {
            AlertState::NotReady(NotReady::Calibrating)
        }
    }

    /// Shows threshold and value of a sample beside a given state, without an evaluation.
    pub(super) fn show(
        &mut self,
        sample: &FeatureSample<'_>,
        scores: Result<Scores, NotReady>,
        calibrated: Option<Calibrated>,
        state: AlertState,
    ) {
        self.is_waiting = false;
        if !self.is_evaluated {
            self.view = alert_view(&self.rule, None, None, AlertState::Inactive);
            return;
        }
        let value = sample.value(self.rule.statistic, scores).ok();
        let threshold = threshold_of(&self.rule, calibrated);
        self.view = alert_view(&self.rule, threshold.as_ref(), value, state);
    }

    /// Drops the transition of the latest evaluation, which was reported.
    pub(super) fn forget_transition(&mut self) {
        self.view.transition = None;
    }

    /// Continues with the alert of an earlier process, whose state is shown already. `is_waiting`
    /// is true if that process waited for null tables: the evaluation is still to be made up for.
    pub(super) fn restore(&mut self, alert: Alert, since: Option<EventTime>, is_waiting: bool) {
        self.alert = alert;
        self.since = since;
        self.is_waiting = is_waiting && self.is_evaluated;
        self.view.since = since.filter(|_| !self.is_waiting || self.alert.is_firing());
    }

    /// Notes when the alert left its rest: at the end of the window that was evaluated.
    pub(super) fn stamp(&mut self, end: EventTime) {
        if self.is_waiting {
            self.view.since = self.since.filter(|_| self.alert.is_firing());
            return;
        }
        self.since = match self.view.state {
            AlertState::Pending | AlertState::Firing => self.since.or(Some(end)),
            AlertState::Inactive | AlertState::NotReady(_) => None,
        };
        self.view.since = self.since;
    }
}

/// The part of an assessment that one rule needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calibrated {
    threshold: Option<Threshold>,
    /// True if the threshold would be above the largest value of the statistic.
    is_unreachable: bool,
}

impl Calibrated {
    /// The entry of the rule on this statistic with this index.
    pub(super) fn new(assessment: &Assessment, rule: usize, statistic: Statistic) -> Self {
        let threshold = assessment.thresholds.get(rule).copied().flatten();
        Calibrated {
            threshold,
            is_unreachable: threshold.is_none() && assessment.unreachable.contains(&statistic),
        }
    }
}

fn threshold_of(rule: &Rule, calibrated: Option<Calibrated>) -> Option<Threshold> {
    match rule.threshold_source {
        ThresholdSource::Fixed(threshold) => Some(rule.fixed_threshold(threshold)),
        ThresholdSource::Budget { .. } => calibrated?.threshold,
    }
}

pub(super) fn alert_view(
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
        transition: None,
        since: None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::alert::{AlertTiming, Transition};
    use crate::engine::fixture::{count, fixed, plan, spec, spread};
    use crate::engine::plan::MonitorPlan;
    use crate::model::{Severity, Tolerance};
    use crate::score::Rates;
    use crate::stats::FeatureCounts;

    const BUDGET: ThresholdSource = ThresholdSource::Budget {
        interval: Duration::from_secs(86_400),
        tolerance: Tolerance::Default,
        of: Statistic::MissingRatio,
    };

    fn rule(statistic: Statistic, threshold_source: ThresholdSource) -> Rule {
        Rule {
            statistic,
            severity: Severity::Critical,
            threshold_source,
            timing: AlertTiming {
                for_evaluations: 1,
                keep_firing_for: 0,
            },
        }
    }

    /// Evaluates a rule on a window of `values` values and as many missing ones.
    fn evaluate(
        state: &mut RuleState,
        values: u64,
        min_samples: u64,
        calibrated: Option<Calibrated>,
    ) -> TransitionCounts {
        let plan: MonitorPlan = plan(spec(vec![fixed()]));
        let mut window = plan.spec.windows[0].clone();
        window.min_samples = min_samples;
        let mut counts = FeatureCounts::default();
        counts.tallies.values = values;
        counts.tallies.missing = [values, 0, 0];
        let sample = FeatureSample {
            plan: &plan.features[0],
            window: &window,
            counts: Some(&counts),
            incomplete: None,
            rates: &Rates {
                missing: Some(0.5),
                ..Rates::default()
            },
            is_paused: false,
        };
        let scorer = plan.features[0].scorers().next().unwrap();
        let layout = plan.features[0].layout.as_deref().unwrap();
        let scores = scorer.evaluate(&count(layout, spread(1000.0)), 1);
        let mut transitions = TransitionCounts::default();
        state.evaluate(&sample, scores, calibrated, &mut transitions);
        transitions
    }

    fn calibrated(above: f64) -> Option<Calibrated> {
        Some(Calibrated {
            threshold: Some(Threshold::fixed(above)),
            is_unreachable: false,
        })
    }

    #[test]
    fn a_transition_is_counted_under_the_severity_of_the_rule() {
        let rule = rule(Statistic::MissingRatio, ThresholdSource::Fixed(0.1));
        let mut state = RuleState::new(&rule, 0);
        let transitions = evaluate(&mut state, 10, 1, None);
        assert_eq!(state.view().state, AlertState::Firing);
        assert_eq!(state.view().transition, Some(Transition::Firing));
        let counted: Vec<_> = transitions
            .iter()
            .filter(|(_, _, count)| *count > 0)
            .map(|(severity, to, count)| (severity, to.name(), count))
            .collect();
        assert_eq!(counted, [(Severity::Critical, "firing", 1)]);
        evaluate(&mut state, 10, 1, None);
        assert_eq!(state.view().transition, None, "it fires already");
    }

    #[test]
    fn an_alert_is_dated_by_the_first_window_beyond_its_threshold() {
        let mut rule = rule(Statistic::MissingRatio, ThresholdSource::Fixed(0.1));
        rule.timing.for_evaluations = 2;
        let mut state = RuleState::new(&rule, 0);
        let mut since = |min_samples: u64, end: i64| {
            evaluate(&mut state, 10, min_samples, None);
            state.stamp(EventTime::from_millis(end));
            (
                state.view().state.name(),
                state.view().since.map(EventTime::as_millis),
            )
        };
        assert_eq!(since(1, 100), ("pending", Some(100)));
        assert_eq!(since(1, 200), ("firing", Some(100)));
        assert_eq!(since(1, 300), ("firing", Some(100)));
        assert_eq!(since(1000, 400), ("not_ready", None), "too few samples");
        assert_eq!(since(1, 500), ("pending", Some(500)), "a new alert");
    }

    #[test]
    fn a_value_needs_only_samples_of_its_own() {
        let rule = rule(Statistic::MissingRatio, BUDGET);
        let mut state = RuleState::new(&rule, 0);
        evaluate(&mut state, 50, 20, calibrated(0.1));
        assert_eq!(state.view().state, AlertState::Firing, "100 events");
        evaluate(&mut state, 5, 20, calibrated(0.1));
        let too_few = NotReady::TooFewSamples { have: 10, need: 20 };
        assert_eq!(state.view().state, AlertState::NotReady(too_few));
    }

    #[test]
    fn a_rule_whose_threshold_no_value_can_reach_is_not_ready() {
        // It was inactive, as if it had been judged.
        let mut state = RuleState::new(&rule(Statistic::MissingRatio, BUDGET), 0);
        let unreachable = Some(Calibrated {
            threshold: None,
            is_unreachable: true,
        });
        evaluate(&mut state, 10, 1, unreachable);
        let expected = AlertState::NotReady(NotReady::LineUnreachable);
        assert_eq!(state.view().state, expected);
        assert_eq!(state.view().value, Some(0.5), "the value is shown");
    }

    #[test]
    fn a_budgeted_rule_without_a_null_model_never_alarms() {
        let mut state = RuleState::new(&rule(Statistic::MissingRatio, BUDGET), 0);
        evaluate(&mut state, 10, 1, None);
        assert_eq!(state.view().state, AlertState::Inactive);
        assert_eq!(state.view().threshold, None);
        assert!(state.view().interval.is_some(), "the budget is shown");
    }

    #[test]
    fn a_minimum_is_shown_as_the_threshold() {
        let rule = rule(Statistic::Samples, ThresholdSource::Fixed(100.0));
        let mut state = RuleState::new(&rule, 0);
        assert_eq!(state.view().threshold, Some(100.0), "before any window");
        evaluate(&mut state, 10, 1, None);
        assert_eq!(state.view().state, AlertState::Firing, "10 are too few");
        assert_eq!(
            (state.view().threshold, state.view().lower),
            (Some(100.0), None)
        );
    }
}

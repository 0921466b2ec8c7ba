//! One feature of one window against one reference.
//!
//! A comparison owns everything that is particular to it: the reference in force, the dispersion
//! estimate, the rules with their alerts, and the latest scores. Its window calls the verbs in a
//! fixed order for every evaluation: `sample_dispersion` and `advance` before the new window is
//! looked at, then `score`, `evaluate` and `exclude_alarm`. The two kinds of memory, dispersion and
//! exclusion, change only after a window was evaluated, so a restored process shows and evaluates
//! the same as this one.

use std::sync::Arc;

use super::assess::{Assessment, AssessmentInput, assess, effective};
use super::counters::TransitionCounts;
use super::plan::FeaturePlan;
use super::reference::{ComparedReference, CountedPanes, DynamicReferenceState, WindowFeatureRef};
use super::rule_state::{Calibrated, RuleState};
use super::sample::FeatureSample;
use super::snapshot::AlertSnapshot;
use super::view::ComparisonView;
use crate::alert::AlertState;
use crate::calibration::{CalibrationStatus, NullModel, OnlineDispersion, WindowContext};
use crate::model::{EventTime, NotReady, WindowSpec};
use crate::reference::FeatureReference;
use crate::score::Scores;
use crate::stats::FeatureCounts;

/// One feature of one window against one reference.
#[derive(Debug)]
pub(super) struct Comparison {
    /// The reference's name.
    name: String,
    reference: ComparedReference,
    /// The dispersion of quiet windows, where the reference has no blocks to estimate it from.
    dispersion: OnlineDispersion,
    rules: Vec<RuleState>,
    scores: Result<Scores, NotReady>,
    /// The reference that `scores` were computed against.
    scored_against: Option<Arc<FeatureReference>>,
    assessment: Option<Arc<Assessment>>,
}

impl Comparison {
    /// A feature against the reference with this index, before the first window.
    pub(super) fn new(feature: &FeaturePlan, reference: usize, pseudo_count: f64) -> Self {
        let mut comparison = Comparison {
            name: feature.references[reference].name.clone(),
            reference: ComparedReference::new(feature, reference, pseudo_count),
            dispersion: OnlineDispersion::default(),
            rules: feature
                .rules
                .iter()
                .map(|rule| RuleState::new(rule, reference))
                .collect(),
            scores: Err(NotReady::Warming),
            scored_against: None,
            assessment: None,
        };
        comparison.clear(NotReady::Warming);
        comparison
    }

    /// The reference's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Adds the latest window, which ended at `end`, to the dispersion estimate if it was quiet.
    ///
    /// Called before the next window is scored and not right after the evaluation: the assessment
    /// that is shown, and rebuilt by a restart, is the one that the window was evaluated with.
    pub(super) fn sample_dispersion(
        &mut self,
        counts: &FeatureCounts,
        end: EventTime,
        window: &WindowSpec,
    ) {
        let is_estimated = self
            .reference
            .current()
            .is_ok_and(|(_, null_model)| null_model.is_some_and(NullModel::estimates_online));
        let is_quiet = self
            .rules
            .iter()
            .all(|rule| rule.view().state == AlertState::Inactive);
        if let (Ok(scores), Some(reference), true) =
            (&self.scores, &self.scored_against, is_estimated && is_quiet)
        {
            let n = counts.tallies.values as f64;
            let m = reference.counts.tallies.values as f64;
            self.dispersion.take(end, window.size, scores, n, m);
        }
    }

    /// Builds the reference for the window that is due.
    pub(super) fn advance(&mut self, position: &WindowFeatureRef<'_>, panes: &CountedPanes<'_>) {
        self.reference.advance(position, panes);
    }

    /// The null model in force, if it has no tables yet for windows of `n` values.
    pub(super) fn unprepared_null_model(&self, n: u64) -> Option<&NullModel> {
        let (_, null_model) = self.reference.current().ok()?;
        null_model.filter(|null_model| n > 0 && !null_model.is_prepared(n))
    }

    /// Scores and assesses a sample; the alerts do not change.
    pub(super) fn score(&mut self, sample: &FeatureSample<'_>) {
        let min_samples = sample.window.min_samples;
        (self.scored_against, self.scores) =
            match (self.reference.current(), sample.incomplete, sample.counts) {
                (Err(NotReady::NoReference), _, _) => (None, Err(NotReady::NoReference)),
                (_, Some(reason), _) | (Err(reason), None, _) => (None, Err(reason)),
                (Ok(_), None, None) => (None, Err(NotReady::Warming)),
                (Ok((scorer, _)), None, Some(counts)) => (
                    Some(Arc::clone(scorer.reference())),
                    scorer.evaluate(counts, min_samples),
                ),
            };
        self.assessment = self.assess(sample).map(Arc::new);
    }

    fn assess(&self, sample: &FeatureSample<'_>) -> Option<Assessment> {
        let counts = sample.counts.filter(|_| sample.incomplete.is_none())?;
        let (_, null_model) = self.reference.current().ok()?;
        let mut assessment = assess(
            sample.plan,
            null_model?,
            &AssessmentInput {
                counts,
                scores: self.scores.as_ref().ok(),
                rates: sample.rates,
                step: Some(sample.window.slide),
                context: WindowContext {
                    window: Some(sample.window.size),
                    learned: Some(&self.dispersion),
                    reference: self.scored_against.as_deref(),
                },
            },
        );
        let samples = counts.tallies.values;
        if effective(samples, assessment.design_effect) < sample.window.min_samples {
            assessment.statuses.push(CalibrationStatus::TooFewEffective);
        }
        Some(assessment)
    }

    /// Advances every alert by one evaluation of the sample that was scored.
    pub(super) fn evaluate(
        &mut self,
        sample: &FeatureSample<'_>,
        transitions: &mut TransitionCounts,
    ) {
        for (index, rule) in self.rules.iter_mut().enumerate() {
            let calibrated = calibrated(self.assessment.as_deref(), index);
            rule.evaluate(sample, self.scores, calibrated, transitions);
        }
    }

    /// Excludes the latest window from later rolling references if an alert is pending or firing.
    pub(super) fn exclude_alarm(&mut self, start: EventTime, end: EventTime) {
        let is_alarm = self
            .rules
            .iter()
            .any(|rule| matches!(rule.view().state, AlertState::Pending | AlertState::Firing));
        if is_alarm && self.scores.is_ok() {
            self.reference.exclude(start, end);
        }
    }

    /// Drops scores and assessment for a reason; without a reference that is the reason.
    pub(super) fn clear(&mut self, reason: NotReady) {
        self.assessment = None;
        self.scored_against = None;
        self.scores = Err(match self.reference {
            ComparedReference::Missing => NotReady::NoReference,
            ComparedReference::Fixed { .. } | ComparedReference::Dynamic(_) => reason,
        });
    }

    /// Shows every rule's threshold beside the scores of a restored sample, before its alert is
    /// restored.
    pub(super) fn initialize_alerts(&mut self, sample: &FeatureSample<'_>) {
        for (index, rule) in self.rules.iter_mut().enumerate() {
            let calibrated = calibrated(self.assessment.as_deref(), index);
            let state = AlertState::NotReady(NotReady::Warming);
            rule.show(sample, self.scores, calibrated, state);
        }
    }

    /// Continues with an alert of an earlier process; a rule that is not configured any more is
    /// ignored.
    pub(super) fn restore_alert(&mut self, saved: &AlertSnapshot, sample: &FeatureSample<'_>) {
        let rule = self
            .rules
            .iter_mut()
            .enumerate()
            .find(|(_, rule)| rule.is_named(&saved.statistic, &saved.severity));
        if let Some((index, rule)) = rule {
            let calibrated = calibrated(self.assessment.as_deref(), index);
            rule.show(sample, self.scores, calibrated, saved.state);
            rule.restore(saved.alert);
        }
    }

    /// Continues with the dispersion estimate of an earlier process.
    pub(super) fn restore_dispersion(&mut self, dispersion: OnlineDispersion) {
        self.dispersion = dispersion;
    }

    /// Continues with the dynamic reference of an earlier process.
    pub(super) fn restore_reference(&mut self, state: DynamicReferenceState) {
        self.reference.restore(state);
    }

    /// The rules with their alerts.
    pub(super) fn rules(&self) -> &[RuleState] {
        &self.rules
    }

    /// The dispersion estimate; `None` before the first quiet window.
    pub(super) fn dispersion(&self) -> Option<&OnlineDispersion> {
        Some(&self.dispersion).filter(|dispersion| dispersion.windows > 0)
    }

    /// The state of a dynamic reference; `None` for a fixed one.
    pub(super) fn reference_state(&self) -> Option<&DynamicReferenceState> {
        self.reference.state()
    }

    /// The latest scores and alerts.
    pub(super) fn view(&self) -> ComparisonView {
        ComparisonView {
            scores: self.scores,
            reference: self.scored_against.clone(),
            assessment: self.assessment.clone(),
            alerts: self.rules.iter().map(|rule| *rule.view()).collect(),
        }
    }
}

fn calibrated(assessment: Option<&Assessment>, rule: usize) -> Option<Calibrated> {
    assessment.map(|assessment| Calibrated::new(assessment, rule))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::engine::Engine;
    use crate::engine::fixture::{
        Stream, apply, at, budgeted_alert, comparison, fixed, fixed_alert, hour_of_week, plan,
        plan_in, previous, spec, spread,
    };
    use crate::engine::plan::MonitorPlan;
    use crate::model::{MonitorSpec, ReferenceSpec, Statistic};

    /// Reads minutes of the stream and returns the latest comparison with the first reference after
    /// each.
    fn read(
        engine: &mut Engine,
        stream: &mut Stream,
        plan: &MonitorPlan,
        minutes: std::ops::Range<i64>,
        shift: f64,
    ) -> Vec<ComparisonView> {
        minutes
            .map(|minute| {
                apply(engine, &stream.minute(plan, minute, &spread(shift)));
                comparison(engine, 0)
            })
            .collect()
    }

    fn reasons(views: &[ComparisonView]) -> Vec<Option<NotReady>> {
        views.iter().map(|view| view.scores.err()).collect()
    }

    fn js(view: &ComparisonView) -> f64 {
        view.scores.unwrap().divergences.js
    }

    fn samples_of_reference(view: &ComparisonView) -> u64 {
        view.reference.as_ref().unwrap().counts.tallies.values
    }

    fn states(view: &ComparisonView) -> Vec<&'static str> {
        view.alerts.iter().map(|alert| alert.state.name()).collect()
    }

    fn with_alert(references: Vec<ReferenceSpec>, critical: f64) -> MonitorSpec {
        let mut spec = spec(references);
        spec.alerts = vec![fixed_alert(Statistic::Js, critical)];
        spec
    }

    #[test]
    fn a_fixed_reference_warms_is_ready_and_becomes_stale() {
        let plan = plan(with_alert(vec![fixed()], 0.9));
        let mut engine = Engine::new(vec![plan.clone()]);
        let view = comparison(&engine, 0);
        assert_eq!(view.scores.err(), Some(NotReady::Warming), "no window yet");
        assert_eq!(view.alerts[0].threshold, Some(0.9), "a number is known");
        let views = read(&mut engine, &mut Stream::default(), &plan, 0..8, 0.0);
        assert_eq!(
            reasons(&views[1..5]),
            [Some(NotReady::Warming); 4],
            "counting began inside the first windows"
        );
        assert_eq!(reasons(&views[5..]), [None; 3], "then they are whole");
        assert_eq!(samples_of_reference(&views[7]), 1000, "the file");
        assert_eq!(states(&views[7]), ["inactive"], "below the threshold");
        engine.watch_silence(at(8));
        engine.watch_silence(at(60));
        let stale = comparison(&engine, 0);
        assert_eq!(stale.scores.err(), Some(NotReady::Stale), "nobody writes");
        assert!(stale.reference.is_none(), "nothing was scored");
        assert_eq!(
            (states(&stale), stale.alerts[0].value),
            (vec!["not_ready"], None),
            "nor evaluated"
        );
    }

    #[test]
    fn a_missing_reference_is_the_reason_whatever_the_window_holds() {
        let missing = MonitorPlan::new(spec(vec![fixed()]), vec![Err("no such file".to_owned())]);
        let counted = plan(spec(vec![fixed()]));
        let mut engine = Engine::new(vec![missing]);
        let views = read(&mut engine, &mut Stream::default(), &counted, 0..8, 0.0);
        assert_eq!(reasons(&views), [Some(NotReady::NoReference); 8]);
        engine.watch_silence(at(8));
        engine.watch_silence(at(60));
        let stale = comparison(&engine, 0);
        assert_eq!(stale.scores.err(), Some(NotReady::NoReference));
    }

    #[test]
    fn a_rolling_reference_holds_the_window_right_before() {
        let plan = plan(spec(vec![previous(), fixed()]));
        let mut engine = Engine::new(vec![plan.clone()]);
        let views = read(&mut engine, &mut Stream::default(), &plan, 0..12, 0.0);
        assert_eq!(
            reasons(&views[1..10]),
            [Some(NotReady::Warming); 9],
            "two windows make a comparison"
        );
        assert_eq!(reasons(&views[10..]), [None; 2]);
        assert_eq!(
            samples_of_reference(&views[11]),
            250,
            "five minutes of fifty"
        );
        assert!(js(&views[11]) < 1e-12, "the same values");
        let fixed = comparison(&engine, 1);
        assert_eq!(samples_of_reference(&fixed), 1000, "each has its own");
    }

    #[test]
    fn a_rolling_reference_excludes_windows_that_alarm() {
        let plan = plan(with_alert(vec![previous(), fixed()], 0.2));
        let mut engine = Engine::new(vec![plan.clone()]);
        let mut stream = Stream::default();
        read(&mut engine, &mut stream, &plan, 0..15, 0.0);
        let changed = read(&mut engine, &mut stream, &plan, 15..40, 2000.0);
        let first = changed
            .iter()
            .position(|view| states(view) == ["firing"])
            .unwrap();
        assert!(
            (1..5).contains(&first),
            "while the change comes in: {first}"
        );
        let dry = reasons(&changed)
            .iter()
            .position(|reason| *reason == Some(NotReady::NoReference));
        assert!(dry.is_some(), "no window is left that did not alarm");
        let last = changed.last().unwrap();
        assert!(js(last) < 1e-12, "the change has become the reference");
        assert_eq!(states(last), ["inactive"], "and the alert ended");
        let fixed = comparison(&engine, 1);
        assert_eq!(states(&fixed), ["firing"], "a file does not follow");
    }

    #[test]
    fn an_hour_of_week_reference_holds_the_hours_of_the_window() {
        let plan = plan(spec(vec![hour_of_week(), fixed()]));
        let mut engine = Engine::new(vec![plan.clone()]);
        let mut stream = Stream::default();
        // Low values in the even hour from 0:00, high ones in the odd hour from 1:00.
        for minute in 0..120 {
            let low = if minute < 60 { 0.0 } else { 500.0 };
            let values: Vec<f64> = (0..50).map(|i| f64::from(i) * 10.0 + low).collect();
            apply(&mut engine, &stream.minute(&plan, minute, &values));
            if minute > 5 {
                let (hourly, fixed) = (comparison(&engine, 0), comparison(&engine, 1));
                assert!(js(&hourly) < 0.02, "minute {minute}: {}", js(&hourly));
                let is_mixed = (61..65).contains(&minute);
                assert!(
                    is_mixed || js(&fixed) > 0.2,
                    "minute {minute}: {}",
                    js(&fixed)
                );
            }
        }
        read(&mut engine, &mut stream, &plan, 127..128, 0.0);
        let empty = comparison(&engine, 0);
        assert_eq!(
            empty.scores.err(),
            Some(NotReady::Empty),
            "a gap has no hours"
        );
    }

    #[test]
    fn quiet_windows_that_do_not_overlap_are_sampled_for_the_dispersion() {
        let mut spec = spec(vec![fixed()]);
        spec.alerts = vec![budgeted_alert(Statistic::Js)];
        let plan = plan(spec);
        let mut engine = Engine::new(vec![plan.clone()]);
        let mut stream = Stream::default();
        let sampled = |engine: &Engine| {
            let saved = engine.save();
            let dispersions = &saved.monitors[0].windows[0].dispersions;
            dispersions
                .first()
                .map_or(0, |(_, _, dispersion)| dispersion.windows)
        };
        let views = read(&mut engine, &mut stream, &plan, 0..6, 0.0);
        assert!(views[5].assessment.is_some(), "ready and calibrated");
        assert_eq!(sampled(&engine), 0, "only when the next window is due");
        read(&mut engine, &mut stream, &plan, 6..22, 0.0);
        assert_eq!(sampled(&engine), 4, "ends 5, 10, 15 and 20");
        let drifted = read(&mut engine, &mut stream, &plan, 22..32, 2000.0);
        assert_eq!(states(&drifted[9]), ["firing"], "beyond the threshold");
        assert_eq!(sampled(&engine), 4, "an alarm is not quiet");
    }

    #[test]
    fn the_volume_is_evaluated_against_the_first_reference_only() {
        let mut spec = spec(vec![fixed(), previous()]);
        spec.alerts = vec![fixed_alert(Statistic::Samples, 1000.0)];
        let plan = plan(spec);
        let mut engine = Engine::new(vec![plan.clone()]);
        read(&mut engine, &mut Stream::default(), &plan, 0..8, 0.0);
        let (first, second) = (comparison(&engine, 0), comparison(&engine, 1));
        assert_eq!(states(&first), ["firing"], "250 values are fewer than 1000");
        assert_eq!(first.alerts[0].value, Some(250.0));
        assert_eq!(states(&second), ["inactive"]);
        assert_eq!(second.alerts[0].threshold, None);
    }

    #[test]
    fn a_restored_comparison_makes_the_same_evaluations() {
        let mut spec = with_alert(vec![fixed(), previous(), hour_of_week()], 0.2);
        spec.alerts.push(budgeted_alert(Statistic::Psi));
        let plan = plan(spec);
        let mut stream = Stream::default();
        let commits: Vec<_> = (0..34)
            .map(|minute| {
                let shift = if (14..22).contains(&minute) {
                    400.0
                } else {
                    0.0
                };
                stream.minute(&plan, minute, &spread(shift))
            })
            .collect();
        let mut engine = Engine::new(vec![plan.clone()]);
        let mut saved = vec![engine.save()];
        let mut evaluations = Vec::new();
        for commit in &commits {
            evaluations.push(format!("{:?}", apply(&mut engine, commit)));
            saved.push(engine.save());
        }
        for (position, saved) in saved.iter().enumerate().step_by(3) {
            let mut restored = Engine::new(vec![plan.clone()]);
            restored.restore(saved.clone());
            assert!(restored.save() == *saved, "restored at {position}");
            for (commit, expected) in commits.iter().zip(&evaluations).skip(position) {
                let evaluation = format!("{:?}", apply(&mut restored, commit));
                assert_eq!(evaluation, *expected, "after a restart at {position}");
            }
            assert!(restored.save() == engine.save(), "the end after {position}");
        }
    }

    #[test]
    fn a_changed_threshold_keeps_scores_and_alert() {
        let before = plan(with_alert(vec![previous()], 0.2));
        let mut engine = Engine::new(vec![before.clone()]);
        let mut stream = Stream::default();
        read(&mut engine, &mut stream, &before, 0..15, 0.0);
        read(&mut engine, &mut stream, &before, 15..18, 2000.0);
        let firing = comparison(&engine, 0);
        assert_eq!(states(&firing), ["firing"]);
        let after = plan(with_alert(vec![previous()], 0.4));
        let reloaded = engine.with_monitors(vec![after]);
        let view = comparison(&reloaded, 0);
        assert_eq!(view.scores, firing.scores, "scores");
        assert_eq!(states(&view), ["firing"], "the alert");
        assert_eq!(view.alerts[0].threshold, Some(0.4), "the new threshold");
        assert_eq!(samples_of_reference(&view), samples_of_reference(&firing));
    }

    #[test]
    fn a_removed_rule_is_dropped_and_a_new_one_starts_to_warm() {
        let before = plan(with_alert(vec![fixed()], 0.01));
        let mut engine = Engine::new(vec![before.clone()]);
        read(&mut engine, &mut Stream::default(), &before, 0..8, 2000.0);
        let mut spec = spec(vec![fixed()]);
        spec.alerts = vec![fixed_alert(Statistic::Psi, 0.1)];
        let view = comparison(&engine.with_monitors(vec![plan(spec)]), 0);
        assert!(view.scores.is_ok(), "scores stay");
        assert_eq!(states(&view), ["not_ready"], "psi has had no evaluation");
        assert!(view.alerts[0].value.is_some(), "its value is shown");
    }

    #[test]
    fn a_changed_layout_starts_to_warm() {
        let before = plan(with_alert(vec![fixed()], 0.01));
        let after = plan_in(with_alert(vec![fixed()], 0.01), Some(8));
        let mut engine = Engine::new(vec![before.clone()]);
        let mut stream = Stream::default();
        let views = read(&mut engine, &mut stream, &before, 0..8, 2000.0);
        assert_eq!(states(&views[7]), ["firing"]);
        let mut engine = engine.with_monitors(vec![after.clone()]);
        let view = comparison(&engine, 0);
        assert_eq!(view.scores.err(), Some(NotReady::Warming));
        assert_eq!(
            states(&view),
            ["not_ready"],
            "another layout, another alert"
        );
        let views = read(&mut engine, &mut stream, &after, 8..15, 0.0);
        assert_eq!(
            reasons(&views[..5]),
            [Some(NotReady::Warming); 5],
            "its own panes"
        );
        assert_eq!(reasons(&views[5..]), [None; 2]);
    }
}

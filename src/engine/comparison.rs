//! One feature of one window against one reference.
//!
//! A comparison owns everything that is particular to it: the reference in force, the stream's
//! history, the rules with their alerts, and the latest scores. Its window calls these methods in
//! a fixed order for every evaluation: `add_to_history` and `advance` prepare for the new window,
//! then come `score`, `evaluate` and `exclude_alarm`. The history changes only when the
//! next window is due, so a restored process rebuilds the assessment that this one shows.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use super::assess::{Assessment, AssessmentInput, assess, effective_samples};
use super::counters::TransitionCounts;
use super::null_supply::TableNeed;
use super::plan::FeaturePlan;
use super::reference::{ComparedReference, CountedPanes, DynamicReferenceState, WindowFeatureRef};
use super::rule_state::{Calibrated, RuleState};
use super::sample::FeatureSample;
use super::snapshot::AlertSnapshot;
use super::view::ComparisonView;
use crate::alert::AlertState;
use crate::calibration::{CalibrationStatus, HistoryKey, NullModel, StreamHistory, WindowContext};
use crate::model::{EventTime, NotReady, WindowSpec, bucket_of};
use crate::panes::FeatureDelta;
use crate::reference::FeatureReference;
use crate::score::Scores;
use crate::stats::FeatureCounts;
use crate::window::Ring;

/// One feature of one window against one reference.
#[derive(Debug)]
pub(super) struct Comparison {
    /// The reference's name.
    name: String,
    reference: ComparedReference,
    /// The windows of the stream, where the reference has no blocks; `None` before the first one.
    history: Option<Box<StreamHistory>>,
    /// Time after the full hour at which the history is summarised.
    summary_offset: Duration,
    rules: Vec<RuleState>,
    scores: Result<Scores, NotReady>,
    /// The reference that `scores` were computed against.
    scored_against: Option<Arc<FeatureReference>>,
    assessment: Option<Arc<Assessment>>,
    /// True if the sample can be assessed as soon as its null tables are there.
    awaits_tables: bool,
    /// True once scores were assessed in this process.
    was_calibrated: bool,
}

impl Comparison {
    /// A feature against the reference with this index, before the first window.
    pub(super) fn new(feature: &FeaturePlan, reference: usize, pseudo_count: f64) -> Self {
        let mut comparison = Comparison {
            name: feature.references[reference].name.clone(),
            reference: ComparedReference::new(feature, reference, pseudo_count),
            history: None,
            summary_offset: summary_offset(feature),
            rules: feature
                .rules
                .iter()
                .map(|rule| RuleState::new(rule, reference))
                .collect(),
            scores: Err(NotReady::Warming),
            scored_against: None,
            assessment: None,
            awaits_tables: false,
            was_calibrated: false,
        };
        comparison.clear(NotReady::Warming);
        comparison
    }

    /// The reference's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Adds the latest window, which ended at `end`, to the stream's history.
    ///
    /// Called before the next window is scored and not right after the evaluation: the assessment
    /// that is shown, and rebuilt by a restart, is the one that the window was evaluated with.
    pub(super) fn add_to_history(
        &mut self,
        counts: &FeatureCounts,
        end: EventTime,
        window: &WindowSpec,
    ) {
        let (Ok(_), Some(key)) = (&self.scores, self.history_key(window)) else {
            return;
        };
        let is_firing = self.rules.iter().any(|rule| rule.alert().is_firing());
        if let Ok((scorer, _)) = self.reference.current() {
            self.history.take_if(|history| !history.is_about(&key));
            self.history
                .get_or_insert_with(|| Box::new(StreamHistory::new(key, self.summary_offset)))
                .add(counts, end, window, scorer, is_firing);
        }
    }

    /// The reference and window that a history is about; `None` where none is needed, because
    /// nothing is calibrated or the reference has blocks.
    fn history_key(&self, window: &WindowSpec) -> Option<HistoryKey> {
        let (_, null_model) = self.reference.current().ok()?;
        let null_model = null_model.filter(|null_model| null_model.needs_history())?;
        let reference = match self.reference {
            ComparedReference::Fixed { .. } => null_model.reference_hash(),
            ComparedReference::Dynamic(_) | ComparedReference::Missing => "",
        };
        Some(HistoryKey::new(reference, window))
    }

    /// Adds late counts of a pane to a rolling reference that holds it already.
    pub(super) fn add_late(&mut self, start: EventTime, window: &WindowSpec, delta: &FeatureDelta) {
        self.reference.add_late(start, window, delta);
    }

    /// Removes the panes that no later reference reaches, before the rings drop them; the next
    /// window begins at `floor`.
    pub(super) fn leave_panes(
        &mut self,
        feature: usize,
        rings: &[Ring],
        window: &WindowSpec,
        floor: EventTime,
    ) {
        self.reference.leave_panes(feature, rings, window, floor);
    }

    /// Builds the reference for the window that is due.
    pub(super) fn advance(&mut self, position: &WindowFeatureRef<'_>, panes: &CountedPanes<'_>) {
        self.reference.advance(position, panes);
    }

    /// The tables that a window of `n` values needs, which has scores.
    pub(super) fn table_need(&self, n: u64) -> Option<TableNeed> {
        let (_, null_model) = self.reference.current().ok()?;
        Some(TableNeed {
            null_model: Arc::clone(null_model?),
            n,
            is_transient: self.reference.is_hour_of_week(),
        })
    }

    /// The tables that the next null model needs before it can replace the one in force.
    pub(super) fn renewal_need(&self, n: u64) -> Option<TableNeed> {
        let null_model = Arc::clone(self.reference.next_null_model()?);
        Some(TableNeed {
            null_model,
            n,
            is_transient: true,
        })
    }

    /// Puts the next null model in force if it can assess a window of `n` values, and returns the
    /// one that it replaces.
    pub(super) fn renew_null_model(
        &mut self,
        n: Option<u64>,
        is_deferred: bool,
    ) -> Option<Arc<NullModel>> {
        self.reference.renew(n, is_deferred)
    }

    /// The tables that later windows may need; `n` is the number of values of the window that ends
    /// at `end`.
    pub(super) fn needs_ahead(
        &self,
        n: u64,
        end: EventTime,
        window: &WindowSpec,
    ) -> Vec<TableNeed> {
        self.reference
            .expected_null_models(n, end, window.size)
            .into_iter()
            .filter(|(null_model, n)| {
                has_enough(*n, window.min_samples) && !null_model.is_prepared(*n)
            })
            .map(|(null_model, n)| TableNeed {
                null_model,
                n,
                is_transient: true,
            })
            .collect()
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

    /// Assesses the sample; without the null tables that its scores need, only its rates.
    fn assess(&mut self, sample: &FeatureSample<'_>) -> Option<Assessment> {
        self.awaits_tables = false;
        let counts = sample.counts.filter(|_| sample.incomplete.is_none())?;
        let (_, null_model) = self.reference.current().ok()?;
        let null_model = null_model?;
        let n = counts.tallies.values;
        let needs_tables = has_enough(n, sample.window.min_samples);
        let has_tables = needs_tables && null_model.is_prepared(n);
        self.awaits_tables = needs_tables && !has_tables;
        self.was_calibrated |= has_tables;
        let mut assessment = assess(
            sample.plan,
            null_model,
            &AssessmentInput {
                counts,
                scores: self.scores.as_ref().ok(),
                rates: sample.rates,
                step: Some(sample.window.slide),
                statistics: &sample.plan.assessed,
                has_tables,
                context: WindowContext {
                    window: Some(sample.window.size),
                    history: self.history.as_ref().map(|history| &**history.summary()),
                    reference: self.scored_against.as_deref(),
                },
            },
        );
        let samples = counts.tallies.values;
        let effective = effective_samples(samples, assessment.design_effect);
        if !self.awaits_tables && effective < sample.window.min_samples {
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
            if self.awaits_tables && rule.wait_for_tables(sample, self.scores) {
                continue;
            }
            let calibrated = calibrated(self.assessment.as_deref(), index, rule);
            rule.evaluate(sample, self.scores, calibrated, transitions);
        }
    }

    /// Makes up for the evaluation of the rules that waited for null tables; false if the sample
    /// did not wait, or still waits.
    pub(super) fn resume(
        &mut self,
        sample: &FeatureSample<'_>,
        transitions: &mut TransitionCounts,
    ) -> bool {
        if !self.awaits_tables && !self.has_waiting_rules() {
            return false;
        }
        self.assessment = self.assess(sample).map(Arc::new);
        if self.awaits_tables {
            return false;
        }
        for (index, rule) in self.rules.iter_mut().enumerate() {
            let calibrated = calibrated(self.assessment.as_deref(), index, rule);
            rule.resume(sample, self.scores, calibrated, transitions);
        }
        true
    }

    /// Gives up the evaluation of the rules that still wait for null tables, because the next
    /// window is due: for them the sample was not ready.
    ///
    /// A window that may be part of an alarm is excluded from later rolling references.
    pub(super) fn miss(&mut self, start: EventTime, end: EventTime) {
        let is_alarm = self
            .rules
            .iter()
            .any(|rule| rule.is_waiting() && rule.alert().is_raised());
        if is_alarm {
            self.reference.exclude(start, end);
        }
        self.rules.iter_mut().for_each(RuleState::miss);
    }

    /// True while rules wait for null tables to evaluate the latest sample.
    pub(super) fn has_waiting_rules(&self) -> bool {
        self.rules.iter().any(RuleState::is_waiting)
    }

    /// The state of the calibration; `None` where it needs no tables, or no window had enough
    /// values yet.
    pub(super) fn is_calibrated(&self) -> Option<bool> {
        (self.was_calibrated || self.awaits_tables).then_some(self.was_calibrated)
    }

    /// Drops the transitions of the latest evaluation, which were reported.
    pub(super) fn forget_transitions(&mut self) {
        self.rules.iter_mut().for_each(RuleState::forget_transition);
    }

    /// Notes since when alerts are pending or firing, after an evaluation of a window.
    pub(super) fn stamp_alerts(&mut self, end: EventTime) {
        for rule in &mut self.rules {
            rule.stamp(end);
        }
    }

    /// Excludes the latest window from later rolling references if an alert is pending or firing.
    ///
    /// A window without scores is excluded as well, because its rates were judged: it may have lost
    /// all of its values. Without a reference nothing was judged and nothing is excluded.
    pub(super) fn exclude_alarm(&mut self, start: EventTime, end: EventTime) {
        let is_alarm = self
            .rules
            .iter()
            .any(|rule| matches!(rule.view().state, AlertState::Pending | AlertState::Firing));
        if is_alarm && self.scored_against.is_some() {
            self.reference.exclude(start, end);
        }
    }

    /// Drops scores and assessment for a reason; without a reference that is the reason.
    pub(super) fn clear(&mut self, reason: NotReady) {
        self.assessment = None;
        self.awaits_tables = false;
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
            if self.awaits_tables && rule.wait_for_tables(sample, self.scores) {
                continue;
            }
            let calibrated = calibrated(self.assessment.as_deref(), index, rule);
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
            let calibrated = calibrated(self.assessment.as_deref(), index, rule);
            rule.show(sample, self.scores, calibrated, saved.state);
            rule.restore(saved.alert, saved.since, saved.is_waiting);
        }
    }

    /// Continues with the history of an earlier process, after its reference was restored.
    ///
    /// A rolling reference may be absent for the moment.
    pub(super) fn restore_history(&mut self, saved: StreamHistory, window: &WindowSpec) {
        let key = self.history_key(window);
        let is_usable = match self.reference {
            ComparedReference::Fixed { .. } => key.is_some_and(|key| saved.is_about(&key)),
            ComparedReference::Dynamic(_) => key.is_none_or(|key| saved.is_about(&key)),
            ComparedReference::Missing => false,
        };
        self.history = Some(saved)
            .filter(|_| is_usable)
            .and_then(|saved| StreamHistory::restored(saved, window, self.summary_offset))
            .map(Box::new);
    }

    /// Continues with the dynamic reference of an earlier process.
    pub(super) fn restore_reference(&mut self, state: DynamicReferenceState) {
        self.reference.restore(state);
    }

    /// The rules with their alerts.
    pub(super) fn rules(&self) -> &[RuleState] {
        &self.rules
    }

    /// The stream's history; `None` where none is needed, and before the first window.
    pub(super) fn history(&self) -> Option<&StreamHistory> {
        self.history.as_deref()
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
            awaits_thresholds: self.has_waiting_rules(),
            alerts: self.rules.iter().map(|rule| *rule.view()).collect(),
        }
    }
}

/// The whole minutes after the hour at which the history of a feature is summarised: features take
/// turns, so that no evaluation has to wait for the summaries of all.
fn summary_offset(feature: &FeaturePlan) -> Duration {
    Duration::from_secs(60) * bucket_of([feature.name.as_bytes()], 60)
}

/// True if a window of `n` values has scores.
const fn has_enough(n: u64, min_samples: u64) -> bool {
    n > 0 && n >= min_samples
}

fn calibrated(
    assessment: Option<&Assessment>,
    index: usize,
    rule: &RuleState,
) -> Option<Calibrated> {
    assessment.map(|assessment| Calibrated::new(assessment, index, rule.statistic()))
}

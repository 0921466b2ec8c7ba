//! The immutable state of the engine at one moment, for metrics, API and page.
//!
//! Exporters read a view and nothing else, so a score that is gone from the view is gone from the
//! next scrape. Building a view clones numbers and shares counts, references and assessments.

use std::sync::Arc;
use std::time::Duration;

use super::assess::Assessment;
use super::hold::WatermarkHold;
use super::plan::ReferenceView;
use crate::alert::{AlertState, Transition};
use crate::model::{EventTime, Kind, MonitorSpec, NotReady, Role, Severity, Statistic};
use crate::reference::FeatureReference;
use crate::score::{Rates, Scores};
use crate::stats::{DurationHistogram, FeatureCounts, Layout, Tallies};

/// The whole engine at one moment.
#[derive(Debug, Clone, Default)]
pub struct EngineView {
    /// Grows whenever a score, an alert or a window changes.
    pub generation: u64,
    /// The monitors, in configuration order.
    pub monitors: Vec<MonitorView>,
    /// The sources, ordered by name.
    pub sources: Vec<SourceView>,
}

/// The records of a source, from accepted commits.
#[derive(Debug, Clone, Default)]
pub struct SourceView {
    /// The value of the label `source`.
    pub name: String,
    /// Records decoded.
    pub decoded: u64,
    /// Records that could not be decoded, by reason; every reason is present.
    pub decode_errors: Vec<(&'static str, u64)>,
    /// Records without a payload.
    pub tombstones: u64,
    /// Commits accepted.
    pub commits: u64,
    /// Encoded bytes of accepted commits; their size in memory where there is no log.
    pub commit_bytes: u64,
    /// Commits rejected, by reason; every reason is present.
    pub rejected: Vec<(&'static str, u64)>,
}

/// One monitor: its counters, references, features and windows.
#[derive(Debug, Clone)]
pub struct MonitorView {
    /// The user's specification.
    pub spec: Arc<MonitorSpec>,
    /// Events counted.
    pub events: u64,
    /// Events counted although late; a subset.
    pub events_late: u64,
    /// Events not counted, by reason; every reason is present.
    pub dropped: Vec<(&'static str, u64)>,
    /// Time since which the monitor is silent; `None` while it is not.
    pub silent_since: Option<EventTime>,
    /// Time of the newest event counted; `None` before the first.
    pub newest_event: Option<EventTime>,
    /// The time up to which windows are evaluated; `None` before the first event.
    pub watermark: Option<EventTime>,
    /// The reason why the watermark does not move although records arrive; `None` while it does.
    pub held_by: Option<WatermarkHold>,
    /// Arrival minus event time, by [`crate::stats::DELAY_BOUNDS`]; negative = 0.
    pub delays: DurationHistogram,
    /// Its references, in configuration order.
    pub references: Vec<ReferenceView>,
    /// Its features, in configuration order.
    pub features: Vec<FeatureView>,
    /// Its windows, in configuration order.
    pub windows: Vec<WindowView>,
    /// Number of evaluations.
    pub evaluations: u64,
    /// Evaluations skipped because their windows were empty.
    pub evaluations_skipped: u64,
    /// Wall time of evaluations, by [`crate::stats::EVALUATION_BOUNDS`].
    pub evaluation_times: DurationHistogram,
    /// Alert transitions: severity, `firing` or `resolved`, count; all four are present.
    pub transitions: Vec<(Severity, &'static str, u64)>,
}

/// Counters of one feature that only grow.
#[derive(Debug, Clone)]
pub struct FeatureView {
    /// The value of the label `feature`.
    pub name: String,
    /// Numeric, categorical or boolean.
    pub kind: Kind,
    /// Input or prediction of the model.
    pub role: Role,
    /// The bins and cells of its values; `None` where no reference has the feature.
    pub layout: Option<Arc<Layout>>,
    /// Values, missing and invalid values.
    pub tallies: Tallies,
    /// Values below the first and above the last edge.
    pub out_of_range: (u64, u64),
    /// Values of categories that the reference does not have.
    pub unseen: u64,
}

/// The latest evaluation of a window.
#[derive(Debug, Clone)]
pub struct WindowView {
    /// Index into the spec's windows.
    pub index: usize,
    /// End of the latest evaluated window; `None` before the first.
    pub end: Option<EventTime>,
    /// Share of its (pane, shard) pairs that were counted, 0..=1; the lowest of all features.
    pub coverage: f64,
    /// One entry for each feature, in the monitor's order.
    pub features: Vec<WindowFeatureView>,
    /// The alert on the number of events; `None` where the monitor has none.
    pub volume: Option<AlertView>,
}

impl WindowView {
    /// The view of a silent monitor: silence is the reason for everything that is not ready, except
    /// for a missing reference. What is ready stays: it is about the events before.
    pub(super) fn silenced(mut self) -> Self {
        let silenced = |reason: NotReady| match reason {
            NotReady::NoReference => reason,
            _ => NotReady::Silent,
        };
        let silence = |alert: &mut AlertView| {
            if let AlertState::NotReady(reason) = alert.state {
                alert.state = AlertState::NotReady(silenced(reason));
            }
        };
        self.volume.iter_mut().for_each(silence);
        for feature in &mut self.features {
            feature.incomplete = feature.incomplete.map(silenced);
            for comparison in &mut feature.comparisons {
                comparison.scores = comparison.scores.map_err(silenced);
                comparison.alerts.iter_mut().for_each(silence);
            }
        }
        self
    }
}

/// One feature in one window.
#[derive(Debug, Clone)]
pub struct WindowFeatureView {
    /// The counts of the window; `None` before the first evaluation and while it is stale.
    pub counts: Option<Arc<FeatureCounts>>,
    /// The reason why no score and no rate of the window is ready.
    pub incomplete: Option<NotReady>,
    /// Rates of the window.
    pub rates: Rates,
    /// Comparisons with the references, in the monitor's order.
    pub comparisons: Vec<ComparisonView>,
}

impl WindowFeatureView {
    /// All alerts of the feature in the window, reference by reference.
    pub fn alerts(&self) -> impl Iterator<Item = &AlertView> {
        self.comparisons
            .iter()
            .flat_map(|comparison| &comparison.alerts)
    }
}

/// One feature of one window compared with one reference.
#[derive(Debug, Clone)]
pub struct ComparisonView {
    /// The scores, or the reason why there are none.
    pub scores: Result<Scores, NotReady>,
    /// The reference in force; `None` where there is nothing to compare with.
    pub reference: Option<Arc<FeatureReference>>,
    /// The assessment; `None` where nothing is calibrated or ready.
    pub assessment: Option<Arc<Assessment>>,
    /// True while budgeted rules wait for null tables: the scores are there, their thresholds are
    /// not.
    pub awaits_thresholds: bool,
    /// The rules with their thresholds and states, in the order of the feature's rules.
    pub alerts: Vec<AlertView>,
}

impl ComparisonView {
    /// The reason why there are no scores, or why budgeted rules cannot be judged.
    #[must_use]
    pub fn not_ready(&self) -> Option<NotReady> {
        let waiting = self.awaits_thresholds.then_some(NotReady::Calibrating);
        self.scores.err().or(waiting)
    }

    /// The furthest state of its alerts; `None` without any.
    ///
    /// Without scores it is `NotReady`, unless an alert is pending or firing: a rule on the number
    /// of values may be inactive in a window that nothing else can be said about.
    #[must_use]
    pub fn alert_state(&self) -> Option<AlertState> {
        let furthest = self
            .alerts
            .iter()
            .map(|alert| alert.state)
            .max_by_key(|state| state.rank())?;
        Some(match (furthest, self.scores) {
            (AlertState::Firing | AlertState::Pending, _) | (_, Ok(_)) => furthest,
            (_, Err(reason)) => AlertState::NotReady(reason),
        })
    }
}

/// One rule of one comparison: its threshold and its state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AlertView {
    /// The statistic that is compared with the threshold.
    pub statistic: Statistic,
    /// The severity of its alarm.
    pub severity: Severity,
    /// The threshold on the score's own scale; `None` where a calibrated one is not known yet.
    pub threshold: Option<f64>,
    /// One false alarm in this time is accepted; `None` where the threshold is a fixed number.
    pub interval: Option<Duration>,
    /// The lower threshold of a two-sided rate.
    pub lower: Option<f64>,
    /// The observed score, rate or count; `None` when not ready.
    pub value: Option<f64>,
    /// Inactive, pending, firing or not ready.
    pub state: AlertState,
    /// The change of state in an evaluation, for its callback; `None` in a published view.
    pub transition: Option<Transition>,
    /// End of the window since which it is pending or firing; `None` in the other states.
    pub since: Option<EventTime>,
}

impl AlertView {
    /// True for a firing alert that the latest evaluation did not judge, because it had no score.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.state == AlertState::Firing && self.value.is_none()
    }

    /// The threshold above which the value is an alarm; `None` for a minimum.
    #[must_use]
    pub fn upper_threshold(&self) -> Option<f64> {
        self.threshold.filter(|_| !self.statistic.alarms_below())
    }

    /// The threshold below which the value is an alarm: a minimum, or the lower one of two.
    #[must_use]
    pub fn lower_threshold(&self) -> Option<f64> {
        if self.statistic.alarms_below() {
            self.threshold
        } else {
            self.lower
        }
    }

    /// True if the value is beyond a threshold; the hysteresis of a firing alert does not count.
    #[must_use]
    pub fn is_exceeded(&self) -> bool {
        self.value.is_some_and(|value| {
            self.upper_threshold().is_some_and(|above| value > above)
                || self.lower_threshold().is_some_and(|below| value < below)
        })
    }
}

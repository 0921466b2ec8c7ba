//! How everything stands at one moment: the immutable picture that metrics, API and page are drawn from.
//!
//! Series come from here and from nowhere else, so what is gone from the picture is gone from the next scrape.

use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::{Assessment, LoadedReference};
use crate::alert::AlertState;
use crate::model::{
    EventTime, Kind, MonitorSpec, NotReady, Origin, ReferenceSpec, Role, Severity, Statistic,
};
use crate::reference::{FeatureReference, HourOfWeek, Reference};
use crate::score::{Rates, Scores};
use crate::stats::{FeatureCounts, Layout, Tallies};

/// Everything, at one moment.
#[derive(Debug, Clone, Default)]
pub struct EngineView {
    /// Goes up with every evaluation: scores, alerts and windows below changed.
    pub generation: u64,
    /// By configuration order.
    pub monitors: Vec<MonitorView>,
    /// By configuration order.
    pub sources: Vec<SourceView>,
}

/// What a source delivered, from accepted commits.
#[derive(Debug, Clone, Default)]
pub struct SourceView {
    /// Its name.
    pub name: String,
    /// Records decoded.
    pub decoded: u64,
    /// Records that could not be decoded, by reason; every reason is present.
    pub decode_errors: Vec<(&'static str, u64)>,
    /// Records without a payload.
    pub tombstones: u64,
    /// Commits accepted.
    pub commits: u64,
    /// Bytes of accepted commits, as encoded; as held in memory where there is no log.
    pub commit_bytes: u64,
    /// Commits rejected, by reason; every reason is present.
    pub rejected: Vec<(&'static str, u64)>,
}

/// How one monitor stands.
#[derive(Debug, Clone)]
pub struct MonitorView {
    /// What the user asked for.
    pub spec: Arc<MonitorSpec>,
    /// Events counted.
    pub events: u64,
    /// Events counted although late; a subset.
    pub events_late: u64,
    /// Events not counted, by reason; every reason is present.
    pub dropped: Vec<(&'static str, u64)>,
    /// `None` before the first event.
    pub watermark: Option<EventTime>,
    /// Arrival minus event time, milliseconds; negative = 0.
    pub delay_ms: Arc<Histogram<u64>>,
    /// Its references, in configuration order.
    pub references: Vec<ReferenceView>,
    /// Its features, in configuration order.
    pub features: Vec<FeatureView>,
    /// Its windows, in configuration order.
    pub windows: Vec<WindowView>,
    /// Evaluations made.
    pub evaluations: u64,
    /// Evaluations passed over because nothing was in their windows.
    pub evaluations_skipped: u64,
    /// Wall time of evaluations, microseconds.
    pub evaluation_us: Arc<Histogram<u64>>,
    /// Alert transitions: severity, to (`firing`, `resolved`), how often; all four are present.
    pub transitions: Vec<(Severity, &'static str, u64)>,
}

/// A reference of a monitor.
#[derive(Debug, Clone)]
pub struct ReferenceView {
    /// Its name in labels.
    pub name: String,
    /// What it is: `file`, `hour_of_week`, `previous` or `trailing`.
    pub kind: &'static str,
    /// The file; `None` when it could not be loaded, and where the stream is its own reference.
    pub loaded: Option<Arc<Reference>>,
    /// Why it is not loaded.
    pub problem: Option<String>,
}

impl ReferenceView {
    /// A reference as it was found; `file` is `None` where it does not come from one.
    pub(super) fn new(spec: &ReferenceSpec, file: Option<LoadedReference>) -> Self {
        let state = |loaded, problem| ReferenceView {
            name: spec.name.clone(),
            kind: spec.origin.name(),
            loaded,
            problem,
        };
        match file {
            None if spec.origin.file().is_some() => state(None, Some("was not read".to_owned())),
            None => state(None, None),
            Some(Err(problem)) => state(None, Some(problem)),
            Some(Ok(loaded)) => match unusable_hours(&spec.origin, &loaded) {
                Some(problem) => state(None, Some(problem)),
                None => state(Some(loaded), None),
            },
        }
    }
}

/// Why a reference cannot be used by hour of the week, where it is to be.
fn unusable_hours(origin: &Origin, loaded: &Reference) -> Option<String> {
    if !matches!(origin, Origin::HourOfWeek(_)) {
        return None;
    }
    let Some(profiles) = &loaded.profiles else {
        return Some(
            "holds no counts by hour of the week; fit it again with --hour-of-week".to_owned(),
        );
    };
    let clock = HourOfWeek::try_new(&profiles.timezone);
    clock.err().map(|error| error.to_string())
}

/// A feature's life-long counters.
#[derive(Debug, Clone)]
pub struct FeatureView {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// Its role.
    pub role: Role,
    /// `None` where no reference says how to count.
    pub layout: Option<Arc<Layout>>,
    /// Since the process began.
    pub tallies: Tallies,
    /// Values below the first and above the last edge.
    pub out_of_range: (u64, u64),
    /// Values of unseen categories.
    pub unseen: u64,
}

/// A window's latest evaluation.
#[derive(Debug, Clone)]
pub struct WindowView {
    /// Index into the spec's windows.
    pub index: usize,
    /// End of the latest evaluated window; `None` before the first.
    pub end: Option<EventTime>,
    /// Share of its (pane, shard) pairs that were counted, 0..=1.
    pub coverage: f64,
    /// One entry per feature, in the monitor's order.
    pub features: Vec<WindowFeatureView>,
}

/// One feature in one window.
#[derive(Debug, Clone)]
pub struct WindowFeatureView {
    /// What the window holds; `None` before the first evaluation.
    pub counts: Option<Arc<FeatureCounts>>,
    /// Why the window cannot be judged at all, whatever it holds.
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
    /// The rules with their thresholds and states, in the order of the feature's rules.
    pub alerts: Vec<AlertView>,
}

/// One alarm line on one score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AlertView {
    /// What is judged.
    pub statistic: Statistic,
    /// How urgent.
    pub severity: Severity,
    /// The line, on the score's own scale; `None` where a calibrated one is not known yet.
    pub threshold: Option<f64>,
    /// One false alarm in this time is accepted; `None` where the line is a fixed number.
    pub interval: Option<Duration>,
    /// The lower line of a two-sided rate.
    pub lower: Option<f64>,
    /// The score it was compared with; `None` when not ready.
    pub value: Option<f64>,
    /// How it stands.
    pub state: AlertState,
}

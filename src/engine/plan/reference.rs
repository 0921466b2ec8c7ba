//! References of a monitor: the loaded file, and what one feature takes from it.
//!
//! A fixed reference is ready once its file is loaded. A dynamic one differs from window to window:
//! the plan holds only what it is built from, and each comparison of the engine holds its state.

use std::sync::Arc;

use super::hour_of_week::HourOfWeekReference;
use crate::calibration::NullModel;
use crate::model::{MonitorSpec, Origin, ReferenceSpec, Rolling};
use crate::reference::{FeatureCalibration, FeatureReference, HourMixture, HourOfWeek, Reference};
use crate::score::Scorer;

/// A reference file: loaded, or the reason why it cannot be used.
pub type LoadedReference = Result<Arc<Reference>, String>;

/// A reference of a monitor and its state.
#[derive(Debug, Clone)]
pub struct ReferenceView {
    /// The value of the label `reference`.
    pub name: String,
    /// Its kind: `file`, `hour_of_week`, `previous` or `trailing`.
    pub kind: &'static str,
    /// The file; `None` where it cannot be used, and where the stream is its own reference.
    pub loaded: Option<Arc<Reference>>,
    /// The reason why the file cannot be used.
    pub problem: Option<String>,
}

impl ReferenceView {
    /// A reference and its file; `file` is `None` where it does not come from one.
    pub(super) fn new(spec: &ReferenceSpec, file: Option<LoadedReference>) -> Self {
        let (loaded, problem) = match file {
            None if spec.origin.file().is_some() => (None, Some("was not read".to_owned())),
            None => (None, None),
            Some(Err(problem)) => (None, Some(problem)),
            Some(Ok(loaded)) => match hour_of_week_problem(&spec.origin, &loaded) {
                Some(problem) => (None, Some(problem)),
                None => (Some(loaded), None),
            },
        };
        ReferenceView {
            name: spec.name.clone(),
            kind: spec.origin.name(),
            loaded,
            problem,
        }
    }
}

/// The reason why a file cannot serve by hour of the week; `None` where it can or need not.
fn hour_of_week_problem(origin: &Origin, loaded: &Reference) -> Option<String> {
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

/// One feature against one reference, ready to be scored.
#[derive(Debug, Clone)]
pub struct ReferencePlan {
    /// The value of the label `reference`.
    pub name: String,
    /// Scores windows against the fitted file; `None` where no file has the feature.
    pub scorer: Option<Arc<Scorer>>,
    /// The null model of the fitted file; `None` where the feature has no budgeted rule.
    pub null_model: Option<Arc<NullModel>>,
    /// The way a dynamic reference follows the stream; `None` for a fixed or a missing one.
    pub dynamics: Option<Arc<ReferenceDynamics>>,
}

/// The way a dynamic reference follows the stream.
#[derive(Debug)]
pub enum ReferenceDynamics {
    /// A mixture of a fitted file's hours of the week.
    HourOfWeek(HourOfWeekReference),
    /// Earlier panes of the stream itself.
    Rolling {
        /// The period before the window.
        rolling: Rolling,
        /// The fitted reference whose layout is used.
        like: Arc<FeatureReference>,
        /// The block statistics of the fitted reference, for a trailing period only; without them
        /// the stream's history stands in for blocks.
        blocks: FeatureCalibration,
    },
}

/// The plans of a feature's references, in the monitor's order; `scorers` are those of the files.
pub(super) fn reference_plans(
    feature: &str,
    spec: &MonitorSpec,
    references: &[ReferenceView],
    scorers: Vec<Option<Arc<Scorer>>>,
    is_calibrated: bool,
) -> Vec<ReferencePlan> {
    let fitted = references
        .iter()
        .zip(&scorers)
        .find_map(|(reference, scorer)| Some((reference, scorer.as_ref()?)));
    let like = fitted.map(|(_, scorer)| Arc::clone(scorer.reference()));
    let stored =
        fitted.and_then(|(reference, _)| reference.loaded.as_ref()?.calibration_of(feature));
    spec.references
        .iter()
        .zip(references)
        .zip(scorers)
        .map(|((reference_spec, reference), scorer)| {
            let dynamics = match reference_spec.origin {
                Origin::File(_) => None,
                Origin::HourOfWeek(_) => {
                    hour_of_week(feature, reference, scorer.as_deref(), spec.pseudo_count)
                }
                Origin::Rolling(rolling) => like
                    .clone()
                    .map(|like| rolling_dynamics(rolling, like, stored)),
            };
            let null_model = scorer
                .clone()
                .zip(reference.loaded.as_ref())
                .filter(|_| is_calibrated)
                .map(|(scorer, loaded)| {
                    let stored = loaded.calibration_of(feature);
                    Arc::new(NullModel::new(Scorer::clone(&scorer), &loaded.hash, stored))
                });
            ReferencePlan {
                name: reference.name.clone(),
                scorer,
                null_model,
                dynamics: dynamics.map(Arc::new),
            }
        })
        .collect()
}

fn rolling_dynamics(
    rolling: Rolling,
    like: Arc<FeatureReference>,
    stored: Option<&FeatureCalibration>,
) -> ReferenceDynamics {
    ReferenceDynamics::Rolling {
        rolling,
        like,
        blocks: FeatureCalibration {
            // A window differs from the one right before it less than from the long run.
            blocks: stored
                .filter(|_| rolling.period.is_some())
                .map_or_else(Vec::new, |stored| stored.blocks.clone()),
            ..FeatureCalibration::default()
        },
    }
}

fn hour_of_week(
    feature: &str,
    reference: &ReferenceView,
    scorer: Option<&Scorer>,
    pseudo_count: f64,
) -> Option<ReferenceDynamics> {
    let loaded = reference.loaded.as_ref()?;
    let clock = HourOfWeek::try_new(&loaded.profiles.as_ref()?.timezone).ok()?;
    let week = Arc::clone(scorer?.reference());
    let mixture = HourMixture::new(week, Arc::clone(loaded.hours_of(feature)?));
    let stored = loaded.calibration_of(feature);
    Some(ReferenceDynamics::HourOfWeek(HourOfWeekReference::new(
        mixture,
        clock,
        pseudo_count,
        &loaded.hash,
        stored,
    )))
}

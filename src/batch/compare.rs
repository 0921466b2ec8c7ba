//! Compares a data set with a reference, as one window of the engine.
//!
//! A feature without a value has no scores and is judged by its rates: a column that is missing,
//! null or unreadable as a whole is the worst finding and not the quietest.
//!
//! The thresholds are those that one window without drift in a hundred exceeds. A budget of false
//! alarms per time does not apply, because a single comparison has no time between evaluations.

use std::path::PathBuf;
use std::sync::Arc;

use rayon::prelude::*;

use super::progress;
use super::report::FeatureReport;
use crate::calibration::WindowContext;
use crate::engine::{Assessment, AssessmentInput, FeaturePlan, MonitorPlan, PlanProblem, assess};
use crate::model::{
    AlertSpec, MissingKind, MonitorSpec, NotReady, ReferenceSpec, Statistic, WindowSpec,
};
use crate::reference::Reference;
use crate::score::{Rates, Scorer, Scores};
use crate::stats::FeatureCounts;

/// Two sides that cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The monitor does not fit the reference.
    #[error("{problem}")]
    Monitor {
        /// Problem that the engine reports for the monitor.
        problem: PlanProblem,
    },
    /// Both sides are fitted references, with different bins or cells.
    #[error(
        "feature {feature}: the two references have different layouts; fit one with --layout of \
         the other"
    )]
    DifferentLayouts {
        /// Name of the feature.
        feature: String,
    },
}

/// Plans a monitor with one reference; a monitor without configuration gets budgeted alerts.
///
/// # Errors
/// The monitor does not fit the reference.
pub fn plan(
    mut spec: MonitorSpec,
    is_configured: bool,
    reference: Reference,
) -> Result<MonitorPlan, CompareError> {
    spec.references = vec![ReferenceSpec::fitted("training", PathBuf::new())];
    spec.features_from_reference |= spec.features.is_empty();
    if !is_configured {
        spec.alerts = AlertSpec::defaults();
    }
    let plan = MonitorPlan::new(spec, vec![Ok(Arc::new(reference))]);
    // A column that the reference side lacks is a feature that is not ready.
    let problem = plan
        .problems
        .iter()
        .find(|problem| !matches!(problem, PlanProblem::NotInReference { .. }));
    match problem {
        Some(problem) => Err(CompareError::Monitor {
            problem: problem.clone(),
        }),
        None => Ok(plan),
    }
}

/// Returns the counts of a fitted reference, in the order of the plan's features.
///
/// A feature that `current` lacks is missing from all of its rows, like a column of a data file.
///
/// # Errors
/// A feature has another layout than in the plan.
pub fn counts_of(
    current: &Reference,
    plan: &MonitorPlan,
) -> Result<Vec<FeatureCounts>, CompareError> {
    plan.features
        .iter()
        .map(|feature| {
            let fitted = current.feature(&feature.name);
            match (fitted, feature.layout.as_ref()) {
                (_, None) => Ok(FeatureCounts::default()),
                (None, Some(layout)) => {
                    let mut counts = FeatureCounts::new(layout);
                    counts.tallies.missing[MissingKind::Absent as usize] = current.rows;
                    Ok(counts)
                }
                (Some(fitted), Some(layout)) if fitted.layout == *layout => {
                    Ok(fitted.counts.clone())
                }
                (Some(fitted), Some(_)) => Err(CompareError::DifferentLayouts {
                    feature: fitted.name.clone(),
                }),
            }
        })
        .collect()
}

/// The number of values that a comparison needs: the smallest one of the monitor's windows, and the
/// default of a window without a configuration.
#[must_use]
pub fn min_samples(spec: &MonitorSpec) -> u64 {
    spec.windows
        .iter()
        .map(|window| window.min_samples)
        .min()
        .unwrap_or(WindowSpec::DEFAULT_MIN_SAMPLES)
}

/// Compares the counts of every feature with its reference, in the order of the plan's features.
/// Fewer than `min_samples` values are not judged.
#[must_use]
pub fn compare<'a>(
    plan: &'a MonitorPlan,
    counts: &'a [FeatureCounts],
    min_samples: u64,
) -> Vec<FeatureReport<'a>> {
    prepare_null_tables(plan, counts, min_samples);
    plan.features
        .iter()
        .zip(counts)
        .map(|(feature, counts)| report(feature, counts, min_samples))
        .collect()
}

fn report<'a>(
    feature: &'a FeaturePlan,
    counts: &'a FeatureCounts,
    min_samples: u64,
) -> FeatureReport<'a> {
    let scorer = feature
        .references
        .first()
        .and_then(|reference| reference.scorer.as_deref());
    let scores = scorer.map_or(Err(NotReady::NoReference), |scorer| {
        scorer.evaluate(counts, min_samples)
    });
    let rates = feature.layout.as_deref().map_or_else(
        || Rates::without_layout(counts),
        |layout| Rates::of(counts, layout),
    );
    FeatureReport {
        plan: feature,
        against: scorer.map(Scorer::reference).cloned(),
        counts,
        rates,
        incomplete: None,
        min_samples,
        assessment: assessment(feature, counts, &rates, scores.as_ref().ok()),
        scores,
    }
}

fn assessment(
    feature: &FeaturePlan,
    counts: &FeatureCounts,
    rates: &Rates,
    scores: Option<&Scores>,
) -> Option<Arc<Assessment>> {
    let null_model = feature.references.first()?.null_model.as_deref()?;
    let input = AssessmentInput {
        counts,
        scores,
        rates,
        step: None,
        statistics: Statistic::ALL,
        has_tables: scores.is_some(),
        context: WindowContext::default(),
    };
    Some(Arc::new(assess(feature, null_model, &input)))
}

/// Simulates the null tables for the sample sizes of the current side, on all cores.
fn prepare_null_tables(plan: &MonitorPlan, counts: &[FeatureCounts], min_samples: u64) {
    let missing: Vec<_> = plan
        .features
        .iter()
        .zip(counts)
        .filter_map(|(feature, counts)| {
            let null_model = feature.references.first()?.null_model.as_deref()?;
            let samples = counts.tallies.values;
            let has_scores = samples > 0 && samples >= min_samples;
            (has_scores && !null_model.is_prepared(samples)).then_some((null_model, samples))
        })
        .collect();
    let bar = progress::over_items("calibrating", missing.len());
    missing.into_par_iter().for_each(|(null_model, samples)| {
        null_model.prepare(samples);
        bar.inc(1);
    });
    bar.finish_and_clear();
}

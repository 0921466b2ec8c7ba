//! `pegel compare`: two data sets, every score, one verdict per feature.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use clap::{Args, ValueEnum};
use rayon::prelude::*;
use serde_json::{Value, json};

use super::fit::{fit_file, monitor_of};
use super::output::table;
use super::{Exit, UsageError, is_reference};
use crate::batch::fit::calibrate;
use crate::batch::report::{FeatureReport, Verdict, by_urgency};
use crate::batch::{dataset, progress};
use crate::calibration::WindowContext;
use crate::engine::{Assessment, AssessmentInput, FeaturePlan, MonitorPlan, assess};
use crate::model::{
    AlertSpec, Budget, MonitorSpec, ReferenceSpec, Severity, Statistic, Thresholds,
};
use crate::reference::Reference;
use crate::score::{Rates, Scorer, Scores};
use crate::source::files::DataFile;
use crate::stats::FeatureCounts;

/// Arguments of `pegel compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// A data file (CSV or NDJSON, plain or gzipped) or a fitted reference
    reference: String,
    /// What to compare with it; `-` = standard input
    current: String,
    /// Take features, `select`, `min_samples` and alerts from this configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Which monitor of the configuration
    #[arg(long, requires = "config")]
    monitor: Option<String>,
    /// How to print the result
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Exit with 3 when a feature drifted at least this much, else with 4 when one could not be judged
    #[arg(long, value_enum)]
    fail_on: Option<FailOn>,
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
    Markdown,
    Html,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Warning,
    Critical,
}

/// Compares and prints.
///
/// # Errors
/// A file cannot be read, the configuration is wrong, or the two sides cannot be compared.
pub fn run(args: &CompareArgs) -> anyhow::Result<Exit> {
    if args.format == Format::Html {
        bail!(UsageError(
            "--format html is not supported yet; table, json and markdown are".to_owned()
        ));
    }
    let mut spec = match &args.config {
        Some(path) => monitor_of(path, args.monitor.as_deref())?,
        None => MonitorSpec::bare(),
    };
    let reference = load_side(&args.reference, args.config.is_some().then_some(&spec))?;
    prepare(&mut spec, args.config.is_none());
    let plan = MonitorPlan::new(spec, vec![Ok(Arc::new(reference))]);
    if let Some(problem) = plan.problems.first() {
        bail!(UsageError(problem.clone()));
    }
    let (rows, counts) = count_side(&args.current, &plan)?;
    calibrate(&plan, &counts);
    let mut reports: Vec<FeatureReport<'_>> = plan
        .features
        .iter()
        .zip(&counts)
        .map(|(feature, counts)| report(feature, counts, &plan))
        .collect();
    if args.format != Format::Json {
        reports.sort_by(by_urgency);
    }
    print(args.format, &plan, rows, &reports);
    Ok(exit(args.fail_on, &reports))
}

/// A fitted reference as it is; a data file fitted now.
fn load_side(name: &str, spec: Option<&MonitorSpec>) -> anyhow::Result<Reference> {
    if is_reference(name) {
        return Ok(Reference::load(name.as_ref())?);
    }
    let file = DataFile::open(name)?;
    let mut fitted = fit_file(&file, spec, None)?;
    if fitted.spec.timestamp.path.is_some() {
        calibrate::calibrate(&mut fitted.reference, &file, &fitted.spec)?;
    }
    Ok(fitted.reference)
}

/// The counts of the current side, in the order of the plan's features.
fn count_side(name: &str, plan: &MonitorPlan) -> anyhow::Result<(u64, Vec<FeatureCounts>)> {
    if !is_reference(name) {
        let (rows, counts) = dataset::count_file(&DataFile::open(name)?, plan)?;
        if let Some(complaint) = rows.complaint() {
            anstream::eprintln!("{complaint}");
        }
        return Ok((rows.rows, counts));
    }
    let current = Reference::load(name.as_ref())?;
    let counts = plan.features.iter().map(|feature| {
        let found = current.feature(&feature.name);
        match (found, feature.layout.as_ref()) {
            (None, _) | (_, None) => Ok(FeatureCounts::default()),
            (Some(found), Some(layout)) if found.layout == *layout => Ok(found.counts.clone()),
            (Some(found), Some(_)) => Err(UsageError(format!(
                "feature {}: the two references have different layouts; fit one with --layout of the other",
                found.name
            ))),
        }
    });
    Ok((current.rows, counts.collect::<Result<_, _>>()?))
}

/// Makes the monitor one window and one reference, with a budget for every question when no configuration asked others.
fn prepare(spec: &mut MonitorSpec, is_bare: bool) {
    spec.references = vec![ReferenceSpec::fitted("training", PathBuf::new())];
    spec.features_from_reference |= spec.features.is_empty();
    if is_bare {
        let budgeted = |statistic| AlertSpec {
            statistic,
            thresholds: Thresholds::default(),
            budget: Some(Budget::default()),
            for_evaluations: 1,
            keep_firing_for: 0,
            features: None,
        };
        let statistics = [
            Statistic::Js,
            Statistic::Wasserstein,
            Statistic::MissingRatio,
            Statistic::UnseenRatio,
            Statistic::OutOfRangeRatio,
        ];
        spec.alerts = statistics.map(budgeted).to_vec();
    }
}

fn report<'a>(
    feature: &'a FeaturePlan,
    counts: &'a FeatureCounts,
    plan: &MonitorPlan,
) -> FeatureReport<'a> {
    let min_samples = plan
        .spec
        .windows
        .iter()
        .map(|window| window.min_samples)
        .min()
        .unwrap_or(1);
    let scores = match feature.scorers.first().and_then(Option::as_ref) {
        Some(scorer) => scorer.evaluate(counts, min_samples),
        None => Err(crate::model::NotReady::NoReference),
    };
    let rates = feature
        .layout
        .as_deref()
        .map_or_else(Rates::default, |layout| Rates::of(counts, layout));
    FeatureReport {
        plan: feature,
        against: feature
            .scorers
            .first()
            .and_then(Option::as_ref)
            .map(Scorer::reference)
            .cloned(),
        counts,
        rates,
        assessment: assessment(feature, counts, &rates, scores.as_ref().ok()),
        scores,
    }
}

/// One comparison is one window: its lines are those that one clean window in a hundred exceeds.
fn assessment(
    feature: &FeaturePlan,
    counts: &FeatureCounts,
    rates: &Rates,
    scores: Option<&Scores>,
) -> Option<Arc<Assessment>> {
    let judged = AssessmentInput {
        counts,
        scores,
        rates,
        step: None,
        context: WindowContext::default(),
    };
    scores?;
    let calibration = feature.calibrations.first()?.as_deref()?;
    Some(Arc::new(assess(feature, calibration, &judged)))
}

/// Makes the null tables the comparison needs, on all cores.
fn calibrate(plan: &MonitorPlan, counts: &[FeatureCounts]) {
    let pairs = plan.features.iter().zip(counts);
    let needed = pairs.filter_map(|(feature, counts)| {
        let calibration = feature.calibrations.first()?.as_deref()?;
        let n = counts.tallies.values;
        (n > 0 && !calibration.is_prepared(n)).then_some((calibration, n))
    });
    let unprepared: Vec<_> = needed.collect();
    let bar = progress::over_items("calibrating", unprepared.len());
    unprepared.into_par_iter().for_each(|(calibration, n)| {
        calibration.prepare(n);
        bar.inc(1);
    });
    bar.finish_and_clear();
}

fn print(format: Format, plan: &MonitorPlan, rows: u64, reports: &[FeatureReport<'_>]) {
    match format {
        Format::Json => anstream::println!("{:#}", to_json(plan, rows, reports)),
        Format::Markdown => {
            anstream::println!("{}", table::compared(reports, table::Look::Markdown))
        }
        Format::Table | Format::Html => {
            anstream::println!("{}", table::compared(reports, table::Look::Terminal));
            anstream::println!("{}", table::summary(reports));
        }
    }
}

fn to_json(plan: &MonitorPlan, rows: u64, reports: &[FeatureReport<'_>]) -> Value {
    let reference = plan
        .references
        .first()
        .and_then(|reference| reference.loaded.as_ref());
    let features: Vec<Value> = reports
        .iter()
        .map(|report| report.to_json("name", true).into())
        .collect();
    json!({
        "reference": {"rows": reference.map_or(0, |loaded| loaded.rows), "hash": reference.map(|loaded| &loaded.hash)},
        "current": {"rows": rows},
        "features": features,
    })
}

fn exit(fail_on: Option<FailOn>, reports: &[FeatureReport<'_>]) -> Exit {
    let lowest = match fail_on {
        None => return Exit::Ok,
        Some(FailOn::Warning) => Severity::Warning,
        Some(FailOn::Critical) => Severity::Critical,
    };
    let verdicts = || reports.iter().map(FeatureReport::verdict);
    if verdicts().any(|verdict| matches!(verdict, Verdict::Drift(severity) if severity >= lowest)) {
        Exit::Drift
    } else if verdicts().any(|verdict| matches!(verdict, Verdict::NotReady(_))) {
        Exit::NotReady
    } else {
        Exit::Ok
    }
}

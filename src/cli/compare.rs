//! `pegel compare`: compares two data sets, with all scores and one verdict per feature.
//!
//! The current side is one window against one reference: its thresholds are those that one clean
//! window in a hundred exceeds.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use rayon::prelude::*;
use serde_json::{Value, json};

use super::exit::Exit;
use super::fit::print_notice;
use super::monitors::load_monitor_spec;
use super::output::comparison_table;
use super::output::table::TableStyle;
use super::usage::UsageError;
use crate::batch::fit::calibrate;
use crate::batch::fit::fit_rows::{FitNotice, fit_rows};
use crate::batch::report::{FeatureReport, Verdict, by_urgency};
use crate::batch::{dataset, progress};
use crate::calibration::WindowContext;
use crate::engine::{Assessment, AssessmentInput, FeaturePlan, MonitorPlan, assess};
use crate::model::{
    AlertSpec, Budget, MonitorSpec, NotReady, ReferenceSpec, Severity, Statistic, Thresholds,
};
use crate::reference::Reference;
use crate::score::{Rates, Scorer, Scores};
use crate::source::files::DataFile;
use crate::stats::FeatureCounts;

/// Statistics that are judged where no configuration has alerts.
const STATISTICS: [Statistic; 5] = [
    Statistic::Js,
    Statistic::Wasserstein,
    Statistic::MissingRatio,
    Statistic::UnseenRatio,
    Statistic::OutOfRangeRatio,
];

/// Arguments of `pegel compare`.
#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// Reference side: a data file (CSV or NDJSON, plain or gzipped) or a fitted reference
    reference: String,
    /// Current side, a data file or a fitted reference; `-` reads standard input
    current: String,
    /// Take features, `select`, `min_samples` and alerts from this configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Monitor of the configuration; needed if it has several
    #[arg(long, requires = "config")]
    monitor: Option<String>,
    /// Format of the result
    #[arg(long, value_enum, default_value = "table")]
    format: CompareFormat,
    /// Exit with 3 if a feature drifted at this severity or above, else with 4 if one is not ready
    #[arg(long, value_enum)]
    fail_on: Option<FailOn>,
}

/// Format of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CompareFormat {
    Table,
    Json,
    Markdown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Warning,
    Critical,
}

/// Compares both sides and prints the result.
///
/// # Errors
/// A file cannot be read, the configuration is wrong, or the two sides cannot be compared.
pub(super) fn run(args: &CompareArgs) -> anyhow::Result<Exit> {
    let mut spec = match &args.config {
        Some(path) => load_monitor_spec(path, args.monitor.as_deref())?,
        None => MonitorSpec::bare(),
    };
    let reference = load_reference(&args.reference, args.config.is_some().then_some(&spec))?;
    set_up_comparison(&mut spec, args.config.is_none());
    let plan = MonitorPlan::new(spec, vec![Ok(Arc::new(reference))]);
    if let Some(problem) = plan.problems.first() {
        let problem = problem.clone();
        return Err(UsageError::Monitor { problem }.into());
    }
    let (rows, counts) = load_current(&args.current, &plan)?;
    prepare_null_tables(&plan, &counts);
    let mut reports: Vec<FeatureReport<'_>> = plan
        .features
        .iter()
        .zip(&counts)
        .map(|(feature, counts)| report(feature, counts, &plan))
        .collect();
    if args.format != CompareFormat::Json {
        reports.sort_by(by_urgency);
    }
    print(args.format, &plan, rows, &reports);
    Ok(exit(args.fail_on, &reports))
}

/// Loads a fitted reference, or fits one to a data file.
fn load_reference(name: &str, spec: Option<&MonitorSpec>) -> anyhow::Result<Reference> {
    if is_reference(name) {
        return Ok(Reference::load(name.as_ref())?);
    }
    let file = DataFile::open(name)?;
    let mut fitted = fit_rows(&file, spec, None, &mut print_notice)?;
    if fitted.spec.timestamp.path.is_some() {
        calibrate::calibrate(&mut fitted.reference, &file, &fitted.spec)?;
    }
    Ok(fitted.reference)
}

/// Reports whether a file is a fitted reference: JSON that begins with the key `pegel_reference`.
fn is_reference(name: &str) -> bool {
    let mut start = String::new();
    std::fs::File::open(Path::new(name))
        .and_then(|file| file.take(64).read_to_string(&mut start))
        .is_ok()
        && start
            .trim_start()
            .strip_prefix('{')
            .is_some_and(|rest| rest.trim_start().starts_with("\"pegel_reference\""))
}

/// Loads the number of rows and the counts of the current side, in the order of the plan's features.
fn load_current(name: &str, plan: &MonitorPlan) -> anyhow::Result<(u64, Vec<FeatureCounts>)> {
    if !is_reference(name) {
        let (rows, counts) = dataset::count_file(&DataFile::open(name)?, plan)?;
        print_notice(FitNotice::Read(&rows));
        return Ok((rows.rows, counts));
    }
    let current = Reference::load(name.as_ref())?;
    let counts = plan
        .features
        .iter()
        .map(|feature| {
            let fitted = current.feature(&feature.name);
            match (fitted, feature.layout.as_ref()) {
                (None, _) | (_, None) => Ok(FeatureCounts::default()),
                (Some(fitted), Some(layout)) if fitted.layout == *layout => {
                    Ok(fitted.counts.clone())
                }
                (Some(fitted), Some(_)) => Err(UsageError::DifferentLayouts {
                    feature: fitted.name.clone(),
                }),
            }
        })
        .collect::<Result<_, _>>()?;
    Ok((current.rows, counts))
}

/// Gives the monitor one reference, and budgeted alerts if there is no configuration.
fn set_up_comparison(spec: &mut MonitorSpec, is_bare: bool) {
    spec.references = vec![ReferenceSpec::fitted("training", PathBuf::new())];
    spec.features_from_reference |= spec.features.is_empty();
    if is_bare {
        spec.alerts = STATISTICS
            .iter()
            .map(|statistic| AlertSpec {
                statistic: *statistic,
                thresholds: Thresholds::default(),
                budget: Some(Budget::default()),
                for_evaluations: 1,
                keep_firing_for: 0,
                features: None,
            })
            .collect();
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
    let scorer = feature.scorers.first().and_then(Option::as_ref);
    let scores = scorer.map_or(Err(NotReady::NoReference), |scorer| {
        scorer.evaluate(counts, min_samples)
    });
    let rates = feature
        .layout
        .as_deref()
        .map_or_else(Rates::default, |layout| Rates::of(counts, layout));
    FeatureReport {
        plan: feature,
        against: scorer.map(Scorer::reference).cloned(),
        counts,
        rates,
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
    scores?;
    let null_model = feature.calibrations.first()?.as_deref()?;
    let input = AssessmentInput {
        counts,
        scores,
        rates,
        step: None,
        context: WindowContext::default(),
    };
    Some(Arc::new(assess(feature, null_model, &input)))
}

/// Simulates the null tables for the sample sizes of the current side, on all cores.
fn prepare_null_tables(plan: &MonitorPlan, counts: &[FeatureCounts]) {
    let missing: Vec<_> = plan
        .features
        .iter()
        .zip(counts)
        .filter_map(|(feature, counts)| {
            let null_model = feature.calibrations.first()?.as_deref()?;
            let samples = counts.tallies.values;
            (samples > 0 && !null_model.is_prepared(samples)).then_some((null_model, samples))
        })
        .collect();
    let bar = progress::over_items("calibrating", missing.len());
    missing.into_par_iter().for_each(|(null_model, samples)| {
        null_model.prepare(samples);
        bar.inc(1);
    });
    bar.finish_and_clear();
}

fn print(format: CompareFormat, plan: &MonitorPlan, rows: u64, reports: &[FeatureReport<'_>]) {
    match format {
        CompareFormat::Json => anstream::println!("{:#}", to_json(plan, rows, reports)),
        CompareFormat::Markdown => {
            let table = comparison_table::table(reports, TableStyle::Markdown);
            anstream::println!("{table}");
        }
        CompareFormat::Table => {
            let table = comparison_table::table(reports, TableStyle::Terminal);
            anstream::println!("{table}");
            anstream::println!("{}", comparison_table::summary(reports));
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
        "reference": {
            "rows": reference.map_or(0, |reference| reference.rows),
            "hash": reference.map(|reference| &reference.hash),
        },
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
    let verdicts: Vec<Verdict> = reports.iter().map(FeatureReport::verdict).collect();
    if verdicts
        .iter()
        .any(|verdict| matches!(verdict, Verdict::Drift(severity) if *severity >= lowest))
    {
        Exit::Drift
    } else if verdicts
        .iter()
        .any(|verdict| matches!(verdict, Verdict::NotReady(_)))
    {
        Exit::NotReady
    } else {
        Exit::Ok
    }
}

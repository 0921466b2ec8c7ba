//! `pegel compare`: compares two data sets, with all scores and one verdict per feature.
//!
//! Each side is a data file or a fitted reference. A data file on the reference side is fitted
//! first, as `pegel fit` does.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::args::file::FileArgs;
use super::exit::Exit;
use super::fit::print_notice;
use super::monitors::load_monitor_spec;
use super::output::comparison_table;
use super::output::rules::rules_text;
use super::output::stdout::print_line;
use super::output::table::TableStyle;
use super::usage::UsageError;
use crate::batch::dataset::RowCounts;
use crate::batch::fit::calibrate;
use crate::batch::fit::fit_rows::{FitNotice, FitRequest, fit_rows};
use crate::batch::report::{FeatureReport, Verdict, by_urgency};
use crate::batch::{columns, compare, dataset};
use crate::engine::MonitorPlan;
use crate::model::{MonitorSpec, Severity};
use crate::reference::Reference;
use crate::stats::FeatureCounts;

/// Arguments of `pegel compare`.
#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// Reference side: a data file (CSV or NDJSON, plain or gzipped) or a fitted reference
    reference: String,
    /// Current side, a data file or a fitted reference; `-` reads standard input
    current: String,
    /// Take features, `select`, `min_samples` and alerts from this configuration
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Monitor of the configuration; needed if it has several
    #[arg(long, requires = "config")]
    monitor: Option<String>,
    #[command(flatten)]
    form: FileArgs,
    /// Values that a feature needs to be judged [default: the smallest of the configuration's
    /// windows, else 500]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    min_samples: Option<u64>,
    /// Format of the result
    #[arg(long, value_enum, default_value = "table")]
    format: CompareFormat,
    /// Exit with 3 if a feature drifted at this severity or above, else with 4 if one is not ready
    /// or more than 1 % of the current rows could not be read
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

impl FailOn {
    /// The lowest severity that fails.
    const fn lowest(self) -> Severity {
        match self {
            FailOn::Warning => Severity::Warning,
            FailOn::Critical => Severity::Critical,
        }
    }
}

/// Compares both sides and prints the result.
///
/// # Errors
/// A file cannot be read, the configuration is wrong, or the two sides cannot be compared.
pub(super) fn run(args: &CompareArgs) -> anyhow::Result<Exit> {
    let configured = args
        .config
        .as_deref()
        .map(|path| load_monitor_spec(path, args.monitor.as_deref()))
        .transpose()?;
    let is_configured = configured.is_some();
    let has_rules = configured
        .as_ref()
        .is_none_or(|spec| !spec.alerts.is_empty());
    if args.fail_on.is_some() && !has_rules {
        return Err(UsageError::NoRules.into());
    }
    let reference = load_reference(args, configured.as_ref())?;
    let spec = configured.unwrap_or_else(MonitorSpec::bare);
    let min_samples = args
        .min_samples
        .unwrap_or_else(|| compare::min_samples(&spec));
    let plan = compare::plan(spec, is_configured, reference)?;
    if let Some(fail_on) = args.fail_on {
        check_severities(&plan, fail_on.lowest())?;
    }
    let (rows, counts) = load_current(args, &plan)?;
    anstream::eprintln!("{}", rules_text(&plan.spec, is_configured, min_samples));
    let mut reports = compare::compare(&plan, &counts, min_samples);
    if args.format != CompareFormat::Json {
        reports.sort_by(by_urgency);
    }
    print(args.format, &plan, &rows, &reports)?;
    if args.fail_on.is_some() && rows.is_largely_unreadable() {
        anstream::eprintln!(
            "more than 1 % of the rows could not be read: {} of {}",
            rows.unreadable(),
            rows.total()
        );
    }
    Ok(exit(args.fail_on, &rows, &reports))
}

/// Checks that the rules can have the severity of `--fail-on`, and prints the features without such
/// a rule.
fn check_severities(plan: &MonitorPlan, lowest: Severity) -> Result<(), UsageError> {
    let unjudged: Vec<&str> = plan
        .features
        .iter()
        .filter(|feature| feature.rules.iter().all(|rule| rule.severity < lowest))
        .map(|feature| feature.name.as_str())
        .collect();
    if unjudged.len() == plan.features.len() {
        return Err(UsageError::NoRuleOfSeverity { severity: lowest });
    }
    if !unjudged.is_empty() {
        anstream::eprintln!(
            "no rule of severity {lowest}, so --fail-on {lowest} does not judge: {}",
            unjudged.join(", ")
        );
    }
    Ok(())
}

/// Loads a fitted reference, or fits one to a data file.
///
/// The windows of a monitor do not matter: each side is compared as a whole, so the blocks of the
/// reference have the same lengths with and without a configuration.
fn load_reference(args: &CompareArgs, spec: Option<&MonitorSpec>) -> anyhow::Result<Reference> {
    let name = args.reference.as_str();
    if is_reference(name) {
        return Ok(Reference::load(name.as_ref())?);
    }
    let file = args.form.open(name)?;
    let spec = spec.map(|spec| MonitorSpec {
        windows: Vec::new(),
        ..spec.clone()
    });
    let request = FitRequest {
        spec: spec.as_ref(),
        is_forced: true,
        ..FitRequest::default()
    };
    let mut fitted = fit_rows(&file, request, &mut print_notice)?;
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

/// Loads the numbers of rows and the counts of the current side, in the order of the plan's
/// features.
fn load_current(
    args: &CompareArgs,
    plan: &MonitorPlan,
) -> anyhow::Result<(RowCounts, Vec<FeatureCounts>)> {
    let name = args.current.as_str();
    if !is_reference(name) {
        let file = args.form.open(name)?;
        let (rows, counts) = dataset::count_file(&file, plan)?;
        print_notice(FitNotice::Read(&rows));
        for absent in columns::absent_columns(&file, &columns::observed(plan))? {
            print_notice(FitNotice::Absent(&absent));
        }
        return Ok((rows, counts));
    }
    let current = Reference::load(name.as_ref())?;
    let counts = compare::counts_of(&current, plan)?;
    let rows = RowCounts {
        rows: current.rows,
        ..RowCounts::default()
    };
    Ok((rows, counts))
}

fn print(
    format: CompareFormat,
    plan: &MonitorPlan,
    rows: &RowCounts,
    reports: &[FeatureReport<'_>],
) -> anyhow::Result<()> {
    print_line(match format {
        CompareFormat::Json => format!("{:#}", to_json(plan, rows, reports)),
        CompareFormat::Markdown => comparison_table::table(reports, TableStyle::Markdown),
        CompareFormat::Table => comparison_table::terminal(reports),
    })
}

fn to_json(plan: &MonitorPlan, rows: &RowCounts, reports: &[FeatureReport<'_>]) -> Value {
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
        "current": {"rows": rows.rows, "unreadable_rows": rows.unreadable()},
        "features": features,
    })
}

/// Returns the exit code; data that is largely unreadable is never without drift.
fn exit(fail_on: Option<FailOn>, rows: &RowCounts, reports: &[FeatureReport<'_>]) -> Exit {
    let Some(lowest) = fail_on.map(FailOn::lowest) else {
        return Exit::Ok;
    };
    let verdicts: Vec<Verdict> = reports.iter().map(FeatureReport::verdict).collect();
    if verdicts
        .iter()
        .any(|verdict| matches!(verdict, Verdict::Drift(severity) if *severity >= lowest))
    {
        Exit::Drift
    } else if rows.is_largely_unreadable()
        || verdicts
            .iter()
            .any(|verdict| matches!(verdict, Verdict::NotReady(_)))
    {
        Exit::NotReady
    } else {
        Exit::Ok
    }
}

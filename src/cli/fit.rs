//! `pegel fit`: a reference from a data file or a topic range.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;

use super::args::range::{self, RangeArgs};
use super::output::table;
use super::{Exit, UsageError, pick_monitor};
use crate::batch::dataset::{self, RowCounts};
use crate::batch::fit::infer::{Inferred, infer};
use crate::batch::fit::{calibrate, hour_of_week};
use crate::clock;
use crate::config::{self, Config};
use crate::model::{FeatureSpec, Kind, MonitorSpec, Pointer};
use crate::observe::ObserverPlan;
use crate::reference::{FitOptions, HourOfWeek, Reference, fit};
use crate::source::Rows;
use crate::source::files::DataFile;

/// Arguments of `pegel fit`.
#[derive(Debug, Args)]
pub struct FitArgs {
    /// CSV or NDJSON, plain or gzipped; `-` = standard input
    #[arg(required_unless_present = "from", conflicts_with_all = ["from", "to"])]
    input: Option<String>,
    #[command(flatten)]
    range: RangeArgs,
    /// Where to write the reference
    #[arg(short, long, value_name = "REF")]
    output: PathBuf,
    /// Take features, bins and `select` from this configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Which monitor of the configuration
    #[arg(long, requires = "config")]
    monitor: Option<String>,
    /// Use the bins and cells of this reference, so that both can be compared
    #[arg(long, value_name = "REF")]
    layout: Option<PathBuf>,
    /// The rows' time (RFC 3339 or milliseconds): alarm lines then follow how the stream breathes
    #[arg(long, value_name = "COLUMN")]
    timestamp: Option<String>,
    /// Count by hour of the week too, by the clock of this time zone: for `hour_of_week: true`
    #[arg(
        long,
        value_name = "TIMEZONE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "UTC"
    )]
    hour_of_week: Option<String>,
}

/// Fits and saves a reference, and prints what is in it.
///
/// # Errors
/// The data cannot be read, no feature can be fitted, or the reference cannot be written.
pub fn run(args: &FitArgs) -> anyhow::Result<Exit> {
    let config = args.config.as_deref().map(config::load_file).transpose()?;
    let named = |config| pick_monitor(config, args.monitor.as_deref());
    let spec = config.as_ref().map(named).transpose()?;
    let lender = args.layout.as_deref().map(Reference::load).transpose()?;
    let rows = open(args, config.as_ref(), spec.as_ref())?;
    let spec = timed(spec, args.timestamp.as_deref());
    let clock = args.hour_of_week.as_deref();
    let has_path = |spec: &MonitorSpec| spec.timestamp.path.is_some();
    let has_time = rows.are_timed() || spec.as_ref().is_some_and(has_path);
    if clock.is_some() && !has_time {
        bail!(UsageError("--hour-of-week needs the rows' time: say --timestamp, or --config with a timestamp.path".to_owned()));
    }
    let clock = clock.map(|name| HourOfWeek::try_new(name).map(|clock| (name, clock)));
    let clock = clock
        .transpose()
        .map_err(|error| UsageError(error.to_string()))?;
    if let Some(spec) = &spec {
        tell_times(&*rows, spec, args)?;
    }
    let mut fitted = fit_file(&*rows, spec.as_ref(), lender.as_ref())?;
    if let Some((timezone, clock)) = clock {
        let plan = calibrate::plan_of(&fitted.reference, &fitted.spec);
        let profiles = hour_of_week::count(&*rows, &plan, timezone, &clock)?;
        fitted.reference = fitted.reference.with_profiles(profiles);
    }
    calibrate::calibrate(&mut fitted.reference, &*rows, &fitted.spec)?;
    fitted.reference.save(&args.output)?;
    anstream::eprintln!("{}", table::fitted(&fitted.reference));
    anstream::eprintln!(
        "reference of {} rows written to {}",
        fitted.reference.rows,
        args.output.display()
    );
    Ok(Exit::Ok)
}

/// The file, or the topics of the monitor's source.
fn open(
    args: &FitArgs,
    config: Option<&Config>,
    spec: Option<&MonitorSpec>,
) -> anyhow::Result<Box<dyn Rows>> {
    if let (Some(bounds), Some(config)) = (args.range.bounds()?, config) {
        let ranges = range::find(config, spec.map_or(&[], std::slice::from_ref), bounds)?;
        let range = ranges.into_iter().next();
        return Ok(Box::new(range.context("the monitor reads no topic")?));
    }
    let name = args.input.as_deref().unwrap_or_default();
    Ok(Box::new(DataFile::open(name)?))
}

/// Says from when to when the rows are; nothing where they have no time and nobody asked for one.
///
/// # Errors
/// The rows cannot be read, or a time was asked for and no row has one.
fn tell_times(rows: &dyn Rows, spec: &MonitorSpec, args: &FitArgs) -> anyhow::Result<()> {
    if spec.timestamp.path.is_none() && !rows.are_timed() {
        return Ok(());
    }
    match dataset::span(rows, spec)? {
        Some((first, last)) => anstream::eprintln!("rows from {first} to {last}"),
        None if args.timestamp.is_some() || args.hour_of_week.is_some() => bail!(UsageError(
            "no row has a time: expected RFC 3339 with a zone, as 2026-11-01T00:00:00Z, or milliseconds since 1970".to_owned()
        )),
        None => anstream::eprintln!("no row has the time the configuration names: alarm lines are as for independent values"),
    }
    Ok(())
}

/// The monitor with its time in a column, where one is named.
fn timed(spec: Option<MonitorSpec>, column: Option<&str>) -> Option<MonitorSpec> {
    let Some(column) = column else {
        return spec;
    };
    let mut spec = spec.unwrap_or_else(MonitorSpec::bare);
    let pointer = Pointer::parse(column).unwrap_or_default();
    spec.timestamp.path = Some(if column.starts_with('/') {
        pointer
    } else {
        Pointer::default().child(column)
    });
    Some(spec)
}

/// The monitor of a configuration file.
///
/// # Errors
/// The configuration is wrong or has no such monitor.
pub fn monitor_of(path: &Path, name: Option<&str>) -> anyhow::Result<MonitorSpec> {
    pick_monitor(&config::load_file(path)?, name)
}

/// A fitted reference and how the rows fared.
#[derive(Debug)]
pub struct Fitted {
    /// The reference.
    pub reference: Reference,
    /// The rows.
    pub rows: RowCounts,
    /// What was fitted, every feature with its kind.
    pub spec: MonitorSpec,
}

/// Fits what a monitor asks for, or what the columns look like.
///
/// # Errors
/// The data cannot be read, or no feature can be fitted.
pub fn fit_file(
    data: &dyn Rows,
    spec: Option<&MonitorSpec>,
    lender: Option<&Reference>,
) -> anyhow::Result<Fitted> {
    let mut spec = spec.cloned().unwrap_or_else(MonitorSpec::bare);
    if let Some(lender) = lender.filter(|_| spec.features.is_empty()) {
        spec.features = lender
            .features
            .iter()
            .map(|feature| FeatureSpec::new(&feature.name, feature.kind))
            .collect();
    }
    complete(data, &mut spec)?;
    let features: Vec<(String, Kind, _)> = spec
        .features
        .iter()
        .filter_map(|feature| Some((feature.name.clone(), feature.kind?, None)))
        .collect();
    let mut plan = ObserverPlan::default();
    plan.add(&spec, &features);
    let (rows, columns) = dataset::gather(data, &plan)?;
    if let Some(complaint) = rows.complaint() {
        anstream::eprintln!("{complaint}");
    }
    let mut fitted = Vec::new();
    for ((name, kind, _), column) in features.iter().zip(columns) {
        let options = options(name, &spec, lender);
        match fit(name, *kind, column, &options) {
            Ok(feature) => fitted.push(feature),
            Err(error) => anstream::eprintln!("{name}: left out, {error}"),
        }
    }
    if fitted.is_empty() {
        bail!("{}: no feature could be fitted", data.name());
    }
    Ok(Fitted {
        reference: Reference::new(clock::now(), rows.rows, fitted),
        rows,
        spec,
    })
}

/// Finds out the features and kinds that nobody has said.
fn complete(data: &dyn Rows, spec: &mut MonitorSpec) -> anyhow::Result<()> {
    let is_complete =
        !spec.features.is_empty() && spec.features.iter().all(|feature| feature.kind.is_some());
    if is_complete {
        return Ok(());
    }
    let mut inferred =
        infer(data).with_context(|| format!("{}: cannot be looked through", data.name()))?;
    inferred
        .iter_mut()
        .filter(|found| Some(&found.path) == spec.timestamp.path.as_ref())
        .for_each(Inferred::set_time);
    if spec.features.is_empty() {
        anstream::eprintln!("{}", table::inferred(&inferred));
        spec.features = inferred.iter().filter_map(Inferred::feature).collect();
    }
    for feature in spec
        .features
        .iter_mut()
        .filter(|feature| feature.kind.is_none())
    {
        let path = feature
            .path
            .clone()
            .unwrap_or_else(|| spec.root.child(&feature.name));
        let is_same = |found: &&Inferred| found.path == path || found.name == feature.name;
        feature.kind = inferred.iter().find(is_same).and_then(|found| found.kind);
        if feature.kind.is_none() {
            bail!(UsageError(format!(
                "feature {}: say its kind, the data does not tell",
                feature.name
            )));
        }
    }
    Ok(())
}

fn options(name: &str, spec: &MonitorSpec, lender: Option<&Reference>) -> FitOptions {
    let listed = spec.features.iter().find(|feature| feature.name == name);
    FitOptions {
        bins: listed.and_then(|feature| feature.bins.clone()),
        top: listed.and_then(|feature| feature.top),
        layout: lender
            .and_then(|lender| lender.feature(name))
            .map(|feature| Arc::clone(&feature.layout)),
    }
}

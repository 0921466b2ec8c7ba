//! `pegel fit`: builds a reference from a data file or a topic range.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::args::file::FileArgs;
use super::args::range::{self, RangeArgs};
use super::exit::Exit;
use super::monitors::pick_monitor;
use super::output::reference_table;
use super::usage::UsageError;
use crate::batch::dataset::RowCounts;
use crate::batch::fit::MAX_CATEGORIES;
use crate::batch::fit::fit_rows::{FitNotice, FitRequest, FitRowsError, MIN_ROWS, fit_rows};
use crate::batch::fit::infer::ColumnChoice;
use crate::batch::fit::{calibrate, hour_of_week};
use crate::batch::row_times;
use crate::config::{self, Config};
use crate::export::percent;
use crate::model::{MonitorSpec, Pointer};
use crate::reference::{
    BLIND_SHARE, FeatureReference, HOURS, HourOfWeek, Profiles, Reference, other_share,
};
use crate::source::Rows;

/// Arguments of `pegel fit`.
#[derive(Debug, Args)]
pub(super) struct FitArgs {
    /// Data file: CSV or NDJSON, plain or gzipped; `-` reads standard input
    #[arg(required_unless_present = "from", conflicts_with_all = ["from", "to"])]
    input: Option<String>,
    #[command(flatten)]
    range: RangeArgs,
    #[command(flatten)]
    form: FileArgs,
    /// File to write the reference to
    #[arg(short, long, value_name = "REF")]
    output: PathBuf,
    /// Take features, bins and `select` from this configuration
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Monitor of the configuration; needed if it has several
    #[arg(long, requires = "config")]
    monitor: Option<String>,
    /// Use the bins and cells of this reference, so that both can be compared
    #[arg(long, value_name = "REF")]
    layout: Option<PathBuf>,
    /// Column with the time of each row, a text or a number since 1970; thresholds then
    /// account for how much windows of this stream vary
    #[arg(long, value_name = "COLUMN")]
    timestamp: Option<String>,
    /// Count by hour of the week as well, in this time zone; needed for `hour_of_week: true`
    #[arg(
        long,
        value_name = "TIMEZONE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "UTC"
    )]
    hour_of_week: Option<String>,
    /// Leave these inferred columns out, separated by commas
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    exclude: Vec<String>,
    /// Take these inferred columns as categories, separated by commas
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    categorical: Vec<String>,
    /// Take these inferred columns as numbers, separated by commas
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    numeric: Vec<String>,
    /// Fit fewer than 100 rows, and the others where many cannot be read
    #[arg(long)]
    force: bool,
}

/// Fits and saves a reference, and prints its features.
///
/// # Errors
/// The data cannot be read, no feature can be fitted, or the reference cannot be written.
pub(super) fn run(args: &FitArgs) -> anyhow::Result<Exit> {
    UsageError::check_output(&args.output, args.input.as_deref())?;
    let config = args.config.as_deref().map(config::load_file).transpose()?;
    let configured = config
        .as_ref()
        .map(|config| pick_monitor(config, args.monitor.as_deref()))
        .transpose()?;
    let layout = args.layout.as_deref().map(Reference::load).transpose()?;
    let rows = open(args, config.as_ref(), configured.as_ref())?;
    Reference::check_writable(&args.output)?;
    let spec = with_time_column(configured, args.timestamp.as_deref());
    let clock = clock(args)?;
    let choice = ColumnChoice {
        exclude: args.exclude.clone(),
        categorical: args.categorical.clone(),
        numeric: args.numeric.clone(),
    };
    let request = FitRequest {
        spec: spec.as_ref(),
        layout: layout.as_ref(),
        choice: Some(&choice),
        is_forced: args.force,
    };
    let mut fitted = fit_rows(&*rows, request, &mut print_notice)?;
    check_times(&*rows, &fitted.spec, args)?;
    if let Some((timezone, clock)) = clock {
        let plan = calibrate::plan_of(&fitted.reference, &fitted.spec);
        let profiles = hour_of_week::count(&*rows, &plan, timezone, &clock)?;
        anstream::eprintln!("{}", hours_text(&profiles));
        fitted.reference = fitted.reference.with_profiles(profiles);
    }
    calibrate::calibrate(&mut fitted.reference, &*rows, &fitted.spec)?;
    fitted.reference.save(&args.output)?;
    anstream::eprintln!("{}", reference_table::features(&fitted.reference));
    for incident in fitted.reference.incident_texts() {
        anstream::eprintln!("{incident}");
    }
    anstream::eprintln!(
        "reference of {} rows written to {}",
        fitted.reference.rows,
        args.output.display()
    );
    Ok(Exit::Ok)
}

/// Opens the data file, or the topic range of the monitor's source.
fn open(
    args: &FitArgs,
    config: Option<&Config>,
    spec: Option<&MonitorSpec>,
) -> anyhow::Result<Box<dyn Rows>> {
    if let (Some(bounds), Some(config)) = (args.range.bounds()?, config) {
        let monitors = spec.map_or(&[][..], std::slice::from_ref);
        let range = range::find(config, monitors, bounds)?
            .into_iter()
            .next()
            .context("the monitor reads no topic")?;
        return Ok(Box::new(range));
    }
    let name = args.input.as_deref().unwrap_or_default();
    Ok(Box::new(args.form.open(name)?))
}

/// Returns the monitor with its time in `column`, if one is given.
///
/// A column that begins with `/` is a path, any other is the name of a column or member.
fn with_time_column(spec: Option<MonitorSpec>, column: Option<&str>) -> Option<MonitorSpec> {
    let Some(column) = column else {
        return spec;
    };
    let mut spec = spec.unwrap_or_else(MonitorSpec::bare);
    spec.timestamp.path = Some(if column.starts_with('/') {
        Pointer::parse(column).unwrap_or_default()
    } else {
        Pointer::default().child(column)
    });
    Some(spec)
}

/// Returns time zone and clock of `--hour-of-week`, if it is given.
///
/// # Errors
/// The time zone is unknown.
fn clock(args: &FitArgs) -> Result<Option<(&str, HourOfWeek)>, UsageError> {
    let Some(timezone) = args.hour_of_week.as_deref() else {
        return Ok(None);
    };
    Ok(Some((timezone, HourOfWeek::try_new(timezone)?)))
}

/// Prints the first and last time of the rows, if they can have times.
///
/// # Errors
/// The rows cannot be read, or `args` ask for a time and no row has one.
fn check_times(rows: &dyn Rows, spec: &MonitorSpec, args: &FitArgs) -> anyhow::Result<()> {
    if spec.timestamp.path.is_none() && !rows.are_timed() {
        return match args.hour_of_week {
            Some(_) => Err(UsageError::HourOfWeekWithoutTime.into()),
            None => Ok(()),
        };
    }
    let times = row_times::times(rows, spec)?;
    if let Some(unreadable) = times.unreadable_times(rows.name(), spec) {
        if unreadable.are_many() && !args.force {
            return Err(FitRowsError::UnreadableTimes { times: unreadable }.into());
        }
        anstream::eprintln!("{unreadable}");
    }
    match times.span {
        Some((first, last)) => {
            if times.missing > 0 {
                anstream::eprintln!(
                    "{} of {} rows have no time and are in no block",
                    times.missing,
                    times.rows
                );
            }
            let formats: Vec<&str> = times.formats.iter().map(|format| format.name()).collect();
            let formats = match formats.is_empty() {
                true => String::new(),
                false => format!(" ({})", formats.join(", ")),
            };
            anstream::eprintln!("rows from {first} to {last}{formats}");
        }
        None if args.timestamp.is_some() || args.hour_of_week.is_some() => {
            return Err(UsageError::NoRowHasTime.into());
        }
        None => anstream::eprintln!(
            "no row has the configured time, thresholds assume independent samples"
        ),
    }
    Ok(())
}

/// A line about the hours of the week that have rows, and those with enough for a reference.
fn hours_text(profiles: &Profiles) -> String {
    let [with_rows, with_enough] = [1, MIN_ROWS].map(|rows| profiles.hours_with(rows));
    let zone = &profiles.timezone;
    if with_enough == HOURS {
        return format!("hours of the week ({zone}): all {HOURS} have at least {MIN_ROWS} rows");
    }
    format!(
        "warning: hours of the week ({zone}): {with_rows} of {HOURS} have rows, {with_enough} have at \
         least {MIN_ROWS}; an hour with fewer is compared mostly with the whole week"
    )
}

/// Prints a fact about the data on standard error.
pub(super) fn print_notice(notice: FitNotice<'_>) {
    match notice {
        FitNotice::Inferred(columns) => {
            anstream::eprintln!("{}", reference_table::inferred(columns));
            let left_out: Vec<&str> = columns
                .iter()
                .filter(|column| column.may_be_categories)
                .map(|column| column.name.as_str())
                .collect();
            if !left_out.is_empty() {
                anstream::eprintln!(
                    "left out: {}; --categorical NAME takes a column nevertheless",
                    left_out.join(", ")
                );
            }
        }
        FitNotice::Time(column) => anstream::eprintln!(
            "column {} is the only one that holds times and is used as the time of the rows",
            column.name
        ),
        FitNotice::SeveralTimes(names) => anstream::eprintln!(
            "several columns hold times, choose one with --timestamp: {}",
            names.join(", ")
        ),
        FitNotice::Absent(absent) => anstream::eprintln!("{absent}"),
        FitNotice::Column { column, note } => anstream::eprintln!("column {column}: {note}"),
        FitNotice::Rest {
            feature,
            with_bin,
            without_bin,
            top_for_most,
        } => anstream::eprintln!(
            "{}",
            rest_text(feature, with_bin, without_bin, top_for_most)
        ),
        FitNotice::Read(rows) => {
            if let Some(text) = missing_texts(rows) {
                anstream::eprintln!("{text}");
            }
            if let Some(summary) = rows.error_summary() {
                anstream::eprintln!("{summary}");
            }
        }
        FitNotice::LeftOut { feature, error } => {
            anstream::eprintln!("{feature}: left out, {error}");
        }
    }
}

/// A line about the texts of a table that were read as missing values; `None` without any.
pub(super) fn missing_texts(rows: &RowCounts) -> Option<String> {
    /// Most texts that are listed.
    const MAX_LISTED: usize = 5;
    let texts: Vec<String> = rows
        .missing_texts
        .iter()
        .take(MAX_LISTED)
        .map(|(feature, text, count)| format!("{text:?} of {feature} ({count})"))
        .collect();
    let more = rows.missing_texts.len().saturating_sub(MAX_LISTED);
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!texts.is_empty()).then(|| {
        format!(
            "read as missing values: {}{more}; --missing sets other texts",
            texts.join(", ")
        )
    })
}

/// A line about the categories of a feature that share a bin; a warning if they hold most values.
fn rest_text(
    feature: &FeatureReference,
    with_bin: usize,
    without_bin: usize,
    top_for_most: u64,
) -> String {
    let share = other_share(feature).unwrap_or_default();
    let name = &feature.name;
    let total = with_bin + without_bin;
    let rest = format!(
        "{name}: {with_bin} of {total} categories have a bin each, the others ({} of the values) share \
         the bin other",
        percent(share)
    );
    if share < BLIND_SHARE {
        return format!("{rest}; `top` of the feature sets another number");
    }
    let advice = if top_for_most > MAX_CATEGORIES as u64 {
        format!(
            "90 % of the values would need {top_for_most} bins, as in an identifier or free text: leave \
             the feature out, or watch only its unseen_ratio"
        )
    } else {
        format!(
            "`top: {top_for_most}` of the feature in a configuration gives bins to 90 % of the values"
        )
    };
    format!("warning: {rest}, and drift among them is not seen; {advice}")
}

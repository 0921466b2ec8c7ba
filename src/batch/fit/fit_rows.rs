//! Fits the features of a monitor to rows, and infers the features that are not configured.
//!
//! The rows are read twice if kinds have to be inferred: the first time for the kinds, the second
//! time for the values. A single pass would have to keep the values of every column as text until
//! its kind is known.

use std::sync::Arc;

use super::infer::{ChoiceError, ColumnChoice, Inferred, infer, only_time};
use crate::batch::columns::{AbsentColumn, absent_columns};
use crate::batch::dataset::{self, RowCounts};
use crate::batch::row_times::UnreadableTimes;
use crate::clock;
use crate::model::{FeatureSpec, Kind, MonitorSpec};
use crate::observe::ObserverPlan;
use crate::reference::{FeatureReference, FitError, FitOptions, Reference, fit, top_for_most};
use crate::source::{Rows, RowsError};
use crate::stats::Layout;

/// Rows below which a reference is refused.
pub const MIN_ROWS: u64 = 100;
/// A reference is refused if more than one in so many rows cannot be read.
const MAX_UNREAD: u64 = 100;

/// Rows to which no reference can be fitted.
#[derive(Debug, thiserror::Error)]
pub enum FitRowsError {
    /// The rows cannot be read.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// The rows cannot be read to infer the kinds of their columns.
    #[error("{data}: kinds of the columns cannot be inferred")]
    Infer {
        /// Name of the file or topic.
        data: String,
        /// Error of the reader.
        source: RowsError,
    },
    /// A configured feature has no kind, and its values allow none.
    #[error("feature {feature}: kind cannot be inferred ({reason}), set `kind`")]
    UnknownKind {
        /// Name of the feature.
        feature: String,
        /// Reason why not.
        reason: String,
    },
    /// A choice of columns cannot be followed.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    /// Columns are chosen although the configuration lists the features.
    #[error(
        "--exclude, --categorical and --numeric choose among inferred columns, but the configuration \
         lists the features"
    )]
    ChoiceOfListed,
    /// The data is too small for a reference.
    #[error(
        "{data}: {rows} rows are too few for a reference, expected at least {MIN_ROWS}; --force fits \
         one nevertheless"
    )]
    FewRows {
        /// Name of the file or topic.
        data: String,
        /// Number of rows of the monitor.
        rows: u64,
    },
    /// Many rows cannot be read, so the others may not stand for all.
    #[error("{data}: {unread} of {rows} rows cannot be read ({reasons}); --force fits the others")]
    ManyUnread {
        /// Name of the file or topic.
        data: String,
        /// Rows that cannot be read.
        unread: u64,
        /// Rows read, whether they can be decoded or not.
        rows: u64,
        /// Number of rows by reason.
        reasons: String,
    },
    /// So many rows have no readable time that the others do not stand for all.
    #[error("{times}; --force fits the reference without the times of these rows")]
    UnreadableTimes {
        /// The rows, with one of them.
        times: UnreadableTimes,
    },
    /// Every feature was left out.
    #[error("{data}: no feature could be fitted")]
    NoFeature {
        /// Name of the file or topic.
        data: String,
    },
}

impl FitRowsError {
    /// Reports whether the configuration is wrong, as opposed to a failure at run time.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(
            self,
            FitRowsError::UnknownKind { .. }
                | FitRowsError::Choice(_)
                | FitRowsError::ChoiceOfListed
        )
    }
}

/// A fact about the data that a user wants to see while a reference is fitted.
#[derive(Debug)]
pub enum FitNotice<'a> {
    /// The kinds of all columns were inferred.
    Inferred(&'a [Inferred]),
    /// The only column that holds times is the time of the rows.
    Time(&'a Inferred),
    /// Several columns hold times, so none is the time of the rows.
    SeveralTimes(&'a [&'a str]),
    /// A fact about an inferred column that a user may not expect.
    Column {
        /// Name of the column.
        column: &'a str,
        /// The fact as a sentence.
        note: &'a str,
    },
    /// Some rows may have been unreadable, and some values missing.
    Read(&'a RowCounts),
    /// Categories without a bin of their own share the bin `other`.
    Rest {
        /// The fitted feature.
        feature: &'a FeatureReference,
        /// Its categories that have a bin each.
        with_bin: usize,
        /// Its categories that share a bin.
        without_bin: usize,
        /// The `top` that would give bins to nine tenths of its values.
        top_for_most: u64,
    },
    /// The data has no column of a feature.
    Absent(&'a AbsentColumn),
    /// A feature is left out of the reference.
    LeftOut {
        /// Name of the feature.
        feature: &'a str,
        /// Reason why it cannot be fitted.
        error: &'a FitError,
    },
}

/// A reference without calibration, and the monitor that it was fitted for.
#[derive(Debug)]
pub struct FittedRows {
    /// The fitted reference.
    pub reference: Reference,
    /// The monitor with every feature and its kind.
    pub spec: MonitorSpec,
}

/// The reference that a user asks for.
#[derive(Debug, Clone, Copy, Default)]
pub struct FitRequest<'a> {
    /// The monitor; without one, or without features in it, the columns of the data suggest them.
    pub spec: Option<&'a MonitorSpec>,
    /// Bins and cells are taken from this reference where it has the feature.
    pub layout: Option<&'a Reference>,
    /// The columns that the user decides about.
    pub choice: Option<&'a ColumnChoice>,
    /// True if a reference of few or of not all rows is wanted.
    pub is_forced: bool,
}

/// Fits the features of a monitor, or those that the columns suggest if it has none.
///
/// `notify` is called for everything that a user should see, in the order in which it happens.
///
/// # Errors
/// The rows cannot be read or are too few, a kind is unknown, a choice of columns cannot be
/// followed, or no feature can be fitted.
pub fn fit_rows(
    data: &dyn Rows,
    request: FitRequest<'_>,
    notify: &mut dyn FnMut(FitNotice<'_>),
) -> Result<FittedRows, FitRowsError> {
    let layout = request.layout;
    let mut spec = request.spec.cloned().unwrap_or_else(MonitorSpec::bare);
    if let Some(layout) = layout.filter(|_| spec.features.is_empty()) {
        spec.features = layout
            .features
            .iter()
            .map(|feature| FeatureSpec::new(&feature.name, feature.kind))
            .collect();
    }
    infer_missing_kinds(data, &mut spec, request.choice, notify)?;
    let features: Vec<(String, Kind, _)> = spec
        .features
        .iter()
        .filter_map(|feature| Some((feature.name.clone(), feature.kind?, None)))
        .collect();
    let mut plan = ObserverPlan::default();
    plan.add(&spec, &features);
    let (rows, columns) = dataset::gather(data, &plan)?;
    notify(FitNotice::Read(&rows));
    for absent in absent_columns(data, &plan)? {
        notify(FitNotice::Absent(&absent));
    }
    if !request.is_forced {
        check_rows(data, &rows)?;
    }
    let mut fitted = Vec::new();
    for ((feature, kind, _), column) in features.iter().zip(columns) {
        let top = top_for_most(&column);
        match fit(feature, *kind, column, &options(feature, &spec, layout)) {
            Ok(reference) => {
                notify_of_rest(&reference, top, notify);
                fitted.push(reference);
            }
            Err(error) => notify(FitNotice::LeftOut {
                feature,
                error: &error,
            }),
        }
    }
    if fitted.is_empty() {
        return Err(FitRowsError::NoFeature {
            data: data.name().to_owned(),
        });
    }
    Ok(FittedRows {
        reference: Reference::new(clock::now(), rows.rows, fitted),
        spec,
    })
}

/// Tells how many categories share the bin `other`, if any.
fn notify_of_rest(
    feature: &FeatureReference,
    top_for_most: u64,
    notify: &mut dyn FnMut(FitNotice<'_>),
) {
    if let Layout::Categorical(layout) = &*feature.layout
        && !layout.others().is_empty()
    {
        notify(FitNotice::Rest {
            feature,
            with_bin: layout.names().len(),
            without_bin: layout.others().len(),
            top_for_most,
        });
    }
}

/// Refuses data that does not stand for a stream: few rows, or many that cannot be read.
fn check_rows(data: &dyn Rows, counts: &RowCounts) -> Result<(), FitRowsError> {
    let data = data.name().to_owned();
    let unread: u64 = counts.errors.values().sum();
    let rows = counts.rows + counts.filtered + unread;
    if unread > rows / MAX_UNREAD {
        return Err(FitRowsError::ManyUnread {
            data,
            unread,
            rows,
            reasons: counts.error_reasons(),
        });
    }
    if counts.rows < MIN_ROWS {
        return Err(FitRowsError::FewRows {
            data,
            rows: counts.rows,
        });
    }
    Ok(())
}

/// Takes the only column of times as the time of the rows, unless they have one.
fn choose_time(
    data: &dyn Rows,
    columns: &mut [Inferred],
    spec: &mut MonitorSpec,
    notify: &mut dyn FnMut(FitNotice<'_>),
) {
    if let Some(path) = &spec.timestamp.path {
        columns
            .iter_mut()
            .filter(|column| column.path == *path)
            .for_each(Inferred::mark_as_time);
        return;
    }
    if data.are_timed() {
        return;
    }
    if let Some(time) = only_time(columns) {
        time.mark_as_time();
        spec.timestamp.path = Some(time.path.clone());
        notify(FitNotice::Time(time));
        return;
    }
    let names: Vec<&str> = columns
        .iter()
        .filter(|column| column.times.is_some())
        .map(|column| column.name.as_str())
        .collect();
    if !names.is_empty() {
        notify(FitNotice::SeveralTimes(&names));
    }
}

/// Completes a monitor with inferred features, or with the kinds that its features lack.
fn infer_missing_kinds(
    data: &dyn Rows,
    spec: &mut MonitorSpec,
    choice: Option<&ColumnChoice>,
    notify: &mut dyn FnMut(FitNotice<'_>),
) -> Result<(), FitRowsError> {
    let choice = choice.filter(|choice| !choice.is_empty());
    if choice.is_some() && !spec.features.is_empty() {
        return Err(FitRowsError::ChoiceOfListed);
    }
    let is_complete =
        !spec.features.is_empty() && spec.features.iter().all(|feature| feature.kind.is_some());
    if is_complete {
        return Ok(());
    }
    let mut columns = infer(data).map_err(|source| FitRowsError::Infer {
        data: data.name().to_owned(),
        source,
    })?;
    if let Some(choice) = choice {
        choice.apply(&mut columns)?;
    }
    choose_time(data, &mut columns, spec, notify);
    if spec.features.is_empty() {
        notify(FitNotice::Inferred(&columns));
        for column in &columns {
            if let Some(note) = &column.note {
                notify(FitNotice::Column {
                    column: &column.name,
                    note,
                });
            }
        }
        spec.features = columns.iter().filter_map(Inferred::feature).collect();
    }
    for feature in spec
        .features
        .iter_mut()
        .filter(|feature| feature.kind.is_none())
    {
        let path = feature
            .path
            .clone()
            .unwrap_or_else(|| spec.root.feature(&feature.name));
        let column = columns
            .iter()
            .find(|column| column.path == path || column.name == feature.name);
        feature.kind = column.and_then(|column| column.kind);
        if feature.kind.is_none() {
            return Err(FitRowsError::UnknownKind {
                feature: feature.name.clone(),
                reason: column.map_or_else(
                    || "the data has no such column".to_owned(),
                    |column| column.reason.clone(),
                ),
            });
        }
    }
    Ok(())
}

fn options(name: &str, spec: &MonitorSpec, layout: Option<&Reference>) -> FitOptions {
    let configured = spec.features.iter().find(|feature| feature.name == name);
    let like = layout.and_then(|reference| reference.feature(name));
    FitOptions {
        bins: configured.and_then(|feature| feature.bins.clone()),
        top: configured.and_then(|feature| feature.top),
        layout: like.map(|feature| Arc::clone(&feature.layout)),
        layout_bins: like.and_then(|feature| feature.bins.clone()),
    }
}

//! Fits the features of a monitor to rows, and infers the features that are not configured.
//!
//! The rows are read twice if kinds have to be inferred: the first time for the kinds, the second
//! time for the values. A single pass would have to keep the values of every column as text until
//! its kind is known.

use std::sync::Arc;

use super::infer::{Inferred, infer};
use crate::batch::dataset::{self, RowCounts};
use crate::clock;
use crate::model::{FeatureSpec, Kind, MonitorSpec};
use crate::observe::ObserverPlan;
use crate::reference::{FitError, FitOptions, Reference, fit};
use crate::source::{Rows, RowsError};

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
    #[error("feature {feature}: kind cannot be inferred, set `kind`")]
    UnknownKind {
        /// Name of the feature.
        feature: String,
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
        matches!(self, FitRowsError::UnknownKind { .. })
    }
}

/// A fact about the data that a user wants to see while a reference is fitted.
#[derive(Debug)]
pub enum FitNotice<'a> {
    /// The kinds of all columns were inferred.
    Inferred(&'a [Inferred]),
    /// Some rows may have been unreadable.
    Read(&'a RowCounts),
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

/// Fits the features of `spec`, or those that the columns suggest if it has none.
///
/// Bins and cells are taken from `layout` where it has the feature. `notify` is called for
/// everything that a user should see, in the order in which it happens.
///
/// # Errors
/// The rows cannot be read, a kind is unknown, or no feature can be fitted.
pub fn fit_rows(
    data: &dyn Rows,
    spec: Option<&MonitorSpec>,
    layout: Option<&Reference>,
    notify: &mut dyn FnMut(FitNotice<'_>),
) -> Result<FittedRows, FitRowsError> {
    let mut spec = spec.cloned().unwrap_or_else(MonitorSpec::bare);
    if let Some(layout) = layout.filter(|_| spec.features.is_empty()) {
        spec.features = layout
            .features
            .iter()
            .map(|feature| FeatureSpec::new(&feature.name, feature.kind))
            .collect();
    }
    infer_missing_kinds(data, &mut spec, notify)?;
    let features: Vec<(String, Kind, _)> = spec
        .features
        .iter()
        .filter_map(|feature| Some((feature.name.clone(), feature.kind?, None)))
        .collect();
    let mut plan = ObserverPlan::default();
    plan.add(&spec, &features);
    let (rows, columns) = dataset::gather(data, &plan)?;
    notify(FitNotice::Read(&rows));
    let mut fitted = Vec::new();
    for ((feature, kind, _), column) in features.iter().zip(columns) {
        match fit(feature, *kind, column, &options(feature, &spec, layout)) {
            Ok(reference) => fitted.push(reference),
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

/// Completes a monitor with inferred features, or with the kinds that its features lack.
fn infer_missing_kinds(
    data: &dyn Rows,
    spec: &mut MonitorSpec,
    notify: &mut dyn FnMut(FitNotice<'_>),
) -> Result<(), FitRowsError> {
    let is_complete =
        !spec.features.is_empty() && spec.features.iter().all(|feature| feature.kind.is_some());
    if is_complete {
        return Ok(());
    }
    let mut columns = infer(data).map_err(|source| FitRowsError::Infer {
        data: data.name().to_owned(),
        source,
    })?;
    columns
        .iter_mut()
        .filter(|column| Some(&column.path) == spec.timestamp.path.as_ref())
        .for_each(Inferred::mark_as_time);
    if spec.features.is_empty() {
        notify(FitNotice::Inferred(&columns));
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
            .unwrap_or_else(|| spec.root.child(&feature.name));
        feature.kind = columns
            .iter()
            .find(|column| column.path == path || column.name == feature.name)
            .and_then(|column| column.kind);
        if feature.kind.is_none() {
            return Err(FitRowsError::UnknownKind {
                feature: feature.name.clone(),
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

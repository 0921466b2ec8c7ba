//! Errors in the content of an artefact.

use crate::stats::BinsError;

/// Content of an artefact that contradicts itself although its hash matches.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// The kind is not one of this program's kinds.
    #[error("unknown kind {kind:?}")]
    UnknownKind {
        /// Kind in the file.
        kind: String,
    },
    /// A feature has both numbers and categories, or neither.
    #[error("needs either numbers or categories")]
    NumbersOrCategories,
    /// The edges do not bound bins.
    #[error("edges")]
    Edges(#[from] BinsError),
    /// The scale of the cells is not positive and finite.
    #[error("cells around {median} with scale {scale} are not usable")]
    CellScale {
        /// Anchor of the cells.
        median: f64,
        /// Scale of the cells.
        scale: f64,
    },
    /// An atom lies in a cell or bin that does not exist.
    #[error("atom in cell {cell} and bin {bin} is outside the layout")]
    AtomOutsideLayout {
        /// Cell of the atom.
        cell: usize,
        /// Bin of the atom.
        bin: usize,
    },
    /// The atoms do not add up to the samples.
    #[error("atoms add up to {values} values, expected {samples}")]
    Samples {
        /// Values in all atoms.
        values: u64,
        /// Samples of the feature.
        samples: u64,
    },
    /// Counts by hour of the week belong to a feature that is not in the file.
    #[error("hour of the week {hour} of a feature that is not in the file")]
    UnknownFeature {
        /// Hour of the counts.
        hour: usize,
    },
    /// An hour is not one of 168, or has another number of bins than the feature.
    #[error("hour of the week {hour} with {bins} bins is outside the layout")]
    HourOutsideLayout {
        /// Hour of the counts.
        hour: usize,
        /// Bins of the counts.
        bins: usize,
    },
}

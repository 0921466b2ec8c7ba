//! The reference: the distribution of each feature in data that is known to be good.
//!
//! A reference is fitted once, from data, and frozen. Its layout decides in which bins and cells
//! the stream is counted, and windows are compared with its counts. It is stored in one readable,
//! versioned JSON file, which also holds the null distributions that were computed at the fit.
//! Scores and thresholds are computed elsewhere, in `score` and `calibration`.

mod artefact;
mod atom;
mod content_error;
mod document;
mod feature_reference;
mod fit;
mod fitted_bins;
mod hour_mixture;
mod hour_of_week;
mod incident;
mod monitor_reference;
mod named_features;
mod null_tables;
mod number_facts;
mod other_bin;
mod weighted_counts;

pub use artefact::{ArtefactError, VERSION};
pub use atom::Atom;
pub use content_error::ContentError;
pub use feature_reference::FeatureReference;
pub use fit::{Column, FitError, FitOptions, fit};
pub use hour_mixture::{HourCounts, HourMixture, dominant};
pub use hour_of_week::{HOURS, HourOfWeek, Profiles, QUARTER, UnknownTimezone};
pub use incident::Incident;
pub use monitor_reference::Reference;
pub use named_features::NamedFeatures;
pub use null_tables::{BlockStatistics, FeatureCalibration, NullSize, NullTable, RateBlocks};
pub use number_facts::NumberFacts;
pub use other_bin::{BLIND_SHARE, least_top, other_share, top_for_most};

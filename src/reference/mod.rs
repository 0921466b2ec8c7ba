//! The reference: the distribution a feature had when all was well.
//!
//! A reference is fitted once, from data, and frozen: its layout decides in which bins and cells the stream is counted, its counts are what windows are
//! compared with. It lives in one readable, versioned JSON file.

mod artefact;
mod document;
mod fit;
mod from_counts;
mod hour_mixture;
mod hour_of_week;
mod null_tables;

pub use artefact::{ArtefactError, VERSION};
pub use fit::{Column, DEFAULT_BINS, DEFAULT_TOP, FitError, FitOptions, fit};
pub use hour_mixture::{HourCounts, HourMixture, dominant};
pub use hour_of_week::{HOURS, HourOfWeek, Profiles, UnknownTimezone};
pub use null_tables::{BlockStatistics, FeatureCalibration, NullSize, NullTable};

use std::sync::Arc;

use crate::model::{EventTime, Kind};
use crate::stats::{CellCounts, FeatureCounts, Layout};

/// The reference of one feature.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureReference {
    /// The feature's name.
    pub name: String,
    /// What it is made of.
    pub kind: Kind,
    /// Where its values are counted.
    pub layout: Arc<Layout>,
    /// How the reference's rows fared, and its counts per bin and per cell.
    pub counts: FeatureCounts,
    /// Exact facts about the numbers; `None` for categories.
    pub numbers: Option<NumberFacts>,
    /// Counts per pair of cell and score bin, ascending; their margins are `counts`. Empty for categories.
    pub atoms: Vec<Atom>,
    /// Categories that occur once; how often one never seen may come. 0 for numbers.
    pub seen_once: u64,
}

/// The values of one cell that lie in one score bin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Atom {
    /// In `0..CELLS`.
    pub cell: usize,
    /// In `0..layout.len()`.
    pub bin: usize,
    /// How many.
    pub count: u64,
    /// Sum of their places in the cell.
    pub sum: i64,
}

/// Exact facts about a numeric reference, taken from its rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NumberFacts {
    /// Mean.
    pub mean: f64,
    /// Standard deviation, divisor `rows`; exactly 0 when all values are equal.
    pub std: f64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Whether the smallest value occurs more than once.
    pub min_tied: bool,
    /// Whether the largest value occurs more than once.
    pub max_tied: bool,
    /// Whether the bins' edges came from elsewhere than these values.
    pub edges_given: bool,
}

/// A fitted reference of a monitor.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// When it was fitted.
    pub created: EventTime,
    /// Rows read.
    pub rows: u64,
    /// Content hash, lower-case hexadecimal SHA-256 (of everything but the time of creation).
    pub hash: String,
    /// The features, in the order of the data.
    pub features: Vec<FeatureReference>,
    /// The counts by hour of the week, where they were asked for.
    pub profiles: Option<Profiles>,
    /// One per feature, or empty where nothing was calibrated yet; not part of the hash.
    pub calibration: Vec<FeatureCalibration>,
}

impl Reference {
    /// A reference of fitted features, created at a time.
    #[must_use]
    pub fn new(created: EventTime, rows: u64, features: Vec<FeatureReference>) -> Self {
        let hash = artefact::content_hash(rows, &features, None);
        Reference {
            created,
            rows,
            hash,
            features,
            profiles: None,
            calibration: Vec::new(),
        }
    }

    /// The same with its counts by hour of the week.
    #[must_use]
    pub fn with_profiles(mut self, profiles: Profiles) -> Self {
        self.hash = artefact::content_hash(self.rows, &self.features, Some(&profiles));
        self.profiles = Some(profiles);
        self
    }

    /// The counts of a feature by hour of the week; 168 of them.
    #[must_use]
    pub fn hours_of(&self, name: &str) -> Option<&[FeatureCounts]> {
        let named = |feature: &FeatureReference| feature.name == name;
        let place = self.features.iter().position(named)?;
        let profiles = self.profiles.as_ref()?.features.get(place)?;
        (profiles.len() == HOURS).then_some(profiles.as_slice())
    }

    /// What is stored about a feature when nothing happens.
    #[must_use]
    pub fn calibration_of(&self, name: &str) -> Option<&FeatureCalibration> {
        let named = self
            .features
            .iter()
            .position(|feature| feature.name == name);
        named.and_then(|index| self.calibration.get(index))
    }

    /// The reference of a feature.
    #[must_use]
    pub fn feature(&self, name: &str) -> Option<&FeatureReference> {
        self.features.iter().find(|feature| feature.name == name)
    }
}

impl FeatureReference {
    /// The standard deviation that normalises Wasserstein: 1 where the reference has none.
    #[must_use]
    pub fn unit_std(&self) -> f64 {
        self.numbers
            .map(|numbers| numbers.std)
            .filter(|std| *std > 0.0)
            .unwrap_or(1.0)
    }

    /// Counts per cell.
    #[must_use]
    pub const fn cells(&self) -> &CellCounts {
        &self.counts.cells
    }
}

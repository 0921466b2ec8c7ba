//! The reference: the distribution a feature had when all was well.
//!
//! A reference is fitted once, from data, and frozen: its layout decides in which bins and cells the stream is counted, its counts are what windows are
//! compared with. It lives in one readable, versioned JSON file.

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
    /// Exact facts about the numbers; `None` for categories and when there was no value.
    pub numbers: Option<NumberFacts>,
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
}

/// A fitted reference of a monitor.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// When it was fitted.
    pub created: EventTime,
    /// Rows read.
    pub rows: u64,
    /// Content hash, lower-case hexadecimal SHA-256.
    pub hash: String,
    /// The features, in the order of the data.
    pub features: Vec<FeatureReference>,
}

impl Reference {
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

//! What a reference says about no drift: laws of clean windows, and of its own stretches.
//!
//! Null laws could be made again from the counts at any time and are kept to save it; stretches could not, because the rows are gone. Both are plain numbers, six
//! significant digits each, so that a stored law and one made again are the same bit for bit.

use serde::{Deserialize, Serialize};

use crate::stats::Law;

/// How one feature behaves when nothing happens.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct FeatureCalibration {
    /// Laws of clean windows.
    pub nulls: Vec<NullTable>,
    /// Laws of stretches, by length; empty where the reference carries no time.
    pub stretches: Vec<Stretches>,
    /// The same against the rest of the reference in the same hours of the week; empty where it has no such profiles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hour_of_week: Vec<Stretches>,
}

/// The laws of every score in clean windows of one size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NullTable {
    /// Windows of `2^k` values.
    pub k: u32,
    /// In the order of the simulated statistics; `None` where a score has no law.
    pub laws: Vec<Option<Law>>,
}

/// The laws of every score over stretches of one length, each against the rest of the reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stretches {
    /// Their length.
    pub window_ms: u64,
    /// How many fit side by side.
    pub effective: f64,
    /// Values in one, on average.
    pub samples: f64,
    /// `1/n + 1/(m - n)`, on average.
    pub v: f64,
    /// By how much their scores are larger than those of clean windows; at least 1, in the order of the simulated statistics.
    pub design_effect: Vec<f64>,
    /// In the order of the simulated statistics; `None` where a score has no law.
    pub laws: Vec<Option<Law>>,
    /// Of the squared difference of the missing rate, over `missing_v`.
    pub missing: Option<Law>,
    /// `v` of events.
    pub missing_v: f64,
}

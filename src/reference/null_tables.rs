//! What a reference says about no drift: laws of clean windows, and of its own stretches.
//!
//! Null laws could be made again from the counts at any time and are kept to save it; stretches could not, because the rows are gone. Both are plain numbers, six
//! significant digits each, so that a stored law and one the same program makes again are the same bit for bit.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::stats::EmpiricalDistribution;

/// How one feature behaves when nothing happens.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct FeatureCalibration {
    /// Laws of clean windows.
    pub nulls: Vec<NullTable>,
    /// Laws of stretches, by length; empty where the reference carries no time.
    pub stretches: Vec<BlockStatistics>,
    /// The same against the rest of the reference in the same hours of the week; empty where it has no such profiles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hour_of_week: Vec<BlockStatistics>,
}

/// The laws of every score in clean windows of one size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NullTable {
    /// Of the windows.
    #[serde(flatten)]
    pub size: NullSize,
    /// In the order of the simulated statistics; `None` where a score has no law.
    pub laws: Vec<Option<EmpiricalDistribution>>,
}

/// The size of clean windows: `2^k` values, or the middle of the octave above, rounded down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NullSize {
    /// The power of two.
    pub k: u32,
    /// Whether it is times the root of two.
    #[serde(default, rename = "half", skip_serializing_if = "std::ops::Not::not")]
    pub is_half: bool,
}

impl NullSize {
    /// Values in a window.
    #[must_use]
    pub const fn values(self) -> u64 {
        if self.is_half {
            (1_u64 << (2 * self.k + 1)).isqrt()
        } else {
            1 << self.k
        }
    }
}

impl fmt::Display for NullSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let half = if self.is_half { ".5" } else { "" };
        write!(f, "{}{half}", self.k)
    }
}

/// The laws of every score over stretches of one length, each against the rest of the reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlockStatistics {
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
    pub laws: Vec<Option<EmpiricalDistribution>>,
    /// Of the squared difference of the missing rate, over `missing_v`.
    pub missing: Option<EmpiricalDistribution>,
    /// `v` of events.
    pub missing_v: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_whole_octaves_are_written_as_they_ever_were() {
        let check = |text: &str, k: u32, is_half: bool| {
            let table: NullTable = serde_json::from_str(text).unwrap();
            assert_eq!(table.size, NullSize { k, is_half }, "{text}");
            assert_eq!(
                serde_json::to_string(&table).unwrap(),
                text,
                "written again"
            );
        };
        check(r#"{"k":9,"laws":[null]}"#, 9, false);
        check(r#"{"k":9,"half":true,"laws":[null]}"#, 9, true);
    }
}

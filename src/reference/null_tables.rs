//! The calibration that a reference stores: null distributions, and statistics of its blocks.
//!
//! Null distributions follow from the counts and are stored to save the simulation. Statistics of
//! blocks cannot be computed again, because the rows no longer exist. All numbers have six
//! significant digits, so that a stored distribution and one that the same program computes again
//! are equal bit for bit.
//!
//! The fields are stored under their old keys.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::incident::Incident;
use crate::stats::EmpiricalDistribution;

/// The calibration of one feature.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct FeatureCalibration {
    /// Null distributions, one table per size of window.
    pub nulls: Vec<NullTable>,
    /// Statistics of blocks, by length; empty where the reference's rows have no time.
    #[serde(rename = "stretches")]
    pub blocks: Vec<BlockStatistics>,
    /// Statistics of blocks against the rest of the reference in the same hours of the week.
    ///
    /// Empty where the reference has no counts by hour of the week.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hour_of_week: Vec<BlockStatistics>,
}

/// The null distributions of every simulated score in windows of one size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NullTable {
    /// Size of the windows.
    #[serde(flatten)]
    pub size: NullSize,
    /// Distributions of `T / noise variance`, in the order of the simulated statistics.
    ///
    /// `T` is the score on its quadratic scale. `None` where the score does not exist, is infinite,
    /// or never differs from 0.
    #[serde(rename = "laws")]
    pub distributions: Vec<Option<EmpiricalDistribution>>,
}

/// The size of simulated windows: `2^k` values, or `2^(k + 1/2)`, rounded down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NullSize {
    /// Exponent of the power of two.
    pub k: u32,
    /// Set for the middle of the octave: the power of two times the root of two.
    #[serde(default, rename = "half", skip_serializing_if = "std::ops::Not::not")]
    pub is_half: bool,
}

impl NullSize {
    /// Number of values in a window.
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

/// The scores of a reference's blocks of one length, each against the rest of the reference.
///
/// `n` is the number of values in a block, `m` in the reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlockStatistics {
    /// Length of a block in milliseconds.
    pub window_ms: u64,
    /// Number of independent blocks, `B`: at most as many as fit side by side.
    pub effective: f64,
    /// `B` without the bias of its estimate, where scores stay correlated for longer than a block.
    ///
    /// `None` where they do not, and in files from before this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub independent: Option<f64>,
    /// Mean number of values in a block.
    pub samples: f64,
    /// Mean noise variance `1/n + 1/(m - n)` of the tenth of the blocks with most values.
    #[serde(rename = "v")]
    pub noise_variance: f64,
    /// Mean score of blocks over mean score of null windows, `phi`; at least 1.
    ///
    /// In the order of the simulated statistics.
    pub design_effect: Vec<f64>,
    /// Distributions of `T / noise variance`, in the order of the simulated statistics.
    ///
    /// `T` is the score on its quadratic scale. `None` where the score does not exist or never
    /// differs from 0.
    #[serde(rename = "laws")]
    pub distributions: Vec<Option<EmpiricalDistribution>>,
    /// Distribution of the squared difference of the missing rates over their noise variance.
    ///
    /// `None` where the rates never differ.
    pub missing: Option<EmpiricalDistribution>,
    /// The same noise variance for a block's events, instead of its values.
    #[serde(rename = "missing_v")]
    pub missing_noise_variance: f64,
    /// The same for the rate of invalid values, where only a rate above the rest's counts.
    ///
    /// `None` where no block exceeds the rest, and in files from before this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid: Option<RateBlocks>,
    /// The same for the rate of unseen categories.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen: Option<RateBlocks>,
    /// The same for the rate of values out of range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_of_range: Option<RateBlocks>,
    /// Factor by which the number of rare values varies more than that of independent ones; at
    /// least 1, and 1 in files from before this field.
    #[serde(rename = "rare", default = "one", skip_serializing_if = "is_one")]
    pub rare_design_effect: f64,
    /// The time ranges whose blocks are left out of the distributions, in order of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub incidents: Vec<Incident>,
}

const fn one() -> f64 {
    1.0
}

fn is_one(factor: &f64) -> bool {
    factor.to_bits() == 1.0_f64.to_bits()
}

/// The rates of a reference's blocks of one length, each against the rest of the reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RateBlocks {
    /// Distribution of the squared excess over the rest's rate over its noise variance.
    #[serde(rename = "law")]
    pub distribution: EmpiricalDistribution,
    /// The same noise variance for a block's present values.
    #[serde(rename = "v")]
    pub noise_variance: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_keep_their_keys() {
        let check = |text: &str, k: u32, is_half: bool| {
            let table: NullTable = serde_json::from_str(text).unwrap();
            assert_eq!(table.size, NullSize { k, is_half }, "{text}");
            assert_eq!(serde_json::to_string(&table).unwrap(), text, "round trip");
        };
        check(r#"{"k":9,"laws":[null]}"#, 9, false);
        check(r#"{"k":9,"half":true,"laws":[null]}"#, 9, true);
    }

    #[test]
    fn statistics_of_blocks_keep_their_keys() {
        let text = concat!(
            r#"{"window_ms":60000,"effective":30.0,"samples":900.0,"v":0.5,"#,
            r#""design_effect":[1.0],"laws":[null],"missing":null,"missing_v":0.25}"#
        );
        let read: BlockStatistics = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text, "round trip");
    }
}

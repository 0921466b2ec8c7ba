//! The bins that each numeric feature was fitted with, as an artefact records them.
//!
//! A configuration is compared with them: `bins: 10` has no effect on a reference with other bins.
//! They are not part of the content hash, because nothing is computed from them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::feature_reference::FeatureReference;
use crate::model::{BinsSpec, HdrBins};

/// The bins of one feature; the names of the variants and fields are keys of the file.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum BinsEntry {
    /// This number of bins of equal mass.
    Count(usize),
    /// The edges of the content.
    Edges,
    /// Log-linear bins.
    Hdr {
        /// Significant decimal digits.
        digits: u8,
        /// The smallest difference that matters.
        unit: f64,
    },
}

/// The record of all features, by name.
pub(super) fn record(features: &[FeatureReference]) -> BTreeMap<String, BinsEntry> {
    features
        .iter()
        .filter_map(|feature| {
            let entry = match feature.bins.as_ref()? {
                BinsSpec::Count(count) => BinsEntry::Count(*count),
                BinsSpec::Edges(_) => BinsEntry::Edges,
                BinsSpec::Hdr(HdrBins { digits, unit }) => BinsEntry::Hdr {
                    digits: *digits,
                    unit: *unit,
                },
            };
            Some((feature.name.clone(), entry))
        })
        .collect()
}

/// Adds the recorded bins to the features.
pub(super) fn restore(features: &mut [FeatureReference], record: &BTreeMap<String, BinsEntry>) {
    for feature in features {
        let Some(layout) = feature.layout.numeric() else {
            continue;
        };
        feature.bins = record.get(&feature.name).map(|entry| match *entry {
            BinsEntry::Count(count) => BinsSpec::Count(count),
            BinsEntry::Edges => BinsSpec::Edges(layout.bins.edges().to_vec()),
            BinsEntry::Hdr { digits, unit } => BinsSpec::Hdr(HdrBins { digits, unit }),
        });
    }
}

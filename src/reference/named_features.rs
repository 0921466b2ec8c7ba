//! The features of a reference, with a look-up by name.

use std::ops::Deref;

use rustc_hash::FxHashMap;

use super::feature_reference::FeatureReference;

/// The features of a reference in the order of the data.
///
/// A monitor looks every feature up when it starts, and each published view does so again. The
/// names do not change, so their positions are kept.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NamedFeatures {
    features: Vec<FeatureReference>,
    /// By name: the position of the first feature with it.
    positions: FxHashMap<Box<str>, usize>,
}

impl NamedFeatures {
    /// The position of a feature.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.positions.get(name).copied()
    }
}

impl From<Vec<FeatureReference>> for NamedFeatures {
    fn from(features: Vec<FeatureReference>) -> Self {
        let mut positions = FxHashMap::default();
        for (position, feature) in features.iter().enumerate() {
            positions
                .entry(feature.name.as_str().into())
                .or_insert(position);
        }
        NamedFeatures {
            features,
            positions,
        }
    }
}

impl Deref for NamedFeatures {
    type Target = [FeatureReference];

    fn deref(&self) -> &[FeatureReference] {
        &self.features
    }
}

impl<'a> IntoIterator for &'a NamedFeatures {
    type Item = &'a FeatureReference;
    type IntoIter = std::slice::Iter<'a, FeatureReference>;

    fn into_iter(self) -> Self::IntoIter {
        self.features.iter()
    }
}

//! Values of a wrong kind, as a log line needs them: which feature, and one of its values.
//!
//! The counters have the number only. A person needs the value and the remedy, once for each
//! feature: a stream in which a number became text would fill the log.

use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::plan::ObservedMonitor;
use crate::decode::{Fields, expected_instead};
use crate::model::Shard;

/// The first value of a feature that has not the feature's kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongKind {
    /// Name of the monitor.
    pub monitor: String,
    /// Name of the feature.
    pub feature: String,
    /// The value, what is expected and the remedy, in words.
    pub advice: String,
    /// The shard of the record.
    pub shard: Arc<Shard>,
}

/// Collects the first wrong value of each feature until it is reported.
#[derive(Debug, Default)]
pub(super) struct WrongKinds {
    /// Indices of the monitors and features that had one.
    known: FxHashSet<(usize, usize)>,
    /// The new ones of the present record.
    noted: Vec<(usize, usize)>,
    unreported: Vec<WrongKind>,
}

impl WrongKinds {
    /// Notes a wrong value of a feature in the present record.
    #[inline]
    pub(super) fn note(&mut self, monitor: usize, feature: usize) {
        if self.known.insert((monitor, feature)) {
            self.noted.push((monitor, feature));
        }
    }

    /// Describes the noted values of the present record.
    #[inline]
    pub(super) fn describe(
        &mut self,
        monitors: &[ObservedMonitor],
        fields: Fields<'_>,
        shard: &Arc<Shard>,
    ) {
        for (monitor, feature) in self.noted.drain(..) {
            let monitor = &monitors[monitor];
            let feature = &monitor.features[feature];
            let advice = expected_instead(feature.kind, feature.read(fields), fields.scratch);
            self.unreported.extend(advice.map(|advice| WrongKind {
                monitor: monitor.name.clone(),
                feature: feature.name.clone(),
                advice,
                shard: Arc::clone(shard),
            }));
        }
    }

    /// Takes at most `count` values that were not taken yet, the first ones first.
    pub(super) fn take(&mut self, count: usize) -> Vec<WrongKind> {
        let count = count.min(self.unreported.len());
        self.unreported.drain(..count).collect()
    }
}

//! The specification and the references from which features are planned, with look-ups by name.
//!
//! Every feature asks for its entry in the configuration, its rules and its references. With a list
//! to walk through for each, a monitor of ten thousand features took seconds to plan.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::problem::PlanProblem;
use super::reference::ReferenceView;
use crate::model::{AlertIndex, FeatureSpec, MonitorId, MonitorSpec};

/// The specification and references of a monitor.
#[derive(Debug)]
pub(super) struct PlanInputs<'a> {
    pub(super) id: MonitorId,
    pub(super) spec: &'a MonitorSpec,
    pub(super) references: &'a [ReferenceView],
    /// The listed features by name.
    pub(super) listed: FxHashMap<&'a str, &'a FeatureSpec>,
    pub(super) alerts: AlertIndex<'a>,
    /// Names of the features in the loaded references, each once.
    known: Arc<[String]>,
    /// Names of the loaded references.
    loaded: Vec<String>,
}

impl<'a> PlanInputs<'a> {
    /// The inputs of a monitor with these references.
    pub(super) fn new(
        id: MonitorId,
        spec: &'a MonitorSpec,
        references: &'a [ReferenceView],
    ) -> Self {
        let mut names = FxHashSet::default();
        let known = references
            .iter()
            .filter_map(|reference| reference.loaded.as_ref())
            .flat_map(|reference| &reference.features)
            .map(|feature| feature.name.as_str())
            .filter(|name| names.insert(*name))
            .map(str::to_owned)
            .collect();
        PlanInputs {
            id,
            spec,
            references,
            listed: spec.listed(),
            alerts: AlertIndex::new(&spec.alerts),
            known,
            loaded: references
                .iter()
                .filter(|reference| reference.loaded.is_some())
                .map(|reference| reference.name.clone())
                .collect(),
        }
    }

    /// The monitored features: the listed ones, then those that only a reference has, if they are
    /// monitored as well.
    pub(super) fn feature_names(&self) -> impl Iterator<Item = &str> {
        let unlisted =
            self.known.iter().map(String::as_str).filter(|name| {
                self.spec.features_from_reference && !self.listed.contains_key(name)
            });
        self.spec
            .features
            .iter()
            .map(|feature| feature.name.as_str())
            .chain(unlisted)
    }

    /// The problem of a feature that no loaded reference has; `None` where none is loaded.
    pub(super) fn not_in_reference(&self, feature: &str) -> Option<PlanProblem> {
        (!self.loaded.is_empty()).then(|| PlanProblem::NotInReference {
            feature: feature.to_owned(),
            references: self.loaded.clone(),
            known: Arc::clone(&self.known),
        })
    }
}

//! A monitor ready to run: the user's specification joined with the references that could be loaded.
//!
//! A plan is immutable and shared. A reference that cannot be loaded is a problem of the plan and not
//! an error: the monitor counts and compares whatever else it can.

mod feature;
mod hour_of_week;
mod noise_check;
mod reference;
mod rule;

use std::sync::Arc;

pub use feature::FeaturePlan;
pub use hour_of_week::HourOfWeekReference;
use noise_check::noise_warnings;
pub use reference::{LoadedReference, ReferenceDynamics, ReferencePlan, ReferenceView};
pub use rule::{Rule, ThresholdSource};

use crate::model::{Kind, MonitorId, MonitorSpec};
use crate::panes::identity;
use crate::stats::Layout;

/// A monitor ready to run.
#[derive(Debug, Clone)]
pub struct MonitorPlan {
    /// The key of its counts in the pane log.
    pub id: MonitorId,
    /// The user's specification.
    pub spec: Arc<MonitorSpec>,
    /// Its references, in configuration order.
    pub references: Vec<ReferenceView>,
    /// Listed features first, then those that only a reference has.
    pub features: Vec<FeaturePlan>,
    /// Faults that disable a part of the monitor and leave the rest running.
    pub problems: Vec<String>,
    /// Fixed thresholds that noise alone crosses.
    pub warnings: Vec<String>,
}

impl MonitorPlan {
    /// Joins a monitor with its references.
    ///
    /// `loaded` has one entry for each of `spec.references` that comes from a file, in that order.
    #[must_use]
    pub fn new(spec: MonitorSpec, loaded: Vec<LoadedReference>) -> Self {
        let mut loaded = loaded.into_iter();
        let references: Vec<ReferenceView> = spec
            .references
            .iter()
            .map(|reference| {
                let file = reference.origin.file().and_then(|_| loaded.next());
                ReferenceView::new(reference, file)
            })
            .collect();
        let mut problems = Vec::new();
        let id = identity::monitor(&spec);
        let features: Vec<FeaturePlan> = feature_names(&spec, &references)
            .iter()
            .filter_map(|name| FeaturePlan::new(name, id, &spec, &references, &mut problems))
            .collect();
        problems.extend(alerts_on_unknown_features(&spec, &features));
        let warnings = references
            .iter()
            .enumerate()
            .filter_map(|(index, reference)| Some((index, reference.loaded.as_ref()?)))
            .flat_map(|(index, reference)| {
                features.iter().flat_map(move |feature| {
                    noise_warnings(feature, &feature.references[index], reference)
                })
            })
            .collect();
        MonitorPlan {
            id,
            spec: Arc::new(spec),
            references,
            features,
            problems,
            warnings,
        }
    }

    /// Name, kind and layout of each feature, for the observer.
    #[must_use]
    pub fn observed(&self) -> Vec<(String, Kind, Option<Arc<Layout>>)> {
        self.features
            .iter()
            .map(|feature| (feature.name.clone(), feature.kind, feature.layout.clone()))
            .collect()
    }
}

fn feature_names(spec: &MonitorSpec, references: &[ReferenceView]) -> Vec<String> {
    let mut names: Vec<String> = spec
        .features
        .iter()
        .map(|feature| feature.name.clone())
        .collect();
    let loaded = references
        .iter()
        .filter_map(|reference| reference.loaded.as_ref())
        .filter(|_| spec.features_from_reference);
    for feature in loaded.flat_map(|reference| &reference.features) {
        if !names.contains(&feature.name) {
            names.push(feature.name.clone());
        }
    }
    names
}

fn alerts_on_unknown_features(spec: &MonitorSpec, features: &[FeaturePlan]) -> Vec<String> {
    spec.alerts
        .iter()
        .flat_map(|alert| {
            alert
                .features
                .iter()
                .flatten()
                .filter(|name| !features.iter().any(|feature| feature.name == **name))
                .map(|name| {
                    format!(
                        "alert on {}: feature {name} is not monitored",
                        alert.statistic
                    )
                })
        })
        .collect()
}

//! Faults of a monitor that show once its references are loaded.
//!
//! A fault disables a part of the monitor and leaves the rest running. It names the part of the
//! specification that has to change, so that the configuration can point to its line.

use std::sync::Arc;

use crate::model::{BinsSpec, Kind, Statistic, suggest};

/// The part of a monitor's specification that a problem is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanSubject {
    /// A feature, by name.
    Feature(String),
    /// An alert rule, by index.
    Alert(usize),
}

/// A fault that disables a part of a monitor.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanProblem {
    /// The kind is neither configured nor known from a reference.
    #[error(
        "feature {feature}: kind is unknown, set `kind` or fit a reference that has the feature"
    )]
    UnknownKind {
        /// Name of the feature.
        feature: String,
    },
    /// No loaded reference has a listed feature.
    #[error("feature {feature}: not in reference {}, {}", .references.join(", "), suggestion(.feature, .known))]
    NotInReference {
        /// Name of the feature.
        feature: String,
        /// Names of the loaded references.
        references: Vec<String>,
        /// Names of the features in the references.
        known: Arc<[String]>,
    },
    /// The reference was fitted for another kind.
    #[error(
        "feature {feature}: configured as {}, but the reference was fitted as {}; fit it again",
        .configured.name(),
        .fitted.name()
    )]
    OtherKind {
        /// Name of the feature.
        feature: String,
        /// The configured kind.
        configured: Kind,
        /// The kind in the reference.
        fitted: Kind,
    },
    /// The reference has other edges than the configured ones.
    #[error(
        "feature {feature}: the reference was fitted with other bin edges; fit it again with this \
         configuration"
    )]
    OtherEdges {
        /// Name of the feature.
        feature: String,
    },
    /// The reference was fitted with other bins than the configured ones.
    #[error(
        "feature {feature}: expected \"bins\" as in the reference, {fitted}, found {configured}; or \
         fit it again with this configuration"
    )]
    OtherBins {
        /// Name of the feature.
        feature: String,
        /// The configured bins.
        configured: BinsSpec,
        /// The bins that the reference was fitted with.
        fitted: BinsSpec,
    },
    /// The reference keeps another number of categories than the configured one.
    #[error(
        "feature {feature}: expected \"top\" as in the reference, {fitted}, found {configured}; or fit \
         it again with this configuration"
    )]
    OtherTop {
        /// Name of the feature.
        feature: String,
        /// The configured number of categories.
        configured: usize,
        /// The number of categories with a bin in the reference.
        fitted: usize,
    },
    /// `bins` is set and the reference was fitted for categories, or `top` for numbers.
    #[error("feature {feature}: \"{option}\" has no effect on a {} feature", .kind.name())]
    NoEffect {
        /// Name of the feature.
        feature: String,
        /// Name of the option.
        option: &'static str,
        /// The kind in the reference.
        kind: Kind,
    },
    /// A further reference has other bins or cells than the first.
    #[error(
        "feature {feature}: reference {reference} has another layout; fit it again with --layout"
    )]
    OtherLayout {
        /// Name of the feature.
        feature: String,
        /// Name of the reference.
        reference: String,
    },
    /// A rule names a feature that the monitor does not have.
    #[error("alert on {statistic}: feature {feature} is not monitored, {}", suggestion(.feature, .known))]
    AlertOnUnknownFeature {
        /// Index of the rule.
        alert: usize,
        /// The rule's statistic.
        statistic: Statistic,
        /// Name of the feature.
        feature: String,
        /// Names of the monitored features.
        known: Arc<[String]>,
    },
    /// A rule names a feature whose kind does not have the statistic.
    #[error("alert on {statistic}: {statistic} does not exist for {} features such as {feature}", .kind.name())]
    AlertOnOtherKind {
        /// Index of the rule.
        alert: usize,
        /// The rule's statistic.
        statistic: Statistic,
        /// Name of the feature.
        feature: String,
        /// Kind of the feature.
        kind: Kind,
    },
}

impl PlanProblem {
    /// The part of the specification that has to change.
    #[must_use]
    pub fn subject(&self) -> PlanSubject {
        match self {
            PlanProblem::UnknownKind { feature }
            | PlanProblem::NotInReference { feature, .. }
            | PlanProblem::OtherKind { feature, .. }
            | PlanProblem::OtherEdges { feature }
            | PlanProblem::OtherBins { feature, .. }
            | PlanProblem::OtherTop { feature, .. }
            | PlanProblem::NoEffect { feature, .. }
            | PlanProblem::OtherLayout { feature, .. } => PlanSubject::Feature(feature.clone()),
            PlanProblem::AlertOnUnknownFeature { alert, .. }
            | PlanProblem::AlertOnOtherKind { alert, .. } => PlanSubject::Alert(*alert),
        }
    }
}

fn suggestion(unknown: &str, known: &[String]) -> String {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    suggest(unknown, &known)
}

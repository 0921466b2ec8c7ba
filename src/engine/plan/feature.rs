//! A feature ready to be counted and scored: its layout, its references and its rules.

use std::sync::Arc;

use super::reference::{ReferencePlan, ReferenceView, reference_plans};
use super::rule::{Rule, budgeted_statistics, rules_of};
use crate::model::{BinsSpec, FeatureSpec, Kind, LayoutId, MonitorId, MonitorSpec, Role};
use crate::panes::identity;
use crate::reference::FeatureReference;
use crate::score::Scorer;
use crate::stats::Layout;

/// A feature ready to be counted and scored.
#[derive(Debug, Clone)]
pub struct FeaturePlan {
    /// The value of the label `feature`.
    pub name: String,
    /// The key of its counts in the pane log.
    pub id: LayoutId,
    /// Numeric, categorical or boolean.
    pub kind: Kind,
    /// Input or prediction of the model.
    pub role: Role,
    /// The bins and cells of its values; `None` where no reference has the feature.
    pub layout: Option<Arc<Layout>>,
    /// One plan for each of the monitor's references, in its order.
    pub references: Vec<ReferencePlan>,
    /// The rules in force.
    pub rules: Vec<Rule>,
    /// Statistics that share the budget of false alarms.
    pub budgeted_statistics: u32,
}

impl FeaturePlan {
    /// Plans a feature; `None` where its kind is unknown, which is one of the `problems`.
    pub(super) fn new(
        name: &str,
        monitor: MonitorId,
        spec: &MonitorSpec,
        references: &[ReferenceView],
        problems: &mut Vec<String>,
    ) -> Option<Self> {
        let listed = spec.features.iter().find(|feature| feature.name == name);
        let fitted: Vec<Option<&FeatureReference>> = references
            .iter()
            .map(|reference| reference.loaded.as_ref()?.feature(name))
            .collect();
        let first = fitted.iter().flatten().next().copied();
        let Some(kind) = listed
            .and_then(|feature| feature.kind)
            .or(first.map(|reference| reference.kind))
        else {
            problems.push(format!(
                "feature {name}: kind is unknown, set `kind` or fit a reference that has the feature"
            ));
            return None;
        };
        let layout = first
            .filter(|reference| is_fitted_as_configured(reference, kind, listed, problems))
            .map(|reference| Arc::clone(&reference.layout));
        let scorers = references
            .iter()
            .zip(&fitted)
            .map(|(reference, fitted)| {
                let fitted = fitted.filter(|_| layout.is_some())?;
                if Some(&fitted.layout) != layout.as_ref() {
                    problems.push(format!(
                        "feature {name}: reference {} has another layout; fit it again with --layout",
                        reference.name
                    ));
                    return None;
                }
                let scorer = Scorer::new(Arc::new(fitted.clone()), spec.pseudo_count);
                Some(Arc::new(scorer))
            })
            .collect();
        let rules = rules_of(name, kind, spec);
        let budgeted_statistics = budgeted_statistics(&rules);
        let is_calibrated = budgeted_statistics > 0;
        Some(FeaturePlan {
            name: name.to_owned(),
            id: identity::layout(monitor, spec, name, kind, layout.as_deref()),
            kind,
            role: listed.map(|feature| feature.role).unwrap_or_default(),
            references: reference_plans(name, spec, references, scorers, is_calibrated),
            layout,
            rules,
            budgeted_statistics,
        })
    }

    /// True if a rule of the feature has a threshold that follows from a budget.
    #[must_use]
    pub const fn is_calibrated(&self) -> bool {
        self.budgeted_statistics > 0
    }

    /// The scorers of the fitted references, in the monitor's order; references without one are
    /// skipped.
    pub fn scorers(&self) -> impl Iterator<Item = &Scorer> {
        self.references
            .iter()
            .filter_map(|reference| reference.scorer.as_deref())
    }
}

/// Checks that a reference was fitted for the feature as it is configured; a difference is a
/// problem.
fn is_fitted_as_configured(
    reference: &FeatureReference,
    kind: Kind,
    listed: Option<&FeatureSpec>,
    problems: &mut Vec<String>,
) -> bool {
    let name = &reference.name;
    if reference.kind != kind {
        problems.push(format!(
            "feature {name}: configured as {}, but the reference was fitted as {}; fit it again",
            kind.name(),
            reference.kind.name()
        ));
        return false;
    }
    let edges = listed.and_then(|feature| match &feature.bins {
        Some(BinsSpec::Edges(edges)) => Some(edges),
        _ => None,
    });
    let fitted = reference.layout.numeric().map(|layout| layout.bins.edges());
    if let (Some(edges), Some(fitted)) = (edges, fitted)
        && edges.as_slice() != fitted
    {
        problems.push(format!(
            "feature {name}: the reference was fitted with other bin edges; \
             fit it again with this configuration"
        ));
        return false;
    }
    true
}

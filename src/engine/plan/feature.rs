//! A feature ready to be counted and scored: its layout, its references and its rules.

use std::sync::Arc;
use std::time::Duration;

use super::inputs::PlanInputs;
use super::problem::PlanProblem;
use super::reference::{ReferencePlan, reference_plans};
use super::rule::{Rule, ThresholdSource, budgeted_statistics, rules_of};
use crate::model::{BinsSpec, FeatureSpec, Kind, LayoutId, MonitorSpec, Role, Statistic};
use crate::panes::identity;
use crate::reference::FeatureReference;
use crate::score::Scorer;
use crate::stats::Layout;

/// The largest share of windows without drift that may exceed a threshold of a feature, however
/// long the interval between windows. It is also the share where there is only one window.
const MAX_ALPHA: f64 = 0.01;

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
    /// Statistics that have a budget of false alarms.
    pub budgeted_statistics: u32,
    /// Thresholds that share one budget: those of the feature in one window against one reference,
    /// or those of the whole monitor.
    pub budget_shares: u32,
    /// The statistics that are assessed where the feature is calibrated, in the order of
    /// [`Statistic::ALL`].
    pub assessed: Vec<Statistic>,
}

impl FeaturePlan {
    /// Plans a feature; `None` where its kind is unknown, which is one of the `problems`.
    pub(super) fn new(
        name: &str,
        inputs: &PlanInputs<'_>,
        problems: &mut Vec<PlanProblem>,
    ) -> Option<Self> {
        let (spec, references) = (inputs.spec, inputs.references);
        let listed = inputs.listed.get(name).copied();
        let fitted: Vec<Option<&FeatureReference>> = references
            .iter()
            .map(|reference| reference.loaded.as_ref()?.feature(name))
            .collect();
        let first = fitted.iter().flatten().next().copied();
        let Some(kind) = listed
            .and_then(|feature| feature.kind)
            .or(first.map(|reference| reference.kind))
        else {
            problems.push(inputs.not_in_reference(name).unwrap_or_else(|| {
                PlanProblem::UnknownKind {
                    feature: name.to_owned(),
                }
            }));
            return None;
        };
        if first.is_none() {
            problems.extend(inputs.not_in_reference(name));
        }
        let layout = first
            .filter(|reference| is_fitted_as_configured(reference, kind, listed, problems))
            .map(|reference| Arc::clone(&reference.layout));
        let scorers = references
            .iter()
            .zip(&fitted)
            .map(|(reference, fitted)| {
                let fitted = fitted.filter(|_| layout.is_some())?;
                if Some(&fitted.layout) != layout.as_ref() {
                    problems.push(PlanProblem::OtherLayout {
                        feature: name.to_owned(),
                        reference: reference.name.clone(),
                    });
                    return None;
                }
                let scorer = Scorer::new(Arc::new(fitted.clone()), spec.pseudo_count);
                Some(Arc::new(scorer))
            })
            .collect();
        let rules = rules_of(name, kind, &inputs.alerts);
        let budgeted_statistics = budgeted_statistics(&rules);
        let is_calibrated = budgeted_statistics > 0;
        Some(FeaturePlan {
            name: name.to_owned(),
            id: identity::layout(inputs.id, spec, name, listed, kind, layout.as_deref()),
            kind,
            role: listed.map(|feature| feature.role).unwrap_or_default(),
            references: reference_plans(name, spec, references, scorers, is_calibrated),
            layout,
            assessed: assessed_statistics(spec, &rules),
            rules,
            budgeted_statistics,
            budget_shares: budgeted_statistics,
        })
    }

    /// True if a rule of the feature has a threshold that follows from a budget.
    #[must_use]
    pub const fn is_calibrated(&self) -> bool {
        self.budgeted_statistics > 0
    }

    /// The thresholds that budgets are divided among: one per budgeted statistic, window and
    /// reference.
    pub(super) fn budgeted_thresholds(&self, spec: &MonitorSpec) -> u32 {
        let comparisons = self.usable_references().max(1) * spec.windows.len().max(1);
        let comparisons = u32::try_from(comparisons).unwrap_or(u32::MAX);
        self.budgeted_statistics.saturating_mul(comparisons)
    }

    /// The number of references that the feature is compared with.
    fn usable_references(&self) -> usize {
        let is_usable =
            |reference: &&ReferencePlan| reference.scorer.is_some() || reference.dynamics.is_some();
        self.references.iter().filter(is_usable).count()
    }

    /// The false alarms per second that the budgeted rules expect in windows of one slide, against
    /// all references.
    pub(super) fn exceedances(&self, slide: Duration) -> f64 {
        let of_rule = |rule: &Rule| match rule.threshold_source {
            ThresholdSource::Fixed(_) => 0.0,
            ThresholdSource::Budget { interval, .. } => {
                self.alpha(interval, Some(slide)) / slide.as_secs_f64()
            }
        };
        let per_reference: f64 = self.rules.iter().map(of_rule).sum();
        per_reference * self.usable_references() as f64
    }

    /// The share of windows without drift that may exceed one budgeted threshold; `step` is the
    /// time between windows, `None` where there is only one.
    ///
    /// `min(step / interval / budget shares, MAX_ALPHA / budgeted statistics)`: all thresholds that
    /// share a budget are exceeded once in `interval`, however many there are, and those of one
    /// window at most in one window of a hundred.
    #[must_use]
    pub fn alpha(&self, interval: Duration, step: Option<Duration>) -> f64 {
        let most = MAX_ALPHA / f64::from(self.budgeted_statistics.max(1));
        step.map_or(most, |step| {
            let frequency = step.as_secs_f64() / interval.as_secs_f64();
            most.min(frequency / f64::from(self.budget_shares.max(1)))
        })
    }

    /// The scorers of the fitted references, in the monitor's order; references without one are
    /// skipped.
    pub fn scorers(&self) -> impl Iterator<Item = &Scorer> {
        self.references
            .iter()
            .filter_map(|reference| reference.scorer.as_deref())
    }
}

/// The statistics that somebody reads: those of the rules, the exported ones in their own and in
/// their calibrated form, and the two whose thresholds are always shown.
fn assessed_statistics(spec: &MonitorSpec, rules: &[Rule]) -> Vec<Statistic> {
    Statistic::ALL
        .iter()
        .copied()
        .filter(|statistic| {
            matches!(statistic, Statistic::Js | Statistic::WassersteinBody)
                || rules.iter().any(|rule| rule.statistic == *statistic)
                || spec
                    .statistics
                    .iter()
                    .any(|listed| listed == statistic || listed.budgeted() == *statistic)
        })
        .collect()
}

/// Checks that a reference was fitted for the feature as it is configured; a difference is a
/// problem.
fn is_fitted_as_configured(
    reference: &FeatureReference,
    kind: Kind,
    listed: Option<&FeatureSpec>,
    problems: &mut Vec<PlanProblem>,
) -> bool {
    let difference = difference(reference, kind, listed);
    let is_alike = difference.is_none();
    problems.extend(difference);
    is_alike
}

/// The first difference between a reference and the configured feature.
fn difference(
    reference: &FeatureReference,
    kind: Kind,
    listed: Option<&FeatureSpec>,
) -> Option<PlanProblem> {
    let feature = reference.name.clone();
    if reference.kind != kind {
        return Some(PlanProblem::OtherKind {
            feature,
            configured: kind,
            fitted: reference.kind,
        });
    }
    let listed = listed?;
    let without_effect = match kind {
        Kind::Numeric => listed.top.map(|_| "top"),
        Kind::Categorical if listed.coerce => Some("coerce"),
        Kind::Categorical => listed.bins.as_ref().map(|_| "bins"),
        Kind::Boolean => listed
            .bins
            .as_ref()
            .map(|_| "bins")
            .or(listed.top.map(|_| "top")),
    };
    if let Some(option) = without_effect {
        return Some(PlanProblem::NoEffect {
            feature,
            option,
            kind,
        });
    }
    match reference.layout.as_ref() {
        Layout::Numeric(layout) => match (&listed.bins, &reference.bins) {
            (Some(BinsSpec::Edges(edges)), _) => (edges.as_slice() != layout.bins.edges())
                .then_some(PlanProblem::OtherEdges { feature }),
            (Some(configured), Some(fitted)) => {
                (configured != fitted).then(|| PlanProblem::OtherBins {
                    feature,
                    configured: configured.clone(),
                    fitted: fitted.clone(),
                })
            }
            // A reference that was fitted before its bins were recorded can have any.
            (None, _) | (_, None) => None,
        },
        Layout::Categorical(layout) => {
            let configured = listed.top?;
            let fitted = layout.names().len();
            let categories = fitted + layout.others().len();
            (fitted != configured.min(categories)).then_some(PlanProblem::OtherTop {
                feature,
                configured,
                fitted,
            })
        }
    }
}

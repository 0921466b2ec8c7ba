//! A monitor made ready to run: what the user asked for, joined with the references that could be loaded.

use std::sync::Arc;
use std::time::Duration;

use super::ReferenceView;
use super::doubt::noisy_lines;
use super::moving::{Mover, movers};
use crate::alert::{AlertTiming, Threshold};
use crate::calibration::NullModel;
use crate::model::{
    BinsSpec, FeatureSpec, Kind, LayoutId, MonitorId, MonitorSpec, Role, Severity, Statistic,
    Tolerance,
};
use crate::panes::identity;
use crate::reference::{FeatureReference, Reference};
use crate::score::Scorer;
use crate::stats::Layout;

/// A reference as it was found: loaded, or why not.
pub type LoadedReference = Result<Arc<Reference>, String>;

/// A monitor ready to run.
#[derive(Debug, Clone)]
pub struct MonitorPlan {
    /// What its events are filed under.
    pub id: MonitorId,
    /// What the user asked for.
    pub spec: Arc<MonitorSpec>,
    /// In configuration order.
    pub references: Vec<ReferenceView>,
    /// Listed features first, then the reference's own.
    pub features: Vec<FeaturePlan>,
    /// What is wrong but does not stop the rest.
    pub problems: Vec<String>,
    /// Fixed lines that noise alone would cross.
    pub warnings: Vec<String>,
}

/// A feature ready to be counted and scored.
#[derive(Debug, Clone)]
pub struct FeaturePlan {
    /// Its name.
    pub name: String,
    /// What its counts are filed under.
    pub id: LayoutId,
    /// Its kind.
    pub kind: Kind,
    /// Its role.
    pub role: Role,
    /// `None` where no reference says how to count.
    pub layout: Option<Arc<Layout>>,
    /// One per reference; `None` where there is nothing to compare with.
    pub scorers: Vec<Option<Scorer>>,
    /// One per reference; `None` where no line is calibrated.
    pub calibrations: Vec<Option<Arc<NullModel>>>,
    /// One per reference; `None` where it stays what it is, or there is nothing to compare with.
    pub movers: Vec<Option<Mover>>,
    /// The lines in force.
    pub rules: Vec<Rule>,
    /// Statistics that share the budget of false alarms.
    pub budgeted_statistics: u32,
}

/// Where the line of a rule comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ThresholdSource {
    /// A number given by the user.
    Fixed(f64),
    /// A budget of false alarms.
    Budget {
        /// One false alarm in this time is accepted.
        interval: Duration,
        /// What is not news.
        tolerance: Tolerance,
        /// The statistic the rule names, whose unit the tolerance has.
        of: Statistic,
    },
}

/// One line on one statistic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// What is judged.
    pub statistic: Statistic,
    /// How urgent.
    pub severity: Severity,
    /// Where its line comes from.
    pub threshold_source: ThresholdSource,
    /// How long it takes.
    pub patience: AlertTiming,
}

impl Rule {
    /// The line at a number given by the user.
    #[must_use]
    pub const fn fixed_line(&self, threshold: f64) -> Threshold {
        if self.statistic.alarms_below() {
            Threshold::at_least(threshold)
        } else {
            Threshold::fixed(threshold)
        }
    }
}

impl MonitorPlan {
    /// Joins a monitor with its references; `loaded` has one for each of `spec.references` that comes from a file, in that order.
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
        let names = feature_names(&spec, &references);
        let id = identity::monitor(&spec);
        let features: Vec<FeaturePlan> = names
            .iter()
            .filter_map(|name| plan_feature(name, id, &spec, &references, &mut problems))
            .collect();
        let is_known = |name: &&String| features.iter().any(|own| own.name == **name);
        for alert in &spec.alerts {
            let unknown = alert
                .features
                .iter()
                .flatten()
                .filter(|name| !is_known(name));
            problems.extend(unknown.map(|name| {
                format!(
                    "alert on {}: no feature {name} is monitored",
                    alert.statistic
                )
            }));
        }
        let fitted = references.iter().enumerate();
        let fitted = fitted.filter_map(|(index, own)| Some((index, own.loaded.as_ref()?)));
        let warnings = fitted.flat_map(|(index, reference)| {
            let all = features.iter();
            all.flat_map(move |feature| noisy_lines(feature, index, reference))
        });
        let warnings = warnings.collect();
        MonitorPlan {
            id,
            spec: Arc::new(spec),
            references,
            features,
            problems,
            warnings,
        }
    }

    /// Name, kind and layout of the features, for the observer.
    #[must_use]
    pub fn observed(&self) -> Vec<(String, Kind, Option<Arc<Layout>>)> {
        let observed =
            |feature: &FeaturePlan| (feature.name.clone(), feature.kind, feature.layout.clone());
        self.features.iter().map(observed).collect()
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
        .filter_map(|reference| reference.loaded.as_ref());
    for reference in loaded.filter(|_| spec.features_from_reference) {
        for feature in &reference.features {
            if !names.contains(&feature.name) {
                names.push(feature.name.clone());
            }
        }
    }
    names
}

fn plan_feature(
    name: &str,
    monitor: MonitorId,
    spec: &MonitorSpec,
    references: &[ReferenceView],
    problems: &mut Vec<String>,
) -> Option<FeaturePlan> {
    let listed = spec.features.iter().find(|feature| feature.name == name);
    let found: Vec<Option<&FeatureReference>> = references
        .iter()
        .map(|reference| reference.loaded.as_ref()?.feature(name))
        .collect();
    let first = found.iter().flatten().next().copied();
    let Some(kind) = listed
        .and_then(|feature| feature.kind)
        .or(first.map(|reference| reference.kind))
    else {
        problems.push(format!(
            "feature {name}: no kind is given and no reference says what it is"
        ));
        return None;
    };
    let layout = first
        .filter(|reference| fits(reference, kind, listed, problems))
        .map(|reference| Arc::clone(&reference.layout));
    let scorer = |(reference, own): (&ReferenceView, &Option<&FeatureReference>)| {
        let own = own.filter(|_| layout.is_some())?;
        if Some(&own.layout) != layout.as_ref() {
            let other = &reference.name;
            problems.push(format!(
                "feature {name}: reference {other} has another layout; fit it again with --layout"
            ));
            return None;
        }
        Some(Scorer::new(Arc::new(own.clone()), spec.pseudo_count))
    };
    let scorers: Vec<Option<Scorer>> = references.iter().zip(&found).map(scorer).collect();
    let rules = rules(name, kind, spec);
    let budgeted_statistics = budgeted_statistics(&rules);
    let calibrations = scorers.iter().zip(references).map(|(scorer, reference)| {
        let (scorer, loaded) = (scorer.clone()?, reference.loaded.as_ref()?);
        let stored = loaded.calibration_of(name);
        (budgeted_statistics > 0).then(|| Arc::new(NullModel::new(scorer, &loaded.hash, stored)))
    });
    Some(FeaturePlan {
        name: name.to_owned(),
        id: identity::layout(monitor, spec, name, kind, layout.as_deref()),
        kind,
        role: listed.map(|feature| feature.role).unwrap_or_default(),
        calibrations: calibrations.collect(),
        movers: movers(name, spec, references, &scorers),
        scorers,
        layout,
        rules,
        budgeted_statistics,
    })
}

/// How many statistics have a budget.
fn budgeted_statistics(rules: &[Rule]) -> u32 {
    let budgeted = rules
        .iter()
        .filter(|rule| matches!(rule.threshold_source, ThresholdSource::Budget { .. }));
    let mut statistics: Vec<Statistic> = budgeted.map(|rule| rule.statistic).collect();
    statistics.sort_unstable();
    statistics.dedup();
    u32::try_from(statistics.len()).unwrap_or(u32::MAX)
}

/// Whether a reference was fitted for the feature as it is configured.
fn fits(
    reference: &FeatureReference,
    kind: Kind,
    listed: Option<&FeatureSpec>,
    problems: &mut Vec<String>,
) -> bool {
    let name = &reference.name;
    if reference.kind != kind {
        let (is, was) = (kind.name(), reference.kind.name());
        problems.push(format!("feature {name}: configured as {is}, but the reference was fitted as {was}; fit it again"));
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
        problems.push(format!("feature {name}: the reference was fitted with other bin edges; fit it again with this configuration"));
        return false;
    }
    true
}

fn rules(name: &str, kind: Kind, spec: &MonitorSpec) -> Vec<Rule> {
    let statistics = Statistic::ALL
        .iter()
        .copied()
        .filter(|statistic| kind.has(*statistic));
    let mut rules: Vec<Rule> = Vec::new();
    for statistic in statistics {
        for severity in Severity::ALL.iter().copied() {
            let rule = rule(name, statistic, severity, spec);
            // Wasserstein in two units is one statistic to a budget.
            let is_new = |rule: &Rule| {
                let same = |own: &Rule| own.statistic == rule.statistic && own.severity == severity;
                !rules.iter().any(same)
            };
            rules.extend(rule.filter(is_new));
        }
    }
    rules
}

fn rule(name: &str, named: Statistic, severity: Severity, spec: &MonitorSpec) -> Option<Rule> {
    let alert = spec.alert_for(name, named, severity)?;
    let patience = AlertTiming {
        for_evaluations: alert.for_evaluations,
        keep_firing_for: alert.keep_firing_for,
    };
    let (statistic, threshold_source) = match alert.budget {
        Some(budget) => (
            named.budgeted(),
            ThresholdSource::Budget {
                interval: budget.false_alarm_interval,
                tolerance: budget.tolerance,
                of: named,
            },
        ),
        None => (
            named,
            ThresholdSource::Fixed(alert.thresholds.of(severity)?),
        ),
    };
    Some(Rule {
        statistic,
        severity,
        threshold_source,
        patience,
    })
}

//! The candidates as monitors of one engine: one monitor has the rules of many policies in
//! sequence.
//!
//! Rules do not depend on each other, so one set of scores serves all of them. The configured
//! alerts are a separate monitor, because they divide their budget among other statistics. Where a
//! reference has no times, all policies learn from the same history of the stream: the windows
//! in which no policy has an alert that fires.

use std::time::Duration;

use super::outcomes::{CandidateGroup, Outcomes};
use super::policy::{FOR_EVALUATIONS, Policy, candidate_statistics, ladder};
use crate::engine::{FeaturePlan, LoadedReference, MonitorPlan};
use crate::model::{AlertSpec, EventTime, FalseAlarmScope, MonitorSpec, Statistic};

/// A row of the operating curve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) name: String,
    /// The policy; `None` for the configured alerts.
    pub(crate) policy: Option<Policy>,
}

/// All candidates of a monitor and the plans that evaluate them.
#[derive(Debug)]
pub(crate) struct Candidates {
    /// All candidates, the configured alerts first if there are any.
    pub(crate) list: Vec<Candidate>,
    /// Statistics of the policies.
    pub(crate) statistics: Vec<Statistic>,
    /// The configured monitor if it has alerts, then the monitor with the rules of all policies.
    plans: Vec<MonitorPlan>,
    groups: Vec<CandidateGroup>,
}

impl Candidates {
    /// Creates the candidates for a monitor that accepts one false alarm in `budget`.
    #[must_use]
    pub(crate) fn new(base: MonitorPlan, budget: Duration) -> Self {
        let statistics = candidate_statistics(|statistic| {
            base.features
                .iter()
                .any(|feature| feature.kind.has(statistic))
        });
        let policies = ladder(budget, comparisons(&base), &slides(&base));
        let at_once: Vec<Policy> = policies
            .iter()
            .copied()
            .filter(Policy::fires_at_once)
            .collect();
        let combined = with_all_rules(&base, &at_once, &statistics);
        let mut list = Vec::new();
        let mut plans = Vec::new();
        let mut groups = Vec::new();
        if !base.spec.alerts.is_empty() {
            list.push(Candidate {
                name: "as configured".to_owned(),
                policy: None,
            });
            groups.push(CandidateGroup {
                monitor: base.spec.name.clone(),
                first: 0,
                rule_sets: 1,
                for_evaluations: Vec::new(),
            });
            plans.push(with_null_tables_of(base, &combined));
        }
        groups.push(CandidateGroup {
            monitor: combined.spec.name.clone(),
            first: list.len(),
            rule_sets: at_once.len(),
            for_evaluations: FOR_EVALUATIONS.to_vec(),
        });
        plans.push(combined);
        list.extend(policies.into_iter().map(|policy| Candidate {
            name: policy.name(),
            policy: Some(policy),
        }));
        Candidates {
            list,
            statistics,
            plans,
            groups,
        }
    }

    /// The features of the monitor in its order.
    #[must_use]
    pub(crate) fn features(&self) -> &[FeaturePlan] {
        self.plans.first().map_or(&[], |plan| &plan.features)
    }

    /// The specification of the monitor.
    #[must_use]
    pub(crate) fn spec(&self) -> Option<&MonitorSpec> {
        self.plans.first().map(|plan| plan.spec.as_ref())
    }

    /// Number of comparisons with a calibrated threshold: features times windows times references.
    #[must_use]
    pub(crate) fn comparisons(&self) -> usize {
        self.plans.last().map_or(0, comparisons)
    }

    /// The slide of each window.
    #[must_use]
    pub(crate) fn slides(&self) -> Vec<Duration> {
        self.plans.last().map(slides).unwrap_or_default()
    }

    /// Reports whether a reference has no times, so that the stream's history is
    /// needed.
    #[must_use]
    pub(crate) fn needs_history(&self) -> bool {
        self.plans
            .iter()
            .flat_map(|plan| &plan.features)
            .flat_map(|feature| &feature.references)
            .filter_map(|reference| reference.null_model.as_ref())
            .any(|null_model| null_model.needs_history())
    }

    /// Returns the monitors with the features that `is_included` accepts, and empty outcomes.
    ///
    /// The outcomes count the windows that end after the first and not after the second time.
    #[must_use]
    pub(crate) fn with_features(
        &self,
        is_included: impl Fn(&FeaturePlan) -> bool,
        span: (EventTime, EventTime),
    ) -> (Vec<MonitorPlan>, Outcomes) {
        let mut plans = self.plans.clone();
        for plan in &mut plans {
            plan.features.retain(&is_included);
        }
        let features = self
            .features()
            .iter()
            .enumerate()
            .filter(|(_, feature)| is_included(feature))
            .map(|(index, _)| index)
            .collect();
        (plans, Outcomes::new(self.groups.clone(), features, span))
    }
}

fn slides(plan: &MonitorPlan) -> Vec<Duration> {
    plan.spec
        .windows
        .iter()
        .map(|window| window.slide)
        .collect()
}

/// Number of comparisons with a scorer: features times windows times references.
fn comparisons(plan: &MonitorPlan) -> usize {
    let scorers = plan.features.iter().flat_map(FeaturePlan::scorers).count();
    scorers * plan.spec.windows.len()
}

/// Returns a renamed copy of the monitor with the rules of all policies, one after the other.
fn with_all_rules(
    base: &MonitorPlan,
    policies: &[Policy],
    statistics: &[Statistic],
) -> MonitorPlan {
    let mut plans = policies
        .iter()
        .map(|policy| with_alerts(base, policy.alerts(statistics)));
    let mut combined = plans.next().unwrap_or_else(|| base.clone());
    for plan in plans {
        for (feature, added) in combined.features.iter_mut().zip(plan.features) {
            feature.rules.extend(added.rules);
        }
    }
    combined
}

/// Shares the null tables of `combined` with the configured monitor, so they are simulated once.
fn with_null_tables_of(mut base: MonitorPlan, combined: &MonitorPlan) -> MonitorPlan {
    for (feature, source) in base.features.iter_mut().zip(&combined.features) {
        for (reference, shared) in feature.references.iter_mut().zip(&source.references) {
            if reference.null_model.is_some() {
                reference.null_model.clone_from(&shared.null_model);
            }
        }
    }
    base
}

fn with_alerts(base: &MonitorPlan, alerts: Vec<AlertSpec>) -> MonitorPlan {
    let spec = MonitorSpec {
        name: format!("{} by candidates", base.spec.name),
        alerts,
        false_alarm_scope: FalseAlarmScope::Monitor,
        ..MonitorSpec::clone(&base.spec)
    };
    let loaded = base
        .references
        .iter()
        .filter_map(|reference| match (&reference.loaded, &reference.problem) {
            (Some(loaded), _) => Some(LoadedReference::Ok(loaded.clone())),
            (None, Some(problem)) => Some(Err(problem.clone())),
            (None, None) => None,
        })
        .collect();
    MonitorPlan::new(spec, loaded)
}

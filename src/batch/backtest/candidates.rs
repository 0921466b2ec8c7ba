//! The candidates as monitors of one engine: the rules of many policies stand in one monitor, one policy after the other.
//!
//! Rules do not know of each other, so one set of scores serves them all. The configured alerts are a monitor of their own, because they share their budget among
//! other statistics. Where the reference carries no time, all policies learn from the same quiet windows: those in which none of them had anything to say.

use std::time::Duration;

use super::outcomes::{Ledger, Part};
use super::policy::{FOR, Policy, ladder, statistics};
use crate::engine::{FeaturePlan, LoadedReference, MonitorPlan};
use crate::model::{AlertSpec, EventTime, MonitorSpec, Statistic};

/// A row of the operating curve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// What it is called.
    pub(crate) name: String,
    /// `None` for the alerts of the configuration.
    pub(crate) policy: Option<Policy>,
}

/// Everything that is tried.
#[derive(Debug)]
pub(crate) struct Candidates {
    /// The configured alerts first, where there are any.
    pub(crate) list: Vec<Candidate>,
    /// What the policies judge.
    pub(crate) statistics: Vec<Statistic>,
    plans: Vec<MonitorPlan>,
    parts: Vec<Part>,
}

impl Candidates {
    /// The candidates for a monitor that may raise one false alarm in `budget`.
    #[must_use]
    pub(crate) fn new(base: MonitorPlan, budget: Duration) -> Self {
        let kinds = || base.features.iter().map(|feature| feature.kind);
        let statistics = statistics(|statistic| kinds().any(|kind| kind.has(statistic)));
        let policies = ladder(budget, watched(&base), &slides(&base));
        let eager: Vec<Policy> = policies.iter().copied().filter(Policy::is_eager).collect();
        let tried = together(&base, &eager, &statistics);
        let configured = (!base.spec.alerts.is_empty()).then(|| configured(base, &tried));
        let mut list: Vec<Candidate> = configured.iter().map(|_| as_configured()).collect();
        let part = |plan: &MonitorPlan, first, sets, patience: &[u32]| Part {
            monitor: plan.spec.name.clone(),
            first,
            sets,
            patience: patience.to_vec(),
        };
        let own = configured.iter().map(|plan| part(plan, 0, 1, &[]));
        let parts = own.chain([part(&tried, list.len(), eager.len(), &FOR)]);
        let parts = parts.collect();
        list.extend(policies.into_iter().map(|policy| Candidate {
            name: policy.name(),
            policy: Some(policy),
        }));
        Candidates {
            list,
            statistics,
            plans: configured.into_iter().chain([tried]).collect(),
            parts,
        }
    }

    /// The features of the monitor, in its order.
    #[must_use]
    pub(crate) fn features(&self) -> &[FeaturePlan] {
        self.plans.first().map_or(&[], |plan| &plan.features)
    }

    /// What the monitor is.
    #[must_use]
    pub(crate) fn spec(&self) -> Option<&MonitorSpec> {
        self.plans.first().map(|plan| plan.spec.as_ref())
    }

    /// Features that have a calibrated line, times windows and references.
    #[must_use]
    pub(crate) fn watched(&self) -> usize {
        self.plans.last().map_or(0, watched)
    }

    /// Time between evaluations, by window.
    #[must_use]
    pub(crate) fn slides(&self) -> Vec<Duration> {
        self.plans.last().map(slides).unwrap_or_default()
    }

    /// Whether a reference carries no time, so that quiet windows have to teach.
    #[must_use]
    pub(crate) fn estimates_online(&self) -> bool {
        let features = self.plans.iter().flat_map(|plan| &plan.features);
        let mut calibrations = features.flat_map(|feature| feature.calibrations.iter().flatten());
        calibrations.any(|calibration| calibration.estimates_online())
    }

    /// The monitors with the features that `is_wanted`, and a ledger of the windows that end after the one time and not after the other.
    #[must_use]
    pub(crate) fn of(
        &self,
        is_wanted: impl Fn(&FeaturePlan) -> bool,
        span: (EventTime, EventTime),
    ) -> (Vec<MonitorPlan>, Ledger) {
        let mut plans = self.plans.clone();
        for plan in &mut plans {
            plan.features.retain(&is_wanted);
        }
        let numbered = self.features().iter().enumerate();
        let features = numbered.filter(|(_, feature)| is_wanted(feature));
        let features = features.map(|(index, _)| index).collect();
        (plans, Ledger::new(self.parts.clone(), features, span))
    }
}

fn as_configured() -> Candidate {
    Candidate {
        name: "as configured".to_owned(),
        policy: None,
    }
}

fn slides(plan: &MonitorPlan) -> Vec<Duration> {
    plan.spec.windows.iter().map(|own| own.slide).collect()
}

/// Calibrated features, times windows and references.
fn watched(plan: &MonitorPlan) -> usize {
    let scorers = plan.features.iter().flat_map(|feature| &feature.scorers);
    scorers.flatten().count() * plan.spec.windows.len()
}

/// The monitor with the rules of all policies, one after the other, under a name of its own.
fn together(base: &MonitorPlan, policies: &[Policy], statistics: &[Statistic]) -> MonitorPlan {
    let with = |policy: &Policy| with_alerts(base, policy.alerts(statistics));
    let mut plans = policies.iter().map(with);
    let mut all = plans.next().unwrap_or_else(|| base.clone());
    for plan in plans {
        let pairs = all.features.iter_mut().zip(plan.features);
        pairs.for_each(|(feature, own)| feature.rules.extend(own.rules));
    }
    all
}

/// The monitor as it is, with the null tables of `tried`: they are made once.
fn configured(mut base: MonitorPlan, tried: &MonitorPlan) -> MonitorPlan {
    for (feature, own) in base.features.iter_mut().zip(&tried.features) {
        let pairs = feature.calibrations.iter_mut().zip(&own.calibrations);
        for (calibration, own) in pairs.filter(|(calibration, _)| calibration.is_some()) {
            calibration.clone_from(own);
        }
    }
    base
}

fn with_alerts(base: &MonitorPlan, alerts: Vec<AlertSpec>) -> MonitorPlan {
    let spec = MonitorSpec {
        name: format!("{} by candidates", base.spec.name),
        alerts,
        ..MonitorSpec::clone(&base.spec)
    };
    let references = base.references.iter();
    let loaded = references.filter_map(|own| match (&own.loaded, &own.problem) {
        (Some(reference), _) => Some(LoadedReference::Ok(reference.clone())),
        (None, Some(problem)) => Some(Err(problem.clone())),
        (None, None) => None,
    });
    MonitorPlan::new(spec, loaded.collect())
}

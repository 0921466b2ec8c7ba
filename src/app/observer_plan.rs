//! The plan of an observer, taken from the plans of the monitors that the engine evaluates.
//!
//! It connects the two halves of pegel: `observe` and `ingest` do not import the engine, and the
//! engine does not import them.

use std::sync::Arc;

use crate::engine::MonitorPlan;
use crate::observe::ObserverPlan;

/// The values that the monitors of one source count.
#[must_use]
pub fn observer_plan(source: &str, plans: &[Arc<MonitorPlan>]) -> ObserverPlan {
    let mut observer = ObserverPlan::default();
    for plan in plans.iter().filter(|plan| plan.spec.source == source) {
        observer.add(&plan.spec, &plan.observed());
    }
    observer
}

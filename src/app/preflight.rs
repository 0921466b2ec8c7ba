//! Loads what a monitor is compared with, and tells what of a configuration does not fit to what it names.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{Client, Config, Problem, SourceMap, Subject};
use crate::engine::{LoadedReference, MonitorPlan};
use crate::model::MonitorSpec;
use crate::pane_log::kafka as log;
use crate::reference::Reference;
use crate::source::{client_problem, property_problems};

/// A monitor joined with its references. One that cannot be loaded is a problem of this monitor, not of the process: its scores say `no_reference`.
#[must_use]
pub fn load_monitor(spec: MonitorSpec) -> MonitorPlan {
    let load = |path: &std::path::Path| -> LoadedReference {
        let loaded = Reference::load(path).map_err(anyhow::Error::new);
        loaded.map(Arc::new).map_err(|error| format!("{error:#}"))
    };
    let loaded = spec
        .references
        .iter()
        .filter_map(|reference| reference.origin.file())
        .map(|file| load(file))
        .collect();
    MonitorPlan::new(spec, loaded)
}

/// What is wrong with the monitors of a valid configuration now that their references are there.
#[must_use]
pub fn monitor_problems(config: &Config, plans: &[MonitorPlan]) -> Vec<Problem> {
    let of = |plan: &MonitorPlan| -> Vec<Problem> {
        let monitor = &plan.spec.name;
        let references = plan.references.iter().filter_map(|reference| {
            let subject = Subject::Reference {
                monitor: monitor.clone(),
                reference: reference.name.clone(),
            };
            let message = reference.problem.clone()?;
            Some(config.places.problem(&subject, message))
        });
        let subject = Subject::Monitor(monitor.clone());
        let others = plan.problems.iter();
        let others = others.map(|problem| config.places.problem(&subject, problem.clone()));
        references.chain(others).collect()
    };
    plans.iter().flat_map(of).collect()
}

/// What the Kafka clients have against the properties of a valid configuration.
#[must_use]
pub fn client_problems(config: &Config) -> Vec<Problem> {
    let panes = config.state.panes.as_ref();
    let of_panes = panes.map(|panes| {
        let together = || log::client_problem(panes);
        problems_of(
            &Client::PaneLog,
            &panes.properties,
            together,
            &config.places,
        )
    });
    let of_sources = config.sources.iter().flat_map(|source| {
        let client = Client::Source(source.name.clone());
        let together = || client_problem(&source.kafka, panes.is_some());
        problems_of(&client, &source.kafka.properties, together, &config.places)
    });
    of_panes.into_iter().flatten().chain(of_sources).collect()
}

/// What is wrong with properties each by itself, or, where nothing is, `together`.
fn problems_of(
    client: &Client,
    properties: &BTreeMap<String, String>,
    together: impl FnOnce() -> Option<String>,
    places: &SourceMap,
) -> Vec<Problem> {
    let wrong = property_problems(properties);
    if wrong.is_empty() {
        let place = |told| places.problem(&Subject::Client(client.clone()), told);
        return together().map(place).into_iter().collect();
    }
    let place = |(property, told)| {
        let client = client.clone();
        places.problem(&Subject::Property { client, property }, told)
    };
    wrong.into_iter().map(place).collect()
}

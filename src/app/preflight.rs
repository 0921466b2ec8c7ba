//! Checks before the threads start: references, Kafka properties, series, and the panes topic.
//!
//! The same functions serve `run`, a reload and `check`. They check what the configuration names
//! outside itself, so they need files, librdkafka or a broker, which the parser does not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use arc_swap::ArcSwap;
use tracing::{info, warn};

use super::roles::ProcessRole;
use crate::config::{ClientUser, Config, OptionSubject, Problem, Problems, SourceMap};
use crate::engine::{LoadedReference, MonitorPlan, PlanSubject};
use crate::export::estimate_series;
use crate::model::{LogReport, MonitorSpec, PanesTopicSpec, duration};
use crate::pane_log::kafka::{
    self, KafkaLogError, RecordLimit, TopicRequirements, WidestSource, ensure, open_partitions,
};
use crate::reference::Reference;
use crate::source::{client_problem, property_problems};

/// The pause after the first failed attempt to open the topic of the pane log; it doubles with each
/// further one.
const TOPIC_RETRY_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause between two attempts.
const MAX_TOPIC_RETRY_PAUSE: Duration = Duration::from_secs(30);
/// The number of digits of a reference's hash in the log.
const HASH_DIGITS: usize = 12;

/// Loads the references of monitors and joins each with its monitor.
///
/// A file is loaded once, however many references name it. A reference that cannot be loaded is a
/// problem of its monitor and not of the process: its scores are not ready for the reason
/// `no_reference`.
#[must_use]
pub fn load_monitors(specs: impl IntoIterator<Item = MonitorSpec>) -> Vec<MonitorPlan> {
    let mut files: BTreeMap<PathBuf, LoadedReference> = BTreeMap::new();
    specs
        .into_iter()
        .map(|spec| {
            let references = spec
                .references
                .iter()
                .filter_map(|reference| reference.origin.file())
                .map(|path| {
                    files
                        .entry(path.clone())
                        .or_insert_with(|| load_reference(path))
                        .clone()
                })
                .collect();
            MonitorPlan::new(spec, references)
        })
        .collect()
}

/// Loads the references of one monitor and joins them with it.
#[must_use]
pub fn load_monitor(spec: MonitorSpec) -> MonitorPlan {
    load_monitors([spec])
        .pop()
        .expect("one plan for one monitor")
}

/// The reason why a reference file cannot be used; `None` if it can.
#[must_use]
pub fn reference_problem(path: &Path) -> Option<String> {
    load_reference(path).err()
}

fn load_reference(path: &Path) -> LoadedReference {
    match Reference::load(path) {
        Ok(reference) => Ok(Arc::new(reference)),
        Err(error) => Err(format!("{:#}", anyhow::Error::new(error))),
    }
}

/// Problems of monitors that show only once their references are loaded, with their locations in
/// the configuration.
#[must_use]
pub fn monitor_problems(config: &Config, plans: &[MonitorPlan]) -> Vec<Problem> {
    plans
        .iter()
        .flat_map(|plan| {
            let monitor = &plan.spec.name;
            let of_references = plan.references.iter().filter_map(|reference| {
                let subject = OptionSubject::Reference {
                    monitor: monitor.clone(),
                    reference: reference.name.clone(),
                };
                let message = reference.problem.clone()?;
                Some(config.source_map.problem(&subject, message))
            });
            let of_monitor = plan.problems.iter().map(|problem| {
                let monitor = monitor.clone();
                let subject = match problem.subject() {
                    PlanSubject::Feature(feature) => OptionSubject::Feature { monitor, feature },
                    PlanSubject::Alert(index) => OptionSubject::Alert { monitor, index },
                };
                config.source_map.problem(&subject, problem.to_string())
            });
            of_references.chain(of_monitor)
        })
        .collect()
}

/// Refuses monitors that do not fit their references.
///
/// A monitor with a reference that cannot be loaded starts nevertheless: the file may come later,
/// and other problems may follow from its absence.
///
/// # Errors
/// A monitor whose references are all loaded has a problem.
pub(super) fn check_monitors(config: &Config, plans: &[MonitorPlan]) -> Result<(), Problems> {
    let complete: Vec<MonitorPlan> = plans
        .iter()
        .filter(|plan| {
            plan.references
                .iter()
                .all(|reference| reference.problem.is_none())
        })
        .cloned()
        .collect();
    config
        .source_map
        .ensure_none(monitor_problems(config, &complete))
}

/// Kafka properties that librdkafka refuses, with their locations in the configuration.
#[must_use]
pub fn client_problems(config: &Config) -> Vec<Problem> {
    let panes = config.state.panes.as_ref();
    let of_panes = panes.into_iter().flat_map(|panes| {
        refused_properties(
            &ClientUser::PaneLog,
            &panes.properties,
            &config.source_map,
            || kafka::client_problem(panes),
        )
    });
    let of_sources = config.sources.iter().flat_map(|source| {
        let client = ClientUser::Source(source.name.clone());
        refused_properties(
            &client,
            &source.kafka.properties,
            &config.source_map,
            || client_problem(&source.kafka, panes.is_some()),
        )
    });
    of_panes.chain(of_sources).collect()
}

/// Properties that are refused each by itself. When none is, the client with all of them is tried.
fn refused_properties(
    client: &ClientUser,
    properties: &BTreeMap<String, String>,
    locations: &SourceMap,
    try_client: impl FnOnce() -> Option<String>,
) -> Vec<Problem> {
    let refused = property_problems(properties);
    if refused.is_empty() {
        return try_client()
            .map(|message| locations.problem(&OptionSubject::ClientUser(client.clone()), message))
            .into_iter()
            .collect();
    }
    refused
        .into_iter()
        .map(|(property, message)| {
            let client = client.clone();
            locations.problem(&OptionSubject::Property { client, property }, message)
        })
        .collect()
}

/// Refuses monitors that may produce more series than `limits.max_series`.
///
/// # Errors
/// The upper bound for the monitors that this process scores is above the limit.
pub(super) fn check_series(
    plans: &[MonitorPlan],
    process_role: ProcessRole,
    max_series: usize,
) -> anyhow::Result<()> {
    let estimate: usize = plans
        .iter()
        .filter(|plan| process_role.scores(&plan.spec.name))
        .map(estimate_series)
        .sum();
    if estimate > max_series {
        bail!(
            "the configuration may produce {estimate} series, more than limits.max_series \
             ({max_series}): raise the limit, or monitor fewer features, windows or statistics"
        );
    }
    Ok(())
}

/// Warns of a `max_future` with which one record whose clock is ahead makes all others late.
#[must_use]
pub fn lateness_warning(spec: &MonitorSpec) -> Option<String> {
    let lateness = &spec.lateness;
    let longest = spec.windows.iter().map(|window| window.size).max()?;
    let harmless = lateness.harmless_future(longest);
    let late_for = lateness.max_future.checked_sub(harmless)?;
    (!late_for.is_zero()).then(|| {
        format!(
            "lateness.max_future of {} is long for windows of {}: one record with a clock so far \
             ahead makes all others of its partition late for {}, and they are dropped; set \
             max_future to the clock error you expect, at most {}",
            duration::format(lateness.max_future),
            duration::format(longest),
            duration::format(late_for),
            duration::format(harmless)
        )
    })
}

/// Logs the problems of a monitor and the outcome of loading its references.
pub(super) fn log_plan(plan: &MonitorPlan) {
    let monitor = plan.spec.name.as_str();
    for problem in &plan.problems {
        warn!(monitor, "{problem}");
    }
    for warning in &plan.warnings {
        warn!(monitor, "{warning}");
    }
    for reference in &plan.references {
        let name = &reference.name;
        match (&reference.problem, &reference.loaded) {
            (Some(problem), _) => {
                warn!(monitor, reference = name, "reference not loaded: {problem}");
            }
            (None, Some(loaded)) => info!(
                monitor,
                reference = name,
                rows = loaded.rows,
                hash = &loaded.hash[..HASH_DIGITS],
                "reference loaded"
            ),
            (None, None) => {}
        }
    }
}

/// The longest window of all monitors; zero when there is none.
pub(super) fn longest_window(plans: &[MonitorPlan]) -> Duration {
    plans
        .iter()
        .flat_map(|plan| &plan.spec.windows)
        .map(|window| window.size)
        .max()
        .unwrap_or_default()
}

/// The source with the most features; a commit of it may count all of them.
pub(super) fn widest_source(plans: &[MonitorPlan]) -> Option<WidestSource> {
    let mut features: BTreeMap<&str, usize> = BTreeMap::new();
    for plan in plans {
        *features.entry(&plan.spec.source).or_default() += plan.features.len();
    }
    let (name, features) = features.into_iter().max_by_key(|(_, features)| *features)?;
    Some(WidestSource {
        name: name.to_owned(),
        features,
    })
}

/// Checks the topic of the pane log, creates it if allowed, opens its partitions, and returns the
/// largest record it accepts. Blocks and retries while the broker does not answer or
/// refuses; `report` has the reason meanwhile.
///
/// # Errors
/// The topic is missing or cannot hold the log.
pub(super) fn prepare_topic(
    spec: &PanesTopicSpec,
    needs: &TopicRequirements,
    report: &ArcSwap<LogReport>,
) -> Result<RecordLimit, KafkaLogError> {
    let (mut pause, mut logged) = (TOPIC_RETRY_PAUSE, None);
    loop {
        match try_prepare_topic(spec, needs) {
            Err(problem) if problem.is_transient() => {
                let brokers = spec.brokers.join(",");
                let error = format!("{:#}", anyhow::Error::new(problem));
                if logged.as_ref() != Some(&error) {
                    warn!(brokers, error, "cannot open the pane log yet, retrying");
                    logged = Some(error.clone());
                }
                report.store(Arc::new(LogReport {
                    problem: Some(format!("{error} (brokers {brokers})")),
                    ..LogReport::clone(&report.load())
                }));
                std::thread::sleep(pause);
                pause = (pause * 2).min(MAX_TOPIC_RETRY_PAUSE);
            }
            other => return other,
        }
    }
}

fn try_prepare_topic(
    spec: &PanesTopicSpec,
    needs: &TopicRequirements,
) -> Result<RecordLimit, KafkaLogError> {
    let checked = ensure(spec, needs)?;
    for warning in &checked.warnings {
        warn!(topic = spec.topic, "pane log topic: {warning}");
    }
    open_partitions(spec)?;
    Ok(checked.limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::model::{EventTime, Kind};
    use crate::reference::{Column, FitOptions, fit};

    /// A file took its memory once for each reference that names it.
    #[test]
    fn a_file_of_several_references_is_loaded_once() {
        let directory = tempfile::tempdir().unwrap();
        let column = Column {
            numbers: (0..1000).map(f64::from).collect(),
            ..Column::default()
        };
        let feature = fit("x", Kind::Numeric, column, &FitOptions::default()).unwrap();
        Reference::new(EventTime::from_millis(0), 1000, vec![feature])
            .save(&directory.path().join("x.json"))
            .unwrap();
        let path = directory.path().join("pegel.yaml");
        let text = "version: 1
sources: {s: {kafka: {brokers: [\"localhost:9092\"], topics: [t]}}}
monitors:
  - name: m
    source: s
    windows: [{size: 15m}]
    references: [{name: a, file: x.json}, {name: b, file: x.json}]
";
        std::fs::write(&path, text).unwrap();
        let plans = load_monitors(config::load_file(&path).unwrap().monitors);
        let [first, second] = &*plans[0].references else {
            panic!("two references")
        };
        let (first, second) = (first.loaded.as_ref(), second.loaded.as_ref());
        assert!(Arc::ptr_eq(first.unwrap(), second.unwrap()));
    }
}

//! A monitor with many features: everything that looks features up by name.

use std::sync::Arc;
use std::time::Duration;

use pegel::app::observer_plan;
use pegel::decode::Decoder;
use pegel::engine::{Engine, MonitorPlan};
use pegel::export::Exporter;
use pegel::model::{AlertSpec, EventTime, FeatureSpec, Kind, MonitorSpec, Statistic, Thresholds};
use pegel::reference::{Column, FeatureReference, FitOptions, Reference, fit};

use crate::support::spec;

const FEATURES: usize = 10_000;

/// Each feature walked through the features of the configuration, of the reference and of every
/// rule: minutes of processor time for ten thousand features, where a look-up takes a second.
///
/// The time is that of this thread on a processor, so a busy machine does not fail the test.
#[test]
fn ten_thousand_features_are_planned_and_published_without_a_search_for_each() {
    let names: Vec<String> = (0..FEATURES).map(|i| format!("feature_{i:05}")).collect();
    let (spec, reference) = (monitor(&names), reference(&names));
    let before = processor_time();

    let path = tempfile::NamedTempFile::new().unwrap();
    reference.save(path.path()).unwrap();
    let loaded = Arc::new(Reference::load(path.path()).unwrap());
    let plan = MonitorPlan::new(spec, vec![Ok(loaded)]);
    assert_eq!(plan.features.len(), FEATURES);
    assert!(plan.features.iter().all(|feature| feature.rules.len() == 2));
    assert!(plan.problems.is_empty(), "{:?}", plan.problems);
    let observed = observer_plan("data", &[Arc::new(plan.clone())]);
    drop(Decoder::new(&observed.paths));
    let exporter = Exporter::new(["data"].into_iter(), 10_000_000);
    exporter.publish(Engine::new(vec![plan]).view());
    let scrape = String::from_utf8(exporter.scrape(false)).unwrap();
    assert!(scrape.contains("feature_09999"), "published");

    let spent = processor_time() - before;
    assert!(spent < Duration::from_secs(15), "{spent:?}");
}

/// Every feature is listed, and named by two rules.
fn monitor(names: &[String]) -> MonitorSpec {
    let rule = |statistic| AlertSpec {
        statistic,
        thresholds: Thresholds {
            warning: None,
            critical: Some(0.2),
        },
        budget: None,
        for_evaluations: AlertSpec::DEFAULT_FOR,
        keep_firing_for: AlertSpec::DEFAULT_KEEP_FIRING_FOR,
        features: Some(names.to_vec()),
    };
    let mut spec = spec();
    spec.features = names
        .iter()
        .map(|name| FeatureSpec::new(name, Kind::Numeric))
        .collect();
    spec.alerts = vec![rule(Statistic::Js), rule(Statistic::Wasserstein)];
    spec
}

fn reference(names: &[String]) -> Reference {
    let column = Column {
        numbers: (0..100).map(f64::from).collect(),
        ..Column::default()
    };
    let fitted = fit("x", Kind::Numeric, column, &FitOptions::default()).unwrap();
    let features = names
        .iter()
        .map(|name| FeatureReference {
            name: name.clone(),
            ..fitted.clone()
        })
        .collect();
    Reference::new(EventTime::from_millis(0), 100, features)
}

/// Time of this thread on a processor.
fn processor_time() -> Duration {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds = schedule.split(' ').next().unwrap().parse().unwrap();
    Duration::from_nanos(nanoseconds)
}

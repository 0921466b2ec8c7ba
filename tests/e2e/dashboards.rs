//! Every query of the dashboards and of the optional rules, on a Prometheus that scraped a daemon
//! through a drift, its end, and a change of the reference.
//!
//! A query must have had a number at some second of that time. Those that need not are listed with
//! their reasons.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use pegel::demo::{EmbeddedBroker, TopicProducer};
use serde_json::Value;

use crate::deploy;
use crate::processes::{Daemon, Prometheus, eventually, free_address, have_prometheus, now_ms};
use crate::stage::{DEADLINE, fit};

/// Parts of queries that may have no data on this stage, and why.
const EMPTY_BY_DESIGN: &[(&str, &str)] = &[
    (
        "pegel_kafka_errors_total",
        "errors of the Kafka client occur by chance",
    ),
    (
        "pegel_pane_log_lag_records",
        "the pane log is in files and has no lag",
    ),
    ("count by (segment)", "no monitor has segments"),
];

/// Numeric features that break together, enough of them for one alert about many.
const NUMBERS: [&str; 6] = ["amount", "price", "tax", "weight", "distance", "age"];
const EVENTS_PER_MINUTE: i64 = 60;
/// Minutes of event time in which the stream is healthy, broken, and healthy again.
const HEALTHY: std::ops::Range<i64> = 0..20;
const BROKEN: std::ops::Range<i64> = 20..30;
const REPAIRED: std::ops::Range<i64> = 30..50;

/// The `i`-th record. Rows of the reference have a column that the stream never has.
fn record(at_ms: i64, i: i64, is_broken: bool, is_reference: bool) -> String {
    let mut text = format!(r#"{{"model":"v3","ts":{at_ms}"#);
    for (index, name) in NUMBERS.iter().enumerate() {
        let value = 10.0 + ((i * 37 + index as i64 * 11) % 1000) as f64 / 10.0;
        let factor = if is_broken { 100.0 } else { 1.0 };
        write!(text, r#","{name}":{}"#, value * factor).unwrap();
    }
    let country = match i % 4 {
        0 if is_broken => "XK",
        0 | 1 => "DE",
        _ => "FR",
    };
    let coupon = match i % 10 {
        0 => "null".to_owned(),
        _ => (i % 50).to_string(),
    };
    write!(text, r#","country":"{country}","coupon":{coupon}"#).unwrap();
    if is_reference {
        write!(text, r#","lost":{}"#, i % 100).unwrap();
    }
    text + "}"
}

fn rows() -> String {
    (0..2000)
        .map(|i| record(0, i, false, true) + "\n")
        .collect()
}

/// Sends minutes of the stream, and as many records of another model. While it is broken, half of
/// the events are lost.
fn send(producer: &TopicProducer, start_ms: i64, minutes: std::ops::Range<i64>) {
    let is_broken = minutes == BROKEN;
    for i in minutes.start * EVENTS_PER_MINUTE..minutes.end * EVENTS_PER_MINUTE {
        let at_ms = start_ms + i * 60_000 / EVENTS_PER_MINUTE;
        let send = |text: &str| producer.send("key", text, now_ms()).unwrap();
        if !is_broken || i % 2 == 0 {
            send(&record(at_ms, i, is_broken, false));
        }
        send(&format!(r#"{{"model":"v2","ts":{at_ms}}}"#));
    }
    producer.flush(DEADLINE).unwrap();
}

/// One monitor with fixed and budgeted alerts, thresholds on both sides, and a volume.
fn write_config(directory: &Path, brokers: &str) -> PathBuf {
    let config = format!(
        "version: 1
state: {{flush_interval: 100ms}}
sources: {{s: {{kafka: {{brokers: [{brokers:?}], topics: [orders], group_id: e2e, start: earliest}}}}}}
monitors:
  - name: orders
    source: s
    select: {{where: {{path: /model, equals: v3}}}}
    timestamp: {{path: /ts}}
    lateness: {{out_of_orderness: 0s, idle_after: 1h}}
    windows: [{{name: 5m, size: 5m, slide: 1m, min_samples: 50}}]
    reference: {{file: reference.json}}
    silence: 1d
    volume: {{min_events: 200}}
    features:
      - {{name: country, kind: categorical}}
      - {{name: coupon, kind: numeric}}
      - {{name: lost, kind: numeric}}
      - {{name: {}, kind: numeric}}
    statistics: [js, wasserstein]
    alerts:
      - {{statistic: js, warning: 0.05, critical: 0.1, features: [{}]}}
      - {{statistic: js, features: [country, coupon]}}
      - {{statistic: missing_ratio, features: [coupon]}}
      - {{statistic: unseen_ratio, features: [country]}}
",
        NUMBERS.join(", kind: numeric}\n      - {name: "),
        NUMBERS.join(", "),
    );
    let path = directory.join("pegel.yaml");
    std::fs::write(&path, config).unwrap();
    path
}

/// A query and the file that it is from.
struct Query {
    file: String,
    expr: String,
    /// The label that a variable lists.
    label: Option<String>,
}

fn items<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    let items = value.pointer(pointer).and_then(Value::as_array);
    items.into_iter().flatten()
}

/// The queries of panels, annotations and variables of a dashboard.
fn queries_of(file: &str, dashboard: &Value) -> Vec<Query> {
    let panels = items(dashboard, "/panels").flat_map(|panel| items(panel, "/targets"));
    let annotations = items(dashboard, "/annotations/list").map(|mark| &mark["target"]);
    let variables = items(dashboard, "/templating/list").filter_map(|variable| {
        let query = variable["query"]["query"].as_str()?;
        let query = query.strip_prefix("label_values(")?.strip_suffix(')')?;
        let (selector, label) = query.rsplit_once(", ")?;
        Some((
            format!("count by ({label}) ({selector})"),
            Some(label.to_owned()),
        ))
    });
    panels
        .chain(annotations)
        .filter_map(|target| Some((target["expr"].as_str()?.to_owned(), None)))
        .chain(variables)
        .map(|(expr, label)| Query {
            file: file.to_owned(),
            expr,
            label,
        })
        .collect()
}

/// The queries of all dashboards and of the rules that nobody must load.
fn queries() -> Vec<Query> {
    let folder = deploy("../grafana/dashboards");
    let dashboards = ["overview", "monitor", "operations"]
        .iter()
        .flat_map(|name| {
            let file = format!("{name}.json");
            let text = std::fs::read_to_string(folder.join(&file)).unwrap();
            queries_of(&file, &serde_json::from_str(&text).unwrap())
        });
    let rules = ["pegel.promql.rules.yml", "pegel.recording.rules.yml"]
        .iter()
        .flat_map(|file| {
            let text = std::fs::read_to_string(deploy(file)).unwrap();
            let content: Value = serde_saphyr::from_str(&text).unwrap();
            items(&content, "/groups")
                .flat_map(|group| items(group, "/rules"))
                .map(|rule| Query {
                    file: (*file).to_owned(),
                    expr: rule["expr"].as_str().unwrap().to_owned(),
                    label: None,
                })
                .collect::<Vec<_>>()
        });
    dashboards.chain(rules).collect()
}

/// A query with the values that a user would choose.
fn substituted(expr: &str, statistic: &str) -> String {
    [
        ("$__rate_interval", "15s"),
        ("$job", "pegel"),
        ("$instance", ".+"),
        ("$source", ".+"),
        ("$monitor", "orders"),
        ("$feature", ".+"),
        ("$segment", "^$"),
        ("$window", "5m"),
        ("$reference", "training"),
        ("$statistic", statistic),
    ]
    .iter()
    .fold(expr.to_owned(), |expr, (name, value)| {
        expr.replace(name, value)
    })
}

/// True if the query had a number since `from_ms`, with one of two statistics: a score has a noise
/// floor, and a rate has a lower threshold.
fn has_data(prometheus: &Prometheus, query: &Query, from_ms: i64) -> bool {
    ["js", "missing_ratio"].iter().any(|statistic| {
        let expr = substituted(&query.expr, statistic);
        let series = prometheus.series(&expr, from_ms);
        match &query.label {
            Some(label) => series
                .iter()
                .any(|series| series["metric"][label].as_str().is_some()),
            None => !series.is_empty(),
        }
    })
}

/// The recording rules, evaluated every second instead of every minute.
fn hasty_recording_rules(directory: &Path) -> PathBuf {
    let shipped = std::fs::read_to_string(deploy("pegel.recording.rules.yml")).unwrap();
    assert!(shipped.contains("    interval: 1m\n"));
    let path = directory.join("pegel.recording.rules.yml");
    std::fs::write(&path, shipped.replace("    interval: 1m\n", "")).unwrap();
    path
}

/// The stream breaks, is repaired, and then the reference is fitted again.
fn play(producer: &TopicProducer, prometheus: &Prometheus, daemon: &Daemon, directory: &Path) {
    let wait_for = |what: &str, query: &str| {
        eventually(what, DEADLINE, || prometheus.value(query));
    };
    let start_ms = now_ms() / 60_000 * 60_000 - REPAIRED.end * 60_000;
    send(producer, start_ms, HEALTHY);
    wait_for("scores", "count(pegel_drift_score{statistic=\"js\"}) >= 8");
    wait_for("calibrated alerts", "count(pegel_drift_noise_floor) >= 3");
    wait_for("no alert", "sum(pegel_alert_active{statistic=\"js\"}) == 0");
    send(producer, start_ms, BROKEN);
    let broken = format!(
        "sum(pegel_alert_active{{severity=\"critical\",statistic=\"js\"}}) >= {}",
        NUMBERS.len()
    );
    wait_for("firing alerts", &broken);
    wait_for("bins", "count(pegel_window_bin_ratio)");
    // A window has lost half of its events by then, so no scrape misses that there were too few.
    wait_for(
        "too few events",
        "pegel_drift_threshold_ratio{statistic=\"samples\"} > 1",
    );
    send(producer, start_ms, REPAIRED);
    wait_for("the end", "sum(pegel_alert_active) == 0");
    fit(directory, &rows());
    daemon.hang_up();
    wait_for(
        "another reference",
        "changes(pegel_reference_created_timestamp_seconds[1m]) > 0",
    );
}

/// A query with a misspelt label has no data, and a panel without data looks like good news.
#[test]
fn every_query_of_the_dashboards_and_rules_has_data_in_a_drift() {
    if !have_prometheus() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let broker = EmbeddedBroker::start("orders", 1).unwrap();
    let config = write_config(directory.path(), &broker.bootstrap_servers());
    fit(directory.path(), &rows());
    let producer = TopicProducer::try_new(&broker.bootstrap_servers(), "orders").unwrap();
    let from_ms = now_ms();
    let address = free_address();
    let daemon = Daemon::start(&config, address);
    let prometheus = Prometheus::start(
        &address.to_string(),
        &hasty_recording_rules(directory.path()),
    );
    play(&producer, &prometheus, &daemon, directory.path());

    let mut excused = BTreeSet::new();
    let mut empty = Vec::new();
    let queries = queries();
    for query in &queries {
        let reason = EMPTY_BY_DESIGN
            .iter()
            .find(|(part, _)| query.expr.contains(part));
        if let Some((part, _)) = reason {
            excused.insert(*part);
        } else if !has_data(&prometheus, query, from_ms) {
            empty.push(format!("{}: {}", query.file, query.expr));
        }
    }
    println!(
        "{} queries, {} reasons to be empty",
        queries.len(),
        excused.len()
    );
    assert!(empty.is_empty(), "no data:\n{}", empty.join("\n"));
    assert_eq!(excused.len(), EMPTY_BY_DESIGN.len(), "{excused:?}");
}

//! A source that breaks as a whole: one message, and not one for each feature.

use std::fmt::Write as _;
use std::net::SocketAddr;

use pegel::demo::{EmbeddedBroker, TopicProducer};

use crate::alertmanager::{Alertmanager, Message, PROGRAM, Webhook};
use crate::deploy;
use crate::processes::{Daemon, Prometheus, eventually, free_address, have, now_ms};
use crate::stage::{DEADLINE, count_active, fit, new_messages};

const FEATURES: usize = 24;
/// Features that stay healthy when the source breaks.
const HEALTHY_FEATURES: usize = 2;
/// Every feature has a warning and a critical alert.
const BROKEN_ALERTS: usize = 2 * (FEATURES - HEALTHY_FEATURES);
const EVENTS_PER_MINUTE: i64 = 60;

/// The `i`-th record of the stream.
fn record(at_ms: i64, i: i64, is_broken: bool) -> String {
    let mut text = format!(r#"{{"ts":{at_ms}"#);
    for feature in 0..FEATURES {
        let value = 10.0 + ((i * 37 + feature as i64 * 11) % 1000) as f64 / 10.0;
        let factor = if is_broken && feature >= HEALTHY_FEATURES {
            100.0
        } else {
            1.0
        };
        write!(text, r#","f{feature:02}":{}"#, value * factor).unwrap();
    }
    text + "}"
}

fn send(producer: &TopicProducer, start_ms: i64, minutes: std::ops::Range<i64>, is_broken: bool) {
    for i in minutes.start * EVENTS_PER_MINUTE..minutes.end * EVENTS_PER_MINUTE {
        let at_ms = start_ms + i * 60_000 / EVENTS_PER_MINUTE;
        let text = record(at_ms, i, is_broken);
        producer.send("key", &text, now_ms()).unwrap();
    }
    producer.flush(DEADLINE).unwrap();
}

/// The configuration of one monitor with all features.
fn config(brokers: &str) -> String {
    let features: Vec<String> = (0..FEATURES)
        .map(|feature| format!("{{name: f{feature:02}, kind: numeric}}"))
        .collect();
    let features = features.join(", ");
    format!(
        "version: 1
state: {{flush_interval: 100ms}}
sources: {{s: {{kafka: {{brokers: [{brokers:?}], topics: [orders], group_id: e2e, start: earliest}}}}}}
monitors:
  - name: checkout
    source: s
    timestamp: {{path: /ts}}
    lateness: {{out_of_orderness: 0s, idle_after: 1h}}
    windows: [{{name: 5m, size: 5m, slide: 1m, min_samples: 50}}]
    reference: {{file: reference.json}}
    silence: 1d
    features: [{features}]
    alerts: [{{statistic: js, warning: 0.02, critical: 0.05}}]
"
    )
}

/// The shipped rules with shorter times, in the same order: a person need not wait for this test.
fn hasty_rules(directory: &std::path::Path) -> std::path::PathBuf {
    let shipped = std::fs::read_to_string(deploy("pegel.rules.yml")).unwrap();
    let path = directory.join("pegel.rules.yml");
    let hasty = shipped
        .replace("keep_firing_for: 20m", "keep_firing_for: 20s")
        .replace("keep_firing_for: 10m", "keep_firing_for: 10s");
    std::fs::write(&path, hasty).unwrap();
    path
}

/// The alerts in all messages, by status and name.
fn names(messages: &[Message]) -> Vec<(&str, &str)> {
    messages
        .iter()
        .map(|message| (message.status.as_str(), message.alert.as_str()))
        .collect()
}

/// The message that a person gets names the share, some features and the address of the page.
fn check_message(message: &Message, address: SocketAddr) {
    println!("{}\n{}\n", message.summary, message.description);
    assert_eq!(
        message.summary,
        "checkout: 91.67% of the features drift (22 of 24)"
    );
    let begins = "Critical since 20";
    let names_features = " UTC: f02, f03, f04, f05, f06, f07 and more. So many at once point to ";
    assert!(message.description.starts_with(begins), "{message:?}");
    assert!(message.description.contains(names_features), "{message:?}");
    let ends = format!(" http://{address}/");
    assert!(message.description.ends_with(&ends), "{message:?}");
}

/// Alertmanager told the end of 22 alerts whose beginning it had held back.
#[test]
fn many_features_that_break_and_recover_are_two_messages() {
    if !have(&["prometheus", "promtool", PROGRAM]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let broker = EmbeddedBroker::start("orders", 1).unwrap();
    let path = directory.path().join("pegel.yaml");
    std::fs::write(&path, config(&broker.bootstrap_servers())).unwrap();
    let mut rows = String::new();
    for i in 0..2000 {
        writeln!(rows, "{}", record(0, i, false)).unwrap();
    }
    fit(directory.path(), &rows);
    let producer = TopicProducer::try_new(&broker.bootstrap_servers(), "orders").unwrap();
    let address = free_address();
    let daemon = Daemon::start(&path, address);
    let webhook = Webhook::start();
    let alertmanager = Alertmanager::start(&deploy("alertmanager.yml"), &webhook);
    let _prometheus = Prometheus::start_with(
        &address.to_string(),
        &hasty_rules(directory.path()),
        &format!("[{:?}]", alertmanager.address().to_string()),
    );

    let start_ms = now_ms() / 60_000 * 60_000 - 50 * 60_000;
    send(&producer, start_ms, 0..20, false);
    eventually("healthy windows", DEADLINE, || {
        (count_active(&daemon, " 0") == 2 * FEATURES).then_some(())
    });
    send(&producer, start_ms, 20..30, true);
    eventually("firing alerts", DEADLINE, || {
        (count_active(&daemon, " 1") == BROKEN_ALERTS).then_some(())
    });
    eventually("a message", DEADLINE, || webhook.messages().pop());
    let messages = new_messages(&webhook, &alertmanager, 0);
    assert_eq!(
        names(&messages),
        [("firing", "PegelManyFeaturesDrift")],
        "{messages:#?}"
    );
    check_message(&messages[0], address);

    let sent = webhook.messages().len();
    send(&producer, start_ms, 30..50, false);
    eventually("no alert", DEADLINE, || {
        (count_active(&daemon, " 1") == 0 && count_active(&daemon, " 0") == 2 * FEATURES)
            .then_some(())
    });
    eventually("the end", DEADLINE, || {
        alertmanager.alerts().is_empty().then_some(())
    });
    let messages = new_messages(&webhook, &alertmanager, sent);
    assert_eq!(
        names(&messages),
        [("resolved", "PegelManyFeaturesDrift")],
        "{messages:#?}"
    );
}

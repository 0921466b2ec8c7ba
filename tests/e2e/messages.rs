//! The message that a person gets for each kind of break: pegel, Prometheus with the shipped rules,
//! Alertmanager with the shipped configuration, and a webhook.
//!
//! Events carry times of the last hour and are read as fast as they come, so nobody waits for a
//! window. Every step waits for a state that the next one needs.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pegel::demo::{EmbeddedBroker, TopicProducer};

use crate::alertmanager::{Alertmanager, Message, PROGRAM, Webhook};
use crate::deploy;
use crate::processes::{Daemon, Prometheus, eventually, free_address, have};

const DEADLINE: Duration = Duration::from_secs(120);
const EVENTS_PER_MINUTE: i64 = 60;
const HEALTHY_MINUTES: i64 = 20;
const BROKEN_MINUTES: i64 = 10;

/// One kind of break, in a monitor of its own.
struct Break {
    monitor: &'static str,
    /// Its feature and its alert, as options of the monitor.
    options: &'static str,
    /// The beginning of the summary, and words of the description.
    summary: &'static str,
    description: &'static [&'static str],
}

const BREAKS: &[Break] = &[
    Break {
        monitor: "cents",
        options: "features: [{name: amount, kind: numeric}], alerts: [{statistic: js, critical: 0.1}]",
        summary: "cents/amount: the distribution has changed (js is ",
        description: &[
            "median ",
            "looks like x100;",
            "js ",
            "Since 20",
            " UTC, window 5m",
        ],
    },
    Break {
        monitor: "countries",
        options: "features: [{name: country, kind: categorical}], alerts: [{statistic: unseen_ratio, critical: 0.05}]",
        summary: "countries/country: categories that the reference does not have (now ",
        description: &["unseen 0.0 % -> ", ": XK ("],
    },
    Break {
        monitor: "nulls",
        options: "features: [{name: coupon, kind: numeric}], alerts: [{statistic: missing_ratio, critical: 0.3}]",
        summary: "nulls/coupon: more values are missing than in the reference (now ",
        description: &["missing 10.0 % -> ", "threshold 30.0 %"],
    },
    Break {
        monitor: "volume",
        options: "features: [{name: amount, kind: numeric}], alerts: [], volume: {min_events: 200}",
        summary: "volume: too few events, now ",
        description: &["Fewer events than expected arrive in the window 5m"],
    },
    Break {
        monitor: "texts",
        options: "features: [{name: amount, kind: numeric}], alerts: [{statistic: invalid_ratio, critical: 0.1}]",
        summary: "texts/amount: invalid values, such as text where numbers are expected (now ",
        description: &["invalid values 0.0 % -> ", "threshold 10.0 %"],
    },
    Break {
        monitor: SILENT,
        options: "features: [{name: amount, kind: numeric}], alerts: [], silence: 1m",
        summary: "checkout: no events since 20",
        description: &["Nothing is compared meanwhile, so drift would stay unseen"],
    },
];

/// The monitor whose stream stops. It has no alert of its own in pegel.
const SILENT: &str = "checkout";
/// The alerts that pegel decides itself.
const ALERTS: usize = BREAKS.len() - 1;

/// A record of a monitor: the `i`-th one of its stream.
fn record(monitor: &str, at_ms: i64, i: i64, is_broken: bool) -> String {
    let breaks = |name: &str| is_broken && monitor == name;
    let amount = 10.0 + ((i * 37) % 1000) as f64 / 10.0;
    let amount = if breaks("cents") {
        amount * 100.0
    } else {
        amount
    };
    let amount = if breaks("texts") {
        format!("\"EUR {amount}\"")
    } else {
        amount.to_string()
    };
    let country = if breaks("countries") && i % 8 == 0 {
        "XK"
    } else {
        ["DE", "FR", "IT"][usize::try_from(i % 3).unwrap()]
    };
    let is_null = i % 10 == 0 || (breaks("nulls") && i % 2 == 0);
    let coupon = if is_null {
        "null".to_owned()
    } else {
        (i % 50).to_string()
    };
    format!(
        r#"{{"model":"{monitor}","ts":{at_ms},"amount":{amount},"country":"{country}","coupon":{coupon}}}"#
    )
}

fn now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since_epoch.as_millis()).unwrap()
}

/// Sends the minutes `from..to` of every monitor; `start_ms` is the time of minute 0.
fn send(producer: &TopicProducer, start_ms: i64, minutes: std::ops::Range<i64>, is_broken: bool) {
    let step_ms = 60_000 / EVENTS_PER_MINUTE;
    for i in minutes.start * EVENTS_PER_MINUTE..minutes.end * EVENTS_PER_MINUTE {
        let at_ms = start_ms + i * step_ms;
        for kind in BREAKS {
            let is_lost = is_broken
                && match kind.monitor {
                    "volume" => i % 4 != 0,
                    monitor => monitor == SILENT,
                };
            if !is_lost {
                let text = record(kind.monitor, at_ms, i, is_broken);
                producer.send("key", &text, now_ms()).unwrap();
            }
        }
    }
    producer.flush(DEADLINE).unwrap();
}

/// Writes the configuration and fits the reference of all monitors.
fn prepare(directory: &Path, brokers: &str) -> PathBuf {
    let mut config = format!(
        "version: 1
state: {{flush_interval: 100ms}}
sources: {{s: {{kafka: {{brokers: [{brokers:?}], topics: [orders], group_id: e2e, start: earliest}}}}}}
monitors:
"
    );
    for kind in BREAKS {
        writeln!(
            config,
            "  - {{name: {}, source: s, select: {{where: {{path: /model, equals: {}}}}}, \
             timestamp: {{path: /ts}}, lateness: {{out_of_orderness: 0s, idle_after: 1h}}, \
             windows: [{{name: 5m, size: 5m, slide: 1m, min_samples: 50}}], \
             reference: {{file: reference.json}}, {}}}",
            kind.monitor, kind.monitor, kind.options
        )
        .unwrap();
    }
    let path = directory.join("pegel.yaml");
    std::fs::write(&path, config).unwrap();
    let rows: String = (0..2000)
        .map(|i| record("any", 0, i, false) + "\n")
        .collect();
    std::fs::write(directory.join("rows.ndjson"), rows).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_pegel"))
        .args(["fit", "rows.ndjson", "-o", "reference.json"])
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(output.status.success(), "fit: {output:?}");
    path
}

/// The number of alerts that a daemon shows with this state.
fn count_active(daemon: &Daemon, value: &str) -> usize {
    daemon
        .scrape()
        .iter()
        .filter(|line| line.starts_with("pegel_alert_active{") && line.ends_with(value))
        .count()
}

/// Waits until Prometheus has evaluated its rules on a scrape that is younger than this call.
fn wait_for_rules(prometheus: &Prometheus) {
    let scraped_after = now_ms() as f64 / 1000.0;
    eventually("a scrape with alerts", DEADLINE, || {
        prometheus
            .value("min(timestamp(pegel_alert_active == 1))")
            .filter(|scraped| *scraped > scraped_after)
    });
    let evaluated_after = now_ms();
    eventually("an evaluation of the rules", DEADLINE, || {
        let rules = prometheus.get("/api/v1/rules");
        let groups = rules["data"]["groups"].as_array()?.clone();
        let is_done = groups.iter().all(|group| {
            let evaluated = group["lastEvaluation"].as_str().unwrap_or_default();
            evaluated
                .parse::<jiff::Timestamp>()
                .is_ok_and(|at| at.as_millisecond() > evaluated_after)
        });
        is_done.then_some(())
    });
}

/// Waits for the messages of all breaks and returns one for each.
fn wait_for_messages(webhook: &Webhook) -> Vec<Message> {
    BREAKS
        .iter()
        .map(|kind| {
            eventually(kind.monitor, DEADLINE, || {
                webhook.messages().into_iter().find(|message| {
                    message.status == "firing"
                        && message.monitor == kind.monitor
                        && message.summary.starts_with(kind.summary)
                })
            })
        })
        .collect()
}

/// Checks and prints the message of each break.
fn check_messages(messages: &[Message], address: SocketAddr) {
    for (kind, message) in BREAKS.iter().zip(messages) {
        println!(
            "{}: {}\n{}\n",
            message.alert, message.summary, message.description
        );
        for words in kind.description {
            assert!(message.description.contains(words), "{words}: {message:?}");
        }
        let page = format!(" http://{address}/");
        assert!(message.description.ends_with(&page), "{message:?}");
    }
}

#[test]
fn each_kind_of_break_is_told_in_words_and_a_restart_sends_nothing() {
    if !have(&["prometheus", "promtool", PROGRAM]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let broker = EmbeddedBroker::start("orders", 1).unwrap();
    let config = prepare(directory.path(), &broker.bootstrap_servers());
    let producer = TopicProducer::try_new(&broker.bootstrap_servers(), "orders").unwrap();
    let address: SocketAddr = free_address();
    let daemon = Daemon::start(&config, address);
    let webhook = Webhook::start();
    let alertmanager = Alertmanager::start(&deploy("alertmanager.yml"), &webhook);
    let prometheus = Prometheus::start_with(
        &address.to_string(),
        &deploy("pegel.rules.yml"),
        &format!("[{:?}]", alertmanager.address().to_string()),
    );

    let minutes = HEALTHY_MINUTES + BROKEN_MINUTES;
    let start_ms = now_ms() / 60_000 * 60_000 - minutes * 60_000;
    send(&producer, start_ms, 0..HEALTHY_MINUTES, false);
    eventually("healthy windows", DEADLINE, || {
        (count_active(&daemon, " 0") == ALERTS).then_some(())
    });
    send(&producer, start_ms, HEALTHY_MINUTES..minutes, true);
    check_messages(&wait_for_messages(&webhook), address);

    wait_for_rules(&prometheus);
    let before = alertmanager.alerts();
    let sent = webhook.messages().len();
    assert!(daemon.stop().success(), "SIGTERM ends it cleanly");
    eventually("a failed scrape", DEADLINE, || {
        prometheus.value("up").filter(|up| *up < 0.5)
    });
    let daemon = Daemon::start(&config, address);
    eventually("firing alerts after the restart", DEADLINE, || {
        (count_active(&daemon, " 1") == ALERTS).then_some(())
    });
    wait_for_rules(&prometheus);
    assert_eq!(alertmanager.alerts(), before, "the same ones, as old");
    assert_eq!(new_messages(&webhook, &alertmanager, sent), [], "restart");
    drop(daemon);
}

/// The messages beyond the first `sent` ones, once everything is sent that Alertmanager knows now.
///
/// A group is flushed every second, and a new one after two: what a restart changed is sent before
/// the marker.
fn new_messages(webhook: &Webhook, alertmanager: &Alertmanager, sent: usize) -> Vec<Message> {
    alertmanager.send("marker");
    eventually("the marker", DEADLINE, || {
        let messages = webhook.messages();
        messages
            .iter()
            .any(|message| message.monitor == "marker")
            .then_some(())
    });
    let mut messages = webhook.messages().split_off(sent);
    messages.retain(|message| message.monitor != "marker");
    messages
}

//! The page in a real browser, in every state in which nothing is judged, and in a judged one.

use std::fmt::Write as _;
use std::path::Path;

use pegel::demo::{EmbeddedBroker, TopicProducer};

use crate::browser::{Browser, PROGRAM};
use crate::processes::{Daemon, eventually, free_address, have, now_ms};
use crate::stage::{DEADLINE, fit};

/// The widths of a desk and of a phone, in CSS pixels.
const WIDTHS: [u32; 2] = [1440, 390];

/// The texts in a green colour. A colour is green if its green part is clearly the largest.
const GREEN_TEXTS: &str = "
    [...document.querySelectorAll('body *')].filter(element => {
      const hasText = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
      const [r, g, b] = getComputedStyle(element).color.match(/[0-9.]+/g).map(Number);
      return hasText && g > 1.3 * r && g > 1.3 * b;
    }).map(element => element.textContent)";

/// The elements that reach beyond the window, where nobody sees them.
const CUT_OFF: &str = "
    [...document.querySelectorAll('body *')]
      .filter(element => element.getBoundingClientRect().right > innerWidth + 0.5)
      .map(element => element.textContent)";

/// The cells of a row, by the name of its feature.
fn cells(feature: &str) -> String {
    format!(
        "[...document.querySelectorAll('tr')]
           .map(row => [...row.cells].map(cell => cell.textContent))
           .find(cells => cells[0].startsWith('{feature} '))"
    )
}

fn record(model: &str, at_ms: i64, i: i64) -> String {
    let amount = 10.0 + ((i * 37) % 1000) as f64 / 10.0;
    format!(
        r#"{{"model":"{model}","ts":{at_ms},"amount":{amount},"count":{}}}"#,
        i % 50
    )
}

/// Sends one record per second and model for the last 20 minutes.
fn send(producer: &TopicProducer, models: &[&str]) {
    let now = now_ms();
    for i in 0..20 * 60 {
        let at_ms = now - (20 * 60 - i) * 1000;
        for model in models {
            let text = record(model, at_ms, i);
            producer.send("key", &text, now).unwrap();
        }
    }
    producer.flush(DEADLINE).unwrap();
}

/// A configuration of these monitors, each with its options.
fn write_config(path: &Path, brokers: &str, state: &str, monitors: &[(&str, &str)]) {
    let group = monitors[0].0;
    let mut config = format!(
        "version: 1
state: {{flush_interval: 100ms{state}}}
sources: {{s: {{kafka: {{brokers: [{brokers:?}], topics: [orders], group_id: {group}, start: earliest}}}}}}
monitors:
"
    );
    for (name, options) in monitors {
        writeln!(
            config,
            "  - {{name: {name}, source: s, select: {{where: {{path: /model, equals: {name}}}}}, \
             timestamp: {{path: /ts}}, lateness: {{out_of_orderness: 0s, idle_after: 1h}}, \
             reference: {{file: reference.json}}, features: [{{name: amount, kind: numeric}}, \
             {{name: count, kind: numeric}}], {options}}}"
        )
        .unwrap();
    }
    std::fs::write(path, config).unwrap();
}

fn fit_reference(directory: &Path) {
    let rows: String = (0..2000).map(|i| record("any", 0, i) + "\n").collect();
    fit(directory, &rows);
}

/// Opens the page of a daemon at all widths and checks that nothing is green or cut off.
fn expect_nothing_green(browser: &mut Browser, daemon: &Daemon, state: &str) {
    for width in WIDTHS {
        browser.open(&daemon.url(), width);
        let green = browser.evaluate(GREEN_TEXTS);
        assert_eq!(green, serde_json::json!([]), "{state}, {width}: green");
        let cut_off = browser.evaluate(CUT_OFF);
        assert_eq!(cut_off, serde_json::json!([]), "{state}, {width}: cut off");
    }
}

/// Rows and volumes were green beside "not ready", while the log was read, and after a stream had
/// stopped.
#[test]
fn nothing_is_green_while_nothing_is_judged() {
    if !have(&[PROGRAM]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    fit_reference(directory.path());
    let broker = EmbeddedBroker::start("orders", 1).unwrap();
    let brokers = broker.bootstrap_servers();
    let mut browser = Browser::start();
    let windows = "windows: [{name: 5m, size: 5m, slide: 1m, min_samples: 50}]";
    let not_ready = "windows: [{name: 5m, size: 5m, slide: 1m, min_samples: 100000}], silence: 1d, alerts: [{statistic: js, critical: 0.1}]";
    let silent = format!(
        "{windows}, silence: 1m, volume: {{min_events: 1}}, alerts: [{{statistic: js, critical: 0.5}}]"
    );
    let no_alert = format!("{windows}, silence: 1d, alerts: []");
    let monitors = [
        ("not_ready", not_ready),
        ("silent", silent.as_str()),
        ("no_alert", &no_alert),
    ];

    let path = directory.path().join("recovering.yaml");
    let dead_log = ", panes_topic: panes, brokers: ['127.0.0.1:1']";
    write_config(&path, &brokers, dead_log, &monitors);
    let recovering = Daemon::start(&path, free_address());
    eventually("the recovery", DEADLINE, || {
        let scrape = recovering.get("/metrics");
        let is_told = recovering.get("/").contains("pane log topic panes");
        (is_told && scrape.contains("\npegel_recovering 1\n")).then_some(())
    });
    expect_nothing_green(&mut browser, &recovering, "recovering");
    drop(recovering);

    let path = directory.path().join("pegel.yaml");
    write_config(&path, &brokers, "", &monitors);
    let daemon = Daemon::start(&path, free_address());
    eventually("a connection", DEADLINE, || {
        daemon
            .get("/")
            .contains("0 records read, lag 0")
            .then_some(())
    });
    expect_nothing_green(&mut browser, &daemon, "no data");

    let producer = TopicProducer::try_new(&brokers, "orders").unwrap();
    send(&producer, &["not_ready", "silent", "no_alert"]);
    eventually("every state", DEADLINE, || {
        let page = daemon.get("/");
        let states = [
            ">silent<",
            ">not ready<",
            ">no alert<",
            " of 100000 samples",
        ];
        let is_silent = page.contains("monitor silent: silent, no events since");
        (is_silent && states.iter().all(|state| page.contains(state))).then_some(())
    });
    expect_nothing_green(&mut browser, &daemon, "not judged");
}

/// A monitor with fixed thresholds, and one with budgets.
const JUDGED: [(&str, &str); 2] = [
    (
        "fixed",
        "windows: [{name: 5m, size: 5m, slide: 1m, min_samples: 50}], silence: 1d, \
         alerts: [{statistic: js, critical: 0.45}, {statistic: wasserstein_normalized, critical: 0.75}]",
    ),
    (
        "budget",
        "windows: [{name: 5m, size: 5m, slide: 1m, min_samples: 50}], silence: 1d",
    ),
];

/// A browser asks for gzip, and decoded the first of three members.
fn expect_whole_scrape(browser: &mut Browser, daemon: &Daemon) {
    browser.open(&format!("{}metrics", daemon.url()), WIDTHS[0]);
    let scrape = browser.evaluate("document.body.innerText");
    let scrape = scrape.as_str().unwrap();
    for block in [
        "pegel_drift_score{",
        "pegel_events_total{",
        "process_cpu_seconds_total",
    ] {
        assert!(scrape.contains(block), "{block}");
    }
}

/// Opens the page of a feature at all widths: two pictures, nothing cut off, and an address that
/// does not exist is told.
fn expect_feature_page(browser: &mut Browser, daemon: &Daemon) {
    for width in WIDTHS {
        let address = format!("{}monitors/fixed/features/amount", daemon.url());
        browser.open(&address, width);
        let pictures =
            browser.evaluate("document.querySelectorAll('svg.chart path.window').length");
        assert_eq!(pictures, 2, "histogram and cumulative shares");
        let rows = browser.evaluate("document.querySelectorAll('td[data-name=window]').length");
        assert_eq!(rows, 7 + 3, "quantiles and rates");
        assert_eq!(browser.evaluate(CUT_OFF), serde_json::json!([]), "{width}");
    }
    browser.open(
        &format!("{}monitors/fixed/features/nothing", daemon.url()),
        WIDTHS[0],
    );
    let text = browser.evaluate("document.body.innerText");
    assert!(text.as_str().unwrap().contains("no such monitor"), "{text}");
}

/// The thresholds of fixed rules were absent, and the raw Wasserstein score stood beside the
/// threshold of the clipped one.
#[test]
fn a_judged_page_shows_thresholds_and_each_status_once() {
    if !have(&[PROGRAM]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    fit_reference(directory.path());
    let broker = EmbeddedBroker::start("orders", 1).unwrap();
    let brokers = broker.bootstrap_servers();
    let path = directory.path().join("pegel.yaml");
    write_config(&path, &brokers, "", &JUDGED[..1]);
    let daemon = Daemon::start(&path, free_address());
    let producer = TopicProducer::try_new(&brokers, "orders").unwrap();
    send(&producer, &["fixed", "budget"]);
    eventually("a judged window", DEADLINE, || {
        daemon.get("/").contains("no alert is firing").then_some(())
    });
    let mut browser = Browser::start();
    for width in WIDTHS {
        browser.open(&daemon.url(), width);
        let green = browser.evaluate(GREEN_TEXTS);
        assert_eq!(green, serde_json::json!(["no alert is firing", "ok", "ok"]));
        assert_eq!(browser.evaluate(CUT_OFF), serde_json::json!([]), "{width}");
        let row = browser.evaluate(&cells("amount"));
        let ends_with = |cell: usize, end: &str| row[cell].as_str().unwrap().ends_with(end);
        assert!(
            ends_with(3, " / 0.450") && ends_with(4, " / 0.750"),
            "{row}"
        );
    }
    expect_feature_page(&mut browser, &daemon);
    expect_whole_scrape(&mut browser, &daemon);
    drop(daemon);

    write_config(&path, &brokers, ", path: budget", &JUDGED[1..]);
    let daemon = Daemon::start(&path, free_address());
    eventually("a calibrated window", DEADLINE, || {
        let page = daemon.get("/");
        (page.contains("no alert is firing") && !page.contains("not ready")).then_some(())
    });
    let api: serde_json::Value = serde_json::from_str(&daemon.get("/api/v1/monitors")).unwrap();
    let monitor = &api["monitors"][0];
    let comparison = &monitor["windows"][0]["features"][0]["references"][0];
    let body = comparison["scores"]["wasserstein_body"].as_f64().unwrap();
    let status = comparison["status"][0].as_str().unwrap();
    for width in WIDTHS {
        browser.open(&daemon.url(), width);
        let row = browser.evaluate(&cells("amount"));
        let shown = row[4].as_str().unwrap();
        assert!(shown.starts_with(&format!("{body:.3} / ")), "{body}: {row}");
        let text = browser.evaluate("document.body.innerText");
        let times = text.as_str().unwrap().matches(status).count();
        assert_eq!(times, 1, "{status}: {text}");
    }
}

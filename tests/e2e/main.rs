//! The alert path on real parts: a running daemon, Debian's Prometheus that scrapes it, the shipped
//! rules, and the answers of its API.
//!
//! Needs `prometheus`, `promtool`, `prometheus-alertmanager` and `chromium-headless-shell` on the
//! path. Where they are absent the tests print so and pass, unless `PEGEL_TEST_REQUIRE=1`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, wait for processes and look at the environment"
)]

mod alertmanager;
mod browser;
mod dashboards;
mod many_features;
mod messages;
mod page;
mod processes;
mod stage;

use std::path::{Path, PathBuf};
use std::time::Duration;

use processes::{Demo, Prometheus, eventually, have, have_prometheus, promtool};
use serde_json::Value;

fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy/prometheus")
        .join(file)
}

#[test]
fn the_shipped_rules_pass_promtool() {
    if !have_prometheus() {
        return;
    }
    let path = |file: &str| deploy(file).to_str().unwrap().to_owned();
    for rules in [
        "pegel.rules.yml",
        "pegel.promql.rules.yml",
        "pegel.recording.rules.yml",
    ] {
        let arguments = ["check", "rules", "--lint=all", "--lint-fatal"];
        promtool(&[&arguments[..], &[&path(rules)]].concat(), "");
    }
    promtool(&["check", "config", &path("prometheus.yml")], "");
    for tests in ["rules_test.yml", "promql_rules_test.yml"] {
        promtool(&["test", "rules", &path(tests)], "");
    }
}

/// The head of `pegel.promql.rules.yml` has the command that leaves the group `pegel-health` alone.
#[test]
fn the_documented_command_separates_the_rules_about_pegel_itself() {
    if !have_prometheus() {
        return;
    }
    let text = std::fs::read_to_string(deploy("pegel.promql.rules.yml")).unwrap();
    let command = text
        .lines()
        .find_map(|line| line.strip_prefix("#   "))
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    std::fs::copy(
        deploy("pegel.rules.yml"),
        directory.path().join("pegel.rules.yml"),
    )
    .unwrap();
    let mut shell = std::process::Command::new("sh");
    let status = shell
        .args(["-c", command])
        .current_dir(directory.path())
        .status()
        .unwrap();
    assert!(status.success(), "{command}");
    let separated = directory.path().join("pegel-health.rules.yml");
    promtool(&["check", "rules", separated.to_str().unwrap()], "");
    let separated = std::fs::read_to_string(separated).unwrap();
    assert!(separated.contains("- name: pegel-health\n"), "{separated}");
    assert!(separated.contains("- alert: PegelDown\n"), "{separated}");
    assert!(!separated.contains("PegelDriftCritical"), "{separated}");
}

#[test]
fn scores_thresholds_and_a_firing_alert_are_read_back_from_prometheus() {
    if !have_prometheus() {
        return;
    }
    let demo = Demo::start(&["--speed", "10"]);
    promtool(&["check", "metrics"], &demo.get("/metrics"));
    let prometheus = Prometheus::start(demo.address(), &deploy("pegel.rules.yml"));
    let minute = Duration::from_secs(60);
    let score = eventually("a score in Prometheus", minute, || {
        prometheus.value(r#"pegel_drift_score{feature="amount",statistic="js"}"#)
    });
    assert!((0.0..=1.0).contains(&score), "js {score}");
    let line = prometheus
        .value(r#"pegel_drift_threshold{feature="amount",statistic="js",severity="critical"}"#);
    assert_eq!(line, Some(0.1), "the critical line");
    let firing = eventually("a firing alert in Prometheus", minute, || {
        let alerts = prometheus.get("/api/v1/alerts");
        let alerts = alerts["data"]["alerts"].as_array()?.clone();
        alerts.into_iter().find(|alert| {
            alert["state"] == "firing"
                && alert["labels"]["alertname"] == "PegelDriftCritical"
                && alert["labels"]["feature"] == "amount"
        })
    });
    assert!(
        firing["annotations"]["summary"]
            .as_str()
            .unwrap()
            .contains("amount"),
        "{firing}"
    );
    let join = "count(pegel_drift_score / on(job,instance,monitor,feature,segment,window,reference,statistic) group_right() pegel_drift_threshold)";
    let joined = prometheus.value(join);
    assert!(
        joined.is_some_and(|count| count > 5.0),
        "the documented join works: {joined:?}"
    );
    let up = prometheus.value("up{job=\"pegel\"}");
    assert_eq!(up, Some(1.0), "no scrape failed to parse");
}

/// curl decoded the first of three gzip members and dropped the others: no counters, no Kafka.
#[test]
fn curl_shows_all_of_a_compressed_scrape() {
    if !have(&["curl"]) {
        return;
    }
    let demo = Demo::start(&["--speed", "30"]);
    eventually("a score", Duration::from_secs(60), || {
        let text = demo.get("/metrics");
        text.contains("pegel_drift_score{").then_some(())
    });
    let families = |text: &str| {
        text.lines()
            .filter(|line| line.starts_with("# TYPE "))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    // An alert may begin to fire between the two scrapes and bring a family.
    eventually("the same families", Duration::from_secs(60), || {
        let output = std::process::Command::new("curl")
            .args(["--silent", "--show-error", "--fail", "--compressed"])
            .arg(format!("http://{}/metrics", demo.address()))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "curl: {text}");
        assert!(text.contains("process_cpu_seconds_total"), "the last block");
        (families(&text) == families(&demo.get("/metrics"))).then_some(())
    });
}

/// The exit code of `pegel health`.
fn health(url: &str) -> Option<i32> {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pegel"));
    command
        .args(["health", "--url", url])
        .status()
        .unwrap()
        .code()
}

#[test]
fn the_page_and_the_api_agree() {
    let demo = Demo::start(&["--speed", "30"]);
    let firing = eventually("a firing alert in the API", Duration::from_secs(60), || {
        let alerts: Value = serde_json::from_str(&demo.get("/api/v1/alerts")).ok()?;
        alerts["alerts"]
            .as_array()?
            .iter()
            .find(|alert| alert["state"] == "firing" && alert["feature"] == "amount")
            .cloned()
    });
    assert_eq!(firing["monitor"], "loans", "{firing}");
    let page = demo.get("/");
    assert!(
        page.contains("firing") && page.contains("amount"),
        "the page names it"
    );
    assert_eq!(demo.get("/-/healthy"), "pegel is healthy\n", "healthy");
    let url = format!("http://{}/", demo.address());
    assert_eq!(health(&url), Some(0), "the health check of the image");
    assert_eq!(demo.get("/-/ready"), "pegel is ready\n", "ready");
    let status = demo.stop();
    assert!(status.success(), "SIGTERM ends it cleanly: {status}");
    assert_eq!(health(&url), Some(1), "nobody listens");
}

#[test]
fn a_replayed_file_can_be_imported_into_prometheus() {
    use std::fmt::Write as _;
    if !have_prometheus() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut rows = String::new();
    for i in 0..3600_i64 {
        let at = 1_793_491_200_000 + i * 1000;
        writeln!(rows, "{{\"ts\":{at},\"x\":{}}}", (i * 7919) % 1000).unwrap();
    }
    let config = "version: 1
sources: {s: {kafka: {brokers: ['localhost:1'], topics: [t]}}}
monitors:
  - name: m
    source: s
    timestamp: {path: /ts}
    windows: [{size: 5m, slide: 1m, min_samples: 100}]
    reference: {file: ref.json}
    features: [{name: x, kind: numeric}]
    alerts: [{statistic: js}, {statistic: wasserstein, severity: warning}]
";
    std::fs::write(directory.path().join("rows.ndjson"), rows).unwrap();
    std::fs::write(directory.path().join("pegel.yaml"), config).unwrap();
    let pegel = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pegel"));
        let output = command
            .args(arguments)
            .current_dir(directory.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    };
    pegel(&[
        "fit",
        "rows.ndjson",
        "-o",
        "ref.json",
        "--config",
        "pegel.yaml",
    ]);
    pegel(&[
        "replay",
        "-c",
        "pegel.yaml",
        "--input",
        "rows.ndjson",
        "-o",
        "scores.om",
    ]);
    let (text, blocks) = (
        directory.path().join("scores.om"),
        directory.path().join("blocks"),
    );
    let (text, blocks) = (text.to_str().unwrap(), blocks.to_str().unwrap());
    promtool(
        &["tsdb", "create-blocks-from", "openmetrics", text, blocks],
        "",
    );
    let written = std::fs::read_dir(blocks).unwrap().count();
    assert!(written > 0, "at least one block");
}

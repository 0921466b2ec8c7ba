//! Decisions and messages of commands: too few samples, thresholds that nothing can reach,
//! configurations that add nothing, volume, samples of another shape, and the health of a daemon.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;

use serde_json::Value;

use crate::support::{outcome, run, text, write};

/// A configuration of the monitor `m` with these options.
fn config(options: &str) -> String {
    format!(
        "version: 1
sources: {{s: {{kafka: {{brokers: [\"127.0.0.1:1\"], topics: [t]}}}}}}
monitors:
  - name: m
    source: s
    timestamp: {{path: /ts}}
    reference: {{file: ref.json}}
    windows: [{{size: 5m, slide: 1m}}]
{options}"
    )
}

/// One row a second from minute `from` on, with a number that is moved by `shift` and a category.
fn rows(from: i64, count: i64, shift: f64) -> String {
    let mut table = "ts,amount,country\n".to_owned();
    for i in 0..count {
        let at = 1_793_491_200_000 + (from * 60 + i) * 1000;
        let amount = f64::from(i32::try_from(i * 7919 % 1000).unwrap()) + shift;
        let country = ["DE", "FR", "PL"][usize::try_from(i % 3).unwrap()];
        writeln!(table, "{at},{amount},{country}").unwrap();
    }
    table
}

fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "reference.csv", &rows(0, 6000, 0.0));
    write(directory.path(), "same.csv", &rows(200, 2000, 0.0));
    write(directory.path(), "moved.csv", &rows(200, 2000, 500.0));
    write(directory.path(), "three.csv", &rows(200, 3, 0.0));
    write(directory.path(), "pegel.yaml", &config(""));
    let fit = ["fit", "reference.csv", "-c", "pegel.yaml", "-o", "ref.json"];
    let (code, _, messages) = run(directory.path(), &fit);
    assert_eq!(code, 0, "{messages}");
    directory
}

fn features(output: &str) -> Vec<Value> {
    let report: Value = serde_json::from_str(output).unwrap();
    report["features"].as_array().unwrap().clone()
}

/// Three rows had the verdict `none`, and `not_ready` with a configuration that says nothing else.
#[test]
fn few_samples_are_judged_neither_with_nor_without_a_configuration() {
    let directory = directory();
    for options in [&[][..], &["-c", "pegel.yaml"]] {
        let compare = [
            "compare",
            "ref.json",
            "three.csv",
            "--fail-on",
            "critical",
            "--format",
            "json",
        ];
        let (code, output, messages) = run(directory.path(), &[&compare[..], options].concat());
        assert_eq!(code, 4, "{options:?}: {output}{messages}");
        for feature in features(&output) {
            assert_eq!(feature["verdict"], "not_ready", "{feature}");
            assert_eq!(feature["reason"], "too_few_samples", "{feature}");
        }
    }
    let compare = ["compare", "ref.json", "three.csv"];
    let (code, output, _) = run(directory.path(), &compare);
    assert_eq!(code, 0, "without --fail-on");
    let told = "fewer than 500 samples are not judged, --min-samples sets another minimum";
    assert!(output.contains(told), "{output}");
    let compare = ["compare", "ref.json", "moved.csv", "--min-samples", "3000"];
    let (_, output, _) = run(directory.path(), &compare);
    assert!(output.contains("fewer than 3000 samples"), "{output}");
}

/// A threshold of 3 on a score of at most 1 looked like a judgement.
#[test]
fn a_threshold_above_the_largest_score_is_none() {
    let directory = tempfile::tempdir().unwrap();
    // A single value in one of 45 categories has a JS of 0.92 bit without any drift, so with its
    // tolerance the threshold is above 1.
    let cities = |count: u32| {
        let rows = (0..count).map(|i| format!("{},C{:02}\n", i % 100, i * 7919 % 45));
        "amount,city\n".to_owned() + &rows.collect::<String>()
    };
    write(directory.path(), "reference.csv", &cities(4500));
    write(directory.path(), "single.csv", &cities(1));
    let compare = [
        "compare",
        "reference.csv",
        "single.csv",
        "--min-samples",
        "1",
    ];
    let json = ["--format", "json", "--fail-on", "critical"];
    let (code, output, messages) = run(directory.path(), &[&compare[..], &json].concat());
    assert_eq!(code, 4, "{output}{messages}");
    let features = features(&output);
    let city = features
        .iter()
        .find(|feature| feature["name"] == "city")
        .unwrap();
    assert_eq!(city["verdict"], "not_ready", "its only score is js");
    assert_eq!(city["reason"], "line_unreachable");
    assert!(city["calibration"]["js"]["threshold"].is_null());
    let statuses = city["status"].as_array().unwrap();
    assert!(
        statuses.contains(&"line_unreachable".into()),
        "{statuses:?}"
    );
    let (_, table, _) = run(directory.path(), &compare);
    assert!(table.contains("(unreachable)"), "{table}");
    let status = "line_unreachable: city js";
    assert!(
        table.lines().any(|line| line.starts_with(status)),
        "{table}"
    );
}

/// The windows of a configuration chose other blocks of the reference, so that the same two files
/// had other thresholds.
#[test]
fn a_configuration_that_adds_nothing_changes_nothing() {
    let directory = directory();
    for current in ["same.csv", "moved.csv"] {
        let compare = ["compare", "reference.csv", current, "--format", "json"];
        let (_, without, messages) = run(directory.path(), &compare);
        let rules = "rules: js, wasserstein and rates (the defaults); min_samples 500";
        assert!(messages.contains(rules), "{messages}");
        let configured = [&compare[..], &["-c", "pegel.yaml"]].concat();
        let (_, with, messages) = run(directory.path(), &configured);
        assert!(messages.contains(rules), "{messages}");
        assert_eq!(features(&without), features(&with), "{current}");
    }
    let rules =
        "    alerts: [{statistic: psi, warning: 0.1, critical: 0.25, features: [amount]}]\n";
    write(directory.path(), "psi.yaml", &config(rules));
    let compare = ["compare", "ref.json", "same.csv", "-c", "psi.yaml"];
    let (_, _, messages) = run(directory.path(), &compare);
    let told = "rules: psi warning 0.1 critical 0.25 of amount; min_samples 500; monitor m";
    assert!(messages.contains(told), "{messages}");
}

/// `--fail-on critical` passed whatever the data, because no rule could be critical.
#[test]
fn a_severity_that_no_rule_has_cannot_fail() {
    let directory = directory();
    let compare = |alerts: &str, fail_on: &str| {
        write(
            directory.path(),
            "alerts.yaml",
            &config(&format!("    alerts: {alerts}\n")),
        );
        let arguments = ["compare", "ref.json", "moved.csv", "-c", "alerts.yaml"];
        run(
            directory.path(),
            &[&arguments[..], &["--fail-on", fail_on]].concat(),
        )
    };
    let warning = "[{statistic: js, severity: warning}]";
    let (code, _, messages) = compare(warning, "critical");
    assert_eq!(code, 2, "{messages}");
    assert!(
        messages.contains("no rule of severity critical: --fail-on critical has nothing to judge"),
        "{messages}"
    );
    assert_eq!(compare(warning, "warning").0, 3, "the rule is judged");
    let on_country = "[{statistic: js, severity: critical, features: [country]}]";
    let (code, _, messages) = compare(on_country, "critical");
    assert_eq!(code, 0, "country has not moved: {messages}");
    let told = "no rule of severity critical, so --fail-on critical does not judge: amount";
    assert!(messages.contains(told), "{messages}");
}

/// One far value among many is in no verdict, but it owns the distance, which only JSON said.
#[test]
fn the_part_of_the_distance_beyond_the_reference_is_told() {
    let directory = directory();
    let outlier = rows(200, 2000, 0.0) + "1793503300000,9000000,DE\n";
    write(directory.path(), "outlier.csv", &outlier);
    let compare = |current: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_pegel"))
            .args(["compare", "ref.json", current])
            .env("COLUMNS", "80")
            .current_dir(directory.path())
            .output()
            .unwrap();
        text(&output.stdout).replace("\n  ", " ")
    };
    let report = compare("outlier.csv");
    assert!(
        report.contains("amount: few values lie far out, 100 % of the Wasserstein distance of"),
        "{report}"
    );
    let report = compare("moved.csv");
    assert!(
        report.contains("% of the distance comes from values beyond the reference"),
        "{report}"
    );
}

/// A volume alarm was a number in the last line, and no line of the output was about it.
#[test]
fn a_replay_names_a_volume_alarm() {
    let directory = directory();
    // 75 events per window: one row in four of a stream that should have one a second.
    let thin: String = rows(200, 2400, 0.0)
        .lines()
        .enumerate()
        .filter(|(line, _)| *line == 0 || line % 4 == 1)
        .map(|(_, row)| row.to_owned() + "\n")
        .collect();
    write(directory.path(), "thin.csv", &thin);
    let replay = ["replay", "-c", "volume.yaml", "--input", "thin.csv"];
    let check = |options: &str, code: i32| {
        write(directory.path(), "volume.yaml", &config(options));
        let (actual, output, messages) = run(directory.path(), &replay);
        assert_eq!(actual, code, "{messages}");
        let lines: Vec<Value> = output
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        (lines, messages)
    };
    let (lines, messages) = check("    volume: {min_events: 200}\n", 0);
    let alarm = "critical: m 5m volume, 75 events where at least 200 are expected";
    assert!(messages.contains(alarm), "{messages}");
    assert!(messages.contains(", 1 alert fired"), "{messages}");
    assert!(
        messages.contains("m 5m volume: ") && messages.contains("median 75 events, smallest 75"),
        "{messages}"
    );
    let volume: Vec<&Value> = lines.iter().filter(|line| line["feature"] == "").collect();
    let last = volume.last().unwrap();
    assert_eq!(
        (&last["alert"], &last["samples"], &last["min_events"]),
        (&"firing".into(), &75.into(), &200.into()),
        "{last}"
    );
    for line in lines.iter().filter(|line| line["feature"] != "") {
        assert_eq!(line["alert"], "not_ready", "75 of 500 samples: {line}");
    }
    let (_, messages) = check("    volume: {min_events: 50}\n", 1);
    assert!(
        messages.contains("no rule was ready in any of"),
        "enough events, and no rule of a feature was ever judged: {messages}"
    );
    check("    volume: {min_events: 50}\n    alerts: []\n", 0);
    let csv = [&replay[..], &["--format", "csv"]].concat();
    assert_eq!(run(directory.path(), &csv).0, 0);
}

/// Every feature was `missing (absent)`, and the exit code was 0.
#[test]
fn a_sample_without_any_feature_is_of_another_shape() {
    let directory = directory();
    let check = |sample: &str| {
        let arguments = ["check", "-c", "pegel.yaml", "--sample", sample];
        let (code, output, _) = run(directory.path(), &arguments);
        (code, output)
    };
    let (code, output) = check(r#"{"time": 1793491200, "row": {"amount": 1, "Country": "DE"}}"#);
    assert_eq!(code, 1, "{output}");
    for expected in [
        "amount (numeric): missing (absent), did you mean /row/amount?",
        "country (categorical): missing (absent), did you mean /row/Country?",
        "none of the features is in the record",
        "paths tried: /amount, /country",
        "paths in the record: /time, /row/amount, /row/Country",
    ] {
        assert!(output.contains(expected), "{expected}: {output}");
    }
    let (code, output) = check(r#"{"tss": 1793491200, "amount": 1, "contry": "DE"}"#);
    assert_eq!(code, 0, "one feature is there: {output}");
    for expected in [
        "the Kafka time of the record, did you mean /tss?",
        "country (categorical): missing (absent), did you mean /contry?",
    ] {
        assert!(output.contains(expected), "{expected}: {output}");
    }
    let (code, output) = check(r#"{"ts": 1793491200, "amount": null, "country": null}"#);
    assert_eq!(code, 0, "null is a value of the shape: {output}");
}

/// Answers every request with 200 for as long as the test runs.
fn healthy_daemon() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 1024];
            drop(stream.read(&mut request));
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
        }
    });
    port
}

/// `health` knew nothing of the configuration, so it asked a port on which nobody listened.
#[test]
fn health_asks_where_the_daemon_listens() {
    let directory = tempfile::tempdir().unwrap();
    let port = healthy_daemon();
    let configured = |address: &str| {
        let web = format!("web: {{listen_address: \"{address}\"}}\n");
        write(directory.path(), "pegel.yaml", &(config("") + &web));
    };
    let health = |arguments: &[&str], variable: Option<(&str, &str)>| {
        let output = Command::new(env!("CARGO_BIN_EXE_pegel"))
            .arg("health")
            .args(arguments)
            .env_remove("PEGEL__WEB__LISTEN_ADDRESS")
            .envs(variable)
            .current_dir(directory.path())
            .output()
            .unwrap();
        outcome(&output)
    };
    let config = ["-c", "pegel.yaml"];
    configured(&format!("0.0.0.0:{port}"));
    let (code, output, messages) = health(&config, None);
    assert_eq!(code, 0, "{messages}");
    assert_eq!(output, format!("pegel at 127.0.0.1:{port} is healthy\n"));
    configured(&format!("localhost:{port}"));
    assert_eq!(
        health(&config, None).0,
        0,
        "the first address of a host may be another one"
    );

    let here = format!("127.0.0.1:{port}");
    configured("127.0.0.1:1");
    let (code, _, messages) = health(&config, None);
    assert_eq!(code, 1, "{messages}");
    let told =
        "no pegel answers at 127.0.0.1:1 (web.listen_address of pegel.yaml): Connection refused";
    assert!(messages.contains(told), "{messages}");
    let variable = Some(("PEGEL__WEB__LISTEN_ADDRESS", here.as_str()));
    assert_eq!(health(&config, variable).0, 0, "the environment wins");
    assert_eq!(health(&[], variable).0, 0, "without a configuration");
    let lower = Some(("pegel__web__listen_address", here.as_str()));
    assert_eq!(health(&[], lower).0, 0, "its case does not matter");
    assert_eq!(health(&["--url", &format!("http://{here}/")], None).0, 0);

    let single = Some(("PEGEL_WEB__LISTEN_ADDRESS", here.as_str()));
    let (code, _, messages) = health(&config, single);
    assert_eq!(code, 1, "{messages}");
    let told = "PEGEL_WEB__LISTEN_ADDRESS is ignored, did you mean PEGEL__WEB__LISTEN_ADDRESS?";
    assert!(messages.contains(told), "{messages}");
    let wrong = Some(("PEGEL__WEB__LISTEN_ADDRESS", "10987"));
    assert_eq!(health(&[], wrong).0, 2, "no address");
    configured("127.0.0.1:0");
    assert_eq!(health(&config, None).0, 2, "a free port");
    assert_eq!(health(&["-c", "gone.yaml"], None).0, 2);
}

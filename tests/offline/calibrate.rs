//! Runs `pegel calibrate` as a user does, and checks its proposal on quiet data, the faults it
//! finds, and the features it names.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::OnceLock;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Normal};
use serde_json::Value;

use crate::support::{pegel, text};

const PER_MINUTE: i64 = 20;
const DAY_MINUTES: i64 = 1440;

/// Minutes `from..until` of a quiet stream of `x`, `y` and `c`; `y` moves by `drift` standard
/// deviations a day.
fn rows(seed: u64, from: i64, until: i64, drift: f64) -> String {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let normal = Normal::new(0.0, 1.0).unwrap();
    let mut table = "ts,x,y,c\n".to_owned();
    for i in from * PER_MINUTE..until * PER_MINUTE {
        let ts = 1_793_491_200_000 + i * 60_000 / PER_MINUTE;
        let x = 100.0 + 10.0 * normal.sample(&mut random);
        let days = (i - from * PER_MINUTE) as f64 / (DAY_MINUTES * PER_MINUTE) as f64;
        let y = normal.sample(&mut random) + drift * days;
        let c = ["de", "fr", "it"][random.random_range(0..3)];
        writeln!(table, "{ts},{x:.3},{y:.4},{c}").unwrap();
    }
    table
}

/// The configuration with these alerts, which stand below the monitor.
fn config(alerts: &str) -> String {
    format!(
        "version: 1\nsources:\n  s:\n    kafka: {{brokers: [localhost:9092], topics: [t]}}\nmonitors:\n  - name: m\n    source: s\n    \
         timestamp: {{path: /ts}}\n    windows: [{{size: 30m, slide: 5m, min_samples: 200}}]\n    reference: {{file: ref.json}}\n    \
         features:\n      - {{name: x, kind: numeric}}\n      - {{name: y, kind: numeric}}\n      - {{name: c, kind: categorical}}\n{alerts}"
    )
}

const FIXED: &str = "    alerts: [{statistic: js, critical: 0.5}]\n";

/// Two days of reference, a quiet day and a drifting one.
fn directory() -> &'static Path {
    static MADE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &str| {
            std::fs::write(directory.path().join(name), content).unwrap();
        };
        let days = |count: i64| count * DAY_MINUTES;
        write("reference.csv", &rows(1, 0, days(2), 0.0));
        write("quiet.csv", &rows(2, days(2), days(3), 0.0));
        write("drifting.csv", &rows(3, days(2), days(3), 3.0));
        write("pegel.yaml", &config(FIXED));
        let moving = "references: [{file: ref.json}, {previous: true}, {name: day, trailing: {period: 6h, delay: 1h}}]";
        let file = "reference: {file: ref.json}";
        write("moving.yaml", &config(FIXED).replace(file, moving));
        let arguments = [
            "fit",
            "reference.csv",
            "-o",
            "ref.json",
            "--config",
            "pegel.yaml",
        ];
        let fitted = pegel(directory.path(), &arguments);
        assert!(fitted.status.success(), "{}", text(&fitted.stderr));
        directory
    });
    made.path()
}

fn calibrate(input: &str, format: &str) -> String {
    calibrate_with("pegel.yaml", input, format)
}

fn calibrate_with(config: &str, input: &str, format: &str) -> String {
    let arguments = [
        "calibrate",
        "-c",
        config,
        "--input",
        input,
        "--format",
        format,
    ];
    let output = pegel(directory(), &arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        !text(&output.stdout).contains('\u{1b}'),
        "no colour where there is no terminal"
    );
    text(&output.stdout)
}

/// The result for the quiet day, as JSON.
fn quiet() -> &'static Value {
    static SAID: OnceLock<Value> = OnceLock::new();
    SAID.get_or_init(|| serde_json::from_str(&calibrate("quiet.csv", "json")).unwrap())
}

/// The result for the quiet day, as tables.
fn quiet_table() -> &'static str {
    static SAID: OnceLock<String> = OnceLock::new();
    SAID.get_or_init(|| calibrate("quiet.csv", "table"))
}

/// The result for the drifting day, as JSON.
fn drifting() -> &'static Value {
    static SAID: OnceLock<Value> = OnceLock::new();
    SAID.get_or_init(|| serde_json::from_str(&calibrate("drifting.csv", "json")).unwrap())
}

fn named<'a>(list: &'a Value, key: &str, name: &str) -> &'a Value {
    let mut total = list.as_array().unwrap().iter();
    total.find(|entry| entry[key] == name).unwrap()
}

#[test]
fn a_quiet_history_yields_a_policy_that_keeps_its_budget() {
    let proposal = quiet()["proposal"]["name"].as_str().unwrap();
    let candidate = named(&quiet()["candidates"], "name", proposal);
    assert_eq!(candidate["alarms"], 0, "{candidate}");
    assert_eq!(candidate["keeps_budget"], true, "{candidate}");
    assert_eq!(candidate["is_vouched_for"], true, "{candidate}");
    assert_eq!(
        quiet()["never_quiet"],
        serde_json::json!([]),
        "all is quiet"
    );
    let output = quiet()["caveats"].to_string();
    assert!(
        output.contains("cannot show"),
        "one day says little of seven: {output}"
    );
}

#[test]
fn every_policy_finds_gross_faults_in_every_feature() {
    assert_gross_damage_is_found(quiet());
}

#[test]
fn dynamic_references_raise_no_false_alarm_and_hide_no_gross_fault() {
    let output = calibrate_with("moving.yaml", "quiet.csv", "json");
    let output: Value = serde_json::from_str(&output).unwrap();
    let alarms = |entry: &Value| entry["alarms"].as_u64().unwrap();
    let candidates = output["candidates"].as_array().unwrap();
    assert_eq!(candidates.iter().map(alarms).sum::<u64>(), 0, "{output}");
    assert_gross_damage_is_found(&output);
}

fn assert_gross_damage_is_found(output: &Value) {
    let candidates = output["candidates"].as_array().unwrap();
    let policies = candidates.iter().filter(|entry| !entry["for"].is_null());
    assert!(policies.clone().count() >= 12, "a ladder");
    for policy in policies {
        for (damage, features) in [
            ("shift 1 std", 2),
            ("x1000", 2),
            ("20% nulls", 3),
            ("20% unseen", 1),
        ] {
            let actual = named(&policy["found"], "damage", damage);
            let counts = (actual["found"].as_u64(), actual["features"].as_u64());
            assert_eq!(
                counts,
                (Some(features), Some(features)),
                "{actual} by {}",
                policy["name"]
            );
        }
    }
}

#[test]
fn fixed_thresholds_are_backtested_as_configured() {
    let configured = named(&quiet()["candidates"], "name", "as configured");
    let nulls = named(&configured["found"], "damage", "20% nulls");
    assert_eq!(
        (&nulls["found"], &nulls["features"]),
        (&0.into(), &3.into()),
        "js sees none"
    );
    let unit = named(&configured["found"], "damage", "x1000");
    assert_eq!(unit["found"], 2, "{unit}");
}

#[test]
fn a_longer_for_delays_detection() {
    let median = |name: &str| {
        let candidate = named(&quiet()["candidates"], "name", name);
        let actual = named(&candidate["found"], "damage", "x1000");
        actual["evaluations"]["median"].as_u64().unwrap()
    };
    assert_eq!(median("30d for 3"), median("30d") + 2, "two more in a row");
}

#[test]
fn two_runs_give_identical_output() {
    let first = quiet_table();
    assert_eq!(first, calibrate("quiet.csv", "table"), "same bytes");
    let widest = first.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(80), "{widest:?} columns:\n{first}");
}

/// The configured budgets were `open` beside the same policy that was `kept`.
#[test]
fn configured_budgets_are_supported_like_the_policy_they_are() {
    let rules: String = [
        "js",
        "wasserstein",
        "missing_ratio",
        "invalid_ratio",
        "unseen_ratio",
        "out_of_range_ratio",
    ]
    .iter()
    .map(|statistic| format!("{{statistic: {statistic}}}, "))
    .collect();
    let budgets = config(&format!("    alerts: [{rules}]\n"));
    std::fs::write(directory().join("budgets.yaml"), budgets).unwrap();
    let output = calibrate_with("budgets.yaml", "quiet.csv", "json");
    let report: Value = serde_json::from_str(&output).unwrap();
    let configured = named(&report["candidates"], "name", "as configured");
    let policy = named(&report["candidates"], "name", "30d");
    for key in ["keeps_budget", "is_vouched_for", "alarms", "above", "found"] {
        assert_eq!(configured[key], policy[key], "{key}");
    }
    let expected = |candidate: &Value| candidate["alarms_by_design_at_most"].as_f64().unwrap();
    assert!((expected(configured) - expected(policy)).abs() < 1e-9);
    let fixed = named(&quiet()["candidates"], "name", "as configured");
    assert!(fixed["alarms_by_design_at_most"].is_null(), "no promise");
}

#[test]
fn the_proposal_is_a_configuration() {
    let yaml = quiet()["proposal"]["yaml"].as_str().unwrap();
    let indented: String = yaml.lines().map(|line| format!("    {line}\n")).collect();
    std::fs::write(directory().join("proposed.yaml"), config(&indented)).unwrap();
    let checked = pegel(directory(), &["check", "-c", "proposed.yaml"]);
    assert!(
        checked.status.success(),
        "{indented}{}",
        text(&checked.stderr)
    );
    let table = quiet_table();
    assert!(
        table.contains(&indented),
        "the table shows it as it is pasted:\n{table}"
    );
}

/// Alarms of each feature in a replay: episodes in which one of its alerts fires.
fn alarms_of_replay(alerts: &str, input: &str) -> Vec<(String, u64)> {
    std::fs::write(directory().join("as_tried.yaml"), config(alerts)).unwrap();
    let output = pegel(
        directory(),
        &["replay", "-c", "as_tried.yaml", "--input", input],
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines: Vec<Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let count = |feature: &str| {
        let states = lines.iter().filter(|line| line["feature"] == feature);
        let firing: Vec<bool> = states.map(|line| line["alert"] == "firing").collect();
        let begun = firing.windows(2).filter(|pair| !pair[0] && pair[1]).count();
        (feature.to_owned(), begun as u64 + u64::from(firing[0]))
    };
    ["x", "y", "c"].map(count).to_vec()
}

#[test]
fn backtest_counts_equal_those_of_a_replay() {
    let mut alerts = "    alerts:\n".to_owned();
    for (statistic, tolerance) in [
        ("js", "0.28std"),
        ("wasserstein", "0.28std"),
        ("missing_ratio", "0%"),
        ("unseen_ratio", "0.2%"),
        ("out_of_range_ratio", "0.2%"),
    ] {
        let rule = format!(
            "{{statistic: {statistic}, false_alarm_interval: 7d, tolerance: {tolerance}, for: 3}}"
        );
        writeln!(alerts, "      - {rule}").unwrap();
    }
    let candidate = named(&drifting()["candidates"], "name", "7d 0.28std for 3");
    let counted = |name: &str| named(&candidate["features"], "name", name)["alarms"].as_u64();
    for (feature, alarms) in alarms_of_replay(&alerts, "drifting.csv") {
        assert_eq!(counted(&feature), Some(alarms), "{feature}");
    }
    assert!(counted("y") > Some(0), "y drifts");
}

#[test]
fn a_feature_that_drifts_in_the_history_is_named() {
    assert_eq!(
        drifting()["never_quiet"],
        serde_json::json!(["y"]),
        "y drifts"
    );
    let output = drifting()["caveats"].to_string();
    assert!(
        output.contains("alarms under every policy although nothing was damaged: y ("),
        "{output}"
    );
    assert!(!drifting()["proposal"].is_null(), "the others are quiet");
}

/// The backtest left the alert on the number of events out, and said nothing about it.
#[test]
fn alarms_of_the_volume_are_counted_beside_the_candidates() {
    let volume = "    volume: {min_events: 601}\n";
    std::fs::write(
        directory().join("volume.yaml"),
        config(&format!("{FIXED}{volume}")),
    )
    .unwrap();
    let output: Value =
        serde_json::from_str(&calibrate_with("volume.yaml", "quiet.csv", "json")).unwrap();
    assert_eq!(output["volume"]["alarms"], 1, "600 events in every window");
    let below = output["volume"]["evaluations_below"].as_u64().unwrap();
    assert!((270..=288).contains(&below), "each is below: {below}");
    let table = calibrate_with("volume.yaml", "quiet.csv", "table");
    let line = format!("alarms of `volume`, with every candidate: 1, in {below} windows");
    assert!(table.contains(&line), "{table}");
    assert!(quiet()["volume"].is_null(), "no such alert");
}

#[test]
fn a_history_that_cannot_be_judged_is_an_error_with_its_reason() {
    let check = |arguments: &[&str], code: i32, expected: &str| {
        let output = pegel(directory(), &[&["calibrate"], arguments].concat());
        let messages = text(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {messages}"
        );
        assert!(messages.contains(expected), "{arguments:?}: {messages}");
        assert!(output.stdout.is_empty(), "{arguments:?}: nothing on stdout");
    };
    let write = |name: &str, content: String| {
        std::fs::write(directory().join(name), content).unwrap();
    };
    write("untimed.csv", "x,y,c\n1,2,de\n".to_owned());
    write("empty.csv", "ts,x,y,c\n".to_owned());
    write("short.csv", rows(4, 2880, 2885, 0.0));
    write("lost.yaml", config(FIXED).replace("ref.json", "lost.json"));
    check(
        &["-c", "pegel.yaml", "--input", "untimed.csv"],
        1,
        "1 no_timestamp",
    );
    check(
        &["-c", "pegel.yaml", "--input", "empty.csv"],
        1,
        "no row became an event",
    );
    check(
        &["-c", "pegel.yaml", "--input", "short.csv"],
        1,
        "no rule was ready",
    );
    check(
        &["-c", "pegel.yaml", "--input", "missing.csv"],
        2,
        "cannot be read",
    );
    check(&["-c", "lost.yaml", "--input", "quiet.csv"], 2, "lost.json");
    check(
        &["-c", "missing.yaml", "--input", "quiet.csv"],
        2,
        "missing.yaml",
    );
    check(
        &["-c", "pegel.yaml", "--input", "quiet.csv", "--monitor", "z"],
        2,
        "\"z\"",
    );
    check(
        &["-c", "pegel.yaml", "--input", "quiet.csv", "--budget", "0s"],
        2,
        "above 0",
    );
}

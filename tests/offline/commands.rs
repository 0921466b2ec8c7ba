//! Runs the commands as a user types them, and checks what they print and how they exit.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{pegel, text};

/// Rows `id, x, word, flag, sometimes`; x is shifted by `shift`.
fn table(rows: u32, shift: f64) -> String {
    let mut table = "id,x,word,flag,sometimes\n".to_owned();
    for i in 0..rows {
        let x = f64::from((i * 7919) % 1000) / 10.0 + shift;
        let word = ["red", "green", "blue"][i as usize % 3];
        let sometimes = if i % 4 == 0 {
            String::new()
        } else {
            (i % 500).to_string()
        };
        writeln!(table, "n{i},{x},{word},{},{sometimes}", i % 2 == 0).unwrap();
    }
    table
}

fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let write =
        |name: &str, content: String| std::fs::write(directory.path().join(name), content).unwrap();
    write("reference.csv", table(4000, 0.0));
    write("same.csv", table(2000, 0.0));
    write("moved.csv", table(2000, 80.0));
    let fitted = pegel(
        directory.path(),
        &["fit", "reference.csv", "-o", "ref.json"],
    );
    assert!(fitted.status.success(), "{}", text(&fitted.stderr));
    assert!(
        text(&fitted.stderr).contains("an identifier"),
        "what was left out is said"
    );
    directory
}

fn exit(directory: &Path, arguments: &[&str]) -> i32 {
    pegel(directory, arguments).status.code().unwrap()
}

#[test]
fn exit_codes_separate_drift_from_not_ready_and_from_usage_errors() {
    let directory = directory();
    let check = |arguments: &[&str], code: i32| {
        assert_eq!(exit(directory.path(), arguments), code, "{arguments:?}")
    };
    check(
        &["compare", "ref.json", "same.csv", "--fail-on", "warning"],
        0,
    );
    check(&["compare", "ref.json", "moved.csv"], 0);
    check(
        &["compare", "ref.json", "moved.csv", "--fail-on", "critical"],
        3,
    );
    check(&["compare", "ref.json", "missing.csv"], 2);
    check(&["fit", "missing.csv", "-o", "out.json"], 2);
    check(&["fit", "same.csv", "-o", "missing/out.json"], 1);
    check(&["compare", "missing.json", "same.csv"], 2);
    check(&["compare", "ref.json", "same.csv", "--format", "html"], 2);
    check(&["compare", "ref.json"], 2);
    check(&["check", "-c", "missing.yaml"], 2);
    let only_x = table(2000, 0.0)
        .lines()
        .map(|row| row.split(',').nth(1).unwrap().to_owned() + "\n")
        .collect::<String>();
    std::fs::write(directory.path().join("other.csv"), only_x).unwrap();
    check(
        &["compare", "ref.json", "other.csv", "--fail-on", "warning"],
        3,
    );
    let by_shape = "version: 1
sources: {s: {kafka: {brokers: [\"127.0.0.1:1\"], topics: [t]}}}
monitors:
  - {name: m, source: s, windows: [{size: 5m, min_samples: 1}], alerts: [{statistic: js}],
     features: [{name: x, kind: numeric}, {name: word, kind: categorical}]}
";
    std::fs::write(directory.path().join("shape.yaml"), by_shape).unwrap();
    check(
        &[
            "compare",
            "ref.json",
            "other.csv",
            "--config",
            "shape.yaml",
            "--fail-on",
            "warning",
        ],
        4,
    );
}

/// A file with unreadable rows passed with 0, however many they were, and so did `alerts: []`.
#[test]
fn unreadable_rows_and_missing_rules_do_not_pass() {
    let directory = directory();
    let write = |name: &str, content: &str| {
        std::fs::write(directory.path().join(name), content).unwrap();
    };
    for (name, shift, bad) in [
        ("few", 0.0, 20),
        ("many", 0.0, 21),
        ("moved_many", 80.0, 21),
    ] {
        let rows = table(1980, shift) + &"1,2\n".repeat(bad);
        write(&format!("{name}.csv"), &rows);
    }
    let shape = "version: 1
sources: {s: {kafka: {brokers: [\"127.0.0.1:1\"], topics: [t]}}}
monitors:
  - {name: m, source: s, windows: [{size: 5m}], alerts: [], features: [{name: x, kind: numeric}]}
";
    write("quiet.yaml", shape);
    let compare = |arguments: &[&str]| {
        let output = pegel(
            directory.path(),
            &[&["compare", "ref.json", "--format", "json"], arguments].concat(),
        );
        let (document, messages) = (text(&output.stdout), text(&output.stderr));
        (output.status.code().unwrap(), document, messages)
    };
    let told = "more than 1 % of the rows could not be read: 21 of 2001";
    for (current, code, is_told) in [
        ("few.csv", 0, false),
        ("many.csv", 4, true),
        ("moved_many.csv", 3, true),
    ] {
        let (exit, document, messages) = compare(&[current, "--fail-on", "critical"]);
        assert_eq!(
            (exit, messages.contains(told)),
            (code, is_told),
            "{messages}"
        );
        let document: Value = serde_json::from_str(&document).unwrap();
        let unreadable = if is_told { 21 } else { 20 };
        assert_eq!(document["current"]["unreadable_rows"], unreadable);
    }
    assert_eq!(compare(&["many.csv"]).0, 0, "without --fail-on");
    let quiet = ["same.csv", "-c", "quiet.yaml"];
    let (exit, _, messages) = compare(&[&quiet[..], &["--fail-on", "warning"]].concat());
    assert_eq!(exit, 2, "{messages}");
    assert!(
        messages.contains("no rules: --fail-on has nothing to judge"),
        "{messages}"
    );
    assert_eq!(compare(&quiet).0, 0);
}

#[test]
fn two_references_are_compared_only_in_one_layout() {
    let directory = directory();
    let check = |arguments: &[&str], code: i32| {
        assert_eq!(exit(directory.path(), arguments), code, "{arguments:?}")
    };
    let refit = pegel(directory.path(), &["fit", "moved.csv", "-o", "other.json"]);
    assert!(refit.status.success(), "fit");
    check(&["compare", "ref.json", "other.json"], 2);
    let lent = pegel(
        directory.path(),
        &[
            "fit",
            "moved.csv",
            "-o",
            "lent.json",
            "--layout",
            "ref.json",
        ],
    );
    assert!(lent.status.success(), "{}", text(&lent.stderr));
    check(
        &["compare", "ref.json", "lent.json", "--fail-on", "critical"],
        3,
    );
}

#[test]
fn references_and_properties_that_do_not_fit_are_reported_with_their_line() {
    let directory = directory();
    let config = "version: 1
state: {panes_topic: p, properties: {acks: lots}}
sources:
  a: {kafka: {brokers: [\"127.0.0.1:1\"], topics: [t], properties: {fetch.foo: 1}}}
  b: {kafka: {brokers: [\"127.0.0.1:1\"], topics: [t], group_id: b, properties: {max.poll.interval.ms: 20000}}}
defaults: {windows: [{size: 5m}], source: a}
monitors:
  - {name: m, reference: {file: gone.json}}
  - name: n
    features: [{name: x, path: /x, kind: boolean}]
    references: [{name: good, file: ref.json}]
";
    std::fs::write(directory.path().join("pegel.yaml"), config).unwrap();
    let problems = [
        "  2:44 state.properties.acks: librdkafka says: Invalid value",
        "  4:78 sources.a.kafka.properties.fetch.foo: librdkafka says: No such configuration property",
        "  5:24 sources.b: librdkafka cannot make a client: `max.poll.interval.ms`must be",
        "  8:26 monitors[0].reference: gone.json: cannot be read: No such file",
        "  10:16 monitors[1].features[0]: feature x: configured as boolean, but the reference was fitted as numeric",
    ];
    let check = |command: &str, expected: &[&str]| {
        let output = pegel(directory.path(), &[command, "-c", "pegel.yaml"]);
        let messages = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{messages}");
        let actual: Vec<&str> = messages
            .lines()
            .filter(|line| line.starts_with("  "))
            .collect();
        let is_same = |(actual, expected): (&&str, &&str)| actual.starts_with(expected);
        let total = actual.len() == expected.len() && actual.iter().zip(expected).all(is_same);
        assert!(total, "{messages}");
    };
    check("check", &problems);
    // A reference may be made later; a client property that librdkafka refuses stays wrong.
    check("run", &problems[..3]);
    let shared = "version: 1
state: {panes_topic: p, properties: {max.in.flight: 10}}
sources: {s: {kafka: {brokers: [\"127.0.0.1:1\"], topics: [t]}}}
defaults: {windows: [{size: 5m}], source: s, reference: {file: gone.json}}
monitors: [{name: m}, {name: n}]
";
    std::fs::write(directory.path().join("pegel.yaml"), shared).unwrap();
    let log = "  2:22 state: librdkafka cannot make a client: `max.in.flight";
    let once = "  4:64 defaults.reference: gone.json: cannot be read: No such file";
    check("check", &[log, once]);
    check("run", &[log]);
}

/// With windows of a minute, one record that was four minutes ahead stopped a monitor for minutes.
#[test]
fn check_warns_of_a_max_future_that_short_windows_do_not_bear() {
    let directory = directory();
    let warnings = |windows: &str, lateness: &str| -> Vec<String> {
        let config = format!(
            "version: 1
sources: {{s: {{kafka: {{brokers: [\"127.0.0.1:1\"], topics: [t]}}}}}}
monitors:
  - name: m
    source: s
    windows: {windows}
    lateness: {lateness}
    reference: {{file: ref.json}}
    features: [{{name: x}}]
    alerts: []
"
        );
        std::fs::write(directory.path().join("short.yaml"), config).unwrap();
        let output = pegel(directory.path(), &["check", "-c", "short.yaml"]);
        let messages = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{messages}");
        let lines = messages
            .lines()
            .filter(|line| line.starts_with("monitor m:"));
        lines.map(str::to_owned).collect()
    };
    let expected = "monitor m: lateness.max_future of 5m is long for windows of 1m: one record with \
                    a clock so far ahead makes all others of its partition late for 3m 30s, and they \
                    are dropped; set max_future to the clock error you expect, at most 1m 30s";
    assert_eq!(warnings("[{size: 1m}]", "{}"), [expected], "the default");
    let none: [String; 0] = [];
    assert_eq!(warnings("[{size: 1m}]", "{max_future: 90s}"), none);
    assert_eq!(
        warnings("[{size: 1m}, {size: 15m}]", "{}"),
        none,
        "a longer one"
    );
}

#[test]
fn a_range_needs_a_configuration_and_excludes_a_file() {
    let directory = directory();
    let config = "version: 1
sources: {s: {kafka: {brokers: [\"127.0.0.1:1\"], topics: [t]}}}
monitors: [{name: m, source: s, windows: [{size: 5m}], reference: {file: ref.json}}]
";
    std::fs::write(directory.path().join("pegel.yaml"), config).unwrap();
    let check = |arguments: &str, words: &str| {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let output = pegel(directory.path(), &arguments);
        let messages = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {messages}");
        assert!(messages.contains(words), "{arguments:?}: {messages}");
    };
    let replay = |more: &str| format!("replay -c pegel.yaml {more}");
    check("replay -c pegel.yaml", "--input <DATA>");
    check(&replay("--input x.csv --from 1d"), "cannot be used with");
    check(&replay("--input x.csv --to 1d"), "cannot be used with");
    check(&replay("--to 1d"), "required");
    check(&replay("--from 1d --to 2d"), "is not before --to");
    check(&replay("--from yesterday"), "as 2026-11-01T00:00:00Z");
    check("fit -o x.json", "INPUT");
    check("fit -o x.json --from 1d", "--config <FILE>");
    let fit = "fit -o x.json --config pegel.yaml --from 1d";
    check(&format!("{fit} --to 2d"), "is not before --to");
    check(&format!("{fit} reference.csv"), "cannot be used with");
}

/// The keys of one feature, in order.
const KEYS: [&str; 16] = [
    "name",
    "kind",
    "verdict",
    "reason",
    "reference_samples",
    "samples",
    "missing_ratio",
    "invalid",
    "out_of_range_ratio",
    "unseen_ratio",
    "bins",
    "scores",
    "support_overlap",
    "beyond_reference",
    "status",
    "calibration",
];

#[test]
fn json_has_the_shape_of_the_contract() {
    let directory = directory();
    let output = pegel(
        directory.path(),
        &["compare", "ref.json", "moved.csv", "--format", "json"],
    );
    let actual: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&actual["reference"]["rows"], &actual["current"]["rows"]),
        (&4000.into(), &2000.into()),
        "rows"
    );
    let features = actual["features"].as_array().unwrap();
    let names: Vec<&str> = features
        .iter()
        .map(|feature| feature["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["x", "word", "flag", "sometimes"],
        "in the order of the data"
    );
    for feature in features {
        let keys: Vec<&str> = feature
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(keys, KEYS, "keys of {}", feature["name"]);
        let counted: u64 = feature["bins"]
            .as_array()
            .unwrap()
            .iter()
            .map(|bin| bin["current"].as_u64().unwrap())
            .sum();
        assert_eq!(counted, feature["samples"].as_u64().unwrap(), "bins add up");
    }
    let x = &features[0];
    assert_eq!(
        (
            x["verdict"].as_str(),
            x["scores"].as_object().unwrap().len()
        ),
        (Some("critical"), 13),
        "twelve statistics and the body"
    );
    let shift = x["scores"]["wasserstein"].as_f64().unwrap();
    assert!(
        (shift - 80.0).abs() < 0.1,
        "the distance of a shift is the shift: {shift}"
    );
    assert_eq!(
        features[1]["scores"].as_object().unwrap().len(),
        9,
        "nine for categories"
    );
}

#[test]
fn tables_show_the_drifted_feature_first() {
    let directory = directory();
    let output = pegel(directory.path(), &["compare", "ref.json", "moved.csv"]);
    let table = text(&output.stdout);
    let first = table.lines().nth(3).unwrap();
    assert!(
        first.contains("x") && first.contains("critical") && first.contains("median"),
        "{table}"
    );
    assert!(table.contains("features drifted (critical: x"), "{table}");
    assert!(
        !table.contains('\u{1b}'),
        "no colour where there is no terminal"
    );
}

/// `unseen 0.0 % -> 10.0 %: XK (200)` was told twice.
#[test]
fn unseen_categories_are_told_once() {
    let directory = directory();
    let mut rows = table(2000, 0.0);
    for i in (0..2000).step_by(10) {
        let red = format!("\nn{i},");
        let start = rows.find(&red).unwrap() + 1;
        let end = rows[start..].find('\n').unwrap() + start;
        let mut cells: Vec<&str> = rows[start..end].split(',').collect();
        cells[2] = "XK";
        let row = cells.join(",");
        rows.replace_range(start..end, &row);
    }
    std::fs::write(directory.path().join("unseen.csv"), rows).unwrap();
    let compare = ["compare", "ref.json", "unseen.csv", "--format", "markdown"];
    let output = pegel(directory.path(), &compare);
    let table = text(&output.stdout);
    assert_eq!(table.matches("10.0 %: XK (200)").count(), 1, "{table}");
}

/// `compare` panicked with exit code 101.
#[test]
fn a_result_that_cannot_be_written_is_an_error() {
    let directory = directory();
    let by_shape = "version: 1
sources: {s: {kafka: {brokers: [\"127.0.0.1:1\"], topics: [t]}}}
monitors:
  - {name: m, source: s, windows: [{size: 1m}], features: [{name: x, kind: numeric}]}
";
    std::fs::write(directory.path().join("shape.yaml"), by_shape).unwrap();
    let commands: [&[&str]; 5] = [
        &["compare", "ref.json", "same.csv"],
        &["compare", "ref.json", "same.csv", "--format", "json"],
        &["compare", "ref.json", "same.csv", "--format", "markdown"],
        &["check", "-c", "shape.yaml", "--print"],
        &["check", "-c", "shape.yaml", "--sample", "{\"x\": 1}"],
    ];
    for arguments in commands {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
        let output = Command::new(env!("CARGO_BIN_EXE_pegel"))
            .current_dir(directory.path())
            .args(arguments)
            .stdout(full.unwrap())
            .output()
            .unwrap();
        let messages = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {messages}");
        assert!(
            messages.contains("standard output: cannot be written: No space left"),
            "{arguments:?}: {messages}"
        );
    }
}

#[test]
fn standard_input_is_read_twice() {
    use std::io::Write as _;
    let directory = directory();
    let mut child = Command::new(env!("CARGO_BIN_EXE_pegel"))
        .args(["fit", "-", "-o", "piped.json"])
        .current_dir(directory.path())
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(table(4000, 0.0).as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success(), "fit from a pipe");
    let hash = |name: &str| {
        let text = std::fs::read_to_string(directory.path().join(name)).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["hash"].clone()
    };
    assert_eq!(
        hash("piped.json"),
        hash("ref.json"),
        "the same data is the same reference"
    );
}

/// Runs a daemon that cannot start, and returns its messages.
fn failing_daemon(arguments: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let config = "version: 1
web: {listen_address: \"127.0.0.1:0\"}
state: {path: pegel.yaml}
sources:
  s: {kafka: {brokers: [\"127.0.0.1:1\"], topics: [t], group_id: g}}
monitors:
  - {name: m, source: s, windows: [{size: 1m}], features: [{name: x, kind: numeric}]}
";
    std::fs::write(directory.path().join("pegel.yaml"), config).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_pegel"))
        .args(["run", "-c", "pegel.yaml"])
        .args(arguments)
        .env("RUST_LOG", "error")
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    text(&output.stderr)
}

#[test]
fn the_log_level_of_the_command_line_wins_over_the_environment() {
    let (quiet, loud) = (
        failing_daemon(&[]),
        failing_daemon(&["--log-level", "info"]),
    );
    assert!(!quiet.contains("pegel starts"), "{quiet}");
    assert!(loud.contains("pegel starts"), "{loud}");
}

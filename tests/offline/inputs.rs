//! Wrong inputs of commands: each is named, with what would be accepted and a fitting exit code.

use std::fmt::Write as _;
use std::path::Path;

use crate::support::{pegel, run, text, write};

/// A configuration of the monitor `m` with these options.
fn config(options: &str) -> String {
    format!(
        "version: 1
sources: {{s: {{kafka: {{brokers: [\"127.0.0.1:1\"], topics: [t]}}}}}}
monitors:
  - name: m
    source: s
    windows: [{{size: 5m, slide: 1m, min_samples: 50}}]
{options}"
    )
}

/// A directory with `rows.csv`, `rows.ndjson` and their reference `ref.json`.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let (mut table, mut lines) = ("ts,amount,country\n".to_owned(), String::new());
    for i in 0..1200_i64 {
        let (at, amount) = (1_793_491_200_000 + i * 1000, i * 7919 % 1000);
        let country = ["DE", "FR", "PL"][usize::try_from(i % 3).unwrap()];
        writeln!(table, "{at},{amount},{country}").unwrap();
        writeln!(
            lines,
            "{{\"ts\":{at},\"amount\":{amount},\"country\":\"{country}\"}}"
        )
        .unwrap();
    }
    write(directory.path(), "rows.csv", &table);
    write(directory.path(), "rows.ndjson", &lines);
    let fit = ["fit", "rows.csv", "--timestamp", "ts", "-o", "ref.json"];
    let fitted = pegel(directory.path(), &fit);
    assert!(fitted.status.success(), "{}", text(&fitted.stderr));
    directory
}

#[test]
fn options_that_do_not_fit_the_reference_stop_check_and_run() {
    // `check` and `run` accepted all of them, and the features were never ready or counted in other
    // bins than configured.
    let directory = directory();
    let options = "    reference: {file: ref.json}
    features:
      - {name: amout}
      - {name: amount, bins: 10}
      - {name: country, top: 2}
    alerts:
      - {statistic: js, critical: 0.1, features: [amount]}
      - {statistic: wasserstein, features: [country]}
";
    write(directory.path(), "pegel.yaml", &config(options));
    let expected = "pegel.yaml: 4 problems
  9:9 monitors[0].features[0]: feature amout: not in reference training, did you mean \"amount\"?
  10:9 monitors[0].features[1]: feature amount: expected \"bins\" as in the reference, 20, found 10; or fit it again with this configuration
  11:9 monitors[0].features[2]: feature country: expected \"top\" as in the reference, 3, found 2; or fit it again with this configuration
  14:9 monitors[0].alerts[1]: alert on wasserstein: wasserstein does not exist for categorical features such as country
";
    for command in ["check", "run"] {
        let (code, _, messages) = run(directory.path(), &[command, "-c", "pegel.yaml"]);
        assert_eq!(code, 2, "{command}: {messages}");
        assert!(messages.contains(expected), "{command}: {messages}");
    }
}

#[test]
fn a_missing_reference_is_reported_with_the_other_problems() {
    // It was reported in a second round, once the other problems were mended.
    let directory = directory();
    let options = "    reference: {file: gone.json}\n    min_coverage: 2\n";
    write(directory.path(), "pegel.yaml", &config(options));
    for command in ["check", "run"] {
        let (code, _, messages) = run(directory.path(), &[command, "-c", "pegel.yaml"]);
        assert_eq!(code, 2, "{command}: {messages}");
        for problem in [
            "  7:16 monitors[0].reference: gone.json: cannot be read: No such file",
            "  8:19 monitors[0].min_coverage: expected a number between 0 and 1",
        ] {
            assert!(messages.contains(problem), "{command}: {messages}");
        }
    }
}

#[test]
fn a_replay_needs_its_references() {
    // It exited with 0 and "0 alerts fired" although nothing could be compared.
    let directory = directory();
    let options = "    reference: {file: gone.json}\n    timestamp: {path: /ts}\n";
    write(directory.path(), "pegel.yaml", &config(options));
    let replay = ["replay", "-c", "pegel.yaml", "--input", "rows.ndjson"];
    let (code, _, messages) = run(directory.path(), &replay);
    assert_eq!(code, 2, "{messages}");
    assert!(messages.contains("gone.json: cannot be read"), "{messages}");
    assert!(!messages.contains("alerts fired"), "{messages}");
    let given = [&replay[..], &["--reference", "ref.json"]].concat();
    let (code, _, messages) = run(directory.path(), &given);
    assert_eq!(code, 0, "{messages}");
    let table = [&replay[..], &["--reference", "rows.csv"]].concat();
    let (code, _, messages) = run(directory.path(), &table);
    assert_eq!(code, 2, "{messages}");
    assert!(
        messages.contains("rows.csv: not a pegel reference"),
        "{messages}"
    );
}

#[test]
fn a_replay_reports_rows_that_it_could_not_read() {
    let directory = directory();
    let options = "    reference: {file: ref.json}\n    timestamp: {path: /ts}\n";
    write(directory.path(), "pegel.yaml", &config(options));
    let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
    let lines = read("rows.ndjson") + "{\"ts\":\nnonsense\n[]\n";
    write(directory.path(), "broken.ndjson", &lines);
    write(
        directory.path(),
        "broken.csv",
        &(read("rows.csv") + "1,2\n"),
    );
    let check = |input: &str, expected: &str| {
        let replay = ["replay", "-c", "pegel.yaml", "--input", input];
        let (code, _, messages) = run(directory.path(), &replay);
        assert_eq!(code, 0, "{messages}");
        assert!(messages.contains(expected), "{messages}");
    };
    check(
        "broken.ndjson",
        "source s: 3 rows could not be read (2 json, 1 not_an_object)",
    );
    check(
        "broken.csv",
        "source s: 1 row could not be read (1 row_length)",
    );
}

/// It ended with 0 and "0 alerts fired" although no window held enough samples to judge one.
#[test]
fn a_replay_in_which_no_rule_is_ever_ready_is_a_failure() {
    let directory = directory();
    let options = "    reference: {file: ref.json}\n    timestamp: {path: /ts}\n";
    let replay = ["replay", "-c", "pegel.yaml", "--input", "rows.ndjson"];
    let check = |alerts: &str, code: i32, is_told: bool| {
        let starved = config(&format!("{options}{alerts}"));
        let starved = starved.replace("min_samples: 50", "min_samples: 100000");
        assert!(starved.contains("100000"), "{starved}");
        write(directory.path(), "pegel.yaml", &starved);
        let (exit, _, messages) = run(directory.path(), &replay);
        assert_eq!(exit, code, "{messages}");
        let has_line = messages
            .lines()
            .any(|line| line.starts_with("never ready: "));
        assert!(
            has_line && messages.contains("too_few_samples"),
            "{messages}"
        );
        let told = messages.contains("rows.ndjson: no rule was ready in any of ");
        assert_eq!(told, is_told, "{messages}");
    };
    check("    alerts: [{statistic: js, critical: 0.5}]\n", 1, true);
    check("    alerts: []\n", 0, false);
}

/// A history of which rows were lost was calibrated on without a word.
#[test]
fn calibrate_reports_rows_that_are_in_no_window() {
    let directory = directory();
    let options = "    reference: {file: ref.json}\n    timestamp: {path: /ts}\n";
    write(directory.path(), "pegel.yaml", &config(options));
    let rows = std::fs::read_to_string(directory.path().join("rows.ndjson")).unwrap();
    let lost = "nonsense\n[]\n{\"amount\":1}\n";
    write(directory.path(), "broken.ndjson", &(rows + lost));
    let calibrate = ["calibrate", "-c", "pegel.yaml", "--input", "broken.ndjson"];
    let (_, _, messages) = run(directory.path(), &calibrate);
    for line in [
        "monitor m: 1200 events (0 late, dropped: 1 no_timestamp)",
        "source s: 2 rows could not be read (1 json, 1 not_an_object)",
    ] {
        assert!(messages.contains(line), "{messages}");
    }
}

#[test]
fn the_short_option_names_the_configuration_everywhere() {
    let directory = directory();
    let options = "    features: [{name: amount, kind: numeric}]\n";
    write(directory.path(), "pegel.yaml", &config(options));
    let fit = ["fit", "rows.csv", "-c", "pegel.yaml", "-o", "amount.json"];
    let (code, _, messages) = run(directory.path(), &fit);
    assert_eq!(code, 0, "{messages}");
    let compare = ["compare", "amount.json", "rows.csv", "-c", "pegel.yaml"];
    let (code, _, messages) = run(directory.path(), &compare);
    assert_eq!(code, 0, "{messages}");
}

#[test]
fn a_sample_that_cannot_be_read_is_named() {
    let directory = directory();
    let options = "    reference: {file: ref.json}\n";
    write(directory.path(), "pegel.yaml", &config(options));
    let check = ["check", "-c", "pegel.yaml", "--sample", "@nofile"];
    let (code, _, messages) = run(directory.path(), &check);
    assert_eq!(code, 2, "{messages}");
    assert!(
        messages.contains("--sample @nofile: cannot be read: No such file"),
        "{messages}"
    );
}

#[test]
fn a_sample_is_checked_value_by_value() {
    // A rejected record and an invalid value exited with 0, and fields without a monitor were not
    // named.
    let directory = directory();
    let options = "    reference: {file: ref.json}\n    timestamp: {path: /ts}\n    root: /row\n";
    write(directory.path(), "pegel.yaml", &config(options));
    let check = |sample: &str, code: i32, expected: &str| {
        let arguments = ["check", "-c", "pegel.yaml", "--sample", sample];
        let (actual, output, messages) = run(directory.path(), &arguments);
        assert_eq!(actual, code, "{sample}: {output}{messages}");
        assert_eq!(output, expected, "{sample}");
    };
    check(
        r#"{"ts": 1793491200, "model": {"id": 7, "tags": ["a"]}, "row": {"amount": 1.5, "country": "DE"}}"#,
        0,
        "monitor m: event time 2026-11-01T00:00:00Z (epoch_s)
  amount (numeric): 1.5
  country (categorical): \"DE\"
fields that no monitor reads: /model/id, /model/tags
",
    );
    check(
        r#"{"row": {"amount": "12"}}"#,
        1,
        "monitor m: event time the Kafka time of the record
  amount (numeric): invalid (wrong_kind), text \"12\" where numbers are expected: set `coerce: true` or `kind: categorical`
  country (categorical): missing (absent)
",
    );
    check(
        r#"{"ts": "8.11.2026", "row": {"amount": 1}}"#,
        1,
        "monitor m: event time none, the record would be dropped (bad_timestamp)
  amount (numeric): 1
  country (categorical): missing (absent)
",
    );
    let rejected = "monitor m: record rejected, json: not valid JSON\n";
    check(r#"{"ts": 1793491200,"#, 1, rejected);
    let options = format!("{options}    features: [{{name: amount, coerce: true}}]\n");
    write(directory.path(), "pegel.yaml", &config(&options));
    check(
        r#"{"row": {"amount": "12"}}"#,
        0,
        "monitor m: event time the Kafka time of the record\n  amount (numeric): 12\n",
    );
}

/// A table of a shop in Windows-1252 with semicolons: an order number, a postal code, a clock, a
/// price and a city with an umlaut.
fn shop(rows: u32) -> Vec<u8> {
    let mut table = b"order;zip;at;price;city\n".to_vec();
    for i in 0..rows {
        let (order, zip, at) = (900_000 + i, 4750 + i % 30, 1_793_491_200 + i * 60);
        let price = f64::from(i * 7919 % 1000) / 8.0;
        table.extend(format!("{order};{zip:05};{at};{price};").bytes());
        let city: &[u8] = if i % 3 == 0 { b"K\xf6ln" } else { b"Bonn" };
        table.extend(city);
        table.push(b'\n');
    }
    table
}

/// Name, kind and number of samples of each feature of a reference.
fn features(directory: &Path, name: &str) -> Vec<(String, String, u64)> {
    let text = std::fs::read_to_string(directory.join(name)).unwrap();
    let reference: serde_json::Value = serde_json::from_str(&text).unwrap();
    let features = reference["features"].as_array().unwrap();
    let word = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    features
        .iter()
        .map(|feature| {
            let samples = feature["samples"].as_u64().unwrap();
            (word(&feature["name"]), word(&feature["kind"]), samples)
        })
        .collect()
}

#[test]
fn a_fit_finds_the_form_of_a_file_and_the_kinds_of_its_columns() {
    // Rows with an umlaut were lost; a table with semicolons had one column; order numbers, postal
    // codes and clocks were numeric features.
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("shop.csv"), shop(600)).unwrap();
    let (code, _, messages) = run(directory.path(), &["fit", "shop.csv", "-o", "ref.json"]);
    assert_eq!(code, 0, "{messages}");
    let feature = |name: &str, kind: &str| (name.to_owned(), kind.to_owned(), 600);
    assert_eq!(
        features(directory.path(), "ref.json"),
        [
            feature("zip", "categorical"),
            feature("price", "numeric"),
            feature("city", "categorical"),
        ],
        "{messages}"
    );
    for note in [
        "shop.csv: not UTF-8, read as Windows-1252 (latin-1); --encoding sets another",
        "shop.csv: columns are separated by ';'",
        "an identifier: every number is different",
        "codes with leading zeros",
        "column at is the only one that holds times and is used as the time of the rows",
        "rows from 2026-11-01T00:00:00Z to 2026-11-01T09:59:00Z (epoch_s)",
    ] {
        assert!(messages.contains(note), "{note}: {messages}");
    }
    let compare = ["compare", "shop.csv", "shop.csv", "--fail-on", "warning"];
    assert_eq!(run(directory.path(), &compare).0, 0, "the same reader");
}

#[test]
fn a_fit_follows_the_choice_of_its_columns() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("shop.csv"), shop(600)).unwrap();
    let fit = ["fit", "shop.csv", "-o", "ref.json"];
    let chosen = [
        "--exclude",
        "city,at",
        "--categorical",
        "price",
        "--numeric",
        "zip,order",
    ];
    let (code, _, messages) = run(directory.path(), &[&fit[..], &chosen[..]].concat());
    assert_eq!(code, 0, "{messages}");
    let kinds: Vec<(String, String)> = features(directory.path(), "ref.json")
        .into_iter()
        .map(|(name, kind, _)| (name, kind))
        .collect();
    let kind = |name: &str, kind: &str| (name.to_owned(), kind.to_owned());
    assert_eq!(
        kinds,
        [
            kind("order", "numeric"),
            kind("zip", "numeric"),
            kind("price", "categorical")
        ]
    );
    assert!(!messages.contains("rows from"), "no time: {messages}");
    let wrong = [&fit[..], &["--exclude", "citty"]].concat();
    let (code, _, messages) = run(directory.path(), &wrong);
    assert_eq!(code, 2, "{messages}");
    let expected = "--exclude citty: no such column, did you mean \"city\"?";
    assert!(messages.contains(expected), "{messages}");
    let given = [
        &fit[..],
        &["--separator", ",", "--encoding", "utf-8", "--force"],
    ]
    .concat();
    let (code, _, messages) = run(directory.path(), &given);
    assert_ne!(
        code, 0,
        "one column of text, and rows that are not UTF-8: {messages}"
    );
}

#[test]
fn a_fit_refuses_data_that_makes_a_bad_reference() {
    // Each of them was written with exit code 0.
    let directory = tempfile::tempdir().unwrap();
    let check = |name: &str, content: &str, expected: &str| {
        write(directory.path(), name, content);
        let fit = ["fit", name, "-o", "ref.json"];
        let (code, _, messages) = run(directory.path(), &fit);
        assert_eq!(code, 1, "{name}: {messages}");
        assert!(messages.contains(expected), "{name}: {messages}");
        assert!(!directory.path().join("ref.json").exists(), "{name}");
    };
    let mut rows = String::new();
    for i in 0..200 {
        writeln!(rows, "{},x", i % 50).unwrap();
    }
    let few: String = rows
        .lines()
        .take(99)
        .fold("a,b\n".to_owned(), |text, line| text + line + "\n");
    check(
        "few.csv",
        &few,
        "few.csv: 99 rows are too few for a reference, expected at least 100; --force fits one nevertheless",
    );
    let broken = format!("a,b\n{rows}1\n2\n3\n");
    check(
        "broken.csv",
        &broken,
        "broken.csv: 3 of 203 rows cannot be read (3 row_length); --force fits the others",
    );
    check(
        "twice.csv",
        &format!("a,a\n{rows}"),
        "twice.csv: two columns are named \"a\", expected different names",
    );
    for name in ["few.csv", "broken.csv"] {
        let fit = ["fit", name, "-o", "ref.json", "--force"];
        let (code, _, messages) = run(directory.path(), &fit);
        assert_eq!(code, 0, "{name}: {messages}");
    }
}

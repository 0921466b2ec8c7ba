//! Wrong inputs of commands: each is named, with what would be accepted and a fitting exit code.

use std::fmt::Write as _;
use std::path::Path;

use crate::support::{pegel, text};

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

fn write(directory: &Path, name: &str, content: &str) {
    std::fs::write(directory.join(name), content).unwrap();
}

/// Runs a command and returns its exit code, output and messages.
fn run(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = pegel(directory, arguments);
    let code = output.status.code().unwrap();
    (code, text(&output.stdout), text(&output.stderr))
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

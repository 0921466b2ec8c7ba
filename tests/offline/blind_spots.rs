//! Parts of the data that a command does not see are reported: categories in the bin `other`,
//! arrays, rows that are late, hours of the week without rows.

use std::fmt::Write as _;

use crate::support::{run, write};

/// Milliseconds of 2026-11-01.
const START: i64 = 1_793_491_200_000;
/// A configuration of a monitor with the reference `ref.json`.
const CONFIG: &str = "version: 1
sources: {s: {kafka: {brokers: [\"127.0.0.1:1\"], topics: [t]}}}
monitors:
  - name: m
    source: s
    windows: [{size: 5m, slide: 1m, min_samples: 50}]
    timestamp: {path: /ts}
    reference: {file: ref.json}
";

/// A table of the column `name`, whose category `i` has `rows(i)` rows.
fn categories(number: u32, rows: impl Fn(u32) -> u32) -> String {
    let mut table = "x,name\n".to_owned();
    for category in 0..number {
        for i in 0..rows(category) {
            writeln!(table, "{}.5,n{category}", i % 90).unwrap();
        }
    }
    table
}

/// `fit` printed the share of the bin `other` and nothing more, and `check` was silent.
#[test]
fn a_feature_with_most_values_in_other_is_a_warning_of_fit_and_check() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "pegel.yaml", CONFIG);
    let outcome = |table: String| {
        write(directory.path(), "rows.csv", &table);
        let fit = ["fit", "rows.csv", "-o", "ref.json", "--categorical", "name"];
        let (code, _, fitted) = run(directory.path(), &fit);
        assert_eq!(code, 0, "{fitted}");
        let (code, _, checked) = run(directory.path(), &["check", "-c", "pegel.yaml"]);
        assert_eq!(code, 0, "{checked}");
        (fitted, checked)
    };
    let (fitted, checked) = outcome(categories(200, |_| 10));
    let fit_warning = "warning: name: 50 of 200 categories have a bin each, the others (75.0 % of the \
                       values) share the bin other, and drift among them is not seen; `top: 180` of the \
                       feature in a configuration gives bins to 90 % of the values\n";
    assert!(fitted.contains(fit_warning), "{fitted}");
    let check_warning = "monitor m: feature name: 75.0 % of the reference's values share the bin other, \
                         and drift among them is not seen: fit again with a `top` of at least 180 ";
    assert!(checked.contains(check_warning), "{checked}");

    let (fitted, checked) = outcome(categories(3000, |_| 2));
    let identifier = "0 of 3000 categories have a bin each, the others (100.0 % of the values) share the \
                      bin other, and drift among them is not seen; 90 % of the values would need 2700 \
                      bins, as in an identifier or free text: leave the feature out";
    assert!(fitted.contains(identifier), "{fitted}");
    assert!(checked.contains("100.0 % of the reference's"), "{checked}");

    let (fitted, checked) = outcome(categories(60, |i| if i < 50 { 20 } else { 10 }));
    assert!(fitted.contains("name: 50 of 60 categories"), "{fitted}");
    assert!(!fitted.contains("warning"), "{fitted}");
    assert!(!checked.contains("other"), "{checked}");
}

/// Columns of arrays did not appear in the table at all.
#[test]
fn columns_of_arrays_are_left_out_with_a_reason() {
    let directory = tempfile::tempdir().unwrap();
    let arrays: String = (0..13).map(|i| format!(",\"list{i}\":[{i}]")).collect();
    let lines: String = (0..200)
        .map(|i| format!("{{\"x\":{}.5,\"user\":{{\"tags\":[]}}{arrays}}}\n", i % 90))
        .collect();
    write(directory.path(), "rows.ndjson", &lines);
    let (code, _, messages) = run(directory.path(), &["fit", "rows.ndjson", "-o", "ref.json"]);
    assert_eq!(code, 0, "{messages}");
    let is_listed = |column: &str, reason: &str| {
        messages.lines().any(|line| {
            let cells: Vec<&str> = line
                .split(['\u{2502}', '\u{2506}'])
                .map(str::trim)
                .collect();
            cells.get(1..4) == Some(&[column, "left out", reason])
        })
    };
    let reason = "arrays or objects; `path` can lead to an element";
    for column in ["user/tags", "list0", "list8"] {
        assert!(is_listed(column, reason), "{column}: {messages}");
    }
    assert!(!is_listed("list9", reason), "{messages}");
    assert!(
        is_listed("4 more columns", "arrays or objects"),
        "{messages}"
    );
}

/// A record of a row each second.
fn line(second: i64) -> String {
    let x = second.rem_euclid(90);
    format!("{{\"ts\":{},\"x\":{x}.5}}\n", START + second * 1000)
}

/// The first file was told as `warming`, and the second one had exit code 0.
#[test]
fn rows_that_are_late_because_of_the_file_end_a_replay() {
    let directory = tempfile::tempdir().unwrap();
    let lines: Vec<String> = (0..3600).map(line).collect();
    write(directory.path(), "rows.ndjson", &lines.concat());
    write(directory.path(), "pegel.yaml", CONFIG);
    let (code, _, messages) = run(directory.path(), &["fit", "rows.ndjson", "-o", "ref.json"]);
    assert_eq!(code, 0, "{messages}");
    let outcome = |command: &str, lines: &[String]| {
        write(directory.path(), "rows.ndjson", &lines.concat());
        let replay = [command, "-c", "pegel.yaml", "--input", "rows.ndjson"];
        let (code, _, messages) = run(directory.path(), &replay);
        (code, messages)
    };
    let ahead = [&[line(3 * 365 * 86_400)], &lines[..]].concat();
    let expected = "rows.ndjson: 3600 of 3601 rows were dropped as late: row 1 (2029-10-31T00:00:00Z) is \
                    ahead of the rest; correct its time, or remove it\n";
    for command in ["replay", "calibrate"] {
        let (code, messages) = outcome(command, &ahead);
        assert_eq!(code, 1, "{command}: {messages}");
        assert!(messages.contains(expected), "{command}: {messages}");
    }
    let two = [line(99_999_999), line(88_888_888)];
    let (code, messages) = outcome("replay", &[&lines[..900], &two, &lines[900..]].concat());
    assert_eq!(code, 1, "{messages}");
    assert!(messages.contains(": row 902 (2029-08-25"), "{messages}");

    let swapped = [&lines[1800..], &lines[..1800]].concat();
    let (code, messages) = outcome("replay", &swapped);
    assert_eq!(code, 1, "{messages}");
    let expected = "rows.ndjson: 1800 of 3600 rows were dropped as late: the file is not in order of time, \
                    row 1801 (2026-11-01T00:00:00Z) comes after row 1800 (2026-11-01T00:59:59Z); sort its \
                    rows by time\n";
    assert!(messages.contains(expected), "{messages}");
    let reversed: Vec<String> = lines.iter().rev().cloned().collect();
    let (code, messages) = outcome("replay", &reversed);
    assert_eq!(code, 1, "{messages}");
    assert!(messages.contains("is not in order of time"), "{messages}");

    // A tenth of the rows may be late, as in a stream with some disorder.
    let few: Vec<String> = (0..3600)
        .map(|i| line(if i % 20 == 19 { i - 7200 } else { i }))
        .collect();
    let (code, messages) = outcome("replay", &few);
    assert_eq!(code, 0, "{messages}");
    assert!(messages.contains("dropped: 180 late"), "{messages}");
}

/// Nothing was printed, although 166 hours of the week had no row.
#[test]
fn hours_of_the_week_without_rows_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let lines: String = (3600..7250).map(line).collect();
    write(directory.path(), "rows.ndjson", &lines);
    let fit = ["fit", "rows.ndjson", "-o", "ref.json", "--hour-of-week"];
    let (code, _, messages) = run(directory.path(), &fit);
    assert_eq!(code, 0, "{messages}");
    let expected = "warning: hours of the week (UTC): 2 of 168 have rows, 1 have at least 100; an hour \
                    with fewer is compared mostly with the whole week\n";
    assert!(messages.contains(expected), "{messages}");
    let week: String = (0..168 * 100).map(|i| line(i * 36)).collect();
    write(directory.path(), "rows.ndjson", &week);
    let (code, _, messages) = run(directory.path(), &fit);
    assert_eq!(code, 0, "{messages}");
    let expected = "hours of the week (UTC): all 168 have at least 100 rows\n";
    assert!(messages.contains(expected), "{messages}");
}

/// The columns were called `{"ts":1793491200000` and `"x":0.5}`.
#[test]
fn lines_of_json_in_a_file_named_as_a_table_are_read_as_such() {
    let directory = tempfile::tempdir().unwrap();
    let lines: String = (0..200).map(line).collect();
    write(directory.path(), "rows.csv", &lines);
    let (code, _, messages) = run(directory.path(), &["fit", "rows.csv", "-o", "ref.json"]);
    assert_eq!(code, 0, "{messages}");
    let expected = "rows.csv: read as NDJSON, because it begins with a JSON object\n";
    assert!(messages.contains(expected), "{messages}");
    assert!(messages.contains("reference of 200 rows"), "{messages}");
}

/// The documents named whole numbers only.
#[test]
fn a_category_can_be_a_text_a_number_or_a_boolean() {
    let directory = tempfile::tempdir().unwrap();
    let config = CONFIG.replace(
        "reference: {file: ref.json}",
        "features: [{name: c, kind: categorical}]",
    );
    write(directory.path(), "pegel.yaml", &config);
    for (value, category) in [
        ("5411", "5411"),
        ("5411.0", "5411"),
        ("1.50", "1.5"),
        ("1e3", "1000"),
        ("true", "true"),
        ("\"1.50\"", "1.50"),
    ] {
        let sample = format!("{{\"ts\":{START},\"c\":{value}}}");
        let check = ["check", "-c", "pegel.yaml", "--sample", &sample];
        let (code, output, messages) = run(directory.path(), &check);
        assert_eq!(code, 0, "{value}: {messages}");
        let expected = format!("c (categorical): {category:?}\n");
        assert!(output.contains(&expected), "{value}: {output}{messages}");
    }
}

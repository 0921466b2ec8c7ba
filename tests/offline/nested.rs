//! Records with objects in objects: a fitted reference leads back to where its values were.

use std::fmt::Write as _;

use serde_json::Value;

use crate::support::{pegel, text};

const CONFIG: &str = "version: 1
sources: {s: {kafka: {brokers: [\"127.0.0.1:1\"], topics: [t]}}}
monitors:
  - name: shop
    source: s
    timestamp: {path: /ts}
    windows: [{size: 5m, slide: 1m, min_samples: 50}]
    reference: {file: ref.json}
";

/// An hour of records, one each two seconds, whose features lie in two objects.
fn rows() -> String {
    let mut rows = String::new();
    let mut state = 1_usize;
    for i in 0..1800_usize {
        state = state * 16_807 % 2_147_483_647;
        let (ts, age, city) = (
            1_793_491_200_000 + 2000 * i,
            18 + state % 50,
            ["Rome", "Oslo", "Bern"][state / 50 % 3],
        );
        let user = format!("{{\"age\":{age},\"home\":{{\"city\":\"{city}\"}}}}");
        writeln!(rows, "{{\"ts\":{ts},\"user\":{user}}}").unwrap();
    }
    rows
}

/// A file compared with itself had every nested feature missing: `fit` called it `user.age`, and
/// that name led nowhere in a record.
#[test]
fn a_nested_feature_is_read_where_it_was_fitted() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("rows.ndjson"), rows()).unwrap();
    std::fs::write(directory.path().join("pegel.yaml"), CONFIG).unwrap();
    let run = |arguments: &[&str]| {
        let output = pegel(directory.path(), arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}{}",
            text(&output.stdout),
            text(&output.stderr)
        );
        text(&output.stdout)
    };
    run(&["fit", "rows.ndjson", "-o", "ref.json", "--timestamp", "ts"]);
    let report = run(&["compare", "ref.json", "rows.ndjson", "--format", "json"]);
    let report: Value = serde_json::from_str(&report).unwrap();
    let features: Vec<(&str, &str, f64)> = report["features"]
        .as_array()
        .unwrap()
        .iter()
        .map(|feature| {
            (
                feature["name"].as_str().unwrap(),
                feature["verdict"].as_str().unwrap(),
                feature["missing_ratio"].as_f64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        features,
        [("user/age", "none", 0.0), ("user/home/city", "none", 0.0)]
    );
    let sample = r#"{"ts":1793491200000,"user":{"age":31,"home":{"city":"Rome"}}}"#;
    let checked = run(&["check", "-c", "pegel.yaml", "--sample", sample]);
    assert!(checked.contains("user/age (numeric): 31"), "{checked}");
    assert!(
        checked.contains("user/home/city (categorical): \"Rome\""),
        "{checked}"
    );
}

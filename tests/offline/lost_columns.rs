//! Columns that lose their values: a number that became text, a column of nulls, a dropped one.
//!
//! They are the most common breaks upstream. They leave nothing to score, so only rates find them.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use pegel::engine::EngineView;
use pegel::export::Exporter;
use pegel::model::AlertSpec;
use serde_json::Value;

use crate::support::{at, pegel, plan, record, replay, spec, text};

/// Rows `ts, price, amount, word` of two hours, one each two seconds; `price` writes the price.
fn rows(price: impl Fn(usize, f64) -> String) -> String {
    let mut rows = String::new();
    for i in 0..3600_usize {
        let time = at(12, 0, 2 * i64::try_from(i).unwrap());
        let x = ((i * 7919) % 1000) as f64 / 10.0;
        let word = ["red", "green", "blue"][i % 3];
        writeln!(
            rows,
            "{{\"ts\":{},{}\"amount\":{},\"word\":\"{word}\"}}",
            time.as_millis(),
            price(i, x),
            ((i * 104_729) % 997) as f64,
        )
        .unwrap();
    }
    rows
}

fn as_number(x: f64) -> String {
    format!("\"price\":{x},")
}

/// A configuration without alerts, its reference, and data files in which the price broke.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        std::fs::write(directory.path().join(name), content).unwrap();
    };
    write("good.ndjson", &rows(|_, x| as_number(x)));
    write(
        "text.ndjson",
        &rows(|_, x| format!("\"price\":\"EUR {x}\",")),
    );
    write("null.ndjson", &rows(|_, _| "\"price\":null,".to_owned()));
    write("dropped.ndjson", &rows(|_, _| String::new()));
    let breaks_at_noon = rows(|i, x| match i < 2400 {
        true => as_number(x),
        false => format!("\"price\":\"EUR {x}\","),
    });
    write("breaks.ndjson", &breaks_at_noon);
    write(
        "pegel.yaml",
        "version: 1
sources: {s: {kafka: {brokers: [\"127.0.0.1:1\"], topics: [t]}}}
monitors:
  - name: shop
    source: s
    timestamp: {path: /ts}
    windows: [{size: 5m, slide: 1m, min_samples: 50}]
    reference: {file: ref.json}
",
    );
    let fit = ["fit", "good.ndjson", "-o", "ref.json", "--timestamp", "ts"];
    let fitted = pegel(directory.path(), &fit);
    assert!(fitted.status.success(), "{}", text(&fitted.stderr));
    directory
}

/// The features of `compare --format json`, and its exit code with `--fail-on critical`.
fn compare(directory: &Path, current: &str) -> (Vec<Value>, i32) {
    let arguments = [
        "compare",
        "ref.json",
        current,
        "--format",
        "json",
        "--fail-on",
        "critical",
    ];
    let output = pegel(directory, &arguments);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let features = document["features"].as_array().unwrap().clone();
    (features, output.status.code().unwrap())
}

/// A price that became "EUR 12.3" in every row raised nothing: `replay` counted no alert.
#[test]
fn a_number_that_becomes_text_fires_in_a_replay_without_configured_alerts() {
    let directory = directory();
    let arguments = ["replay", "-c", "pegel.yaml", "--input", "breaks.ndjson"];
    let output = pegel(directory.path(), &arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let firing: Vec<Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["alert"] == "firing")
        .collect();
    assert!(!firing.is_empty(), "{}", text(&output.stderr));
    assert!(
        firing.iter().all(|line| line["feature"] == "price"),
        "only the price broke: {firing:?}"
    );
    let all_text = firing.iter().find(|line| line["samples"] == 0).unwrap();
    assert_eq!(all_text["verdict"], "critical", "without a single value");
    assert!(all_text["scores"].as_object().unwrap().is_empty());
    assert!(all_text["invalid"].as_u64().unwrap() >= 140, "{all_text}");
    let level = &all_text["calibration"]["invalid_ratio"];
    assert!(level["threshold"].as_f64().unwrap() < 0.2, "{level}");
    assert!(level["noise_floor"].as_f64().unwrap() > 0.0, "{level}");
}

/// The worst breaks were the quietest: "empty", exit 4, and the last row of the table.
#[test]
fn a_column_of_texts_nulls_or_nothing_is_critical_and_comes_first() {
    let directory = directory();
    for (current, change) in [
        ("text.ndjson", "invalid values 0.0 % -> 100.0 %"),
        ("null.ndjson", "missing 0.0 % -> 100.0 %"),
        ("dropped.ndjson", "missing 0.0 % -> 100.0 %"),
    ] {
        let (features, code) = compare(directory.path(), current);
        assert_eq!(code, 3, "{current}");
        let price = features.iter().find(|f| f["name"] == "price").unwrap();
        assert_eq!(price["verdict"], "critical", "{current}");
        assert_eq!(price["reason"], Value::Null, "{current}");
        assert_eq!(price["samples"], 0, "{current}");

        let output = pegel(directory.path(), &["compare", "ref.json", current]);
        let table = text(&output.stdout);
        let first = table.lines().nth(3).unwrap();
        assert!(first.contains("price"), "{current}: {table}");
        assert!(table.contains(change), "{current}: {table}");
        assert!(table.contains("1 of 3 features drifted (critical: price)"));
    }
    assert_eq!(compare(directory.path(), "good.ndjson").1, 0, "no drift");
}

/// The table of 150 columns broke words into pieces in a terminal of 80.
#[test]
fn a_comparison_fits_a_terminal_of_80_columns_without_broken_words() {
    let directory = directory();
    let moved = rows(|_, x| format!("\"price\":{},", x * 100.0));
    std::fs::write(directory.path().join("moved.ndjson"), moved).unwrap();
    for current in ["moved.ndjson", "text.ndjson", "good.ndjson"] {
        let output = Command::new(env!("CARGO_BIN_EXE_pegel"))
            .args(["compare", "ref.json", current])
            .env("COLUMNS", "80")
            .current_dir(directory.path())
            .output()
            .unwrap();
        let report = text(&output.stdout);
        let widest = report.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(80), "{widest:?} columns:\n{report}");
        for name in ["price", "amount", "word"] {
            let row = report
                .lines()
                .find(|line| line.starts_with(&format!("│ {name} ")));
            assert!(row.is_some(), "{name}:\n{report}");
        }
        let changes = match current {
            "moved.ndjson" => "looks like x100",
            "text.ndjson" => "price: invalid values 0.0 % -> 100.0 %",
            _ => "0 of 3 features drifted",
        };
        let unwrapped = report.replace("\n  ", " ");
        assert!(unwrapped.contains(changes), "{report}");
    }
}

/// Distances to a reference that lies beyond the cells are too small, and nobody was told.
#[test]
fn a_reference_beyond_the_cells_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let table: String = (0..10_000)
        .map(|i| match i % 1250 {
            0 => "1e12\n".to_owned(),
            1 => "-1e12\n".to_owned(),
            _ => format!("{}\n", f64::from((i * 7919) % 1000) / 10.0),
        })
        .collect();
    std::fs::write(directory.path().join("far.csv"), format!("x\n{table}")).unwrap();
    let output = pegel(directory.path(), &["fit", "far.csv", "-o", "ref.json"]);
    let message = text(&output.stderr);
    assert!(
        message.contains("16 of 10000 values lie more than"),
        "{message}"
    );
    assert!(!directory.path().join("ref.json").exists(), "{message}");
}

/// A fitted reference on the current side lacked the column as well, and compared as empty.
#[test]
fn a_column_that_a_fitted_current_side_lacks_is_missing_from_all_rows() {
    let directory = directory();
    let fit = [
        "fit",
        "dropped.ndjson",
        "-o",
        "now.json",
        "--timestamp",
        "ts",
        "--layout",
        "ref.json",
    ];
    let fitted = pegel(directory.path(), &fit);
    assert!(fitted.status.success(), "{}", text(&fitted.stderr));
    let (features, code) = compare(directory.path(), "now.json");
    let price = features.iter().find(|f| f["name"] == "price").unwrap();
    assert_eq!(
        (code, &price["verdict"]),
        (3, &"critical".into()),
        "{price}"
    );
    assert_eq!(price["missing_ratio"], 1.0);
}

/// A feature without a score was left out of both counts, although its alerts fired.
#[test]
fn features_without_a_score_count_as_drifting() {
    let mut spec = spec();
    spec.alerts = AlertSpec::defaults();
    let records: String = (0..600)
        .map(|i| {
            record(
                at(12, 0, i),
                "\"EUR 12.3\"",
                ["\"de\"", "\"fr\""][usize::from(i % 5 > 2)],
            )
        })
        .collect();
    let (_, monitors) = replay(&records, vec![plan(spec)]);
    let exporter = Exporter::new(["data"].into_iter(), 1000);
    exporter.publish(EngineView {
        generation: 1,
        monitors,
        sources: Vec::new(),
    });
    let scrape = String::from_utf8(exporter.scrape(false)).unwrap();
    let value = |metric: &str| {
        scrape
            .lines()
            .find(|line| line.starts_with(&format!("{metric}{{")))
            .and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
    };
    assert_eq!(
        value("pegel_features_drifting_ratio"),
        Some(0.5),
        "x of x and c"
    );
    assert_eq!(value("pegel_features_significant"), Some(1.0), "x");
}

//! Runs the commands as a user types them: fit on days with a time, replay a stream, and read the
//! calibration.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde_json::Value;

use crate::support::rng;

pub(crate) const MINUTE_MS: u64 = 60_000;
/// The shift must be found before the window is full of it.
const WINDOW: usize = 15;
/// Start of the stream: 2026-11-01T00:00:00Z.
pub(crate) const START_MS: u64 = 1_793_491_200_000;

/// `minutes` of a stream with 40 rows each: a number shifted by `shift`, a category.
fn rows(rng: &mut ChaCha8Rng, from: u64, minutes: u64, shift: f64) -> String {
    let mut text = String::new();
    for minute in from..from + minutes {
        for i in 0..40 {
            let at = START_MS + minute * MINUTE_MS + i * 1500;
            let x: f64 = StandardNormal.sample(rng);
            let word = ["a", "b", "c"][i as usize % 3];
            writeln!(text, "{{\"ts\":{at},\"x\":{},\"c\":\"{word}\"}}", x + shift).unwrap();
        }
    }
    text
}

/// Fits `ref.json` to `days.csv` for the monitor of `pegel.yaml`.
pub(crate) const FIT: [&str; 6] = [
    "fit",
    "days.csv",
    "-o",
    "ref.json",
    "--config",
    "pegel.yaml",
];

pub(crate) fn pegel(directory: &Path, arguments: &[&str], threads: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_pegel"))
        .args(arguments)
        .current_dir(directory)
        .env("RAYON_NUM_THREADS", threads)
        .output()
        .unwrap();
    let messages = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {messages}");
    String::from_utf8(output.stdout).unwrap()
}

fn config(timestamp: &str) -> String {
    format!(
        "version: 1
sources: {{s: {{kafka: {{brokers: [\"localhost:1\"], topics: [t]}}}}}}
monitors:
  - name: m
    source: s
    timestamp: {{{timestamp}}}
    windows: [{{size: 15m, slide: 1m, min_samples: 300}}]
    reference: {{file: ref.json}}
    features: [{{name: x, kind: numeric}}, {{name: c, kind: categorical}}]
    lateness: {{out_of_orderness: 0s}}
    alerts:
      - {{statistic: js, for: 2}}
      - {{statistic: wasserstein, false_alarm_interval: 7d, tolerance: 0.2std, severity: warning}}
      - {{statistic: missing_ratio}}
"
    )
}

/// A directory with a fitted reference of a day and a stream of six hours that shifts after five.
fn directory(fitted_with: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let write =
        |name: &str, text: String| std::fs::write(directory.path().join(name), text).unwrap();
    let mut rng = rng(11);
    write("history.ndjson", rows(&mut rng, 0, 1440, 0.0));
    let stream = rows(&mut rng, 3000, 300, 0.0) + &rows(&mut rng, 3300, 60, 0.7);
    write("stream.ndjson", stream);
    write("fit.yaml", config(fitted_with));
    write("pegel.yaml", config("path: /ts"));
    let fit = [
        "fit",
        "history.ndjson",
        "-o",
        "ref.json",
        "--config",
        "fit.yaml",
    ];
    pegel(directory.path(), &fit, "2");
    directory
}

fn replay(directory: &Path, threads: &str) -> String {
    let arguments = ["replay", "-c", "pegel.yaml", "--input", "stream.ndjson"];
    pegel(directory, &arguments, threads)
}

fn lines<'a>(text: &'a str, feature: &'a str) -> impl Iterator<Item = Value> + 'a {
    let total = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    total.filter(move |line| line["feature"] == feature)
}

#[test]
fn a_stream_under_a_budget_is_quiet_until_it_shifts() {
    let directory = directory("path: /ts");
    let text = replay(directory.path(), "2");
    let x: Vec<Value> = lines(&text, "x")
        .filter(|line| line["reason"].is_null())
        .collect();
    assert!(x.len() > 300, "{} evaluations", x.len());
    let firing: Vec<usize> = (0..x.len())
        .filter(|at| x[*at]["alert"] == "firing")
        .collect();
    let quiet = x
        .iter()
        .filter(|line| line["window_end"].as_str().unwrap() <= "2026-11-03T07:00:00Z")
        .count();
    assert!(
        firing
            .first()
            .is_some_and(|first| (quiet..quiet + WINDOW).contains(first)),
        "{firing:?}, quiet until {quiet}"
    );
    for line in &x {
        let calibration = &line["calibration"];
        for statistic in ["js", "wasserstein_body", "missing_ratio", "psi", "ks"] {
            let level = &calibration[statistic];
            for key in ["noise_floor", "threshold", "p_value"] {
                assert!(level[key].is_f64(), "{statistic}.{key} of {line}");
            }
            assert!(
                level["threshold"].as_f64() >= level["noise_floor"].as_f64(),
                "{level}"
            );
        }
        assert!(
            calibration["design_effect"].as_f64() >= Some(1.0),
            "{calibration}"
        );
        assert!(
            line["scores"]["wasserstein_body"].is_f64(),
            "stands in scores"
        );
        let status: Vec<&str> = calibration["status"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        assert_eq!(status, ["budget_extrapolated"], "96 stretches, 2e-5");
    }
    assert!(
        lines(&text, "c").all(|line| line["alert"] != "firing"),
        "the category never moves"
    );
}

#[test]
fn the_result_does_not_depend_on_the_number_of_threads() {
    let directory = directory("path: /ts");
    let (single, parallel) = (replay(directory.path(), "1"), replay(directory.path(), "2"));
    assert_eq!(single, parallel, "bit for bit");
}

#[test]
fn a_reference_without_time_learns_from_the_stream_for_a_day() {
    let directory = directory("path: /absent, fallback: none");
    let text = replay(directory.path(), "2");
    let learning: Vec<bool> = lines(&text, "x")
        .filter(|line| line["reason"].is_null())
        .map(|line| {
            line["calibration"]["status"]
                .to_string()
                .contains("phi_learning")
        })
        .collect();
    assert!(learning.len() > 300, "{} evaluations", learning.len());
    assert!(
        learning.iter().all(|is_learning| *is_learning),
        "a history of six hours is short"
    );
}

#[test]
fn a_fixed_threshold_below_the_noise_floor_is_warned_about() {
    let directory = directory("path: /ts");
    let text = config("path: /ts").replace(
        "{statistic: js, for: 2}",
        "{statistic: js, warning: 0.001, critical: 0.5}",
    );
    std::fs::write(directory.path().join("noisy.yaml"), text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_pegel"))
        .args(["check", "-c", "noisy.yaml"])
        .current_dir(directory.path())
        .output()
        .unwrap();
    let messages = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success(),
        "a warning is no mistake: {messages}"
    );
    assert!(
        messages.contains("feature x: js of windows of 512 samples without drift is 0.0"),
        "{messages}"
    );
    assert!(
        !messages.contains("critical threshold"),
        "the other line is fine: {messages}"
    );
}

/// Replays into a file of the directory; returns its text and the messages.
fn replay_into(directory: &Path, name: &str) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_pegel"))
        .args([
            "replay",
            "-c",
            "pegel.yaml",
            "--input",
            "stream.ndjson",
            "-o",
            name,
        ])
        .current_dir(directory)
        .output()
        .unwrap();
    let messages = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{name}: {messages}");
    (
        std::fs::read_to_string(directory.join(name)).unwrap(),
        messages,
    )
}

#[test]
fn a_replay_writes_csv_and_openmetrics() {
    let directory = directory("path: /ts");
    let json = replay(directory.path(), "2");
    let (table, output) = replay_into(directory.path(), "scores.csv");
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let header = reader.headers().unwrap().clone();
    let at = |name: &str| header.iter().position(|column| column == name).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), json.lines().count(), "a row per line");
    let (row, line) = (rows.last().unwrap(), json.lines().last().unwrap());
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(row[at("js")], line["scores"]["js"].to_string(), "scores");
    let threshold = &line["calibration"]["js"]["threshold"];
    assert_eq!(row[at("js_threshold")], threshold.to_string(), "levels");
    assert_eq!(
        row[at("alert")],
        line["alert"].as_str().unwrap()[..],
        "alert"
    );
    assert!(
        output.contains("x js: ") && output.contains("99 %"),
        "quantiles: {output}"
    );
    assert!(
        output.contains("critical: m 15m training x by js"),
        "alarms: {output}"
    );
    let (metrics, _) = replay_into(directory.path(), "scores.om");
    assert!(metrics.ends_with("# EOF\n"), "ends as OpenMetrics does");
    let families: Vec<&str> = metrics
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(['{', ' ']).next().unwrap())
        .collect();
    let mut pieces = families.clone();
    pieces.dedup();
    let mut unique = pieces.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(pieces.len(), unique.len(), "each family in one piece");
    assert!(unique.contains(&"pegel_drift_noise_floor"), "{unique:?}");
}

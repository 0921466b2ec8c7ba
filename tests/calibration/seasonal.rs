//! A stream with a daily and weekly rhythm, compared with the same hour of the week: quiet while
//! every hour is as usual, and an alert in the hour that is not.

use std::fmt::Write as _;
use std::path::Path;

use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde_json::Value;

use crate::stream::{FIT, MINUTE_MS, START_MS, pegel};
use crate::support::rng;

const HOUR: u64 = 60;
const DAY: u64 = 24 * HOUR;
const REFERENCE_DAYS: u64 = 21;
const DAYS: u64 = 8;
/// All values from 14:00 to 15:00 on the last day are shifted.
const MOVED: u64 = 14;
const CATEGORICAL: [&str; 4] = ["c0", "c1", "c2", "c3"];

/// The position of a minute in its daily and weekly rhythm: the mean of the number, in standard
/// deviations, and the odds of the categories.
fn rhythm(minute: u64) -> f64 {
    let hour = (minute / HOUR) % 24;
    let weekend = if (minute / DAY) % 7 >= 5 { 1.0 } else { 0.0 };
    2.0 * (hour as f64 / 24.0 * std::f64::consts::TAU).sin() + weekend
}

/// Rows of minutes `from..to`, as many as the hour of the day has; those of minutes with `is_moved`
/// are shifted by half a standard deviation.
fn rows(rng: &mut ChaCha8Rng, from: u64, to: u64, is_moved: impl Fn(u64) -> bool) -> String {
    let mut text = format!("ts,x,{}\n", CATEGORICAL.join(","));
    for minute in from..to {
        let beat = rhythm(minute) + if is_moved(minute) { 0.5 } else { 0.0 };
        // Windows of 256 and 512 rows: null windows of one size per hour are enough.
        let volume = 8 + 8 * (minute / DAY % 2);
        for i in 0..volume {
            let at = START_MS + minute * MINUTE_MS + i * MINUTE_MS / volume;
            let x: f64 = StandardNormal.sample(rng);
            write!(text, "{at},{}", x + beat).unwrap();
            for skew in 0..CATEGORICAL.len() {
                let y: f64 = StandardNormal.sample(rng);
                let class = (y + beat + skew as f64 * 0.3).round().clamp(-2.0, 3.0);
                write!(text, ",k{class}").unwrap();
            }
            text.push('\n');
        }
    }
    text
}

const CONFIG: &str = "version: 1
sources: {s: {kafka: {brokers: [\"localhost:1\"], topics: [t]}}}
monitors:
  - name: m
    source: s
    timestamp: {path: /ts}
    windows: [{size: 32m, slide: 4m, min_samples: 100}]
    references:
      - {name: training, file: ref.json}
      - {name: usual, file: ref.json, hour_of_week: true}
    lateness: {out_of_orderness: 0s}
    alerts: [{statistic: js, false_alarm_interval: 1d, tolerance: 0}]
";

/// Evaluations against a reference whose JS exceeds its threshold: feature and end of the window.
fn above(lines: &[Value], reference: &str) -> Vec<(String, String)> {
    let matching = lines.iter().filter(|line| line["reference"] == reference);
    let is_above = |line: &&Value| {
        let line = line["calibration"]["js"]["threshold"]
            .as_f64()
            .zip(line["scores"]["js"].as_f64());
        line.is_some_and(|(threshold, score)| score > threshold)
    };
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    matching
        .filter(is_above)
        .map(|line| (text(&line["feature"]), text(&line["window_end"])))
        .collect()
}

fn write_data(directory: &Path) {
    let mut rng = rng(168);
    let reference = rows(&mut rng, 0, REFERENCE_DAYS * DAY, |_| false);
    let last = REFERENCE_DAYS + DAYS - 1;
    let is_moved = |minute: u64| minute / DAY == last && (minute / HOUR) % 24 == MOVED;
    let stream = rows(&mut rng, REFERENCE_DAYS * DAY, (last + 1) * DAY, is_moved);
    for (name, text) in [
        ("days.csv", reference),
        ("stream.csv", stream),
        ("pegel.yaml", CONFIG.to_owned()),
    ] {
        std::fs::write(directory.join(name), text).unwrap();
    }
}

#[test]
fn a_daily_rhythm_keeps_the_budget_and_a_shifted_hour_is_found_within_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write_data(path);
    pegel(path, &[&FIT[..], &["--hour-of-week"]].concat(), "2");
    let lines = pegel(
        path,
        &["replay", "-c", "pegel.yaml", "--input", "stream.csv"],
        "2",
    );
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let moved_from = format!("2026-11-29T{MOVED}:04:00Z");
    let moved_until = format!("2026-11-29T{}:28:00Z", MOVED + 1);
    let is_moved = |end: &str| (moved_from.as_str()..=moved_until.as_str()).contains(&end);
    let (actual, false_alarms): (Vec<_>, Vec<_>) = above(&lines, "usual")
        .into_iter()
        .partition(|(_, end)| is_moved(end));
    let budget = ((CATEGORICAL.len() + 1) * usize::try_from(DAYS).unwrap()) as f64;
    println!(
        "against the same hour: {} above in {budget} allowed, {} in the moved hour",
        false_alarms.len(),
        actual.len()
    );
    assert!(
        (false_alarms.len() as f64) <= 1.2 * budget,
        "{false_alarms:?}"
    );
    for feature in ["x"].iter().chain(&CATEGORICAL) {
        let is_found = actual.iter().any(|(name, end)| {
            name == feature && *end <= format!("2026-11-29T{}:00:00Z", MOVED + 1)
        });
        assert!(is_found, "{feature} is found in its hour: {actual:?}");
    }
    let whole = above(&lines, "training").len();
    println!("against the whole week: {whole} above");
    assert_eq!(
        whole, 0,
        "the rhythm hides it: the whole week breathes that much"
    );
}

/// Two rows a minute; the mean moves by ten standard deviations with every hour of Kolkata, whose
/// hours begin at half past those of UTC.
fn half_hour_rows(rng: &mut ChaCha8Rng, from: u64, to: u64) -> String {
    let mut text = "ts,x\n".to_owned();
    for minute in from..to {
        let mean = if ((minute + 30) / HOUR).is_multiple_of(2) {
            0.0
        } else {
            10.0
        };
        for i in 0..2 {
            let x: f64 = StandardNormal.sample(rng);
            let at = START_MS + minute * MINUTE_MS + i * 30_000;
            writeln!(text, "{at},{}", x + mean).unwrap();
        }
    }
    text
}

#[test]
fn hours_of_a_half_hour_zone_are_compared_with_themselves() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let mut rng = rng(530);
    let config = CONFIG
        .replace("size: 32m, slide: 4m", "size: 1h, slide: 1h")
        .replace("      - {name: training, file: ref.json}\n", "");
    for (name, text) in [
        ("days.csv", half_hour_rows(&mut rng, 0, 14 * DAY)),
        ("stream.csv", half_hour_rows(&mut rng, 14 * DAY, 16 * DAY)),
        ("pegel.yaml", config),
    ] {
        std::fs::write(path.join(name), text).unwrap();
    }
    let zone = "--hour-of-week=Asia/Kolkata";
    pegel(path, &[&FIT[..], &[zone]].concat(), "2");
    let replay = ["replay", "-c", "pegel.yaml", "--input", "stream.csv"];
    let lines = pegel(path, &replay, "2");
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let js = |line: &Value| line["scores"]["js"].as_f64();
    let scores: Vec<f64> = lines.iter().filter_map(js).collect();
    let worst = scores.iter().copied().fold(0.0, f64::max);
    println!("{} windows, the largest js is {worst:.3} bit", scores.len());
    assert!(scores.len() >= 46, "{scores:?}");
    assert!(
        worst < 0.1,
        "half of an hour belongs to the next one: {worst}"
    );
    let threshold = |line: &Value| line["calibration"]["js"]["threshold"].as_f64();
    let highest = lines.iter().filter_map(threshold).fold(0.0, f64::max);
    assert!(highest < 0.3, "its own blocks vary as little: {highest}");
}

//! The default tolerance is one effect for every feature: a shift of 0.1 standard deviations is no
//! news and one of 0.3 is, however skewed the feature; a category that more than doubles, or
//! vanishes, is.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1, StandardNormal};
use serde_json::Value;

use crate::stream::{FIT, MINUTE_MS, START_MS, pegel};
use crate::support::rng;

const PER_MINUTE: u64 = 200;
const DAY: u64 = 1440;
const REFERENCE_DAYS: u64 = 3;
const NUMERIC: [&str; 3] = ["lognormal", "exponential", "zeros"];
/// Share of zeros in `zeros`; the other values are exponential and alone are shifted.
const ZEROS: f64 = 0.6;

/// A change of the stream.
#[derive(Debug, Clone, Copy)]
enum Change {
    /// The mean of every number moves by so many of its standard deviations.
    Shift(f64),
    /// A category of 3 % grows to 7 %.
    Grows,
    /// A category of 1 % vanishes.
    Vanishes,
}

fn category(random: f64, change: Change) -> &'static str {
    match (random, change) {
        (..0.01, Change::Vanishes) => "common",
        (..0.01, _) => "rare",
        (..0.04, _) | (..0.08, Change::Grows) => "growing",
        (..0.6, _) => "common",
        _ => "usual",
    }
}

/// `minutes` of rows, from a minute on.
fn rows(rng: &mut ChaCha8Rng, from: u64, minutes: u64, change: Change) -> String {
    let shift = if let Change::Shift(shift) = change {
        shift
    } else {
        0.0
    };
    let e = std::f64::consts::E;
    let lognormal_std = ((e - 1.0) * e).sqrt();
    // Of a variable that is 0 in a share z and exponential else: 2 (1 - z) - (1 - z)^2.
    let zeros_std = (2.0 * (1.0 - ZEROS) - (1.0 - ZEROS).powi(2)).sqrt();
    let mut text = format!("ts,{},c\n", NUMERIC.join(","));
    for i in from * PER_MINUTE..(from + minutes) * PER_MINUTE {
        let at = START_MS + i * MINUTE_MS / PER_MINUTE;
        let z: f64 = StandardNormal.sample(rng);
        let [x, y]: [f64; 2] = std::array::from_fn(|_| Exp1.sample(rng));
        let zeros = if rng.random_bool(ZEROS) {
            0.0
        } else {
            y + shift * zeros_std / (1.0 - ZEROS)
        };
        let lognormal = z.exp() + shift * lognormal_std;
        let category = category(rng.random(), change);
        writeln!(
            text,
            "{at},{lognormal:.5},{:.5},{zeros:.5},{category}",
            x + shift
        )
        .unwrap();
    }
    text
}

/// Fits a quiet stream for windows of this length.
fn fit(path: &Path, window: &str, rng: &mut ChaCha8Rng) {
    let config = format!(
        "version: 1
sources: {{s: {{kafka: {{brokers: [\"localhost:1\"], topics: [t]}}}}}}
monitors:
  - name: m
    source: s
    timestamp: {{path: /ts}}
    windows: [{{size: {window}, slide: 1m, min_samples: 300}}]
    references: [{{name: training, file: ref.json}}]
    lateness: {{out_of_orderness: 0s}}
"
    );
    let reference = rows(rng, 0, REFERENCE_DAYS * DAY, Change::Shift(0.0));
    std::fs::write(path.join("days.csv"), reference).unwrap();
    std::fs::write(path.join("pegel.yaml"), config).unwrap();
    pegel(path, &FIT, "2");
}

/// By feature, the minutes after the start of the change at which its first critical window ends.
fn found(path: &Path, minutes: u64, change: Change, rng: &mut ChaCha8Rng) -> BTreeMap<String, u64> {
    let from = (REFERENCE_DAYS + 2) * DAY;
    std::fs::write(path.join("stream.csv"), rows(rng, from, minutes, change)).unwrap();
    let lines = pegel(
        path,
        &["replay", "-c", "pegel.yaml", "--input", "stream.csv"],
        "2",
    );
    let mut first = BTreeMap::new();
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if line["verdict"] == "critical" {
            let end: jiff::Timestamp = line["window_end"].as_str().unwrap().parse().unwrap();
            let after = end.as_millisecond().unsigned_abs() - START_MS - from * MINUTE_MS;
            let feature = line["feature"].as_str().unwrap().to_owned();
            first.entry(feature).or_insert(after / MINUTE_MS);
        }
    }
    println!("{change:?}: {first:?}");
    first
}

#[test]
fn small_shifts_of_skewed_features_are_quiet_and_larger_ones_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let (path, mut rng) = (directory.path(), rng(712));
    fit(path, "15m", &mut rng);
    for shift in [0.0, 0.05, 0.1] {
        let alarms = found(path, 6 * 60, Change::Shift(shift), &mut rng);
        assert!(alarms.is_empty(), "{shift} std: {alarms:?}");
    }
    let alarms = found(path, 30, Change::Shift(0.3), &mut rng);
    for feature in NUMERIC {
        let at = alarms.get(feature);
        assert!(at.is_some_and(|minutes| *minutes <= 15), "{alarms:?}");
    }
    let grown = found(path, 30, Change::Grows, &mut rng);
    let full = grown.get("c").is_some_and(|minutes| *minutes <= 15);
    assert!(full, "3 % to 7 % within the first full window: {grown:?}");
}

#[test]
fn a_rare_category_that_vanishes_is_found_within_an_hour() {
    let directory = tempfile::tempdir().unwrap();
    let (path, mut rng) = (directory.path(), rng(713));
    fit(path, "1h", &mut rng);
    let quiet = found(path, 6 * 60, Change::Shift(0.0), &mut rng);
    assert!(quiet.is_empty(), "{quiet:?}");
    let gone = found(path, 120, Change::Vanishes, &mut rng);
    assert!(
        gone.get("c").is_some_and(|minutes| *minutes <= 60),
        "{gone:?}"
    );
}

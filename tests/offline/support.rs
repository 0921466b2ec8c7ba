//! Short constructors of monitors, references and streams.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use pegel::batch::replay::Input;
use pegel::engine::{MonitorPlan, MonitorView};
use pegel::model::{
    BinsSpec, EventTime, FeatureSpec, Kind, MonitorSpec, ReferenceSpec, WindowSpec,
};
use pegel::reference::{Column, FitOptions, Reference, fit};
use pegel::source::files::DataFile;
use serde_json::{Map, Value};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// A time on 2026-11-01, UTC.
pub(crate) fn at(hour: i64, minute: i64, second: i64) -> EventTime {
    EventTime::from_millis(1_793_491_200_000 + ((hour * 60 + minute) * 60 + second) * 1000)
}

/// A monitor of `x` (numeric) and `c` (categorical) with windows of five minutes and no lateness.
pub(crate) fn spec() -> MonitorSpec {
    let mut spec = MonitorSpec::bare();
    spec.features = vec![
        FeatureSpec::new("x", Kind::Numeric),
        FeatureSpec::new("c", Kind::Categorical),
    ];
    spec.timestamp.path = pegel::model::Pointer::parse("/ts");
    spec.windows = vec![WindowSpec {
        name: "5m".to_owned(),
        size: MINUTE * 5,
        slide: MINUTE,
        min_samples: 1,
    }];
    spec.references = vec![ReferenceSpec::fitted("training", "none")];
    spec.lateness.out_of_orderness = Duration::ZERO;
    spec
}

/// A reference of the numbers 0..1000 and two categories.
pub(crate) fn reference() -> Arc<Reference> {
    reference_in(None)
}

/// The same reference with this many score bins.
pub(crate) fn reference_in(bins: Option<usize>) -> Arc<Reference> {
    let numbers = Column {
        numbers: (0..1000).map(f64::from).collect(),
        ..Column::default()
    };
    let categories = [("de", 600), ("fr", 400)].map(|(name, count)| (name.into(), count));
    let words = Column {
        categories: categories.into_iter().collect(),
        ..Column::default()
    };
    let options = FitOptions {
        bins: bins.map(BinsSpec::Count),
        ..FitOptions::default()
    };
    let features = vec![
        fit("x", Kind::Numeric, numbers, &options).unwrap(),
        fit("c", Kind::Categorical, words, &options).unwrap(),
    ];
    Arc::new(Reference::new(at(0, 0, 0), 1000, features))
}

pub(crate) fn plan(spec: MonitorSpec) -> MonitorPlan {
    let loaded = spec.references.iter().map(|_| Ok(reference())).collect();
    MonitorPlan::new(spec, loaded)
}

/// One record as a line of NDJSON.
pub(crate) fn record(time: EventTime, x: &str, c: &str) -> String {
    format!("{{\"ts\":{},\"x\":{x},\"c\":{c}}}\n", time.as_millis())
}

/// Every evaluation of NDJSON text, and the monitors at the end.
pub(crate) fn replay(
    text: &str,
    plans: Vec<MonitorPlan>,
) -> (Vec<Map<String, Value>>, Vec<MonitorView>) {
    let mut file = tempfile::Builder::new()
        .suffix(".ndjson")
        .tempfile()
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let data = DataFile::open(file.path().to_str().unwrap()).unwrap();
    let mut lines = Vec::new();
    let replayed = pegel::batch::replay::replay(&Input::File(data), plans, &mut |plan, window| {
        lines.extend(pegel::cli::replay::json_lines(plan, window, false));
    });
    (lines, replayed.unwrap().monitors)
}

/// `window_end` in minutes of the day, for the lines of one feature.
pub(crate) fn of_feature<'a>(
    lines: &'a [Map<String, Value>],
    feature: &str,
) -> Vec<&'a Map<String, Value>> {
    lines
        .iter()
        .filter(|line| line["feature"] == feature)
        .collect()
}

/// Runs the program as a user types it.
pub(crate) fn pegel(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pegel"))
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap()
}

/// The text that a command printed.
pub(crate) fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

/// Runs the program and returns its exit code, output and messages.
pub(crate) fn run(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    outcome(&pegel(directory, arguments))
}

/// The exit code, output and messages of a program that has ended.
pub(crate) fn outcome(output: &Output) -> (i32, String, String) {
    let code = output.status.code().unwrap();
    (code, text(&output.stdout), text(&output.stderr))
}

/// Writes a file of a test.
pub(crate) fn write(directory: &Path, name: &str, content: &str) {
    std::fs::write(directory.join(name), content).unwrap();
}

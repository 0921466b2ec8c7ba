//! Where `replay` writes its evaluations: lines of JSON, a table, or metrics with timestamps.

use std::io::{self, BufWriter, Write};

use clap::ValueEnum;
use serde_json::{Map, Value};

use crate::engine::{MonitorPlan, WindowView};
use crate::export::OpenMetrics;
use crate::model::Statistic;

/// How evaluations are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScoreFormat {
    /// One JSON object per line
    Ndjson,
    /// One row per evaluation, scores and levels in columns
    Csv,
    /// The series of a scrape with timestamps
    Openmetrics,
}

impl ScoreFormat {
    /// The format a file's name asks for.
    #[must_use]
    pub fn of(name: &str) -> Self {
        match name.rsplit_once('.') {
            Some((_, "csv")) => ScoreFormat::Csv,
            Some((_, "om" | "prom" | "openmetrics")) => ScoreFormat::Openmetrics,
            _ => ScoreFormat::Ndjson,
        }
    }
}

/// Columns of the table before the scores; keys of a line.
const HEAD: [&str; 17] = [
    "monitor",
    "window",
    "window_start",
    "window_end",
    "segment",
    "reference",
    "feature",
    "kind",
    "verdict",
    "reason",
    "alert",
    "reference_samples",
    "samples",
    "missing_ratio",
    "invalid",
    "out_of_range_ratio",
    "unseen_ratio",
];
const LEVELS: [&str; 3] = ["noise_floor", "threshold", "p_value"];

/// Writes evaluations; the first error stops the writing and is told at the end.
#[expect(missing_debug_implementations, reason = "holds a writer")]
pub struct Writer {
    sink: Sink,
    error: Option<io::Error>,
}

enum Sink {
    Ndjson(BufWriter<Box<dyn Write>>),
    Csv(Box<csv::Writer<Box<dyn Write>>>),
    OpenMetrics(OpenMetrics, BufWriter<Box<dyn Write>>),
}

impl Writer {
    /// A writer of a format.
    #[must_use]
    pub fn new(format: ScoreFormat, output: Box<dyn Write>) -> Self {
        let mut error = None;
        let sink = match format {
            ScoreFormat::Ndjson => Sink::Ndjson(BufWriter::new(output)),
            ScoreFormat::Openmetrics => {
                Sink::OpenMetrics(OpenMetrics::default(), BufWriter::new(output))
            }
            ScoreFormat::Csv => {
                let mut table = csv::Writer::from_writer(output);
                error = table.write_record(header()).err().map(io::Error::from);
                Sink::Csv(Box::new(table))
            }
        };
        Writer { sink, error }
    }

    /// Writes an evaluation, whose lines of JSON are `lines`.
    pub fn write(&mut self, plan: &MonitorPlan, window: &WindowView, lines: &[Map<String, Value>]) {
        if self.error.is_some() {
            return;
        }
        let written = match &mut self.sink {
            Sink::Ndjson(output) => lines
                .iter()
                .try_for_each(|line| writeln!(output, "{}", Value::Object(line.clone()))),
            Sink::Csv(table) => lines
                .iter()
                .try_for_each(|line| table.write_record(row(line)).map_err(io::Error::from)),
            Sink::OpenMetrics(metrics, _) => metrics.take(plan, window),
        };
        self.error = written.err();
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// Something could not be written, now or before.
    pub fn finish(self) -> io::Result<()> {
        if let Some(error) = self.error {
            return Err(error);
        }
        match self.sink {
            Sink::Ndjson(mut output) => output.flush(),
            Sink::Csv(mut table) => table.flush(),
            Sink::OpenMetrics(metrics, mut output) => metrics.finish(&mut output),
        }
    }
}

/// Names of the score columns: those of JSON, with the rates' levels at the end.
fn scored() -> impl Iterator<Item = &'static str> {
    let rates = |statistic: &&Statistic| !statistic.is_rate();
    let names = Statistic::ALL.iter().filter(rates);
    names
        .map(|statistic| statistic.name())
        .chain(["entropy", "cross_entropy"])
}

/// Every statistic that has a level when nothing happens.
fn levelled() -> impl Iterator<Item = &'static Statistic> {
    Statistic::ALL.iter().filter(|own| !own.alarms_below())
}

fn header() -> Vec<String> {
    let scores = scored().map(str::to_owned);
    let levels =
        levelled().flat_map(|statistic| LEVELS.map(|level| format!("{statistic}_{level}")));
    let head = HEAD.iter().map(|name| (*name).to_owned());
    let tail = ["support_overlap", "design_effect", "status"].map(str::to_owned);
    head.chain(scores).chain(levels).chain(tail).collect()
}

fn row(line: &Map<String, Value>) -> Vec<String> {
    let calibration = &line["calibration"];
    let scores = scored().map(|name| cell(&line["scores"][name]));
    let levels = levelled()
        .flat_map(|statistic| LEVELS.map(|level| cell(&calibration[statistic.name()][level])));
    let statuses = calibration["status"].as_array();
    let statuses: Vec<&str> = statuses
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let tail = [
        cell(&line["support_overlap"]),
        cell(&calibration["design_effect"]),
        statuses.join(" "),
    ];
    let head = HEAD.iter().map(|name| cell(&line[*name]));
    head.chain(scores).chain(levels).chain(tail).collect()
}

/// A value without its quotes; nothing where there is none.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

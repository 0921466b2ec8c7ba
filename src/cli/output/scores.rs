//! Writes the evaluations of `pegel replay` as lines of JSON, a CSV table, or OpenMetrics.

use std::io::{self, BufWriter, Write};

use clap::ValueEnum;
use serde_json::{Map, Value};

use crate::engine::{MonitorPlan, WindowView};
use crate::export::OpenMetrics;
use crate::model::Statistic;

/// Format of the evaluations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScoreFormat {
    /// One JSON object per line
    Ndjson,
    /// One row per evaluation, with scores and thresholds in columns
    Csv,
    /// OpenMetrics: the series of a scrape with timestamps
    Openmetrics,
}

impl ScoreFormat {
    /// Returns the format for the ending of a file name, by default NDJSON.
    #[must_use]
    pub(crate) fn for_file(name: &str) -> Self {
        match name.rsplit_once('.') {
            Some((_, "csv")) => ScoreFormat::Csv,
            Some((_, "om" | "prom" | "openmetrics")) => ScoreFormat::Openmetrics,
            _ => ScoreFormat::Ndjson,
        }
    }
}

/// Columns before the scores, by their keys in a line of JSON.
const LEADING_COLUMNS: [&str; 17] = [
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
/// Columns of each calibrated statistic, by their keys in `calibration`.
const CALIBRATION_COLUMNS: [&str; 3] = ["noise_floor", "threshold", "p_value"];

/// A writer of evaluations.
///
/// The engine's callback cannot fail, so the first error stops the writing and
/// [`finish`](Self::finish) returns it.
pub(crate) struct ScoreWriter {
    output: Output,
    error: Option<io::Error>,
}

enum Output {
    Ndjson(BufWriter<Box<dyn Write>>),
    Csv(Box<csv::Writer<Box<dyn Write>>>),
    OpenMetrics(OpenMetrics, BufWriter<Box<dyn Write>>),
}

impl ScoreWriter {
    /// Creates a writer, and writes the header of a table.
    #[must_use]
    pub(crate) fn new(format: ScoreFormat, output: Box<dyn Write>) -> Self {
        let mut error = None;
        let output = match format {
            ScoreFormat::Ndjson => Output::Ndjson(BufWriter::new(output)),
            ScoreFormat::Openmetrics => {
                Output::OpenMetrics(OpenMetrics::default(), BufWriter::new(output))
            }
            ScoreFormat::Csv => {
                let mut table = csv::Writer::from_writer(output);
                error = table.write_record(header()).err().map(io::Error::from);
                Output::Csv(Box::new(table))
            }
        };
        ScoreWriter { output, error }
    }

    /// Writes an evaluation; `lines` are its lines of JSON.
    pub(crate) fn write(
        &mut self,
        plan: &MonitorPlan,
        window: &WindowView,
        lines: &[Map<String, Value>],
    ) {
        if self.error.is_some() {
            return;
        }
        let written = match &mut self.output {
            Output::Ndjson(output) => lines
                .iter()
                .try_for_each(|line| writeln!(output, "{}", Value::Object(line.clone()))),
            Output::Csv(table) => lines
                .iter()
                .try_for_each(|line| table.write_record(row(line)).map_err(io::Error::from)),
            Output::OpenMetrics(metrics, _) => metrics.add(plan, window),
        };
        self.error = written.err();
    }

    /// Writes everything that is buffered.
    ///
    /// # Errors
    /// This or an earlier write failed.
    pub(crate) fn finish(self) -> io::Result<()> {
        if let Some(error) = self.error {
            return Err(error);
        }
        match self.output {
            Output::Ndjson(mut output) => output.flush(),
            Output::Csv(mut table) => table.flush(),
            Output::OpenMetrics(metrics, mut output) => metrics.finish(&mut output),
        }
    }
}

/// Keys of the scores in a line of JSON that have a column.
fn score_columns() -> impl Iterator<Item = &'static str> {
    Statistic::ALL
        .iter()
        .filter(|statistic| !statistic.is_rate())
        .map(|statistic| statistic.name())
        .chain(["entropy", "cross_entropy"])
}

/// Statistics that can be calibrated: all but those that alarm below their threshold.
fn calibrated_statistics() -> impl Iterator<Item = &'static Statistic> {
    Statistic::ALL
        .iter()
        .filter(|statistic| !statistic.alarms_below())
}

fn header() -> Vec<String> {
    let mut header: Vec<String> = LEADING_COLUMNS
        .into_iter()
        .chain(score_columns())
        .map(str::to_owned)
        .collect();
    for statistic in calibrated_statistics() {
        header.extend(CALIBRATION_COLUMNS.map(|column| format!("{statistic}_{column}")));
    }
    header.extend(["support_overlap", "design_effect", "status"].map(str::to_owned));
    header
}

/// Returns the cells of a row from a line of JSON.
fn row(line: &Map<String, Value>) -> Vec<String> {
    let calibration = &line["calibration"];
    let mut row: Vec<String> = LEADING_COLUMNS
        .iter()
        .map(|column| cell(&line[*column]))
        .chain(score_columns().map(|score| cell(&line["scores"][score])))
        .collect();
    for statistic in calibrated_statistics() {
        let assessment = &calibration[statistic.name()];
        row.extend(CALIBRATION_COLUMNS.map(|column| cell(&assessment[column])));
    }
    let statuses: Vec<&str> = line["status"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    row.push(cell(&line["support_overlap"]));
    row.push(cell(&calibration["design_effect"]));
    row.push(statuses.join(" "));
    row
}

/// Returns a value without quotes; null becomes an empty cell.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

//! Tables a person likes to read.

use comfy_table::presets::{ASCII_MARKDOWN, UTF8_FULL_CONDENSED};
use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table};

use crate::batch::fit::infer::Inferred;
use crate::batch::report::{FeatureReport, Verdict};
use crate::calibration::CalibrationStatus;
use crate::export as words;
use crate::export::short_number;
use crate::model::{Severity, Statistic};
use crate::reference::Reference;

/// Where a table is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Box lines and colour (which the output stream drops where it is no terminal).
    Terminal,
    /// GitHub's markdown.
    Markdown,
}

/// An empty table.
pub(crate) fn table(look: Look, header: &[&str]) -> Table {
    let mut table = Table::new();
    match look {
        Look::Terminal => {
            table.load_style(UTF8_FULL_CONDENSED);
            table.set_content_arrangement(ContentArrangement::Dynamic);
        }
        Look::Markdown => drop(table.load_style(ASCII_MARKDOWN)),
    }
    table.set_header(header.iter().copied());
    table
}

pub(crate) fn align_right(table: &mut Table, columns: std::ops::RangeInclusive<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// The features of a comparison, as ordered.
#[must_use]
pub fn compared(reports: &[FeatureReport<'_>], look: Look) -> String {
    let header = [
        "feature",
        "verdict",
        "JS bit (line)",
        "W1 std (line)",
        "PSI",
        "KS",
        "p",
        "missing",
        "outside",
        "samples",
        "what moved",
    ];
    let mut table = table(look, &header);
    for report in reports {
        table.add_row(row(report));
    }
    align_right(&mut table, 2..=9);
    table.to_string()
}

fn row(report: &FeatureReport<'_>) -> Vec<Cell> {
    let scores = report.scores.ok();
    let of = |statistic| {
        let value = scores.and_then(|scores| scores.get(statistic));
        Cell::new(value.map_or_else(|| "-".to_owned(), score))
    };
    vec![
        Cell::new(&report.plan.name),
        verdict(report.verdict()),
        with_line(report, Statistic::Js),
        if report.assessment.is_some() {
            with_line(report, Statistic::WassersteinBody)
        } else {
            of(Statistic::WassersteinNormalized)
        },
        of(Statistic::Psi),
        of(Statistic::Ks),
        Cell::new(smallest_p_value(report).map_or_else(|| "-".to_owned(), short_number)),
        Cell::new(percent(report.rates.missing)),
        Cell::new(percent(report.rates.out_of_range.or(report.rates.unseen))),
        Cell::new(report.counts.tallies.values),
        Cell::new(what_moved(report)),
    ]
}

/// A score, and its line where it is calibrated.
fn with_line(report: &FeatureReport<'_>, statistic: Statistic) -> Cell {
    let value = report.scores.ok().and_then(|scores| scores.get(statistic));
    let Some(value) = value else {
        return Cell::new("-");
    };
    let level = report
        .assessment
        .as_ref()
        .and_then(|assessment| assessment.level(statistic));
    Cell::new(match level {
        Some(level) => format!("{} ({})", score(value), score(level.threshold)),
        None => score(value),
    })
}

/// The smallest share of clean windows that would go as far, over the statistics a rule judges.
fn smallest_p_value(report: &FeatureReport<'_>) -> Option<f64> {
    let assessment = report.assessment.as_ref()?;
    let judged = assessment.levels.iter().filter(|level| {
        let mut rules = report.plan.rules.iter();
        rules.any(|rule| rule.statistic == level.statistic)
    });
    judged.map(|level| level.p_value).min_by(f64::total_cmp)
}

fn verdict(verdict: Verdict) -> Cell {
    let cell = |word: &str| Cell::new(word);
    match verdict {
        Verdict::NotReady(reason) => cell(&reason.reason().replace('_', " ")).fg(Color::Yellow),
        Verdict::Drift(Severity::Critical) => cell("critical")
            .fg(Color::Red)
            .add_attribute(Attribute::Bold),
        Verdict::Drift(Severity::Warning) => cell("warning").fg(Color::Yellow),
        Verdict::None => cell("none").fg(Color::Green),
    }
}

/// A score: three decimals.
fn score(value: f64) -> String {
    if value.is_infinite() {
        "inf".to_owned()
    } else if value < 1000.0 {
        format!("{value:.3}")
    } else {
        short_number(value)
    }
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), words::percent)
}

/// The bin whose share changed most, and for numbers the medians, when there is drift.
fn what_moved(report: &FeatureReport<'_>) -> String {
    let against = report.against.as_deref();
    let (Some(layout), Some(reference)) = (report.plan.layout.as_deref(), against) else {
        return String::new();
    };
    if report.verdict() == Verdict::None || report.scores.is_err() {
        return String::new();
    }
    words::describe_shift(layout, report.counts, reference).join("; ")
}

/// One line under a comparison.
#[must_use]
pub fn summary(reports: &[FeatureReport<'_>]) -> String {
    let names = |wanted: fn(Verdict) -> bool| {
        let found = reports.iter().filter(|report| wanted(report.verdict()));
        found
            .map(|report| report.plan.name.as_str())
            .collect::<Vec<_>>()
    };
    let critical = names(|verdict| verdict == Verdict::Drift(Severity::Critical));
    let warning = names(|verdict| verdict == Verdict::Drift(Severity::Warning));
    let not_ready = names(|verdict| matches!(verdict, Verdict::NotReady(_)));
    let drifted = critical.len() + warning.len();
    let parts = [
        ("critical", critical),
        ("warning", warning),
        ("not ready", not_ready),
    ];
    let said: Vec<String> = parts
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what}: {}", names.join(", ")))
        .collect();
    let said = if said.is_empty() {
        "nothing to report".to_owned()
    } else {
        said.join("; ")
    };
    let doubts = doubts(reports);
    format!(
        "{drifted} of {} features drifted ({said}){doubts}",
        reports.len()
    )
}

/// What limits the trust in calibrated lines, and for which features; nothing where nothing does.
fn doubts(reports: &[FeatureReport<'_>]) -> String {
    let holds = |report: &&FeatureReport<'_>, status: CalibrationStatus| {
        let assessment = report.assessment.as_ref();
        assessment.is_some_and(|assessment| assessment.statuses.contains(&status))
    };
    let said = CalibrationStatus::ALL.into_iter().filter_map(|status| {
        let names: Vec<&str> = reports
            .iter()
            .filter(|report| holds(report, status))
            .map(|report| report.plan.name.as_str())
            .collect();
        let all = if names.len() == reports.len() {
            "all".to_owned()
        } else {
            names.join(", ")
        };
        (!names.is_empty()).then(|| format!("\n{}: {all}", status.name()))
    });
    said.collect()
}

/// What a reference holds.
#[must_use]
pub fn fitted(reference: &Reference) -> String {
    let mut table = table(
        Look::Terminal,
        &[
            "feature", "kind", "samples", "missing", "bins", "median", "std", "range",
        ],
    );
    for feature in &reference.features {
        let numeric = feature.layout.numeric();
        let median = numeric.and_then(|layout| feature.cells().quantile(&layout.cells, 0.5));
        table.add_row([
            feature.name.clone(),
            feature.kind.name().to_owned(),
            feature.counts.tallies.values.to_string(),
            percent(feature.counts.tallies.missing_ratio()),
            feature.layout.len().to_string(),
            median.map_or_else(|| "-".to_owned(), short_number),
            feature
                .numbers
                .map_or_else(|| "-".to_owned(), |numbers| short_number(numbers.std)),
            feature.numbers.map_or_else(
                || "-".to_owned(),
                |numbers| {
                    format!(
                        "{} .. {}",
                        short_number(numbers.min),
                        short_number(numbers.max)
                    )
                },
            ),
        ]);
    }
    align_right(&mut table, 2..=6);
    table.to_string()
}

/// What columns were taken for.
#[must_use]
pub fn inferred(columns: &[Inferred]) -> String {
    let mut table = table(Look::Terminal, &["column", "taken for", "because"]);
    for column in columns {
        let kind = column.kind.map_or("left out", |kind| kind.name());
        table.add_row([column.name.clone(), kind.to_owned(), column.why.clone()]);
    }
    table.to_string()
}

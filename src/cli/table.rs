//! Tables a person likes to read.

use comfy_table::presets::{ASCII_MARKDOWN, UTF8_FULL_CONDENSED};
use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table};

use super::infer::Inferred;
use super::report::{FeatureReport, Verdict};
use crate::model::{Severity, Statistic};
use crate::reference::{FeatureReference, Reference};
use crate::stats::{BinName, Interval};

/// Where a table is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Box lines and colour (which the output stream drops where it is no terminal).
    Terminal,
    /// GitHub's markdown.
    Markdown,
}

fn table(look: Look, header: &[&str]) -> Table {
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

fn align_right(table: &mut Table, columns: std::ops::RangeInclusive<usize>) {
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
        "JS bit",
        "W1 std",
        "PSI",
        "KS",
        "missing",
        "outside",
        "samples",
        "what moved",
    ];
    let mut table = table(look, &header);
    for report in reports {
        table.add_row(row(report));
    }
    align_right(&mut table, 2..=8);
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
        of(Statistic::Js),
        of(Statistic::WassersteinNormalized),
        of(Statistic::Psi),
        of(Statistic::Ks),
        Cell::new(percent(report.rates.missing)),
        Cell::new(percent(report.rates.out_of_range.or(report.rates.unseen))),
        Cell::new(report.counts.tallies.values),
        Cell::new(what_moved(report)),
    ]
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
        short(value)
    }
}

/// A value of the feature's: three significant digits.
#[must_use]
pub fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 1e6 || (size > 0.0 && size < 1e-4) => format!("{value:.2e}"),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size >= 0.1 => format!("{value:.3}"),
        size if size > 0.0 => format!("{value:.5}"),
        _ => "0".to_owned(),
    }
}

fn percent(share: Option<f64>) -> String {
    match share {
        None => "-".to_owned(),
        Some(share) if share > 0.0 && share < 0.0005 => "<0.1 %".to_owned(),
        Some(share) => format!("{:.1} %", share * 100.0),
    }
}

/// The bin whose share changed most, and for numbers the medians when there is drift.
fn what_moved(report: &FeatureReport<'_>) -> String {
    let (Some(layout), Some(scorer)) = (
        report.plan.layout.as_deref(),
        report
            .plan
            .scorers
            .get(report.reference)
            .and_then(Option::as_ref),
    ) else {
        return String::new();
    };
    if report.verdict() == Verdict::None || report.scores.is_err() {
        return String::new();
    }
    let reference = scorer.reference();
    let (n, m) = (
        report.counts.tallies.values as f64,
        reference.counts.tallies.values as f64,
    );
    let shares = report
        .counts
        .bins
        .iter()
        .zip(&reference.counts.bins)
        .map(|(now, then)| (*then as f64 / m, *now as f64 / n));
    let largest = shares
        .enumerate()
        .max_by(|(_, a), (_, b)| (a.1 - a.0).abs().total_cmp(&(b.1 - b.0).abs()));
    let Some((bin, (then, now))) = largest else {
        return String::new();
    };
    let moved = format!(
        "{} {} -> {}",
        bin_name(layout.name(bin)),
        percent(Some(then)),
        percent(Some(now))
    );
    match medians(report, reference) {
        Some((before, after)) => format!("median {} -> {}; {moved}", short(before), short(after)),
        None => moved,
    }
}

fn medians(report: &FeatureReport<'_>, reference: &FeatureReference) -> Option<(f64, f64)> {
    let cells = &report.plan.layout.as_deref()?.numeric()?.cells;
    Some((
        reference.cells().quantile(cells, 0.5)?,
        report.counts.cells.quantile(cells, 0.5)?,
    ))
}

fn bin_name(name: BinName<'_>) -> String {
    match name {
        BinName::Label(label) => label
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(30)
            .collect(),
        BinName::Interval(Interval {
            lower: Some(low),
            upper: Some(high),
        }) if low >= high => format!("= {}", short(low)),
        BinName::Interval(Interval {
            lower: Some(low),
            upper: Some(high),
        }) => format!("[{}, {})", short(low), short(high)),
        BinName::Interval(Interval {
            lower: None,
            upper: Some(high),
        }) => format!("below {}", short(high)),
        BinName::Interval(Interval {
            lower: Some(low),
            upper: None,
        }) => format!("above {}", short(low)),
        BinName::Interval(Interval {
            lower: None,
            upper: None,
        }) => "all".to_owned(),
    }
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
    format!("{drifted} of {} features drifted ({said})", reports.len())
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
            median.map_or_else(|| "-".to_owned(), short),
            feature
                .numbers
                .map_or_else(|| "-".to_owned(), |numbers| short(numbers.std)),
            feature.numbers.map_or_else(
                || "-".to_owned(),
                |numbers| format!("{} .. {}", short(numbers.min), short(numbers.max)),
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

//! The table of `pegel compare` with its summary.
//!
//! The full table needs about 150 columns. A terminal that is narrower gets fewer columns and a
//! paragraph for each feature that drifted, because a table with words cut into pieces cannot be
//! read.

use comfy_table::{Attribute, Cell, Color, Table};

use super::table::{TableStyle, align_right, empty_table, output_width, wrap};
use crate::batch::report::{FeatureReport, Verdict};
use crate::calibration::CalibrationStatus;
use crate::export::{describe_rate, describe_shift, percent, short_number};
use crate::model::{Severity, Statistic};
use crate::score::{Rates, ScoreStatus};

/// The most characters of a feature's name in the narrow table.
const MAX_NAME: usize = 18;

/// Returns the report for a terminal: a table of all features in their order, and the summary.
#[must_use]
pub(crate) fn terminal(reports: &[FeatureReport<'_>]) -> String {
    fitted(reports, output_width())
}

/// Returns the report in at most `width` columns, where they are known.
fn fitted(reports: &[FeatureReport<'_>], width: Option<usize>) -> String {
    let full = full_table(reports, TableStyle::Terminal);
    let columns = full.column_max_content_widths();
    let full_width = columns
        .iter()
        .map(|column| usize::from(*column) + 3)
        .sum::<usize>()
        + 1;
    match width.filter(|width| full_width > *width) {
        None => format!("{full}\n{}", summary(reports)),
        Some(width) => narrow(reports, width),
    }
}

/// Returns a table of the worst statistic of each feature, then what changed in the drifted ones.
fn narrow(reports: &[FeatureReport<'_>], width: usize) -> String {
    let header = ["feature", "verdict", "worst (threshold)", "samples"];
    let mut table = empty_table(TableStyle::Terminal, &header);
    for report in reports {
        let mut name: String = report.plan.name.chars().take(MAX_NAME).collect();
        if name.len() < report.plan.name.len() {
            name.pop();
            name.push('\u{2026}');
        }
        let verdict = match report.verdict() {
            Verdict::NotReady(_) => Cell::new("not ready").fg(Color::Yellow),
            verdict => verdict_cell(verdict),
        };
        table.add_row(vec![
            Cell::new(name),
            verdict,
            Cell::new(worst(report)),
            Cell::new(report.counts.tallies.values),
        ]);
    }
    align_right(&mut table, 3..=3);
    let details = reports.iter().filter_map(|report| {
        let detail = match report.verdict() {
            Verdict::NotReady(reason) => reason.to_string(),
            Verdict::Drift(_) => shift(report),
            Verdict::None => return None,
        };
        Some(wrap(&format!("{}: {detail}", report.plan.name), width))
    });
    let mut lines = vec![table.to_string()];
    lines.extend(details);
    lines.extend(summary(reports).lines().map(|line| wrap(line, width)));
    lines.join("\n")
}

/// The statistic that is furthest beyond its threshold, with both.
fn worst(report: &FeatureReport<'_>) -> String {
    let Some((rule, value, threshold)) = report.worst() else {
        return "-".to_owned();
    };
    let limit = match threshold.below {
        Some(below) if value < below => below,
        _ => threshold.above,
    };
    let name = match rule.statistic {
        Statistic::Js => "JS",
        Statistic::Wasserstein => "W1",
        Statistic::WassersteinNormalized | Statistic::WassersteinBody => "W1 std",
        Statistic::MissingRatio => "missing",
        Statistic::InvalidRatio => "invalid",
        Statistic::UnseenRatio => "unseen",
        Statistic::OutOfRangeRatio => "out of range",
        statistic => statistic.name(),
    };
    let number = if rule.statistic.is_rate() {
        percent
    } else {
        decimals
    };
    format!("{name} {} ({})", number(value), number(limit))
}

/// Returns a table of all features in their order.
#[must_use]
pub(crate) fn table(reports: &[FeatureReport<'_>], style: TableStyle) -> String {
    full_table(reports, style).to_string()
}

fn full_table(reports: &[FeatureReport<'_>], style: TableStyle) -> Table {
    let header = [
        "feature",
        "verdict",
        "JS bit (threshold)",
        "W1 std (threshold)",
        "PSI",
        "KS",
        "p",
        "missing",
        "outside",
        "samples",
        "shift",
    ];
    let mut table = empty_table(style, &header);
    for report in reports {
        table.add_row(row(report));
    }
    align_right(&mut table, 2..=9);
    table
}

fn row(report: &FeatureReport<'_>) -> Vec<Cell> {
    let distance = if report.assessment.is_some() {
        Statistic::WassersteinBody
    } else {
        Statistic::WassersteinNormalized
    };
    let p_value = smallest_p_value(report).map(short_number);
    let outside = report.rates.out_of_range.or(report.rates.unseen);
    vec![
        Cell::new(&report.plan.name),
        verdict_cell(report.verdict()),
        score_with_threshold(report, Statistic::Js),
        score_with_threshold(report, distance),
        score(report, Statistic::Psi),
        score(report, Statistic::Ks),
        Cell::new(p_value.unwrap_or_else(|| "-".to_owned())),
        share(report.rates.missing),
        share(outside),
        Cell::new(report.counts.tallies.values),
        Cell::new(shift(report)),
    ]
}

/// Returns a score, or a dash where there is none.
fn score(report: &FeatureReport<'_>, statistic: Statistic) -> Cell {
    let value = report.scores.ok().and_then(|scores| scores.get(statistic));
    Cell::new(value.map_or_else(|| "-".to_owned(), decimals))
}

/// Returns a score, with its threshold in parentheses where it is calibrated.
fn score_with_threshold(report: &FeatureReport<'_>, statistic: Statistic) -> Cell {
    let Some(value) = report.scores.ok().and_then(|scores| scores.get(statistic)) else {
        return Cell::new("-");
    };
    let calibrated = report
        .assessment
        .as_ref()
        .and_then(|assessment| assessment.statistic(statistic));
    Cell::new(match calibrated {
        Some(assessment) => format!("{} ({})", decimals(value), decimals(assessment.threshold)),
        None => decimals(value),
    })
}

/// Formats a score with three decimals.
fn decimals(value: f64) -> String {
    if value.is_infinite() {
        "inf".to_owned()
    } else if value < 1000.0 {
        format!("{value:.3}")
    } else {
        short_number(value)
    }
}

/// Returns the smallest p-value over the statistics that have a rule.
fn smallest_p_value(report: &FeatureReport<'_>) -> Option<f64> {
    report
        .assessment
        .as_ref()?
        .statistics
        .iter()
        .filter(|level| {
            report
                .plan
                .rules
                .iter()
                .any(|rule| rule.statistic == level.statistic)
        })
        .map(|level| level.p_value)
        .min_by(f64::total_cmp)
}

fn verdict_cell(verdict: Verdict) -> Cell {
    match verdict {
        Verdict::NotReady(reason) => Cell::new(reason.reason().replace('_', " ")).fg(Color::Yellow),
        Verdict::Drift(Severity::Critical) => Cell::new("critical")
            .fg(Color::Red)
            .add_attribute(Attribute::Bold),
        Verdict::Drift(Severity::Warning) => Cell::new("warning").fg(Color::Yellow),
        Verdict::None => Cell::new("none").fg(Color::Green),
    }
}

fn share(share: Option<f64>) -> Cell {
    Cell::new(share.map_or_else(|| "-".to_owned(), percent))
}

/// Describes the changes of a drifted feature: its exceeded rates, then the bin whose share changed
/// most, and the median of numbers.
fn shift(report: &FeatureReport<'_>) -> String {
    let (Some(layout), Some(reference)) =
        (report.plan.layout.as_deref(), report.against.as_deref())
    else {
        return String::new();
    };
    if !matches!(report.verdict(), Verdict::Drift(_)) {
        return String::new();
    }
    let mut changes = Vec::new();
    for (rule, value, _) in report
        .exceeded()
        .filter(|(rule, ..)| rule.statistic.is_rate())
    {
        let before = Rates::of(&reference.counts, layout).get(rule.statistic);
        let change = describe_rate(
            rule.statistic,
            before,
            value,
            Some((report.counts, report.plan.kind)),
        );
        if !changes.contains(&change) {
            changes.push(change);
        }
    }
    // Where the unseen categories changed most, the bin tells what the rate has told.
    for change in describe_shift(layout, report.counts, reference) {
        if !changes.contains(&change) {
            changes.push(change);
        }
    }
    changes.join("; ")
}

/// Returns the number of drifted features, their names by verdict, and the statuses.
fn summary(reports: &[FeatureReport<'_>]) -> String {
    let names = |matches: fn(Verdict) -> bool| {
        reports
            .iter()
            .filter(|report| matches(report.verdict()))
            .map(|report| report.plan.name.as_str())
            .collect::<Vec<_>>()
    };
    let critical = names(|verdict| verdict == Verdict::Drift(Severity::Critical));
    let warning = names(|verdict| verdict == Verdict::Drift(Severity::Warning));
    let not_ready = names(|verdict| matches!(verdict, Verdict::NotReady(_)));
    let drifted = critical.len() + warning.len();
    let groups: Vec<String> = [
        ("critical", critical),
        ("warning", warning),
        ("not ready", not_ready),
    ]
    .iter()
    .filter(|(_, names)| !names.is_empty())
    .map(|(label, names)| format!("{label}: {}", names.join(", ")))
    .collect();
    let groups = if groups.is_empty() {
        String::new()
    } else {
        format!(" ({})", groups.join("; "))
    };
    format!(
        "{drifted} of {} features drifted{groups}{}",
        reports.len(),
        statuses(reports)
    )
}

/// Returns one line per status of thresholds and scores that occurs, with its features; empty if
/// none occurs.
fn statuses(reports: &[FeatureReport<'_>]) -> String {
    CalibrationStatus::ALL
        .into_iter()
        .map(CalibrationStatus::name)
        .chain(ScoreStatus::ALL.into_iter().map(ScoreStatus::name))
        .filter_map(|status| {
            let affected: Vec<&str> = reports
                .iter()
                .filter(|report| report.status_names().contains(&status))
                .map(|report| report.plan.name.as_str())
                .collect();
            let names = if affected.is_empty() {
                return None;
            } else if affected.len() == reports.len() {
                "all".to_owned()
            } else {
                affected.join(", ")
            };
            Some(format!("\n{status}: {names}"))
        })
        .collect()
}

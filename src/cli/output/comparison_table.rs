//! The table of `pegel compare` with its summary.

use comfy_table::{Attribute, Cell, Color};

use super::table::{TableStyle, align_right, empty_table};
use crate::batch::report::{FeatureReport, Verdict};
use crate::calibration::CalibrationStatus;
use crate::export::{describe_rate, describe_shift, percent, short_number};
use crate::model::{Severity, Statistic};
use crate::score::Rates;

/// Returns a table of all features in their order.
#[must_use]
pub(crate) fn table(reports: &[FeatureReport<'_>], style: TableStyle) -> String {
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
    table.to_string()
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
        verdict(report.verdict()),
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

fn verdict(verdict: Verdict) -> Cell {
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
        let change = describe_rate(rule.statistic, before, value, Some(report.counts));
        if !changes.contains(&change) {
            changes.push(change);
        }
    }
    changes.extend(describe_shift(layout, report.counts, reference));
    changes.join("; ")
}

/// Returns the number of drifted features, their names by verdict, and the calibration statuses.
#[must_use]
pub(crate) fn summary(reports: &[FeatureReport<'_>]) -> String {
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

/// Returns one line per calibration status that occurs, with its features; empty if none occurs.
fn statuses(reports: &[FeatureReport<'_>]) -> String {
    CalibrationStatus::ALL
        .into_iter()
        .filter_map(|status| {
            let affected: Vec<&str> = reports
                .iter()
                .filter(|report| {
                    report
                        .assessment
                        .as_ref()
                        .is_some_and(|assessment| assessment.statuses.contains(&status))
                })
                .map(|report| report.plan.name.as_str())
                .collect();
            let names = if affected.is_empty() {
                return None;
            } else if affected.len() == reports.len() {
                "all".to_owned()
            } else {
                affected.join(", ")
            };
            Some(format!("\n{}: {names}", status.name()))
        })
        .collect()
}

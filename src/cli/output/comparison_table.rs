//! The table of `pegel compare` with its summary.
//!
//! The full table needs about 150 columns. A terminal that is narrower gets fewer columns and a
//! paragraph for each feature that drifted, because a table with words cut into pieces cannot be
//! read.

use comfy_table::{Attribute, Cell, Color, Table};

use super::table::{TableStyle, align_right, empty_table, output_width, wrap};
use crate::batch::report::{FeatureReport, Verdict};
use crate::calibration::CalibrationStatus;
use crate::export::{
    describe_beyond, describe_rate, describe_shift, percent, share_beyond, short_number,
};
use crate::model::{NotReady, Severity, Statistic};
use crate::score::{Distances, ScoreStatus};

/// The share of the distance from beyond the reference from which on outliers are told.
const MIN_OUTLIER_SHARE: f64 = 0.5;
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
    let mut lines = vec![table.to_string()];
    lines.extend(
        details(reports)
            .iter()
            .map(|(names, detail)| wrap(&format!("{names}: {detail}"), width)),
    );
    lines.extend(summary(reports).lines().map(|line| wrap(line, width)));
    lines.join("\n")
}

/// The names of features and what there is to say of them: what changed in the drifted ones, and
/// why others were not judged. Features in a row of which the same is said are named together.
fn details(reports: &[FeatureReport<'_>]) -> Vec<(String, String)> {
    let mut details: Vec<(String, String)> = Vec::new();
    for report in reports {
        let detail = match report.verdict() {
            Verdict::NotReady(reason) => format!("not judged, {reason}"),
            Verdict::Drift(_) => shift(report),
            Verdict::None => continue,
        };
        match details.last_mut().filter(|(_, last)| *last == detail) {
            Some((names, _)) => *names += &format!(", {}", report.plan.name),
            None => details.push((report.plan.name.clone(), detail)),
        }
    }
    details
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
    // The clipped reference of a constant has no width, so its distance is in the feature's unit.
    let is_constant = report
        .against
        .as_ref()
        .and_then(|reference| reference.numbers)
        .is_some_and(|numbers| numbers.std <= 0.0);
    let distance = if report.assessment.is_some() && !is_constant {
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
        Some(assessment) => {
            let threshold = assessment.threshold.map(decimals);
            let threshold = threshold.unwrap_or_else(|| "unreachable".to_owned());
            format!("{} ({threshold})", decimals(value))
        }
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
        let change = describe_rate(rule.statistic, Some(reference), value, Some(report.counts));
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
    changes.extend(distances(report).as_ref().and_then(describe_beyond));
    changes.join("; ")
}

/// The distances of a numeric feature.
fn distances(report: &FeatureReport<'_>) -> Option<Distances> {
    report.scores.ok()?.distances
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
        "{drifted} of {} features drifted{groups}{}{}{}",
        reports.len(),
        too_few_samples(reports),
        outliers(reports),
        statuses(reports)
    )
}

/// Returns one line per feature whose distance is large for a few far values only: its body has not
/// moved, so it has no verdict.
fn outliers(reports: &[FeatureReport<'_>]) -> String {
    reports
        .iter()
        .filter(|report| report.verdict() == Verdict::None)
        .filter_map(|report| {
            let distances = distances(report)?;
            let share = share_beyond(&distances).filter(|share| *share >= MIN_OUTLIER_SHARE)?;
            let assessment = report.assessment.as_ref()?;
            let threshold = assessment
                .statistic(Statistic::WassersteinBody)?
                .threshold?;
            (distances.wasserstein_normalized > threshold).then(|| {
                format!(
                    "\n{}: few values lie far out, {:.0} % of the Wasserstein distance of {} std \
                     comes from beyond the reference",
                    report.plan.name,
                    share * 100.0,
                    short_number(distances.wasserstein_normalized)
                )
            })
        })
        .collect()
}

/// Returns a line on what to do where features have too few samples; empty if none has.
fn too_few_samples(reports: &[FeatureReport<'_>]) -> String {
    let need = reports.iter().find_map(|report| match report.verdict() {
        Verdict::NotReady(NotReady::TooFewSamples { need, .. }) => Some(need),
        _ => None,
    });
    need.map_or_else(String::new, |need| {
        format!("\nfewer than {need} samples are not judged, --min-samples sets another minimum")
    })
}

/// Returns one line per status of thresholds and scores that occurs, with its features; empty if
/// none occurs.
fn statuses(reports: &[FeatureReport<'_>]) -> String {
    let of_thresholds = CalibrationStatus::ALL
        .into_iter()
        .map(|status| (status.name(), threshold_limit(status)));
    let of_scores = ScoreStatus::ALL
        .into_iter()
        .map(|status| (status.name(), score_limit(status)));
    of_thresholds
        .chain(of_scores)
        .filter_map(|(status, meaning)| {
            let affected: Vec<String> = reports
                .iter()
                .filter(|report| report.status_names().contains(&status))
                .map(
                    |report| match status == CalibrationStatus::LineUnreachable.name() {
                        true => with_unreachable(report),
                        false => report.plan.name.clone(),
                    },
                )
                .collect();
            let names = if affected.is_empty() {
                return None;
            } else if affected.len() == reports.len()
                && status != CalibrationStatus::LineUnreachable.name()
            {
                "all".to_owned()
            } else {
                affected.join(", ")
            };
            Some(format!("\n{status}: {names} ({meaning})"))
        })
        .collect()
}

/// The name of a feature with the statistics whose thresholds no value can reach.
fn with_unreachable(report: &FeatureReport<'_>) -> String {
    let unreachable = report
        .assessment
        .iter()
        .flat_map(|assessment| &assessment.unreachable);
    let statistics: Vec<&str> = unreachable.map(|statistic| statistic.name()).collect();
    format!("{} {}", report.plan.name, statistics.join(" and "))
}

/// The consequence of a limit of the thresholds.
const fn threshold_limit(status: CalibrationStatus) -> &'static str {
    match status {
        CalibrationStatus::ReferenceSmall => {
            "more than a tenth of the reference's values, so false alarms are as rare as promised \
             only on average"
        }
        CalibrationStatus::BudgetExtrapolated => {
            "the thresholds need rarer events than the reference can show"
        }
        CalibrationStatus::PhiLearning => {
            "the reference has no times, so its rows are taken as independent"
        }
        CalibrationStatus::BlocksShort => "the reference is short, shorter parts of it stand in",
        CalibrationStatus::BlocksFew => {
            "the reference is short for how long its values stay alike, so false alarms are less rare \
             than promised"
        }
        CalibrationStatus::TooFewEffective => {
            "neighbours resemble each other, so samples count less"
        }
        CalibrationStatus::LineUnreachable => {
            "a threshold is above the largest value of its statistic, so it is none"
        }
    }
}

/// The consequence of a limit of the scores.
const fn score_limit(status: ScoreStatus) -> &'static str {
    match status {
        ScoreStatus::WassersteinLowerBound => {
            "values lie beyond what is measured, the true distance is larger"
        }
        ScoreStatus::WassersteinUnscaled => {
            "the reference does not vary, W1 is in the unit of the feature"
        }
    }
}

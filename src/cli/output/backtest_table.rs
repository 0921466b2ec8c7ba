//! The report of `pegel calibrate` as tables, with the recommended alerts ready to paste.

use std::time::Duration;

use comfy_table::{Attribute, Cell};

use super::table::{TableStyle, align_right, empty_table, wrap};
use crate::batch::backtest::alarm_trace::AlarmCounts;
use crate::batch::backtest::caveats::caveats;
use crate::batch::backtest::faults::Fault;
use crate::batch::backtest::operating_curve::{Detection, nearest_rank};
use crate::batch::backtest::report::BacktestReport;
use crate::export::{grouped, short_number};
use crate::model::duration;

const FALSE_ALARMS_LEGEND: &str = "alarms: a long one is one here, and counts against the budget \
    once per length of its window; above: evaluations of a feature above a threshold; budget: kept, \
    over, or open (kept on this history, but nothing supports that it will be); expected: at most so \
    many alarms per budget, by the thresholds";
const DETECTION_LEGEND: &str = "gross: x10, x1000, /1000, and numbers that become texts; time: median \
    from the onset of the fault to the alarm";

/// Width in characters of paragraphs.
const WIDTH: usize = 80;
/// The most characters of the names of undetected features.
const MAX_NAMES: usize = 24;
/// The most characters of the name of a feature in a table.
const MAX_NAME: usize = 28;
/// Number of features with the most alarms that are listed.
const MAX_NOISIEST: usize = 5;

/// Faults that share a column.
struct FaultColumn {
    title: &'static str,
    has: fn(Fault) -> bool,
    /// Shows one share for all faults of the column instead of one per fault.
    is_pooled: bool,
}

const FAULT_COLUMNS: [FaultColumn; 4] = [
    FaultColumn {
        title: "shift std",
        has: |fault| matches!(fault, Fault::Shift(_)),
        is_pooled: false,
    },
    FaultColumn {
        title: "gross",
        has: |fault| matches!(fault, Fault::Factor(_) | Fault::BecomesText),
        is_pooled: true,
    },
    FaultColumn {
        title: "nulls %",
        has: |fault| matches!(fault, Fault::Nulls(_)),
        is_pooled: false,
    },
    FaultColumn {
        title: "unseen %",
        has: |fault| matches!(fault, Fault::Unseen(_)),
        is_pooled: false,
    },
];

/// Returns the whole report as text without a final newline.
#[must_use]
pub(crate) fn table(report: &BacktestReport) -> String {
    let mut blocks = vec![
        history(report),
        String::new(),
        "False alarms on the history:".to_owned(),
        false_alarms(report),
        wrapped(FALSE_ALARMS_LEGEND),
    ];
    blocks.extend(volume(report));
    blocks.extend([
        "\nShare (%) of the features in which an injected fault is detected:".to_owned(),
        operating_curve(report),
        wrapped(DETECTION_LEGEND),
    ]);
    if let Some(table) = noisiest_features(report) {
        blocks.push(
            "\nFeatures above a threshold on the history, as alarms/evaluations above:".to_owned(),
        );
        blocks.push(table);
    }
    blocks.extend(recommendation(report));
    let caveats = caveats(report);
    if !caveats.is_empty() {
        blocks.push("\nCaveats:".to_owned());
        blocks.extend(caveats.iter().map(|caveat| wrapped(&format!("- {caveat}"))));
    }
    blocks.join("\n")
}

fn history(report: &BacktestReport) -> String {
    let (first, last) = report.ready_span;
    let features = report.backtest.unchanged.features().len();
    let ready = report.ready_features().len();
    let noisy = match report.noisy.len() {
        0 => String::new(),
        count => format!(", {count} of them never quiet"),
    };
    let history = format!(
        "monitor {}: {} events, {ready} of {features} features evaluated{noisy}, from {first} to \
         {last} ({})",
        report.monitor(),
        grouped(report.events),
        duration::format_rounded(report.history.length)
    );
    let faults = format!(
        "faults injected from {} on, detection measured for {}; budget: one false alarm of the \
         whole monitor in {}",
        report.backtest.interval.onset,
        duration::format_rounded(report.backtest.interval.length()),
        duration::format(report.history.budget)
    );
    format!("{}\n{}", wrapped(&history), wrapped(&faults))
}

/// Counts the alarms of the alert on the number of events, which no candidate changes.
fn volume(report: &BacktestReport) -> Option<String> {
    let counts = report.backtest.unchanged.volume()?;
    let text = format!(
        "alarms of `volume`, with every candidate: {}, in {} windows below `min_events`",
        counts.alarms, counts.above
    );
    Some(wrapped(&text))
}

fn false_alarms(report: &BacktestReport) -> String {
    let header = ["candidate", "alarms", "above", "budget", "expected"];
    let mut table = empty_table(TableStyle::Terminal, &header);
    for (candidate, result) in report.results.iter().enumerate() {
        let expected = result
            .by_design
            .map_or_else(|| "-".to_owned(), short_number);
        table.add_row(vec![
            name(report, candidate),
            Cell::new(result.counts.alarms),
            Cell::new(result.counts.above),
            Cell::new(budget(report, candidate)),
            Cell::new(expected),
        ]);
    }
    align_right(&mut table, 1..=2);
    align_right(&mut table, 4..=4);
    table.to_string()
}

fn operating_curve(report: &BacktestReport) -> String {
    let columns: Vec<&FaultColumn> = FAULT_COLUMNS
        .iter()
        .filter(|column| faults(report, column).next().is_some())
        .collect();
    let titles: Vec<String> = columns
        .iter()
        .map(|column| format!("{}\n{}", column.title, sizes(report, column)))
        .collect();
    let header: Vec<&str> = std::iter::once("candidate")
        .chain(titles.iter().map(String::as_str))
        .chain(["time"])
        .collect();
    let mut table = empty_table(TableStyle::Terminal, &header);
    for candidate in 0..report.candidates.list.len() {
        let mut row = vec![name(report, candidate)];
        row.extend(
            columns
                .iter()
                .map(|column| Cell::new(detected_shares(report, candidate, column))),
        );
        row.push(Cell::new(median_time(report, candidate)));
        table.add_row(row);
    }
    align_right(&mut table, header.len() - 1..=header.len() - 1);
    table.to_string()
}

/// The injected faults of a column.
fn faults(report: &BacktestReport, column: &FaultColumn) -> impl Iterator<Item = Fault> {
    report
        .backtest
        .faulty
        .iter()
        .map(|(fault, _)| *fault)
        .filter(|fault| (column.has)(*fault))
}

/// Returns the sizes of a column's faults, each as wide as a share; empty for pooled faults.
fn sizes(report: &BacktestReport, column: &FaultColumn) -> String {
    if column.is_pooled {
        return String::new();
    }
    faults(report, column)
        .map(|fault| match fault {
            Fault::Shift(size) | Fault::Factor(size) => format!("{size:>3}"),
            Fault::Nulls(share) | Fault::Unseen(share) => format!("{:>3}", share * 100.0),
            Fault::BecomesText => "100".to_owned(),
        })
        .collect::<Vec<_>>()
        .join(" ")
}

fn name(report: &BacktestReport, candidate: usize) -> Cell {
    let name = &report.candidates.list[candidate].name;
    let recommended = report
        .recommendation
        .as_ref()
        .map(|recommendation| recommendation.candidate);
    if recommended == Some(candidate) {
        Cell::new(format!("{name} *")).add_attribute(Attribute::Bold)
    } else {
        Cell::new(name)
    }
}

fn alarms_and_above(counts: &AlarmCounts) -> String {
    format!("{}/{}", counts.alarms, counts.above)
}

fn budget(report: &BacktestReport, candidate: usize) -> &'static str {
    let result = &report.results[candidate];
    match (result.keeps_budget, result.is_supported) {
        (true, true) => "kept",
        (true, false) => "open",
        (false, _) => "over",
    }
}

/// Returns the shares in percent of the features in which each fault of a column is detected.
fn detected_shares(report: &BacktestReport, candidate: usize, column: &FaultColumn) -> String {
    let detections: Vec<Detection> = report
        .backtest
        .faulty
        .iter()
        .filter(|(fault, _)| (column.has)(*fault))
        .map(|(_, outcomes)| report.backtest.detection(candidate, outcomes))
        .collect();
    if column.is_pooled {
        return detected_share(&detections);
    }
    detections
        .iter()
        .map(|detection| detected_share(std::slice::from_ref(detection)))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Returns the share in percent over all detections, three characters wide.
fn detected_share(detections: &[Detection]) -> String {
    let detected: usize = detections
        .iter()
        .map(|detection| detection.delays.len())
        .sum();
    let features: usize = detections.iter().map(|detection| detection.features).sum();
    match features {
        0 => "  -".to_owned(),
        _ => format!("{:>3.0}", 100.0 * detected as f64 / features as f64),
    }
}

/// Returns the median time to detection over all faults and features.
fn median_time(report: &BacktestReport, candidate: usize) -> String {
    let mut delays: Vec<Duration> = report
        .backtest
        .faulty
        .iter()
        .flat_map(|(_, outcomes)| report.backtest.detection(candidate, outcomes).delays)
        .collect();
    delays.sort_unstable();
    nearest_rank(&delays, 0.5).map_or_else(|| "-".to_owned(), duration::format_rounded)
}

/// Returns a table of the features with the most alarms; `None` if no feature was above a
/// threshold.
///
/// Its columns are the configured alerts, the most sensitive policy and the recommended one.
fn noisiest_features(report: &BacktestReport) -> Option<String> {
    let candidates = &report.candidates.list;
    let mut shown: Vec<usize> = [
        candidates
            .iter()
            .position(|candidate| candidate.policy.is_none()),
        candidates
            .iter()
            .position(|candidate| candidate.policy.is_some()),
        report
            .recommendation
            .as_ref()
            .map(|recommendation| recommendation.candidate),
    ]
    .into_iter()
    .flatten()
    .collect();
    shown.dedup();
    let unchanged = &report.backtest.unchanged;
    let mut features: Vec<(usize, Vec<AlarmCounts>)> = unchanged
        .features()
        .iter()
        .map(|feature| {
            let counts: Vec<AlarmCounts> = shown
                .iter()
                .map(|candidate| unchanged.total(*candidate, *feature).counts)
                .collect();
            (*feature, counts)
        })
        .filter(|(_, counts)| noisiest(counts).1 > 0)
        .collect();
    if features.is_empty() {
        return None;
    }
    features.sort_by_key(|(_, counts)| std::cmp::Reverse(noisiest(counts)));
    let header: Vec<&str> = std::iter::once("feature")
        .chain(shown.iter().map(|index| candidates[*index].name.as_str()))
        .collect();
    let mut table = empty_table(TableStyle::Terminal, &header);
    for (feature, counts) in features.iter().take(MAX_NOISIEST) {
        let mut row = vec![shortened(report.feature_name(*feature), MAX_NAME)];
        row.extend(counts.iter().map(alarms_and_above));
        table.add_row(row);
    }
    align_right(&mut table, 1..=shown.len());
    Some(table.to_string())
}

/// Returns alarms and evaluations above a threshold of the candidate with the most.
fn noisiest(counts: &[AlarmCounts]) -> (u64, u64) {
    counts
        .iter()
        .map(|counts| (counts.alarms, counts.above))
        .max()
        .unwrap_or_default()
}

fn recommendation(report: &BacktestReport) -> Vec<String> {
    let Some(recommendation) = &report.recommendation else {
        let reason = if report.ready_features().is_empty() {
            "no feature was ever evaluated, see the caveats"
        } else {
            "no evaluated feature was quiet"
        };
        return vec![format!("\nNo recommendation: {reason}.")];
    };
    let name = recommendation.policy.name();
    let reason = format!("Recommended (*): {name}. {}.", recommendation.reason);
    let mut blocks = vec![String::new(), wrapped(&reason), String::new()];
    blocks.extend(
        recommendation
            .policy
            .yaml(&report.candidates.statistics)
            .iter()
            .map(|line| yaml_line(line)),
    );
    blocks.push("\nDetected faults, and the time from onset to alarm (median .. 90 %):".to_owned());
    blocks.push(detections(report, recommendation.candidate));
    blocks
}

/// Indents a line of the configuration; a rule that is too long for a line goes on in the next one,
/// as YAML allows inside of braces.
fn yaml_line(line: &str) -> String {
    let indented = format!("    {line}");
    match indented.rsplit_once(", tolerance") {
        Some((before, after)) if indented.len() > WIDTH => {
            format!("{before},\n         tolerance{after}")
        }
        _ => indented,
    }
}

fn detections(report: &BacktestReport, candidate: usize) -> String {
    let header = [
        "fault",
        "detected",
        "evaluations",
        "time",
        "not detected in",
    ];
    let mut table = empty_table(TableStyle::Terminal, &header);
    for (fault, outcomes) in &report.backtest.faulty {
        let detection = report.backtest.detection(candidate, outcomes);
        table.add_row([
            fault.name(),
            format!("{}/{}", detection.delays.len(), detection.features),
            median_and_high(&detection.evaluations, ToString::to_string),
            median_and_high(&detection.delays, |delay| duration::format_rounded(*delay)),
            first_names(report, &detection.missed),
        ]);
    }
    align_right(&mut table, 1..=3);
    table.to_string()
}

/// Formats the median and the 90 % quantile of ascending values.
fn median_and_high<T: Copy>(ascending: &[T], text: impl Fn(&T) -> String) -> String {
    match (nearest_rank(ascending, 0.5), nearest_rank(ascending, 0.9)) {
        (Some(median), Some(high)) => format!("{} .. {}", text(&median), text(&high)),
        _ => "-".to_owned(),
    }
}

/// The first of the features' names, as many as fit, and the number of the others.
fn first_names(report: &BacktestReport, features: &[usize]) -> String {
    let names: Vec<&str> = features
        .iter()
        .map(|feature| report.feature_name(*feature))
        .collect();
    names_within(&names, MAX_NAMES)
}

fn names_within(names: &[&str], width: usize) -> String {
    let Some((first, others)) = names.split_first() else {
        return String::new();
    };
    let mut text = shortened(first, width);
    for (shown, name) in (1..).zip(others) {
        if text.chars().count() + 2 + name.chars().count() > width {
            return format!("{text} and {} more", names.len() - shown);
        }
        text += &format!(", {name}");
    }
    text
}

/// A text of at most `max` characters; a longer one ends in an ellipsis.
fn shortened(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(max - 1).collect();
    cut.push('\u{2026}');
    cut
}

fn wrapped(text: &str) -> String {
    wrap(text, WIDTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_wrapped_at_the_width_and_indented() {
        let text = wrapped(&format!("- {}", ["word"; 60].join(" ")));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.len() > 2, "{text}");
        assert!(lines.iter().all(|line| line.len() <= WIDTH), "{text}");
        assert!(
            lines[1..].iter().all(|line| line.starts_with("  word")),
            "{text}"
        );
        assert_eq!(text.split_whitespace().count(), 61, "{text}");
    }

    #[test]
    fn names_are_cut_to_the_width_of_their_column() {
        assert_eq!(names_within(&[], 10), "");
        assert_eq!(names_within(&["amount", "age"], 11), "amount, age");
        assert_eq!(names_within(&["amount", "age"], 10), "amount and 1 more");
        assert_eq!(
            names_within(&["employment_months", "b"], 6),
            "emplo\u{2026} and 1 more"
        );
    }

    #[test]
    fn a_long_rule_takes_two_lines() {
        let rule = "  - {statistic: out_of_range_ratio, false_alarm_interval: 90d, tolerance: 0.2%, for: 3}";
        assert_eq!(
            yaml_line(rule),
            "      - {statistic: out_of_range_ratio, false_alarm_interval: 90d,\n         tolerance: \
             0.2%, for: 3}"
        );
        assert_eq!(yaml_line("alerts:"), "    alerts:");
    }

    #[test]
    fn a_word_longer_than_the_width_has_a_line_of_its_own() {
        let long = "x".repeat(WIDTH + 1);
        assert_eq!(
            wrapped(&format!("word {long} b")),
            format!("word\n  {long}\n  b")
        );
    }
}

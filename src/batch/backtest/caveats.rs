//! Caveats of a backtest: everything that limits the conclusions from its history.

use super::policy::{MIN_WINDOWS_PER_ALARM, SHORTEST_INTERVAL};
use super::report::BacktestReport;
use crate::calibration::CalibrationStatus;
use crate::export::percent;
use crate::model::{NotReady, duration};

/// Returns all caveats as sentences without a full stop.
#[must_use]
pub(crate) fn caveats(report: &BacktestReport) -> Vec<String> {
    let mut caveats = Vec::new();
    caveats.extend(features_never_ready(report));
    caveats.extend(noisy_features(report));
    caveats.extend(short_history(report));
    caveats.extend(rare_windows(report));
    caveats.extend(calibration_statuses(report));
    caveats
}

/// Names the features for which no alert can ever fire.
fn features_never_ready(report: &BacktestReport) -> Option<String> {
    let unchanged = &report.backtest.unchanged;
    let ready = report.ready_features();
    let features: Vec<String> = unchanged
        .features()
        .iter()
        .filter(|feature| !ready.contains(feature))
        .map(|feature| {
            let reason = not_ready_text(unchanged.not_ready_reason(*feature));
            format!("{} ({reason})", report.feature_name(*feature))
        })
        .collect();
    let has_few_samples = |feature: &usize| {
        let reason = unchanged.not_ready_reason(*feature);
        matches!(reason, Some(NotReady::TooFewSamples { .. }))
    };
    let mut silent = unchanged
        .features()
        .iter()
        .filter(|feature| !ready.contains(feature));
    let remedy = match silent.any(has_few_samples) {
        true => "; a lower `min_samples` or a longer window makes them ready",
        false => "",
    };
    (!features.is_empty()).then(|| {
        format!(
            "no policy was ever ready for these features, so they will not alarm: {}{remedy}",
            features.join(", ")
        )
    })
}

fn not_ready_text(reason: Option<NotReady>) -> String {
    match reason {
        Some(NotReady::TooFewSamples { have, need }) => {
            format!("its last window has {have} samples, {need} are needed")
        }
        Some(reason) => reason.reason().replace('_', " "),
        None => "no rule".to_owned(),
    }
}

/// Names the features that alarm under every policy.
fn noisy_features(report: &BacktestReport) -> Option<String> {
    let features: Vec<String> = report
        .noisy
        .iter()
        .map(|feature| noise_of(report, *feature))
        .collect();
    (!features.is_empty()).then(|| {
        format!(
            "alarms under every policy although nothing was damaged: {}: the history was not \
             quiet, or the reference does not fit; the counts above leave these features out, but \
             they would alarm",
            features.join("; ")
        )
    })
}

/// Describes the alarms of a feature under the least sensitive policy.
fn noise_of(report: &BacktestReport, feature: usize) -> String {
    let quietest = report.candidates.list.len() - 1;
    let trace = report.backtest.unchanged.total(quietest, feature);
    let above = percent(trace.counts.above as f64 / trace.counts.ready.max(1) as f64);
    let first = trace
        .first
        .map_or_else(String::new, |alarm| format!(", first at {}", alarm.at));
    format!(
        "{} ({above} of its windows above a threshold{first})",
        report.feature_name(feature)
    )
}

/// Warns about a history that is too short to show that the budget is kept.
fn short_history(report: &BacktestReport) -> Option<String> {
    let history = &report.history;
    (!history.is_long_enough()).then(|| {
        format!(
            "{} of history cannot show that the budget of one false alarm in {} is kept: that \
             takes {}; until then the promise rests on the reference",
            duration::format_rounded(history.length),
            duration::format(history.budget),
            duration::format_rounded(history.needed_length())
        )
    })
}

/// Warns about windows so rare that some false alarm intervals have the same effect.
fn rare_windows(report: &BacktestReport) -> Option<String> {
    let slide = report.candidates.slides().into_iter().max()?;
    let shortest_effective = slide.checked_mul(MIN_WINDOWS_PER_ALARM)?;
    (shortest_effective > SHORTEST_INTERVAL).then(|| {
        format!(
            "at most one window without drift in {MIN_WINDOWS_PER_ALARM} exceeds a threshold: \
             with a window every {}, all intervals below {} have the same effect, and only the \
             longest is listed",
            duration::format_rounded(slide),
            duration::format_rounded(shortest_effective)
        )
    })
}

/// Explains each calibration status that occurred and names its features.
fn calibration_statuses(report: &BacktestReport) -> Vec<String> {
    let unchanged = &report.backtest.unchanged;
    CalibrationStatus::ALL
        .into_iter()
        .filter_map(|status| {
            let affected = unchanged.with_status(status);
            let names = if affected.is_empty() {
                return None;
            } else if affected.len() == unchanged.features().len() {
                "every feature".to_owned()
            } else {
                affected
                    .iter()
                    .map(|feature| report.feature_name(*feature))
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            Some(format!("{} ({names}): {}", status.name(), meaning(status)))
        })
        .collect()
}

const fn meaning(status: CalibrationStatus) -> &'static str {
    match status {
        CalibrationStatus::ReferenceSmall => {
            "a window holds more than a tenth of the reference, so rates hold on average over \
             references only"
        }
        CalibrationStatus::BudgetExtrapolated => {
            "the rarest candidates ask for rarer events than the blocks of the reference can show"
        }
        CalibrationStatus::PhiLearning => {
            "the reference has no times, so nobody knows how much windows vary until the stream \
             has shown it, in 20 windows and a day: until then only gross breaks alarm. Rows with a \
             time, and `timestamp` when it is fitted, make it known from the start"
        }
        CalibrationStatus::BlocksShort => {
            "the reference is too short for blocks as long as the window; shorter ones are used"
        }
        CalibrationStatus::BlocksFew => {
            "for a time thresholds rested on fewer than 20 independent windows of the reference, \
             or of the stream where it has no times, and are uncertain: fit it on a longer time"
        }
        CalibrationStatus::TooFewEffective => {
            "values resemble their neighbours so much that some windows are worth fewer \
             independent samples than `min_samples`: thresholds are as wide as that asks for"
        }
        CalibrationStatus::LineUnreachable => {
            "in some windows a threshold is above the largest value of its statistic, so it cannot \
             alarm there: use a longer window, fewer categories (`top`), or a reference with times"
        }
    }
}

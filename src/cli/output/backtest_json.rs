//! The report of `pegel calibrate` as JSON.
//!
//! Keys are part of the contract and do not follow the names in the code: `found` lists detections,
//! `damage` is an injected fault, and `judged` counts evaluations in which a rule was ready.

use serde_json::{Value, json};

use crate::batch::backtest::candidates::Candidate;
use crate::batch::backtest::caveats::caveats;
use crate::batch::backtest::faults::Fault;
use crate::batch::backtest::operating_curve::nearest_rank;
use crate::batch::backtest::outcomes::Outcomes;
use crate::batch::backtest::report::BacktestReport;
use crate::model::duration;

/// Returns the report as one object; durations in seconds, times in RFC 3339.
#[must_use]
pub(crate) fn json(report: &BacktestReport) -> Value {
    let (first, last) = report.ready_span;
    let interval = &report.backtest.interval;
    let candidates: Vec<Value> = report
        .candidates
        .list
        .iter()
        .enumerate()
        .map(|(index, candidate)| candidate_json(report, index, candidate))
        .collect();
    json!({
        "monitor": report.monitor(),
        "history": {
            "events": report.events,
            "judged_from": first.to_string(),
            "judged_to": last.to_string(),
            "judged_seconds": report.history.length.as_secs_f64(),
            "damage_from": interval.onset.to_string(),
            "damage_to": interval.until.to_string(),
        },
        "budget_seconds": report.history.budget.as_secs_f64(),
        "candidates": candidates,
        "volume": report.backtest.unchanged.volume().map(|volume| {
            json!({"alarms": volume.alarms, "evaluations_below": volume.above})
        }),
        "never_quiet": names(report, &report.noisy),
        "proposal": recommendation_json(report),
        "caveats": caveats(report),
    })
}

fn candidate_json(report: &BacktestReport, index: usize, candidate: &Candidate) -> Value {
    let result = &report.results[index];
    let detections: Vec<Value> = report
        .backtest
        .faulty
        .iter()
        .map(|(fault, outcomes)| detection_json(report, index, *fault, outcomes))
        .collect();
    let unchanged = &report.backtest.unchanged;
    let features: Vec<Value> = unchanged
        .features()
        .iter()
        .map(|feature| {
            let trace = unchanged.total(index, *feature);
            json!({
                "name": report.feature_name(*feature),
                "judged": trace.counts.ready,
                "above": trace.counts.above,
                "alarms": trace.counts.alarms,
                "first_alarm": trace.first.map(|alarm| alarm.at.to_string()),
            })
        })
        .collect();
    json!({
        "name": candidate.name,
        "false_alarm_interval": candidate.policy.map(|policy| duration::format(policy.interval)),
        "for": candidate.policy.map(|policy| policy.for_evaluations),
        "tolerates_twice": candidate.policy.map(|policy| policy.is_tolerant),
        "judged": result.counts.ready,
        "above": result.counts.above,
        "alarms": result.counts.alarms,
        "alarm_windows": result.counts.alarm_windows,
        "alarms_by_design_at_most": result.by_design,
        "keeps_budget": result.keeps_budget,
        "is_vouched_for": result.is_supported,
        "found": detections,
        "features": features,
    })
}

fn detection_json(
    report: &BacktestReport,
    candidate: usize,
    fault: Fault,
    outcomes: &Outcomes,
) -> Value {
    let detection = report.backtest.detection(candidate, outcomes);
    let evaluations = |share| nearest_rank(&detection.evaluations, share);
    let seconds = |share| nearest_rank(&detection.delays, share).map(|delay| delay.as_secs_f64());
    json!({
        "damage": fault.name(),
        "features": detection.features,
        "found": detection.delays.len(),
        "evaluations": {"median": evaluations(0.5), "p90": evaluations(0.9)},
        "seconds": {"median": seconds(0.5), "p90": seconds(0.9)},
        "missed": names(report, &detection.missed),
    })
}

fn recommendation_json(report: &BacktestReport) -> Value {
    let Some(recommendation) = &report.recommendation else {
        return Value::Null;
    };
    let yaml = recommendation.policy.yaml(&report.candidates.statistics);
    json!({
        "name": recommendation.policy.name(),
        "because": recommendation.reason,
        "yaml": yaml.join("\n") + "\n",
    })
}

fn names<'a>(
    report: &'a BacktestReport,
    features: impl IntoIterator<Item = &'a usize>,
) -> Vec<&'a str> {
    features
        .into_iter()
        .map(|feature| report.feature_name(*feature))
        .collect()
}

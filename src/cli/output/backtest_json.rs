//! Everything that was counted, as JSON.

use serde_json::{Value, json};

use crate::batch::backtest::Report;
use crate::batch::backtest::candidates::Candidate;
use crate::batch::backtest::caveats::caveats;
use crate::batch::backtest::faults::Damage;
use crate::batch::backtest::operating_curve::{Detection, nearest_rank};
use crate::batch::backtest::outcomes::Ledger;
use crate::batch::backtest::policy::span;

/// One object; times in seconds unless they are RFC 3339.
#[must_use]
pub(crate) fn json(report: &Report) -> Value {
    let candidates = report.candidates.list.iter().enumerate();
    let candidates = candidates.map(|(index, own)| candidate(report, index, own));
    let noisy = report.noisy.iter().map(|feature| report.name_of(*feature));
    let (first, last) = report.judged;
    json!({
        "monitor": report.monitor(),
        "history": {
            "events": report.events,
            "judged_from": first.to_string(),
            "judged_to": last.to_string(),
            "judged_seconds": report.evidence.span.as_secs_f64(),
            "damage_from": report.trials.stage.onset.to_string(),
            "damage_to": report.trials.stage.until.to_string(),
        },
        "budget_seconds": report.evidence.budget.as_secs_f64(),
        "candidates": candidates.collect::<Vec<_>>(),
        "never_quiet": noisy.collect::<Vec<_>>(),
        "proposal": proposal(report),
        "caveats": caveats(report),
    })
}

fn candidate(report: &Report, index: usize, own: &Candidate) -> Value {
    let standing = &report.standings[index];
    let damaged = report.trials.damaged.iter();
    let found = damaged.map(|(damage, ledger)| detection(report, index, *damage, ledger));
    let features = report.trials.clean.features().iter();
    let features = features.map(|feature| {
        let trail = report.trials.clean.total(index, *feature);
        json!({
            "name": report.name_of(*feature),
            "judged": trail.cost.judged,
            "above": trail.cost.above,
            "alarms": trail.cost.alarms,
            "first_alarm": trail.first.map(|alarm| alarm.at.to_string()),
        })
    });
    json!({
        "name": own.name,
        "false_alarm_interval": own.policy.map(|policy| span(policy.interval)),
        "for": own.policy.map(|policy| policy.for_evaluations),
        "tolerates_twice": own.policy.map(|policy| policy.is_tolerant),
        "judged": standing.cost.judged,
        "above": standing.cost.above,
        "alarms": standing.cost.alarms,
        "alarm_windows": standing.cost.alarm_windows,
        "alarms_by_design_at_most": standing.by_design,
        "keeps_budget": standing.is_kept,
        "is_vouched_for": standing.is_vouched_for,
        "found": found.collect::<Vec<_>>(),
        "features": features.collect::<Vec<_>>(),
    })
}

fn detection(report: &Report, index: usize, damage: Damage, ledger: &Ledger) -> Value {
    let found: Detection = report.trials.detection(index, ledger);
    let evaluations = |share| nearest_rank(&found.evaluations, share);
    let seconds = |share| nearest_rank(&found.delays, share).map(|delay| delay.as_secs_f64());
    let missed = found.missed.iter().map(|own| report.name_of(*own));
    json!({
        "damage": damage.name(),
        "features": found.features,
        "found": found.delays.len(),
        "evaluations": {"median": evaluations(0.5), "p90": evaluations(0.9)},
        "seconds": {"median": seconds(0.5), "p90": seconds(0.9)},
        "missed": missed.collect::<Vec<_>>(),
    })
}

fn proposal(report: &Report) -> Value {
    let Some(proposal) = &report.proposal else {
        return Value::Null;
    };
    let yaml = proposal.policy.yaml(&report.candidates.statistics);
    json!({
        "name": proposal.policy.name(),
        "because": proposal.because,
        "yaml": yaml.join("\n") + "\n",
    })
}

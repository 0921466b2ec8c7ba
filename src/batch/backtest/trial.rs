//! Runs a backtest: one replay of the whole history, and one replay of an interval per fault.

use std::collections::BTreeSet;
use std::time::Duration;

use rayon::prelude::*;

use super::candidates::Candidates;
use super::faults::{Fault, FaultInjector, FaultInterval};
use super::operating_curve::Backtest;
use super::outcomes::Outcomes;
use super::policy::DAY;
use super::report::BacktestReport;
use crate::batch::late_rows::LateRows;
use crate::batch::progress;
use crate::batch::replay::{Input, Replayed, replay, replay_transformed};
use crate::batch::row_times::UnreadableTimes;
use crate::engine::{FeaturePlan, MonitorPlan, MonitorView};
use crate::model::{EventTime, MonitorSpec};
use crate::source::RowsError;

/// A time after that of every record.
const END_OF_TIME: EventTime = EventTime::from_millis(i64::MAX);
/// Lower bound of the longest time to an alarm that is measured: a later alarm is of no use.
const MIN_DETECTION_TIME: Duration = DAY;
/// The same as a number of the longest windows; the longer of both is used.
const MIN_DETECTION_WINDOWS: u32 = 10;
/// Evaluations with full windows before the onset of a fault.
const WARM_UP_SLIDES: u32 = 20;

/// A backtest without a result.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// No feature of the monitor is in a reference.
    #[error(
        "monitor {monitor}: no feature can have a budget of false alarms, no reference has its \
         features: name one, or give --reference"
    )]
    NoReference {
        /// Name of the monitor.
        monitor: String,
    },
    /// No feature of the monitor is in a usable reference.
    #[error(
        "monitor {monitor}: no feature can have a budget of false alarms, {}",
        .problems.join("; ")
    )]
    UnusableReferences {
        /// Name of the monitor.
        monitor: String,
        /// Each reference that cannot be used, with its problem.
        problems: Vec<String>,
    },
    /// The history cannot be read.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// So many rows of the history have no readable time that the others do not stand for all.
    #[error(transparent)]
    UnreadableTimes(#[from] UnreadableTimes),
    /// So many rows of the history are late that the others do not stand for all.
    #[error(transparent)]
    LateRows(#[from] LateRows),
    /// No row of the history is an event of the monitor.
    #[error(
        "{input}: no row became an event ({}); check `timestamp` of the monitor",
        dropped_text(.dropped)
    )]
    NoEvents {
        /// Name of the file or topics.
        input: String,
        /// Reasons and numbers of the rows that were dropped.
        dropped: Vec<(&'static str, u64)>,
    },
    /// No window of the monitor is complete.
    #[error("{input}: the history is shorter than a window")]
    ShorterThanWindow {
        /// Name of the file or topics.
        input: String,
    },
    /// No rule was ready in any evaluation.
    #[error(
        "{input}: no rule was ready in any of {evaluations} evaluations: {}",
        .reasons.iter().copied().collect::<Vec<_>>().join(", ")
    )]
    NeverReady {
        /// Name of the file or topics.
        input: String,
        /// Number of evaluations.
        evaluations: u64,
        /// Reasons why features were not ready.
        reasons: BTreeSet<&'static str>,
    },
}

impl BacktestError {
    /// Reports whether the command or the configuration is wrong, not the history.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(
            self,
            BacktestError::NoReference { .. } | BacktestError::UnusableReferences { .. }
        )
    }
}

fn dropped_text(dropped: &[(&'static str, u64)]) -> String {
    let counts: Vec<String> = dropped
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    if counts.is_empty() {
        "there are no rows".to_owned()
    } else {
        counts.join(", ")
    }
}

/// Creates the candidates for a monitor that accepts one false alarm in `budget`.
///
/// # Errors
/// No feature has a reference, so no threshold can be calibrated.
pub(crate) fn candidates(plan: MonitorPlan, budget: Duration) -> Result<Candidates, BacktestError> {
    let monitor = plan.spec.name.clone();
    let problems: Vec<String> = plan
        .references
        .iter()
        .filter_map(|reference| {
            let problem = reference.problem.as_ref()?;
            Some(format!("reference {}: {problem}", reference.name))
        })
        .collect();
    let candidates = Candidates::new(plan, budget);
    if candidates.comparisons() > 0 {
        Ok(candidates)
    } else if problems.is_empty() {
        Err(BacktestError::NoReference { monitor })
    } else {
        Err(BacktestError::UnusableReferences { monitor, problems })
    }
}

/// Replays a history under all candidates, without faults and with each fault.
///
/// `on_replayed` takes the end of the replay without faults, with the rows that are in no window.
///
/// # Errors
/// The history cannot be read, or no rule is ever ready.
pub(crate) fn run_backtest(
    input: &Input,
    candidates: Candidates,
    budget: Duration,
    on_replayed: &mut dyn FnMut(&Replayed),
) -> Result<BacktestReport, BacktestError> {
    let (plans, mut unchanged) = candidates.with_features(|_| true, (EventTime::MIN, END_OF_TIME));
    let replayed = replay(input, plans, &mut |plan, window| {
        unchanged.record(plan, window);
    })?;
    on_replayed(&replayed);
    if let Some(unreadable) = replayed
        .unreadable_times
        .iter()
        .find(|unreadable| unreadable.are_many())
    {
        return Err(unreadable.clone().into());
    }
    if let Some(late) = replayed.late.first() {
        return Err(late.clone().into());
    }
    let state = replayed
        .monitors
        .last()
        .expect("the candidates have a monitor");
    let ready_span = unchanged
        .ready_span()
        .ok_or_else(|| never_ready(&unchanged, state, &candidates, input.name()))?;
    let events = state.events;
    let interval = fault_interval(ready_span, &candidates);
    let (control, faulty) = run_trials(input, &candidates, interval)?;
    let backtest = Backtest {
        interval,
        unchanged,
        control,
        faulty,
    };
    Ok(BacktestReport::new(
        candidates, backtest, ready_span, events, budget,
    ))
}

/// Returns the reason why no rule was ready in the unchanged history.
fn never_ready(
    unchanged: &Outcomes,
    state: &MonitorView,
    candidates: &Candidates,
    input: String,
) -> BacktestError {
    if state.events == 0 {
        let dropped = state.dropped.clone();
        return BacktestError::NoEvents { input, dropped };
    }
    if state.evaluations == 0 {
        return BacktestError::ShorterThanWindow { input };
    }
    BacktestError::NeverReady {
        input,
        evaluations: state.evaluations,
        reasons: (0..candidates.features().len())
            .filter_map(|feature| Some(unchanged.not_ready_reason(feature)?.reason()))
            .collect(),
    }
}

/// Chooses the fault interval: the second half of the history, but not longer than detection may
/// take.
///
/// The onset is aligned to a pane. Records begin early enough that windows are full and alerts have
/// settled at the onset; at the very beginning if the history of the stream is needed.
fn fault_interval((first, last): (EventTime, EventTime), candidates: &Candidates) -> FaultInterval {
    let windows = candidates.spec().map_or(&[][..], |spec| &spec.windows);
    let longest_size = windows.iter().map(|window| window.size).max();
    let longest = longest_size.unwrap_or_default();
    let slide = windows.iter().map(|window| window.slide).max();
    let pane_width = candidates.spec().map(MonitorSpec::pane_width);
    let middle = first.plus(last.since(first) / 2);
    let onset = middle.align_down(pane_width.unwrap_or_default());
    let warm_up = longest * 2 + slide.unwrap_or_default() * WARM_UP_SLIDES;
    let detection_time = MIN_DETECTION_TIME.max(longest * MIN_DETECTION_WINDOWS);
    FaultInterval {
        from: if candidates.needs_history() {
            EventTime::MIN
        } else {
            onset.minus(warm_up)
        },
        onset,
        until: last.min(onset.plus(detection_time)),
    }
}

/// Replays the interval without a fault and with each fault, on all cores.
fn run_trials(
    input: &Input,
    candidates: &Candidates,
    interval: FaultInterval,
) -> Result<(Outcomes, Vec<(Fault, Outcomes)>), RowsError> {
    let faults: Vec<Fault> = Fault::ALL
        .into_iter()
        .filter(|fault| {
            candidates
                .features()
                .iter()
                .any(|feature| is_injected(*fault, feature))
        })
        .collect();
    let bar = progress::over_items("injecting faults", faults.len() + 1);
    let trial = |fault: Option<Fault>| -> Result<Outcomes, RowsError> {
        let outcomes = run_trial(input, candidates, fault, interval)?;
        bar.inc(1);
        Ok(outcomes)
    };
    let (control, faulty) = rayon::join(
        || trial(None),
        || {
            faults
                .into_par_iter()
                .map(|fault| trial(Some(fault)).map(|outcomes| (fault, outcomes)))
                .collect::<Result<Vec<_>, _>>()
        },
    );
    bar.finish_and_clear();
    Ok((control?, faulty?))
}

/// Reports whether a fault is injected into a feature: it applies, and there is a reference.
fn is_injected(fault: Fault, feature: &FeaturePlan) -> bool {
    fault.applies_to(feature.kind) && feature.scorers().next().is_some()
}

/// Replays the interval with a fault in all features that can have it; without a fault, all
/// features.
fn run_trial(
    input: &Input,
    candidates: &Candidates,
    fault: Option<Fault>,
    interval: FaultInterval,
) -> Result<Outcomes, RowsError> {
    let (plans, mut outcomes) = candidates.with_features(
        |feature| fault.is_none_or(|fault| is_injected(fault, feature)),
        (interval.onset, interval.until),
    );
    let features = plans
        .first()
        .map(|plan| plan.features.clone())
        .unwrap_or_default();
    replay_transformed(
        input,
        plans,
        &|observed| Box::new(FaultInjector::new(fault, interval, observed, &features)),
        &mut |plan, window| outcomes.record(plan, window),
    )?;
    Ok(outcomes)
}

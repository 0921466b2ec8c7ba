//! The reasons why a process cannot do its work, for `/-/ready`, the page and the API.
//!
//! Windows that are still warming do not make a process unready: the scores themselves carry the
//! reason, and a restart would not help. The first null tables of a comparison do: its budgeted
//! alerts are blind until they are simulated, which can take minutes after a first start. Later
//! tables do not: a null model that is renewed replaces the old one when it is complete.

use std::collections::BTreeMap;

use crate::engine::EngineView;
use crate::export::exporter::Exporter;
use crate::model::{KafkaReport, LogReport};

/// The reasons why this process is not ready; empty when it is.
pub(super) fn reasons(exporter: &Exporter) -> Vec<String> {
    reasons_in(
        &exporter.view(),
        &exporter.reports(),
        &exporter.log().load(),
        exporter.is_stopping(),
    )
}

/// The facts that a person should know although this process is ready: monitors that are silent.
///
/// A stream that stops is no fault of the process, and a restart would not help.
pub(super) fn notices(view: &EngineView) -> Vec<String> {
    view.monitors
        .iter()
        .filter_map(|monitor| {
            let since = monitor.silent_since?;
            Some(format!(
                "monitor {}: silent, no events since {since}",
                monitor.spec.name
            ))
        })
        .collect()
}

fn reasons_in(
    view: &EngineView,
    reports: &BTreeMap<String, KafkaReport>,
    log: &LogReport,
    is_stopping: bool,
) -> Vec<String> {
    let mut reasons: Vec<String> = log.problem.clone().into_iter().collect();
    for problem in &log.publisher_problems {
        if !reasons.contains(problem) {
            reasons.push(problem.clone());
        }
    }
    if let Some((finished, total)) = log.calibrating {
        reasons.push(format!("calibrating {finished} of {total}"));
    }
    if is_stopping {
        reasons.push("shutting down".to_owned());
    }
    for (source, report) in reports {
        match &report.problem {
            Some(problem) => reasons.push(format!("source {source}: {problem}")),
            None if !report.up => reasons.push(format!("source {source}: not connected yet")),
            None => {}
        }
    }
    for monitor in &view.monitors {
        if let Some(hold) = &monitor.held_by {
            reasons.push(format!(
                "monitor {}: windows wait although records arrive: {hold}",
                monitor.spec.name
            ));
        }
        for reference in &monitor.references {
            if let Some(problem) = &reference.problem {
                reasons.push(format!(
                    "monitor {}: reference {} is not loaded: {problem}",
                    monitor.spec.name, reference.name
                ));
            }
        }
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_is_not_ready_gives_its_problem() {
        for (up, problem, is_stopping, expected) in [
            (true, None, false, None),
            (false, None, false, Some("source s: not connected yet")),
            (
                false,
                Some("no broker answers"),
                false,
                Some("source s: no broker answers"),
            ),
            (true, None, true, Some("shutting down")),
        ] {
            let report = KafkaReport {
                up,
                problem: problem.map(str::to_owned),
                ..KafkaReport::default()
            };
            let reports = [("s".to_owned(), report)].into();
            let reasons = reasons_in(
                &EngineView::default(),
                &reports,
                &LogReport::default(),
                is_stopping,
            );
            assert_eq!(
                reasons,
                Vec::from_iter(expected),
                "up {up}, stopping {is_stopping}"
            );
        }
    }

    /// In a process of both roles, only the scorer's problems were shown.
    #[test]
    fn problems_of_publisher_and_scorer_are_shown_once_each() {
        let log = LogReport {
            problem: Some("a".to_owned()),
            publisher_problems: vec!["a".to_owned(), "b".to_owned()],
            ..LogReport::default()
        };
        let reasons = reasons_in(&EngineView::default(), &BTreeMap::new(), &log, false);
        assert_eq!(reasons, ["a", "b"]);
    }

    /// The process was "ready" while no budgeted alert could fire.
    #[test]
    fn a_process_that_simulates_null_tables_is_not_ready() {
        let log = LogReport {
            calibrating: Some((120, 300)),
            ..LogReport::default()
        };
        let reasons = reasons_in(&EngineView::default(), &BTreeMap::new(), &log, false);
        assert_eq!(reasons, ["calibrating 120 of 300"]);
    }
}

//! Whether the monitor can do its work, and if not, why.
//!
//! Windows that are still warming do not make it unready: they say so themselves, and restarting the process would not help.

use std::collections::BTreeMap;

use crate::engine::EngineView;
use crate::model::KafkaReport;

/// Reasons why not; empty when ready.
pub(in crate::export) fn reasons(
    snapshot: &EngineView,
    reports: &BTreeMap<String, KafkaReport>,
    log: Option<&str>,
    is_stopping: bool,
) -> Vec<String> {
    let mut reasons: Vec<String> = log.map(str::to_owned).into_iter().collect();
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
    for monitor in &snapshot.monitors {
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
    fn a_source_says_why_it_is_not_ready() {
        let report = |up, problem: Option<&str>| KafkaReport {
            up,
            problem: problem.map(str::to_owned),
            ..KafkaReport::default()
        };
        let check = |report: KafkaReport, is_stopping, expected: &[&str]| {
            let reports = [("s".to_owned(), report)].into();
            assert_eq!(
                reasons(&EngineView::default(), &reports, None, is_stopping),
                expected,
                "reasons"
            );
        };
        check(report(true, None), false, &[]);
        check(report(false, None), false, &["source s: not connected yet"]);
        check(
            report(false, Some("no broker answers")),
            false,
            &["source s: no broker answers"],
        );
        check(report(true, None), true, &["shutting down"]);
    }
}

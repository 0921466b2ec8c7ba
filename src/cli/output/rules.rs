//! The line that says by which rules `pegel compare` judged.
//!
//! The same files can have two verdicts, with and without a configuration, so both say what
//! decided.

use crate::model::{AlertSpec, Budget, MonitorSpec, Severity};

/// Returns a line with the rules and the number of values that they need.
pub(crate) fn rules_text(spec: &MonitorSpec, is_configured: bool, min_samples: u64) -> String {
    let rules = if spec.alerts.is_empty() {
        "none".to_owned()
    } else if are_defaults(&spec.alerts) {
        "js, wasserstein and rates (the defaults)".to_owned()
    } else {
        let rules: Vec<String> = spec.alerts.iter().map(rule_text).collect();
        rules.join(", ")
    };
    let origin = if is_configured {
        format!("monitor {}", spec.name)
    } else {
        "no configuration".to_owned()
    };
    format!("rules: {rules}; min_samples {min_samples}; {origin}")
}

/// Reports whether the rules judge a single comparison as the default rules do; intervals and `for`
/// do not matter there.
fn are_defaults(alerts: &[AlertSpec]) -> bool {
    let is_default = |alert: &AlertSpec| {
        alert.features.is_none()
            && alert.budget.is_some_and(|budget| {
                budget.tolerance == Budget::DEFAULT.tolerance
                    && budget.severity == Budget::DEFAULT.severity
            })
    };
    alerts.len() == AlertSpec::DEFAULT_STATISTICS.len()
        && alerts.iter().all(is_default)
        && AlertSpec::DEFAULT_STATISTICS
            .iter()
            .all(|statistic| alerts.iter().any(|alert| alert.statistic == *statistic))
}

fn rule_text(alert: &AlertSpec) -> String {
    let severities: Vec<String> = Severity::ALL
        .iter()
        .filter(|severity| alert.has(**severity))
        .map(|severity| match alert.thresholds.of(*severity) {
            Some(threshold) => format!("{severity} {threshold}"),
            None => severity.to_string(),
        })
        .collect();
    let features = alert
        .features
        .as_ref()
        .map_or_else(String::new, |names| format!(" of {}", names.join(" and ")));
    format!("{} {}{features}", alert.statistic, severities.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Statistic, Thresholds};

    #[test]
    fn rules_that_judge_as_the_defaults_are_called_so() {
        let mut spec = MonitorSpec::bare();
        let text = |spec: &MonitorSpec| rules_text(spec, true, 500);
        assert_eq!(text(&spec), "rules: none; min_samples 500; monitor data");
        spec.alerts = AlertSpec::defaults();
        spec.alerts.reverse();
        spec.alerts[0].for_evaluations = 3;
        let defaults = text(&spec);
        assert!(defaults.contains("the defaults"), "{defaults}");
        spec.alerts.truncate(1);
        spec.alerts[0].budget = None;
        spec.alerts[0].statistic = Statistic::Psi;
        spec.alerts[0].thresholds = Thresholds {
            warning: Some(0.1),
            critical: Some(0.25),
        };
        spec.alerts[0].features = Some(vec!["amount".to_owned(), "age".to_owned()]);
        assert_eq!(
            text(&spec),
            "rules: psi warning 0.1 critical 0.25 of amount and age; min_samples 500; monitor data"
        );
    }
}

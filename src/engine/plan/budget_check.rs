//! Warnings about budgets and tolerances that nobody can mean.

use std::time::Duration;

use crate::model::{AlertSpec, MonitorSpec, Tolerance, duration};

const DAY: Duration = Duration::from_secs(86_400);
const YEAR: Duration = Duration::from_secs(365 * 86_400);
/// Shift in standard deviations, and share of the values, from which a tolerance hides nearly
/// everything.
const LARGE_STD: f64 = 3.0;
const LARGE_MASS: f64 = 0.5;

/// Warns of budgets below a day and above a year, and of tolerances that hide gross breaks.
pub(super) fn budget_warnings(spec: &MonitorSpec) -> Vec<String> {
    spec.alerts.iter().flat_map(warnings_of).collect()
}

fn warnings_of(alert: &AlertSpec) -> Vec<String> {
    let Some(budget) = alert.budget else {
        return Vec::new();
    };
    let statistic = alert.statistic;
    let interval = budget.false_alarm_interval;
    let shown = duration::format(interval);
    let of_interval = if interval < DAY {
        Some(format!(
            "alert on {statistic}: a false_alarm_interval of {shown} accepts more than one false alarm \
             a day"
        ))
    } else if interval > YEAR {
        Some(format!(
            "alert on {statistic}: a false_alarm_interval of {shown} asks for events that no \
             reference shows; thresholds for more than a year are a guess"
        ))
    } else {
        None
    };
    let of_tolerance = match budget.tolerance {
        Tolerance::Std(std) if std > LARGE_STD => Some(format!(
            "alert on {statistic}: a tolerance of {std}std hides every shift below {std} standard \
             deviations"
        )),
        Tolerance::Mass(share) if share > LARGE_MASS => Some(format!(
            "alert on {statistic}: a tolerance of {}% hides a break of most of the values",
            share * 100.0
        )),
        _ => None,
    };
    of_interval.into_iter().chain(of_tolerance).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fixture::{budgeted_alert, fixed, spec};
    use crate::model::{Budget, Statistic};

    #[test]
    fn budgets_and_tolerances_that_nobody_can_mean_are_warned_about() {
        let warnings = |budget: Budget| {
            let mut spec = spec(vec![fixed()]);
            spec.alerts = vec![AlertSpec {
                budget: Some(budget),
                ..budgeted_alert(Statistic::Js)
            }];
            budget_warnings(&spec)
        };
        assert_eq!(warnings(Budget::DEFAULT), [""; 0], "the default");
        let second = warnings(Budget {
            false_alarm_interval: Duration::from_secs(1),
            tolerance: Tolerance::Std(99.0),
            ..Budget::DEFAULT
        });
        assert_eq!(second.len(), 2, "{second:?}");
        assert!(second[0].contains("of 1s accepts"), "{second:?}");
        assert!(second[1].contains("99 standard deviations"), "{second:?}");
        let centuries = warnings(Budget {
            false_alarm_interval: YEAR * 273,
            tolerance: Tolerance::Mass(0.9),
            ..Budget::DEFAULT
        });
        assert_eq!(centuries.len(), 2, "{centuries:?}");
    }
}

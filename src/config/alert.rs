//! Reads alert rules: fixed thresholds or a budget of false alarms, timing, and features.

use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};

use super::defaults;
use super::reader::{Item, Table};
use super::source_map::OptionSubject;
use crate::model::{
    AlertSpec, Budget, FeatureSpec, Severity, Statistic, Thresholds, Tolerance, WindowSpec,
    duration, suggest,
};

/// The options that belong to a budget.
const BUDGET_OPTIONS: [&str; 3] = ["false_alarm_interval", "tolerance", "severity"];

/// The listed features of a monitor; none if the reference decides which features there are.
struct ListedFeatures<'a> {
    /// In configuration order.
    names: Vec<&'a str>,
    by_name: FxHashMap<&'a str, &'a FeatureSpec>,
}

impl<'a> ListedFeatures<'a> {
    fn new(features: &'a [FeatureSpec]) -> Self {
        ListedFeatures {
            names: features
                .iter()
                .map(|feature| feature.name.as_str())
                .collect(),
            by_name: features
                .iter()
                .map(|feature| (feature.name.as_str(), feature))
                .collect(),
        }
    }
}

/// Reads the rules of a monitor; without the option, the default ones. `features` is empty if the
/// reference decides which features there are.
pub(super) fn read_all(
    table: &Table<'_>,
    monitor: &str,
    features: &[FeatureSpec],
    windows: &[WindowSpec],
) -> Vec<AlertSpec> {
    let mut alerts: Vec<AlertSpec> = Vec::new();
    let Some(option) = table.get("alerts") else {
        return AlertSpec::defaults();
    };
    let features = ListedFeatures::new(features);
    for item in option.list().unwrap_or_default() {
        let Some(alert) = item
            .table()
            .and_then(|table| read(&table, &features, windows))
        else {
            continue;
        };
        if alerts.iter().any(|earlier| overlap(earlier, &alert)) {
            item.error(format!(
                "duplicate rule for {}: an earlier one has the same severity and features",
                alert.statistic
            ));
        }
        item.record_location(OptionSubject::Alert {
            monitor: monitor.to_owned(),
            index: alerts.len(),
        });
        alerts.push(alert);
    }
    alerts
}

/// True if both rules have a threshold of one severity for one statistic, and for a common feature
/// neither takes precedence.
fn overlap(a: &AlertSpec, b: &AlertSpec) -> bool {
    let has_common_feature = || match (&a.features, &b.features) {
        (None, None) => true,
        (Some(a), Some(b)) => {
            let names: FxHashSet<&String> = a.iter().collect();
            b.iter().any(|name| names.contains(name))
        }
        _ => false,
    };
    a.competes_with(b)
        && Severity::ALL
            .iter()
            .any(|severity| a.has(*severity) && b.has(*severity))
        && has_common_feature()
}

fn read(
    table: &Table<'_>,
    features: &ListedFeatures<'_>,
    windows: &[WindowSpec],
) -> Option<AlertSpec> {
    let statistic = table
        .need("statistic", "the name of a statistic such as js")
        .and_then(|item| item.statistic(true));
    let [warning, critical] = ["warning", "critical"].map(|severity| {
        table
            .get(severity)
            .and_then(|item| threshold(&item, statistic))
    });
    let thresholds = Thresholds { warning, critical };
    let budget = budget(table, statistic);
    check_thresholds(table, statistic, &thresholds, budget.is_some());
    let for_evaluations = table
        .get("for")
        .and_then(|item| evaluations(&item, 1, windows))
        .unwrap_or(AlertSpec::DEFAULT_FOR);
    let keep_firing_for = table
        .get("keep_firing_for")
        .and_then(|item| evaluations(&item, 0, windows))
        .unwrap_or(AlertSpec::DEFAULT_KEEP_FIRING_FOR);
    let names = table
        .get("features")
        .and_then(|item| item.non_empty_list("feature"))
        .map(|items| {
            items
                .iter()
                .filter_map(|item| feature_name(item, statistic, features))
                .collect()
        });
    table.finish();
    Some(AlertSpec {
        statistic: statistic?,
        thresholds,
        budget,
        for_evaluations,
        keep_firing_for,
        features: names,
    })
}

/// Reads a fixed threshold, on the statistic's own scale.
fn threshold(item: &Item<'_>, statistic: Option<Statistic>) -> Option<f64> {
    let value = item.number()?;
    if !value.is_finite() {
        return item.expected("a finite number of at least 0");
    }
    if value < 0.0 {
        return item.expected("a number of at least 0");
    }
    if let Some(statistic) = statistic
        && let Some(bound) = statistic.upper_bound()
        && value >= bound
    {
        let unit = match statistic {
            Statistic::Js => " bit",
            _ => "",
        };
        item.error(format!(
            "{statistic} cannot exceed {bound}{unit}, found {value}: no window would ever be above it"
        ));
    }
    Some(value)
}

/// Reads a budget; `None` if there is a fixed threshold.
fn budget(table: &Table<'_>, statistic: Option<Statistic>) -> Option<Budget> {
    let is_fixed = table.get("warning").or(table.get("critical")).is_some();
    let [interval, tolerance_item, severity] = BUDGET_OPTIONS.map(|option| table.get(option));
    if is_fixed {
        for item in [interval, tolerance_item, severity].iter().flatten() {
            item.error(
                "belongs to a calibrated threshold, remove it or \"warning\" and \"critical\"",
            );
        }
        return None;
    }
    let severities: Vec<(&str, Severity)> = Severity::ALL
        .iter()
        .map(|severity| (severity.name(), *severity))
        .collect();
    Some(Budget {
        severity: severity
            .and_then(|item| item.choice(&severities))
            .unwrap_or(Budget::DEFAULT.severity),
        false_alarm_interval: interval
            .and_then(|item| false_alarm_interval(&item))
            .unwrap_or(Budget::DEFAULT.false_alarm_interval),
        tolerance: tolerance_item
            .and_then(|item| tolerance(&item, statistic))
            .unwrap_or(Budget::DEFAULT.tolerance),
    })
}

fn false_alarm_interval(item: &Item<'_>) -> Option<Duration> {
    let interval = item.duration()?;
    if interval.is_zero() {
        return item.expected("a duration above 0 such as \"30d\"");
    }
    Some(interval)
}

/// Reads a tolerance: a number on the statistic's own scale, standard deviations (`0.2std`) or a
/// share of values (`2%`).
fn tolerance(item: &Item<'_>, statistic: Option<Statistic>) -> Option<Tolerance> {
    let property = item.property()?;
    let text = property.trim();
    let (number, unit) = match (text.strip_suffix("std"), text.strip_suffix('%')) {
        (Some(number), _) => (number, "std"),
        (None, Some(number)) => (number, "%"),
        (None, None) => (text, ""),
    };
    let value = number.trim().parse::<f64>().ok();
    let Some(value) = value.filter(|value| value.is_finite() && *value >= 0.0) else {
        item.error(format!(
            "expected a number such as 0.01, standard deviations such as \"0.2std\", or a share \
             such as \"2%\", found {text:?}"
        ));
        return None;
    };
    if unit == "std" && statistic.is_some_and(Statistic::is_rate) {
        item.error(format!(
            "expected a share such as \"0.5%\", found {text:?}: a rate has no standard deviations"
        ));
    }
    if unit == "%" && value > 100.0 {
        item.error(format!("expected at most 100%, found {text:?}"));
    }
    if let Some(statistic) = statistic
        && let Some(bound) = statistic.upper_bound()
        && unit.is_empty()
        && value >= bound
    {
        item.error(format!(
            "expected a tolerance below {bound}, the maximum of {statistic}, found {value}"
        ));
    }
    if statistic.is_some_and(|statistic| defaults::tolerance(statistic) == text) {
        return Some(Tolerance::Default);
    }
    Some(match unit {
        "std" => Tolerance::Std(value),
        "%" => Tolerance::Mass(value / 100.0),
        _ => Tolerance::Score(value),
    })
}

/// Checks the thresholds against the statistic and against each other.
fn check_thresholds(
    table: &Table<'_>,
    statistic: Option<Statistic>,
    thresholds: &Thresholds,
    has_budget: bool,
) {
    let alarms_below = statistic.is_some_and(Statistic::alarms_below);
    if let (true, true, Some(statistic)) = (alarms_below, has_budget, statistic) {
        table.item().error(format!(
            "{statistic} needs a fixed threshold: set \"warning\" or \"critical\" to the smallest \
             number of values that is enough"
        ));
    }
    let (Some(warning), Some(critical)) = (thresholds.warning, thresholds.critical) else {
        return;
    };
    let (order, is_wrong) = if alarms_below {
        ("above", warning <= critical)
    } else {
        ("below", warning >= critical)
    };
    if is_wrong {
        table.item().error(format!(
            "\"warning\" ({warning}) must be {order} \"critical\" ({critical})"
        ));
    }
}

/// Reads a number of evaluations. A duration is rejected; the error shows it in evaluations of the
/// first window.
fn evaluations(item: &Item<'_>, min: u64, windows: &[WindowSpec]) -> Option<u32> {
    let text = item.property().unwrap_or_default();
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    if let (false, Ok(span), Some(window)) =
        (is_number, humantime::parse_duration(&text), windows.first())
    {
        let count = span.as_millis().div_ceil(window.slide.as_millis().max(1));
        item.error(format!(
            "expected a number of evaluations, found {text:?}: that is {count} with a slide of {}",
            duration::format(window.slide)
        ));
        return None;
    }
    item.whole(min)
        .map(|count| u32::try_from(count).unwrap_or(u32::MAX))
}

/// Reads the name of a feature that has the statistic.
fn feature_name(
    item: &Item<'_>,
    statistic: Option<Statistic>,
    features: &ListedFeatures<'_>,
) -> Option<String> {
    let name = item.name()?;
    let feature = features.by_name.get(name.as_str());
    if feature.is_none() && !features.names.is_empty() {
        let suggestion = suggest(&name, &features.names);
        item.error(format!("unknown feature {name:?}, {suggestion}"));
    }
    if let (Some(kind), Some(statistic)) = (feature.and_then(|feature| feature.kind), statistic)
        && !kind.has(statistic)
    {
        item.error(format!(
            "{statistic} does not exist for {} features",
            kind.name()
        ));
    }
    Some(name)
}

const _: () = assert!(
    Severity::ALL.len() == 2,
    "a rule has one threshold per severity"
);

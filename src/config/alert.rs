//! Alert rules: fixed lines or a budget of false alarms, patience, and the features they are about.

use std::time::Duration;

use super::defaults;
use super::monitor::statistic;
use super::problems::suggest;
use super::reader::{Item, Table};
use crate::model::{
    AlertSpec, Budget, FeatureSpec, Severity, Statistic, Thresholds, Tolerance, WindowSpec,
};

/// Reads the rules; `features` is empty when the reference may hold others.
pub(super) fn read_all(
    table: &Table<'_>,
    features: &[FeatureSpec],
    windows: &[WindowSpec],
) -> Vec<AlertSpec> {
    let mut alerts: Vec<AlertSpec> = Vec::new();
    for item in table
        .get("alerts")
        .and_then(|item| item.list())
        .unwrap_or_default()
    {
        let Some(alert) = item
            .table()
            .and_then(|table| alert(table, features, windows))
        else {
            continue;
        };
        if alerts.iter().any(|other| overlap(other, &alert)) {
            item.complain(format!(
                "a second rule for {} on the same features",
                alert.statistic
            ));
        }
        alerts.push(alert);
    }
    alerts
}

/// Whether both rules draw a line of one severity for one statistic, and neither is more particular than the other on some feature.
fn overlap(a: &AlertSpec, b: &AlertSpec) -> bool {
    let judged = |rule: &AlertSpec| match rule.budget {
        Some(_) => rule.statistic.budgeted(),
        None => rule.statistic,
    };
    let severities = Severity::ALL.iter();
    let share_severity = severities
        .into_iter()
        .any(|severity| a.has(*severity) && b.has(*severity));
    let share_feature = match (&a.features, &b.features) {
        (None, None) => true,
        (Some(a), Some(b)) => a.iter().any(|name| b.contains(name)),
        _ => false,
    };
    judged(a) == judged(b) && share_severity && share_feature
}

/// A budget, where no fixed line is given.
fn budget(table: &Table<'_>, statistic: Option<Statistic>) -> Option<Budget> {
    let keys = ["false_alarm_interval", "tolerance", "severity"];
    if table.get("warning").or(table.get("critical")).is_some() {
        for item in keys.into_iter().filter_map(|key| table.get(key)) {
            item.complain("goes with a budget, not with a fixed \"warning\" or \"critical\"");
        }
        return None;
    }
    let [interval, tolerated, severity] = keys.map(|key| table.get(key));
    let severities: Vec<(&str, Severity)> = Severity::ALL
        .iter()
        .map(|severity| (severity.name(), *severity))
        .collect();
    let fallback = Budget::default();
    Some(Budget {
        severity: severity
            .and_then(|item| item.choice(&severities))
            .unwrap_or(fallback.severity),
        false_alarm_interval: interval
            .and_then(|item| interval_of(&item))
            .unwrap_or(fallback.false_alarm_interval),
        tolerance: tolerated
            .and_then(|item| tolerance(&item, statistic))
            .unwrap_or_default(),
    })
}

fn interval_of(item: &Item<'_>) -> Option<Duration> {
    let interval = item.duration()?;
    if interval.is_zero() {
        item.complain("expected a duration above 0, as \"30d\"");
        return None;
    }
    Some(interval)
}

/// A number on the statistic's own scale, standard deviations (`0.2std`) or a share of values (`2%`).
fn tolerance(item: &Item<'_>, statistic: Option<Statistic>) -> Option<Tolerance> {
    let text = item.property()?;
    let text = text.trim();
    let (number, unit) = match (text.strip_suffix("std"), text.strip_suffix('%')) {
        (Some(number), _) => (number, "std"),
        (None, Some(number)) => (number, "%"),
        (None, None) => (text, ""),
    };
    let value = number.trim().parse::<f64>().ok();
    let Some(value) = value.filter(|value| value.is_finite() && *value >= 0.0) else {
        item.complain(format!(
            "expected a number, as 0.01, standard deviations, as \"0.2std\", or a share, as \"2%\", found {text:?}"
        ));
        return None;
    };
    let is_rate = statistic.is_some_and(Statistic::is_rate);
    if unit == "std" && is_rate {
        item.complain("a rate has no standard deviations: give a share, as \"0.5%\"");
    }
    if unit == "%" && value > 100.0 {
        item.complain(format!("at most 100%, found {text}"));
    }
    let bound = statistic
        .filter(|_| unit.is_empty())
        .and_then(Statistic::upper_bound);
    if let (Some(statistic), Some(bound)) = (statistic, bound)
        && value >= bound
    {
        item.complain(format!("{statistic} never exceeds {bound}, found {value}"));
    }
    let found = match unit {
        "std" => Tolerance::Std(value),
        "%" => Tolerance::Mass(value / 100.0),
        _ => Tolerance::Score(value),
    };
    let is_default = statistic.is_some_and(|own| default_tolerance(own) == text);
    Some(if is_default {
        Tolerance::Default
    } else {
        found
    })
}

/// The default tolerance of a statistic as a user would write it.
pub(super) const fn default_tolerance(statistic: Statistic) -> &'static str {
    match statistic {
        Statistic::MissingRatio => "0%",
        Statistic::UnseenRatio | Statistic::OutOfRangeRatio => "0.1%",
        _ => defaults::TOLERANCE,
    }
}

fn alert(table: Table<'_>, features: &[FeatureSpec], windows: &[WindowSpec]) -> Option<AlertSpec> {
    let statistic = table
        .need("statistic", "what is judged, as js")
        .and_then(|item| statistic(&item, true));
    let line = |key| table.get(key).and_then(|item| threshold(&item, statistic));
    let thresholds = Thresholds {
        warning: line("warning"),
        critical: line("critical"),
    };
    let budget = budget(&table, statistic);
    check_lines(&table, statistic, &thresholds, budget.is_some());
    let evaluations = |key, least, fallback| {
        table
            .get(key)
            .and_then(|item| evaluations(&item, least, windows))
            .unwrap_or(fallback)
    };
    let (for_evaluations, keep_firing_for) = (
        evaluations("for", 1, 1),
        evaluations("keep_firing_for", 0, 0),
    );
    let names = table.get("features").and_then(|item| item.list());
    let names = names.map(|items| {
        items
            .iter()
            .filter_map(|item| alerted_feature(item, statistic, features))
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

fn check_lines(
    table: &Table<'_>,
    statistic: Option<Statistic>,
    thresholds: &Thresholds,
    has_budget: bool,
) {
    let alarms_below = statistic.is_some_and(Statistic::alarms_below);
    if let (true, true, Some(statistic)) = (alarms_below, has_budget, statistic) {
        table.item().complain(format!("{statistic} has fixed lower lines and no budget: give \"warning\" or \"critical\", the least that is enough in a window"));
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
        table.item().complain(format!(
            "\"warning\" ({warning}) must be {order} \"critical\" ({critical})"
        ));
    }
}

fn threshold(item: &Item<'_>, statistic: Option<Statistic>) -> Option<f64> {
    let value = item.number()?;
    if !value.is_finite() || value < 0.0 {
        item.complain(format!("expected a number of at least 0, found {value}"));
        return None;
    }
    if let Some((statistic, bound)) =
        statistic.and_then(|statistic| Some((statistic, statistic.upper_bound()?)))
        && value > bound
    {
        let unit = if statistic == Statistic::Js {
            " bit"
        } else {
            ""
        };
        item.complain(format!(
            "{statistic} cannot exceed {bound}{unit}, found {value}"
        ));
    }
    Some(value)
}

/// A number of evaluations; a duration is refused with its conversion.
fn evaluations(item: &Item<'_>, least: u64, windows: &[WindowSpec]) -> Option<u32> {
    let as_text = item.property().and_then(|text| {
        humantime::parse_duration(&text)
            .ok()
            .map(|duration| (text, duration))
    });
    if let (Some((text, duration)), Some(window)) = (as_text, windows.first())
        && !text.bytes().all(|byte| byte.is_ascii_digit())
    {
        let count = duration
            .as_millis()
            .div_ceil(window.slide.as_millis().max(1));
        let slide = humantime::format_duration(window.slide);
        item.complain(format!(
            "counts evaluations: {text} is {count} at a slide of {slide}"
        ));
        return None;
    }
    item.whole(least)
        .map(|count| u32::try_from(count).unwrap_or(u32::MAX))
}

fn alerted_feature(
    item: &Item<'_>,
    statistic: Option<Statistic>,
    features: &[FeatureSpec],
) -> Option<String> {
    let name = item.name()?;
    let found = features.iter().find(|feature| feature.name == name);
    if found.is_none() && !features.is_empty() {
        let names: Vec<&str> = features
            .iter()
            .map(|feature| feature.name.as_str())
            .collect();
        item.complain(format!("no feature {name:?}, {}", suggest(&name, &names)));
    }
    let kind = found.and_then(|feature| feature.kind);
    if let (Some(kind), Some(statistic)) = (kind, statistic)
        && !kind.has(statistic)
    {
        item.complain(format!(
            "{statistic} does not exist for {} features",
            kind.name()
        ));
    }
    Some(name)
}

const _: () = assert!(Severity::ALL.len() == 2, "a rule has one line per severity");

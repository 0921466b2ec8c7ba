//! Alert rules: fixed lines, patience, and the features they are about.

use super::monitor::statistic;
use super::node::{Item, Table};
use super::problem::suggest;
use crate::model::{AlertSpec, FeatureSpec, Severity, Statistic, Thresholds, WindowSpec};

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
        let rivals = alerts
            .iter()
            .filter(|other| other.statistic == alert.statistic);
        if rivals.into_iter().any(|other| overlap(other, &alert)) {
            item.complain(format!(
                "a second rule for {} on the same features",
                alert.statistic
            ));
        }
        alerts.push(alert);
    }
    alerts
}

/// Whether neither rule is more particular than the other on some feature.
fn overlap(a: &AlertSpec, b: &AlertSpec) -> bool {
    match (&a.features, &b.features) {
        (None, None) => true,
        (Some(a), Some(b)) => a.iter().any(|name| b.contains(name)),
        _ => false,
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
    for key in ["false_alarm_interval", "tolerance", "severity"] {
        if let Some(item) = table.get(key) {
            item.complain("not supported yet: give a fixed \"warning\" or \"critical\"");
        }
    }
    if table.get("warning").or(table.get("critical")).is_none() {
        table
            .item()
            .complain("give \"warning\", \"critical\" or both");
    }
    if let (Some(warning), Some(critical)) = (thresholds.warning, thresholds.critical)
        && warning >= critical
    {
        table.item().complain(format!(
            "\"warning\" ({warning}) must be below \"critical\" ({critical})"
        ));
    }
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
        for_evaluations,
        keep_firing_for,
        features: names,
    })
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

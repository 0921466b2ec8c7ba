//! References that move with the window: the previous window, a trailing period, the same hour of
//! the week.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use pegel::engine::{LoadedReference, MonitorPlan};
use pegel::model::{AlertSpec, MonitorSpec, Origin, ReferenceSpec, Rolling, Statistic, Thresholds};
use pegel::reference::{HOURS, Profiles, Reference};
use pegel::stats::FeatureCounts;
use serde_json::{Map, Value};

use crate::support::{MINUTE, at, of_feature, plan, record, reference, replay, spec};

pub(crate) fn rolling(name: &str, period: Option<Duration>, delay: Duration) -> ReferenceSpec {
    ReferenceSpec {
        name: name.to_owned(),
        origin: Origin::Rolling(Rolling { period, delay }),
    }
}

/// The reference with hourly counts that separate even hours from odd ones.
pub(crate) fn with_hours() -> Arc<Reference> {
    let base = reference();
    let hours = |feature: &pegel::reference::FeatureReference| {
        let hour = |hour: usize| {
            let mut counts = FeatureCounts::new(&feature.layout);
            match feature.layout.numeric() {
                Some(layout) => (0..500).for_each(|i| {
                    let x = f64::from(i) + if hour.is_multiple_of(2) { 0.0 } else { 500.0 };
                    counts.record_number(layout, x);
                }),
                None => counts.bins[hour % 2] = 500,
            }
            counts.tallies.values = 500;
            counts
        };
        (0..HOURS).map(hour).collect()
    };
    let profiles = Profiles {
        timezone: "UTC".to_owned(),
        features: base.features.iter().map(hours).collect(),
    };
    Arc::new(Reference::clone(&base).with_profiles(profiles))
}

/// The specifications of every kind of reference.
pub(crate) fn all_kinds(mut spec: MonitorSpec) -> MonitorSpec {
    spec.references.push(ReferenceSpec {
        name: "hour_of_week".to_owned(),
        origin: Origin::HourOfWeek("none".into()),
    });
    spec.references
        .push(rolling("previous", None, Duration::ZERO));
    spec.references
        .push(rolling("trailing", Some(MINUTE * 4), MINUTE));
    spec
}

/// The plan of a monitor whose files all hold hourly counts.
pub(crate) fn plan_with_hours(spec: MonitorSpec) -> MonitorPlan {
    let files = spec
        .references
        .iter()
        .filter(|reference| reference.origin.file().is_some());
    let loaded: Vec<LoadedReference> = files.map(|_| Ok(with_hours())).collect();
    MonitorPlan::new(spec, loaded)
}

/// Ten records a minute; `x` is `value(minute, i)`.
fn stream(minutes: i64, value: &dyn Fn(i64, i64) -> f64) -> String {
    let mut text = String::new();
    for minute in 0..minutes {
        for i in 0..10 {
            let x = value(minute, i).to_string();
            write!(text, "{}", record(at(12, minute, i * 6), &x, "\"de\"")).unwrap();
        }
    }
    text
}

fn against<'a>(lines: &'a [Map<String, Value>], reference: &str) -> Vec<&'a Map<String, Value>> {
    let x = of_feature(lines, "x").into_iter();
    x.filter(|line| line["reference"] == reference).collect()
}

fn reasons(lines: &[&Map<String, Value>]) -> Vec<String> {
    let reason = |line: &&Map<String, Value>| line["reason"].as_str().unwrap_or("ready").to_owned();
    lines.iter().map(reason).collect()
}

fn js(line: &Map<String, Value>) -> f64 {
    line["scores"]["js"].as_f64().unwrap()
}

#[test]
fn previous_compares_with_the_window_right_before() {
    let mut spec = spec();
    spec.references
        .push(rolling("previous", None, Duration::ZERO));
    // The values of minute m are in bin m.
    let text = stream(20, &|minute, i| (minute * 47 + i) as f64);
    let (lines, _) = replay(&text, vec![plan(spec)]);
    let previous = against(&lines, "previous");
    let reasons = reasons(&previous);
    assert_eq!(
        reasons[..9],
        ["warming"; 9],
        "two windows make a comparison"
    );
    assert_eq!(reasons[9..], ["ready"; 11], "from then on");
    for line in &previous[9..] {
        assert_eq!(line["reference_samples"], 50, "five minutes of ten");
        assert!(
            (js(line) - 1.0).abs() < 1e-9,
            "no value in common: {}",
            js(line)
        );
    }
}

#[test]
fn a_trailing_period_ends_its_delay_before_the_window() {
    let mut spec = spec();
    spec.references
        .push(rolling("trailing", Some(MINUTE * 3), MINUTE * 2));
    // One record more every minute, so that a count shows which minutes it is from.
    let mut text = String::new();
    for minute in 0..30 {
        for i in 0..10 + minute {
            text += &record(at(12, minute, i), "500", "\"de\"");
        }
    }
    let (lines, _) = replay(&text, vec![plan(spec)]);
    let trailing = against(&lines, "trailing");
    let ready: Vec<&&Map<String, Value>> = trailing
        .iter()
        .filter(|line| line["reason"].is_null())
        .collect();
    assert_eq!(ready.len(), 21, "from 12:10 to 12:30");
    for (end, line) in (10..).zip(ready) {
        let start = end - 5;
        let expected: i64 = (start - 5..start - 2).map(|minute| 10 + minute).sum();
        assert_eq!(line["reference_samples"], expected, "window until 12:{end}");
    }
}

#[test]
fn a_lasting_change_alerts_once_and_then_becomes_the_reference() {
    let mut spec = spec();
    spec.references
        .push(rolling("previous", None, Duration::ZERO));
    spec.alerts = vec![AlertSpec {
        statistic: Statistic::Js,
        thresholds: Thresholds {
            warning: None,
            critical: Some(0.5),
        },
        budget: None,
        for_evaluations: 1,
        keep_firing_for: 0,
        features: Some(vec!["x".to_owned()]),
    }];
    let value = |minute: i64, i: i64| if minute < 20 { i } else { 900 + i } as f64;
    let (lines, _) = replay(&stream(50, &value), vec![plan(spec)]);
    let previous = against(&lines, "previous");
    let alerts: Vec<&str> = previous
        .iter()
        .map(|line| line["alert"].as_str().unwrap())
        .collect();
    let fired: Vec<usize> = (0..alerts.len())
        .filter(|index| alerts[*index] == "firing")
        .collect();
    let (first, last) = (fired[0], *fired.last().unwrap());
    assert!(
        (21..25).contains(&first),
        "fires while the change comes in: {alerts:?}"
    );
    assert!(last < 32, "and not for ever: {alerts:?}");
    let quiet = &previous[40..];
    assert!(
        quiet
            .iter()
            .all(|line| line["reason"].is_null() && js(line) < 1e-9),
        "the new state is the reference: {:?}",
        reasons(quiet)
    );
    let dry = reasons(&previous[first..40]);
    assert!(
        dry.contains(&"no_reference".to_owned()),
        "what alarmed is left out: {dry:?}"
    );
}

#[test]
fn each_hour_is_compared_with_its_own_profile() {
    let mut spec = spec();
    spec.references[0].origin = Origin::HourOfWeek("none".into());
    // Noon is an even hour: low values. Against the whole week both hours are drift.
    let mut text = String::new();
    for minute in 0..120 {
        for i in 0..10 {
            let odd = if minute < 60 { 0 } else { 500 };
            let x = ((minute * 10 + i) * 37 % 500 + odd).to_string();
            text += &record(at(12, minute, i * 6), &x, "\"de\"");
        }
    }
    let (lines, _) = replay(&text, vec![plan_with_hours(spec.clone())]);
    let actual = of_feature(&lines, "x");
    let ready: Vec<f64> = actual
        .iter()
        .filter(|line| line["reason"].is_null())
        .map(|line| js(line))
        .collect();
    assert_eq!(ready.len(), 116, "one a minute");
    let worst = ready.iter().copied().fold(0.0, f64::max);
    assert!(
        worst < 0.12,
        "each hour is as its profile, between hours as both: {worst}"
    );
    let (whole, _) = replay(&text, vec![plan(crate::support::spec())]);
    let within_an_hour = |line: &&Map<String, Value>| {
        let end = line["window_end"].as_str().unwrap();
        line["reason"].is_null() && !("2026-11-01T13:01"..="2026-11-01T13:04:59").contains(&end)
    };
    let whole = of_feature(&whole, "x").into_iter().filter(within_an_hour);
    let least = whole.map(js).fold(1.0, f64::min);
    assert!(
        least > 0.3,
        "against the whole week every hour is drift: {least}"
    );
}

#[test]
fn a_file_without_hourly_counts_is_not_an_hour_of_week_reference() {
    let mut spec = spec();
    spec.references[0].origin = Origin::HourOfWeek("none".into());
    let plan = plan(spec);
    let problem = plan.references[0].problem.as_deref().unwrap();
    assert!(problem.contains("--hour-of-week"), "{problem}");
}

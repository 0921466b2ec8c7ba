//! Windows, watermarks, readiness and alerts, from records to evaluations.

use std::fmt::Write as _;
use std::time::Duration;

use pegel::model::{AlertSpec, EventTime, Statistic, Thresholds};
use serde_json::{Map, Value};

use crate::support::{MINUTE, at, of_feature, plan, record, replay, spec};

/// Ten records a minute from `from` to `to` minutes after noon, with `x` spread over the reference
/// and shifted by `shift`.
fn minutes(from: i64, to: i64, shift: f64) -> String {
    let mut text = String::new();
    for minute in from..to {
        for i in 0..10 {
            let x = f64::from(i) * 100.0 + 50.0 + shift;
            text += &record(at(12, minute, i64::from(i) * 6), &x.to_string(), "\"de\"");
        }
    }
    text
}

fn column(lines: &[&Map<String, Value>], key: &str) -> Vec<String> {
    lines
        .iter()
        .map(|line| line[key].to_string().trim_matches('"').to_owned())
        .collect()
}

#[test]
fn every_slide_is_evaluated_once_and_warms_first() {
    let (lines, states) = replay(&minutes(0, 10, 0.0), vec![plan(spec())]);
    let x = of_feature(&lines, "x");
    let expected: Vec<String> = (1..=10)
        .map(|minute| at(12, minute, 0).to_string())
        .collect();
    assert_eq!(column(&x, "window_end"), expected, "one per minute");
    let reasons = column(&x, "reason");
    assert_eq!(
        reasons[..4],
        ["warming"; 4],
        "counting began inside the first windows"
    );
    assert_eq!(reasons[4..], ["null"; 6], "then they are ready");
    assert_eq!(column(&x, "samples")[9], "50", "five minutes of ten");
    assert_eq!(states[0].evaluations, 10, "counted");
}

#[test]
fn the_order_within_lateness_changes_nothing() {
    let mut spec = spec();
    spec.lateness.out_of_orderness = MINUTE;
    let text = minutes(0, 8, 0.0);
    let mut shuffled: Vec<&str> = text.lines().collect();
    for pair in shuffled.chunks_mut(7) {
        pair.reverse();
    }
    // Coverage starts with the first record.
    let first = shuffled
        .iter()
        .position(|line| text.starts_with(line))
        .unwrap();
    shuffled[..=first].reverse();
    let (ordered, _) = replay(&text, vec![plan(spec.clone())]);
    let (shuffled_lines, _) = replay(&(shuffled.join("\n") + "\n"), vec![plan(spec)]);
    assert_eq!(ordered, shuffled_lines, "bit for bit");
}

#[test]
fn late_records_count_in_their_pane_or_are_dropped() {
    let mut text = minutes(0, 8, 0.0);
    text += &record(at(12, 5, 30), "500", "\"de\"");
    text += &record(at(11, 0, 0), "500", "\"de\"");
    text += &minutes(8, 10, 0.0);
    let (lines, states) = replay(&text, vec![plan(spec())]);
    assert_eq!(states[0].events_late, 1, "late but counted");
    assert_eq!(
        states[0]
            .dropped
            .iter()
            .find(|(reason, _)| *reason == "late")
            .unwrap()
            .1,
        1,
        "too late"
    );
    let at_nine = of_feature(&lines, "x")
        .into_iter()
        .find(|line| line["window_end"] == at(12, 9, 0).to_string())
        .unwrap();
    assert_eq!(at_nine["samples"], 51, "shows in the next evaluation");
}

#[test]
fn a_gap_of_days_is_one_evaluation() {
    let text = minutes(0, 6, 0.0) + &record(at(12 + 72, 0, 0), "500", "\"de\"");
    let (lines, states) = replay(&text, vec![plan(spec())]);
    let x = of_feature(&lines, "x");
    let reasons = column(&x, "reason");
    assert_eq!(
        reasons.iter().filter(|reason| *reason == "empty").count(),
        1,
        "{reasons:?}"
    );
    assert!(
        states[0].evaluations_skipped > 4000,
        "{} skipped",
        states[0].evaluations_skipped
    );
}

#[test]
fn an_alert_fires_after_for_evaluations_and_resolves_after_its_cause() {
    let mut spec = spec();
    spec.alerts = vec![AlertSpec {
        statistic: Statistic::WassersteinNormalized,
        thresholds: Thresholds {
            warning: None,
            critical: Some(0.5),
        },
        budget: None,
        for_evaluations: 2,
        keep_firing_for: 1,
        features: None,
    }];
    let text = minutes(0, 6, 0.0) + &minutes(6, 12, 300.0) + &minutes(12, 20, 0.0);
    let (lines, states) = replay(&text, vec![plan(spec)]);
    let alerts = column(&of_feature(&lines, "x"), "alert");
    // The windows ending 12:01 .. 12:04 warm. A shift of 300 in three of five minutes is 180 = 0.62
    // std, above 0.5 from 12:09 to 12:14, then kept for one evaluation.
    let expected = "nnnniiiipffffffiiiii"
        .replace('n', "not_ready ")
        .replace('i', "inactive ")
        .replace('p', "pending ")
        .replace('f', "firing ");
    assert_eq!(alerts.join(" "), expected.trim_end(), "life of the alert");
    let fired: u64 = states[0]
        .transitions
        .iter()
        .map(|(_, _, count)| count)
        .sum();
    assert_eq!(fired, 2, "fired once, resolved once");
}

#[test]
fn too_few_values_alert_even_when_nothing_can_be_scored() {
    let mut spec = spec();
    spec.windows[0].min_samples = 45;
    spec.alerts = vec![AlertSpec {
        statistic: Statistic::Samples,
        thresholds: Thresholds {
            warning: Some(40.0),
            critical: Some(5.0),
        },
        budget: None,
        for_evaluations: 1,
        keep_firing_for: 0,
        features: Some(vec!["x".to_owned()]),
    }];
    spec.references
        .push(crate::moving::rolling("previous", None, Duration::ZERO));
    // No record from 12:10 to 12:18, then one record.
    let text = minutes(0, 10, 0.0) + &record(at(12, 18, 0), "5", "\"de\"") + &minutes(19, 25, 0.0);
    let (lines, states) = replay(&text, vec![plan(spec)]);
    let x: Vec<&Map<String, Value>> = of_feature(&lines, "x")
        .into_iter()
        .filter(|line| line["reference"] == "training")
        .collect();
    let seen: Vec<(String, String)> = column(&x, "samples")
        .into_iter()
        .zip(column(&x, "alert"))
        .collect();
    assert!(
        seen[..4].iter().all(|(_, alert)| alert == "not_ready"),
        "windows that were not counted whole say nothing: {seen:?}"
    );
    for (samples, alert) in &seen[4..] {
        let is_little = samples.parse::<u64>().unwrap() < 40;
        assert_eq!(alert == "firing", is_little, "{samples} samples: {alert}");
    }
    // A window of 41 values has enough for this rule and too few for a score: it was `inactive`.
    let unscored = x.iter().filter(|line| line["samples"] == 41).count();
    assert!(unscored > 0, "{seen:?}");
    for line in x.iter().filter(|line| line["samples"] == 41) {
        assert_eq!(line["alert"], "not_ready", "{line:?}");
        assert_eq!(line["reason"], "too_few_samples", "{line:?}");
    }
    let critical: u64 = states[0]
        .transitions
        .iter()
        .filter(|(severity, to, _)| severity.name() == "critical" && *to == "firing")
        .map(|(_, _, count)| count)
        .sum();
    assert_eq!(
        critical, 1,
        "the empty stretch, whatever the number of references"
    );
}

#[test]
fn too_few_samples_have_no_scores() {
    let mut spec = spec();
    spec.windows[0].min_samples = 51;
    let (lines, _) = replay(&minutes(0, 8, 0.0), vec![plan(spec)]);
    let last = *of_feature(&lines, "x").last().unwrap();
    assert_eq!(
        (last["reason"].as_str(), &last["scores"]),
        (Some("too_few_samples"), &serde_json::json!({})),
        "absent"
    );
    assert_eq!(last["verdict"], "not_ready", "verdict");
}

#[test]
fn several_windows_and_monitors_share_a_stream() {
    let mut second = spec();
    second.name = "other".to_owned();
    second.windows.push(pegel::model::WindowSpec {
        name: "2m".to_owned(),
        size: MINUTE * 2,
        slide: MINUTE * 2,
        min_samples: 1,
    });
    let (lines, _) = replay(&minutes(0, 10, 0.0), vec![plan(spec()), plan(second)]);
    let count = |monitor: &str, window: &str| {
        lines
            .iter()
            .filter(|line| {
                line["monitor"] == monitor && line["window"] == window && line["feature"] == "x"
            })
            .count()
    };
    assert_eq!(
        (
            count("data", "5m"),
            count("other", "5m"),
            count("other", "2m")
        ),
        (10, 10, 5),
        "evaluations"
    );
}

#[test]
fn a_day_of_windows_over_quarter_hours_holds_every_record() {
    let mut spec = spec();
    let slide = MINUTE * 15;
    spec.windows = vec![pegel::model::WindowSpec {
        name: "24h".to_owned(),
        size: slide * 96,
        slide,
        min_samples: 1,
    }];
    let mut text = String::new();
    for minute in 0..(26 * 60) {
        let time = EventTime::from_millis(at(0, 0, 0).as_millis() + minute * 60_000);
        writeln!(text, "{}", record(time, "500", "\"fr\"").trim_end()).unwrap();
    }
    let (lines, _) = replay(&text, vec![plan(spec)]);
    let x = of_feature(&lines, "x");
    assert_eq!(x.len(), 104, "one per quarter of an hour");
    assert_eq!(x.last().unwrap()["samples"], 24 * 60, "a whole day");
}

//! Tests of a comparison, with a fixed, a rolling and an hour-of-week reference.
//!
//! They drive the whole engine with one monitor of one feature, because the order in which a window
//! calls its comparisons is part of the behaviour.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::engine::engine::Engine;
use crate::engine::fixture::{
    MINUTE, Stream, apply, budgeted_alert, comparison, fixed, fixed_alert, hour_of_week, plan,
    plan_in, previous, read, spec, spread, states, wait,
};
use crate::engine::plan::MonitorPlan;
use crate::model::{MonitorSpec, Origin, ReferenceSpec, Rolling, Statistic};

fn reasons(views: &[ComparisonView]) -> Vec<Option<NotReady>> {
    views.iter().map(|view| view.scores.err()).collect()
}

fn js(view: &ComparisonView) -> f64 {
    view.scores.unwrap().divergences.js
}

fn samples_of_reference(view: &ComparisonView) -> u64 {
    view.reference.as_ref().unwrap().counts.tallies.values
}

fn with_alert(references: Vec<ReferenceSpec>, critical: f64) -> MonitorSpec {
    let mut spec = spec(references);
    spec.alerts = vec![fixed_alert(Statistic::Js, critical)];
    spec
}

#[test]
fn a_fixed_reference_warms_is_ready_and_becomes_stale() {
    let plan = plan(with_alert(vec![fixed()], 0.9));
    let mut engine = Engine::new(vec![plan.clone()]);
    let view = comparison(&engine, 0);
    assert_eq!(view.scores.err(), Some(NotReady::Warming), "no window yet");
    assert_eq!(view.alerts[0].threshold, Some(0.9), "a number is known");
    let views = read(&mut engine, &mut Stream::default(), &plan, 0..8, 0.0);
    assert_eq!(
        reasons(&views[1..5]),
        [Some(NotReady::Warming); 4],
        "counting began inside the first windows"
    );
    assert_eq!(reasons(&views[5..]), [None; 3], "then they are whole");
    assert_eq!(samples_of_reference(&views[7]), 1000, "the file");
    assert_eq!(states(&views[7]), ["inactive"], "below the threshold");
    wait(&mut engine, 8..12);
    let stale = comparison(&engine, 0);
    assert_eq!(stale.scores.err(), Some(NotReady::Stale), "nobody writes");
    assert!(stale.reference.is_none(), "nothing was scored");
    assert_eq!(
        (states(&stale), stale.alerts[0].value),
        (vec!["not_ready"], None),
        "nor evaluated"
    );
}

#[test]
fn a_missing_reference_is_the_reason_whatever_the_window_holds() {
    let missing = MonitorPlan::new(spec(vec![fixed()]), vec![Err("no such file".to_owned())]);
    let counted = plan(spec(vec![fixed()]));
    let mut engine = Engine::new(vec![missing]);
    let views = read(&mut engine, &mut Stream::default(), &counted, 0..8, 0.0);
    assert_eq!(reasons(&views), [Some(NotReady::NoReference); 8]);
    wait(&mut engine, 8..60);
    let stale = comparison(&engine, 0);
    assert_eq!(stale.scores.err(), Some(NotReady::NoReference));
}

#[test]
fn a_rolling_reference_holds_the_window_right_before() {
    let plan = plan(spec(vec![previous(), fixed()]));
    let mut engine = Engine::new(vec![plan.clone()]);
    let views = read(&mut engine, &mut Stream::default(), &plan, 0..12, 0.0);
    assert_eq!(
        reasons(&views[1..10]),
        [Some(NotReady::Warming); 9],
        "two windows make a comparison"
    );
    assert_eq!(reasons(&views[10..]), [None; 2]);
    assert_eq!(
        samples_of_reference(&views[11]),
        250,
        "five minutes of fifty"
    );
    assert!(js(&views[11]) < 1e-12, "the same values");
    let fixed = comparison(&engine, 1);
    assert_eq!(samples_of_reference(&fixed), 1000, "each has its own");
}

#[test]
fn a_rolling_reference_excludes_windows_that_alarm() {
    let plan = plan(with_alert(vec![previous(), fixed()], 0.2));
    let mut engine = Engine::new(vec![plan.clone()]);
    let mut stream = Stream::default();
    read(&mut engine, &mut stream, &plan, 0..15, 0.0);
    let changed = read(&mut engine, &mut stream, &plan, 15..40, 2000.0);
    let first = changed
        .iter()
        .position(|view| states(view) == ["firing"])
        .unwrap();
    assert!(
        (1..5).contains(&first),
        "while the change comes in: {first}"
    );
    let dry = reasons(&changed)
        .iter()
        .position(|reason| *reason == Some(NotReady::NoReference));
    assert!(dry.is_some(), "no window is left that did not alarm");
    let last = changed.last().unwrap();
    assert!(js(last) < 1e-12, "the change has become the reference");
    assert_eq!(states(last), ["inactive"], "and the alert ended");
    let fixed = comparison(&engine, 1);
    assert_eq!(states(&fixed), ["firing"], "a file does not follow");
}

#[test]
fn an_hour_of_week_reference_holds_the_hours_of_the_window() {
    let plan = plan(spec(vec![hour_of_week(), fixed()]));
    let mut engine = Engine::new(vec![plan.clone()]);
    let mut stream = Stream::default();
    // Low values in the even hour from 0:00, high ones in the odd hour from 1:00.
    for minute in 0..120 {
        let low = if minute < 60 { 0.0 } else { 500.0 };
        let values: Vec<f64> = (0..50).map(|i| f64::from(i) * 10.0 + low).collect();
        apply(&mut engine, &stream.minute(&plan, minute, &values));
        if minute > 5 {
            let (hourly, fixed) = (comparison(&engine, 0), comparison(&engine, 1));
            assert!(js(&hourly) < 0.02, "minute {minute}: {}", js(&hourly));
            let is_mixed = (61..65).contains(&minute);
            assert!(
                is_mixed || js(&fixed) > 0.2,
                "minute {minute}: {}",
                js(&fixed)
            );
        }
    }
    read(&mut engine, &mut stream, &plan, 127..128, 0.0);
    let empty = comparison(&engine, 0);
    assert_eq!(
        empty.scores.err(),
        Some(NotReady::Empty),
        "a gap has no hours"
    );
}

#[test]
fn windows_are_added_to_the_history_when_the_next_one_is_due() {
    let mut spec = spec(vec![fixed()]);
    spec.alerts = vec![budgeted_alert(Statistic::Js)];
    let plan = plan(spec);
    let mut engine = Engine::new(vec![plan.clone()]);
    let mut stream = Stream::default();
    let kept = |engine: &Engine| {
        let saved = engine.save();
        let histories = &saved.monitors[0].windows[0].histories;
        histories.first().map_or(0, |(_, _, history)| history.len())
    };
    let views = read(&mut engine, &mut stream, &plan, 0..6, 0.0);
    assert!(views[5].assessment.is_some(), "ready and calibrated");
    assert_eq!(kept(&engine), 0, "nothing was counted before it");
    read(&mut engine, &mut stream, &plan, 6..30, 0.0);
    assert_eq!(kept(&engine), 10, "every other end from 10 to 28");
    let drifted = read(&mut engine, &mut stream, &plan, 30..44, 2000.0);
    assert_eq!(states(&drifted[13]), ["firing"], "beyond the threshold");
    assert_eq!(kept(&engine), 10, "none that overlaps an alarm");
}

#[test]
fn the_volume_is_evaluated_against_the_first_reference_only() {
    let mut spec = spec(vec![fixed(), previous()]);
    spec.alerts = vec![fixed_alert(Statistic::Samples, 1000.0)];
    let plan = plan(spec);
    let mut engine = Engine::new(vec![plan.clone()]);
    read(&mut engine, &mut Stream::default(), &plan, 0..8, 0.0);
    let (first, second) = (comparison(&engine, 0), comparison(&engine, 1));
    assert_eq!(states(&first), ["firing"], "250 values are fewer than 1000");
    assert_eq!(first.alerts[0].value, Some(250.0));
    assert_eq!(states(&second), ["inactive"]);
    assert_eq!(second.alerts[0].threshold, None);
}

#[test]
fn a_restored_comparison_makes_the_same_evaluations() {
    let mut spec = with_alert(vec![fixed(), previous(), hour_of_week()], 0.2);
    spec.alerts.push(budgeted_alert(Statistic::Psi));
    let plan = plan(spec);
    let mut stream = Stream::default();
    let commits: Vec<_> = (0..34)
        .map(|minute| {
            let shift = if (14..22).contains(&minute) {
                400.0
            } else {
                0.0
            };
            stream.minute(&plan, minute, &spread(shift))
        })
        .collect();
    let mut engine = Engine::new(vec![plan.clone()]);
    let mut saved = vec![engine.save()];
    let mut evaluations = Vec::new();
    for commit in &commits {
        evaluations.push(format!("{:?}", apply(&mut engine, commit)));
        saved.push(engine.save());
    }
    for (position, saved) in saved.iter().enumerate().step_by(7) {
        let mut restored = Engine::new(vec![plan.clone()]);
        restored.restore(saved.clone());
        assert!(restored.save() == *saved, "restored at {position}");
        for (commit, expected) in commits.iter().zip(&evaluations).skip(position) {
            let evaluation = format!("{:?}", apply(&mut restored, commit));
            assert_eq!(evaluation, *expected, "after a restart at {position}");
        }
        assert!(restored.save() == engine.save(), "the end after {position}");
    }
}

#[test]
fn a_changed_threshold_keeps_scores_and_alert() {
    let before = plan(with_alert(vec![previous(), fixed()], 0.2));
    let mut engine = Engine::new(vec![before.clone()]);
    let mut stream = Stream::default();
    read(&mut engine, &mut stream, &before, 0..15, 0.0);
    read(&mut engine, &mut stream, &before, 15..18, 2000.0);
    let firing = comparison(&engine, 0);
    assert_eq!(states(&firing), ["firing"]);
    let after = plan(with_alert(vec![previous(), fixed()], 0.4));
    let reloaded = engine.with_monitors(vec![after]);
    let view = comparison(&reloaded, 0);
    assert_eq!(view.scores, firing.scores, "scores");
    assert_eq!(states(&view), ["firing"], "the alert");
    assert_eq!(view.alerts[0].threshold, Some(0.4), "the new threshold");
    assert_eq!(samples_of_reference(&view), samples_of_reference(&firing));
}

#[test]
fn a_removed_rule_is_dropped_and_a_new_one_starts_to_warm() {
    let before = plan(with_alert(vec![fixed()], 0.01));
    let mut engine = Engine::new(vec![before.clone()]);
    read(&mut engine, &mut Stream::default(), &before, 0..8, 2000.0);
    let mut spec = spec(vec![fixed()]);
    spec.alerts = vec![fixed_alert(Statistic::Psi, 0.1)];
    let view = comparison(&engine.with_monitors(vec![plan(spec)]), 0);
    assert!(view.scores.is_ok(), "scores stay");
    assert_eq!(states(&view), ["not_ready"], "psi has had no evaluation");
    assert!(view.alerts[0].value.is_some(), "its value is shown");
}

#[test]
fn a_changed_layout_starts_to_warm() {
    let before = plan(with_alert(vec![fixed()], 0.01));
    let after = plan_in(with_alert(vec![fixed()], 0.01), Some(8));
    let mut engine = Engine::new(vec![before.clone()]);
    let mut stream = Stream::default();
    let views = read(&mut engine, &mut stream, &before, 0..8, 2000.0);
    assert_eq!(states(&views[7]), ["firing"]);
    let mut engine = engine.with_monitors(vec![after.clone()]);
    let view = comparison(&engine, 0);
    assert_eq!(view.scores.err(), Some(NotReady::Warming));
    assert_eq!(
        states(&view),
        ["not_ready"],
        "another layout, another alert"
    );
    let views = read(&mut engine, &mut stream, &after, 8..15, 0.0);
    assert_eq!(
        reasons(&views[..5]),
        [Some(NotReady::Warming); 5],
        "its own panes"
    );
    assert_eq!(reasons(&views[5..]), [None; 2]);
}

/// The sums of windows and rolling references slide. A restored engine has none and starts from the
/// panes, so both make the same evaluations if no late count, gap or exclusion is lost.
#[test]
fn sums_that_slide_are_those_of_all_panes() {
    let mut trailing = previous();
    trailing.name = "trailing".to_owned();
    trailing.origin = Origin::Rolling(Rolling {
        period: Some(MINUTE * 7),
        delay: MINUTE * 2,
    });
    let plan = plan(with_alert(vec![previous(), trailing, fixed()], 0.1));
    let mut engine = Engine::new(vec![plan.clone()]);
    let (mut stream, mut random) = (Stream::default(), ChaCha8Rng::seed_from_u64(17));
    let (mut now, mut alarms, mut late) = (20, 0, 0);
    for step in 0..400 {
        let minute = match random.random_range(0..10) {
            0..=2 => now - random.random_range(1..12),
            3 => now + random.random_range(1..14),
            _ => now + 1,
        };
        late += usize::from(minute <= now);
        now = now.max(minute);
        let shift = if step / 25 % 3 == 1 { 700.0 } else { 0.0 };
        let values = random.random_range(0..40);
        let values: Vec<f64> = (0..values)
            .map(|_| random.random_range(0.0..900.0) + shift)
            .collect();
        let commit = stream.minute(&plan, minute, &values);
        let mut restored = Engine::new(vec![plan.clone()]);
        restored.restore(engine.save());
        let evaluations = apply(&mut engine, &commit);
        let expected = apply(&mut restored, &commit);
        assert_eq!(
            format!("{evaluations:?}"),
            format!("{expected:?}"),
            "step {step}, minute {minute}"
        );
        assert!(engine.save() == restored.save(), "step {step}");
        alarms += usize::from(states(&comparison(&engine, 0)) == ["firing"]);
    }
    assert!(alarms > 10 && late > 50, "{alarms} alarms, {late} late");
}

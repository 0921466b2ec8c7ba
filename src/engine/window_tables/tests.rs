//! Tests of null tables that come later than the windows that need them.

use crate::alert::AlertState;
use crate::engine::engine::Engine;
use crate::engine::fixture::{
    Stream, apply, at, budgeted_alert, comparison, fixed, fixed_alert, hour_of_week, plan_in,
    previous, read, spec, states,
};
use crate::engine::plan::MonitorPlan;
use crate::model::{NotReady, ReferenceSpec, Statistic};

/// A monitor with a budgeted rule whose engine leaves null tables to the test.
fn deferred(plan: &MonitorPlan) -> Engine {
    let mut engine = Engine::new(vec![plan.clone()]);
    engine.defer_null_tables();
    engine
}

fn budgeted_plan(references: Vec<ReferenceSpec>) -> MonitorPlan {
    let mut spec = spec(references);
    spec.alerts = vec![
        budgeted_alert(Statistic::Js),
        fixed_alert(Statistic::Psi, 0.5),
        budgeted_alert(Statistic::OutOfRangeRatio),
    ];
    plan_in(spec, Some(4))
}

/// Simulates what the engine waits for, and returns the transitions that followed.
fn calibrate(engine: &mut Engine) -> usize {
    let tables = engine
        .missing_tables()
        .iter()
        .map(crate::engine::TableRequest::simulate)
        .collect();
    let mut transitions = 0;
    engine.accept_tables(tables, &mut |_, window| {
        transitions += window.features[0]
            .alerts()
            .filter(|alert| alert.transition.is_some())
            .count();
    });
    transitions
}

/// The scorer's thread simulated the tables itself: nothing was counted meanwhile.
#[test]
fn rules_without_null_tables_are_warming_and_are_evaluated_once_when_they_come() {
    let plan = budgeted_plan(vec![fixed()]);
    let mut engine = deferred(&plan);
    let mut stream = Stream::default();
    let views = read(&mut engine, &mut stream, &plan, 0..8, 5000.0);
    let waiting = &views[7];
    assert!(waiting.scores.is_ok());
    let assessment = waiting.assessment.as_ref().unwrap();
    assert!(assessment.statistic(Statistic::Js).is_none(), "no table");
    let waits = AlertState::NotReady(NotReady::Calibrating);
    assert_eq!(waiting.alerts[0].state, waits, "the budgeted rule");
    assert_eq!(states(waiting)[1], "firing", "a number needs no table");
    assert_eq!(states(waiting)[2], "firing", "a rate needs no table");
    let mut simulating = Engine::new(vec![plan.clone()]);
    let at_once = read(&mut simulating, &mut Stream::default(), &plan, 0..8, 5000.0);

    assert_eq!(calibrate(&mut engine), 1, "it fires, and is reported once");
    assert_eq!(calibrate(&mut engine), 0, "the window is evaluated already");
    assert!(engine.missing_tables().is_empty());
    let calibrated = comparison(&engine, 0);
    assert_eq!(calibrated.assessment, at_once[7].assessment, "bit for bit");
    assert_eq!(states(&calibrated), states(&at_once[7]));
    let next = read(&mut engine, &mut stream, &plan, 8..9, 5000.0);
    assert_eq!(states(&next[0]), ["firing"; 3], "no gap follows");
}

/// A restart and a reload simulated every table again, one after the other.
#[test]
fn simulated_tables_survive_a_restart_and_a_reload() {
    let references = || vec![fixed(), previous(), hour_of_week()];
    let plan = budgeted_plan(references());
    let mut engine = deferred(&plan);
    let mut stream = Stream::default();
    read(&mut engine, &mut stream, &plan, 0..15, 0.0);
    assert!(!engine.missing_tables().is_empty(), "nothing is stored");
    calibrate(&mut engine);
    let assessments = |engine: &Engine| -> Vec<_> {
        (0..3)
            .map(|reference| comparison(engine, reference).assessment)
            .collect()
    };
    let before = assessments(&engine);
    assert!(before.iter().all(Option::is_some), "all are calibrated");

    let mut restarted = deferred(&budgeted_plan(references()));
    restarted.restore(engine.save());
    assert!(restarted.missing_tables().is_empty(), "after a restart");
    assert_eq!(assessments(&restarted), before);
    assert!(restarted.save() == engine.save(), "nothing is lost");

    let reloaded = engine.with_monitors(vec![budgeted_plan(references())]);
    assert!(reloaded.missing_tables().is_empty(), "after a reload");
    assert_eq!(assessments(&reloaded), before);
}

/// A restart while tables are made must neither lose nor repeat the evaluation of the window.
#[test]
fn a_restart_between_a_window_and_its_tables_keeps_the_evaluation() {
    let plan = budgeted_plan(vec![fixed()]);
    let mut engine = deferred(&plan);
    read(&mut engine, &mut Stream::default(), &plan, 0..8, 5000.0);
    let mut restarted = deferred(&plan);
    restarted.restore(engine.save());
    assert_eq!(calibrate(&mut restarted), 1, "it fires now");
    assert_eq!(states(&comparison(&restarted, 0)), ["firing"; 3]);

    let mut later = deferred(&plan);
    let mut saved = restarted.save();
    saved.null_tables.clear();
    later.restore(saved);
    let waiting = comparison(&later, 0);
    assert_eq!(states(&waiting), ["firing"; 3], "a firing alert holds");
    assert_eq!(calibrate(&mut later), 0, "this window was evaluated before");
    assert!(comparison(&later, 0).assessment.is_some(), "and is shown");
}

#[test]
fn a_window_with_too_few_values_needs_no_tables() {
    let mut spec = budgeted_plan(vec![fixed()]).spec.as_ref().clone();
    spec.windows[0].min_samples = 1000;
    let plan = plan_in(spec, Some(4));
    let mut engine = deferred(&plan);
    read(&mut engine, &mut Stream::default(), &plan, 0..8, 0.0);
    assert!(engine.missing_tables().is_empty());
}

/// The mean score without drift, by the null model in force.
fn noise_floor(engine: &Engine) -> f64 {
    let assessment = comparison(engine, 0).assessment.unwrap();
    assessment.statistic(Statistic::Js).unwrap().noise_floor
}

/// Every rule against a rolling reference was blind once a day, while its tables were made again.
#[test]
fn a_rolling_reference_is_judged_by_its_old_tables_until_the_new_ones_come() {
    let plan = budgeted_plan(vec![previous(), fixed()]);
    let mut engine = deferred(&plan);
    let mut stream = Stream::default();
    read(&mut engine, &mut stream, &plan, 0..12, 0.0);
    assert!(engine.calibration_progress().is_some(), "the first tables");
    calibrate(&mut engine);
    read(&mut engine, &mut stream, &plan, 12..13, 0.0);
    calibrate(&mut engine);
    let (first_floor, first_tables) = (noise_floor(&engine), engine.save().null_tables.len());

    const DAY: i64 = 1440;
    for minute in 13..DAY + 20 {
        let view = read(&mut engine, &mut stream, &plan, minute..minute + 1, 0.0);
        assert_eq!(states(&view[0]), ["inactive"; 3], "minute {minute}");
        assert!(!view[0].awaits_thresholds, "minute {minute}");
        assert_eq!(engine.calibration_progress(), None, "minute {minute}");
    }
    assert!(!engine.missing_tables().is_empty(), "a day has passed");
    let restarted = {
        let mut restarted = deferred(&plan);
        restarted.restore(engine.save());
        restarted
    };
    assert_eq!(restarted.calibration_progress(), None, "after a restart");
    assert!((noise_floor(&engine) - first_floor).abs() < 1e-12, "old");
    calibrate(&mut engine);
    read(&mut engine, &mut stream, &plan, DAY + 20..DAY + 22, 0.0);
    assert!((noise_floor(&engine) - first_floor).abs() > 1e-12, "new");
    calibrate(&mut engine);
    assert!(engine.missing_tables().is_empty());
    assert_eq!(
        engine.save().null_tables.len(),
        first_tables,
        "the old tables are dropped"
    );
}

/// A batch has the tables of a renewed null model at once, as before.
#[test]
fn a_batch_renews_a_null_model_in_the_window_that_is_due() {
    let plan = budgeted_plan(vec![previous(), fixed()]);
    let mut engine = Engine::new(vec![plan.clone()]);
    let mut stream = Stream::default();
    read(&mut engine, &mut stream, &plan, 0..12, 0.0);
    // The null model is made for the first window with a whole reference, which ends at minute 10.
    const RENEWED: i64 = 10 + 1440;
    read(&mut engine, &mut stream, &plan, 12..RENEWED, 0.0);
    let before = noise_floor(&engine);
    read(&mut engine, &mut stream, &plan, RENEWED..RENEWED + 1, 0.0);
    assert!((noise_floor(&engine) - before).abs() > 1e-12, "renewed");
}

/// Each hour of the week began blind.
#[test]
fn the_tables_of_an_hour_are_requested_before_it_begins() {
    let plan = budgeted_plan(vec![hour_of_week()]);
    let mut engine = deferred(&plan);
    let mut stream = Stream::default();
    read(&mut engine, &mut stream, &plan, 0..7, 0.0);
    calibrate(&mut engine);
    let mut tables = Vec::new();
    for minute in 7..6 * 60 {
        let low = if minute / 60 % 2 == 0 { 0.0 } else { 500.0 };
        let values: Vec<f64> = (0..50).map(|i| f64::from(i) * 10.0 + low).collect();
        apply(&mut engine, &stream.minute(&plan, minute, &values));
        let view = comparison(&engine, 0);
        assert!(!view.awaits_thresholds, "minute {minute}");
        assert_eq!(engine.calibration_progress(), None, "minute {minute}");
        calibrate(&mut engine);
        tables.push(engine.save().null_tables.len());
    }
    // Three sizes around 250 values, of the hour in force, the next one, and the two before.
    let most = tables.iter().max().unwrap();
    assert!(
        *most <= 12,
        "snapshots hold the tables of four hours: {most}"
    );
}

/// A fixed reference has no tables for windows of this many values, and makes them when they come.
fn read_many(
    engine: &mut Engine,
    stream: &mut Stream,
    plan: &MonitorPlan,
    minute: i64,
    shift: f64,
) {
    let values: Vec<f64> = (0..1500).map(|i| f64::from(i) / 1.5 + shift).collect();
    apply(engine, &stream.minute(plan, minute, &values));
}

/// The snapshot did not say that the evaluation of a firing alert was to be made up for: after a
/// restart the alert fired on although its score was back to normal.
#[test]
fn a_restart_keeps_the_evaluation_that_a_firing_alert_waits_for() {
    let plan = budgeted_plan(vec![fixed()]);
    let mut engine = deferred(&plan);
    let mut stream = Stream::default();
    read(&mut engine, &mut stream, &plan, 0..8, 5000.0);
    assert_eq!(calibrate(&mut engine), 1, "it fires");
    for minute in 8..13 {
        read_many(&mut engine, &mut stream, &plan, minute, 0.0);
    }
    let waiting = comparison(&engine, 0);
    assert!(waiting.awaits_thresholds, "for a window of another size");
    assert_eq!(states(&waiting)[0], "firing", "held meanwhile");
    assert!(waiting.alerts[0].since.is_some());

    let mut later = deferred(&plan);
    later.restore(engine.save());
    assert!(comparison(&later, 0).awaits_thresholds, "still");
    assert_eq!(comparison(&later, 0).alerts, waiting.alerts);
    assert_eq!(calibrate(&mut later), 1, "it resolves once");
    assert_eq!(states(&comparison(&later, 0))[0], "inactive");

    // While a log is read, missing tables are simulated at once.
    let mut at_once = Engine::new(vec![plan.clone()]);
    at_once.restore(engine.save());
    assert_eq!(calibrate(&mut at_once), 1, "reported after the restart");
    assert_eq!(states(&comparison(&at_once, 0))[0], "inactive");
    assert_eq!(calibrate(&mut at_once), 0, "and only once");
}

/// The evaluation was dropped without a word when the next window was due.
#[test]
fn a_window_whose_tables_come_too_late_was_not_ready() {
    let mut spec = budgeted_plan(vec![fixed()]).spec.as_ref().clone();
    spec.alerts[0].for_evaluations = 4;
    let plan = plan_in(spec, Some(4));
    let mut engine = deferred(&plan);
    let mut stream = Stream::default();
    read(&mut engine, &mut stream, &plan, 0..6, 5000.0);
    calibrate(&mut engine);
    let pending = read(&mut engine, &mut stream, &plan, 6..7, 5000.0);
    assert_eq!(states(&pending[0])[0], "pending", "twice beyond");
    // The window that ends with minute 7 does not hold it yet: three times beyond.
    read_many(&mut engine, &mut stream, &plan, 7, 5000.0);
    for minute in 8..11 {
        read_many(&mut engine, &mut stream, &plan, minute, 5000.0);
        let waiting = comparison(&engine, 0);
        let waits = AlertState::NotReady(NotReady::Calibrating);
        assert_eq!(waiting.alerts[0].state, waits, "minute {minute}");
        assert_eq!(states(&waiting)[1..], ["firing"; 2], "the others go on");
    }
    calibrate(&mut engine);
    let view = comparison(&engine, 0);
    assert_eq!(states(&view)[0], "pending", "it starts again");
    assert_eq!(view.alerts[0].since, Some(at(10)), "with this window");
}

/// A start whose log needs tables simulated them one window after the other.
#[test]
fn tables_that_are_collected_from_a_log_and_simulated_ahead_change_nothing() {
    let references = || vec![fixed(), previous(), hour_of_week()];
    let read_log = |engine: &mut Engine, plan: &MonitorPlan| {
        read(engine, &mut Stream::default(), plan, 0..15, 5000.0);
    };
    let plan = budgeted_plan(references());
    let mut at_once = Engine::new(vec![plan.clone()]);
    read_log(&mut at_once, &plan);

    let plan = budgeted_plan(references());
    let mut scout = Engine::new(vec![plan.clone()]);
    scout.collect_null_tables();
    read_log(&mut scout, &plan);
    let requests = scout.take_collected_tables();
    assert!(requests.len() > 2, "of all references and windows");
    let tables = requests
        .iter()
        .map(crate::engine::TableRequest::simulate)
        .collect();

    let plan = budgeted_plan(references());
    let mut again = Engine::new(vec![plan.clone()]);
    again.use_null_tables(tables);
    again.collect_null_tables();
    read_log(&mut again, &plan);
    assert!(again.take_collected_tables().is_empty(), "none is missing");
    assert!(again.save() == at_once.save(), "the same state");
}

//! What a changed configuration keeps, and what it begins anew: by ids and names, never by places.

use std::sync::Arc;
use std::time::Duration;

use pegel::engine::{Engine, MonitorPlan};
use pegel::ingest::observer_plan;
use pegel::model::{MonitorSpec, NotReady, Pointer, Severity, WindowSpec};
use pegel::pane_log::HeadLookup;
use pegel::panes::Commit;

use crate::restart::{Owner, alert, restored, saved, watched};
use crate::support::{MINUTE, at, plan, reference_in};

/// The minute at which the configuration changes.
const CHANGE: i64 = 12;

/// An evaluation of a feature: minute of the window's end, and why there is no score.
type Evaluations = Vec<(i64, Option<NotReady>)>;

/// Reads the minutes of a partition from the engine's head on, and applies what was counted.
fn read_on(
    engine: &mut Engine,
    counts: &MonitorPlan,
    minutes: std::ops::Range<i64>,
    of: (&str, &str),
) -> Evaluations {
    let mut owner = Owner::new(counts);
    let head_lookup = HeadLookup::resolved(&engine.log().heads);
    owner.ingest = owner.ingest.with_head_lookup(Arc::new(head_lookup));
    owner.open(minutes.start * 10);
    minutes.for_each(|minute| owner.minute(0, minute));
    let commits = owner.commits.iter();
    commits
        .flat_map(|commit| evaluate(engine, commit, of))
        .collect()
}

fn evaluate(engine: &mut Engine, commit: &Commit, (feature, window): (&str, &str)) -> Evaluations {
    engine.apply(commit).unwrap();
    let mut found = Vec::new();
    engine.advance(0, &mut |plan, state| {
        let place = plan.features.iter().position(|plan| plan.name == feature);
        if plan.spec.windows[state.index].name == window {
            let scores = state.features[place.unwrap()].comparisons[0].scores;
            let minute = state.end.unwrap().since(at(12, 0, 0)).as_secs() / 60;
            found.push((i64::try_from(minute).unwrap(), scores.err()));
        }
    });
    found
}

/// Twelve minutes with the first plan, a restart, and as many with the second; the evaluations of a feature after the restart.
fn changed(before: MonitorSpec, after: &MonitorPlan, of: (&str, &str)) -> Evaluations {
    let before = plan(before);
    let mut engine = Engine::new(vec![before.clone()]);
    read_on(&mut engine, &before, 0..CHANGE, of);
    let mut engine = restored(&saved(&engine), after.clone());
    read_on(&mut engine, after, CHANGE..CHANGE + 14, of)
}

/// Minutes of window ends without a score, all for this reason.
fn minutes(evaluations: &Evaluations, reason: NotReady) -> Vec<i64> {
    let not_ready = evaluations.iter().filter(|(_, found)| found.is_some());
    let all: Vec<_> = not_ready.copied().collect();
    assert!(
        all.iter().all(|(_, found)| *found == Some(reason)),
        "{all:?} are not all {reason:?}"
    );
    all.into_iter().map(|(minute, _)| minute).collect()
}

#[test]
fn a_changed_threshold_keeps_windows_and_alerts() {
    let plain = plan(watched());
    let mut engine = Engine::new(vec![plain.clone()]);
    read_on(&mut engine, &plain, 0..CHANGE, ("x", "5m"));
    let mut spec = watched();
    spec.alerts = vec![alert(0.25)];
    let changed = restored(&saved(&engine), plan(spec));
    let (before, after) = (engine.view(), changed.view());
    let (before, after) = (&before.monitors[0], &after.monitors[0]);
    assert_eq!(before.transitions, after.transitions, "transitions");
    assert_eq!(
        (before.events, before.evaluations),
        (after.events, after.evaluations),
        "totals"
    );
    for (before, after) in before.windows.iter().zip(&after.windows) {
        assert_eq!(before.end, after.end, "window end");
        let (before, after) = (&before.features[0], &after.features[0]);
        assert_eq!(before.counts, after.counts, "counts");
        let scores = |feature: &pegel::engine::WindowFeatureView| -> Vec<_> {
            feature
                .comparisons
                .iter()
                .map(|comparison| comparison.scores)
                .collect()
        };
        assert_eq!(scores(before), scores(after), "scores");
        let states = |scores: &pegel::engine::WindowFeatureView| -> Vec<_> {
            scores.comparisons[0]
                .alerts
                .iter()
                .map(|line| (line.severity, line.value, line.state))
                .collect()
        };
        assert_eq!(states(before), states(after), "alerts");
    }
    let firing = &after.windows[0].features[0].comparisons[0].alerts;
    let critical = firing
        .iter()
        .find(|line| line.severity == Severity::Critical)
        .unwrap();
    assert_eq!(
        (critical.state.name(), critical.threshold),
        ("firing", Some(0.25)),
        "fires on, by the new line"
    );
}

#[test]
fn a_reload_keeps_what_a_restart_keeps_and_loses_no_record() {
    let before = plan(watched());
    let after = MonitorPlan::new(watched(), vec![Ok(reference_in(Some(8)))]);
    let mut owner = Owner::new(&before);
    owner.open(0);
    (0..CHANGE).for_each(|minute| owner.minute(0, minute));
    owner
        .ingest
        .switch_plan(observer_plan("data", &[Arc::new(after.clone())]));
    (CHANGE..CHANGE + 14).for_each(|minute| owner.minute(0, minute));
    let (old, new) = owner.commits.split_at(usize::try_from(CHANGE * 2).unwrap());
    let mut engine = Engine::new(vec![before.clone()]);
    old.iter()
        .for_each(|commit| drop(evaluate(&mut engine, commit, ("x", "5m"))));
    let mut engine = engine.with_monitors(vec![after.clone()]);
    let mut x = Evaluations::new();
    for commit in new {
        x.extend(evaluate(&mut engine, commit, ("x", "5m")));
    }
    assert_eq!(
        x,
        changed(watched(), &after, ("x", "5m")),
        "as after a restart"
    );
    let state = &engine.view().monitors[0];
    let dropped: u64 = state.dropped.iter().map(|(_, count)| count).sum();
    let source = &engine.view().sources[0];
    assert_eq!(state.events + dropped, source.decoded, "every record once");
    let errors: u64 = source.decode_errors.iter().map(|(_, count)| count).sum();
    let read = source.decoded + errors + source.tombstones;
    assert_eq!(
        read,
        u64::try_from((CHANGE + 14) * 10).unwrap(),
        "all of them"
    );
}

#[test]
fn other_edges_warm_beside_what_is_kept() {
    let after = MonitorPlan::new(watched(), vec![Ok(reference_in(Some(8)))]);
    assert_ne!(
        plan(watched()).features[0].id,
        after.features[0].id,
        "another layout"
    );
    let x = changed(watched(), &after, ("x", "5m"));
    // A window of five minutes is covered to nine tenths once all of its panes are.
    let expected: Vec<i64> = (CHANGE..CHANGE + 5).collect();
    assert_eq!(minutes(&x, NotReady::Warming), expected, "x warms: {x:?}");
    let c = changed(watched(), &after, ("c", "5m"));
    assert_eq!(
        minutes(&c, NotReady::Warming),
        [] as [i64; 0],
        "c goes on: {c:?}"
    );
}

#[test]
fn another_path_warms_and_keeps_nothing_of_the_old_one() {
    let mut spec = watched();
    spec.features[0].path = Pointer::parse("/y");
    let (old, new) = (plan(watched()), plan(spec));
    let x = changed(watched(), &new, ("x", "5m"));
    let expected: Vec<i64> = (CHANGE..CHANGE + 5).collect();
    assert_eq!(minutes(&x, NotReady::Warming), expected, "x warms: {x:?}");
    let mut engine = Engine::new(vec![old.clone()]);
    read_on(&mut engine, &old, 0..CHANGE, ("x", "5m"));
    let restored = restored(&saved(&engine), new);
    let [x, c] = &restored.view().monitors[0].features[..] else {
        panic!("two features");
    };
    assert_eq!(x.tallies.events(), 0, "x begins with nothing");
    assert!(
        c.tallies.events() > 80,
        "c keeps its counts: {:?}",
        c.tallies
    );
}

#[test]
fn a_longer_window_warms_until_its_panes_are_kept() {
    let mut spec = watched();
    spec.windows.truncate(1);
    let short = spec.clone();
    spec.windows[0].size = MINUTE * 10;
    let found = changed(short, &plan(spec), ("x", "5m"));
    let warming = minutes(&found, NotReady::Warming);
    // At minute 12 the ring of the short window holds five or six minutes; nine of ten are enough.
    assert_eq!(warming, [12, 13, 14, 15], "of {found:?}");
}

#[test]
fn a_new_slide_that_no_kept_pane_fits_warms() {
    let window = |name: &str, minutes: u32, slide: u32| WindowSpec {
        name: name.to_owned(),
        size: MINUTE * minutes,
        slide: MINUTE * slide,
        min_samples: 1,
    };
    let (mut before, mut after) = (watched(), watched());
    before.windows = vec![window("even", 4, 2), window("third", 6, 3)];
    after.windows = vec![window("5m", 5, 1)];
    assert_eq!(
        before.pane_width(),
        after.pane_width(),
        "the observer's panes stay"
    );
    let found = changed(before, &plan(after), ("x", "5m"));
    // Counts up to the change lie in panes of two and three minutes, in which no minute can be found.
    let warming = minutes(&found, NotReady::Warming);
    assert!(warming.contains(&13) && warming.contains(&15), "{found:?}");
    assert_eq!(found.last().unwrap().1, None, "then it is ready: {found:?}");
}

#[test]
fn writers_of_two_configurations_leave_holes_where_one_did_not_count() {
    let mut spec = watched();
    spec.features[0].path = Pointer::parse("/y");
    let (old, new) = (plan(watched()), plan(spec));
    let reasons = |feature: &str| {
        let mut engine = Engine::new(vec![old.clone()]);
        let of = (feature, "5m");
        read_on(&mut engine, &old, 0..7, of);
        let first = read_on(&mut engine, &new, 7..9, of);
        let back = read_on(&mut engine, &old, 9..20, of);
        [first, back].concat()
    };
    let x = reasons("x");
    // Not counted: minutes 7 and 8, and what may be out of order before: the hole begins in minute 6 and ends in minute 9.
    let expected: Vec<i64> = (7..15).collect();
    assert_eq!(
        minutes(&x, NotReady::Partial),
        expected,
        "x has a hole: {x:?}"
    );
    let c = reasons("c");
    assert_eq!(
        minutes(&c, NotReady::Partial),
        [] as [i64; 0],
        "both count c: {c:?}"
    );
}

#[test]
fn a_restart_with_other_lateness_keeps_the_windows() {
    let mut spec = watched();
    spec.lateness.out_of_orderness = Duration::from_secs(60);
    let found = changed(watched(), &plan(spec), ("x", "5m"));
    assert_eq!(
        minutes(&found, NotReady::Warming),
        [] as [i64; 0],
        "{found:?}"
    );
}

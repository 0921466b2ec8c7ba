//! The alert on the number of events of a window.
//!
//! A stream that loses half of its records looks the same to every feature, so the number of events
//! belongs to the window: it is judged once, and not per feature and reference. It is the one
//! quantity that an empty window has, so it is judged there too, as soon as the window was counted.

use std::time::Duration;

use super::counters::TransitionCounts;
use super::plan::{Rule, ThresholdSource};
use super::rule_state::alert_view;
use super::snapshot::VolumeSnapshot;
use super::view::AlertView;
use crate::alert::{Alert, AlertState, AlertTiming, Threshold};
use crate::model::{AlertSpec, Budget, EventTime, NotReady, Statistic, VolumeSpec};
use crate::window::Due;

/// The alert on the number of events, with its state.
#[derive(Debug)]
pub(super) struct VolumeState {
    rule: Rule,
    threshold: Threshold,
    alert: Alert,
    events: Option<u64>,
    /// Start of the slide with the first event ever; `None` before it.
    begins: Option<EventTime>,
    view: AlertView,
}

impl VolumeState {
    /// The alert before the first window.
    pub(super) fn new(spec: VolumeSpec) -> Self {
        let min_events = spec.min_events as f64;
        let rule = Rule {
            statistic: Statistic::Samples,
            severity: Budget::DEFAULT.severity,
            threshold_source: ThresholdSource::Fixed(min_events),
            timing: AlertTiming {
                for_evaluations: AlertSpec::DEFAULT_FOR,
                keep_firing_for: AlertSpec::DEFAULT_KEEP_FIRING_FOR,
            },
        };
        let threshold = rule.fixed_threshold(min_events);
        let state = AlertState::NotReady(NotReady::Warming);
        VolumeState {
            rule,
            threshold,
            alert: Alert::default(),
            events: None,
            begins: None,
            view: alert_view(&rule, Some(&threshold), None, state),
        }
    }

    /// The events of a window, or the reason why their number says nothing; `incomplete` is the one
    /// that follows from its coverage.
    ///
    /// A window that begins before the first event ever is warming: a stream that starts has few
    /// events in it, although the empty topic was read all the time.
    pub(super) fn observe(
        &mut self,
        events: u64,
        due: Due,
        slide: Duration,
        incomplete: Option<NotReady>,
    ) -> Result<u64, NotReady> {
        if events > 0 && self.begins.is_none() {
            self.begins = Some(due.end.minus(slide));
        }
        match incomplete {
            Some(reason) => Err(reason),
            None if self.begins.is_none_or(|begins| due.start < begins) => Err(NotReady::Warming),
            None => Ok(events),
        }
    }

    /// Compares the events of a window that ends at `end` with the minimum, and advances the alert
    /// by one evaluation.
    pub(super) fn evaluate(
        &mut self,
        events: Result<u64, NotReady>,
        end: Option<EventTime>,
        is_paused: bool,
        transitions: &mut TransitionCounts,
    ) {
        let value = events.map(|events| events as f64);
        let (state, transition) =
            self.alert
                .step(value, Some(&self.threshold), &self.rule.timing, is_paused);
        if let Some(transition) = transition {
            transitions.record(self.rule.severity, transition);
        }
        let since = match state {
            AlertState::Pending | AlertState::Firing => self.view.since.or(end),
            AlertState::Inactive | AlertState::NotReady(_) => None,
        };
        self.show(events.ok(), state);
        (self.view.transition, self.view.since) = (transition, since);
    }

    fn show(&mut self, events: Option<u64>, state: AlertState) {
        self.events = events;
        let value = events.map(|events| events as f64);
        self.view = alert_view(&self.rule, Some(&self.threshold), value, state);
    }

    /// Drops the transition of the latest evaluation, which was reported.
    pub(super) fn forget_transition(&mut self) {
        self.view.transition = None;
    }

    pub(super) const fn view(&self) -> &AlertView {
        &self.view
    }

    /// The state to save.
    pub(super) fn save(&self) -> VolumeSnapshot {
        VolumeSnapshot {
            alert: self.alert,
            state: self.view.state,
            since: self.view.since,
            events: self.events,
            begins: self.begins,
        }
    }

    /// Continues from the state of an earlier process.
    pub(super) fn restore(&mut self, saved: VolumeSnapshot) {
        self.alert = saved.alert;
        self.begins = saved.begins;
        self.show(saved.events, saved.state);
        self.view.since = saved.since;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::engine::Engine;
    use crate::engine::fixture::{Stream, apply, at, fixed, plan, spec, spread, wait};
    use crate::model::FeatureSpec;
    use crate::model::Kind;

    /// A monitor of five-minute windows that expects 200 events in each.
    fn monitor() -> crate::model::MonitorSpec {
        let mut spec = spec(vec![fixed()]);
        spec.volume = Some(VolumeSpec { min_events: 200 });
        spec
    }

    fn volume(engine: &Engine) -> (AlertState, Option<f64>) {
        let view = engine.view().monitors[0].windows[0].volume.unwrap();
        (view.state, view.value)
    }

    /// Volume could only be asked of single features, which all fired together.
    #[test]
    fn too_few_events_are_one_alert_of_the_window() {
        let plan = plan(monitor());
        let mut engine = Engine::new(vec![plan.clone()]);
        let mut stream = Stream::default();
        for minute in 0..12 {
            let few = spread(0.0)[..5].to_vec();
            let values = if minute < 6 { spread(0.0) } else { few };
            apply(&mut engine, &stream.minute(&plan, minute, &values));
            // The window ends where this minute begins.
            let full =
                u32::try_from((minute - 5..minute).filter(|past| *past < 6).count()).unwrap();
            let events = 50 * full + 5 * (5 - full);
            let expected = match minute {
                0..5 => (AlertState::NotReady(NotReady::Warming), None),
                _ if events < 200 => (AlertState::Firing, Some(f64::from(events))),
                _ => (AlertState::Inactive, Some(f64::from(events))),
            };
            assert_eq!(volume(&engine), expected, "minute {minute}");
        }
        let view = engine.view();
        let fired: u64 = view.monitors[0].transitions.iter().map(|(_, _, n)| n).sum();
        assert_eq!(fired, 1, "once");
        let alert = view.monitors[0].windows[0].volume.unwrap();
        assert_eq!(alert.since, Some(at(8)), "the first such window");
        assert_eq!(alert.lower_threshold(), Some(200.0));
        assert_eq!(alert.upper_threshold(), None, "never above");
        let mut restarted = Engine::new(vec![plan]);
        restarted.restore(engine.save());
        assert_eq!(volume(&restarted), volume(&engine), "after a restart");
    }

    /// The first windows of a new stream begin before it: each start of a topic that was read
    /// empty was an alarm.
    #[test]
    fn a_stream_that_begins_is_not_too_few_events() {
        let plan = plan(monitor());
        let mut engine = Engine::new(vec![plan.clone()]);
        let mut stream = Stream::default();
        for minute in 0..20 {
            let values = match minute {
                0..7 => Vec::new(),
                7..15 => spread(0.0),
                _ => spread(0.0)[..5].to_vec(),
            };
            apply(&mut engine, &stream.minute(&plan, minute, &values));
            if minute == 10 {
                let saved = engine.save();
                engine = Engine::new(vec![plan.clone()]);
                engine.restore(saved);
            }
            let expected = match minute {
                0..12 => AlertState::NotReady(NotReady::Warming),
                12..17 => AlertState::Inactive,
                _ => AlertState::Firing,
            };
            assert_eq!(volume(&engine).0, expected, "minute {minute}");
        }
    }

    /// A stream that stops altogether is the extreme case of too few events.
    #[test]
    fn a_volume_alert_fires_through_a_silence() {
        let plan = plan(monitor());
        let mut engine = Engine::new(vec![plan.clone()]);
        let mut stream = Stream::default();
        for minute in 0..30 {
            let values = if minute < 8 { spread(0.0) } else { Vec::new() };
            let mut commit = stream.minute(&plan, minute, &values);
            commit.monitors.retain(|counts| counts.events > 0);
            commit.read_time = commit.written_at;
            apply(&mut engine, &commit);
        }
        let view = engine.view();
        assert_eq!(view.monitors[0].silent_since, Some(at(8)));
        assert_eq!(volume(&engine), (AlertState::Firing, Some(0.0)));
        let fired: u64 = view.monitors[0].transitions.iter().map(|(_, _, n)| n).sum();
        assert_eq!(fired, 1, "once");
        wait(&mut engine, 30..90);
        assert_eq!(volume(&engine).0, AlertState::Firing, "nobody reads");
    }

    /// Its reason was `stale` in a silent monitor, as if its windows were late.
    #[test]
    fn a_volume_that_nobody_counts_is_not_ready_because_of_the_silence() {
        let plan = plan(monitor());
        let mut engine = Engine::new(vec![plan.clone()]);
        let mut stream = Stream::default();
        for minute in 0..8 {
            apply(&mut engine, &stream.minute(&plan, minute, &spread(0.0)));
        }
        wait(&mut engine, 8..30);
        let silent = AlertState::NotReady(NotReady::Silent);
        assert_eq!(volume(&engine), (silent, None));
    }

    /// The events of a monitor are counted over all of its life, those of a new feature are not.
    #[test]
    fn a_new_feature_does_not_make_the_volume_warm_again() {
        let before = plan(monitor());
        let mut engine = Engine::new(vec![before.clone()]);
        let mut stream = Stream::default();
        for minute in 0..8 {
            apply(&mut engine, &stream.minute(&before, minute, &spread(0.0)));
        }
        let mut spec = monitor();
        spec.features.push(FeatureSpec::new("y", Kind::Numeric));
        let after = plan(spec);
        let mut engine = engine.with_monitors(vec![after.clone()]);
        apply(&mut engine, &stream.minute(&after, 8, &spread(0.0)));
        assert_eq!(volume(&engine), (AlertState::Inactive, Some(250.0)));
    }
}

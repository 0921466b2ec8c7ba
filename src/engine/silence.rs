//! Silence of a monitor: no event was counted for a long time.
//!
//! A stream that stops leaves windows empty, and empty windows have no score, so nothing else would
//! say so. Silence is decided in the time of the log. It begins in one of two ways: every shard was
//! read to its end for long enough without an event, or nothing was read for as long. Between the
//! two lies a reader that lags: what it has not read yet may hold events, so it is not silent.
//!
//! Only an event ends a silence. Its state is saved, so a restart neither hides nor invents one. An
//! input without arrival times (a file) has no silence: a gap between its events is data.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::view::WindowView;
use crate::model::EventTime;

/// A gap without any commit after which its writers are taken to have stopped: three heartbeats. A
/// shard that was read further back than this is behind.
pub(super) const MAX_GAP: Duration = Duration::from_secs(90);

/// The latest event of a monitor, and whether it is silent since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Silence {
    /// Log time of the latest commit with an event, or of the first commit.
    heard_at: Option<EventTime>,
    /// Time up to which the shard of that commit was read.
    read_time: Option<EventTime>,
    /// Log time since which commits come without a gap.
    written_since: Option<EventTime>,
    /// Time of the newest event counted.
    newest_event: Option<EventTime>,
    is_silent: bool,
    /// The latest time at which the monitor was found silent.
    confirmed_at: Option<EventTime>,
}

/// The state of reading that decides whether a monitor is silent.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadingState {
    /// The time of the log, or wall time where nobody writes.
    pub(super) now: EventTime,
    /// Time up to which every shard was read; `None` where that is not known.
    pub(super) read_up_to: Option<EventTime>,
    /// Log time at which reading last went on.
    pub(super) advanced_at: Option<EventTime>,
    /// Time at which this process began to wait, where the wall clock decides.
    pub(super) started_at: Option<EventTime>,
}

impl Silence {
    /// Takes a commit of the monitor's source; `events` are the monitor's events in it, with the
    /// time of the newest, and `before` is the time of the log before it. Returns true if a silence
    /// has ended.
    fn take_commit(
        &mut self,
        written_at: Option<EventTime>,
        read_time: Option<EventTime>,
        events: Option<EventTime>,
        before: Option<EventTime>,
    ) -> bool {
        self.newest_event = self.newest_event.max(events);
        let Some(at) = written_at else {
            return false;
        };
        // A clock that was set back, or writers that were stopped.
        let has_gap =
            before.is_none_or(|before| at >= before.plus(MAX_GAP) || at.plus(MAX_GAP) <= before);
        if has_gap {
            self.written_since = Some(at);
        }
        if events.is_none() && self.heard_at.is_some() {
            self.heard_at = self.heard_at.min(Some(at));
            self.read_time = self.read_time.min(Some(at));
            return false;
        }
        self.heard_at = Some(at);
        self.read_time = read_time.filter(|_| events.is_some()).or(Some(at));
        events.is_some() && std::mem::take(&mut self.is_silent)
    }

    /// Returns true if a silence of this length has begun.
    fn update(&mut self, state: &ReadingState, silence: Duration) -> bool {
        if self.is_silent {
            self.confirmed_at = self.confirmed_at.max(Some(state.now));
            return false;
        }
        let Some(heard_at) = self.heard_at else {
            return false;
        };
        let is_read = state
            .read_up_to
            .zip(self.read_time)
            .is_some_and(|(up_to, since)| {
                up_to >= since.plus(silence) && state.now <= up_to.plus(MAX_GAP)
            });
        let unread_since = [state.advanced_at, self.written_since, state.started_at]
            .into_iter()
            .flatten()
            .filter(|at| *at <= state.now)
            .fold(heard_at, EventTime::max);
        self.is_silent = is_read || state.now >= unread_since.plus(silence);
        self.confirmed_at = self.is_silent.then_some(state.now);
        self.is_silent
    }

    /// Ends a silence that is shorter than a changed configuration asks for.
    fn limit(&mut self, silence: Duration) {
        let is_long = self
            .confirmed_at
            .zip(self.quiet_since())
            .is_some_and(|(confirmed_at, since)| confirmed_at >= since.plus(silence));
        self.is_silent &= is_long;
    }

    fn since(&self) -> Option<EventTime> {
        self.quiet_since().filter(|_| self.is_silent)
    }

    /// The time up to which there were events. A backlog is written long after it arrived.
    fn quiet_since(&self) -> Option<EventTime> {
        match (self.heard_at, self.read_time) {
            (Some(heard_at), Some(read_time)) => Some(heard_at.min(read_time)),
            (heard_at, _) => heard_at,
        }
    }
}

/// The silence of a monitor, as this process follows it.
#[derive(Debug, Default)]
pub(super) struct SilenceWatch {
    silence: Silence,
    /// True if a silence began or ended since [`SilenceWatch::take_change`].
    has_changed: bool,
    /// Wall time of the first look for silence in this process.
    started_at: Option<EventTime>,
}

impl SilenceWatch {
    /// See [`Silence::take_commit`].
    pub(super) fn take_commit(
        &mut self,
        written_at: Option<EventTime>,
        read_time: Option<EventTime>,
        events: Option<EventTime>,
        before: Option<EventTime>,
    ) {
        self.has_changed |= self
            .silence
            .take_commit(written_at, read_time, events, before);
    }

    /// See [`Silence::update`].
    pub(super) fn update(&mut self, state: &ReadingState, silence: Duration) {
        self.has_changed |= self.silence.update(state, silence);
    }

    /// The wall time of the first look, which may be now.
    pub(super) fn started_at(&mut self, now: EventTime) -> EventTime {
        let started_at = self.started_at.map_or(now, |at| at.min(now));
        self.started_at = Some(started_at);
        started_at
    }

    /// True if a silence began or ended since the last call.
    pub(super) fn take_change(&mut self) -> bool {
        std::mem::take(&mut self.has_changed)
    }

    /// The time since which the monitor is silent; `None` while it is not.
    pub(super) fn since(&self) -> Option<EventTime> {
        self.silence.since()
    }

    /// Time of the newest event counted.
    pub(super) const fn newest_event(&self) -> Option<EventTime> {
        self.silence.newest_event
    }

    /// A window as its monitor shows it: silence is the reason for what is not ready.
    pub(super) fn show(&self, window: WindowView) -> WindowView {
        match self.since() {
            Some(_) => window.silenced(),
            None => window,
        }
    }

    /// The state to save.
    pub(super) const fn save(&self) -> Silence {
        self.silence
    }

    /// Continues from the state of an earlier process; a silence of this length is one.
    pub(super) fn restore(&mut self, saved: Silence, silence: Duration) {
        self.silence = saved;
        self.silence.limit(silence);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::alert::AlertState;
    use crate::engine::engine::Engine;
    use crate::engine::fixture::{
        Stream, apply, at, comparison, fixed, fixed_alert, plan, spec, spread,
    };
    use crate::model::{EventTime, NotReady, Statistic};
    use crate::panes::Commit;

    /// An empty commit of the stream's shard: nothing arrived until this minute.
    fn empty(stream: &mut Stream, plan: &crate::engine::MonitorPlan, minute: i64) -> Commit {
        let mut commit = stream.minute(plan, minute, &[]);
        commit.monitors.clear();
        commit.read_time = commit.written_at;
        commit
    }

    fn silent_since(engine: &Engine) -> Option<EventTime> {
        engine.view().monitors[0].silent_since
    }

    /// A stream that stopped resolved its alerts, and nothing said that it had stopped.
    #[test]
    fn a_stream_that_stops_is_silent_and_holds_its_alerts_over_a_restart() {
        let mut spec = spec(vec![fixed()]);
        spec.alerts = vec![fixed_alert(Statistic::Js, 0.1)];
        spec.silence = Duration::from_secs(600);
        let plan = plan(spec);
        let mut engine = Engine::new(vec![plan.clone()]);
        let mut stream = Stream::default();
        for minute in 0..8 {
            let mut commit = stream.minute(&plan, minute, &spread(2000.0));
            commit.read_time = commit.written_at;
            apply(&mut engine, &commit);
        }
        assert_eq!(comparison(&engine, 0).alerts[0].state, AlertState::Firing);
        for minute in 8..30 {
            apply(&mut engine, &empty(&mut stream, &plan, minute));
            let expected = (minute >= 17).then(|| at(8));
            assert_eq!(silent_since(&engine), expected, "minute {minute}");
            let state = comparison(&engine, 0).alerts[0].state;
            assert_eq!(state, AlertState::Firing, "held in minute {minute}");
            let mut restarted = Engine::new(vec![plan.clone()]);
            restarted.restore(engine.save());
            assert_eq!(silent_since(&restarted), expected, "after a restart");
            engine = restarted;
        }
        let silent = comparison(&engine, 0).scores.err();
        assert_eq!(silent, Some(NotReady::Silent));
        for minute in 30..40 {
            let mut commit = stream.minute(&plan, minute, &spread(0.0));
            commit.read_time = commit.written_at;
            apply(&mut engine, &commit);
            assert_eq!(silent_since(&engine), None, "an event ends it");
        }
        assert_eq!(comparison(&engine, 0).alerts[0].state, AlertState::Inactive);
    }

    #[test]
    fn a_monitor_without_any_event_is_silent_too_and_a_reader_that_lags_is_not() {
        let plan = plan(spec(vec![fixed()]));
        let mut stream = Stream::default();
        let mut engine = Engine::new(vec![plan.clone()]);
        for minute in 0..12 {
            apply(&mut engine, &empty(&mut stream, &plan, minute));
            let expected = (minute >= 10).then(|| at(1));
            assert_eq!(silent_since(&engine), expected, "minute {minute}");
        }
        let mut lagging = Engine::new(vec![plan.clone()]);
        let mut stream = Stream::default();
        for minute in 0..30 {
            let mut commit = empty(&mut stream, &plan, minute);
            commit.upto += 1;
            commit.read_time = Some(at(minute - 1000));
            stream.skip(1);
            apply(&mut lagging, &commit);
            assert_eq!(silent_since(&lagging), None, "minute {minute}");
        }
    }
}

//! Silence of a monitor: no event was counted for a long time.
//!
//! A stream that stops leaves windows empty, and empty windows have no score, so nothing else would
//! say so. Each shard has a stopwatch that counts the time of the log since its last event. It
//! stands still while a reader lags: what it has not read yet may hold events. It runs while the
//! shard is read up to the present, and also while it is not read at all. A monitor is silent when
//! the stopwatches of all live shards have reached the configured length.
//!
//! A stopwatch and not a difference of times, because a clock may be set while nobody looks: a step
//! between two commits that is longer than a gap of the writer counts nothing, and no single step
//! counts more than a third of the silence. A stopwatch per shard, because a scorer that catches up
//! reads the partitions of its log one after the other: the state of a shard depends on its own
//! commits and not on their order among those of others.
//!
//! A silence ends when an event is counted, or when a shard shows that it had one recently. Its
//! state is saved, so a restart neither hides nor invents one. An input without arrival times (a
//! file) has no silence: a gap between its events is data.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::view::WindowView;
use crate::model::EventTime;

/// A gap without any commit after which its writers are taken to have stopped: three heartbeats. A
/// shard that was read further back than this is behind.
pub(super) const MAX_GAP: Duration = Duration::from_secs(90);

/// The number of steps of a clock that a silence takes at least.
const MIN_STEPS: u32 = 3;

/// The time between two readings of a clock as far as it counts towards a silence.
fn counted_step(from: EventTime, to: EventTime, silence: Duration) -> Duration {
    let step = to.since(from);
    if step > MAX_GAP {
        Duration::ZERO
    } else {
        step.min(silence / MIN_STEPS)
    }
}

/// A commit of a shard, as it counts towards a silence.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShardReading {
    /// Wall time of the commit; `None` where there is none, as in a file.
    pub(super) written_at: Option<EventTime>,
    /// Time up to which the shard was read.
    pub(super) read_time: Option<EventTime>,
    /// True if reading went on with the commit.
    pub(super) has_advanced: bool,
    /// True if it holds events of the monitor.
    pub(super) has_events: bool,
}

/// The time since the last event of a monitor on one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct ShardSilence {
    /// The stopwatch.
    quiet: Duration,
    has_had_events: bool,
    /// Time up to which the shard was read with its last event, or at first.
    heard_at: Option<EventTime>,
    /// Wall time of the latest commit.
    written_at: Option<EventTime>,
}

impl ShardSilence {
    /// Takes a commit of the shard, for a monitor with this silence.
    pub(super) fn take_commit(&mut self, reading: ShardReading, silence: Duration) {
        let Some(written_at) = reading.written_at else {
            return;
        };
        let before = self.written_at.replace(written_at);
        let read_time = reading.read_time.unwrap_or(written_at);
        let is_behind = reading.has_advanced && written_at > read_time.plus(MAX_GAP);
        match before {
            Some(before) if !reading.has_events => {
                if !is_behind {
                    self.quiet += counted_step(before, written_at, silence);
                }
                // The clock may have been ahead before.
                self.heard_at = self.heard_at.min(Some(written_at));
            }
            _ => {
                self.quiet = Duration::ZERO;
                self.has_had_events |= reading.has_events;
                self.heard_at = Some(read_time.min(written_at));
            }
        }
    }

    /// True if it had no event for so long.
    pub(super) fn is_silent(&self, silence: Duration) -> bool {
        self.quiet >= silence
    }

    /// True if it is known to have had an event since.
    pub(super) fn has_recent_event(&self, silence: Duration) -> bool {
        self.has_had_events && !self.is_silent(silence)
    }

    /// Notes that the process has waited this long for a commit.
    pub(super) fn wait(&mut self, waited: Duration) {
        self.quiet = self.quiet.max(waited);
    }

    /// Time up to which there were events.
    pub(super) const fn heard_at(&self) -> Option<EventTime> {
        self.heard_at
    }
}

/// The state of the live shards that decides whether a monitor is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quietness {
    /// True if all of them had no event for the length of the silence.
    pub(super) is_silent: bool,
    /// True if one of them had an event since.
    pub(super) has_recent_event: bool,
    /// The latest time up to which there were events.
    pub(super) heard_at: Option<EventTime>,
}

/// The latest event of a monitor, and whether it is silent since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Silence {
    /// Time of the newest event counted.
    newest_event: Option<EventTime>,
    /// The time since which the monitor is silent, and the length that made it so.
    silent: Option<(EventTime, Duration)>,
}

/// The silence of a monitor, as this process follows it.
#[derive(Debug, Default)]
pub(super) struct SilenceWatch {
    silence: Silence,
    /// True if a silence began or ended since [`SilenceWatch::take_change`].
    has_changed: bool,
    /// Wall time of the latest look for commits.
    looked_at: Option<EventTime>,
    /// The time for which this process has waited for a commit.
    waited: Duration,
}

impl SilenceWatch {
    /// Takes a commit of the monitor's source; `newest_event` is the time of the newest of the
    /// monitor's events in it.
    pub(super) fn take_commit(&mut self, newest_event: Option<EventTime>) {
        self.silence.newest_event = self.silence.newest_event.max(newest_event);
        self.waited = Duration::ZERO;
    }

    /// Looks for commits at wall time `now`, and returns the time without one.
    pub(super) fn wait(&mut self, now: EventTime, silence: Duration) -> Duration {
        if let Some(before) = self.looked_at.replace(now) {
            self.waited += counted_step(before, now, silence);
        }
        self.waited
    }

    /// Begins or ends the silence of this length.
    pub(super) fn update(&mut self, quietness: Quietness, silence: Duration) {
        let was_silent = self.silence.silent.is_some();
        if quietness.has_recent_event {
            self.silence.silent = None;
        } else if quietness.is_silent && !was_silent {
            self.silence.silent = quietness.heard_at.map(|heard_at| (heard_at, silence));
        }
        self.has_changed |= was_silent != self.silence.silent.is_some();
    }

    /// True if a silence began or ended since the last call.
    pub(super) fn take_change(&mut self) -> bool {
        std::mem::take(&mut self.has_changed)
    }

    /// The time since which the monitor is silent; `None` while it is not.
    pub(super) fn since(&self) -> Option<EventTime> {
        self.silence.silent.map(|(since, _)| since)
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

    /// Continues from the state of an earlier process; its silence ends if a longer one is
    /// configured now.
    pub(super) fn restore(&mut self, saved: Silence, silence: Duration) {
        self.silence = saved;
        self.silence.silent = saved.silent.filter(|(_, length)| *length >= silence);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use crate::alert::AlertState;
    use crate::engine::engine::Engine;
    use crate::engine::fixture::{
        MINUTE, Stream, apply, at, comparison, fixed, fixed_alert, plan, spec, spread, wait,
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

    /// The commits of one of two partitions: events in these minutes, nothing after, read to the
    /// end.
    fn partition(
        number: i32,
        plan: &crate::engine::MonitorPlan,
        events: std::ops::Range<i64>,
        end: i64,
    ) -> Vec<Commit> {
        let mut stream = Stream::default();
        (0..end)
            .map(|minute| {
                let mut commit = if events.contains(&minute) {
                    stream.minute(plan, minute, &spread(0.0))
                } else {
                    empty(&mut stream, plan, minute)
                };
                Arc::make_mut(&mut commit.shard).partition = number;
                commit.source_shards = 2;
                commit.opens = minute == 0;
                commit.read_time = commit.written_at;
                commit
            })
            .collect()
    }

    /// A scorer that catches up reads the partitions of its log one after the other. The last
    /// commit in this order counted as the last event, so a partition without events that was read
    /// last made the monitor silent until its next event.
    #[test]
    fn the_order_in_which_a_scorer_catches_up_makes_no_silence() {
        let plan = plan(spec(vec![fixed()]));
        let check = |last_event: i64, expected: Option<EventTime>| {
            let sparse = partition(0, &plan, 0..3, 60);
            let recent = partition(1, &plan, 0..last_event, 60);
            let live: Vec<&Commit> = sparse
                .iter()
                .zip(&recent)
                .flat_map(|(sparse, recent)| [sparse, recent])
                .collect();
            let recent_last = sparse.iter().chain(&recent).collect();
            let sparse_last = recent.iter().chain(&sparse).collect();
            for commits in [live, recent_last, sparse_last] {
                let mut engine = Engine::new(vec![plan.clone()]);
                for commit in commits {
                    apply(&mut engine, commit);
                }
                let since = silent_since(&engine);
                assert_eq!(since, expected, "events until {last_event}");
            }
        };
        check(55, None);
        check(30, Some(at(30)));
    }

    /// A partition that is released while another one is read makes a silence; it ends with the
    /// first commit that shows a recent event, and not only with the next event.
    #[test]
    fn a_partition_that_is_read_late_ends_a_silence_by_its_recent_events() {
        let plan = plan(spec(vec![fixed()]));
        let mut engine = Engine::new(vec![plan.clone()]);
        let recent = partition(1, &plan, 0..8, 60);
        let apply_all = |engine: &mut Engine, commits: &[Commit]| {
            for commit in commits {
                apply(engine, commit);
            }
        };
        apply_all(&mut engine, &recent[..10]);
        apply_all(&mut engine, &partition(0, &plan, 0..0, 60));
        assert!(silent_since(&engine).is_some(), "as far as it is read");
        apply_all(&mut engine, &recent[10..12]);
        assert_eq!(silent_since(&engine), None, "four minutes after an event");
        apply_all(&mut engine, &recent[12..]);
        assert_eq!(silent_since(&engine), Some(at(8)));
    }

    /// A step of the wall clock by an hour made every monitor silent that had no event in the very
    /// next commit.
    #[test]
    fn a_step_of_the_clock_is_no_silence() {
        let plan = plan(spec(vec![fixed()]));
        let silent_from = |is_corrected: bool| {
            let mut engine = Engine::new(vec![plan.clone()]);
            let mut stream = Stream::default();
            (0..30).find(|minute| {
                let mut commit = if *minute < 8 {
                    stream.minute(&plan, *minute, &spread(0.0))
                } else {
                    empty(&mut stream, &plan, *minute)
                };
                if *minute >= 9 && (!is_corrected || *minute < 12) {
                    commit.written_at = commit.written_at.map(|at| at.plus(MINUTE * 60));
                }
                commit.read_time = commit.written_at;
                apply(&mut engine, &commit);
                silent_since(&engine).is_some()
            })
        };
        assert_eq!(silent_from(false), Some(18), "one step does not count");
        assert_eq!(silent_from(true), Some(19), "two steps do not count");
    }

    /// The wall clock decides where nobody writes, and it was believed at once.
    #[test]
    fn a_process_that_waits_counts_the_time_that_it_waited() {
        let plan = plan(spec(vec![fixed()]));
        let mut engine = Engine::new(vec![plan.clone()]);
        for mut commit in partition(0, &plan, 0..8, 8) {
            commit.source_shards = 1;
            apply(&mut engine, &commit);
        }
        // Its clock is a day ahead of that of the log.
        let day = 24 * 60;
        wait(&mut engine, day..day + 5);
        assert_eq!(silent_since(&engine), None, "after five minutes");
        wait(&mut engine, day + 600..day + 604);
        assert_eq!(silent_since(&engine), None, "the machine was suspended");
        wait(&mut engine, day + 604..day + 606);
        assert_eq!(silent_since(&engine), Some(at(8)), "after ten minutes");
    }
}

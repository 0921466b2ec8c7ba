//! The progress of each shard, and the watermark that follows from it.
//!
//! The watermark is the newest event of the slowest shard, less the allowed disorder. An idle shard
//! has had no event of the monitor for `idle_after` and holds it only at the time up to which it
//! was read: nobody knows what lies behind that. When all shards are idle, their read times take
//! over, so that the last windows close. A shard that is not read any more is released: it lowers
//! coverage instead of blocking the others.
//!
//! Nothing here reads a clock. A read time comes from the records or from the leader of the
//! partition, so neither a lost connection nor a suspended machine makes a shard look idle.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{EventTime, Lateness};

/// The progress of one shard, for one monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Newest event time of all records, selected or not.
    pub newest: Option<EventTime>,
    /// Time since which the shard is quiet: the arrival of the newest event, or the first read time
    /// if there was none.
    pub quiet_since: Option<EventTime>,
    /// Time up to which the shard was read.
    pub read_time: Option<EventTime>,
    /// Log time at which reading last went on.
    pub advanced_at: Option<EventTime>,
}

/// The part of a commit that moves the progress of its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Advance {
    /// Wall time of the commit.
    pub written_at: Option<EventTime>,
    /// Time up to which the shard was read.
    pub read_time: Option<EventTime>,
    /// True if the commit covers offsets.
    pub has_offsets: bool,
    /// Newest event time of its records, and the arrival of the last record with that time.
    pub newest: Option<(EventTime, Option<EventTime>)>,
}

/// The current time as far as the log shows it: the times at which commits were written.
///
/// Readers do not use their own clocks, so all of them see the same time at a position of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogTime {
    /// Time of the newest commit; `None` where there is no wall clock, as in a file.
    pub now: Option<EventTime>,
    /// Time of the newest commit with which the reading of any shard went on.
    pub advanced_at: Option<EventTime>,
    /// Time at which reading resumed after a silence of all shards, or at which the clock was set
    /// back.
    ///
    /// Such a silence affects every shard and is not a sign that a single one is lost.
    pub resumed_at: Option<EventTime>,
}

/// A gap without any progress that counts as a silence of all shards.
///
/// A shard that is read commits at least every 30 s, or every flush, and a flush interval is at
/// most 60 s.
const ALL_SILENT: Duration = Duration::from_secs(180);

impl LogTime {
    /// Advances to the time of a commit, and notes when reading resumes after a silence.
    ///
    /// The commits of several writers come a little out of order, so a time that is slightly
    /// earlier changes nothing. One that is much earlier means that the clock was ahead and was set
    /// back: time starts again there.
    pub fn advance(
        &mut self,
        written_at: Option<EventTime>,
        stall_after: Duration,
        has_advanced: bool,
    ) {
        let gap = ALL_SILENT.min(stall_after);
        let Some(at) = written_at else {
            return;
        };
        if self.now.is_some_and(|now| at.plus(gap) <= now) {
            *self = LogTime {
                now: Some(at),
                advanced_at: Some(at),
                resumed_at: Some(at),
            };
        }
        self.now = self.now.max(written_at);
        if has_advanced || self.advanced_at.is_none() {
            if self.advanced_at.is_none_or(|before| at >= before.plus(gap)) {
                self.resumed_at = written_at;
            }
            self.advanced_at = self.advanced_at.max(written_at);
        }
    }

    /// Returns the later of `at` and the end of the last silence.
    ///
    /// A time beyond the present is from a clock that was set back since, and does not count.
    #[must_use]
    pub fn since(&self, at: Option<EventTime>) -> Option<EventTime> {
        at.filter(|at| Some(*at) <= self.now).max(self.resumed_at)
    }
}

impl Progress {
    /// Takes the progress of a commit; returns true if the reading of the shard went on.
    ///
    /// The latest read time replaces the one before even if it is earlier: a clock was set back, or
    /// another reader with another clock took over. Nothing arrives after the commit that holds it,
    /// so an arrival in the future of a former clock is corrected as well.
    pub fn advance(&mut self, advance: Advance) -> bool {
        let has_advanced =
            advance.has_offsets || self.advanced_at.is_none() || advance.read_time > self.read_time;
        if has_advanced {
            self.advanced_at = advance.written_at.or(self.advanced_at);
        }
        self.read_time = advance.read_time.or(self.read_time);
        if let Some((newest, arrived_at)) = advance.newest
            && Some(newest) >= self.newest
        {
            self.newest = Some(newest);
            self.quiet_since = arrived_at.or(self.quiet_since);
        }
        self.quiet_since = self
            .quiet_since
            .or(self.read_time)
            .map(|since| advance.written_at.map_or(since, |at| since.min(at)));
        has_advanced
    }

    /// Returns the event time up to which the shard was read.
    ///
    /// It is the read time less the delay with which the newest event arrived: the next events of a
    /// stream that is hours behind are expected hours before the read time.
    #[must_use]
    pub fn event_time_read(&self) -> Option<EventTime> {
        let read_time = self.read_time?;
        match (self.newest, self.quiet_since) {
            (Some(newest), Some(quiet_since)) if newest <= quiet_since => {
                Some(newest.plus(read_time.since(quiet_since)))
            }
            _ => Some(read_time),
        }
    }

    /// Returns the time between the newest event and its arrival; `None` without an event.
    fn delay(&self) -> Option<Duration> {
        Some(self.quiet_since?.since(self.newest?))
    }

    /// Returns true if the shard was read `idle_after` beyond the arrival of its newest event.
    #[must_use]
    pub fn is_idle(&self, idle_after: Duration) -> bool {
        match (self.read_time, self.quiet_since) {
            (Some(read_time), Some(quiet_since)) => read_time >= quiet_since.plus(idle_after),
            _ => false,
        }
    }

    /// Returns true if the shard was not read on for `stall_after` while others were.
    #[must_use]
    pub fn is_released(&self, time: LogTime, stall_after: Duration) -> bool {
        matches!(
            (time.advanced_at, time.since(self.advanced_at)),
            (Some(now), Some(since)) if now >= since.plus(stall_after)
        )
    }

    /// Returns the time before which no further event is expected of the shard; `None` while it is
    /// not known.
    #[must_use]
    pub fn bound(&self, lateness: &Lateness) -> Option<EventTime> {
        let newest = if self.is_idle(lateness.idle_after) {
            self.read_time
        } else {
            self.newest
        };
        newest.map(|newest| newest.minus(lateness.out_of_orderness))
    }
}

/// Returns the time before which no further event is expected.
///
/// When all shards are idle, it is the oldest read time less `idle_after`. A stream that pauses
/// goes on with the delay that it had before: where even the promptest shard received its events
/// later than `idle_after`, they are waited for so long.
///
/// It is `None` while a busy shard has not shown an event, when all shards are released, and
/// without shards.
pub fn watermark<'a>(
    shards: impl Iterator<Item = &'a Progress>,
    time: LogTime,
    lateness: &Lateness,
) -> Option<EventTime> {
    let live: Vec<&Progress> = shards
        .filter(|shard| !shard.is_released(time, lateness.stall_after))
        .collect();
    if live.iter().all(|shard| shard.is_idle(lateness.idle_after)) {
        let oldest = live.iter().filter_map(|shard| shard.read_time).min()?;
        let delay = live.iter().filter_map(|shard| shard.delay()).min();
        let allowance = delay.unwrap_or_default() + lateness.out_of_orderness;
        return Some(oldest.minus(lateness.idle_after.max(allowance)));
    }
    live.iter()
        .map(|shard| shard.bound(lateness))
        .min()
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATENESS: Lateness = Lateness {
        out_of_orderness: Duration::from_secs(30),
        idle_after: Duration::from_secs(60),
        max_future: Duration::from_secs(300),
        stall_after: Duration::from_secs(300),
    };

    fn at(second: i64) -> EventTime {
        EventTime::from_millis(second * 1000)
    }

    fn time(now: i64) -> LogTime {
        LogTime {
            now: Some(at(now)),
            advanced_at: Some(at(now)),
            resumed_at: Some(at(0)),
        }
    }

    /// A shard whose newest event was the last record read.
    fn busy(newest: i64) -> Progress {
        let now = Some(at(newest));
        Progress {
            newest: now,
            quiet_since: now,
            read_time: now,
            advanced_at: now,
        }
    }

    /// A shard that was read further than its newest event.
    fn quiet(newest: i64, read_time: i64) -> Progress {
        Progress {
            read_time: Some(at(read_time)),
            advanced_at: Some(at(read_time)),
            ..busy(newest)
        }
    }

    /// A commit whose records arrived as they happened.
    fn events(newest: i64) -> Advance {
        let now = Some(at(newest));
        Advance {
            written_at: now,
            read_time: now,
            has_offsets: true,
            newest: Some((at(newest), now)),
        }
    }

    /// A commit without an event, of a shard whose end was confirmed at its time.
    fn end(now: i64) -> Advance {
        Advance {
            has_offsets: false,
            newest: None,
            ..events(now)
        }
    }

    #[test]
    fn the_slowest_busy_shard_holds_the_watermark() {
        let check = |shards: &[Progress], now: i64, expected: Option<i64>| {
            assert_eq!(
                watermark(shards.iter(), time(now), &LATENESS),
                expected.map(at),
                "{shards:?}"
            );
        };
        check(&[busy(1000), busy(1200)], 1200, Some(970));
        check(&[quiet(1000, 1990), busy(2000)], 2000, Some(1960));
        check(&[quiet(1000, 1059), busy(1100)], 1100, Some(970));
        check(&[quiet(1000, 1990), quiet(1500, 1980)], 2000, Some(1920));
        let unseen = Progress {
            newest: None,
            ..busy(1000)
        };
        check(&[unseen, busy(1000)], 1000, None);
        check(&[], 1000, None);
    }

    /// An idle shard used to release the watermark altogether. Where one partition of a backlog was
    /// read faster than another, the windows of the slower one closed before it was read.
    #[test]
    fn an_idle_shard_releases_the_watermark_only_as_far_as_it_was_read() {
        let shards = [quiet(1000, 1100), busy(1390)];
        assert_eq!(
            watermark(shards.iter(), time(1390), &LATENESS),
            Some(at(1070)),
            "nobody knows what comes after 1100"
        );
    }

    /// Idleness needed an end of the partition before, which a busy topic hardly ever reports.
    #[test]
    fn a_shard_without_events_of_the_monitor_becomes_idle_by_its_read_time() {
        let mut shard = Progress::default();
        let foreign = |now: i64| Advance {
            newest: None,
            ..events(now)
        };
        shard.advance(foreign(1000));
        assert!(!shard.is_idle(LATENESS.idle_after), "just begun");
        shard.advance(foreign(1059));
        assert!(!shard.is_idle(LATENESS.idle_after), "after 59 s");
        shard.advance(foreign(1060));
        assert!(shard.is_idle(LATENESS.idle_after), "after 60 s");
    }

    #[test]
    fn a_delayed_stream_that_flows_is_not_idle() {
        let mut shard = Progress::default();
        for now in (1000..2000).step_by(50) {
            shard.advance(Advance {
                newest: Some((at(now - 600), Some(at(now)))),
                ..events(now)
            });
            assert!(!shard.is_idle(LATENESS.idle_after), "at {now}");
        }
        shard.advance(end(2010));
        assert!(shard.is_idle(LATENESS.idle_after), "it has stopped");
    }

    /// The read time of a stream behind a mirror is that of its leader, ten minutes after its
    /// events: a pause of a minute closed the windows of the next nine.
    #[test]
    fn a_delayed_stream_that_pauses_is_waited_for_as_long_as_its_delay() {
        let delayed = |arrived_at: i64, read_time: i64| Progress {
            quiet_since: Some(at(arrived_at)),
            ..quiet(arrived_at - 600, read_time)
        };
        let check = |shards: &[Progress], expected: i64| {
            let watermark = watermark(shards.iter(), time(2000), &LATENESS);
            assert_eq!(watermark, Some(at(expected)), "{shards:?}");
        };
        check(&[delayed(1900, 1990), delayed(1800, 2000)], 1360);
        let unseen = Progress {
            newest: None,
            ..quiet(1000, 2000)
        };
        check(&[delayed(1900, 1990), unseen], 1360);
        check(&[delayed(1900, 1990), quiet(1900, 1990)], 1930);
    }

    /// Every shard at its end counted as caught up while its source was connected, so one
    /// unreachable leader closed windows that were not read.
    #[test]
    fn a_shard_that_nobody_reads_is_not_idle_but_released() {
        let mut shards = [busy(1000), busy(1000)];
        let mut time = LogTime::default();
        let mut step = |shards: &mut [Progress; 2], now: i64| {
            // The first shard has only heartbeats, because its leader cannot be reached.
            let heartbeat = Advance {
                read_time: Some(at(1000)),
                ..end(now)
            };
            assert!(!shards[0].advance(heartbeat), "nothing was read");
            let has_advanced = shards[1].advance(events(now));
            time.advance(Some(at(now)), LATENESS.stall_after, has_advanced);
            watermark(shards.iter(), time, &LATENESS)
        };
        assert_eq!(step(&mut shards, 1100), Some(at(970)), "held");
        assert_eq!(step(&mut shards, 1200), Some(at(970)), "still held");
        assert_eq!(step(&mut shards, 1290), Some(at(970)), "not yet");
        assert_eq!(step(&mut shards, 1300), Some(at(970)), "not yet");
        assert_eq!(step(&mut shards, 1400), Some(at(1370)), "released");
    }

    /// A commit that nobody can read has no time. It erased the time at which its shard was read,
    /// so a shard that was being read was released.
    #[test]
    fn a_commit_without_a_time_does_not_release_its_shard() {
        let mut shard = busy(1390);
        let unreadable = Advance {
            has_offsets: true,
            ..Advance::default()
        };
        assert!(shard.advance(unreadable), "its offsets count");
        let released = shard.is_released(time(1400), LATENESS.stall_after);
        assert!(!released, "read 10 s ago");
    }

    #[test]
    fn a_silence_of_all_shards_releases_none() {
        let mut shards = [busy(1000), quiet(1000, 1090)];
        let mut time = LogTime::default();
        time.advance(Some(at(1090)), LATENESS.stall_after, true);
        // Heartbeats only: no broker can be reached during the night.
        for now in (1100..5000).step_by(30) {
            let heartbeat = Advance {
                read_time: Some(at(1090)),
                ..end(now)
            };
            let has_advanced = shards[1].advance(heartbeat);
            assert!(!has_advanced, "nothing was read at {now}");
            time.advance(Some(at(now)), LATENESS.stall_after, has_advanced);
            assert!(
                !shards[0].is_released(time, LATENESS.stall_after),
                "at {now}"
            );
        }
        time.advance(Some(at(5000)), LATENESS.stall_after, true);
        let held = watermark(shards.iter(), time, &LATENESS);
        assert_eq!(held, Some(at(970)), "both are waited for after a night");
        time.advance(Some(at(5020)), LATENESS.stall_after, true);
        assert_eq!(
            time.resumed_at,
            Some(at(5000)),
            "a short pause is not a silence"
        );
        time.advance(Some(at(5150)), LATENESS.stall_after, true);
        time.advance(Some(at(5300)), LATENESS.stall_after, true);
        assert!(
            shards[0].is_released(time, LATENESS.stall_after),
            "until the shard itself is silent for too long"
        );
    }

    /// The newest time of the log never went back and was saved in snapshots, so after a clock that
    /// was an hour ahead no shard could become idle for an hour.
    #[test]
    fn a_clock_that_was_ahead_and_is_corrected_blocks_nothing() {
        let mut shards = [busy(1000), busy(1000)];
        let mut time = LogTime::default();
        let mut step = |shards: &mut [Progress; 2], commits: [Advance; 2]| {
            for (shard, commit) in shards.iter_mut().zip(commits) {
                let has_advanced = shard.advance(commit);
                time.advance(commit.written_at, LATENESS.stall_after, has_advanced);
            }
            time
        };
        step(&mut shards, [events(1000), events(1000)]);
        // An event without a Kafka timestamp arrives while the clock is an hour ahead.
        let ahead = Advance {
            newest: Some((at(1010), Some(at(4610)))),
            ..end(4610)
        };
        step(&mut shards, [ahead, end(4610)]);
        let time = step(&mut shards, [end(1020), end(1020)]);
        assert_eq!(time.now, Some(at(1020)), "corrected");
        assert!(!shards[0].is_idle(LATENESS.idle_after), "an event at 1010");
        let time = step(&mut shards, [end(1080), end(1080)]);
        assert!(shards[0].is_idle(LATENESS.idle_after), "a minute later");
        let released = shards
            .iter()
            .any(|shard| shard.is_released(time, LATENESS.stall_after));
        assert!(!released, "both are read");
        for now in (1100..1400).step_by(20) {
            let unreachable = Advance {
                read_time: Some(at(1080)),
                ..end(now)
            };
            step(&mut shards, [end(now), unreachable]);
        }
        let time = step(&mut shards, [end(1400), Advance::default()]);
        assert!(
            shards[1].is_released(time, LATENESS.stall_after),
            "a shard that stalls now is not excused by the former clock"
        );
    }
}

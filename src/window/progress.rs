//! The progress of each shard, and the watermark that follows from it.
//!
//! The watermark is the newest event of the slowest shard, less the allowed disorder. An idle shard
//! does not hold it: one that was caught up and had no event for `idle_after`. When all shards are
//! idle, wall time takes over, so that the last windows close. A shard that sends no commits any
//! more is released: it lowers coverage instead of blocking the others.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{EventTime, Lateness};

/// The progress of one shard, for one monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Time of the newest event counted.
    pub newest: Option<EventTime>,
    /// Wall time at which an event was last counted, or of the shard's first commit.
    pub last_event_at: Option<EventTime>,
    /// Wall time of the latest commit.
    pub committed_at: Option<EventTime>,
    /// The latest moment at which the shard had no further record.
    pub caught_up_at: Option<EventTime>,
}

/// The current time as far as the log shows it: the times at which commits were written.
///
/// Readers do not use their own clocks, so all of them see the same time at a position of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogTime {
    /// Time of the newest commit; `None` where there is no wall clock, as in a file.
    pub now: Option<EventTime>,
    /// Time of the first commit after a silence of all writers.
    ///
    /// Such a silence affects every shard and is not a sign that a single one is idle or lost.
    pub resumed_at: Option<EventTime>,
}

/// A gap without any commit that counts as a silence of all writers.
///
/// Each shard commits at least every 30 s, or every flush, and a flush interval is at most 60 s.
const ALL_SILENT: Duration = Duration::from_secs(180);

impl LogTime {
    /// Advances to the time of a commit, and notes when commits resume after a silence.
    pub fn advance(&mut self, written_at: Option<EventTime>, stall_after: Duration) {
        let gap = ALL_SILENT.min(stall_after);
        if self.now.is_none_or(|now| written_at >= Some(now.plus(gap))) {
            self.resumed_at = written_at;
        }
        self.now = self.now.max(written_at);
    }
}

impl Progress {
    /// Returns true if the shard was caught up at least `idle_after` later than its last event.
    ///
    /// It must have been caught up since the last silence of all writers.
    #[must_use]
    pub fn is_idle(&self, idle_after: Duration, time: LogTime) -> bool {
        match (self.caught_up_at, self.last_event_at) {
            (Some(caught_up_at), Some(last_event_at)) => {
                let is_current = Some(caught_up_at) >= time.resumed_at;
                is_current && caught_up_at >= last_event_at.plus(idle_after)
            }
            _ => false,
        }
    }

    /// Returns true if the shard sent no commit for `stall_after` while others did.
    #[must_use]
    pub fn is_released(&self, time: LogTime, stall_after: Duration) -> bool {
        let silent_since = self.committed_at.max(time.resumed_at);
        matches!(
            (time.now, silent_since),
            (Some(now), Some(since)) if now >= since.plus(stall_after)
        )
    }
}

/// Returns the time before which no further event is expected.
///
/// It is `None` while a busy shard has not counted an event, when all shards are released, and
/// without shards.
pub fn watermark<'a>(
    shards: impl Iterator<Item = &'a Progress>,
    time: LogTime,
    lateness: &Lateness,
) -> Option<EventTime> {
    let live: Vec<&Progress> = shards
        .filter(|shard| !shard.is_released(time, lateness.stall_after))
        .collect();
    let busy: Vec<&&Progress> = live
        .iter()
        .filter(|shard| !shard.is_idle(lateness.idle_after, time))
        .collect();
    if busy.is_empty() {
        let oldest = live.iter().filter_map(|shard| shard.caught_up_at).min()?;
        return Some(oldest.minus(lateness.idle_after));
    }
    let newest: Option<Vec<EventTime>> = busy.iter().map(|shard| shard.newest).collect();
    newest?
        .into_iter()
        .min()
        .map(|newest| newest.minus(lateness.out_of_orderness))
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
            resumed_at: Some(at(0)),
        }
    }

    fn busy(newest: i64) -> Progress {
        let now = Some(at(newest));
        Progress {
            newest: now,
            last_event_at: now,
            committed_at: now,
            caught_up_at: None,
        }
    }

    fn idle(newest: i64, caught_up: i64) -> Progress {
        Progress {
            caught_up_at: Some(at(caught_up)),
            committed_at: Some(at(caught_up)),
            ..busy(newest)
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
        check(&[busy(1000), busy(2000)], 2000 - 800, Some(970));
        check(&[idle(1000, 1990), busy(2000)], 2000, Some(1970));
        check(&[idle(1000, 1059), busy(1100)], 1100, Some(970));
        check(&[idle(1000, 1990), idle(1500, 1980)], 2000, Some(1920));
        check(
            &[
                Progress {
                    newest: None,
                    ..busy(1000)
                },
                busy(1000),
            ],
            1000,
            None,
        );
        check(&[], 1000, None);
    }

    #[test]
    fn a_shard_without_commits_is_released() {
        let shards = [busy(1000), busy(2000)];
        assert_eq!(
            watermark(shards.iter(), time(2000), &LATENESS),
            Some(at(1970)),
            "the silent shard does not hold it"
        );
    }

    #[test]
    fn a_silence_of_all_shards_releases_none() {
        let shards = [busy(1000), idle(1000, 1090)];
        let mut time = LogTime::default();
        time.advance(Some(at(1090)), LATENESS.stall_after);
        time.advance(Some(at(5000)), LATENESS.stall_after);
        let held = watermark(shards.iter(), time, &LATENESS);
        assert_eq!(held, Some(at(970)), "both are waited for after a night");
        assert!(
            !shards[1].is_idle(LATENESS.idle_after, time),
            "it was caught up only before the silence"
        );
        time.advance(Some(at(5020)), LATENESS.stall_after);
        assert_eq!(
            time.resumed_at,
            Some(at(5000)),
            "a short pause between commits is not a silence"
        );
        time.now = Some(at(5300));
        assert!(
            shards[0].is_released(time, LATENESS.stall_after),
            "until the shard itself is silent for too long"
        );
    }
}

//! How far each shard has come, and what that means for time and completeness.
//!
//! The watermark is the slowest shard's newest event less the allowed disorder. A shard that was caught up and silent does not hold it; when all are, wall
//! time takes over, so that the last windows close. A shard nothing is heard of any more is released: it lowers coverage instead of stopping the rest.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Covered;
use crate::model::{EventTime, Lateness};

/// What a monitor knows of one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// The newest event counted.
    pub newest: Option<EventTime>,
    /// Wall time at which an event was last counted, or at which the shard was first heard of.
    pub last_event_at: Option<EventTime>,
    /// Wall time of the latest commit.
    pub heard_at: Option<EventTime>,
    /// The latest moment at which the shard had no further record.
    pub caught_up_at: Option<EventTime>,
}

/// Time as the log tells it: by the wall clocks of those who wrote commits, so that every reader sees the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogTime {
    /// When the newest commit was written; `None` where there is no wall clock, as in a file.
    pub now: Option<EventTime>,
    /// When somebody wrote again after nobody had for a while: the silence before was everybody's, and says nothing about a single shard.
    pub resumed_at: Option<EventTime>,
}

/// Nobody writing for this long means that nobody was there: each shard is heard of at least every 30 s.
const EVERYBODY_SILENT: Duration = Duration::from_secs(60);

impl LogTime {
    /// Takes the time of a commit.
    pub fn hear(&mut self, written_at: Option<EventTime>, stall_after: Duration) {
        let gap = EVERYBODY_SILENT.min(stall_after);
        let is_resumed = |now: EventTime| written_at >= Some(now.plus(gap));
        if self.now.is_none_or(is_resumed) {
            self.resumed_at = written_at;
        }
        self.now = self.now.max(written_at);
    }
}

impl Progress {
    /// Whether it was caught up and silent for long enough not to hold time back, and said so since everybody was last silent.
    #[must_use]
    pub fn is_idle(&self, idle_after: Duration, time: LogTime) -> bool {
        match (self.caught_up_at, self.last_event_at) {
            (Some(caught_up_at), Some(last)) => {
                let is_current = Some(caught_up_at) >= time.resumed_at;
                is_current && caught_up_at >= last.plus(idle_after)
            }
            _ => false,
        }
    }

    /// Whether nothing was heard of it for too long, while others were heard of.
    #[must_use]
    pub fn is_released(&self, time: LogTime, stall_after: Duration) -> bool {
        let heard = self.heard_at.max(time.resumed_at);
        matches!((time.now, heard), (Some(now), Some(heard)) if now >= heard.plus(stall_after))
    }
}

/// The time up to which no earlier event is expected; `None` while a shard that counts has not said.
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
        let slowest = live.iter().filter_map(|shard| shard.caught_up_at).min()?;
        return Some(slowest.minus(lateness.idle_after));
    }
    let newest: Option<Vec<EventTime>> = busy.iter().map(|shard| shard.newest).collect();
    newest?
        .into_iter()
        .min()
        .map(|newest| newest.minus(lateness.out_of_orderness))
}

/// How much of a window was counted.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Coverage {
    /// Share of its (pane, shard) pairs that were counted, 0..=1; 0 without shards.
    pub ratio: f64,
    /// Whether counting began inside the window for some shard.
    pub began_inside: bool,
}

/// The coverage of the window `start..end` of panes one `slide` wide, of which those before `kept_from` are gone.
///
/// Each shard comes with what it tells of the layout, and whether it was given up.
pub fn coverage<'a>(
    shards: impl Iterator<Item = (&'a Covered, bool)>,
    (start, end): (EventTime, EventTime),
    slide: Duration,
    kept_from: EventTime,
) -> Coverage {
    let whole = |span: Duration| span.as_millis() / slide.as_millis().max(1);
    let panes = usize::try_from(whole(end.since(start))).unwrap_or(usize::MAX);
    let gone = usize::try_from(whole(kept_from.since(start)))
        .unwrap_or(panes)
        .min(panes);
    let (mut counted, mut pairs, mut began_inside) = (0, 0, gone > 0);
    let first = start.max(kept_from);
    for (covered, is_released) in shards {
        pairs += panes;
        began_inside |= covered.began_after(start);
        if !is_released {
            counted += covered.panes(first, slide, panes - gone);
        }
    }
    let ratio = if pairs == 0 {
        0.0
    } else {
        counted as f64 / pairs as f64
    };
    Coverage {
        ratio,
        began_inside,
    }
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
            heard_at: now,
            caught_up_at: None,
        }
    }

    fn idle(newest: i64, caught_up: i64) -> Progress {
        Progress {
            caught_up_at: Some(at(caught_up)),
            heard_at: Some(at(caught_up)),
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
    fn a_shard_nothing_is_heard_of_is_released() {
        let shards = [busy(1000), busy(2000)];
        assert_eq!(
            watermark(shards.iter(), time(2000), &LATENESS),
            Some(at(1970)),
            "the silent one is given up"
        );
        let all = Covered::since(EventTime::MIN);
        let found = coverage(
            [(&all, true), (&all, false)].into_iter(),
            (at(1680), at(1980)),
            Duration::from_secs(60),
            EventTime::MIN,
        );
        let half = Coverage {
            ratio: 0.5,
            began_inside: false,
        };
        assert_eq!(found, half, "and lowers coverage");
    }

    #[test]
    fn a_silence_of_everybody_gives_nobody_up() {
        let shards = [busy(1000), idle(1000, 1090)];
        let mut time = LogTime::default();
        time.hear(Some(at(1090)), LATENESS.stall_after);
        time.hear(Some(at(5000)), LATENESS.stall_after);
        let found = watermark(shards.iter(), time, &LATENESS);
        assert_eq!(found, Some(at(970)), "both are waited for after a night");
        assert!(
            !shards[1].is_idle(LATENESS.idle_after, time),
            "its silence is an old story"
        );
        time.hear(Some(at(5020)), LATENESS.stall_after);
        assert_eq!(
            time.resumed_at,
            Some(at(5000)),
            "a pause between commits is none"
        );
        time.now = Some(at(5300));
        assert!(
            shards[0].is_released(time, LATENESS.stall_after),
            "until it is too long"
        );
    }

    #[test]
    fn panes_that_are_gone_are_not_covered() {
        let check = |kept_from: i64, expected: f64| {
            let all = Covered::since(EventTime::MIN);
            let found = coverage(
                [(&all, false)].into_iter(),
                (at(0), at(300)),
                Duration::from_secs(60),
                at(kept_from),
            );
            assert!(
                (found.ratio - expected).abs() < 1e-12,
                "{kept_from}: {found:?}"
            );
            assert_eq!(found.began_inside, kept_from > 0, "{kept_from}");
        };
        check(-60, 1.0);
        check(0, 1.0);
        check(60, 0.8);
        check(600, 0.0);
    }
}

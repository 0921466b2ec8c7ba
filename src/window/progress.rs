//! How far each shard has come, and what that means for time and completeness.
//!
//! The watermark is the slowest shard's newest event less the allowed disorder. A shard that was caught up and silent does not hold it; when all are, wall
//! time takes over, so that the last windows close. A shard nothing is heard of any more is released: it lowers coverage instead of stopping the rest.

use std::time::Duration;

use crate::model::{EventTime, Lateness};

/// What a monitor knows of one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// The newest event counted.
    pub newest: Option<EventTime>,
    /// Wall time at which an event was last counted, or at which the shard was first heard of.
    pub last_event_at: Option<EventTime>,
    /// Wall time of the latest commit.
    pub heard_at: Option<EventTime>,
    /// The latest moment at which the shard had no further record.
    pub caught_up_at: Option<EventTime>,
    /// Event time from which on everything was counted; `None` = not known yet.
    pub covered_from: Option<EventTime>,
}

impl Progress {
    /// Whether it was caught up and silent for long enough not to hold time back.
    #[must_use]
    pub fn is_idle(&self, idle_after: Duration) -> bool {
        match (self.caught_up_at, self.last_event_at) {
            (Some(caught_up_at), Some(last)) => caught_up_at >= last.plus(idle_after),
            _ => false,
        }
    }

    /// Whether nothing was heard of it for too long.
    #[must_use]
    pub fn is_released(&self, now: Option<EventTime>, stall_after: Duration) -> bool {
        matches!((now, self.heard_at), (Some(now), Some(heard)) if now >= heard.plus(stall_after))
    }
}

/// The time up to which no earlier event is expected; `None` while a shard that counts has not said.
pub fn watermark<'a>(
    shards: impl Iterator<Item = &'a Progress>,
    now: Option<EventTime>,
    lateness: &Lateness,
) -> Option<EventTime> {
    let live: Vec<&Progress> = shards
        .filter(|shard| !shard.is_released(now, lateness.stall_after))
        .collect();
    let busy: Vec<&&Progress> = live
        .iter()
        .filter(|shard| !shard.is_idle(lateness.idle_after))
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
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Coverage {
    /// Share of its (pane, shard) pairs that were counted, 0..=1; 0 without shards.
    pub ratio: f64,
    /// Whether counting began inside the window for some shard.
    pub began_inside: bool,
}

/// The coverage of the window `start..end` of panes one `slide` wide.
pub fn coverage<'a>(
    shards: impl Iterator<Item = &'a Progress>,
    (start, end): (EventTime, EventTime),
    slide: Duration,
    now: Option<EventTime>,
    stall_after: Duration,
) -> Coverage {
    let slide_ms = slide.as_millis().max(1);
    let panes = end.since(start).as_millis() / slide_ms;
    let (mut counted, mut pairs, mut began_inside) = (0, 0, false);
    for shard in shards {
        pairs += panes;
        let from = shard.covered_from;
        began_inside |= from.is_none_or(|from| from > start);
        if let Some(from) = from.filter(|_| !shard.is_released(now, stall_after)) {
            // Panes that begin before counting did are incomplete.
            let missed = from.since(start).as_millis().div_ceil(slide_ms);
            counted += panes.saturating_sub(if from <= start { 0 } else { missed });
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

    fn busy(newest: i64) -> Progress {
        let now = Some(at(newest));
        Progress {
            newest: now,
            last_event_at: now,
            heard_at: now,
            caught_up_at: None,
            covered_from: Some(EventTime::MIN),
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
                watermark(shards.iter(), Some(at(now)), &LATENESS),
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
            watermark(shards.iter(), Some(at(2000)), &LATENESS),
            Some(at(1970)),
            "the silent one is given up"
        );
        let found = coverage(
            shards.iter(),
            (at(1680), at(1980)),
            Duration::from_secs(60),
            Some(at(2000)),
            LATENESS.stall_after,
        );
        assert_eq!(
            found,
            Coverage {
                ratio: 0.5,
                began_inside: false
            },
            "and lowers coverage"
        );
    }

    #[test]
    fn panes_before_counting_began_are_not_covered() {
        let check = |from: Option<i64>, expected: f64| {
            let shard = Progress {
                covered_from: from.map(at),
                ..busy(600)
            };
            let found = coverage(
                [shard].iter(),
                (at(0), at(300)),
                Duration::from_secs(60),
                None,
                LATENESS.stall_after,
            );
            assert!(
                (found.ratio - expected).abs() < 1e-12,
                "from {from:?}: {found:?}"
            );
            assert_eq!(
                found.began_inside,
                from.is_none_or(|from| from > 0),
                "from {from:?}"
            );
        };
        check(Some(-5), 1.0);
        check(Some(0), 1.0);
        check(Some(1), 0.8);
        check(Some(60), 0.8);
        check(Some(61), 0.6);
        check(Some(900), 0.0);
        check(None, 0.0);
    }
}

//! Recognizes pauses of the process: a signal, a suspended machine, or a sink that took long.
//!
//! After a pause, the queues of the client and the buffers of the sockets hold answers that
//! describe the time before it. An end of a partition among them is no news about the present. Both
//! clocks are compared, because a suspended machine may stop the monotonic one.

use std::time::{Duration, Instant};

use crate::clock;
use crate::model::EventTime;

/// The longest time between two looks at the clocks that is not a pause. The thread looks several
/// times a second.
const MAX_GAP: Duration = Duration::from_secs(2);

/// A moment by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) monotonic: Instant,
    pub(super) wall: EventTime,
}

impl Moment {
    pub(super) fn now() -> Self {
        Moment {
            monotonic: clock::monotonic(),
            wall: clock::now(),
        }
    }

    /// The time since an earlier moment: the longer one of both clocks. A wall clock that was set
    /// back counts as a pause of that length.
    pub(super) fn since(self, earlier: Moment) -> Duration {
        let wall_ms = (self.wall.as_millis() - earlier.wall.as_millis()).unsigned_abs();
        self.monotonic
            .duration_since(earlier.monotonic)
            .max(Duration::from_millis(wall_ms))
    }
}

/// The last moment at which the thread was known to run.
#[derive(Debug)]
pub(super) struct PauseWatch {
    last: Moment,
}

impl PauseWatch {
    pub(super) fn new(now: Moment) -> Self {
        PauseWatch { last: now }
    }

    /// Returns `true` if the process paused since the last call.
    pub(super) fn has_paused(&mut self, now: Moment) -> bool {
        let earlier = std::mem::replace(&mut self.last, now);
        now.since(earlier) > MAX_GAP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_on_either_clock_is_a_pause_once() {
        let start = Moment::now();
        let after = |monotonic_ms: u64, wall_ms: i64| Moment {
            monotonic: start.monotonic + Duration::from_millis(monotonic_ms),
            wall: EventTime::from_millis(start.wall.as_millis() + wall_ms),
        };
        let check = |now: Moment, expected: bool, case: &str| {
            let mut watch = PauseWatch::new(start);
            assert_eq!(watch.has_paused(now), expected, "{case}");
            assert!(!watch.has_paused(now), "{case}: reported once");
        };
        check(after(2_000, 2_000), false, "a slow poll");
        check(after(3_000, 3_000), true, "a stopped process");
        check(after(10, 600_000), true, "a suspended machine");
        check(after(10, -600_000), true, "a clock that was set back");
    }
}

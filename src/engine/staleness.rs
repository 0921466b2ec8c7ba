//! Staleness of a window: it had no evaluation for a long time.

use std::time::Duration;

use crate::model::EventTime;

/// Log time of the latest evaluation of a window.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Staleness {
    evaluated_at: Option<EventTime>,
}

impl Staleness {
    /// The state of an earlier process.
    pub(super) fn since(evaluated_at: Option<EventTime>) -> Self {
        Staleness { evaluated_at }
    }

    /// Log time of the latest evaluation.
    pub(super) const fn evaluated_at(&self) -> Option<EventTime> {
        self.evaluated_at
    }

    /// Notes an evaluation at log time `now`.
    pub(super) fn evaluated(&mut self, now: Option<EventTime>) {
        self.evaluated_at = now;
    }

    /// Returns true if no evaluation came for `stale_after`, and again once per slide.
    ///
    /// A time before `resumed_at` is not counted: nobody wrote then. Before its first evaluation, a
    /// window's time counts from the first check. A time beyond the present is from a clock that
    /// was set back since.
    pub(super) fn check(
        &mut self,
        now: EventTime,
        resumed_at: Option<EventTime>,
        slide: Duration,
        stale_after: Duration,
    ) -> bool {
        let evaluated_at = self.evaluated_at.map_or(now, |at| at.min(now));
        let since = resumed_at.map_or(evaluated_at, |at| at.max(evaluated_at));
        let is_stale = now >= since.plus(stale_after);
        self.evaluated_at = Some(if is_stale {
            now.minus(stale_after).plus(slide)
        } else {
            evaluated_at
        });
        is_stale
    }
}

/// The time without an evaluation after which a window with this slide is stale.
pub(super) fn stale_after(slide: Duration, idle_after: Duration) -> Duration {
    (slide * 3).max(idle_after + slide)
}

//! The times of the next refresh, and the timeout of its requests.
//!
//! Requests block the reading thread, so each has a short timeout, and the next refresh waits
//! after a failure. A broker that is slow gets more time with each attempt: with a fixed timeout
//! that is too short it would never answer in time.

use std::time::{Duration, Instant};

use super::settings::Timing;
use crate::clock;

/// The shortest timeout of a request while there is no connection.
const MIN_TIMEOUT: Duration = Duration::from_millis(50);

/// The time of the next refresh and the timeout of its requests.
#[derive(Debug)]
pub(super) struct Backoff {
    timing: Timing,
    due: Instant,
    /// An additional refresh at this time, which a failure does not delay.
    refresh_at: Option<Instant>,
    /// The delay after the next failure.
    retry_delay: Duration,
    timeout: Duration,
}

impl Backoff {
    /// A refresh is due at `now`.
    pub(super) fn new(timing: Timing, now: Instant) -> Self {
        Backoff {
            timing,
            due: now,
            refresh_at: None,
            retry_delay: timing.retry,
            timeout: Duration::ZERO,
        }
    }

    /// Makes a refresh due now.
    pub(super) fn refresh_now(&mut self) {
        self.due = self.due.min(clock::monotonic());
    }

    /// Makes a refresh due after the current delay, because the connection was lost.
    pub(super) fn retry_soon(&mut self, now: Instant) {
        self.due = self.due.min(now + self.retry_delay);
    }

    /// Makes an additional refresh due at a time.
    pub(super) fn refresh_at(&mut self, at: Instant) {
        self.refresh_at = Some(self.refresh_at.map_or(at, |earlier| earlier.min(at)));
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        now >= self.due || self.refresh_at.is_some_and(|at| now >= at)
    }

    /// Begins a refresh and sets the timeout of its requests; `wait` is the caller's wait for
    /// records, which limits the timeout while there is no connection.
    pub(super) fn begin(&mut self, is_connected: bool, wait: Duration) {
        self.refresh_at = None;
        let min_timeout = if is_connected {
            self.timing.request
        } else {
            // An answer is unlikely.
            self.timing.request.min(wait.max(MIN_TIMEOUT))
        };
        self.timeout = self.timeout.max(min_timeout);
    }

    /// The timeout of each request of the current refresh.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The timeout of a request that may wait behind a fetch: at least [`Timing::request`].
    pub(super) fn patient_timeout(&self) -> Duration {
        self.timeout.max(self.timing.request)
    }

    /// Ends a refresh without errors; an incomplete one is repeated soon.
    pub(super) fn succeeded(&mut self, now: Instant, is_complete: bool) {
        self.retry_delay = self.timing.retry;
        self.timeout = self.timing.request;
        let delay = if is_complete {
            self.timing.refresh
        } else {
            self.retry_delay
        };
        self.due = now + delay;
    }

    /// Ends a refresh after a failed request; `is_slow` if a connection is open and no answer
    /// came in time.
    pub(super) fn failed(&mut self, now: Instant, is_slow: bool) {
        self.due = now + self.retry_delay;
        self.retry_delay = (self.retry_delay * 2).min(self.timing.refresh);
        self.timeout = if is_slow {
            (self.timeout * 2).min(self.timing.request * 8)
        } else {
            Duration::ZERO
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff() -> (Backoff, Instant) {
        let now = clock::monotonic();
        (Backoff::new(Timing::default(), now), now)
    }

    #[test]
    fn the_delay_doubles_with_each_failure_up_to_the_refresh_interval() {
        let (mut backoff, now) = backoff();
        for expected_ms in [500, 1000, 2000, 4000, 5000, 5000] {
            backoff.failed(now, false);
            let expected = now + Duration::from_millis(expected_ms);
            assert!(backoff.is_due(expected), "after {expected_ms} ms");
            let earlier = expected.checked_sub(Duration::from_millis(1)).unwrap();
            assert!(!backoff.is_due(earlier), "before {expected_ms} ms");
        }
        backoff.succeeded(now, true);
        backoff.failed(now, false);
        assert!(
            backoff.is_due(now + Duration::from_millis(500)),
            "a success resets the delay"
        );
    }

    #[test]
    fn a_slow_broker_gets_twice_the_time_up_to_eight_times() {
        let (mut backoff, now) = backoff();
        for expected_ms in [500, 1000, 2000, 4000, 4000] {
            backoff.begin(true, Duration::ZERO);
            assert_eq!(backoff.timeout(), Duration::from_millis(expected_ms));
            backoff.failed(now, true);
        }
        backoff.failed(now, false);
        backoff.begin(false, Duration::ZERO);
        assert_eq!(backoff.timeout(), MIN_TIMEOUT, "without a connection");
    }

    #[test]
    fn an_additional_refresh_is_not_delayed_by_a_failure() {
        let (mut backoff, now) = backoff();
        let at = now + Duration::from_millis(50);
        backoff.refresh_at(at + Duration::from_millis(10));
        backoff.refresh_at(at);
        backoff.failed(now, false);
        assert!(!backoff.is_due(now), "too early");
        assert!(backoff.is_due(at), "at the earliest of the times");
        backoff.begin(true, Duration::ZERO);
        assert!(!backoff.is_due(at), "once");
    }
}

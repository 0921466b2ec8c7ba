//! A problem with the panes topic that ends without a restart: named once, retried at growing
//! intervals.

use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::pane_log::kafka::KafkaLogError;

/// The first pause after a failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The present problem of one kind of request, and the time of the next attempt.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct LogProblem {
    message: Option<String>,
    pause: Duration,
    retry_at: Option<Instant>,
}

impl LogProblem {
    /// Records a failed attempt; logs the problem unless it is the same as before.
    pub(super) fn fail(&mut self, problem: KafkaLogError, now: Instant) {
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        self.retry_at = Some(now + self.pause);
        self.name(problem);
    }

    /// Records a problem that its owner retries by itself.
    pub(super) fn name(&mut self, problem: KafkaLogError) {
        let message = format!("{:#}", anyhow::Error::new(problem));
        if self.message.as_ref() != Some(&message) {
            warn!(problem = message, "the pane log cannot be used, retrying");
            self.message = Some(message);
        }
    }

    /// Ends the problem, and logs that if there was one.
    pub(super) fn end(&mut self) {
        if self.message.is_some() {
            info!("the pane log can be used again");
            *self = LogProblem::default();
        }
    }

    /// Returns true while no attempt should be made.
    pub(super) fn is_pausing(&self, now: Instant) -> bool {
        self.retry_at.is_some_and(|at| now < at)
    }

    /// Begins the next attempt, if one is due; it ends with [`LogProblem::fail`] or
    /// [`LogProblem::end`].
    pub(super) fn take_retry(&mut self, now: Instant) -> bool {
        self.retry_at.take_if(|at| now >= *at).is_some()
    }

    /// Returns the problem.
    pub(super) fn message(&self) -> Option<&String> {
        self.message.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::captured_log::log_lines;

    fn problem(reason: &str) -> KafkaLogError {
        KafkaLogError::Refused {
            topic: "panes".to_owned(),
            reason: reason.to_owned(),
        }
    }

    /// A denied lookup was logged every second for as long as it lasted.
    #[test]
    fn a_problem_is_logged_once_and_retried_at_growing_intervals() {
        let start = crate::clock::monotonic();
        let mut log = LogProblem::default();
        let lines = log_lines(|| {
            let mut now = start;
            for pause in [1, 2, 4, 8, 16, 30, 30].map(Duration::from_secs) {
                log.fail(problem("denied"), now);
                let before = now + pause - Duration::from_millis(1);
                assert!(
                    log.is_pausing(before) && !log.take_retry(before),
                    "{pause:?}"
                );
                now += pause;
                assert!(!log.is_pausing(now) && log.take_retry(now), "{pause:?}");
                assert!(!log.take_retry(now), "one attempt at a time");
            }
            log.fail(problem("another"), now);
            log.end();
            log.end();
        });
        let levels: Vec<&str> = lines.iter().map(|line| &line[..4]).collect();
        assert_eq!(levels, ["WARN", "WARN", "INFO"], "{lines:?}");
        assert_eq!(log, LogProblem::default(), "over");
    }
}

//! Positions in the consumer group: where a restart resumes, and what lag tools read.

use std::time::{Duration, Instant};

use super::KafkaSource;
use super::health::Concern;
use crate::clock;

/// The commit that is under way, and when the next one is due. There is never more than one: answers carry no number.
#[derive(Debug)]
pub(super) struct Commits {
    due: Instant,
    in_flight: bool,
}

impl Commits {
    pub(super) fn new(due: Instant) -> Self {
        Commits {
            due,
            in_flight: false,
        }
    }
}

impl KafkaSource {
    pub(super) fn commit_if_due(&mut self, now: Instant) {
        self.hear_answer(Duration::ZERO);
        if now >= self.commits.due {
            self.commits.due = now + self.timing.commit;
            self.commit();
        }
    }

    /// Commits without waiting. Not while no broker answers: the request would only wait, and closing would wait for it.
    fn commit(&mut self) {
        if self.commits.in_flight || !self.health.is_up() {
            return;
        }
        match self.table.uncommitted() {
            Ok(list) if list.count() > 0 => {
                self.link.commit(&list);
                self.commits.in_flight = true;
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(source = self.name, %error, "no list of offsets"),
        }
    }

    fn hear_answer(&mut self, wait: Duration) {
        if !self.commits.in_flight {
            return;
        }
        let Some(code) = self.link.answer(wait) else {
            return;
        };
        self.commits.in_flight = false;
        self.table.committed(code == 0);
        let mut problem = None;
        if code != 0 {
            self.health.count(code);
            problem = Some(Concern::Commit.describe(code));
        }
        self.health.set(Concern::Commit, problem);
    }

    /// Commits what is left and waits for the answer, for a while; not when there is nobody to answer.
    pub(super) fn last_commit(&mut self) {
        if !self.health.is_up() {
            return;
        }
        let deadline = clock::monotonic() + self.timing.close;
        self.await_answer(deadline);
        self.commit();
        self.await_answer(deadline);
    }

    fn await_answer(&mut self, deadline: Instant) {
        let left = deadline.saturating_duration_since(clock::monotonic());
        self.hear_answer(left);
    }
}

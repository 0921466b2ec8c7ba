//! Positions in the consumer group: where a restart resumes, and what lag tools read.

use std::time::Instant;

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use super::context::Event;
use super::health::Concern;
use super::{Context, KafkaSource};
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
        let sent = self.table.uncommitted().and_then(|list| {
            if list.count() == 0 {
                return Ok(false);
            }
            let consumer = self.link.consumer();
            consumer.commit(&list, CommitMode::Async).map(|()| true)
        });
        match sent {
            Ok(sent) => self.commits.in_flight = sent,
            Err(error) => self.commit_failed(&error),
        }
    }

    pub(super) fn commit_answered(&mut self, result: KafkaResult<()>) {
        self.commits.in_flight = false;
        match result {
            Ok(()) => {
                self.table.committed(true);
                self.health.set(Concern::Commit, None);
            }
            Err(error) => self.commit_failed(&error),
        }
    }

    fn commit_failed(&mut self, error: &KafkaError) {
        self.table.committed(false);
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
        self.health.count(code as i32);
        let problem = self.health.describe(&Concern::Commit, code);
        self.health.set(Concern::Commit, Some(problem));
    }

    /// Commits what is left and waits for the answer, for a while.
    pub(super) fn last_commit(&mut self) {
        let deadline = clock::monotonic() + self.timing.close;
        self.await_commit(deadline);
        self.commit();
        self.await_commit(deadline);
    }

    fn await_commit(&mut self, deadline: Instant) {
        while self.commits.in_flight && clock::monotonic() < deadline {
            let consumer = self.link.consumer();
            // What is fetched still goes to the data queue, which nobody reads any more.
            drop(consumer.poll(std::time::Duration::from_millis(10)));
            let events = Context::take(consumer.context());
            for event in events {
                if let Event::Committed(result) = event {
                    self.commit_answered(result);
                }
            }
        }
    }
}

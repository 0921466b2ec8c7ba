//! What is wrong with a Kafka source, in one line an operator can act on.
//!
//! librdkafka repeats errors for as long as they last; here they become states that begin and end, and only the changes are logged.

use std::collections::BTreeMap;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tracing::{info, warn};

use super::librdkafka::code_name;

/// Which part of the connection a problem belongs to; the first one is the one to tell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Concern {
    Topic(String),
    Group,
    Partition(String, i32),
    Commit,
}

impl Concern {
    /// The words for an error code of `rd_kafka_resp_err_t` that concerns this.
    pub(super) fn describe(&self, code: i32) -> String {
        use RDKafkaErrorCode as Code;
        let is = |known: Code| known as i32 == code;
        let words = words(code);
        match self {
            Concern::Topic(topic) if is(Code::UnknownTopicOrPartition) => {
                format!("topic {topic} does not exist yet")
            }
            Concern::Topic(topic) if is(Code::TopicAuthorizationFailed) => {
                format!("not authorized to read the topic {topic}")
            }
            Concern::Topic(topic) if is(Code::InvalidTopic) => {
                format!("{topic} is not a legal topic name")
            }
            Concern::Topic(topic) => format!("topic {topic}: {words}"),
            Concern::Group | Concern::Commit if is(Code::GroupAuthorizationFailed) => {
                "not authorized to use the consumer group".to_owned()
            }
            Concern::Group => format!("the group's offsets cannot be read: {words}"),
            Concern::Commit => format!("offsets cannot be committed: {words}"),
            Concern::Partition(topic, partition) => {
                format!("partition {partition} of topic {topic}: {words}")
            }
        }
    }
}

/// The state of the connection.
#[derive(Debug)]
pub(super) struct Health {
    source: String,
    brokers: String,
    /// Requests are answered, or records come.
    up: bool,
    /// There is a connection, whether or not anything is answered on it.
    connected: bool,
    /// Requests in a row that nobody answered.
    unanswered: u32,
    /// Why there is no connection, as far as librdkafka said.
    reason: Option<(RDKafkaErrorCode, String)>,
    concerns: BTreeMap<Concern, String>,
    errors: BTreeMap<String, u64>,
    /// What was logged last.
    told: Option<String>,
}

impl Health {
    pub(super) fn new(source: &str, brokers: &[String]) -> Self {
        Health {
            source: source.to_owned(),
            brokers: brokers.join(","),
            up: false,
            connected: false,
            unanswered: 0,
            reason: None,
            concerns: BTreeMap::new(),
            errors: BTreeMap::new(),
            told: None,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.up
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connected
    }

    pub(super) fn errors(&self) -> &BTreeMap<String, u64> {
        &self.errors
    }

    pub(super) fn count(&mut self, code: i32) {
        *self.errors.entry(code_name(code)).or_default() += 1;
    }

    /// A broker answered, or sent something.
    pub(super) fn answered(&mut self) {
        self.up = true;
        self.connected = true;
        self.unanswered = 0;
        self.reason = None;
    }

    /// There is a connection; `true` when there was none before. A broker that holds connections and answers nothing is not up.
    pub(super) fn connected(&mut self) -> bool {
        self.reason = None;
        !std::mem::replace(&mut self.connected, true)
    }

    /// No connection is left.
    pub(super) fn disconnected(&mut self) {
        self.up = false;
        self.connected = false;
        self.unanswered = self.unanswered.max(1);
    }

    /// Takes an error of the client as a whole; `true` when it was the last connection.
    pub(super) fn client_error(&mut self, code: RDKafkaErrorCode, reason: &str) -> bool {
        self.count(code as i32);
        if code == RDKafkaErrorCode::AllBrokersDown {
            self.disconnected();
            return true;
        }
        self.reason = Some((code, gist(reason).to_owned()));
        false
    }

    /// A request failed; returns whether that was for want of an answer.
    pub(super) fn request_failed(&mut self, concern: Concern, error: &KafkaError) -> bool {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
        self.count(code as i32);
        if !is_silence(code) {
            let problem = concern.describe(code as i32);
            self.set(concern, Some(problem));
            return false;
        }
        self.unanswered += 1;
        // One late answer is no outage.
        if self.unanswered > 1 {
            self.up = false;
        }
        true
    }

    /// Begins, changes or ends a problem.
    pub(super) fn set(&mut self, concern: Concern, problem: Option<String>) {
        match problem {
            Some(problem) => {
                self.concerns.insert(concern, problem);
            }
            None => {
                self.concerns.remove(&concern);
            }
        }
    }

    /// What is wrong now.
    pub(super) fn problem(&self) -> Option<String> {
        if !self.up {
            return (self.unanswered > 0).then(|| self.outage());
        }
        let first = self.concerns.values().next()?;
        Some(match self.concerns.len() - 1 {
            0 => first.clone(),
            more => format!("{first} (and {more} more)"),
        })
    }

    fn outage(&self) -> String {
        let at = &self.brokers;
        match &self.reason {
            None => format!("no broker answers at {at}"),
            Some((RDKafkaErrorCode::Authentication, why)) => {
                format!("the broker at {at} refuses the login: {why}")
            }
            Some((RDKafkaErrorCode::SSL, why)) => format!("no TLS connection to {at}: {why}"),
            Some((_, why)) => format!("no broker answers at {at}: {why}"),
        }
    }

    /// Logs what changed since the last call.
    pub(super) fn tell(&mut self) {
        let problem = self.problem();
        if problem == self.told {
            return;
        }
        let source = &*self.source;
        match &problem {
            Some(problem) => warn!(source, problem, "kafka source is impaired"),
            None => info!(source, "kafka source is well again"),
        }
        self.told = problem;
    }
}

/// Whether an error means that nobody answered.
fn is_silence(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::OperationTimedOut
            | Code::TimedOutQueue
            | Code::Resolve
            | Code::WaitingForCoordinator
    )
}

fn words(code: i32) -> String {
    code_name(code).trim_start_matches('_').replace('_', " ")
}

/// The part of librdkafka's reason that says why: without the broker's name before it and the connection's state behind it.
fn gist(reason: &str) -> &str {
    let reason = reason.split_once(": ").map_or(reason, |(_, rest)| rest);
    let reason = reason
        .split_once("failed: ")
        .map_or(reason, |(_, rest)| rest);
    reason
        .split_once(" (after ")
        .map_or(reason, |(why, _)| why)
        .trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health() -> Health {
        Health::new("fraud", &["localhost:9092".to_owned()])
    }

    #[test]
    fn the_reason_of_an_outage_is_told_in_few_words() {
        let check = |code: RDKafkaErrorCode, reason: &str, expected: &str| {
            let mut health = health();
            health.client_error(code, reason);
            health.client_error(RDKafkaErrorCode::AllBrokersDown, "1/1 brokers are down");
            assert_eq!(health.problem().as_deref(), Some(expected), "of {reason}");
        };
        check(
            RDKafkaErrorCode::BrokerTransportFailure,
            "localhost:9092/bootstrap: Connect to ipv4#127.0.0.1:9092 failed: Connection refused (after 0ms in state CONNECT)",
            "no broker answers at localhost:9092: Connection refused",
        );
        check(
            RDKafkaErrorCode::Resolve,
            "kafka:9092/bootstrap: Failed to resolve 'kafka:9092': Name or service not known (after 3ms in state CONNECT)",
            "no broker answers at localhost:9092: Failed to resolve 'kafka:9092': Name or service not known",
        );
        check(
            RDKafkaErrorCode::Authentication,
            "sasl_plaintext://localhost:9092/bootstrap: SASL authentication error: invalid credentials (after 301ms in state AUTH_REQ)",
            "the broker at localhost:9092 refuses the login: SASL authentication error: invalid credentials",
        );
    }

    #[test]
    fn one_late_answer_is_no_outage_and_two_are() {
        let mut health = health();
        health.answered();
        let late = KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut);
        let topic = Concern::Topic("t".to_owned());
        assert!(
            health.request_failed(topic.clone(), &late),
            "counts as silence"
        );
        assert_eq!(health.problem(), None, "after one");
        health.request_failed(topic, &late);
        let expected = "no broker answers at localhost:9092";
        assert_eq!(health.problem().as_deref(), Some(expected), "after two");
    }

    #[test]
    fn the_first_of_several_problems_is_told_with_their_number() {
        let mut health = health();
        health.answered();
        for topic in ["b", "a"] {
            let concern = Concern::Topic(topic.to_owned());
            let problem = concern.describe(3);
            health.set(concern, Some(problem));
        }
        let expected = "topic a does not exist yet (and 1 more)";
        assert_eq!(health.problem().as_deref(), Some(expected), "of two");
        health.set(Concern::Topic("a".to_owned()), None);
        health.set(Concern::Topic("b".to_owned()), None);
        assert_eq!(health.problem(), None, "when both are over");
    }
}

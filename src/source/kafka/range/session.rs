//! A client for as long as a command needs it, and questions that are repeated until they are answered or time is up.

use std::time::Duration;

use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::RangeError;
use crate::clock;
use crate::model::SourceSpec;
use crate::source::kafka::callbacks::{CallbackContext, Event};
use crate::source::kafka::health::{Concern, Health};
use crate::source::kafka::librdkafka::Link;
use crate::source::kafka::list_offsets::Trouble;
use crate::source::kafka::serve;
use crate::source::kafka::settings::{self, SourceError, Timing};

/// How long one question may wait for its answer.
const REQUEST: Duration = Duration::from_secs(5);
/// The pause before a question is repeated.
const PAUSE: Duration = Duration::from_millis(100);

/// A client, and what is known about its connection.
pub(super) struct Session {
    pub(super) link: Link,
    pub(super) health: Health,
    pub(super) patience: Duration,
    source: String,
}

impl Session {
    /// A client for this many partitions.
    pub(super) fn try_new(
        spec: &SourceSpec,
        partitions: usize,
        patience: Duration,
    ) -> Result<Self, SourceError> {
        let config = settings::range_config(&spec.kafka, partitions);
        let consumer =
            BaseConsumer::from_config_and_context(&config, CallbackContext::new(&spec.name))?;
        let link = Link::new(consumer, None, Timing::default().close);
        Ok(Session {
            link: link.ok_or(SourceError::Queue)?,
            health: Health::new(&spec.name, &spec.kafka.brokers),
            patience,
            source: spec.name.clone(),
        })
    }

    /// Asks until there is an answer, or a refusal, or patience is at its end.
    pub(super) fn ask<T>(
        &mut self,
        question: impl Fn(&BaseConsumer<CallbackContext>, Duration) -> Result<T, Trouble>,
    ) -> Result<T, RangeError> {
        let deadline = clock::monotonic() + self.patience;
        loop {
            let left = deadline.saturating_duration_since(clock::monotonic());
            let trouble = match question(self.link.consumer(), left.min(REQUEST)) {
                Ok(answer) => return Ok(answer),
                Err(trouble) => trouble,
            };
            if self.is_final(trouble) || left < PAUSE {
                return Err(self.broken());
            }
            self.link.consumer().poll(PAUSE);
        }
    }

    /// Notes what went wrong; `true` when asking again will not help.
    fn is_final(&mut self, Trouble { concern, error }: Trouble) -> bool {
        self.listen();
        let was_silence = self.health.request_failed(concern, &error);
        if !was_silence {
            self.health.answered();
        }
        matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::UnknownTopicOrPartition
                    | RDKafkaErrorCode::TopicAuthorizationFailed
                    | RDKafkaErrorCode::InvalidTopic
            )
        )
    }

    /// Takes note of what the client tells about its connection.
    pub(super) fn listen(&mut self) {
        let consumer = self.link.consumer();
        serve(consumer, &mut |_| ());
        for event in consumer.context().take() {
            if let Event::Error { code, reason } = event {
                self.health.client_error(code, &reason);
            }
        }
    }

    /// What is wrong with the connection, in one line.
    pub(super) fn problem(&self) -> Option<String> {
        self.health.problem()
    }

    fn broken(&self) -> RangeError {
        let problem = self.problem();
        RangeError::Broker {
            source_name: self.source.clone(),
            problem: problem.unwrap_or_else(|| "no broker answers".to_owned()),
        }
    }

    /// The client did not take what it was told.
    pub(super) fn refused(&self, error: &KafkaError) -> RangeError {
        RangeError::Broker {
            source_name: self.source.clone(),
            problem: error.to_string(),
        }
    }
}

/// A trouble with a topic that is none of the connection.
pub(super) fn trouble(topic: &str, code: RDKafkaErrorCode) -> Trouble {
    Trouble {
        concern: Concern::Topic(topic.to_owned()),
        error: KafkaError::MetadataFetch(code),
    }
}

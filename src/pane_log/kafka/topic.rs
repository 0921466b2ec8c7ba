//! The check that the topic can hold the log, and its creation.
//!
//! A topic is refused if counts would be lost or looked up in the wrong partition, and accepted
//! with a warning if it only makes a loss more likely.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tracing::{info, warn};

use super::client::{RecordLimit, log_client_config};
use super::error::{KafkaLogError, LogAction, TopicOperation, TopicProblem};
use crate::model::PanesTopicSpec;

/// Timeout of a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Size that a broker accepts unless configured otherwise.
const DEFAULT_MESSAGE_BYTES: usize = 1_048_588;
/// Estimated size of one record's counts of a feature: its index, tallies, bin and cell.
const RECORD_BYTES_PER_FEATURE: usize = 20;

/// The requirements of the configuration on the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRequirements {
    /// The longest window of any monitor.
    pub longest_window: Duration,
    /// The source with the most features; `None` if nothing is counted.
    pub widest_source: Option<WidestSource>,
    /// True if a missing topic should be created.
    pub may_create: bool,
}

/// The source whose commits are the largest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WidestSource {
    /// Name of the source.
    pub name: String,
    /// Number of features of its monitors.
    pub features: usize,
}

/// A topic that can hold the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedTopic {
    /// The largest record it accepts.
    pub limit: RecordLimit,
    /// Settings that make a loss more likely.
    pub warnings: Vec<String>,
}

/// The properties of an existing topic that are checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct TopicFacts {
    partitions: usize,
    /// Fewest replicas of any partition.
    replicas: usize,
    settings: BTreeMap<String, String>,
}

/// Creates an admin client.
pub(super) fn admin_client(
    spec: &PanesTopicSpec,
) -> Result<AdminClient<DefaultClientContext>, KafkaLogError> {
    log_client_config(spec, &[])
        .create()
        .map_err(KafkaLogError::client)
}

/// Creates the topic if it is missing and may be created, and checks it.
///
/// # Errors
/// Returns an error if no broker answers, the topic does not exist, or it cannot hold the log.
pub fn ensure(
    spec: &PanesTopicSpec,
    needs: &TopicRequirements,
) -> Result<CheckedTopic, KafkaLogError> {
    let admin = admin_client(spec)?;
    let metadata = admin
        .inner()
        .fetch_metadata(Some(&spec.topic), REQUEST_TIMEOUT)
        .map_err(KafkaLogError::kafka(spec, LogAction::FetchMetadata))?;
    let topic = metadata.topics().first();
    let code = topic
        .and_then(|topic| topic.error())
        .map(RDKafkaErrorCode::from);
    match code {
        // A topic that may not be described does not look missing.
        Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
            return Err(KafkaLogError::unauthorized(spec, TopicOperation::Describe));
        }
        None | Some(RDKafkaErrorCode::UnknownTopicOrPartition) => {}
        Some(code) => {
            let error = KafkaError::MetadataFetch(code);
            return Err(KafkaLogError::kafka(spec, LogAction::FetchMetadata)(error));
        }
    }
    let topic = topic.filter(|topic| code.is_none() && !topic.partitions().is_empty());
    let Some(topic) = topic else {
        let replicas = metadata.brokers().len().clamp(1, 3);
        if !needs.may_create {
            return Err(KafkaLogError::Missing {
                topic: spec.topic.clone(),
                command: create_command(spec, needs, replicas),
            });
        }
        create(spec, needs, &admin, replicas)?;
        let limit = RecordLimit::default();
        return check_record_size(limit, needs)
            .map(|()| CheckedTopic {
                limit,
                warnings: Vec::new(),
            })
            .map_err(|problem| KafkaLogError::unfit(spec, problem));
    };
    let facts = TopicFacts {
        partitions: topic.partitions().len(),
        replicas: topic
            .partitions()
            .iter()
            .map(|partition| partition.replicas().len())
            .min()
            .unwrap_or(0),
        settings: fetch_settings(spec, &admin),
    };
    check(&facts, spec, needs).map_err(|problem| KafkaLogError::unfit(spec, problem))
}

fn create(
    spec: &PanesTopicSpec,
    needs: &TopicRequirements,
    admin: &AdminClient<DefaultClientContext>,
    replicas: usize,
) -> Result<(), KafkaLogError> {
    let settings = settings_for(needs, replicas);
    let count = i32::try_from(spec.partitions).unwrap_or(i32::MAX);
    let replication = TopicReplication::Fixed(i32::try_from(replicas).unwrap_or(1));
    let mut topic = NewTopic::new(&spec.topic, count, replication);
    for (name, value) in &settings {
        topic = topic.set(name, value);
    }
    let options = AdminOptions::new().operation_timeout(Some(REQUEST_TIMEOUT));
    let action = LogAction::CreateTopic;
    let results = pollster::block_on(admin.create_topics([&topic], &options))
        .map_err(KafkaLogError::kafka(spec, action))?;
    match results.into_iter().next() {
        Some(Err((_, code))) if code != RDKafkaErrorCode::TopicAlreadyExists => Err(
            KafkaLogError::kafka(spec, action)(KafkaError::AdminOp(code)),
        ),
        _ => {
            let (topic, partitions) = (&spec.topic, spec.partitions);
            info!(topic, partitions, replicas, "pane log topic created");
            Ok(())
        }
    }
}

/// Returns the settings that pegel gives a new topic.
///
/// Records are kept for twice the longest window, and for a day at least.
fn settings_for(needs: &TopicRequirements, replicas: usize) -> Vec<(&'static str, String)> {
    let day = Duration::from_secs(24 * 3600);
    let retention = (needs.longest_window * 2).max(day);
    vec![
        ("cleanup.policy", "delete".to_owned()),
        ("retention.ms", retention.as_millis().to_string()),
        (
            "min.insync.replicas",
            if replicas > 2 { "2" } else { "1" }.to_owned(),
        ),
        ("message.timestamp.type", "LogAppendTime".to_owned()),
        (
            "max.message.bytes",
            RecordLimit::default().bytes().to_string(),
        ),
        ("compression.type", "producer".to_owned()),
    ]
}

/// Returns the shell command that creates the topic with the same settings.
fn create_command(spec: &PanesTopicSpec, needs: &TopicRequirements, replicas: usize) -> String {
    let settings: String = settings_for(needs, replicas)
        .iter()
        .map(|(name, value)| format!(" --config {name}={value}"))
        .collect();
    format!(
        "kafka-topics --bootstrap-server {} --create --topic {} --partitions {} --replication-factor {replicas}{settings}",
        spec.brokers.join(","),
        spec.topic,
        spec.partitions,
    )
}

/// Fetches the settings of the topic; logs a warning and returns none if that fails.
fn fetch_settings(
    spec: &PanesTopicSpec,
    admin: &AdminClient<DefaultClientContext>,
) -> BTreeMap<String, String> {
    let topic = &spec.topic;
    let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
    let resources = [&ResourceSpecifier::Topic(topic)];
    let answer = pollster::block_on(admin.describe_configs(resources, &options));
    let reason = match answer.map(|results| results.into_iter().next()) {
        Ok(Some(Ok(ConfigResource { entries, .. }))) => {
            return entries
                .into_iter()
                .filter_map(|entry| Some((entry.name, entry.value?)))
                .collect();
        }
        Ok(Some(Err(code))) => code.to_string(),
        Ok(None) => "the answer is empty".to_owned(),
        Err(error) => error.to_string(),
    };
    warn!(
        topic,
        reason, "settings of the pane log topic cannot be fetched and are not checked"
    );
    BTreeMap::new()
}

/// Checks that the topic accepts the counts of one record; a commit of more is cut smaller.
fn check_record_size(limit: RecordLimit, needs: &TopicRequirements) -> Result<(), TopicProblem> {
    let Some(widest) = &needs.widest_source else {
        return Ok(());
    };
    let needed = widest.features * RECORD_BYTES_PER_FEATURE;
    if needed <= limit.bytes() {
        return Ok(());
    }
    Err(TopicProblem::SmallRecords {
        limit: limit.bytes(),
        needed,
        features: widest.features,
        source_name: widest.name.clone(),
    })
}

/// Checks the topic; a setting that is not known is not checked.
fn check(
    facts: &TopicFacts,
    spec: &PanesTopicSpec,
    needs: &TopicRequirements,
) -> Result<CheckedTopic, TopicProblem> {
    if u32::try_from(facts.partitions) != Ok(spec.partitions) {
        return Err(TopicProblem::PartitionCount {
            actual: facts.partitions,
            configured: spec.partitions,
        });
    }
    let setting = |name: &str| facts.settings.get(name).map(String::as_str);
    let number = |name: &str| setting(name).and_then(|value| value.parse::<i128>().ok());
    if let Some(policy) = setting("cleanup.policy").filter(|policy| policy.contains("compact")) {
        return Err(TopicProblem::Compacted {
            policy: policy.to_owned(),
        });
    }
    let longest_window_ms = needs.longest_window.as_millis();
    if let Some(retention_ms) = number("retention.ms").filter(|retention| *retention >= 0)
        && retention_ms < i128::try_from(longest_window_ms).unwrap_or(i128::MAX)
    {
        return Err(TopicProblem::ShortRetention {
            retention_ms,
            longest_window_ms,
        });
    }
    let limit = number("max.message.bytes")
        .and_then(|bytes| usize::try_from(bytes).ok())
        .map_or(RecordLimit::default(), RecordLimit::new);
    check_record_size(limit, needs)?;
    let mut warnings = Vec::new();
    if limit.bytes() < DEFAULT_MESSAGE_BYTES {
        let bytes = limit.bytes();
        warnings.push(format!(
            "max.message.bytes {bytes}: commits are cut smaller than usual; {DEFAULT_MESSAGE_BYTES} or more is recommended"
        ));
    }
    if facts.replicas < 3 {
        let replicas = facts.replicas;
        warnings.push(format!(
            "replication factor {replicas}: commits are lost with the broker; 3 is recommended"
        ));
    }
    if let Some(replicas) = number("min.insync.replicas").filter(|replicas| *replicas < 2) {
        warnings.push(format!(
            "min.insync.replicas {replicas}: an acknowledged commit may be on one broker only; 2 is recommended"
        ));
    }
    if let Some(bytes) = number("retention.bytes").filter(|bytes| *bytes >= 0) {
        warnings.push(format!(
            "retention.bytes {bytes} may delete records that windows still need; use retention.ms alone"
        ));
    }
    Ok(CheckedTopic { limit, warnings })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> PanesTopicSpec {
        PanesTopicSpec {
            topic: "pegel.panes".to_owned(),
            brokers: vec!["a:9092".to_owned(), "b:9092".to_owned()],
            partitions: 8,
            snapshot_interval: Duration::from_secs(300),
            properties: BTreeMap::new(),
        }
    }

    const NEEDS: &TopicRequirements = &TopicRequirements {
        longest_window: Duration::from_secs(3600),
        widest_source: None,
        may_create: false,
    };

    fn facts(partitions: usize, replicas: usize, settings: &[(&str, &str)]) -> TopicFacts {
        TopicFacts {
            partitions,
            replicas,
            settings: settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    #[test]
    fn the_command_contains_every_setting() {
        let expected = "kafka-topics --bootstrap-server a:9092,b:9092 --create --topic pegel.panes --partitions 8 --replication-factor 3 --config cleanup.policy=delete --config retention.ms=86400000 --config min.insync.replicas=2 --config message.timestamp.type=LogAppendTime --config max.message.bytes=4194304 --config compression.type=producer";
        assert_eq!(create_command(&spec(), NEEDS, 3), expected, "as typed");
    }

    #[test]
    fn a_topic_that_would_lose_counts_is_refused() {
        let assert_problem = |facts: TopicFacts, expected: &str| {
            let problem = check(&facts, &spec(), NEEDS).unwrap_err().to_string();
            assert!(problem.contains(expected), "{problem}");
        };
        assert_problem(
            facts(6, 3, &[]),
            "it has 6 partitions and state.panes_partitions is 8",
        );
        assert_problem(
            facts(8, 3, &[("cleanup.policy", "compact,delete")]),
            "compact,delete",
        );
        assert_problem(
            facts(8, 3, &[("retention.ms", "60000")]),
            "60000, shorter than the longest window (3600000 ms)",
        );
    }

    #[test]
    fn a_risky_topic_is_accepted_with_warnings() {
        let assert_warnings = |facts: TopicFacts, expected: usize| {
            let warnings = check(&facts, &spec(), NEEDS).unwrap().warnings;
            assert_eq!(warnings.len(), expected, "{warnings:?}");
        };
        assert_warnings(
            facts(
                8,
                3,
                &[("min.insync.replicas", "2"), ("retention.ms", "-1")],
            ),
            0,
        );
        assert_warnings(
            facts(
                8,
                1,
                &[("min.insync.replicas", "1"), ("retention.bytes", "1000")],
            ),
            3,
        );
        assert_warnings(facts(8, 3, &[]), 0);
    }

    /// The size that the topic accepts was not looked at, and a commit above it was sent again for
    /// ever.
    #[test]
    fn the_largest_record_of_the_topic_is_checked_against_the_widest_source() {
        let limited = |bytes: &str| facts(8, 3, &[("max.message.bytes", bytes)]);
        let needs = TopicRequirements {
            widest_source: Some(WidestSource {
                name: "orders".to_owned(),
                features: 10_000,
            }),
            ..NEEDS.clone()
        };
        let checked = check(&limited("300000"), &spec(), &needs).unwrap();
        assert_eq!(checked.limit, RecordLimit::new(300_000), "limit");
        assert_eq!(checked.warnings.len(), 1, "{:?}", checked.warnings);
        let problem = check(&limited("100000"), &spec(), &needs).unwrap_err();
        assert_eq!(
            problem.to_string(),
            "its max.message.bytes is 100000, and the counts of one record take about 200000 bytes \
             (10000 features of source orders): raise it, or split the monitors over several sources"
        );
        let unknown = check(&facts(8, 3, &[]), &spec(), &needs).unwrap();
        assert_eq!(unknown.limit, RecordLimit::default(), "not known");
    }
}

//! Whether the topic is fit to hold the log, and how one that is would be made.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;
use tracing::{info, warn};

use super::{KafkaLogError, MAX_MESSAGE_BYTES, client_config};
use crate::model::PanesTopicSpec;

const REQUEST: Duration = Duration::from_secs(10);

/// What the windows ask of the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// The longest window of any monitor.
    pub longest_window: Duration,
    /// Whether to create a topic that does not exist.
    pub may_create: bool,
}

/// What is known of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Facts {
    partitions: usize,
    replicas: usize,
    settings: BTreeMap<String, String>,
}

pub(super) fn admin(
    spec: &PanesTopicSpec,
) -> Result<AdminClient<DefaultClientContext>, KafkaLogError> {
    client_config(spec, &[])
        .create()
        .map_err(KafkaLogError::client)
}

/// Creates the topic when it is missing and may be created, and checks that it is fit; returns what is merely unwise.
///
/// # Errors
/// Nobody answers, the topic does not exist, or it is not fit.
pub fn ensure(spec: &PanesTopicSpec, needs: Needs) -> Result<Vec<String>, KafkaLogError> {
    let admin = admin(spec)?;
    let metadata = admin
        .inner()
        .fetch_metadata(Some(&spec.topic), REQUEST)
        .map_err(KafkaLogError::kafka(spec, "no answer about it"))?;
    let found = metadata.topics().first();
    let is_missing = found.is_none_or(|topic| {
        let code = topic.error().map(RDKafkaErrorCode::from);
        code == Some(RDKafkaErrorCode::UnknownTopicOrPartition) || topic.partitions().is_empty()
    });
    if is_missing {
        let replicas = metadata.brokers().len().clamp(1, 3);
        if !needs.may_create {
            return Err(KafkaLogError::Missing {
                topic: spec.topic.clone(),
                command: command(spec, needs, replicas),
            });
        }
        return create(spec, needs, &admin, replicas).map(|()| Vec::new());
    }
    let partitions = found.map(|topic| topic.partitions()).unwrap_or_default();
    let replicas = partitions
        .iter()
        .map(|partition| partition.replicas().len());
    let facts = Facts {
        partitions: partitions.len(),
        replicas: replicas.min().unwrap_or(0),
        settings: settings(spec, &admin),
    };
    let problem = |problem| KafkaLogError::Unfit {
        topic: spec.topic.clone(),
        problem,
    };
    judge(&facts, spec, needs).map_err(problem)
}

fn create(
    spec: &PanesTopicSpec,
    needs: Needs,
    admin: &AdminClient<DefaultClientContext>,
    replicas: usize,
) -> Result<(), KafkaLogError> {
    let settings = wanted(needs, replicas);
    let count = i32::try_from(spec.partitions).unwrap_or(i32::MAX);
    let replication = TopicReplication::Fixed(i32::try_from(replicas).unwrap_or(1));
    let mut topic = NewTopic::new(&spec.topic, count, replication);
    for (name, value) in &settings {
        topic = topic.set(name, value);
    }
    let options = AdminOptions::new().operation_timeout(Some(REQUEST));
    let what = "it cannot be created";
    let results = pollster::block_on(admin.create_topics([&topic], &options))
        .map_err(KafkaLogError::kafka(spec, what))?;
    match results.into_iter().next() {
        Some(Err((_, code))) if code != RDKafkaErrorCode::TopicAlreadyExists => {
            let error = rdkafka::error::KafkaError::AdminOp(code);
            Err(KafkaLogError::kafka(spec, what)(error))
        }
        _ => {
            let (topic, partitions) = (&spec.topic, spec.partitions);
            info!(topic, partitions, replicas, "pane log topic created");
            Ok(())
        }
    }
}

/// The settings of a topic as this program would make it.
fn wanted(needs: Needs, replicas: usize) -> Vec<(&'static str, String)> {
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
        ("max.message.bytes", MAX_MESSAGE_BYTES.to_owned()),
        ("compression.type", "producer".to_owned()),
    ]
}

/// What a person types to create the topic.
fn command(spec: &PanesTopicSpec, needs: Needs, replicas: usize) -> String {
    let settings = wanted(needs, replicas);
    let settings: Vec<String> = settings
        .iter()
        .map(|(name, value)| format!(" --config {name}={value}"))
        .collect();
    format!(
        "kafka-topics --bootstrap-server {} --create --topic {} --partitions {} --replication-factor {replicas}{}",
        spec.brokers.join(","),
        spec.topic,
        spec.partitions,
        settings.concat()
    )
}

/// The topic's settings; nothing where they cannot be asked for, which is said.
fn settings(
    spec: &PanesTopicSpec,
    admin: &AdminClient<DefaultClientContext>,
) -> BTreeMap<String, String> {
    let topic = &spec.topic;
    let options = AdminOptions::new().request_timeout(Some(REQUEST));
    let asked = [&ResourceSpecifier::Topic(topic)];
    let answer = pollster::block_on(admin.describe_configs(asked, &options));
    let resource = answer.map(|results| results.into_iter().next());
    match resource {
        Ok(Some(Ok(ConfigResource { entries, .. }))) => entries
            .into_iter()
            .filter_map(|entry| Some((entry.name, entry.value?)))
            .collect(),
        other => {
            let reason = format!("{:?}", other.map(|found| found.map(|found| found.err())));
            warn!(
                topic,
                reason, "pane log topic: its settings cannot be asked for and are not checked"
            );
            BTreeMap::new()
        }
    }
}

/// Warnings, or why the topic must not be used.
fn judge(facts: &Facts, spec: &PanesTopicSpec, needs: Needs) -> Result<Vec<String>, String> {
    let (found, wanted) = (facts.partitions, spec.partitions);
    if u32::try_from(found) != Ok(wanted) {
        return Err(format!(
            "it has {found} partitions and state.panes_partitions is {wanted}; the number must never change, because shards are spread by it"
        ));
    }
    let setting = |name: &str| facts.settings.get(name).map(String::as_str);
    if let Some(policy) = setting("cleanup.policy").filter(|policy| policy.contains("compact")) {
        return Err(format!(
            "its cleanup.policy is {policy}: compaction would remove commits, only delete is accepted"
        ));
    }
    let number = |name: &str| setting(name).and_then(|value| value.parse::<i128>().ok());
    let window_ms = needs.longest_window.as_millis();
    if let Some(retention_ms) = number("retention.ms").filter(|retention| *retention >= 0)
        && retention_ms < i128::try_from(window_ms).unwrap_or(i128::MAX)
    {
        return Err(format!(
            "its retention.ms is {retention_ms}, shorter than the longest window ({window_ms} ms)"
        ));
    }
    let mut warnings = Vec::new();
    if facts.replicas < 3 {
        let replicas = facts.replicas;
        warnings.push(format!(
            "replication factor {replicas}: commits are lost with the broker; 3 is advised"
        ));
    }
    if let Some(least) = number("min.insync.replicas").filter(|least| *least < 2) {
        warnings.push(format!("min.insync.replicas {least}: an acknowledged commit may be on one broker only; 2 is advised"));
    }
    if let Some(bytes) = number("retention.bytes").filter(|bytes| *bytes >= 0) {
        warnings.push(format!("retention.bytes {bytes} may remove what windows still need; retention.ms alone is advised"));
    }
    Ok(warnings)
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

    const NEEDS: Needs = Needs {
        longest_window: Duration::from_secs(3600),
        may_create: false,
    };

    fn facts(partitions: usize, replicas: usize, settings: &[(&str, &str)]) -> Facts {
        let settings = settings.iter();
        Facts {
            partitions,
            replicas,
            settings: settings
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    #[test]
    fn the_command_is_complete() {
        let expected = "kafka-topics --bootstrap-server a:9092,b:9092 --create --topic pegel.panes --partitions 8 --replication-factor 3 --config cleanup.policy=delete --config retention.ms=86400000 --config min.insync.replicas=2 --config message.timestamp.type=LogAppendTime --config max.message.bytes=4194304 --config compression.type=producer";
        assert_eq!(command(&spec(), NEEDS, 3), expected, "as typed");
    }

    #[test]
    fn what_would_lose_counts_is_refused() {
        let check = |facts: Facts, expected: &str| {
            let found = judge(&facts, &spec(), NEEDS).unwrap_err();
            assert!(found.contains(expected), "{found}");
        };
        check(
            facts(6, 3, &[]),
            "it has 6 partitions and state.panes_partitions is 8",
        );
        check(
            facts(8, 3, &[("cleanup.policy", "compact,delete")]),
            "compact,delete",
        );
        check(
            facts(8, 3, &[("retention.ms", "60000")]),
            "60000, shorter than the longest window (3600000 ms)",
        );
    }

    #[test]
    fn what_is_unwise_is_warned_about() {
        let check = |facts: Facts, expected: usize| {
            let found = judge(&facts, &spec(), NEEDS).unwrap();
            assert_eq!(found.len(), expected, "{found:?}");
        };
        check(
            facts(
                8,
                3,
                &[("min.insync.replicas", "2"), ("retention.ms", "-1")],
            ),
            0,
        );
        check(
            facts(
                8,
                1,
                &[("min.insync.replicas", "1"), ("retention.bytes", "1000")],
            ),
            3,
        );
        check(facts(8, 3, &[]), 0);
    }
}

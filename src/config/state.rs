//! The pane log: a directory, or a Kafka topic with everything that belongs to it.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use super::defaults;
use super::effective::State;
use super::kafka::{self, brokers, properties};
use super::reader::{Item, Table};
use super::source_map::{ClientUser, OptionSubject};
use crate::model::{PanesTopicSpec, SourceSpec, duration};

/// The largest accepted number of partitions of the pane log.
const MAX_PARTITIONS: u64 = 10_000;

/// Options that only a pane log on Kafka has.
const TOPIC_OPTIONS: [&str; 4] = [
    "brokers",
    "panes_partitions",
    "snapshot_interval",
    "properties",
];

/// Reads the options of the pane log.
pub(super) fn read(table: Option<&Table<'_>>, sources: &[SourceSpec], directory: &Path) -> State {
    let mut state = State {
        path: Some(directory.join(defaults::STATE_PATH)),
        panes: None,
        flush_interval: defaults::FLUSH_INTERVAL,
    };
    let Some(table) = table else {
        return state;
    };
    if let Some(path) = table.get("path").and_then(|item| item.text()) {
        state.path = Some(directory.join(path));
    }
    state.panes = panes(table, sources);
    if state.panes.is_some() {
        reject_shared_groups(table, sources);
        state.flush_interval = defaults::PANES_FLUSH_INTERVAL;
    }
    if let Some(interval) = interval(table, "flush_interval", defaults::FLUSH_INTERVALS) {
        state.flush_interval = interval;
    }
    table.finish();
    state
}

/// Reads a duration in a range.
fn interval(
    table: &Table<'_>,
    option: &'static str,
    range: RangeInclusive<Duration>,
) -> Option<Duration> {
    let item = table.get(option)?;
    let interval = item.duration()?;
    if range.contains(&interval) {
        return Some(interval);
    }
    let [min, max] = [range.start(), range.end()].map(|bound| duration::format(*bound));
    item.expected(&format!("a duration between {min} and {max}"))
}

/// Reports sources that would share a topic in one consumer group: each would get half of it.
fn reject_shared_groups(table: &Table<'_>, sources: &[SourceSpec]) {
    for (index, source) in sources.iter().enumerate() {
        let kafka = &source.kafka;
        let sharing = sources[..index].iter().find(|earlier| {
            earlier.kafka.group_id == kafka.group_id
                && earlier
                    .kafka
                    .topics
                    .iter()
                    .any(|topic| kafka.topics.contains(topic))
        });
        if let Some(earlier) = sharing {
            table.item().error(format!(
                "sources {} and {} would share the group {:?}, so each would get only some of the \
                 partitions of their common topic: give one of them another kafka.group_id, or let \
                 both monitors use one source",
                earlier.name, source.name, kafka.group_id
            ));
        }
    }
}

fn panes_partitions(table: &Table<'_>) -> Option<u32> {
    let item = table.get("panes_partitions")?;
    let partitions = item.whole(1)?;
    if partitions > MAX_PARTITIONS {
        return item.expected(&format!("at most {MAX_PARTITIONS} partitions"));
    }
    u32::try_from(partitions).ok()
}

/// Reads the topic of the pane log, with everything that belongs to it.
fn panes(table: &Table<'_>, sources: &[SourceSpec]) -> Option<PanesTopicSpec> {
    table
        .item()
        .record_location(OptionSubject::ClientUser(ClientUser::PaneLog));
    let topic = table.get("panes_topic");
    let broker_list = table.get("brokers");
    let partitions = panes_partitions(table);
    let snapshot_interval = interval(table, "snapshot_interval", defaults::SNAPSHOT_INTERVALS);
    let properties = table
        .get("properties")
        .and_then(|item| item.table())
        .map(|table| properties(&ClientUser::PaneLog, &table));
    let Some(topic) = topic else {
        for item in TOPIC_OPTIONS.iter().filter_map(|option| table.get(option)) {
            item.error("has no effect without state.panes_topic");
        }
        return None;
    };
    let brokers = match broker_list {
        Some(item) => brokers(&item),
        None => shared_brokers(&topic, sources),
    };
    let name = kafka::topic(&topic)?;
    if let Some(source) = sources
        .iter()
        .find(|source| source.kafka.topics.contains(&name))
    {
        topic.error(format!(
            "{name:?} is a topic of source {}, expected a topic that only the pane log uses",
            source.name
        ));
    }
    Some(PanesTopicSpec {
        topic: name,
        brokers: brokers?,
        partitions: partitions.unwrap_or(defaults::PANES_PARTITIONS),
        snapshot_interval: snapshot_interval.unwrap_or(defaults::SNAPSHOT_INTERVAL),
        properties: properties.unwrap_or_default(),
    })
}

/// The brokers of the sources, if all sources have the same.
fn shared_brokers(topic: &Item<'_>, sources: &[SourceSpec]) -> Option<Vec<String>> {
    let brokers = &sources.first()?.kafka.brokers;
    if sources
        .iter()
        .any(|source| source.kafka.brokers != *brokers)
    {
        topic.error("the sources have different brokers, set state.brokers for this topic");
    }
    Some(brokers.clone())
}

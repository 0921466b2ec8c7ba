//! Sources: brokers, topics, the consumer group, and librdkafka properties.

use std::collections::BTreeMap;

use super::defaults;
use super::reader::{Item, Table};
use super::source_map::{ClientUser, OptionSubject};
use crate::model::{EventTime, KafkaSpec, SourceSpec, StartAt, suggest};

/// librdkafka properties that pegel sets itself, and what to do instead.
const RESERVED_PROPERTIES: &[(&str, &str)] = &[
    ("bootstrap.servers", "use kafka.brokers"),
    ("metadata.broker.list", "use kafka.brokers"),
    ("group.id", "use kafka.group_id"),
    (
        "enable.auto.commit",
        "offsets are committed when counts are safe",
    ),
    (
        "enable.auto.offset.store",
        "offsets are committed when counts are safe",
    ),
    ("auto.offset.reset", "use kafka.start"),
    ("isolation.level", "aborted records are never read"),
    (
        "partition.assignment.strategy",
        "members of the group use the eager protocol",
    ),
    (
        "group.protocol",
        "members of the group use the eager protocol",
    ),
    (
        "enable.partition.eof",
        "ends of partitions are always watched",
    ),
];

/// Prefixes of properties that belong to `kafka.security`.
const SECURITY_PREFIXES: [&str; 3] = ["security.", "ssl.", "sasl."];

/// Decoders that are planned but not built.
const RESERVED_FORMATS: [&str; 3] = ["avro", "protobuf", "kserve"];

/// Reads all sources, in the order of the file. Sources with problems are left out.
pub(super) fn sources(table: &Table<'_>) -> Vec<SourceSpec> {
    let Some((item, sources)) = table
        .need("sources", "a mapping of at least one source by name")
        .and_then(|item| Some((item.clone(), item.table()?)))
    else {
        return Vec::new();
    };
    let entries = sources.entries();
    if entries.is_empty() {
        item.error("expected at least one source, found an empty mapping");
    }
    entries
        .iter()
        .filter_map(|(name, item)| source(name, item))
        .collect()
}

fn source(name: &str, item: &Item<'_>) -> Option<SourceSpec> {
    let client = ClientUser::Source(name.to_owned());
    item.record_location(OptionSubject::ClientUser(client.clone()));
    let table = item.table()?;
    let kafka = table
        .need("kafka", "brokers and topics")
        .and_then(|item| item.table())
        .and_then(|table| kafka(&client, &table));
    if let Some(decode) = table.get("decode").and_then(|item| item.table()) {
        if let Some(format) = decode.get("format") {
            check_format(&format);
        }
        decode.finish();
    }
    table.finish();
    Some(SourceSpec {
        name: name.to_owned(),
        kafka: kafka?,
    })
}

fn check_format(item: &Item<'_>) {
    let Some(format) = item.text() else {
        return;
    };
    let accepted = defaults::DECODE_FORMAT;
    if RESERVED_FORMATS.contains(&format.as_str()) {
        item.error(format!(
            "{format:?} is not supported yet, accepted: {accepted}"
        ));
    } else if format != accepted {
        let suggestion = suggest(&format, &[accepted]);
        item.error(format!("unknown value {format:?}, {suggestion}"));
    }
}

fn kafka(client: &ClientUser, table: &Table<'_>) -> Option<KafkaSpec> {
    let brokers = table
        .need("brokers", "a list of host:port")
        .and_then(|item| names(&item, "broker"));
    let topics = table
        .need("topics", "a list of topic names")
        .and_then(|item| topics(&item));
    let group_id = table.get("group_id").and_then(|item| item.name());
    let start = table.get("start").and_then(|item| start(&item));
    let properties = table
        .get("properties")
        .and_then(|item| item.table())
        .map(|table| properties(client, &table));
    table.reserve(&["security"]);
    table.finish();
    Some(KafkaSpec {
        brokers: brokers?,
        topics: topics?,
        group_id: group_id.unwrap_or_else(|| defaults::GROUP_ID.to_owned()),
        start: start.unwrap_or(defaults::START.1),
        properties: properties.unwrap_or_default(),
    })
}

/// Reads a list of at least one topic, each of them once: a topic that is listed twice would be
/// read once, and the list would promise more.
fn topics(item: &Item<'_>) -> Option<Vec<String>> {
    let topics = names(item, "topic")?;
    for (index, listed) in item.list()?.iter().enumerate() {
        if topics[..index].contains(&topics[index]) {
            listed.error(format!(
                "topic {:?} is listed twice, accepted: each topic once",
                topics[index]
            ));
        }
    }
    Some(topics)
}

/// Reads a list of at least one name.
pub(super) fn names(item: &Item<'_>, noun: &str) -> Option<Vec<String>> {
    let items = item.non_empty_list(noun)?;
    let names: Vec<String> = items.iter().filter_map(Item::name).collect();
    (names.len() == items.len()).then_some(names)
}

fn start(item: &Item<'_>) -> Option<StartAt> {
    if !item.is_table() {
        return item.choice(&[defaults::START, ("earliest", StartAt::Earliest)]);
    }
    let table = item.table()?;
    let accepted = "a time such as 2026-11-01T00:00:00Z";
    let time = table.need("timestamp", accepted)?;
    let timestamp = time
        .text()?
        .parse::<jiff::Timestamp>()
        .ok()
        .or_else(|| time.expected(accepted));
    table.finish();
    timestamp.map(|time| StartAt::Timestamp(EventTime::from_millis(time.as_millisecond())))
}

/// Reads librdkafka properties. librdkafka checks names and values later.
pub(super) fn properties(client: &ClientUser, table: &Table<'_>) -> BTreeMap<String, String> {
    let mut properties = BTreeMap::new();
    for (name, item) in table.entries() {
        item.record_location(OptionSubject::Property {
            client: client.clone(),
            property: name.clone(),
        });
        let reserved = RESERVED_PROPERTIES
            .iter()
            .find(|(reserved, _)| *reserved == name)
            .map(|(_, instead)| *instead);
        let is_security = SECURITY_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix));
        match reserved.or(is_security.then_some("kafka.security is not supported yet")) {
            Some(instead) => item.error(format!("cannot be set here: {instead}")),
            None => properties.extend(item.property().map(|value| (name, value))),
        }
    }
    properties
}

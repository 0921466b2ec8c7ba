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

/// Reads the names of all sources, those with problems included.
pub(super) fn source_names(table: &Table<'_>) -> Vec<String> {
    table
        .get("sources")
        .filter(Item::is_table)
        .and_then(|item| item.table())
        .map_or_else(Vec::new, |sources| {
            sources
                .entries()
                .into_iter()
                .map(|(name, _)| name)
                .collect()
        })
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
        .and_then(|item| brokers(&item));
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
    let topics = entries(item, "topic", topic)?;
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

/// Reads a list of at least one broker.
pub(super) fn brokers(item: &Item<'_>) -> Option<Vec<String>> {
    entries(item, "broker", broker)
}

/// Reads a list of at least one `noun`.
fn entries(
    item: &Item<'_>,
    noun: &str,
    read: impl Fn(&Item<'_>) -> Option<String>,
) -> Option<Vec<String>> {
    let items = item.non_empty_list(noun)?;
    let texts: Vec<String> = items.iter().filter_map(read).collect();
    (texts.len() == items.len()).then_some(texts)
}

/// Reads the address of a broker, or several separated by commas as in `bootstrap.servers`.
fn broker(item: &Item<'_>) -> Option<String> {
    let text = item.text()?;
    if text.split(',').all(|address| is_address(address.trim())) {
        return Some(text);
    }
    item.expected("host:port such as \"localhost:9092\"")
}

/// True for `host:port`. An IPv6 address stands in brackets, and librdkafka allows the protocol
/// before it.
fn is_address(text: &str) -> bool {
    let address = text.strip_prefix("PLAINTEXT://").unwrap_or(text);
    let Some((host, port)) = address.rsplit_once(':') else {
        return false;
    };
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit())
        && port.parse::<u16>().is_ok_and(|port| port > 0);
    let is_host = match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
        }
    };
    is_host && is_port
}

/// Reads the name of a topic, as Kafka allows it.
pub(super) fn topic(item: &Item<'_>) -> Option<String> {
    const MAX_BYTES: usize = 249;
    let text = item.text()?;
    if text.starts_with('^') {
        item.error(format!(
            "patterns are not supported yet, expected the name of a topic, found {text:?}"
        ));
        return None;
    }
    let is_legal = (1..=MAX_BYTES).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        && !matches!(text.as_str(), "." | "..");
    if is_legal {
        return Some(text);
    }
    item.expected(&format!(
        "a topic name of 1 to {MAX_BYTES} letters, digits, \".\", \"_\" and \"-\""
    ))
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

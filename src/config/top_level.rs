//! The top level of a configuration: web, state, limits, sources.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use super::reader::{Item, Table};
use super::{Client, Config, Limits, SourceMap, State, Subject, Web, defaults, monitor};
use crate::model::{EventTime, KafkaSpec, MonitorSpec, PanesTopicSpec, SourceSpec, StartAt};

/// The longest silence of a live partition in the pane log.
const LONGEST_HEARTBEAT: Duration = Duration::from_secs(30);

/// librdkafka properties the daemon sets itself, and the option that stands for each.
const OWNED: &[(&str, &str)] = &[
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

/// Reads the whole configuration; `None` only with a problem.
pub(super) fn read(root: &Item<'_>, directory: &Path) -> Option<Config> {
    let table = root.table()?;
    if let Some(version) = table.need("version", "this is version 1, write `version: 1`")
        && version.whole(1).is_some_and(|found| found != 1)
    {
        version.complain("this program reads version 1");
    }
    let web = web(table.get("web").and_then(|item| item.table()));
    let limits = limits(table.get("limits").and_then(|item| item.table()));
    let sources = sources(&table);
    let state = state(
        table.get("state").and_then(|item| item.table()),
        &sources,
        directory,
    );
    let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
    let defaults = table.get("defaults");
    let items = table
        .need("monitors", "a list of at least one monitor")
        .and_then(|item| item.list());
    let monitors = monitor::read_all(
        &items.unwrap_or_default(),
        defaults.as_ref(),
        &names,
        directory,
    );
    let too_short = |monitor: &&MonitorSpec| {
        let lateness = &monitor.lateness;
        let rhythm = state
            .flush_interval
            .max((lateness.idle_after / 2).min(LONGEST_HEARTBEAT));
        lateness.stall_after < rhythm * 3
    };
    if let Some(monitor) = monitors.iter().find(too_short) {
        table.item().complain(format!(
            "lateness.stall_after of monitor {} is shorter than three signs of life of a silent partition (one per flush_interval, or half of idle_after up to 30s)",
            monitor.name
        ));
    }
    if items_are_empty(&table) {
        table
            .item()
            .complain("\"monitors\" is empty: at least one is needed");
    }
    table.finish();
    Some(Config {
        web,
        state,
        limits,
        sources,
        monitors,
        places: SourceMap::default(),
    })
}

fn items_are_empty(table: &Table<'_>) -> bool {
    table
        .get("monitors")
        .filter(Item::is_list)
        .and_then(|item| item.list())
        .is_some_and(|items| items.is_empty())
}

fn web(table: Option<Table<'_>>) -> Web {
    let mut web = Web {
        listen_address: defaults::LISTEN_ADDRESS.to_owned(),
        enable_reload: false,
    };
    let Some(table) = table else {
        return web;
    };
    if let Some(item) = table.get("listen_address")
        && let Some(address) = item.text()
    {
        let port = address
            .rsplit_once(':')
            .and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
        match port {
            Some((host, _)) if !host.is_empty() => web.listen_address = address,
            _ => item.complain(format!(
                "expected host:port, as \"{}\", found {address:?}",
                defaults::LISTEN_ADDRESS
            )),
        }
    }
    web.enable_reload = table
        .get("enable_reload")
        .and_then(|item| item.boolean())
        .unwrap_or(false);
    table.reserve(&["tls", "auth"]);
    table.finish();
    web
}

fn state(table: Option<Table<'_>>, sources: &[SourceSpec], directory: &Path) -> State {
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
    state.panes = panes(&table, sources);
    if state.panes.is_some() {
        refuse_shared_groups(&table, sources);
        state.flush_interval = defaults::PANES_FLUSH_INTERVAL;
    }
    let range = Duration::from_millis(100)..=Duration::from_secs(60);
    if let Some(interval) = interval(&table, "flush_interval", range, "100ms and 60s") {
        state.flush_interval = interval;
    }
    table.finish();
    state
}

fn interval(
    table: &Table<'_>,
    option: &'static str,
    range: RangeInclusive<Duration>,
    words: &str,
) -> Option<Duration> {
    let item = table.get(option)?;
    let interval = item.duration()?;
    if !range.contains(&interval) {
        item.complain(format!("expected between {words}"));
        return None;
    }
    Some(interval)
}

/// Two sources that read a topic as members of the same group would get half of it each.
fn refuse_shared_groups(table: &Table<'_>, sources: &[SourceSpec]) {
    for (place, one) in sources.iter().enumerate() {
        let (kafka, before) = (&one.kafka, &sources[..place]);
        let shares = |other: &&SourceSpec| {
            other.kafka.group_id == kafka.group_id
                && other
                    .kafka
                    .topics
                    .iter()
                    .any(|topic| kafka.topics.contains(topic))
        };
        if let Some(other) = before.iter().find(shares) {
            table.item().complain(format!(
                "with panes_topic, sources {} and {} would share the group {:?} and get half of their topic each: give one of them another kafka.group_id, or let both monitors read one source",
                other.name, one.name, kafka.group_id
            ));
        }
    }
}

fn panes_partitions(table: &Table<'_>) -> Option<u32> {
    let item = table.get("panes_partitions")?;
    let count = u32::try_from(item.count(1)?).ok();
    let count = count.filter(|count| *count <= 10_000);
    if count.is_none() {
        item.complain("expected at most 10000");
    }
    count
}

/// The pane log's topic, with everything that belongs to it.
fn panes(table: &Table<'_>, sources: &[SourceSpec]) -> Option<PanesTopicSpec> {
    table.item().mark(Subject::Client(Client::PaneLog));
    let topic = table.get("panes_topic");
    let brokers = table.get("brokers");
    let partitions = panes_partitions(table);
    let range = Duration::from_secs(1)..=Duration::from_secs(3600);
    let snapshot_interval = interval(table, "snapshot_interval", range, "1s and 1h");
    let extra = table.get("properties").and_then(|item| item.table());
    let own = extra.map(|table| properties(&Client::PaneLog, &table));
    let Some(topic) = topic else {
        for option in [
            "brokers",
            "panes_partitions",
            "snapshot_interval",
            "properties",
        ] {
            if let Some(item) = table.get(option) {
                item.complain("belongs to a pane log on Kafka: it needs state.panes_topic");
            }
        }
        return None;
    };
    let shared = || {
        let first = sources.first().map(|source| &source.kafka.brokers)?;
        let is_shared = sources.iter().all(|source| source.kafka.brokers == *first);
        if !is_shared {
            topic.complain(
                "the sources name different brokers: say in state.brokers where this topic is",
            );
        }
        Some(first.clone())
    };
    let found = match brokers {
        Some(item) => texts(Some(item)),
        None => shared(),
    };
    let name = topic.name()?;
    if let Some(source) = sources
        .iter()
        .find(|source| source.kafka.topics.contains(&name))
    {
        topic.complain(format!(
            "{name} is a topic of source {}: the pane log needs one of its own",
            source.name
        ));
    }
    Some(PanesTopicSpec {
        topic: name,
        brokers: found?,
        partitions: partitions.unwrap_or(defaults::PANES_PARTITIONS),
        snapshot_interval: snapshot_interval.unwrap_or(defaults::SNAPSHOT_INTERVAL),
        properties: own.unwrap_or_default(),
    })
}

fn limits(table: Option<Table<'_>>) -> Limits {
    let mut limits = Limits {
        max_series: defaults::MAX_SERIES,
        max_message_bytes: defaults::MAX_MESSAGE_BYTES,
        shutdown_grace: defaults::SHUTDOWN_GRACE,
    };
    let Some(table) = table else {
        return limits;
    };
    if let Some(count) = table.get("max_series").and_then(|item| item.count(1)) {
        limits.max_series = count;
    }
    if let Some(bytes) = table.get("max_message_bytes").and_then(|item| item.size()) {
        limits.max_message_bytes = bytes;
    }
    if let Some(grace) = table.get("shutdown_grace").and_then(|item| item.duration()) {
        limits.shutdown_grace = grace;
    }
    table.finish();
    limits
}

fn sources(table: &Table<'_>) -> Vec<SourceSpec> {
    let Some(item) = table.need("sources", "at least one source of records") else {
        return Vec::new();
    };
    let Some(sources) = item.table() else {
        return Vec::new();
    };
    let entries = sources.entries();
    if entries.is_empty() {
        item.complain("at least one source is needed");
    }
    entries
        .iter()
        .filter_map(|(name, item)| source(name, item))
        .collect()
}

fn source(name: &str, item: &Item<'_>) -> Option<SourceSpec> {
    let client = Client::Source(name.to_owned());
    item.mark(Subject::Client(client.clone()));
    let table = item.table()?;
    let kafka = table
        .need("kafka", "where the records are")
        .and_then(|item| item.table())
        .and_then(|table| kafka(&client, table));
    if let Some(decode) = table.get("decode").and_then(|item| item.table()) {
        if let Some(format) = decode.get("format") {
            let later = ["avro", "protobuf", "kserve"];
            match format.text().as_deref() {
                Some(text) if later.contains(&text) => {
                    format.complain("not supported yet: json is")
                }
                Some("json") | None => {}
                Some(_) => format.complain("unknown value, accepted: json"),
            }
        }
        decode.finish();
    }
    table.finish();
    Some(SourceSpec {
        name: name.to_owned(),
        kafka: kafka?,
    })
}

fn kafka(client: &Client, table: Table<'_>) -> Option<KafkaSpec> {
    let brokers = texts(table.need("brokers", "a list of host:port"));
    let topics = texts(table.need("topics", "a list of topic names"));
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
        start: start.unwrap_or(StartAt::Latest),
        properties: properties.unwrap_or_default(),
    })
}

fn texts(item: Option<Item<'_>>) -> Option<Vec<String>> {
    let item = item?;
    let items = item.list()?;
    if items.is_empty() {
        item.complain("at least one is needed");
    }
    let found: Vec<String> = items.iter().filter_map(Item::name).collect();
    (found.len() == items.len()).then_some(found)
}

fn start(item: &Item<'_>) -> Option<StartAt> {
    if !item.is_table() {
        return item.choice(&[("latest", StartAt::Latest), ("earliest", StartAt::Earliest)]);
    }
    let table = item.table()?;
    let time = table.need("timestamp", "a time as 2026-11-01T00:00:00Z")?;
    let parsed = time.text()?.parse::<jiff::Timestamp>();
    if parsed.is_err() {
        time.complain("expected a time as 2026-11-01T00:00:00Z");
    }
    table.finish();
    parsed
        .ok()
        .map(|time| StartAt::Timestamp(EventTime::from_millis(time.as_millisecond())))
}

fn properties(client: &Client, table: &Table<'_>) -> BTreeMap<String, String> {
    let mut properties = BTreeMap::new();
    for (name, item) in table.entries() {
        item.mark(Subject::Property {
            client: client.clone(),
            property: name.clone(),
        });
        let owned = OWNED
            .iter()
            .find(|(owned, _)| *owned == name)
            .map(|(_, instead)| *instead);
        let is_secret = ["security.", "ssl.", "sasl."]
            .iter()
            .any(|prefix| name.starts_with(prefix));
        match owned.or(is_secret.then_some("kafka.security is not supported yet")) {
            Some(instead) => item.complain(format!("belongs to the daemon: {instead}")),
            None => drop(item.property().map(|value| properties.insert(name, value))),
        }
    }
    properties
}

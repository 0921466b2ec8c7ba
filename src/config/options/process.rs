//! Options of the process: the top level, the HTTP server, the pane log, limits and sources.

use super::doc::{OptionDoc, option};
use crate::config::defaults::{self, DefaultValue};
use crate::model::SourceSpec;

/// The options of this file, table by table.
pub(super) const PROCESS: &[OptionDoc] = &[
    option(
        "version",
        "`1`",
        DefaultValue::Required,
        "Version of the configuration format.",
        &[("2", "expected version 1, found 2")],
    ),
    option(
        "web",
        "mapping",
        DefaultValue::None,
        "The HTTP server: metrics, API and page. See [web](#web).",
        &[("here", "expected a mapping (key: value), found \"here\"")],
    ),
    option(
        "state",
        "mapping",
        DefaultValue::None,
        "The pane log. See [state](#state).",
        &[("[a]", "expected a mapping (key: value), found a list")],
    ),
    option(
        "limits",
        "mapping",
        DefaultValue::None,
        "Limits of memory and time. See [limits](#limits).",
        &[("5", "expected a mapping (key: value), found 5")],
    ),
    option(
        "sources",
        "mapping by name",
        DefaultValue::Required,
        "At least one source of records. The name is a label of metrics. See [sources](#sources).",
        &[("[a]", "expected a mapping (key: value), found a list")],
    ),
    option(
        "defaults",
        "mapping",
        DefaultValue::None,
        "Options of a monitor that apply to every monitor without that option. `timestamp` and \
         `lateness` are merged key by key, everything else is taken as a whole.",
        &[
            ("[a]", "expected a mapping (key: value), found a list"),
            (
                "{windwos: [{size: 15m}]}",
                "unknown option, did you mean \"windows\"?",
            ),
        ],
    ),
    option(
        "monitors",
        "list",
        DefaultValue::Required,
        "At least one monitor. See [monitors](#monitors).",
        &[
            ("{}", "expected a list, found a mapping"),
            ("[]", "expected at least one monitor, found an empty list"),
        ],
    ),
    option(
        "web.listen_address",
        "`host:port`",
        DefaultValue::Text(defaults::LISTEN_ADDRESS),
        "Address of the HTTP server. Use `0.0.0.0:10987` to serve other machines; there is no \
         authentication.",
        &[(
            "here",
            "expected host:port such as \"127.0.0.1:10987\", found \"here\"",
        )],
    ),
    option(
        "web.enable_reload",
        "`true` or `false`",
        DefaultValue::Flag(defaults::ENABLE_RELOAD),
        "Serves `POST /-/reload`. A reload by `SIGHUP` always works.",
        &[("yes", "expected true or false, found \"yes\"")],
    ),
    option(
        "state.path",
        "path",
        DefaultValue::Text(defaults::STATE_PATH),
        "Directory of the pane log, relative to the configuration file. One process per directory. \
         Unused with `panes_topic`.",
        &[("5", "expected a string, found 5")],
    ),
    option(
        "state.flush_interval",
        "duration, 100ms to 1m",
        DefaultValue::FlushInterval(defaults::FLUSH_INTERVAL, defaults::PANES_FLUSH_INTERVAL),
        "Time between two commits of counts. Windows are evaluated after a commit.",
        &[
            (
                "5",
                "expected a duration with a unit such as \"30s\" or \"15m\", found 5",
            ),
            (
                "5m",
                "expected a duration between 100ms and 1m, found \"5m\"",
            ),
        ],
    ),
    option(
        "state.panes_topic",
        "topic name",
        DefaultValue::None,
        "Keeps the pane log in this Kafka topic, for several processes. No source may read it.",
        &[(
            "inference",
            "\"inference\" is a topic of source events, expected a topic that only the pane log uses",
        )],
    ),
    option(
        "state.panes_partitions",
        "whole number, 1 to 10000",
        DefaultValue::Count(defaults::PANES_PARTITIONS as u64),
        "Number of partitions of `panes_topic`. It must never change.",
        &[
            ("0", "expected a whole number of at least 1, found 0"),
            ("20000", "expected at most 10000 partitions, found 20000"),
        ],
    ),
    option(
        "state.brokers",
        "list of `host:port`",
        DefaultValue::Described("the brokers of the sources"),
        "Brokers of `panes_topic`. Required if the sources have different brokers.",
        &[("[]", "expected at least one broker, found an empty list")],
    ),
    option(
        "state.snapshot_interval",
        "duration, 1s to 1h",
        DefaultValue::Duration(defaults::SNAPSHOT_INTERVAL),
        "Time between two snapshots of a scorer in `panes_topic`.",
        &[("2h", "expected a duration between 1s and 1h, found \"2h\"")],
    ),
    option(
        "state.properties",
        "mapping",
        DefaultValue::None,
        "librdkafka properties of the clients of `panes_topic`, with the same exceptions as \
         `sources.*.kafka.properties`.",
        &[("[a]", "expected a mapping (key: value), found a list")],
    ),
    option(
        "limits.max_series",
        "whole number, at least 1",
        DefaultValue::Count(defaults::MAX_SERIES as u64),
        "A configuration that may export more series does not start.",
        &[(
            "many",
            "expected a whole number of at least 1, found \"many\"",
        )],
    ),
    option(
        "limits.max_message_bytes",
        "size",
        DefaultValue::Bytes(SourceSpec::DEFAULT_MAX_MESSAGE_BYTES),
        "A larger record is rejected with the reason `too_large`.",
        &[(
            "1000000",
            "expected a size with a unit such as \"512KiB\" or \"1MiB\", found 1000000",
        )],
    ),
    option(
        "limits.shutdown_grace",
        "duration",
        DefaultValue::Duration(defaults::SHUTDOWN_GRACE),
        "Longest time between a stop signal and the end of the process.",
        &[(
            "10",
            "expected a duration with a unit such as \"30s\" or \"15m\", found 10",
        )],
    ),
    option(
        "sources.*.kafka",
        "mapping",
        DefaultValue::Required,
        "Brokers, topics and the consumer group. See [sources.*.kafka](#sourceskafka).",
        &[("t", "expected a mapping (key: value), found \"t\"")],
    ),
    option(
        "sources.*.decode",
        "mapping",
        DefaultValue::None,
        "Format of the records. See [sources.*.decode](#sourcesdecode).",
        &[("json", "expected a mapping (key: value), found \"json\"")],
    ),
    option(
        "sources.*.kafka.brokers",
        "list of `host:port`",
        DefaultValue::Required,
        "Bootstrap servers. The port is required; an IPv6 address stands in brackets.",
        &[
            ("b:9092", "expected a list, found \"b:9092\""),
            (
                "[localhost]",
                "expected host:port such as \"localhost:9092\", found \"localhost\"",
            ),
            ("[]", "expected at least one broker, found an empty list"),
        ],
    ),
    option(
        "sources.*.kafka.topics",
        "list of topic names",
        DefaultValue::Required,
        "Topics to read. A topic that does not exist yet is read once it exists.",
        &[
            ("[]", "expected at least one topic, found an empty list"),
            (
                "[e 1]",
                "expected a topic name of 1 to 249 letters, digits, \".\", \"_\" and \"-\", found \
                 \"e 1\"",
            ),
            (
                "[\"^e.*\"]",
                "patterns are not supported yet, expected the name of a topic, found \"^e.*\"",
            ),
        ],
    ),
    option(
        "sources.*.kafka.group_id",
        "name",
        DefaultValue::Text(defaults::GROUP_ID),
        "Consumer group under which offsets are committed, for lag tools. With `state.panes_topic` \
         the group also assigns partitions.",
        &[(
            "\"\"",
            "expected a name of 1 to 200 characters without quotes, <, >, & and \\, found \"\"",
        )],
    ),
    option(
        "sources.*.kafka.start",
        "`latest`, `earliest` or `{timestamp: TIME}`",
        DefaultValue::Text(defaults::START.0),
        "Position for partitions that were never read. Later starts continue where the pane log ends.",
        &[(
            "erliest",
            "unknown value \"erliest\", did you mean \"earliest\"?",
        )],
    ),
    option(
        "sources.*.kafka.start.timestamp",
        "RFC 3339 time",
        DefaultValue::None,
        "Starts at the first record whose Kafka timestamp is not before this time.",
        &[(
            "yesterday",
            "expected a time such as 2026-11-01T00:00:00Z, found \"yesterday\"",
        )],
    ),
    option(
        "sources.*.kafka.properties",
        "mapping",
        DefaultValue::None,
        "librdkafka properties. Those that pegel sets itself are rejected: `bootstrap.servers`, \
         `group.id`, offset commits, `auto.offset.reset`, `isolation.level`, assignment, and \
         `security.*`, `ssl.*`, `sasl.*`. librdkafka checks the others at start.",
        &[
            ("[a]", "expected a mapping (key: value), found a list"),
            ("{group.id: x}", "cannot be set here: use kafka.group_id"),
        ],
    ),
    option(
        "sources.*.decode.format",
        "`json`",
        DefaultValue::Text(defaults::DECODE_FORMAT),
        "Format of the records: one JSON object per record.",
        &[
            ("avro", "\"avro\" is not supported yet, accepted: json"),
            ("jsn", "unknown value \"jsn\", did you mean \"json\"?"),
        ],
    ),
];

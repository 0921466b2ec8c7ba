//! The table of all options, from which the manual is rendered.
//!
//! Tests keep it true: its paths are exactly those that the readers ask for, its defaults are those of
//! a minimal configuration, and its errors are those that the wrong values give.

use super::defaults::{self, DefaultValue};
use crate::model::{
    AlertSpec, BinsSpec, Budget, FeatureSpec, Lateness, MonitorSpec, ReferenceSpec, Role,
    SourceSpec, WindowSpec,
};

/// The documentation of one option.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OptionDoc {
    /// Path of the option: `[]` stands for an index, `*` for a name that the user chooses.
    pub path: &'static str,
    /// Type or accepted values, as Markdown.
    pub accepts: &'static str,
    /// Default value.
    pub default: DefaultValue,
    /// Meaning, as one or two sentences of Markdown.
    pub meaning: &'static str,
    /// Examples of wrong values with the error of each.
    pub errors: &'static [(&'static str, &'static str)],
}

impl OptionDoc {
    /// True if a running process takes over a changed value on reload; false if it needs a restart.
    #[must_use]
    pub fn is_reloadable(&self) -> bool {
        self.path.starts_with("monitors") || self.path == "defaults" || self.path == "version"
    }
}

/// An option that is planned but not built. Using it is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReservedOption {
    /// Path of the option, as in [`OptionDoc`].
    pub path: &'static str,
    /// Purpose of the option.
    pub purpose: &'static str,
}

const fn option(
    path: &'static str,
    accepts: &'static str,
    default: DefaultValue,
    meaning: &'static str,
    errors: &'static [(&'static str, &'static str)],
) -> OptionDoc {
    OptionDoc {
        path,
        accepts,
        default,
        meaning,
        errors,
    }
}

/// All options, table by table.
pub const OPTIONS: &[OptionDoc] = &[
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
        &[
            ("[a]", "expected a mapping (key: value), found a list"),
            ("{}", "expected at least one source, found an empty mapping"),
        ],
    ),
    option(
        "defaults",
        "mapping",
        DefaultValue::None,
        "Options of a monitor that apply to every monitor without that option. `timestamp` and \
         `lateness` are merged key by key, everything else is taken as a whole.",
        &[],
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
        "Bootstrap servers.",
        &[
            ("b:9092", "expected a list, found \"b:9092\""),
            ("[]", "expected at least one broker, found an empty list"),
        ],
    ),
    option(
        "sources.*.kafka.topics",
        "list of topic names",
        DefaultValue::Required,
        "Topics to read. A topic that does not exist yet is read once it exists.",
        &[("[]", "expected at least one topic, found an empty list")],
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
    option(
        "monitors[].name",
        "name",
        DefaultValue::Required,
        "Name of the monitor, a label of metrics. Unique.",
        &[(
            "\"<m>\"",
            "expected a name of 1 to 200 characters without quotes, <, >, & and \\, found \"<m>\"",
        )],
    ),
    option(
        "monitors[].source",
        "name of a source",
        DefaultValue::Required,
        "The source whose records are counted.",
        &[(
            "event",
            "unknown source \"event\", did you mean \"events\"?",
        )],
    ),
    option(
        "monitors[].select",
        "mapping",
        DefaultValue::None,
        "Counts only some records of the source. See [select](#monitorsselect).",
        &[("x", "expected a mapping (key: value), found \"x\"")],
    ),
    option(
        "monitors[].timestamp",
        "mapping",
        DefaultValue::None,
        "Event time of a record. See [timestamp](#monitorstimestamp).",
        &[("/ts", "expected a mapping (key: value), found \"/ts\"")],
    ),
    option(
        "monitors[].windows",
        "list",
        DefaultValue::Required,
        "At least one window. See [windows](#monitorswindows).",
        &[("[]", "expected at least one window, found an empty list")],
    ),
    option(
        "monitors[].reference",
        "mapping",
        DefaultValue::None,
        "Short form of `references` with one entry.",
        &[(
            "{file: a.json}",
            "\"reference\" and \"references\" exclude each other",
        )],
    ),
    option(
        "monitors[].references",
        "list",
        DefaultValue::None,
        "The distributions that windows are compared with. Without any, no score is ready. See \
         [references](#monitorsreferences).",
        &[("a.json", "expected a list, found \"a.json\"")],
    ),
    option(
        "monitors[].root",
        "JSON pointer",
        DefaultValue::Text(""),
        "Path below which a feature without `path` is looked up by its name.",
        &[(
            "features",
            "expected a JSON pointer such as \"/features/amount\", found \"features\"",
        )],
    ),
    option(
        "monitors[].features",
        "list",
        DefaultValue::Described("the features of the references"),
        "The monitored features. See [features](#monitorsfeatures).",
        &[("{}", "expected a list, found a mapping")],
    ),
    option(
        "monitors[].features_from",
        "`reference`",
        DefaultValue::Described("`reference` without `features`"),
        "Monitors the features of the references as well; a listed feature overrides its namesake.",
        &[(
            "referense",
            "unknown value \"referense\", did you mean \"reference\"?",
        )],
    ),
    option(
        "monitors[].statistics",
        "list of statistics",
        DefaultValue::Statistics(&MonitorSpec::DEFAULT_STATISTICS),
        "The scores that become series of `pegel_drift_score`. A statistic of an alert is added.",
        &[("js", "expected a list, found \"js\"")],
    ),
    option(
        "monitors[].alerts",
        "list",
        DefaultValue::None,
        "Alert rules. A rule that names a feature takes precedence over one that does not. See \
         [alerts](#monitorsalerts).",
        &[("js", "expected a list, found \"js\"")],
    ),
    option(
        "monitors[].lateness",
        "mapping",
        DefaultValue::None,
        "Limits of late and silent partitions. See [lateness](#monitorslateness).",
        &[("30s", "expected a mapping (key: value), found \"30s\"")],
    ),
    option(
        "monitors[].min_coverage",
        "number, 0 to 1",
        DefaultValue::Number(MonitorSpec::DEFAULT_MIN_COVERAGE),
        "Smallest share of a window's panes and partitions that must be counted for a score.",
        &[("1.5", "expected a number between 0 and 1, found 1.5")],
    ),
    option(
        "monitors[].pseudo_count",
        "number, at least 0",
        DefaultValue::Number(MonitorSpec::DEFAULT_PSEUDO_COUNT),
        "Added to the count of every bin for `kl`, `kl_reverse` and `psi`, which are infinite where \
         only one side has values.",
        &[("-1", "expected a number of at least 0, found -1")],
    ),
    option(
        "monitors[].select.where",
        "mapping",
        DefaultValue::Required,
        "The condition that a record must meet.",
        &[("x", "expected a mapping (key: value), found \"x\"")],
    ),
    option(
        "monitors[].select.where.path",
        "JSON pointer",
        DefaultValue::Required,
        "Path of the compared value.",
        &[(
            "model",
            "expected a JSON pointer such as \"/features/amount\", found \"model\"",
        )],
    ),
    option(
        "monitors[].select.where.equals",
        "value or list of values",
        DefaultValue::Required,
        "The accepted strings, numbers, `true` or `false`.",
        &[
            ("[]", "expected at least one value, found an empty list"),
            (
                "[[1]]",
                "expected a string, a number, true or false, found a list",
            ),
        ],
    ),
    option(
        "monitors[].timestamp.path",
        "JSON pointer",
        DefaultValue::Described("Kafka's timestamp"),
        "Path of the event time.",
        &[(
            "ts",
            "expected a JSON pointer such as \"/features/amount\", found \"ts\"",
        )],
    ),
    option(
        "monitors[].timestamp.format",
        "`rfc3339_or_epoch_ms`",
        DefaultValue::Text(defaults::TIMESTAMP_FORMAT),
        "An RFC 3339 string with a zone, or milliseconds since 1970.",
        &[(
            "epoch_s",
            "unknown value \"epoch_s\", accepted: rfc3339_or_epoch_ms",
        )],
    ),
    option(
        "monitors[].timestamp.fallback",
        "`kafka` or `none`",
        DefaultValue::Text(defaults::TIMESTAMP_FALLBACK.0),
        "Takes Kafka's timestamp where the record has no usable time; `none` drops the record.",
        &[("now", "unknown value \"now\", accepted: kafka, none")],
    ),
    option(
        "monitors[].windows[].name",
        "name",
        DefaultValue::Described("the text of `size`"),
        "Name of the window, a label of metrics. Unique in its monitor.",
        &[("1h", "duplicate window name \"1h\"")],
    ),
    option(
        "monitors[].windows[].size",
        "duration",
        DefaultValue::Required,
        "Length of the window, a whole number of slides.",
        &[
            (
                "15",
                "expected a duration with a unit such as \"30s\" or \"15m\", found 15",
            ),
            (
                "90s",
                "expected a whole number of slides of 1m, found \"90s\"",
            ),
        ],
    ),
    option(
        "monitors[].windows[].slide",
        "duration, at least 1s",
        DefaultValue::SizeDividedBy(WindowSpec::DEFAULT_SLIDES),
        "Time between two evaluations. If the default is not a whole number of milliseconds, the \
         slide is the whole window.",
        &[("500ms", "expected a slide of at least 1s, found 500ms")],
    ),
    option(
        "monitors[].windows[].min_samples",
        "whole number, at least 1",
        DefaultValue::Count(WindowSpec::DEFAULT_MIN_SAMPLES),
        "Smallest number of values that is scored; fewer have the reason `too_few_samples`.",
        &[("0", "expected a whole number of at least 1, found 0")],
    ),
    option(
        "monitors[].references[].name",
        "name",
        DefaultValue::Text(ReferenceSpec::DEFAULT_NAME),
        "Name of the reference, a label of metrics. Unique in its monitor. A reference without a \
         plain `file` is named after its kind: `hour_of_week`, `previous` or `trailing`.",
        &[("previous", "duplicate reference name \"previous\"")],
    ),
    option(
        "monitors[].references[].file",
        "path",
        DefaultValue::None,
        "A reference made by `pegel fit`, relative to the configuration file. Exactly one of \
         `file`, `previous` and `trailing` is required, and one reference must have a `file`.",
        &[("5", "expected a string, found 5")],
    ),
    option(
        "monitors[].references[].hour_of_week",
        "`true` or `false`",
        DefaultValue::Flag(defaults::HOUR_OF_WEEK),
        "Compares with the same hours of the week in `file`, which needs \
         `pegel fit --hour-of-week`. Slides must be at most 1h.",
        &[("5", "expected true or false, found 5")],
    ),
    option(
        "monitors[].references[].previous",
        "`true`",
        DefaultValue::None,
        "Compares with the window before.",
        &[(
            "false",
            "expected true, found false: remove the reference instead",
        )],
    ),
    option(
        "monitors[].references[].trailing",
        "mapping",
        DefaultValue::None,
        "Compares with a longer period before the window.",
        &[("7d", "expected a mapping (key: value), found \"7d\"")],
    ),
    option(
        "monitors[].references[].trailing.period",
        "duration",
        DefaultValue::Required,
        "Length of the period: at least one window, and a whole number of slides.",
        &[(
            "1m",
            "expected a period of at least one window and a whole number of slides, found 1m: window \
             15m has a size of 15m and slides of 1m",
        )],
    ),
    option(
        "monitors[].references[].trailing.delay",
        "duration",
        DefaultValue::Duration(defaults::TRAILING_DELAY),
        "Time between the end of the period and the start of the window.",
        &[(
            "1",
            "expected a duration with a unit such as \"30s\" or \"15m\", found 1",
        )],
    ),
    option(
        "monitors[].features[].name",
        "name",
        DefaultValue::Required,
        "Name of the feature, a label of metrics. Unique in its monitor.",
        &[("country", "duplicate feature name \"country\"")],
    ),
    option(
        "monitors[].features[].path",
        "JSON pointer",
        DefaultValue::Described("`root` and the name"),
        "Path of the value in a record. In a table, the column named like the path or the feature.",
        &[(
            "x",
            "expected a JSON pointer such as \"/features/amount\", found \"x\"",
        )],
    ),
    option(
        "monitors[].features[].kind",
        "`numeric`, `categorical` or `boolean`",
        DefaultValue::Described("the kind in the reference"),
        "Kind of the values. A value of another kind is invalid and not counted.",
        &[(
            "numbric",
            "unknown value \"numbric\", did you mean \"numeric\"?",
        )],
    ),
    option(
        "monitors[].features[].role",
        "`feature` or `prediction`",
        DefaultValue::Text(Role::Feature.name()),
        "Role in the model. A label of `pegel_feature_info`; it changes no score.",
        &[(
            "label",
            "unknown value \"label\", accepted: feature, prediction",
        )],
    ),
    option(
        "monitors[].features[].bins",
        "whole number, at least 2, or mapping",
        DefaultValue::Count(BinsSpec::DEFAULT_COUNT as u64),
        "Score bins of a numeric feature, used when a reference is fitted. See [bins](#monitorsfeaturesbins).",
        &[
            ("1", "expected a whole number of at least 2, found 1"),
            (
                "10",
                "only numeric features have \"bins\", use \"top\" for categorical ones",
            ),
        ],
    ),
    option(
        "monitors[].features[].top",
        "whole number, at least 1",
        DefaultValue::Count(FeatureSpec::DEFAULT_TOP as u64),
        "Number of categories to keep, most frequent first; the others are counted together. Used \
         when a reference is fitted.",
        &[
            ("0", "expected a whole number of at least 1, found 0"),
            ("5", "only categorical features have \"top\""),
        ],
    ),
    option(
        "monitors[].features[].bins.count",
        "whole number, at least 2",
        DefaultValue::None,
        "This number of bins, each with the same share of the reference. `bins: 20` is the short form.",
        &[("1", "expected a whole number of at least 2, found 1")],
    ),
    option(
        "monitors[].features[].bins.edges",
        "list of numbers",
        DefaultValue::None,
        "Exactly these edges, increasing; the outer ones may be `-.inf` and `.inf`.",
        &[("[0, 0.7, 0.5]", "not increasing at index 2 (0.5 after 0.7)")],
    ),
    option(
        "monitors[].features[].bins.method",
        "`hdr`",
        DefaultValue::None,
        "Log-linear bins of an HDR histogram, for values over several magnitudes.",
        &[("log", "unknown value \"log\", accepted: hdr")],
    ),
    option(
        "monitors[].features[].bins.digits",
        "whole number, 1 to 5",
        DefaultValue::None,
        "Significant decimal digits of `hdr`; required with it.",
        &[("6", "expected at most 5 significant digits, found 6")],
    ),
    option(
        "monitors[].features[].bins.unit",
        "number above 0",
        DefaultValue::None,
        "Smallest difference that matters for `hdr`; required with it.",
        &[("0", "expected a number above 0, found 0")],
    ),
    option(
        "monitors[].alerts[].statistic",
        "statistic",
        DefaultValue::Required,
        "The score, rate or volume that is compared with a threshold.",
        &[(
            "wassertein",
            "unknown value \"wassertein\", did you mean \"wasserstein\"?",
        )],
    ),
    option(
        "monitors[].alerts[].warning",
        "number, at least 0",
        DefaultValue::None,
        "Fixed threshold of severity `warning`. Without `warning` and `critical`, the threshold is \
         calibrated from a budget of false alarms.",
        &[("0.4", "\"warning\" (0.4) must be below \"critical\" (0.3)")],
    ),
    option(
        "monitors[].alerts[].critical",
        "number, at least 0",
        DefaultValue::None,
        "Fixed threshold of severity `critical`. For `samples` it lies below `warning`.",
        &[
            ("-1", "expected a number of at least 0, found -1"),
            ("1.8", "js cannot exceed 1 bit, found 1.8"),
        ],
    ),
    option(
        "monitors[].alerts[].severity",
        "`warning` or `critical`",
        DefaultValue::Text(Budget::DEFAULT.severity.name()),
        "Severity of an alert with a calibrated threshold.",
        &[(
            "page",
            "unknown value \"page\", accepted: warning, critical",
        )],
    ),
    option(
        "monitors[].alerts[].false_alarm_interval",
        "duration above 0",
        DefaultValue::Duration(Budget::DEFAULT.false_alarm_interval),
        "Accepted average time between false alarms of one feature, window and reference. Its \
         statistics share this budget.",
        &[(
            "0s",
            "expected a duration above 0 such as \"30d\", found \"0s\"",
        )],
    ),
    option(
        "monitors[].alerts[].tolerance",
        "number, `0.2std` or `2%`",
        DefaultValue::Tolerance,
        "Smallest effect that is worth an alarm: on the statistic's own scale, as a shift of the \
         mean in standard deviations, or as a share of values that lie elsewhere.",
        &[
            (
                "2 apples",
                "expected a number such as 0.01, standard deviations such as \"0.2std\", or a share \
                 such as \"2%\", found \"2 apples\"",
            ),
            (
                "0.2std",
                "expected a share such as \"0.5%\", found \"0.2std\": a rate has no standard \
                 deviations",
            ),
            (
                "0.1",
                "belongs to a calibrated threshold, remove it or \"warning\" and \"critical\"",
            ),
        ],
    ),
    option(
        "monitors[].alerts[].for",
        "whole number, at least 1",
        DefaultValue::Count(AlertSpec::DEFAULT_FOR as u64),
        "Consecutive evaluations beyond the threshold until the alert fires.",
        &[
            ("0", "expected a whole number of at least 1, found 0"),
            (
                "3m",
                "expected a number of evaluations, found \"3m\": that is 3 with a slide of 1m",
            ),
        ],
    ),
    option(
        "monitors[].alerts[].keep_firing_for",
        "whole number",
        DefaultValue::Count(AlertSpec::DEFAULT_KEEP_FIRING_FOR as u64),
        "Evaluations that an alert keeps firing after the last one beyond the threshold.",
        &[("-1", "expected a whole number of at least 0, found -1")],
    ),
    option(
        "monitors[].alerts[].features",
        "list of feature names",
        DefaultValue::Described("all that have the statistic"),
        "The features that the rule applies to.",
        &[
            (
                "[y]",
                "unknown feature \"y\", accepted: amount, country, latency, score",
            ),
            ("[country]", "ks does not exist for categorical features"),
        ],
    ),
    option(
        "monitors[].lateness.out_of_orderness",
        "duration",
        DefaultValue::Duration(Lateness::DEFAULT.out_of_orderness),
        "Disorder of a partition that is waited for: a window closes this long after its end.",
        &[(
            "30",
            "expected a duration with a unit such as \"30s\" or \"15m\", found 30",
        )],
    ),
    option(
        "monitors[].lateness.idle_after",
        "duration",
        DefaultValue::Duration(Lateness::DEFAULT.idle_after),
        "A partition without new events for this long does not delay windows.",
        &[(
            "60",
            "expected a duration with a unit such as \"30s\" or \"15m\", found 60",
        )],
    ),
    option(
        "monitors[].lateness.max_future",
        "duration",
        DefaultValue::Duration(Lateness::DEFAULT.max_future),
        "A record whose event time is further ahead of its arrival is dropped as `future`.",
        &[(
            "soon",
            "expected a duration with a unit such as \"30s\" or \"15m\", found \"soon\"",
        )],
    ),
    option(
        "monitors[].lateness.stall_after",
        "duration",
        DefaultValue::Duration(Lateness::DEFAULT.stall_after),
        "A partition that reports nothing for this long is released and lowers coverage. At least \
         three times the longer of `state.flush_interval` and half of `idle_after` (at most 30s).",
        &[(
            "20s",
            "lateness.stall_after of monitor m is 20s, expected at least 1m 30s: three heartbeats of \
             a partition without records (state.flush_interval, or half of idle_after up to 30s if \
             that is longer)",
        )],
    ),
];

/// Planned options. Each gives the error [`NOT_SUPPORTED`].
pub const RESERVED: &[ReservedOption] = &[
    reserved("web.tls", "HTTPS"),
    reserved("web.auth", "authentication of HTTP clients"),
    reserved(
        "sources.*.kafka.security",
        "TLS and SASL, with secrets from files or the environment",
    ),
    reserved("monitors[].select.header", "selection by a record header"),
    reserved("monitors[].select.key", "selection by the record key"),
    reserved(
        "monitors[].select.where.header",
        "selection by a record header",
    ),
    reserved("monitors[].select.where.key", "selection by the record key"),
    reserved(
        "monitors[].timestamp.header",
        "event time from a record header",
    ),
    reserved("monitors[].rows", "records that hold several rows"),
    reserved("monitors[].segment_by", "separate windows per segment"),
    reserved("monitors[].weight", "weights of sampled records"),
    reserved("monitors[].transform", "transformed values"),
    reserved("monitors[].match", "templates of features"),
    reserved("monitors[].missing", "values that count as missing"),
    reserved("monitors[].features[].transform", "transformed values"),
    reserved("monitors[].features[].weight", "weights of sampled records"),
    reserved("monitors[].features[].match", "templates of features"),
    reserved(
        "monitors[].features[].missing",
        "values that count as missing",
    ),
];

const fn reserved(path: &'static str, purpose: &'static str) -> ReservedOption {
    ReservedOption { path, purpose }
}

/// The error of a planned option.
pub(super) const NOT_SUPPORTED: &str = "not supported yet";

/// An option and its default, for a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Default {
    /// Path of the option.
    pub option: &'static str,
    /// Default as a user would write it.
    pub value: String,
}

/// All options that have a default.
#[must_use]
pub fn defaults() -> Vec<Default> {
    OPTIONS
        .iter()
        .filter_map(|option| {
            Some(Default {
                option: option.path,
                value: option.default.literal()?,
            })
        })
        .collect()
}

//! Options of monitors: selection, event time, windows and references.

use super::doc::{OptionDoc, option};
use crate::config::defaults::{self, DefaultValue};
use crate::model::{
    FalseAlarmScope, MonitorSpec, ReferenceSpec, TimestampFormat, WindowSpec, Zone,
};

/// The options of this file, table by table.
pub(super) const MONITORS: &[OptionDoc] = &[
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
        &[
            ("{}", "expected a list, found a mapping"),
            (
                "[]",
                "expected at least one feature, found an empty list: remove it to monitor the \
                 features of the references",
            ),
        ],
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
        DefaultValue::Described("a default budget for `js`, `wasserstein` and each rate"),
        "Alert rules; `[]` is none. A rule that names a feature takes precedence over one of the same \
         severity that does not. See [alerts](#monitorsalerts).",
        &[("js", "expected a list, found \"js\"")],
    ),
    option(
        "monitors[].false_alarm_scope",
        "`monitor` or `feature`",
        DefaultValue::Text(FalseAlarmScope::Monitor.name()),
        "What `false_alarm_interval` is the budget of: all budgeted alerts of the monitor together, or \
         those of one feature in one window against one reference.",
        &[(
            "window",
            "unknown value \"window\", accepted: monitor, feature",
        )],
    ),
    option(
        "monitors[].lateness",
        "mapping",
        DefaultValue::None,
        "Limits of late and silent partitions. See [lateness](#monitorslateness).",
        &[("30s", "expected a mapping (key: value), found \"30s\"")],
    ),
    option(
        "monitors[].volume",
        "mapping",
        DefaultValue::None,
        "Alert on the number of events: one per window, of severity `critical`, judged also when the \
         window is empty. See [volume](#monitorsvolume).",
        &[("200", "expected a mapping (key: value), found 200")],
    ),
    option(
        "monitors[].export_bins",
        "`firing`, `all` or `none`",
        DefaultValue::Text(MonitorSpec::DEFAULT_EXPORT_BINS.name()),
        "Features whose distributions become series, `pegel_window_bin_ratio` and \
         `pegel_reference_bin_ratio`: those with a firing alert (at most 20 per window and reference), \
         all, or none. A feature with more than 100 bins has none.",
        &[(
            "drifting",
            "unknown value \"drifting\", accepted: firing, all, none",
        )],
    ),
    option(
        "monitors[].silence",
        "duration, at least 1m",
        DefaultValue::Described("the longer of `10m` and the shortest window"),
        "Time without an event after which the monitor is silent: `pegel_monitor_silent` is 1, and \
         alerts that fire are held.",
        &[
            (
                "10",
                "expected a duration with a unit such as \"30s\" or \"15m\", found 10",
            ),
            ("30s", "expected a duration of at least 1m, found \"30s\""),
        ],
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
        "monitors[].volume.min_events",
        "whole number, at least 1",
        DefaultValue::Required,
        "The smallest number of events in a window; the alert fires below it.",
        &[("0", "expected a whole number of at least 1, found 0")],
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
        "name of a format",
        DefaultValue::Text(TimestampFormat::DEFAULT.name()),
        "Form of the event time: `rfc3339` (`2026-11-01T00:00:00Z`), `datetime` \
         (`2026-11-08 14:23:55.123`), `epoch_s` (whole or with a fraction), `epoch_ms`, `epoch_us`, \
         `epoch_ns`, or `rfc3339_or_epoch_ms`. `auto` reads all of them and takes the unit of a \
         number from its magnitude; `pegel check --sample` shows which. A time before 1973 is a \
         bad one, because its unit is not the configured one.",
        &[(
            "epoch_sec",
            "unknown value \"epoch_sec\", did you mean \"epoch_s\"?",
        )],
    ),
    option(
        "monitors[].timestamp.zone",
        "name of a time zone",
        DefaultValue::Text(Zone::DEFAULT_NAME),
        "Time zone of texts without one, for `auto` and `datetime`. A local time that occurs twice \
         is the first of the two; one that is skipped is moved forward.",
        &[(
            "Europe/Berln",
            "unknown time zone \"Europe/Berln\", did you mean \"Europe/Berlin\"?",
        )],
    ),
    option(
        "monitors[].timestamp.fallback",
        "`kafka` or `none`",
        DefaultValue::Text(defaults::TIMESTAMP_FALLBACK.0),
        "Takes Kafka's timestamp where the time of the record is absent or null; `none` drops the \
         record as `no_timestamp`. A time that cannot be read is dropped as `bad_timestamp`.",
        &[("ingest", "unknown value \"ingest\", accepted: kafka, none")],
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
        "Length of the window, a whole number of slides, and at most 100000 panes. A pane is as long as \
         the slide, or as the greatest common divisor of the slides of several windows. With `state.panes_topic`, a window longer than \
         all windows at start needs a restart.",
        &[
            (
                "15",
                "expected a duration with a unit such as \"30s\" or \"15m\", found 15",
            ),
            (
                "90s",
                "expected a whole number of slides of 1m, found \"90s\"",
            ),
            (
                "365d",
                "expected at most 100000 panes in a window, found 525600 of 1m: use a longer slide",
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
             1h has a size of 1h and slides of 1m",
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
];

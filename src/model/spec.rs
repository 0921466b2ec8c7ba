//! What a user asks of a monitor, validated.
//!
//! The configuration builds these values and every stage takes the part it needs; no stage knows the file format they came from.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{EventTime, Lookback, Origin, ReferenceSpec, Severity, Statistic};

/// A JSON Pointer (RFC 6901), split at its slashes and unescaped; empty = the whole record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// Reads `/a/b~1c`; `None` when the text is neither empty nor begins with a slash, or holds a broken escape.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Pointer(Vec::new()));
        }
        let tokens = text
            .strip_prefix('/')?
            .split('/')
            .map(unescape)
            .collect::<Option<Vec<_>>>()?;
        Some(Pointer(tokens))
    }

    /// A pointer to one name below this one; the name may hold slashes.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        let mut tokens = self.0.clone();
        tokens.push(name.to_owned());
        Pointer(tokens)
    }

    /// The names on the way down.
    #[must_use]
    pub fn tokens(&self) -> &[String] {
        &self.0
    }
}

impl std::fmt::Display for Pointer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0
            .iter()
            .try_for_each(|token| write!(f, "/{}", token.replace('~', "~0").replace('/', "~1")))
    }
}

fn unescape(token: &str) -> Option<String> {
    let broken = token
        .split('~')
        .skip(1)
        .any(|rest| !rest.starts_with(['0', '1']));
    (!broken).then(|| token.replace("~1", "/").replace("~0", "~"))
}

/// What a feature is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Numbers, compared by bins and by distance.
    Numeric,
    /// Names without an order.
    Categorical,
    /// `true` and `false`.
    Boolean,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 3] = [Kind::Numeric, Kind::Categorical, Kind::Boolean];

    /// The name used in configuration, JSON and labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Numeric => "numeric",
            Kind::Categorical => "categorical",
            Kind::Boolean => "boolean",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether `statistic` can be computed for features of this kind.
    #[must_use]
    pub const fn has(self, statistic: Statistic) -> bool {
        match self {
            Kind::Numeric => !matches!(statistic, Statistic::UnseenRatio),
            Kind::Categorical | Kind::Boolean => !statistic.needs_numbers(),
        }
    }
}

/// What a feature is to the model; a label only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Role {
    /// An input of the model.
    #[default]
    Feature,
    /// What the model answers.
    Prediction,
}

impl Role {
    /// The label value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Role::Feature => "feature",
            Role::Prediction => "prediction",
        }
    }

    /// The role with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Role::Feature, Role::Prediction]
            .into_iter()
            .find(|role| role.name() == name)
    }
}

/// How the score bins of a numeric feature are made.
#[derive(Debug, Clone, PartialEq)]
pub enum BinsSpec {
    /// This many bins of equal mass in the reference; at least 2.
    Count(usize),
    /// Exactly these edges, strictly increasing; the outer ones may be infinite.
    Edges(Vec<f64>),
    /// The log-linear buckets of an HDR histogram.
    Hdr(HdrBins),
}

/// HDR buckets: `digits` significant decimal digits of multiples of `unit`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HdrBins {
    /// In 1..=5.
    pub digits: u8,
    /// The smallest difference that matters; positive.
    pub unit: f64,
}

/// One monitored column of the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureSpec {
    /// Unique in its monitor.
    pub name: String,
    /// Where the record holds it; `None` = root and name.
    pub path: Option<Pointer>,
    /// `None` = as the reference says.
    pub kind: Option<Kind>,
    /// A label.
    pub role: Role,
    /// Numeric features only; `None` = 20 bins of equal mass, or as the reference was fitted.
    pub bins: Option<BinsSpec>,
    /// Categorical features only: keep the `top` most frequent categories.
    pub top: Option<usize>,
}

impl FeatureSpec {
    /// A feature of this name and kind at its default place.
    #[must_use]
    pub fn new(name: &str, kind: Kind) -> Self {
        FeatureSpec {
            name: name.to_owned(),
            path: None,
            kind: Some(kind),
            role: Role::Feature,
            bins: None,
            top: None,
        }
    }
}

/// A sliding window: the trailing `size` of event time, evaluated every `slide`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowSpec {
    /// Unique in its monitor.
    pub name: String,
    /// A whole number of slides.
    pub size: Duration,
    /// Positive, in whole milliseconds.
    pub slide: Duration,
    /// A score needs at least this many values; at least 1.
    pub min_samples: u64,
}

/// How long records may be late, and when a silent partition stops holding time back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lateness {
    /// The watermark trails the newest event by this much.
    pub out_of_orderness: Duration,
    /// A partition that is caught up and silent for this long does not hold the watermark.
    pub idle_after: Duration,
    /// A record further ahead of the clock than this is dropped.
    pub max_future: Duration,
    /// A partition nothing was heard of for this long is given up and lowers coverage.
    pub stall_after: Duration,
}

/// A scalar of the configuration to compare a record's value with.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// Compared with texts and CSV cells.
    Text(String),
    /// Compared as numbers.
    Number(f64),
    /// Compared with `true` and `false`.
    Bool(bool),
}

/// Which records of the topic are this monitor's: those with one of `equals` at `path`.
#[derive(Debug, Clone, PartialEq)]
pub struct Select {
    /// Where to look.
    pub path: Pointer,
    /// Any of these matches; not empty.
    pub equals: Vec<Literal>,
}

/// Where a record's time is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TimestampSpec {
    /// RFC 3339 text or milliseconds since the epoch; `None` = the time Kafka holds for the record.
    pub path: Option<Pointer>,
    /// Whether Kafka's own time stands in when the record has none.
    pub fallback_kafka: bool,
}

/// Fixed alarm lines on a score's own scale.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Thresholds {
    /// The line of `Severity::Warning`.
    pub warning: Option<f64>,
    /// The line of `Severity::Critical`.
    pub critical: Option<f64>,
}

impl Thresholds {
    /// The line of a severity.
    #[must_use]
    pub const fn of(&self, severity: Severity) -> Option<f64> {
        match severity {
            Severity::Warning => self.warning,
            Severity::Critical => self.critical,
        }
    }

    /// The lowest line.
    #[must_use]
    pub fn lowest(&self) -> Option<f64> {
        match (self.warning, self.critical) {
            (Some(warning), Some(critical)) => Some(warning.min(critical)),
            (one, other) => one.or(other),
        }
    }
}

/// A shift too small to be news.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Tolerance {
    /// A shift of the mean by 0.14 standard deviations; a tenth of a per cent for unseen and out-of-range values, none for missing ones.
    #[default]
    Default,
    /// On the statistic's own scale.
    Score(f64),
    /// A shift of the mean, in standard deviations.
    Std(f64),
    /// A share of values that lie elsewhere, 0..=1.
    Mass(f64),
}

/// A budget of false alarms, from which the line follows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// How urgent.
    pub severity: Severity,
    /// One false alarm in this time, per feature and window, is accepted.
    pub false_alarm_interval: Duration,
    /// What is not news.
    pub tolerance: Tolerance,
}

impl Default for Budget {
    fn default() -> Self {
        Budget {
            severity: Severity::Critical,
            false_alarm_interval: Budget::INTERVAL,
            tolerance: Tolerance::Default,
        }
    }
}

impl Budget {
    /// One false alarm in 30 days.
    pub const INTERVAL: Duration = Duration::from_secs(30 * 86_400);
}

/// One rule: which statistic is judged, by which lines, and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertSpec {
    /// What is judged.
    pub statistic: Statistic,
    /// The fixed lines; none where there is a budget.
    pub thresholds: Thresholds,
    /// The budget, where lines are calibrated.
    pub budget: Option<Budget>,
    /// Consecutive evaluations above the line before it fires; at least 1.
    pub for_evaluations: u32,
    /// Evaluations a firing alert outlives the end of its cause.
    pub keep_firing_for: u32,
    /// The features it applies to; `None` = every feature that has the statistic.
    pub features: Option<Vec<String>>,
}

impl AlertSpec {
    /// Whether the rule has a line of this severity.
    #[must_use]
    pub fn has(&self, severity: Severity) -> bool {
        let budgeted = self
            .budget
            .is_some_and(|budget| budget.severity == severity);
        budgeted || self.thresholds.of(severity).is_some()
    }
}

/// Where reading begins when the group has no committed offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// The end of each partition.
    Latest,
    /// The oldest record each partition holds.
    Earliest,
    /// The first record at or after a time.
    Timestamp(EventTime),
}

/// A Kafka source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSpec {
    /// `host:port`, at least one.
    pub brokers: Vec<String>,
    /// At least one.
    pub topics: Vec<String>,
    /// Where offsets are committed.
    pub group_id: String,
    /// Where to begin without a committed offset.
    pub start: StartAt,
    /// librdkafka properties the daemon does not own.
    pub properties: BTreeMap<String, String>,
}

/// A Kafka topic that holds the pane log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PanesTopicSpec {
    /// Its name.
    pub topic: String,
    /// `host:port`, at least one.
    pub brokers: Vec<String>,
    /// How many partitions it has; shards are spread over all but the last, which holds snapshots.
    pub partitions: u32,
    /// How often a scorer writes a snapshot.
    pub snapshot_interval: Duration,
    /// librdkafka properties the daemon does not own.
    pub properties: BTreeMap<String, String>,
}

impl PanesTopicSpec {
    /// The partition that snapshots are in.
    #[must_use]
    pub fn snapshots(&self) -> u32 {
        self.partitions.saturating_sub(1)
    }

    /// Partitions that hold commits: all of them, or all but the last.
    #[must_use]
    pub fn commits(&self) -> u32 {
        self.partitions.saturating_sub(1).max(1)
    }
}

/// A named stream of JSON records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSpec {
    /// Unique in the process.
    pub name: String,
    /// Where it comes from.
    pub kafka: KafkaSpec,
}

/// Everything a user says about one monitor.
#[derive(Debug, Clone, PartialEq)]
pub struct MonitorSpec {
    /// Unique in the process.
    pub name: String,
    /// The name of its source.
    pub source: String,
    /// `None` = every record.
    pub select: Option<Select>,
    /// Where the event time is.
    pub timestamp: TimestampSpec,
    /// At least one.
    pub windows: Vec<WindowSpec>,
    /// May be empty: then nothing can be scored, and the reason says so.
    pub references: Vec<ReferenceSpec>,
    /// Default place of features.
    pub root: Pointer,
    /// The listed features.
    pub features: Vec<FeatureSpec>,
    /// Whether the reference's other features are monitored too.
    pub features_from_reference: bool,
    /// Which scores become series.
    pub statistics: Vec<Statistic>,
    /// The rules.
    pub alerts: Vec<AlertSpec>,
    /// Lateness and idleness.
    pub lateness: Lateness,
    /// In 0..=1.
    pub min_coverage: f64,
    /// Added to every count before a logarithm is taken of a share; not negative, 0.5 by default.
    pub pseudo_count: f64,
}

impl MonitorSpec {
    /// Every rolling reference of every window.
    pub fn lookbacks(&self) -> impl Iterator<Item = Lookback> {
        self.windows.iter().enumerate().flat_map(|(window, spec)| {
            let rolling = self.references.iter().filter_map(|own| match own.origin {
                Origin::Rolling(rolling) => Some(rolling),
                Origin::File(_) | Origin::HourOfWeek(_) => None,
            });
            rolling.map(move |rolling| Lookback {
                window,
                rolling,
                width: rolling.pane_width(spec),
            })
        })
    }

    /// A monitor of whatever the data holds, with defaults for everything: what commands use without a configuration.
    #[must_use]
    pub fn bare() -> Self {
        MonitorSpec {
            name: "data".to_owned(),
            source: "data".to_owned(),
            select: None,
            timestamp: TimestampSpec::default(),
            windows: Vec::new(),
            references: Vec::new(),
            root: Pointer::default(),
            features: Vec::new(),
            features_from_reference: false,
            statistics: vec![Statistic::Js, Statistic::Wasserstein],
            alerts: Vec::new(),
            lateness: Lateness {
                out_of_orderness: Duration::from_secs(30),
                idle_after: Duration::from_secs(60),
                max_future: Duration::from_secs(300),
                stall_after: Duration::from_secs(300),
            },
            min_coverage: 0.9,
            pseudo_count: 0.5,
        }
    }

    /// Where a record holds a feature.
    #[must_use]
    pub fn path_of(&self, feature: &str) -> Pointer {
        let listed = self.features.iter().find(|listed| listed.name == feature);
        listed
            .and_then(|listed| listed.path.clone())
            .unwrap_or_else(|| self.root.child(feature))
    }

    /// Width of the panes records are counted in: the greatest common divisor of the slides, so that every slide is a whole number of panes.
    #[must_use]
    pub fn pane_width(&self) -> Duration {
        let slides = self.windows.iter().map(|window| window.slide.as_millis());
        let gcd = slides.fold(0, greatest_common_divisor).max(1);
        Duration::from_millis(u64::try_from(gcd).unwrap_or(u64::MAX))
    }

    /// The rule in force for a feature, statistic and severity: one that names the feature wins over one that does not.
    #[must_use]
    pub fn alert_for(
        &self,
        feature: &str,
        statistic: Statistic,
        severity: Severity,
    ) -> Option<&AlertSpec> {
        let rules = |is_named: bool| {
            let own = self.alerts.iter().filter(move |alert| {
                alert.statistic == statistic
                    && match &alert.features {
                        Some(names) => is_named && names.iter().any(|name| name == feature),
                        None => !is_named,
                    }
            });
            own.collect::<Vec<_>>()
        };
        let named = rules(true);
        let rules = if named.is_empty() {
            rules(false)
        } else {
            named
        };
        rules.into_iter().find(|alert| alert.has(severity))
    }
}

fn greatest_common_divisor(a: u128, b: u128) -> u128 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_follow_rfc_6901() {
        let check = |text: &str, expected: Option<&[&str]>| {
            let found = Pointer::parse(text);
            let tokens = found.as_ref().map(|pointer| {
                pointer
                    .tokens()
                    .iter()
                    .map(String::as_str)
                    .collect::<Vec<_>>()
            });
            assert_eq!(tokens.as_deref(), expected, "pointer {text:?}");
        };
        check("", Some(&[]));
        check("/a/b", Some(&["a", "b"]));
        check("/a~1b/~01", Some(&["a/b", "~1"]));
        check("/", Some(&[""]));
        check("a", None);
        check("/a~2", None);
        check("/a~", None);
    }

    #[test]
    fn a_pointer_prints_as_it_was_written() {
        for text in ["/a/b", "/a~1b/~01", "/"] {
            let printed = Pointer::parse(text).map(|pointer| pointer.to_string());
            assert_eq!(printed.as_deref(), Some(text), "round trip of {text:?}");
        }
    }
}

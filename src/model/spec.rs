//! What a user asks of a monitor, validated.
//!
//! The configuration builds these values and every stage takes the part it needs; no stage knows the file format they came from.

use std::time::Duration;

use super::{
    AlertSpec, FeatureSpec, Lookback, Origin, Pointer, ReferenceSpec, Severity, Statistic,
};

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

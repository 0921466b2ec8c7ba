//! Monitors as configured, validated.
//!
//! The configuration builds these values, and every stage takes the fields it needs. No stage
//! depends on the file format they come from.

use std::time::Duration;

use rustc_hash::FxHashMap;

use super::alert::{AlertSpec, FalseAlarmScope};
use super::feature::FeatureSpec;
use super::named_enum::named_enum;
use super::pointer::Pointer;
use super::reference::{Lookback, Origin, ReferenceSpec};
use super::statistic::Statistic;
use super::timestamp::TimestampSpec;
use super::window::WindowSpec;

/// The limits of late, early and silent partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lateness {
    /// The watermark is the newest event time less this span.
    pub out_of_orderness: Duration,
    /// A partition without new events for this long is idle and does not hold the watermark.
    pub idle_after: Duration,
    /// A record whose event time is further ahead of its arrival is dropped.
    pub max_future: Duration,
    /// A partition that reports nothing for this long is released and lowers coverage.
    pub stall_after: Duration,
}

impl Lateness {
    /// The defaults of all four limits.
    pub const DEFAULT: Lateness = Lateness {
        out_of_orderness: Duration::from_secs(30),
        idle_after: Duration::from_secs(60),
        max_future: Duration::from_secs(300),
        stall_after: Duration::from_secs(300),
    };

    /// The largest `max_future` with which no record makes others late.
    ///
    /// A record that is counted although its clock is ahead advances the watermark of its
    /// partition. Records that are on time are counted as long as they are not behind that
    /// watermark by more than the longest window.
    #[must_use]
    pub fn harmless_future(&self, longest_window: Duration) -> Duration {
        self.out_of_orderness.saturating_add(longest_window)
    }
}

/// A scalar that a record's value is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// Compared with texts and CSV cells.
    Text(String),
    /// Compared as numbers.
    Number(f64),
    /// Compared with `true` and `false`.
    Bool(bool),
}

/// A monitor's selection: the records whose value at `path` is one of `equals`.
#[derive(Debug, Clone, PartialEq)]
pub struct Select {
    /// Path of the compared value.
    pub path: Pointer,
    /// Accepted values; not empty.
    pub equals: Vec<Literal>,
}

/// The smallest number of events in a window; fewer are an alarm of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VolumeSpec {
    /// The smallest number of events that is enough; at least 1.
    pub min_events: u64,
}

named_enum! {
    /// The features whose bins become series.
    BinExport {
        /// Features with a firing alert, which is where somebody looks.
        Firing = "firing",
        /// Every feature.
        All = "all",
        /// No feature, which saves series.
        None = "none",
    }
}

/// One monitor, validated.
#[derive(Debug, Clone, PartialEq)]
pub struct MonitorSpec {
    /// Unique in the process.
    pub name: String,
    /// Name of its source.
    pub source: String,
    /// The records it counts; `None` = all.
    pub select: Option<Select>,
    /// The source of event time.
    pub timestamp: TimestampSpec,
    /// Windows, at least one.
    pub windows: Vec<WindowSpec>,
    /// References. Without any, every score is `NotReady` with the reason `no_reference`.
    pub references: Vec<ReferenceSpec>,
    /// Path below which features are looked up by name.
    pub root: Pointer,
    /// The listed features.
    pub features: Vec<FeatureSpec>,
    /// True if the reference's features are monitored as well.
    pub features_from_reference: bool,
    /// The scores that become series.
    pub statistics: Vec<Statistic>,
    /// The alert rules.
    pub alerts: Vec<AlertSpec>,
    /// The scope of a budget of false alarms.
    pub false_alarm_scope: FalseAlarmScope,
    /// The alert on the number of events of each window; `None` without one.
    pub volume: Option<VolumeSpec>,
    /// The features whose bins become series.
    pub export_bins: BinExport,
    /// The time without an event after which the monitor is silent.
    pub silence: Duration,
    /// Limits of late and silent partitions.
    pub lateness: Lateness,
    /// The smallest coverage of a window that is scored, 0..=1.
    pub min_coverage: f64,
    /// Added to every count before the logarithm of a share is taken; not negative.
    pub pseudo_count: f64,
}

impl MonitorSpec {
    /// The default of `statistics`.
    pub const DEFAULT_STATISTICS: [Statistic; 2] = [Statistic::Js, Statistic::Wasserstein];
    /// The default of `export_bins`.
    pub const DEFAULT_EXPORT_BINS: BinExport = BinExport::Firing;
    /// The default of `min_coverage`.
    pub const DEFAULT_MIN_COVERAGE: f64 = 0.9;
    /// The default of `pseudo_count`.
    pub const DEFAULT_PSEUDO_COUNT: f64 = 0.5;

    /// The shortest default of `silence`.
    pub const MIN_DEFAULT_SILENCE: Duration = Duration::from_secs(600);

    /// The default of `silence`: the shortest window, which is empty by then, but at least
    /// [`MonitorSpec::MIN_DEFAULT_SILENCE`].
    #[must_use]
    pub fn default_silence(windows: &[WindowSpec]) -> Duration {
        windows
            .iter()
            .map(|window| window.size)
            .min()
            .map_or(Self::MIN_DEFAULT_SILENCE, |shortest| {
                shortest.max(Self::MIN_DEFAULT_SILENCE)
            })
    }

    /// Every rolling reference of every window.
    pub fn lookbacks(&self) -> impl Iterator<Item = Lookback> {
        self.windows.iter().enumerate().flat_map(|(window, spec)| {
            self.references
                .iter()
                .filter_map(move |reference| match reference.origin {
                    Origin::Rolling(rolling) => Some(Lookback {
                        window,
                        rolling,
                        width: rolling.pane_width(spec),
                    }),
                    Origin::File(_) | Origin::HourOfWeek(_) => None,
                })
        })
    }

    /// A monitor without windows and features, for commands that run without a configuration.
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
            statistics: Self::DEFAULT_STATISTICS.to_vec(),
            alerts: Vec::new(),
            false_alarm_scope: FalseAlarmScope::Monitor,
            volume: None,
            export_bins: Self::DEFAULT_EXPORT_BINS,
            silence: Self::MIN_DEFAULT_SILENCE,
            lateness: Lateness::DEFAULT,
            min_coverage: Self::DEFAULT_MIN_COVERAGE,
            pseudo_count: Self::DEFAULT_PSEUDO_COUNT,
        }
    }

    /// The listed features by name.
    #[must_use]
    pub fn listed(&self) -> FxHashMap<&str, &FeatureSpec> {
        self.features
            .iter()
            .map(|feature| (feature.name.as_str(), feature))
            .collect()
    }

    /// The path of a feature in a record: the configured one, else root and name.
    ///
    /// `listed` is the feature where it is [listed](Self::listed).
    #[must_use]
    pub fn path_of(&self, feature: &str, listed: Option<&FeatureSpec>) -> Pointer {
        listed
            .and_then(|spec| spec.path.clone())
            .unwrap_or_else(|| self.root.feature(feature))
    }

    /// The width of the panes records are counted in: the greatest common divisor of the slides, so
    /// that every slide is a whole number of panes.
    #[must_use]
    pub fn pane_width(&self) -> Duration {
        pane_width(self.windows.iter().map(|window| window.slide))
    }
}

/// The width of the panes of windows with these slides; 1 ms without any.
#[must_use]
pub fn pane_width(slides: impl Iterator<Item = Duration>) -> Duration {
    let divisor = slides
        .map(|slide| slide.as_millis())
        .fold(0, greatest_common_divisor)
        .max(1);
    Duration::from_millis(u64::try_from(divisor).unwrap_or(u64::MAX))
}

/// The greatest common divisor (Euclid); the other number if one is zero.
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
    fn every_slide_is_a_whole_number_of_panes() {
        let window = |slide: u64| WindowSpec {
            name: format!("{slide}s"),
            size: Duration::from_secs(slide * 15),
            slide: Duration::from_secs(slide),
            min_samples: WindowSpec::DEFAULT_MIN_SAMPLES,
        };
        let monitor = MonitorSpec {
            windows: vec![window(60), window(90), window(300)],
            ..MonitorSpec::bare()
        };
        assert_eq!(monitor.pane_width(), Duration::from_secs(30), "60, 90, 300");
    }

    #[test]
    fn a_feature_without_a_path_is_below_the_root() {
        let mut monitor = MonitorSpec {
            root: Pointer::default().child("features"),
            ..MonitorSpec::bare()
        };
        let path = |monitor: &MonitorSpec| {
            let listed = monitor.listed().get("x").copied();
            monitor.path_of("x", listed).to_string()
        };
        assert_eq!(path(&monitor), "/features/x", "root");
        let mut feature = FeatureSpec::new("x", crate::model::Kind::Numeric);
        feature.path = Pointer::parse("/y");
        monitor.features.push(feature);
        assert_eq!(path(&monitor), "/y", "its own path");
    }
}

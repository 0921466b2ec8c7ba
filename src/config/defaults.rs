//! The defaults of all options, each written once.
//!
//! Defaults that stages need as well are constants of the types in `model`; the others are here.
//! The readers and the manual use the same constants.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::model::{StartAt, Statistic, Tolerance, duration};

pub(super) const VERSION: u64 = 1;
pub const LISTEN_ADDRESS: &str = "127.0.0.1:10987";
pub(super) const ENABLE_RELOAD: bool = false;
pub(super) const STATE_PATH: &str = "./state";
pub(super) const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
/// The flush interval of a pane log on Kafka, whose records every reader has to read.
pub(super) const PANES_FLUSH_INTERVAL: Duration = Duration::from_secs(10);
pub(super) const PANES_PARTITIONS: u32 = 9;
pub(super) const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(300);
pub(super) const MAX_SERIES: usize = 20_000;
pub(super) const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);
pub(super) const GROUP_ID: &str = "pegel";
pub(super) const START: (&str, StartAt) = ("latest", StartAt::Latest);
pub(super) const DECODE_FORMAT: &str = "json";
/// The name of the default, and whether Kafka's timestamp replaces a missing one.
pub(super) const TIMESTAMP_FALLBACK: (&str, bool) = ("kafka", true);
pub(super) const HOUR_OF_WEEK: bool = false;
pub(super) const TRAILING_DELAY: Duration = Duration::ZERO;

/// The accepted range of `state.flush_interval`.
pub(super) const FLUSH_INTERVALS: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(60);
/// The accepted range of `state.snapshot_interval`.
pub(super) const SNAPSHOT_INTERVALS: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(3600);

/// The default of an option.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DefaultValue {
    /// The option must be given.
    Required,
    /// Without the option, nothing takes its place.
    None,
    /// A string literal.
    Text(&'static str),
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Count(u64),
    /// A number that need not be whole.
    Number(f64),
    /// A size in bytes.
    Bytes(usize),
    /// A duration with its unit.
    Duration(Duration),
    /// A duration, and another one where the pane log is on Kafka.
    FlushInterval(Duration, Duration),
    /// The size of the window divided by a number.
    SizeDividedBy(u32),
    /// A list of statistics.
    Statistics(&'static [Statistic]),
    /// The default tolerance, which depends on the statistic.
    Tolerance,
    /// A value that depends on other options, described in words.
    Described(&'static str),
}

impl DefaultValue {
    /// The default as a literal of the configuration; `None` if it is not a single literal.
    #[must_use]
    pub fn literal(&self) -> Option<String> {
        match self {
            DefaultValue::Text("") => Some("\"\"".to_owned()),
            DefaultValue::Text(text) => Some((*text).to_owned()),
            DefaultValue::Flag(flag) => Some(flag.to_string()),
            DefaultValue::Count(count) => Some(count.to_string()),
            DefaultValue::Number(number) => Some(number.to_string()),
            DefaultValue::Bytes(bytes) => Some(size(*bytes)),
            DefaultValue::Duration(span) | DefaultValue::FlushInterval(span, _) => {
                Some(duration::format(*span))
            }
            DefaultValue::Statistics(statistics) => {
                let names: Vec<&str> = statistics
                    .iter()
                    .map(|statistic| statistic.name())
                    .collect();
                Some(format!("[{}]", names.join(", ")))
            }
            DefaultValue::Tolerance => Some(tolerance(Statistic::Js)),
            DefaultValue::Required
            | DefaultValue::None
            | DefaultValue::SizeDividedBy(_)
            | DefaultValue::Described(_) => None,
        }
    }
}

impl fmt::Display for DefaultValue {
    /// Prints the default as Markdown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DefaultValue::Required => f.write_str("required"),
            DefaultValue::None => f.write_str("none"),
            DefaultValue::FlushInterval(files, topic) => write!(
                f,
                "`{}`; `{}` with `panes_topic`",
                duration::format(*files),
                duration::format(*topic)
            ),
            DefaultValue::SizeDividedBy(slides) => write!(f, "`size` / {slides}"),
            DefaultValue::Tolerance => write!(
                f,
                "`{}`; `{}` for `invalid_ratio`, `unseen_ratio` and `out_of_range_ratio`, `{}` for \
                 `missing_ratio`",
                tolerance(Statistic::Js),
                tolerance(Statistic::InvalidRatio),
                tolerance(Statistic::MissingRatio)
            ),
            DefaultValue::Described(words) => f.write_str(words),
            literal => write!(f, "`{}`", literal.literal().unwrap_or_default()),
        }
    }
}

/// The default tolerance of a statistic, as a user would write it.
pub(super) fn tolerance(statistic: Statistic) -> String {
    match Tolerance::default_share(statistic) {
        Some(share) => format!("{}%", share * 100.0),
        None => format!("{}std", Tolerance::DEFAULT_STD),
    }
}

/// Prints a size in the largest binary unit that divides it, as the reader reads it.
pub(super) fn size(bytes: usize) -> String {
    [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]
        .into_iter()
        .find(|(unit, _)| bytes.is_multiple_of(*unit))
        .map_or_else(
            || format!("{bytes}B"),
            |(unit, name)| format!("{}{name}", bytes / unit),
        )
}

//! Arguments that choose a range of a source's topics by time.
//!
//! Brokers, topics and client properties always come from the configuration, so there is one place
//! to write them and no credentials on a command line.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use crate::cli::usage::UsageError;
use crate::clock;
use crate::config::Config;
use crate::model::{EventTime, MonitorSpec};
use crate::source::range::{RangeBounds, RangeStart, TopicRange};

/// Time without an answer from the brokers after which the command fails.
const BROKER_TIMEOUT: Duration = Duration::from_secs(15);

/// Arguments of commands that read a topic range.
#[derive(Debug, Clone, Args)]
pub(crate) struct RangeArgs {
    /// Read the topics of the monitor's source instead of a file, from this Kafka time on: a time
    /// such as 2026-11-01T00:00:00Z, a duration before now such as 7d, or earliest
    #[arg(long, value_name = "WHEN", requires = "config")]
    from: Option<When>,
    /// Stop at this Kafka time (exclusive); default: the end of the topics when the command starts
    #[arg(long, value_name = "WHEN", requires = "from")]
    to: Option<When>,
}

/// A bound of a range as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Earliest,
    At(EventTime),
    Ago(Duration),
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "earliest" {
            return Ok(When::Earliest);
        }
        if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
            return Ok(When::At(EventTime::from_millis(timestamp.as_millisecond())));
        }
        humantime::parse_duration(text).map(When::Ago).map_err(|_| {
            "expected a time such as 2026-11-01T00:00:00Z, a duration before now such as 7d, or earliest"
                .to_owned()
        })
    }
}

impl When {
    /// Returns the time of the bound; `None` for the beginning of the topics.
    fn time(self, now: EventTime) -> Option<EventTime> {
        match self {
            When::Earliest => None,
            When::At(at) => Some(at),
            When::Ago(duration) => Some(now.minus(duration)),
        }
    }
}

impl RangeArgs {
    /// Returns the bounds, or `None` without `--from`.
    ///
    /// # Errors
    /// The bounds leave nothing to read.
    pub(crate) fn bounds(&self) -> Result<Option<RangeBounds>, UsageError> {
        self.bounds_at(clock::now())
    }

    fn bounds_at(&self, now: EventTime) -> Result<Option<RangeBounds>, UsageError> {
        let Some(from) = self.from else {
            return Ok(None);
        };
        if self.to == Some(When::Earliest) {
            return Err(UsageError::EndsAtEarliest);
        }
        let from = from.time(now);
        let to = self.to.and_then(|to| to.time(now));
        if let (Some(from), Some(to)) = (from, to)
            && from >= to
        {
            return Err(UsageError::EmptyRange { from, to });
        }
        Ok(Some(RangeBounds {
            from: from.map_or(RangeStart::Earliest, RangeStart::At),
            to,
        }))
    }
}

/// Finds the range of each source that the monitors read, and prints it on standard error.
///
/// # Errors
/// A broker does not answer, a topic is missing, or a range holds no record.
pub(crate) fn find(
    config: &Config,
    monitors: &[MonitorSpec],
    bounds: RangeBounds,
) -> anyhow::Result<Vec<TopicRange>> {
    config
        .sources
        .iter()
        .filter(|source| monitors.iter().any(|monitor| monitor.source == source.name))
        .map(|source| {
            let range = TopicRange::find(source, bounds, BROKER_TIMEOUT)?;
            anstream::eprintln!("{}", describe(&range));
            Ok(range)
        })
        .collect()
}

/// Describes a range, with a second line if retention has removed its beginning.
fn describe(range: &TopicRange) -> String {
    let partitions = match range.parts().len() {
        1 => "1 partition".to_owned(),
        count => format!("{count} partitions"),
    };
    let mut text = format!(
        "source {}: topic {} {}: {} offsets in {partitions}",
        range.source(),
        range.topics(),
        range.bounds(),
        range.offsets()
    );
    let curtailed: Vec<String> = range
        .parts()
        .iter()
        .filter(|part| part.is_truncated)
        .map(|part| {
            let (partition, topic) = (part.shard.partition, &part.shard.topic);
            format!(
                "partition {partition} of {topic} begins at offset {}",
                part.begin
            )
        })
        .collect();
    if !curtailed.is_empty() {
        text += &format!(
            "\nsource {}: the range may lack its beginning, because older records are gone: {}",
            range.source(),
            curtailed.join(", ")
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: EventTime = EventTime::from_millis(1_793_491_200_000);

    fn bounds(from: &str, to: Option<&str>) -> Result<Option<RangeBounds>, String> {
        let args = RangeArgs {
            from: Some(from.parse()?),
            to: to.map(str::parse).transpose()?,
        };
        args.bounds_at(NOW).map_err(|error| error.to_string())
    }

    #[test]
    fn a_bound_is_a_time_a_duration_before_now_or_the_beginning() {
        let check = |from: &str, expected: RangeStart| {
            let expected = RangeBounds {
                from: expected,
                to: None,
            };
            assert_eq!(bounds(from, None), Ok(Some(expected)), "{from}");
        };
        check("earliest", RangeStart::Earliest);
        check("2026-11-01T00:00:00Z", RangeStart::At(NOW));
        check("2026-11-01T02:00:00+02:00", RangeStart::At(NOW));
        let week = Duration::from_secs(7 * 24 * 3600);
        check("7d", RangeStart::At(NOW.minus(week)));
    }

    #[test]
    fn bounds_that_leave_nothing_or_cannot_be_parsed_are_rejected() {
        let check = |from: &str, to: &str, words: &str| {
            let text = bounds(from, Some(to)).unwrap_err();
            assert!(text.contains(words), "{from} to {to}: {text}");
        };
        check("1d", "2d", "is not before --to");
        check("2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z", "not before");
        check("1d", "earliest", "leaves nothing");
        check(
            "yesterday",
            "1h",
            "expected a time such as 2026-11-01T00:00:00Z",
        );
        check("2026-11-01", "1h", "expected a time");
    }
}

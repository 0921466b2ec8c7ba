//! Arguments that ask for a range of a source's topics, and the range they ask for.
//!
//! Brokers, topics and properties are those of the configuration's source: there is one place to say them.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use crate::cli::UsageError;
use crate::clock;
use crate::config::Config;
use crate::model::{EventTime, MonitorSpec};
use crate::source::range::{RangeBounds, RangePart, RangeStart, TopicRange};

/// How long brokers may keep silent.
const PATIENCE: Duration = Duration::from_secs(15);

/// Arguments of commands that read a topic range.
#[derive(Debug, Clone, Args)]
pub struct RangeArgs {
    /// Read the topics of the monitor's source, from the first record on whose Kafka time is at or after this: a time as 2026-11-01T00:00:00Z, a duration back
    /// from now as 7d, or earliest
    #[arg(long, value_name = "WHEN", requires = "config")]
    from: Option<When>,
    /// End before the first record whose Kafka time is at or after this; by default where the topics end when the command begins
    #[arg(long, value_name = "WHEN", requires = "from")]
    to: Option<When>,
}

/// A moment as it is typed.
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
        let at = text.parse::<jiff::Timestamp>().ok();
        let at = at.map(|at| When::At(EventTime::from_millis(at.as_millisecond())));
        at.or_else(|| humantime::parse_duration(text).ok().map(When::Ago))
            .ok_or_else(|| {
                "expected a time as 2026-11-01T00:00:00Z, a duration back from now as 7d, or earliest"
                    .to_owned()
            })
    }
}

impl When {
    /// The time it stands for; `None` = the beginning.
    fn time(self, now: EventTime) -> Option<EventTime> {
        match self {
            When::Earliest => None,
            When::At(at) => Some(at),
            When::Ago(span) => Some(now.minus(span)),
        }
    }
}

impl RangeArgs {
    /// The bounds that are asked for, if any.
    ///
    /// # Errors
    /// They leave nothing between them.
    pub fn bounds(&self) -> Result<Option<RangeBounds>, UsageError> {
        self.bounds_at(clock::now())
    }

    fn bounds_at(&self, now: EventTime) -> Result<Option<RangeBounds>, UsageError> {
        let Some(from) = self.from else {
            return Ok(None);
        };
        if self.to == Some(When::Earliest) {
            let text = "--to earliest leaves nothing to read";
            return Err(UsageError(text.to_owned()));
        }
        let from = from.time(now);
        let to = self.to.and_then(|to| to.time(now));
        if let (Some(from), Some(to)) = (from, to)
            && from >= to
        {
            return Err(UsageError(format!("--from {from} is not before --to {to}")));
        }
        let from = from.map_or(RangeStart::Earliest, RangeStart::At);
        Ok(Some(RangeBounds { from, to }))
    }
}

/// The range of each source that these monitors read, in the order of the sources; what is found is told on standard error.
///
/// # Errors
/// Nobody answers, a topic is missing, or it holds nothing in the range.
pub fn find(
    config: &Config,
    monitors: &[MonitorSpec],
    bounds: RangeBounds,
) -> anyhow::Result<Vec<TopicRange>> {
    let is_read = |name: &str| monitors.iter().any(|monitor| monitor.source == name);
    let sources = config.sources.iter().filter(|source| is_read(&source.name));
    sources
        .map(|source| {
            let range = TopicRange::find(source, bounds, PATIENCE)?;
            anstream::eprintln!("{}", told(&range));
            Ok(range)
        })
        .collect()
}

/// What was found, in a line or two.
fn told(range: &TopicRange) -> String {
    let (source, topics) = (range.source(), range.topics());
    let partitions = match range.parts().len() {
        1 => "1 partition".to_owned(),
        count => format!("{count} partitions"),
    };
    let (bounds, offsets) = (range.bounds(), range.offsets());
    let mut text =
        format!("source {source}: topic {topics} {bounds}: {offsets} offsets in {partitions}");
    let curtailed = range.parts().iter().filter(|part| part.is_curtailed);
    let curtailed: Vec<String> = curtailed.map(lost).collect();
    if !curtailed.is_empty() {
        text += &format!(
            "\nsource {source}: the range may lack its beginning, because older records are gone: {}",
            curtailed.join(", ")
        );
    }
    text
}

fn lost(part: &RangePart) -> String {
    let shard = &part.shard;
    format!(
        "partition {} of {} begins at offset {}",
        shard.partition, shard.topic, part.begin
    )
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
    fn a_bound_is_a_time_a_duration_back_from_now_or_the_beginning() {
        let check = |from: &str, expected: RangeStart| {
            let found = bounds(from, None);
            let expected = RangeBounds {
                from: expected,
                to: None,
            };
            assert_eq!(found, Ok(Some(expected)), "{from}");
        };
        check("earliest", RangeStart::Earliest);
        check("2026-11-01T00:00:00Z", RangeStart::At(NOW));
        check("2026-11-01T02:00:00+02:00", RangeStart::At(NOW));
        let week = Duration::from_secs(7 * 24 * 3600);
        check("7d", RangeStart::At(NOW.minus(week)));
    }

    #[test]
    fn bounds_that_make_no_sense_are_refused() {
        let check = |from: &str, to: &str, words: &str| {
            let text = bounds(from, Some(to)).unwrap_err();
            assert!(text.contains(words), "{from} to {to}: {text}");
        };
        check("1d", "2d", "is not before --to");
        check("2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z", "not before");
        check("1d", "earliest", "leaves nothing");
        check("yesterday", "1h", "expected a time as 2026-11-01T00:00:00Z");
        check("2026-11-01", "1h", "expected a time");
    }
}

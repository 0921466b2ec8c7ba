//! A stretch of a source's topics, from a time to a time, as something that ends and can be read again.
//!
//! Times bound the time Kafka holds for each record (`CreateTime` or `LogAppendTime`, as the topic is set up). They are turned into offsets once, when the
//! range is found: what is appended later is not in it, and every reading sees the same records. In a partition whose times are out of order the range begins
//! at the first record at or after `from` and ends before the first one at or after `to`, whatever the times in between.
//!
//! Partitions are assigned by hand; there is no group to join, and nothing is committed. Unlike the source of the daemon, which waits for brokers for ever, a
//! range gives up when nobody answers for a while: somebody sits in front of it.

mod buffer;
mod find;
mod reader;
mod session;

use std::time::Duration;

use self::session::Session;
use super::settings::SourceError;
use crate::model::{EventTime, Shard, SourceSpec};

pub use self::buffer::RangeRecord;
pub use self::reader::RangeReader;

/// Where a range begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeStart {
    /// At the oldest record each partition holds.
    Earliest,
    /// At the first record at or after a time.
    At(EventTime),
}

/// Which records are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeBounds {
    /// The beginning, included.
    pub from: RangeStart,
    /// The end, excluded; `None` = what is there when the range is found.
    pub to: Option<EventTime>,
}

/// Why a range cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RangeError {
    /// The client cannot be made.
    #[error(transparent)]
    Client(#[from] SourceError),
    /// Nobody answers, or the answer is that it cannot be.
    #[error("source {source_name}: {problem}")]
    Broker {
        /// The source.
        source_name: String,
        /// What is wrong, in one line.
        problem: String,
    },
    /// No partition holds anything in the range.
    #[error("source {source_name}: topic {topics} holds no record {range}")]
    Empty {
        /// The source.
        source_name: String,
        /// Its topics.
        topics: String,
        /// The bounds, in words.
        range: String,
    },
    /// Retention was faster.
    #[error(
        "partition {partition} of topic {topic}: retention took records of the range, from offset {offset} on, before they were read"
    )]
    Lost {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The first record that was to be read next.
        offset: i64,
    },
    /// Nothing comes any more.
    #[error(
        "partition {partition} of topic {topic}: nothing came for {} at offset {offset} of {end}: {problem}",
        humantime::format_duration(*.patience)
    )]
    Silent {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The first record that was to be read next.
        offset: i64,
        /// The end of the range.
        end: i64,
        /// How long was waited.
        patience: Duration,
        /// What else is known.
        problem: String,
    },
}

/// What a range holds of one partition; never nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangePart {
    /// The partition.
    pub shard: Shard,
    /// The first offset.
    pub begin: i64,
    /// The offset after the last.
    pub end: i64,
    /// The range begins at the oldest record that is left, and older ones are gone: some of them may have been in it.
    pub is_curtailed: bool,
}

/// A range that was found.
#[derive(Debug)]
pub struct TopicRange {
    spec: SourceSpec,
    topics: String,
    bounds: RangeBounds,
    parts: Vec<RangePart>,
    patience: Duration,
}

impl TopicRange {
    /// Turns times into offsets, with the brokers' help; `patience` is how long they may keep silent, here and while the range is read.
    ///
    /// # Errors
    /// Nobody answers in time, a topic does not exist or may not be read, or no record is in the range.
    pub fn find(
        spec: &SourceSpec,
        bounds: RangeBounds,
        patience: Duration,
    ) -> Result<Self, RangeError> {
        let range = TopicRange {
            spec: spec.clone(),
            topics: spec.kafka.topics.join(", "),
            bounds,
            parts: find::parts(spec, bounds, patience)?,
            patience,
        };
        if range.parts.is_empty() {
            return Err(range.empty());
        }
        Ok(range)
    }

    fn empty(&self) -> RangeError {
        RangeError::Empty {
            source_name: self.spec.name.clone(),
            topics: self.topics.clone(),
            range: self.bounds.to_string(),
        }
    }

    /// The name of its source.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.spec.name
    }

    /// Its topics, for people.
    #[must_use]
    pub fn topics(&self) -> &str {
        &self.topics
    }

    /// Its bounds.
    #[must_use]
    pub fn bounds(&self) -> RangeBounds {
        self.bounds
    }

    /// Its partitions, those of one topic together and in order; the place here is the slot of a reader.
    #[must_use]
    pub fn parts(&self) -> &[RangePart] {
        &self.parts
    }

    /// Offsets from begin to end of all partitions: at least as many as there are records.
    #[must_use]
    pub fn offsets(&self) -> u64 {
        let lengths = self.parts.iter().map(|part| part.end - part.begin);
        lengths.sum::<i64>().unsigned_abs()
    }

    /// Begins to read from the beginning.
    ///
    /// # Errors
    /// The client cannot be made, or does not take the partitions.
    pub fn open(&self) -> Result<RangeReader, RangeError> {
        let session = Session::try_new(&self.spec, self.parts.len(), self.patience)?;
        RangeReader::try_new(session, &self.parts)
    }
}

impl std::fmt::Display for RangeBounds {
    /// As in `from 2026-11-01T00:00:00Z to its end`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.from {
            RangeStart::Earliest => write!(f, "from its beginning")?,
            RangeStart::At(at) => write!(f, "from {at}")?,
        }
        match self.to {
            None => write!(f, " to its end"),
            Some(at) => write!(f, " to {at}"),
        }
    }
}

//! The errors of a range.

use std::time::Duration;

use crate::model::duration;
use crate::source::kafka::settings::SourceError;

/// An error that ends the search for a range, or its reading.
#[derive(Debug, thiserror::Error)]
pub enum RangeError {
    /// The client cannot be created.
    #[error(transparent)]
    Client(#[from] SourceError),
    /// No broker answers, or the broker or the client refuses.
    #[error("source {source_name}: {problem}")]
    Broker {
        /// The name of the source.
        source_name: String,
        /// The problem in one line.
        problem: String,
    },
    /// No partition holds a record in the range.
    #[error("source {source_name}: topic {topics} holds no record {range}")]
    Empty {
        /// The name of the source.
        source_name: String,
        /// The topics of the source.
        topics: String,
        /// The bounds in words.
        range: String,
    },
    /// Retention deleted records of the range.
    #[error(
        "partition {partition} of topic {topic}: retention deleted records of the range before they were read, from offset {offset} on"
    )]
    Lost {
        /// The topic of the partition.
        topic: String,
        /// The number of the partition.
        partition: i32,
        /// The next offset to read.
        offset: i64,
    },
    /// No record arrived for longer than the range's patience.
    #[error(
        "partition {partition} of topic {topic}: nothing came for {} at offset {offset} of {end}: {problem}",
        duration::format(*.patience)
    )]
    Silent {
        /// The topic of the partition.
        topic: String,
        /// The number of the partition.
        partition: i32,
        /// The next offset to read.
        offset: i64,
        /// The end of the range.
        end: i64,
        /// The length of the wait.
        patience: Duration,
        /// The most likely cause in one line.
        problem: String,
    },
}

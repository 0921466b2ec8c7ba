//! A range that was found and can be opened.

use std::time::Duration;

use super::bounds::RangeBounds;
use super::error::RangeError;
use super::find::find_partitions;
use super::partition::RangePartition;
use super::reader::RangeReader;
use super::session::Session;
use crate::model::SourceSpec;

/// A range of the topics of a source.
#[derive(Debug)]
pub struct TopicRange {
    spec: SourceSpec,
    topics: String,
    bounds: RangeBounds,
    partitions: Vec<RangePartition>,
    patience: Duration,
}

impl TopicRange {
    /// Turns times into offsets, by requests to the brokers. `patience` is the longest time without
    /// an answer or a record, here and while the range is read.
    ///
    /// # Errors
    /// No broker answers in time, a topic does not exist or may not be read, or no record is in the
    /// range.
    pub fn find(
        spec: &SourceSpec,
        bounds: RangeBounds,
        patience: Duration,
    ) -> Result<Self, RangeError> {
        let range = TopicRange {
            spec: spec.clone(),
            topics: spec.kafka.topics.join(", "),
            bounds,
            partitions: find_partitions(spec, bounds, patience)?,
            patience,
        };
        if range.partitions.is_empty() {
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

    /// The name of the source.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.spec.name
    }

    /// The topics of the source, separated by commas, for messages.
    #[must_use]
    pub fn topics(&self) -> &str {
        &self.topics
    }

    /// The bounds as they were requested.
    #[must_use]
    pub fn bounds(&self) -> RangeBounds {
        self.bounds
    }

    /// The partitions, grouped by topic and in order. The index of a partition is its slot in a
    /// reader.
    #[must_use]
    pub fn parts(&self) -> &[RangePartition] {
        &self.partitions
    }

    /// The number of offsets in all partitions; with gaps, there are fewer records.
    #[must_use]
    pub fn offsets(&self) -> u64 {
        self.partitions
            .iter()
            .map(|partition| partition.end - partition.begin)
            .sum::<i64>()
            .unsigned_abs()
    }

    /// Opens a reader at the beginning of the range.
    ///
    /// # Errors
    /// The client cannot be created, or rejects the partitions.
    pub fn open(&self) -> Result<RangeReader, RangeError> {
        let session = Session::try_new(&self.spec, self.partitions.len(), self.patience)?;
        RangeReader::try_new(session, &self.partitions)
    }
}

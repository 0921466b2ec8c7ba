//! A range of a source's topics, from one time to another, that ends and can be read again.
//!
//! The times bound the timestamp that Kafka holds for each record (`CreateTime` or `LogAppendTime`,
//! as the topic is configured). They are turned into offsets once, when the range is found. Records
//! that are appended later are not part of it, so every reading returns the same records. In a
//! partition whose timestamps are out of order, the range begins at the first record at or after
//! `from` and ends before the first one at or after `to`, whatever the timestamps in between.
//!
//! Partitions are assigned by hand: no group is joined, and nothing is committed. Unlike the source
//! of the daemon, which waits for brokers without limit, a range fails when no broker answers for a
//! while, because a person waits for the command.

mod bounds;
mod buffer;
mod error;
mod find;
mod partition;
mod reader;
mod session;
mod topic_range;

pub use self::bounds::{RangeBounds, RangeStart};
pub use self::buffer::RangeRecord;
pub use self::error::RangeError;
pub use self::partition::RangePartition;
pub use self::reader::RangeReader;
pub use self::topic_range::TopicRange;

//! Buffers the records of one partition, which librdkafka delivers all at once and the reader takes
//! one by one.
//!
//! Payloads are copied into one block of memory that is reused. So there is no allocation per
//! record, and a buffer holds at most what librdkafka's queue of the partition held.

use std::ops::Range;

use crate::model::EventTime;
use crate::source::kafka::librdkafka::{KafkaEvent, RecordHandler};

/// A record of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeRecord<'a> {
    /// Its offset in its partition.
    pub offset: i64,
    /// The timestamp that Kafka holds for it.
    pub time: Option<EventTime>,
    /// The bytes of the record; `None` for a tombstone.
    pub payload: Option<&'a [u8]>,
}

/// The records of one partition that were fetched and not taken yet.
#[derive(Debug)]
pub(super) struct RecordBuffer {
    /// Every record of the range before this offset was fetched.
    pub(super) next_offset: i64,
    end: i64,
    bytes: Vec<u8>,
    records: Vec<BufferedRecord>,
    taken: usize,
    /// The end of the partition in the last end event.
    pub(super) reported_end: Option<i64>,
    /// The code of the last failure that was not handled yet.
    pub(super) failure: Option<i32>,
}

/// A record whose payload is a range of the buffer's bytes.
#[derive(Debug)]
struct BufferedRecord {
    offset: i64,
    time: Option<EventTime>,
    payload: Option<Range<usize>>,
}

impl RecordBuffer {
    /// A buffer for the offsets `[begin, end)`.
    pub(super) fn new(begin: i64, end: i64) -> Self {
        RecordBuffer {
            next_offset: begin,
            end,
            bytes: Vec::new(),
            records: Vec::new(),
            taken: 0,
            reported_end: None,
            failure: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.taken == self.records.len()
    }

    /// True if everything before the end of the range was fetched.
    pub(super) fn is_complete(&self) -> bool {
        self.next_offset >= self.end
    }

    /// Marks everything before `position` as fetched.
    pub(super) fn advance_to(&mut self, position: i64) {
        self.next_offset = self.next_offset.max(position);
    }

    /// Drops the records that were taken, for the next fetch.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
        self.taken = 0;
    }

    /// Takes the next record.
    pub(super) fn take(&mut self) -> Option<RangeRecord<'_>> {
        let record = self.records.get(self.taken)?;
        self.taken += 1;
        Some(RangeRecord {
            offset: record.offset,
            time: record.time,
            payload: record.payload.clone().map(|range| &self.bytes[range]),
        })
    }

    fn push(&mut self, offset: i64, time: Option<EventTime>, payload: Option<&[u8]>) {
        if offset >= self.next_offset && offset < self.end {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(payload.unwrap_or_default());
            self.records.push(BufferedRecord {
                offset,
                time,
                payload: payload.map(|_| start..self.bytes.len()),
            });
        }
        self.advance_to(offset + 1);
    }
}

impl RecordHandler for RecordBuffer {
    fn slot(&mut self, _: &str, _: i32) -> Option<usize> {
        Some(0)
    }

    fn handle(&mut self, _: usize, event: KafkaEvent<'_>) {
        match event {
            KafkaEvent::Record {
                offset,
                timestamp_ms,
                payload,
            } => self.push(offset, timestamp_ms.map(EventTime::from_millis), payload),
            KafkaEvent::End { offset } => {
                self.reported_end = Some(offset);
                self.advance_to(offset);
            }
            KafkaEvent::Failure { code, .. } => self.failure = Some(code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Delivers records at these offsets; every tenth offset is a tombstone.
    fn deliver(buffer: &mut RecordBuffer, offsets: &[i64]) {
        for offset in offsets {
            let text = offset.to_string();
            buffer.handle(
                0,
                KafkaEvent::Record {
                    offset: *offset,
                    timestamp_ms: Some(*offset),
                    payload: (offset % 10 != 0).then_some(text.as_bytes()),
                },
            );
        }
    }

    fn take_offsets(buffer: &mut RecordBuffer) -> Vec<i64> {
        std::iter::from_fn(|| buffer.take().map(|record| record.offset)).collect()
    }

    fn take_payload(buffer: &mut RecordBuffer) -> Option<Vec<u8>> {
        buffer.take().unwrap().payload.map(<[u8]>::to_vec)
    }

    #[test]
    fn records_of_the_range_are_kept_once_and_in_order() {
        let mut buffer = RecordBuffer::new(5, 9);
        deliver(&mut buffer, &[4, 5, 7, 7]);
        assert!(!buffer.is_complete(), "8 may come");
        deliver(&mut buffer, &[8, 9, 10]);
        assert!(buffer.is_complete(), "9 is the end");
        assert_eq!(take_offsets(&mut buffer), [5, 7, 8], "the kept records");
    }

    #[test]
    fn an_end_beyond_gaps_completes_the_range() {
        let mut buffer = RecordBuffer::new(0, 4);
        deliver(&mut buffer, &[1]);
        buffer.handle(0, KafkaEvent::End { offset: 3 });
        assert!(!buffer.is_complete(), "before the end of the range");
        buffer.advance_to(4);
        assert!(buffer.is_complete(), "the position passed a control record");
        assert_eq!(take_offsets(&mut buffer), [1], "the record is still there");
    }

    #[test]
    fn a_tombstone_has_no_payload() {
        let mut buffer = RecordBuffer::new(0, 100);
        deliver(&mut buffer, &[10, 11]);
        assert_eq!(take_payload(&mut buffer), None, "tombstone");
        assert_eq!(take_payload(&mut buffer), Some(b"11".to_vec()), "record");
    }
}

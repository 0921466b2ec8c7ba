//! Records of one partition between librdkafka, which hands on all it has, and a reader that takes them one by one.
//!
//! Payloads are copied into one piece of memory that is used again: no allocation per record, and never more than librdkafka's queue of the partition held.

use std::ops::Range;

use crate::model::EventTime;
use crate::source::kafka::librdkafka::{Arrival, Receiver};

/// A record of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeRecord<'a> {
    /// Its offset in its partition.
    pub offset: i64,
    /// The time Kafka holds for it.
    pub time: Option<EventTime>,
    /// `None` = a tombstone.
    pub payload: Option<&'a [u8]>,
}

/// What was fetched of one partition and not taken yet.
#[derive(Debug)]
pub(super) struct Buffer {
    /// Offsets before this one were handed over; control records and what compaction took are passed over.
    pub(super) next: i64,
    end: i64,
    bytes: Vec<u8>,
    records: Vec<Kept>,
    taken: usize,
    /// Where the partition was said to end.
    pub(super) told_end: Option<i64>,
    /// A failure that was told since it was last looked at.
    pub(super) failure: Option<(i32, String)>,
}

#[derive(Debug)]
struct Kept {
    offset: i64,
    time: Option<EventTime>,
    payload: Option<Range<usize>>,
}

impl Buffer {
    pub(super) fn new(begin: i64, end: i64) -> Self {
        Buffer {
            next: begin,
            end,
            bytes: Vec::new(),
            records: Vec::new(),
            taken: 0,
            told_end: None,
            failure: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.taken == self.records.len()
    }

    /// Whether everything before the end of the range was fetched.
    pub(super) fn is_complete(&self) -> bool {
        self.next >= self.end
    }

    /// Everything before `position` was fetched.
    pub(super) fn reached(&mut self, position: i64) {
        self.next = self.next.max(position);
    }

    /// Makes room for what is fetched next.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
        self.taken = 0;
    }

    /// The next record.
    pub(super) fn take(&mut self) -> Option<RangeRecord<'_>> {
        let kept = self.records.get(self.taken)?;
        self.taken += 1;
        Some(RangeRecord {
            offset: kept.offset,
            time: kept.time,
            payload: kept.payload.clone().map(|range| &self.bytes[range]),
        })
    }

    fn keep(&mut self, offset: i64, time: Option<EventTime>, payload: Option<&[u8]>) {
        if offset >= self.next && offset < self.end {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(payload.unwrap_or_default());
            let payload = payload.map(|_| start..self.bytes.len());
            self.records.push(Kept {
                offset,
                time,
                payload,
            });
        }
        self.reached(offset + 1);
    }
}

impl Receiver for Buffer {
    fn slot(&mut self, _: &str, _: i32) -> Option<usize> {
        Some(0)
    }

    fn take(&mut self, _: usize, arrival: Arrival<'_>) {
        match arrival {
            Arrival::Record {
                offset,
                timestamp_ms,
                payload,
            } => self.keep(offset, timestamp_ms.map(EventTime::from_millis), payload),
            Arrival::End { offset } => {
                self.told_end = Some(offset);
                self.reached(offset);
            }
            Arrival::Failure { code, text } => self.failure = Some((code, text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrive(buffer: &mut Buffer, offsets: &[i64]) {
        for offset in offsets {
            let text = offset.to_string();
            let record = Arrival::Record {
                offset: *offset,
                timestamp_ms: Some(*offset),
                payload: (offset % 10 != 0).then_some(text.as_bytes()),
            };
            Receiver::take(buffer, 0, record);
        }
    }

    fn offsets(buffer: &mut Buffer) -> Vec<i64> {
        std::iter::from_fn(|| buffer.take().map(|record| record.offset)).collect()
    }

    #[test]
    fn records_of_the_range_are_kept_once_and_in_order() {
        let mut buffer = Buffer::new(5, 9);
        arrive(&mut buffer, &[4, 5, 7, 7]);
        assert!(!buffer.is_complete(), "8 may come");
        arrive(&mut buffer, &[8, 9, 10]);
        assert!(buffer.is_complete(), "9 is the end");
        assert_eq!(offsets(&mut buffer), [5, 7, 8], "what was kept");
    }

    #[test]
    fn an_end_beyond_gaps_completes_the_range() {
        let mut buffer = Buffer::new(0, 4);
        arrive(&mut buffer, &[1]);
        Receiver::take(&mut buffer, 0, Arrival::End { offset: 3 });
        assert!(!buffer.is_complete(), "before the end of the range");
        buffer.reached(4);
        assert!(buffer.is_complete(), "the position passed a control record");
        assert_eq!(offsets(&mut buffer), [1], "and the record is still there");
    }

    #[test]
    fn a_tombstone_has_no_payload() {
        let mut buffer = Buffer::new(0, 100);
        arrive(&mut buffer, &[10, 11]);
        let payload = |buffer: &mut Buffer| buffer.take().unwrap().payload.map(<[u8]>::to_vec);
        assert_eq!(payload(&mut buffer), None, "tombstone");
        assert_eq!(payload(&mut buffer), Some(b"11".to_vec()), "record");
    }
}

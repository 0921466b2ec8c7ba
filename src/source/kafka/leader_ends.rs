//! Asks the leaders of partitions for the ends of their logs.
//!
//! Only an answer of a partition's leader shows up to which moment the partition was read
//! (`read_confirmation`). Silence does not: an unreachable leader is silent as well. librdkafka's
//! statistics and its end-of-partition event repeat the end of a fetch, which may be from before an
//! outage or a pause of the process, and carry no time.
//!
//! A round sends one ListOffsets request per leader, for all of its partitions, so a thousand
//! partitions on three brokers cost three requests. Each leader has a call of its own, because
//! librdkafka answers a call only when all of its leaders have answered. The thread does not wait:
//! answers arrive on a queue. A leader holds an answer back behind a pending fetch, half a second
//! by default.

#![expect(unsafe_code, reason = "rdkafka has no safe wrapper for ListOffsets")]

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char};
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use rdkafka::bindings as rd;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::error_code::is_unanswered;
use super::librdkafka::{Client, Queue};
use crate::kafka::TopicPartition;
use crate::model::EventTime;

/// The time for an answer, beyond the longest time that a broker holds a fetch.
const ANSWER_TIME: Duration = Duration::from_secs(2);
/// librdkafka's default of `fetch.wait.max.ms`.
const DEFAULT_FETCH_WAIT: Duration = Duration::from_millis(500);

/// The ends that a leader reported.
#[derive(Debug)]
pub(super) struct LeaderAnswer {
    pub(super) leader: i32,
    /// Wall time of the request.
    pub(super) sent_at: EventTime,
    /// The number of slots at the time of the request; later ones are not meant.
    pub(super) slots: usize,
    /// The end of each partition that the leader knows; `None` if the leader gave no answer.
    pub(super) ends: Option<Vec<(TopicPartition, i64)>>,
    /// The partitions of the request.
    pub(super) partitions: Vec<TopicPartition>,
}

/// A request that is not answered yet.
#[derive(Debug)]
struct EndRequest {
    leader: i32,
    sent_at: EventTime,
    slots: usize,
    partitions: Vec<TopicPartition>,
}

/// The requests for ends, at most one per leader at a time.
#[derive(Debug)]
pub(super) struct LeaderEnds {
    interval: Duration,
    limit: Duration,
    due: Instant,
    /// By number, which the answer carries.
    pending: BTreeMap<usize, EndRequest>,
    next_number: usize,
}

impl LeaderEnds {
    /// The first round is due one interval after `now`. `properties` are the user's, of which
    /// `fetch.wait.max.ms` delays answers.
    pub(super) fn new(
        interval: Duration,
        properties: &BTreeMap<String, String>,
        now: Instant,
    ) -> Self {
        let fetch_wait = properties
            .get("fetch.wait.max.ms")
            .and_then(|millis| millis.parse().ok())
            .map_or(DEFAULT_FETCH_WAIT, Duration::from_millis);
        LeaderEnds {
            interval,
            limit: ANSWER_TIME + fetch_wait,
            due: now + interval,
            pending: BTreeMap::new(),
            next_number: 1,
        }
    }

    /// True if the next round is due.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        now >= self.due
    }

    /// True if a leader still owes an answer.
    pub(super) fn is_pending(&self, leader: i32) -> bool {
        self.pending
            .values()
            .any(|request| request.leader == leader)
    }

    /// Asks each leader for the ends of its partitions.
    pub(super) fn request(
        &mut self,
        client: &Client,
        by_leader: BTreeMap<i32, Vec<TopicPartition>>,
        slots: usize,
        now: Instant,
        sent_at: EventTime,
    ) {
        self.due = now + self.interval;
        for (leader, partitions) in by_leader {
            let number = self.next_number;
            self.next_number += 1;
            if send(client, &partitions, number, self.limit).is_ok() {
                let request = EndRequest {
                    leader,
                    sent_at,
                    slots,
                    partitions,
                };
                self.pending.insert(number, request);
            }
        }
    }

    /// Takes the answers that have arrived.
    pub(super) fn take_answers(&mut self, client: &Client) -> Vec<LeaderAnswer> {
        let mut answers = Vec::new();
        while !self.pending.is_empty()
            && let Some(event) = ListOffsetsEvent::next(client.leader_ends())
        {
            let Some(request) = self.pending.remove(&event.number()) else {
                continue;
            };
            answers.push(LeaderAnswer {
                leader: request.leader,
                sent_at: request.sent_at,
                slots: request.slots,
                ends: event.ends(),
                partitions: request.partitions,
            });
        }
        answers
    }
}

/// Sends a request. Its answer, or the failure, arrives on the client's queue in any case.
fn send(
    client: &Client,
    partitions: &[TopicPartition],
    number: usize,
    timeout: Duration,
) -> KafkaResult<()> {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for TopicPartition { topic, partition } in partitions {
        list.add_partition_offset(topic, *partition, Offset::End)?;
    }
    let native = client.consumer().client().native_ptr();
    let operation = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS;
    let committed = rd::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED;
    let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let mut reason: [c_char; 64] = [0; 64];
    // SAFETY: client, list and queue are valid for the calls, which copy list and options. The
    // options are owned here and destroyed once, after their last use; so is an error of the
    // isolation level. The reason may be written up to its length; it is not read, because the
    // timeout is a legal one. The opaque pointer is a number and never dereferenced.
    unsafe {
        let options = rd::rd_kafka_AdminOptions_new(native, operation);
        rd::rd_kafka_AdminOptions_set_request_timeout(
            options,
            millis,
            reason.as_mut_ptr(),
            reason.len(),
        );
        let error = rd::rd_kafka_AdminOptions_set_isolation_level(options, committed);
        if !error.is_null() {
            rd::rd_kafka_error_destroy(error);
        }
        rd::rd_kafka_AdminOptions_set_opaque(options, std::ptr::without_provenance_mut(number));
        rd::rd_kafka_ListOffsets(native, list.ptr(), options, client.leader_ends().as_ptr());
        rd::rd_kafka_AdminOptions_destroy(options);
    }
    Ok(())
}

/// An answer to ListOffsets.
struct ListOffsetsEvent(NonNull<rd::rd_kafka_event_t>);

impl ListOffsetsEvent {
    fn next(queue: &Queue) -> Option<Self> {
        // SAFETY: the queue is valid; an event that is not null is owned here until it is
        // destroyed.
        let event = unsafe { rd::rd_kafka_queue_poll(queue.as_ptr(), 0) };
        NonNull::new(event).map(ListOffsetsEvent)
    }

    /// The number of the request.
    fn number(&self) -> usize {
        // SAFETY: the event is valid; its opaque pointer is the number of the request.
        unsafe { rd::rd_kafka_event_opaque(self.0.as_ptr()) }.addr()
    }

    /// The end of each partition with an answer; `None` if no leader answered.
    fn ends(&self) -> Option<Vec<(TopicPartition, i64)>> {
        let mut count = 0;
        // SAFETY: the event is valid and lives as long as its contents. A result is asked for its
        // partitions only if it is one of ListOffsets and not a failure; there are `count`.
        let infos = unsafe {
            let result = rd::rd_kafka_event_ListOffsets_result(self.0.as_ptr());
            if result.is_null() || rd::rd_kafka_event_error(self.0.as_ptr()) as i32 != 0 {
                return None;
            }
            let first = rd::rd_kafka_ListOffsets_result_infos(result, &raw mut count);
            if first.is_null() {
                return Some(Vec::new());
            }
            std::slice::from_raw_parts(first, count)
        };
        let mut ends = Vec::with_capacity(infos.len());
        let mut unanswered = 0;
        for info in infos {
            // SAFETY: the pointers belong to the event, which is borrowed here; the name of a
            // partition's topic is a C string. The code is read as an integer, because a newer
            // broker may send one that the enum of the binding does not contain.
            let (topic, element, code) = unsafe {
                let element = rd::rd_kafka_ListOffsetsResultInfo_topic_partition(*info);
                let code = (&raw const (*element).err).cast::<i32>().read();
                (CStr::from_ptr((*element).topic), &*element, code)
            };
            if code == 0 {
                let partition = TopicPartition::new(&topic.to_string_lossy(), element.partition);
                ends.push((partition, element.offset));
            }
            unanswered += usize::from(is_unanswered(code));
        }
        (unanswered == 0 || !ends.is_empty()).then_some(ends)
    }
}

impl Drop for ListOffsetsEvent {
    fn drop(&mut self) {
        // SAFETY: the event is owned here, and destroyed only here.
        unsafe { rd::rd_kafka_event_destroy(self.0.as_ptr()) }
    }
}

//! The ids of topics, which distinguish a recreated topic from the deleted one of the same name.
//!
//! rdkafka has no safe call that returns them, but librdkafka has DescribeTopics: one metadata
//! request for all topics. A broker answers it only after a pending fetch that has nothing to
//! return, which takes half a second by default. So the source does not wait for the answer but
//! polls for it. Only before partitions are opened it waits for a moment, because their start may
//! depend on the ids.
//!
//! Ids stay unknown with a broker before Kafka 2.8, or without permission to describe topics. That
//! is not reported as a problem. A failed request keeps the ids of the last answer.

#![expect(unsafe_code, reason = "rdkafka has no safe wrapper for DescribeTopics")]

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use rdkafka::bindings as rd;
use rdkafka::consumer::Consumer;

use super::librdkafka::{Client, Queue};
use crate::clock;
use crate::model::TopicId;

/// The timeout of a request; the next one is sent after it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The ids of a source's topics.
#[derive(Debug, Default)]
pub(super) struct TopicIds {
    known: BTreeMap<String, TopicId>,
    /// The time of the request that is not answered yet.
    requested_at: Option<Instant>,
    /// The time of the last request that was answered, also by a failure.
    answered_for: Option<Instant>,
}

impl TopicIds {
    /// The id of a topic, if known.
    pub(super) fn get(&self, topic: &str) -> Option<TopicId> {
        self.known.get(topic).copied()
    }

    /// Discards the id of a topic.
    pub(super) fn discard(&mut self, topic: &str) {
        self.known.remove(topic);
    }

    /// True if a request at or after this time was answered.
    pub(super) fn is_answered_since(&self, at: Instant) -> bool {
        self.answered_for.is_some_and(|answered| answered >= at)
    }

    /// Requests the ids, unless a request is under way.
    pub(super) fn request(&mut self, client: &Client, topics: &[String]) {
        if self.requested_at.is_none() {
            send(client, topics);
            self.requested_at = Some(clock::monotonic());
        }
    }

    /// Waits for an answer until `timeout` after the request; returns `true` if new ids arrived. An
    /// answer that reports a failure changes nothing.
    pub(super) fn poll(&mut self, client: &Client, timeout: Duration) -> bool {
        let Some(requested_at) = self.requested_at else {
            return false;
        };
        let wait = (requested_at + timeout).saturating_duration_since(clock::monotonic());
        let Some(answer) = DescribeTopicsEvent::next(client.topic_ids(), wait) else {
            return false;
        };
        self.requested_at = None;
        self.answered_for = Some(requested_at);
        match answer.ids() {
            Some(ids) => {
                self.known = ids;
                true
            }
            None => false,
        }
    }
}

/// Sends the request. Its answer, or the failure, arrives on the client's queue in any case.
fn send(client: &Client, topics: &[String]) {
    let native = client.consumer().client().native_ptr();
    let names: Vec<CString> = topics
        .iter()
        .filter_map(|topic| CString::new(topic.as_str()).ok())
        .collect();
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let operation = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
    let mut reason: [c_char; 64] = [0; 64];
    // SAFETY: client, names and queue are valid for the calls, which copy names and options. Both
    // are owned here and destroyed once, after their last use. The reason may be written up to its
    // length; it is not read, because the timeout is a legal one.
    unsafe {
        let options = rd::rd_kafka_AdminOptions_new(native, operation);
        rd::rd_kafka_AdminOptions_set_request_timeout(
            options,
            millis(REQUEST_TIMEOUT),
            reason.as_mut_ptr(),
            reason.len(),
        );
        let topics =
            rd::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        rd::rd_kafka_DescribeTopics(native, topics, options, client.topic_ids().as_ptr());
        rd::rd_kafka_TopicCollection_destroy(topics);
        rd::rd_kafka_AdminOptions_destroy(options);
    }
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

/// An answer to DescribeTopics.
struct DescribeTopicsEvent(NonNull<rd::rd_kafka_event_t>);

impl DescribeTopicsEvent {
    fn next(queue: &Queue, wait: Duration) -> Option<Self> {
        // SAFETY: the queue is valid; an event that is not null is owned here until it is
        // destroyed.
        let event = unsafe { rd::rd_kafka_queue_poll(queue.as_ptr(), millis(wait)) };
        NonNull::new(event).map(DescribeTopicsEvent)
    }

    /// The ids of the answer; `None` if it reports a failure.
    fn ids(&self) -> Option<BTreeMap<String, TopicId>> {
        let mut count = 0;
        // SAFETY: the event is valid and lives as long as its contents. A result is asked for its
        // topics only if it is one of DescribeTopics and not a failure; topics are `count`
        // pointers, which are null for topics without an answer.
        let topics = unsafe {
            let result = rd::rd_kafka_event_DescribeTopics_result(self.0.as_ptr());
            if result.is_null() || rd::rd_kafka_event_error(self.0.as_ptr()) as i32 != 0 {
                return None;
            }
            let first = rd::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
            if first.is_null() {
                return None;
            }
            std::slice::from_raw_parts(first, count)
        };
        let ids = topics
            .iter()
            // SAFETY: the pointers belong to the event, which is borrowed here.
            .filter_map(|topic| unsafe { named_id(*topic) })
            .collect();
        Some(ids)
    }
}

impl Drop for DescribeTopicsEvent {
    fn drop(&mut self) {
        // SAFETY: the event is owned here, and destroyed only here.
        unsafe { rd::rd_kafka_event_destroy(self.0.as_ptr()) }
    }
}

/// The name and the id of a topic. `None` for a topic that does not exist or may not be described,
/// and for the zero id of a broker without ids.
///
/// # Safety
///
/// `topic` is null or valid during the call.
unsafe fn named_id(topic: *const rd::rd_kafka_TopicDescription_t) -> Option<(String, TopicId)> {
    if topic.is_null() {
        return None;
    }
    // SAFETY: the caller guarantees the topic, which owns its name and id; both are copied.
    unsafe {
        if !rd::rd_kafka_TopicDescription_error(topic).is_null() {
            return None;
        }
        let uuid = rd::rd_kafka_TopicDescription_topic_id(topic);
        let halves = [
            rd::rd_kafka_Uuid_most_significant_bits(uuid),
            rd::rd_kafka_Uuid_least_significant_bits(uuid),
        ];
        let name = CStr::from_ptr(rd::rd_kafka_TopicDescription_name(topic));
        Some((name.to_string_lossy().into_owned(), id_of(halves)?))
    }
}

fn id_of([most, least]: [i64; 2]) -> Option<TopicId> {
    let bits = u128::from(most.cast_unsigned()) << 64 | u128::from(least.cast_unsigned());
    (bits != 0).then(|| bits.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_its_halves_in_order_and_zero_is_none() {
        let expected = [
            0, 0, 0, 0, 0, 0, 0, 1, 255, 255, 255, 255, 255, 255, 255, 254,
        ];
        assert_eq!(id_of([1, -2]), Some(expected), "both halves");
        assert_eq!(id_of([0, 0]), None, "no id");
    }
}

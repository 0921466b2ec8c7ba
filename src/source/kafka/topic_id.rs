//! The ids of topics: what tells one that was deleted and created again from the one it replaced.
//!
//! rdkafka has no safe call that returns them. librdkafka's DescribeTopics does: it is a metadata request like those of `discover`, for all topics at once.
//! It waits behind a fetch that has nothing to return, which is half a second by default, so nobody waits for it: the answer is looked for at each poll. Only
//! before partitions are begun it is given a moment, because where they begin may depend on it.
//!
//! Who cannot say (a broker before Kafka 2.8, one that does not let us describe topics) leaves ids unknown, and that is no problem to tell. While one does not
//! answer, what it said last holds.

#![expect(unsafe_code, reason = "rdkafka has no safe wrapper for DescribeTopics")]

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use rdkafka::bindings as rd;
use rdkafka::consumer::Consumer;

use super::KafkaSource;
use super::librdkafka::{Link, Queue};
use crate::clock;
use crate::model::TopicId;
use crate::source::Sink;

/// A question nobody answered is given up, and asked again.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The ids of a source's topics.
#[derive(Debug, Default)]
pub(super) struct TopicIds {
    known: BTreeMap<String, TopicId>,
    /// Since when an answer is waited for.
    asked: Option<Instant>,
}

impl TopicIds {
    /// The id of a topic, where it is known.
    pub(super) fn of(&self, topic: &str) -> Option<TopicId> {
        self.known.get(topic).copied()
    }

    /// Takes what was said of a topic for nothing.
    pub(super) fn forget(&mut self, topic: &str) {
        self.known.remove(topic);
    }

    /// Asks for the ids, where that is not under way.
    pub(super) fn ask(&mut self, link: &Link, topics: &[String]) {
        if self.asked.is_none() {
            send(link, topics);
            self.asked = Some(clock::monotonic());
        }
    }

    /// Whether an answer came, until `patience` after the question at most. One that tells of a failure changes nothing.
    pub(super) fn hear(&mut self, link: &Link, patience: Duration) -> bool {
        let Some(asked) = self.asked else {
            return false;
        };
        let wait = (asked + patience).saturating_duration_since(clock::monotonic());
        let Some(event) = Event::next(link.topic_ids(), wait) else {
            return false;
        };
        self.asked = None;
        let ids = event.ids();
        ids.map(|ids| self.known = ids).is_some()
    }
}

impl KafkaSource {
    /// Takes an answer about the topics' ids, where there is one: partitions of a topic that was created anew are ended, and begun at the next look.
    pub(super) fn hear_of_topics(&mut self, patience: Duration, sink: &mut dyn Sink) {
        if !self.topic_ids.hear(&self.link, patience) {
            return;
        }
        for topic in self.spec.topics.clone() {
            let Some(id) = self.topic_ids.of(&topic) else {
                continue;
            };
            if self.table.is_former(&topic, id) {
                self.topic_ids.forget(&topic);
                continue;
            }
            let others = self.table.identify(&topic, id, sink);
            if !others.is_empty() {
                self.table.revoked += 1;
                self.rhythm.look_now();
            }
            for slot in others {
                self.end_life(slot, sink);
            }
        }
    }

    fn end_life(&mut self, slot: usize, sink: &mut dyn Sink) {
        let shard = &self.table.get(slot).shard;
        let key = (shard.topic.clone(), shard.partition);
        self.lives.insert(key, shard.incarnation + 1);
        self.health.set(self.concern(slot), None);
        self.withdraw(slot);
        self.stranded.remove(&slot);
        self.table.close(slot, sink);
    }
}

/// Sends the question; an answer, or that there is none, comes to the link's queue in any case.
fn send(link: &Link, topics: &[String]) {
    let client = link.consumer().client().native_ptr();
    let names = topics.iter().map(|topic| CString::new(topic.as_str()));
    let names: Vec<CString> = names.filter_map(Result::ok).collect();
    let mut starts: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let api = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
    let mut reason: [c_char; 64] = [0; 64];
    // SAFETY: client, names and queue are valid for the calls, which copy names and options; both are ours and destroyed once, after their last use. The
    // reason may be written up to its length; it is not read, because the timeout is a legal one.
    unsafe {
        let options = rd::rd_kafka_AdminOptions_new(client, api);
        rd::rd_kafka_AdminOptions_set_request_timeout(
            options,
            millis(LONGEST_WAIT),
            reason.as_mut_ptr(),
            reason.len(),
        );
        let topics = rd::rd_kafka_TopicCollection_of_topic_names(starts.as_mut_ptr(), starts.len());
        rd::rd_kafka_DescribeTopics(client, topics, options, link.topic_ids().as_ptr());
        rd::rd_kafka_TopicCollection_destroy(topics);
        rd::rd_kafka_AdminOptions_destroy(options);
    }
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

/// An answer.
struct Event(NonNull<rd::rd_kafka_event_t>);

impl Event {
    fn next(queue: &Queue, wait: Duration) -> Option<Self> {
        // SAFETY: the queue is valid; an event that is not null is ours until it is destroyed.
        let event = unsafe { rd::rd_kafka_queue_poll(queue.as_ptr(), millis(wait)) };
        NonNull::new(event).map(Event)
    }

    /// The ids it tells; `None` when it tells of a failure.
    fn ids(&self) -> Option<BTreeMap<String, TopicId>> {
        let mut count = 0;
        // SAFETY: the event is valid and lives as long as what it holds. A result is asked for its topics only when it is one of DescribeTopics and no
        // failure; topics are `count` pointers, of which null ones were not answered.
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
        // SAFETY: the pointers are the event's, which is borrowed here.
        let named = |topic: &*const _| unsafe { named_id(*topic) };
        Some(topics.iter().filter_map(named).collect())
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: the event is ours, and destroyed only here.
        unsafe { rd::rd_kafka_event_destroy(self.0.as_ptr()) }
    }
}

/// A topic's name and id; `None` for a topic that does not exist or may not be described, and for a broker without ids, which says zero.
///
/// # Safety
///
/// `topic` is null or valid during the call.
unsafe fn named_id(topic: *const rd::rd_kafka_TopicDescription_t) -> Option<(String, TopicId)> {
    if topic.is_null() {
        return None;
    }
    // SAFETY: the caller vouches for the topic, which owns its name and id; both are copied.
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

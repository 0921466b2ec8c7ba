//! Records of all partitions on one queue, handed on by reference. The only unsafe code of pegel is here and, in small, in `topic_id`.
//!
//! rdkafka's safe `poll` costs 370-520 ns per record on the reading thread, librdkafka's callback consume 60-95 ns (measured, 603-byte records), so
//! records are taken with `rd_kafka_consume_callback_queue`. Mechanics, all of them traps:
//!
//! - Each partition's queue is forwarded to ours *before* the partition is assigned; otherwise its records land on the consumer queue, where nobody
//!   looks for them.
//! - Stopping a partition clears the forwarding at some later moment on librdkafka's thread, and starting it again does not restore it. `forward` is
//!   therefore repeated until the partition is heard of; it moves over what piled up meanwhile.
//! - `rd_kafka_consume_batch_queue` would be as fast, but it counts an end-of-partition event as a record when it moves the position, which is then one
//!   too high and loses a record at the next start.
//! - Our queue must be destroyed before the client, or the client's destructor waits for it forever. `Ends` owns both, in that order.
//! - An asynchronous `rd_kafka_commit` is never answered when events are used; `rd_kafka_commit_queue` answers on a queue of its own.
//! - Closing a client whose broker is gone while a request is under way can take for ever (measured: more than five minutes). It is done on a thread of
//!   its own, and waited for only so long.

#![expect(
    unsafe_code,
    reason = "rdkafka has no safe wrapper for callback consume and queue forwarding"
)]

use std::any::Any;
use std::ffi::{CStr, CString, c_void};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::callbacks::CallbackContext;

/// What arrives from a partition.
pub(super) enum Arrival<'a> {
    /// A record; the payload lives as long as the call.
    Record {
        offset: i64,
        timestamp_ms: Option<i64>,
        payload: Option<&'a [u8]>,
    },
    /// The partition ends at this offset for now.
    End { offset: i64 },
    /// librdkafka gave up or complains; `code` as in `rd_kafka_resp_err_t`.
    Failure { code: i32, text: String },
}

/// Who takes what arrives.
pub(super) trait Receiver {
    /// The slot of a partition; `None` when it is not being read.
    fn slot(&mut self, topic: &str, partition: i32) -> Option<usize>;
    /// Takes one arrival.
    fn take(&mut self, slot: usize, arrival: Arrival<'_>);
}

/// A consumer and the queues beside it.
pub(super) struct Link {
    ends: ManuallyDrop<Ends>,
    /// How long dropping may wait for the client to close.
    patience: Duration,
}

struct Ends {
    // Dropped in this order.
    records: Queue,
    answers: Queue,
    topic_ids: Queue,
    /// Queues of single partitions.
    taps: Vec<Queue>,
    consumer: BaseConsumer<CallbackContext>,
    /// The member of the group, where there is one; it reads nothing.
    member: Option<BaseConsumer<CallbackContext>>,
}

pub(super) struct Queue(NonNull<rd::rd_kafka_queue_t>);

// SAFETY: librdkafka's queues may be used from any thread; ours have one owner that moves with the link.
unsafe impl Send for Queue {}

impl Queue {
    fn new(consumer: &BaseConsumer<CallbackContext>) -> Option<Self> {
        // SAFETY: the client pointer is valid while the consumer lives.
        let queue = unsafe { rd::rd_kafka_queue_new(consumer.client().native_ptr()) };
        NonNull::new(queue).map(Queue)
    }

    pub(super) fn as_ptr(&self) -> *mut rd::rd_kafka_queue_t {
        self.0.as_ptr()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the pointer came from rd_kafka_queue_new or rd_kafka_queue_get_partition, is destroyed only here, and the client still lives (field order of `Ends`).
        unsafe { rd::rd_kafka_queue_destroy(self.0.as_ptr()) }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // SAFETY: taken once; nothing uses `ends` after the drop.
        let ends = unsafe { ManuallyDrop::take(&mut self.ends) };
        let (done, closed) = std::sync::mpsc::channel::<()>();
        let close = move || {
            drop(ends);
            drop(done);
        };
        // Without a thread there is nobody to close the client; leaving it to the process's end loses nothing that was committed.
        if std::thread::Builder::new()
            .name("kafka-close".to_owned())
            .spawn(close)
            .is_ok()
        {
            closed.recv_timeout(self.patience).ok();
        }
    }
}

impl Link {
    /// Puts the queues beside the consumer; `None` when librdkafka cannot make one.
    pub(super) fn new(
        consumer: BaseConsumer<CallbackContext>,
        member: Option<BaseConsumer<CallbackContext>>,
        patience: Duration,
    ) -> Option<Self> {
        let ends = ManuallyDrop::new(Ends {
            records: Queue::new(&consumer)?,
            answers: Queue::new(member.as_ref().unwrap_or(&consumer))?,
            topic_ids: Queue::new(&consumer)?,
            taps: Vec::new(),
            consumer,
            member,
        });
        Some(Link { ends, patience })
    }

    /// The member of the group, where there is one.
    pub(super) fn member(&self) -> Option<&BaseConsumer<CallbackContext>> {
        self.ends.member.as_ref()
    }

    /// The consumer, for everything that has a safe call.
    pub(super) fn consumer(&self) -> &BaseConsumer<CallbackContext> {
        &self.ends.consumer
    }

    /// Where answers about topics arrive.
    pub(super) fn topic_ids(&self) -> &Queue {
        &self.ends.topic_ids
    }

    /// Sends the partition's records to the data queue; harmless when repeated.
    pub(super) fn forward(&self, topic: &str, partition: i32) {
        let Ok(topic) = CString::new(topic) else {
            return;
        };
        let client = self.ends.consumer.client().native_ptr();
        // SAFETY: client, topic and both queues are valid for the calls; the partition queue is a counted handle that is given back at once.
        unsafe {
            let own = rd::rd_kafka_queue_get_partition(client, topic.as_ptr(), partition);
            if !own.is_null() {
                rd::rd_kafka_queue_forward(own, self.ends.records.0.as_ptr());
                rd::rd_kafka_queue_destroy(own);
            }
        }
    }

    /// Leaves a partition's records on its own queue, instead of the one for all, and returns that queue's number; called before the partition is assigned.
    pub(super) fn tap(&mut self, topic: &str, partition: i32) -> Option<usize> {
        let topic = CString::new(topic).ok()?;
        let client = self.ends.consumer.client().native_ptr();
        // SAFETY: client and topic are valid for the calls; the handle is counted, ours, and given back before the client is dropped (field order of `Ends`).
        let own = unsafe {
            let own = rd::rd_kafka_queue_get_partition(client, topic.as_ptr(), partition);
            NonNull::new(own).inspect(|own| {
                rd::rd_kafka_queue_forward(own.as_ptr(), std::ptr::null_mut());
            })
        };
        self.ends.taps.push(Queue(own?));
        Some(self.ends.taps.len() - 1)
    }

    /// Waits at most `wait` for the first arrival and hands on everything that is there then.
    pub(super) fn drain(&self, wait: Duration, receiver: &mut dyn Receiver) {
        drain(&self.ends.records, wait, receiver);
    }

    /// The same for one partition, by the number `tap` returned.
    pub(super) fn drain_tap(&self, tap: usize, wait: Duration, receiver: &mut dyn Receiver) {
        drain(&self.ends.taps[tap], wait, receiver);
    }

    /// Commits without waiting; `answer` tells how it ended. A group with members takes commits from them only.
    pub(super) fn commit(&self, offsets: &TopicPartitionList) {
        let client = self
            .member()
            .unwrap_or(self.consumer())
            .client()
            .native_ptr();
        // SAFETY: client, list and queue are valid for the call, which copies the list. Without a callback, the answer is an event on the queue; what the
        // call itself returns only repeats that the group exists.
        unsafe {
            rd::rd_kafka_commit_queue(
                client,
                offsets.ptr(),
                self.ends.answers.0.as_ptr(),
                None,
                std::ptr::null_mut(),
            );
        }
    }

    /// The answer to a commit, as a code of `rd_kafka_resp_err_t`, when there is one within `wait`.
    pub(super) fn answer(&self, wait: Duration) -> Option<i32> {
        let millis = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is valid; an event that is not null is ours until it is destroyed, which is after its last use.
        unsafe {
            let event = rd::rd_kafka_queue_poll(self.ends.answers.0.as_ptr(), millis);
            if event.is_null() {
                return None;
            }
            let code = rd::rd_kafka_event_error(event) as i32;
            rd::rd_kafka_event_destroy(event);
            Some(code)
        }
    }

    /// Fills in the offset each partition will hand on next: past control records, which `last record + 1` is not; `Offset::Invalid` before the first.
    pub(super) fn positions(&self, partitions: &mut TopicPartitionList) {
        // SAFETY: client and list are valid for the call, which only writes offsets and errors into the list.
        let code = unsafe {
            rd::rd_kafka_position(self.ends.consumer.client().native_ptr(), partitions.ptr())
        };
        if code != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            // Every offset of a list can be set to this one.
            partitions.set_all_offsets(Offset::Invalid).ok();
        }
    }
}

fn drain(queue: &Queue, wait: Duration, receiver: &mut dyn Receiver) {
    let mut drain = Drain {
        receiver,
        last: None,
        panic: None,
    };
    let millis = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the queue is valid; librdkafka calls `hand_on` on this thread, only during this call, with the pointer to `drain`, which outlives it.
    unsafe {
        rd::rd_kafka_consume_callback_queue(
            queue.as_ptr(),
            millis,
            Some(hand_on),
            (&raw mut drain).cast(),
        );
    }
    if let Some(panic) = drain.panic {
        resume_unwind(panic);
    }
}

struct Drain<'a> {
    receiver: &'a mut dyn Receiver,
    /// Runs of one partition are long: its slot is looked up once per run. Topic pointers are compared only within one drain.
    last: Option<(*mut rd::rd_kafka_topic_t, i32, Option<usize>)>,
    panic: Option<Box<dyn Any + Send>>,
}

impl Drain<'_> {
    /// # Safety
    ///
    /// `message` is librdkafka's and valid until this returns.
    unsafe fn take(&mut self, message: &rd::rd_kafka_message_t) {
        let slot = match self.last {
            Some((topic, partition, slot))
                if topic == message.rkt && partition == message.partition =>
            {
                slot
            }
            _ => {
                // SAFETY: every arrival on a partition's queue carries its topic, whose name lives as long as the message.
                let name = unsafe { topic_name(message.rkt) };
                let slot = self.receiver.slot(&name, message.partition);
                self.last = Some((message.rkt, message.partition, slot));
                slot
            }
        };
        if let Some(slot) = slot {
            // SAFETY: passed on from the caller.
            let arrival = unsafe { read(message) };
            self.receiver.take(slot, arrival);
        }
    }
}

/// Called by librdkafka for each arrival. A panic must not cross its frames: it is kept, and the rest of the drain is skipped.
unsafe extern "C" fn hand_on(message: *mut rd::rd_kafka_message_t, drain: *mut c_void) {
    // SAFETY: `drain` is the pointer `Link::drain` passed, and nobody else uses it during the call.
    let drain = unsafe { &mut *drain.cast::<Drain<'_>>() };
    if drain.panic.is_some() {
        return;
    }
    // SAFETY: librdkafka destroys the message only after this returns.
    let outcome = catch_unwind(AssertUnwindSafe(|| unsafe { drain.take(&*message) }));
    drain.panic = outcome.err();
}

/// # Safety
///
/// `topic` is null or valid while the name is used.
unsafe fn topic_name<'a>(topic: *mut rd::rd_kafka_topic_t) -> std::borrow::Cow<'a, str> {
    if topic.is_null() {
        return "".into();
    }
    // SAFETY: the caller vouches for the topic; its name is a C string that lives with it.
    unsafe { CStr::from_ptr(rd::rd_kafka_topic_name(topic)) }.to_string_lossy()
}

/// # Safety
///
/// The message is librdkafka's and outlives the arrival.
unsafe fn read<'a>(message: &'a rd::rd_kafka_message_t) -> Arrival<'a> {
    // SAFETY: read as an integer, because a newer broker may send a code that the binding's enum does not know.
    let code = unsafe { (&raw const message.err).cast::<i32>().read() };
    let payload = NonNull::new(message.payload.cast::<u8>())
        // SAFETY: a payload that is not null has `len` bytes, which live as long as the message.
        .map(|start| unsafe { std::slice::from_raw_parts(start.as_ptr(), message.len) });
    if code == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF as i32 {
        return Arrival::End {
            offset: message.offset,
        };
    }
    if code != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR as i32 {
        // An error carries its text where a record has its payload.
        let text = String::from_utf8_lossy(payload.unwrap_or_default()).into_owned();
        return Arrival::Failure { code, text };
    }
    // SAFETY: the message is valid, and the kind of timestamp is not asked for.
    let millis = unsafe { rd::rd_kafka_message_timestamp(message, std::ptr::null_mut()) };
    Arrival::Record {
        offset: message.offset,
        timestamp_ms: (millis >= 0).then_some(millis),
        payload,
    }
}

/// librdkafka's name of an error code in lower case, as in `_transport` or `unknown_topic_or_part`.
pub(super) fn code_name(code: i32) -> String {
    let mut first = std::ptr::null();
    let mut count = 0;
    // SAFETY: fills in a static table and its length.
    unsafe { rd::rd_kafka_get_err_descs(&raw mut first, &raw mut count) };
    (0..count)
        .find_map(|index| {
            // SAFETY: within the static table; codes are read as integers, and names are static C strings or null in the gaps.
            unsafe {
                let entry = first.add(index);
                let found = (&raw const (*entry).code).cast::<i32>().read();
                let name = (*entry).name;
                (found == code && !name.is_null()).then(|| CStr::from_ptr(name))
            }
        })
        .map_or_else(
            || format!("code_{code}"),
            |name| name.to_string_lossy().to_ascii_lowercase(),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_librdkafka_names() {
        let check = |code: i32, expected: &str| {
            assert_eq!(code_name(code), expected, "name of {code}");
        };
        check(-195, "_transport");
        check(3, "unknown_topic_or_part");
        check(29, "topic_authorization_failed");
        check(12_345, "code_12345");
    }
}

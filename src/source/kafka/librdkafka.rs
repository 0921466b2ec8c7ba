//! The client of librdkafka: one queue for the records of all partitions, read by callback.
//!
//! rdkafka's safe `poll` costs 370-520 ns per record on the reading thread, librdkafka's callback
//! consume 60-95 ns (measured, 603-byte records). So records are read with
//! `rd_kafka_consume_callback_queue` and passed on by reference. This needs unsafe code, which in
//! pegel exists only here, in `topic_id`, in `leader_ends` and in `error_code`. The mechanics are
//! all traps:
//!
//! - Each partition's queue is forwarded to the record queue *before* the partition is assigned.
//!   Otherwise its records arrive on the consumer queue, which is not read.
//! - librdkafka clears the forwarding some time after a partition is unassigned, on a thread of its
//!   own, and does not restore it when the partition is assigned again. `forward` is therefore
//!   repeated until something arrives from the partition; it also moves what has queued up.
//! - `rd_kafka_consume_batch_queue` would be as fast. But it counts an end-of-partition event as a
//!   record when it moves the position, so the position is one too high and the next start skips a
//!   record.
//! - A queue must be destroyed before its client, or the client's destructor waits for it forever.
//!   `ClientHandles` owns both, in that order.
//! - An asynchronous `rd_kafka_commit` is never answered when events are used.
//!   `rd_kafka_commit_queue` answers on a queue of its own.
//! - Closing a client whose broker disappeared during a request can take very long (measured: more
//!   than five minutes). A separate thread closes it, and the owner waits for a limited time.

#![expect(
    unsafe_code,
    reason = "rdkafka has no safe wrapper for callback consume and queue forwarding"
)]

use std::any::Any;
use std::borrow::Cow;
use std::ffi::{CStr, CString, c_void};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::callbacks::CallbackContext;

/// An event on the queue of a partition.
pub(super) enum KafkaEvent<'a> {
    /// A record; the payload lives as long as the call.
    Record {
        offset: i64,
        timestamp_ms: Option<i64>,
        payload: Option<&'a [u8]>,
    },
    /// The end of the partition was reached; it is at this offset for now.
    End { offset: i64 },
    /// An error of the partition; `code` as in `rd_kafka_resp_err_t`.
    Failure { code: i32, text: String },
}

/// The receiver of the events of a queue.
pub(super) trait RecordHandler {
    /// The slot of a partition; `None` if the partition is not read.
    fn slot(&mut self, topic: &str, partition: i32) -> Option<usize>;
    /// Handles one event of the partition in a slot.
    fn handle(&mut self, slot: usize, event: KafkaEvent<'_>);
}

/// A consumer with its queues.
pub(super) struct Client {
    handles: ManuallyDrop<ClientHandles>,
    /// The longest time that dropping waits until the client is closed.
    close_timeout: Duration,
}

/// The handles of librdkafka, dropped in the order of the fields.
struct ClientHandles {
    records: Queue,
    commits: Queue,
    topic_ids: Queue,
    leader_ends: Queue,
    /// Queues of single partitions.
    partition_queues: Vec<Queue>,
    consumer: BaseConsumer<CallbackContext>,
    /// The member of the group, if there is one; it reads nothing.
    member: Option<BaseConsumer<CallbackContext>>,
}

/// A queue of librdkafka.
pub(super) struct Queue(NonNull<rd::rd_kafka_queue_t>);

// SAFETY: librdkafka's queues may be used from any thread; each has one owner that moves with the
// client.
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
        // SAFETY: the pointer came from rd_kafka_queue_new or rd_kafka_queue_get_partition and is
        // destroyed only here, while the client lives (field order of `ClientHandles`).
        unsafe { rd::rd_kafka_queue_destroy(self.0.as_ptr()) }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: taken once; nothing uses `handles` after the drop.
        let handles = unsafe { ManuallyDrop::take(&mut self.handles) };
        let (done, closed) = std::sync::mpsc::channel::<()>();
        // If the thread cannot start, the client stays open until the process ends; nothing that
        // was committed is lost.
        if std::thread::Builder::new()
            .name("kafka-close".to_owned())
            .spawn(move || {
                drop(handles);
                drop(done);
            })
            .is_ok()
        {
            closed.recv_timeout(self.close_timeout).ok();
        }
    }
}

impl Client {
    /// Creates the queues of a consumer; `None` if librdkafka cannot create one.
    pub(super) fn new(
        consumer: BaseConsumer<CallbackContext>,
        member: Option<BaseConsumer<CallbackContext>>,
        close_timeout: Duration,
    ) -> Option<Self> {
        let handles = ManuallyDrop::new(ClientHandles {
            records: Queue::new(&consumer)?,
            commits: Queue::new(member.as_ref().unwrap_or(&consumer))?,
            topic_ids: Queue::new(&consumer)?,
            leader_ends: Queue::new(&consumer)?,
            partition_queues: Vec::new(),
            consumer,
            member,
        });
        Some(Client {
            handles,
            close_timeout,
        })
    }

    /// The member of the group, if there is one.
    pub(super) fn member(&self) -> Option<&BaseConsumer<CallbackContext>> {
        self.handles.member.as_ref()
    }

    /// The consumer, for requests that have a safe wrapper.
    pub(super) fn consumer(&self) -> &BaseConsumer<CallbackContext> {
        &self.handles.consumer
    }

    /// The queue for answers about topic ids.
    pub(super) fn topic_ids(&self) -> &Queue {
        &self.handles.topic_ids
    }

    /// The queue for answers about the ends of partitions.
    pub(super) fn leader_ends(&self) -> &Queue {
        &self.handles.leader_ends
    }

    /// Forwards a partition's queue to the record queue; may be repeated.
    pub(super) fn forward(&self, topic: &str, partition: i32) {
        let Ok(topic) = CString::new(topic) else {
            return;
        };
        let client = self.handles.consumer.client().native_ptr();
        // SAFETY: client, topic and both queues are valid for the calls; the partition queue is a
        // counted handle that is released at once.
        unsafe {
            let queue = rd::rd_kafka_queue_get_partition(client, topic.as_ptr(), partition);
            if !queue.is_null() {
                rd::rd_kafka_queue_forward(queue, self.handles.records.0.as_ptr());
                rd::rd_kafka_queue_destroy(queue);
            }
        }
    }

    /// Keeps a partition's records on a queue of their own; returns the index of that queue. To be
    /// called before the partition is assigned.
    pub(super) fn open_partition_queue(&mut self, topic: &str, partition: i32) -> Option<usize> {
        let topic = CString::new(topic).ok()?;
        let client = self.handles.consumer.client().native_ptr();
        // SAFETY: client and topic are valid for the calls; the handle is counted, owned here, and
        // released before the client is dropped (field order of `ClientHandles`).
        let queue = unsafe {
            let queue = rd::rd_kafka_queue_get_partition(client, topic.as_ptr(), partition);
            NonNull::new(queue).inspect(|queue| {
                rd::rd_kafka_queue_forward(queue.as_ptr(), std::ptr::null_mut());
            })
        };
        self.handles.partition_queues.push(Queue(queue?));
        Some(self.handles.partition_queues.len() - 1)
    }

    /// Waits up to `wait` for the first event and passes on all events that are there then.
    pub(super) fn drain(&self, wait: Duration, handler: &mut dyn RecordHandler) {
        drain(&self.handles.records, wait, handler);
    }

    /// The same as [`Client::drain`] for one partition queue, by its index.
    pub(super) fn drain_partition(
        &self,
        index: usize,
        wait: Duration,
        handler: &mut dyn RecordHandler,
    ) {
        drain(&self.handles.partition_queues[index], wait, handler);
    }

    /// Sends a commit; [`Client::commit_outcome`] returns its outcome. A group with members accepts
    /// commits only from them.
    pub(super) fn commit(&self, offsets: &TopicPartitionList) {
        let client = self
            .member()
            .unwrap_or(self.consumer())
            .client()
            .native_ptr();
        // SAFETY: client, list and queue are valid for the call, which copies the list. Without a
        // callback, the answer is an event on the queue; the call itself fails only if there is no
        // group.
        unsafe {
            rd::rd_kafka_commit_queue(
                client,
                offsets.ptr(),
                self.handles.commits.0.as_ptr(),
                None,
                std::ptr::null_mut(),
            );
        }
    }

    /// Waits up to `wait` for the outcome of a commit: a code of `rd_kafka_resp_err_t`, 0 for
    /// success.
    pub(super) fn commit_outcome(&self, wait: Duration) -> Option<i32> {
        let millis = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is valid; an event that is not null is owned here until it is
        // destroyed, after its last use.
        unsafe {
            let event = rd::rd_kafka_queue_poll(self.handles.commits.0.as_ptr(), millis);
            if event.is_null() {
                return None;
            }
            let code = rd::rd_kafka_event_error(event) as i32;
            rd::rd_kafka_event_destroy(event);
            Some(code)
        }
    }

    /// Fills in the offset of the next record of each partition; `Offset::Invalid` before the first
    /// record. Unlike the last record's offset + 1, it is past control records.
    pub(super) fn positions(&self, partitions: &mut TopicPartitionList) {
        let client = self.handles.consumer.client().native_ptr();
        // SAFETY: client and list are valid for the call, which only writes offsets and errors into
        // the list.
        let code = unsafe { rd::rd_kafka_position(client, partitions.ptr()) };
        if code != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            // Cannot fail: every element of a list accepts this offset.
            partitions.set_all_offsets(Offset::Invalid).ok();
        }
    }
}

fn drain(queue: &Queue, wait: Duration, handler: &mut dyn RecordHandler) {
    let mut drain = QueueDrain {
        handler,
        last: None,
        panic: None,
    };
    let millis = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the queue is valid; librdkafka calls `on_message` on this thread, only during this
    // call, with the pointer to `drain`, which outlives it.
    unsafe {
        rd::rd_kafka_consume_callback_queue(
            queue.as_ptr(),
            millis,
            Some(on_message),
            (&raw mut drain).cast(),
        );
    }
    if let Some(panic) = drain.panic {
        resume_unwind(panic);
    }
}

/// The state of one call that drains a queue.
struct QueueDrain<'a> {
    handler: &'a mut dyn RecordHandler,
    /// The partition of the last message and its slot. Messages of one partition come in long runs,
    /// so the slot is looked up once per run. Topic pointers are compared only within one drain.
    last: Option<(*mut rd::rd_kafka_topic_t, i32, Option<usize>)>,
    panic: Option<Box<dyn Any + Send>>,
}

impl QueueDrain<'_> {
    /// # Safety
    ///
    /// `message` is librdkafka's and valid until this returns.
    unsafe fn handle(&mut self, message: &rd::rd_kafka_message_t) {
        let slot = match self.last {
            Some((topic, partition, slot))
                if topic == message.rkt && partition == message.partition =>
            {
                slot
            }
            _ => {
                // SAFETY: every message on a partition's queue carries its topic, whose name lives
                // as long as the message.
                let name = unsafe { topic_name(message.rkt) };
                let slot = self.handler.slot(&name, message.partition);
                self.last = Some((message.rkt, message.partition, slot));
                slot
            }
        };
        if let Some(slot) = slot {
            // SAFETY: passed on from the caller.
            let event = unsafe { event_of(message) };
            self.handler.handle(slot, event);
        }
    }
}

/// The callback for each message. A panic must not cross librdkafka's frames: it is stored, and the
/// rest of the drain is skipped.
unsafe extern "C" fn on_message(message: *mut rd::rd_kafka_message_t, drain: *mut c_void) {
    // SAFETY: `drain` is the pointer that `drain` passed, and nothing else uses it during the call.
    let drain = unsafe { &mut *drain.cast::<QueueDrain<'_>>() };
    if drain.panic.is_some() {
        return;
    }
    // SAFETY: librdkafka destroys the message only after this returns.
    let outcome = catch_unwind(AssertUnwindSafe(|| unsafe { drain.handle(&*message) }));
    drain.panic = outcome.err();
}

/// # Safety
///
/// `topic` is null or valid while the name is used.
unsafe fn topic_name<'a>(topic: *mut rd::rd_kafka_topic_t) -> Cow<'a, str> {
    if topic.is_null() {
        return "".into();
    }
    // SAFETY: the caller guarantees the topic; its name is a C string that lives with it.
    unsafe { CStr::from_ptr(rd::rd_kafka_topic_name(topic)) }.to_string_lossy()
}

/// # Safety
///
/// The message is librdkafka's and outlives the event.
unsafe fn event_of<'a>(message: &'a rd::rd_kafka_message_t) -> KafkaEvent<'a> {
    // SAFETY: read as an integer, because a newer broker may send a code that the binding's enum
    // does not contain.
    let code = unsafe { (&raw const message.err).cast::<i32>().read() };
    let payload = NonNull::new(message.payload.cast::<u8>())
        // SAFETY: a payload that is not null has `len` bytes, which live as long as the message.
        .map(|start| unsafe { std::slice::from_raw_parts(start.as_ptr(), message.len) });
    if code == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF as i32 {
        return KafkaEvent::End {
            offset: message.offset,
        };
    }
    if code != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR as i32 {
        // An error carries its text where a record has its payload.
        let text = String::from_utf8_lossy(payload.unwrap_or_default()).into_owned();
        return KafkaEvent::Failure { code, text };
    }
    // SAFETY: the message is valid; a null pointer skips the kind of the timestamp.
    let millis = unsafe { rd::rd_kafka_message_timestamp(message, std::ptr::null_mut()) };
    KafkaEvent::Record {
        offset: message.offset,
        timestamp_ms: (millis >= 0).then_some(millis),
        payload,
    }
}

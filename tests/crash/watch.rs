//! Somebody who reads the pane log all the time, and sees what moves, what is refused, and what stands still.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pegel::pane_log::decode_claim;
use pegel::panes::Heads;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::recount::consumer;

#[derive(Debug, Default)]
struct Seen {
    heads: Heads,
    rejected: u64,
    /// By partition of the source: when its head last moved, and the longest it ever stood.
    moved: BTreeMap<i32, (Instant, Duration)>,
}

/// The watch; it ends when dropped.
pub(crate) struct Watch {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Watches a log of so many partitions, which exist.
    pub(crate) fn start(bootstrap: &str, panes: &str, partitions: i32) -> Self {
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset(panes, partition, Offset::Beginning)
                .unwrap();
        }
        let consumer = consumer(bootstrap);
        consumer.assign(&list).unwrap();
        let (seen, stop) = (Arc::new(Mutex::new(Seen::default())), Arc::default());
        let (own, stopped) = (Arc::clone(&seen), Arc::clone(&stop));
        let thread = std::thread::spawn(move || read(&consumer, &own, &stopped));
        Watch {
            seen,
            stop,
            thread: Some(thread),
        }
    }

    /// Commits that did not count.
    pub(crate) fn rejected(&self) -> u64 {
        self.seen.lock().unwrap().rejected
    }

    /// How many partitions have moved since then.
    pub(crate) fn moved_since(&self, then: Instant) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.moved.values().filter(|(at, _)| *at > then).count()
    }

    /// What stood still so far is excused: nothing could move.
    pub(crate) fn excuse(&self) {
        for moved in self.seen.lock().unwrap().moved.values_mut() {
            *moved = (Instant::now(), Duration::ZERO);
        }
    }

    /// The longest that each partition stood still since the last excuse.
    pub(crate) fn stood(&self) -> Vec<Duration> {
        let seen = self.seen.lock().unwrap();
        seen.moved.values().map(|(_, longest)| *longest).collect()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn read(consumer: &BaseConsumer, seen: &Mutex<Seen>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        // Ends of partitions and outages come as errors; reading goes on by itself.
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(50)) {
            let claim = decode_claim(message.payload().unwrap_or_default());
            if let Some(claim) = claim.unwrap() {
                seen.lock().unwrap().take(&claim);
            }
        }
    }
}

impl Seen {
    fn take(&mut self, claim: &pegel::panes::Claim) {
        if self.heads.fold(claim).is_err() {
            self.rejected += 1;
        } else if claim.upto > claim.base {
            let now = Instant::now();
            let fresh = (now, Duration::ZERO);
            let (at, longest) = self.moved.entry(claim.shard.partition).or_insert(fresh);
            *longest = (*longest).max(now - *at);
            *at = now;
        }
    }
}

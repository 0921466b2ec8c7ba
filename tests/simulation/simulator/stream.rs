//! The records of the simulated topic, and a plain recount of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pegel::app::observer_plan;
use pegel::ingest::Ingest;
use pegel::model::{EventTime, Shard};
use pegel::observe::ObserverPlan;
use pegel::panes::Commit;
use pegel::panes::content_hash;
use pegel::source::{RawRecord, Sink as _};
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::support::{at, plan, spec};

pub(super) const PARTITIONS: usize = 3;
/// Number of offsets of a partition.
pub(super) const OFFSETS: usize = 60;
const MINUTE_MS: i64 = 60_000;

/// The record at an offset.
#[derive(Debug, Clone)]
enum Slot {
    /// A control record, or one that compaction removed: nothing is delivered.
    Nothing,
    Tombstone,
    Broken,
    Event {
        time: EventTime,
        x: Option<u32>,
        word: Option<&'static str>,
    },
}

/// A topic of good and bad records, and a monitor of it.
#[derive(Debug)]
pub(super) struct Topic {
    plan: ObserverPlan,
    partitions: Vec<Vec<(Slot, Option<Vec<u8>>)>>,
}

/// Sums by partition, pane and name.
pub(super) type Sums = BTreeMap<(i32, EventTime, Counted), u64>;

/// The name of a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Counted {
    Events,
    Numbers,
    MissingNumbers,
    Words,
    MissingWords,
    /// By partition only, as all names below.
    Decoded,
    Errors,
    Tombstones,
    Late,
}

impl Topic {
    pub(super) fn new(seed: u64) -> Self {
        let mut spec = spec();
        spec.lateness.out_of_orderness = Duration::from_secs(30);
        // The clock of a schedule is before all events.
        spec.lateness.max_future = Duration::from_secs(86_400);
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut partition = || {
            let mut clock = at(12, 0, 0);
            let slots = (0..OFFSETS).map(|_| slot(&mut random, &mut clock));
            slots.map(|slot| (slot.clone(), payload(&slot))).collect()
        };
        Topic {
            plan: observer_plan("data", &[Arc::new(plan(spec))]),
            partitions: (0..PARTITIONS).map(|_| partition()).collect(),
        }
    }

    /// The ingest half of a new owner.
    pub(super) fn ingest(&self) -> Ingest {
        Ingest::new(self.plan.clone(), 1 << 20)
    }

    /// Delivers the record at an offset.
    pub(super) fn deliver(&self, partition: usize, offset: usize, ingest: &mut Ingest) {
        match &self.partitions[partition][offset] {
            (Slot::Nothing, _) => {}
            (_, payload) => ingest.record(RawRecord {
                slot: partition,
                offset: position(offset),
                timestamp_ms: None,
                payload: payload.as_deref(),
            }),
        }
    }

    /// The expected sums of these offsets, from a plain loop over the records.
    pub(super) fn recount(&self, partition: usize, offsets: std::ops::Range<usize>) -> Sums {
        let mut sums = Sums::new();
        let mut newest = None;
        for (slot, _) in &self.partitions[partition][offsets] {
            let mut count =
                |pane, counted| *sums.entry((number(partition), pane, counted)).or_default() += 1;
            match slot {
                Slot::Nothing => {}
                Slot::Tombstone => count(EventTime::MIN, Counted::Tombstones),
                Slot::Broken => count(EventTime::MIN, Counted::Errors),
                Slot::Event { time, x, word } => {
                    count(EventTime::MIN, Counted::Decoded);
                    // The window is five minutes, the out-of-orderness half a minute.
                    if newest.is_some_and(|newest: EventTime| {
                        time.as_millis() < newest.as_millis() - 330_000
                    }) {
                        count(EventTime::MIN, Counted::Late);
                        continue;
                    }
                    newest = newest.max(Some(*time));
                    let pane =
                        EventTime::from_millis(time.as_millis().div_euclid(MINUTE_MS) * MINUTE_MS);
                    count(pane, Counted::Events);
                    count(
                        pane,
                        if x.is_some() {
                            Counted::Numbers
                        } else {
                            Counted::MissingNumbers
                        },
                    );
                    count(
                        pane,
                        if word.is_some() {
                            Counted::Words
                        } else {
                            Counted::MissingWords
                        },
                    );
                }
            }
        }
        sums
    }

    /// The hash of the counts of one owner that was never disturbed.
    pub(super) fn undisturbed_hash(
        &self,
        partition: usize,
        offsets: std::ops::Range<usize>,
    ) -> u64 {
        let mut ingest = self.ingest();
        ingest.set_now(Some(at(12, 0, 0)));
        ingest.opened(partition, &shard(partition), position(offsets.start), false);
        offsets.for_each(|offset| self.deliver(partition, offset, &mut ingest));
        let flushed = ingest.flush();
        flushed.iter().fold(0, |sum: u64, flushed| {
            sum.wrapping_add(content_hash(&flushed.commit))
        })
    }
}

/// Adds the counts of an accepted commit.
pub(super) fn add(sums: &mut Sums, commit: &Commit) {
    let partition = commit.shard.partition;
    let mut count = |pane, counted, times: u64| {
        if times > 0 {
            *sums.entry((partition, pane, counted)).or_default() += times;
        }
    };
    count(EventTime::MIN, Counted::Decoded, commit.records.decoded);
    count(
        EventTime::MIN,
        Counted::Errors,
        commit.records.errors.iter().sum(),
    );
    count(
        EventTime::MIN,
        Counted::Tombstones,
        commit.records.tombstones,
    );
    for monitor in &commit.monitors {
        count(EventTime::MIN, Counted::Late, monitor.dropped.iter().sum());
        for pane in &monitor.panes {
            count(pane.start, Counted::Events, pane.events);
            for delta in &pane.features {
                let (present, missing) = match delta.feature {
                    0 => (Counted::Numbers, Counted::MissingNumbers),
                    _ => (Counted::Words, Counted::MissingWords),
                };
                let bins: u64 = delta.bins.1.iter().map(|count| u64::from(*count)).sum();
                assert_eq!(bins, delta.tallies.values, "every value is in a bin");
                count(pane.start, present, delta.tallies.values);
                count(pane.start, missing, delta.tallies.missing.iter().sum());
            }
        }
    }
}

pub(super) fn shard(partition: usize) -> Shard {
    Shard {
        source: "data".to_owned(),
        cluster: "c".to_owned(),
        topic: "t".to_owned(),
        partition: number(partition),
        incarnation: 0,
    }
}

pub(super) fn position(offset: usize) -> i64 {
    i64::try_from(offset).unwrap()
}

fn number(partition: usize) -> i32 {
    i32::try_from(partition).unwrap()
}

fn slot(random: &mut ChaCha8Rng, clock: &mut EventTime) -> Slot {
    match random.random_range(0..20) {
        0 | 1 => Slot::Nothing,
        2 => Slot::Tombstone,
        3 => Slot::Broken,
        kind => {
            *clock = clock.plus(Duration::from_secs(random.random_range(0..25)));
            // One in sixteen is late beyond the window, the others by up to a minute.
            let behind = if kind == 4 {
                3600
            } else {
                random.random_range(0..60)
            };
            let number = random.next_u32() % 1000;
            Slot::Event {
                time: clock.minus(Duration::from_secs(behind)),
                x: (!number.is_multiple_of(5)).then_some(number),
                word: [Some("de"), Some("fr"), Some("xx"), None][random.random_range(0..4)],
            }
        }
    }
}

fn payload(slot: &Slot) -> Option<Vec<u8>> {
    let text = match slot {
        Slot::Nothing | Slot::Tombstone => return None,
        Slot::Broken => "{\"ts\":".to_owned(),
        Slot::Event { time, x, word } => {
            let x = x.map_or("null".to_owned(), |x| x.to_string());
            let word = word.map_or("null".to_owned(), |word| format!("{word:?}"));
            crate::support::record(*time, &x, &word)
        }
    };
    Some(text.into_bytes())
}

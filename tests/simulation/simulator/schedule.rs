//! One schedule: a seed decides everything that happens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pegel::ingest::Ingest;
use pegel::model::EventTime;
use pegel::pane_log::{HeadLookup, encode_commit};
use pegel::panes::LogState;
use pegel::panes::{Claim, Heads};
use pegel::source::Sink as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::log::{Fold, Log, Reader};
use super::seen::Seen;
use super::stream::{OFFSETS, PARTITIONS, Sums, Topic, position, shard};
use crate::support::at;

const OWNERS: usize = 3;
const MOST_IN_FLIGHT: usize = 12;
/// One claim in this many reads the log again; the others know it from before.
const READ_ONE_IN: u32 = 4;
/// One claim in this many looked the head up before anybody opened the partition, and begins at
/// the group's committed offset.
const OUTDATED_ONE_IN: u32 = 8;
/// Claims of a partition at the end: commits after an outdated one are rejected.
const MOST_CLAIMS: u32 = 20;

/// The rules of a protocol: the real ones, or those of a mutant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) fold: Fold,
    /// True when a reader of a snapshot continues from `as_of`.
    pub(super) from_as_of: bool,
    /// True when an owner decides lateness by the newest event that earlier owners saw.
    pub(super) remembers_newest: bool,
}

/// An owner: its counts, and its position in each partition it reads.
struct Owner {
    ingest: Ingest,
    head_lookup: Arc<HeadLookup>,
    positions: BTreeMap<usize, usize>,
    /// Goes up with every crash: outcomes of commits sent before the crash are ignored.
    life: u32,
}

/// A commit in flight.
#[derive(Clone)]
struct Sent {
    owner: usize,
    life: u32,
    slot: usize,
    bytes: Vec<u8>,
}

struct Schedule<'a> {
    random: ChaCha8Rng,
    rules: Rules,
    topic: &'a Topic,
    /// First and last offset of each partition.
    bounds: [(usize, usize); PARTITIONS],
    now: EventTime,
    log: Log,
    owners: Vec<Owner>,
    in_flight: Vec<Sent>,
    full: Reader,
    /// A snapshot that was taken and is not written yet.
    taken: Option<(Reader, usize)>,
    seen: Seen,
}

/// Runs the schedule of a seed.
pub(super) fn run(
    seed: u64,
    rules: Rules,
    topics: &[Topic],
    seen: &mut Seen,
) -> Result<(), String> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let topic = &topics[random.random_range(0..topics.len())];
    let bounds = std::array::from_fn(|_| {
        let start = random.random_range(0..20);
        (start, random.random_range(start + 1..OFFSETS))
    });
    let mut schedule = Schedule {
        rules,
        topic,
        bounds,
        now: at(12, 0, 0),
        log: Log::default(),
        owners: (0..OWNERS).map(|_| Owner::new(topic, 0)).collect(),
        in_flight: Vec::new(),
        full: Reader::default(),
        taken: None,
        seen: Seen::default(),
        random,
    };
    for _ in 0..schedule.random.random_range(15..80) {
        schedule.step()?;
    }
    schedule.heal()?;
    *seen = seen.plus(schedule.seen);
    Ok(())
}

impl Owner {
    fn new(topic: &Topic, life: u32) -> Self {
        let head_lookup = Arc::new(HeadLookup::default());
        Owner {
            ingest: topic.ingest().with_head_lookup(Arc::clone(&head_lookup)),
            head_lookup,
            positions: BTreeMap::new(),
            life,
        }
    }
}

impl Schedule<'_> {
    fn step(&mut self) -> Result<(), String> {
        let owner = self.random.random_range(0..OWNERS);
        match self.random.random_range(0..100) {
            0..30 => self.poll(owner),
            30..45 => self.flush(owner),
            45..70 => return self.network(),
            70..86 => {
                let partition = self.random.random_range(0..PARTITIONS);
                return self.claim(owner, partition);
            }
            86..89 => self.crash(owner),
            89..93 => self.revoke(owner),
            93..96 => self.take_snapshot(),
            96..98 => self.write_snapshot(),
            _ => self.now = self.now.plus(Duration::from_secs(40)),
        }
        Ok(())
    }

    /// An owner claims a partition, whoever else has it, and starts at the head it finds.
    fn claim(&mut self, owner: usize, partition: usize) -> Result<(), String> {
        let is_read = self.random.random_ratio(1, READ_ONE_IN);
        let actual = if is_read {
            self.read_anew()?
        } else {
            self.full.state.clone()
        };
        let shard = shard(partition);
        let heads = if self.rules.remembers_newest {
            actual.heads
        } else {
            forget_newest(&actual.heads)
        };
        let head = heads
            .of(&shard)
            .map(|head| usize::try_from(head.upto).unwrap());
        let start = head.unwrap_or(self.bounds[partition].0);
        let is_outdated = head.is_some() && self.random.random_ratio(1, OUTDATED_ONE_IN);
        self.seen.outdated += u64::from(is_outdated);
        let owner = &mut self.owners[owner];
        if is_outdated {
            owner.head_lookup.resolve(&shard, &Heads::default());
        } else {
            owner.head_lookup.resolve(&shard, &heads);
        }
        owner.ingest.forget(partition);
        owner.ingest.set_now(Some(self.now));
        owner
            .ingest
            .opened(partition, &shard, position(start), start == 0);
        owner.positions.insert(partition, start);
        Ok(())
    }

    /// The state of a reader that starts now; all other readers must have the same.
    fn read_anew(&mut self) -> Result<LogState, String> {
        self.seen.snapshot_reads += u64::from(self.seen.snapshots > 0);
        let actual = self.log.read(self.rules.fold, self.rules.from_as_of);
        if actual == self.full {
            Ok(actual.state)
        } else {
            Err(format!(
                "readers disagree: {:?} and {:?}",
                actual.state, self.full.state
            ))
        }
    }

    fn poll(&mut self, owner: usize) {
        let owned = self.owners[owner].positions.len();
        if owned == 0 {
            return;
        }
        let partition = self.random.random_range(0..owned);
        let partition = *self.owners[owner].positions.keys().nth(partition).unwrap();
        let most = self.random.random_range(1..12);
        self.poll_partition(owner, partition, most);
    }

    fn poll_partition(&mut self, owner: usize, partition: usize, most: usize) {
        let (end, now) = (self.bounds[partition].1, self.now);
        let owner = &mut self.owners[owner];
        owner.ingest.set_now(Some(now));
        let at = owner.positions[&partition];
        let upto = (at + most).min(end).max(at);
        (at..upto).for_each(|offset| self.topic.deliver(partition, offset, &mut owner.ingest));
        owner
            .ingest
            .position(partition, position(upto), (upto == end).then_some(now));
        owner.positions.insert(partition, upto);
    }

    fn flush(&mut self, owner: usize) {
        let sender = &mut self.owners[owner];
        sender.ingest.set_now(Some(self.now));
        for flushed in sender.ingest.flush() {
            let mut bytes = Vec::new();
            encode_commit(&flushed.commit, &mut bytes);
            if self.in_flight.len() < MOST_IN_FLIGHT {
                let (life, slot) = (sender.life, flushed.slot);
                self.in_flight.push(Sent {
                    owner,
                    life,
                    slot,
                    bytes,
                });
            } else {
                self.seen.lost += 1;
            }
        }
    }

    /// Something happens to a commit in flight. The choice does not depend on when it was sent.
    fn network(&mut self) -> Result<(), String> {
        if self.in_flight.is_empty() {
            return Ok(());
        }
        let index = self.random.random_range(0..self.in_flight.len());
        match self.random.random_range(0..10) {
            0 => {
                self.seen.lost += 1;
                self.in_flight.swap_remove(index);
                Ok(())
            }
            1 => {
                self.seen.repeated += 1;
                self.land(self.in_flight[index].clone())
            }
            _ => {
                let sent = self.in_flight.swap_remove(index);
                self.land(sent)
            }
        }
    }

    /// A commit lands, and its owner receives the outcome or does not.
    fn land(&mut self, sent: Sent) -> Result<(), String> {
        self.log.append(sent.bytes);
        if self
            .full
            .read_on(&self.log, self.log.len() - 1, self.rules.fold)
        {
            self.seen.accepted += 1;
            return Ok(());
        }
        self.seen.rejected += 1;
        let owner = &mut self.owners[sent.owner];
        if owner.life != sent.life || self.random.random_bool(0.5) {
            self.seen.unnoticed += 1;
            return Ok(());
        }
        owner.ingest.forget(sent.slot);
        owner.positions.remove(&sent.slot);
        Ok(())
    }

    fn crash(&mut self, owner: usize) {
        self.seen.crashes += 1;
        let life = self.owners[owner].life + 1;
        self.owners[owner] = Owner::new(self.topic, life);
    }

    /// A partition is revoked from its owner, which hands over its counts.
    fn revoke(&mut self, owner: usize) {
        let owner = &mut self.owners[owner];
        if let Some((partition, _)) = owner.positions.pop_first() {
            owner.ingest.closed(partition);
        }
    }

    fn take_snapshot(&mut self) {
        self.taken = Some((self.full.clone(), self.log.len()));
    }

    fn write_snapshot(&mut self) {
        if let Some((reader, as_of)) = self.taken.take() {
            self.seen.snapshots += 1;
            self.log.append_snapshot(&reader, as_of);
            self.full
                .read_on(&self.log, self.log.len() - 1, self.rules.fold);
        }
    }

    /// The faults stop: commits in flight land, and one owner reads everything to its end.
    fn heal(&mut self) -> Result<(), String> {
        self.land_all()?;
        self.crash(0);
        for partition in 0..PARTITIONS {
            for _ in 0..MOST_CLAIMS {
                if self.head(partition) == Some(position(self.bounds[partition].1)) {
                    break;
                }
                self.claim(0, partition)?;
                self.poll_partition(0, partition, OFFSETS);
                self.flush(0);
                self.land_all()?;
            }
        }
        self.judge()
    }

    fn land_all(&mut self) -> Result<(), String> {
        let sent = std::mem::take(&mut self.in_flight);
        sent.into_iter().try_for_each(|sent| self.land(sent))
    }

    fn head(&self, partition: usize) -> Option<i64> {
        let head = self.full.state.heads.of(&shard(partition));
        head.map(|head| head.upto)
    }

    fn judge(&self) -> Result<(), String> {
        let (mut expected, mut hash) = (Sums::new(), 0_u64);
        for (partition, (start, end)) in self.bounds.into_iter().enumerate() {
            let head = self.head(partition);
            if head != Some(position(end)) {
                return Err(format!(
                    "the head of {partition} is {head:?}, not its end {end}"
                ));
            }
            expected.append(&mut self.topic.recount(partition, start..end));
            hash = hash.wrapping_add(self.topic.undisturbed_hash(partition, start..end));
        }
        if self.full.sums != expected {
            return Err(difference(&self.full.sums, &expected));
        }
        if self.full.hash() != hash {
            return Err("an undisturbed owner counts something else".to_owned());
        }
        let late = self.log.read(self.rules.fold, self.rules.from_as_of);
        if late == self.full {
            Ok(())
        } else {
            Err("readers disagree at the end".to_owned())
        }
    }
}

/// The first sum that differs from the expected one.
fn difference(actual: &Sums, expected: &Sums) -> String {
    let keys = actual.keys().chain(expected.keys());
    let wrong = keys
        .copied()
        .find(|key| actual.get(key) != expected.get(key));
    wrong.map_or_else(String::new, |key| {
        format!(
            "{key:?}: counted {:?}, recounted {:?}",
            actual.get(&key),
            expected.get(&key)
        )
    })
}

/// The same heads without the newest event time, which decides lateness.
fn forget_newest(heads: &Heads) -> Heads {
    let mut forgotten = Heads::default();
    for (shard, head) in heads.iter() {
        let claim = Claim {
            shard: Arc::new(shard.clone()),
            base: head.upto,
            upto: head.upto,
            opens: true,
            topic_id: None,
            newest: Vec::new(),
        };
        forgotten.fold(&claim).unwrap();
    }
    forgotten
}

//! Seeded schedules of writers and of readers that begin in the middle of a log without a snapshot.
//!
//! Such a reader guesses the head of a shard, see [`pegel::panes::LogState`]. One reader has read
//! everything: its decisions are the right ones, and writers resume at its head. Writers are the
//! real ones in what matters here: each has at most [`MAX_COMMITS_IN_FLIGHT`] commits without an
//! outcome, loses some of them, receives outcomes late, sends nothing of a rejected opening once it
//! knows, and does not know that another writer owns the shard.
//!
//! Commits of two openings never end at the same offset here. Where they do, as at the end of a
//! quiet topic, their runs may join, and the bound on what a writer sends is not one on a run.
//!
//! Two laws hold: a guess that is right stays right, and one that is wrong becomes right when the
//! faults stop.

use std::collections::VecDeque;
use std::sync::Arc;

use pegel::model::Shard;
use pegel::panes::{Claim, Heads, LogState, MAX_COMMITS_IN_FLIGHT, Rejected};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

const SCHEDULES: u64 = 20_000;
/// The number of schedules after which a mutant must have been detected.
const MUTANT_SCHEDULES: u64 = 20_000;
const WRITERS: usize = 3;
const READERS: usize = 4;
/// Every opening cuts its commits at offsets with a remainder of its own.
const OPENINGS: i64 = 256;
/// Records that a reader may find behind it in the log, at most.
const RETAINED: usize = 12;

/// Decides on a claim at a position of the log.
type Rule = fn(&mut Reader, i64, &Claim) -> Result<(), Rejected>;

fn real(reader: &mut Reader, position: i64, claim: &Claim) -> Result<(), Rejected> {
    reader.state.fold(0, position, claim)
}

/// A reader; `run` is the end and the length of the latest run of joined commits behind its head,
/// for a mutant.
#[derive(Debug, Clone, Default)]
struct Reader {
    state: LogState,
    run: (i64, u32),
    /// True once its head was the right one.
    was_right: bool,
}

impl Reader {
    fn head(&self) -> Option<i64> {
        self.state.heads.of(&shard()).map(|head| head.upto)
    }
}

/// A commit of a writer that has no outcome yet.
#[derive(Debug, Clone)]
enum Sent {
    OnItsWay(i64, Claim),
    /// Its outcome is known to the log and not yet to the writer.
    Decided(i64, bool),
}

/// A writer: what it sent and, while it counts, its position.
#[derive(Debug, Default)]
struct Writer {
    sent: VecDeque<Sent>,
    position: Option<i64>,
    /// The number of its latest opening; outcomes of earlier ones are ignored.
    opening: i64,
}

/// The events of the schedules.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    accepted: u64,
    rejected: u64,
    right_guesses: u64,
    wrong_guesses: u64,
    corrected: u64,
}

struct Schedule {
    random: ChaCha8Rng,
    rule: Rule,
    log: Vec<Claim>,
    full: Reader,
    readers: Vec<Reader>,
    writers: [Writer; WRITERS],
    openings: i64,
    seen: Seen,
}

fn shard() -> Shard {
    Shard {
        source: "s".to_owned(),
        cluster: "c".to_owned(),
        topic: "t".to_owned(),
        partition: 0,
        incarnation: 0,
    }
}

impl Schedule {
    fn new(seed: u64, rule: Rule) -> Self {
        Schedule {
            random: ChaCha8Rng::seed_from_u64(seed),
            rule,
            log: Vec::new(),
            full: Reader::default(),
            readers: Vec::new(),
            writers: std::array::from_fn(|_| Writer::default()),
            openings: 0,
            seen: Seen::default(),
        }
    }

    fn run(mut self) -> Result<Seen, String> {
        for _ in 0..self.random.random_range(20..200) {
            self.step()?;
        }
        self.heal()?;
        Ok(self.seen)
    }

    fn step(&mut self) -> Result<(), String> {
        let writer = self.random.random_range(0..WRITERS);
        match self.random.random_range(0..100) {
            0..12 => self.open(writer),
            12..45 => self.send(writer),
            45..70 => return self.land(writer),
            70..90 => self.receive(writer),
            90..93 => self.writers[writer] = Writer::default(),
            _ => return self.begin_reader(),
        }
        Ok(())
    }

    /// A writer begins to count at the head, whoever else does.
    fn open(&mut self, writer: usize) {
        let head = self.full.head().unwrap_or(0);
        self.openings += 1;
        let writer = &mut self.writers[writer];
        writer.opening = self.openings;
        writer.position = Some(head);
    }

    /// A writer counts on and sends up to as many commits as may be in flight.
    fn send(&mut self, writer: usize) {
        let opens = self.full.head().is_none();
        let most = usize::try_from(MAX_COMMITS_IN_FLIGHT).unwrap();
        let burst = if self.random.random_bool(0.3) {
            most
        } else {
            3
        };
        let count = self.random.random_range(1..=burst);
        let writer = &mut self.writers[writer];
        for _ in 0..count {
            let Some(base) = writer.position.filter(|_| writer.sent.len() < most) else {
                return;
            };
            let length = (writer.opening - base - 1).rem_euclid(OPENINGS) + 1;
            let upto = base + length + self.random.random_range(0..4) * OPENINGS;
            let claim = claim(base, upto, opens && base == 0);
            writer.sent.push_back(Sent::OnItsWay(writer.opening, claim));
            writer.position = Some(upto);
        }
    }

    /// Commits of a writer land in order, or are lost.
    fn land(&mut self, writer: usize) -> Result<(), String> {
        let count = self.random.random_range(1..=2 * MAX_COMMITS_IN_FLIGHT);
        for index in 0..self.writers[writer].sent.len().min(count as usize) {
            let Sent::OnItsWay(opening, claim) = self.writers[writer].sent[index].clone() else {
                continue;
            };
            let is_lost = self.random.random_bool(0.04);
            let is_accepted = !is_lost && self.append(claim)?;
            self.writers[writer].sent[index] = Sent::Decided(opening, is_accepted);
        }
        Ok(())
    }

    /// A writer receives outcomes; it sends nothing more of an opening that was rejected.
    fn receive(&mut self, writer: usize) {
        let writer = &mut self.writers[writer];
        for _ in 0..self.random.random_range(1..=2 * MAX_COMMITS_IN_FLIGHT) {
            let Some(Sent::Decided(opening, is_accepted)) = writer.sent.front() else {
                return;
            };
            if !is_accepted && *opening == writer.opening {
                writer.position = None;
            }
            writer.sent.pop_front();
        }
    }

    /// A reader begins at one of the last records.
    fn begin_reader(&mut self) -> Result<(), String> {
        let end = self.log.len();
        if end < 2 || self.readers.len() == READERS {
            return Ok(());
        }
        let first = self
            .random
            .random_range(end.saturating_sub(RETAINED).max(1)..end);
        let mut reader = Reader::default();
        let offset = |index| i64::try_from(index).unwrap();
        reader
            .state
            .begin_without_history(0, offset(first), offset(end));
        for index in first..end {
            let claim = self.log[index].clone();
            (self.rule)(&mut reader, offset(index), &claim).ok();
        }
        self.compare(&mut reader)?;
        let guesses = if reader.was_right {
            &mut self.seen.right_guesses
        } else {
            &mut self.seen.wrong_guesses
        };
        *guesses += 1;
        self.readers.push(reader);
        Ok(())
    }

    /// Appends a commit; returns whether it counts.
    fn append(&mut self, claim: Claim) -> Result<bool, String> {
        let position = i64::try_from(self.log.len()).unwrap();
        let decision = real(&mut self.full, position, &claim);
        let mut readers = std::mem::take(&mut self.readers);
        for reader in &mut readers {
            let head = reader.head();
            let guessed = (self.rule)(reader, position, &claim);
            if reader.was_right && guessed.is_ok() != decision.is_ok() {
                return Err(format!(
                    "a right guess became wrong at record {position} ({}..{}): {guessed:?}, and \
                     {decision:?} for a reader of everything",
                    claim.base, claim.upto
                ));
            }
            if guessed.is_ok() && head > Some(claim.base) {
                return Err(format!("record {position} moves a head back"));
            }
            self.compare(reader)?;
        }
        self.readers = readers;
        if decision.is_ok() {
            self.seen.accepted += 1;
        } else {
            self.seen.rejected += 1;
        }
        self.log.push(claim);
        Ok(decision.is_ok())
    }

    fn compare(&self, reader: &mut Reader) -> Result<(), String> {
        let is_right = reader.head() == self.full.head();
        if reader.was_right && !is_right {
            return Err(format!(
                "a right head became {:?}, not {:?}",
                reader.head(),
                self.full.head()
            ));
        }
        reader.was_right |= is_right;
        Ok(())
    }

    /// The faults stop: what was sent lands, and one writer counts on, behind all that was counted.
    fn heal(&mut self) -> Result<(), String> {
        for writer in 0..WRITERS {
            let sent = std::mem::take(&mut self.writers[writer].sent);
            for sent in sent {
                if let Sent::OnItsWay(_, claim) = sent {
                    self.append(claim)?;
                }
            }
        }
        let farthest = self.readers.iter().filter_map(Reader::head).max();
        let wrong = self.readers.iter().filter(|reader| !reader.was_right);
        self.seen.corrected += wrong.count() as u64;
        let mut joined = 0;
        while joined <= MAX_COMMITS_IN_FLIGHT {
            let base = self.full.head().unwrap_or(0);
            joined += u32::from(farthest.is_none_or(|farthest| base >= farthest));
            if !self.append(claim(base, base + 100, base == 0))? {
                return Err("a commit at the head is rejected".to_owned());
            }
        }
        match self.readers.iter().find(|reader| !reader.was_right) {
            None => Ok(()),
            Some(reader) => Err(format!(
                "a wrong guess stays wrong: {:?}, not {:?}",
                reader.head(),
                self.full.head()
            )),
        }
    }
}

fn claim(base: i64, upto: i64, opens: bool) -> Claim {
    Claim {
        shard: Arc::new(shard()),
        topic_id: None,
        base,
        upto,
        opens,
        newest: Vec::new(),
    }
}

fn search(rule: Rule, seeds: std::ops::Range<u64>) -> Result<Seen, (u64, String)> {
    let mut total = Seen::default();
    for seed in seeds {
        let seen = Schedule::new(seed, rule).run();
        let seen = seen.map_err(|problem| (seed, problem))?;
        total.accepted += seen.accepted;
        total.rejected += seen.rejected;
        total.right_guesses += seen.right_guesses;
        total.wrong_guesses += seen.wrong_guesses;
        total.corrected += seen.corrected;
    }
    Ok(total)
}

/// A burst behind one lost commit moved a head that was guessed right, and what the scorer counted
/// was not what the ingesters took for counted.
#[test]
fn a_right_guess_stays_right_and_a_wrong_one_becomes_right() {
    let seeds = match crate::simulator::number("PEGEL_TEST_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..crate::simulator::number("PEGEL_TEST_SCHEDULES").unwrap_or(SCHEDULES),
    };
    let seen = search(real, seeds.clone());
    eprintln!("{} schedules: {seen:?}", seeds.end - seeds.start);
    let seen = seen.unwrap_or_else(|(seed, problem)| panic!("PEGEL_TEST_SEED={seed}: {problem}"));
    if seeds.end - seeds.start > 1000 {
        let schedules = seeds.end - seeds.start;
        let rare = [seen.right_guesses, seen.wrong_guesses, seen.corrected];
        assert!(
            rare.iter().all(|times| *times > schedules / 50),
            "too little happened to prove anything: {seen:?}"
        );
    }
}

/// Asserts that the search detects a mutant.
fn caught(name: &str, rule: Rule, law: &str) {
    let (seed, problem) = search(rule, 0..MUTANT_SCHEDULES)
        .map(|seen| panic!("{name} was not seen through: {seen:?}"))
        .unwrap_err();
    eprintln!("{name}: seed {seed}: {problem}");
    assert!(problem.starts_with(law), "{name}: {problem}");
}

/// Makes the head of a reader certain, at an offset.
fn set_certain(reader: &mut Reader, upto: i64) {
    let mut heads = Heads::default();
    heads.fold(&claim(upto, upto, true)).unwrap();
    reader.state.heads.adopt(heads);
}

#[test]
fn a_head_that_moves_after_a_few_joined_commits_is_moved_by_a_burst() {
    let rule: Rule = |reader, position, claim| {
        let head = reader.head();
        let decision = real(reader, position, claim);
        if decision != Err(Rejected::Gap) {
            reader.run = (0, 0);
            return decision;
        }
        let is_next = reader.run.1 > 0 && reader.run.0 == claim.base;
        reader.run = (claim.upto, if is_next { reader.run.1 + 1 } else { 1 });
        if reader.run.1 >= 8 && head < Some(claim.base) {
            set_certain(reader, claim.upto);
            return Ok(());
        }
        decision
    };
    caught("eight in a row", rule, "a right guess became wrong");
}

#[test]
fn a_head_that_is_certain_after_one_join_stays_that_of_a_replaced_writer() {
    let rule: Rule = |reader, position, claim| {
        let head = reader.head();
        let decision = real(reader, position, claim);
        if decision.is_ok() && head == Some(claim.base) {
            set_certain(reader, claim.upto);
        }
        decision
    };
    caught("certain after one join", rule, "a wrong guess stays wrong");
}

//! Seeded schedules of owners, a network and readers, with the real ingest half (decoder,
//! observer), the real bytes and the real fold.
//!
//! Every owner may claim every partition at any moment, crash, pause, wake, and continue without
//! noticing that it lost the partition. Commits are lost, repeated, delayed and reordered within
//! and between owners; snapshots land late. At the end the faults stop and everything is read to
//! its end. The sums of the accepted panes must equal a plain recount of the records, and readers
//! at one position must hold the same state, hash included.
//!
//! `PEGEL_TEST_SEED=n` runs one schedule; `PEGEL_TEST_SCHEDULES=n` runs that many.

mod log;
mod schedule;
mod seen;
mod stream;

use std::sync::atomic::{AtomicU64, Ordering};

use pegel::panes::LogState;
use pegel::panes::{Claim, Heads, Rejected};

use self::log::Fold;
use self::schedule::{Rules, run};
use self::seen::Seen;
use self::stream::Topic;

const SCHEDULES: u64 = 100_000;
/// The number of schedules after which a mutant must have been detected.
const MUTANT_SCHEDULES: u64 = 10_000;
const THREADS: u64 = 2;

fn real() -> Rules {
    Rules {
        fold: |state, position, claim| state.fold(0, position, claim),
        from_as_of: true,
        remembers_newest: true,
    }
}

/// Runs seeds until one fails; returns it with its problem and the coverage of the schedules.
fn search(rules: Rules, seeds: std::ops::Range<u64>) -> (Option<(u64, String)>, Seen) {
    let topics: Vec<Topic> = (0..16).map(Topic::new).collect();
    let actual = AtomicU64::new(u64::MAX);
    let worker = |first: u64| {
        let mut seen = Seen::default();
        for seed in (seeds.start + first..seeds.end).step_by(usize::try_from(THREADS).unwrap()) {
            if actual.load(Ordering::Relaxed) != u64::MAX {
                break;
            }
            if run(seed, rules, &topics, &mut seen).is_err() {
                actual.fetch_min(seed, Ordering::Relaxed);
            }
        }
        seen
    };
    let seen = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|first| scope.spawn(move || worker(first)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .fold(Seen::default(), Seen::plus)
    });
    let seed = actual.into_inner();
    let problem = run(seed, rules, &topics, &mut Seen::default()).err();
    (
        problem
            .filter(|_| seed != u64::MAX)
            .map(|problem| (seed, problem)),
        seen,
    )
}

/// Returns the value of a variable of the environment that is a number.
pub(crate) fn number(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "a test's own switch")]
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn sums_equal_a_plain_recount_under_every_schedule() {
    let seeds = match number("PEGEL_TEST_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("PEGEL_TEST_SCHEDULES").unwrap_or(SCHEDULES),
    };
    let (problem, seen) = search(real(), seeds.clone());
    eprintln!("{} schedules: {seen:?}", seeds.end - seeds.start);
    if let Some((seed, problem)) = problem {
        panic!("PEGEL_TEST_SEED={seed}: {problem}");
    }
    if seeds.end - seeds.start > 1000 {
        assert!(
            seen.is_rich(seeds.end),
            "too little happened to prove anything: {seen:?}"
        );
    }
}

/// Asserts that the simulator detects a mutant.
fn caught(name: &str, mutant: Rules) {
    let (problem, _) = search(mutant, 0..MUTANT_SCHEDULES);
    let (seed, problem) = problem.unwrap_or_else(|| panic!("{name} was not seen through"));
    eprintln!(
        "{name}: seed {seed}: {}",
        problem.lines().next().unwrap_or_default()
    );
}

/// Accepts commits that the real fold rejects, as if the claim started at the head.
fn take(state: &mut LogState, claim: &Claim) -> Result<(), Rejected> {
    let mut heads = Heads::default();
    heads.fold(&Claim {
        opens: true,
        ..claim.clone()
    })?;
    state.heads.adopt(heads);
    Ok(())
}

#[test]
fn the_simulator_detects_a_fold_that_accepts_too_much() {
    let mutant = |fold: Fold| Rules { fold, ..real() };
    let any: Fold = |state, position, claim| {
        state
            .fold(0, position, claim)
            .or_else(|_| take(state, claim))
    };
    let overlaps: Fold = |state, position, claim| match state.fold(0, position, claim) {
        Err(Rejected::Overlap) => take(state, claim),
        judged => judged,
    };
    let gaps: Fold = |state, position, claim| match state.fold(0, position, claim) {
        Err(Rejected::Gap) => take(state, claim),
        judged => judged,
    };
    let opens: Fold = |state, position, claim| {
        let opens = Claim {
            opens: true,
            ..claim.clone()
        };
        state.fold(0, position, &opens)
    };
    let reopens: Fold = |state, position, claim| match state.fold(0, position, claim) {
        Err(Rejected::Reopened) => take(state, claim),
        judged => judged,
    };
    caught("any commit opens", mutant(opens));
    caught("opened again", mutant(reopens));
    caught("no base check", mutant(any));
    caught("overlaps accepted", mutant(overlaps));
    caught("gaps accepted", mutant(gaps));
}

#[test]
fn the_simulator_detects_a_reader_that_folds_from_the_position_of_the_snapshot() {
    caught(
        "from the snapshot's position",
        Rules {
            from_as_of: false,
            ..real()
        },
    );
}

#[test]
fn the_simulator_detects_an_owner_that_forgets_the_newest_event() {
    caught(
        "lateness starts again",
        Rules {
            remembers_newest: false,
            ..real()
        },
    );
}

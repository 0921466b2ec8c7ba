//! Seeded schedules of owners, a network and readers, with the real left half (decoder, observer), the real bytes and the real fold.
//!
//! Every owner may claim every partition at any moment, crash, pause and wake, and go on without noticing that it lost; commits are lost, repeated, delayed
//! and reordered between and within owners; snapshots land late. At the end the faults stop and everything is read to its end: the sums of the accepted
//! panes must be a plain recount of the records, and readers at one position must hold the same state, hash included.
//!
//! `PEGEL_TEST_SEED=n` runs one schedule; `PEGEL_TEST_SCHEDULES=n` runs so many.

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
/// A mutant lives no longer than this.
const MUTANT_SCHEDULES: u64 = 10_000;
const THREADS: u64 = 2;

fn real() -> Rules {
    Rules {
        fold: |state, position, claim| state.fold(0, position, claim),
        from_as_of: true,
        remembers_newest: true,
    }
}

/// Runs seeds until one fails; returns it with its problem, and what was seen.
fn search(rules: Rules, seeds: std::ops::Range<u64>) -> (Option<(u64, String)>, Seen) {
    let topics: Vec<Topic> = (0..16).map(Topic::new).collect();
    let found = AtomicU64::new(u64::MAX);
    let worker = |first: u64| {
        let mut seen = Seen::default();
        for seed in (seeds.start + first..seeds.end).step_by(usize::try_from(THREADS).unwrap()) {
            if found.load(Ordering::Relaxed) != u64::MAX {
                break;
            }
            if run(seed, rules, &topics, &mut seen).is_err() {
                found.fetch_min(seed, Ordering::Relaxed);
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
    let seed = found.into_inner();
    let problem = run(seed, rules, &topics, &mut Seen::default()).err();
    (
        problem
            .filter(|_| seed != u64::MAX)
            .map(|problem| (seed, problem)),
        seen,
    )
}

fn number(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "a test's own switch")]
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn whatever_happens_the_sums_are_a_plain_recount() {
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

/// Asserts that a mutant is seen through.
fn caught(name: &str, mutant: Rules) {
    let (problem, _) = search(mutant, 0..MUTANT_SCHEDULES);
    let (seed, problem) = problem.unwrap_or_else(|| panic!("{name} was not seen through"));
    eprintln!(
        "{name}: seed {seed}: {}",
        problem.lines().next().unwrap_or_default()
    );
}

/// Takes what the fold rejects, as if the claim began at the head.
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
fn a_fold_that_takes_too_much_is_seen_through() {
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
    caught("any commit opens", mutant(opens));
    caught("no base check", mutant(any));
    caught("overlaps accepted", mutant(overlaps));
    caught("gaps accepted", mutant(gaps));
}

#[test]
fn a_reader_that_folds_from_the_snapshots_own_position_is_seen_through() {
    caught(
        "from the snapshot's position",
        Rules {
            from_as_of: false,
            ..real()
        },
    );
}

#[test]
fn an_owner_that_forgets_the_newest_event_is_seen_through() {
    caught(
        "lateness begins anew",
        Rules {
            remembers_newest: false,
            ..real()
        },
    );
}

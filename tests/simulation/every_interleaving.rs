//! All interleavings of a small world under the real fold, and the same search over mutants, which it must see through.

use pegel::panes::Rejected;

use crate::explore::{Explored, explore};
use crate::small_fold::{Sent, View, fold, in_the_middle};
use crate::world::{Bounds, Protocol, Rules};

/// Two writers, three records.
const SMALL: Bounds = Bounds {
    writers: 2,
    records: 3,
    in_flight: 2,
};

fn real() -> Rules {
    Rules {
        fold,
        reads_from_as_of: true,
        in_the_middle: in_the_middle(),
    }
}

fn search(name: &str, rules: Rules, bounds: Bounds) -> Explored {
    let explored = explore(&Protocol::new(rules, bounds));
    let Explored { states, steps, .. } = explored;
    eprintln!("{name}: {states} states, {steps} steps, {bounds:?}");
    explored
}

#[test]
fn no_interleaving_counts_a_record_twice_or_never() {
    for bounds in [
        SMALL,
        Bounds {
            writers: 3,
            records: 2,
            in_flight: 2,
        },
    ] {
        let explored = search("the fold", real(), bounds);
        assert_eq!(explored.violation, None, "{bounds:?}");
        assert!(
            explored.states > 100_000,
            "a world, not a corner of it: {explored:?}"
        );
    }
}

/// Asserts that the search finds what is wrong with a mutant.
fn caught(name: &str, mutant: Rules, law: &str) {
    let explored = search(name, mutant, SMALL);
    let trace = explored.violation.unwrap_or_default();
    eprintln!("  {}", trace.join("\n  "));
    assert_eq!(
        trace.last().map(String::as_str),
        Some(law),
        "{name}: {trace:?}"
    );
}

/// Takes what the fold rejects for one reason.
fn unless(view: View, sent: Sent, reason: &[Rejected]) -> Result<View, Rejected> {
    match fold(view, sent) {
        Err(rejected) if reason.contains(&rejected) => Ok(View {
            upto: Some(sent.upto),
            ..view
        }),
        judged => judged,
    }
}

#[test]
fn without_the_comparison_with_the_head_records_are_counted_twice_or_never() {
    let wrong = "an offset is counted twice, or never";
    let mutant = |fold| Rules { fold, ..real() };
    caught(
        "no base check",
        mutant(|view, sent| unless(view, sent, &[Rejected::Overlap, Rejected::Gap])),
        wrong,
    );
    caught(
        "overlaps accepted",
        mutant(|view, sent| unless(view, sent, &[Rejected::Overlap])),
        wrong,
    );
    caught(
        "gaps accepted",
        mutant(|view, sent| unless(view, sent, &[Rejected::Gap])),
        wrong,
    );
}

#[test]
fn a_shard_that_any_commit_opens_has_a_gap_nobody_sees() {
    let mutant = |view, sent| {
        fold(
            view,
            Sent {
                opens: true,
                ..sent
            },
        )
    };
    let rules = Rules {
        fold: mutant,
        ..real()
    };
    caught(
        "any commit opens",
        rules,
        "a shard is opened behind a lost commit",
    );
}

#[test]
fn a_head_that_may_go_back_counts_a_record_twice() {
    let mutant = |view: View, sent: Sent| match fold(view, sent) {
        Err(Rejected::Backwards) if view.upto == Some(sent.base) => Ok(View {
            upto: Some(sent.upto),
            ..view
        }),
        judged => judged,
    };
    let rules = Rules {
        fold: mutant,
        ..real()
    };
    caught(
        "backwards accepted",
        rules,
        "an offset is counted twice, or never",
    );
}

#[test]
fn a_reader_that_folds_from_the_snapshots_own_position_disagrees() {
    let rules = Rules {
        reads_from_as_of: false,
        ..real()
    };
    caught(
        "from the snapshot's position",
        rules,
        "the reader of the snapshot disagrees with the reader of everything",
    );
}

#[test]
fn a_reader_in_the_middle_that_opens_shards_takes_a_zombies_commit() {
    let opens = View {
        upto: None,
        is_complete: true,
    };
    let rules = Rules {
        in_the_middle: opens,
        ..real()
    };
    caught(
        "opens in the middle",
        rules,
        "the reader in the middle takes what the others reject",
    );
}

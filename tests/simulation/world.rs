//! The protocol in small: writers that own one shard, a network that loses, repeats and delays
//! commits, and readers of the log.
//!
//! The knowledge of a reader is a function of the log alone. Readers therefore fold each record
//! when it lands and the log itself is not kept: it has no bound, and there are still finitely many
//! states. Records, writers and commits in flight are bounded.
//!
//! A writer need not notice anything. It may continue after its commit was lost or rejected (a
//! zombie), and may restart at the head at any moment: after it noticed, or after a crash. Commits
//! it sent before stay in flight. This covers every schedule of pauses and crashes.

use pegel::panes::Rejected;

use crate::explore::World;
use crate::small_fold::{CLAIMS, Fold, MOST, Sent, View, number, numbered, views};

/// The highest offset at which a writer without a head may start.
const LAST_START: u8 = 1;

/// The rules of a protocol: the real ones, or those of a mutant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) fold: Fold,
    /// True when a reader of a snapshot also folds records between the snapshot's `as_of` and its
    /// position in the log.
    pub(crate) reads_from_as_of: bool,
    /// The initial knowledge of a reader that starts in the middle of the log.
    pub(crate) in_the_middle: View,
}

/// The size of the world.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) writers: usize,
    pub(crate) records: u8,
    pub(crate) in_flight: usize,
}

/// A reader: its view, and how often it counted each offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Reader {
    view: View,
    opened_at: Option<u8>,
    counts: [u8; MOST],
}

/// A writer: the head it started from, and its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Writer {
    base: u8,
    position: u8,
    /// True until the first record is sent by a writer that found no head.
    opens: bool,
}

/// The state of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Snapshot {
    None,
    /// Taken, and in flight to the log.
    Taken,
    /// In the log: readers start from it.
    Written,
}

/// A state of the world. Writers and commits in flight are interchangeable, so both are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct State {
    writers: [Option<Writer>; MOST],
    in_flight: [Option<Sent>; MOST],
    /// Reads from the first record of the log.
    full: Reader,
    snapshot: Snapshot,
    /// Starts from the snapshot.
    late: Reader,
    /// Starts in the middle of the log.
    middle: Option<Reader>,
}

/// A protocol in a world of some size. Its fold is tabulated: it is pure, and there are few claims.
pub(crate) struct Protocol {
    rules: Rules,
    bounds: Bounds,
    folded: Vec<Result<View, Rejected>>,
}

impl Reader {
    fn new(view: View) -> Self {
        Reader {
            view,
            opened_at: view.upto,
            counts: [0; MOST],
        }
    }

    /// Every offset from the first accepted base up to the head is counted once, and no other
    /// offset.
    fn tiles(&self) -> bool {
        let counted = match (self.opened_at, self.view.upto) {
            (Some(from), Some(upto)) => from..upto,
            _ => 0..0,
        };
        let expected = |offset| u8::from(counted.contains(&offset));
        (0..)
            .zip(self.counts)
            .all(|(offset, count)| count == expected(offset))
    }
}

impl Protocol {
    pub(crate) fn new(rules: Rules, bounds: Bounds) -> Self {
        let of = |view| (0..CLAIMS).map(move |number| (rules.fold)(view, numbered(number)));
        Protocol {
            rules,
            bounds,
            folded: views().flat_map(of).collect(),
        }
    }

    fn fold(&self, view: View, sent: Sent) -> Result<View, Rejected> {
        self.folded[view.number() * CLAIMS + number(sent)]
    }

    /// True when the reader accepts the commit.
    fn read(&self, reader: &mut Reader, sent: Sent) -> bool {
        let Ok(view) = self.fold(reader.view, sent) else {
            return false;
        };
        reader.view = view;
        reader.opened_at = reader.opened_at.or(Some(sent.base));
        for offset in sent.base..sent.upto {
            // Counting twice is already wrong; a third time adds states and nothing else.
            let count = &mut reader.counts[usize::from(offset)];
            *count = (*count + 1).min(2);
        }
        true
    }

    /// A commit lands in the log, and every reader reads it.
    fn land(&self, state: &mut State, sent: Sent) -> Result<(), String> {
        let is_accepted = self.read(&mut state.full, sent);
        let is_read_late = self.rules.reads_from_as_of || state.snapshot == Snapshot::Written;
        if state.snapshot != Snapshot::None && is_read_late {
            self.read(&mut state.late, sent);
        }
        if let Some(middle) = &mut state.middle
            && self.read(middle, sent)
            && !is_accepted
        {
            return Err("the reader in the middle takes what the others reject".to_owned());
        }
        if state.full.opened_at > Some(LAST_START) {
            return Err("a shard is opened behind a lost commit".to_owned());
        }
        if !state.full.tiles() {
            return Err("an offset is counted twice, or never".to_owned());
        }
        if state.snapshot == Snapshot::Written {
            agree(state)?;
        }
        Ok(())
    }

    fn begin(
        &self,
        state: &State,
        writer: usize,
        step: &mut dyn FnMut(String, Result<State, String>),
    ) {
        let reader = if state.snapshot == Snapshot::Written {
            &state.late
        } else {
            &state.full
        };
        // Without a head, the offset of the group or the configuration decides.
        let (first, last) = reader
            .view
            .upto
            .map_or((0, LAST_START), |upto| (upto, upto));
        for at in first..=last {
            let mut next = *state;
            let writer = next.writers[writer].replace(Writer {
                base: at,
                position: at,
                opens: reader.view.upto.is_none(),
            });
            let how = if writer.is_some() {
                "starts again"
            } else {
                "begins"
            };
            step(format!("a writer {how} at {at}"), Ok(sorted(next)));
        }
    }

    fn write(
        &self,
        state: &State,
        writer: usize,
        step: &mut dyn FnMut(String, Result<State, String>),
    ) {
        let Some(current) = state.writers[writer] else {
            return;
        };
        if current.position < self.bounds.records {
            let mut next = *state;
            next.writers[writer] = Some(Writer {
                position: current.position + 1,
                ..current
            });
            step(
                format!("it counts record {}", current.position),
                Ok(sorted(next)),
            );
        }
        let mut send = |sent: Sent, moved: Writer| {
            let mut next = *state;
            if let Some(free) = free(&mut next.in_flight, self.bounds.in_flight) {
                *free = Some(sent);
                next.writers[writer] = Some(moved);
                step(
                    format!("it sends {}..{}", sent.base, sent.upto),
                    Ok(sorted(next)),
                );
            }
        };
        let Writer {
            base,
            position,
            opens,
        } = current;
        let after = Writer {
            base: position,
            opens: opens && base == position,
            ..current
        };
        send(
            Sent {
                base,
                upto: position,
                opens,
            },
            after,
        );
        if base > 0 {
            // No writer should do this; a position that moves back must not move the head.
            send(
                Sent {
                    base,
                    upto: base - 1,
                    opens,
                },
                current,
            );
        }
    }

    fn network(
        &self,
        state: &State,
        index: usize,
        step: &mut dyn FnMut(String, Result<State, String>),
    ) {
        let Some(sent) = state.in_flight[index] else {
            return;
        };
        let Sent { base, upto, .. } = sent;
        let mut lost = *state;
        lost.in_flight[index] = None;
        step(format!("{base}..{upto} is lost"), Ok(sorted(lost)));
        for (how, mut next) in [("lands", lost), ("lands, and is sent again", *state)] {
            let landed = self.land(&mut next, sent);
            step(
                format!("{base}..{upto} {how}"),
                landed.map(|()| sorted(next)),
            );
        }
    }

    fn readers(&self, state: &State, step: &mut dyn FnMut(String, Result<State, String>)) {
        let mut next = *state;
        if state.snapshot == Snapshot::Taken {
            next.snapshot = Snapshot::Written;
            let agreed = agree(&next);
            step("the snapshot lands".to_owned(), agreed.map(|()| next));
        } else {
            next.snapshot = Snapshot::Taken;
            next.late = state.full;
            step("a snapshot is taken".to_owned(), Ok(next));
        }
        if state.middle.is_none() {
            let mut next = *state;
            next.middle = Some(Reader::new(self.rules.in_the_middle));
            step("a reader is dropped into the middle".to_owned(), Ok(next));
        }
    }
}

impl World for Protocol {
    type State = State;

    fn initial(&self) -> State {
        let nothing = View {
            upto: None,
            is_complete: true,
        };
        State {
            writers: [None; MOST],
            in_flight: [None; MOST],
            full: Reader::new(nothing),
            snapshot: Snapshot::None,
            late: Reader::new(nothing),
            middle: None,
        }
    }

    fn steps(&self, state: &State, step: &mut dyn FnMut(String, Result<State, String>)) {
        for writer in 0..self.bounds.writers {
            // Two writers in the same state behave alike.
            if writer == 0 || state.writers[writer] != state.writers[writer - 1] {
                self.begin(state, writer, step);
                self.write(state, writer, step);
            }
        }
        for index in 0..self.bounds.in_flight {
            if index == 0 || state.in_flight[index] != state.in_flight[index - 1] {
                self.network(state, index, step);
            }
        }
        self.readers(state, step);
    }
}

/// Checks that the reader of the snapshot knows the same as the reader of everything.
fn agree(state: &State) -> Result<(), String> {
    if state.late == state.full {
        Ok(())
    } else {
        Err("the reader of the snapshot disagrees with the reader of everything".to_owned())
    }
}

fn free(places: &mut [Option<Sent>; MOST], most: usize) -> Option<&mut Option<Sent>> {
    places[..most].iter_mut().find(|slot| slot.is_none())
}

fn sorted(mut state: State) -> State {
    state
        .writers
        .sort_unstable_by(|left, right| right.cmp(left));
    state
        .in_flight
        .sort_unstable_by(|left, right| right.cmp(left));
    state
}

//! The protocol in small: writers that own one shard, a network that loses, repeats and delays, and readers of the log.
//!
//! What a reader knows is a function of the log alone, so readers fold each record as it lands instead of keeping the log: the log has no bound, and there
//! are still finitely many states. What is bounded: records, writers, and commits on their way.
//!
//! A writer never has to notice anything. It may go on after its commit was lost or rejected (a zombie), and may begin anew at the head at any moment (it
//! noticed, or crashed and came back; what it had sent stays on its way). That covers every schedule of pauses and crashes.

use pegel::panes::Rejected;

use crate::explore::World;
use crate::small_fold::{CLAIMS, Fold, MOST, Sent, View, number, numbered, views};

/// Where a writer that finds no head may begin at the latest.
const LAST_START: u8 = 1;

/// The rules of a protocol: the real ones, or a mutant's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) fold: Fold,
    /// Whether a reader of a snapshot folds what landed between the snapshot's `as_of` and its own position in the log.
    pub(crate) reads_from_as_of: bool,
    /// What a reader knows that is dropped into the middle of the log.
    pub(crate) in_the_middle: View,
}

/// How large the world is.
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

/// A writer: the head it counted from, and its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Writer {
    base: u8,
    position: u8,
    /// Whether it found no head, and has sent no record yet.
    opens: bool,
}

/// A snapshot's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Snapshot {
    None,
    /// Taken, and on its way to the log.
    Taken,
    /// In the log: readers begin with it.
    Written,
}

/// A state of the world. Writers and commits on their way are interchangeable, so both lie in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct State {
    writers: [Option<Writer>; MOST],
    in_flight: [Option<Sent>; MOST],
    /// Reads from the first record ever.
    full: Reader,
    snapshot: Snapshot,
    /// Begins with the snapshot.
    late: Reader,
    /// Was dropped into the middle.
    middle: Option<Reader>,
}

/// A protocol in a world of some size, its fold tabulated: it is pure, and few claims exist.
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

    /// Every offset from the first accepted base up to the head is counted once, and no other.
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

    /// Whether the reader takes the commit.
    fn read(&self, reader: &mut Reader, sent: Sent) -> bool {
        let Ok(view) = self.fold(reader.view, sent) else {
            return false;
        };
        reader.view = view;
        reader.opened_at = reader.opened_at.or(Some(sent.base));
        for offset in sent.base..sent.upto {
            // Twice is wrong already; a third time adds states and nothing else.
            let count = &mut reader.counts[usize::from(offset)];
            *count = (*count + 1).min(2);
        }
        true
    }

    /// A commit lands in the log, and everybody reads it.
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
        // Without a head a group's offset or the configuration decides.
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
                "begins anew"
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
        let Some(own) = state.writers[writer] else {
            return;
        };
        if own.position < self.bounds.records {
            let mut next = *state;
            next.writers[writer] = Some(Writer {
                position: own.position + 1,
                ..own
            });
            step(
                format!("it counts record {}", own.position),
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
        } = own;
        let after = Writer {
            base: position,
            opens: opens && base == position,
            ..own
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
            // Nobody should; a position that goes back must not move the head.
            send(
                Sent {
                    base,
                    upto: base - 1,
                    opens,
                },
                own,
            );
        }
    }

    fn network(
        &self,
        state: &State,
        place: usize,
        step: &mut dyn FnMut(String, Result<State, String>),
    ) {
        let Some(sent) = state.in_flight[place] else {
            return;
        };
        let Sent { base, upto, .. } = sent;
        let mut lost = *state;
        lost.in_flight[place] = None;
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
            // Two writers that stand alike do alike.
            if writer == 0 || state.writers[writer] != state.writers[writer - 1] {
                self.begin(state, writer, step);
                self.write(state, writer, step);
            }
        }
        for place in 0..self.bounds.in_flight {
            if place == 0 || state.in_flight[place] != state.in_flight[place - 1] {
                self.network(state, place, step);
            }
        }
        self.readers(state, step);
    }
}

/// The reader of the snapshot knows what the reader of everything knows.
fn agree(state: &State) -> Result<(), String> {
    if state.late == state.full {
        Ok(())
    } else {
        Err("the reader of the snapshot disagrees with the reader of everything".to_owned())
    }
}

fn free(places: &mut [Option<Sent>; MOST], most: usize) -> Option<&mut Option<Sent>> {
    places[..most].iter_mut().find(|place| place.is_none())
}

fn sorted(mut state: State) -> State {
    state.writers.sort_unstable_by(|one, other| other.cmp(one));
    state
        .in_flight
        .sort_unstable_by(|one, other| other.cmp(one));
    state
}

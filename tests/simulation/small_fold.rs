//! The real fold, of one shard and few offsets, in values that a search can copy and compare.

use std::sync::Arc;

use pegel::model::Shard;
use pegel::panes::{Claim, Heads, Rejected};

/// Upper bound of every number in a state; offsets are below it.
pub(crate) const MOST: usize = 4;
/// Number of different claims.
pub(crate) const CLAIMS: usize = 2 * MOST * MOST;

/// A reader's knowledge of the head of the shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct View {
    pub(crate) upto: Option<u8>,
    pub(crate) is_complete: bool,
}

/// The claim of a commit; it counts the offsets in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Sent {
    pub(crate) base: u8,
    pub(crate) upto: u8,
    pub(crate) opens: bool,
}

/// Decides on a claim, as [`Heads::fold`] does.
pub(crate) type Fold = fn(View, Sent) -> Result<View, Rejected>;

impl View {
    /// Index among all views.
    pub(crate) fn number(self) -> usize {
        let head = self.upto.map_or(0, |upto| 1 + usize::from(upto));
        usize::from(self.is_complete) * (MOST + 1) + head
    }
}

/// The real fold.
pub(crate) fn fold(view: View, sent: Sent) -> Result<View, Rejected> {
    let mut heads = heads_of(view);
    heads.fold(&claim(sent))?;
    Ok(view_of(&heads, view.is_complete))
}

/// The real fold of a reader that starts in the middle of a log.
pub(crate) fn in_the_middle() -> View {
    let judged = Heads::with_unknown_history().fold(&claim(opening(0)));
    View {
        upto: None,
        is_complete: judged.is_ok(),
    }
}

fn heads_of(view: View) -> Heads {
    let mut known = if view.is_complete {
        Heads::default()
    } else {
        Heads::with_unknown_history()
    };
    if let Some(upto) = view.upto {
        let mut behind = Heads::default();
        behind.fold(&claim(opening(upto))).unwrap();
        known.adopt(behind);
    }
    known
}

fn view_of(heads: &Heads, is_complete: bool) -> View {
    let head = heads.of(&claim(opening(0)).shard);
    View {
        upto: head.map(|head| u8::try_from(head.upto).unwrap()),
        is_complete,
    }
}

/// The index of a claim among all claims.
pub(crate) fn number(sent: Sent) -> usize {
    (usize::from(sent.opens) * MOST + usize::from(sent.base)) * MOST + usize::from(sent.upto)
}

/// The claim at an index.
pub(crate) fn numbered(number: usize) -> Sent {
    let digit = |number: usize| u8::try_from(number % MOST).unwrap();
    Sent {
        base: digit(number / MOST),
        upto: digit(number),
        opens: number >= MOST * MOST,
    }
}

fn opening(at: u8) -> Sent {
    Sent {
        base: at,
        upto: at,
        opens: true,
    }
}

fn claim(sent: Sent) -> Claim {
    let text = |text: &str| text.to_owned();
    let (source, cluster, topic) = (text("s"), text("c"), text("t"));
    let (partition, incarnation) = (0, 0);
    Claim {
        shard: Arc::new(Shard {
            source,
            cluster,
            topic,
            partition,
            incarnation,
        }),
        base: i64::from(sent.base),
        upto: i64::from(sent.upto),
        opens: sent.opens,
        topic_id: None,
        newest: Vec::new(),
    }
}

/// All views, in the order of their indices.
pub(crate) fn views() -> impl Iterator<Item = View> {
    let heads = || std::iter::once(None).chain((0..u8::try_from(MOST).unwrap()).map(Some));
    let with = move |is_complete| heads().map(move |upto| View { upto, is_complete });
    [false, true].into_iter().flat_map(with)
}

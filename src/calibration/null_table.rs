//! Null tables: what every score does in clean windows of one size.
//!
//! Ten thousand windows are drawn from the reference and scored by the very code that scores the stream, so the law holds for smoothing, guards and rare bins as
//! they are. Scores are taken on their quadratic scale and divided by `v = 1/n + 1/m`, on which they hardly depend on the size any more: a coarse grid is
//! enough, and laws between two sizes are interpolated.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sha2::{Digest as _, Sha256};

use super::{NullAtom, NullWindows};
use crate::model::{Kind, Statistic};
use crate::reference::{FeatureReference, NullSize, NullTable};
use crate::score::{Scorer, Scores};
use crate::stats::{EmpiricalDistribution, FULL_WIDTH, FeatureCounts, Layout};

/// The statistics that are simulated, in the order of the tables. `js_distance` is the root of `js`.
pub(super) const SIMULATED: [Statistic; 8] = [
    Statistic::Js,
    Statistic::Kl,
    Statistic::KlReverse,
    Statistic::Psi,
    Statistic::Hellinger,
    Statistic::TotalVariation,
    Statistic::Ks,
    Statistic::WassersteinBody,
];

/// Where the tail of a null law begins; lines more frequent than this are read.
pub(super) const ZETA: f64 = 0.01;
const DRAWS: usize = 10_000;

/// The place of a statistic in the tables.
pub(super) fn place(statistic: Statistic) -> Option<usize> {
    let simulated = match statistic {
        Statistic::JsDistance => Statistic::Js,
        other => other,
    };
    SIMULATED.iter().position(|known| *known == simulated)
}

/// Whether a statistic is the root of its quadratic scale: a distance that obeys the triangle inequality.
pub(super) const fn is_root(statistic: Statistic) -> bool {
    matches!(
        statistic,
        Statistic::JsDistance
            | Statistic::Hellinger
            | Statistic::TotalVariation
            | Statistic::Ks
            | Statistic::WassersteinBody
    )
}

/// Every simulated score on its quadratic scale; not a number where the kind has no such score.
pub(super) fn quadratic(scores: &Scores) -> [f64; SIMULATED.len()] {
    SIMULATED.map(|statistic| {
        let score = scores.get(statistic).unwrap_or(f64::NAN);
        if is_root(statistic) {
            score * score
        } else {
            score
        }
    })
}

/// `1/n + 1/m`.
pub(super) fn noise(n: f64, m: f64) -> f64 {
    1.0 / n + 1.0 / m
}

/// The laws of all simulated scores in clean windows of one size; `None` where there is no such score, it never moves, or it is infinite.
pub(super) fn simulate(scorer: &Scorer, size: NullSize, seed: &str) -> NullTable {
    let reference = scorer.reference();
    let n = size.values();
    let v = noise(n as f64, reference.counts.tallies.values as f64);
    let digest = Sha256::digest(format!("{seed} {} {size}", reference.name).as_bytes());
    let mut rng = ChaCha8Rng::from_seed(digest.into());
    let mut clean = NullWindows::new(&atoms(reference), n);
    let mut window = FeatureCounts::new(&reference.layout);
    let mut draws: Vec<Vec<f64>> = vec![Vec::with_capacity(DRAWS); SIMULATED.len()];
    for _ in 0..DRAWS {
        clean.draw(&mut rng, &mut window);
        if let Some(scores) = scorer.against(&window, &reference.counts) {
            let all = draws.iter_mut().zip(quadratic(&scores));
            all.for_each(|(draws, score)| draws.push(score / v));
        }
    }
    NullTable {
        size,
        laws: draws.into_iter().map(law).collect(),
    }
}

fn law(mut draws: Vec<f64>) -> Option<EmpiricalDistribution> {
    if draws.iter().any(|score| !score.is_finite()) {
        return None;
    }
    let independent = draws.len() as f64 * ZETA;
    EmpiricalDistribution::of(&mut draws, ZETA, |_| independent).filter(|law| law.mean > 0.0)
}

/// What a clean window is made of.
pub(super) fn atoms(reference: &FeatureReference) -> Vec<NullAtom> {
    match reference.layout.as_ref() {
        Layout::Numeric(_) => numbers(reference),
        Layout::Categorical(_) => categories(reference),
    }
}

fn numbers(reference: &FeatureReference) -> Vec<NullAtom> {
    let seen = reference.atoms.iter().map(|atom| NullAtom {
        weight: atom.count as f64,
        bin: atom.bin,
        place: Some((atom.cell, atom.sum as f64 / atom.count.max(1) as f64)),
    });
    seen.chain(guards(reference)).collect()
}

/// Guards the reference left empty: what lies beyond its extremes lies, for all that is known, at them.
fn guards(reference: &FeatureReference) -> Vec<NullAtom> {
    let (Some(layout), Some(facts)) = (reference.layout.numeric(), reference.numbers) else {
        return Vec::new();
    };
    let (lower, upper) = (layout.bins.has_lower_guard(), layout.bins.has_upper_guard());
    let guard = |bin: usize, extreme: f64, is_tied: bool| {
        let place = layout.cells.locate(extreme);
        let is_empty = reference.counts.bins[bin] == 0;
        is_empty.then_some(NullAtom {
            weight: if is_tied || facts.edges_given {
                0.5
            } else {
                1.0
            },
            bin,
            place: Some((place.cell, place.outward.min(FULL_WIDTH) as f64)),
        })
    };
    let below = lower.then(|| guard(0, facts.min, facts.min_tied));
    let above = upper.then(|| guard(layout.bins.len() - 1, facts.max, facts.max_tied));
    [below, above].into_iter().flatten().flatten().collect()
}

fn categories(reference: &FeatureReference) -> Vec<NullAtom> {
    let Layout::Categorical(layout) = reference.layout.as_ref() else {
        return Vec::new();
    };
    let count = |bin: usize| reference.counts.bins[bin] as f64;
    let atom = |weight: f64, bin: usize| NullAtom {
        weight,
        bin,
        place: None,
    };
    let mut atoms: Vec<NullAtom> = (0..layout.other())
        .map(|bin| atom(count(bin), bin))
        .collect();
    // Whatever is neither true nor false is unusable, not unseen.
    if reference.kind != Kind::Boolean {
        let once = reference.seen_once as f64;
        if !layout.others().is_empty() {
            atoms.push(atom(
                (count(layout.other()) - once).max(0.5),
                layout.other(),
            ));
        }
        atoms.push(atom(
            count(layout.unseen()).max(once).max(0.5),
            layout.unseen(),
        ));
    }
    atoms
}

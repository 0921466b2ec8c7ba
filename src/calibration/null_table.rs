//! Null tables: the distributions of all scores in simulated windows of one size.
//!
//! Ten thousand windows are drawn from the reference and scored by the code that scores the stream,
//! so the distributions hold for smoothing, guards and rare bins as they are. A formula does not:
//! chi-square thresholds fail in about 80 % of the cases, because of rare bins, ties and the finite
//! reference.
//!
//! Scores are taken on their quadratic scale `T` and divided by the noise variance `1/n + 1/m`.
//! `T / noise variance` hardly depends on the size, so a coarse grid of sizes is enough.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sha2::{Digest as _, Sha256};

use super::null_window::{NullAtom, NullWindows, UnseenMass};
use crate::model::Statistic;
use crate::reference::{FeatureReference, NullSize, NullTable};
use crate::score::{Scorer, Scores};
use crate::stats::{EmpiricalDistribution, FULL_WIDTH, FeatureCounts, Layout};

/// The statistics that are simulated, in the order of the tables.
///
/// `js_distance` is not among them: it is the root of `js`.
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

/// The share of draws to which the tail is fitted; quantiles of larger shares are read from draws.
const TAIL_SHARE: f64 = 0.01;
/// Number of windows per table.
const DRAWS: usize = 10_000;

/// The index of a statistic in the tables; `None` for a statistic that is not simulated.
pub(super) fn simulated_index(statistic: Statistic) -> Option<usize> {
    let simulated = match statistic {
        Statistic::JsDistance => Statistic::Js,
        other => other,
    };
    SIMULATED.iter().position(|entry| *entry == simulated)
}

/// Returns true for a distance, which is the root of its quadratic scale.
///
/// Distances obey the triangle inequality and grow with an effect, divergences with its square.
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

/// Every simulated score on its quadratic scale; NaN where the kind has no such score.
///
/// The square of a distance, a divergence as it is.
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

/// The noise variance `1/n + 1/m` of a window of `n` against a reference of `m` values.
///
/// The variance of the difference of two means, in units of the variance of a value. Infinite where
/// a side is empty.
pub(super) fn noise_variance(n: f64, m: f64) -> f64 {
    1.0 / n + 1.0 / m
}

/// Simulates windows of one size and returns the distributions of all scores.
///
/// `None` where the feature has no such score, where it is always 0, or where it is infinite in any
/// window. The generator is seeded by `seed`, the feature's name and the size, so every process
/// computes the same table.
pub(super) fn simulate(scorer: &Scorer, size: NullSize, seed: &str) -> NullTable {
    let reference = scorer.reference();
    let n = size.values();
    let noise_variance = noise_variance(n as f64, reference.counts.tallies.values as f64);
    let digest = Sha256::digest(format!("{seed} {} {size}", reference.name).as_bytes());
    let mut rng = ChaCha8Rng::from_seed(digest.into());
    let mut windows = NullWindows::new(&atoms(reference), n);
    if let Some(mass) = unseen_mass(reference) {
        windows = windows.with_unseen(mass);
    }
    let mut window = FeatureCounts::new(&reference.layout);
    let mut draws: Vec<Vec<f64>> = vec![Vec::with_capacity(DRAWS); SIMULATED.len()];
    for _ in 0..DRAWS {
        windows.draw(&mut rng, &mut window);
        if let Some(scores) = scorer.against(&window, &reference.counts) {
            draws
                .iter_mut()
                .zip(quadratic(&scores))
                .for_each(|(draws, score)| draws.push(score / noise_variance));
        }
    }
    NullTable {
        size,
        distributions: draws.into_iter().map(distribution).collect(),
    }
}

fn distribution(mut draws: Vec<f64>) -> Option<EmpiricalDistribution> {
    if draws.iter().any(|score| !score.is_finite()) {
        return None;
    }
    let exceedances = draws.len() as f64 * TAIL_SHARE;
    EmpiricalDistribution::of(&mut draws, TAIL_SHARE, |_| exceedances)
        .filter(|distribution| distribution.mean > 0.0)
}

/// The atoms of which simulated windows consist.
pub(super) fn atoms(reference: &FeatureReference) -> Vec<NullAtom> {
    match reference.layout.as_ref() {
        Layout::Numeric(_) => numbers(reference),
        Layout::Categorical(_) => categories(reference),
    }
}

fn numbers(reference: &FeatureReference) -> Vec<NullAtom> {
    reference
        .atoms
        .iter()
        .map(|atom| NullAtom {
            weight: atom.count as f64,
            bin: atom.bin,
            position: Some((atom.cell, atom.sum as f64 / atom.count.max(1) as f64)),
        })
        .chain(guards(reference))
        .collect()
}

/// Atoms for the guards that are empty in the reference, at its extremes.
///
/// The next value lies beyond each extreme with the weight of one value. The weight is 1/2 where
/// the extreme is tied or the edges do not come from the values: beyond is then less likely.
fn guards(reference: &FeatureReference) -> Vec<NullAtom> {
    let (Some(layout), Some(facts)) = (reference.layout.numeric(), reference.numbers) else {
        return Vec::new();
    };
    let (lower, upper) = (layout.bins.has_lower_guard(), layout.bins.has_upper_guard());
    let guard = |bin: usize, extreme: f64, is_tied: bool| {
        let position = layout.cells.locate(extreme);
        let is_empty = reference.counts.bins[bin] == 0;
        is_empty.then_some(NullAtom {
            weight: if is_tied || facts.edges_given {
                0.5
            } else {
                1.0
            },
            bin,
            position: Some((position.cell, position.outward.min(FULL_WIDTH) as f64)),
        })
    };
    let below = lower.then(|| guard(0, facts.min, facts.min_tied));
    let above = upper.then(|| guard(layout.bins.len() - 1, facts.max, facts.max_tied));
    [below, above].into_iter().flatten().flatten().collect()
}

/// The mass of categories that do not occur in the reference; `None` where there can be none.
///
/// `f1` categories that occur once and `f2` that occur twice estimate it (Good and Turing): mean
/// `max(f1, 1/2)`, variance `mean + 2 f2`, which is `f1 + 2 f2`. With the variance of an atom, `f1`
/// alone, 2.7 % of clean windows exceeded the 1 % threshold of KL on a Zipf distribution.
/// Source: W. W. Esty, A normal limit law for a nonparametric estimator of the coverage of a random
/// sample, Annals of Statistics 11 (1983).
fn unseen_mass(reference: &FeatureReference) -> Option<UnseenMass> {
    let Layout::Categorical(layout) = reference.layout.as_ref() else {
        return None;
    };
    let mean = (reference.expected_unseen() as f64).max(0.5);
    reference.can_have_unseen().then(|| UnseenMass {
        bin: layout.unseen(),
        mean,
        variance: mean + 2.0 * reference.seen_twice as f64,
    })
}

/// One atom per category, and one for `other`.
///
/// Categories that occur once come out of `other`, where they are counted: their number is the
/// weight of the unseen.
fn categories(reference: &FeatureReference) -> Vec<NullAtom> {
    let Layout::Categorical(layout) = reference.layout.as_ref() else {
        return Vec::new();
    };
    let count = |bin: usize| reference.counts.bins[bin] as f64;
    let atom = |weight: f64, bin: usize| NullAtom {
        weight,
        bin,
        position: None,
    };
    let mut atoms: Vec<NullAtom> = (0..layout.other())
        .map(|bin| atom(count(bin), bin))
        .collect();
    if reference.can_have_unseen() && !layout.others().is_empty() {
        let once = reference.seen_once as f64;
        let weight = (count(layout.other()) - once).max(0.5);
        atoms.push(atom(weight, layout.other()));
    }
    atoms
}

//! The scores of the default effect, for one feature.
//!
//! A shift by a seventh of a standard deviation has one score for a normal feature and another for
//! a skewed one, whose values are dense where the shift moves them over an edge. One tolerance for
//! all would alarm on a third of the effect there, and for categories it would hide one that
//! doubles.

use crate::model::{Statistic, Tolerance};
use crate::reference::{Atom, FeatureReference};
use crate::score::Scorer;
use crate::stats::{Divergences, Layout, NumericLayout, divergences};

/// The mass that the default effect moves between two categories.
const CATEGORY_MASS: f64 = 0.02;
/// Parts into which the values of a cell are spread.
const PARTS: u32 = 16;

/// The scores of the default effect on one feature.
#[derive(Debug, Clone, Copy)]
pub(super) struct EffectScores {
    divergences: Divergences,
    ks: f64,
}

/// A feature's reference, and the scores of the default effect on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct FeatureEffect<'a> {
    pub(super) scorer: &'a Scorer,
    pub(super) scores: Option<&'a EffectScores>,
}

impl EffectScores {
    /// The scores of the default effect against the reference of `scorer`; `None` where it has no
    /// values that the effect can move.
    ///
    /// Numeric: the larger ones of a shift upwards and downwards by [`Tolerance::DEFAULT_STD`]
    /// standard deviations of the body. Values of a bin of their own stay where they are: a
    /// constant that moves is news. Categories: the smaller ones of 2 % of the values that move
    /// from the most frequent category to the next one, or back.
    pub(super) fn of(scorer: &Scorer) -> Option<Self> {
        let reference = scorer.reference();
        let moved = match reference.layout.as_ref() {
            Layout::Numeric(layout) => shifted(reference, layout, scorer)?,
            Layout::Categorical(_) => exchanged(&reference.counts.bins)?,
        };
        let is_numeric = reference.layout.numeric().is_some();
        let pick = |a: f64, b: f64| if is_numeric { a.max(b) } else { a.min(b) };
        let open = reference.layout.open();
        let [first, second] = moved.map(|bins| {
            let counts: Vec<u64> = bins.iter().map(|count| whole(*count)).collect();
            let divergences = divergences(
                &counts,
                &reference.counts.bins,
                &open,
                scorer.pseudo_count(),
            )?;
            Some((divergences, gap(&counts, &reference.counts.bins)))
        });
        let ((a, ks_a), (b, ks_b)) = (first?, second?);
        Some(EffectScores {
            divergences: Divergences {
                js: pick(a.js, b.js),
                kl: pick(a.kl, b.kl),
                kl_reverse: pick(a.kl_reverse, b.kl_reverse),
                psi: pick(a.psi, b.psi),
                hellinger: pick(a.hellinger, b.hellinger),
                total_variation: pick(a.total_variation, b.total_variation),
                ..a
            },
            ks: pick(ks_a, ks_b),
        })
    }

    /// The score of a statistic; `None` for those that are no score of bins.
    pub(super) fn get(&self, statistic: Statistic) -> Option<f64> {
        match statistic {
            Statistic::Js => Some(self.divergences.js),
            Statistic::JsDistance => Some(self.divergences.js.sqrt()),
            Statistic::Kl => Some(self.divergences.kl),
            Statistic::KlReverse => Some(self.divergences.kl_reverse),
            Statistic::Psi => Some(self.divergences.psi),
            Statistic::Hellinger => Some(self.divergences.hellinger),
            Statistic::TotalVariation => Some(self.divergences.total_variation),
            Statistic::Ks => Some(self.ks),
            _ => None,
        }
    }
}

/// The reference's values per bin after a shift upwards, and after one downwards.
fn shifted(
    reference: &FeatureReference,
    layout: &NumericLayout,
    scorer: &Scorer,
) -> Option<[Vec<f64>; 2]> {
    if reference.atoms.len() <= layout.bins.len() {
        // Discrete values, each in a bin of its own: such a shift moves none over an edge.
        return None;
    }
    let distance = Tolerance::DEFAULT_STD * scorer.body()?.std;
    let mut moved = [(); 2].map(|()| vec![0.0; layout.bins.len()]);
    for atom in &reference.atoms {
        let (low, high) = span(atom, layout);
        let count = atom.count as f64;
        if low >= high {
            moved.iter_mut().for_each(|bins| bins[atom.bin] += count);
            continue;
        }
        for (bins, distance) in moved.iter_mut().zip([distance, -distance]) {
            for part in 0..PARTS {
                let inside = (f64::from(part) + 0.5) / f64::from(PARTS);
                let x = low + (high - low) * inside + distance;
                bins[layout.bins.index(x)] += count / f64::from(PARTS);
            }
        }
    }
    Some(moved)
}

/// The values of an atom: those of its cell that lie in its bin. Empty for a bin of one value.
fn span(atom: &Atom, layout: &NumericLayout) -> (f64, f64) {
    let interval = layout.bins.interval(atom.bin);
    let low = layout.cells.edge(atom.cell);
    let high = layout.cells.edge(atom.cell + 1);
    (
        interval.lower.map_or(low, |edge| low.max(edge)),
        interval.upper.map_or(high, |edge| high.min(edge)),
    )
}

/// The reference's values per bin after an exchange between its two largest bins; `None` where the
/// second one holds nothing.
fn exchanged(counts: &[u64]) -> Option<[Vec<f64>; 2]> {
    let total: u64 = counts.iter().sum();
    let mut largest: Vec<usize> = (0..counts.len()).collect();
    largest.sort_by_key(|bin| std::cmp::Reverse(counts[*bin]));
    let (first, second) = (*largest.first()?, *largest.get(1)?);
    let mass = CATEGORY_MASS * total as f64;
    let moved = |from: usize, to: usize| {
        let mut bins: Vec<f64> = counts.iter().map(|count| *count as f64).collect();
        let mass = mass.min(bins[from]);
        bins[from] -= mass;
        bins[to] += mass;
        bins
    };
    let forth = moved(first, second);
    // A category that is smaller than the effect cannot lose it.
    let has_room = counts[second] as f64 > mass;
    let back = if has_room {
        moved(second, first)
    } else {
        forth.clone()
    };
    (counts[second] > 0).then_some([forth, back])
}

/// The largest difference between the cumulative shares of two sets of counts.
fn gap(counts: &[u64], of_reference: &[u64]) -> f64 {
    let total = |counts: &[u64]| counts.iter().sum::<u64>().max(1) as f64;
    let (n, m) = (total(counts), total(of_reference));
    let (mut a, mut b, mut largest) = (0, 0, 0.0_f64);
    for (count, expected) in counts.iter().zip(of_reference) {
        a += count;
        b += expected;
        largest = largest.max((a as f64 / n - b as f64 / m).abs());
    }
    largest
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a part of a count"
)]
fn whole(count: f64) -> u64 {
    count.round() as u64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::Kind;
    use crate::reference::{Column, FitOptions, fit};
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution as _, StandardNormal};

    fn effect(kind: Kind, column: Column) -> EffectScores {
        let reference = fit("x", kind, column, &FitOptions::default()).unwrap();
        EffectScores::of(&Scorer::new(Arc::new(reference), 0.5)).unwrap()
    }

    fn numeric(transform: impl Fn(f64) -> f64) -> EffectScores {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let normal = |_| -> f64 { StandardNormal.sample(&mut random) };
        let column = Column {
            numbers: (0..50_000).map(normal).map(transform).collect(),
            ..Column::default()
        };
        effect(Kind::Numeric, column)
    }

    /// Of N(0.14, 1) against N(0, 1), as the table of default tolerances has it.
    #[test]
    fn the_effect_on_a_normal_feature_is_the_one_of_the_table() {
        let normal = numeric(|x| x);
        for (statistic, expected) in [
            (Statistic::Js, 0.0036),
            (Statistic::JsDistance, 0.06),
            (Statistic::TotalVariation, 0.056),
            (Statistic::Ks, 0.056),
        ] {
            let ratio = normal.get(statistic).unwrap() / expected;
            assert!((ratio - 1.0).abs() < 0.12, "{statistic}: {ratio}");
        }
        assert!(normal.get(Statistic::WassersteinBody).is_none());
    }

    #[test]
    fn a_skewed_feature_has_larger_scores_of_the_same_effect() {
        let skewed = numeric(f64::exp).get(Statistic::Js).unwrap();
        assert!(skewed > 0.01, "{skewed}");
    }

    #[test]
    fn values_of_a_bin_of_their_own_stay() {
        let zeros = numeric(|x| x.max(0.0))
            .get(Statistic::TotalVariation)
            .unwrap();
        assert!(zeros < 0.1, "half of the values are zeros: {zeros}");
    }

    #[test]
    fn categories_exchange_two_per_cent() {
        let column = |counts: &[(&str, u64)]| Column {
            categories: counts
                .iter()
                .map(|(name, count)| ((*name).into(), *count))
                .collect(),
            ..Column::default()
        };
        let scores = effect(
            Kind::Categorical,
            column(&[("a", 5000), ("b", 3000), ("c", 2000)]),
        );
        let moved = scores.get(Statistic::TotalVariation).unwrap();
        assert!((moved - 0.02).abs() < 1e-9, "{moved}");
        let js = scores.get(Statistic::Js).unwrap();
        assert!(js < 0.0005, "a tenth of that of a normal feature: {js}");
        let rare = effect(Kind::Categorical, column(&[("a", 9900), ("b", 100)]));
        assert!(
            rare.get(Statistic::Js).is_some(),
            "less than 2 % cannot leave"
        );
    }
}

//! Clean windows of moderate size from an urn.
//!
//! Shares from a Dirichlet law and counts from conditional binomials cost a gamma and a binomial variate per atom, with other parameters each time, so that
//! nothing can be prepared. Two facts about the same law give it from tables:
//!
//! - Negative binomial counts, one per atom with its weight as shape and all with the same odds, are independent, and *given their sum* `N` they are a
//!   Dirichlet-multinomial window of `N` values.
//! - Such a window is exchangeable, like the balls of Polya's urn: any `n` of its values, taken blindly, are a window of `n`.
//!
//! So one look into a table gives each count. A window of fewer than `n` values is drawn again, which depends on `N` alone and favours nothing; of a larger one
//! `N - n` values are taken away blindly. The result is exactly Dirichlet-multinomial, as far as doubles go: no normal stands for anything.

use rand::{Rng, RngExt as _};
use rand_distr::Distribution as _;
use rand_distr::weighted::WeightedAliasIndex;

/// Windows of more values are drawn otherwise: what is taken away grows with them, and the tables leave the cache.
const LARGEST_WINDOW: u64 = 1 << 15;
/// Counts that one table may tell apart.
const LARGEST_TABLE: usize = 1 << 14;
/// Values laid out at once.
const RUN: usize = 16;
/// Counts that are rarer than the most frequent one by this factor never occur: a double does not see them beside the rest.
const NEGLIGIBLE: f64 = 1e-18;

/// The counts of clean windows of one size.
#[derive(Debug, Clone)]
pub(super) struct Urn {
    size: u64,
    laws: Vec<CountLaw>,
    /// The atom of each value, for the blind choice.
    values: Vec<u16>,
}

impl Urn {
    /// Windows of `size` values of atoms with these positive weights; `None` where tables would be too large.
    pub(super) fn try_new(weights: &[f64], size: u64) -> Option<Self> {
        if size > LARGEST_WINDOW || weights.len() > usize::from(u16::MAX) {
            return None;
        }
        let (n, total) = (size as f64, weights.iter().sum::<f64>());
        // One standard deviation more than needed: five windows in six are large enough.
        let odds = (n + (n * (1.0 + n / total)).sqrt()) / total;
        let laws = weights
            .iter()
            .map(|weight| CountLaw::negative_binomial(*weight, odds));
        Some(Urn {
            size,
            laws: laws.collect::<Option<_>>()?,
            values: Vec::new(),
        })
    }

    /// Draws the count of every atom.
    pub(super) fn draw(&mut self, rng: &mut impl Rng, counts: &mut [u64]) {
        loop {
            let mut total = 0;
            for (count, law) in counts.iter_mut().zip(&self.laws) {
                *count = law.draw(rng);
                total += *count;
            }
            if total >= self.size {
                return self.take_away(total, rng, counts);
            }
        }
    }

    fn take_away(&mut self, total: u64, rng: &mut impl Rng, counts: &mut [u64]) {
        self.lay_out(total, counts);
        for left in (self.size + 1..=total).rev() {
            let chosen = place(rng.random_range(0..left));
            counts[usize::from(self.values[chosen])] -= 1;
            self.values[chosen] = self.values[place(left - 1)];
        }
    }

    /// Writes the atom of every value, in whole runs: what is too much of one atom is written over by the next.
    fn lay_out(&mut self, total: u64, counts: &[u64]) {
        self.values.resize(place(total) + RUN, 0);
        let mut start = 0;
        for (atom, count) in (0_u16..).zip(counts) {
            let end = start + place(*count);
            for run in (start..end).step_by(RUN) {
                self.values[run..run + RUN].copy_from_slice(&[atom; RUN]);
            }
            start = end;
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "windows are bounded by LARGEST_WINDOW, and totals by what tables hold"
)]
const fn place(value: u64) -> usize {
    value as usize
}

/// A law over neighbouring counts, drawn from in constant time (Walker 1974, Vose 1991).
#[derive(Debug, Clone)]
struct CountLaw {
    first: u64,
    beyond: WeightedAliasIndex<f64>,
}

impl CountLaw {
    /// Poisson counts whose means are `odds` times a gamma variate of this shape.
    fn negative_binomial(shape: f64, odds: f64) -> Option<Self> {
        let (first, weights) = probabilities(shape, odds)?;
        let beyond = WeightedAliasIndex::new(weights).ok()?;
        Some(CountLaw { first, beyond })
    }

    fn draw(&self, rng: &mut impl Rng) -> u64 {
        self.first + self.beyond.sample(rng) as u64
    }
}

/// Relative probabilities of a negative binomial law from its first count that is not negligible on; `None` where there are too many.
fn probabilities(shape: f64, odds: f64) -> Option<(u64, Vec<f64>)> {
    let success = odds / (1.0 + odds);
    let up = |count: u64| success * (count as f64 + shape) / (count as f64 + 1.0);
    let mode = mode(shape, odds);
    let below = fall(mode, |count| {
        Some((count.checked_sub(1)?, up(count - 1).recip()))
    })?;
    let above = fall(mode, |count| Some((count + 1, up(count))))?;
    let first = mode - below.len() as u64;
    let weights: Vec<f64> = below.into_iter().rev().chain([1.0]).chain(above).collect();
    (weights.len() <= LARGEST_TABLE).then_some((first, weights))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, and a window's size at most"
)]
fn mode(shape: f64, odds: f64) -> u64 {
    ((shape - 1.0) * odds).max(0.0) as u64
}

/// Relative probabilities on the way down from the mode, by the ratio of each step.
fn fall(mode: u64, step: impl Fn(u64) -> Option<(u64, f64)>) -> Option<Vec<f64>> {
    let (mut count, mut weight, mut weights) = (mode, 1.0, Vec::new());
    while let Some((next, ratio)) = step(count) {
        (count, weight) = (next, weight * ratio);
        if weight < NEGLIGIBLE {
            break;
        }
        weights.push(weight);
        if weights.len() > LARGEST_TABLE {
            return None;
        }
    }
    Some(weights)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;
    use statrs::distribution::{Discrete, NegativeBinomial};

    #[test]
    fn tables_hold_the_negative_binomial_law() {
        let check = |shape: f64, odds: f64| {
            let law = NegativeBinomial::new(shape, 1.0 / (1.0 + odds)).unwrap();
            let table = CountLaw::negative_binomial(shape, odds).unwrap();
            let weights: Vec<f64> = table.beyond.weights();
            let sum: f64 = weights.iter().sum();
            for (count, weight) in (table.first..).zip(weights) {
                let (expected, found) = (law.pmf(count), weight / sum);
                let gap = (found - expected).abs();
                assert!(
                    gap < 1e-10,
                    "{count} of {shape}, {odds}: {found} vs {expected}"
                );
            }
        };
        check(0.5, 0.1);
        check(0.5, 8.0);
        check(1.0, 0.3);
        check(250.0, 0.4);
        check(10_000.0, 0.05);
    }

    /// Beta-binomial: what one atom of weight `a` beside others of weight `b` counts in a window of `n`.
    fn beta_binomial(a: f64, b: f64, n: u64) -> Vec<f64> {
        let step = |x: u64| {
            let (x, n) = (x as f64, n as f64);
            (n - x) / (x + 1.0) * (a + x) / (b + n - x - 1.0)
        };
        let mut weights = vec![1.0];
        (0..n).for_each(|x| weights.push(weights[weights.len() - 1] * step(x)));
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / sum).collect()
    }

    #[test]
    fn windows_are_dirichlet_multinomial() {
        let draws = 100_000;
        let check = |weights: &[f64], n: u64| {
            let mut urn = Urn::try_new(weights, n).unwrap();
            let mut rng = ChaCha8Rng::seed_from_u64(7);
            let mut counts = vec![0; weights.len()];
            let mut seen = vec![vec![0_u32; usize::try_from(n).unwrap() + 1]; weights.len()];
            for _ in 0..draws {
                urn.draw(&mut rng, &mut counts);
                assert_eq!(counts.iter().sum::<u64>(), n, "a window of {n}");
                let pairs = seen.iter_mut().zip(&counts);
                pairs.for_each(|(seen, count)| seen[usize::try_from(*count).unwrap()] += 1);
            }
            for (weight, seen) in weights.iter().zip(seen) {
                let rest = weights.iter().sum::<f64>() - weight;
                for (count, (seen, share)) in
                    seen.iter().zip(beta_binomial(*weight, rest, n)).enumerate()
                {
                    let expected = share * f64::from(draws);
                    let gap = (f64::from(*seen) - expected).abs();
                    let allowed = 5.0 * expected.sqrt() + 2.0;
                    assert!(
                        gap < allowed,
                        "{count} of weight {weight} in {n}: {seen} vs {expected}"
                    );
                }
            }
        };
        check(&[3.0, 1.5, 0.5], 1);
        check(&[3.0, 1.5, 0.5], 6);
        check(&[40.0, 8.0, 2.0], 30);
        check(&[0.5, 0.5], 12);
    }

    #[test]
    fn atoms_spread_together_as_the_law_says() {
        let weights: Vec<f64> = (0..100).map(|i| 50.0 + f64::from(i) * 3.0).collect();
        let (n, draws) = (4096_u64, 20_000);
        let total: f64 = weights.iter().sum();
        let mut urn = Urn::try_new(&weights, n).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let mut counts = vec![0; weights.len()];
        let mut sum = 0.0;
        for _ in 0..draws {
            urn.draw(&mut rng, &mut counts);
            for (count, weight) in counts.iter().zip(&weights) {
                let expected = n as f64 * weight / total;
                sum += (*count as f64 - expected).powi(2) / expected;
            }
        }
        // Pearson's sum is on average (atoms - 1) (n + a) / (1 + a).
        let expected = 99.0 * (n as f64 + total) / (1.0 + total);
        let ratio = sum / f64::from(draws) / expected;
        assert!((ratio - 1.0).abs() < 0.005, "spread {ratio}");
    }

    #[test]
    fn what_would_take_large_tables_is_refused() {
        assert!(
            Urn::try_new(&[50.0; 20], LARGEST_WINDOW + 1).is_none(),
            "a large window"
        );
        assert!(
            Urn::try_new(&[0.5, 1.0], LARGEST_WINDOW).is_none(),
            "a tiny reference"
        );
    }
}

//! Draws null windows of moderate size from tables, by way of Polya's urn.
//!
//! Dirichlet shares and binomial counts cost a gamma and a binomial variate per atom, with other
//! parameters each time, so that nothing can be prepared. Two facts give the same distribution from
//! tables:
//!
//! - Take negative binomial counts, one per atom, with its weight as shape and the same odds for
//!   all. They are independent, and *given their sum* `N` they are a Dirichlet-multinomial window
//!   of `N` values.
//! - Such a window is exchangeable, like the balls of Polya's urn: any `n` of its values, chosen
//!   without looking at them, are a window of `n` values.
//!
//! So one lookup in a table gives each count. A window of fewer than `n` values is drawn again,
//! which depends on `N` alone and therefore does not change the distribution. From a larger window
//! `N - n` random values are removed. The result is exactly Dirichlet-multinomial, as far as
//! doubles go; there is no normal approximation.
//!
//! Source: Johnson, Kotz and Balakrishnan, Discrete Multivariate Distributions (1997), chapters 35
//! and 40.

use rand::{Rng, RngExt as _};
use rand_distr::Distribution as _;
use rand_distr::weighted::WeightedAliasIndex;

/// Largest window that is drawn from tables.
///
/// With larger windows the number of removed values grows, and the tables do not fit the cache.
const MAX_WINDOW: u64 = 1 << 15;
/// Largest number of different counts in a table.
const MAX_TABLE: usize = 1 << 14;
/// Number of values that are written at once.
const RUN: usize = 16;
/// Probability, relative to the most frequent count, below which a count never occurs.
///
/// A double does not resolve it beside the sum.
const NEGLIGIBLE: f64 = 1e-18;

/// Draws the counts of null windows of one size.
#[derive(Debug, Clone)]
pub(super) struct Urn {
    size: u64,
    tables: Vec<CountTable>,
    /// The atom of each value, from which random values are removed.
    values: Vec<u16>,
}

impl Urn {
    /// Windows of `size` values of atoms with these positive weights.
    ///
    /// `None` where the window, the number of atoms or a table would be too large.
    pub(super) fn try_new(weights: &[f64], size: u64) -> Option<Self> {
        if size > MAX_WINDOW || weights.len() > usize::from(u16::MAX) {
            return None;
        }
        let (n, total) = (size as f64, weights.iter().sum::<f64>());
        // One standard deviation above the size: five windows in six are large enough.
        let odds = (n + (n * (1.0 + n / total)).sqrt()) / total;
        Some(Urn {
            size,
            tables: weights
                .iter()
                .map(|weight| CountTable::negative_binomial(*weight, odds))
                .collect::<Option<_>>()?,
            values: Vec::new(),
        })
    }

    /// Draws the count of every atom in a window of `size` values, at most the urn's size.
    pub(super) fn draw(&mut self, rng: &mut impl Rng, size: u64, counts: &mut [u64]) {
        loop {
            let mut total = 0;
            for (count, table) in counts.iter_mut().zip(&self.tables) {
                *count = table.draw(rng);
                total += *count;
            }
            if total >= self.size {
                return self.remove_surplus(total, size.min(self.size), rng, counts);
            }
        }
    }

    /// Removes random values until `size` are left.
    fn remove_surplus(&mut self, total: u64, size: u64, rng: &mut impl Rng, counts: &mut [u64]) {
        self.write_values(total, counts);
        for left in (size + 1..=total).rev() {
            let removed = index(rng.random_range(0..left));
            counts[usize::from(self.values[removed])] -= 1;
            self.values[removed] = self.values[index(left - 1)];
        }
    }

    /// Writes the atom of every value, in whole runs: the next atom overwrites the excess of a run.
    fn write_values(&mut self, total: u64, counts: &[u64]) {
        self.values.resize(index(total) + RUN, 0);
        let mut start = 0;
        for (atom, count) in (0_u16..).zip(counts) {
            let end = start + index(*count);
            for run in (start..end).step_by(RUN) {
                self.values[run..run + RUN].copy_from_slice(&[atom; RUN]);
            }
            start = end;
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "windows are bounded by MAX_WINDOW, and totals by the size of the tables"
)]
const fn index(value: u64) -> usize {
    value as usize
}

/// A distribution over neighbouring counts, drawn from in constant time.
///
/// Source: the alias method (Walker 1974, Vose 1991).
#[derive(Debug, Clone)]
struct CountTable {
    /// The count of index 0.
    first: u64,
    indices: WeightedAliasIndex<f64>,
}

impl CountTable {
    /// The negative binomial distribution: Poisson counts of mean `odds` times a gamma variate.
    ///
    /// `P(x) = Gamma(x + shape) / (x! Gamma(shape)) p^x (1 - p)^shape` with
    /// `p = odds / (1 + odds)`, which is `scipy.stats.nbinom(shape, 1 - p)`. `None` where the table
    /// would be too large.
    fn negative_binomial(shape: f64, odds: f64) -> Option<Self> {
        let (first, weights) = probabilities(shape, odds)?;
        let indices = WeightedAliasIndex::new(weights).ok()?;
        Some(CountTable { first, indices })
    }

    fn draw(&self, rng: &mut impl Rng) -> u64 {
        self.first + self.indices.sample(rng) as u64
    }
}

/// Probabilities relative to the mode, from the first count that is not negligible, with that
/// count.
///
/// `None` where there are too many.
fn probabilities(shape: f64, odds: f64) -> Option<(u64, Vec<f64>)> {
    let p = odds / (1.0 + odds);
    let up = |count: u64| p * (count as f64 + shape) / (count as f64 + 1.0);
    let mode = mode(shape, odds);
    let below = descend(mode, |count| {
        Some((count.checked_sub(1)?, up(count - 1).recip()))
    })?;
    let above = descend(mode, |count| Some((count + 1, up(count))))?;
    let first = mode - below.len() as u64;
    let weights: Vec<f64> = below.into_iter().rev().chain([1.0]).chain(above).collect();
    (weights.len() <= MAX_TABLE).then_some((first, weights))
}

/// The most frequent count: `floor((shape - 1) odds)`, at least 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, and at most the size of a window"
)]
fn mode(shape: f64, odds: f64) -> u64 {
    ((shape - 1.0) * odds).max(0.0) as u64
}

/// Probabilities relative to the mode on one side of it, by the ratio of each step.
fn descend(mode: u64, step: impl Fn(u64) -> Option<(u64, f64)>) -> Option<Vec<f64>> {
    let (mut count, mut weight, mut weights) = (mode, 1.0, Vec::new());
    while let Some((next, ratio)) = step(count) {
        (count, weight) = (next, weight * ratio);
        if weight < NEGLIGIBLE {
            break;
        }
        weights.push(weight);
        if weights.len() > MAX_TABLE {
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
    fn tables_hold_the_negative_binomial_distribution() {
        let check = |shape: f64, odds: f64| {
            let exact = NegativeBinomial::new(shape, 1.0 / (1.0 + odds)).unwrap();
            let table = CountTable::negative_binomial(shape, odds).unwrap();
            let weights: Vec<f64> = table.indices.weights();
            let sum: f64 = weights.iter().sum();
            for (count, weight) in (table.first..).zip(weights) {
                let (expected, probability) = (exact.pmf(count), weight / sum);
                let gap = (probability - expected).abs();
                assert!(
                    gap < 1e-10,
                    "{count} of {shape}, {odds}: {probability} vs {expected}"
                );
            }
        };
        check(0.5, 0.1);
        check(0.5, 8.0);
        check(1.0, 0.3);
        check(250.0, 0.4);
        check(10_000.0, 0.05);
    }

    /// The beta-binomial distribution of an atom's count in a window of `n` values.
    ///
    /// The atom has weight `a`, all others together `b`; as `scipy.stats.betabinom(n, a, b)`.
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
                urn.draw(&mut rng, n, &mut counts);
                assert_eq!(counts.iter().sum::<u64>(), n, "a window of {n}");
                for (seen, count) in seen.iter_mut().zip(&counts) {
                    seen[usize::try_from(*count).unwrap()] += 1;
                }
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
    fn the_joint_spread_of_atoms_is_dirichlet_multinomial() {
        let weights: Vec<f64> = (0..100).map(|i| 50.0 + f64::from(i) * 3.0).collect();
        let (n, draws) = (4096_u64, 20_000);
        let total: f64 = weights.iter().sum();
        let mut urn = Urn::try_new(&weights, n).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let mut counts = vec![0; weights.len()];
        let mut sum = 0.0;
        for _ in 0..draws {
            urn.draw(&mut rng, n, &mut counts);
            for (count, weight) in counts.iter().zip(&weights) {
                let expected = n as f64 * weight / total;
                sum += (*count as f64 - expected).powi(2) / expected;
            }
        }
        // The mean of Pearson's sum is (atoms - 1) (n + a) / (1 + a).
        let expected = 99.0 * (n as f64 + total) / (1.0 + total);
        let ratio = sum / f64::from(draws) / expected;
        assert!((ratio - 1.0).abs() < 0.005, "spread {ratio}");
    }

    #[test]
    fn windows_that_need_large_tables_are_refused() {
        assert!(
            Urn::try_new(&[50.0; 20], MAX_WINDOW + 1).is_none(),
            "a large window"
        );
        assert!(
            Urn::try_new(&[0.5, 1.0], MAX_WINDOW).is_none(),
            "a tiny reference"
        );
    }
}

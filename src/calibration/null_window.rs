//! Windows in which nothing has drifted, drawn at random from what is known about the reference.
//!
//! The reference is a sample itself, so a clean window is not a draw from its shares but from what the shares may be: Dirichlet-multinomial. With equal-mass
//! edges that is exactly so, and it covers the reference's own noise, guards and small counts at once, where chi-square lines fail in most cases.
//!
//! An atom is the values of one cell in one score bin, or one category. Its weight is its count in the reference. What the reference does not hold but a clean
//! window may hold has a weight of its own: the next value of a sample lies beyond its extreme like one more value would (1; 1/2 where the extreme is tied),
//! and a category never seen comes as often as those seen once.

use rand::Rng;
use rand_distr::{Binomial, Distribution, Gamma};

use super::polya_urn::Urn;
use crate::stats::FeatureCounts;

/// Values that move together: those of one cell in one score bin, or of one category.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NullAtom {
    /// Weight in the reference; positive.
    pub weight: f64,
    /// The score bin.
    pub bin: usize,
    /// The cell and the mean place in it, in `0..=FULL_WIDTH`; numbers only.
    pub place: Option<(usize, f64)>,
}

/// A source of clean windows of one size.
#[derive(Debug, Clone)]
pub struct NullWindows {
    size: u64,
    /// The heaviest first, so that small windows are full early.
    atoms: Vec<NullAtom>,
    counts: Vec<u64>,
    source: Source,
}

/// Two ways to the same law: tables for sizes where they fit, else shares and what falls into each.
#[derive(Debug, Clone)]
enum Source {
    Urn(Urn),
    Shares(Shares),
}

impl NullWindows {
    /// Windows of `size` values of these atoms; atoms without weight never occur.
    #[must_use]
    pub fn new(atoms: &[NullAtom], size: u64) -> Self {
        let has_weight = |atom: &&NullAtom| atom.weight > 0.0 && atom.weight.is_finite();
        let mut atoms: Vec<NullAtom> = atoms.iter().filter(has_weight).copied().collect();
        atoms.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        let weights: Vec<f64> = atoms.iter().map(|atom| atom.weight).collect();
        let shares = || Source::Shares(Shares::new(&weights));
        NullWindows {
            size,
            counts: vec![0; atoms.len()],
            source: Urn::try_new(&weights, size).map_or_else(shares, Source::Urn),
            atoms,
        }
    }

    /// Draws a window into `window`, which has the reference's layout and is emptied first.
    pub fn draw(&mut self, rng: &mut impl Rng, window: &mut FeatureCounts) {
        window.bins.fill(0);
        window.cells.clear();
        window.tallies = crate::stats::Tallies {
            values: self.size,
            ..crate::stats::Tallies::default()
        };
        if self.atoms.is_empty() {
            return;
        }
        match &mut self.source {
            Source::Urn(urn) => urn.draw(rng, &mut self.counts),
            Source::Shares(shares) => shares.draw(rng, self.size, &mut self.counts),
        }
        for (atom, count) in self.atoms.iter().zip(&self.counts) {
            put(atom, *count, window);
        }
    }
}

/// Shares by a Dirichlet law, counts by conditional binomials.
#[derive(Debug, Clone)]
struct Shares {
    laws: Vec<Gamma<f64>>,
    shares: Vec<f64>,
}

impl Shares {
    /// Of atoms with these positive weights.
    fn new(weights: &[f64]) -> Self {
        let law = |weight: &f64| Gamma::new(*weight, 1.0).ok();
        Shares {
            laws: weights.iter().filter_map(law).collect(),
            shares: vec![0.0; weights.len()],
        }
    }

    fn draw(&mut self, rng: &mut impl Rng, n: u64, counts: &mut [u64]) {
        for (law, share) in self.laws.iter().zip(&mut self.shares) {
            *share = law.sample(rng);
        }
        let mut weight_left: f64 = self.shares.iter().sum();
        let mut left = n;
        for (count, share) in counts.iter_mut().zip(&self.shares) {
            *count = if left == 0 {
                0
            } else {
                part(rng, left, share / weight_left)
            };
            weight_left -= share;
            left -= *count;
        }
        // What rounding of the shares leaves over belongs to the heaviest.
        counts[0] += left;
    }
}

/// How many of `n` values fall into a share.
fn part(rng: &mut impl Rng, n: u64, share: f64) -> u64 {
    Binomial::new(n, share.clamp(0.0, 1.0)).map_or(0, |law| law.sample(rng))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a place has 25 bits, a count of a window far fewer than 38"
)]
fn put(atom: &NullAtom, count: u64, window: &mut FeatureCounts) {
    window.bins[atom.bin] += count;
    if let Some((cell, place)) = atom.place {
        // Rounded; no place is negative.
        let sum = (place * count as f64 + 0.5) as i64;
        window.cells.add(cell, count, sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    fn atoms(weights: &[f64]) -> Vec<NullAtom> {
        let atom = |(bin, weight): (usize, &f64)| NullAtom {
            weight: *weight,
            bin,
            place: None,
        };
        weights.iter().enumerate().map(atom).collect()
    }

    fn drawn(weights: &[f64], n: u64, windows: u64) -> Vec<Vec<u64>> {
        let mut clean = NullWindows::new(&atoms(weights), n);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut window = FeatureCounts {
            bins: vec![0; weights.len()],
            ..FeatureCounts::default()
        };
        let mut draw = |_| {
            clean.draw(&mut rng, &mut window);
            window.bins.clone()
        };
        (0..windows).map(&mut draw).collect()
    }

    #[test]
    fn every_window_holds_n_values() {
        for n in [1, 7, 1000, 1_000_000] {
            let windows = drawn(&[3.0, 0.5, 90.0, 0.0, 6.5], n, 50);
            assert!(
                windows.iter().all(|bins| bins.iter().sum::<u64>() == n),
                "windows of {n}"
            );
            assert!(windows.iter().all(|bins| bins[3] == 0), "no weight");
        }
    }

    #[test]
    fn counts_have_the_mean_and_spread_of_a_dirichlet_multinomial() {
        let windows = 20_000;
        let check = |n: u64| {
            let found = drawn(&[30.0, 70.0], n, windows);
            let firsts = || found.iter().map(|bins| bins[0] as f64 / n as f64);
            let mean = firsts().sum::<f64>() / windows as f64;
            let variance = firsts().map(|x| (x - mean).powi(2)).sum::<f64>() / windows as f64;
            // p (1 - p) (n + a) / (1 + a) / n with p = 0.3 and a = 100.
            let expected = 0.3 * 0.7 * (n as f64 + 100.0) / 101.0 / n as f64;
            assert!((mean - 0.3).abs() < 0.002, "mean {mean} in {n}");
            let ratio = variance / expected;
            assert!((ratio - 1.0).abs() < 0.05, "spread {ratio} in {n}");
        };
        check(200);
        // Too large for tables.
        check(1_000_000);
    }
}

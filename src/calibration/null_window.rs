//! Null windows: simulated windows without drift.
//!
//! The reference is a sample itself. So a window without drift is not drawn from the reference's
//! shares but from the posterior of the shares: its counts are Dirichlet-multinomial. With
//! equal-mass edges that is exact. It covers the noise of the reference, guards and small counts at
//! once, where chi-square thresholds fail in most cases.
//!
//! Values that the reference never shows are drawn apart, because their share is an estimate with
//! an error of its own: Good and Turing's, from the categories that occur once.
//!
//! Values of the same atom are interchangeable: those of one cell in one score bin, or of one
//! category. The weight of an atom is its count in the reference. An atom that is empty in the
//! reference and may occur in a window has a weight too; `null_table` chooses it.

use rand::Rng;
use rand_distr::{Binomial, Distribution, Gamma};

use super::polya_urn::Urn;
use crate::stats::{FeatureCounts, Tallies};

/// The values of one cell in one score bin, or of one category.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NullAtom {
    /// Weight in the reference; positive.
    pub weight: f64,
    /// Index of the score bin.
    pub bin: usize,
    /// The cell, and the mean position in it in `0..=FULL_WIDTH`; numbers only.
    pub position: Option<(usize, f64)>,
}

/// The values of categories that do not occur in the reference.
///
/// Their weight, beside the atoms' weights, is a gamma variate with this mean and variance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UnseenMass {
    /// Index of the score bin.
    pub bin: usize,
    /// Expected weight; positive.
    pub mean: f64,
    /// Variance of the weight; positive. That of an atom equals its mean.
    pub variance: f64,
}

/// Draws null windows of one size.
#[derive(Debug, Clone)]
pub struct NullWindows {
    size: u64,
    /// Atoms with the heaviest first, so that small windows are full early.
    atoms: Vec<NullAtom>,
    counts: Vec<u64>,
    source: Source,
    unseen: Option<Unseen>,
}

/// Draws the number of unseen values of a window.
///
/// The atoms' shares among themselves do not depend on their sum (Lukacs 1955), so the unseen
/// values are drawn first, given the sum of all atoms, and the rest of the window from the atoms.
#[derive(Debug, Clone)]
struct Unseen {
    bin: usize,
    weight: Gamma<f64>,
    /// Sum of the gamma variates of all atoms; `None` without atoms.
    atoms: Option<Gamma<f64>>,
}

impl Unseen {
    fn new(mass: UnseenMass, atoms: f64) -> Option<Self> {
        let shape = mass.mean * mass.mean / mass.variance;
        Some(Unseen {
            bin: mass.bin,
            weight: Gamma::new(shape, mass.variance / mass.mean).ok()?,
            atoms: Gamma::new(atoms, 1.0).ok(),
        })
    }

    /// Number of unseen values in a window of `n`.
    fn draw(&self, rng: &mut impl Rng, n: u64) -> u64 {
        let Some(atoms) = self.atoms else {
            return n;
        };
        let (unseen, seen) = (self.weight.sample(rng), atoms.sample(rng));
        binomial(rng, n, unseen / (unseen + seen))
    }
}

/// Two ways to draw from the same distribution: tables for sizes where they fit, else shares first.
#[derive(Debug, Clone)]
enum Source {
    Urn(Urn),
    Shares(Shares),
}

impl NullWindows {
    /// Windows of `size` values of these atoms; atoms without a positive, finite weight never
    /// occur.
    #[must_use]
    pub fn new(atoms: &[NullAtom], size: u64) -> Self {
        let mut atoms: Vec<NullAtom> = atoms
            .iter()
            .filter(|atom| atom.weight > 0.0 && atom.weight.is_finite())
            .copied()
            .collect();
        atoms.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        let weights: Vec<f64> = atoms.iter().map(|atom| atom.weight).collect();
        NullWindows {
            size,
            counts: vec![0; atoms.len()],
            source: Urn::try_new(&weights, size)
                .map_or_else(|| Source::Shares(Shares::new(&weights)), Source::Urn),
            atoms,
            unseen: None,
        }
    }

    /// Windows that hold values of unseen categories as well.
    #[must_use]
    pub fn with_unseen(mut self, mass: UnseenMass) -> Self {
        let atoms = self.atoms.iter().map(|atom| atom.weight).sum();
        self.unseen = Unseen::new(mass, atoms);
        self
    }

    /// Draws a window into `window`, which has the reference's layout and is reset first.
    ///
    /// Without atoms all bins stay empty.
    pub fn draw(&mut self, rng: &mut impl Rng, window: &mut FeatureCounts) {
        window.bins.fill(0);
        window.cells.clear();
        window.tallies = Tallies {
            values: self.size,
            ..Tallies::default()
        };
        let mut size = self.size;
        if let Some(unseen) = &self.unseen {
            let count = unseen.draw(rng, size);
            window.bins[unseen.bin] += count;
            size -= count;
        }
        if self.atoms.is_empty() {
            return;
        }
        match &mut self.source {
            Source::Urn(urn) => urn.draw(rng, size, &mut self.counts),
            Source::Shares(shares) => shares.draw(rng, size, &mut self.counts),
        }
        for (atom, count) in self.atoms.iter().zip(&self.counts) {
            add(atom, *count, window);
        }
    }
}

/// Draws shares from a Dirichlet distribution, and counts from binomials given the shares.
///
/// Dirichlet shares are independent gamma variates over their sum; multinomial counts are binomial,
/// each given the counts before it (Devroye, Non-Uniform Random Variate Generation, 1986).
#[derive(Debug, Clone)]
struct Shares {
    gammas: Vec<Gamma<f64>>,
    /// Gamma variates of the latest draw, not normalised.
    shares: Vec<f64>,
}

impl Shares {
    /// Shares of atoms with these positive weights.
    fn new(weights: &[f64]) -> Self {
        Shares {
            gammas: weights
                .iter()
                .filter_map(|weight| Gamma::new(*weight, 1.0).ok())
                .collect(),
            shares: vec![0.0; weights.len()],
        }
    }

    fn draw(&mut self, rng: &mut impl Rng, n: u64, counts: &mut [u64]) {
        for (gamma, share) in self.gammas.iter().zip(&mut self.shares) {
            *share = gamma.sample(rng);
        }
        let mut remaining_share: f64 = self.shares.iter().sum();
        let mut remaining = n;
        for (count, share) in counts.iter_mut().zip(&self.shares) {
            *count = if remaining == 0 {
                0
            } else {
                binomial(rng, remaining, share / remaining_share)
            };
            remaining_share -= share;
            remaining -= *count;
        }
        // Values that rounding of the shares leaves over go to the heaviest atom.
        counts[0] += remaining;
    }
}

/// Draws how many of `n` values fall into a share.
fn binomial(rng: &mut impl Rng, n: u64, share: f64) -> u64 {
    Binomial::new(n, share.clamp(0.0, 1.0)).map_or(0, |binomial| binomial.sample(rng))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a position has 25 bits, a count of a window far fewer than 38"
)]
fn add(atom: &NullAtom, count: u64, window: &mut FeatureCounts) {
    window.bins[atom.bin] += count;
    if let Some((cell, position)) = atom.position {
        // The cast rounds to the nearest integer, because no position is negative.
        let sum = (position * count as f64 + 0.5) as i64;
        window.cells.add(cell, count, sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    fn atoms(weights: &[f64]) -> Vec<NullAtom> {
        weights
            .iter()
            .enumerate()
            .map(|(bin, weight)| NullAtom {
                weight: *weight,
                bin,
                position: None,
            })
            .collect()
    }

    fn drawn(weights: &[f64], n: u64, windows: u64) -> Vec<Vec<u64>> {
        let mut source = NullWindows::new(&atoms(weights), n);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut window = FeatureCounts {
            bins: vec![0; weights.len()],
            ..FeatureCounts::default()
        };
        (0..windows)
            .map(|_| {
                source.draw(&mut rng, &mut window);
                window.bins.clone()
            })
            .collect()
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
            let drawn = drawn(&[30.0, 70.0], n, windows);
            let firsts = || drawn.iter().map(|bins| bins[0] as f64 / n as f64);
            let mean = firsts().sum::<f64>() / windows as f64;
            let variance = firsts().map(|x| (x - mean).powi(2)).sum::<f64>() / windows as f64;
            // p (1 - p) (n + a) / (1 + a) / n with p = 0.3 and a = 100. For n = 200 that is, by
            // scipy 1.17, scipy.stats.dirichlet_multinomial.cov([30, 70], 200)[0, 0] / 200**2
            // = 0.003119.
            let expected = 0.3 * 0.7 * (n as f64 + 100.0) / 101.0 / n as f64;
            assert!((mean - 0.3).abs() < 0.002, "mean {mean} in {n}");
            let ratio = variance / expected;
            assert!((ratio - 1.0).abs() < 0.05, "spread {ratio} in {n}");
        };
        check(200);
        // This size is too large for tables.
        check(1_000_000);
    }

    #[test]
    fn unseen_values_have_the_mean_and_spread_of_their_mass() {
        let windows = 20_000;
        let check = |n: u64| {
            let mass = UnseenMass {
                bin: 2,
                mean: 20.0,
                variance: 60.0,
            };
            let mut source = NullWindows::new(&atoms(&[30.0, 150.0]), n).with_unseen(mass);
            let mut rng = ChaCha8Rng::seed_from_u64(3);
            let mut window = FeatureCounts {
                bins: vec![0; 3],
                ..FeatureCounts::default()
            };
            let shares: Vec<[f64; 2]> = (0..windows)
                .map(|_| {
                    source.draw(&mut rng, &mut window);
                    assert_eq!(window.bins.iter().sum::<u64>(), n, "a window of {n}");
                    let seen = window.bins[0] + window.bins[1];
                    [
                        window.bins[2] as f64 / n as f64,
                        window.bins[0] as f64 / seen.max(1) as f64,
                    ]
                })
                .collect();
            let moments = |side: usize| {
                let mean = shares.iter().map(|share| share[side]).sum::<f64>() / windows as f64;
                let squares = shares.iter().map(|share| (share[side] - mean).powi(2));
                (mean, squares.sum::<f64>() / windows as f64)
            };
            let (mean, variance) = moments(0);
            // numpy 2.4, 10 million draws of x / (x + g), x ~ gamma(20/3, 3), g ~ gamma(180):
            // mean 0.099116, variance 0.0012147; a binomial of n adds mean (1 - mean) / n to it.
            let expected = 0.001_214_7 + (0.099_116 * 0.900_884 - 0.001_214_7) / n as f64;
            assert!((mean - 0.0991).abs() < 0.001, "mean {mean} in {n}");
            assert!(
                (variance / expected - 1.0).abs() < 0.05,
                "{variance} in {n}"
            );
            let (of_seen, _) = moments(1);
            assert!((of_seen - 30.0 / 180.0).abs() < 0.002, "{of_seen} in {n}");
        };
        check(200);
        // This size is too large for tables.
        check(1_000_000);
    }
}

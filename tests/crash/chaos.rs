//! Chance that can be repeated, and what was measured on the way.

use std::str::FromStr;
use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// A generator whose seed is printed; `PEGEL_TEST_SEED` chooses it.
pub(crate) fn chance() -> ChaCha8Rng {
    let seed = from_environment("PEGEL_TEST_SEED", rand::random());
    let test = std::thread::current();
    println!("PEGEL_TEST_SEED={seed} {}", test.name().unwrap_or_default());
    ChaCha8Rng::seed_from_u64(seed)
}

/// A number from the environment.
pub(crate) fn from_environment<T: FromStr>(name: &str, default: T) -> T {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| {
        let number = value.parse().ok();
        number.unwrap_or_else(|| panic!("{name} is not a number: {value}"))
    })
}

pub(crate) fn millis(random: &mut ChaCha8Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(random.random_range(range))
}

/// Asks until there is an answer; fails with what `instead` says.
pub(crate) fn eventually<T>(
    within: Duration,
    mut ask: impl FnMut() -> Option<T>,
    instead: impl FnOnce() -> String,
) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        if Instant::now() >= deadline {
            panic!("not within {within:?}: {}", instead());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Durations, and how they are distributed.
#[derive(Debug, Default)]
pub(crate) struct Durations(Vec<Duration>);

impl Durations {
    pub(crate) fn note(&mut self, took: Duration) {
        self.0.push(took);
    }

    /// The value that this share of all does not exceed.
    pub(crate) fn quantile(&mut self, share: f64) -> Duration {
        self.0.sort_unstable();
        let last = self.0.len().saturating_sub(1);
        let ranks = 0..=last;
        let rank = ranks
            .into_iter()
            .find(|rank| *rank as f64 >= share * last as f64);
        self.0[rank.unwrap_or(last)]
    }

    pub(crate) fn print(&mut self, what: &str) {
        let [half, most, nearly, all] = [0.5, 0.9, 0.99, 1.0].map(|share| self.quantile(share));
        println!(
            "{what}: {} times, p50 {half:.0?}, p90 {most:.0?}, p99 {nearly:.0?}, max {all:.0?}",
            self.0.len()
        );
    }
}

//! A loan-scoring service, played from a seed: the stream of `pegel demo`.
//!
//! Applications arrive with a daily rhythm; amounts and incomes are log-normal, one field is often null, and the model's score follows from the rest. After
//! a while the upstream breaks in ways people know: amounts arrive in cents, a new country appears, nulls double, the score collapses; later it recovers.
//! Everything follows from the seed and the event time, so that a run can be repeated.

use std::f64::consts::TAU;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Exp1, LogNormal, Normal};
use serde::Serialize;

use crate::model::EventTime;

/// The monitored fields, in the order people like to read them.
pub const FEATURES: [&str; 7] = [
    "amount",
    "income",
    "age",
    "country",
    "channel",
    "employment_months",
    "score",
];

/// How the upstream is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// All is well.
    Healthy,
    /// Cents, a new country, twice the nulls, a collapsed score.
    Broken,
}

/// One application and the model's answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Application {
    /// Event time, milliseconds since the epoch.
    pub ts: i64,
    /// Always `loans-v7`.
    pub model: &'static str,
    /// Euro; cents when broken.
    pub amount: f64,
    /// Euro per month.
    pub income: f64,
    /// Years.
    pub age: u32,
    /// ISO code.
    pub country: &'static str,
    /// Where the application came from.
    pub channel: &'static str,
    /// Often unknown.
    pub employment_months: Option<u32>,
    /// Probability of repayment, 0..=1.
    pub score: f64,
}

/// The service.
#[derive(Debug, Clone)]
pub struct LoanService {
    random: ChaCha8Rng,
    amount: LogNormal<f64>,
    income: LogNormal<f64>,
    age: Normal<f64>,
    noise: Normal<f64>,
}

impl LoanService {
    /// A service whose every application follows from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        LoanService {
            random: ChaCha8Rng::seed_from_u64(seed),
            amount: LogNormal::new(8.7, 0.6).expect("a finite, positive deviation"),
            income: LogNormal::new(7.9, 0.4).expect("a finite, positive deviation"),
            age: Normal::new(41.0, 12.0).expect("a finite, positive deviation"),
            noise: Normal::new(0.0, 0.08).expect("a finite, positive deviation"),
        }
    }

    /// Applications per second of event time at this time of day, around `mean`: a fifth more in the afternoon, a fifth less at night.
    #[must_use]
    pub fn rate(at: EventTime, mean: f64) -> f64 {
        let day = 24.0 * 3600.0;
        let share = (at.as_secs_f64() % day) / day;
        mean * (1.0 + 0.2 * (TAU * (share - 0.375)).sin())
    }

    /// Seconds of event time until the next application at this rate per second.
    pub fn pause_secs(&mut self, rate: f64) -> f64 {
        let draw: f64 = Exp1.sample(&mut self.random);
        draw / rate
    }

    /// The application that arrives at this time.
    pub fn next(&mut self, at: EventTime, phase: Phase) -> Application {
        let is_broken = phase == Phase::Broken;
        let amount = (self.amount.sample(&mut self.random) / 50.0).round() * 50.0;
        let income = self.income.sample(&mut self.random).round();
        let age = self.age.sample(&mut self.random).clamp(18.0, 85.0);
        let null_share = if is_broken { 0.30 } else { 0.15 };
        let months = self.random.random_range(0..240);
        let employment_months = (!self.random.random_bool(null_share)).then_some(months);
        let (country, channel) = (self.country(is_broken), self.channel());
        let score = self.score(amount, income, is_broken);
        Application {
            ts: at.as_millis(),
            model: "loans-v7",
            amount: if is_broken { amount * 100.0 } else { amount },
            income,
            age: whole_years(age),
            country,
            channel,
            employment_months,
            score,
        }
    }

    fn score(&mut self, amount: f64, income: f64, is_broken: bool) -> f64 {
        let noise = self.noise.sample(&mut self.random);
        if is_broken {
            // The model sees cents and is sure that nobody can repay.
            return (0.02 + noise.abs() / 4.0).clamp(0.0, 1.0);
        }
        let burden = amount / (income * 12.0);
        (1.0 / (1.0 + (2.0 * burden - 1.2).exp()) + noise).clamp(0.0, 1.0)
    }

    fn country(&mut self, is_broken: bool) -> &'static str {
        let new = if is_broken { 0.12 } else { 0.0 };
        match self.random.random::<f64>() {
            x if x < new => "XK",
            x if x < 0.50 => "DE",
            x if x < 0.72 => "FR",
            x if x < 0.86 => "NL",
            x if x < 0.95 => "AT",
            _ => "LU",
        }
    }

    fn channel(&mut self) -> &'static str {
        match self.random.random::<f64>() {
            x if x < 0.55 => "app",
            x if x < 0.85 => "web",
            _ => "branch",
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 18 and 85"
)]
fn whole_years(age: f64) -> u32 {
    age as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applications(seed: u64, phase: Phase) -> Vec<Application> {
        let mut service = LoanService::new(seed);
        (0..4000)
            .map(|i| service.next(EventTime::from_millis(i), phase))
            .collect()
    }

    #[test]
    fn the_same_seed_plays_the_same_stream() {
        assert_eq!(
            applications(7, Phase::Healthy),
            applications(7, Phase::Healthy),
            "repeatable"
        );
        assert_ne!(
            applications(7, Phase::Healthy),
            applications(8, Phase::Healthy),
            "seeded"
        );
    }

    #[test]
    fn a_broken_upstream_differs_as_told() {
        let (healthy, broken) = (
            applications(1, Phase::Healthy),
            applications(1, Phase::Broken),
        );
        let share = |all: &[Application], is: fn(&Application) -> bool| {
            all.iter().filter(|one| is(one)).count() as f64 / all.len() as f64
        };
        assert!(
            healthy.iter().all(|one| one.country != "XK"),
            "no new country before"
        );
        assert!(
            (share(&broken, |one| one.country == "XK") - 0.12).abs() < 0.02,
            "then one in eight"
        );
        let nulls = |all: &[Application]| share(all, |one| one.employment_months.is_none());
        assert!(
            (nulls(&broken) / nulls(&healthy) - 2.0).abs() < 0.25,
            "nulls double"
        );
        assert!(
            share(&broken, |one| one.score < 0.2) > 0.99,
            "the score collapses"
        );
    }

    #[test]
    fn the_day_has_a_rhythm() {
        let at = |hour: i64| LoanService::rate(EventTime::from_millis(hour * 3_600_000), 100.0);
        assert!(
            (at(15) - 120.0).abs() < 1e-6 && (at(3) - 80.0).abs() < 1e-6,
            "{} {}",
            at(15),
            at(3)
        );
    }
}

//! A simulated loan-scoring service: the stream of `pegel demo`.
//!
//! Applications arrive with a daily rhythm. Amounts and incomes are log-normal, one field is often
//! null, and the score of the model depends on amount and income. A broken upstream shows typical
//! incidents: amounts in cents, a new country, twice as many nulls, a collapsed score.
//!
//! The stream depends only on the seed and the event times, so a run can be repeated.

use std::f64::consts::TAU;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Exp1, LogNormal, Normal};
use serde::Serialize;

use crate::model::EventTime;

/// The monitored fields in display order.
pub const FEATURES: [&str; 7] = [
    "amount",
    "income",
    "age",
    "country",
    "channel",
    "employment_months",
    "score",
];

/// The state of the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Applications are as in the reference.
    Healthy,
    /// Amounts in cents, a new country, twice the nulls, a collapsed score.
    Broken,
}

/// One application with the score of the model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Application {
    /// Event time, milliseconds since the epoch.
    pub ts: i64,
    /// Name of the model, always `loans-v7`.
    pub model: &'static str,
    /// Requested amount in euro, in cents while the upstream is broken.
    pub amount: f64,
    /// Income in euro per month.
    pub income: f64,
    /// Age in years.
    pub age: u32,
    /// ISO 3166 code of the country.
    pub country: &'static str,
    /// Sales channel of the application.
    pub channel: &'static str,
    /// Months in the current job, often null.
    pub employment_months: Option<u32>,
    /// Predicted probability of repayment, 0 to 1.
    pub score: f64,
}

/// Generates applications from a seeded random number generator.
#[derive(Debug, Clone)]
pub struct LoanService {
    random: ChaCha8Rng,
    amount: LogNormal<f64>,
    income: LogNormal<f64>,
    age: Normal<f64>,
    noise: Normal<f64>,
}

impl LoanService {
    /// Creates a service; equal seeds generate equal streams.
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

    /// Returns the applications per second of event time at a time of day.
    ///
    /// `mean * (1 + 0.2 sin(2 pi (t - 9 h) / 24 h))`: the rate is `1.2 mean` at 15:00 UTC and
    /// `0.8 mean` at 03:00 UTC.
    #[must_use]
    pub fn rate(at: EventTime, mean: f64) -> f64 {
        let day = 24.0 * 3600.0;
        let share = (at.as_secs_f64() % day) / day;
        mean * (1.0 + 0.2 * (TAU * (share - 0.375)).sin())
    }

    /// Draws the seconds until the next application: exponential with mean `1 / rate`.
    pub fn pause_secs(&mut self, rate: f64) -> f64 {
        let draw: f64 = Exp1.sample(&mut self.random);
        draw / rate
    }

    /// Generates the application that arrives at a time.
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
            // The model reads cents as euro and predicts that nobody repays.
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
    fn equal_seeds_generate_equal_streams() {
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
    fn a_broken_upstream_shows_each_incident() {
        let (healthy, broken) = (
            applications(1, Phase::Healthy),
            applications(1, Phase::Broken),
        );
        let share = |applications: &[Application], matches: fn(&Application) -> bool| {
            applications.iter().filter(|row| matches(row)).count() as f64
                / applications.len() as f64
        };
        assert!(
            healthy.iter().all(|row| row.country != "XK"),
            "no new country before"
        );
        assert!(
            (share(&broken, |row| row.country == "XK") - 0.12).abs() < 0.02,
            "then one in eight"
        );
        let nulls = |rows: &[Application]| share(rows, |row| row.employment_months.is_none());
        assert!(
            (nulls(&broken) / nulls(&healthy) - 2.0).abs() < 0.25,
            "nulls double"
        );
        assert!(
            share(&broken, |row| row.score < 0.2) > 0.99,
            "the score collapses"
        );
    }

    #[test]
    fn the_rate_peaks_in_the_afternoon_and_is_lowest_at_night() {
        let at = |hour: i64| LoanService::rate(EventTime::from_millis(hour * 3_600_000), 100.0);
        assert!(
            (at(15) - 120.0).abs() < 1e-6 && (at(3) - 80.0).abs() < 1e-6,
            "{} {}",
            at(15),
            at(3)
        );
    }
}

//! The script of the demo: the topic, the phases of the upstream, the reference and the
//! configuration.
//!
//! Phases follow the clock of the generator and repeat every five minutes, so the demo can be
//! watched for longer than one incident.

use std::path::Path;
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::loans::{Application, FEATURES, LoanService, Phase};
use crate::clock;
use crate::config::{self, Config, Overrides, Problems};
use crate::model::{EventTime, Kind};
use crate::reference::{Column, FitError, FitOptions, Reference, fit};

pub(crate) const TOPIC: &str = "loans.scored";
pub(crate) const PARTITIONS: i32 = 4;
/// Mean number of applications per second of the generator's clock.
pub(crate) const APPLICATIONS_PER_SECOND: f64 = 100.0;
/// Number of healthy applications that the reference is fitted on.
pub(crate) const REFERENCE_ROWS: i64 = 20_000;

/// Begin of the broken phase within a period.
const BREAKS_AT: Duration = Duration::from_secs(60);
/// End of the broken phase within a period.
const RECOVERS_AT: Duration = Duration::from_secs(150);
/// Time after which the phases repeat.
const PERIOD: Duration = Duration::from_secs(300);

/// Returns the phase of the upstream after `elapsed` on the generator's clock.
pub(crate) fn phase_at(elapsed: Duration) -> Phase {
    let since_period_start =
        Duration::from_nanos(u64::try_from(elapsed.as_nanos() % PERIOD.as_nanos()).unwrap_or(0));
    if (BREAKS_AT..RECOVERS_AT).contains(&since_period_start) {
        Phase::Broken
    } else {
        Phase::Healthy
    }
}

/// Fits the reference on healthy applications.
///
/// Its seed differs from the stream's, so the reference does not contain the very same values.
///
/// # Errors
/// A feature cannot be fitted.
pub(crate) fn reference(seed: u64) -> Result<Reference, FitError> {
    let mut service = LoanService::new(seed ^ 0x5eed);
    let rows: Vec<Application> = (0..REFERENCE_ROWS)
        .map(|i| service.next(EventTime::from_millis(i), Phase::Healthy))
        .collect();
    let features = FEATURES
        .into_iter()
        .map(|name| {
            let (kind, column) = match name {
                "amount" => (Kind::Numeric, numbers(&rows, |row| Some(row.amount))),
                "income" => (Kind::Numeric, numbers(&rows, |row| Some(row.income))),
                "age" => (
                    Kind::Numeric,
                    numbers(&rows, |row| Some(f64::from(row.age))),
                ),
                "employment_months" => (
                    Kind::Numeric,
                    numbers(&rows, |row| row.employment_months.map(f64::from)),
                ),
                "score" => (Kind::Numeric, numbers(&rows, |row| Some(row.score))),
                "country" => (Kind::Categorical, categories(&rows, |row| row.country)),
                _ => (Kind::Categorical, categories(&rows, |row| row.channel)),
            };
            fit(name, kind, column, &FitOptions::default())
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Reference::new(clock::now(), rows.len() as u64, features))
}

fn numbers(rows: &[Application], field: fn(&Application) -> Option<f64>) -> Column {
    let mut column = Column {
        numbers: rows.iter().filter_map(field).collect(),
        ..Column::default()
    };
    column.tallies.missing[0] = (rows.len() - column.numbers.len()) as u64;
    column
}

fn categories(rows: &[Application], field: fn(&Application) -> &'static str) -> Column {
    let mut categories: FxHashMap<Box<str>, u64> = FxHashMap::default();
    for row in rows {
        *categories.entry(field(row).into()).or_default() += 1;
    }
    Column {
        categories,
        ..Column::default()
    }
}

/// Returns the configuration of the demo's daemon.
///
/// # Errors
/// The text is not a valid configuration, for example because of `listen`.
pub(crate) fn config(brokers: &str, reference: &Path, listen: &str) -> Result<Config, Problems> {
    let brokers: Vec<&str> = brokers.split(',').collect();
    let text = format!(
        "version: 1
web: {{listen_address: {listen:?}}}
state: {{flush_interval: 200ms}}
sources:
  loans: {{kafka: {{brokers: {brokers:?}, topics: [{TOPIC}], start: earliest}}}}
monitors:
  - name: loans
    source: loans
    select: {{where: {{path: /model, equals: loans-v7}}}}
    timestamp: {{path: /ts}}
    windows: [{{name: 1m, size: 1m, slide: 5s, min_samples: 500}}]
    reference: {{file: {reference:?}}}
    lateness: {{out_of_orderness: 2s, idle_after: 5s, max_future: 1year}}
    statistics: [js, kl, wasserstein, wasserstein_normalized]
    features: [{{name: score, role: prediction}}]
    features_from: reference
    alerts:
      - {{statistic: js, warning: 0.05, critical: 0.1, for: 2, keep_firing_for: 1}}
      - {{statistic: wasserstein_normalized, critical: 0.5, for: 2, keep_firing_for: 1}}
      - {{statistic: missing_ratio, critical: 0.22, for: 2, keep_firing_for: 1, features: [employment_months]}}
      - {{statistic: unseen_ratio, critical: 0.02, for: 2, keep_firing_for: 1, features: [country]}}
"
    );
    let mut config = config::parse(Path::new("/demo.yaml"), &text, &Overrides::default())?;
    // The embedded broker keeps nothing after the demo, so a saved state would be of no use.
    config.state.path = None;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upstream_breaks_after_a_minute_and_recovers() {
        let check = |second: u64, phase: Phase| {
            assert_eq!(
                phase_at(Duration::from_secs(second)),
                phase,
                "at {second} s"
            )
        };
        check(0, Phase::Healthy);
        check(59, Phase::Healthy);
        check(60, Phase::Broken);
        check(149, Phase::Broken);
        check(150, Phase::Healthy);
        check(360, Phase::Broken);
    }

    #[test]
    fn the_configuration_of_the_demo_is_valid() {
        let config = config(
            "127.0.0.1:1,127.0.0.1:2",
            Path::new("/tmp/a b.json"),
            "127.0.0.1:0",
        )
        .unwrap();
        assert_eq!(config.sources[0].kafka.brokers.len(), 2, "brokers");
    }
}

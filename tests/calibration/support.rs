//! References and windows made at random, and work spread over the cores.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pegel::calibration::NullModel;
use pegel::model::Kind;
use pegel::reference::{Column, FeatureReference, FitOptions, fit};
use pegel::score::Scorer;
use pegel::stats::{FeatureCounts, Layout};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Whether the whole grid was asked for.
pub(crate) fn is_full() -> bool {
    std::env::var("PEGEL_TEST_FULL").is_ok_and(|value| value == "1")
}

pub(crate) fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// A numeric reference of `bins` equal-mass bins.
pub(crate) fn numeric(values: Vec<f64>, bins: usize) -> Arc<FeatureReference> {
    let options = FitOptions {
        bins: Some(pegel::model::BinsSpec::Count(bins)),
        ..FitOptions::default()
    };
    let column = Column {
        numbers: values,
        ..Column::default()
    };
    Arc::new(fit("x", Kind::Numeric, column, &options).unwrap())
}

/// A categorical reference; categories are numbers.
pub(crate) fn categorical(values: &[u64]) -> Arc<FeatureReference> {
    let mut column = Column::default();
    for value in values {
        *column
            .categories
            .entry(value.to_string().into())
            .or_default() += 1;
    }
    Arc::new(fit("x", Kind::Categorical, column, &FitOptions::default()).unwrap())
}

/// The calibration of a reference nothing is stored of.
pub(crate) fn calibration(reference: &Arc<FeatureReference>, seed: u64) -> NullModel {
    let scorer = Scorer::new(Arc::clone(reference), 0.5);
    NullModel::new(scorer, &format!("{seed}"), None)
}

/// The counts of numbers.
pub(crate) fn count_numbers(
    reference: &FeatureReference,
    values: impl IntoIterator<Item = f64>,
) -> FeatureCounts {
    let mut counts = FeatureCounts::new(&reference.layout);
    let layout = reference.layout.numeric().unwrap();
    values
        .into_iter()
        .for_each(|x| counts.record_number(layout, x));
    counts
}

/// The counts of categories that are numbers.
pub(crate) fn count_categories(
    reference: &FeatureReference,
    values: impl IntoIterator<Item = u64>,
) -> FeatureCounts {
    let mut counts = FeatureCounts::new(&reference.layout);
    let Layout::Categorical(layout) = reference.layout.as_ref() else {
        panic!("categories")
    };
    for value in values {
        counts.record_category(layout, &value.to_string());
    }
    counts
}

/// Runs `work` for `0..count` on all cores; the results are in order.
pub(crate) fn parallel<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let mut found: Vec<(usize, T)> = std::thread::scope(|scope| {
        let run = || {
            let mut own = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= count {
                    return own;
                }
                own.push((index, work(index)));
            }
        };
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(run)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    found.sort_by_key(|(index, _)| *index);
    found.into_iter().map(|(_, result)| result).collect()
}

//! The cost of one value, one record and one evaluation: `cargo bench --bench hot_path`.
//!
//! Times are those of the thread on a processor, so other work on the machine does not count.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark fails by panicking and counts little"
)]

mod judging;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pegel::decode::{Decoder, Paths, number};
use pegel::model::{Kind, Pointer};
use pegel::panes::Frame;
use pegel::reference::{Column, FitOptions, fit};
use pegel::score::Scorer;
use pegel::stats::FeatureCounts;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Normal};

/// Measures the processor time of this thread for so many repetitions.
fn cpu_time<T>(repetitions: u64, mut work: impl FnMut() -> T) -> Duration {
    let before = cpu();
    for _ in 0..repetitions {
        black_box(work());
    }
    cpu() - before
}

/// Time of this thread on a processor.
fn cpu() -> Duration {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds = schedule.split(' ').next().and_then(|ns| ns.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap())
}

fn normal(seed: u64, mean: f64, count: usize) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let normal = Normal::new(mean, 3.0).unwrap();
    (0..count).map(|_| normal.sample(&mut random)).collect()
}

fn values(criterion: &mut Criterion) {
    let column = Column {
        numbers: normal(1, 10.0, 100_000),
        ..Column::default()
    };
    let reference = Arc::new(fit("x", Kind::Numeric, column, &FitOptions::default()).unwrap());
    let layout = reference.layout.numeric().unwrap();
    let xs = normal(2, 10.5, 65_536);
    let mut frame = Frame::new([Some(&*reference.layout)].into_iter());
    let mut group = criterion.benchmark_group("value");
    group.throughput(Throughput::Elements(xs.len() as u64));
    group.bench_function("insert (bin, cell and sum), one feature", |bencher| {
        bencher.iter_custom(|repetitions| {
            cpu_time(repetitions, || {
                xs.iter()
                    .for_each(|x| frame.record_number(0, layout, black_box(*x)));
            })
        });
    });
    group.finish();
    let mut window = FeatureCounts::new(&reference.layout);
    xs.iter()
        .take(10_000)
        .for_each(|x| window.record_number(layout, *x));
    let scorer = Scorer::new(Arc::clone(&reference), 0.5);
    criterion.bench_function("score one feature-window, all statistics", |bencher| {
        bencher.iter_custom(|repetitions| {
            cpu_time(repetitions, || {
                scorer.evaluate(black_box(&window), 1).unwrap()
            })
        });
    });
}

/// Inserts record by record, as a stream does: one value of each feature after the other. The
/// features have different layouts, so the memory of all of them is in use.
fn values_of_many_features(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("value");
    for features in [100, 1_000] {
        let layouts: Vec<_> = (0..features)
            .map(|feature| {
                let numbers = normal(feature, 10.0, 5_000)
                    .into_iter()
                    .map(|x| if feature % 3 == 0 { x.exp2() } else { x })
                    .collect();
                let column = Column {
                    numbers,
                    ..Column::default()
                };
                let reference = fit("x", Kind::Numeric, column, &FitOptions::default());
                reference.unwrap().layout
            })
            .collect();
        let mut frame = Frame::new(layouts.iter().map(|layout| Some(&**layout)));
        let numeric: Vec<_> = layouts
            .iter()
            .map(|layout| layout.numeric().unwrap())
            .collect();
        let records: Vec<Vec<f64>> = (0..65)
            .map(|record| {
                normal(1_000 + record, 10.5, layouts.len())
                    .into_iter()
                    .enumerate()
                    .map(|(feature, x)| if feature % 3 == 0 { x.exp2() } else { x })
                    .collect()
            })
            .collect();
        group.throughput(Throughput::Elements(records.len() as u64 * features));
        group.bench_function(format!("insert, {features} features"), |bencher| {
            bencher.iter_custom(|repetitions| {
                cpu_time(repetitions, || {
                    for record in &records {
                        for (feature, (layout, x)) in numeric.iter().zip(record).enumerate() {
                            frame.record_number(feature, layout, black_box(*x));
                        }
                    }
                })
            });
        });
    }
    group.finish();
}

fn records(criterion: &mut Criterion) {
    let names: Vec<String> = (0..20).map(|i| format!("feature_{i:02}")).collect();
    let floats = names
        .iter()
        .zip(normal(3, 10.0, 20))
        .map(|(name, x)| format!("\"{name}\":{x:.6}"));
    let texts = (0..5).map(|i| format!("\"text_{i}\":\"some value {i}\""));
    let record = format!(
        "{{\"id\":123456789,\"ts\":1793491200000,{}}}",
        floats.chain(texts).collect::<Vec<_>>().join(",")
    );
    let mut paths = Paths::new();
    for name in names.iter().take(10) {
        paths.add(&Pointer::default().child(name), None);
    }
    let mut decoder = Decoder::new(&paths);
    let mut group = criterion.benchmark_group("record");
    group.throughput(Throughput::Bytes(record.len() as u64));
    group.bench_function("decode 10 of 27 fields", |bencher| {
        bencher.iter_custom(|repetitions| {
            cpu_time(repetitions, || {
                let fields = decoder.json(black_box(record.as_bytes())).unwrap();
                black_box(number(fields.slots[9], fields.scratch));
            })
        });
    });
    group.finish();
}

criterion_group!(
    benches,
    values,
    values_of_many_features,
    records,
    judging::judging
);
criterion_main!(benches);

//! The cost of one value, one record and one evaluation: `cargo bench --bench hot_path`.
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::sync::Arc;

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
    group.bench_function("insert (bin, cell and sum)", |bencher| {
        bencher.iter(|| {
            xs.iter()
                .for_each(|x| frame.record_number(0, layout, black_box(*x)))
        });
    });
    group.finish();
    let mut window = FeatureCounts::new(&reference.layout);
    xs.iter()
        .take(10_000)
        .for_each(|x| window.record_number(layout, *x));
    let scorer = Scorer::new(Arc::clone(&reference), 0.5);
    criterion.bench_function("score one feature-window, all statistics", |bencher| {
        bencher.iter(|| scorer.evaluate(black_box(&window), 1).unwrap());
    });
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
        bencher.iter(|| {
            let fields = decoder.json(black_box(record.as_bytes())).unwrap();
            number(fields.slots[9], fields.scratch)
        });
    });
    group.finish();
}

criterion_group!(benches, values, records);
criterion_main!(benches);

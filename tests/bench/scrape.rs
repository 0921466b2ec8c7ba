//! The cost of 20,000 series: `cargo bench --bench scrape`.
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use pegel::batch::replay::{Input, replay};
use pegel::engine::{EngineView, MonitorPlan};
use pegel::export::Exporter;
use pegel::model::{
    EventTime, FeatureSpec, Kind, MonitorSpec, Pointer, ReferenceSpec, Statistic, WindowSpec,
};
use pegel::reference::{Column, FitOptions, Reference, fit};
use pegel::source::files::DataFile;

const FEATURES: usize = 620;

/// A view of 620 features, two windows and all series: about 20,000 series.
fn snapshot() -> EngineView {
    let names: Vec<String> = (0..FEATURES).map(|i| format!("feature_{i:04}")).collect();
    let minute = std::time::Duration::from_secs(60);
    let mut spec = MonitorSpec::bare();
    spec.timestamp.path = Pointer::parse("/ts");
    spec.features = names
        .iter()
        .map(|name| FeatureSpec::new(name, Kind::Numeric))
        .collect();
    spec.references = vec![ReferenceSpec::fitted("training", "none")];
    spec.statistics = Statistic::ALL
        .iter()
        .copied()
        .filter(|statistic| !statistic.is_rate())
        .take(5)
        .collect();
    let window = |name: &str, panes: u32| WindowSpec {
        name: name.to_owned(),
        size: minute * panes,
        slide: minute,
        min_samples: 1,
    };
    spec.windows = vec![window("1m", 1), window("2m", 2)];
    let column = Column {
        numbers: (0..1000).map(f64::from).collect(),
        ..Column::default()
    };
    let fitted = names
        .iter()
        .map(|name| fit(name, Kind::Numeric, column.clone(), &FitOptions::default()).unwrap());
    let reference = Reference::new(EventTime::from_millis(0), 1000, fitted.collect());
    let mut text = String::new();
    for i in 0..200 {
        let values: Vec<String> = names
            .iter()
            .map(|name| format!("\"{name}\":{}", i * 5))
            .collect();
        writeln!(
            text,
            "{{\"ts\":{},{}}}",
            1_793_491_200_000_i64 + i * 1000,
            values.join(",")
        )
        .unwrap();
    }
    let mut file = tempfile::Builder::new()
        .suffix(".ndjson")
        .tempfile()
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let data = DataFile::open(file.path().to_str().unwrap()).unwrap();
    let plan = MonitorPlan::new(spec, vec![Ok(Arc::new(reference))]);
    let replayed = replay(&Input::File(data), vec![plan], &mut |_, _| ()).unwrap();
    EngineView {
        generation: 1,
        monitors: replayed.monitors,
        sources: Vec::new(),
    }
}

fn scrapes(criterion: &mut Criterion) {
    let mut snapshot = snapshot();
    let exporter = Exporter::new(["s"].into_iter(), 50_000);
    exporter.publish(snapshot.clone());
    let text = exporter.scrape(false);
    let series = text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.starts_with(b"#"))
        .count();
    println!("{series} lines, {} bytes", text.len());
    criterion.bench_function(
        "publish after an evaluation (drift and counts blocks)",
        |bencher| {
            bencher.iter(|| {
                snapshot.generation += 1;
                exporter.publish(snapshot.clone());
            });
        },
    );
    criterion.bench_function("scrape, text", |bencher| {
        bencher.iter(|| exporter.scrape(false))
    });
    criterion.bench_function("scrape, gzip", |bencher| {
        bencher.iter(|| exporter.scrape(true))
    });
}

criterion_group!(benches, scrapes);
criterion_main!(benches);

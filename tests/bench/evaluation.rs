//! The cost of evaluating a window, by the number of its panes: `cargo bench --bench evaluation`.
//!
//! One monitor of a hundred numeric features in a window that slides by a minute, against a fixed
//! reference. A pane has a hundred values of each feature. Only the evaluation is measured, not the
//! counting of the commit before it. The sum of the panes is measured alone as well: all of them
//! added again, and as it slides.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark fails by panicking and reads clocks"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pegel::engine::{Engine, MonitorPlan};
use pegel::model::{EventTime, FeatureSpec, Kind, MonitorSpec, ReferenceSpec, Shard, WindowSpec};
use pegel::panes::{
    Claim, Commit, CommitSchema, Frame, MonitorCommit, MonitorSchema, PaneDelta, RecordCounts,
};
use pegel::reference::{Column, FitOptions, Reference, fit};
use pegel::stats::{DurationHistogram, FeatureCounts};
use pegel::window::{Ring, SlidingSum};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Normal};

const FEATURES: usize = 100;
const VALUES: usize = 100;
const MINUTE: Duration = Duration::from_secs(60);

fn normal(seed: u64, count: usize) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let normal = Normal::new(10.0, 3.0).unwrap();
    (0..count).map(|_| normal.sample(&mut random)).collect()
}

fn at(minute: i64) -> EventTime {
    EventTime::from_millis(minute * 60_000)
}

fn plan(panes: u32) -> MonitorPlan {
    let names: Vec<String> = (0..FEATURES).map(|i| format!("x{i}")).collect();
    let mut spec = MonitorSpec::bare();
    spec.features = names
        .iter()
        .map(|name| FeatureSpec::new(name, Kind::Numeric))
        .collect();
    spec.windows = vec![WindowSpec {
        name: "window".to_owned(),
        size: MINUTE * panes,
        slide: MINUTE,
        min_samples: 1,
    }];
    spec.references = vec![ReferenceSpec::fitted("training", "none")];
    spec.lateness.out_of_orderness = Duration::ZERO;
    let features = names
        .iter()
        .map(|name| {
            let column = Column {
                numbers: normal(1, 10_000),
                ..Column::default()
            };
            fit(name, Kind::Numeric, column, &FitOptions::default()).unwrap()
        })
        .collect();
    let reference = Reference::new(at(0), 10_000, features);
    MonitorPlan::new(spec, vec![Ok(Arc::new(reference))])
}

/// One shard that commits minute by minute.
struct Stream {
    plan: MonitorPlan,
    schema: Arc<CommitSchema>,
    shard: Arc<Shard>,
    minute: i64,
}

impl Stream {
    fn new(plan: MonitorPlan) -> Self {
        let schema = CommitSchema {
            monitors: vec![MonitorSchema {
                id: plan.id,
                features: plan.features.iter().map(|feature| feature.id).collect(),
            }],
        };
        let shard = Shard {
            source: plan.spec.source.clone(),
            cluster: "c".to_owned(),
            topic: "t".to_owned(),
            partition: 0,
            incarnation: 0,
        };
        Stream {
            plan,
            schema: Arc::new(schema),
            shard: Arc::new(shard),
            minute: 0,
        }
    }

    /// The commit of the next minute.
    fn next(&mut self) -> Commit {
        let minute = self.minute;
        self.minute += 1;
        let layouts = self
            .plan
            .features
            .iter()
            .map(|feature| feature.layout.as_deref());
        let mut frame = Frame::new(layouts);
        let values = normal(minute.unsigned_abs(), VALUES);
        for (index, feature) in self.plan.features.iter().enumerate() {
            let layout = feature.layout.as_deref().unwrap().numeric().unwrap();
            for value in &values {
                frame.record_number(index, layout, *value);
            }
        }
        let events = VALUES as u64;
        let newest = at(minute + 1).minus(Duration::from_millis(1));
        let base = minute * 100;
        Commit {
            opens: base == 0,
            upto: base + 100,
            written_at: Some(at(minute + 1)),
            source_shards: 1,
            offsets_lost: 0,
            counted: Arc::clone(&self.schema),
            records: RecordCounts {
                decoded: events,
                ..RecordCounts::default()
            },
            monitors: vec![MonitorCommit {
                monitor: 0,
                newest_event_time: Some(newest),
                newest_arrived_at: Some(at(minute + 1)),
                is_arrival_of_writer: false,
                first_event_time: Some(at(minute)),
                max_event_time: Some(newest),
                events,
                events_late: 0,
                dropped: [0; 5],
                delays: DurationHistogram::default(),
                panes: vec![PaneDelta {
                    start: at(minute),
                    events,
                    features: frame.take().features,
                }],
            }],
            ..Commit::unreadable(Claim {
                shard: Arc::clone(&self.shard),
                topic_id: None,
                base,
                upto: base,
                opens: false,
                newest: Vec::new(),
            })
        }
    }
}

/// Counts the next minute and returns the time that the evaluation took.
fn evaluate(engine: &mut Engine, stream: &mut Stream) -> Duration {
    engine.apply(&stream.next()).unwrap();
    let started_at = Instant::now();
    let evaluations = engine.advance(0, &mut |_, _| ());
    let took = started_at.elapsed();
    assert!(evaluations <= 1, "one window a minute");
    took
}

/// Moves a sum on by a minute again and again, and measures only that.
fn measure_sums(
    iterations: u64,
    (ring, stream): (&mut Ring, &mut Stream),
    size: Duration,
    mut sum: impl FnMut(&Ring, (EventTime, EventTime), usize),
) -> Duration {
    let features: Vec<Option<usize>> = (0..FEATURES).map(Some).collect();
    let mut took = Duration::ZERO;
    for _ in 0..iterations {
        let pane = stream.next().monitors.remove(0).panes.remove(0);
        assert!(ring.add(&pane, &features), "kept");
        let end = pane.start.plus(MINUTE);
        let started_at = Instant::now();
        for feature in 0..FEATURES {
            sum(ring, (end.minus(size), end), feature);
        }
        took += started_at.elapsed();
        // A pane behind the window leaves the sliding sums before the ring drops it.
        ring.expire(end.minus(size + MINUTE));
    }
    took
}

fn sums(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sum the panes of a feature");
    group.throughput(Throughput::Elements(FEATURES as u64));
    for panes in [15, 1440] {
        let plan = plan(panes);
        let layout = plan.features[0].layout.clone().unwrap();
        let (mut ring, mut stream) = (Ring::new(MINUTE), Stream::new(plan));
        let size = MINUTE * panes;
        measure_sums(
            u64::from(panes),
            (&mut ring, &mut stream),
            size,
            |_, _, _| (),
        );
        group.bench_function(BenchmarkId::new("all", panes), |bencher| {
            bencher.iter_custom(|iterations| {
                let state = (&mut ring, &mut stream);
                measure_sums(iterations, state, size, |ring, (start, end), feature| {
                    let mut counts = FeatureCounts::new(&layout);
                    for (_, pane) in ring.range(start, end) {
                        pane[feature].add_to(&mut counts);
                    }
                    black_box(counts);
                })
            });
        });
        let mut sums = vec![SlidingSum::default(); FEATURES];
        group.bench_function(BenchmarkId::new("sliding", panes), |bencher| {
            bencher.iter_custom(|iterations| {
                let state = (&mut ring, &mut stream);
                measure_sums(iterations, state, size, |ring, span, feature| {
                    sums[feature].slide(ring, feature, Some(&layout), span, |_| false);
                    black_box(sums[feature].counts(ring, feature));
                })
            });
        });
    }
    group.finish();
}

fn evaluations(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("evaluate a feature in a window");
    group.throughput(Throughput::Elements(FEATURES as u64));
    for panes in [15, 1440] {
        let plan = plan(panes);
        let mut engine = Engine::new(vec![plan.clone()]);
        let mut stream = Stream::new(plan);
        for _ in 0..panes + 5 {
            evaluate(&mut engine, &mut stream);
        }
        group.bench_function(BenchmarkId::new("panes", panes), |bencher| {
            bencher.iter_custom(|iterations| {
                (0..iterations)
                    .map(|_| evaluate(&mut engine, &mut stream))
                    .sum()
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = sums, evaluations
}
criterion_main!(benches);

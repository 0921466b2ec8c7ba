//! The cost of an evaluation per feature, window and reference.
//!
//! A thousand features in two windows, with the default alerts (budgeted `js`, `wasserstein` and
//! rates) and without any. The null tables are stored in the reference, as `pegel fit --config`
//! stores them. A fiftieth of the values is missing, so the features have different numbers of
//! values.

use std::sync::Arc;
use std::time::Duration;

use criterion::Criterion;
use pegel::calibration::{BlockSpec, NullModel, Panes, block_statistics};
use pegel::engine::{Engine, MonitorPlan};
use pegel::model::{
    AlertSpec, EventTime, FeatureSpec, Kind, MissingKind, MonitorSpec, ReferenceSpec, Shard,
    WindowSpec,
};
use pegel::panes::{
    Claim, Commit, CommitSchema, Frame, MonitorCommit, MonitorSchema, PaneDelta, RecordCounts,
};
use pegel::reference::{Column, FeatureCalibration, FeatureReference, FitOptions, Reference, fit};
use pegel::score::Scorer;
use pegel::stats::{FeatureCounts, Tallies};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::{cpu, normal};

const FEATURES: usize = 1_000;
/// Values and missing values of the reference.
const ROWS: usize = 40_000;
const MISSING: u64 = 800;
/// Events per pane.
const EVENTS: usize = 100;
const MINUTE: Duration = Duration::from_secs(60);
/// Panes with different counts, which are used again and again; no window holds all of them.
const VARIANTS: usize = 61;
/// Panes in each window.
const WINDOWS: [u32; 2] = [15, 60];
/// Evaluations before the measurement: after more than a day, a reference without time has a design
/// effect from the stream's history.
const WARM_UP: i64 = 1_600;
/// Evaluations that are measured together: within an hour each history is summarised once.
const HOUR: u32 = 60;

/// Registers the benchmarks.
pub(super) fn judging(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("evaluation per feature, window and reference");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(3));
    let fitted = feature();
    let untimed = stored(&fitted, false);
    let timed = stored(&fitted, true);
    for (name, alerts, calibration) in [
        ("without alerts", Vec::new(), &untimed),
        (
            "budgeted, reference without time",
            AlertSpec::defaults(),
            &untimed,
        ),
        (
            "budgeted, reference with time",
            AlertSpec::defaults(),
            &timed,
        ),
    ] {
        let mut stream = Stream::new(&fitted, alerts, calibration);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|evaluations| {
                let hour = |_| (0..HOUR).map(|_| stream.advance()).sum::<Duration>();
                let total: Duration = (0..evaluations).map(hour).sum();
                total / (HOUR * u32::try_from(FEATURES * WINDOWS.len()).unwrap())
            });
        });
    }
    group.finish();
}

/// The calibration of a feature: tables of the sizes that the windows have, and the statistics of
/// its blocks if its rows have times.
fn stored(fitted: &FeatureReference, is_timed: bool) -> FeatureCalibration {
    let scorer = Scorer::new(Arc::new(fitted.clone()), MonitorSpec::DEFAULT_PSEUDO_COUNT);
    let mut model = NullModel::new(scorer, "bench", None);
    for panes in WINDOWS {
        let events = u64::from(panes) * EVENTS as u64;
        (events * 9 / 10..=events)
            .step_by(50)
            .for_each(|n| model.prepare(n));
    }
    if is_timed {
        let layout = Arc::clone(&model.scorer().reference().layout);
        // The rows of the reference in the order of their times, a hundred per minute.
        let panes: Vec<FeatureCounts> = normal(1, 10.0, ROWS)
            .chunks(EVENTS)
            .map(|numbers| {
                let mut counts = FeatureCounts::new(&layout);
                for x in numbers {
                    counts.record_number(layout.numeric().unwrap(), *x);
                }
                counts.tallies.missing = [MISSING * EVENTS as u64 / ROWS as u64, 0, 0];
                counts
            })
            .collect();
        let panes = Panes {
            count: panes.len(),
            add: &|pane, counts| counts.merge(&panes[pane]),
            origin: pegel::model::EventTime::from_millis(0),
            hour: &|_| 0,
        };
        let blocks = WINDOWS
            .iter()
            .filter_map(|size| {
                let spec = BlockSpec {
                    window: MINUTE * *size,
                    panes: *size as usize,
                    min_samples: 1,
                };
                block_statistics(&model, &panes, &spec)
            })
            .collect();
        model.set_blocks(blocks);
    }
    model.to_stored()
}

fn feature() -> FeatureReference {
    let column = Column {
        numbers: normal(1, 10.0, ROWS),
        tallies: Tallies {
            missing: [MISSING, 0, 0],
            ..Tallies::default()
        },
        ..Column::default()
    };
    fit("x", Kind::Numeric, column, &FitOptions::default()).unwrap()
}

/// An engine, and its input minute by minute.
struct Stream {
    engine: Engine,
    panes: Vec<PaneDelta>,
    schema: Arc<CommitSchema>,
    minute: i64,
}

impl Stream {
    fn new(
        fitted: &FeatureReference,
        alerts: Vec<AlertSpec>,
        calibration: &FeatureCalibration,
    ) -> Self {
        let plan = plan(fitted, alerts, calibration);
        let schema = CommitSchema {
            monitors: vec![MonitorSchema {
                id: plan.id,
                features: plan.features.iter().map(|feature| feature.id).collect(),
            }],
        };
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let panes = (0..VARIANTS)
            .map(|variant| pane(&plan, variant, &mut random))
            .collect();
        let mut stream = Stream {
            engine: Engine::new(vec![plan]),
            panes,
            schema: Arc::new(schema),
            minute: 0,
        };
        while stream.minute < WARM_UP {
            stream.advance();
        }
        stream
    }

    /// Counts one minute and returns the time that the evaluations take.
    fn advance(&mut self) -> Duration {
        self.minute += 1;
        let commit = self.commit();
        self.engine.apply(&commit).unwrap();
        let before = cpu();
        let evaluated = self.engine.advance(0, &mut |_, _| ());
        let elapsed = cpu() - before;
        let is_warm = self.minute > i64::from(WINDOWS[1]) + 1;
        assert!(!is_warm || evaluated == WINDOWS.len() as u64, "{evaluated}");
        elapsed
    }

    fn commit(&self) -> Commit {
        let start = EventTime::from_millis(1_793_491_200_000 + self.minute * 60_000);
        let last = Some(start.plus(MINUTE - Duration::from_millis(1)));
        let base = (self.minute - 1) * EVENTS as i64;
        let mut pane = self.panes[self.minute as usize % VARIANTS].clone();
        pane.start = start;
        Commit {
            opens: base == 0,
            upto: base + EVENTS as i64,
            written_at: last,
            source_shards: 1,
            offsets_lost: 0,
            counted: Arc::clone(&self.schema),
            records: RecordCounts {
                decoded: EVENTS as u64,
                ..RecordCounts::default()
            },
            monitors: vec![MonitorCommit {
                newest_event_time: last,
                newest_arrived_at: last,
                first_event_time: Some(start),
                max_event_time: last,
                events: EVENTS as u64,
                panes: vec![pane],
                ..MonitorCommit::default()
            }],
            ..Commit::unreadable(Claim {
                shard: Arc::new(Shard {
                    source: "data".to_owned(),
                    cluster: "c".to_owned(),
                    topic: "t".to_owned(),
                    partition: 0,
                    incarnation: 0,
                }),
                topic_id: None,
                base,
                upto: base,
                opens: false,
                newest: Vec::new(),
            })
        }
    }
}

fn plan(
    fitted: &FeatureReference,
    alerts: Vec<AlertSpec>,
    calibration: &FeatureCalibration,
) -> MonitorPlan {
    let names: Vec<String> = (0..FEATURES).map(|i| format!("feature_{i:04}")).collect();
    let mut spec = MonitorSpec::bare();
    spec.features = names
        .iter()
        .map(|name| FeatureSpec::new(name, Kind::Numeric))
        .collect();
    spec.windows = WINDOWS
        .iter()
        .map(|panes| WindowSpec {
            name: format!("{panes}m"),
            size: MINUTE * *panes,
            slide: MINUTE,
            min_samples: 1,
        })
        .collect();
    spec.references = vec![ReferenceSpec::fitted("training", "none")];
    spec.lateness.out_of_orderness = Duration::ZERO;
    spec.alerts = alerts;
    let features = names
        .into_iter()
        .map(|name| FeatureReference {
            name,
            ..fitted.clone()
        })
        .collect();
    let mut reference = Reference::new(EventTime::from_millis(0), ROWS as u64, features);
    reference.calibration = vec![calibration.clone(); FEATURES];
    MonitorPlan::new(spec, vec![Ok(Arc::new(reference))])
}

fn pane(plan: &MonitorPlan, variant: usize, random: &mut ChaCha8Rng) -> PaneDelta {
    let layouts = plan
        .features
        .iter()
        .map(|feature| feature.layout.as_deref());
    let mut frame = Frame::new(layouts);
    (0..EVENTS).for_each(|_| frame.count_event());
    for (index, feature) in plan.features.iter().enumerate() {
        let layout = feature
            .layout
            .as_deref()
            .and_then(|layout| layout.numeric());
        for x in normal((variant * FEATURES + index) as u64, 10.0, EVENTS) {
            match random.random_bool(0.02) {
                true => frame.record_missing(index, MissingKind::ALL[0]),
                false => frame.record_number(index, layout.unwrap(), x),
            }
        }
    }
    frame.take()
}

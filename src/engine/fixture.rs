//! A monitor of one numeric feature `x` and its stream, for the tests of this room.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::engine::Engine;
use super::plan::{LoadedReference, MonitorPlan};
use super::view::{ComparisonView, WindowView};
use crate::model::{
    AlertSpec, BinsSpec, Budget, EventTime, FeatureSpec, Kind, MonitorSpec, Origin, ReferenceSpec,
    Rolling, Shard, Statistic, Thresholds, WindowSpec,
};
use crate::panes::{
    Claim, Commit, CommitSchema, FeatureDelta, MonitorCommit, MonitorSchema, PaneDelta,
    RecordCounts,
};
use crate::reference::{Column, FitOptions, HOURS, Profiles, Reference, fit};
use crate::stats::{CellRun, DurationHistogram, FeatureCounts, HeavyHitters, Layout};

pub(super) const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn at(minute: i64) -> EventTime {
    EventTime::from_millis(minute * 60_000)
}

/// A monitor of `x` in windows of five minutes, evaluated every minute, without lateness.
pub(super) fn spec(references: Vec<ReferenceSpec>) -> MonitorSpec {
    let mut spec = MonitorSpec::bare();
    spec.features = vec![FeatureSpec::new("x", Kind::Numeric)];
    spec.windows = vec![WindowSpec {
        name: "5m".to_owned(),
        size: MINUTE * 5,
        slide: MINUTE,
        min_samples: 1,
    }];
    spec.references = references;
    spec.lateness.out_of_orderness = Duration::ZERO;
    spec
}

pub(super) fn fixed() -> ReferenceSpec {
    ReferenceSpec::fitted("training", "none")
}

pub(super) fn previous() -> ReferenceSpec {
    ReferenceSpec {
        name: "previous".to_owned(),
        origin: Origin::Rolling(Rolling {
            period: None,
            delay: Duration::ZERO,
        }),
    }
}

pub(super) fn hour_of_week() -> ReferenceSpec {
    ReferenceSpec {
        name: "hour_of_week".to_owned(),
        origin: Origin::HourOfWeek("none".into()),
    }
}

/// An alert with one fixed critical threshold, which fires at once.
pub(super) fn fixed_alert(statistic: Statistic, critical: f64) -> AlertSpec {
    AlertSpec {
        statistic,
        thresholds: Thresholds {
            warning: None,
            critical: Some(critical),
        },
        budget: None,
        for_evaluations: 1,
        keep_firing_for: 0,
        features: None,
    }
}

/// An alert whose threshold follows from the default budget.
pub(super) fn budgeted_alert(statistic: Statistic) -> AlertSpec {
    AlertSpec {
        thresholds: Thresholds::default(),
        budget: Some(Budget::default()),
        ..fixed_alert(statistic, 0.0)
    }
}

/// 1,000 numbers 0..1000; by hour of the week, even hours hold 0..500 and odd hours 500..1000.
pub(super) fn reference(bins: Option<usize>) -> Arc<Reference> {
    let column = Column {
        numbers: (0..1000).map(f64::from).collect(),
        ..Column::default()
    };
    let options = FitOptions {
        bins: bins.map(BinsSpec::Count),
        ..FitOptions::default()
    };
    let feature = fit("x", Kind::Numeric, column, &options).unwrap();
    let hours = (0..HOURS)
        .map(|hour| {
            let low = if hour % 2 == 0 { 0 } else { 500 };
            count(&feature.layout, (low..low + 500).map(f64::from))
        })
        .collect();
    let profiles = Profiles {
        timezone: "UTC".to_owned(),
        features: vec![hours],
    };
    let reference = Reference::new(at(0), 1000, vec![feature]).with_profiles(profiles);
    Arc::new(reference)
}

/// The plan of a monitor whose files all hold [`reference()`] in so many bins.
pub(super) fn plan_in(spec: MonitorSpec, bins: Option<usize>) -> MonitorPlan {
    let files: Vec<LoadedReference> = spec
        .references
        .iter()
        .filter(|reference| reference.origin.file().is_some())
        .map(|_| Ok(reference(bins)))
        .collect();
    MonitorPlan::new(spec, files)
}

pub(super) fn plan(spec: MonitorSpec) -> MonitorPlan {
    plan_in(spec, None)
}

/// Counts numbers in a numeric layout.
pub(super) fn count(layout: &Layout, values: impl IntoIterator<Item = f64>) -> FeatureCounts {
    let numeric = layout.numeric().unwrap();
    let mut counts = FeatureCounts::new(layout);
    for value in values {
        counts.record_number(numeric, value);
    }
    counts
}

/// Fifty values spread over the reference, moved by `shift`.
pub(super) fn spread(shift: f64) -> Vec<f64> {
    (0..50).map(|i| f64::from(i) * 20.0 + shift).collect()
}

/// The counts of one minute, as a writer commits them.
fn delta(layout: &Layout, values: &[f64]) -> FeatureDelta {
    let counts = count(layout, values.iter().copied());
    let narrow = |count: &u64| u32::try_from(*count).unwrap();
    FeatureDelta {
        feature: 0,
        tallies: counts.tallies,
        bins: (0, counts.bins.iter().map(narrow).collect()),
        cells: CellRun {
            first: u16::try_from(counts.cells.touched().start).unwrap(),
            counts: counts
                .cells
                .touched()
                .map(|cell| narrow(&counts.cells.count(cell)))
                .collect(),
            sums: counts
                .cells
                .touched()
                .map(|cell| counts.cells.sum(cell))
                .collect(),
        },
        unexpected_values: HeavyHitters::default(),
    }
}

pub(super) fn shard() -> Shard {
    Shard {
        source: "data".to_owned(),
        cluster: "c".to_owned(),
        topic: "t".to_owned(),
        partition: 0,
        incarnation: 0,
    }
}

/// One shard that commits minute by minute.
#[derive(Debug, Default)]
pub(super) struct Stream {
    next_offset: i64,
    has_begun: bool,
}

impl Stream {
    /// Moves on by records of which nothing is counted.
    pub(super) fn skip(&mut self, records: i64) {
        self.next_offset += records;
    }

    /// Commits the values of one minute, as a writer with this plan counts them.
    pub(super) fn minute(&mut self, plan: &MonitorPlan, minute: i64, values: &[f64]) -> Commit {
        let base = self.next_offset;
        let events = values.len() as u64;
        let feature = &plan.features[0];
        let delta = delta(feature.layout.as_deref().unwrap(), values);
        self.next_offset += i64::try_from(values.len()).unwrap();
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        Commit {
            opens: is_first && base == 0,
            upto: self.next_offset,
            written_at: Some(at(minute + 1)),
            source_shards: 1,
            offsets_lost: 0,
            counted: Arc::new(CommitSchema {
                monitors: vec![MonitorSchema {
                    id: plan.id,
                    features: vec![feature.id],
                }],
            }),
            records: RecordCounts {
                decoded: events,
                ..RecordCounts::default()
            },
            monitors: vec![MonitorCommit {
                monitor: 0,
                newest_event_time: Some(at(minute).plus(MINUTE - Duration::from_millis(1))),
                newest_arrived_at: Some(at(minute + 1)),
                is_arrival_of_writer: false,
                first_event_time: Some(at(minute)),
                max_event_time: Some(at(minute).plus(MINUTE - Duration::from_millis(1))),
                events,
                events_late: 0,
                dropped: [0; 5],
                delays: DurationHistogram::default(),
                panes: vec![PaneDelta {
                    start: at(minute),
                    events,
                    features: vec![delta],
                }],
            }],
            ..Commit::unreadable(Claim {
                shard: Arc::new(shard()),
                topic_id: None,
                base,
                upto: base,
                opens: false,
                newest: Vec::new(),
            })
        }
    }
}

/// Applies a commit and returns the windows that were evaluated then.
pub(super) fn apply(engine: &mut Engine, commit: &Commit) -> Vec<WindowView> {
    engine.apply(commit).unwrap();
    let mut windows = Vec::new();
    engine.advance(0, &mut |_, window| windows.push(window.clone()));
    windows
}

/// Looks for commits twice a minute between two minutes of the wall clock, and finds none.
pub(super) fn wait(engine: &mut Engine, minutes: std::ops::Range<i64>) {
    for half_minute in minutes.start * 2..=minutes.end * 2 {
        let now = EventTime::from_millis(half_minute * 30_000);
        engine.watch_silence(now, &mut |_, _| ());
    }
}

/// The latest comparison of `x` with the reference of this index.
pub(super) fn comparison(engine: &Engine, reference: usize) -> ComparisonView {
    engine.view().monitors[0].windows[0].features[0].comparisons[reference].clone()
}

/// Reads minutes of the stream and returns the latest comparison with the first reference after
/// each.
pub(super) fn read(
    engine: &mut Engine,
    stream: &mut Stream,
    plan: &MonitorPlan,
    minutes: Range<i64>,
    shift: f64,
) -> Vec<ComparisonView> {
    minutes
        .map(|minute| {
            apply(engine, &stream.minute(plan, minute, &spread(shift)));
            comparison(engine, 0)
        })
        .collect()
}

/// The names of the states of all alerts.
pub(super) fn states(view: &ComparisonView) -> Vec<&'static str> {
    view.alerts.iter().map(|alert| alert.state.name()).collect()
}

//! Published data sets with known changes: the alerts are the documented ones, and no others.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use pegel::calibration::{BlockSpec, NullModel, Panes, WindowContext, block_statistics};
use pegel::decode::{Reading, category, number};
use pegel::engine::{AssessmentInput, MonitorPlan, assess};
use pegel::model::{
    AlertSpec, Budget, EventTime, Kind, MonitorSpec, ReferenceSpec, Slot, Statistic, TextRange,
    Thresholds, Tolerance,
};
use pegel::reference::{Column, FitOptions, Reference, fit};
use pegel::score::{Rates, Scorer};
use pegel::stats::{FeatureCounts, Layout};
use serde_json::Value;

use crate::published::{folder, read_columns};

struct DataSet {
    columns: HashMap<String, Vec<String>>,
    configs: Value,
}

impl DataSet {
    fn open(name: &str) -> Option<Self> {
        let folder = folder(name)?;
        let oracle = std::fs::read_to_string(folder.join("oracle.json")).unwrap();
        let mut oracle: Value = serde_json::from_str(&oracle).unwrap();
        Some(DataSet {
            columns: read_columns(&folder.join("data.csv.gz")),
            configs: oracle["configs"].take(),
        })
    }

    fn config(&self, name: &str) -> &Value {
        let mut configs = self.configs.as_array().unwrap().iter();
        configs.find(|config| config["name"] == name).unwrap()
    }

    /// The cells of a column that a config covers.
    fn cells(&self, config: &Value, feature: &str) -> Vec<&str> {
        let column = &self.columns[feature];
        let filter = config["filter"].as_object();
        let is_kept = |row: &usize| {
            filter.is_none_or(|filter| {
                let mut filter = filter.iter();
                filter.all(|(name, value)| self.columns[name][*row] == value.as_str().unwrap())
            })
        };
        (0..column.len())
            .filter(is_kept)
            .map(|row| column[row].as_str())
            .collect()
    }
}

fn rows<'a, 'b>(cells: &'b [&'a str], slice: &Value) -> &'b [&'a str] {
    let at = |key: &str| usize::try_from(slice[key].as_u64().unwrap()).unwrap();
    &cells[at("start_row")..at("end_row")]
}

fn cell(text: &str) -> Slot {
    match u32::try_from(text.len()).unwrap() {
        0 => Slot::Null,
        end => Slot::Cell(TextRange { start: 0, end }),
    }
}

fn column(kind: Kind, cells: &[&str]) -> Column {
    let mut column = Column::default();
    let mut buffer = String::new();
    for text in cells {
        let outcome = if kind == Kind::Numeric {
            number(cell(text), text).map(|x| column.numbers.push(x))
        } else {
            category(cell(text), text, &mut buffer)
                .map(|name| *column.categories.entry(name.into()).or_default() += 1)
        };
        match outcome {
            Reading::Value(()) => {}
            Reading::Missing(kind) => column.tallies.missing[kind as usize] += 1,
            Reading::Invalid(reason) => column.tallies.invalid[reason as usize] += 1,
        }
    }
    column
}

fn count(layout: &Layout, cells: &[&str]) -> FeatureCounts {
    let mut counts = FeatureCounts::new(layout);
    let mut buffer = String::new();
    for text in cells {
        let outcome = match layout {
            Layout::Numeric(layout) => {
                number(cell(text), text).map(|x| counts.record_number(layout, x))
            }
            Layout::Categorical(layout) => category(cell(text), text, &mut buffer)
                .map(|name| counts.record_category(layout, name)),
        };
        match outcome {
            Reading::Value(()) => {}
            Reading::Missing(kind) => counts.tallies.missing[kind as usize] += 1,
            Reading::Invalid(reason) => counts.tallies.invalid[reason as usize] += 1,
        }
    }
    counts
}

/// One feature with its reference and null model; blocks are counted in rows.
fn plan(
    kind: Kind,
    cells: &[&str],
    rows_per_pane: usize,
    window_rows: usize,
    alerts: &[(Statistic, Tolerance)],
) -> MonitorPlan {
    let options = FitOptions::default();
    let feature = fit("x", kind, column(kind, cells), &options).unwrap();
    let layout = Arc::clone(&feature.layout);
    let at = EventTime::from_millis(0);
    let mut reference = Reference::new(at, cells.len() as u64, vec![feature]);
    let scorer = Scorer::new(Arc::new(reference.features[0].clone()), 0.5);
    let mut calibration = NullModel::new(scorer, &reference.hash, None);
    let panes: Vec<FeatureCounts> = cells
        .chunks(rows_per_pane)
        .map(|rows| count(&layout, rows))
        .collect();
    let add = |pane: usize, window: &mut FeatureCounts| window.merge(&panes[pane]);
    let lengths = [window_rows / rows_per_pane, (panes.len() + 1) / 9];
    let history = Panes {
        count: panes.len(),
        add: &add,
        origin: pegel::model::EventTime::from_millis(0),
        hour: &|_| 0,
    };
    let exceeded = lengths.into_iter().filter_map(|length| {
        let spec = BlockSpec {
            window: std::time::Duration::from_secs((length * rows_per_pane) as u64),
            panes: length,
            min_samples: 1,
        };
        block_statistics(&calibration, &history, &spec)
    });
    let exceeded: Vec<_> = exceeded.collect();
    calibration.set_blocks(exceeded);
    reference.calibration = vec![calibration.to_stored()];
    let mut spec = MonitorSpec::bare();
    spec.features_from_reference = true;
    spec.references = vec![ReferenceSpec::fitted("training", "none")];
    spec.alerts = alerts
        .iter()
        .map(|(statistic, tolerance)| alert(*statistic, *tolerance))
        .collect();
    MonitorPlan::new(spec, vec![Ok(Arc::new(reference))])
}

fn alert(statistic: Statistic, tolerance: Tolerance) -> AlertSpec {
    AlertSpec {
        statistic,
        thresholds: Thresholds::default(),
        budget: Some(Budget {
            tolerance,
            ..Budget::default()
        }),
        for_evaluations: 1,
        keep_firing_for: 0,
        features: None,
    }
}

/// The windows that exceed a rule's threshold, by statistic. Windows are so far apart that `step /
/// interval` is above 1 %, the cap.
fn alarms(
    data: &DataSet,
    config: &str,
    feature: &str,
    rows_per_pane: usize,
    alerts: &[(Statistic, Tolerance)],
) -> BTreeSet<(Statistic, usize)> {
    let config = data.config(config);
    let kind = match config["features"][feature]["kind"].as_str() {
        Some("numeric") => Kind::Numeric,
        _ => Kind::Categorical,
    };
    let cells = data.cells(config, feature);
    let windows = config["windows"].as_array().unwrap();
    let window_rows = rows(&cells, &windows[0]).len();
    let plan = plan(
        kind,
        rows(&cells, &config["reference"]),
        rows_per_pane,
        window_rows,
        alerts,
    );
    let planned = &plan.features[0];
    let mut exceeded = BTreeSet::new();
    for (at, window) in windows.iter().enumerate() {
        let layout = planned.layout.as_deref().unwrap();
        let counts = count(layout, rows(&cells, window));
        let scorer = planned.scorers().next().unwrap();
        let scores = scorer.evaluate(&counts, 1).unwrap();
        let rates = Rates::of(&counts, layout);
        let judged = AssessmentInput {
            counts: &counts,
            scores: Some(&scores),
            rates: &rates,
            step: None,
            statistics: Statistic::ALL,
            has_tables: true,
            context: WindowContext {
                window: Some(std::time::Duration::from_secs(window_rows as u64)),
                history: None,
                ..WindowContext::default()
            },
        };
        let calibration = planned.references[0].null_model.as_deref().unwrap();
        let assessment = assess(planned, calibration, &judged);
        for (rule, line) in planned.rules.iter().zip(&assessment.thresholds) {
            let score = scores.get(rule.statistic).or(rates.get(rule.statistic));
            let (Some(score), Some(line)) = (score, line) else {
                continue;
            };
            let level = assessment.statistic(rule.statistic).unwrap();
            println!(
                "{feature} window {at} {}: {score:.5} line {:.5} floor {:.5} p {:.1e} phi {:.2} {:?}",
                rule.statistic,
                line.above,
                level.noise_floor,
                level.p_value,
                level.design_effect,
                assessment.statuses
            );
            if line.is_exceeded_by(score) {
                exceeded.insert((rule.statistic, at));
            }
        }
    }
    exceeded
}

fn all_of(statistic: Statistic, windows: std::ops::Range<usize>) -> BTreeSet<(Statistic, usize)> {
    windows.map(|window| (statistic, window)).collect()
}

#[test]
fn car_loan_alerts_are_the_documented_ones() {
    let Some(data) = DataSet::open("car_loan_dq") else {
        return;
    };
    let alerts = [
        Statistic::Js,
        Statistic::MissingRatio,
        Statistic::UnseenRatio,
        Statistic::OutOfRangeRatio,
    ]
    .map(|statistic| (statistic, Tolerance::Default));
    let changed = [
        "car_value",
        "loan_length",
        "salary_range",
        "repaid_loan_on_prev_car",
        "y_pred_proba",
    ];
    let nulls = ["salary_range", "driver_tenure"];
    let features = data.config("clean")["features"].as_object().unwrap();
    assert!(features.len() >= 9, "{} features", features.len());
    for feature in features.keys() {
        let mut exceeded = alarms(&data, "clean", feature, 500, &alerts);
        let mut expected = BTreeSet::new();
        if changed.contains(&feature.as_str()) {
            expected.extend(all_of(Statistic::Js, 10..15));
        }
        if nulls.contains(&feature.as_str()) {
            expected.extend(all_of(Statistic::MissingRatio, 10..15));
        }
        if feature == "size_of_downpayment" {
            expected.extend(all_of(Statistic::UnseenRatio, 5..15));
            // JS may detect the new category too.
            exceeded.retain(|(statistic, window)| *statistic != Statistic::Js || *window < 5);
        }
        assert_eq!(exceeded, expected, "{feature}");
    }
}

#[test]
fn constants_that_start_to_vary_alert_in_that_window() {
    let Some(data) = DataSet::open("elec2") else {
        return;
    };
    let windows = data.config("weeks4")["windows"].as_array().unwrap();
    let alive = windows
        .iter()
        .position(|window| window["end_row"].as_u64().unwrap() > 17_424)
        .unwrap();
    let alerts = [
        (Statistic::Js, Tolerance::Default),
        (Statistic::OutOfRangeRatio, Tolerance::Default),
    ];
    for feature in ["vicprice", "vicdemand", "transfer"] {
        let exceeded = alarms(&data, "weeks4", feature, 96, &alerts);
        let js: Vec<usize> = exceeded
            .iter()
            .filter(|(statistic, _)| *statistic == Statistic::Js)
            .map(|(_, at)| *at)
            .collect();
        assert_eq!(js.first(), Some(&alive), "{feature}: {exceeded:?}");
        let first = exceeded.iter().map(|(_, at)| *at).min();
        assert_eq!(first, Some(alive), "{feature}: none before");
    }
}

#[test]
fn taxi_and_cpu_alert_in_their_labelled_windows() {
    let Some(data) = DataSet::open("nab_known_cause") else {
        return;
    };
    let alerts = [(Statistic::Js, Tolerance::Score(0.0))];
    let windows = |config: &str| -> Vec<usize> {
        let rows = data.config(config)["windows"][0].clone();
        let size = rows["end_row"].as_u64().unwrap() - rows["start_row"].as_u64().unwrap();
        let exceeded = alarms(
            &data,
            config,
            "value",
            usize::try_from(size).unwrap(),
            &alerts,
        );
        exceeded.into_iter().map(|(_, at)| at).collect()
    };
    assert_eq!(
        windows("nyc_taxi__w336"),
        [13, 17],
        "the storm and the holidays"
    );
    assert_eq!(
        windows("cpu_utilization_asg_misconfiguration__w288"),
        [31, 32, 33],
        "the misconfiguration"
    );
}

#[test]
fn bike_rentals_drift_over_a_year_and_the_weather_does_not() {
    let Some(data) = DataSet::open("bike_sharing") else {
        return;
    };
    let alerts = [(Statistic::Wasserstein, Tolerance::Default)];
    for (feature, grew) in [("temp", false), ("cnt", true), ("registered", true)] {
        let exceeded = alarms(&data, "year_vs_year", feature, 24, &alerts);
        assert_eq!(!exceeded.is_empty(), grew, "{feature}: {exceeded:?}");
    }
}

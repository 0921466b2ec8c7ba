//! Every window of the published data sets, compared with scores that numpy and SciPy computed on
//! the same edges.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::f64::consts::LN_2;
use std::path::Path;
use std::sync::Arc;

use pegel::model::Kind;
use pegel::reference::FeatureReference;
use pegel::score::{Scorer, Scores};
use pegel::stats::{CategoricalLayout, FeatureCounts, Layout};
use serde_json::Value;

use crate::data::{fit_categories, fit_numbers, open_edges, sample, window};
use crate::published::{folder, read_columns};

/// A table by column.
struct Table(HashMap<String, Vec<String>>);

fn read_table(path: &Path) -> Table {
    Table(read_columns(path))
}

impl Table {
    /// The rows of a column that a config covers.
    fn column(&self, name: &str, filter: &Value) -> Vec<&str> {
        let kept = |row: &usize| {
            filter.as_object().is_none_or(|filter| {
                let same = |(column, value): (&String, &Value)| {
                    self.0[column][*row] == value.as_str().unwrap()
                };
                filter.iter().all(same)
            })
        };
        let column = &self.0[name];
        (0..column.len())
            .filter(kept)
            .map(|row| column[row].as_str())
            .collect()
    }

    fn number(&self, column: &str, row: usize) -> Option<f64> {
        match self.0[column][row].as_str() {
            "" => None,
            "inf" => Some(f64::INFINITY),
            text => Some(text.parse().unwrap()),
        }
    }
}

fn slice<'a, 'b>(column: &'b [&'a str], rows: &Value) -> &'b [&'a str] {
    let at = |key: &str| usize::try_from(rows[key].as_u64().unwrap()).unwrap();
    &column[at("start_row")..at("end_row")]
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_f64().unwrap())
        .collect()
}

/// The rows of the score table for a (config, feature), by window.
fn lines_of(scores: &Table) -> HashMap<(String, String), BTreeMap<usize, usize>> {
    let mut lines: HashMap<_, BTreeMap<usize, usize>> = HashMap::new();
    for row in 0..scores.0["config"].len() {
        let key = (
            scores.0["config"][row].clone(),
            scores.0["feature"][row].clone(),
        );
        let window = scores.0["window"][row].parse().unwrap();
        lines.entry(key).or_default().insert(window, row);
    }
    lines
}

struct Oracle {
    scores: Table,
    compared: usize,
    /// The largest shortfall of W1 below the exact value, in std of the reference, and of KS.
    below: (f64, f64),
}

fn check_data_set(name: &str) {
    let Some(folder) = folder(name) else { return };
    let text = std::fs::read_to_string(folder.join("oracle.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    let table = read_table(&folder.join("data.csv.gz"));
    let scores = read_table(&folder.join("oracle_scores.csv.gz"));
    let lines = lines_of(&scores);
    let mut oracle = Oracle {
        scores,
        compared: 0,
        below: (0.0, 0.0),
    };
    let mut windows = 0;
    for config in expected["configs"].as_array().unwrap() {
        for (feature, about) in config["features"].as_object().unwrap() {
            let column = table.column(feature, &config["filter"]);
            let key = (config["name"].as_str().unwrap().to_owned(), feature.clone());
            let lines = &lines[&key];
            assert_eq!(
                lines.len(),
                config["windows"].as_array().unwrap().len(),
                "{key:?}"
            );
            windows += lines.len();
            if about["kind"] == "numeric" {
                oracle.check_numeric(config, about, &column, lines);
            } else {
                oracle.check_categorical(config, about, &column, lines);
            }
        }
    }
    let (w1, ks) = oracle.below;
    println!(
        "{name}: {windows} windows, {} scores; W1 at most {w1:.4} std and KS {ks:.4} below exact",
        oracle.compared
    );
}

impl Oracle {
    fn check_numeric(
        &mut self,
        config: &Value,
        about: &Value,
        column: &[&str],
        lines: &BTreeMap<usize, usize>,
    ) {
        let reference = slice(column, &config["reference"]).to_vec();
        for (scheme, inner) in about["inner_edges"].as_object().unwrap() {
            let values = sample(Kind::Numeric, reference.iter().copied());
            let fitted = fit_numbers(Some(open_edges(&numbers(inner))), values);
            let counts: Vec<u64> =
                serde_json::from_value(about["ref_counts"][scheme].clone()).unwrap();
            assert_eq!(fitted.counts.bins, counts, "{} {scheme}", config["name"]);
            self.check_windows(config, &fitted, column, lines, scheme);
        }
        let values = sample(Kind::Numeric, reference.iter().copied());
        let fitted = fit_numbers(None, values);
        let std = about["ref_std"].as_f64().unwrap();
        let actual = fitted.numbers.unwrap();
        assert!(
            (actual.std - std).abs() <= 1e-9 * (1.0 + std),
            "std {} vs {std}",
            actual.std
        );
        for (at, scores) in windows(config, &fitted, column) {
            self.check_distances(&fitted, &scores, lines[&at]);
        }
    }

    /// The oracle's categories are those of both sides: a layout with a bin for each.
    fn check_categorical(
        &mut self,
        config: &Value,
        about: &Value,
        column: &[&str],
        lines: &BTreeMap<usize, usize>,
    ) {
        let reference = slice(column, &config["reference"]);
        for (at, rows) in config["windows"].as_array().unwrap().iter().enumerate() {
            let both = reference.iter().chain(slice(column, rows));
            let names: BTreeSet<&str> = both.copied().filter(|name| !name.is_empty()).collect();
            let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
            // A code that a table writes as 5411.0 is the category 5411.
            let canonical = names
                .iter()
                .map(|name| name.trim_end_matches(".0").to_owned());
            let layout = CategoricalLayout::new(canonical.collect(), Vec::new());
            let layout = Layout::Categorical(layout);
            let values = sample(Kind::Categorical, reference.iter().copied());
            let fitted = fit_categories(layout, values);
            for (name, count) in names.iter().zip(&fitted.counts.bins) {
                let expected = about["ref_counts"][name].as_u64().unwrap_or(0);
                assert_eq!(*count, expected, "{} {name}", config["name"]);
            }
            let counts = window(&fitted, slice(column, rows).iter().copied());
            let scores = Scorer::new(Arc::clone(&fitted), 0.5)
                .evaluate(&counts, 1)
                .unwrap();
            self.check_scores(&counts, &scores, lines[&at], "cat");
        }
    }

    fn check_windows(
        &mut self,
        config: &Value,
        fitted: &Arc<FeatureReference>,
        column: &[&str],
        lines: &BTreeMap<usize, usize>,
        scheme: &str,
    ) {
        let scorer = Scorer::new(Arc::clone(fitted), 0.5);
        for (at, rows) in config["windows"].as_array().unwrap().iter().enumerate() {
            let counts = window(fitted, slice(column, rows).iter().copied());
            let scores = scorer.evaluate(&counts, 1).unwrap();
            self.check_scores(&counts, &scores, lines[&at], scheme);
        }
    }

    fn check_scores(&mut self, counts: &FeatureCounts, scores: &Scores, row: usize, scheme: &str) {
        let expected = self.scores.number("win_n", row);
        assert_eq!(expected, Some(counts.tallies.values as f64), "samples");
        let actual = &scores.divergences;
        let columns = [
            ("js_div_base2", actual.js),
            ("kl_win_ref_add_half", actual.kl * LN_2),
            ("kl_ref_win_add_half", actual.kl_reverse * LN_2),
            ("psi_add_half", actual.psi),
            ("hellinger", actual.hellinger),
            ("tv", actual.total_variation),
        ];
        for (column, actual) in columns {
            let expected = self
                .scores
                .number(&format!("{scheme}_{column}"), row)
                .unwrap();
            assert!(
                (actual - expected).abs() <= 1e-9 * (1.0 + expected.abs()),
                "line {row}, {scheme}_{column}: {actual} vs {expected}"
            );
            self.compared += 1;
        }
    }

    fn check_distances(&mut self, reference: &FeatureReference, scores: &Scores, row: usize) {
        let actual = scores.distances.unwrap();
        let unit = reference.unit_std();
        let w1 = self.scores.number("w1", row).unwrap();
        let ks = self.scores.number("ks", row).unwrap();
        let gap = ((w1 - actual.wasserstein) / unit, ks - actual.ks);
        assert!(
            actual.wasserstein <= w1 * (1.0 + 1e-6) + 1e-7 * unit,
            "line {row}: W1 {} above {w1}",
            actual.wasserstein
        );
        assert!(
            gap.0 <= 0.03,
            "line {row}: W1 {} below {w1} by {} std",
            actual.wasserstein,
            gap.0
        );
        assert!(
            actual.ks <= ks * (1.0 + 1e-6),
            "line {row}: KS {} above {ks}",
            actual.ks
        );
        assert!(gap.1 <= 0.11, "line {row}: KS {} below {ks}", actual.ks);
        self.below = (self.below.0.max(gap.0), self.below.1.max(gap.1));
        self.compared += 2;
    }
}

fn windows(
    config: &Value,
    fitted: &Arc<FeatureReference>,
    column: &[&str],
) -> Vec<(usize, Scores)> {
    let scorer = Scorer::new(Arc::clone(fitted), 0.5);
    let windows = config["windows"].as_array().unwrap().iter().enumerate();
    let scored = windows.map(|(at, rows)| {
        let counts = window(fitted, slice(column, rows).iter().copied());
        (at, scorer.evaluate(&counts, 1).unwrap())
    });
    scored.collect()
}

#[test]
fn elec2_agrees_with_scipy() {
    check_data_set("elec2");
}

#[test]
fn car_loan_dq_agrees_with_scipy() {
    check_data_set("car_loan_dq");
}

#[test]
fn bike_sharing_agrees_with_scipy() {
    check_data_set("bike_sharing");
}

#[test]
fn nab_known_cause_agrees_with_scipy() {
    check_data_set("nab_known_cause");
}

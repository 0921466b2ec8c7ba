//! The page of a feature: how the window differs from the reference, in pictures and numbers.
//!
//! One feature of one window against one reference; links lead to the other windows and references.
//! Everything on it is computed when somebody asks for it.

use std::cmp::Reverse;

use askama::Template;
use serde::Deserialize;

use super::row_state::{RowState, unjudged};
use crate::alert::AlertState;
use crate::engine::{
    AlertView, ComparisonView, FeatureView, MonitorView, ReferenceView, WindowFeatureView,
    WindowView, status_names,
};
use crate::export::chart::{
    CategoryRow, Distance, Histogram, Sides, categories, distance, histogram,
};
use crate::export::explain::{AlertContext, explain, not_judged_text};
use crate::export::explanations::Explanations;
use crate::export::exporter::Exporter;
use crate::export::numbers::{NO_VALUE, grouped, percent, short_number};
use crate::export::shift::quantile_text;
use crate::export::unexpected::{invalid_values, unseen_categories, values_text};
use crate::model::{Role, Statistic};
use crate::reference::FeatureReference;
use crate::score::Rates;
use crate::stats::{CellCounts, FeatureCounts, NumericLayout};

/// Shares of the values below the quantiles in the table, with their names.
const QUANTILES: [(f64, &str); 7] = [
    (0.01, "1 %"),
    (0.05, "5 %"),
    (0.25, "25 %"),
    (0.5, "median"),
    (0.75, "75 %"),
    (0.95, "95 %"),
    (0.99, "99 %"),
];

/// The window and the reference of a page; the first ones where they are not given.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Choice {
    window: Option<String>,
    reference: Option<String>,
}

#[derive(Template)]
#[template(path = "feature.html", config = ".askama.toml")]
struct FeaturePage {
    version: &'static str,
    monitor: String,
    feature: String,
    kind: &'static str,
    is_prediction: bool,
    state: RowState,
    window: String,
    window_state: String,
    reference: String,
    reference_samples: Option<String>,
    samples: Option<String>,
    choices: Vec<Link>,
    /// The reason why the feature is not judged.
    not_ready: Option<String>,
    alerts: Vec<AlertLine>,
    histogram: Option<Histogram>,
    distance: Option<Distance>,
    distance_text: Option<String>,
    categories: Vec<CategoryRow>,
    /// Number of categories that are not shown.
    hidden: usize,
    quantiles: Vec<Change>,
    rates: Vec<Change>,
    /// The most frequent unseen categories and invalid values.
    unseen: Option<String>,
    invalid: Option<String>,
    statistics: Vec<StatisticRow>,
    /// True if a statistic has a distribution without drift.
    is_calibrated: bool,
    statuses: String,
}

/// A link to another window or reference.
struct Link {
    text: String,
    link: String,
    is_current: bool,
}

struct AlertLine {
    class: &'static str,
    text: String,
}

/// A number in the reference and in the window.
struct Change {
    name: &'static str,
    before: String,
    after: String,
}

struct StatisticRow {
    name: &'static str,
    unit: &'static str,
    value: String,
    threshold: String,
    noise_floor: String,
    p_value: String,
    is_exceeded: bool,
}

/// The address of the page of a feature.
pub(super) fn link(monitor: &str, feature: &str, window: &str, reference: &str) -> String {
    #[derive(Template)]
    #[template(
        source = "/monitors/{{ monitor|urlencode_strict }}/features/{{ feature|urlencode_strict }}?window={{ window|urlencode_strict }}&reference={{ reference|urlencode_strict }}",
        ext = "txt"
    )]
    struct Address<'a> {
        monitor: &'a str,
        feature: &'a str,
        window: &'a str,
        reference: &'a str,
    }
    let address = Address {
        monitor,
        feature,
        window,
        reference,
    };
    address.render().unwrap_or_default()
}

/// One comparison with everything around it.
struct Chosen<'a> {
    monitor: &'a MonitorView,
    window: &'a WindowView,
    window_name: &'a str,
    feature: &'a FeatureView,
    window_feature: &'a WindowFeatureView,
    reference: &'a ReferenceView,
    comparison: &'a ComparisonView,
}

impl<'a> Chosen<'a> {
    /// The comparison that is asked for; `None` if there is none of these names.
    fn find(monitors: &'a [MonitorView], names: (&str, &str), choice: &Choice) -> Option<Self> {
        let is_chosen = |chosen: &Option<String>, name: &str| {
            chosen.as_ref().is_none_or(|chosen| chosen == name)
        };
        let monitor = monitors
            .iter()
            .find(|monitor| monitor.spec.name == names.0)?;
        let (window, window_name) = monitor.windows.iter().find_map(|window| {
            let name = monitor.spec.windows.get(window.index)?.name.as_str();
            is_chosen(&choice.window, name).then_some((window, name))
        })?;
        let (feature, window_feature) = monitor
            .features
            .iter()
            .zip(&window.features)
            .find(|(feature, _)| feature.name == names.1)?;
        let (reference, comparison) = monitor
            .references
            .iter()
            .zip(&window_feature.comparisons)
            .find(|(reference, _)| is_chosen(&choice.reference, &reference.name))?;
        Some(Chosen {
            monitor,
            window,
            window_name,
            feature,
            window_feature,
            reference,
            comparison,
        })
    }

    /// Links to all windows and references of the feature.
    fn choices(&self) -> Vec<Link> {
        let monitor = &self.monitor.spec;
        monitor
            .windows
            .iter()
            .flat_map(|window| {
                self.monitor.references.iter().map(|reference| Link {
                    text: format!("{} against {}", window.name, reference.name),
                    link: link(
                        &monitor.name,
                        &self.feature.name,
                        &window.name,
                        &reference.name,
                    ),
                    is_current: window.name == self.window_name
                        && reference.name == self.reference.name,
                })
            })
            .collect()
    }

    /// The alerts that are firing or pending, those that fire first.
    fn alerts(&self, explanations: &Explanations) -> Vec<AlertLine> {
        let context = AlertContext::new(self.feature, self.window_feature, self.comparison);
        let names = (&*self.feature.name, &*self.reference.name);
        let mut alerts: Vec<&AlertView> = self
            .comparison
            .alerts
            .iter()
            .filter(|alert| matches!(alert.state, AlertState::Firing | AlertState::Pending))
            .collect();
        alerts.sort_by_key(|alert| Reverse((alert.state.rank(), alert.severity)));
        alerts
            .into_iter()
            .map(|alert| {
                let state = explain(alert, &context);
                let text = explanations.complete(state, self.monitor, self.window, names, alert);
                let since = alert
                    .since
                    .map(|since| format!(", since {since}"))
                    .unwrap_or_default();
                AlertLine {
                    class: alert.state.name(),
                    text: format!("{} {}{since}: {text}", alert.severity, alert.state.name()),
                }
            })
            .collect()
    }

    /// The reason why the feature has no score, or why an alert does not judge it.
    fn not_ready(&self) -> Option<String> {
        match &self.comparison.scores {
            Err(reason) => Some(reason.to_string()),
            Ok(_) => unjudged(self.comparison).and_then(|alert| not_judged_text(alert.state)),
        }
    }

    /// True if a statistic has a distribution without drift.
    fn is_calibrated(&self) -> bool {
        self.comparison
            .assessment
            .as_deref()
            .is_some_and(|assessment| !assessment.statistics.is_empty())
    }

    /// The limits of the thresholds and scores.
    fn statuses(&self) -> String {
        let scores = self.comparison.scores.as_ref().ok();
        status_names(scores, self.comparison.assessment.as_deref()).join(", ")
    }

    /// The scores that exist, each with its thresholds.
    fn statistics(&self) -> Vec<StatisticRow> {
        let comparison = self.comparison;
        Statistic::ALL
            .iter()
            .filter_map(|statistic| {
                let value = match statistic.is_rate() {
                    true => self.window_feature.rates.get(*statistic),
                    false => comparison.scores.ok()?.get(*statistic),
                }?;
                Some(self.statistic_row(*statistic, value))
            })
            .collect()
    }

    fn statistic_row(&self, statistic: Statistic, value: f64) -> StatisticRow {
        let alerts = || {
            self.comparison
                .alerts
                .iter()
                .filter(|alert| alert.statistic == statistic)
        };
        let level = self
            .comparison
            .assessment
            .as_deref()
            .and_then(|assessment| assessment.statistic(statistic));
        let threshold = alerts()
            .filter_map(AlertView::upper_threshold)
            .min_by(f64::total_cmp)
            .or(level.and_then(|level| level.threshold));
        let text = if statistic.is_rate() {
            percent
        } else {
            short_number
        };
        let or_none = |number: Option<f64>| number.map_or_else(|| NO_VALUE.to_owned(), text);
        StatisticRow {
            name: statistic.name(),
            unit: statistic.unit(),
            value: text(value),
            threshold: or_none(threshold),
            noise_floor: or_none(level.map(|level| level.noise_floor)),
            p_value: level.map_or_else(|| NO_VALUE.to_owned(), |level| short_number(level.p_value)),
            is_exceeded: alerts().any(AlertView::is_exceeded),
        }
    }
}

/// Renders the page of a feature; `None` if the monitor, the feature, the window or the reference
/// does not exist.
///
/// # Errors
/// The template fails.
pub(super) fn render(
    exporter: &Exporter,
    names: (&str, &str),
    choice: &Choice,
) -> askama::Result<Option<String>> {
    if exporter.is_recovering() {
        return Ok(None);
    }
    let (view, explanations) = (exporter.view(), exporter.explanations());
    let Some(shown) = Chosen::find(&view.monitors, names, choice) else {
        return Ok(None);
    };
    let counts = shown.window_feature.counts.as_deref();
    let reference = shown.comparison.reference.as_deref();
    let sides = reference.zip(counts);
    let numbers = sides
        .and_then(|(reference, counts)| Some((reference.layout.numeric()?, reference, counts)));
    let pictures = numbers
        .and_then(|(layout, reference, counts)| Sides::of(layout, &reference.counts, counts));
    let distance = pictures.as_ref().and_then(distance);
    let (categories, hidden) = sides
        .filter(|(reference, _)| reference.layout.numeric().is_none())
        .map(|(reference, counts)| categories(reference, counts))
        .unwrap_or_default();
    let kind = shown.feature.kind;
    FeaturePage {
        version: env!("CARGO_PKG_VERSION"),
        monitor: shown.monitor.spec.name.clone(),
        feature: shown.feature.name.clone(),
        kind: kind.name(),
        is_prediction: shown.feature.role == Role::Prediction,
        state: RowState::of(shown.comparison, shown.monitor.silent_since.is_some()),
        window: shown.window_name.to_owned(),
        window_state: window_state(shown.window),
        reference: shown.reference.name.clone(),
        reference_samples: reference.map(|side| grouped(side.counts.tallies.values)),
        samples: counts.map(|side| grouped(side.tallies.values)),
        choices: shown.choices(),
        not_ready: shown.not_ready(),
        alerts: shown.alerts(&explanations),
        distance_text: distance
            .as_ref()
            .and_then(|_| distance_text(shown.comparison)),
        histogram: pictures.as_ref().map(histogram),
        distance,
        categories,
        hidden,
        quantiles: numbers
            .map(|(layout, reference, counts)| quantiles(layout, reference, counts))
            .unwrap_or_default(),
        rates: rates(reference, &shown.window_feature.rates),
        unseen: counts.and_then(|counts| values_text(counts, &unseen_categories(counts, kind))),
        invalid: counts.and_then(|counts| values_text(counts, &invalid_values(counts, kind))),
        statistics: shown.statistics(),
        is_calibrated: shown.is_calibrated(),
        statuses: shown.statuses(),
    }
    .render()
    .map(Some)
}

/// The end of the latest window and its coverage.
pub(super) fn window_state(window: &WindowView) -> String {
    match window.end {
        Some(end) => format!("until {end}, coverage {:.0} %", window.coverage * 100.0),
        None => "not evaluated yet".to_owned(),
    }
}

/// The Wasserstein distance in the unit of the feature and in standard deviations.
fn distance_text(comparison: &ComparisonView) -> Option<String> {
    let distances = comparison.scores.ok()?.distances?;
    let raw = short_number(distances.wasserstein);
    let at_least = if distances.is_lower_bound {
        "at least "
    } else {
        ""
    };
    Some(match distances.is_unscaled {
        true => format!("{at_least}{raw} in the unit of the feature"),
        false => format!(
            "{at_least}{raw} in the unit of the feature, {} std",
            short_number(distances.wasserstein_normalized)
        ),
    })
}

fn quantiles(
    layout: &NumericLayout,
    reference: &FeatureReference,
    window: &FeatureCounts,
) -> Vec<Change> {
    let text = |cells: &CellCounts, share: f64| {
        quantile_text(cells, &layout.cells, share).unwrap_or_else(|| NO_VALUE.to_owned())
    };
    QUANTILES
        .iter()
        .map(|(share, name)| Change {
            name,
            before: text(&reference.counts.cells, *share),
            after: text(&window.cells, *share),
        })
        .collect()
}

/// The rates that exist on one side at least.
fn rates(reference: Option<&FeatureReference>, window: &Rates) -> Vec<Change> {
    let before = reference
        .map(|reference| Rates::of(&reference.counts, &reference.layout))
        .unwrap_or_default();
    let text = |rate: Option<f64>| rate.map_or_else(|| NO_VALUE.to_owned(), percent);
    [
        ("missing", before.missing, window.missing),
        ("invalid", before.invalid, window.invalid),
        ("unseen", before.unseen, window.unseen),
        ("out of range", before.out_of_range, window.out_of_range),
    ]
    .into_iter()
    .filter(|(_, before, after)| before.is_some() || after.is_some())
    .map(|(name, before, after)| Change {
        name,
        before: text(before),
        after: text(after),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_in_addresses() {
        assert_eq!(
            link("a/b", "x?y&z", "15m", "\u{e4} 1"),
            "/monitors/a%2Fb/features/x%3Fy%26z?window=15m&reference=%C3%A4%201"
        );
    }
}

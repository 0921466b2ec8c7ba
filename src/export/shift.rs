//! The largest changes between a reference and a window in plain words.
//!
//! Shares of bins exist only where both sides have values. Without values in the window, the rates
//! are the news.

use std::cmp::Ordering;

use super::numbers::{bin_text, number_text, percent, short_number};
use super::unexpected::{invalid_values, unseen_categories, values_text};
use super::unit_error::{Quartiles, unit_error};
use crate::model::Statistic;
use crate::reference::FeatureReference;
use crate::score::{Distances, Rates};
use crate::stats::{CELLS, CellCounts, CellScale, FeatureCounts, Layout, ReadableQuantiles, share};

/// The share of the Wasserstein distance from beyond the reference's range from which on it is
/// told.
const MIN_TOLD_BEYOND: f64 = 0.1;

/// The largest changes between a reference and a window with the same layout: the bin whose share
/// changed most, the medians, and the unit error that the shift looks like.
#[must_use]
pub fn describe_shift(
    layout: &Layout,
    window: &FeatureCounts,
    reference: &FeatureReference,
) -> Vec<String> {
    let mut changes = Vec::from_iter(most_changed_bin(layout, window, reference));
    let Some(scale) = layout.numeric().map(|numeric| &numeric.cells) else {
        return changes;
    };
    let medians =
        median_text(&reference.counts.cells, scale).zip(median_text(&window.cells, scale));
    changes.extend(medians.map(|(before, after)| format!("median {before} -> {after}")));
    let quartiles = quartiles(&reference.counts, scale).zip(quartiles(window, scale));
    changes.extend(quartiles.and_then(|(before, after)| unit_error(&before, &after)));
    changes
}

/// The share of the Wasserstein distance that comes from beyond the reference's range, in 0..=1.
#[must_use]
pub fn share_beyond(distances: &Distances) -> Option<f64> {
    let share = distances.beyond_reference / distances.wasserstein;
    share.is_finite().then(|| share.clamp(0.0, 1.0))
}

/// The part of the Wasserstein distance from beyond the reference's range, where it is large enough
/// to matter: "82 % of the distance comes from values beyond the reference".
#[must_use]
pub fn describe_beyond(distances: &Distances) -> Option<String> {
    let share = share_beyond(distances).filter(|share| *share >= MIN_TOLD_BEYOND)?;
    let percent = share * 100.0;
    Some(format!(
        "{percent:.0} % of the distance comes from values beyond the reference"
    ))
}

/// A rate before and after: "missing 0.5 % -> 27.8 %"; only after, where there is no before.
///
/// The reference has no unseen categories by definition, so before is the rate that is expected
/// without drift: categories that it has once say how many it lacks. Unseen categories and invalid
/// values of the `window` are named.
#[must_use]
pub fn describe_rate(
    statistic: Statistic,
    reference: Option<&FeatureReference>,
    after: f64,
    window: Option<&FeatureCounts>,
) -> String {
    let before = reference.and_then(|reference| match statistic {
        Statistic::UnseenRatio => expected_unseen_ratio(reference),
        _ => Rates::of(&reference.counts, &reference.layout).get(statistic),
    });
    let name = match statistic {
        Statistic::MissingRatio => "missing",
        Statistic::InvalidRatio => "invalid values",
        Statistic::UnseenRatio => "unseen",
        Statistic::OutOfRangeRatio => "out of range",
        _ => statistic.name(),
    };
    let change = match before {
        Some(before) => format!("{name} {} -> {}", percent(before), percent(after)),
        None => format!("{name} {}", percent(after)),
    };
    let values = window
        .zip(reference)
        .and_then(|(counts, reference)| match statistic {
            Statistic::UnseenRatio => {
                values_text(counts, &unseen_categories(counts, reference.kind))
            }
            Statistic::InvalidRatio => values_text(counts, &invalid_values(counts, reference.kind)),
            _ => None,
        });
    match values {
        Some(values) => format!("{change}: {values}"),
        None => change,
    }
}

/// The rate of unseen categories that is expected without drift (Good and Turing).
fn expected_unseen_ratio(reference: &FeatureReference) -> Option<f64> {
    share(reference.expected_unseen(), reference.counts.tallies.values)
}

/// True if the counted numbers are whole.
#[must_use]
pub fn is_whole(cells: &CellCounts, scale: &CellScale) -> bool {
    ReadableQuantiles::new(cells, scale).is_whole()
}

/// The median of counted numbers, or the bound that it lies beyond; `None` without values.
#[must_use]
pub fn median_text(cells: &CellCounts, scale: &CellScale) -> Option<String> {
    quantile_text(cells, scale, 0.5)
}

/// The quantile of counted numbers at `share` (0..=1), or the bound that it lies beyond; `None`
/// without values.
pub(super) fn quantile_text(cells: &CellCounts, scale: &CellScale, share: f64) -> Option<String> {
    let quantiles = ReadableQuantiles::new(cells, scale);
    let quantile = quantiles.get(share)?;
    Some(match quantiles.beyond(share) {
        Ordering::Less => format!("below {}", short_number(scale.edge(1))),
        Ordering::Equal => number_text(quantile, quantiles.is_whole()),
        Ordering::Greater => format!("above {}", short_number(scale.edge(CELLS - 1))),
    })
}

/// The bin whose share changed most; `None` while a side has no values.
fn most_changed_bin(
    layout: &Layout,
    window: &FeatureCounts,
    reference: &FeatureReference,
) -> Option<String> {
    let counts = &reference.counts;
    let (window_values, reference_values) = (window.tallies.values, counts.tallies.values);
    if window_values == 0 || reference_values == 0 {
        return None;
    }
    let is_unseen =
        |index: usize| matches!(layout, Layout::Categorical(layout) if layout.unseen() == index);
    let (index, (before, after)) = window
        .bins
        .iter()
        .zip(&counts.bins)
        .enumerate()
        .map(|(index, (after, before))| {
            let expected = expected_unseen_ratio(reference).filter(|_| is_unseen(index));
            let before = expected.unwrap_or(*before as f64 / reference_values as f64);
            (index, (before, *after as f64 / window_values as f64))
        })
        .max_by(|(_, a), (_, b)| (a.1 - a.0).abs().total_cmp(&(b.1 - b.0).abs()))?;
    let name = layout.name(index);
    let change = format!("{} -> {}", percent(before), percent(after));
    let categories = unseen_categories(window, reference.kind);
    let names = values_text(window, &categories).filter(|_| is_unseen(index));
    Some(match names {
        Some(names) => format!("unseen {change}: {names}"),
        None => format!("{}: {change}", bin_text(name)),
    })
}

fn quartiles(counts: &FeatureCounts, scale: &CellScale) -> Option<Quartiles> {
    let quantiles = ReadableQuantiles::new(&counts.cells, scale);
    Some(Quartiles {
        lower: quantiles.get(0.25)?,
        median: quantiles.get(0.5)?,
        upper: quantiles.get(0.75)?,
        samples: counts.tallies.values,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;
    use crate::panes::{Frame, PaneCounts};
    use crate::reference::{Column, FitOptions, fit};

    fn reference_of(values: impl Iterator<Item = f64>) -> FeatureReference {
        let column = Column {
            numbers: values.collect(),
            ..Column::default()
        };
        fit("amount", Kind::Numeric, column, &FitOptions::default()).unwrap()
    }

    fn changes(reference: &FeatureReference, values: impl Iterator<Item = f64>) -> String {
        let layout = reference.layout.numeric().unwrap();
        let mut window = FeatureCounts::new(&reference.layout);
        values.for_each(|x| window.record_number(layout, x));
        describe_shift(&reference.layout, &window, reference).join("; ")
    }

    #[test]
    fn a_shift_of_the_mean_is_not_a_unit_error() {
        let reference = reference_of((0..1000).map(f64::from));
        let text = changes(&reference, (0..1000).map(|i| f64::from(i) + 4500.0));
        assert!(
            !text.contains("looks like"),
            "ten times the median, but not ten times the range: {text}"
        );
    }

    /// The median of ages was told as "34.7 -> 52.3".
    #[test]
    fn the_median_of_integers_is_an_integer() {
        let reference = reference_of((0..5000).map(|i| f64::from(20 + i % 31)));
        let text = changes(&reference, (0..500).map(|i| f64::from(40 + i % 25)));
        assert!(text.contains("median 35 -> 52"), "{text}");
    }

    #[test]
    fn kilograms_that_become_pounds_are_told_as_such() {
        let kilograms = |i: i32| 45.0 + f64::from((i * 37) % 1000) * 0.05;
        let reference = reference_of((0..10_000).map(kilograms));
        let text = changes(&reference, (0..1000).map(|i| kilograms(i) * 2.204_62));
        assert!(text.ends_with("(kilograms to pounds)"), "{text}");
        let text = changes(&reference, (0..1000).map(|i| kilograms(i) * 2.0));
        assert!(!text.contains("looks like"), "a doubling: {text}");
    }

    /// Shares of zero values were told as "NaN %".
    #[test]
    fn a_window_without_values_has_no_shares() {
        let reference = reference_of((0..1000).map(f64::from));
        assert_eq!(changes(&reference, std::iter::empty()), "");
    }

    /// The most frequent break of a category was told as a share only.
    #[test]
    fn unseen_categories_are_named_with_their_counts() {
        let column = Column {
            categories: [("de", 60), ("fr", 40)]
                .map(|(name, count)| (Box::<str>::from(name), count))
                .into_iter()
                .collect(),
            ..Column::default()
        };
        let reference = fit("country", Kind::Categorical, column, &FitOptions::default()).unwrap();
        let window = |names: &[(&str, u64)]| {
            let mut frame = Frame::new([Some(&*reference.layout)].into_iter());
            let Layout::Categorical(layout) = &*reference.layout else {
                unreachable!("a categorical feature")
            };
            for (name, count) in names {
                (0..*count).for_each(|_| frame.record_category(0, layout, name));
            }
            let mut pane = PaneCounts::default();
            pane.merge(&frame.take().features[0]);
            let mut counts = FeatureCounts::new(&reference.layout);
            pane.add_to(&mut counts);
            counts
        };
        let text = |names| describe_shift(&reference.layout, &window(names), &reference).join("; ");
        assert_eq!(
            text(&[("de", 1000), ("fr", 700), ("XK", 1200), ("a\nb", 12)]),
            "unseen 0.0 % -> 41.6 %: XK (1,200), a b (12)"
        );
        assert_eq!(
            text(&[("a", 5), ("b", 4), ("c", 3), ("d", 2), ("e", 1)]),
            "unseen 0.0 % -> 100.0 %: a (5), b (4), c (3), ..."
        );
        assert_eq!(text(&[("de", 95), ("", 5)]), "fr: 40.0 % -> 0.0 %");
    }

    /// Before was always 0.0 %, although one value in ten of such a stream is new without any
    /// drift.
    #[test]
    fn before_is_the_expected_rate_of_unseen_categories() {
        let rare = (0..100).map(|i| (format!("rare{i}").into_boxed_str(), 1));
        let column = Column {
            categories: rare.chain([("common".into(), 900)]).collect(),
            ..Column::default()
        };
        let reference = fit("city", Kind::Categorical, column, &FitOptions::default()).unwrap();
        let text = describe_rate(Statistic::UnseenRatio, Some(&reference), 0.13, None);
        assert_eq!(text, "unseen 10.0 % -> 13.0 %");
    }

    #[test]
    fn a_distance_from_beyond_the_reference_is_told_from_a_tenth_on() {
        let text = |beyond_reference: f64| {
            describe_beyond(&Distances {
                wasserstein: 50.0,
                wasserstein_normalized: 5.0,
                beyond_reference,
                body: 0.1,
                ks: 0.01,
                is_lower_bound: false,
                is_unscaled: false,
            })
        };
        let expected = "82 % of the distance comes from values beyond the reference";
        assert_eq!(text(41.0).as_deref(), Some(expected));
        assert_eq!(text(4.9), None, "less than a tenth");
    }
}

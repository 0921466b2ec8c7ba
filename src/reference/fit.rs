//! Fits a reference: turns the values of a column into a frozen layout and its counts.
//!
//! Values are sorted once; edges, cells, atoms and facts all come from the sorted column. This is
//! the only place that sees rows. Later references reuse the layout and have counts only.

use std::cmp::Reverse;
use std::sync::Arc;

use hdrhistogram::Histogram;
use rustc_hash::FxHashMap;

use super::atom::{atoms_of_values, counts_of_atoms};
use super::feature_reference::FeatureReference;
use super::number_facts::NumberFacts;
use crate::model::{BinsSpec, FeatureSpec, HdrBins, Kind};
use crate::stats::{
    Bins, BinsError, CELLS, CategoricalLayout, CellScale, FeatureCounts, Layout, NumericLayout,
    Tallies, histogram_edges,
};

/// Rows from which a category has a bin of its own; with fewer it shares the bin `other`.
pub(super) const MIN_ROWS: u64 = 5;

/// A feature that cannot be fitted.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// The column has no usable value.
    #[error(
        "no usable value in {events} rows ({missing} missing, {invalid} of the wrong kind or infinite)"
    )]
    NoValues {
        /// Number of rows read.
        events: u64,
        /// Rows without a value.
        missing: u64,
        /// Rows with an unusable value.
        invalid: u64,
    },
    /// Distances to and from the reference would be lower bounds.
    #[error(
        "{saturated} of {values} values lie more than {reach:.3e} from the median, too far to measure \
         distances: remove the outliers, or leave the feature out"
    )]
    Saturated {
        /// Number of values beyond the last cell.
        saturated: u64,
        /// Number of values.
        values: u64,
        /// Distance from the median to the outer edge of the last cell.
        reach: f64,
    },
    /// The edges do not bound bins.
    #[error("bins: {error}")]
    Bins {
        /// The first problem of the list of edges.
        error: BinsError,
    },
    /// HDR bins count positive numbers of at most 1e15 units only.
    #[error("bins: hdr needs positive values, the largest is {largest}")]
    HdrRange {
        /// Largest value of the column.
        largest: f64,
    },
}

/// The values of one column.
#[derive(Debug, Clone, Default)]
pub struct Column {
    /// Finite numbers, in any order.
    pub numbers: Vec<f64>,
    /// Number of occurrences of each category.
    pub categories: FxHashMap<Box<str>, u64>,
    /// Rows by outcome; `fit` computes `values` and `saturated`.
    pub tallies: Tallies,
}

/// Options for the layout of a feature.
#[derive(Debug, Clone, Default)]
pub struct FitOptions {
    /// Numeric features: `None` = [`BinsSpec::DEFAULT_COUNT`] of equal mass.
    pub bins: Option<BinsSpec>,
    /// Number of categories with a bin each, the most frequent first, however rare they are.
    ///
    /// `None` = those with at least 5 rows, at most [`FeatureSpec::DEFAULT_TOP`].
    pub top: Option<usize>,
    /// Layout to use instead of a fitted one.
    pub layout: Option<Arc<Layout>>,
    /// The bins that `layout` was fitted with, if they are known.
    pub layout_bins: Option<BinsSpec>,
}

/// Fits the reference of one feature.
///
/// # Errors
/// The column has no usable value, or its values do not fit the bins of `options`.
pub fn fit(
    name: &str,
    kind: Kind,
    column: Column,
    options: &FitOptions,
) -> Result<FeatureReference, FitError> {
    match kind {
        Kind::Numeric => fit_numbers(name, column, options),
        Kind::Categorical | Kind::Boolean => fit_categories(name, kind, &column, options),
    }
}

fn fit_numbers(
    name: &str,
    mut column: Column,
    options: &FitOptions,
) -> Result<FeatureReference, FitError> {
    column.numbers.sort_by(f64::total_cmp);
    let sorted = &column.numbers;
    let mut facts = NumberFacts::of(sorted).ok_or_else(|| no_values(&column.tallies))?;
    let is_counted = matches!(options.bins, None | Some(BinsSpec::Count(_)));
    facts.edges_given = options.layout.is_some() || !is_counted;
    let fitted_bins = match options.layout {
        Some(_) => options.layout_bins.clone(),
        None => Some(
            options
                .bins
                .clone()
                .unwrap_or(BinsSpec::Count(BinsSpec::DEFAULT_COUNT)),
        ),
    };
    let numeric = match options.layout.as_deref() {
        Some(Layout::Numeric(layout)) => layout.clone(),
        _ => NumericLayout::new(
            Bins::try_new(edges(sorted, facts, options.bins.as_ref())?)
                .map_err(|error| FitError::Bins { error })?,
            CellScale::fit(sorted, facts.std).ok_or_else(|| no_values(&column.tallies))?,
        ),
    };
    let atoms = atoms_of_values(sorted, &numeric);
    let saturated = sorted
        .iter()
        .filter(|x| numeric.cells.locate(**x).saturated)
        .count();
    let tallies = Tallies {
        values: sorted.len() as u64,
        saturated: saturated as u64,
        ..column.tallies
    };
    // Values in the layout of another reference may lie anywhere.
    if options.layout.is_none() && tallies.is_saturated() {
        return Err(FitError::Saturated {
            saturated: tallies.saturated,
            values: tallies.values,
            reach: numeric.cells.edge(CELLS) - numeric.cells.median(),
        });
    }
    let layout = Layout::Numeric(numeric);
    Ok(FeatureReference {
        name: name.to_owned(),
        kind: Kind::Numeric,
        counts: counts_of_atoms(&atoms, &layout, tallies),
        layout: Arc::new(layout),
        bins: fitted_bins,
        numbers: Some(facts),
        atoms,
        seen_once: 0,
        seen_twice: 0,
    })
}

fn edges(
    sorted: &[f64],
    facts: NumberFacts,
    bins: Option<&BinsSpec>,
) -> Result<Vec<f64>, FitError> {
    match bins {
        Some(BinsSpec::Edges(edges)) => Ok(edges.clone()),
        Some(BinsSpec::Hdr(hdr)) => hdr_edges(facts, *hdr),
        Some(BinsSpec::Count(count)) => Ok(histogram_edges(sorted, *count)),
        None => Ok(histogram_edges(sorted, BinsSpec::DEFAULT_COUNT)),
    }
}

/// Edges at the limits of the log-linear buckets of an HDR histogram.
///
/// From the bucket of the smallest value (at least 0) to the bucket of the largest, in units of
/// `hdr.unit`, with `hdr.digits` significant digits. Source: hdrhistogram.org.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bounded by the range checked first"
)]
fn hdr_edges(facts: NumberFacts, hdr: HdrBins) -> Result<Vec<f64>, FitError> {
    const LARGEST: f64 = 1e15;
    let top = facts.max / hdr.unit;
    if !(1.0..=LARGEST).contains(&top) {
        return Err(FitError::HdrRange { largest: facts.max });
    }
    let histogram = Histogram::<u64>::new_with_bounds(1, (top as u64).max(2), hdr.digits)
        .map_err(|_| FitError::HdrRange { largest: facts.max })?;
    let mut edge = histogram.lowest_equivalent((facts.min.max(0.0) / hdr.unit) as u64);
    let last = histogram.next_non_equivalent(top as u64);
    let mut edges = vec![edge as f64 * hdr.unit];
    while edge < last {
        edge = histogram.next_non_equivalent(edge);
        edges.push(edge as f64 * hdr.unit);
    }
    Ok(edges)
}

fn fit_categories(
    name: &str,
    kind: Kind,
    column: &Column,
    options: &FitOptions,
) -> Result<FeatureReference, FitError> {
    let values: u64 = column.categories.values().sum();
    if values == 0 {
        return Err(no_values(&column.tallies));
    }
    let layout = match options.layout.as_deref() {
        Some(Layout::Categorical(layout)) => layout.clone(),
        _ if kind == Kind::Boolean => booleans(column),
        _ => categories(column, options.top),
    };
    let mut bins = vec![0; layout.unseen() + 1];
    let mut counted: Vec<(&Box<str>, &u64)> = column.categories.iter().collect();
    counted.sort_unstable();
    for (category, count) in counted {
        bins[layout.index(category)] += count;
    }
    let tallies = Tallies {
        values,
        ..column.tallies
    };
    Ok(FeatureReference {
        name: name.to_owned(),
        kind,
        layout: Arc::new(Layout::Categorical(layout)),
        bins: None,
        counts: FeatureCounts {
            tallies,
            bins,
            ..FeatureCounts::default()
        },
        numbers: None,
        atoms: Vec::new(),
        seen_once: occurring(column, 1),
        seen_twice: occurring(column, 2),
    })
}

/// Number of categories that occur `times` times.
fn occurring(column: &Column, times: u64) -> u64 {
    let counts = column.categories.values();
    counts.filter(|count| **count == times).count() as u64
}

/// A layout with a bin for `false` and for `true`, where they occur.
///
/// The other value of a constant is unseen: any change of a constant is news. A bin that is always
/// empty would have no noise, and a score without noise has no threshold.
fn booleans(column: &Column) -> CategoricalLayout {
    let names = ["false", "true"]
        .into_iter()
        .filter(|name| column.categories.contains_key(*name))
        .map(str::to_owned)
        .collect();
    CategoricalLayout::new(names, Vec::new())
}

/// A layout with a bin for each of the most frequent categories, ties by name.
fn categories(column: &Column, top: Option<usize>) -> CategoricalLayout {
    let mut ranked: Vec<(&str, u64)> = column
        .categories
        .iter()
        .map(|(name, count)| (&**name, *count))
        .collect();
    ranked.sort_unstable_by_key(|(name, count)| (Reverse(*count), *name));
    let frequent = ranked
        .iter()
        .filter(|(_, count)| *count >= MIN_ROWS)
        .count();
    let top = top
        .unwrap_or(frequent.min(FeatureSpec::DEFAULT_TOP))
        .min(ranked.len());
    let names = |ranked: &[(&str, u64)]| {
        ranked
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect::<Vec<_>>()
    };
    CategoricalLayout::new(names(&ranked[..top]), names(&ranked[top..]))
}

fn no_values(tallies: &Tallies) -> FitError {
    FitError::NoValues {
        events: tallies.events(),
        missing: tallies.missing_total(),
        invalid: tallies.invalid_total(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(xs: impl IntoIterator<Item = f64>) -> Column {
        Column {
            numbers: xs.into_iter().collect(),
            ..Column::default()
        }
    }

    fn words(words: &[(&str, u64)]) -> Column {
        let categories = words
            .iter()
            .map(|(word, count)| ((*word).into(), *count))
            .collect();
        Column {
            categories,
            ..Column::default()
        }
    }

    fn names(column: &Column, top: Option<usize>) -> (Vec<String>, Vec<String>) {
        let layout = categories(column, top);
        (layout.names().to_vec(), layout.others().to_vec())
    }

    #[test]
    fn a_numeric_reference_has_bins_cells_and_exact_facts() {
        let fitted = fit(
            "x",
            Kind::Numeric,
            numbers((0..1000).map(f64::from)),
            &FitOptions::default(),
        )
        .unwrap();
        assert_eq!(fitted.counts.bins.len(), 22, "20 bins and two guards");
        assert_eq!(fitted.counts.bins[1..21], [50; 20], "equal mass");
        assert_eq!(fitted.counts.cells.total(), 1000, "cells");
        let facts = fitted.numbers.unwrap();
        assert_eq!(
            (facts.min, facts.max, facts.min_tied, facts.max_tied),
            (0.0, 999.0, false, false),
            "ends"
        );
        assert!((facts.mean - 499.5).abs() < 1e-9, "mean {}", facts.mean);
    }

    #[test]
    fn rare_categories_share_a_bin_unless_top_is_set() {
        let column = words(&[("a", 10), ("b", 5), ("c", 4), ("d", 4)]);
        let text = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            names(&column, None),
            (text(&["a", "b"]), text(&["c", "d"])),
            "at least 5 rows"
        );
        assert_eq!(
            names(&column, Some(3)),
            (text(&["a", "b", "c"]), text(&["d"])),
            "ties by name"
        );
        let fitted = fit("x", Kind::Categorical, column, &FitOptions::default()).unwrap();
        assert_eq!(
            fitted.counts.bins,
            [10, 5, 8, 0],
            "two categories, other, unseen"
        );
    }

    #[test]
    fn hdr_edges_are_log_linear_and_cover_the_range() {
        let bins = Some(BinsSpec::Hdr(HdrBins {
            digits: 1,
            unit: 0.001,
        }));
        let options = FitOptions {
            bins,
            ..FitOptions::default()
        };
        let fitted = fit(
            "ms",
            Kind::Numeric,
            numbers((1..=10_000).map(|i| f64::from(i) / 1000.0)),
            &options,
        )
        .unwrap();
        let layout = fitted.layout.numeric().unwrap();
        assert!(
            layout.bins.edges().len() > 50,
            "{} edges",
            layout.bins.edges().len()
        );
        assert_eq!(
            (fitted.counts.bins[0], fitted.counts.bins.last()),
            (0, Some(&0)),
            "nothing out of range"
        );
    }

    #[test]
    fn the_error_for_a_column_without_values_counts_its_rows() {
        let tallies = Tallies {
            missing: [3, 0, 0],
            ..Tallies::default()
        };
        let error = fit(
            "x",
            Kind::Numeric,
            Column {
                tallies,
                ..Column::default()
            },
            &FitOptions::default(),
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "no usable value in 3 rows (3 missing, 0 of the wrong kind or infinite)",
            "text"
        );
    }

    #[test]
    fn a_reference_can_be_fitted_in_the_layout_of_another() {
        let first = fit(
            "x",
            Kind::Numeric,
            numbers((0..100).map(f64::from)),
            &FitOptions::default(),
        )
        .unwrap();
        let options = FitOptions {
            layout: Some(Arc::clone(&first.layout)),
            ..FitOptions::default()
        };
        let second = fit(
            "x",
            Kind::Numeric,
            numbers((50..250).map(f64::from)),
            &options,
        )
        .unwrap();
        assert_eq!(second.layout, first.layout, "same edges and cells");
        assert_eq!(second.counts.bins.last(), Some(&150), "above the old range");
    }
}

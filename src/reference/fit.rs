//! Fitting: from the values of a column to a frozen layout and its counts.

use std::cmp::Reverse;
use std::sync::Arc;

use hdrhistogram::Histogram;
use rustc_hash::FxHashMap;

use super::{Atom, FeatureReference, NumberFacts};
use crate::model::{BinsSpec, HdrBins, Kind};
use crate::stats::{
    Bins, BinsError, CategoricalLayout, CellScale, FeatureCounts, Layout, NumericLayout, Tallies,
    histogram_edges, spread,
};

/// Bins of equal mass when nothing else is asked for.
pub const DEFAULT_BINS: usize = 20;
/// Categories with a bin of their own when nothing else is asked for.
pub const DEFAULT_TOP: usize = 50;
/// A category with fewer rows shares the bin `other`.
const RARE: u64 = 5;

/// Why a feature has no reference.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// Nothing to fit.
    #[error(
        "no usable value in {events} rows ({missing} missing, {invalid} of the wrong kind or infinite)"
    )]
    NoValues {
        /// Rows read.
        events: u64,
        /// Rows without a value.
        missing: u64,
        /// Rows with an unusable value.
        invalid: u64,
    },
    /// Edges that bound no bins.
    #[error("bins: {0}")]
    Bins(#[from] BinsError),
    /// HDR bins count positive numbers only.
    #[error("bins: hdr needs positive values, the largest is {0}")]
    HdrRange(f64),
}

/// The values of one column.
#[derive(Debug, Clone, Default)]
pub struct Column {
    /// Finite numbers, in any order.
    pub numbers: Vec<f64>,
    /// Categories and how often each occurs.
    pub categories: FxHashMap<Box<str>, u64>,
    /// How the rows fared; `values` is filled in when the column is fitted.
    pub tallies: Tallies,
}

/// How a feature is to be laid out.
#[derive(Debug, Clone, Default)]
pub struct FitOptions {
    /// Numeric features: `None` = [`DEFAULT_BINS`] of equal mass.
    pub bins: Option<BinsSpec>,
    /// Categorical features: `None` = [`DEFAULT_TOP`], rare ones in `other`.
    pub top: Option<usize>,
    /// Use this layout instead of making one.
    pub layout: Option<Arc<Layout>>,
}

/// Fits one feature.
///
/// # Errors
/// There is no value, or the bins asked for are impossible.
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
    let made = match options.layout.as_deref() {
        Some(Layout::Numeric(layout)) => layout.clone(),
        _ => NumericLayout {
            bins: Bins::try_new(edges(sorted, facts, options.bins.as_ref())?)?,
            cells: CellScale::fit(sorted, facts.std)
                .map(|(scale, _)| scale)
                .ok_or_else(|| no_values(&column.tallies))?,
        },
    };
    let atoms = atoms(sorted, &made);
    let layout = Layout::Numeric(made);
    let saturated = sorted.iter().filter(|x| {
        layout
            .numeric()
            .is_some_and(|own| own.cells.locate(**x).saturated)
    });
    let tallies = Tallies {
        saturated: saturated.count() as u64,
        ..column.tallies
    };
    Ok(FeatureReference {
        name: name.to_owned(),
        kind: Kind::Numeric,
        counts: counts_of_atoms(&atoms, &layout, tallies),
        layout: Arc::new(layout),
        numbers: Some(facts),
        atoms,
        seen_once: 0,
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
        None => Ok(histogram_edges(sorted, DEFAULT_BINS)),
    }
}

/// Edges at the log-linear buckets of an HDR histogram, from the bucket of the smallest positive value to that of the largest.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bounded by the range checked first"
)]
fn hdr_edges(facts: NumberFacts, hdr: HdrBins) -> Result<Vec<f64>, FitError> {
    const LARGEST: f64 = 1e15;
    let top = facts.max / hdr.unit;
    if !(1.0..=LARGEST).contains(&top) {
        return Err(FitError::HdrRange(facts.max));
    }
    let histogram = Histogram::<u64>::new_with_bounds(1, (top as u64).max(2), hdr.digits)
        .map_err(|_| FitError::HdrRange(facts.max))?;
    let mut at = histogram.lowest_equivalent((facts.min.max(0.0) / hdr.unit) as u64);
    let last = histogram.next_non_equivalent(top as u64);
    let mut edges = vec![at as f64 * hdr.unit];
    while at < last {
        at = histogram.next_non_equivalent(at);
        edges.push(at as f64 * hdr.unit);
    }
    Ok(edges)
}

/// Counts and sums of places per pair of cell and score bin, ascending.
fn atoms(sorted: &[f64], layout: &NumericLayout) -> Vec<Atom> {
    let mut atoms: Vec<Atom> = Vec::new();
    for &x in sorted {
        let place = layout.cells.locate(x);
        let (cell, bin) = (place.cell, layout.bins.index(x));
        match atoms
            .last_mut()
            .filter(|atom| atom.cell == cell && atom.bin == bin)
        {
            Some(atom) => {
                atom.count += 1;
                atom.sum += place.outward;
            }
            None => atoms.push(Atom {
                cell,
                bin,
                count: 1,
                sum: place.outward,
            }),
        }
    }
    atoms
}

/// The margins of atoms: counts per bin and per cell.
pub(super) fn counts_of_atoms(atoms: &[Atom], layout: &Layout, tallies: Tallies) -> FeatureCounts {
    let mut counts = FeatureCounts::new(layout);
    for atom in atoms {
        counts.bins[atom.bin] += atom.count;
        counts.cells.add(atom.cell, atom.count, atom.sum);
    }
    counts.tallies = Tallies {
        values: atoms.iter().map(|atom| atom.count).sum(),
        ..tallies
    };
    counts
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
        _ if kind == Kind::Boolean => {
            CategoricalLayout::new(vec!["false".to_owned(), "true".to_owned()], Vec::new())
        }
        _ => categories(column, options.top),
    };
    let mut bins = vec![0; layout.unseen() + 1];
    let mut known: Vec<(&Box<str>, &u64)> = column.categories.iter().collect();
    known.sort_unstable();
    for (category, count) in known {
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
        counts: FeatureCounts {
            tallies,
            bins,
            ..FeatureCounts::default()
        },
        numbers: None,
        atoms: Vec::new(),
        seen_once: column
            .categories
            .values()
            .filter(|count| **count == 1)
            .count() as u64,
    })
}

/// The most frequent categories first, ties by name.
fn categories(column: &Column, top: Option<usize>) -> CategoricalLayout {
    let mut ranked: Vec<(&str, u64)> = column
        .categories
        .iter()
        .map(|(name, count)| (&**name, *count))
        .collect();
    ranked.sort_unstable_by_key(|(name, count)| (Reverse(*count), *name));
    let common = ranked.iter().filter(|(_, count)| *count >= RARE).count();
    let own = top
        .unwrap_or_else(|| common.min(DEFAULT_TOP))
        .min(ranked.len());
    let names = |part: &[(&str, u64)]| part.iter().map(|(name, _)| (*name).to_owned()).collect();
    CategoricalLayout::new(names(&ranked[..own]), names(&ranked[own..]))
}

fn no_values(tallies: &Tallies) -> FitError {
    FitError::NoValues {
        events: tallies.events(),
        missing: tallies.missing_total(),
        invalid: tallies.invalid_total(),
    }
}

impl NumberFacts {
    /// The facts of values in ascending order; `None` without values.
    #[must_use]
    pub fn of(sorted: &[f64]) -> Option<Self> {
        let (mean, std) = spread(sorted)?;
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let is_tied =
            |other: Option<&f64>, end: f64| other.is_some_and(|x| x.total_cmp(&end).is_eq());
        let before_last = sorted.len().checked_sub(2).and_then(|at| sorted.get(at));
        let (min_tied, max_tied) = (is_tied(sorted.get(1), min), is_tied(before_last, max));
        Some(NumberFacts {
            mean,
            std,
            min,
            max,
            min_tied,
            max_tied,
            edges_given: false,
        })
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
    fn rare_categories_share_a_bin_unless_top_says_otherwise() {
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
        assert_eq!(fitted.counts.bins, [10, 5, 8, 0], "own, other, unseen");
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
    fn a_column_without_values_says_what_it_has() {
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
    fn another_reference_can_lend_its_layout() {
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

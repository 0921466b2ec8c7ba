//! Builds references and windows from columns of the data sets.

use std::sync::Arc;

use pegel::decode::{Reading, category, number};
use pegel::model::{BinsSpec, Kind, Slot, TextRange};
use pegel::reference::{Column, FeatureReference, FitOptions, fit};
use pegel::stats::{FeatureCounts, Layout};

/// A cell of a table, in the form in which decoding returns it.
fn cell(text: &str) -> Slot {
    match u32::try_from(text.len()).unwrap() {
        0 => Slot::Null,
        end => Slot::Cell(TextRange { start: 0, end }),
    }
}

/// The usable values of some cells.
pub(crate) fn sample<'a>(kind: Kind, cells: impl IntoIterator<Item = &'a str>) -> Column {
    let mut column = Column::default();
    let mut buffer = String::new();
    for text in cells {
        if kind == Kind::Numeric {
            if let Reading::Value(x) = number(cell(text), text) {
                column.numbers.push(x);
            }
        } else if let Reading::Value(name) = category(cell(text), text, &mut buffer) {
            *column.categories.entry(name.into()).or_default() += 1;
        }
    }
    column
}

/// A numeric reference.
pub(crate) fn fit_numbers(bins: Option<BinsSpec>, column: Column) -> Arc<FeatureReference> {
    let options = FitOptions {
        bins,
        ..FitOptions::default()
    };
    Arc::new(fit("x", Kind::Numeric, column, &options).unwrap())
}

/// A categorical reference in a given layout.
pub(crate) fn fit_categories(layout: Layout, column: Column) -> Arc<FeatureReference> {
    let options = FitOptions {
        layout: Some(Arc::new(layout)),
        ..FitOptions::default()
    };
    Arc::new(fit("x", Kind::Categorical, column, &options).unwrap())
}

/// Counts cells in the layout of a reference.
pub(crate) fn window<'a>(
    reference: &FeatureReference,
    cells: impl IntoIterator<Item = &'a str>,
) -> FeatureCounts {
    let mut counts = FeatureCounts::new(&reference.layout);
    let mut buffer = String::new();
    for text in cells {
        match &*reference.layout {
            Layout::Numeric(layout) => {
                if let Reading::Value(x) = number(cell(text), text) {
                    counts.record_number(layout, x);
                }
            }
            Layout::Categorical(layout) => {
                if let Reading::Value(name) = category(cell(text), text, &mut buffer) {
                    counts.record_category(layout, name);
                }
            }
        }
    }
    counts
}

/// A numeric reference fitted on values.
pub(crate) fn numeric_reference(bins: Option<BinsSpec>, values: &[f64]) -> Arc<FeatureReference> {
    fit_numbers(
        bins,
        Column {
            numbers: values.to_vec(),
            ..Column::default()
        },
    )
}

/// Counts values in the layout of a reference.
pub(crate) fn numeric_window(reference: &FeatureReference, values: &[f64]) -> FeatureCounts {
    let mut counts = FeatureCounts::new(&reference.layout);
    let layout = reference.layout.numeric().unwrap();
    values.iter().for_each(|x| counts.record_number(layout, *x));
    counts
}

/// The edges `inner` with open ends.
pub(crate) fn open_edges(inner: &[f64]) -> BinsSpec {
    let ends = ([f64::NEG_INFINITY], [f64::INFINITY]);
    BinsSpec::Edges([&ends.0, inner, &ends.1].concat())
}

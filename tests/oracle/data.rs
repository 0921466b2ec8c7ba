//! Where the data sets are, and how a column becomes a reference or a window.

use std::path::PathBuf;
use std::sync::Arc;

use pegel::model::{BinsSpec, FeatureSpec, Kind, Role, Slot, TextRange};
use pegel::reference::{FeatureReference, Sample, count, fit_feature};
use pegel::stats::FeatureCounts;

/// The folder of a data set; `None` when it is absent and that is allowed.
pub(crate) fn folder(name: &str) -> Option<PathBuf> {
    let shared = std::env::var("PEGEL_SHARED").map_or_else(
        |_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    let folder = shared.join("data").join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    let required = std::env::var("PEGEL_TEST_REQUIRE").is_ok_and(|value| value == "1");
    assert!(!required, "data set {name} is required and absent");
    println!("skipped: data set {name} is absent");
    None
}

pub(crate) fn spec(bins: Option<BinsSpec>) -> FeatureSpec {
    FeatureSpec {
        name: "x".to_owned(),
        path: None,
        kind: None,
        role: Role::Feature,
        bins,
        top: None,
    }
}

/// A cell of a table as decoding hands it on.
pub(crate) fn cell(text: &str) -> Slot {
    match u32::try_from(text.len()).unwrap() {
        0 => Slot::Null,
        end => Slot::Cell(TextRange { start: 0, end }),
    }
}

pub(crate) fn sample<'a>(kind: Kind, cells: impl IntoIterator<Item = &'a str>) -> Sample {
    let mut sample = Sample::new(kind);
    let mut buffer = String::new();
    for text in cells {
        sample.observe(cell(text), text, &mut buffer);
    }
    sample
}

pub(crate) fn window<'a>(
    reference: &FeatureReference,
    cells: impl IntoIterator<Item = &'a str>,
) -> FeatureCounts {
    let mut counts = FeatureCounts::new(&reference.layout);
    let mut buffer = String::new();
    for text in cells {
        let FeatureReference { kind, layout, .. } = reference;
        count(&mut counts, *kind, layout, cell(text), text, &mut buffer);
    }
    counts
}

fn number(x: f64) -> Slot {
    Slot::Number(x, TextRange { start: 0, end: 0 })
}

pub(crate) fn numeric_reference(bins: Option<BinsSpec>, values: &[f64]) -> Arc<FeatureReference> {
    let mut sample = Sample::new(Kind::Numeric);
    let mut buffer = String::new();
    for x in values {
        sample.observe(number(*x), "", &mut buffer);
    }
    Arc::new(fit_feature(&spec(bins), sample).unwrap())
}

pub(crate) fn numeric_window(reference: &FeatureReference, values: &[f64]) -> FeatureCounts {
    let mut counts = FeatureCounts::new(&reference.layout);
    let mut buffer = String::new();
    for x in values {
        let layout = &reference.layout;
        count(
            &mut counts,
            Kind::Numeric,
            layout,
            number(*x),
            "",
            &mut buffer,
        );
    }
    counts
}

/// `inner` with open ends.
pub(crate) fn open_edges(inner: &[f64]) -> BinsSpec {
    let ends = ([f64::NEG_INFINITY], [f64::INFINITY]);
    BinsSpec::Edges([&ends.0, inner, &ends.1].concat())
}

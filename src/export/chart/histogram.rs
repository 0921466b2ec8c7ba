//! The histogram of a numeric feature: reference and window in one frame, their difference below.

use askama::Template;

use super::axis::{Axis, Tick};
use super::cumulative::Cumulative;
use super::path::{Path, outline};
use super::picture::Picture;
use crate::stats::{FeatureCounts, NumericLayout, ReadableQuantiles};

/// Width and height of the frame, and of the strip of differences, in SVG units.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 170.0;
const STRIP: f64 = 44.0;

#[derive(Template)]
#[template(path = "histogram.svg", config = ".askama.toml")]
struct Histogram {
    description: String,
    reference: String,
    window: Option<String>,
    more: String,
    less: String,
    ticks: Vec<Tick>,
}

/// The histogram of a window over that of its reference; `None` where the reference has no values.
///
/// # Errors
/// The template fails.
pub(in crate::export) fn histogram(
    layout: &NumericLayout,
    reference: &FeatureCounts,
    window: Option<&FeatureCounts>,
) -> askama::Result<Option<Picture>> {
    let scale = &layout.cells;
    let Some(before) = Cumulative::of(&reference.cells, scale) else {
        return Ok(None);
    };
    let after = window.and_then(|window| Cumulative::of(&window.cells, scale));
    let is_whole = ReadableQuantiles::new(&reference.cells, scale).is_whole();
    let axis = Axis::new(&before, after.as_ref(), scale, is_whole);
    let shares_before = shares(&before, &axis);
    let shares_after = after.as_ref().map(|after| shares(after, &axis));
    let highest = shares_before
        .iter()
        .chain(shares_after.iter().flatten())
        .fold(f64::MIN_POSITIVE, |highest, share| highest.max(*share));
    let (more, less) = shares_after
        .as_ref()
        .map(|shares_after| differences(&shares_before, shares_after))
        .unwrap_or_default();
    let compressed = if axis.is_compressed() {
        "; the axis is compressed far from the reference"
    } else {
        ""
    };
    let outlined = |shares: &[f64]| outline(shares, highest, (WIDTH, HEIGHT)).into_data();
    let picture = Histogram {
        description: format!("Histogram of the reference and of the window{compressed}"),
        reference: outlined(&shares_before),
        window: shares_after.as_deref().map(outlined),
        more,
        less,
        ticks: axis.ticks(WIDTH),
    };
    Ok(Some(Picture {
        svg: picture.render()?,
        is_compressed: axis.is_compressed(),
    }))
}

/// The share of each bar; those at the ends have what lies beyond the axis.
fn shares(side: &Cumulative, axis: &Axis<'_>) -> Vec<f64> {
    let reached = |bar: usize| match bar {
        0 => 0.0,
        bar if bar == axis.bars => 1.0,
        bar => side.share(axis.number(bar as f64 / axis.bars as f64)),
    };
    (0..axis.bars)
        .map(|bar| reached(bar + 1) - reached(bar))
        .collect()
}

/// The bars of shares that grew, and of those that shrank, around the middle of the strip.
fn differences(before: &[f64], after: &[f64]) -> (String, String) {
    let middle = STRIP / 2.0;
    let largest = before
        .iter()
        .zip(after)
        .map(|(before, after)| (after - before).abs())
        .fold(f64::MIN_POSITIVE, f64::max);
    // A difference is drawn to the scale of the shares, unless it would not be seen.
    let scale = middle / largest.max(0.01);
    let width = WIDTH / before.len() as f64;
    let (mut more, mut less) = (Path::default(), Path::default());
    for (bar, (before, after)) in before.iter().zip(after).enumerate() {
        let height = (after - before).abs() * scale;
        if height < 0.05 {
            continue;
        }
        let x = bar as f64 * width;
        if after > before {
            more.rectangle(x, middle - height, width, height);
        } else {
            less.rectangle(x, middle, width, height);
        }
    }
    (more.into_data(), less.into_data())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;
    use crate::reference::{Column, FeatureReference, FitOptions, fit};

    fn reference() -> FeatureReference {
        let column = Column {
            numbers: (0..5000).map(|i| f64::from(i % 1000) / 10.0).collect(),
            ..Column::default()
        };
        fit("x", Kind::Numeric, column, &FitOptions::default()).unwrap()
    }

    #[test]
    fn shares_of_both_sides_add_up_to_one() {
        let reference = reference();
        let layout = reference.layout.numeric().unwrap();
        let before = Cumulative::of(&reference.counts.cells, &layout.cells).unwrap();
        let axis = Axis::new(&before, None, &layout.cells, false);
        let total: f64 = shares(&before, &axis).iter().sum();
        assert!((total - 1.0).abs() < 1e-9, "{total}");
    }

    #[test]
    fn a_picture_is_small_and_names_nothing_from_the_data() {
        let reference = reference();
        let layout = reference.layout.numeric().unwrap();
        let mut window = FeatureCounts::new(&reference.layout);
        (0..500).for_each(|i| window.record_number(layout, f64::from(i) * 100.0));
        let picture = histogram(layout, &reference.counts, Some(&window))
            .unwrap()
            .unwrap();
        assert!(picture.svg.len() < 4_000, "{}", picture.svg.len());
        assert!(picture.is_compressed, "values up to 50,000 beside 100");
        let empty = FeatureCounts::new(&reference.layout);
        let alone = histogram(layout, &reference.counts, Some(&empty)).unwrap();
        assert!(
            !alone.unwrap().svg.contains("class=\"window\""),
            "no values"
        );
        assert!(histogram(layout, &empty, None).unwrap().is_none());
    }
}

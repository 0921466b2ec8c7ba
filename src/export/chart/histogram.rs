//! The histogram of a numeric feature: reference and window in one frame, their difference below.

use askama::Template;

use super::axis::{Axis, Tick};
use super::cumulative::Cumulative;
use super::path::{Path, outline};
use super::sides::{FRAME, Sides};

/// Height of the strip of differences in SVG units.
const STRIP: f64 = 44.0;

/// The histogram of a window over that of its reference.
#[derive(Template)]
#[template(path = "histogram.svg", config = ".askama.toml")]
pub(in crate::export) struct Histogram {
    /// True if distances on the axis are not proportional to differences of numbers.
    pub(in crate::export) is_compressed: bool,
    reference: String,
    /// `None` where the window has no values.
    window: Option<String>,
    more: String,
    less: String,
    ticks: Vec<Tick>,
}

/// The histogram of a window over that of its reference.
pub(in crate::export) fn histogram(sides: &Sides<'_>) -> Histogram {
    let axis = &sides.axis;
    let before = shares(&sides.before, axis);
    let after = sides.after.as_ref().map(|after| shares(after, axis));
    let highest = before
        .iter()
        .chain(after.iter().flatten())
        .fold(f64::MIN_POSITIVE, |highest, share| highest.max(*share));
    let (more, less) = after
        .as_ref()
        .map(|after| differences(&before, after))
        .unwrap_or_default();
    let outlined = |shares: &[f64]| outline(shares, highest, FRAME).into_data();
    Histogram {
        is_compressed: axis.is_compressed(),
        reference: outlined(&before),
        window: after.as_deref().map(outlined),
        more,
        less,
        ticks: axis.ticks(FRAME.0),
    }
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
    let width = FRAME.0 / before.len() as f64;
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
    use crate::stats::FeatureCounts;

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
        let sides = Sides::of(layout, &reference.counts, &reference.counts).unwrap();
        let total: f64 = shares(&sides.before, &sides.axis).iter().sum();
        assert!((total - 1.0).abs() < 1e-9, "{total}");
    }

    #[test]
    fn a_picture_is_small_and_names_nothing_from_the_data() {
        let reference = reference();
        let layout = reference.layout.numeric().unwrap();
        let mut window = FeatureCounts::new(&reference.layout);
        (0..500).for_each(|i| window.record_number(layout, f64::from(i) * 100.0));
        let picture = |reference, window| {
            let sides = Sides::of(layout, reference, window)?;
            let picture = histogram(&sides);
            Some((picture.to_string(), picture.is_compressed))
        };
        let (svg, is_compressed) = picture(&reference.counts, &window).unwrap();
        assert!(svg.len() < 4_000, "{}", svg.len());
        assert!(is_compressed, "values up to 50,000 beside 100");
        let empty = FeatureCounts::new(&reference.layout);
        let (alone, _) = picture(&reference.counts, &empty).unwrap();
        assert!(!alone.contains("class=\"window\""), "no values");
        assert!(picture(&empty, &empty).is_none());
    }
}

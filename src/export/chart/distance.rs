//! The Wasserstein distance as a picture: the area between two cumulative shares.

use askama::Template;

use super::axis::{Axis, Tick};
use super::cumulative::Cumulative;
use super::path::Path;
use super::picture::Picture;
use crate::stats::{FeatureCounts, NumericLayout, ReadableQuantiles};

/// Width and height of the frame in SVG units.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 170.0;
/// Points of a line.
const POINTS: usize = 120;

#[derive(Template)]
#[template(path = "distance.svg", config = ".askama.toml")]
struct Distance {
    description: String,
    area: String,
    reference: String,
    window: String,
    ticks: Vec<Tick>,
}

/// The cumulative shares of window and reference with the area between them, which is the
/// Wasserstein distance on a linear axis; `None` where a side has no values.
///
/// # Errors
/// The template fails.
pub(in crate::export) fn distance(
    layout: &NumericLayout,
    reference: &FeatureCounts,
    window: &FeatureCounts,
) -> askama::Result<Option<Picture>> {
    let scale = &layout.cells;
    let sides = Cumulative::of(&reference.cells, scale).zip(Cumulative::of(&window.cells, scale));
    let Some((before, after)) = sides else {
        return Ok(None);
    };
    let is_whole = ReadableQuantiles::new(&reference.cells, scale).is_whole();
    let axis = Axis::new(&before, Some(&after), scale, is_whole);
    let [before, after] = [before, after].map(|side| line(&side, &axis));
    let mut area = Path::default();
    for (index, (x, y)) in before.iter().chain(after.iter().rev()).enumerate() {
        match index {
            0 => area.move_to(*x, *y),
            _ => area.line_to(*x, *y),
        }
    }
    area.close();
    let compressed = if axis.is_compressed() {
        "; the axis is compressed far from the reference, and so is the area"
    } else {
        "; the area between them is the Wasserstein distance"
    };
    let picture = Distance {
        description: format!("Cumulative shares of the reference and of the window{compressed}"),
        area: area.into_data(),
        reference: drawn(&before),
        window: drawn(&after),
        ticks: axis.ticks(WIDTH),
    };
    Ok(Some(Picture {
        svg: picture.render()?,
        is_compressed: axis.is_compressed(),
    }))
}

/// The points of a line, from the left end of the axis to the right one.
fn line(side: &Cumulative, axis: &Axis<'_>) -> Vec<(f64, f64)> {
    let bends = side
        .points()
        .iter()
        .map(|(x, _)| axis.position(*x))
        .filter(|position| *position > 0.0 && *position < 1.0);
    // A step has two bends at one place, and its lower end must come first.
    let mut positions: Vec<f64> = if side.points().len() <= POINTS {
        bends.collect()
    } else {
        (1..POINTS)
            .map(|point| point as f64 / POINTS as f64)
            .collect()
    };
    positions.dedup();
    let mut points = Vec::with_capacity(2 * positions.len() + 2);
    let y = |share: f64| HEIGHT * (1.0 - share);
    points.push((0.0, y(side.share(axis.number(0.0)))));
    for position in positions {
        let (x, number) = (position * WIDTH, axis.number(position));
        let step = number.abs().max(f64::MIN_POSITIVE) * 1e-9;
        let (below, above) = (side.share(number - step), side.share(number + step));
        points.push((x, y(below)));
        if above - below > 0.002 {
            points.push((x, y(above)));
        }
    }
    points.push((WIDTH, y(side.share(axis.number(1.0)))));
    points
}

fn drawn(points: &[(f64, f64)]) -> String {
    let mut path = Path::default();
    for (index, (x, y)) in points.iter().enumerate() {
        match index {
            0 => path.move_to(*x, *y),
            _ => path.line_to(*x, *y),
        }
    }
    path.into_data()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;
    use crate::reference::{Column, FitOptions, fit};
    use crate::stats::transport;

    /// The area between two lines, in SVG units.
    fn area(before: &[(f64, f64)], after: &[(f64, f64)]) -> f64 {
        let ring: Vec<(f64, f64)> = before.iter().chain(after.iter().rev()).copied().collect();
        let next = ring.iter().cycle().skip(1);
        let doubled: f64 = ring
            .iter()
            .zip(next)
            .map(|(a, b)| a.0 * b.1 - b.0 * a.1)
            .sum();
        doubled.abs() / 2.0
    }

    #[test]
    fn the_area_is_the_wasserstein_distance() {
        let column = Column {
            numbers: (0..5000).map(|i| f64::from(i % 1000) / 10.0).collect(),
            ..Column::default()
        };
        let reference = fit("x", Kind::Numeric, column, &FitOptions::default()).unwrap();
        let layout = reference.layout.numeric().unwrap();
        let mut window = FeatureCounts::new(&reference.layout);
        (0..2000).for_each(|i| window.record_number(layout, f64::from(i % 1000) / 10.0 + 30.0));
        let scale = &layout.cells;
        let [before, after] =
            [&reference.counts, &window].map(|side| Cumulative::of(&side.cells, scale).unwrap());
        let axis = Axis::new(&before, Some(&after), scale, false);
        let unit = (axis.number(1.0) - axis.number(0.0)) / WIDTH / HEIGHT;
        let drawn = area(&line(&before, &axis), &line(&after, &axis)) * unit;
        let body = crate::stats::Body::of(&reference.counts.cells, scale);
        let measured = transport(&window.cells, &reference.counts.cells, scale, &body.cells);
        let distance = measured.wasserstein;
        assert!(
            (drawn - distance).abs() < 0.05 * distance,
            "{drawn}: {distance}"
        );
    }
}

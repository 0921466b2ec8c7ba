//! The Wasserstein distance as a picture: the area between two cumulative shares.

use askama::Template;

use super::axis::{Axis, Tick};
use super::cumulative::Cumulative;
use super::path::Path;
use super::sides::{FRAME, Sides};

/// Points of a line.
const POINTS: usize = 120;

/// The cumulative shares of reference and window with the area between them.
#[derive(Template)]
#[template(path = "distance.svg", config = ".askama.toml")]
pub(in crate::export) struct Distance {
    /// True if the area is smaller than the Wasserstein distance, because the axis is compressed.
    pub(in crate::export) is_compressed: bool,
    area: String,
    reference: String,
    window: String,
    ticks: Vec<Tick>,
}

/// The cumulative shares of reference and window with the area between them, which is the
/// Wasserstein distance on a linear axis; `None` where the window has no values.
pub(in crate::export) fn distance(sides: &Sides<'_>) -> Option<Distance> {
    let axis = &sides.axis;
    let (before, after) = (line(&sides.before, axis), line(sides.after.as_ref()?, axis));
    let mut area = Path::through(before.iter().chain(after.iter().rev()));
    area.close();
    Some(Distance {
        is_compressed: axis.is_compressed(),
        area: area.into_data(),
        reference: Path::through(&before).into_data(),
        window: Path::through(&after).into_data(),
        ticks: axis.ticks(FRAME.0),
    })
}

/// The points of a line, from the left end of the axis to the right one.
fn line(side: &Cumulative, axis: &Axis<'_>) -> Vec<(f64, f64)> {
    let bends = side
        .points()
        .iter()
        .map(|(x, _)| axis.position(*x))
        .filter(|position| *position > 0.0 && *position < 1.0);
    let mut positions: Vec<f64> = if side.points().len() <= POINTS {
        bends.collect()
    } else {
        (1..POINTS)
            .map(|point| point as f64 / POINTS as f64)
            .collect()
    };
    positions.dedup();
    let mut points = Vec::with_capacity(2 * positions.len() + 2);
    let (width, height) = FRAME;
    let y = |share: f64| height * (1.0 - share);
    points.push((0.0, y(side.share(axis.number(0.0)))));
    for position in positions {
        let (x, number) = (position * width, axis.number(position));
        // A step has two points at one place, the lower one first.
        let step = number.abs().max(f64::MIN_POSITIVE) * 1e-9;
        let (below, above) = (side.share(number - step), side.share(number + step));
        points.push((x, y(below)));
        if above - below > 0.002 {
            points.push((x, y(above)));
        }
    }
    points.push((width, y(side.share(axis.number(1.0)))));
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;
    use crate::reference::{Column, FitOptions, fit};
    use crate::stats::{Body, FeatureCounts, transport};

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
        let sides = Sides::of(layout, &reference.counts, &window).unwrap();
        let axis = &sides.axis;
        let after = line(sides.after.as_ref().unwrap(), axis);
        let unit = (axis.number(1.0) - axis.number(0.0)) / FRAME.0 / FRAME.1;
        let drawn = area(&line(&sides.before, axis), &after) * unit;
        let scale = &layout.cells;
        let body = Body::of(&reference.counts.cells, scale);
        let measured = transport(&window.cells, &reference.counts.cells, scale, &body.cells);
        let distance = measured.wasserstein;
        assert!(
            (drawn - distance).abs() < 0.05 * distance,
            "{drawn}: {distance}"
        );
    }
}

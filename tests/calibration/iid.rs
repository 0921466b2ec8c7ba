//! Independent values: the 1 % threshold is exceeded by 1 % of windows, for all bins, sizes and
//! shapes of the data.
//!
//! Every cell uses fresh references, because a threshold that holds on average over the windows of
//! one reference may fail on the next one.

use pegel::calibration::WindowContext;
use pegel::model::Statistic;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal, StandardNormal, Zipf};

use crate::support::{
    calibration, categorical, count_categories, count_numbers, is_full, numeric, parallel, rng,
};

const STATISTICS: [Statistic; 9] = [
    Statistic::Js,
    Statistic::JsDistance,
    Statistic::Kl,
    Statistic::KlReverse,
    Statistic::Psi,
    Statistic::Hellinger,
    Statistic::TotalVariation,
    Statistic::Ks,
    Statistic::WassersteinBody,
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    Normal,
    Tied,
    Heavy,
    /// Zipf over fifty values.
    Few,
    /// Zipf over two thousand values, most of them rare.
    Rare,
    /// Zipf over two thousand values with a long tail: many occur once or not at all.
    Long,
}

#[derive(Debug, Clone, Copy)]
struct Cell {
    shape: Shape,
    bins: usize,
    n: usize,
    m: usize,
}

impl Shape {
    fn is_numeric(self) -> bool {
        matches!(self, Shape::Normal | Shape::Tied | Shape::Heavy)
    }

    fn number(self, rng: &mut ChaCha8Rng) -> f64 {
        match self {
            Shape::Heavy => LogNormal::new(3.0, 2.0).unwrap().sample(rng),
            Shape::Tied => {
                let x: f64 = StandardNormal.sample(rng);
                (x * 10.0).round()
            }
            _ => StandardNormal.sample(rng),
        }
    }

    fn category(self, rng: &mut ChaCha8Rng) -> u64 {
        let (values, exponent) = match self {
            Shape::Few => (50.0, 1.1),
            Shape::Long => (2000.0, 1.1),
            _ => (2000.0, 2.0),
        };
        let x: f64 = Zipf::new(values, exponent).unwrap().sample(rng);
        x as u64
    }
}

const WINDOWS: usize = 50;

/// Exceedances of the 1 % threshold by statistic, over the windows of one fresh reference.
fn exceedances(cell: Cell, seed: u64) -> [u32; STATISTICS.len()] {
    let mut rng = rng(seed);
    let reference = if cell.shape.is_numeric() {
        numeric(
            (0..cell.m).map(|_| cell.shape.number(&mut rng)).collect(),
            cell.bins,
        )
    } else {
        categorical(
            &(0..cell.m)
                .map(|_| cell.shape.category(&mut rng))
                .collect::<Vec<_>>(),
        )
    };
    let calibration = calibration(&reference, seed);
    let mut actual = [0; STATISTICS.len()];
    for _ in 0..WINDOWS {
        let window = if cell.shape.is_numeric() {
            count_numbers(&reference, (0..cell.n).map(|_| cell.shape.number(&mut rng)))
        } else {
            count_categories(
                &reference,
                (0..cell.n).map(|_| cell.shape.category(&mut rng)),
            )
        };
        let scores = calibration.scorer().evaluate(&window, 1).unwrap();
        for (actual, statistic) in actual.iter_mut().zip(STATISTICS) {
            let distribution =
                calibration.null_distribution(statistic, &window, &WindowContext::default());
            let score = scores.get(statistic);
            let exceeds = distribution
                .zip(score)
                .is_some_and(|(distribution, score)| {
                    score > distribution.threshold(0.01, 0.0).upper
                });
            *actual += u32::from(exceeds);
        }
    }
    actual
}

fn grid() -> Vec<Cell> {
    let shapes = [
        Shape::Normal,
        Shape::Tied,
        Shape::Heavy,
        Shape::Few,
        Shape::Rare,
        Shape::Long,
    ];
    let cell = |shape, bins, n, m| Cell { shape, bins, n, m };
    if !is_full() {
        return vec![
            cell(Shape::Normal, 20, 256, 10_000),
            cell(Shape::Normal, 50, 200, 10_000),
            cell(Shape::Tied, 10, 1024, 10_000),
            cell(Shape::Heavy, 20, 256, 10_000),
            cell(Shape::Few, 20, 1024, 10_000),
            cell(Shape::Rare, 20, 256, 10_000),
            cell(Shape::Long, 20, 1000, 10_000),
            cell(Shape::Normal, 20, 1024, 1000),
            cell(Shape::Few, 20, 1024, 1000),
        ];
    }
    // Few values per bin in a larger window.
    let mut cells = vec![cell(Shape::Normal, 400, 1448, 100_000)];
    for shape in shapes {
        let bins: &[usize] = if shape.is_numeric() {
            &[10, 20, 50]
        } else {
            &[20]
        };
        for (bins, m) in bins
            .iter()
            .flat_map(|bins| [1000, 10_000, 100_000, 1_000_000].map(|m| (*bins, m)))
        {
            cells.extend([200, 1000, 5000, 20_000, 100_000].map(|n| cell(shape, bins, n, m)));
        }
    }
    // Cheap cells first: a run that is cut short has shown most.
    cells.sort_by_key(|cell| cell.n * WINDOWS + cell.m);
    cells
}

#[test]
fn thresholds_at_one_percent_are_exceeded_by_one_percent_of_null_windows() {
    let references = 200;
    let mut failed = Vec::new();
    println!(
        "| shape | bins | n | m | {} |",
        STATISTICS.map(|s| s.name()).join(" | ")
    );
    for (index, cell) in grid().into_iter().enumerate() {
        let start = std::time::Instant::now();
        let counts = parallel(references, |i| exceedances(cell, (index * 1000 + i) as u64));
        let total = (references * WINDOWS) as f64;
        let rates: Vec<f64> = (0..STATISTICS.len())
            .map(|s| {
                counts
                    .iter()
                    .map(|actual| f64::from(actual[s]))
                    .sum::<f64>()
                    / total
            })
            .collect();
        let shown: Vec<String> = rates
            .iter()
            .map(|rate| format!("{:.2}", rate * 100.0))
            .collect();
        println!(
            "| {:?} | {} | {} | {} | {} | {:?}",
            cell.shape,
            cell.bins,
            cell.n,
            cell.m,
            shown.join(" | "),
            start.elapsed()
        );
        for (statistic, rate) in STATISTICS.iter().zip(rates) {
            let is_there = cell.shape.is_numeric()
                || !matches!(statistic, Statistic::Ks | Statistic::WassersteinBody);
            let (least, most) = limits(cell);
            if is_there && !(least..=most).contains(&rate) {
                failed.push(format!("{cell:?} {statistic}: {:.2} %", rate * 100.0));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn the_floor_of_unseen_values_is_their_rate_in_clean_windows() {
    // Of 2,000 equally frequent values a sample of 1,000 lacks (1 - 1/2000)^1000 = 60.6 %.
    let (mut floors, mut rates) = (0.0, 0.0);
    let references: u32 = 20;
    for seed in 0..references {
        let mut rng = rng(u64::from(seed));
        let mut values =
            |count: usize| -> Vec<u64> { (0..count).map(|_| rng.random_range(0..2000)).collect() };
        let reference = categorical(&values(1000));
        let window = count_categories(&reference, values(1000));
        let model = calibration(&reference, 1);
        let statistic = Statistic::UnseenRatio;
        let null = model.null_distribution(statistic, &window, &WindowContext::default());
        floors += null.unwrap().noise_floor() / f64::from(references);
        let unseen = window.unseen(&reference.layout) as f64 / 1000.0;
        rates += unseen / f64::from(references);
    }
    println!("floor {floors:.4}, rate {rates:.4}");
    assert!((floors - 0.606).abs() < 0.02, "{floors}");
    assert!((rates - floors).abs() < 0.02, "{rates} instead of {floors}");
}

fn limits(cell: Cell) -> (f64, f64) {
    match (cell.n * 10 <= cell.m, cell.shape.is_numeric()) {
        (true, _) => (0.005, 0.015),
        (false, true) => (0.0, 0.03),
        (false, false) => (0.0, 0.07),
    }
}

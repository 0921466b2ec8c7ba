//! A small picture for a row of a table: the shares of the score bins, reference and window.

use askama::Template;

use super::path::{Path, outline};
use crate::stats::FeatureCounts;

/// Width and height in SVG units.
const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 24.0;
/// The most bins that are drawn.
const MAX_BINS: usize = 24;

/// The shares of the score bins of a window over those of its reference.
#[derive(Template)]
#[template(path = "bars.svg", config = ".askama.toml")]
pub(in crate::export) struct Bars {
    reference: String,
    window: String,
}

/// The shares of the score bins of a window over those of its reference; `None` where a side has no
/// values.
pub(in crate::export) fn bars(reference: &FeatureCounts, window: &FeatureCounts) -> Option<Bars> {
    let (before, after) = (shares(reference)?, shares(window)?);
    let highest = before
        .iter()
        .chain(&after)
        .fold(f64::MIN_POSITIVE, |highest, share| highest.max(*share));
    Some(Bars {
        reference: drawn(&before, highest),
        window: outline(&after, highest, (WIDTH, HEIGHT)).into_data(),
    })
}

/// The shares of the first bins, and of all others together; `None` without values.
fn shares(counts: &FeatureCounts) -> Option<Vec<f64>> {
    let total: u64 = counts.bins.iter().sum();
    if total == 0 {
        return None;
    }
    let share = |count: u64| count as f64 / total as f64;
    let mut shares: Vec<f64> = counts
        .bins
        .iter()
        .take(MAX_BINS)
        .map(|n| share(*n))
        .collect();
    let rest: u64 = counts.bins.iter().skip(MAX_BINS).sum();
    if counts.bins.len() > MAX_BINS {
        shares.push(share(rest));
    }
    Some(shares)
}

fn drawn(shares: &[f64], highest: f64) -> String {
    let width = WIDTH / shares.len() as f64;
    let mut path = Path::default();
    for (bin, share) in shares.iter().enumerate().filter(|(_, share)| **share > 0.0) {
        let height = (share / highest * HEIGHT).max(0.5);
        path.rectangle(bin as f64 * width, HEIGHT - height, width, height);
    }
    path.into_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_bins_are_one_bar_from_the_25th_on() {
        let counts = FeatureCounts {
            bins: vec![1; 100],
            ..FeatureCounts::default()
        };
        let shares = shares(&counts).unwrap();
        assert_eq!(shares.len(), MAX_BINS + 1);
        assert!(
            (shares.iter().sum::<f64>() - 1.0).abs() < 1e-9,
            "all of them"
        );
        assert!(bars(&counts, &FeatureCounts::default()).is_none());
    }
}

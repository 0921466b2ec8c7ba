//! Incidents among the blocks of a reference: clusters of blocks that the rest does not explain.
//!
//! One incident of thirty minutes in a week owns the far tail of the blocks' scores and lifts the
//! threshold until nothing is found any more. So the highest one to three clusters of blocks are
//! tried jointly, because two of a size hide each other. They are incidents where the tail of all
//! other blocks gives each of their peaks a probability that no clean reference shows by chance.
//!
//! What recurs is no incident: a job that runs every night is part of the stream. In a reference of
//! a few days it makes hardly more clusters than incidents would, so clusters that begin at the
//! same time of every day, or of every week, are kept.

use std::ops::Range;
use std::time::Duration;

use super::null_table::SIMULATED;
use crate::stats::{MIN_BLOCKS_FOR_TAIL, block_distribution, quantile_sorted};

/// Most clusters that can be left out.
const MAX_INCIDENTS: usize = 3;
/// Number of the highest clusters among which those that recur are looked for.
const MAX_CLUSTERS: usize = 6;
/// Share of blocks with the highest scores, of which clusters consist.
const HIGH_SHARE: f64 = 0.1;
/// Expected number of peaks in a clean reference that are as improbable as an incident, over all
/// statistics of a feature.
const EXPECTED_PEAKS: f64 = 0.1;
/// By how much the score of an incident exceeds that of all other blocks. A stream whose clusters
/// change from hour to hour has a wild hour that an exponential tail does not expect, but others
/// come close to it.
const MIN_RATIO: f64 = 2.0;
/// Periods after which a job may run again.
const PERIODS: [Duration; 2] = [
    Duration::from_secs(24 * 3600),
    Duration::from_secs(7 * 24 * 3600),
];
/// Largest difference between the times of day at which a job starts.
const MAX_JITTER: Duration = Duration::from_secs(2 * 3600);

/// The scores of one statistic over the blocks of a reference, in order of time.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockSeries<'a> {
    /// Number of the first pane of each block, ascending.
    pub(super) starts: &'a [usize],
    /// Scores on the quadratic scale over their noise variance.
    pub(super) scores: &'a [f64],
    /// Number of panes in a block.
    pub(super) panes: usize,
    /// Number of panes from one block to the next.
    pub(super) step: usize,
    pub(super) pane_width: Duration,
}

/// A cluster of blocks with high scores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cluster {
    /// Index of the block with the highest score.
    peak: usize,
    /// Indices of the blocks that overlap the cluster's panes.
    pub(super) blocks: Range<usize>,
    /// The panes that differ from the rest.
    pub(super) panes: Range<usize>,
}

/// Finds the clusters of blocks that are incidents, at most three.
///
/// `is_unlikely` states whether the score of a block has less than the given probability in
/// windows of independent samples. A single missing value stands out where there is no other, and
/// is no incident.
pub(super) fn incidents(
    series: &BlockSeries<'_>,
    is_unlikely: &dyn Fn(usize, f64) -> bool,
) -> Vec<Cluster> {
    if series.side_by_side() < MIN_BLOCKS_FOR_TAIL {
        return Vec::new();
    }
    let probability = EXPECTED_PEAKS / SIMULATED.len() as f64 / series.side_by_side();
    let highest = series.highest_clusters();
    let mut clusters: Vec<Cluster> = highest
        .iter()
        .filter(|cluster| !series.recurs(cluster, &highest))
        .take(MAX_INCIDENTS)
        .cloned()
        .collect();
    while !clusters.is_empty() {
        let is_unlikely = |cluster: &Cluster| is_unlikely(cluster.peak, probability);
        if series.stands_out(&clusters, probability) && clusters.iter().all(is_unlikely) {
            break;
        }
        clusters.pop();
    }
    clusters
}

impl BlockSeries<'_> {
    /// Number of blocks that fit side by side.
    fn side_by_side(&self) -> f64 {
        self.scores.len() as f64 / self.steps_per_block()
    }

    pub(super) fn steps_per_block(&self) -> f64 {
        self.panes as f64 / self.step as f64
    }

    /// The scores of the blocks outside of clusters.
    pub(super) fn without(&self, clusters: &[Cluster]) -> Vec<f64> {
        self.scores
            .iter()
            .enumerate()
            .filter(|(index, _)| {
                !clusters
                    .iter()
                    .any(|cluster| cluster.blocks.contains(index))
            })
            .map(|(_, score)| *score)
            .collect()
    }

    /// The clusters with the highest scores, the highest first.
    fn highest_clusters(&self) -> Vec<Cluster> {
        let mut sorted = self.scores.to_vec();
        sorted.sort_by(f64::total_cmp);
        let high = quantile_sorted(&sorted, 1.0 - HIGH_SHARE);
        let mut clusters: Vec<Cluster> = Vec::new();
        while clusters.len() < MAX_CLUSTERS {
            let peak = self
                .scores
                .iter()
                .enumerate()
                .filter(|(index, score)| {
                    **score > high
                        && !clusters
                            .iter()
                            .any(|cluster| cluster.blocks.contains(index))
                })
                .max_by(|(_, a), (_, b)| a.total_cmp(b));
            let Some((peak, _)) = peak else {
                break;
            };
            clusters.push(self.cluster(peak, high));
        }
        clusters
    }

    /// The cluster around a peak: the run of blocks above `high`, and all blocks that overlap it.
    ///
    /// Blocks without enough values are no blocks, so a run goes on over them: where a feature is
    /// missing as a whole, the blocks on both sides of the gap show it.
    ///
    /// A block differs as soon as it holds some of the panes that differ. So these begin with the
    /// last pane of the run's first block and end with the first pane of its last block. Of a run
    /// that is too short for that, the peak's panes are taken.
    fn cluster(&self, peak: usize, high: f64) -> Cluster {
        let width = self.pane_width.as_millis().max(1);
        let is_next = |a: usize, b: usize| {
            (self.starts[b] - self.starts[a]) as u128 * width <= PERIODS[0].as_millis()
        };
        let mut first = peak;
        while first > 0 && self.scores[first - 1] > high && is_next(first - 1, first) {
            first -= 1;
        }
        let mut last = peak;
        while last + 1 < self.scores.len()
            && self.scores[last + 1] > high
            && is_next(last, last + 1)
        {
            last += 1;
        }
        let panes = self.starts[first] + self.panes - 1..self.starts[last] + 1;
        let panes = if panes.is_empty() {
            self.starts[peak]..self.starts[peak] + self.panes
        } else {
            panes
        };
        let overlap_from = self
            .starts
            .partition_point(|start| start + self.panes <= panes.start);
        let overlap_until = self.starts.partition_point(|start| *start < panes.end);
        Cluster {
            peak,
            blocks: overlap_from.min(first)..overlap_until.max(last + 1),
            panes,
        }
    }

    /// True if the tail of the other blocks gives each peak less than this probability.
    ///
    /// The clusters were chosen for being the highest, so the rest is cut off above its maximum.
    /// The mean excess of an exponential distribution is then
    /// `(sum of the excesses + clusters x largest excess) / number of excesses`, which is the
    /// maximum likelihood estimate where the largest values are censored.
    /// Source: J. F. Lawless, Statistical Models and Methods for Lifetime Data (2003), section 4.1.
    fn stands_out(&self, clusters: &[Cluster], probability: f64) -> bool {
        let rest = self.without(clusters);
        if rest.len() as f64 / self.steps_per_block() < MIN_BLOCKS_FOR_TAIL {
            return false;
        }
        let Some(of_rest) = block_distribution(&rest, self.steps_per_block()) else {
            return false;
        };
        let mut tail = of_rest.scores.tail;
        let largest = rest.iter().copied().fold(tail.start, f64::max);
        tail.mean_excess += clusters.len() as f64 * (largest - tail.start) / tail.exceedances;
        clusters.iter().all(|cluster| {
            let peak = self.scores[cluster.peak];
            peak >= MIN_RATIO * largest && tail.survival(peak) < probability
        })
    }

    /// True if a cluster is one of those that begin at the same time in every period of the
    /// reference.
    fn recurs(&self, cluster: &Cluster, clusters: &[Cluster]) -> bool {
        let width = self.pane_width.as_millis().max(1);
        let span = self
            .starts
            .first()
            .zip(self.starts.last())
            .map_or(0, |(first, last)| {
                (last - first + self.panes) as u128 * width
            });
        let jitter = (self.panes as u128 * width).min(MAX_JITTER.as_millis());
        PERIODS.iter().map(Duration::as_millis).any(|period| {
            let time = |cluster: &Cluster| cluster.panes.start as u128 * width % period;
            let repetitions = clusters
                .iter()
                .map(|repeated| time(cluster).abs_diff(time(repeated)))
                .filter(|gap| (*gap).min(period - gap) <= jitter)
                .count() as u128;
            let periods = span / period;
            periods >= 2 && repetitions >= periods
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: usize = 15;
    const DAY: usize = 1440;

    /// Scores of minutes, exponential with mean 1, plus `height` in the blocks that overlap a
    /// range.
    fn scores(days: usize, incidents: &[(Range<usize>, f64)]) -> Vec<f64> {
        (0..days * DAY - BLOCK + 1)
            .map(|start| {
                let draw = u32::try_from(start / BLOCK)
                    .unwrap()
                    .wrapping_mul(2_654_435_761);
                let noise = -(1.0 - f64::from(draw) / f64::from(u32::MAX) * 0.9999).ln();
                let of_incidents: f64 = incidents
                    .iter()
                    .map(|(panes, height)| {
                        let overlap =
                            panes.end.min(start + BLOCK) as f64 - panes.start.max(start) as f64;
                        overlap.max(0.0) * height
                    })
                    .sum();
                noise + of_incidents
            })
            .collect()
    }

    fn found(scores: &[f64], is_unlikely: bool) -> Vec<Range<usize>> {
        let starts: Vec<usize> = (0..scores.len()).collect();
        let series = BlockSeries {
            starts: &starts,
            scores,
            panes: BLOCK,
            step: 1,
            pane_width: Duration::from_secs(60),
        };
        let mut ranges: Vec<Range<usize>> = incidents(&series, &|_, _| is_unlikely)
            .into_iter()
            .map(|cluster| cluster.panes)
            .collect();
        ranges.sort_by_key(|panes| panes.start);
        ranges
    }

    #[test]
    fn one_to_three_incidents_are_found_jointly_and_within_minutes() {
        let shifts = [(5000..5030, 10.0), (1000..1180, 9.0), (8200..8210, 11.0)];
        for count in 1..=3 {
            let ranges = found(&scores(7, &shifts[..count]), true);
            assert_eq!(ranges.len(), count, "{ranges:?}");
            for (panes, _) in &shifts[..count] {
                let is_near = ranges.iter().any(|range| {
                    range.start.abs_diff(panes.start) <= BLOCK
                        && range.end.abs_diff(panes.end) <= BLOCK
                });
                assert!(is_near, "{panes:?} in {ranges:?}");
            }
        }
    }

    #[test]
    fn clean_blocks_have_no_incident() {
        assert_eq!(found(&scores(7, &[]), true), [0..0; 0]);
    }

    #[test]
    fn a_peak_that_independent_samples_show_is_no_incident() {
        let shift = [(5000..5030, 10.0)];
        assert_eq!(found(&scores(7, &shift), false), [0..0; 0]);
    }

    #[test]
    fn a_nightly_job_is_no_incident_however_few_nights_there_are() {
        for days in [2, 3, 7] {
            let jobs: Vec<(Range<usize>, f64)> = (0..days)
                .map(|day| (day * DAY + 120..day * DAY + 150, 10.0))
                .collect();
            assert_eq!(found(&scores(days, &jobs), true), [0..0; 0], "{days} days");
        }
    }
}

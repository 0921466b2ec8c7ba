//! Coverage of a window: the share of its panes and shards that was counted.
//!
//! A score is only as good as the counts below it, so a window whose coverage is too low is not
//! scored. A shard that was released counts as missing, because it can still hold events.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::shard_coverage::ShardCoverage;
use crate::model::EventTime;

/// The share of a window that was counted.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Coverage {
    /// Counted (pane, shard) pairs divided by all pairs of the window, in `0..=1`; 0 without
    /// shards.
    pub ratio: f64,
    /// True if counting began inside the window on some shard, or its first panes have expired.
    pub began_inside: bool,
}

/// Computes the coverage of the window `start..end`, whose panes are one `slide` wide.
///
/// Panes before `kept_from` have expired and count as missing on every shard. Each shard comes with
/// its coverage of the layout, and with `true` if it was released: then none of its panes counts.
pub fn coverage<'a>(
    shards: impl Iterator<Item = (&'a ShardCoverage, bool)>,
    (start, end): (EventTime, EventTime),
    slide: Duration,
    kept_from: EventTime,
) -> Coverage {
    let whole_panes = |span: Duration| span.as_millis() / slide.as_millis().max(1);
    let panes = usize::try_from(whole_panes(end.since(start))).unwrap_or(usize::MAX);
    let expired = usize::try_from(whole_panes(kept_from.since(start)))
        .unwrap_or(panes)
        .min(panes);
    let (mut counted, mut expected, mut began_inside) = (0, 0, expired > 0);
    let first = start.max(kept_from);
    for (shard, is_released) in shards {
        expected += panes;
        began_inside |= shard.began_after(start);
        if !is_released {
            counted += shard.counted_panes(first, slide, panes - expired);
        }
    }
    let ratio = if expected == 0 {
        0.0
    } else {
        counted as f64 / expected as f64
    };
    Coverage {
        ratio,
        began_inside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> EventTime {
        EventTime::from_millis(second * 1000)
    }

    #[test]
    fn a_released_shard_lowers_coverage() {
        let complete = ShardCoverage::since(EventTime::MIN);
        let coverage = coverage(
            [(&complete, true), (&complete, false)].into_iter(),
            (at(1680), at(1980)),
            Duration::from_secs(60),
            EventTime::MIN,
        );
        let half = Coverage {
            ratio: 0.5,
            began_inside: false,
        };
        assert_eq!(coverage, half, "one of two");
    }

    #[test]
    fn expired_panes_are_not_covered() {
        let check = |kept_from: i64, expected: f64| {
            let complete = ShardCoverage::since(EventTime::MIN);
            let coverage = coverage(
                [(&complete, false)].into_iter(),
                (at(0), at(300)),
                Duration::from_secs(60),
                at(kept_from),
            );
            assert!(
                (coverage.ratio - expected).abs() < 1e-12,
                "{kept_from}: {coverage:?}"
            );
            assert_eq!(coverage.began_inside, kept_from > 0, "{kept_from}");
        };
        check(-60, 1.0);
        check(0, 1.0);
        check(60, 0.8);
        check(600, 0.0);
    }
}

//! Where a partition is begun, decided from plain numbers.

/// What is known of a partition before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// The oldest offset it holds.
    pub(super) low: i64,
    /// The offset after the last one that can be read.
    pub(super) high: i64,
}

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Begin {
    pub(super) base: i64,
    /// Offsets that retention took before they were read.
    pub(super) lost: u64,
    /// The topic was made anew since the position was taken.
    pub(super) reborn: bool,
}

impl Begin {
    fn at(base: i64) -> Self {
        Begin {
            base,
            lost: 0,
            reborn: false,
        }
    }
}

/// Goes on at `position`, where the partition still has it.
///
/// Below the oldest offset, retention was faster: the rest is lost and counted. Beyond the end, offsets have begun anew, which they do only when the
/// topic was deleted and created: everything in it is new. A topic made anew that has already outgrown the position cannot be told from the old one here.
pub(super) fn resume(position: i64, bounds: Bounds) -> Begin {
    if position > bounds.high {
        return Begin {
            reborn: true,
            ..Begin::at(bounds.low)
        };
    }
    Begin {
        lost: bounds.low.saturating_sub(position).max(0).unsigned_abs(),
        ..Begin::at(position.max(bounds.low))
    }
}

/// Begins where the group has no position: at `chosen`, which retention may have moved meanwhile.
pub(super) fn begin(chosen: i64, bounds: Bounds) -> Begin {
    Begin::at(chosen.clamp(bounds.low, bounds.high.max(bounds.low)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        low: 100,
        high: 200,
    };

    #[test]
    fn a_position_resumes_in_range_and_counts_what_retention_took() {
        let check = |position: i64, base: i64, lost: u64, reborn: bool| {
            let expected = Begin { base, lost, reborn };
            assert_eq!(resume(position, BOUNDS), expected, "resumed at {position}");
        };
        check(100, 100, 0, false);
        check(150, 150, 0, false);
        check(200, 200, 0, false);
        check(40, 100, 60, false);
        check(201, 100, 0, true);
    }

    #[test]
    fn a_chosen_start_is_kept_within_what_the_partition_holds() {
        let check = |chosen: i64, base: i64| {
            assert_eq!(begin(chosen, BOUNDS), Begin::at(base), "begun at {chosen}");
        };
        check(100, 100);
        check(200, 200);
        check(-1, 100);
        check(500, 200);
    }
}

//! The offset at which a partition starts, computed from plain numbers.

use crate::model::TopicId;
use crate::source::ResumePoint;

/// The offsets that a partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OffsetBounds {
    /// The oldest offset.
    pub(super) low: i64,
    /// The offset after the last record that can be read.
    pub(super) high: i64,
}

/// The position up to which an earlier reader read a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PreviousPosition {
    /// The next offset to count.
    pub(super) upto: i64,
    /// The id of the topic that was counted, if known.
    pub(super) topic_id: Option<TopicId>,
    /// True if that topic is known to be deleted.
    pub(super) is_deleted: bool,
}

impl PreviousPosition {
    /// True if the topic is known to be another one than the counted one.
    fn is_of_other_topic(self, topic_id: Option<TopicId>) -> bool {
        let ids = self.topic_id.zip(topic_id);
        self.is_deleted || ids.is_some_and(|(previous, current)| previous != current)
    }
}

/// The offset at which reading of a partition starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StartPosition {
    pub(super) base: i64,
    /// Offsets that the log lost: retention deleted them before they were read, or the end of the
    /// log was cut off behind them.
    pub(super) lost: u64,
    /// True if the topic was deleted and created again since the previous position.
    pub(super) is_recreated: bool,
    /// True if the log lost its end, and with it offsets that were counted.
    pub(super) is_truncated: bool,
    /// The id of the topic that is read, if known.
    pub(super) topic_id: Option<TopicId>,
}

impl StartPosition {
    fn at(base: i64, topic_id: Option<TopicId>) -> Self {
        StartPosition {
            base,
            lost: 0,
            is_recreated: false,
            is_truncated: false,
            topic_id,
        }
    }

    /// True if the offsets start again below the previous position, so that the partition needs
    /// another incarnation.
    pub(super) fn is_new_incarnation(self) -> bool {
        self.is_recreated || self.is_truncated
    }

    fn of_recreated(bounds: OffsetBounds, topic_id: Option<TopicId>) -> Self {
        StartPosition {
            is_recreated: true,
            ..StartPosition::at(bounds.low, topic_id)
        }
    }
}

/// The incarnation that was read last, and the position in it if there is one. A position of the
/// pane log precedes the group's `committed` offset. `None` while the lookup is pending.
///
/// `min_incarnation` is the lowest incarnation that can still exist; a position in a lower one is
/// in a deleted topic.
pub(super) fn previous_position(
    resume_point: ResumePoint,
    committed: Option<i64>,
    min_incarnation: u32,
) -> Option<(u32, Option<PreviousPosition>)> {
    let (incarnation, upto, topic_id) = match resume_point {
        ResumePoint::Pending => return None,
        ResumePoint::Unread => (0, committed, None),
        ResumePoint::At {
            incarnation,
            upto,
            topic_id,
        } => (incarnation, Some(upto), topic_id),
    };
    let position = upto.map(|upto| PreviousPosition {
        upto,
        topic_id,
        is_deleted: incarnation < min_incarnation,
    });
    Some((incarnation, position))
}

/// Resumes a partition at its previous position, moved up to the oldest offset that it still holds.
///
/// - A topic with another id was deleted and created again: all of its records are new.
/// - A position beyond the end of a topic with the same id means that the log lost its end, by an
///   unclean election or a restored disk. Reading continues at the end and the missing offsets
///   count as lost: whatever is below the end was counted, and would be counted twice.
/// - The same holds if an id is unknown. A recreated topic looks the same then, and its records up
///   to now are missed; that is a visible hole, where counting twice would be a wrong number.
/// - Offsets below the oldest one were deleted by retention; they are counted as lost.
/// - Without ids, a recreated topic that has outgrown the position cannot be recognized.
///
/// A broker may report the old id for some time after a topic was recreated, so the caller repeats
/// the request before it trusts `is_truncated`.
pub(super) fn resume(
    previous: PreviousPosition,
    bounds: OffsetBounds,
    topic_id: Option<TopicId>,
) -> StartPosition {
    if previous.is_of_other_topic(topic_id) {
        return StartPosition::of_recreated(bounds, topic_id);
    }
    if previous.upto > bounds.high {
        return StartPosition {
            lost: previous.upto.abs_diff(bounds.high),
            is_truncated: true,
            ..StartPosition::at(bounds.high, topic_id.or(previous.topic_id))
        };
    }
    StartPosition {
        lost: bounds
            .low
            .saturating_sub(previous.upto)
            .max(0)
            .unsigned_abs(),
        ..StartPosition::at(
            previous.upto.max(bounds.low),
            topic_id.or(previous.topic_id),
        )
    }
}

/// Starts a partition that has no previous position at the configured offset, kept within the
/// bounds: retention may have moved them since the offset was looked up.
pub(super) fn start_at(
    configured: i64,
    bounds: OffsetBounds,
    topic_id: Option<TopicId>,
) -> StartPosition {
    StartPosition::at(
        configured.clamp(bounds.low, bounds.high.max(bounds.low)),
        topic_id,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: OffsetBounds = OffsetBounds {
        low: 100,
        high: 200,
    };
    const OLD: Option<TopicId> = Some([1; 16]);
    const NEW: Option<TopicId> = Some([2; 16]);

    fn previous(upto: i64, topic_id: Option<TopicId>) -> PreviousPosition {
        PreviousPosition {
            upto,
            topic_id,
            is_deleted: false,
        }
    }

    #[test]
    fn a_position_resumes_in_bounds_and_counts_offsets_that_retention_deleted() {
        let check = |upto: i64, base: i64, lost: u64, is_truncated: bool| {
            let expected = StartPosition {
                base,
                lost,
                is_recreated: false,
                is_truncated,
                topic_id: None,
            };
            let start = resume(previous(upto, None), BOUNDS, None);
            assert_eq!(start, expected, "resumed at {upto}");
        };
        check(100, 100, 0, false);
        check(150, 150, 0, false);
        check(200, 200, 0, false);
        check(40, 100, 60, false);
        // The whole retention was read again into open windows here, on top of its own counts.
        check(201, 200, 1, true);
        check(1_000, 200, 800, true);
    }

    #[test]
    fn a_recreated_topic_starts_at_its_oldest_record_whatever_the_previous_position() {
        let check = |upto: i64, ids: [Option<TopicId>; 2], is_recreated: bool, topic_id| {
            let start = resume(previous(upto, ids[0]), BOUNDS, ids[1]);
            assert_eq!(
                (start.is_recreated, start.topic_id),
                (is_recreated, topic_id),
                "{ids:?}"
            );
            let base = if is_recreated { 100 } else { upto };
            assert_eq!(start.base, base, "{ids:?}");
            assert_eq!(start.lost, 0, "nothing of it is lost: {ids:?}");
        };
        check(150, [OLD, NEW], true, NEW);
        check(201, [OLD, NEW], true, NEW);
        check(150, [OLD, OLD], false, OLD);
        check(150, [OLD, None], false, OLD);
        check(150, [None, NEW], false, NEW);
    }

    #[test]
    fn a_topic_that_lost_its_end_is_read_from_its_end_unless_it_is_another_one() {
        let check = |ids: [Option<TopicId>; 2], base: i64, lost: u64, is_truncated: bool| {
            let start = resume(previous(250, ids[0]), BOUNDS, ids[1]);
            assert_eq!(
                (start.base, start.lost, start.is_truncated),
                (base, lost, is_truncated),
                "{ids:?}"
            );
            assert!(start.is_new_incarnation(), "offsets start again: {ids:?}");
        };
        check([OLD, OLD], 200, 50, true);
        check([OLD, NEW], 100, 0, false);
        check([OLD, None], 200, 50, true);
        check([None, NEW], 200, 50, true);
        check([None, None], 200, 50, true);
    }

    #[test]
    fn a_deleted_topic_is_not_resumed_even_if_the_new_id_is_unknown() {
        let deleted = PreviousPosition {
            is_deleted: true,
            ..previous(150, OLD)
        };
        assert_eq!(
            resume(deleted, BOUNDS, None),
            StartPosition::of_recreated(BOUNDS, None)
        );
    }

    #[test]
    fn a_configured_start_is_kept_within_the_bounds() {
        let check = |configured: i64, base: i64| {
            let start = start_at(configured, BOUNDS, NEW);
            assert_eq!(start, StartPosition::at(base, NEW), "at {configured}");
        };
        check(100, 100);
        check(200, 200);
        check(-1, 100);
        check(500, 200);
    }

    #[test]
    fn the_pane_log_precedes_the_committed_offset() {
        let counted = ResumePoint::At {
            incarnation: 1,
            upto: 150,
            topic_id: OLD,
        };
        assert_eq!(previous_position(ResumePoint::Pending, Some(7), 0), None);
        assert_eq!(
            previous_position(ResumePoint::Unread, Some(7), 0),
            Some((0, Some(previous(7, None)))),
            "never counted"
        );
        assert_eq!(
            previous_position(ResumePoint::Unread, None, 0),
            Some((0, None)),
            "without any position"
        );
        assert_eq!(
            previous_position(counted, Some(7), 1),
            Some((1, Some(previous(150, OLD)))),
            "counted"
        );
        let deleted = PreviousPosition {
            is_deleted: true,
            ..previous(150, OLD)
        };
        assert_eq!(
            previous_position(counted, Some(7), 2),
            Some((1, Some(deleted))),
            "counted in a deleted topic"
        );
    }
}

//! Where a partition is begun, decided from plain numbers.

use rdkafka::error::RDKafkaErrorCode;

use crate::model::TopicId;

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
    /// The topic that is read, where that is known.
    pub(super) topic_id: Option<TopicId>,
}

/// How a partition was left by whoever read it before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PreviousPosition {
    /// The next offset to count.
    pub(super) upto: i64,
    /// The topic it was counted from, where that is known.
    pub(super) topic_id: Option<TopicId>,
    /// That topic was found to be gone.
    pub(super) is_over: bool,
}

impl PreviousPosition {
    /// Whether the topic is not the one that was counted; an unknown one may be.
    fn is_of_another(self, topic_id: Option<TopicId>) -> bool {
        let both = self.topic_id.zip(topic_id);
        self.is_over || both.is_some_and(|(past, present)| past != present)
    }
}

impl Begin {
    fn at(base: i64, topic_id: Option<TopicId>) -> Self {
        Begin {
            base,
            lost: 0,
            reborn: false,
            topic_id,
        }
    }

    fn anew(bounds: Bounds, topic_id: Option<TopicId>) -> Self {
        Begin {
            reborn: true,
            ..Begin::at(bounds.low, topic_id)
        }
    }
}

/// Goes on where the partition was left, as long as it still has that.
///
/// A topic of another id was deleted and created: everything in it is new. So it is beyond the end, where offsets must have begun anew; a broker that names
/// the old id there may lag, so the id is learned later. Below the oldest offset, retention was faster: the rest is lost and counted. Where ids are not
/// known, a topic made anew that has already outgrown the position cannot be told from the old one.
pub(super) fn resume(past: PreviousPosition, bounds: Bounds, topic_id: Option<TopicId>) -> Begin {
    if past.is_of_another(topic_id) {
        return Begin::anew(bounds, topic_id);
    }
    if past.upto > bounds.high {
        return Begin::anew(bounds, None);
    }
    Begin {
        lost: bounds.low.saturating_sub(past.upto).max(0).unsigned_abs(),
        ..Begin::at(past.upto.max(bounds.low), topic_id.or(past.topic_id))
    }
}

/// Begins where the group has no position: at `chosen`, which retention may have moved meanwhile.
pub(super) fn begin(chosen: i64, bounds: Bounds, topic_id: Option<TopicId>) -> Begin {
    Begin::at(
        chosen.clamp(bounds.low, bounds.high.max(bounds.low)),
        topic_id,
    )
}

/// Whether librdkafka stops reading a partition after this failure.
pub(super) fn needs_restart(code: i32) -> bool {
    [
        RDKafkaErrorCode::AutoOffsetReset,
        RDKafkaErrorCode::OffsetOutOfRange,
        RDKafkaErrorCode::LogTruncation,
    ]
    .into_iter()
    .any(|known| known as i32 == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        low: 100,
        high: 200,
    };
    const OLD: Option<TopicId> = Some([1; 16]);
    const NEW: Option<TopicId> = Some([2; 16]);

    fn past(upto: i64, topic_id: Option<TopicId>) -> PreviousPosition {
        PreviousPosition {
            upto,
            topic_id,
            is_over: false,
        }
    }

    #[test]
    fn a_position_resumes_in_range_and_counts_what_retention_took() {
        let check = |position: i64, base: i64, lost: u64, reborn: bool| {
            let found = resume(past(position, None), BOUNDS, None);
            let expected = Begin {
                base,
                lost,
                reborn,
                topic_id: None,
            };
            assert_eq!(found, expected, "resumed at {position}");
        };
        check(100, 100, 0, false);
        check(150, 150, 0, false);
        check(200, 200, 0, false);
        check(40, 100, 60, false);
        check(201, 100, 0, true);
    }

    #[test]
    fn another_topic_is_begun_anew_wherever_the_old_one_was_left() {
        let check = |upto: i64, ids: [Option<TopicId>; 2], reborn: bool, topic_id| {
            let found = resume(past(upto, ids[0]), BOUNDS, ids[1]);
            assert_eq!(
                (found.reborn, found.topic_id),
                (reborn, topic_id),
                "{ids:?}"
            );
            assert_eq!(found.base, if reborn { 100 } else { upto }, "{ids:?}");
            assert_eq!(found.lost, 0, "nothing of it is lost: {ids:?}");
        };
        check(150, [OLD, NEW], true, NEW);
        check(201, [OLD, NEW], true, NEW);
        check(150, [OLD, OLD], false, OLD);
        check(150, [OLD, None], false, OLD);
        check(150, [None, NEW], false, NEW);
        check(201, [OLD, OLD], true, None);
    }

    #[test]
    fn a_topic_found_to_be_gone_is_not_resumed_although_nobody_says_what_came_after() {
        let gone = PreviousPosition {
            is_over: true,
            ..past(150, OLD)
        };
        assert_eq!(resume(gone, BOUNDS, None), Begin::anew(BOUNDS, None));
    }

    #[test]
    fn a_chosen_start_is_kept_within_what_the_partition_holds() {
        let check = |chosen: i64, base: i64| {
            let found = begin(chosen, BOUNDS, NEW);
            assert_eq!(found, Begin::at(base, NEW), "begun at {chosen}");
        };
        check(100, 100);
        check(200, 200);
        check(-1, 100);
        check(500, 200);
    }
}

//! The partition at which the windows of a monitor wait.
//!
//! A watermark is the minimum over all shards, so one partition can hold all windows while records
//! arrive on the others. Without its name, the operator sees stale windows and a healthy source.

use std::fmt;
use std::time::Duration;

use crate::model::{EventTime, Shard};

/// A watermark and how long it has stood still.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WatermarkAge {
    watermark: Option<EventTime>,
    /// Log time at which it last moved in this process.
    moved_at: Option<EventTime>,
}

impl WatermarkAge {
    /// The watermark of an earlier process.
    pub(super) fn at(watermark: Option<EventTime>) -> Self {
        WatermarkAge {
            watermark,
            moved_at: None,
        }
    }

    /// Moves the watermark, unless `watermark` is not later, at log time `now`.
    pub(super) fn advance(&mut self, watermark: Option<EventTime>, now: Option<EventTime>) {
        if watermark > self.watermark {
            *self = WatermarkAge::at(watermark);
        }
        self.moved_at = self.moved_at.or(now).min(now);
    }

    pub(super) const fn get(&self) -> Option<EventTime> {
        self.watermark
    }

    /// True if reading went on at `advanced_at`, `patience` after the watermark last moved.
    pub(super) fn is_held(&self, advanced_at: Option<EventTime>, patience: Duration) -> bool {
        advanced_at
            .zip(self.moved_at)
            .is_some_and(|(advanced_at, moved_at)| advanced_at >= moved_at.plus(patience))
    }
}

/// The reason why the watermark of a monitor does not move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatermarkHold {
    /// So many partitions of the source were never read.
    Unread(usize),
    /// No time of the monitor could be read from a record of the shard yet.
    NoTime(Shard),
    /// The newest event of the shard is old.
    OldEvent(Shard, EventTime),
    /// The shard was read only up to this time: neither a record nor a confirmed end came after it.
    NotRead(Shard, EventTime),
}

impl fmt::Display for WatermarkHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name =
            |shard: &Shard| format!("partition {} of topic {}", shard.partition, shard.topic);
        match self {
            WatermarkHold::Unread(1) => write!(f, "a partition of the source was never read"),
            WatermarkHold::Unread(count) => {
                write!(f, "{count} partitions of the source were never read")
            }
            WatermarkHold::NoTime(shard) => {
                write!(f, "no event time was read from {} yet", name(shard))
            }
            WatermarkHold::OldEvent(shard, newest) => {
                write!(f, "the newest event of {} is from {newest}", name(shard))
            }
            WatermarkHold::NotRead(shard, read_time) => {
                write!(f, "{} was read only up to {read_time}", name(shard))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::engine::engine::Engine;
    use crate::engine::fixture::{Stream, apply, at, fixed, plan, spec, spread};
    use crate::panes::Commit;

    /// A commit of another partition of a source with two.
    fn of_partition(partition: i32, mut commit: Commit) -> Commit {
        Arc::make_mut(&mut commit.shard).partition = partition;
        commit.source_shards = 2;
        commit
    }

    /// Windows were stale without a cause that anybody could see.
    #[test]
    fn a_watermark_that_stands_still_names_the_partition_that_holds_it() {
        let spec = spec(vec![fixed()]);
        let mut engine = Engine::new(vec![plan(spec.clone())]);
        let plan = plan(spec);
        let (mut flowing, mut standing) = (Stream::default(), Stream::default());
        let held_by = |engine: &Engine| {
            let held_by = engine.view().monitors[0].held_by.clone();
            held_by.map(|hold| hold.to_string())
        };
        apply(
            &mut engine,
            &of_partition(1, standing.minute(&plan, 0, &spread(0.0))),
        );
        for minute in 0..3 {
            let commit = flowing.minute(&plan, minute, &spread(0.0));
            apply(&mut engine, &of_partition(0, commit));
        }
        assert_eq!(held_by(&engine), None, "two minutes are not long");
        // The second partition repeats the records of its first minute: time does not go on there.
        let mut old = standing.minute(&plan, 0, &spread(0.0));
        old.written_at = Some(at(4));
        apply(&mut engine, &of_partition(1, old));
        apply(
            &mut engine,
            &of_partition(0, flowing.minute(&plan, 3, &spread(0.0))),
        );
        assert_eq!(
            held_by(&engine).as_deref(),
            Some("the newest event of partition 1 of topic t is from 1970-01-01T00:00:59.999Z"),
            "after three slides"
        );
        let commit = standing.minute(&plan, 4, &spread(0.0));
        apply(&mut engine, &of_partition(1, commit));
        assert_eq!(held_by(&engine), None, "it goes on");
    }
}

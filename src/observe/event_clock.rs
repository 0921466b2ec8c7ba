//! Event time of a shard, once for all monitors that read it alike.
//!
//! Every record from which the time can be read counts, whether a monitor selects the record or
//! not: a monitor of few records on a busy topic would otherwise never learn that time goes on.
//! Monitors that read the time from the same place share one clock, so a hundred monitors cost one
//! parse per record and not a hundred.

use std::time::Duration;

use super::plan::ObservedMonitor;
use super::time_sample::SourceTime;
use crate::decode::{Fields, Reading, TimeField};
use crate::model::{DropReason, EventTime};
use crate::panes::MonitorCommit;

/// A way to read the event time of a record, and the monitors that use it.
#[derive(Debug)]
pub(super) struct EventClock {
    /// Field of the event time; `None` uses the source's time.
    timestamp: Option<TimeField>,
    /// True if the source's time is used where the field is missing.
    fallback: bool,
    /// Largest distance of a time ahead of its arrival.
    max_future: Duration,
    /// Disorder and pane width of the monitors, each pair once.
    cadences: Vec<(Duration, Duration)>,
}

/// The end of the years, 1970 to 1972, into which a time falls that is read in too small a unit:
/// milliseconds of the present as microseconds are January 1970.
const END_OF_WRONG_UNITS: EventTime = EventTime::from_millis(3 * 365 * 86_400_000);

/// True if a time is so early that it must be written in another unit than the configured one.
///
/// Such events would be counted, and no window of them would ever end: time stands still for their
/// monitor. Kafka did not exist in these years, so a record that arrives then is a test's.
#[must_use]
pub fn is_in_wrong_unit(time: EventTime, arrived_at: Option<EventTime>) -> bool {
    time < END_OF_WRONG_UNITS && arrived_at.is_some_and(|arrival| arrival >= END_OF_WRONG_UNITS)
}

/// The clocks of a source's monitors.
#[derive(Debug)]
pub(super) struct EventClocks {
    pub(super) clocks: Vec<EventClock>,
    /// Index of each monitor's clock.
    pub(super) of_monitor: Vec<usize>,
}

impl EventClocks {
    /// Creates one clock for each way in which the monitors read their time.
    pub(super) fn new(monitors: &[ObservedMonitor]) -> Self {
        let mut clocks: Vec<EventClock> = Vec::new();
        let of_monitor = monitors
            .iter()
            .map(|monitor| {
                let index = clocks
                    .iter()
                    .position(|clock| clock.is_of(monitor))
                    .unwrap_or_else(|| {
                        clocks.push(EventClock {
                            timestamp: monitor.timestamp.clone(),
                            fallback: monitor.fallback,
                            max_future: monitor.max_future,
                            cadences: Vec::new(),
                        });
                        clocks.len() - 1
                    });
                let cadence = (monitor.out_of_orderness, monitor.pane_width);
                if !clocks[index].cadences.contains(&cadence) {
                    clocks[index].cadences.push(cadence);
                }
                index
            })
            .collect();
        EventClocks { clocks, of_monitor }
    }
}

impl EventClock {
    /// Returns true if a monitor reads its time in this way.
    fn is_of(&self, monitor: &ObservedMonitor) -> bool {
        self.timestamp == monitor.timestamp
            && (self.fallback, self.max_future) == (monitor.fallback, monitor.max_future)
    }

    /// Returns the event time of a record, or the reason why it has none.
    ///
    /// A time is in the future if it is too far beyond its arrival, and not beyond the present: a
    /// backlog is read long after its records arrived.
    pub(super) fn read(
        &self,
        fields: Fields<'_>,
        source_time: Option<EventTime>,
        arrived_at: Option<EventTime>,
    ) -> Result<EventTime, DropReason> {
        let field_time = match self.timestamp.as_ref().map(|field| field.read(fields)) {
            Some(Reading::Value(time)) if is_in_wrong_unit(time, arrived_at) => {
                return Err(DropReason::BadTimestamp);
            }
            Some(Reading::Value(time)) => Some(time),
            Some(Reading::Invalid(_)) => return Err(DropReason::BadTimestamp),
            Some(Reading::Missing(_)) | None => None,
        };
        let fallback_time = source_time.filter(|time| self.fallback && time.as_millis() > 0);
        let time = field_time
            .or(fallback_time)
            .ok_or(DropReason::NoTimestamp)?;
        match arrived_at {
            Some(arrived_at) if time > arrived_at.plus(self.max_future) => Err(DropReason::Future),
            _ => Ok(time),
        }
    }

    /// Returns the earliest time after `newest` at which a monitor's watermark enters another pane.
    fn next_crossing(&self, newest: EventTime) -> Option<EventTime> {
        self.cadences
            .iter()
            .map(|(disorder, pane_width)| {
                let pane = newest.minus(*disorder).align_down(*pane_width);
                pane.plus(*pane_width).plus(*disorder)
            })
            .min()
    }
}

/// The event time of one shard by one clock.
#[derive(Debug, Default)]
pub(super) struct ShardClock {
    /// Newest time ever read.
    pub(super) newest: Option<EventTime>,
    /// The time at which a watermark enters another pane.
    next_crossing: Option<EventTime>,
    /// First and newest time since the last commit, and the arrival of the newest.
    first_in_commit: Option<EventTime>,
    newest_in_commit: Option<EventTime>,
    newest_arrival: Option<SourceTime>,
}

impl ShardClock {
    /// Continues from the newest time that earlier writers read.
    pub(super) fn since(newest: Option<EventTime>) -> Self {
        ShardClock {
            newest,
            ..ShardClock::default()
        }
    }

    /// Takes the time of a record; returns true if the watermark of a monitor entered another pane.
    pub(super) fn advance(
        &mut self,
        time: EventTime,
        arrival: Option<SourceTime>,
        clock: &EventClock,
    ) -> bool {
        self.first_in_commit = self.first_in_commit.or(Some(time));
        if self.newest_in_commit <= Some(time) {
            self.newest_in_commit = Some(time);
            self.newest_arrival = arrival;
        }
        if self.newest >= Some(time) {
            return false;
        }
        let has_crossed = self.newest.is_none() || self.next_crossing.is_some_and(|at| time >= at);
        if has_crossed || self.next_crossing.is_none() {
            self.next_crossing = clock.next_crossing(time);
        }
        self.newest = Some(time);
        has_crossed
    }

    /// Writes the times since the last commit into the counts of a monitor.
    pub(super) fn write_to(&self, counts: &mut MonitorCommit) {
        counts.first_event_time = self.first_in_commit;
        counts.newest_event_time = self.newest_in_commit;
        counts.newest_arrived_at = self.newest_arrival.map(|arrival| arrival.time);
        counts.is_arrival_of_writer = self
            .newest_arrival
            .is_some_and(|arrival| arrival.is_of_reader);
    }

    /// Begins the next commit.
    pub(super) fn begin_commit(&mut self) {
        *self = ShardClock {
            newest: self.newest,
            next_crossing: self.next_crossing,
            ..ShardClock::default()
        };
    }
}

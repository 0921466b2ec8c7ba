//! Decides up to which moment a partition was read.
//!
//! The leader of a partition is asked for the end of its log. Once everything before that end was
//! read, the partition was read up to the moment at which the request was *sent*: every record that
//! existed then lies before the end. So it does not matter how late the answer arrives, how long
//! the process was stopped in between, or whether more records follow: a partition of a busy topic
//! is confirmed as often as a quiet one, although it is hardly ever at its end.

use crate::model::EventTime;

/// The end of a partition that is to be reached.
#[derive(Debug, Default)]
pub(super) struct ReadConfirmation {
    /// The position when the request was sent that is not answered yet.
    asked_from: Option<i64>,
    /// The end to reach, and the moment at which it was requested.
    target: Option<(i64, EventTime)>,
}

impl ReadConfirmation {
    /// Notes that a request is sent, at this position.
    pub(super) fn ask(&mut self, position: i64) {
        self.asked_from = Some(position);
    }

    /// Takes the end that the leader reported; returns the moment up to which the partition was
    /// read if it is confirmed.
    ///
    /// An end before the position at the request is that of another log: this one lost its end, or
    /// was recreated. An end that is not reached yet keeps its place until it is: a later one would
    /// never be reached by a reader that is a little behind all the time.
    pub(super) fn answer(
        &mut self,
        end: i64,
        sent_at: EventTime,
        position: i64,
    ) -> Option<EventTime> {
        self.asked_from.take().filter(|from| end >= *from)?;
        if position >= end {
            self.target = None;
            return Some(sent_at);
        }
        self.target.get_or_insert((end, sent_at));
        None
    }

    /// Returns the moment up to which the partition was read if this position reaches the end.
    pub(super) fn reach(&mut self, position: i64) -> Option<EventTime> {
        self.target
            .take_if(|(end, _)| position >= *end)
            .map(|(_, sent_at)| sent_at)
    }

    /// True while an end is not reached.
    pub(super) const fn is_behind(&self) -> bool {
        self.target.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> EventTime {
        EventTime::from_millis(second * 1000)
    }

    /// A confirmation carried the moment at which the answer was handled, which may be long after
    /// the leader wrote it.
    #[test]
    fn a_partition_is_read_up_to_the_request_for_its_end() {
        let mut quiet = ReadConfirmation::default();
        quiet.ask(100);
        assert_eq!(quiet.answer(100, at(10), 100), Some(at(10)));
        assert_eq!(quiet.answer(100, at(10), 100), None, "one answer each");
    }

    /// Only a partition at its end was confirmed, and that of a busy topic is there once in hours.
    #[test]
    fn an_end_that_is_passed_confirms_as_well_as_one_that_is_met() {
        let mut busy = ReadConfirmation::default();
        busy.ask(100);
        assert_eq!(busy.answer(130, at(10), 120), None, "ten records to go");
        assert!(busy.is_behind());
        assert_eq!(busy.reach(125), None);
        assert_eq!(busy.reach(160), Some(at(10)), "passed");
        assert_eq!(busy.reach(160), None, "once");
        busy.ask(160);
        assert_eq!(busy.answer(170, at(11), 180), Some(at(11)), "at once");
    }

    #[test]
    fn a_reader_that_is_a_little_behind_all_the_time_is_confirmed() {
        let mut behind = ReadConfirmation::default();
        let confirmed = (0..20)
            .filter_map(|second| {
                let position = second * 100;
                let reached = behind.reach(position);
                behind.ask(position);
                let answered = behind.answer(position + 350, at(second), position);
                answered.or(reached)
            })
            .collect::<Vec<_>>();
        assert_eq!(confirmed, [at(0), at(4), at(8), at(12)]);
    }

    #[test]
    fn the_end_of_another_log_confirms_nothing() {
        let mut recreated = ReadConfirmation::default();
        recreated.ask(100);
        assert_eq!(recreated.answer(5, at(10), 100), None);
        assert!(!recreated.is_behind());
    }
}

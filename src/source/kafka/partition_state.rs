//! One partition that is read: its position, what is known of its end, and its totals.

use super::read_confirmation::ReadConfirmation;
use crate::model::{EventTime, Shard, TopicId, TopicReport};

/// One partition in one of its incarnations.
#[derive(Debug)]
pub(super) struct PartitionState {
    pub(super) shard: Shard,
    is_open: bool,
    /// The id of its topic, if known.
    pub(super) topic_id: Option<TopicId>,
    /// Every record before this offset was delivered.
    pub(super) next_offset: i64,
    /// Everything before this offset is in the pane log: a restart may resume here.
    accepted: i64,
    /// The offset in the commit that is not answered yet.
    sent: Option<i64>,
    /// The offset that the group is known to hold.
    committed: Option<i64>,
    confirmation: ReadConfirmation,
    /// No record arrived since the last request for its end.
    is_quiet: bool,
    /// An event arrived since the partition was assigned.
    has_events: bool,
    /// Records arrived since the last position was reported, and the end did not.
    has_advanced: bool,
    /// The last failure is not over yet.
    is_failing: bool,
    lag: Option<u64>,
    records: u64,
    bytes: u64,
    tombstones: u64,
    offsets_lost: u64,
}

impl PartitionState {
    /// Opens a partition at `base`, which counts as accepted: until counts are accepted, a restart
    /// resumes there. The totals of its `former` state continue.
    pub(super) fn open(
        shard: Shard,
        base: i64,
        topic_id: Option<TopicId>,
        committed: Option<i64>,
        former: Option<&PartitionState>,
    ) -> Self {
        PartitionState {
            shard,
            is_open: true,
            topic_id,
            next_offset: base,
            accepted: base,
            sent: None,
            committed,
            confirmation: ReadConfirmation::default(),
            is_quiet: false,
            has_events: false,
            has_advanced: false,
            is_failing: false,
            lag: None,
            records: former.map_or(0, |former| former.records),
            bytes: former.map_or(0, |former| former.bytes),
            tombstones: former.map_or(0, |former| former.tombstones),
            offsets_lost: former.map_or(0, |former| former.offsets_lost),
        }
    }

    pub(super) fn close(&mut self) {
        self.is_open = false;
    }

    pub(super) const fn is_open(&self) -> bool {
        self.is_open
    }

    /// Continues at `base`, `lost` offsets later; returns true if that is another position.
    pub(super) fn restart(&mut self, base: i64, lost: u64) -> bool {
        self.offsets_lost += lost;
        self.has_events = false;
        self.confirmation = ReadConfirmation::default();
        std::mem::replace(&mut self.next_offset, base) != base
    }

    /// Counts an event; returns true if it ends a failure.
    pub(super) fn count_event(&mut self) -> bool {
        self.has_events = true;
        std::mem::take(&mut self.is_failing)
    }

    /// True if an event arrived since the partition was assigned.
    pub(super) const fn has_events(&self) -> bool {
        self.has_events
    }

    pub(super) fn set_failing(&mut self) {
        self.is_failing = true;
    }

    /// Moves behind a record; returns false for one that was delivered before, which was fetched
    /// for an earlier assignment.
    pub(super) fn take_record(&mut self, offset: i64, payload: Option<&[u8]>) -> bool {
        if offset < self.next_offset {
            return false;
        }
        self.next_offset = offset + 1;
        self.is_quiet = false;
        self.records += 1;
        self.bytes += payload.map_or(0, |bytes| bytes.len() as u64);
        self.tombstones += u64::from(payload.is_none());
        true
    }

    /// Notes that the position is to be reported; returns true if it was not noted yet.
    pub(super) fn note_advance(&mut self) -> bool {
        !std::mem::replace(&mut self.has_advanced, true)
    }

    /// Returns true if the position is to be reported, and forgets it.
    pub(super) fn take_advance(&mut self) -> bool {
        std::mem::take(&mut self.has_advanced)
    }

    /// Moves to the end of the partition; returns the moment up to which it is read if that is
    /// confirmed now.
    pub(super) fn reach_end(&mut self, end: i64) -> Option<EventTime> {
        self.has_advanced = false;
        self.lag = Some(0);
        self.advance(end)
    }

    /// Moves to a position, and never back; returns the moment up to which the partition is read
    /// if that is confirmed now.
    pub(super) fn advance(&mut self, position: i64) -> Option<EventTime> {
        self.next_offset = self.next_offset.max(position);
        self.confirmation.reach(self.next_offset)
    }

    /// Returns true if its end is to be requested: nothing arrived since the last call, or the last
    /// end was reached.
    pub(super) fn take_unconfirmed(&mut self) -> bool {
        std::mem::replace(&mut self.is_quiet, true) || !self.confirmation.is_behind()
    }

    /// True if no record arrived since the last request for its end.
    pub(super) const fn is_quiet(&self) -> bool {
        self.is_quiet
    }

    /// Notes that its end is requested now.
    pub(super) fn note_request(&mut self) {
        self.confirmation.ask(self.next_offset);
    }

    /// Takes the end that its leader reported to a request of `sent_at`; returns the moment up to
    /// which the partition is read if that is confirmed now.
    pub(super) fn take_end(&mut self, end: i64, sent_at: EventTime) -> Option<EventTime> {
        if self.next_offset == end {
            self.lag = Some(0);
        }
        self.confirmation.answer(end, sent_at, self.next_offset)
    }

    /// Sets the lag from an end; `None` where it is not known.
    pub(super) fn set_lag(&mut self, end: Option<i64>) {
        self.lag = end.map(|end| end.saturating_sub(self.next_offset).max(0).unsigned_abs());
    }

    /// Marks everything before `upto` as stored in the pane log.
    pub(super) fn accept(&mut self, upto: i64) {
        self.accepted = self.accepted.max(upto.min(self.next_offset));
    }

    /// Takes the accepted offset if the group does not hold it yet, as sent.
    pub(super) fn take_offset_to_commit(&mut self) -> Option<i64> {
        let is_new = self.is_open && self.committed != Some(self.accepted);
        self.sent = is_new.then_some(self.accepted).or(self.sent);
        is_new.then_some(self.accepted)
    }

    /// Ends the commit that was sent.
    pub(super) fn end_commit(&mut self, has_succeeded: bool) {
        let sent = self.sent.take();
        if has_succeeded {
            self.committed = sent.or(self.committed);
        }
    }

    /// Adds its totals and its lag to the report of its topic.
    pub(super) fn add_to(&self, report: &mut TopicReport) {
        report.records += self.records;
        report.bytes += self.bytes;
        report.tombstones += self.tombstones;
        report.offsets_lost += self.offsets_lost;
        if self.is_open {
            report.lags.insert(self.shard.partition, self.lag);
        }
    }
}

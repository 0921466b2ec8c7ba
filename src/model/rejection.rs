//! The bounded reasons why a value or a record is not counted.

/// The way in which a value is missing; a value of the label `kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingKind {
    /// `null`, or an empty cell.
    Null,
    /// The record does not have the path.
    Absent,
    /// Not a number.
    Nan,
}

impl MissingKind {
    /// All kinds, in the order of the tallies.
    pub const ALL: [MissingKind; 3] = [MissingKind::Null, MissingKind::Absent, MissingKind::Nan];

    /// The label value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            MissingKind::Null => "null",
            MissingKind::Absent => "absent",
            MissingKind::Nan => "nan",
        }
    }
}

/// The reason why a present value cannot be counted; a value of the label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidReason {
    /// A value of another kind than the feature: a text for a number, an object for a category.
    WrongKind,
    /// Plus or minus infinity, also by overflow (`1e999`).
    Infinite,
}

impl InvalidReason {
    /// All reasons, in the order of the tallies.
    pub const ALL: [InvalidReason; 2] = [InvalidReason::WrongKind, InvalidReason::Infinite];

    /// The label value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            InvalidReason::WrongKind => "wrong_kind",
            InvalidReason::Infinite => "infinite",
        }
    }
}

/// The reason why a decoded record is not an event of a monitor; a value of the label `reason` of
/// `pegel_events_dropped_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// `select.where` does not match.
    Filtered,
    /// Neither the record nor its fallback carries a time.
    NoTimestamp,
    /// The record has a value where its time should be, and it is no time.
    BadTimestamp,
    /// Event time beyond the record's arrival plus `max_future`.
    Future,
    /// Behind the shard's watermark by more than the longest window.
    Late,
    /// Counted, but no window holds its pane any more when the counts reach the engine.
    Expired,
}

impl DropReason {
    /// All reasons, in the order of the tallies.
    pub const ALL: [DropReason; 6] = [
        DropReason::Filtered,
        DropReason::NoTimestamp,
        DropReason::BadTimestamp,
        DropReason::Future,
        DropReason::Late,
        DropReason::Expired,
    ];

    /// The label value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            DropReason::Filtered => "filtered",
            DropReason::NoTimestamp => "no_timestamp",
            DropReason::BadTimestamp => "bad_timestamp",
            DropReason::Future => "future",
            DropReason::Late => "late",
            DropReason::Expired => "expired",
        }
    }
}

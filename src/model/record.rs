//! What a record turns into: one slot per configured path, and the bounded reasons for what could not be used.

/// A piece of text inside the scratch buffer of a decoded record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextRange {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl TextRange {
    /// The text in `scratch` this range stands for.
    #[must_use]
    pub fn of(self, scratch: &str) -> &str {
        scratch
            .get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }
}

/// What a record holds at one configured path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Slot {
    /// The path does not exist in the record.
    Absent,
    /// The path holds `null` (in CSV: an empty cell).
    Null,
    /// A number, which may be infinite when the text overflows a double; the text is kept where a category or a time may be read from it.
    Number(f64, TextRange),
    /// A text.
    Text(TextRange),
    /// `true` or `false`.
    Bool(bool),
    /// Text of a CSV cell, whose type is the reader's to decide.
    Cell(TextRange),
    /// An object or an array.
    Nested,
}

/// How a value can be missing; values of the label `kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingKind {
    /// `null`, or an empty cell.
    Null,
    /// The path is not in the record.
    Absent,
    /// Not a number.
    Nan,
}

impl MissingKind {
    /// Every kind, in the order of the tallies.
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

/// Why a present value cannot be counted; values of the label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidReason {
    /// Text where a number is expected, an object where a category is, and so on.
    WrongKind,
    /// Plus or minus infinity, also by overflow (`1e999`).
    Infinite,
}

impl InvalidReason {
    /// Every reason, in the order of the tallies.
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

/// Why a decoded record is no event of a monitor; values of the label `reason` of `pegel_events_dropped_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// `select.where` did not match.
    Filtered,
    /// Neither the record nor its fallback carries a usable time.
    NoTimestamp,
    /// Later than `now + max_future`.
    Future,
    /// Behind the shard's watermark by more than the longest window.
    Late,
    /// Accepted, but its pane had left every ring when it reached the windows.
    Expired,
}

impl DropReason {
    /// Every reason, in the order of the tallies.
    pub const ALL: [DropReason; 5] = [
        DropReason::Filtered,
        DropReason::NoTimestamp,
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
            DropReason::Future => "future",
            DropReason::Late => "late",
            DropReason::Expired => "expired",
        }
    }
}

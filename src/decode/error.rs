//! Why a record could not be decoded.

/// The reason a whole record is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON: cut off, trailing bytes, a missing comma, empty.
    #[error("not valid JSON")]
    Json,
    /// A byte sequence that is not UTF-8, anywhere.
    #[error("not valid UTF-8")]
    Utf8,
    /// More than [`super::MAX_DEPTH`] levels.
    #[error("nested deeper than {max} levels", max = super::MAX_DEPTH)]
    Depth,
    /// Larger than the configured limit.
    #[error("larger than limits.max_message_bytes")]
    TooLarge,
    /// A configured key occurs twice: either could be meant.
    #[error("a monitored key occurs twice")]
    DuplicateKey,
    /// `NaN` or `Infinity` as a bare word, as Python writes them; not JSON.
    #[error("NaN or Infinity written as a bare word, which JSON does not know")]
    NonFiniteLiteral,
    /// JSON, but a number, text or list instead of an object.
    #[error("not a JSON object")]
    NotAnObject,
    /// A table row with another number of cells than its header.
    #[error("another number of cells than the header")]
    RowLength,
}

impl DecodeError {
    /// Every reason a record of a Kafka topic can have.
    pub const ALL: [DecodeError; 7] = [
        DecodeError::Json,
        DecodeError::Utf8,
        DecodeError::Depth,
        DecodeError::TooLarge,
        DecodeError::DuplicateKey,
        DecodeError::NonFiniteLiteral,
        DecodeError::NotAnObject,
    ];

    /// The label value; one of a fixed set.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            DecodeError::Json => "json",
            DecodeError::Utf8 => "utf8",
            DecodeError::Depth => "depth",
            DecodeError::TooLarge => "too_large",
            DecodeError::DuplicateKey => "duplicate_key",
            DecodeError::NonFiniteLiteral => "non_finite_literal",
            DecodeError::NotAnObject => "not_an_object",
            DecodeError::RowLength => "row_length",
        }
    }
}

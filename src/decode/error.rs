//! The reasons why a whole record is rejected.

/// The deepest accepted nesting of objects and arrays.
pub const MAX_DEPTH: usize = 32;

/// The reason why a record cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON: empty, cut off, trailing bytes, a missing comma.
    #[error("not valid JSON")]
    Json,
    /// A byte sequence that is not UTF-8, anywhere in the record.
    #[error("not valid UTF-8")]
    Utf8,
    /// More than [`MAX_DEPTH`] levels.
    #[error("nested deeper than {MAX_DEPTH} levels")]
    Depth,
    /// Larger than the configured limit.
    #[error("larger than limits.max_message_bytes")]
    TooLarge,
    /// A configured key occurs twice, and either value could be meant.
    #[error("a monitored key occurs twice")]
    DuplicateKey,
    /// `NaN` or `Infinity` as a bare word, as Python writes them.
    #[error("bare word NaN or Infinity, which is not valid JSON")]
    NonFiniteLiteral,
    /// JSON, but not an object at the top.
    #[error("not a JSON object")]
    NotAnObject,
    /// A table row with more or fewer cells than the header.
    #[error("more or fewer cells than the header")]
    RowLength,
}

impl DecodeError {
    /// The reasons that a record of a Kafka topic can have.
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

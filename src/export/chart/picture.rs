//! A picture with what its caption must say.

/// A picture of numbers.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::export) struct Picture {
    /// The element `svg`.
    pub(in crate::export) svg: String,
    /// True if distances on its axis are not proportional to differences of numbers.
    pub(in crate::export) is_compressed: bool,
}

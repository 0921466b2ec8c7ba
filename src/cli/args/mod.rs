//! Arguments that several commands share.

pub(super) mod file;
pub(super) mod input;
pub(super) mod range;

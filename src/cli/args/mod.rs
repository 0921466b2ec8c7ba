//! Arguments that several commands share.

pub mod range;

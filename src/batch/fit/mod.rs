//! Builds a reference from rows.

pub mod calibrate;
pub mod hour_of_week;
pub mod infer;

//! Measures alert policies on a history in which nothing was wrong.
//!
//! The history is replayed once unchanged under all candidate policies at the same time, which
//! counts false alarms. Then an interval of its second half is replayed again, once per injected
//! fault, which measures the faults that each candidate detects and the time it takes. Nothing is
//! estimated: every number is a count of what the monitor would have done.
//!
//! `pegel calibrate` prints the report.

pub(crate) mod alarm_trace;
pub(crate) mod candidates;
pub(crate) mod caveats;
pub(crate) mod faults;
pub(crate) mod operating_curve;
pub(crate) mod outcomes;
pub(crate) mod policy;
pub(crate) mod recommend;
pub(crate) mod report;
pub(crate) mod trial;

pub use trial::BacktestError;

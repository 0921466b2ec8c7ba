//! Decides when a score is an alarm: thresholds, consecutive evaluations, and a state that does not
//! flap.
//!
//! A threshold may differ from window to window with the number of samples, so it is an argument of
//! every evaluation. Its origin, fixed or calibrated, makes no difference here.

#[expect(clippy::module_inception, reason = "the alert itself")]
mod alert;
mod threshold;
mod timing;

pub use alert::{Alert, AlertState, Transition};
pub use threshold::Threshold;
pub use timing::AlertTiming;

//! The severities of an alert.

use super::named_enum::named_enum;

named_enum! {
    /// The urgency of an alert.
    Severity {
        /// Can wait until the next working day.
        Warning = "warning",
        /// Needs somebody at once.
        Critical = "critical",
    }
}

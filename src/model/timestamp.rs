//! The form of a record's event time.
//!
//! A stream has its times as texts or as numbers since 1970, in seconds or in a smaller unit. The
//! form is configured by name, or each value decides by its magnitude.

use jiff::tz::TimeZone;

use super::named_enum::named_enum;
use super::pointer::Pointer;

named_enum! {
    /// The form in which event times are written.
    TimestampFormat {
        /// Any of the others, decided for each value: texts by their zone, numbers by magnitude.
        Auto = "auto",
        /// A text with a zone, such as `2026-11-01T00:00:00Z`.
        Rfc3339 = "rfc3339",
        /// A text without a zone, such as `2026-11-08 14:23:55.123`.
        Datetime = "datetime",
        /// Seconds since 1970, whole or with a fraction.
        EpochS = "epoch_s",
        /// Milliseconds since 1970.
        EpochMs = "epoch_ms",
        /// Microseconds since 1970.
        EpochUs = "epoch_us",
        /// Nanoseconds since 1970.
        EpochNs = "epoch_ns",
        /// A text with a zone, or milliseconds since 1970.
        Rfc3339OrEpochMs = "rfc3339_or_epoch_ms",
    }
}

impl TimestampFormat {
    /// The default of `timestamp.format`.
    pub const DEFAULT: TimestampFormat = TimestampFormat::Auto;

    /// True for texts with a date and a time.
    #[must_use]
    pub const fn is_text(self) -> bool {
        matches!(self, TimestampFormat::Rfc3339 | TimestampFormat::Datetime)
    }

    /// True if texts without a zone are read.
    #[must_use]
    pub const fn reads_local_times(self) -> bool {
        matches!(self, TimestampFormat::Auto | TimestampFormat::Datetime)
    }
}

/// A time zone of the IANA database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// The name of the default of `timestamp.zone`.
    pub const DEFAULT_NAME: &'static str = "UTC";

    /// Looks a zone up by name; `None` if there is none of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        TimeZone::get(name).ok().map(Zone)
    }

    /// The name of the zone.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or(Self::DEFAULT_NAME)
    }

    /// The names of all zones.
    #[must_use]
    pub fn names() -> Vec<String> {
        jiff::tz::db()
            .available()
            .map(|name| name.to_string())
            .collect()
    }

    /// The rules of the zone.
    #[must_use]
    pub const fn rules(&self) -> &TimeZone {
        &self.0
    }
}

impl Default for Zone {
    fn default() -> Self {
        Zone(TimeZone::UTC)
    }
}

/// The source of a record's event time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimestampSpec {
    /// Path of the time in a record; `None` = Kafka's timestamp.
    pub path: Option<Pointer>,
    /// Form of the time.
    pub format: TimestampFormat,
    /// Zone of texts that have none.
    pub zone: Zone,
    /// True if Kafka's timestamp replaces a missing one.
    pub fallback_kafka: bool,
}

impl Default for TimestampSpec {
    fn default() -> Self {
        TimestampSpec {
            path: None,
            format: TimestampFormat::DEFAULT,
            zone: Zone::default(),
            fallback_kafka: false,
        }
    }
}

//! Every default, once: the loader takes them from here, and so does the table in the documentation.

use std::time::Duration;

/// A default of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Default {
    /// The option.
    pub option: &'static str,
    /// Its value as a user would write it.
    pub value: &'static str,
}

macro_rules! durations {
    ($($name:ident = $option:literal, $value:literal, $seconds:literal;)+) => {
        $(pub(super) const $name: Duration = Duration::from_secs($seconds);)+
        const DURATIONS: &[Default] = &[$(Default { option: $option, value: $value },)+];
    };
}

durations! {
    FLUSH_INTERVAL = "state.flush_interval", "1s, with panes_topic 10s", 1;
    SNAPSHOT_INTERVAL = "state.snapshot_interval", "5m", 300;
    SHUTDOWN_GRACE = "limits.shutdown_grace", "10s", 10;
    OUT_OF_ORDERNESS = "lateness.out_of_orderness", "30s", 30;
    IDLE_AFTER = "lateness.idle_after", "1m", 60;
    MAX_FUTURE = "lateness.max_future", "5m", 300;
    STALL_AFTER = "lateness.stall_after", "5m", 300;
}

pub(super) const LISTEN_ADDRESS: &str = "127.0.0.1:10987";
pub(super) const STATE_PATH: &str = "./state";
pub(super) const PANES_FLUSH_INTERVAL: Duration = Duration::from_secs(10);
pub(super) const PANES_PARTITIONS: u32 = 9;
pub(super) const MAX_SERIES: usize = 20_000;
pub(super) const MAX_MESSAGE_BYTES: usize = 1 << 20;
pub(super) const GROUP_ID: &str = "pegel";
pub(super) const MIN_SAMPLES: u64 = 500;
pub(super) const SLIDES_PER_WINDOW: u32 = 15;
pub(super) const MIN_COVERAGE: f64 = 0.9;
pub(super) const PSEUDO_COUNT: f64 = 0.5;
pub(super) const REFERENCE_NAME: &str = "training";

/// All defaults, by option.
#[must_use]
pub fn defaults() -> Vec<Default> {
    let plain = [
        ("web.listen_address", LISTEN_ADDRESS),
        ("web.enable_reload", "false"),
        ("state.path", STATE_PATH),
        ("state.panes_partitions", "9"),
        ("state.brokers", "those of the sources"),
        ("limits.max_series", "20000"),
        ("limits.max_message_bytes", "1MiB"),
        ("kafka.group_id", GROUP_ID),
        ("kafka.start", "latest"),
        ("timestamp.fallback", "kafka"),
        ("windows.slide", "size / 15"),
        ("windows.min_samples", "500"),
        ("references.name", REFERENCE_NAME),
        ("features.bins", "20"),
        ("features.top", "50"),
        ("statistics", "[js, wasserstein]"),
        ("alerts.for", "1"),
        ("alerts.keep_firing_for", "0"),
        ("min_coverage", "0.9"),
        ("pseudo_count", "0.5"),
    ];
    let plain = plain.map(|(option, value)| Default { option, value });
    let mut all: Vec<Default> = plain.into_iter().chain(DURATIONS.iter().copied()).collect();
    all.sort_by_key(|default| default.option);
    all
}

//! Reads the top level of a configuration, and checks options against each other.

use std::path::Path;
use std::time::Duration;

use super::effective::{Config, Limits, State, Web};
use super::reader::{Item, Table};
use super::source_map::SourceMap;
use super::{defaults, kafka, monitor, state};
use crate::model::{MonitorSpec, SourceSpec, duration};

/// The longest time between two commits of a live partition in the pane log.
const MAX_HEARTBEAT: Duration = Duration::from_secs(30);

/// Reads the whole configuration. Returns `None` only after reporting a problem.
pub(super) fn read(root: &Item<'_>, directory: &Path) -> Option<Config> {
    let table = root.table()?;
    if let Some(item) = table.need("version", &format!("version: {}", defaults::VERSION))
        && item
            .whole(1)
            .is_some_and(|version| version != defaults::VERSION)
    {
        item.expected::<()>(&format!("version {}", defaults::VERSION));
    }
    let section = |key| table.get(key).and_then(|item| item.table());
    let web = web(section("web").as_ref());
    let limits = limits(section("limits").as_ref());
    let sources = kafka::sources(&table);
    let state = state::read(section("state").as_ref(), &sources, directory);
    // A source with a problem exists, too.
    let named = kafka::source_names(&table);
    let source_names: Vec<&str> = named.iter().map(String::as_str).collect();
    let defaults = table.get("defaults");
    let monitors = table
        .need("monitors", "a list of at least one monitor")
        .and_then(|item| item.non_empty_list("monitor"))
        .map(|items| monitor::read_all(&items, defaults.as_ref(), &source_names, directory))
        .unwrap_or_default();
    check_stall_after(&table, &monitors, &state);
    table.finish();
    Some(Config {
        web,
        state,
        limits,
        sources,
        monitors,
        source_map: SourceMap::default(),
    })
}

/// Reports the first monitor that would release a live partition. A partition without records
/// commits at least every `flush_interval` or half `idle_after` (at most 30 s), whichever is
/// longer; it is released after three missing commits, not earlier.
fn check_stall_after(table: &Table<'_>, monitors: &[MonitorSpec], state: &State) {
    for monitor in monitors {
        let lateness = &monitor.lateness;
        let heartbeat = state
            .flush_interval
            .max((lateness.idle_after / 2).min(MAX_HEARTBEAT));
        if lateness.stall_after < heartbeat * 3 {
            table.item().error(format!(
                "lateness.stall_after of monitor {} is {}, expected at least {}: three heartbeats \
                 of a partition without records (state.flush_interval, or half of idle_after up to \
                 30s if that is longer)",
                monitor.name,
                duration::format(lateness.stall_after),
                duration::format(heartbeat * 3)
            ));
            return;
        }
    }
}

fn web(table: Option<&Table<'_>>) -> Web {
    let mut web = Web {
        listen_address: defaults::LISTEN_ADDRESS.to_owned(),
        enable_reload: defaults::ENABLE_RELOAD,
    };
    let Some(table) = table else {
        return web;
    };
    if let Some(item) = table.get("listen_address")
        && let Some(address) = item.text()
    {
        let is_valid = address
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        if is_valid {
            web.listen_address = address;
        } else {
            let example = defaults::LISTEN_ADDRESS;
            item.expected::<()>(&format!("host:port such as \"{example}\""));
        }
    }
    if let Some(is_enabled) = table.get("enable_reload").and_then(|item| item.boolean()) {
        web.enable_reload = is_enabled;
    }
    table.reserve(&["tls", "auth"]);
    table.finish();
    web
}

fn limits(table: Option<&Table<'_>>) -> Limits {
    let mut limits = Limits {
        max_series: defaults::MAX_SERIES,
        max_message_bytes: SourceSpec::DEFAULT_MAX_MESSAGE_BYTES,
        shutdown_grace: defaults::SHUTDOWN_GRACE,
    };
    let Some(table) = table else {
        return limits;
    };
    if let Some(count) = table.get("max_series").and_then(|item| item.count(1)) {
        limits.max_series = count;
    }
    if let Some(bytes) = table.get("max_message_bytes").and_then(|item| item.size()) {
        limits.max_message_bytes = bytes;
    }
    if let Some(grace) = table.get("shutdown_grace").and_then(|item| item.duration()) {
        limits.shutdown_grace = grace;
    }
    table.finish();
    limits
}

//! Reads monitors: what they count, over which windows, compared with what.

use std::path::Path;
use std::time::Duration;

use super::reader::{Item, Table};
use super::source_map::OptionSubject;
use super::{alert, defaults, feature, reference, window};
use crate::model::{
    AlertSpec, BinExport, FalseAlarmScope, Lateness, MonitorSpec, Select, Statistic,
    TimestampFormat, TimestampSpec, VolumeSpec, Zone, suggest,
};

const FALSE_ALARM_SCOPES: [(&str, FalseAlarmScope); 2] = [
    (FalseAlarmScope::Monitor.name(), FalseAlarmScope::Monitor),
    (FalseAlarmScope::Feature.name(), FalseAlarmScope::Feature),
];
const BIN_EXPORTS: [(&str, BinExport); 3] = [
    (BinExport::Firing.name(), BinExport::Firing),
    (BinExport::All.name(), BinExport::All),
    (BinExport::None.name(), BinExport::None),
];
/// The shortest silence: two heartbeats of a partition without records.
const MIN_SILENCE: Duration = Duration::from_secs(60);

/// Reads the monitors; `fallback` supplies their missing options. Monitors with problems are left
/// out.
pub(super) fn read_all(
    items: &[Item<'_>],
    fallback: Option<&Item<'_>>,
    sources: &[&str],
    directory: &Path,
) -> Vec<MonitorSpec> {
    if let Some(table) = fallback.and_then(Item::table) {
        // A monitor reads only the defaults that it does not override; this reads them all.
        read(&table.partial(), sources, directory);
    }
    let mut monitors: Vec<MonitorSpec> = Vec::new();
    for item in items {
        let Some(table) = item.table() else {
            continue;
        };
        let monitor = read(&table.or(fallback), sources, directory);
        if monitors.iter().any(|earlier| earlier.name == monitor.name) {
            item.error(format!("duplicate monitor name {:?}", monitor.name));
        }
        monitors.push(monitor);
    }
    monitors
}

/// Options of the contract that are not supported yet.
const RESERVED: [&str; 6] = [
    "rows",
    "segment_by",
    "weight",
    "transform",
    "match",
    "missing",
];

fn read(table: &Table<'_>, sources: &[&str], directory: &Path) -> MonitorSpec {
    let name = table
        .need("name", "the name of the monitor")
        .and_then(|item| item.name())
        .unwrap_or_default();
    table
        .item()
        .record_location(OptionSubject::Monitor(name.clone()));
    let source = source(table, sources).unwrap_or_default();
    let select = table.get("select").and_then(|item| select(&item));
    let timestamp = timestamp(table);
    let windows = window::read_all(table);
    let references = reference::read_all(table, &name, &windows, directory);
    let root = table.get("root").and_then(|item| item.pointer());
    let (features, features_from_reference) = feature::read_all(table, &name, &references);
    let statistics = statistics(table);
    let is_open = features_from_reference || table.is_partial();
    let known_features = if is_open { &[] } else { &features[..] };
    let alerts = alert::read_all(table, &name, known_features, &windows);
    let false_alarm_scope = table
        .get("false_alarm_scope")
        .and_then(|item| item.choice(&FALSE_ALARM_SCOPES))
        .unwrap_or(FalseAlarmScope::Monitor);
    let volume = table.get("volume").and_then(|item| volume(&item));
    let export_bins = export_bins(table);
    let silence = table
        .get("silence")
        .and_then(|item| silence(&item))
        .unwrap_or_else(|| MonitorSpec::default_silence(&windows));
    let lateness = lateness(table);
    let min_coverage = table
        .get("min_coverage")
        .and_then(|item| item.ratio())
        .unwrap_or(MonitorSpec::DEFAULT_MIN_COVERAGE);
    let pseudo_count = table
        .get("pseudo_count")
        .and_then(|item| pseudo_count(&item))
        .unwrap_or(MonitorSpec::DEFAULT_PSEUDO_COUNT);
    refuse_budgets_without_smoothing(table, pseudo_count, &alerts);
    table.reserve(&RESERVED);
    table.finish();
    MonitorSpec {
        name,
        source,
        select,
        timestamp,
        windows,
        references,
        root: root.unwrap_or_default(),
        features,
        features_from_reference,
        statistics,
        alerts,
        false_alarm_scope,
        volume,
        export_bins,
        silence,
        lateness,
        min_coverage,
        pseudo_count,
    }
}

/// Refuses budgeted alerts on scores that are infinite without a pseudo-count: they have no
/// distribution without drift, so they would never alarm.
fn refuse_budgets_without_smoothing(table: &Table<'_>, pseudo_count: f64, alerts: &[AlertSpec]) {
    let is_smoothed = |alert: &&AlertSpec| {
        let statistic = alert.statistic;
        alert.budget.is_some()
            && matches!(
                statistic,
                Statistic::Kl | Statistic::KlReverse | Statistic::Psi
            )
    };
    let refused = alerts
        .iter()
        .find(is_smoothed)
        .filter(|_| pseudo_count <= 0.0);
    if let (Some(alert), Some(item)) = (refused, table.get("pseudo_count")) {
        item.error(format!(
            "without a pseudo-count {} can be infinite and has no calibrated threshold, expected a \
             number above 0, or \"warning\" or \"critical\" for its alerts",
            alert.statistic
        ));
    }
}

fn source(table: &Table<'_>, sources: &[&str]) -> Option<String> {
    let item = table.need("source", "the name of a source")?;
    let name = item.text()?;
    if !sources.contains(&name.as_str()) {
        let suggestion = suggest(&name, sources);
        item.error(format!("unknown source {name:?}, {suggestion}"));
    }
    Some(name)
}

fn select(item: &Item<'_>) -> Option<Select> {
    let table = item.table()?;
    table.reserve(&["header", "key"]);
    let condition = table
        .need("where", "{path: ..., equals: ...}")
        .and_then(|item| item.table());
    table.finish();
    let condition = condition?;
    let path = condition
        .need("path", "a JSON pointer")
        .and_then(|item| item.pointer());
    let equals = condition
        .need("equals", "a value or a list of values")
        .and_then(|item| match item.is_list() {
            true => item.non_empty_list("value"),
            false => Some(vec![item]),
        });
    condition.reserve(&["header", "key"]);
    condition.finish();
    let equals = equals.map(|items| items.iter().filter_map(Item::literal).collect());
    Some(Select {
        path: path?,
        equals: equals?,
    })
}

fn timestamp(table: &Table<'_>) -> TimestampSpec {
    let mut spec = TimestampSpec {
        fallback_kafka: defaults::TIMESTAMP_FALLBACK.1,
        ..TimestampSpec::default()
    };
    let Some(table) = table.get_table("timestamp") else {
        return spec;
    };
    let path = table.get("path");
    spec.path = path.as_ref().and_then(Item::pointer);
    let formats: Vec<(&str, TimestampFormat)> = TimestampFormat::ALL
        .iter()
        .map(|format| (format.name(), *format))
        .collect();
    let [format, zone, fallback] = ["format", "zone", "fallback"].map(|option| table.get(option));
    if let Some(format) = format.as_ref().and_then(|item| item.choice(&formats)) {
        spec.format = format;
    }
    if let Some(item) = &zone {
        spec.zone = time_zone(item).unwrap_or_default();
        if !spec.format.reads_local_times() {
            item.error(format!(
                "has no effect with format {}, expected auto or datetime",
                spec.format
            ));
        }
    }
    if let Some(is_kafka) = fallback
        .as_ref()
        .and_then(|item| item.choice(&[defaults::TIMESTAMP_FALLBACK, ("none", false)]))
    {
        spec.fallback_kafka = is_kafka;
    }
    if path.is_none() && !table.is_partial() {
        let fallback = fallback.filter(|_| !spec.fallback_kafka);
        for item in [format, zone, fallback].iter().flatten() {
            if !item.is_default() {
                item.error("has no effect without timestamp.path");
            }
        }
    }
    table.reserve(&["header"]);
    table.finish();
    spec
}

fn time_zone(item: &Item<'_>) -> Option<Zone> {
    let name = item.text()?;
    let zone = Zone::named(&name);
    if zone.is_none() {
        let names = Zone::names();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let suggestion = match suggest(&name, &names) {
            nearest if nearest.starts_with("did you mean") => nearest,
            _ => "expected an IANA name such as Europe/Berlin".to_owned(),
        };
        item.error(format!("unknown time zone {name:?}, {suggestion}"));
    }
    zone
}

fn export_bins(table: &Table<'_>) -> BinExport {
    let item = table.get("export_bins");
    item.and_then(|item| item.choice(&BIN_EXPORTS))
        .unwrap_or(MonitorSpec::DEFAULT_EXPORT_BINS)
}

fn statistics(table: &Table<'_>) -> Vec<Statistic> {
    let Some(items) = table.get("statistics").and_then(|item| item.list()) else {
        return MonitorSpec::DEFAULT_STATISTICS.to_vec();
    };
    let mut statistics: Vec<Statistic> = items
        .iter()
        .filter_map(|item| item.statistic(false))
        .collect();
    statistics.sort_unstable();
    statistics.dedup();
    statistics
}

fn volume(item: &Item<'_>) -> Option<VolumeSpec> {
    let table = item.table()?;
    let min_events = table
        .need("min_events", "the smallest number of events in a window")
        .and_then(|item| item.whole(1));
    table.finish();
    Some(VolumeSpec {
        min_events: min_events?,
    })
}

fn silence(item: &Item<'_>) -> Option<Duration> {
    let silence = item.duration()?;
    if silence < MIN_SILENCE {
        return item.expected("a duration of at least 1m");
    }
    Some(silence)
}

fn pseudo_count(item: &Item<'_>) -> Option<f64> {
    let count = item.number()?;
    if count >= 0.0 && count.is_finite() {
        return Some(count);
    }
    item.expected("a number of at least 0")
}

fn lateness(table: &Table<'_>) -> Lateness {
    let mut lateness = Lateness::DEFAULT;
    let Some(table) = table.get_table("lateness") else {
        return lateness;
    };
    for (option, limit) in [
        ("out_of_orderness", &mut lateness.out_of_orderness),
        ("idle_after", &mut lateness.idle_after),
        ("max_future", &mut lateness.max_future),
        ("stall_after", &mut lateness.stall_after),
    ] {
        if let Some(duration) = table.get(option).and_then(|item| item.duration()) {
            *limit = duration;
        }
    }
    table.finish();
    lateness
}

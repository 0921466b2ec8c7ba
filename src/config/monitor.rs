//! Monitors: what is watched, over which windows, against what, and when it is an alarm.

use std::path::Path;
use std::time::Duration;

use super::problems::{Subject, suggest};
use super::reader::{Item, Table};
use super::{alert, defaults, feature, reference};
use crate::model::{
    FeatureSpec, Lateness, MonitorSpec, Pointer, ReferenceSpec, Select, Statistic, TimestampSpec,
    WindowSpec,
};

/// Reads the monitors; those with problems are left out.
pub(super) fn read_all(
    items: &[Item<'_>],
    fallback: Option<&Item<'_>>,
    sources: &[&str],
    directory: &Path,
) -> Vec<MonitorSpec> {
    let mut monitors: Vec<MonitorSpec> = Vec::new();
    for item in items {
        let Some(table) = item.table() else {
            continue;
        };
        let Some(monitor) = read(&table.or(fallback), sources, directory) else {
            continue;
        };
        if monitors.iter().any(|other| other.name == monitor.name) {
            item.complain(format!("a second monitor named {:?}", monitor.name));
        }
        monitors.push(monitor);
    }
    monitors
}

fn read(table: &Table<'_>, sources: &[&str], directory: &Path) -> Option<MonitorSpec> {
    let name = table
        .need("name", "what the monitor is called")
        .and_then(|item| item.name())
        .unwrap_or_default();
    table.item().mark(Subject::Monitor(name.clone()));
    let source = source(table, sources);
    let windows = windows(table);
    let references = reference::read_all(table, &name, &windows, directory);
    let (features, features_from_reference) = features(table, &references);
    let known = if features_from_reference {
        &[][..]
    } else {
        &features[..]
    };
    let alerts = alert::read_all(table, known, &windows);
    let spec = MonitorSpec {
        name,
        source: source.unwrap_or_default(),
        select: table.get("select").and_then(|item| select(&item)),
        timestamp: timestamp(table),
        windows,
        references,
        root: table
            .get("root")
            .and_then(|item| pointer(&item))
            .unwrap_or_default(),
        features,
        features_from_reference,
        statistics: statistics(table),
        alerts,
        lateness: lateness(table),
        min_coverage: table
            .get("min_coverage")
            .and_then(|item| item.ratio())
            .unwrap_or(defaults::MIN_COVERAGE),
        pseudo_count: pseudo_count(table),
    };
    table.reserve(&[
        "rows",
        "segment_by",
        "weight",
        "transform",
        "match",
        "missing",
    ]);
    finish(table);
    Some(spec)
}

/// A borrowed table cannot be consumed by `finish`; reading it once more costs nothing.
fn finish(table: &Table<'_>) {
    if let Some(own) = table.item().table() {
        for key in KEYS {
            own.get(key);
        }
        own.finish();
    }
}

/// Every option of a monitor.
const KEYS: &[&str] = &[
    "name",
    "source",
    "select",
    "timestamp",
    "windows",
    "reference",
    "references",
    "root",
    "features",
    "features_from",
    "statistics",
    "alerts",
    "lateness",
    "min_coverage",
    "pseudo_count",
    "rows",
    "segment_by",
    "weight",
    "transform",
    "match",
    "missing",
];

fn source(table: &Table<'_>, sources: &[&str]) -> Option<String> {
    let item = table.need("source", "the name of one of the sources")?;
    let name = item.text()?;
    if !sources.contains(&name.as_str()) {
        item.complain(format!("no source {name:?}, {}", suggest(&name, sources)));
    }
    Some(name)
}

/// A JSON pointer.
pub(super) fn pointer(item: &Item<'_>) -> Option<Pointer> {
    let text = item.text()?;
    let pointer = Pointer::parse(&text);
    if pointer.is_none() {
        item.complain(format!("expected a JSON pointer that begins with a slash, as \"/features/amount\", found {text:?}"));
    }
    pointer
}

fn select(item: &Item<'_>) -> Option<Select> {
    let table = item.table()?;
    table.reserve(&["header", "key"]);
    let inner = table
        .need("where", "{path: ..., equals: ...}")
        .and_then(|item| item.table());
    table.finish();
    let inner = inner?;
    let path = inner
        .need("path", "a JSON pointer")
        .and_then(|item| pointer(&item));
    let equals = inner
        .need("equals", "a value or a list of values")
        .and_then(|item| {
            let items = if item.is_list() {
                item.list()?
            } else {
                vec![item.clone()]
            };
            if items.is_empty() {
                item.complain("at least one value is needed");
            }
            Some(items.iter().filter_map(Item::literal).collect())
        });
    inner.reserve(&["header", "key"]);
    inner.finish();
    Some(Select {
        path: path?,
        equals: equals?,
    })
}

fn timestamp(table: &Table<'_>) -> TimestampSpec {
    let mut spec = TimestampSpec {
        path: None,
        fallback_kafka: true,
    };
    let Some(table) = table.get_table("timestamp") else {
        return spec;
    };
    spec.path = table.get("path").and_then(|item| pointer(&item));
    if let Some(format) = table.get("format") {
        format.choice(&[("rfc3339_or_epoch_ms", ())]);
    }
    if let Some(fallback) = table.get("fallback") {
        spec.fallback_kafka = fallback
            .choice(&[("kafka", true), ("none", false)])
            .unwrap_or(true);
    }
    table.reserve(&["header"]);
    table.finish();
    spec
}

fn windows(table: &Table<'_>) -> Vec<WindowSpec> {
    let Some(list) = table
        .need("windows", "a list of at least one window")
        .and_then(|item| Some((item.list()?, item)))
    else {
        return Vec::new();
    };
    let (items, list) = list;
    if items.is_empty() {
        list.complain("at least one window is needed");
    }
    let mut windows: Vec<WindowSpec> = Vec::new();
    for item in &items {
        let Some(window) = item.table().and_then(|table| window(&table)) else {
            continue;
        };
        if windows.iter().any(|other| other.name == window.name) {
            item.complain(format!("a second window named {:?}", window.name));
        }
        windows.push(window);
    }
    windows
}

fn window(table: &Table<'_>) -> Option<WindowSpec> {
    let size_item = table.need("size", "a duration, as \"15m\"");
    let size = size_item.as_ref().and_then(Item::duration);
    let slide_item = table.get("slide");
    let slide = slide_item
        .as_ref()
        .map_or_else(|| size.map(default_slide), Item::duration);
    let name = table.get("name").map_or_else(
        || size_item.as_ref().and_then(Item::text),
        |item| item.name(),
    );
    let min_samples = table
        .get("min_samples")
        .and_then(|item| item.whole(1))
        .unwrap_or(defaults::MIN_SAMPLES);
    if let Some(own) = table.item().table() {
        ["name", "size", "slide", "min_samples"]
            .into_iter()
            .for_each(|key| drop(own.get(key)));
        own.finish();
    }
    let (size, slide) = (size?, slide?);
    let written = size_item
        .as_ref()
        .map(|item| item.text().unwrap_or_default())
        .unwrap_or_default();
    if slide < Duration::from_secs(1) {
        slide_item
            .as_ref()
            .or(size_item.as_ref())?
            .complain("the slide must be at least 1s");
    } else if size.as_millis() % slide.as_millis() != 0 || size < slide {
        let slide = humantime::format_duration(slide);
        size_item?.complain(format!(
            "{written:?} is not a whole number of {slide} slides"
        ));
    }
    Some(WindowSpec {
        name: name?,
        size,
        slide,
        min_samples,
    })
}

/// A fifteenth of the window, in whole milliseconds and at least a second where that divides it.
fn default_slide(size: Duration) -> Duration {
    let slide = size / defaults::SLIDES_PER_WINDOW;
    if slide * defaults::SLIDES_PER_WINDOW == size && slide.subsec_nanos().is_multiple_of(1_000_000)
    {
        slide
    } else {
        size
    }
}

fn features(table: &Table<'_>, references: &[ReferenceSpec]) -> (Vec<FeatureSpec>, bool) {
    let listed = table.get("features");
    let from = table
        .get("features_from")
        .and_then(|item| item.choice(&[("reference", true)]));
    let from_reference = from.unwrap_or(listed.is_none());
    if from_reference && references.is_empty() {
        table
            .item()
            .complain("neither \"features\" nor a reference to take them from");
    }
    let mut features: Vec<FeatureSpec> = Vec::new();
    for item in listed.and_then(|item| item.list()).unwrap_or_default() {
        let Some(feature) = feature::read(&item) else {
            continue;
        };
        if features.iter().any(|other| other.name == feature.name) {
            item.complain(format!("a second feature named {:?}", feature.name));
        }
        if feature.kind.is_none() && references.is_empty() {
            item.complain("\"kind\" is missing, and there is no reference to take it from");
        }
        features.push(feature);
    }
    (features, from_reference)
}

fn statistics(table: &Table<'_>) -> Vec<Statistic> {
    let Some(items) = table.get("statistics").and_then(|item| item.list()) else {
        return vec![Statistic::Js, Statistic::Wasserstein];
    };
    let mut statistics: Vec<Statistic> = items
        .iter()
        .filter_map(|item| statistic(item, false))
        .collect();
    statistics.sort_unstable();
    statistics.dedup();
    statistics
}

/// A statistic by its name.
pub(super) fn statistic(item: &Item<'_>, with_rates: bool) -> Option<Statistic> {
    let all = Statistic::ALL
        .iter()
        .filter(|statistic| with_rates || !statistic.is_rate());
    let choices: Vec<(&str, Statistic)> = all
        .map(|statistic| (statistic.name(), *statistic))
        .collect();
    item.choice(&choices)
}

fn pseudo_count(table: &Table<'_>) -> f64 {
    let Some(item) = table.get("pseudo_count") else {
        return defaults::PSEUDO_COUNT;
    };
    match item.number() {
        Some(count) if count >= 0.0 && count.is_finite() => count,
        Some(_) => {
            item.complain("expected a number of at least 0");
            defaults::PSEUDO_COUNT
        }
        None => defaults::PSEUDO_COUNT,
    }
}

fn lateness(table: &Table<'_>) -> Lateness {
    let table = table.get_table("lateness");
    let read = |key, fallback| {
        table
            .as_ref()
            .and_then(|table| table.get(key))
            .and_then(|item| item.duration())
            .unwrap_or(fallback)
    };
    let lateness = Lateness {
        out_of_orderness: read("out_of_orderness", defaults::OUT_OF_ORDERNESS),
        idle_after: read("idle_after", defaults::IDLE_AFTER),
        max_future: read("max_future", defaults::MAX_FUTURE),
        stall_after: read("stall_after", defaults::STALL_AFTER),
    };
    if let Some(table) = table {
        table.finish();
    }
    lateness
}

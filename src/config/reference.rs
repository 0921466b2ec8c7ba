//! References: fitted files, and stretches of the stream itself.

use std::path::Path;
use std::time::Duration;

use super::defaults;
use super::problems::Subject;
use super::reader::{Item, Table};
use crate::model::{Origin, ReferenceSpec, Rolling, WindowSpec};

/// Reads the references of a monitor; those with problems are left out.
pub(super) fn read_all(
    table: &Table<'_>,
    monitor: &str,
    windows: &[WindowSpec],
    directory: &Path,
) -> Vec<ReferenceSpec> {
    let short = table.get("reference");
    let long = table.get("references");
    if let (Some(short), Some(_)) = (&short, &long) {
        short.complain("give either \"reference\" or \"references\"");
    }
    let listed = long.and_then(|item| item.list()).unwrap_or_default();
    let items: Vec<Item<'_>> = short.into_iter().chain(listed).collect();
    let mut references: Vec<ReferenceSpec> = Vec::new();
    for item in &items {
        let Some(reference) = read(item, directory) else {
            continue;
        };
        check_windows(item, &reference.origin, windows);
        if references.iter().any(|other| other.name == reference.name) {
            item.complain(format!("a second reference named {:?}", reference.name));
        }
        item.mark(Subject::Reference {
            monitor: monitor.to_owned(),
            reference: reference.name.clone(),
        });
        references.push(reference);
    }
    let has_file = references.iter().any(|own| own.origin.file().is_some());
    if let (Some(item), false, false) = (items.first(), has_file, references.is_empty()) {
        item.complain("what moves with the stream is counted in the bins of a fitted reference: add one with a \"file\" beside it");
    }
    references
}

fn check_windows(item: &Item<'_>, origin: &Origin, windows: &[WindowSpec]) {
    if let Origin::Rolling(Rolling {
        period: Some(period),
        ..
    }) = origin
    {
        let fits = |window: &&WindowSpec| {
            let slides = period.as_millis() % window.slide.as_millis().max(1) == 0;
            *period >= window.size && slides
        };
        if let Some(window) = windows.iter().find(|window| !fits(window)) {
            let slide = humantime::format_duration(window.slide);
            item.complain(format!("a trailing period is at least as long as the window and a whole number of its slides: window {} has slides of {slide}", window.name));
        }
    }
    let is_wide = |window: &&WindowSpec| window.slide > Duration::from_secs(3600);
    if let (Origin::HourOfWeek(_), Some(window)) = (origin, windows.iter().find(is_wide)) {
        let (name, slide) = (&window.name, humantime::format_duration(window.slide));
        item.complain(format!(
            "\"hour_of_week\" needs slides of at most 1h: window {name} has slides of {slide}"
        ));
    }
}

fn read(item: &Item<'_>, directory: &Path) -> Option<ReferenceSpec> {
    let table = item.table()?;
    let name = table.get("name").and_then(|item| item.name());
    let origin = origin(&table, directory);
    table.finish();
    let origin = origin?;
    Some(ReferenceSpec {
        name: name.unwrap_or_else(|| default_name(&origin).to_owned()),
        origin,
    })
}

fn default_name(origin: &Origin) -> &'static str {
    match origin {
        Origin::File(_) => defaults::REFERENCE_NAME,
        other => other.name(),
    }
}

fn origin(table: &Table<'_>, directory: &Path) -> Option<Origin> {
    let file = table.get("file");
    let by_hour = table.get("hour_of_week");
    let previous = table.get("previous");
    let trailing = table.get("trailing");
    let given = [&file, &previous, &trailing].into_iter().flatten().count();
    if given != 1 {
        table.item().complain("expected one of \"file\" (made by `pegel fit`), \"previous: true\" and \"trailing: {period: 7d, delay: 1d}\"");
        return None;
    }
    let is_by_hour = by_hour.as_ref().and_then(Item::boolean).unwrap_or(false);
    if let (Some(item), None) = (&by_hour, &file) {
        item.complain("\"hour_of_week\" needs a \"file\" made by `pegel fit --hour-of-week`");
    }
    if let Some(item) = file {
        let file = directory.join(item.text()?);
        return Some(if is_by_hour {
            Origin::HourOfWeek(file)
        } else {
            Origin::File(file)
        });
    }
    if let Some(item) = previous {
        if !item.boolean()? {
            item.complain("expected true: leave the reference out if it is not wanted");
        }
        return Some(Origin::Rolling(Rolling {
            period: None,
            delay: Duration::ZERO,
        }));
    }
    trailing
        .and_then(|item| rolling(&item))
        .map(Origin::Rolling)
}

fn rolling(item: &Item<'_>) -> Option<Rolling> {
    let table = item.table()?;
    let period = table
        .need("period", "a duration, as \"7d\"")
        .and_then(|item| item.duration());
    let delay = table
        .get("delay")
        .map_or(Some(Duration::ZERO), |item| item.duration());
    table.finish();
    Some(Rolling {
        period: Some(period?),
        delay: delay?,
    })
}

//! Reads references: fitted files, and past periods of the stream itself.

use std::path::Path;
use std::time::Duration;

use super::defaults;
use super::reader::{Item, Table};
use super::source_map::OptionSubject;
use crate::model::{Origin, ReferenceSpec, Rolling, WindowSpec, duration};

/// The longest slide of a window that is compared by hour of the week.
const MAX_HOURLY_SLIDE: Duration = Duration::from_secs(3600);

/// Reads the references of a monitor. References with problems are left out.
pub(super) fn read_all(
    table: &Table<'_>,
    monitor: &str,
    windows: &[WindowSpec],
    directory: &Path,
) -> Vec<ReferenceSpec> {
    let single = table.get("reference");
    let list = table.get("references");
    if let (Some(single), Some(_)) = (&single, &list) {
        single.error("\"reference\" and \"references\" exclude each other");
    }
    let items: Vec<Item<'_>> = single
        .into_iter()
        .chain(list.and_then(|item| item.list()).unwrap_or_default())
        .collect();
    let mut references: Vec<ReferenceSpec> = Vec::new();
    for item in &items {
        let Some(reference) = read(item, directory) else {
            continue;
        };
        check_windows(item, &reference.origin, windows);
        if references
            .iter()
            .any(|earlier| earlier.name == reference.name)
        {
            item.error(format!("duplicate reference name {:?}", reference.name));
        }
        if let Some(file) = reference.origin.file() {
            item.record_file(file);
        }
        item.record_location(OptionSubject::Reference {
            monitor: monitor.to_owned(),
            reference: reference.name.clone(),
        });
        references.push(reference);
    }
    let has_file = references
        .iter()
        .any(|reference| reference.origin.file().is_some());
    if let (Some(item), false, false) = (items.first(), has_file, references.is_empty()) {
        item.error(
            "a rolling reference needs the bins of a fitted one: add a reference with a \"file\"",
        );
    }
    references
}

/// Reports the first window that does not fit the reference.
fn check_windows(item: &Item<'_>, origin: &Origin, windows: &[WindowSpec]) {
    match origin {
        Origin::File(_) | Origin::Rolling(Rolling { period: None, .. }) => {}
        Origin::HourOfWeek(_) => {
            if let Some(window) = windows
                .iter()
                .find(|window| window.slide > MAX_HOURLY_SLIDE)
            {
                item.error(format!(
                    "\"hour_of_week\" needs slides of at most {}, window {} has slides of {}",
                    duration::format(MAX_HOURLY_SLIDE),
                    window.name,
                    duration::format(window.slide)
                ));
            }
        }
        Origin::Rolling(Rolling {
            period: Some(period),
            ..
        }) => {
            if let Some(window) = windows.iter().find(|window| {
                *period < window.size || period.as_millis() % window.slide.as_millis().max(1) != 0
            }) {
                item.error(format!(
                    "expected a period of at least one window and a whole number of slides, found \
                     {}: window {} has a size of {} and slides of {}",
                    duration::format(*period),
                    window.name,
                    duration::format(window.size),
                    duration::format(window.slide)
                ));
            }
        }
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
        Origin::File(_) => ReferenceSpec::DEFAULT_NAME,
        Origin::HourOfWeek(_) | Origin::Rolling(_) => origin.name(),
    }
}

fn origin(table: &Table<'_>, directory: &Path) -> Option<Origin> {
    let file = table.get("file");
    let hour_of_week = table.get("hour_of_week");
    let previous = table.get("previous");
    let trailing = table.get("trailing");
    let given = [&file, &previous, &trailing].into_iter().flatten().count();
    if given != 1 {
        table.item().error(
            "expected exactly one of \"file\" (made by `pegel fit`), \"previous: true\" and \
             \"trailing: {period: 7d, delay: 1d}\"",
        );
        return None;
    }
    let is_by_hour = hour_of_week
        .as_ref()
        .and_then(Item::boolean)
        .unwrap_or(defaults::HOUR_OF_WEEK);
    if let (Some(item), None) = (&hour_of_week, &file) {
        item.error("\"hour_of_week\" needs a \"file\" made by `pegel fit --hour-of-week`");
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
            item.error("expected true, found false: remove the reference instead");
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
        .need("period", "a duration such as \"7d\"")
        .and_then(|item| item.duration());
    let delay = table
        .get("delay")
        .map_or(Some(defaults::TRAILING_DELAY), |item| item.duration());
    table.finish();
    Some(Rolling {
        period: Some(period?),
        delay: delay?,
    })
}

//! Reads windows.

use std::time::Duration;

use super::reader::{Item, Table};
use crate::model::{WindowSpec, duration, pane_width};

/// The shortest accepted slide.
const MIN_SLIDE: Duration = Duration::from_secs(1);

/// The largest accepted number of panes of a window.
///
/// The counts of every feature are kept for each pane. A day with a slide of 1s fits, and two
/// months with one of 1m.
const MAX_PANES: u128 = 100_000;

/// A window, and the option that gives its size.
struct SizedWindow<'a> {
    size: Item<'a>,
    spec: WindowSpec,
}

/// Reads the windows of a monitor. Windows with problems are left out.
pub(super) fn read_all(table: &Table<'_>) -> Vec<WindowSpec> {
    let items = table
        .need("windows", "a list of at least one window")
        .and_then(|item| item.non_empty_list("window"))
        .unwrap_or_default();
    let mut windows: Vec<SizedWindow<'_>> = Vec::new();
    for item in &items {
        let Some(window) = item.table().and_then(|table| read(&table)) else {
            continue;
        };
        if windows
            .iter()
            .any(|earlier| earlier.spec.name == window.spec.name)
        {
            item.error(format!("duplicate window name {:?}", window.spec.name));
        }
        windows.push(window);
    }
    reject_many_panes(&windows);
    windows.into_iter().map(|window| window.spec).collect()
}

/// Reports windows of too many panes; the slides of all windows decide how wide a pane is.
fn reject_many_panes(windows: &[SizedWindow<'_>]) {
    let slides = || windows.iter().map(|window| window.spec.slide);
    if slides().any(|slide| slide < MIN_SLIDE) {
        return;
    }
    let width = pane_width(slides());
    for window in windows {
        let panes = window.spec.size.as_millis() / width.as_millis();
        if panes > MAX_PANES {
            window.size.error(format!(
                "expected at most {MAX_PANES} panes in a window, found {panes} of {}: use a longer \
                 slide",
                duration::format(width)
            ));
        }
    }
}

fn read<'a>(table: &Table<'a>) -> Option<SizedWindow<'a>> {
    let size_item = table.need("size", "a duration such as \"15m\"");
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
        .unwrap_or(WindowSpec::DEFAULT_MIN_SAMPLES);
    table.finish();
    let (size, slide, size_item) = (size?, slide?, size_item?);
    if slide < MIN_SLIDE {
        slide_item.as_ref().unwrap_or(&size_item).error(format!(
            "expected a slide of at least {}, found {}",
            duration::format(MIN_SLIDE),
            duration::format(slide)
        ));
    } else if size.as_millis() % slide.as_millis() != 0 || size < slide {
        size_item.expected::<()>(&format!(
            "a whole number of slides of {}",
            duration::format(slide)
        ));
    }
    Some(SizedWindow {
        size: size_item,
        spec: WindowSpec {
            name: name?,
            size,
            slide,
            min_samples,
        },
    })
}

/// The window divided by [`WindowSpec::DEFAULT_SLIDES`] if that is a whole number of milliseconds,
/// else the whole window.
fn default_slide(size: Duration) -> Duration {
    let slide = size / WindowSpec::DEFAULT_SLIDES;
    if slide * WindowSpec::DEFAULT_SLIDES == size && slide.subsec_nanos().is_multiple_of(1_000_000)
    {
        slide
    } else {
        size
    }
}

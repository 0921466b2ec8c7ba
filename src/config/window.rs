//! Reads windows.

use std::time::Duration;

use super::reader::{Item, Table};
use crate::model::{WindowSpec, duration};

/// The shortest accepted slide.
const MIN_SLIDE: Duration = Duration::from_secs(1);

/// Reads the windows of a monitor. Windows with problems are left out.
pub(super) fn read_all(table: &Table<'_>) -> Vec<WindowSpec> {
    let items = table
        .need("windows", "a list of at least one window")
        .and_then(|item| item.non_empty_list("window"))
        .unwrap_or_default();
    let mut windows: Vec<WindowSpec> = Vec::new();
    for item in &items {
        let Some(window) = item.table().and_then(|table| read(&table)) else {
            continue;
        };
        if windows.iter().any(|earlier| earlier.name == window.name) {
            item.error(format!("duplicate window name {:?}", window.name));
        }
        windows.push(window);
    }
    windows
}

fn read(table: &Table<'_>) -> Option<WindowSpec> {
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
    Some(WindowSpec {
        name: name?,
        size,
        slide,
        min_samples,
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

//! A strict reader of merged values: no coercion, and all problems are collected.
//!
//! A reader asks a [`Table`] for its options by name and each [`Item`] for the type it expects. A
//! wrong value adds a problem and reads as `None`, so that reading continues and the user sees all
//! problems at once. At the end, [`Table::finish`] rejects the options that no reader asked for.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use config::{Value, ValueKind};

use super::diagnostics::Diagnostics;
use super::options::NOT_SUPPORTED;
use super::parse::location_of;
use super::problems::Location;
use super::source_map::OptionSubject;
use crate::model::{Literal, Pointer, Statistic, suggest};

/// Units of sizes, in bytes, the longest suffix first.
const SIZE_UNITS: [(&str, usize); 6] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1000),
    ("MB", 1_000_000),
    ("B", 1),
];

/// A value with its path and location.
#[derive(Clone)]
pub(super) struct Item<'a> {
    value: &'a Value,
    diagnostics: &'a Diagnostics,
    path: String,
    location: Location,
}

/// A mapping that is being read. It remembers which options were asked for.
pub(super) struct Table<'a> {
    item: Item<'a>,
    /// Another mapping that supplies missing options.
    defaults: Option<Item<'a>>,
    /// True for the defaults of other mappings, where a required option may be missing.
    is_partial: bool,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Item<'a> {
    /// The merged value of all layers.
    pub(super) fn root(value: &'a Value, diagnostics: &'a Diagnostics) -> Self {
        Item {
            value,
            diagnostics,
            path: String::new(),
            location: Location::File(1, 1),
        }
    }

    fn child(&self, value: &'a Value, path: String) -> Item<'a> {
        let location = location_of(value)
            .or_else(|| first_location(value))
            .unwrap_or_else(|| self.location.clone());
        Item {
            value,
            diagnostics: self.diagnostics,
            path,
            location,
        }
    }

    /// The value of a key, if this is a mapping that has it.
    fn get(&self, key: &str) -> Option<Item<'a>> {
        let ValueKind::Table(table) = &self.value.kind else {
            return None;
        };
        table
            .get(key)
            .map(|value| self.child(value, join(&self.path, key)))
    }

    /// Adds a problem at this value.
    pub(super) fn error(&self, message: impl Into<String>) {
        self.diagnostics.error(&self.location, &self.path, message);
    }

    /// Records this value as the location of a subject.
    pub(super) fn record_location(&self, subject: OptionSubject) {
        self.diagnostics
            .record_location(subject, &self.location, &self.path);
    }

    /// Records a reference file that this value names.
    pub(super) fn record_file(&self, file: &Path) {
        self.diagnostics
            .record_file(file, &self.location, &self.path);
    }

    /// Adds the problem that something else was expected.
    pub(super) fn expected<T>(&self, accepted: &str) -> Option<T> {
        self.error(format!(
            "expected {accepted}, found {}",
            describe(self.value)
        ));
        None
    }

    /// True if the value comes from the defaults of all monitors.
    pub(super) fn is_default(&self) -> bool {
        self.path.starts_with("defaults.")
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.value.kind, ValueKind::Nil)
    }

    pub(super) fn is_table(&self) -> bool {
        matches!(self.value.kind, ValueKind::Table(_))
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.value.kind, ValueKind::Array(_))
    }

    /// Reads a mapping.
    pub(super) fn table(&self) -> Option<Table<'a>> {
        if !self.is_table() {
            return self.expected("a mapping (key: value)");
        }
        Some(Table {
            item: self.clone(),
            defaults: None,
            is_partial: false,
            known: RefCell::default(),
        })
    }

    /// Reads a list.
    pub(super) fn list(&self) -> Option<Vec<Item<'a>>> {
        let ValueKind::Array(items) = &self.value.kind else {
            return self.expected("a list");
        };
        Some(
            items
                .iter()
                .enumerate()
                .map(|(index, value)| self.child(value, format!("{}[{index}]", self.path)))
                .collect(),
        )
    }

    /// Reads a list of at least one `noun`.
    pub(super) fn non_empty_list(&self, noun: &str) -> Option<Vec<Item<'a>>> {
        let items = self.list()?;
        if items.is_empty() {
            self.error(format!("expected at least one {noun}, found an empty list"));
        }
        Some(items)
    }

    /// Reads a string.
    pub(super) fn text(&self) -> Option<String> {
        match &self.value.kind {
            ValueKind::String(text) => Some(text.clone()),
            _ => self.expected("a string"),
        }
    }

    /// Reads a name that becomes a label or a file name: 1 to 200 bytes, without characters that
    /// need escaping in HTML and shells.
    pub(super) fn name(&self) -> Option<String> {
        const MAX_BYTES: usize = 200;
        let text = self.text()?;
        let has_forbidden = text.contains(|c: char| c.is_control() || "<>&\"'\\".contains(c));
        if text.is_empty() || text.len() > MAX_BYTES || has_forbidden {
            return self.expected("a name of 1 to 200 characters without quotes, <, >, & and \\");
        }
        Some(text)
    }

    /// Reads one of several names.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let choice = choices.iter().find(|(name, _)| *name == text);
        if choice.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.error(format!(
                "unknown value {text:?}, {}",
                suggest(&text, &names)
            ));
        }
        choice.map(|(_, value)| *value)
    }

    /// Reads the name of a statistic; rates only where `with_rates`.
    pub(super) fn statistic(&self, with_rates: bool) -> Option<Statistic> {
        let choices: Vec<(&str, Statistic)> = Statistic::ALL
            .iter()
            .filter(|statistic| with_rates || !statistic.is_rate())
            .map(|statistic| (statistic.name(), *statistic))
            .collect();
        self.choice(&choices)
    }

    /// Reads a JSON pointer.
    pub(super) fn pointer(&self) -> Option<Pointer> {
        Pointer::parse(&self.text()?)
            .or_else(|| self.expected("a JSON pointer such as \"/features/amount\""))
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match self.value.kind {
            ValueKind::Boolean(value) => Some(value),
            _ => self.expected("true or false"),
        }
    }

    /// Reads a whole number of at least `min`.
    pub(super) fn whole(&self, min: u64) -> Option<u64> {
        match self.value.kind {
            ValueKind::I64(value) if value >= 0 && value.unsigned_abs() >= min => {
                Some(value.unsigned_abs())
            }
            _ => self.expected(&format!("a whole number of at least {min}")),
        }
    }

    /// Reads a whole number of at least `min` as an index or a size in memory.
    pub(super) fn count(&self, min: u64) -> Option<usize> {
        usize::try_from(self.whole(min)?).ok()
    }

    /// Reads a number. JSON and TOML write infinity as the strings `inf` and `-inf`.
    pub(super) fn number(&self) -> Option<f64> {
        match &self.value.kind {
            ValueKind::I64(value) => Some(*value as f64),
            ValueKind::Float(value) if !value.is_nan() => Some(*value),
            ValueKind::String(text) if text == "inf" || text == ".inf" => Some(f64::INFINITY),
            ValueKind::String(text) if text == "-inf" || text == "-.inf" => Some(f64::NEG_INFINITY),
            _ => self.expected("a number"),
        }
    }

    /// Reads a number in 0..=1.
    pub(super) fn ratio(&self) -> Option<f64> {
        let value = self.number()?;
        if (0.0..=1.0).contains(&value) {
            Some(value)
        } else {
            self.expected("a number between 0 and 1")
        }
    }

    /// Reads a duration with its unit, in whole milliseconds.
    pub(super) fn duration(&self) -> Option<Duration> {
        let accepted = "a duration with a unit such as \"30s\" or \"15m\"";
        let ValueKind::String(text) = &self.value.kind else {
            return self.expected(accepted);
        };
        match humantime::parse_duration(text) {
            Ok(duration) if duration.subsec_nanos().is_multiple_of(1_000_000) => Some(duration),
            _ => self.expected(accepted),
        }
    }

    /// Reads a size with its unit, in bytes.
    pub(super) fn size(&self) -> Option<usize> {
        let accepted = "a size with a unit such as \"512KiB\" or \"1MiB\"";
        let ValueKind::String(text) = &self.value.kind else {
            return self.expected(accepted);
        };
        let bytes = SIZE_UNITS.iter().find_map(|(unit, bytes)| {
            let count = text.strip_suffix(unit)?.trim().parse::<usize>().ok()?;
            Some(count.checked_mul(*bytes))
        });
        match bytes.flatten() {
            Some(bytes) if bytes > 0 => Some(bytes),
            _ => self.expected(accepted),
        }
    }

    /// Reads a scalar as text, the form of librdkafka's properties.
    pub(super) fn property(&self) -> Option<String> {
        match &self.value.kind {
            ValueKind::String(text) => Some(text.clone()),
            ValueKind::Boolean(value) => Some(value.to_string()),
            ValueKind::I64(value) => Some(value.to_string()),
            ValueKind::Float(value) => Some(value.to_string()),
            _ => self.expected("a string, a number, true or false"),
        }
    }

    /// Reads a scalar that records are compared with.
    pub(super) fn literal(&self) -> Option<Literal> {
        match &self.value.kind {
            ValueKind::String(text) => Some(Literal::Text(text.clone())),
            ValueKind::Boolean(value) => Some(Literal::Bool(*value)),
            ValueKind::I64(value) => Some(Literal::Number(*value as f64)),
            ValueKind::Float(value) => Some(Literal::Number(*value)),
            _ => self.expected("a string, a number, true or false"),
        }
    }
}

impl<'a> Table<'a> {
    /// Supplies options that this mapping does not have.
    pub(super) fn or(mut self, defaults: Option<&Item<'a>>) -> Self {
        self.defaults = defaults.filter(|item| item.is_table()).cloned();
        self
    }

    /// Reads the mapping as defaults of other mappings, where a required option may be missing.
    pub(super) fn partial(mut self) -> Self {
        self.is_partial = true;
        self
    }

    /// True if the mapping holds defaults of other mappings.
    pub(super) const fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// The mapping as a value.
    pub(super) fn item(&self) -> &Item<'a> {
        &self.item
    }

    /// The value of an option; `None` if it is not given.
    pub(super) fn get(&self, key: &'static str) -> Option<Item<'a>> {
        self.ask(key);
        self.item
            .get(key)
            .or_else(|| self.defaults.as_ref()?.get(key))
            .filter(|item| !item.is_null())
    }

    /// The mapping under an option, merged with its defaults key by key.
    pub(super) fn get_table(&self, key: &'static str) -> Option<Table<'a>> {
        self.ask(key);
        let defaults = self.defaults.as_ref().and_then(|item| item.get(key));
        match self.item.get(key).filter(|item| !item.is_null()) {
            Some(item) => {
                let table = item.table()?.or(defaults.as_ref());
                Some(match self.is_partial {
                    true => table.partial(),
                    false => table,
                })
            }
            None => defaults?.table(),
        }
    }

    /// Remembers that an option exists.
    fn ask(&self, key: &'static str) {
        self.known.borrow_mut().push(key);
        #[cfg(test)]
        self.item
            .diagnostics
            .record_option(&join(&self.item.path, key));
    }

    /// The value of a required option.
    pub(super) fn need(&self, key: &'static str, accepted: &str) -> Option<Item<'a>> {
        let item = self.get(key);
        if item.is_none() && !self.is_partial {
            self.item
                .error(format!("{key:?} is missing, expected {accepted}"));
        }
        item
    }

    /// All keys and values, in the order of the file.
    pub(super) fn entries(&self) -> Vec<(String, Item<'a>)> {
        let ValueKind::Table(table) = &self.item.value.kind else {
            return Vec::new();
        };
        let mut entries: Vec<_> = table
            .iter()
            .map(|(key, value)| {
                let path = join(&self.item.path, key);
                (key.clone(), self.item.child(value, path))
            })
            .collect();
        entries.sort_by(|(a, x), (b, y)| (&x.location, a).cmp(&(&y.location, b)));
        entries
    }

    /// Rejects options that are planned but not built.
    pub(super) fn reserve(&self, keys: &[&'static str]) {
        for key in keys {
            if let Some(item) = self.get(key) {
                item.error(NOT_SUPPORTED);
            }
        }
    }

    /// Rejects options that no reader asked for.
    pub(super) fn finish(&self) {
        let asked = self.known.borrow();
        let mut known: Vec<&str> = Vec::new();
        for name in asked.iter() {
            if !known.contains(name) {
                known.push(name);
            }
        }
        for (key, item) in self.entries() {
            if !known.contains(&key.as_str()) {
                item.error(format!("unknown option, {}", suggest(&key, &known)));
            }
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// The first location below a mapping that was merged from several layers.
fn first_location(value: &Value) -> Option<Location> {
    let ValueKind::Table(table) = &value.kind else {
        return None;
    };
    table
        .values()
        .filter_map(|value| location_of(value).or_else(|| first_location(value)))
        .min()
}

/// Describes a rejected value in a message.
fn describe(value: &Value) -> String {
    match &value.kind {
        ValueKind::Nil => "null".to_owned(),
        ValueKind::String(text) => format!("{text:?}"),
        ValueKind::Array(_) => "a list".to_owned(),
        ValueKind::Table(_) => "a mapping".to_owned(),
        _ => value.to_string(),
    }
}

//! A strict reader of merged values: nothing is coerced, everything wrong is collected, and reading goes on.

use std::cell::RefCell;
use std::time::Duration;

use config::{Value, ValueKind};

use super::layers::place_of;
use super::problems::{Collector, Location, Subject, suggest};

/// A value, where it is, and where to complain.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    pub(super) value: &'a Value,
    pub(super) problems: &'a Collector,
}

/// A value with the name it goes by.
#[derive(Clone)]
pub(super) struct Item<'a> {
    node: Node<'a>,
    pub(super) path: String,
    place: Location,
}

/// A table being read; remembers which keys were asked for.
pub(super) struct Table<'a> {
    item: Item<'a>,
    /// Options that stand in for missing ones, in a table of their own.
    defaults: Option<Item<'a>>,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Item<'a> {
    pub(super) fn root(value: &'a Value, problems: &'a Collector) -> Self {
        Item {
            node: Node { value, problems },
            path: String::new(),
            place: Location::File(1, 1),
        }
    }

    fn child(&self, value: &'a Value, path: String) -> Item<'a> {
        let place = place_of(value)
            .or_else(|| first_place(value))
            .unwrap_or_else(|| self.place.clone());
        Item {
            node: Node {
                value,
                problems: self.node.problems,
            },
            path,
            place,
        }
    }

    pub(super) fn complain(&self, message: impl Into<String>) {
        self.node.problems.add(&self.place, &self.path, message);
    }

    /// Remembers that this is where something is written.
    pub(super) fn mark(&self, subject: Subject) {
        self.node.problems.mark(subject, &self.place, &self.path);
    }

    fn expected<T>(&self, what: &str) -> Option<T> {
        self.complain(format!(
            "expected {what}, found {}",
            describe(self.node.value)
        ));
        None
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.node.value.kind, ValueKind::Nil)
    }

    pub(super) fn is_table(&self) -> bool {
        matches!(self.node.value.kind, ValueKind::Table(_))
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.node.value.kind, ValueKind::Array(_))
    }

    pub(super) fn table(&self) -> Option<Table<'a>> {
        if !self.is_table() {
            return self.expected("options (key: value)");
        }
        Some(Table {
            item: self.clone(),
            defaults: None,
            known: RefCell::default(),
        })
    }

    pub(super) fn list(&self) -> Option<Vec<Item<'a>>> {
        let ValueKind::Array(items) = &self.node.value.kind else {
            return self.expected("a list");
        };
        let numbered = items.iter().enumerate();
        Some(
            numbered
                .map(|(index, value)| self.child(value, format!("{}[{index}]", self.path)))
                .collect(),
        )
    }

    pub(super) fn text(&self) -> Option<String> {
        match &self.node.value.kind {
            ValueKind::String(text) => Some(text.clone()),
            _ => self.expected("a text"),
        }
    }

    /// A name that becomes a label or a file name: short, and without characters that break pages and shells.
    pub(super) fn name(&self) -> Option<String> {
        const LONGEST: usize = 200;
        let text = self.text()?;
        let is_bad = |c: char| c.is_control() || "<>&\"'\\".contains(c);
        if text.is_empty() || text.len() > LONGEST || text.contains(is_bad) {
            return self.expected("a name of 1 to 200 characters without quotes, <, >, & and \\");
        }
        Some(text)
    }

    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = choices.iter().find(|(name, _)| *name == text);
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.complain(format!(
                "unknown value {text:?}, {}",
                suggest(&text, &names)
            ));
        }
        found.map(|(_, value)| *value)
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match self.node.value.kind {
            ValueKind::Boolean(value) => Some(value),
            _ => self.expected("true or false"),
        }
    }

    pub(super) fn whole(&self, least: u64) -> Option<u64> {
        match self.node.value.kind {
            ValueKind::I64(value) if value >= 0 && value.unsigned_abs() >= least => {
                Some(value.unsigned_abs())
            }
            _ => self.expected(&format!("a whole number of at least {least}")),
        }
    }

    pub(super) fn count(&self, least: u64) -> Option<usize> {
        usize::try_from(self.whole(least)?).ok()
    }

    /// A number; infinite ones also as the texts `inf` and `-inf`, for formats that have no word for them.
    pub(super) fn number(&self) -> Option<f64> {
        match &self.node.value.kind {
            ValueKind::I64(value) => Some(*value as f64),
            ValueKind::Float(value) if !value.is_nan() => Some(*value),
            ValueKind::String(text) if text == "inf" || text == ".inf" => Some(f64::INFINITY),
            ValueKind::String(text) if text == "-inf" || text == "-.inf" => Some(f64::NEG_INFINITY),
            _ => self.expected("a number"),
        }
    }

    pub(super) fn ratio(&self) -> Option<f64> {
        let value = self.number()?;
        if (0.0..=1.0).contains(&value) {
            Some(value)
        } else {
            self.expected("a share between 0 and 1")
        }
    }

    /// A duration with its unit, in whole milliseconds.
    pub(super) fn duration(&self) -> Option<Duration> {
        let what = "a duration with its unit, as \"30s\" or \"15m\"";
        let ValueKind::String(text) = &self.node.value.kind else {
            return self.expected(what);
        };
        match humantime::parse_duration(text) {
            Ok(duration) if duration.subsec_nanos().is_multiple_of(1_000_000) => Some(duration),
            _ => self.expected(what),
        }
    }

    /// A size with its unit, in bytes.
    pub(super) fn size(&self) -> Option<usize> {
        let what = "a size with its unit, as \"512KiB\" or \"1MiB\"";
        let ValueKind::String(text) = &self.node.value.kind else {
            return self.expected(what);
        };
        let unit = [
            ("KiB", 1 << 10),
            ("MiB", 1 << 20),
            ("GiB", 1 << 30),
            ("kB", 1000),
            ("MB", 1_000_000),
            ("B", 1),
        ];
        let found = unit.iter().find_map(|(unit, bytes)| {
            Some((
                text.strip_suffix(unit)?.trim().parse::<usize>().ok()?,
                *bytes,
            ))
        });
        match found.and_then(|(count, bytes): (usize, usize)| count.checked_mul(bytes)) {
            Some(bytes) if bytes > 0 => Some(bytes),
            _ => self.expected(what),
        }
    }

    /// A scalar as the text librdkafka wants.
    pub(super) fn property(&self) -> Option<String> {
        match &self.node.value.kind {
            ValueKind::String(text) => Some(text.clone()),
            ValueKind::Boolean(value) => Some(value.to_string()),
            ValueKind::I64(value) => Some(value.to_string()),
            ValueKind::Float(value) => Some(value.to_string()),
            _ => self.expected("a text, a number, true or false"),
        }
    }

    /// A scalar to compare records with.
    pub(super) fn literal(&self) -> Option<crate::model::Literal> {
        use crate::model::Literal;
        match &self.node.value.kind {
            ValueKind::String(text) => Some(Literal::Text(text.clone())),
            ValueKind::Boolean(value) => Some(Literal::Bool(*value)),
            ValueKind::I64(value) => Some(Literal::Number(*value as f64)),
            ValueKind::Float(value) => Some(Literal::Number(*value)),
            _ => self.expected("a text, a number, true or false"),
        }
    }
}

impl<'a> Table<'a> {
    /// The same table, with options of `defaults` where it has none.
    pub(super) fn or(mut self, defaults: Option<&Item<'a>>) -> Self {
        self.defaults = defaults.filter(|item| item.is_table()).cloned();
        self
    }

    pub(super) fn item(&self) -> &Item<'a> {
        &self.item
    }

    /// The value of an option; `None` when it is not given.
    pub(super) fn get(&self, key: &'static str) -> Option<Item<'a>> {
        self.known.borrow_mut().push(key);
        self.own(key)
            .or_else(|| child_of(self.defaults.as_ref()?, key))
            .filter(|item| !item.is_null())
    }

    /// A table option merged with its default, key by key.
    pub(super) fn get_table(&self, key: &'static str) -> Option<Table<'a>> {
        self.known.borrow_mut().push(key);
        let fallback = self
            .defaults
            .as_ref()
            .and_then(|defaults| child_of(defaults, key));
        match self.own(key).filter(|item| !item.is_null()) {
            Some(own) => Some(own.table()?.or(fallback.as_ref())),
            None => fallback?.table(),
        }
    }

    fn own(&self, key: &str) -> Option<Item<'a>> {
        child_of(&self.item, key)
    }

    /// The value of an option that must be given.
    pub(super) fn need(&self, key: &'static str, what: &str) -> Option<Item<'a>> {
        let found = self.get(key);
        if found.is_none() {
            self.item.complain(format!("{key:?} is missing: {what}"));
        }
        found
    }

    /// The options and their values, in the order of the file.
    pub(super) fn entries(&self) -> Vec<(String, Item<'a>)> {
        let ValueKind::Table(table) = &self.item.node.value.kind else {
            return Vec::new();
        };
        let named = table.iter().map(|(key, value)| {
            (
                key.clone(),
                self.item.child(value, join(&self.item.path, key)),
            )
        });
        let mut entries: Vec<_> = named.collect();
        entries.sort_by(|(a, x), (b, y)| (&x.place, a).cmp(&(&y.place, b)));
        entries
    }

    /// Refuses options that are known but not built.
    pub(super) fn reserve(&self, keys: &[&'static str]) {
        for key in keys {
            if let Some(item) = self.get(key) {
                item.complain("not supported yet");
            }
        }
    }

    /// Refuses options that nobody asked for.
    pub(super) fn finish(self) {
        let asked = self.known.borrow();
        let mut known: Vec<&str> = Vec::new();
        for name in asked.iter() {
            if !known.contains(name) {
                known.push(name);
            }
        }
        for (key, item) in self.entries() {
            if !known.contains(&key.as_str()) {
                item.complain(format!("unknown option, {}", suggest(&key, &known)));
            }
        }
    }
}

fn child_of<'a>(item: &Item<'a>, key: &str) -> Option<Item<'a>> {
    let ValueKind::Table(table) = &item.node.value.kind else {
        return None;
    };
    table
        .get(key)
        .map(|value| item.child(value, join(&item.path, key)))
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// The first place mentioned below a table that was merged from several layers.
fn first_place(value: &Value) -> Option<Location> {
    let ValueKind::Table(table) = &value.kind else {
        return None;
    };
    table
        .values()
        .filter_map(|value| place_of(value).or_else(|| first_place(value)))
        .min()
}

fn describe(value: &Value) -> String {
    match &value.kind {
        ValueKind::Nil => "nothing".to_owned(),
        ValueKind::String(text) => format!("{text:?}"),
        ValueKind::Array(_) => "a list".to_owned(),
        ValueKind::Table(_) => "options".to_owned(),
        _ => value.to_string(),
    }
}

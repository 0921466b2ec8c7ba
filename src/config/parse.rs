//! Parses a configuration file into a value whose parts carry their positions.
//!
//! The `config` crate has parsers too, but they lose positions and coerce numbers (`007` becomes
//! 7). YAML and JSON are parsed by `serde_saphyr`, TOML by `toml`. A position is stored as the
//! origin of a value, as `line:column`.

use std::path::Path;

use config::{Value, ValueKind};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::problems::{Location, Problem};

/// Parses a file. The extension `toml` means TOML, every other one YAML or JSON.
pub(super) fn parse(path: &Path, text: &str) -> Result<Value, Problem> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => parse_toml(text),
        _ => parse_yaml(text),
    }
}

/// Parses the text of an override as YAML, so that `true`, `5` and `[a, b]` have their types. A
/// text that is not valid YAML is a string.
pub(super) fn parse_scalar(text: &str, layer: &str) -> Value {
    let kind = read_yaml(text).map_or_else(
        |_| ValueKind::String(text.to_owned()),
        |node| node.value.into_kind(&|_, _| layer.to_owned()),
    );
    Value::new(Some(&layer.to_owned()), kind)
}

/// The location that a value carries as its origin.
pub(super) fn location_of(value: &Value) -> Option<Location> {
    let origin = value.origin()?;
    let position = origin
        .split_once(':')
        .and_then(|(line, column)| Some((line.parse().ok()?, column.parse().ok()?)));
    Some(position.map_or_else(
        || Location::Layer(origin.to_owned()),
        |(line, column)| Location::File(line, column),
    ))
}

/// A problem of the whole file at a position.
pub(super) fn file_problem(line: u64, column: u64, message: String) -> Problem {
    Problem {
        location: Location::File(line, column),
        path: String::new(),
        message,
    }
}

/// The origin of a value in the file.
fn origin(line: u64, column: u64) -> String {
    format!("{line}:{column}")
}

/// Parses YAML; JSON is YAML too.
fn parse_yaml(text: &str) -> Result<Value, Problem> {
    let node = read_yaml(text).map_err(|error| {
        let (line, column) = error
            .location()
            .map_or((1, 1), |at| (at.line(), at.column()));
        file_problem(line, column, yaml_problem(&error, line, column))
    })?;
    Ok(node_value(node, &origin))
}

/// The message of a YAML error without its location, which the problem has.
fn yaml_problem(error: &serde_saphyr::Error, line: u64, column: u64) -> String {
    let error = error.without_snippet();
    if let serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } = error {
        return duplicate_key(key);
    }
    let text = error.to_string();
    let message = text.lines().next().unwrap_or_default();
    message
        .strip_suffix(&format!(" at line {line}, column {column}"))
        .unwrap_or(message)
        .to_owned()
}

fn duplicate_key(key: &str) -> String {
    format!("duplicate key {key:?}, expected each key of a mapping once")
}

/// Parses YAML 1.2: `no` and `007` are strings, infinity is a number.
fn read_yaml(text: &str) -> Result<Spanned<Node>, serde_saphyr::Error> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::PassThrough,
    };
    serde_saphyr::from_str_with_options(text, options)
}

/// A YAML value with positions.
#[derive(Debug)]
enum Node {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Spanned<Node>>),
    Map(Vec<(String, Spanned<Node>)>),
}

fn node_value(node: Spanned<Node>, at: &dyn Fn(u64, u64) -> String) -> Value {
    let origin = at(node.referenced.line(), node.referenced.column());
    Value::new(Some(&origin), node.value.into_kind(at))
}

impl Node {
    fn into_kind(self, at: &dyn Fn(u64, u64) -> String) -> ValueKind {
        match self {
            Node::Null => ValueKind::Nil,
            Node::Bool(value) => ValueKind::Boolean(value),
            Node::Integer(value) => ValueKind::I64(value),
            Node::Float(value) => ValueKind::Float(value),
            Node::Text(value) => ValueKind::String(value),
            Node::List(items) => {
                ValueKind::Array(items.into_iter().map(|item| node_value(item, at)).collect())
            }
            Node::Map(entries) => ValueKind::Table(
                entries
                    .into_iter()
                    .map(|(key, value)| (key, node_value(value, at)))
                    .collect(),
            ),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

/// Builds a [`Node`] from any YAML value.
struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(i64::try_from(value).map_or(Node::Float(value as f64), Node::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Node::Map(map))
    }
}

/// Line and column of a byte offset, from 1.
fn position(text: &str, offset: usize) -> (u64, u64) {
    let before = &text[..offset.min(text.len())];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (
        before.matches('\n').count() as u64 + 1,
        (before.len() - line_start) as u64 + 1,
    )
}

fn parse_toml(text: &str) -> Result<Value, Problem> {
    let table = toml::de::DeTable::parse(text).map_err(|error| {
        let span = error.span().unwrap_or_default();
        let (line, column) = position(text, span.start);
        let message = match error.message() {
            "duplicate key" => duplicate_key(text.get(span).unwrap_or_default()),
            message => message.to_owned(),
        };
        file_problem(line, column, message)
    })?;
    let at = |offset| {
        let (line, column) = position(text, offset);
        origin(line, column)
    };
    Ok(Value::new(
        Some(&origin(1, 1)),
        toml_table(table.get_ref(), &at),
    ))
}

fn toml_table(table: &toml::de::DeTable<'_>, at: &dyn Fn(usize) -> String) -> ValueKind {
    ValueKind::Table(
        table
            .iter()
            .map(|(key, value)| (key.get_ref().to_string(), toml_value(value, at)))
            .collect(),
    )
}

fn toml_value(value: &toml::Spanned<toml::de::DeValue<'_>>, at: &dyn Fn(usize) -> String) -> Value {
    use toml::de::DeValue;
    let kind = match value.get_ref() {
        DeValue::String(text) => ValueKind::String(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => ValueKind::I64(number),
            Err(_) => ValueKind::String(number.as_str().to_owned()),
        },
        DeValue::Float(number) => ValueKind::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(value) => ValueKind::Boolean(*value),
        DeValue::Datetime(time) => ValueKind::String(time.to_string()),
        DeValue::Array(items) => {
            ValueKind::Array(items.iter().map(|item| toml_value(item, at)).collect())
        }
        DeValue::Table(table) => toml_table(table, at),
    };
    Value::new(Some(&at(value.span().start)), kind)
}

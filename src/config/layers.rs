//! The layers of a configuration: the file, the environment, `--set`; later ones win, key by key.
//!
//! The `config` crate does the layering and nothing else. It coerces types when asked to deserialise, so it is not asked: every value carries the place it came
//! from as its origin, and the merged value is decoded strictly by [`super::reader`]. Files are parsed by libraries that keep positions.

use std::collections::HashMap;
use std::path::Path;

use config::{Source, Value, ValueKind};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::problems::{Location, Problem};

/// A prefix of environment variables that are options: `PEGEL__WEB__LISTEN_ADDRESS`.
const PREFIX: &str = "PEGEL__";

/// One layer, ready for the `config` crate.
#[derive(Debug, Clone)]
struct Layer(HashMap<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<HashMap<String, Value>, config::ConfigError> {
        Ok(self.0.clone())
    }
}

/// The merged value of all layers.
pub(super) fn merge(
    path: &Path,
    text: &str,
    environment: &[(String, String)],
    overrides: &[String],
) -> Result<Value, Vec<Problem>> {
    let file = parse(path, text).map_err(|problem| vec![problem])?;
    let ValueKind::Table(table) = file.kind.clone() else {
        return Err(vec![file_problem(
            1,
            1,
            "expected options, found something else".to_owned(),
        )]);
    };
    let mut problems = Vec::new();
    let mut builder = config::Config::builder().add_source(Layer(table));
    for (name, value) in environment
        .iter()
        .filter(|(name, _)| name.to_ascii_uppercase().starts_with(PREFIX))
    {
        let keys: Vec<String> = name[PREFIX.len()..]
            .split("__")
            .map(str::to_owned)
            .collect();
        let path = match_case(&file, &keys);
        builder = builder.add_source(Layer(
            [(path, scalar(value, &format!("environment {name}")))].into(),
        ));
    }
    for entry in overrides {
        match entry.split_once('=') {
            Some((path, value)) => {
                builder = builder.add_source(Layer(
                    [(path.to_owned(), scalar(value, &format!("--set {path}")))].into(),
                ));
            }
            None => problems.push(layer_problem(
                "--set",
                format!("expected option=value, found {entry:?}"),
            )),
        }
    }
    match builder.build() {
        Ok(merged) if problems.is_empty() => Ok(merged.cache),
        Ok(_) => Err(problems),
        Err(error) => Err(vec![layer_problem("layers", error.to_string())]),
    }
}

/// The path of an environment variable in the words of the file, whose case counts; numbers are places in lists.
fn match_case(file: &Value, keys: &[String]) -> String {
    let mut at = Some(file);
    let mut path = String::new();
    for key in keys {
        let (step, next) = match at.map(|value| &value.kind) {
            Some(ValueKind::Array(items)) if key.parse::<usize>().is_ok() => (
                format!("[{key}]"),
                key.parse::<usize>().ok().and_then(|index| items.get(index)),
            ),
            Some(ValueKind::Table(table)) => match table
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(key))
            {
                Some((name, value)) => (name.clone(), Some(value)),
                None => (key.to_ascii_lowercase(), None),
            },
            _ => (key.to_ascii_lowercase(), None),
        };
        if !path.is_empty() && !step.starts_with('[') {
            path.push('.');
        }
        path.push_str(&step);
        at = next;
    }
    path
}

/// A value given as text: read as YAML reads it, so that `true`, `5` and `[a, b]` are what they look like.
fn scalar(text: &str, layer: &str) -> Value {
    let parsed = read_yaml(text);
    let kind = parsed.map_or_else(
        |_| ValueKind::String(text.to_owned()),
        |node| node.value.into_kind(&|_, _| layer.to_owned()),
    );
    Value::new(Some(&layer.to_owned()), kind)
}

/// The place a value says it came from.
pub(super) fn place_of(value: &Value) -> Option<Location> {
    let origin = value.origin()?;
    let numbers = origin
        .split_once(':')
        .and_then(|(line, column)| Some((line.parse().ok()?, column.parse().ok()?)));
    Some(numbers.map_or_else(
        || Location::Layer(origin.to_owned()),
        |(line, column)| Location::File(line, column),
    ))
}

fn parse(path: &Path, text: &str) -> Result<Value, Problem> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => parse_toml(text),
        _ => parse_yaml(text),
    }
}

fn file_problem(line: u64, column: u64, message: String) -> Problem {
    Problem {
        place: Location::File(line, column),
        path: String::new(),
        message,
    }
}

fn layer_problem(layer: &str, message: String) -> Problem {
    Problem {
        place: Location::Layer(layer.to_owned()),
        path: String::new(),
        message,
    }
}

fn origin(line: u64, column: u64) -> String {
    format!("{line}:{column}")
}

/// YAML, and JSON, which is YAML too.
fn parse_yaml(text: &str) -> Result<Value, Problem> {
    let node = read_yaml(text).map_err(|error| {
        let (line, column) = error
            .location()
            .map_or((1, 1), |at| (at.line(), at.column()));
        let message = error.without_snippet().to_string();
        file_problem(
            line,
            column,
            message.lines().next().unwrap_or_default().to_owned(),
        )
    })?;
    Ok(node_value(node, &origin))
}

/// YAML 1.2: `no` is a country, `007` a text, and infinity a number.
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
    let place = at(node.referenced.line(), node.referenced.column());
    Value::new(Some(&place), node.value.into_kind(at))
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

fn parse_toml(text: &str) -> Result<Value, Problem> {
    let place = |at: usize| {
        let before = &text[..at.min(text.len())];
        let line = before.matches('\n').count() as u64 + 1;
        (
            line,
            (before.len() - before.rfind('\n').map_or(0, |end| end + 1)) as u64 + 1,
        )
    };
    let table = toml::de::DeTable::parse(text).map_err(|error| {
        let (line, column) = place(error.span().map_or(0, |span| span.start));
        file_problem(line, column, error.message().to_owned())
    })?;
    let at = |offset| {
        let (line, column) = place(offset);
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

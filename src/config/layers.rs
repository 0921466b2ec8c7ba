//! Merges the layers of a configuration: the file, the environment, `--set`. Later layers win, key
//! by key.
//!
//! The `config` crate merges and does nothing else. It coerces types when it deserialises, so
//! [`super::reader`] reads the merged value instead. Every value carries its location as its
//! origin.

use std::collections::HashMap;
use std::path::Path;

use config::{Source, Value, ValueKind};

use super::options::OPTIONS;
use super::parse::{file_problem, parse, parse_scalar};
use super::problems::{Location, Problem};

/// The prefix of environment variables that are options, such as `PEGEL__WEB__LISTEN_ADDRESS`.
const PREFIX: &str = "PEGEL__";

/// The beginning of variables that look like options and are none.
const SINGLE_PREFIX: &str = "PEGEL_";

/// Returns a message for every environment variable with one underscore where an option has two.
///
/// Kubernetes sets variables of this form for a service named `pegel`, and the tests of pegel have
/// their own; both are passed over.
#[must_use]
pub fn ignored_variables(environment: &[(String, String)]) -> Vec<String> {
    environment
        .iter()
        .filter_map(|(name, value)| {
            let upper = name.to_ascii_uppercase();
            let option = upper.strip_prefix(SINGLE_PREFIX)?;
            let is_of_kubernetes = value.contains("://")
                || ["SERVICE_HOST", "SERVICE_PORT", "PORT"]
                    .iter()
                    .any(|part| option.contains(part));
            let is_of_tests = option.starts_with("TEST_") || option == "SHARED";
            if option.starts_with('_') || is_of_kubernetes || is_of_tests {
                return None;
            }
            let keys = option.replace("__", "_");
            let known = OPTIONS
                .iter()
                .map(|option| option.path.to_ascii_uppercase())
                .find(|path| path.replace('.', "_") == keys)
                .map(|path| format!(", did you mean {PREFIX}{}?", path.replace('.', "__")));
            let suggestion = known.unwrap_or_else(|| {
                format!(": options begin with {PREFIX}, as {PREFIX}WEB__LISTEN_ADDRESS")
            });
            Some(format!(
                "environment variable {name} is ignored{suggestion}"
            ))
        })
        .collect()
}

/// One layer, as the `config` crate takes it.
#[derive(Debug, Clone)]
struct Layer(HashMap<String, Value>);

impl Layer {
    /// A layer that sets one option.
    fn setting(path: String, value: Value) -> Self {
        Layer([(path, value)].into())
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<HashMap<String, Value>, config::ConfigError> {
        Ok(self.0.clone())
    }
}

/// Merges all layers into one value.
pub(super) fn merge(
    path: &Path,
    text: &str,
    environment: &[(String, String)],
    settings: &[String],
) -> Result<Value, Vec<Problem>> {
    let file = parse(path, text).map_err(|problem| vec![problem])?;
    let ValueKind::Table(table) = file.kind.clone() else {
        return Err(vec![file_problem(
            1,
            1,
            "expected a mapping (key: value) at the top level".to_owned(),
        )]);
    };
    let mut problems = Vec::new();
    let mut builder = config::Config::builder().add_source(Layer(table));
    for (name, value) in environment {
        if name.to_ascii_uppercase().starts_with(PREFIX) {
            let keys: Vec<&str> = name[PREFIX.len()..].split("__").collect();
            let value = parse_scalar(value, &format!("environment {name}"));
            builder = builder.add_source(Layer::setting(match_case(&file, &keys), value));
        }
    }
    for setting in settings {
        match setting.split_once('=') {
            Some((path, value)) => {
                let value = parse_scalar(value, &format!("--set {path}"));
                builder = builder.add_source(Layer::setting(path.to_owned(), value));
            }
            None => problems.push(layer_problem(
                "--set",
                format!("expected option=value, found {setting:?}"),
            )),
        }
    }
    match builder.build() {
        Ok(merged) if problems.is_empty() => Ok(merged.cache),
        Ok(_) => Err(problems),
        Err(error) => Err(vec![layer_problem("layers", error.to_string())]),
    }
}

/// Turns the keys of an environment variable into a path with the spelling of the file, whose case
/// counts. A number is an index where the file has a list.
fn match_case(file: &Value, keys: &[&str]) -> String {
    let mut value = Some(file);
    let mut path = String::new();
    for key in keys {
        let (step, next) = match value.map(|value| &value.kind) {
            Some(ValueKind::Array(items)) if key.parse::<usize>().is_ok() => (
                format!("[{key}]"),
                key.parse::<usize>().ok().and_then(|index| items.get(index)),
            ),
            Some(ValueKind::Table(table)) => table
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(key))
                .map_or_else(
                    || (key.to_ascii_lowercase(), None),
                    |(name, value)| (name.clone(), Some(value)),
                ),
            _ => (key.to_ascii_lowercase(), None),
        };
        if !path.is_empty() && !step.starts_with('[') {
            path.push('.');
        }
        path.push_str(&step);
        value = next;
    }
    path
}

/// A problem of an override as a whole.
fn layer_problem(layer: &str, message: String) -> Problem {
    Problem {
        location: Location::Layer(layer.to_owned()),
        path: String::new(),
        message,
    }
}

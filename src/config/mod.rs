//! Reads the configuration and turns it into the parameters of the stages.
//!
//! A file (YAML, JSON or TOML), the environment and `--set` are layered, then read strictly: no
//! value is coerced, and all problems are reported at once, each with its location, its path and
//! what would be accepted. Options that are planned but not built are rejected, not ignored.
//!
//! [`OPTIONS`] lists every option; the manual in `docs/configuration.md` is rendered from it, and a
//! test compares it with the options that the readers ask for.

mod alert;
mod defaults;
mod diagnostics;
mod effective;
mod feature;
mod kafka;
mod layers;
mod load;
mod manual;
mod monitor;
mod options;
mod parse;
mod print;
mod problems;
mod reader;
mod reference;
mod source_map;
mod state;
#[cfg(test)]
mod tests;
mod top_level;
mod window;

pub use defaults::{DefaultValue, LISTEN_ADDRESS as DEFAULT_LISTEN_ADDRESS};
pub use effective::{Config, Limits, State, Web};
pub use layers::ignored_variables;
pub use load::{ConfigError, Overrides, load, load_file, load_with_references, parse};
pub use manual::configuration_markdown;
pub use options::{OPTIONS, OptionDoc, RESERVED, ReservedOption};
pub use print::print;
pub use problems::{Location, Problem, Problems};
pub use source_map::{ClientUser, OptionSubject, SourceMap};

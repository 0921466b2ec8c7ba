//! The table of all options, from which the manual is rendered.
//!
//! Tests keep it true: its paths are exactly those that the readers ask for, its defaults are
//! those of a minimal configuration, and its errors are those that the wrong values give.

mod doc;
mod monitor;
mod process;
mod rules;

use monitor::MONITORS;
use process::PROCESS;
use rules::RULES;

pub use doc::OptionDoc;

/// The number of options.
const COUNT: usize = PROCESS.len() + MONITORS.len() + RULES.len();

/// All options, table by table.
pub const OPTIONS: &[OptionDoc] = &concat();

/// Joins the tables of all files.
const fn concat() -> [OptionDoc; COUNT] {
    let mut options = [PROCESS[0]; COUNT];
    let mut index = 0;
    while index < COUNT {
        options[index] = if index < PROCESS.len() {
            PROCESS[index]
        } else if index < PROCESS.len() + MONITORS.len() {
            MONITORS[index - PROCESS.len()]
        } else {
            RULES[index - PROCESS.len() - MONITORS.len()]
        };
        index += 1;
    }
    options
}

/// An option that is planned but not built. Using it is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReservedOption {
    /// Path of the option, as in [`OptionDoc`].
    pub path: &'static str,
    /// Purpose of the option.
    pub purpose: &'static str,
}

/// Planned options. Each gives the error `not supported yet`.
pub const RESERVED: &[ReservedOption] = &[
    reserved("web.tls", "HTTPS"),
    reserved("web.auth", "authentication of HTTP clients"),
    reserved(
        "sources.*.kafka.security",
        "TLS and SASL, with secrets from files or the environment",
    ),
    reserved("monitors[].select.header", "selection by a record header"),
    reserved("monitors[].select.key", "selection by the record key"),
    reserved(
        "monitors[].select.where.header",
        "selection by a record header",
    ),
    reserved("monitors[].select.where.key", "selection by the record key"),
    reserved(
        "monitors[].timestamp.header",
        "event time from a record header",
    ),
    reserved("monitors[].rows", "records that hold several rows"),
    reserved("monitors[].segment_by", "separate windows per segment"),
    reserved("monitors[].weight", "weights of sampled records"),
    reserved("monitors[].transform", "transformed values"),
    reserved("monitors[].match", "templates of features"),
    reserved("monitors[].missing", "values that count as missing"),
    reserved("monitors[].features[].transform", "transformed values"),
    reserved("monitors[].features[].weight", "weights of sampled records"),
    reserved("monitors[].features[].match", "templates of features"),
    reserved(
        "monitors[].features[].missing",
        "values that count as missing",
    ),
];

const fn reserved(path: &'static str, purpose: &'static str) -> ReservedOption {
    ReservedOption { path, purpose }
}

/// The error of a planned option.
pub(super) const NOT_SUPPORTED: &str = "not supported yet";

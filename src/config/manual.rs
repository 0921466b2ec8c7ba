//! Renders the manual of the configuration as Markdown.

use std::fmt::Write as _;

use super::options::{NOT_SUPPORTED, OPTIONS, OptionDoc, RESERVED};

/// The text above the tables.
const INTRODUCTION: &str = include_str!("manual/introduction.md");

/// The mappings of a configuration: path and heading, in the order of the manual.
const SECTIONS: &[(&str, &str)] = &[
    ("", "Top level"),
    ("web", "web"),
    ("state", "state"),
    ("limits", "limits"),
    ("sources.*", "sources"),
    ("sources.*.kafka", "sources.*.kafka"),
    ("sources.*.kafka.start", "sources.*.kafka.start"),
    ("sources.*.decode", "sources.*.decode"),
    ("monitors[]", "monitors"),
    ("monitors[].select", "monitors.select"),
    ("monitors[].select.where", "monitors.select.where"),
    ("monitors[].timestamp", "monitors.timestamp"),
    ("monitors[].windows[]", "monitors.windows"),
    ("monitors[].references[]", "monitors.references"),
    (
        "monitors[].references[].trailing",
        "monitors.references.trailing",
    ),
    ("monitors[].features[]", "monitors.features"),
    ("monitors[].features[].bins", "monitors.features.bins"),
    ("monitors[].alerts[]", "monitors.alerts"),
    ("monitors[].volume", "monitors.volume"),
    ("monitors[].lateness", "monitors.lateness"),
];

/// Renders `docs/configuration.md`.
#[must_use]
pub fn configuration_markdown() -> String {
    let mut text = INTRODUCTION.to_owned();
    for (path, heading) in SECTIONS {
        write_section(&mut text, path, heading);
    }
    write_reserved(&mut text);
    text
}

/// Path of the mapping that holds an option, and the option's own name.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('.').unwrap_or(("", path))
}

fn write_section(text: &mut String, path: &str, heading: &str) {
    let options: Vec<&OptionDoc> = OPTIONS
        .iter()
        .filter(|option| split(option.path).0 == path)
        .collect();
    let change = match options.iter().all(|option| option.is_reloadable()) {
        true => "Changes take effect on reload.",
        false if path.is_empty() => {
            "Changes of `monitors` and `defaults` take effect on reload, all others need a restart."
        }
        false => "Changes need a restart.",
    };
    push(text, format_args!("\n## {heading}\n\n{change}\n\n"));
    text.push_str("| option | type or values | default | meaning |\n|---|---|---|---|\n");
    for option in &options {
        push(
            text,
            format_args!(
                "| `{}` | {} | {} | {} |\n",
                split(option.path).1,
                option.accepts,
                option.default,
                option.meaning
            ),
        );
    }
    if options.iter().any(|option| !option.errors.is_empty()) {
        text.push_str("\n| wrong value | error |\n|---|---|\n");
    }
    for option in options {
        for (value, error) in option.errors {
            push(
                text,
                format_args!("| `{}: {value}` | `{error}` |\n", split(option.path).1),
            );
        }
    }
}

fn write_reserved(text: &mut String) {
    push(
        text,
        format_args!(
            "\n## Planned options\n\nThese names are reserved. Each gives the error `{NOT_SUPPORTED}`.\n\n\
             | option | purpose |\n|---|---|\n"
        ),
    );
    for option in RESERVED {
        push(
            text,
            format_args!("| `{}` | {} |\n", option.path, option.purpose),
        );
    }
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    let written = text.write_fmt(line);
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}

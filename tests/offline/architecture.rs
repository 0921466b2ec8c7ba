//! Who may import whom. An arrow that points up is a failure with file and line.

use std::path::{Path, PathBuf};

/// Each module, and what of ours it may use besides `model` and itself.
const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("stats", &[]),
    ("clock", &["model"]),
    ("decode", &["model"]),
    ("panes", &["model", "stats", "decode"]),
    ("observe", &["model", "stats", "decode", "panes"]),
    ("reference", &["model", "stats"]),
    ("window", &["model", "stats", "panes"]),
    ("score", &["model", "stats", "reference"]),
    ("alert", &["model"]),
    (
        "engine",
        &[
            "model",
            "stats",
            "decode",
            "panes",
            "reference",
            "window",
            "score",
            "alert",
        ],
    ),
    ("source", &["model", "decode", "clock"]),
    (
        "ingest",
        &["model", "decode", "observe", "panes", "source", "engine"],
    ),
    ("config", &["model", "stats", "reference"]),
    (
        "export",
        &[
            "model",
            "stats",
            "decode",
            "panes",
            "reference",
            "score",
            "alert",
            "engine",
            "clock",
        ],
    ),
];

/// Crates that only some modules may use.
const CRATES: &[(&str, &[&str])] = &[
    ("rdkafka", &["source", "panes"]),
    ("prometheus", &["export"]),
    ("tokio", &["export", "app", "cli"]),
    ("axum", &["export"]),
    ("clap", &["cli", "main"]),
];

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// File below `src`, line, and the text before any inline tests.
fn lines() -> Vec<(String, usize, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files
        .iter()
        .flat_map(|file| {
            let name = file
                .strip_prefix(&root)
                .unwrap()
                .to_string_lossy()
                .into_owned();
            let text = std::fs::read_to_string(file).unwrap();
            let product = text
                .split("#[cfg(test)]")
                .next()
                .unwrap_or_default()
                .to_owned();
            let numbered = product
                .lines()
                .enumerate()
                .map(|(line, text)| (line + 1, text.to_owned()))
                .collect::<Vec<_>>();
            numbered
                .into_iter()
                .map(move |(line, text)| (name.clone(), line, text))
        })
        .filter(|(name, _, _)| !name.ends_with("tests.rs"))
        .collect()
}

fn module(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap_or_default()
}

#[test]
fn arrows_point_down() {
    let wrong: Vec<String> = lines()
        .iter()
        .filter_map(|(file, line, text)| {
            let used = text
                .split("crate::")
                .nth(1)?
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()?;
            let own = module(file);
            let (_, allowed) = MAY_USE.iter().find(|(name, _)| *name == own)?;
            let is_known =
                MAY_USE.iter().any(|(name, _)| *name == used) || ["app", "cli"].contains(&used);
            (is_known && used != own && used != "model" && !allowed.contains(&used))
                .then(|| format!("src/{file}:{line}: {own} may not use {used}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn crates_stay_where_they_belong() {
    let wrong: Vec<String> = lines()
        .iter()
        .filter_map(|(file, line, text)| {
            let (name, allowed) = CRATES
                .iter()
                .find(|(name, _)| text.contains(&format!("{name}::")))?;
            (!allowed.contains(&module(file)) && !text.trim_start().starts_with("//"))
                .then(|| format!("src/{file}:{line}: only {allowed:?} may use {name}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn sources_are_ascii_and_open_with_their_reasons() {
    for (file, line, text) in lines() {
        assert!(text.is_ascii(), "src/{file}:{line}: not ASCII");
        assert!(
            line > 1 || text.starts_with("//!"),
            "src/{file}: no opening //!"
        );
    }
}

//! Rules of the layout: imports between rooms, circles in a folder, and the file of each `impl`.
//!
//! The compiler does not keep the rooms of one crate apart, so these tests do. A failure names file
//! and line. An exception needs a reason, and an exception that excuses nothing fails as well.
//!
//! The graph is built from names, not from `mod` lines: a name that `mod.rs` re-exports leads to
//! the file that defines it. So two siblings that import each other through their parent are found.

use std::collections::{BTreeMap, BTreeSet};

use syn::{GenericArgument, Item, PathArguments, Type};

use crate::source_tree::{Module, SourceFile, Tree, assert_none, is_test, parse, product, texts};

/// The rooms under `src` from the bottom to the top, each with the rooms that it may import.
const ROOMS: &[(&str, &str)] = &[
    ("stats", ""),
    ("model", ""),
    ("clock", "model"),
    ("kafka", "model"),
    ("alert", "model"),
    ("decode", "model"),
    ("panes", "stats model decode"),
    ("observe", "stats model decode panes"),
    ("pane_log", "stats model clock kafka panes"),
    ("source", "model clock kafka decode"),
    ("ingest", "model decode panes observe pane_log source"),
    ("window", "stats model panes"),
    ("reference", "stats model"),
    ("score", "stats model reference"),
    ("calibration", "stats model reference score"),
    (
        "engine",
        "stats model alert decode panes window reference score calibration",
    ),
    ("config", "stats model"),
    (
        "export",
        "stats model alert reference score calibration engine",
    ),
    (
        "app",
        "model clock alert panes observe pane_log source ingest reference engine config export",
    ),
    (
        "batch",
        "stats model clock alert decode panes observe source ingest reference score calibration \
         engine config export app",
    ),
    (
        "demo",
        "stats model clock alert reference engine config export app",
    ),
    (
        "cli",
        "stats model clock alert decode panes observe pane_log source reference score calibration \
         engine config export app batch demo",
    ),
    ("main", "cli"),
];

/// Other crates that only some files may use, by the beginnings of their paths below `src`.
const CRATES: &[(&str, &[&str])] = &[
    // The demo brings a broker of its own and writes records to it.
    (
        "rdkafka",
        &[
            "kafka",
            "source/kafka",
            "pane_log/kafka",
            "demo/broker",
            "demo/producer",
        ],
    ),
    ("prometheus", &["export/metrics"]),
    ("tokio", &["app", "export/http", "cli"]),
    ("axum", &["export/http"]),
    ("clap", &["cli", "main"]),
];

/// Rooms that compute: time and data are arguments, results are values.
const PURE: &[&str] = &[
    "stats",
    "model",
    "decode",
    "observe",
    "panes",
    "window",
    "score",
    "calibration",
    "alert",
    "engine",
];

/// Modules of the standard library that reach out of the process.
const OUTSIDE: &[&str] = &["env", "fs", "io", "net", "process", "thread"];

/// Circles that may stay: how the failure begins, and why.
const ALLOWED_CIRCLES: &[(&str, &str)] = &[];

/// Implementations that may stand elsewhere: how the failure begins, and why.
const ALLOWED_IMPLS: &[(&str, &str)] = &[];

/// A use of one file by another.
struct Edge<'a> {
    from: &'a SourceFile,
    line: usize,
    to: &'a SourceFile,
}

/// Every use of another file of the crate; a re-export uses nothing.
fn edges(tree: &Tree) -> Vec<Edge<'_>> {
    let mut edges = Vec::new();
    for (module, mentions) in &tree.mentions {
        for mention in mentions {
            let imported = mention.imported.as_ref();
            if imported.is_some_and(|imported| imported.is_reexport) {
                continue;
            }
            let definition = tree.definition(&mention.module, &mention.segments);
            if let Some(definition) = definition.filter(|definition| definition != module) {
                edges.push(Edge {
                    from: &tree.files[module],
                    line: mention.line,
                    to: &tree.files[&definition],
                });
            }
        }
    }
    edges
}

fn room(file: &SourceFile) -> &str {
    file.module.first().map_or("lib", String::as_str)
}

/// Rooms that only one of the table and the tree knows.
fn unlisted_rooms(tree: &Tree) -> Vec<String> {
    let listed: BTreeSet<&str> = ROOMS.iter().map(|(name, _)| *name).collect();
    let present: BTreeSet<&str> = tree.files.values().map(room).collect();
    listed
        .symmetric_difference(&present)
        .filter(|name| **name != "lib")
        .map(|name| match listed.contains(name) {
            true => format!("{name}: the table lists a room that is not under src"),
            false => format!("{name}: src has a room that the table does not list"),
        })
        .collect()
}

/// Imports of a room that the table does not allow.
fn upward_arrows(tree: &Tree) -> Vec<String> {
    let mut failures = BTreeSet::new();
    for edge in edges(tree) {
        let (from, to) = (room(edge.from), room(edge.to));
        let may_import = ROOMS
            .iter()
            .any(|(name, rooms)| *name == from && rooms.split(' ').any(|room| room == to));
        if from != to && !may_import {
            let (path, line) = (&edge.from.path, edge.line);
            failures.insert(format!("{path}:{line}: {from} may not import {to}"));
        }
    }
    failures.into_iter().collect()
}

/// Uses of a crate outside the files that may use it.
fn strayed_crates(tree: &Tree) -> Vec<String> {
    let mut failures = BTreeSet::new();
    for (module, mentions) in &tree.mentions {
        let file = &tree.files[module];
        let below = file.path.trim_start_matches("src/");
        for mention in mentions {
            let named = CRATES.iter().find(|(name, _)| mention.segments[0] == *name);
            let Some((name, allowed)) = named else {
                continue;
            };
            if !allowed.iter().any(|beginning| below.starts_with(beginning)) {
                let (path, line) = (&file.path, mention.line);
                failures.insert(format!("{path}:{line}: only {allowed:?} may use {name}"));
            }
        }
    }
    failures.into_iter().collect()
}

/// Uses of the outside world in rooms that compute.
fn impurities(tree: &Tree) -> Vec<String> {
    let mut failures = BTreeSet::new();
    for (module, mentions) in &tree.mentions {
        let file = &tree.files[module];
        for mention in mentions.iter().filter(|_| PURE.contains(&room(file))) {
            let is_outside = match mention.segments.as_slice() {
                [first, second, ..] => first == "std" && OUTSIDE.contains(&second.as_str()),
                _ => false,
            };
            if is_outside {
                let (path, line) = (&file.path, mention.line);
                let name = mention.segments.join("::");
                failures.insert(format!("{path}:{line}: a pure room may not use {name}"));
            }
        }
    }
    failures.into_iter().collect()
}

/// For each entry of a folder: the entries that it uses, each with file and line of one use.
type Uses = BTreeMap<String, BTreeMap<String, String>>;

/// Groups of files and subfolders of one folder that use each other in a circle.
///
/// `mod.rs` is one of the files unless it only declares and re-exports. What a parent and its
/// children share belongs in a file of its own below both.
fn circles(tree: &Tree) -> Vec<String> {
    let mut folders: BTreeMap<&[String], Uses> = BTreeMap::new();
    for edge in edges(tree) {
        let (from, to) = (&edge.from.module, &edge.to.module);
        let depth = from.iter().zip(to).take_while(|(a, b)| a == b).count();
        if depth == 0 || (from.len() == depth && edge.from.is_transparent()) {
            continue;
        }
        let entry = |module: &Module| match module.get(depth) {
            Some(name) => name.clone(),
            None => "mod.rs".to_owned(),
        };
        folders
            .entry(&from[..depth])
            .or_default()
            .entry(entry(from))
            .or_default()
            .entry(entry(to))
            .or_insert_with(|| format!("{}:{}", edge.from.path, edge.line));
    }
    let mut failures = Vec::new();
    for (folder, uses) in &folders {
        let mut reported = BTreeSet::new();
        for entry in uses.keys() {
            let Some(circle) = shortest_circle(uses, entry) else {
                continue;
            };
            if reported.insert(circle.iter().cloned().collect::<BTreeSet<_>>()) {
                let lines: Vec<&str> = circle
                    .windows(2)
                    .map(|step| uses[&step[0]][&step[1]].as_str())
                    .collect();
                failures.push(format!(
                    "src/{}: {} ({})",
                    folder.join("/"),
                    circle.join(" -> "),
                    lines.join(", "),
                ));
            }
        }
    }
    failures
}

/// The shortest way from `start` back to itself, both ends included.
fn shortest_circle(uses: &Uses, start: &str) -> Option<Vec<String>> {
    let mut ways = vec![vec![start.to_owned()]];
    let mut reached = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in uses.get(way.last()?).into_iter().flat_map(BTreeMap::keys) {
                let extended = [way.as_slice(), std::slice::from_ref(next)].concat();
                if next == start {
                    return Some(extended);
                }
                if reached.insert(next) {
                    longer.push(extended);
                }
            }
        }
        ways = longer;
    }
    None
}

/// Implementations outside the file of their type.
///
/// An implementation of a trait may also stand in the file of the trait or of one of its arguments.
fn strayed_impls(tree: &Tree) -> Vec<String> {
    let mut failures = Vec::new();
    for (module, file) in &tree.files {
        for item in file.syntax.items.iter().filter(|item| !is_test(item)) {
            let Item::Impl(block) = item else {
                continue;
            };
            let mut paths = paths_in(&block.self_ty);
            if let Some((_, interface, _)) = &block.trait_ {
                paths.push(interface);
                paths.extend(arguments(interface).into_iter().flat_map(paths_in));
            }
            let homes: Vec<Module> = paths
                .iter()
                .filter_map(|path| tree.definition(module, &segments(path)))
                .collect();
            if !homes.is_empty() && !homes.contains(module) {
                let line = block.impl_token.span.start().line;
                let home = &tree.files[&homes[0]].path;
                failures.push(format!("{}:{line}: this impl belongs in {home}", file.path));
            }
        }
    }
    failures
}

/// The types named in `kind`: itself, what it refers to, and its generic arguments.
fn paths_in(kind: &Type) -> Vec<&syn::Path> {
    match kind {
        Type::Path(kind) => {
            let inner = arguments(&kind.path).into_iter().flat_map(paths_in);
            std::iter::once(&kind.path).chain(inner).collect()
        }
        Type::Reference(kind) => paths_in(&kind.elem),
        Type::Slice(kind) => paths_in(&kind.elem),
        Type::Array(kind) => paths_in(&kind.elem),
        Type::Tuple(kind) => kind.elems.iter().flat_map(paths_in).collect(),
        _ => Vec::new(),
    }
}

fn arguments(path: &syn::Path) -> Vec<&Type> {
    path.segments
        .iter()
        .filter_map(|segment| match &segment.arguments {
            PathArguments::AngleBracketed(list) => Some(&list.args),
            _ => None,
        })
        .flatten()
        .filter_map(|argument| match argument {
            GenericArgument::Type(kind) => Some(kind),
            _ => None,
        })
        .collect()
}
fn segments(path: &syn::Path) -> Vec<String> {
    path.segments
        .iter()
        .map(|segment| segment.ident.to_string())
        .collect()
}

#[test]
fn a_room_imports_only_rooms_below_it() {
    for (index, (name, rooms)) in ROOMS.iter().enumerate() {
        let below: BTreeSet<&str> = ROOMS[..index].iter().map(|(name, _)| *name).collect();
        for room in rooms.split(' ').filter(|room| !room.is_empty()) {
            assert!(below.contains(room), "{name}: {room} is not below it");
        }
    }
}

#[test]
fn the_table_lists_every_room() {
    assert_none(unlisted_rooms(&Tree::new(product())), &[]);
}

#[test]
fn arrows_point_down() {
    assert_none(upward_arrows(&Tree::new(product())), &[]);
}

#[test]
fn crates_stay_in_their_rooms() {
    assert_none(strayed_crates(&Tree::new(product())), &[]);
}

#[test]
fn pure_rooms_do_not_reach_outside() {
    assert_none(impurities(&Tree::new(product())), &[]);
}

#[test]
fn files_of_a_folder_form_no_circle() {
    assert_none(circles(&Tree::new(product())), ALLOWED_CIRCLES);
}

#[test]
fn impls_stand_with_their_type() {
    assert_none(strayed_impls(&Tree::new(product())), ALLOWED_IMPLS);
}

#[test]
fn sources_are_ascii_and_open_with_their_reasons() {
    for (path, text) in texts("src") {
        assert!(text.is_ascii(), "{path}: not ASCII");
        assert!(text.starts_with("//!"), "{path}: no opening //!");
    }
}

/// A tree of snippets: path and text of each file.
fn tree(files: &[(&str, &str)]) -> Tree {
    Tree::new(files.iter().map(|(path, text)| parse(path, text)).collect())
}

#[test]
fn a_room_that_the_table_does_not_list_is_reported() {
    let failures = unlisted_rooms(&tree(&[("src/attic.rs", "")]));
    assert!(failures.contains(&"attic: src has a room that the table does not list".to_owned()));
    assert!(
        failures.contains(&"engine: the table lists a room that is not under src".to_owned()),
        "a room that was removed: {failures:?}"
    );
}

#[test]
fn an_arrow_up_is_reported_wherever_it_is_written() {
    let engine = ("src/engine/mod.rs", "pub struct Engine;");
    let model = ("src/model/mod.rs", "pub struct Shard;");
    for import in [
        "use crate::engine::Engine;",
        "use crate::{\n    engine::Engine,\n    model::Shard,\n};",
        "use super::{engine::{self, Engine as Core}, model};",
        "fn f(shard: crate::model::Shard, engine: crate::engine::Engine) {}",
        "fn f() { assert!(crate::engine::Engine::new().is_empty()); }",
        "use crate::engine::*;",
    ] {
        let failures = upward_arrows(&tree(&[engine, model, ("src/ingest.rs", import)]));
        assert!(!failures.is_empty(), "{import}");
        for failure in failures {
            assert!(
                failure.ends_with(": ingest may not import engine"),
                "{failure}"
            );
        }
    }
}

#[test]
fn an_arrow_up_is_reported_with_its_line() {
    let import = "use crate::{\n    model::Shard,\n    engine::Engine,\n};";
    let files = [
        ("src/engine/mod.rs", "mod worker;\npub use worker::Engine;"),
        ("src/engine/worker.rs", "pub struct Engine;"),
        ("src/model/mod.rs", "pub struct Shard;"),
        ("src/ingest.rs", import),
    ];
    assert_eq!(
        upward_arrows(&tree(&files)),
        ["src/ingest.rs:3: ingest may not import engine"]
    );
}

#[test]
fn tests_comments_and_strings_may_name_any_room() {
    let files = [
        ("src/engine/mod.rs", "pub struct Engine;"),
        (
            "src/ingest.rs",
            "// crate::engine::Engine\nconst TEXT: &str = \"crate::engine::Engine\";\n\
             #[cfg(test)]\nmod tests { use crate::engine::Engine; }",
        ),
    ];
    assert!(upward_arrows(&tree(&files)).is_empty());
}

#[test]
fn a_crate_outside_its_files_is_reported() {
    let text = "use rdkafka::ClientConfig;";
    let allowed = tree(&[("src/source/kafka/consumer.rs", text)]);
    assert!(strayed_crates(&allowed).is_empty());
    let strayed = tree(&[("src/source/file.rs", text)]);
    assert_eq!(strayed_crates(&strayed).len(), 1);
}

#[test]
fn io_in_a_pure_room_is_reported() {
    let text = "fn f() { let _ = std::fs::read(\"state\"); }";
    assert_eq!(impurities(&tree(&[("src/score/mod.rs", text)])).len(), 1);
    assert!(impurities(&tree(&[("src/app/mod.rs", text)])).is_empty());
}

#[test]
fn a_circle_through_reexports_is_reported_once() {
    let files = [
        (
            "src/engine/mod.rs",
            "mod plan;\nmod shards;\npub use plan::Plan;\npub use shards::Shards;",
        ),
        (
            "src/engine/plan.rs",
            "use super::Shards;\npub struct Plan(Shards);",
        ),
        (
            "src/engine/shards.rs",
            "use crate::engine::Plan;\npub struct Shards(Vec<Plan>);",
        ),
    ];
    assert_eq!(
        circles(&tree(&files)),
        ["src/engine: plan -> shards -> plan (src/engine/plan.rs:1, src/engine/shards.rs:1)"]
    );
}

#[test]
fn a_circle_of_subfolders_is_reported() {
    let files = [
        ("src/export/mod.rs", "mod http;\nmod metrics;"),
        ("src/export/http/mod.rs", "mod api;"),
        (
            "src/export/http/api.rs",
            "use crate::export::metrics::render;\npub fn serve() {}",
        ),
        (
            "src/export/metrics/mod.rs",
            "use super::http::api::serve;\npub fn render() {}",
        ),
    ];
    assert_eq!(circles(&tree(&files)).len(), 1);
}

#[test]
fn a_parent_is_part_of_a_circle_only_with_items_that_use_the_child() {
    let child = (
        "src/score/body.rs",
        "use super::Score;\npub fn body() -> Score { Score }",
    );
    let uses = "mod body;\npub struct Score;\nfn f() -> Score { body::body() }";
    assert_eq!(
        circles(&tree(&[("src/score/mod.rs", uses), child])).len(),
        1
    );
    let variable = "mod body;\npub struct Score;\nfn f() { let body = 1; assert!(body > 0); }";
    assert!(circles(&tree(&[("src/score/mod.rs", variable), child])).is_empty());
    let reexports = "mod body;\npub use body::body;\npub struct Score;";
    assert!(circles(&tree(&[("src/score/mod.rs", reexports), child])).is_empty());
}

#[test]
fn an_impl_away_from_its_type_is_reported() {
    let window = (
        "src/window/ring.rs",
        "pub struct Ring;\npub trait Advance {}",
    );
    let parent = (
        "src/window/mod.rs",
        "mod ring;\nmod progress;\npub use ring::{Advance, Ring};",
    );
    for (text, expected) in [
        ("use super::ring::Ring;\nimpl Ring {}", 1),
        ("use super::Ring;\nimpl Clone for Ring {}", 1),
        ("impl super::Advance for Vec<u8> {}", 1),
        ("struct Progress;\nimpl super::Advance for Progress {}", 0),
        (
            "struct Progress;\nimpl From<Progress> for super::Ring {}",
            0,
        ),
        ("#[cfg(test)]\nimpl super::Ring {}", 0),
    ] {
        let failures = strayed_impls(&tree(&[window, parent, ("src/window/progress.rs", text)]));
        assert_eq!(failures.len(), expected, "{text}: {failures:?}");
    }
}

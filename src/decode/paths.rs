//! The paths a source is asked for, compiled into one trie.

use rustc_hash::FxHashMap;

use super::Columns;
use crate::model::Pointer;

/// Distinct paths, numbered in the order they were first asked for.
#[derive(Debug, Clone, Default)]
pub struct Paths {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    path: Pointer,
    columns: Vec<String>,
}

impl Paths {
    /// No paths yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The slot of `path`. In a table, the column `column` stands in when there is no column `/path`.
    pub fn add(&mut self, path: &Pointer, column: Option<&str>) -> usize {
        let slot = self
            .entries
            .iter()
            .position(|entry| entry.path == *path)
            .unwrap_or_else(|| {
                self.entries.push(Entry {
                    path: path.clone(),
                    columns: Vec::new(),
                });
                self.entries.len() - 1
            });
        self.entries[slot].columns.extend(column.map(str::to_owned));
        slot
    }

    /// Number of distinct paths.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// A node: what is asked for here, and below.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    pub(super) slot: Option<usize>,
    pub(super) children: FxHashMap<Box<str>, usize>,
}

/// The compiled paths; node 0 is the record itself.
#[derive(Debug, Clone)]
pub(super) struct Trie {
    nodes: Vec<Node>,
    paths: Paths,
}

impl Trie {
    pub(super) fn new(paths: &Paths) -> Self {
        let mut trie = Trie {
            nodes: vec![Node::default()],
            paths: paths.clone(),
        };
        for (slot, entry) in paths.entries.iter().enumerate() {
            let node = entry
                .path
                .tokens()
                .iter()
                .fold(0, |node, token| trie.child(node, token));
            trie.nodes[node].slot = Some(slot);
        }
        trie
    }

    fn child(&mut self, node: usize, token: &str) -> usize {
        if let Some(child) = self.nodes[node].children.get(token) {
            return *child;
        }
        let child = self.nodes.len();
        self.nodes.push(Node::default());
        self.nodes[node].children.insert(token.into(), child);
        child
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    #[inline]
    pub(super) fn node(&self, index: usize) -> &Node {
        &self.nodes[index]
    }

    /// A path with one token is fed by the column of that name, any other path by the columns named as its stand-ins.
    pub(super) fn columns(&self, header: &[&str]) -> Columns {
        let find = |name: &str| header.iter().position(|column| *column == name);
        let feeds = self
            .paths
            .entries
            .iter()
            .enumerate()
            .filter_map(|(slot, entry)| {
                let own = match entry.path.tokens() {
                    [name] => find(name),
                    _ => None,
                };
                let column = own.or_else(|| entry.columns.iter().find_map(|name| find(name)))?;
                Some((slot, column))
            });
        Columns::new(feeds.collect())
    }
}

//! The configured paths of a source, compiled into one trie.

use rustc_hash::FxHashMap;

use super::cell_form::CellForm;
use super::columns::{ColumnSlot, Columns};
use crate::model::Pointer;

/// Distinct paths, numbered in the order in which they are added.
#[derive(Debug, Clone, Default)]
pub struct Paths {
    entries: Vec<Entry>,
    slots: FxHashMap<Pointer, usize>,
}

/// One distinct path.
#[derive(Debug, Clone)]
struct Entry {
    path: Pointer,
    /// Columns of a table that can fill the slot instead of a column named after the path.
    columns: Vec<String>,
}

impl Paths {
    /// Creates an empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a path and returns its slot. In a table, the column `column` fills the slot if no
    /// column is named after the path itself.
    pub fn add(&mut self, path: &Pointer, column: Option<&str>) -> usize {
        let slot = self.slots.get(path).copied().unwrap_or_else(|| {
            self.entries.push(Entry {
                path: path.clone(),
                columns: Vec::new(),
            });
            self.slots.insert(path.clone(), self.entries.len() - 1);
            self.entries.len() - 1
        });
        self.entries[slot].columns.extend(column.map(str::to_owned));
        slot
    }

    /// True if a path of a record, or the column of this name in a table, fills a slot.
    #[must_use]
    pub fn reads(&self, path: &Pointer, column: &str) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.path == *path || entry.columns.iter().any(|known| known == column))
    }

    /// Number of distinct paths.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if no path was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// A node of the trie: the slot of the path that ends here, and the next keys.
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

    /// Maps columns to slots. A path of one token is filled by the column of that name, every other
    /// path by the first of its alternative columns.
    pub(super) fn columns(&self, header: &[&str], form: &CellForm) -> Columns {
        let mut positions: FxHashMap<&str, usize> = FxHashMap::default();
        for (column, name) in header.iter().enumerate() {
            positions.entry(name).or_insert(column);
        }
        let position = |name: &str| positions.get(name).copied();
        let mapping = self
            .paths
            .entries
            .iter()
            .enumerate()
            .filter_map(|(slot, entry)| {
                let named_after_path = match entry.path.tokens() {
                    [name] => position(name),
                    _ => None,
                };
                let column = named_after_path
                    .or_else(|| entry.columns.iter().find_map(|name| position(name)))?;
                Some(ColumnSlot { slot, column })
            })
            .collect();
        Columns::new(mapping, form.clone())
    }
}

//! Rust files of this repository with their modules, and every path that they name.
//!
//! The guards parse with `syn` instead of searching text: a grouped `use` over several lines, a
//! second `crate::` in one line and a path inside a macro are found, comments and strings are not.
//! Modules under `#[cfg(test)]` are left out here, because tests may reach wherever they need to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::Visit;
use syn::{Item, UseTree, Visibility};

/// Module path below the crate: `["engine", "plan"]`; empty for `lib.rs`.
pub(crate) type Module = Vec<String>;

/// A parsed file of the crate.
pub(crate) struct SourceFile {
    /// Path below the repository, such as `src/engine/plan/mod.rs`.
    pub(crate) path: String,
    pub(crate) module: Module,
    pub(crate) syntax: syn::File,
}

/// A path with at least two segments, or an imported name, as the file writes it.
pub(crate) struct Mention {
    pub(crate) line: usize,
    /// The module around it; longer than the file's own in an inline module.
    pub(crate) module: Module,
    pub(crate) segments: Vec<String>,
    /// Set in a `use` declaration: the name that it brings into scope.
    pub(crate) imported: Option<Imported>,
}

/// A name that a `use` declaration brings into scope.
pub(crate) struct Imported {
    /// The name, after any `as`; `*` for a glob.
    pub(crate) name: String,
    pub(crate) is_reexport: bool,
}

/// Path below the repository and text of every Rust file in `folder`.
pub(crate) fn texts(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root.join(folder), &mut files);
    files
        .iter()
        .map(|file| {
            let path = file.strip_prefix(root).unwrap().to_string_lossy();
            (path.into_owned(), std::fs::read_to_string(file).unwrap())
        })
        .collect()
}

/// Fails with every failure that no exception excuses, and with every exception that excuses none.
///
/// An exception is how a failure begins and the reason why it may stay.
pub(crate) fn assert_none(failures: Vec<String>, exceptions: &[(&str, &str)]) {
    let mut stale: BTreeSet<&str> = exceptions.iter().map(|(beginning, _)| *beginning).collect();
    let mut remaining = Vec::new();
    for failure in failures {
        let excuse = exceptions
            .iter()
            .find(|(beginning, _)| failure.starts_with(beginning));
        match excuse {
            Some((beginning, _)) => {
                stale.remove(beginning);
            }
            None => remaining.push(failure),
        }
    }
    remaining.extend(
        stale
            .iter()
            .map(|beginning| format!("{beginning}: this exception excuses nothing")),
    );
    assert!(
        remaining.is_empty(),
        "{} failures\n{}",
        remaining.len(),
        remaining.join("\n")
    );
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The files of `src` that are part of the product: all but the modules named `tests`.
pub(crate) fn product() -> Vec<SourceFile> {
    texts("src")
        .iter()
        .map(|(path, text)| parse(path, text))
        .filter(|file| !file.module.iter().any(|name| name == "tests"))
        .collect()
}

/// Parses `text` as the file at `path`, which begins with `src/`.
pub(crate) fn parse(path: &str, text: &str) -> SourceFile {
    SourceFile {
        path: path.to_owned(),
        module: module_of(path),
        syntax: syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}")),
    }
}

fn module_of(path: &str) -> Module {
    let below = path.trim_start_matches("src/").trim_end_matches(".rs");
    below
        .split('/')
        .filter(|name| !["mod", "lib"].contains(name))
        .map(str::to_owned)
        .collect()
}

impl SourceFile {
    /// Every path and every imported name, outside modules of tests.
    pub(crate) fn mentions(&self) -> Vec<Mention> {
        let mut reader = Reader {
            module: self.module.clone(),
            mentions: Vec::new(),
        };
        reader.visit_file(&self.syntax);
        reader.mentions
    }

    /// Names that items of this file define, functions and constants included.
    pub(crate) fn items(&self) -> BTreeSet<String> {
        self.syntax
            .items
            .iter()
            .filter(|item| !is_test(item))
            .filter_map(name_of)
            .collect()
    }

    /// True for a file that only declares modules and re-exports their names.
    pub(crate) fn is_transparent(&self) -> bool {
        self.syntax
            .items
            .iter()
            .filter(|item| !is_test(item))
            .all(|item| match item {
                Item::Use(_) => true,
                Item::Mod(module) => module.content.is_none(),
                _ => false,
            })
    }
}

/// True for an item that exists in test builds only.
pub(crate) fn is_test(item: &Item) -> bool {
    let attributes = match item {
        Item::Const(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => return false,
    };
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|condition| condition.is_ident("test"))
    })
}

fn name_of(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

fn is_colon(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Punct(sign)) if sign.as_char() == ':')
}

/// Collects mentions from one file.
struct Reader {
    module: Module,
    mentions: Vec<Mention>,
}

impl Reader {
    fn mention(&mut self, line: usize, segments: Vec<String>, imported: Option<Imported>) {
        self.mentions.push(Mention {
            line,
            module: self.module.clone(),
            segments,
            imported,
        });
    }

    /// Leaves of a `use` tree; a group has one per name.
    fn read_use(&mut self, tree: &UseTree, prefix: &[String], is_reexport: bool) {
        let (ident, name) = match tree {
            UseTree::Path(path) => {
                let prefix = [prefix, &[path.ident.to_string()]].concat();
                return self.read_use(&path.tree, &prefix, is_reexport);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.read_use(tree, prefix, is_reexport);
                }
                return;
            }
            UseTree::Name(name) => (&name.ident, name.ident.to_string()),
            UseTree::Rename(rename) => (&rename.ident, rename.rename.to_string()),
            UseTree::Glob(glob) => {
                let line = glob.star_token.spans[0].start().line;
                let name = "*".to_owned();
                return self.mention(line, prefix.to_vec(), Some(Imported { name, is_reexport }));
            }
        };
        let line = ident.span().start().line;
        let (segments, name) = if ident == "self" {
            let last = prefix.last().cloned().unwrap_or_default();
            (prefix.to_vec(), if name == "self" { last } else { name })
        } else {
            ([prefix, &[ident.to_string()]].concat(), name)
        };
        self.mention(line, segments, Some(Imported { name, is_reexport }));
    }

    /// Paths in the arguments of a macro, which `syn` does not parse.
    fn read_tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut index = 0;
        while index < tokens.len() {
            match &tokens[index] {
                TokenTree::Group(group) => self.read_tokens(group.stream()),
                TokenTree::Ident(first) => {
                    let mut segments = vec![first.to_string()];
                    while is_colon(tokens.get(index + 1)) && is_colon(tokens.get(index + 2)) {
                        let Some(TokenTree::Ident(next)) = tokens.get(index + 3) else {
                            break;
                        };
                        segments.push(next.to_string());
                        index += 3;
                    }
                    self.mention(first.span().start().line, segments, None);
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            index += 1;
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(item) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.module.push(item.ident.to_string());
        syn::visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let is_reexport = !matches!(item.vis, Visibility::Inherited);
        self.read_use(&item.tree, &[], is_reexport);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        let line = path.segments[0].ident.span().start().line;
        self.mention(line, segments, None);
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.read_tokens(call.tokens.clone());
    }

    /// `pub(super)` and `pub(in ...)` are no imports.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}

/// The crate's files by module, and where each name is defined.
pub(crate) struct Tree {
    pub(crate) files: BTreeMap<Module, SourceFile>,
    pub(crate) mentions: BTreeMap<Module, Vec<Mention>>,
    items: BTreeMap<Module, BTreeSet<String>>,
    /// Path of each imported name, as the file writes it.
    imports: BTreeMap<Module, BTreeMap<String, Vec<String>>>,
    globs: BTreeMap<Module, Vec<Vec<String>>>,
}

/// More re-exports of re-exports than any name has; ends the search in code that does not compile.
const MAX_STEPS: usize = 8;

impl Tree {
    pub(crate) fn new(files: Vec<SourceFile>) -> Self {
        let mut tree = Tree {
            files: BTreeMap::new(),
            mentions: BTreeMap::new(),
            items: BTreeMap::new(),
            imports: BTreeMap::new(),
            globs: BTreeMap::new(),
        };
        for file in files {
            let module = file.module.clone();
            let mentions = file.mentions();
            for mention in &mentions {
                let Some(imported) = &mention.imported else {
                    continue;
                };
                let segments = mention.segments.clone();
                if imported.name == "*" {
                    let globs = tree.globs.entry(module.clone()).or_default();
                    globs.push(segments);
                } else {
                    let imports = tree.imports.entry(module.clone()).or_default();
                    imports.insert(imported.name.clone(), segments);
                }
            }
            tree.mentions.insert(module.clone(), mentions);
            tree.items.insert(module.clone(), file.items());
            tree.files.insert(module, file);
        }
        tree
    }

    /// The module that defines what `segments` mean inside `module`; `None` outside the crate.
    ///
    /// A name that a module only imports or re-exports belongs to the module that defines it.
    pub(crate) fn definition(&self, module: &[String], segments: &[String]) -> Option<Module> {
        let path = self.absolute(module, segments, MAX_STEPS)?;
        self.resolve(&path, MAX_STEPS)
    }

    fn defines(&self, module: &[String], name: &str) -> bool {
        self.items
            .get(module)
            .is_some_and(|items| items.contains(name))
    }

    /// The path from the crate's root; `None` for other crates.
    fn absolute(&self, module: &[String], segments: &[String], steps: usize) -> Option<Module> {
        let (first, rest) = segments.split_first()?;
        match first.as_str() {
            "crate" | "pegel" => return Some(rest.to_vec()),
            "self" => return Some([module, rest].concat()),
            "super" => {
                let parent = &module[..module.len().checked_sub(1)?];
                if rest.first().is_some_and(|next| next == "super") {
                    return self.absolute(parent, rest, steps);
                }
                return Some([parent, rest].concat());
            }
            _ => {}
        }
        let path = [module, segments].concat();
        // A single word that is a child's name is a variable, not the child.
        let is_child = !rest.is_empty() && self.files.contains_key(&path[..=module.len()]);
        if is_child || self.defines(module, first) {
            return Some(path);
        }
        let imported = self.imports.get(module)?.get(first)?;
        let target = self.absolute(module, imported, steps.checked_sub(1)?)?;
        Some([&target, rest].concat())
    }

    /// Follows imports and re-exports from module to module.
    fn resolve(&self, path: &[String], steps: usize) -> Option<Module> {
        let depth = (0..=path.len())
            .rev()
            .find(|depth| self.files.contains_key(&path[..*depth]))?;
        let (module, rest) = path.split_at(depth);
        let Some((name, beyond)) = rest.split_first() else {
            return Some(module.to_vec());
        };
        if steps == 0 || self.defines(module, name) {
            return Some(module.to_vec());
        }
        if let Some(imported) = self.imports.get(module).and_then(|names| names.get(name)) {
            let target = self.absolute(module, imported, steps)?;
            return self.resolve(&[&target, beyond].concat(), steps - 1);
        }
        let from_glob = self
            .globs
            .get(module)
            .into_iter()
            .flatten()
            .find_map(|glob| {
                let target = self.absolute(module, glob, steps)?;
                let defined = self.resolve(&[&target, rest].concat(), steps - 1)?;
                self.defines(&defined, name).then_some(defined)
            });
        from_glob.or_else(|| Some(module.to_vec()))
    }
}

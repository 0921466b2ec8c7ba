//! The house style, as far as a machine can read it: how comments begin, how wide they are, and
//! which bindings name nothing.
//!
//! The rules protect a reader who has never seen this project: a clause without a head hides its
//! subject, and `found` hides its type. An exception needs a reason, and an exception that excuses
//! nothing fails. Rules on meaning (is the sentence plain, is the word in the glossary) stay with
//! the reviewer.

use syn::visit::Visit;
use syn::{Arm, Expr, FnArg, Pat, Token, Type};

use crate::source_tree::{assert_none, texts};

/// Words that begin a clause without a head.
const HEADLESS: &[&str] = &["what", "whether", "how", "which", "where", "who", "why"];

/// The shortest doc comment that can say something.
const MIN_DOC_CHARACTERS: usize = 12;

const MAX_COMMENT_COLUMNS: usize = 100;

/// Bindings that do not name their thing.
const BANNED_BINDINGS: &[&str] = &[
    "own", "found", "place", "said", "one", "other", "all", "pairs", "parts",
];

/// Doc comments that may begin as they do: how the failure begins, and why.
const ALLOWED_BEGINNINGS: &[(&str, &str)] = &[];

/// Doc comments that may be short: how the failure begins, and why.
const ALLOWED_SHORT_DOCS: &[(&str, &str)] = &[];

/// Comments that may be wide: how the failure begins, and why.
const ALLOWED_WIDE_COMMENTS: &[(&str, &str)] = &[];

/// Bindings that may stay: how the failure begins, and why.
const ALLOWED_BINDINGS: &[(&str, &str)] = &[];

/// A doc comment: its first line and its text, markers removed.
struct DocComment {
    line: usize,
    text: String,
}

/// Doc comments of `text`; lines of `///` or `//!` that follow each other are one comment.
fn doc_comments(text: &str) -> Vec<DocComment> {
    let mut comments: Vec<DocComment> = Vec::new();
    let mut previous = "";
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        let marker = match line.get(..3) {
            Some(marker @ ("///" | "//!")) if !line.starts_with("////") => marker,
            _ => "",
        };
        if !marker.is_empty() {
            let words = line[marker.len()..].trim();
            match comments.last_mut().filter(|_| previous == marker) {
                Some(comment) => {
                    comment.text.push('\n');
                    comment.text.push_str(words);
                }
                None => comments.push(DocComment {
                    line: index + 1,
                    text: words.to_owned(),
                }),
            }
        }
        previous = marker;
    }
    comments
}

/// Doc comments that begin with a clause without a head.
fn headless_docs(path: &str, text: &str) -> Vec<String> {
    doc_comments(text)
        .iter()
        .filter_map(|comment| {
            let first = comment
                .text
                .split(|character: char| !character.is_alphabetic())
                .next()?;
            HEADLESS
                .contains(&first.to_lowercase().as_str())
                .then(|| format!("{path}:{}: begins with {first:?}", comment.line))
        })
        .collect()
}

/// Doc comments too short to say more than the name they stand at.
fn short_docs(path: &str, text: &str) -> Vec<String> {
    doc_comments(text)
        .iter()
        .filter(|comment| comment.text.chars().count() < MIN_DOC_CHARACTERS)
        .map(|comment| format!("{path}:{}: only {:?}", comment.line, comment.text))
        .collect()
}

/// Comment lines that are wider than the limit, indentation included.
fn wide_comments(path: &str, text: &str) -> Vec<String> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| line.trim_start().starts_with("//"))
        .map(|(index, line)| (index + 1, line.chars().count()))
        .filter(|(_, columns)| *columns > MAX_COMMENT_COLUMNS)
        .map(|(line, columns)| format!("{path}:{line}: a comment of {columns} columns"))
        .collect()
}

/// Bindings with a banned name: `let`, `for`, parameters, and names in patterns.
fn banned_bindings(path: &str, text: &str) -> Vec<String> {
    let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut finder = BindingFinder {
        path,
        failures: Vec::new(),
    };
    finder.visit_file(&file);
    finder.failures
}

struct BindingFinder<'a> {
    path: &'a str,
    failures: Vec<String>,
}

impl<'ast> Visit<'ast> for BindingFinder<'_> {
    fn visit_pat_ident(&mut self, binding: &'ast syn::PatIdent) {
        let name = binding.ident.to_string();
        if BANNED_BINDINGS.contains(&name.as_str()) {
            let line = binding.ident.span().start().line;
            let path = self.path;
            self.failures
                .push(format!("{path}:{line}: `{name}` does not name its thing"));
        }
        syn::visit::visit_pat_ident(self, binding);
    }

    /// The second operand of `eq`, `cmp` or `merge` is `other: &Self` in every Rust crate.
    fn visit_fn_arg(&mut self, argument: &'ast FnArg) {
        match argument {
            FnArg::Typed(typed) if is_named_other(&typed.pat) && is_self(&typed.ty) => {}
            _ => syn::visit::visit_fn_arg(self, argument),
        }
    }

    /// `other => ...` is the usual last arm of a match.
    fn visit_arm(&mut self, arm: &'ast Arm) {
        if is_named_other(&arm.pat) {
            self.visit_expr(&arm.body);
        } else {
            syn::visit::visit_arm(self, arm);
        }
    }

    /// Arguments of macros such as `assert!` and `vec!`, which `syn` leaves as tokens.
    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let arguments = syn::punctuated::Punctuated::<Expr, Token![,]>::parse_terminated;
        if let Ok(arguments) = call.parse_body_with(arguments) {
            for argument in arguments {
                BindingFinder::visit_expr(self, &argument);
            }
        }
    }
}

fn is_named_other(pattern: &Pat) -> bool {
    matches!(pattern, Pat::Ident(binding) if binding.ident == "other" && binding.subpat.is_none())
}

fn is_self(kind: &Type) -> bool {
    match kind {
        Type::Reference(reference) => is_self(&reference.elem),
        Type::Path(path) => path.path.is_ident("Self"),
        _ => false,
    }
}

/// Failures of `rule` in all Rust files of `src` and `tests`.
fn failures(rule: fn(&str, &str) -> Vec<String>) -> Vec<String> {
    ["src", "tests"]
        .into_iter()
        .flat_map(texts)
        .flat_map(|(path, text)| rule(&path, &text))
        .collect()
}

#[test]
fn doc_comments_begin_with_their_subject() {
    assert_none(failures(headless_docs), ALLOWED_BEGINNINGS);
}

#[test]
fn doc_comments_say_something() {
    assert_none(failures(short_docs), ALLOWED_SHORT_DOCS);
}

#[test]
fn comments_wrap_at_the_limit() {
    assert_none(failures(wide_comments), ALLOWED_WIDE_COMMENTS);
}

#[test]
fn bindings_name_their_thing() {
    assert_none(failures(banned_bindings), ALLOWED_BINDINGS);
}

#[test]
fn a_clause_without_a_head_is_reported() {
    for (text, expected) in [
        ("/// What a rule judges.\nstruct Rule;", 1),
        ("//! How panes are added.\n", 1),
        ("    /// Who's next.\n    next: u8,", 1),
        ("/// The score.\n/// What it means.\nstruct Score;", 0),
        ("/// Whatever the kind, a count.\nstruct Count;", 0),
        ("// What a plain comment begins with is free.\n", 0),
        ("//// Which divider is this?\n", 0),
    ] {
        assert_eq!(headless_docs("x.rs", text).len(), expected, "{text}");
    }
}

#[test]
fn an_exception_excuses_only_failures_that_begin_like_it() {
    let reason = "the words of another project";
    assert_none(vec!["x.rs:1: wide".to_owned()], &[("x.rs", reason)]);
    for (failure, exception) in [("y.rs:1: wide", "x.rs"), ("x.rs:1: wide", "x.rs:2")] {
        let outcome = std::panic::catch_unwind(|| {
            assert_none(vec![failure.to_owned()], &[(exception, reason)]);
        });
        assert!(outcome.is_err(), "{failure} is not excused by {exception}");
    }
    let stale = std::panic::catch_unwind(|| assert_none(Vec::new(), &[("x.rs", reason)]));
    assert!(stale.is_err(), "an exception without a failure");
}

#[test]
fn each_field_has_a_doc_comment_of_its_own() {
    let text = "//! A module.\n/// A count of events.\na: u8,\n/// Which is it?\nb: u8,\n";
    assert_eq!(
        headless_docs("x.rs", text),
        ["x.rs:4: begins with \"Which\""]
    );
}

#[test]
fn a_doc_comment_that_says_nothing_is_reported() {
    assert_eq!(
        short_docs(
            "x.rs",
            "/// The name.\nname: u8,\n/// The name of the topic.\ntopic: u8,"
        ),
        ["x.rs:1: only \"The name.\""]
    );
    assert!(short_docs("x.rs", "/// The name:\n/// a word.\nname: u8,").is_empty());
}

#[test]
fn a_wide_comment_is_reported() {
    let at_limit = format!("    // {}", "x".repeat(MAX_COMMENT_COLUMNS - 7));
    assert!(wide_comments("x.rs", &at_limit).is_empty());
    assert_eq!(
        wide_comments("x.rs", &format!("fn f() {{}}\n{at_limit}x")),
        ["x.rs:2: a comment of 101 columns"]
    );
    for marker in ["///", "//!"] {
        let line = format!("{marker}{}", "x".repeat(MAX_COMMENT_COLUMNS));
        assert_eq!(wide_comments("x.rs", &line).len(), 1, "{marker}");
    }
    let code = format!("let x = \"{}\";", "x".repeat(MAX_COMMENT_COLUMNS));
    assert!(wide_comments("x.rs", &code).is_empty(), "only comments");
}

#[test]
fn a_banned_binding_is_reported_wherever_it_is_bound() {
    for text in [
        "fn f() { let found = 1; }",
        "fn f() { let (own, _) = g(); }",
        "fn f() { for one in g() {} }",
        "fn f(place: usize) {}",
        "fn f(other: &str) {}",
        "fn f() { g(|said| said); }",
        "fn f() { g(|(all, _)| all); }",
        "fn f() { if let Some(found) = g() {} }",
        "fn f() { match g() { Some(other) => {} _ => {} } }",
        "fn f() { assert!(g().iter().all(|one| one > 0)); }",
        "#[cfg(test)] mod tests { fn f() { let pairs = 1; } }",
        "impl A { fn f(&self, parts: u8) {} }",
    ] {
        assert_eq!(banned_bindings("x.rs", text).len(), 1, "{text}");
    }
}

#[test]
fn a_banned_word_that_binds_nothing_is_left_alone() {
    for text in [
        "fn f() { g().all(|partition| partition.found()); }",
        "fn f() { let founded = all(); }",
        "impl A { fn merge(&mut self, other: &Self) {} }",
        "fn f() { match g() { 1 => {} other => h(other) } }",
        "// let found = 1;\nfn f() { g(\"let own = 1;\"); }",
    ] {
        assert!(banned_bindings("x.rs", text).is_empty(), "{text}");
    }
}

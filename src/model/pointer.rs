//! Paths into a record.

/// A JSON Pointer (RFC 6901), split at its slashes and unescaped; empty = the whole record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// Parses a text such as `/a/b~1c`. Returns `None` for a text that is not empty and does not
    /// begin with a slash, and for a broken escape.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Pointer(Vec::new()));
        }
        let tokens = text
            .strip_prefix('/')?
            .split('/')
            .map(unescape)
            .collect::<Option<Vec<_>>>()?;
        Some(Pointer(tokens))
    }

    /// Returns the path of `name` below this path. The name may hold slashes.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        let mut tokens = self.0.clone();
        tokens.push(name.to_owned());
        Pointer(tokens)
    }

    /// Returns the path of a feature called `name` below this path: the slashes of a name lead into
    /// objects, so `user/age` is the key `age` of the object `user`.
    ///
    /// A slash in a key is written `~1`, as in every pointer. A name that is no pointer is one key.
    #[must_use]
    pub fn feature(&self, name: &str) -> Self {
        match Pointer::parse(&format!("/{name}")) {
            Some(Pointer(tokens)) => Pointer([self.0.as_slice(), &tokens].concat()),
            None => self.child(name),
        }
    }

    /// The name of a feature that is read from this path by default, see [`Pointer::feature`].
    #[must_use]
    pub fn feature_name(&self) -> String {
        self.to_string().trim_start_matches('/').to_owned()
    }

    /// True if this path leads into the value at `ancestor`.
    #[must_use]
    pub fn is_below(&self, ancestor: &Pointer) -> bool {
        self.0.len() > ancestor.0.len() && self.0.starts_with(&ancestor.0)
    }

    /// The unescaped keys from the record down to the value.
    #[must_use]
    pub fn tokens(&self) -> &[String] {
        &self.0
    }
}

impl std::fmt::Display for Pointer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0
            .iter()
            .try_for_each(|token| write!(f, "/{}", token.replace('~', "~0").replace('/', "~1")))
    }
}

fn unescape(token: &str) -> Option<String> {
    let is_broken = token
        .split('~')
        .skip(1)
        .any(|rest| !rest.starts_with(['0', '1']));
    (!is_broken).then(|| token.replace("~1", "/").replace("~0", "~"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_follow_rfc_6901() {
        let check = |text: &str, expected: Option<&[&str]>| {
            let pointer = Pointer::parse(text);
            let tokens = pointer.as_ref().map(Pointer::tokens);
            match (tokens, expected) {
                (Some(tokens), Some(expected)) => assert_eq!(tokens, expected, "{text:?}"),
                (tokens, expected) => {
                    assert_eq!(tokens.is_some(), expected.is_some(), "{text:?}")
                }
            }
        };
        check("", Some(&[]));
        check("/a/b", Some(&["a", "b"]));
        check("/a~1b/~01", Some(&["a/b", "~1"]));
        check("/", Some(&[""]));
        check("a", None);
        check("/a~2", None);
        check("/a~", None);
    }

    /// The nested column `user.age` of a file was fitted under a name that led nowhere in a record,
    /// so the feature was missing everywhere.
    #[test]
    fn the_name_of_a_feature_leads_to_its_path() {
        let root = Pointer::default().child("features");
        for (name, path) in [
            ("age", "/features/age"),
            ("user/age", "/features/user/age"),
            ("a~1b", "/features/a~1b"),
            ("a~b", "/features/a~0b"),
        ] {
            assert_eq!(root.feature(name).to_string(), path, "{name}");
        }
        for path in ["/age", "/user/age", "/a~1b/c"] {
            let name = Pointer::parse(path).unwrap().feature_name();
            assert_eq!(Pointer::default().feature(&name).to_string(), path);
        }
    }

    #[test]
    fn a_pointer_prints_as_it_is_written() {
        for text in ["/a/b", "/a~1b/~01", "/"] {
            let printed = Pointer::parse(text).map(|pointer| pointer.to_string());
            assert_eq!(printed.as_deref(), Some(text), "round trip of {text:?}");
        }
    }
}

//! Where in a record something is.

/// A JSON Pointer (RFC 6901), split at its slashes and unescaped; empty = the whole record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// Reads `/a/b~1c`; `None` when the text is neither empty nor begins with a slash, or holds a broken escape.
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

    /// A pointer to one name below this one; the name may hold slashes.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        let mut tokens = self.0.clone();
        tokens.push(name.to_owned());
        Pointer(tokens)
    }

    /// The names on the way down.
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
    let broken = token
        .split('~')
        .skip(1)
        .any(|rest| !rest.starts_with(['0', '1']));
    (!broken).then(|| token.replace("~1", "/").replace("~0", "~"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_follow_rfc_6901() {
        let check = |text: &str, expected: Option<&[&str]>| {
            let found = Pointer::parse(text);
            let tokens = found.as_ref().map(|pointer| {
                pointer
                    .tokens()
                    .iter()
                    .map(String::as_str)
                    .collect::<Vec<_>>()
            });
            assert_eq!(tokens.as_deref(), expected, "pointer {text:?}");
        };
        check("", Some(&[]));
        check("/a/b", Some(&["a", "b"]));
        check("/a~1b/~01", Some(&["a/b", "~1"]));
        check("/", Some(&[""]));
        check("a", None);
        check("/a~2", None);
        check("/a~", None);
    }

    #[test]
    fn a_pointer_prints_as_it_was_written() {
        for text in ["/a/b", "/a~1b/~01", "/"] {
            let printed = Pointer::parse(text).map(|pointer| pointer.to_string());
            assert_eq!(printed.as_deref(), Some(text), "round trip of {text:?}");
        }
    }
}

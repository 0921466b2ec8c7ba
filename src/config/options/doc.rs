//! The documentation of one option.

use crate::config::defaults::DefaultValue;

/// The documentation of one option.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OptionDoc {
    /// Path of the option: `[]` stands for an index, `*` for a name that the user chooses.
    pub path: &'static str,
    /// Type or accepted values, as Markdown.
    pub accepts: &'static str,
    /// Default value.
    pub default: DefaultValue,
    /// Meaning, as one or two sentences of Markdown.
    pub meaning: &'static str,
    /// Examples of wrong values with the error of each.
    pub errors: &'static [(&'static str, &'static str)],
}

impl OptionDoc {
    /// True if a running process takes over a changed value on reload; false if it needs a restart.
    #[must_use]
    pub fn is_reloadable(&self) -> bool {
        self.path.starts_with("monitors") || self.path == "defaults" || self.path == "version"
    }
}

/// Builds the documentation of an option.
pub(super) const fn option(
    path: &'static str,
    accepts: &'static str,
    default: DefaultValue,
    meaning: &'static str,
    errors: &'static [(&'static str, &'static str)],
) -> OptionDoc {
    OptionDoc {
        path,
        accepts,
        default,
        meaning,
        errors,
    }
}

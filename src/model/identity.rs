//! Names for what is counted that change whenever the counting does.
//!
//! Counts outlive the process and the configuration that made them, so they are not filed under a feature's name alone: two processes that bin, select or
//! time records differently must not add to each other. An id is a hash of everything that decides which value is counted where.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name([u8; 8]);

        impl $name {
            /// The id of these parts: the first 64 bits of SHA-256 over each part behind its length.
            #[must_use]
            pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
                $name(digest(parts))
            }

            /// The id as bytes, for making others from it.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 8] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", u64::from_be_bytes(self.0))
            }
        }
    };
}

id! {
    /// Which records are a monitor's events, and when they happened: its name, selection, timestamp and pane width.
    MonitorId
}

id! {
    /// How a feature is counted: its monitor, name, path and kind, and its bins and cells to the bit.
    LayoutId
}

fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 8] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hash.finalize()[..8]);
    first
}

/// Which of `count` places a name belongs to, the same in every process and version.
#[must_use]
pub fn place_of<'a>(parts: impl IntoIterator<Item = &'a [u8]>, count: u32) -> u32 {
    let number = u64::from_be_bytes(digest(parts)) % u64::from(count.max(1));
    u32::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_in_other_parts_are_another_id() {
        let id = |parts: &[&str]| LayoutId::of(parts.iter().map(|part| part.as_bytes()));
        assert_eq!(id(&["a", "bc"]), id(&["a", "bc"]), "the same parts");
        assert_ne!(id(&["a", "bc"]), id(&["ab", "c"]), "cut elsewhere");
    }

    #[test]
    fn a_place_does_not_depend_on_the_process() {
        // Computed once with Python's hashlib; a change would move every shard to another partition.
        assert_eq!(place_of([&b"fraud"[..]], 8), 5, "place of fraud in 8");
    }
}

//! Ids that change whenever the meaning of what is counted changes.
//!
//! Counts outlive the process and the configuration that made them, so a feature's name is not
//! enough to find them. Two processes that bin, select or time records differently must not add
//! their counts. An id is a hash of everything that decides which value is counted where.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name([u8; 8]);

        impl $name {
            /// Hashes a list of fields: the first 64 bits of SHA-256 over the length (`u64`, little
            /// endian) and the bytes of each field.
            #[must_use]
            pub fn of<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> Self {
                $name(digest(fields))
            }

            /// The bytes of the id, as a field of another id.
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
    /// The id of a monitor's events: its name, source, selection, timestamp and pane width.
    MonitorId
}

id! {
    /// The id of a feature's counts: its monitor, name, path and kind, and its bins and cells to
    /// the last bit.
    LayoutId
}

id! {
    /// The id of everything that the commits of an observer count: its monitors and layouts, in
    /// order.
    SchemaId
}

/// The first 64 bits of SHA-256 over each field, each behind its length.
fn digest<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> [u8; 8] {
    let mut hash = Sha256::new();
    for field in fields {
        hash.update((field.len() as u64).to_le_bytes());
        hash.update(field);
    }
    let mut prefix = [0; 8];
    prefix.copy_from_slice(&hash.finalize()[..8]);
    prefix
}

/// Assigns a key to one of `count` partitions, in `0..count`. The result is the same in every
/// process and version.
#[must_use]
pub fn bucket_of<'a>(key: impl IntoIterator<Item = &'a [u8]>, count: u32) -> u32 {
    let partition = u64::from_be_bytes(digest(key)) % u64::from(count.max(1));
    u32::try_from(partition).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_depends_on_where_fields_end() {
        let id = |fields: &[&str]| LayoutId::of(fields.iter().map(|field| field.as_bytes()));
        assert_eq!(id(&["a", "bc"]), id(&["a", "bc"]), "the same fields");
        assert_ne!(
            id(&["a", "bc"]),
            id(&["ab", "c"]),
            "the same bytes in other fields"
        );
    }

    #[test]
    fn a_key_has_the_same_partition_in_every_process() {
        // Computed once with Python's hashlib. A change would move every shard to another
        // partition.
        assert_eq!(bucket_of([&b"fraud"[..]], 8), 5, "fraud in 8 partitions");
    }
}

//! Source partitions as units of counting.

/// The id that a cluster gives a topic from its creation to its deletion. A topic that is
/// re-created under the same name has another id.
pub type TopicId = [u8; 16];

/// One partition of one source in one incarnation. A re-created topic makes new shards.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Shard {
    /// Name of the source.
    pub source: String,
    /// The cluster's id; empty if there is none.
    pub cluster: String,
    /// Topic, or file.
    pub topic: String,
    /// Number of the partition; 0 for a file.
    pub partition: i32,
    /// Goes up by one when the topic is re-created.
    pub incarnation: u32,
}

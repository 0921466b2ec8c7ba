//! Decides whether a partition without a position is new to its topic.
//!
//! `start: latest` means "from the first start on". A partition that was added after it holds only
//! newer records, so it starts at its oldest one, whichever process opens it. A partition that
//! existed at the first start, and that nobody has opened yet, starts as configured: several
//! ingesters that start a new source together open their shares one after the other.
//!
//! Offsets alone cannot tell the two apart, so each commit to the group carries the number of
//! partitions at the first start as its metadata. Without it, a partition without a position counts
//! as new as soon as anything of its topic was read.

/// The name of the number in the metadata of a commit.
const METADATA_KEY: &str = "first_partitions=";

/// The traces of earlier readers of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TopicHistory {
    /// Nothing of the topic was ever read.
    Unread,
    /// Something of the topic was read; `first_count` is the number of its partitions at the first
    /// start, if known.
    Read {
        /// The number of partitions at the first start.
        first_count: Option<i32>,
    },
}

impl TopicHistory {
    /// Joins the counts that the group's commits of a topic carry. One commit without a count makes
    /// it unknown, and of several counts the lowest one holds.
    pub(super) fn of_commits(counts: impl IntoIterator<Item = Option<i32>>) -> Self {
        counts
            .into_iter()
            .fold(TopicHistory::Unread, |history, count| match history {
                TopicHistory::Unread => TopicHistory::Read { first_count: count },
                TopicHistory::Read { first_count } => TopicHistory::Read {
                    first_count: first_count.zip(count).map(|(a, b)| a.min(b)),
                },
            })
    }

    /// True if a partition without a position was added after the first start.
    pub(super) fn is_new(self, partition: i32) -> bool {
        match self {
            TopicHistory::Unread => false,
            TopicHistory::Read { first_count } => {
                first_count.is_none_or(|count| partition >= count)
            }
        }
    }
}

/// The metadata of a commit; empty while the count is unknown.
pub(super) fn commit_metadata(first_count: Option<i32>) -> String {
    first_count.map_or_else(String::new, |count| format!("{METADATA_KEY}{count}"))
}

/// Reads the count from the metadata of a commit.
pub(super) fn first_count(metadata: &str) -> Option<i32> {
    metadata.strip_prefix(METADATA_KEY)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_new_to_a_topic_that_was_read_unless_it_existed_at_the_first_start() {
        let check = |counts: &[Option<i32>], partition: i32, expected: bool| {
            let history = TopicHistory::of_commits(counts.iter().copied());
            assert_eq!(
                history.is_new(partition),
                expected,
                "{partition} of {counts:?}"
            );
        };
        check(&[], 64, false);
        check(&[Some(64)], 63, false);
        check(&[Some(64)], 64, true);
        check(&[Some(96), Some(64)], 64, true);
        check(&[None], 63, true);
        check(&[Some(64), None], 63, true);
        check(&[None, Some(64)], 63, true);
    }

    #[test]
    fn the_count_survives_the_metadata_of_a_commit() {
        for count in [None, Some(1), Some(64)] {
            assert_eq!(first_count(&commit_metadata(count)), count, "{count:?}");
        }
        assert_eq!(first_count("a note of another program"), None);
    }
}

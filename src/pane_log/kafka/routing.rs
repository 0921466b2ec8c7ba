//! Routing: the partition of the log that holds the commits of a shard.

use crate::model::{PanesTopicSpec, Shard, bucket_of};

/// Returns the partition that holds a shard's commits, the same for all incarnations.
#[must_use]
pub fn partition_of(shard: &Shard, spec: &PanesTopicSpec) -> u32 {
    let partition = shard.partition.to_le_bytes();
    bucket_of(
        [
            shard.source.as_bytes(),
            shard.cluster.as_bytes(),
            shard.topic.as_bytes(),
            &partition,
        ],
        spec.commits(),
    )
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{self, spec};
    use super::*;

    fn shard(partition: i32, incarnation: u32) -> Shard {
        Shard {
            incarnation,
            ..fixtures::shard(partition)
        }
    }

    #[test]
    fn shards_are_spread_over_all_partitions_but_the_last() {
        let spec = spec(4);
        let partitions: Vec<u32> = (0..100)
            .map(|partition| partition_of(&shard(partition, 0), &spec))
            .collect();
        for partition in 0..3 {
            let shards = partitions
                .iter()
                .filter(|assigned| **assigned == partition)
                .count();
            assert!(shards > 15, "{shards} of 100 in {partition}");
        }
        assert!(
            !partitions.contains(&spec.snapshots()),
            "snapshots are apart"
        );
        let (first, second) = (shard(5, 0), shard(5, 3));
        let partition = partition_of(&first, &spec);
        assert_eq!(
            partition,
            partition_of(&second, &spec),
            "incarnations are together"
        );
    }

    #[test]
    fn a_log_of_one_partition_holds_commits_and_snapshots() {
        let spec = spec(1);
        let partitions = (partition_of(&shard(5, 0), &spec), spec.snapshots());
        assert_eq!(partitions, (0, 0), "commits and snapshots");
    }
}

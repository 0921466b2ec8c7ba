//! The topic and the claims that tests of several rooms use.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{PanesTopicSpec, Shard};
use crate::panes::Claim;

/// A panes topic without brokers.
pub(crate) fn spec(partitions: u32) -> PanesTopicSpec {
    PanesTopicSpec {
        topic: "panes".to_owned(),
        brokers: Vec::new(),
        partitions,
        snapshot_interval: Duration::from_secs(300),
        properties: BTreeMap::new(),
    }
}

/// A shard of the partition `partition`.
pub(crate) fn shard(partition: i32) -> Shard {
    Shard {
        source: "s".to_owned(),
        cluster: "c".to_owned(),
        topic: "t".to_owned(),
        partition,
        incarnation: 0,
    }
}

/// A claim of partition 0 that does not open its shard.
pub(crate) fn claim(base: i64, upto: i64) -> Claim {
    Claim {
        shard: Arc::new(shard(0)),
        topic_id: None,
        base,
        upto,
        opens: false,
        newest: Vec::new(),
    }
}

/// The same, and it opens its shard.
pub(crate) fn opening(base: i64, upto: i64) -> Claim {
    Claim {
        opens: true,
        ..claim(base, upto)
    }
}

//! The schemas that commits refer to by id, so that each is written once and not in every commit.
//!
//! The ids of 1,000 monitors with ten features take 88 KB, and the counts of a quiet second less. A
//! writer writes a schema whole where its readers may not know it: once per segment of a file, and
//! in a topic once a minute per partition, once the broker has acknowledged the last one. A reader
//! keeps the schemas it has read, and snapshots in a topic hold them. A commit whose schema is not
//! known is unreadable: that is counted and leaves a hole in coverage, and never counts anything
//! under wrong ids, because an id is a hash of the schema.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::model::SchemaId;
use crate::panes::CommitSchema;

/// The time after which an unused schema is dropped; a writer repeats its schema every minute.
const MAX_UNUSED: Duration = Duration::from_secs(3600);
/// Schemas whose id a writer remembers; it has one for each of its sources.
const MAX_CACHED: usize = 64;

/// The schemas that a reader has read.
#[derive(Debug, Default)]
pub struct SchemaTable {
    schemas: BTreeMap<SchemaId, KnownSchema>,
}

#[derive(Debug)]
struct KnownSchema {
    schema: Arc<CommitSchema>,
    /// True if it was used since the last snapshot.
    is_used: bool,
    /// The time of the last snapshot before which it was used.
    used_at: Option<Instant>,
}

impl SchemaTable {
    /// Adds schemas of a snapshot.
    pub fn extend(&mut self, schemas: impl IntoIterator<Item = Arc<CommitSchema>>) {
        for schema in schemas {
            self.add(schema);
        }
    }

    /// Adds a schema that a commit holds, and returns the equal one that is already there, if any:
    /// readers compare the schemas of commits by their address first.
    pub(super) fn add(&mut self, schema: Arc<CommitSchema>) -> Arc<CommitSchema> {
        if schema.monitors.is_empty() {
            return schema;
        }
        let known = self.schemas.entry(schema.id()).or_insert(KnownSchema {
            schema,
            is_used: true,
            used_at: None,
        });
        known.is_used = true;
        Arc::clone(&known.schema)
    }

    /// Returns a schema; `None` if it was not read.
    pub(super) fn get(&mut self, id: SchemaId) -> Option<Arc<CommitSchema>> {
        let known = self.schemas.get_mut(&id)?;
        known.is_used = true;
        Some(Arc::clone(&known.schema))
    }

    /// Returns the schemas for a snapshot at `now`, and drops those that were not used for an hour.
    pub fn save(&mut self, now: Instant) -> Vec<Arc<CommitSchema>> {
        self.schemas.retain(|_, known| {
            if std::mem::take(&mut known.is_used) {
                known.used_at = Some(now);
            }
            known
                .used_at
                .is_some_and(|used_at| now.saturating_duration_since(used_at) < MAX_UNUSED)
        });
        self.schemas
            .values()
            .map(|known| Arc::clone(&known.schema))
            .collect()
    }

    /// Returns the ids of the schemas.
    pub(super) fn ids(&self) -> impl Iterator<Item = SchemaId> {
        self.schemas.keys().copied()
    }
}

/// The ids of the schemas that a writer writes, which are expensive to compute.
#[derive(Debug, Default)]
pub(super) struct SchemaIds {
    latest: Vec<(Arc<CommitSchema>, SchemaId)>,
}

impl SchemaIds {
    /// Returns the id of a schema.
    pub(super) fn of(&mut self, schema: &Arc<CommitSchema>) -> SchemaId {
        let cached = self
            .latest
            .iter()
            .find(|(cached, _)| Arc::ptr_eq(cached, schema));
        if let Some((_, id)) = cached {
            return *id;
        }
        if self.latest.len() >= MAX_CACHED {
            self.latest.remove(0);
        }
        let id = schema.id();
        self.latest.push((Arc::clone(schema), id));
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LayoutId, MonitorId};
    use crate::panes::MonitorSchema;

    fn schema(name: &[u8]) -> Arc<CommitSchema> {
        Arc::new(CommitSchema {
            monitors: vec![MonitorSchema {
                id: MonitorId::of([name]),
                features: vec![LayoutId::of([name])],
            }],
        })
    }

    #[test]
    fn a_schema_is_kept_while_commits_refer_to_it() {
        let mut table = SchemaTable::default();
        table.extend([schema(b"a"), schema(b"b")]);
        let start = crate::clock::monotonic();
        for minutes in [0, 30, 59] {
            assert_eq!(table.get(schema(b"a").id()), Some(schema(b"a")), "used");
            let saved = table.save(start + Duration::from_secs(minutes * 60));
            assert_eq!(saved.len(), 2, "after {minutes} minutes");
        }
        let saved = table.save(start + Duration::from_secs(3600));
        assert_eq!(saved, [schema(b"a")], "the other one is not used any more");
        assert_eq!(table.get(schema(b"b").id()), None, "and is dropped");
    }

    #[test]
    fn an_id_depends_on_the_place_of_a_feature() {
        let (first, second) = (schema(b"a"), schema(b"b"));
        let joined = CommitSchema {
            monitors: [first.monitors.clone(), second.monitors.clone()].concat(),
        };
        let mut moved = joined.clone();
        let feature = moved.monitors[0].features.pop().unwrap();
        moved.monitors[1].features.insert(0, feature);
        assert_ne!(joined.id(), moved.id(), "counts refer to it by position");
        let mut ids = SchemaIds::default();
        assert_eq!(ids.of(&first), first.id(), "computed");
        assert_eq!(ids.of(&first), first.id(), "cached");
        assert_ne!(ids.of(&second), first.id(), "another schema");
    }
}

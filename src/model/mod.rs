//! The words all stages share.
//!
//! Plain data without behaviour of its own: time, values as they come out of a record, the reasons why a score is absent, and what a user asks a
//! monitor to do. A stage that needs one of these words takes it from here, so that no stage has to import another one for a name. This module
//! imports nothing else of pegel.

mod alert;
mod feature;
mod identity;
mod kafka;
mod name;
mod not_ready;
mod pointer;
mod record;
mod reference;
mod source;
mod spec;
mod time;

pub use alert::{AlertSpec, Budget, Thresholds, Tolerance};
pub use feature::{BinsSpec, FeatureSpec, HdrBins, Kind, Role};
pub use identity::{LayoutId, MonitorId, place_of};
pub use kafka::{KafkaReport, LogPartition, LogReport, Shard, TopicId, TopicReport};
pub use name::{Severity, Statistic};
pub use not_ready::NotReady;
pub use pointer::Pointer;
pub use record::{DropReason, InvalidReason, MissingKind, Slot, TextRange};
pub use reference::{Lookback, Origin, ReferenceSpec, Rolling};
pub use source::{KafkaSpec, PanesTopicSpec, SourceSpec, StartAt};
pub use spec::{Lateness, Literal, MonitorSpec, Select, TimestampSpec, WindowSpec};
pub use time::EventTime;

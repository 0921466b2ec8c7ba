//! The vocabulary that all stages share: plain data with typed names and no behaviour of its own.
//!
//! A stage that needs one of these types takes it from here, so that no stage imports another stage
//! for a name. Validated specifications (`*Spec`) hold the configuration, reports hold the state of
//! the readers, and small enums are the bounded values of metric labels. Defaults that more than
//! one room needs are constants of their types. This module imports nothing else of pegel.

mod alert;
mod alert_index;
pub mod duration;
mod event_time;
mod feature;
mod ids;
mod moment;
mod monitor;
mod named_enum;
mod not_ready;
mod pointer;
mod reference;
mod rejection;
mod report;
mod severity;
mod shard;
mod slot;
mod source;
mod statistic;
mod suggest;
mod timestamp;
mod window;

pub use alert::{AlertSpec, Budget, FalseAlarmScope, Thresholds, Tolerance};
pub use alert_index::AlertIndex;
pub use event_time::EventTime;
pub use feature::{BinsSpec, FeatureSpec, HdrBins, Kind, Role};
pub use ids::{LayoutId, MonitorId, SchemaId, bucket_of};
pub use moment::Moment;
pub use monitor::{BinExport, Lateness, Literal, MonitorSpec, Select, VolumeSpec, pane_width};
pub use not_ready::NotReady;
pub use pointer::Pointer;
pub use reference::{Lookback, Origin, ReferenceSpec, Rolling};
pub use rejection::{DropReason, InvalidReason, MissingKind};
pub use report::{KafkaReport, LogPartition, LogReport, SnapshotCounts, TopicReport};
pub use severity::Severity;
pub use shard::{Shard, TopicId};
pub use slot::{NESTED, Slot, TextRange};
pub use source::{KafkaSpec, PanesTopicSpec, SourceSpec, StartAt};
pub use statistic::Statistic;
pub use suggest::{nearest, suggest};
pub use timestamp::{TimestampFormat, TimestampSpec, Zone};
pub use window::WindowSpec;

//! Faults that are injected into good data: common errors, value by value, before counting.
//!
//! Values change after decoding, so faulty data passes through the same counting, scoring and alert
//! code as a live stream. The affected values depend only on a seed and the order of the records.

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::decode::{Fields, Reading, TimeField, number};
use crate::engine::FeaturePlan;
use crate::ingest::RecordTransform;
use crate::model::{EventTime, Kind, Slot, TextRange};
use crate::observe::ObserverPlan;

/// Arbitrary seed, fixed so that every run injects the same faults.
const SEED: u64 = 20_261_101;
/// A category that no reference has.
const UNSEEN: &str = "\u{1}unseen";
/// A price with its currency, which is not a number.
const TEXT: &str = "EUR 12.3";

/// A fault in one feature.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    /// Adds this many standard deviations of the reference to every number.
    Shift(f64),
    /// Multiplies every number, as a wrong unit does.
    Factor(f64),
    /// Replaces this share of the values, 0 to 1, with null.
    Nulls(f64),
    /// Replaces every number with a text, as a changed format does.
    BecomesText,
    /// Replaces this share of the categories, 0 to 1, with one that the reference lacks.
    Unseen(f64),
}

impl Fault {
    /// All injected faults, by type and from small to large.
    pub(crate) const ALL: [Fault; 13] = [
        Fault::Shift(0.1),
        Fault::Shift(0.3),
        Fault::Shift(0.5),
        Fault::Shift(1.0),
        Fault::Factor(10.0),
        Fault::Factor(1e3),
        Fault::Factor(1e-3),
        Fault::Nulls(0.01),
        Fault::Nulls(0.05),
        Fault::Nulls(0.2),
        Fault::BecomesText,
        Fault::Unseen(0.05),
        Fault::Unseen(0.2),
    ];

    /// Returns the name used in JSON and tables.
    #[must_use]
    pub(crate) fn name(self) -> String {
        match self {
            Fault::Shift(std) => format!("shift {std} std"),
            Fault::Factor(factor) if factor < 1.0 => format!("/{}", factor.recip().round()),
            Fault::Factor(factor) => format!("x{factor}"),
            Fault::Nulls(share) => format!("{}% nulls", share * 100.0),
            Fault::BecomesText => "becomes text".to_owned(),
            Fault::Unseen(share) => format!("{}% unseen", share * 100.0),
        }
    }

    /// Reports whether a feature of this kind can have the fault.
    #[must_use]
    pub(crate) const fn applies_to(self, kind: Kind) -> bool {
        match self {
            Fault::Shift(_) | Fault::Factor(_) | Fault::BecomesText => {
                matches!(kind, Kind::Numeric)
            }
            Fault::Nulls(_) => true,
            Fault::Unseen(_) => matches!(kind, Kind::Categorical),
        }
    }
}

/// The part of the history into which faults are injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FaultInterval {
    /// Records before this time are left out, as no counted window needs them;
    /// [`EventTime::MIN`] keeps all of them.
    pub(crate) from: EventTime,
    /// Values change from this time on.
    pub(crate) onset: EventTime,
    /// End of the replay, excluded.
    pub(crate) until: EventTime,
}

impl FaultInterval {
    /// Time from the onset to the end: the longest time to an alarm that counts as detection.
    #[must_use]
    pub(crate) fn length(&self) -> Duration {
        self.until.since(self.onset)
    }
}

/// Restricts a replay to the fault interval and injects one fault into all features it applies to.
#[derive(Debug)]
pub(crate) struct FaultInjector {
    /// The injected fault; `None` for the control replay.
    fault: Option<Fault>,
    interval: FaultInterval,
    /// Field of the event time.
    timestamp: Option<TimeField>,
    /// Records without an event time use the source's.
    uses_source_time: bool,
    targets: Vec<Target>,
    random: ChaCha8Rng,
    slots: Vec<Slot>,
    scratch: String,
}

/// A slot of the record whose value changes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Target {
    slot: usize,
    /// Standard deviation of the reference; 1 without a reference.
    std: f64,
}

/// The texts of faulty values in a record.
#[derive(Debug, Clone, Copy)]
struct InjectedTexts {
    /// The unseen category.
    unseen: TextRange,
    /// The text in place of a number.
    text: TextRange,
}

impl FaultInjector {
    /// Creates an injector for the features that `observed` reads, in the order of `features`.
    ///
    /// The slots of the event time and of `select` never change, even if a feature shares them.
    #[must_use]
    pub(crate) fn new(
        fault: Option<Fault>,
        interval: FaultInterval,
        observed: &ObserverPlan,
        features: &[FeaturePlan],
    ) -> Self {
        let monitor = observed.monitors.first();
        let timestamp = monitor.and_then(|monitor| monitor.timestamp.clone());
        let time_slot = timestamp.as_ref().map(|field| field.slot);
        let select = monitor.and_then(|monitor| Some(monitor.select.as_ref()?.0));
        let mut targets: Vec<Target> = Vec::new();
        for (observed, feature) in monitor
            .into_iter()
            .flat_map(|monitor| &monitor.features)
            .zip(features)
        {
            let slot = observed.slot;
            let is_taken = targets.iter().any(|target| target.slot == slot);
            if !is_taken && Some(slot) != time_slot && Some(slot) != select {
                let std = reference_std(feature);
                targets.push(Target { slot, std });
            }
        }
        FaultInjector {
            fault,
            interval,
            timestamp,
            uses_source_time: monitor.is_some_and(|monitor| monitor.fallback),
            targets,
            random: ChaCha8Rng::seed_from_u64(SEED),
            slots: Vec::new(),
            scratch: String::new(),
        }
    }

    fn event_time(&self, fields: Fields<'_>, source_time: Option<EventTime>) -> Option<EventTime> {
        match self.timestamp.as_ref().map(|field| field.read(fields)) {
            Some(Reading::Value(time)) => Some(time),
            Some(Reading::Invalid(_)) => None,
            Some(Reading::Missing(_)) | None => source_time.filter(|_| self.uses_source_time),
        }
    }

    /// Returns the value of a slot with the fault.
    fn faulty(&mut self, fault: Fault, slot: Slot, std: f64, texts: InjectedTexts) -> Slot {
        let is_present = !matches!(slot, Slot::Absent | Slot::Null);
        match fault {
            Fault::Shift(by) => self.with_number(slot, |x| x + by * std),
            Fault::Factor(factor) => self.with_number(slot, |x| x * factor),
            Fault::Nulls(share) if self.random.random_bool(share) => Slot::Null,
            Fault::Unseen(share) if self.random.random_bool(share) && is_present => {
                Slot::Text(texts.unseen)
            }
            Fault::BecomesText if is_present => Slot::Text(texts.text),
            Fault::Nulls(_) | Fault::BecomesText | Fault::Unseen(_) => slot,
        }
    }

    /// Applies `change` to a readable number and keeps any other value.
    fn with_number(&self, slot: Slot, change: impl FnOnce(f64) -> f64) -> Slot {
        match number(slot, &self.scratch) {
            Reading::Value(x) => Slot::Number(change(x), TextRange { start: 0, end: 0 }),
            Reading::Missing(_) | Reading::Invalid(_) => slot,
        }
    }

    /// Appends the texts of faulty values to those of the record.
    fn push_texts(&mut self) -> InjectedTexts {
        InjectedTexts {
            unseen: self.push(UNSEEN),
            text: self.push(TEXT),
        }
    }

    fn push(&mut self, text: &str) -> TextRange {
        let start = u32::try_from(self.scratch.len()).unwrap_or_default();
        self.scratch.push_str(text);
        TextRange {
            start,
            end: u32::try_from(self.scratch.len()).unwrap_or_default(),
        }
    }
}

impl RecordTransform for FaultInjector {
    fn apply<'a>(
        &'a mut self,
        fields: Fields<'a>,
        source_time: Option<EventTime>,
    ) -> Option<Fields<'a>> {
        let time = self.event_time(fields, source_time)?;
        if time < self.interval.from || time >= self.interval.until {
            return None;
        }
        let Some(fault) = self.fault.filter(|_| time >= self.interval.onset) else {
            return Some(fields);
        };
        fields.slots.clone_into(&mut self.slots);
        fields.scratch.clone_into(&mut self.scratch);
        let texts = self.push_texts();
        for index in 0..self.targets.len() {
            let Target { slot, std } = self.targets[index];
            self.slots[slot] = self.faulty(fault, self.slots[slot], std, texts);
        }
        Some(Fields {
            slots: &self.slots,
            scratch: &self.scratch,
        })
    }
}

/// Standard deviation of a feature's first reference; 1 without a reference.
fn reference_std(feature: &FeaturePlan) -> f64 {
    let scorer = feature.scorers().next();
    scorer.map_or(1.0, |scorer| scorer.reference().unit_std())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{TimestampFormat, TimestampSpec};

    const INTERVAL: FaultInterval = FaultInterval {
        from: EventTime::from_millis(500),
        onset: EventTime::from_millis(1000),
        until: EventTime::from_millis(2000),
    };

    /// Returns the number and the category of a record after injection; `None` if it is left out.
    fn inject(fault: Fault, x: f64, time: i64) -> Option<(Slot, String)> {
        let no_text = TextRange { start: 0, end: 0 };
        let mut injector = FaultInjector {
            fault: Some(fault),
            interval: INTERVAL,
            timestamp: Some(TimeField::new(
                2,
                &TimestampSpec {
                    format: TimestampFormat::EpochMs,
                    ..TimestampSpec::default()
                },
            )),
            uses_source_time: false,
            targets: [0, 1].map(|slot| Target { slot, std: 4.0 }).to_vec(),
            random: ChaCha8Rng::seed_from_u64(SEED),
            slots: Vec::new(),
            scratch: String::new(),
        };
        let slots = [
            Slot::Number(x, no_text),
            Slot::Text(TextRange { start: 0, end: 2 }),
            Slot::Number(time as f64, no_text),
        ];
        let fields = Fields {
            slots: &slots,
            scratch: "de",
        };
        let faulty = injector.apply(fields, None)?;
        let category = match faulty.slots[1] {
            Slot::Text(text) => text.of(faulty.scratch).to_owned(),
            other => format!("{other:?}"),
        };
        Some((faulty.slots[0], category))
    }

    fn check(fault: Fault, x: Slot, category: &str) {
        let faulty = inject(fault, 3.0, 1000);
        assert_eq!(faulty, Some((x, category.to_owned())), "{fault:?}");
    }

    #[test]
    fn shifts_and_factors_change_numbers_and_keep_texts() {
        let number = |x| Slot::Number(x, TextRange { start: 0, end: 0 });
        check(Fault::Shift(0.5), number(5.0), "de");
        check(Fault::Factor(10.0), number(30.0), "de");
    }

    #[test]
    fn values_are_nulled_or_replaced() {
        check(Fault::Nulls(1.0), Slot::Null, "Null");
        let (_, category) = inject(Fault::Unseen(1.0), 3.0, 1000).unwrap();
        assert_eq!(category, UNSEEN, "a category without a bin");
        let (number, _) = inject(Fault::BecomesText, 3.0, 1000).unwrap();
        let is_text = matches!(number, Slot::Text(_));
        assert!(is_text, "a number that becomes text: {number:?}");
    }

    #[test]
    fn values_before_the_onset_stay_and_records_outside_the_interval_are_left_out() {
        let before = Slot::Number(3.0, TextRange { start: 0, end: 0 });
        let check = |time: i64, expected: Option<(Slot, String)>| {
            assert_eq!(inject(Fault::Factor(10.0), 3.0, time), expected, "{time}");
        };
        check(499, None);
        check(999, Some((before, "de".to_owned())));
        check(2000, None);
    }

    #[test]
    fn names_describe_the_fault() {
        let names = Fault::ALL.map(Fault::name);
        let expected = [
            "shift 0.1 std",
            "shift 0.3 std",
            "shift 0.5 std",
            "shift 1 std",
            "x10",
            "x1000",
            "/1000",
            "1% nulls",
            "5% nulls",
            "20% nulls",
            "becomes text",
            "5% unseen",
            "20% unseen",
        ];
        assert_eq!(names, expected, "names");
    }
}

//! Damage that is done to good data: what people break, value by value, before it is counted.
//!
//! Values are changed after decoding, so that a damaged stream goes through the very counting, scoring and judging that a real one goes through. Which values are
//! hit follows from a seed and the order of the records alone.

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::decode::{Fields, Reading, number, timestamp};
use crate::engine::FeaturePlan;
use crate::ingest::RecordTransform;
use crate::model::{EventTime, Kind, Slot, TextRange};
use crate::observe::ObserverPlan;

/// Any number: damage is the same on every run.
const SEED: u64 = 20_261_101;
/// A category that no reference holds.
const UNSEEN: &str = "\u{1}unseen";

/// One way to break a feature.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Damage {
    /// Every number moves by so many standard deviations of the reference.
    Shift(f64),
    /// Every number is multiplied: a mistaken unit.
    Factor(f64),
    /// This share of values becomes null.
    Nulls(f64),
    /// This share of values becomes a category the reference never saw.
    Unseen(f64),
}

impl Damage {
    /// Everything that is tried, by kind and from small to large.
    pub(crate) const ALL: [Damage; 12] = [
        Damage::Shift(0.1),
        Damage::Shift(0.3),
        Damage::Shift(0.5),
        Damage::Shift(1.0),
        Damage::Factor(10.0),
        Damage::Factor(1e3),
        Damage::Factor(1e-3),
        Damage::Nulls(0.01),
        Damage::Nulls(0.05),
        Damage::Nulls(0.2),
        Damage::Unseen(0.05),
        Damage::Unseen(0.2),
    ];

    /// For people and JSON.
    #[must_use]
    pub(crate) fn name(self) -> String {
        match self {
            Damage::Shift(std) => format!("shift {std} std"),
            Damage::Factor(factor) if factor < 1.0 => format!("/{}", factor.recip().round()),
            Damage::Factor(factor) => format!("x{factor}"),
            Damage::Nulls(share) => format!("{}% nulls", share * 100.0),
            Damage::Unseen(share) => format!("{}% unseen", share * 100.0),
        }
    }

    /// Whether features of this kind can be broken this way.
    #[must_use]
    pub(crate) const fn can_hit(self, kind: Kind) -> bool {
        match self {
            Damage::Shift(_) | Damage::Factor(_) => matches!(kind, Kind::Numeric),
            Damage::Nulls(_) => true,
            Damage::Unseen(_) => matches!(kind, Kind::Categorical),
        }
    }
}

/// The part of the history in which damage is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stage {
    /// What came before is left out: it is in no window that matters. `EventTime::MIN` = all of it is needed.
    pub(crate) from: EventTime,
    /// From here on values are damaged.
    pub(crate) onset: EventTime,
    /// Here the looking ends.
    pub(crate) until: EventTime,
}

impl Stage {
    /// How long damage is looked for.
    #[must_use]
    pub(crate) fn length(&self) -> Duration {
        self.until.since(self.onset)
    }
}

/// Plays the part of the history that is on stage, and damages the features of a monitor.
#[derive(Debug)]
pub(crate) struct Injector {
    /// `None` = nothing is damaged, for comparison.
    damage: Option<Damage>,
    stage: Stage,
    timestamp: Option<usize>,
    takes_source_time: bool,
    targets: Vec<Target>,
    random: ChaCha8Rng,
    slots: Vec<Slot>,
    scratch: String,
}

/// A place in a record that is damaged.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Target {
    slot: usize,
    /// Standard deviation of the reference; 1 where it has none.
    std: f64,
}

impl Injector {
    /// Damages what `observed` looks for, in the order of `features`; what a record is selected or dated by stays as it is.
    #[must_use]
    pub(crate) fn new(
        damage: Option<Damage>,
        stage: Stage,
        observed: &ObserverPlan,
        features: &[FeaturePlan],
    ) -> Self {
        let monitor = observed.monitors.first();
        let timestamp = monitor.and_then(|monitor| monitor.timestamp);
        let select = monitor.and_then(|monitor| Some(monitor.select.as_ref()?.0));
        let slots = monitor.into_iter().flat_map(|monitor| &monitor.features);
        let mut targets: Vec<Target> = Vec::new();
        for (place, feature) in slots.zip(features) {
            let slot = place.slot;
            let is_taken = targets.iter().any(|target| target.slot == slot);
            if !is_taken && Some(slot) != timestamp && Some(slot) != select {
                let std = std_of(feature);
                targets.push(Target { slot, std });
            }
        }
        Injector {
            damage,
            stage,
            timestamp,
            takes_source_time: monitor.is_some_and(|monitor| monitor.fallback),
            targets,
            random: ChaCha8Rng::seed_from_u64(SEED),
            slots: Vec::new(),
            scratch: String::new(),
        }
    }

    fn time_of(&self, fields: Fields<'_>, source_time: Option<EventTime>) -> Option<EventTime> {
        let slot = self.timestamp.map(|slot| fields.slots[slot]);
        let own = slot.and_then(|slot| timestamp(slot, fields.scratch));
        own.or(source_time.filter(|_| self.takes_source_time))
    }

    fn damaged(&mut self, damage: Damage, slot: Slot, std: f64, unseen: TextRange) -> Slot {
        let renumbered = |change: &dyn Fn(f64) -> f64| match number(slot, &self.scratch) {
            Reading::Value(x) => Slot::Number(change(x), TextRange { start: 0, end: 0 }),
            Reading::Missing(_) | Reading::Invalid(_) => slot,
        };
        let is_there = !matches!(slot, Slot::Absent | Slot::Null);
        match damage {
            Damage::Shift(by) => renumbered(&|x| x + by * std),
            Damage::Factor(factor) => renumbered(&|x| x * factor),
            Damage::Nulls(share) if self.random.random_bool(share) => Slot::Null,
            Damage::Unseen(share) if self.random.random_bool(share) && is_there => {
                Slot::Text(unseen)
            }
            Damage::Nulls(_) | Damage::Unseen(_) => slot,
        }
    }

    /// Appends the unseen category to the record's texts.
    fn keep_unseen(&mut self) -> TextRange {
        let end = |text: &str| u32::try_from(text.len()).unwrap_or_default();
        let start = end(&self.scratch);
        self.scratch.push_str(UNSEEN);
        TextRange {
            start,
            end: end(&self.scratch),
        }
    }
}

impl RecordTransform for Injector {
    fn alter<'a>(
        &'a mut self,
        fields: Fields<'a>,
        source_time: Option<EventTime>,
    ) -> Option<Fields<'a>> {
        let time = self.time_of(fields, source_time)?;
        let is_on_stage = time >= self.stage.from && time < self.stage.until;
        let due = self.damage.filter(|_| time >= self.stage.onset);
        let Some(damage) = due.filter(|_| is_on_stage) else {
            return is_on_stage.then_some(fields);
        };
        fields.slots.clone_into(&mut self.slots);
        fields.scratch.clone_into(&mut self.scratch);
        let unseen = self.keep_unseen();
        for place in 0..self.targets.len() {
            let Target { slot, std } = self.targets[place];
            self.slots[slot] = self.damaged(damage, self.slots[slot], std, unseen);
        }
        Some(Fields {
            slots: &self.slots,
            scratch: &self.scratch,
        })
    }
}

fn std_of(feature: &FeaturePlan) -> f64 {
    let scorer = feature.scorers.iter().flatten().next();
    scorer.map_or(1.0, |scorer| scorer.reference().unit_std())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGE: Stage = Stage {
        from: EventTime::from_millis(500),
        onset: EventTime::from_millis(1000),
        until: EventTime::from_millis(2000),
    };

    /// `x` and `c` of a record, as they are counted.
    fn damaged(damage: Damage, x: f64, time: i64) -> Option<(Slot, String)> {
        let no_text = TextRange { start: 0, end: 0 };
        let mut injector = Injector {
            damage: Some(damage),
            stage: STAGE,
            timestamp: Some(2),
            takes_source_time: false,
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
        let found = injector.alter(fields, None)?;
        let category = match found.slots[1] {
            Slot::Text(text) => text.of(found.scratch).to_owned(),
            other => format!("{other:?}"),
        };
        Some((found.slots[0], category))
    }

    fn check(damage: Damage, x: Slot, category: &str) {
        let found = damaged(damage, 3.0, 1000);
        assert_eq!(found, Some((x, category.to_owned())), "{damage:?}");
    }

    #[test]
    fn numbers_are_moved_and_multiplied_and_texts_left_alone() {
        let number = |x| Slot::Number(x, TextRange { start: 0, end: 0 });
        check(Damage::Shift(0.5), number(5.0), "de");
        check(Damage::Factor(10.0), number(30.0), "de");
    }

    #[test]
    fn values_are_nulled_or_replaced() {
        check(Damage::Nulls(1.0), Slot::Null, "Null");
        let found = damaged(Damage::Unseen(1.0), 3.0, 1000).unwrap();
        assert_eq!(found.1, UNSEEN, "a category nobody has");
    }

    #[test]
    fn what_came_before_the_onset_stays_and_what_is_off_stage_is_left_out() {
        let before = Slot::Number(3.0, TextRange { start: 0, end: 0 });
        let check = |time: i64, expected: Option<(Slot, String)>| {
            assert_eq!(damaged(Damage::Factor(10.0), 3.0, time), expected, "{time}");
        };
        check(499, None);
        check(999, Some((before, "de".to_owned())));
        check(2000, None);
    }

    #[test]
    fn names_say_what_was_done() {
        let names = Damage::ALL.map(Damage::name);
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
            "5% unseen",
            "20% unseen",
        ];
        assert_eq!(names, expected, "names");
    }
}

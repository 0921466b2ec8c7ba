//! The values of one column by type, from which its kind is inferred.
//!
//! Only the values of a column that may still be an identifier are kept: of any other, the number
//! of different values is known to be small or does not matter.

use rustc_hash::FxHashSet;

use crate::decode::{Reading, TimeReader, boolean, category, number};
use crate::model::{EventTime, Kind, Slot, TimestampFormat};

/// Largest number of distinct texts that are kept; a column with more is an identifier.
const MAX_DISTINCT: usize = 100_000;
/// Largest number of distinct numbers for which the fit gives each number a bin of its own.
const MAX_DISCRETE: usize = 20;
/// The years 2000 to 2050, in which a number since 1970 is taken for a time.
const CLOCK: std::ops::Range<EventTime> =
    EventTime::from_millis(946_684_800_000)..EventTime::from_millis(2_524_608_000_000);

/// The kind of a column, or the reason why it is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Kind of the values; `None` if the column is left out.
    pub(super) kind: Option<Kind>,
    /// Form of the times of a column that holds nothing else.
    pub(super) times: Option<TimestampFormat>,
    /// Reason in a few words.
    pub(super) reason: String,
}

impl Verdict {
    fn of(kind: Kind, reason: impl Into<String>) -> Self {
        Verdict {
            kind: Some(kind),
            times: None,
            reason: reason.into(),
        }
    }

    pub(super) fn left_out(reason: &str) -> Self {
        Verdict {
            kind: None,
            times: None,
            reason: reason.to_owned(),
        }
    }

    fn clock(format: TimestampFormat) -> Self {
        Verdict {
            kind: None,
            times: Some(format),
            reason: format!("times ({format})"),
        }
    }
}

/// Counts of the values of one column by type.
#[derive(Debug, Default)]
pub(super) struct ColumnProfile {
    values: u64,
    numbers: u64,
    whole_numbers: u64,
    booleans: u64,
    /// Texts with a date and a time, and numbers that are times of the years of [`CLOCK`].
    times: u64,
    /// Form of the first time.
    format: Option<TimestampFormat>,
    has_leading_zeros: bool,
    /// Bits of different numbers, as long as it matters how many there are.
    distinct_numbers: FxHashSet<u64>,
    /// True if there are more than [`MAX_DISCRETE`] different numbers, and not all are different
    /// whole ones: then they are kept no longer.
    are_numbers_many: bool,
    has_repeated_number: bool,
    /// Different texts, at most [`MAX_DISTINCT`] + 1; numbers too once the column has a text.
    distinct_texts: FxHashSet<String>,
    /// Values that were looked up in `distinct_texts`.
    texts: u64,
}

impl ColumnProfile {
    /// Counts the value of one row; a missing value is not counted.
    pub(super) fn record(&mut self, slot: Slot, scratch: &str, times: &TimeReader) {
        let reading = number(slot, scratch);
        if matches!(reading, Reading::Missing(_)) {
            return;
        }
        self.values += 1;
        self.booleans += u64::from(matches!(boolean(slot, scratch), Reading::Value(_)));
        let is_number = match reading {
            Reading::Value(x) => {
                self.record_number(x);
                true
            }
            _ => false,
        };
        if let Reading::Value((time, format)) = times.find(slot, scratch)
            && (format.is_text() || CLOCK.contains(&time))
        {
            self.times += 1;
            self.format.get_or_insert(format);
        }
        self.has_leading_zeros |= is_number && has_leading_zero(slot, scratch);
        if !is_number || self.texts > 0 {
            self.record_text(slot, scratch);
        }
    }

    fn record_number(&mut self, x: f64) {
        self.numbers += 1;
        self.whole_numbers += u64::from(x.fract().abs() <= 0.0);
        if self.are_numbers_many || self.distinct_numbers.len() > MAX_DISTINCT {
            return;
        }
        // Adding zero turns -0 into 0.
        self.has_repeated_number |= !self.distinct_numbers.insert((x + 0.0).to_bits());
        let may_be_identifier = !self.has_repeated_number && self.whole_numbers == self.numbers;
        if self.distinct_numbers.len() > MAX_DISCRETE && !may_be_identifier {
            self.are_numbers_many = true;
            self.distinct_numbers = FxHashSet::default();
        }
    }

    fn record_text(&mut self, slot: Slot, scratch: &str) {
        self.texts += 1;
        let mut buffer = String::new();
        if self.distinct_texts.len() <= MAX_DISTINCT
            && let Reading::Value(name) = category(slot, scratch, &mut buffer)
            && !self.distinct_texts.contains(name)
        {
            self.distinct_texts.insert(name.to_owned());
        }
    }

    /// Returns the kind of the column, or the reason why it is left out.
    pub(super) fn verdict(&self) -> Verdict {
        if self.values == 0 {
            Verdict::left_out("no values")
        } else if self.booleans == self.values {
            Verdict::of(Kind::Boolean, "true or false")
        } else if let Some(format) = self.format
            && self.times == self.values
        {
            Verdict::clock(format)
        } else if self.numbers == self.values {
            self.verdict_on_numbers()
        } else {
            self.verdict_on_texts()
        }
    }

    fn verdict_on_numbers(&self) -> Verdict {
        let distinct = self.distinct_numbers.len();
        let are_all_different = !self.are_numbers_many
            && !self.has_repeated_number
            && self.whole_numbers == self.values;
        if self.has_leading_zeros && !(are_all_different && distinct > MAX_DISCRETE) {
            Verdict::of(Kind::Categorical, "codes with leading zeros")
        } else if !self.are_numbers_many && distinct <= MAX_DISCRETE {
            Verdict::of(Kind::Numeric, format!("{distinct} distinct numbers"))
        } else if are_all_different {
            Verdict::left_out("an identifier: every number is different")
        } else {
            Verdict::of(Kind::Numeric, "numbers")
        }
    }

    fn verdict_on_texts(&self) -> Verdict {
        let distinct = self.distinct_texts.len();
        let are_texts_different = distinct > MAX_DISTINCT || distinct as u64 == self.texts;
        let are_numbers_different = !self.are_numbers_many && !self.has_repeated_number;
        if self.values > 1 && are_texts_different && are_numbers_different {
            Verdict::left_out("an identifier: every text is different")
        } else if self.numbers > 0 {
            Verdict::of(
                Kind::Categorical,
                format!("text and {} numbers", self.numbers),
            )
        } else {
            Verdict::of(Kind::Categorical, format!("{distinct} different texts"))
        }
    }
}

/// True for digits that no number begins with, such as `04750`.
fn has_leading_zero(slot: Slot, scratch: &str) -> bool {
    let Slot::Cell(text) = slot else {
        return false;
    };
    let text = text.of(scratch).trim();
    text.len() > 1 && text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit())
}

//! The values of one column by type, from which its kind is inferred.
//!
//! A column of a large file must cost little memory, so what is kept of its values is bounded: a
//! sample of its numbers, its texts up to the number that categories can have, and a few examples.

use super::dates::begins_with_date;
use super::distinct_numbers::DistinctNumbers;
use super::distinct_texts::DistinctTexts;
use crate::decode::{Reading, TimeReader, boolean, category, is_number_with_comma, number};
use crate::model::{EventTime, Kind, NESTED, Slot, TextRange, TimestampFormat};

/// Percentage of the values of a column from which all of them are taken for that type.
const MOSTLY: u64 = 95;
/// Largest number of distinct numbers for which the fit gives each number a bin of its own.
const MAX_DISCRETE: usize = 20;
/// Texts of a column of numbers that are kept as examples.
const MAX_EXAMPLES: usize = 3;
/// Most characters of an example.
const MAX_CHARS: usize = 24;
/// The years 2000 to 2050, in which a number since 1970 is taken for a time.
const CLOCK: std::ops::Range<EventTime> =
    EventTime::from_millis(946_684_800_000)..EventTime::from_millis(2_524_608_000_000);

/// The kind of a column, or the reason why it is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Kind of the values; `None` if the column is left out.
    pub(super) kind: Option<Kind>,
    /// Form of the times of a column that holds little else.
    pub(super) times: Option<TimestampFormat>,
    /// Reason in a few words.
    pub(super) reason: String,
    /// A fact that a user may not expect, as a sentence.
    pub(super) note: Option<String>,
    /// True if the values could be categories, and are left out because they hardly are.
    pub(super) may_be_categories: bool,
    /// True if the values are left out because they are arrays or objects.
    pub(super) is_nested: bool,
}

impl Verdict {
    fn of(kind: Kind, reason: impl Into<String>) -> Self {
        Verdict {
            kind: Some(kind),
            ..Verdict::left_out(reason)
        }
    }

    pub(super) fn left_out(reason: impl Into<String>) -> Self {
        Verdict {
            kind: None,
            times: None,
            reason: reason.into(),
            note: None,
            may_be_categories: false,
            is_nested: false,
        }
    }

    /// Leaves out values that are arrays or objects.
    fn nested(reason: impl Into<String>) -> Self {
        Verdict {
            is_nested: true,
            ..Verdict::left_out(reason)
        }
    }

    /// Leaves out values that hardly are categories.
    fn no_categories(reason: impl Into<String>) -> Self {
        Verdict {
            may_be_categories: true,
            ..Verdict::left_out(reason)
        }
    }

    fn with_note(self, note: String) -> Self {
        Verdict {
            note: Some(note),
            ..self
        }
    }
}

/// A text in a column, and the number of its first row.
#[derive(Debug)]
struct Example {
    text: String,
    row: u64,
}

/// Counts of the values of one column by type.
#[derive(Debug, Default)]
pub(super) struct ColumnProfile {
    values: u64,
    numbers: u64,
    whole_numbers: u64,
    booleans: u64,
    /// Arrays and objects.
    nested: u64,
    /// Texts with a date and a time, and numbers that are times of the years of [`CLOCK`].
    times: u64,
    /// Form of the first time.
    format: Option<TimestampFormat>,
    /// Texts that begin with a date and are not times.
    dates: u64,
    /// Texts of digits with a comma.
    numbers_with_comma: u64,
    has_leading_zeros: bool,
    /// The different numbers, as long as it matters how many there are.
    distinct_numbers: DistinctNumbers,
    /// True if there are more than [`MAX_DISCRETE`] different numbers, and not all are different
    /// whole ones: then they are kept no longer.
    are_numbers_many: bool,
    /// The different texts; numbers too once the column has a text.
    texts: DistinctTexts,
    /// The first different texts that are not numbers.
    examples: Vec<Example>,
}

impl ColumnProfile {
    /// Counts the value of a row; a missing value is not counted.
    pub(super) fn record(&mut self, slot: Slot, scratch: &str, row: u64, times: &TimeReader) {
        let reading = number(slot, scratch);
        if matches!(reading, Reading::Missing(_)) {
            return;
        }
        self.values += 1;
        if slot == Slot::Nested {
            self.nested += 1;
            self.record_example(NESTED, row);
            return;
        }
        self.booleans += u64::from(matches!(boolean(slot, scratch), Reading::Value(_)));
        let is_number = match reading {
            Reading::Value(x) => {
                self.record_number(x);
                true
            }
            _ => false,
        };
        let time = match times.find(slot, scratch) {
            Reading::Value((time, format)) if format.is_text() || CLOCK.contains(&time) => {
                Some(format)
            }
            _ => None,
        };
        if let Some(format) = time {
            self.times += 1;
            self.format.get_or_insert(format);
        }
        self.has_leading_zeros |= is_number && has_leading_zero(slot, scratch);
        if let (false, Slot::Cell(range) | Slot::Text(range)) = (is_number, slot) {
            self.record_text(range, scratch, row, time.is_some());
        }
        if !is_number || self.texts.total() > 0 {
            let mut buffer = String::new();
            if let Reading::Value(name) = category(slot, scratch, &mut buffer) {
                self.texts.insert(name);
            }
        }
    }

    fn record_number(&mut self, x: f64) {
        self.numbers += 1;
        self.whole_numbers += u64::from(x.fract().abs() <= 0.0);
        if self.are_numbers_many {
            return;
        }
        self.distinct_numbers.insert(x);
        let may_be_identifier =
            !self.distinct_numbers.has_repeated() && self.whole_numbers == self.numbers;
        if self.distinct_numbers.count() > MAX_DISCRETE && !may_be_identifier {
            self.are_numbers_many = true;
            self.distinct_numbers.clear();
        }
    }

    /// Counts a text that is not a number.
    fn record_text(&mut self, range: TextRange, scratch: &str, row: u64, is_time: bool) {
        let text = range.of(scratch);
        self.dates += u64::from(!is_time && begins_with_date(text));
        self.numbers_with_comma += u64::from(is_number_with_comma(text));
        self.record_example(text, row);
    }

    /// Keeps a value that is not a number as an example, if it is one of the first different ones.
    fn record_example(&mut self, text: &str, row: u64) {
        if self.examples.len() < MAX_EXAMPLES {
            let text = shortened(text);
            if self.examples.iter().all(|example| example.text != text) {
                self.examples.push(Example { text, row });
            }
        }
    }

    /// True if a number of values is nearly all of them.
    const fn is_most(&self, values: u64) -> bool {
        values * 100 >= self.values * MOSTLY
    }

    /// Returns the kind of the column, or the reason why it is left out.
    pub(super) fn verdict(&self) -> Verdict {
        if self.values == 0 {
            Verdict::left_out("no values")
        } else if self.is_most(self.nested) {
            Verdict::nested("arrays or objects; `path` can lead to an element")
        } else if !self.is_most(self.values - self.nested) {
            let share = percent(self.nested, self.values);
            Verdict::nested(format!("arrays or objects in {share} of the values"))
        } else if self.booleans == self.values {
            Verdict::of(Kind::Boolean, "true or false")
        } else if let Some(format) = self.format.filter(|_| self.is_most(self.times)) {
            Verdict {
                times: Some(format),
                ..Verdict::left_out(format!("times ({format})"))
            }
        } else if self.is_most(self.times + self.dates) {
            Verdict::no_categories(format!("dates such as {}", self.example()))
        } else if self.numbers == self.values {
            self.verdict_on_numbers()
        } else if self.is_most(self.numbers) {
            self.verdict_on_numbers_with_texts()
        } else if self.is_most(self.numbers + self.numbers_with_comma) {
            self.verdict_on_commas()
        } else if (self.times + self.dates) * 2 > self.values {
            let share = percent(self.times + self.dates, self.values);
            Verdict::no_categories(format!(
                "times or dates in {share} of the values, and other texts"
            ))
        } else {
            self.verdict_on_texts()
        }
    }

    fn verdict_on_numbers(&self) -> Verdict {
        let distinct = self.distinct_numbers.count();
        let are_all_different = !self.are_numbers_many
            && !self.distinct_numbers.has_repeated()
            && self.whole_numbers == self.numbers;
        if self.has_leading_zeros && !(are_all_different && distinct > MAX_DISCRETE) {
            Verdict::of(Kind::Categorical, "codes with leading zeros")
        } else if !self.are_numbers_many && distinct <= MAX_DISCRETE {
            Verdict::of(Kind::Numeric, format!("{distinct} distinct numbers"))
        } else if are_all_different {
            Verdict::no_categories("an identifier: every number is different")
        } else {
            Verdict::of(Kind::Numeric, "numbers")
        }
    }

    /// Numbers among which a few texts stand, such as `-` or `unknown` for a missing one.
    fn verdict_on_numbers_with_texts(&self) -> Verdict {
        let verdict = self.verdict_on_numbers();
        if verdict.kind != Some(Kind::Numeric) {
            return verdict;
        }
        let others = self.values - self.numbers;
        let share = percent(others, self.values);
        let examples: Vec<String> = self
            .examples
            .iter()
            .map(|example| format!("{:?}", example.text))
            .collect();
        let row = self.examples.first().map_or(0, |example| example.row);
        let note = format!(
            "{others} of {} values ({share}) are no numbers and count as invalid: {} (the first in \
             row {row}); `pegel fit --missing` reads such texts as missing, `--categorical` takes the \
             column as categories",
            self.values,
            examples.join(", ")
        );
        let reason = format!("{}, and {share} texts", verdict.reason);
        Verdict { reason, ..verdict }.with_note(note)
    }

    /// Numbers with a comma that may be the decimal sign or separate thousands.
    fn verdict_on_commas(&self) -> Verdict {
        let note = format!(
            "numbers with a comma such as {}: `--decimal ,` reads it as the decimal sign; numbers \
             with separators of thousands are not read",
            self.example()
        );
        Verdict::left_out("numbers with a comma").with_note(note)
    }

    fn verdict_on_texts(&self) -> Verdict {
        let distinct = self.texts.count();
        let are_numbers_different = !self.are_numbers_many && !self.distinct_numbers.has_repeated();
        if self.values > 1 && self.texts.are_all_different() && are_numbers_different {
            Verdict::no_categories("an identifier: every text is different")
        } else if let Some(reason) = self.texts.reason_against_categories() {
            Verdict::no_categories(format!("an identifier or a name: {reason}"))
        } else if self.numbers > 0 {
            Verdict::of(
                Kind::Categorical,
                format!("text and {} numbers", self.numbers),
            )
        } else {
            Verdict::of(Kind::Categorical, format!("{distinct} different texts"))
        }
    }

    /// The first text that is not a number, with its row.
    fn example(&self) -> String {
        self.examples.first().map_or_else(String::new, |example| {
            format!("{:?} in row {}", example.text, example.row)
        })
    }
}

/// A share as a percentage with one decimal, but not 0 % for a few.
fn percent(part: u64, whole: u64) -> String {
    let percent = part as f64 * 100.0 / whole as f64;
    if percent < 0.1 {
        "less than 0.1 %".to_owned()
    } else {
        format!("{percent:.1} %")
    }
}

/// The beginning of a text.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
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

//! Fits a reference to the rows of a file or a topic range.
//!
//! The steps are: infer the kinds of columns that no configuration names, gather the values and
//! choose the bins, count again by hour of the week if asked, and calibrate the null distributions.

pub mod calibrate;
mod column_profile;
mod dates;
mod distinct_numbers;
mod distinct_texts;
pub mod fit_rows;
pub mod hour_of_week;
pub mod infer;

pub use distinct_texts::MAX_CATEGORIES;

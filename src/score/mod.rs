//! The scores of a window against a reference, or the reason why there are none.
//!
//! All scores of a feature are computed at once: they share one pass over the bins and one over the
//! cells. A window that cannot be scored has a `NotReady` reason and no number, so that nobody
//! takes 0 or NaN for a score. Thresholds and p-values belong to `calibration`.

mod rare_values;
mod rates;
mod scorer;
mod scores;

pub use rates::Rates;
pub use scorer::Scorer;
pub use scores::{Distances, ScoreStatus, Scores, samples_behind};

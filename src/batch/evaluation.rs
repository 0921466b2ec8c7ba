//! Applies commits to an engine and passes each resulting evaluation on.

use crate::engine::{Engine, MonitorPlan, WindowView};
use crate::ingest::Flushed;

/// Callback that takes each evaluation of a window.
pub type OnEvaluation<'a> = &'a mut dyn FnMut(&MonitorPlan, &WindowView);

/// Applies commits and evaluates the windows that are complete afterwards.
pub(super) fn apply(flushed: Vec<Flushed>, engine: &mut Engine, on_evaluation: OnEvaluation<'_>) {
    for flushed in flushed {
        let accepted = engine.apply(&flushed.commit);
        debug_assert!(accepted.is_ok(), "one reader's commits tile: {accepted:?}");
    }
    for monitor in 0..engine.monitors() {
        engine.advance(monitor, on_evaluation);
    }
}

//! Breadth-first search through all states of a world, so that the first violation it meets has a
//! shortest trace.

use std::fmt::Debug;
use std::hash::Hash;

use rustc_hash::FxHashSet;

/// A world of states and steps.
pub(crate) trait World {
    type State: Copy + Eq + Hash + Debug;

    fn initial(&self) -> Self::State;

    /// Returns every possible next step: its name, and the state it leads to or the law it breaks.
    fn steps(&self, state: &Self::State, step: &mut dyn FnMut(String, Result<Self::State, String>));
}

/// The result of a search.
#[derive(Debug)]
pub(crate) struct Explored {
    /// Number of different states visited.
    pub(crate) states: usize,
    /// Number of steps taken between them.
    pub(crate) steps: usize,
    /// The shortest trace that breaks a law, if there is one: the steps, then the law.
    pub(crate) violation: Option<Vec<String>>,
}

/// Visits every state, or stops at the first violation. There are a few million states, so they are
/// kept whole: a hash collision cannot hide one.
pub(crate) fn explore<W: World>(world: &W) -> Explored {
    let mut seen = FxHashSet::default();
    let mut states = vec![(world.initial(), 0_u32)];
    seen.insert(world.initial());
    let (mut at, mut steps) = (0, 0);
    while let Some((state, _)) = states.get(at).copied() {
        let mut broken = false;
        let from = u32::try_from(at).unwrap();
        world.steps(&state, &mut |_, next| {
            steps += 1;
            match next {
                Ok(next) if seen.insert(next) => states.push((next, from)),
                Ok(_) => {}
                Err(_) => broken = true,
            }
        });
        if broken {
            return Explored {
                states: states.len(),
                steps,
                violation: Some(trace(world, &states, at)),
            };
        }
        at += 1;
    }
    Explored {
        states: states.len(),
        steps,
        violation: None,
    }
}

/// The names of the steps to the state at `at`, and of the step from there that breaks a law.
fn trace<W: World>(world: &W, states: &[(W::State, u32)], mut at: usize) -> Vec<String> {
    let mut names = Vec::new();
    world.steps(&states[at].0, &mut |name, next| {
        if let (Err(law), true) = (next, names.is_empty()) {
            names = vec![law, name];
        }
    });
    while at > 0 {
        let (state, from) = states[at];
        let before = states[from as usize].0;
        let mut name_of = None;
        world.steps(&before, &mut |name, next| {
            if next == Ok(state) {
                name_of = name_of.take().or(Some(name));
            }
        });
        names.extend(name_of);
        at = from as usize;
    }
    names.reverse();
    names
}

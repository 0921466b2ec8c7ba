//! A breadth-first search through all states of a world, so that the first violation found has a shortest trace.

use std::fmt::Debug;
use std::hash::Hash;

use rustc_hash::FxHashSet;

/// A world of states and steps.
pub(crate) trait World {
    type State: Copy + Eq + Hash + Debug;

    fn initial(&self) -> Self::State;

    /// Everything that can happen next: a step's name and where it leads, or what law it breaks.
    fn steps(&self, state: &Self::State, step: &mut dyn FnMut(String, Result<Self::State, String>));
}

/// What a search found.
#[derive(Debug)]
pub(crate) struct Explored {
    /// Different states seen.
    pub(crate) states: usize,
    /// Steps taken between them.
    pub(crate) steps: usize,
    /// The shortest way to break a law, if there is one: steps, then the law.
    pub(crate) violation: Option<Vec<String>>,
}

/// Visits every state, or stops at the first violation. States are few millions, so they are kept whole: no state is missed by a hash.
pub(crate) fn explore<W: World>(world: &W) -> Explored {
    let mut seen = FxHashSet::default();
    let mut found = vec![(world.initial(), 0_u32)];
    seen.insert(world.initial());
    let (mut at, mut steps) = (0, 0);
    while let Some((state, _)) = found.get(at).copied() {
        let mut broken = false;
        let from = u32::try_from(at).unwrap();
        world.steps(&state, &mut |_, next| {
            steps += 1;
            match next {
                Ok(next) if seen.insert(next) => found.push((next, from)),
                Ok(_) => {}
                Err(_) => broken = true,
            }
        });
        if broken {
            return Explored {
                states: found.len(),
                steps,
                violation: Some(trace(world, &found, at)),
            };
        }
        at += 1;
    }
    Explored {
        states: found.len(),
        steps,
        violation: None,
    }
}

/// The names of the steps to the state at `at`, and of one from there that breaks a law.
fn trace<W: World>(world: &W, found: &[(W::State, u32)], mut at: usize) -> Vec<String> {
    let mut names = Vec::new();
    world.steps(&found[at].0, &mut |name, next| {
        if let (Err(law), true) = (next, names.is_empty()) {
            names = vec![law, name];
        }
    });
    while at > 0 {
        let (state, from) = found[at];
        let before = found[from as usize].0;
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

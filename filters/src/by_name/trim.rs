// SPDX-License-Identifier: GPL-2.0
//! States from which no name is allowed any more become [`NONE`], those from which every one is become [`ALL`].
//!
//! Programs tell apart what is refused in different ways; the product does not. Without this it would keep on telling.

use super::graph::{Graph, ALL, NONE, OWN};
use super::product::Work;

/// A name that is allowed may follow.
const MAY_ALLOW: u32 = 1;
/// A name that is not allowed may follow.
const MAY_REFUSE: u32 = 2;

/// Trims `graph`. `seen` has a word for each state. `None` if `work` runs out before it is known what can be trimmed.
pub(super) fn trim(graph: &mut Graph<'_>, work: &mut Work, seen: &mut [u32]) -> Option<()> {
    let seen = seen.get_mut(..graph.states() as usize)?;
    seen.fill(0);
    *seen.get_mut(NONE as usize)? = MAY_REFUSE;
    *seen.get_mut(ALL as usize)? = MAY_ALLOW;
    loop {
        let mut changed = false;
        // What is found out about a state concerns those that lead to it, which mostly have smaller numbers.
        for state in (OWN..graph.states()).rev() {
            let before = *seen.get(state as usize)?;
            if before == MAY_ALLOW | MAY_REFUSE {
                continue;
            }
            let ends = match graph.ends(state) {
                true => MAY_ALLOW,
                false => MAY_REFUSE,
            };
            let of = |target: u32| seen.get(target as usize).copied().unwrap_or(0);
            let mut edges = 0usize;
            let after = graph
                .edges(state)
                .fold(ends | of(graph.default(state)), |all, edge| {
                    edges = edges.saturating_add(1);
                    all | of(edge.target())
                });
            work.take(edges.div_ceil(8).saturating_add(1))?;
            changed |= before != after;
            *seen.get_mut(state as usize)? = after;
        }
        if !changed {
            break;
        }
    }
    // Not before nothing changes any more: what has not been seen yet could still come.
    graph.redirect(|state| match seen.get(state as usize) {
        Some(&MAY_ALLOW) => ALL,
        Some(&MAY_REFUSE) => NONE,
        _ => state,
    })
}

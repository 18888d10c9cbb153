// SPDX-License-Identifier: GPL-2.0
//! An automaton that says yes or no, in memory that is given.
//!
//! A state has a default and some edges, which ascend by their byte. They are kept in one list, in the order of the states.

use crate::limits::{MAX_MERGED_EDGES, MAX_MERGED_STATES};

/// The state from which nothing is allowed.
pub(super) const NONE: u32 = 0;
/// The state from which everything is allowed.
pub(super) const ALL: u32 = 1;
/// The first of the other states.
pub(super) const OWN: u32 = 2;

/// In the word of a state's default: a name that ends here is allowed.
const ENDS: u32 = 1 << 31;

/// Bits of an edge for its target; the byte is above.
const TARGET_BITS: u32 = 24;
const TARGET: u32 = (1 << TARGET_BITS) - 1;

const _: () = assert!(MAX_MERGED_STATES < 1 << TARGET_BITS && MAX_MERGED_EDGES < u32::MAX as usize);

/// See the module's documentation.
pub(super) struct Graph<'w> {
    /// The state's first edge; one more for the end of the last one's.
    first: &'w mut [u32],
    defaults: &'w mut [u32],
    edges: &'w mut [u32],
    /// How many states are whole.
    states: u32,
    /// How many edges there are.
    end: usize,
    /// Where it starts.
    pub(super) start: u32,
}

/// An edge: its byte and where it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edge(u32);

impl Edge {
    pub(super) fn new(byte: u8, target: u32) -> Edge {
        Edge(u32::from(byte) << TARGET_BITS | target & TARGET)
    }

    pub(super) const fn byte(self) -> u8 {
        (self.0 >> TARGET_BITS) as u8
    }

    pub(super) const fn target(self) -> u32 {
        self.0 & TARGET
    }
}

impl<'w> Graph<'w> {
    /// Words that it needs.
    pub(super) const WORDS: usize = 2 * MAX_MERGED_STATES + 1 + MAX_MERGED_EDGES;

    /// The automaton of [`NONE`] and [`ALL`]; `words` are [`Graph::WORDS`].
    pub(super) fn new(words: &'w mut [u32]) -> Option<Graph<'w>> {
        let (first, words) = words.split_at_mut_checked(MAX_MERGED_STATES.checked_add(1)?)?;
        let (defaults, edges) = words.split_at_mut_checked(MAX_MERGED_STATES)?;
        first.get_mut(..=OWN as usize)?.fill(0);
        defaults
            .get_mut(..OWN as usize)?
            .copy_from_slice(&[NONE, ALL | ENDS]);
        Some(Graph {
            first,
            defaults,
            edges,
            states: OWN,
            end: 0,
            start: NONE,
        })
    }

    /// Adds an edge to the state that is being made; after them, in the order of their bytes, comes [`Graph::close`].
    pub(super) fn add(&mut self, edge: Edge) -> Option<()> {
        *self.edges.get_mut(self.end)? = edge.0;
        self.end = self.end.checked_add(1)?;
        Some(())
    }

    /// Makes a state of the edges added since the last one.
    pub(super) fn close(&mut self, ends: bool, default: u32) -> Option<()> {
        *self.defaults.get_mut(self.states as usize)? = default | if ends { ENDS } else { 0 };
        self.states = self.states.checked_add(1)?;
        *self.first.get_mut(self.states as usize)? = self.end as u32;
        Some(())
    }

    pub(super) const fn states(&self) -> u32 {
        self.states
    }

    /// Whether a name that ends here is allowed.
    pub(super) fn ends(&self, state: u32) -> bool {
        self.default_word(state) & ENDS != 0
    }

    /// Where bytes without an edge lead.
    pub(super) fn default(&self, state: u32) -> u32 {
        self.default_word(state) & !ENDS
    }

    fn default_word(&self, state: u32) -> u32 {
        self.defaults.get(state as usize).copied().unwrap_or(NONE)
    }

    /// What leads elsewhere.
    pub(super) fn edges(&self, state: u32) -> impl Iterator<Item = Edge> + Clone + '_ {
        let edges = self.range(state).and_then(|range| self.edges.get(range));
        edges.unwrap_or_default().iter().map(|&edge| Edge(edge))
    }

    fn range(&self, state: u32) -> Option<core::ops::Range<usize>> {
        let at = state as usize;
        let end = self.first.get(at.checked_add(1)?)?;
        Some(*self.first.get(at)? as usize..*end as usize)
    }

    /// Where `byte` leads.
    pub(super) fn target(&self, state: u32, byte: u8) -> u32 {
        let edge = self.edges(state).find(|edge| edge.byte() == byte);
        edge.map_or_else(|| self.default(state), Edge::target)
    }

    /// Puts other states in the place of all that anything leads to. Edges that lead to the default then go, so the others move towards the front, never over
    /// one that is still to be read.
    pub(super) fn redirect(&mut self, to: impl Fn(u32) -> u32) -> Option<()> {
        self.end = 0;
        for state in 0..self.states {
            let range = self.range(state)?;
            let default = to(self.default(state));
            *self.first.get_mut(state as usize)? = self.end as u32;
            for at in range {
                let edge = Edge(*self.edges.get(at)?);
                let edge = Edge::new(edge.byte(), to(edge.target()));
                if edge.target() != default {
                    self.add(edge)?;
                }
            }
            let word = self.defaults.get_mut(state as usize)?;
            *word = *word & ENDS | default;
        }
        *self.first.get_mut(self.states as usize)? = self.end as u32;
        self.start = to(self.start);
        Some(())
    }
}

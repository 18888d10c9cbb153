// SPDX-License-Identifier: GPL-2.0
//! An automaton as a table in the format of [`crate::table`].

use super::graph::{Edge, Graph, ALL};
use super::merged::ALLOWED;
use super::product::Work;
use super::rows::Rows;
use super::shape::Shape;
use crate::limits::MAX_MERGED_STATES;
use crate::table::{
    before, BRANCH, CELL_BYTES, CHAIN, CHAIN_BYTES, FREE, HEAD, HEADER_BYTES, HEAD_SKIP,
    MAX_LITERAL, SINK, SKIP, VALUE_BYTES,
};

/// Values of a product: that of what is not allowed, and [`ALLOWED`].
const VALUES: [u32; 2] = [0, ALLOWED];

/// Where the chains begin.
const CHAINS: usize = HEADER_BYTES + VALUES.len() * VALUE_BYTES;

/// Nothing leads to the state, as far as is known.
const UNSEEN: u32 = 0;
/// Something does.
const SEEN: u32 = 1;
/// It has a place: its index among what is of its kind, and the kind, stand above.
const PLACED: u32 = 2;
const KIND_SHIFT: u32 = 2;
const INDEX_SHIFT: u32 = 4;

/// An automaton whose states have their places.
pub(super) struct Layout<'w> {
    graph: Graph<'w>,
    spots: Spots<'w>,
    chains: usize,
    cells: usize,
}

/// What is known of the states that something leads to. That is not every one: many are inside of a chain.
struct Spots<'w> {
    /// Word by state.
    words: &'w mut [u32],
    /// These states, in the order in which they were found.
    order: &'w mut [u32],
    found: usize,
}

impl Spots<'_> {
    /// Something leads to `state`.
    fn see(&mut self, state: u32) -> Option<()> {
        let word = self.words.get_mut(state as usize)?;
        if *word == UNSEEN {
            *word = SEEN;
            *self.order.get_mut(self.found)? = state;
            self.found = self.found.checked_add(1)?;
        }
        Some(())
    }

    /// Kind and index of a state that has a place.
    fn get(&self, state: u32) -> Option<(u32, u32)> {
        let word = *self.words.get(state as usize)?;
        (word & PLACED != 0).then_some((word >> KIND_SHIFT & 3, word >> INDEX_SHIFT))
    }
}

impl<'w> Layout<'w> {
    /// Words that it needs.
    pub(super) const WORDS: usize = 2 * MAX_MERGED_STATES + Rows::WORDS;

    /// Gives each state of `graph` its place. `words` are [`Layout::WORDS`].
    pub(super) fn of(
        graph: Graph<'w>,
        work: &mut Work,
        words: &'w mut [u32],
    ) -> Option<Layout<'w>> {
        let (spots, words) = words.split_at_mut_checked(MAX_MERGED_STATES)?;
        let (order, words) = words.split_at_mut_checked(MAX_MERGED_STATES)?;
        spots.fill(UNSEEN);
        let mut layout = Layout {
            graph,
            spots: Spots {
                words: spots,
                order,
                found: 0,
            },
            chains: 0,
            cells: 0,
        };
        let mut rows = Rows::new(words);
        layout.spots.see(layout.graph.start)?;
        let mut next = 0;
        while next < layout.spots.found {
            let state = *layout.spots.order.get(next)?;
            next = next.checked_add(1)?;
            work.take(layout.place(state, &mut rows)?)?;
        }
        layout.cells = rows.cells();
        Some(layout)
    }

    /// Gives `state` its place and sees what it leads to. Returns the work that it was.
    fn place(&mut self, state: u32, rows: &mut Rows<'_>) -> Option<usize> {
        let edges = self.graph.edges(state);
        let shape = Shape::of(&self.graph, state);
        let (index, work) = match shape {
            Shape::Sink => (u32::from(state == ALL), 1),
            Shape::Chain { next, fallback, .. } => {
                self.spots.see(next)?;
                self.spots.see(fallback)?;
                let index = self.chains;
                self.chains = index.checked_add(1)?;
                // Each link's state was compared with the fallback.
                let work = edges.count().checked_add(MAX_LITERAL)?;
                (u32::try_from(index).ok()?, work)
            }
            Shape::Branch | Shape::Skip { .. } => {
                self.spots.see(self.graph.default(state))?;
                for edge in edges.clone() {
                    self.spots.see(edge.target())?;
                }
                let (head, looks) = rows.place(edges.clone().map(Edge::byte))?;
                let work = edges.count().checked_add(looks)?.div_ceil(8);
                (head, work.checked_add(1)?)
            }
        };
        let word = index.checked_mul(1 << INDEX_SHIFT)? | shape.kind() << KIND_SHIFT | PLACED;
        *self.spots.words.get_mut(state as usize)? = word;
        Some(work)
    }

    /// Number of states that have a place.
    pub(super) fn states(&self) -> usize {
        self.spots.found
    }

    /// Length of the table.
    pub(super) fn bytes(&self) -> usize {
        let chains = self.chains.saturating_mul(CHAIN_BYTES);
        let cells = self.cells.saturating_mul(CELL_BYTES);
        CHAINS.saturating_add(chains).saturating_add(cells)
    }

    /// Writes the table to `to`, which has its length.
    pub(super) fn write(&self, to: &mut [u8]) -> Option<()> {
        if to.len() != self.bytes() {
            return None;
        }
        let cells = self.offset(0, CELL_BYTES, self.first_cell()?)?;
        for cell in to.get_mut(cells..)?.chunks_exact_mut(CELL_BYTES) {
            put(cell, 0, [FREE, 0])?;
        }
        let head = [
            self.target(self.graph.start)?,
            VALUES.len() as u32,
            u32::try_from(self.chains).ok()?,
            u32::try_from(self.cells).ok()?,
        ];
        put(to, 0, head)?;
        put(to, HEADER_BYTES, VALUES)?;
        for &state in self.spots.order.get(..self.spots.found)? {
            self.write_state(state, to)?;
        }
        Some(())
    }

    fn write_state(&self, state: u32, to: &mut [u8]) -> Option<()> {
        let (_, index) = self.spots.get(state)?;
        let value = if self.graph.ends(state) { ALLOWED } else { 0 };
        let head = match Shape::of(&self.graph, state) {
            Shape::Sink => return Some(()),
            Shape::Chain {
                literal,
                bytes,
                next,
                fallback,
            } => {
                let literal = u64::from_le_bytes(literal);
                let unused = u32::try_from(MAX_LITERAL.checked_sub(bytes)?.checked_mul(8)?).ok()?;
                let chain = [
                    literal as u32,
                    (literal >> 32) as u32,
                    self.target(fallback)?.checked_mul(1 << 8)? | unused,
                    self.target(next)? | u32::try_from(bytes).ok()?.checked_mul(1 << 24)?,
                ];
                return put(to, self.offset(index, CHAIN_BYTES, CHAINS)?, chain);
            }
            Shape::Branch => HEAD.checked_add(self.target(self.graph.default(state))?)?,
            Shape::Skip {
                stops: [first, second],
                mark,
            } => HEAD_SKIP.checked_add(u32::from_le_bytes([first, second, mark, 0]))?,
        };
        let at = self.offset(index, CELL_BYTES, self.first_cell()?)?;
        put(to, at, [head, value])?;
        for edge in self.graph.edges(state) {
            let cell = usize::from(edge.byte())
                .checked_add(1)?
                .checked_mul(CELL_BYTES)?;
            let cell = at.checked_add(cell)?;
            put(to, cell, [edge.byte().into(), self.target(edge.target())?])?;
        }
        Some(())
    }

    /// The target that leads to `state`.
    fn target(&self, state: u32) -> Option<u32> {
        let (kind, index) = self.spots.get(state)?;
        let offset = match kind {
            SINK => self.offset(index, VALUE_BYTES, HEADER_BYTES),
            CHAIN => self.offset(index, CHAIN_BYTES, CHAINS),
            _ => self.offset(
                index,
                CELL_BYTES,
                self.first_cell()?.checked_add(CELL_BYTES)?,
            ),
        };
        u32::try_from(offset?.checked_sub(before(kind))?).ok()
    }

    fn first_cell(&self) -> Option<usize> {
        CHAINS.checked_add(self.chains.checked_mul(CHAIN_BYTES)?)
    }

    fn offset(&self, index: u32, size: usize, start: usize) -> Option<usize> {
        start.checked_add((index as usize).checked_mul(size)?)
    }
}

impl Shape {
    const fn kind(&self) -> u32 {
        match self {
            Shape::Sink => SINK,
            Shape::Chain { .. } => CHAIN,
            Shape::Branch => BRANCH,
            Shape::Skip { .. } => SKIP,
        }
    }
}

/// Writes words at a place.
fn put<const N: usize>(to: &mut [u8], at: usize, words: [u32; N]) -> Option<()> {
    let places = to.get_mut(at..)?.chunks_exact_mut(4);
    let mut left = N;
    for (place, word) in places.zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
        left = left.checked_sub(1)?;
    }
    (left == 0).then_some(())
}

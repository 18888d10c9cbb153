// SPDX-License-Identifier: GPL-2.0
//! The product of two automata: it allows the names that both allow.
//!
//! A state of the product is a pair of states, and only pairs that some name leads to are made. Where one of the two allows nothing any more, nor does the
//! pair, and it ends there; where one allows everything, the other one's states are left. So two lists of places take about as many states as both together.
//! There are pairs of automata, of searches above all, whose product has as many states as both numbers multiplied. That is why there are limits on
//! everything: states, edges and cells, and with them memory ([`Workspace`], and some 320 KiB for the largest table); and [`Work`], with it time. Whoever pushes
//! layers that run into the limits pays for the attempt once, when he pushes, as much as compiling a program may cost, and has gained a longer way to the
//! same verdicts.

use super::graph::{Edge, Graph, ALL, NONE, OWN};
use super::layout::Layout;
use super::merged::Merged;
use super::{trim, Names, State};
use crate::limits::{MAX_MERGED_STATES, MAX_MERGE_WORK};
use crate::table::Bytes;

/// Places of the index: twice as many as states, so that looking for a pair ends soon.
const INDEX: usize = 2 * MAX_MERGED_STATES;
const INDEX_BITS: u32 = INDEX.trailing_zeros();

/// How many places are looked at for a pair. Among pairs that nobody has chosen for it some thirty are possible; who has gets no product.
const PROBES: usize = 64;

/// Working memory: 196 KiB; whatever it holds.
pub type Workspace = [u32; WORDS];

const WORDS: usize = 2 * MAX_MERGED_STATES + INDEX + Graph::WORDS + Layout::WORDS;

const _: () = assert!(INDEX.is_power_of_two() && size_of::<Workspace>() <= 200 << 10);

/// What may still be done before a layer is pushed.
#[derive(Clone, Copy, Debug)]
pub struct Work(u32);

impl Work {
    /// All of it: [`MAX_MERGE_WORK`].
    #[expect(
        clippy::new_without_default,
        reason = "nothing is default about a limit"
    )]
    pub const fn new() -> Work {
        Work(MAX_MERGE_WORK)
    }

    /// How many units are left.
    pub const fn left(&self) -> u32 {
        self.0
    }

    /// Does so much. `None` if there is not as much left, and then nothing is.
    pub(super) fn take(&mut self, units: usize) -> Option<()> {
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let left = self.0.checked_sub(units);
        self.0 = left.unwrap_or(0);
        left.map(|_| ())
    }
}

/// A product that is ready to be written down.
pub struct Product<'w> {
    field: usize,
    layout: Layout<'w>,
}

impl<'w> Product<'w> {
    /// The names that both sets have. `None` if they are not sets of the same field's strings, or a limit is in the way: `work` is then spent as far as it went.
    pub fn of(
        left: &Names<'_>,
        right: &Names<'_>,
        work: &mut Work,
        workspace: &'w mut Workspace,
    ) -> Option<Product<'w>> {
        if left.field() != right.field() {
            return None;
        }
        let (pairs, rest) = workspace.split_at_mut_checked(2 * MAX_MERGED_STATES)?;
        let (index, rest) = rest.split_at_mut_checked(INDEX)?;
        let (graph, rest) = rest.split_at_mut_checked(Graph::WORDS)?;
        let mut pairs = Pairs::new(pairs, index);
        let mut graph = Graph::new(graph)?;
        multiply(left, right, &mut pairs, &mut graph, work)?;
        trim::trim(&mut graph, work, rest)?;
        Some(Product {
            field: left.field(),
            layout: Layout::of(graph, work, rest)?,
        })
    }

    /// Length of the table in bytes.
    pub fn bytes(&self) -> usize {
        self.layout.bytes()
    }

    /// Number of states.
    pub fn states(&self) -> usize {
        self.layout.states()
    }

    /// Writes the table to `to`, which has its length.
    pub fn write<B>(self, mut to: B) -> Option<Merged<B>>
    where
        B: core::ops::DerefMut<Target = [u8]>,
    {
        self.layout.write(&mut to)?;
        Merged::new(self.field, to)
    }
}

/// The pairs found so far, by number; [`OWN`] is the first one's.
struct Pairs<'w> {
    pairs: &'w mut [u32],
    index: &'w mut [u32],
    count: u32,
}

impl<'w> Pairs<'w> {
    fn new(pairs: &'w mut [u32], index: &'w mut [u32]) -> Pairs<'w> {
        index.fill(0);
        Pairs {
            pairs,
            index,
            count: OWN,
        }
    }

    fn get(&self, number: u32) -> Option<(State, State)> {
        let at = (number as usize).checked_mul(2)?;
        let pair = self.pairs.get(at..)?.first_chunk::<2>()?;
        Some((State(pair[0]), State(pair[1])))
    }

    /// The number of a pair, which is a new one if it is not known yet.
    fn number(&mut self, left: State, right: State, work: &mut Work) -> Option<u32> {
        match (left, right) {
            (State::NONE, _) | (_, State::NONE) => return Some(NONE),
            (State::ALL, State::ALL) => return Some(ALL),
            _ => {}
        }
        // By 2^64 divided by the golden ratio; all bits of both have a say in the highest ones.
        let key = u64::from(left.0) << 32 | u64::from(right.0);
        let hash = (key ^ key >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - INDEX_BITS);
        for probe in 0..PROBES {
            if probe % 8 == 7 {
                work.take(1)?;
            }
            let at = (hash as usize).wrapping_add(probe) & INDEX.wrapping_sub(1);
            let known = *self.index.get(at)?;
            if known == 0 {
                let number = self.count;
                let to = (number as usize).checked_mul(2)?;
                let pair = self.pairs.get_mut(to..)?.first_chunk_mut()?;
                *pair = [left.0, right.0];
                *self.index.get_mut(at)? = number;
                self.count = number.checked_add(1)?;
                return Some(number);
            }
            if self.get(known)? == (left, right) {
                return Some(known);
            }
        }
        None
    }
}

fn multiply(
    left: &Names<'_>,
    right: &Names<'_>,
    pairs: &mut Pairs<'_>,
    graph: &mut Graph<'_>,
    work: &mut Work,
) -> Option<()> {
    graph.start = pairs.number(left.start()?, right.start()?, work)?;
    while graph.states() < pairs.count {
        let (one, other) = pairs.get(graph.states())?;
        let mut bytes = Bytes::default();
        let cells = left.bytes_at(one, &mut bytes)?;
        let cells = cells.checked_add(right.bytes_at(other, &mut bytes)?)?;
        work.take(cells.div_ceil(32))?;
        let default = pairs.number(left.default_of(one)?, right.default_of(other)?, work)?;
        while let Some(byte) = bytes.pop() {
            work.take(1)?;
            let target = pairs.number(left.step(one, byte)?, right.step(other, byte)?, work)?;
            if target != default {
                graph.add(Edge::new(byte, target))?;
            }
        }
        graph.close(left.ends(one)? && right.ends(other)?, default)?;
    }
    Some(())
}

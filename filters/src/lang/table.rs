// SPDX-License-Identifier: GPL-2.0
//! Automata to tables in the format of [`crate::table`].

use std::collections::HashMap;
use std::prelude::rust_2021::*;
use std::vec;

use super::automaton::{build, Automaton, Built, TooLarge};
use super::pattern::Pattern;
use crate::table::{
    before, BRANCH, CELL_BYTES, CHAIN, CHAIN_BYTES, FREE, HEAD, HEADER_BYTES, HEAD_SKIP,
    MAX_LITERAL, SINK, SKIP, VALUE_BYTES,
};

mod rows;
mod shape;

use rows::Rows;
use shape::{Shape, Shapes};

/// A finished table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its bytes, as they stand in an image.
    pub bytes: Vec<u8>,
    /// Patterns, by index, that decide no string because earlier ones decide all of theirs.
    pub shadowed: Vec<u32>,
}

/// The patterns need an automaton of more states than the compiler is willing to build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyStates(pub usize);

/// Makes the table of `patterns`, each with the value it gives to the strings that it matches. The first one that matches wins; a string that none
/// matches has the value 0.
///
/// # Errors
///
/// [`TooManyStates`] for patterns that multiply each other, such as many with `*` in the middle.
pub fn table(patterns: &[(&Pattern, u32)]) -> Result<Table, TooManyStates> {
    let Built {
        automaton,
        deciding,
    } = build(patterns).map_err(|TooLarge { states }| TooManyStates(states))?;
    let shadowed = (0..patterns.len() as u32)
        .filter(|index| !deciding.contains(index))
        .collect();
    Ok(Table {
        bytes: encode(&automaton),
        shadowed,
    })
}

/// The table of an automaton.
pub(crate) fn encode(automaton: &Automaton) -> Vec<u8> {
    let shapes = Shapes::of(&automaton.states);
    let mut layout = Layout {
        numbers: vec![None; automaton.states.len()],
        ..Layout::default()
    };
    // In the order of a walk, so that what is passed one after the other lies close together.
    let mut open = vec![0];
    while let Some(state) = open.pop() {
        if layout.numbers[state as usize].is_none() {
            layout.place(automaton, &shapes, state, &mut open);
        }
    }
    layout.bytes()
}

/// A state that has a place of its own: an index into values, chains or cells.
struct Node {
    value: u32,
    shape: Shape,
    index: u32,
}

#[derive(Default)]
struct Layout {
    nodes: Vec<Node>,
    /// Node of each state that has one: many are inside of a chain.
    numbers: Vec<Option<usize>>,
    values: Vec<u32>,
    /// Index of each value.
    sinks: HashMap<u32, u32>,
    chains: u32,
    rows: Rows,
}

impl Layout {
    /// Gives `state` its place; adds what it leads to to `open`.
    fn place(
        &mut self,
        automaton: &Automaton,
        shapes: &Shapes<'_>,
        state: u32,
        open: &mut Vec<u32>,
    ) {
        let shape = shapes.shape(state);
        let value = automaton.states[state as usize].value;
        let index = match &shape {
            Shape::Sink => {
                let values = &mut self.values;
                *self.sinks.entry(value).or_insert_with(|| {
                    values.push(value);
                    (values.len() - 1) as u32
                })
            }
            Shape::Chain { next, fallback, .. } => {
                open.extend([*fallback, *next]);
                self.chains += 1;
                self.chains - 1
            }
            Shape::Branch { edges, default } => {
                open.push(*default);
                self.row(edges, open)
            }
            Shape::Skip { edges, .. } => self.row(edges, open),
        };
        self.numbers[state as usize] = Some(self.nodes.len());
        self.nodes.push(Node {
            value,
            shape,
            index,
        });
    }

    fn row(&mut self, edges: &[(u8, u32)], open: &mut Vec<u32>) -> u32 {
        open.extend(edges.iter().rev().map(|edge| edge.1));
        self.rows.place(edges.iter().map(|edge| edge.0).collect())
    }

    /// The target that leads to `state`.
    fn target(&self, state: u32) -> u32 {
        let chains = HEADER_BYTES + self.values.len() * VALUE_BYTES;
        let cells = chains + self.chains as usize * CHAIN_BYTES;
        // Every state that is referred to was put into `open`, so it has a node.
        let node = &self.nodes[self.numbers[state as usize].unwrap_or(0)];
        let (start, size, kind) = match node.shape {
            Shape::Sink => (HEADER_BYTES, VALUE_BYTES, SINK),
            Shape::Chain { .. } => (chains, CHAIN_BYTES, CHAIN),
            Shape::Branch { .. } => (cells + CELL_BYTES, CELL_BYTES, BRANCH),
            Shape::Skip { .. } => (cells + CELL_BYTES, CELL_BYTES, SKIP),
        };
        (start + node.index as usize * size - before(kind)) as u32
    }

    fn bytes(&self) -> Vec<u8> {
        let mut cells = vec![[FREE, 0]; self.rows.cells()];
        let mut chains = Vec::new();
        for node in &self.nodes {
            let (first, edges) = match &node.shape {
                Shape::Sink => continue,
                Shape::Chain {
                    literal,
                    next,
                    fallback,
                } => {
                    chains.extend(chain(literal, self.target(*fallback), self.target(*next)));
                    continue;
                }
                Shape::Branch { default, edges } => (HEAD + self.target(*default), edges),
                Shape::Skip {
                    stops: [first, second],
                    mark,
                    edges,
                } => (
                    HEAD_SKIP + u32::from_le_bytes([*first, *second, *mark, 0]),
                    edges,
                ),
            };
            let head = node.index as usize;
            cells[head] = [first, node.value];
            for &(byte, target) in edges {
                cells[head + 1 + usize::from(byte)] = [u32::from(byte), self.target(target)];
            }
        }
        let header = [
            self.target(0),
            self.values.len() as u32,
            self.chains,
            cells.len() as u32,
        ];
        let words = header
            .iter()
            .chain(&self.values)
            .chain(&chains)
            .chain(cells.iter().flatten());
        words.flat_map(|word| word.to_le_bytes()).collect()
    }
}

/// The words of a chain.
fn chain(bytes: &[u8], fallback: u32, next: u32) -> [u32; 4] {
    let unused = MAX_LITERAL - bytes.len();
    let mut literal = [0; MAX_LITERAL];
    literal[unused..].copy_from_slice(bytes);
    let literal = u64::from_le_bytes(literal);
    [
        literal as u32,
        (literal >> 32) as u32,
        (fallback << 8) | (8 * unused as u32),
        next | ((bytes.len() as u32) << 24),
    ]
}

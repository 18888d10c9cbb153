// SPDX-License-Identifier: GPL-2.0
//! Automata to tables in the format of [`crate::table`].

use std::collections::HashMap;
use std::prelude::rust_2021::*;
use std::vec;

use super::automaton::{build, Automaton, Built, State, TooLarge};
use super::pattern::Pattern;
use crate::limits::MAX_SPARSE_EDGES;
use crate::table::{CHAIN, DENSE, SINK, SPARSE};

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
    Layout::new(automaton).bytes()
}

/// How a state leaves: everything goes to `default` but a few ranges.
struct Shape {
    default: u32,
    edges: Vec<(u8, u8, u32)>,
}

impl Shape {
    fn of(state: &State) -> Shape {
        let mut counts: HashMap<u32, u32> = HashMap::new();
        let mut first = 0u32;
        for &(last, target) in &state.runs {
            *counts.entry(target).or_default() += u32::from(last) + 1 - first;
            first = u32::from(last) + 1;
        }
        let default = counts
            .into_iter()
            .max_by_key(|&(target, count)| (count, std::cmp::Reverse(target)))
            .map_or(0, |(target, _)| target);
        let mut edges = Vec::new();
        let mut low = 0u8;
        for &(last, target) in &state.runs {
            if target != default {
                edges.push((low, last, target));
            }
            low = last.wrapping_add(1);
        }
        Shape { default, edges }
    }

    /// The byte and the state it leads to, if all others lead to the default.
    fn literal(&self) -> Option<(u8, u32)> {
        match self.edges.as_slice() {
            [(low, high, target)] if low == high => Some((*low, *target)),
            _ => None,
        }
    }
}

/// A node of the table whose targets are still states.
struct Node {
    kind: u32,
    count: u32,
    value: u32,
    data: u32,
    default: u32,
}

struct Layout<'a> {
    automaton: &'a Automaton,
    shapes: Vec<Shape>,
    /// How many nodes refer to a state.
    referrers: Vec<u32>,
    /// Node of each state that has one.
    placed: Vec<Option<u32>>,
    nodes: Vec<Node>,
    /// Edge words; those in `targets` are still states.
    edges: Vec<u32>,
    targets: Vec<usize>,
    literals: Vec<u8>,
}

impl<'a> Layout<'a> {
    fn new(automaton: &'a Automaton) -> Layout<'a> {
        let shapes: Vec<Shape> = automaton.states.iter().map(Shape::of).collect();
        let mut referrers = vec![0; shapes.len()];
        referrers[0] = 1;
        for shape in &shapes {
            referrers[shape.default as usize] += 1;
            for &(_, _, target) in &shape.edges {
                referrers[target as usize] += 1;
            }
        }
        let mut layout = Layout {
            automaton,
            placed: vec![None; shapes.len()],
            shapes,
            referrers,
            nodes: Vec::new(),
            edges: Vec::new(),
            targets: Vec::new(),
            literals: Vec::new(),
        };
        let mut open = vec![0];
        while let Some(state) = open.pop() {
            layout.place(state, &mut open);
        }
        layout
    }

    fn is_sink(&self, state: u32) -> bool {
        self.automaton.states[state as usize].runs == [(255, state)]
    }

    /// Places `state`, and after a chain the state that must follow it; adds what they refer to to `open`.
    fn place(&mut self, state: u32, open: &mut Vec<u32>) {
        let mut next = Some(state);
        while let Some(state) = next.take() {
            if self.placed[state as usize].is_some() {
                return;
            }
            self.placed[state as usize] = Some(self.nodes.len() as u32);
            let value = self.automaton.states[state as usize].value;
            if self.is_sink(state) {
                self.nodes.push(Node {
                    kind: SINK,
                    count: 0,
                    value,
                    data: 0,
                    default: state,
                });
                continue;
            }
            let default = self.shapes[state as usize].default;
            open.push(default);
            let (literal, end) = self.chain(state);
            if literal.is_empty() {
                self.branch(state, open);
                continue;
            }
            let data = self.literal(&literal);
            self.nodes.push(Node {
                kind: CHAIN,
                count: literal.len() as u32,
                value,
                data,
                default,
            });
            next = Some(end);
        }
    }

    /// The longest run of literal bytes from `state`, and the state behind it, which has no node yet: it will be the next one.
    fn chain(&self, state: u32) -> (Vec<u8>, u32) {
        let default = self.shapes[state as usize].default;
        let value = self.automaton.states[state as usize].value;
        let mut literal = Vec::new();
        let mut at = state;
        while let Some((byte, target)) = self.shapes[at as usize].literal() {
            let taken = self.placed[target as usize].is_some();
            if taken || target == state {
                break;
            }
            literal.push(byte);
            at = target;
            // Only a state that nothing else refers to, and that leaves as the first one does, can be inside the chain.
            let inside = self.referrers[at as usize] == 1
                && self.shapes[at as usize].default == default
                && self.automaton.states[at as usize].value == value;
            if !inside {
                break;
            }
        }
        (literal, at)
    }

    /// Literals are not shared: the verifier counts each byte for one node.
    fn literal(&mut self, bytes: &[u8]) -> u32 {
        let at = self.literals.len() as u32;
        self.literals.extend(bytes);
        at
    }

    fn target(&mut self, state: u32, open: &mut Vec<u32>) {
        self.targets.push(self.edges.len());
        self.edges.push(state);
        open.push(state);
    }

    fn branch(&mut self, state: u32, open: &mut Vec<u32>) {
        let Shape { default, edges } = &self.shapes[state as usize];
        let (default, edges) = (*default, edges.clone());
        let low = edges.first().map_or(0, |edge| edge.0);
        let high = edges.last().map_or(0, |edge| edge.1);
        let span = usize::from(high - low) + 1;
        let data = self.edges.len() as u32;
        let dense = edges.len() > MAX_SPARSE_EDGES || span < 2 * edges.len();
        let count = if dense {
            self.edges.push(u32::from(low));
            let mut byte = low;
            for (first, last, target) in edges {
                for _ in byte..first {
                    self.target(default, open);
                }
                for _ in first..=last {
                    self.target(target, open);
                }
                byte = last.wrapping_add(1);
            }
            span
        } else {
            for &(first, last, target) in &edges {
                self.edges.push(u32::from(first) | u32::from(last) << 8);
                self.target(target, open);
            }
            edges.len()
        };
        self.nodes.push(Node {
            kind: if dense { DENSE } else { SPARSE },
            count: count as u32,
            value: self.automaton.states[state as usize].value,
            data,
            default,
        });
    }

    fn node_of(&self, state: u32) -> u32 {
        // Every state that is referred to was put into `open`, so it has a node.
        self.placed[state as usize].unwrap_or(0)
    }

    fn bytes(mut self) -> Vec<u8> {
        for &at in &self.targets {
            self.edges[at] = self.node_of(self.edges[at]);
        }
        let mut words = vec![
            self.nodes.len() as u32,
            self.edges.len() as u32,
            self.literals.len() as u32,
            self.node_of(0),
        ];
        for node in &self.nodes {
            let default = if node.kind == SINK {
                0
            } else {
                self.node_of(node.default)
            };
            words.extend([node.kind | node.count << 8, node.value, node.data, default]);
        }
        words.extend(&self.edges);
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.extend(&self.literals);
        bytes
    }
}

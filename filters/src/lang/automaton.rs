// SPDX-License-Identifier: GPL-2.0
//! Many patterns to one deterministic automaton.
//!
//! The patterns are first put into a trie whose edges are the parts of the patterns, so that equal beginnings are shared, also those of globs.
//! The subset construction then follows only the sets of trie nodes that some string can reach. For plain literals each set has one member and
//! the automaton is the trie. A pattern that can no longer win against an earlier one is dropped from the set at once, which keeps sets small and makes
//! states from which everything has the same value a single one. At the end, states that no string can tell apart are merged.

use std::collections::{BTreeSet, HashMap};
use std::prelude::rust_2021::*;
use std::vec;

use super::pattern::{ByteSet, Part, Pattern};

mod minimise;

pub(crate) use minimise::minimise;

/// States before merging, at most.
pub(crate) const MAX_STATES: usize = 1 << 20;

/// Members of all sets of the subset construction together, not counting the first [`FREE_MEMBERS`] of each: bounds time and memory where patterns
/// multiply each other, long before the states run out.
const MAX_MEMBERS: usize = 1 << 19;

/// Members that a set of plain literals, perhaps beside a few searches, does not exceed.
const FREE_MEMBERS: usize = 4;

/// No pattern.
pub(crate) const NONE: u32 = u32::MAX;

/// A state: its value if the string ends here, and where each byte leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) value: u32,
    /// Last byte of each range and the state it leads to; ascending, ends with 255, neighbours differ.
    pub(crate) runs: Vec<(u8, u32)>,
}

/// A deterministic automaton. State 0 is the start.
#[derive(Clone, Debug)]
pub(crate) struct Automaton {
    pub(crate) states: Vec<State>,
}

/// The automaton would be too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLarge {
    pub(crate) states: usize,
}

/// The automaton, and which patterns it can report at all.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) automaton: Automaton,
    /// Patterns, by index, that decide at least one string.
    pub(crate) deciding: BTreeSet<u32>,
}

/// Builds the automaton of `patterns`, each with the value that it gives. The first pattern that matches wins; where none does the value is 0.
pub(crate) fn build(patterns: &[(&Pattern, u32)]) -> Result<Built, TooLarge> {
    let mut automaton = first_match(patterns.iter().map(|&(pattern, _)| pattern))?;
    let mut deciding = BTreeSet::new();
    for state in &mut automaton.states {
        if state.value == NONE {
            state.value = 0;
        } else {
            deciding.insert(state.value);
            state.value = patterns[state.value as usize].1;
        }
    }
    Ok(Built {
        automaton: minimise(automaton),
        deciding,
    })
}

/// The automaton whose value is the index of the first pattern that matches, or [`NONE`]. States are not merged yet.
pub(crate) fn first_match<'p>(
    patterns: impl IntoIterator<Item = &'p Pattern>,
) -> Result<Automaton, TooLarge> {
    let mut trie = Trie::new();
    for (index, pattern) in patterns.into_iter().enumerate() {
        trie.add(pattern, index as u32);
    }
    trie.finish();
    determinise(&trie)
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Edge {
    Byte(u8),
    One(ByteSet),
    Run,
    Any,
    Directories,
}

struct Node {
    /// Children that follow a byte.
    bytes: Vec<(u8, u32)>,
    sets: Vec<(ByteSet, u32)>,
    /// Children that follow nothing.
    free: Vec<u32>,
    /// Bytes on which the node stays.
    stays: Option<ByteSet>,
    /// The first pattern that ends here.
    ends: u32,
    /// The first pattern that has matched here, whatever follows.
    sinks: u32,
    /// The first pattern that can be reached from here.
    best: u32,
}

struct Trie {
    nodes: Vec<Node>,
    children: HashMap<(u32, Edge), u32>,
}

impl Trie {
    fn new() -> Trie {
        let mut trie = Trie {
            nodes: Vec::new(),
            children: HashMap::new(),
        };
        trie.node(None);
        trie
    }

    fn node(&mut self, stays: Option<ByteSet>) -> u32 {
        self.nodes.push(Node {
            bytes: Vec::new(),
            sets: Vec::new(),
            free: Vec::new(),
            stays,
            ends: NONE,
            sinks: NONE,
            best: NONE,
        });
        (self.nodes.len() - 1) as u32
    }

    fn at(&mut self, node: u32) -> &mut Node {
        &mut self.nodes[node as usize]
    }

    /// The child over `edge`; children always have higher numbers than their parents.
    fn child(&mut self, parent: u32, edge: Edge) -> u32 {
        if let Some(&child) = self.children.get(&(parent, edge)) {
            return child;
        }
        let child = match edge {
            Edge::Byte(byte) => {
                let child = self.node(None);
                self.at(parent).bytes.push((byte, child));
                child
            }
            Edge::One(set) => {
                let child = self.node(None);
                self.at(parent).sets.push((set, child));
                child
            }
            Edge::Run | Edge::Any => {
                let stays = if edge == Edge::Any {
                    ByteSet::ALL
                } else {
                    ByteSet::not_slash()
                };
                let child = self.node(Some(stays));
                self.at(parent).free.push(child);
                child
            }
            Edge::Directories => {
                let inside = self.node(Some(ByteSet::ALL));
                let child = self.node(None);
                self.at(inside).bytes.push((b'/', child));
                self.at(parent).free.extend([inside, child]);
                child
            }
        };
        self.children.insert((parent, edge), child);
        child
    }

    fn literal(&mut self, from: u32, literal: &[u8]) -> u32 {
        literal
            .iter()
            .fold(from, |node, &byte| self.child(node, Edge::Byte(byte)))
    }

    fn add(&mut self, pattern: &Pattern, index: u32) {
        let ends = |node: &mut Node| node.ends = node.ends.min(index);
        let sinks = |node: &mut Node| node.sinks = node.sinks.min(index);
        match pattern {
            Pattern::Equal(literal) => {
                let last = self.literal(0, literal);
                ends(self.at(last));
            }
            Pattern::Prefix(literal) => {
                let last = self.literal(0, literal);
                sinks(self.at(last));
            }
            Pattern::Suffix(literal) => {
                let any = self.child(0, Edge::Any);
                let last = self.literal(any, literal);
                ends(self.at(last));
            }
            Pattern::Contains(literal) => {
                let any = self.child(0, Edge::Any);
                let last = self.literal(any, literal);
                sinks(self.at(last));
            }
            Pattern::Under(tree) => {
                let last = self.literal(0, tree);
                ends(self.at(last));
                let below = self.child(last, Edge::Byte(b'/'));
                sinks(self.at(below));
            }
            Pattern::Glob(parts) => {
                let last = parts.iter().fold(0, |node, part| {
                    let edge = match *part {
                        Part::Byte(byte) => Edge::Byte(byte),
                        Part::One(set) => Edge::One(set),
                        Part::Run => Edge::Run,
                        Part::Any => Edge::Any,
                        Part::Directories => Edge::Directories,
                    };
                    self.child(node, edge)
                });
                // `**` at the very end: whatever follows, it has matched.
                if parts.last() == Some(&Part::Any) {
                    sinks(self.at(last));
                } else {
                    ends(self.at(last));
                }
            }
        }
    }

    /// Computes `best`: children have higher numbers, so one pass from the end suffices.
    fn finish(&mut self) {
        for index in (0..self.nodes.len()).rev() {
            let node = &self.nodes[index];
            let mut best = node.ends.min(node.sinks);
            let targets = node.bytes.iter().map(|&(_, child)| child);
            let targets = targets.chain(node.sets.iter().map(|&(_, child)| child));
            for child in targets.chain(node.free.iter().copied()) {
                best = best.min(self.nodes[child as usize].best);
            }
            self.nodes[index].best = best;
        }
    }
}

/// A set of trie nodes: ascending. `sink` is the first pattern that has matched whatever follows; nodes that cannot beat it are left out.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Members {
    sink: u32,
    nodes: Box<[u32]>,
}

impl Members {
    /// The set of all nodes reached from `sources` over free edges, without those that cannot win.
    fn new(trie: &Trie, mut sources: Vec<u32>, mut sink: u32) -> Members {
        let mut next = 0;
        while let Some(&node) = sources.get(next) {
            sources.extend(&trie.nodes[node as usize].free);
            sink = sink.min(trie.nodes[node as usize].sinks);
            next += 1;
        }
        sources.retain(|&node| trie.nodes[node as usize].best < sink);
        sources.sort_unstable();
        sources.dedup();
        Members {
            sink,
            nodes: sources.into_boxed_slice(),
        }
    }

    fn value(&self, trie: &Trie) -> u32 {
        self.nodes
            .iter()
            .map(|&node| trie.nodes[node as usize].ends)
            .fold(self.sink, u32::min)
    }
}

/// Numbers the sets of the subset construction.
struct Subsets<'t> {
    trie: &'t Trie,
    numbers: HashMap<Members, u32>,
    list: Vec<Members>,
    members: usize,
}

impl Subsets<'_> {
    fn number(&mut self, sources: Vec<u32>, sink: u32) -> u32 {
        let set = Members::new(self.trie, sources, sink);
        if let Some(&number) = self.numbers.get(&set) {
            return number;
        }
        let number = self.list.len() as u32;
        self.members += set.nodes.len().saturating_sub(FREE_MEMBERS);
        self.list.push(set.clone());
        self.numbers.insert(set, number);
        number
    }
}

fn determinise(trie: &Trie) -> Result<Automaton, TooLarge> {
    let mut subsets = Subsets {
        trie,
        numbers: HashMap::new(),
        list: Vec::new(),
        members: 0,
    };
    subsets.number(vec![0], NONE);
    let mut states = Vec::new();
    while let Some(set) = subsets.list.get(states.len()).cloned() {
        if subsets.list.len() > MAX_STATES || subsets.members > MAX_MEMBERS {
            return Err(TooLarge {
                states: subsets.list.len(),
            });
        }
        let value = set.value(trie);
        let Some(runs) = step(&mut subsets, &set) else {
            return Err(TooLarge {
                states: subsets.list.len(),
            });
        };
        states.push(State { value, runs });
    }
    Ok(Automaton { states })
}

/// Where each byte leads from the set. `None` if more sets of bytes meet here than a cell has bits.
fn step(subsets: &mut Subsets<'_>, set: &Members) -> Option<Vec<(u8, u32)>> {
    // Sets of bytes occur many times, but few different ones do: bytes that lie in the same ones behave alike.
    let mut wide: Vec<(ByteSet, Vec<u32>)> = Vec::new();
    let mut narrow: Vec<(u8, u32)> = Vec::new();
    for &node in &set.nodes {
        let data = &subsets.trie.nodes[node as usize];
        narrow.extend(&data.bytes);
        let stays = data.stays.map(|bytes| (bytes, node));
        for (bytes, target) in data.sets.iter().copied().chain(stays) {
            match wide.iter_mut().find(|(found, _)| *found == bytes) {
                Some((_, targets)) => targets.push(target),
                None => wide.push((bytes, vec![target])),
            }
        }
    }
    narrow.sort_unstable();
    let mut runs: Vec<(u8, u32)> = Vec::new();
    if wide.is_empty() {
        literal_step(subsets, set, &narrow, &mut runs);
        return Some(runs);
    }
    if wide.len() > 128 {
        return None;
    }
    let mut next = narrow.as_slice();
    let mut cells: Vec<(u128, u32)> = Vec::new();
    for byte in 0..=255u8 {
        let count = next.iter().take_while(|(found, _)| *found == byte).count();
        let (here, later) = next.split_at(count);
        next = later;
        let inside = wide.iter().enumerate();
        let cell = inside.fold(0u128, |cell, (bit, (bytes, _))| {
            cell | u128::from(bytes.contains(byte)) << bit
        });
        let known = cells
            .iter()
            .find(|(found, _)| here.is_empty() && *found == cell);
        let target = match known {
            Some(&(_, number)) => number,
            None => {
                let mut sources: Vec<u32> = here.iter().map(|&(_, target)| target).collect();
                for (bit, (_, targets)) in wide.iter().enumerate() {
                    if cell >> bit & 1 != 0 {
                        sources.extend(targets);
                    }
                }
                let number = subsets.number(sources, set.sink);
                if here.is_empty() {
                    cells.push((cell, number));
                }
                number
            }
        };
        push_run(&mut runs, byte, target);
    }
    Some(runs)
}

/// The common case: a few bytes lead on, all others to where only what has matched already counts.
fn literal_step(
    subsets: &mut Subsets<'_>,
    set: &Members,
    narrow: &[(u8, u32)],
    runs: &mut Vec<(u8, u32)>,
) {
    let mut at = 0;
    let mut covered: Option<u8> = None;
    while let Some(&(byte, _)) = narrow.get(at) {
        let count = narrow[at..]
            .iter()
            .take_while(|(found, _)| *found == byte)
            .count();
        let sources = narrow[at..at + count]
            .iter()
            .map(|&(_, target)| target)
            .collect();
        let gap = covered.map_or(byte > 0, |last| byte - last > 1);
        if gap {
            let rest = subsets.number(Vec::new(), set.sink);
            push_run(runs, byte - 1, rest);
        }
        let target = subsets.number(sources, set.sink);
        push_run(runs, byte, target);
        covered = Some(byte);
        at += count;
    }
    if covered != Some(u8::MAX) {
        let rest = subsets.number(Vec::new(), set.sink);
        push_run(runs, u8::MAX, rest);
    }
}

/// Adds a run up to the byte `last`, unless it leads to where the one before leads.
pub(crate) fn push_run(runs: &mut Vec<(u8, u32)>, last: u8, target: u32) {
    match runs.last_mut() {
        Some(run) if run.1 == target => run.0 = last,
        _ => runs.push((last, target)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(automaton: &Automaton, input: &[u8]) -> u32 {
        let mut at = 0;
        for &byte in input {
            let runs = &automaton.states[at as usize].runs;
            at = runs
                .iter()
                .find(|(last, _)| byte <= *last)
                .map_or(0, |run| run.1);
        }
        automaton.states[at as usize].value
    }

    fn automaton(patterns: &[Pattern], values: &[u32]) -> Automaton {
        let numbered: Vec<(&Pattern, u32)> = patterns.iter().zip(values.iter().copied()).collect();
        match build(&numbered) {
            Ok(built) => built.automaton,
            Err(TooLarge { states }) => Automaton {
                states: vec![
                    State {
                        value: u32::MAX,
                        runs: Vec::new()
                    };
                    states
                ],
            },
        }
    }

    #[test]
    fn a_search_has_a_state_for_each_byte_found() {
        let search = automaton(&[Pattern::Contains(b"aab".to_vec())], &[1]);
        assert_eq!(search.states.len(), 4);
        for (text, value) in [(&b"aaab"[..], 1), (b"aa", 0), (b"xaabx", 1), (b"aacb", 0)] {
            assert_eq!(lookup(&search, text), value);
        }
    }

    #[test]
    fn equal_ends_with_equal_values_are_one() {
        let ends = [
            Pattern::Equal(b"one/end".to_vec()),
            Pattern::Equal(b"two/end".to_vec()),
        ];
        let same = automaton(&ends, &[1, 1]);
        let different = automaton(&ends, &[1, 2]);
        // The start, two states for each beginning, five for the common end, and the state of no match.
        assert_eq!(same.states.len(), 1 + 4 + 5 + 1);
        assert!(different.states.len() > same.states.len());
        assert_eq!(lookup(&different, b"two/end"), 2);
    }

    #[test]
    fn a_pattern_that_cannot_win_leaves_no_states() {
        let tree = Pattern::under(b"/home");
        let inner = Pattern::glob(b"/home/**/x*y*z").unwrap_or(Pattern::Equal(Vec::new()));
        let alone = automaton(std::slice::from_ref(&tree), &[1]);
        let both = automaton(&[tree, inner], &[1, 2]);
        assert_eq!(both.states, alone.states);
    }
}

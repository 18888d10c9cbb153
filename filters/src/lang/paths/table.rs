// SPDX-License-Identifier: GPL-2.0
//! From places to tables: the rights at every path.

use std::collections::{BTreeSet, HashMap};
use std::prelude::rust_2021::*;
use std::vec;

use super::super::automaton::{first_match, minimise, push_run, Automaton, State, TooLarge, NONE};
use super::super::pattern::Pattern;
use super::super::table::encode;
use super::rights::{DECIDED, INSIDE, LOOSE, NAME, STATE_SHIFT, WRITE};

/// The rights at every path, before they are made a table.
pub(crate) struct Landscape {
    /// Its values are rights.
    automaton: Automaton,
    /// Patterns, by index, that decide about at least one path.
    pub(crate) deciding: BTreeSet<u32>,
}

impl Landscape {
    /// The first pattern that matches gives the rights.
    pub(crate) fn new(patterns: &[(Pattern, u32)]) -> Result<Landscape, TooLarge> {
        let mut automaton = first_match(patterns.iter().map(|(pattern, _)| pattern))?;
        let mut deciding = BTreeSet::new();
        for state in &mut automaton.states {
            state.value = if state.value == NONE {
                0
            } else {
                deciding.insert(state.value);
                patterns[state.value as usize].1
            };
        }
        Ok(Landscape {
            automaton,
            deciding,
        })
    }

    /// The table of those rights that are in `mask`.
    pub(crate) fn rights(&self, mask: u32) -> Vec<u8> {
        let mut masked = self.automaton.clone();
        for state in &mut masked.states {
            state.value &= mask;
        }
        encode(&minimise(masked))
    }

    /// The table of all rights, with what is to be known of the directory and the number of the state behind a slash.
    pub(crate) fn names(&self, part: Part) -> Result<Vec<u8>, TooLarge> {
        let mut smallest = minimise(with_directory(&self.automaton, part));
        let states = smallest.states.len();
        if states >= 1 << (u32::BITS - STATE_SHIFT) {
            return Err(TooLarge { states });
        }
        let behind: Vec<u32> = smallest
            .states
            .iter()
            .map(|state| (target(state, b'/') + 1) << STATE_SHIFT)
            .collect();
        for (state, behind) in smallest.states.iter_mut().zip(behind) {
            // The smallest automaton stays the smallest: states that are alike have successors that are.
            if part != Part::Whole || state.value & NAME != 0 {
                state.value |= behind;
            }
        }
        Ok(encode(&smallest))
    }
}

/// What a table is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// It knows all places.
    Whole,
    /// It knows the places that win, and leaves all else to a second table.
    First,
    /// It knows the other places.
    Second,
}

impl Part {
    /// What a path in a directory with these rights has to know of it.
    fn mark(self, directory: u32) -> u32 {
        let writable = directory & WRITE != 0;
        match self {
            Part::Whole if writable => NAME,
            Part::First | Part::Second if writable => INSIDE,
            Part::First if directory & DECIDED == 0 => LOOSE,
            _ => 0,
        }
    }

    fn value(self, rights: u32, mark: u32) -> u32 {
        match self {
            Part::Whole if rights & WRITE == 0 => rights,
            _ => rights | mark,
        }
    }
}

fn target(state: &State, byte: u8) -> u32 {
    let run = state.runs.iter().find(|&&(last, _)| byte <= last);
    // Runs end with 255, so there is one.
    run.map_or(0, |&(_, target)| target)
}

/// The same automaton, whose states also remember what is to be known of the directory.
fn with_directory(plain: &Automaton, part: Part) -> Automaton {
    let value = |state: u32| plain.states[state as usize].value;
    let mut numbers: HashMap<(u32, u32), u32> = HashMap::new();
    let mut order = vec![(0, 0)];
    numbers.insert((0, 0), 0);
    let mut states = Vec::new();
    while let Some(&(at, mark)) = order.get(states.len()) {
        let state = &plain.states[at as usize];
        let mut number = |target: u32, mark: u32| {
            *numbers.entry((target, mark)).or_insert_with(|| {
                order.push((target, mark));
                (order.len() - 1) as u32
            })
        };
        // The first slash of a path is its own directory.
        let root = states.is_empty();
        let mut runs = Vec::with_capacity(state.runs.len() + 2);
        let mut low = 0u8;
        for &(last, target) in &state.runs {
            if low <= b'/' && b'/' <= last {
                if low < b'/' {
                    push_run(&mut runs, b'/' - 1, number(target, mark));
                }
                let behind = part.mark(value(if root { target } else { at }));
                push_run(&mut runs, b'/', number(target, behind));
                if b'/' < last {
                    push_run(&mut runs, last, number(target, mark));
                }
            } else {
                push_run(&mut runs, last, number(target, mark));
            }
            low = last.wrapping_add(1);
        }
        states.push(State {
            value: part.value(state.value, mark),
            runs,
        });
    }
    Automaton { states }
}

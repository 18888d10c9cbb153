// SPDX-License-Identifier: GPL-2.0
//! The smallest automaton that gives every string the same value.

use std::collections::HashMap;
use std::mem;
use std::prelude::rust_2021::*;
use std::vec;

use super::{push_run, Automaton, State};

/// The runs of a state with classes in the place of states: equal looks are not told apart.
type Look = Vec<(u8, u32)>;

/// Merges states that no string can tell apart: partition refinement, in which only states whose successors have moved to another class are looked
/// at again.
pub(crate) fn minimise(automaton: Automaton) -> Automaton {
    let states = automaton.states;
    let mut class: Vec<u32> = vec![0; states.len()];
    let mut classes = 0;
    {
        let mut by_value = HashMap::new();
        for (state, class) in states.iter().zip(&mut class) {
            *class = *by_value.entry(state.value).or_insert_with(|| {
                classes += 1;
                classes - 1
            });
        }
    }
    let mut predecessors: Vec<Vec<u32>> = vec![Vec::new(); states.len()];
    for (index, state) in states.iter().enumerate() {
        for &(_, target) in &state.runs {
            predecessors[target as usize].push(index as u32);
        }
    }
    let signature = |state: u32, class: &[u32]| {
        let mut runs = Vec::new();
        for &(last, target) in &states[state as usize].runs {
            push_run(&mut runs, last, class[target as usize]);
        }
        runs
    };

    // What the members of a class look like that are not to be looked at again, and how many there are.
    let mut settled: Vec<Option<Look>> = vec![None; classes as usize];
    let mut settled_members = vec![0usize; classes as usize];
    let mut dirty: Vec<u32> = (0..states.len() as u32).collect();
    let mut is_dirty = vec![true; states.len()];
    while !dirty.is_empty() {
        let mut groups: HashMap<(u32, Look), Vec<u32>> = HashMap::new();
        for &state in &dirty {
            is_dirty[state as usize] = false;
            let key = (class[state as usize], signature(state, &class));
            groups.entry(key).or_default().push(state);
        }
        let mut order: Vec<_> = groups.into_iter().collect();
        // The largest group of a class comes first and may keep the class; states make the order the same in every run.
        order.sort_unstable_by_key(|((class, _), members)| {
            (*class, std::cmp::Reverse(members.len()), members[0])
        });
        let mut moved = Vec::new();
        for ((old, look), members) in order {
            let old_index = old as usize;
            let free = settled_members[old_index] == 0;
            if free || settled[old_index].as_ref() == Some(&look) {
                settled_members[old_index] += members.len();
                settled[old_index] = Some(look);
                continue;
            }
            let new = classes;
            classes += 1;
            settled_members.push(members.len());
            settled.push(Some(look));
            for &state in &members {
                class[state as usize] = new;
            }
            moved.extend(members);
        }
        dirty.clear();
        for state in moved {
            for &before in &predecessors[state as usize] {
                if !mem::replace(&mut is_dirty[before as usize], true) {
                    settled_members[class[before as usize] as usize] -= 1;
                    dirty.push(before);
                }
            }
        }
    }
    renumber(&states, &class)
}

/// One state for each class, numbered in the order in which a walk from the start meets them.
fn renumber(states: &[State], class: &[u32]) -> Automaton {
    let mut numbers: HashMap<u32, u32> = HashMap::new();
    let mut order = vec![0u32];
    numbers.insert(class[0], 0);
    let mut merged = Vec::new();
    while let Some(&state) = order.get(merged.len()) {
        let state = &states[state as usize];
        let mut runs = Vec::new();
        for &(last, target) in &state.runs {
            let number = *numbers.entry(class[target as usize]).or_insert_with(|| {
                order.push(target);
                (order.len() - 1) as u32
            });
            push_run(&mut runs, last, number);
        }
        merged.push(State {
            value: state.value,
            runs,
        });
    }
    Automaton { states: merged }
}

// SPDX-License-Identifier: GPL-2.0
//! What becomes of each state: a sink, a chain, a branch, or a skip.

use std::prelude::rust_2021::*;
use std::vec;

use super::super::automaton::State;
use crate::table::{MAX_LITERAL, MAX_STOPS};

/// How a state leaves.
pub(super) enum Shape {
    /// Never.
    Sink,
    /// By a few bytes in a row; where the string is another, as the fallback does.
    Chain {
        literal: Vec<u8>,
        next: u32,
        fallback: u32,
    },
    /// By the edge of a byte, or to `default`.
    Branch { default: u32, edges: Vec<(u8, u32)> },
    /// By a stop, or by the mark; all other bytes stay.
    Skip {
        stops: [u8; MAX_STOPS],
        mark: u8,
        edges: Vec<(u8, u32)>,
    },
}

/// A state is like another, to which most of its bytes lead, but for one byte.
#[derive(Clone, Copy)]
struct Link {
    byte: u8,
    next: u32,
    fallback: u32,
}

/// The states of an automaton, and how they could be parts of chains.
pub(super) struct Shapes<'a> {
    states: &'a [State],
    /// Where most bytes of each state lead.
    defaults: Vec<u32>,
    links: Vec<Option<Link>>,
}

impl<'a> Shapes<'a> {
    pub(super) fn of(states: &'a [State]) -> Shapes<'a> {
        let defaults: Vec<u32> = states.iter().map(|state| most(&state.runs)).collect();
        let links = (0..states.len() as u32)
            .map(|state| link(states, &defaults, state))
            .collect();
        Shapes {
            states,
            defaults,
            links,
        }
    }

    pub(super) fn shape(&self, state: u32) -> Shape {
        let runs = &self.states[state as usize].runs;
        if *runs == [(255, state)] {
            return Shape::Sink;
        }
        if let Some(chain) = self.chain(state) {
            return chain;
        }
        let default = self.defaults[state as usize];
        let edges = edges(runs, default);
        if default == state {
            if let Some((stops, mark)) = self.stops(state, &edges) {
                return Shape::Skip { stops, mark, edges };
            }
        }
        Shape::Branch { default, edges }
    }

    /// The stops and the mark of `state`, which most bytes do not leave, if it can be a skip. The fewer stops the better; a slash is the best mark,
    /// because most strings are paths.
    fn stops(&self, state: u32, edges: &[(u8, u32)]) -> Option<([u8; MAX_STOPS], u8)> {
        let all: Vec<u8> = edges.iter().map(|edge| edge.0).collect();
        let marks = edges
            .iter()
            .filter_map(|&edge| Some((self.stops_beside(state, &all, edge)?, edge.0)));
        // A stop is never passed, so it marks nothing.
        let unmarked = all.first().map(|&first| (all.clone(), first));
        let (stops, mark) = marks
            .chain(unmarked)
            .min_by_key(|(stops, mark)| (stops.len(), *mark != b'/'))?;
        // Places that are left over repeat a stop; a zero where there is none is one that stays.
        let first = stops.first().copied().unwrap_or(0);
        let last = stops.last().copied().unwrap_or(0);
        (stops.len() <= MAX_STOPS).then_some(([first, last], mark))
    }

    /// What `state` has to stop at if `mark` is none of it: the other bytes that leave it, and those by which the state that the mark leads to differs.
    /// What a string has done at a stop is then told by whether the mark comes before it.
    fn stops_beside(&self, state: u32, all: &[u8], (mark, marked): (u8, u32)) -> Option<Vec<u8>> {
        let own = &self.states[state as usize].runs;
        let other = &self.states[marked as usize].runs;
        if target(other, mark) != marked {
            return None;
        }
        let mut stops = differences(own, other)?;
        stops.extend(all);
        stops.retain(|&stop| stop != mark);
        stops.sort_unstable();
        stops.dedup();
        Some(stops)
    }

    /// The chain from `state`, if it is worth one: for a single byte a branch is faster.
    fn chain(&self, state: u32) -> Option<Shape> {
        let mut link = self.links[state as usize]?;
        let fallback = link.fallback;
        let mut literal = vec![link.byte];
        while let Some(more) = self.links[link.next as usize] {
            if more.fallback != fallback || literal.len() == MAX_LITERAL {
                break;
            }
            literal.push(more.byte);
            link = more;
        }
        (literal.len() > 1).then_some(Shape::Chain {
            literal,
            next: link.next,
            fallback,
        })
    }
}

fn link(states: &[State], defaults: &[u32], state: u32) -> Option<Link> {
    let own = &states[state as usize];
    let fallback = defaults[state as usize];
    let other = &states[fallback as usize];
    // Most bytes stay at the fallback, so it is no link itself.
    if fallback == state || defaults[fallback as usize] != fallback || own.value != other.value {
        return None;
    }
    // A state that the fallback leads to is where a search begins once more: mostly its byte does not follow, and a branch finds out faster.
    if other.runs.iter().any(|&(_, target)| target == state) {
        return None;
    }
    let (byte, next) = only_difference(&own.runs, &other.runs)?;
    // Behind the end of a string zeros are read.
    (byte != 0).then_some(Link {
        byte,
        next,
        fallback,
    })
}

/// The byte by which the first leads somewhere else than the second, and where to, if there is one such byte.
fn only_difference(own: &[(u8, u32)], other: &[(u8, u32)]) -> Option<(u8, u32)> {
    match differences(own, other)?.as_slice() {
        [byte] => Some((*byte, target(own, *byte))),
        _ => None,
    }
}

/// The bytes by which two states lead to different ones, unless they are more than a few.
fn differences(own: &[(u8, u32)], other: &[(u8, u32)]) -> Option<Vec<u8>> {
    let mut found = Vec::new();
    let (mut own, mut other) = (own.iter().peekable(), other.iter().peekable());
    let mut low = 0u8;
    while let (Some(&&(own_last, own_target)), Some(&&(other_last, other_target))) =
        (own.peek(), other.peek())
    {
        let last = own_last.min(other_last);
        if own_target != other_target {
            found.extend(low..=last.min(low.saturating_add(MAX_STOPS as u8)));
            if found.len() > MAX_STOPS {
                return None;
            }
        }
        if own_last == last {
            own.next();
        }
        if other_last == last {
            other.next();
        }
        low = last.wrapping_add(1);
    }
    Some(found)
}

/// Where `byte` leads.
fn target(runs: &[(u8, u32)], byte: u8) -> u32 {
    let at = runs.partition_point(|&(last, _)| last < byte);
    runs[at].1
}

/// The bytes that do not lead to `default`, and where they do.
fn edges(runs: &[(u8, u32)], default: u32) -> Vec<(u8, u32)> {
    ranges(runs)
        .filter(|&(_, _, target)| target != default)
        .flat_map(|(low, high, target)| (low..=high).map(move |byte| (byte, target)))
        .collect()
}

/// Lowest and highest byte of each run, and the state it leads to.
fn ranges(runs: &[(u8, u32)]) -> impl Iterator<Item = (u8, u8, u32)> + '_ {
    let lowest = |index: usize| match index.checked_sub(1) {
        Some(before) => runs[before].0 + 1,
        None => 0,
    };
    runs.iter()
        .enumerate()
        .map(move |(index, &(last, target))| (lowest(index), last, target))
}

/// The state that most bytes lead to; the first one, if there are several.
fn most(runs: &[(u8, u32)]) -> u32 {
    let mut counts: Vec<(u32, u32)> = ranges(runs)
        .map(|(low, high, target)| (target, u32::from(high - low) + 1))
        .collect();
    counts.sort_unstable();
    let of = |same: &[(u32, u32)]| (same[0].0, same.iter().map(|&(_, count)| count).sum::<u32>());
    counts
        .chunk_by(|one, other| one.0 == other.0)
        .map(of)
        .max_by_key(|&(target, count)| (count, std::cmp::Reverse(target)))
        .map_or(0, |(target, _)| target)
}

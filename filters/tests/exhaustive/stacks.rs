// SPDX-License-Identifier: GPL-2.0
//! All stacks of up to five layers, whatever their layers say.
//!
//! A layer says one of the eight actions, with data by which equal ones are told apart, or nothing. Five layers are enough for any number: what a stack decides is
//! shown to be what the stack without its newest layer decides, met with that layer - the place in the stack included - and after two layers every decision that there
//! can be has been met with every verdict. So a sixth layer meets nothing that a third one has not met.

use std::collections::BTreeSet;

use filters::event::Event;
use filters::record::Record;
use filters::stack::{Decision, Layer, Stack};
use filters::verdict::{Action, Verdict};
use oracle::naive;

/// A layer whose verdict is given.
#[derive(Clone, Copy, Debug)]
struct Says(Option<Verdict>);

impl Layer for Says {
    fn judge(&self, _: &Record<'_>) -> Option<Verdict> {
        self.0
    }

    fn cost(&self, _: Event) -> u32 {
        1
    }
}

const DEPTH: usize = 5;

/// What a layer can say, with data that no other layer of the stack has.
fn sayings(depth: usize) -> Vec<Says> {
    let says = |action| Says(Some(Verdict::new(action, depth as u16 + 1)));
    let mut all: Vec<Says> = Action::ALL.map(says).to_vec();
    all.push(Says(None));
    all
}

struct Walk<'r> {
    record: Record<'r>,
    stacks: usize,
    /// The actions of all pairs of a decision and the verdict that was met with it, by depth.
    met: [BTreeSet<(Action, Option<Action>)>; DEPTH],
}

impl Walk<'_> {
    /// All stacks that begin with these layers.
    fn from(&mut self, stack: &Stack<Says>, before: Decision, said: &mut Vec<Option<u32>>) {
        let depth = stack.len();
        if depth == DEPTH {
            return;
        }
        for layer in sayings(depth) {
            let mut stack = stack.clone();
            stack.push(layer).expect("room");
            let after = stack.evaluate(&self.record);
            said.push(layer.0.map(Verdict::raw));
            self.check(before, layer.0, after, depth, said);
            self.from(&stack, after, said);
            said.pop();
        }
    }

    fn check(
        &mut self,
        before: Decision,
        newest: Option<Verdict>,
        after: Decision,
        depth: usize,
        said: &[Option<u32>],
    ) {
        self.stacks += 1;
        let pair = (before.verdict.action(), newest.map(Verdict::action));
        self.met[depth].insert(pair);
        assert!(
            after.verdict.at_least_as_strict_as(before.verdict),
            "weaker: {said:x?}"
        );
        let strictest = naive::meet(said);
        let expected = strictest.map_or((None, Verdict::ALLOW.raw()), |(layer, raw)| {
            (Some(layer), raw)
        });
        assert_eq!((after.layer, after.verdict.raw()), expected, "{said:x?}");
        // The step from any depth to the next.
        let wins = newest.is_some_and(|newest| {
            before.layer.is_none() || newest.at_least_as_strict_as(before.verdict)
        });
        let step = match newest {
            Some(verdict) if wins => Decision {
                verdict,
                layer: Some(depth),
            },
            _ => before,
        };
        assert_eq!(after, step, "{said:x?}");
    }
}

#[test]
fn law_1_no_stack_is_weakened_by_a_push() {
    let words = [0; 16];
    let mut walk = Walk {
        record: Record::new(Event::SyscallEnter, &words, &[]).expect("16 words"),
        stacks: 0,
        met: Default::default(),
    };
    let empty = Stack::new();
    let nothing = empty.evaluate(&walk.record);
    assert_eq!((nothing.layer, nothing.verdict), (None, Verdict::ALLOW));
    walk.from(&empty, nothing, &mut Vec::new());
    let expected: usize = (1..=DEPTH as u32).map(|depth| 9_usize.pow(depth)).sum();
    assert_eq!(walk.stacks, expected);
    // Every decision has met every verdict once two layers are there, and deeper stacks see no other pair.
    for depth in 1..DEPTH {
        assert_eq!(walk.met[depth].len(), 8 * 9, "at depth {depth}");
    }
}

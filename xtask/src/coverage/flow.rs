// SPDX-License-Identifier: GPL-2.0

//! A function's blocks: stretches of instructions that run together, and whether they have run.
//!
//! The compiler puts a call of the collector into each block that it has when it instruments. Later it adds blocks, moves them and copies them, so what
//! stands between two calls need not run together. Blocks are therefore found from the jumps of the finished code. One without a call has run where there
//! is no other way; where that cannot be told it is left out of account.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use iced_x86::{Decoder, DecoderOptions, FlowControl};

use super::code::{Code, Function};

/// Some bytes of code that run together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) start: u64,
    /// The address behind its last byte.
    pub(crate) end: u64,
    /// Whether it has run; none if nobody can tell.
    pub(crate) ran: Option<bool>,
}

/// A block while it is looked at.
struct Node {
    end: u64,
    /// The address to which its call of the collector returns.
    call: Option<u64>,
    /// Blocks that may follow, and whether others, unknown, may as well.
    next: Vec<u64>,
    leaves: bool,
    /// Whether it can be entered from where no jump shows.
    entered: bool,
}

/// The blocks of `function`, given the calls that have returned. None if it is not instrumented.
pub(crate) fn blocks(
    function: &Function,
    code: &Code,
    seen: &BTreeSet<u64>,
) -> Result<Option<Vec<Block>>> {
    let range = function.start..function.end();
    if code.calls.range(range.clone()).next().is_none() {
        return Ok(None);
    }
    let steps = steps(function, code)?;
    let mut leaders: BTreeSet<u64> = code.entries.range(range.clone()).copied().collect();
    leaders.insert(function.start);
    for (at, step) in &steps {
        leaders.extend(step.jump);
        if step.ends {
            leaders.insert(step.next);
        }
        // A second call in what would be one block shows that something between them may not return.
        if code.calls.contains(&step.next)
            && let Some(leader) = leaders.range(..=at).next_back()
            && code.calls.range(leader + 1..at + 1).next().is_some()
        {
            leaders.insert(*at);
        }
    }
    leaders.remove(&function.end());
    if let Some(at) = leaders.iter().find(|at| !steps.contains_key(at)) {
        bail!("{}: {at:#x} is no instruction", function.name);
    }
    let nodes = nodes(function, code, &steps, &leaders);
    Ok(Some(settle(&nodes, seen)))
}

/// One instruction.
struct Step {
    next: u64,
    /// Where it may jump to.
    jump: Option<u64>,
    /// Whether a block ends with it, and whether the next instruction may follow.
    ends: bool,
    falls: bool,
    /// Whether it may leave the function, or go nobody knows where.
    leaves: bool,
}

fn steps(function: &Function, code: &Code) -> Result<BTreeMap<u64, Step>> {
    let mut decoder = Decoder::with_ip(64, &function.bytes, function.start, DecoderOptions::NONE);
    let mut steps = BTreeMap::new();
    while decoder.can_decode() {
        let instruction = decoder.decode();
        if instruction.is_invalid() {
            bail!(
                "{}: no instruction at {:#x}",
                function.name,
                instruction.ip()
            );
        }
        let patched = code
            .patched
            .range(instruction.ip()..instruction.next_ip())
            .next()
            .is_some();
        let inside = |to: u64| !patched && (function.start..function.end()).contains(&to);
        let target = instruction.near_branch_target();
        let (jump, ends, falls, leaves) = match instruction.flow_control() {
            FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall => {
                (None, false, true, false)
            }
            FlowControl::ConditionalBranch if inside(target) => (Some(target), true, true, false),
            FlowControl::UnconditionalBranch if inside(target) => {
                (Some(target), true, false, false)
            }
            FlowControl::ConditionalBranch => (None, true, true, true),
            // Returns, tail calls, traps, and whatever else.
            _ => (None, true, false, true),
        };
        steps.insert(
            instruction.ip(),
            Step {
                next: instruction.next_ip(),
                jump,
                ends,
                falls,
                leaves,
            },
        );
    }
    Ok(steps)
}

fn nodes(
    function: &Function,
    code: &Code,
    steps: &BTreeMap<u64, Step>,
    leaders: &BTreeSet<u64>,
) -> BTreeMap<u64, Node> {
    let mut nodes = BTreeMap::new();
    let mut starts = leaders.range(..function.end()).copied().peekable();
    while let Some(start) = starts.next() {
        let end = starts.peek().copied().unwrap_or(function.end());
        let mut node = Node {
            end,
            call: code.calls.range(start + 1..=end).next().copied(),
            next: Vec::new(),
            leaves: false,
            entered: start == function.start || code.entries.contains(&start),
        };
        if let Some((_, last)) = steps.range(start..end).next_back() {
            node.next.extend(last.jump);
            node.leaves = last.leaves;
            if last.falls && last.next < function.end() {
                node.next.push(last.next);
            }
        }
        nodes.insert(start, node);
    }
    nodes
}

/// What the calls say, and what follows from it.
fn settle(nodes: &BTreeMap<u64, Node>, seen: &BTreeSet<u64>) -> Vec<Block> {
    let mut ran: BTreeMap<u64, bool> = nodes
        .iter()
        .filter_map(|(&start, node)| Some((start, seen.contains(&node.call?))))
        .collect();
    let mut before: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for (&start, node) in nodes {
        for next in &node.next {
            before.entry(*next).or_default().push(start);
        }
    }
    loop {
        let mut learnt = Vec::new();
        for (&start, node) in nodes {
            if ran.contains_key(&start) {
                continue;
            }
            let known = |at: &u64| ran.get(at).copied();
            let from = before.get(&start).map_or(&[][..], Vec::as_slice);
            let only = |at: &u64| {
                nodes
                    .get(at)
                    .is_some_and(|node| node.next == [start] && !node.leaves)
            };
            let alone = |at: &u64| {
                before.get(at).is_some_and(|from| from[..] == [start])
                    && nodes.get(at).is_some_and(|node| !node.entered)
            };
            // Somebody who had nowhere else to go, or to whom there is no other way.
            let yes = from.iter().any(|at| known(at) == Some(true) && only(at))
                || node
                    .next
                    .iter()
                    .any(|at| known(at) == Some(true) && alone(at));
            // Nobody came from anywhere, or nobody arrived anywhere. What nobody can come to is padding.
            let no = (!node.entered
                && !from.is_empty()
                && from.iter().all(|at| known(at) == Some(false)))
                || (!node.leaves
                    && !node.next.is_empty()
                    && node.next.iter().all(|at| known(at) == Some(false)));
            if yes || no {
                learnt.push((start, yes));
            }
        }
        if learnt.is_empty() {
            break;
        }
        ran.extend(learnt);
    }
    nodes
        .iter()
        .map(|(&start, node)| Block {
            start,
            end: node.end,
            ran: ran.get(&start).copied(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls that the linker fills in stand as `e8 00 00 00 00`.
    fn code(bytes: &[u8], calls: &[u64]) -> (Function, Code) {
        let function = Function {
            name: "f".to_owned(),
            start: 0x1000,
            bytes: bytes.to_vec(),
        };
        let code = Code {
            calls: calls.iter().map(|at| 0x1000 + at).collect(),
            patched: calls.iter().map(|at| 0x1000 + at - 4).collect(),
            ..Code::default()
        };
        (function, code)
    }

    fn shown(function: &Function, code: &Code, seen: &[u64]) -> Vec<(u64, u64, Option<bool>)> {
        let seen = seen.iter().map(|at| 0x1000 + at).collect();
        blocks(function, code, &seen)
            .expect("readable code")
            .expect("instrumented")
            .iter()
            .map(|block| (block.start - 0x1000, block.end - 0x1000, block.ran))
            .collect()
    }

    /// call; je 8; (then) call; ret; (else, at 13) call; ret
    const FORK: [u8; 19] = [
        0xe8, 0, 0, 0, 0, 0x74, 0x06, 0xe8, 0, 0, 0, 0, 0xc3, 0xe8, 0, 0, 0, 0, 0xc3,
    ];

    #[test]
    fn each_branch_is_known_by_its_own_call() {
        let (function, code) = code(&FORK, &[5, 12, 18]);
        assert_eq!(
            shown(&function, &code, &[5, 18]),
            [
                (0, 7, Some(true)),
                (7, 13, Some(false)),
                (13, 19, Some(true))
            ]
        );
    }

    #[test]
    fn branch_without_a_call_is_left_out_of_account() {
        // call; je 8; nop; (at 8) call; ret: the nop may have run or not.
        let bytes = [0xe8, 0, 0, 0, 0, 0x74, 0x01, 0x90, 0xe8, 0, 0, 0, 0, 0xc3];
        let (function, code) = code(&bytes, &[5, 13]);
        assert_eq!(
            shown(&function, &code, &[5, 13]),
            [(0, 7, Some(true)), (7, 8, None), (8, 14, Some(true))]
        );
        // What nobody came to has not run.
        assert_eq!(
            shown(&function, &code, &[]),
            [
                (0, 7, Some(false)),
                (7, 8, Some(false)),
                (8, 14, Some(false))
            ]
        );
    }

    #[test]
    fn the_only_way_to_what_ran_has_run() {
        // call; jmp 8 (at 7: ret, unreachable); (at 8) nop; jmp 11; call; ret
        let bytes = [
            0xe8, 0, 0, 0, 0, 0xeb, 0x01, 0xc3, 0x90, 0xeb, 0x00, 0xe8, 0, 0, 0, 0, 0xc3,
        ];
        let (function, code) = code(&bytes, &[5, 16]);
        assert_eq!(
            shown(&function, &code, &[5]),
            [
                (0, 7, Some(true)),
                (7, 8, None),
                (8, 11, Some(true)),
                (11, 17, Some(false))
            ]
        );
    }

    #[test]
    fn call_that_does_not_return_ends_what_ran() {
        // call collector; call other; call collector; ret
        let bytes = [0xe8, 0, 0, 0, 0, 0xe8, 0, 0, 0, 0, 0xe8, 0, 0, 0, 0, 0xc3];
        let (function, code) = code(&bytes, &[5, 15]);
        assert_eq!(
            shown(&function, &code, &[5]),
            [(0, 10, Some(true)), (10, 16, Some(false))]
        );
    }

    #[test]
    fn way_out_of_the_function_leaves_the_next_block_untold() {
        // call; jne elsewhere; (at 7) nop; ret: it may have gone elsewhere before the nop.
        let bytes = [0xe8, 0, 0, 0, 0, 0x75, 0x70, 0x90, 0xc3];
        let (function, code) = code(&bytes, &[5]);
        assert_eq!(
            shown(&function, &code, &[5]),
            [(0, 7, Some(true)), (7, 9, None)]
        );
    }

    #[test]
    fn block_that_is_entered_from_elsewhere_says_nothing_of_the_one_before() {
        // call; je 8; (at 7) nop; (at 8) call; ret. Without the branch the nop is the only way to the end, unless that is entered through a table.
        let bytes = [
            0xe8, 0, 0, 0, 0, 0x74, 0x03, 0x90, 0xeb, 0x01, 0xc3, 0xe8, 0, 0, 0, 0, 0xc3,
        ];
        let (function, mut code) = code(&bytes, &[5, 16]);
        let untold = [
            (0, 7, Some(true)),
            (7, 10, Some(true)),
            (10, 11, None),
            (11, 17, Some(true)),
        ];
        assert_eq!(shown(&function, &code, &[5, 16]), untold);
        code.entries.insert(0x1000 + 11);
        assert_eq!(shown(&function, &code, &[5, 16])[1].2, None);
        // What a table leads to may have run although nobody came to it from above.
        code.entries.insert(0x1000 + 7);
        assert_eq!(shown(&function, &code, &[16])[1].2, None);
    }

    #[test]
    fn jump_that_the_linker_fills_in_leads_out() {
        // call; jmp (patched, as it stands: to 10); (at 10) call; ret
        let bytes = [0xe8, 0, 0, 0, 0, 0xe9, 0, 0, 0, 0, 0xe8, 0, 0, 0, 0, 0xc3];
        let (function, mut code) = code(&bytes, &[5, 15]);
        code.patched.insert(0x1000 + 6);
        code.entries.insert(0x1000 + 10);
        let nodes = shown(&function, &code, &[5]);
        assert_eq!(nodes, [(0, 10, Some(true)), (10, 16, Some(false))]);
        let steps = steps(&function, &code).expect("readable");
        assert!(steps[&0x1005].leaves && steps[&0x1005].jump.is_none());
    }

    #[test]
    fn function_without_a_call_has_no_blocks() {
        let (mut function, code) = code(&FORK, &[5]);
        function.start = 0x9000;
        assert_eq!(
            blocks(&function, &code, &BTreeSet::new()).expect("readable"),
            None
        );
    }
}

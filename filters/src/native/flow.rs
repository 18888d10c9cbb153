// SPDX-License-Identifier: GPL-2.0
//! What is known of a program where each of its instructions begins.
//!
//! Jumps only go forward, so one pass sees all ways to an instruction before the instruction itself, as in the verifier.

use crate::event::Schema;
use crate::insn::*;
use crate::limits::MAX_INSNS;
use crate::program::Program;

/// What the lowering keeps of one instruction: below where its code begins, above what is known there.
type Node = u64;

/// Some way leads here.
const ARRIVED: Node = 1 << 16;
/// More than one does.
const SHARED: Node = 1 << 17;
/// Nothing has been written to A on some of them.
const A_UNSET: Node = 1 << 18;
/// Nothing has been written to X on some of them.
const X_UNSET: Node = 1 << 19;
/// Code leads here, so it needs code of its own. What a row of comparisons covers, for example, does not.
const NEEDED: Node = 1 << 20;
/// Above: one more than the word of the record that A holds on all of them; 0 if there is none.
const HELD_SHIFT: u32 = 32;

/// What holds on one way.
#[derive(Clone, Copy)]
struct State {
    a_unset: bool,
    x_unset: bool,
    held: u16,
}

impl State {
    const fn node(self) -> Node {
        let mut node = ARRIVED | (self.held as Node) << HELD_SHIFT;
        if self.a_unset {
            node |= A_UNSET;
        }
        if self.x_unset {
            node |= X_UNSET;
        }
        node
    }
}

/// What is kept of the instructions of one program.
pub(super) struct Nodes<'w>(&'w mut [Node]);

impl<'w> Nodes<'w> {
    pub(super) fn new(memory: &'w mut [Node]) -> Nodes<'w> {
        Nodes(memory)
    }

    fn get(&self, at: usize) -> Node {
        self.0.get(at).copied().unwrap_or(0)
    }

    fn arrive(&mut self, at: usize, state: State) -> Option<()> {
        let node = self.0.get_mut(at)?;
        let new = state.node();
        *node = if *node & ARRIVED == 0 {
            new
        } else {
            let held = if *node >> HELD_SHIFT == new >> HELD_SHIFT {
                *node >> HELD_SHIFT << HELD_SHIFT
            } else {
                0
            };
            held | SHARED | ARRIVED | (*node | new) & (A_UNSET | X_UNSET)
        };
        Some(())
    }

    fn state(&self, at: usize) -> Option<State> {
        let node = self.get(at);
        (node & ARRIVED != 0).then_some(State {
            a_unset: node & A_UNSET != 0,
            x_unset: node & X_UNSET != 0,
            held: (node >> HELD_SHIFT) as u16,
        })
    }

    /// Whether the instruction needs code.
    pub(super) fn is_needed(&self, at: usize) -> bool {
        self.get(at) & NEEDED != 0
    }

    /// Notes that code leads to the instruction.
    pub(super) fn need(&mut self, at: usize) -> Option<()> {
        *self.0.get_mut(at)? |= NEEDED;
        Some(())
    }

    /// Whether exactly one way leads to it.
    pub(super) fn has_one_way(&self, at: usize) -> bool {
        self.get(at) & (ARRIVED | SHARED) == ARRIVED
    }

    /// Whether A holds the word that the instruction loads, if it loads one.
    pub(super) fn holds(&self, at: usize, insn: Insn) -> bool {
        insn.code == LD | ABS && (self.get(at) >> HELD_SHIFT) as u16 == held(insn.k)
    }

    /// Notes where its code begins.
    pub(super) fn set_place(&mut self, at: usize, place: u16) -> Option<()> {
        let node = self.0.get_mut(at)?;
        *node = *node & !0xffff | Node::from(place);
        Some(())
    }

    /// Where its code begins.
    pub(super) fn place(&self, at: usize) -> u16 {
        self.get(at) as u16
    }
}

/// The number by which a state names the word at this byte offset.
const fn held(offset: u32) -> u16 {
    ((offset >> 2) as u16).wrapping_add(1)
}

/// What a program as a whole needs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flow {
    /// A must be zero at the start: some way reads it before it is written.
    pub(super) zero_a: bool,
    /// X must be.
    pub(super) zero_x: bool,
    /// Bit by scratch word: it is written.
    pub(super) scratch: u16,
}

/// Follows all ways through `program`.
pub(super) fn follow(program: &Program<'_>, nodes: &mut Nodes<'_>) -> Option<Flow> {
    let len = program.len();
    if len > MAX_INSNS {
        return None;
    }
    nodes.0.get_mut(..len)?.fill(0);
    let schema = program.event().schema();
    let mut flow = Flow::default();
    let mut falling = Some(State {
        a_unset: true,
        x_unset: true,
        held: 0,
    });
    for at in 0..len {
        if let Some(state) = falling {
            nodes.arrive(at, state)?;
        }
        let Some(state) = nodes.state(at) else {
            continue;
        };
        let insn = program.insn(at)?;
        flow.zero_a |= state.a_unset && reads_a(insn);
        flow.zero_x |= state.x_unset && reads_x(insn);
        if matches!(insn.code, ST | STX) {
            flow.scratch |= 1u16.checked_shl(insn.k)?;
        }
        falling = match insn.code & 0x07 {
            RET => None,
            JMP => {
                let (yes, no) = targets(insn, at)?;
                nodes.arrive(yes, state)?;
                if insn.code != JMP | JA {
                    nodes.arrive(no, state)?;
                }
                None
            }
            _ => Some(after(state, insn, schema)),
        };
    }
    // A verified program ends with a return.
    falling.is_none().then_some(flow)
}

/// Where a jump leads: if its condition holds, and if not. An unconditional one leads to the same place twice.
pub(super) fn targets(insn: Insn, at: usize) -> Option<(usize, usize)> {
    let next = at.checked_add(1)?;
    if insn.code == JMP | JA {
        let target = next.checked_add(insn.k as usize)?;
        return Some((target, target));
    }
    let yes = next.checked_add(insn.jt as usize)?;
    let no = next.checked_add(insn.jf as usize)?;
    Some((yes, no))
}

/// Whether the word at this byte offset is found out by a call.
pub(super) fn is_asked_for(schema: &Schema, insn: Insn) -> bool {
    insn.code == LD | ABS && schema.reachable == Some(insn.k)
}

/// The instruction to which control comes from `at` when unconditional jumps are followed. Not to the end where there are very many of them in a row.
pub(super) fn landing(program: &Program<'_>, mut at: usize) -> Option<usize> {
    for _ in 0..4 {
        let insn = program.insn(at)?;
        if insn.code != JMP | JA {
            break;
        }
        at = targets(insn, at)?.0;
    }
    Some(at)
}

fn after(state: State, insn: Insn, schema: &Schema) -> State {
    let txa = insn.code == MISC | TXA;
    match insn.code & 0x07 {
        LD => State {
            a_unset: false,
            held: if insn.code == LD | ABS && !is_asked_for(schema, insn) {
                held(insn.k)
            } else {
                0
            },
            ..state
        },
        ALU => State { held: 0, ..state },
        MISC if txa => State {
            a_unset: false,
            held: 0,
            ..state
        },
        MISC | LDX => State {
            x_unset: false,
            ..state
        },
        _ => state,
    }
}

fn reads_a(insn: Insn) -> bool {
    match insn.code & 0x07 {
        ST | ALU => true,
        JMP => insn.code & EXTENSION == 0 && insn.code != JMP | JA,
        RET => insn.code == RET | A,
        MISC => insn.code == MISC | TAX,
        _ => false,
    }
}

fn reads_x(insn: Insn) -> bool {
    match insn.code & 0x07 {
        STX => true,
        ALU | JMP => insn.code & X != 0,
        MISC => insn.code == MISC | TXA,
        _ => false,
    }
}

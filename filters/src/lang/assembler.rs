// SPDX-License-Identifier: GPL-2.0
//! Instructions with labels instead of offsets. Conditional jumps reach 255 instructions; farther ones go over an unconditional jump beside them.

use std::collections::HashMap;
use std::prelude::rust_2021::*;
use std::vec;

use super::image::Code;
use crate::insn::{Insn, JA, JMP, K, RET};
use crate::limits::MAX_INSNS;

/// A place in the code, bound later. Labels must be bound after all jumps to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Label(u32);

/// Whoever is behind a return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The rule with this index.
    Rule(u32),
    /// One of the rules behind the table: which one, its value for the string tells.
    Table(u32),
    /// The place of a `paths` block that covers the string field; of its statements the one that gives one of these rights.
    Place { field: u8, wanted: u32 },
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Insn(Insn),
    Return {
        verdict: u32,
        origin: Origin,
    },
    Branch {
        code: u16,
        k: u32,
        yes: Label,
        no: Label,
    },
    Goto(Label),
    Bind(Label),
}

/// A program under construction.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    ops: Vec<Op>,
    labels: u32,
    strings: Vec<Vec<u8>>,
    known_strings: HashMap<Vec<u8>, u32>,
    tables: Vec<Vec<u8>>,
}

/// The finished program.
pub(crate) struct Assembled {
    pub(crate) code: Code,
    /// The returns, by instruction.
    pub(crate) returns: Vec<(u32, Origin)>,
}

/// More instructions than a program may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong(pub(crate) usize);

impl Assembler {
    pub(crate) fn label(&mut self) -> Label {
        self.labels += 1;
        Label(self.labels - 1)
    }

    pub(crate) fn bind(&mut self, label: Label) {
        self.ops.push(Op::Bind(label));
    }

    pub(crate) fn insn(&mut self, insn: Insn) {
        self.ops.push(Op::Insn(insn));
    }

    pub(crate) fn ret(&mut self, verdict: u32, origin: Origin) {
        self.ops.push(Op::Return { verdict, origin });
    }

    pub(crate) fn goto(&mut self, label: Label) {
        self.ops.push(Op::Goto(label));
    }

    /// Jumps to `yes` if the condition of `code` holds, else to `no`.
    pub(crate) fn branch(&mut self, code: u16, k: u32, yes: Label, no: Label) {
        if yes == no {
            self.goto(yes);
        } else {
            self.ops.push(Op::Branch { code, k, yes, no });
        }
    }

    /// The index of a string constant; equal ones are stored once.
    pub(crate) fn string(&mut self, bytes: &[u8]) -> u32 {
        if let Some(&index) = self.known_strings.get(bytes) {
            return index;
        }
        let index = self.strings.len() as u32;
        self.strings.push(bytes.to_vec());
        self.known_strings.insert(bytes.to_vec(), index);
        index
    }

    pub(crate) fn strings(&self) -> usize {
        self.strings.len()
    }

    pub(crate) fn tables(&self) -> usize {
        self.tables.len()
    }

    /// The index of a table; equal ones are stored once.
    pub(crate) fn table(&mut self, bytes: Vec<u8>) -> u32 {
        if let Some(index) = self.tables.iter().position(|table| *table == bytes) {
            return index as u32;
        }
        self.tables.push(bytes);
        (self.tables.len() - 1) as u32
    }

    /// Fixes the offsets.
    pub(crate) fn finish(self) -> Result<Assembled, TooLong> {
        let ops = drop_empty_gotos(self.ops);
        // Far branches only ever become more: each turn of the loop adds one or is the last.
        let mut far = vec![(false, false); ops.len()];
        let places = loop {
            let (places, len) = places(&ops, &far, self.labels);
            if len > MAX_INSNS {
                return Err(TooLong(len));
            }
            if !lengthen(&ops, &mut far, &places) {
                break places;
            }
        };
        let mut insns = Vec::new();
        let mut returns = Vec::new();
        for (op, &(far_yes, far_no)) in ops.iter().zip(&far) {
            let at = insns.len();
            let distance = |from: usize, label: Label| places[label.0 as usize] - from - 1;
            match *op {
                Op::Bind(_) => {}
                Op::Insn(insn) => insns.push(insn),
                Op::Return { verdict, origin } => {
                    returns.push((at as u32, origin));
                    insns.push(Insn::stmt(RET | K, verdict));
                }
                Op::Goto(label) => insns.push(Insn::stmt(JMP | JA, distance(at, label) as u32)),
                Op::Branch { code, k, yes, no } => {
                    let jump_no = at + 1 + usize::from(far_yes);
                    let jt = if far_yes { 0 } else { distance(at, yes) };
                    let jf = if far_no {
                        jump_no - at - 1
                    } else {
                        distance(at, no)
                    };
                    insns.push(Insn::jump(code, k, jt as u8, jf as u8));
                    if far_yes {
                        insns.push(Insn::stmt(JMP | JA, distance(at + 1, yes) as u32));
                    }
                    if far_no {
                        insns.push(Insn::stmt(JMP | JA, distance(jump_no, no) as u32));
                    }
                }
            }
        }
        Ok(Assembled {
            code: Code {
                insns,
                strings: self.strings,
                tables: self.tables,
            },
            returns,
        })
    }
}

/// Without jumps to the very next instruction.
fn drop_empty_gotos(ops: Vec<Op>) -> Vec<Op> {
    let mut kept: Vec<Op> = Vec::with_capacity(ops.len());
    for op in ops {
        if let Op::Bind(label) = op {
            // Labels that are bound at the same place lie between the jump and here.
            let before = kept
                .iter()
                .rposition(|op| !matches!(op, Op::Bind(_)))
                .filter(|&at| matches!(kept[at], Op::Goto(target) if target == label));
            if let Some(at) = before {
                kept.remove(at);
            }
        }
        kept.push(op);
    }
    kept
}

/// The instruction at each label, and the number of all.
fn places(ops: &[Op], far: &[(bool, bool)], labels: u32) -> (Vec<usize>, usize) {
    let mut places = vec![0; labels as usize];
    let mut at = 0;
    for (op, far) in ops.iter().zip(far) {
        match op {
            Op::Bind(label) => places[label.0 as usize] = at,
            Op::Branch { .. } => at += 1 + usize::from(far.0) + usize::from(far.1),
            _ => at += 1,
        }
    }
    (places, at)
}

/// Marks branches that do not reach their target; tells whether there were any.
fn lengthen(ops: &[Op], far: &mut [(bool, bool)], places: &[usize]) -> bool {
    let mut changed = false;
    let mut at = 0;
    for (op, far) in ops.iter().zip(far) {
        match op {
            Op::Bind(_) => {}
            Op::Branch { yes, no, .. } => {
                let reaches = |label: &Label| places[label.0 as usize] - at - 1 <= 255;
                let before = *far;
                far.0 |= !reaches(yes);
                far.1 |= !reaches(no);
                changed |= *far != before;
                at += 1 + usize::from(before.0) + usize::from(before.1);
            }
            _ => at += 1,
        }
    }
    changed
}

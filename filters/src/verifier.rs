// SPDX-License-Identifier: GPL-2.0
//! The verifier: what a program must be before it may run.
//!
//! The classic part refuses what `bpf_check_classic` (`net/core/filter.c`) and `seccomp_check_filter` (`kernel/seccomp.c`) refuse, with the same
//! errno. Each instruction is looked at once: jumps only go forward, so a single pass sees every path in the order in which it can run.

use crate::event::Schema;
use crate::insn::*;
use crate::limits::{
    COMPARE_COST, LAYER_COST, MATCH_COST, MAX_INSNS, MAX_NEEDLE_BYTES, MAX_STACK_COST,
    MAX_STRING_BYTES, SCRATCH_WORDS, SEARCH_COST,
};
use crate::program::Program;
use crate::refusal::{Reason, Refusal};
use crate::verdict::{Action, ACTION_MASK, DATA_MASK};

/// What the verifier has found out about a program that it accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// What one run costs at most.
    pub(crate) cost: u32,
    /// Whether it asks for an id of the caller.
    pub(crate) asks_for_caller: bool,
    /// Bit by word of the record: it reads that word.
    pub(crate) words: u32,
}

/// Accepts the program that the view shows, or refuses it.
pub(crate) fn verify(
    program: &Program<'_>,
    workspace: &mut Workspace,
) -> Result<Findings, Refusal> {
    pool(program)?;
    let refuse = |insn, reason| Refusal::at(program.event(), insn, reason);
    let schema = program.event().schema();
    let len = program.len();
    let mut scratch = Scratch::new(workspace, len);
    let mut findings = Findings {
        cost: LAYER_COST,
        asks_for_caller: false,
        words: 0,
    };
    for at in 0..len {
        let insn = program.insn(at).ok_or(refuse(at, Reason::JumpOutside))?;
        instruction(program, schema, insn).map_err(|reason| refuse(at, reason))?;
        jumps(insn, at, len).map_err(|reason| refuse(at, reason))?;
        scratch
            .step(insn, at)
            .map_err(|reason| refuse(at, reason))?;
        findings.cost = findings.cost.saturating_add(cost_of(insn));
        findings.asks_for_caller |= insn.code == SELF;
        if insn.code == LD | ABS {
            findings.words |= 1u32.checked_shl(insn.k >> 2).unwrap_or(0);
        }
    }
    if findings.cost > MAX_STACK_COST {
        return Err(Refusal::program(program.event(), Reason::TooCostly));
    }
    // Forward jumps that stay inside, and a return at the very end: every path returns.
    let last = len.saturating_sub(1);
    match program.insn(last) {
        Some(insn) if insn.code & 0x07 == RET && insn.code & EXTENSION == 0 => Ok(findings),
        _ => Err(refuse(last, Reason::NoReturn)),
    }
}

/// What one run of the instruction costs, in units of a classic one.
fn cost_of(insn: Insn) -> u32 {
    match insn.code {
        SEQ | SPREFIX | SSUFFIX | SUNDER => COMPARE_COST,
        SMATCH => MATCH_COST,
        SCONTAINS => SEARCH_COST,
        _ => 1,
    }
}

/// String constants and tables lie in the pool and are well formed.
///
/// Tables share no bytes, by their sum: however many entries there are, the pool is looked at once.
fn pool(program: &Program<'_>) -> Result<(), Refusal> {
    let refuse = |reason| Refusal::program(program.event(), reason);
    for index in 0..program.strings() {
        match program.string(index) {
            Some(string) if string.len() <= MAX_STRING_BYTES => {}
            _ => return Err(refuse(Reason::BadString(index as u32))),
        }
    }
    let mut unclaimed = program.pool_bytes();
    for index in 0..program.tables() {
        let bad = refuse(Reason::BadTable(index as u32));
        let table = program.table(index).ok_or(bad)?;
        unclaimed = unclaimed.checked_sub(table.bytes()).ok_or(bad)?;
        if !table.verify() {
            return Err(bad);
        }
    }
    Ok(())
}

/// The instruction is known and its operand is valid for this event.
fn instruction(program: &Program<'_>, schema: &Schema, insn: Insn) -> Result<(), Reason> {
    const ALU_ADD_K: u16 = ALU | ADD | K;
    const ALU_ADD_X: u16 = ALU | ADD | X;
    const ALU_SUB_K: u16 = ALU | SUB | K;
    const ALU_SUB_X: u16 = ALU | SUB | X;
    const ALU_MUL_K: u16 = ALU | MUL | K;
    const ALU_MUL_X: u16 = ALU | MUL | X;
    const ALU_DIV_K: u16 = ALU | DIV | K;
    const ALU_DIV_X: u16 = ALU | DIV | X;
    const ALU_AND_K: u16 = ALU | AND | K;
    const ALU_AND_X: u16 = ALU | AND | X;
    const ALU_OR_K: u16 = ALU | OR | K;
    const ALU_OR_X: u16 = ALU | OR | X;
    const ALU_XOR_K: u16 = ALU | XOR | K;
    const ALU_XOR_X: u16 = ALU | XOR | X;
    const ALU_LSH_K: u16 = ALU | LSH | K;
    const ALU_LSH_X: u16 = ALU | LSH | X;
    const ALU_RSH_K: u16 = ALU | RSH | K;
    const ALU_RSH_X: u16 = ALU | RSH | X;
    const ALU_NEG: u16 = ALU | NEG;
    const JMP_JA: u16 = JMP | JA;
    const JMP_JEQ_K: u16 = JMP | JEQ | K;
    const JMP_JEQ_X: u16 = JMP | JEQ | X;
    const JMP_JGT_K: u16 = JMP | JGT | K;
    const JMP_JGT_X: u16 = JMP | JGT | X;
    const JMP_JGE_K: u16 = JMP | JGE | K;
    const JMP_JGE_X: u16 = JMP | JGE | X;
    const JMP_JSET_K: u16 = JMP | JSET | K;
    const JMP_JSET_X: u16 = JMP | JSET | X;
    const LD_ABS: u16 = LD | ABS;
    const LD_LEN: u16 = LD | LEN;
    const LDX_LEN: u16 = LDX | LEN;
    const LD_IMM: u16 = LD | IMM;
    const LDX_IMM: u16 = LDX | IMM;
    const LD_MEM: u16 = LD | MEM;
    const LDX_MEM: u16 = LDX | MEM;
    const MISC_TAX: u16 = MISC | TAX;
    const MISC_TXA: u16 = MISC | TXA;
    const RET_K: u16 = RET | K;
    const RET_A: u16 = RET | A;

    let k = insn.k;
    match insn.code {
        LD_ABS if k >= schema.record_bytes || k & 3 != 0 => Err(Reason::LoadOutsideRecord(k)),
        LD_MEM | LDX_MEM | ST | STX if k as usize >= SCRATCH_WORDS => Err(Reason::NoSuchScratch(k)),
        ALU_DIV_K if k == 0 => Err(Reason::DivisionByZero),
        ALU_LSH_K | ALU_RSH_K if k >= 32 => Err(Reason::ShiftTooFar(k)),
        RET_K => constant_verdict(schema, k),
        SELF if k != SELF_PROCESS && k != SELF_THREAD => Err(Reason::NoSuchId(k)),
        SELF => Ok(()),
        SEQ | SPREFIX | SSUFFIX | SCONTAINS | SUNDER | SMATCH => string(program, schema, insn),
        LD_ABS | LD_LEN | LDX_LEN | LD_IMM | LDX_IMM | LD_MEM | LDX_MEM | ST | STX => Ok(()),
        ALU_ADD_K | ALU_ADD_X | ALU_SUB_K | ALU_SUB_X | ALU_MUL_K | ALU_MUL_X | ALU_DIV_K
        | ALU_DIV_X | ALU_AND_K | ALU_AND_X | ALU_OR_K | ALU_OR_X | ALU_XOR_K | ALU_XOR_X
        | ALU_LSH_K | ALU_LSH_X | ALU_RSH_K | ALU_RSH_X | ALU_NEG => Ok(()),
        JMP_JA | JMP_JEQ_K | JMP_JEQ_X | JMP_JGT_K | JMP_JGT_X | JMP_JGE_K | JMP_JGE_X
        | JMP_JSET_K | JMP_JSET_X => Ok(()),
        MISC_TAX | MISC_TXA | RET_A => Ok(()),
        code => Err(Reason::UnknownInstruction(code)),
    }
}

/// A constant verdict is one that the event can carry out. Events that can carry out everything take any value, as seccomp does.
fn constant_verdict(schema: &Schema, raw: u32) -> Result<(), Reason> {
    if schema.actions == crate::verdict::ActionSet::ALL {
        return Ok(());
    }
    let Some(action) = Action::from_raw(raw & ACTION_MASK) else {
        return Err(Reason::ActionNotPossible(raw));
    };
    if !schema.actions.contains(action) {
        return Err(Reason::ActionNotPossible(raw));
    }
    let data = raw & DATA_MASK;
    if action == Action::Errno && (data == 0 || data > u32::from(schema.max_errno)) {
        return Err(Reason::ErrnoNotPossible(data));
    }
    Ok(())
}

fn string(program: &Program<'_>, schema: &Schema, insn: Insn) -> Result<(), Reason> {
    if insn.field() >= schema.strings as usize {
        return Err(Reason::NoSuchField(insn.field() as u32));
    }
    if insn.code == SMATCH {
        if insn.index() >= program.tables() {
            return Err(Reason::NoSuchTable(insn.index() as u32));
        }
        return Ok(());
    }
    let Some(constant) = program.string(insn.index()) else {
        return Err(Reason::NoSuchString(insn.index() as u32));
    };
    if insn.code == SCONTAINS && constant.len() > MAX_NEEDLE_BYTES {
        return Err(Reason::NeedleTooLong(constant.len() as u32));
    }
    Ok(())
}

/// Both targets of a jump lie inside the program.
fn jumps(insn: Insn, at: usize, len: usize) -> Result<(), Reason> {
    if insn.code & 0x07 != JMP {
        return Ok(());
    }
    // Instructions that follow this one; an offset must name one of them.
    let after = len.saturating_sub(at).saturating_sub(1);
    let furthest = if insn.code == JMP | JA {
        insn.k as usize
    } else {
        insn.jt.max(insn.jf) as usize
    };
    if furthest < after {
        Ok(())
    } else {
        Err(Reason::JumpOutside)
    }
}

/// Working memory of the verifier: for each instruction, which scratch words all jumps to it have written. 8 KiB, too much for a kernel stack.
pub type Workspace = [u16; MAX_INSNS];

/// Which scratch words every path to an instruction has written: `check_load_and_stores` of `net/core/filter.c`, step by step.
///
/// Like there, what a return leaves behind is not forgotten: an instruction after it must also be valid as if the return had fallen through.
struct Scratch<'w> {
    arriving: &'w mut Workspace,
    falling: u16,
}

impl<'w> Scratch<'w> {
    fn new(arriving: &'w mut Workspace, len: usize) -> Scratch<'w> {
        // No path is known yet: "all" is the neutral element of the intersection.
        arriving
            .iter_mut()
            .take(len)
            .for_each(|words| *words = u16::MAX);
        Scratch {
            arriving,
            falling: 0,
        }
    }

    fn step(&mut self, insn: Insn, at: usize) -> Result<(), Reason> {
        const LD_MEM: u16 = LD | MEM;
        const LDX_MEM: u16 = LDX | MEM;
        const JMP_JA: u16 = JMP | JA;
        self.falling &= self.arriving.get(at).copied().unwrap_or(0);
        // The verifier has refused k >= 16 already; an absent bit is "not written".
        let bit = 1u16.checked_shl(insn.k).unwrap_or(0);
        match insn.code {
            ST | STX => self.falling |= bit,
            LD_MEM | LDX_MEM if self.falling & bit == 0 => {
                return Err(Reason::ScratchNotWritten(insn.k));
            }
            JMP_JA => {
                self.arrive(at, insn.k as usize);
                self.falling = u16::MAX;
            }
            code if code & 0x07 == JMP => {
                self.arrive(at, insn.jt as usize);
                self.arrive(at, insn.jf as usize);
                self.falling = u16::MAX;
            }
            _ => {}
        }
        Ok(())
    }

    fn arrive(&mut self, at: usize, offset: usize) {
        let target = at.saturating_add(1).saturating_add(offset);
        if let Some(words) = self.arriving.get_mut(target) {
            *words &= self.falling;
        }
    }
}

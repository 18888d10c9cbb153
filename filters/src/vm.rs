// SPDX-License-Identifier: GPL-2.0
//! The interpreter. Total: every program and record give a verdict, without a panic, without an allocation.
//!
//! The program counter only grows, so a run takes at most as many steps as the program has instructions. Whatever the verifier rules out and
//! nevertheless happens ends in [`Verdict::KILL_PROCESS`].

use crate::insn::*;
use crate::limits::SCRATCH_WORDS;
use crate::program::Program;
use crate::record::Record;
use crate::verdict::{Action, Verdict};

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// The instruction that gave it.
    pub insn: usize,
}

/// Runs `program` over `record`.
pub fn run(program: &Program<'_>, record: &Record<'_>) -> Outcome {
    let mut machine = Machine::new();
    let raw = machine.run(program, record);
    let insn = machine.pc.saturating_sub(1);
    Outcome {
        verdict: possible(program, raw),
        insn,
    }
}

/// The verdict of a program of `syscall.enter` on all calls with this number and architecture, or `None` if it asks for more than these before it decides.
pub fn run_by_number(program: &Program<'_>, nr: u32, arch: u32) -> Option<Verdict> {
    let head = [nr, arch];
    let raw = Machine::new().run(program, &Record::of_number(&head))?;
    Some(possible(program, Some(raw)))
}

/// A computed verdict that the event cannot carry out kills: a policy that asks for the impossible must not be allowed to mean "allow".
fn possible(program: &Program<'_>, raw: Option<u32>) -> Verdict {
    let Some(raw) = raw else {
        return Verdict::KILL_PROCESS;
    };
    let verdict = Verdict::from_raw(raw);
    let schema = program.event().schema();
    if !schema.actions.contains(verdict.action()) {
        return Verdict::KILL_PROCESS;
    }
    let restricted = schema.max_errno < crate::limits::MAX_ERRNO as u16;
    if restricted && verdict.action() == Action::Errno {
        let errno = verdict.data();
        if errno == 0 || errno > schema.max_errno {
            return Verdict::KILL_PROCESS;
        }
    }
    verdict
}

struct Machine {
    a: u32,
    x: u32,
    scratch: [u32; SCRATCH_WORDS],
    pc: usize,
}

impl Machine {
    const fn new() -> Machine {
        Machine {
            a: 0,
            x: 0,
            scratch: [0; SCRATCH_WORDS],
            pc: 0,
        }
    }

    /// The value returned by the program; `None` if something happened that the verifier rules out.
    fn run(&mut self, program: &Program<'_>, record: &Record<'_>) -> Option<u32> {
        if record.event() != program.event() {
            return None;
        }
        loop {
            let insn = program.insn(self.pc)?;
            self.pc = self.pc.checked_add(1)?;
            match insn.code & 0x07 {
                RET => {
                    return match insn.code {
                        code if code == RET | K => Some(insn.k),
                        code if code == RET | A => Some(self.a),
                        _ => None,
                    }
                }
                JMP => {
                    let offset = if insn.code == JMP | JA {
                        insn.k as usize
                    } else if self.condition(program, record, insn)? {
                        insn.jt as usize
                    } else {
                        insn.jf as usize
                    };
                    self.pc = self.pc.checked_add(offset)?;
                }
                LD => self.a = self.load(program, record, insn)?,
                LDX => self.x = self.load_x(record, insn)?,
                ST => *self.scratch.get_mut(insn.k as usize)? = self.a,
                STX => *self.scratch.get_mut(insn.k as usize)? = self.x,
                ALU => match self.arithmetic(insn)? {
                    Some(a) => self.a = a,
                    // Division by a zero in X ends the program with 0, as in classic BPF.
                    None => return Some(0),
                },
                _ => match insn.code {
                    code if code == MISC | TAX => self.x = self.a,
                    code if code == MISC | TXA => self.a = self.x,
                    _ => return None,
                },
            }
        }
    }

    fn load(&self, program: &Program<'_>, record: &Record<'_>, insn: Insn) -> Option<u32> {
        if insn.code == SMATCH {
            let field = record.string(insn.field())?;
            return program.table(insn.index())?.lookup(field);
        }
        if insn.code == LD | ABS {
            return record.word(insn.k);
        }
        self.load_common(record, insn, LD)
    }

    fn load_x(&self, record: &Record<'_>, insn: Insn) -> Option<u32> {
        if insn.code == SELF {
            let caller = record.caller()?;
            return match insn.k {
                SELF_PROCESS => Some(caller.process),
                SELF_THREAD => Some(caller.thread),
                _ => None,
            };
        }
        self.load_common(record, insn, LDX)
    }

    fn load_common(&self, record: &Record<'_>, insn: Insn, class: u16) -> Option<u32> {
        match insn.code ^ class {
            IMM => Some(insn.k),
            MEM => self.scratch.get(insn.k as usize).copied(),
            LEN => Some(record.event().schema().record_bytes),
            _ => None,
        }
    }

    /// The new A; an inner `None` is the division by zero.
    fn arithmetic(&self, insn: Insn) -> Option<Option<u32>> {
        let a = self.a;
        let operand = if insn.code & X == 0 { insn.k } else { self.x };
        Some(Some(match insn.code & !X {
            code if code == ALU | ADD => a.wrapping_add(operand),
            code if code == ALU | SUB => a.wrapping_sub(operand),
            code if code == ALU | MUL => a.wrapping_mul(operand),
            code if code == ALU | DIV => return Some(a.checked_div(operand)),
            code if code == ALU | OR => a | operand,
            code if code == ALU | AND => a & operand,
            code if code == ALU | XOR => a ^ operand,
            // A shift by 32 or more, possible through X, is taken modulo 32 as the kernel's interpreter and compilers do.
            code if code == ALU | LSH => a.wrapping_shl(operand),
            code if code == ALU | RSH => a.wrapping_shr(operand),
            code if code == ALU | NEG => a.wrapping_neg(),
            _ => return None,
        }))
    }

    fn condition(&self, program: &Program<'_>, record: &Record<'_>, insn: Insn) -> Option<bool> {
        if insn.code & EXTENSION != 0 {
            let field = record.string(insn.field())?;
            let constant = program.string(insn.index())?;
            return match insn.code {
                SEQ => Some(field == constant),
                SPREFIX => Some(field.starts_with(constant)),
                SSUFFIX => Some(field.ends_with(constant)),
                SCONTAINS => Some(contains(field, constant)),
                SUNDER => Some(under(field, constant)),
                _ => None,
            };
        }
        let a = self.a;
        let operand = if insn.code & X == 0 { insn.k } else { self.x };
        match insn.code & !X {
            code if code == JMP | JEQ => Some(a == operand),
            code if code == JMP | JGT => Some(a > operand),
            code if code == JMP | JGE => Some(a >= operand),
            code if code == JMP | JSET => Some(a & operand != 0),
            _ => None,
        }
    }
}

/// Whether `needle` occurs in `field`. The empty string occurs in every string.
fn contains(field: &[u8], needle: &[u8]) -> bool {
    needle.is_empty() || field.windows(needle.len()).any(|window| window == needle)
}

/// Whether `path` is `tree` or lies below it, comparing whole components.
pub(crate) fn under(path: &[u8], tree: &[u8]) -> bool {
    match path.strip_prefix(tree) {
        Some(rest) => rest.is_empty() || rest.first() == Some(&b'/') || tree.last() == Some(&b'/'),
        None => false,
    }
}

// SPDX-License-Identifier: GPL-2.0
//! The interpreter. Total: every program and record give a verdict, without a panic, without an allocation.
//!
//! The program counter only grows, so a run takes at most as many steps as the program has instructions. Whatever the verifier rules out and
//! nevertheless happens ends in [`Verdict::KILL_PROCESS`].

use crate::event::Event;
use crate::insn::*;
use crate::limits::SCRATCH_WORDS;
use crate::program::Program;
use crate::record::{Record, Stop};
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
    let verdict = match machine.run(program, record) {
        Ok(raw) => possible(program.event(), raw),
        Err(Stop::Refused(errno)) => possible(program.event(), Verdict::errno(errno).raw()),
        Err(Stop::Malformed) => Verdict::KILL_PROCESS,
    };
    let insn = machine.pc.saturating_sub(1);
    Outcome { verdict, insn }
}

/// The verdict of a program of `syscall.enter` on all calls with this number and architecture, or `None` if it asks for more than these before it decides.
pub fn run_by_number(program: &Program<'_>, nr: u32, arch: u32) -> Option<Verdict> {
    let head = [nr, arch];
    let raw = Machine::new().run(program, &Record::of_number(&head));
    raw.ok().map(|raw| possible(program.event(), raw))
}

/// The verdict of a program that begins with a walk through a table on all records in which that comes to `value`, or `None` if it asks for more before it
/// decides.
pub fn run_by_value(program: &Program<'_>, value: u32) -> Option<Verdict> {
    let mut machine = Machine::new();
    machine.a = value;
    machine.pc = 1;
    let raw = machine.run(program, &Record::of_nothing(program.event()));
    raw.ok().map(|raw| possible(program.event(), raw))
}

/// A computed verdict that the event cannot carry out kills: a policy that asks for the impossible must not be allowed to mean "allow".
pub(crate) fn possible(event: Event, raw: u32) -> Verdict {
    let verdict = Verdict::from_raw(raw);
    let schema = event.schema();
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

    /// The value returned by the program.
    fn run(&mut self, program: &Program<'_>, record: &Record<'_>) -> Result<u32, Stop> {
        if record.event() != program.event() {
            return Err(Stop::Malformed);
        }
        loop {
            let insn = program.insn(self.pc).ok_or(Stop::Malformed)?;
            self.pc = self.pc.checked_add(1).ok_or(Stop::Malformed)?;
            match insn.code & 0x07 {
                RET => {
                    return match insn.code {
                        code if code == RET | K => Ok(insn.k),
                        code if code == RET | A => Ok(self.a),
                        _ => Err(Stop::Malformed),
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
                    self.pc = self.pc.checked_add(offset).ok_or(Stop::Malformed)?;
                }
                LD => self.a = self.load(program, record, insn)?,
                LDX => self.x = self.load_x(record, insn).ok_or(Stop::Malformed)?,
                ST => self.store(insn, self.a)?,
                STX => self.store(insn, self.x)?,
                ALU => {
                    let operand = if insn.code & X == 0 { insn.k } else { self.x };
                    match arithmetic(insn.code & !X, self.a, operand).ok_or(Stop::Malformed)? {
                        Some(a) => self.a = a,
                        // Division by a zero in X ends the program with 0, as in classic BPF.
                        None => return Ok(0),
                    }
                }
                _ => match insn.code {
                    code if code == MISC | TAX => self.x = self.a,
                    code if code == MISC | TXA => self.a = self.x,
                    _ => return Err(Stop::Malformed),
                },
            }
        }
    }

    fn store(&mut self, insn: Insn, value: u32) -> Result<(), Stop> {
        let word = self.scratch.get_mut(insn.k as usize);
        *word.ok_or(Stop::Malformed)? = value;
        Ok(())
    }

    fn load(&self, program: &Program<'_>, record: &Record<'_>, insn: Insn) -> Result<u32, Stop> {
        if matches!(insn.code, SMATCH | LD_ABS) {
            return load(program, record, insn);
        }
        self.load_common(record, insn, LD).ok_or(Stop::Malformed)
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

    fn condition(
        &self,
        program: &Program<'_>,
        record: &Record<'_>,
        insn: Insn,
    ) -> Result<bool, Stop> {
        if insn.code & EXTENSION != 0 {
            return string_holds(program, record, insn);
        }
        let a = self.a;
        let operand = if insn.code & X == 0 { insn.k } else { self.x };
        match insn.code & !X {
            code if code == JMP | JEQ => Ok(a == operand),
            code if code == JMP | JGT => Ok(a > operand),
            code if code == JMP | JGE => Ok(a >= operand),
            code if code == JMP | JSET => Ok(a & operand != 0),
            _ => Err(Stop::Malformed),
        }
    }
}

/// The new A of an arithmetic instruction, without its bit for X; an inner `None` is the division by zero.
pub(crate) fn arithmetic(code: u16, a: u32, operand: u32) -> Option<Option<u32>> {
    Some(Some(match code {
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

const LD_ABS: u16 = LD | ABS;

/// What a load from the record yields: a word, or the value that a table gives to a string.
pub(crate) fn load(program: &Program<'_>, record: &Record<'_>, insn: Insn) -> Result<u32, Stop> {
    let loaded = match insn.code {
        SMATCH => {
            let table = program.table(insn.index()).ok_or(Stop::Malformed)?;
            record.look(insn.field(), |field| table.lookup(field))?
        }
        LD_ABS => record.word(insn.k),
        _ => None,
    };
    loaded.ok_or(Stop::Malformed)
}

/// Whether a string jump is taken.
pub(crate) fn string_holds(
    program: &Program<'_>,
    record: &Record<'_>,
    insn: Insn,
) -> Result<bool, Stop> {
    let constant = program.string(insn.index()).ok_or(Stop::Malformed)?;
    let holds = record.look(insn.field(), |field| holds(insn.code, field, constant))?;
    holds.ok_or(Stop::Malformed)
}

/// Whether what a string jump asks holds; `None` if it is no string jump.
#[inline]
pub(crate) fn holds(code: u16, field: &[u8], constant: &[u8]) -> Option<bool> {
    Some(match code {
        SEQ => field == constant,
        SPREFIX => field.starts_with(constant),
        SSUFFIX => field.ends_with(constant),
        SCONTAINS => contains(field, constant),
        SUNDER => under(field, constant),
        _ => return None,
    })
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

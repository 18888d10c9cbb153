// SPDX-License-Identifier: GPL-2.0
//! From one classic instruction to the next.

use super::code::{self, Operand, Reg, Test, R0, R1, R2, R3, R4, R6, R7, R8, R9};
use super::flow::{is_asked_for, landing, targets, Flow};
use super::row::{self, Range};
use super::writer::{To, Writer};
use crate::event::Schema;
use crate::insn::*;
use crate::limits::MAX_INSNS;
use crate::program::Program;
use crate::verdict::{Action, ACTION_MASK};

// Every jump inside of a program fits into the 16 bits that it has: one classic instruction becomes seven at most (a string jump: three arguments, the call,
// three jumps), and around them are what is set up and the places where the program ends.
const _: () = assert!(MAX_INSNS * 7 + 8 < i16::MAX as usize);

/// Loads of words from which on a register for their address pays: it costs a load, a push and a pop.
const MANY_LOADS: usize = 4;

/// Byte offsets in [`super::Frame`].
pub(super) const FRAME_WORDS: i16 = 0;
pub(super) const FRAME_PROCESS: i16 = 8;
pub(super) const FRAME_THREAD: i16 = 12;

/// What the programs, all of them, ask of their surroundings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// Something is found out by a call.
    pub(super) calls: bool,
    /// An id of the caller.
    pub(super) caller: bool,
    /// Loads of words.
    loads: usize,
}

impl Needs {
    /// What `program` asks for, too.
    pub(super) fn and_of(mut self, program: &Program<'_>) -> Option<Needs> {
        let schema = program.event().schema();
        for at in 0..program.len() {
            let insn = program.insn(at)?;
            if calls(schema, insn) {
                self.calls = true;
            } else if insn.code == LD | ABS {
                self.loads = self.loads.saturating_add(1);
            } else if insn.code == SELF {
                self.caller = true;
            }
        }
        Some(self)
    }
}

/// Whether the instruction becomes a call.
fn calls(schema: &Schema, insn: Insn) -> bool {
    let string = insn.code & EXTENSION != 0 && insn.code != SELF;
    string || is_asked_for(schema, insn)
}

/// Whether the instruction returns "allow", whatever the data.
fn allows(insn: Insn) -> bool {
    insn.code == RET | K && insn.k & ACTION_MASK == Action::Allow.raw()
}

/// Which register holds what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Registers {
    a: Reg,
    x: Reg,
    /// Address of the frame, if there is one.
    frame: Option<Reg>,
    /// Address of the words; `None` if it is taken from the frame each time.
    words: Option<Reg>,
}

impl Registers {
    /// As few as will do: those that survive a call cost something.
    pub(super) fn for_needs(needs: Needs) -> Registers {
        if needs.calls {
            let many = needs.loads >= MANY_LOADS;
            return Registers {
                a: R7,
                x: R8,
                frame: Some(R6),
                words: many.then_some(R9),
            };
        }
        let (frame, words) = if needs.caller {
            (Some(R1), R3)
        } else {
            (None, R1)
        };
        Registers {
            a: R0,
            x: R2,
            frame,
            words: Some(words),
        }
    }

    /// Writes what is done once, before the first program.
    pub(super) fn enter(self, put: &mut impl FnMut(code::Insn64)) {
        let Some(frame) = self.frame else {
            return;
        };
        if frame != R1 {
            put(code::copy_pointer(frame, R1));
        }
        if let Some(words) = self.words {
            put(code::load_pointer(words, R1, FRAME_WORDS));
        }
    }
}

/// How one program is lowered.
pub(super) struct Lowering<'a, 'p> {
    pub(super) program: &'p Program<'a>,
    pub(super) registers: Registers,
    pub(super) flow: Flow,
    /// What is called, as in [`super::lower`].
    pub(super) call: i32,
    /// Whether another program follows if this one allows.
    pub(super) goes_on: bool,
}

impl Lowering<'_, '_> {
    /// Writes the program. `rows` is working memory.
    pub(super) fn write(&self, to: &mut Writer<'_, '_>, rows: &mut [u64]) -> Option<()> {
        let Registers { a, x, .. } = self.registers;
        for (needed, reg) in [(self.flow.zero_a, a), (self.flow.zero_x, x)] {
            if needed {
                to.put(code::set(reg, Operand::K(0)))?;
            }
        }
        to.nodes.need(0)?;
        for at in 0..self.program.len() {
            if !to.nodes.is_needed(at) {
                continue;
            }
            if to.counts() {
                to.nodes.set_place(at, to.at)?;
            }
            let insn = self.program.insn(at)?;
            if insn.code == JMP | JEQ | K {
                if let Some(row) = row::row(self.program, to.nodes, at, rows) {
                    self.search(to, row.ranges, (0, u32::MAX), row.otherwise)?;
                    continue;
                }
            }
            self.insn(to, insn, at)?;
        }
        if to.zeros {
            to.ends.zero = to.at;
            to.put(code::set(R0, Operand::K(0)))?;
        }
        if to.stops || to.zeros {
            to.ends.stop = to.at;
            to.put(code::exit())?;
        }
        to.ends.next = to.at;
        Some(())
    }

    fn insn(&self, to: &mut Writer<'_, '_>, insn: Insn, at: usize) -> Option<()> {
        let Registers { a, x, .. } = self.registers;
        match insn.code & 0x07 {
            RET => return self.leave(to, insn),
            JMP => return self.jump(to, insn, at),
            LD | LDX => self.load(to, insn, at)?,
            ST => to.put(code::store_stack(self.slot(insn.k)?, a))?,
            STX => to.put(code::store_stack(self.slot(insn.k)?, x))?,
            ALU => self.arithmetic(to, insn)?,
            _ => {
                let (target, source) = match insn.code {
                    code if code == MISC | TAX => (x, a),
                    code if code == MISC | TXA => (a, x),
                    _ => return None,
                };
                to.put(code::set(target, Operand::In(source)))?;
            }
        }
        to.nodes.need(at.checked_add(1)?)
    }

    /// Where a jump to an instruction best goes.
    fn destination(&self, at: usize) -> Option<To> {
        let at = landing(self.program, at)?;
        let allows = self.goes_on && allows(self.program.insn(at)?);
        Some(if allows { To::Next } else { To::Insn(at) })
    }

    /// Writes what leads to an instruction: a jump, or what is there if that is a return.
    fn goto(&self, to: &mut Writer<'_, '_>, at: usize) -> Option<()> {
        match self.destination(at)? {
            To::Insn(at) => {
                let insn = self.program.insn(at)?;
                if insn.code == RET | K {
                    self.leave(to, insn)
                } else {
                    to.goto(To::Insn(at))
                }
            }
            destination => to.goto(destination),
        }
    }

    fn leave(&self, to: &mut Writer<'_, '_>, insn: Insn) -> Option<()> {
        if insn.code == RET | K {
            if self.goes_on && allows(insn) {
                return to.goto(To::Next);
            }
            to.put(code::set(R0, Operand::K(insn.k)))?;
        } else {
            let a = self.registers.a;
            if a != R0 {
                to.put(code::set(R0, Operand::In(a)))?;
            }
            if self.goes_on {
                to.put(code::set(R4, Operand::In(R0)))?;
                to.put(code::arithmetic(ALU | AND, R4, Operand::K(ACTION_MASK)))?;
                to.goto_if(Test::Equal, R4, Operand::K(Action::Allow.raw()), To::Next)?;
            }
        }
        to.put(code::exit())
    }

    fn jump(&self, to: &mut Writer<'_, '_>, insn: Insn, at: usize) -> Option<()> {
        let next = at.checked_add(1)?;
        let (yes, no) = targets(insn, at)?;
        let string = insn.code & EXTENSION != 0;
        if string {
            // Also where both ways lead to the same place: a string that cannot be had ends the run.
            self.ask(to, insn)?;
        }
        if yes == next && no == next {
            return to.nodes.need(next);
        }
        if yes == no {
            return self.goto(to, yes);
        }
        let (test, left, right) = if string {
            (Test::NotEqual, R0, Operand::K(0))
        } else {
            (Test::of(insn.code)?, self.registers.a, self.operand(insn))
        };
        match test.inverse() {
            Some(inverse) if yes == next => {
                to.goto_if(inverse, left, right, self.destination(no)?)?;
                to.nodes.need(next)
            }
            _ => {
                to.goto_if(test, left, right, self.destination(yes)?)?;
                if no == next {
                    to.nodes.need(next)
                } else if string {
                    // Not what is there: see the length of the longest.
                    to.goto(self.destination(no)?)
                } else {
                    self.goto(to, no)
                }
            }
        }
    }

    fn load(&self, to: &mut Writer<'_, '_>, insn: Insn, at: usize) -> Option<()> {
        let Registers { a, x, .. } = self.registers;
        if calls(self.program.event().schema(), insn) {
            self.ask(to, insn)?;
            return to.put(code::set(a, Operand::In(R0)));
        }
        if to.nodes.holds(at, insn) {
            return Some(());
        }
        if insn.code == SELF {
            let offset = match insn.k {
                SELF_PROCESS => FRAME_PROCESS,
                SELF_THREAD => FRAME_THREAD,
                _ => return None,
            };
            return to.put(code::load(x, self.registers.frame?, offset));
        }
        if insn.code == LD | ABS {
            let words = match self.registers.words {
                Some(words) => words,
                None => {
                    let frame = self.registers.frame?;
                    to.put(code::load_pointer(R1, frame, FRAME_WORDS))?;
                    R1
                }
            };
            return to.put(code::load(a, words, i16::try_from(insn.k).ok()?));
        }
        let target = if insn.code & 0x07 == LD { a } else { x };
        let length = self.program.event().schema().record_bytes;
        to.put(match insn.code & !0x07 {
            IMM => code::set(target, Operand::K(insn.k)),
            LEN => code::set(target, Operand::K(length)),
            MEM => code::load_stack(target, self.slot(insn.k)?),
            _ => return None,
        })
    }

    fn arithmetic(&self, to: &mut Writer<'_, '_>, insn: Insn) -> Option<()> {
        let operand = self.operand(insn);
        if let (DIV, Operand::In(divisor)) = (insn.code & 0xf0, operand) {
            to.goto_if(Test::Equal, divisor, Operand::K(0), To::Zero)?;
        }
        // The kernel knows no negation with an operand.
        let operand = if insn.code & 0xf0 == NEG {
            Operand::K(0)
        } else {
            operand
        };
        to.put(code::arithmetic(insn.code, self.registers.a, operand))
    }

    const fn operand(&self, insn: Insn) -> Operand {
        if insn.code & X == 0 {
            Operand::K(insn.k)
        } else {
            Operand::In(self.registers.x)
        }
    }

    /// Writes the call that answers the instruction: in R0 a value, or what ends the run.
    fn ask(&self, to: &mut Writer<'_, '_>, insn: Insn) -> Option<()> {
        to.put(code::copy_pointer(R1, self.registers.frame?))?;
        to.put(code::set(R2, Operand::K(u32::from(insn.code))))?;
        to.put(code::set(R3, Operand::K(insn.k)))?;
        to.put(code::call(self.call))?;
        to.goto_if_negative(R0, To::Stop)
    }

    /// Where a scratch word lies, from the end of the stack frame. Words that no instruction writes take no room.
    fn slot(&self, word: u32) -> Option<i16> {
        let bit = 1u16.checked_shl(word)?;
        let below = self.flow.scratch & bit.wrapping_sub(1);
        let slot = i16::try_from(below.count_ones()).ok()?;
        slot.checked_add(1)?.checked_mul(-4)
    }

    /// Writes a search of A among `ranges`, where it is known to lie within `bounds`. The depth of the recursion is the logarithm of their number.
    fn search(
        &self,
        to: &mut Writer<'_, '_>,
        ranges: &[u64],
        bounds: (u32, u32),
        otherwise: usize,
    ) -> Option<()> {
        let a = self.registers.a;
        let (low, high) = bounds;
        if ranges.len() <= 3
            && ranges
                .iter()
                .all(|&packed| Range::unpack(packed).is_point())
        {
            for &packed in ranges {
                let point = Range::unpack(packed);
                let target = self.destination(point.target.into())?;
                to.goto_if(Test::Equal, a, Operand::K(point.first), target)?;
            }
            return self.goto(to, otherwise);
        }
        if let [only] = *ranges {
            let range = Range::unpack(only);
            if range.first > low {
                let below = self.destination(otherwise)?;
                to.goto_if(Test::Less, a, Operand::K(range.first), below)?;
            }
            if range.last() >= high {
                return self.goto(to, range.target.into());
            }
            let target = self.destination(range.target.into())?;
            to.goto_if(Test::LessOrEqual, a, Operand::K(range.last()), target)?;
            return self.goto(to, otherwise);
        }
        let (below, above) = ranges.split_at_checked(ranges.len() / 2)?;
        let pivot = Range::unpack(*above.first()?).first;
        let left = (low, pivot.checked_sub(1)?);
        let length = if to.counts() {
            0
        } else {
            to.length(|to| self.search(to, below, left, otherwise))?
        };
        to.goto_if(Test::GreaterOrEqual, a, Operand::K(pivot), To::Over(length))?;
        self.search(to, below, left, otherwise)?;
        self.search(to, above, (pivot, high), otherwise)
    }
}

// SPDX-License-Identifier: GPL-2.0
//! What a program decides about all records of which some things are known.
//!
//! Words and one string are known or not, numbers bit by bit. A run in which it matters what is not known comes to nothing. What it does come to, the
//! interpreter ([`crate::vm`]) says of every such record.

use crate::insn::*;
use crate::limits::SCRATCH_WORDS;
use crate::program::Program;
use crate::verdict::Verdict;
use crate::vm;

/// A number of which some bits may not be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bits {
    /// The bits that are known; zero where they are not.
    value: u32,
    known: u32,
}

impl Bits {
    /// Nothing is known of it.
    const UNKNOWN: Bits = Bits { value: 0, known: 0 };

    /// All bits are known.
    pub(crate) const fn all(value: u32) -> Bits {
        Bits::of(value, u32::MAX)
    }

    /// The bits of `value` that are in `known`.
    pub(crate) const fn of(value: u32, known: u32) -> Bits {
        Bits {
            value: value & known,
            known,
        }
    }

    /// The number, if it is known.
    fn number(self) -> Option<u32> {
        (self.known == u32::MAX).then_some(self.value)
    }

    fn smallest(self) -> u32 {
        self.value
    }

    fn largest(self) -> u32 {
        self.value | !self.known
    }

    /// What a classic jump asks, where that does not depend on what is not known.
    fn compare(self, code: u16, other: Bits) -> Option<bool> {
        let (all, none) = match code {
            JEQ => (
                self.number().is_some() && self.number() == other.number(),
                (self.value ^ other.value) & self.known & other.known != 0,
            ),
            JGT => (
                self.smallest() > other.largest(),
                self.largest() <= other.smallest(),
            ),
            JGE => (
                self.smallest() >= other.largest(),
                self.largest() < other.smallest(),
            ),
            JSET => (
                self.value & other.value != 0,
                self.largest() & other.largest() == 0,
            ),
            _ => (false, false),
        };
        (all || none).then_some(all)
    }

    /// The result of an arithmetic instruction; `None` if that may end the run.
    fn arithmetic(self, insn: Insn, other: Bits) -> Option<Bits> {
        let code = insn.code & !X;
        if let (Some(a), Some(operand)) = (self.number(), other.number()) {
            return vm::arithmetic(code, a, operand)?.map(Bits::all);
        }
        let shift = |by: fn(u32, u32) -> u32| {
            let count = other.number()?;
            // What is shifted in is known to be zero.
            let known = !by(!self.known, count);
            Some(Bits::of(by(self.value, count), known))
        };
        match code & !(ALU | K) {
            AND => {
                let zeros = self.known & !self.value | other.known & !other.value;
                let known = self.known & other.known | zeros;
                Some(Bits::of(self.value & other.value, known))
            }
            OR => {
                let value = self.value | other.value;
                Some(Bits::of(value, self.known & other.known | value))
            }
            LSH => shift(u32::wrapping_shl).or(Some(Bits::UNKNOWN)),
            RSH => shift(u32::wrapping_shr).or(Some(Bits::UNKNOWN)),
            // By zero, perhaps.
            DIV if other.smallest() == 0 => None,
            _ => Some(Bits::UNKNOWN),
        }
    }
}

/// What is known of the records.
pub(crate) struct Known<'a> {
    /// Words, by their offset in bytes. Nothing is known of the others.
    pub(crate) words: &'a [(u32, u32)],
    /// The string instruction about the string that can be had.
    pub(crate) question: Insn,
    /// What it comes to: A after a walk, 0 or 1 for a jump.
    pub(crate) answer: Bits,
}

/// The verdict of `program` on all such records that are whole, if it is the same on all. Takes away from `steps` how many instructions it has run, and comes
/// to nothing without any left.
pub(crate) fn run(program: &Program<'_>, known: &Known<'_>, steps: &mut usize) -> Option<Verdict> {
    let (mut a, mut x) = (Bits::all(0), Bits::all(0));
    let mut scratch = [Bits::all(0); SCRATCH_WORDS];
    let mut pc = 0_usize;
    loop {
        *steps = steps.checked_sub(1)?;
        let insn = program.insn(pc)?;
        pc = pc.checked_add(1)?;
        let operand = if insn.code & X == 0 {
            Bits::all(insn.k)
        } else {
            x
        };
        match insn.code & 0x07 {
            RET => {
                let raw = match insn.code {
                    code if code == RET | K => insn.k,
                    code if code == RET | A => a.number()?,
                    _ => return None,
                };
                return Some(vm::possible(program.event(), raw));
            }
            JMP => {
                let taken = match insn.code {
                    code if code == JMP | JA => None,
                    code if code & EXTENSION != 0 => Some(known.asked(insn)?.number()? != 0),
                    code => Some(a.compare(code & !(X | JMP), operand)?),
                };
                let offset = match taken {
                    None => insn.k as usize,
                    Some(true) => insn.jt.into(),
                    Some(false) => insn.jf.into(),
                };
                pc = pc.checked_add(offset)?;
            }
            LD => {
                a = match insn.code {
                    SMATCH => known.asked(insn)?,
                    code if code == LD | ABS => known.word(insn.k),
                    _ => load(program, &scratch, insn, LD)?,
                }
            }
            // An id of the caller is for whoever runs the program to find out.
            LDX => x = load(program, &scratch, insn, LDX)?,
            ST => *scratch.get_mut(insn.k as usize)? = a,
            STX => *scratch.get_mut(insn.k as usize)? = x,
            ALU => a = a.arithmetic(insn, operand)?,
            _ => match insn.code {
                code if code == MISC | TAX => x = a,
                code if code == MISC | TXA => a = x,
                _ => return None,
            },
        }
    }
}

/// What the loads have in common that are not from the record.
fn load(
    program: &Program<'_>,
    scratch: &[Bits; SCRATCH_WORDS],
    insn: Insn,
    class: u16,
) -> Option<Bits> {
    match insn.code ^ class {
        IMM => Some(Bits::all(insn.k)),
        MEM => scratch.get(insn.k as usize).copied(),
        LEN => Some(Bits::all(program.event().schema().record_bytes)),
        _ => None,
    }
}

impl Known<'_> {
    /// What a string instruction comes to. Others than the question ask for strings that perhaps cannot be had, which ends the run.
    fn asked(&self, insn: Insn) -> Option<Bits> {
        let same = (insn.code, insn.k) == (self.question.code, self.question.k);
        same.then_some(self.answer)
    }

    fn word(&self, offset: u32) -> Bits {
        let word = self.words.iter().find(|(known, _)| *known == offset);
        word.map_or(Bits::UNKNOWN, |(_, value)| Bits::all(*value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of which up to four bits are not known, from bit `shift` on.
    fn all_bits(shift: u32) -> impl Iterator<Item = Bits> + Clone {
        (0..16_u32).flat_map(move |known| {
            let values = (0..16_u32).filter(move |value| value & !known == 0);
            values.map(move |value| Bits::of(value << shift, !(0xf << shift) | known << shift))
        })
    }

    /// Whether `number` may be meant.
    fn means(bits: Bits, number: u32) -> bool {
        number & bits.known == bits.value
    }

    fn meant(bits: Bits, shift: u32) -> impl Iterator<Item = u32> + Clone {
        let numbers = (0..16_u32).map(move |number| number << shift);
        numbers.filter(move |number| means(bits, *number))
    }

    /// What is said of two numbers holds for all that may be meant, and where both are known something is said.
    fn holds_for_all(shift: u32) {
        for a in all_bits(shift) {
            for b in all_bits(shift) {
                let all_known = a.number().is_some() && b.number().is_some();
                for code in [JEQ, JGT, JGE, JSET] {
                    let said = a.compare(code, b);
                    assert!(said.is_some() || !all_known);
                    for (x, y) in meant(a, shift).flat_map(|x| meant(b, shift).map(move |y| (x, y)))
                    {
                        let is = match code {
                            JEQ => x == y,
                            JGT => x > y,
                            JGE => x >= y,
                            _ => x & y != 0,
                        };
                        assert!(
                            said.is_none_or(|said| said == is),
                            "{code:#x} {x:#x} {y:#x}"
                        );
                    }
                }
                for code in [ADD, SUB, MUL, DIV, OR, AND, LSH, RSH, NEG, XOR] {
                    let said = a.arithmetic(Insn::stmt(ALU | code | X, 0), b);
                    for (x, y) in meant(a, shift).flat_map(|x| meant(b, shift).map(move |y| (x, y)))
                    {
                        match (vm::arithmetic(ALU | code, x, y).flatten(), said) {
                            (Some(is), Some(said)) => {
                                assert!(means(said, is), "{code:#x} {x:#x} {y:#x}");
                            }
                            (None, said) => assert_eq!(said, None, "{code:#x} {x:#x} {y:#x}"),
                            (Some(_), None) => assert!(code == DIV, "{code:#x}"),
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_said_of_bits_holds_for_all_numbers_that_are_meant() {
        holds_for_all(0);
        holds_for_all(3);
        holds_for_all(28);
    }

    /// What policies about paths rely on.
    #[test]
    fn flags_and_tags_are_told_apart() {
        let answer = Bits::of(0b101, 0x3ff);
        let is = |code, k| answer.compare(code, Bits::all(k));
        assert_eq!(is(JSET, 0b100), Some(true));
        assert_eq!(is(JSET, 0b1010), Some(false));
        assert_eq!(is(JGE, 5), Some(true));
        assert_eq!(is(JGE, 6), None);
        assert_eq!(is(JEQ, 4), Some(false));
        let tag = answer.arithmetic(Insn::stmt(ALU | RSH | K, 10), Bits::all(10));
        assert_eq!(tag, Some(Bits::of(0, 0xffc0_0000)));
    }
}

// SPDX-License-Identifier: GPL-2.0
//! A machine for eBPF that is stricter than the kernel's: what its verifier would have refused ends the test.
//!
//! Written from `Documentation/bpf/standardization/instruction-set.rst` and `___bpf_prog_run` of `kernel/bpf/core.c`. It knows the instructions that lowered code
//! may use, each with the fields that must be zero; registers and stack words begin without a value; a call takes the values of R1 to R5 away; nothing
//! but the words of the record, the first three fields of a frame and as much stack as was asked for can be read; and every jump goes forward.

use filters::native::{Frame, Insn64, Takes};
use filters::record::Record;

use crate::generate::CALLER;

/// The displacement by which the function for answers is called.
pub const CALL: i32 = -0x1234_5678;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    Number(u64),
    /// Address of the words of the record.
    Words,
    /// Address of the frame.
    Frame,
}

struct Decoded {
    code: u8,
    dst: usize,
    src: usize,
    off: i16,
    imm: i32,
}

fn decode(insn: Insn64) -> Decoded {
    let bytes = insn.to_le_bytes();
    Decoded {
        code: bytes[0],
        dst: usize::from(bytes[1] & 0x0f),
        src: usize::from(bytes[1] >> 4),
        off: i16::from_le_bytes([bytes[2], bytes[3]]),
        imm: i32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
    }
}

/// What a run came to.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// What the code returned.
    pub raw: u32,
    /// Conditional jumps executed.
    pub jumps: usize,
    /// Other instructions executed.
    pub others: usize,
}

struct Machine<'m> {
    registers: [Option<Value>; 11],
    stack: Vec<Option<u32>>,
    words: &'m [u32],
    frame: Option<&'m Frame<'m>>,
}

impl Machine<'_> {
    fn value(&self, register: usize) -> Value {
        assert!(register < 10, "R10 is read by loads and stores only");
        self.registers[register].expect("a register that was written")
    }

    fn number(&self, register: usize) -> u64 {
        match self.value(register) {
            Value::Number(number) => number,
            pointer => panic!("a number is wanted, R{register} is the pointer {pointer:?}"),
        }
    }

    fn set(&mut self, register: usize, value: Value) {
        assert!(register < 10, "R10 cannot be written");
        self.registers[register] = Some(value);
    }

    /// The stack word at this offset from R10.
    fn slot(&mut self, off: i16) -> &mut Option<u32> {
        assert!(off < 0 && off % 4 == 0, "offset {off} on the stack");
        let slot = usize::from(off.unsigned_abs()) / 4 - 1;
        assert!(slot < self.stack.len(), "more stack than asked for: {off}");
        &mut self.stack[slot]
    }

    fn load(&mut self, insn: &Decoded) -> Value {
        if insn.src == 10 {
            return Value::Number(self.slot(insn.off).expect("a word that was stored").into());
        }
        match (self.value(insn.src), insn.off) {
            (Value::Words, off) => {
                assert!(off >= 0 && off % 4 == 0, "offset {off} in the record");
                let word = self.words.get(usize::from(off as u16) / 4);
                Value::Number((*word.expect("a word of the record")).into())
            }
            (Value::Frame, 8) => Value::Number(CALLER.process.into()),
            (Value::Frame, 12) => Value::Number(CALLER.thread.into()),
            (base, off) => panic!("a load of a word from {base:?} + {off}"),
        }
    }

    fn call(&mut self, insn: &Decoded) {
        assert_eq!(insn.imm, CALL);
        assert_eq!(self.value(1), Value::Frame);
        let [code, k] = [2, 3].map(|register| self.number(register));
        let [code, k] = [code, k].map(|number| u32::try_from(number).expect("32 bits"));
        let answer = self.frame.expect("a frame").answer(code, k);
        self.registers[1..6].fill(None);
        self.set(0, Value::Number(answer));
    }

    fn arithmetic(&mut self, insn: &Decoded, operand: u32) {
        assert_eq!(insn.off, 0, "signed or extending, if not zero");
        let op = insn.code & 0xf0;
        if op == 0xb0 {
            return self.set(insn.dst, Value::Number(operand.into()));
        }
        let left = self.number(insn.dst) as u32;
        let shift = |operand: u32| {
            assert!(insn.code & 8 != 0 || operand < 32);
            operand % 32
        };
        let result = match op {
            0x00 => left.wrapping_add(operand),
            0x10 => left.wrapping_sub(operand),
            0x20 => left.wrapping_mul(operand),
            0x30 => left.checked_div(operand).expect("no division by zero"),
            0x40 => left | operand,
            0x50 => left & operand,
            0x60 => left << shift(operand),
            0x70 => left >> shift(operand),
            0x80 => {
                assert_eq!((insn.code, insn.imm), (0x84, 0));
                0u32.wrapping_sub(left)
            }
            0xa0 => left ^ operand,
            _ => panic!("operation {:#x}", insn.code),
        };
        self.set(insn.dst, Value::Number(result.into()));
    }

    /// Whether a jump on the low half is taken.
    fn holds(&self, insn: &Decoded, operand: u32) -> bool {
        let left = self.number(insn.dst) as u32;
        match insn.code & 0xf0 {
            0x10 => left == operand,
            0x20 => left > operand,
            0x30 => left >= operand,
            0x40 => left & operand != 0,
            0x50 => left != operand,
            0xa0 => left < operand,
            0xb0 => left <= operand,
            _ => panic!("jump {:#x}", insn.code),
        }
    }

    fn operand(&self, insn: &Decoded) -> u32 {
        if insn.code & 8 == 0 {
            assert_eq!(insn.src, 0, "a source beside a constant");
            insn.imm as u32
        } else {
            assert_eq!(insn.imm, 0, "a constant beside a source");
            self.number(insn.src) as u32
        }
    }
}

/// Runs `code`, which takes `takes` and has so many bytes of stack, over the record with these words.
///
/// # Panics
///
/// Whatever the kernel's verifier would have refused.
pub fn run(
    code: &[Insn64],
    stack_bytes: u32,
    takes: Takes,
    record: &Record<'_>,
    frame: &Frame<'_>,
) -> Ended {
    assert!(stack_bytes.is_multiple_of(4) && stack_bytes <= 64);
    let mut machine = Machine {
        registers: [None; 11],
        stack: vec![None; stack_bytes as usize / 4],
        words: filters::native::words(record.event(), record).expect("a whole record"),
        frame: None,
    };
    machine.registers[1] = Some(match takes {
        Takes::Words => Value::Words,
        Takes::Frame { .. } => {
            machine.frame = Some(frame);
            Value::Frame
        }
    });
    let (mut jumps, mut others) = (0, 0);
    let mut pc = 0;
    loop {
        let insn = decode(*code.get(pc).expect("an instruction"));
        pc += 1;
        let mut taken = None;
        match insn.code {
            0x61 => {
                assert_eq!(insn.imm, 0);
                let value = machine.load(&insn);
                machine.set(insn.dst, value);
            }
            0x79 => {
                assert_eq!(
                    (machine.value(insn.src), insn.off, insn.imm),
                    (Value::Frame, 0, 0)
                );
                machine.set(insn.dst, Value::Words);
            }
            0x63 => {
                assert_eq!((insn.dst, insn.imm), (10, 0));
                let word = machine.number(insn.src) as u32;
                *machine.slot(insn.off) = Some(word);
            }
            0xbf => {
                assert_eq!((insn.off, insn.imm), (0, 0));
                let value = machine.value(insn.src);
                machine.set(insn.dst, value);
            }
            0x05 => {
                assert_eq!((insn.dst, insn.src, insn.imm), (0, 0, 0));
                pc += usize::try_from(insn.off).expect("jumps go forward");
            }
            0x85 => {
                assert_eq!((insn.dst, insn.src, insn.off), (0, 0, 0));
                machine.call(&insn);
            }
            0x95 => {
                assert_eq!((insn.dst, insn.src, insn.off, insn.imm), (0, 0, 0, 0));
                others += 1;
                let raw = machine.number(0) as u32;
                return Ended { raw, jumps, others };
            }
            0xc5 => {
                assert_eq!((insn.src, insn.imm), (0, 0));
                taken = Some((machine.number(insn.dst) as i64) < 0);
            }
            code if code & 0x07 == 0x04 => {
                let operand = machine.operand(&insn);
                machine.arithmetic(&insn, operand);
            }
            code if code & 0x07 == 0x06 => {
                taken = Some(machine.holds(&insn, machine.operand(&insn)))
            }
            code => panic!("instruction {code:#x}"),
        }
        match taken {
            None => others += 1,
            Some(taken) => {
                jumps += 1;
                let off = usize::try_from(insn.off).expect("jumps go forward");
                pc += if taken { off } else { 0 };
            }
        }
    }
}

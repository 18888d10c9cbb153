// SPDX-License-Identifier: GPL-2.0
//! Instructions of eBPF: `struct bpf_insn` of `include/uapi/linux/bpf.h` as a number, so that writing it down in memory makes the struct.
//!
//! Only what the kernel's interpreter and compilers know by themselves, without the help of the eBPF verifier, is here.

use crate::insn;

/// An eBPF instruction as it lies in memory (little-endian): `code`, `dst_reg` and `src_reg` of four bits each, `off`, `imm`.
pub type Insn64 = u64;

/// A register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reg(u8);

/// The value that a function returns, and that the program returns.
pub(super) const R0: Reg = Reg(0);
/// First argument, of the program and of what it calls. A call overwrites it and the next four.
pub(super) const R1: Reg = Reg(1);
pub(super) const R2: Reg = Reg(2);
pub(super) const R3: Reg = Reg(3);
pub(super) const R4: Reg = Reg(4);
/// The first of those that a call leaves alone. Each one that is used costs a push and a pop.
pub(super) const R6: Reg = Reg(6);
pub(super) const R7: Reg = Reg(7);
pub(super) const R8: Reg = Reg(8);
pub(super) const R9: Reg = Reg(9);
/// End of the stack frame.
const R10: Reg = Reg(10);

const CLASS_ALU: u8 = 0x04;
const CLASS_JMP32: u8 = 0x06;
const MOV: u8 = 0xb0;
const SOURCE_X: u8 = 0x08;

const MOV64_X: u8 = 0xbf;
const LOAD_32: u8 = 0x61;
const LOAD_64: u8 = 0x79;
const STORE_32: u8 = 0x63;
const JA: u8 = 0x05;
const JSLT_64: u8 = 0xc5;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;

/// What the right side of an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operand {
    /// A constant.
    K(u32),
    /// The low half of a register.
    In(Reg),
}

/// What a jump asks of the low half of a register, unsigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Test {
    Equal = 0x10,
    Greater = 0x20,
    GreaterOrEqual = 0x30,
    /// A bit in common.
    Set = 0x40,
    NotEqual = 0x50,
    Less = 0xa0,
    LessOrEqual = 0xb0,
}

impl Test {
    /// The test of a classic jump.
    pub(super) const fn of(code: u16) -> Option<Test> {
        Some(match code & !insn::X {
            code if code == insn::JMP | insn::JEQ => Test::Equal,
            code if code == insn::JMP | insn::JGT => Test::Greater,
            code if code == insn::JMP | insn::JGE => Test::GreaterOrEqual,
            code if code == insn::JMP | insn::JSET => Test::Set,
            _ => return None,
        })
    }

    /// The test that holds when this one does not. "No bit in common" is none.
    pub(super) const fn inverse(self) -> Option<Test> {
        Some(match self {
            Test::Equal => Test::NotEqual,
            Test::NotEqual => Test::Equal,
            Test::Greater => Test::LessOrEqual,
            Test::LessOrEqual => Test::Greater,
            Test::GreaterOrEqual => Test::Less,
            Test::Less => Test::GreaterOrEqual,
            Test::Set => return None,
        })
    }
}

const fn encode(code: u8, dst: Reg, src: Reg, off: i16, imm: u32) -> Insn64 {
    code as u64
        | (dst.0 as u64) << 8
        | (src.0 as u64) << 12
        | (off as u16 as u64) << 16
        | (imm as u64) << 32
}

/// `code` on the low half of `dst`; the upper half becomes zero.
const fn operation(code: u8, dst: Reg, operand: Operand) -> Insn64 {
    match operand {
        Operand::K(k) => encode(code, dst, R0, 0, k),
        Operand::In(src) => encode(code | SOURCE_X, dst, src, 0, 0),
    }
}

/// `dst` becomes the operand.
pub(super) const fn set(dst: Reg, operand: Operand) -> Insn64 {
    operation(CLASS_ALU | MOV, dst, operand)
}

/// `dst` becomes the pointer in `src`.
pub(super) const fn copy_pointer(dst: Reg, src: Reg) -> Insn64 {
    encode(MOV64_X, dst, src, 0, 0)
}

/// An operation of classic BPF, whose code means the same here. A shift by a register is modulo 32, in the kernel's interpreter and on the machine.
pub(super) const fn arithmetic(classic: u16, dst: Reg, operand: Operand) -> Insn64 {
    operation(classic as u8 & !SOURCE_X, dst, operand)
}

/// `dst` becomes the 32-bit word at `base + offset`.
pub(super) const fn load(dst: Reg, base: Reg, offset: i16) -> Insn64 {
    encode(LOAD_32, dst, base, offset, 0)
}

/// `dst` becomes the pointer at `base + offset`.
pub(super) const fn load_pointer(dst: Reg, base: Reg, offset: i16) -> Insn64 {
    encode(LOAD_64, dst, base, offset, 0)
}

/// `dst` becomes the word at this (negative) offset from the end of the stack frame.
pub(super) const fn load_stack(dst: Reg, offset: i16) -> Insn64 {
    encode(LOAD_32, dst, R10, offset, 0)
}

/// The word at this (negative) offset from the end of the stack frame becomes the low half of `src`.
pub(super) const fn store_stack(offset: i16, src: Reg) -> Insn64 {
    encode(STORE_32, R10, src, offset, 0)
}

/// Jumps over `distance` instructions.
pub(super) const fn jump(distance: i16) -> Insn64 {
    encode(JA, R0, R0, distance, 0)
}

/// Jumps over `distance` instructions if the test holds.
pub(super) const fn jump_if(test: Test, left: Reg, right: Operand, distance: i16) -> Insn64 {
    let code = CLASS_JMP32 | test as u8;
    match right {
        Operand::K(k) => encode(code, left, R0, distance, k),
        Operand::In(right) => encode(code | SOURCE_X, left, right, distance, 0),
    }
}

/// Jumps over `distance` instructions if bit 63 of the register is set.
pub(super) const fn jump_if_negative(reg: Reg, distance: i16) -> Insn64 {
    encode(JSLT_64, reg, R0, distance, 0)
}

/// Calls the function at `__bpf_call_base + imm`.
pub(super) const fn call(imm: i32) -> Insn64 {
    encode(CALL, R0, R0, 0, imm as u32)
}

/// Returns the low half of R0.
pub(super) const fn exit() -> Insn64 {
    encode(EXIT, R0, R0, 0, 0)
}

// SPDX-License-Identifier: GPL-2.0
//! The instruction set: classic BPF in the dialect of seccomp, string instructions, and one that asks who is calling.
//!
//! An instruction is a `struct sock_filter` (`include/uapi/linux/filter.h`): 16 bits of code, two 8-bit jump offsets, a 32-bit operand, in
//! little-endian order. Classic BPF leaves the upper half of the code zero; there our own instructions have their bit ([`EXTENSION`]), so a
//! program for seccomp is a program here, byte for byte, and no seccomp program can be taken for one with strings.
//!
//! The loads are those that `seccomp_check_filter` accepts: aligned words of the record, its length, constants and
//! scratch memory. The packet loads of classic BPF (bytes, half words, `[x + k]`, `4*([k]&0xf)`) are refused here as there: their address is
//! not known before the program runs, so no verifier could promise that they stay inside the record.

/// Bytes of one instruction.
pub const INSN_BYTES: usize = 8;

/// Load into A.
pub const LD: u16 = 0x00;
/// Load into X.
pub const LDX: u16 = 0x01;
/// Store A to scratch memory.
pub const ST: u16 = 0x02;
/// Store X to scratch memory.
pub const STX: u16 = 0x03;
/// Arithmetic on A.
pub const ALU: u16 = 0x04;
/// Jump.
pub const JMP: u16 = 0x05;
/// Return.
pub const RET: u16 = 0x06;
/// Move between A and X.
pub const MISC: u16 = 0x07;

/// Load mode: the constant k.
pub const IMM: u16 = 0x00;
/// Load mode: the record's word at byte k.
pub const ABS: u16 = 0x20;
/// Load mode: scratch word k.
pub const MEM: u16 = 0x60;
/// Load mode: length of the record in bytes.
pub const LEN: u16 = 0x80;

/// Addition.
pub const ADD: u16 = 0x00;
/// Subtraction.
pub const SUB: u16 = 0x10;
/// Multiplication.
pub const MUL: u16 = 0x20;
/// Unsigned division; by a zero in X the program ends with verdict 0.
pub const DIV: u16 = 0x30;
/// Bitwise or.
pub const OR: u16 = 0x40;
/// Bitwise and.
pub const AND: u16 = 0x50;
/// Shift left.
pub const LSH: u16 = 0x60;
/// Shift right.
pub const RSH: u16 = 0x70;
/// Two's complement.
pub const NEG: u16 = 0x80;
/// Bitwise exclusive or.
pub const XOR: u16 = 0xa0;

/// Unconditional jump by k.
pub const JA: u16 = 0x00;
/// Jump if A equals the operand.
pub const JEQ: u16 = 0x10;
/// Jump if A is greater, unsigned.
pub const JGT: u16 = 0x20;
/// Jump if A is greater or equal, unsigned.
pub const JGE: u16 = 0x30;
/// Jump if A and the operand share a bit.
pub const JSET: u16 = 0x40;

/// Operand k.
pub const K: u16 = 0x00;
/// Operand X.
pub const X: u16 = 0x08;
/// Return A.
pub const A: u16 = 0x10;

/// X becomes A.
pub const TAX: u16 = 0x00;
/// A becomes X.
pub const TXA: u16 = 0x80;

/// Marks an instruction of ours: a bit that classic BPF never sets.
pub const EXTENSION: u16 = 0x0100;
/// String jump: the field equals the constant.
pub const SEQ: u16 = EXTENSION | JMP;
/// String jump: the field begins with the constant.
pub const SPREFIX: u16 = EXTENSION | JMP | 0x10;
/// String jump: the field ends with the constant.
pub const SSUFFIX: u16 = EXTENSION | JMP | 0x20;
/// String jump: the constant occurs in the field.
pub const SCONTAINS: u16 = EXTENSION | JMP | 0x30;
/// String jump: the field is the constant, or a path below it ("/lib" covers "/lib" and "/lib/x", never "/library").
pub const SUNDER: u16 = EXTENSION | JMP | 0x40;
/// String load: A becomes the value that an automaton table gives to the field, 0 for no match.
pub const SMATCH: u16 = EXTENSION | LD;

/// X becomes an id of the calling task, as the task itself sees it: [`SELF_PROCESS`] or [`SELF_THREAD`].
///
/// What seccomp cannot say: "only to itself", in a way that holds for the children too.
pub const SELF: u16 = EXTENSION | LDX;
/// Operand of [`SELF`]: the id of the process, as `getpid` returns it.
pub const SELF_PROCESS: u32 = 0;
/// Operand of [`SELF`]: the id of the thread, as `gettid` returns it.
pub const SELF_THREAD: u32 = 1;

/// One instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Insn {
    /// Class, size, mode and operation.
    pub code: u16,
    /// Instructions to skip if the condition holds.
    pub jt: u8,
    /// Instructions to skip if it does not.
    pub jf: u8,
    /// Operand. In string instructions: the record's string field in the upper 8 bits, the index of the constant or table in the lower 24.
    pub k: u32,
}

impl Insn {
    /// An instruction without jump offsets.
    pub const fn stmt(code: u16, k: u32) -> Insn {
        Insn {
            code,
            jt: 0,
            jf: 0,
            k,
        }
    }

    /// A conditional jump.
    pub const fn jump(code: u16, k: u32, jt: u8, jf: u8) -> Insn {
        Insn { code, jt, jf, k }
    }

    /// The operand of a string instruction.
    pub const fn string_operand(field: u8, index: u32) -> u32 {
        (field as u32) << 24 | (index & 0x00ff_ffff)
    }

    /// String field that a string instruction reads.
    pub const fn field(self) -> usize {
        (self.k >> 24) as usize
    }

    /// Constant or table that a string instruction tests against.
    pub const fn index(self) -> usize {
        (self.k & 0x00ff_ffff) as usize
    }

    /// The instruction from its bytes.
    pub const fn from_bytes(bytes: [u8; INSN_BYTES]) -> Insn {
        let raw = u64::from_le_bytes(bytes);
        Insn {
            code: raw as u16,
            jt: (raw >> 16) as u8,
            jf: (raw >> 24) as u8,
            k: (raw >> 32) as u32,
        }
    }

    /// The bytes of the instruction.
    pub const fn to_bytes(self) -> [u8; INSN_BYTES] {
        let raw = self.code as u64
            | (self.jt as u64) << 16
            | (self.jf as u64) << 24
            | (self.k as u64) << 32;
        raw.to_le_bytes()
    }
}

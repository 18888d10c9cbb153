// SPDX-License-Identifier: GPL-2.0
//! Which classic programs seccomp accepts, written a second time.
//!
//! Source: `bpf_check_classic` and `check_load_and_stores` of `net/core/filter.c`, `seccomp_check_filter` of `kernel/seccomp.c`, in
//! the order in which the kernel runs them. The codes are numbers here, taken from `include/uapi/linux/bpf_common.h`, so that a wrong constant
//! in the engine shows.

use filters::insn::Insn;

/// `sizeof(struct seccomp_data)`.
const SECCOMP_DATA_BYTES: u32 = 64;

/// Codes that both `chk_code_allowed` and `seccomp_check_filter` let through.
const ALLOWED: &[u16] = &[
    0x00, 0x01, // ld #k, ldx #k
    0x02, 0x03, // st, stx
    0x04, 0x0c, 0x14, 0x1c, 0x24, 0x2c, 0x34, 0x3c, 0x44, 0x4c, 0x54,
    0x5c, // add sub mul div or and
    0x64, 0x6c, 0x74, 0x7c, 0x84, 0xa4,
    0xac, // lsh rsh neg xor; mod (0x94, 0x9c) is not seccomp's
    0x05, 0x15, 0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45, 0x4d, // jumps
    0x06, 0x16, // ret
    0x07, 0x87, // tax, txa
    0x20, // ld [k]
    0x60, 0x61, // ld M[k], ldx M[k]
    0x80, 0x81, // ld #len, ldx #len
];

/// Whether seccomp accepts the program.
pub fn accepts(program: &[Insn]) -> bool {
    let flen = program.len();
    if flen == 0 || flen > 4096 {
        return false;
    }
    if !program
        .iter()
        .enumerate()
        .all(|(pc, insn)| sound(insn, pc, flen))
    {
        return false;
    }
    matches!(program[flen - 1].code, 0x06 | 0x16) && scratch_is_written_before_read(program)
}

fn sound(insn: &Insn, pc: usize, flen: usize) -> bool {
    if !ALLOWED.contains(&insn.code) {
        return false;
    }
    match insn.code {
        0x34 => insn.k != 0,
        0x64 | 0x74 => insn.k < 32,
        0x60 | 0x61 | 0x02 | 0x03 => insn.k < 16,
        0x05 => insn.k < (flen - pc - 1) as u32,
        0x15 | 0x1d | 0x25 | 0x2d | 0x35 | 0x3d | 0x45 | 0x4d => {
            pc + insn.jt as usize + 1 < flen && pc + insn.jf as usize + 1 < flen
        }
        0x20 => insn.k < SECCOMP_DATA_BYTES && insn.k.is_multiple_of(4),
        _ => true,
    }
}

/// Backwards instead of forwards: for each instruction the set of words that must be written when it is reached, and no word at the start.
///
/// The kernel lets a return "fall through" to the next instruction with what was written before it. So does this: what the next instruction
/// needs is needed at the return too.
fn scratch_is_written_before_read(program: &[Insn]) -> bool {
    let mut needed = vec![0u16; program.len() + 1];
    for (pc, insn) in program.iter().enumerate().rev() {
        let after = needed[pc + 1];
        needed[pc] = match insn.code {
            0x02 | 0x03 => after & !(1 << insn.k),
            0x60 | 0x61 => after | 1 << insn.k,
            0x05 => needed[pc + 1 + insn.k as usize],
            0x15 | 0x1d | 0x25 | 0x2d | 0x35 | 0x3d | 0x45 | 0x4d => {
                needed[pc + 1 + insn.jt as usize] | needed[pc + 1 + insn.jf as usize]
            }
            _ => after,
        };
    }
    // An instruction that nothing reaches is "reached with everything written" in the kernel's pass; only the start counts.
    needed[0] == 0
}

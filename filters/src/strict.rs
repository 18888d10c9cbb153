// SPDX-License-Identifier: GPL-2.0
//! The strict filter: a task under it can compute, read and write what is open, and end. Nothing else.
//!
//! Arcangeli's secure computing of 2004 (seccomp mode 1), with `exit_group` added, because C libraries end a process by it; a call that is not allowed
//! kills the process. It is built into the module, so that a task needs no policy and no compiler to enter it. `policies/strict.evf` says the same.

use crate::event::Event;
use crate::image::{HEADER_BYTES, MAGIC, PROGRAM_HEADER_BYTES};
use crate::insn::{Insn, ABS, INSN_BYTES, JEQ, JMP, K, LD, RET};
use crate::verdict::Verdict;

const LOAD_NR: Insn = Insn::stmt(LD | ABS, 0);
const LOAD_ARCH: Insn = Insn::stmt(LD | ABS, 4);
const KILL: Insn = Insn::stmt(RET | K, Verdict::KILL_PROCESS.raw());
const ALLOW: Insn = Insn::stmt(RET | K, Verdict::ALLOW.raw());

/// If A is `k`, skip `offset` instructions.
const fn on(k: u32, offset: u8) -> Insn {
    Insn::jump(JMP | JEQ | K, k, offset, 0)
}

/// If A is not `k`, skip `offset` instructions.
const fn unless(k: u32, offset: u8) -> Insn {
    Insn::jump(JMP | JEQ | K, k, 0, offset)
}

/// Numbers as in `arch/x86/entry/syscalls/syscall_64.tbl` and `syscall_32.tbl`.
const PROGRAM: [Insn; 19] = [
    LOAD_ARCH,
    unless(0xc000_003e, 7), // AUDIT_ARCH_X86_64
    LOAD_NR,
    on(0, 14),   // read
    on(1, 13),   // write
    on(15, 12),  // rt_sigreturn
    on(60, 11),  // exit
    on(231, 10), // exit_group
    KILL,
    unless(0x4000_0003, 7), // AUDIT_ARCH_I386
    LOAD_NR,
    on(3, 6),   // read
    on(4, 5),   // write
    on(119, 4), // sigreturn
    on(173, 3), // rt_sigreturn
    on(1, 2),   // exit
    on(252, 1), // exit_group
    KILL,
    ALLOW,
];

const PROGRAM_BYTES: usize = PROGRAM_HEADER_BYTES + PROGRAM.len() * INSN_BYTES;

/// Bytes of [`image`].
pub const IMAGE_BYTES: usize = HEADER_BYTES + PROGRAM_BYTES;

/// The policy image of the strict filter.
pub fn image() -> [u8; IMAGE_BYTES] {
    let head = [
        [MAGIC, IMAGE_BYTES as u32, 1, 0],
        [
            Event::SyscallEnter.number(),
            PROGRAM_BYTES as u32,
            PROGRAM.len() as u32,
            0,
        ],
        [0, 0, 0, 0],
    ];
    let head = head
        .as_flattened()
        .iter()
        .take((HEADER_BYTES + PROGRAM_HEADER_BYTES) / 4);
    let mut bytes = head
        .flat_map(|word| word.to_le_bytes())
        .chain(PROGRAM.iter().flat_map(|insn| insn.to_bytes()));
    [(); IMAGE_BYTES].map(|()| bytes.next().unwrap_or(0))
}

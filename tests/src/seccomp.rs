// SPDX-License-Identifier: GPL-2.0
//! Real seccomp, for comparison: the same program, the same deed, and what a parent sees of both.

use filters::insn::{INSN_BYTES, Insn};

use crate::kernel;
use crate::program::{Part, image};
use crate::sys::child::{Board, Seen, run};
use crate::sys::{Ret, no_new_privs, sys};

#[repr(C)]
struct Program {
    len: u16,
    insns: *const u8,
}

/// Installs a program with `seccomp(2)`.
pub fn try_install(insns: &[Insn], flags: u32) -> Ret {
    try_install_code(&code(insns), flags, 0)
}

/// The bytes of a program.
pub fn code(insns: &[Insn]) -> Vec<u8> {
    insns.iter().flat_map(|insn| insn.to_bytes()).collect()
}

/// The same from the program's bytes, and with a sixth argument, which the kernel does not look at but an older program may.
pub fn try_install_code(code: &[u8], flags: u32, sixth: u64) -> Ret {
    let program = Program {
        len: (code.len() / INSN_BYTES) as u16,
        insns: code.as_ptr(),
    };
    sys!(
        libc::SYS_seccomp,
        libc::SECCOMP_SET_MODE_FILTER,
        flags,
        &raw const program,
        0,
        0,
        sixth
    )
}

/// Installs a program with `seccomp(2)`, which must work.
#[track_caller]
pub fn install(insns: &[Insn]) {
    no_new_privs();
    assert_eq!(try_install(insns, 0), Ok(0), "seccomp(2)");
}

/// Runs `deed` under these programs, oldest first: once under layers of evfilter, once under filters of seccomp. Both must look the same.
#[track_caller]
pub fn same(programs: &[Vec<Insn>], deed: impl Fn(&Board)) -> Seen {
    let ours = run(|board| {
        for program in programs {
            kernel::attach(&image(&[Part::syscall(program.clone())]));
        }
        deed(board);
    });
    let theirs = run(|board| {
        for program in programs {
            install(program);
        }
        deed(board);
    });
    assert_eq!(ours, theirs, "evfilter (left) and seccomp (right) differ");
    ours
}

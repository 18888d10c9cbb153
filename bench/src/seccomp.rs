// SPDX-License-Identifier: GPL-2.0
//! seccomp, by its system call.

use std::io;

use filters::insn::{INSN_BYTES, Insn};

use crate::sys::{call, checked};

/// `struct sock_fprog`.
#[repr(C)]
struct Program {
    len: u16,
    insns: *const u8,
}

/// The bytes of a program.
pub(crate) fn code(insns: &[Insn]) -> Vec<u8> {
    insns.iter().flat_map(|insn| insn.to_bytes()).collect()
}

/// Installs a program on this process.
pub(crate) fn install(code: &[u8]) -> io::Result<()> {
    let program = Program {
        len: (code.len() / INSN_BYTES) as u16,
        insns: code.as_ptr(),
    };
    let mode = u64::from(libc::SECCOMP_SET_MODE_FILTER);
    checked(call(
        libc::SYS_seccomp,
        [mode, 0, &raw const program as u64, 0, 0, 0],
    ))?;
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0
//! `ptrace(2)` and its kin, as calls on process numbers.

use crate::sys::{Ret, sys};

/// `struct user_regs_struct` as words; index [`ORIG_RAX`] is the number of the system call in progress.
pub type Registers = [u64; 27];

/// Where `orig_rax` lies.
pub const ORIG_RAX: usize = 15;
/// Where `rax` lies.
pub const RAX: usize = 10;
/// Any request.
pub fn ptrace(request: u32, pid: i32, address: u64, data: u64) -> Ret {
    sys!(libc::SYS_ptrace, request, pid, address, data)
}

/// Attaches, waits for the stop, and detaches again.
pub fn attach_and_leave(pid: i32) -> Ret {
    ptrace(libc::PTRACE_ATTACH, pid, 0, 0)?;
    let mut status = 0i32;
    sys!(libc::SYS_wait4, pid, &raw mut status, libc::__WALL, 0)?;
    ptrace(libc::PTRACE_DETACH, pid, 0, 0)
}

/// Seizes, without stopping the target, and leaves the trace in force.
pub fn seize(pid: i32, options: u32) -> Ret {
    ptrace(libc::PTRACE_SEIZE, pid, 0, u64::from(options))
}

/// The registers of a stopped child.
#[track_caller]
pub fn registers(pid: i32) -> Registers {
    let mut registers: Registers = [0; 27];
    let done = ptrace(libc::PTRACE_GETREGS, pid, 0, registers.as_mut_ptr() as u64);
    assert_eq!(done, Ok(0), "PTRACE_GETREGS");
    registers
}

/// Sets the registers of a stopped child.
#[track_caller]
pub fn set_registers(pid: i32, registers: &Registers) {
    let done = ptrace(libc::PTRACE_SETREGS, pid, 0, registers.as_ptr() as u64);
    assert_eq!(done, Ok(0), "PTRACE_SETREGS");
}

/// Lets a stopped child go on with `request` and waits for its next stop or end; returns the raw status.
#[track_caller]
pub fn go_on(request: u32, pid: i32, signal: i32) -> i32 {
    assert_eq!(ptrace(request, pid, 0, signal as u64), Ok(0), "resume");
    next_stop(pid)
}

/// Waits for the next stop or end; returns the raw status.
#[track_caller]
pub fn next_stop(pid: i32) -> i32 {
    let mut status = 0i32;
    let done = sys!(libc::SYS_wait4, pid, &raw mut status, libc::__WALL, 0);
    assert_eq!(done, Ok(pid as u64), "wait4");
    status
}

/// Reads eight bytes of another process; `Ok` is their number.
pub fn read_memory(pid: i32, address: u64) -> Ret {
    let mut word = 0u64;
    let here = [&raw mut word as u64, 8];
    let there = [address, 8];
    sys!(
        libc::SYS_process_vm_readv,
        pid,
        here.as_ptr(),
        1,
        there.as_ptr(),
        1,
        0
    )
}

/// Calls the function at `address` with a null argument, as programs of old call the vsyscall page; returns rax.
pub fn call_address(address: u64) -> i64 {
    let result: i64;
    // SAFETY: the vsyscall page keeps the C ABI; without such a page the calling process gets SIGSEGV, which the caller expects.
    unsafe {
        std::arch::asm!("call {address}", address = in(reg) address, in("rdi") 0, in("rsi") 0, in("rdx") 0, lateout("rax") result, clobber_abi("C"));
    }
    result
}

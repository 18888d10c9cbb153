// SPDX-License-Identifier: GPL-2.0
//! `clone` and `clone3` with any flags: the child makes one open and ends, in code that needs no stack.
//!
//! A child that shares memory runs on its parent's stack here, which is harmless only because it never touches it.

use std::arch::asm;
use std::ffi::CStr;

use crate::sys::memory::Shared;
use crate::sys::{Ret, decode, sys};

/// What `clone3` takes.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
}

/// Where the child leaves what its open returned; 1 until then, which no failed open returns.
type Mailbox = Shared<std::sync::atomic::AtomicU64>;

fn run(nr: i64, first: u64, second: u64, name: &CStr, flags: i32) -> Ret {
    use std::sync::atomic::Ordering;
    let mailbox = Mailbox::new();
    mailbox.store(1, Ordering::SeqCst);
    let pid: u64;
    // SAFETY: in the parent this is one system call. The child goes the other way at the jump: it uses registers only, stores its result
    // to the mailbox, which is shared, and ends; it never returns into Rust.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov eax, {open}",
            "mov edi, -100",
            "mov rsi, r12",
            "xor edx, edx",
            "xor r10d, r10d",
            "syscall",
            "mov [r13], rax",
            "mov eax, {exit}",
            "xor edi, edi",
            "syscall",
            "ud2",
            "2:",
            open = const libc::SYS_openat,
            exit = const libc::SYS_exit,
            inlateout("rax") nr => pid,
            inlateout("rdi") first => _,
            inlateout("rsi") second => _,
            inlateout("rdx") 0u64 => _,
            inlateout("r10") 0u64 => _,
            in("r8") 0u64,
            in("r12") name.as_ptr(),
            in("r13") &raw const *mailbox,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    let pid = decode(pid)?;
    for _ in 0..5000 {
        if mailbox.load(Ordering::SeqCst) != 1 {
            break;
        }
        crate::sys::child::nap(1);
    }
    // Threads are not waited for, and siblings are our parent's to wait for.
    if flags & (libc::CLONE_THREAD | libc::CLONE_PARENT) == 0 {
        let mut status = 0i32;
        sys!(libc::SYS_wait4, pid, &raw mut status, libc::__WALL, 0)?;
        assert_eq!(status, 0, "the child's status");
    }
    let result = mailbox.load(Ordering::SeqCst);
    // Not left behind: ten thousand mappings would make each further fork slow.
    mailbox.unmap();
    assert_ne!(result, 1, "the child of clone({flags:#x}) never opened");
    decode(result)
}

/// `clone(flags)`; what `open(name)` returned in the child.
pub fn open_in_clone(flags: i32, name: &CStr) -> Ret {
    // No new stack: children with memory of their own have a copy, others never use it.
    run(libc::SYS_clone, flags as u32 as u64, 0, name, flags)
}

/// `clone3(flags)`; what `open(name)` returned in the child.
pub fn open_in_clone3(flags: i32, name: &CStr) -> Ret {
    let signal = flags & 0xff;
    let args = CloneArgs {
        flags: (flags & !0xff) as u32 as u64,
        exit_signal: signal as u64,
        ..CloneArgs::default()
    };
    run(
        libc::SYS_clone3,
        &raw const args as u64,
        size_of::<CloneArgs>() as u64,
        name,
        flags,
    )
}

// SPDX-License-Identifier: GPL-2.0
//! The 32-bit entry of the kernel, reached from 64-bit code by `int 0x80`.

use std::arch::asm;

use crate::sys::Ret;

/// Makes a system call through `int 0x80`, with the numbers of i386 and pointers below 4 GiB.
pub fn call(nr: u32, args: [u32; 6]) -> Ret {
    let result: u32;
    // SAFETY: rbx and rbp, which the compiler keeps for itself, are saved around the entry; everything else that the entry may change is named.
    // Memory is bound by the rule of `sys::raw`.
    unsafe {
        asm!(
            "push rbx",
            "push rbp",
            "mov ebx, [r12]",
            "mov ecx, [r12 + 4]",
            "mov edx, [r12 + 8]",
            "mov esi, [r12 + 12]",
            "mov edi, [r12 + 16]",
            "mov ebp, [r12 + 20]",
            "int 0x80",
            "pop rbp",
            "pop rbx",
            inlateout("eax") nr => result,
            in("r12") args.as_ptr(),
            lateout("rcx") _, lateout("rdx") _, lateout("rsi") _, lateout("rdi") _,
            lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _,
        );
    }
    crate::sys::decode(result as i32 as i64 as u64)
}

// SPDX-License-Identifier: GPL-2.0
//! A 32-bit program that makes one system call, by a way into the kernel of one's choice, and ends with the result as its status.

use std::arch::global_asm;

use crate::sys::{Ret, own, sys};

/// A way into the kernel that 32-bit programs have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// `int 0x80`.
    Int80,
    /// The function that the kernel names in `AT_SYSINFO`, which does what is best on this processor.
    Vdso,
    /// `sysenter`, as on Intel's processors.
    Sysenter,
    /// `syscall` from 32-bit code, as on AMD's.
    Syscall,
    /// `syscall` after a jump into a 64-bit code segment.
    Native,
}

/// Where the file is mapped; program header and parameters come first, then the code.
const BASE: u32 = 0x0040_0000;
const PARAMETERS: usize = 0x100;
const CODE: usize = 0x200;

// The parameters are words at 0x400100: the door, the number, six arguments, room for the vdso's function, room for the way chosen. The stack
// is argc, one argument, its end, no environment, its end, and then the auxiliary vector.
global_asm!(
    ".pushsection .rodata.evf_i386, \"a\"",
    ".balign 8",
    ".globl evf_i386_start",
    ".globl evf_i386_end",
    "evf_i386_start:",
    ".code32",
    "mov edi, 0x400100",
    "lea esi, [esp + 16]",
    "2:",
    "mov eax, [esi]",
    "test eax, eax",
    "jz 4f",
    "cmp eax, 32",
    "je 3f",
    "add esi, 8",
    "jmp 2b",
    "3:",
    "mov eax, [esi + 4]",
    "mov [edi + 32], eax",
    "4:",
    "mov eax, [edi]",
    "lea ecx, [eax*8 + 0x400280]",
    "mov [edi + 36], ecx",
    "mov eax, [edi + 4]",
    "mov ebx, [edi + 8]",
    "mov ecx, [edi + 12]",
    "mov edx, [edi + 16]",
    "mov esi, [edi + 20]",
    "mov ebp, [edi + 28]",
    "mov edi, [edi + 24]",
    "call dword ptr [0x400124]",
    "mov ebx, eax",
    "mov eax, 1",
    "int 0x80",
    "ud2",
    // Eight bytes each. After sysenter and syscall the kernel goes on in the vdso, which takes three registers from the stack and returns.
    ".org evf_i386_start + 0x80, 0x90",
    "int 0x80",
    "ret",
    ".balign 8, 0x90",
    "jmp dword ptr [0x400120]",
    ".balign 8, 0x90",
    "push ecx",
    "push edx",
    "push ebp",
    "mov ebp, esp",
    "sysenter",
    ".balign 8, 0x90",
    "push ecx",
    "push edx",
    "push ebp",
    "mov ebp, ecx",
    "syscall",
    ".balign 8, 0x90",
    // A far jump to the next instruction, in the 64-bit code segment.
    ".byte 0xea",
    ".long 0x400200 + (5f - evf_i386_start)",
    ".word 0x33",
    "5:",
    ".code64",
    "mov edi, 0x400100",
    "mov eax, [rdi + 4]",
    "mov esi, [rdi + 12]",
    "mov edx, [rdi + 16]",
    "mov r10d, [rdi + 20]",
    "mov r8d, [rdi + 24]",
    "mov r9d, [rdi + 28]",
    "mov edi, [rdi + 8]",
    "syscall",
    "mov edi, eax",
    "mov eax, 60",
    "syscall",
    "ud2",
    "evf_i386_end:",
    ".popsection",
);

unsafe extern "C" {
    // SAFETY: labels of the assembly above, whose addresses only are used.
    static evf_i386_start: u8;
    // SAFETY: as above.
    static evf_i386_end: u8;
}

fn code() -> &'static [u8] {
    let (start, end) = (&raw const evf_i386_start, &raw const evf_i386_end);
    // SAFETY: both labels lie in one read-only section, the second one behind the first.
    unsafe { std::slice::from_raw_parts(start, end as usize - start as usize) }
}

/// The program as an ELF file.
fn file(door: Door, nr: u32, args: [u32; 6]) -> Vec<u8> {
    let size = (CODE + code().len()) as u32;
    let mut file = Vec::new();
    // ELFCLASS32, little endian, version 1; ET_EXEC for EM_386.
    file.extend(b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x03\0");
    let entry = BASE + CODE as u32;
    // Version, entry, program headers at 52, no sections, no flags.
    for word in [1, entry, 52, 0, 0] {
        file.extend(u32::to_le_bytes(word));
    }
    // Sizes: this header 52, program header 32, one of them; no sections.
    for half in [52u16, 32, 1, 0, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    // PT_LOAD from 0 to BASE, readable, writable and executable.
    for word in [1, 0, BASE, BASE, size, size, 7, 0x1000] {
        file.extend(u32::to_le_bytes(word));
    }
    file.resize(PARAMETERS, 0);
    for word in [door as u32, nr].into_iter().chain(args) {
        file.extend(word.to_le_bytes());
    }
    file.resize(CODE, 0);
    file.extend(code());
    file
}

/// Becomes the program: returns only if it cannot be started.
pub fn become_program(door: Door, nr: u32, args: [u32; 6]) -> Ret {
    let memory = own(sys!(libc::SYS_memfd_create, c"i386", 0))?;
    let file = file(door, nr, args);
    let written = sys!(libc::SYS_write, &memory, file.as_ptr(), file.len());
    assert_eq!(written, Ok(file.len() as u64));
    let words = [c"i386".as_ptr() as u64, 0];
    sys!(
        libc::SYS_execveat,
        &memory,
        c"",
        words.as_ptr(),
        words[1..].as_ptr(),
        libc::AT_EMPTY_PATH
    )
}

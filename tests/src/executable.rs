// SPDX-License-Identifier: GPL-2.0
//! Programs of a few instructions, assembled by hand: what they do first is known to the instruction, and they end by telling one number.

use std::ffi::CStr;

use crate::sys::sys;

/// Where the file lies in memory; the code follows its two headers.
const BASE: u64 = 0x40_0000;
const HEADERS: u64 = 64 + 56;

/// A static x86-64 program: an ELF header, one program header, the code.
pub fn elf(code: &[u8]) -> Vec<u8> {
    let size = HEADERS + code.len() as u64;
    let mut file = Vec::from(*b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    // ET_EXEC for EM_X86_64.
    file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    for word in [BASE + HEADERS, 64, 0] {
        file.extend(word.to_le_bytes());
    }
    for half in [0u16, 0, 64, 56, 1, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    // PT_LOAD, readable and executable.
    file.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    for word in [0, BASE, BASE, size, size, 4096] {
        file.extend(word.to_le_bytes());
    }
    file.extend(code);
    file
}

/// A program whose first instruction but three is this call, with zeros for arguments; its exit status is the errno, or 0.
pub fn calls(nr: i64) -> Vec<u8> {
    let mut code = vec![0xb8]; // mov eax, nr
    code.extend((nr as u32).to_le_bytes());
    code.extend([0x31, 0xff]); // xor edi, edi
    code.extend([0x31, 0xf6]); // xor esi, esi
    code.extend([0x0f, 0x05]); // syscall
    code.extend([0x89, 0xc7]); // mov edi, eax
    code.extend([0xf7, 0xdf]); // neg edi
    code.extend([0xb8, 0xe7, 0, 0, 0]); // mov eax, SYS_exit_group
    code.extend([0x0f, 0x05]); // syscall
    elf(&code)
}

/// A program whose exit status is the number of its layers: prctl(PR_EVFILTER, PR_EVFILTER_OPEN), then IOC_INFO.
pub fn tells_layers() -> Vec<u8> {
    let code = [
        &[0x48, 0x83, 0xec, 0x40][..],                     // sub rsp, 64
        &[0xc7, 0x04, 0x24, 16, 0, 0, 0],                  // mov dword [rsp], 16: Info::size
        &[0xb8, 157, 0, 0, 0],                             // mov eax, SYS_prctl
        &[0xbf, 0x4c, 0x46, 0x56, 0x45],                   // mov edi, PR_EVFILTER
        &[0xbe, 1, 0, 0, 0],                               // mov esi, PR_EVFILTER_OPEN
        &[0x31, 0xd2, 0x45, 0x31, 0xd2, 0x45, 0x31, 0xc0], // xor edx, edx; xor r10d, r10d; xor r8d, r8d
        &[0x0f, 0x05],                                     // syscall
        &[0x89, 0xc7],                                     // mov edi, eax
        &[0xb8, 16, 0, 0, 0],                              // mov eax, SYS_ioctl
        &[0xbe, 0x00, 0xef, 0, 0],                         // mov esi, IOC_INFO
        &[0x48, 0x89, 0xe2],                               // mov rdx, rsp
        &[0x0f, 0x05],                                     // syscall
        &[0x8b, 0x7c, 0x24, 12],                           // mov edi, [rsp + 12]: Info::layers
        &[0xb8, 0xe7, 0, 0, 0],                            // mov eax, SYS_exit_group
        &[0x0f, 0x05],                                     // syscall
    ];
    elf(&code.concat())
}

/// Writes a program where it can be executed.
#[track_caller]
pub fn install(path: &CStr, file: &[u8]) {
    let name = path.to_str().expect("a path");
    std::fs::write(name, file).expect(name);
    assert_eq!(sys!(libc::SYS_chmod, path, 0o755), Ok(0), "chmod");
}

/// `execve` with the path as the only argument; returns only with an errno.
pub fn exec(path: &CStr) -> i32 {
    exec_at(libc::AT_FDCWD, path, 0)
}

/// `execveat`, the same way; without a directory and flags it is `execve`.
pub fn exec_at(directory: i32, path: &CStr, flags: i32) -> i32 {
    let words = [path.as_ptr(), std::ptr::null()];
    let none = [std::ptr::null::<u8>()];
    let (words, none) = (words.as_ptr(), none.as_ptr());
    let failed = if (directory, flags) == (libc::AT_FDCWD, 0) {
        sys!(libc::SYS_execve, path, words, none)
    } else {
        sys!(libc::SYS_execveat, directory, path, words, none, flags)
    };
    failed.expect_err("exec does not return 0")
}

// SPDX-License-Identifier: GPL-2.0
//! Steps that many cases take.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, OwnedFd};

use super::case::{Deed, Loot, Stop, said};
use super::stage::pipe;
use crate::sys::child::{End, exit, fork, wait};
use crate::sys::{own, sys};

/// The file that must not be read.
pub const FLAG: &CStr = c"/home/secret/flag";
/// The directory that must not be used.
pub const SECRET: &CStr = c"/home/secret";
/// The attacker's own directory.
pub const HOME: &CStr = c"/home/escape";
/// The working directory, for calls that take a descriptor.
pub const CWD: i32 = libc::AT_FDCWD;
/// `O_EMPTYPATH`, newer than the C library.
pub const O_EMPTYPATH: i32 = 1 << 26;

/// Opens a name relative to a descriptor.
pub fn open_at(directory: i32, name: &CStr, flags: i32) -> Result<OwnedFd, i32> {
    own(sys!(
        libc::SYS_openat,
        directory,
        name,
        flags | libc::O_CLOEXEC,
        0o644
    ))
}

/// Opens a name.
pub fn open(name: &CStr, flags: i32) -> Result<OwnedFd, i32> {
    open_at(CWD, name, flags)
}

/// A text with a NUL behind it.
pub fn text(words: &str) -> std::ffi::CString {
    std::ffi::CString::new(words).expect("no NUL in it")
}

/// The name of a descriptor in procfs, with something behind it.
pub fn in_proc(fd: &OwnedFd, rest: &str) -> std::ffi::CString {
    text(&format!("/proc/self/fd/{}{rest}", fd.as_raw_fd()))
}

/// The first bytes that a descriptor gives.
pub fn read(fd: &OwnedFd) -> Deed {
    let mut bytes = vec![0u8; 512];
    let count = sys!(libc::SYS_read, fd, bytes.as_mut_ptr(), bytes.len())?;
    bytes.truncate(count as usize);
    Ok(Loot::Bytes(bytes))
}

/// The first bytes of a file.
pub fn read_at(directory: i32, name: &CStr) -> Deed {
    read(&open_at(directory, name, libc::O_RDONLY)?)
}

/// The first bytes of a file.
pub fn read_name(name: &CStr) -> Deed {
    read_at(CWD, name)
}

/// A call whose effect the judge will look for.
pub fn done(ret: Result<u64, i32>) -> Deed {
    ret.map(|_| Loot::Done).map_err(Stop::Errno)
}

/// Size of a file, from what `statx` says.
pub fn size_at(directory: i32, name: &CStr, flags: i32) -> Deed {
    // struct statx: the size lies at byte 40.
    let mut room = [0u64; 32];
    sys!(
        libc::SYS_statx,
        directory,
        name,
        flags,
        0x7ff,
        room.as_mut_ptr()
    )?;
    Ok(Loot::Number(room[5]))
}

/// What a program says: `exec` is called in a child and returns only with an errno.
pub fn output_of(exec: impl FnOnce() -> i32) -> Deed {
    let (reader, writer) = pipe();
    let pid = fork()?;
    if pid == 0 {
        let put = sys!(libc::SYS_dup2, &writer, 1);
        assert_eq!(put, Ok(1), "dup2");
        let errno = exec();
        // 133 errnos fit into a status, and programs of the corpus end with 0.
        exit(errno)
    }
    drop(writer);
    let loot = read_all(&reader);
    match wait(pid) {
        End::Exit(0) => loot,
        End::Exit(errno) => Err(Stop::Errno(errno)),
        End::Signal(signal, _) => said(format!("the program was killed by signal {signal}")),
    }
}

/// Everything that comes out of a descriptor.
pub fn read_all(fd: &OwnedFd) -> Deed {
    let mut bytes = Vec::new();
    let mut part = [0u8; 4096];
    loop {
        match sys!(libc::SYS_read, fd, part.as_mut_ptr(), part.len())? {
            0 => return Ok(Loot::Bytes(bytes)),
            count => bytes.extend(&part[..count as usize]),
        }
    }
}

/// `execve` with these words; returns only with an errno.
pub fn exec(name: &CStr, words: &[&CStr]) -> i32 {
    let mut list: Vec<*const libc::c_char> = words.iter().map(|word| word.as_ptr()).collect();
    list.push(std::ptr::null());
    let none = [std::ptr::null::<u8>()];
    sys!(libc::SYS_execve, name, list.as_ptr(), none.as_ptr()).expect_err("exec does not return 0")
}

/// Sixteen answers of a question about a file that exists or not, as a number.
pub fn bits(directory: &str, exists: impl Fn(&CStr) -> bool) -> Deed {
    let mut found = 0;
    for bit in 0..16 {
        if exists(&text(&format!("{directory}/bit-{bit}"))) {
            found |= 1 << bit;
        }
    }
    Ok(Loot::Number(found))
}

/// Which of the sixteen files a list of names has.
pub fn bits_in(names: &[u8]) -> Loot {
    let has = |name: &str| {
        names
            .split(|byte| *byte == 0)
            .any(|part| part.ends_with(name.as_bytes()))
    };
    Loot::Number(
        (0..16)
            .filter(|bit| has(&format!("bit-{bit}")))
            .fold(0, |sum, bit| sum | 1 << bit),
    )
}

/// Names in an open directory, each followed by a NUL.
pub fn list(directory: &OwnedFd) -> Result<Vec<u8>, i32> {
    let mut names = Vec::new();
    let mut room = [0u8; 4096];
    loop {
        let count = sys!(
            libc::SYS_getdents64,
            directory,
            room.as_mut_ptr(),
            room.len()
        )? as usize;
        if count == 0 {
            return Ok(names);
        }
        let mut at = 0;
        while at < count {
            // struct linux_dirent64: d_reclen at 16, d_name at 19.
            let length = usize::from(u16::from_le_bytes([room[at + 16], room[at + 17]]));
            let name = room[at + 19..at + length].split(|byte| *byte == 0).next();
            names.extend(name.unwrap_or_default());
            names.push(0);
            at += length;
        }
    }
}

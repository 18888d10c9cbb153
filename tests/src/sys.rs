// SPDX-License-Identifier: GPL-2.0
//! System calls as the kernel sees them: number, six registers, one result. All `unsafe` of this crate lies here and below.
//!
//! The C library is passed by: a test must choose the entry, the registers and the pointers itself, bad ones included.

pub mod child;
pub mod clock;
pub mod clone;
pub mod gate;
pub mod i386;
pub mod ia32;
pub mod memory;
pub mod message;
pub mod probe;
pub mod signal;
pub mod stretch;
pub mod trace;

use std::arch::asm;
use std::ffi::CStr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// What a system call returned: a value, or a positive errno.
pub type Ret = Result<u64, i32>;

/// A register's worth of argument.
pub trait Word {
    /// The 64 bits that go into the register. Signed values are extended, as the C ABI does.
    fn word(self) -> u64;
}

macro_rules! word {
    ($($type:ty),*) => { $(impl Word for $type { fn word(self) -> u64 { self as u64 } })* };
}
word!(i32, u32, i64, u64, usize);

impl<T> Word for *const T {
    fn word(self) -> u64 {
        self as u64
    }
}

impl<T> Word for *mut T {
    fn word(self) -> u64 {
        self as u64
    }
}

impl<T> Word for &[T] {
    fn word(self) -> u64 {
        self.as_ptr() as u64
    }
}

impl Word for &CStr {
    fn word(self) -> u64 {
        self.as_ptr() as u64
    }
}

impl Word for &OwnedFd {
    fn word(self) -> u64 {
        self.as_raw_fd() as u64
    }
}

/// Makes a system call through the native entry, with exactly this value in `rax`.
///
/// Safe to call by the rule of this crate: callers pass addresses of buffers that live through the call and that the kernel may write,
/// or addresses that are bad on purpose, which the kernel must answer with `EFAULT`. A call that breaks the process (say `munmap` of
/// live memory) breaks one test's own process. Never inlined, so that all calls come from one address.
#[inline(never)]
pub fn raw(rax: u64, args: [u64; 6]) -> u64 {
    let result;
    // SAFETY: the entry clobbers rcx and r11 only; what the call does to memory is bound by the rule above.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") rax => result,
            in("rdi") args[0], in("rsi") args[1], in("rdx") args[2],
            in("r10") args[3], in("r8") args[4], in("r9") args[5],
            lateout("rcx") _, lateout("r11") _,
        );
    }
    result
}

/// The result of a raw return value: -4095 to -1 are errors.
pub fn decode(raw: u64) -> Ret {
    let value = raw as i64;
    if (-4095..0).contains(&value) {
        Err(-value as i32)
    } else {
        Ok(raw)
    }
}

/// Makes a system call with up to six arguments.
pub fn call(nr: i64, list: &[u64]) -> Ret {
    let mut args = [0; 6];
    args[..list.len()].copy_from_slice(list);
    decode(raw(nr as u64, args))
}

/// `sys!(SYS_openat, AT_FDCWD, path, flags)`: a system call with up to six arguments of any register-sized type.
///
/// One expression, so that buffers named in the arguments live until the call is done.
#[macro_export]
macro_rules! sys {
    ($nr:expr $(, $arg:expr)* $(,)?) => {
        $crate::sys::call($nr as i64, &[$($crate::sys::Word::word($arg)),*])
    };
}
pub use sys;

/// Takes ownership of a descriptor that a call returned.
pub fn own(ret: Ret) -> Result<OwnedFd, i32> {
    // SAFETY: the call has just made the descriptor, so nobody else owns it.
    ret.map(|fd| unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Opens a path.
pub fn open(path: &CStr, flags: i32) -> Result<OwnedFd, i32> {
    own(sys!(
        libc::SYS_openat,
        libc::AT_FDCWD,
        path,
        flags | libc::O_CLOEXEC,
        0o600
    ))
}

/// Opens a path, closes it again.
pub fn try_open(path: &CStr) -> Ret {
    open(path, libc::O_RDONLY).map(|_| 0)
}

/// Number of the calling process.
pub fn getpid() -> i32 {
    sys!(libc::SYS_getpid).unwrap_or(0) as i32
}

/// Sets no_new_privs.
pub fn no_new_privs() {
    let done = sys!(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    assert_eq!(done, Ok(0), "PR_SET_NO_NEW_PRIVS");
}

/// Becomes user and group `id`, without capabilities and supplementary groups.
pub fn become_user(id: u32) {
    assert_eq!(sys!(libc::SYS_setgroups, 0, 0), Ok(0), "setgroups");
    assert_eq!(sys!(libc::SYS_setresgid, id, id, id), Ok(0), "setresgid");
    assert_eq!(sys!(libc::SYS_setresuid, id, id, id), Ok(0), "setresuid");
    // A change of user clears this flag; the test's own parent must still be able to look.
    assert_eq!(
        sys!(libc::SYS_prctl, libc::PR_SET_DUMPABLE, 1, 0, 0, 0),
        Ok(0)
    );
}

// SPDX-License-Identifier: GPL-2.0
//! Opens whose name lies in memory that another thread is writing to, and the system calls that no library would make for us.

use std::arch::asm;
use std::ffi::{CStr, c_char};
use std::os::fd::{FromRawFd as _, OwnedFd};

use rustix::io::Errno;

/// `openat(AT_FDCWD, name, O_RDONLY | O_CLOEXEC)`, with the name at an address of the caller's choice.
///
/// Only the kernel reads the memory, and it answers a bad address with `EFAULT`: the call is safe whatever `name` is, and
/// whoever writes there meanwhile.
///
/// # Errors
///
/// The kernel's.
pub(crate) fn open_at(name: *const c_char) -> Result<OwnedFd, Errno> {
    // SAFETY: openat reads user memory at `name` through the kernel's checked copy and writes none.
    let result = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, name, OPEN_FLAGS, 0) };
    match result {
        -1 => Err(last_error()),
        // SAFETY: the kernel has just made this descriptor for us; nobody else knows it.
        fd => Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) }),
    }
}

/// Flags of every open here.
pub(crate) const OPEN_FLAGS: i32 = libc::O_RDONLY | libc::O_CLOEXEC;

/// The result of the last failed call of the C library in this thread.
pub(crate) fn last_error() -> Errno {
    let number = std::io::Error::last_os_error().raw_os_error();
    Errno::from_raw_os_error(number.unwrap_or(libc::EIO))
}

/// Opens `name` in a vfork child and gives the errno that the child saw, 0 for success.
///
/// The child is a real vfork(2) child, so it runs on this very stack. It is therefore written so that it needs none: it
/// opens and exits within one piece of assembly, and the parent goes on only when it is gone.
///
/// # Errors
///
/// The errno of vfork itself, or of the wait.
pub(crate) fn open_in_vfork(name: &CStr) -> Result<i32, Errno> {
    let pid: i64;
    // SAFETY: vfork, openat and exit are system calls: they preserve all registers but rax, rcx and r11, which are declared
    // clobbered with those written here. Between the vfork and its own exit the child executes only the instructions below;
    // none of them touches memory, so the stack that both share is as the parent left it. Signals are handled by default.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov eax, {openat}",
            "mov edi, {cwd}",
            "mov edx, {flags}",
            "xor r10d, r10d",
            "syscall",
            // Exit with the errno: 0 if a descriptor came back.
            "xor edi, edi",
            "test rax, rax",
            "jns 3f",
            "mov edi, eax",
            "neg edi",
            "3:",
            "mov eax, {exit}",
            "syscall",
            "ud2",
            "2:",
            openat = const libc::SYS_openat,
            exit = const libc::SYS_exit_group,
            cwd = const libc::AT_FDCWD,
            flags = const OPEN_FLAGS,
            inlateout("rax") libc::SYS_vfork => pid,
            in("rsi") name.as_ptr(),
            out("rdi") _, out("rdx") _, out("r10") _, out("rcx") _, out("r11") _,
            options(nostack),
        );
    }
    if pid < 0 {
        return Err(Errno::from_raw_os_error(-pid as i32));
    }
    let pid = rustix::process::Pid::from_raw(pid as i32).ok_or(Errno::CHILD)?;
    loop {
        match rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty()) {
            Ok(Some((_, status))) => return status.exit_status().ok_or(Errno::CHILD),
            Ok(None) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// A prctl with five plain numbers.
///
/// # Errors
///
/// The kernel's.
pub(crate) fn prctl(arguments: [u64; 5]) -> Result<i32, Errno> {
    let [option, a, b, c, d] = arguments;
    // SAFETY: the callers pass options that take numbers, or that this kernel does not know; none writes user memory.
    let result = unsafe { libc::syscall(libc::SYS_prctl, option, a, b, c, d) };
    match result {
        -1 => Err(last_error()),
        value => Ok(value as i32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_at_opens_and_says_why_not() {
        assert!(open_at(c"/proc/self/status".as_ptr()).is_ok());
        assert_eq!(open_at(c"/no/such".as_ptr()).unwrap_err(), Errno::NOENT);
        assert_eq!(open_at(std::ptr::null()).unwrap_err(), Errno::FAULT);
    }

    #[test]
    fn a_vfork_child_tells_its_errno() {
        assert_eq!(open_in_vfork(c"/proc/self/status"), Ok(0));
        assert_eq!(open_in_vfork(c"/no/such"), Ok(libc::ENOENT));
    }

    #[test]
    fn prctl_gives_values_and_errors() {
        assert_eq!(prctl([libc::PR_GET_NO_NEW_PRIVS as u64, 0, 0, 0, 0]), Ok(0));
        assert_eq!(prctl([0x7fff_0000, 0, 0, 0, 0]), Err(Errno::INVAL));
    }
}

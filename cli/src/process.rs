// SPDX-License-Identifier: GPL-2.0
//! What `evf` does to its own process by raw system calls.
//!
//! Between the last layer and `execve` nothing else may run: the policy judges it, and a policy made for the program need not allow what the
//! standard library would do (`Command::exec` resets signals first).

#![expect(
    unsafe_code,
    reason = "signal dispositions, close_range and execve have no safe wrapper that makes exactly one system call"
)]

use std::ffi::{CString, c_char};
use std::io;

/// Lets a closed pipe end `evf` by SIGPIPE, as it ends any other command, and lets the program that `evf run` becomes start with that default.
///
/// The Rust runtime has set the signal to be ignored, and an ignored signal is inherited over `execve`.
pub(crate) fn die_of_sigpipe() {
    // SAFETY: called first in main, before there is another thread; SIG_DFL runs no code of ours.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// Marks every descriptor above standard error to be closed by `execve`.
pub(crate) fn close_inherited_on_exec() -> io::Result<()> {
    let first = libc::STDERR_FILENO as libc::c_uint + 1;
    // SAFETY: this sets flags and closes nothing now, so no descriptor is lost to its owner.
    let result = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Ends the process by one system call; nothing that is still buffered is written.
pub(crate) fn exit_at_once(status: u8) -> ! {
    // SAFETY: the process is gone afterwards; skipping destructors and exit functions is what is wanted.
    unsafe { libc::_exit(status.into()) }
}

/// A program to be executed, with all memory that the call needs already in place.
pub(crate) struct Image {
    path: CString,
    argv: Pointers,
    envp: Pointers,
}

/// Strings and the NULL-terminated list of their addresses.
struct Pointers {
    addresses: Vec<*const c_char>,
    _strings: Vec<CString>,
}

impl Pointers {
    fn new(strings: Vec<CString>) -> Pointers {
        let addresses = strings
            .iter()
            .map(|string| string.as_ptr())
            .chain([std::ptr::null()])
            .collect();
        Pointers {
            addresses,
            _strings: strings,
        }
    }
}

impl Image {
    pub(crate) fn new(path: CString, argv: Vec<CString>, envp: Vec<CString>) -> Image {
        Image {
            path,
            argv: Pointers::new(argv),
            envp: Pointers::new(envp),
        }
    }

    /// The registers of the `execve` call to come, as a program sees them.
    pub(crate) fn registers(&self) -> [u64; 6] {
        [
            self.path.as_ptr() as u64,
            self.argv.addresses.as_ptr() as u64,
            self.envp.addresses.as_ptr() as u64,
            0,
            0,
            0,
        ]
    }

    /// Replaces this process by one `execve`. Returns only if that failed.
    pub(crate) fn execute(&self) -> io::Error {
        // SAFETY: path, lists and strings are NUL- and NULL-terminated and live in `self` over the call.
        unsafe {
            libc::execve(
                self.path.as_ptr(),
                self.argv.addresses.as_ptr(),
                self.envp.addresses.as_ptr(),
            )
        };
        io::Error::last_os_error()
    }
}

// SPDX-License-Identifier: GPL-2.0
//! System calls without a C library around them, children, and the clock. All `unsafe` of this crate lies here.

use std::arch::asm;
use std::ffi::{CStr, c_int, c_long, c_void};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// The time stamp counter.
#[inline(always)]
pub(crate) fn clock() -> u64 {
    // SAFETY: reads a register; every x86-64 has it, and the kernel lets user space read it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Makes a system call; a value from -4095 to -1 is an error.
///
/// Safe to call by the rule of this crate: addresses are those of values that live through the call.
#[inline(always)]
pub(crate) fn call(nr: c_long, args: [u64; 6]) -> i64 {
    let result;
    // SAFETY: the entry clobbers rcx and r11 only; what the call does to memory is bound by the rule above.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") nr => result,
            in("rdi") args[0], in("rsi") args[1], in("rdx") args[2],
            in("r10") args[3], in("r8") args[4], in("r9") args[5],
            lateout("rcx") _, lateout("r11") _,
        );
    }
    result
}

/// The result of a call as the standard library has it.
pub(crate) fn checked(result: i64) -> io::Result<u64> {
    u64::try_from(result).map_err(|_| io::Error::from_raw_os_error(result.unsigned_abs() as i32))
}

/// The address of a C string, for an argument.
pub(crate) fn address(text: &CStr) -> u64 {
    text.as_ptr() as u64
}

/// Takes ownership of a descriptor that a call returned.
pub(crate) fn own(result: i64) -> io::Result<OwnedFd> {
    // SAFETY: the call has just made the descriptor, so nobody else owns it.
    checked(result).map(|fd| unsafe { OwnedFd::from_raw_fd(fd as c_int) })
}

/// A descriptor as an argument.
pub(crate) fn number(fd: &OwnedFd) -> u64 {
    fd.as_raw_fd() as u64
}

/// Forks, lets the child exit at once, waits for it. Whether that worked.
pub(crate) fn fork_exit_wait() -> bool {
    // SAFETY: the child makes one system call and nothing else.
    match unsafe { libc::fork() } {
        0 => exit(0),
        pid => wait(pid),
    }
}

/// The same with a child that shares the memory and keeps the parent waiting (vfork).
pub(crate) fn vfork_exit_wait(stack: &mut [u64]) -> bool {
    extern "C" fn child(_: *mut c_void) -> c_int {
        exit(0)
    }
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let top = stack.as_mut_ptr_range().end.cast::<c_void>();
    // SAFETY: the child runs on `stack`, which nobody else uses while the parent waits for it, and makes one system call.
    let pid = unsafe { libc::clone(child, top, flags, std::ptr::null_mut()) };
    wait(pid)
}

/// Starts `program` the way C libraries do (vfork, exec) and waits for its end.
pub(crate) fn spawn_wait(program: &CStr) -> bool {
    let mut pid = 0;
    let argv = [program.as_ptr().cast_mut(), std::ptr::null_mut()];
    let env = [std::ptr::null_mut()];
    // SAFETY: both arrays end in a null pointer, and everything lives through the call.
    let failed = unsafe {
        libc::posix_spawn(
            &raw mut pid,
            program.as_ptr(),
            std::ptr::null(),
            std::ptr::null(),
            argv.as_ptr(),
            env.as_ptr(),
        )
    };
    failed == 0 && wait(pid)
}

/// Runs `deed` in a forked child and gives what it returned.
pub(crate) fn in_child(deed: impl FnOnce() -> Result<u64, String>) -> Result<u64, String> {
    let (mut reader, writer) = io::pipe().map_err(|error| error.to_string())?;
    // SAFETY: this process has one thread whenever it forks, so the child may do anything.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        exit(i32::from(!tell(writer, deed())))
    }
    drop(writer);
    let mut told = String::new();
    reader
        .read_to_string(&mut told)
        .map_err(|error| error.to_string())?;
    if !wait(pid) {
        return Err(told);
    }
    told.parse().map_err(|_| format!("a child said {told:?}"))
}

/// Writes the number or the error to the parent; whether it is a number, and there.
fn tell(mut writer: io::PipeWriter, outcome: Result<u64, String>) -> bool {
    match outcome {
        Ok(value) => writer.write_all(value.to_string().as_bytes()).is_ok(),
        Err(error) => {
            // The exit status says the same without words.
            let _ = writer.write_all(error.as_bytes());
            false
        }
    }
}

/// Children that have done something and are still there.
pub(crate) struct Crowd {
    pids: Vec<c_int>,
    /// They end when this is closed.
    leash: io::PipeWriter,
}

impl Crowd {
    /// Forks `count` children that each do `deed`, and waits until all have.
    pub(crate) fn gather(
        count: usize,
        deed: &dyn Fn() -> Result<(), String>,
    ) -> Result<Self, String> {
        let pipe = || io::pipe().map_err(|error| error.to_string());
        let (mut held, leash) = pipe()?;
        let (mut ready, say) = pipe()?;
        let mut crowd = Self {
            pids: Vec::with_capacity(count),
            leash,
        };
        for _ in 0..count {
            // SAFETY: this process has one thread whenever it forks, so the child may do anything.
            let pid = unsafe { libc::fork() };
            if pid == 0 {
                let done = deed().is_ok();
                let told = (&say).write_all(if done { b"." } else { b"!" });
                // SAFETY: the child closes its copies of descriptors that nothing uses any more.
                unsafe {
                    libc::close(crowd.leash.as_raw_fd());
                    libc::close(say.as_raw_fd());
                }
                let _ = held.read(&mut [0]);
                exit(i32::from(!done || told.is_err()));
            }
            crowd.pids.push(pid);
            // One after the other, so that each child inherits the same.
            let mut mark = [0];
            if ready.read_exact(&mut mark).is_err() || mark != *b"." {
                return Err("a child could not put the setting into force".to_owned());
            }
        }
        Ok(crowd)
    }

    /// Ends all of them.
    pub(crate) fn disperse(self) -> Result<(), String> {
        drop(self.leash);
        // All are waited for, whatever the first ones say.
        let bad = self.pids.into_iter().filter(|&pid| !wait(pid)).count();
        if bad == 0 {
            Ok(())
        } else {
            Err("a child did not end well".to_owned())
        }
    }
}

fn wait(pid: c_int) -> bool {
    let mut status = 0;
    // SAFETY: `status` is writable.
    pid > 0 && unsafe { libc::waitpid(pid, &raw mut status, 0) } == pid && status == 0
}

fn exit(status: c_int) -> ! {
    // SAFETY: ends the process; nothing of it is run any more.
    unsafe { libc::_exit(status) }
}

/// Waits until everything that was written to the terminal has left, so that no interrupt of it falls into a measurement.
pub(crate) fn drain() {
    // SAFETY: no memory is passed. It fails where the output is no terminal, and then there is nothing to wait for.
    let _ = unsafe { libc::tcdrain(1) };
}

// SPDX-License-Identifier: GPL-2.0
//! seccomp's user notification: the kernel side of the supervisor that the race beats.

use std::mem::{offset_of, size_of};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use libc::{sock_filter, sock_fprog};
use rustix::io::Errno;

use super::raw::last_error;

const ARCH_X86_64: u32 = 0xc000_003e;

/// One system call that waits for the supervisor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    /// Identifies the call.
    pub(crate) id: u64,
    /// The thread that made it.
    pub(crate) pid: i32,
    /// Its argument registers.
    pub(crate) args: [u64; 6],
}

/// What the supervisor answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Let the kernel run the call: it will read the arguments, and what they point to, again.
    Continue,
    /// Refuse it with this errno.
    Refuse(i32),
}

/// Puts a seccomp filter on the calling thread that hands each `openat` to a supervisor, and gives the supervisor's descriptor.
///
/// The thread must have no_new_privs.
///
/// # Errors
///
/// The kernel's.
pub(crate) fn supervise_openat() -> Result<OwnedFd, Errno> {
    let arch = offset_of!(libc::seccomp_data, arch) as u32;
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let equal = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let give = (libc::BPF_RET | libc::BPF_K) as u16;
    let insn = |code, k, jt, jf| sock_filter { code, jt, jf, k };
    let mut program = [
        insn(load, arch, 0, 0),
        insn(equal, ARCH_X86_64, 1, 0),
        insn(give, libc::SECCOMP_RET_KILL_PROCESS, 0, 0),
        insn(load, 0, 0, 0),
        insn(equal, libc::SYS_openat as u32, 0, 1),
        insn(give, libc::SECCOMP_RET_USER_NOTIF, 0, 0),
        insn(give, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let program = sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: `program` and the instructions that it points to live until the call returns; the kernel only reads them.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &program,
        )
    };
    match result {
        -1 => Err(last_error()),
        // SAFETY: the kernel has just made this descriptor for us; nobody else knows it.
        fd => Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) }),
    }
}

/// The supervisor's end.
pub(crate) struct Listener(OwnedFd);

impl Listener {
    /// Takes the descriptor that [`supervise_openat`] gave, in whatever process it has arrived.
    ///
    /// # Errors
    ///
    /// `ENOTSUP` if this kernel's structs are larger than those known here.
    pub(crate) fn new(fd: OwnedFd) -> Result<Listener, Errno> {
        let mut sizes = libc::seccomp_notif_sizes {
            seccomp_notif: 0,
            seccomp_notif_resp: 0,
            seccomp_data: 0,
        };
        // SAFETY: the kernel writes a `seccomp_notif_sizes`, which is what `sizes` is.
        let result = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_GET_NOTIF_SIZES,
                0,
                &mut sizes,
            )
        };
        if result == -1 {
            return Err(last_error());
        }
        let fits = usize::from(sizes.seccomp_notif) <= size_of::<libc::seccomp_notif>()
            && usize::from(sizes.seccomp_notif_resp) <= size_of::<libc::seccomp_notif_resp>();
        if fits {
            Ok(Listener(fd))
        } else {
            Err(Errno::NOTSUP)
        }
    }

    /// Asks the kernel to hand the processor straight over between the task and the supervisor, the fastest way it knows.
    ///
    /// # Errors
    ///
    /// `EINVAL` from a kernel older than 6.6; the supervisor works without it.
    pub(crate) fn wake_in_step(&self) -> Result<(), Errno> {
        // SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP of include/uapi/linux/seccomp.h.
        let flags: u64 = 1;
        // SAFETY: this ioctl takes the flags as a number.
        let result = unsafe {
            libc::ioctl(
                self.0.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS,
                flags,
            )
        };
        if result == -1 {
            Err(last_error())
        } else {
            Ok(())
        }
    }

    /// The next call that waits.
    ///
    /// # Errors
    ///
    /// `ENOENT` if the caller died meanwhile, `EINTR`.
    pub(crate) fn receive(&self) -> Result<Request, Errno> {
        // SAFETY: the struct is made of integers, for which zero is a value; the kernel demands that it be zero.
        let mut request: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        // SAFETY: the kernel writes at most as many bytes as `Listener::new` has checked to fit.
        let result = unsafe {
            libc::ioctl(
                self.0.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_RECV,
                &mut request,
            )
        };
        if result == -1 {
            return Err(last_error());
        }
        Ok(Request {
            id: request.id,
            pid: request.pid as i32,
            args: request.data.args,
        })
    }

    /// Whether the call still waits: if it does, memory read from its process after it was received is that process's.
    pub(crate) fn is_waiting(&self, id: u64) -> bool {
        // SAFETY: the kernel reads the eight bytes of `id`.
        let result =
            unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &id) };
        result == 0
    }

    /// Answers a call.
    ///
    /// # Errors
    ///
    /// `ENOENT` if the caller died meanwhile.
    pub(crate) fn send(&self, id: u64, answer: Answer) -> Result<(), Errno> {
        let (error, flags) = match answer {
            Answer::Continue => (0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32),
            Answer::Refuse(errno) => (-errno, 0),
        };
        let mut response = libc::seccomp_notif_resp {
            id,
            val: 0,
            error,
            flags,
        };
        // SAFETY: the kernel reads a `seccomp_notif_resp`, whose size `Listener::new` has compared.
        let result = unsafe {
            libc::ioctl(
                self.0.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_SEND,
                &mut response,
            )
        };
        if result == -1 {
            Err(last_error())
        } else {
            Ok(())
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Reads the string at `address` of another process, without its NUL, into `buffer`.
///
/// # Errors
///
/// `EFAULT` if the memory cannot be read, `ENAMETOOLONG` if there is no NUL within the buffer, `EPERM`, `ESRCH`.
pub(crate) fn read_string(pid: i32, address: u64, buffer: &mut [u8]) -> Result<&[u8], Errno> {
    const PAGE: u64 = 4096;
    let mut have = 0;
    while have < buffer.len() {
        // Page by page: a string may end right before memory that is not there.
        let from = address.wrapping_add(have as u64);
        let left = (PAGE - from % PAGE) as usize;
        let want = left.min(buffer.len() - have);
        let local = libc::iovec {
            iov_base: buffer[have..].as_mut_ptr().cast(),
            iov_len: want,
        };
        let remote = libc::iovec {
            iov_base: from as *mut libc::c_void,
            iov_len: want,
        };
        // SAFETY: `local` describes `want` bytes inside `buffer`; `remote` is only an address in the other process.
        let read = unsafe { libc::process_vm_readv(pid, &local, 1, &remote, 1, 0) };
        if read <= 0 {
            return Err(if read == 0 {
                Errno::FAULT
            } else {
                last_error()
            });
        }
        let end = have + read as usize;
        if let Some(nul) = buffer[have..end].iter().position(|&byte| byte == 0) {
            return Ok(&buffer[..have + nul]);
        }
        have = end;
    }
    Err(Errno::NAMETOOLONG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_of_another_process_is_read_up_to_its_nul() {
        let name = c"/home/sandbox/door";
        let address = name.as_ptr() as u64;
        let me = rustix::process::getpid().as_raw_nonzero().get();
        let mut buffer = [0u8; 64];
        assert_eq!(read_string(me, address, &mut buffer), Ok(name.to_bytes()));
        assert_eq!(
            read_string(me, address, &mut buffer[..4]),
            Err(Errno::NAMETOOLONG)
        );
        assert_eq!(read_string(me, 8, &mut buffer), Err(Errno::FAULT));
    }
}

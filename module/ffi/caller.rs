// SPDX-License-Identifier: GPL-2.0
//! The calling task: its system call, its rights, its end.

use core::ptr;

use kernel::bindings;
use kernel::error::to_result;
use kernel::prelude::*;

use filters::record::Caller;

use super::Task;

extern "C" {
    static evf_no_new_privs: usize;
    fn evf_lock_process() -> i32;
    fn evf_unlock_process();
    fn evf_has_tracer() -> bool;
    fn evf_call_number() -> i32;
    fn evf_system_call() -> i32;
    fn evf_seccomp_data(data: *mut u32);
    fn evf_syscall_result(errno: i32);
}

/// `include/uapi/linux/seccomp.h`
const SECCOMP_MODE_FILTER: c_int = 2;

/// `struct seccomp_data` as words, the head of every record. `N` is the length of the whole record.
#[repr(C, align(8))]
pub(crate) struct Words<const N: usize>(pub(crate) [u32; N]);

/// Whether the caller may restrict itself: it has no_new_privs or, in its user namespace, CAP_SYS_ADMIN.
pub(crate) fn may_restrict() -> bool {
    let current = Task::current().as_ptr();
    // SAFETY: Current. Its credentials do not change while it is here, and they hold its user namespace.
    unsafe {
        (*current).atomic_flags & evf_no_new_privs != 0
            || bindings::ns_capable_noaudit(
                (*(*current).cred).user_ns,
                bindings::CAP_SYS_ADMIN as c_int,
            )
    }
}

/// While it exists, no other thread of the caller's process restricts itself or execs.
pub(crate) struct ProcessLock(());

/// Takes the lock of the caller's process. Per process, so that a slow or hostile one keeps nobody else waiting.
///
/// # Errors
///
/// `EINTR` if the caller is being killed.
pub(crate) fn lock_process() -> Result<ProcessLock> {
    // SAFETY: Called in process context, without locks.
    to_result(unsafe { evf_lock_process() }).map(|()| ProcessLock(()))
}

impl Drop for ProcessLock {
    fn drop(&mut self) {
        // SAFETY: Pairs with `lock_process`.
        unsafe { evf_unlock_process() };
    }
}

/// The caller's ids, as it sees them.
pub(crate) fn caller() -> Caller {
    let current = Task::current();
    Caller {
        process: current.process_id(),
        thread: current.id(),
    }
}

/// Whether the caller has a tracer that waits for seccomp's events (`PTRACE_O_TRACESECCOMP`).
pub(crate) fn has_tracer() -> bool {
    // SAFETY: No requirements.
    unsafe { evf_has_tracer() }
}

/// Whether the system call still is to run, after a tracer has seen it.
pub(crate) fn call_goes_on() -> bool {
    // SAFETY: Called from the hook in the syscall entry, where the registers are those of the call.
    unsafe { evf_call_number() >= 0 }
}

/// Bit by word of a record: what the system call in progress fills.
const HEAD: u32 = 0xffff;

impl<const N: usize> Words<N> {
    /// All zero.
    #[inline(always)]
    pub(crate) fn new() -> Words<N> {
        Words([0; N])
    }

    /// Puts the system call in progress at the head, if a program reads it: `read` has a bit for each word.
    pub(crate) fn gather(&mut self, read: u32) {
        const { assert!(N >= 16) };
        if read & HEAD != 0 {
            self.0[0] = u32::MAX;
            // SAFETY: There is room for a `struct seccomp_data` (16 words), and its alignment.
            unsafe { evf_seccomp_data(self.0.as_mut_ptr()) };
        }
    }
}

/// `AUDIT_ARCH_X86_64` of `include/uapi/linux/audit.h`.
const NATIVE: u32 = 0xc000_003e;

/// The 64-bit system call in progress, as what begins a record: what `gather` finds, by a shorter way.
///
/// # Safety
///
/// `registers` must be the caller's, and the call one of 64 bits.
#[inline(always)]
pub(crate) unsafe fn native_call(registers: *const bindings::pt_regs) -> Words<16> {
    // SAFETY: Required of the caller.
    let call = unsafe {
        let registers = &*registers;
        [
            registers.orig_ax as u32 as usize | (NATIVE as usize) << 32,
            registers.ip,
            registers.di,
            registers.si,
            registers.dx,
            registers.r10,
            registers.r8,
            registers.r9,
        ]
    };
    // SAFETY: The same bytes, the lower half of each number first.
    unsafe { core::mem::transmute::<[usize; 8], Words<16>>(call) }
}

/// The number of the system call in progress; of no call in a task that runs none.
pub(crate) fn system_call() -> u32 {
    // SAFETY: No requirements.
    unsafe { evf_system_call() as u32 }
}

/// Whether the caller also uses seccomp.
pub(crate) fn seccomp_in_use() -> bool {
    // SAFETY: Current.
    unsafe { (*Task::current().as_ptr()).seccomp.mode != 0 }
}

/// Whether seccomp has just killed the caller (`SECCOMP_MODE_DEAD` of kernel/seccomp.c, one above the last public mode).
pub(crate) fn killed_by_seccomp() -> bool {
    // SAFETY: Current.
    unsafe { (*Task::current().as_ptr()).seccomp.mode == SECCOMP_MODE_FILTER + 1 }
}

/// Whether the caller has a SIGSYS to take.
pub(crate) fn sigsys_pending() -> bool {
    // SAFETY: Current.
    let pending = unsafe { (*Task::current().as_ptr()).pending.signal.sig[0] };
    pending & 1 << (bindings::SIGSYS - 1) != 0
}

/// Makes the refused system call return `-errno`.
pub(crate) fn return_errno(errno: u16) {
    // SAFETY: Called from the hook in the syscall entry, where the registers are those of the call.
    unsafe { evf_syscall_result(i32::from(errno)) };
}

/// Makes the refused system call leave the registers as they were.
pub(crate) fn roll_back() {
    // SAFETY: As in `return_errno`.
    unsafe { evf_syscall_result(-1) };
}

/// `READ_IMPLIES_EXEC` of include/uapi/linux/personality.h
const READ_IMPLIES_EXEC: u32 = 0x0040_0000;

/// Whether memory that the caller may read becomes executable.
pub(crate) fn read_implies_exec() -> bool {
    // SAFETY: Current.
    unsafe { (*Task::current().as_ptr()).personality & READ_IMPLIES_EXEC != 0 }
}

/// Whether the caller is the last thread of its process that runs.
pub(crate) fn is_last_thread() -> bool {
    // SAFETY: Current; its signal struct lives as long as it does.
    unsafe {
        ptr::addr_of!((*(*Task::current().as_ptr()).signal).live.counter).read_volatile() == 1
    }
}

/// Kills the caller's process with SIGKILL.
pub(crate) fn kill_process() {
    // SAFETY: Current; the pid of a thread group lives as long as its signal struct.
    unsafe {
        let signal = (*Task::current().as_ptr()).signal;
        let group = (*signal).pids[bindings::pid_type_PIDTYPE_TGID as usize];
        bindings::kill_pid(group, bindings::SIGKILL as c_int, 1);
    }
}

/// Ends the calling thread as by SIGSYS.
pub(crate) fn exit_thread() -> ! {
    // SAFETY: Called in process context from the syscall entry, without locks. The frames left behind own nothing.
    unsafe { bindings::do_exit(bindings::SIGSYS as c_long) }
}

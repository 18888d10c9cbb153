// SPDX-License-Identifier: GPL-2.0
//! Kernel functions found by name: to hook them, or to call those that are not exported.

use core::ffi::CStr;

use kernel::bindings;
use kernel::error::to_result;
use kernel::prelude::*;
use kernel::sync::rcu;

use super::Task;

extern "C" {
    fn evf_symbol(name: *const c_char) -> usize;
    fn evf_hook(index: u32, function: usize, trampoline: usize) -> i32;
    fn evf_unhook(index: u32, trampoline: usize) -> i32;
    fn evf_call(function: usize, a: usize, b: usize, c: usize) -> isize;
    fn synchronize_rcu_tasks();
}

/// Address of a kernel function; it stays valid because the functions asked for are not in modules.
#[derive(Clone, Copy)]
pub(crate) struct Function(usize);

/// The kernel function of this name.
///
/// # Errors
///
/// `ENOENT` if there is none, or none that a probe can be placed on.
pub(crate) fn function(name: &CStr) -> Result<Function> {
    // SAFETY: `name` is NUL-terminated.
    match unsafe { evf_symbol(name.as_char_ptr()) } {
        0 => Err(ENOENT),
        address => Ok(Function(address)),
    }
}

impl Function {
    /// `int force_sig_seccomp(int syscall, int reason, bool force_coredump)` on this function.
    pub(crate) fn force_sig_seccomp(self, nr: u32, reason: u16, force_coredump: bool) {
        // SAFETY: `symbol::Functions::find` gives the address of `force_sig_seccomp` to this call and no other.
        unsafe {
            evf_call(
                self.0,
                nr as usize,
                usize::from(reason),
                usize::from(force_coredump),
            )
        };
    }

    /// `int ptrace_notify(int exit_code, unsigned long message)` on this function, for PTRACE_EVENT_SECCOMP: stops the caller until its tracer lets
    /// it go on.
    pub(crate) fn ptrace_notify_seccomp(self, message: u16) {
        let code = bindings::PTRACE_EVENT_SECCOMP << 8 | bindings::SIGTRAP;
        // SAFETY: `symbol::Functions::find` gives the address of `ptrace_notify` to this call and no other. Called from the hook in the syscall
        // entry, where seccomp does the same: in process context, without locks.
        unsafe { evf_call(self.0, code as usize, usize::from(message), 0) };
    }

    /// `void security_task_free(struct task_struct *task)` on this function.
    pub(crate) fn security_task_free(self, task: Task) {
        // SAFETY: `symbol::Functions::find` gives the address of `security_task_free` to this call and no other; the task is one whose
        // security_task_alloc has just succeeded and of which the caller, copy_process, will hear that it has failed.
        unsafe { evf_call(self.0, task.as_ptr() as usize, 0, 0) };
    }
}

/// Code that `register_ftrace_direct` may be given: a trampoline of trampoline.S.
#[derive(Clone, Copy)]
pub(crate) struct Trampoline(pub(crate) unsafe extern "C" fn());

/// Directs `function` through `trampoline`, as hook number `index`.
pub(crate) fn hook(index: usize, function: Function, trampoline: Trampoline) -> Result {
    // SAFETY: A trampoline keeps to the calling convention of a patched function entry.
    to_result(unsafe { evf_hook(index as u32, function.0, trampoline.0 as usize) })
}

/// Undoes [`hook`].
pub(crate) fn unhook(index: usize, trampoline: Trampoline) -> Result {
    // SAFETY: The hook was registered with this trampoline.
    to_result(unsafe { evf_unhook(index as u32, trampoline.0 as usize) })
}

/// After the last [`unhook`]: waits until no task is inside a trampoline and no slot waits to be freed.
pub(crate) fn quiesce() {
    // SAFETY: Called in the module's exit, which may sleep.
    unsafe { synchronize_rcu_tasks() };
    rcu::rcu_barrier();
}

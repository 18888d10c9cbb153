// SPDX-License-Identifier: GPL-2.0
//! Tasks: the caller, those that hooks are told of, and the threads that the kernel runs for the caller's process.

use core::ptr::{self, NonNull};

use kernel::bindings;
use kernel::prelude::*;
use kernel::sync::rcu;

extern "C" {
    fn evf_other_threads(threads: *mut *mut c_void, max: u32, workers_only: bool) -> u32;
    fn evf_traces(task: *mut c_void) -> bool;
    fn evf_take_no_new_privs(task: *mut c_void);
    fn evf_all_threads(
        task: *mut c_void,
        look: unsafe extern "C" fn(*mut c_void, *const c_void) -> bool,
        arg: *const c_void,
    ) -> bool;
}

/// A task that the kernel keeps alive while we look at it: `current`, the argument of a hook, or one that we hold a reference to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Task(NonNull<bindings::task_struct>);

impl Task {
    /// The calling task.
    pub(crate) fn current() -> Task {
        // SAFETY: Current.
        Task(unsafe { NonNull::new_unchecked(kernel::task::Task::current_raw()) })
    }

    /// # Safety
    ///
    /// `task` must be a valid task for as long as the value is used.
    pub(crate) unsafe fn from_raw(task: *mut bindings::task_struct) -> Option<Task> {
        NonNull::new(task).map(Task)
    }

    pub(crate) fn as_ptr(self) -> *mut bindings::task_struct {
        self.0.as_ptr()
    }

    /// Whether `look` holds for every thread of the task's process, and for the task itself should it have left that already.
    pub(crate) fn all_threads<F: Fn(Task) -> bool>(self, _rcu: &rcu::Guard, look: F) -> bool {
        /// # Safety
        ///
        /// `task` must be valid and `look` point to an `F`.
        unsafe extern "C" fn call<F: Fn(Task) -> bool>(
            task: *mut c_void,
            look: *const c_void,
        ) -> bool {
            // SAFETY: `look` is the closure given below; the list walk hands us a valid task.
            unsafe { Task::from_raw(task.cast()).is_some_and(&*look.cast::<F>()) }
        }
        if !look(self) {
            return false;
        }
        // SAFETY: The RCU read lock is held, and `call` gets the closure that it expects.
        unsafe { evf_all_threads(self.as_ptr().cast(), call::<F>, ptr::from_ref(&look).cast()) }
    }

    /// Whether the task is the tracer of any other.
    pub(crate) fn traces_others(self) -> bool {
        // SAFETY: The task is valid.
        unsafe { evf_traces(self.as_ptr().cast()) }
    }

    /// Gives the task no_new_privs if the caller has it.
    pub(crate) fn take_no_new_privs(self) {
        // SAFETY: The task is valid.
        unsafe { evf_take_no_new_privs(self.as_ptr().cast()) };
    }

    /// Whether both are threads of one process.
    pub(crate) fn is_of_process_of(self, other: Task) -> bool {
        // SAFETY: Both are valid; a task keeps its signal struct until it is freed, except that it is null once the task has been released.
        unsafe {
            let (mine, others) = ((*self.as_ptr()).signal, (*other.as_ptr()).signal);
            !mine.is_null() && ptr::eq(mine, others)
        }
    }

    /// Its thread id as the caller sees it; 0 if it has ended meanwhile.
    pub(crate) fn id(self) -> u32 {
        self.id_of(bindings::pid_type_PIDTYPE_PID)
    }

    /// The id of its process as the caller sees it; 0 if it has ended meanwhile.
    pub(crate) fn process_id(self) -> u32 {
        self.id_of(bindings::pid_type_PIDTYPE_TGID)
    }

    fn id_of(self, kind: bindings::pid_type) -> u32 {
        // SAFETY: The task is valid; a null namespace means the caller's.
        let id = unsafe { bindings::__task_pid_nr_ns(self.as_ptr(), kind, ptr::null_mut()) };
        id as u32
    }

    fn flags(self) -> u32 {
        // SAFETY: The task is valid; `flags` of another task may change under us, a torn read is not possible.
        unsafe { ptr::addr_of!((*self.as_ptr()).flags).read_volatile() }
    }

    /// Whether the kernel runs this thread on behalf of a process (io_uring worker, SQPOLL, vhost); it enters no system calls.
    pub(crate) fn is_user_worker(self) -> bool {
        self.flags() & (bindings::PF_USER_WORKER | bindings::PF_IO_WORKER) != 0
    }
}

/// Another thread of the caller's process, kept alive by a reference.
pub(crate) struct Thread(NonNull<bindings::task_struct>);

impl Thread {
    pub(crate) fn task(&self) -> Task {
        Task(self.0)
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // SAFETY: Made in `other_threads` from a task with a reference of its own.
        unsafe { bindings::put_task_struct(self.0.as_ptr()) };
    }
}

/// The other threads of the caller's process that have not ended; with `workers_only` those that the kernel runs for it.
pub(crate) fn other_threads(workers_only: bool) -> Result<KVec<Thread>> {
    let mut room = 16;
    loop {
        let mut found = KVec::from_elem(ptr::null_mut(), room, GFP_KERNEL)?;
        let mut threads = KVec::with_capacity(room, GFP_KERNEL)?;
        // SAFETY: `found` has `room` places.
        let n = unsafe { evf_other_threads(found.as_mut_ptr(), room as u32, workers_only) };
        for task in found.iter().take(n as usize) {
            if let Some(task) = NonNull::new(task.cast()) {
                threads.push(Thread(task), GFP_KERNEL)?;
            }
        }
        if n as usize <= room {
            return Ok(threads);
        }
        room = (n as usize).saturating_add(16);
    }
}

// SPDX-License-Identifier: GPL-2.0
//! The table task -> domain of table.c, with the ownership that C cannot express.

use core::ptr::{self, NonNull};

use kernel::bindings;
use kernel::prelude::*;
use kernel::sync::{rcu, Arc, ArcBorrow};

use super::{Sock, Task};
use crate::domain::{Domain, Domains};

extern "C" {
    fn evf_domain_of(task: *const c_void) -> *const c_void;
    fn evf_domain_at_exec_of(task: *const c_void) -> *const c_void;
    fn evf_slot_new(domain: *const c_void, at_exec: *const c_void, must: bool) -> *mut c_void;
    fn evf_slot_set(task: *mut c_void, slot: *mut c_void);
}

/// The domain of `task`, which the caller holds the RCU read lock to look at.
pub(crate) fn domain_of<'r>(task: Task, _rcu: &'r rcu::Guard) -> Option<ArcBorrow<'r, Domain>> {
    // SAFETY: The RCU read lock is held; Slot: the slot owns the reference.
    unsafe { borrow(evf_domain_of(task.as_ptr().cast())) }
}

/// The domain that `task` will be under after its next exec, if that is another.
pub(crate) fn domain_at_exec_of<'r>(
    task: Task,
    _rcu: &'r rcu::Guard,
) -> Option<ArcBorrow<'r, Domain>> {
    // SAFETY: As in `domain_of`.
    unsafe { borrow(evf_domain_at_exec_of(task.as_ptr().cast())) }
}

/// # Safety
///
/// `domain` must be null or come from a slot, and the RCU read lock be held for `'r`.
pub(super) unsafe fn borrow<'r>(domain: *const c_void) -> Option<ArcBorrow<'r, Domain>> {
    let domain = domain.cast::<Domain>();
    if domain.is_null() {
        return None;
    }
    // SAFETY: Slot: the pointer came from `Arc::into_raw` and is alive until the read lock is given back.
    Some(unsafe { ArcBorrow::from_raw(domain) })
}

/// A slot made and not yet given to a task. Making it is the part that can fail.
pub(crate) struct NewSlot {
    slot: NonNull<c_void>,
    domain: *const Domain,
    /// Null if there is none.
    at_exec: *const Domain,
}

impl NewSlot {
    /// A slot that holds `domains`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, never if `must` is set: the allocation then waits.
    pub(crate) fn new(domains: Domains, must: bool) -> Result<NewSlot> {
        let domain = domains.now.into_raw();
        let at_exec = domains.at_exec.map_or(ptr::null(), Arc::into_raw);
        // SAFETY: Slot: the slot takes over the references.
        let slot = unsafe { evf_slot_new(domain.cast(), at_exec.cast(), must) };
        match NonNull::new(slot) {
            Some(slot) => Ok(NewSlot {
                slot,
                domain,
                at_exec,
            }),
            None => {
                // SAFETY: Nobody took the references that `into_raw` gave.
                unsafe { put(domain, at_exec) };
                Err(ENOMEM)
            }
        }
    }

    /// Puts `task` under the slot's domain; from here on its events are judged by it.
    pub(crate) fn give_to(self, task: Task) {
        // SAFETY: The task is valid and the slot is ours to give.
        unsafe { evf_slot_set(task.as_ptr().cast(), self.slot.as_ptr()) };
        core::mem::forget(self);
    }

    /// Notes the slot's domain down for a socket.
    pub(crate) fn give_to_sock(self, sock: Sock) {
        sock.give(self.slot.as_ptr());
        core::mem::forget(self);
    }
}

impl Drop for NewSlot {
    fn drop(&mut self) {
        // SAFETY: The slot came from kmalloc, no task was given it, and with it go the references that it owned.
        unsafe {
            bindings::kfree(self.slot.as_ptr());
            put(self.domain, self.at_exec);
        }
    }
}

/// # Safety
///
/// Both must come from `Arc::into_raw` and be nobody else's; `at_exec` may be null.
unsafe fn put(domain: *const Domain, at_exec: *const Domain) {
    // SAFETY: Required of the caller.
    unsafe {
        drop(Arc::from_raw(domain));
        if !at_exec.is_null() {
            drop(Arc::from_raw(at_exec));
        }
    }
}

/// Takes the slot of a task that is being freed.
pub(crate) fn forget_task(task: Task) {
    // SAFETY: The task is valid for the duration of the hook that calls us.
    unsafe { evf_slot_set(task.as_ptr().cast(), ptr::null_mut()) };
}

/// Called by the shim, after a grace period, when a slot is freed.
#[no_mangle]
extern "C" fn evf_domain_put(domain: *const c_void) {
    // SAFETY: Slot: this is the reference that the slot owned.
    drop(unsafe { Arc::from_raw(domain.cast::<Domain>()) });
}

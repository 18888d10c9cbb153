// SPDX-License-Identifier: GPL-2.0
//! The domain of a task: where it is kept, and who keeps it alive.
//!
//! Its address lies in the upper bits of the task's `syscall_work`, beside the flags that the kernel keeps in the lower ones. So the mark of a task, the top
//! bit, cannot be without a domain, and finding the domain takes a load and an "and". One more bit tells whether the domain speaks of `vfs.walk`: the hook of
//! that is passed so often that looking into the domain would be dear. The kernel copies the word on fork; the copy counts for nothing
//! until `security_task_alloc` has put a reference in its place.

use core::ops::Deref;
use core::ptr::{self, NonNull};

use filters::event::Event;
use kernel::bindings;
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Full, Relaxed};
use kernel::sync::{rcu, Refcount};
use kernel::types::Opaque;

use super::{Pinned, Task};
use crate::domain::Domain;

/// `EVF_DOMAIN_BYTES` of shim.h: size and alignment of a domain.
const DOMAIN_BYTES: usize = 4096;

/// `EVF_WALKS` of shim.h.
const WALKS: usize = 1 << 11;

/// The bits of the word that are the kernel's.
const FLAGS: usize = WALKS - 1;

/// `SYSCALL_WORK_SECCOMP`: lets the task's system calls come by our hook.
const WORK_SECCOMP: usize = 1;

/// A domain as it lies in memory, aligned to its size.
#[repr(C, align(4096))]
struct Held {
    /// First: the trampoline reads what is decided by number from here.
    domain: Domain,
    users: Refcount,
    rcu: Opaque<bindings::callback_head>,
}

const _: () = {
    assert!(size_of::<Held>() == DOMAIN_BYTES && align_of::<Held>() == DOMAIN_BYTES);
    assert!(core::mem::offset_of!(Held, domain) == 0);
};

/// A reference to a domain.
pub(crate) struct DomainRef(NonNull<Held>);

// SAFETY: Counted atomically; the domain itself never changes.
unsafe impl Send for DomainRef {}
// SAFETY: As above.
unsafe impl Sync for DomainRef {}

impl DomainRef {
    /// Makes a domain.
    ///
    /// # Errors
    ///
    /// `ENOMEM` and those of `init`.
    pub(crate) fn new(init: impl Init<Domain, Error>) -> Result<DomainRef> {
        let held = KBox::<Held>::init(
            try_init!(Held {
                domain <- init,
                users: Refcount::new(1),
                rcu: Opaque::uninit(),
            }? Error),
            GFP_KERNEL_ACCOUNT,
        )?;
        let held = NonNull::from(KBox::leak(held));
        Ok(DomainRef(held))
    }

    /// The only reference to a domain, to be finished before anybody else sees it.
    pub(crate) fn get_mut(&mut self) -> Option<&mut Domain> {
        // SAFETY: Held by this reference.
        let alone = unsafe { (*self.0.as_ptr()).users.as_atomic().load(Relaxed) } == 1;
        // SAFETY: There is no other reference, and no task has it: that would be one.
        alone.then(|| unsafe { &mut (*self.0.as_ptr()).domain })
    }

    /// Whether both are the same domain.
    pub(crate) fn same(&self, other: &DomainRef) -> bool {
        self.0 == other.0
    }

    /// Puts `task` under the domain; from here on its events are judged by it.
    pub(crate) fn give_to(self, task: Task) {
        let new = self.into_word();
        // SAFETY: The task is valid. The kernel changes the word with atomic operations only, and so do we.
        let word = unsafe { Atomic::from_ptr(word(task)) };
        let mut old = word.load(Relaxed);
        while let Err(now) = word.cmpxchg(old, old & FLAGS | new, Full) {
            old = now;
        }
        // What the task had.
        drop(pointer(old).map(DomainRef));
    }

    /// Puts `child`, which has just been allocated by the caller and has not run, under the domain. What its word holds is a copy of the caller's.
    pub(crate) fn give_to_child(self, child: Task) {
        let new = self.into_word();
        let word = word(child);
        // SAFETY: Nobody else knows the task yet.
        unsafe { word.write(word.read() & FLAGS | new) };
    }

    /// The reference as what is added to the kernel's flags in the word of a task.
    fn into_word(self) -> usize {
        let walks = if self.judges(Event::VfsWalk) {
            WALKS
        } else {
            0
        };
        let held = self.0.as_ptr() as usize;
        core::mem::forget(self);
        held | WORK_SECCOMP | walks
    }

    /// The reference as an address, for the table of sockets.
    pub(super) fn into_raw(self) -> *const c_void {
        let held = self.0.as_ptr();
        core::mem::forget(self);
        held.cast()
    }

    /// # Safety
    ///
    /// `raw` must come from `into_raw`, and the reference that it was be nobody else's.
    pub(super) unsafe fn from_raw(raw: *const c_void) -> Option<DomainRef> {
        NonNull::new(raw.cast_mut().cast()).map(DomainRef)
    }
}

impl Deref for DomainRef {
    type Target = Domain;

    fn deref(&self) -> &Domain {
        // SAFETY: Held by this reference.
        unsafe { &(*self.0.as_ptr()).domain }
    }
}

impl Clone for DomainRef {
    fn clone(&self) -> DomainRef {
        // SAFETY: Held by this reference.
        unsafe { (*self.0.as_ptr()).users.inc() };
        DomainRef(self.0)
    }
}

impl Drop for DomainRef {
    fn drop(&mut self) {
        // SAFETY: Held by this reference until here. Whoever has found the domain through a task holds the RCU read lock, so it is freed after a grace
        // period; nobody but the last user gets to `call_rcu`.
        unsafe {
            let held = self.0.as_ptr();
            if (*held).users.dec_and_test() {
                bindings::call_rcu((*held).rcu.get(), Some(free));
            }
        }
    }
}

/// Frees a domain that nobody uses any more.
///
/// # Safety
///
/// `rcu` must be that of a `Held` whose last user has gone, a grace period ago.
unsafe extern "C" fn free(rcu: *mut bindings::callback_head) {
    let held = rcu.wrapping_byte_sub(core::mem::offset_of!(Held, rcu));
    // SAFETY: Required of the caller; it was made by `DomainRef::new`.
    drop(unsafe { KBox::<Held>::from_raw(held.cast()) });
}

fn word(task: Task) -> *mut usize {
    // SAFETY: The task is valid. Nothing is read here.
    unsafe { ptr::addr_of_mut!((*task.as_ptr()).thread_info.syscall_work).cast() }
}

/// The domain of `task`, which the caller holds the RCU read lock to look at.
pub(crate) fn domain_of(task: Task, _rcu: &rcu::Guard) -> Option<&Domain> {
    held(task).map(|held| {
        // SAFETY: The task owns a reference; should it be given another domain, this one lives until the read lock is given back.
        unsafe { &(*held.as_ptr()).domain }
    })
}

/// The domain of the calling task.
#[inline(always)]
pub(crate) fn own_domain(_pinned: &Pinned) -> Option<&Domain> {
    held(Task::current()).map(|held| {
        // SAFETY: As above. A grace period does not end while a processor does not schedule.
        unsafe { &(*held.as_ptr()).domain }
    })
}

/// A reference to the domain of `task`.
pub(crate) fn domain_ref_of(task: Task) -> Option<DomainRef> {
    let _rcu = rcu::read_lock();
    loop {
        let held = held(task)?;
        // SAFETY: As in `domain_of`.
        let users = unsafe { (*held.as_ptr()).users.as_atomic() };
        let mut n = users.load(Relaxed);
        // Without users it has just been replaced: look again.
        while n != 0 {
            match users.cmpxchg(n, n.saturating_add(1), Full) {
                Ok(_) => return Some(DomainRef(held)),
                Err(now) => n = now,
            }
        }
    }
}

fn held(task: Task) -> Option<NonNull<Held>> {
    // SAFETY: The task is valid. The word of another task may change under us, a torn read is not possible.
    let word = unsafe { word(task).read_volatile() };
    pointer(word)
}

/// The domain whose address stands in the word of a task.
fn pointer(word: usize) -> Option<NonNull<Held>> {
    NonNull::new((word & !(DOMAIN_BYTES - 1)) as *mut Held)
}

/// Takes the domain of a task that is being freed.
pub(crate) fn forget_task(task: Task) {
    let word = word(task);
    // SAFETY: Nobody else knows the task any more.
    let old = unsafe {
        let old = word.read();
        word.write(old & FLAGS);
        old
    };
    drop(pointer(old).map(DomainRef));
}

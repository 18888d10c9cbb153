// SPDX-License-Identifier: GPL-2.0
//! Whom signals and UNIX sockets reach.

use core::ptr::NonNull;

use kernel::prelude::*;
use kernel::sync::rcu;

use super::{DomainRef, Task};
use crate::domain::Domain;

extern "C" {
    fn evf_all_of_pid(
        pid: *mut c_void,
        kind: u32,
        look: unsafe extern "C" fn(*mut c_void, *const c_void) -> bool,
        arg: *const c_void,
    ) -> bool;
    fn evf_is_abstract(sock: *const c_void) -> bool;
    fn evf_is_bound(sock: *const c_void) -> bool;
    fn evf_is_peer(socket: *const c_void, other: *const c_void) -> bool;
    fn evf_unix_sock(socket: *const c_void) -> *mut c_void;
    fn evf_domain_of_sock(sock: *const c_void) -> *const c_void;
    fn evf_slot_new(domain: *const c_void) -> *mut c_void;
    fn evf_slot_set(sock: *const c_void, slot: *mut c_void);
}

/// A socket that a hook is told of.
#[derive(Clone, Copy)]
pub(crate) struct Sock(NonNull<c_void>);

impl Sock {
    /// # Safety
    ///
    /// `sock` must be null or a `struct sock *` that is valid as long as the value is used.
    pub(crate) unsafe fn from_raw(sock: *mut c_void) -> Option<Sock> {
        NonNull::new(sock).map(Sock)
    }

    /// Whether it is a UNIX socket with an abstract address. For UNIX sockets only.
    pub(crate) fn is_abstract(self) -> bool {
        // SAFETY: Valid, and UNIX: only hooks of UNIX sockets ask.
        unsafe { evf_is_abstract(self.0.as_ptr()) }
    }

    /// Whether it has an address. For UNIX sockets only.
    pub(crate) fn is_bound(self) -> bool {
        // SAFETY: As in `is_abstract`.
        unsafe { evf_is_bound(self.0.as_ptr()) }
    }

    /// Whether it is whom another UNIX socket is connected to.
    ///
    /// # Safety
    ///
    /// `socket` must be a valid `struct socket *` of that other.
    pub(crate) unsafe fn is_peer_of(self, socket: *const c_void) -> bool {
        // SAFETY: Required of the caller.
        unsafe { evf_is_peer(socket, self.0.as_ptr()) }
    }

    /// Notes down under which domain it is being bound.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn note(self, domain: DomainRef) -> Result {
        let domain = domain.into_raw();
        // SAFETY: Domain: the slot takes over the reference.
        let slot = unsafe { evf_slot_new(domain) };
        if slot.is_null() {
            // SAFETY: Nobody took the reference that `into_raw` gave.
            drop(unsafe { DomainRef::from_raw(domain) });
            return Err(ENOMEM);
        }
        // SAFETY: The socket is valid and the slot ours to give.
        unsafe { evf_slot_set(self.0.as_ptr(), slot) };
        Ok(())
    }
}

/// The UNIX socket behind a `struct socket *`.
///
/// # Safety
///
/// `socket` must be one, and valid or null.
pub(crate) unsafe fn unix_sock(socket: *const c_void) -> Option<Sock> {
    if socket.is_null() {
        return None;
    }
    // SAFETY: Required of the caller.
    unsafe { Sock::from_raw(evf_unix_sock(socket)) }
}

/// The domain under which a socket was bound.
pub(crate) fn domain_of_sock(sock: Sock, _rcu: &rcu::Guard) -> Option<&Domain> {
    // SAFETY: The RCU read lock is held; Domain: the slot owns a reference, and what `into_raw` gives is where the domain lies.
    unsafe {
        evf_domain_of_sock(sock.0.as_ptr())
            .cast::<Domain>()
            .as_ref()
    }
}

/// Called by table.c, after a grace period, when a slot is freed.
#[no_mangle]
extern "C" fn evf_domain_put(domain: *const c_void) {
    // SAFETY: Domain: this is the reference that the slot owned.
    drop(unsafe { DomainRef::from_raw(domain) });
}

/// Strikes out a socket that goes.
pub(crate) fn forget_sock(sock: Sock) {
    // SAFETY: The socket is valid.
    unsafe { evf_slot_set(sock.0.as_ptr(), core::ptr::null_mut()) };
}

/// Whether `look` holds for every task that `pid` names in the way of `kind`.
///
/// # Safety
///
/// `pid` must be null or a valid `struct pid *`.
pub(crate) unsafe fn all_of_pid(pid: *mut c_void, kind: u32, look: fn(Task) -> bool) -> bool {
    /// # Safety
    ///
    /// `task` must be valid and `look` point to a `fn(Task) -> bool`.
    unsafe extern "C" fn call(task: *mut c_void, look: *const c_void) -> bool {
        // SAFETY: `look` is the function given below; the list walk hands us a valid task.
        unsafe {
            let look = *look.cast::<fn(Task) -> bool>();
            Task::from_raw(task.cast()).is_some_and(look)
        }
    }
    // SAFETY: Required of the caller; `call` gets what it expects.
    unsafe { evf_all_of_pid(pid, kind, call, core::ptr::from_ref(&look).cast()) }
}

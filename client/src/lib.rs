// SPDX-License-Identifier: GPL-2.0
//! The user library of evfilter.

#![deny(unsafe_code)]

mod c_api;
mod control;
mod error;
mod events;
mod filter;
mod policy;
mod sys;

pub use control::{Control, Info};
pub use error::{Error, Step};
pub use events::EventSet;
pub use filter::Filter;
pub use filters::event::Event;
pub use policy::Policy;

/// Sets `no_new_privs` on the calling thread: from now on `execve` grants it nothing that it does not have (`prctl(2)`, PR_SET_NO_NEW_PRIVS).
///
/// Without it only CAP_SYS_ADMIN may attach filters: an ordinary user could otherwise make a set-user-ID program misbehave. It cannot be unset, and children
/// inherit it.
///
/// # Errors
///
/// [`Error::Kernel`] with [`Step::NoNewPrivs`] if a filter in force forbids `prctl`.
pub fn set_no_new_privs() -> Result<(), Error> {
    rustix::thread::set_no_new_privs(true)
        .map_err(|errno| Error::kernel(Step::NoNewPrivs, errno.into()))
}

// SPDX-License-Identifier: GPL-2.0
//! The user library of evfilter: from a policy text to a confined thread.
//!
//! ```no_run
//! let policy = evfilter::Policy::from_file("sandbox.evf")?; // compiled and verified, here
//! let filter = policy.load()?; // in the kernel, not yet in force
//! evfilter::set_no_new_privs()?;
//! filter.restrict_self()?; // this thread and all that it starts from now on
//! # Ok::<(), evfilter::Error>(())
//! ```
//!
//! Each step gives a value of its own type, so that what can go wrong goes wrong before anything is in force: a [`Policy`] is known to be good, a
//! [`Filter`] is accepted by the kernel, and [`Filter::restrict_self`] either puts all of it into force or changes nothing. There is no way back:
//! whoever wants to keep a free thread restricts a child.
//!
//! The last step has two other forms: [`Filter::restrict_process`] takes all threads along, [`Filter::restrict_at_exec`] leaves the caller free until it
//! executes a program. [`strict`] is for what only computes. A program made for seccomp is a policy as it is: [`Policy::from_bpf`].
//!
//! # Which kernels
//!
//! Before a policy is loaded, [`Control::load`] compares what it judges with what the module offers, and refuses a policy of which a part would be
//! ignored ([`Error::EventNotSupported`]). A program that wants to run on older modules, too, asks and chooses:
//!
//! ```no_run
//! use evfilter::{Control, Error, Policy};
//!
//! let control = Control::open()?;
//! let full = Policy::from_file("full.evf")?;
//! let policy = match full.events().without(control.info()?.events).is_empty() {
//!     true => full,
//!     false => Policy::from_file("calls-only.evf")?,
//! };
//! evfilter::set_no_new_privs()?;
//! control.restrict_self(control.load(&policy)?)?;
//! # Ok::<(), Error>(())
//! ```
//!
//! # Errors
//!
//! [`Error`] says what failed; [`Error::help`] what to do about it. A refused policy text comes with all the compiler's messages:
//!
//! ```
//! use evfilter::{Error, Policy};
//!
//! match Policy::parse("on vfs.getname { deny EACCESS path == \"/x\"; default allow }") {
//!     Err(Error::Language { diagnostics }) => {
//!         assert!(diagnostics.render(false).contains("did you mean `EACCES`?"));
//!     }
//!     other => panic!("{other:?}"),
//! }
//! ```
//!
//! # From C
//!
//! `client/include/evfilter.h` declares the same steps for `libevfilter.a`, the static library that this crate builds as well.

#![deny(unsafe_code)]

mod c_api;
mod control;
mod error;
mod events;
mod filter;
mod policy;
mod reach;
pub mod strict;
mod sys;

pub use control::{Control, Info};
pub use error::{Error, Step};
pub use events::EventSet;
pub use filter::Filter;
pub use filters::event::Event;
pub use policy::Policy;
pub use reach::Reach;

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

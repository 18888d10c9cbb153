// SPDX-License-Identifier: GPL-2.0
//! A loaded filter, held by its descriptor.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::control::Control;
use crate::error::Error;
use crate::reach::Reach;

/// A filter that the module has verified and holds ready.
///
/// It can be pushed on any number of threads, passed over a UNIX socket, and is close-on-exec. Closing it does not lift the layers made
/// from it.
#[derive(Debug)]
pub struct Filter {
    fd: OwnedFd,
}

impl Filter {
    /// Pushes the filter on the calling thread, on its io_uring workers, and so on all that it starts from now on.
    ///
    /// There is no way back. Other threads of the process are left as they are, and share their memory with this one: restrict before starting
    /// them, or use [`Filter::restrict_process`]. What was open before stays open; an io_uring instance whose kernel thread belongs to *another* process (made there, its rings mapped
    /// here by `fork`) keeps acting as that process, so close such a ring first.
    ///
    /// # Errors
    ///
    /// - [`Error::NotPermitted`]: neither `no_new_privs` (see [`crate::set_no_new_privs`]) nor CAP_SYS_ADMIN.
    /// - [`Error::TooManyLayers`], [`Error::TooCostly`]: the thread's stack would pass a limit; it is unchanged.
    /// - [`Error::Tracing`]: the thread traces a task, through which it could go on acting freely.
    /// - [`Error::NotAFilter`]: made from a descriptor that is no filter descriptor.
    /// - [`Error::Kernel`] with [`crate::Step::RestrictSelf`]: anything else, such as a layer in force that forbids `ioctl`.
    /// - those of [`Control::open`].
    pub fn restrict_self(&self) -> Result<(), Error> {
        self.restrict(Reach::Thread)
    }

    /// Pushes the filter on all threads of the process, or on none: what `SECCOMP_FILTER_FLAG_TSYNC` is for seccomp.
    ///
    /// Afterwards every thread has the caller's layers and this one, and `no_new_privs` if the caller has it. A thread that is being made or that is
    /// executing a program meanwhile is not missed.
    ///
    /// ```no_run
    /// use evfilter::{Error, Policy};
    ///
    /// let filter = Policy::from_file("sandbox.evf")?.load()?;
    /// evfilter::set_no_new_privs()?;
    /// match filter.restrict_process() {
    ///     Ok(()) => {}
    ///     Err(Error::ThreadInTheWay { thread }) => panic!("thread {thread} has layers of its own"),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Filter::restrict_self`], and [`Error::ThreadInTheWay`]: a thread is under a layer that the caller is not under, or is tracing a
    /// task. Whatever the error, no thread has changed.
    pub fn restrict_process(&self) -> Result<(), Error> {
        self.restrict(Reach::Process)
    }

    /// Pushes the filter so that it takes hold when the caller's next exec has succeeded, before the new program's first instruction.
    ///
    /// The policy need not allow the exec itself, nor the names that it opens. Until then the caller is judged as before; children inherit the
    /// intention with the rest. An exec that fails leaves it for the next one.
    ///
    /// # Errors
    ///
    /// Those of [`Filter::restrict_self`].
    pub fn restrict_at_exec(&self) -> Result<(), Error> {
        self.restrict(Reach::NextExec)
    }

    fn restrict(&self, reach: Reach) -> Result<(), Error> {
        Control::open()?.restrict(self, reach)
    }
}

impl AsFd for Filter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Filter> for OwnedFd {
    fn from(filter: Filter) -> OwnedFd {
        filter.fd
    }
}

/// For a filter descriptor that came from elsewhere, such as a UNIX socket. What is none is answered [`Error::NotAFilter`] when it is used.
impl From<OwnedFd> for Filter {
    fn from(fd: OwnedFd) -> Filter {
        Filter { fd }
    }
}

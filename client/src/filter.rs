// SPDX-License-Identifier: GPL-2.0
//! A loaded filter, held by its descriptor.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::control::Control;
use crate::error::Error;

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
    /// them. What was open before stays open; an io_uring instance whose kernel thread belongs to *another* process (made there, its rings mapped
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
        Control::open()?.restrict_self(self)
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

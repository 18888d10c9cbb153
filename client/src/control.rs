// SPDX-License-Identifier: GPL-2.0
//! The control descriptor: the way to the module.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use uapi::control::{ABI_VERSION, DEVICE_PATH, LOAD_INTERPRETED, RESTRICT_STRICT};

use crate::error::{Error, Step};
use crate::events::EventSet;
use crate::filter::Filter;
use crate::policy::Policy;
use crate::reach::Reach;
use crate::sys::{self, Refused};

/// Bytes of the buffer for the verifier's message; the longest one is far shorter.
const MESSAGE_BYTES: usize = 512;

/// What the module says of itself and of the calling thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// Version of the interface; this library speaks [`uapi::control::ABI_VERSION`].
    pub abi: u32,
    /// Number raised with each security fix of the module.
    pub security_sequence: u32,
    /// Layers on the calling thread.
    pub layers: u32,
    /// Events that the module can judge.
    pub events: EventSet,
    /// How many layers a task may carry; 0 if the module does not tell.
    pub max_layers: u32,
    /// How many instructions one program may have; 0 if the module does not tell.
    pub max_insns: u32,
    /// How many bytes a policy image may have; 0 if the module does not tell.
    pub max_image: u32,
    /// How much all programs of one event may cost together on one task, in units of a classic instruction; 0 if the module does not tell.
    pub max_stack_cost: u32,
    /// Layers on the calling thread that the kernel's BPF compiler has made machine code of; the others run in the interpreter.
    pub native_layers: u32,
    /// Whether filters that are loaded now become machine code.
    pub native: bool,
}

/// A control descriptor.
///
/// It belongs to nobody in particular: each call acts on the thread that makes it. It is close-on-exec, and may be opened before a thread restricts
/// itself and used afterwards, as long as the layers allow `ioctl`.
///
/// ```no_run
/// let control = evfilter::Control::open()?;
/// let info = control.info()?;
/// println!("abi {}, events: {}, layers here: {}", info.abi, info.events, info.layers);
/// # Ok::<(), evfilter::Error>(())
/// ```
#[derive(Debug)]
pub struct Control {
    fd: OwnedFd,
}

impl Control {
    /// Opens a control descriptor: by `prctl`, which works wherever the caller's view of the file system has gone, and if that is
    /// not allowed by opening the device node `/dev/evfilter`.
    ///
    /// # Errors
    ///
    /// - [`Error::NotLoaded`]: the kernel knows nothing of evfilter.
    /// - [`Error::Control`]: it does, but neither way is open to the caller; a policy or seccomp filter in force is the usual cause.
    pub fn open() -> Result<Control, Error> {
        let refused = match sys::open_control().and_then(sys::adopt_control) {
            Ok(fd) => return Ok(Control { fd }),
            Err(refused) => refused,
        };
        match open_device() {
            Ok(fd) => Ok(Control { fd }),
            // EINVAL is how a kernel without the module answers an unknown prctl option.
            Err(_) if refused.raw_os_error() == Some(libc::EINVAL) => Err(Error::NotLoaded),
            Err(_) => Err(Error::Control { source: refused }),
        }
    }

    /// Describes the module and the calling thread.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`] with [`Step::Info`] if the descriptor is not a control descriptor, or if a layer of the caller forbids `ioctl`.
    pub fn info(&self) -> Result<Info, Error> {
        let info =
            sys::info(self.fd.as_fd()).map_err(|source| Error::kernel(Step::Info, source))?;
        Ok(Info {
            abi: info.abi,
            security_sequence: info.security_sequence,
            layers: info.layers,
            events: EventSet::from_bits(info.events),
            max_layers: info.max_layers,
            max_insns: info.max_insns,
            max_image: info.max_image,
            max_stack_cost: info.max_stack_cost,
            native_layers: info.native_layers,
            native: info.native != 0,
        })
    }

    /// Loads `policy` after asking whether this module can judge all that it wants judged.
    ///
    /// A policy that names an event which the module lacks is refused: running without that part would allow what the author denied. Who can do with
    /// less asks [`Control::info`] first and loads a policy made for what is there.
    ///
    /// # Errors
    ///
    /// [`Error::Abi`], [`Error::EventNotSupported`], and those of [`Control::load_image`].
    pub fn load(&self, policy: &Policy) -> Result<Filter, Error> {
        let info = self.info()?;
        if info.abi != ABI_VERSION {
            return Err(Error::Abi {
                module: info.abi,
                library: ABI_VERSION,
            });
        }
        let missing = policy.events().without(info.events);
        if !missing.is_empty() {
            return Err(Error::EventNotSupported {
                missing,
                offered: info.events,
            });
        }
        self.load_image(policy.image())
    }

    /// Hands `image` to the module as it is, without looking at it.
    ///
    /// # Errors
    ///
    /// - [`Error::Refused`]: the module's verifier says no; the error carries its message.
    /// - [`Error::OutOfMemory`]: the image's memory is charged to the caller and does not fit.
    /// - [`Error::Kernel`] with [`Step::Load`]: anything else, such as a layer of the caller that forbids `ioctl`, or `EBUSY` because somebody else directs a
    ///   kernel function that the policy needs.
    pub fn load_image(&self, image: &[u8]) -> Result<Filter, Error> {
        self.load_flagged(image, 0)
    }

    /// The same, but the module runs the programs in its interpreter, where it would otherwise have the kernel's BPF compiler make machine code of
    /// them
    /// ([`Info::native`]).
    ///
    /// Verdicts are the same, only slower: this is for who compares the two, or measures them. Layers made from the filter do not count in
    /// [`Info::native_layers`].
    ///
    /// # Errors
    ///
    /// Those of [`Control::load_image`]. A module that is older than this flag answers it with `EOPNOTSUPP`, as [`Error::Kernel`] with
    /// [`Step::Load`].
    pub fn load_image_interpreted(&self, image: &[u8]) -> Result<Filter, Error> {
        self.load_flagged(image, LOAD_INTERPRETED)
    }

    fn load_flagged(&self, image: &[u8], flags: u32) -> Result<Filter, Error> {
        let mut message = [0; MESSAGE_BYTES];
        match sys::load(self.fd.as_fd(), image, flags, &mut message) {
            Ok(fd) => Ok(Filter::from(fd)),
            Err(source) => Err(load_error(source, &message)),
        }
    }

    /// Pushes `filter` on the calling thread; see [`Filter::restrict_self`], which opens a control descriptor of its own.
    ///
    /// # Errors
    ///
    /// As [`Filter::restrict_self`].
    pub fn restrict_self(&self, filter: impl AsFd) -> Result<(), Error> {
        self.restrict(filter, Reach::Thread)
    }

    /// Pushes `filter` on whom, and when, `reach` says.
    ///
    /// # Errors
    ///
    /// Those of [`Filter::restrict_self`], [`Filter::restrict_process`] and [`Filter::restrict_at_exec`].
    pub fn restrict(&self, filter: impl AsFd, reach: Reach) -> Result<(), Error> {
        sys::restrict_self(self.fd.as_fd(), Some(filter.as_fd()), reach.flags())
            .map_err(restrict_error)
    }

    /// Pushes the strict filter that is built into the module; see [`crate::strict`], which also says what is left to do afterwards.
    ///
    /// # Errors
    ///
    /// As [`Control::restrict`].
    pub fn restrict_strictly(&self, reach: Reach) -> Result<(), Error> {
        let flags = RESTRICT_STRICT | reach.flags();
        sys::restrict_self(self.fd.as_fd(), None, flags).map_err(restrict_error)
    }
}

/// Opens the device node and makes sure that it is ours: any file can bear that name.
fn open_device() -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let fd = rustix::fs::open(DEVICE_PATH, flags, Mode::empty())?;
    sys::info(fd.as_fd())?;
    Ok(fd)
}

fn load_error(source: io::Error, message: &[u8]) -> Error {
    let text = message.split(|&byte| byte == 0).next().unwrap_or_default();
    if !text.is_empty() {
        return Error::Refused {
            message: String::from_utf8_lossy(text).into_owned(),
            source,
        };
    }
    match source.raw_os_error() {
        Some(libc::ENOMEM) => Error::OutOfMemory { source },
        _ => Error::kernel(Step::Load, source),
    }
}

fn restrict_error(refused: Refused) -> Error {
    let Refused { source, thread } = refused;
    match source.raw_os_error() {
        Some(libc::ESRCH) => Error::ThreadInTheWay { thread },
        Some(libc::EACCES) => Error::NotPermitted { source },
        Some(libc::EBUSY) => Error::Tracing { source },
        Some(libc::ENOSPC) => Error::TooManyLayers { source },
        Some(libc::ENOMEM) => Error::TooCostly { source },
        Some(libc::EBADFD) => Error::NotAFilter { source },
        _ => Error::kernel(Step::RestrictSelf, source),
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Control> for OwnedFd {
    fn from(control: Control) -> OwnedFd {
        control.fd
    }
}

/// For a control descriptor that came from elsewhere. What is no control descriptor is answered `ENOTTY` by the first call.
impl From<OwnedFd> for Control {
    fn from(fd: OwnedFd) -> Control {
        Control { fd }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifier_s_message_is_cut_at_the_nul() {
        let error = load_error(
            io::Error::from_raw_os_error(libc::EINVAL),
            b"jump past the end\0garbage",
        );
        match error {
            Error::Refused { message, .. } => assert_eq!(message, "jump past the end"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_errno_of_restrict_self_has_its_own_error() {
        let error = |errno| {
            restrict_error(Refused {
                source: io::Error::from_raw_os_error(errno),
                thread: 77,
            })
        };
        assert!(matches!(error(libc::EACCES), Error::NotPermitted { .. }));
        assert!(matches!(error(libc::EBUSY), Error::Tracing { .. }));
        assert!(matches!(error(libc::ENOSPC), Error::TooManyLayers { .. }));
        assert!(matches!(error(libc::ENOMEM), Error::TooCostly { .. }));
        assert!(matches!(error(libc::EBADFD), Error::NotAFilter { .. }));
        assert!(matches!(
            error(libc::ESRCH),
            Error::ThreadInTheWay { thread: 77 }
        ));
        assert!(matches!(
            error(libc::EPERM),
            Error::Kernel {
                step: Step::RestrictSelf,
                ..
            }
        ));
    }

    #[test]
    fn a_file_that_is_no_control_descriptor_says_so() -> Result<(), Box<dyn std::error::Error>> {
        let null: OwnedFd = std::fs::File::open("/dev/null")?.into();
        let error = Control::from(null).info().unwrap_err();
        assert_eq!(error.errno(), Some(libc::ENOTTY));
        Ok(())
    }

    #[test]
    fn what_is_no_control_descriptor_is_not_adopted() {
        // As if a seccomp filter had made prctl return 0: the descriptor must stay open.
        assert!(sys::adopt_control(0).is_err());
        assert!(rustix::io::fcntl_getfd(std::io::stdin()).is_ok());
    }
}

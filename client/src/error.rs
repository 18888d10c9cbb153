// SPDX-License-Identifier: GPL-2.0
//! What can go wrong on the way from a text to a confined thread, and what to do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use filters::insn::INSN_BYTES;
use filters::lang::diagnostics::Diagnostics;
use filters::refusal::Refusal;
use thiserror::Error as ThisError;

use crate::events::EventSet;

/// Why a policy could not be read, loaded or put into force.
///
/// [`Error::help`] says what to do; [`Error::errno`] is the number that a C caller gets. Whatever the error, nothing was changed: a failed call
/// leaves the caller exactly as confined as before.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// The kernel does not know evfilter.
    #[error("the evfilter module is not loaded")]
    NotLoaded,

    /// The module may be there, but the caller is not let through to it.
    #[error("cannot open a control descriptor")]
    Control {
        /// What `prctl` answered.
        source: io::Error,
    },

    /// Module and library speak different versions of the interface.
    #[error("the module speaks interface version {module}, this program version {library}")]
    Abi {
        /// Version of the module.
        module: u32,
        /// Version of this library.
        library: u32,
    },

    /// The policy judges events that the module does not have.
    #[error("this kernel's module cannot judge {missing}; it has {offered}")]
    EventNotSupported {
        /// Events of the policy that the module lacks.
        missing: EventSet,
        /// Events that the module has.
        offered: EventSet,
    },

    /// A policy file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },

    /// The policy text has no meaning.
    ///
    /// `diagnostics` holds all messages; `diagnostics.render(colours)` shows them with file, line and caret.
    #[error("the policy is refused")]
    Language {
        /// The compiler's messages.
        #[source]
        diagnostics: Box<Diagnostics>,
    },

    /// The bytes are no acceptable policy image; found here, before the kernel was asked.
    #[error("not a valid policy image")]
    Image {
        /// What the verifier found.
        #[from]
        source: Refusal,
    },

    /// The bytes are no whole number of classic BPF instructions.
    #[error(
        "the program ends inside instruction {insn}: an instruction has {INSN_BYTES} bytes, and {bytes} are left"
    )]
    BrokenBpf {
        /// The instruction that is not whole, counted from 0.
        insn: usize,
        /// How many bytes of it there are.
        bytes: usize,
    },

    /// The module's verifier refused the image.
    #[error("the kernel refused the policy: {message}")]
    Refused {
        /// The verifier's message: event, instruction, reason.
        message: String,
        /// The errno that came with it.
        source: io::Error,
    },

    /// The image does not fit into the memory that the caller may use in the kernel.
    #[error("the kernel has no memory for the policy")]
    OutOfMemory {
        /// `ENOMEM`.
        source: io::Error,
    },

    /// The caller may not restrict itself, because it could then trick a set-user-ID program.
    #[error("not permitted to attach a filter")]
    NotPermitted {
        /// `EACCES`.
        source: io::Error,
    },

    /// The caller is tracing another task, through which it could go on acting freely.
    #[error("a thread that is tracing another task cannot restrict itself")]
    Tracing {
        /// `EBUSY`.
        source: io::Error,
    },

    /// One thread of the process cannot be taken along, so none was.
    #[error("thread {thread} of this process cannot be restricted with the others")]
    ThreadInTheWay {
        /// Its id, as `gettid` gives it in that thread; 0 if the module does not tell.
        thread: u32,
    },

    /// The thread carries as many layers as it may.
    #[error("the thread already carries the most layers a task may have")]
    TooManyLayers {
        /// `ENOSPC`.
        source: io::Error,
    },

    /// The layers of the thread would together cost too much, or the kernel has no memory for one more.
    #[error("the thread's layers would cost too much together, or the kernel is out of memory")]
    TooCostly {
        /// `ENOMEM`.
        source: io::Error,
    },

    /// The descriptor that was to be attached is no filter descriptor.
    #[error("the descriptor is not a filter descriptor")]
    NotAFilter {
        /// `EBADFD`.
        source: io::Error,
    },

    /// A call into the kernel failed in a way that has no variant of its own.
    #[error("cannot {step}")]
    Kernel {
        /// What was being done.
        step: Step,
        /// What the kernel answered.
        source: io::Error,
    },
}

/// What was asked of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Describe module and caller.
    Info,
    /// Load a filter.
    Load,
    /// Attach a filter to the calling thread.
    RestrictSelf,
    /// Set `no_new_privs`.
    NoNewPrivs,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Info => "ask the module about itself",
            Step::Load => "load the policy into the kernel",
            Step::RestrictSelf => "attach the filter to this thread",
            Step::NoNewPrivs => "set no_new_privs",
        })
    }
}

impl Error {
    pub(crate) fn kernel(step: Step, source: io::Error) -> Error {
        Error::Kernel { step, source }
    }

    pub(crate) fn language(diagnostics: Diagnostics) -> Error {
        Error::Language {
            diagnostics: Box::new(diagnostics),
        }
    }

    /// What the user can do about it, if that can be said.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Error::NotLoaded => Some(
                "load it as root with `insmod evfilter.ko`; to build it and try it in a virtual machine run `cargo xtask shell`",
            ),
            Error::Control { .. } => Some(
                "a policy or seccomp filter already in force must allow `prctl`, or opening /dev/evfilter, and `ioctl`",
            ),
            Error::Abi { .. } => Some("use module and program of the same release"),
            Error::EventNotSupported { .. } => Some(
                "update the module, or remove the blocks for these events from the policy; they are never ignored silently",
            ),
            Error::Read { .. }
            | Error::Language { .. }
            | Error::Image { .. }
            | Error::BrokenBpf { .. } => None,
            Error::Refused { .. } => {
                Some("the module may be older than the compiler that made this policy")
            }
            Error::OutOfMemory { .. } => {
                Some("the memory is charged to the caller's memory cgroup")
            }
            Error::NotPermitted { .. } => Some(
                "set no_new_privs first (evfilter::set_no_new_privs, evfilter_set_no_new_privs, setpriv --no-new-privs)",
            ),
            Error::Tracing { .. } => Some(
                "detach from all tracees first, or restrict before tracing; strict mode alone has this errno too where a BPF program has a function that it needs (the kernel log names it)",
            ),
            Error::ThreadInTheWay { .. } => Some(
                "it is under a layer that the calling thread is not under, or it is tracing another task; restrict before starting threads, or let the oldest thread restrict all",
            ),
            Error::TooManyLayers { .. } | Error::TooCostly { .. } => Some(
                "join policies into one; `evf info` shows the limits and how many layers there are",
            ),
            Error::NotAFilter { .. } => Some("only what Policy::load returned can be attached"),
            Error::Kernel { step, source } => kernel_help(*step, source),
        }
    }

    /// The errno behind the error: the kernel's where it was asked, else the closest one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Error::NotLoaded => Some(libc::ENOSYS),
            Error::Abi { .. } => Some(libc::EPROTO),
            Error::EventNotSupported { .. } => Some(libc::EOPNOTSUPP),
            Error::Language { .. } | Error::BrokenBpf { .. } => Some(libc::EINVAL),
            Error::ThreadInTheWay { .. } => Some(libc::ESRCH),
            Error::Image { source } => Some(source.errno().0.into()),
            Error::Read { source, .. }
            | Error::Control { source }
            | Error::Refused { source, .. }
            | Error::OutOfMemory { source }
            | Error::NotPermitted { source }
            | Error::Tracing { source }
            | Error::TooManyLayers { source }
            | Error::TooCostly { source }
            | Error::NotAFilter { source }
            | Error::Kernel { source, .. } => source.raw_os_error(),
        }
    }
}

/// What to do about an errno that has no variant of its own.
fn kernel_help(step: Step, source: &io::Error) -> Option<&'static str> {
    match source.raw_os_error()? {
        libc::EPERM | libc::EACCES | libc::ENOSYS if step == Step::NoNewPrivs => {
            Some("a policy or seccomp filter already in force must allow `prctl`")
        }
        libc::EPERM | libc::EACCES | libc::ENOSYS => {
            Some("a policy or seccomp filter already in force must allow `ioctl`")
        }
        libc::EOPNOTSUPP if step == Step::RestrictSelf => {
            Some("the module is older than this program and does not know this way of attaching")
        }
        libc::EBUSY if step == Step::Load => Some(
            "somebody else directs a kernel function that the policy needs, as a BPF program does that is attached by fentry; the kernel log names both",
        ),
        libc::ENOTTY => Some("the descriptor in use is not an evfilter control descriptor"),
        libc::EMSGSIZE => {
            Some("`evf info` shows how many bytes an image may have; split the policy into layers")
        }
        _ => None,
    }
}

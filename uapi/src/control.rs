// SPDX-License-Identifier: GPL-2.0
//! How a task reaches the module: `prctl`, ioctl numbers and their arguments.

use core::mem::{offset_of, size_of};

/// Version of this interface, reported in [`Info::abi`]. It is raised when a meaning changes; a field added at the end of a struct does not raise it.
pub const ABI_VERSION: u32 = 1;

/// Number raised with each security fix of the module (seed: Arcangeli 2004), reported in [`Info::security_sequence`] and in [`SECURITY_SEQUENCE_PATH`].
///
/// What each number stands for is listed in SECURITY.md.
pub const SECURITY_SEQUENCE: u32 = 1;

/// Where the same number can be read without a descriptor: a decimal number and a newline.
pub const SECURITY_SEQUENCE_PATH: &str = "/proc/sys/kernel/evfilter/security_sequence";

/// The `prctl` option of evfilter ("EVFL"); an unmodified kernel answers it with `EINVAL`.
pub const PR_EVFILTER: i32 = 0x4556_464c;

/// Second argument of [`PR_EVFILTER`]: open a control descriptor. The remaining arguments must be zero.
///
/// The descriptor is close-on-exec and answers [`IOC_INFO`], [`IOC_LOAD`] and [`IOC_RESTRICT_SELF`].
pub const PR_EVFILTER_OPEN: u64 = 1;

/// Path of the device node that gives the same control descriptor to those who prefer `open(2)`.
pub const DEVICE_PATH: &str = "/dev/evfilter";

const fn ioc(number: u32) -> u32 {
    // _IO(0xEF, number): the size travels in the struct, not in the number.
    (0xEF << 8) | number
}

/// Describe the module and the caller. Argument: [`Info`].
///
/// # Errors
///
/// `EINVAL` if `size` is below [`Info::MIN_SIZE`], `E2BIG` if it is above 4096, `EFAULT` for a bad address. Any other ioctl: `ENOTTY`.
pub const IOC_INFO: u32 = ioc(0);

/// Verify a policy image; returns a filter descriptor, close-on-exec. Argument: [`Load`].
///
/// # Errors
///
/// - `EINVAL`: `size` is too small, or a program is not acceptable; `E2BIG`: `size` is above 4096, or its unknown tail is not zero.
/// - `EOPNOTSUPP`: an unknown flag is set, or the image asks for an event that the module does not have.
/// - `EBUSY`: a kernel function that the filter needs hooked is taken by somebody else; the kernel log names both.
/// - `EMSGSIZE`: the image is larger than [`Info::max_image`]; `ENOEXEC`: it is malformed.
/// - `EFAULT`: a bad address, the message buffer's included; `ENOMEM`: no memory, or none that the caller may be charged for; `EMFILE`: no descriptor.
pub const IOC_LOAD: u32 = ioc(1);

/// Push a filter on the calling thread, and on the threads that the kernel runs for its process (io_uring). Argument: [`RestrictSelf`]. Returns 0.
///
/// # Errors
///
/// Nothing has changed after any of them.
///
/// - `EINVAL`, `E2BIG`, `EFAULT` as for [`IOC_LOAD`]; `EINVAL` also for flags that exclude each other, and for a field that must have one value and has another.
/// - `EOPNOTSUPP`: an unknown flag is set.
/// - `EBADF`: no descriptor; `EBADFD`: a descriptor, but not of a filter.
/// - `EACCES`: neither no_new_privs nor CAP_SYS_ADMIN in the caller's user namespace.
/// - `EBUSY`: the caller is tracing a task, through which it could go on acting freely; with [`RESTRICT_STRICT`] also as for [`IOC_LOAD`].
/// - `ESRCH`, with [`RESTRICT_TSYNC`]: a thread cannot be taken along. Its id is in [`RestrictSelf::thread`].
/// - `ENOSPC`: [`Info::max_layers`] are reached; `ENOMEM`: [`Info::max_stack_cost`] would be exceeded, or no memory.
/// - `EINTR`: the caller is being killed.
pub const IOC_RESTRICT_SELF: u32 = ioc(2);

/// [`RestrictSelf::flags`]: push the filter on all threads of the process, or on none, as `SECCOMP_FILTER_FLAG_TSYNC` does.
///
/// Every thread then has the caller's layers and the new one, and no_new_privs if the caller has it. A thread that is under a layer that the caller is not
/// under, or that is tracing a task, is in the way.
pub const RESTRICT_TSYNC: u32 = 1;

/// [`RestrictSelf::flags`]: push the strict filter that is built into the module; [`RestrictSelf::filter_fd`] must be -1.
///
/// It allows read, write, exit, exit_group and sigreturn, and kills the process for everything else.
pub const RESTRICT_STRICT: u32 = 2;

/// [`RestrictSelf::flags`]: the layer takes hold when the caller's next exec has succeeded, before the new program's first instruction.
///
/// Until then the caller is judged as before; its children inherit the intention with the rest. Not together with [`RESTRICT_TSYNC`]: an exec ends the other threads.
pub const RESTRICT_AT_EXEC: u32 = 4;

/// [`Load::flags`]: do not make machine code of the programs, but run them in the interpreter. Their verdicts are the same; this is for who wants to see that, or
/// to measure it.
pub const LOAD_INTERPRETED: u32 = 1;

/// Answer of [`IOC_INFO`]. The caller sets `size`; the module fills the rest and sets `size` to the size it knows.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// Size of this struct in bytes; at least [`Info::MIN_SIZE`].
    pub size: u32,
    /// [`ABI_VERSION`] of the module.
    pub abi: u32,
    /// [`SECURITY_SEQUENCE`] of the module.
    pub security_sequence: u32,
    /// Number of layers on the calling thread.
    pub layers: u32,
    /// One bit for each event that the module can judge, by event number.
    pub events: u64,
    /// How many layers a task may carry.
    pub max_layers: u32,
    /// How many instructions one program may have.
    pub max_insns: u32,
    /// How many bytes a policy image may have.
    pub max_image: u32,
    /// How much all programs of one event may cost together on one task, in units of a classic instruction.
    pub max_stack_cost: u32,
    /// Number of layers on the calling thread all of whose programs the kernel's BPF compiler has made machine code of; the others run in the interpreter.
    pub native_layers: u32,
    /// Whether filters that are loaded now become machine code: 1, or 0 if the compiler is off (`net.core.bpf_jit_enable`).
    pub native: u32,
}

impl Info {
    /// The smallest `size` that the module accepts: everything up to `layers`.
    pub const MIN_SIZE: u32 = offset_of!(Info, events) as u32;
}

/// Argument of [`IOC_LOAD`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Size of this struct in bytes.
    pub size: u32,
    /// `LOAD_*`.
    pub flags: u32,
    /// Address of the policy image.
    pub image: u64,
    /// Length of the policy image in bytes.
    pub image_len: u32,
    /// Length of the buffer at `message` in bytes; zero for none.
    pub message_len: u32,
    /// Address of a buffer for the verifier's message, or zero. A refusal is written there, NUL-terminated and cut to fit.
    pub message: u64,
}

/// Argument of [`IOC_RESTRICT_SELF`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestrictSelf {
    /// Size of this struct in bytes.
    pub size: u32,
    /// `RESTRICT_*`.
    pub flags: u32,
    /// Filter descriptor from [`IOC_LOAD`].
    pub filter_fd: i32,
    /// Must be zero. After `ESRCH`: id of the thread that is in the way, as the caller sees it.
    pub thread: u32,
}

const _: () = {
    assert!(size_of::<Info>() == 48);
    assert!(size_of::<Load>() == 32);
    assert!(size_of::<RestrictSelf>() == 16);
    assert!(Info::MIN_SIZE == 16);
    assert!(offset_of!(Load, image) == 8);
    assert!(offset_of!(Load, message) == 24);
    assert!(offset_of!(RestrictSelf, filter_fd) == 8);
    assert!(offset_of!(RestrictSelf, thread) == 12);
};

// SPDX-License-Identifier: GPL-2.0
//! Fixed parts of the event records: what a program reads with word loads.
//!
//! Strings are not part of the fixed layout: a program reaches them through string instructions only.

use core::mem::{offset_of, size_of};

/// The system call in progress: byte for byte the kernel's `struct seccomp_data`. Every record begins with it.
///
/// In a thread that the kernel runs (an io_uring worker or SQPOLL thread) `nr` is -1 and the rest is zero. In a task that has been interrupted
/// outside a system call, as one that is dumping core, `nr` is -1 and the rest is what its registers held.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeccompData {
    /// System call number.
    pub nr: i32,
    /// `AUDIT_ARCH_*` of the entry that was used.
    pub arch: u32,
    /// Address of the instruction after the system call.
    pub instruction_pointer: u64,
    /// The six argument registers.
    pub args: [u64; 6],
}

/// Record of `syscall.enter`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyscallEnter {
    /// The system call that is about to run.
    pub syscall: SeccompData,
}

/// Record of `vfs.getname`; its string 0 is the path.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VfsGetname {
    /// The system call on whose behalf the name was copied.
    pub syscall: SeccompData,
    /// [`ORIGIN_USER`] or [`ORIGIN_KERNEL`].
    pub origin: u32,
    /// [`FLAG_EMPTY`] or zero. Zero for names of kernel origin.
    pub flags: u32,
    /// Length of the path in bytes, without the terminating NUL.
    pub path_len: u32,
    /// Always zero.
    pub reserved: u32,
}

/// [`VfsGetname::origin`]: the name was copied from user memory (`do_getname`), or is a copy that io_uring took of such a name to try again.
pub const ORIGIN_USER: u32 = 0;

/// [`VfsGetname::origin`]: the kernel made the name itself or took it from an argument that is not a path pointer (`do_getname_kernel`):
/// interpreters of executables, AF_UNIX addresses, mount sources.
pub const ORIGIN_KERNEL: u32 = 1;

/// [`VfsGetname::flags`]: an empty name is accepted and stands for the directory descriptor.
///
/// Our own bit: the kernel's `LOOKUP_EMPTY` (`include/linux/namei.h`) has had several values, the module translates it.
pub const FLAG_EMPTY: u32 = 1;

/// Record of `vfs.pick`, `vfs.walk` and `fd.receive`: an object of a file system, and what is about to happen to it.
///
/// Its strings are the object's path and, for `vfs.pick`, the path of the other end of a rename or link, and the name of an extended attribute. The
/// numbers that its words can hold are named in `filters::object`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Object {
    /// The system call on whose behalf it happens.
    pub syscall: SeccompData,
    /// `vfs.pick`: what is done, one of `filters::object::action`. `vfs.walk`: the kind of step, one of
    /// `filters::object::step`. `fd.receive`: zero.
    pub action: u32,
    /// How the object is opened or was opened: bits of `filters::object::access`.
    pub access: u32,
    /// Its type: `S_IFMT` of its mode, shifted down by twelve; what it is going to be if it does not exist yet.
    pub kind: u32,
    /// Bits of `filters::object::flag`.
    pub flags: u32,
    /// The device of its file system, in the encoding of `st_dev`. Where a file system has a device for each of its parts (btrfs), `stat` reports that one.
    pub dev: u32,
    /// The magic number of its file system, as `statfs` reports it.
    pub fs: u32,
    /// Its inode number; zero if it does not exist yet.
    pub ino: u64,
    /// Its owner, as the caller's user namespace names it. That of an object that does not exist yet is zero, as are all fields below.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its mode without the type.
    pub mode: u32,
    /// Number of its hard links.
    pub nlink: u32,
    /// The mode that it is going to have: for `create`, `mkdir`, `mknod` and `chmod`.
    pub new_mode: u32,
    /// Whether it lies beneath the root that the layer was attached under: 1, or 0. Differs from layer to layer.
    pub reachable: u32,
}

const _: () = {
    assert!(size_of::<SeccompData>() == 64);
    assert!(offset_of!(SeccompData, instruction_pointer) == 8);
    assert!(offset_of!(SeccompData, args) == 16);
    assert!(size_of::<SyscallEnter>() == 64);
    assert!(size_of::<VfsGetname>() == 80);
    assert!(offset_of!(VfsGetname, origin) == 64);
    assert!(offset_of!(VfsGetname, flags) == 68);
    assert!(offset_of!(VfsGetname, path_len) == 72);
    assert!(size_of::<Object>() == 120);
    assert!(offset_of!(Object, ino) == 88);
    assert!(offset_of!(Object, reachable) == 116);
};

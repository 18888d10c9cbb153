// SPDX-License-Identifier: GPL-2.0
//! BPF programs on kernel functions, as bpftrace, systemd and security agents attach theirs: a trampoline that ftrace calls directly.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, OwnedFd};

use crate::btf;
use crate::harness::skip;
use crate::sys::{own, sys};

/// When a program runs, by its number in `enum bpf_attach_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before the function.
    Entry = 24,
    /// After it has returned.
    Exit = 25,
    /// Before it, or in its place.
    ModifyReturn = 26,
    /// In the hook of the same name that BPF has as a security module; the function is `bpf_lsm_NAME`.
    Lsm = 27,
}

/// A program that does nothing, verified and not attached.
pub struct Program(OwnedFd, Moment);

/// A program that is attached until this is dropped.
pub struct Link(#[expect(dead_code, reason = "closing it detaches")] OwnedFd);

const BPF_PROG_LOAD: i32 = 5;
const BPF_LINK_CREATE: i32 = 28;
const BPF_PROG_TYPE_TRACING: u32 = 26;
const BPF_PROG_TYPE_LSM: u32 = 29;

/// `r0 = 0; exit`.
const DO_NOTHING: [u64; 2] = [0xb7, 0x95];

/// `union bpf_attr` of BPF_PROG_LOAD, up to the function (`attach_btf_id`).
#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    insns: u32,
    code: u64,
    licence: u64,
    log: [u64; 2],
    version_and_flags: [u32; 2],
    name: [u8; 16],
    interface: u32,
    moment: u32,
    types_and_lines: [u32; 9],
    function: u32,
}

/// `union bpf_attr` of BPF_LINK_CREATE.
#[repr(C)]
#[derive(Default)]
struct Create {
    program: u32,
    target: u32,
    moment: u32,
    flags: u32,
}

impl Program {
    /// Loads one for a function of the kernel. Ends the running test if this kernel does not describe its functions.
    #[track_caller]
    pub fn load(function: &str, moment: Moment) -> Program {
        let licence: &CStr = c"GPL";
        let attributes = Load {
            kind: match moment {
                Moment::Lsm => BPF_PROG_TYPE_LSM,
                _ => BPF_PROG_TYPE_TRACING,
            },
            insns: DO_NOTHING.len() as u32,
            code: DO_NOTHING.as_ptr() as u64,
            licence: licence.as_ptr() as u64,
            moment: moment as u32,
            function: btf::function(function).unwrap_or_else(|reason| skip(&reason)),
            ..Load::default()
        };
        let loaded = own(sys!(
            libc::SYS_bpf,
            BPF_PROG_LOAD,
            &raw const attributes,
            size_of::<Load>()
        ));
        match loaded {
            Ok(fd) => Program(fd, moment),
            Err(errno) => panic!("BPF_PROG_LOAD for {function}: errno {errno}"),
        }
    }

    /// Attaches it.
    pub fn attach(&self) -> Result<Link, i32> {
        let attributes = Create {
            program: self.0.as_raw_fd() as u32,
            moment: self.1 as u32,
            ..Create::default()
        };
        own(sys!(
            libc::SYS_bpf,
            BPF_LINK_CREATE,
            &raw const attributes,
            size_of::<Create>()
        ))
        .map(Link)
    }
}

// SPDX-License-Identifier: GPL-2.0
//! Calls about processes that have to do with objects: their descriptors, and the files in which the kernel puts probes and programs.

use libc::{CLONE_PIDFD, SIGCHLD};

use super::scene::{DIR, INNER, LINK, mount};
use super::{Row, plain, row};
use crate::sys::child::{exit, wait};
use crate::sys::{Ret, getpid, own, sys};

const BPF_MAP_CREATE: u32 = 0;
const BPF_OBJ_PIN: u32 = 6;
const BPF_OBJ_GET: u32 = 7;

/// Lets a child that was just made end at once, and waits for it.
fn parent_of(made: Ret) -> Ret {
    match made {
        Ok(0) => exit(0),
        Ok(pid) => {
            wait(pid as i32);
            made
        }
        refused => refused,
    }
}

/// Pins a map in a file system for such things.
fn pin(map: u64) -> Ret {
    sys!(
        libc::SYS_bpf,
        BPF_OBJ_PIN,
        &[INNER.as_ptr() as u64, map][..],
        16
    )
}

#[track_caller]
fn map() -> u64 {
    mount(c"bpf", DIR);
    // An array with one element of four bytes.
    sys!(libc::SYS_bpf, BPF_MAP_CREATE, &[2u32, 4, 4, 1][..], 16).expect("BPF_MAP_CREATE")
}

pub(super) fn rows() -> Vec<Row> {
    vec![
        plain!("pidfd_open", sys!(libc::SYS_pidfd_open, getpid(), 0)),
        plain!("clone", {
            let mut pidfd = -1i32;
            let flags = CLONE_PIDFD | SIGCHLD;
            parent_of(sys!(libc::SYS_clone, flags, 0, &raw mut pidfd, 0, 0))
        }),
        plain!("clone3", {
            let mut pidfd = -1i32;
            let mut arguments = [0u64; 8];
            arguments[..2].copy_from_slice(&[CLONE_PIDFD as u64, (&raw mut pidfd) as u64]);
            arguments[4] = SIGCHLD as u64;
            parent_of(sys!(libc::SYS_clone3, &arguments[..], 64))
        }),
        row("pidfd_getfd", "", |start| {
            let myself = own(sys!(libc::SYS_pidfd_open, getpid(), 0)).expect("pidfd_open");
            start();
            sys!(libc::SYS_pidfd_getfd, &myself, 1, 0)
        }),
        row("perf_event_open", "uprobe", |start| {
            let kind = std::fs::read_to_string("/sys/bus/event_source/devices/uprobe/type");
            let kind: u32 = kind.expect("uprobe").trim().parse().expect("a number");
            let mut attributes = [0u64; 16];
            attributes[0] = u64::from(kind) | 128 << 32;
            // config1: the path; config2: the offset.
            attributes[7] = LINK.as_ptr() as u64;
            attributes[8] = 16;
            start();
            sys!(libc::SYS_perf_event_open, &attributes[..], 0, -1, -1, 0)
        }),
        row("bpf", "BPF_OBJ_PIN", |start| {
            let map = map();
            start();
            pin(map)
        }),
        row("bpf", "BPF_OBJ_GET", |start| {
            let map = map();
            assert_eq!(pin(map), Ok(0), "BPF_OBJ_PIN");
            start();
            sys!(
                libc::SYS_bpf,
                BPF_OBJ_GET,
                &[INNER.as_ptr() as u64, 0][..],
                16
            )
        }),
    ]
}

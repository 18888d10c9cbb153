// SPDX-License-Identifier: GPL-2.0
//! Where no name is seen: the limits that the README states. A policy on names neither helps nor harms there.

use libc::{AT_EMPTY_PATH, AT_FDCWD, ENODEV, ENOENT, O_RDONLY};

use super::text;
use crate::harness::{Test, tests};
use crate::kernel::attach;
use crate::program::{Names, ODD, deny_name, errno, image};
use crate::sys::{own, sys, try_open};

/// `O_EMPTYPATH`, newer than the C library.
const O_EMPTYPATH: i32 = 1 << 26;

pub(super) fn tests() -> Vec<Test> {
    tests!("getname";
        none_content_of_symlinks, none_newfstatat_null_path, none_newfstatat_empty_path, none_statx_empty_path, none_fchdir, none_memfd_name,
        none_file_system_type, none_fsopen_name, none_xattr_name, none_module_name, none_open_by_handle, emptypath_shows_the_empty_name,
        none_fsconfig_source_of_tmpfs, dot_dot_is_judged_as_written,
    )
}

/// Refuses every name there is.
fn refuse_all() {
    attach(&image(&[Names::new().or_else(errno(ODD))]));
    assert_eq!(try_open(c"/"), Err(ODD));
}

fn none_content_of_symlinks() {
    std::fs::write("/tmp/evf-aim", "x").expect("write");
    let _ = std::fs::remove_file("/tmp/evf-link");
    std::os::unix::fs::symlink("/tmp/evf-aim", "/tmp/evf-link").expect("symlink");
    attach(&deny_name(b"/tmp/evf-aim"));
    assert_eq!(try_open(c"/tmp/evf-aim"), Err(ODD));
    assert_eq!(
        try_open(c"/tmp/evf-link"),
        Ok(0),
        "what a link holds is read by the walk, not by getname"
    );
}

fn none_newfstatat_null_path() {
    let file = crate::sys::open(c"/proc/self/status", O_RDONLY).expect("open");
    refuse_all();
    let room = [0u64; 32];
    assert_eq!(
        sys!(libc::SYS_newfstatat, &file, 0, room.as_ptr(), AT_EMPTY_PATH),
        Ok(0)
    );
}

fn none_newfstatat_empty_path() {
    let file = crate::sys::open(c"/proc/self/status", O_RDONLY).expect("open");
    refuse_all();
    let room = [0u64; 32];
    assert_eq!(
        sys!(
            libc::SYS_newfstatat,
            &file,
            c"",
            room.as_ptr(),
            AT_EMPTY_PATH
        ),
        Ok(0)
    );
}

fn none_statx_empty_path() {
    let file = crate::sys::open(c"/proc/self/status", O_RDONLY).expect("open");
    refuse_all();
    let room = [0u64; 64];
    assert_eq!(
        sys!(
            libc::SYS_statx,
            &file,
            c"",
            AT_EMPTY_PATH,
            0x7ff,
            room.as_ptr()
        ),
        Ok(0)
    );
}

fn none_fchdir() {
    let directory = crate::sys::open(c"/tmp", O_RDONLY).expect("open");
    refuse_all();
    assert_eq!(sys!(libc::SYS_fchdir, &directory), Ok(0));
}

fn none_memfd_name() {
    refuse_all();
    assert!(sys!(libc::SYS_memfd_create, c"/evf-absent/evf-probe", 0).is_ok());
}

fn none_file_system_type() {
    attach(&deny_name(b"evf-nofs"));
    let _ = std::fs::create_dir("/tmp/evf-mount");
    let mounted = sys!(
        libc::SYS_mount,
        c"none",
        c"/tmp/evf-mount",
        c"evf-nofs",
        0,
        0
    );
    assert_eq!(mounted, Err(ENODEV));
}

fn none_fsopen_name() {
    attach(&deny_name(b"evf-nofs"));
    assert_eq!(sys!(libc::SYS_fsopen, c"evf-nofs", 0), Err(ENODEV));
}

fn none_xattr_name() {
    attach(&deny_name(b"user.evf-attribute"));
    let file = c"/tmp/evf-attr";
    assert!(crate::sys::open(file, libc::O_CREAT | libc::O_RDWR).is_ok());
    let set = sys!(libc::SYS_setxattr, file, c"user.evf-attribute", c"v", 1, 0);
    assert_ne!(set, Err(ODD));
}

fn none_module_name() {
    attach(&deny_name(b"evf_no_module"));
    assert_eq!(
        sys!(libc::SYS_delete_module, c"evf_no_module", libc::O_NONBLOCK),
        Err(ENOENT)
    );
}

fn none_open_by_handle() {
    std::fs::write("/tmp/evf-handle", "x").expect("write");
    let mut handle = [0u32; 34];
    handle[0] = 128;
    let mount = [0i32];
    let path = text("/tmp/evf-handle");
    let named = sys!(
        libc::SYS_name_to_handle_at,
        AT_FDCWD,
        &*path,
        handle.as_mut_ptr(),
        mount.as_ptr(),
        0
    );
    if named.is_err() {
        crate::harness::skip("this file system gives no file handles");
    }
    let root = crate::sys::open(c"/tmp", O_RDONLY).expect("open");
    attach(&deny_name(b"/tmp/evf-handle"));
    assert_eq!(try_open(&path), Err(ODD));
    let opened = own(sys!(
        libc::SYS_open_by_handle_at,
        &root,
        handle.as_ptr(),
        O_RDONLY
    ));
    assert!(opened.is_ok(), "{opened:?}");
}

/// All that a policy on names can see of `openat(fd, "", O_EMPTYPATH)` is "".
fn emptypath_shows_the_empty_name() {
    let file = crate::sys::open(c"/proc/self/status", O_RDONLY).expect("open");
    let reopen = || {
        own(sys!(
            libc::SYS_openat,
            &file,
            c"",
            O_EMPTYPATH | O_RDONLY,
            0
        ))
        .map(|_| 0)
    };
    if reopen().is_err() {
        crate::harness::skip("this kernel has no O_EMPTYPATH");
    }
    attach(&deny_name(b"/proc/self/status"));
    assert_eq!(
        reopen(),
        Ok(0),
        "the name of the file is not what is judged"
    );
    attach(&deny_name(b""));
    assert_eq!(reopen(), Err(ODD), "the empty name is");
}

fn none_fsconfig_source_of_tmpfs() {
    attach(&deny_name(b"/evf-absent/evf-source"));
    let context = own(sys!(libc::SYS_fsopen, c"tmpfs", 0)).expect("fsopen");
    let set = sys!(
        libc::SYS_fsconfig,
        &context,
        1,
        c"source",
        c"/evf-absent/evf-source",
        0
    );
    assert_eq!(set, Ok(0));
}

/// Names are strings: ".." and "." are not resolved before they are judged.
fn dot_dot_is_judged_as_written() {
    attach(&deny_name(b"/proc/version"));
    assert_eq!(try_open(c"/proc/version"), Err(ODD));
    assert_eq!(try_open(c"/proc/./version"), Ok(0));
    assert_eq!(try_open(c"/tmp/../proc/version"), Ok(0));
}

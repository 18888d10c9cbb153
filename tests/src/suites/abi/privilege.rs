// SPDX-License-Identifier: GPL-2.0
//! Law 7: who may restrict itself, and what no_new_privs is for.

use libc::{EACCES, SYS_getuid};

use crate::harness::{Test, skip, tests};
use crate::kernel::{layers, load, try_restrict};
use crate::program::{ODD, allow_all, errno, on_nr, syscalls};
use crate::sys::child::{ask, run};
use crate::sys::{Ret, become_user, no_new_privs, sys};

pub(super) fn tests() -> Vec<Test> {
    tests!("abi";
        law_7_unprivileged_user_with_no_new_privs, law_7_unprivileged_user_without_no_new_privs, law_7_unprivileged_root_without_no_new_privs,
        law_7_unprivileged_root_without_cap_sys_admin, law_7_unprivileged_admin_of_its_own_user_namespace, law_7_unprivileged_user_namespace_then_user,
        law_7_unprivileged_load_needs_nothing, law_7_unprivileged_set_user_id_program_gains_nothing, law_7_unprivileged_no_new_privs_of_the_thread,
    )
}

fn restrict_self() -> Ret {
    try_restrict(&load(&syscalls(on_nr(SYS_getuid, errno(ODD)))))
}

fn law_7_unprivileged_user_with_no_new_privs() {
    become_user(1000);
    no_new_privs();
    assert_eq!(restrict_self(), Ok(0));
    assert_eq!((layers(), sys!(SYS_getuid)), (1, Err(ODD)));
}

fn law_7_unprivileged_user_without_no_new_privs() {
    become_user(1000);
    assert_eq!(restrict_self(), Err(EACCES));
    assert_eq!((layers(), sys!(SYS_getuid)), (0, Ok(1000)));
    no_new_privs();
    assert_eq!(restrict_self(), Ok(0));
}

fn law_7_unprivileged_root_without_no_new_privs() {
    assert_eq!(restrict_self(), Ok(0));
    assert_eq!(sys!(SYS_getuid), Err(ODD));
}

/// Drops CAP_SYS_ADMIN (21) from all sets of the calling thread, keeping the rest.
fn drop_admin() {
    let header = [0x2008_0522u32, 0];
    let mut data = [0u32; 6];
    assert_eq!(
        sys!(libc::SYS_capget, header.as_ptr(), data.as_mut_ptr()),
        Ok(0)
    );
    for set in &mut data[..3] {
        *set &= !(1 << 21);
    }
    assert_eq!(
        sys!(libc::SYS_capset, header.as_ptr(), data.as_ptr()),
        Ok(0)
    );
}

fn law_7_unprivileged_root_without_cap_sys_admin() {
    drop_admin();
    assert_eq!(restrict_self(), Err(EACCES));
    assert_eq!(layers(), 0);
    no_new_privs();
    assert_eq!(restrict_self(), Ok(0));
}

/// CAP_SYS_ADMIN in the task's own user namespace is what counts, as with seccomp.
fn law_7_unprivileged_admin_of_its_own_user_namespace() {
    become_user(1000);
    if sys!(libc::SYS_unshare, libc::CLONE_NEWUSER).is_err() {
        skip("users may not make user namespaces here");
    }
    let ours = restrict_self();
    let theirs =
        ask(|| crate::seccomp::try_install(&[crate::program::ret(crate::program::ALLOW)], 0));
    assert_eq!((ours, theirs), (Ok(0), Ok(0)));
}

fn law_7_unprivileged_user_namespace_then_user() {
    become_user(1000);
    if sys!(libc::SYS_unshare, libc::CLONE_NEWUSER).is_err() {
        skip("users may not make user namespaces here");
    }
    drop_admin();
    assert_eq!(restrict_self(), Err(EACCES));
}

/// Loading takes no privilege: it changes nobody.
fn law_7_unprivileged_load_needs_nothing() {
    become_user(1000);
    assert!(crate::kernel::try_load(&allow_all()).is_ok());
    assert_eq!(crate::kernel::info().layers, 0);
}

/// The reason of the rule: a confined user cannot confuse a program that would run as root.
fn law_7_unprivileged_set_user_id_program_gains_nothing() {
    // Not busybox: that one gives its set-user-ID rights up by itself. Not in /tmp, which may be mounted without them.
    let path = "/evf-suid";
    if std::fs::copy("/usr/bin/id", path).is_err() {
        skip("this guest has no /usr/bin/id");
    }
    assert_eq!(sys!(libc::SYS_chmod, c"/evf-suid", 0o4755), Ok(0));
    let id = || {
        let output = std::process::Command::new(path).output().expect("exec");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let seen = run(|board| {
        become_user(1000);
        board.put(i64::from(id().contains("euid=0")));
        no_new_privs();
        crate::kernel::restrict(&load(&allow_all()));
        board.put(i64::from(id().contains("euid=0")));
    });
    let values = seen.well();
    if values[0] == 0 {
        skip("this file system honours no set-user-ID bit");
    }
    assert_eq!(values, [1, 0]);
}

/// no_new_privs is a property of the thread: another thread's does not count.
fn law_7_unprivileged_no_new_privs_of_the_thread() {
    become_user(1000);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            no_new_privs();
            restrict_self()
        });
        assert_eq!(other.join().ok(), Some(Ok(0)));
    });
    assert_eq!(restrict_self(), Err(EACCES));
    assert_eq!(layers(), 0);
}

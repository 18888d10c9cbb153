// SPDX-License-Identifier: GPL-2.0
//! What else a program sees of an object: its attributes, and how it is opened.

use std::os::unix::fs::MetadataExt;

use libc::{EACCES, MS_BIND};

use super::{ONE, all_under, compiled, fresh, name, open, under};
use crate::harness::{Test, tests};
use crate::kernel::attach;
use crate::sys::child::{ask, run};
use crate::sys::sys;

pub(super) fn tests() -> Vec<Test> {
    tests!("object::sight";
        attributes_are_those_of_stat, access_is_how_it_is_opened, exec_and_its_interpreters, mapping_as_code, attributes_by_name_on_two_mounts,
        attributes_on_no_mount_of_ours, record_of_the_call_in_progress,
    )
}

fn attributes_are_those_of_stat() {
    let dir = fresh("stat");
    let path = format!("{dir}/f");
    std::fs::write(&path, "x").expect("write");
    std::fs::hard_link(&path, format!("{dir}/g")).expect("link");
    assert_eq!(
        sys!(libc::SYS_chown, name(path.as_str()).as_c_str(), 7, 8),
        Ok(0)
    );
    assert_eq!(
        sys!(libc::SYS_chmod, name(path.as_str()).as_c_str(), 0o4751),
        Ok(0)
    );
    let stat = std::fs::metadata(&path).expect("stat");
    let good = format!(
        "type == file and ino == {} and dev == {} and uid == 7 and gid == 8 and mode == 0o4751 and nlink == 2",
        stat.ino(),
        stat.dev()
    );
    let policy =
        format!("on vfs.pick {{ deny ENOTUNIQ action == open and {good}; default allow }}");
    assert_eq!(under(&policy, || open(&path)), Err(ONE));
    let policy = "on vfs.pick { deny ENOTUNIQ action == open and fs == proc; default allow }";
    assert_eq!(under(policy, || open("/proc/self/status")), Err(ONE));
    assert_eq!(under(policy, || open(&path)), Ok(0));
}

fn access_is_how_it_is_opened() {
    let dir = fresh("access");
    let path = format!("{dir}/f");
    std::fs::write(&path, "x").expect("write");
    let opened = |flags: i32, access: &str| {
        let policy = format!(
            "on vfs.pick {{ deny ENOTUNIQ action == open and access == {access}; default allow }}"
        );
        under(&policy, || {
            sys!(libc::SYS_open, name(path.as_str()).as_c_str(), flags, 0o600).map(|_| 0)
        })
    };
    for (flags, access) in [
        (libc::O_RDONLY, "read"),
        (libc::O_WRONLY, "write"),
        (libc::O_RDWR, "read|write"),
        (libc::O_WRONLY | libc::O_APPEND, "write|append"),
        (libc::O_PATH, "path"),
    ] {
        assert_eq!(opened(flags, access), Err(ONE), "{access}");
        assert_eq!(opened(flags, "exec"), Ok(0), "{access}");
    }
    let policy =
        "on vfs.pick { deny ENOTUNIQ action == open and flags has tmpfile; default allow }";
    let result = under(policy, || {
        let flags = libc::O_TMPFILE | libc::O_RDWR;
        sys!(libc::SYS_open, name(dir.as_str()).as_c_str(), flags, 0o600).map(|_| 0)
    });
    assert_eq!(result, Err(ONE));
}

/// The program is opened for execution and executed; so is the interpreter of a script; the one that an ELF file names is only opened.
fn exec_and_its_interpreters() {
    let dir = fresh("exec");
    let script = format!("{dir}/script");
    std::fs::write(&script, "#!/bin/true\n").expect("write");
    assert_eq!(
        sys!(libc::SYS_chmod, name(script.as_str()).as_c_str(), 0o755),
        Ok(0)
    );
    let exec = |policy: &str, program: &str| {
        let path = name(program);
        let image = compiled(policy);
        ask(|| {
            attach(&image);
            let argv = [path.as_ptr(), std::ptr::null()];
            sys!(libc::SYS_execve, path.as_c_str(), &argv[..], 0)
        })
    };
    let rule =
        |condition: &str| format!("on vfs.pick {{ deny ENOTUNIQ {condition}; default allow }}");
    let real = std::fs::canonicalize("/bin/true").expect("true");
    let real = real.to_str().expect("a path");
    let no = Err(ONE);
    assert_eq!(
        exec(
            &rule("action == open and access has exec and not flags has interpreter"),
            real
        ),
        no
    );
    assert_eq!(
        exec(
            &rule(&format!("action == exec and path == \"{real}\"")),
            real
        ),
        no
    );
    assert_eq!(
        exec(
            &rule("action == open and flags has interpreter and path contains \"ld-\""),
            real
        ),
        no
    );
    assert_eq!(
        exec(
            &rule(&format!("action == exec and path == \"{script}\"")),
            &script
        ),
        no
    );
    let interpreter = format!("action == exec and path == \"{real}\"");
    assert_eq!(exec(&rule(&interpreter), &script), no);
}

fn mapping_as_code() {
    let dir = fresh("map");
    let path = format!("{dir}/f");
    std::fs::write(&path, [0x90; 4096]).expect("write");
    let policy = format!(
        "on vfs.pick {{ deny ENOTUNIQ action == map and path == \"{path}\"; default allow }}"
    );
    let values = all_under(&policy, |board| {
        let fd = sys!(libc::SYS_open, name(path.as_str()).as_c_str(), 0, 0).expect("open");
        let map = |protection: i32| {
            sys!(
                libc::SYS_mmap,
                0,
                4096,
                protection,
                libc::MAP_PRIVATE,
                fd,
                0
            )
        };
        board.ret(map(libc::PROT_READ | libc::PROT_EXEC));
        let at = map(libc::PROT_READ).expect("mmap");
        board.ret(sys!(
            libc::SYS_mprotect,
            at,
            4096,
            libc::PROT_READ | libc::PROT_EXEC
        ));
        board.ret(sys!(
            libc::SYS_mprotect,
            at,
            4096,
            libc::PROT_READ | libc::PROT_WRITE
        ));
        let anonymous = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        board.ret(sys!(libc::SYS_mmap, 0, 4096, libc::PROT_EXEC, anonymous, -1, 0).map(|_| 0));
    });
    assert_eq!(values, [-i64::from(ONE), -i64::from(ONE), 0, 0]);
}

const VALUE: &[u8] = b"v";

fn set_attribute(path: &str) -> crate::sys::Ret {
    sys!(
        libc::SYS_setxattr,
        name(path).as_c_str(),
        c"user.evf",
        VALUE,
        1,
        0
    )
}

/// The hooks of extended attributes know no mount. What one of the mounts of the namespace allows is allowed.
fn attributes_by_name_on_two_mounts() {
    let (one, two) = (fresh("mount-one"), fresh("mount-two"));
    let text = |allowed: &str| {
        format!(
            "on vfs.pick {{
                allow action != xattr-set
                allow path under \"{allowed}\"
                default deny ENOTUNIQ
            }}"
        )
    };
    let prepare = || {
        assert_eq!(sys!(libc::SYS_unshare, libc::CLONE_NEWNS), Ok(0));
        let place = name(one.as_str());
        let done = sys!(libc::SYS_mount, c"none", place.as_c_str(), c"tmpfs", 0, 0);
        assert_eq!(done, Ok(0), "tmpfs");
        std::fs::write(format!("{one}/f"), "x").expect("write");
        let other = name(two.as_str());
        let done = sys!(
            libc::SYS_mount,
            place.as_c_str(),
            other.as_c_str(),
            0,
            MS_BIND,
            0
        );
        assert_eq!(done, Ok(0), "bind");
    };
    let result = |allowed: &str, at: &str| {
        let image = compiled(&text(allowed));
        ask(|| {
            prepare();
            attach(&image);
            set_attribute(&format!("{at}/f"))
        })
    };
    for allowed in [&one, &two] {
        for at in [&one, &two] {
            assert_eq!(result(allowed, at), Ok(0), "{allowed} allowed, {at} used");
        }
    }
    assert_eq!(result("/nowhere", &one), Err(ONE));
}

/// A descriptor into a file system that the namespace does not show has no path.
fn attributes_on_no_mount_of_ours() {
    let dir = fresh("no-mount");
    let image = compiled(
        "on vfs.pick { deny ENOTUNIQ action == xattr-set and path == \"/no\"; default allow }",
    );
    let values = run(|board| {
        assert_eq!(sys!(libc::SYS_unshare, libc::CLONE_NEWNS), Ok(0));
        let place = name(dir.as_str());
        assert_eq!(
            sys!(libc::SYS_mount, c"none", place.as_c_str(), c"tmpfs", 0, 0),
            Ok(0)
        );
        let file = name(format!("{dir}/f"));
        let fd = crate::sys::open(&file, libc::O_CREAT | libc::O_RDWR).expect("open");
        assert_eq!(
            sys!(libc::SYS_umount2, place.as_c_str(), libc::MNT_DETACH),
            Ok(0)
        );
        attach(&image);
        board.ret(sys!(libc::SYS_fsetxattr, &fd, c"user.evf", VALUE, 1, 0));
    })
    .well();
    assert_eq!(values, [-i64::from(EACCES)]);
}

fn record_of_the_call_in_progress() {
    let policy = "on vfs.pick { deny ENOTUNIQ action == lookup and nr == access; default allow }";
    let values = all_under(policy, |board| {
        board.ret(sys!(libc::SYS_access, c"/etc/hostname", 0));
        board.ret(sys!(
            libc::SYS_faccessat,
            libc::AT_FDCWD,
            c"/etc/hostname",
            0
        ));
    });
    assert_eq!(values, [-i64::from(ONE), 0]);
}

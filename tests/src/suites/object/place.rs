// SPDX-License-Identifier: GPL-2.0
//! Where an object lies: its path as seen from the root of the layer, and whether there is one.

use libc::{AT_FDCWD, CLONE_NEWNS, EACCES, ENAMETOOLONG, O_CREAT, O_RDWR};
use uapi::control::LOAD_INTERPRETED;

use super::{ONE, TWO, all_under, compiled, fresh, name, open, under, under_after};
use crate::harness::{Test, tests};
use crate::kernel::{attach, load_with, restrict};
use crate::sys::child::{ask, run};
use crate::sys::{no_new_privs, sys};

pub(super) fn tests() -> Vec<Test> {
    tests!("object::place";
        path_is_resolved_whatever_the_name, path_is_seen_from_the_root_of_the_layer, layers_see_from_their_own_roots,
        law_5_fail_closed_outside_of_the_root, law_5_fail_closed_in_a_mount_namespace_of_its_own, reachable_can_be_asked, internal_objects_have_no_path,
        law_5_fail_closed_path_too_long, path_of_what_is_made, root_itself,
    )
}

#[track_caller]
fn changed_root(directory: &str) {
    let path = name(directory);
    assert_eq!(sys!(libc::SYS_chroot, path.as_c_str()), Ok(0));
    assert_eq!(sys!(libc::SYS_chdir, c"/"), Ok(0));
}

#[track_caller]
fn own_mounts() {
    assert_eq!(sys!(libc::SYS_unshare, CLONE_NEWNS), Ok(0));
}

fn path_is_resolved_whatever_the_name() {
    let dir = fresh("names");
    std::fs::create_dir(format!("{dir}/sub")).expect("mkdir");
    std::fs::write(format!("{dir}/file"), "x").expect("write");
    std::os::unix::fs::symlink(&dir, format!("{dir}/sub/link")).expect("symlink");
    let policy = format!(
        "on vfs.pick {{ deny ENOTUNIQ action == open and path == \"{dir}/file\"; default allow }}"
    );
    let values = all_under(&policy, |board| {
        board.ret(open(&format!("{dir}/file")));
        board.ret(open(&format!("{dir}//./sub/..//file")));
        board.ret(open(&format!("{dir}/sub/link/file")));
        let directory = name(dir.as_str());
        board.ret(sys!(libc::SYS_chdir, directory.as_c_str()));
        board.ret(open("file"));
        board.ret(open("sub/../file"));
        board.ret(open("/proc/self/cwd/file"));
        board.ret(open("/proc/self/root/../tmp/../proc/self/cwd/file"));
        board.ret(open("sub"));
    });
    let no = -i64::from(ONE);
    assert_eq!(values, [no, no, no, 0, no, no, no, no, 0]);
}

fn path_is_seen_from_the_root_of_the_layer() {
    let dir = fresh("root");
    std::fs::write(format!("{dir}/f"), "x").expect("write");
    let policy = "on vfs.pick { deny ENOTUNIQ path == \"/f\"; default allow }";
    let result = under_after(policy, || changed_root(&dir), || open("/f"));
    assert_eq!(result, Err(ONE));
    // From the root outside it is another path.
    let result = under(policy, || {
        changed_root(&dir);
        open("/f")
    });
    assert_eq!(result, Ok(0));
}

fn layers_see_from_their_own_roots() {
    let dir = fresh("roots");
    for file in ["f", "g"] {
        std::fs::write(format!("{dir}/{file}"), "x").expect("write");
    }
    let outer = compiled(&format!(
        "on vfs.pick {{ deny ENOTUNIQ path == \"{dir}/f\"; default allow }}"
    ));
    let inner = compiled("on vfs.pick { deny EUCLEAN path == \"/g\"; default allow }");
    let values = run(|board| {
        attach(&outer);
        changed_root(&dir);
        attach(&inner);
        board.ret(open("/f"));
        board.ret(open("/g"));
    })
    .well();
    assert_eq!(values, [-i64::from(ONE), -i64::from(TWO)]);
}

/// A descriptor to a place outside of the root leads to objects without a path: a program that asks for it is answered with a refusal.
fn law_5_fail_closed_outside_of_the_root() {
    let dir = fresh("outside");
    std::fs::write(format!("{dir}/f"), "x").expect("write");
    std::fs::create_dir(format!("{dir}/in")).expect("mkdir");
    std::fs::write(format!("{dir}/in/f"), "x").expect("write");
    let policy = "on vfs.pick { deny ENOTUNIQ path == \"/no\"; default allow }";
    let image = compiled(policy);
    // Machine code asks for the path in another way than the interpreter does.
    for flags in [0, LOAD_INTERPRETED] {
        let values = run(|board| {
            let outside = crate::sys::open(&name(dir.as_str()), libc::O_RDONLY).expect("open");
            changed_root(&format!("{dir}/in"));
            no_new_privs();
            restrict(&load_with(flags, &image));
            board.ret(sys!(libc::SYS_openat, &outside, c"f", 0, 0));
            board.ret(sys!(libc::SYS_openat, &outside, c"in/f", 0, 0).map(|_| 0));
            board.ret(open("/f"));
        })
        .well();
        assert_eq!(values, [-i64::from(EACCES), 0, 0]);
    }
}

fn law_5_fail_closed_in_a_mount_namespace_of_its_own() {
    let result = under(
        "on vfs.pick { deny ENOTUNIQ path == \"/no\"; default allow }",
        || {
            own_mounts();
            open("/etc/hostname")
        },
    );
    assert_eq!(result, Err(EACCES));
    // Made before, it is where the layer looks from.
    let result = under_after(
        "on vfs.pick { deny ENOTUNIQ path == \"/etc/hostname\"; default allow }",
        own_mounts,
        || open("/etc/hostname"),
    );
    assert_eq!(result, Err(ONE));
}

fn reachable_can_be_asked() {
    let policy =
        "on vfs.pick { deny EUCLEAN reachable == no and not flags has internal; default allow }";
    assert_eq!(under(policy, || open("/etc/hostname")), Ok(0));
    let result = under(policy, || {
        own_mounts();
        open("/etc/hostname")
    });
    assert_eq!(result, Err(TWO));
}

fn internal_objects_have_no_path() {
    let policy = "on vfs.pick {
        deny ENOTUNIQ action == open and flags has internal and path == \"\"
        deny EUCLEAN action == open and path == \"\"
        default allow
    }";
    let result = under(policy, || {
        let mut ends = [0i32; 2];
        sys!(libc::SYS_pipe2, ends.as_mut_ptr(), 0)?;
        open(&format!("/proc/self/fd/{}", ends[0]))
    });
    assert_eq!(result, Err(ONE));
    let result = under(policy, || {
        let fd = sys!(libc::SYS_memfd_create, c"evf", 0)?;
        open(&format!("/proc/self/fd/{fd}"))
    });
    assert_eq!(result, Err(ONE));
    assert_eq!(under(policy, || open("/proc/self/ns/mnt")), Err(ONE));
}

/// A deep tree, made and walked step by step; returns a descriptor to its end.
fn deep(steps: usize) -> Result<u64, i32> {
    let long = "d".repeat(200);
    let long = name(long);
    let mut at = AT_FDCWD as u64;
    for _ in 0..steps {
        match sys!(libc::SYS_mkdirat, at, long.as_c_str(), 0o700) {
            Ok(_) | Err(libc::EEXIST) => {}
            Err(errno) => return Err(errno),
        }
        at = sys!(libc::SYS_openat, at, long.as_c_str(), libc::O_PATH, 0)?;
    }
    Ok(at)
}

fn law_5_fail_closed_path_too_long() {
    let dir = fresh("deep");
    let file = |at: u64| sys!(libc::SYS_openat, at, c".env", O_CREAT | O_RDWR, 0o600).map(|_| 0);
    let prepare = || {
        assert_eq!(sys!(libc::SYS_chdir, name(dir.as_str()).as_c_str()), Ok(0));
        assert_eq!(deep(30).and_then(file), Ok(0));
    };
    let denying = "on vfs.pick { deny ENOTUNIQ path matches \"**/.env\"; default allow }";
    let result = under_after(denying, prepare, || file(deep(15)?));
    assert_eq!(result, Err(ONE), "a path that is just long");
    let result = under_after(denying, prepare, || deep(30).and_then(file));
    assert_eq!(result, Err(ENAMETOOLONG));
    // It is reachable all the same, and who does not ask for the path is not refused.
    let asking = "on vfs.pick { deny EUCLEAN reachable == no; default allow }";
    let result = under_after(asking, prepare, || deep(30).and_then(file));
    assert_eq!(result, Ok(0));
}

fn path_of_what_is_made() {
    let dir = fresh("made");
    let policy = format!(
        "on vfs.pick {{
            deny ENOTUNIQ action == create and type == file and flags has new and path == \"{dir}/f\" and new_mode == 0o640
            deny EUCLEAN action == mkdir and type == directory and flags has new and path == \"{dir}/d\"
            default allow
        }}"
    );
    let values = all_under(&policy, |board| {
        let path = |tail: &str| name(format!("{dir}/{tail}"));
        sys!(libc::SYS_umask, 0).expect("umask");
        board.ret(sys!(
            libc::SYS_open,
            path("f").as_c_str(),
            O_CREAT | O_RDWR,
            0o640
        ));
        board.ret(sys!(libc::SYS_mkdir, path("d").as_c_str(), 0o700));
        board.ret(sys!(libc::SYS_mkdir, path("e").as_c_str(), 0o700));
    });
    assert_eq!(values, [-i64::from(ONE), -i64::from(TWO), 0]);
}

fn root_itself() {
    let policy = "on vfs.pick { deny ENOTUNIQ action == open and path == \"/\"; default allow }";
    assert_eq!(under(policy, || open("/")), Err(ONE));
    assert_eq!(under(policy, || open("/..")), Err(ONE));
    assert_eq!(ask(|| open("/")), Ok(0));
}

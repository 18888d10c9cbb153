// SPDX-License-Identifier: GPL-2.0
//! The way to an object (`vfs.walk`), and descriptors that arrive (`fd.receive`).

use libc::{AT_FDCWD, EACCES};

use super::{ONE, all_under, compiled, fresh, name, open, under};
use crate::harness::{Test, tests};
use crate::kernel::attach;
use crate::sys::child::run;
use crate::sys::message::{pair, receive_fd, send_fd};
use crate::sys::sys;

pub(super) fn tests() -> Vec<Test> {
    tests!("object::steps";
        directory_that_is_searched, symbolic_link_that_is_followed, magic_link_that_is_followed, file_system_that_is_entered, step_is_judged_without_its_path,
        walk_that_may_not_sleep_sees_the_same, working_directory_is_picked, received_by_message, received_by_pidfd_getfd,
    )
}

fn directory_that_is_searched() {
    let dir = fresh("search");
    std::fs::create_dir(format!("{dir}/sub")).expect("mkdir");
    let policy = format!(
        "on vfs.walk {{ deny ENOTUNIQ step == search and path == \"{dir}/sub\"; default allow }}"
    );
    let values = all_under(&policy, |board| {
        // Also where there is nothing to be found.
        board.ret(open(&format!("{dir}/sub/absent")));
        board.ret(open(&format!("{dir}/sub/../sub/x")));
        board.ret(open(&format!("{dir}/sub")));
        let made = name(format!("{dir}/sub/new"));
        board.ret(sys!(libc::SYS_mkdir, made.as_c_str(), 0o700));
    });
    let no = -i64::from(ONE);
    assert_eq!(values, [no, no, 0, no]);
}

fn symbolic_link_that_is_followed() {
    let dir = fresh("link");
    std::fs::write(format!("{dir}/f"), "x").expect("write");
    std::os::unix::fs::symlink("f", format!("{dir}/l")).expect("symlink");
    let policy = format!(
        "on vfs.walk {{ deny ENOTUNIQ step == link and type == symlink and path == \"{dir}/l\"; default allow }}"
    );
    let values = all_under(&policy, |board| {
        board.ret(open(&format!("{dir}/l")));
        board.ret(open(&format!("{dir}/f")));
        let link = name(format!("{dir}/l"));
        let stat = [0u64; 32];
        board.ret(sys!(libc::SYS_lstat, link.as_c_str(), &stat[..]));
    });
    assert_eq!(values, [-i64::from(ONE), 0, 0]);
}

fn magic_link_that_is_followed() {
    let dir = fresh("magic");
    let path = format!("{dir}/f");
    std::fs::write(&path, "x").expect("write");
    let policy = format!(
        "on vfs.walk {{ deny ENOTUNIQ step == magic and path == \"{path}\"; default allow }}"
    );
    let values = all_under(&policy, |board| {
        let fd = sys!(libc::SYS_open, name(path.as_str()).as_c_str(), 0, 0).expect("open");
        board.ret(open(&format!("/proc/self/fd/{fd}")));
        board.ret(open(&format!("/proc/thread-self/fd/{fd}")));
        board.ret(open("/proc/self/exe"));
    });
    let no = -i64::from(ONE);
    assert_eq!(values, [no, no, 0]);
}

fn file_system_that_is_entered() {
    let policy = "on vfs.walk { deny ENOTUNIQ step == search and fs == proc; default allow }";
    assert_eq!(under(policy, || open("/proc/self/status")), Err(ONE));
    assert_eq!(under(policy, || open("/etc/hostname")), Ok(0));
}

fn step_is_judged_without_its_path() {
    let dir = fresh("cheap");
    let policy = "on vfs.walk { deny ENOTUNIQ step == search and uid == 4242; default allow }";
    assert_eq!(
        sys!(libc::SYS_chown, name(dir.as_str()).as_c_str(), 4242, 0),
        Ok(0)
    );
    assert_eq!(under(policy, || open(&format!("{dir}/x"))), Err(ONE));
}

/// Once a name is cached, a walk begins without references and locks; the same steps are judged.
fn walk_that_may_not_sleep_sees_the_same() {
    let dir = fresh("rcu");
    std::fs::create_dir_all(format!("{dir}/a/b/c")).expect("mkdir");
    std::fs::write(format!("{dir}/a/b/c/f"), "x").expect("write");
    std::os::unix::fs::symlink("a/b", format!("{dir}/l")).expect("symlink");
    let policy = format!(
        "on vfs.walk {{
            allow path under \"{dir}/a/b\", \"{dir}/l\"
            allow path == \"/\", \"/tmp\", \"{dir}\", \"{dir}/a\"
            default deny ENOTUNIQ
        }}"
    );
    let values = all_under(&policy, |board| {
        let mut good = 0;
        for _ in 0..2000 {
            good += i64::from(open(&format!("{dir}/a/b/c/f")).is_ok());
            good += i64::from(open(&format!("{dir}/l/c/f")).is_ok());
        }
        board.put(good);
        board.ret(open("/etc/hostname"));
    });
    assert_eq!(values, [4000, -i64::from(ONE)]);
}

fn working_directory_is_picked() {
    let dir = fresh("chdir");
    let policy = format!(
        "on vfs.pick {{ deny ENOTUNIQ action == chdir and path == \"{dir}\"; default allow }}"
    );
    let values = all_under(&policy, |board| {
        let path = name(dir.as_str());
        let fd = sys!(libc::SYS_open, path.as_c_str(), libc::O_RDONLY, 0).expect("open");
        board.ret(sys!(libc::SYS_chdir, path.as_c_str()));
        board.ret(sys!(libc::SYS_fchdir, fd));
        board.ret(sys!(libc::SYS_chdir, c"/tmp"));
    });
    let no = -i64::from(ONE);
    assert_eq!(values, [no, no, 0]);
}

const RECEIVE: &str = "on fd.receive { allow flags has internal; deny ENOTUNIQ access has write; deny EACCES path under \"/etc\"; default allow }";

fn received_by_message() {
    let dir = fresh("receive");
    let path = format!("{dir}/f");
    std::fs::write(&path, "x").expect("write");
    let image = compiled(RECEIVE);
    let arrives = |path: &str, flags: i32| {
        let (ours, theirs) = pair();
        let fd = crate::sys::open(&name(path), flags).expect("open");
        send_fd(&ours, std::os::fd::AsFd::as_fd(&fd));
        run(|board| {
            attach(&image);
            // A descriptor that is refused is cut off from the message.
            board.put(i64::from(receive_fd(&theirs).is_ok()));
        })
        .well()
    };
    assert_eq!(arrives(&path, libc::O_RDONLY), [1]);
    assert_eq!(arrives(&path, libc::O_RDWR), [0]);
    assert_eq!(arrives("/etc/hostname", libc::O_RDONLY), [0]);
}

fn received_by_pidfd_getfd() {
    let image = compiled(RECEIVE);
    let values = run(|board| {
        attach(&image);
        let ours = sys!(libc::SYS_openat, AT_FDCWD, c"/etc/hostname", 0, 0).expect("open");
        let child = crate::sys::child::start(|board| {
            board.put(0);
            crate::sys::child::nap(20_000);
        });
        child.until(1);
        let pidfd = sys!(libc::SYS_pidfd_open, child.pid, 0).expect("pidfd_open");
        board.ret(sys!(libc::SYS_pidfd_getfd, pidfd, ours, 0));
        child.kill();
    })
    .well();
    assert_eq!(values, [-i64::from(EACCES)]);
}

// SPDX-License-Identifier: GPL-2.0
//! Verdicts on objects and descriptors that do more than to allow or to refuse.

use std::os::fd::AsFd;

use super::{compiled, fresh, name, open};
use crate::harness::{Test, tests};
use crate::kernel::attach;
use crate::kmsg::Log;
use crate::sys::child::{End, run};
use crate::sys::message::{pair, receive_fd, send_fd};
use crate::sys::{getpid, sys};

pub(super) fn tests() -> Vec<Test> {
    let tests = tests!("object::effects";
        log_verdict_allows_and_logs, kill_verdict_on_an_object_kills, kill_verdict_on_a_directory_walked_through_kills,
        kill_verdict_on_a_received_descriptor_kills, attribute_by_name_is_judged_by_it, node_made_without_a_type_is_a_file,
        writing_back_the_quotas_of_all_file_systems_names_no_object,
    );
    // Lines of the log come late when there were many.
    tests.into_iter().map(|test| test.limit(60)).collect()
}

/// What happens to a file in a directory, and what the policy says of it.
struct Deed {
    event: &'static str,
    condition: &'static str,
    done: fn(&str),
}

fn looked_at(dir: &str) {
    let file = name(format!("{dir}/f"));
    let mut stat = [0_u64; 32];
    let (at, to) = (libc::AT_FDCWD, stat.as_mut_ptr());
    let seen = sys!(libc::SYS_newfstatat, at, file.as_c_str(), to, 0);
    assert_eq!(seen, Ok(0));
}

const OBJECT: Deed = Deed {
    event: "vfs.pick",
    condition: "action == open and path suffix \"/f\"",
    done: |dir| assert_eq!(open(&format!("{dir}/f")), Ok(0)),
};
const WALK: Deed = Deed {
    event: "vfs.walk",
    condition: "path suffix \"/sub\"",
    done: |dir| looked_at(&format!("{dir}/sub")),
};
const RECEIVE: Deed = Deed {
    event: "fd.receive",
    condition: "type == file",
    done: |dir| {
        let (here, there) = pair();
        let file = std::fs::File::open(format!("{dir}/f")).expect("open");
        send_fd(&here, file.as_fd());
        let received = receive_fd(&there);
        assert!(received.is_ok(), "{received:?}");
    },
};

/// A child is asked whether it went through the deed.
fn judged(deed: &Deed, word: &str, dir: &str) -> (End, Vec<i64>) {
    std::fs::create_dir_all(format!("{dir}/sub")).expect("mkdir");
    for file in ["f", "sub/f"] {
        std::fs::write(format!("{dir}/{file}"), "x").expect("write");
    }
    let Deed {
        event, condition, ..
    } = deed;
    let image = compiled(&format!(
        "on {event} {{ {word} when {condition}; default allow }}"
    ));
    let seen = run(|board| {
        attach(&image);
        board.put(i64::from(getpid()));
        (deed.done)(dir);
        board.put(1);
    });
    (seen.end, seen.values)
}

fn is_logged(log: &Log, deed: &Deed, dir: &str) {
    let (end, values) = judged(deed, "log", &fresh(dir));
    assert!(matches!(end, End::Exit(0)), "{end:?}");
    assert_eq!(values[1..], [1]);
    let pid = format!("pid={} ", values[0]);
    let event = format!("event={} ", deed.event);
    let lines = log.lines();
    let is_own = |line: &&String| {
        line.contains("evfilter: log") && line.contains(&pid) && line.contains(&event)
    };
    assert_eq!(lines.iter().filter(is_own).count(), 1, "{lines:?}");
}

fn is_killed(deed: &Deed, dir: &str) {
    let (end, values) = judged(deed, "kill", &fresh(dir));
    assert!(matches!(end, End::Signal(libc::SIGSYS, _)), "{end:?}");
    assert_eq!(values.len(), 1, "the call must not return");
}

fn log_verdict_allows_and_logs() {
    let log = Log::follow();
    is_logged(&log, &OBJECT, "log-object");
    is_logged(&log, &WALK, "log-walk");
    is_logged(&log, &RECEIVE, "log-receive");
}

fn kill_verdict_on_an_object_kills() {
    is_killed(&OBJECT, "kill-object");
}

fn kill_verdict_on_a_directory_walked_through_kills() {
    is_killed(&WALK, "kill-walk");
}

fn kill_verdict_on_a_received_descriptor_kills() {
    is_killed(&RECEIVE, "kill-receive");
}

/// A string of the record that is neither of the two paths.
fn attribute_by_name_is_judged_by_it() {
    let path = format!("{}/f", fresh("attribute"));
    std::fs::write(&path, "x").expect("write");
    let policy = "on vfs.pick { deny ENOTUNIQ when action == xattr-set and xattr suffix \".secret\"; default allow }";
    let set = |board: &crate::sys::child::Board, attribute: &std::ffi::CStr| {
        let file = name(path.as_str());
        board.ret(sys!(
            libc::SYS_setxattr,
            file.as_c_str(),
            attribute,
            c"v",
            1,
            0
        ));
    };
    let values = super::all_under(policy, |board| {
        set(board, c"user.evf");
        set(board, c"user.evf.secret");
        set(board, c"user.secret.evf");
    });
    assert_eq!(values, [0, -i64::from(super::ONE), 0]);
}

/// `mknod` takes a mode without a type for a file's (`may_mknod` of fs/namei.c).
fn node_made_without_a_type_is_a_file() {
    let dir = fresh("mknod");
    let policy =
        "on vfs.pick { deny ENOTUNIQ when action == create and type == file; default allow }";
    let make = |board: &crate::sys::child::Board, file: &str, mode: u32| {
        let file = name(format!("{dir}/{file}"));
        board.ret(sys!(libc::SYS_mknod, file.as_c_str(), mode, 0));
    };
    let values = super::all_under(policy, |board| {
        make(board, "none", 0o600);
        make(board, "file", libc::S_IFREG | 0o600);
        make(board, "fifo", libc::S_IFIFO | 0o600);
    });
    let refused = -i64::from(super::ONE);
    assert_eq!(values, [refused, refused, 0]);
}

/// `quotactl(Q_SYNC)` without a file system: there is no object to judge, and nothing to refuse it for.
fn writing_back_the_quotas_of_all_file_systems_names_no_object() {
    const Q_SYNC: u32 = 0x80_0001;
    let policy = "on vfs.pick { deny ENOTUNIQ when action == quota; default allow }";
    let done = super::under(policy, || sys!(libc::SYS_quotactl, Q_SYNC << 8, 0, 0, 0));
    assert_eq!(done, Ok(0));
}

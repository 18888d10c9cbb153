// SPDX-License-Identifier: GPL-2.0
//! Memory that nobody gives back: what a control group is still charged for after a thousand lives under policies, and what the kernel's own detector
//! finds at the end of all tests, where the kernel has it.

use std::fs;
use std::os::fd::AsFd;
use std::time::Duration;

use evfilter::Policy;
use uapi::control::LOAD_INTERPRETED;

use crate::group::Group;
use crate::harness::{Test, note, skip, tests};
use crate::kernel::{load, load_with, restrict};
use crate::slow;
use crate::sys::child::{exit, fork, nap, run, wait};
use crate::sys::message::{pair, receive_fd, send_fd};
use crate::sys::{no_new_privs, open, sys, try_open};

pub(super) fn tests() -> Vec<Test> {
    let cycles = tests!("leaks"; thousand_lives_leave_nothing_charged);
    let left = tests!("leaks"; nothing_of_ours_is_left_without_a_holder);
    cycles
        .into_iter()
        .chain(left)
        .map(|test| test.limit(300))
        .collect()
}

/// Every event that is judged, an automaton, a condition on an argument and one on the caller, a scope.
const POLICY: &str = r#"
policy leaks
scope signal, abstract
on syscall.enter {
    deny EPERM kill when pid == 123456
    default allow
}
on vfs.getname {
    deny EUCLEAN path matches "**/evf-leaks-*.secret", "/evf-absent/**"
    default allow
}
on vfs.walk {
    default allow
}
on vfs.pick {
    deny ENOTUNIQ path under "/evf-leaks"
    default allow
}
on fd.receive {
    deny EUCLEAN when type == directory
    default allow
}
"#;

/// One block for people, which becomes programs of all events on objects.
const PATHS: &str = r#"
policy leaks-paths
paths {
    read "/"
    write "/tmp", "/dev", "/run"
    exec "/usr/bin"
    hidden "/evf-leaks/hidden"
}
"#;

/// What the cycles go through, made once.
struct Images {
    all: Vec<u8>,
    paths: Vec<u8>,
}

impl Images {
    fn make() -> Images {
        let image = |text| {
            let policy = Policy::parse(text).unwrap_or_else(|error| panic!("{error}"));
            policy.image().to_vec()
        };
        Images {
            all: image(POLICY),
            paths: image(PATHS),
        }
    }
}

/// A life: filters are loaded, some to be thrown away; layers are pushed, judged and handed on; all ends with the processes.
fn live(images: &Images, round: u64) {
    let seen = run(|board| {
        no_new_privs();
        drop(load(&images.all));
        // Refused by the verifier half way through: the last word of the image is cut off.
        let cut = &images.paths[..images.paths.len() - 8];
        board.ret(crate::kernel::try_load(cut).map(|_| 0));
        let filter = match round % 2 {
            0 => load(&images.all),
            _ => load_with(LOAD_INTERPRETED, &images.all),
        };
        restrict(&filter);
        board.ret(try_open(c"/evf-absent/x"));
        board.ret(try_open(c"/tmp/evf-leaks-1.secret"));
        let (here, there) = pair();
        let directory = open(c"/", libc::O_RDONLY).expect("/");
        send_fd(&here, directory.as_fd());
        board.ret(receive_fd(&there).map(|_| 0));
        // The child has both layers and a filter in flight when it ends.
        restrict(&load(&images.paths));
        let pid = fork().expect("fork");
        if pid == 0 {
            send_fd(&here, filter.as_fd());
            let _ = sys!(libc::SYS_kill, 123_456, 0);
            let _ = try_open(c"/evf-leaks/hidden/x");
            let _ = try_open(c"/usr/bin/git");
            exit(0);
        }
        wait(pid);
    });
    let refused = -i64::from(libc::EUCLEAN);
    // The message arrives without its descriptor.
    let nothing = -i64::from(libc::ENODATA);
    assert_eq!(seen.well()[1..], [refused, refused, nothing]);
}

/// How often the kernel brings its counts together, in milliseconds, when few pages have come and gone.
const FLUSH: u64 = 2000;

/// Bytes of the kernel's memory that the group is charged for, once the kernel has done what it had put off.
fn charged(group: &Group) -> i64 {
    nap(2 * FLUSH);
    group.number("memory.stat", "kernel")
}

/// What has come to the bytes that the group was charged for. What is lost stays; what a busy machine frees late does not, so it is asked until the
/// growth is below `enough`, a minute long at most.
fn growth(group: &Group, before: i64, enough: i64) -> i64 {
    let mut grown = charged(group) - before;
    for _ in 0..60_000 / (2 * FLUSH) {
        if grown < enough {
            break;
        }
        grown = charged(group) - before;
    }
    grown
}

/// Kibibytes that `/proc/meminfo` gives for what nobody is charged for: machine code, and memory of each processor.
fn uncharged() -> i64 {
    let text = fs::read_to_string("/proc/meminfo").expect("/proc/meminfo");
    let value = |name: &str| -> i64 {
        text.lines()
            .find_map(|line| {
                line.strip_prefix(name)?
                    .split_whitespace()
                    .next()?
                    .parse()
                    .ok()
            })
            .unwrap_or_else(|| panic!("no {name} in /proc/meminfo"))
    };
    value("VmallocUsed:") + value("Percpu:")
}

/// A thousand lives; what stays of each, if it is charged, is not 128 bytes. On a kernel that keeps freed memory to see whether it is used, the
/// lives are lived all the same: what stays of them is what the last test looks for.
fn thousand_lives_leave_nothing_charged() {
    const LIVES: u64 = 1000;
    const ENOUGH: i64 = 128 * LIVES as i64;
    let images = Images::make();
    // The boards of children stay with their parent, and go with it.
    let fifty = || run(|_| (0..50).for_each(|round| live(&images, round))).well();
    let lives = |count: u64| {
        run(|_| (0..count / 50).for_each(|_| drop(fifty()))).well();
    };
    let seen = run(|board| {
        let group = Group::new("evf-leaks");
        group.enter();
        // The first ones fill caches that stay.
        lives(100);
        let before = (charged(&group), uncharged());
        lives(LIVES);
        board.put(growth(&group, before.0, ENOUGH));
        board.put(uncharged() - before.1);
    });
    let grown = seen.well();
    note(&format!(
        "after {LIVES} lives {} bytes more are charged, {} KiB more are mapped",
        grown[0], grown[1]
    ));
    if slow::factor() == 1 {
        assert!(grown[0] < ENOUGH, "{} bytes", grown[0]);
        assert!(grown[1] < LIVES as i64, "{} KiB", grown[1]);
    }
}

const DETECTOR: &str = "/sys/kernel/debug/kmemleak";

/// The detector takes an object for lost when nothing points to it in two scans, and when it is not brand new.
fn scan() {
    // What ends after a grace period or in a worker is not lost.
    std::thread::sleep(slow::limit(Duration::from_secs(1)));
    if let Err(error) = fs::write(DETECTOR, "scan") {
        panic!("{DETECTOR}: {error}: has it switched itself off?");
    }
}

/// Whether an object was allocated by the module: its name stands behind the frames of the trace. Tests load it anew, and frames of one that is
/// gone have no names; no other module is ever removed here.
fn is_ours(object: &str) -> bool {
    object.contains("[evfilter]") || object.contains("\n    0xffffffff")
}

/// The reports, one text an object.
fn objects(report: &str) -> Vec<String> {
    let mut objects: Vec<String> = Vec::new();
    for line in report.lines() {
        if line.starts_with("unreferenced object") {
            objects.push(String::new());
        }
        if let Some(object) = objects.last_mut() {
            object.push_str(line);
            object.push('\n');
        }
    }
    objects
}

fn nothing_of_ours_is_left_without_a_holder() {
    if fs::metadata(DETECTOR).is_err() {
        skip("this kernel has no kmemleak (cargo xtask qemu-test --kernel debug has it)");
    }
    scan();
    scan();
    let report = fs::read_to_string(DETECTOR).expect(DETECTOR);
    let (ours, others): (Vec<_>, Vec<_>) = objects(&report)
        .into_iter()
        .partition(|object| is_ours(object));
    note(&format!(
        "{} objects of the kernel's own are without a holder",
        others.len()
    ));
    if let Some(first) = others.first() {
        first.lines().for_each(note);
    }
    let shown: String = ours.iter().take(10).map(String::as_str).collect();
    assert!(ours.is_empty(), "{} objects of ours:\n{shown}", ours.len());
}

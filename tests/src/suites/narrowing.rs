// SPDX-License-Identifier: GPL-2.0
//! Law 1: a layer can only narrow. Verdicts of two layers combine as the lattice says, and as two filters of seccomp do.

use filters::insn::Insn;
use filters::verdict::{Action, Verdict};
use libc::{SIGSYS, SYS_getuid};

use crate::harness::{Test, tests};
use crate::kernel::{attach, layers, load, restrict};
use crate::program::{ALLOW, KILL, Names, ODD, deny_name, errno, on_nr, ret, syscalls};
use crate::seccomp::same;
use crate::sys::child::{End, ask, run};
use crate::sys::signal::{catch_sigsys, caught};
use crate::sys::{Ret, no_new_privs, sys, try_open};

const NAME: &str = "/evf-absent/evf-narrow";

/// Verdicts on getuid, by name, with data that tells the two sides apart.
fn verdict(action: Action, side: u16) -> u32 {
    match action {
        Action::Errno => Verdict::errno(60 + side).raw(),
        Action::Trap => Verdict::new(action, 100 + side).raw(),
        other => Verdict::new(other, 0).raw(),
    }
}

/// What a process sees when it makes the call: the result, and what its SIGSYS handler was told.
fn getuid(board: &crate::sys::child::Board) {
    catch_sigsys();
    board.ret(sys!(SYS_getuid));
    let caught = caught();
    board.put(caught[0]);
    board.put(caught[2]);
}

/// Every two verdicts, as outer and inner layer: the stricter one is carried out; between equals the newer one.
fn pair(outer: Action, inner: Action) {
    let programs = [
        on_nr(SYS_getuid, verdict(outer, 1)),
        on_nr(SYS_getuid, verdict(inner, 2)),
    ];
    let seen = same(&programs, getuid);
    let (action, side) = if inner <= outer {
        (inner, 2)
    } else {
        (outer, 1)
    };
    let expected = match action {
        Action::KillProcess | Action::KillThread => None,
        Action::Trap => Some(vec![SYS_getuid, 1, 100 + side]),
        Action::Errno => Some(vec![-(60 + side), 0, 0]),
        Action::Notify | Action::Trace => Some(vec![-i64::from(libc::ENOSYS), 0, 0]),
        Action::Log | Action::Allow => Some(vec![0, 0, 0]),
    };
    match expected {
        Some(values) => assert_eq!(seen.well(), values),
        None => assert_eq!(
            (seen.end, seen.values),
            (End::Signal(SIGSYS, false), vec![])
        ),
    }
}

/// The same for names, where four actions are possible.
fn name_pair(outer: Action, inner: Action) {
    let image = |action, side| {
        Names::new()
            .equal(NAME.as_bytes(), verdict(action, side))
            .or_allow()
    };
    let seen = run(|board| {
        attach(&image(outer, 1));
        attach(&image(inner, 2));
        board.ret(open(NAME));
    });
    let (action, side) = if inner <= outer {
        (inner, 2)
    } else {
        (outer, 1)
    };
    match action {
        Action::KillProcess => assert_eq!(seen.end, End::Signal(SIGSYS, false)),
        Action::Errno => assert_eq!(seen.well(), [-(60 + side)]),
        _ => assert_eq!(seen.well(), [-i64::from(libc::ENOENT)]),
    }
}

fn open(name: &str) -> Ret {
    try_open(&std::ffi::CString::new(name).expect("a name without NUL"))
}

pub(super) fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    for outer in Action::ALL {
        for inner in Action::ALL {
            let name = format!("narrowing::{}_then_{}", outer.name(), inner.name());
            tests.push(Test::new(name.replace('-', "_"), move || {
                pair(outer, inner)
            }));
        }
    }
    let on_names = [
        Action::KillProcess,
        Action::Errno,
        Action::Log,
        Action::Allow,
    ];
    for outer in on_names {
        for inner in on_names {
            let name = format!("narrowing::names_{}_then_{}", outer.name(), inner.name());
            tests.push(Test::new(name.replace('-', "_"), move || {
                name_pair(outer, inner)
            }));
        }
    }
    tests.extend(tests!("narrowing";
        law_1_narrow_only_allow_all_on_top_changes_nothing, law_1_narrow_only_three_layers_meet, law_1_narrow_only_random_stacks,
        law_1_narrow_only_unknown_action_stays_a_kill, law_1_narrow_only_every_event_by_itself, child_narrows_itself_only, parent_narrows_itself_only,
        the_same_filter_twice, newest_of_equals_gives_the_errno, order_of_layers_does_not_change_what_is_refused,
        law_4_not_removable_closing_the_filter_keeps_the_layer, law_4_not_removable_by_exec, law_4_not_removable_by_ending_other_threads,
        law_4_not_removable_by_any_prctl, law_4_not_removable_by_becoming_root_again,
    ));
    tests
}

fn law_1_narrow_only_allow_all_on_top_changes_nothing() {
    attach(&deny_name(NAME.as_bytes()));
    attach(&syscalls(on_nr(SYS_getuid, errno(ODD))));
    for _ in 0..20 {
        attach(&crate::program::image(&[
            crate::program::Part::syscall(vec![ret(ALLOW)]),
            Names::new().or_else(ALLOW),
        ]));
        assert_eq!(open(NAME), Err(ODD));
        assert_eq!(sys!(SYS_getuid), Err(ODD));
    }
}

fn law_1_narrow_only_three_layers_meet() {
    let programs = [
        on_nr(SYS_getuid, verdict(Action::Log, 0)),
        on_nr(SYS_getuid, verdict(Action::Errno, 1)),
        vec![ret(ALLOW)],
        on_nr(libc::SYS_getgid, verdict(Action::Errno, 2)),
    ];
    let seen = same(&programs, |board| {
        board.ret(sys!(SYS_getuid));
        board.ret(sys!(libc::SYS_getgid));
        board.ret(sys!(libc::SYS_getppid).map(|_| 0));
    });
    assert_eq!(seen.well(), [-61, -62, 0]);
}

/// Random stacks of random verdicts on four calls: the kernel's answer is the meet, computed here layer by layer.
fn law_1_narrow_only_random_stacks() {
    const CALLS: [i64; 4] = [
        SYS_getuid,
        libc::SYS_getgid,
        libc::SYS_geteuid,
        libc::SYS_getegid,
    ];
    const CHOICE: [Action; 5] = [
        Action::Errno,
        Action::Trace,
        Action::Notify,
        Action::Log,
        Action::Allow,
    ];
    // A linear congruential generator with a fixed seed: the same stacks in each run.
    let mut state = 0x5eed_u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    for round in 0..40 {
        let layers: Vec<[u32; 4]> = (0..1 + random(8))
            .map(|_| {
                std::array::from_fn(|_| verdict(CHOICE[random(CHOICE.len())], random(30) as u16))
            })
            .collect();
        let mut expected = [Verdict::ALLOW; 4];
        let mut answers = Vec::new();
        let seen = run(|board| {
            for layer in &layers {
                let rules: Vec<(i64, u32)> = CALLS.into_iter().zip(*layer).collect();
                attach(&syscalls(crate::program::on_nrs(&rules)));
                for call in CALLS {
                    board.ret(sys!(call));
                }
            }
        });
        for layer in &layers {
            for (expected, raw) in expected.iter_mut().zip(layer) {
                *expected = Verdict::meet(Verdict::from_raw(*raw), *expected);
                answers.push(match expected.action() {
                    Action::Errno => -i64::from(expected.errno_value()),
                    Action::Trace | Action::Notify => -i64::from(libc::ENOSYS),
                    _ => 0,
                });
            }
        }
        assert_eq!(seen.well(), answers, "round {round}: {layers:x?}");
    }
}

/// seccomp lets a newer errno replace an older unknown action, which is a kill. Here the kill stays.
fn law_1_narrow_only_unknown_action_stays_a_kill() {
    for unknown in [0x7fb0_0000, 0x0006_0000, 0x7ffd_0000] {
        for inner in [errno(1), ALLOW, 0x0003_0000] {
            let seen = run(|board| {
                attach(&syscalls(on_nr(SYS_getuid, unknown)));
                attach(&syscalls(on_nr(SYS_getuid, inner)));
                catch_sigsys();
                board.ret(sys!(SYS_getuid));
            });
            assert_eq!(
                (seen.end, seen.values),
                (End::Signal(SIGSYS, false), vec![]),
                "{unknown:#x} {inner:#x}"
            );
        }
    }
}

fn law_1_narrow_only_every_event_by_itself() {
    attach(&deny_name(NAME.as_bytes()));
    attach(&syscalls(on_nr(SYS_getuid, errno(ODD))));
    assert_eq!((open(NAME), sys!(SYS_getuid)), (Err(ODD), Err(ODD)));
    assert_eq!(open("/evf-absent/x"), Err(libc::ENOENT));
    assert_eq!(sys!(libc::SYS_getgid), Ok(0));
}

fn child_narrows_itself_only() {
    attach(&deny_name(b"/evf-absent/outer"));
    let seen = run(|board| {
        attach(&deny_name(b"/evf-absent/inner"));
        board.put(i64::from(layers()));
        board.ret(open("/evf-absent/inner"));
        board.ret(open("/evf-absent/outer"));
    });
    assert_eq!(seen.well(), [2, -76, -76]);
    assert_eq!(layers(), 1);
    assert_eq!(open("/evf-absent/inner"), Err(libc::ENOENT));
    assert_eq!(open("/evf-absent/outer"), Err(ODD));
}

/// What a parent attaches after the fork is the parent's own.
fn parent_narrows_itself_only() {
    attach(&deny_name(b"/evf-absent/outer"));
    let (mine, theirs) = crate::sys::message::pair();
    let child = crate::sys::child::start(|board| {
        let _ = sys!(libc::SYS_read, &theirs, [0u8; 1].as_mut_ptr(), 1);
        board.ret(open("/evf-absent/late"));
        board.ret(open("/evf-absent/outer"));
    });
    attach(&deny_name(b"/evf-absent/late"));
    assert_eq!(sys!(libc::SYS_write, &mine, c"x", 1), Ok(1));
    assert_eq!(child.wait().well(), [-i64::from(libc::ENOENT), -76]);
    assert_eq!(open("/evf-absent/late"), Err(ODD));
}

fn the_same_filter_twice() {
    no_new_privs();
    let filter = load(&deny_name(NAME.as_bytes()));
    for count in 1..=3 {
        restrict(&filter);
        assert_eq!(layers(), count);
        assert_eq!(open(NAME), Err(ODD));
    }
}

fn newest_of_equals_gives_the_errno() {
    for number in [60, 61, 62, 61] {
        attach(
            &Names::new()
                .equal(NAME.as_bytes(), errno(number))
                .or_allow(),
        );
        attach(&syscalls(on_nr(SYS_getuid, errno(number))));
        assert_eq!((open(NAME), sys!(SYS_getuid)), (Err(number), Err(number)));
    }
}

fn order_of_layers_does_not_change_what_is_refused() {
    let images = [
        deny_name(b"/evf-absent/a"),
        Names::new().prefix(b"/evf-absent/b", errno(ODD)).or_allow(),
        Names::new().suffix(b"c", errno(ODD)).or_allow(),
    ];
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let seen = run(|board| {
            for at in order {
                attach(&images[at]);
            }
            for name in [
                "/evf-absent/a",
                "/evf-absent/bx",
                "/evf-absent/xc",
                "/evf-absent/d",
            ] {
                board.ret(open(name));
            }
        });
        assert_eq!(seen.well(), [-76, -76, -76, -2], "{order:?}");
    }
}

fn law_4_not_removable_closing_the_filter_keeps_the_layer() {
    no_new_privs();
    let filter = load(&deny_name(NAME.as_bytes()));
    restrict(&filter);
    drop(filter);
    // Everything that is still open goes too.
    assert_eq!(sys!(libc::SYS_close_range, 3, u32::MAX, 0), Ok(0));
    assert_eq!(open(NAME), Err(ODD));
    assert_eq!(layers(), 1);
}

/// The new program is this one again, listing its tests: every one of its opens is judged.
fn law_4_not_removable_by_exec() {
    let me = std::env::current_exe().expect("current_exe");
    attach(&deny_name(NAME.as_bytes()));
    let status = std::process::Command::new(me)
        .arg("--help")
        .stdout(std::process::Stdio::null())
        .status();
    assert!(status.expect("exec").success());
    let status = std::process::Command::new("/bin/busybox")
        .args(["cat", NAME])
        .output()
        .expect("exec");
    let message = String::from_utf8_lossy(&status.stderr).into_owned();
    assert!(
        message.contains("not unique"),
        "ENOTUNIQ was expected: {message}"
    );
}

fn law_4_not_removable_by_ending_other_threads() {
    let seen = ask(|| {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                attach(&deny_name(NAME.as_bytes()));
                open(NAME)
            });
            thread.join().unwrap_or(Ok(0))
        })
    });
    assert_eq!(seen, Err(ODD));
}

/// No other operation of our option, and none of the kernel's, takes a layer away.
fn law_4_not_removable_by_any_prctl() {
    attach(&deny_name(NAME.as_bytes()));
    for operation in (0..64u64).filter(|operation| *operation != uapi::control::PR_EVFILTER_OPEN) {
        let result = sys!(
            libc::SYS_prctl,
            uapi::control::PR_EVFILTER,
            operation,
            0,
            0,
            0
        );
        assert_eq!(result, Err(libc::EINVAL), "operation {operation}");
    }
    // PR_SET_NO_NEW_PRIVS cannot be unset, PR_SET_SECCOMP cannot go back to disabled.
    assert_eq!(
        sys!(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0),
        Err(libc::EINVAL)
    );
    assert_eq!(
        sys!(libc::SYS_prctl, libc::PR_SET_SECCOMP, 0, 0, 0, 0),
        Err(libc::EINVAL)
    );
    let control = crate::kernel::control();
    for request in (0xEF00u32..0xEF40).filter(|request| !(0xEF00..0xEF03).contains(request)) {
        let result = sys!(libc::SYS_ioctl, &control, request, 0);
        assert_eq!(result, Err(libc::ENOTTY), "request {request:#x}");
    }
    assert_eq!((layers(), open(NAME)), (1, Err(ODD)));
}

/// Root inside is root under the layer.
fn law_4_not_removable_by_becoming_root_again() {
    attach(&deny_name(NAME.as_bytes()));
    assert_eq!(sys!(libc::SYS_setresuid, 1000, 0, 0), Ok(0));
    assert_eq!(sys!(libc::SYS_setresuid, 0, 0, 0), Ok(0));
    assert_eq!(
        (sys!(SYS_getuid), layers(), open(NAME)),
        (Ok(0), 1, Err(ODD))
    );
    let insns: Vec<Insn> = on_nr(SYS_getuid, KILL);
    assert!(crate::kernel::try_load(&syscalls(insns)).is_ok());
}

// SPDX-License-Identifier: GPL-2.0
//! Layers that decide alike are asked once: the verdict is theirs, and they count all the same.

use libc::{SYS_geteuid, SYS_getuid};
use uapi::control::LOAD_INTERPRETED;

use super::{KINDS, NATIVE};
use crate::harness::{Test, tests};
use crate::kernel::{info, layers, load_with, restrict};
use crate::kmsg::Log;
use crate::program::{ALLOW, errno, load as word, on_nr, ret, syscalls, unless_equal_skip};
use crate::sys::child::{Board, run};
use crate::sys::{Ret, getpid, ia32, no_new_privs, open, sys};

pub(super) fn tests() -> Vec<Test> {
    tests!("native";
        one_filter_pushed_16_times, one_image_loaded_16_times, equal_layers_between_others, layers_that_differ_in_the_root_are_both_asked,
        layer_number_in_the_log_is_the_newest_of_equal_ones, equal_names_judged_once,
    )
}

const TIMES: usize = 16;

/// geteuid with this first argument gets this errno.
pub(super) fn on_argument(argument: u32, number: i32) -> Vec<u8> {
    syscalls(vec![
        word(0),
        unless_equal_skip(SYS_geteuid as u32, 3),
        word(16),
        unless_equal_skip(argument, 1),
        ret(errno(number)),
        ret(ALLOW),
    ])
}

fn geteuid(board: &Board, argument: u64) {
    board.ret(sys!(SYS_geteuid, argument));
}

fn one_filter_pushed_16_times() {
    for flags in KINDS {
        let filter = load_with(flags, &on_argument(7, 70));
        no_new_privs();
        let seen = run(|board| {
            for _ in 0..TIMES {
                restrict(&filter);
            }
            geteuid(board, 7);
            geteuid(board, 8);
            board.put(i64::from(layers()));
            board.put(i64::from(info().native_layers));
        });
        let native = if flags == NATIVE { TIMES as i64 } else { 0 };
        assert_eq!(seen.well(), [-70, 0, TIMES as i64, native]);
    }
}

/// The same bytes, loaded anew for each layer, compiled and interpreted by turns.
fn one_image_loaded_16_times() {
    no_new_privs();
    let seen = run(|board| {
        for at in 0..TIMES {
            restrict(&load_with(KINDS[at % 2], &on_argument(7, 70)));
            geteuid(board, 7);
            geteuid(board, 8);
        }
        board.put(i64::from(layers()));
        board.put(i64::from(info().native_layers));
    });
    let mut expected = [-70, 0].repeat(TIMES);
    expected.extend([TIMES as i64, TIMES as i64 / 2]);
    assert_eq!(seen.well(), expected);
}

/// Equal layers with another one below, between and on top: all three are asked, and the newest of two errnos is seen.
fn equal_layers_between_others() {
    for flags in KINDS {
        no_new_privs();
        let seen = run(|board| {
            for image in [
                on_argument(1, 71),
                on_argument(7, 70),
                on_argument(2, 72),
                on_argument(7, 70),
                on_argument(7, 73),
                on_argument(7, 70),
                on_argument(3, 74),
            ] {
                restrict(&load_with(flags, &image));
            }
            for argument in 0..8 {
                geteuid(board, argument);
            }
        });
        let values = seen.well();
        assert_eq!(values[..7], [0, -71, -72, -74, 0, 0, 0]);
        assert_eq!(values[7], -70, "the newest of two errnos is seen");
    }
}

/// Two filters of one image, pushed from two roots: a path that one of them finds is another path for the other one.
fn layers_that_differ_in_the_root_are_both_asked() {
    let dir = "/tmp/evf-native-roots";
    let _ = std::fs::remove_dir_all(dir);
    for sub in ["in/in", "in/tmp/evf-native-roots/in"] {
        std::fs::create_dir_all(format!("{dir}/{sub}")).expect("mkdir");
    }
    for file in ["in/f", "in/in/f", "in/g", "in/tmp/evf-native-roots/in/f"] {
        std::fs::write(format!("{dir}/{file}"), "x").expect("write");
    }
    // Seen from outside it is in/f; seen from inside, the file of that whole path below the new root.
    let text = format!("on vfs.pick {{ deny ENOTUNIQ path == \"{dir}/in/f\"; default allow }}");
    let policy = evfilter::Policy::parse(&text).unwrap_or_else(|error| panic!("{error}"));
    let read = |name| -> Ret { open(name, libc::O_RDONLY).map(|_| 0) };
    no_new_privs();
    for flags in KINDS {
        let filter = load_with(flags, policy.image());
        for again in [false, true] {
            let seen = run(|board| {
                restrict(&filter);
                assert_eq!(sys!(libc::SYS_chroot, c"/tmp/evf-native-roots/in"), Ok(0));
                assert_eq!(sys!(libc::SYS_chdir, c"/"), Ok(0));
                board.ret(read(c"/tmp/evf-native-roots/in/f"));
                if again {
                    restrict(&load_with(flags, policy.image()));
                } else {
                    restrict(&filter);
                }
                board.ret(read(c"/f"));
                board.ret(read(c"/tmp/evf-native-roots/in/f"));
                board.ret(read(c"/g"));
                board.ret(read(c"/in/f"));
                board.put(i64::from(layers()));
            });
            assert_eq!(seen.well(), [0, -76, -76, 0, 0, 2]);
        }
    }
}

/// A verdict to log names the layer, counted from the oldest; between equals the newest wins, and it logs once.
fn layer_number_in_the_log_is_the_newest_of_equal_ones() {
    use filters::verdict::Verdict;
    let logging = syscalls(on_nr(SYS_getuid, Verdict::LOG.raw()));
    no_new_privs();
    let log = Log::follow();
    for flags in KINDS {
        let seen = run(|board| {
            restrict(&load_with(flags, &on_argument(1, 71)));
            for _ in 0..3 {
                restrict(&load_with(flags, &logging));
            }
            board.ret(sys!(SYS_getuid));
            board.put(i64::from(getpid()));
        });
        let values = seen.well();
        assert_eq!(values[0], 0);
        let pid = format!("pid={} ", values[1]);
        let lines = log.lines();
        let own: Vec<&String> = lines
            .iter()
            .filter(|line| line.contains("evfilter: log") && line.contains(&pid))
            .collect();
        assert_eq!(own.len(), 1, "one call, one line: {lines:?}");
        let layer = own[0]
            .split("layer=")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        let layer: u32 = layer.and_then(|text| text.parse().ok()).unwrap_or(u32::MAX);
        assert_eq!(layer, 3, "{own:?}");
    }
}

/// Events with strings: the same layers, asked about names on both entries.
fn equal_names_judged_once() {
    no_new_privs();
    let image = crate::program::deny_name(b"/evf-absent/equal");
    let other = crate::program::deny_name(b"/evf-absent/other");
    for flags in [
        [NATIVE; 4],
        [LOAD_INTERPRETED; 4],
        [NATIVE, LOAD_INTERPRETED, NATIVE, NATIVE],
    ] {
        let seen = run(|board| {
            for (flags, image) in flags.into_iter().zip([&image, &image, &other, &image]) {
                restrict(&load_with(flags, image));
            }
            for name in [
                c"/evf-absent/equal",
                c"/evf-absent/other",
                c"/evf-absent/third",
            ] {
                board.ret(crate::sys::try_open(name));
            }
            let mut low = crate::sys::memory::Low::new();
            let name = low.text(b"/evf-absent/equal");
            if ia32::call(20, [0; 6]).is_ok() {
                board.ret(ia32::call(5, [name, 0, 0, 0, 0, 0]));
            }
        });
        let values = seen.well();
        assert_eq!(values[..3], [-76, -76, -i64::from(libc::ENOENT)]);
        assert!(values[3..].iter().all(|value| *value == -76), "{values:?}");
    }
}

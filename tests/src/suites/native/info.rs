// SPDX-License-Identifier: GPL-2.0
//! What INFO says of machine code, and the kernel's switches for its compiler.

use libc::{ENOENT, SYS_geteuid, SYS_getuid};
use uapi::control::{LOAD_INTERPRETED, RESTRICT_STRICT};

use super::{NATIVE, attach_with};
use crate::harness::{Test, skip, tests};
use crate::kernel::{attach, info, load, restrict, restrict_with};
use crate::program::{
    ALLOW, KILL, Names, ODD, Part, allow_all, deny_name, errno, image, load as word, ret,
    unless_equal_skip,
};
use crate::sys::child::{Board, run};
use crate::sys::{ia32, no_new_privs, sys, try_open};

pub(super) fn tests() -> Vec<Test> {
    tests!("native";
        info_counts_compiled_layers, info_counts_layers_of_every_event, strict_filter_is_compiled, without_the_compiler_the_interpreter_serves,
        filters_keep_the_form_in_which_they_were_loaded, blinded_constants_decide_the_same,
    )
}

/// `net.core.bpf_jit_enable`, and `bpf_jit_harden`, which hides constants of programs from unprivileged loaders (1) or all (2).
const ENABLE: &str = "/proc/sys/net/core/bpf_jit_enable";
const HARDEN: &str = "/proc/sys/net/core/bpf_jit_harden";

/// A setting of the kernel that is what it was before when this goes.
struct Setting {
    path: &'static str,
    before: String,
}

impl Setting {
    /// Skips the test where the kernel does not let it be changed.
    fn set(path: &'static str, value: &str) -> Setting {
        let before = std::fs::read_to_string(path).unwrap_or_default();
        let setting = Setting { path, before };
        if setting.before.is_empty() || std::fs::write(path, value).is_err() {
            skip(&format!("this kernel has no switch {path}"));
        }
        setting
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        let restored = std::fs::write(self.path, &self.before);
        // Not a panic: the test's own may be under way.
        if restored.is_err() {
            println!("{} could not be restored", self.path);
            crate::sys::child::exit(1);
        }
    }
}

fn counted() -> (u32, u32) {
    let info = info();
    (info.layers, info.native_layers)
}

fn info_counts_compiled_layers() {
    assert_eq!((info().native, counted()), (1, (0, 0)));
    attach(&allow_all());
    assert_eq!(counted(), (1, 1));
    attach_with(LOAD_INTERPRETED, &deny_name(b"/evf-absent/x"));
    assert_eq!(counted(), (2, 1));
    attach_with(NATIVE, &deny_name(b"/evf-absent/y"));
    assert_eq!(counted(), (3, 2));
    // A child and a thread have what they inherited.
    let seen = run(|board| {
        let (layers, native) = counted();
        board.put(i64::from(layers));
        board.put(i64::from(native));
    });
    assert_eq!(seen.well(), [3, 2]);
    assert_eq!(std::thread::spawn(counted).join().ok(), Some((3, 2)));
    // It says how filters are compiled now, not what is on the caller.
    assert_eq!(info().native, 1);
}

/// One program of a filter for each event, with strings where it has any.
fn info_counts_layers_of_every_event() {
    use filters::event::Event;
    for event in Event::ALL {
        let policy = evfilter::Policy::parse(match event {
            Event::SyscallEnter => "on syscall.enter { deny ENOTUNIQ getuid; default allow }",
            Event::VfsGetname => "on vfs.getname { deny EACCES path under \"/x\"; default allow }",
            Event::VfsPick => "on vfs.pick { deny EACCES path matches \"/x/*\"; default allow }",
            Event::VfsWalk => "on vfs.walk { deny EACCES path == \"/x\"; default allow }",
            Event::FdReceive => "on fd.receive { deny EACCES path == \"/x\"; default allow }",
        });
        let policy = policy.unwrap_or_else(|error| panic!("{error}"));
        let seen = run(|board| {
            attach(policy.image());
            board.put(i64::from(counted().1));
        });
        assert_eq!(seen.well(), [1], "{event:?}");
    }
}

fn strict_filter_is_compiled() {
    let seen = run(|board| {
        no_new_privs();
        let (done, _) = restrict_with(uapi::control::RESTRICT_AT_EXEC | RESTRICT_STRICT, -1);
        board.ret(done);
        board.put(i64::from(info().native));
    });
    assert_eq!(seen.well(), [0, 1]);
}

/// A policy of many kinds of rules: numbers, arguments with constants that a hardened compiler hides, names.
fn policy() -> Vec<u8> {
    let calls = vec![
        word(0),
        unless_equal_skip(SYS_getuid as u32, 1),
        ret(errno(70)),
        unless_equal_skip(SYS_geteuid as u32, 5),
        word(16),
        unless_equal_skip(0x1234_5678, 1),
        ret(errno(71)),
        unless_equal_skip(0xfeed_beef, 1),
        ret(errno(72)),
        ret(ALLOW),
    ];
    let names = Names::new()
        .equal(b"/evf-absent/equal", errno(ODD))
        .under(b"/evf-absent/under", errno(73))
        .suffix(b".env", errno(74))
        .contains(b"/../", errno(75));
    image(&[Part::syscall(calls), names.or_else(ALLOW)])
}

/// What [`policy`] and a second layer say, and what INFO says.
fn judged(board: &Board) {
    board.ret(sys!(SYS_getuid));
    for argument in [0x1234_5678u64, 0xfeed_beef, 0x1234_5679] {
        board.ret(sys!(SYS_geteuid, argument));
    }
    for name in [
        c"/evf-absent/equal",
        c"/evf-absent/under/x",
        c"/evf-absent/.env",
        c"/evf-absent/../evf-absent",
        c"/evf-absent/x",
    ] {
        board.ret(try_open(name));
    }
    board.ret(ia32::call(20, [0; 6]).map(|_| 0));
    let (layers, native) = counted();
    board.put(i64::from(layers));
    board.put(i64::from(native));
}

const JUDGED: [i64; 10] = [-70, -71, -72, 0, -76, -73, -74, -75, -(ENOENT as i64), 0];

#[track_caller]
fn judges_as_it_should(what: &str, native_layers: i64) {
    let mut expected = JUDGED.to_vec();
    if ia32::call(20, [0; 6]).is_err() {
        expected[9] = -i64::from(libc::ENOSYS);
    }
    expected.extend([2, native_layers]);
    let seen = run(|board| {
        attach(&policy());
        attach(&second_layer());
        judged(board);
    });
    assert_eq!(seen.well(), expected, "{what}");
}

/// Something that depends on arguments, so that both layers are asked.
fn second_layer() -> Vec<u8> {
    crate::program::syscalls(vec![
        word(16),
        unless_equal_skip(0x0bad_cafe, 1),
        ret(KILL),
        ret(ALLOW),
    ])
}

fn without_the_compiler_the_interpreter_serves() {
    judges_as_it_should("before", 2);
    {
        let _off = Setting::set(ENABLE, "0");
        assert_eq!(info().native, 0);
        judges_as_it_should("without the compiler", 0);
    }
    assert_eq!(info().native, 1);
    judges_as_it_should("afterwards", 2);
}

/// A filter that was loaded while the compiler was on is machine code ever after, and the other way round; both stand on one task.
fn filters_keep_the_form_in_which_they_were_loaded() {
    let early = load(&policy());
    let (off, late) = {
        let off = Setting::set(ENABLE, "0");
        (off, load(&second_layer()))
    };
    no_new_privs();
    let seen = run(|board| {
        restrict(&early);
        restrict(&late);
        judged(board);
    });
    let mut expected = JUDGED.to_vec();
    expected.extend([2, 1]);
    assert_eq!(seen.well(), expected);
    drop(off);
    let seen = run(|board| {
        restrict(&late);
        restrict(&early);
        judged(board);
    });
    assert_eq!(seen.well(), expected);
}

fn blinded_constants_decide_the_same() {
    let _hardened = Setting::set(HARDEN, "2");
    assert_eq!(info().native, 1);
    judges_as_it_should("with constants hidden", 2);
}

// SPDX-License-Identifier: GPL-2.0
//! Names that the kernel makes itself or takes from something that is no path argument (`do_getname_kernel`).

use std::os::fd::OwnedFd;

use libc::{AF_UNIX, ENOENT, MS_BIND, MS_MOVE, SOCK_DGRAM, SOCK_STREAM};

use super::{ALLOWED, DENIED, Deed, check, text};
use crate::harness::{Test, skip, tests};
use crate::kernel;
use crate::program::{Names, ODD, errno, image};
use crate::sys::child::{End, run};
use crate::sys::message::Address;
use crate::sys::{Ret, own, sys};

const ROWS: &[(&str, Deed)] = &[
    ("mount_source_bind", |n| {
        sys!(libc::SYS_mount, n, c"/tmp", 0, MS_BIND, 0)
    }),
    ("mount_source_move", |n| {
        sys!(libc::SYS_mount, n, c"/tmp", 0, MS_MOVE, 0)
    }),
];

/// What a row of sockets does with an address.
type Send = fn(&Address) -> Ret;

const SOCKETS: &[(&str, Send)] = &[
    ("bind_unix", |address| {
        let (at, len) = address.parts();
        sys!(libc::SYS_bind, &socket(SOCK_STREAM)?, at, len)
    }),
    ("connect_unix", |address| {
        let (at, len) = address.parts();
        sys!(libc::SYS_connect, &socket(SOCK_STREAM)?, at, len)
    }),
    ("sendto_unix", |address| {
        let (at, len) = address.parts();
        sys!(libc::SYS_sendto, &socket(SOCK_DGRAM)?, c"x", 1, 0, at, len)
    }),
    ("sendmsg_unix", |address| {
        let (at, len) = address.parts();
        let mut message = Message::to(at, len);
        sys!(libc::SYS_sendmsg, &socket(SOCK_DGRAM)?, &raw mut message, 0)
    }),
    ("sendmmsg_unix", |address| {
        let (at, len) = address.parts();
        let mut message = Message::to(at, len);
        sys!(
            libc::SYS_sendmmsg,
            &socket(SOCK_DGRAM)?,
            &raw mut message,
            1,
            0
        )
    }),
];

/// `struct mmsghdr` without data.
#[repr(C)]
#[derive(Default)]
struct Message {
    name: u64,
    name_len: u64,
    parts: [u64; 5],
    sent: u64,
}

impl Message {
    fn to(name: u64, name_len: u64) -> Message {
        Message {
            name,
            name_len,
            ..Message::default()
        }
    }
}

fn socket(kind: i32) -> Result<OwnedFd, i32> {
    own(sys!(
        libc::SYS_socket,
        AF_UNIX,
        kind | libc::SOCK_CLOEXEC,
        0
    ))
}

pub(super) fn tests() -> Vec<Test> {
    let mut tests: Vec<Test> = ROWS
        .iter()
        .map(|(name, deed)| {
            Test::new(format!("getname::{name}"), || {
                check(Some(ENOENT), ALLOWED, DENIED, |name| {
                    deed(text(name).as_ptr() as u64)
                });
            })
        })
        .collect();
    tests.extend(SOCKETS.iter().map(|(name, deed)| {
        Test::new(format!("getname::{name}"), || {
            check(Some(ENOENT), ALLOWED, DENIED, |name| {
                deed(&Address::new(name.as_bytes()))
            });
        })
    }));
    tests.extend(tests!("getname";
        script_interpreter, script_interpreter_of_interpreter, elf_interpreter, core_file, uprobe_of_perf, uprobe_of_tracefs,
        abstract_sockets_have_no_name, unix_socket_without_terminator, kernel_made_names_have_origin_kernel,
    ));
    tests
}

/// Writes an executable file and tries to execute it in the calling process, which goes on if it cannot.
fn execute(file: &str, content: &[u8]) -> Ret {
    std::fs::write(file, content).expect("write");
    let path = text(file);
    assert_eq!(sys!(libc::SYS_chmod, &*path, 0o755), Ok(0));
    let argv = [path.as_ptr() as u64, 0];
    sys!(libc::SYS_execve, &*path, argv.as_ptr(), argv[1..].as_ptr())
}

fn script_interpreter() {
    check(Some(ENOENT), ALLOWED, DENIED, |name| {
        execute("/tmp/evf-script", format!("#!{name} -x\n").as_bytes())
    });
}

/// The interpreter is a script itself: its own interpreter is named one step later.
fn script_interpreter_of_interpreter() {
    check(Some(ENOENT), ALLOWED, DENIED, |name| {
        std::fs::write("/tmp/evf-inner", format!("#!{name}\n")).expect("write");
        assert_eq!(sys!(libc::SYS_chmod, c"/tmp/evf-inner", 0o755), Ok(0));
        execute("/tmp/evf-outer", b"#!/tmp/evf-inner\n")
    });
}

/// The smallest ELF file that asks for an interpreter.
fn elf_with_interpreter(name: &str) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // ET_DYN, x86-64, version, entry, program headers at 64, none of sections, flags, sizes, two headers.
    file.extend([3u8, 0, 62, 0, 1, 0, 0, 0]);
    file.extend(0u64.to_le_bytes());
    file.extend(64u64.to_le_bytes());
    file.extend(0u64.to_le_bytes());
    file.extend(0u32.to_le_bytes());
    file.extend([64u8, 0, 56, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
    let length = name.len() as u64 + 1;
    let at = 64 + 2 * 56u64;
    for (kind, offset, size) in [(3u32, at, length), (1, 0, at + length)] {
        file.extend(kind.to_le_bytes());
        file.extend(5u32.to_le_bytes());
        for word in [offset, offset, offset, size, size, 4096] {
            file.extend(word.to_le_bytes());
        }
    }
    file.extend(name.as_bytes());
    file.push(0);
    file
}

fn elf_interpreter() {
    check(Some(ENOENT), ALLOWED, DENIED, |name| {
        execute("/tmp/evf-elf", &elf_with_interpreter(name))
    });
}

/// A core file is opened by the kernel, in the task that dies: a policy that does not let its name through keeps the disk clean.
fn core_file() {
    let crash = |layer: Option<&[u8]>| {
        let _ = std::fs::remove_file("/tmp/evf-core");
        let seen = run(|_| {
            let limit = [1u64 << 30, 1 << 30];
            assert_eq!(
                sys!(libc::SYS_prlimit64, 0, libc::RLIMIT_CORE, limit.as_ptr(), 0),
                Ok(0)
            );
            if let Some(image) = layer {
                kernel::attach(image);
            }
            let _ = sys!(libc::SYS_kill, crate::sys::getpid(), libc::SIGQUIT);
        });
        (seen.end, std::fs::metadata("/tmp/evf-core").is_ok())
    };
    let pattern = "/proc/sys/kernel/core_pattern";
    let before = std::fs::read(pattern).expect("core_pattern");
    std::fs::write(pattern, "/tmp/evf-core").expect("core_pattern");
    let uses_pid = "/proc/sys/kernel/core_uses_pid";
    std::fs::write(uses_pid, "0").expect("core_uses_pid");
    let free = crash(None);
    let other = crash(Some(&crate::program::deny_name(b"/tmp/evf-other")));
    let refused = crash(Some(&crate::program::deny_name(b"/tmp/evf-core")));
    std::fs::write(pattern, before).expect("core_pattern");
    assert_eq!(
        free,
        (End::Signal(libc::SIGQUIT, true), true),
        "without a layer"
    );
    assert_eq!(
        other,
        (End::Signal(libc::SIGQUIT, true), true),
        "another name refused"
    );
    assert!(!refused.1, "the core file was written against the policy");
    assert!(
        matches!(refused.0, End::Signal(libc::SIGQUIT, _)),
        "{refused:?}"
    );
}

/// `perf_event_open` of a uprobe names the file to probe.
fn uprobe_of_perf() {
    let Ok(kind) = std::fs::read_to_string("/sys/bus/event_source/devices/uprobe/type") else {
        skip("this kernel has no uprobe events");
    };
    let kind: u32 = kind.trim().parse().expect("type of uprobe");
    check(Some(ENOENT), ALLOWED, DENIED, |name| {
        let name = text(name);
        let mut attr = [0u64; 16];
        attr[0] = u64::from(kind) | 128 << 32;
        // config1: the path; config2: the offset.
        attr[7] = name.as_ptr() as u64;
        attr[8] = 16;
        own(sys!(libc::SYS_perf_event_open, attr.as_ptr(), 0, -1, -1, 0)).map(|_| 0)
    });
}

/// A uprobe written to tracefs names the file to probe.
fn uprobe_of_tracefs() {
    let _ = std::fs::create_dir("/tmp/evf-tracefs");
    let mounted = sys!(
        libc::SYS_mount,
        c"none",
        c"/tmp/evf-tracefs",
        c"tracefs",
        0,
        0
    );
    if mounted.is_err() {
        skip("this kernel has no tracefs");
    }
    let file = crate::sys::open(
        c"/tmp/evf-tracefs/uprobe_events",
        libc::O_WRONLY | libc::O_APPEND,
    );
    let _ = sys!(libc::SYS_umount2, c"/tmp/evf-tracefs", libc::MNT_DETACH);
    let Ok(file) = file else {
        skip("this kernel has no uprobe_events");
    };
    check(Some(ENOENT), ALLOWED, DENIED, |name| {
        let line = format!("p:evf/probe {name}:0x10\n");
        sys!(libc::SYS_write, &file, line.as_bytes(), line.len())
    });
}

/// An abstract address is no path: it never becomes a name.
fn abstract_sockets_have_no_name() {
    kernel::attach(&image(&[Names::new().or_else(errno(ODD))]));
    let server = socket(SOCK_STREAM).expect("socket");
    let address = Address::new(b"\0evf-abstract");
    let (at, len) = address.parts();
    assert_eq!(sys!(libc::SYS_bind, &server, at, len), Ok(0));
    assert_eq!(sys!(libc::SYS_listen, &server, 1), Ok(0));
    let client = socket(SOCK_STREAM).expect("socket");
    assert_eq!(sys!(libc::SYS_connect, &client, at, len), Ok(0));
}

/// A path may fill `sun_path` to its last byte, without a NUL: judged is what the kernel completes it to.
fn unix_socket_without_terminator() {
    let name = |last: char| format!("/evf-absent/{}{last}", "s".repeat(108 - 13));
    assert_eq!(name('a').len(), 108);
    check(Some(ENOENT), &name('a'), &name('b'), |name| {
        let address = Address::new(name.as_bytes());
        let (at, _) = address.parts();
        sys!(libc::SYS_connect, &socket(SOCK_STREAM)?, at, 110)
    });
}

/// `origin` is 1 for all of these and 0 for a path argument.
fn kernel_made_names_have_origin_kernel() {
    let kernel_only = Names::new().word(64, 1, errno(ODD)).or_allow();
    kernel::attach(&kernel_only);
    let name = text(ALLOWED);
    assert_eq!(crate::sys::try_open(&name), Err(ENOENT));
    let (at, len) = (Address::new(ALLOWED.as_bytes()), 110);
    assert_eq!(
        sys!(
            libc::SYS_connect,
            &socket(SOCK_STREAM).expect("socket"),
            at.parts().0,
            len
        ),
        Err(ODD)
    );
    assert_eq!(
        execute("/tmp/evf-origin", format!("#!{ALLOWED}\n").as_bytes()),
        Err(ODD)
    );
    kernel::attach(&Names::new().word(64, 0, errno(libc::EBADMSG)).or_allow());
    assert_eq!(crate::sys::try_open(&name), Err(libc::EBADMSG));
}

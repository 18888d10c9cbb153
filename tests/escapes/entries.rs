// SPDX-License-Identifier: GPL-2.0
//! Other ways into the kernel: the 32-bit entry, and numbers of x32.

use libc::O_RDONLY;

use super::case::{Case, Loot, Proof, cannot};
use super::deeds::{SECRET, done, open, read};
use super::stage::Stage;
use crate::sys::ia32::call;
use crate::sys::memory::Low;
use crate::sys::{Ret, own, sys};

const CLASS: &str = "entries";
const INT80: &str = "int 0x80 from 64-bit code; CVE-2009-0835 (seccomp), Vieira-Kurtz 2016";
/// `AT_FDCWD` in 32 bits.
const CWD32: u32 = libc::AT_FDCWD as u32;
const TRIES: &str = "makes the call through the 32-bit entry, whose numbers mean other calls";

/// A call through `int 0x80` that gets the name of the secret file.
fn int80(name: &'static str, proof: Proof, leaf: &'static str, attack: fn(u32) -> Ret) -> Case {
    let run = move |stage: &Stage| {
        stage.confined(|| {
            let path = Low::new().text(format!("/home/secret/{leaf}").as_bytes());
            match (proof, attack(path)) {
                (_, Err(errno)) => Err(errno.into()),
                (Proof::Content, Ok(fd)) => read(&own(Ok(fd))?),
                (_, Ok(_)) => Ok(Loot::Done),
            }
        })
    };
    Case::new(CLASS, name, INT80, TRIES, proof, run)
}

/// All of the class.
pub(super) fn cases() -> Vec<Case> {
    let changes = |name, leaf, attack| int80(name, Proof::Changed, leaf, attack);
    vec![
        int80("i386_open", Proof::Content, "flag", |name| {
            call(5, [name, O_RDONLY as u32, 0, 0, 0, 0])
        }),
        int80("i386_openat", Proof::Content, "flag", |name| {
            call(295, [CWD32, name, O_RDONLY as u32, 0, 0, 0])
        }),
        int80("i386_openat2", Proof::Content, "flag", |name| {
            let how = Low::new().put(&[0; 24]);
            call(437, [CWD32, name, how, 24, 0, 0])
        }),
        int80("i386_access", Proof::Told, "only", |name| {
            call(33, [name, 0, 0, 0, 0, 0])
        }),
        changes("i386_creat", "victim", |name| {
            call(8, [name, 0o644, 0, 0, 0, 0])
        }),
        changes("i386_unlink", "victim", |name| {
            call(10, [name, 0, 0, 0, 0, 0])
        }),
        changes("i386_chmod", "victim", |name| {
            call(15, [name, 0o600, 0, 0, 0, 0])
        }),
        changes("i386_chown16", "victim", |name| {
            call(182, [name, 7, 7, 0, 0, 0])
        }),
        changes("i386_mkdir", "new", |name| {
            call(39, [name, 0o755, 0, 0, 0, 0])
        }),
        changes("i386_truncate64", "victim", |name| {
            call(193, [name, 1, 0, 0, 0, 0])
        }),
        changes("i386_utime32", "victim", |name| {
            let times = Low::new().put(&[1, 0, 0, 0, 1, 0, 0, 0]);
            call(30, [name, times, 0, 0, 0, 0])
        }),
        Case::new(
            CLASS,
            "i386_relative",
            INT80,
            "the same relative to a directory that was left open",
            Proof::Content,
            |stage| {
                let secret = open(SECRET, libc::O_PATH).expect("open");
                stage.confined(|| {
                    let name = Low::new().text(b"flag");
                    let number = std::os::fd::AsRawFd::as_raw_fd(&secret) as u32;
                    read(&own(call(295, [number, name, O_RDONLY as u32, 0, 0, 0]))?)
                })
            },
        )
        .past_names(),
        Case::new(
            CLASS,
            "i386_socketcall",
            INT80,
            "makes a socket outside by socketcall, whose arguments lie in memory",
            Proof::Changed,
            |stage| {
                stage.confined(|| {
                    let socket = own(sys!(libc::SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM, 0))?;
                    let mut low = Low::new();
                    let address = low.put(&[b"\x01\0".as_slice(), b"/home/secret/sock\0"].concat());
                    let number = std::os::fd::AsRawFd::as_raw_fd(&socket) as u32;
                    let words: Vec<u8> = [number, address, 20]
                        .iter()
                        .flat_map(|word| word.to_le_bytes())
                        .collect();
                    let arguments = low.put(&words);
                    // SYS_BIND of socketcall.
                    done(call(102, [2, arguments, 0, 0, 0, 0]))
                })
            },
        ),
        Case::new(
            CLASS,
            "i386_sendmsg",
            "compat_sys_sendmsg; CVE-2014-0038",
            "sends to a socket outside through the 32-bit entry",
            Proof::Told,
            |stage| {
                let listener =
                    std::os::unix::net::UnixDatagram::bind("/home/secret/sock").expect("bind");
                listener.set_nonblocking(true).expect("O_NONBLOCK");
                let deed = stage.confined(|| {
                    let socket = own(sys!(libc::SYS_socket, libc::AF_UNIX, libc::SOCK_DGRAM, 0))?;
                    let mut low = Low::new();
                    let address = low.put(&[b"\x01\0".as_slice(), b"/home/secret/sock\0"].concat());
                    let text = low.put(b"hello");
                    let number = std::os::fd::AsRawFd::as_raw_fd(&socket) as u32;
                    // sendto of i386.
                    done(call(369, [number, text, 5, 0, address, 20]))
                });
                match listener.recv(&mut [0; 8]) {
                    Ok(_) => Ok(Loot::Done),
                    Err(error) => Err(deed
                        .err()
                        .unwrap_or(super::case::Stop::Said(error.to_string()))),
                }
            },
        ),
        Case::new(
            CLASS,
            "x32_open",
            "CVE-2014-0038; x32 numbers, 0x40000000",
            "opens by the number of x32",
            Proof::Content,
            |stage| {
                let known = sys!(0x4000_0000 + libc::SYS_getpid) != Err(libc::ENOSYS);
                if !known {
                    return cannot("this kernel has no x32");
                }
                stage.confined(|| {
                    let number = 0x4000_0000 + libc::SYS_open;
                    read(&own(sys!(number, c"/home/secret/flag", O_RDONLY, 0))?)
                })
            },
        ),
    ]
}

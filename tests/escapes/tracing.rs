// SPDX-License-Identifier: GPL-2.0
//! Freer processes: whoever can look into them or write to them is as free as they are.

use std::os::fd::AsRawFd;

use libc::{O_RDONLY, O_RDWR, PTRACE_ATTACH, PTRACE_PEEKDATA, PTRACE_SEIZE};

use super::case::{Case, Deed, Loot, Proof, Stop, said};
use super::deeds::{open, text};
use super::stage::Stage;
use crate::sys::child::{Child, nap, start};
use crate::sys::memory::{PAGE, map, write};
use crate::sys::trace::ptrace;
use crate::sys::{own, sys};

const CLASS: &str = "tracing";

/// All of the class.
pub(super) fn cases() -> Vec<Case> {
    let case = |name, reference, tries, proof, run: fn(&Stage) -> Deed| {
        Case::new(CLASS, name, reference, tries, proof, run)
    };
    vec![
        case(
            "attach",
            "ptrace(2), PTRACE_ATTACH; Yama",
            "attaches to a free process and reads its memory",
            Proof::Content,
            |stage| {
                against(stage, |free, address| {
                    ptrace(PTRACE_ATTACH, free.pid, 0, 0)?;
                    let mut status = 0i32;
                    sys!(libc::SYS_wait4, free.pid, &raw mut status, libc::__WALL, 0)?;
                    peek(free.pid, address)
                })
            },
        ),
        case(
            "seize",
            "ptrace(2), PTRACE_SEIZE",
            "seizes a free process",
            Proof::Told,
            |stage| {
                against(stage, |free, _| {
                    ptrace(PTRACE_SEIZE, free.pid, 0, 0)
                        .map(|_| Loot::Done)
                        .map_err(Stop::Errno)
                })
            },
        ),
        case(
            "process_vm_readv",
            "process_vm_readv(2)",
            "reads the memory of a free process",
            Proof::Content,
            |stage| {
                against(stage, |free, address| {
                    let mut room = vec![0u8; 64];
                    let here = [room.as_mut_ptr() as u64, 64];
                    let there = [address, 64];
                    sys!(
                        libc::SYS_process_vm_readv,
                        free.pid,
                        here.as_ptr(),
                        1,
                        there.as_ptr(),
                        1,
                        0
                    )?;
                    Ok(Loot::Bytes(room))
                })
            },
        ),
        case(
            "process_vm_writev",
            "process_vm_writev(2)",
            "writes to the memory of a free process",
            Proof::Told,
            |stage| {
                against(stage, |free, address| {
                    let here = [c"owned".as_ptr() as u64, 5];
                    let there = [address, 5];
                    sys!(
                        libc::SYS_process_vm_writev,
                        free.pid,
                        here.as_ptr(),
                        1,
                        there.as_ptr(),
                        1,
                        0
                    )?;
                    Ok(Loot::Done)
                })
            },
        ),
        case(
            "mem",
            "proc_pid_mem(5)",
            "reads the memory of a free process through procfs",
            Proof::Content,
            |stage| {
                against(stage, |free, address| {
                    let memory = open(&text(&format!("/proc/{}/mem", free.pid)), O_RDONLY)?;
                    let mut room = vec![0u8; 64];
                    sys!(libc::SYS_pread64, &memory, room.as_mut_ptr(), 64, address)?;
                    Ok(Loot::Bytes(room))
                })
            },
        ),
        case(
            "mem_for_writing",
            "proc_pid_mem(5); CVE-2012-0056 (mempodipper)",
            "opens the memory of a free process for writing",
            Proof::Told,
            |stage| {
                against(stage, |free, address| {
                    let memory = open(&text(&format!("/proc/{}/mem", free.pid)), O_RDWR)?;
                    sys!(libc::SYS_pwrite64, &memory, c"owned".as_ptr(), 5, address)?;
                    Ok(Loot::Done)
                })
            },
        ),
        case(
            "thread_of_free",
            "ptrace(2)",
            "attaches to a thread of a free process that is not its first",
            Proof::Told,
            |stage| {
                let free = start(|board| {
                    let board: &crate::sys::child::Board = board;
                    std::thread::scope(|scope| {
                        scope.spawn(|| {
                            board.ret(sys!(libc::SYS_gettid));
                            nap(60_000);
                        });
                    });
                });
                let thread = free.until(1)[0] as i32;
                stage.confined(|| {
                    ptrace(PTRACE_SEIZE, thread, 0, 0)
                        .map(|_| Loot::Done)
                        .map_err(Stop::Errno)
                })
            },
        ),
        case(
            "traced_by_itself",
            "ptrace(2), PTRACE_TRACEME",
            "is traced by a child of its own, which is as confined, and opens the file then",
            Proof::Content,
            |stage| {
                stage.confined(|| {
                    let pid = crate::sys::child::fork()?;
                    if pid == 0 {
                        let parent = sys!(libc::SYS_getppid).unwrap_or(0) as i32;
                        let _ = ptrace(PTRACE_SEIZE, parent, 0, 0);
                        nap(50);
                        crate::sys::child::exit(0)
                    }
                    crate::sys::child::wait(pid);
                    super::deeds::read_name(super::deeds::FLAG)
                })
            },
        ),
        case(
            "process_madvise",
            "process_madvise(2)",
            "gives advice about the memory of a free process",
            Proof::Told,
            |stage| {
                against(stage, |free, address| {
                    let pidfd = own(sys!(libc::SYS_pidfd_open, free.pid, 0))?;
                    let part = [address, PAGE as u64];
                    // MADV_PAGEOUT.
                    sys!(libc::SYS_process_madvise, &pidfd, part.as_ptr(), 1, 21, 0)?;
                    Ok(Loot::Done)
                })
            },
        )
        .limit(super::magic::PERFMON),
        case(
            "kcmp",
            "kcmp(2)",
            "compares what free processes have open",
            Proof::Told,
            |stage| {
                against(stage, |free, _| {
                    sys!(libc::SYS_kcmp, crate::sys::getpid(), free.pid, 1, 0, 0)?;
                    Ok(Loot::Done)
                })
            },
        ),
        case(
            "perf",
            "perf_event_open(2)",
            "counts what a free process does",
            Proof::Told,
            |stage| {
                against(stage, |free, _| {
                    // PERF_TYPE_SOFTWARE, size, PERF_COUNT_SW_CONTEXT_SWITCHES.
                    let mut attributes = [0u32; 28];
                    (attributes[0], attributes[1], attributes[2]) = (1, 112, 3);
                    own(sys!(
                        libc::SYS_perf_event_open,
                        attributes.as_ptr(),
                        free.pid,
                        -1,
                        -1,
                        8
                    ))?;
                    Ok(Loot::Done)
                })
            },
        )
        .limit(super::magic::PERFMON),
        case(
            "robust_list",
            "get_robust_list(2)",
            "asks where a free process keeps its locks",
            Proof::Told,
            |stage| {
                against(stage, |free, _| {
                    let mut room = [0u64; 2];
                    let place = room.as_mut_ptr();
                    sys!(libc::SYS_get_robust_list, free.pid, place, place)?;
                    Ok(Loot::Done)
                })
            },
        ),
        case(
            "limits",
            "prlimit(2)",
            "sets the limits of a free process",
            Proof::Told,
            |stage| {
                against(stage, |free, _| {
                    let limit = [1024u64; 2];
                    sys!(
                        libc::SYS_prlimit64,
                        free.pid,
                        libc::RLIMIT_NOFILE,
                        limit.as_ptr(),
                        0
                    )?;
                    Ok(Loot::Done)
                })
            },
        )
        .limit(super::kernel::CALLS),
        case(
            "pidfd_getfd",
            "pidfd_getfd(2)",
            "takes the end of a pipe from a free process",
            Proof::Told,
            |stage| {
                let (reader, writer) = super::stage::pipe();
                let number = reader.as_raw_fd();
                let free = start(move |board| {
                    let _kept = (&reader, &writer);
                    board.put(0);
                    nap(60_000);
                });
                free.until(1);
                stage.confined(|| {
                    let pidfd = own(sys!(libc::SYS_pidfd_open, free.pid, 0))?;
                    own(sys!(libc::SYS_pidfd_getfd, &pidfd, number, 0))?;
                    Ok(Loot::Done)
                })
            },
        ),
        case(
            "memory_shared_with_free",
            "clone(2), CLONE_VM; vfork(2)",
            "shares its memory with a free process, and rewrites a name that that one uses",
            Proof::Content,
            shared_memory,
        )
        .limit(super::received::SHARED),
    ]
}

/// Attacks a free process that has the secret in its memory.
fn against(stage: &Stage, attack: impl FnOnce(&Child, u64) -> Deed) -> Deed {
    let address = map(PAGE, libc::MAP_PRIVATE);
    let flag = stage.world.flag.clone();
    let free = start(move |board| {
        write(address, flag.as_bytes());
        board.put(0);
        nap(60_000);
    });
    free.until(1);
    stage.confined(|| attack(&free, address))
}

fn peek(pid: i32, address: u64) -> Deed {
    let mut bytes = Vec::new();
    for at in (0..64).step_by(8) {
        let mut word = [0u8; 8];
        ptrace(PTRACE_PEEKDATA, pid, address + at, word.as_mut_ptr() as u64)?;
        bytes.extend(word);
    }
    Ok(Loot::Bytes(bytes))
}

/// A page in which the attacker leaves a name, and a free process that opens what it finds there: what shared memory comes down to.
fn shared_memory(stage: &Stage) -> Deed {
    let page = map(PAGE, libc::MAP_SHARED);
    write(page, b"/home/escape/flag\0");
    let answer = page + 512;
    let free = start(move |board| {
        for _ in 0..2000 {
            let file =
                own(sys!(libc::SYS_openat, libc::AT_FDCWD, page, O_RDONLY, 0)).expect("open");
            let count = sys!(libc::SYS_read, &file, answer, 100);
            if count == Ok(100) {
                break;
            }
            nap(2);
        }
        board.put(0);
    });
    stage.confined(|| {
        write(page, b"/home/secret/flag\0");
        free.until(1);
        let (reader, writer) = super::stage::pipe();
        sys!(libc::SYS_write, &writer, answer, 100)?;
        match super::deeds::read(&reader)? {
            Loot::Bytes(bytes) if bytes.iter().all(|byte| *byte == 0) => said("nothing was read"),
            loot => Ok(loot),
        }
    })
}

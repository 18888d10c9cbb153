// SPDX-License-Identifier: GPL-2.0
//! Links of procfs that lead to objects, not to names, and what else procfs tells.

use std::os::fd::AsRawFd;

use libc::{O_DIRECTORY, O_PATH, O_RDONLY, O_WRONLY};

use super::case::{Case, Deed, Loot, Proof, said};
use super::deeds::{FLAG, SECRET, done, exec, in_proc, list, open, output_of, read_name, text};
use super::stage::Stage;
use crate::sys::child::{Child, start};
use crate::sys::memory::PAGE;
use crate::sys::sys;

const CLASS: &str = "magic";

/// What a grant of `/proc` grants.
pub(super) const PROC: &str = "A grant of `/proc` shows what procfs shows to everybody: arguments of all processes, mounts, sockets and their names; to root, `/proc/kcore` shows all memory. Grant single files of it.";

pub(super) const PERFMON: &str = "With CAP_PERFMON, a confined root may read what `/proc/PID/maps`, `environ` and their kin show of freer tasks, count their events and advise on their memory, because the kernel asks for that capability instead of the right to trace.";

/// All of the class.
pub(super) fn cases() -> Vec<Case> {
    let case = |name, reference, tries, run: fn(&Stage) -> Deed| {
        Case::new(CLASS, name, reference, tries, Proof::Content, run)
    };
    let mut all = vec![
        case(
            "fd_of_place",
            "proc_pid_fd(5); CVE-2019-5736 (runc)",
            "opens for reading, through /proc/self/fd, what it holds as a mere place (O_PATH)",
            |stage| {
                let flag = open(FLAG, O_PATH).expect("open");
                stage.confined(|| read_name(&in_proc(&flag, "")))
            },
        )
        .past_names(),
        case(
            "fd_of_directory",
            "proc_pid_fd(5); CVE-2024-21626 (runc)",
            "goes through /proc/self/fd to a directory that was left open",
            |stage| {
                let secret = open(SECRET, O_PATH | O_DIRECTORY).expect("open");
                stage.confined(|| read_name(&in_proc(&secret, "/flag")))
            },
        )
        .past_names(),
        case(
            "fd_of_thread",
            "proc_pid_task(5)",
            "the same through /proc/thread-self",
            |stage| {
                let secret = open(SECRET, O_PATH).expect("open");
                stage.confined(|| {
                    read_name(&text(&format!(
                        "/proc/thread-self/fd/{}/flag",
                        secret.as_raw_fd()
                    )))
                })
            },
        )
        .past_names(),
        case(
            "fd_by_number",
            "proc_pid_fd(5)",
            "the same through /proc/PID/fd of itself",
            |stage| {
                let secret = open(SECRET, O_PATH).expect("open");
                stage.confined(|| {
                    let pid = crate::sys::getpid();
                    read_name(&text(&format!(
                        "/proc/{pid}/fd/{}/flag",
                        secret.as_raw_fd()
                    )))
                })
            },
        )
        .past_names(),
        case(
            "cwd",
            "proc_pid_cwd(5); CVE-2024-21626 (runc)",
            "the working directory was outside when the policy came",
            |stage| {
                stage
                    .attacker(|| {
                        sys!(libc::SYS_chdir, SECRET)?;
                        stage.confine();
                        read_name(c"/proc/self/cwd/flag")
                    })
                    .finish()
            },
        )
        .past_names(),
        case(
            "root",
            "proc_pid_root(5)",
            "goes through /proc/self/root",
            |stage| stage.confined(|| read_name(c"/proc/self/root/home/secret/flag")),
        )
        .past_names(),
        case(
            "root_of_thread",
            "proc_pid_task(5)",
            "goes through /proc/self/task/TID/root",
            |stage| {
                stage.confined(|| {
                    let pid = crate::sys::getpid();
                    read_name(&text(&format!(
                        "/proc/self/task/{pid}/root/home/secret/flag"
                    )))
                })
            },
        )
        .past_names(),
        case(
            "map_files",
            "proc_pid_map_files(5)",
            "opens a file that it has mapped",
            map_files,
        )
        .past_names(),
        case(
            "root_of_free",
            "proc_pid_root(5)",
            "goes through /proc/PID/root of a free process",
            |stage| {
                of_free(stage, |pid| {
                    read_name(&text(&format!("/proc/{pid}/root/home/secret/flag")))
                })
            },
        ),
        case(
            "cwd_of_free",
            "proc_pid_cwd(5)",
            "goes through /proc/PID/cwd of a free process",
            |stage| {
                let free = free_in_secret();
                stage.confined(|| read_name(&text(&format!("/proc/{}/cwd/flag", free.pid))))
            },
        ),
        case(
            "fd_of_free",
            "proc_pid_fd(5)",
            "opens through /proc/PID/fd what a free process has open",
            |stage| {
                let flag = open(FLAG, O_RDONLY).expect("open");
                let number = flag.as_raw_fd();
                let free = start(move |board| {
                    board.put(i64::from(flag.as_raw_fd()));
                    crate::sys::child::nap(60_000);
                });
                free.until(1);
                stage.confined(|| read_name(&text(&format!("/proc/{}/fd/{number}", free.pid))))
            },
        ),
        case(
            "exe_of_free",
            "proc_pid_exe(5)",
            "reads through /proc/PID/exe the program of a free process",
            |stage| {
                let pid = waiting(stage, "", 0o711);
                stage.confined(|| {
                    super::deeds::read_all(&open(&text(&format!("/proc/{pid}/exe")), O_RDONLY)?)
                })
            },
        ),
        case(
            "environ_of_free",
            "proc_pid_environ(5)",
            "reads the environment of a free process",
            |stage| {
                let pid = waiting(stage, "", 0o755);
                stage.confined(|| read_name(&text(&format!("/proc/{pid}/environ"))))
            },
        )
        .limit(PERFMON),
        case(
            "cmdline_of_free",
            "proc_pid_cmdline(5)",
            "reads the arguments of a free process",
            |stage| {
                let flag = stage.world.flag.clone();
                let pid = waiting(stage, &flag, 0o755);
                stage.confined(|| read_name(&text(&format!("/proc/{pid}/cmdline"))))
            },
        )
        .limit(PROC),
        case(
            "sockets",
            "proc_net(5), /proc/net/unix",
            "reads the names to which sockets are bound",
            |stage| {
                let name = format!("/home/secret/{}", stage.world.flag);
                let _listener = std::os::unix::net::UnixListener::bind(name).expect("bind");
                stage.confined(|| super::deeds::read_all(&open(c"/proc/self/net/unix", O_RDONLY)?))
            },
        )
        .limit(PROC),
        case(
            "mounts",
            "proc_pid_mountinfo(5)",
            "reads the names on which file systems are mounted",
            |stage| {
                mount_named(&stage.world.flag);
                stage.confined(|| super::deeds::read_all(&open(c"/proc/self/mountinfo", O_RDONLY)?))
            },
        )
        .limit(PROC),
        case(
            "namespace_of_free",
            "namespaces(7), setns(2)",
            "enters the namespace of a free process through /proc/PID/ns",
            |stage| {
                let free = named_host(&stage.world.flag);
                stage.confined(|| {
                    let file = open(&text(&format!("/proc/{}/ns/uts", free.pid)), O_RDONLY)?;
                    sys!(libc::SYS_setns, &file, 0)?;
                    host_name()
                })
            },
        ),
        case(
            "namespace_bound",
            "setns(2): a namespace bound to a name, as ip-netns(8) does",
            "enters a namespace whose file is mounted on a name outside",
            |stage| {
                let free = named_host(&stage.world.flag);
                std::fs::write("/home/secret/ns", "").expect("write");
                let from = text(&format!("/proc/{}/ns/uts", free.pid));
                let bound = sys!(
                    libc::SYS_mount,
                    &*from,
                    c"/home/secret/ns",
                    0,
                    libc::MS_BIND,
                    0
                );
                assert_eq!(bound, Ok(0), "mount --bind");
                stage.confined(|| {
                    let file = open(c"/home/secret/ns", O_RDONLY)?;
                    sys!(libc::SYS_setns, &file, 0)?;
                    host_name()
                })
            },
        ),
        case(
            "list_by_proc",
            "proc_pid_fd(5)",
            "lists a directory that it holds as a mere place",
            |stage| {
                let secret = open(SECRET, O_PATH).expect("open");
                stage.confined(|| {
                    let again = open(&in_proc(&secret, ""), O_RDONLY | O_DIRECTORY)?;
                    Ok(super::deeds::bits_in(&list(&again)?))
                })
            },
        )
        .past_names(),
    ];
    all.last_mut().expect("a case").proof = Proof::Bits;
    all.extend([
        Case::new(
            CLASS,
            "kcore",
            "proc_kcore(5)",
            "opens the image of all memory",
            Proof::Told,
            |stage| {
                stage.confined(|| match super::deeds::read_name(c"/proc/kcore")? {
                    Loot::Bytes(bytes) if bytes.starts_with(b"\x7fELF") => Ok(Loot::Done),
                    other => said(format!("{other:?}")),
                })
            },
        )
        .limit(PROC),
        Case::new(
            CLASS,
            "write_by_proc",
            "proc_pid_fd(5)",
            "opens for writing what it has open for reading",
            Proof::Changed,
            |stage| {
                let victim = open(c"/home/secret/victim", O_RDONLY).expect("open");
                stage.confined(|| {
                    let again = open(&in_proc(&victim, ""), O_WRONLY)?;
                    done(sys!(libc::SYS_write, &again, c"x".as_ptr(), 1))
                })
            },
        )
        .past_names(),
        Case::new(
            CLASS,
            "exec_by_proc",
            "proc_pid_fd(5)",
            "runs a program that it holds as a mere place",
            Proof::Ran,
            |stage| {
                let prog = open(c"/home/secret/prog", O_PATH).expect("open");
                // Not closed on exec: the name of the program must lead somewhere until it runs.
                stage.confined(|| output_of(|| exec(&in_proc(&prog, ""), &[c"prog"])))
            },
        )
        .past_names(),
        Case::new(
            CLASS,
            "chmod_by_proc",
            "fchmodat(3) of C libraries that go through procfs",
            "sets the mode of what it holds as a mere place",
            Proof::Changed,
            |stage| {
                let victim = open(c"/home/secret/victim", O_PATH).expect("open");
                stage.confined(|| done(sys!(libc::SYS_chmod, &*in_proc(&victim, ""), 0o600)))
            },
        )
        .past_names(),
        Case::new(
            CLASS,
            "stat_by_proc",
            "proc_pid_fd(5)",
            "asks for the size of what lies in a directory that was left open",
            Proof::Size,
            |stage| {
                let secret = open(SECRET, O_PATH).expect("open");
                stage.confined(|| {
                    super::deeds::size_at(super::deeds::CWD, &in_proc(&secret, "/flag"), 0)
                })
            },
        )
        .past_names(),
    ]);
    all
}

fn map_files(stage: &Stage) -> Deed {
    let flag = open(FLAG, O_RDONLY).expect("open");
    let at = sys!(
        libc::SYS_mmap,
        0,
        PAGE,
        libc::PROT_NONE,
        libc::MAP_PRIVATE,
        &flag,
        0
    )
    .expect("mmap");
    drop(flag);
    stage.confined(|| {
        let end = at + PAGE as u64;
        read_name(&text(&format!("/proc/self/map_files/{at:x}-{end:x}")))
    })
}

/// The attack on a free process.
fn of_free(stage: &Stage, attack: impl FnOnce(i32) -> Deed) -> Deed {
    let free = start(|_| crate::sys::child::nap(60_000));
    stage.confined(|| attack(free.pid))
}

fn free_in_secret() -> Child {
    let free = start(|board| {
        board.ret(sys!(libc::SYS_chdir, SECRET));
        crate::sys::child::nap(60_000);
    });
    free.until(1);
    free
}

/// A free process that runs a program outside, with an argument; its file and its environment hold the secret.
#[expect(
    clippy::zombie_processes,
    reason = "the judge ends and waits for whatever a case leaves"
)]
fn waiting(stage: &Stage, argument: &str, mode: u32) -> i32 {
    let path = "/home/secret/waits";
    std::fs::write(path, super::elf::waits(&stage.world.flag)).expect("write");
    let bits = std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(path, bits).expect("chmod");
    let mut command = std::process::Command::new(path);
    command.env_clear().env("SECRET", &stage.world.flag);
    let child = command.arg(argument).spawn().expect("spawn");
    child.id() as i32
}

/// Mounts something on a name that is secret.
pub(super) fn mount_named(name: &str) {
    let place = text(&format!("/home/secret/{name}"));
    assert_eq!(sys!(libc::SYS_mkdir, &*place, 0o755), Ok(0));
    let mounted = sys!(libc::SYS_mount, c"none", &*place, c"tmpfs", 0, 0);
    assert_eq!(mounted, Ok(0), "mount");
}

/// A free process in a namespace whose host name is secret.
pub(super) fn named_host(name: &str) -> Child {
    let name = name.to_owned();
    let free = start(move |board| {
        board.ret(sys!(libc::SYS_unshare, libc::CLONE_NEWUTS));
        board.ret(sys!(libc::SYS_sethostname, name.as_ptr(), name.len()));
        crate::sys::child::nap(60_000);
    });
    assert_eq!(free.until(2), [0, 0]);
    free
}

/// The host name, from `uname`.
pub(super) fn host_name() -> Deed {
    let mut room = vec![0u8; 6 * 65];
    sys!(libc::SYS_uname, room.as_mut_ptr())?;
    if room[65] == 0 {
        return said("no host name");
    }
    Ok(Loot::Bytes(room[65..130].to_vec()))
}

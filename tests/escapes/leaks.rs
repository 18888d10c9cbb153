// SPDX-License-Identifier: GPL-2.0
//! What is told without being opened: which files exist, and what happens to them.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use libc::{AT_FDCWD, O_CREAT, O_DIRECTORY, O_EXCL, O_PATH, O_RDONLY, O_WRONLY};

use super::case::{Case, Deed, Loot, Proof, said};
use super::deeds::{SECRET, bits, done, in_proc, open};
use super::stage::{Stage, pipe};
use crate::sys::{own, sys};

const CLASS: &str = "leaks";

const EXISTENCE: &str = "With `default deny`, a refused name and an absent one have different errors, so it can be found out what exists outside. `default hidden` makes them the same.";

const WAY: &str = "On the way to granted places (`/`, `/home`), whether a name exists can be found out also under `default hidden`: by EEXIST of what would make it, by ENOTDIR of what would walk through it.";

/// A question about sixteen files in the secret directory: asked with the usual default, and with `default hidden`.
fn exists(
    name: &'static str,
    hidden: &'static str,
    reference: &'static str,
    tries: &'static str,
    ask: fn(&CStr) -> bool,
) -> [Case; 2] {
    let run = move |stage: &Stage| stage.confined(|| bits("/home/secret", ask));
    let case = |name, limit| {
        let case = Case::new(CLASS, name, reference, tries, Proof::Bits, run);
        if limit {
            case.limit_of_paths(EXISTENCE)
        } else {
            case.with("default hidden\n", "")
        }
    };
    [case(name, true), case(hidden, false)]
}

/// The same about files on the way to the attacker's own tree.
fn on_the_way(
    name: &'static str,
    reference: &'static str,
    tries: &'static str,
    limit: bool,
    ask: fn(&CStr) -> bool,
) -> Case {
    let run = move |stage: &Stage| stage.confined(|| bits("/home", ask));
    let case =
        Case::new(CLASS, name, reference, tries, Proof::Bits, run).with("default hidden\n", "");
    if limit {
        case.limit_of_paths(WAY)
    } else {
        case
    }
}

/// All of the class.
pub(super) fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    all.extend(exists(
        "open",
        "open_hidden",
        "open(2), ERRORS",
        "tells absent from refused by the error of open",
        |name| open(name, O_RDONLY).err() != Some(libc::ENOENT),
    ));
    all.extend(exists(
        "place",
        "place_hidden",
        "open(2), O_PATH",
        "the same, as a mere place",
        |name| open(name, O_PATH).err() != Some(libc::ENOENT),
    ));
    all.extend(exists(
        "stat",
        "stat_hidden",
        "stat(2), ERRORS",
        "the same by stat",
        |name| sys!(libc::SYS_stat, name, [0u64; 32].as_ptr()) != Err(libc::ENOENT),
    ));
    all.extend(exists(
        "access",
        "access_hidden",
        "access(2)",
        "the same by access",
        |name| sys!(libc::SYS_access, name, 0) != Err(libc::ENOENT),
    ));
    all.extend(exists(
        "make",
        "make_hidden",
        "mkdir(2): EEXIST",
        "the same by EEXIST of mkdir",
        |name| sys!(libc::SYS_mkdir, name, 0o755) == Err(libc::EEXIST),
    ));
    all.extend(exists(
        "create",
        "create_hidden",
        "open(2): O_EXCL",
        "the same by EEXIST of open",
        |name| open(name, O_CREAT | O_EXCL | O_WRONLY).err() == Some(libc::EEXIST),
    ));
    all.extend(exists(
        "walk",
        "walk_hidden",
        "path_resolution(7): ENOTDIR",
        "the same by ENOTDIR of a name that goes through it",
        |name| {
            let through = super::deeds::text(&format!("{}/x", name.to_str().expect("ASCII")));
            open(&through, O_RDONLY).err() == Some(libc::ENOTDIR)
        },
    ));
    all.extend(exists(
        "rename",
        "rename_hidden",
        "renameat2(2): RENAME_NOREPLACE",
        "the same by EEXIST of rename",
        |name| {
            // What is moved is there for each question.
            let _ = sys!(
                libc::SYS_mknod,
                c"/home/escape/moves",
                libc::S_IFREG | 0o644,
                0
            );
            sys!(
                libc::SYS_renameat2,
                AT_FDCWD,
                c"/home/escape/moves",
                AT_FDCWD,
                name,
                libc::RENAME_NOREPLACE
            ) == Err(libc::EEXIST)
        },
    ));
    all.extend(exists(
        "directory",
        "directory_hidden",
        "open(2): O_DIRECTORY",
        "the same by ENOTDIR of open",
        |name| open(name, O_RDONLY | O_DIRECTORY).err() == Some(libc::ENOTDIR),
    ));
    all.extend([
        on_the_way(
            "way_open",
            "open(2), ERRORS",
            "asks on the way to its own tree, by the error of open",
            false,
            |name| open(name, O_RDONLY).err() != Some(libc::ENOENT),
        ),
        on_the_way(
            "way_stat",
            "stat(2), ERRORS",
            "the same by stat",
            false,
            |name| sys!(libc::SYS_stat, name, [0u64; 32].as_ptr()) != Err(libc::ENOENT),
        ),
        on_the_way(
            "way_make",
            "mkdir(2): EEXIST",
            "the same by EEXIST of mkdir",
            true,
            |name| sys!(libc::SYS_mkdir, name, 0o755) == Err(libc::EEXIST),
        ),
        on_the_way(
            "way_walk",
            "path_resolution(7): ENOTDIR",
            "the same by ENOTDIR of a name that goes through it",
            true,
            |name| {
                let through = super::deeds::text(&format!("{}/x", name.to_str().expect("ASCII")));
                open(&through, O_RDONLY).err() == Some(libc::ENOTDIR)
            },
        ),
    ]);
    all.extend(watches());
    all
}

fn watches() -> Vec<Case> {
    let case = |name, reference, tries, run: fn(&Stage) -> Deed| {
        Case::new(CLASS, name, reference, tries, Proof::Content, run)
    };
    vec![
        case("inotify", "inotify(7)", "watches the secret directory", |stage| watched(stage, |_| inotify(SECRET))),
        case("inotify_by_proc", "inotify(7), proc_pid_fd(5)", "watches it by a descriptor", |stage| {
            watched(stage, |secret| inotify(&in_proc(secret, "")))
        })
        .past_names(),
        case("inotify_dot", "inotify(7)", "watches it as the working directory from before", |stage| {
            watched(stage, |secret| {
                sys!(libc::SYS_fchdir, secret)?;
                inotify(c".")
            })
        })
        .past_names(),
        case("fanotify_directory", "fanotify(7), FAN_REPORT_DFID_NAME", "watches it with fanotify", |stage| {
            watched(stage, |secret| fanotify(0, secret, c"."))
        })
        .past_names(),
        case("fanotify_mount_of_own", "fanotify_mark(2), FAN_MARK_MOUNT", "watches the whole mount by naming its own tree", |stage| {
            opened(stage, 0x10)
        })
        .past_names(),
        case("fanotify_file_system_of_own", "fanotify_mark(2), FAN_MARK_FILESYSTEM", "watches the whole file system by naming its own tree", |stage| {
            watched(stage, |_| fanotify_at(0x100, AT_FDCWD, super::deeds::HOME))
        })
        .past_names(),
        case("fanotify_permission", "fanotify(7), FAN_CLASS_CONTENT", "has a say in what others open on the mount of its own tree", |stage| {
            permission(stage)
        })
        .past_names(),
        case("working_directory_name", "getcwd(2)", "asks for the name of the directory that it was in when the policy came", |stage| {
            let name = format!("/home/secret/{}", stage.world.flag);
            std::fs::create_dir(&name).expect("mkdir");
            std::env::set_current_dir(&name).expect("chdir");
            stage.confined(|| {
                let mut room = vec![0u8; 200];
                sys!(libc::SYS_getcwd, room.as_mut_ptr(), 200)?;
                Ok(Loot::Bytes(room))
            })
        })
        .limit(super::empty::OPENED),
        case("name_of_descriptor", "proc_pid_fd(5)", "asks for the name of what it was left", |stage| {
            let name = format!("/home/secret/{}", stage.world.flag);
            std::fs::write(&name, "").expect("write");
            let file = open(&super::deeds::text(&name), O_RDONLY).expect("open");
            stage.confined(|| {
                let mut room = vec![0u8; 200];
                sys!(libc::SYS_readlink, &*in_proc(&file, ""), room.as_mut_ptr(), 200)?;
                Ok(Loot::Bytes(room))
            })
        })
        .limit(super::empty::OPENED),
        Case::new(CLASS, "dnotify", "fcntl(2), F_NOTIFY", "has itself signalled about a directory that was left open", Proof::Told, |stage| {
            let secret = open(SECRET, O_RDONLY | O_DIRECTORY).expect("open");
            stage.confined(|| done(sys!(libc::SYS_fcntl, &secret, libc::F_NOTIFY, 0x8000_0004u32)))
        })
        .past_names(),
        Case::new(CLASS, "free_space", "statfs(2)", "tells by the free space of its own file system what others write", Proof::Told, |stage| {
            let (ours, theirs) = pipe();
            let (back, forth) = pipe();
            let attacker = stage.attacker(|| {
                stage.confine();
                let before = used()?;
                sys!(libc::SYS_write, &theirs, c"x".as_ptr(), 1)?;
                let mut byte = 0u8;
                sys!(libc::SYS_read, &back, &raw mut byte, 1)?;
                match used()? - before {
                    256.. => Ok(Loot::Done),
                    other => said(format!("{other} blocks more")),
                }
            });
            let mut byte = 0u8;
            let _ = sys!(libc::SYS_read, &ours, &raw mut byte, 1);
            std::fs::write("/home/secret/large", vec![1u8; 2 << 20]).expect("write");
            let _ = sys!(libc::SYS_write, &forth, c"x".as_ptr(), 1);
            attacker.finish()
        })
        .limit("What a file system tells of itself as a whole - free space, its type, its state - can be asked through each granted place on it."),
    ]
}

/// Blocks that are used of the file system of the own tree.
fn used() -> Result<u64, i32> {
    // struct statfs: blocks at word 2, free ones at word 3.
    let mut room = [0u64; 32];
    sys!(libc::SYS_statfs, super::deeds::HOME, room.as_mut_ptr())?;
    Ok(room[2] - room[3])
}

fn inotify(name: &CStr) -> Result<OwnedFd, i32> {
    let watch = own(sys!(libc::SYS_inotify_init1, libc::O_NONBLOCK))?;
    // IN_CREATE.
    sys!(libc::SYS_inotify_add_watch, &watch, name, 0x100)?;
    Ok(watch)
}

fn fanotify(mark: u32, directory: &OwnedFd, name: &CStr) -> Result<OwnedFd, i32> {
    fanotify_at(mark, std::os::fd::AsRawFd::as_raw_fd(directory), name)
}

fn fanotify_at(mark: u32, directory: i32, name: &CStr) -> Result<OwnedFd, i32> {
    // FAN_REPORT_DFID_NAME and FAN_NONBLOCK.
    let watch = own(sys!(libc::SYS_fanotify_init, 0xc02, O_RDONLY))?;
    // FAN_MARK_ADD; FAN_CREATE, FAN_EVENT_ON_CHILD.
    sys!(
        libc::SYS_fanotify_mark,
        &watch,
        mark | 1,
        0x100u64 | 0x0800_0000,
        directory,
        name
    )?;
    Ok(watch)
}

/// A free process makes a file with a secret name, which the watcher may see.
fn watched(stage: &Stage, watch: impl FnOnce(&OwnedFd) -> Result<OwnedFd, i32>) -> Deed {
    let secret = open(SECRET, O_PATH | O_DIRECTORY).expect("open");
    happening(
        stage,
        |flag| {
            std::fs::write(format!("/home/secret/{flag}"), "").expect("write");
        },
        || watch(&secret),
    )
}

/// A free process does something after the watch is set.
fn happening(
    stage: &Stage,
    deed: impl FnOnce(&str),
    watch: impl FnOnce() -> Result<OwnedFd, i32>,
) -> Deed {
    let (ours, theirs) = pipe();
    let (back, forth) = pipe();
    let attacker = stage.attacker(|| {
        stage.confine();
        let watch = watch();
        sys!(libc::SYS_write, &theirs, c"x".as_ptr(), 1)?;
        let watch = watch?;
        let mut byte = 0u8;
        sys!(libc::SYS_read, &back, &raw mut byte, 1)?;
        super::deeds::read(&watch)
    });
    let mut byte = 0u8;
    let _ = sys!(libc::SYS_read, &ours, &raw mut byte, 1);
    deed(&stage.world.flag);
    let _ = sys!(libc::SYS_write, &forth, c"x".as_ptr(), 1);
    attacker.finish()
}

/// Events of old style bring the file along, open.
fn opened(stage: &Stage, mark: u32) -> Deed {
    let (ours, theirs) = pipe();
    let (back, forth) = pipe();
    let attacker = stage.attacker(|| {
        stage.confine();
        let watch = own(sys!(libc::SYS_fanotify_init, 2, O_RDONLY))?;
        // FAN_OPEN.
        let marked = sys!(
            libc::SYS_fanotify_mark,
            &watch,
            mark | 1,
            0x20u64,
            AT_FDCWD,
            super::deeds::HOME
        );
        sys!(libc::SYS_write, &theirs, c"x".as_ptr(), 1)?;
        marked?;
        let mut byte = 0u8;
        sys!(libc::SYS_read, &back, &raw mut byte, 1)?;
        // struct fanotify_event_metadata: the descriptor lies at byte 16.
        let mut events = [0u32; 256];
        let count = sys!(libc::SYS_read, &watch, events.as_mut_ptr(), 1024)? as usize / 24;
        let mut all = Vec::new();
        for event in 0..count {
            if let Ok(Loot::Bytes(bytes)) =
                super::deeds::read(&own(Ok(u64::from(events[event * 6 + 4])))?)
            {
                all.extend(bytes);
            }
        }
        Ok(Loot::Bytes(all))
    });
    let mut byte = 0u8;
    let _ = sys!(libc::SYS_read, &ours, &raw mut byte, 1);
    let _ = std::fs::read("/home/secret/flag");
    let _ = sys!(libc::SYS_write, &forth, c"x".as_ptr(), 1);
    attacker.finish()
}

/// Whether a free process can be refused its own file.
fn permission(stage: &Stage) -> Deed {
    let (ours, theirs) = pipe();
    let attacker = stage.attacker(|| {
        stage.confine();
        // FAN_CLASS_CONTENT.
        let watch = own(sys!(libc::SYS_fanotify_init, 4, O_RDONLY));
        // FAN_MARK_MOUNT, FAN_OPEN_PERM.
        let marked = watch.and_then(|watch| {
            sys!(
                libc::SYS_fanotify_mark,
                &watch,
                0x11,
                0x1_0000u64,
                AT_FDCWD,
                super::deeds::HOME
            )
            .map(|_| watch)
        });
        sys!(libc::SYS_write, &theirs, c"x".as_ptr(), 1)?;
        let watch = marked?;
        let mut event = [0u32; 6];
        sys!(libc::SYS_read, &watch, event.as_mut_ptr(), 24)?;
        // FAN_DENY.
        let answer = [event[4], 2];
        done(sys!(libc::SYS_write, &watch, answer.as_ptr(), 8))
    });
    let mut byte = 0u8;
    let _ = sys!(libc::SYS_read, &ours, &raw mut byte, 1);
    let refused = std::fs::read("/home/secret/flag").is_err();
    let deed = attacker.finish();
    match refused {
        true => Ok(Loot::Bytes(stage.world.flag.clone().into_bytes())),
        false => Err(deed
            .err()
            .unwrap_or(super::case::Stop::Said("the file was opened".into()))),
    }
}

// SPDX-License-Identifier: GPL-2.0
//! Descriptors that others hand over, and what is shared with them from the start.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use libc::{O_DIRECTORY, O_PATH, O_RDONLY, O_WRONLY};

use super::case::{Case, Deed, Loot, Proof, Stop, said};
use super::deeds::{FLAG, SECRET, done, in_proc, open, read, read_at, read_name};
use super::stage::Stage;
use crate::ring::Ring;
use crate::sys::child::{nap, start};
use crate::sys::message::{pair, receive_fd, send_fd};
use crate::sys::{own, sys};

const CLASS: &str = "received";

/// What is said of sharing.
pub(super) const SHARED: &str = "Memory, a table of descriptors or a ring of io_uring that a task shares with a freer one makes it as free as that one: restrict after fork and exec, or all that share.";

/// All of the class.
pub(super) fn cases() -> Vec<Case> {
    let case = |name, reference, tries, run: fn(&Stage) -> Deed| {
        Case::new(CLASS, name, reference, tries, Proof::Content, run).past_names()
    };
    vec![
        case(
            "file",
            "unix(7), SCM_RIGHTS",
            "is sent an open file over a socket",
            |stage| handed(stage, &open(FLAG, O_RDONLY).expect("open"), read),
        ),
        case(
            "file_as_place",
            "unix(7), open(2): O_PATH",
            "is sent a file as a mere place, and opens that",
            |stage| {
                handed(stage, &open(FLAG, O_PATH).expect("open"), |fd| {
                    read_name(&in_proc(fd, ""))
                })
            },
        ),
        case(
            "directory",
            "unix(7); capsicum(4)",
            "is sent a directory, and opens a file below it",
            |stage| {
                handed(
                    stage,
                    &open(SECRET, O_RDONLY | O_DIRECTORY).expect("open"),
                    |fd| read_at(fd.as_raw_fd(), c"flag"),
                )
            },
        ),
        case(
            "mount",
            "unix(7), open_tree(2)",
            "is sent a mount that is attached nowhere",
            |stage| {
                let tree =
                    own(sys!(libc::SYS_open_tree, libc::AT_FDCWD, SECRET, 1)).expect("open_tree");
                handed(stage, &tree, |fd| read_at(fd.as_raw_fd(), c"flag"))
            },
        ),
        case(
            "removed_file",
            "unix(7), unlink(2)",
            "is sent an open file whose name is gone",
            |stage| {
                let flag = open(FLAG, O_RDONLY).expect("open");
                std::fs::remove_file("/home/secret/flag").expect("unlink");
                handed(stage, &flag, read)
            },
        ),
        case(
            "by_io_uring",
            "io_uring_enter(2), IORING_OP_RECVMSG",
            "is sent an open file, and receives it by a ring",
            by_io_uring,
        ),
        case(
            "many_at_once",
            "unix(7): up to 253 descriptors in a message",
            "is sent an open file among others that it may have",
            many_at_once,
        ),
        Case::new(
            CLASS,
            "file_for_writing",
            "unix(7), SCM_RIGHTS",
            "is sent a file open for writing",
            Proof::Changed,
            |stage| {
                handed(
                    stage,
                    &open(c"/home/secret/victim", O_WRONLY).expect("open"),
                    |fd| done(sys!(libc::SYS_write, fd, c"x".as_ptr(), 1)),
                )
            },
        )
        .past_names(),
        case(
            "seccomp_addfd",
            "seccomp_unotify(2), SECCOMP_IOCTL_NOTIF_ADDFD",
            "has a supervisor put an open file into its table",
            addfd,
        ),
        case(
            "ring_message",
            "io_uring_enter(2), IORING_OP_MSG_RING with IORING_MSG_SEND_FD",
            "has a free process put an open file into its ring",
            ring_message,
        )
        .limit(SHARED),
        case(
            "shared_table",
            "clone(2), CLONE_FILES",
            "shares its table of descriptors with a free process, which opens the file",
            shared_table,
        )
        .limit(SHARED),
        case(
            "shared_working_directory",
            "clone(2), CLONE_FS",
            "shares its working directory with a free process, which changes it",
            shared_working_directory,
        ),
        Case::new(
            CLASS,
            "taken_from_free",
            "pidfd_getfd(2)",
            "takes an open file out of a free process",
            Proof::Content,
            |stage| {
                let flag = open(FLAG, O_RDONLY).expect("open");
                let number = flag.as_raw_fd();
                let free = start(move |board| {
                    board.put(i64::from(flag.as_raw_fd()));
                    nap(60_000);
                });
                free.until(1);
                stage.confined(|| {
                    let pidfd = own(sys!(libc::SYS_pidfd_open, free.pid, 0))?;
                    read(&own(sys!(libc::SYS_pidfd_getfd, &pidfd, number, 0))?)
                })
            },
        ),
    ]
}

/// A free process sends a descriptor, which the attacker receives and uses.
fn handed(stage: &Stage, fd: &OwnedFd, attack: impl FnOnce(&OwnedFd) -> Deed) -> Deed {
    let (ours, theirs) = pair();
    send_fd(&ours, fd.as_fd());
    // Otherwise it would be inherited.
    let number = fd.as_raw_fd();
    stage
        .attacker(|| {
            sys!(libc::SYS_close, number)?;
            stage.confine();
            let got = receive_fd(&theirs)?;
            if got.as_raw_fd() < 0 {
                return said("the message came without the descriptor");
            }
            attack(&got)
        })
        .finish()
}

fn by_io_uring(stage: &Stage) -> Deed {
    let flag = open(FLAG, O_RDONLY).expect("open");
    let (ours, theirs) = pair();
    send_fd(&ours, flag.as_fd());
    drop(flag);
    stage.confined(|| {
        let mut byte = [0u8; 8];
        let mut control = [0u64; 8];
        let part = [byte.as_mut_ptr() as u64, 1];
        // struct msghdr: name and its length, parts and their number, control and its length, flags.
        let mut message = [
            0,
            0,
            part.as_ptr() as u64,
            1,
            control.as_mut_ptr() as u64,
            64,
            0,
        ];
        let socket = io_uring::types::Fd(theirs.as_raw_fd());
        let entry = io_uring::opcode::RecvMsg::new(socket, message.as_mut_ptr().cast()).build();
        Ring::new().call(entry)?;
        // struct cmsghdr is two words; the number of the descriptor follows.
        match message[5] {
            0 => said("the message came without the descriptor"),
            _ => read(&own(Ok(u64::from(control[2] as u32)))?),
        }
    })
}

fn many_at_once(stage: &Stage) -> Deed {
    let own_file = open(c"/home/escape/door", O_RDONLY).expect("open");
    let flag = open(FLAG, O_RDONLY).expect("open");
    let (ours, theirs) = pair();
    let fds = [&own_file, &own_file, &flag, &own_file].map(|fd| fd.as_raw_fd());
    let mut control = vec![0u32; 4];
    control[0] = 16 + 16;
    control[2] = libc::SOL_SOCKET as u32;
    control[3] = libc::SCM_RIGHTS as u32;
    control.extend(fds.map(|fd| fd as u32));
    let part = [c"x".as_ptr() as u64, 1];
    let message = [
        0,
        0,
        part.as_ptr() as u64,
        1,
        control.as_ptr() as u64,
        32,
        0,
    ];
    let sent = sys!(libc::SYS_sendmsg, &ours, message.as_ptr(), 0);
    assert_eq!(sent, Ok(1), "sendmsg");
    drop(flag);
    stage.confined(|| {
        let mut byte = [0u8; 8];
        let mut control = [0u32; 16];
        let part = [byte.as_mut_ptr() as u64, 1];
        let mut message = [
            0,
            0,
            part.as_ptr() as u64,
            1,
            control.as_mut_ptr() as u64,
            64,
            0,
        ];
        sys!(libc::SYS_recvmsg, &theirs, message.as_mut_ptr(), 0)?;
        let count = (control[0] as usize).saturating_sub(16) / 4;
        let mut all = Vec::new();
        for number in control.iter().skip(4).take(count) {
            if let Ok(Loot::Bytes(bytes)) = read(&own(Ok(u64::from(*number)))?) {
                all.extend(bytes);
            }
        }
        Ok(Loot::Bytes(all))
    })
}

/// `struct seccomp_notif` is 80 bytes; the id comes first. `struct seccomp_notif_addfd`: id, flags, srcfd, newfd, newfd_flags.
fn addfd(stage: &Stage) -> Deed {
    const RECV: u32 = 0xc050_2100;
    const ADDFD: u32 = 0x4018_2103;
    const SEND: u32 = 0xc018_2101;
    let flag = open(FLAG, O_RDONLY).expect("open");
    let number = flag.as_raw_fd();
    let (ours, theirs) = pair();
    let attacker = stage.attacker(|| {
        sys!(libc::SYS_close, number)?;
        // getppid asks the supervisor, everything else is allowed.
        let program = [
            filters::insn::Insn::stmt(0x20, 0),
            filters::insn::Insn::jump(0x15, libc::SYS_getppid as u32, 0, 1),
            filters::insn::Insn::stmt(0x06, libc::SECCOMP_RET_USER_NOTIF),
            filters::insn::Insn::stmt(0x06, libc::SECCOMP_RET_ALLOW),
        ];
        crate::sys::no_new_privs();
        // SECCOMP_FILTER_FLAG_NEW_LISTENER.
        let listener = own(crate::seccomp::try_install(&program, 8))?;
        send_fd(&theirs, listener.as_fd());
        drop(listener);
        stage.confine();
        let fd = sys!(libc::SYS_getppid)?;
        if fd == 0 {
            return said("the supervisor could not add the file");
        }
        read(&own(Ok(fd))?)
    });
    let listener = receive_fd(&ours).expect("the listener");
    let mut event = [0u64; 10];
    let got = sys!(libc::SYS_ioctl, &listener, RECV, event.as_mut_ptr());
    assert_eq!(got, Ok(0), "SECCOMP_IOCTL_NOTIF_RECV");
    let add = [event[0], (number as u64) << 32, 0];
    let added = sys!(libc::SYS_ioctl, &listener, ADDFD, add.as_ptr());
    // struct seccomp_notif_resp: id, val, error and flags.
    let answer = [event[0], added.unwrap_or(0), 0];
    let sent = sys!(libc::SYS_ioctl, &listener, SEND, answer.as_ptr());
    assert_eq!(sent, Ok(0), "SECCOMP_IOCTL_NOTIF_SEND");
    attacker.finish()
}

/// The free process has inherited the attacker's ring and sends a file of its own ring to it.
fn ring_message(stage: &Stage) -> Deed {
    let flag = open(FLAG, O_RDONLY).expect("open");
    let mut target = Ring::new();
    target.register_files(4);
    let (ours, theirs) = pair();
    let attacker = stage.attacker(|| {
        sys!(libc::SYS_close, flag.as_raw_fd())?;
        stage.confine();
        let mut byte = 0u8;
        sys!(libc::SYS_read, &theirs, &raw mut byte, 1)?;
        let mut room = vec![0u8; 100];
        let file = io_uring::types::Fixed(0);
        let entry = io_uring::opcode::Read::new(file, room.as_mut_ptr(), 100).build();
        target.try_call(entry)?;
        Ok(Loot::Bytes(room))
    });
    let mut source = Ring::new();
    source.register_files(4);
    let files = [flag.as_raw_fd()];
    let update = io_uring::opcode::FilesUpdate::new(files.as_ptr(), 1).build();
    assert_eq!(source.call(update), Ok(1), "files_update");
    let to = io_uring::types::Fd(target.number());
    let slot = io_uring::types::DestinationSlot::try_from_slot_target(0).expect("a slot");
    let from = io_uring::types::Fixed(0);
    let entry = io_uring::opcode::MsgRingSendFd::new(to, from, slot, 0).build();
    let sent = source.call(entry);
    assert!(sent.is_ok(), "IORING_MSG_SEND_FD: {sent:?}");
    let go = sys!(libc::SYS_write, &ours, c"x".as_ptr(), 1);
    assert_eq!(go, Ok(1));
    attacker.finish()
}

fn shared_table(stage: &Stage) -> Deed {
    sharing(
        stage,
        libc::CLONE_FILES,
        || {
            let opened = open(FLAG, O_RDONLY);
            opened.map(|fd| std::os::fd::IntoRawFd::into_raw_fd(fd) as i64)
        },
        |value| read(&own(Ok(value as u64))?),
    )
}

fn shared_working_directory(stage: &Stage) -> Deed {
    sharing(
        stage,
        libc::CLONE_FS,
        || sys!(libc::SYS_chdir, SECRET).map(|_| 0),
        |_| read_name(c"flag"),
    )
}

/// A child that shares something with the attacker, made before the attacker is confined, helps afterwards.
fn sharing(
    stage: &Stage,
    flags: i32,
    help: impl Fn() -> Result<i64, i32>,
    attack: impl FnOnce(i64) -> Deed,
) -> Deed {
    let board = crate::sys::memory::Shared::<crate::sys::child::Board>::new();
    stage
        .attacker(|| {
            // Without CLONE_VM the child has a stack of its own: this is a fork that shares one thing.
            let pid = sys!(libc::SYS_clone, flags | libc::SIGCHLD, 0, 0, 0, 0)?;
            if pid == 0 {
                while board.values().is_empty() {
                    nap(1);
                }
                board.put(help().unwrap_or(-1));
                nap(60_000);
                crate::sys::child::exit(0)
            }
            stage.confine();
            board.put(0);
            for _ in 0..5000 {
                if let [_, value] = board.values()[..] {
                    return attack(value);
                }
                nap(1);
            }
            Err(Stop::Said("the helper did not help".into()))
        })
        .finish()
}

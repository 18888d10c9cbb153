// SPDX-License-Identifier: GPL-2.0
//! What the kernel keeps that is no file: System V objects, keys, maps of BPF, its log, names of the machine. The attacker here is root.

use super::case::{Case, Deed, Loot, Proof, Stop, said};
use super::stage::Stage;
use crate::sys::{own, sys};

const CLASS: &str = "kernel";

/// Newer than the C library.
const SYS_STATMOUNT: i64 = 457;
/// Newer than the C library.
const SYS_LISTMOUNT: i64 = 458;

/// What is said of system calls without files.
pub(super) const CALLS: &str = "`paths` speaks of files. What else a system call can reach with the caller's privileges - System V and POSIX queues, keys, BPF, the kernel log, namespaces by handle, limits of other processes, loading modules - is for rules on `syscall.enter`, and for not being root.";

const DEVICE: &str = "A device file that lies in a granted place is granted with it, whatever the device is: do not grant trees in which others leave devices.";

/// All of the class.
pub(super) fn cases() -> Vec<Case> {
    let case = |name, reference, tries, run: fn(&Stage) -> Deed| {
        Case::new(CLASS, name, reference, tries, Proof::Content, run).limit(CALLS)
    };
    vec![
        case(
            "shared_memory",
            "shmget(2), shmat(2)",
            "attaches a System V segment of a free process",
            |stage| {
                let segment =
                    sys!(libc::SYS_shmget, 0x4576, 4096, libc::IPC_CREAT | 0o600).expect("shmget");
                let at = sys!(libc::SYS_shmat, segment, 0, 0).expect("shmat");
                crate::sys::memory::write(at, stage.world.flag.as_bytes());
                assert_eq!(sys!(libc::SYS_shmdt, at), Ok(0));
                stage.confined(|| {
                    let segment = sys!(libc::SYS_shmget, 0x4576, 4096, 0)?;
                    let at = sys!(libc::SYS_shmat, segment, 0, libc::SHM_RDONLY)?;
                    let (reader, writer) = super::stage::pipe();
                    sys!(libc::SYS_write, &writer, at, 100)?;
                    super::deeds::read(&reader)
                })
            },
        ),
        case(
            "message_queue",
            "msgrcv(2)",
            "takes a message from a System V queue",
            |stage| {
                let queue =
                    sys!(libc::SYS_msgget, 0x4577, libc::IPC_CREAT | 0o600).expect("msgget");
                let mut message = 1u64.to_le_bytes().to_vec();
                message.extend(stage.world.flag.as_bytes());
                let sent = sys!(
                    libc::SYS_msgsnd,
                    queue,
                    message.as_ptr(),
                    message.len() - 8,
                    0
                );
                assert_eq!(sent, Ok(0), "msgsnd");
                stage.confined(|| {
                    let queue = sys!(libc::SYS_msgget, 0x4577, 0)?;
                    let mut room = vec![0u8; 108];
                    sys!(
                        libc::SYS_msgrcv,
                        queue,
                        room.as_mut_ptr(),
                        100,
                        0,
                        libc::IPC_NOWAIT
                    )?;
                    Ok(Loot::Bytes(room))
                })
            },
        ),
        case(
            "posix_queue",
            "mq_overview(7)",
            "takes a message from a POSIX queue",
            posix_queue,
        ),
        case(
            "key",
            "keyctl(2), KEYCTL_READ",
            "reads a key of the user that it shares",
            |stage| {
                // KEY_SPEC_USER_KEYRING.
                let flag = &stage.world.flag;
                let added = sys!(
                    libc::SYS_add_key,
                    c"user",
                    c"evf-escape",
                    flag.as_ptr(),
                    flag.len(),
                    -4
                );
                assert!(added.is_ok(), "add_key: {added:?}");
                stage.confined(|| {
                    // KEYCTL_SEARCH and KEYCTL_READ.
                    let key = sys!(libc::SYS_keyctl, 10, -4, c"user", c"evf-escape", 0)?;
                    let mut room = vec![0u8; 100];
                    sys!(libc::SYS_keyctl, 11, key, room.as_mut_ptr(), 100)?;
                    Ok(Loot::Bytes(room))
                })
            },
        ),
        case(
            "bpf_map_by_id",
            "bpf(2), BPF_MAP_GET_FD_BY_ID",
            "opens a map of a free process by its number",
            bpf_map,
        ),
        case(
            "kernel_log",
            "syslog(2)",
            "reads what others have written to the kernel log",
            |stage| {
                std::fs::write("/dev/kmsg", format!("<6>evf-escape {}\n", stage.world.flag))
                    .expect("kmsg");
                stage.confined(|| {
                    let mut room = vec![0u8; 1 << 16];
                    // SYSLOG_ACTION_READ_ALL.
                    sys!(libc::SYS_syslog, 3, room.as_mut_ptr(), room.len())?;
                    let at = room
                        .windows(10)
                        .rposition(|part| part == b"evf-escape")
                        .unwrap_or(0);
                    Ok(Loot::Bytes(room[at..room.len().min(at + 200)].to_vec()))
                })
            },
        ),
        case(
            "host_name",
            "sethostname(2)",
            "sets the host name",
            |stage| {
                let deed =
                    stage.confined(|| super::deeds::done(sys!(libc::SYS_sethostname, c"owned", 5)));
                match std::fs::read_to_string("/proc/sys/kernel/hostname") {
                    Ok(name) if name.trim() == "owned" => {
                        Ok(Loot::Bytes(stage.world.flag.clone().into_bytes()))
                    }
                    _ => Err(deed
                        .err()
                        .unwrap_or(Stop::Said("the name is as it was".into()))),
                }
            },
        ),
        case(
            "mounts_by_number",
            "listmount(2), statmount(2)",
            "asks for the names on which file systems are mounted",
            statmount,
        ),
        case(
            "device_made",
            "mknod(2): the device of the kernel log",
            "makes a device in its own tree and opens that",
            |stage| {
                std::fs::write("/dev/kmsg", format!("<6>evf-escape {}\n", stage.world.flag))
                    .expect("kmsg");
                stage.confined(|| {
                    sys!(
                        libc::SYS_mknod,
                        c"/home/escape/log",
                        libc::S_IFCHR | 0o600,
                        0x10b
                    )?;
                    device_log()
                })
            },
        )
        .stopped(),
        case(
            "device_found",
            "mknod(2)",
            "opens a device that lies in its own tree, as in an unpacked image",
            |stage| {
                std::fs::write("/dev/kmsg", format!("<6>evf-escape {}\n", stage.world.flag))
                    .expect("kmsg");
                let made = sys!(
                    libc::SYS_mknod,
                    c"/home/escape/log",
                    libc::S_IFCHR | 0o600,
                    0x10b
                );
                assert_eq!(made, Ok(0), "mknod");
                stage.confined(device_log)
            },
        )
        .limit(DEVICE),
    ]
}

/// Reads the log through a device file.
fn device_log() -> Deed {
    let log = super::deeds::open(c"/home/escape/log", libc::O_RDONLY | libc::O_NONBLOCK)?;
    let mut room = [0u8; 8192];
    let mut found = Vec::new();
    loop {
        match sys!(libc::SYS_read, &log, room.as_mut_ptr(), room.len()) {
            Ok(count) => {
                let line = &room[..count as usize];
                // Earlier cases have written, too: the judge looks for its own line.
                if line.windows(10).any(|part| part == b"evf-escape") {
                    found.extend(line);
                }
            }
            Err(libc::EAGAIN) if !found.is_empty() => return Ok(Loot::Bytes(found)),
            Err(libc::EPIPE) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn posix_queue(stage: &Stage) -> Deed {
    let attributes = [0i64, 4, 100, 0, 0, 0, 0, 0];
    let flags = libc::O_CREAT | libc::O_RDWR;
    let queue = own(sys!(
        libc::SYS_mq_open,
        c"evf-escape",
        flags,
        0o600,
        attributes.as_ptr()
    ))
    .expect("mq_open");
    let flag = &stage.world.flag;
    let sent = sys!(
        libc::SYS_mq_timedsend,
        &queue,
        flag.as_ptr(),
        flag.len(),
        0,
        0
    );
    assert_eq!(sent, Ok(0), "mq_send");
    drop(queue);
    stage.confined(|| {
        let queue = own(sys!(libc::SYS_mq_open, c"evf-escape", libc::O_RDONLY, 0, 0))?;
        let mut room = vec![0u8; 100];
        sys!(
            libc::SYS_mq_timedreceive,
            &queue,
            room.as_mut_ptr(),
            100,
            0,
            0
        )?;
        Ok(Loot::Bytes(room))
    })
}

/// `union bpf_attr`, as far as it is needed.
fn bpf(command: u32, words: &[u32]) -> Result<u64, i32> {
    let mut attributes = [0u32; 32];
    attributes[..words.len()].copy_from_slice(words);
    sys!(libc::SYS_bpf, command, attributes.as_ptr(), 128)
}

fn halves(address: u64) -> [u32; 2] {
    [address as u32, (address >> 32) as u32]
}

fn bpf_map(stage: &Stage) -> Deed {
    // BPF_MAP_CREATE: BPF_MAP_TYPE_ARRAY with one value of 32 bytes.
    let map = own(bpf(0, &[2, 4, 32, 1, 0])).expect("BPF_MAP_CREATE");
    let number = std::os::fd::AsRawFd::as_raw_fd(&map) as u32;
    let key = 0u32;
    let place = halves(&raw const key as u64);
    let value = halves(stage.world.flag.as_ptr() as u64);
    // BPF_MAP_UPDATE_ELEM.
    let put = bpf(
        2,
        &[number, 0, place[0], place[1], value[0], value[1], 0, 0],
    );
    assert_eq!(put, Ok(0), "BPF_MAP_UPDATE_ELEM");
    stage
        .attacker(|| {
            sys!(libc::SYS_close, number)?;
            stage.confine();
            let mut all = Vec::new();
            let mut id = [0u32; 3];
            loop {
                // BPF_MAP_GET_NEXT_ID: the answer comes behind the question.
                if sys!(libc::SYS_bpf, 12, id.as_mut_ptr(), 12).is_err() {
                    return match all.is_empty() {
                        true => said("no map"),
                        false => Ok(Loot::Bytes(all)),
                    };
                }
                id[0] = id[1];
                // BPF_MAP_GET_FD_BY_ID, BPF_MAP_LOOKUP_ELEM.
                let map = own(bpf(14, &[id[0]]))?;
                let mut room = vec![0u8; 4096];
                let value = halves(room.as_mut_ptr() as u64);
                let number = std::os::fd::AsRawFd::as_raw_fd(&map) as u32;
                if bpf(1, &[number, 0, place[0], place[1], value[0], value[1]]).is_ok() {
                    room.truncate(32);
                    all.extend(room);
                }
            }
        })
        .finish()
}

/// `struct mnt_id_req`: size and spare, mnt_id, param.
fn statmount(stage: &Stage) -> Deed {
    super::magic::mount_named(&stage.world.flag);
    stage.confined(|| {
        let mut ids = [0u64; 64];
        // LSMT_ROOT.
        let request = [24u64, u64::MAX, 0];
        let count = sys!(SYS_LISTMOUNT, request.as_ptr(), ids.as_mut_ptr(), 64, 0)?;
        let mut all = Vec::new();
        for id in &ids[..count as usize] {
            // STATMOUNT_MNT_POINT.
            let request = [24u64, *id, 0x10];
            let mut room = vec![0u8; 4096];
            if sys!(SYS_STATMOUNT, request.as_ptr(), room.as_mut_ptr(), 4096, 0).is_ok() {
                all.extend(room);
            }
        }
        Ok(Loot::Bytes(all))
    })
}

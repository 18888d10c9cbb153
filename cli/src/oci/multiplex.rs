// SPDX-License-Identifier: GPL-2.0
//! `socketcall` and `ipc` of i386: one call that stands for many, told apart by its first argument.
//!
//! libseccomp adds what a profile says of such a call to both (`abi_rule_add`). Numbers: `include/uapi/linux/net.h`, `include/uapi/linux/ipc.h`.

/// The call through which `name` can be made as well, and the number that says so.
pub(super) fn through(name: &str) -> Option<(&'static str, u64)> {
    let socket = |number| Some(("socketcall", number));
    let ipc = |number| Some(("ipc", number));
    match name {
        "socket" => socket(1),
        "bind" => socket(2),
        "connect" => socket(3),
        "listen" => socket(4),
        "accept" => socket(5),
        "getsockname" => socket(6),
        "getpeername" => socket(7),
        "socketpair" => socket(8),
        "send" => socket(9),
        "recv" => socket(10),
        "sendto" => socket(11),
        "recvfrom" => socket(12),
        "shutdown" => socket(13),
        "setsockopt" => socket(14),
        "getsockopt" => socket(15),
        "sendmsg" => socket(16),
        "recvmsg" => socket(17),
        "accept4" => socket(18),
        "recvmmsg" => socket(19),
        "sendmmsg" => socket(20),
        "semop" => ipc(1),
        "semget" => ipc(2),
        "semctl" => ipc(3),
        "semtimedop" => ipc(4),
        "msgsnd" => ipc(11),
        "msgrcv" => ipc(12),
        "msgget" => ipc(13),
        "msgctl" => ipc(14),
        "shmat" => ipc(21),
        "shmdt" => ipc(22),
        "shmget" => ipc(23),
        "shmctl" => ipc(24),
        _ => None,
    }
}

// SPDX-License-Identifier: GPL-2.0
//! What the table says and no row of this suite can show, with the reason.

use super::seen::Item;

/// Calls, whether they are operations, what is not tried, and why not.
struct Untried {
    calls: &'static [&'static str],
    operations: bool,
    /// `vfs.getname`, `vfs.walk`, `fd.receive`, or an action.
    items: &'static [&'static str],
    /// For whoever reads this list.
    #[expect(dead_code, reason = "read by people")]
    why: &'static str,
}

const NAMES: &[&str] = &["vfs.getname", "vfs.walk", "lookup"];
const NAMES_TO_OPEN: &[&str] = &["vfs.getname", "vfs.walk", "open"];

const LIST: &[Untried] = &[
    Untried {
        calls: &["quotactl", "quotactl_fd"],
        operations: false,
        items: &["quota"],
        why: "needs a file system with quotas on a block device, which this guest does not have",
    },
    Untried {
        calls: &["ioctl"],
        operations: false,
        items: NAMES,
        why: "needs autofs or btrfs, modules that this guest does not have",
    },
    Untried {
        calls: &["ioctl"],
        operations: false,
        items: &["fd.receive"],
        why: "needs a VDUSE device",
    },
    Untried {
        calls: &["io_submit", "sendfile", "sendfile64", "splice"],
        operations: false,
        items: NAMES_TO_OPEN,
        why: "needs a driver whose file in sysfs takes a name (zram)",
    },
    Untried {
        calls: &["WRITE_FIXED", "WRITEV_FIXED", "SPLICE"],
        operations: true,
        items: NAMES_TO_OPEN,
        why: "needs a driver whose file in sysfs takes a name (zram)",
    },
    Untried {
        calls: &["RECVMSG"],
        operations: true,
        items: &["open"],
        why: "SCM_PIDFD: the same function as by the system call, which is tried",
    },
    Untried {
        calls: &["recvmmsg", "recvmmsg_time64"],
        operations: false,
        items: &["open"],
        why: "SCM_PIDFD: the same function as by recvmsg, which is tried",
    },
    Untried {
        calls: &["READ_MULTISHOT"],
        operations: true,
        items: &["open"],
        why: "needs a ring of buffers; the same function of fanotify as by READ, which is tried",
    },
    Untried {
        calls: &["URING_CMD128"],
        operations: true,
        items: &["uring-cmd"],
        why: "needs a ring with entries of 128 bytes; the same function as URING_CMD",
    },
    Untried {
        calls: &["recvmmsg_time64"],
        operations: false,
        items: &["fd.receive"],
        why: "the same function as recvmmsg; only the time is laid out in another way",
    },
];

fn item(name: &str) -> Item {
    match name {
        "vfs.getname" => Item::Getname,
        "vfs.walk" => Item::Walk,
        "fd.receive" => Item::Receive,
        action => Item::pick(action),
    }
}

/// What is not tried of a call.
pub(super) fn of(call: &str, operation: bool) -> impl Iterator<Item = Item> {
    LIST.iter()
        .filter(move |it| it.operations == operation && it.calls.contains(&call))
        .flat_map(|it| it.items)
        .map(|name| item(name))
}

/// The calls that are named here.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    LIST.iter().flat_map(|it| it.calls.iter().copied())
}

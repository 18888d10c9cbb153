// SPDX-License-Identifier: GPL-2.0
//! Landlock, by its three system calls (`include/uapi/linux/landlock.h`).

use std::io;

use crate::setting::Kind;
use crate::stage;
use crate::sys::{self, address, call, checked, number};

const SYS_CREATE_RULESET: i64 = 444;
const SYS_ADD_RULE: i64 = 445;
const SYS_RESTRICT_SELF: i64 = 446;
const RULE_PATH_BENEATH: u64 = 1;
/// Every right on files up to interface version 5, `LANDLOCK_ACCESS_FS_EXECUTE` to `LANDLOCK_ACCESS_FS_IOCTL_DEV`.
const ALL_ACCESS: u64 = 0xffff;

/// `struct landlock_ruleset_attr`.
#[repr(C)]
struct Ruleset {
    access_fs: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct PathBeneath {
    access: u64,
    parent: i32,
}

/// Restricts this process to the places that `kind` names, where everything is allowed.
pub(crate) fn restrict(kind: Kind) -> io::Result<()> {
    let attr = Ruleset {
        access_fs: ALL_ACCESS,
    };
    let args = [
        &raw const attr as u64,
        size_of::<Ruleset>() as u64,
        0,
        0,
        0,
        0,
    ];
    let ruleset = sys::own(call(SYS_CREATE_RULESET, args))?;
    let ruleset_number = number(&ruleset);
    let places: Box<dyn Iterator<Item = String>> = match kind {
        Kind::Rules(count) => Box::new((0..count).map(stage::place)),
        Kind::Tools => {
            let all = stage::SYSTEM.iter().chain(&stage::OWN);
            Box::new(all.map(|&path| path.to_owned()))
        }
        _ => return Err(io::Error::other(format!("Landlock knows no {kind}"))),
    };
    for path in places {
        let path = stage::c(&path);
        let flags = (libc::O_PATH | libc::O_CLOEXEC) as u64;
        let open = [libc::AT_FDCWD as u64, address(&path), flags, 0, 0, 0];
        let parent = sys::own(call(libc::SYS_openat, open))?;
        let rule = PathBeneath {
            access: ALL_ACCESS,
            parent: number(&parent) as i32,
        };
        let args = [
            ruleset_number,
            RULE_PATH_BENEATH,
            &raw const rule as u64,
            0,
            0,
            0,
        ];
        checked(call(SYS_ADD_RULE, args))?;
    }
    checked(call(SYS_RESTRICT_SELF, [ruleset_number, 0, 0, 0, 0, 0]))?;
    Ok(())
}

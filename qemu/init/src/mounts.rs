// SPDX-License-Identifier: GPL-2.0

//! The pseudo file systems every program expects.

use std::fs;
use std::io;
use std::path::Path;

use rustix::mount::{MountFlags, mount};

/// What is mounted: type, place, options, and whether the guest can do without.
const MOUNTS: [(&str, &str, &str, bool); 11] = [
    ("proc", "/proc", "", true),
    ("sysfs", "/sys", "", true),
    ("devtmpfs", "/dev", "mode=0755", true),
    ("devpts", "/dev/pts", "mode=0620,gid=5,ptmxmode=0666", true),
    ("tmpfs", "/dev/shm", "mode=1777", true),
    ("tmpfs", "/tmp", "mode=1777", true),
    ("tmpfs", "/run", "mode=0755", true),
    ("securityfs", "/sys/kernel/security", "", false),
    ("tracefs", "/sys/kernel/tracing", "", false),
    ("debugfs", "/sys/kernel/debug", "", false),
    ("cgroup2", "/sys/fs/cgroup", "", false),
];

/// The links under /dev that udev would make.
const LINKS: [(&str, &str); 4] = [
    ("/proc/self/fd", "/dev/fd"),
    ("fd/0", "/dev/stdin"),
    ("fd/1", "/dev/stdout"),
    ("fd/2", "/dev/stderr"),
];

/// Mounts all of [`MOUNTS`]. A missing optional one is said on the console and is no error.
pub(crate) fn mount_all() -> Result<(), String> {
    for (kind, place, options, needed) in MOUNTS {
        let outcome = mount_one(kind, place, options);
        match outcome {
            Ok(()) => {}
            Err(error) if needed => return Err(format!("mount {kind} on {place}: {error}")),
            Err(error) => eprintln!("init: mount {kind} on {place}: {error}; going on without it"),
        }
    }
    for (target, link) in LINKS {
        match std::os::unix::fs::symlink(target, link) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(format!("symlink {link}: {error}")),
        }
    }
    Ok(())
}

fn mount_one(kind: &str, place: &str, options: &str) -> io::Result<()> {
    if !Path::new(place).exists() {
        fs::create_dir_all(place)?;
    }
    let options = std::ffi::CString::new(options)?;
    match mount(kind, place, kind, MountFlags::empty(), &*options) {
        // The kernel mounts /dev by itself when it was configured to.
        Err(rustix::io::Errno::BUSY) => Ok(()),
        other => Ok(other?),
    }
}

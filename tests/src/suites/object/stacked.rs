// SPDX-License-Identifier: GPL-2.0
//! Stacked file systems: overlayfs works on its layers by itself, where no path of the caller leads. What is allowed above must work below.

use libc::EACCES;

use super::{compiled, fresh, name, open};
use crate::harness::{Test, skip, tests};
use crate::kernel::attach;
use crate::sys::child::run;
use crate::sys::sys;

pub(super) fn tests() -> Vec<Test> {
    tests!("object::stacked"; overlay_works_beneath_what_is_allowed)
}

/// The kernel's own module for it, if the guest has it and the kernel does not.
fn load_overlayfs() {
    /// `MODULE_INIT_COMPRESSED_FILE` of include/uapi/linux/module.h
    const COMPRESSED: i32 = 4;
    if let Ok(module) = crate::sys::open(c"/lib/modules/overlay.ko.xz", libc::O_RDONLY) {
        let _ = sys!(libc::SYS_finit_module, &module, c"", COMPRESSED);
    }
}

fn overlay_works_beneath_what_is_allowed() {
    load_overlayfs();
    let dir = fresh("overlay");
    for part in ["disk", "merged"] {
        std::fs::create_dir(format!("{dir}/{part}")).expect("mkdir");
    }
    let policy = format!(
        "on vfs.pick {{
            allow flags has internal
            allow path under \"{dir}/merged\"
            allow action == lookup and path == \"/\", \"/tmp\", \"{dir}\"
            default deny EACCES
        }}"
    );
    let image = compiled(&policy);
    let seen = run(|board| {
        assert_eq!(sys!(libc::SYS_unshare, libc::CLONE_NEWNS), Ok(0));
        let disk = name(format!("{dir}/disk"));
        assert_eq!(
            sys!(libc::SYS_mount, c"none", disk.as_c_str(), c"tmpfs", 0, 0),
            Ok(0)
        );
        for part in ["lower", "upper", "work"] {
            std::fs::create_dir(format!("{dir}/disk/{part}")).expect("mkdir");
        }
        std::fs::write(format!("{dir}/disk/lower/old"), "old").expect("write");
        let options = name(format!(
            "lowerdir={dir}/disk/lower,upperdir={dir}/disk/upper,workdir={dir}/disk/work"
        ));
        let merged = name(format!("{dir}/merged"));
        let mounted = sys!(
            libc::SYS_mount,
            c"overlay",
            merged.as_c_str(),
            c"overlay",
            0,
            options.as_c_str()
        );
        board.ret(mounted);
        if mounted.is_err() {
            return;
        }
        attach(&image);
        let old = name(format!("{dir}/merged/old"));
        let new = name(format!("{dir}/merged/new"));
        board.ret(open(&format!("{dir}/merged/old")));
        board.put(
            std::fs::read_dir(format!("{dir}/merged")).map_or(-1, |names| names.count() as i64),
        );
        board.ret(sys!(
            libc::SYS_setxattr,
            old.as_c_str(),
            c"user.evf",
            &b"v"[..],
            1,
            0
        ));
        let mut value = [0u8; 4];
        board.ret(sys!(
            libc::SYS_getxattr,
            old.as_c_str(),
            c"user.evf",
            value.as_mut_ptr(),
            value.len()
        ));
        board.ret(sys!(libc::SYS_chmod, old.as_c_str(), 0o600));
        board.put(std::fs::write(format!("{dir}/merged/new"), "new").map_or(-1, |()| 0));
        board.ret(sys!(libc::SYS_rename, new.as_c_str(), old.as_c_str()));
        board.ret(sys!(libc::SYS_unlink, old.as_c_str()));
        // The layers themselves are not what is allowed.
        board.ret(open(&format!("{dir}/disk/lower/old")));
    });
    let values = seen.well();
    if values == [-i64::from(libc::ENODEV)] {
        skip("this kernel has no overlayfs");
    }
    assert_eq!(values, [0, 0, 1, 0, 1, 0, 0, 0, 0, -i64::from(EACCES)]);
}

// SPDX-License-Identifier: GPL-2.0
//! Stacked file systems: overlayfs works on its layers by itself, where no path of the caller leads. What is allowed above must work below.

use io_uring::opcode;
use libc::EACCES;

use super::{ONE, compiled, fresh, name, open};
use crate::harness::{Test, skip, tests};
use crate::kernel::attach;
use crate::ring::Ring;
use crate::sys::child::run;
use crate::sys::{Ret, sys};

pub(super) fn tests() -> Vec<Test> {
    tests!("object::stacked"; overlay_works_beneath_what_is_allowed, layer_is_no_object_of_its_own_for_a_worker, layers_that_nobody_sees)
}

/// The kernel's own module for it, if the guest has it and the kernel does not.
fn load_overlayfs() {
    /// `MODULE_INIT_COMPRESSED_FILE` of include/uapi/linux/module.h
    const COMPRESSED: i32 = 4;
    if let Ok(module) = crate::sys::open(c"/lib/modules/overlay.ko.xz", libc::O_RDONLY) {
        let _ = sys!(libc::SYS_finit_module, &module, c"", COMPRESSED);
    }
}

/// Mounts an overlay at `dir/merged`, in a mount namespace of the caller's own, whose lower directory has a file `old`.
fn mount_overlay(dir: &str) -> Ret {
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
    sys!(
        libc::SYS_mount,
        c"overlay",
        merged.as_c_str(),
        c"overlay",
        0,
        options.as_c_str()
    )
}

fn overlay_works_beneath_what_is_allowed() {
    load_overlayfs();
    let dir = fresh("overlay");
    for part in ["disk", "merged"] {
        std::fs::create_dir(format!("{dir}/{part}")).expect("mkdir");
    }
    let policy = format!(
        "on vfs.pick {{
            deny ENOTUNIQ action == map and path == \"{dir}/merged/new\"
            allow flags has internal
            allow path under \"{dir}/merged\"
            allow action == lookup and path == \"/\", \"/tmp\", \"{dir}\"
            default deny EACCES
        }}"
    );
    let image = compiled(&policy);
    let seen = run(|board| {
        let mounted = mount_overlay(&dir);
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
        // What is mapped is a file of a layer; it is judged where the caller sees it.
        board.ret(reprotected(&new));
        board.ret(sys!(libc::SYS_rename, new.as_c_str(), old.as_c_str()));
        board.ret(sys!(libc::SYS_unlink, old.as_c_str()));
        // The layers themselves are not what is allowed.
        board.ret(open(&format!("{dir}/disk/lower/old")));
    });
    let values = seen.well();
    if values == [-i64::from(libc::ENODEV)] {
        skip("this kernel has no overlayfs");
    }
    let mapped = -i64::from(ONE);
    assert_eq!(
        values,
        [0, 0, 1, 0, 1, 0, 0, mapped, 0, 0, -i64::from(EACCES)]
    );
}

/// Maps a file for reading and makes the memory executable afterwards: then it is code.
fn reprotected(path: &std::ffi::CStr) -> Ret {
    let file = crate::sys::open(path, libc::O_RDONLY)?;
    let at = sys!(
        libc::SYS_mmap,
        0,
        4096,
        libc::PROT_READ,
        libc::MAP_PRIVATE,
        &file,
        0
    )?;
    sys!(
        libc::SYS_mprotect,
        at,
        4096,
        libc::PROT_READ | libc::PROT_EXEC
    )
}

/// A worker of io_uring acts with the credentials of who asked, which need not be its own. That does not make it an overlay.
fn layer_is_no_object_of_its_own_for_a_worker() {
    load_overlayfs();
    let dir = fresh("overlay-worker");
    for part in ["disk", "merged"] {
        std::fs::create_dir(format!("{dir}/{part}")).expect("mkdir");
    }
    let image = compiled(
        "on vfs.pick {
            allow action != xattr-set
            allow flags has internal
            default deny ENOTUNIQ
        }",
    );
    let seen = run(|board| {
        let mounted = mount_overlay(&dir);
        if mounted.is_err() {
            board.ret(mounted);
            return;
        }
        let mut ring = Ring::new();
        ring.wake_worker();
        attach(&image);
        // New credentials, of the same content.
        assert_eq!(sys!(libc::SYS_setregid, -1, -1), Ok(0));
        let layer = name(format!("{dir}/disk/lower/old"));
        let value = b"v".as_ptr().cast();
        let entry = opcode::SetXattr::new(c"user.evf".as_ptr(), value, layer.as_ptr(), 1);
        board.ret(ring.call(entry.build()));
    });
    let values = seen.well();
    if values == [-i64::from(libc::ENODEV)] {
        skip("this kernel has no overlayfs");
    }
    assert_eq!(values, [-i64::from(ONE)]);
}

/// As in a container: the layers are mounted nowhere that the caller could see.
fn layers_that_nobody_sees() {
    load_overlayfs();
    let dir = fresh("overlay-alone");
    for part in ["disk", "merged"] {
        std::fs::create_dir(format!("{dir}/{part}")).expect("mkdir");
    }
    let image = compiled(&format!(
        "on vfs.pick {{
            allow flags has internal
            allow path under \"{dir}/merged\"
            default deny EACCES
        }}"
    ));
    let seen = run(|board| {
        let mounted = mount_overlay(&dir);
        board.ret(mounted);
        if mounted.is_err() {
            return;
        }
        let disk = name(format!("{dir}/disk"));
        assert_eq!(
            sys!(libc::SYS_umount2, disk.as_c_str(), libc::MNT_DETACH),
            Ok(0)
        );
        attach(&image);
        let merged = name(format!("{dir}/merged"));
        let old = name(format!("{dir}/merged/old"));
        let mut state = [0u64; 16];
        board.ret(sys!(
            libc::SYS_statfs,
            merged.as_c_str(),
            state.as_mut_ptr()
        ));
        board.ret(sys!(
            libc::SYS_setxattr,
            old.as_c_str(),
            c"user.evf",
            &b"v"[..],
            1,
            0
        ));
    });
    let values = seen.well();
    if values == [-i64::from(libc::ENODEV)] {
        skip("this kernel has no overlayfs");
    }
    assert_eq!(values, [0, 0, 0]);
}

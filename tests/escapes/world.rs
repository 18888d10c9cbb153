// SPDX-License-Identifier: GPL-2.0
//! The place of the deed: an allowed tree, `/home/escape`, and one that is not, `/home/secret`, on one mount of one file system, fresh for each case.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use crate::random::{Random, Wish};
use crate::sys::sys;

/// The secrets of one run.
#[derive(Clone, Debug)]
pub struct World {
    /// What the secret files hold.
    pub flag: String,
    /// What the program outside says when it runs.
    pub ran: String,
    /// The size of `/home/secret/flag`.
    pub size: u64,
    /// Which of the files `/home/secret/bit-N` exist, and of `/home/bit-N`.
    pub bits: u64,
}

/// A directory or file with any content and mode, whatever the umask is.
fn mode(path: &str, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect(path);
}

fn file(path: &str, content: &[u8], bits: u32) {
    fs::write(path, content).expect(path);
    mode(path, bits);
}

fn directory(path: &str) {
    fs::create_dir(path).expect(path);
    mode(path, 0o777);
}

fn attribute(path: &str, name: &str, value: &str) {
    let word = |text: &str| std::ffi::CString::new(text).expect("no NUL");
    let done = sys!(
        libc::SYS_setxattr,
        &*word(path),
        &*word(name),
        value.as_ptr(),
        value.len(),
        0
    );
    assert_eq!(done, Ok(0), "setxattr {path}");
}

impl World {
    /// Leaves the mounts, host name and System V objects of the guest behind and builds the trees.
    pub fn build() -> World {
        let flags = libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC;
        assert_eq!(sys!(libc::SYS_unshare, flags), Ok(0), "unshare");
        let private = libc::MS_REC | libc::MS_PRIVATE;
        assert_eq!(sys!(libc::SYS_mount, 0, c"/", 0, private, 0), Ok(0));
        let mounted = sys!(
            libc::SYS_mount,
            c"tmpfs",
            c"/home",
            c"tmpfs",
            0,
            c"mode=0755"
        );
        assert_eq!(mounted, Ok(0), "mount");

        let mut random = Random::new(Wish::get().seed());
        let mut token = || format!("{:016x}{:016x}", random.number(), random.number());
        let (flag, ran) = (token(), token());
        let bits = random.number() & 0xffff;
        let size = 4096 + random.number() % 60_000;
        let world = World {
            flag,
            ran,
            size,
            bits,
        };
        let flag = world.flag.as_bytes();
        let mut content = flag.to_vec();
        content.resize(size as usize, b'.');

        // Names that lead to what belongs to the attacker, in the allowed tree.
        directory("/home/escape");
        for name in ["flag", "victim", "door"] {
            file(&format!("/home/escape/{name}"), b"own", 0o666);
        }
        directory("/home/escape/dir");
        symlink("own", "/home/escape/link").expect("symlink");
        file("/home/escape/prog", &super::elf::says("own"), 0o755);

        // The same names outside.
        directory("/home/secret");
        file("/home/secret/flag", &content, 0o644);
        attribute("/home/secret/flag", "user.token", &world.flag);
        attribute(
            "/home/secret/flag",
            &format!("user.name-{}", world.flag),
            "v",
        );
        file("/home/secret/victim", b"do not touch", 0o666);
        attribute("/home/secret/victim", "user.mark", "do not remove");
        file("/home/secret/only", b"", 0o644);
        directory("/home/secret/dir");
        directory("/home/secret/full");
        file("/home/secret/full/flag", &content, 0o644);
        symlink(&world.flag, "/home/secret/link").expect("symlink");
        file("/home/secret/prog", &super::elf::says(&world.ran), 0o755);
        for bit in (0..16).filter(|bit| world.bits >> bit & 1 == 1) {
            file(&format!("/home/secret/bit-{bit}"), b"", 0o644);
            file(&format!("/home/bit-{bit}"), b"", 0o644);
        }
        // A neighbour whose name begins like that of the allowed tree.
        directory("/home/escapee");
        file("/home/escapee/flag", &content, 0o644);
        world
    }
}

/// Everything below `/home/secret` that a change would show in.
pub fn snapshot() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    look(Path::new("/home/secret"), &mut found);
    found
}

fn look(path: &Path, found: &mut BTreeMap<String, String>) {
    let name = path.to_string_lossy().into_owned();
    let Ok(data) = fs::symlink_metadata(path) else {
        found.insert(name, "cannot be asked about".into());
        return;
    };
    let mut text = format!(
        "ino {} dev {:x} mode {:o} owner {}:{} links {} size {} modified {}.{} attributes {:?}",
        data.ino(),
        data.dev(),
        data.mode(),
        data.uid(),
        data.gid(),
        data.nlink(),
        data.size(),
        data.mtime(),
        data.mtime_nsec(),
        attributes(&name),
    );
    if data.is_file() {
        text += &format!(" holds {:?}", fs::read(path).unwrap_or_default());
    } else if data.is_symlink() {
        text += &format!(" leads to {:?}", fs::read_link(path).unwrap_or_default());
    } else if data.is_dir() {
        let mut names: Vec<_> = fs::read_dir(path)
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default();
        names.sort();
        for name in &names {
            look(name, found);
        }
    }
    found.insert(name, text);
}

/// Names of extended attributes, with the values of those that cases change, and the file's flags.
fn attributes(name: &str) -> (Vec<u8>, Vec<u8>) {
    let path = std::ffi::CString::new(name).expect("no NUL");
    let mut list = [0u8; 1024];
    let listed = sys!(libc::SYS_llistxattr, &*path, list.as_mut_ptr(), list.len());
    let mut value = [0u8; 256];
    let got = sys!(
        libc::SYS_lgetxattr,
        &*path,
        c"user.mark",
        value.as_mut_ptr(),
        value.len()
    );
    let part =
        |bytes: &[u8], count: Result<u64, i32>| bytes[..count.unwrap_or(0) as usize].to_vec();
    (part(&list, listed), part(&value, got))
}

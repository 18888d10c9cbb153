// SPDX-License-Identifier: GPL-2.0

//! Writes the archives an initramfs is made of: cpio in the `newc` format.
//!
//! Follows Documentation/driver-api/early-userspace/buffer-format.rst. Archives may follow one another in one
//! initramfs; later ones add to and replace what earlier ones made. Devices and owners are data here, so no privilege
//! is needed.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};

const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;
const CHARACTER: u32 = 0o020_000;
/// Header of 110 bytes, name and data each end at a multiple of four.
const HEADER: usize = 110;

/// Who owns a file of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// root:root.
pub(crate) const ROOT: Owner = Owner { uid: 0, gid: 0 };

/// An archive being written.
#[derive(Debug)]
pub(crate) struct Archive<W> {
    out: W,
    inode: u32,
}

struct Entry<'a> {
    name: &'a [u8],
    inode: u32,
    mode: u32,
    owner: Owner,
    links: u32,
    mtime: u32,
    bytes: u32,
    device: (u32, u32),
}

impl<W: Write> Archive<W> {
    /// Begins an archive.
    pub(crate) fn new(out: W) -> Self {
        Self { out, inode: 0 }
    }

    fn next_inode(&mut self) -> u32 {
        self.inode += 1;
        self.inode
    }

    fn header(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        let name_bytes = entry.name.len() + 1;
        write!(
            self.out,
            "070701{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}00000000{:08x}{:08x}{:08x}{:08x}00000000",
            entry.inode,
            entry.mode,
            entry.owner.uid,
            entry.owner.gid,
            entry.links,
            entry.mtime,
            entry.bytes,
            0,
            entry.device.0,
            entry.device.1,
            name_bytes
        )?;
        self.out.write_all(entry.name)?;
        self.out.write_all(&[0])?;
        self.pad(HEADER + name_bytes)
    }

    fn pad(&mut self, written: usize) -> io::Result<()> {
        let padding = written.next_multiple_of(4) - written;
        self.out.write_all(&[0; 3][..padding])
    }

    fn put(
        &mut self,
        path: &str,
        mode: u32,
        owner: Owner,
        device: (u32, u32),
        data: &[u8],
    ) -> Result<()> {
        let inode = self.next_inode();
        let entry = Entry {
            name: path.trim_start_matches('/').as_bytes(),
            inode,
            mode,
            owner,
            links: 1,
            mtime: 0,
            bytes: u32::try_from(data.len())
                .with_context(|| format!("{path} is too large for an initramfs"))?,
            device,
        };
        self.header(&entry)
            .and_then(|()| self.out.write_all(data))
            .and_then(|()| self.pad(data.len()))
            .with_context(|| format!("write {path} to the initramfs"))
    }

    /// Adds a directory.
    pub(crate) fn directory(&mut self, path: &str, permissions: u32, owner: Owner) -> Result<()> {
        self.put(path, DIRECTORY | permissions, owner, (0, 0), &[])
    }

    /// Adds a file.
    pub(crate) fn file(
        &mut self,
        path: &str,
        permissions: u32,
        owner: Owner,
        data: &[u8],
    ) -> Result<()> {
        self.put(path, REGULAR | permissions, owner, (0, 0), data)
    }

    /// Adds a character device.
    pub(crate) fn device(
        &mut self,
        path: &str,
        permissions: u32,
        major: u32,
        minor: u32,
    ) -> Result<()> {
        self.put(path, CHARACTER | permissions, ROOT, (major, minor), &[])
    }

    /// Adds everything below `root`, owned by root, except what `skip` says (given the path inside).
    pub(crate) fn tree(&mut self, root: &Path, skip: &dyn Fn(&Path) -> bool) -> Result<()> {
        let mut seen = HashMap::new();
        self.subtree(root, Path::new(""), skip, &mut seen)
    }

    fn subtree(
        &mut self,
        root: &Path,
        inner: &Path,
        skip: &dyn Fn(&Path) -> bool,
        seen: &mut HashMap<(u64, u64), u32>,
    ) -> Result<()> {
        let dir = root.join(inner);
        let mut entries: Vec<fs::DirEntry> = fs::read_dir(&dir)
            .and_then(Iterator::collect)
            .with_context(|| format!("read {}", dir.display()))?;
        // The same tree gives the same archive.
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let inner = inner.join(entry.file_name());
            if skip(&inner) {
                continue;
            }
            let path = entry.path();
            self.one(&path, &inner, seen)
                .with_context(|| format!("pack {}", path.display()))?;
            if entry.file_type()?.is_dir() {
                self.subtree(root, &inner, skip, seen)?;
            }
        }
        Ok(())
    }

    fn one(
        &mut self,
        path: &Path,
        inner: &Path,
        seen: &mut HashMap<(u64, u64), u32>,
    ) -> Result<()> {
        let meta = fs::symlink_metadata(path)?;
        let kind = meta.file_type();
        let mut entry = Entry {
            name: inner.as_os_str().as_bytes(),
            inode: self.inode + 1,
            mode: meta.permissions().mode() & 0o7777,
            owner: ROOT,
            links: 1,
            mtime: u32::try_from(meta.mtime()).unwrap_or(0),
            bytes: 0,
            device: (0, 0),
        };
        if kind.is_dir() {
            entry.mode |= DIRECTORY;
            self.inode += 1;
            return Ok(self.header(&entry)?);
        }
        if kind.is_symlink() {
            let target = fs::read_link(path)?;
            let target = target.as_os_str().as_bytes();
            entry.mode = SYMLINK | 0o777;
            entry.bytes = u32::try_from(target.len())?;
            self.inode += 1;
            self.header(&entry)?;
            self.out.write_all(target)?;
            return Ok(self.pad(target.len())?);
        }
        if kind.is_fifo() || kind.is_socket() || kind.is_block_device() || kind.is_char_device() {
            bail!("neither a file, a directory nor a symbolic link");
        }
        entry.mode |= REGULAR;
        // The first name of a file with several carries its contents; the kernel links the others to it.
        entry.links = u32::try_from(meta.nlink())?;
        if entry.links > 1 {
            if let Some(inode) = seen.get(&(meta.dev(), meta.ino())) {
                entry.inode = *inode;
                return Ok(self.header(&entry)?);
            }
            seen.insert((meta.dev(), meta.ino()), entry.inode);
        }
        self.inode += 1;
        let mut data = Vec::new();
        fs::File::open(path)?.read_to_end(&mut data)?;
        entry.bytes = u32::try_from(data.len())?;
        self.header(&entry)?;
        self.out.write_all(&data)?;
        Ok(self.pad(data.len())?)
    }

    /// Ends the archive.
    pub(crate) fn finish(mut self) -> Result<W> {
        self.put("TRAILER!!!", 0, ROOT, (0, 0), &[])?;
        self.out.flush().context("write the initramfs")?;
        Ok(self.out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, mode, uid, links, inode and data of every member, read back by the format's own rules.
    fn members(archive: &[u8]) -> Vec<(String, u32, u32, u32, u32, Vec<u8>)> {
        let mut rest = archive;
        let mut members = Vec::new();
        loop {
            assert_eq!(&rest[..6], b"070701");
            let field = |n: usize| {
                let text = std::str::from_utf8(&rest[6 + 8 * n..14 + 8 * n]).expect("ASCII");
                u32::from_str_radix(text, 16).expect("hexadecimal")
            };
            let (inode, mode, uid, links) = (field(0), field(1), field(2), field(4));
            let (size, name_size) = (field(6) as usize, field(11) as usize);
            let name =
                String::from_utf8(rest[HEADER..HEADER + name_size - 1].to_vec()).expect("UTF-8");
            let data_at = (HEADER + name_size).next_multiple_of(4);
            let data = rest[data_at..data_at + size].to_vec();
            rest = &rest[(data_at + size).next_multiple_of(4)..];
            if name == "TRAILER!!!" {
                assert!(rest.is_empty());
                return members;
            }
            members.push((name, mode, uid, links, inode, data));
        }
    }

    #[test]
    fn members_read_back_as_written() {
        let mut archive = Archive::new(Vec::new());
        archive
            .directory(
                "/home/sandbox",
                0o755,
                Owner {
                    uid: 1000,
                    gid: 1000,
                },
            )
            .expect("directory");
        archive.file("init", 0o755, ROOT, b"12345").expect("file");
        archive.device("dev/console", 0o600, 5, 1).expect("device");
        let members = members(&archive.finish().expect("archive"));
        let short: Vec<_> = members
            .iter()
            .map(|m| (m.0.as_str(), m.1, m.2, m.5.as_slice()))
            .collect();
        assert_eq!(
            short,
            [
                ("home/sandbox", 0o040_755, 1000, &b""[..]),
                ("init", 0o100_755, 0, b"12345"),
                ("dev/console", 0o020_600, 0, b""),
            ]
        );
    }

    #[test]
    fn tree_keeps_modes_and_links_and_skips_what_it_is_told() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let root = dir.path();
        fs::create_dir_all(root.join("usr/share/doc/x")).expect("directories");
        fs::create_dir_all(root.join("usr/bin")).expect("directories");
        fs::write(root.join("usr/bin/a"), "same").expect("file");
        fs::set_permissions(root.join("usr/bin/a"), fs::Permissions::from_mode(0o4755))
            .expect("mode");
        fs::hard_link(root.join("usr/bin/a"), root.join("usr/bin/b")).expect("hard link");
        std::os::unix::fs::symlink("usr/bin", root.join("bin")).expect("link");
        let mut archive = Archive::new(Vec::new());
        archive
            .tree(root, &|path| path.starts_with("usr/share/doc"))
            .expect("tree");
        let members = members(&archive.finish().expect("archive"));
        let names: Vec<_> = members.iter().map(|m| m.0.as_str()).collect();
        assert_eq!(
            names,
            [
                "bin",
                "usr",
                "usr/bin",
                "usr/bin/a",
                "usr/bin/b",
                "usr/share"
            ]
        );
        let (a, b) = (&members[3], &members[4]);
        assert_eq!((a.1, a.3, a.5.as_slice()), (0o104_755, 2, &b"same"[..]));
        assert_eq!((b.4, b.3, b.5.len()), (a.4, 2, 0));
        assert_eq!(
            (members[0].1, members[0].5.as_slice()),
            (0o120_777, &b"usr/bin"[..])
        );
    }
}

// SPDX-License-Identifier: GPL-2.0
//! The files that the deeds are done to.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;

/// The file of all deeds, 16 bytes long: in the first directory that rules name, one further down.
pub(crate) const FILE: &str = "/tmp/d0/sub/file";
/// What is read from and written to. Their own files, so that no time stamp of one is changed by the other.
pub(crate) const READ: &str = "/tmp/d0/sub/read";
pub(crate) const WRITTEN: &str = "/tmp/d0/sub/written";
/// What is renamed, there and back.
pub(crate) const RENAMED: [&str; 2] = ["/tmp/d0/sub/from", "/tmp/d0/sub/to"];
/// A program of three instructions.
pub(crate) const PROGRAM: &str = "/tmp/d0/sub/true";
/// This program, where the rules for directories allow it to be run, and where those for real programs do.
pub(crate) const SELF: &str = "/tmp/d0/sub/evf-bench";
pub(crate) const SELF_INSTALLED: &str = "/usr/bin/evf-bench";
/// A file that no rule allows.
pub(crate) const FORBIDDEN: &str = "/tmp/forbidden/file";
/// Where programs and what they need lie; and where they work.
pub(crate) const SYSTEM: [&str; 8] = [
    "/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/proc", "/sys",
];
pub(crate) const OWN: [&str; 2] = ["/tmp", "/dev"];
/// Lengths of names, in bytes, by which a file can be opened.
pub(crate) const LENGTHS: [usize; 7] = [20, 40, 80, 160, 320, 640, 1280];

/// `mov eax, SYS_exit_group; xor edi, edi; syscall`.
const EXIT: [u8; 9] = [0xb8, 0xe7, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05];

/// The directory that rule `n` is about: the first is [`FILE`]'s, the others are named as in a tree of sources, with no order that an automaton could make
/// use of.
pub(crate) fn place(n: usize) -> String {
    if n == 0 {
        return "/tmp/d0".to_owned();
    }
    let module = n.wrapping_mul(2_654_435_761) as u32 >> 8;
    format!(
        "/tmp/team-{}/service-{}/module_{module:06x}",
        n % 17,
        n / 17 % 29
    )
}

/// Makes all of it, with the first `places` directories.
pub(crate) fn set(places: usize) -> io::Result<()> {
    for n in 0..places.max(1) {
        fs::create_dir_all(place(n))?;
    }
    for dir in ["/tmp/d0/sub", "/tmp/forbidden", "/tmp/policies"] {
        fs::create_dir_all(dir)?;
    }
    for file in [FILE, READ, WRITTEN, RENAMED[0], FORBIDDEN] {
        fs::write(file, [b'x'; 64])?;
    }
    fs::copy("/proc/self/exe", SELF)?;
    fs::write(PROGRAM, program())?;
    fs::set_permissions(PROGRAM, fs::Permissions::from_mode(0o755))?;
    for length in LENGTHS {
        let path = named(length);
        if let Some((dir, _)) = path.rsplit_once('/') {
            fs::create_dir_all(dir)?;
        }
        fs::write(path, "x")?;
    }
    Ok(())
}

/// A path of `length` bytes below the first place, in components of at most 100 bytes.
pub(crate) fn named(length: usize) -> String {
    let mut path = "/tmp/d0".to_owned();
    while path.len() < length {
        let left = length - path.len() - 1;
        // Never leave one byte, which could only be a slash.
        let component = if left <= 100 { left } else { 100.min(left - 2) };
        path.push('/');
        path.extend(std::iter::repeat_n('p', component));
    }
    path
}

/// A path as a C string. All paths here are constants without a NUL.
pub(crate) fn c(path: &str) -> CString {
    CString::new(path).unwrap_or_default()
}

/// A static ELF program that ends at once: one header, one segment.
fn program() -> Vec<u8> {
    const HEADERS: u64 = 64 + 56;
    const BASE: u64 = 0x40_0000;
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    file.extend([2, 0, 62, 0, 1, 0, 0, 0]); // ET_EXEC, EM_X86_64, EV_CURRENT
    file.extend((BASE + HEADERS).to_le_bytes()); // entry
    file.extend(64_u64.to_le_bytes()); // program headers
    file.extend(0_u64.to_le_bytes()); // no sections
    file.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]); // sizes and counts
    file.extend([1, 0, 0, 0, 5, 0, 0, 0]); // PT_LOAD, read and execute
    let size = HEADERS + EXIT.len() as u64;
    for word in [0, BASE, BASE, size, size, 0x1000] {
        file.extend(word.to_le_bytes());
    }
    file.extend(EXIT);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_length_they_are_called_by() {
        for length in LENGTHS {
            let path = named(length);
            assert_eq!(path.len(), length, "{path}");
            assert!(path.starts_with("/tmp/d0/") && !path.ends_with('/') && !path.contains("//"));
        }
        // Every length, not only those in use.
        for length in 9..400 {
            let path = named(length);
            assert!(path.len() == length && !path.ends_with('/'), "{path}");
        }
    }

    #[test]
    fn places_are_as_many_as_their_numbers() {
        let all: std::collections::BTreeSet<String> = (0..10_000).map(place).collect();
        assert_eq!(all.len(), 10_000);
    }

    #[test]
    fn program_is_as_long_as_its_headers_say() {
        let file = program();
        assert_eq!(file.len(), 64 + 56 + EXIT.len());
        assert_eq!(file[64 + 32..64 + 40], (file.len() as u64).to_le_bytes());
    }
}

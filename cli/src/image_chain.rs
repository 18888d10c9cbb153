// SPDX-License-Identifier: GPL-2.0
//! The names that one `execve` makes the kernel open: the file, the interpreter of a script, the loader of an ELF program.
//!
//! Each is judged by `vfs.getname`, so a policy that allows the program but not its loader refuses the execution with no more than an errno.
//! Knowing the names, `evf run` can say which one it was. Sources: `fs/binfmt_script.c`, `fs/binfmt_elf.c`.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// How many interpreters of interpreters the kernel follows (`exec_binprm`).
const MAX_DEPTH: usize = 5;

/// Bytes of a file that the kernel looks at to tell what it is: `BINPRM_BUF_SIZE`.
const HEAD_BYTES: u64 = 256;

/// Longest loader name: `PATH_MAX`.
const MAX_NAME_BYTES: u64 = 4096;

/// Most program headers looked at: what fits into 64 KiB (`load_elf_phdrs`).
const MAX_HEADERS: u64 = 1024;

/// A file that the kernel opens on the way.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// Its name, as the kernel sees it.
    pub(crate) path: PathBuf,
    /// Whether it is named by a file and not by the caller.
    pub(crate) from_kernel: bool,
}

/// The files that executing `path` opens, in order.
///
/// A file that cannot be read (it may still be executable) ends the list: it is used to explain a refusal, never to decide.
pub(crate) fn names(path: &Path) -> Vec<Link> {
    let mut links = vec![Link {
        path: path.to_owned(),
        from_kernel: false,
    }];
    for _ in 0..MAX_DEPTH {
        let Some(Ok(Some(next))) = links.last().map(|link| interpreter(&link.path)) else {
            break;
        };
        let is_loader = next.is_loader;
        links.push(Link {
            path: next.path,
            from_kernel: true,
        });
        if is_loader {
            break;
        }
    }
    links
}

struct Interpreter {
    path: PathBuf,
    /// A loader is mapped and not executed, so that its own interpreter does not matter.
    is_loader: bool,
}

fn interpreter(path: &Path) -> io::Result<Option<Interpreter>> {
    let file = File::open(path)?;
    let mut head = Vec::new();
    (&file).take(HEAD_BYTES).read_to_end(&mut head)?;
    if let Some(line) = head.strip_prefix(b"#!") {
        return Ok(script(line).map(|name| Interpreter {
            path: name,
            is_loader: false,
        }));
    }
    Ok(loader(&file, &head)?.map(|name| Interpreter {
        path: name,
        is_loader: true,
    }))
}

fn script(line: &[u8]) -> Option<PathBuf> {
    let line = line.split(|&byte| byte == b'\n').next()?;
    let name = line
        .split(|&byte| matches!(byte, b' ' | b'\t' | 0))
        .find(|word| !word.is_empty())?;
    Some(PathBuf::from(OsString::from_vec(name.to_vec())))
}

fn loader(file: &File, head: &[u8]) -> io::Result<Option<PathBuf>> {
    const PT_INTERP: u64 = 3;
    let Some(layout) = Layout::of(head) else {
        return Ok(None);
    };
    let (Some(start), Some(size), Some(count)) = (
        number(head, layout.phoff),
        number(head, layout.phentsize),
        number(head, layout.phnum),
    ) else {
        return Ok(None);
    };
    for index in 0..count.min(MAX_HEADERS) {
        let mut header = [0; 56];
        let at = start.saturating_add(index.saturating_mul(size));
        file.read_exact_at(&mut header[..layout.header_bytes], at)?;
        if number(&header, (0, 4)) != Some(PT_INTERP) {
            continue;
        }
        let (Some(offset), Some(length)) = (
            number(&header, layout.offset),
            number(&header, layout.filesz),
        ) else {
            return Ok(None);
        };
        let mut name = vec![0; length.min(MAX_NAME_BYTES) as usize];
        file.read_exact_at(&mut name, offset)?;
        let end = name.iter().position(|&byte| byte == 0);
        name.truncate(end.unwrap_or(name.len()));
        return Ok(Some(PathBuf::from(OsString::from_vec(name))));
    }
    Ok(None)
}

/// Where an ELF file of one class keeps what is needed here: offset and width of each field.
struct Layout {
    phoff: (usize, usize),
    phentsize: (usize, usize),
    phnum: (usize, usize),
    header_bytes: usize,
    offset: (usize, usize),
    filesz: (usize, usize),
}

impl Layout {
    fn of(head: &[u8]) -> Option<Layout> {
        match head.get(..6)? {
            [0x7f, b'E', b'L', b'F', 2, 1] => Some(Layout {
                phoff: (32, 8),
                phentsize: (54, 2),
                phnum: (56, 2),
                header_bytes: 56,
                offset: (8, 8),
                filesz: (32, 8),
            }),
            [0x7f, b'E', b'L', b'F', 1, 1] => Some(Layout {
                phoff: (28, 4),
                phentsize: (42, 2),
                phnum: (44, 2),
                header_bytes: 32,
                offset: (4, 4),
                filesz: (16, 4),
            }),
            _ => None,
        }
    }
}

/// The little-endian number of `width` bytes at `offset`.
fn number(bytes: &[u8], (offset, width): (usize, usize)) -> Option<u64> {
    let bytes = bytes.get(offset..offset.checked_add(width)?)?;
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |value, &byte| value << 8 | u64::from(byte)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(links: &[Link]) -> Vec<(&str, bool)> {
        links
            .iter()
            .map(|link| (link.path.to_str().unwrap_or("?"), link.from_kernel))
            .collect()
    }

    #[test]
    fn a_script_leads_to_its_interpreter() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        let inner = root.path().join("inner");
        let outer = root.path().join("outer");
        std::fs::write(&inner, "#! \t/no/such/interpreter -x\n")?;
        std::fs::write(&outer, format!("#!{}\n", inner.display()))?;
        let links = names(&outer);
        assert_eq!(
            shown(&links),
            [
                (outer.to_str().unwrap_or_default(), false),
                (inner.to_str().unwrap_or_default(), true),
                ("/no/such/interpreter", true),
            ]
        );
        Ok(())
    }

    #[test]
    fn a_program_leads_to_its_loader() -> io::Result<()> {
        // A minimal ELF file: header, one program header, the name.
        let mut file = vec![0u8; 64 + 56];
        file[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
        file[32] = 64; // e_phoff
        file[54] = 56; // e_phentsize
        file[56] = 1; // e_phnum
        file[64] = 3; // PT_INTERP
        file[64 + 8] = 120; // p_offset
        let name = b"/lib64/ld-linux-x86-64.so.2\0";
        file[64 + 32] = name.len() as u8; // p_filesz
        file.extend_from_slice(name);
        let root = tempfile::tempdir()?;
        let path = root.path().join("program");
        std::fs::write(&path, file)?;
        let links = names(&path);
        assert_eq!(shown(&links)[1..], [("/lib64/ld-linux-x86-64.so.2", true)]);
        Ok(())
    }

    #[test]
    fn a_truncated_program_ends_the_chain() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        let path = root.path().join("short");
        std::fs::write(&path, [0x7f, b'E', b'L', b'F', 2, 1, 1, 0])?;
        assert_eq!(names(&path).len(), 1);
        Ok(())
    }
}

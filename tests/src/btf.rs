// SPDX-License-Identifier: GPL-2.0
//! The kernel's description of its own types and functions (Documentation/bpf/btf.rst), as far as it takes to find a function.

/// Where the kernel shows it.
const PATH: &str = "/sys/kernel/btf/vmlinux";

const MAGIC: u16 = 0xeb9f;

/// `struct btf_header`, up to what is needed here: where types and names lie behind it.
const HEADER_LEN: usize = 4;
const TYPES_AT: usize = 8;
const NAMES_AT: usize = 16;

/// Bytes of a `struct btf_type`: name, kind and count, size or type.
const TYPE_BYTES: usize = 12;

const KIND_FUNC: u32 = 12;

/// The id of a function of the kernel proper, which must be there. The error says that this kernel has no such description.
#[track_caller]
pub(crate) fn function(name: &str) -> Result<u32, String> {
    let bytes = std::fs::read(PATH).map_err(|error| format!("{PATH}: {error}"))?;
    match find(&bytes, name) {
        Some(Ok(id)) => Ok(id),
        Some(Err(reason)) => panic!("{reason}"),
        None => panic!("{PATH} ends early"),
    }
}

/// The same in these bytes; `None` if they lead outside.
fn find(bytes: &[u8], name: &str) -> Option<Result<u32, String>> {
    let magic = u16::from_le_bytes(bytes.get(..2)?.try_into().ok()?);
    if magic != MAGIC {
        return Some(Err(format!("{PATH} is not BTF")));
    }
    let header = word(bytes, HEADER_LEN)? as usize;
    let types = section(bytes, header, TYPES_AT)?;
    let names = section(bytes, header, NAMES_AT)?;
    let (mut at, mut id) = (0, 0);
    while at < types.len() {
        // Types are counted from 1.
        id += 1;
        let info = word(types, at + 4)?;
        let (kind, count) = (info >> 24 & 0x7f, info as usize & 0xff_ffff);
        if kind == KIND_FUNC {
            let text = names.get(word(types, at)? as usize..)?;
            let text = text.split(|byte| *byte == 0).next()?;
            if text == name.as_bytes() {
                return Some(Ok(id));
            }
        }
        let Some(more) = behind(kind, count) else {
            return Some(Err(format!("{PATH} has the unknown kind {kind}")));
        };
        at += TYPE_BYTES + more;
    }
    Some(Err(format!("{PATH} does not have {name}")))
}

/// Bytes that follow a type of this kind with `count` members.
fn behind(kind: u32, count: usize) -> Option<usize> {
    Some(match kind {
        // Pointers, qualifiers and names for types; forward declarations; functions; floats; type tags.
        2 | 7..=12 | 16 | 18 => 0,
        // Integers, variables, declaration tags.
        1 | 14 | 17 => 4,
        // Arrays.
        3 => 12,
        // Structs, unions, sections, 64-bit enumerations.
        4 | 5 | 15 | 19 => 12 * count,
        // Enumerations, parameters.
        6 | 13 => 8 * count,
        _ => return None,
    })
}

/// The section whose offset, and then whose length, stand at `place` of the header.
fn section(bytes: &[u8], header: usize, place: usize) -> Option<&[u8]> {
    let start = header + word(bytes, place)? as usize;
    bytes.get(start..start + word(bytes, place + 4)? as usize)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

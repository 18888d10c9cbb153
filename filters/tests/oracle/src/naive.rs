// SPDX-License-Identifier: GPL-2.0
//! String tests and the lattice of verdicts, each in the plainest way that can be written.

/// Whether `field` begins with `constant`.
pub fn prefix(field: &[u8], constant: &[u8]) -> bool {
    field.len() >= constant.len() && (0..constant.len()).all(|i| field[i] == constant[i])
}

/// Whether `field` ends with `constant`.
pub fn suffix(field: &[u8], constant: &[u8]) -> bool {
    let reversed = |bytes: &[u8]| bytes.iter().rev().copied().collect::<Vec<u8>>();
    prefix(&reversed(field), &reversed(constant))
}

/// Whether `constant` occurs in `field`.
pub fn contains(field: &[u8], constant: &[u8]) -> bool {
    (0..=field.len()).any(|start| prefix(&field[start..], constant))
}

/// Whether `path` is `tree` or a path below it.
///
/// By components: split at every `/`, the components of `tree` (without the empty one after a final slash) must be the first ones of `path`. A
/// tree with a final slash covers only what has that slash too.
pub fn under(path: &[u8], tree: &[u8]) -> bool {
    let mut outer: Vec<&[u8]> = tree.split(|&byte| byte == b'/').collect();
    let inner: Vec<&[u8]> = path.split(|&byte| byte == b'/').collect();
    if tree.ends_with(b"/") {
        outer.pop();
        return inner.len() > outer.len() && inner[..outer.len()] == outer[..];
    }
    inner.len() >= outer.len() && inner[..outer.len()] == outer[..]
}

/// seccomp's order of actions, from `include/uapi/linux/seccomp.h` ("ordered from least permissive values to most").
pub const ORDER: [(u32, &str); 8] = [
    (0x8000_0000, "kill-process"),
    (0x0000_0000, "kill-thread"),
    (0x0003_0000, "trap"),
    (0x0005_0000, "errno"),
    (0x7fc0_0000, "notify"),
    (0x7ff0_0000, "trace"),
    (0x7ffc_0000, "log"),
    (0x7fff_0000, "allow"),
];

/// Place of a raw verdict in that order, 0 the strictest; an unknown action is a kill.
pub fn strictness(raw: u32) -> usize {
    ORDER
        .iter()
        .position(|(action, _)| *action == raw & 0xffff_0000)
        .unwrap_or(0)
}

/// The meet of the verdicts of all layers, given oldest first, and the layer that gave it.
pub fn meet(layers: &[Option<u32>]) -> Option<(usize, u32)> {
    let mut best: Option<(usize, u32)> = None;
    for (index, raw) in layers.iter().enumerate() {
        let Some(raw) = *raw else { continue };
        let known = ORDER.iter().any(|(action, _)| *action == raw & 0xffff_0000);
        let raw = if known { raw } else { 0x8000_0000 };
        match best {
            Some((_, held)) if strictness(held) < strictness(raw) => {}
            _ => best = Some((index, raw)),
        }
    }
    best
}

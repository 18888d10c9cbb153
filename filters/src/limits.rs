// SPDX-License-Identifier: GPL-2.0
//! Every maximum, in one place.

/// Instructions in one program: `BPF_MAXINSNS` of `include/uapi/linux/bpf_common.h`.
pub const MAX_INSNS: usize = 4096;

/// Layers on one task.
pub const MAX_LAYERS: usize = 64;

/// Cost of all programs for one event on one task, each program counted with [`LAYER_COST`] more, like `MAX_INSNS_PER_PATH` of
/// `kernel/seccomp.c`. A classic instruction costs 1; for string instructions see below. Each of [`MAX_LAYERS`] layers can hold a search and a
/// walk.
pub const MAX_STACK_COST: u32 = 65536;

/// Cost added for each layer in that count, as in `seccomp_attach_filter`.
pub const LAYER_COST: u32 = 4;

/// Cost of a string comparison: at most `PATH_MAX` bytes are compared, many at a time.
pub const COMPARE_COST: u32 = 16;

/// Cost of a walk through a table: at most `PATH_MAX` bytes, each at most three steps of the automaton.
pub const MATCH_COST: u32 = 256;

/// Cost of a search: at most `PATH_MAX` times [`MAX_NEEDLE_BYTES`] bytes are compared.
pub const SEARCH_COST: u32 = 256;

/// Bytes of a string that is searched for in another; longer ones need a table.
pub const MAX_NEEDLE_BYTES: usize = 64;

/// System call numbers of each architecture that a layer's verdict by number is kept for; larger ones are always asked about.
pub const NUMBERED_CALLS: usize = 512;

/// Words of scratch memory: `BPF_MEMWORDS` of `include/uapi/linux/filter.h`.
pub const SCRATCH_WORDS: usize = 16;

/// String constants of one program.
pub const MAX_STRINGS: usize = 4096;

/// Bytes of one string constant: `PATH_MAX` of `include/uapi/linux/limits.h`.
pub const MAX_STRING_BYTES: usize = 4096;

/// Automaton tables of one program.
pub const MAX_TABLES: usize = 64;

/// Bytes of a whole policy image; ten thousand rules take less than one MiB.
pub const MAX_IMAGE_BYTES: usize = 4 << 20;

/// Largest errno: `MAX_ERRNO` of `include/linux/err.h`. A larger value in a verdict is cut to it, as in seccomp.
pub const MAX_ERRNO: u32 = 4095;

/// States of a product of automata, at most.
pub const MAX_MERGED_STATES: usize = 4096;

/// Edges of a product, at most.
pub const MAX_MERGED_EDGES: usize = 16384;

/// Cells of a product's table, at most: each state takes one and each edge, and some stay free.
pub const MAX_MERGED_CELLS: usize = 32768;

/// What making products costs at most whenever a layer is pushed, in units of some hundred machine instructions: finding one edge, or looking through an eighth of
/// a row.
pub const MAX_MERGE_WORK: u32 = 1 << 17;

const _: () = {
    // Offsets inside an image are u32.
    assert!(MAX_IMAGE_BYTES <= u32::MAX as usize);
    // The scratch words written so far are tracked in a u16.
    assert!(SCRATCH_WORDS == 16);
    // What the documentation of `MAX_STACK_COST` promises.
    assert!(MAX_LAYERS as u32 * (SEARCH_COST + MATCH_COST + LAYER_COST + 8) <= MAX_STACK_COST);
    // A string instruction names its constant with 24 bits.
    assert!(MAX_STRINGS < 1 << 24 && MAX_TABLES < 1 << 24);
};

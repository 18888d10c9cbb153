// SPDX-License-Identifier: GPL-2.0
//! What programs and tables are spelt with, and a way through all spellings.

use filters::insn::Insn;

/// Calls `with` with every word of `length` letters: for each place, the index of a letter out of `letters`.
pub(crate) fn words(length: usize, letters: usize, with: &mut impl FnMut(&[usize])) {
    each(&vec![letters; length], with);
}

/// Calls `with` with every choice of one index below each of `counts`.
pub(crate) fn each(counts: &[usize], with: &mut impl FnMut(&[usize])) {
    assert!(counts.iter().all(|count| *count > 0));
    let mut word = vec![0; counts.len()];
    loop {
        with(&word);
        let Some(place) = (0..counts.len()).find(|&place| word[place] + 1 < counts[place]) else {
            return;
        };
        word[..place].fill(0);
        word[place] += 1;
    }
}

/// Every operation of classic BPF in seccomp's dialect and of ours, with operands on both sides of each limit that the verifier knows, and some that it knows not.
///
/// A comparison of numbers is verified as any other: only one of them comes with all distances.
pub(crate) fn instructions(record_bytes: u32) -> Vec<Insn> {
    let mut all = Vec::new();
    let mut add = |codes: &[u16], operands: &[u32]| {
        for code in codes {
            all.extend(operands.iter().map(|k| Insn::stmt(*code, *k)));
        }
    };
    // Loads: the last word of the record, what lies behind it, what is not aligned.
    add(&[0x20], &[record_bytes - 4, record_bytes, record_bytes - 2]);
    add(&[0x00, 0x01, 0x80, 0x81], &[7]);
    add(&[0x02, 0x03, 0x60, 0x61], &[0, 15, 16]);
    // Arithmetic with a constant, and with X.
    add(&[0x04, 0x14, 0x24, 0x44, 0x54, 0xa4], &[1]);
    add(&[0x34], &[0, 1]);
    add(&[0x64, 0x74], &[31, 32]);
    let with_x = [0x0c, 0x1c, 0x2c, 0x3c, 0x4c, 0x5c, 0x6c, 0x7c, 0xac];
    add(&with_x, &[0]);
    add(&[0x84, 0x07, 0x87, 0x16], &[0]);
    add(&[0x05], &[0, 1, 2, u32::MAX]);
    // Returns: allow, trap, a number that is no action.
    add(&[0x06], &[0x7fff_0000, 0x0003_0000, 0x0001_0000]);
    // Who is calling; then what no verifier may let through: packet loads, modulo, returns of X, codes with bits that mean nothing.
    add(&[0x101], &[0, 1, 2]);
    add(
        &[
            0x28, 0x30, 0x40, 0xb1, 0x94, 0x0e, 0x106, 0x116, 0x104, 0x205, 0x8005,
        ],
        &[0],
    );
    // The string load: field and table that are there, a field that is not, a table that is not.
    add(&[0x100], &[0, 1 << 24, 1]);
    for (jt, jf) in [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
        (0, 2),
        (2, 0),
        (255, 0),
        (0, 255),
    ] {
        all.push(Insn::jump(0x15, 7, jt, jf));
    }
    for code in [0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45, 0x4d] {
        all.push(Insn::jump(code, 7, 0, 1));
    }
    for code in [0x105, 0x115, 0x125, 0x135, 0x145] {
        all.extend([0, 1 << 24, 1].map(|k| Insn::jump(code, k, 0, 1)));
        all.push(Insn::jump(code, 0, 2, 0));
    }
    all
}

/// What the flow of a program is made of: ends, stores and loads of two scratch words, jumps up to three instructions far.
pub(crate) fn flow() -> Vec<Insn> {
    let mut all = vec![
        Insn::stmt(0x06, 0x7fff_0000),
        Insn::stmt(0x02, 0),
        Insn::stmt(0x60, 0),
        Insn::stmt(0x03, 15),
        Insn::stmt(0x61, 15),
    ];
    all.extend((0..4).map(|k| Insn::stmt(0x05, k)));
    for jt in 0..4 {
        // Which of the two is the further one makes no difference to the verifier, but might to a wrong one.
        all.extend(
            (0..4)
                .filter(|jf| *jf != jt)
                .map(|jf| Insn::jump(0x15, 0, jt, jf)),
        );
    }
    all
}

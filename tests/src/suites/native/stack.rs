// SPDX-License-Identifier: GPL-2.0
//! Many layers that look at arguments, made into one program: it refuses what any of them refuses, wherever that layer stands.

use filters::insn::{A, ADD, ALU, AND, Insn, JEQ, JMP, K, MUL, RET, RSH, SELF, SELF_PROCESS, X};
use filters::limits::MAX_LAYERS;
use libc::{SYS_geteuid, SYS_kill};
use uapi::control::LOAD_INTERPRETED;

use super::{NATIVE, attach_with};
use crate::harness::{Test, skip, tests};
use crate::kernel::info;
use crate::program::{ALLOW, KILL, ODD, errno, load, ret, syscalls, unless_equal_skip};
use crate::sys::child::{Board, End, run};
use crate::sys::{Ret, getpid, ia32, sys};

pub(super) fn tests() -> Vec<Test> {
    tests!("native";
        each_of_64_layers_refuses_its_argument, each_of_64_layers_refuses_its_argument_of_ia32, stack_that_is_too_long_to_be_one_program,
        one_interpreted_layer_among_64, own_ids_in_the_first_the_middle_and_the_last_layer, kills_and_traps_in_any_layer, stricter_layer_wins_wherever_it_stands,
        whole_registers_are_compared, verdict_that_each_layer_computes,
    )
}

const LAYERS: u32 = MAX_LAYERS as u32;
/// Errno of the layer that refuses argument 0.
const FIRST: i32 = 200;
const ARCH_X86_64: u32 = 0xc000_003e;
const ARCH_I386: u32 = 0x4000_0003;
const GETEUID_I386: u32 = 201;

/// Refuses `geteuid` with this first argument, at the entry `nr` and `arch` are of, after `padding` comparisons that lead nowhere.
fn layer(arch: u32, nr: u32, argument: u32, padding: u32) -> Vec<u8> {
    let mut insns = vec![
        load(4),
        Insn::jump(JMP | JEQ | K, arch, 1, 0),
        ret(ALLOW),
        load(0),
        Insn::jump(JMP | JEQ | K, nr, 1, 0),
        ret(ALLOW),
        load(16),
    ];
    for number in 0..padding {
        insns.extend([unless_equal_skip(0x8000_0000 | number, 1), ret(KILL)]);
    }
    insns.extend([
        unless_equal_skip(argument, 1),
        ret(errno(FIRST + argument as i32)),
        ret(ALLOW),
    ]);
    syscalls(insns)
}

/// What `geteuid` gives for each argument that a layer refuses, and for one that none does.
fn ask_all(board: &Board, geteuid: impl Fn(u32) -> Ret) {
    for argument in 0..=LAYERS {
        board.ret(geteuid(argument));
    }
    let info = info();
    board.put(i64::from(info.layers));
    board.put(i64::from(info.native_layers));
}

/// The same as it should be.
fn all(native_layers: u32) -> Vec<i64> {
    let refused = (0..LAYERS).map(|argument| -i64::from(FIRST + argument as i32));
    refused
        .chain([0, i64::from(LAYERS), i64::from(native_layers)])
        .collect()
}

fn native_geteuid(argument: u32) -> Ret {
    sys!(SYS_geteuid, argument)
}

fn ia32_geteuid(argument: u32) -> Ret {
    ia32::call(GETEUID_I386, [argument, 0, 0, 0, 0, 0])
}

fn each_of_64_layers_refuses_its_argument() {
    let seen = run(|board| {
        for argument in 0..LAYERS {
            let at = layer(ARCH_X86_64, SYS_geteuid as u32, argument, 0);
            attach_with(NATIVE, &at);
        }
        ask_all(board, native_geteuid);
    });
    assert_eq!(seen.well(), all(LAYERS));
}

fn each_of_64_layers_refuses_its_argument_of_ia32() {
    if ia32::call(20, [0; 6]).is_err() {
        skip("this kernel has no 32-bit system calls");
    }
    let seen = run(|board| {
        for argument in 0..LAYERS {
            attach_with(NATIVE, &layer(ARCH_I386, GETEUID_I386, argument, 0));
        }
        ask_all(board, ia32_geteuid);
        // The other entry is nothing to these layers.
        board.ret(native_geteuid(1));
    });
    let mut expected = all(LAYERS);
    expected.push(0);
    assert_eq!(seen.well(), expected);
}

/// 64 times 130 instructions: layer after layer is asked, each as machine code.
fn stack_that_is_too_long_to_be_one_program() {
    let seen = run(|board| {
        for argument in 0..LAYERS {
            let at = layer(ARCH_X86_64, SYS_geteuid as u32, argument, 60);
            attach_with(NATIVE, &at);
        }
        ask_all(board, native_geteuid);
    });
    assert_eq!(seen.well(), all(LAYERS));
}

/// Where one layer is interpreted, there is no single program.
fn one_interpreted_layer_among_64() {
    for interpreted in [0, LAYERS / 2, LAYERS - 1] {
        let seen = run(|board| {
            for argument in 0..LAYERS {
                let flags = if argument == interpreted {
                    LOAD_INTERPRETED
                } else {
                    NATIVE
                };
                let at = layer(ARCH_X86_64, SYS_geteuid as u32, argument, 0);
                attach_with(flags, &at);
            }
            ask_all(board, native_geteuid);
        });
        assert_eq!(seen.well(), all(LAYERS - 1), "{interpreted} interpreted");
    }
}

/// Signals go to the caller's own process; the other layers look at other arguments.
fn own_ids_in_the_first_the_middle_and_the_last_layer() {
    let itself = syscalls(vec![
        load(0),
        Insn::jump(JMP | JEQ | K, SYS_kill as u32, 1, 0),
        ret(ALLOW),
        Insn::stmt(SELF, SELF_PROCESS),
        load(16),
        Insn::jump(JMP | JEQ | X, 0, 0, 1),
        ret(ALLOW),
        ret(errno(ODD)),
    ]);
    const COUNT: u32 = 16;
    for place in [0, COUNT / 2, COUNT - 1] {
        let parent = getpid();
        let seen = run(|board| {
            for argument in 0..COUNT {
                attach_with(NATIVE, &layer(ARCH_X86_64, SYS_geteuid as u32, argument, 0));
                if argument == place {
                    attach_with(NATIVE, &itself);
                }
            }
            board.ret(sys!(SYS_kill, getpid(), 0));
            board.ret(sys!(SYS_kill, parent, 0));
            board.ret(native_geteuid(COUNT - 1));
            // The program is one for all tasks; whose id it is, is found out at each call.
            let own = getpid();
            let child = run(|board| {
                board.ret(sys!(SYS_kill, getpid(), 0));
                board.ret(sys!(SYS_kill, own, 0));
            });
            child.well().into_iter().for_each(|value| board.put(value));
        });
        let last = -i64::from(FIRST + COUNT as i32 - 1);
        assert_eq!(seen.well(), [0, -76, last, 0, -76], "after layer {place}");
    }
}

/// One layer kills or traps, the others refuse other arguments with an errno.
fn kills_and_traps_in_any_layer() {
    for place in [0, 4, 7] {
        for (raw, end) in [
            (KILL, libc::SIGSYS),
            (crate::program::trap(7), libc::SIGSYS),
        ] {
            let seen = run(|board| {
                for argument in 0..8 {
                    if argument == place {
                        attach_with(NATIVE, &on_geteuid(99, raw));
                    }
                    attach_with(NATIVE, &on_geteuid(argument, errno(70)));
                }
                board.ret(native_geteuid(place));
                board.ret(native_geteuid(98));
                board.ret(native_geteuid(99));
            });
            assert!(
                matches!(seen.end, End::Signal(signal, _) if signal == end),
                "{seen:?}"
            );
            assert_eq!(seen.values, [-70, 0], "in layer {place}");
        }
    }
}

fn on_geteuid(argument: u32, raw: u32) -> Vec<u8> {
    syscalls(vec![
        load(0),
        unless_equal_skip(SYS_geteuid as u32, 3),
        load(16),
        unless_equal_skip(argument, 1),
        ret(raw),
        ret(ALLOW),
    ])
}

/// log, errno, and allow on the same call, in every order: the errno is seen.
fn stricter_layer_wins_wherever_it_stands() {
    use filters::verdict::Verdict;
    let layers = [ALLOW, Verdict::LOG.raw(), errno(70)];
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let seen = run(|board| {
            for at in order {
                attach_with(NATIVE, &on_geteuid(7, layers[at]));
                // Something that differs, so that no two layers are equal.
                attach_with(NATIVE, &on_geteuid(100 + at as u32, errno(71)));
            }
            board.ret(native_geteuid(7));
            board.ret(native_geteuid(8));
        });
        assert_eq!(seen.well(), [-70, 0], "{order:?}");
    }
}

/// Each half of each of the six registers, in layers of their own: nothing of a register is lost on the way into the one program.
fn whole_registers_are_compared() {
    const VALUE: u32 = 0xa5a5_0001;
    let halves: Vec<(usize, u32)> = (0..6).flat_map(|at| [(at, 0), (at, 4)]).collect();
    let seen = run(|board| {
        for (number, (at, half)) in halves.iter().enumerate() {
            attach_with(
                NATIVE,
                &syscalls(vec![
                    load(0),
                    unless_equal_skip(SYS_geteuid as u32, 3),
                    load(16 + 8 * *at as u32 + half),
                    unless_equal_skip(VALUE, 1),
                    ret(errno(FIRST + number as i32)),
                    ret(ALLOW),
                ]),
            );
        }
        for (at, half) in &halves {
            let mut args = [0u64; 6];
            args[*at] = u64::from(VALUE) << (8 * half);
            board.ret(crate::sys::decode(crate::sys::raw(
                SYS_geteuid as u64,
                args,
            )));
            args[*at] ^= 1 << (8 * half);
            board.ret(crate::sys::decode(crate::sys::raw(
                SYS_geteuid as u64,
                args,
            )));
        }
    });
    let expected: Vec<i64> = (0..12)
        .flat_map(|number| [-i64::from(FIRST + number), 0])
        .collect();
    assert_eq!(seen.well(), expected);
}

/// Each layer asks for a bit of the argument, and makes its verdict of it by arithmetic alone.
fn verdict_that_each_layer_computes() {
    const COMPUTING: u32 = 3;
    let own = |layer: u32| errno(FIRST + layer as i32);
    let image = |layer: u32| {
        syscalls(vec![
            load(0),
            Insn::jump(JMP | JEQ | K, SYS_geteuid as u32, 1, 0),
            ret(ALLOW),
            load(16),
            Insn::stmt(ALU | RSH | K, layer),
            Insn::stmt(ALU | AND | K, 1),
            Insn::stmt(ALU | MUL | K, ALLOW - own(layer)),
            Insn::stmt(ALU | ADD | K, own(layer)),
            Insn::stmt(RET | A, 0),
        ])
    };
    for flags in [NATIVE, LOAD_INTERPRETED] {
        let seen = run(|board| {
            for layer in 0..COMPUTING {
                attach_with(flags, &image(layer));
            }
            for argument in 0..1 << COMPUTING {
                board.ret(native_geteuid(argument));
            }
        });
        // The newest layer's errno is seen.
        let expected = (0..1_u32 << COMPUTING).map(|argument| {
            let refusing = (0..COMPUTING).rev().find(|bit| argument >> bit & 1 == 0);
            refusing.map_or(0, |layer| -i64::from(FIRST + layer as i32))
        });
        assert_eq!(seen.well(), expected.collect::<Vec<_>>(), "flags {flags}");
    }
}

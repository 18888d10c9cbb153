// SPDX-License-Identifier: GPL-2.0
//! Images that the kernel must refuse: errno and message are those of the verifier that the host has.

use filters::event::Event;
use filters::insn::{
    ABS, ALU, DIV, Insn, JA, JEQ, JMP, K, LD, LSH, MEM, RET, SCONTAINS, SEQ, SMATCH, ST,
};
use filters::policy::{Policy, Workspace};
use libc::{EINVAL, ENOEXEC, EOPNOTSUPP};

use crate::harness::{Test, tests};
use crate::kernel::{layers, load_with_message, try_load};
use crate::program::{
    ALLOW, KILL, Names, Part, allow_all, errno, image, load, ret, syscalls, trap,
};

/// A name, the errno, a part of the message, and how the image is made.
struct Row(&'static str, i32, &'static str, fn() -> Vec<u8>);

/// The image of a good policy with one 32-bit word changed.
fn patched(word: usize, value: u32) -> Vec<u8> {
    let mut image = allow_all();
    image[word * 4..word * 4 + 4].copy_from_slice(&value.to_le_bytes());
    image
}

fn name_program(insn: Insn) -> Vec<u8> {
    image(&[Part::getname(
        vec![insn, ret(ALLOW), ret(ALLOW)],
        vec![b"/x".to_vec()],
    )])
}

fn names_return(raw: u32) -> Vec<u8> {
    image(&[Part::getname(vec![ret(raw)], Vec::new())])
}

const ROWS: &[Row] = &[
    Row("wrong_magic", ENOEXEC, "not a policy image", || {
        patched(0, 0x3156_4646)
    }),
    Row(
        "image_size_too_small",
        ENOEXEC,
        "a length does not fit",
        || patched(1, 40),
    ),
    Row(
        "image_size_too_large",
        ENOEXEC,
        "a length does not fit",
        || patched(1, 52),
    ),
    Row("no_program", ENOEXEC, "no program", || patched(2, 0)),
    Row(
        "fewer_programs_than_there_are",
        ENOEXEC,
        "a length does not fit",
        || {
            let mut image = image(&[Part::syscall(vec![ret(ALLOW)]), Names::new().or_else(ALLOW)]);
            image[8] = 1;
            image
        },
    ),
    Row(
        "more_programs_than_there_are",
        ENOEXEC,
        "a length does not fit",
        || patched(2, 2),
    ),
    // The lowest two bits name scopes.
    Row("header_reserved", ENOEXEC, "reserved", || patched(3, 4)),
    Row("unknown_event_5", EOPNOTSUPP, "unknown event 5", || {
        patched(4, 5)
    }),
    Row(
        "unknown_event_max",
        EOPNOTSUPP,
        "unknown event 4294967295",
        || patched(4, u32::MAX),
    ),
    Row(
        "program_size_wraps",
        ENOEXEC,
        "a length does not fit",
        || patched(5, u32::MAX - 3),
    ),
    Row(
        "program_without_instructions",
        EINVAL,
        "1 to 4096 instructions",
        || patched(6, 0),
    ),
    Row(
        "program_of_4097_instructions",
        EINVAL,
        "1 to 4096 instructions",
        || syscalls(vec![ret(ALLOW); 4097]),
    ),
    Row(
        "instruction_count_wraps",
        EINVAL,
        "1 to 4096 instructions",
        || patched(6, 0x2000_0001),
    ),
    Row("too_many_strings", EINVAL, "4096 string constants", || {
        patched(7, 4097)
    }),
    Row("too_many_tables", EINVAL, "64 tables", || patched(8, 65)),
    Row("program_reserved", ENOEXEC, "reserved", || patched(9, 1)),
    Row(
        "two_programs_for_one_event",
        ENOEXEC,
        "second program",
        || {
            image(&[
                Part::syscall(vec![ret(ALLOW)]),
                Part::syscall(vec![ret(ALLOW)]),
            ])
        },
    ),
    Row(
        "unknown_instruction",
        EINVAL,
        "instruction 0: unknown instruction",
        || syscalls(vec![Insn::stmt(0x00ff, 0), ret(ALLOW)]),
    ),
    Row(
        "packet_load_of_classic_bpf",
        EINVAL,
        "unknown instruction",
        || syscalls(vec![Insn::stmt(0x30, 0), ret(ALLOW)]),
    ),
    Row(
        "modulus_is_not_of_seccomp",
        EINVAL,
        "unknown instruction",
        || syscalls(vec![Insn::stmt(0x94, 3), ret(ALLOW)]),
    ),
    Row("load_behind_the_record", EINVAL, "load at 64", || {
        syscalls(vec![load(64), ret(ALLOW)])
    }),
    Row("load_not_aligned", EINVAL, "load at 2", || {
        syscalls(vec![load(2), ret(ALLOW)])
    }),
    Row("load_far_away", EINVAL, "load at 4294967292", || {
        syscalls(vec![load(0xffff_fffc), ret(ALLOW)])
    }),
    Row(
        "load_behind_the_record_of_names",
        EINVAL,
        "load at 80",
        || name_program(load(80)),
    ),
    Row("scratch_word_16", EINVAL, "no scratch word 16", || {
        syscalls(vec![Insn::stmt(ST, 16), ret(ALLOW)])
    }),
    Row(
        "scratch_read_before_written",
        EINVAL,
        "read before it is written",
        || syscalls(vec![Insn::stmt(LD | MEM, 3), ret(ALLOW)]),
    ),
    Row(
        "scratch_written_on_one_path_only",
        EINVAL,
        "read before it is written",
        || {
            syscalls(vec![
                Insn::jump(JMP | JEQ | K, 0, 1, 0),
                Insn::stmt(ST, 3),
                Insn::stmt(LD | MEM, 3),
                ret(ALLOW),
            ])
        },
    ),
    Row("division_by_zero", EINVAL, "division by zero", || {
        syscalls(vec![Insn::stmt(ALU | DIV | K, 0), ret(ALLOW)])
    }),
    Row("shift_by_32", EINVAL, "shift by 32", || {
        syscalls(vec![Insn::stmt(ALU | LSH | K, 32), ret(ALLOW)])
    }),
    Row("jump_past_the_end", EINVAL, "jump past the end", || {
        syscalls(vec![Insn::stmt(JMP | JA, 1), ret(ALLOW)])
    }),
    Row("jump_that_wraps", EINVAL, "jump past the end", || {
        syscalls(vec![ret(ALLOW), Insn::stmt(JMP | JA, u32::MAX), ret(ALLOW)])
    }),
    Row(
        "conditional_jump_past_the_end",
        EINVAL,
        "jump past the end",
        || syscalls(vec![Insn::jump(JMP | JEQ | K, 0, 255, 0), ret(ALLOW)]),
    ),
    Row("no_return_at_the_end", EINVAL, "not a return", || {
        syscalls(vec![ret(ALLOW), load(0)])
    }),
    Row(
        "string_instruction_on_system_calls",
        EINVAL,
        "no string field 0",
        || {
            let program = vec![Insn::jump(SEQ, 0, 0, 0), ret(ALLOW)];
            let mut part = Part::syscall(program);
            part.strings.push(b"/x".to_vec());
            image(&[part])
        },
    ),
    Row(
        "string_field_that_is_not_there",
        EINVAL,
        "no string field 1",
        || name_program(Insn::jump(SEQ, Insn::string_operand(1, 0), 0, 0)),
    ),
    Row(
        "string_constant_that_is_not_there",
        EINVAL,
        "no string constant 1",
        || name_program(Insn::jump(SEQ, Insn::string_operand(0, 1), 0, 0)),
    ),
    Row("table_that_is_not_there", EINVAL, "no table 0", || {
        name_program(Insn::stmt(SMATCH, 0))
    }),
    Row("search_for_65_bytes", EINVAL, "65 bytes", || {
        let insns = vec![Insn::jump(SCONTAINS, 0, 0, 0), ret(ALLOW)];
        image(&[Part::getname(insns, vec![vec![b'x'; 65]])])
    }),
    Row(
        "string_of_4097_bytes",
        ENOEXEC,
        "string constant 0 is malformed",
        || image(&[Part::getname(vec![ret(ALLOW)], vec![vec![b'x'; 4097]])]),
    ),
    Row(
        "string_outside_the_pool",
        ENOEXEC,
        "string constant 0 is malformed",
        || {
            let mut image = image(&[Part::getname(vec![ret(ALLOW)], vec![b"/x".to_vec()])]);
            // Header 16, program header 24, one instruction 8: then offset and length of the string.
            image[48..52].copy_from_slice(&u32::MAX.to_le_bytes());
            image
        },
    ),
    Row(
        "names_cannot_trap",
        EINVAL,
        "cannot carry out verdict",
        || names_return(trap(0)),
    ),
    Row(
        "names_cannot_kill_a_thread",
        EINVAL,
        "cannot carry out verdict",
        || names_return(0),
    ),
    Row(
        "names_cannot_return_an_unknown_action",
        EINVAL,
        "cannot carry out verdict",
        || names_return(0x1234_0000),
    ),
    Row("names_cannot_return_errno_0", EINVAL, "errno 0", || {
        names_return(errno(0))
    }),
    Row("names_cannot_return_errno_512", EINVAL, "errno 512", || {
        names_return(errno(512))
    }),
    Row("program_too_costly", EINVAL, "costs more than", || {
        let insns = vec![Insn::jump(SCONTAINS, 0, 0, 0); 4000];
        let insns = insns.into_iter().chain([ret(ALLOW)]).collect();
        image(&[Part::getname(insns, vec![b"x".to_vec()])])
    }),
    Row(
        "second_program_is_the_bad_one",
        EINVAL,
        "vfs.getname: instruction 0: load at 80",
        || {
            image(&[
                Part::syscall(vec![ret(KILL)]),
                Part::getname(vec![load(80), ret(ALLOW)], Vec::new()),
            ])
        },
    ),
];

/// Refused with this errno and the very message of the verifier on the host; no descriptor, no layer.
fn refused(row: &Row) {
    let bytes = row.3();
    let mut workspace: Workspace = [0; filters::limits::MAX_INSNS];
    let refusal = Policy::verify(bytes.as_slice(), &mut workspace)
        .expect_err("the host's verifier accepts it");
    assert_eq!(i32::from(refusal.errno().0), row.1, "errno on the host");
    let mut buffer = [0xa5u8; 256];
    let (loaded, message) = load_with_message(&bytes, &mut buffer);
    assert_eq!(
        loaded.err(),
        Some(row.1),
        "errno of the kernel; it says {message:?}"
    );
    assert_eq!(message, refusal.to_string());
    assert!(
        message.contains(row.2),
        "{message:?} does not say {:?}",
        row.2
    );
    let end = message.len() + 1;
    assert!(
        buffer[end..].iter().all(|byte| *byte == 0xa5),
        "written behind the message"
    );
    assert_eq!(layers(), 0);
}

pub(super) fn tests() -> Vec<Test> {
    let mut tests: Vec<Test> = ROWS
        .iter()
        .map(|row| Test::new(format!("abi::refused_{}", row.0), || refused(row)))
        .collect();
    tests.extend(tests!("abi";
        message_is_cut_to_fit, message_buffer_of_no_bytes, message_to_a_bad_pointer, message_is_not_written_for_a_good_image, every_truncated_image_is_refused,
        every_flipped_bit_gives_an_answer, law_8_bounded_largest_image_is_loaded, image_changed_while_it_is_copied,
    ));
    tests
}

fn bad() -> Vec<u8> {
    syscalls(vec![load(64), ret(ALLOW)])
}

fn message_is_cut_to_fit() {
    let mut whole = [0u8; 256];
    let (_, whole) = load_with_message(&bad(), &mut whole);
    for length in [1, 2, 10, whole.len(), whole.len() + 1] {
        let mut buffer = vec![0xa5u8; length];
        let (loaded, cut) = load_with_message(&bad(), &mut buffer);
        assert_eq!(loaded.err(), Some(EINVAL), "buffer of {length}");
        assert_eq!(
            cut,
            whole[..(length - 1).min(whole.len())],
            "buffer of {length}"
        );
        assert!(buffer.contains(&0), "no NUL in {length} bytes");
    }
}

fn message_buffer_of_no_bytes() {
    let (loaded, message) = load_with_message(&bad(), &mut []);
    assert_eq!((loaded.err(), message.as_str()), (Some(EINVAL), ""));
}

fn message_to_a_bad_pointer() {
    use std::os::fd::AsFd;
    use uapi::control::{IOC_LOAD, Load};
    let image = bad();
    let control = crate::kernel::control();
    for message in [0u64, 1, 0xffff_8880_0000_0000] {
        let load = Load {
            size: 32,
            image: image.as_ptr() as u64,
            image_len: image.len() as u32,
            message,
            message_len: 100,
            ..Load::default()
        };
        // The refusal or the bad pointer: both tell the truth.
        let result = crate::kernel::ioctl(control.as_fd(), IOC_LOAD, &raw const load);
        assert!(matches!(result, Err(EINVAL | libc::EFAULT)), "{result:?}");
    }
}

fn message_is_not_written_for_a_good_image() {
    let mut buffer = [0xa5u8; 64];
    let (loaded, _) = load_with_message(&allow_all(), &mut buffer);
    assert!(loaded.is_ok());
    assert_eq!(buffer, [0xa5; 64]);
}

/// An image with everything in it, cut at every byte.
fn every_truncated_image_is_refused() {
    let image = image(&[
        Names::new()
            .equal(b"/a", errno(1))
            .under(b"/b/c", errno(2))
            .or_else(ALLOW),
        Part::syscall(vec![load(0), ret(ALLOW)]),
    ]);
    assert!(try_load(&image).is_ok());
    for length in 0..image.len() {
        assert!(
            try_load(&image[..length]).is_err(),
            "{length} of {} bytes",
            image.len()
        );
        let mut patched = image[..length].to_vec();
        if length >= 8 {
            patched[4..8].copy_from_slice(&(length as u32).to_le_bytes());
            assert!(try_load(&patched).is_err(), "{length} bytes that say so");
        }
    }
}

/// Each bit of an image flipped: the kernel agrees with the host's verifier.
fn every_flipped_bit_gives_an_answer() {
    let image = image(&[
        Names::new().equal(b"/a", errno(1)).or_else(ALLOW),
        Part::syscall(vec![load(0), ret(ALLOW)]),
    ]);
    let mut workspace: Workspace = [0; filters::limits::MAX_INSNS];
    for bit in 0..image.len() * 8 {
        let mut flipped = image.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let host = Policy::verify(flipped.as_slice(), &mut workspace).map(|_| ());
        let host = host.map_err(|refusal| i32::from(refusal.errno().0));
        assert_eq!(try_load(&flipped).map(|_| ()), host, "bit {bit}");
    }
}

/// The largest image but a little, nearly all of it strings that no instruction uses.
fn law_8_bounded_largest_image_is_loaded() {
    // Each string takes its bytes and an entry of eight.
    let count = (filters::limits::MAX_IMAGE_BYTES - 1024) / 4096;
    let part = Part {
        event: Event::VfsGetname.number(),
        insns: vec![ret(ALLOW)],
        strings: vec![vec![b's'; 4088]; count],
    };
    let image = image(&[part]);
    assert!(image.len() > filters::limits::MAX_IMAGE_BYTES - 8192);
    assert!(image.len() <= filters::limits::MAX_IMAGE_BYTES);
    assert_eq!(try_load(&image).err(), None);
}

/// Another thread rewrites the image while it is loaded: what is verified is the kernel's own copy, so a program that loads is a good one.
fn image_changed_while_it_is_copied() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let good = syscalls(vec![Insn::stmt(LD | ABS, 0), Insn::stmt(RET | K, ALLOW)]);
    let address = crate::sys::memory::map(4096, libc::MAP_PRIVATE);
    crate::sys::memory::write(address, &good);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                // The operand of the load: 0 is inside the record, 200 is not.
                for operand in [0u8, 200] {
                    crate::sys::memory::poke(address + 44, operand);
                }
            }
        });
        let words = [32u64, address, good.len() as u64, 0];
        let control = crate::kernel::control();
        for _ in 0..3000 {
            let loaded = crate::sys::own(crate::kernel::ioctl(
                std::os::fd::AsFd::as_fd(&control),
                uapi::control::IOC_LOAD,
                words.as_ptr(),
            ));
            assert!(matches!(loaded, Ok(_) | Err(EINVAL)), "{loaded:?}");
        }
        done.store(true, Ordering::Relaxed);
    });
}

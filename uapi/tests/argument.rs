// SPDX-License-Identifier: GPL-2.0
//! Arguments at every limit: sizes, unknown tails, flags, fields that must have one value, memory that ends or changes while it is read.

use uapi::argument::{asks_for_control, Memory, Refusal, Restriction, Whom, MAX_ARGUMENT};
use uapi::control::{Info, Load, RestrictSelf};

/// Memory that ends somewhere, and whose first word is another one at the second read.
struct Caller {
    bytes: Vec<u8>,
    /// What `size` is changed to once it has been read.
    then: Option<u32>,
}

impl Memory for Caller {
    type Fault = ();

    fn read(&mut self, offset: usize, to: &mut [u8]) -> Result<(), ()> {
        let from = self.bytes.get(offset..offset + to.len()).ok_or(())?;
        to.copy_from_slice(from);
        if let Some(then) = self.then.take() {
            self.bytes[..4].copy_from_slice(&then.to_ne_bytes());
        }
        Ok(())
    }
}

/// An argument struct of these words, in memory of `len` bytes that are otherwise zero.
fn memory(words: &[u32], len: usize) -> Caller {
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    bytes.resize(len, 0);
    Caller { bytes, then: None }
}

fn load(words: [u32; 8]) -> Result<Load, Refusal<()>> {
    Load::read(&mut memory(&words, 32))
}

fn restrict(flags: u32, fd: i32, thread: u32) -> Result<Restriction, Refusal<()>> {
    RestrictSelf::read(&mut memory(&[16, flags, fd as u32, thread], 16))
}

#[test]
fn every_size_up_to_the_limit_is_taken_and_no_other() {
    for size in (0..=MAX_ARGUMENT + 100).chain([1 << 16, u32::MAX as usize]) {
        let len = size.clamp(4, MAX_ARGUMENT);
        let words = [size as u32];
        let expected = |least| match size {
            size if size < least => Err(Refusal::Invalid),
            size if size > MAX_ARGUMENT => Err(Refusal::TooBig),
            _ => Ok(()),
        };
        let info = Info::room(&mut memory(&words, 4));
        assert_eq!(info, expected(16).map(|()| size.min(48)), "{size}");
        let load = Load::read(&mut memory(&words, len));
        assert_eq!(
            load.map(|load| assert_eq!(load.size, size as u32)),
            expected(32),
            "{size}"
        );
        let restrict = RestrictSelf::read(&mut memory(&words, len));
        assert_eq!(restrict.map(|_| ()), expected(16), "{size}");
    }
}

#[test]
fn no_byte_of_an_unknown_tail_may_be_set_and_none_behind_it_is_looked_at() {
    for size in [17, 18, 63, 64, 79, 80, 81, 144, 145, 1000, MAX_ARGUMENT] {
        let mut memory = memory(&[size as u32], size + 8);
        for at in 16..size + 8 {
            memory.bytes[at] = 0x80;
            let decoded = RestrictSelf::read(&mut memory).map(|_| ());
            let expected = if at < size {
                Err(Refusal::TooBig)
            } else {
                Ok(())
            };
            assert_eq!(decoded, expected, "byte {at} of {size}");
            memory.bytes[at] = 0;
        }
    }
}

#[test]
fn memory_that_ends_too_early_is_a_fault() {
    for size in [16, 32, 100, MAX_ARGUMENT] {
        for len in 0..size {
            let mut memory = memory(&[size as u32], size);
            memory.bytes.truncate(len);
            let decoded = RestrictSelf::read(&mut memory);
            assert_eq!(decoded, Err(Refusal::Fault(())), "{len} of {size}");
        }
    }
}

#[test]
fn the_size_that_was_checked_is_the_size_that_counts() {
    for then in [0, 33, 4096, u32::MAX] {
        let mut memory = memory(&[40], 40);
        memory.then = Some(then);
        assert_eq!(Load::read(&mut memory).map(|load| load.size), Ok(40));
        let mut memory = self::memory(&[40, 0, 0, 0, 0, 0, 0, 0, 0, 1], 40);
        memory.then = Some(then);
        assert_eq!(Load::read(&mut memory), Err(Refusal::TooBig));
    }
}

#[test]
fn fields_of_a_load_are_where_the_struct_has_them() {
    let expected = Load {
        size: 32,
        flags: 1,
        image: 0x0000_0003_0000_0002,
        image_len: 4,
        message_len: 5,
        message: 0x0000_0007_0000_0006,
    };
    assert_eq!(load([32, 1, 2, 3, 4, 5, 6, 7]), Ok(expected));
    for bit in 1..32 {
        let flags = 1 << bit;
        assert_eq!(
            load([32, flags, 0, 0, 0, 0, 0, 0]),
            Err(Refusal::NotSupported),
            "{flags:#x}"
        );
        assert_eq!(
            load([32, flags | 1, 0, 0, 0, 0, 0, 0]),
            Err(Refusal::NotSupported)
        );
    }
}

#[test]
fn flags_of_a_restriction_exclude_each_other() {
    let whom = [
        (0, Some(Whom::Caller)),
        (1, Some(Whom::AllThreads)),
        (4, Some(Whom::CallerAtExec)),
        (5, None),
    ];
    for (flags, whom) in whom {
        let restriction = |filter_fd| {
            let made = |whom| Restriction { whom, filter_fd };
            whom.map(made).ok_or(Refusal::Invalid)
        };
        for fd in [0, 7, -1, i32::MIN] {
            assert_eq!(
                restrict(flags, fd, 0),
                restriction(Some(fd)),
                "{flags} {fd}"
            );
            // The strict filter has no descriptor.
            let strict = restrict(flags | 2, fd, 0);
            let expected = if fd == -1 {
                restriction(None)
            } else {
                Err(Refusal::Invalid)
            };
            assert_eq!(strict, expected, "{flags} {fd}");
        }
        for thread in [1, 2, u32::MAX] {
            assert_eq!(restrict(flags, 3, thread), Err(Refusal::Invalid));
        }
        for bit in 3..32 {
            assert_eq!(restrict(flags | 1 << bit, 3, 0), Err(Refusal::NotSupported));
        }
    }
}

#[test]
fn only_one_operation_of_prctl_and_only_with_zeros_behind_it_opens() {
    assert!(asks_for_control(1, [0; 3]));
    for operation in [0, 2, 1 << 32 | 1, u64::MAX] {
        assert!(!asks_for_control(operation, [0; 3]));
    }
    for at in 0..3 {
        let mut rest = [0; 3];
        rest[at] = 1 << 63;
        assert!(!asks_for_control(1, rest));
    }
}

#[test]
fn the_answer_to_info_has_its_fields_where_the_struct_has_them() {
    let info = Info {
        size: 1,
        abi: 2,
        security_sequence: 3,
        layers: 4,
        events: 5 | 6 << 32,
        max_layers: 7,
        max_insns: 8,
        max_image: 9,
        max_stack_cost: 10,
        native_layers: 11,
        native: 12,
    };
    let expected: Vec<u8> = (1..=12_u32).flat_map(u32::to_ne_bytes).collect();
    assert_eq!(info.to_bytes()[..], expected[..]);
}

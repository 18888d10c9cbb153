// SPDX-License-Identifier: GPL-2.0
//! The argument structs: sizes, versions, pointers, reserved fields.

use std::os::fd::{AsFd, AsRawFd};

use filters::limits::{MAX_IMAGE_BYTES, MAX_INSNS, MAX_LAYERS, MAX_STACK_COST};
use libc::{E2BIG, EBADF, EFAULT, EINVAL, EMSGSIZE, ENOEXEC, ENOTTY, EOPNOTSUPP};
use uapi::control::{
    ABI_VERSION, IOC_INFO, IOC_LOAD, IOC_RESTRICT_SELF, Info, LOAD_INTERPRETED, Load, PR_EVFILTER,
    PR_EVFILTER_OPEN, RestrictSelf, SECURITY_SEQUENCE,
};

use crate::harness::{Test, tests};
use crate::kernel::{control, info, ioctl, layers, load};
use crate::program::allow_all;
use crate::sys::memory::{PAGE, at_page_end, map};
use crate::sys::{Ret, no_new_privs, own, sys};

pub(super) fn tests() -> Vec<Test> {
    tests!("abi";
        info_tells_version_and_limits, info_of_the_smallest_size, info_too_short, info_of_a_newer_caller, info_far_too_long, info_bad_pointers,
        info_writes_no_byte_behind_its_size, load_too_short, load_of_a_newer_caller_with_zero_tail, load_of_a_newer_caller_with_other_tail, load_far_too_long,
        load_bad_struct_pointers, load_bad_image_pointers, load_flags, load_image_too_large, load_image_length_wraps, load_empty_image,
        load_struct_at_the_end_of_a_page, load_struct_unaligned, restrict_too_short, restrict_of_a_newer_caller_with_zero_tail,
        restrict_of_a_newer_caller_with_other_tail, restrict_flags, restrict_reserved, restrict_bad_pointers, unknown_requests, request_numbers_with_garbage,
        prctl_unknown_operation, prctl_with_more_arguments, prctl_option_upper_half, other_prctls_still_work, law_5_fail_closed_nothing_changes_after_failures,
        size_is_read_once,
    )
}

/// Words of a struct in memory, with room for a caller of another version.
type Words = [u64; 600];

fn good_load(image: &[u8]) -> Words {
    let mut words = [0; 600];
    words[0] = size_of::<Load>() as u64;
    words[1] = image.as_ptr() as u64;
    words[2] = image.len() as u64;
    words
}

fn good_restrict(filter: i32) -> Words {
    let mut words = [0; 600];
    words[0] = size_of::<RestrictSelf>() as u64;
    words[1] = filter as u32 as u64;
    words
}

fn ask<T>(request: u32, argument: *const T) -> Ret {
    let control = control();
    ioctl(control.as_fd(), request, argument)
}

/// Loads, and closes what came of it.
fn try_load(words: &Words) -> Ret {
    own(ask(IOC_LOAD, words.as_ptr())).map(|_| 0)
}

fn info_tells_version_and_limits() {
    let info = info();
    assert_eq!(info.size as usize, size_of::<Info>());
    assert_eq!(info.abi, ABI_VERSION);
    assert_eq!(info.security_sequence, SECURITY_SEQUENCE);
    assert_eq!(info.layers, 0);
    assert_eq!(info.events, 0b1_1111);
    assert_eq!(info.max_layers as usize, MAX_LAYERS);
    assert_eq!(info.max_insns as usize, MAX_INSNS);
    assert_eq!(info.max_image as usize, MAX_IMAGE_BYTES);
    assert_eq!(info.max_stack_cost, MAX_STACK_COST);
    assert_eq!(info.native_layers, 0);
    assert_eq!(info.native, 1);
}

fn info_of_the_smallest_size() {
    let mut words = [u32::MAX; 20];
    words[0] = Info::MIN_SIZE;
    assert_eq!(ask(IOC_INFO, words.as_mut_ptr()), Ok(0));
    assert_eq!(words[..4], [48, ABI_VERSION, SECURITY_SEQUENCE, 0]);
    assert!(
        words[4..].iter().all(|word| *word == u32::MAX),
        "written behind the size given"
    );
}

fn info_too_short() {
    for size in [0, 1, 4, 8, 12, 15] {
        let mut words = [7u32; 20];
        words[0] = size;
        assert_eq!(
            ask(IOC_INFO, words.as_mut_ptr()),
            Err(EINVAL),
            "size {size}"
        );
        assert!(
            words[1..].iter().all(|word| *word == 7),
            "written although refused"
        );
    }
}

/// The struct only goes out: what a newer caller expects behind it is not there, and `size` says so.
fn info_of_a_newer_caller() {
    let mut words = [9u32; 40];
    words[0] = 100;
    assert_eq!(ask(IOC_INFO, words.as_mut_ptr()), Ok(0));
    assert_eq!(words[0], 48);
    assert_eq!(words[1], ABI_VERSION);
}

fn info_far_too_long() {
    for size in [4097, 1 << 20, u32::MAX] {
        let mut words = vec![0u32; 4096];
        words[0] = size;
        assert_eq!(ask(IOC_INFO, words.as_mut_ptr()), Err(E2BIG), "size {size}");
    }
}

fn info_bad_pointers() {
    for address in [0u64, 1, 0xffff_8880_0000_0000, u64::MAX - 3] {
        assert_eq!(
            ask(IOC_INFO, address as *const u8),
            Err(EFAULT),
            "{address:#x}"
        );
    }
    // Readable, but not writable.
    let page = map(PAGE, libc::MAP_PRIVATE);
    crate::sys::memory::write(page, &40u32.to_le_bytes());
    assert_eq!(sys!(libc::SYS_mprotect, page, PAGE, libc::PROT_READ), Ok(0));
    assert_eq!(ask(IOC_INFO, page as *const u8), Err(EFAULT));
}

fn info_writes_no_byte_behind_its_size() {
    for size in 16..=40u8 {
        let mut bytes = [0xa5u8; 64];
        bytes[..4].copy_from_slice(&u32::from(size).to_le_bytes());
        assert_eq!(ask(IOC_INFO, bytes.as_mut_ptr()), Ok(0), "size {size}");
        assert!(
            bytes[size.into()..].iter().all(|byte| *byte == 0xa5),
            "size {size}"
        );
    }
}

fn load_too_short() {
    let image = allow_all();
    for size in [0, 1, 4, 8, 16, 24, 31] {
        let mut words = good_load(&image);
        words[0] = size;
        assert_eq!(try_load(&words), Err(EINVAL), "size {size}");
    }
}

fn load_of_a_newer_caller_with_zero_tail() {
    let image = allow_all();
    for size in [33, 40, 64, 100, 4096] {
        let mut words = good_load(&image);
        words[0] = size;
        assert_eq!(try_load(&words), Ok(0), "size {size}");
    }
}

fn load_of_a_newer_caller_with_other_tail() {
    let image = allow_all();
    for (size, word) in [(40, 4), (64, 7), (4096, 511)] {
        let mut words = good_load(&image);
        words[0] = size;
        words[word] = 1 << 56;
        assert_eq!(try_load(&words), Err(E2BIG), "size {size}");
    }
}

fn load_far_too_long() {
    let image = allow_all();
    for size in [4097, 4800, u64::from(u32::MAX)] {
        let mut words = good_load(&image);
        words[0] = size;
        assert_eq!(try_load(&words), Err(E2BIG), "size {size}");
    }
}

fn load_bad_struct_pointers() {
    for address in [0u64, 1, 0xffff_8880_0000_0000, u64::MAX - 3] {
        assert_eq!(
            ask(IOC_LOAD, address as *const u8),
            Err(EFAULT),
            "{address:#x}"
        );
    }
    // The size can be read, the rest cannot.
    let address = at_page_end(&32u32.to_le_bytes());
    assert_eq!(ask(IOC_LOAD, address as *const u8), Err(EFAULT));
}

fn load_bad_image_pointers() {
    let image = allow_all();
    for address in [0u64, 4096, 0xffff_8880_0000_0000, u64::MAX - 63] {
        let mut words = good_load(&image);
        words[1] = address;
        assert_eq!(try_load(&words), Err(EFAULT), "{address:#x}");
    }
    let mut words = good_load(&image);
    words[1] = at_page_end(&image[..image.len() - 4]);
    assert_eq!(
        try_load(&words),
        Err(EFAULT),
        "the end of the image is not there"
    );
    words[1] = at_page_end(&image);
    assert_eq!(try_load(&words), Ok(0), "the image ends with the page");
}

fn load_flags() {
    let image = allow_all();
    for bit in (0..32).filter(|bit| 1u32 << bit != LOAD_INTERPRETED) {
        let mut words = good_load(&image);
        words[0] |= 1 << (32 + bit);
        assert_eq!(try_load(&words), Err(EOPNOTSUPP), "flag {bit}");
    }
    let mut words = good_load(&image);
    words[0] |= u64::from(LOAD_INTERPRETED) << 32;
    assert_eq!(try_load(&words), Ok(0));
}

fn load_image_too_large() {
    let image = vec![0u8; MAX_IMAGE_BYTES + 4];
    let mut words = good_load(&image);
    assert_eq!(try_load(&words), Err(EMSGSIZE));
    words[2] = u64::from(u32::MAX);
    assert_eq!(try_load(&words), Err(EMSGSIZE));
}

/// An address and a length whose sum wraps around.
fn load_image_length_wraps() {
    let image = allow_all();
    let mut words = good_load(&image);
    words[1] = u64::MAX - 15;
    words[2] = 64;
    assert_eq!(try_load(&words), Err(EFAULT));
}

fn load_empty_image() {
    let mut words = good_load(&[]);
    assert_eq!(try_load(&words), Err(ENOEXEC));
    words[1] = 0;
    assert_eq!(try_load(&words), Err(ENOEXEC));
}

fn load_struct_at_the_end_of_a_page() {
    let image = allow_all();
    let bytes: Vec<u8> = good_load(&image)[..4]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    let address = at_page_end(&bytes);
    assert!(own(ask(IOC_LOAD, address as *const u8)).is_ok());
}

fn load_struct_unaligned() {
    let image = allow_all();
    let bytes: Vec<u8> = good_load(&image)[..4]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    let page = map(PAGE, libc::MAP_PRIVATE);
    for shift in 1..8 {
        crate::sys::memory::write(page + shift, &bytes);
        assert!(
            own(ask(IOC_LOAD, (page + shift) as *const u8)).is_ok(),
            "{shift}"
        );
    }
}

fn restrict_too_short() {
    no_new_privs();
    let filter = load(&allow_all());
    for size in [0, 1, 4, 8, 12, 15] {
        let mut words = good_restrict(filter.as_raw_fd());
        words[0] = size;
        assert_eq!(
            ask(IOC_RESTRICT_SELF, words.as_ptr()),
            Err(EINVAL),
            "size {size}"
        );
    }
    assert_eq!(layers(), 0);
}

fn restrict_of_a_newer_caller_with_zero_tail() {
    no_new_privs();
    let filter = load(&allow_all());
    for (count, size) in [17, 24, 4096].into_iter().enumerate() {
        let mut words = good_restrict(filter.as_raw_fd());
        words[0] = size;
        assert_eq!(ask(IOC_RESTRICT_SELF, words.as_ptr()), Ok(0), "size {size}");
        assert_eq!(layers() as usize, count + 1);
    }
}

fn restrict_of_a_newer_caller_with_other_tail() {
    no_new_privs();
    let filter = load(&allow_all());
    for (size, word) in [(24, 2), (64, 7), (4096, 511)] {
        let mut words = good_restrict(filter.as_raw_fd());
        words[0] = size;
        words[word] = 1 << 56;
        assert_eq!(
            ask(IOC_RESTRICT_SELF, words.as_ptr()),
            Err(E2BIG),
            "size {size}"
        );
    }
    assert_eq!(layers(), 0);
}

fn restrict_flags() {
    no_new_privs();
    let filter = load(&allow_all());
    // The bits below have a meaning.
    for bit in 3..32 {
        let mut words = good_restrict(filter.as_raw_fd());
        words[0] |= 1 << (32 + bit);
        assert_eq!(
            ask(IOC_RESTRICT_SELF, words.as_ptr()),
            Err(EOPNOTSUPP),
            "flag {bit}"
        );
    }
    assert_eq!(layers(), 0);
}

fn restrict_reserved() {
    no_new_privs();
    let filter = load(&allow_all());
    for bit in 0..32 {
        let mut words = good_restrict(filter.as_raw_fd());
        words[1] |= 1 << (32 + bit);
        assert_eq!(
            ask(IOC_RESTRICT_SELF, words.as_ptr()),
            Err(EINVAL),
            "bit {bit}"
        );
    }
    assert_eq!(layers(), 0);
}

fn restrict_bad_pointers() {
    no_new_privs();
    for address in [0u64, 1, 0xffff_8880_0000_0000, u64::MAX - 3] {
        assert_eq!(
            ask(IOC_RESTRICT_SELF, address as *const u8),
            Err(EFAULT),
            "{address:#x}"
        );
    }
    let address = at_page_end(&16u32.to_le_bytes());
    assert_eq!(ask(IOC_RESTRICT_SELF, address as *const u8), Err(EFAULT));
}

fn unknown_requests() {
    let words: Words = [0; 600];
    // TCGETS, FIONREAD, and the neighbours of ours.
    for request in [0x5401, 0x541b, 0xEE00, 0xEF03, 0xEFFF, 0xF000, 0, u32::MAX] {
        assert_eq!(ask(request, words.as_ptr()), Err(ENOTTY), "{request:#x}");
    }
}

/// Direction and size bits of other encodings of our numbers are not ours.
fn request_numbers_with_garbage() {
    let mut words: Words = [0; 600];
    words[0] = 48;
    for bits in [1u32 << 16, 1 << 29, 1 << 30, 1 << 31, 0xc028_0000] {
        assert_eq!(
            ask(IOC_INFO | bits, words.as_ptr()),
            Err(ENOTTY),
            "{bits:#x}"
        );
    }
}

fn prctl_unknown_operation() {
    for operation in [
        0,
        2,
        3,
        64,
        u64::from(u32::MAX),
        1 << 32 | PR_EVFILTER_OPEN,
        u64::MAX,
    ] {
        let result = sys!(libc::SYS_prctl, PR_EVFILTER, operation, 0, 0, 0);
        assert_eq!(result, Err(EINVAL), "{operation:#x}");
    }
}

fn prctl_with_more_arguments() {
    for at in 0..3 {
        for value in [1, u64::MAX, 1 << 40] {
            let mut rest = [0u64; 3];
            rest[at] = value;
            let result = sys!(
                libc::SYS_prctl,
                PR_EVFILTER,
                PR_EVFILTER_OPEN,
                rest[0],
                rest[1],
                rest[2]
            );
            assert_eq!(result, Err(EINVAL), "argument {at} = {value:#x}");
        }
    }
}

/// `option` is an int: the kernel ignores the upper half of its register.
fn prctl_option_upper_half() {
    let option = 0xdead_beef_0000_0000 | PR_EVFILTER as u64;
    assert!(own(sys!(libc::SYS_prctl, option, PR_EVFILTER_OPEN, 0, 0, 0)).is_ok());
}

fn other_prctls_still_work() {
    let mut name = *b"evf-name-of-task";
    assert_eq!(
        sys!(libc::SYS_prctl, libc::PR_SET_NAME, c"evf-renamed"),
        Ok(0)
    );
    assert_eq!(
        sys!(libc::SYS_prctl, libc::PR_GET_NAME, name.as_mut_ptr()),
        Ok(0)
    );
    assert_eq!(&name[..12], b"evf-renamed\0");
    for option in [0x4556_464bu32, 0x4556_464d, 0x5645_464c, 9999] {
        assert_eq!(
            sys!(libc::SYS_prctl, option, 1, 0, 0, 0),
            Err(EINVAL),
            "{option:#x}"
        );
    }
}

/// A hundred wrong calls, then the one right call: it is the first layer.
fn law_5_fail_closed_nothing_changes_after_failures() {
    no_new_privs();
    let image = allow_all();
    let filter = load(&image);
    for round in 0..20u64 {
        let mut words = good_restrict(filter.as_raw_fd());
        words[0] = round;
        let _ = ask(IOC_RESTRICT_SELF, words.as_ptr()).map(|_| panic_if_attached(round));
        words[0] = 16 | (round + 1) << (32 + 3);
        assert_eq!(ask(IOC_RESTRICT_SELF, words.as_ptr()), Err(EOPNOTSUPP));
        let closed = good_restrict(900 + round as i32);
        assert_eq!(ask(IOC_RESTRICT_SELF, closed.as_ptr()), Err(EBADF));
        let mut words = good_load(&image[..image.len() - 4]);
        assert_eq!(try_load(&words), Err(ENOEXEC));
        words[1] = 8;
        assert_eq!(try_load(&words), Err(EFAULT));
        words[0] = 0;
        assert_eq!(try_load(&words), Err(EINVAL));
    }
    let attached = layers();
    crate::kernel::restrict(&filter);
    assert_eq!(layers(), attached + 1);
}

/// Sizes of 16 and more are right and do attach; below they must not.
fn panic_if_attached(size: u64) {
    assert!(size >= 16, "a struct of {size} bytes was accepted");
}

/// Another thread changes `size` while the struct is copied: the call sees one value or the other, and never more than it has checked.
fn size_is_read_once() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let image = allow_all();
    let words = good_load(&image);
    let page = map(2 * PAGE, libc::MAP_PRIVATE);
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    crate::sys::memory::write(page, &bytes);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for size in [32u8, 8, 255, 40] {
                    crate::sys::memory::poke(page, size);
                }
            }
        });
        let control = control();
        for _ in 0..3000 {
            match own(ioctl(control.as_fd(), IOC_LOAD, page as *const u8)) {
                Ok(_) | Err(EINVAL) => {}
                Err(other) => panic!("errno {other}"),
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}

// SPDX-License-Identifier: GPL-2.0
//! Probes that the kernel puts into this program: counters of how often a function was called and has returned.

use std::os::fd::OwnedFd;

use crate::sys::{own, sys};

/// Returns its argument. Begins with the five-byte `nop` that the kernel replaces by a call when the place is probed often.
// SAFETY: keeps the C ABI: the argument is in rdi, the result in rax, and nothing else is touched.
#[unsafe(naked)]
pub extern "C" fn probed(value: u64) -> u64 {
    std::arch::naked_asm!(".byte 0x0f, 0x1f, 0x44, 0, 0", "mov rax, rdi", "ret")
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Calls of the function.
    Call = 0,
    /// Returns from it.
    Return = 1,
}

/// The head of `struct perf_event_attr`, up to PERF_ATTR_SIZE_VER1.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    unused: [u64; 5],
    path: u64,
    offset: u64,
}

/// Where a function of this program lies in its file.
fn offset_of(function: u64) -> Option<u64> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let offset = words.nth(1)?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        let (start, end) = (number(start)?, number(end)?);
        (start..end)
            .contains(&function)
            .then_some(function - start + number(offset)?)
    })
}

/// A counter of [`probed`] in the calling thread: reading it gives a 64-bit number. The error says what this kernel does not have.
pub fn count(moment: Moment) -> Result<OwnedFd, String> {
    let place = "/sys/bus/event_source/devices/uprobe/type";
    let kind = std::fs::read_to_string(place).map_err(|error| format!("{place}: {error}"))?;
    let function = probed as extern "C" fn(u64) -> u64 as usize as u64;
    let attributes = Attributes {
        kind: kind
            .trim()
            .parse()
            .map_err(|_| format!("{place}: {kind:?}"))?,
        size: size_of::<Attributes>() as u32,
        config: moment as u64,
        path: c"/proc/self/exe".as_ptr() as u64,
        offset: offset_of(function).ok_or("the function is in no mapping")?,
        ..Attributes::default()
    };
    own(sys!(
        libc::SYS_perf_event_open,
        &raw const attributes,
        0,
        -1,
        -1,
        8
    ))
    .map_err(|errno| format!("perf_event_open: errno {errno}"))
}

// SPDX-License-Identifier: GPL-2.0
//! Memory with every kind of border in it, below 4 GiB so that both entries reach it, and what the kernel can do with each address of it.

use uapi::argument::Memory;

use crate::random::Random;
use crate::sys::memory::{PAGE, map, read, write};
use crate::sys::sys;

/// Pages that can be written.
const WRITABLE: usize = 8;
/// One page that cannot be read lies behind them, then one that can only be read, then another that cannot be read.
const PAGES: usize = WRITABLE + 3;

/// The memory.
pub(super) struct Arena {
    start: u64,
}

impl Arena {
    /// Maps it.
    #[track_caller]
    pub(super) fn new() -> Arena {
        let start = map(PAGES * PAGE, libc::MAP_PRIVATE | libc::MAP_32BIT);
        let arena = Arena { start };
        for (page, protection) in [
            (WRITABLE, libc::PROT_NONE),
            (WRITABLE + 1, libc::PROT_READ),
            (WRITABLE + 2, libc::PROT_NONE),
        ] {
            let address = start + (page * PAGE) as u64;
            assert_eq!(sys!(libc::SYS_mprotect, address, PAGE, protection), Ok(0));
        }
        arena
    }

    /// Where it begins.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// One past the last byte that can be written.
    pub(super) fn end(&self) -> u64 {
        self.start + (WRITABLE * PAGE) as u64
    }

    /// All that can be written.
    pub(super) fn copy(&self) -> Vec<u8> {
        read(self.start, WRITABLE * PAGE)
    }

    /// Writes as much of `bytes` to `address` as can be written there.
    pub(super) fn put(&self, address: u64, bytes: &[u8]) {
        if self.start <= address && address < self.end() {
            let room = (self.end() - address) as usize;
            write(address, &bytes[..bytes.len().min(room)]);
        }
    }

    /// An address for `len` bytes: mostly a good one.
    pub(super) fn address(&self, random: &mut Random, len: usize) -> u64 {
        let size = WRITABLE * PAGE;
        let (read_only, end) = (self.end() + PAGE as u64, self.end());
        let any = self.start + random.below(PAGES * PAGE) as u64;
        match random.below(20) {
            0..10 if len <= size => self.start + 8 * random.below((size - len) / 8 + 1) as u64,
            0..12 if len <= size => self.start + random.below(size - len + 1) as u64,
            12 | 13 if len <= size => end - len as u64,
            14 if len <= size => end - len as u64 + 1,
            15 => read_only + random.below(PAGE) as u64,
            16 => random.pick(&[0, 1, 0xfff, 0x1000, 0xffff_f000, 0xffff_ffff]),
            17 => random.pick(&[
                0x0000_7fff_ffff_f000,
                0x0000_8000_0000_0000,
                0x8000_0000_0000_0000,
                0xffff_8880_0000_0000,
                0xffff_ffff_ff60_0000,
                0xffff_ffff_ffff_ffff,
                0xffff_ffff_ffff_fff0,
            ]),
            _ => any,
        }
    }

    fn lies_in(&self, from: u64, bytes: usize, address: u64, len: usize) -> bool {
        let end = address.checked_add(len as u64);
        len == 0 || from <= address && end.is_some_and(|end| end <= from + bytes as u64)
    }

    /// Whether the kernel can read all of it.
    pub(super) fn can_be_read(&self, address: u64, len: usize) -> bool {
        let read_only = self.end() + PAGE as u64;
        self.can_be_written(address, len) || self.lies_in(read_only, PAGE, address, len)
    }

    /// Whether the kernel can write all of it.
    pub(super) fn can_be_written(&self, address: u64, len: usize) -> bool {
        self.lies_in(self.start, WRITABLE * PAGE, address, len)
    }

    /// What an argument at `address` is decoded from.
    pub(super) fn at(&self, address: u64) -> At<'_> {
        At(self, address)
    }
}

/// The memory from an address on.
pub(super) struct At<'a>(&'a Arena, u64);

impl Memory for At<'_> {
    type Fault = ();

    fn read(&mut self, offset: usize, to: &mut [u8]) -> Result<(), ()> {
        let from = self.1.wrapping_add(offset as u64);
        if !self.0.can_be_read(from, to.len()) {
            return Err(());
        }
        to.copy_from_slice(&read(from, to.len()));
        Ok(())
    }
}

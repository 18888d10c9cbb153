// SPDX-License-Identifier: GPL-2.0
//! Mappings: shared between processes, below 4 GiB, and ending at a page that is not there.

use std::marker::PhantomData;
use std::ops::Deref;

use crate::sys::sys;

/// Bytes of a page.
pub const PAGE: usize = 4096;

const READ_WRITE: i32 = libc::PROT_READ | libc::PROT_WRITE;

/// Anonymous memory.
#[track_caller]
pub fn map(bytes: usize, flags: i32) -> u64 {
    let flags = flags | libc::MAP_ANONYMOUS;
    sys!(libc::SYS_mmap, 0, bytes, READ_WRITE, flags, -1, 0).expect("mmap")
}

/// A zeroed `T` in memory that children share.
pub struct Shared<T> {
    address: *const T,
    owner: PhantomData<T>,
}

// SAFETY: it gives out shared references only, to a `T` that threads may share.
unsafe impl<T: Sync> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// Maps the memory; it stays until [`Shared::unmap`]. `T` must be valid when all its bytes are zero, as atomics are.
    #[track_caller]
    pub fn new() -> Shared<T> {
        let address = map(size_of::<T>().next_multiple_of(PAGE), libc::MAP_SHARED);
        Shared {
            address: address as *const T,
            owner: PhantomData,
        }
    }

    /// Gives the memory back.
    pub fn unmap(self) {
        let bytes = size_of::<T>().next_multiple_of(PAGE);
        assert_eq!(sys!(libc::SYS_munmap, self.address, bytes), Ok(0), "munmap");
    }
}

impl<T> Default for Shared<T> {
    fn default() -> Shared<T> {
        Shared::new()
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the mapping is large enough, page aligned, zeroed and unmapped only by value; used with atomics only, for which zero is valid
        // and which other processes may change.
        unsafe { &*self.address }
    }
}

/// Memory that a 32-bit pointer can reach.
pub struct Low {
    start: u64,
    used: usize,
    size: usize,
}

impl Default for Low {
    fn default() -> Low {
        Low::new()
    }
}

impl Low {
    /// 64 KiB of it.
    #[track_caller]
    pub fn new() -> Low {
        let size = 16 * PAGE;
        let start = map(size, libc::MAP_PRIVATE | libc::MAP_32BIT);
        assert!(start + (size as u64) < 1 << 32);
        Low {
            start,
            used: 0,
            size,
        }
    }

    /// Copies `bytes` there, eight-byte aligned; returns their address.
    #[track_caller]
    pub fn put(&mut self, bytes: &[u8]) -> u32 {
        let at = self.used.next_multiple_of(8);
        assert!(at + bytes.len() <= self.size, "the low memory is used up");
        let address = self.start + at as u64;
        write(address, bytes);
        self.used = at + bytes.len();
        address as u32
    }

    /// Copies `text` there with a NUL behind it; returns its address.
    #[track_caller]
    pub fn text(&mut self, text: &[u8]) -> u32 {
        self.put(&[text, b"\0"].concat())
    }
}

/// Copies `bytes` to `address`, which must lie in a mapping of this module with room for them.
pub fn write(address: u64, bytes: &[u8]) {
    // SAFETY: the callers hold the mapping; the kernel or another thread may read it at the same time, which plain bytes bear.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), address as *mut u8, bytes.len()) }
}

/// Stores one byte that another thread or the kernel reads at the same time.
pub fn poke(address: u64, byte: u8) {
    // SAFETY: as for `write`; volatile, so that the store is made each time.
    unsafe { std::ptr::write_volatile(address as *mut u8, byte) }
}

/// Copies `bytes` to the very end of a page that is followed by an unmapped one; returns their address.
#[track_caller]
pub fn at_page_end(bytes: &[u8]) -> u64 {
    let pages = bytes.len().div_ceil(PAGE);
    let start = map((pages + 1) * PAGE, libc::MAP_PRIVATE);
    let end = start + (pages * PAGE) as u64;
    assert_eq!(sys!(libc::SYS_munmap, end, PAGE), Ok(0));
    let address = end - bytes.len() as u64;
    write(address, bytes);
    address
}

/// Stores eight bytes at once, at a multiple of eight, that another thread or the kernel reads at the same time.
pub fn poke_word(address: u64, word: [u8; 8]) {
    assert_eq!(address % 8, 0);
    // SAFETY: as for `write`; aligned, and volatile, so that the store is made each time and as one.
    unsafe { std::ptr::write_volatile(address as *mut u64, u64::from_ne_bytes(word)) }
}

/// Copies `bytes` bytes from `address`, which must lie in a mapping of this module that can be read.
pub fn read(address: u64, bytes: usize) -> Vec<u8> {
    let mut copy = vec![0; bytes];
    // SAFETY: the callers hold the mapping; nobody but them and the kernel, in their calls, writes there.
    unsafe {
        std::ptr::copy_nonoverlapping(address as *const u8, copy.as_mut_ptr(), bytes);
    }
    copy
}

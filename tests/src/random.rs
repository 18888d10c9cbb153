// SPDX-License-Identifier: GPL-2.0
//! Random numbers for the tests that need them, reproducible from a seed.

use std::sync::OnceLock;

use crate::slow;
use crate::sys::sys;

/// What the command line said about random tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    /// Where to begin; none for a seed of the moment.
    pub seed: Option<u64>,
    /// How many cases; none for the test's own number.
    pub count: Option<u64>,
}

/// Set once by `main`, before any test.
pub static WISH: OnceLock<Wish> = OnceLock::new();

impl Wish {
    /// What the command line said.
    pub fn get() -> Wish {
        WISH.get().copied().unwrap_or_default()
    }

    /// How many cases: a test's own number on the stock kernel, a quarter of it where everything takes long.
    pub fn cases(self, own: u64) -> u64 {
        self.count.unwrap_or(match slow::factor() {
            1 => own,
            _ => own / 4,
        })
    }

    /// The seed to begin with.
    #[track_caller]
    pub fn seed(self) -> u64 {
        self.seed.unwrap_or_else(|| {
            let mut seed = 0u64;
            assert_eq!(
                sys!(libc::SYS_getrandom, &raw mut seed, 8, libc::GRND_INSECURE),
                Ok(8)
            );
            // Short enough to be typed, with room to count on.
            seed >> 24
        })
    }
}

/// A generator of 64-bit numbers: SplitMix64 (Steele, Lea, Flood, 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Begins at `seed`. Neighbouring seeds give unrelated numbers.
    pub fn new(seed: u64) -> Random {
        let mut random = Random(seed);
        // Two seeds that differ by the step of the generator would otherwise give one sequence, shifted.
        random.0 = random.number() ^ 0x6576_6669_6c74_6572;
        random
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.number() % end as u64) as usize
    }

    /// True `times` times out of a hundred.
    pub fn percent(&mut self, times: usize) -> bool {
        self.below(100) < times
    }

    /// One of a list.
    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

// SPDX-License-Identifier: GPL-2.0
//! Sets of numbers, as disjoint ranges.

use std::prelude::rust_2021::*;

/// Ranges of numbers, ends included, ascending, neither overlapping nor touching.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    pub(crate) fn new() -> Ranges {
        Ranges::default()
    }

    pub(crate) fn add(&mut self, low: u64, high: u64) {
        if low <= high {
            self.0.push((low, high));
            self.normalise();
        }
    }

    fn normalise(&mut self) {
        self.0.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::with_capacity(self.0.len());
        for &(low, high) in &self.0 {
            match merged.last_mut() {
                Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
                _ => merged.push((low, high)),
            }
        }
        self.0 = merged;
    }

    pub(crate) fn union(&self, other: &Ranges) -> Ranges {
        let mut all = Ranges(self.0.iter().chain(&other.0).copied().collect());
        all.normalise();
        all
    }

    /// The numbers of `0..=u64::MAX` that are not in the set.
    pub(crate) fn complement(&self) -> Ranges {
        let mut gaps = Vec::new();
        let mut next = Some(0);
        for &(low, high) in &self.0 {
            if let Some(start) = next {
                if start < low {
                    gaps.push((start, low - 1));
                }
            }
            next = high.checked_add(1);
        }
        if let Some(start) = next {
            gaps.push((start, u64::MAX));
        }
        Ranges(gaps)
    }

    pub(crate) fn intersection(&self, other: &Ranges) -> Ranges {
        self.complement().union(&other.complement()).complement()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }

    pub(crate) fn covers(&self, low: u64, high: u64) -> bool {
        self.0.iter().any(|&(a, b)| a <= low && high <= b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(list: &[(u64, u64)]) -> Ranges {
        let mut ranges = Ranges::new();
        for &(low, high) in list {
            ranges.add(low, high);
        }
        ranges
    }

    #[test]
    fn touching_ranges_become_one() {
        assert_eq!(
            ranges(&[(5, 9), (0, 4), (20, 30), (25, 26)]).0,
            [(0, 9), (20, 30)]
        );
        assert_eq!(
            ranges(&[(u64::MAX, u64::MAX), (0, u64::MAX - 1)]).0,
            [(0, u64::MAX)]
        );
    }

    #[test]
    fn a_gap_of_one_number_stays_a_gap() {
        let odd = ranges(&[(1, 1), (3, 3)]);
        assert_eq!(odd.0, [(1, 1), (3, 3)]);
        assert!(!odd.covers(2, 2));
    }

    #[test]
    fn complement_is_its_own_inverse() {
        for set in [
            ranges(&[]),
            ranges(&[(0, u64::MAX)]),
            ranges(&[(3, 3), (9, 20)]),
        ] {
            assert_eq!(set.complement().complement(), set);
        }
        assert_eq!(ranges(&[(3, 3)]).complement().0, [(0, 2), (4, u64::MAX)]);
    }

    #[test]
    fn intersection_keeps_what_both_have() {
        let both = ranges(&[(0, 10), (20, 30)]).intersection(&ranges(&[(5, 25)]));
        assert_eq!(both.0, [(5, 10), (20, 25)]);
    }
}

// SPDX-License-Identifier: GPL-2.0
//! One condition on one argument, at the width at which libseccomp compares it.

use filters::lang::calls::{Arch, Width, calls};

use super::profile::{Arg, Op};

/// `argument & mask OP datum`, unsigned.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Comparison {
    pub(super) index: usize,
    pub(super) op: Op,
    pub(super) mask: u64,
    pub(super) datum: u64,
    /// 64, or 32: then only the lower half of the register counts.
    pub(super) bits: u32,
}

impl Comparison {
    /// The condition of a profile. Numbers that are too wide for the architecture are cut, as in libseccomp.
    pub(super) fn new(arg: &Arg, bits: u32) -> Comparison {
        let all = width(bits);
        let (mask, datum) = match arg.op {
            Op::MaskedEq => (arg.value & all, arg.value_two),
            _ => (all, arg.value),
        };
        Comparison {
            index: arg.index,
            op: arg.op,
            mask,
            datum: datum & mask,
            bits,
        }
    }

    /// `argument == datum`.
    pub(super) fn equals(index: usize, datum: u64, bits: u32) -> Comparison {
        Comparison {
            index,
            op: Op::Eq,
            mask: width(bits),
            datum,
            bits,
        }
    }

    /// Whether libseccomp makes no code for it: nothing is looked at.
    pub(super) fn is_empty(&self) -> bool {
        self.op == Op::MaskedEq && self.mask == 0
    }

    /// Whether it holds for every argument.
    pub(super) fn is_always(&self) -> bool {
        match self.op {
            Op::Ge => self.datum == 0,
            Op::Le => self.datum == width(self.bits),
            _ => self.is_empty(),
        }
    }

    /// Whether it holds for none.
    pub(super) fn is_never(&self) -> bool {
        match self.op {
            Op::Lt => self.datum == 0,
            Op::Gt => self.datum == width(self.bits),
            _ => false,
        }
    }

    /// Whether no argument fits both. `false` also where it is not plain to see.
    pub(super) fn excludes(&self, other: &Comparison) -> bool {
        if self.index != other.index {
            return false;
        }
        match (self.op, other.op) {
            (Op::MaskedEq | Op::Eq, Op::MaskedEq | Op::Eq) => {
                (self.datum ^ other.datum) & self.mask & other.mask != 0
            }
            (Op::MaskedEq, _) | (_, Op::MaskedEq) => false,
            _ => {
                let theirs = other.ranges();
                let disjoint = |a: (u64, u64), b: (u64, u64)| a.1 < b.0 || b.1 < a.0;
                self.ranges()
                    .iter()
                    .all(|&mine| theirs.iter().all(|&theirs| disjoint(mine, theirs)))
            }
        }
    }

    /// The numbers that fit, as ranges; not for [`Op::MaskedEq`].
    fn ranges(&self) -> Vec<(u64, u64)> {
        let highest = width(self.bits);
        let below = self.datum.checked_sub(1).map(|last| (0, last));
        let above = (self.datum < highest).then(|| (self.datum + 1, highest));
        match self.op {
            Op::Eq => vec![(self.datum, self.datum)],
            Op::Ne => below.into_iter().chain(above).collect(),
            Op::Lt => below.into_iter().collect(),
            Op::Le => vec![(0, self.datum)],
            Op::Gt => above.into_iter().collect(),
            Op::Ge | Op::MaskedEq => vec![(self.datum, highest)],
        }
    }

    /// The same in the policy language, in a rule for the call `call`.
    ///
    /// `argN` is as wide as the kernel reads it, and signed where that is; `regN` is the whole register. `argN` is written where it means the same.
    pub(super) fn text(&self, arch: Arch, call: &str) -> String {
        let arg = calls(arch)
            .by_name(call)
            .and_then(|call| call.args.get(self.index));
        let masked = match self.mask {
            u64::MAX => String::new(),
            mask => format!(" & {mask:#x}"),
        };
        let Some(Width { bits, signed }) = arg.map(|arg| arg.width) else {
            return self.compare("reg", &masked);
        };
        let unordered = matches!(self.op, Op::Eq | Op::Ne | Op::MaskedEq);
        if self.mask == width(bits) && (!signed || unordered) {
            self.compare("arg", "")
        } else if self.op == Op::MaskedEq && self.mask & !width(bits) == 0 {
            self.compare("arg", &masked)
        } else {
            self.compare("reg", &masked)
        }
    }

    fn compare(&self, field: &str, mask: &str) -> String {
        let sign = match self.op {
            Op::Ne => "!=",
            Op::Lt => "<",
            Op::Le => "<=",
            Op::Eq | Op::MaskedEq => "==",
            Op::Ge => ">=",
            Op::Gt => ">",
        };
        let Comparison { index, datum, .. } = self;
        match (self.op, *datum) {
            (Op::MaskedEq, 1..) => format!("{field}{index}{mask} {sign} {datum:#x}"),
            _ => format!("{field}{index}{mask} {sign} {datum}"),
        }
    }
}

fn width(bits: u32) -> u64 {
    u64::MAX >> (u64::BITS - bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(op: Op, value: u64) -> Comparison {
        Comparison::new(
            &Arg {
                index: 0,
                value,
                value_two: 0,
                op,
            },
            64,
        )
    }

    fn masked(mask: u64, datum: u64) -> Comparison {
        let arg = Arg {
            index: 0,
            value: mask,
            value_two: datum,
            op: Op::MaskedEq,
        };
        Comparison::new(&arg, 64)
    }

    #[test]
    fn what_excludes_each_other_is_seen() {
        assert!(on(Op::Eq, 5).excludes(&on(Op::Eq, 6)));
        assert!(on(Op::Eq, 5).excludes(&on(Op::Ne, 5)));
        assert!(on(Op::Lt, 5).excludes(&on(Op::Ge, 5)));
        assert!(on(Op::Le, 5).excludes(&on(Op::Gt, 5)));
        assert!(masked(0xf, 1).excludes(&on(Op::Eq, 2)));
        assert!(masked(0xf, 1).excludes(&masked(0x3, 2)));

        assert!(!on(Op::Le, 5).excludes(&on(Op::Ge, 5)));
        assert!(!on(Op::Ne, 5).excludes(&on(Op::Ne, 6)));
        assert!(!masked(0xf, 1).excludes(&on(Op::Eq, 0x11)));
        assert!(!masked(0xf, 1).excludes(&masked(0xf0, 0x20)));
        let mut elsewhere = on(Op::Eq, 6);
        elsewhere.index = 1;
        assert!(!on(Op::Eq, 5).excludes(&elsewhere));
    }

    #[test]
    fn numbers_are_cut_to_the_width() {
        let arg = Arg {
            index: 2,
            value: 0x1_0000_0005,
            value_two: 0,
            op: Op::Le,
        };
        let narrow = Comparison::new(&arg, 32);
        assert_eq!(narrow.text(Arch::I386, "getpid"), "reg2 & 0xffffffff <= 5");
        let wide = Comparison::new(&arg, 64);
        assert_eq!(wide.text(Arch::X86_64, "getpid"), "reg2 <= 4294967301");
        assert!(
            Comparison::new(
                &Arg {
                    value: u32::MAX.into(),
                    ..arg
                },
                32
            )
            .is_always()
        );
    }

    #[test]
    fn the_whole_register_is_named_where_the_kernel_reads_less() {
        let text = |it: &Comparison, call| it.text(Arch::X86_64, call);
        // An address is a whole register, domain an int, mode 16 bits wide.
        assert_eq!(text(&on(Op::Lt, 5), "mmap"), "arg0 < 5");
        assert_eq!(text(&on(Op::Lt, 5), "socket"), "reg0 < 5");
        assert_eq!(text(&on(Op::Eq, 5), "socket"), "reg0 == 5");
        assert_eq!(text(&masked(0xff, 5), "socket"), "arg0 & 0xff == 0x5");
        let wide = masked(0x1_0000_00ff, 5);
        assert_eq!(text(&wide, "socket"), "reg0 & 0x1000000ff == 0x5");
        let mut mode = masked(0x1_ffff, 5);
        mode.index = 1;
        assert_eq!(text(&mode, "chmod"), "reg1 & 0x1ffff == 0x5");
        // getpid has no arguments.
        assert_eq!(text(&on(Op::Lt, 5), "getpid"), "reg0 < 5");

        // Of 32 bits an int is all there is; but its order is that of signed numbers.
        let narrow = |op| {
            let arg = Arg {
                index: 0,
                value: 5,
                value_two: 0,
                op,
            };
            Comparison::new(&arg, 32).text(Arch::I386, "socket")
        };
        assert_eq!(narrow(Op::Eq), "arg0 == 5");
        assert_eq!(narrow(Op::Lt), "reg0 & 0xffffffff < 5");
    }

    #[test]
    fn bits_outside_the_mask_do_not_count() {
        let all = masked(0xf0, 0xff).text(Arch::X86_64, "getpid");
        assert_eq!(all, "reg0 & 0xf0 == 0xf0");
        assert!(masked(0, 7).is_empty());
    }
}

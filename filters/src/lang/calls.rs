// SPDX-License-Identifier: GPL-2.0
//! System calls: their numbers, and the names and widths of their arguments.
//!
//! The tables are text beside this file: `calls/*.tbl` from the kernel's own tables, `args.tbl` for what the values of an argument mean. To
//! give another call typed arguments, add a line to `args.tbl`.

use std::collections::{BTreeMap, HashMap};
use std::prelude::rust_2021::*;
use std::sync::OnceLock;

/// The ways into the kernel that have a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Arch {
    /// The native entry.
    X86_64,
    /// `int 0x80`, `sysenter` and `syscall` of 32-bit code.
    I386,
    /// The native entry with [`X32_BIT`] in the number: 64-bit code with short pointers. Its numbers here have the bit.
    X32,
}

/// Numbers with this bit are of the x32 ABI: `__X32_SYSCALL_BIT` of `arch/x86/include/uapi/asm/unistd.h`.
pub const X32_BIT: u32 = 0x4000_0000;

impl Arch {
    /// All of them.
    pub const ALL: [Arch; 3] = [Arch::X86_64, Arch::I386, Arch::X32];

    /// `AUDIT_ARCH_*` of `include/uapi/linux/audit.h`. The native entry and x32 have the same.
    pub const fn audit(self) -> u32 {
        match self {
            Arch::X86_64 | Arch::X32 => 0xc000_003e,
            Arch::I386 => 0x4000_0003,
        }
    }

    /// Its name in the language.
    pub const fn name(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64",
            Arch::I386 => "i386",
            Arch::X32 => "x32",
        }
    }

    /// The architecture of this name.
    pub fn from_name(name: &str) -> Option<Arch> {
        Arch::ALL.into_iter().find(|arch| arch.name() == name)
    }

    /// The architecture with this `AUDIT_ARCH_*` number, as far as that tells: x32 differs by the number of the call.
    pub fn from_audit(number: u32) -> Option<Arch> {
        Arch::ALL.into_iter().find(|arch| arch.audit() == number)
    }

    /// The architecture of the call `nr`, entered with this `AUDIT_ARCH_*` number.
    pub fn of_entry(audit: u32, nr: u32) -> Option<Arch> {
        match Arch::from_audit(audit)? {
            // -1 is no x32 call: it is what a program passes that wants no call at all.
            Arch::X86_64 if nr & X32_BIT != 0 && nr != u32::MAX => Some(Arch::X32),
            arch => Some(arch),
        }
    }
}

/// How the kernel reads a number from its register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Width {
    /// Bits that count: 8, 16, 32 or 64. The rest of the register is ignored by the kernel, and by a comparison.
    pub bits: u32,
    /// Whether it can be negative.
    pub signed: bool,
}

impl Width {
    /// A whole register, without sign.
    pub const REGISTER: Width = Width {
        bits: 64,
        signed: false,
    };

    fn parse(text: &str) -> Option<Width> {
        let signed = text.starts_with('i');
        let bits = match text.get(1..)? {
            "8" => 8,
            "16" => 16,
            "32" => 32,
            "64" => 64,
            _ => return None,
        };
        (signed || text.starts_with('u')).then_some(Width { bits, signed })
    }

    /// The bits that count.
    pub const fn mask(self) -> u64 {
        if self.bits >= 64 {
            u64::MAX
        } else {
            (1 << self.bits) - 1
        }
    }
}

/// An argument of a system call.
#[derive(Clone, Debug)]
pub struct Arg {
    /// Its name in the kernel.
    pub name: &'static str,
    /// Its name in the manual, where that is another.
    pub alias: Option<&'static str>,
    /// How the kernel reads it.
    pub width: Width,
    /// Groups of `constants.tbl` that name its values.
    pub groups: Vec<&'static str>,
}

/// A system call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: &'static str,
    /// Its arguments, in order.
    pub args: Vec<Arg>,
}

impl Call {
    /// The argument of this name, and its index.
    pub fn arg(&self, name: &str) -> Option<(usize, &Arg)> {
        self.args
            .iter()
            .enumerate()
            .find(|(_, arg)| arg.name == name || arg.alias == Some(name))
    }
}

/// The calls of one architecture.
#[derive(Debug)]
pub struct Calls {
    list: Vec<Call>,
    by_name: HashMap<&'static str, usize>,
    by_number: BTreeMap<u32, usize>,
}

impl Calls {
    /// The call of this name.
    pub fn by_name(&self, name: &str) -> Option<&Call> {
        self.list.get(*self.by_name.get(name)?)
    }

    /// The call with this number.
    pub fn by_number(&self, number: u32) -> Option<&Call> {
        self.list.get(*self.by_number.get(&number)?)
    }

    /// All calls, by number.
    pub fn iter(&self) -> impl Iterator<Item = &Call> {
        self.list.iter()
    }
}

/// The calls of `arch`.
pub fn calls(arch: Arch) -> &'static Calls {
    static X86_64: OnceLock<Calls> = OnceLock::new();
    static I386: OnceLock<Calls> = OnceLock::new();
    static X32: OnceLock<Calls> = OnceLock::new();
    match arch {
        Arch::X86_64 => X86_64.get_or_init(|| read(include_str!("calls/x86_64.tbl"))),
        Arch::I386 => I386.get_or_init(|| read(include_str!("calls/i386.tbl"))),
        Arch::X32 => X32.get_or_init(|| read(include_str!("calls/x32.tbl"))),
    }
}

/// Whether any architecture has a call of this name.
pub fn known(name: &str) -> bool {
    Arch::ALL
        .into_iter()
        .any(|arch| calls(arch).by_name(name).is_some())
}

/// Lines of a table, without comments and empty lines.
pub(crate) fn lines(table: &'static str) -> impl Iterator<Item = &'static str> {
    table
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// One `argument[/second name]=group[,group]` of `args.tbl`.
struct Meaning {
    alias: Option<&'static str>,
    groups: Vec<&'static str>,
}

fn meanings() -> HashMap<(&'static str, &'static str), Meaning> {
    let mut meanings = HashMap::new();
    for line in lines(include_str!("args.tbl")) {
        let mut words = line.split_whitespace();
        let Some(call) = words.next() else { continue };
        for word in words {
            let (names, groups) = word.split_once('=').unwrap_or((word, ""));
            let (name, alias) = match names.split_once('/') {
                Some((name, alias)) => (name, Some(alias)),
                None => (names, None),
            };
            let groups = groups.split(',').filter(|name| !name.is_empty()).collect();
            meanings.insert((call, name), Meaning { alias, groups });
        }
    }
    meanings
}

fn read(table: &'static str) -> Calls {
    let mut meanings = meanings();
    let mut calls = Calls {
        list: Vec::new(),
        by_name: HashMap::new(),
        by_number: BTreeMap::new(),
    };
    // A malformed line is left out: a test of this crate reads the tables strictly.
    for call in lines(table).filter_map(|line| parse(line, &mut meanings)) {
        let index = calls.list.len();
        calls.by_name.insert(call.name, index);
        calls.by_number.insert(call.number, index);
        calls.list.push(call);
    }
    calls
}

fn parse(
    line: &'static str,
    meanings: &mut HashMap<(&'static str, &'static str), Meaning>,
) -> Option<Call> {
    let mut words = line.split_whitespace();
    let number = words.next()?.parse().ok()?;
    let name = words.next()?;
    let mut args = Vec::new();
    for word in words {
        let (arg, width) = word.split_once(':')?;
        let meaning = meanings.remove(&(name, arg));
        let (alias, groups) = meaning.map_or((None, Vec::new()), |m| (m.alias, m.groups));
        args.push(Arg {
            name: arg,
            alias,
            width: Width::parse(width)?,
            groups,
        });
    }
    Some(Call { number, name, args })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by a panic")]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_tables_is_read() {
        for (arch, table, bit) in [
            (Arch::X86_64, include_str!("calls/x86_64.tbl"), 0),
            (Arch::I386, include_str!("calls/i386.tbl"), 0),
            (Arch::X32, include_str!("calls/x32.tbl"), X32_BIT),
        ] {
            assert_eq!(lines(table).count(), calls(arch).list.len());
            let last = calls(arch).by_number(472 | bit);
            assert_eq!(last.map(|call| call.name), Some("fchroot"));
            assert!(calls(arch).iter().all(|call| call.number & X32_BIT == bit));
            let mut numbers: Vec<u32> = calls(arch).iter().map(|call| call.number).collect();
            numbers.dedup();
            assert!(numbers.is_sorted());
            assert_eq!(numbers.len(), calls(arch).by_name.len());
        }
    }

    #[test]
    fn every_meaning_names_an_argument_and_groups_that_exist() {
        let mut left = meanings();
        for table in [
            include_str!("calls/x86_64.tbl"),
            include_str!("calls/i386.tbl"),
            include_str!("calls/x32.tbl"),
        ] {
            let mut fresh = meanings();
            let _: Vec<_> = lines(table)
                .filter_map(|line| parse(line, &mut fresh))
                .collect();
            left.retain(|key, _| fresh.contains_key(key));
        }
        assert_eq!(left.keys().collect::<Vec<_>>(), Vec::<&(&str, &str)>::new());
        for meaning in meanings().values() {
            for group in &meaning.groups {
                assert!(super::super::constants::group(group).is_some(), "{group}");
            }
        }
    }

    #[test]
    fn an_int_is_compared_at_32_bits_and_a_mode_at_16() {
        let openat = calls(Arch::X86_64).by_name("openat").unwrap();
        let (index, mode) = openat.arg("mode").unwrap();
        assert_eq!((index, mode.width.mask()), (3, 0xffff));
        assert_eq!(openat.arg("dfd").unwrap().1.width.mask(), 0xffff_ffff);
        let socket = calls(Arch::X86_64).by_name("socket").unwrap();
        assert_eq!(socket.arg("domain").unwrap().0, 0);
        assert_eq!(socket.arg("family").unwrap().0, 0);
    }

    #[test]
    fn an_argument_is_as_wide_as_its_use_and_not_as_its_declaration() {
        // Declared as unsigned long and long, handed on to functions that take an int.
        for (call, arg) in [("clone", "flags"), ("ptrace", "pid"), ("readv", "fd")] {
            for arch in Arch::ALL {
                let call = calls(arch).by_name(call).unwrap();
                assert_eq!(call.arg(arg).unwrap().1.width.bits, 32, "{}", call.name);
            }
        }
    }

    #[test]
    fn x32_has_numbers_of_its_own_where_it_differs() {
        let number = |name: &str| calls(Arch::X32).by_name(name).map(|call| call.number);
        assert_eq!(number("read"), Some(X32_BIT));
        assert_eq!(number("ioctl"), Some(X32_BIT | 514));
        assert_eq!(number("uselib"), None);
        assert_eq!(Arch::of_entry(0xc000_003e, X32_BIT), Some(Arch::X32));
        assert_eq!(Arch::of_entry(0xc000_003e, u32::MAX), Some(Arch::X86_64));
        assert_eq!(Arch::of_entry(0x4000_0003, X32_BIT), Some(Arch::I386));
    }
}

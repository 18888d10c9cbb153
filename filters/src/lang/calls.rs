// SPDX-License-Identifier: GPL-2.0
//! System calls: their numbers, and the names and widths of their arguments.
//!
//! The tables are text beside this file: `calls/*.tbl` from the kernel's own tables, `args.tbl` for what the values of an argument mean. To
//! give another call typed arguments, add a line to `args.tbl`.

use std::collections::{BTreeMap, HashMap};
use std::prelude::rust_2021::*;
use std::sync::OnceLock;

/// The two ways into the kernel that have a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Arch {
    /// The native entry.
    X86_64,
    /// `int 0x80`, `sysenter` and `syscall` of 32-bit code.
    I386,
}

impl Arch {
    /// Both.
    pub const ALL: [Arch; 2] = [Arch::X86_64, Arch::I386];

    /// `AUDIT_ARCH_*` of `include/uapi/linux/audit.h`.
    pub const fn audit(self) -> u32 {
        match self {
            Arch::X86_64 => 0xc000_003e,
            Arch::I386 => 0x4000_0003,
        }
    }

    /// Its name in the language.
    pub const fn name(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64",
            Arch::I386 => "i386",
        }
    }

    /// The architecture of this name.
    pub fn from_name(name: &str) -> Option<Arch> {
        Arch::ALL.into_iter().find(|arch| arch.name() == name)
    }

    /// The architecture with this `AUDIT_ARCH_*` number.
    pub fn from_audit(number: u32) -> Option<Arch> {
        Arch::ALL.into_iter().find(|arch| arch.audit() == number)
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
    match arch {
        Arch::X86_64 => X86_64.get_or_init(|| read(include_str!("calls/x86_64.tbl"))),
        Arch::I386 => I386.get_or_init(|| read(include_str!("calls/i386.tbl"))),
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
        for (arch, table, last) in [
            (Arch::X86_64, include_str!("calls/x86_64.tbl"), "fchroot"),
            (Arch::I386, include_str!("calls/i386.tbl"), "fchroot"),
        ] {
            assert_eq!(lines(table).count(), calls(arch).list.len());
            assert_eq!(calls(arch).by_number(472).map(|call| call.name), Some(last));
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
}

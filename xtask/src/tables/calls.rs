// SPDX-License-Identifier: GPL-2.0

//! The tables of system calls: number, name, and each argument with the width at which the kernel reads it.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};

use super::c_source::{Definitions, Param};

/// `__X32_SYSCALL_BIT` of `arch/x86/include/uapi/asm/unistd.h`.
const X32_BIT: u32 = 0x4000_0000;

/// A way into the kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arch {
    pub(super) name: &'static str,
    /// The kernel's table.
    pub(super) source: &'static str,
    /// The ABIs of that table that belong here.
    abis: [&'static str; 2],
    /// The table that is made.
    pub(super) path: &'static str,
}

/// A line of the kernel's tables.
struct Line<'s> {
    number: &'s str,
    name: &'s str,
    /// The function, and that for 32-bit callers; empty if there is none.
    entry: &'s str,
    compat: &'s str,
}

impl Arch {
    /// The lines of the kernel's table `source` that belong here.
    fn lines(self, source: &str) -> impl Iterator<Item = Line<'_>> {
        source.lines().filter_map(move |line| {
            let words: Vec<&str> = line.split('#').next()?.split_whitespace().collect();
            let [number, abi, name, rest @ ..] = words.as_slice() else {
                return None;
            };
            let word = |at: usize| rest.get(at).copied().filter(|word| *word != "-");
            self.abis.contains(abi).then(|| Line {
                number,
                name,
                entry: word(0).unwrap_or_default(),
                compat: word(1).unwrap_or_default(),
            })
        })
    }

    /// The names in the kernel's table `source`, and whether there is a function behind each.
    pub(super) fn listed(self, source: &str) -> impl Iterator<Item = (&str, bool)> {
        self.lines(source).map(move |line| {
            let entry = match line.compat {
                compat if self.name == "i386" && !compat.is_empty() => compat,
                _ => line.entry,
            };
            (line.name, !["", NOTHING].contains(&entry))
        })
    }
}

/// The function of calls that are not implemented.
const NOTHING: &str = "sys_ni_syscall";

/// All of them.
pub(super) const ARCHES: [Arch; 3] = [
    Arch {
        name: "x86_64",
        source: "syscall_64.tbl",
        abis: ["common", "64"],
        path: "calls/x86_64.tbl",
    },
    Arch {
        name: "x32",
        source: "syscall_64.tbl",
        abis: ["common", "x32"],
        path: "calls/x32.tbl",
    },
    Arch {
        name: "i386",
        source: "syscall_32.tbl",
        abis: ["i386", "i386"],
        path: "calls/i386.tbl",
    },
];

/// Arguments that are declared wider than they are used: the kernel hands them on to functions that take an int.
const NARROWED: [(&str, &str, &str); 3] = [
    // kernel/fork.c: lower_32_bits(clone_flags).
    ("clone", "clone_flags", "u32"),
    // kernel/ptrace.c: find_get_task_by_vpid(pid).
    ("ptrace", "pid", "i32"),
    // mm/mempolicy.c: int lmode = mode.
    ("mbind", "mode", "i32"),
];

/// What became of one of the kernel's tables.
pub(super) struct Made {
    pub(super) text: String,
    pub(super) names: Vec<String>,
    /// Calls whose function is nowhere defined.
    pub(super) unresolved: Vec<String>,
}

/// Makes the table of `arch` from the kernel's.
pub(super) fn table(
    arch: Arch,
    release: &str,
    source: &str,
    definitions: &Definitions,
) -> Result<Made> {
    let mut lines = Vec::new();
    let mut unresolved = Vec::new();
    for line in arch.lines(source) {
        let (name, entry) = (line.name, line.entry);
        let mut number: u32 = line
            .number
            .parse()
            .with_context(|| format!("{}: {name} begins with no number", arch.source))?;
        if arch.name == "x32" {
            number |= X32_BIT;
        }
        let compat = match line.compat {
            compat if arch.name == "i386" => compat,
            _ if arch.name == "x32" && entry.starts_with("compat_") => entry,
            _ => "",
        };
        let params = find(definitions, entry, compat);
        if params.is_none() && !["", NOTHING].contains(&entry) {
            unresolved.push(name.to_owned());
        }
        let text = format!(
            "{number} {name}{}",
            arguments(arch, name, params.unwrap_or_default())?
        );
        lines.push((number, name.to_owned(), text));
    }
    if lines.is_empty() {
        bail!("{} has no calls of {}", arch.source, arch.name);
    }
    lines.sort();
    let mut text = format!(
        "# SPDX-License-Identifier: GPL-2.0\n\
         # System calls of {}: number, name, arguments with the width at which the kernel reads them.\n\
         # Source: Linux {release}, arch/x86/entry/syscalls/{} and the SYSCALL_DEFINE macros of the functions it names. Made by `cargo xtask tables`.\n\
         # A call without arguments in this list takes none, or is not implemented in that kernel.\n",
        arch.name, arch.source
    );
    if arch.name == "x32" {
        text.push_str("# The numbers have the bit __X32_SYSCALL_BIT (0x40000000).\n");
    }
    for (_, _, line) in &lines {
        text.push_str(line);
        text.push('\n');
    }
    Ok(Made {
        text,
        names: lines.into_iter().map(|(_, name, _)| name).collect(),
        unresolved,
    })
}

/// The definition behind an entry of the table, that for 32-bit callers first if there is one.
fn find<'d>(definitions: &'d Definitions, entry: &str, compat: &str) -> Option<&'d [Param]> {
    let native = |name: &str| definitions.native(name);
    let found = match compat.strip_prefix("compat_sys_") {
        Some(name) => {
            let name = name
                .strip_prefix("x32_")
                .or(name.strip_prefix("ia32_"))
                .unwrap_or(name);
            let ia32 = format!("ia32_{name}");
            definitions
                .compat(name)
                .or_else(|| definitions.compat(&ia32))
                .or_else(|| native(&ia32))
                .or_else(|| native(name))
        }
        None => compat
            .strip_prefix("sys_")
            .and_then(|name| native(name).or_else(|| definitions.compat(name))),
    };
    let name = entry
        .strip_prefix("compat_sys_")
        .or(entry.strip_prefix("sys_"));
    found.or_else(|| native(name?))
}

/// ` name:width` for each argument.
fn arguments(arch: Arch, call: &str, params: &[Param]) -> Result<String> {
    let mut text = String::new();
    let mut seen: Vec<String> = Vec::new();
    for param in params {
        let width = width(&param.kind).with_context(|| {
            format!(
                "{call}: nobody has said how wide the type {:?} is",
                param.kind
            )
        })?;
        let mut width = match (arch.name, width) {
            ("i386", "u64" | "ptr") => "u32",
            ("i386", "i64") => "i32",
            (_, "ptr") => "u64",
            (_, width) => width,
        };
        let mut name = param.name.trim_start_matches('_').to_owned();
        let narrowed = NARROWED
            .iter()
            .find(|(of, argument, _)| *of == call && *argument == name);
        if let Some((_, _, narrow)) = narrowed {
            width = narrow;
        } else if name == "fd" && width == "u64" {
            // fget takes an unsigned int.
            width = "u32";
        }
        if seen.contains(&name) {
            name.push('2');
        }
        write!(text, " {name}:{width}").context("format")?;
        seen.push(name);
    }
    Ok(text)
}

/// Sign and bits of a C type on x86-64, `ptr` for an address.
fn width(kind: &str) -> Option<&'static str> {
    let kind = kind.replace("__user", "").replace("const ", "");
    let kind = kind.split_whitespace().collect::<Vec<_>>().join(" ");
    if kind.contains('*') {
        return Some("ptr");
    }
    Some(match kind.as_str() {
        "u8" | "bool" | "unsigned char" => "u8",
        "short" => "i16",
        "umode_t" | "compat_mode_t" | "old_uid_t" | "old_gid_t" | "unsigned short" => "u16",
        "int" | "__s32" | "pid_t" | "key_t" | "key_serial_t" | "mqd_t" | "clockid_t"
        | "timer_t" | "rwf_t" | "enum kcmp_type" | "compat_long_t" | "compat_ssize_t"
        | "compat_pid_t" | "compat_off_t" | "compat_key_t" | "compat_int_t" | "compat_timer_t"
        | "old_time32_t" => "i32",
        "unsigned int"
        | "unsigned"
        | "u32"
        | "__u32"
        | "uint32_t"
        | "uid_t"
        | "gid_t"
        | "mode_t"
        | "__kernel_mode_t"
        | "qid_t"
        | "idtype_t"
        | "enum landlock_rule_type"
        | "compat_ulong_t"
        | "compat_size_t"
        | "compat_uint_t"
        | "compat_uptr_t"
        | "compat_aio_context_t"
        | "compat_old_sigset_t" => "u32",
        "long" | "ssize_t" | "loff_t" | "off_t" | "time_t" | "__kernel_old_time_t" => "i64",
        "unsigned long" | "size_t" | "u64" | "__u64" | "uint64_t" | "aio_context_t"
        | "old_sigset_t" => "u64",
        "cap_user_header_t" | "cap_user_data_t" | "__sighandler_t" | "sigset_t" | "siginfo_t"
        | "compat_sigset_t" => "ptr",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel() -> Definitions {
        let mut found = Definitions::default();
        found.add(
            "SYSCALL_DEFINE3(readv, unsigned long, fd, const struct iovec __user *, vec, unsigned long, vlen)\n\
             SYSCALL_DEFINE5(clone, unsigned long, clone_flags, unsigned long, newsp, int __user *, parent_tidptr, int __user *, child_tidptr, unsigned long, tls)\n\
             SYSCALL_DEFINE3(ioctl, unsigned int, fd, unsigned int, cmd, unsigned long, arg)\n\
             COMPAT_SYSCALL_DEFINE3(ioctl, unsigned int, fd, unsigned int, cmd, compat_ulong_t, arg32)\n\
             SYSCALL_DEFINE2(odd, umode_t, _mode, umode_t, mode)\n",
        );
        found
    }

    fn lines(arch: Arch, source: &str) -> Vec<String> {
        let made = table(arch, "7.3.4", source, &kernel()).expect("a table");
        made.text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(str::to_owned)
            .collect()
    }

    const SOURCE: &str = "# comment\n19 64 readv sys_readv\n56 common clone sys_clone\n16 64 ioctl sys_ioctl\n\
                          514 x32 ioctl compat_sys_ioctl\n20 common gone sys_ni_syscall\n999 64 odd sys_odd\n";

    #[test]
    fn widths_are_those_of_the_use() {
        assert_eq!(
            lines(ARCHES[0], SOURCE),
            [
                "16 ioctl fd:u32 cmd:u32 arg:u64",
                "19 readv fd:u32 vec:u64 vlen:u64",
                "20 gone",
                "56 clone clone_flags:u32 newsp:u64 parent_tidptr:u64 child_tidptr:u64 tls:u64",
                "999 odd mode:u16 mode2:u16",
            ]
        );
    }

    #[test]
    fn x32_numbers_have_the_bit_and_its_own_entries_the_compat_types() {
        let lines = lines(ARCHES[1], SOURCE);
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[2], "1073742338 ioctl fd:u32 cmd:u32 arg32:u32");
    }

    #[test]
    fn registers_of_i386_have_32_bits() {
        assert_eq!(
            lines(
                ARCHES[2],
                "145 i386 readv sys_readv\n54 i386 ioctl sys_ioctl compat_sys_ioctl\n120 i386 x sys_ni_syscall -"
            ),
            [
                "54 ioctl fd:u32 cmd:u32 arg32:u32",
                "120 x",
                "145 readv fd:u32 vec:u32 vlen:u32"
            ]
        );
    }

    #[test]
    fn a_function_without_definition_is_named_and_an_unknown_type_refused() {
        let made = table(ARCHES[0], "7.3.4", "1 64 y sys_y\n", &kernel()).expect("a table");
        assert_eq!(made.unresolved, ["y"]);
        let mut strange = Definitions::default();
        strange.add("SYSCALL_DEFINE1(z, struct odd, x)");
        let error = table(ARCHES[0], "7.3.4", "1 64 z sys_z\n", &strange).err();
        assert!(error.expect("an error").to_string().contains("struct odd"));
    }
}

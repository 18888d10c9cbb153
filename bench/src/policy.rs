// SPDX-License-Identifier: GPL-2.0
//! The filters that are attached: policies for evfilter, programs for seccomp that decide the same.

use std::fs;
use std::path::PathBuf;

use evfilter::{Event, Policy};
use filters::insn::{ABS, Insn, JEQ, JMP, K, LD, RET};
use filters::record::Record;
use filters::verdict::Verdict;

use crate::seccomp;
use crate::setting::{Kind, Setting, System};
use crate::stage;

/// `AUDIT_ARCH_X86_64`.
const ARCH: u32 = 0xc000_003e;
/// Bytes of `struct seccomp_data` before the number's neighbour, and before the first register's lower half.
const OFFSET_ARCH: u32 = 4;
const OFFSET_ARG0: u32 = 16;
/// Words of the record of `syscall.enter`.
const WORDS: usize = 16;
/// No call has a larger number.
const NUMBERS: u32 = 512;
/// The first value that `args-N` refuses in the first register, and how far the values of two layers lie apart: no process id, no flag, no address.
const FIRST_VALUE: u32 = 0x1234_0000;
const VALUES: u32 = 0x1000;

/// The call that the profile by number refuses: it asks for something, and no deed uses it.
pub(crate) const REFUSED_CALL: i64 = libc::SYS_personality;

/// A value of the first register that layer `layer` of `args-N` refuses: the one that is compared last.
pub(crate) fn refused_value(count: usize, layer: usize) -> u64 {
    u64::from(value(count.saturating_sub(1), layer))
}

fn value(n: usize, layer: usize) -> u32 {
    FIRST_VALUE + VALUES * layer as u32 + n as u32
}

/// Where what is loaded for a setting lies once [`compile`] has made it, layer by layer: images, or programs for seccomp.
pub(crate) fn files(setting: &Setting) -> Vec<PathBuf> {
    let count = match setting.system {
        System::None | System::Loaded | System::Bystander | System::Landlock | System::Text => 0,
        _ if setting.same => 1,
        _ => setting.layers,
    };
    let kind = setting.kind;
    let made = match setting.system {
        System::Libseccomp => "calls",
        System::Seccomp => "bpf",
        _ => "image",
    };
    (0..count)
        .map(|layer| PathBuf::from(format!("/tmp/policies/{kind}.{layer}.{made}")))
        .collect()
}

/// Makes the files of the setting called `name`, unless they are there.
///
/// This happens in a process of its own, so that the compiler's memory is not that of the process that is measured.
pub(crate) fn compile(name: &str) -> Result<(), String> {
    let setting = Setting::parse(name).ok_or_else(|| format!("{name}: no such setting"))?;
    for (layer, path) in files(&setting).iter().enumerate() {
        if path.exists() {
            continue;
        }
        let made = match setting.system {
            System::Libseccomp => calls()?,
            System::Seccomp => program(setting.kind, layer)?,
            _ => image(setting.kind, layer)?,
        };
        fs::write(path, made).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// The numbers that the profile by number allows, one a line, for a program that makes its own profile of them.
fn calls() -> Result<Vec<u8>, String> {
    let lines: Vec<String> = allowed_calls()?.iter().map(u32::to_string).collect();
    Ok((lines.join("\n") + "\n").into_bytes())
}

/// What is loaded for layer `layer`.
fn image(kind: Kind, layer: usize) -> Result<Vec<u8>, String> {
    let policy = match kind {
        Kind::All | Kind::Args(_) => Policy::from_bpf(&program(kind, layer)?),
        _ => Policy::parse(&text(kind, layer)),
    };
    let policy = policy.map_err(|error| format!("the policy {kind}: {error}"))?;
    Ok(policy.image().to_vec())
}

/// What seccomp is given for layer `layer`.
fn program(kind: Kind, layer: usize) -> Result<Vec<u8>, String> {
    let allow = Insn::stmt(RET | K, Verdict::ALLOW.raw());
    let refuse = Insn::stmt(RET | K, Verdict::errno(libc::EPERM as u16).raw());
    let insns = match kind {
        Kind::All => vec![allow],
        Kind::Args(count) => {
            // Loaded anew for each, as compilers of profiles do.
            let one = |n| {
                let compared = Insn::jump(JMP | JEQ | K, value(n, layer), 0, 1);
                [Insn::stmt(LD | ABS, OFFSET_ARG0), compared, refuse]
            };
            (0..count).flat_map(one).chain([allow]).collect()
        }
        Kind::Numbers => {
            let head = [
                Insn::stmt(LD | ABS, OFFSET_ARCH),
                Insn::jump(JMP | JEQ | K, ARCH, 1, 0),
                Insn::stmt(RET | K, Verdict::KILL_PROCESS.raw()),
                Insn::stmt(LD | ABS, 0),
            ];
            let one = |nr| [Insn::jump(JMP | JEQ | K, nr, 0, 1), allow];
            let calls = allowed_calls()?.into_iter().flat_map(one);
            head.into_iter().chain(calls).chain([refuse]).collect()
        }
        _ => return Err(format!("seccomp knows no {kind}")),
    };
    Ok(seccomp::code(&insns))
}

/// The numbers that the profile by number allows: as the policy itself says.
fn allowed_calls() -> Result<Vec<u32>, String> {
    let policy = Policy::parse(&text(Kind::Numbers, 0)).map_err(|error| error.to_string())?;
    let allowed = |nr: &u32| {
        let mut words = [0; WORDS];
        words[..2].copy_from_slice(&[*nr, ARCH]);
        Record::new(Event::SyscallEnter, &words, &[])
            .and_then(|record| policy.explain(&record))
            .is_some_and(|explained| explained.verdict == Verdict::ALLOW)
    };
    Ok((0..NUMBERS).filter(allowed).collect())
}

/// A policy's text. Layers differ in one place.
pub(crate) fn text(kind: Kind, layer: usize) -> String {
    let list = |count: usize| {
        let places = (0..count).map(stage::place);
        let own = (layer > 0).then(|| format!("/tmp/layer{layer}"));
        let quoted: Vec<String> = places.chain(own).map(|path| format!("{path:?}")).collect();
        quoted.join(", ")
    };
    let names = |places: &str| {
        format!("on vfs.getname {{\n allow path under {places}\n default deny EACCES\n}}\n")
    };
    match kind {
        Kind::Numbers => {
            "on syscall.enter {\n deny EPERM personality\n allow @known\n default deny ENOSYS\n}\n"
                .to_owned()
        }
        Kind::Name(count) => names(&list(count)),
        Kind::Object(count) => {
            let places = list(count);
            let objects = format!(
                "on vfs.pick {{\n allow when flags has internal\n deny EACCES when reachable == no\n allow path under {places}\n default deny EACCES\n}}\n"
            );
            names(&places) + &objects
        }
        Kind::Paths(count) => {
            let places = list(count);
            format!("paths {{\n write {places}\n exec {places}\n deny \"**/.env\"\n}}\n")
        }
        Kind::Grants(count) => {
            let places = list(count);
            format!("paths {{\n write {places}\n exec {places}\n}}\n")
        }
        Kind::Tools => {
            let (read, write) = (quoted(&stage::SYSTEM), quoted(&stage::OWN));
            format!("paths {{\n exec {read}\n write {write}\n deny \"**/.env\"\n}}\n")
        }
        Kind::ToolsName => {
            let places = quoted(&[stage::SYSTEM.as_slice(), &stage::OWN].concat());
            // gcc's own names have `..` in them, so it is not refused: this tells what judging names costs, and is no sandbox.
            format!(
                "on vfs.getname {{\n allow path under {places}\n allow path matches \"[!/]**\", \"\"\n default deny EACCES\n}}\n"
            )
        }
        Kind::Nothing | Kind::All | Kind::Args(_) | Kind::Rules(_) => String::new(),
    }
}

fn quoted(places: &[&str]) -> String {
    let quoted: Vec<String> = places.iter().map(|path| format!("{path:?}")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_compiles_and_every_program_verifies() {
        let kinds = [Kind::All, Kind::Numbers, Kind::Args(10), Kind::Args(100)];
        for kind in kinds.into_iter().chain([
            Kind::Name(3),
            Kind::Object(3),
            Kind::Paths(3),
            Kind::Grants(3),
        ]) {
            for layer in [0, 63] {
                assert!(image(kind, layer).is_ok(), "{:?}", image(kind, layer));
            }
        }
        for kind in kinds {
            let code = program(kind, 1).expect("a program");
            assert!(Policy::from_bpf(&code).is_ok(), "{kind}");
        }
    }

    #[test]
    fn the_profile_has_about_350_calls_and_not_the_refused_one() {
        let calls = allowed_calls().expect("calls");
        assert!((330..=400).contains(&calls.len()), "{}", calls.len());
        assert!(!calls.contains(&(REFUSED_CALL as u32)));
        assert!(calls.contains(&(libc::SYS_getppid as u32)));
    }

    #[test]
    fn layers_of_names_differ() {
        for kind in [
            Kind::Name(10),
            Kind::Object(10),
            Kind::Paths(10),
            Kind::Grants(10),
        ] {
            assert_ne!(image(kind, 1), image(kind, 2), "{kind}");
        }
    }
}

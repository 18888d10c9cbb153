// SPDX-License-Identifier: GPL-2.0
//! The C header says what `uapi` says: a C compiler compares numbers, sizes and offsets. Rust needs a C compiler to link, so there is one.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::mem::offset_of;
use std::path::Path;
use std::process::{Command, Stdio};

use evfilter::Event;
use uapi::control::{
    ABI_VERSION, DEVICE_PATH, IOC_INFO, IOC_LOAD, IOC_RESTRICT_SELF, Info, LOAD_INTERPRETED, Load,
    PR_EVFILTER, PR_EVFILTER_OPEN, RESTRICT_AT_EXEC, RESTRICT_STRICT, RESTRICT_TSYNC, RestrictSelf,
    SECURITY_SEQUENCE_PATH,
};

/// Compiles `source` against the header; returns the compiler's messages if it complains.
fn compile(source: &str) -> Result<Option<String>, Box<dyn Error>> {
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
    let mut cc = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"])
        .args(["-fsyntax-only", "-x", "c", "-I"])
        .arg(include)
        .arg("-")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = cc.stdin.take() {
        stdin.write_all(source.as_bytes())?;
    }
    let output = cc.wait_with_output()?;
    let messages = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((!output.status.success()).then_some(messages))
}

fn assertions(facts: &[(&str, u64)]) -> Result<String, std::fmt::Error> {
    let mut source = String::from("#include \"evfilter.h\"\n#include <stddef.h>\n");
    for (expression, value) in facts {
        writeln!(
            source,
            "_Static_assert(({expression}) == {value}u, \"{expression}\");"
        )?;
    }
    Ok(source)
}

macro_rules! layout {
    ($facts:ident, $rust:ty, $c:literal, [$($field:ident),+]) => {
        $facts.push((concat!("sizeof(struct ", $c, ")"), size_of::<$rust>() as u64));
        $($facts.push((
            concat!("offsetof(struct ", $c, ", ", stringify!($field), ")"),
            offset_of!($rust, $field) as u64,
        ));)+
    };
}

#[test]
fn constants_and_layouts_are_those_of_uapi() -> Result<(), Box<dyn Error>> {
    let mut facts = vec![
        ("EVFILTER_ABI_VERSION", u64::from(ABI_VERSION)),
        ("PR_EVFILTER", PR_EVFILTER as u64),
        ("PR_EVFILTER_OPEN", PR_EVFILTER_OPEN),
        ("EVFILTER_IOC_INFO", IOC_INFO.into()),
        ("EVFILTER_IOC_LOAD", IOC_LOAD.into()),
        ("EVFILTER_IOC_RESTRICT_SELF", IOC_RESTRICT_SELF.into()),
        ("EVFILTER_RESTRICT_TSYNC", RESTRICT_TSYNC.into()),
        ("EVFILTER_RESTRICT_STRICT", RESTRICT_STRICT.into()),
        ("EVFILTER_RESTRICT_AT_EXEC", RESTRICT_AT_EXEC.into()),
        ("EVFILTER_LOAD_INTERPRETED", LOAD_INTERPRETED.into()),
        (
            "EVFILTER_EVENT_SYSCALL_ENTER",
            Event::SyscallEnter.number().into(),
        ),
        (
            "EVFILTER_EVENT_VFS_GETNAME",
            Event::VfsGetname.number().into(),
        ),
        ("sizeof(EVFILTER_DEVICE) - 1", DEVICE_PATH.len() as u64),
        (
            "sizeof(EVFILTER_SECURITY_SEQUENCE_PATH) - 1",
            SECURITY_SEQUENCE_PATH.len() as u64,
        ),
    ];
    layout!(
        facts,
        Info,
        "evfilter_info",
        [
            size,
            abi,
            security_sequence,
            layers,
            events,
            max_layers,
            max_insns,
            max_image,
            max_stack_cost,
            native_layers,
            native
        ]
    );
    layout!(
        facts,
        Load,
        "evfilter_load",
        [size, flags, image, image_len, message_len, message]
    );
    layout!(
        facts,
        RestrictSelf,
        "evfilter_restrict_self",
        [size, flags, filter_fd, thread]
    );
    assert_eq!(compile(&assertions(&facts)?)?, None);
    Ok(())
}

#[test]
fn a_wrong_number_is_noticed() -> Result<(), Box<dyn Error>> {
    let wrong = compile(&assertions(&[("EVFILTER_ABI_VERSION", 4711)])?)?;
    assert!(wrong.is_some_and(|it| it.contains("EVFILTER_ABI_VERSION")));
    Ok(())
}

#[test]
fn the_header_stands_alone_twice() -> Result<(), Box<dyn Error>> {
    let source = "#include \"evfilter.h\"\n#include \"evfilter.h\"\nint main(void) { return 0; }\n";
    assert_eq!(compile(source)?, None);
    Ok(())
}

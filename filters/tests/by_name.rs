// SPDX-License-Identifier: GPL-2.0
//! What is allowed by a name alone is what the interpreter allows, whatever else the record says.

#![cfg(feature = "lang")]
#![expect(
    clippy::expect_used,
    reason = "a test ends by a panic when something is not as expected"
)]

use filters::by_name::ByName;
use filters::event::Event;
use filters::lang::{compile, Memory};
use filters::record::Record;
use filters::verdict::Action;
use oracle::image;

/// Rules of `vfs.getname`, and whether the name alone decides everything.
const POLICIES: [(&str, bool); 6] = [
    (
        "allow path under \"/usr\", \"/lib\"\n default deny EACCES",
        true,
    ),
    (
        "deny EACCES path contains \"..\"\n allow path under \"/usr\"\n default kill",
        true,
    ),
    ("deny ENOENT path matches \"**/.env\"\n default allow", true),
    (
        "log path under \"/etc\"\n allow path under \"/usr\"\n default deny EACCES",
        true,
    ),
    (
        "deny EPERM path under \"/etc\"\n deny EACCES when origin == kernel\n default allow",
        false,
    ),
    (
        "deny EACCES when path_len > 4\n allow path under \"/usr\"\n default deny EACCES",
        false,
    ),
];

const NAMES: [&str; 10] = [
    "",
    "/",
    "/usr",
    "/usr/bin/env",
    "/usrlocal",
    "/etc/passwd",
    "/usr/../etc",
    "/lib/.env",
    "a/.env",
    "/lib",
];

#[test]
fn what_a_name_decides_is_decided_whatever_the_record_says() {
    let mut allowed = 0;
    for (rules, alone) in POLICIES {
        let text = format!("policy t\non vfs.getname {{\n {rules}\n}}\n");
        let compiled = compile("t.evf", &text, &Memory::new()).expect("a sound policy");
        let policy = image::verify(compiled.image).expect("a sound image");
        let program = policy.program(Event::VfsGetname).expect("it has one");
        let by_name = ByName::of(&program);
        assert!(by_name.is_some() || !alone, "{rules}");
        for name in NAMES {
            let says = by_name.is_some_and(|by_name| {
                by_name
                    .names(&program)
                    .expect("its table")
                    .allow(name.as_bytes())
            });
            allowed += usize::from(says);
            for origin in [0, 1] {
                let mut words = [0; 20];
                words[16] = origin;
                words[18] = name.len() as u32;
                let strings = [name.as_bytes()];
                let record = Record::new(Event::VfsGetname, &words, &strings).expect("a record");
                let allows = filters::vm::run(&program, &record).verdict.action() == Action::Allow;
                assert!(allows || !says, "{rules}: {name:?} is not allowed");
                assert!(says || !allows || !alone, "{rules}: {name:?} was left open");
            }
        }
    }
    assert!(allowed > 10, "hardly anything was decided");
}

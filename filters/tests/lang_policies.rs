// SPDX-License-Identifier: GPL-2.0
//! The policies that ship: they compile without a warning, and decide what their comments promise.

#![cfg(feature = "lang")]
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by a panic")]

use std::fs;
use std::path::Path;

use filters::lang::{compile_file, disasm, event_line, Compiled};

fn policy(name: &str) -> Compiled {
    match compile_file(Path::new("../policies").join(name)) {
        Ok(policy) => policy,
        Err(error) => panic!("{}", error.render(false)),
    }
}

fn verdict(policy: &Compiled, line: &str) -> String {
    let record = match event_line::parse(line) {
        Ok(record) => record,
        Err(error) => panic!("{}", error.render(false)),
    };
    let explanation = record.lend(|record| policy.explain(record).map(|found| found.verdict));
    match explanation.expect("a record") {
        Some(verdict) => disasm::verdict(verdict),
        None => "no program".to_string(),
    }
}

fn expect(policy: &Compiled, expected: &[(&str, &str)]) {
    for (line, verdict_expected) in expected {
        assert_eq!(verdict(policy, line), *verdict_expected, "{line}");
    }
}

#[test]
fn every_shipped_policy_compiles_without_a_warning() {
    let mut seen = 0;
    for entry in fs::read_dir("../policies").expect("the policies") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "evf") {
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            let policy = policy(&name);
            assert!(
                policy.warnings.is_empty(),
                "{}",
                policy.warnings.render(false)
            );
            assert_eq!(format!("{}.evf", policy.name), name);
            seen += 1;
        }
    }
    assert!(seen >= 4, "only {seen} policies");
}

#[test]
fn the_sandbox_is_the_one_that_was_asked_for() {
    let sandbox = policy("sandbox.evf");
    expect(
        &sandbox,
        &[
            ("vfs.getname path=/home/sandbox/x", "allow"),
            ("vfs.getname path=/lib/x86_64-linux-gnu/libc.so.6", "allow"),
            ("vfs.getname path=/usr/lib/x", "allow"),
            ("vfs.getname path=/etc/ld.so.cache", "allow"),
            ("vfs.getname path=/etc/shadow", "deny EACCES"),
            (
                "vfs.getname path=/home/sandbox/../../etc/shadow",
                "deny EACCES",
            ),
            ("vfs.getname path=/home/sandboxed", "deny EACCES"),
            ("vfs.getname path=/library", "deny EACCES"),
            ("vfs.getname path=/proc/self/root/etc/shadow", "deny EACCES"),
            ("vfs.getname path=etc/shadow", "deny EACCES"),
            ("syscall.enter openat", "allow"),
            ("syscall.enter link", "deny ENOSYS"),
            ("syscall.enter linkat", "deny ENOSYS"),
            ("syscall.enter symlink", "deny ENOSYS"),
            ("syscall.enter symlinkat", "deny ENOSYS"),
            ("syscall.enter io_uring_setup", "deny ENOSYS"),
            ("syscall.enter ptrace", "deny ENOSYS"),
            ("syscall.enter mount", "deny ENOSYS"),
            ("syscall.enter nr=9999", "deny ENOSYS"),
            ("syscall.enter openat arch=i386", "kill"),
            ("syscall.enter nr=0x40000001", "kill"),
        ],
    );
}

#[test]
fn the_working_place_for_tools_has_no_door() {
    let tools = policy("tools.evf");
    expect(
        &tools,
        &[
            ("vfs.getname path=/home/sandbox/repo/.git/HEAD", "allow"),
            ("vfs.getname path=.git/HEAD", "allow"),
            ("vfs.getname path=\"\"", "allow"),
            (
                "vfs.getname path=/usr/lib/python3.13/json/__init__.py",
                "allow",
            ),
            ("vfs.getname path=/usr/bin/git nr=execve", "allow"),
            ("vfs.getname path=/proc/self/fd/12", "allow"),
            ("vfs.getname path=/etc/localtime", "allow"),
            ("vfs.getname path=/ nr=newfstatat", "allow"),
            ("vfs.getname path=/ nr=openat", "deny EACCES"),
            ("vfs.getname path=/ nr=-1 arch=0", "deny EACCES"),
            ("vfs.getname path=/etc nr=openat", "deny EACCES"),
            ("vfs.getname path=/home nr=chdir", "deny EACCES"),
            ("vfs.getname path=..", "deny EACCES"),
            ("vfs.getname path=a/../../x", "deny EACCES"),
            ("vfs.getname path=../x", "deny EACCES"),
            ("vfs.getname path=/usr/lib/..", "deny EACCES"),
            ("vfs.getname path=a..b", "allow"),
            ("vfs.getname path=/proc/self/fd/../root", "deny EACCES"),
            ("vfs.getname path=/proc/self/fd/12/x", "deny EACCES"),
            ("vfs.getname path=/proc/self/root", "deny EACCES"),
            ("vfs.getname path=/proc/self/cwd/x", "deny EACCES"),
            ("vfs.getname path=/proc/1/root/x", "deny EACCES"),
            ("vfs.getname path=/etc/shadow", "deny EACCES"),
            (
                "syscall.enter clone flags=CLONE_VM|CLONE_VFORK|SIGCHLD",
                "allow",
            ),
            (
                "syscall.enter clone flags=CLONE_NEWUSER|SIGCHLD",
                "deny EPERM",
            ),
            ("syscall.enter clone3", "deny ENOSYS"),
            ("syscall.enter unshare", "deny ENOSYS"),
            ("syscall.enter ioctl request=TCGETS", "allow"),
            ("syscall.enter ioctl request=TIOCSTI", "deny ENOSYS"),
            ("syscall.enter socket domain=AF_INET", "deny ENOSYS"),
            ("syscall.enter symlink", "deny ENOSYS"),
            ("syscall.enter link", "deny ENOSYS"),
        ],
    );
}

#[test]
fn a_narrow_child_opens_nothing_for_writing() {
    let narrow = policy("narrow.evf");
    expect(
        &narrow,
        &[
            ("syscall.enter openat flags=O_RDONLY|O_CLOEXEC", "allow"),
            ("syscall.enter openat flags=O_WRONLY", "deny EPERM"),
            ("syscall.enter openat flags=O_RDONLY|O_CREAT", "deny EPERM"),
            ("syscall.enter openat flags=0x100000001", "deny EPERM"),
            ("syscall.enter execve", "deny EPERM"),
            ("syscall.enter openat2", "deny ENOSYS"),
            ("vfs.getname path=/home/sandbox/private/x", "deny EACCES"),
            ("vfs.getname path=/home/sandbox/public", "allow"),
            ("vfs.getname path=a/.env", "deny EACCES"),
        ],
    );
}

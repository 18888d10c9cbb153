// SPDX-License-Identifier: GPL-2.0
//! The policies that ship: they compile without a warning, and decide what their comments promise.

#![cfg(feature = "lang")]
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by a panic")]

use std::fs;
use std::path::Path;

use filters::event::Event;
use filters::lang::calls::X32_BIT;
use filters::lang::event_line::OwnedRecord;
use filters::lang::image::verified;
use filters::lang::{compile, compile_file, disasm, event_line, Compiled, Memory};
use filters::verdict::Verdict;
use filters::{strict, vm};

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
    assert!(seen >= 10, "only {seen} policies");
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

#[test]
fn links_and_devices_are_in_no_set_that_a_working_place_opts_in() {
    for name in ["sandbox.evf", "tools.evf"] {
        let policy = policy(name);
        for call in [
            "link",
            "linkat",
            "symlink",
            "symlinkat",
            "mknod",
            "mknodat",
            "setxattr",
        ] {
            expect(
                &policy,
                &[(&format!("syscall.enter {call}"), "deny ENOSYS")],
            );
        }
    }
}

#[test]
fn strict_mode_decides_as_the_filter_that_is_built_in() {
    let policy = policy("strict.evf");
    let built_in = verified(strict::image().to_vec()).expect("a valid image");
    let program = built_in.program(Event::SyscallEnter).expect("a program");
    let mut allowed = 0;
    for arch in [0xc000_003e, 0x4000_0003, 0x4000_0028, 0, u32::MAX] {
        let numbers = (0..1024).flat_map(|number| [number, number | X32_BIT]);
        for number in numbers.chain([u32::MAX, i32::MAX as u32]) {
            let mut record = OwnedRecord::new(Event::SyscallEnter);
            record.set_word(0, number);
            record.set_word(4, arch);
            let verdicts = record.lend(|record| {
                let explained = policy.explain(record).map(|found| found.verdict);
                (explained, vm::run(&program, record).verdict)
            });
            let (written, built_in) = verdicts.expect("a record");
            assert_eq!(written, Some(built_in), "arch {arch:#x}, nr {number:#x}");
            allowed += usize::from(built_in == Verdict::ALLOW);
        }
    }
    assert_eq!(allowed, 5 + 6);
}

#[test]
fn capability_mode_reaches_nothing_by_a_global_name() {
    let capability = policy("capability.evf");
    expect(
        &capability,
        &[
            ("vfs.getname path=a/b nr=openat arg0=3", "allow"),
            ("vfs.getname path=\"\" nr=newfstatat", "allow"),
            ("vfs.getname path=a..b", "allow"),
            ("vfs.getname path=/", "deny EACCES"),
            (
                "vfs.getname path=/etc/passwd nr=openat arg0=3",
                "deny EACCES",
            ),
            ("vfs.getname path=.. nr=openat arg0=3", "deny EACCES"),
            ("vfs.getname path=../x nr=openat arg0=3", "deny EACCES"),
            ("vfs.getname path=a/../../x", "deny EACCES"),
            ("vfs.getname path=a/..", "deny EACCES"),
            ("vfs.getname path=a/../ origin=kernel", "deny EACCES"),
            (
                "vfs.getname path=journal origin=kernel nr=sendmsg",
                "deny EACCES",
            ),
            ("syscall.enter openat dfd=3", "allow"),
            ("syscall.enter openat dfd=AT_FDCWD", "deny EPERM"),
            ("syscall.enter openat dfd=0x1ffffff9c", "deny EPERM"),
            ("syscall.enter newfstatat dfd=0", "allow"),
            ("syscall.enter unlinkat dfd=AT_FDCWD", "deny EPERM"),
            ("syscall.enter renameat2 olddfd=3 newdfd=4", "allow"),
            (
                "syscall.enter renameat2 olddfd=3 newdfd=AT_FDCWD",
                "deny EPERM",
            ),
            (
                "syscall.enter linkat olddfd=AT_FDCWD newdfd=3",
                "deny EPERM",
            ),
            ("syscall.enter symlinkat newdfd=3", "deny EPERM"),
            ("syscall.enter open", "deny EPERM"),
            ("syscall.enter stat", "deny EPERM"),
            ("syscall.enter chdir", "deny EPERM"),
            ("syscall.enter execve", "deny EPERM"),
            ("syscall.enter execveat fd=3", "allow"),
            ("syscall.enter execveat fd=AT_FDCWD", "deny EPERM"),
            ("syscall.enter socket domain=AF_INET", "deny EPERM"),
            ("syscall.enter connect fd=3", "deny EPERM"),
            ("syscall.enter bind fd=3", "deny EPERM"),
            ("syscall.enter listen fd=3", "deny EPERM"),
            ("syscall.enter accept4 fd=3", "allow"),
            ("syscall.enter sendto fd=3", "allow"),
            (
                "syscall.enter sendto fd=3 addr=0x7f0000000000",
                "deny EPERM",
            ),
            ("syscall.enter sendmsg fd=3", "allow"),
            (
                "syscall.enter socketpair domain=AF_UNIX type=SOCK_STREAM|SOCK_CLOEXEC",
                "allow",
            ),
            (
                "syscall.enter socketpair domain=AF_UNIX type=SOCK_DGRAM",
                "deny EPERM",
            ),
            ("syscall.enter mq_open", "deny EPERM"),
            ("syscall.enter shmget", "deny EPERM"),
            ("syscall.enter mount", "deny EPERM"),
            ("syscall.enter sethostname", "deny EPERM"),
            ("syscall.enter ptrace", "deny EPERM"),
            ("syscall.enter io_uring_setup", "deny EPERM"),
            ("syscall.enter keyctl", "deny EPERM"),
            ("syscall.enter clone flags=CLONE_VM|CLONE_THREAD", "allow"),
            (
                "syscall.enter clone flags=CLONE_NEWUSER|SIGCHLD",
                "deny EPERM",
            ),
            ("syscall.enter clone3", "deny ENOSYS"),
            ("syscall.enter unshare", "deny EPERM"),
            ("syscall.enter ioctl request=TIOCSTI", "deny EPERM"),
            ("syscall.enter nr=9999", "deny ENOSYS"),
            ("syscall.enter read arch=i386", "kill"),
            ("syscall.enter read arch=x32", "kill"),
        ],
    );
}

#[test]
fn capability_mode_signals_nobody_but_itself() {
    let capability = policy("capability.evf");
    expect(
        &capability,
        &[
            ("syscall.enter kill pid=self sig=SIGTERM", "allow"),
            ("syscall.enter kill pid=7 self=7 self.thread=8", "allow"),
            (
                "syscall.enter kill pid=8 self=7 self.thread=8",
                "deny EPERM",
            ),
            ("syscall.enter kill pid=1", "deny EPERM"),
            ("syscall.enter kill pid=0", "deny EPERM"),
            ("syscall.enter kill pid=-1", "deny EPERM"),
            ("syscall.enter kill pid=-7 self=7", "deny EPERM"),
            ("syscall.enter tgkill tgid=self pid=99", "allow"),
            ("syscall.enter tgkill tgid=8 pid=8 self=7", "deny EPERM"),
            ("syscall.enter tkill pid=self.thread", "allow"),
            (
                "syscall.enter tkill pid=7 self=7 self.thread=8",
                "deny EPERM",
            ),
            ("syscall.enter rt_sigqueueinfo pid=self", "allow"),
            ("syscall.enter rt_sigqueueinfo pid=2", "deny EPERM"),
            ("syscall.enter rt_tgsigqueueinfo tgid=2 pid=2", "deny EPERM"),
            ("syscall.enter pidfd_send_signal", "deny EPERM"),
            ("syscall.enter fcntl cmd=F_SETOWN arg=7 self=7", "allow"),
            (
                "syscall.enter fcntl cmd=F_SETOWN arg=8 self=7",
                "deny EPERM",
            ),
            ("syscall.enter fcntl cmd=F_SETOWN_EX", "deny EPERM"),
            ("syscall.enter fcntl cmd=F_SETSIG", "deny EPERM"),
            ("syscall.enter prlimit64 pid=0", "allow"),
            ("syscall.enter prlimit64 pid=self", "allow"),
            ("syscall.enter prlimit64 pid=1", "deny EPERM"),
            ("syscall.enter getpgid pid=1", "deny EPERM"),
            ("syscall.enter setpriority which=1 who=0", "deny EPERM"),
        ],
    );
}

#[test]
fn a_program_under_capability_mode_finds_its_libraries_and_nothing_else() {
    let exec = policy("capability-exec.evf");
    let open = "syscall.enter openat dfd=AT_FDCWD flags=";
    expect(
        &exec,
        &[
            (&format!("{open}O_RDONLY|O_CLOEXEC"), "allow"),
            (&format!("{open}O_WRONLY"), "deny EPERM"),
            (&format!("{open}O_RDONLY|O_CREAT"), "deny EPERM"),
            (&format!("{open}O_RDONLY|O_TRUNC"), "deny EPERM"),
            (&format!("{open}O_PATH"), "deny EPERM"),
            ("syscall.enter openat dfd=3 flags=O_RDWR|O_CREAT", "allow"),
            ("syscall.enter kill pid=1", "deny EPERM"),
            (
                "vfs.getname path=/etc/ld.so.cache nr=openat arg0=AT_FDCWD",
                "allow",
            ),
            (
                "vfs.getname path=/lib/x86_64-linux-gnu/libc.so.6 nr=openat arg0=0xffffff9c",
                "allow",
            ),
            (
                "vfs.getname path=/lib64/ld-linux-x86-64.so.2 origin=kernel nr=execveat",
                "allow",
            ),
            (
                "vfs.getname path=/bin/sh origin=kernel nr=execveat",
                "deny EACCES",
            ),
            ("vfs.getname path=/etc/ld.so.preload nr=access", "allow"),
            (
                "vfs.getname path=/etc/shadow nr=openat arg0=AT_FDCWD",
                "deny EACCES",
            ),
            (
                "vfs.getname path=/lib/../etc/shadow nr=openat arg0=AT_FDCWD",
                "deny EACCES",
            ),
            ("vfs.getname path=x nr=openat arg0=AT_FDCWD", "deny EACCES"),
            ("vfs.getname path=x nr=access", "deny EACCES"),
            ("vfs.getname path=x nr=openat arg0=5", "allow"),
        ],
    );
}

#[test]
fn a_service_is_confined_as_its_unit_would_say() {
    let service = policy("service.evf");
    expect(
        &service,
        &[
            (
                "syscall.enter openat flags=O_RDWR|O_CREAT mode=0644",
                "allow",
            ),
            (
                "syscall.enter openat flags=O_RDWR|O_CREAT mode=04755",
                "deny EPERM",
            ),
            ("syscall.enter openat mode=04755", "allow"),
            ("syscall.enter fchmodat mode=S_ISGID", "deny EPERM"),
            (
                "syscall.enter socket domain=AF_INET6 type=SOCK_STREAM",
                "allow",
            ),
            (
                "syscall.enter socket domain=AF_NETLINK",
                "deny EAFNOSUPPORT",
            ),
            ("syscall.enter socket domain=0x100000002", "allow"),
            ("syscall.enter clone flags=CLONE_VM|CLONE_THREAD", "allow"),
            ("syscall.enter clone flags=0x110000000", "deny EPERM"),
            ("syscall.enter unshare flags=CLONE_NEWNS", "deny EPERM"),
            ("syscall.enter setns", "deny EPERM"),
            ("syscall.enter mmap prot=PROT_READ|PROT_WRITE", "allow"),
            ("syscall.enter mmap prot=PROT_WRITE|PROT_EXEC", "deny EPERM"),
            ("syscall.enter mmap prot=PROT_READ|PROT_EXEC", "allow"),
            (
                "syscall.enter mprotect prot=PROT_READ|PROT_EXEC",
                "deny EPERM",
            ),
            ("syscall.enter shmat shmflg=SHM_EXEC", "deny EPERM"),
            ("syscall.enter personality persona=0xffffffff", "allow"),
            (
                "syscall.enter personality persona=ADDR_NO_RANDOMIZE",
                "deny EPERM",
            ),
            (
                "syscall.enter sched_setscheduler policy=SCHED_FIFO",
                "deny EPERM",
            ),
            (
                "syscall.enter sched_setscheduler policy=SCHED_BATCH",
                "allow",
            ),
            ("syscall.enter ioctl request=TIOCLINUX", "deny EPERM"),
            ("syscall.enter ioctl request=TCGETS", "allow"),
            ("syscall.enter kill pid=1", "allow"),
            ("syscall.enter mount", "deny EPERM"),
            ("syscall.enter bpf", "deny EPERM"),
            ("syscall.enter reboot", "deny EPERM"),
            ("syscall.enter io_uring_setup", "deny EPERM"),
            ("syscall.enter nr=9999", "deny ENOSYS"),
            ("syscall.enter read arch=i386", "kill"),
            ("syscall.enter read arch=x32", "kill"),
        ],
    );
}

#[test]
fn the_examples_of_the_documentation_compile() {
    let page = fs::read_to_string("../docs/language.md").expect("the page");
    let examples: Vec<&str> = page
        .split("```")
        .skip(1)
        .step_by(2)
        .filter(|block| block.lines().any(|line| line.starts_with("on ")))
        .collect();
    assert!(examples.len() >= 5, "only {} examples", examples.len());
    for example in examples {
        let mut text = example.to_string();
        if !text.contains("on syscall.enter {") {
            text.push_str("on syscall.enter { default allow }");
        }
        if let Err(error) = compile("docs/language.md", &text, &Memory::new()) {
            panic!("{}", error.render(false));
        }
    }
}

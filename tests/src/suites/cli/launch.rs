// SPDX-License-Identifier: GPL-2.0
//! `evf run --strict` and `--at-exec`, `evf import` and `export`, and the compute worker.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use super::{EVF, POLICIES, as_user, ends_with, evf_run, names, policy, succeeds, told};
use crate::harness::{Test, tests};

pub(super) fn tests() -> Vec<Test> {
    tests!("cli";
        strict_worker_answers_its_job, worker_makes_itself_strict, strict_kills_what_a_c_library_does_first, strict_refuses_a_program_with_a_loader, strict_in_a_policy,
        at_exec_policy_need_not_allow_the_execution, at_exec_policy_binds_the_program, require_sequence, imported_program_confines, exported_policy_comes_back,
        imported_profile_runs_a_shell,
    )
}

/// What a program that is given this input says.
#[track_caller]
fn answers(command: &mut Command, job: &str) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut input = child.stdin.take().expect("piped");
    input.write_all(job.as_bytes()).expect("write the job");
    drop(input);
    let output = child.wait_with_output().expect("wait");
    assert!(output.status.success(), "{command:?}: {}", told(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const JOB: &str = "84\n97\n18446744073709551557\n";
const ANSWER: &str = "84: 2 2 3 7\n97: 97\n";

fn strict_worker_answers_its_job() {
    let mut command = as_user(EVF);
    command.args(["run", "--strict", "--", "/usr/bin/evf-worker"]);
    let text = answers(
        &mut command,
        JOB.split_inclusive('\n')
            .take(2)
            .collect::<String>()
            .as_str(),
    );
    assert_eq!(text, ANSWER);
}

fn worker_makes_itself_strict() {
    let text = answers(&mut as_user("/usr/bin/evf-c-worker"), "84\n97\n");
    assert_eq!(text, ANSWER);
}

/// A static program of the C library begins with other calls: it dies by SIGSYS.
fn strict_kills_what_a_c_library_does_first() {
    let output = as_user(EVF)
        .args(["run", "--strict", "--", "/usr/bin/evf-tests", "--list"])
        .output()
        .expect("run");
    assert_eq!(
        output.status.signal(),
        Some(libc::SIGSYS),
        "{}",
        told(&output)
    );
}

fn strict_refuses_a_program_with_a_loader() {
    let text = ends_with(
        126,
        as_user(EVF).args(["run", "--strict", "--", "/usr/bin/cat"]),
    );
    assert!(text.starts_with("evf: "), "{text}");
}

/// The shipped text says what the built-in filter says: attached at exec it does the same.
fn strict_in_a_policy() {
    let path = format!("{POLICIES}/strict.evf");
    let mut command = as_user(EVF);
    command.args(["run", "--at-exec", "-p", &path, "--", "/usr/bin/evf-worker"]);
    assert_eq!(answers(&mut command, "84\n97\n"), ANSWER);
}

/// Refuses every execution and the name of the program.
fn no_exec() -> String {
    policy(
        "no-exec",
        "policy no-exec\non syscall.enter {\n deny EPERM execve, execveat\n default allow\n}\non vfs.getname {\n deny EACCES path == \"/usr/bin/echo\", \"/usr/bin/env\"\n default allow\n}\n",
    )
}

fn at_exec_policy_need_not_allow_the_execution() {
    let path = no_exec();
    ends_with(126, evf_run(&[&path]).args(["/usr/bin/echo", "there"]));
    let text = succeeds(as_user(EVF).args([
        "run",
        "--at-exec",
        "-p",
        &path,
        "--",
        "/usr/bin/echo",
        "there",
    ]));
    assert_eq!(text, "there\n");
}

fn at_exec_policy_binds_the_program() {
    let path = no_exec();
    let text = ends_with(
        126,
        as_user(EVF).args([
            "run",
            "--at-exec",
            "-p",
            &path,
            "--",
            "/bin/sh",
            "-c",
            "exec /usr/bin/echo there",
        ]),
    );
    assert!(text.contains("ermi"), "{text}");
}

fn require_sequence() {
    let have = uapi::control::SECURITY_SEQUENCE;
    let need = |number: u32| {
        let mut command = as_user(EVF);
        command.args(["info", "--require-sequence", &number.to_string()]);
        command
    };
    succeeds(&mut need(0));
    succeeds(&mut need(have));
    ends_with(3, &mut need(have + 1));
}

/// getuid gives errno 70; everything else is allowed.
fn program() -> Vec<u8> {
    let insns = crate::program::on_nr(libc::SYS_getuid, crate::program::errno(70));
    insns.iter().flat_map(|insn| insn.to_bytes()).collect()
}

fn imported_program_confines() {
    std::fs::write("/tmp/evf-raw.bpf", program()).expect("write");
    let image = "/tmp/evf-raw.image";
    succeeds(Command::new(EVF).args(["import", "bpf", "/tmp/evf-raw.bpf", "-o", image]));
    // id -u asks for the effective id, which is another call.
    let text = succeeds(evf_run(&[image]).args([
        "/usr/bin/python3",
        "-c",
        "import os; print(os.getuid() & 0xffffffff, os.geteuid())",
    ]));
    let uid = (-70i32) as u32;
    assert_eq!(text, format!("{uid} 1000\n"));
}

fn exported_policy_comes_back() {
    let path = policy(
        "export",
        "policy export\non syscall.enter {\n deny 70 getuid\n default allow\n}\n",
    );
    succeeds(Command::new(EVF).args(["export", "bpf", &path, "-o", "/tmp/evf-export.bpf"]));
    succeeds(Command::new(EVF).args([
        "import",
        "bpf",
        "/tmp/evf-export.bpf",
        "-o",
        "/tmp/evf-export.image",
    ]));
    succeeds(Command::new(EVF).args(["compile", &path, "-o", "/tmp/evf-compiled.image"]));
    let read = |name: &str| std::fs::read(name).expect("read");
    assert_eq!(
        read("/tmp/evf-export.image"),
        read("/tmp/evf-compiled.image")
    );
    // What seccomp does not have is not written.
    let names = names("export-names", "default allow");
    let status = Command::new(EVF)
        .args(["export", "bpf", &names])
        .output()
        .expect("run");
    assert!(!status.status.success(), "{}", told(&status));
}

/// Docker's default.
const PROFILE: &str = include_str!("../../../../policies/oci/docker-default.json");

fn imported_profile_runs_a_shell() {
    let profile = "/tmp/evf-docker.json";
    std::fs::write(profile, PROFILE).expect("write");
    let text = succeeds(Command::new(EVF).args(["import", "oci", profile]));
    let path = policy("docker", &text);
    let shown = succeeds(evf_run(&[&path]).args(["/bin/sh", "-c", "echo $((6 * 7)); cat /etc/hostname >/dev/null; unshare -U true 2>/dev/null || echo refused"]));
    assert_eq!(shown, "42\nrefused\n");
}

// SPDX-License-Identifier: GPL-2.0
//! `evf` in the guest.

use libc::{EACCES, ENOENT};

use super::{EVF, POLICIES, as_user, ends_with, evf_run, names, policy, succeeds};
use crate::harness::{Test, tests};
use crate::kernel::{attach, try_load};
use crate::sys::child::ask;
use crate::sys::try_open;

pub(super) fn tests() -> Vec<Test> {
    tests!("cli";
        info_describes_the_module, info_in_json, info_inside_counts_layers, info_without_the_module_fails, run_passes_the_exit_status_on, run_of_a_killed_program,
        run_command_not_found, run_command_not_executable, run_bad_policy_is_125, run_without_arguments_is_2, run_closes_inherited_descriptors,
        run_keeps_descriptors_if_told, run_two_policies_both_bind, run_second_policy_after_prctl_is_refused, run_needs_no_privileges, run_sets_no_new_privs,
        run_refused_execution_is_126, run_in_run, run_a_compiled_image, run_a_seccomp_policy, test_agrees_with_the_kernel, every_example_policy_loads,
        check_refuses_what_the_kernel_would, disasm_of_a_compiled_image, run_as_root_too, run_finds_the_command_in_path, run_64_policies, run_65_policies_fails_before_the_program,
        c_example_confines_itself, c_example_with_a_bad_policy,
    )
}

fn allow_all() -> String {
    names("allow", "default allow")
}

fn deny_secret() -> String {
    names(
        "secret",
        "deny EXDEV path under \"/tmp/evf-secret\"\n default allow",
    )
}

fn info_describes_the_module() {
    let text = succeeds(as_user(EVF).arg("info"));
    for word in ["syscall.enter", "vfs.getname", "64"] {
        assert!(text.contains(word), "{text}");
    }
}

fn info_in_json() {
    let text = succeeds(as_user(EVF).args(["info", "--json"]));
    assert!(text.trim_start().starts_with('{'), "{text}");
    for word in [
        "\"loaded\": true",
        "\"abi\": 1",
        "\"layers\": 0",
        "\"max_layers\": 64",
        "\"vfs.getname\"",
    ] {
        assert!(text.contains(word), "{word} is not in {text}");
    }
}

fn info_inside_counts_layers() {
    let allow = allow_all();
    let text = succeeds(evf_run(&[&allow, &allow, &allow]).args([EVF, "info", "--json"]));
    assert!(text.contains("\"layers\": 3"), "{text}");
}

/// "Without" is played here by a layer that refuses the way to the module.
fn info_without_the_module_fails() {
    let blind = policy(
        "blind",
        "policy blind\non syscall.enter {\n deny EINVAL prctl\n default allow\n}\non vfs.getname {\n deny ENOENT path == \"/dev/evfilter\"\n default allow\n}\n",
    );
    let text = ends_with(1, evf_run(&[&blind]).args([EVF, "info"]));
    assert!(text.starts_with("evf: "), "{text}");
}

fn run_passes_the_exit_status_on() {
    for status in [0, 1, 3, 42, 125, 255] {
        ends_with(
            status,
            evf_run(&[&allow_all()]).args(["/bin/sh", "-c", &format!("exit {status}")]),
        );
    }
}

fn run_of_a_killed_program() {
    use std::os::unix::process::ExitStatusExt;
    let killer = policy(
        "killer",
        "policy killer\non syscall.enter {\n kill sethostname\n default allow\n}\n",
    );
    let output = evf_run(&[&killer])
        .args([
            "/usr/bin/python3",
            "-c",
            "import socket; socket.sethostname('x')",
        ])
        .output();
    let output = output.expect("exec");
    assert_eq!(
        output.status.signal(),
        Some(libc::SIGSYS),
        "{}",
        super::told(&output)
    );
}

fn run_command_not_found() {
    let text = ends_with(127, evf_run(&[&allow_all()]).arg("evf-no-such-command"));
    assert!(text.contains("evf-no-such-command"), "{text}");
    ends_with(127, evf_run(&[&allow_all()]).arg("/evf-absent/command"));
}

fn run_command_not_executable() {
    let text = ends_with(126, evf_run(&[&allow_all()]).arg("/etc/passwd"));
    assert!(text.contains("/etc/passwd"), "{text}");
    ends_with(126, evf_run(&[&allow_all()]).arg("/tmp"));
}

fn run_bad_policy_is_125() {
    let bad = policy(
        "bad",
        "policy bad\non vfs.getname {\n    deny EACCES path undre \"/x\"\n    default allow\n}\n",
    );
    let text = ends_with(125, evf_run(&[&bad]).arg("/bin/true"));
    assert!(
        text.contains("undre") && text.contains("3"),
        "no line and word in {text}"
    );
    ends_with(125, evf_run(&["/evf-absent/policy.evf"]).arg("/bin/true"));
}

fn run_without_arguments_is_2() {
    ends_with(2, as_user(EVF).arg("run"));
    ends_with(2, as_user(EVF).args(["run", "-p", &allow_all()]));
    ends_with(2, as_user(EVF).arg("no-such-verb"));
}

/// The listing of a program that was started with a descriptor 9 open.
fn listing(keep: bool) -> String {
    let allow = allow_all();
    let keep = if keep { "--keep-fds" } else { "" };
    let line =
        format!("exec 9</etc/passwd; exec {EVF} run {keep} -p {allow} -- /bin/ls -l /proc/self/fd");
    succeeds(as_user("/bin/sh").args(["-c", &line]))
}

fn run_closes_inherited_descriptors() {
    let listing = listing(false);
    assert!(
        !listing.contains("/etc/passwd") && !listing.contains("evfilter"),
        "{listing}"
    );
}

fn run_keeps_descriptors_if_told() {
    let listing = listing(true);
    assert!(listing.contains("9 -> /etc/passwd"), "{listing}");
    assert!(
        !listing.contains("evfilter"),
        "evf's own descriptors leak: {listing}"
    );
}

fn secrets() {
    std::fs::create_dir_all("/tmp/evf-secret").expect("mkdir");
    std::fs::write("/tmp/evf-secret/file", "secret\n").expect("write");
    std::fs::write("/tmp/evf-open-file", "open\n").expect("write");
}

fn run_two_policies_both_bind() {
    secrets();
    let other = names(
        "other",
        "deny ENOTUNIQ path == \"/tmp/evf-open-file\"\n default allow",
    );
    let mut run = evf_run(&[&deny_secret(), &other]);
    let text = ends_with(
        1,
        run.args(["/bin/cat", "/tmp/evf-secret/file", "/tmp/evf-open-file"]),
    );
    assert!(
        text.contains("cross-device") || text.contains("Invalid cross"),
        "EXDEV of the first: {text}"
    );
    assert!(
        text.contains("not unique"),
        "ENOTUNIQ of the second: {text}"
    );
    assert_eq!(
        succeeds(evf_run(&[&deny_secret()]).args(["/bin/cat", "/tmp/evf-open-file"])),
        "open\n"
    );
}

/// The first layer refuses prctl; all filters are loaded before, so that the second can still be attached.
fn run_second_policy_after_prctl_is_refused() {
    secrets();
    let no_prctl = policy(
        "no-prctl",
        "policy no-prctl\non syscall.enter {\n deny EPERM prctl\n default allow\n}\n",
    );
    let mut run = evf_run(&[&no_prctl, &deny_secret()]);
    let text = ends_with(1, run.args(["/bin/cat", "/tmp/evf-secret/file"]));
    assert!(text.contains("ross-device"), "{text}");
    // A layer that refuses ioctl ends the chain: nothing runs.
    let no_ioctl = policy(
        "no-ioctl",
        "policy no-ioctl\non syscall.enter {\n deny EPERM ioctl\n default allow\n}\n",
    );
    let text = ends_with(
        125,
        evf_run(&[&no_ioctl, &deny_secret()]).args(["/bin/echo", "ran"]),
    );
    assert!(
        text.contains("no-ioctl"),
        "which policy is in the way? {text}"
    );
}

fn run_needs_no_privileges() {
    let text = succeeds(evf_run(&[&allow_all()]).args(["/bin/cat", "/proc/self/status"]));
    assert!(text.contains("CapEff:\t0000000000000000"), "{text}");
    assert!(text.contains("Uid:\t1000"), "{text}");
}

fn run_sets_no_new_privs() {
    let text = succeeds(evf_run(&[&allow_all()]).args(["/bin/cat", "/proc/self/status"]));
    assert!(text.contains("NoNewPrivs:\t1"), "{text}");
}

fn run_refused_execution_is_126() {
    let no_bin = names("no-bin", "allow path under \"/home\"\n default deny EACCES");
    let text = ends_with(126, evf_run(&[&no_bin]).arg("/usr/bin/true"));
    assert!(text.contains("/usr/bin/true"), "{text}");
    assert!(
        text.contains("policy"),
        "the message does not speak of the policy: {text}"
    );
}

fn run_in_run() {
    secrets();
    let (allow, deny) = (allow_all(), deny_secret());
    let mut run = evf_run(&[&deny]);
    run.args([
        EVF,
        "run",
        "-p",
        &allow,
        "--",
        "/bin/sh",
        "-c",
        "/usr/bin/evf info --json; cat /tmp/evf-secret/file",
    ]);
    let output = run.output().expect("exec");
    let told = super::told(&output);
    assert!(
        told.contains("\"layers\": 2") && told.contains("ross-device"),
        "{told}"
    );
}

fn run_a_compiled_image() {
    secrets();
    succeeds(as_user(EVF).args(["compile", &deny_secret(), "-o", "/tmp/evf-image"]));
    assert!(
        try_load(&std::fs::read("/tmp/evf-image").expect("read")).is_ok(),
        "the kernel refuses the image"
    );
    let text = ends_with(
        1,
        evf_run(&["/tmp/evf-image"]).args(["/bin/cat", "/tmp/evf-secret/file"]),
    );
    assert!(text.contains("ross-device"), "{text}");
}

fn run_a_seccomp_policy() {
    let no_mkdir = policy(
        "no-mkdir",
        "policy no-mkdir\non syscall.enter {\n deny EXDEV mkdir, mkdirat\n default allow\n}\n",
    );
    let text = ends_with(
        1,
        evf_run(&[&no_mkdir]).args(["/bin/mkdir", "/tmp/evf-new-directory"]),
    );
    assert!(text.contains("ross-device"), "{text}");
}

/// What `evf test` says on the host is what the kernel does.
fn test_agrees_with_the_kernel() {
    const NAMES: [&str; 14] = [
        "/evf-absent/home/file",
        "/evf-absent/home",
        "/evf-absent/homes",
        "/evf-absent/home/.env",
        "/evf-absent/home/a/b/.env",
        "/evf-absent/home/../x",
        "/evf-absent/lib/x.so",
        "/evf-absent/lib/x.so.6",
        "/evf-absent/lib/sub/x.so",
        "/evf-absent/etc/hosts",
        "relative",
        "./home",
        "/",
        "/evf-absent/home/[x]",
    ];
    let policy = names(
        "agree",
        r#"deny EXDEV path contains ".."
        deny ENOTUNIQ path matches "**/.env"
        allow path under "/evf-absent/home"
        deny EBADMSG path matches "/evf-absent/lib/*.so"
        allow path under "/evf-absent/lib"
        default deny EACCES"#,
    );
    succeeds(as_user(EVF).args(["compile", &policy, "-o", "/tmp/evf-agree"]));
    let image = std::fs::read("/tmp/evf-agree").expect("read");
    for name in NAMES {
        let path = std::ffi::CString::new(name).expect("a path");
        let event = format!("vfs.getname path={name} nr=openat origin=user");
        let told = succeeds(as_user(EVF).args(["test", &policy, "--event", &event, "--json"]));
        let seen = ask(|| {
            attach(&image);
            try_open(&path)
        });
        let word = match seen {
            Err(libc::EXDEV) => "EXDEV",
            Err(libc::ENOTUNIQ) => "ENOTUNIQ",
            Err(libc::EBADMSG) => "EBADMSG",
            Err(EACCES) => "EACCES",
            Ok(_) | Err(ENOENT) => "allow",
            other => panic!("{name}: {other:?}"),
        };
        assert!(
            told.contains(word),
            "{name}: the kernel says {word} ({seen:?}), evf test says {told}"
        );
    }
}

fn every_example_policy_loads() {
    let mut count = 0;
    for entry in std::fs::read_dir(POLICIES).expect(POLICIES).flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "evf") {
            continue;
        }
        let name = path.to_string_lossy().into_owned();
        let compiled = as_user(EVF)
            .args(["compile", &name, "-o", "/tmp/evf-example"])
            .output()
            .expect("exec");
        let told = super::told(&compiled);
        // A file of sets for others to include holds no program.
        if !compiled.status.success()
            && std::fs::read_to_string(&path).is_ok_and(|text| !text.contains("\non "))
        {
            continue;
        }
        assert!(compiled.status.success(), "{name}: {told}");
        let image = std::fs::read("/tmp/evf-example").expect("read");
        assert_eq!(try_load(&image).err(), None, "{name}");
        std::fs::remove_file("/tmp/evf-example").expect("remove");
        count += 1;
    }
    assert!(count >= 2, "only {count} example policies in {POLICIES}");
}

fn check_refuses_what_the_kernel_would() {
    succeeds(as_user(EVF).args(["check", &deny_secret()]));
    let bad = policy(
        "errno",
        "policy errno\non vfs.getname { default deny 512 }\n",
    );
    let text = ends_with(1, as_user(EVF).args(["check", &bad]));
    assert!(text.contains("512"), "{text}");
}

fn disasm_of_a_compiled_image() {
    succeeds(as_user(EVF).args(["compile", &deny_secret(), "-o", "/tmp/evf-image"]));
    let text = succeeds(as_user(EVF).args(["disasm", "/tmp/evf-image"]));
    assert!(
        text.contains("vfs.getname") && text.contains("EXDEV"),
        "{text}"
    );
}

fn run_as_root_too() {
    secrets();
    let deny = deny_secret();
    let mut command = std::process::Command::new(EVF);
    let text = ends_with(
        1,
        command.args(["run", "-p", &deny, "--", "/bin/cat", "/tmp/evf-secret/file"]),
    );
    assert!(text.contains("ross-device"), "{text}");
}

fn run_finds_the_command_in_path() {
    assert_eq!(
        succeeds(evf_run(&[&allow_all()]).args(["echo", "found"])),
        "found\n"
    );
}

fn run_64_policies() {
    let allow = allow_all();
    let text = succeeds(evf_run(&[allow.as_str(); 64]).args([EVF, "info", "--json"]));
    assert!(text.contains("\"layers\": 64"), "{text}");
}

fn run_65_policies_fails_before_the_program() {
    let allow = allow_all();
    let output = evf_run(&[allow.as_str(); 65])
        .args(["/bin/echo", "ran"])
        .output()
        .expect("exec");
    assert_eq!(output.status.code(), Some(125), "{}", super::told(&output));
    assert!(output.stdout.is_empty());
}

const C_EXAMPLE: &str = "/usr/bin/evf-c-sandbox";

fn c_example_confines_itself() {
    secrets();
    let text = succeeds(as_user(C_EXAMPLE).args([
        &deny_secret(),
        "/tmp/evf-secret/file",
        "/tmp/evf-open-file",
    ]));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].contains("ross-device"), "{text}");
    assert_eq!(lines[1], "/tmp/evf-open-file: opened");
}

fn c_example_with_a_bad_policy() {
    let bad = policy("bad-c", "policy bad\non nothing { default allow }\n");
    let text = ends_with(1, as_user(C_EXAMPLE).args([&bad, "/tmp"]));
    assert!(!text.is_empty());
}

// SPDX-License-Identifier: GPL-2.0
//! What each verb prints, to the byte, and its exit status. None of these needs the kernel module.
//!
//! `UPDATE_GOLDEN=1 cargo test -p cli --test golden` writes the files anew; look at the difference before keeping it.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A command line and what it reads.
struct Case {
    name: &'static str,
    args: &'static [&'static str],
    stdin: &'static str,
}

const fn case(name: &'static str, args: &'static [&'static str]) -> Case {
    Case {
        name,
        args,
        stdin: "",
    }
}

const fn fed(name: &'static str, args: &'static [&'static str], stdin: &'static str) -> Case {
    Case { name, args, stdin }
}

/// A profile on standard input.
const fn oci(name: &'static str, profile: &'static str) -> Case {
    fed(name, &["import", "oci", "-", "--kernel", "6.12"], profile)
}

const SHADOW: &str = "vfs.getname path=/etc/shadow";
const KEY: &str = "vfs.getname path=/home/sandbox/.ssh/id";

const CASES: &[Case] = &[
    case("help", &["--help"]),
    case("help_run", &["run", "--help"]),
    case("help_check", &["check", "--help"]),
    case("help_compile", &["compile", "--help"]),
    case("help_disasm", &["disasm", "--help"]),
    case("help_test", &["test", "--help"]),
    case("help_info", &["info", "--help"]),
    case("help_import", &["import", "--help"]),
    case("help_import_bpf", &["import", "bpf", "--help"]),
    case("help_import_oci", &["import", "oci", "--help"]),
    case("help_export", &["export", "--help"]),
    case("help_export_bpf", &["export", "bpf", "--help"]),
    case("help_completions", &["completions", "--help"]),
    case("help_man", &["man", "--help"]),
    case("usage_no_verb", &[]),
    case("usage_unknown_verb", &["chekc"]),
    case("usage_run_without_policy", &["run", "--", "true"]),
    case("usage_run_without_command", &["run", "-p", "good.evf"]),
    case("usage_test_without_event", &["test", "good.evf"]),
    case(
        "usage_bad_expectation",
        &["test", "good.evf", "-e", SHADOW, "--expect", "permit"],
    ),
    case("check_good", &["check", "good.evf"]),
    case(
        "check_several",
        &["check", "good.evf", "bad.evf", "narrow.evf"],
    ),
    case("check_missing", &["check", "no-such-file.evf"]),
    case("check_quiet", &["check", "--quiet", "good.evf"]),
    case("check_json", &["check", "--json", "good.evf", "bad.evf"]),
    fed(
        "check_stdin",
        &["check", "-"],
        "on vfs.getname { default allow }",
    ),
    case("check_directory", &["check", "../policies"]),
    case("compile_asm", &["compile", "--emit", "asm", "good.evf"]),
    case("compile_hex", &["compile", "--emit", "hex", "narrow.evf"]),
    case("compile_bad", &["compile", "bad.evf"]),
    case(
        "compile_unwritable",
        &["compile", "good.evf", "-o", "no-such-directory/x.img"],
    ),
    case("disasm_json", &["disasm", "--json", "narrow.evf"]),
    fed("disasm_garbage", &["disasm", "-"], "EVF1 but then nonsense"),
    case("test_denied", &["test", "good.evf", "-e", SHADOW]),
    case(
        "test_layers",
        &[
            "test",
            "good.evf",
            "-p",
            "narrow.evf",
            "-e",
            KEY,
            "-e",
            SHADOW,
        ],
    ),
    case(
        "test_not_judged",
        &["test", "narrow.evf", "-e", "syscall.enter symlink"],
    ),
    case(
        "test_syscall",
        &["test", "good.evf", "-e", "syscall.enter symlink"],
    ),
    case(
        "test_expect_met",
        &["test", "good.evf", "-e", SHADOW, "--expect", "deny EACCES"],
    ),
    case(
        "test_expect_not_met",
        &["test", "good.evf", "-e", SHADOW, "--expect", "allow"],
    ),
    case(
        "test_expect_quiet",
        &[
            "test",
            "good.evf",
            "-q",
            "-e",
            SHADOW,
            "--expect",
            "deny EPERM",
        ],
    ),
    case("test_file", &["test", "good.evf", "--events", "events.txt"]),
    fed(
        "test_stdin",
        &["test", "good.evf", "--events", "-"],
        "vfs.getname path=/lib/../etc\n",
    ),
    case(
        "test_json",
        &["test", "good.evf", "-p", "narrow.evf", "-e", KEY, "--json"],
    ),
    case(
        "test_bad_event",
        &["test", "good.evf", "-e", "vfs.getname pth=/etc"],
    ),
    case(
        "test_bad_call",
        &["test", "good.evf", "-e", "syscall.enter simlink"],
    ),
    case("test_bad_policy", &["test", "bad.evf", "-e", SHADOW]),
    case("run_bad_policy", &["run", "-p", "bad.evf", "--", "true"]),
    case(
        "run_not_found",
        &["run", "-p", "narrow.evf", "--", "no-such-command-anywhere"],
    ),
    case(
        "run_no_such_path",
        &["run", "-p", "narrow.evf", "--", "/no/such/command"],
    ),
    case(
        "run_not_executable",
        &["run", "-p", "narrow.evf", "--", "./good.evf"],
    ),
    case("run_directory", &["run", "-p", "narrow.evf", "--", "/"]),
    case(
        "run_kill_at_exec",
        &["run", "-p", "no-exec.evf", "--", "/bin/true"],
    ),
    case(
        "run_kill_at_attach",
        &[
            "run",
            "-p",
            "no-ioctl.evf",
            "-p",
            "narrow.evf",
            "--",
            "/bin/true",
        ],
    ),
    case(
        "run_strict_with_a_loader",
        &["run", "--strict", "--", "./script"],
    ),
    // ldh [0]; ret ALLOW, as far as UTF-8 has its bytes.
    fed(
        "import_bpf_half_word",
        &["import", "bpf", "-"],
        "\x06\0\0\0\0\0\0\0\x28\0\0\0\0\0\0\0",
    ),
    fed(
        "import_bpf_jump_outside",
        &["import", "bpf", "-"],
        "\x15\0\x07\0\0\0\0\0\x06\0\0\0\0\0\0\0",
    ),
    fed(
        "import_bpf_of_evfilter",
        &["import", "bpf", "-"],
        "\x01\x01\0\0\0\0\0\0\x06\0\0\0\0\0\0\0",
    ),
    fed(
        "import_bpf_no_return",
        &["import", "bpf", "-"],
        "\x20\0\0\0\x04\0\0\0",
    ),
    fed("import_bpf_cut", &["import", "bpf", "-"], "\x06\0\0"),
    fed("import_bpf_empty", &["import", "bpf", "-"], ""),
    fed(
        "import_bpf_profile",
        &["import", "bpf", "-"],
        "{ \"a\": 1 }",
    ),
    case("import_bpf_missing", &["import", "bpf", "no-such-file.bpf"]),
    case("export_bpf_other_event", &["export", "bpf", "good.evf"]),
    fed(
        "export_bpf_self",
        &["export", "bpf", "-"],
        "on syscall.enter {\n    allow read\n    allow kill when pid == self\n    default deny EPERM\n}\n",
    ),
    case(
        "import_oci_docker",
        &[
            "import",
            "oci",
            "../../../policies/oci/docker-default.json",
            "--cap",
            "docker-default",
            "--kernel",
            "6.12",
        ],
    ),
    case(
        "import_oci_podman",
        &[
            "import",
            "oci",
            "../../../policies/oci/podman-default.json",
            "--kernel",
            "6.12",
        ],
    ),
    case(
        "import_oci_several",
        &[
            "import",
            "oci",
            "../oci/several.json",
            "--cap",
            "SYS_ADMIN",
            "--kernel",
            "4.7",
            "--policy-name",
            "x",
            "--enosys",
        ],
    ),
    oci(
        "import_oci_operator",
        r#"{"defaultAction": "SCMP_ACT_KILL", "syscalls": [
  {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
  {"names": ["dup"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQUAL"}]}
]}"#,
    ),
    oci(
        "import_oci_misspelt",
        r#"{"defaultAction": "SCMP_ACT_KILL", "sycalls": []}"#,
    ),
    oci("import_oci_syntax", r#"{"defaultAction": "SCMP_ACT_KILL","#),
    oci(
        "import_oci_argument",
        r#"{"defaultAction": "SCMP_ACT_KILL", "syscalls": [
  {"names": ["dup"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]}
]}"#,
    ),
    oci(
        "import_oci_value",
        r#"{"defaultAction": "SCMP_ACT_KILL", "syscalls": [
  {"names": ["dup"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": -1, "op": "SCMP_CMP_EQ"}]}
]}"#,
    ),
    oci(
        "import_oci_notify",
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_NOTIFY"}]}"#,
    ),
    oci(
        "import_oci_listener",
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/listener.sock"}"#,
    ),
    oci(
        "import_oci_errno",
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5000}]}"#,
    ),
    oci(
        "import_oci_errno_name",
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_ERRNO", "errno": "EPRM"}]}"#,
    ),
    oci(
        "import_oci_names",
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"name": "mount", "names": ["mount"], "action": "SCMP_ACT_ERRNO"}]}"#,
    ),
    oci(
        "import_oci_no_names",
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "action": "SCMP_ACT_ERRNO"}]}"#,
    ),
    oci(
        "import_oci_architecture",
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "amd64"]}"#,
    ),
    oci(
        "import_oci_architectures_twice",
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "archMap": [{"architecture": "SCMP_ARCH_X86_64"}]}"#,
    ),
    oci(
        "import_oci_kernel",
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_ERRNO", "includes": {"minKernel": "five"}}]}"#,
    ),
    oci(
        "import_oci_conflict",
        r#"{"defaultAction": "SCMP_ACT_KILL", "syscalls": [
  {"names": ["dup"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]},
  {"names": ["dup"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}
]}"#,
    ),
    oci(
        "import_oci_overlap",
        r#"{"defaultAction": "SCMP_ACT_KILL", "syscalls": [
  {"names": ["fcntl"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": 1, "op": "SCMP_CMP_EQ"}]},
  {"names": ["fcntl"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 2, "value": 1, "op": "SCMP_CMP_EQ"}]}
]}"#,
    ),
    oci(
        "import_oci_least",
        r#"{"defaultAction": "SCMP_ACT_KILL", "syscalls": null}"#,
    ),
    oci(
        "import_oci_bundle",
        r#"{"ociVersion": "1.2.0", "process": {"args": ["sh"]}, "linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW",
  "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}}}"#,
    ),
    oci(
        "import_oci_bundle_action",
        r#"{"ociVersion": "1.2.0", "linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALOW"}}}"#,
    ),
    oci(
        "import_oci_bundle_without",
        r#"{"ociVersion": "1.2.0", "linux": {}}"#,
    ),
    oci(
        "import_oci_trailing",
        r#"{"defaultAction": "SCMP_ACT_ALLOW"} {}"#,
    ),
    case(
        "usage_bad_capability",
        &["import", "oci", "x.json", "--cap", "SYS_ADMINISTRATOR"],
    ),
    case(
        "usage_bad_kernel",
        &["import", "oci", "x.json", "--kernel", "six"],
    ),
    case("usage_import_without_format", &["import"]),
    case("man_unknown", &["man", "frobnicate"]),
];

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(name)
}

/// Runs the case; returns command line, output and status as one text.
fn run(case: &Case) -> Result<String, Box<dyn Error>> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_evf"))
        .args(case.args)
        .current_dir(directory("policies"))
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(case.stdin.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    let status = output.status.code().ok_or("ended by a signal")?;
    let mut text = String::from("$ evf");
    for arg in case.args {
        match arg.contains(' ') {
            true => write!(text, " '{arg}'")?,
            false => write!(text, " {arg}")?,
        }
    }
    write!(
        text,
        "\n--- standard output\n{}--- standard error\n{}--- status {status}\n",
        String::from_utf8(output.stdout)?,
        String::from_utf8(output.stderr)?
    )?;
    Ok(text)
}

#[test]
fn every_command_line_prints_what_it_should() -> Result<(), Box<dyn Error>> {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for case in CASES {
        let text = run(case).map_err(|error| format!("{}: {error}", case.name))?;
        let golden = directory("golden").join(format!("{}.txt", case.name));
        if update {
            fs::write(&golden, &text)?;
        } else if fs::read_to_string(&golden).ok().as_deref() != Some(&text) {
            wrong.push(format!("{} differs; it is now:\n{text}", golden.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn every_golden_file_belongs_to_a_case() -> Result<(), Box<dyn Error>> {
    let cases: BTreeSet<String> = CASES
        .iter()
        .map(|case| format!("{}.txt", case.name))
        .collect();
    assert_eq!(cases.len(), CASES.len(), "two cases of one name");
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(directory("golden"))? {
        files.insert(entry?.file_name().to_string_lossy().into_owned());
    }
    assert_eq!(files, cases);
    Ok(())
}

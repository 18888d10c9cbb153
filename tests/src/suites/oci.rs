// SPDX-License-Identifier: GPL-2.0
//! Profiles of container engines: the policy that `evf import oci` makes decides as the program that the real libseccomp makes, for every number.

use std::process::Command;

use evfilter::Policy;

use super::cli::{EVF, succeeds};
use super::libseccomp::{judges, python};
use crate::harness::{Test, note, tests};
use crate::marker::{
    Call, Judge, MARK, RT_SIGRETURN, around, ask_about, every_number, marker, must_agree,
    with_argument,
};
use crate::program::{Part, image};
use crate::sys::no_new_privs;

/// What Docker, runc and libseccomp make of a profile, written a second time.
const REFERENCE: &str = include_str!("oci/reference.py");

const DOCKER: &str = include_str!("../../../policies/oci/docker-default.json");
const PODMAN: &str = include_str!("../../../policies/oci/podman-default.json");

/// The capabilities that Docker gives to a container.
const DOCKERS: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

pub(super) fn tests() -> Vec<Test> {
    let rows = tests!("oci";
        docker_default_decides_as_libseccomp_for_every_number, docker_default_without_capabilities, docker_default_with_the_administrators_capabilities,
        podman_default_decides_as_libseccomp_for_every_number,
    );
    rows.into_iter().map(|test| test.limit(180)).collect()
}

/// Calls whose arguments the profiles look at: native number, i386's, argument, and the constants that it is compared with.
const COMPARED: [(u32, u32, usize, &[u64]); 8] = [
    // personality
    (135, 136, 0, &[0, 8, 0x20000, 0x20008, 0xffff_ffff]),
    // clone: the bits that make name spaces; on some architectures they are the second argument.
    (56, 120, 0, &[0x7e02_0000, 0x0002_0000, 0x1000_0000, 0x11]),
    (56, 120, 1, &[0x7e02_0000]),
    // socket: families AF_NETLINK 16 and AF_VSOCK 40, and the protocol of audit 9
    (41, 359, 0, &[40, 16, 1, 2, 10]),
    (41, 359, 1, &[3]),
    (41, 359, 2, &[9]),
    (435, 435, 0, &[0x7e02_0000]),
    (272, 310, 0, &[0x7e02_0000]),
];

/// All calls that the judges are asked about.
fn calls() -> Vec<Call> {
    let mut calls = every_number();
    for (native, i386, at, constants) in COMPARED {
        calls.extend(with_argument(native, i386, at, &around(constants)));
    }
    // Conditions on two arguments at once: a netlink socket for audit.
    for domain in [16, 16 | 1 << 32, 1, 40] {
        for (mut call, protocol) in with_argument(41, 359, 0, &[domain])
            .into_iter()
            .flat_map(|call| [0, 8, 9, 10, 9 | 1 << 32].map(|protocol| (call, protocol)))
        {
            call.args[2] = protocol;
            calls.push(call);
        }
    }
    calls
}

/// Compares, and returns how many of the answers were the mark and each errno asked for.
#[track_caller]
fn compare<const N: usize>(
    name: &str,
    profile: &str,
    caps: &[&str],
    errnos: [i32; N],
) -> [usize; N] {
    let at = |suffix: &str| format!("/tmp/evf-{name}.{suffix}");
    let (json, bpf, text) = (at("json"), at("bpf"), at("evf"));
    std::fs::write(&json, profile).expect("profile");
    python(REFERENCE, &[&[json.as_str(), bpf.as_str()], caps].concat());
    let mut import = Command::new(EVF);
    import.args(["import", "oci", json.as_str(), "-o", text.as_str()]);
    for cap in caps {
        import.args(["--cap", cap]);
    }
    succeeds(&mut import);
    let policy = Policy::from_file(&text).unwrap_or_else(|error| panic!("{error}"));

    no_new_privs();
    let calls = calls();
    let code = std::fs::read(&bpf).expect("program");
    let below = image(&[Part::syscall(marker(RT_SIGRETURN))]);
    let [raw, real] = judges(&code);
    let ours = Judge::Evfilter(vec![below, policy.image().to_vec()]);
    let real = ask_about(&real, &calls);
    assert_eq!(real.answers.len(), calls.len(), "{name}: {:?}", real.end);
    must_agree(
        &format!("{name}: the exported program in evfilter (left), in seccomp (right)"),
        &calls,
        &ask_about(&raw, &calls),
        &real,
    );
    must_agree(
        &format!("{name}: the imported policy (left), libseccomp's program in seccomp (right)"),
        &calls,
        &ask_about(&ours, &calls),
        &real,
    );
    let count = |errno: i32| {
        let with = real
            .answers
            .iter()
            .filter(|(value, _)| *value == -i64::from(errno));
        with.count()
    };
    note(&format!(
        "{name}: {} calls, {} allowed; libseccomp's program has {} instructions",
        calls.len(),
        count(i32::from(MARK)),
        code.len() / 8
    ));
    errnos.map(count)
}

const ALLOWED: i32 = MARK as i32;

fn docker_default_decides_as_libseccomp_for_every_number() {
    let [allowed, refused, unknown] = compare(
        "docker",
        DOCKER,
        &DOCKERS,
        [ALLOWED, libc::EPERM, libc::ENOSYS],
    );
    // clone3 is answered with ENOSYS at each of the three entries, so that programs fall back to clone.
    assert!(
        allowed > 900 && refused > 500 && unknown >= 3,
        "{allowed} {refused} {unknown}"
    );
}

fn docker_default_without_capabilities() {
    let [allowed, refused] = compare("docker-no-caps", DOCKER, &[], [ALLOWED, libc::EPERM]);
    assert!(allowed > 900 && refused > 500, "{allowed} {refused}");
}

fn docker_default_with_the_administrators_capabilities() {
    let more = [
        "CAP_SYS_ADMIN",
        "CAP_SYS_BOOT",
        "CAP_SYS_MODULE",
        "CAP_SYS_PTRACE",
        "CAP_SYS_TIME",
        "CAP_SYSLOG",
        "CAP_BPF",
        "CAP_PERFMON",
        "CAP_DAC_READ_SEARCH",
        "CAP_SYS_NICE",
    ];
    let caps = [DOCKERS.as_slice(), &more].concat();
    let [allowed, refused, unknown] = compare(
        "docker-admin",
        DOCKER,
        &caps,
        [ALLOWED, libc::EPERM, libc::ENOSYS],
    );
    assert!(allowed > 1000 && refused > 300, "{allowed} {refused}");
    assert_eq!(unknown, 0, "clone3 is allowed to the administrator");
}

fn podman_default_decides_as_libseccomp_for_every_number() {
    let [allowed, refused] = compare("podman", PODMAN, &DOCKERS, [ALLOWED, libc::EPERM]);
    assert!(allowed > 900 && refused > 5, "{allowed} {refused}");
}

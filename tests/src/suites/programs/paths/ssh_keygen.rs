// SPDX-License-Identifier: GPL-2.0
//! ssh-keygen: a pair of keys that belong together, in one directory, and no key of anybody else.

use std::os::unix::fs::PermissionsExt;

use super::super::super::cli::{as_user, succeeds};
use super::{
    DENIED, ELSEWHERE, OTHER, Program, Run, SOMEBODY, Step, fresh, link, own, read, shell,
};

pub(super) const PROGRAM: Program = Program {
    name: "ssh-keygen",
    env: &[],
    prepare,
    works,
    outside,
};

const KEYGEN: &str = "/usr/bin/ssh-keygen";
const PLACE: &str = "/home/sandbox/.ssh";

fn prepare() {
    fresh(&[PLACE]);
    // A key of another user, who has let everybody read it.
    let key = format!("{OTHER}/key");
    shell(&format!(
        "ssh-keygen -q -t ed25519 -N '' -f {ELSEWHERE}/other; cp {ELSEWHERE}/other {PLACE}/mine; chmod 600 {PLACE}/mine"
    ));
    std::fs::copy(format!("{ELSEWHERE}/other"), &key).expect("copy");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).expect("mode");
    own(&key, SOMEBODY);
    link(&key, &format!("{PLACE}/leads-out"));
    link(ELSEWHERE, &format!("{PLACE}/leads-elsewhere"));
}

/// The type and the key itself, without the comment.
fn key(line: &str) -> Vec<&str> {
    line.split_whitespace().take(2).collect()
}

fn works(run: &Run) {
    let does = |words: &[&str]| succeeds(run.start(KEYGEN).args(words));
    for (kind, passphrase) in [("ed25519", ""), ("ecdsa", "a passphrase")] {
        let file = format!("{PLACE}/id_{kind}");
        does(&["-q", "-t", kind, "-N", passphrase, "-f", &file]);
        let public = read(format!("{file}.pub"));
        assert!(public.trim_end().ends_with("sandbox@evfilter"), "{public}");
        let again = does(&["-y", "-P", passphrase, "-f", &file]);
        assert_eq!(key(&again), key(&public));
        assert_eq!(key(&public).len(), 2);
        let mode = std::fs::metadata(&file).expect("key").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        // The same key for a program outside, and a new passphrase for it.
        does(&["-q", "-p", "-P", passphrase, "-N", "another", "-f", &file]);
        let outer = succeeds(as_user(KEYGEN).args(["-y", "-P", "another", "-f", &file]));
        assert_eq!(key(&outer), key(&public));
        let print = does(&["-l", "-f", &format!("{file}.pub")]);
        assert_eq!(print, succeeds(as_user(KEYGEN).args(["-l", "-f", &file])));
    }
}

fn outside(run: &Run) {
    let fails = |words: &[&str], says: &str, makes: Option<&str>| {
        let words: Vec<&str> = [KEYGEN].iter().chain(words).copied().collect();
        run.step_outside(Step {
            words: &words,
            from: PLACE,
            says,
            makes,
        });
    };
    let made = format!("{ELSEWHERE}/made");
    for file in [
        "/srv/evf-other/key",
        "leads-out",
        "../../../srv/evf-other/key",
    ] {
        fails(&["-y", "-P", "", "-f", file], DENIED, None);
    }
    for file in [made.as_str(), "../elsewhere/made", "leads-elsewhere/made"] {
        fails(
            &["-q", "-t", "ed25519", "-N", "", "-f", file],
            DENIED,
            Some(&made),
        );
    }
    let signed = format!("{ELSEWHERE}/other.pub");
    fails(
        &["-q", "-s", "mine", "-I", "id", &signed],
        "load pubkey",
        Some(&format!("{ELSEWHERE}/other-cert.pub")),
    );
}

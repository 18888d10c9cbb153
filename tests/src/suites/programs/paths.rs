// SPDX-License-Identifier: GPL-2.0
//! Real programs under the policies of `policies/paths`: each does its work, judged by its own result, and each is refused what lies outside.
//!
//! The work is done four times: without any policy (so a failure under one is the policy's), under the policy, under the policy between two layers that change
//! nothing, and under the policy with `default hidden`. What is refused is tried without a policy first and must work there, on files that every user may read or write: nothing but the policy stands
//! in the way.

mod gcc;
mod git;
mod layers;
mod nginx;
mod python;
mod sqlite;
mod ssh_keygen;
mod tar;

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Output};

use crate::harness::Test;

use super::super::cli::{POLICIES, as_user, evf_run, policy, succeeds, told};

/// All of these tests.
pub(super) fn tests() -> Vec<Test> {
    let programs = [
        git::PROGRAM,
        python::PROGRAM,
        sqlite::PROGRAM,
        tar::PROGRAM,
        gcc::PROGRAM,
        nginx::PROGRAM,
        ssh_keygen::PROGRAM,
    ];
    let mut tests: Vec<Test> = programs.into_iter().flat_map(Program::tests).collect();
    tests.extend(layers::tests());
    tests
}

/// A program, and what is claimed of it.
#[derive(Clone, Copy)]
struct Program {
    /// The name of its policy.
    name: &'static str,
    /// What the environment tells it besides.
    env: &'static [(&'static str, &'static str)],
    /// Makes the files it works with, as they are before each run.
    prepare: fn(),
    /// Does its work and checks the result.
    works: fn(&Run),
    /// Tries to step outside: everything succeeds without a policy, nothing under it.
    outside: fn(&Run),
}

impl Program {
    fn tests(self) -> Vec<Test> {
        let works = [
            ("without_a_policy", Layers::None),
            ("under_its_policy", Layers::Own),
            ("between_other_layers", Layers::Between),
            ("where_the_rest_is_hidden", Layers::Hidden),
        ];
        let mut tests: Vec<Test> = works
            .into_iter()
            .map(|(way, layers)| {
                Test::new(
                    format!("programs::paths_{}_works_{way}", self.name),
                    move || {
                        let run = self.run(layers);
                        (self.prepare)();
                        (self.works)(&run);
                    },
                )
            })
            .collect();
        let name = format!("programs::paths_{}_is_refused_outside", self.name);
        tests.push(Test::new(name, move || {
            for layers in [Layers::None, Layers::Between] {
                (self.outside)(&self.run(layers));
            }
        }));
        tests.into_iter().map(|test| test.limit(240)).collect()
    }

    fn run(self, layers: Layers) -> Run {
        Run {
            program: self,
            layers,
            more: Vec::new(),
            _clean: Clean,
        }
    }
}

/// What a run is confined by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layers {
    None,
    /// The program's policy.
    Own,
    /// The same between a layer below that allows everything and one on top that only observes.
    Between,
    /// The program's policy, but what it does not grant is as if absent.
    Hidden,
}

/// One way to run one program.
struct Run {
    program: Program,
    layers: Layers,
    /// Policies on top of these.
    more: Vec<String>,
    _clean: Clean,
}

impl Run {
    /// A program to be started this way, by the unprivileged user.
    fn start(&self, program: &str) -> Command {
        let own = format!("{POLICIES}/paths/{}.evf", self.program.name);
        let (below, above) = (
            format!("{POLICIES}/allow-all.evf"),
            format!("{POLICIES}/observe.evf"),
        );
        let hidden;
        let mut policies: Vec<&str> = match self.layers {
            Layers::None => vec![],
            Layers::Own => vec![&own],
            Layers::Between => vec![&below, &own, &above],
            Layers::Hidden => {
                hidden = hide_the_rest(self.program.name, &own);
                vec![&hidden]
            }
        };
        policies.extend(self.more.iter().map(String::as_str));
        let mut command = if policies.is_empty() {
            as_user(program)
        } else {
            let mut command = evf_run(&policies);
            command.arg(program);
            command
        };
        command.envs(self.program.env.iter().copied());
        command
    }

    fn confined(&self) -> bool {
        self.layers != Layers::None
    }

    /// The same program with one more layer on top.
    fn with(&self, policy: &str) -> Run {
        let mut more = self.more.clone();
        more.push(policy.to_owned());
        Run {
            more,
            ..self.program.run(self.layers)
        }
    }

    /// A step outside, on files as they are before each run: without a policy it succeeds; under one it fails, `says` why, does not tell the other user's
    /// secret, and what it would have made is not there.
    #[track_caller]
    fn step_outside(&self, step: Step<'_>) {
        (self.program.prepare)();
        let mut command = self.start(step.words[0]);
        command.args(&step.words[1..]).current_dir(step.from);
        let output = command
            .output()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let text = all_text(&output);
        let told = format!("{:?}: {command:?}: {}", self.layers, told(&output));
        let made = |path: &str| std::fs::symlink_metadata(path).is_ok();
        if self.confined() {
            assert!(!output.status.success(), "{told}");
            assert!(text.contains(step.says), "no {:?} in {told}", step.says);
            assert!(!text.contains(SECRET), "{told}");
            assert!(!step.makes.is_some_and(made), "{told}");
        } else {
            assert!(output.status.success(), "{told}");
            assert!(step.makes.is_none_or(made), "{told}");
        }
    }
}

/// Another form of the policy at `path`: with `default hidden` in its first block, which is `paths`. What is hidden cannot be walked through either, so the directory
/// in which the link to the dynamic loader lies is granted, too.
fn hide_the_rest(name: &str, path: &str) -> String {
    let text = read(path).replace("    default deny EACCES\n", "");
    let text = text.replacen(
        "\n}\n",
        "\n    read \"/usr/lib64\"\n    default hidden\n}\n",
        1,
    );
    policy(&format!("hidden-{name}"), &text)
}

/// Something a program may not do under its policy.
struct Step<'a> {
    /// The program and its arguments.
    words: &'a [&'a str],
    /// The directory in which it starts.
    from: &'a str,
    /// What it says when it is refused.
    says: &'a str,
    /// A file that it makes if it is not refused.
    makes: Option<&'a str>,
}

/// What the messages of the C library call EACCES.
const DENIED: &str = "Permission denied";

/// The home of the user, in which the policies name their directories.
const HOME: &str = "/home/sandbox";

/// A directory of another user, whose files everybody may read.
const OTHER: &str = "/srv/evf-other";

/// A file in it.
const OTHER_FILE: &str = "/srv/evf-other/file";

/// What is in the file; it is a C declaration, a line of Python and a row of a table as well.
const SECRET: &str = "secret_of_another";

/// A directory that the user may write and no policy names.
const ELSEWHERE: &str = "/home/sandbox/elsewhere";

/// The user without privileges, and somebody else.
const USER: u32 = 1000;
const SOMEBODY: u32 = 1001;

/// Directories that these tests make.
const MADE: [&str; 12] = [
    "/home/sandbox/app",
    "/home/sandbox/build",
    "/home/sandbox/data",
    ELSEWHERE,
    "/home/sandbox/out",
    "/home/sandbox/src",
    "/home/sandbox/.ssh",
    "/home/sandbox/work",
    "/home/sandbox/www",
    "/srv/git",
    OTHER,
    "/home/sandbox/.gitconfig",
];

/// Takes away what the tests have made: the home is the same in all suites.
struct Clean;

impl Clean {
    fn now() {
        for path in MADE {
            // Most of it is not there.
            let _ = std::fs::remove_dir_all(path);
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Drop for Clean {
    fn drop(&mut self) {
        Clean::now();
    }
}

/// Begins afresh: the other user's directory, the one that no policy names, and these of the user.
fn fresh(directories: &[&str]) {
    Clean::now();
    for dir in directories.iter().chain(&[ELSEWHERE]) {
        std::fs::create_dir_all(dir).expect("mkdir");
        own(dir, USER);
    }
    std::fs::create_dir_all(OTHER).expect("mkdir");
    write(OTHER_FILE, format!("int {SECRET};\n"), 0o644, SOMEBODY);
    own(OTHER, SOMEBODY);
}

fn own(path: &str, user: u32) {
    chown(path, Some(user), Some(user)).unwrap_or_else(|error| panic!("chown {path}: {error}"));
}

/// Writes a file of `user`.
#[track_caller]
fn write(path: &str, text: impl AsRef<[u8]>, mode: u32, user: u32) {
    let written = std::fs::write(path, text)
        .and_then(|()| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)));
    written.unwrap_or_else(|error| panic!("{path}: {error}"));
    own(path, user);
}

/// Writes a file of the user.
#[track_caller]
fn write_own(path: &str, text: impl AsRef<[u8]>) {
    write(path, text, 0o644, USER);
}

/// Makes a symbolic link.
#[track_caller]
fn link(target: &str, path: &str) {
    std::os::unix::fs::symlink(target, path).unwrap_or_else(|error| panic!("{path}: {error}"));
}

/// A line of shell without any policy, as the user; what it prints.
#[track_caller]
fn shell(line: &str) -> String {
    succeeds(as_user("/bin/sh").args(["-ec", line]))
}

fn all_text(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

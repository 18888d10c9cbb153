// SPDX-License-Identifier: GPL-2.0
//! git: a clone is complete, a commit is there for everybody, and hooks of the repository do not run.

use std::process::Command;

use super::super::super::cli::{as_user, succeeds};
use super::{
    DENIED, ELSEWHERE, HOME, OTHER_FILE, Program, Run, Step, USER, fresh, link, shell, write,
    write_own,
};

pub(super) const PROGRAM: Program = Program {
    name: "git",
    env: &[],
    prepare,
    works,
    outside,
};

const GIT: &str = "/usr/bin/git";
const UPSTREAM: &str = "file:///srv/git/project.git";
const TREE: &str = "/home/sandbox/work/project";

/// A repository with three commits, a tag, a program, a link and a directory, and the user's settings.
fn prepare() {
    fresh(&["/srv/git", "/home/sandbox/work"]);
    let settings = "[user]\n name = evf\n email = evf@example.org\n[init]\n defaultBranch = main\n[safe]\n directory = *\n[protocol \"file\"]\n allow = always\n";
    write_own("/home/sandbox/.gitconfig", settings);
    shell(
        "cd /srv/git; git init -q seed; cd seed; mkdir dir; for n in 1 2 3 4 5 6 7 8; do seq $n 200 > dir/$n; done; \
         echo '#!/bin/sh' > run; chmod +x run; ln -s dir/1 link; git add .; git commit -qm one; \
         seq 9 > dir/9; git add .; git commit -qm two; git rm -q dir/8; git commit -qm three; git tag -a -m first v1 HEAD~1; \
         git clone -q --bare . ../project.git; cd ..; rm -rf seed",
    );
}

/// git in a directory, this way.
fn git(run: &Run, dir: &str, words: &[&str]) -> Command {
    let mut command = run.start(GIT);
    command.args(words).current_dir(dir);
    command
}

/// git without any policy.
fn outer(dir: &str, words: &[&str]) -> String {
    succeeds(as_user(GIT).args(words).current_dir(dir))
}

fn works(run: &Run) {
    let does = |dir: &str, words: &[&str]| succeeds(&mut git(run, dir, words));
    does(HOME, &["clone", "-q", UPSTREAM, TREE]);
    let files = ["ls-tree", "-r", "--full-tree", "HEAD"];
    assert_eq!(outer(TREE, &files), outer("/srv/git/project.git", &files));
    assert_eq!(outer(TREE, &["status", "--porcelain"]), "");
    assert_eq!(does(TREE, &["tag"]), "v1\n");

    does(TREE, &["switch", "-qc", "topic"]);
    write_own(&format!("{TREE}/new"), "new\n");
    shell(&format!("seq 3 300 > {TREE}/dir/3"));
    does(TREE, &["add", "-A"]);
    assert_eq!(does(TREE, &["status", "--porcelain"]), "M  dir/3\nA  new\n");
    does(TREE, &["commit", "-qm", "four"]);
    does(TREE, &["mv", "new", "dir/moved"]);
    does(TREE, &["commit", "-qam", "five"]);
    does(TREE, &["switch", "-q", "main"]);
    does(TREE, &["merge", "-q", "--no-edit", "topic"]);
    does(TREE, &["stash", "list"]);
    let log = does(TREE, &["log", "--format=%s %an"]);
    assert_eq!(log, "five evf\nfour evf\nthree evf\ntwo evf\none evf\n");
    let difference = does(TREE, &["diff", "--stat", "HEAD~2"]);
    assert!(difference.contains("dir/moved"), "{difference}");
    does(TREE, &["gc", "-q"]);
    does(TREE, &["fsck", "--full", "--strict"]);
    does(TREE, &["fetch", "-q"]);

    // What it has made is sound and complete for a git outside.
    assert_eq!(outer(TREE, &["log", "--format=%s %an"]), log);
    outer(TREE, &["fsck", "--full", "--strict", "--no-dangling"]);
    assert_eq!(
        outer(TREE, &["rev-parse", "HEAD~2"]),
        outer("/srv/git/project.git", &["rev-parse", "main"])
    );
    assert_eq!(outer(TREE, &["status", "--porcelain"]), "");
    assert_eq!(super::read(format!("{TREE}/dir/moved")), "new\n");
}

/// A clone, and in it what leads outside, and a hook.
fn prepare_tree() {
    shell(&format!(
        "git clone -q {UPSTREAM} {TREE}; cp -r /srv/git/project.git {ELSEWHERE}/other.git"
    ));
    link(OTHER_FILE, &format!("{TREE}/leads-out"));
    let hook = format!("{TREE}/.git/hooks/pre-commit");
    let script = format!("#!/bin/sh\necho > {HOME}/work/hook-ran\n");
    write(&hook, script, 0o755, USER);
}

fn outside(run: &Run) {
    let program = Program {
        prepare: || {
            prepare();
            prepare_tree();
        },
        ..PROGRAM
    };
    let run = program.run(run.layers);
    let up = format!("../../../..{OTHER_FILE}");
    let made = format!("{ELSEWHERE}/made");
    let fails = |words: &[&str], says: &str, makes: Option<&str>| {
        let words: Vec<&str> = [GIT].iter().chain(words).copied().collect();
        run.step_outside(Step {
            words: &words,
            from: TREE,
            says,
            makes,
        });
    };
    // What others may read, by a link, by its name, from below.
    fails(&["hash-object", "leads-out"], DENIED, None);
    fails(&["hash-object", OTHER_FILE], DENIED, None);
    fails(&["hash-object", &up], DENIED, None);
    fails(
        &["-C", "../../elsewhere/other.git", "rev-parse", "--git-dir"],
        DENIED,
        None,
    );
    // A repository that may not be read, one that may not be written, and one that is to be where nothing may be.
    fails(
        &[
            "clone",
            "-q",
            &format!("file://{ELSEWHERE}/other.git"),
            "../copy",
        ],
        "",
        Some("/home/sandbox/work/copy"),
    );
    fails(
        &["push", "-q", "origin", "main:refs/heads/pushed"],
        "",
        Some("/srv/git/project.git/refs/heads/pushed"),
    );
    fails(&["init", "-q", &made], DENIED, Some(&made));
    fails(&["init", "-q", "../../elsewhere/made"], DENIED, Some(&made));
    fails(&["worktree", "add", "-q", &made], DENIED, Some(&made));
    fails(
        &["config", "--file", &made, "a.b", "c"],
        DENIED,
        Some(&made),
    );
    // A hook lies where git may write.
    fails(
        &["commit", "-q", "--allow-empty", "-m", "x"],
        DENIED,
        Some("/home/sandbox/work/hook-ran"),
    );
}

// SPDX-License-Identifier: GPL-2.0
//! Policies on paths on top of each other: the inner one narrows, and whatever it grants it cannot widen.

use super::super::super::cli::{POLICIES, policy, succeeds};
use super::{DENIED, ELSEWHERE, HOME, Layers, OTHER_FILE, Run, Step, git, python, shell};
use crate::harness::{Test, tests};

pub(super) fn tests() -> Vec<Test> {
    let tests = tests!("programs";
        paths_git_with_a_read_only_layer_on_top, law_1_narrow_only_paths_grant_nothing_on_top, paths_of_a_part_on_top,
    );
    tests.into_iter().map(|test| test.limit(120)).collect()
}

const TREE: &str = "/home/sandbox/work/project";

fn paths_git_with_a_read_only_layer_on_top() {
    let run = git::PROGRAM.run(Layers::Own);
    (git::PROGRAM.prepare)();
    let does = |run: &Run, words: &[&str]| {
        let mut command = run.start("/usr/bin/git");
        command.args(["-C", TREE]).args(words);
        command
    };
    succeeds(
        run.start("/usr/bin/git")
            .args(["clone", "-q", "file:///srv/git/project.git", TREE]),
    );
    shell(&format!("cd {TREE}; echo more >> dir/1"));
    let narrow = run.with(&format!("{POLICIES}/paths/read-only.evf"));
    assert_eq!(
        succeeds(&mut does(&narrow, &["log", "--format=%s"])),
        "three\ntwo\none\n"
    );
    assert_eq!(
        succeeds(&mut does(&narrow, &["status", "--porcelain"])),
        " M dir/1\n"
    );
    succeeds(&mut does(&narrow, &["fsck", "--full"]));
    for words in [
        &["commit", "-qam", "four"][..],
        &["branch", "other"],
        &["tag", "v2"],
        &["gc", "-q"],
        &["config", "a.b", "c"],
    ] {
        let output = does(&narrow, words).output().expect("exec");
        let text = super::all_text(&output);
        assert!(
            !output.status.success() && text.contains(DENIED),
            "{words:?}: {text}"
        );
    }
    // The layer below is as it was.
    succeeds(&mut does(&run, &["commit", "-qam", "four"]));
}

/// A layer that grants everything, between and on top.
fn law_1_narrow_only_paths_grant_nothing_on_top() {
    let text = "policy all\npaths { write \"/\"; exec \"/\" }\n";
    let all = policy("all-paths", text);
    for layers in [Layers::Own, Layers::Between] {
        let run = python::PROGRAM.run(layers).with(&all).with(&all);
        let made = format!("{ELSEWHERE}/made");
        for (script, makes) in [
            (format!("print(open('{OTHER_FILE}').read())"), None),
            (format!("open('{made}', 'w')"), Some(made.as_str())),
            (
                "import subprocess; subprocess.run(['/usr/bin/id'], check=True)".to_owned(),
                None,
            ),
        ] {
            run.step_outside(Step {
                words: &["/usr/bin/python3", "-c", &script],
                from: HOME,
                says: DENIED,
                makes,
            });
        }
        (python::PROGRAM.prepare)();
        (python::PROGRAM.works)(&run);
    }
}

/// A program confines a part of itself: what both layers grant is left.
fn paths_of_a_part_on_top() {
    let text = "policy part\npaths { read \"/\"; exec \"/usr\"; write \"/home/sandbox/data/part\", \"/home/sandbox/elsewhere\" }\n";
    let part = policy("part", text);
    let run = python::PROGRAM.run(Layers::Own).with(&part);
    (python::PROGRAM.prepare)();
    shell("mkdir data/part");
    let script = "import os\n\
        os.chdir('/home/sandbox/data')\n\
        for path in ('part/made', 'made', '../elsewhere/made', '../app/made'):\n\
        \x20   try: open(path, 'w').write('x'); print(path)\n\
        \x20   except OSError as error: print(path, error.errno)\n\
        for source, target in (('part/made', 'part/moved'), ('part/moved', 'moved'), ('mine', 'part/mine')):\n\
        \x20   try: os.rename(source, target); print(source)\n\
        \x20   except OSError as error: print(source, error.errno)\n\
        print(sorted(os.listdir('part')))";
    let text = succeeds(run.start("/usr/bin/python3").args(["-c", script]));
    let expected = "part/made\nmade 13\n../elsewhere/made 13\n../app/made 13\npart/made\npart/moved 13\nmine 13\n['moved']\n";
    assert_eq!(text, expected);
}

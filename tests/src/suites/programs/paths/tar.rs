// SPDX-License-Identifier: GPL-2.0
//! tar: what is packed and unpacked is the same tree, and an archive leads nowhere else.

use super::super::super::cli::succeeds;
use super::{
    DENIED, ELSEWHERE, HOME, OTHER, OTHER_FILE, Program, Run, Step, fresh, link, shell, write,
};

pub(super) const PROGRAM: Program = Program {
    name: "tar",
    env: &[],
    prepare,
    works,
    outside,
};

const TAR: &str = "/usr/bin/tar";

/// A tree with everything that a user can make, links out of it, and archives that lead outside.
fn prepare() {
    fresh(&["/home/sandbox/src", "/home/sandbox/out"]);
    shell(
        "mkdir -p src/tree/a/b src/tree/empty; cd src/tree; seq 5000 > a/long; echo x > a/b/x; ln a/b/x hard; ln -s a/long soft; ln -s /nowhere dangling; \
         mkfifo fifo; chmod 0751 a; chmod 0640 a/b/x; chmod 4755 a/long; touch -d 2001-02-03T04:05:06.5 a/long; : > 'a name with \
blanks'",
    );
    link(OTHER_FILE, "/home/sandbox/src/leads-out");
    link(ELSEWHERE, "/home/sandbox/out/leads-elsewhere");
    shell(
        "mkdir -p out/in/leads-elsewhere; echo made > out/in/leads-elsewhere/made; cd out; tar cf below-link.tar -C in leads-elsewhere/made; \
         echo made > ../elsewhere/made; tar cPf absolute.tar /home/sandbox/elsewhere/made; tar cPf up.tar ../elsewhere/made; rm ../elsewhere/made",
    );
    write("/home/sandbox/out/program", "#!/bin/sh\ncat\n", 0o755, 1000);
}

/// What there is in a tree, with all that tar keeps.
fn listed(dir: &str) -> String {
    shell(&format!(
        "cd {dir}; find . ! -type d -printf '%P %y %m %n %s %T@ %l\\n' -o -printf '%P %y %m %T@\\n' | sort; find . -type f -print0 | sort -z | xargs -0 sha256sum"
    ))
}

fn works(run: &Run) {
    let does = |words: &[&str]| succeeds(run.start(TAR).args(words));
    let out = |name: &str| format!("{HOME}/out/{name}");
    for (pack, archive) in [("cpf", "tree.tar"), ("czpf", "tree.tar.gz")] {
        let (archive, copy) = (out(archive), out("copy"));
        does(&[
            pack,
            &archive,
            "--format=posix",
            "-C",
            "/home/sandbox/src",
            "tree",
        ]);
        let names = does(&["tf", &archive]);
        assert!(names.contains("tree/a/b/x\n"), "{names}");
        does(&["df", &archive, "-C", "/home/sandbox/src"]);
        shell(&format!("mkdir {copy}"));
        does(&["xpf", &archive, "-C", &copy]);
        assert_eq!(
            listed(&format!("{copy}/tree")),
            listed("/home/sandbox/src/tree")
        );
        shell(&format!("rm -r {copy}"));
    }
}

fn outside(run: &Run) {
    let fails = |words: &[&str], makes: Option<&str>| {
        let words: Vec<&str> = [TAR].iter().chain(words).copied().collect();
        run.step_outside(Step {
            words: &words,
            from: "/home/sandbox/out",
            says: DENIED,
            makes,
        });
    };
    let made = format!("{ELSEWHERE}/made");
    // What others may read: through a link, by name, from below, as the directory to start in.
    fails(
        &["chf", "x.tar", "-C", "/home/sandbox/src", "leads-out"],
        None,
    );
    fails(&["cPf", "x.tar", OTHER_FILE], None);
    fails(&["cPf", "x.tar", "../../../srv/evf-other/file"], None);
    fails(&["cf", "x.tar", "-C", OTHER, "file"], None);
    // An archive elsewhere, and one that leads there.
    fails(
        &["cf", &made, "-C", "/home/sandbox/src", "tree"],
        Some(&made),
    );
    fails(
        &[
            "cf",
            "leads-elsewhere/made",
            "-C",
            "/home/sandbox/src",
            "tree",
        ],
        Some(&made),
    );
    fails(&["xPf", "absolute.tar"], Some(&made));
    fails(&["xPf", "up.tar"], Some(&made));
    fails(&["xf", "below-link.tar"], Some(&made));
    fails(
        &[
            "xf",
            "below-link.tar",
            "-C",
            ELSEWHERE,
            "--strip-components=1",
        ],
        Some(&made),
    );
    // What is packed can only be read.
    fails(
        &[
            "cf",
            "x.tar",
            "--remove-files",
            "-C",
            "/home/sandbox/src",
            "tree/a",
        ],
        None,
    );
    let in_source = "/home/sandbox/src/leads-elsewhere";
    fails(
        &["xf", "below-link.tar", "-C", "/home/sandbox/src"],
        Some(in_source),
    );
    // Programs: one that came out of an archive, one of the system.
    fails(
        &[
            "cf",
            "x.tar",
            "-I",
            "/home/sandbox/out/program",
            "-C",
            "/home/sandbox/src",
            "tree",
        ],
        None,
    );
    fails(
        &[
            "cf",
            "x.tar",
            "-I",
            "/usr/bin/cat",
            "-C",
            "/home/sandbox/src",
            "tree",
        ],
        None,
    );
}

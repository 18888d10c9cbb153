// SPDX-License-Identifier: GPL-2.0
//! gcc: compiles and links, what it makes runs; sources, tools and results stay where they belong.

use super::super::super::cli::succeeds;
use super::{
    DENIED, ELSEWHERE, HOME, OTHER_FILE, Program, Run, Step, fresh, link, read, shell, write,
    write_own,
};

pub(super) const PROGRAM: Program = Program {
    name: "gcc",
    env: &[("TMPDIR", "/home/sandbox/build")],
    prepare,
    works,
    outside,
};

const GCC: &str = "/usr/bin/gcc";

const HELLO: &str = r#"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "shapes.h"

static void *say(void *what) {
    printf("%s from a thread\n", (const char *)what);
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t thread;
    if (argc != 2 || pthread_create(&thread, NULL, say, argv[1]) != 0)
        return 1;
    pthread_join(thread, NULL);
    printf("%d %.3f %zu\n", area(7), sqrt(argc), strlen(argv[1]));
    return 42;
}
"#;

fn prepare() {
    fresh(&["/home/sandbox/src", "/home/sandbox/build"]);
    write_own("/home/sandbox/src/hello.c", HELLO);
    write_own("/home/sandbox/src/shapes.h", "int area(int side);\n");
    write_own(
        "/home/sandbox/src/shapes.c",
        "#include \"shapes.h\"\nint area(int side) { return side * side; }\n",
    );
    for (name, file) in [
        ("by-link", "leads-out.h"),
        ("by-name", OTHER_FILE),
        ("from-below", "../../../srv/evf-other/file"),
    ] {
        write_own(
            &format!("/home/sandbox/src/{name}.c"),
            format!("#include \"{file}\"\nint main(void) {{ return 0; }}\n"),
        );
    }
    link(OTHER_FILE, "/home/sandbox/src/leads-out.h");
    link(ELSEWHERE, "/home/sandbox/build/leads-elsewhere");
    // An assembler of its own.
    write(
        "/home/sandbox/build/as",
        "#!/bin/sh\nexec /usr/bin/as \"$@\"\n",
        0o755,
        1000,
    );
}

fn works(run: &Run) {
    let does = |words: &[&str]| succeeds(run.start(GCC).args(words));
    let flags = ["-std=c17", "-O2", "-g", "-Wall", "-Wextra", "-Werror"];
    let with = |words: &[&'static str]| -> Vec<&'static str> {
        flags.iter().chain(words).copied().collect()
    };
    // At once, then in steps.
    does(&with(&[
        "src/hello.c",
        "src/shapes.c",
        "-o",
        "build/hello",
        "-lm",
        "-lpthread",
    ]));
    does(&with(&["-MMD", "-c", "src/hello.c", "-o", "build/hello.o"]));
    does(&with(&[
        "-fPIC",
        "-shared",
        "src/shapes.c",
        "-o",
        "build/libshapes.so",
    ]));
    does(&[
        "build/hello.o",
        "-Lbuild",
        "-lshapes",
        "-Wl,-rpath,/home/sandbox/build",
        "-lm",
        "-o",
        "build/shared",
    ]);
    let text = does(&["-E", "-P", "src/shapes.c"]);
    assert_eq!(
        text,
        "int area(int side);\nint area(int side) { return side * side; }\n"
    );
    let list = read("/home/sandbox/build/hello.d");
    assert!(list.contains("src/shapes.h"), "{list}");
    for program in ["hello", "shared"] {
        let line =
            format!("cd /; status=0; {HOME}/build/{program} hello || status=$?; echo $status");
        assert_eq!(shell(&line), "hello from a thread\n49 1.414 5\n42\n");
    }
    // Nothing temporary is left behind.
    let names = shell("cd build; ls");
    assert_eq!(
        names,
        "as\nhello\nhello.d\nhello.o\nleads-elsewhere\nlibshapes.so\nshared\n"
    );
}

fn outside(run: &Run) {
    let fails = |words: &[&str], says: &str, makes: Option<&str>| {
        let words: Vec<&str> = [GCC].iter().chain(words).copied().collect();
        run.step_outside(Step {
            words: &words,
            from: "/home/sandbox/build",
            says,
            makes,
        });
    };
    let made = format!("{ELSEWHERE}/made");
    for name in ["by-link", "by-name", "from-below"] {
        fails(
            &["-pipe", "-S", "-o", "x.s", &format!("../src/{name}.c")],
            DENIED,
            None,
        );
    }
    for out in [&made, "../elsewhere/made", "leads-elsewhere/made"] {
        fails(&["-S", "-o", out, "../src/shapes.c"], DENIED, Some(&made));
    }
    // The sources can only be read.
    fails(
        &["-S", "-o", "../src/shapes.h", "../src/shapes.c"],
        DENIED,
        None,
    );
    let in_sources = "/home/sandbox/src/shapes.s";
    fails(
        &["-S", "-o", in_sources, "../src/shapes.c"],
        DENIED,
        Some(in_sources),
    );
    // Its parts come from where it cannot write: no assembler, no plugin of its own.
    fails(
        &["-pipe", "-B/home/sandbox/build/", "-c", "../src/shapes.c"],
        DENIED,
        Some("/home/sandbox/build/shapes.o"),
    );
    let program = Program {
        prepare: || {
            prepare();
            let plugin = "int plugin_is_GPL_compatible; int plugin_init(void) { return 0; }";
            write_own("/home/sandbox/build/plugin.c", plugin);
            shell("cd build; gcc -shared -fPIC -o plugin.so plugin.c");
        },
        ..PROGRAM
    };
    program.run(run.layers).step_outside(Step {
        words: &[
            GCC,
            "-fplugin=/home/sandbox/build/plugin.so",
            "-S",
            "../src/shapes.c",
        ],
        from: "/home/sandbox/build",
        says: "failed to map segment",
        makes: Some("/home/sandbox/build/shapes.s"),
    });
}

// SPDX-License-Identifier: GPL-2.0
//! Law 6: unmodified programs under policies that they meet behave as they always do; where they step outside they are refused.

mod paths;

use crate::harness::{Test, tests};
use crate::sys::sys;

use super::cli::{as_user, ends_with, evf_run, names, policy, succeeds};

/// The policy of Molnar's sandbox, as it comes with the project.
const SANDBOX: &str = "/usr/share/evfilter/policies/sandbox.evf";

/// What everyone may read, and only the policy keeps from the programs.
const SECRET: &str = "/srv/evf-secret/file";

pub(super) fn tests() -> Vec<Test> {
    let rows = tests!("programs";
        law_6_transparent_busybox_same_output, law_6_transparent_python_same_output, law_6_transparent_git_same_output, law_6_transparent_shell_same_output,
        busybox_under_the_sandbox_policy, busybox_is_refused_outside, busybox_cannot_make_links, busybox_cannot_go_up, git_makes_a_repository,
        git_is_refused_outside, python_runs_its_library, python_is_refused_outside, python_threads_and_processes, python_sees_the_errno_of_the_policy,
        shell_pipeline_of_many_programs, archive_of_a_tree, narrower_policy_inside, tree_of_processes_is_confined,
    );
    let mut tests: Vec<Test> = rows.into_iter().map(|test| test.limit(180)).collect();
    tests.extend(paths::tests());
    tests
}

/// Names that ordinary programs use, without what is secret; ".." is refused, links cannot be made.
fn tools() -> String {
    std::fs::create_dir_all("/srv/evf-secret").expect("mkdir");
    std::fs::write(SECRET, "secret\n").expect("write");
    policy(
        "tools",
        r#"policy tools
on syscall.enter {
    deny EPERM link, linkat, symlink, symlinkat, ptrace, mount, unshare, setns
    default allow
}
on vfs.getname {
    deny EXDEV path under "/srv"
    deny EXDEV path contains "../"
    allow path under "/usr", "/lib", "/lib64", "/bin", "/etc", "/proc", "/dev", "/sys", "/tmp", "/home/sandbox"
    # Some programs look at each directory on the way.
    allow path == "/", "/home"
    deny EACCES path prefix "/"
    default allow
}
"#,
    )
}

/// A fresh directory of the user, and a line for the shell that works there.
fn in_a_fresh_directory(line: &str) -> String {
    let path = "/home/sandbox/evf-work";
    let _ = std::fs::remove_dir_all(path);
    std::fs::create_dir(path).expect("mkdir");
    assert_eq!(
        sys!(libc::SYS_chown, c"/home/sandbox/evf-work", 1000, 1000),
        Ok(0)
    );
    format!("cd {path} && {line}")
}

/// The same line of shell without and with the policy: what it prints is the same.
fn same_output(line: &str) {
    let tools = tools();
    let free = succeeds(as_user("/bin/sh").args(["-c", &in_a_fresh_directory(line)]));
    let confined =
        succeeds(evf_run(&[&tools]).args(["/bin/sh", "-c", &in_a_fresh_directory(line)]));
    assert_eq!(free, confined);
    assert!(!free.is_empty());
}

fn law_6_transparent_busybox_same_output() {
    same_output(
        "B=/bin/busybox; $B echo one > f; $B cp f g; $B cat f g; $B ls -a; $B wc f; $B md5sum g; $B mv g h; $B rm f; $B ls; $B find . ; $B seq 1 5 | $B sort -r",
    );
}

fn law_6_transparent_python_same_output() {
    same_output(
        "python3 -c 'import json, os, hashlib, tempfile, glob; open(\"a\", \"w\").write(\"x\" * 100); print(json.dumps({\"n\": os.listdir(\".\"), \"h\": hashlib.sha256(open(\"a\", \"rb\").read()).hexdigest(), \"g\": glob.glob(\"*\")}))'",
    );
}

const GIT: &str = "export GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z'; \
     git init -q -b main . && git config user.name evf && git config user.email evf@example.org && \
     echo hello > file && git add file && git commit -q -m 'first' && echo more >> file && git commit -q -a -m 'second' && \
     git log --oneline && git diff HEAD~1 && git status --short && git fsck";

fn law_6_transparent_git_same_output() {
    same_output(GIT);
}

fn law_6_transparent_shell_same_output() {
    same_output(
        "for n in 1 2 3; do echo $n > f$n; done; cat f*; (exit 3); echo $?; ls | wc -l; test -e missing || echo missing; printf '%s\\n' * | tr a-z A-Z",
    );
}

/// busybox where the sandbox policy lets programs be: below the home.
fn sandboxed(script: &str) -> std::process::Command {
    tools();
    std::fs::copy("/bin/busybox", "/home/sandbox/busybox").expect("copy");
    assert_eq!(
        sys!(libc::SYS_chmod, c"/home/sandbox/busybox", 0o755),
        Ok(0)
    );
    let mut command = evf_run(&[SANDBOX]);
    command.args(["/home/sandbox/busybox", "sh", "-c", script]);
    command
}

fn busybox_under_the_sandbox_policy() {
    // This policy allows whole names only: relative ones begin with no allowed directory.
    let script = "B=/home/sandbox/busybox; W=/home/sandbox/w; $B rm -rf $W; $B mkdir $W; echo hello > $W/f; $B cat $W/f; \
                  $B cp $W/f $W/g; $B ls $W; $B mv $W/g $W/h; $B ls $W; $B rm -r $W";
    assert_eq!(succeeds(&mut sandboxed(script)), "hello\nf\ng\nf\nh\n");
}

fn busybox_is_refused_outside() {
    for path in [SECRET, "/etc/passwd", "/etc/shadow", "/proc/version", "/"] {
        let script = format!("/home/sandbox/busybox ls {path}");
        let text = ends_with(1, &mut sandboxed(&script));
        assert!(text.contains("Permission denied"), "{path}: {text}");
    }
}

fn busybox_cannot_make_links() {
    for link in [
        "ln -s /etc/shadow /home/sandbox/l",
        "ln /home/sandbox/busybox /home/sandbox/l",
    ] {
        let script = format!("B=/home/sandbox/busybox; $B rm -f /home/sandbox/l; $B {link}");
        let text = ends_with(1, &mut sandboxed(&script));
        assert!(text.contains("not implemented"), "{link}: {text}");
        assert!(std::fs::symlink_metadata("/home/sandbox/l").is_err());
    }
}

fn busybox_cannot_go_up() {
    for path in [
        "/home/sandbox/../../etc/shadow",
        "../../etc/shadow",
        "/home/sandbox/..",
    ] {
        let text = ends_with(
            1,
            &mut sandboxed(&format!(
                "cd /home/sandbox; /home/sandbox/busybox ls {path}"
            )),
        );
        assert!(text.contains("Permission denied"), "{path}: {text}");
    }
}

fn git_makes_a_repository() {
    let tools = tools();
    let text = succeeds(evf_run(&[&tools]).args(["/bin/sh", "-c", &in_a_fresh_directory(GIT)]));
    assert!(
        text.contains(" first\n") && text.contains(" second\n") && text.contains("+more"),
        "{text}"
    );
    // What it made is a sound repository for a git outside, too.
    let log = succeeds(as_user("/usr/bin/git").args([
        "-C",
        "/home/sandbox/evf-work",
        "log",
        "--format=%s %an",
    ]));
    assert_eq!(log, "second evf\nfirst evf\n");
}

fn git_is_refused_outside() {
    let tools = tools();
    let line = format!("git init -q . && git add {SECRET}; git hash-object {SECRET}");
    let output = evf_run(&[&tools])
        .args(["/bin/sh", "-c", &in_a_fresh_directory(&line)])
        .output()
        .expect("exec");
    assert!(!output.status.success());
    // The hash of "secret\n" as git sees it.
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(
        !text.contains("d97c5eada5d8c52079031eef0107a4430a9617c5"),
        "{text}"
    );
    assert!(
        text.contains("ross-device") || text.contains("not open"),
        "{text}"
    );
}

fn python(script: &str) -> std::process::Command {
    let mut command = evf_run(&[&tools()]);
    command.args(["/usr/bin/python3", "-c", script]);
    command
}

fn python_runs_its_library() {
    let script = "import json, re, sqlite3, decimal, datetime, subprocess, threading\n\
                  db = sqlite3.connect('/home/sandbox/evf.db'); db.execute('drop table if exists t'); db.execute('create table t (n)')\n\
                  db.executemany('insert into t values (?)', [(n,) for n in range(10)]); db.commit()\n\
                  print(db.execute('select sum(n) from t').fetchone()[0], re.sub('a', 'b', 'banana'), decimal.Decimal('0.1') + 1)\n\
                  print(subprocess.run(['/bin/echo', 'child'], capture_output=True).stdout)";
    assert_eq!(
        succeeds(&mut python(script)),
        "45 bbnbnb 1.1\nb'child\\n'\n"
    );
}

fn python_is_refused_outside() {
    let text = ends_with(1, &mut python(&format!("open('{SECRET}')")));
    assert!(text.contains("OSError: [Errno 18]"), "{text}");
}

fn python_threads_and_processes() {
    let script = format!(
        "import threading, multiprocessing, subprocess\n\
         def look(out):\n\
         \x20   try: open('{SECRET}'); out.append(0)\n\
         \x20   except OSError as error: out.append(error.errno)\n\
         out = []\n\
         threads = [threading.Thread(target=look, args=(out,)) for _ in range(8)]\n\
         [thread.start() for thread in threads]; [thread.join() for thread in threads]\n\
         print(out)\n\
         print(subprocess.run(['/bin/cat', '{SECRET}'], capture_output=True).returncode)\n"
    );
    assert_eq!(
        succeeds(&mut python(&script)),
        "[18, 18, 18, 18, 18, 18, 18, 18]\n1\n"
    );
}

/// Programs see the policy's errno as that of the call, with the name that they gave.
fn python_sees_the_errno_of_the_policy() {
    let script = "import os\n\
                  for call in (os.stat, os.listdir, os.remove, os.rmdir, os.chdir, os.mkdir):\n\
                  \x20   try: call('/srv/evf-secret/x')\n\
                  \x20   except OSError as error: print(call.__name__, error.errno, error.filename)";
    let expected: String = ["stat", "listdir", "remove", "rmdir", "chdir", "mkdir"]
        .iter()
        .map(|call| format!("{call} 18 /srv/evf-secret/x\n"))
        .collect();
    assert_eq!(succeeds(&mut python(script)), expected);
}

fn shell_pipeline_of_many_programs() {
    let line = "seq 1 1000 | grep 7 | sed s/7/x/ | awk '{ n += 1 } END { print n }' | tee out | cat; cut -c1 out; head -1 out; tail -1 out";
    let text = succeeds(evf_run(&[&tools()]).args(["/bin/sh", "-c", &in_a_fresh_directory(line)]));
    assert_eq!(text, "271\n2\n271\n271\n");
}

fn archive_of_a_tree() {
    let line = "mkdir -p a/b/c && echo deep > a/b/c/f && tar cf t.tar a && rm -r a && tar xf t.tar && cat a/b/c/f && find a -type f";
    let text = succeeds(evf_run(&[&tools()]).args(["/bin/sh", "-c", &in_a_fresh_directory(line)]));
    assert_eq!(text, "deep\na/b/c/f\n");
}

/// A confined build confines its own steps further.
fn narrower_policy_inside() {
    let narrow = names(
        "narrow",
        "deny ENOTUNIQ path under \"/etc\"\n default allow",
    );
    let tools = tools();
    let line = format!(
        "/bin/cat /etc/hostname > /dev/null; echo outer $?; /usr/bin/evf run -p {narrow} -- /bin/cat /etc/hostname 2>&1; /bin/cat {SECRET} 2>&1"
    );
    std::fs::write("/etc/hostname", "guest\n").expect("write");
    let output = evf_run(&[&tools])
        .args(["/bin/sh", "-c", &line])
        .output()
        .expect("exec");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.starts_with("outer 0\n"), "{text}");
    assert!(
        text.contains("not unique") && text.contains("ross-device"),
        "{text}"
    );
}

/// Ten generations of shells, each with children in the background.
fn tree_of_processes_is_confined() {
    let script = format!(
        "#!/bin/sh\n[ \"$1\" -gt 0 ] && {{ sh \"$0\" $(($1 - 1)) & sh \"$0\" $(($1 - 1)) & wait; }}\ncat {SECRET} 2>/dev/null && echo LEAK\necho leaf\n"
    );
    let tools = tools();
    std::fs::write("/tmp/evf-tree.sh", script).expect("write");
    let text = succeeds(evf_run(&[&tools]).args(["/bin/sh", "/tmp/evf-tree.sh", "4"]));
    assert_eq!(
        text.lines().filter(|line| *line == "leaf").count(),
        31,
        "{text}"
    );
    assert!(!text.contains("LEAK") && !text.contains("secret"), "{text}");
}

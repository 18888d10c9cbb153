// SPDX-License-Identifier: GPL-2.0
//! python3: the library can be imported and used, and nothing that the program writes becomes code.

use super::super::super::cli::succeeds;
use super::{
    DENIED, ELSEWHERE, HOME, OTHER_FILE, Program, Run, Step, fresh, link, read, shell, write_own,
};

pub(super) const PROGRAM: Program = Program {
    name: "python",
    env: &[("TMPDIR", "/home/sandbox/data")],
    prepare,
    works,
    outside,
};

const PYTHON: &str = "/usr/bin/python3";

/// A program of two modules that uses what programs use.
const MAIN: &str = r#"
import argparse, array, ast, asyncio, base64, bisect, bz2, calendar, codecs, collections, concurrent.futures, configparser, contextlib
import copy, csv, ctypes, dataclasses, datetime, decimal, difflib, dis, email.message, enum, fractions, functools, glob, gzip
import hashlib, heapq, hmac, html.parser, http.client, http.server, inspect, io, ipaddress, itertools, json, locale, logging.config, lzma
import math, mimetypes, mmap, multiprocessing, operator, os, pathlib, pickle, platform, pprint, pwd, queue, random, re, resource, sched
import secrets, select, selectors, shlex, shutil, signal, socket, sqlite3, ssl, stat, statistics, string, struct, subprocess
import tarfile, tempfile, textwrap, threading, time, timeit, tokenize, traceback, types, typing, unicodedata, unittest, urllib.request
import uuid, venv, warnings, wave, weakref, xml.etree.ElementTree, zipfile, zipimport, zlib, zoneinfo
import shapes

data = pathlib.Path("/home/sandbox/data")
os.chdir(data)
print(shapes.area(3))
with sqlite3.connect(data / "t.db") as db:
    db.execute("create table t (n)")
    db.executemany("insert into t values (?)", [(n,) for n in range(100)])
    print(db.execute("select sum(n) from t").fetchone()[0])
with zipfile.ZipFile("z.zip", "w", zipfile.ZIP_DEFLATED) as z:
    z.writestr("a/b", "x" * 1000)
print(zipfile.ZipFile("z.zip").read("a/b").decode().count("x"))
print(hashlib.sha256(b"evf").hexdigest()[:16], ssl.create_default_context().verify_mode.name)
with tempfile.TemporaryDirectory() as place:
    with open(os.path.join(place, "f"), "w") as f: f.write("temporary")
    print(place.startswith("/home/sandbox/data/"), os.listdir(place), pathlib.Path(place, "f").read_text())
with open("map", "wb+") as f:
    f.write(bytes(4096)); f.flush()
    with mmap.mmap(f.fileno(), 0) as m: m[0:4] = b"mmap"
print(pathlib.Path("map").read_bytes()[:4])
os.makedirs("d/e/f"); os.rename("d/e", "d/g"); os.symlink("d", "s"); os.link("map", "d/hard")
print(sorted(str(p) for p in data.glob("d/**")), os.readlink("s"), os.stat("map").st_nlink)
shutil.copytree("d", "copy"); shutil.rmtree("d")
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    print(sum(pool.map(lambda n: len(open("map", "rb").read()) + n, range(10))))
async def answer():
    await asyncio.sleep(0.01)
    return 42
print(asyncio.run(answer()))
pid = os.fork()
if pid == 0:
    open("child", "w").write("child"); os._exit(3)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), open("child").read())
print(ctypes.CDLL(None).abs(-5), os.getcwd(), os.path.realpath("s/../map"), pwd.getpwuid(1000).pw_name)
print(xml.etree.ElementTree.fromstring("<a><b>c</b></a>").find("b").text, decimal.Decimal("0.1") + 1, subprocess.run(["/usr/bin/python3", "-c", "print(6 * 7)"], capture_output=True, text=True).stdout.strip())
"#;

const PRINTED: &str = "\
9
4950
1000
a2cf446c60e0bbe0 CERT_REQUIRED
True ['f'] temporary
b'mmap'
['/home/sandbox/data/d', '/home/sandbox/data/d/g', '/home/sandbox/data/d/g/f', '/home/sandbox/data/d/hard'] d 2
41005
42
3 child
5 /home/sandbox/data /home/sandbox/data/map sandbox
c 1.1 42
";

fn prepare() {
    fresh(&["/home/sandbox/app", "/home/sandbox/data"]);
    write_own("/home/sandbox/app/main.py", MAIN);
    write_own(
        "/home/sandbox/app/shapes.py",
        "def area(side):\n    return side * side\n",
    );
    link(OTHER_FILE, "/home/sandbox/data/leads-out");
    shell(
        "cp /usr/lib/x86_64-linux-gnu/libz.so.1 data/mine.so; cp /usr/bin/true data/mine; cp /bin/busybox data/busybox",
    );
}

fn works(run: &Run) {
    let text = succeeds(run.start(PYTHON).arg("/home/sandbox/app/main.py"));
    assert_eq!(text, PRINTED);
    assert_eq!(read("/home/sandbox/data/child"), "child");
}

fn outside(run: &Run) {
    let says = |script: &str, says: &str, makes: Option<&str>| {
        run.step_outside(Step {
            words: &[PYTHON, "-c", script],
            from: HOME,
            says,
            makes,
        });
    };
    let fails = |script: &str, makes: Option<&str>| says(script, DENIED, makes);
    let made = format!("{ELSEWHERE}/made");
    for script in [
        "print(open('/home/sandbox/data/leads-out').read())",
        "print(open('/home/sandbox/data/../../../srv/evf-other/file').read())",
        "import os; fd = os.open('/home/sandbox/data', os.O_PATH); print(open(os.open('../../../srv/evf-other/file', 0, dir_fd=fd)).read())",
        "import os; os.chdir('/srv/evf-other')",
        "import os; print(os.listdir('/home/sandbox'))",
        "import os; print(os.stat('/srv/evf-other/file'))",
        "import os; print(os.readlink('/proc/self/cwd'))",
        "import shutil; shutil.copy('/srv/evf-other/file', '/home/sandbox/data/copy')",
        // No program that the program itself has brought along, nor one without a name, nor another of the system.
        "import subprocess; subprocess.run(['/home/sandbox/data/mine'], check=True)",
        "import subprocess; subprocess.run(['/usr/bin/id'], check=True)",
        "import os; fd = os.memfd_create('x'); os.write(fd, open('/home/sandbox/data/busybox', 'rb').read()); os.execve(fd, ['true'], {})",
        // A file without a name, where it may not have one with a name.
        "import os; os.open('/home/sandbox/elsewhere', os.O_TMPFILE | os.O_RDWR)",
        // Its own program stays as it is.
        "open('/home/sandbox/app/main.py', 'a').write('#')",
        "import os; os.truncate('/home/sandbox/app/main.py', 0)",
        "import os; os.chmod('/home/sandbox/app/main.py', 0o777)",
        "import os; os.utime('/home/sandbox/app/main.py')",
        "import os; os.remove('/home/sandbox/app/main.py')",
    ] {
        fails(script, None);
    }
    // The same for a library.
    let library = "import ctypes; ctypes.CDLL('/home/sandbox/data/mine.so')";
    says(library, "failed to map segment", None);
    for script in [
        "open('/home/sandbox/elsewhere/made', 'w')",
        "open('/home/sandbox/data/../elsewhere/made', 'w')",
        "import os; os.mkdir('/home/sandbox/elsewhere/made')",
        "import os; os.mkfifo('/home/sandbox/elsewhere/made')",
        "import os; os.symlink('/', '/home/sandbox/elsewhere/made')",
        "import os; os.link('/home/sandbox/data/mine', '/home/sandbox/elsewhere/made')",
        "import os; os.rename('/home/sandbox/data/mine', '/home/sandbox/elsewhere/made')",
        "import socket; socket.socket(socket.AF_UNIX).bind('/home/sandbox/elsewhere/made')",
    ] {
        fails(script, Some(&made));
    }
}

// SPDX-License-Identifier: GPL-2.0
//! sqlite3: databases with their journals live in one directory, and nothing else is read, written or started.

use super::super::super::cli::{as_user, succeeds};
use super::{ELSEWHERE, HOME, OTHER_FILE, Program, Run, Step, all_text, fresh, link, shell};

pub(super) const PROGRAM: Program = Program {
    name: "sqlite",
    env: &[("SQLITE_TMPDIR", "/home/sandbox/data")],
    prepare,
    works,
    outside,
};

const SQLITE: &str = "/usr/bin/sqlite3";
const DATABASE: &str = "/home/sandbox/data/my.db";

fn prepare() {
    fresh(&["/home/sandbox/data"]);
    link(OTHER_FILE, "/home/sandbox/data/leads-out");
    link(
        "/home/sandbox/elsewhere",
        "/home/sandbox/data/leads-elsewhere",
    );
    shell(
        "sqlite3 elsewhere/other.db 'create table s (t); insert into s values (1)'; cp /usr/lib/x86_64-linux-gnu/libm.so.6 data/mine.so",
    );
}

/// More than the cache holds, so that VACUUM needs a temporary file.
const FILL: &str = "pragma journal_mode; create table t (n integer primary key, s text); \
    with recursive c (n) as (select 1 union all select n + 1 from c where n < 30000) insert into t select n, hex(zeroblob(50)) || n from c; \
    create index i on t (s); begin; delete from t where n % 3 = 0; rollback; begin; delete from t where n % 2 = 0; commit; \
    select count(*), sum(n), max(length(s)) from t; vacuum; pragma integrity_check;";

fn works(run: &Run) {
    let does = |sql: &[&str]| succeeds(run.start(SQLITE).arg(DATABASE).args(sql));
    assert_eq!(does(&[FILL]), "delete\n15000|225000000|105\nok\n");
    // A journal that stays, and one in another form beside the database.
    let persist = "pragma journal_mode = persist; update t set s = 'x' where n = 1;";
    assert_eq!(does(&[persist]), "persist\n");
    assert!(std::fs::metadata(format!("{DATABASE}-journal")).is_ok_and(|meta| meta.len() > 0));
    let wal = "pragma journal_mode = wal; update t set s = 'y' where n = 3; select s from t where n <= 3; pragma wal_checkpoint(truncate);";
    assert_eq!(does(&[wal]), "wal\nx\ny\n0|0|0\n");
    does(&[".output /home/sandbox/data/dump.sql", ".dump"]);
    does(&[".backup /home/sandbox/data/copy.db"]);

    // The same for a sqlite3 outside.
    let outer = |name: &str, sql: &str| {
        succeeds(as_user(SQLITE).args([&format!("{HOME}/data/{name}"), sql]))
    };
    let whole = "pragma integrity_check; select count(*), sum(n) from t";
    for name in ["my.db", "copy.db"] {
        assert_eq!(outer(name, whole), "ok\n15000|225000000\n", "{name}");
    }
    outer("again.db", ".read /home/sandbox/data/dump.sql");
    assert_eq!(outer("again.db", whole), "ok\n15000|225000000\n");
}

fn outside(run: &Run) {
    let fails = |sql: &str, says: &str, makes: Option<&str>| {
        run.step_outside(Step {
            words: &[SQLITE, "-bail", DATABASE, sql],
            from: "/home/sandbox/data",
            says,
            makes,
        });
    };
    let made = format!("{ELSEWHERE}/made");
    for other in [
        "/home/sandbox/elsewhere/other.db",
        "../elsewhere/other.db",
        "leads-elsewhere/other.db",
    ] {
        fails(
            &format!("attach '{other}' as o; select * from o.s"),
            "unable to open database",
            None,
        );
    }
    for file in [OTHER_FILE, "leads-out", "../../../srv/evf-other/file"] {
        fails(&format!(".import {file} imported"), "cannot open", None);
    }
    fails(
        &format!("attach '{made}' as o; create table o.t (n)"),
        "unable to open database",
        Some(&made),
    );
    fails(
        &format!("vacuum into '{made}'"),
        "unable to open database",
        Some(&made),
    );
    fails(".backup leads-elsewhere/made", "cannot open", Some(&made));
    // A library in the directory is not mapped as code. Without a policy, a function that returns 0 passes for an extension's.
    let load = "select load_extension('./mine', 'feclearexcept')";
    fails(load, "failed to map segment", None);
    // No other program: sqlite3 itself goes on after it.
    let mut shell = run.start(SQLITE);
    let output = shell.args([":memory:", ".shell echo ran"]).output();
    assert_eq!(
        all_text(&output.expect("exec")).contains("ran"),
        !run.confined()
    );
}

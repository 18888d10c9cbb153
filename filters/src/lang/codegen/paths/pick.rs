// SPDX-License-Identifier: GPL-2.0
//! `vfs.pick` under a `paths` block: which right each action takes.

use std::prelude::rust_2021::*;
use std::vec;

use super::super::super::assembler::Label;
use super::super::super::paths::rights::{CONNECT, DENY, EXEC, HIDE, NAME, READ, WRITE};
use super::super::search::{push, search};
use super::{Emitter, HERE, OTHER, THERE};
use crate::object::{access, action, flag, KINDS};

impl Emitter<'_> {
    pub(super) fn pick(&mut self) {
        self.load("action");
        let mounts = self.ends.mounts;
        for refused in [
            action::CHROOT,
            action::MOUNT,
            action::UMOUNT,
            action::PIVOT_ROOT,
            action::QUOTA,
        ] {
            self.if_equal(refused, mounts);
        }
        let internal = self.asm.label();
        self.look(internal);

        let [sight, open, name, node, link, rename, write, read, exec, map, connect] =
            [(); 11].map(|()| self.asm.label());
        let leads = [
            (action::OPEN, open),
            (action::LOOKUP, sight),
            (action::CREATE, name),
            (action::MKDIR, name),
            (action::MKNOD, node),
            (action::SYMLINK, name),
            (action::LINK, link),
            (action::UNLINK, name),
            (action::RMDIR, name),
            (action::RENAME, rename),
            (action::TRUNCATE, write),
            (action::EXEC, exec),
            (action::MAP, map),
            (action::CHMOD, write),
            (action::CHOWN, write),
            (action::UTIME, write),
            (action::STAT, self.ends.stat),
            (action::READLINK, sight),
            (action::CHDIR, sight),
            (action::XATTR_GET, read),
            (action::XATTR_LIST, read),
            (action::XATTR_SET, write),
            (action::XATTR_REMOVE, write),
            (action::ACL_GET, read),
            (action::ACL_SET, write),
            (action::ATTR_GET, read),
            (action::ATTR_SET, write),
            (action::CONNECT, connect),
            (action::WATCH, read),
            (action::STATFS, self.ends.stat),
            (action::URING_CMD, write),
        ];
        self.load("action");
        let mut intervals = vec![(0, self.ends.refuse)];
        for (number, label) in leads {
            push(&mut intervals, number, label);
            push(&mut intervals, number + 1, self.ends.refuse);
        }
        search(self.asm, &intervals);

        self.asm.bind(open);
        self.open(sight);
        self.asm.bind(link);
        let joined = self.link();
        self.asm.bind(rename);
        self.rename(joined);
        self.asm.bind(node);
        let devices = self.ends.devices;
        self.load("type");
        self.if_equal(CHAR, devices);
        self.if_equal(BLOCK, devices);
        self.asm.bind(name);
        self.rights(HERE);
        let (yes, no) = (self.ends.allow(WRITE), self.ends.refuse);
        self.any(NAME, yes, no);
        self.asm.bind(write);
        self.need(WRITE);
        self.asm.bind(read);
        self.need(READ);
        self.asm.bind(exec);
        self.need(EXEC);
        self.asm.bind(map);
        self.rights(HERE);
        let done = self.ends.allow(READ);
        self.code(done);
        self.asm.bind(connect);
        self.need(CONNECT);
        self.asm.bind(sight);
        self.need_sight();
        self.asm.bind(internal);
        self.internal();
    }

    /// Code that is mapped, not started: from where it can be run, or where nobody under the block can have written it. A holds the rights.
    fn code(&mut self, done: Label) {
        self.if_any(EXEC, self.ends.allow(EXEC));
        self.if_any(WRITE, self.ends.refuse);
        self.any(READ, done, self.ends.refuse);
    }

    fn open(&mut self, sight: Label) {
        let [exec, start, data, write] = [(); 4].map(|()| self.asm.label());
        self.load("access");
        self.if_equal(access::PATH, sight);
        self.any(access::EXEC, exec, data);
        self.asm.bind(exec);
        self.load("flags");
        self.unless_any(flag::INTERPRETER, start);
        self.rights(HERE);
        self.if_any(EXEC, data);
        self.if_any(WRITE, self.ends.refuse);
        self.any(READ, data, self.ends.refuse);
        self.asm.bind(start);
        self.rights(HERE);
        self.any(EXEC, data, self.ends.refuse);
        self.asm.bind(data);
        self.load("access");
        self.if_any(access::WRITE | access::APPEND, write);
        let plain = self.asm.label();
        self.unless_any(access::EXEC, plain);
        self.rights(HERE);
        self.if_any(EXEC, self.ends.allow(EXEC));
        self.asm.bind(plain);
        self.need(READ);
        self.asm.bind(write);
        self.need(WRITE);
    }

    /// The source of a hard link is written to in a sense: its contents get another way in. Returns where both ends are to be compared.
    fn link(&mut self) -> Label {
        let [target, compare] = [(); 2].map(|()| self.asm.label());
        self.load("flags");
        self.if_any(flag::TARGET, target);
        self.need(WRITE);
        self.asm.bind(target);
        self.rights(HERE);
        self.unless_any(NAME, self.ends.refuse);
        self.any(EXEC, compare, self.ends.allow(WRITE));
        compare
    }

    /// A rename: both ends need the right to the name. `compare` is where a link goes that needs to be compared.
    fn rename(&mut self, compare: Label) {
        let allow = self.ends.allow(WRITE);
        let names = self.ends.names;
        let [target, directory, same, state] = [(); 4].map(|()| self.asm.label());
        self.rights(HERE);
        self.unless_any(NAME, self.ends.refuse);
        self.load("type");
        self.if_equal(DIRECTORY, compare);
        self.load("flags");
        self.if_any(flag::EXCHANGE, compare);
        self.any(flag::TARGET, target, allow);
        self.asm.bind(target);
        self.rights(HERE);
        self.any(EXEC, compare, allow);

        self.asm.bind(compare);
        self.walk(OTHER, THERE);
        self.if_any(DENY, self.ends.deny_other);
        self.if_any(HIDE, self.ends.hide_other);
        // Of what can be written, more rights can only be those to run it.
        self.rights(HERE);
        self.any(EXEC, same, directory);
        self.asm.bind(same);
        self.rights(THERE);
        self.any(EXEC, directory, names);
        // What lies below a directory, or takes the other one's place, must stay what it is.
        self.asm.bind(directory);
        self.load("action");
        self.if_equal(action::LINK, allow);
        self.load("flags");
        self.if_any(flag::EXCHANGE, state);
        self.load("type");
        self.equal(DIRECTORY, state, allow);
        self.asm.bind(state);
        self.rights(THERE);
        self.unless_any(NAME, self.ends.refuse);
        self.alike(allow, names);
    }

    /// Objects that no path leads to, such as pipes: whoever has one may use it, but not run code from it.
    fn internal(&mut self) {
        let (allow, code) = (self.ends.internal, self.ends.code);
        let open = self.asm.label();
        self.load("action");
        self.if_equal(action::EXEC, code);
        self.if_equal(action::MAP, code);
        self.equal(action::OPEN, open, allow);
        self.asm.bind(open);
        self.load("access");
        self.any(access::EXEC, code, allow);
    }
}

/// Types of objects, as in `KINDS`: `S_IFMT` of `include/uapi/linux/stat.h`, shifted down by twelve.
const CHAR: u32 = kind("char");
const BLOCK: u32 = kind("block");
const DIRECTORY: u32 = kind("directory");

/// The number of the type of this name. A name that is none stops the build.
const fn kind(name: &str) -> u32 {
    let mut rest = KINDS;
    while let [(known, number), tail @ ..] = rest {
        if equal(known.as_bytes(), name.as_bytes()) {
            return *number;
        }
        rest = tail;
    }
    unreachable!()
}

const fn equal(mut one: &[u8], mut other: &[u8]) -> bool {
    while let ([a, rest @ ..], [b, others @ ..]) = (one, other) {
        if *a != *b {
            return false;
        }
        (one, other) = (rest, others);
    }
    one.is_empty() && other.is_empty()
}

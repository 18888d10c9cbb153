// SPDX-License-Identifier: GPL-2.0
//! The events, each described by one schema: the layout of its record and the verdicts that it can carry out.
//!
//! Adding an event is adding a variant to [`Event`] and its [`Schema`] to `SCHEMAS`: verifier, interpreter and language read the rest from there.

use crate::object::{self, offset};
use crate::verdict::{Action, ActionSet};

/// Something that happens in the kernel and can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum Event {
    /// A task enters a system call.
    SyscallEnter = 0,
    /// The kernel has made its own copy of a path.
    VfsGetname = 1,
    /// An object of a file system has been chosen for something.
    VfsPick = 2,
    /// A step on the way to an object: a directory searched, a link followed.
    VfsWalk = 3,
    /// A descriptor arrives from another task.
    FdReceive = 4,
}

impl Event {
    /// Number of events.
    pub const COUNT: usize = SCHEMAS.len();

    /// All events, by number.
    pub const ALL: [Event; Event::COUNT] = [
        Event::SyscallEnter,
        Event::VfsGetname,
        Event::VfsPick,
        Event::VfsWalk,
        Event::FdReceive,
    ];

    /// The event with this number.
    pub const fn from_number(number: u32) -> Option<Event> {
        match number {
            0 => Some(Event::SyscallEnter),
            1 => Some(Event::VfsGetname),
            2 => Some(Event::VfsPick),
            3 => Some(Event::VfsWalk),
            4 => Some(Event::FdReceive),
            _ => None,
        }
    }

    /// The event of this name.
    #[cfg(feature = "lang")]
    pub fn from_name(name: &str) -> Option<Event> {
        Event::ALL
            .into_iter()
            .find(|event| event.schema().name == name)
    }

    /// Its number: in images, and as the bit in `Info::events`.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// Its schema.
    #[inline]
    pub const fn schema(self) -> &'static Schema {
        match self {
            Event::SyscallEnter => &SYSCALL_ENTER,
            Event::VfsGetname => &VFS_GETNAME,
            Event::VfsPick => &VFS_PICK,
            Event::VfsWalk => &VFS_WALK,
            Event::FdReceive => &FD_RECEIVE,
        }
    }
}

/// Where a field lies in the record, and how wide it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A 32-bit word at this byte offset.
    Word(u32),
    /// A 64-bit number at this byte offset, low half first.
    Long(u32),
    /// The string with this index.
    String(u8),
}

/// One field of a record.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name in the language.
    pub name: &'static str,
    /// Where it lies.
    pub place: Place,
    /// Values that have names, for fields that enumerate or hold flags.
    pub values: &'static [(&'static str, u32)],
}

/// What the verifier, the interpreter and the language need to know of one event.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// Name in the language and in logs.
    pub name: &'static str,
    /// Length of the record's fixed part in bytes; a multiple of four.
    pub record_bytes: u32,
    /// Number of string fields.
    pub strings: u8,
    /// The fields, `struct seccomp_data` first.
    pub fields: &'static [Field],
    /// Actions that the event can carry out. A program that returns another constant is refused; one that computes another kills the process.
    pub actions: ActionSet,
    /// Largest errno that the event can return. Zero is refused where this is not [`crate::limits::MAX_ERRNO`].
    pub max_errno: u16,
    /// Byte offset of the word that tells whether the object lies beneath the root of the layer: found out only for who asks, and for each layer anew.
    pub reachable: Option<u32>,
}

impl Schema {
    /// The field of this name.
    #[cfg(feature = "lang")]
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

const fn word(name: &'static str, offset: u32) -> Field {
    Field {
        name,
        place: Place::Word(offset),
        values: &[],
    }
}

const fn long(name: &'static str, offset: u32) -> Field {
    Field {
        name,
        place: Place::Long(offset),
        values: &[],
    }
}

/// `AUDIT_ARCH_*` of `include/uapi/linux/audit.h`.
const ARCHES: &[(&str, u32)] = &[("x86_64", 0xc000_003e), ("i386", 0x4000_0003)];

const NR: Field = word("nr", 0);
const ARCH: Field = Field {
    name: "arch",
    place: Place::Word(4),
    values: ARCHES,
};
const IP: Field = long("ip", 8);
const ARGS: [Field; 6] = [
    long("arg0", 16),
    long("arg1", 24),
    long("arg2", 32),
    long("arg3", 40),
    long("arg4", 48),
    long("arg5", 56),
];

const SYSCALL_ENTER: Schema = Schema {
    name: "syscall.enter",
    record_bytes: 64,
    strings: 0,
    fields: &[
        NR, ARCH, IP, ARGS[0], ARGS[1], ARGS[2], ARGS[3], ARGS[4], ARGS[5],
    ],
    actions: ActionSet::ALL,
    max_errno: crate::limits::MAX_ERRNO as u16,
    reachable: None,
};

const VFS_GETNAME: Schema = Schema {
    name: "vfs.getname",
    record_bytes: 80,
    strings: 1,
    fields: &[
        Field {
            name: "path",
            place: Place::String(0),
            values: &[],
        },
        Field {
            name: "origin",
            place: Place::Word(64),
            values: &[("user", 0), ("kernel", 1)],
        },
        Field {
            name: "flags",
            place: Place::Word(68),
            values: &[("empty", 1)],
        },
        word("path_len", 72),
        NR,
        ARCH,
        IP,
        ARGS[0],
        ARGS[1],
        ARGS[2],
        ARGS[3],
        ARGS[4],
        ARGS[5],
    ],
    actions: REFUSABLE,
    // The name is replaced by an error pointer, which path resolution hands on. Above the user-visible errnos lie those by which the kernel talks
    // to itself (restart this call, retry there); a filter must not speak that language. EHWPOISON is the last of the user-visible ones that
    // every kernel in reach has; EFTYPE (134) is new in 7.3.
    max_errno: 133,
    reachable: None,
};

/// What can be done about an event that is seen in the middle of a system call.
const REFUSABLE: ActionSet = ActionSet::of(&[
    Action::KillProcess,
    Action::Errno,
    Action::Log,
    Action::Allow,
]);

const fn named(name: &'static str, offset: u32, values: &'static [(&'static str, u32)]) -> Field {
    Field {
        name,
        place: Place::Word(offset),
        values,
    }
}

const fn string(name: &'static str, index: u8) -> Field {
    Field {
        name,
        place: Place::String(index),
        values: &[],
    }
}

const ACCESS: Field = named("access", offset::ACCESS, object::access::NAMES);
const KIND: Field = named("type", 72, object::KINDS);
const OBJECT_FLAGS: Field = named("flags", offset::FLAGS, object::flag::NAMES);
const DEV: Field = word("dev", 80);
const FS: Field = named("fs", 84, object::FILE_SYSTEMS);
const INO: Field = long("ino", 88);
const UID: Field = word("uid", 96);
const GID: Field = word("gid", 100);
const MODE: Field = word("mode", 104);
const NLINK: Field = word("nlink", 108);
const REACHABLE_FIELD: Field = named("reachable", offset::REACHABLE, &[("no", 0), ("yes", 1)]);

/// The fields of an event about an object: its own, then those that all of them have.
macro_rules! fields_of_object {
    ($($own:expr),* $(,)?) => {
        &[
            $($own,)*
            KIND,
            OBJECT_FLAGS,
            DEV,
            FS,
            INO,
            UID,
            GID,
            MODE,
            NLINK,
            REACHABLE_FIELD,
            NR,
            ARCH,
            IP,
            ARGS[0],
            ARGS[1],
            ARGS[2],
            ARGS[3],
            ARGS[4],
            ARGS[5],
        ]
    };
}

const VFS_PICK: Schema = Schema {
    name: "vfs.pick",
    record_bytes: 120,
    strings: 3,
    fields: fields_of_object![
        string("path", 0),
        string("other", 1),
        string("xattr", 2),
        named("action", offset::ACTION, object::action::NAMES),
        ACCESS,
        word("new_mode", 112),
    ],
    actions: REFUSABLE,
    // As for names: what is above is how parts of the kernel talk to each other.
    max_errno: 133,
    reachable: Some(offset::REACHABLE),
};

const VFS_WALK: Schema = Schema {
    name: "vfs.walk",
    record_bytes: 120,
    strings: 1,
    fields: fields_of_object![
        string("path", 0),
        named("step", offset::ACTION, object::step::NAMES),
    ],
    actions: REFUSABLE,
    max_errno: 133,
    reachable: Some(offset::REACHABLE),
};

const FD_RECEIVE: Schema = Schema {
    name: "fd.receive",
    record_bytes: 120,
    strings: 1,
    fields: fields_of_object![string("path", 0), ACCESS,],
    actions: REFUSABLE,
    max_errno: 133,
    reachable: Some(offset::REACHABLE),
};

/// All schemas, by event number.
const SCHEMAS: [&Schema; 5] = [
    &SYSCALL_ENTER,
    &VFS_GETNAME,
    &VFS_PICK,
    &VFS_WALK,
    &FD_RECEIVE,
];

const _: () = {
    let mut number = 0u32;
    let mut rest: &[&Schema] = &SCHEMAS;
    while let [schema, tail @ ..] = rest {
        assert!(schema.record_bytes >= 64 && schema.record_bytes % 4 == 0);
        // The verifier notes down in a u32 which words a program reads.
        assert!(schema.record_bytes / 4 <= 32);
        assert!(schema.strings as usize <= crate::record::MAX_STRINGS);
        assert!(Event::from_number(number).is_some());
        if let Some(offset) = schema.reachable {
            assert!(offset < schema.record_bytes && offset % 4 == 0);
        }
        number = number.wrapping_add(1);
        rest = tail;
    }
    assert!(Event::from_number(number).is_none());
};

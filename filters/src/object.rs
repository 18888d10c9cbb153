// SPDX-License-Identifier: GPL-2.0
//! Objects of file systems: the numbers in the records of `vfs.pick`, `vfs.walk` and `fd.receive` (`uapi::record::Object`), and their names.

macro_rules! numbered {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $constant:ident = $value:expr, $text:literal;)* }) => {
        $(#[$meta])*
        pub mod $name {
            $($(#[$doc])* pub const $constant: u32 = $value;)*

            /// Names and values.
            pub const NAMES: &[(&str, u32)] = &[$(($text, $constant)),*];
        }
    };
}

numbered! {
    /// What happens to an object that has been picked.
    action {
        /// It is opened, also by exec and for `O_PATH`.
        OPEN = 0, "open";
        /// A name has led to it, for whatever the system call does next.
        LOOKUP = 1, "lookup";
        /// A file is made, also the socket of an `AF_UNIX` address.
        CREATE = 2, "create";
        /// A directory is made.
        MKDIR = 3, "mkdir";
        /// A device or pipe is made.
        MKNOD = 4, "mknod";
        /// A symbolic link is made.
        SYMLINK = 5, "symlink";
        /// A hard link is made: once for each end.
        LINK = 6, "link";
        /// A name is taken away.
        UNLINK = 7, "unlink";
        /// A directory is taken away.
        RMDIR = 8, "rmdir";
        /// It is renamed, moved or exchanged: once for each end.
        RENAME = 9, "rename";
        /// Its length is set, also on opening.
        TRUNCATE = 10, "truncate";
        /// It is executed: the program itself, and the interpreters of scripts.
        EXEC = 11, "exec";
        /// It is mapped into memory as code.
        MAP = 12, "map";
        /// Its mode is set.
        CHMOD = 13, "chmod";
        /// Its owner or group is set.
        CHOWN = 14, "chown";
        /// Its times are set.
        UTIME = 15, "utime";
        /// Its attributes are read.
        STAT = 16, "stat";
        /// The target of a symbolic link is read.
        READLINK = 17, "readlink";
        /// It becomes the working directory.
        CHDIR = 18, "chdir";
        /// It becomes the root directory.
        CHROOT = 19, "chroot";
        /// An extended attribute is read.
        XATTR_GET = 20, "xattr-get";
        /// The names of its extended attributes are read.
        XATTR_LIST = 21, "xattr-list";
        /// An extended attribute is set.
        XATTR_SET = 22, "xattr-set";
        /// An extended attribute is taken away.
        XATTR_REMOVE = 23, "xattr-remove";
        /// An access control list is read.
        ACL_GET = 24, "acl-get";
        /// An access control list is set or taken away.
        ACL_SET = 25, "acl-set";
        /// Its flags for `lsattr` are read.
        ATTR_GET = 26, "attr-get";
        /// Its flags for `chattr` are set.
        ATTR_SET = 27, "attr-set";
        /// A socket is connected to it, or a message sent to it.
        CONNECT = 28, "connect";
        /// A watch is set on it (inotify, fanotify, dnotify).
        WATCH = 29, "watch";
        /// Something is mounted on it, or its mount is moved, changed or made anew.
        MOUNT = 30, "mount";
        /// What is mounted on it is taken away.
        UMOUNT = 31, "umount";
        /// It becomes the root of the mount namespace, or the place of the old one.
        PIVOT_ROOT = 32, "pivot-root";
        /// Its file system is asked for its state.
        STATFS = 33, "statfs";
        /// Quotas of its file system are asked for or set.
        QUOTA = 34, "quota";
        /// A command goes to its driver through io_uring.
        URING_CMD = 35, "uring-cmd";
    }
}

numbered! {
    /// A step on the way to an object.
    step {
        /// A name is looked up in a directory.
        SEARCH = 0, "search";
        /// A symbolic link is followed.
        LINK = 1, "link";
        /// A link of procfs or its kin is followed that leads to an object, not to a name; the record is about the object.
        MAGIC = 2, "magic";
    }
}

numbered! {
    /// How an object is opened.
    access {
        /// For reading. A directory: for listing it.
        READ = 1, "read";
        /// For writing.
        WRITE = 2, "write";
        /// For execution.
        EXEC = 4, "exec";
        /// As a mere place (`O_PATH`).
        PATH = 8, "path";
        /// For writing at the end only.
        APPEND = 16, "append";
    }
}

numbered! {
    /// What else there is to say of an object.
    flag {
        /// It lies in no file system that anybody could mount: a pipe, socket, memfd, namespace, or a layer inside an overlay.
        INTERNAL = 1, "internal";
        /// It does not exist yet.
        NEW = 2, "new";
        /// The end to which something is renamed or linked; the other end comes first.
        TARGET = 4, "target";
        /// Both ends of the rename are exchanged.
        EXCHANGE = 8, "exchange";
        /// It is opened by an exec that goes on: the interpreter of a script or program.
        INTERPRETER = 16, "interpreter";
        /// It is a file without a name (`O_TMPFILE`).
        TMPFILE = 32, "tmpfile";
    }
}

/// Where fields lie in the record of an object, in bytes from its beginning: `uapi::record::Object`.
pub mod offset {
    /// What is done to it, or the step.
    pub const ACTION: u32 = 64;
    /// How it is opened.
    pub const ACCESS: u32 = 68;
    /// What else there is to say of it.
    pub const FLAGS: u32 = 76;
    /// Whether it lies beneath the root of the layer.
    pub const REACHABLE: u32 = 116;
}

/// Types of objects: `S_IFMT` of the mode, shifted down by twelve.
pub const KINDS: &[(&str, u32)] = &[
    ("none", 0),
    ("fifo", 1),
    ("char", 2),
    ("directory", 4),
    ("block", 6),
    ("file", 8),
    ("symlink", 10),
    ("socket", 12),
];

/// File systems that policies speak of, by their magic number: `include/uapi/linux/magic.h`. Others are compared as numbers.
pub const FILE_SYSTEMS: &[(&str, u32)] = &[
    ("ext4", 0xef53),
    ("xfs", 0x5846_5342),
    ("btrfs", 0x9123_683e),
    ("tmpfs", 0x0102_1994),
    ("ramfs", 0x8584_58f6),
    ("proc", 0x9fa0),
    ("sysfs", 0x6265_6572),
    ("devpts", 0x1cd1),
    ("cgroup2", 0x6367_7270),
    ("overlay", 0x794c_7630),
    ("nfs", 0x6969),
    ("fuse", 0x6573_5546),
    ("squashfs", 0x7371_7368),
    ("iso9660", 0x9660),
    ("vfat", 0x4d44),
    ("debugfs", 0x6462_6720),
    ("tracefs", 0x7472_6163),
    ("securityfs", 0x7363_6673),
    ("bpf", 0xcafe_4a11),
    ("pipefs", 0x5049_5045),
    ("sockfs", 0x534f_434b),
    ("nsfs", 0x6e73_6673),
    ("anon_inode", 0x0904_1934),
];

// SPDX-License-Identifier: GPL-2.0
//! The events that executing a program is, as records to judge before they happen.

use std::ffi::c_long;
use std::mem::offset_of;

use filters::event::Event;
use filters::lang::event_line::OwnedRecord;
use filters::record::Record;
use uapi::record::{ORIGIN_KERNEL, ORIGIN_USER, SeccompData, VfsGetname};

/// An event of the near future.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    record: OwnedRecord,
    /// What happens, in a few words for messages.
    shown: String,
}

/// A system call of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) number: c_long,
    pub(crate) args: [u64; 6],
}

impl Call {
    /// The task enters the system call.
    pub(crate) fn entry(self) -> Moment {
        Moment {
            record: self.fill(OwnedRecord::new(Event::SyscallEnter)),
            shown: format!("the system call `{}`", self.name),
        }
    }

    /// On behalf of the system call the kernel takes over the name `path`.
    pub(crate) fn name(self, path: &[u8], from_kernel: bool) -> Moment {
        let mut record = self.fill(OwnedRecord::new(Event::VfsGetname));
        let origin = if from_kernel {
            ORIGIN_KERNEL
        } else {
            ORIGIN_USER
        };
        record.set_word(offset_of!(VfsGetname, origin), origin);
        record.set_string(0, path);
        Moment {
            record,
            shown: format!("the name {}", String::from_utf8_lossy(path)),
        }
    }

    /// Number and registers. The instruction pointer is not known; no sensible policy asks for it.
    fn fill(self, mut record: OwnedRecord) -> OwnedRecord {
        record.set_word(offset_of!(SeccompData, nr), self.number as u32);
        for (index, arg) in self.args.into_iter().enumerate() {
            record.set_long(offset_of!(SeccompData, args) + 8 * index, arg);
        }
        record
    }
}

impl Moment {
    /// What happens, in a few words.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// Lends the record to `look`.
    pub(crate) fn lend<R>(&self, look: impl FnOnce(&Record<'_>) -> R) -> Option<R> {
        self.record.lend(look)
    }
}

#[cfg(test)]
mod tests {
    use filters::lang::event_line;

    use super::*;

    const CALL: Call = Call {
        name: "execve",
        number: libc::SYS_execve,
        args: [0x7000_0000_1000, 2, 3, 0, 0, 0],
    };

    #[test]
    fn an_entry_is_the_record_of_the_call() {
        let written = event_line::parse("syscall.enter nr=59 arg0=0x700000001000 arg1=2 arg2=3");
        assert_eq!(written.ok(), Some(CALL.entry().record));
    }

    #[test]
    fn a_loader_s_name_comes_from_the_kernel() {
        let written = event_line::parse(
            "vfs.getname nr=59 arg0=0x700000001000 arg1=2 arg2=3 path=/lib64/ld.so origin=kernel",
        );
        assert_eq!(written.ok(), Some(CALL.name(b"/lib64/ld.so", true).record));
    }
}

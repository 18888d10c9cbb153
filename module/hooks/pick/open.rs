// SPDX-License-Identifier: GPL-2.0
//! Opening, executing and mapping.
#![allow(unsafe_code)]

use filters::event::Event;
use filters::object::{access, action};
use kernel::bindings;

use super::{answer, simple};
use crate::attach::{AttachPoint, Hook, Need};
use crate::ffi::{self, Answer, Arguments, File, Place, Trampoline};
use crate::object::Deed;

extern "C" {
    fn evf_tramp_vfs_open();
}

pub(in super::super) const AS_PATH: AttachPoint = AttachPoint {
    hooks: &[Hook::own(c"vfs_open")],
    trampoline: Trampoline(evf_tramp_vfs_open),
    needed_by: Need::events(&[Event::VfsPick]),
};

pub(super) const HOOKS: &[Hook] = &[
    Hook::shared(c"security_file_open", opened),
    Hook::shared(c"security_bprm_check", executed),
    Hook::shared(c"security_mmap_file", mapped),
    Hook::shared(c"security_file_mprotect", reprotected),
    Hook::shared(c"security_uring_cmd", commanded),
];

/// `include/uapi/asm-generic/mman-common.h`
const PROT_READ: u32 = 1;
const PROT_EXEC: u32 = 4;

/// int security_file_open(struct file *file)
fn opened(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    match unsafe { arguments.file(0) } {
        Some(file) if !file.backing => answer(file.place.map(|place| Deed {
            access: file.access,
            flags: file.flags,
            ..Deed::pick(action::OPEN, place)
        })),
        _ => Answer::CONTINUE,
    }
}

/// int vfs_open(const struct path *path, struct file *file), for `O_PATH`: descriptors for a mere place pass `security_file_open` by.
#[no_mangle]
extern "C" fn evf_on_vfs_open(path: *const bindings::path) -> Answer {
    // SAFETY: The argument of the hooked function. The file does not know its path yet.
    let path = unsafe { Place::of_path(path) };
    answer(path.map(|path| Deed {
        access: access::PATH,
        ..Deed::pick(action::OPEN, path)
    }))
}

/// int security_bprm_check(struct linux_binprm *bprm): for the program, and again for the interpreter of a script.
fn executed(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    let file = unsafe { arguments.file_of_bprm(0) };
    answer(file.and_then(|file| file.place).map(|place| Deed {
        access: access::EXEC,
        ..Deed::pick(action::EXEC, place)
    }))
}

/// int security_mmap_file(struct file *file, unsigned long prot, unsigned long flags)
fn mapped(arguments: &Arguments) -> Answer {
    let asked = arguments.number(1);
    // What `mmap_prot` in security/security.c makes of it, but for files on mounts without exec, where nothing becomes executable anyway.
    let implied = asked & PROT_READ != 0 && ffi::read_implies_exec();
    let protection = asked | if implied { PROT_EXEC } else { 0 };
    // SAFETY: As the function is declared; anonymous memory has no file.
    map(unsafe { arguments.file(0) }, protection)
}

/// int security_file_mprotect(struct vm_area_struct *vma, unsigned long reqprot, unsigned long prot): what was asked for, and what it comes to.
fn reprotected(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    map(unsafe { arguments.file_of_vma(0) }, arguments.number(2))
}

fn map(file: Option<File<'_>>, protection: u32) -> Answer {
    let Some(file) = file.filter(|_| protection & PROT_EXEC != 0) else {
        return Answer::CONTINUE;
    };
    answer(file.place.map(|place| Deed {
        access: access::EXEC,
        ..Deed::pick(action::MAP, place)
    }))
}

/// int security_uring_cmd(struct io_uring_cmd *ioucmd)
fn commanded(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    let file = unsafe { arguments.file_of_uring_cmd(0) };
    simple(action::URING_CMD, file.and_then(|file| file.place))
}

// SPDX-License-Identifier: GPL-2.0
//! Objects of file systems, as hooks are told of them.

use core::marker::PhantomData;
use core::ptr;

use kernel::bindings;
use kernel::prelude::*;

use super::Words;

/// Mounts of one file system that are looked at, at most.
const MAX_MOUNTS: usize = 16;

/// Word of the record where what `struct evf_attributes` describes begins.
const ATTRIBUTES: usize = core::mem::offset_of!(uapi::record::Object, kind) / 4;

/// The words that `struct evf_attributes` fills, and those of them that tell the owner.
const DESCRIBED: u32 = 0b11_1111_1111 << ATTRIBUTES;
const OWNER: u32 = 0b11 << (core::mem::offset_of!(uapi::record::Object, uid) / 4);

#[repr(C)]
#[derive(Clone, Copy)]
struct RawPlace {
    mnt: *mut bindings::vfsmount,
    dentry: *mut bindings::dentry,
}

/// `struct evf_file` of shim.h.
#[repr(C)]
struct RawFile {
    path: *const bindings::path,
    how: usize,
}

/// `EVF_FILE_FLAGS_SHIFT` and `EVF_FILE_BACKING` of shim.h.
const FILE_FLAGS_SHIFT: u32 = 8;
const FILE_BACKING: u32 = 1 << 16;

#[expect(
    improper_ctypes,
    reason = "pointers to the kernel's structs, which C and Rust take from the same headers"
)]
extern "C" {
    fn evf_describe(dentry: *const bindings::dentry, new_mode: u32, to: *mut c_void);
    fn evf_describe_owner(dentry: *const bindings::dentry, to: *mut c_void);
    fn evf_mount_is_internal(mnt: *mut bindings::vfsmount) -> bool;
    fn evf_mounts_of(
        dentry: *const bindings::dentry,
        mounts: *mut *mut bindings::vfsmount,
        max: u32,
        internal: *mut bool,
        layer: *mut bool,
    ) -> u32;
    fn evf_walk_searches(inode: *const c_void, place: *mut RawPlace) -> bool;
    fn evf_walk_follows(dentry: *const c_void, place: *mut RawPlace) -> bool;
    fn evf_name_of(inode: *mut c_void) -> *mut bindings::dentry;
    fn evf_file(file: *const c_void) -> RawFile;
    fn evf_bprm_file(bprm: *const c_void) -> *const c_void;
    fn evf_vma_file(vma: *const c_void) -> *const c_void;
    fn evf_uring_cmd_file(cmd: *const c_void) -> *const c_void;
    fn evf_root_of_dentry(dentry: *const bindings::dentry) -> *mut bindings::dentry;
    fn evf_sb_root(sb: *const c_void) -> *mut bindings::dentry;
    fn dput(dentry: *mut bindings::dentry);
    fn mntput(mnt: *mut bindings::vfsmount);
    fn path_put(path: *const bindings::path);
}

/// The argument registers of a shared function, the last first: see `EVF_GUARD` in trampoline.S.
#[repr(C)]
pub(crate) struct Arguments([usize; 6]);

impl Arguments {
    fn raw(&self, index: usize) -> usize {
        self.0[5 - index]
    }

    /// Argument `index` as a number.
    pub(crate) fn number(&self, index: usize) -> u32 {
        self.raw(index) as u32
    }

    /// Argument `index`, a pointer of the hooked function, as whatever it points to.
    pub(crate) fn pointer<T>(&self, index: usize) -> *mut T {
        self.raw(index) as *mut T
    }

    /// Argument `index`, a `const struct path *`.
    ///
    /// # Safety
    ///
    /// It must be one, and valid or null.
    pub(crate) unsafe fn path(&self, index: usize) -> Option<Place<'_>> {
        // SAFETY: Required of the caller.
        unsafe { Place::of_path(self.pointer(index)) }
    }

    /// Argument `index`, a `struct dentry *`, beside the `const struct path *` of a directory: the place of that name.
    ///
    /// # Safety
    ///
    /// They must be these, and valid or null.
    pub(crate) unsafe fn name(&self, directory: usize, index: usize) -> Option<Place<'_>> {
        // SAFETY: Required of the caller.
        let directory = unsafe { self.path(directory) }?;
        Place::new(directory.raw.mnt, self.pointer(index))
    }

    /// Argument `index`, a `struct dentry *` of which nobody says on which mount it lies.
    ///
    /// # Safety
    ///
    /// It must be one, and valid or null.
    pub(crate) unsafe fn dentry(&self, index: usize) -> Option<Place<'_>> {
        Place::new(ptr::null_mut(), self.pointer(index))
    }

    /// Argument `index`, a `struct file *`.
    ///
    /// # Safety
    ///
    /// It must be one, and valid or null.
    pub(crate) unsafe fn file(&self, index: usize) -> Option<File<'_>> {
        File::new(self.pointer(index))
    }

    /// The file of argument `index`, a `struct linux_binprm *`.
    ///
    /// # Safety
    ///
    /// It must be one, and valid.
    pub(crate) unsafe fn file_of_bprm(&self, index: usize) -> Option<File<'_>> {
        // SAFETY: Required of the caller.
        File::new(unsafe { evf_bprm_file(self.pointer(index)) })
    }

    /// The file of argument `index`, a `struct vm_area_struct *`.
    ///
    /// # Safety
    ///
    /// It must be one, and valid.
    pub(crate) unsafe fn file_of_vma(&self, index: usize) -> Option<File<'_>> {
        // SAFETY: Required of the caller.
        File::new(unsafe { evf_vma_file(self.pointer(index)) })
    }

    /// The file of argument `index`, a `struct io_uring_cmd *`.
    ///
    /// # Safety
    ///
    /// It must be one, and valid.
    pub(crate) unsafe fn file_of_uring_cmd(&self, index: usize) -> Option<File<'_>> {
        // SAFETY: Required of the caller.
        File::new(unsafe { evf_uring_cmd_file(self.pointer(index)) })
    }

    /// The root of the file system at argument `index`, a `const struct super_block *`.
    ///
    /// # Safety
    ///
    /// It must be one, and valid or null.
    pub(crate) unsafe fn root_of_sb(&self, index: usize) -> Option<Place<'_>> {
        let sb: *const c_void = self.pointer(index);
        if sb.is_null() {
            return None;
        }
        // SAFETY: Required of the caller.
        Place::new(ptr::null_mut(), unsafe { evf_sb_root(sb) })
    }

    /// The root of the mount at argument `index`, a `struct vfsmount *`.
    ///
    /// # Safety
    ///
    /// It must be one, and valid.
    pub(crate) unsafe fn root_of_mount(&self, index: usize) -> Option<Place<'_>> {
        let mount: *mut bindings::vfsmount = self.pointer(index);
        // SAFETY: Required of the caller.
        Place::new(mount, unsafe { (*mount).mnt_root })
    }

    /// Argument `index`, a `const char *` of the kernel's.
    ///
    /// # Safety
    ///
    /// It must be one, and valid or null.
    pub(crate) unsafe fn text(&self, index: usize) -> &[u8] {
        let text: *const c_char = self.pointer(index);
        if text.is_null() {
            return b"";
        }
        // SAFETY: Required of the caller.
        unsafe { core::ffi::CStr::from_char_ptr(text) }.to_bytes()
    }
}

/// Where an object lies: a name and, if the hook knows it, the mount it is seen on. Valid while the hook runs.
#[derive(Clone, Copy)]
pub(crate) struct Place<'h> {
    /// INVARIANT: the dentry is valid, and so is the mount if it is not null.
    raw: RawPlace,
    hook: PhantomData<&'h ()>,
}

impl<'h> Place<'h> {
    fn new(mnt: *mut bindings::vfsmount, dentry: *mut bindings::dentry) -> Option<Place<'h>> {
        // INVARIANT: Both are arguments of a hooked function, or lie in one.
        (!dentry.is_null()).then_some(Place {
            raw: RawPlace { mnt, dentry },
            hook: PhantomData,
        })
    }

    /// # Safety
    ///
    /// `path` must be null or valid as long as the value is used.
    pub(crate) unsafe fn of_path(path: *const bindings::path) -> Option<Place<'h>> {
        if path.is_null() {
            return None;
        }
        // SAFETY: Required of the caller.
        unsafe { Place::new((*path).mnt, (*path).dentry) }
    }

    /// The directory that the caller's walk looks through, if it is the one with this inode.
    ///
    /// # Safety
    ///
    /// `inode` must be an argument of the hooked function.
    pub(crate) unsafe fn searched(inode: *const c_void) -> Option<Place<'h>> {
        let mut raw = RawPlace {
            mnt: ptr::null_mut(),
            dentry: ptr::null_mut(),
        };
        // SAFETY: The walk is the caller's own, and holds what it stands at.
        let stands_there = unsafe { evf_walk_searches(inode, &mut raw) };
        stands_there
            .then(|| Place::new(raw.mnt, raw.dentry))
            .flatten()
    }

    /// The symbolic link that the caller's walk is going to follow, if it is this one.
    ///
    /// # Safety
    ///
    /// `dentry` must be an argument of the hooked function.
    pub(crate) unsafe fn followed(dentry: *const c_void) -> Option<Place<'h>> {
        let mut raw = RawPlace {
            mnt: ptr::null_mut(),
            dentry: ptr::null_mut(),
        };
        // SAFETY: As in `searched`.
        let stands_there = unsafe { evf_walk_follows(dentry, &mut raw) };
        stands_there
            .then(|| Place::new(raw.mnt, raw.dentry))
            .flatten()
    }

    /// The same name on another mount.
    pub(crate) fn on(self, mount: &Mount) -> Place<'h> {
        Place {
            // INVARIANT: The reference keeps the mount; callers keep it as long as they use the place.
            raw: RawPlace {
                mnt: mount.0,
                ..self.raw
            },
            ..self
        }
    }

    /// The root of its mount.
    pub(crate) fn root_of_mount(self) -> Place<'h> {
        let mnt = self.raw.mnt;
        if mnt.is_null() {
            return self;
        }
        // SAFETY: Invariant of the type; a mount holds its root.
        let dentry = unsafe { (*mnt).mnt_root };
        // INVARIANT: As above.
        Place {
            raw: RawPlace { mnt, dentry },
            ..self
        }
    }

    /// The root of its file system, on no mount in particular.
    pub(crate) fn root_of_file_system(self) -> Place<'h> {
        // SAFETY: Invariant of the type; a dentry keeps its file system, which keeps its root.
        let dentry = unsafe { evf_root_of_dentry(self.raw.dentry) };
        let mnt = ptr::null_mut();
        // INVARIANT: As above.
        Place {
            raw: RawPlace { mnt, dentry },
            ..self
        }
    }

    /// Whether it is known on which mount it lies.
    pub(crate) fn has_mount(&self) -> bool {
        !self.raw.mnt.is_null()
    }

    /// Whether the object lies on a mount of the kernel's own.
    pub(crate) fn is_internal(&self) -> bool {
        // SAFETY: Invariant of the type.
        self.has_mount() && unsafe { evf_mount_is_internal(self.raw.mnt) }
    }

    /// Writes into its record what the kernel knows of the object and programs read, which is in `read` bit by word. `new_mode` describes an object that does
    /// not exist yet.
    pub(crate) fn describe<const N: usize>(&self, new_mode: u32, read: u32, words: &mut Words<N>) {
        const { assert!(N * 4 == size_of::<uapi::record::Object>()) };
        let to: *mut c_void = words
            .0
            .get_mut(ATTRIBUTES..)
            .map_or(ptr::null_mut(), |words| words.as_mut_ptr().cast());
        if read & (DESCRIBED | OWNER) != 0 {
            // SAFETY: Invariant of the type; behind that word is room for the struct, aligned like it.
            unsafe { evf_describe(self.raw.dentry, new_mode, to) };
        }
        if read & OWNER != 0 {
            // SAFETY: As above.
            unsafe { evf_describe_owner(self.raw.dentry, to) };
        }
    }

    /// The mounts of the caller's namespace that show the object's file system.
    pub(crate) fn mounts(&self) -> Mounts {
        let mut mounts = Mounts {
            mounts: [const { None }; MAX_MOUNTS],
            internal: false,
            layer: false,
        };
        let mut found = [ptr::null_mut(); MAX_MOUNTS];
        // SAFETY: Invariant of the type; `found` has the room that we say.
        unsafe {
            evf_mounts_of(
                self.raw.dentry,
                found.as_mut_ptr(),
                MAX_MOUNTS as u32,
                &mut mounts.internal,
                &mut mounts.layer,
            )
        };
        for (place, mount) in mounts.mounts.iter_mut().zip(found) {
            *place = (!mount.is_null()).then_some(Mount(mount));
        }
        mounts
    }

    /// Its mount and its name.
    pub(super) fn parts(&self) -> (*mut bindings::vfsmount, *mut bindings::dentry) {
        (self.raw.mnt, self.raw.dentry)
    }
}

/// A mount, with a reference.
pub(crate) struct Mount(*mut bindings::vfsmount);

impl Drop for Mount {
    fn drop(&mut self) {
        // SAFETY: Made in `mounts` from a mount with a reference of its own; we may sleep where it is made.
        unsafe { mntput(self.0) };
    }
}

/// Mounts that show one file system.
pub(crate) struct Mounts {
    mounts: [Option<Mount>; MAX_MOUNTS],
    /// Whether the object is one of the kernel's own.
    pub(crate) internal: bool,
    /// Whether some stacked file system may have it as a layer.
    pub(crate) layer: bool,
}

impl Mounts {
    pub(crate) fn each(&self) -> impl Iterator<Item = &Mount> {
        self.mounts.iter().flatten()
    }
}

/// A name with a reference.
pub(crate) struct Name(*mut bindings::dentry);

impl Name {
    /// A name of the object with this inode, if it has any.
    ///
    /// # Safety
    ///
    /// `inode` must be an argument of the hooked function, which may sleep.
    pub(crate) unsafe fn of_inode(inode: *mut c_void) -> Option<Name> {
        // SAFETY: Required of the caller.
        let dentry = unsafe { evf_name_of(inode) };
        (!dentry.is_null()).then_some(Name(dentry))
    }

    /// Its place, on no mount in particular.
    pub(crate) fn place(&self) -> Option<Place<'_>> {
        Place::new(ptr::null_mut(), self.0)
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        // SAFETY: `evf_name_of` gave us a reference; we may sleep.
        unsafe { dput(self.0) };
    }
}

/// An open file, or one that is being opened.
#[derive(Clone, Copy)]
pub(crate) struct File<'h> {
    /// Where it lies.
    pub(crate) place: Option<Place<'h>>,
    /// How it is open: bits of `filters::object::access`.
    pub(crate) access: u32,
    /// Bits of `filters::object::flag`.
    pub(crate) flags: u32,
    /// Opened by a stacked file system below itself.
    pub(crate) backing: bool,
}

impl<'h> File<'h> {
    /// `file` is an argument of a hooked function, or lies in one.
    #[inline]
    fn new(file: *const c_void) -> Option<File<'h>> {
        if file.is_null() {
            return None;
        }
        // SAFETY: The file is valid while the hook runs.
        let raw = unsafe { evf_file(file) };
        let how = raw.how as u32;
        Some(File {
            // SAFETY: The path lies in the file.
            place: unsafe { Place::of_path(raw.path) },
            access: how & 0xff,
            flags: how >> FILE_FLAGS_SHIFT & 0xff,
            backing: how & FILE_BACKING != 0,
        })
    }
}

/// Gives back the references of a path, and leaves an empty one.
///
/// # Safety
///
/// `path` must hold them, and be ours to write.
pub(crate) unsafe fn take_path(path: *mut bindings::path) {
    let empty = bindings::path {
        mnt: ptr::null_mut(),
        dentry: ptr::null_mut(),
    };
    // SAFETY: Required of the caller.
    unsafe { path_put(&path.replace(empty)) };
}

/// Gives back the references of a path that its owner does not look at again.
///
/// # Safety
///
/// `path` must hold them, and nobody use it afterwards.
pub(crate) unsafe fn put_path(path: *const bindings::path) {
    // SAFETY: Required of the caller.
    unsafe { path_put(path) };
}

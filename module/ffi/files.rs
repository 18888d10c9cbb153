// SPDX-License-Identifier: GPL-2.0
//! Descriptors and the device node.

use core::ffi::CStr;
use core::ptr;

use kernel::bindings;
use kernel::error::to_result;
use kernel::prelude::*;
use kernel::sync::{Arc, ArcBorrow};

use super::this_module;
use crate::filter::Filter;

extern "C" {
    fn anon_inode_getfd(
        name: *const c_char,
        fops: *const c_void,
        private: *mut c_void,
        flags: i32,
    ) -> i32;
}

/// `file_operations` that may be shared.
#[repr(transparent)]
struct Fops(bindings::file_operations);

// SAFETY: Never written after it was made.
unsafe impl Sync for Fops {}

static CONTROL_FOPS: Fops = Fops(bindings::file_operations {
    owner: this_module(),
    unlocked_ioctl: Some(control_ioctl),
    compat_ioctl: Some(control_ioctl),
    ..pin_init::zeroed()
});

static FILTER_FOPS: Fops = Fops(bindings::file_operations {
    owner: this_module(),
    release: Some(filter_release),
    ..pin_init::zeroed()
});

/// All pointers in our arguments are 64-bit numbers in a struct, so a 32-bit caller needs no translation; the address of that struct
/// itself arrives as a zero-extended number.
///
/// # Safety
///
/// Called by the kernel on a descriptor with `CONTROL_FOPS`.
unsafe extern "C" fn control_ioctl(
    _file: *mut bindings::file,
    cmd: c_uint,
    arg: c_ulong,
) -> c_long {
    kernel::error::from_result(|| crate::control::ioctl(cmd, arg).map(|value| value as c_long))
}

/// # Safety
///
/// Called by the kernel, once, when a file with `FILTER_FOPS` goes.
unsafe extern "C" fn filter_release(
    _inode: *mut bindings::inode,
    file: *mut bindings::file,
) -> c_int {
    // SAFETY: Filter: `private_data` is the reference that the descriptor owned.
    drop(unsafe { Arc::from_raw((*file).private_data.cast::<Filter>()) });
    0
}

/// A new control descriptor of the caller.
pub(crate) fn control_fd() -> Result<i32> {
    new_fd(c"[evfilter]", &CONTROL_FOPS, ptr::null_mut())
}

/// A new descriptor of the caller for `filter`.
pub(crate) fn filter_fd(filter: Arc<Filter>) -> Result<i32> {
    let filter = filter.into_raw();
    let fd = new_fd(c"[evfilter-filter]", &FILTER_FOPS, filter.cast_mut().cast());
    if fd.is_err() {
        // SAFETY: No file took the reference.
        drop(unsafe { Arc::from_raw(filter) });
    }
    fd
}

fn new_fd(name: &'static CStr, fops: &'static Fops, private: *mut c_void) -> Result<i32> {
    let flags = bindings::O_RDWR | bindings::O_CLOEXEC;
    // SAFETY: Name and operations are static.
    let fd = unsafe {
        anon_inode_getfd(
            name.as_char_ptr(),
            ptr::from_ref(&fops.0).cast(),
            private,
            flags as i32,
        )
    };
    to_result(fd.min(0)).map(|()| fd)
}

/// The filter behind a descriptor of the caller.
///
/// # Errors
///
/// `EBADF` if it is no descriptor, `EBADFD` if it is none of a filter.
pub(crate) fn filter_of_fd(fd: i32) -> Result<Arc<Filter>> {
    let file = u32::try_from(fd)
        .ok()
        .and_then(|fd| kernel::fs::file::LocalFile::fget(fd).ok())
        .ok_or(EBADF)?;
    // SAFETY: The file is valid while `file` holds it. One with our operations was made by `filter_fd`; the reference that it owns lasts as
    // long as the file, and the new one is taken from it.
    unsafe {
        let raw = file.as_ptr();
        if !ptr::eq((*raw).f_op, &FILTER_FOPS.0) {
            return Err(Error::from_errno(-(bindings::EBADFD as i32)));
        }
        Ok(ArcBorrow::from_raw((*raw).private_data.cast::<Filter>().cast_const()).into())
    }
}

/// The device node. It must not move: the kernel links it into a list.
#[pin_data(PinnedDrop)]
pub(crate) struct Device {
    #[pin]
    misc: kernel::types::Opaque<bindings::miscdevice>,
}

// SAFETY: Registered once, taken away once.
unsafe impl Send for Device {}
// SAFETY: Nothing can be done with a shared one.
unsafe impl Sync for Device {}

impl Device {
    /// Registers `/dev/evfilter`, which everyone may open: the descriptor gives no rights over anybody but the caller.
    pub(crate) fn register() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            misc <- kernel::types::Opaque::try_ffi_init(|slot: *mut bindings::miscdevice| {
                let mut misc: bindings::miscdevice = pin_init::zeroed();
                misc.minor = bindings::MISC_DYNAMIC_MINOR as c_int;
                misc.name = c"evfilter".as_char_ptr();
                misc.fops = &CONTROL_FOPS.0;
                misc.mode = 0o666;
                // SAFETY: `slot` is valid for a write and will not move.
                unsafe {
                    slot.write(misc);
                    to_result(bindings::misc_register(slot))
                }
            }),
        }? Error)
    }
}

#[pinned_drop]
impl PinnedDrop for Device {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: Registered by `register`.
        unsafe { bindings::misc_deregister(self.misc.get()) };
    }
}

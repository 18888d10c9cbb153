// SPDX-License-Identifier: GPL-2.0
//! The C interface, declared in `client/include/evfilter.h`: the same steps as in Rust, with descriptors and `errno`.
//!
//! Every function returns -1 on failure, sets `errno` and leaves a message for `evfilter_error`. None lets a panic out.

#![expect(
    unsafe_code,
    reason = "C gives addresses and wants unmangled names; this file turns the first into slices"
)]

use std::cell::{Cell, RefCell};
use std::error::Error as _;
use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_uint, c_void};
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use uapi::control::{Info, RESTRICT_AT_EXEC, RESTRICT_TSYNC};

use crate::{Control, Error, Policy, Reach, strict, sys};

thread_local! {
    /// What went wrong last on this thread; `None` if nothing has.
    static LAST_ERROR: RefCell<Option<CString>> = const { RefCell::new(None) };
    /// The thread that it is about, or 0.
    static LAST_THREAD: Cell<c_int> = const { Cell::new(0) };
}

/// A failed call: what C code gets to see.
struct Failure {
    errno: c_int,
    message: String,
    /// The thread that it is about, or 0.
    thread: c_int,
}

impl Failure {
    fn new(errno: c_int, message: &str) -> Failure {
        Failure {
            errno,
            message: message.to_owned(),
            thread: 0,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let mut message = error.to_string();
        if let Error::Language { diagnostics } = &error {
            message.push_str(&format!(":\n{}", diagnostics.render(false)));
        } else {
            let mut cause = error.source();
            while let Some(source) = cause {
                message.push_str(&format!(": {source}"));
                cause = source.source();
            }
        }
        if let Some(help) = error.help() {
            message.push_str(&format!(" ({help})"));
        }
        Failure {
            errno: error.errno().unwrap_or(libc::EINVAL),
            message,
            thread: match error {
                Error::ThreadInTheWay { thread } => c_int::try_from(thread).unwrap_or(0),
                _ => 0,
            },
        }
    }
}

/// Runs `body` and turns what it returns into the C convention.
fn answer(body: impl FnOnce() -> Result<c_int, Failure>) -> c_int {
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(answer)) => return answer,
        Ok(Err(failure)) => failure,
        Err(_) => Failure::new(libc::EIO, "internal error of the evfilter library"),
    };
    // A NUL cannot be in the middle of a C string; file names and kernel messages have none.
    let message = CString::new(failure.message.replace('\0', "\\0")).ok();
    let _gone = LAST_THREAD.try_with(|last| last.set(failure.thread));
    // A thread that is being torn down has no place for the message left; it still gets the errno.
    let _gone = LAST_ERROR.try_with(|last| {
        if let Ok(mut last) = last.try_borrow_mut() {
            *last = message;
        }
    });
    // SAFETY: the address of the calling thread's errno is always valid.
    unsafe { *libc::__errno_location() = failure.errno };
    -1
}

/// The string at `text`.
///
/// # Safety
///
/// `text` is null or points to a NUL-terminated string that outlives `'a`.
unsafe fn string<'a>(text: *const c_char, what: &str) -> Result<&'a CStr, Failure> {
    if text.is_null() {
        return Err(Failure::new(
            libc::EFAULT,
            &format!("{what} is a null pointer"),
        ));
    }
    // SAFETY: not null, and otherwise as this function's caller promises.
    Ok(unsafe { CStr::from_ptr(text) })
}

fn descriptor(fd: impl Into<OwnedFd>) -> c_int {
    fd.into().into_raw_fd()
}

fn borrowed<'a>(fd: c_int, what: &str) -> Result<BorrowedFd<'a>, Failure> {
    if fd < 0 {
        return Err(Failure::new(
            libc::EBADF,
            &format!("{what} is no descriptor"),
        ));
    }
    // SAFETY: not -1. That it stays open during the call is the C caller's part; should it not, the kernel answers EBADF.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// # Safety
///
/// As [`string`].
unsafe fn policy_file(path: *const c_char) -> Result<Policy, Failure> {
    // SAFETY: handed on.
    let path = unsafe { string(path, "the path") }?;
    Ok(Policy::from_file(Path::new(OsStr::from_bytes(
        path.to_bytes(),
    )))?)
}

/// See `evfilter_error` in the header.
#[unsafe(no_mangle)]
extern "C" fn evfilter_error() -> *const c_char {
    let message = LAST_ERROR.try_with(|last| match last.try_borrow() {
        Ok(last) => last.as_ref().map_or(c"".as_ptr(), |text| text.as_ptr()),
        Err(_) => c"".as_ptr(),
    });
    message.unwrap_or(c"".as_ptr())
}

/// See `evfilter_error_thread` in the header.
#[unsafe(no_mangle)]
extern "C" fn evfilter_error_thread() -> c_int {
    LAST_THREAD.try_with(Cell::get).unwrap_or(0)
}

/// See `evfilter_open` in the header.
#[unsafe(no_mangle)]
extern "C" fn evfilter_open() -> c_int {
    answer(|| Ok(descriptor(Control::open()?)))
}

/// See `evfilter_get_info` in the header.
///
/// # Safety
///
/// `info` is null or points to a writable `struct evfilter_info`.
#[unsafe(no_mangle)]
unsafe extern "C" fn evfilter_get_info(info: *mut Info) -> c_int {
    answer(|| {
        if info.is_null() {
            return Err(Failure::new(libc::EFAULT, "info is a null pointer"));
        }
        let control = Control::open()?;
        let answer = sys::info(control.as_fd())
            .map_err(|source| Error::kernel(crate::Step::Info, source))?;
        // SAFETY: not null, and otherwise as the caller promises.
        unsafe { info.write_unaligned(answer) };
        Ok(0)
    })
}

/// See `evfilter_compile_file` in the header.
///
/// # Safety
///
/// `path` as in [`string`]; `image` and `size` are null or writable.
#[unsafe(no_mangle)]
unsafe extern "C" fn evfilter_compile_file(
    path: *const c_char,
    image: *mut *mut c_void,
    size: *mut usize,
) -> c_int {
    answer(|| {
        // SAFETY: handed on.
        let policy = unsafe { policy_file(path) }?;
        if image.is_null() || size.is_null() {
            return Err(Failure::new(
                libc::EFAULT,
                "image or size is a null pointer",
            ));
        }
        let bytes = policy.image();
        // SAFETY: malloc may be called with any size; an image is never empty.
        let copy = unsafe { libc::malloc(bytes.len()) };
        if copy.is_null() {
            return Err(Failure::new(libc::ENOMEM, "no memory for the image"));
        }
        // SAFETY: `copy` has just been allocated with that many bytes and overlaps nothing; the out pointers are not null and writable.
        unsafe {
            copy.cast::<u8>()
                .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            image.write_unaligned(copy);
            size.write_unaligned(bytes.len());
        }
        Ok(0)
    })
}

/// See `evfilter_load_file` in the header.
///
/// # Safety
///
/// `path` as in [`string`].
#[unsafe(no_mangle)]
unsafe extern "C" fn evfilter_load_file(path: *const c_char) -> c_int {
    answer(|| {
        // SAFETY: handed on.
        let policy = unsafe { policy_file(path) }?;
        Ok(descriptor(policy.load()?))
    })
}

/// See `evfilter_load_text` in the header.
///
/// # Safety
///
/// `text` as in [`string`].
#[unsafe(no_mangle)]
unsafe extern "C" fn evfilter_load_text(text: *const c_char) -> c_int {
    answer(|| {
        // SAFETY: handed on.
        let text = unsafe { string(text, "the text") }?;
        let text = text
            .to_str()
            .map_err(|_| Failure::new(libc::EILSEQ, "the text is not UTF-8"))?;
        Ok(descriptor(Policy::parse(text)?.load()?))
    })
}

/// See `evfilter_load_image` in the header.
///
/// # Safety
///
/// `image` is null or points to `size` readable bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn evfilter_load_image(image: *const c_void, size: usize) -> c_int {
    answer(|| {
        if image.is_null() {
            return Err(Failure::new(libc::EFAULT, "the image is a null pointer"));
        }
        if size > isize::MAX as usize {
            return Err(Failure::new(libc::EMSGSIZE, "the image is too large"));
        }
        // SAFETY: not null, of a possible size, and otherwise as the caller promises.
        let bytes = unsafe { std::slice::from_raw_parts(image.cast::<u8>(), size) };
        Ok(descriptor(Policy::from_image(bytes)?.load()?))
    })
}

/// See `evfilter_load_bpf` in the header.
///
/// # Safety
///
/// `program` is null or points to a `struct sock_fprog` whose array has as many instructions as it says.
#[unsafe(no_mangle)]
unsafe extern "C" fn evfilter_load_bpf(program: *const libc::sock_fprog) -> c_int {
    answer(|| {
        if program.is_null() {
            return Err(Failure::new(libc::EFAULT, "the program is a null pointer"));
        }
        // SAFETY: not null, and otherwise as the caller promises.
        let program = unsafe { program.read_unaligned() };
        let code = program.filter.cast::<u8>().cast_const();
        if code.is_null() {
            return Err(Failure::new(
                libc::EFAULT,
                "the program's code is a null pointer",
            ));
        }
        let bytes = usize::from(program.len) * size_of::<libc::sock_filter>();
        // SAFETY: not null, at most 512 KiB, and otherwise as the caller promises.
        let code = unsafe { std::slice::from_raw_parts(code, bytes) };
        Ok(descriptor(Policy::from_bpf(code)?.load()?))
    })
}

/// See `evfilter_set_no_new_privs` in the header.
#[unsafe(no_mangle)]
extern "C" fn evfilter_set_no_new_privs() -> c_int {
    answer(|| {
        crate::set_no_new_privs()?;
        Ok(0)
    })
}

/// See `evfilter_restrict_self` in the header.
#[unsafe(no_mangle)]
extern "C" fn evfilter_restrict_self(filter: c_int) -> c_int {
    restrict(filter, Reach::Thread)
}

/// See `evfilter_restrict_process` in the header.
#[unsafe(no_mangle)]
extern "C" fn evfilter_restrict_process(filter: c_int) -> c_int {
    restrict(filter, Reach::Process)
}

/// See `evfilter_restrict_at_exec` in the header.
#[unsafe(no_mangle)]
extern "C" fn evfilter_restrict_at_exec(filter: c_int) -> c_int {
    restrict(filter, Reach::NextExec)
}

fn restrict(filter: c_int, reach: Reach) -> c_int {
    answer(|| {
        let filter = borrowed(filter, "the filter")?;
        Control::open()?.restrict(filter, reach)?;
        Ok(0)
    })
}

/// See `evfilter_restrict_strict` in the header.
#[unsafe(no_mangle)]
extern "C" fn evfilter_restrict_strict(flags: c_uint) -> c_int {
    answer(|| {
        match flags {
            0 => strict::restrict_self()?,
            RESTRICT_TSYNC => strict::restrict_process()?,
            RESTRICT_AT_EXEC => strict::restrict_at_exec()?,
            _ => {
                return Err(Failure::new(
                    libc::EINVAL,
                    &format!("{flags:#x} are no flags of evfilter_restrict_strict"),
                ));
            }
        }
        Ok(0)
    })
}

/// See `evfilter_sandbox` in the header.
///
/// # Safety
///
/// `path` as in [`string`].
#[unsafe(no_mangle)]
unsafe extern "C" fn evfilter_sandbox(path: *const c_char) -> c_int {
    answer(|| {
        // SAFETY: handed on.
        let filter = unsafe { policy_file(path) }?.load()?;
        crate::set_no_new_privs()?;
        filter.restrict_self()?;
        Ok(0)
    })
}

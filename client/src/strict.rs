// SPDX-License-Identifier: GPL-2.0
//! Strict mode: nothing but computing, and reading and writing what is already open.
//!
//! The filter is built into the module, so that there is no policy to bring along or to get wrong. It allows `read`, `write`, `exit`, `exit_group` and
//! the return from a signal handler, on the native and on the 32-bit entry, and kills the process for everything else. It is a layer like any other: it
//! stacks with others, children would inherit it if it let anybody have any, and nothing takes it away.
//!
//! Whoever goes strict must have done everything else before: memory allocated, files opened, output buffers flushed. What ordinary programs do without being
//! asked is over as well: growing the heap, closing a file, waiting for a lock, and all that a runtime does on the way out of `main`. End with
//! `_exit` (`libc::_exit`, which makes one `exit_group` call), and try it out.
//!
//! ```no_run
//! use std::io::{Read, Write};
//!
//! let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
//! let mut job = vec![0; 4096]; // memory comes before
//! evfilter::set_no_new_privs()?;
//! evfilter::strict::restrict_self()?;
//!
//! let length = input.read(&mut job)?; // from here on there is nothing else
//! job[..length].reverse();
//! output.write_all(&job[..length])?;
//! output.flush()?;
//! unsafe { libc::_exit(0) }
//! # ; Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::mem::ManuallyDrop;

use crate::control::Control;
use crate::error::Error;
use crate::policy::Policy;
use crate::reach::Reach;

/// Makes the calling thread strict.
///
/// Other threads of the process are left as they are. One descriptor, of the module, stays open until the process ends: closing it would be a call.
///
/// # Errors
///
/// Those of [`crate::Filter::restrict_self`]. Nothing has changed then.
pub fn restrict_self() -> Result<(), Error> {
    restrict(Reach::Thread)
}

/// Makes all threads of the process strict, or none.
///
/// # Errors
///
/// Those of [`crate::Filter::restrict_process`]. No thread has changed then.
pub fn restrict_process() -> Result<(), Error> {
    restrict(Reach::Process)
}

/// Makes the program strict that the caller executes next, from its first instruction.
///
/// Such a program needs no dynamic loader and no start-up code that makes calls: it is static, with its own `_start`. `client/examples/worker.c` is one.
///
/// # Errors
///
/// Those of [`crate::Filter::restrict_at_exec`].
pub fn restrict_at_exec() -> Result<(), Error> {
    restrict(Reach::NextExec)
}

/// The built-in filter as a policy, to ask what it decides. Nothing is asked of the kernel.
///
/// # Errors
///
/// None in practice: the image is a constant, and is verified like any other.
pub fn policy() -> Result<Policy, Error> {
    Policy::from_image(filters::strict::image())
}

fn restrict(reach: Reach) -> Result<(), Error> {
    let control = Control::open()?;
    control.restrict_strictly(reach)?;
    // Dropping it would close it. Before the exec that makes it strict the caller is free to, and it is close-on-exec.
    if reach != Reach::NextExec {
        let _kept_open = ManuallyDrop::new(control);
    }
    Ok(())
}

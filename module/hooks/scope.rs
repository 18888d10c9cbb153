// SPDX-License-Identifier: GPL-2.0
//! Scopes: signals and abstract UNIX sockets only towards tasks that are at least as confined.
#![allow(unsafe_code)]

use filters::scope::Scopes;
use kernel::prelude::*;

use crate::attach::{AttachPoint, Hook, Need};
use crate::ffi::{self, Answer, Arguments, Task, Trampoline};
use crate::task;

extern "C" {
    fn evf_tramp_sk_free();
}

pub(super) const SIGNALS: &[Hook] = &[
    Hook::shared(c"security_task_kill", signalled),
    Hook::shared(c"__f_setown", owner_named),
];

pub(super) const ABSTRACT: &[Hook] = &[
    Hook::shared(c"security_socket_bind", bound),
    Hook::shared(c"security_unix_stream_connect", connected),
    Hook::shared(c"security_unix_may_send", sent),
];

/// Before a socket is noted down it must be certain that it is struck out again.
pub(super) const SOCK_FREE: AttachPoint = AttachPoint {
    hooks: &[Hook::own(c"security_sk_free")],
    trampoline: Trampoline(evf_tramp_sk_free),
    needed_by: Need::scopes(Scopes::ABSTRACT),
};

fn refuse_unless(allowed: bool) -> Answer {
    if allowed {
        Answer::CONTINUE
    } else {
        Answer::refuse(EPERM.to_errno() as isize)
    }
}

/// int security_task_kill(struct task_struct *p, struct kernel_siginfo *info, int sig, const struct cred *cred). With credentials it is not the caller who sends.
fn signalled(arguments: &Arguments) -> Answer {
    let credentials: *const c_void = arguments.pointer(3);
    if !credentials.is_null() {
        return Answer::CONTINUE;
    }
    // SAFETY: As the function is declared.
    let target = unsafe { Task::from_raw(arguments.pointer(0)) };
    refuse_unless(target.is_some_and(task::may_signal))
}

/// void __f_setown(struct file *filp, struct pid *pid, enum pid_type type, int force): whom a descriptor signals when something happens. It reports nothing:
/// the descriptor keeps the owner it had.
fn owner_named(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    let all =
        unsafe { ffi::all_of_pid(arguments.pointer(1), arguments.number(2), task::may_signal) };
    refuse_unless(all)
}

/// int security_socket_bind(struct socket *sock, struct sockaddr *address, int addrlen): notes down under which domain a UNIX socket is bound.
fn bound(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    match unsafe { ffi::unix_sock(arguments.pointer(0)) } {
        // One that has its address already does not get another: whoever bound it stands there, or nobody.
        Some(sock) if !sock.is_bound() => match task::note_sock(sock) {
            Ok(()) => Answer::CONTINUE,
            Err(error) => Answer::refuse(error.to_errno() as isize),
        },
        _ => Answer::CONTINUE,
    }
}

/// int security_unix_stream_connect(struct sock *sock, struct sock *other, struct sock *newsk)
fn connected(arguments: &Arguments) -> Answer {
    // SAFETY: As the function is declared.
    let other = unsafe { ffi::Sock::from_raw(arguments.pointer(1)) };
    refuse_unless(other.is_none_or(task::may_reach_sock))
}

/// int security_unix_may_send(struct socket *sock, struct socket *other)
fn sent(arguments: &Arguments) -> Answer {
    let sock = arguments.pointer(0);
    // SAFETY: As the function is declared.
    let Some(other) = (unsafe { ffi::unix_sock(arguments.pointer(1)) }) else {
        return Answer::CONTINUE;
    };
    // SAFETY: As above.
    let chosen_before = unsafe { other.is_peer_of(sock) };
    refuse_unless(chosen_before || task::may_reach_sock(other))
}

/// void security_sk_free(struct sock *sk), for every socket, in any context but NMI.
#[no_mangle]
extern "C" fn evf_on_sk_free(sock: *mut c_void) -> Answer {
    // SAFETY: The argument of the hooked function.
    if let Some(sock) = unsafe { ffi::Sock::from_raw(sock) } {
        ffi::forget_sock(sock);
    }
    Answer::CONTINUE
}

// SPDX-License-Identifier: GPL-2.0
//! Scopes: under a layer that has one, signals and abstract UNIX sockets reach only tasks that are at least as confined.

use std::os::fd::OwnedFd;

use evfilter::Policy;
use libc::{EPERM, SIGKILL, SIGUSR1};

use crate::harness::{Test, tests};
use crate::kernel::{attach, load, restrict};
use crate::sys::child::{Child, End, nap, run, start};
use crate::sys::message::Address;
use crate::sys::{Ret, getpid, no_new_privs, own, sys};

pub(super) fn tests() -> Vec<Test> {
    tests!("scope";
        law_7_unprivileged_signals_only_to_the_confined, signals_to_oneself_and_to_children, signals_to_who_has_the_layers, signal_by_every_call, signal_to_all,
        owner_of_a_descriptor_is_scoped, owner_is_no_thread_of_a_freer_process, datagrams_to_whom_was_connected_before, without_a_scope_signals_go_out, inner_scope_asks_for_outer_layers, law_7_unprivileged_abstract_sockets, socket_belongs_to_whom_its_bind_succeeded_for, sockets_with_a_path_are_not_scoped,
        scopes_are_inherited_over_exec,
    )
}

#[track_caller]
fn image(scope: &str) -> Vec<u8> {
    let text = format!("scope {scope}");
    let policy = Policy::parse(&text).unwrap_or_else(|error| panic!("{error}"));
    policy.image().to_vec()
}

/// A process that waits to be killed.
fn sleeper() -> Child {
    let child = start(|board| {
        board.put(0);
        nap(30_000);
    });
    child.until(1);
    child
}

fn kill(pid: i32, signal: i32) -> Ret {
    sys!(libc::SYS_kill, pid, signal)
}

const NO: i64 = -(EPERM as i64);

fn law_7_unprivileged_signals_only_to_the_confined() {
    let image = image("signal");
    let freer = sleeper();
    let values = run(|board| {
        attach(&image);
        board.ret(kill(freer.pid, 0));
        board.ret(kill(freer.pid, SIGKILL));
        board.ret(kill(1, 0));
    })
    .well();
    assert_eq!(values, [NO, NO, NO]);
    assert_eq!(freer.kill().end, End::Signal(SIGKILL, false));
}

fn signals_to_oneself_and_to_children() {
    let image = image("signal");
    let values = run(|board| {
        attach(&image);
        board.ret(kill(getpid(), 0));
        let thread = std::thread::spawn(|| kill(getpid(), 0));
        board.ret(thread.join().expect("thread"));
        let child = sleeper();
        board.ret(kill(child.pid, 0));
        board.put(i64::from(child.kill().end == End::Signal(SIGKILL, false)));
    })
    .well();
    assert_eq!(values, [0, 0, 0, 1]);
}

/// Not descent counts but layers: another process that has pushed the same filter is as confined.
fn signals_to_who_has_the_layers() {
    let filter = load(&image("signal"));
    let other = start(|board| {
        no_new_privs();
        restrict(&filter);
        board.put(0);
        nap(30_000);
    });
    other.until(1);
    let values = run(|board| {
        no_new_privs();
        restrict(&filter);
        board.ret(kill(other.pid, 0));
        board.ret(kill(1, 0));
    })
    .well();
    assert_eq!(values, [0, NO]);
    other.kill();
}

fn signal_by_every_call() {
    let image = image("signal");
    let freer = sleeper();
    let pid = freer.pid;
    let values = run(|board| {
        let pidfd = sys!(libc::SYS_pidfd_open, pid, 0).expect("pidfd_open");
        attach(&image);
        board.ret(sys!(libc::SYS_tkill, pid, SIGUSR1));
        board.ret(sys!(libc::SYS_tgkill, pid, pid, SIGUSR1));
        board.ret(sys!(libc::SYS_pidfd_send_signal, pidfd, SIGUSR1, 0, 0));
        board.ret(sys!(libc::SYS_rt_sigqueueinfo, pid, SIGUSR1, &queued()[..]));
        board.ret(sys!(
            libc::SYS_rt_tgsigqueueinfo,
            pid,
            pid,
            SIGUSR1,
            &queued()[..]
        ));
    })
    .well();
    assert_eq!(values, [NO; 5]);
    assert_eq!(freer.kill().end, End::Signal(SIGKILL, false));
}

/// A `siginfo_t` that one process may send to another: `si_code` is SI_QUEUE.
fn queued() -> [i32; 32] {
    let mut info = [0; 32];
    info[2] = libc::SI_QUEUE;
    info
}

/// `kill(-1)` reaches whom it may.
fn signal_to_all() {
    let image = image("signal");
    let freer = sleeper();
    let values = run(|board| {
        attach(&image);
        let child = sleeper();
        board.ret(kill(-1, SIGKILL));
        board.put(i64::from(child.wait().end == End::Signal(SIGKILL, false)));
    })
    .well();
    assert_eq!(values, [0, 1]);
    assert_eq!(kill(freer.pid, 0), Ok(0), "a freer process was hit");
    freer.kill();
}

/// A descriptor signals its owner when something happens: a freer process cannot be made one.
fn owner_of_a_descriptor_is_scoped() {
    let image = image("signal");
    let freer = sleeper();
    let pid = freer.pid;
    let values = run(|board| {
        attach(&image);
        let mut ends = [0i32; 2];
        assert_eq!(sys!(libc::SYS_pipe2, ends.as_mut_ptr(), 0), Ok(0));
        let owner = || sys!(libc::SYS_fcntl, ends[0], libc::F_GETOWN, 0);
        let set = |owner: i32| sys!(libc::SYS_fcntl, ends[0], libc::F_SETOWN, owner);
        board.put(i64::from(set(getpid()).is_ok()));
        board.put(i64::from(owner() == Ok(getpid() as u64)));
        let _ = set(pid);
        board.put(i64::from(owner() == Ok(getpid() as u64)));
        let group = sys!(libc::SYS_getpgid, pid).expect("getpgid") as i32;
        let _ = set(-group);
        board.put(i64::from(owner() == Ok(getpid() as u64)));
    })
    .well();
    assert_eq!(values, [1, 1, 1, 1]);
    freer.kill();
}

/// The id of a thread that leads no process names its process as well as that of the leader does.
fn owner_is_no_thread_of_a_freer_process() {
    let image = image("signal");
    let freer = || {
        let child = start(|board| {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    board.ret(sys!(libc::SYS_gettid));
                    nap(30_000);
                });
            });
        });
        let thread = child.until(1)[0] as i32;
        assert_ne!(thread, child.pid);
        (child, thread)
    };
    /// Makes `owner` be told by a deadly signal that there is something to read.
    fn signal_owner(owner: i32) {
        let mut ends = [0i32; 2];
        assert_eq!(sys!(libc::SYS_pipe2, ends.as_mut_ptr(), 0), Ok(0));
        let _ = sys!(libc::SYS_fcntl, ends[0], libc::F_SETOWN, owner);
        let set = sys!(libc::SYS_fcntl, ends[0], F_SETSIG, SIGUSR1);
        assert_eq!(set, Ok(0), "F_SETSIG");
        let set = sys!(libc::SYS_fcntl, ends[0], libc::F_SETFL, libc::O_ASYNC);
        assert_eq!(set, Ok(0), "O_ASYNC");
        assert_eq!(sys!(libc::SYS_write, ends[1], b"x".as_ptr(), 1), Ok(1));
    }
    let (child, thread) = freer();
    run(|_| signal_owner(thread)).well();
    assert_eq!(
        child.wait().end,
        End::Signal(SIGUSR1, false),
        "without a layer"
    );
    let (child, thread) = freer();
    run(|_| {
        attach(&image);
        signal_owner(thread);
    })
    .well();
    assert_eq!(child.kill().end, End::Signal(SIGKILL, false));
}

/// `include/uapi/asm-generic/fcntl.h`
const F_SETSIG: i32 = 10;

/// Whom a socket was connected to before the layer, it may go on writing to.
fn datagrams_to_whom_was_connected_before() {
    let image = image("abstract");
    let freer = socket(libc::SOCK_DGRAM);
    assert_eq!(bind(&freer, b"\0evf-peer"), Ok(0));
    let other = socket(libc::SOCK_DGRAM);
    assert_eq!(bind(&other, b"\0evf-no-peer"), Ok(0));
    let values = run(|board| {
        let socket = socket(libc::SOCK_DGRAM);
        assert_eq!(connect(&socket, b"\0evf-peer"), Ok(0));
        attach(&image);
        board.ret(sys!(libc::SYS_write, &socket, b"x".as_ptr(), 1));
        board.ret(connect(&socket, b"\0evf-no-peer"));
    })
    .well();
    assert_eq!(values, [1, NO]);
}

fn without_a_scope_signals_go_out() {
    let freer = sleeper();
    let values = run(|board| {
        attach(&image("abstract"));
        board.ret(kill(freer.pid, 0));
    })
    .well();
    assert_eq!(values, [0]);
    freer.kill();
}

/// Who is under the scoped layer alone, but not under what was there before it, is freer.
fn inner_scope_asks_for_outer_layers() {
    let outer = load(&crate::program::allow_all());
    let inner = load(&image("signal"));
    let other = start(|board| {
        no_new_privs();
        restrict(&inner);
        board.put(0);
        nap(30_000);
    });
    other.until(1);
    let signalled = |layers: &[&OwnedFd]| {
        run(|board| {
            no_new_privs();
            for layer in layers {
                restrict(layer);
            }
            board.ret(kill(other.pid, 0));
        })
        .well()
    };
    assert_eq!(signalled(&[&outer, &inner]), [NO]);
    // A layer that comes later does not matter.
    assert_eq!(signalled(&[&inner, &outer]), [0]);
    other.kill();
}

/// A UNIX socket of this type.
fn socket(kind: i32) -> OwnedFd {
    own(sys!(libc::SYS_socket, libc::AF_UNIX, kind, 0)).expect("socket")
}

fn bind(socket: &OwnedFd, address: &[u8]) -> Ret {
    let address = Address::new(address);
    sys!(libc::SYS_bind, socket, address.parts().0, 2 + PATH)
}

fn connect(socket: &OwnedFd, address: &[u8]) -> Ret {
    let address = Address::new(address);
    sys!(libc::SYS_connect, socket, address.parts().0, 2 + PATH)
}

/// Bytes of an address that are told to the kernel.
const PATH: usize = 24;

fn law_7_unprivileged_abstract_sockets() {
    let image = image("abstract");
    for kind in [libc::SOCK_STREAM, libc::SOCK_SEQPACKET, libc::SOCK_DGRAM] {
        let freer = socket(kind);
        assert_eq!(bind(&freer, b"\0evf-freer"), Ok(0));
        if kind != libc::SOCK_DGRAM {
            assert_eq!(sys!(libc::SYS_listen, &freer, 4), Ok(0));
        }
        let values = run(|board| {
            let before = socket(kind);
            assert_eq!(bind(&before, b"\0evf-before"), Ok(0));
            attach(&image);
            board.ret(connect(&socket(kind), b"\0evf-freer"));
            if kind == libc::SOCK_DGRAM {
                let address = Address::new(b"\0evf-freer");
                let at = address.parts().0;
                board.ret(sys!(
                    libc::SYS_sendto,
                    &socket(kind),
                    b"x".as_ptr(),
                    1,
                    0,
                    at,
                    2 + PATH
                ));
            } else {
                assert_eq!(sys!(libc::SYS_listen, &before, 4), Ok(0));
                board.ret(connect(&socket(kind), b"\0evf-before"));
            }
            // One that was bound under the layer.
            let own = socket(kind);
            board.ret(bind(&own, b"\0evf-own"));
            if kind != libc::SOCK_DGRAM {
                assert_eq!(sys!(libc::SYS_listen, &own, 4), Ok(0));
            }
            board.ret(connect(&socket(kind), b"\0evf-own"));
        })
        .well();
        assert_eq!(values, [NO, NO, 0, 0], "type {kind}");
        assert_eq!(connect(&socket(kind), b"\0evf-freer"), Ok(0), "outside");
    }
}

/// An attempt to bind that fails leaves its layer on no socket: whoever binds it then is whom it belongs to.
fn socket_belongs_to_whom_its_bind_succeeded_for() {
    let image = image("abstract");
    let taken = socket(libc::SOCK_STREAM);
    assert_eq!(bind(&taken, b"\0evf-taken"), Ok(0));
    let values = run(|board| {
        attach(&image);
        let server = socket(libc::SOCK_STREAM);
        board.ret(bind(&server, b"\0evf-taken"));
        attach(&image);
        board.ret(connect(&socket(libc::SOCK_STREAM), b"\0evf-bound-later"));
        board.ret(bind(&server, b"\0evf-bound-later"));
        assert_eq!(sys!(libc::SYS_listen, &server, 4), Ok(0));
        board.ret(connect(&socket(libc::SOCK_STREAM), b"\0evf-bound-later"));
        // Who tries once more does not take it over.
        attach(&image);
        board.ret(bind(&server, b"\0evf-bound-again"));
        board.ret(connect(&socket(libc::SOCK_STREAM), b"\0evf-bound-later"));
    })
    .well();
    let errno = |number: i32| -i64::from(number);
    let expected = [
        errno(libc::EADDRINUSE),
        errno(libc::ECONNREFUSED),
        0,
        0,
        errno(libc::EINVAL),
        NO,
    ];
    assert_eq!(values, expected);
}

fn sockets_with_a_path_are_not_scoped() {
    let path = b"/tmp/evf-scope";
    let _ = std::fs::remove_file("/tmp/evf-scope");
    let server = socket(libc::SOCK_STREAM);
    assert_eq!(bind(&server, path), Ok(0));
    assert_eq!(sys!(libc::SYS_listen, &server, 4), Ok(0));
    let image = image("abstract");
    let values = run(|board| {
        attach(&image);
        board.ret(connect(&socket(libc::SOCK_STREAM), path));
        let mut pair = [0i32; 2];
        let kind = libc::SOCK_STREAM;
        board.ret(sys!(
            libc::SYS_socketpair,
            libc::AF_UNIX,
            kind,
            0,
            pair.as_mut_ptr()
        ));
        board.ret(sys!(libc::SYS_write, pair[0], b"x".as_ptr(), 1));
    })
    .well();
    assert_eq!(values, [0, 0, 1]);
}

fn scopes_are_inherited_over_exec() {
    let freer = sleeper();
    let image = image("signal");
    let script = format!("kill -0 {}", freer.pid);
    let seen = run(|board| {
        attach(&image);
        let shell = std::process::Command::new("/bin/sh")
            .args(["-c", &script])
            .stderr(std::process::Stdio::null())
            .status();
        board.put(i64::from(shell.is_ok_and(|status| !status.success())));
    });
    assert_eq!(seen.well(), [1]);
    freer.kill();
}

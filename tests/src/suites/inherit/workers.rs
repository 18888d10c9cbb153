// SPDX-License-Identifier: GPL-2.0
//! The kernel's threads that work for a process: io_uring's workers and SQPOLL threads, made before and after the attach.

use std::ffi::CStr;
use std::sync::mpsc::channel;

use io_uring::opcode;
use io_uring::squeue::Entry;
use io_uring::types::Fd;
use libc::{AF_UNIX, AT_FDCWD, ENOENT, SOCK_STREAM};

use crate::harness::{Test, tests};
use crate::kernel::attach;
use crate::program::{ALLOW, Names, ODD, deny_name, errno, on_nr, syscalls};
use crate::ring::Ring;
use crate::sys::child::{End, run};
use crate::sys::message::Address;
use crate::sys::{Ret, own, sys, try_open};

const NAME: &CStr = c"/evf-absent/evf-worker";

pub(super) fn tests() -> Vec<Test> {
    tests!("inherit";
        law_3_inherited_whole_sqpoll_made_before, law_3_inherited_whole_sqpoll_made_after, law_3_inherited_whole_worker_made_before,
        law_3_inherited_whole_worker_made_after, law_3_inherited_whole_sqpoll_of_another_thread, law_3_inherited_whole_worker_of_another_thread,
        law_3_inherited_whole_many_rings, law_3_inherited_whole_sqpoll_under_later_layers, law_3_inherited_whole_worker_under_later_layers,
        sqpoll_keeps_the_layers_that_it_had, sqpoll_of_another_process_is_not_touched, ring_taken_over_fork_is_judged_as_the_child,
        kill_in_a_sqpoll_thread_kills_the_process, kill_in_a_worker_kills_the_process, ring_calls_are_no_system_calls, sqpoll_made_while_attaching,
        workers_made_while_attaching, law_3_inherited_whole_ring_of_a_confined_thread,
    )
}

fn open_entry(name: &CStr) -> Entry {
    opcode::OpenAt::new(Fd(AT_FDCWD), name.as_ptr()).build()
}

fn open(ring: &mut Ring) -> Ret {
    ring.call(open_entry(NAME))
}

/// An open that a worker carries out, and a bind, whose address the worker itself takes up.
fn bind_in_worker(ring: &mut Ring) -> Ret {
    let socket = own(sys!(libc::SYS_socket, AF_UNIX, SOCK_STREAM, 0)).expect("socket");
    let address = Address::new(NAME.to_bytes());
    let (at, len) = address.parts();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&socket);
    ring.call_in_worker(opcode::Bind::new(Fd(fd), at as *const _, len as u32).build())
}

fn confine() {
    attach(&deny_name(NAME.to_bytes()));
}

fn law_3_inherited_whole_sqpoll_made_before() {
    let mut ring = Ring::sqpoll();
    assert_eq!(open(&mut ring), Err(ENOENT));
    confine();
    for _ in 0..50 {
        assert_eq!(open(&mut ring), Err(ODD));
    }
}

fn law_3_inherited_whole_sqpoll_made_after() {
    confine();
    assert_eq!(open(&mut Ring::sqpoll()), Err(ODD));
}

fn law_3_inherited_whole_worker_made_before() {
    let mut ring = Ring::new();
    assert_eq!(bind_in_worker(&mut ring), Err(ENOENT));
    confine();
    for _ in 0..50 {
        assert_eq!(bind_in_worker(&mut ring), Err(ODD));
    }
}

fn law_3_inherited_whole_worker_made_after() {
    let mut ring = Ring::new();
    confine();
    assert_eq!(bind_in_worker(&mut ring), Err(ODD));
    assert_eq!(bind_in_worker(&mut Ring::new()), Err(ODD));
}

/// The ring was made by one thread, the layer is put on another one of the same process, which can reach the ring's memory.
fn of_another_thread(mut ring: Ring, deed: fn(&mut Ring) -> Ret) {
    assert_eq!(deed(&mut ring), Err(ENOENT));
    let thread = std::thread::spawn(move || {
        confine();
        deed(&mut ring)
    });
    assert_eq!(thread.join().ok(), Some(Err(ODD)));
}

fn law_3_inherited_whole_sqpoll_of_another_thread() {
    of_another_thread(Ring::sqpoll(), open);
}

fn law_3_inherited_whole_worker_of_another_thread() {
    of_another_thread(Ring::new(), bind_in_worker);
}

fn law_3_inherited_whole_many_rings() {
    let mut polled: Vec<Ring> = (0..8).map(|_| Ring::sqpoll()).collect();
    let mut plain: Vec<Ring> = (0..8).map(|_| Ring::new()).collect();
    plain.iter_mut().for_each(Ring::wake_worker);
    confine();
    for ring in &mut polled {
        assert_eq!(open(ring), Err(ODD));
    }
    for ring in &mut plain {
        assert_eq!(bind_in_worker(ring), Err(ODD));
    }
}

/// Each later layer reaches the threads that were there before it.
fn under_later_layers(ring: &mut Ring, deed: impl Fn(&mut Ring) -> Ret) {
    for number in [60, 61, 62, 63] {
        attach(
            &Names::new()
                .equal(NAME.to_bytes(), errno(number))
                .or_allow(),
        );
        assert_eq!(deed(ring), Err(number));
    }
}

fn law_3_inherited_whole_sqpoll_under_later_layers() {
    let mut ring = Ring::sqpoll();
    under_later_layers(&mut ring, open);
}

fn law_3_inherited_whole_worker_under_later_layers() {
    let mut ring = Ring::new();
    ring.wake_worker();
    under_later_layers(&mut ring, bind_in_worker);
}

/// A thread made under layer A is narrowed by B when another thread, which is not under A, attaches B: it then has both.
fn sqpoll_keeps_the_layers_that_it_had() {
    let (send, receive) = channel::<Ring>();
    let maker = std::thread::spawn(move || {
        attach(&deny_name(b"/evf-absent/a"));
        let _ = send.send(Ring::sqpoll());
    });
    let mut ring = receive.recv().expect("a ring");
    let _ = maker.join();
    attach(&deny_name(b"/evf-absent/b"));
    assert_eq!(ring.call(open_entry(c"/evf-absent/a")), Err(ODD));
    assert_eq!(ring.call(open_entry(c"/evf-absent/b")), Err(ODD));
    assert_eq!(try_open(c"/evf-absent/a"), Err(ENOENT));
    assert_eq!(try_open(c"/evf-absent/b"), Err(ODD));
}

fn sqpoll_of_another_process_is_not_touched() {
    let mut ring = Ring::sqpoll();
    run(|_| confine()).well();
    assert_eq!(open(&mut ring), Err(ENOENT));
}

/// Who enters the kernel is judged, not who made the ring.
fn ring_taken_over_fork_is_judged_as_the_child() {
    let mut ring = Ring::new();
    assert_eq!(open(&mut ring), Err(ENOENT));
    let seen = run(|board| {
        confine();
        board.ret(open(&mut ring));
    });
    assert_eq!(seen.well(), [-76]);
}

fn killed(deed: impl FnOnce() -> Ret) {
    let seen = run(|board| board.ret(deed()));
    assert!(
        matches!(seen.end, End::Signal(libc::SIGKILL | libc::SIGSYS, _)),
        "{seen:?}"
    );
}

fn kill_name() -> Vec<u8> {
    Names::new()
        .equal(NAME.to_bytes(), crate::program::KILL)
        .or_allow()
}

/// Such a thread cannot take a signal of its own; its process does not survive it.
fn kill_in_a_sqpoll_thread_kills_the_process() {
    killed(|| {
        let mut ring = Ring::sqpoll();
        attach(&kill_name());
        let result = open(&mut ring);
        crate::sys::child::nap(5000);
        result
    });
}

fn kill_in_a_worker_kills_the_process() {
    killed(|| {
        let mut ring = Ring::new();
        attach(&kill_name());
        let result = bind_in_worker(&mut ring);
        crate::sys::child::nap(5000);
        result
    });
}

/// A stated limit: requests of a ring are not system calls; `syscall.enter` sees io_uring_enter and nothing of what it carries.
fn ring_calls_are_no_system_calls() {
    let mut ring = Ring::new();
    attach(&syscalls(on_nr(libc::SYS_openat, errno(ODD))));
    assert_eq!(try_open(NAME), Err(ODD));
    assert_eq!(open(&mut ring), Err(ENOENT));
    attach(&syscalls(on_nr(libc::SYS_io_uring_setup, errno(ODD))));
    assert_eq!(
        sys!(libc::SYS_io_uring_setup, 8, [0u64; 15].as_ptr()),
        Err(ODD)
    );
}

/// Rings are made in one thread while another one attaches: afterwards no ring is free of the layer.
fn while_attaching(make: fn() -> Ring, deed: fn(&mut Ring) -> Ret) {
    crate::sys::no_new_privs();
    for round in 0..30u64 {
        let seen = run(|board| {
            let gate = std::sync::Barrier::new(2);
            let mut rings = std::thread::scope(|scope| {
                let maker = scope.spawn(|| {
                    gate.wait();
                    (0..6).map(|_| make()).collect::<Vec<Ring>>()
                });
                let filter = crate::kernel::load(&deny_name(NAME.to_bytes()));
                gate.wait();
                // Another moment in each round.
                for _ in 0..round * 200 {
                    std::hint::spin_loop();
                }
                crate::kernel::restrict(&filter);
                maker.join().expect("rings")
            });
            // Rings that were finished before the attach must be covered; those made later belong to the maker, which is free.
            crate::kernel::restrict(&crate::kernel::load(&deny_name(NAME.to_bytes())));
            for ring in &mut rings {
                board.ret(deed(ring));
            }
        });
        assert_eq!(seen.well(), [-76; 6], "round {round}");
    }
}

fn sqpoll_made_while_attaching() {
    while_attaching(Ring::sqpoll, open);
}

fn workers_made_while_attaching() {
    while_attaching(
        || {
            let mut ring = Ring::new();
            ring.wake_worker();
            ring
        },
        bind_in_worker,
    );
}

/// A ring made by a confined thread and used by a free one: its SQPOLL thread stays as confined as its maker.
fn law_3_inherited_whole_ring_of_a_confined_thread() {
    let maker = std::thread::spawn(|| {
        attach(
            &Names::new()
                .equal(NAME.to_bytes(), errno(ODD))
                .prefix(b"/", ALLOW)
                .or_allow(),
        );
        Ring::sqpoll()
    });
    let mut ring = maker.join().expect("a ring");
    assert_eq!(open(&mut ring), Err(ODD));
    assert_eq!(try_open(NAME), Err(ENOENT));
}

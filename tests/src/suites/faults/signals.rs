// SPDX-License-Identifier: GPL-2.0
//! Signals at every moment of IOC_LOAD and IOC_RESTRICT_SELF.
//!
//! Nothing there can be interrupted by a signal that is handled: copies from user memory go on behind a page fault, the lock of the process is waited for until
//! a signal kills (`mutex_lock_killable` in `module/shim.c`), and the lock of what is hooked, and memory, are waited for in any case. So a handler, with
//! SA_RESTART or without, runs when the call is over, and the call has its whole effect: there is no `EINTR` that anybody sees. A signal that kills ends
//! the wait for the process's lock, and with the process ends whatever had been made ready.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use evfilter::Policy;
use libc::{EPERM, SA_RESTART, SIGALRM, SIGKILL, SIGUSR1};
use uapi::control::{IOC_LOAD, IOC_RESTRICT_SELF, Load, RESTRICT_TSYNC, RestrictSelf};

use crate::executable::exec;
use crate::harness::{Test, note, skip, tests};
use crate::kernel::{attach, control, ioctl, layers, load, restrict, restrict_with};
use crate::program::{ODD, deny_name};
use crate::slow;
use crate::suites::lifecycle::{and_loaded_again, rmmod, unload};
use crate::suites::races::stretch;
use crate::sys::child::{Board, Child, End, nap, run, start};
use crate::sys::gate::Gate;
use crate::sys::memory::Shared;
use crate::sys::signal::{count, counted, interrupted};
use crate::sys::{Ret, no_new_privs, own, sys, try_open};

pub(super) fn tests() -> Vec<Test> {
    tests!("faults";
        signals_while_loading_neither_cut_nor_lose, signals_while_restricting_neither_cut_nor_lose, signals_while_restricting_all_threads_neither_cut_nor_lose,
        signals_while_the_image_is_copied_wait_for_its_end, signals_while_waiting_for_the_lock_wait_for_the_effect,
        killed_at_any_moment_of_loading_and_restricting_leaves_nothing, killed_while_waiting_for_the_lock_leaves_nothing,
        killed_while_the_image_is_copied_leaves_nothing,
    )
    .into_iter()
    .map(|test| test.limit(180))
    .collect()
}

/// A name that [`one_name`] refuses.
const NAME: &std::ffi::CStr = c"/evf-absent/evf-signals";
/// With SA_RESTART and without.
const FLAGS: [i32; 2] = [SA_RESTART, 0];

/// A policy that takes its time: an automaton of some hundred rules, which is verified, run for each answer, and multiplied with others. Policies with
/// different letters are different ones.
fn image(letter: char) -> Vec<u8> {
    let mut text = String::from("on vfs.getname { deny ENOTUNIQ path matches ");
    for at in 0..200 {
        text += &format!(
            "\"/evf-absent/signals/{at}/secret-*\", \"/evf-absent/{letter}{at}/**/{letter}\", "
        );
    }
    text += "\"/evf-absent/signals/last\"; default allow }";
    let policy = Policy::parse(&text).unwrap_or_else(|error| panic!("{error}"));
    policy.image().to_vec()
}

/// Whether the caller is under the policy of this letter.
fn is_judged(letter: char) -> bool {
    let name = format!("/evf-absent/{letter}17/x/{letter}");
    let name = std::ffi::CString::new(name).expect("a name");
    try_open(&name) == Err(ODD)
}

/// A small policy.
fn one_name() -> Vec<u8> {
    deny_name(NAME.to_bytes())
}

/// Whether the caller is under [`one_name`].
fn refuses_one_name() -> bool {
    try_open(NAME) == Err(ODD)
}

/// Sends SIGALRM to the calling process after so long.
fn alarm(after: Duration) {
    let micros = after.as_micros().max(1) as i64;
    let timer = [0, 0, micros / 1_000_000, micros % 1_000_000];
    let set = sys!(libc::SYS_setitimer, libc::ITIMER_REAL, timer.as_ptr(), 0);
    assert_eq!(set, Ok(0), "setitimer");
}

/// How long a call takes at least, of a few.
fn duration(mut deed: impl FnMut() -> Duration) -> Duration {
    (0..4).map(|_| deed()).min().unwrap_or_default()
}

/// Does `deed` with an alarm after so long. Returns whether the alarm came inside the call of that number.
#[track_caller]
fn with_alarm(request: u32, after: Duration, deed: impl FnOnce()) -> bool {
    let before = counted();
    interrupted();
    alarm(after + Duration::from_micros(1));
    deed();
    // The handler of one that came inside has run by now.
    let inside = interrupted() == request as usize;
    let deadline = Instant::now() + slow::limit(Duration::from_secs(5));
    while counted() == before {
        assert!(Instant::now() < deadline, "a signal was lost");
    }
    assert_eq!(counted(), before + 1, "one alarm, one handler");
    inside
}

/// One in four must have been inside, or nothing was tried.
#[track_caller]
fn one_in_four_inside(inside: u32, sent: u32) {
    note(&format!(
        "{inside} of {sent} signals came inside of the call"
    ));
    assert!(inside * 4 > sent, "{inside} of {sent}");
}

fn open_files() -> usize {
    let files = std::fs::read_dir("/proc/self/fd");
    files.expect("/proc/self/fd").count()
}

/// How many moments are tried.
fn steps(stock: u32) -> u32 {
    (stock / slow::factor()).max(8)
}

/// Each call returns a filter that decides as it should; no descriptor is left by one that nobody was told of.
fn signals_while_loading_neither_cut_nor_lose() {
    let image = image('a');
    let steps = steps(150);
    let mut inside = 0;
    for flags in FLAGS {
        let seen = run(|board| {
            no_new_privs();
            count(SIGALRM, flags);
            let before = open_files();
            let took = duration(|| {
                let begun = Instant::now();
                drop(load(&image));
                begun.elapsed()
            });
            let mut last = None;
            let came = (0..steps).filter(|step| {
                with_alarm(IOC_LOAD, took * *step / steps, || last = Some(load(&image)))
            });
            board.put(came.count() as i64);
            assert_eq!(open_files(), before + 1, "descriptors");
            restrict(&last.expect("a filter"));
            assert_eq!((layers(), is_judged('a')), (1, true));
        });
        inside += seen.well()[0] as u32;
    }
    one_in_four_inside(inside, 2 * steps);
}

/// Other threads of a process that is restricted as a whole.
const THREADS: usize = 4;

/// Pushes a third layer, which is multiplied with two others, as `flags` say, and with an alarm after so long, if one is wanted. How long that took, and whether
/// the alarm came inside.
fn third_layer(
    images: &[Vec<u8>; 3],
    flags: u32,
    handled: i32,
    after: Option<Duration>,
) -> [i64; 2] {
    let seen = run(|board| {
        no_new_privs();
        count(SIGALRM, handled);
        let filters = images.each_ref().map(|image| load(image));
        filters[..2].iter().for_each(restrict);
        let gate = Barrier::new(THREADS + 1);
        let state = || (layers(), ['a', 'b', 'c'].map(is_judged));
        std::thread::scope(|scope| {
            let threads = [(); THREADS].map(|()| {
                scope.spawn(|| {
                    crate::sys::signal::block(SIGALRM);
                    gate.wait();
                    gate.wait();
                    state()
                })
            });
            gate.wait();
            let begun = Instant::now();
            let push = || {
                let told = restrict_with(flags, filters[2].as_raw_fd());
                assert_eq!(told, (Ok(0), 0), "RESTRICT_SELF");
            };
            let inside = match after {
                Some(after) => with_alarm(IOC_RESTRICT_SELF, after, push),
                None => {
                    push();
                    false
                }
            };
            board.put(begun.elapsed().as_micros() as i64);
            board.put(i64::from(inside));
            gate.wait();
            let third = (3, [true; 3]);
            let others = match flags {
                RESTRICT_TSYNC => third,
                _ => (2, [true, true, false]),
            };
            assert_eq!(state(), third);
            for thread in threads {
                assert_eq!(thread.join().ok(), Some(others));
            }
        });
    });
    let values = seen.well();
    [values[0], values[1]]
}

fn third_layer_at_each_moment(flags: u32) {
    let images = ['a', 'b', 'c'].map(image);
    let steps = steps(40);
    let took = duration(|| {
        let [micros, _] = third_layer(&images, flags, 0, None);
        Duration::from_micros(micros as u64)
    });
    let mut inside = 0;
    for handled in FLAGS {
        for step in 0..steps {
            let after = took * step / steps;
            let [_, came] = third_layer(&images, flags, handled, Some(after));
            inside += came as u32;
        }
    }
    one_in_four_inside(inside, 2 * steps);
}

fn signals_while_restricting_neither_cut_nor_lose() {
    third_layer_at_each_moment(0);
}

/// All threads have the layer when the call returns, whenever the signal came.
fn signals_while_restricting_all_threads_neither_cut_nor_lose() {
    third_layer_at_each_moment(RESTRICT_TSYNC);
}

/// What a thread does that sleeps in a copy from memory of which a page is missing.
#[derive(Clone, Copy, Debug)]
enum Copied {
    /// IOC_LOAD, asleep in the image.
    Image,
    /// IOC_LOAD, asleep in its argument.
    Load,
    /// IOC_RESTRICT_SELF, asleep in its argument.
    Restriction,
}

const COPIES: [Copied; 3] = [Copied::Image, Copied::Load, Copied::Restriction];

/// The bytes of a struct of the interface, its words in order.
fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// Makes the call, `meanwhile` it sleeps; the result of the call, or of restricting by what it has loaded.
fn asleep(copied: Copied, meanwhile: impl FnOnce(i32)) -> Ret {
    let image = one_name();
    let control = control();
    let filter = load(&image);
    let stretch = stretch();
    let load = |address: u64| {
        let (low, high) = (address as u32, (address >> 32) as u32);
        let size = size_of::<Load>() as u32;
        bytes(&[size, 0, low, high, image.len() as u32, 0, 0, 0])
    };
    let (in_pages, request) = match copied {
        Copied::Image => (image.clone(), IOC_LOAD),
        Copied::Load => (load(image.as_ptr() as u64), IOC_LOAD),
        Copied::Restriction => {
            let size = size_of::<RestrictSelf>() as u32;
            (
                bytes(&[size, 0, filter.as_raw_fd() as u32, 0]),
                IOC_RESTRICT_SELF,
            )
        }
    };
    let (head, tail) = in_pages.split_at(8);
    let address = stretch.head(head);
    let of_image = load(address);
    let id = &std::sync::atomic::AtomicI32::new(0);
    std::thread::scope(|scope| {
        let caller = scope.spawn(|| {
            id.store(
                sys!(libc::SYS_gettid).expect("gettid") as i32,
                Ordering::SeqCst,
            );
            let done = match copied {
                Copied::Image => ioctl(control.as_fd(), request, of_image.as_ptr()),
                _ => ioctl(control.as_fd(), request, address as *const u8),
            };
            let told = match copied {
                Copied::Restriction => done,
                _ => own(done).map(|filter| {
                    assert_eq!(layers(), 0);
                    restrict(&filter);
                    0
                }),
            };
            assert_eq!((layers(), refuses_one_name()), (1, true));
            told
        });
        stretch.wait();
        meanwhile(id.load(Ordering::SeqCst));
        stretch.answer(tail);
        caller.join().expect("a thread")
    })
}

fn signals_while_the_image_is_copied_wait_for_its_end() {
    for copied in COPIES {
        for flags in FLAGS {
            let seen = run(|board| {
                no_new_privs();
                count(SIGUSR1, flags);
                let told = asleep(copied, |thread| {
                    let process = crate::sys::getpid();
                    for _ in 0..3 {
                        let sent = sys!(libc::SYS_tgkill, process, thread, SIGUSR1);
                        assert_eq!(sent, Ok(0), "tgkill");
                        nap(5);
                    }
                    assert_eq!(counted(), 0, "the handler runs in the middle of the call");
                    assert!(rmmod().is_err(), "unloaded in the middle of a call");
                });
                board.ret(told);
                board.put(counted() as i64);
            });
            assert_eq!(seen.well(), [0, 1], "{copied:?}, {flags}");
        }
    }
}

fn killed_while_the_image_is_copied_leaves_nothing() {
    for copied in COPIES {
        let child = start(|board| {
            no_new_privs();
            let told = asleep(copied, |_| {
                board.put(1);
                nap(600_000);
            });
            board.ret(told);
        });
        assert_eq!(child.until(1), [1]);
        dies_soon(child);
    }
    and_loaded_again(unload);
}

/// Nobody waits for who is killed, and he for nobody.
#[track_caller]
fn dies_soon(child: Child) {
    let begun = Instant::now();
    let seen = child.kill();
    assert_eq!(seen.end, End::Signal(SIGKILL, false), "{seen:?}");
    let took = begun.elapsed();
    assert!(took < slow::limit(Duration::from_secs(5)), "{took:?}");
}

const SCRIPT: &std::ffi::CStr = c"/evf-signals-script";
const INTERPRETER: &std::ffi::CStr = c"/evf-signals-interpreter";

/// A process one of whose threads holds the process's lock, in an exec that waits for the gate, and another one waits for it, in RESTRICT_SELF with these flags.
/// `judge` looks at what came of that.
fn waiting(flags: u32, handled: i32, judge: impl Fn(&Board, Ret)) -> (Gate, Child, Shared<Ids>) {
    crate::executable::install(INTERPRETER, &crate::executable::calls(libc::SYS_getuid));
    let script = format!("#!{}\n", INTERPRETER.to_str().expect("a path"));
    crate::executable::install(SCRIPT, script.as_bytes());
    let Some(gate) = Gate::at(INTERPRETER) else {
        skip("this kernel has no fanotify permission events");
    };
    let ids = Shared::<Ids>::new();
    let child = start(|board| {
        no_new_privs();
        count(SIGUSR1, handled);
        let filter = load(&one_name());
        std::thread::scope(|scope| {
            let exec = scope.spawn(|| exec(SCRIPT));
            while ids.begin.load(Ordering::SeqCst) == 0 {
                nap(1);
            }
            let id = sys!(libc::SYS_gettid).expect("gettid");
            ids.waits.store(id as i32, Ordering::SeqCst);
            let (told, thread) = restrict_with(flags, filter.as_raw_fd());
            assert_eq!(thread, 0);
            assert_eq!(exec.join().ok(), Some(EPERM), "the exec");
            judge(board, told);
            board.put(counted() as i64);
        });
    });
    (gate, child, ids)
}

/// What parent and child tell each other.
#[repr(C)]
struct Ids {
    begin: std::sync::atomic::AtomicI32,
    waits: std::sync::atomic::AtomicI32,
}

impl Ids {
    /// Lets the child restrict itself, and waits until it waits for the lock.
    #[track_caller]
    fn until_it_waits(&self, child: &Child) -> i32 {
        self.begin.store(1, Ordering::SeqCst);
        for _ in 0..5_000 * slow::factor() {
            let id = self.waits.load(Ordering::SeqCst);
            if id != 0 && waits_for_a_lock(child.pid, id) {
                return id;
            }
            nap(1);
        }
        panic!("nobody waits for the lock");
    }
}

/// Whether a thread sleeps in an ioctl of the module so that no handler wakes it. (Functions that wait for a mutex are not shown.)
fn waits_for_a_lock(process: i32, thread: i32) -> bool {
    let read = |file: &str| {
        let path = format!("/proc/{process}/task/{thread}/{file}");
        std::fs::read_to_string(path).unwrap_or_default()
    };
    let state = read("stat");
    let state = state.rsplit(") ").next().unwrap_or_default();
    state.starts_with('D') && read("stack").contains("control_ioctl")
}

fn signals_while_waiting_for_the_lock_wait_for_the_effect() {
    for flags in [0, RESTRICT_TSYNC] {
        for handled in FLAGS {
            let (gate, child, ids) = waiting(flags, handled, |board, told| {
                board.ret(told);
                board.put(i64::from(layers()) + i64::from(refuses_one_name()));
            });
            let held = gate.wait();
            let thread = ids.until_it_waits(&child);
            for _ in 0..3 {
                let sent = sys!(libc::SYS_tgkill, child.pid, thread, SIGUSR1);
                assert_eq!(sent, Ok(0), "tgkill");
                nap(20);
                assert!(waits_for_a_lock(child.pid, thread), "it no longer waits");
            }
            held.turn_away();
            assert_eq!(child.wait().well(), [0, 2, 1], "{flags}, {handled}");
        }
    }
}

fn killed_while_waiting_for_the_lock_leaves_nothing() {
    for flags in [0, RESTRICT_TSYNC] {
        let (gate, child, ids) = waiting(flags, 0, |board, told| board.ret(told));
        let held = gate.wait();
        ids.until_it_waits(&child);
        dies_soon(child);
        held.turn_away();
    }
    and_loaded_again(unload);
}

/// SIGKILL at one moment after the other of loading, restricting, and restricting all threads.
fn killed_at_any_moment_of_loading_and_restricting_leaves_nothing() {
    let images = ['a', 'b'].map(image);
    let whole = || {
        let mut filters: Vec<OwnedFd> = Vec::new();
        for image in &images {
            filters.push(load(image));
            for flags in [0, RESTRICT_TSYNC] {
                let told = restrict_with(flags, filters[filters.len() - 1].as_raw_fd());
                assert_eq!(told, (Ok(0), 0));
            }
        }
    };
    // The child begins when it is told to, and tells when it is through.
    let life = |board: &Board, go: &AtomicBool| {
        no_new_privs();
        // One that is taken along.
        std::thread::spawn(|| nap(600_000));
        board.put(1);
        while !go.load(Ordering::SeqCst) {
            let _ = sys!(libc::SYS_sched_yield);
        }
        let begun = Instant::now();
        whole();
        board.put(begun.elapsed().as_micros() as i64);
        assert_eq!((layers(), ['a', 'b'].map(is_judged)), (4, [true; 2]));
    };
    let took = duration(|| {
        let go = AtomicBool::new(true);
        let seen = run(|board| life(board, &go));
        Duration::from_micros(seen.well()[1] as u64)
    });
    let steps = steps(100);
    let mut unfinished = 0;
    for step in 0..steps {
        let go = Shared::<AtomicBool>::new();
        let child = start(|board| {
            life(board, &go);
            nap(600_000);
        });
        child.until(1);
        go.store(true, Ordering::SeqCst);
        let deadline = Instant::now() + took * step / steps;
        while Instant::now() < deadline {
            std::hint::spin_loop();
        }
        let seen = child.kill();
        assert_eq!(seen.end, End::Signal(SIGKILL, false), "{seen:?}");
        unfinished += u32::from(seen.values.len() == 1);
        go.unmap();
    }
    note(&format!(
        "{unfinished} of {steps} were killed before the end"
    ));
    assert!(unfinished * 4 > steps, "{unfinished} of {steps}");
    run(|_| attach(&images[0])).well();
    and_loaded_again(unload);
}

// SPDX-License-Identifier: GPL-2.0
//! Rings of io_uring, their workers and the threads that poll them: made before the policy came, or by somebody else.

use io_uring::opcode;
use io_uring::squeue::Entry;
use io_uring::types::Fd;
use libc::AT_FDCWD;

use super::case::{Case, Deed, Loot, Proof, Stop};
use super::deeds::{FLAG, read};
use super::received::SHARED;
use super::stage::Stage;
use crate::ring::Ring;
use crate::sys::{own, sys};

const CLASS: &str = "rings";
const REFERENCE: &str = "io_uring(7); an escape from Landlock and seccomp alike";

fn open_flag() -> Entry {
    opcode::OpenAt::new(Fd(AT_FDCWD), FLAG.as_ptr()).build()
}

/// All of the class.
pub(super) fn cases() -> Vec<Case> {
    let case = |name, tries, proof, run: fn(&Stage) -> Deed| {
        Case::new(CLASS, name, REFERENCE, tries, proof, run)
    };
    vec![
        case(
            "made_before",
            "opens by a ring that it made before the policy came",
            Proof::Content,
            |stage| before(stage, Ring::new, |ring| read(&own(ring.call(open_flag()))?)),
        ),
        case(
            "worker_made_before",
            "has a worker open that was there before",
            Proof::Content,
            |stage| {
                before(stage, with_worker, |ring| {
                    read(&own(ring.call_in_worker(open_flag()))?)
                })
            },
        ),
        case(
            "poller_made_before",
            "has a polling thread open that was there before",
            Proof::Content,
            |stage| {
                before(stage, Ring::sqpoll, |ring| {
                    read(&own(ring.call(open_flag()))?)
                })
            },
        ),
        case(
            "worker_of_poller_made_before",
            "has a worker of the polling thread open",
            Proof::Content,
            |stage| {
                before(
                    stage,
                    || {
                        let mut ring = Ring::sqpoll();
                        ring.wake_worker();
                        ring
                    },
                    |ring| read(&own(ring.call_in_worker(open_flag()))?),
                )
            },
        ),
        case(
            "made_after",
            "opens by a ring that it makes afterwards",
            Proof::Content,
            |stage| stage.confined(|| read(&own(Ring::new().call(open_flag()))?)),
        ),
        case(
            "poller_made_after",
            "has a polling thread open that it makes afterwards",
            Proof::Content,
            |stage| stage.confined(|| read(&own(Ring::sqpoll().call(open_flag()))?)),
        ),
        case(
            "direct_descriptor",
            "opens into the ring's own table, which has no descriptors to receive",
            Proof::Content,
            |stage| {
                stage.confined(|| {
                    let mut ring = Ring::new();
                    ring.register_files(4);
                    direct(&mut ring)
                })
            },
        ),
        case(
            "personality_of_before",
            "opens with credentials that the ring kept from before",
            Proof::Content,
            |stage| {
                stage
                    .attacker(|| {
                        let mut ring = Ring::new();
                        // IORING_REGISTER_PERSONALITY.
                        let who = sys!(libc::SYS_io_uring_register, ring.number(), 9, 0, 0)?;
                        stage.confine();
                        read(&own(ring.call(open_flag().personality(who as u16)))?)
                    })
                    .finish()
            },
        ),
        case(
            "connect",
            "connects by a ring to a socket outside",
            Proof::Content,
            |stage| {
                let listener =
                    std::os::unix::net::UnixListener::bind("/home/secret/sock").expect("bind");
                let flag = stage.world.flag.clone();
                crate::sys::child::start(move |_| {
                    for stream in listener.incoming() {
                        let _ = std::io::Write::write_all(
                            &mut stream.expect("accept"),
                            flag.as_bytes(),
                        );
                    }
                });
                stage.confined(|| {
                    let address = crate::sys::message::Address::new(b"/home/secret/sock");
                    let (place, length) = address.parts();
                    let socket = own(sys!(libc::SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM, 0))?;
                    let number = Fd(std::os::fd::AsRawFd::as_raw_fd(&socket));
                    let entry = opcode::Connect::new(number, place as *const _, length as u32);
                    Ring::new().call(entry.build())?;
                    read(&socket)
                })
            },
        ),
        case(
            "bind",
            "makes a socket outside by a ring",
            Proof::Changed,
            |stage| {
                stage.confined(|| {
                    let address = crate::sys::message::Address::new(b"/home/secret/sock");
                    let (place, length) = address.parts();
                    let socket = own(sys!(libc::SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM, 0))?;
                    let number = Fd(std::os::fd::AsRawFd::as_raw_fd(&socket));
                    let entry = opcode::Bind::new(number, place as *const _, length as u32);
                    Ring::new()
                        .call(entry.build())
                        .map(|_| Loot::Done)
                        .map_err(Stop::Errno)
                })
            },
        ),
        case(
            "inherited_from_free",
            "uses the ring of its parent, whose polling thread is as free as that",
            Proof::Content,
            inherited,
        )
        .limit(SHARED),
    ]
}

fn with_worker() -> Ring {
    let mut ring = Ring::new();
    ring.wake_worker();
    ring
}

/// The ring is made, the policy attached, the ring used.
fn before(
    stage: &Stage,
    make: impl FnOnce() -> Ring,
    attack: impl FnOnce(&mut Ring) -> Deed,
) -> Deed {
    stage
        .attacker(|| {
            let mut ring = make();
            stage.confine();
            attack(&mut ring)
        })
        .finish()
}

/// Opens into slot 1 of the ring's table and reads from there.
fn direct(ring: &mut Ring) -> Deed {
    let slot = io_uring::types::DestinationSlot::try_from_slot_target(1)
        .map_err(|_| Stop::Said("no slot".into()))?;
    let entry = opcode::OpenAt::new(Fd(AT_FDCWD), FLAG.as_ptr()).file_index(Some(slot));
    ring.call(entry.build())?;
    let mut room = vec![0u8; 100];
    let read = opcode::Read::new(io_uring::types::Fixed(1), room.as_mut_ptr(), 100);
    ring.call(read.build())?;
    Ok(Loot::Bytes(room))
}

/// The parent made the ring; names and bytes lie in its memory, in pages that both share.
fn inherited(stage: &Stage) -> Deed {
    let mut ring = Ring::sqpoll();
    ring.register_files(4);
    let room = crate::sys::memory::map(crate::sys::memory::PAGE, libc::MAP_SHARED);
    let deed = stage.attacker(|| {
        stage.confine();
        // The name lies at the same address in the parent, of which this is a copy.
        let slot = io_uring::types::DestinationSlot::try_from_slot_target(1)
            .map_err(|_| Stop::Said("no slot".into()))?;
        let entry = opcode::OpenAt::new(Fd(AT_FDCWD), FLAG.as_ptr()).file_index(Some(slot));
        ring.call(entry.build())?;
        let read = opcode::Read::new(io_uring::types::Fixed(1), room as *mut u8, 100);
        ring.call(read.build())?;
        // A pipe is the shortest way from an address to bytes of our own.
        let (reader, writer) = super::stage::pipe();
        sys!(libc::SYS_write, &writer, room, 100)?;
        super::deeds::read(&reader)
    });
    deed.finish()
}

// SPDX-License-Identifier: GPL-2.0
//! Free processes that do what they are asked, and the ways to ask them.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;

use libc::{AF_INET, AF_UNIX, SIGKILL, SIGTERM, SOCK_STREAM};

use super::case::{Case, Deed, Loot, Proof, Stop, said};
use super::deeds::{SECRET, done, in_proc, open, read};
use super::stage::Stage;
use crate::sys::child::{Child, nap, start};
use crate::sys::message::Address;
use crate::sys::{Ret, own, sys};

const CLASS: &str = "deputies";

const ASKED: &str = "A free process that does what it is asked, over a socket, pipe or terminal that the policy leaves, does it with its own rights. `paths` does not speak of networks.";

/// All of the class.
pub(super) fn cases() -> Vec<Case> {
    let case = |name, reference, tries, run: fn(&Stage) -> Deed| {
        Case::new(CLASS, name, reference, tries, Proof::Content, run)
    };
    let mut all = vec![
        case("socket_outside", "unix(7)", "connects to a socket outside", |stage| {
            served(stage, UnixListener::bind("/home/secret/sock").expect("bind"));
            stage.confined(|| ask(b"/home/secret/sock"))
        }),
        case("socket_by_proc", "unix(7), proc_pid_fd(5)", "the same through a directory that was left open", |stage| {
            served(stage, UnixListener::bind("/home/secret/sock").expect("bind"));
            let secret = open(SECRET, libc::O_PATH).expect("open");
            stage.confined(|| ask(in_proc(&secret, "/sock").to_bytes()))
        })
        .past_names(),
        case("socket_through_link", "unix(7), symlink(7)", "the same through a link", |stage| {
            served(stage, UnixListener::bind("/home/secret/sock").expect("bind"));
            std::os::unix::fs::symlink("/home/secret/sock", "/home/escape/way").expect("symlink");
            stage.confined(|| ask(b"/home/escape/way"))
        })
        .past_names(),
        case("socket_in_working_directory", "unix(7)", "the same relative to a working directory from before", |stage| {
            served(stage, UnixListener::bind("/home/secret/sock").expect("bind"));
            stage.attacker(|| {
                sys!(libc::SYS_chdir, SECRET)?;
                stage.confine();
                ask(b"sock")
            })
            .finish()
        })
        .past_names(),
        case("socket_in_own_tree", "unix(7); the docker socket", "connects to a socket that a free process has put where it may connect", |stage| {
            served(stage, UnixListener::bind("/home/escape/sock").expect("bind"));
            stage.confined(|| ask(b"/home/escape/sock"))
        })
        .limit(ASKED),
        case(
            "socket_in_read_only_place",
            "unix(7)",
            "connects to a socket in a place that it may read only",
            |stage| {
                super::programs::in_usr(|| {
                    let listener = UnixListener::bind("/usr/share/evfilter/sock");
                    served(stage, listener.expect("bind"));
                });
                stage.confined(|| ask(b"/usr/share/evfilter/sock"))
            },
        )
        .past_names(),
        case("abstract_socket", "unix(7): abstract addresses; Landlock's LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET; CVE-2020-15257 (containerd)", "connects to a socket that has no file", |stage| {
            use std::os::linux::net::SocketAddrExt;
            let address = std::os::unix::net::SocketAddr::from_abstract_name("evf-escape").expect("address");
            served(stage, UnixListener::bind_addr(&address).expect("bind"));
            stage.confined(|| ask(b"\0evf-escape"))
        })
        .past_names()
        .items("scope abstract"),
        case("pair_socket_from_before", "socketpair(2)", "asks over a socket that it has had from the start", |stage| {
            let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().expect("socketpair");
            ours.write_all(stage.world.flag.as_bytes()).expect("write");
            stage.confined(|| read(&std::os::fd::OwnedFd::from(theirs)))
        })
        .limit(ASKED),
        case("loopback", "ip(7), tcp(7)", "asks a server on the loopback interface", |stage| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
            let port = listener.local_addr().expect("address").port();
            let flag = stage.world.flag.clone();
            start(move |_| {
                for stream in listener.incoming() {
                    let _ = stream.expect("accept").write_all(flag.as_bytes());
                }
            });
            stage.confined(|| {
                let socket = own(sys!(libc::SYS_socket, AF_INET, SOCK_STREAM, 0))?;
                let mut address = [0u8; 16];
                address[0] = AF_INET as u8;
                address[2..4].copy_from_slice(&port.to_be_bytes());
                address[4..8].copy_from_slice(&[127, 0, 0, 1]);
                sys!(libc::SYS_connect, &socket, address.as_ptr(), 16)?;
                read(&socket)
            })
        })
        .limit(ASKED),
        case("pipe_in_own_tree", "fifo(7)", "asks over a named pipe in its own tree", |stage| {
            let made = sys!(libc::SYS_mknod, c"/home/escape/pipe", libc::S_IFIFO | 0o600, 0);
            assert_eq!(made, Ok(0), "mknod");
            let flag = stage.world.flag.clone();
            start(move |_| {
                let _ = std::fs::write("/home/escape/pipe", flag);
            });
            stage.confined(|| read(&open(c"/home/escape/pipe", libc::O_RDONLY)?))
        })
        .limit(ASKED),
        case("pipe_outside", "fifo(7)", "asks over a named pipe outside", |stage| {
            let made = sys!(libc::SYS_mknod, c"/home/secret/pipe", libc::S_IFIFO | 0o600, 0);
            assert_eq!(made, Ok(0), "mknod");
            let flag = stage.world.flag.clone();
            start(move |_| {
                let _ = std::fs::write("/home/secret/pipe", flag);
            });
            stage.confined(|| read(&open(c"/home/secret/pipe", libc::O_RDONLY)?))
        }),
        Case::new(CLASS, "terminal_input", "ioctl_tty(2), TIOCSTI; CVE-2016-2568 (pkexec), CVE-2017-5226 (bubblewrap)", "types a command into the terminal that it was started from", Proof::Told, terminal).limit(ASKED),
    ];
    all.extend(signals());
    all
}

fn signals() -> Vec<Case> {
    let case = |name, reference, tries, run: fn(&Stage) -> Deed| {
        Case::new(CLASS, name, reference, tries, Proof::Told, run)
            .past_names()
            .items("scope signal")
    };
    vec![
        case("kill", "kill(2)", "kills a free process", |stage| {
            killing(stage, |free| sys!(libc::SYS_kill, free.pid, SIGKILL))
        }),
        case("tgkill", "tgkill(2)", "kills it by its thread", |stage| {
            killing(stage, |free| {
                sys!(libc::SYS_tgkill, free.pid, free.pid, SIGTERM)
            })
        }),
        case(
            "tkill",
            "tkill(2)",
            "kills it by its thread alone",
            |stage| killing(stage, |free| sys!(libc::SYS_tkill, free.pid, SIGTERM)),
        ),
        case(
            "kill_group",
            "kill(2), killpg(3)",
            "kills it by its process group",
            |stage| killing(stage, |free| sys!(libc::SYS_kill, -free.pid, SIGKILL)),
        ),
        case(
            "sigqueue",
            "rt_sigqueueinfo(2)",
            "kills it with a message",
            |stage| {
                killing(stage, |free| {
                    // siginfo_t: signo, errno, code (SI_QUEUE).
                    let mut info = [0i32; 32];
                    (info[0], info[2]) = (SIGTERM, -1);
                    sys!(libc::SYS_rt_sigqueueinfo, free.pid, SIGTERM, info.as_ptr())
                })
            },
        ),
        case(
            "pidfd_send_signal",
            "pidfd_send_signal(2)",
            "kills it by a descriptor",
            |stage| {
                killing(stage, |free| {
                    let pidfd = own(sys!(libc::SYS_pidfd_open, free.pid, 0))?;
                    sys!(libc::SYS_pidfd_send_signal, &pidfd, SIGKILL, 0, 0)
                })
            },
        ),
        case(
            "owner_of_descriptor",
            "fcntl(2), F_SETOWN and F_SETSIG",
            "makes it the owner of a socket, and has the kernel signal it",
            |stage| {
                killing(stage, |free| {
                    let mut ends = [0i32; 2];
                    sys!(
                        libc::SYS_socketpair,
                        AF_UNIX,
                        SOCK_STREAM,
                        0,
                        ends.as_mut_ptr()
                    )?;
                    sys!(libc::SYS_fcntl, ends[0], libc::F_SETOWN, free.pid)?;
                    // F_SETSIG.
                    sys!(libc::SYS_fcntl, ends[0], 10, SIGTERM)?;
                    sys!(libc::SYS_fcntl, ends[0], libc::F_SETFL, libc::O_ASYNC)?;
                    sys!(libc::SYS_write, ends[1], c"x".as_ptr(), 1)
                })
            },
        ),
        case(
            "parent_death_signal",
            "prctl(2), PR_SET_PDEATHSIG; kill(2) of the parent",
            "kills its parent",
            |stage| {
                let free = start(|board| {
                    board.put(0);
                    let attacker = stage.attacker(|| {
                        stage.confine();
                        let parent = sys!(libc::SYS_getppid)?;
                        done(sys!(libc::SYS_kill, parent, SIGKILL))
                    });
                    nap(300);
                    board.put(1);
                    let _ = attacker.finish();
                });
                match free.wait().values.len() {
                    1 => Ok(Loot::Done),
                    _ => said("the parent lives"),
                }
            },
        ),
    ]
}

/// A free process that tells the secret to whoever connects.
fn served(stage: &Stage, listener: UnixListener) {
    let flag = stage.world.flag.clone();
    start(move |_| {
        for stream in listener.incoming() {
            // Whoever has gone again is not told.
            let _ = stream.expect("accept").write_all(flag.as_bytes());
        }
    });
}

/// Connects and listens.
fn ask(name: &[u8]) -> Deed {
    let socket = own(sys!(libc::SYS_socket, AF_UNIX, SOCK_STREAM, 0))?;
    let address = Address::new(name);
    // An abstract address is as long as it is said to be.
    let length = match name.first() {
        Some(0) => 2 + name.len() as u64,
        _ => address.parts().1,
    };
    sys!(
        libc::SYS_connect,
        socket.as_raw_fd(),
        address.parts().0,
        length
    )?;
    read(&socket)
}

/// Whether a free process dies of what the attacker does.
fn killing(stage: &Stage, attack: impl FnOnce(&Child) -> Ret) -> Deed {
    let free = start(|board| {
        board.ret(sys!(libc::SYS_setpgid, 0, 0));
        nap(60_000);
    });
    free.until(1);
    let deed = stage.confined(|| done(attack(&free)));
    nap(50);
    let mut status = 0i32;
    match sys!(libc::SYS_wait4, free.pid, &raw mut status, libc::WNOHANG, 0) {
        Ok(0) => Err(deed.err().unwrap_or(Stop::Said("it lives".into()))),
        _ => Ok(Loot::Done),
    }
}

/// A free process reads from a terminal; the attacker has that terminal as its own.
fn terminal(stage: &Stage) -> Deed {
    let main = open(c"/dev/ptmx", libc::O_RDWR | libc::O_NOCTTY).expect("ptmx");
    let mut number = 0u32;
    let unlock = 0i32;
    assert_eq!(
        sys!(libc::SYS_ioctl, &main, libc::TIOCSPTLCK, &raw const unlock),
        Ok(0)
    );
    assert_eq!(
        sys!(libc::SYS_ioctl, &main, libc::TIOCGPTN, &raw mut number),
        Ok(0)
    );
    let name = super::deeds::text(&format!("/dev/pts/{number}"));
    let side = open(&name, libc::O_RDWR | libc::O_NOCTTY).expect("pts");
    let typed = stage.confined(|| {
        let _ = sys!(libc::SYS_setsid);
        let _ = sys!(libc::SYS_ioctl, &side, libc::TIOCSCTTY, 0);
        for byte in b"rm\n" {
            sys!(libc::SYS_ioctl, &side, libc::TIOCSTI, byte as *const u8)?;
        }
        Ok(Loot::Done)
    });
    typed?;
    let mut room = [0u8; 8];
    match sys!(libc::SYS_read, &side, room.as_mut_ptr(), 8) {
        Ok(3) => Ok(Loot::Done),
        other => said(format!("the terminal gave {other:?}")),
    }
}

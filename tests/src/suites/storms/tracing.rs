// SPDX-License-Identifier: GPL-2.0
//! One child of a task in a storm traces another one, or must not.

use libc::{EBUSY, EPERM, SIGKILL};

use super::layer::Layer;
use super::task::Task;
use crate::kernel::{load, try_restrict};
use crate::sys::child::{End, nap, start};
use crate::sys::trace::{attach_and_leave, read_memory, seize};
use crate::sys::{own, sys};

/// Something in memory that another process can read.
static WORD: u64 = 0x6576_6669_6c74_6572;

impl Task<'_> {
    /// Both have the layers of this task and any of two more. The tracer may do it if the other one has all of its own.
    pub(super) fn trace(&mut self) {
        if !self.has_room(2) {
            return;
        }
        let filters = [0; 2].map(|_| {
            let layer = Layer::any(&mut self.random);
            (load(&layer.image()), layer)
        });
        let chosen = [0; 4].map(|_| self.random.percent(50));
        let way = self.random.below(4);
        let push = |task: &mut Self, chosen: &[bool]| {
            for ((filter, layer), _) in filters.iter().zip(chosen).filter(|(_, chosen)| **chosen) {
                task.push_filter(filter, layer);
            }
        };
        let target = start(|board| {
            push(self, &chosen[..2]);
            self.verify();
            board.put(1);
            nap(600_000);
        });
        target.until(1);
        let inner = |chosen: &[bool]| {
            let layers = filters.iter().zip(chosen).filter(|(_, chosen)| **chosen);
            layers.fold(self.stack.clone(), |stack, ((_, layer), _)| {
                stack.and(layer)
            })
        };
        let allowed = inner(&chosen[..2]).covers(&inner(&chosen[2..]));
        let pid = target.pid;
        self.child(End::Exit(0), |tracer| {
            push(tracer, &chosen[2..]);
            tracer.verify();
            let result = match way {
                0 => attach_and_leave(pid),
                1 => seize(pid, 0),
                2 => read_memory(pid, &raw const WORD as u64),
                _ => own(sys!(libc::SYS_pidfd_open, pid, 0))
                    .and_then(|process| own(sys!(libc::SYS_pidfd_getfd, &process, 1, 0)))
                    .map(|_| 0),
            };
            let expected = match (allowed, way) {
                (false, _) => Err(EPERM),
                (true, 2) => Ok(8),
                (true, _) => Ok(0),
            };
            assert_eq!(result, expected, "tracing by way {way}");
            if result.is_ok() && way == 1 {
                // What it traces would go on acting more freely.
                assert_eq!(try_restrict(&filters[0].0), Err(EBUSY), "a tracer");
            }
            tracer.verify();
        });
        self.tally.answers(1);
        assert_eq!(target.kill().end, End::Signal(SIGKILL, false), "a target");
    }
}

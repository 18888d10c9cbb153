// SPDX-License-Identifier: GPL-2.0
//! Random programs in evfilter and in the real seccomp, asked about the same random calls: every result must be the same.

pub(super) mod generator;

use std::fmt::Write as _;

use filters::insn::Insn;

use crate::harness::{Test, note};
use crate::marker::{Call, Judge, MARK, leave};
use crate::random::Wish;
use crate::sys::child::{Board, End, fork, run_and_exit, wait};
use crate::sys::memory::Shared;
use crate::sys::signal::{catch_sigsys_or_die, caught};
use crate::sys::{ia32, no_new_privs, sys};

use generator::{Case, Ground, shown};

/// Programs of a run that names no other number.
const PROGRAMS: u64 = 2000;

pub(super) fn tests() -> Vec<Test> {
    let count = Wish::get().cases(PROGRAMS);
    vec![
        Test::new(
            "differential::random_programs_decide_as_seccomp_does",
            random_programs_decide_as_seccomp_does,
        )
        .limit(120 + count / 10),
    ]
}

/// Where the cores of the children go: two at a time in one place would be in each other's way.
const PLACES: [&str; 2] = [
    "/tmp/evf-differential/evfilter",
    "/tmp/evf-differential/seccomp",
];

/// What a case came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) end: End,
    pub(super) values: Vec<i64>,
}

/// Exit status of a child that is done.
const DONE: u64 = 7;
/// Put before the errno of a program that was refused.
pub(super) const REFUSED: i64 = i64::MIN;
/// Put before what a signal handler saw.
const CAUGHT: i64 = i64::MIN + 1;

fn random_programs_decide_as_seccomp_does() {
    let wish = Wish::get();
    let (seed, count) = (wish.seed(), wish.cases(PROGRAMS));
    note(&format!("--seed {seed} --count {count}"));
    let ia32 = ia32::call(20, [0; 6]).is_ok();
    no_new_privs();
    cores_have_no_memory();
    let mut tally = Tally::default();
    let mut own = seed;
    while tally.programs() < count {
        let case = Case::new(own, ia32);
        let (ours, theirs) = both(&case);
        if ours != theirs {
            let repeat = format!("differential:: --seed {own} --count 1");
            let answers = [("evfilter", &ours), ("seccomp", &theirs)];
            panic!("{}", difference(&repeat, &case, answers));
        }
        tally.take(&case, &ours);
        own = own.wrapping_add(1);
    }
    note(&tally.line());
    if count >= PROGRAMS {
        tally.check();
    }
}

/// A core is dumped for each process that seccomp kills, and whether it was is part of what is compared. Its contents are not.
pub(super) fn cores_have_no_memory() {
    let limit = [libc::RLIM_INFINITY; 2];
    let done = sys!(libc::SYS_prlimit64, 0, libc::RLIMIT_CORE, limit.as_ptr(), 0);
    assert_eq!(done, Ok(0), "RLIMIT_CORE");
    for place in PLACES {
        std::fs::create_dir_all(place).expect(place);
    }
    std::fs::write("/proc/self/coredump_filter", "0").expect("coredump_filter");
}

fn both(case: &Case) -> (Seen, Seen) {
    let programs = case.all_programs();
    let programs = || programs.iter().map(Vec::as_slice);
    let judges = [Judge::evfilter(programs()), Judge::seccomp(programs())];
    together(case, judges).into()
}

/// What both judges make of a case. Their children run at once, as there are two processors.
pub(super) fn together(case: &Case, judges: [Judge; 2]) -> [Seen; 2] {
    let mut places = PLACES.into_iter();
    let children = judges.map(|judge| {
        let place = places.next().expect("a place for each");
        let board = Shared::<Board>::new();
        match fork().expect("fork") {
            0 => run_and_exit(|| act(judge, place, case, &board)),
            pid => (pid, board),
        }
    });
    children.map(|(pid, board)| {
        let end = wait(pid);
        let values = board.values();
        board.unmap();
        Seen { end, values }
    })
}

/// The child: installs the programs, makes the calls, and ends in a way that needs no leave.
fn act(judge: Judge, place: &str, case: &Case, board: &Board) -> ! {
    std::env::set_current_dir(place).expect(place);
    catch_sigsys_or_die();
    if let Err(errno) = judge.install() {
        board.put(REFUSED);
        board.put(i64::from(errno));
        leave(|value| board.put(value), DONE);
    }
    let mut signals = 0;
    for call in &case.calls {
        board.put(call.make());
        let words = caught();
        if words[0] != signals {
            signals = words[0];
            board.put(CAUGHT);
            for word in words {
                board.put(word);
            }
        }
    }
    leave(|value| board.put(value), DONE)
}

/// How often each outcome was seen: a run in which something never happens has not tested it.
#[derive(Debug, Default)]
struct Tally {
    refused: u64,
    ran: u64,
    calls: u64,
    marked: u64,
    none: u64,
    errnos: u64,
    values: u64,
    trapped: u64,
    killed: u64,
    cores: u64,
    stuck: u64,
}

impl Tally {
    /// Programs that had an effect: those that were installed, and the first one of a case that was refused.
    fn programs(&self) -> u64 {
        self.ran + self.refused
    }

    fn take(&mut self, case: &Case, seen: &Seen) {
        if seen.values.first() == Some(&REFUSED) {
            self.refused += 1;
            return;
        }
        self.ran += case.programs.len() as u64;
        match seen.end {
            End::Signal(libc::SIGSYS, core) => {
                self.killed += 1;
                self.cores += u64::from(core);
            }
            End::Signal(..) => self.stuck += 1,
            End::Exit(_) => {}
        }
        let marked = case.ground == Ground::Marked;
        let mut values = seen.values.iter();
        while let Some(value) = values.next() {
            match *value {
                CAUGHT => {
                    self.trapped += 1;
                    values.nth(7);
                    continue;
                }
                value if marked && value == -i64::from(MARK) => self.marked += 1,
                value if value == -i64::from(libc::ENOSYS) => self.none += 1,
                -4095..0 => self.errnos += 1,
                _ => self.values += 1,
            }
            self.calls += 1;
        }
    }

    fn line(&self) -> String {
        format!(
            "{} programs ran, {} were refused; {} calls: {} values, {} errnos, {} ENOSYS, {} left to the marker, {} signals; {} killed, {} with a core, {} could not exit",
            self.ran,
            self.refused,
            self.calls,
            self.values,
            self.errnos,
            self.none,
            self.marked,
            self.trapped,
            self.killed,
            self.cores,
            self.stuck
        )
    }

    #[track_caller]
    fn check(&self) {
        let all = self.programs();
        assert!(self.ran * 2 > all && self.refused * 20 > all, "{self:?}");
        let seen = [
            self.marked,
            self.none,
            self.errnos,
            self.values,
            self.trapped,
            self.killed,
            self.cores,
            self.stuck,
        ];
        assert!(seen.iter().all(|times| times * 100 > all), "{self:?}");
    }
}

/// Everything about a case that was judged differently, and how to see it again.
pub(super) fn difference(repeat: &str, case: &Case, answers: [(&str, &Seen); 2]) -> String {
    let mut text = format!(
        "{} and {} differ; once more: --filter {repeat}\nground {:?}\n",
        answers[0].0, answers[1].0, case.ground
    );
    for (at, program) in case.programs.iter().enumerate() {
        let _ = writeln!(text, "program {at} (code, jt, jf, k):");
        for (line, insn) in program.iter().enumerate() {
            let Insn { code, jt, jf, k } = insn;
            let _ = writeln!(text, "  {line}: {code:#04x} {jt} {jf} {k:#x}");
        }
    }
    for (at, Call { entry, nr, args }) in case.calls.iter().enumerate() {
        let _ = writeln!(text, "call {at}: {entry:?} {nr:#x} {args:x?}");
    }
    for (who, seen) in answers {
        let values: Vec<String> = seen.values.iter().map(|value| shown(*value)).collect();
        let _ = writeln!(text, "{who}: {:?}, {}", seen.end, values.join(", "));
    }
    text
}

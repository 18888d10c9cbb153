// SPDX-License-Identifier: GPL-2.0

//! One boot of the guest: starts QEMU, follows the console against the limits, and says how it ended.

use std::collections::VecDeque;
use std::fmt;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::console::{self, Line, Races, Torn};
use crate::exec;

/// How many lines of the console a failure quotes.
const TAIL: usize = 40;
/// How long QEMU may take to go away after the sentinel.
const POWER_OFF: Duration = Duration::from_secs(20);

/// The longest time without one byte while the kernel boots, which talks all the time.
const BOOT_SILENCE: Duration = Duration::from_secs(60);

/// When a guest is given up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The longest time without one byte on the console, once user space runs.
    pub(crate) silence: Duration,
    /// The same before user space runs, but not longer than [`silence`](Self::silence).
    boot: Duration,
    /// The longest time altogether.
    pub(crate) total: Duration,
}

impl Limits {
    /// Limits for a guest with the stock kernel, which boots in some seconds.
    pub(crate) const fn new(silence: Duration, total: Duration) -> Self {
        Self {
            silence,
            boot: BOOT_SILENCE,
            total,
        }
    }

    /// The same for a guest that takes `factor` times as long for everything.
    pub(crate) fn times(self, factor: u32) -> Self {
        Self {
            silence: self.silence * factor,
            boot: self.boot * factor,
            total: self.total * factor,
        }
    }
}

/// How a guest ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The machine went off by itself.
    Off,
    /// Not one byte for so long.
    Silence(Duration),
    /// Not finished after so long.
    Timeout(Duration),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("the machine went off"),
            Self::Silence(limit) => write!(
                f,
                "the console was silent for {} s; the guest was ended",
                limit.as_secs()
            ),
            Self::Timeout(limit) => write!(
                f,
                "the guest was not finished after {} s and was ended",
                limit.as_secs()
            ),
        }
    }
}

/// What is left of a guest.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) end: End,
    /// The status in the sentinel line, if there was one.
    pub(crate) exit: Option<i32>,
    /// The lines in which the kernel complained of itself.
    pub(crate) splats: Vec<String>,
    /// How many data races of the kernel's own its detector has reported.
    pub(crate) foreign_races: u32,
    /// Protocol lines nobody could read.
    pub(crate) garbled: Vec<String>,
    /// The last lines of the console.
    tail: VecDeque<String>,
    /// Everything the console said.
    pub(crate) log: PathBuf,
    /// From QEMU's start to the first line of user space.
    pub(crate) to_init: Option<Duration>,
    /// From QEMU's start to its end.
    pub(crate) took: Duration,
}

impl Outcome {
    /// What is wrong with the run as a run, whatever the command in it said. Empty if nothing is.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.end != End::Off {
            faults.push(self.end.to_string());
        }
        if self.exit.is_none() {
            faults.push("the guest ended without its sentinel line (@@evf exit STATUS)".to_owned());
        }
        if !self.splats.is_empty() {
            faults.push(format!(
                "the kernel complained:\n  {}",
                self.splats.join("\n  ")
            ));
        }
        if !self.garbled.is_empty() {
            faults.push(format!(
                "unreadable protocol lines:\n  {}",
                self.garbled.join("\n  ")
            ));
        }
        faults
    }

    /// Whether the kernel fell silent before it had started user space, without having complained.
    pub(crate) fn hung_before_init(&self) -> bool {
        matches!(self.end, End::Silence(_)) && self.to_init.is_none() && self.splats.is_empty()
    }

    /// The faults with the end of the console and where all of it is.
    pub(crate) fn report(&self) -> String {
        let mut text = self.faults().join("\n");
        text.push_str("\nthe last lines of the console:\n");
        for line in &self.tail {
            text.push_str("  | ");
            text.push_str(line);
            text.push('\n');
        }
        text.push_str(&format!("whole console: {}", self.log.display()));
        text
    }
}

/// Ends QEMU when the run is over for whatever reason.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        // It is usually gone already, and then both calls say so.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Boots `qemu`, writes its console to `log` and hands each line to `line`. What goes wrong inside the guest is part
/// of the outcome; an error means that there was no guest.
pub(crate) fn follow(
    mut qemu: Command,
    log: &Path,
    limits: Limits,
    mut line: impl FnMut(&Line<'_>, &str),
) -> Result<Outcome> {
    if let Some(dir) = log.parent() {
        fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
    }
    let mut file = File::create(log).with_context(|| format!("create {}", log.display()))?;
    if exec::verbose() {
        eprintln!("$ {}", exec::display(&qemu));
    }
    let (mut reader, writer) = std::io::pipe().context("pipe")?;
    let errors = writer.try_clone().context("pipe")?;
    let began = Instant::now();
    let child = qemu
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(errors)
        .spawn();
    drop(qemu);
    let mut machine = Machine(child.context("start QEMU")?);

    let (send, receive) = mpsc::channel::<Vec<u8>>();
    let pump = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        // Ends with QEMU, or when nobody listens any more.
        while let Ok(count) = reader.read(&mut buffer)
            && count > 0
            && send.send(buffer[..count].to_vec()).is_ok()
        {}
    });

    let mut outcome = Outcome {
        end: End::Off,
        exit: None,
        splats: Vec::new(),
        foreign_races: 0,
        garbled: Vec::new(),
        tail: VecDeque::with_capacity(TAIL),
        log: log.to_owned(),
        to_init: None,
        took: Duration::ZERO,
    };
    let mut ears = Ears {
        began,
        torn: Torn::default(),
        races: Races::default(),
        line: &mut line,
    };
    let mut pending = Vec::new();
    let mut heard = Instant::now();
    loop {
        let silence = match (outcome.exit, outcome.to_init) {
            (Some(_), _) => POWER_OFF,
            (None, Some(_)) => limits.silence,
            (None, None) => limits.silence.min(limits.boot),
        };
        let left = silence
            .saturating_sub(heard.elapsed())
            .min(limits.total.saturating_sub(began.elapsed()));
        match receive.recv_timeout(left) {
            Ok(bytes) => {
                heard = Instant::now();
                file.write_all(&bytes)
                    .with_context(|| format!("write {}", log.display()))?;
                pending.extend_from_slice(&bytes);
                while let Some(end) = pending.iter().position(|&byte| byte == b'\n') {
                    let bytes: Vec<u8> = pending.drain(..=end).collect();
                    ears.take(&mut outcome, &bytes);
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
            // The command's end is known; only the power switch was stuck.
            Err(RecvTimeoutError::Timeout)
                if outcome.exit.is_some() && began.elapsed() < limits.total =>
            {
                break;
            }
            Err(RecvTimeoutError::Timeout) => {
                outcome.end = if began.elapsed() >= limits.total {
                    End::Timeout(limits.total)
                } else {
                    End::Silence(silence)
                };
                break;
            }
        }
    }
    // Last words without a line end.
    if !pending.is_empty() {
        ears.take(&mut outcome, &pending);
    }
    ears.end(&mut outcome);
    drop(receive);
    let _ = machine.0.kill();
    machine.0.wait().context("wait for QEMU")?;
    // A grandchild could hold the pipe open; the thread is not worth waiting for then.
    drop(pump);
    outcome.took = began.elapsed();
    Ok(outcome)
}

/// What hears the console: lines in pieces and reports over many lines are put together here.
struct Ears<F> {
    began: Instant,
    torn: Torn,
    races: Races,
    line: F,
}

impl<F: FnMut(&Line<'_>, &str)> Ears<F> {
    /// Takes in a line as it came.
    fn take(&mut self, outcome: &mut Outcome, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim_end_matches(['\r', '\n']);
        for whole in self.torn.mend(text) {
            self.hear(outcome, &whole);
        }
        if outcome.tail.len() == TAIL {
            outcome.tail.pop_front();
        }
        outcome.tail.push_back(text.to_owned());
    }

    fn hear(&mut self, outcome: &mut Outcome, text: &str) {
        let read = console::read(text);
        match &read {
            Line::Exit(status) => outcome.exit = Some(*status),
            Line::Splat(splat) => outcome.splats.push((*splat).to_owned()),
            Line::Garbled(garbled) => outcome.garbled.push((*garbled).to_owned()),
            Line::Init => outcome.to_init = Some(self.began.elapsed()),
            _ => {}
        }
        (self.line)(&read, text);
        if let Some(race) = self.races.take(&read, text) {
            self.tell(outcome, race);
        }
    }

    /// A race of the module is as bad as any other complaint of the kernel.
    fn tell(&mut self, outcome: &mut Outcome, race: String) {
        (self.line)(&Line::Splat(&race), &race);
        outcome.splats.push(race);
    }

    /// The console has ended.
    fn end(mut self, outcome: &mut Outcome) {
        if let Some(rest) = std::mem::take(&mut self.torn).rest() {
            self.hear(outcome, &rest);
        }
        if let Some(race) = self.races.end() {
            self.tell(outcome, race);
        }
        outcome.foreign_races = self.races.foreign();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(script: &str, silence: f32, total: f32) -> (Outcome, Vec<String>) {
        let dir = tempfile::tempdir().expect("temporary directory");
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let limits = Limits::new(
            Duration::from_secs_f32(silence),
            Duration::from_secs_f32(total),
        );
        let mut lines = Vec::new();
        let outcome = follow(
            command,
            &dir.path().join("log/console.log"),
            limits,
            // A report over many lines is told once more when it is whole.
            |_, text| {
                if !text.contains('\n') {
                    lines.push(text.to_owned());
                }
            },
        )
        .expect("the stand-in guest starts");
        assert_eq!(
            fs::read_to_string(&outcome.log)
                .expect("log")
                .lines()
                .count(),
            lines.len()
        );
        (outcome, lines)
    }

    #[test]
    fn good_end_has_no_faults() {
        let (outcome, lines) = guest("printf 'hello\\r\\n@@evf exit 0\\r\\n'", 20.0, 30.0);
        assert_eq!((outcome.end.clone(), outcome.exit), (End::Off, Some(0)));
        assert_eq!(lines, ["hello", "@@evf exit 0"]);
        assert!(outcome.faults().is_empty(), "{:?}", outcome.faults());
    }

    #[test]
    fn end_without_sentinel_is_a_fault_and_shows_the_tail() {
        let (outcome, _) = guest("echo all is well; printf 'no line end'", 20.0, 30.0);
        assert!(outcome.faults()[0].contains("sentinel"));
        assert!(
            outcome
                .report()
                .contains("| all is well\n  | no line end\n"),
            "{}",
            outcome.report()
        );
    }

    #[test]
    fn silence_past_the_limit_is_a_fault() {
        let (outcome, _) = guest("echo up; exec sleep 30", 0.3, 20.0);
        assert_eq!(outcome.end, End::Silence(Duration::from_secs_f32(0.3)));
        assert!(outcome.took < Duration::from_secs(10));
        assert!(outcome.faults()[0].contains("silent"));
    }

    #[test]
    fn silence_before_user_space_is_told_from_silence_after_it() {
        let (outcome, _) = guest("echo booting; exec sleep 30", 0.3, 20.0);
        assert!(outcome.hung_before_init());
        let (outcome, _) = guest(
            "echo '[ 1.0] Run /init as init process'; exec sleep 30",
            0.3,
            20.0,
        );
        assert!(outcome.to_init.is_some() && !outcome.hung_before_init());
        let (outcome, _) = guest(
            "echo '[    1.000001] BUG: all is lost'; exec sleep 30",
            0.3,
            20.0,
        );
        assert!(!outcome.hung_before_init());
        let (outcome, _) = guest("echo booting", 20.0, 20.0);
        assert!(!outcome.hung_before_init());
    }

    #[test]
    fn slower_guest_has_so_many_times_the_limits() {
        let second = Duration::from_secs(1);
        let limits = Limits::new(second, 2 * second).times(10);
        assert_eq!(
            (limits.silence, limits.boot, limits.total),
            (10 * second, 10 * BOOT_SILENCE, 20 * second)
        );
    }

    #[test]
    fn chatter_past_the_total_limit_is_a_fault() {
        let (outcome, _) = guest("while echo x; do sleep 0.05; done", 5.0, 0.5);
        assert_eq!(outcome.end, End::Timeout(Duration::from_secs_f32(0.5)));
    }

    #[test]
    fn splat_is_a_fault_even_if_all_else_is_well() {
        let (outcome, _) = guest(
            "echo '[    1.000001] WARNING: CPU: 0 PID: 1 at x.c:1'; echo '@@evf exit 0'",
            20.0,
            30.0,
        );
        assert_eq!(outcome.exit, Some(0));
        assert!(outcome.faults()[0].contains("x.c:1"));
    }

    #[test]
    fn race_is_a_fault_if_it_is_the_modules() {
        let report = |function| {
            guest(
                &format!("echo '[    1.000001] BUG: KCSAN: data-race in f / g'; echo '[    1.000002] {function}'; echo '@@evf exit 0'"),
                20.0,
                30.0,
            )
            .0
        };
        let kernels = report("g+0x1/0x2");
        assert!(kernels.faults().is_empty(), "{:?}", kernels.faults());
        assert_eq!(kernels.foreign_races, 1);
        let ours = report("g+0x1/0x2 [evfilter]");
        assert!(ours.faults()[0].contains("KCSAN"), "{:?}", ours.faults());
        assert_eq!(ours.foreign_races, 0);
    }

    #[test]
    fn torn_protocol_line_is_no_fault() {
        let (outcome, _) = guest("echo '@@evf exit [    1.000001] words'; echo 0", 20.0, 30.0);
        assert_eq!((outcome.exit, outcome.faults()), (Some(0), vec![]));
    }

    #[test]
    fn garbled_protocol_is_a_fault() {
        let (outcome, _) = guest("echo '@@evf ok half'; echo '@@evf exit 0'", 20.0, 30.0);
        assert!(outcome.faults()[0].contains("half"));
    }
}

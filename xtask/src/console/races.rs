// SPDX-License-Identifier: GPL-2.0

//! Reports of the kernel's detector of data races (KCSAN), each over several lines. The kernel has races of its own, which its developers know and
//! which are not what a run is for; a report is the module's if any function in it is that was not merely interrupted.

use super::{Line, kernel_message};

/// What stands behind the name of each of the module's functions.
const OURS: &str = "[evfilter]";
/// What stands on the stack between an interrupt and what it came into.
const INTERRUPTS: [&str; 2] = [" asm_sysvec_", " asm_common_interrupt"];
/// How a report ends, as it begins.
const RULE: &str = "==================================================================";

/// The reports so far.
#[derive(Debug, Default)]
pub(crate) struct Races {
    open: Option<Report>,
    foreign: u32,
}

#[derive(Debug)]
struct Report {
    text: Vec<String>,
    ours: bool,
    /// The next functions of the stack are what an interrupt came into.
    interrupted: bool,
}

impl Report {
    fn take(&mut self, line: &str, message: &str) {
        if message.trim().is_empty() {
            self.interrupted = false;
        }
        self.interrupted |= INTERRUPTS.iter().any(|entry| message.contains(entry));
        self.ours |= !self.interrupted && message.contains(OURS);
        self.text.push(line.to_owned());
    }
}

impl Races {
    /// Takes in a line of the console; gives the report that it ends, if that names the module.
    pub(crate) fn take(&mut self, read: &Line<'_>, line: &str) -> Option<String> {
        if let Line::Race(_) = read {
            // One that never ended: its reporter may have been stopped.
            let before = self.end();
            self.open = Some(Report {
                text: vec![line.to_owned()],
                ours: line.contains(OURS),
                interrupted: false,
            });
            return before;
        }
        let message = kernel_message(line)?;
        let open = self.open.as_mut()?;
        if message.trim() == RULE {
            return self.end();
        }
        open.take(line, message);
        None
    }

    /// Ends the report that is open; the module's is given.
    pub(crate) fn end(&mut self) -> Option<String> {
        let report = self.open.take()?;
        if !report.ours {
            self.foreign += 1;
            return None;
        }
        Some(report.text.join("\n    "))
    }

    /// How many did not name the module.
    pub(crate) fn foreign(&self) -> u32 {
        self.foreign
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::read;

    /// What is told of a console, and how many reports are not.
    fn told(console: &str) -> (Vec<String>, u32) {
        let mut races = Races::default();
        let mut told: Vec<String> = console
            .lines()
            .filter_map(|line| races.take(&read(line), line))
            .collect();
        told.extend(races.end());
        (told, races.foreign())
    }

    const FOREIGN: &str = "[    1.000001] ==================================================================\n\
        [    1.000002] BUG: KCSAN: data-race in d_path / rename\n\
        [    1.000003] write to 0xffff of 4 bytes by task 7 on cpu 1:\n\
        [    1.000004]  rename+0x1/0x2\n\
        @@evf ok a::b 1\n\
        [    1.000005] ==================================================================\n";

    #[test]
    fn race_of_the_kernel_is_counted() {
        assert_eq!(told(FOREIGN), (vec![], 1));
        assert_eq!(told(&FOREIGN.repeat(3)), (vec![], 3));
    }

    #[test]
    fn race_that_names_the_module_anywhere_is_told_whole() {
        for (from, to) in [
            ("d_path /", "evf_enter [evfilter] /"),
            ("rename+0x1/0x2", "evf_push+0x1/0x2 [evfilter]"),
        ] {
            let (told, foreign) = told(&(FOREIGN.replace(from, to) + FOREIGN));
            assert_eq!((told.len(), foreign), (1, 1), "{to}");
            assert!(
                told[0].contains("BUG: KCSAN") && told[0].contains("by task 7"),
                "{told:?}"
            );
            assert!(!told[0].contains("@@evf"), "{told:?}");
        }
    }

    #[test]
    fn what_an_interrupt_came_into_takes_no_part() {
        let stack = |functions: &[&str]| {
            let lines: String = functions
                .iter()
                .map(|function| format!("[    1.000003]  {function}\n"))
                .collect();
            FOREIGN.replace("[    1.000003] write", &(lines + "[    1.000003] write"))
        };
        let entry = "asm_sysvec_apic_timer_interrupt+0x1/0x2";
        let ours = "evf_push+0x1/0x2 [evfilter]";
        assert_eq!(told(&stack(&["timer", entry, ours])), (vec![], 1));
        assert_eq!(told(&stack(&[ours, entry, "f"])).0.len(), 1);
        let next = stack(&["timer", entry, ours, "", "read by task:", ours]);
        assert_eq!(told(&next).0.len(), 1);
    }

    #[test]
    fn report_without_an_end_counts_all_the_same() {
        let open = FOREIGN.rsplit_once("[    1.000005]").expect("the rule").0;
        assert_eq!(told(open), (vec![], 1));
        let ours = open.replace("rename+", "evf_push [evfilter]+");
        assert_eq!(told(&ours).0.len(), 1);
        assert_eq!(told(&(ours + FOREIGN)).0.len(), 1);
    }

    #[test]
    fn module_named_outside_of_a_report_is_none() {
        assert_eq!(told("[    1.000001] evf_push [evfilter]\n"), (vec![], 0));
    }
}

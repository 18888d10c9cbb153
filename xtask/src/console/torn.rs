// SPDX-License-Identifier: GPL-2.0

//! Protocol lines that a message of the kernel has torn apart: the kernel waits for nobody's line end, and goes on to the next line after its own.

use super::{MARK, stamped};

/// The part of a protocol line that came before the kernel's message.
#[derive(Debug, Default)]
pub(crate) struct Torn(Option<String>);

impl Torn {
    /// The lines that are whole with this line of the console. What a test prints may well quote the kernel and is left alone.
    pub(crate) fn mend(&mut self, line: &str) -> Vec<String> {
        if let Some(head) = self.0.take() {
            let stamp = stamped(line).map(|(at, _)| at);
            if stamp == Some(0) {
                self.0 = Some(head);
                return vec![line.to_owned()];
            }
            if line.starts_with(MARK) {
                let mut lines = vec![head];
                lines.extend(self.mend(line));
                return lines;
            }
            return self.mend(&(head + line));
        }
        match (line.find(MARK), stamped(line)) {
            (Some(mark), Some((at, _)))
                if mark < at && !line[mark + MARK.len()..].starts_with("out ") =>
            {
                self.0 = Some(line[..at].to_owned());
                vec![line[at..].to_owned()]
            }
            _ => vec![line.to_owned()],
        }
    }

    /// What the end of the console leaves torn.
    pub(crate) fn rest(self) -> Option<String> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mended(lines: &[&str]) -> Vec<String> {
        let mut torn = Torn::default();
        let mut whole: Vec<String> = lines.iter().flat_map(|line| torn.mend(line)).collect();
        whole.extend(torn.rest());
        whole
    }

    #[test]
    fn torn_lines_are_whole_behind_the_message() {
        for (lines, expected) in [
            (
                &[
                    "@@evf ok a::b 20[   40.667511] evf_log: 27 callbacks suppressed",
                    "",
                ] as &[_],
                &[
                    "[   40.667511] evf_log: 27 callbacks suppressed",
                    "@@evf ok a::b 20",
                ] as &[_],
            ),
            (
                &[
                    "@@evf start a:[    1.000001] x",
                    "[    1.000002] y",
                    ":b",
                    "z",
                ],
                &[
                    "[    1.000001] x",
                    "[    1.000002] y",
                    "@@evf start a::b",
                    "z",
                ],
            ),
            (
                &[
                    "@@evf done pas[    1.000001] x",
                    "sed=1[    1.000002] y",
                    " failed=0",
                ],
                &[
                    "[    1.000001] x",
                    "[    1.000002] y",
                    "@@evf done passed=1 failed=0",
                ],
            ),
        ] {
            assert_eq!(mended(lines), expected);
        }
    }

    #[test]
    fn line_that_never_goes_on_is_given_as_it_is() {
        assert_eq!(
            mended(&["@@evf ok a::b[    1.000001] x", "@@evf start c::d"]),
            ["[    1.000001] x", "@@evf ok a::b", "@@evf start c::d"]
        );
        assert_eq!(
            mended(&["@@evf ok a[    1.000001] x"]),
            ["[    1.000001] x", "@@evf ok a"]
        );
    }

    #[test]
    fn whole_lines_stay_as_they_are() {
        for line in [
            "",
            "text [    1.000001] x",
            "[    1.000001] x@@evf ok a::b 1",
            "@@evf ok a::b 1",
            "@@evf out the log says [    1.000001] x",
        ] {
            assert_eq!(mended(&[line]), [line]);
        }
    }
}

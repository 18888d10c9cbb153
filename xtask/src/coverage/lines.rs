// SPDX-License-Identifier: GPL-2.0

//! From blocks to lines of the source: which have code in the module, and which of those have run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use addr2line::Context as Addresses;
use addr2line::gimli::{Dwarf, EndianSlice, LittleEndian, SectionId};
use anyhow::{Context as _, Result, bail};

use super::code::Code;
use super::flow::{self, Block};
use super::names;

type Reader<'a> = EndianSlice<'a, LittleEndian>;

/// One line that has code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// The function in which it stands.
    pub(crate) function: String,
    pub(crate) ran: bool,
}

/// The lines of a file that have code, by their numbers.
pub(crate) type File = BTreeMap<u32, Line>;

/// The lines of all files below the directories of the checkout that hold the module's own code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lines {
    pub(crate) files: BTreeMap<PathBuf, File>,
    /// Lines of whose code nobody can tell whether it has run; they count nowhere else.
    pub(crate) untold: BTreeSet<(PathBuf, u32)>,
}

impl Lines {
    /// The lines of `code`, compiled from the checkout `repo`, of which the places `seen` have run.
    pub(crate) fn of(code: &Code, seen: &BTreeSet<u64>, repo: &Path) -> Result<Self> {
        if let Some(stray) = seen.iter().find(|at| !code.calls.contains(at)) {
            bail!(
                "the collector saw {stray:#x}, where the module has no call of it: not the module that ran, or the kernel lays modules out in another way"
            );
        }
        let dwarf = Dwarf::load(|id: SectionId| {
            Ok::<_, anyhow::Error>(Reader::new(code.debug(id.name()), LittleEndian))
        })?;
        let addresses = Addresses::from_dwarf(dwarf).context("read the debug information")?;
        let mut lines = Self::default();
        let mut openings = BTreeSet::new();
        for function in &code.functions {
            let Some(blocks) = flow::blocks(function, code, seen)? else {
                continue;
            };
            for block in blocks {
                lines.add(&addresses, block, repo)?;
            }
            let place = addresses.find_location(function.start)?;
            openings.extend(place.and_then(|place| Some((own(place.file?, repo)?, place.line?))));
        }
        for (path, file) in &mut lines.files {
            let source = repo.join(path);
            let text = std::fs::read_to_string(&source)
                .with_context(|| format!("read {}", source.display()))?;
            frame(
                file,
                |number, line| line.trim() == "}" || openings.contains(&(path.clone(), number)),
                &text,
            );
        }
        let files = &lines.files;
        lines.untold.retain(|(path, number)| {
            !files
                .get(path)
                .is_some_and(|file| file.contains_key(number))
        });
        if lines.files.is_empty() {
            bail!("no line of the checkout has code in the module");
        }
        Ok(lines)
    }

    /// Takes in a block.
    fn add(&mut self, addresses: &Addresses<Reader<'_>>, block: Block, repo: &Path) -> Result<()> {
        for (row, _, _) in addresses.find_location_range(block.start, block.end)? {
            let mut frames = addresses
                .find_frames(row.max(block.start))
                .skip_all_loads()
                .context("read the debug information")?;
            // What was inlined, and where it was inlined to.
            while let Some(frame) = frames.next()? {
                let Some(place) = frame.location else {
                    continue;
                };
                let (Some(path), Some(number)) =
                    (place.file.and_then(|file| own(file, repo)), place.line)
                else {
                    continue;
                };
                if number == 0 {
                    continue;
                }
                let Some(ran) = block.ran else {
                    self.untold.insert((path, number));
                    continue;
                };
                let name = match &frame.function {
                    Some(name) => {
                        let raw = name.raw_name()?;
                        names::simple(&format!("{:#}", rustc_demangle::demangle(&raw)))
                    }
                    None => String::new(),
                };
                let line = self
                    .files
                    .entry(path)
                    .or_default()
                    .entry(number)
                    .or_insert_with(|| Line {
                        function: name,
                        ran: false,
                    });
                line.ran |= ran;
            }
        }
        Ok(())
    }
}

/// Lets lines that only open or close a function count as the rest of it does. A function that is inlined wherever it is called leaves a copy that
/// never runs, and only these lines are nowhere else.
fn frame(file: &mut File, is_frame: impl Fn(u32, &str) -> bool, text: &str) {
    let frames: BTreeSet<u32> = (1..)
        .zip(text.lines())
        .filter(|(number, line)| is_frame(*number, line))
        .map(|(number, _)| number)
        .collect();
    let ran: BTreeSet<String> = file
        .iter()
        .filter(|(number, line)| line.ran && !frames.contains(number))
        .map(|(_, line)| line.function.clone())
        .collect();
    for (number, line) in file {
        line.ran |= frames.contains(number) && ran.contains(&line.function);
    }
}

/// The path in the checkout of a file of the module's own; none for the kernel's and what was bought.
fn own(file: &str, repo: &Path) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for part in Path::new(file).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::CurDir => {}
            part => path.push(part),
        }
    }
    let path = path.strip_prefix(repo).ok()?;
    super::ROOMS
        .iter()
        .any(|room| path.starts_with(room))
        .then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_around_a_function_count_as_its_others() {
        let text = "fn f() {\n    a();\n}\nfn g() {\n    b();\n}\n";
        let after = |ran: [bool; 6]| {
            let mut file: File = (1..)
                .zip(ran)
                .map(|(number, ran)| {
                    let function = if number < 4 { "f" } else { "g" }.to_owned();
                    (number, Line { function, ran })
                })
                .collect();
            let opens = |number| number == 1 || number == 4;
            frame(&mut file, |number, line| line == "}" || opens(number), text);
            file.into_values().map(|line| line.ran).collect::<Vec<_>>()
        };
        let f_only = [true, true, true, false, false, false];
        assert_eq!(after([false, true, false, false, false, false]), f_only);
        // That a function was entered says nothing about what is in it.
        let entered = [true, false, false, false, false, false];
        assert_eq!(after(entered), entered);
        assert_eq!(after([false; 6]), [false; 6]);
    }

    #[test]
    fn only_the_modules_own_files_count() {
        let repo = Path::new("/r");
        for (file, expected) in [
            (
                "/r/module/./../filters/src/vm.rs",
                Some("filters/src/vm.rs"),
            ),
            ("/r/module/path.c", Some("module/path.c")),
            ("/r/uapi/src/lib.rs", Some("uapi/src/lib.rs")),
            (
                "/r/target/evfilter/module/x/crates/heapless/src/vec.rs",
                None,
            ),
            ("/usr/src/linux/include/linux/rcupdate.h", None),
            ("include/linux/rcupdate.h", None),
            ("/r/cli/src/main.rs", None),
        ] {
            assert_eq!(
                own(file, repo).as_deref(),
                expected.map(Path::new),
                "{file}"
            );
        }
    }
}

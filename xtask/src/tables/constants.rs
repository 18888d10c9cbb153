// SPDX-License-Identifier: GPL-2.0

//! Names of values: which ones belong together is written in `constants/*.toml`, what they are the C compiler says.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::buildroot::Root;
use crate::exec;

/// A file of `constants/`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    group: Vec<Group>,
}

/// Names whose values an argument can have.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Group {
    /// Its name in `args.tbl`.
    name: String,
    /// What it names, for messages.
    title: String,
    /// Whether the values can be joined.
    #[serde(default)]
    flags: bool,
    /// Values are shown as hexadecimal numbers, as flags always are.
    #[serde(default)]
    hex: bool,
    /// Values have 32 bits without a sign, whatever the macro's type is.
    #[serde(default)]
    unsigned: bool,
    /// Smaller values are something else under a similar name.
    #[serde(default)]
    min: i128,
    /// Each is read by itself, unless joined with `+`.
    headers: Vec<String>,
    /// Macros and enum constants, with `*` for any run of characters.
    #[serde(default)]
    names: Vec<String>,
    /// Those among them that mean something else.
    except: Option<Vec<String>>,
    /// Enums all of whose constants belong here.
    #[serde(default)]
    enums: Vec<String>,
}

/// Reads the files of `constants/`, in the order of their names.
pub(super) fn groups(dir: &Path) -> Result<Vec<Group>> {
    let entries = fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))?;
    let mut files = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .with_context(|| format!("read {}", dir.display()))?;
    files.sort();
    let mut groups: Vec<Group> = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let spec: Spec = toml::from_str(&text).with_context(|| file.display().to_string())?;
        for group in spec.group {
            if groups.iter().any(|known| known.name == group.name) {
                bail!(
                    "{}: the group {} is there twice",
                    file.display(),
                    group.name
                );
            }
            groups.push(group);
        }
    }
    Ok(groups)
}

impl Group {
    fn wants(&self, name: &str) -> bool {
        let any = |list: &[String]| list.iter().any(|pattern| fits(pattern, name));
        any(&self.names) && !any(self.except.as_deref().unwrap_or_default())
    }
}

/// Whether `name` fits `pattern`, in which `*` stands for any run of characters.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(rest) = name.strip_prefix(head) else {
        return false;
    };
    (0..=rest.len()).any(|at| rest.is_char_boundary(at) && fits(tail, &rest[at..]))
}

/// The C compiler, with the headers of the kernel before those of the C library.
pub(super) struct Compiler<'a> {
    pub(super) root: Root,
    pub(super) gcc: &'a str,
    pub(super) headers: &'a Path,
    /// A directory for its files.
    pub(super) scratch: &'a Path,
}

impl Compiler<'_> {
    /// The text of `constants.tbl`.
    pub(super) fn constants(&self, groups: &[Group], release: &str) -> Result<String> {
        let mut text = format!(
            "# SPDX-License-Identifier: GPL-2.0\n\
             # Names for argument values, in groups: [group] kind, what it names. \"values\" exclude each other, \"flags\" can be joined with |.\n\
             # Source: the headers of Linux {release} (uapi) and of the GNU C library for x86_64, evaluated by the C compiler. Made by `cargo xtask tables`.\n"
        );
        let all = self.values("constants", groups)?;
        let empty: Vec<&str> = groups
            .iter()
            .zip(&all)
            .filter(|(_, values)| values.is_empty())
            .map(|(group, _)| group.name.as_str())
            .collect();
        if !empty.is_empty() {
            bail!("no header defines a name of {}", empty.join(", "));
        }
        for (group, values) in groups.iter().zip(all) {
            let kind = if group.flags { "flags" } else { "values" };
            text.push_str(&format!("\n[{}] {kind}, {}\n", group.name, group.title));
            for (name, value) in ordered(group, values) {
                text.push_str(&format!("{name} {}\n", shown(group, value)));
            }
        }
        Ok(text)
    }

    /// The text of `errno.tbl`.
    pub(super) fn errnos(&self, release: &str) -> Result<String> {
        let group = Group {
            name: "errno".to_owned(),
            title: String::new(),
            flags: false,
            hex: false,
            unsigned: false,
            min: 1,
            headers: vec!["errno.h".to_owned()],
            names: vec!["E*".to_owned()],
            except: None,
            enums: Vec::new(),
        };
        let values = self.values("errno", &[group])?.into_iter().flatten();
        // Of several names, the one that programs print.
        const FIRST: [&str; 3] = ["EAGAIN", "EDEADLK", "EOPNOTSUPP"];
        let mut values: Vec<(i128, bool, String)> = values
            .map(|(name, value)| (value, !FIRST.contains(&name.as_str()), name))
            .collect();
        values.sort();
        let mut text = format!(
            "# SPDX-License-Identifier: GPL-2.0\n\
             # Error numbers; where a number has several names, the first is the one that is printed.\n\
             # Source: <errno.h> of Linux {release} for x86_64, evaluated by the C compiler. Made by `cargo xtask tables`.\n"
        );
        for (number, _, name) in values {
            text.push_str(&format!("{name} {number}\n"));
        }
        Ok(text)
    }

    /// Names and values of each group. `place` is a directory of its own in the scratch.
    fn values(&self, place: &str, groups: &[Group]) -> Result<Vec<BTreeMap<String, i128>>> {
        let dir = self.scratch.join(place);
        fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
        let write = |file: &str, text: String| {
            let path = dir.join(format!("{file}.c"));
            fs::write(&path, text).with_context(|| format!("write {}", path.display()))
        };
        let read = |file: &str, kind: &str| {
            let path = dir.join(format!("{file}.{kind}"));
            fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
        };
        // A header at a time: some of the kernel's do not go together with the C library's.
        let mut parts = Vec::new();
        for (index, group) in groups.iter().enumerate() {
            for header in &group.headers {
                let file = format!("{}-{}", group.name, header.replace(['/', '.', '+'], "-"));
                write(&file, include(header))?;
                parts.push((index, group, header, file));
            }
        }
        self.each(
            &dir,
            "$CC -E -dM -o $f.macros $f.c; $CC -E -P -o $f.text $f.c",
        )
        .context("read the headers")?;
        for (_, group, header, file) in &parts {
            let mut names = macros(&read(file, "macros")?, group);
            names.extend(enum_constants(&read(file, "text")?, group));
            names.sort();
            names.dedup();
            write(file, program(header, &names))?;
        }
        self.each(
            &dir,
            "$CC -w -o $f.out $f.c && ./$f.out >$f.values || bad=1",
        )
        .context("evaluate the names")?;
        let mut all = vec![BTreeMap::new(); groups.len()];
        for (index, group, _, file) in &parts {
            for line in read(file, "values")?.lines() {
                let (name, value) = line
                    .split_once(' ')
                    .with_context(|| format!("{file}: {line:?} is no name and value"))?;
                let mut value: i128 = value.parse().with_context(|| line.to_owned())?;
                if group.unsigned && value < 0 {
                    value &= 0xffff_ffff;
                }
                if value >= group.min || value < 0 {
                    all[*index].entry(name.to_owned()).or_insert(value);
                }
            }
        }
        Ok(all)
    }

    /// Runs `script` inside the root for each C file in `dir`; `$f` is the file without its ending, `$CC` the compiler.
    fn each(&self, dir: &Path, script: &str) -> Result<()> {
        let script = format!(
            "CC='{} -isystem {}'; cd {}; bad=0; for f in *.c; do f=${{f%.c}}; {script}; done; exit $bad",
            self.gcc,
            self.headers.display(),
            dir.display()
        );
        let mut command = self
            .root
            .inside("sh")
            .args(["-ec", &script])
            .bind(self.scratch)
            .command()?;
        exec::output(&mut command).map(|_| ())
    }
}

/// `header` may be several, joined by `+`.
fn include(header: &str) -> String {
    let mut text = "#define _GNU_SOURCE\n".to_owned();
    for header in header.split('+') {
        text.push_str(&format!("#include <{header}>\n"));
    }
    text
}

/// A program that prints the names and their values.
fn program(header: &str, names: &[String]) -> String {
    let mut text = include(header);
    // Numbers of ioctls are made by macros that not every header brings along.
    text.push_str("#include <stdio.h>\n#include <sys/ioctl.h>\nint main(void)\n{\n");
    for name in names {
        text.push_str(&format!(
            "\tprintf(\"{name} %lld\\n\", (long long)({name}));\n"
        ));
    }
    text.push_str("\treturn 0;\n}\n");
    text
}

/// The macros without arguments that the group wants.
fn macros(listing: &str, group: &Group) -> Vec<String> {
    let mut names: Vec<String> = listing
        .lines()
        .filter_map(|line| line.strip_prefix("#define ")?.split_once(' '))
        .filter(|(name, value)| {
            !(name.contains('(') || value.trim().is_empty()) && group.wants(name)
        })
        .map(|(name, _)| name.to_owned())
        .collect();
    names.sort();
    names
}

/// The enum constants in preprocessed text that the group wants.
fn enum_constants(text: &str, group: &Group) -> Vec<String> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut found = Vec::new();
    let mut rest = text.as_str();
    while let Some((_, after)) = rest.split_once("enum ") {
        rest = after;
        let Some((name, body)) = after.split_once('{') else {
            break;
        };
        let name = name.trim();
        if name.contains(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            // A use of an enum, not its definition.
            continue;
        }
        let Some((body, after)) = body.split_once('}') else {
            break;
        };
        rest = after;
        let whole = !name.is_empty() && group.enums.iter().any(|wanted| wanted == name);
        let constants = body
            .split(',')
            .filter_map(|part| part.split('=').next()?.split_whitespace().next());
        found.extend(
            constants
                .filter(|constant| !constant.starts_with("__"))
                .filter(|constant| whole || group.wants(constant))
                .map(str::to_owned),
        );
    }
    found
}

/// By value; negative ones last.
fn ordered(group: &Group, values: BTreeMap<String, i128>) -> Vec<(String, i128)> {
    let excluded = group.except.as_deref().unwrap_or_default();
    let mut values: Vec<(String, i128)> = values
        .into_iter()
        .filter(|(name, _)| !excluded.iter().any(|pattern| fits(pattern, name)))
        .collect();
    values.sort_by_key(|(name, value)| (*value < 0, *value, name.clone()));
    values
}

fn shown(group: &Group, value: i128) -> String {
    if value < 10 || !(group.flags || group.hex) {
        value.to_string()
    } else {
        format!("{value:#x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: &str = "[[group]]\nname = \"O\"\ntitle = \"open flags\"\nflags = true\nheaders = [\"fcntl.h\"]\nnames = [\"O_*\"]\nexcept = [\"O_*SYNC\"]\n";

    /// The groups of files with these texts.
    fn read(texts: &[&str]) -> Result<Vec<Group>> {
        let dir = tempfile::tempdir().expect("temporary directory");
        for (index, text) in texts.iter().enumerate() {
            fs::write(dir.path().join(format!("{index}.toml")), text).expect("file");
        }
        groups(dir.path())
    }

    fn group() -> Group {
        read(&[SPEC]).expect("a group").remove(0)
    }

    #[test]
    fn patterns_are_names_with_stars() {
        assert!(fits("O_*", "O_RDONLY") && fits("*_OK", "R_OK") && fits("A*C*E", "ABCDE"));
        assert!(!fits("O_*", "FO_X") && !fits("O_", "O_X") && !fits("A*C*E", "ABDE"));
    }

    #[test]
    fn macros_with_arguments_or_without_value_are_left_out() {
        let group = &group();
        let listing = "#define O_RDWR 02\n#define O_DSYNC 1\n#define O_X(a) a\n#define O_EMPTY \n#define Q 1\n#define O_APPEND 02000\n";
        assert_eq!(macros(listing, group), ["O_APPEND", "O_RDWR"]);
    }

    #[test]
    fn enum_constants_are_those_of_a_wanted_enum_or_of_a_wanted_name() {
        let text = "enum other { A, O_ONE = 1 };\nint f(enum other x) { return 0; }\nenum bpf_cmd {\n BPF_MAP_CREATE,\n BPF_PROG_RUN = 3,\n BPF_ALIAS=BPF_PROG_RUN,\n __MAX_BPF_CMD,\n};\nenum\n{\n O_TWO\n};";
        let mut group = group();
        assert_eq!(enum_constants(text, &group), ["O_ONE", "O_TWO"]);
        group.enums = vec!["bpf_cmd".to_owned()];
        assert_eq!(
            enum_constants(text, &group),
            [
                "O_ONE",
                "BPF_MAP_CREATE",
                "BPF_PROG_RUN",
                "BPF_ALIAS",
                "O_TWO"
            ]
        );
    }

    #[test]
    fn values_are_ordered_and_shown_as_their_group_is() {
        let group = &group();
        let values = [("O_C", 64), ("O_B", 64), ("O_A", 2), ("O_N", -100)];
        let values = values.map(|(name, value)| (name.to_owned(), value)).into();
        let lines: Vec<String> = ordered(group, values)
            .into_iter()
            .map(|(name, value)| format!("{name} {}", shown(group, value)))
            .collect();
        assert_eq!(lines, ["O_A 2", "O_B 0x40", "O_C 0x40", "O_N -100"]);
    }

    #[test]
    fn a_group_that_is_there_twice_is_refused() {
        for texts in [&[&*format!("{SPEC}{SPEC}")][..], &[SPEC, SPEC]] {
            let error = read(texts).expect_err("twice").to_string();
            assert!(error.contains("the group O is there twice"), "{error}");
        }
        assert!(read(&["[[group]]\nname = \"x\"\n"]).is_err());
    }

    #[test]
    fn the_groups_of_this_checkout_are_read() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tables/constants");
        assert!(groups(&dir).expect("groups").len() > 90);
    }
}

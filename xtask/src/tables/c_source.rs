// SPDX-License-Identifier: GPL-2.0

//! The `SYSCALL_DEFINE` macros of the kernel's source: how each system call declares its arguments.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// An argument as declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Param {
    pub(super) kind: String,
    pub(super) name: String,
}

/// Every definition, by name, native ones and those for 32-bit callers.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    native: HashMap<String, Vec<Param>>,
    compat: HashMap<String, Vec<Param>>,
}

/// Directories at the top of the source that have no code of this kernel.
const FOREIGN: [&str; 4] = ["tools", "Documentation", "scripts", "samples"];

impl Definitions {
    /// Reads all C files of the source. Where a call is defined more than once, the configuration decides, and else the first in the order of the paths.
    pub(super) fn read(source: &Path, config: &str) -> Result<Self> {
        let mut files = Vec::new();
        collect(source, source, &mut files)?;
        // Kernels without an MMU have definitions of their own.
        files.sort_by_key(|path| (path.to_string_lossy().contains("nommu"), path.clone()));
        let config = options(config);
        let mut definitions = Self::default();
        let mut switched_off = Vec::new();
        for file in files {
            let bytes = fs::read(&file).with_context(|| format!("read {}", file.display()))?;
            let text = String::from_utf8_lossy(&bytes);
            if !text.contains("_DEFINE") {
                continue;
            }
            let text = without_comments(&text);
            definitions.add(&configured(&text, &config));
            switched_off.push(text);
        }
        // What this configuration leaves out still has a number.
        for text in switched_off {
            definitions.add(&text);
        }
        Ok(definitions)
    }

    /// The native definition of this name, without `sys_`.
    pub(super) fn native(&self, name: &str) -> Option<&[Param]> {
        self.native.get(name).map(Vec::as_slice)
    }

    /// The definition for 32-bit callers.
    pub(super) fn compat(&self, name: &str) -> Option<&[Param]> {
        self.compat.get(name).map(Vec::as_slice)
    }

    /// Adds the definitions in `text`; those that are there already stay.
    pub(super) fn add(&mut self, text: &str) {
        const MARK: &str = "_DEFINE";
        let mut at = 0;
        while let Some(found) = text[at..].find(MARK) {
            let mark = at + found;
            at = mark + MARK.len();
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let start = text[..mark].rfind(|c| !word(c)).map_or(0, |end| end + 1);
            let compat = match &text[start..mark] {
                "SYSCALL" | "SYSCALL64" => false,
                "COMPAT_SYSCALL" | "COMPAT_SYSCALL32" | "SYSCALL32" => true,
                _ => continue,
            };
            let rest = &text[at..];
            let Some(count) = rest.chars().next().and_then(|c| c.to_digit(10)) else {
                continue;
            };
            let Some(inner) = rest[1..].strip_prefix('(').and_then(bracketed) else {
                continue;
            };
            let Some((name, params)) = declaration(inner, count as usize) else {
                continue;
            };
            let map = if compat {
                &mut self.compat
            } else {
                &mut self.native
            };
            map.entry(name).or_insert(params);
        }
    }
}

fn collect(top: &Path, dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("read {}", dir.display()))?;
        let path = entry.path();
        let kind = entry
            .file_type()
            .with_context(|| format!("read {}", path.display()))?;
        if kind.is_dir() {
            let below = path.strip_prefix(top).unwrap_or(&path);
            let arch = below.parent() == Some(Path::new("arch")) && !below.ends_with("x86");
            let foreign = FOREIGN.iter().any(|name| below == Path::new(name));
            if !(arch || foreign || below == Path::new("arch/x86/um")) {
                collect(top, &path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "c") {
            files.push(path);
        }
    }
    Ok(())
}

/// The options that a kernel configuration sets.
fn options(config: &str) -> HashSet<&str> {
    config
        .lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(_, value)| *value != "n")
        .map(|(name, _)| name)
        .collect()
}

fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('/') {
        let (before, slash) = rest.split_at(at);
        out.push_str(before);
        rest = match slash.as_bytes().get(1) {
            Some(b'*') => slash[2..].split_once("*/").map_or("", |(_, after)| after),
            Some(b'/') => slash.find('\n').map_or("", |end| &slash[end..]),
            _ => {
                out.push('/');
                &slash[1..]
            }
        };
    }
    out.push_str(rest);
    out
}

/// The text without what the configuration switches off. Conditions on anything else than one option leave both branches.
fn configured(text: &str, config: &HashSet<&str>) -> String {
    /// The branches of one `#if` so far: whether the present one is in, and whether an earlier one certainly was.
    struct Branch {
        on: bool,
        taken: bool,
    }
    let mut open: Vec<Branch> = Vec::new();
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let directive = line.trim_start().strip_prefix('#').map(str::trim);
        let (word, rest) = directive
            .map(|text| {
                text.split_once(|c: char| !c.is_ascii_alphabetic())
                    .unwrap_or((text, ""))
            })
            .unwrap_or_default();
        let condition = match word {
            "ifdef" => Some((false, option(rest, config))),
            "ifndef" => Some((false, option(rest, config).map(|set| !set))),
            "if" => Some((false, defined(rest, config))),
            "elif" => Some((true, defined(rest, config))),
            "else" => Some((true, None)),
            "endif" => {
                open.pop();
                continue;
            }
            _ => None,
        };
        match condition {
            Some((false, value)) => open.push(Branch {
                on: value != Some(false),
                taken: value == Some(true),
            }),
            Some((true, value)) => {
                if let Some(branch) = open.last_mut() {
                    branch.on = !branch.taken && value != Some(false);
                    branch.taken |= value == Some(true);
                }
            }
            None if open.iter().all(|branch| branch.on) => {
                out.push_str(line);
                out.push('\n');
            }
            None => {}
        }
    }
    out
}

/// Whether the single option named by `text` is set; `None` for any other text.
fn option(text: &str, config: &HashSet<&str>) -> Option<bool> {
    let name = text.trim();
    let plain = name.starts_with("CONFIG_") && !name.contains(char::is_whitespace);
    plain.then(|| config.contains(name))
}

fn defined(text: &str, config: &HashSet<&str>) -> Option<bool> {
    let text = text.trim();
    let (negated, text) = match text.strip_prefix('!') {
        Some(rest) => (true, rest.trim()),
        None => (false, text),
    };
    let name = ["defined", "IS_ENABLED"]
        .into_iter()
        .find_map(|word| text.strip_prefix(word))?
        .trim()
        .strip_prefix('(')?
        .strip_suffix(')')?;
    option(name, config).map(|set| set != negated)
}

/// What stands before the bracket that closes the one already read.
fn bracketed(text: &str) -> Option<&str> {
    let mut depth = 1_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(&text[..at]);
        }
    }
    None
}

/// The name and the arguments of a definition: `name, type, argument, type, argument`.
fn declaration(inner: &str, count: usize) -> Option<(String, Vec<Param>)> {
    let mut words = split(inner).into_iter();
    let name = words.next()?;
    let mut words: Vec<String> = words.collect();
    if words.len() != 2 * count {
        words = words.into_iter().flat_map(halves).collect();
    }
    if words.len() != 2 * count {
        return None;
    }
    let params = words
        .chunks_exact(2)
        .map(|pair| Param {
            kind: pair[0].clone(),
            name: pair[1].trim_matches(['*', ' ']).to_owned(),
        })
        .collect();
    Some((name, params))
}

/// Two arguments for a macro that passes a 64-bit number in two registers.
fn halves(word: String) -> Vec<String> {
    let number = ["compat_arg_u64_dual(", "SC_ARG64("]
        .into_iter()
        .find_map(|macro_name| word.strip_prefix(macro_name))
        .and_then(|rest| rest.strip_suffix(')'));
    match number {
        Some(name) => ["u32", &format!("{name}_lo"), "u32", &format!("{name}_hi")]
            .map(str::to_owned)
            .to_vec(),
        None => vec![word],
    }
}

/// The parts between the commas that are in no brackets, blanks made single.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0_usize;
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
        .iter()
        .map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(list: &[(&str, &str)]) -> Vec<Param> {
        list.iter()
            .map(|(kind, name)| Param {
                kind: (*kind).to_owned(),
                name: (*name).to_owned(),
            })
            .collect()
    }

    #[test]
    fn definitions_are_found_with_their_arguments() {
        let mut found = Definitions::default();
        found.add(&without_comments(
            "SYSCALL_DEFINE2(kill, pid_t, pid, /* which */ int,\n\t\tsig) // a comment, with SYSCALL_DEFINE1(x, int, y)\n\
             COMPAT_SYSCALL_DEFINE3(open, const char __user *, filename, int, flags, umode_t, mode)\n\
             SYSCALL32_DEFINE6(fanotify_mark, int, fd, unsigned int, flags, SC_ARG64(mask), int, dfd, const char __user *, name)\n\
             SYSCALL_DEFINE0(getpid)\nMY_SYSCALL_DEFINE1(no, int, x)\nSYSCALL_DEFINE2(broken, int, x)\nDEFINE_MUTEX(m);",
        ));
        assert_eq!(
            found.native("kill"),
            Some(&*params(&[("pid_t", "pid"), ("int", "sig")]))
        );
        assert_eq!(found.native("getpid"), Some(&[][..]));
        let open = found.compat("open").expect("open");
        assert_eq!(open[0].kind, "const char __user *");
        let mark = found.compat("fanotify_mark").expect("fanotify_mark");
        assert_eq!(
            mark[2..4],
            params(&[("u32", "mask_lo"), ("u32", "mask_hi")])
        );
        for name in ["x", "no", "broken"] {
            assert_eq!(found.native(name), None, "{name}");
        }
    }

    #[test]
    fn the_configuration_chooses_between_definitions() {
        let config = options("CONFIG_A=y\nCONFIG_M=m\nCONFIG_OFF=n\n# CONFIG_B is not set\n");
        let kept = |text: &str| configured(text, &config).replace('\n', " ");
        assert_eq!(kept("#ifdef CONFIG_A\na\n#else\nb\n#endif\nc"), "a c ");
        assert_eq!(
            kept("#ifdef CONFIG_B\na\n#elif defined(CONFIG_M)\nb\n#else\nc\n#endif"),
            "b "
        );
        assert_eq!(
            kept("#ifndef CONFIG_OFF\na\n# ifdef CONFIG_B\nb\n# endif\n#endif"),
            "a "
        );
        assert_eq!(kept("#if !IS_ENABLED(CONFIG_A)\na\n#endif\nb"), "b ");
        assert_eq!(kept("#if A || B\na\n#else\nb\n#endif"), "a b ");
        assert_eq!(
            kept("#ifdef CONFIG_B\n#ifdef CONFIG_A\na\n#endif\n#endif"),
            ""
        );
    }

    #[test]
    fn comments_end_where_they_end() {
        assert_eq!(
            without_comments("a/b /* c // d */e // f */\ng/"),
            "a/b e \ng/"
        );
        assert_eq!(without_comments("a /* open"), "a ");
    }
}

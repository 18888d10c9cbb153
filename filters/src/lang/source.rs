// SPDX-License-Identifier: GPL-2.0
//! Source files: where policy text comes from, and places in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::prelude::rust_2021::*;
use std::sync::Arc;

/// Bytes of one source file, at most.
pub const MAX_SOURCE_BYTES: usize = 16 << 20;

/// What a [`Loader`] returns.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Name of the file, as shown in messages and as given to the loader for the includes in it.
    pub name: String,
    /// What tells one file from another: two loads with the same identity are the same file.
    pub identity: String,
    /// The text.
    pub text: String,
}

/// Finds the files that a policy includes.
pub trait Loader {
    /// Loads `path`, included by the file `from`.
    ///
    /// # Errors
    ///
    /// A message for the user that names the file.
    fn load(&self, from: &str, path: &str) -> Result<Loaded, String>;

    /// The identity of the file `name` that the compiler was started with, to compare with [`Loaded::identity`].
    fn identity(&self, name: &str) -> String {
        name.to_string()
    }
}

/// Loads included files from the file system, relative to the file that includes them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Files;

/// Reads a source file.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let bytes = fs::read(path).map_err(|error| std::format!("cannot read {shown}: {error}"))?;
    if bytes.len() > MAX_SOURCE_BYTES {
        return Err(std::format!("{shown} is larger than 16 MiB"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        std::format!("{shown} is not UTF-8 (at byte {at}); write other bytes as \\xNN")
    })
}

impl Loader for Files {
    fn load(&self, from: &str, path: &str) -> Result<Loaded, String> {
        let found: PathBuf = match Path::new(from).parent() {
            Some(directory) => directory.join(path),
            None => PathBuf::from(path),
        };
        let text = read(&found)?;
        let name = found.display().to_string();
        Ok(Loaded {
            identity: self.identity(&name),
            name,
            text,
        })
    }

    fn identity(&self, name: &str) -> String {
        match fs::canonicalize(name) {
            Ok(path) => path.display().to_string(),
            // A name that is no file (such as "<stdin>") is its own identity.
            Err(_) => name.to_string(),
        }
    }
}

/// Loads included files from memory, by the very name that is written in the policy.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    files: BTreeMap<String, String>,
}

impl Memory {
    /// No files: every include is refused.
    pub fn new() -> Memory {
        Memory::default()
    }

    /// Adds a file.
    #[must_use]
    pub fn with(mut self, name: &str, text: &str) -> Memory {
        self.files.insert(name.to_string(), text.to_string());
        self
    }
}

impl Loader for Memory {
    fn load(&self, _from: &str, path: &str) -> Result<Loaded, String> {
        match self.files.get(path) {
            Some(text) => Ok(Loaded {
                name: path.to_string(),
                identity: path.to_string(),
                text: text.clone(),
            }),
            None => Err(std::format!("there is no file {path}")),
        }
    }
}

/// A place in one of the source files, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Span {
    pub(crate) file: u32,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    /// From the start of this to the end of `other`.
    pub(crate) fn to(self, other: Span) -> Span {
        Span {
            end: other.end.max(self.start),
            ..self
        }
    }
}

/// One source file.
#[derive(Clone, Debug)]
pub(crate) struct SourceFile {
    pub(crate) name: String,
    pub(crate) text: Arc<str>,
    /// Where each line begins.
    lines: Vec<u32>,
}

/// All source files of one compilation; a [`Span`] names them by index.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    files: Vec<SourceFile>,
}

impl Sources {
    pub(crate) fn add(&mut self, name: &str, text: &str) -> u32 {
        self.files.push(SourceFile {
            name: name.to_string(),
            text: Arc::from(text),
            lines: std::iter::once(0)
                .chain(text.match_indices('\n').map(|(at, _)| at as u32 + 1))
                .collect(),
        });
        (self.files.len() - 1) as u32
    }

    pub(crate) fn get(&self, file: u32) -> Option<&SourceFile> {
        self.files.get(file as usize)
    }

    /// The name of the file that the span lies in.
    pub(crate) fn name(&self, span: Span) -> &str {
        self.get(span.file).map_or("", |file| &file.name)
    }

    /// The text of the span.
    pub(crate) fn text(&self, span: Span) -> &str {
        self.get(span.file)
            .and_then(|file| file.text.get(span.start as usize..span.end as usize))
            .unwrap_or("")
    }

    /// The line of the span's start, counted from 1.
    pub(crate) fn line(&self, span: Span) -> u32 {
        self.get(span.file).map_or(1, |file| {
            file.lines.partition_point(|&start| start <= span.start) as u32
        })
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The Debian archive: which mirror this host uses, and a private apt that leaves the host's own untouched.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::cache::{self, Cache};
use crate::exec;
use crate::progress::Step;

/// Overrides the mirror that the host's apt uses.
pub(crate) const MIRROR_VARIABLE: &str = "EVFILTER_MIRROR";

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Suites that only Debian's main archive has; a source line that names one of them is a line of that archive.
const SUITES: [&str; 10] = [
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "oldstable",
    "stable",
    "testing",
    "unstable",
];

/// A package archive and the key that signs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mirror {
    pub(crate) uri: String,
    pub(crate) signed_by: Option<String>,
    pub(crate) trusted: bool,
}

impl Mirror {
    /// The mirror named by [`MIRROR_VARIABLE`], else the one the host's apt uses for Debian.
    pub(crate) fn of_host() -> Result<Self> {
        let tools = ["apt-get", "apt-cache", "dpkg-deb", "perl"];
        let missing: Vec<_> = tools
            .into_iter()
            .filter(|tool| exec::find_program(tool).is_none())
            .collect();
        if !missing.is_empty() {
            bail!(
                "{} not found: setup takes the kernel and its compiler from Debian packages and needs apt, dpkg and perl on the host; \
                 install them (on Fedora: dnf install apt dpkg perl) and name a Debian mirror in {MIRROR_VARIABLE}, \
                 or build against a kernel tree of your own with --kdir",
                missing.join(", ")
            );
        }
        if let Some(uri) = std::env::var_os(MIRROR_VARIABLE).filter(|value| !value.is_empty()) {
            let uri = uri
                .to_str()
                .with_context(|| format!("{MIRROR_VARIABLE} is not UTF-8"))?;
            if !uri.contains(":/") {
                bail!("{MIRROR_VARIABLE}={uri}: not an address; it looks like http://HOST/debian");
            }
            return Ok(Self {
                uri: uri.trim_end_matches('/').to_owned(),
                signed_by: keyring(),
                trusted: false,
            });
        }
        for (path, text) in source_files(Path::new("/etc/apt"))? {
            let found = if path
                .extension()
                .is_some_and(|extension| extension == "sources")
            {
                from_deb822(&text)
            } else {
                from_one_line(&text)
            };
            if let Some(mut mirror) = found {
                mirror.signed_by = mirror.signed_by.or_else(keyring);
                return Ok(mirror);
            }
        }
        bail!(
            "no Debian mirror in /etc/apt/sources.list or /etc/apt/sources.list.d: this host is not Debian, or its sources have no line with \
             a Debian suite and component main; name a mirror in the environment, {MIRROR_VARIABLE}=http://HOST/debian"
        )
    }

    /// The source line of one suite.
    fn line(&self, suite: &str) -> String {
        let mut options = vec!["arch=amd64".to_owned()];
        options.extend(
            self.signed_by
                .as_ref()
                .map(|key| format!("signed-by={key}")),
        );
        if self.trusted {
            options.push("trusted=yes".to_owned());
        }
        format!("deb [{}] {} {suite} main\n", options.join(" "), self.uri)
    }
}

fn keyring() -> Option<String> {
    Path::new(KEYRING).exists().then(|| KEYRING.to_owned())
}

/// The files apt reads, in its order, with their text.
fn source_files(etc: &Path) -> Result<Vec<(PathBuf, String)>> {
    let mut paths = vec![etc.join("sources.list")];
    if let Ok(entries) = fs::read_dir(etc.join("sources.list.d")) {
        let mut parts: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        parts.retain(|path| {
            path.extension()
                .is_some_and(|extension| extension == "list" || extension == "sources")
        });
        parts.sort();
        paths.extend(parts);
    }
    let mut files = Vec::new();
    for path in paths {
        match fs::read_to_string(&path) {
            Ok(text) => files.push((path, text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        }
    }
    Ok(files)
}

/// Whether the parts of a source belong to Debian's main archive. `uri` must be something a build root can use.
fn is_debian(uri: &str, suites: &[&str], components: &[&str]) -> bool {
    uri.contains(":/")
        && !uri.starts_with("cdrom:")
        && components.contains(&"main")
        && suites.iter().any(|suite| SUITES.contains(suite))
}

/// The first Debian source of a file in the one-line format: `deb [option=value ...] uri suite component ...`.
fn from_one_line(text: &str) -> Option<Mirror> {
    text.lines().find_map(|line| {
        let line = line.split('#').next()?.trim();
        let mut rest = line
            .strip_prefix("deb ")
            .or_else(|| line.strip_prefix("deb\t"))?
            .trim_start();
        let mut options = "";
        if let Some(bracketed) = rest.strip_prefix('[') {
            (options, rest) = bracketed.split_once(']')?;
        }
        let option = |name: &str| {
            options
                .split_whitespace()
                .filter_map(|option| option.split_once('='))
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value)
        };
        if option("arch").is_some_and(|list| !list.split(',').any(|arch| arch == "amd64")) {
            return None;
        }
        let mut words = rest.split_whitespace();
        let (uri, suite) = (words.next()?, words.next()?);
        let components: Vec<&str> = words.collect();
        is_debian(uri, &[suite], &components).then(|| Mirror {
            uri: uri.trim_end_matches('/').to_owned(),
            signed_by: option("signed-by").map(str::to_owned),
            trusted: option("trusted") == Some("yes"),
        })
    })
}

/// The first Debian source of a file in the deb822 format: stanzas of `Field: value`, continued by indented lines.
fn from_deb822(text: &str) -> Option<Mirror> {
    let text: String = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| [line.trim_end(), "\n"])
        .collect();
    text.split("\n\n").find_map(|stanza| {
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in stanza.lines() {
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = fields.last_mut() {
                    value.push('\n');
                    value.push_str(line.trim());
                }
            } else if let Some((key, value)) = line.split_once(':') {
                fields.push((key.to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
        let field = |name: &str| {
            fields
                .iter()
                .find(|(key, _)| key == name)
                .map_or("", |(_, value)| value.as_str())
        };
        let list = |name: &str| field(name).split_whitespace().collect::<Vec<_>>();
        let off = |value: &str| {
            matches!(
                value.to_ascii_lowercase().as_str(),
                "no" | "false" | "0" | "off" | "without" | "disable"
            )
        };
        if off(field("enabled")) || !list("types").contains(&"deb") {
            return None;
        }
        let architectures = list("architectures");
        if !architectures.is_empty() && !architectures.contains(&"amd64") {
            return None;
        }
        let uri = list("uris")
            .into_iter()
            .find(|uri| is_debian(uri, &list("suites"), &list("components")))?;
        // An inline key is a block of text, not a file: fall back to the archive's keyring then.
        let signed_by =
            Some(field("signed-by")).filter(|key| key.starts_with('/') && !key.contains('\n'));
        Some(Mirror {
            uri: uri.trim_end_matches('/').to_owned(),
            signed_by: signed_by.map(str::to_owned),
            trusted: field("trusted") == "yes",
        })
    })
}

/// An apt with its own sources, lists and archives below the cache. It never touches the host's packages.
#[derive(Debug)]
pub(crate) struct Apt {
    dir: PathBuf,
    cache: Cache,
}

impl Apt {
    /// Writes the private configuration for `suites` of `mirror`.
    pub(crate) fn new(cache: &Cache, mirror: &Mirror, suites: &[String]) -> Result<Self> {
        let dir = cache.path("apt");
        for name in ["lists/partial", "archives/partial"] {
            let path = dir.join(name);
            fs::create_dir_all(&path).with_context(|| format!("create {}", path.display()))?;
        }
        let sources: String = suites.iter().map(|suite| mirror.line(suite)).collect();
        let shown = dir.display();
        let config = format!(
            "Dir::Etc::SourceList \"{shown}/sources.list\";\nDir::Etc::SourceParts \"/dev/null\";\n\
             Dir::Etc::Preferences \"/dev/null\";\nDir::Etc::PreferencesParts \"/dev/null\";\n\
             Dir::State::Lists \"{shown}/lists\";\nDir::State::Status \"{shown}/status\";\n\
             Dir::Cache \"{shown}\";\nDir::Cache::Archives \"{shown}/archives\";\n\
             APT::Architecture \"amd64\";\nAPT::Architectures \"amd64\";\nAPT::Sandbox::User \"\";\n\
             APT::Update::Post-Invoke-Success \"\";\nAcquire::Languages \"none\";\nAcquire::Retries \"3\";\n"
        );
        cache::write_atomically(&dir.join("sources.list"), sources)?;
        cache::write_atomically(&dir.join("status"), "")?;
        cache::write_atomically(&dir.join("apt.conf"), config)?;
        Ok(Self {
            dir,
            cache: cache.clone(),
        })
    }

    /// The source lines, as mmdebstrap takes them.
    pub(crate) fn sources(&self) -> PathBuf {
        self.dir.join("sources.list")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("APT_CONFIG", self.dir.join("apt.conf"))
            .env("LC_ALL", "C.UTF-8")
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    /// Fetches the package lists.
    pub(crate) fn update(&self) -> Result<()> {
        exec::run(
            self.command("apt-get")
                .args(["-q", "--error-on=any", "update"]),
            &self.cache.log("apt-update"),
        )
        .context("fetch the package lists")
    }

    /// The full records of the packages whose names match `pattern`, in apt's text form.
    pub(crate) fn records(&self, pattern: &str) -> Result<String> {
        exec::output(
            self.command("apt-cache")
                .args(["search", "--names-only", "--full", pattern]),
        )
    }

    /// Downloads `packages` (each `name=version` or `name`) and gives the files in the same order. What an earlier
    /// run downloaded whole is used again.
    pub(crate) fn download(&self, packages: &[String], step: &mut Step) -> Result<Vec<PathBuf>> {
        let archives = self.dir.join("archives");
        let listing = exec::output(
            self.command("apt-get")
                .args(["-q", "download", "--print-uris"])
                .args(packages),
        )?;
        let files = parse_uris(&listing);
        if files.len() != packages.len() {
            bail!(
                "apt-get download --print-uris {} listed {} files:\n{listing}",
                packages.join(" "),
                files.len()
            );
        }
        let total = files.iter().map(|file| file.bytes).sum();
        let before = watch(&archives);
        let mut command = self.command("apt-get");
        command
            .args(["-q", "download"])
            .args(packages)
            .current_dir(&archives);
        let log = self.cache.log("apt-download");
        let outcome = while_watching(&archives, step, before, total, || {
            exec::run(&mut command, &log)
        });
        outcome.with_context(|| format!("download {}", packages.join(" ")))?;
        let mut paths = Vec::new();
        for package in packages {
            let name = package.split('=').next().unwrap_or(package);
            let file = files
                .iter()
                .find(|file| file.name.split('_').next() == Some(name))
                .with_context(|| {
                    format!("apt-get download {package} produced no file of that name")
                })?;
            let path = archives.join(&file.name);
            let got = fs::metadata(&path)
                .with_context(|| format!("read {}", path.display()))?
                .len();
            if got != file.bytes {
                bail!(
                    "{} has {got} bytes, the package list says {}",
                    path.display(),
                    file.bytes
                );
            }
            paths.push(path);
        }
        Ok(paths)
    }

    /// Forgets the downloaded archives; they are unpacked by now.
    pub(crate) fn clean(&self) -> Result<()> {
        let archives = self.dir.join("archives");
        cache::remove_tree(&archives).with_context(|| format!("remove {}", archives.display()))
    }
}

/// Runs `work` and meanwhile shows how many bytes arrived in `dir` since `before`.
pub(crate) fn while_watching<T: Send>(
    dir: &Path,
    step: &mut Step,
    before: u64,
    total: u64,
    work: impl FnOnce() -> T + Send,
) -> T {
    std::thread::scope(|scope| {
        let worker = scope.spawn(work);
        while !worker.is_finished() {
            std::thread::sleep(std::time::Duration::from_millis(150));
            step.bytes(watch(dir).saturating_sub(before), total);
        }
        match worker.join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// The bytes in `dir`, for [`while_watching`].
pub(crate) fn watch(dir: &Path) -> u64 {
    cache::size(dir)
}

/// Unpacks a package's files into `into`.
pub(crate) fn unpack(deb: &Path, into: &Path, log: &Path) -> Result<()> {
    fs::create_dir_all(into).with_context(|| format!("create {}", into.display()))?;
    exec::run(
        Command::new("dpkg-deb").arg("--extract").arg(deb).arg(into),
        log,
    )
}

#[derive(Debug, PartialEq, Eq)]
struct Listed {
    name: String,
    bytes: u64,
}

/// Lines of `apt-get --print-uris`: `'uri' file-name bytes hash`.
fn parse_uris(text: &str) -> Vec<Listed> {
    text.lines()
        .filter_map(|line| {
            let mut words = line
                .strip_prefix('\'')?
                .split_once("' ")?
                .1
                .split_whitespace();
            Some(Listed {
                name: words.next()?.to_owned(),
                bytes: words.next()?.parse().ok()?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEB822: &str = "# a comment\nTypes: deb\nURIs: http://one.example/other\nSuites: nodistro\nComponents: main\n\n\
        Types: deb deb-src\n# in between\nURIs: http://two.example/debian/\nSuites: trixie\n trixie-updates\nComponents: main contrib\nSigned-By: /k.gpg\n";

    #[test]
    fn deb822_skips_foreign_stanzas_and_joins_continued_lines() {
        let mirror = from_deb822(DEB822).expect("a mirror");
        assert_eq!(
            mirror,
            Mirror {
                uri: "http://two.example/debian".to_owned(),
                signed_by: Some("/k.gpg".to_owned()),
                trusted: false
            }
        );
    }

    #[test]
    fn deb822_disabled_source_only_and_security_stanzas_do_not_count() {
        assert_eq!(
            from_deb822(&DEB822.replace("Types: deb deb-src", "Enabled: no\nTypes: deb")),
            None
        );
        assert_eq!(
            from_deb822(&DEB822.replace("Types: deb deb-src", "Types: deb-src")),
            None
        );
        assert_eq!(
            from_deb822(&DEB822.replace("Suites: trixie", "Suites: trixie-security")),
            None
        );
        assert_eq!(
            from_deb822(&DEB822.replace("Signed-By", "Architectures: arm64\nSigned-By")),
            None
        );
    }

    #[test]
    fn deb822_inline_key_is_not_taken_for_a_file() {
        let text = DEB822.replace(
            "Signed-By: /k.gpg",
            "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc",
        );
        assert_eq!(from_deb822(&text).expect("a mirror").signed_by, None);
    }

    #[test]
    fn one_line_with_options_is_understood() {
        let text = "# deb http://no.example/debian sid main\ndeb-src http://no.example/debian bookworm main\n\
            deb http://no.example/security bookworm-security main\n\
            deb [arch=arm64] http://no.example/debian bookworm main\n\
            deb [ arch=i386,amd64 signed-by=/usr/k.gpg trusted=yes ] http://yes.example/debian/ bookworm main non-free # why\n";
        assert_eq!(
            from_one_line(text).expect("a mirror"),
            Mirror {
                uri: "http://yes.example/debian".to_owned(),
                signed_by: Some("/usr/k.gpg".to_owned()),
                trusted: true
            }
        );
    }

    #[test]
    fn one_line_ignores_discs_and_other_archives() {
        assert_eq!(from_one_line("deb cdrom:[Debian 13]/ trixie main\n"), None);
        assert_eq!(
            from_one_line("deb http://apps.example/apt any main\n"),
            None
        );
        assert_eq!(
            from_one_line("deb http://apps.example/apt trixie contrib\n"),
            None
        );
        assert!(from_one_line("deb http://a.example/debian trixie main\n").is_some());
    }

    #[test]
    fn source_line_carries_key_and_trust() {
        let mirror = Mirror {
            uri: "http://a.example/debian".to_owned(),
            signed_by: Some("/k".to_owned()),
            trusted: true,
        };
        assert_eq!(
            mirror.line("trixie"),
            "deb [arch=amd64 signed-by=/k trusted=yes] http://a.example/debian trixie main\n"
        );
    }

    #[test]
    fn printed_uris_are_read() {
        let text = "Reading package lists...\n'http://a.example/p/x_1%3a2_amd64.deb' x_1%3a2_amd64.deb 1234 SHA256:00\n";
        assert_eq!(
            parse_uris(text),
            [Listed {
                name: "x_1%3a2_amd64.deb".to_owned(),
                bytes: 1234
            }]
        );
    }
}

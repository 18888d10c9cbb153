// SPDX-License-Identifier: GPL-2.0

//! Which kernel is under test: the newest packaged one of a known series that comes with its source.

use std::cmp::Ordering;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

/// `qemu/kernels.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Known {
    pub(crate) debian: Suites,
    series: Vec<Series>,
}

/// Where the packages come from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Suites {
    pub(crate) suite: String,
    pub(crate) pockets: Vec<String>,
    flavour: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Series {
    name: String,
}

impl Known {
    /// Reads `qemu/kernels.toml` of the checkout.
    pub(crate) fn read(repo: &Path) -> Result<Self> {
        let path = repo.join("qemu/kernels.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        toml::from_str(&text).with_context(|| path.display().to_string())
    }

    /// Every suite whose package lists are needed.
    pub(crate) fn suites(&self) -> Vec<String> {
        std::iter::once(&self.debian.suite)
            .chain(&self.debian.pockets)
            .cloned()
            .collect()
    }

    /// The pattern for [`crate::debian::Apt::records`] that covers what [`resolve`](Self::resolve) looks at.
    pub(crate) fn pattern(&self) -> String {
        format!(
            "^linux-(source-[0-9.]+|(headers|binary|image)-[0-9].*-{})$",
            self.debian.flavour
        )
    }

    /// The kernel to use, from apt's records.
    pub(crate) fn resolve(&self, records: &str) -> Result<Kernel> {
        let packages = parse_records(records);
        let has = |name: &str, version: &str| {
            packages
                .iter()
                .any(|package| package.name == name && package.version == version)
        };
        let mut found: Vec<Kernel> = packages
            .iter()
            .filter_map(|package| {
                let release = package.name.strip_prefix("linux-headers-")?;
                let series = series_of(release)?;
                let version = package.version.clone();
                let source = format!("linux-source-{series}");
                // Since 6.19 the image package only depends on the one that holds the file.
                let image = [
                    format!("linux-binary-{release}"),
                    format!("linux-image-{release}"),
                ]
                .into_iter()
                .find(|name| has(name, &version))?;
                has(&source, &version).then(|| Kernel {
                    release: release.to_owned(),
                    tested: self.series.iter().any(|known| known.name == series),
                    headers: package.name.clone(),
                    series,
                    source,
                    image,
                    version,
                })
            })
            .collect();
        found.sort_by(|a, b| {
            a.tested
                .cmp(&b.tested)
                .then_with(|| compare_versions(&a.version, &b.version))
        });
        found.pop().with_context(|| {
            format!(
                "none of {} offers a {} kernel with headers, image and source of one version; packages seen: {}",
                self.suites().join(", "),
                self.debian.flavour,
                packages.iter().map(|package| package.name.as_str()).collect::<Vec<_>>().join(" ")
            )
        })
    }
}

/// The kernel under test, as resolved from the suites and recorded in the cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kernel {
    /// `uname -r`.
    pub(crate) release: String,
    /// Major and minor, `7.3`.
    pub(crate) series: String,
    /// Debian's version of all its packages.
    pub(crate) version: String,
    /// Whether `kernels.toml` lists the series.
    pub(crate) tested: bool,
    /// Package that holds `.config` and `Module.symvers`.
    pub(crate) headers: String,
    /// Package that holds the vmlinuz.
    pub(crate) image: String,
    /// Package that holds the source archive.
    pub(crate) source: String,
}

impl Kernel {
    /// A directory name for this version.
    pub(crate) fn key(&self) -> String {
        self.version
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || c == '.' || c == '-' {
                    c
                } else {
                    '_'
                }
            })
            .collect()
    }

    /// Package that holds the kernel's own modules: since 6.19 one beside that of the image.
    pub(crate) fn modules(&self) -> String {
        match self.image.strip_prefix("linux-binary-") {
            Some(release) => format!("linux-modules-{release}"),
            None => self.image.clone(),
        }
    }

    /// What every run says of an unlisted series.
    pub(crate) fn warning(&self) -> Option<String> {
        (!self.tested).then(|| {
            format!(
                "warning: kernel {} is UNTESTED: the suites no longer offer a series that qemu/kernels.toml lists, so this is the newest there is",
                self.release
            )
        })
    }

    /// The value of a text option of a kernel configuration.
    pub(crate) fn config_text<'a>(config: &'a str, option: &str) -> Option<&'a str> {
        config.lines().find_map(|line| {
            line.strip_prefix(option)?
                .strip_prefix("=\"")?
                .strip_suffix('"')
        })
    }

    /// Refuses a configuration that cannot have a Rust module.
    pub(crate) fn check_config(config: &str, of: &str) -> Result<()> {
        if !config.lines().any(|line| line == "CONFIG_RUST=y") {
            bail!(
                "{of}: CONFIG_RUST is not set, and evfilter.ko is a Rust module: use a kernel that has it"
            );
        }
        Ok(())
    }
}

/// `7.3` of `7.3.4+deb13-cloud-amd64`.
fn series_of(release: &str) -> Option<String> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    let (major, minor) = (parts.next()?, parts.next()?);
    (!major.is_empty() && !minor.is_empty()).then(|| format!("{major}.{minor}"))
}

struct Package {
    name: String,
    version: String,
}

fn parse_records(text: &str) -> Vec<Package> {
    text.split("\n\n")
        .filter_map(|record| {
            let field = |name: &str| {
                record
                    .lines()
                    .find_map(|line| line.strip_prefix(name))
                    .map(|value| value.trim().to_owned())
            };
            Some(Package {
                name: field("Package:")?,
                version: field("Version:")?,
            })
        })
        .collect()
}

/// Compares Debian versions (deb-version(7)): epoch, upstream version, revision.
pub(crate) fn compare_versions(a: &str, b: &str) -> Ordering {
    fn parts(version: &str) -> (u64, &str, &str) {
        let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        (epoch.parse().unwrap_or(0), upstream, revision)
    }
    let (a, b) = (parts(a), parts(b));
    a.0.cmp(&b.0)
        .then_with(|| compare_part(a.1, b.1))
        .then_with(|| compare_part(a.2, b.2))
}

/// One part: stretches of non-digits, compared by [`weight`], take turns with numbers.
fn compare_part(mut a: &str, mut b: &str) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let (text_a, rest_a) = a.split_at(a.find(|c: char| c.is_ascii_digit()).unwrap_or(a.len()));
        let (text_b, rest_b) = b.split_at(b.find(|c: char| c.is_ascii_digit()).unwrap_or(b.len()));
        // The end of a stretch weighs more than `~` and less than anything else.
        let end = std::iter::once(0);
        let order = text_a
            .chars()
            .map(weight)
            .chain(end.clone())
            .cmp(text_b.chars().map(weight).chain(end));
        if order != Ordering::Equal {
            return order;
        }
        let (number_a, after_a) = rest_a.split_at(
            rest_a
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest_a.len()),
        );
        let (number_b, after_b) = rest_b.split_at(
            rest_b
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest_b.len()),
        );
        let (number_a, number_b) = (
            number_a.trim_start_matches('0'),
            number_b.trim_start_matches('0'),
        );
        let order = number_a
            .len()
            .cmp(&number_b.len())
            .then_with(|| number_a.cmp(number_b));
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (after_a, after_b);
    }
    Ordering::Equal
}

/// Letters sort before everything else, `~` before the end of the part.
fn weight(c: char) -> i64 {
    match c {
        '~' => -1,
        c if c.is_ascii_alphabetic() => i64::from(u32::from(c)),
        c => i64::from(u32::from(c)) + 256,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOML: &str = "[debian]\nsuite = \"trixie\"\npockets = [\"trixie-backports\"]\nflavour = \"cloud-amd64\"\n[[series]]\nname = \"7.3\"\n";

    fn known() -> Known {
        toml::from_str(TOML).expect("kernels.toml")
    }

    /// As `apt-cache search --full` printed it, cut to the fields that matter.
    fn records(list: &[(&str, &str)]) -> String {
        list.iter().map(|(name, version)| format!("Package: {name}\nSource: linux\nVersion: {version}\nDepends: x (= {version})\n\n")).collect()
    }

    const SUITE: [(&str, &str); 11] = [
        ("linux-source-6.12", "6.12.107-1"),
        ("linux-headers-6.12.107+deb13-cloud-amd64", "6.12.107-1"),
        ("linux-image-6.12.107+deb13-cloud-amd64", "6.12.107-1"),
        ("linux-source-7.3", "7.3.4-1~bpo13+1"),
        ("linux-binary-7.3.4+deb13-cloud-amd64", "7.3.4-1~bpo13+1"),
        ("linux-headers-7.3.4+deb13-cloud-amd64", "7.3.4-1~bpo13+1"),
        ("linux-image-7.3.4+deb13-cloud-amd64", "7.3.4-1~bpo13+1"),
        // Newer, but its source is already gone.
        ("linux-headers-7.3.9+deb13-cloud-amd64", "7.3.9-1~bpo13+1"),
        ("linux-binary-7.3.9+deb13-cloud-amd64", "7.3.9-1~bpo13+1"),
        ("linux-headers-7.2.12+deb13-cloud-amd64", "7.2.12-1~bpo13+1"),
        ("linux-source-7.2", "7.2.12-1~bpo13+1"),
    ];

    #[test]
    fn newest_of_a_listed_series_with_matching_source_is_taken() {
        let kernel = known().resolve(&records(&SUITE)).expect("a kernel");
        assert_eq!(
            (kernel.release.as_str(), kernel.tested),
            ("7.3.4+deb13-cloud-amd64", true)
        );
        assert_eq!(kernel.image, "linux-binary-7.3.4+deb13-cloud-amd64");
        assert_eq!(kernel.modules(), "linux-modules-7.3.4+deb13-cloud-amd64");
        assert_eq!(kernel.key(), "7.3.4-1_bpo13_1");
        assert!(kernel.warning().is_none());
    }

    #[test]
    fn listed_series_beats_a_newer_unlisted_one() {
        let mut list = SUITE.to_vec();
        list.extend([
            ("linux-source-7.10", "7.10.1-1"),
            ("linux-headers-7.10.1-cloud-amd64", "7.10.1-1"),
            ("linux-image-7.10.1-cloud-amd64", "7.10.1-1"),
        ]);
        assert_eq!(
            known().resolve(&records(&list)).expect("a kernel").series,
            "7.3"
        );
        let without: Vec<_> = list
            .into_iter()
            .filter(|(name, _)| !name.contains("7.3"))
            .collect();
        let kernel = known().resolve(&records(&without)).expect("a kernel");
        assert_eq!((kernel.series.as_str(), kernel.tested), ("7.10", false));
        assert!(kernel.warning().expect("a warning").contains("UNTESTED"));
    }

    #[test]
    fn nothing_complete_is_an_error_that_lists_what_was_seen() {
        let error = known()
            .resolve(&records(&SUITE[7..]))
            .expect_err("nothing complete")
            .to_string();
        assert!(
            error.contains("trixie-backports") && error.contains("linux-source-7.2"),
            "{error}"
        );
    }

    #[test]
    fn versions_compare_as_dpkg_does() {
        let ascending = [
            "7.3~rc1-1",
            "7.3-1",
            "7.3.4-1~bpo13+1",
            "7.3.4-1",
            "7.3.4-1+b1",
            "7.3.4-2",
            "7.3.10-1",
            "7.10-1",
            "1:0.1-1",
        ];
        for pair in ascending.windows(2) {
            assert_eq!(
                compare_versions(pair[0], pair[1]),
                Ordering::Less,
                "{pair:?}"
            );
            assert_eq!(
                compare_versions(pair[1], pair[0]),
                Ordering::Greater,
                "{pair:?}"
            );
        }
        assert_eq!(compare_versions("1.0a-1", "1.0+-1"), Ordering::Less);
        assert_eq!(compare_versions("1.02-1", "1.2-1"), Ordering::Equal);
    }

    #[test]
    fn config_values_are_read_and_rust_is_required() {
        let config = "CONFIG_RUST=y\nCONFIG_RUSTC_VERSION_TEXT=\"rustc 1.85.1 (x)\"\n";
        assert_eq!(
            Kernel::config_text(config, "CONFIG_RUSTC_VERSION_TEXT"),
            Some("rustc 1.85.1 (x)")
        );
        assert!(Kernel::check_config(config, "x").is_ok());
        let error =
            Kernel::check_config("# CONFIG_RUST is not set\n", "the tree /x").expect_err("no Rust");
        assert!(error.to_string().contains("/x"));
    }

    #[test]
    fn file_in_the_checkout_is_understood() {
        let repo = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("the checkout");
        let known = Known::read(repo).expect("kernels.toml");
        assert!(known.suites().len() >= 2 && known.pattern().contains("cloud-amd64"));
    }
}

//! Debian's Rust compiler, unpacked into the build folder and installed nowhere.
//!
//! It comes from the machine's configured package sources, verified by apt. Its package of the standard library's
//! source lets cargo compile that for the plugins' target, which Debian does not ship beside it.

use crate::command::{answer, clean, run_for};
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The compiler's package and that of the library's source: the backport made for browsers, which is newer, comes first.
const FAMILIES: &[(&str, &str)] = &[("rustc-web", "rust-web-src"), ("rustc", "rust-src")];
/// What of a compiler's dependencies it needs to run here; the rest (gcc, libc) serves other targets or is everywhere.
const NEEDED_PREFIXES: &[&str] = &["libstd-rust", "libllvm"];
/// A compiler is three or four packages; more means that the dependencies are not what we take them for.
const PACKAGES_MAX: usize = 8;
/// The lists are 20 MB, the packages 140 MB: a slow line needs minutes, a dead one no longer than that.
const LISTS_LIMIT: Duration = Duration::from_secs(180);
const PACKAGES_LIMIT: Duration = Duration::from_secs(900);
/// Unpacks 800 MB.
const UNPACK_LIMIT: Duration = Duration::from_secs(300);
/// Written last into a folder that is whole; holds the version.
const MARK: &str = "complete";

/// A compiler unpacked under the build folder.
#[derive(Debug)]
pub(crate) struct Unpacked {
    root: PathBuf,
    version: String,
    libraries: PathBuf,
}

impl Unpacked {
    /// The compiler's version, as in `1.96.0`.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    pub(crate) fn rustc(&self) -> PathBuf {
        self.root.join("usr/bin/rustc")
    }

    /// The folder with the libraries that the compiler needs.
    pub(crate) fn libraries(&self) -> &Path {
        &self.libraries
    }

    /// The compiler in `root`, if it was unpacked there to the end.
    fn find(root: &Path) -> Option<Self> {
        let version = fs::read_to_string(root.join(MARK)).ok()?;
        let folders = fs::read_dir(root.join("usr/lib")).ok()?.flatten().map(|entry| entry.path());
        let holds_driver = |folder: &PathBuf| {
            let files = fs::read_dir(folder).into_iter().flatten().flatten();
            files.into_iter().any(|file| file.file_name().to_string_lossy().starts_with("librustc_driver"))
        };
        let libraries = folders.into_iter().find(holds_driver)?;
        Some(Self { root: root.to_path_buf(), version: version.trim().to_owned(), libraries })
    }
}

/// The compiler under `folder`, unpacked on first use. Many may ask at once: one works, the others wait.
pub(crate) fn unpack(folder: &Path, offline: bool) -> Result<Unpacked> {
    let home = folder.join("wasm-toolchain");
    let root = home.join("root");
    let told = |error: std::io::Error| Error::new(format!("{}: {error}", home.display()));
    fs::create_dir_all(&home).map_err(told)?;
    let lock = File::create(home.join("lock")).map_err(told)?;
    lock.lock().map_err(told)?;
    if let Some(found) = Unpacked::find(&root) {
        return Ok(found);
    }
    if offline {
        return Err(Error::new("cargo is offline"));
    }
    let (version, packages) = choose()?;
    eprintln!("mute: fetching Debian's rustc {version} (140 MB, once) into {}", home.display());
    let partial = home.join("partial");
    for leftover in [&partial, &root] {
        match fs::remove_dir_all(leftover) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(told(error)),
            _ => {}
        }
    }
    fetch_into(&partial, &packages)?;
    fs::write(partial.join("root").join(MARK), &version).map_err(told)?;
    fs::rename(partial.join("root"), &root).map_err(told)?;
    fs::remove_dir_all(&partial).map_err(told)?;
    Unpacked::find(&root).ok_or_else(|| Error::new("Debian's packages hold no compiler where we look for it"))
}

/// The packages of the first family new enough for us, and its version.
fn choose() -> Result<(String, Vec<String>)> {
    if !FAMILIES.iter().any(|(rustc, _)| candidate(rustc).is_ok()) {
        update_lists()?;
    }
    let wanted = env!("CARGO_PKG_RUST_VERSION");
    let fitting = FAMILIES.iter().find_map(|(rustc, source)| {
        let version = candidate(rustc).ok().filter(|version| at_least(version, wanted))?;
        Some((rustc, source, version))
    });
    let (rustc, source, version) =
        fitting.ok_or_else(|| Error::new(format!("apt knows no rustc of version {wanted} or later")))?;
    let mut packages = BTreeSet::from([(*source).to_owned()]);
    let mut open = vec![(*rustc).to_owned()];
    while let Some(package) = open.pop() {
        if packages.len() >= PACKAGES_MAX {
            return Err(Error::new(format!("{rustc} depends on more packages than a compiler does")));
        }
        open.extend(needed_of(&apt_cache(&["depends", "--important", &package])?));
        packages.insert(package);
        open.retain(|name| !packages.contains(name));
    }
    Ok((version, packages.into_iter().collect()))
}

fn update_lists() -> Result<()> {
    let mut id = clean("id");
    id.arg("-u");
    if answer(id)? != "0" {
        return Err(Error::new("apt's lists are empty: `apt-get update` as root fills them"));
    }
    let mut update = clean("apt-get");
    update.args(["--quiet", "update"]);
    run_for(update, LISTS_LIMIT)
}

fn apt_cache(arguments: &[&str]) -> Result<String> {
    let mut command = clean("apt-cache");
    command.args(arguments).env("LC_ALL", "C");
    answer(command)
}

/// The upstream version apt would install, as in `1.96.0`.
fn candidate(package: &str) -> Result<String> {
    let policy = apt_cache(&["policy", package])?;
    candidate_of(&policy).ok_or_else(|| Error::new(format!("apt knows no {package}")))
}

fn candidate_of(policy: &str) -> Option<String> {
    let full = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    let without_epoch = full.split_once(':').map_or(full, |(_, version)| version);
    let upstream = without_epoch.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
    (!upstream.is_empty()).then(|| upstream.to_owned())
}

fn at_least(version: &str, wanted: &str) -> bool {
    let numbers = |text: &str| text.split('.').map(|part| part.parse().unwrap_or(0)).collect::<Vec<u32>>();
    numbers(version) >= numbers(wanted)
}

fn needed_of(depends: &str) -> Vec<String> {
    let names = depends.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    names.filter(|name| NEEDED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))).map(str::to_owned).collect()
}

fn fetch_into(partial: &Path, packages: &[String]) -> Result<()> {
    let root = partial.join("root");
    let told = |error: std::io::Error| Error::new(format!("{}: {error}", partial.display()));
    fs::create_dir_all(&root).map_err(told)?;
    let mut download = clean("apt-get");
    download.args(["--quiet", "download"]).args(packages).current_dir(partial);
    run_for(download, PACKAGES_LIMIT)?;
    for entry in fs::read_dir(partial).map_err(told)? {
        let archive = entry.map_err(told)?.path();
        if archive.extension().is_some_and(|extension| extension == "deb") {
            let mut extract = clean("dpkg-deb");
            extract.arg("--extract").args([&archive, &root]);
            run_for(extract, UNPACK_LIMIT)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn versions_are_read_from_apt() {
        let policy =
            |candidate| format!("rustc-web:\n  Installed: (none)\n  Candidate: {candidate}\n  Version table:\n");
        assert_eq!(candidate_of(&policy("1.96.0+dfsg1-1~deb12u2")).as_deref(), Some("1.96.0"));
        assert_eq!(candidate_of(&policy("2:1.100.1-1")).as_deref(), Some("1.100.1"));
        assert_eq!(candidate_of(&policy("(none)")), None);
        assert_eq!(candidate_of(""), None);
        assert!(at_least("1.96.0", "1.95") && at_least("1.95.0", "1.95") && at_least("1.100.0", "1.95"));
        assert!(!at_least("1.85.0", "1.95") && !at_least("", "1.95"));
    }

    #[test]
    fn of_the_dependencies_only_what_the_compiler_loads_is_taken() {
        let depends =
            "rustc-web\n  Depends: libc6\n  Depends: libstd-rust-web-dev\n  Depends: gcc\n  Conflicts: rustup\n";
        assert_eq!(needed_of(depends), ["libstd-rust-web-dev"]);
        assert_eq!(needed_of("x\n  Depends: libllvm22\n  Depends: libstdc++6\n"), ["libllvm22"]);
    }

    #[test]
    fn what_was_not_unpacked_to_the_end_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("wasm-toolchain/root");
        let libraries = root.join("usr/lib/x86_64-linux-gnu");
        fs::create_dir_all(&libraries).unwrap();
        fs::write(libraries.join("librustc_driver-0.so"), "").unwrap();
        assert!(Unpacked::find(&root).is_none());
        assert!(unpack(folder.path(), true).unwrap_err().to_string().contains("offline"));
        fs::write(root.join(MARK), "1.96.0\n").unwrap();
        let found = unpack(folder.path(), true).unwrap();
        assert_eq!((found.version(), found.libraries()), ("1.96.0", libraries.as_path()));
    }
}

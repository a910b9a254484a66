//! The plugins folder: one component file for each plugin, named after it.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::Read as _,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::{
    component::Source,
    limits,
    status::{Origin, clean},
};

/// How a plugin's file ends.
const ENDING: &str = ".wasm";
/// The longest name of a plugin.
const NAME_BYTES: usize = 32;
/// Entries of the folder that are looked at; what else is in it is not for us.
const ENTRIES: usize = 4 * limits::PLUGINS;

/// A file of the plugins folder that is no plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The file's name, for people.
    pub file: String,
    /// Why, for people.
    pub reason: String,
}

/// What tells, without reading it, whether a file may have changed.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// The folder as it was found last.
#[derive(Default)]
pub(super) struct Folder {
    known: BTreeMap<String, (Stamp, blake3::Hash)>,
}

/// What happened in the folder since it was looked at before.
#[derive(Default)]
pub(super) struct Changes {
    /// New or changed plugins.
    pub(super) found: Vec<(String, Source)>,
    /// Plugins whose files are gone or are no longer acceptable.
    pub(super) gone: Vec<String>,
    /// What is refused now, all of it.
    pub(super) refused: Vec<Refused>,
}

impl Folder {
    /// Looks at the folder. It blocks.
    pub(super) fn scan(&mut self, folder: &Path) -> std::io::Result<Changes> {
        let mut changes = Changes::default();
        let mut seen = BTreeMap::new();
        let mut names: Vec<_> = std::fs::read_dir(folder)?
            .take(ENTRIES)
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.ends_with(ENDING))
            .collect();
        names.sort();
        for file in names {
            let before = self.known.get(plugin_name(&file));
            let looked = match seen.len() {
                limits::PLUGINS.. => Err(format!("there are more than {} plugins", limits::PLUGINS)),
                _ => look(folder, &file, before),
            };
            match looked {
                Ok((name, stamp, hash, source)) => {
                    seen.insert(name.to_owned(), (stamp, hash));
                    changes.found.extend(source.map(|source| (name.to_owned(), source)));
                }
                Err(reason) => changes.refused.push(Refused { file: clean(&file), reason }),
            }
        }
        changes.gone = self.known.keys().filter(|name| !seen.contains_key(*name)).cloned().collect();
        self.known = seen;
        Ok(changes)
    }
}

/// The part of a file's name before its ending.
fn plugin_name(file: &str) -> &str {
    file.strip_suffix(ENDING).unwrap_or(file)
}

/// Whether a name is one for a plugin: it is part of commands, host names and file names.
pub(super) fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() <= NAME_BYTES
        && bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

type Looked<'a> = (&'a str, Stamp, blake3::Hash, Option<Source>);

/// Reads a file if it may have changed, whole. The source is `None` if its content is what it was.
fn look<'a>(folder: &Path, file: &'a str, before: Option<&(Stamp, blake3::Hash)>) -> Result<Looked<'a>, String> {
    let name = plugin_name(file);
    if !is_name(name) {
        return Err("a plugin's name starts with a-z and holds a-z, 0-9 and -, 32 at most".to_owned());
    }
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(folder.join(file));
    let opened = opened.map_err(|error| match rustix::io::Errno::from_io_error(&error) {
        Some(rustix::io::Errno::LOOP) => "it is a symbolic link".to_owned(),
        _ => format!("it can't be opened: {error}"),
    })?;
    let unreadable = |error: std::io::Error| format!("it can't be read: {error}");
    let metadata = opened.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err("it is not a plain file".to_owned());
    }
    if metadata.len() > limits::COMPONENT_BYTES {
        return Err(format!("it is larger than {} MiB", limits::COMPONENT_BYTES >> 20));
    }
    let stamp = Stamp {
        inode: metadata.ino(),
        length: metadata.len(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    };
    if let Some((known, hash)) = before
        && *known == stamp
    {
        return Ok((name, stamp, *hash, None));
    }
    let mut bytes = Vec::new();
    // It may grow while it is read.
    opened.take(limits::COMPONENT_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let source = Source::new(Origin::File, bytes.into());
    let hash = source.hash;
    let is_same = before.is_some_and(|(_, known)| *known == hash);
    Ok((name, stamp, hash, (!is_same).then_some(source)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(changes: &Changes) -> Vec<&str> {
        changes.found.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn names_are_plain() {
        for good in ["a", "chat", "my-plugin2", &"a".repeat(32)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "A", "2a", "-a", "a_b", "a.b", "ä", "..", &"a".repeat(33)] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn content_counts_and_not_time() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let file = home.path().join("one.wasm");
        let mut folder = Folder::default();
        std::fs::write(&file, b"first").expect("written");
        std::fs::write(home.path().join("notes.txt"), b"not ours").expect("written");
        assert_eq!(names(&folder.scan(home.path()).expect("scanned")), ["one"]);
        assert!(folder.scan(home.path()).expect("scanned").found.is_empty());
        std::fs::write(&file, b"first").expect("written again");
        assert!(folder.scan(home.path()).expect("scanned").found.is_empty());
        std::fs::write(&file, b"second").expect("changed");
        assert_eq!(names(&folder.scan(home.path()).expect("scanned")), ["one"]);
        std::fs::remove_file(&file).expect("removed");
        assert_eq!(folder.scan(home.path()).expect("scanned").gone, ["one"]);
        assert!(folder.scan(home.path()).expect("scanned").gone.is_empty());
    }

    #[test]
    fn what_is_no_plugin_file_is_refused_and_the_others_stay() {
        let home = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(home.path().join("good.wasm"), b"good").expect("written");
        std::fs::write(home.path().join("Bad Name.wasm"), b"bad").expect("written");
        std::fs::create_dir(home.path().join("folder.wasm")).expect("made");
        std::os::unix::fs::symlink("good.wasm", home.path().join("link.wasm")).expect("linked");
        let large = std::fs::File::create(home.path().join("large.wasm")).expect("made");
        large.set_len(limits::COMPONENT_BYTES + 1).expect("grown");
        let changes = Folder::default().scan(home.path()).expect("scanned");
        assert_eq!(names(&changes), ["good"]);
        let reasons: Vec<_> = changes.refused.iter().map(|one| (one.file.as_str(), one.reason.as_str())).collect();
        assert_eq!(reasons.len(), 4, "{reasons:?}");
        assert!(reasons[0].1.contains("name starts with"), "{reasons:?}");
        assert!(reasons[1].1.contains("not a plain file"), "{reasons:?}");
        assert!(reasons[2].1.contains("32 MiB"), "{reasons:?}");
        assert!(reasons[3].1.contains("symbolic link"), "{reasons:?}");
    }
}

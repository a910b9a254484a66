//! Files to share: generated ones with content that nobody has, or the user's own; and how two files are compared.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    path::Path,
};

use aws_lc_rs::digest;

use crate::error::{Context as _, Error, Kind, Result};

/// The generated files, in bytes: an empty one, one smaller than a hash's chunk, odd lengths, some tens of megabytes in all.
const GENERATED: [(&str, u64); 5] = [
    ("tide-table-empty.txt", 0),
    ("tide-table-note.txt", 1_234),
    ("tide-table-photo.jpg", 2_345_678),
    ("tide-table-song.flac", 8_765_432),
    ("tide-table-film.mkv", 24_000_001),
];
/// Words of the search that finds all of them.
pub(super) const GENERATED_WORDS: &str = "tide table";
/// How much is read or written at once.
const CHUNK_BYTES: usize = 256 << 10;
/// Files of a user's folder that are looked at to find one that suits.
const MAX_LOOKED_AT: usize = 10_000;
/// The largest file of the user's that the demo sends around.
const MAX_USER_FILE_BYTES: u64 = 1 << 30;

/// A file to be found and downloaded at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    /// Its name without folders.
    pub(crate) name: String,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Its SHA-256.
    pub(crate) sha256: [u8; 32],
}

/// Writes the generated files into `folder`.
pub(super) fn generate(folder: &Path) -> Result<Vec<Expected>> {
    GENERATED.iter().map(|(name, size)| write_random(&folder.join(name), *size)).collect()
}

/// Writes a file of random bytes.
pub(crate) fn write_random(path: &Path, size: u64) -> Result<Expected> {
    let cannot = format!("cannot write {}", path.display());
    let mut file = File::create_new(path).context(&cannot)?;
    let mut hash = digest::Context::new(&digest::SHA256);
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut left = size;
    while left > 0 {
        let part = &mut chunk[..left.min(CHUNK_BYTES as u64) as usize];
        getrandom::fill(part).map_err(|error| Error::failure(format!("no random bytes: {error}")))?;
        file.write_all(part).context(&cannot)?;
        hash.update(part);
        left -= part.len() as u64;
    }
    Ok(Expected { name: file_name(path), size, sha256: finish(hash) })
}

/// The SHA-256 of a file, read in pieces.
pub(super) fn sha256(path: &Path) -> Result<[u8; 32]> {
    let cannot = format!("cannot read {}", path.display());
    let mut file = File::open(path).context(&cannot)?;
    let mut hash = digest::Context::new(&digest::SHA256);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk).context(&cannot)? {
            0 => return Ok(finish(hash)),
            count => hash.update(&chunk[..count]),
        }
    }
}

fn finish(hash: digest::Context) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(hash.finish().as_ref());
    bytes
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The largest file directly in the user's folder that the demo takes, with the words that find it.
pub(super) fn choose(folder: &Path) -> Result<(Expected, String)> {
    let shown = folder.display();
    let entries = std::fs::read_dir(folder).context(format_args!("cannot read the folder {shown}"))?;
    let mut best: Option<(u64, std::path::PathBuf)> = None;
    for entry in entries.take(MAX_LOOKED_AT).flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        let suits = metadata.is_file()
            && metadata.len() <= MAX_USER_FILE_BYTES
            && words(&file_name(&entry.path())).is_some()
            && File::open(entry.path()).is_ok();
        if suits && best.as_ref().is_none_or(|(size, _)| metadata.len() > *size) {
            best = Some((metadata.len(), entry.path()));
        }
    }
    let (size, path) = best.ok_or_else(|| {
        let message = format!("{shown} holds no readable file of up to 1 GiB with a word in its name");
        Error::new(Kind::NotFound, message)
    })?;
    let name = file_name(&path);
    let words = words(&name).unwrap_or_default();
    Ok((Expected { sha256: sha256(&path)?, name, size }, words))
}

/// The words in a file's name that a search can use; a dash in front would make one a flag.
fn words(name: &str) -> Option<String> {
    let words: Vec<&str> =
        name.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    (!name.starts_with('.') && !words.is_empty()).then(|| words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_files_are_as_said_and_never_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let one = write_random(&folder.path().join("a"), 300_001).unwrap();
        let other = write_random(&folder.path().join("b"), 300_001).unwrap();
        assert_ne!(one.sha256, other.sha256);
        assert_eq!(sha256(&folder.path().join("a")).unwrap(), one.sha256);
        assert_eq!(std::fs::metadata(folder.path().join("b")).unwrap().len(), other.size);
        assert!(write_random(&folder.path().join("a"), 1).is_err());
    }

    #[test]
    fn the_hash_is_sha_256() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("abc"), "abc").unwrap();
        let hash = sha256(&folder.path().join("abc")).unwrap();
        assert_eq!(hash[..4], [0xba, 0x78, 0x16, 0xbf]);
    }

    #[test]
    fn the_largest_file_with_a_word_is_chosen() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(choose(folder.path()).unwrap_err().kind(), Kind::NotFound);
        std::fs::write(folder.path().join("---"), "xxxxxx").unwrap();
        std::fs::write(folder.path().join(".hidden"), "xxxxxx").unwrap();
        std::fs::write(folder.path().join("-Blue_Train (1957).txt"), "xxx").unwrap();
        std::fs::write(folder.path().join("small"), "x").unwrap();
        let (file, words) = choose(folder.path()).unwrap();
        assert_eq!(
            (file.name.as_str(), file.size, words.as_str()),
            ("-Blue_Train (1957).txt", 3, "Blue Train 1957 txt")
        );
    }
}

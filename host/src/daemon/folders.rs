//! Local folders that the user names on the command line, granted to the plugin that asks for them.

use std::path::Path;

use crate::store::FolderGrant;

/// Hexadecimal digits of the path's hash that tell two folders of one name apart.
const HASH_DIGITS: usize = 8;
/// A name is shown and typed; longer ones are cut.
const MAX_NAME_BYTES: usize = 64;

/// The name by which a plugin shall know this folder: the one it has already, else its own, made distinct if taken.
pub(super) fn grant_name(path: &Path, granted: &[FolderGrant]) -> String {
    if let Some(grant) = granted.iter().find(|grant| grant.path == path) {
        return grant.name.clone();
    }
    let own = path.file_name().map_or_else(|| "root".into(), |name| name.to_string_lossy());
    let mut name: String = own
        .chars()
        .map(|letter| if letter.is_alphanumeric() || "-_.".contains(letter) { letter } else { '-' })
        .collect();
    name.truncate(name.floor_char_boundary(MAX_NAME_BYTES));
    // "." and ".." and hidden folders become ordinary names.
    let name = name.trim_start_matches('.');
    let name = if name.is_empty() { "folder" } else { name };
    if granted.iter().any(|grant| grant.name == name) || name == super::DOWNLOADS {
        let hash = blake3::hash(path.as_os_str().as_encoded_bytes()).to_hex();
        format!("{name}-{}", &hash[..HASH_DIGITS])
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(name: &str, path: &str) -> FolderGrant {
        FolderGrant { name: name.into(), path: path.into(), can_write: false }
    }

    #[test]
    fn names_are_kept_and_distinct() {
        let granted = [grant("music", "/a/music"), grant("renamed", "/b/music")];
        assert_eq!(grant_name(Path::new("/a/music"), &granted), "music");
        assert_eq!(grant_name(Path::new("/b/music"), &granted), "renamed");
        let third = grant_name(Path::new("/c/music"), &granted);
        assert!(third.starts_with("music-") && third.len() == 14, "{third}");
        assert_ne!(third, grant_name(Path::new("/d/music"), &granted));
        assert_ne!(grant_name(Path::new("/x/downloads"), &[]), "downloads");
    }

    #[test]
    fn names_are_harmless() {
        assert_eq!(grant_name(Path::new("/"), &[]), "root");
        assert_eq!(grant_name(Path::new("/x/..."), &[]), "folder");
        assert_eq!(grant_name(Path::new("/x/a b\u{1b}[2J"), &[]), "a-b--2J");
        assert!(grant_name(Path::new(&format!("/{}", "é".repeat(99))), &[]).len() <= MAX_NAME_BYTES);
    }
}

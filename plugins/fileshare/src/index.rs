//! What is shared: every file's path, size, time and hash.

use crate::hash::Hash;
use crate::names;
use crate::protocol::{Hit, Question, WORDS_MAX};
use mute_plugin::folder::Entry;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Files shared: some 15 MB of memory.
pub(crate) const FILES_MAX: usize = 50_000;
/// Bytes of a path; longer ones are skipped.
pub(crate) const PATH_MAX: usize = 1024;
/// Words of a question that count.
const WORDS_COUNT_MAX: usize = 8;
/// Matches looked for: more than an answer holds.
const MATCHES_MAX: usize = 32;

/// A file of a shared folder: the folder's grant and the path in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) share: String,
    pub(crate) path: String,
}

impl Place {
    /// The file's own name.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// What is known of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Bytes.
    pub(crate) size: u64,
    /// As the disk said when it was hashed.
    pub(crate) modified_ms: u64,
    pub(crate) hash: Hash,
}

impl Record {
    /// Whether the file still looks as it did when it was hashed.
    pub(crate) fn is_of(&self, entry: &Entry) -> bool {
        (self.size, self.modified_ms) == (entry.size, entry.modified_ms)
    }
}

/// Whether a path that a walk found is to be shared: nothing hidden, no unfinished download, not too long.
pub(crate) fn is_shareable(entry: &Entry) -> bool {
    let hidden = entry.path.split('/').any(|name| name.is_empty() || name.starts_with('.'));
    !entry.is_folder && !hidden && entry.path.len() <= PATH_MAX && !entry.path.ends_with(names::PART)
}

struct Listed {
    record: Record,
    /// The path, in lower case, for questions.
    sought: String,
}

/// All shared files.
#[derive(Default)]
pub(crate) struct Index {
    files: BTreeMap<Place, Listed>,
    /// The places where each content lies.
    places: BTreeSet<(Hash, Place)>,
}

impl Index {
    /// Adds a file or replaces what was known of it. False if the index is full.
    pub(crate) fn insert(&mut self, place: Place, record: Record) -> bool {
        self.remove(&place);
        if self.files.len() >= FILES_MAX {
            return false;
        }
        self.places.insert((record.hash, place.clone()));
        let sought = place.path.to_lowercase();
        self.files.insert(place, Listed { record, sought });
        true
    }

    /// Forgets a file; the record that it had.
    pub(crate) fn remove(&mut self, place: &Place) -> Option<Record> {
        let record = self.files.remove(place)?.record;
        self.places.remove(&(record.hash, place.clone()));
        Some(record)
    }

    pub(crate) fn record(&self, place: &Place) -> Option<&Record> {
        self.files.get(place).map(|listed| &listed.record)
    }

    /// Where a file with that content lies.
    pub(crate) fn find(&self, hash: &Hash) -> Option<(&Place, &Record)> {
        let first = (*hash, Place { share: String::new(), path: String::new() });
        let (found, place) = self.places.range(first..).next()?;
        if found == hash { Some((place, &self.files.get(place)?.record)) } else { None }
    }

    pub(crate) fn contains(&self, hash: &Hash) -> bool {
        self.find(hash).is_some()
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = (&Place, &Record)> {
        self.files.iter().map(|(place, listed)| (place, &listed.record))
    }

    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    /// The files that a question asks for: with that hash, or with all of its words in their path.
    pub(crate) fn matches(&self, question: &Question) -> Vec<Hit> {
        let hit = |place: &Place, record: &Record| Hit {
            hash: record.hash,
            size: record.size,
            name: names::clean(place.name()),
        };
        if let Some(hash) = &question.hash {
            return self.find(hash).map(|(place, record)| hit(place, record)).into_iter().collect();
        }
        if question.words.len() > WORDS_MAX {
            return Vec::new();
        }
        let words = question.words.to_lowercase();
        let words: Vec<&str> = words.split_whitespace().take(WORDS_COUNT_MAX).collect();
        if words.is_empty() {
            return Vec::new();
        }
        let matching = self.files.iter().filter(|(_, listed)| words.iter().all(|word| listed.sought.contains(word)));
        matching.take(MATCHES_MAX).map(|(place, listed)| hit(place, &listed.record)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(path: &str) -> Place {
        Place { share: "shared".to_owned(), path: path.to_owned() }
    }

    fn record(number: u8) -> Record {
        Record { size: number.into(), modified_ms: 0, hash: Hash([number; 32]) }
    }

    fn question(words: &str) -> Question {
        Question { words: words.to_owned(), hash: None }
    }

    fn names(index: &Index, words: &str) -> Vec<String> {
        index.matches(&question(words)).into_iter().map(|hit| hit.name).collect()
    }

    #[test]
    fn all_words_must_match_in_any_case() {
        let mut index = Index::default();
        index.insert(place("Music/Äther Song.flac"), record(1));
        index.insert(place("music/other.flac"), record(2));
        assert_eq!(names(&index, "MUSIC song"), ["Äther Song.flac"]);
        assert_eq!(names(&index, "äTHER"), ["Äther Song.flac"]);
        assert_eq!(names(&index, "flac").len(), 2);
        assert!(names(&index, "song other").is_empty() && names(&index, " \t").is_empty());
        assert!(names(&index, &"a".repeat(WORDS_MAX + 1)).is_empty());
        let by_hash = Question { hash: Some(Hash([2; 32])), ..question("ignored") };
        assert_eq!(index.matches(&by_hash)[0].name, "other.flac");
    }

    #[test]
    fn matches_are_bounded() {
        let mut index = Index::default();
        for number in 0..200 {
            index.insert(place(&format!("{number}.txt")), record(1));
        }
        assert_eq!(index.matches(&question("txt")).len(), MATCHES_MAX);
    }

    #[test]
    fn hidden_and_unfinished_files_are_not_shared() {
        let entry = |path: &str| Entry { path: path.to_owned(), size: 1, modified_ms: 1, is_folder: false };
        assert!(is_shareable(&entry("a/b.txt")));
        for path in [".a", "a/.b/c", "a//b", "", "film.mkv.0123456789abcdef.part", &"x".repeat(PATH_MAX + 1)] {
            assert!(!is_shareable(&entry(path)), "{path}");
        }
        assert!(!is_shareable(&Entry { is_folder: true, ..entry("a") }));
    }

    proptest! {
        /// Whatever comes and goes, a hash is found exactly while a file has it.
        #[test]
        fn hashes_follow_files(steps: Vec<(bool, u8, u8)>) {
            let mut index = Index::default();
            let mut model = BTreeMap::new();
            for (add, path, hash) in steps {
                let (place, hash) = (place(&format!("{}", path % 8)), hash % 4);
                if add {
                    index.insert(place.clone(), record(hash));
                    model.insert(place, hash);
                } else {
                    prop_assert_eq!(index.remove(&place).is_some(), model.remove(&place).is_some());
                }
                for hash in 0..4 {
                    let found = index.find(&Hash([hash; 32])).map(|(place, _)| place);
                    prop_assert_eq!(found.is_some(), model.values().any(|have| *have == hash));
                    prop_assert!(found.is_none_or(|place| model[place] == hash));
                }
                prop_assert_eq!(index.len(), model.len());
            }
        }
    }
}

//! What sharers and seekers say to each other.

use crate::hash::Hash;
use crate::names;
use mute_plugin::{Error, MESSAGE_MAX, Result, frame};
use serde::{Deserialize, Serialize};

/// The topic of questions, which are flooded.
pub(crate) const QUESTIONS: &str = "fileshare/search";
/// The topic of answers, which are letters.
pub(crate) const ANSWERS: &str = "fileshare/result";
/// The protocol of transfers.
pub(crate) const TRANSFERS: &str = "fileshare/1";

/// Bytes of a question's words.
pub(crate) const WORDS_MAX: usize = 256;
/// Hits that an answer may hold: more than fit into a letter.
const HITS_MAX: usize = 32;
/// Bytes of a request or reply of a transfer: some ten times what it takes.
pub(crate) const CONTROL_MAX: usize = 1024;

/// A question, flooded to everybody in reach. The answer goes to the one-time key that signed the flood.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Question {
    /// The words wanted, separated by spaces.
    #[serde(default)]
    pub(crate) words: String,
    /// Or the very file.
    #[serde(default)]
    pub(crate) hash: Option<Hash>,
}

/// The one letter by which a sharer answers a question. Its sender is the sharer.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// The files that match; as many as fit.
    pub(crate) hits: Vec<Hit>,
}

/// A file that matches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hit {
    #[serde(rename = "h")]
    pub(crate) hash: Hash,
    /// Bytes.
    #[serde(rename = "s")]
    pub(crate) size: u64,
    #[serde(rename = "n")]
    pub(crate) name: String,
}

impl Answer {
    /// An answer with the first of these hits, as many as fit into a letter.
    pub(crate) fn fitting(hits: impl IntoIterator<Item = Hit>) -> Self {
        let mut answer = Self { hits: Vec::new() };
        for hit in hits.into_iter().take(HITS_MAX) {
            answer.hits.push(hit);
            if frame::encode(&answer, MESSAGE_MAX).is_err() {
                answer.hits.pop();
                break;
            }
        }
        answer
    }

    /// The hits of an answer that came from a stranger, their names cleaned.
    pub(crate) fn into_hits(self) -> impl Iterator<Item = Hit> {
        self.hits.into_iter().take(HITS_MAX).map(|hit| Hit { name: names::clean(&hit.name), ..hit })
    }
}

/// What the seeker asks on a channel of a transfer, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) enum Request {
    /// The values of all blocks. After the [`Reply`]: 32 bytes for each.
    Tree(Hash),
    /// The blocks from one on, to the end. After the [`Reply`]: for each block the values of its groups, then its bytes.
    Blocks(Hash, u64),
}

/// What the sharer replies first.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reply {
    /// 0, or why not, as a code of [`Error`].
    pub(crate) code: u32,
    /// Bytes of the file.
    pub(crate) size: u64,
}

impl Reply {
    /// The size, or why the sharer refuses.
    pub(crate) fn size(self) -> Result<u64> {
        match self.code {
            0 => Ok(self.size),
            Error::NOT_FOUND => Err(Error::not_found("the source does not share this file any more")),
            Error::BUSY => Err(Error::new(Error::BUSY, "the source is busy")),
            code => Err(Error::new(Error::REFUSED, format!("the source refuses (code {code})"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hit(name: String) -> Hit {
        Hit { hash: Hash([7; 32]), size: u64::MAX, name }
    }

    proptest! {
        #[test]
        fn answers_fit_into_a_letter(names in prop::collection::vec(".{0,200}", 0..40)) {
            let answer = Answer::fitting(names.into_iter().map(hit));
            let bytes = frame::encode(&answer, MESSAGE_MAX).unwrap();
            prop_assert_eq!(frame::decode::<Answer>(&bytes).unwrap(), answer);
        }

        #[test]
        fn hostile_bytes_never_panic(bytes: Vec<u8>) {
            let _ = frame::decode::<Question>(&bytes);
            let _ = frame::decode::<Answer>(&bytes).map(|answer| answer.into_hits().count());
            let _ = frame::decode::<Request>(&bytes);
            let _ = frame::decode::<Reply>(&bytes);
        }

        #[test]
        fn requests_there_and_back(hash: [u8; 32], from: u64, blocks: bool) {
            let request = if blocks { Request::Blocks(Hash(hash), from) } else { Request::Tree(Hash(hash)) };
            let bytes = frame::encode(&request, CONTROL_MAX).unwrap();
            prop_assert_eq!(frame::decode::<Request>(&bytes).unwrap(), request);
        }
    }

    #[test]
    fn several_hits_fit_and_names_are_cleaned() {
        let answer = Answer::fitting((0..40).map(|number| hit(format!("../.song number {number}.flac"))));
        assert!(answer.hits.len() >= 8, "{}", answer.hits.len());
        assert!(answer.into_hits().all(|hit| hit.name.starts_with("song")));
    }

    #[test]
    fn a_question_of_full_length_fits() {
        let question = Question { words: "x".repeat(WORDS_MAX), hash: Some(Hash([1; 32])) };
        frame::encode(&question, MESSAGE_MAX).unwrap();
    }
}

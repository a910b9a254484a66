//! Questions to everybody in reach, and answers to theirs.

use crate::budget::Budget;
use crate::hash::Hash;
use crate::protocol::{ANSWERS, Answer, Hit, QUESTIONS, Question, WORDS_MAX};
use crate::state::State;
use mute_plugin::{Address, Error, Identity, Messages, Result, Stop, debug, time};
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

/// Questions looked at in a second, and at once: each may cost a pass over 50,000 names, some 5 ms.
const QUESTIONS_PER_SECOND: u32 = 20;
const QUESTIONS_BURST: u32 = 60;
/// How long an answer may take to leave: a question's asker waits no longer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Results of one search: more than anybody reads.
const RESULTS_MAX: usize = 500;

/// Answers the questions of others about what is shared, until `stop`.
pub(crate) async fn answer(state: Rc<State>, stop: Stop) -> Result<()> {
    let identity = state.identity()?;
    let mut questions = identity.broadcasts(QUESTIONS)?;
    let mut budget = Budget::new(QUESTIONS_PER_SECOND, QUESTIONS_BURST);
    while let Some(Some(message)) = stop.or(questions.next()).await {
        if !budget.take(time::elapsed()) {
            continue;
        }
        let Ok(question) = message.decode::<Question>() else { continue };
        let hits = state.index.borrow().matches(&question);
        if hits.is_empty() {
            continue;
        }
        let answer = Answer::fitting(hits);
        match time::timeout(ANSWER_LIMIT, identity.send(message.sender(), ANSWERS, &answer)).await {
            Some(Ok(())) => {}
            Some(Err(error)) => debug!("an answer could not be sent: {error}"),
            None => debug!("an answer took too long to send"),
        }
    }
    Ok(())
}

/// A search under way.
pub(crate) struct Search {
    /// Made for this search alone, so that nothing links it to another, nor to what we share.
    _identity: Identity,
    letters: Messages,
    state: Rc<State>,
    ends: Duration,
    arrived: VecDeque<(Hit, Address)>,
    seen: BTreeSet<(Hash, Address)>,
}

impl Search {
    /// Asks for files with these words, or for the very file with a hash; answers are taken for `limit`.
    pub(crate) async fn start(state: Rc<State>, words: &str, hash: Option<Hash>, limit: Duration) -> Result<Self> {
        if words.len() > WORDS_MAX {
            return Err(Error::too_large(format!("more than {WORDS_MAX} bytes of words")));
        }
        let identity = Identity::ephemeral()?;
        let letters = identity.letters(ANSWERS)?;
        let question = Question { words: words.to_owned(), hash };
        identity.broadcast(QUESTIONS, &question).await?;
        let ends = time::elapsed() + limit;
        let (arrived, seen) = Default::default();
        Ok(Self { _identity: identity, letters, state, ends, arrived, seen })
    }

    /// The next file that somebody shares, and who does; none when the time is over.
    pub(crate) async fn next(&mut self) -> Option<(Hit, Address)> {
        loop {
            if let Some(hit) = self.arrived.pop_front() {
                return Some(hit);
            }
            let left = self.ends.saturating_sub(time::elapsed());
            if left.is_zero() || self.seen.len() >= RESULTS_MAX {
                return None;
            }
            let letter = time::timeout(left, self.letters.next()).await??;
            let Ok(answer) = letter.decode::<Answer>() else { continue };
            let sharer = letter.sender();
            for hit in answer.into_hits() {
                if self.seen.len() < RESULTS_MAX && self.seen.insert((hit.hash, sharer)) {
                    self.state.remember(&hit, sharer);
                    self.arrived.push_back((hit, sharer));
                }
            }
        }
    }
}

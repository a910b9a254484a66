//! Messages as they come in, for those who listen.

use crate::model::Entry;
use mute_plugin::{Address, Signal};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

/// Messages that wait for a slow listener, at most 1 MiB of the longest; beyond, the oldest go (they stay stored).
const WAITING_MAX: usize = 64;

/// A message that came in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) peer: Address,
    /// The sender's petname.
    pub(crate) name: Option<String>,
    pub(crate) entry: Entry,
}

/// Tells all who listen.
#[derive(Default)]
pub(crate) struct Feed(RefCell<Vec<Weak<Ear>>>);

#[derive(Default)]
struct Ear {
    waiting: RefCell<(VecDeque<Rc<Heard>>, u64)>,
    signal: Signal,
}

/// One who listens.
pub(crate) struct Listener(Rc<Ear>);

impl Feed {
    /// Listens from now on.
    pub(crate) fn listen(&self) -> Listener {
        let ear = Rc::default();
        let mut ears = self.0.borrow_mut();
        ears.retain(|ear: &Weak<Ear>| ear.strong_count() > 0);
        ears.push(Rc::downgrade(&ear));
        Listener(ear)
    }

    /// Tells all.
    pub(crate) fn tell(&self, heard: Heard) {
        let heard = Rc::new(heard);
        for ear in self.0.borrow().iter().filter_map(Weak::upgrade) {
            let mut waiting = ear.waiting.borrow_mut();
            if waiting.0.len() == WAITING_MAX {
                waiting.0.pop_front();
                waiting.1 += 1;
            }
            waiting.0.push_back(Rc::clone(&heard));
            ear.signal.raise();
        }
    }
}

impl Listener {
    /// What came in since, at least one; and how many were left out because nobody took them.
    pub(crate) async fn next(&self) -> (Vec<Rc<Heard>>, u64) {
        loop {
            let (waiting, missed) = self.0.waiting.take();
            if !waiting.is_empty() {
                return (waiting.into(), missed);
            }
            self.0.signal.wait().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mute_plugin::futures::FutureExt as _;

    fn heard(time_s: u64) -> Heard {
        let entry = Entry { id: [0; 16], mine: false, time_s, text: String::new() };
        Heard { peer: Address::from_bytes([1; 32]), name: None, entry }
    }

    #[test]
    fn all_listeners_hear_what_comes_after_they_began() {
        let feed = Feed::default();
        feed.tell(heard(0));
        let (one, other) = (feed.listen(), feed.listen());
        assert!(one.next().now_or_never().is_none());
        feed.tell(heard(1));
        drop(other);
        feed.tell(heard(2));
        let (messages, missed) = one.next().now_or_never().unwrap();
        assert_eq!(messages.iter().map(|heard| heard.entry.time_s).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(missed, 0);
        assert!(one.next().now_or_never().is_none());
    }

    #[test]
    fn a_slow_listener_misses_the_oldest_and_is_told() {
        let feed = Feed::default();
        let listener = feed.listen();
        for time_s in 0..100 {
            feed.tell(heard(time_s));
        }
        let (messages, missed) = listener.next().now_or_never().unwrap();
        assert_eq!((messages.len(), missed, messages[0].entry.time_s), (64, 36, 36));
    }
}

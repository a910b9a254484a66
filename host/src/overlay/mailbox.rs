//! Messages that wait for their reader: the newest, the oldest being dropped and counted.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use mute_core::{Address, Topic};

use super::identity::Life;

/// Messages that wait in one subscription. At 1 KiB each it is a quarter of a megabyte.
const CAPACITY: usize = 256;

/// A broadcast that was heard, or a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Of a broadcast its one-time address, of a letter the address that signed it.
    pub sender: Address,
    /// The topic's text.
    pub topic: String,
    /// Never the same twice.
    pub id: [u8; 16],
    /// At most 1 KiB.
    pub body: Bytes,
}

/// A bounded queue with one reader.
#[derive(Default)]
pub(crate) struct Mailbox {
    inner: Mutex<Inner>,
    reader: AtomicWaker,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Inner {
    messages: VecDeque<Message>,
    closed: bool,
}

impl Mailbox {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, message: Message) {
        let mut inner = self.inner();
        if inner.messages.len() == CAPACITY {
            inner.messages.pop_front();
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        inner.messages.push_back(message);
        drop(inner);
        self.reader.wake();
    }

    /// No more will come; what is here can still be read.
    pub(crate) fn close(&self) {
        self.inner().closed = true;
        self.reader.wake();
    }

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.reader.register(cx.waker());
        let mut inner = self.inner();
        match inner.messages.pop_front() {
            Some(message) => Poll::Ready(Some(message)),
            None if inner.closed => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

/// What a subscription is for.
pub(crate) enum Subject {
    Broadcasts(Topic),
    Letters(String),
}

/// The messages of one topic. Dropping it unsubscribes.
pub struct Subscription {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) subject: Subject,
    pub(crate) life: Arc<Life>,
}

impl Subscription {
    /// The next message; `None` when the identity has ended.
    pub async fn next(&mut self) -> Option<Message> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`Self::next`].
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.mailbox.poll_next(cx)
    }

    /// How many messages were dropped because nobody read them in time.
    pub fn dropped(&self) -> u64 {
        self.mailbox.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.life.unsubscribe(&self.subject);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(n: usize) -> Message {
        Message { sender: Address([0; 32]), topic: String::new(), id: [n as u8; 16], body: Bytes::new() }
    }

    #[test]
    fn the_oldest_is_dropped_and_counted() {
        let mailbox = Mailbox::default();
        for n in 0..CAPACITY + 3 {
            mailbox.push(message(n));
        }
        mailbox.close();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut read = Vec::new();
        while let Poll::Ready(Some(message)) = mailbox.poll_next(&mut cx) {
            read.push(message);
        }
        assert_eq!(read.len(), CAPACITY);
        assert_eq!(read[0], message(3));
        assert_eq!(mailbox.dropped.load(Ordering::Relaxed), 3);
        assert_eq!(mailbox.poll_next(&mut cx), Poll::Ready(None));
    }
}

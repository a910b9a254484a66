//! Memory: how much the connections of a host may hold in all.
//!
//! A connection holds at most its receive window (bytes that the peer sent and nobody read) and its send window (bytes
//! written and not acknowledged). Both start small and grow only while they are what limits, out of one budget for the
//! whole host; when the connection ends its share goes back.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use quinn::VarInt;

/// What all connections of a host may hold together, in bytes: half of the 256 MB that a host may be resident with.
const TOTAL: u64 = 128 << 20;

/// What growth leaves of the budget, in bytes: first shares of 128 connections, so that a few fast transfers do not keep
/// others from connecting.
const RESERVE: u64 = 32 << 20;

/// What connections that peers ask for leave of the budget, in bytes, so that peers cannot keep this host from dialling.
const RESERVE_TO_DIAL: u64 = 16 << 20;

/// The receive window that a connection starts with, in bytes: eight packets.
pub(crate) const MIN_RECEIVE: u64 = 128 << 10;
/// The largest receive window, in bytes: 320 MB/s at a round trip of 100 ms.
pub(crate) const MAX_RECEIVE: u64 = 32 << 20;
/// The receive window of one channel, in bytes: a quarter of the largest, so that three channels that nobody reads leave
/// room for the others of their connection. It costs nothing of its own, for the connection's is above it.
pub(crate) const CHANNEL_RECEIVE: u64 = 8 << 20;

/// The send window that a connection starts with, in bytes: the first flight.
pub(crate) const MIN_SEND: u64 = 128 << 10;
/// The largest send window of a bulk connection, in bytes.
const MAX_SEND_BULK: u64 = 16 << 20;
/// The largest send window of an interactive connection, in bytes: what is written early waits, and can't be taken back.
const MAX_SEND_INTERACTIVE: u64 = 2 << 20;

/// What a host's connections may hold.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    used: AtomicU64,
}

impl Budget {
    /// A new connection's first share; `None` when too many hold too much. `dialled`: this host asks for it.
    pub(crate) fn first_share(self: &Arc<Self>, dialled: bool) -> Option<Share> {
        let bytes = MIN_RECEIVE + MIN_SEND;
        self.take(bytes, if dialled { TOTAL } else { TOTAL - RESERVE_TO_DIAL })
            .then(|| Share { budget: self.clone(), bytes })
    }

    fn take(&self, bytes: u64, limit: u64) -> bool {
        self.used
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|used| *used <= limit)
            })
            .is_ok()
    }
}

/// A connection's part of the budget; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Share {
    fn grow(&mut self, by: u64) -> bool {
        let taken = self.budget.take(by, TOTAL - RESERVE);
        if taken {
            self.bytes += by;
        }
        taken
    }

    fn shrink(&mut self, by: u64) {
        let by = by.min(self.bytes);
        self.bytes -= by;
        self.budget.used.fetch_sub(by, Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Fits the windows of one connection to its speed.
#[derive(Debug)]
pub(crate) struct Windows {
    /// Bytes read since the receive window was last looked at.
    read: AtomicU64,
    /// Bytes written since the send window was last looked at.
    written: AtomicU64,
    /// Half the receive window, in bytes: look again after so many.
    look_read: AtomicU64,
    /// A quarter of the send window, in bytes: look again after so many.
    look_written: AtomicU64,
    max_send: u64,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    share: Share,
    receive: u64,
    send: u64,
    looked: Instant,
    /// How often the peer had said that the receive window holds it back.
    blocked: u64,
}

impl Windows {
    pub(crate) fn new(share: Share, bulk: bool) -> Self {
        Self {
            read: AtomicU64::new(0),
            written: AtomicU64::new(0),
            look_read: AtomicU64::new(MIN_RECEIVE / 2),
            look_written: AtomicU64::new(MIN_SEND / 4),
            max_send: if bulk { MAX_SEND_BULK } else { MAX_SEND_INTERACTIVE },
            inner: Mutex::new(Inner {
                share,
                receive: MIN_RECEIVE,
                send: MIN_SEND,
                looked: Instant::now(),
                blocked: 0,
            }),
        }
    }

    /// Bytes have been read. When half a window was read within two round trips, the window (nearly) limits: double it.
    pub(crate) fn on_read(&self, bytes: usize, connection: &quinn::Connection) {
        let read = self.read.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        if read < self.look_read.load(Ordering::Relaxed) {
            return;
        }
        self.read.store(0, Ordering::Relaxed);
        let now = Instant::now();
        let round_trip = connection.rtt();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let fast = now.saturating_duration_since(inner.looked) < round_trip * 2;
        inner.looked = now;
        if fast {
            self.grow_receive(&mut inner, 2, connection);
        }
    }

    /// Channels wait while others hold the whole window unread: a larger one lets them go on. Called now and then while
    /// somebody waits. Three such steps make room for a second channel beside one that nobody reads.
    pub(crate) fn on_waiting(&self, connection: &quinn::Connection) {
        let blocked = connection.stats().frame_rx.data_blocked;
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if blocked > inner.blocked {
            inner.blocked = blocked;
            self.grow_receive(&mut inner, 8, connection);
        }
    }

    fn grow_receive(&self, inner: &mut Inner, factor: u64, connection: &quinn::Connection) {
        let wanted = (inner.receive * factor).min(MAX_RECEIVE);
        let more = wanted - inner.receive;
        if more > 0 && inner.share.grow(more) {
            inner.receive = wanted;
            self.look_read.store(wanted / 2, Ordering::Relaxed);
            // It stays below 2^62, which is the only thing that could go wrong.
            connection.set_receive_window(VarInt::from_u64(inner.receive).unwrap_or(VarInt::MAX));
        }
    }

    /// Bytes have been written. The send window follows twice the congestion window, so that there is always something
    /// to send and never much that waits.
    pub(crate) fn on_written(&self, bytes: usize, connection: &quinn::Connection) {
        let written = self.written.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        if written < self.look_written.load(Ordering::Relaxed) {
            return;
        }
        self.written.store(0, Ordering::Relaxed);
        let wanted = (connection.stats().path.cwnd.saturating_mul(2)).clamp(MIN_SEND, self.max_send);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let send = inner.send;
        let changed = if wanted > send {
            inner.share.grow(wanted - send)
        } else {
            // Give back only what is worth it: the congestion window breathes.
            let much = wanted < send / 4;
            if much {
                inner.share.shrink(send - wanted);
            }
            much
        };
        if changed {
            inner.send = wanted;
            self.look_written.store(wanted / 4, Ordering::Relaxed);
            connection.set_send_window(wanted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(budget: &Arc<Budget>, dialled: bool) -> Vec<Share> {
        std::iter::from_fn(|| budget.first_share(dialled)).collect()
    }

    #[test]
    fn the_budget_bounds_and_is_given_back() {
        let budget = Arc::new(Budget::default());
        let each = MIN_RECEIVE + MIN_SEND;
        let mut accepted = shares(&budget, false);
        assert_eq!(accepted.len() as u64, (TOTAL - RESERVE_TO_DIAL) / each);
        let dialled = shares(&budget, true);
        assert_eq!(dialled.len() as u64, RESERVE_TO_DIAL / each);
        assert!(!accepted[0].grow(1));
        drop((accepted, dialled));
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn growth_leaves_the_reserve() {
        let budget = Arc::new(Budget::default());
        let mut fast = budget.first_share(true).expect("an empty budget");
        assert!(fast.grow(TOTAL - RESERVE - fast.bytes));
        assert!(!fast.grow(1));
        assert_eq!(shares(&budget, true).len(), 128);
    }
}

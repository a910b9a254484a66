//! The sending end of a flow with a window: what QUIC does, without streams (RFC 9002): packet numbers, acknowledgements, losses by
//! reordering and by time, probes, pacing, and congestion marks that count once a round trip.

use std::collections::BTreeMap;

use super::{
    congestion::{Algorithm, Window},
    packet::Ack,
};
use crate::{events::Nanos, network::nanos};

/// How a sender with a window behaves. The defaults are the daemon's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowParams {
    /// The window's law.
    pub algorithm: Algorithm,
    /// The window before anything is known, in packets.
    pub initial_packets: u32,
    /// How many packets may overtake one before it counts as lost.
    pub reordering: u64,
    /// How many packets may arrive before they are acknowledged.
    pub ack_every: u32,
    /// How long an acknowledgement may wait.
    pub ack_delay: std::time::Duration,
}

impl Default for WindowParams {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::Cubic,
            initial_packets: 8,
            reordering: 64,
            ack_every: 10,
            ack_delay: std::time::Duration::from_millis(25),
        }
    }
}

/// The round trip before anything is known, as in the daemon.
const INITIAL_RTT: Nanos = 100_000_000;

/// The finest time that a loss is judged by.
const GRANULARITY: Nanos = 1_000_000;

/// Packets that may leave at once; the others are paced to 5/4 of the window a round trip.
const BURST_PACKETS: f64 = 10.0;

/// Probes without an answer after which the window collapses.
const COLLAPSE_AFTER: u32 = 3;

/// A packet under way.
struct Sent {
    at: Nanos,
    bytes: u64,
}

/// The sending end.
pub(super) struct Sender {
    params: WindowParams,
    packet: u64,
    window: Window,
    next: u64,
    under_way: BTreeMap<u64, Sent>,
    in_flight: u64,
    largest: Option<u64>,
    smoothed: Nanos,
    variation: Nanos,
    latest: Nanos,
    measured: bool,
    /// Congestion marks that the receiver reported.
    marked: u64,
    probes: u32,
    /// Packets that may be sent beyond the window, to learn whether anything arrives.
    allowed_probes: u32,
    /// Bytes that pacing allows, and when that was reckoned.
    tokens: f64,
    filled: Nanos,
    /// Packets found to be lost.
    pub(super) lost: u64,
    /// Times that the window was cut.
    pub(super) cuts: u64,
}

/// What a sender may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum May {
    /// Send a packet.
    Send,
    /// Send one then, for pacing.
    Wait(Nanos),
    /// Nothing until an acknowledgement comes, or [`Sender::deadline`].
    Full,
}

impl Sender {
    pub(super) fn new(params: WindowParams, packet: u64) -> Self {
        Self {
            params,
            packet,
            window: Window::new(params.algorithm, packet, params.initial_packets),
            next: 0,
            under_way: BTreeMap::new(),
            in_flight: 0,
            largest: None,
            smoothed: INITIAL_RTT,
            variation: INITIAL_RTT / 2,
            latest: INITIAL_RTT,
            measured: false,
            marked: 0,
            probes: 0,
            allowed_probes: 0,
            tokens: BURST_PACKETS * packet as f64,
            filled: 0,
            lost: 0,
            cuts: 0,
        }
    }

    /// The window in bytes.
    pub(super) fn window(&self) -> f64 {
        self.window.window
    }

    /// The smoothed round trip.
    pub(super) fn rtt(&self) -> Nanos {
        self.smoothed
    }

    /// Whether a packet may be sent.
    pub(super) fn may(&mut self, now: Nanos) -> May {
        if self.allowed_probes > 0 {
            return May::Send;
        }
        if (self.in_flight + self.packet) as f64 > self.window.window {
            return May::Full;
        }
        let rate = 1.25 * self.window.window / self.smoothed.max(1) as f64;
        let most = (BURST_PACKETS * self.packet as f64).min(self.window.window);
        self.tokens = (self.tokens + (now - self.filled) as f64 * rate).min(most);
        self.filled = now;
        let missing = self.packet as f64 - self.tokens;
        if missing > 0.0 { May::Wait(now + (missing / rate).ceil() as Nanos + 1) } else { May::Send }
    }

    /// A packet is sent; its number.
    pub(super) fn send(&mut self, now: Nanos) -> u64 {
        let number = self.next;
        self.next += 1;
        self.allowed_probes = self.allowed_probes.saturating_sub(1);
        self.tokens -= self.packet as f64;
        self.in_flight += self.packet;
        self.under_way.insert(number, Sent { at: now, bytes: self.packet });
        number
    }

    /// When something has to be done though nothing comes.
    pub(super) fn deadline(&self) -> Option<Nanos> {
        let oldest = self.under_way.first_key_value()?;
        if self.largest.is_some_and(|largest| *oldest.0 < largest) {
            return Some(oldest.1.at + self.loss_delay());
        }
        let (_, newest) = self.under_way.last_key_value()?;
        let wait = self.smoothed + (4 * self.variation).max(GRANULARITY) + nanos(self.params.ack_delay);
        Some(newest.at + (wait << self.probes.min(10)))
    }

    /// It is time. Nothing to do if it is not.
    pub(super) fn due(&mut self, now: Nanos) {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        if self.find_lost(now) {
            return;
        }
        self.probes += 1;
        self.allowed_probes = 1;
        if self.probes == COLLAPSE_AFTER {
            self.window.collapsed();
            self.cuts += 1;
            // Nothing of it is counted on any more.
            self.lost += self.under_way.len() as u64;
            self.under_way.clear();
            self.in_flight = 0;
        }
    }

    /// The trail is another: what was under way on the old one is not waited for.
    pub(super) fn moved(&mut self) {
        self.probes = 0;
    }

    /// An acknowledgement. Packets that it is the first to name.
    pub(super) fn acked(&mut self, ack: &Ack, now: Nanos) -> u64 {
        let Some(newest) = ack.ranges.first().map(|range| *range.end()) else {
            return 0;
        };
        let limited = self.in_flight as f64 + 2.0 * self.packet as f64 >= self.window.window;
        if let Some(sent) = self.under_way.get(&newest) {
            self.measure(now - sent.at, ack.delay);
        }
        let mut acked = 0;
        let mut newest_sent = 0;
        for range in &ack.ranges {
            let named: Vec<u64> = self.under_way.range(range.clone()).map(|(number, _)| *number).collect();
            for number in named {
                if let Some(sent) = self.under_way.remove(&number) {
                    acked += 1;
                    self.in_flight = self.in_flight.saturating_sub(sent.bytes);
                    newest_sent = newest_sent.max(sent.at);
                    if limited {
                        self.window.acked(sent.bytes, sent.at, now, self.smoothed);
                    }
                }
            }
        }
        if acked == 0 {
            return 0;
        }
        self.probes = 0;
        self.largest = self.largest.max(Some(newest));
        if ack.marked > self.marked {
            self.marked = ack.marked;
            self.cuts += u64::from(self.window.congested(newest_sent, now));
        }
        self.find_lost(now);
        acked
    }

    fn measure(&mut self, latest: Nanos, delay: Nanos) {
        let latest = latest.saturating_sub(delay.min(latest / 2)).max(1);
        self.latest = latest;
        if !self.measured {
            self.measured = true;
            (self.smoothed, self.variation) = (latest, latest / 2);
            return;
        }
        self.variation = (3 * self.variation + self.smoothed.abs_diff(latest)) / 4;
        self.smoothed = (7 * self.smoothed + latest) / 8;
    }

    fn loss_delay(&self) -> Nanos {
        (self.smoothed.max(self.latest) / 8 * 9).max(GRANULARITY)
    }

    /// Packets that too many overtook, or that are too old, are lost.
    fn find_lost(&mut self, now: Nanos) -> bool {
        let Some(largest) = self.largest else {
            return false;
        };
        let delay = self.loss_delay();
        let mut newest_lost = None;
        while let Some((number, sent)) = self.under_way.first_key_value()
            && *number < largest
            && (*number + self.params.reordering <= largest || sent.at + delay <= now)
            && let Some((_, sent)) = self.under_way.pop_first()
        {
            self.lost += 1;
            self.in_flight = self.in_flight.saturating_sub(sent.bytes);
            newest_lost = newest_lost.max(Some(sent.at));
        }
        if let Some(sent) = newest_lost {
            self.cuts += u64::from(self.window.congested(sent, now));
        }
        newest_lost.is_some()
    }
}

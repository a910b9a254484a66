//! Frames, a clock, and a link that drains at a rate.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use mute_core::{
    Ecn, Hop, IdentityKey, Instant, Label, LinkId, NetworkId, PortId, Scheduler, SchedulerConfig,
    wire::{Flood, Frame, Phase, Signed, Stamp, Verified},
};

pub(crate) type Queue = Scheduler<Verified>;

pub(crate) fn queue() -> Queue {
    Scheduler::new(SchedulerConfig::default())
}

pub(crate) fn us(us: u64) -> Instant {
    Instant::from_origin(Duration::from_micros(us))
}

pub(crate) fn ms(ms: u64) -> Instant {
    us(ms * 1000)
}

pub(crate) fn link(n: u64) -> Hop {
    Hop::Link(LinkId(n))
}

pub(crate) fn port(n: u64) -> Hop {
    Hop::Port(PortId(n))
}

/// Data whose body starts with `number`, `length` bytes on the link.
pub(crate) fn numbered(label: u64, length: usize, ecn: Ecn, number: u64) -> Frame<Verified> {
    let mut body = vec![0; length - 12];
    body[..8].copy_from_slice(&number.to_be_bytes());
    Frame::Data { label: Label(label), ecn, body: body.into() }
}

pub(crate) fn data(label: u64, length: usize) -> Frame<Verified> {
    Frame::Data { label: Label(label), ecn: Ecn::NotCapable, body: Bytes::from(vec![0; length - 12]) }
}

pub(crate) fn close(label: u64) -> Frame<Verified> {
    Frame::Close { label: Label(label) }
}

/// A flood of 1,000 bytes, whose signature costs little because it is made once.
pub(crate) fn flood() -> Frame<Verified> {
    static MESSAGE: std::sync::OnceLock<Signed<Flood, Verified>> = std::sync::OnceLock::new();
    let message = MESSAGE.get_or_init(|| {
        let (key, stamp) = (IdentityKey::from_seed(&[1; 32]), Stamp { minute: 1, random: 1 });
        let topic = mute_core::Topic([0; 16]);
        let empty = Signed::<Flood, _>::sign(NetworkId([0; 16]), &key, stamp, topic, b"").expect("a short body");
        let fill = 1000 - Frame::Flood { phase: Phase::Hidden, message: empty }.encoded_len();
        Signed::<Flood, _>::sign(NetworkId([0; 16]), &key, stamp, topic, &vec![0; fill]).expect("a short body")
    });
    Frame::Flood { phase: Phase::Hidden, message: message.clone() }
}

/// The trail of a frame of Data.
pub(crate) fn label_of(frame: &Frame<Verified>) -> u64 {
    match frame {
        Frame::Data { label, .. } | Frame::Close { label } => label.0,
        _ => panic!("neither Data nor Close"),
    }
}

/// Jain's index of fairness: 1 if all are equal, 1/n if one has all.
pub(crate) fn jain(shares: impl IntoIterator<Item = u64>) -> f64 {
    let (mut n, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for share in shares {
        let share = share as f64;
        n += 1.0;
        sum += share;
        squares += share * share;
    }
    sum * sum / (n * squares)
}

/// Sources that send at constant rates into a link that drains at a rate.
pub(crate) struct Run {
    pub(crate) queue: Queue,
    pub(crate) bytes_per_s: u64,
    /// When the link is free again, in microseconds.
    pub(crate) free_us: u64,
    /// What went out, by what `key` says of a frame.
    pub(crate) sent: BTreeMap<u64, u64>,
    /// The longest that a frame of Data whose body starts with the time it was sent at was on its way, by label, in microseconds.
    pub(crate) delays: BTreeMap<u64, u64>,
}

impl Run {
    pub(crate) fn new(bytes_per_s: u64) -> Self {
        Self { queue: queue(), bytes_per_s, free_us: 0, sent: BTreeMap::new(), delays: BTreeMap::new() }
    }

    /// Lets the link drain until a time.
    pub(crate) fn drain(&mut self, until_us: u64) {
        while self.free_us <= until_us {
            let Some(frame) = self.queue.pop(us(self.free_us)) else {
                self.free_us = until_us + 1;
                return;
            };
            let bytes = frame.encoded_len() as u64;
            let began = self.free_us;
            self.free_us += (bytes * 1_000_000).div_ceil(self.bytes_per_s);
            let key = if let Frame::Data { label, body, .. } = &frame {
                let mut at = [0; 8];
                at.copy_from_slice(&body[..8]);
                let delay = began.saturating_sub(u64::from_be_bytes(at));
                let longest = self.delays.entry(label.0).or_default();
                *longest = delay.max(*longest);
                label.0
            } else {
                u64::MAX
            };
            *self.sent.entry(key).or_default() += bytes;
        }
    }
}

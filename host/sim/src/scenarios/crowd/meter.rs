//! What goes over the links, by kind, and how many links a packet takes: seen by a network's tap.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};

use mute_core::wire::{Frame, SeekMode, Verified};

use crate::{Network, Record, Table, wire_bytes};

/// The kinds that are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Flood,
    FloodedSeek,
    WalkingSeek,
    DirectedSeek,
    Walk,
    Trail,
    Keep,
    Letter,
    Data,
    Close,
}

impl Kind {
    pub(crate) const ALL: [(Self, &'static str); 10] = [
        (Self::Flood, "floods"),
        (Self::FloodedSeek, "flooded seeks"),
        (Self::WalkingSeek, "walking seeks"),
        (Self::DirectedSeek, "directed seeks"),
        (Self::Walk, "walks"),
        (Self::Trail, "trails"),
        (Self::Keep, "keeps"),
        (Self::Letter, "letters"),
        (Self::Data, "data"),
        (Self::Close, "closes"),
    ];

    fn of(frame: &Frame<Verified>) -> Self {
        match frame {
            Frame::Flood { .. } => Self::Flood,
            Frame::Seek { mode: SeekMode::Flood(_), .. } => Self::FloodedSeek,
            Frame::Seek { mode: SeekMode::Walk(_), .. } => Self::WalkingSeek,
            Frame::Seek { mode: SeekMode::Directed, .. } => Self::DirectedSeek,
            Frame::Walk { .. } => Self::Walk,
            Frame::Trail { .. } => Self::Trail,
            Frame::Keep { .. } => Self::Keep,
            Frame::Letter { .. } => Self::Letter,
            Frame::Data { .. } => Self::Data,
            Frame::Close { .. } => Self::Close,
        }
    }
}

/// Frames and their bytes on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
}

impl std::ops::Sub for Amount {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self { frames: self.frames - earlier.frames, bytes: self.bytes - earlier.bytes }
    }
}

impl std::ops::Add for Amount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { frames: self.frames + other.frames, bytes: self.bytes + other.bytes }
    }
}

/// The length of a probe: the smallest size class, which every profile lets through.
const PROBE: usize = 256;

/// What the tap saw. All of it is given to queues; what those drop was never sent.
#[derive(Default)]
pub(crate) struct Meter {
    amounts: [Cell<Amount>; Kind::ALL.len()],
    /// How many links each probe took so far.
    probes: RefCell<BTreeMap<u64, u32>>,
}

impl Meter {
    /// A meter on a network, from now on.
    pub(crate) fn on(net: &mut Network) -> Rc<Self> {
        let meter = Rc::new(Self::default());
        let of_tap = Rc::clone(&meter);
        net.tap = Some(Box::new(move |_, _, _, frame| of_tap.see(frame)));
        meter
    }

    fn see(&self, frame: &Frame<Verified>) {
        let amount = &self.amounts[Kind::of(frame) as usize];
        amount.set(amount.get() + Amount { frames: 1, bytes: wire_bytes(frame.encoded_len()) });
        if let Frame::Data { body, .. } = frame
            && let Some(probe) = probe_number(body)
        {
            *self.probes.borrow_mut().entry(probe).or_default() += 1;
        }
    }

    /// What has gone over the links so far.
    pub(crate) fn amount(&self, kind: Kind) -> Amount {
        self.amounts[kind as usize].get()
    }

    /// All kinds, for differences.
    pub(crate) fn all(&self) -> [Amount; Kind::ALL.len()] {
        std::array::from_fn(|kind| self.amounts[kind].get())
    }

    /// How many links a probe took.
    pub(crate) fn hops(&self, probe: u64) -> Option<u32> {
        self.probes.borrow().get(&probe).copied()
    }
}

/// A packet whose way is counted. Relays see its body, since nothing seals it.
pub(crate) fn probe(number: u64) -> Vec<u8> {
    let mut body = vec![0; PROBE];
    body[..8].copy_from_slice(b"a probe:");
    body[8..16].copy_from_slice(&number.to_be_bytes());
    body
}

/// A probe's number.
pub(crate) fn probe_number(body: &[u8]) -> Option<u64> {
    let number = body.strip_prefix(b"a probe:")?.first_chunk()?;
    (body.len() == PROBE).then(|| u64::from_be_bytes(*number))
}

/// A table of what each kind took, per node and second.
pub(crate) fn by_kind(record: &mut Record, name: &str, amounts: [Amount; Kind::ALL.len()], nodes: f64, seconds: f64) {
    let mut table = Table::new(name, &["kind", "frames", "bytes", "bytes per node and second", "share of bytes"]);
    let all = amounts.iter().map(|amount| amount.bytes).sum::<u64>().max(1) as f64;
    for ((_, kind), amount) in Kind::ALL.iter().zip(amounts) {
        let bytes = amount.bytes as f64;
        let per_node = bytes / nodes / seconds;
        table.row([(*kind).into(), amount.frames.into(), amount.bytes.into(), per_node.into(), (bytes / all).into()]);
    }
    record.tables.push(table);
}

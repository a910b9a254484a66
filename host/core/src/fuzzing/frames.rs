//! What comes out of a program's bytes: names, messages, packets. Mostly such as fit what came before.

use bytes::Bytes;

use super::program::{FEW, address};
use crate::{
    Address, Ecn, Label, LinkId, MessageId, NetworkId, Now, TrailId,
    wire::{Flood, Frame, Keep, Letter, Phase, Seek, SeekMode, Signed, Stamp, Trail, Verified, Walk, Way},
};

pub(super) const NETWORK: NetworkId = NetworkId([7; 16]);

/// What a packet holds at least.
pub(super) const SEALED: &[u8] = b"sealed";

/// The bytes as a source of choices; zeros after their end.
pub(super) struct Choices<'a>(pub(super) &'a [u8]);

impl Choices<'_> {
    pub(super) fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    pub(super) fn few(&mut self) -> u8 {
        self.byte() % FEW
    }

    /// One of what was seen, or something else.
    pub(super) fn pick<T: Copy>(&mut self, seen: &[T], otherwise: T) -> T {
        // Mostly of the last few, sometimes nothing seen at all.
        let choice = match self.byte() {
            255 => return otherwise,
            choice => usize::from(choice % 24),
        };
        seen.get(seen.len().wrapping_sub(1 + choice)).copied().unwrap_or(otherwise)
    }
}

/// An X25519 share; whose does not matter.
const SHARE: [u8; 32] = [9; 32];

/// A Seek that passed.
#[derive(Clone, Copy)]
pub(super) struct Sought {
    pub(super) id: MessageId,
    pub(super) author: Address,
    pub(super) target: Address,
}

/// A label that a Trail may have bound, and the end that lies there.
#[derive(Clone, Copy)]
pub(super) struct Bound {
    pub(super) link: LinkId,
    pub(super) label: Label,
    pub(super) seek: MessageId,
    pub(super) end: Address,
}

/// What came out so far, to be thrown back.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) seeks: Vec<Sought>,
    pub(super) bound: Vec<Bound>,
    pub(super) trails: Vec<TrailId>,
    pub(super) frames: Vec<Frame<Verified>>,
    pub(super) stamps: u64,
    /// The length of an ordinary packet.
    pub(super) sealed: usize,
}

/// A sealed packet, mostly of a length that may be.
pub(super) fn packet(choices: &mut Choices<'_>, seen: &Seen) -> Bytes {
    match choices.byte() {
        0 => body(choices),
        _ => Bytes::from(vec![0; seen.sealed]),
    }
}

pub(super) fn body(choices: &mut Choices<'_>) -> Bytes {
    let length = match choices.byte() {
        255 => 20_000,
        length => usize::from(length % 8),
    };
    Bytes::from(vec![choices.byte(); length])
}

/// A frame of any kind by anybody, and the link that it comes by. Mostly one that fits what came before: what fits nothing ends at the first check.
pub(super) fn frame(choices: &mut Choices<'_>, seen: &mut Seen, now: Now) -> (LinkId, Frame<Verified>) {
    let link = LinkId(u64::from(choices.byte() % 3));
    let phase = match choices.byte() % 16 {
        0 => Phase::Hidden,
        13 => Phase::Ending,
        tail @ 14.. => Phase::Tail(tail - 13),
        hops => Phase::Counted(hops),
    };
    let frame = match choices.byte() % 16 {
        0 => {
            let (author, stamp) = (address(choices.few()), stamp(choices, seen, now));
            let message = stub::<Flood>(author, stamp, &[&[choices.few(); 16], b"?"]);
            Frame::Flood { phase, message }
        }
        1 => {
            let (author, stamp) = (address(choices.few()), stamp(choices, seen, now));
            let to = address(choices.few());
            Frame::Letter { message: stub::<Letter>(author, stamp, &[&to.0, b"sealed"]) }
        }
        2 if choices.byte() & 1 == 0 => {
            let (author, stamp) = (address(choices.few()), stamp(choices, seen, now));
            Frame::Walk { way: way(choices), message: stub::<Walk>(author, stamp, &[]) }
        }
        2..=4 => {
            let (author, stamp) = (address(choices.few()), stamp(choices, seen, now));
            let target = address(choices.few());
            let message = stub::<Seek>(author, stamp, &[&target.0, &SHARE]);
            seen.seeks.push(Sought { id: message.id(), author, target });
            let mode = match choices.byte() & 7 {
                0 | 1 => SeekMode::Directed,
                2 => SeekMode::Walk(way(choices)),
                _ => SeekMode::Flood(phase),
            };
            Frame::Seek { mode, message }
        }
        5..=7 => return answer(choices, seen, now, link),
        _ => return along(choices, seen, now, link),
    };
    (link, frame)
}

fn way(choices: &mut Choices<'_>) -> Way {
    match choices.byte() % 4 {
        0 => Way::Stem,
        walkers => Way::Roam(walkers * walkers),
    }
}

/// A Trail that answers a Seek.
fn answer(choices: &mut Choices<'_>, seen: &mut Seen, now: Now, link: LinkId) -> (LinkId, Frame<Verified>) {
    let unknown = Sought { id: MessageId([9; 16]), author: address(0), target: address(1) };
    let sought = choices.pick(&seen.seeks, unknown);
    let (lie, stamp) = (choices.byte(), stamp(choices, seen, now));
    let author = if lie < 4 { address(lie) } else { sought.target };
    // The router dialled link 0, so there its neighbour's labels are even.
    let honest = Label(u64::from(choices.byte()) << 1 | u64::from(link != LinkId(0)));
    let label = if lie == 5 { Label(honest.0 ^ 1) } else { honest };
    seen.bound.push(Bound { link, label, seek: sought.id, end: author });
    (link, Frame::Trail { label, message: stub::<Trail>(author, stamp, &[&sought.id.0, &SHARE]) })
}

/// Something along a trail.
fn along(choices: &mut Choices<'_>, seen: &mut Seen, now: Now, link: LinkId) -> (LinkId, Frame<Verified>) {
    let unknown = Bound { link, label: Label(u64::from(choices.byte())), seek: MessageId([9; 16]), end: address(0) };
    let Bound { mut link, label, seek, mut end } = choices.pick(&seen.bound, unknown);
    match choices.byte() {
        0 => link = LinkId(u64::from(choices.few())),
        1 => end = address(choices.few()),
        _ => {}
    }
    let frame = match choices.byte() % 8 {
        0 => Frame::Close { label },
        1..=3 => {
            let stamp = stamp(choices, seen, now);
            let number = u32::from(choices.byte()).to_be_bytes();
            let (received, sent) = ([choices.byte(); 8], [choices.byte(); 8]);
            Frame::Keep { label, message: stub::<Keep>(end, stamp, &[&seek.0, &number, &received, &sent]) }
        }
        _ => Frame::Data { label, ecn: Ecn::NotCapable, body: packet(choices, seen) },
    };
    (link, frame)
}

pub(super) fn stamp(choices: &mut Choices<'_>, seen: &mut Seen, now: Now) -> Stamp {
    seen.stamps += 1;
    let age = [0, 0, 0, 0, 0, 1, 9, 10][usize::from(choices.byte() % 8)];
    Stamp { minute: ((now.unix_s / 60) as u32).wrapping_sub(age), random: seen.stamps }
}

fn stub<K: crate::wire::Body>(author: Address, stamp: Stamp, fields: &[&[u8]]) -> Signed<K, Verified> {
    Signed::unsigned(NETWORK, author, stamp, fields)
        .expect("the fields are of their lengths")
        .dangerously_assume_verified()
}

/// So many messages of a kind (of four) by as many authors, as come within a moment.
pub(super) fn storm(kind: u8, count: u64, seen: &mut Seen, now: Now) -> Vec<Frame<Verified>> {
    let frame = |number: u64| {
        let author = Address(*blake3::hash(&number.to_be_bytes()).as_bytes());
        let stamp = Stamp { minute: (now.unix_s / 60) as u32, random: number };
        match kind % 4 {
            0 => Frame::Flood { phase: Phase::Hidden, message: stub::<Flood>(author, stamp, &[&[0; 16], b"?"]) },
            1 => Frame::Letter { message: stub::<Letter>(author, stamp, &[&address(0).0, b"sealed"]) },
            2 => Frame::Walk { way: Way::Roam(1), message: stub::<Walk>(author, stamp, &[]) },
            _ => {
                let message = stub::<Seek>(author, stamp, &[&address(1).0, &SHARE]);
                Frame::Seek { mode: SeekMode::Flood(Phase::Counted(3)), message }
            }
        }
    };
    seen.stamps += count;
    (seen.stamps - count..seen.stamps).map(|number| frame(number | 1 << 40)).collect()
}

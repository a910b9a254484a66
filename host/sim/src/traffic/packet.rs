//! What a simulated packet of a trail holds. Relays see its size, as of a sealed one.

use std::ops::RangeInclusive;

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::events::Nanos;

/// What a packet's own envelope takes of its body, in bytes: the seal's packet number and tag (24), QUIC's header and tag (21), the
/// header of one stream frame (8).
pub const INNER_OVERHEAD: u64 = 53;

/// What a body starts with, so that other bodies are told apart.
const MAGIC: u32 = 0x6d75_7465;

const DATA: u8 = 0;
const ACK: u8 = 1;
const ASK: u8 = 2;

/// The shortest body, in bytes: header and envelope of an acknowledgement.
const SHORTEST: usize = 64;

/// Ranges that an acknowledgement names, the newest.
const MAX_RANGES: usize = 16;

/// A packet of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Packet {
    /// The `number`th packet, sent at a time.
    Data { number: u64 },
    /// What has arrived.
    Ack(Ack),
    /// The seeker's first packet on a trail, after which the owner may send.
    Ask,
}

/// An acknowledgement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ack {
    /// What arrived, newest first.
    pub(super) ranges: Vec<RangeInclusive<u64>>,
    /// How many came with a congestion mark so far.
    pub(super) marked: u64,
    /// How long the newest packet waited for this.
    pub(super) delay: Nanos,
}

/// A body of `size` bytes (or as many as it takes) that holds a packet of a flow.
pub(super) fn encode(flow: u32, packet: &Packet, size: usize) -> Bytes {
    let mut body = BytesMut::with_capacity(size.max(SHORTEST));
    body.put_u32(MAGIC);
    body.put_u32(flow);
    match packet {
        Packet::Data { number } => {
            body.put_u8(DATA);
            body.put_u64(*number);
        }
        Packet::Ack(ack) => {
            body.put_u8(ACK);
            body.put_u64(ack.marked);
            body.put_u64(ack.delay);
            let ranges = ack.ranges.iter().take(MAX_RANGES);
            body.put_u8(ranges.len() as u8);
            for range in ranges {
                body.put_u64(*range.start());
                body.put_u64(*range.end());
            }
        }
        Packet::Ask => body.put_u8(ASK),
    }
    let length = body.len().max(size).max(SHORTEST);
    body.resize(length, 0);
    body.freeze()
}

/// The flow and the packet of a body; `None`: it is none of ours.
pub(super) fn read(body: &[u8]) -> Option<(u32, Packet)> {
    let mut rest = body;
    if word(&mut rest)? != MAGIC {
        return None;
    }
    let flow = word(&mut rest)?;
    let [kind] = take(&mut rest)?;
    let packet = match kind {
        DATA => Packet::Data { number: long(&mut rest)? },
        ACK => {
            let (marked, delay) = (long(&mut rest)?, long(&mut rest)?);
            let [count] = take(&mut rest)?;
            let mut ranges = Vec::with_capacity(count.into());
            for _ in 0..count {
                ranges.push(long(&mut rest)?..=long(&mut rest)?);
            }
            Packet::Ack(Ack { ranges, marked, delay })
        }
        ASK => Packet::Ask,
        _ => return None,
    };
    Some((flow, packet))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*first)
}

fn word(rest: &mut &[u8]) -> Option<u32> {
    take(rest).map(u32::from_be_bytes)
}

fn long(rest: &mut &[u8]) -> Option<u64> {
    take(rest).map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_survive_their_bytes_and_have_their_sizes() {
        let ack = Packet::Ack(Ack { ranges: vec![7..=9, 1..=3], marked: 2, delay: 5 });
        for (packet, size) in [(Packet::Data { number: 3 }, 1200), (ack, 64), (Packet::Ask, 0)] {
            let body = encode(5, &packet, size);
            assert!(body.len() >= size.max(SHORTEST));
            assert_eq!(read(&body), Some((5, packet)));
        }
        assert_eq!(read(b"other"), None);
        assert_eq!(encode(5, &Packet::Data { number: 3 }, 1200).len(), 1200);
    }
}

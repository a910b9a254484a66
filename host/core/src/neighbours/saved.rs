//! What survives a restart: anchors and the book, in a fixed layout with a version.
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | version, 1 |
//! | 1, then each | number of anchors; key 32, address, origin, minutes 4, minutes served 4, last seen 8 |
//! | 2, then each | number of entries of the book, those in *tried* first; key 32, address, origin, heard of 8, last proven 8 (0: never) |
//!
//! An address is 4 or 6, the IP address and the port; an origin is 0 (given), 1 (itself), or 2 and a prefix group of 8. Integers are
//! big-endian, times Unix time in seconds. Friends are the caller's to keep, since the user names them; bans are forgotten.

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeSet;

use super::{
    Group, NeighbourAddress, Neighbours, NodeKey,
    anchors::{Anchor, Tenure},
    book::{Origin, SavedEntry},
    limits::{ANCHORS, BUCKET_SIZE, NEW_BUCKETS, TRIED_BUCKETS},
    retry::Retry,
};
use crate::{Now, wire::DecodeError};

const VERSION: u8 = 1;

/// As many entries as the book has places.
const MAX_ENTRIES: usize = (NEW_BUCKETS + TRIED_BUCKETS) as usize * BUCKET_SIZE as usize;

/// What was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Saved {
    anchors: Vec<(NodeKey, Anchor)>,
    entries: Vec<(NodeKey, SavedEntry)>,
}

impl Neighbours {
    /// What is to be kept over a restart: a few hundred kilobytes at most. It holds addresses of others: store it where only its user can read it.
    pub fn save(&mut self, now: Now) -> Vec<u8> {
        let linked: Vec<NodeKey> = self.links.keys().copied().collect();
        for key in linked {
            self.credit(key, now);
        }
        let anchors = self.anchors.ranked().into_iter().take(ANCHORS).collect();
        Saved { anchors, entries: self.book.saved() }.encode()
    }

    /// Takes in what was saved, before anything else happens. Times that lie in the future count as the present.
    ///
    /// # Errors
    /// It is damaged or of another version: then nothing is taken in.
    pub fn load(&mut self, bytes: &[u8], now: Now) -> Result<(), DecodeError> {
        let saved = decode_saved(bytes)?;
        for (key, anchor) in saved.anchors {
            if self.is_stranger(key) {
                let anchor = Anchor { seen_s: anchor.seen_s.min(now.unix_s), ..anchor };
                self.anchors.restore(key, anchor, self.rules.anchors);
            }
        }
        for (key, entry) in saved.entries {
            if self.is_stranger(key) {
                let proven_s = entry.proven_s.map(|at| at.min(now.unix_s));
                let entry = SavedEntry { heard_s: entry.heard_s.min(now.unix_s), proven_s, ..entry };
                self.book.restore(key, &entry, &mut self.rng);
            }
        }
        self.anchors.sweep(now.unix_s);
        self.book.sweep(now.unix_s);
        Ok(())
    }

    fn is_stranger(&self, key: NodeKey) -> bool {
        key != self.us && !self.friends.contains_key(&key) && !self.removed.contains(&key)
    }
}

impl Saved {
    fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION, self.anchors.len() as u8];
        for (key, anchor) in &self.anchors {
            out.extend(key.0);
            write_address(&mut out, anchor.address);
            write_origin(&mut out, anchor.origin);
            out.extend(anchor.tenure.minutes.to_be_bytes());
            out.extend(anchor.tenure.served.to_be_bytes());
            out.extend(anchor.seen_s.to_be_bytes());
        }
        out.extend((self.entries.len() as u16).to_be_bytes());
        for (key, entry) in &self.entries {
            out.extend(key.0);
            write_address(&mut out, entry.address);
            write_origin(&mut out, entry.origin);
            out.extend(entry.heard_s.to_be_bytes());
            out.extend(entry.proven_s.unwrap_or(0).to_be_bytes());
        }
        out
    }
}

/// Reads what [`Neighbours::save`] wrote, or what somebody put in its place.
fn decode_saved(bytes: &[u8]) -> Result<Saved, DecodeError> {
    let mut rest = Reader(bytes);
    let [version, anchors] = rest.take()?;
    if version != VERSION || usize::from(anchors) > ANCHORS {
        return Err(DecodeError::Field);
    }
    let mut saved = Saved::default();
    let mut keys = BTreeSet::new();
    for _ in 0..anchors {
        let key = NodeKey(rest.take()?);
        let (address, origin) = (rest.address()?, rest.origin()?);
        let tenure = Tenure { minutes: u32::from_be_bytes(rest.take()?), served: u32::from_be_bytes(rest.take()?) };
        let seen_s = u64::from_be_bytes(rest.take()?);
        if !keys.insert(key) {
            return Err(DecodeError::Field);
        }
        saved.anchors.push((key, Anchor { address, origin, tenure, seen_s, retry: Retry::default() }));
    }
    let entries = usize::from(u16::from_be_bytes(rest.take()?));
    if entries > MAX_ENTRIES {
        return Err(DecodeError::Field);
    }
    keys.clear();
    for _ in 0..entries {
        let key = NodeKey(rest.take()?);
        let (address, origin) = (rest.address()?, rest.origin()?);
        let (heard_s, proven_s) = (u64::from_be_bytes(rest.take()?), u64::from_be_bytes(rest.take()?));
        if !keys.insert(key) {
            return Err(DecodeError::Field);
        }
        let proven_s = (proven_s > 0).then_some(proven_s);
        saved.entries.push((key, SavedEntry { address, origin, heard_s, proven_s }));
    }
    if rest.0.is_empty() { Ok(saved) } else { Err(DecodeError::Trailing) }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(DecodeError::TooShort)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn address(&mut self) -> Result<NeighbourAddress, DecodeError> {
        let ip = match self.take()? {
            [4] => IpAddr::from(self.take::<4>()?),
            [6] => IpAddr::from(self.take::<16>()?),
            _ => return Err(DecodeError::Field),
        };
        // One address, one form: else it would count twice.
        if ip.to_canonical() != ip {
            return Err(DecodeError::Field);
        }
        Ok(NeighbourAddress::at(SocketAddr::new(ip, u16::from_be_bytes(self.take()?))))
    }

    fn origin(&mut self) -> Result<Origin, DecodeError> {
        match self.take()? {
            [0] => Ok(Origin::Given),
            [1] => Ok(Origin::Itself),
            [2] => Ok(Origin::Told(Group::from_bytes(self.take()?))),
            _ => Err(DecodeError::Field),
        }
    }
}

/// Neither anchors nor the book take hidden addresses. (If one were here it would be 0.0.0.0, which nobody answers.)
fn write_address(out: &mut Vec<u8>, address: NeighbourAddress) {
    let address = address.socket().unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
    match address.ip() {
        IpAddr::V4(ip) => {
            out.push(4);
            out.extend(ip.octets());
        }
        IpAddr::V6(ip) => {
            out.push(6);
            out.extend(ip.octets());
        }
    }
    out.extend(address.port().to_be_bytes());
}

fn write_origin(out: &mut Vec<u8>, origin: Origin) {
    match origin {
        Origin::Given => out.push(0),
        Origin::Itself => out.push(1),
        Origin::Told(group) => {
            out.push(2);
            out.extend(group.bytes());
        }
    }
}

/// Reads an input, takes it in, and lets the policy work with it: for the list of decoders.
#[cfg(feature = "fuzzing")]
pub(crate) fn check_saved(input: &[u8]) -> bool {
    use super::{NeighboursConfig, Rules};
    use crate::Instant;

    let Ok(saved) = decode_saved(input) else {
        return false;
    };
    assert_eq!(saved.encode(), input, "what was saved is all that its bytes said");
    let at = NeighbourAddress::at(([20, 1, 1, 1], 4848).into());
    let config = NeighboursConfig { us: NodeKey([0; 32]), at, rules: Rules::default(), secret: [1; 32], seed: [2; 32] };
    let mut now = Now { instant: Instant::default(), unix_s: 1_800_000_000 };
    let mut neighbours = Neighbours::new(&config, now);
    assert_eq!(neighbours.load(input, now), Ok(()));
    for _ in 0..4 {
        neighbours.tick(now);
        while neighbours.poll().is_some() {}
        neighbours.check();
        now.instant = neighbours.next_deadline().unwrap_or_default().max(now.instant);
    }
    assert!(neighbours.save(now).len() <= input.len());
    true
}

/// Inputs that are accepted: for the list of decoders.
#[cfg(feature = "fuzzing")]
pub(crate) fn examples() -> Vec<Vec<u8>> {
    let at = |text: &str| NeighbourAddress::at(text.parse().expect("the example is an address"));
    let (v4, v6) = (at("8.8.8.8:4848"), at("[2a00:1::1]:4848"));
    let tenure = Tenure { minutes: 100, served: 60 };
    let anchor = |address, origin| Anchor { address, origin, tenure, seen_s: 1_799_990_000, retry: Retry::default() };
    let entry = |address, origin, proven_s| SavedEntry { address, origin, heard_s: 1_799_980_000, proven_s };
    let anchors = vec![(NodeKey([1; 32]), anchor(v4, Origin::Given)), (NodeKey([2; 32]), anchor(v6, Origin::Itself))];
    let told = Origin::Told(v6.group());
    let entries = vec![
        (NodeKey([1; 32]), entry(v4, told, Some(1_799_990_000))),
        (NodeKey([3; 32]), entry(at("9.9.9.9:4848"), told, None)),
    ];
    vec![Saved::default().encode(), Saved { anchors, entries }.encode()]
}

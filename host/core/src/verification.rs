//! Signatures: which ones are checked, and how many of a neighbour's.
//!
//! A check costs some 50 µs, a thousand times what forwarding does, so whoever makes a node check signatures makes it work. Two things keep
//! that in bounds. A flooded message comes once from each neighbour, in identical bytes: [`KnownMessages`] lets all copies but the first pass
//! unchecked. And each stream of a neighbour has a [`VerificationBudget`]: what comes beyond it waits, on that stream only. Who sends a
//! signature that does not hold is not slowed but closed: [`Signed::verify`](crate::wire::Signed::verify) calls it the neighbour's offence.

use core::{hash::BuildHasherDefault, time::Duration};
use std::collections::HashSet;

use crate::{
    Instant, NetworkId,
    hash::Through,
    wire::{Frame, Unverified, Verified, Violation},
};

/// Signatures checked for one stream of a neighbour in a second, on average: 4,096 trails whose two ends say every 20 to 40 s that they
/// live need 270. It is 2 % of a core.
pub const VERIFICATIONS_PER_SECOND: u32 = 400;

/// Signatures checked at once, after a silence.
pub const VERIFICATION_BURST: u32 = 800;

/// Messages remembered as checked, in each of two generations: the copies of a flooded message come within a second or two, in which eight neighbours that
/// use their budgets up bring some 7,000. Under 1 MB in all.
pub(crate) const KNOWN_MESSAGES: usize = 16 * 1024;

/// How many signatures of one stream may be checked.
#[derive(Clone, Copy, Debug)]
pub struct VerificationBudget {
    /// When the bucket will be full, if nothing more is checked.
    full_at: Instant,
}

impl VerificationBudget {
    const EACH: Duration = Duration::from_nanos(1_000_000_000 / VERIFICATIONS_PER_SECOND as u64);
    const BURST: Duration = Duration::from_nanos(Self::EACH.as_nanos() as u64 * VERIFICATION_BURST as u64);

    /// A full one.
    pub fn new(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// Takes the price of one check.
    ///
    /// # Errors
    /// It is spent: how long until there is enough for one.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let full_at = self.full_at.max(now) + Self::EACH;
        let behind = full_at.saturating_since(now);
        if behind > Self::BURST {
            return Err(behind - Self::BURST);
        }
        self.full_at = full_at;
        Ok(())
    }
}

/// Hashes of messages whose signatures held a short while ago. One for all links of a node, since copies come by different ones.
pub struct KnownMessages {
    network: NetworkId,
    key: [u8; 32],
    /// The newest, and those before them: where the newest are too many they become the others, which are forgotten.
    generations: [HashSet<[u8; 16], BuildHasherDefault<Through>>; 2],
    /// Copies that passed unchecked.
    spared: u64,
}

impl KnownMessages {
    /// None yet. `key`: random, so that nobody finds two messages that look the same here.
    pub fn new(network: NetworkId, key: [u8; 32]) -> Self {
        Self { network, key, generations: [HashSet::default(), HashSet::default()], spared: 0 }
    }

    /// Whether these very bytes were checked before, or hold nothing to be checked: then they are taken for verified.
    ///
    /// # Errors
    /// The frame, whose signature is to be checked.
    pub fn recognise(&mut self, frame: Frame<Unverified>) -> Result<Frame<Verified>, Frame<Unverified>> {
        if !frame.is_signed() {
            return Ok(frame.dangerously_assume_verified());
        }
        let hash = self.hash(&frame);
        if self.generations.iter().any(|generation| generation.contains(&hash)) {
            self.spared += 1;
            return Ok(frame.dangerously_assume_verified());
        }
        Err(frame)
    }

    /// The network that messages must belong to, for [`Frame::verify`].
    pub fn network(&self) -> NetworkId {
        self.network
    }

    /// Remembers a frame whose signature holds.
    pub fn remember(&mut self, frame: &Frame<Verified>) {
        if !frame.is_signed() {
            return;
        }
        self.insert(self.hash(frame));
    }

    fn insert(&mut self, hash: [u8; 16]) {
        if self.generations[0].len() >= KNOWN_MESSAGES {
            self.generations.swap(0, 1);
            self.generations[0].clear();
        }
        self.generations[0].insert(hash);
    }

    /// Checks a frame as a link does that never waits: once for the same bytes.
    ///
    /// # Errors
    /// The neighbour's offence.
    pub fn verify(&mut self, frame: Frame<Unverified>) -> Result<Frame<Verified>, Violation> {
        match self.recognise(frame) {
            Ok(frame) => Ok(frame),
            Err(frame) => {
                let frame = frame.verify(self.network)?;
                self.remember(&frame);
                Ok(frame)
            }
        }
    }

    /// How many copies passed unchecked.
    pub fn spared(&self) -> u64 {
        self.spared
    }

    /// A hash of all that a relay passes on verbatim, the signature included: what differs in a bit is another message.
    fn hash<S>(&self, frame: &Frame<S>) -> [u8; 16] {
        let mut hash = [0; 16];
        hash.copy_from_slice(&blake3::keyed_hash(&self.key, &frame.body()).as_bytes()[..16]);
        hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        IdentityKey, Label, Topic,
        wire::{Decoded, Ecn, Flood, Phase, SIGNED_OVERHEAD, Signed, Stamp, decode_frame},
    };

    const NETWORK: NetworkId = NetworkId([7; 16]);

    fn at(us: u64) -> Instant {
        Instant::from_origin(Duration::from_micros(us))
    }

    fn decoded(bytes: &[u8]) -> Frame<Unverified> {
        match decode_frame(bytes.to_vec().into()) {
            Ok(Decoded::Frame(frame)) => frame,
            other => panic!("{other:?}"),
        }
    }

    fn flood(number: u64, network: NetworkId) -> Vec<u8> {
        let (key, stamp) = (IdentityKey::from_seed(&[1; 32]), Stamp { minute: 1, random: number });
        let message = Signed::<Flood, _>::sign(network, &key, stamp, Topic([0; 16]), b"?").expect("it fits");
        let frame = Frame::Flood { phase: Phase::Counted(1), message };
        [&frame.encode_header()[2..], &frame.body()].concat()
    }

    #[test]
    fn a_budget_gives_its_burst_and_then_its_rate() {
        let mut budget = VerificationBudget::new(at(0));
        assert_eq!((0..10_000).filter(|_| budget.take(at(0)).is_ok()).count(), VERIFICATION_BURST as usize);
        let wait = budget.take(at(0)).expect_err("it is spent");
        assert_eq!(wait, VerificationBudget::EACH);
        assert!(budget.take(at(wait.as_micros() as u64)).is_ok());
        let a_second = (0..100_000u64).filter(|n| budget.take(at(10_000 + n * 10)).is_ok()).count();
        assert!(a_second.abs_diff(VERIFICATIONS_PER_SECOND as usize) <= 5, "{a_second}");
        assert_eq!((0..10_000).filter(|_| budget.take(at(60_000_000)).is_ok()).count(), VERIFICATION_BURST as usize);
    }

    #[test]
    fn identical_bytes_are_checked_once_whatever_their_header_says() {
        let mut known = KnownMessages::new(NETWORK, [3; 32]);
        let mut bytes = flood(1, NETWORK);
        assert!(known.recognise(decoded(&bytes)).is_err());
        assert!(known.verify(decoded(&bytes)).is_ok());
        bytes[1] = 5;
        let again = known.recognise(decoded(&bytes)).expect("the header is the neighbours' own");
        assert!(matches!(again, Frame::Flood { phase: Phase::Counted(5), .. }));
        assert_eq!(known.spared(), 1);
        assert!(known.recognise(decoded(&flood(2, NETWORK))).is_err());
    }

    #[test]
    fn another_signature_under_known_bytes_is_checked_and_is_an_offence() {
        let mut known = KnownMessages::new(NETWORK, [3; 32]);
        let bytes = flood(1, NETWORK);
        known.verify(decoded(&bytes)).expect("it holds");
        for bit in 16..bytes.len() * 8 {
            let mut forged = bytes.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            if let Ok(Decoded::Frame(frame)) = decode_frame(forged.into()) {
                assert!(known.verify(frame).is_err(), "bit {bit} of {}", SIGNED_OVERHEAD * 8);
            }
        }
        let foreign = flood(1, NetworkId([8; 16]));
        assert_eq!(known.verify(decoded(&foreign)).err(), Some(Violation::WrongNetwork));
        assert!(known.recognise(decoded(&foreign)).is_err(), "what does not hold is not remembered");
    }

    #[test]
    fn data_costs_nothing_and_memory_is_bounded() {
        let mut known = KnownMessages::new(NETWORK, [3; 32]);
        let data = Frame::<Verified>::Data { label: Label(1), ecn: Ecn::NotCapable, body: vec![1].into() };
        let bytes = [&data.encode_header()[2..], &data.body()].concat();
        assert!(known.recognise(decoded(&bytes)).is_ok());
        let first = flood(0, NETWORK);
        known.verify(decoded(&first)).expect("it holds");
        for number in 1..5 * KNOWN_MESSAGES as u64 {
            known.insert(*blake3::hash(&number.to_be_bytes()).as_bytes().first_chunk().expect("32 bytes"));
            assert!(known.generations.iter().all(|generation| generation.len() <= KNOWN_MESSAGES));
        }
        assert!(known.recognise(decoded(&first)).is_err(), "forgotten, and checked again");
    }
}

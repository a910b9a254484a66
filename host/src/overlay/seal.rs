//! The seal of a trail's packets: what keeps relays from seeing that there is QUIC inside.
//!
//! A sealed packet is `number (8) ‖ AES-128-GCM(payload ‖ [proof (32)] ‖ [zeros ‖ how many (2)] ‖ kind (1)) ‖ tag (16)`. The
//! number, XORed into the direction's IV, is the nonce; it is masked by samples of what is sealed, as in QUIC's header protection
//! (RFC 9001, 5.4), so that a relay sees no counter. The kind stands last so that a payload is opened straight into its place.
//!
//! In a network with size classes zeros fill each packet up to the smallest class that holds it, and every packet says how many, so that
//! relays see four lengths and no other. The zeros are inside the seal; whoever opens a packet refuses one that is not filled up in the one way
//! there is, so that a peer says nothing by it.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey, quic};
use bytes::{Bytes, BytesMut};
use mute_core::{DirectionKeys, Shape, SuccessionProof};

/// The masked packet number, in bytes.
const NUMBER: usize = 8;
/// The authentication tag of AES-128-GCM, in bytes.
const TAG: usize = 16;
/// The envelope's kind, in bytes.
const KIND: usize = 1;
/// What each sealed packet adds to its payload, in bytes.
pub const OVERHEAD: usize = NUMBER + KIND + TAG;
/// The number of zeros, in bytes, in a network with size classes.
const PADDING: usize = 2;
/// What a proof of succession adds, in bytes.
pub const PROOF: usize = SuccessionProof::LENGTH;
/// The sample that a mask is made of, in bytes.
const SAMPLE: usize = 16;

/// Packets per key. RFC 9001, B.1.1 allows 2^35 blocks of 16 bytes in all, which are 2^25 packets below 16 KiB. A trail
/// would need over 800 MB/s for all its ten minutes to come here; then it falls silent until its successor is laid. (The
/// limit for forgeries, 2^52 packets and more, no link can carry in that time.)
const MAX_PACKETS: u64 = 1 << 25;

/// How far behind the newest a packet may come, in packets: 15 MB of full ones.
const WINDOW: u64 = 1024;

/// The first byte inside a seal: an ordinary packet.
const PLAIN: u8 = 0;
/// The first byte inside a seal: a packet and a proof of succession.
const SUCCESSION: u8 = 1;

/// Seals what one end of a trail sends. Not `Debug`: it holds keys.
pub struct Sealer {
    keys: Keys,
    shape: Shape,
    next: u64,
}

/// Opens what one end of a trail receives, each packet once.
pub struct Opener {
    keys: Keys,
    shape: Shape,
    window: Window,
}

/// What was inside a sealed packet.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened {
    /// The payload's length in bytes; it stands at the start of the place given to [`Opener::open`].
    pub len: usize,
    /// What proves that the trail succeeds another.
    pub proof: Option<[u8; PROOF]>,
}

/// The keys of a direction, ready for use.
struct Keys {
    seal: LessSafeKey,
    mask: quic::HeaderProtectionKey,
    iv: [u8; 12],
}

impl Keys {
    fn new(keys: &DirectionKeys) -> Option<Self> {
        Some(Self {
            seal: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &keys.seal).ok()?),
            mask: quic::HeaderProtectionKey::new(&quic::AES_128, &keys.mask).ok()?,
            iv: keys.iv,
        })
    }

    fn nonce(&self, number: u64) -> Nonce {
        let mut nonce = self.iv;
        for (byte, part) in nonce[4..].iter_mut().zip(number.to_be_bytes()) {
            *byte ^= part;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    /// Encrypts in place; the tag.
    fn lock(&self, number: u64, bytes: &mut [u8]) -> Option<[u8; TAG]> {
        #[cfg(feature = "relay-view")]
        if super::unsealed::is_wanted() {
            return Some([0; TAG]);
        }
        let tag = self.seal.seal_in_place_separate_tag(self.nonce(number), Aad::empty(), bytes).ok()?;
        tag.as_ref().try_into().ok()
    }

    /// Decrypts into a place of the same length. `None`: forged or damaged.
    fn unlock(&self, number: u64, sealed: &[u8], tag: &[u8], place: &mut [u8]) -> Option<()> {
        #[cfg(feature = "relay-view")]
        if super::unsealed::is_wanted() {
            place.copy_from_slice(sealed);
            return Some(());
        }
        self.seal.open_separate_gather(self.nonce(number), Aad::empty(), sealed, tag, place).ok()
    }

    /// Masks or unmasks a packet number. A mask by aws-lc-rs has five bytes, so two are taken: of the first and of the
    /// last 16 sealed bytes.
    fn mask(&self, number: [u8; NUMBER], sealed: &[u8]) -> Option<[u8; NUMBER]> {
        #[cfg(feature = "relay-view")]
        if super::unsealed::is_wanted() {
            return Some(number);
        }
        let first = self.mask.new_mask(sealed.get(..SAMPLE)?).ok()?;
        let last = self.mask.new_mask(sealed.get(sealed.len() - SAMPLE..)?).ok()?;
        let mut masked = number;
        for (byte, mask) in masked.iter_mut().zip(first.into_iter().chain(last)) {
            *byte ^= mask;
        }
        Some(masked)
    }
}

/// What each sealed packet adds to its payload at least, in bytes.
const fn overhead(shape: &Shape) -> usize {
    if shape.sizes.is_empty() { OVERHEAD } else { OVERHEAD + PADDING }
}

/// The longest payload that fits the largest size class with a proof, in bytes; `None`: there are no classes.
pub const fn longest_payload(shape: &Shape) -> Option<usize> {
    match shape.sizes {
        [.., largest] => Some(*largest - OVERHEAD - PADDING - PROOF),
        [] => None,
    }
}

impl Sealer {
    /// `shape`: what the network adds. `None`: the cryptographic library refuses the keys, which it does for no keys of this length.
    pub fn new(keys: &DirectionKeys, shape: Shape) -> Option<Self> {
        Some(Self { keys: Keys::new(keys)?, shape, next: 0 })
    }

    /// Seals a payload with the next packet number. `None`: the key has sealed as much as it may, or the payload fits no size class.
    pub fn seal(&mut self, payload: &[u8], proof: Option<&[u8; PROOF]>) -> Option<Bytes> {
        if self.next == MAX_PACKETS {
            return None;
        }
        let number = self.next;
        let bare = payload.len() + if proof.is_some() { PROOF } else { 0 } + overhead(&self.shape);
        let length = self.shape.class_of(bare)?;
        let mut packet = BytesMut::with_capacity(length);
        packet.extend_from_slice(&[0; NUMBER]);
        packet.extend_from_slice(payload);
        if let Some(proof) = proof {
            packet.extend_from_slice(proof);
        }
        if !self.shape.sizes.is_empty() {
            let zeros = length - bare;
            packet.resize(packet.len() + zeros, 0);
            packet.extend_from_slice(&u16::try_from(zeros).ok()?.to_be_bytes());
        }
        packet.extend_from_slice(&[if proof.is_some() { SUCCESSION } else { PLAIN }]);
        // The number is spent before it is used: whatever fails below, no nonce comes twice.
        self.next += 1;
        let tag = self.keys.lock(number, &mut packet[NUMBER..])?;
        packet.extend_from_slice(&tag);
        let masked = self.keys.mask(number.to_be_bytes(), &packet[NUMBER..])?;
        packet[..NUMBER].copy_from_slice(&masked);
        Some(packet.freeze())
    }
}

impl Opener {
    /// `shape`: what the network adds. `None`: the cryptographic library refuses the keys, which it does for no keys of this length.
    pub fn new(keys: &DirectionKeys, shape: Shape) -> Option<Self> {
        Some(Self { keys: Keys::new(keys)?, shape, window: Window::default() })
    }

    /// Opens a packet into `place`. `None` for whatever is forged, damaged, replayed, too old, too long for `place` or not filled up as it
    /// should be; `place` may then hold anything.
    pub fn open(&mut self, packet: &[u8], place: &mut [u8]) -> Option<Opened> {
        if packet.len() < OVERHEAD {
            return None;
        }
        let (masked, sealed) = packet.split_first_chunk::<NUMBER>()?;
        let number = u64::from_be_bytes(self.keys.mask(*masked, sealed)?);
        if number >= MAX_PACKETS || !self.window.is_new(number) {
            return None;
        }
        let (sealed, tag) = sealed.split_at(sealed.len() - TAG);
        let place = place.get_mut(..sealed.len())?;
        self.keys.unlock(number, sealed, tag, place)?;
        self.window.insert(number);
        let (kind, inside) = place.split_last()?;
        let inside = if self.shape.sizes.is_empty() { inside } else { self.without_padding(inside, packet.len())? };
        match *kind {
            PLAIN => Some(Opened { len: inside.len(), proof: None }),
            SUCCESSION => {
                let (payload, proof) = inside.split_last_chunk::<PROOF>()?;
                Some(Opened { len: payload.len(), proof: Some(*proof) })
            }
            _ => None,
        }
    }

    /// What stands before the zeros that fill a packet of `length` up, if they are zeros and no more than it takes.
    fn without_padding<'a>(&self, filled: &'a [u8], length: usize) -> Option<&'a [u8]> {
        let (filled, zeros) = filled.split_last_chunk::<PADDING>()?;
        let end = filled.len().checked_sub(usize::from(u16::from_be_bytes(*zeros)))?;
        let (inside, zeros) = filled.split_at(end);
        let smallest = self.shape.class_of(inside.len() + OVERHEAD + PADDING) == Some(length);
        (smallest && zeros.iter().all(|byte| *byte == 0)).then_some(inside)
    }
}

/// Which packet numbers came already: a bit for each of the newest [`WINDOW`].
#[derive(Default)]
struct Window {
    /// One more than the highest number seen.
    end: u64,
    /// Bit `number % WINDOW` of each seen number in `end - WINDOW .. end`.
    seen: [u64; (WINDOW / 64) as usize],
}

impl Window {
    fn place(number: u64) -> (usize, u64) {
        let bit = number % WINDOW;
        ((bit / 64) as usize, 1 << (bit % 64))
    }

    fn is_new(&self, number: u64) -> bool {
        let (word, bit) = Self::place(number);
        number >= self.end || (self.end - number <= WINDOW && self.seen[word] & bit == 0)
    }

    /// Remembers a number for which [`Self::is_new`] holds.
    fn insert(&mut self, number: u64) {
        if number >= self.end {
            if number - self.end >= WINDOW {
                self.seen = Default::default();
            } else {
                for passed in self.end..number {
                    let (word, bit) = Self::place(passed);
                    self.seen[word] &= !bit;
                }
            }
            self.end = number + 1;
        }
        let (word, bit) = Self::place(number);
        self.seen[word] |= bit;
    }
}

#[cfg(test)]
mod tests {
    use mute_core::{Profile, SIZE_CLASSES};
    use proptest::prelude::*;

    use super::*;

    const BALANCED: Shape = Profile::Balanced.shape();

    fn keys(seed: u8) -> DirectionKeys {
        DirectionKeys { seal: [seed; 16], iv: [seed ^ 0x55; 12], mask: [seed ^ 0xaa; 16] }
    }

    fn pair_in(shape: Shape) -> (Sealer, Opener) {
        (Sealer::new(&keys(1), shape).expect("keys"), Opener::new(&keys(1), shape).expect("keys"))
    }

    fn pair() -> (Sealer, Opener) {
        pair_in(Profile::Fast.shape())
    }

    /// A sealed packet whose inside is this, byte for byte.
    fn sealed(inside: &[u8]) -> Vec<u8> {
        let keys = Keys::new(&keys(1)).expect("keys");
        let mut packet = [&[0; NUMBER], inside].concat();
        let tag = keys.lock(0, &mut packet[NUMBER..]).expect("a tag");
        packet.extend_from_slice(&tag);
        let masked = keys.mask([0; NUMBER], &packet[NUMBER..]).expect("a mask");
        packet[..NUMBER].copy_from_slice(&masked);
        packet
    }

    fn open(opener: &mut Opener, packet: &[u8]) -> Option<(Vec<u8>, Option<[u8; PROOF]>)> {
        let mut place = vec![0; 20_000];
        let opened = opener.open(packet, &mut place)?;
        place.truncate(opened.len);
        Some((place, opened.proof))
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens(payload in proptest::collection::vec(any::<u8>(), 0..2000), proof in any::<Option<[u8; PROOF]>>()) {
            let (mut sealer, mut opener) = pair();
            let packet = sealer.seal(&payload, proof.as_ref()).expect("a fresh key");
            prop_assert_eq!(packet.len(), payload.len() + OVERHEAD + if proof.is_some() { PROOF } else { 0 });
            prop_assert_eq!(open(&mut opener, &packet), Some((payload, proof)));
        }

        #[test]
        fn what_is_sealed_in_classes_opens_and_has_their_lengths(
            payload in proptest::collection::vec(any::<u8>(), 0..16_325),
            proof in any::<Option<[u8; PROOF]>>(),
        ) {
            let (mut sealer, mut opener) = pair_in(BALANCED);
            let packet = sealer.seal(&payload, proof.as_ref()).expect("a fresh key");
            let bare = payload.len() + OVERHEAD + PADDING + if proof.is_some() { PROOF } else { 0 };
            prop_assert_eq!(packet.len(), SIZE_CLASSES.into_iter().find(|size| *size >= bare).expect("it fits"));
            prop_assert_eq!(open(&mut opener, &packet), Some((payload, proof)));
        }

        #[test]
        fn any_changed_bit_is_refused(payload in proptest::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), bit in 0..8) {
            let (mut sealer, mut opener) = pair();
            let mut packet = sealer.seal(&payload, None).expect("a fresh key").to_vec();
            let at = at.index(packet.len());
            packet[at] ^= 1_u8 << bit;
            prop_assert_eq!(open(&mut opener, &packet), None);
        }

        #[test]
        fn nonsense_is_refused(packet in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(open(&mut pair().1, &packet), None);
        }

        /// The window against a model that remembers everything.
        #[test]
        fn each_number_passes_once_and_none_too_old(numbers in proptest::collection::vec(0..5000_u64, 1..300)) {
            let mut window = Window::default();
            let mut model = std::collections::BTreeSet::new();
            for number in numbers {
                let newest = model.last().copied();
                let new = !model.contains(&number) && newest.is_none_or(|newest: u64| number + WINDOW > newest);
                prop_assert_eq!(window.is_new(number), new);
                if new {
                    window.insert(number);
                    model.insert(number);
                }
            }
        }
    }

    #[test]
    fn a_replay_is_refused_also_out_of_order() {
        let (mut sealer, mut opener) = pair();
        let packets: Vec<_> = (0..3_u8).map(|n| sealer.seal(&[n], None).expect("a fresh key")).collect();
        for n in [2, 0, 1] {
            assert_eq!(open(&mut opener, &packets[n]), Some((vec![n as u8], None)));
        }
        for packet in &packets {
            assert_eq!(open(&mut opener, packet), None);
        }
    }

    #[test]
    fn another_direction_another_key() {
        let (mut sealer, _) = pair();
        let packet = sealer.seal(b"x", None).expect("a fresh key");
        assert_eq!(open(&mut Opener::new(&keys(2), Profile::Fast.shape()).expect("keys"), &packet), None);
    }

    #[test]
    fn a_place_too_small_is_no_panic() {
        let (mut sealer, mut opener) = pair();
        let packet = sealer.seal(&[7; 100], None).expect("a fresh key");
        assert_eq!(opener.open(&packet, &mut [0; 100]), None);
        assert_eq!(opener.open(&packet, &mut [0; 101]), Some(Opened { len: 100, proof: None }));
    }

    /// Only the one way of filling a packet up is taken, so that there is nothing to say by another.
    #[test]
    fn padding_is_zeros_as_few_as_it_takes() {
        let inside = |payload: usize, zeros: usize, said: usize, fill: u8| {
            [&vec![7; payload][..], &vec![fill; zeros], &(said as u16).to_be_bytes(), &[PLAIN]].concat()
        };
        let opens = |inside: &[u8]| open(&mut pair_in(BALANCED).1, &sealed(inside)).map(|(payload, _)| payload.len());
        let room = 256 - OVERHEAD - PADDING;
        assert_eq!(opens(&inside(100, room - 100, room - 100, 0)), Some(100));
        assert_eq!(opens(&inside(room, 0, 0, 0)), Some(room));
        assert_eq!(opens(&inside(0, room, room, 0)), Some(0));
        assert_eq!(opens(&inside(100, room - 100, room - 100, 1)), None, "not zeros");
        assert_eq!(opens(&inside(100, room - 100, room + 1, 0)), None, "more zeros than bytes");
        assert_eq!(opens(&inside(100, room - 101, room - 101, 0)), None, "of no class");
        let next = 1024 - OVERHEAD - PADDING;
        assert_eq!(opens(&inside(100, next - 100, next - 100, 0)), None, "a smaller class would do");
        assert_eq!(opens(&inside(room + 1, next - room - 1, next - room - 1, 0)), Some(room + 1));
        let (mut sealer, _) = pair_in(BALANCED);
        let longest = longest_payload(&BALANCED).expect("there are classes");
        let proof = [1; PROOF];
        assert_eq!(sealer.seal(&vec![0; longest], Some(&proof)).map(|packet| packet.len()), Some(16 * 1024));
        assert_eq!(sealer.seal(&vec![0; longest + 1], Some(&proof)), None);
    }

    #[test]
    fn a_key_is_not_used_beyond_its_limit() {
        let (mut sealer, _) = pair();
        sealer.next = MAX_PACKETS - 1;
        assert!(sealer.seal(b"last", None).is_some());
        assert!(sealer.seal(b"one more", None).is_none());
    }

    #[test]
    fn numbers_do_not_show() {
        let (mut sealer, _) = pair();
        let heads: std::collections::BTreeSet<_> =
            (0..100).map(|_| sealer.seal(&[0; 64], None).expect("a fresh key")[..NUMBER].to_vec()).collect();
        assert_eq!(heads.len(), 100);
        assert!(heads.iter().all(|head| head[..4] != [0; 4]));
    }
}

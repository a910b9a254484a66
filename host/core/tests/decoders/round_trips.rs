//! What is encoded decodes to the same, whatever its fields hold.

use bytes::Bytes;
use mute_core::{
    Address, DecodeError, Ecn, IdentityKey, Label, MessageId, NetworkId, SuccessionProof, Topic, Violation,
    wire::{
        Decoded, Flood, Frame, Hello, Keep, KeepReport, Letter, LinkMessage, MAX_DATA_BODY, MAX_FLOOD_BODY,
        MAX_LETTER_BODY, Phase, Seek, SeekMode, Signed, Stamp, Trail, Verified, Walk, Way, decode_frame,
    },
};
use proptest::prelude::*;

const NETWORK: NetworkId = NetworkId([7; 16]);

/// Over the wire and back, signature and all.
fn travel(frame: &Frame<Verified>) -> Frame<Verified> {
    let bytes = [&frame.encode_header()[2..], &frame.body()[..]].concat();
    match decode_frame(bytes.into()).expect("what was encoded decodes") {
        Decoded::Frame(frame) => frame.verify(NETWORK).expect("and its signature holds"),
        other => panic!("a frame decoded as {other:?}"),
    }
}

fn stamp() -> impl Strategy<Value = Stamp> {
    any::<(u32, u64)>().prop_map(|(minute, random)| Stamp { minute, random })
}

fn phase() -> impl Strategy<Value = Phase> {
    prop_oneof![
        Just(Phase::Hidden),
        (1..=Phase::MOST).prop_map(Phase::Counted),
        Just(Phase::Ending),
        (1..=Phase::MOST).prop_map(Phase::Tail),
    ]
}

fn way() -> impl Strategy<Value = Way> {
    prop_oneof![Just(Way::Stem), (0..=Way::MOST).prop_map(Way::Roam)]
}

fn body(longest: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![prop::collection::vec(any::<u8>(), 0..64), Just(vec![7; longest])]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn floods(seed: [u8; 32], stamp in stamp(), topic: [u8; 16], body in body(MAX_FLOOD_BODY), phase in phase()) {
        let key = IdentityKey::from_seed(&seed);
        let message = Signed::<Flood, _>::sign(NETWORK, &key, stamp, Topic(topic), &body).expect("it fits");
        let frame = Frame::Flood { phase, message };
        let Frame::Flood { phase: again, message } = travel(&frame) else { panic!("another kind") };
        prop_assert_eq!(again, phase);
        prop_assert_eq!((message.author(), message.stamp(), message.topic()), (key.address(), stamp, Topic(topic)));
        prop_assert_eq!(message.body(), body);
    }

    #[test]
    fn letters(seed: [u8; 32], stamp in stamp(), to: [u8; 32], sealed in body(MAX_LETTER_BODY)) {
        let key = IdentityKey::from_seed(&seed);
        let message = Signed::<Letter, _>::sign(NETWORK, &key, stamp, Address(to), &sealed).expect("it fits");
        let Frame::Letter { message } = travel(&Frame::Letter { message }) else { panic!("another kind") };
        prop_assert_eq!((message.to(), message.sealed()), (Address(to), Bytes::from(sealed)));
    }

    #[test]
    fn seeks_and_trails(seed: [u8; 32], stamp in stamp(), target: [u8; 32], id: [u8; 16], label: u64, phase in phase(), way in way()) {
        let key = IdentityKey::from_seed(&seed);
        let share = key.address().0.map(|byte| byte | 2);
        for mode in [SeekMode::Directed, SeekMode::Flood(phase), SeekMode::Walk(way)] {
            let message = Signed::<Seek, _>::sign(NETWORK, &key, stamp, Address(target), &share).expect("not weak");
            let Frame::Seek { mode: again, message } = travel(&Frame::Seek { mode, message }) else {
                panic!("another kind")
            };
            prop_assert_eq!((again, message.target(), message.share()), (mode, Address(target), share));
        }
        let message = Signed::<Trail, _>::sign(NETWORK, &key, stamp, MessageId(id), &share).expect("not weak");
        let frame = Frame::Trail { label: Label(label), message };
        let Frame::Trail { label: again, message } = travel(&frame) else { panic!("another kind") };
        prop_assert_eq!((again, message.seek(), message.share()), (Label(label), MessageId(id), share));
    }

    #[test]
    fn walks(seed: [u8; 32], stamp in stamp(), way in way()) {
        let key = IdentityKey::from_seed(&seed);
        let message = Signed::<Walk, _>::sign(NETWORK, &key, stamp).expect("it has no fields");
        let Frame::Walk { way: again, message } = travel(&Frame::Walk { way, message }) else { panic!("another kind") };
        prop_assert_eq!((again, message.author(), message.stamp()), (way, key.address(), stamp));
    }

    #[test]
    fn keeps(seed: [u8; 32], stamp in stamp(), id: [u8; 16], counts: (u32, u64, u64), label: u64) {
        let key = IdentityKey::from_seed(&seed);
        let report = KeepReport { number: counts.0, received: counts.1, sent: counts.2 };
        let message = Signed::<Keep, _>::sign(NETWORK, &key, stamp, MessageId(id), report).expect("fixed lengths");
        let Frame::Keep { label: again, message } = travel(&Frame::Keep { label: Label(label), message }) else {
            panic!("another kind")
        };
        prop_assert_eq!((again, message.seek(), message.report()), (Label(label), MessageId(id), report));
    }

    #[test]
    fn data_and_close(label: u64, bits in 0..4u8, body in body(MAX_DATA_BODY)) {
        let ecn = Ecn::from_bits(bits).expect("two bits");
        prop_assert_eq!(ecn.bits(), bits);
        let body = [body, vec![1]].concat();
        let body = Bytes::from(body).slice(1..);
        if !body.is_empty() {
            let frame = Frame::Data { label: Label(label), ecn, body };
            prop_assert_eq!(travel(&frame), frame);
        }
        let frame = Frame::Close { label: Label(label) };
        prop_assert_eq!(travel(&frame), frame);
    }

    #[test]
    fn addresses(key: [u8; 32]) {
        let text = Address(key).to_string();
        prop_assert_eq!(text.len(), 63);
        prop_assert!(text.starts_with("mute1"));
        prop_assert_eq!(text.parse::<Address>(), Ok(Address(key)));
    }

    #[test]
    fn successions(first: [u8; 16], mac: [u8; 16]) {
        let proof = SuccessionProof { first: MessageId(first), mac };
        let again = SuccessionProof::decode_succession(&proof.encode()).expect("its own length");
        prop_assert_eq!((again.first, again.mac), (proof.first, proof.mac));
    }
}

#[test]
fn bodies_have_a_longest() {
    let key = IdentityKey::from_seed(&[1; 32]);
    let stamp = Stamp { minute: 0, random: 0 };
    let flood = Signed::<Flood, _>::sign(NETWORK, &key, stamp, Topic([0; 16]), &vec![0; MAX_FLOOD_BODY + 1]);
    assert_eq!(flood.err(), Some(DecodeError::TooLong));
    let letter = Signed::<Letter, _>::sign(NETWORK, &key, stamp, key.address(), &vec![0; MAX_LETTER_BODY + 1]);
    assert_eq!(letter.err(), Some(DecodeError::TooLong));
    let longest = [&[7][..], &[0; 9], &vec![1; MAX_DATA_BODY]].concat();
    assert!(decode_frame(longest.clone().into()).is_ok());
    assert_eq!(decode_frame([longest, vec![1]].concat().into()), Err(DecodeError::TooLong));
}

#[test]
fn a_message_of_another_network_is_refused_before_its_signature_is_looked_at() {
    let key = IdentityKey::from_seed(&[1; 32]);
    let stamp = Stamp { minute: 0, random: 0 };
    let message = Signed::<Flood, _>::sign(NetworkId([8; 16]), &key, stamp, Topic([0; 16]), b"").expect("it fits");
    let frame = Frame::Flood { phase: Phase::Hidden, message };
    let bytes = [&frame.encode_header()[2..], &frame.body()[..]].concat();
    let Ok(Decoded::Frame(frame)) = decode_frame(bytes.into()) else { panic!("it decodes") };
    assert_eq!(frame.verify(NETWORK).err(), Some(Violation::WrongNetwork));
}

#[test]
fn the_id_does_not_depend_on_the_signature() {
    let key = IdentityKey::from_seed(&[1; 32]);
    let stamp = Stamp { minute: 0, random: 0 };
    let message = Signed::<Flood, _>::sign(NETWORK, &key, stamp, Topic([0; 16]), b"").expect("it fits");
    let frame = Frame::Flood { phase: Phase::Hidden, message: message.clone() };
    let mut bytes = [&frame.encode_header()[2..], &frame.body()[..]].concat();
    *bytes.last_mut().expect("a signature") ^= 1;
    let Ok(Decoded::Frame(Frame::Flood { message: forged, .. })) = decode_frame(bytes.into()) else {
        panic!("it decodes")
    };
    assert_eq!(forged.id(), message.id());
}

#[test]
fn unknown_kinds_are_no_error_and_fields_to_come_are_skipped() {
    for kind in [0, 9, 10, 127, 129, 130, 255] {
        assert_eq!(decode_frame(vec![kind, 1, 2, 3].into()), Ok(Decoded::Unknown));
    }
    let hello = LinkMessage::Hello(Hello::new(NETWORK)).encode();
    // A map of two becomes a map of three.
    let mut later = hello[3..].to_vec();
    assert_eq!(later[0], 0x82);
    later[0] = 0x83;
    later.extend([0xa1, b'x', 0x93, 1, 2, 3]);
    let bytes = [&[128][..], &later].concat();
    assert_eq!(decode_frame(bytes.into()), Ok(Decoded::Link(LinkMessage::Hello(Hello::new(NETWORK)))));
}

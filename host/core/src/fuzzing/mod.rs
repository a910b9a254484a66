//! The list of decoders, and what beats on them and on the router: for property tests and fuzzers only (feature `fuzzing`).
//!
//! **One list.** Every function of a crate that turns bytes or text from outside into something is called `decode_…` or
//! `parse_wire_…`, has a name of its own, and stands in the crate's list of [`Decoder`]s ([`DECODERS`] is this crate's). Tests run each
//! of them over random bytes and mutated examples (`hammer`); a fuzz target runs each; and `missing_from` reads the sources and names
//! the functions that a list forgot. Another crate keeps a list of its own and calls the same helpers in its tests.

mod frames;
mod hammer;
mod program;
mod scan;

use bytes::Bytes;

pub use hammer::{Hammered, hammer, read_corpus};
pub use program::{DEEPEST, Ran, run_crowd, run_program};
pub use scan::missing_from;

use crate::{
    Address, IdentityKey, Label, NetworkId, SuccessionProof, Topic,
    neighbours::{NodeKey, check_saved, saved_examples},
    wire::{
        Decoded, Ecn, Flood, Frame, FrameReader, Hello, Keep, KeepReport, Letter, LinkMessage, MAX_FRAME, Phase, Seek,
        SeekMode, Signed, Stamp, Trail, Verified, Walk, Way, decode_frame, decode_hello,
    },
};

/// A function that reads what others wrote.
pub struct Decoder {
    /// The function's name in the sources, and of its folder in the corpus.
    pub name: &'static str,
    /// Decodes an input, and panics if what comes out contradicts itself. Whether the input was accepted.
    pub check: fn(&[u8]) -> bool,
    /// Inputs that are accepted, for mutations to start from.
    pub examples: fn() -> Vec<Vec<u8>>,
}

/// The decoders of `mute-core`.
pub const DECODERS: &[Decoder] = &[
    Decoder { name: "decode_frame", check: check_frame, examples: frames },
    Decoder { name: "decode_next", check: check_stream, examples: streams },
    Decoder { name: "decode_hello", check: check_hello, examples: hellos },
    Decoder { name: "decode_succession", check: check_succession, examples: successions },
    Decoder { name: "decode_address", check: check_address, examples: addresses },
    Decoder { name: "decode_node_key", check: check_node_key, examples: node_keys },
    Decoder { name: "decode_saved", check: check_saved, examples: saved_examples },
];

/// Runs the check of the decoder with this name: what a fuzz target does.
///
/// # Panics
/// There is none, or the check fails.
pub fn check(name: &str, input: &[u8]) {
    let decoder =
        DECODERS.iter().find(|decoder| decoder.name == name).expect("a fuzz target names a decoder of the list");
    (decoder.check)(input);
}

const NETWORK: NetworkId = NetworkId([7; 16]);

fn check_frame(input: &[u8]) -> bool {
    match decode_frame(Bytes::copy_from_slice(input)) {
        Ok(Decoded::Frame(frame)) => {
            let mut again = frame.encode_header().slice(crate::wire::LENGTH_PREFIX..).to_vec();
            again.extend_from_slice(&frame.body());
            assert_eq!(again, input, "what a frame says is all that its bytes said");
            assert_eq!(frame.encoded_len(), input.len() + crate::wire::LENGTH_PREFIX);
            read_all(&frame);
            true
        }
        Ok(Decoded::Link(_) | Decoded::Unknown) => true,
        Err(_) => false,
    }
}

/// Calls every accessor: none may panic on what was accepted.
fn read_all<S>(frame: &Frame<S>) {
    match frame {
        Frame::Flood { message, .. } => drop((message.topic(), message.body(), message.author(), message.stamp())),
        Frame::Seek { message, .. } => drop((message.target(), message.share(), message.network())),
        Frame::Trail { message, .. } => drop((message.seek(), message.share(), message.id())),
        Frame::Keep { message, .. } => drop((message.seek(), message.report(), message.detached())),
        Frame::Letter { message } => drop((message.to(), message.sealed())),
        Frame::Walk { message, .. } => drop((message.author(), message.stamp(), message.id())),
        Frame::Data { body, .. } => assert!(!body.is_empty()),
        Frame::Close { .. } => {}
    }
}

/// The first byte says how the rest arrives: in chunks of so many bytes. Whole and in pieces it must be cut into the same frames.
fn check_stream(input: &[u8]) -> bool {
    let Some((size, stream)) = input.split_first() else {
        return false;
    };
    let whole = cut(stream, stream.len().max(1));
    assert_eq!(whole, cut(stream, usize::from(*size) + 1));
    whole.is_ok_and(|(frames, ends)| ends && frames > 0)
}

/// How many frames a stream holds, and whether it ends with one; their contents are compared by a hash of all.
fn cut(stream: &[u8], size: usize) -> Result<(usize, bool), crate::DecodeError> {
    let (mut reader, mut frames, mut taken) = (FrameReader::new(), 0, 0);
    for chunk in stream.chunks(size) {
        let mut chunk = Bytes::copy_from_slice(chunk);
        while let Some(frame) = reader.decode_next(&mut chunk)? {
            assert!(!frame.is_empty() && frame.len() <= MAX_FRAME);
            taken += crate::wire::LENGTH_PREFIX;
            assert_eq!(frame, stream[taken..taken + frame.len()], "a frame is what lay between two prefixes");
            taken += frame.len();
            frames += 1;
        }
        assert!(chunk.is_empty(), "a reader that wants more has taken all");
    }
    Ok((frames, reader.is_between_frames()))
}

fn check_hello(input: &[u8]) -> bool {
    match decode_hello(input) {
        Ok(hello) => {
            let again = LinkMessage::Hello(hello.clone()).encode();
            assert_eq!(decode_hello(&again[crate::wire::LENGTH_PREFIX + 1..]), Ok(hello));
            true
        }
        Err(_) => false,
    }
}

fn check_succession(input: &[u8]) -> bool {
    match SuccessionProof::decode_succession(input) {
        Ok(proof) => {
            assert_eq!(proof.encode(), input);
            true
        }
        Err(_) => false,
    }
}

fn check_address(input: &[u8]) -> bool {
    let Ok(text) = core::str::from_utf8(input) else {
        return false;
    };
    match text.parse::<Address>() {
        Ok(address) => {
            assert_eq!(address.to_string(), text.to_lowercase());
            true
        }
        Err(_) => false,
    }
}

fn check_node_key(input: &[u8]) -> bool {
    let Ok(text) = core::str::from_utf8(input) else {
        return false;
    };
    match text.parse::<NodeKey>() {
        Ok(key) => {
            assert_eq!(key.to_string(), text.to_lowercase());
            true
        }
        Err(_) => false,
    }
}

/// One frame of each kind, signed.
fn frames() -> Vec<Vec<u8>> {
    let key = IdentityKey::from_seed(&[1; 32]);
    let stamp = Stamp { minute: 30_000_000, random: 42 };
    let share = [9; 32];
    let id = crate::MessageId([5; 16]);
    let report = KeepReport { number: 3, received: 1000, sent: 1001 };
    let label = Label(0x0102_0304_0506_0708);
    let signed = "the example fits";
    let frames: Vec<Frame<Verified>> = vec![
        Frame::Flood {
            phase: Phase::Hidden,
            message: Signed::<Flood, _>::sign(NETWORK, &key, stamp, Topic::of("t"), b"what?").expect(signed),
        },
        Frame::Seek {
            mode: SeekMode::Flood(Phase::Counted(2)),
            message: Signed::<Seek, _>::sign(NETWORK, &key, stamp, key.address(), &share).expect(signed),
        },
        Frame::Trail { label, message: Signed::<Trail, _>::sign(NETWORK, &key, stamp, id, &share).expect(signed) },
        Frame::Keep { label, message: Signed::<Keep, _>::sign(NETWORK, &key, stamp, id, report).expect(signed) },
        Frame::Letter {
            message: Signed::<Letter, _>::sign(NETWORK, &key, stamp, key.address(), b"sealed").expect(signed),
        },
        Frame::Data { label, ecn: Ecn::Capable0, body: Bytes::from_static(b"sealed") },
        Frame::Close { label },
        Frame::Walk { way: Way::Roam(3), message: Signed::<Walk, _>::sign(NETWORK, &key, stamp).expect(signed) },
        Frame::Seek {
            mode: SeekMode::Walk(Way::Stem),
            message: Signed::<Seek, _>::sign(NETWORK, &key, stamp, key.address(), &share).expect(signed),
        },
    ];
    let mut examples: Vec<Vec<u8>> = frames
        .iter()
        .map(|frame| [&frame.encode_header()[crate::wire::LENGTH_PREFIX..], &frame.body()[..]].concat())
        .collect();
    examples.push(LinkMessage::Hello(Hello::new(NETWORK)).encode()[crate::wire::LENGTH_PREFIX..].to_vec());
    examples
}

fn streams() -> Vec<Vec<u8>> {
    let framed = |frame: &Vec<u8>| {
        let length = u16::try_from(frame.len()).expect("examples are short");
        [&length.to_be_bytes()[..], frame].concat()
    };
    let all: Vec<u8> = frames().iter().flat_map(framed).collect();
    [0, 1, 7, 200, 255].iter().map(|size| [&[*size][..], &all].concat()).collect()
}

fn hellos() -> Vec<Vec<u8>> {
    vec![LinkMessage::Hello(Hello::new(NETWORK)).encode()[crate::wire::LENGTH_PREFIX + 1..].to_vec()]
}

fn successions() -> Vec<Vec<u8>> {
    vec![vec![0x5a; SuccessionProof::LENGTH]]
}

fn addresses() -> Vec<Vec<u8>> {
    let text = IdentityKey::from_seed(&[1; 32]).address().to_string();
    vec![text.to_uppercase().into_bytes(), text.into_bytes()]
}

fn node_keys() -> Vec<Vec<u8>> {
    let text = NodeKey([1; 32]).to_string();
    vec![text.to_uppercase().into_bytes(), text.into_bytes()]
}

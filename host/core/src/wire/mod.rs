//! What goes over a link.
//!
//! A link's streams carry [`Frame`]s, each behind its length ([`FrameReader`]). A frame is a small header that relays
//! may change (the kind, and a phase, mode, label or congestion mark) and either a message that is [`Signed`] and
//! passed on verbatim, or a sealed packet of a trail, which nobody signs. Messages between the two sides of a link
//! ([`LinkMessage`]) are frames too, in MessagePack.
//!
//! | kind | header | then |
//! | --- | --- | --- |
//! | 1 Flood | phase: 0 hidden, 1 to 63 the count, 64 ending, 65 to 127 a tail of 1 to 63 hops | signed: topic 16, body |
//! | 2 Seek | 0 directed, 1 + phase flooded, 129 + way walking | signed: target 32, X25519 share 32 |
//! | 3 Trail | label 8 | signed: Seek id 16, X25519 share 32 |
//! | 4 Keep | label 8 | signed: Seek id 16, number 4, received 8, sent 8 |
//! | 5 Letter | – | signed: to 32, sealed body |
//! | 6 Walk | way: 0 its stem, 1 + log2 of its walkers | signed: – |
//! | 7 Data | label 8, ECN 1 | sealed body |
//! | 8 Close | label 8 | – |
//! | 128 Hello | – | MessagePack |
//! | 129 (hosts), 130 (credits), not yet | | |
//!
//! Signed bytes are `mute/1` ‖ network 16 ‖ kind 1 ‖ author 32 ‖ minute 4 ‖ random 8 ‖ fields, all integers big-endian; the
//! Ed25519 signature (64) follows them. The message's id is BLAKE3-128 of the signed bytes. Unknown kinds are ignored.
//!
//! **Naming rule.** A function that turns bytes or text from outside into something is called `decode_…` (or `parse_wire_…`), its
//! name is unique in its crate, and it stands in the crate's list of decoders, which property tests and fuzzers run; a test scans the sources for one that
//! does not.

mod bodies;
mod error;
mod frame;
mod link;
mod mode;
mod signed;
mod stream;

/// The numbers of the kinds.
pub mod kind {
    /// [`Frame::Flood`](super::Frame::Flood).
    pub const FLOOD: u8 = 1;
    /// [`Frame::Seek`](super::Frame::Seek).
    pub const SEEK: u8 = 2;
    /// [`Frame::Trail`](super::Frame::Trail).
    pub const TRAIL: u8 = 3;
    /// [`Frame::Keep`](super::Frame::Keep).
    pub const KEEP: u8 = 4;
    /// [`Frame::Letter`](super::Frame::Letter).
    pub const LETTER: u8 = 5;
    /// [`Frame::Walk`](super::Frame::Walk).
    pub const WALK: u8 = 6;
    /// [`Frame::Data`](super::Frame::Data).
    pub const DATA: u8 = 7;
    /// [`Frame::Close`](super::Frame::Close).
    pub const CLOSE: u8 = 8;
    /// [`LinkMessage::Hello`](super::LinkMessage::Hello).
    pub const HELLO: u8 = 128;
    /// Kept for lists of hosts; ignored as unknown.
    pub const HOSTS: u8 = 129;
    /// Kept for credits; ignored as unknown.
    pub const CREDITS: u8 = 130;
}

pub use bodies::{Flood, Keep, KeepReport, Letter, MAX_FLOOD_BODY, MAX_LETTER_BODY, Seek, Trail, Walk};
pub use error::{DecodeError, Violation};
pub use frame::{Decoded, Ecn, Frame, MAX_DATA_BODY, MAX_FRAME, decode_frame};
pub use link::{Hello, LinkMessage, MAX_HELLO, VERSION, decode_hello};
pub use mode::{Phase, SeekMode, Way};
pub use signed::{Body, SIGNED_OVERHEAD, Signed, Stamp, Unverified, Verified};
pub use stream::{FrameReader, LENGTH_PREFIX};

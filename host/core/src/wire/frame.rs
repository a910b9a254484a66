//! Frames: what one link carries, a small header that relays may change and the bytes that they may not.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::{
    DecodeError, Flood, Keep, Letter, LinkMessage, Phase, Seek, SeekMode, Signed, Trail, Unverified, Verified,
    Violation, Walk, Way, kind, stream::LENGTH_PREFIX,
};
use crate::{Label, NetworkId};

/// The longest body of Data in bytes: the largest size class, and room for the seal (packet number 8, tag 16) and a
/// [`SuccessionProof`](crate::SuccessionProof) (32).
pub const MAX_DATA_BODY: usize = 16 * 1024 + 128;

/// The longest frame in bytes, without its length prefix: Data with a full body.
pub const MAX_FRAME: usize = MAX_HEADER + MAX_DATA_BODY;

/// The longest header in bytes, without its length prefix: kind, label, ECN.
const MAX_HEADER: usize = 1 + 8 + 1;

/// Explicit congestion notification (RFC 3168), two bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ecn {
    /// The ends do not react to marks: drop instead.
    NotCapable,
    /// The ends react to marks, ECT(0).
    Capable0,
    /// The ends react to marks, ECT(1).
    Capable1,
    /// A queue on the way is congested.
    Experienced,
}

impl Ecn {
    /// The two bits, with RFC 3168's values.
    pub const fn bits(self) -> u8 {
        match self {
            Self::NotCapable => 0,
            Self::Capable1 => 1,
            Self::Capable0 => 2,
            Self::Experienced => 3,
        }
    }

    /// The mark with these two bits.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::NotCapable,
            1 => Self::Capable1,
            2 => Self::Capable0,
            3 => Self::Experienced,
            _ => return None,
        })
    }
}

/// One frame of a link: a routed message with the header that this link's sides agree on. `S` says whether its
/// signature is checked; [`Frame::verify`] is the way from [`Unverified`] to [`Verified`], and only verified frames enter a router.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame<S> {
    /// A question to everybody in reach.
    Flood {
        /// How far it has come.
        phase: Phase,
        /// What is passed on verbatim.
        message: Signed<Flood, S>,
    },
    /// A search for an address's owner.
    Seek {
        /// How it travels.
        mode: SeekMode,
        /// What is passed on verbatim.
        message: Signed<Seek, S>,
    },
    /// The owner's answer, which binds labels.
    Trail {
        /// The trail's name on this link, chosen by the sender of this frame.
        label: Label,
        /// What is passed on verbatim.
        message: Signed<Trail, S>,
    },
    /// A sign of life of a trail's end.
    Keep {
        /// The trail's name on this link.
        label: Label,
        /// What is passed on verbatim.
        message: Signed<Keep, S>,
    },
    /// Lays scent of an address that wants to be found.
    Walk {
        /// How it travels.
        way: Way,
        /// What is passed on verbatim.
        message: Signed<Walk, S>,
    },
    /// A sealed letter on the scent of its addressee.
    Letter {
        /// What is passed on verbatim.
        message: Signed<Letter, S>,
    },
    /// A sealed packet on a trail. No address, no sender, no hop count, no signature.
    Data {
        /// The trail's name on this link.
        label: Label,
        /// The congestion mark.
        ecn: Ecn,
        /// The sealed packet.
        body: Bytes,
    },
    /// The end of a trail.
    Close {
        /// The trail's name on this link.
        label: Label,
    },
}

/// What a frame's bytes turned out to be.
#[derive(Debug, PartialEq)]
pub enum Decoded {
    /// A routed message: verify it, then hand it to the router.
    Frame(Frame<Unverified>),
    /// A message between the two sides of this link.
    Link(LinkMessage),
    /// A kind that this version does not know: to be ignored, so that versions can differ.
    Unknown,
}

/// Reads one frame (without its length prefix) from the bytes of a link. Zero-copy: a message keeps a slice of `bytes`.
///
/// # Errors
/// The bytes are no frame of a known kind: [`Violation::Malformed`].
pub fn decode_frame(mut bytes: Bytes) -> Result<Decoded, DecodeError> {
    if bytes.len() > MAX_FRAME {
        return Err(DecodeError::TooLong);
    }
    let kind = bytes.try_get_u8().map_err(|_| DecodeError::TooShort)?;
    Ok(Decoded::Frame(match kind {
        kind::FLOOD => Frame::Flood { phase: Phase::from_byte(byte(&mut bytes)?)?, message: Signed::read(bytes)? },
        kind::SEEK => Frame::Seek { mode: SeekMode::from_byte(byte(&mut bytes)?)?, message: Signed::read(bytes)? },
        kind::TRAIL => Frame::Trail { label: label(&mut bytes)?, message: Signed::read(bytes)? },
        kind::KEEP => Frame::Keep { label: label(&mut bytes)?, message: Signed::read(bytes)? },
        kind::LETTER => Frame::Letter { message: Signed::read(bytes)? },
        kind::WALK => Frame::Walk { way: Way::from_byte(byte(&mut bytes)?)?, message: Signed::read(bytes)? },
        kind::DATA => {
            let label = label(&mut bytes)?;
            let ecn = Ecn::from_bits(byte(&mut bytes)?).ok_or(DecodeError::Field)?;
            if bytes.is_empty() {
                return Err(DecodeError::TooShort);
            }
            // Cannot be too long: MAX_FRAME is this header and MAX_DATA_BODY.
            Frame::Data { label, ecn, body: bytes }
        }
        kind::CLOSE => {
            let label = label(&mut bytes)?;
            if !bytes.is_empty() {
                return Err(DecodeError::Trailing);
            }
            Frame::Close { label }
        }
        kind::HELLO => {
            return super::link::decode_hello(&bytes).map(|hello| Decoded::Link(LinkMessage::Hello(hello)));
        }
        _ => return Ok(Decoded::Unknown),
    }))
}

fn byte(bytes: &mut Bytes) -> Result<u8, DecodeError> {
    bytes.try_get_u8().map_err(|_| DecodeError::TooShort)
}

fn label(bytes: &mut Bytes) -> Result<Label, DecodeError> {
    bytes.try_get_u64().map(Label).map_err(|_| DecodeError::TooShort)
}

impl Frame<Unverified> {
    /// Checks network and signature; Data and Close have none and pass.
    ///
    /// # Errors
    /// The neighbour's offence.
    pub fn verify(self, network: NetworkId) -> Result<Frame<Verified>, Violation> {
        Ok(match self {
            Self::Flood { phase, message } => Frame::Flood { phase, message: message.verify(network)? },
            Self::Seek { mode, message } => Frame::Seek { mode, message: message.verify(network)? },
            Self::Trail { label, message } => Frame::Trail { label, message: message.verify(network)? },
            Self::Keep { label, message } => Frame::Keep { label, message: message.verify(network)? },
            Self::Letter { message } => Frame::Letter { message: message.verify(network)? },
            Self::Walk { way, message } => Frame::Walk { way, message: message.verify(network)? },
            Self::Data { label, ecn, body } => Frame::Data { label, ecn, body },
            Self::Close { label } => Frame::Close { label },
        })
    }

    /// Checks network and signature as a simulation's stand-ins make it.
    ///
    /// # Errors
    /// The neighbour's offence.
    #[cfg(feature = "simulation")]
    pub fn verify_stub(self, network: NetworkId) -> Result<Frame<Verified>, Violation> {
        Ok(match self {
            Self::Flood { phase, message } => Frame::Flood { phase, message: message.verify_stub(network)? },
            Self::Seek { mode, message } => Frame::Seek { mode, message: message.verify_stub(network)? },
            Self::Trail { label, message } => Frame::Trail { label, message: message.verify_stub(network)? },
            Self::Keep { label, message } => Frame::Keep { label, message: message.verify_stub(network)? },
            Self::Letter { message } => Frame::Letter { message: message.verify_stub(network)? },
            Self::Walk { way, message } => Frame::Walk { way, message: message.verify_stub(network)? },
            Self::Data { label, ecn, body } => Frame::Data { label, ecn, body },
            Self::Close { label } => Frame::Close { label },
        })
    }

    /// Takes the signature for good without checking it. Only for a simulator that stubs signatures.
    pub fn dangerously_assume_verified(self) -> Frame<Verified> {
        match self {
            Self::Flood { phase, message } => Frame::Flood { phase, message: message.dangerously_assume_verified() },
            Self::Seek { mode, message } => Frame::Seek { mode, message: message.dangerously_assume_verified() },
            Self::Trail { label, message } => Frame::Trail { label, message: message.dangerously_assume_verified() },
            Self::Keep { label, message } => Frame::Keep { label, message: message.dangerously_assume_verified() },
            Self::Letter { message } => Frame::Letter { message: message.dangerously_assume_verified() },
            Self::Walk { way, message } => Frame::Walk { way, message: message.dangerously_assume_verified() },
            Self::Data { label, ecn, body } => Frame::Data { label, ecn, body },
            Self::Close { label } => Frame::Close { label },
        }
    }
}

impl<S> Frame<S> {
    /// Whether verifying costs a signature check, which a link's verification budget pays for.
    pub const fn is_signed(&self) -> bool {
        !matches!(self, Self::Data { .. } | Self::Close { .. })
    }

    /// Whether this is a sealed packet, and not a control message.
    pub const fn is_data(&self) -> bool {
        matches!(self, Self::Data { .. })
    }

    /// The bytes that this frame puts on a link, length prefix included.
    pub fn encoded_len(&self) -> usize {
        LENGTH_PREFIX + self.header_len() + self.body_len()
    }

    /// What follows the header: the signed message or the sealed packet, never copied. Empty for Close.
    pub fn body(&self) -> Bytes {
        match self {
            Self::Flood { message, .. } => message.bytes().clone(),
            Self::Seek { message, .. } => message.bytes().clone(),
            Self::Trail { message, .. } => message.bytes().clone(),
            Self::Keep { message, .. } => message.bytes().clone(),
            Self::Letter { message } => message.bytes().clone(),
            Self::Walk { message, .. } => message.bytes().clone(),
            Self::Data { body, .. } => body.clone(),
            Self::Close { .. } => Bytes::new(),
        }
    }

    /// The length prefix and the header, to be written before [`Frame::body`].
    pub fn encode_header(&self) -> Bytes {
        let mut header = BytesMut::with_capacity(LENGTH_PREFIX + MAX_HEADER);
        self.write_header(&mut header);
        header.freeze()
    }

    /// Appends the length prefix and the header to `out`: for a link that batches many and splits them off.
    pub fn write_header(&self, out: &mut BytesMut) {
        // Fits: no frame is longer than MAX_FRAME, and a Data body that is too long never enters a router.
        out.put_u16((self.encoded_len() - LENGTH_PREFIX).min(usize::from(u16::MAX)) as u16);
        match self {
            Self::Flood { phase, .. } => {
                out.put_u8(kind::FLOOD);
                out.put_u8(phase.byte());
            }
            Self::Seek { mode, .. } => {
                out.put_u8(kind::SEEK);
                out.put_u8(mode.byte());
            }
            Self::Trail { label, .. } => put_label(out, kind::TRAIL, *label),
            Self::Keep { label, .. } => put_label(out, kind::KEEP, *label),
            Self::Letter { .. } => out.put_u8(kind::LETTER),
            Self::Walk { way, .. } => {
                out.put_u8(kind::WALK);
                out.put_u8(way.byte());
            }
            Self::Data { label, ecn, .. } => {
                put_label(out, kind::DATA, *label);
                out.put_u8(ecn.bits());
            }
            Self::Close { label } => put_label(out, kind::CLOSE, *label),
        }
    }

    /// The length of [`Self::body`].
    fn body_len(&self) -> usize {
        match self {
            Self::Flood { message, .. } => message.bytes().len(),
            Self::Seek { message, .. } => message.bytes().len(),
            Self::Trail { message, .. } => message.bytes().len(),
            Self::Keep { message, .. } => message.bytes().len(),
            Self::Letter { message } => message.bytes().len(),
            Self::Walk { message, .. } => message.bytes().len(),
            Self::Data { body, .. } => body.len(),
            Self::Close { .. } => 0,
        }
    }

    /// The header's bytes without the length prefix.
    const fn header_len(&self) -> usize {
        match self {
            Self::Letter { .. } => 1,
            Self::Flood { .. } | Self::Seek { .. } | Self::Walk { .. } => 2,
            Self::Trail { .. } | Self::Keep { .. } | Self::Close { .. } => 1 + 8,
            Self::Data { .. } => MAX_HEADER,
        }
    }
}

fn put_label(out: &mut BytesMut, kind: u8, label: Label) {
    out.put_u8(kind);
    out.put_u64(label.0);
}

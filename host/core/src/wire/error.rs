//! What can be wrong with bytes, and with a neighbour.

/// Why bytes are not what they claim to be. Holds no text, so that nothing of a neighbour's reaches a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum DecodeError {
    /// Fewer bytes than the shortest of this kind.
    #[error("the message is shorter than its kind allows")]
    TooShort,
    /// More bytes than the longest of this kind.
    #[error("the message is longer than its kind allows")]
    TooLong,
    /// Bytes after the end.
    #[error("bytes follow the end of the message")]
    Trailing,
    /// The signed bytes don't start with `mute/1`.
    #[error("the signed bytes do not start with the protocol's name")]
    Prefix,
    /// The kind inside the signed bytes is not the frame's.
    #[error("the signed kind is not the kind of the frame")]
    Kind,
    /// A field holds a value that no version of the protocol gives a meaning to.
    #[error("a field holds a value without a meaning")]
    Field,
    /// An X25519 share of small order, with which anybody would know the agreed key.
    #[error("the key share is of small order")]
    WeakShare,
    /// Not the MessagePack that was expected.
    #[error("not the MessagePack that this message is made of")]
    MessagePack,
    /// Not bech32m: a wrong character, a wrong checksum or the wrong length.
    #[error("not bech32m")]
    Text,
}

/// How a neighbour broke the protocol: one variant per offence. Its link is closed with [`Violation::close_code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Violation {
    /// Bytes that are no frame.
    #[error("malformed frame: {0}")]
    Malformed(#[from] DecodeError),
    /// A message of another network.
    #[error("a message belongs to another network")]
    WrongNetwork,
    /// A signature that does not hold: an honest neighbour checks before it passes on.
    #[error("a signature does not hold")]
    BadSignature,
    /// A label whose lowest bit names the wrong side of the link as its chooser.
    #[error("a label's lowest bit names the wrong side of the link")]
    LabelDirection,
    /// A Trail signed by another than the target of the Seek that it answers.
    #[error("a trail is not signed by the address that was sought")]
    ForeignTrail,
    /// A Keep of another trail, or of another than the end it comes from.
    #[error("a keep does not belong to the trail that it came along")]
    ForeignKeep,
    /// Data of a length that the network's profile does not have.
    #[error("a packet's length is not one of the network's")]
    DataSize,
    /// No protocol version in common.
    #[error("no protocol version in common")]
    Version,
    /// A message that has no place in this state of the link (a frame before Hello, a second Hello).
    #[error("a message came out of place")]
    OutOfPlace,
    /// So much to verify that the link's budget for it ran out for good.
    #[error("more signatures to check than the link's budget allows")]
    Overload,
}

impl Violation {
    /// The application close code of the link's connection: the one mapping to what the neighbour sees. Coarse on
    /// purpose: it tells the kind of offence, not what exactly gave it away.
    pub const fn close_code(self) -> u32 {
        match self {
            Self::Malformed(_) => 0x101,
            Self::WrongNetwork => 0x102,
            Self::BadSignature => 0x103,
            Self::LabelDirection | Self::ForeignTrail | Self::ForeignKeep => 0x104,
            Self::Version => 0x105,
            Self::OutOfPlace => 0x106,
            Self::Overload => 0x107,
            Self::DataSize => 0x108,
        }
    }
}

//! What goes over a link (skeleton).
use bytes::Bytes;
use crate::{Address, Label, MessageId, Ecn};

/// A message whose signature is not checked yet: nothing may act on it.
pub struct Unverified(SignedMessage);
/// A message whose signature holds: only verification makes one.
pub struct Verified(SignedMessage);
/// A signed message.
pub struct SignedMessage { pub bytes: Bytes, pub id: MessageId, pub author: Address }
/// One frame of a link.
pub enum Frame<S> { Flood { message: S }, Seek { message: S }, Trail { label: Label, message: S }, Keep { label: Label, message: S }, Letter { message: S }, Data { label: Label, ecn: Ecn, body: Bytes }, Close { label: Label } }

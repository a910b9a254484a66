//! The routing protocol of MUTE, sans-IO: no socket, no clock, no thread, no ambient randomness.
//!
//! [`Router`] is the whole of it: hand it an [`Input`] and the time, then drain [`Router::poll`] and come back at
//! [`Router::next_deadline`]. The daemon and the simulator run this same code.

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod id;
mod keys;
mod router;
mod succession;
mod time;
pub mod wire;

pub use id::{
    Address, ConnectionId, Label, LinkId, MessageId, NetworkId, ParseAddressError, PortId, Topic,
    TrailId,
};
pub use keys::{DirectionKeys, IdentityKey, TrailKeys};
pub use router::{
    Close, Counters, Drops, Event, Gauges, Hop, Input, Output, Role, Router, RouterConfig, Traffic,
    limits,
};
pub use succession::SuccessionProof;
pub use time::{Instant, Now};
pub use wire::{DecodeError, Ecn, Violation};

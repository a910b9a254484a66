//! The routing protocol of MUTE, sans-IO: no socket, no clock, no thread, no ambient randomness.
//!
//! [`Router`] is the whole of it: hand it an [`Input`] and the time, then drain [`Router::poll`] and come back at
//! [`Router::next_deadline`]. The daemon and the simulator run this same code.

mod id;
mod keys;
mod router;
mod time;
/// What goes over a link.
pub mod wire;

pub use id::{Address, ConnectionId, Label, LinkId, MessageId, NetworkId, ParseAddressError, PortId, Topic, TrailId};
pub use keys::{IdentityKey, TrailKeys};
pub use router::{Close, Ecn, Event, Hop, Input, Output, Role, Router, RouterConfig};
pub use time::{Instant, Now};

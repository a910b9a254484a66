//! The routing protocol of MUTE, sans-IO: no socket, no clock, no thread, no ambient randomness.
//!
//! [`Router`] is the whole of it: hand it an [`Input`] and the time, drain [`Router::poll`], and call [`Router::tick`] at
//! [`Router::next_deadline`]. The daemon and the simulator run this same code, so what is measured there happens here.
//!
//! # The idea
//! Nodes know only their neighbours. Identities ([`Address`]es, which are public keys) live at a node's ports, and nobody
//! can tell which node that is: a port is a [`Hop`] like any neighbour, and what it sends and hears takes the same way through the
//! router as what is relayed.
//!
//! 1. A **Flood** asks everybody in reach. It lays *scent*: every node that it passes remembers through which hop its author
//!    smells, and how strongly. Nobody can count back to its first sender, since at first nothing is counted.
//! 2. A **Seek** looks for the owner of an address: along the address's scent where there is some, else it walks until it meets
//!    some, and at last it floods. Each node remembers for a minute by which hops it came.
//! 3. The owner answers with a **Trail**, which goes back by those hops and leaves at each node a binding: two link-local
//!    [`Label`]s that belong together. The two shares in Seek and Trail agree on [`TrailKeys`], which seal all that follows.
//! 4. **Data** follows the labels. It holds no address, no sender, no hop count, and no signature; a relay looks up one label and passes it
//!    on. The owner sends only after something has arrived from the seeker, since its first packet could overtake the Trail: the router
//!    enforces that, and drops and counts what comes earlier.
//! 5. Both ends send **Keeps** along the trail. They keep its bindings and strengthen the scent that it runs on.
//! 6. After six to eight minutes the seeker seeks again and a second trail is laid beside the first; a
//!    [`SuccessionProof`] in its first packet says which connection it continues. At ten minutes every trail ends. **Close** ends one earlier.
//! 7. A **Letter** follows scent without a trail: small, sealed, unreliable.
//! 8. An address that listens sends a **Walk** now and then, which lays scent at some hundred nodes, so that Seeks meet it (unless
//!    addresses are to be found by floods alone: [`Finding`]).
//!
//! What goes to a neighbour waits in that link's [`Scheduler`], which shares the link fairly among those that it comes from.
//!
//! # What can be relied on
//! - Only verified messages enter a router: [`wire::Signed`] carries that in its type, and links do the verifying.
//! - A message counts once, within ten minutes of its stamp; repeated, spoofed or late it lays no scent.
//! - Whatever neighbours send, a router does not panic, and it holds no more than [`limits`] allows; each table is shared
//!   among those who fill it, so that one neighbour's excess costs that neighbour.
//! - Long-lived keys sign Trails, an owner's Keeps and Walks only: whoever asks or seeks signs with keys that do not lead to it.
//! - Whether an identity lives at a node or behind it looks the same but for what [`profile`] says: its port is an entry in the row like any
//!   other hop, what is for it is passed on like all else, and what it answers is late by a time of its own.
//! - The same seed and the same inputs at the same times give the same outputs.
//! - The router sees no IP address and no node's key; [`neighbours`], which decides whom to link with, sees both and prints neither. No secret can be printed.
//!
//! ```
//! use std::time::Duration;
//! use mute_core::{IdentityKey, Input, Instant, NetworkId, Now, Output, PortId, Profile, Router, RouterConfig, Topic};
//!
//! let config = RouterConfig {
//!     profile: Profile::Balanced,
//!     no_route_after: Duration::from_secs(30),
//!     ..RouterConfig::new(NetworkId([1; 16]), [2; 32], [3; 32])
//! };
//! let now = Now { instant: Instant::default(), unix_s: 1_800_000_000 };
//! let mut router = Router::new(config, now);
//! router.handle(Input::OpenPort { port: PortId(1), key: IdentityKey::from_seed(&[4; 32]) }, now);
//! let (link, neighbour) = (mute_core::LinkId(1), mute_core::NeighbourId(7));
//! router.handle(Input::LinkUp { link, neighbour, initiator: true }, now);
//! router.handle(Input::Broadcast { port: PortId(1), topic: Topic::of("greetings"), body: "hello?".into() }, now);
//! // A balanced network's floods go on a moment later.
//! let due = router.next_deadline().expect("the flood waits");
//! router.tick(Now { instant: due, ..now });
//! assert!(matches!(router.poll(), Some(Output::Send { .. })));
//! ```

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod hash;
mod id;
mod keys;
pub mod neighbours;
pub mod profile;
mod router;
pub mod scheduler;
#[cfg(feature = "simulation")]
mod stub;
mod succession;
mod time;
mod verification;
pub mod wire;

pub use id::{
    Address, ConnectionId, Label, LinkId, MessageId, NeighbourId, NetworkId, ParseAddressError, PortId, Topic, TrailId,
};
pub use keys::{DirectionKeys, IdentityKey, TrailKeys};
pub use profile::{Defences, ParseProfileError, Profile, SIZE_CLASSES, Shape};
#[cfg(feature = "simulation")]
pub use router::Fault;
pub use router::{
    Close, Counters, Drops, Event, Finding, FloodEnd, FloodRules, FloodStart, Gauges, Hop, Input, Output, Role, Router,
    RouterConfig, Traffic, WalkShape, limits,
};
pub use scheduler::{Scheduler, SchedulerConfig};
pub use succession::SuccessionProof;
pub use time::{Instant, Now};
pub use verification::{KnownMessages, VERIFICATION_BURST, VERIFICATIONS_PER_SECOND, VerificationBudget};
pub use wire::{DecodeError, Ecn, Violation};

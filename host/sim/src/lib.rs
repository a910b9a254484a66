//! The simulator: networks of MUTE's real routers on a virtual clock, from ten nodes to a hundred thousand.
//!
//! Each node holds a [`mute_core::Router`], driven as the daemon's node task drives it: inputs, then outputs until there are none, a
//! call when it is due, and word of how full its queues are. Between nodes lie links with rates, delays, losses and the queues that the
//! daemon has. What is measured here happens there.
//!
//! A run is a function of its seed: the same seed, parameters and program give the same output, byte for byte. One process runs one seed, so
//! that any scheduler of a cluster can spread seeds over machines; `merge` puts their records together, and `report` makes a page of them.
//!
//! - [`Network`] is the engine; [`Topology`] says who is whose neighbour, [`LinkParams`] what links are like.
//! - A scenario is an [`App`]: one value that hears what all ports of all nodes learn. [`traffic`] and [`churn`] are parts to build
//!   it from. A [`Behaviour`] lies around a node's router and misbehaves.
//! - [`Checks`] run throughout; a [`Record`] is what a run found.
//!
//! # Why stand-ins for signatures change no result
//! With [`Signatures::Stub`] keys, signatures and shares are hashes, and relays take signatures for good. A router's decisions depend on who
//! signed what, on ids, lengths and times, and on its own randomness. Stand-ins have the lengths of the real ones, differ for each key and
//! message as they do, and no node of such a run forges; so the law of all decisions is the same, and only single draws fall
//! differently, as with another seed. Crypto takes no virtual time in either case. Scenarios whose adversaries forge use
//! [`Signatures::Real`], in which every frame passes the wire format and is verified at each hop; a test runs the same network both ways.

mod app;
mod check;
pub mod churn;
mod cli;
mod events;
pub mod join;
mod link;
mod merge;
mod network;
mod queue;
mod random;
mod record;
mod report;
mod runner;
pub mod scenarios;
pub mod stats;
mod table;
mod topology;
pub mod traffic;
mod trails;

pub use app::{App, Behaviour, BlackHole, NodeId, Slow, Timer};
pub use check::{Checks, Deliveries, Expectation};
pub use cli::main;
pub use link::{HalfCounters, LinkParams, PACKET_OVERHEAD, PACKET_PAYLOAD, wire_bytes};
pub use merge::{Merged, merge};
pub use network::{Config, Configure, NETWORK, Network, Reshape, Signatures, StandingOf, Stats, Tap};
pub use queue::QueueKind;
pub use random::{Random, derive, weibull_scale};
pub use record::{Cell, Check, Figure, Record, Series, Table};
pub use table::number;
pub use topology::{Kind, Topology};
pub use trails::{Way, Ways};

//! Every bound of the scheduler, with its reason.

use core::time::Duration;

use crate::{router::limits::MAX_LINKS, wire::MAX_FRAME};

// ── Bytes ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/// Data that may wait for one neighbour, from everywhere: with the control kinds and floods below, 8 MiB.
pub const MAX_BYTES: usize = 6 << 20;

/// Data of one ingress that may wait for one neighbour: the product of 250 MB/s and 16 ms.
pub const MAX_INGRESS_BYTES: usize = 4 << 20;

/// What a frame is charged at least: the smallest size class, and what its place in a queue takes in memory. So many tiny frames
/// cost their sender what they cost this node.
pub const LEAST_CHARGE: usize = 256;

/// Trails, Keeps and Closes of one ingress that wait: a Close for half of the link's labels.
pub const CONTROL_INGRESS_BYTES: usize = crate::router::limits::MAX_LABELS / 2 * LEAST_CHARGE;

/// The same of all: a Close for each label of the link.
pub const CONTROL_BYTES: usize = crate::router::limits::MAX_LABELS * LEAST_CHARGE;

/// Floods, Seeks, Letters and Walks of one ingress that wait: what its budget lets in at once. The oldest give way: who asked has asked again.
pub const FLOOD_INGRESS_BYTES: usize = crate::router::limits::FLOOD_BURST_BYTES as usize;

/// The same of all: eight neighbours that ask as much as they may.
pub const FLOOD_BYTES: usize = 8 * FLOOD_INGRESS_BYTES;

/// Ingresses that one scheduler knows: every link that a router may have, as many that have just gone, and this node's own ports.
pub const MAX_INGRESSES: usize = 2 * MAX_LINKS + 1;

// ── Turns ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/// What an ingress of weight one may send in a round. A quarter of the largest packet, so that whoever sends small ones does not wait for a
/// large one of everybody else's in each round.
pub const QUANTUM: u32 = 4096;

/// The least that a stranger gets in a round when there are many: so that a round always brings somebody on.
pub const LEAST_QUANTUM: u32 = 256;

/// The same when no friend waits: four minted nodes have a round like one friend's, and a large packet still goes after a few rounds.
pub const LONE_QUANTUM: u32 = QUANTUM / 4;

/// The share of control kinds when something else waits is a half: `CONTROL_SHARE` parts to one. All trails' Keeps of eight neighbours need less.
pub(super) const CONTROL_SHARE: u32 = 1;

/// What control kinds may send ahead of all else after a silence: the Keeps of 300 trails.
pub(super) const CONTROL_BURST: u32 = 64 << 10;

/// The share of floods when Data waits is a tenth: one part to `FLOOD_SHARE` others.
pub(super) const FLOOD_SHARE: u32 = 9;

/// What floods may send ahead of Data after a silence: a dozen.
pub(super) const FLOOD_BURST: u32 = 8 << 10;

/// What an ingress's sparse trails may send ahead of its others is an eighth: one part to `BOOST_SHARE` others. So minted labels change the share
/// that was decided upstream by no more than that.
pub(super) const BOOST_SHARE: u32 = 7;

/// What sparse trails may send ahead after a silence: a turn.
pub(super) const BOOST_BURST: u32 = QUANTUM;

// ── Trails ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/// A trail is sparse while it sends no more than this in [`SPARSE_INTERVAL`]: a few requests, the acknowledgements of 24 MB/s, no transfer.
pub const SPARSE_BYTES: u32 = 4096;

/// What [`SPARSE_BYTES`] is measured over: an interval of CoDel.
pub const SPARSE_INTERVAL: Duration = Duration::from_millis(100);

/// A trail that was not sparse is so again when it has sent nothing for so long: nothing of it is left in a stream of the link by then, that its next
/// packet could overtake on another.
pub const SPARSE_AFTER: Duration = Duration::from_millis(500);

/// Trails that are told apart within an ingress. Two that share a place count as one: at worst neither is boosted.
pub(super) const TRAIL_PLACES: usize = 256;

// ── Delay ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/// CoDel's target: the least delay in a queue at which it does something. Twice RFC 8289's, since large packets come in bursts over user-space relays.
pub const TARGET: Duration = Duration::from_millis(10);

/// CoDel's interval: the round trip that it expects (RFC 8289). It is at least two targets, as in CAKE, where links are slow.
pub const INTERVAL: Duration = Duration::from_millis(100);

/// Data that has waited for so long is dropped whatever it is: who sent it has sent it again (RFC 9002's first timeout).
pub const EXPIRY: Duration = Duration::from_secs(1);

/// … but for no less than so many targets, where links are slow.
pub const EXPIRY_TARGETS: u64 = 8;

/// How long the drain rate is measured for one sample.
pub(super) const RATE_INTERVAL: Duration = Duration::from_millis(10);

/// An ingress that was silent for so long is forgotten: RFC 8289 remembers how hard it had to drop for 16 intervals.
pub(super) const INGRESS_MEMORY: Duration = Duration::from_millis(1600);

/// Places that an empty queue keeps in memory.
pub(super) const SPARE_PLACES: usize = 256;

const _: () = assert!(MAX_BYTES + CONTROL_BYTES + FLOOD_BYTES == 8 << 20);
const _: () = assert!(MAX_INGRESSES <= u8::MAX as usize && MAX_INGRESS_BYTES > MAX_FRAME);

//! Every bound of the neighbour policy, with its reason.

use core::time::Duration;

// ── Links ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/// Links at most: each one more learns a share of what this node asks and answers, and takes a share of its upload.
pub const MOST_LINKS: usize = 16;

/// Links aimed for: a flood reaches 10^4 nodes in five hops, and no single neighbour sees more than an eighth of what goes in and out.
pub const TARGET_LINKS: usize = 8;

/// Links that a node should have at least: with fewer, one that leaves or lies is too large a share.
pub const LEAST_LINKS: usize = 4;

/// Strangers that this node chooses and dials. Half the target, since every such link is somebody else's inbound one, so that the
/// mean of all links is the target.
pub const OUTBOUND_STRANGERS: usize = 4;

/// Strangers that may dial this node. Thrice what others want on average, since some nodes are known better than others, and an adversary takes
/// places as well; outbound ones have places of their own, so that those who come cannot fill a node.
pub const INBOUND_STRANGERS: usize = 12;

/// Strangers at once with one /24 of IPv4 or one /48 of IPv6: what one line or one rented server comes with.
pub const STRANGERS_PER_PREFIX: usize = 1;

/// Strangers at once with one /16 of IPv4 or one /32 of IPv6: what one provider comes with.
pub const STRANGERS_PER_WIDE_PREFIX: usize = 2;

/// Strangers at once with local addresses (loopback, private, link-local): half the inbound places, so that a café's network cannot fill
/// a node, and a home's can still meet.
pub const LOCAL_STRANGERS: usize = INBOUND_STRANGERS / 2;

/// Chosen strangers of whom one and the same origin told: whoever told of all could have told of its own only.
pub const OUTBOUND_PER_ORIGIN: usize = 2;

/// Prefixes that a node may link with, however many it knows: four to choose from for each one that is wanted. Measured: with 32, 64 and 128
/// an adversary with 16 prefixes gets twice, thrice and four times as many places.
pub const PARTNERS: usize = 4 * OUTBOUND_STRANGERS;

/// Prefixes that somebody told of count up to so many for each one that was reached: whoever tells of hosts that there are not makes
/// a node choosier, by no more than this.
pub const PREFIXES_PER_PROVEN: usize = 4;

/// Strangers that may dial, for each chosen link, beyond the first four: a node that has just come cannot be surrounded before it has chosen.
pub const INBOUND_PER_CHOSEN: usize = 2;

/// Friends at most: people that one knows, and relays of a closed group.
pub const MAX_FRIENDS: usize = 512;

/// Keys that the user has removed: they stay out. The first ones are forgotten beyond it.
pub const MAX_REMOVED: usize = 256;

// ── Dialling ────────────────────────────────────────────────────────────────────────────────────────────────────────

/// How long after a first failure somebody is dialled again; it doubles with each further one.
pub const FIRST_BACKOFF: Duration = Duration::from_millis(250);

/// The longest wait between two attempts for a friend: one that was away for a night is back within a minute.
pub const LONGEST_FRIEND_BACKOFF: Duration = Duration::from_secs(60);

/// The same after a stranger's first failure: there are others.
pub const FIRST_STRANGER_BACKOFF: Duration = Duration::from_secs(60);

/// The longest wait between two attempts for a stranger.
pub const LONGEST_STRANGER_BACKOFF: Duration = Duration::from_secs(3600);

/// A link that has lasted so long was a good one: the next attempts start from the shortest wait again.
pub const STABLE: Duration = Duration::from_secs(30);

/// Attempts under way to strangers: each may take six seconds to come to nothing.
pub const DIALS_AT_ONCE: usize = 4;

/// Time between two rounds of choosing whom to dial: a table of dead addresses costs four attempts a second, not a storm.
pub const ROUND: Duration = Duration::from_secs(1);

/// The same when nobody was found.
pub const EMPTY_ROUND: Duration = Duration::from_secs(30);

/// Attempts to strangers in [`STRANGER_DIALS_INTERVAL`]: each shows this node to one more.
pub const STRANGER_DIALS: u64 = 16;

/// See [`STRANGER_DIALS`].
pub const STRANGER_DIALS_INTERVAL: Duration = Duration::from_secs(60);

/// An attempt that was never answered by the caller counts as failed: the caller's own time-outs are shorter.
pub const DIAL_FORGOTTEN: Duration = Duration::from_secs(120);

// ── Offences ────────────────────────────────────────────────────────────────────────────────────────────────────────

/// How long a neighbour that broke the protocol is neither dialled nor let in; it doubles with each further offence.
pub const FIRST_BAN: Duration = Duration::from_secs(30);

/// The longest ban.
pub const LONGEST_BAN: Duration = Duration::from_secs(3600);

/// A link that has lasted so long without an offence makes earlier ones forgotten; so does as long a time after a ban's end.
pub const FORGIVEN: Duration = Duration::from_secs(600);

/// Keys, and as many prefixes, whose offences are remembered. The one that ends first gives way.
pub const MAX_BANS: usize = 256;

// ── Slow change ─────────────────────────────────────────────────────────────────────────────────────────────────────

/// A chosen stranger stays at least so long, unless it leaves, offends, or a friend needs its place.
pub const MINIMUM_STAY: Duration = Duration::from_secs(1800);

/// At most one stranger is given up for a better one in so long.
pub const CHANGE_INTERVAL: Duration = Duration::from_secs(6 * 3600);

/// The place of a chosen stranger that was lost is kept for it so long before somebody unknown gets it: a lost packet or a restart of
/// its host is no reason to show oneself to one more.
pub const HOLD: Duration = Duration::from_secs(60);

/// With fewer chosen links than this nothing is held: at least two honest neighbours are assumed.
pub const HOLD_ABOVE: usize = 2;

/// Long-lived strangers remembered over restarts: thrice the places, as two of three may be away.
pub const ANCHORS: usize = 3 * OUTBOUND_STRANGERS;

/// Chosen strangers that may be anchors while the book names others: all. With fewer a node meets more of an adversary's, each for a shorter time.
pub const ANCHOR_PLACES: usize = OUTBOUND_STRANGERS;

/// An anchor that was away for so long is forgotten.
pub const ANCHOR_FORGOTTEN_S: u64 = 30 * 24 * 3600;

/// What a minute with proof of service counts, where a minute of mere presence counts one.
pub const SERVICE_WEIGHT: u64 = 3;

/// How often ages are taken and better neighbours looked for.
pub const REVIEW: Duration = Duration::from_secs(300);

// ── The book ────────────────────────────────────────────────────────────────────────────────────────────────────────

/// Buckets of addresses that were told of and never reached.
pub const NEW_BUCKETS: u16 = 256;

/// Of those, buckets that one origin can reach: a sixteenth.
pub const NEW_BUCKETS_PER_ORIGIN: u16 = 16;

/// Buckets of addresses that proved their key to us.
pub const TRIED_BUCKETS: u16 = 64;

/// Of those, buckets that one prefix can reach: a thirty-second.
pub const TRIED_BUCKETS_PER_PREFIX: u16 = 2;

/// Places in a bucket. All of the book: 2,560 entries of some 150 bytes.
pub const BUCKET_SIZE: u8 = 8;

/// Attempts in a row that come to nothing until an address that was never reached is dropped.
pub const NEW_ATTEMPTS: u32 = 3;

/// The same for one that was reached: it may be away for the night.
pub const TRIED_ATTEMPTS: u32 = 10;

/// An address that proved its key within this time keeps its place in the book against newcomers, if attempts have not failed since.
pub const FRESH_S: u64 = 7 * 24 * 3600;

/// An address that nobody has reached or told of anew for so long is dropped.
pub const STALE_S: u64 = 30 * 24 * 3600;

// ── Exchange ────────────────────────────────────────────────────────────────────────────────────────────────────────

/// Hosts in one answer: enough to find four in three answers if half of them are away.
pub const MAX_TOLD: usize = 32;

/// What an asker is told stays the same for so long (where the book does): asking often teaches little.
pub const TOLD_FOR_S: u64 = 24 * 3600;

/// A neighbour is asked again after so long at the earliest, and answered as seldom.
pub const ASK_INTERVAL: Duration = Duration::from_secs(600);

/// Who finds no room is told of others so often in this interval, in all.
pub const INTRODUCTIONS: u64 = 64;

/// See [`INTRODUCTIONS`].
pub const INTRODUCTION_INTERVAL: Duration = Duration::from_secs(60);

/// Claims "I listen at this port" that wait to be checked.
pub const MAX_CHECKS: usize = 32;

/// One is checked in so long.
pub const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Decisions that wait for `poll`: what one round can decide for each link, friend and attempt.
pub const MAX_DECISIONS: usize = 1024;

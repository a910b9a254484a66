//! Profiles: what a network pays for being hard to watch.
//!
//! A profile is a property of a network and the same at all its nodes: it is part of the network's identity
//! ([`NetworkId::derive`]), so that nobody can be talked into a weaker one. What a profile adds is its [`Shape`].
//!
//! # An identity is a neighbour that is a little further away
//! Whoever asks the owner of an address gets an answer from the node that he asks; whoever asks a relay gets one that has been at the
//! next node too. To hide the difference an identity hears everything late, by a time that is its own and never changes: drawn,
//! with a secret of the node, from an exponential law of mean [`Shape::turnaround`]. For whoever watches the node's links a
//! question and what comes of it (a Seek and its Trail, a packet and its acknowledgement, a flood and its letter, a Close and
//! the next Seek) lie apart as if the identity lived behind one link more.
//!
//! - *An exponential law*: with an onward round trip *r* and a mean *μ* the best guess, "the later is the relay", is right with
//!   probability 1 − ½e^(−r/μ), and no answer time ever proves that somebody relays.
//! - *Never changes*: fresh draws average out.
//! - *Its own, and not one for each neighbour that asks*: with those, two links to one node tell at once. Behind a relay both links
//!   measure the owner's one wait for that relay; at an owner they would measure two. (Measured, by the tests named in `tests/router/alike.rs`.)
//! - *On the way in, for both ways*: nobody outside sees when an identity hands over what it sends, so only the sum of both ways shows; held on
//!   the way in it is in order, and costs no memory where an identity sends much.
//! - *Not at every relay*: what each relay adds to a flooded Seek tells how many there are, for packets on the trail that it lays wait for nothing on
//!   their way. At an owner both take equally long; behind a relay the Seek takes longer by what the relay added, and the simulator's
//!   attack on two worlds tells the two with certainty however small that is. So balanced networks have no [`Shape::jitter`]; experiments can.
//!
//! # Other ways to tell, and what is done
//! Flooded messages for an identity of this node go on from here as from anywhere; directed Seeks and Letters follow the row, in which a port is
//! an entry like any hop, laid and strengthened by the same law, so that now and then one for an own address is passed on and not
//! answered. Flooded Seeks follow the trails of their target where these pass, and spread no further: floods start hidden, on ways of many
//! lengths, so trails through a relay would differ, and trails to an owner would not. What an identity sends waits in the queues of links as one neighbour's (see [`crate::scheduler`]). A Keep does not count what its
//! sender has not heard yet. A Trail that its seeker refuses, and a Seek after a Close, come as late as from afar.
//!
//! # What is left
//! - *The guess itself*: with the numbers of [`Profile::Balanced`] an answer's time is right three times in five.
//! - *Searches*: an answer to a flood takes as long as the flood's way there, which starts hidden and goes round; at an owner it does not.
//! - *Links with a rate*: a big packet takes longer over one link more, and no constant wait hides by how much; nor how much more two links jitter.
//! - *Throughput*: what a relay passes on is bounded by its upload to the next node, what an identity hears by this node's download only. Whoever
//!   sends an address more than this node could upload, and sees it acknowledged, knows.
//! - *Budgets*: an owner counts the Seeks that it answers for each neighbour, and behind a relay they would be counted together. Two neighbours that
//!   spend both (64 a second each, for long) can tell.
//! - *Presence*: whatever makes this node vanish makes its identities vanish.
//! - *Who holds all links of a node* sees what comes in and does not go out.

use core::{fmt, str::FromStr, time::Duration};

use crate::NetworkId;

/// The lengths that Data has in a network with size classes, in bytes of its sealed body.
pub const SIZE_CLASSES: [usize; 4] = [256, 1024, 4 * 1024, 16 * 1024];

/// What an exponential law is cut off at, in means: beyond lies 0.7 % of it, and nobody waits for ever.
const CUT: u32 = 5;

/// What a network adds to what it carries. The default is [`Profile::Balanced`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Profile {
    /// Nothing: for closed groups that trust each other's relays.
    Fast,
    /// Delays that hide which node an identity lives at, and sizes that say little.
    #[default]
    Balanced,
}

/// A text that names no profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseProfileError {
    /// A profile that is planned.
    #[error("the profile \"strong\" is not there yet; choose \"balanced\" or \"fast\"")]
    Strong,
    /// Anything else.
    #[error("not a profile: choose \"balanced\" or \"fast\"")]
    Unknown,
}

/// What a profile adds, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The mean of what an identity adds to a question and its answer together.
    pub turnaround: Duration,
    /// The mean of what each onward copy of a flooded message waits: none in any profile, for it tells (see above).
    pub jitter: Duration,
    /// The lengths that a sealed body may have, in bytes, the smallest first; none: any.
    pub sizes: &'static [usize],
}

/// The defences that a network's profile stands for, each of which an experiment can leave out; a daemon has them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defences {
    /// Flooded messages for an identity of this node are passed on like all others.
    pub pass_floods_on: bool,
    /// Directed Seeks and Letters for an identity of this node follow the row, in which its port is an entry like any other. Without it
    /// they are always the identity's.
    pub follow_row: bool,
    /// A flooded Seek follows scent where live trails of its target pass, and spreads no further; and where its flood ends.
    pub follow_scent: bool,
    /// What asks for an answer (Seeks, Floods, Letters) reaches an identity late.
    pub hold_questions: bool,
    /// What belongs to a trail (Data, Keeps, Closes) reaches an identity late.
    pub hold_packets: bool,
    /// A question waits equally long each time. Without it each waits for a fresh draw.
    pub stable_holds: bool,
    /// An identity waits equally long whoever asks. Without it there is a draw for each neighbour.
    pub one_hold: bool,
    /// Only the first copy of a Letter goes on. Without it one goes round for ever where scent leads round.
    pub take_once: bool,
    /// What Keeps report of a trail is held against what passed, and a trail that proves bad is sought anew.
    pub judge_trails: bool,
    /// The hops that trails proved bad through are avoided for a while, and whoever was led there floods at once. Without it their scent is
    /// halved and no more.
    pub shun_bad_hops: bool,
    /// What a hop's control messages may cost is bounded.
    pub budgets: bool,
    /// Rows of scent and places of trails are shared among hops. Without it the rows that were touched the longest time ago give way, and places
    /// are whoever's comes first.
    pub share_places: bool,
}

impl Default for Defences {
    fn default() -> Self {
        Self {
            pass_floods_on: true,
            follow_row: true,
            follow_scent: true,
            hold_questions: true,
            hold_packets: true,
            stable_holds: true,
            one_hold: true,
            take_once: true,
            judge_trails: true,
            shun_bad_hops: true,
            budgets: true,
            share_places: true,
        }
    }
}

impl Profile {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Fast, Self::Balanced];

    /// The name, as in a configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Balanced => "balanced",
        }
    }

    /// What it adds, in numbers.
    pub const fn shape(self) -> Shape {
        match self {
            Self::Fast => Shape { turnaround: Duration::ZERO, jitter: Duration::ZERO, sizes: &[] },
            // An onward round trip over the internet takes some 50 ms, a quarter of the turnaround: the best guess is right three times
            // in five.
            Self::Balanced => {
                Shape { turnaround: Duration::from_millis(200), jitter: Duration::ZERO, sizes: &SIZE_CLASSES }
            }
        }
    }
}

impl Shape {
    /// The longest that an identity adds to a question and its answer together.
    pub const fn longest_turnaround(&self) -> Duration {
        self.turnaround.saturating_mul(CUT)
    }

    /// Whether a sealed body may be so long.
    pub fn allows(&self, length: usize) -> bool {
        self.sizes.is_empty() || self.sizes.contains(&length)
    }

    /// The shortest length that a sealed body of at least `length` bytes may have; `None`: it is too long.
    pub fn class_of(&self, length: usize) -> Option<usize> {
        if self.sizes.is_empty() { Some(length) } else { self.sizes.iter().copied().find(|size| *size >= length) }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Profile {
    type Err = ParseProfileError;

    fn from_str(text: &str) -> Result<Self, ParseProfileError> {
        match Self::ALL.into_iter().find(|profile| profile.name() == text) {
            Some(profile) => Ok(profile),
            None if text == "strong" => Err(ParseProfileError::Strong),
            None => Err(ParseProfileError::Unknown),
        }
    }
}

impl TryFrom<String> for Profile {
    type Error = ParseProfileError;

    fn try_from(text: String) -> Result<Self, ParseProfileError> {
        text.parse()
    }
}

impl From<Profile> for String {
    fn from(profile: Profile) -> Self {
        profile.name().into()
    }
}

impl NetworkId {
    /// The network of this name and profile. It is signed into every message and said in every Hello, so that nodes whose profiles differ
    /// are in different networks. (A name holds no zero byte.)
    pub fn derive(name: &str, profile: Profile) -> Self {
        let text = [name.as_bytes(), &[0], profile.name().as_bytes()].concat();
        let mut id = [0; 16];
        id.copy_from_slice(&blake3::derive_key("mute/1 network id", &text)[..16]);
        Self(id)
    }
}

/// A time from the exponential law of this mean, cut off at [`CUT`] means (which leaves 0.966 of it), for an even draw. In integers, so
/// that all machines agree.
pub(crate) fn exponential(draw: u64, mean: Duration) -> Duration {
    let nanoseconds = mean.as_nanos().saturating_mul(u128::from(negative_logarithm(draw))) >> FRACTION;
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

/// The bits after the point.
const FRACTION: u32 = 32;

/// e^(−CUT), with 64 bits after the point.
const LEAST: u64 = 124_293_183_874_348_897;

/// ln 2, with [`FRACTION`] bits after the point.
const LN_2: u128 = 2_977_044_472;

/// −ln *u* for a *u* between e^(−CUT) and 1 that lies there as `draw` lies between 0 and 2^64.
fn negative_logarithm(draw: u64) -> u64 {
    let span = (1 << 64) - u128::from(LEAST);
    // Below 2^64, for the draw is.
    let u = LEAST + ((u128::from(draw) * span) >> 64) as u64;
    // u = 2^(−1 − zeros) · m with 1 ≤ m < 2, here with 63 bits after the point.
    let zeros = u.leading_zeros();
    let mut m = u << zeros;
    // log2 m, a bit at a time: squaring doubles it.
    let mut logarithm = 0_u64;
    for _ in 0..FRACTION {
        let square = (u128::from(m) * u128::from(m)) >> 63;
        let carry = square >> 64;
        logarithm = logarithm << 1 | carry as u64;
        m = (square >> carry) as u64;
    }
    let binary = (u64::from(zeros + 1) << FRACTION) - logarithm;
    ((u128::from(binary) * LN_2) >> FRACTION) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_one() {
        for step in 0..=1_000_000_u64 {
            let draw = step.saturating_mul(u64::MAX / 1_000_000);
            let u = (-5_f64).exp() + (1.0 - (-5_f64).exp()) * draw as f64 / 2_f64.powi(64);
            let found = negative_logarithm(draw) as f64 / 2_f64.powi(32);
            assert!((found + u.ln()).abs() < 1e-8, "{found} for {u}");
        }
        assert_eq!(exponential(0, Duration::from_secs(1)).as_millis(), 5000);
        assert_eq!(exponential(u64::MAX, Duration::from_secs(1)), Duration::ZERO);
        assert_eq!(exponential(0, Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn the_law_is_the_exponential_cut_at_five_means() {
        let mean = Duration::from_millis(200);
        let mut waits: Vec<f64> = (0..100_000_u64)
            .map(|n| u64::from_le_bytes(*blake3::hash(&n.to_be_bytes()).as_bytes().first_chunk().expect("8 bytes")))
            .map(|draw| exponential(draw, mean).as_secs_f64() / mean.as_secs_f64())
            .collect();
        waits.sort_by(f64::total_cmp);
        let all = waits.len() as f64;
        let mass = 1.0 - (-5_f64).exp();
        // Kolmogorov and Smirnov: below 1.63 / √n in 99 of 100 samples.
        let distance = waits.iter().enumerate().map(|(rank, wait)| {
            let expected = (1.0 - (-wait).exp()) / mass;
            (rank as f64 / all - expected).abs().max(((rank + 1) as f64 / all - expected).abs())
        });
        let distance = distance.fold(0.0, f64::max);
        assert!(distance < 1.63 / all.sqrt(), "{distance}");
        assert!(waits.iter().all(|wait| *wait <= 5.0));
    }

    #[test]
    fn a_profile_is_its_name_and_strong_is_refused_clearly() {
        for profile in Profile::ALL {
            assert_eq!(profile.to_string().parse(), Ok(profile));
        }
        assert_eq!("strong".parse::<Profile>(), Err(ParseProfileError::Strong));
        assert_eq!("Fast".parse::<Profile>(), Err(ParseProfileError::Unknown));
        assert!(ParseProfileError::Strong.to_string().contains("not there yet"));
    }

    #[test]
    fn a_network_with_another_profile_is_another() {
        let id = |name, profile| NetworkId::derive(name, profile);
        assert_eq!(id("mute", Profile::Fast), id("mute", Profile::Fast));
        assert_ne!(id("mute", Profile::Fast), id("mute", Profile::Balanced));
        assert_ne!(id("mute", Profile::Fast), id("mutf", Profile::Fast));
    }

    #[test]
    fn sizes_are_those_of_the_classes() {
        let (fast, balanced) = (Profile::Fast.shape(), Profile::Balanced.shape());
        assert_eq!((fast.class_of(1), fast.class_of(20_000), fast.allows(77)), (Some(1), Some(20_000), true));
        let classes: Vec<_> = [1, 256, 257, 1025, 16_384].map(|length| balanced.class_of(length)).into();
        assert_eq!(classes, [256, 256, 1024, 4096, 16_384].map(Some));
        assert_eq!(balanced.class_of(16_385), None);
        assert!(balanced.allows(4096) && !balanced.allows(4095) && !balanced.allows(0));
    }
}

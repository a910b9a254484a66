//! Who is a neighbour: whom to dial, whom to let in, whom to keep, and whom to tell of whom.
//!
//! Neighbours decide anonymity more than anything above them: a node all of whose neighbours are one adversary has none. [`Neighbours`]
//! is the whole policy, sans-IO like the router: what happens goes in by methods with the time, what is to be done comes out of
//! [`Neighbours::poll`]; [`Neighbours::tick`] is due at [`Neighbours::next_deadline`]. The daemon and the simulated join process
//! run this same code. Unlike the router it does see addresses of neighbours; it looks at their prefixes only, and prints none.
//!
//! # The rules
//! Each is a field of [`Rules`], so that an experiment can switch it off.
//! - **Degrees.** 8 links aimed for, at most 16, and a word to the user below 4.
//! - **Friends** are named by the user. They always find room: a stranger gives way. Nobody is told of them without their consent.
//! - **Strangers** have few places: those that this node *chose* and those that *dialled* it apart, so that however many
//!   come, they take none of the chosen ones' places; and before it has chosen few may come. One /24 (or /48 of IPv6) has one place, a provider's /16
//!   (/32) two, and one origin (who told of them) two of the chosen ones'.
//! - **Partners.** Of the prefixes that it knows a node links with strangers of a few only, which a hash of both sides' prefixes picks. An adversary that
//!   dials everybody, all the time, is welcome at few with each of its prefixes, and so cannot take the places that honest nodes need. (Without
//!   this rule places for those that come fill up with it, honest nodes find none, and most of whom they choose is the adversary's: measured.)
//! - **The book** of addresses (`book.rs`): new and tried, places decided by a secret, a prefix as likely as any other.
//! - **Only who was asked is believed**: hosts are taken from neighbours that this node chose, as answers. Who dialled us can tell of itself
//!   only, at the IP address that it comes from, and that is checked by dialling it.
//! - **Only who was reached is told of**: never an address that this node has not reached itself, so that nobody's false addresses
//!   travel. What an asker hears follows from a secret and its *prefix*, the same for a day: asking often, or under many keys, teaches little.
//! - **Slow change.** A lost neighbour's place is held for a minute; then those who were neighbours before are asked (`anchors.rs`), by
//!   rank of age and service as this node has seen it; then the book. Who stays is given up for a better one rarely, and not before its time.
//! - **Offences** bar a key, and a stranger's prefix with it; failures make waits grow (`retry.rs`).
//!
//! Limits are never relaxed because neighbours are few: that is the state that an attacker would bring about.
//!
//! # Against what
//! Eclipse by filling tables and places (Heilman, Kendler, Zohar, Goldberg, "Eclipse Attacks on Bitcoin's Peer-to-Peer Network", 2015);
//! the predecessor attack by waiting until one is chosen (Wright, Adler, Levine, Shields, 2002; Tor's guards, Elahi et al., 2012). Not against
//! an adversary with as many prefixes as there are honest users in the book: its share of places is then its share of prefixes.
//! `mute sim join` measures all of it.

mod address;
mod admit;
mod anchors;
mod api;
mod book;
mod choose;
#[cfg(feature = "fuzzing")]
mod consistent;
mod exchange;
mod key;
pub mod limits;
mod places;
mod retry;
mod rules;
mod saved;

use std::collections::{BTreeMap, VecDeque};

use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng as _};
use rand_core::Rng as _;

pub use address::{Group, NeighbourAddress};
pub use api::{
    Admission, BefriendError, Class, Decision, DialFailure, End, Friend, Host, NeighboursConfig, Refusal, State,
};
pub use key::{NodeKey, ParseNodeKeyError};
pub use rules::Rules;

#[cfg(feature = "fuzzing")]
pub(crate) use saved::{check_saved, examples as saved_examples};

use crate::{Instant, LinkId, Now};
use anchors::{Anchor, Anchors, Tenure};
use book::{Book, Origin};
use exchange::Window;
use limits::{
    CHECK_INTERVAL, DIAL_FORGOTTEN, FIRST_BACKOFF, FORGIVEN, LONGEST_FRIEND_BACKOFF, LONGEST_STRANGER_BACKOFF,
    MAX_DECISIONS, MAX_FRIENDS, MAX_REMOVED, REVIEW, ROUND, STABLE,
};
use retry::{Bans, Retry};

/// A link.
#[derive(Clone, Copy, Debug)]
struct Held {
    link: LinkId,
    /// By us.
    dialled: bool,
    class: Class,
    address: NeighbourAddress,
    origin: Origin,
    /// Whether it was taken as an anchor.
    anchor: bool,
    since: Instant,
    /// Minutes of it that its tenure has already.
    counted: u64,
    /// Minutes with proof of service that its tenure has not yet, and the last such minute.
    served: u32,
    served_minute: Option<u64>,
    /// When it was asked last, and whether it may still answer.
    asked: Option<Instant>,
    may_answer: bool,
    /// When it was answered last.
    answered: Option<Instant>,
}

/// An attempt under way.
#[derive(Clone, Copy, Debug)]
struct Dial {
    class: Class,
    address: NeighbourAddress,
    origin: Origin,
    /// Whether it is taken as an anchor.
    anchor: bool,
    since: Instant,
    /// Who gives way if it succeeds.
    instead_of: Option<NodeKey>,
}

impl Dial {
    /// One for a place that is free.
    fn new(class: Class, address: NeighbourAddress, origin: Origin, since: Instant) -> Self {
        Self { class, address, origin, anchor: false, since, instead_of: None }
    }
}

/// A friend and when it is dialled.
#[derive(Clone, Copy, Debug)]
struct Befriended {
    friend: Friend,
    retry: Retry,
}

/// The policy of one node.
pub struct Neighbours {
    us: NodeKey,
    /// Where others see this node.
    at: NeighbourAddress,
    rules: Rules,
    rng: ChaCha12Rng,
    /// Decides who is told of whom.
    telling: [u8; 32],
    friends: BTreeMap<NodeKey, Befriended>,
    /// Removed by the user, in order.
    removed: VecDeque<NodeKey>,
    links: BTreeMap<NodeKey, Held>,
    dials: BTreeMap<NodeKey, Dial>,
    bans: Bans,
    book: Book,
    anchors: Anchors,
    /// Claims of neighbours that they listen, to be checked.
    checks: VecDeque<Host>,
    next_check: Instant,
    /// No unknown stranger is chosen before.
    hold_until: Instant,
    /// When strangers are next chosen.
    next_round: Instant,
    next_review: Instant,
    /// The last voluntary change, or the start.
    changed: Instant,
    introductions: Window,
    stranger_dials: Window,
    decisions: VecDeque<Decision>,
}

impl Neighbours {
    /// A policy that knows nobody.
    pub fn new(config: &NeighboursConfig, now: Now) -> Self {
        let derive = |purpose| blake3::derive_key(purpose, &config.secret);
        let book = Book::new(derive("mute/1 neighbours places"), config.at.group(), config.rules.fixed_places);
        Self {
            us: config.us,
            at: config.at,
            rules: config.rules,
            rng: ChaCha12Rng::from_seed(config.seed),
            telling: derive("mute/1 neighbours telling"),
            friends: BTreeMap::new(),
            removed: VecDeque::new(),
            links: BTreeMap::new(),
            dials: BTreeMap::new(),
            bans: Bans::default(),
            book,
            anchors: Anchors::default(),
            checks: VecDeque::new(),
            next_check: now.instant,
            hold_until: now.instant,
            next_round: now.instant,
            next_review: now.instant + REVIEW,
            changed: now.instant,
            introductions: Window::default(),
            stranger_dials: Window::default(),
            decisions: VecDeque::new(),
        }
    }

    /// Names a friend, or changes what was said of one. A neighbour that was a stranger becomes a friend on the spot.
    ///
    /// # Errors
    /// It is this node itself, or there are too many.
    pub fn befriend(&mut self, key: NodeKey, friend: Friend) -> Result<(), BefriendError> {
        if key == self.us {
            return Err(BefriendError::Own);
        }
        if self.friends.len() >= MAX_FRIENDS && !self.friends.contains_key(&key) {
            return Err(BefriendError::TooMany);
        }
        self.removed.retain(|removed| *removed != key);
        self.friends.insert(key, Befriended { friend, retry: Retry::default() });
        self.book.remove(key);
        self.anchors.remove(key);
        if let Some(held) = self.links.get_mut(&key) {
            held.class = Class::Friend;
        }
        if let Some(dial) = self.dials.get_mut(&key) {
            dial.class = Class::Friend;
            dial.instead_of = None;
        }
        Ok(())
    }

    /// The user wants no link with this key, until it is befriended again. Its link, if it has one: close that.
    pub fn remove(&mut self, key: NodeKey) -> Option<LinkId> {
        if !self.removed.contains(&key) {
            if self.removed.len() >= MAX_REMOVED {
                self.removed.pop_front();
            }
            self.removed.push_back(key);
        }
        self.friends.remove(&key);
        self.book.remove(key);
        self.anchors.remove(key);
        self.dials.remove(&key);
        self.links.remove(&key).map(|held| held.link)
    }

    /// Adds a stranger that the user knows of: where to begin. Others follow from it.
    pub fn add_stranger(&mut self, host: Host, now: Now) {
        let known = host.key == self.us || self.friends.contains_key(&host.key);
        if !known && host.address.socket().is_some() {
            self.book.hear(host.key, host.address, Origin::Given, now.unix_s, &mut self.rng);
            self.next_round = now.instant;
        }
    }

    /// A link has ended. One that was replaced changes nothing.
    pub fn down(&mut self, key: NodeKey, link: LinkId, end: End, now: Now) {
        let Some(held) = self.links.get(&key).filter(|held| held.link == link).copied() else {
            return;
        };
        self.credit(key, now);
        self.links.remove(&key);
        let lasted = now.instant.saturating_since(held.since);
        if lasted >= FORGIVEN {
            self.bans.forgive(key);
        }
        if end == End::Offence {
            let group = held.class.is_stranger().then(|| held.address.group());
            self.bans.offend(key, group, now.instant);
        }
        let chance = self.rng.next_u32();
        if let Some(Befriended { retry, .. }) = self.friends.get_mut(&key) {
            retry.lasted(lasted);
            retry.failed([FIRST_BACKOFF, LONGEST_FRIEND_BACKOFF], now.instant, chance);
        }
        if let Some(Anchor { retry, .. }) = self.anchors.get_mut(key) {
            retry.lasted(lasted);
            retry.failed([FIRST_BACKOFF, LONGEST_STRANGER_BACKOFF], now.instant, chance);
        }
        if held.class == Class::Outbound {
            self.hold_until = self.hold_until.max(now.instant + self.rules.hold);
            if lasted < STABLE {
                self.book.failed(key, now.instant, now.unix_s, chance);
            }
        }
        // By then the lost one may be dialled again, and so comes first if it is the best.
        self.next_round = self.next_round.min(now.instant + ROUND);
    }

    /// An attempt that [`Decision::Dial`] asked for has come to nothing. `hosts`: what whoever refused us told us of instead.
    pub fn dial_failed(&mut self, key: NodeKey, failure: DialFailure, hosts: &[Host], now: Now) {
        let Some(dial) = self.dials.remove(&key) else {
            return;
        };
        let chance = self.rng.next_u32();
        if let Some(Befriended { retry, .. }) = self.friends.get_mut(&key) {
            retry.failed([FIRST_BACKOFF, LONGEST_FRIEND_BACKOFF], now.instant, chance);
        }
        if let Some(Anchor { retry, .. }) = self.anchors.get_mut(key) {
            retry.failed([FIRST_BACKOFF, LONGEST_STRANGER_BACKOFF], now.instant, chance);
        }
        if dial.class == Class::Outbound {
            match failure {
                DialFailure::Unreachable => self.book.failed(key, now.instant, now.unix_s, chance),
                DialFailure::Impostor => drop(self.book.remove(key)),
                DialFailure::Refused => {
                    self.book.prove(key, dial.address, dial.origin, now.unix_s, &mut self.rng);
                    self.book.refused(key, now.instant, chance);
                    self.take_in(origin_of(key, dial.address), hosts, now);
                }
            }
        }
        self.next_round = self.next_round.min(now.instant + ROUND);
    }

    /// Proof has come through this neighbour that what went over its link arrived: a Keep of a trail's far end that counts our packets,
    /// a Trail for a Seek that it passed on, or a message that nobody else brought first. Never what it says of itself.
    pub fn served(&mut self, key: NodeKey, now: Instant) {
        if let Some(held) = self.links.get_mut(&key) {
            let minute = now.saturating_since(held.since).as_secs() / 60;
            // One a minute: service is bought by time, not by a burst.
            if held.served_minute != Some(minute) {
                held.served_minute = Some(minute);
                held.served = held.served.saturating_add(1);
            }
        }
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Now) {
        let forgotten = |dial: &Dial| now.instant.saturating_since(dial.since) >= DIAL_FORGOTTEN;
        let late: Vec<NodeKey> = self.dials.iter().filter(|(_, dial)| forgotten(dial)).map(|(key, _)| *key).collect();
        for key in late {
            self.dial_failed(key, DialFailure::Unreachable, &[], now);
        }
        if self.next_review <= now.instant {
            self.next_review = now.instant + REVIEW;
            self.review(now);
        }
        self.dial_friends(now);
        if self.rules.strangers && self.next_round <= now.instant {
            self.choose_strangers(now);
        }
        if self.next_check <= now.instant
            && let Some(Host { key, address }) = self.checks.pop_front()
        {
            self.next_check = now.instant + CHECK_INTERVAL;
            self.decide(Decision::Check { key, address });
        }
    }

    /// What is to be done, oldest first.
    pub fn poll(&mut self) -> Option<Decision> {
        self.decisions.pop_front()
    }

    fn decide(&mut self, decision: Decision) {
        // A caller that drains never gets there.
        if self.decisions.len() < MAX_DECISIONS {
            self.decisions.push_back(decision);
        }
    }

    /// When [`Self::tick`] is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        let friends = self.friends.iter().filter(|(key, _)| self.is_idle(**key)).filter_map(|(key, friend)| {
            let until = friend.retry.not_before().unwrap_or_default();
            friend.friend.dialled.then(|| self.bans.last_until(*key).map_or(until, |ban| ban.max(until)))
        });
        let friends = if self.has_room_for_friend() { friends.min() } else { None };
        let round = (self.rules.strangers && self.missing() > 0).then_some(self.next_round);
        let check = (!self.checks.is_empty()).then_some(self.next_check);
        let dial = self.dials.values().map(|dial| dial.since + DIAL_FORGOTTEN).min();
        [friends, round, check, dial, self.rules.strangers.then_some(self.next_review)].into_iter().flatten().min()
    }

    /// Links, in all.
    pub fn links(&self) -> usize {
        self.links.len()
    }

    /// Addresses in the book.
    pub fn known(&self) -> usize {
        self.book.len()
    }

    /// Whether there are so few links that the user should know.
    pub fn is_short(&self) -> bool {
        self.links.len() < self.rules.least
    }

    /// Where somebody stands; `None`: there is nothing to say.
    pub fn state(&self, key: NodeKey, now: Instant) -> Option<State> {
        if let Some(held) = self.links.get(&key) {
            return Some(State::Up { link: held.link, class: held.class });
        }
        if self.dials.contains_key(&key) {
            return Some(State::Dialling);
        }
        if let Some(until) = self.bans.key_until(key, now) {
            return Some(State::Banned(until));
        }
        let Befriended { friend, retry } = self.friends.get(&key)?;
        let waiting = State::Waiting(retry.not_before().unwrap_or_default());
        Some(if friend.dialled { waiting } else { State::Down })
    }

    /// Everybody with a link, an attempt, a ban, or a user who named them, by key.
    pub fn states(&self, now: Instant) -> BTreeMap<NodeKey, State> {
        let banned = self.bans.keys(now).map(|(key, _)| key);
        let all = banned.chain(self.friends.keys().copied()).chain(self.dials.keys().copied());
        let all = all.chain(self.links.keys().copied());
        all.filter_map(|key| Some((key, self.state(key, now)?))).collect()
    }

    /// Whether there is neither a link nor an attempt.
    fn is_idle(&self, key: NodeKey) -> bool {
        !self.links.contains_key(&key) && !self.dials.contains_key(&key)
    }

    /// Adds to a chosen stranger's tenure what its link has lasted since it was last added.
    fn credit(&mut self, key: NodeKey, now: Now) {
        let Some(held) = self.links.get_mut(&key).filter(|held| held.class == Class::Outbound) else {
            return;
        };
        let minutes = now.instant.saturating_since(held.since).as_secs() / 60;
        let more = Tenure {
            minutes: u32::try_from(minutes.saturating_sub(held.counted)).unwrap_or(u32::MAX),
            served: held.served,
        };
        if more.minutes == 0 {
            return;
        }
        held.counted = minutes;
        held.served = 0;
        let Held { address, origin, .. } = *held;
        let anchor = Anchor { address, origin, tenure: more, seen_s: now.unix_s, retry: Retry::default() };
        self.anchors.credit(key, anchor, self.rules.anchors);
        self.book.prove(key, address, origin, now.unix_s, &mut self.rng);
    }
}

/// Hides everything: addresses and keys are in it.
impl core::fmt::Debug for Neighbours {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Neighbours").field("links", &self.links.len()).finish_non_exhaustive()
    }
}

/// As whose word the hosts count that somebody tells of: its prefix's, since keys cost nothing; its key's where the prefix says nothing.
fn origin_of(key: NodeKey, address: NeighbourAddress) -> Origin {
    let group = address.group();
    Origin::Told(if group.is_prefix() { group } else { Group::of_key(key) })
}

//! One policy, a clock, and a world that answers its dials.

use std::time::Duration;

use mute_core::{
    Instant, LinkId, Now,
    neighbours::{
        Admission, Class, Decision, DialFailure, End, Friend, Host, NeighbourAddress, Neighbours, NeighboursConfig,
        NodeKey, Refusal, Rules, State,
    },
};

pub(crate) const START_S: u64 = 1_800_000_000;

/// The key with this number. They come in no order of their numbers.
pub(crate) fn key(number: u32) -> NodeKey {
    let mut key = [0; 32];
    key[..4].copy_from_slice(&number.wrapping_mul(2_654_435_761).to_be_bytes());
    key[28..].copy_from_slice(&number.to_be_bytes());
    NodeKey(key)
}

/// A public address: provider, line, machine.
pub(crate) fn address(provider: u16, line: u8, machine: u8) -> NeighbourAddress {
    let [a, b] = provider.to_be_bytes();
    NeighbourAddress::at(([20 + a, b, line, machine], 4848).into())
}

/// A node with a provider of its own.
pub(crate) fn host(number: u32) -> Host {
    Host { key: key(number), address: address(number as u16, 0, 1) }
}

pub(crate) fn friend() -> Friend {
    Friend { address: NeighbourAddress::HIDDEN, dialled: true, told: false }
}

/// A policy and what surrounds it.
pub(crate) struct World {
    pub(crate) neighbours: Neighbours,
    pub(crate) now: Now,
    next_link: u64,
    /// Whom it has dialled, in order.
    pub(crate) dialled: Vec<NodeKey>,
    /// Whom it has asked.
    pub(crate) asked: Vec<NodeKey>,
    /// What it wants checked.
    pub(crate) checks: Vec<Host>,
}

/// A node that does not know where others see it, and so takes everybody for a partner.
pub(crate) fn config(rules: Rules, seed: u8) -> NeighboursConfig {
    NeighboursConfig { us: key(u32::MAX), at: NeighbourAddress::HIDDEN, rules, secret: [7; 32], seed: [seed; 32] }
}

impl World {
    pub(crate) fn new(rules: Rules) -> Self {
        Self::with(&config(rules, 1))
    }

    /// A node that others see at this address.
    pub(crate) fn at(rules: Rules, at: NeighbourAddress) -> Self {
        Self::with(&NeighboursConfig { at, ..config(rules, 1) })
    }

    fn with(config: &NeighboursConfig) -> Self {
        let now = Now { instant: Instant::default(), unix_s: START_S };
        Self {
            neighbours: Neighbours::new(config, now),
            now,
            next_link: 0,
            dialled: Vec::new(),
            asked: Vec::new(),
            checks: Vec::new(),
        }
    }

    /// Starts anew with what was saved, an hour later.
    pub(crate) fn restart(&mut self, rules: Rules, seed: u8) {
        let saved = self.neighbours.save(self.now);
        self.pass(Duration::from_secs(3600));
        self.neighbours = Neighbours::new(&config(rules, seed), self.now);
        self.neighbours.load(&saved, self.now).expect("what was saved can be read");
        self.dialled.clear();
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now.instant = self.now.instant + time;
        self.now.unix_s = START_S + self.now.instant.since_origin().as_secs();
    }

    /// Somebody dials us.
    pub(crate) fn comes(&mut self, key: NodeKey, from: NeighbourAddress) -> Admission {
        let link = self.link();
        self.neighbours.admit(key, from, link, false, self.now)
    }

    pub(crate) fn link(&mut self) -> LinkId {
        self.next_link += 1;
        LinkId(self.next_link)
    }

    /// Lets time pass, and answers every dial with `alive`: whether it links.
    pub(crate) fn run(&mut self, time: Duration, alive: impl Fn(NodeKey) -> bool) {
        let end = self.now.instant + time;
        loop {
            self.neighbours.tick(self.now);
            self.answer(&alive);
            self.neighbours.check();
            match self.neighbours.next_deadline() {
                Some(due) if due < end => {
                    let wait = due.saturating_since(self.now.instant).max(Duration::from_millis(10));
                    self.pass(wait);
                }
                _ => break,
            }
        }
        let rest = end.saturating_since(self.now.instant);
        self.pass(rest);
    }

    pub(crate) fn answer(&mut self, alive: impl Fn(NodeKey) -> bool) {
        while let Some(decision) = self.neighbours.poll() {
            match decision {
                Decision::Dial { key, address } => {
                    self.dialled.push(key);
                    if alive(key) {
                        let link = self.link();
                        self.neighbours.admit(key, address, link, true, self.now);
                    } else {
                        self.neighbours.dial_failed(key, DialFailure::Unreachable, &[], self.now);
                    }
                }
                Decision::Ask { key, .. } => self.asked.push(key),
                Decision::Check { key, address } => self.checks.push(Host { key, address }),
            }
        }
    }

    /// Knows these strangers from its user.
    pub(crate) fn knows(&mut self, numbers: impl Iterator<Item = u32>) {
        for number in numbers {
            self.neighbours.add_stranger(host(number), self.now);
        }
    }

    /// Those with a link of this class, by key.
    pub(crate) fn linked(&self, wanted: Class) -> Vec<NodeKey> {
        let states = self.neighbours.states(self.now.instant);
        let is = |state: &State| matches!(state, State::Up { class, .. } if *class == wanted);
        states.iter().filter(|(_, state)| is(state)).map(|(key, _)| *key).collect()
    }

    /// Ends a neighbour's link.
    pub(crate) fn lose(&mut self, key: NodeKey, end: End) {
        if let Some(State::Up { link, .. }) = self.neighbours.states(self.now.instant).get(&key) {
            self.neighbours.down(key, *link, end, self.now);
        }
    }
}

pub(crate) fn is_kept(admission: Admission) -> bool {
    matches!(admission, Admission::Keep { .. })
}

pub(crate) fn is_full(admission: Admission) -> bool {
    matches!(admission, Admission::Refuse { why: Refusal::Full, .. })
}

//! The join process: nodes come one after the other, dial, are let in or refused, tell each other of hosts, leave and come back.
//!
//! Every honest node runs the policy of the daemon ([`mute_core::neighbours`]). What is modelled around it are dials (they take a
//! round trip, or a time-out where nobody is), closed links, and questions for hosts. The adversary runs code of its own: see `adversary.rs`.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use mute_core::{
    Instant, LinkId, Now,
    neighbours::{
        Admission, Class, Decision, DialFailure, End, Friend, Host, NeighbourAddress, Neighbours, NeighboursConfig,
        NodeKey,
    },
};

use super::{
    JoinConfig, Strategy,
    measures::{Exposure, Joins},
    population::{Person, node_of, port},
};
use crate::{
    app::NodeId,
    events::Nanos,
    random::{Random, derive, weibull_scale},
};

/// The wall clock at the start.
const START_S: u64 = 1_800_000_000;

/// A handshake: some round trips of 20 to 200 ms.
const HANDSHAKE_MS: [u64; 2] = [60, 600];

/// What a dial takes that nobody answers: the time-out of the daemon's handshake.
const TIMEOUT: Duration = Duration::from_secs(6);

/// What a question, an answer or the end of a link takes to arrive.
const ONE_WAY: Duration = Duration::from_millis(100);

/// Each of the adversary's nodes dials somebody that often.
pub(super) const PESTER: Duration = Duration::from_secs(10);

/// An honest node that is running.
pub(super) struct Running {
    pub(super) policy: Neighbours,
    pub(super) links: Vec<Linked>,
    tick_at: Nanos,
    pub(super) exposure: Exposure,
    pub(super) started: Nanos,
    /// How long after its start it had as many links as a node should have at least.
    pub(super) joined_after: Option<Nanos>,
}

/// A link, as one of its ends sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Linked {
    pub(super) link: LinkId,
    /// The other end.
    pub(super) node: NodeId,
    /// What that is to this one.
    pub(super) class: Class,
}

/// A node.
pub(super) struct Node {
    pub(super) person: Person,
    pub(super) running: Option<Box<Running>>,
    /// Its friends, who know it as one as well.
    friends: Vec<NodeId>,
    /// What it kept when it last left.
    saved: Option<Vec<u8>>,
    /// How often it has started.
    pub(super) starts: u64,
    /// What it has been exposed to in runs that are over.
    pub(super) exposure: Exposure,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    Start {
        node: NodeId,
    },
    Leave {
        node: NodeId,
    },
    Tick {
        node: NodeId,
    },
    /// A dial reaches its end, `node` being the one that dials, in its `start`th run.
    Dialled {
        node: NodeId,
        start: u64,
        other: NodeKey,
        at: NeighbourAddress,
    },
    Checked {
        node: NodeId,
        start: u64,
        host: (NodeKey, NeighbourAddress),
    },
    Asked {
        node: NodeId,
        start: u64,
        link: LinkId,
        other: NodeId,
    },
    Ended {
        node: NodeId,
        start: u64,
        link: LinkId,
        other: NodeId,
    },
    Pester {
        node: NodeId,
    },
    Swarm {
        node: NodeId,
        victim: NodeId,
    },
}

/// The whole process.
pub(super) struct World {
    pub(super) config: JoinConfig,
    seed: u64,
    pub(super) nodes: Vec<Node>,
    pub(super) random: Random,
    events: BinaryHeap<Reverse<(Nanos, u64, What)>>,
    sequence: u64,
    pub(super) clock: Nanos,
    next_link: u64,
    /// When the last one joins for the first time.
    pub(super) all_joined: Duration,
    pub(super) joins: Joins,
    /// The most links that an honest node has ever had.
    pub(super) most_links: usize,
    /// How often an honest node had more strangers of a prefix than its rules allow.
    pub(super) broken_limits: u64,
}

impl World {
    pub(super) fn new(config: &JoinConfig, seed: u64) -> Self {
        let people = config.census().draw(config.known, seed);
        let node = |person| Node {
            person,
            friends: Vec::new(),
            running: None,
            saved: None,
            starts: 0,
            exposure: Exposure::default(),
        };
        let mut world = Self {
            config: config.clone(),
            seed,
            nodes: people.into_iter().map(node).collect(),
            random: Random::new(seed, "join"),
            events: BinaryHeap::new(),
            sequence: 0,
            clock: 0,
            next_link: 0,
            all_joined: Duration::ZERO,
            joins: Joins::default(),
            most_links: 0,
            broken_limits: 0,
        };
        world.make_friends();
        world.schedule_joins();
        world
    }

    /// Honest nodes are friends of the next ones on a ring in random order.
    fn make_friends(&mut self) {
        let honest = self.config.honest;
        let mut ring: Vec<NodeId> = (0..honest as NodeId).collect();
        Random::new(self.seed, "friends").shuffle(&mut ring);
        for (place, node) in ring.iter().enumerate() {
            for step in 1..=(self.config.friends / 2).min(honest.saturating_sub(1) / 2) {
                let other = ring[(place + step) % honest];
                self.nodes[*node as usize].friends.push(other);
                self.nodes[other as usize].friends.push(*node);
            }
        }
    }

    /// The first known hosts start at once, everybody else in random order, one after the other; the network doubles in ten minutes at most.
    fn schedule_joins(&mut self) {
        let mut order: Vec<NodeId> = (self.config.known as NodeId..self.nodes.len() as NodeId).collect();
        self.random.shuffle(&mut order);
        let known = 0..self.config.known as NodeId;
        let mut at = 0.0;
        for (place, node) in known.chain(order).enumerate() {
            let rate = (place as f64 / 600.0).max(1.0);
            if place >= self.config.known {
                at += self.random.exponential(1.0 / rate);
            }
            let when = (at * 1e9) as Nanos;
            if self.nodes[node as usize].person.adversary {
                self.push(when, What::Pester { node });
            } else {
                self.push(when, What::Start { node });
            }
        }
        self.all_joined = Duration::from_secs_f64(at);
    }

    fn push(&mut self, at: Nanos, what: What) {
        self.sequence += 1;
        self.events.push(Reverse((at, self.sequence, what)));
    }

    pub(super) fn after(&mut self, delay: Duration, what: What) {
        self.push(self.clock + delay.as_nanos() as Nanos, what);
    }

    /// Runs until this virtual time.
    pub(super) fn run(&mut self, until: Duration) {
        let until = until.as_nanos() as Nanos;
        while let Some(Reverse((at, _, _))) = self.events.peek()
            && *at <= until
            && let Some(Reverse((at, _, what))) = self.events.pop()
        {
            self.clock = at;
            self.happen(what);
        }
        self.clock = until;
    }

    pub(super) fn now(&self) -> Now {
        let instant = Instant::from_origin(Duration::from_nanos(self.clock));
        Now { instant, unix_s: START_S + self.clock / 1_000_000_000 }
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Start { node } => self.start(node),
            What::Leave { node } => self.leave(node),
            What::Tick { node } => self.tick(node),
            What::Dialled { node, start, other, at } if self.is_run(node, start) => self.dialled(node, other, at),
            What::Checked { node, start, host: (key, address) } if self.is_run(node, start) => {
                let host = Host { key, address };
                let proven = self.listens(host);
                self.with(node, |policy, now| policy.checked(host, proven, now));
            }
            What::Asked { node, start, link, other } if self.is_run(node, start) => self.answer(node, link, other),
            What::Ended { node, start, link, other } if self.is_run(node, start) => self.ended(node, link, other),
            What::Pester { node } => {
                let victim = self.random.below(self.config.honest) as NodeId;
                self.pester(node, victim);
                self.after(PESTER, What::Pester { node });
            }
            What::Swarm { node, victim } => self.pester(node, victim),
            _ => {}
        }
    }

    fn is_run(&self, node: NodeId, start: u64) -> bool {
        let node = &self.nodes[node as usize];
        node.person.adversary || (node.running.is_some() && node.starts == start)
    }

    /// Whether somebody with this key answers there.
    fn listens(&self, host: Host) -> bool {
        let Some(node) = self.nodes.get(node_of(host.key) as usize) else {
            return false;
        };
        node.person.host == host && node.person.reachable && (node.person.adversary || node.running.is_some())
    }

    fn start(&mut self, node: NodeId) {
        let now = self.now();
        let place = node as usize;
        let host = self.nodes[place].person.host;
        let config = NeighboursConfig {
            us: host.key,
            at: host.address,
            rules: self.config.rules,
            secret: derive(self.seed, "join secret", u64::from(node)),
            seed: derive(self.seed, "join seed", u64::from(node) << 24 | self.nodes[place].starts),
        };
        let mut policy = Neighbours::new(&config, now);
        if let Some(saved) = self.nodes[place].saved.take() {
            // What was saved in this process can be read in it.
            let loaded = policy.load(&saved, now);
            debug_assert_eq!(loaded, Ok(()));
        }
        for known in 0..self.config.known {
            policy.add_stranger(self.nodes[known].person.host, now);
        }
        for other in &self.nodes[place].friends {
            let Person { host, reachable, .. } = self.nodes[*other as usize].person;
            // They have not agreed to be told of. There are no more of them than a policy takes.
            let befriended =
                policy.befriend(host.key, Friend { address: host.address, dialled: reachable, told: false });
            debug_assert_eq!(befriended, Ok(()));
        }
        let exposure = Exposure::new(self.clock);
        let running = Running {
            policy,
            links: Vec::new(),
            tick_at: Nanos::MAX,
            exposure,
            started: self.clock,
            joined_after: None,
        };
        self.nodes[place].starts += 1;
        self.nodes[place].running = Some(Box::new(running));
        if place >= self.config.known
            && let Some(churn) = self.config.churn
        {
            let scale = weibull_scale(churn.shape, churn.mean_up.as_secs_f64());
            let up = self.random.weibull(churn.shape, scale);
            self.after(Duration::from_secs_f64(up), What::Leave { node });
        }
        if self.config.strategy == Strategy::Swarm {
            self.swarm(node);
        }
        self.tick(node);
    }

    fn leave(&mut self, node: NodeId) {
        let now = self.now();
        let clock = self.clock;
        let place = &mut self.nodes[node as usize];
        let Some(mut running) = place.running.take() else { return };
        place.saved = Some(running.policy.save(now));
        running.exposure.until(clock);
        place.exposure.add(&running.exposure);
        self.joins.run(&running, place.starts == 1, clock);
        for Linked { link, node: other, .. } in running.links {
            let start = self.nodes[other as usize].starts;
            self.after(ONE_WAY, What::Ended { node: other, start, link, other: node });
        }
        if let Some(churn) = self.config.churn {
            let scale = weibull_scale(churn.shape, churn.mean_down.as_secs_f64());
            let down = self.random.weibull(churn.shape, scale);
            self.after(Duration::from_secs_f64(down), What::Start { node });
        }
    }

    fn tick(&mut self, node: NodeId) {
        let now = self.now();
        let Some(running) = self.nodes[node as usize].running.as_mut() else { return };
        if running.tick_at <= self.clock {
            running.tick_at = Nanos::MAX;
        }
        if running.policy.next_deadline().is_some_and(|due| due <= now.instant) {
            running.policy.tick(now);
        }
        self.drain(node);
    }

    /// Does something with a node's policy, and then what it decides.
    pub(super) fn with<T>(&mut self, node: NodeId, what: impl FnOnce(&mut Neighbours, Now) -> T) -> Option<T> {
        let now = self.now();
        let done = self.nodes[node as usize].running.as_mut().map(|running| what(&mut running.policy, now));
        self.drain(node);
        done
    }

    fn drain(&mut self, node: NodeId) {
        let start = self.nodes[node as usize].starts;
        loop {
            let running = self.nodes[node as usize].running.as_mut();
            let Some(decision) = running.and_then(|running| running.policy.poll()) else { break };
            match decision {
                Decision::Dial { key, address } => {
                    let wait = self.handshake(Host { key, address });
                    self.after(wait, What::Dialled { node, start, other: key, at: address });
                }
                Decision::Check { key, address } => {
                    let wait = self.handshake(Host { key, address });
                    self.after(wait, What::Checked { node, start, host: (key, address) });
                }
                Decision::Ask { key, link } => {
                    self.after(ONE_WAY, What::Asked { node, start, link, other: node_of(key) });
                }
            }
        }
        let Some(running) = self.nodes[node as usize].running.as_mut() else { return };
        if let Some(due) = running.policy.next_deadline() {
            let due = (due.since_origin().as_nanos() as Nanos).max(self.clock + 1);
            if due < running.tick_at {
                running.tick_at = due;
                self.push(due, What::Tick { node });
            }
        }
    }

    fn handshake(&mut self, host: Host) -> Duration {
        if self.listens(host) {
            let [least, most] = HANDSHAKE_MS;
            Duration::from_millis(least + self.random.below((most - least) as usize) as u64)
        } else {
            TIMEOUT
        }
    }

    /// A dial has come to its end: the other side decides first.
    fn dialled(&mut self, node: NodeId, key: NodeKey, at: NeighbourAddress) {
        let host = Host { key, address: at };
        if !self.listens(host) {
            self.with(node, |policy, now| policy.dial_failed(key, DialFailure::Unreachable, &[], now));
            return;
        }
        let other = node_of(key);
        let ours = self.nodes[node as usize].person.host;
        let link = self.new_link();
        match self.admit(other, ours, link, false) {
            Err(hosts) => {
                self.with(node, |policy, now| policy.dial_failed(key, DialFailure::Refused, &hosts, now));
            }
            Ok(()) => match self.admit(node, host, link, true) {
                Ok(()) => {
                    if self.nodes[node as usize].person.reachable {
                        // It says where it listens.
                        self.with(other, |policy, _| policy.claims(ours.key, port()));
                    }
                }
                Err(_) => {
                    let start = self.nodes[other as usize].starts;
                    self.after(ONE_WAY, What::Ended { node: other, start, link, other: node });
                }
            },
        }
    }

    pub(super) fn new_link(&mut self) -> LinkId {
        self.next_link += 1;
        LinkId(self.next_link)
    }

    /// One side of a connection decides. Refused: the hosts that it tells of instead. The adversary takes all.
    pub(super) fn admit(&mut self, node: NodeId, other: Host, link: LinkId, dialled: bool) -> Result<(), Vec<Host>> {
        if self.nodes[node as usize].person.adversary {
            return Ok(());
        }
        let admission = self.with(node, |policy, now| policy.admit(other.key, other.address, link, dialled, now));
        match admission {
            None => Err(Vec::new()),
            Some(Admission::Refuse { introduce, .. }) => {
                let hosts = self.with(node, |policy, now| policy.introduce(other.key, other.address, now));
                Err(hosts.filter(|_| introduce).unwrap_or_default())
            }
            Some(Admission::Keep { class, instead_of, gives_way }) => {
                for gone in [instead_of, gives_way].into_iter().flatten() {
                    self.close(node, gone);
                }
                let adversary = self.nodes[node_of(other.key) as usize].person.adversary;
                let clock = self.clock;
                if let Some(running) = self.nodes[node as usize].running.as_mut() {
                    running.links.push(Linked { link, node: node_of(other.key), class });
                    running.exposure.up(clock, adversary, class == Class::Outbound);
                }
                self.check_limits(node, other.address);
                Ok(())
            }
        }
    }

    /// This node closes a link; the other side hears of it.
    fn close(&mut self, node: NodeId, link: LinkId) {
        if let Some(other) = self.forget(node, link) {
            let start = self.nodes[other as usize].starts;
            self.after(ONE_WAY, What::Ended { node: other, start, link, other: node });
        }
    }

    /// Takes a link out of a node's list. The other end, if it was there.
    fn forget(&mut self, node: NodeId, link: LinkId) -> Option<NodeId> {
        let clock = self.clock;
        let running = self.nodes[node as usize].running.as_mut()?;
        let place = running.links.iter().position(|held| held.link == link)?;
        let other = running.links.swap_remove(place).node;
        let adversary = self.nodes[other as usize].person.adversary;
        self.nodes[node as usize].running.as_mut()?.exposure.down(clock, adversary);
        Some(other)
    }

    /// A node hears that a link has ended.
    fn ended(&mut self, node: NodeId, link: LinkId, other: NodeId) {
        if self.forget(node, link).is_some() {
            let key = self.nodes[other as usize].person.host.key;
            self.with(node, |policy, now| policy.down(key, link, End::Lost, now));
        }
    }

    /// Somebody is asked for hosts, and answers.
    fn answer(&mut self, node: NodeId, link: LinkId, other: NodeId) {
        let asker = self.nodes[node as usize].person.host.key;
        let hosts = if self.nodes[other as usize].person.adversary {
            Some(self.lies())
        } else {
            let held = |running: &Running| running.links.iter().any(|held| held.link == link);
            let linked = self.nodes[other as usize].running.as_ref().is_some_and(|running| held(running));
            if linked { self.with(other, |policy, now| policy.asked(asker, now)).flatten() } else { None }
        };
        if let Some(hosts) = hosts {
            let key = self.nodes[other as usize].person.host.key;
            self.with(node, |policy, now| policy.learn(key, &hosts, now));
        }
    }
}

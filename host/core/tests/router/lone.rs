//! One router whose neighbours the test plays: they send whatever they like.

use std::time::Duration;

use bytes::Bytes;
use mute_core::{
    Address, Close, Counters, Ecn, Event, Hop, IdentityKey, Input, Instant, Label, LinkId, MessageId, NeighbourId, Now,
    Output, PortId, Profile, Router, RouterConfig, Violation,
    wire::{Flood, Frame, Keep, KeepReport, Letter, Phase, Seek, SeekMode, Signed, Stamp, Trail, Verified, Walk},
};

use crate::network::{NETWORK, NO_ROUTE_AFTER, PORT, Setting};

const START_UNIX_S: u64 = 1_800_000_037;

pub(crate) struct Lone {
    pub(crate) router: Router,
    pub(crate) clock: Duration,
    random: u64,
}

/// What the router wanted done.
#[derive(Default)]
pub(crate) struct Done {
    pub(crate) sent: Vec<(LinkId, Hop, Frame<Verified>)>,
    pub(crate) events: Vec<(PortId, Event)>,
    pub(crate) violations: Vec<(LinkId, Violation)>,
}

impl Done {
    pub(crate) fn closes(&self) -> Vec<(LinkId, Label)> {
        let close = |frame: &Frame<Verified>| match frame {
            Frame::Close { label } => Some(*label),
            _ => None,
        };
        self.sent.iter().filter_map(|(link, _, frame)| Some((*link, close(frame)?))).collect()
    }

    pub(crate) fn to(&self, link: u64) -> Vec<&Frame<Verified>> {
        self.sent.iter().filter(|(at, _, _)| *at == LinkId(link)).map(|(_, _, frame)| frame).collect()
    }

    pub(crate) fn trail_label(&self) -> Option<(LinkId, Label)> {
        self.sent.iter().find_map(|(link, _, frame)| match frame {
            Frame::Trail { label, .. } => Some((*link, *label)),
            _ => None,
        })
    }
}

pub(crate) fn key(seed: u8) -> IdentityKey {
    IdentityKey::from_seed(&[seed; 32])
}

/// A link that this node did not dial, to the neighbour of the same number.
pub(crate) fn link_up(link: u64) -> Input {
    Input::LinkUp { link: LinkId(link), neighbour: NeighbourId(link), initiator: false }
}

/// The identity of the router's own port.
pub(crate) const OWN: u8 = 200;

impl Lone {
    /// A router with these links, none of which it dialled, and a listening port.
    pub(crate) fn new(links: u64) -> Self {
        Self::configured(links, |_| {})
    }

    /// The same, made with other than the defaults.
    pub(crate) fn configured(links: u64, configure: impl Fn(&mut RouterConfig)) -> Self {
        Self::made(links, Setting::of(Profile::Fast), configure)
    }

    /// The same, with other delays or defences.
    pub(crate) fn within(setting: Setting, links: u64) -> Self {
        Self::made(links, setting, |config| config.secret[..4].copy_from_slice(&setting.world.to_be_bytes()))
    }

    fn made(links: u64, setting: Setting, configure: impl Fn(&mut RouterConfig)) -> Self {
        let mut lone = Self::bare(setting, configure);
        for link in 0..links {
            lone.input(link_up(link));
        }
        lone.input(Input::OpenPort { port: PORT, key: key(OWN) });
        lone.input(Input::Listen { port: PORT, listening: true });
        lone
    }

    fn bare(setting: Setting, configure: impl Fn(&mut RouterConfig)) -> Self {
        let mut config = RouterConfig {
            no_route_after: NO_ROUTE_AFTER,
            floods: setting.floods,
            finding: setting.finding,
            ..RouterConfig::new(NETWORK, [1; 32], [2; 32])
        };
        configure(&mut config);
        let now = Now { instant: Instant::from_origin(Duration::ZERO), unix_s: START_UNIX_S };
        Self {
            router: Router::new(config, now).reshaped(setting.shape, setting.defences),
            clock: Duration::ZERO,
            random: 0,
        }
    }

    pub(crate) fn now(&self) -> Now {
        Now { instant: Instant::from_origin(self.clock), unix_s: START_UNIX_S + self.clock.as_secs() }
    }

    pub(crate) fn input(&mut self, input: Input) -> Done {
        let now = self.now();
        self.router.handle(input, now);
        self.drain()
    }

    pub(crate) fn frame(&mut self, link: u64, frame: Frame<Verified>) -> Done {
        self.input(Input::Frame { link: LinkId(link), frame })
    }

    /// What comes of the next thing that is due until then, and at once.
    pub(crate) fn next(&mut self, until: Duration) -> Option<Done> {
        let due = self.router.next_deadline().filter(|due| due.since_origin() <= until)?;
        self.clock = self.clock.max(due.since_origin());
        let now = self.now();
        self.router.tick(now);
        Some(self.drain())
    }

    pub(crate) fn run(&mut self, time: Duration) -> Done {
        let until = self.clock + time;
        let mut done = Done::default();
        while let Some(more) = self.next(until) {
            done.sent.extend(more.sent);
            done.events.extend(more.events);
            done.violations.extend(more.violations);
        }
        self.clock = until;
        done
    }

    fn drain(&mut self) -> Done {
        let mut done = Done::default();
        while let Some(output) = self.router.poll() {
            match output {
                Output::Send { link, ingress, frame } => done.sent.push((link, ingress, frame)),
                Output::Event { port, event } => done.events.push((port, event)),
                Output::Violation { link, violation } => done.violations.push((link, violation)),
            }
        }
        done
    }

    pub(crate) fn counters(&self) -> Counters {
        self.router.counters()
    }

    pub(crate) fn stamp(&mut self) -> Stamp {
        self.random += 1;
        Stamp { minute: (self.now().unix_s / 60) as u32, random: self.random }
    }

    pub(crate) fn flood(&mut self, author: &IdentityKey) -> Signed<Flood, Verified> {
        let stamp = self.stamp();
        Signed::<Flood, _>::sign(NETWORK, author, stamp, mute_core::Topic([0; 16]), b"?").expect("it fits")
    }

    pub(crate) fn letter(&mut self, author: &IdentityKey, to: Address) -> Signed<Letter, Verified> {
        let stamp = self.stamp();
        Signed::<Letter, _>::sign(NETWORK, author, stamp, to, b"sealed").expect("it fits")
    }

    pub(crate) fn walk(&mut self, author: &IdentityKey) -> Signed<Walk, Verified> {
        let stamp = self.stamp();
        Signed::<Walk, _>::sign(NETWORK, author, stamp).expect("it has no fields")
    }

    pub(crate) fn seek(&mut self, author: &IdentityKey, target: Address) -> Signed<Seek, Verified> {
        let stamp = self.stamp();
        Signed::<Seek, _>::sign(NETWORK, author, stamp, target, &[9; 32]).expect("it fits")
    }

    pub(crate) fn trail(&mut self, owner: &IdentityKey, seek: MessageId) -> Signed<Trail, Verified> {
        let stamp = self.stamp();
        Signed::<Trail, _>::sign(NETWORK, owner, stamp, seek, &[9; 32]).expect("it fits")
    }

    pub(crate) fn keep(&mut self, end: &IdentityKey, seek: MessageId, number: u32) -> Signed<Keep, Verified> {
        let stamp = self.stamp();
        let report = KeepReport { number, received: 0, sent: 0 };
        Signed::<Keep, _>::sign(NETWORK, end, stamp, seek, report).expect("it fits")
    }

    /// A Seek that came by link 0 and a Trail that comes by link 1: bound between them. Gives the Seek's id and the labels
    /// towards the seeker and the owner.
    pub(crate) fn bind(&mut self, seeker: u8, owner: u8, label: u64) -> (MessageId, Label, Label) {
        let seek = self.seek(&key(seeker), key(owner).address());
        let id = seek.id();
        self.frame(0, flooded(seek));
        let trail = self.trail(&key(owner), id);
        let done = self.frame(1, Frame::Trail { label: Label(label), message: trail });
        let (link, towards_seeker) = done.trail_label().expect("the trail goes on");
        assert_eq!(link, LinkId(0));
        (id, towards_seeker, Label(label))
    }
}

pub(crate) fn flooded(message: Signed<Seek, Verified>) -> Frame<Verified> {
    Frame::Seek { mode: SeekMode::Flood(Phase::Counted(1)), message }
}

pub(crate) fn data(label: Label, body: &'static [u8]) -> Frame<Verified> {
    Frame::Data { label, ecn: Ecn::NotCapable, body: Bytes::from_static(body) }
}

pub(crate) fn closed(done: &Done) -> Vec<Close> {
    done.events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::TrailClosed { why, .. } => Some(*why),
            _ => None,
        })
        .collect()
}

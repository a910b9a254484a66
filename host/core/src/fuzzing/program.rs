//! Reads bytes as a program for a router's surroundings: hostile neighbours and careless ports, in any order.
//!
//! Signatures are stubbed, since a neighbour can sign whatever it likes with keys of its own; what remains are the keys that others would not
//! sign with, and those the router may believe: it must hold its bounds all the same.

use core::time::Duration;
use std::collections::HashSet;

use bytes::Bytes;

use super::frames::{Bound, Choices, NETWORK, SEALED, Seen, Sought, body, frame, packet, storm};
use crate::{
    Address, ConnectionId, Counters, Drops, Ecn, Event, Finding, FloodEnd, FloodRules, FloodStart, IdentityKey, Input,
    Instant, KnownMessages, LinkId, NeighbourId, Now, Output, PortId, Profile, Router, RouterConfig, Topic, TrailId,
    WalkShape, limits,
    wire::{Decoded, Frame, Verified, decode_frame},
};

/// The most steps of one program: later bytes are ignored.
pub const DEEPEST: usize = 4096;

const START_UNIX_S: u64 = 1_800_000_037;
/// Names of each sort are drawn from so few that they meet.
pub(super) const FEW: u8 = 6;

/// How far a program came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ran {
    /// Inputs, ticks among them.
    pub steps: usize,
    /// Trails that were bound.
    pub trails: u64,
    /// Packets that went along them.
    pub packets: u64,
    /// Neighbours found to break the protocol.
    pub violations: u64,
    /// Steps after which something waited.
    pub held: u64,
    /// Walks that went on.
    pub walks: u64,
    /// Floods and Seeks that went on.
    pub spread: u64,
    /// Those that went on hidden, did not come back and spread.
    pub unhidden: u64,
    /// Copies whose signatures needed no check.
    pub spared: u64,
    /// Routers that took another's place, as after a restart.
    pub restarts: u64,
    /// What was dropped, by reason, in the order of [`Drops`].
    pub drops: [u64; 9],
}

impl Ran {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            steps: self.steps + other.steps,
            trails: self.trails + other.trails,
            packets: self.packets + other.packets,
            violations: self.violations + other.violations,
            held: self.held + other.held,
            walks: self.walks + other.walks,
            spread: self.spread + other.spread,
            unhidden: self.unhidden + other.unhidden,
            spared: self.spared + other.spared,
            restarts: self.restarts + other.restarts,
            drops: core::array::from_fn(|reason| self.drops[reason] + other.drops[reason]),
        }
    }

    fn count(&mut self, counters: &Counters) {
        let Counters { trails, data, floods, seeks, walks, violations, unhidden, drops, .. } = *counters;
        let Drops { stale, duplicate, no_scent, budget, full, unknown_label, unknown_seek, early, invalid } = drops;
        *self = self.plus(Self {
            trails: trails.relayed + trails.sent + trails.delivered,
            packets: data.relayed + data.sent + data.delivered,
            violations,
            walks: walks.relayed + walks.sent,
            spread: floods.relayed + floods.sent + seeks.relayed + seeks.sent,
            unhidden,
            drops: [stale, duplicate, no_scent, budget, full, unknown_label, unknown_seek, early, invalid],
            ..Self::default()
        });
    }
}

/// Steps between two checks of the router's tables.
const CHECK_EVERY: usize = 64;

/// Ticks after which a router has nothing more that is due: all that it may hold, in portions.
const MOST_TICKS: usize = 1000;

/// Runs a program on fresh routers, one of each profile, and checks them again and again. A panic is a finding. How far it came under both.
pub fn run_program(program: &[u8]) -> Ran {
    Profile::ALL.into_iter().map(|profile| Bed::new(program, profile).run()).fold(Ran::default(), Ran::plus)
}

/// Lets links come one after the other, each of which brings what its budgets let in, until there were so many messages: what a router
/// may hold it holds then. The most of (ids, rows, Seeks, hidden messages) that it held.
///
/// # Panics
/// The tables contradict each other, or hold more than they may.
pub fn run_crowd(messages: usize) -> [u64; 4] {
    let mut bed = Bed::new(&[], Profile::Fast);
    let mut most = [0; 4];
    for number in 0..messages as u64 / CROWD_EACH {
        bed.router.handle(Input::LinkDown { link: LinkId(number.wrapping_sub(CROWD_LINKS)) }, bed.now);
        let link = LinkId(number);
        bed.router.handle(link_up(link, false), bed.now);
        for frame in storm(number as u8, CROWD_EACH, &mut bed.seen, bed.now) {
            bed.router.handle(Input::Frame { link, frame }, bed.now);
            while bed.router.poll().is_some() {}
            let live = bed.router.counters().live;
            for (most, held) in most.iter_mut().zip([live.seen, live.scent_rows, live.seeks, live.hidden]) {
                *most = held.max(*most);
            }
        }
        bed.now.instant = bed.now.instant + Duration::from_millis(50);
        bed.router.tick(bed.now);
        while bed.router.poll().is_some() {}
        if number.is_multiple_of(32) {
            bed.router.assert_consistent();
        }
    }
    bed.router.assert_consistent();
    most
}

/// Messages of one of these links: fewer than its burst lets in.
const CROWD_EACH: u64 = 400;
/// How many of them are there at once: together they bring more addresses than there are rows.
const CROWD_LINKS: u64 = 48;

/// A router and its surroundings.
struct Bed<'a> {
    choices: Choices<'a>,
    config: RouterConfig,
    now: Now,
    router: Router,
    seen: Seen,
    /// What its links would not check again, and all that they did check.
    known: KnownMessages,
    checked: HashSet<Bytes>,
    ran: Ran,
}

impl<'a> Bed<'a> {
    fn new(program: &'a [u8], profile: Profile) -> Self {
        let mut choices = Choices(program);
        let now = Now { instant: Instant::default(), unix_s: START_UNIX_S };
        let (options, shape) = (choices.byte(), choices.byte());
        let config = RouterConfig {
            profile,
            floods: FloodRules {
                start: if options & 8 == 0 { FloodStart::Path } else { FloodStart::Everywhere },
                fan_out: if options & 16 == 0 { limits::MAX_LINKS } else { 1 },
                end: [FloodEnd::DropTree, FloodEnd::KeyedStop, FloodEnd::Fading][usize::from(options % 3)],
                hops: shape % 16,
            },
            finding: if options & 4 == 0 { Finding::Floods } else { Finding::Walks },
            walks: WalkShape { walkers_log2: shape / 16, mean_hops: shape % 8 },
            heard_until: (options & 32 != 0).then_some(START_UNIX_S),
            ..RouterConfig::new(NETWORK, [1; 32], [2; 32])
        };
        let seen = Seen { sealed: profile.shape().class_of(SEALED.len()).unwrap_or_default(), ..Seen::default() };
        let router = Router::new(config.clone(), now);
        let known = KnownMessages::new(NETWORK, [3; 32]);
        let mut bed = Self { choices, config, now, router, seen, known, checked: HashSet::new(), ran: Ran::default() };
        bed.furnish();
        bed
    }

    fn furnish(&mut self) {
        for number in 0..3 {
            self.router.handle(link_up(LinkId(number), number == 0), self.now);
            self.router.handle(Input::OpenPort { port: PortId(number), key: identity(number as u8) }, self.now);
            self.router.handle(Input::Listen { port: PortId(number), listening: number != 2 }, self.now);
        }
        self.drain();
    }

    fn run(mut self) -> Ran {
        let mut checked_at = 0;
        while !self.choices.0.is_empty() && self.ran.steps < DEEPEST {
            match self.choices.byte() % 128 {
                0 => self.restart(),
                1 if self.choices.few() == 0 => self.storm(),
                _ => self.step(),
            }
            self.ran.held += u64::from(self.router.counters().live.held > 0);
            if self.ran.steps >= checked_at + CHECK_EVERY {
                checked_at = self.ran.steps;
                self.router.assert_consistent();
            }
        }
        self.router.assert_consistent();
        self.ran.count(&self.router.counters());
        self.ran.spared = self.known.spared();
        self.ran
    }

    /// Another router takes this one's place: all is gone but its secret, and what is known of its end.
    fn restart(&mut self) {
        self.ran.steps += 1;
        self.ran.restarts += 1;
        self.router.assert_consistent();
        self.ran.count(&self.router.counters());
        self.config.heard_until = match self.choices.byte() % 4 {
            0 => None,
            1 => Some(self.now.unix_s.saturating_sub(100)),
            2 => Some(u64::MAX),
            _ => Some(self.now.unix_s),
        };
        self.router = Router::new(self.config.clone(), self.now);
        self.furnish();
    }

    fn storm(&mut self) {
        let (link, kind) = (LinkId(u64::from(self.choices.few())), self.choices.byte());
        // Up to more than a budget lets in.
        let count = 4 * u64::from(self.choices.byte());
        for frame in storm(kind, count, &mut self.seen, self.now) {
            self.ran.steps += 1;
            self.router.handle(Input::Frame { link, frame }, self.now);
            self.drain();
        }
    }

    fn step(&mut self) {
        self.ran.steps += 1;
        match step(&mut self.choices, &mut self.seen, &mut self.now) {
            Some(Input::Frame { link, frame }) => {
                let frame = self.through_link(frame);
                self.router.handle(Input::Frame { link, frame }, self.now);
                self.drain();
            }
            Some(input) => {
                self.router.handle(input, self.now);
                self.drain();
            }
            None => {
                let ticks = (1..=MOST_TICKS).find(|_| {
                    self.router.tick(self.now);
                    self.drain();
                    self.router.next_deadline().is_none_or(|due| due > self.now.instant)
                });
                self.ran.steps += ticks.expect("a router that is ticked comes to rest");
            }
        }
    }

    /// What a link does with a frame's bytes: only what was checked before passes unchecked.
    fn through_link(&mut self, frame: Frame<Verified>) -> Frame<Verified> {
        let bytes = [&frame.encode_header()[crate::wire::LENGTH_PREFIX..], &frame.body()[..]].concat();
        let Ok(Decoded::Frame(decoded)) = decode_frame(bytes.into()) else {
            return frame;
        };
        let body = decoded.body();
        match self.known.recognise(decoded) {
            Ok(frame) => {
                assert!(!frame.is_signed() || self.checked.contains(&body), "taken for checked, and never was");
                frame
            }
            Err(unchecked) => {
                let frame = unchecked.dangerously_assume_verified();
                self.known.remember(&frame);
                self.checked.insert(body);
                frame
            }
        }
    }

    /// Takes what the router wants done. A neighbour that it accuses comes back.
    fn drain(&mut self) {
        let seen = &mut self.seen;
        while let Some(output) = self.router.poll() {
            match output {
                Output::Send { link, frame, .. } => {
                    match &frame {
                        Frame::Seek { message, .. } => {
                            let (author, target) = (message.author(), message.target());
                            seen.seeks.push(Sought { id: message.id(), author, target });
                        }
                        Frame::Trail { label, message } => {
                            let seek = message.seek();
                            let sought = seen.seeks.iter().find(|sought| sought.id == seek);
                            let end = sought.map_or(address(0), |sought| sought.author);
                            seen.bound.push(Bound { link, label: *label, seek, end });
                        }
                        _ => {}
                    }
                    seen.frames.push(frame);
                }
                Output::Event { event: Event::TrailOpened { trail, .. }, .. } => seen.trails.push(trail),
                Output::Event { .. } => {}
                Output::Violation { link, .. } => self.router.handle(link_up(link, link.0 == 0), self.now),
            }
        }
    }
}

fn identity(number: u8) -> IdentityKey {
    IdentityKey::from_seed(&[number + 1; 32])
}

/// Two links of the six are to one neighbour.
fn link_up(link: LinkId, initiator: bool) -> Input {
    Input::LinkUp { link, neighbour: NeighbourId(link.0 % 5), initiator }
}

/// The addresses of the identities: making a key costs more than a step.
pub(super) fn address(number: u8) -> Address {
    static ADDRESSES: std::sync::OnceLock<[Address; FEW as usize]> = std::sync::OnceLock::new();
    ADDRESSES.get_or_init(|| core::array::from_fn(|number| identity(number as u8).address()))[usize::from(number % FEW)]
}

/// The next thing that happens; `None`: time passes.
fn step(choices: &mut Choices<'_>, seen: &mut Seen, now: &mut Now) -> Option<Input> {
    let (link, port) = (LinkId(u64::from(choices.few())), PortId(u64::from(choices.few())));
    let connection = ConnectionId(u64::from(choices.few()));
    Some(match choices.byte() % 64 {
        0 => link_up(link, choices.byte() & 1 == 1),
        1 => Input::LinkDown { link },
        2 => Input::Load { link, level: choices.byte() },
        3 => Input::OpenPort { port, key: identity(choices.few()) },
        4 => Input::ClosePort { port },
        5 => Input::Listen { port, listening: choices.byte() & 1 == 1 },
        6 => Input::Subscribe { port, topic: Topic([choices.few(); 16]) },
        7 => Input::Unsubscribe { port, topic: Topic([choices.few(); 16]) },
        8 => Input::Broadcast { port, topic: Topic([choices.few(); 16]), body: body(choices) },
        9 => Input::Letter { port, to: address(choices.few()), sealed: body(choices) },
        10 | 11 => Input::Connect { port, connection, target: address(choices.few()) },
        12 => Input::Disconnect { connection },
        13 | 14 => Input::Data {
            trail: choices.pick(&seen.trails, TrailId(999)),
            ecn: Ecn::Capable0,
            body: packet(choices, seen),
        },
        15 => Input::CloseTrail { trail: choices.pick(&seen.trails, TrailId(999)) },
        16 | 17 => {
            let (seconds, millis) =
                ([0, 0, 1, 1, 5, 5, 20, 20, 90, 600][usize::from(choices.byte() % 10)], u64::from(choices.byte()));
            now.instant = now.instant + Duration::from_millis(seconds * 1000 + millis);
            now.unix_s = match choices.byte() {
                // The wall clock may jump.
                0 => now.unix_s.wrapping_sub(7200),
                1 => u64::MAX,
                _ if now.unix_s > 2 * START_UNIX_S => START_UNIX_S + now.instant.since_origin().as_secs(),
                _ => now.unix_s.saturating_add(seconds),
            };
            return None;
        }
        18..=21 if !seen.frames.is_empty() => {
            // Mostly one of the last.
            let back = usize::from(choices.byte()).pow(2) / 256 % seen.frames.len();
            let frame = seen.frames[seen.frames.len() - 1 - back].clone();
            Input::Frame { link, frame }
        }
        _ => {
            let (link, frame) = frame(choices, seen, *now);
            Input::Frame { link, frame }
        }
    })
}

//! Reads bytes as a program for a router's surroundings: hostile neighbours and careless ports, in any order.
//!
//! Signatures are stubbed, since a neighbour can sign whatever it likes with keys of its own; what remains are the keys that others would not
//! sign with, and those the router may believe: it must hold its bounds all the same.

use core::time::Duration;

use bytes::Bytes;

use crate::{
    Address, ConnectionId, Counters, Ecn, Event, Finding, FloodEnd, FloodRules, FloodStart, IdentityKey, Input,
    Instant, Label, LinkId, MessageId, NeighbourId, NetworkId, Now, Output, PortId, Profile, Router, RouterConfig,
    Topic, TrailId, limits,
    wire::{Flood, Frame, Keep, Letter, Phase, Seek, SeekMode, Signed, Stamp, Trail, Verified, Walk, Way},
};

/// The most steps of one program: later bytes are ignored.
pub const DEEPEST: usize = 4096;

const NETWORK: NetworkId = NetworkId([7; 16]);
const START_UNIX_S: u64 = 1_800_000_037;
/// Names of each sort are drawn from so few that they meet.
const FEW: u8 = 6;

/// The bytes as a source of choices; zeros after their end.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn few(&mut self) -> u8 {
        self.byte() % FEW
    }

    /// One of what was seen, or something else.
    fn pick<T: Copy>(&mut self, seen: &[T], otherwise: T) -> T {
        // Mostly of the last few, sometimes nothing seen at all.
        let choice = match self.byte() {
            255 => return otherwise,
            choice => usize::from(choice % 24),
        };
        seen.get(seen.len().wrapping_sub(1 + choice)).copied().unwrap_or(otherwise)
    }
}

/// An X25519 share; whose does not matter.
const SHARE: [u8; 32] = [9; 32];

/// A Seek that passed.
#[derive(Clone, Copy)]
struct Sought {
    id: MessageId,
    author: Address,
    target: Address,
}

/// A label that a Trail may have bound, and the end that lies there.
#[derive(Clone, Copy)]
struct Bound {
    link: LinkId,
    label: Label,
    seek: MessageId,
    end: Address,
}

/// What came out so far, to be thrown back.
#[derive(Default)]
struct Seen {
    seeks: Vec<Sought>,
    bound: Vec<Bound>,
    trails: Vec<TrailId>,
    frames: Vec<Frame<Verified>>,
    stamps: u64,
    /// The length of an ordinary packet.
    sealed: usize,
}

/// How far a program came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ran {
    /// Steps taken.
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
}

/// What a packet holds at least.
const SEALED: &[u8] = b"sealed";

/// Steps between two checks of the router's tables.
const CHECK_EVERY: usize = 64;

/// Runs a program on fresh routers, one of each profile, and checks them again and again. A panic is a finding. How far it came under both.
pub fn run_program(program: &[u8]) -> Ran {
    let ran = Profile::ALL.map(|profile| run_with(program, profile));
    ran.into_iter().fold(Ran::default(), |sum, ran| Ran {
        steps: sum.steps + ran.steps,
        trails: sum.trails + ran.trails,
        packets: sum.packets + ran.packets,
        violations: sum.violations + ran.violations,
        held: sum.held + ran.held,
        walks: sum.walks + ran.walks,
        spread: sum.spread + ran.spread,
    })
}

fn run_with(program: &[u8], profile: Profile) -> Ran {
    let mut choices = Choices(program);
    let mut now = Now { instant: Instant::default(), unix_s: START_UNIX_S };
    let options = choices.byte();
    let config = RouterConfig {
        profile,
        floods: FloodRules {
            start: if options & 8 == 0 { FloodStart::Path } else { FloodStart::Everywhere },
            fan_out: if options & 16 == 0 { limits::MAX_LINKS } else { 1 },
            end: [FloodEnd::DropTree, FloodEnd::KeyedStop, FloodEnd::Fading][usize::from(options % 3)],
            ..FloodRules::default()
        },
        finding: if options & 4 == 0 { Finding::Floods } else { Finding::Walks },
        ..RouterConfig::new(NETWORK, [1; 32], [2; 32])
    };
    let mut router = Router::new(config, now);
    let mut seen = Seen { sealed: profile.shape().class_of(SEALED.len()).unwrap_or_default(), ..Seen::default() };
    for link in 0..3 {
        router.handle(link_up(LinkId(link), link == 0), now);
        router.handle(Input::OpenPort { port: PortId(link), key: identity(link as u8) }, now);
        router.handle(Input::Listen { port: PortId(link), listening: link != 2 }, now);
    }
    let (mut steps, mut held) = (0, 0);
    while !choices.0.is_empty() && steps < DEEPEST {
        steps += 1;
        let input = step(&mut choices, &mut seen, &mut now);
        match input {
            Some(input) => router.handle(input, now),
            None => router.tick(now),
        }
        drain(&mut router, &mut seen, now);
        held += u64::from(router.counters().live.held > 0);
        if steps.is_multiple_of(CHECK_EVERY) {
            router.assert_consistent();
        }
    }
    router.assert_consistent();
    let Counters { trails, data, floods, seeks, walks, violations, .. } = router.counters();
    let trails = trails.relayed + trails.sent + trails.delivered;
    Ran {
        steps,
        trails,
        packets: data.relayed + data.sent + data.delivered,
        violations,
        held,
        walks: walks.relayed + walks.sent,
        spread: floods.relayed + floods.sent + seeks.relayed + seeks.sent,
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
fn address(number: u8) -> Address {
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
                _ => now.unix_s.saturating_add(seconds),
            };
            return None;
        }
        18 if !seen.frames.is_empty() => {
            let frame = seen.frames[usize::from(choices.byte()) % seen.frames.len()].clone();
            Input::Frame { link, frame }
        }
        _ => {
            let (link, frame) = frame(choices, seen, *now);
            Input::Frame { link, frame }
        }
    })
}

/// A sealed packet, mostly of a length that may be.
fn packet(choices: &mut Choices<'_>, seen: &Seen) -> Bytes {
    match choices.byte() {
        0 => body(choices),
        _ => Bytes::from(vec![0; seen.sealed]),
    }
}

fn body(choices: &mut Choices<'_>) -> Bytes {
    let length = match choices.byte() {
        255 => 20_000,
        length => usize::from(length % 8),
    };
    Bytes::from(vec![choices.byte(); length])
}

/// A frame of any kind by anybody, and the link that it comes by. Mostly one that fits what came before: what fits nothing ends at the first check.
fn frame(choices: &mut Choices<'_>, seen: &mut Seen, now: Now) -> (LinkId, Frame<Verified>) {
    let link = LinkId(u64::from(choices.byte() % 3));
    let phase = match choices.byte() % 16 {
        0 => Phase::Hidden,
        13 => Phase::Ending,
        tail @ 14.. => Phase::Tail(tail - 13),
        hops => Phase::Counted(hops),
    };
    let frame = match choices.byte() % 16 {
        0 => {
            let (author, stamp) = (address(choices.few()), stamp(choices, seen, now));
            let message = stub::<Flood>(author, stamp, &[&[choices.few(); 16], b"?"]);
            Frame::Flood { phase, message }
        }
        1 => {
            let (author, stamp) = (address(choices.few()), stamp(choices, seen, now));
            let to = address(choices.few());
            Frame::Letter { message: stub::<Letter>(author, stamp, &[&to.0, b"sealed"]) }
        }
        2 if choices.byte() & 1 == 0 => {
            let (author, stamp) = (address(choices.few()), stamp(choices, seen, now));
            Frame::Walk { way: way(choices), message: stub::<Walk>(author, stamp, &[]) }
        }
        2..=4 => {
            let (author, stamp) = (address(choices.few()), stamp(choices, seen, now));
            let target = address(choices.few());
            let message = stub::<Seek>(author, stamp, &[&target.0, &SHARE]);
            seen.seeks.push(Sought { id: message.id(), author, target });
            let mode = match choices.byte() & 7 {
                0 | 1 => SeekMode::Directed,
                2 => SeekMode::Walk(way(choices)),
                _ => SeekMode::Flood(phase),
            };
            Frame::Seek { mode, message }
        }
        5..=7 => return answer(choices, seen, now, link),
        _ => return along(choices, seen, now, link),
    };
    (link, frame)
}

fn way(choices: &mut Choices<'_>) -> Way {
    match choices.byte() % 4 {
        0 => Way::Stem,
        walkers => Way::Roam(walkers * walkers),
    }
}

/// A Trail that answers a Seek.
fn answer(choices: &mut Choices<'_>, seen: &mut Seen, now: Now, link: LinkId) -> (LinkId, Frame<Verified>) {
    let unknown = Sought { id: MessageId([9; 16]), author: address(0), target: address(1) };
    let sought = choices.pick(&seen.seeks, unknown);
    let (lie, stamp) = (choices.byte(), stamp(choices, seen, now));
    let author = if lie < 4 { address(lie) } else { sought.target };
    // The router dialled link 0, so there its neighbour's labels are even.
    let honest = Label(u64::from(choices.byte()) << 1 | u64::from(link != LinkId(0)));
    let label = if lie == 5 { Label(honest.0 ^ 1) } else { honest };
    seen.bound.push(Bound { link, label, seek: sought.id, end: author });
    (link, Frame::Trail { label, message: stub::<Trail>(author, stamp, &[&sought.id.0, &SHARE]) })
}

/// Something along a trail.
fn along(choices: &mut Choices<'_>, seen: &mut Seen, now: Now, link: LinkId) -> (LinkId, Frame<Verified>) {
    let unknown = Bound { link, label: Label(u64::from(choices.byte())), seek: MessageId([9; 16]), end: address(0) };
    let Bound { mut link, label, seek, mut end } = choices.pick(&seen.bound, unknown);
    match choices.byte() {
        0 => link = LinkId(u64::from(choices.few())),
        1 => end = address(choices.few()),
        _ => {}
    }
    let frame = match choices.byte() % 8 {
        0 => Frame::Close { label },
        1..=3 => {
            let stamp = stamp(choices, seen, now);
            let number = u32::from(choices.byte()).to_be_bytes();
            let (received, sent) = ([choices.byte(); 8], [choices.byte(); 8]);
            Frame::Keep { label, message: stub::<Keep>(end, stamp, &[&seek.0, &number, &received, &sent]) }
        }
        _ => Frame::Data { label, ecn: Ecn::NotCapable, body: packet(choices, seen) },
    };
    (link, frame)
}

fn stamp(choices: &mut Choices<'_>, seen: &mut Seen, now: Now) -> Stamp {
    seen.stamps += 1;
    let age = [0, 0, 0, 0, 0, 1, 9, 10][usize::from(choices.byte() % 8)];
    Stamp { minute: ((now.unix_s / 60) as u32).wrapping_sub(age), random: seen.stamps }
}

fn stub<K: crate::wire::Body>(author: Address, stamp: Stamp, fields: &[&[u8]]) -> Signed<K, Verified> {
    Signed::unsigned(NETWORK, author, stamp, fields)
        .expect("the fields are of their lengths")
        .dangerously_assume_verified()
}

/// Takes what the router wants done. A neighbour that it accuses comes back.
fn drain(router: &mut Router, seen: &mut Seen, now: Now) {
    while let Some(output) = router.poll() {
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
            Output::Violation { link, .. } => router.handle(link_up(link, link.0 == 0), now),
        }
    }
}

//! What a router's work costs, by kind of message: `cargo run --release -p mute-core --example router_bench`, or one kind with `-- data`.
//!
//! For each kind two figures, per message: the router alone, given verified messages; and all that a link's task does besides, reading the bytes and
//! checking the signature. Both as time on the wall and as this process's own time on a processor, which other programs do not stretch.
//! Messages come by eight links at a rate within every budget, timers are served when due and outputs are taken, so that growing and
//! expiring tables are part of it. A flood goes on to seven neighbours.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "it measures, outside of the core")]

use std::{env, fs, hint::black_box, time::Duration, time::Instant as Clock};

use bytes::Bytes;
use mute_core::{
    Address, Ecn, IdentityKey, Input, Instant, Label, LinkId, MessageId, NeighbourId, NetworkId, Now, Output, PortId,
    Profile, Router, RouterConfig, Topic,
    wire::{
        Decoded, Flood, Frame, Keep, KeepReport, Letter, Phase, Seek, SeekMode, Signed, Stamp, Trail, Verified, Walk,
        Way, decode_frame,
    },
};

const NETWORK: NetworkId = NetworkId([7; 16]);
const START_UNIX_S: u64 = 1_800_000_000;
const LINKS: u64 = 8;
const PORT: PortId = PortId(1);
/// Messages of each kind.
const MESSAGES: u64 = 20_000;
/// Time between two of them: each link's share stays within its budgets.
const STEP: Duration = Duration::from_millis(10);
/// Trails on a busy relay.
const TRAILS: u64 = 1000;
/// Rounds of Data over them.
const ROUNDS: u64 = 1000;

/// A router with eight links and a listening port, and what it has been through.
struct Bench {
    router: Router,
    clock: Duration,
    random: u64,
}

/// A trail: its Seek, and its labels towards the seeker and the owner.
struct Laid {
    seek: MessageId,
    from: LinkId,
    ours: Label,
    theirs: Label,
}

/// Messages, and how long after each the next comes.
struct Load {
    frames: Vec<(LinkId, Frame<Verified>)>,
    step: Duration,
    /// How often all are repeated.
    rounds: u64,
}

/// What it took, in nanoseconds a message.
struct Took {
    wall: f64,
    cpu: f64,
}

impl Bench {
    fn new() -> Self {
        let config = RouterConfig { profile: Profile::Fast, ..RouterConfig::new(NETWORK, [1; 32], [2; 32]) };
        let mut bench = Self { router: Router::new(config, now(Duration::ZERO)), clock: Duration::ZERO, random: 0 };
        for link in 0..LINKS {
            bench.input(Input::LinkUp { link: LinkId(link), neighbour: NeighbourId(link), initiator: false });
        }
        bench.input(Input::OpenPort { port: PORT, key: key(0) });
        bench.input(Input::Listen { port: PORT, listening: true });
        bench
    }

    fn input(&mut self, input: Input) -> Vec<Output> {
        self.router.handle(input, now(self.clock));
        core::iter::from_fn(|| self.router.poll()).collect()
    }

    fn frame(&mut self, link: u64, frame: Frame<Verified>) -> Vec<Output> {
        self.input(Input::Frame { link: LinkId(link), frame })
    }

    /// The stamp of a message that comes `n` steps from now.
    fn stamp(&mut self, n: u64) -> Stamp {
        self.random += 1;
        let at = now(self.clock + STEP * u32::try_from(n).expect("few"));
        Stamp { minute: (at.unix_s / 60) as u32, random: self.random }
    }

    fn seek(&mut self, n: u64, seeker: &IdentityKey, target: Address) -> Signed<Seek, Verified> {
        let stamp = self.stamp(n);
        Signed::<Seek, _>::sign(NETWORK, seeker, stamp, target, &[9; 32]).expect("it fits")
    }

    /// Lays trails from the first four links to `owner`, by link 7 or at this node's port.
    fn trails(&mut self, seeker: &IdentityKey, owner: &IdentityKey, at_port: bool) -> Vec<Laid> {
        (0..TRAILS)
            .map(|n| {
                self.clock += STEP / 5;
                let seek = self.seek(0, seeker, owner.address());
                let id = seek.id();
                let from = n % 4;
                let mut outputs = self.frame(from, Frame::Seek { mode: counted_seek(), message: seek });
                let theirs = Label(2 * n + 1);
                if !at_port {
                    let stamp = self.stamp(0);
                    let message = Signed::<Trail, _>::sign(NETWORK, owner, stamp, id, &[9; 32]).expect("it fits");
                    outputs = self.frame(7, Frame::Trail { label: theirs, message });
                }
                let ours = outputs.iter().find_map(|output| match output {
                    Output::Send { link, frame: Frame::Trail { label, .. }, .. } if link.0 == from => Some(*label),
                    _ => None,
                });
                Laid { seek: id, from: LinkId(from), ours: ours.expect("the trail goes on"), theirs }
            })
            .collect()
    }

    /// Handles a load. `crypto`: as bytes, read and checked first.
    fn run(&mut self, load: &Load, crypto: bool) -> Took {
        let encoded: Vec<Bytes> = load.frames.iter().map(|(_, frame)| encode(frame)).collect();
        let (cpu, start) = (cpu_time(), Clock::now());
        for _ in 0..load.rounds {
            for ((link, frame), bytes) in load.frames.iter().zip(&encoded) {
                self.clock += load.step;
                let at = now(self.clock);
                while self.router.next_deadline().is_some_and(|due| due <= at.instant) {
                    self.router.tick(at);
                    while let Some(output) = self.router.poll() {
                        black_box(output);
                    }
                }
                let frame = if crypto {
                    match decode_frame(bytes.clone()).expect("it was encoded") {
                        Decoded::Frame(frame) => frame.verify(NETWORK).expect("it was signed"),
                        other => panic!("{other:?}"),
                    }
                } else {
                    frame.clone()
                };
                self.router.handle(Input::Frame { link: *link, frame }, at);
                while let Some(output) = self.router.poll() {
                    black_box(output);
                }
            }
        }
        let messages = (load.frames.len() as u64 * load.rounds) as f64;
        Took {
            wall: start.elapsed().as_nanos() as f64 / messages,
            cpu: (cpu_time() - cpu).as_nanos() as f64 / messages,
        }
    }
}

fn now(clock: Duration) -> Now {
    Now { instant: Instant::from_origin(clock), unix_s: START_UNIX_S + clock.as_secs() }
}

fn key(number: u64) -> IdentityKey {
    let mut seed = [1; 32];
    seed[..8].copy_from_slice(&number.to_be_bytes());
    IdentityKey::from_seed(&seed)
}

fn counted_seek() -> SeekMode {
    SeekMode::Flood(Phase::Counted(2))
}

fn encode(frame: &Frame<Verified>) -> Bytes {
    [&frame.encode_header()[2..], &frame.body()[..]].concat().into()
}

/// The time that this process's one thread has run on a processor, as Linux tells it; elsewhere none.
fn cpu_time() -> Duration {
    // The kernel brings the figure up to date when it schedules.
    std::thread::yield_now();
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// Makes a load for a router that is ready for it.
type Prepare = fn(&mut Bench) -> Load;

fn spread(frames: impl Iterator<Item = Frame<Verified>>) -> Load {
    let frames = frames.enumerate().map(|(n, frame)| (LinkId(n as u64 % LINKS), frame)).collect();
    Load { frames, step: STEP, rounds: 1 }
}

fn floods(bench: &mut Bench) -> Load {
    spread((0..MESSAGES).map(|n| {
        let stamp = bench.stamp(n);
        let message = Signed::<Flood, _>::sign(NETWORK, &key(n), stamp, Topic([1; 16]), &[0x5a; 64]).expect("it fits");
        Frame::Flood { phase: Phase::Counted(2), message }
    }))
}

/// The same messages once more by the next link.
fn copies(bench: &mut Bench, load: Load) -> Load {
    let first = Load { step: Duration::from_micros(1), ..load };
    // All of them at once are more than budgets let in: they are for the second time only.
    let frames: Vec<_> = first.frames.chunks(100).flat_map(|chunk| chunk.to_vec()).collect();
    for (link, frame) in &frames {
        bench.clock += STEP;
        bench.frame(link.0, frame.clone());
    }
    bench.clock = Duration::from_secs(bench.clock.as_secs());
    let frames = frames.into_iter().map(|(link, frame)| (LinkId((link.0 + 1) % LINKS), frame)).collect();
    Load { frames, step: STEP, rounds: 1 }
}

fn seeks(bench: &mut Bench) -> Load {
    spread(
        (0..MESSAGES).map(|n| Frame::Seek { mode: counted_seek(), message: bench.seek(n, &key(n), key(7).address()) }),
    )
}

fn lay_scent(bench: &mut Bench) {
    for n in 0..100 {
        let stamp = bench.stamp(0);
        let message = Signed::<Walk, _>::sign(NETWORK, &key(n), stamp).expect("it has no fields");
        bench.frame(n % LINKS, Frame::Walk { way: Way::Roam(0), message });
    }
}

fn directed(bench: &mut Bench) -> Load {
    lay_scent(bench);
    spread((0..MESSAGES).map(|n| {
        let message = bench.seek(n, &key(n), key((n + 3) % 100).address());
        Frame::Seek { mode: SeekMode::Directed, message }
    }))
}

fn letters(bench: &mut Bench) -> Load {
    lay_scent(bench);
    spread((0..MESSAGES).map(|n| {
        let (stamp, to) = (bench.stamp(n), key((n + 3) % 100).address());
        let message = Signed::<Letter, _>::sign(NETWORK, &key(n), stamp, to, &[0x5a; 300]).expect("it fits");
        Frame::Letter { message }
    }))
}

fn walks(bench: &mut Bench) -> Load {
    spread((0..MESSAGES).map(|n| {
        let stamp = bench.stamp(n);
        let message = Signed::<Walk, _>::sign(NETWORK, &key(n), stamp).expect("it has no fields");
        Frame::Walk { way: Way::Roam(0), message }
    }))
}

fn answers(bench: &mut Bench) -> Load {
    let (seeker, owner) = (key(1), key(2));
    let mut frames = Vec::new();
    for n in 0..3000 {
        bench.clock += STEP;
        let seek = bench.seek(0, &seeker, owner.address());
        let stamp = bench.stamp(0);
        let message = Signed::<Trail, _>::sign(NETWORK, &owner, stamp, seek.id(), &[9; 32]).expect("it fits");
        bench.frame(n % (LINKS - 1), Frame::Seek { mode: counted_seek(), message: seek });
        frames.push((LinkId(LINKS - 1), Frame::Trail { label: Label(2 * n + 1), message }));
    }
    Load { frames, step: Duration::from_millis(5), rounds: 1 }
}

fn keeps(bench: &mut Bench) -> Load {
    let (seeker, owner) = (key(1), key(2));
    let trails = bench.trails(&seeker, &owner, false);
    let mut frames = Vec::new();
    for number in 1..=10 {
        for Laid { seek, from, ours, theirs } in &trails {
            for (end, link, label) in [(&seeker, *from, ours), (&owner, LinkId(7), theirs)] {
                let stamp = bench.stamp(0);
                let report = KeepReport { number, received: 0, sent: 0 };
                let message = Signed::<Keep, _>::sign(NETWORK, end, stamp, *seek, report).expect("it fits");
                frames.push((link, Frame::Keep { label: *label, message }));
            }
        }
    }
    Load { frames, step: STEP / 5, rounds: 1 }
}

fn closes(bench: &mut Bench) -> Load {
    let trails = bench.trails(&key(1), &key(2), false);
    let frames = trails.iter().map(|trail| (LinkId(7), Frame::Close { label: trail.theirs })).collect();
    Load { frames, step: Duration::from_micros(100), rounds: 1 }
}

fn data(trails: &[Laid]) -> Load {
    let body = Bytes::from(vec![0x5a; 1400]);
    let frame = |trail: &Laid| (trail.from, Frame::Data { label: trail.ours, ecn: Ecn::Capable0, body: body.clone() });
    Load { frames: trails.iter().map(frame).collect(), step: Duration::ZERO, rounds: ROUNDS }
}

fn data_relayed(bench: &mut Bench) -> Load {
    data(&bench.trails(&key(1), &key(2), false))
}

fn data_delivered(bench: &mut Bench) -> Load {
    data(&bench.trails(&key(1), &key(0), true))
}

const KINDS: [(&str, Prepare); 13] = [
    ("data relayed", data_relayed),
    ("data delivered", data_delivered),
    ("flood, first", floods),
    ("flood, copy", |bench| {
        let load = floods(bench);
        copies(bench, load)
    }),
    ("seek flooded, first", seeks),
    ("seek flooded, copy", |bench| {
        let load = seeks(bench);
        copies(bench, load)
    }),
    ("seek directed", directed),
    ("letter", letters),
    ("walk", walks),
    ("trail", answers),
    ("keep", keeps),
    ("close", closes),
    ("nothing", |_| Load {
        frames: vec![(LinkId(99), Frame::Close { label: Label(1) })],
        step: Duration::ZERO,
        rounds: MESSAGES,
    }),
];

fn main() {
    println!("{:<22}{:>12}{:>12}{:>16}{:>14}", "ns a message", "router", "on the CPU", "with its check", "on the CPU");
    let wanted = env::args().nth(1).unwrap_or_default();
    for (name, prepare) in KINDS.into_iter().filter(|(name, _)| name.contains(&wanted)) {
        let took = [false, true].map(|crypto| {
            let mut bench = Bench::new();
            let load = prepare(&mut bench);
            let before = bench.router.counters().drops;
            let took = bench.run(&load, crypto);
            let drops = bench.router.counters().drops;
            assert_eq!(drops.budget, before.budget, "{name}: within every budget");
            assert_eq!(
                (drops.stale, drops.full, drops.unknown_label, drops.unknown_seek),
                (before.stale, before.full, before.unknown_label, before.unknown_seek),
                "{name}: none is refused"
            );
            took
        });
        let [alone, checked] = took;
        println!("{name:<22}{:>12.0}{:>12.0}{:>16.0}{:>14.0}", alone.wall, alone.cpu, checked.wall, checked.cpu);
    }
}

//! Answers: a question that everybody answers, and what an attacker's bytes come back as.

use std::{cell::RefCell, rc::Rc, time::Duration};

use bytes::Bytes;
use mute_core::{
    Ecn, Event, Hop, Label, MessageId, PortId, Topic,
    wire::{Flood, Frame, Keep, KeepReport, Phase, Seek, SeekMode, Signed, Stamp, Verified},
};

use super::{Run, Silent, body, link, slow, with};
use crate::{
    App, Config, NETWORK, Network, NodeId, QueueKind, Record, Timer, Topology,
    traffic::{Flow, Source, Traffic, WindowParams},
    wire_bytes,
};

/// A node's upload in bytes a second: 5 Mbit/s.
const UPLOAD: u64 = 625_000;

/// Honest nodes, each of which answers every question in full.
const NODES: usize = 40;

/// The attacker's questions a second: within its budget, for they are short.
const ASKED: u32 = 40;

/// How long it asks.
const TIME: Duration = Duration::from_secs(20);

/// An answer's bytes.
const ANSWER: usize = 1000;

const ATTACKER: NodeId = NODES as NodeId;

/// What comes back for a Seek, to whoever sent it and nobody else: a Trail, and the Keeps of an end that waits for a first packet.
const SEEK_FACTOR: f64 = 3.0;

/// All nodes answer; a transfer runs.
struct Crowd {
    traffic: Traffic,
    asked: u64,
}

impl App for Crowd {
    fn event(&mut self, net: &mut Network, node: NodeId, port: PortId, event: Event) {
        if let Event::Heard { from, .. } = event {
            return net.letter(node, port, from, body(ANSWER));
        }
        self.traffic.event(net, node, port, &event);
    }

    fn timer(&mut self, net: &mut Network, timer: Timer) {
        if self.traffic.timer(net, timer) {
            return;
        }
        let stamp = stamp(net, self.asked);
        let key = net.key(ATTACKER, 10 + self.asked as u32);
        let message = Signed::<Flood, Verified>::sign(NETWORK, &key, stamp, Topic::of("greed"), b"?");
        if let (Some(link), Ok(message)) = (link(net, ATTACKER, 0), message) {
            let frame = Frame::Flood { phase: Phase::Counted(1), message };
            net.transmit(ATTACKER, link, Hop::Link(link), frame);
        }
        self.asked += 1;
        net.set_timer(Duration::from_secs(1) / ASKED, timer);
    }
}

fn stamp(net: &Network, random: u64) -> Stamp {
    Stamp { minute: (net.now().unix_s / 60) as u32, random }
}

/// What arrives of a transfer to the attacker's neighbour, by which all answers come, in bytes a second.
pub(super) fn goodput(run: Run, seed: u64) -> f64 {
    implosion(run, seed).0
}

/// That, and what reached the attacker's neighbour, of what the attacker sent, in bytes.
fn implosion(run: Run, seed: u64) -> (f64, f64) {
    let honest = Topology::random_regular(NODES, 4, seed);
    let edges = honest.edges.iter().copied().chain([(ATTACKER, 0)]);
    let reshape = with(run, |defences| defences.budgets = false);
    let queue = if run == Run::Undefended { QueueKind::FIFO } else { QueueKind::default() };
    let config = Config { upload: UPLOAD, reshape, queue, ..slow(seed, 0) };
    let mut net = Network::new(config, &Topology::joined(NODES + 1, edges));
    net.set_behaviour(ATTACKER, Some(Box::new(Silent)));
    for node in 1..NODES as NodeId {
        let (port, _) = net.open(node, 0);
        net.subscribe(node, port, Topic::of("greed"));
    }
    let mut crowd = Crowd { traffic: Traffic::new(seed), asked: 0 };
    let (port, _) = net.open(1, 1);
    let (_, to) = net.open(0, 1);
    let source = Source::Window(WindowParams::default());
    let flow = Flow { node: 1, port, to, download: false, source, packet: 1200, size: None };
    let id = crowd.traffic.start(&mut net, flow);
    net.run(&mut crowd, Duration::from_secs(10));
    let before = crowd.traffic.stats(id).goodput;
    let bytes: Rc<RefCell<[u64; 2]>> = Rc::default();
    let of_tap = Rc::clone(&bytes);
    let neighbours = honest.neighbours()[0].clone();
    net.tap = Some(Box::new(move |_, node, _, frame| {
        let length = wire_bytes(frame.encoded_len());
        match frame {
            Frame::Flood { .. } if node == ATTACKER => of_tap.borrow_mut()[0] += length,
            Frame::Letter { .. } if neighbours.contains(&node) => of_tap.borrow_mut()[1] += length,
            _ => {}
        }
    }));
    if run != Run::Quiet {
        net.set_timer(Duration::ZERO, Timer { component: 0, node: ATTACKER, token: 0 });
    }
    net.run(&mut crowd, Duration::from_secs(10) + TIME);
    let got = crowd.traffic.stats(id).goodput - before;
    let [sent, came] = *bytes.borrow();
    (got as f64 / TIME.as_secs_f64(), came as f64 / (sent.max(1)) as f64)
}

/// What one node sends for what an attacker sends it, in bytes on the wire.
pub(super) fn reflections(record: &mut Record, seed: u64) {
    for (name, run) in [("with budgets", Run::Defended), ("without", Run::Undefended)] {
        let (_, factor) = implosion(run, seed);
        record.figure(&format!("answers near the asker, of its bytes, {name}"), "", factor);
    }
    type Make = fn(&Network, u64) -> Option<Frame<Verified>>;
    let cases: [(&str, f64, Make); 3] = [
        ("Data without a trail, and Closes", 1.0, |_, number| {
            Some(Frame::Data { label: Label(number << 1), ecn: Ecn::Capable0, body: Bytes::from_static(b"x") })
        }),
        ("Keeps without a trail, and Closes", 1.0, |net, number| {
            let message = Signed::<Keep, Verified>::sign(
                NETWORK,
                &net.key(1, 1),
                stamp(net, number),
                MessageId([1; 16]),
                KeepReport { number: 1, ..KeepReport::default() },
            );
            Some(Frame::Keep { label: Label(number << 1), message: message.ok()? })
        }),
        ("Seeks, and Trails with their first Keeps", SEEK_FACTOR, |net, number| {
            let to = net.address(0, 0);
            let message =
                Signed::<Seek, Verified>::sign(NETWORK, &net.key(1, 1), stamp(net, number), to, &[9; 32]).ok()?;
            Some(Frame::Seek { mode: SeekMode::Flood(Phase::Counted(1)), message })
        }),
    ];
    for (name, bound, make) in cases {
        let (sent, came) = reflect(seed, make);
        record.figure(&format!("{name}: frames that came back"), "", came.1 as f64);
        record.check(&format!("{name}: something comes back"), came.1 > 0, format!("{} frames", came.1));
        record.at_most(&format!("{name}: bytes back for each byte"), "", came.0 as f64 / sent as f64, bound);
    }
}

/// Bytes that went to a node, and bytes and frames that came back within half a minute.
fn reflect(seed: u64, make: fn(&Network, u64) -> Option<Frame<Verified>>) -> (u64, (u64, u64)) {
    let mut net = Network::new(Config::new(seed), &Topology::line(2));
    net.set_behaviour(1, Some(Box::new(Silent)));
    net.open(0, 0);
    let back: Rc<RefCell<(u64, u64)>> = Rc::default();
    let of_tap = Rc::clone(&back);
    net.tap = Some(Box::new(move |_, node, _, frame| {
        // What an address that listens says by itself is no answer.
        if node == 0 && !matches!(frame, Frame::Walk { .. }) {
            let mut back = of_tap.borrow_mut();
            *back = (back.0 + wire_bytes(frame.encoded_len()), back.1 + 1);
        }
    }));
    let mut sent = 0;
    for number in 0..100 {
        if let (Some(link), Some(frame)) = (link(&net, 0, 1), make(&net, number)) {
            sent += wire_bytes(frame.encoded_len());
            net.deliver(0, link, frame);
        }
        net.rest(Duration::from_millis(50));
    }
    net.rest(Duration::from_secs(25));
    let back = *back.borrow();
    (sent, back)
}

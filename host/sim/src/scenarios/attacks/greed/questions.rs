//! A neighbour that floods: as many questions as its link carries.

use std::time::Duration;

use mute_core::{
    Event, PortId, Topic,
    wire::{Flood, Frame, Phase, Signed, Stamp, Verified},
};

use super::{Run, Silent, body, link, slow, with};
use crate::{
    App, Config, NETWORK, Network, NodeId, QueueKind, Timer, Topology,
    traffic::{Flow, Source, Traffic, WindowParams},
};

/// A node's upload in bytes a second: 5 Mbit/s.
const UPLOAD: u64 = 625_000;

/// Honest nodes, each with four neighbours; one more floods.
const NODES: usize = 24;

/// The attacker's questions a second, of a kilobyte: half of what its link carries.
const ASKED: u32 = 300;

/// Until the bystander's transfer is at its pace.
const PEACE: Duration = Duration::from_secs(10);

/// How long it floods: long after its budget's burst is spent.
const TIME: Duration = Duration::from_secs(20);

/// What floods, and what runs meanwhile.
struct Questions {
    traffic: Traffic,
    attacker: NodeId,
    asked: u64,
}

/// The share of honest nodes' upload that the floods leave.
pub(super) fn left(run: Run, seed: u64) -> f64 {
    flood(run, seed, false).1
}

/// What arrives of the bystander's transfer, in bytes a second.
pub(super) fn goodput(run: Run, seed: u64) -> f64 {
    flood(run, seed, true).0
}

fn flood(run: Run, seed: u64, transfer: bool) -> (f64, f64) {
    let honest = Topology::random_regular(NODES, 4, seed);
    let attacker = NODES as NodeId;
    let edges = honest.edges.iter().copied().chain([(attacker, 0)]);
    let reshape = with(run, |defences| defences.budgets = false);
    let queue = if run == Run::Undefended && transfer { QueueKind::FIFO } else { QueueKind::default() };
    let config = Config { upload: UPLOAD, reshape, queue, ..slow(seed, 0) };
    let mut net = Network::new(config, &Topology::joined(NODES + 1, edges));
    net.set_behaviour(attacker, Some(Box::new(Silent)));
    let mut questions = Questions { traffic: Traffic::new(seed), attacker, asked: 0 };
    let flow = transfer.then(|| {
        let (port, _) = net.open(1, 1);
        let (_, to) = net.open(2, 1);
        let source = Source::Window(WindowParams::default());
        let flow = Flow { node: 1, port, to, download: false, source, packet: 1200, size: None };
        questions.traffic.start(&mut net, flow)
    });
    net.run(&mut questions, PEACE);
    let got = |questions: &Questions| flow.map_or(0, |id| questions.traffic.stats(id).goodput);
    let sent = |net: &Network| (0..NODES as NodeId).map(|node| net.sent_by(node).sent).sum::<u64>();
    let before = (got(&questions), sent(&net));
    if run != Run::Quiet {
        net.set_timer(Duration::ZERO, Timer { component: 0, node: attacker, token: 0 });
    }
    net.run(&mut questions, PEACE + TIME);
    let (got, sent) = (got(&questions) - before.0, sent(&net) - before.1);
    let seconds = TIME.as_secs_f64();
    (got as f64 / seconds, 1.0 - sent as f64 / (UPLOAD as f64 * NODES as f64 * seconds))
}

impl Questions {
    /// The attacker's neighbour hears one more question, which has only begun to spread.
    fn flood(&mut self, net: &mut Network) {
        let stamp = Stamp { minute: (net.now().unix_s / 60) as u32, random: self.asked };
        let key = net.key(self.attacker, 10 + self.asked as u32);
        let Some(link) = link(net, self.attacker, 0) else {
            return;
        };
        if let Ok(message) = Signed::<Flood, Verified>::sign(NETWORK, &key, stamp, Topic::of("noise"), &body(1000)) {
            let frame = Frame::Flood { phase: Phase::Counted(1), message };
            net.transmit(self.attacker, link, mute_core::Hop::Link(link), frame);
        }
        self.asked += 1;
    }
}

impl App for Questions {
    fn event(&mut self, net: &mut Network, node: NodeId, port: PortId, event: Event) {
        self.traffic.event(net, node, port, &event);
    }

    fn timer(&mut self, net: &mut Network, timer: Timer) {
        if !self.traffic.timer(net, timer) {
            self.flood(net);
            net.set_timer(Duration::from_secs(1) / ASKED, timer);
        }
    }
}

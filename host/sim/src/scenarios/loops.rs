//! `loops`: each node of a ring has scent of one address through the next one only, and the address is gone. What is sent for it must not go
//! round.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use clap::Args;
use mute_core::{
    Defences, Input, LinkId, MessageId, PortId, Profile,
    wire::{Frame, Letter, Seek, SeekMode, Signed, Stamp, Verified},
};
use serde::Serialize;

use crate::{Config, NETWORK, Network, NodeId, Random, Record, Topology};

/// The arguments of `loops`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Loops {
    /// Nodes of the ring.
    #[arg(long, default_value_t = 50)]
    pub nodes: usize,
    /// Letters, and as many directed Seeks.
    #[arg(long, default_value_t = 1000)]
    pub messages: usize,
    /// Over how many seconds they are sent. (A second's worth is within each neighbour's budget when it is 100; in a shorter time budgets
    /// end some.)
    #[arg(long, default_value_t = 100)]
    pub seconds: u64,
    /// Every copy of a letter goes on, to see what the rule that only the first does is worth.
    #[arg(long)]
    pub every_copy: bool,
}

/// How long after it was sent a message may still move.
const SILENT_AFTER: Duration = Duration::from_secs(5);

/// What is on the ring: where each message was sent, and when first and last.
#[derive(Default)]
struct Seen {
    sent: BTreeMap<(MessageId, NodeId), Vec<LinkId>>,
    times: BTreeMap<MessageId, [Duration; 2]>,
}

impl Loops {
    /// Runs it.
    pub fn run(&self, seed: u64) -> Record {
        let mut record = Record::new("loops", self, seed);
        let mut config = Config::new(seed);
        if self.every_copy {
            let shape = Profile::Fast.shape();
            config.reshape = Some(Rc::new(move |_| (shape, Defences { take_once: false, ..Defences::default() })));
        }
        let mut net = Network::new(config, &Topology::ring(self.nodes));
        let ports: Vec<PortId> = (0..self.nodes as NodeId).map(|node| net.open(node, 0).0).collect();
        let gone = net.key(0, 1);
        self.lay_ring(&mut net, &gone);

        let seen = Rc::new(RefCell::new(Seen::default()));
        let of_tap = Rc::clone(&seen);
        let target = gone.address();
        net.tap = Some(Box::new(move |at, node, link, frame| {
            let id = match frame {
                Frame::Letter { message } if message.to() == target => message.id(),
                Frame::Seek { message, mode: SeekMode::Directed } if message.target() == target => message.id(),
                _ => return,
            };
            let mut seen = of_tap.borrow_mut();
            seen.sent.entry((id, node)).or_default().push(link);
            seen.times.entry(id).or_insert([at, at])[1] = at;
        }));
        let mut random = Random::new(seed, "loops");
        let step = Duration::from_secs(self.seconds) / self.messages.max(1) as u32;
        for message in 0..self.messages {
            let node = random.below(self.nodes) as NodeId;
            net.letter(node, ports[node as usize], target, vec![0; 64]);
            let node = random.below(self.nodes) as NodeId;
            self.seek(&mut net, node, message as u64, target);
            net.rest(step);
        }
        let stopped = net.clock();
        net.rest(SILENT_AFTER);
        let at_silence = net.stats().frames;
        net.rest(Duration::from_secs(60));
        self.judge(&mut record, &net, &seen.borrow(), stopped, at_silence);
        net.tap = None;
        net.finish();
        record.network(&net);
        record
    }

    /// At each node a message of the address comes from the next one of the ring, so that the address's only scent leads there.
    fn lay_ring(&self, net: &mut Network, gone: &mute_core::IdentityKey) {
        for node in 0..self.nodes as NodeId {
            let next = (node + 1) % self.nodes as NodeId;
            let Some((_, link)) = net.links(node).into_iter().find(|(neighbour, _)| *neighbour == next) else {
                continue;
            };
            let stamp = Stamp { minute: (net.now().unix_s / 60) as u32, random: u64::from(node) };
            let nowhere = net.address(node, 2);
            if let Ok(message) = Signed::<Letter, Verified>::sign(NETWORK, gone, stamp, nowhere, b"scent") {
                net.deliver(node, link, Frame::Letter { message });
            }
        }
        net.rest(Duration::from_secs(1));
    }

    /// A neighbour's directed Seek reaches a node: as if it came from the one before it on the ring.
    fn seek(&self, net: &mut Network, node: NodeId, number: u64, target: mute_core::Address) {
        let before = (node + self.nodes as NodeId - 1) % self.nodes as NodeId;
        let Some((_, link)) = net.links(node).into_iter().find(|(neighbour, _)| *neighbour == before) else {
            return;
        };
        let stamp = Stamp { minute: (net.now().unix_s / 60) as u32, random: number };
        let seeker = net.key(before, 3);
        if let Ok(message) = Signed::<Seek, Verified>::sign(NETWORK, &seeker, stamp, target, &[9; 32]) {
            net.input(node, Input::Frame { link, frame: Frame::Seek { mode: SeekMode::Directed, message } });
        }
    }

    fn judge(&self, record: &mut Record, net: &Network, seen: &Seen, stopped: Duration, at_silence: u64) {
        let most = seen.sent.values().map(Vec::len).max().unwrap_or(0);
        let longest = seen.times.values().map(|[first, last]| last.saturating_sub(*first)).max().unwrap_or_default();
        let last = seen.times.values().map(|[_, last]| *last).max().unwrap_or_default();
        let hops = seen.sent.values().map(Vec::len).sum::<usize>() as f64 / seen.times.len().max(1) as f64;
        let drops = (0..self.nodes as NodeId).filter_map(|node| net.router(node)).map(|router| router.counters().drops);
        let (budget, duplicate) =
            drops.fold((0, 0), |(budget, duplicate), drops| (budget + drops.budget, duplicate + drops.duplicate));
        record.figure("messages that moved", "", seen.times.len() as f64);
        record.figure("hops of a message", "", hops);
        record.figure("ended as duplicates", "", duplicate as f64);
        record.figure("ended by a budget", "", budget as f64);
        record.at_most("sendings of one message by one node", "", most as f64, 1.0);
        record.at_most("a message's life", "s", longest.as_secs_f64(), SILENT_AFTER.as_secs_f64());
        record.at_most(
            "silence after the last message",
            "s",
            last.saturating_sub(stopped).as_secs_f64(),
            SILENT_AFTER.as_secs_f64(),
        );
        record.exactly("frames in the minute after", "", (net.stats().frames - at_silence) as f64, 0.0);
        let moved = seen.times.len() + budget as usize >= 2 * self.messages;
        record.check("every message was sent on", moved, format!("{} of {}", seen.times.len(), 2 * self.messages));
    }
}

//! `bench`: how fast the engine is, and how large a node.

use std::time::Duration;

use clap::Args;
use mute_core::{ConnectionId, Event, PortId, Role, Topic, TrailId};
use serde::Serialize;

use crate::{App, Config, Kind, Network, NodeId, PACKET_OVERHEAD, Random, Record, Topology};

/// The arguments of `bench`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Bench {
    /// Nodes.
    #[arg(long, default_value_t = 10_000)]
    pub nodes: usize,
    /// Links of a node.
    #[arg(long, default_value_t = 8)]
    pub degree: usize,
    /// The graph.
    #[arg(long, value_enum, default_value_t = Kind::RandomRegular)]
    pub topology: Kind,
    /// Floods, one each tenth of a second.
    #[arg(long, default_value_t = 20)]
    pub floods: usize,
    /// Connections, one each tenth of a second.
    #[arg(long, default_value_t = 20)]
    pub connections: usize,
    /// Queues that hold nothing keep no memory, as large networks need it.
    #[arg(long)]
    pub lean: bool,
    /// Packets of 1,200 bytes that each connection then sends, one each ten milliseconds.
    #[arg(long, default_value_t = 1000)]
    pub packets: u32,
}

/// Counts what arrives, and sends packets on trails.
#[derive(Default)]
struct Load {
    heard: u64,
    opened: u64,
    received: u64,
    trails: Vec<(NodeId, TrailId, u32)>,
}

impl App for Load {
    fn event(&mut self, _net: &mut Network, node: NodeId, _port: PortId, event: Event) {
        match event {
            Event::Heard { .. } => self.heard += 1,
            Event::Data { .. } => self.received += 1,
            Event::TrailOpened { trail, role: Role::Seeker { connection: ConnectionId(_) }, .. } => {
                self.opened += 1;
                self.trails.push((node, trail, 0));
            }
            _ => {}
        }
    }
}

impl Load {
    /// Sends a packet on each trail that has some left.
    fn send(&mut self, net: &mut Network, packets: u32) -> bool {
        let mut any = false;
        for (node, trail, sent) in &mut self.trails {
            if *sent < packets {
                *sent += 1;
                any = true;
                net.send_data(*node, *trail, vec![0; 1200]);
            }
        }
        any
    }
}

impl Bench {
    /// Runs it.
    pub fn run(&self, seed: u64) -> Record {
        let mut record = Record::new("bench", self, seed);
        let topology = Topology::of_kind(self.topology, self.nodes, self.degree, seed);
        let empty = resident();
        let mut net = Network::new(Config { lean_queues: self.lean, ..Config::new(seed) }, &topology);
        let mut load = Load::default();
        let mut random = Random::new(seed, "bench");
        let topic = Topic::of("bench");
        let ports: Vec<_> = (0..self.nodes as NodeId).map(|node| net.open(node, 0)).collect();
        for (node, (port, _)) in ports.iter().enumerate() {
            net.subscribe(node as NodeId, *port, topic);
        }
        let per_node = |bytes: u64| bytes as f64 / self.nodes as f64;
        record.machine("idle node with its links", "bytes", per_node(resident().saturating_sub(empty)));
        record.figure("overhead of a packet", "bytes", PACKET_OVERHEAD as f64);

        let mut phase = Phase::start(&net);
        for _ in 0..self.floods {
            let node = random.below(self.nodes) as NodeId;
            net.broadcast(node, ports[node as usize].0, topic, vec![0; 200]);
            pass(&mut net, &mut load, 100);
        }
        pass(&mut net, &mut load, 5000);
        phase.end(&net, &mut record, "floods");
        record.figure("nodes that hear a flood", "share", load.heard as f64 / (self.floods * (self.nodes - 1)) as f64);

        phase = Phase::start(&net);
        for _ in 0..self.connections {
            let (from, to) = (random.below(self.nodes) as NodeId, random.below(self.nodes));
            net.connect(from, ports[from as usize].0, ports[to].1);
            pass(&mut net, &mut load, 100);
        }
        pass(&mut net, &mut load, 10_000);
        phase.end(&net, &mut record, "connecting");
        record.figure("connections laid", "share", load.opened as f64 / self.connections as f64);

        phase = Phase::start(&net);
        while load.send(&mut net, self.packets) {
            pass(&mut net, &mut load, 10);
        }
        pass(&mut net, &mut load, 5000);
        phase.end(&net, &mut record, "packets");
        let sent = load.opened as f64 * f64::from(self.packets);
        record.figure("packets delivered", "share", load.received as f64 / sent.max(1.0));
        record.figure("events", "", net.stats().events as f64);
        record.figure("events ahead at most", "", net.stats().most_ahead as f64);
        record.machine("node after it", "bytes", per_node(resident().saturating_sub(empty)));
        net.finish();
        record.network(&net);
        record
    }
}

fn pass(net: &mut Network, load: &mut Load, ms: u64) {
    let until = net.clock() + Duration::from_millis(ms);
    net.run(load, until);
}

/// A stretch of a run, measured.
struct Phase {
    /// Seconds on a processor, so that others on the machine do not count.
    cpu: f64,
    events: u64,
    frames: u64,
}

impl Phase {
    fn start(net: &Network) -> Self {
        Self { cpu: cpu_seconds(), events: net.stats().events, frames: net.stats().frames }
    }

    fn end(&self, net: &Network, record: &mut Record, what: &str) {
        let seconds = (cpu_seconds() - self.cpu).max(1e-9);
        let (events, frames) = (net.stats().events - self.events, net.stats().frames - self.frames);
        record.figure(&format!("{what}: frames"), "", frames as f64);
        record.machine(&format!("{what}: processor"), "s", seconds);
        record.machine(&format!("{what}: events"), "/s", events as f64 / seconds);
        record.machine(&format!("{what}: a frame"), "ns", seconds * 1e9 / frames.max(1) as f64);
    }
}

/// This process's resident memory in bytes; 0 where the system does not say.
pub(crate) fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
}

/// Seconds that this process's main thread has been on a processor; 0 where the system does not say.
pub(crate) fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    stat.split_whitespace().next().and_then(|ns| ns.parse::<u64>().ok()).map_or(0.0, |ns| ns as f64 / 1e9)
}

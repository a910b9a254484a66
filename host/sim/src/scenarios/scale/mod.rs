//! `scale`: floods and connections in networks of 10² to 10⁵ nodes: what grows with the network, and what does not.

mod report;

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use clap::Args;
use mute_core::{Event, PortId, Role, Topic};
use serde::Serialize;

pub use super::crowd::rules::{End, Find, Rules, Start};
use super::{
    bench::resident,
    crowd::{
        Crowd, Made,
        connect::Connecting,
        held::{Held, held},
        meter::{Meter, probe_number},
    },
};
use crate::{App, Config, Kind, LinkParams, Network, NodeId, Record, Timer, Topology};
use report::judge;

/// The arguments of `scale`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Scale {
    /// Nodes.
    #[arg(long, default_value_t = 1000)]
    pub nodes: usize,
    /// The graph.
    #[arg(long, value_enum, default_value_t = Kind::RandomRegular)]
    pub topology: Kind,
    /// Links of a node on average.
    #[arg(long, default_value_t = 8)]
    pub degree: usize,
    /// Floods in all.
    #[arg(long, default_value_t = 100)]
    pub floods: usize,
    /// Connections in all, each from a node by chance to another.
    #[arg(long, default_value_t = 1000)]
    pub connections: usize,
    /// Identities that listen, and so can be connected to. (All walk where addresses are found so; that many show what it takes.)
    #[arg(long, default_value_t = 1000)]
    pub listening: usize,
    /// Minutes over which all is spread, so that what it leaves in routers (rows for ten minutes, seeks for one) expires as in life.
    #[arg(long, default_value_t = 20)]
    pub minutes: u64,
    /// The share of frames that are lost on a link and sent again.
    #[arg(long, default_value_t = 0.01)]
    pub loss: f64,
    /// Nobody comes or goes. (Otherwise nodes do, with sessions from a Weibull law of shape 0.38 and mean 42.4 minutes.)
    #[arg(long)]
    pub steady: bool,
    /// What the routers do.
    #[command(flatten)]
    #[serde(flatten)]
    pub rules: Rules,
}

/// When the first flood starts: identities that listen have walked.
pub(super) const WARM_UP: Duration = Duration::from_secs(10);

/// How long a connection may take, and how long the last of everything is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a connection is kept, for its probe to arrive.
const KEPT: Duration = Duration::from_secs(10);

/// Bytes of a question.
const QUESTION: usize = 100;

/// A flood.
pub(super) struct Asked {
    pub(super) at: Duration,
    /// Nodes that ran then, but the one that asked.
    pub(super) others: u64,
    pub(super) heard: u64,
    pub(super) last: Duration,
}

/// The run.
pub(super) struct Run {
    crowd: Crowd,
    topic: Topic,
    listening: usize,
    pub(super) asked: Vec<Asked>,
    pub(super) connecting: Connecting,
    pub(super) arrived: u64,
    pub(super) held: Vec<Held>,
    pub(super) meter: Rc<Meter>,
}

/// What the run's own timers are for.
const ASK: u16 = 1;
const CONNECT: u16 = 2;
const GIVE_UP: u16 = 3;
const LET_GO: u16 = 4;
const SAMPLE: u16 = 5;

impl App for Run {
    fn event(&mut self, net: &mut Network, node: NodeId, _port: PortId, event: Event) {
        match event {
            Event::Heard { body, .. } => {
                let number = body.first_chunk().map(|number| u64::from_be_bytes(*number) as usize);
                if let Some(asked) = number.and_then(|number| self.asked.get_mut(number)) {
                    asked.heard += 1;
                    asked.last = net.clock();
                }
            }
            Event::TrailOpened { trail, role: Role::Seeker { connection }, .. } => {
                if let Some(number) = self.connecting.laid(net, connection, trail) {
                    net.set_timer(KEPT, Timer { component: LET_GO, node, token: number as u64 });
                }
            }
            Event::ConnectFailed { connection, .. } => self.connecting.failed(net, &self.crowd, connection),
            Event::Data { body, .. } => self.arrived += u64::from(probe_number(&body).is_some()),
            _ => {}
        }
    }

    fn timer(&mut self, net: &mut Network, timer: Timer) {
        let number = timer.token as usize;
        match timer.component {
            ASK => self.ask(net),
            CONNECT => self.connect(net),
            GIVE_UP => self.connecting.give_up(net, &self.crowd, number),
            LET_GO => self.connecting.let_go(net, number),
            SAMPLE => {
                self.held.push(held(net));
                net.set_timer(Duration::from_secs(60), timer);
            }
            _ => self.crowd.timer(net, timer),
        }
    }

    fn started(&mut self, net: &mut Network, node: NodeId) {
        self.crowd.started(net, node);
    }

    fn stopped(&mut self, net: &mut Network, node: NodeId) {
        self.crowd.stopped(net, node);
    }
}

impl Run {
    fn ask(&mut self, net: &mut Network) {
        let from = self.crowd.somebody(net, net.len()).node;
        let mut body = vec![0; QUESTION];
        body[..8].copy_from_slice(&(self.asked.len() as u64).to_be_bytes());
        let others = self.crowd.running() - 1;
        self.asked.push(Asked { at: net.clock(), others, heard: 0, last: net.clock() });
        net.broadcast(from, self.crowd.port(from), self.topic, body);
    }

    fn connect(&mut self, net: &mut Network) {
        let to = self.crowd.somebody(net, self.listening);
        let from = loop {
            let from = self.crowd.somebody(net, net.len());
            if from != to {
                break from;
            }
        };
        let number = self.connecting.connect(net, &self.crowd, from, to);
        net.set_timer(PATIENCE, Timer { component: GIVE_UP, node: from.node, token: number as u64 });
    }
}

impl Scale {
    /// Runs it.
    pub fn run(&self, seed: u64) -> Record {
        let mut record = Record::new("scale", self, seed);
        let started = Instant::now();
        let topology = Topology::of_kind(self.topology, self.nodes, self.degree, seed);
        let link = LinkParams { loss: self.loss, ..LinkParams::default() };
        let config = Config { link, lean_queues: true, router: Some(self.rules.configure()), ..Config::new(seed) };
        let mut net = Network::new(config, &topology);
        let (topic, listening) = (Topic::of("scale"), self.listening.min(self.nodes));
        let made = Made { topology: &topology, link, topic, listening, churn: !self.steady, seed };
        let mut run = Run {
            meter: Meter::on(&mut net),
            crowd: Crowd::new(&mut net, &made),
            topic,
            listening,
            asked: Vec::new(),
            connecting: Connecting::new(self.nodes),
            arrived: 0,
            held: Vec::new(),
        };
        drop(topology);
        let idle = resident();
        let span = Duration::from_secs(60 * self.minutes);
        for (component, count) in [(ASK, self.floods), (CONNECT, self.connections)] {
            for number in 0..count as u32 {
                net.set_timer(WARM_UP + span * number / count as u32, Timer { component, node: 0, token: 0 });
            }
        }
        net.set_timer(WARM_UP, Timer { component: SAMPLE, node: 0, token: 0 });
        net.run(&mut run, WARM_UP + span + PATIENCE);
        judge(self, &mut record, &net, &run);
        let seconds = started.elapsed().as_secs_f64();
        record.machine("time", "s", seconds);
        record.machine("events", "/s", net.stats().events as f64 / seconds);
        record.machine("memory when idle, per node", "bytes", idle as f64 / self.nodes as f64);
        record.machine("memory at the end, per node", "bytes", resident() as f64 / self.nodes as f64);
        record.machine("memory at the end, in all", "GiB", resident() as f64 / (1u64 << 30) as f64);
        net.tap = None;
        net.finish();
        record.network(&net);
        record
    }
}

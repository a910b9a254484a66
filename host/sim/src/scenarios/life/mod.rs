//! `life`: what people do with a network on an ordinary day, all at once: searches that are answered, and talks with contacts.

mod report;

use std::{
    collections::BTreeMap,
    rc::Rc,
    time::{Duration, Instant},
};

use clap::Args;
use mute_core::{Address, Event, PortId, Role, Topic, TrailId};
use serde::Serialize;

use super::{
    bench::resident,
    crowd::{
        Crowd, Made, Session,
        connect::{Connecting, Outcome},
        held::{Held, held},
        meter::{Amount, Kind as Traffic, Meter},
        rules::Rules,
    },
};
use crate::{App, Config, Kind, LinkParams, Network, NodeId, Random, Record, Timer, Topology};
use report::judge;

/// The arguments of `life`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Life {
    /// Nodes.
    #[arg(long, default_value_t = 10_000)]
    pub nodes: usize,
    /// The graph.
    #[arg(long, value_enum, default_value_t = Kind::RandomRegular)]
    pub topology: Kind,
    /// Links of a node on average.
    #[arg(long, default_value_t = 8)]
    pub degree: usize,
    /// Seconds of life that are measured.
    #[arg(long, default_value_t = 120)]
    pub seconds: u64,
    /// Seconds of it before that, in which nothing is counted.
    #[arg(long, default_value_t = 10)]
    pub before: u64,
    /// Searches of a node in ten minutes.
    #[arg(long, default_value_t = 1.0)]
    pub searches: f64,
    /// Connections of a node in ten minutes, each with one of its contacts.
    #[arg(long, default_value_t = 2.0)]
    pub connections: f64,
    /// Contacts of a node.
    #[arg(long, default_value_t = 20)]
    pub contacts: u64,
    /// Nodes that answer a search, on average.
    #[arg(long, default_value_t = 5.0)]
    pub answers: f64,
    /// Messages that each side of a connection sends, one each second, in turn.
    #[arg(long, default_value_t = 10)]
    pub messages: u32,
    /// What all links of a node share, in bytes a second.
    #[arg(long, default_value_t = 1_250_000)]
    pub upload: u64,
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

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long after the last began what is still under way is waited for.
const AFTER: Duration = Duration::from_secs(65);

/// Bytes of a question, of an answer to it, and of a message with its seal: the smallest size class.
const QUESTION: usize = 100;
const ANSWER: usize = 300;
const MESSAGE: usize = 256;

/// A search.
pub(super) struct Search {
    from: Session,
    at: Duration,
    pub(super) others: u64,
    pub(super) heard: u64,
    pub(super) answered: u64,
    /// Seconds until each answer came.
    pub(super) answers: Vec<f64>,
    /// Whether its answers are counted: it fell into the measured time, and who asked stayed.
    pub(super) counts: bool,
}

/// A talk on a connection: messages sent by the seeker, heard by the owner, answered, and the answers heard.
#[derive(Clone, Copy, Default)]
pub(super) struct Talk {
    seeker: Option<TrailId>,
    pub(super) sent: u32,
    pub(super) heard: u32,
    pub(super) answered: u32,
    pub(super) back: u32,
    /// Whether it is counted: neither left before it was over.
    pub(super) counts: bool,
}

/// The run.
pub(super) struct Run {
    life: Life,
    topic: Topic,
    crowd: Crowd,
    seed: u64,
    pub(super) searches: Vec<Search>,
    pub(super) connecting: Connecting,
    pub(super) talks: Vec<Talk>,
    /// Which talk a node's trail belongs to.
    trails: BTreeMap<(NodeId, TrailId), usize>,
    pub(super) first_measured: [usize; 2],
    over: bool,
    pub(super) meter: Rc<Meter>,
    pub(super) before: [Amount; Traffic::ALL.len()],
    pub(super) during: [Amount; Traffic::ALL.len()],
    pub(super) held: Held,
    pub(super) running: u64,
}

/// What the run's own timers are for.
const SEARCH: u16 = 1;
const CONNECT: u16 = 2;
const GIVE_UP: u16 = 3;
const SPEAK: u16 = 4;
const BEGIN: u16 = 5;
const END: u16 = 6;

impl App for Run {
    fn event(&mut self, net: &mut Network, node: NodeId, port: PortId, event: Event) {
        match event {
            Event::Heard { from, body, .. } => self.heard(net, node, port, from, &body),
            Event::Letter { sealed, .. } => {
                if let Some(search) = number(&sealed).and_then(|number| self.searches.get_mut(number)) {
                    search.answers.push((net.clock() - search.at).as_secs_f64());
                }
            }
            Event::TrailOpened { trail, role: Role::Seeker { connection }, .. } => {
                if let Some(number) = self.connecting.laid(net, connection, trail) {
                    self.talks[number].seeker = Some(trail);
                    self.trails.insert((node, trail), number);
                    net.set_timer(Duration::from_secs(1), Timer { component: SPEAK, node, token: number as u64 });
                }
            }
            Event::ConnectFailed { connection, .. } => self.connecting.failed(net, &self.crowd, connection),
            Event::Data { trail, body, .. } => self.message(net, node, trail, &body),
            Event::TrailClosed { trail, .. } => _ = self.trails.remove(&(node, trail)),
            Event::TrailOpened { .. } => {}
        }
    }

    fn timer(&mut self, net: &mut Network, timer: Timer) {
        let number = timer.token as usize;
        match timer.component {
            SEARCH => self.search(net),
            CONNECT => self.connect(net),
            GIVE_UP => self.connecting.give_up(net, &self.crowd, number),
            SPEAK => self.speak(net, number),
            BEGIN => {
                self.before = self.meter.all();
                self.first_measured = [self.searches.len(), self.connecting.attempts.len()];
            }
            END => {
                self.over = true;
                self.during = self.meter.all();
                for (during, before) in self.during.iter_mut().zip(self.before) {
                    *during = *during - before;
                }
                (self.held, self.running) = (held(net), self.crowd.running());
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
    /// Sets the timer of the next event of a kind that each node has so often in ten minutes.
    fn again(&mut self, net: &mut Network, component: u16, in_ten_minutes: f64) {
        if !self.over && in_ten_minutes > 0.0 {
            let after = self.crowd.next(in_ten_minutes * net.len() as f64 / 600.0);
            net.set_timer(after, Timer { component, node: 0, token: 0 });
        }
    }

    fn search(&mut self, net: &mut Network) {
        let from = self.crowd.somebody(net, net.len());
        let body = numbered(self.searches.len(), QUESTION);
        let others = self.crowd.running() - 1;
        let at = net.clock();
        self.searches.push(Search { from, at, others, heard: 0, answered: 0, answers: Vec::new(), counts: true });
        net.broadcast(from.node, self.crowd.port(from.node), self.topic, body);
        self.again(net, SEARCH, self.life.searches);
    }

    fn heard(&mut self, net: &mut Network, node: NodeId, port: PortId, from: Address, body: &[u8]) {
        let Some(number) = number(body) else {
            return;
        };
        let Some(search) = self.searches.get_mut(number) else {
            return;
        };
        search.heard += 1;
        if self.crowd.random().chance(self.life.answers / net.len() as f64) {
            search.answered += 1;
            net.letter(node, port, from, numbered(number, ANSWER));
        }
    }

    /// A node connects to one of its contacts that runs. (Whose contacts are all away does something else.)
    fn connect(&mut self, net: &mut Network) {
        let from = self.crowd.somebody(net, net.len());
        let first = self.crowd.random().below(self.life.contacts as usize) as u64;
        let contact = |number: u64| {
            let name = u64::from(from.node) << 16 | number;
            Random::numbered(self.seed, "contact", name).below(net.len()) as NodeId
        };
        let mut contacts = (0..self.life.contacts).map(|turn| contact((first + turn) % self.life.contacts));
        if let Some(to) = contacts.find(|to| net.runs(*to) && *to != from.node) {
            let to = self.crowd.session(to);
            let number = self.connecting.connect(net, &self.crowd, from, to);
            self.talks.push(Talk::default());
            net.set_timer(PATIENCE, Timer { component: GIVE_UP, node: from.node, token: number as u64 });
        }
        self.again(net, CONNECT, self.life.connections);
    }

    /// The seeker's next message, or the end of the talk.
    fn speak(&mut self, net: &mut Network, number: usize) {
        let attempt = &self.connecting.attempts[number];
        let node = attempt.from.node;
        let stayed = self.crowd.stayed(net, attempt.from) && self.crowd.stayed(net, attempt.to);
        let talk = &mut self.talks[number];
        if !stayed {
            return;
        }
        if talk.sent == self.life.messages {
            talk.counts = true;
            return self.connecting.let_go(net, number);
        }
        talk.sent += 1;
        if let Some(trail) = talk.seeker {
            net.send_data(node, trail, numbered(number, MESSAGE));
        }
        net.set_timer(Duration::from_secs(1), Timer { component: SPEAK, node, token: number as u64 });
    }

    fn message(&mut self, net: &mut Network, node: NodeId, trail: TrailId, body: &[u8]) {
        let Some(number) = number(body).filter(|number| *number < self.talks.len()) else {
            return;
        };
        let talk = &mut self.talks[number];
        if self.trails.get(&(node, trail)) == Some(&number) {
            talk.back += 1;
        } else {
            talk.heard += 1;
            talk.answered += 1;
            net.send_data(node, trail, numbered(number, MESSAGE));
        }
    }

    /// Whose answers and talks count, now that all is over.
    fn close(&mut self, net: &Network) {
        for search in &mut self.searches[..self.first_measured[0]] {
            search.counts = false;
        }
        for search in &mut self.searches {
            search.counts &= self.crowd.stayed(net, search.from);
        }
        for (number, talk) in self.talks.iter_mut().enumerate() {
            let laid = matches!(self.connecting.attempts[number].outcome, Outcome::Laid { .. });
            talk.counts &= laid && number >= self.first_measured[1];
        }
    }
}

/// A body of this length that holds a number.
fn numbered(number: usize, length: usize) -> Vec<u8> {
    let mut body = vec![0; length];
    body[..8].copy_from_slice(&(number as u64).to_be_bytes());
    body
}

/// A body's number; `None`: it is a probe, or too short.
fn number(body: &[u8]) -> Option<usize> {
    usize::try_from(u64::from_be_bytes(*body.first_chunk()?)).ok().filter(|number| *number < u32::MAX as usize)
}

impl Life {
    /// Runs it.
    pub fn run(&self, seed: u64) -> Record {
        let mut record = Record::new("life", self, seed);
        let started = Instant::now();
        let topology = Topology::of_kind(self.topology, self.nodes, self.degree, seed);
        let link = LinkParams { loss: self.loss, rate: 0, ..LinkParams::default() };
        let router = Some(self.rules.configure());
        let mut net = Network::new(
            Config { link, upload: self.upload, lean_queues: true, router, ..Config::new(seed) },
            &topology,
        );
        let topic = Topic::of("life");
        let made = Made { topology: &topology, link, topic, listening: self.nodes, churn: !self.steady, seed };
        let mut run = Run {
            life: self.clone(),
            topic,
            meter: Meter::on(&mut net),
            crowd: Crowd::new(&mut net, &made),
            seed,
            searches: Vec::new(),
            connecting: Connecting::new(self.nodes),
            talks: Vec::new(),
            trails: BTreeMap::new(),
            first_measured: [0; 2],
            over: false,
            before: [Amount::default(); Traffic::ALL.len()],
            during: [Amount::default(); Traffic::ALL.len()],
            held: Held::default(),
            running: 0,
        };
        // Identities walk when they begin to listen; that burst is over when life begins.
        let quiet = Duration::from_secs(5);
        net.run(&mut run, quiet);
        run.again(&mut net, SEARCH, self.searches);
        run.again(&mut net, CONNECT, self.connections);
        let begin = Duration::from_secs(self.before);
        let end = begin + Duration::from_secs(self.seconds);
        for (component, after) in [(BEGIN, begin), (END, end)] {
            net.set_timer(after, Timer { component, node: 0, token: 0 });
        }
        net.run(&mut run, quiet + end + AFTER);
        run.close(&net);
        judge(self, &mut record, &net, &run);
        let seconds = started.elapsed().as_secs_f64();
        record.machine("time", "s", seconds);
        record.machine("events", "/s", net.stats().events as f64 / seconds);
        record.machine("memory, per node", "bytes", resident() as f64 / self.nodes as f64);
        net.tap = None;
        net.finish();
        record.network(&net);
        record
    }
}

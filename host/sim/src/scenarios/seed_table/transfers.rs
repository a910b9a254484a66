//! Transfers that begin by themselves, look at what they get, and give up where that is too little.
//!
//! A *want* is a node that wants one file at a constant rate, and the sources that have it. It asks the first source and looks at what comes: as soon as
//! too much is missing of the first seconds it gives up, and asks the next source later; after the last, no more. One that runs is patient: after each minute
//! with too little it gives up one time in four, so that of those who are behind together not all leave. So the network fills by itself: nobody knows its
//! state, and nobody is told to stop.

use std::time::Duration;

use mute_core::{Address, Event, PortId, Role};

use super::{RATE, RUNS, SeedTable};
use crate::{
    App, Network, NodeId, Random, Record, Timer, Ways,
    stats::{quantile, sorted},
    traffic::{Flow, FlowId, Source, Traffic},
};

/// How long a source's first packet is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a new source is tried.
const TRIAL: Duration = Duration::from_secs(20);

/// How long each later look takes.
const LOOK: Duration = Duration::from_secs(60);

/// The probability that a bad later look ends a transfer.
const IMPATIENCE: f64 = 0.25;

/// How often the first packet is looked for, and a new source is judged.
const POLL: Duration = Duration::from_secs(1);

/// The first of the identities that are made for one try.
const FRESH: u32 = 1 << 20;

/// The [`Timer::component`] of transfers.
const COMPONENT: u16 = 1;

/// One file that a node wants.
pub(super) struct Want {
    pub(super) node: NodeId,
    /// Who has it, in the order in which they are asked.
    pub(super) sources: Vec<NodeId>,
    /// When the first one is asked.
    pub(super) begins: Duration,
}

/// Where a want is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// Before the first source, or between two.
    Waiting,
    /// A source was asked.
    Asked { at: Duration },
    /// The first packet has come, and what comes is judged since then.
    Tried { since: Duration },
    /// It runs, and what comes is looked at since then, when so much payload had come; and whether all was well at the last look.
    Running { since: Duration, goodput: u64, well: bool },
    /// No source was good enough.
    GivenUp,
}

struct State {
    want: Want,
    port: PortId,
    stage: Stage,
    tried: usize,
    flow: Option<FlowId>,
    hops: u32,
}

/// How wants settle.
#[derive(Clone, Copy)]
pub(super) struct Settling {
    /// What is added to the uploads for so long, as a share of them: users who in life come in days come here in some hours, and each flooded Seek costs
    /// each node a packet to each neighbour. What is measured later has no such allowance.
    pub(super) allowance: f64,
    /// The share of the wanted rate with which a user is content.
    pub(super) content: f64,
    /// A new transfer is as patient as one that runs: who of those that share an upload gives up is chance. Else the new one goes at the first sign.
    pub(super) patient: bool,
    /// Each time a source is asked it has another address, so that the router seeks it anew and does not follow the scent that the last trail left.
    pub(super) anew: bool,
    /// The wait before the next source, on average.
    pub(super) pause: Duration,
    /// How long nobody must have changed his mind: trails are laid anew meanwhile.
    pub(super) steady: Duration,
    /// Settled or not, it ends after so long.
    pub(super) at_most: Duration,
}

/// What was measured.
pub(super) struct Found {
    /// When measuring began.
    began: Duration,
    /// Sources asked before.
    asked: u64,
    /// Transfers that ran and were given up before.
    lost: u64,
    /// What each want got, in bytes of payload a second.
    rates: Vec<f64>,
    /// The links of each want's trail.
    hops: Vec<u32>,
    /// The share of all uploads that was used, by whatever.
    upload_used: f64,
}

impl Found {
    fn is_running(rate: f64) -> bool {
        rate >= RUNS * RATE as f64
    }

    /// How many transfers run.
    pub(super) fn running(&self) -> usize {
        self.rates.iter().filter(|rate| Self::is_running(**rate)).count()
    }

    /// Prints it. `upload`: of each node, in bytes of payload a second.
    pub(super) fn report(&self, record: &mut Record, name: &str, nodes: usize, upload: u64) {
        let running = self.rates.iter().zip(&self.hops).filter(|(rate, _)| Self::is_running(**rate));
        let hops: Vec<f64> = running.map(|(_, hops)| f64::from(*hops)).collect();
        let hops = hops.iter().sum::<f64>() / hops.len().max(1) as f64;
        let bound = (upload * nodes as u64) as f64 / (hops * RATE as f64);
        let flowing = sorted(self.rates.iter().copied().filter(|rate| *rate > 0.0).collect());
        let mut figure = |what: &str, unit, value| record.figure(&format!("{name}: {what}"), unit, value);
        figure("settled after", "s", self.began.as_secs_f64());
        figure("sources asked", "", self.asked as f64);
        figure("transfers given up after they ran", "", self.lost as f64);
        figure("transfers under way", "", flowing.len() as f64);
        figure("1 in 20 of them gets less than", "B/s", quantile(&flowing, 0.05));
        figure("half of them get less than", "B/s", quantile(&flowing, 0.5));
        figure("uploads of each byte", "", hops);
        figure("bound for these paths", "", bound);
        figure("share of it", "", self.running() as f64 / bound);
        figure("upload used", "share", self.upload_used);
    }
}

/// All wants of a run.
pub(super) struct Transfers<'a> {
    table: &'a SeedTable,
    wants: Vec<State>,
    /// Each node's address.
    addresses: Vec<Address>,
    traffic: Traffic,
    ways: Ways,
    random: Random,
    settling: Settling,
    closed: bool,
    /// Sources asked.
    asked: u64,
    /// Transfers that ran and were given up.
    lost: u64,
}

impl App for Transfers<'_> {
    fn event(&mut self, net: &mut Network, node: NodeId, port: PortId, event: Event) {
        if let Event::TrailOpened { role: Role::Seeker { .. }, seek, .. } = &event
            && let Some(want) = self.wants.iter_mut().find(|want| want.port == port)
        {
            want.hops = self.ways.take(*seek).len() as u32;
        }
        self.traffic.event(net, node, port, &event);
    }

    fn timer(&mut self, net: &mut Network, timer: Timer) {
        if !self.traffic.timer(net, timer) && !self.closed {
            self.due(net, timer.token as usize);
        }
    }
}

impl<'a> Transfers<'a> {
    /// Opens an identity at each node, which has the files, and one for each want.
    pub(super) fn new(
        table: &'a SeedTable,
        net: &mut Network,
        wants: Vec<Want>,
        settling: Settling,
        seed: u64,
    ) -> Self {
        let ways = Ways::watch(net);
        let addresses = (0..net.len() as NodeId).map(|node| net.open(node, 0).1).collect();
        let mut states = Vec::new();
        for (number, want) in wants.into_iter().enumerate() {
            let port = net.open(want.node, 1 + number as u32).0;
            net.set_timer(want.begins, timer(number));
            states.push(State { want, port, stage: Stage::Waiting, tried: 0, flow: None, hops: 0 });
        }
        Self {
            table,
            wants: states,
            addresses,
            traffic: Traffic::new(seed),
            ways,
            random: Random::new(seed, "transfers"),
            settling,
            closed: false,
            asked: 0,
            lost: 0,
        }
    }

    /// Runs until for [`Settling::steady`] every want has had a source that is good enough, or has given up. Then no want changes its mind any more.
    pub(super) fn settle(&mut self, net: &mut Network) {
        let Settling { allowance, at_most, .. } = self.settling;
        let upload = net.config().upload;
        set_uploads(net, (upload as f64 * (1.0 + allowance)) as u64);
        let settled = |want: &State| matches!(want.stage, Stage::Running { well: true, .. } | Stage::GivenUp);
        let mut steady_since = net.clock();
        while net.clock() < (steady_since + self.settling.steady).min(at_most) {
            let until = net.clock() + 10 * POLL;
            net.run(self, until);
            if !self.wants.iter().all(settled) {
                steady_since = net.clock();
            }
        }
        set_uploads(net, upload);
        self.closed = true;
    }

    /// Measures goodput over the table's window, renewals of trails included.
    pub(super) fn measure(&mut self, net: &mut Network) -> Found {
        let (began, sent) = (net.clock(), net.sent().sent);
        let before = self.goodput();
        let hops: Vec<u32> = self.wants.iter().map(|want| want.hops).collect();
        let window = Duration::from_secs(self.table.window);
        net.run(self, began + window);
        let seconds = window.as_secs_f64();
        let after = self.goodput();
        let rates = after.iter().zip(&before).map(|(after, before)| (after - before) as f64 / seconds);
        Found {
            began,
            asked: self.asked,
            lost: self.lost,
            rates: rates.collect(),
            hops,
            upload_used: (net.sent().sent - sent) as f64 / (net.config().upload as f64 * net.len() as f64 * seconds),
        }
    }

    fn goodput(&self) -> Vec<u64> {
        let goodput = |want: &State| want.flow.map_or(0, |flow| self.traffic.stats(flow).goodput);
        self.wants.iter().map(goodput).collect()
    }

    fn due(&mut self, net: &mut Network, number: usize) {
        let Some(want) = self.wants.get(number) else {
            return;
        };
        let stats = want.flow.map(|flow| self.traffic.stats(flow)).unwrap_or_default();
        let now = net.clock();
        let missing =
            |since: Duration, before: u64| RATE as f64 * (now - since).as_secs_f64() - (stats.goodput - before) as f64;
        let tolerated = |time: Duration| (1.0 - self.settling.content) * RATE as f64 * time.as_secs_f64();
        let (stage, after) = match want.stage {
            Stage::Waiting => return self.ask(net, number),
            Stage::Asked { at } => match stats.first {
                Some(since) if self.settling.patient => (Stage::Running { since, goodput: 0, well: false }, LOOK),
                Some(since) => (Stage::Tried { since }, POLL),
                None if now < at + PATIENCE => (want.stage, POLL),
                None => return self.give_up(net, number),
            },
            Stage::Tried { since } if missing(since, 0) > tolerated(TRIAL) => return self.give_up(net, number),
            Stage::Tried { since } if now < since + TRIAL => (want.stage, POLL),
            Stage::Tried { .. } => (Stage::Running { since: now, goodput: stats.goodput, well: true }, LOOK),
            Stage::Running { since, goodput, .. } => {
                let well = missing(since, goodput) <= tolerated(LOOK);
                if !well && self.random.chance(IMPATIENCE) {
                    self.lost += 1;
                    return self.give_up(net, number);
                }
                (Stage::Running { since: now, goodput: stats.goodput, well }, LOOK)
            }
            Stage::GivenUp => return,
        };
        self.wants[number].stage = stage;
        net.set_timer(after, timer(number));
    }

    fn ask(&mut self, net: &mut Network, number: usize) {
        let want = &mut self.wants[number];
        let Some(source) = want.want.sources.get(want.tried) else {
            want.stage = Stage::GivenUp;
            return;
        };
        want.tried += 1;
        want.stage = Stage::Asked { at: net.clock() };
        self.asked += 1;
        let to = match self.settling.anew {
            true => net.open(*source, FRESH + self.asked as u32).1,
            false => self.addresses[*source as usize],
        };
        let flow = Flow {
            node: want.want.node,
            port: want.port,
            to,
            download: true,
            source: Source::Constant { rate: self.table.bodies(RATE) },
            packet: self.table.packet,
            size: None,
        };
        want.flow = Some(self.traffic.start(net, flow));
        net.set_timer(POLL, timer(number));
    }

    fn give_up(&mut self, net: &mut Network, number: usize) {
        let want = &mut self.wants[number];
        if let Some(flow) = want.flow.take() {
            self.traffic.stop(net, flow);
        }
        want.stage = Stage::Waiting;
        let pause = self.settling.pause.mul_f64(0.5 + self.random.unit());
        net.set_timer(pause, timer(number));
    }
}

fn timer(number: usize) -> Timer {
    Timer { component: COMPONENT, node: 0, token: number as u64 }
}

fn set_uploads(net: &mut Network, upload: u64) {
    for node in 0..net.len() as NodeId {
        net.set_upload(node, upload);
    }
}

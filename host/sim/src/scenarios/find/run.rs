//! One network of `find`: seeks for addresses, first tries only.

use std::{rc::Rc, time::Duration};

use mute_core::{Event, PortId, Role, Topic};

use super::Find;
use crate::{
    App, Config, LinkParams, Network, NodeId, Timer, Topology,
    scenarios::crowd::{
        Crowd, Made,
        connect::{Connecting, average},
        meter::{Amount, Kind, Meter},
        rules::Rules,
    },
    stats::quantile,
};

/// When the first is sought: by then all addresses have walked.
const WARM_UP: Duration = Duration::from_secs(10);

/// A connection's second try comes 2.25 s after the first or later.
const FIRST_TRY: Duration = Duration::from_millis(2200);

/// What a network of one way of finding did.
pub(super) struct Measured {
    pub(super) sought: u64,
    pub(super) found: u64,
    /// Seconds, of what was found.
    pub(super) median: f64,
    /// 95 % of them came by then.
    pub(super) late: f64,
    /// Links of a trail over the shortest way.
    pub(super) ratio: f64,
    /// Bytes of one seek, in all modes.
    pub(super) seek_bytes: f64,
    /// Bytes of one address's walks in a minute.
    pub(super) walk_bytes: f64,
    /// Nodes with scent of an address just before the first seek.
    pub(super) laid: f64,
}

impl Measured {
    /// What a seek costs with its share of the walks, where an address is sought so often in a minute.
    pub(super) fn bytes_of_a_seek(&self, rate: f64) -> f64 {
        self.seek_bytes + self.walk_bytes / rate
    }
}

struct Run {
    crowd: Crowd,
    addresses: usize,
    connecting: Connecting,
    /// Sum over minutes of the addresses that were there.
    present: f64,
    samples: f64,
    meter: Rc<Meter>,
}

const SEEK: u16 = 1;
const GIVE_UP: u16 = 2;
const LET_GO: u16 = 3;
const SAMPLE: u16 = 4;

impl App for Run {
    fn event(&mut self, net: &mut Network, node: NodeId, _port: PortId, event: Event) {
        if let Event::TrailOpened { trail, role: Role::Seeker { connection }, .. } = event
            && let Some(number) = self.connecting.laid(net, connection, trail)
        {
            net.set_timer(Duration::from_secs(5), Timer { component: LET_GO, node, token: number as u64 });
        }
    }

    fn timer(&mut self, net: &mut Network, timer: Timer) {
        let number = timer.token as usize;
        match timer.component {
            SEEK => {
                let to = self.crowd.somebody(net, self.addresses);
                let from = loop {
                    let from = self.crowd.somebody(net, net.len());
                    if from != to {
                        break from;
                    }
                };
                let number = self.connecting.connect(net, &self.crowd, from, to);
                net.set_timer(FIRST_TRY, Timer { component: GIVE_UP, node: from.node, token: number as u64 });
            }
            GIVE_UP => self.connecting.give_up(net, &self.crowd, number),
            LET_GO => self.connecting.let_go(net, number),
            SAMPLE => {
                self.present += (0..self.addresses as NodeId).filter(|node| net.runs(*node)).count() as f64;
                self.samples += 1.0;
                net.set_timer(Duration::from_secs(10), timer);
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

/// Has a network seek its addresses by these rules.
pub(super) fn measure(find: &Find, rules: Rules, seeks: usize, seed: u64) -> Measured {
    let topology = Topology::of_kind(find.topology, find.nodes, find.degree, seed);
    let link = LinkParams { loss: find.loss, ..LinkParams::default() };
    let config = Config { link, lean_queues: true, router: Some(rules.configure()), ..Config::new(seed) };
    let mut net = Network::new(config, &topology);
    let addresses = find.addresses.min(find.nodes);
    let made =
        Made { topology: &topology, link, topic: Topic::of("find"), listening: addresses, churn: !find.steady, seed };
    let meter = Meter::on(&mut net);
    let mut run = Run {
        crowd: Crowd::new(&mut net, &made),
        addresses,
        connecting: Connecting::new(find.nodes),
        present: 0.0,
        samples: 0.0,
        meter,
    };
    net.set_timer(Duration::ZERO, Timer { component: SAMPLE, node: 0, token: 0 });
    net.run(&mut run, WARM_UP);
    let laid = (0..find.nodes as NodeId).filter_map(|node| net.router(node));
    let laid = laid.map(|router| router.counters().live.scent_rows).sum::<u64>() as f64 / addresses as f64;
    let first_walks = run.meter.amount(Kind::Walk).bytes as f64;
    let span = Duration::from_secs(60 * find.minutes);
    for number in 0..seeks as u32 {
        net.set_timer(span * number / seeks as u32, Timer { component: SEEK, node: 0, token: 0 });
    }
    net.run(&mut run, WARM_UP + span + Duration::from_secs(10));
    net.tap = None;
    let found = run.connecting.found(&run.meter, 0);
    let of_seeks = [Kind::FloodedSeek, Kind::WalkingSeek, Kind::DirectedSeek];
    let of_seeks = of_seeks.into_iter().fold(Amount::default(), |sum, kind| sum + run.meter.amount(kind));
    // The addresses that were there, each for so long.
    let minutes = run.present / run.samples * net.clock().as_secs_f64() / 60.0;
    Measured {
        sought: found.laid() + found.failed,
        found: found.laid(),
        median: quantile(&found.times, 0.5),
        late: quantile(&found.times, 0.95),
        ratio: average(&found.ratios),
        seek_bytes: of_seeks.bytes as f64 / seeks as f64,
        // A run that begins with a walk of everybody has half a walk more than its length stands for.
        walk_bytes: (run.meter.amount(Kind::Walk).bytes as f64 - first_walks / 2.0) / minutes,
        laid,
    }
}

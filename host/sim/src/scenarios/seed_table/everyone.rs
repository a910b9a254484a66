//! The fourth case: everybody downloads one file, as fast as the network lets it.
//!
//! Senders have congestion windows, as the daemon's have; the uploads are shared by the fair queues.

use std::time::Duration;

use super::{RATE, SeedTable};
use crate::{
    App, Network, NodeId, Random, Record, Timer, Topology, Ways,
    stats::{bootstrap, quantile, sorted},
    traffic::{Flow, FlowId, Source, Traffic, WindowParams},
};
use mute_core::{Address, Event, PortId, Role};

/// One user in so long begins.
const ARRIVAL: Duration = Duration::from_secs(1);

/// From the last beginning until goodput is measured.
const SETTLE: Duration = Duration::from_secs(200);

/// What everybody gets on average, in bytes a second.
const BOUND: f64 = 2400.0;

/// Windows for paths of seconds: they begin with the least, and a second's packets are acknowledged at once.
const WINDOW: WindowParams = WindowParams {
    algorithm: crate::traffic::Algorithm::Cubic,
    initial_packets: 2,
    reordering: 64,
    ack_every: 10,
    ack_delay: Duration::from_secs(1),
};

struct User {
    port: PortId,
    source: NodeId,
    flow: Option<FlowId>,
    hops: u32,
}

struct Everyone<'a> {
    table: &'a SeedTable,
    users: Vec<User>,
    addresses: Vec<Address>,
    traffic: Traffic,
    ways: Ways,
}

impl App for Everyone<'_> {
    fn event(&mut self, net: &mut Network, node: NodeId, port: PortId, event: Event) {
        if let Event::TrailOpened { role: Role::Seeker { .. }, seek, .. } = &event {
            self.users[node as usize].hops = self.ways.take(*seek).len() as u32;
        }
        self.traffic.event(net, node, port, &event);
    }

    fn timer(&mut self, net: &mut Network, timer: Timer) {
        if self.traffic.timer(net, timer) {
            return;
        }
        let User { port, source, .. } = self.users[timer.node as usize];
        let to = self.addresses[source as usize];
        let (source, packet) = (Source::Window(WINDOW), self.table.packet);
        let flow = Flow { node: timer.node, port, to, download: true, source, packet, size: None };
        self.users[timer.node as usize].flow = Some(self.traffic.start(net, flow));
    }
}

impl Everyone<'_> {
    fn goodput(&self) -> Vec<u64> {
        let goodput = |user: &User| user.flow.map_or(0, |flow| self.traffic.stats(flow).goodput);
        self.users.iter().map(goodput).collect()
    }
}

pub(super) fn run(table: &SeedTable, seed: u64, record: &mut Record) {
    let nodes = table.nodes;
    let topology = Topology::random_regular(nodes, table.degree, seed);
    let mut net = Network::new(table.config(seed, 3 * RATE), &topology);
    let mut random = Random::new(seed, "everyone");
    let ways = Ways::watch(&mut net);
    let mut app = Everyone { table, users: Vec::new(), addresses: Vec::new(), traffic: Traffic::new(seed), ways };
    let mut order: Vec<u32> = (0..nodes as u32).collect();
    random.shuffle(&mut order);
    for (node, place) in order.iter().enumerate() {
        app.addresses.push(net.open(node as NodeId, 0).1);
        let port = net.open(node as NodeId, 1).0;
        let source = ((node + 1 + random.below(nodes - 1)) % nodes) as NodeId;
        app.users.push(User { port, source, flow: None, hops: 0 });
        net.set_timer(ARRIVAL * *place, Timer { component: 1, node: node as NodeId, token: 0 });
    }
    let began = ARRIVAL * nodes as u32 + SETTLE;
    net.run(&mut app, began);
    let (before, sent) = (app.goodput(), net.sent().sent);
    net.run(&mut app, began + Duration::from_secs(table.window));
    let sent = net.sent().sent - sent;
    let rates: Vec<f64> = app
        .goodput()
        .iter()
        .zip(&before)
        .map(|(after, before)| (after - before) as f64 / table.window as f64)
        .collect();
    report(table, &net, &app, &rates, sent, record);
    let of_mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let mean = bootstrap(&rates, seed, of_mean);
    record.figure("everyone: 95 % of the mean from", "B/s", mean.low);
    record.figure("everyone: 95 % of the mean to", "B/s", mean.high);
    record.at_least("everyone: goodput on average", "B/s", mean.mean, BOUND);
    net.finish();
    record.network(&net);
}

fn report(table: &SeedTable, net: &Network, app: &Everyone<'_>, rates: &[f64], sent: u64, record: &mut Record) {
    let count = rates.len() as f64;
    let hops = app.users.iter().map(|user| f64::from(user.hops)).sum::<f64>() / count;
    let bound = 3.0 * RATE as f64 / hops;
    let used: f64 = app.users.iter().zip(rates).map(|(user, rate)| rate * f64::from(user.hops)).sum();
    record.figure("everyone: uploads of each byte", "", hops);
    record.figure("everyone: bound for these paths", "B/s", bound);
    record.figure("everyone: share of it", "", rates.iter().sum::<f64>() / count / bound);
    record.figure("everyone: upload that became goodput", "share", used / (3.0 * RATE as f64 * count));
    let upload = net.config().upload as f64 * count * table.window as f64;
    record.figure("everyone: upload used", "share", sent as f64 / upload);
    let rates = sorted(rates.to_vec());
    for (name, at) in [("1 in 20 gets less than", 0.05), ("half get less than", 0.5), ("1 in 20 gets more than", 0.95)]
    {
        record.figure(&format!("everyone: {name}"), "B/s", quantile(&rates, at));
    }
}

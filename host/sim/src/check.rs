//! Checkers that run throughout: what must hold in every run, whatever the scenario.

use std::{
    collections::{BTreeMap, HashSet},
    hash::{BuildHasherDefault, Hasher},
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use mute_core::{
    Event, MessageId, PortId,
    wire::{LENGTH_PREFIX, MAX_FRAME},
};

use crate::{Network, app::NodeId, link::wire_bytes, topology::Topology};

/// Failures kept with their texts; more are counted.
const MAX_FAILURES: usize = 20;

/// Routers whose tables are checked at each look, in turn: more would be a good part of a run with many rows.
const ROUTERS_PER_LOOK: usize = 32;

/// Nodes at which deliveries are compared, the first ones: memory for 10⁵ nodes would be the run's largest table.
const COMPARED_NODES: NodeId = 4096;

/// Message ids are hashes already.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Something that must arrive by a time if there is a path.
struct Expected {
    what: &'static str,
    from: NodeId,
    to: NodeId,
    by: Duration,
}

/// What became of all that was expected to arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deliveries {
    /// It arrived in time.
    pub delivered: u64,
    /// It did not, and there was a path when it was sent and when its time was up.
    pub missed: u64,
    /// It did not, and there was no path.
    pub no_path: u64,
}

/// The checkers of a run.
#[derive(Default)]
pub struct Checks {
    failures: Vec<String>,
    failed: u64,
    /// (node, its start, port, message): what reached a port.
    reached: HashSet<(u32, u32, u64, MessageId), BuildHasherDefault<IdHasher>>,
    expected: BTreeMap<u64, Expected>,
    next: u64,
    deliveries: Deliveries,
    /// Whether something that does not arrive though there is a path fails the run; otherwise it is only counted.
    pub strict: bool,
    /// What each half had sent at the last look.
    sent: Vec<u64>,
    looked_at: Duration,
    next_router: usize,
    looks: u64,
}

impl Checks {
    /// Something that must not be has happened.
    pub fn fail(&mut self, what: String) {
        self.failed += 1;
        if self.failures.len() < MAX_FAILURES {
            self.failures.push(what);
        }
    }

    /// What must not be and was, the first of it; and how much in all.
    pub fn failures(&self) -> (&[String], u64) {
        (&self.failures, self.failed)
    }

    /// How often everything was looked at.
    pub fn looks(&self) -> u64 {
        self.looks
    }

    /// Something was sent that must arrive within a time, where there is a path: what kind of thing, for messages.
    pub fn expect(net: &mut Network, what: &'static str, from: NodeId, to: NodeId, within: Duration) -> Expectation {
        let by = net.clock() + within;
        let has_path = net.has_path(from, to);
        let checks = &mut net.checks;
        checks.next += 1;
        if has_path {
            checks.expected.insert(checks.next, Expected { what, from, to, by });
        } else {
            checks.deliveries.no_path += 1;
        }
        Expectation(checks.next)
    }

    /// It has arrived. Whether that was expected still.
    pub fn fulfil(&mut self, expectation: Expectation) -> bool {
        let was = self.expected.remove(&expectation.0).is_some();
        self.deliveries.delivered += u64::from(was);
        was
    }

    /// It is no longer expected: its sender gave up or is gone.
    pub fn withdraw(&mut self, expectation: Expectation) {
        self.expected.remove(&expectation.0);
    }

    /// What became of all that was expected.
    pub fn deliveries(&self) -> Deliveries {
        self.deliveries
    }

    /// A port learned something: floods and letters once each. (Packets of trails are numbered by who sends them.)
    pub(crate) fn learned(&mut self, node: NodeId, incarnation: u32, port: PortId, event: &Event) {
        let (Event::Heard { id, .. } | Event::Letter { id, .. }) = event else {
            return;
        };
        if node < COMPARED_NODES && !self.reached.insert((node, incarnation, port.0, *id)) {
            self.fail(format!("node {node}: {event:?} was delivered twice"));
        }
    }

    /// Looks at everything.
    pub(crate) fn look(&mut self, net: &Network) {
        self.looks += 1;
        self.conserved(net);
        self.within_rates(net);
        self.consistent(net);
        self.overdue(net);
        self.looked_at = net.clock();
    }

    /// The last look: what is still expected and not due is not counted.
    pub(crate) fn finish(&mut self, _net: &Network) {
        self.expected.clear();
    }

    /// All bytes given to a queue were dropped, wait, or were sent; all bytes sent arrived, were lost, or are under way.
    fn conserved(&mut self, net: &Network) {
        for (at, half) in net.halves.iter().enumerate() {
            let c = &half.counters;
            let queued = net.queues[at].bytes() as u64;
            if c.pushed != c.dropped + c.cut_queued + queued + c.taken {
                self.fail(format!("half {at}: of {} bytes pushed {c:?} and {queued} queued are left", c.pushed));
            }
            let flying = net.flights.bytes(half);
            if c.sent != c.arrived + c.lost + c.cut_flying + flying {
                self.fail(format!("half {at}: of {} bytes sent {c:?} and {flying} under way are left", c.sent));
            }
        }
    }

    /// No line and no upload carried more than its rate allows (and the frame that was on it when the time began).
    fn within_rates(&mut self, net: &Network) {
        let seconds = (net.clock() - self.looked_at).as_secs_f64();
        self.sent.resize(net.halves.len(), 0);
        let slack = |loss: f64| wire_bytes(MAX_FRAME + LENGTH_PREFIX) as f64 * if loss > 0.0 { 17.0 } else { 1.0 };
        for node in 0..net.nodes.len() {
            let mut sum = 0;
            let mut loss = 0.0_f64;
            for half in &net.nodes[node].halves {
                let at = *half as usize;
                let params = net.link_params(at / 2);
                let counters = &net.halves[at].counters;
                let sent = (counters.sent + counters.resent).saturating_sub(self.sent[at]);
                sum += sent;
                loss = loss.max(params.loss);
                if params.rate > 0 && sent as f64 > params.rate as f64 * seconds + slack(params.loss) {
                    self.fail(format!("half {at} sent {sent} bytes in {seconds} s at {} a second", params.rate));
                }
                self.sent[at] = counters.sent + counters.resent;
            }
            let upload = net.nodes[node].upload;
            if upload > 0 && sum as f64 > upload as f64 * seconds + slack(loss) {
                self.fail(format!("node {node} sent {sum} bytes in {seconds} s at {upload} a second"));
            }
        }
    }

    /// Routers' tables are within their bounds and do not contradict each other.
    fn consistent(&mut self, net: &Network) {
        for _ in 0..ROUTERS_PER_LOOK.min(net.len()) {
            let node = self.next_router % net.len();
            self.next_router = node + 1;
            let Some(router) = net.router(node as NodeId) else {
                continue;
            };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| router.assert_consistent())) {
                let why = panic.downcast_ref::<String>().map(String::as_str);
                let why = why.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default();
                self.fail(format!("the router of node {node} contradicts itself at {:?}: {why}", net.clock()));
            }
        }
    }

    fn overdue(&mut self, net: &Network) {
        let now = net.clock();
        let due: Vec<u64> = self.expected.iter().filter(|(_, what)| what.by <= now).map(|(id, _)| *id).collect();
        for id in due {
            let Some(Expected { what, from, to, .. }) = self.expected.remove(&id) else {
                continue;
            };
            if net.has_path(from, to) {
                self.deliveries.missed += 1;
                if self.strict {
                    self.fail(format!("{what} from node {from} did not reach node {to} by {now:?}"));
                }
            } else {
                self.deliveries.no_path += 1;
            }
        }
    }
}

/// The name of something that is expected to arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expectation(u64);

impl Network {
    /// The links that are up, as a graph.
    pub fn live_topology(&self) -> Topology {
        let up = self.edges.iter().filter(|edge| edge.up);
        Topology { nodes: self.len(), edges: up.map(|edge| (edge.ends[0], edge.ends[1])).collect() }
    }

    /// Whether both nodes run and links that are up lead from one to the other.
    pub fn has_path(&self, from: NodeId, to: NodeId) -> bool {
        if !self.runs(from) || !self.runs(to) {
            return false;
        }
        let mut seen = vec![false; self.len()];
        let mut ahead = vec![from];
        seen[from as usize] = true;
        while let Some(node) = ahead.pop() {
            if node == to {
                return true;
            }
            for (next, _) in self.links(node) {
                if self.runs(next) && !std::mem::replace(&mut seen[next as usize], true) {
                    ahead.push(next);
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use mute_core::Fault as Broken;

    use super::*;
    use crate::{Config, LinkParams};

    /// A small network in which something has happened, and its checkers after a fault was put in.
    fn with_fault(fault: impl FnOnce(&mut Network)) -> Vec<String> {
        let link = LinkParams { rate: 10_000, ..LinkParams::default() };
        let mut net = Network::new(Config { link, upload: 15_000, ..Config::new(1) }, &Topology::ring(5));
        let (port, _) = net.open(0, 0);
        net.broadcast(0, port, mute_core::Topic::of("x"), "anybody?");
        net.rest(Duration::from_secs(12));
        assert_eq!(net.checks.failures(), (&[][..], 0));
        fault(&mut net);
        net.finish();
        net.checks.failures().0.to_vec()
    }

    fn break_router(net: &mut Network, fault: Broken) {
        net.nodes[0].router.as_mut().expect("it runs").break_with(fault);
    }

    #[test]
    fn each_checker_goes_red_for_its_fault() {
        type Fault = fn(&mut Network);
        let faults: [(Fault, &str); 9] = [
            (|_| {}, ""),
            (|net| net.halves[0].counters.arrived -= 1, "bytes sent"),
            (|net| net.halves[1].counters.dropped += 1, "bytes pushed"),
            (
                |net| {
                    net.rest(Duration::from_secs(1));
                    for counter in [50_000, 50_000] {
                        net.halves[2].counters.sent += counter;
                        net.halves[2].counters.arrived += counter;
                    }
                },
                "at 10000 a second",
            ),
            (
                |net| {
                    let heard = Event::Letter {
                        from: net.address(1, 0),
                        id: MessageId([1; 16]),
                        key: None,
                        sealed: bytes::Bytes::new(),
                    };
                    for _ in 0..2 {
                        net.checks.learned(0, 1, PortId(1), &heard);
                    }
                },
                "delivered twice",
            ),
            (|net| break_router(net, Broken::Bound), "links"),
            (|net| break_router(net, Broken::Charge), "contradicts itself"),
            (|net| break_router(net, Broken::Timer), "contradicts itself"),
            (
                |net| {
                    net.checks.strict = true;
                    Checks::expect(net, "a letter that nobody wrote", 1, 3, Duration::from_secs(1));
                    net.rest(Duration::from_secs(20));
                },
                "did not reach node 3",
            ),
        ];
        for (fault, text) in faults {
            let failures = with_fault(fault);
            assert_eq!(failures.is_empty(), text.is_empty(), "{failures:?}");
            assert!(failures.iter().any(|failure| failure.contains(text)) || text.is_empty(), "{failures:?}");
        }
    }
}

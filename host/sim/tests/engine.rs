//! The engine's own tests: what it says of rates, delays, losses and conservation, and that a seed replays a run.

use std::{cell::RefCell, rc::Rc, time::Duration};

use mute_core::{Event, PortId, Role, Topic, TrailId};
use mute_sim::{App, Config, LinkParams, Network, NodeId, QueueKind, Signatures, Topology, wire_bytes};

/// Keeps what happens, and when.
#[derive(Default)]
struct Log {
    events: Vec<(Duration, NodeId, Event)>,
}

impl App for Log {
    fn event(&mut self, net: &mut Network, node: NodeId, _port: PortId, event: Event) {
        self.events.push((net.clock(), node, event));
    }
}

impl Log {
    fn trail(&self, at: NodeId, owner: bool) -> TrailId {
        let opened = |(_, node, event): &(Duration, NodeId, Event)| match event {
            Event::TrailOpened { trail, role, .. } if *node == at && (*role == Role::Owner) == owner => Some(*trail),
            _ => None,
        };
        self.events.iter().find_map(opened).expect("a trail was laid")
    }

    fn data(&self, at: NodeId) -> Vec<Duration> {
        let data = |(when, node, event): &(Duration, NodeId, Event)| {
            (*node == at && matches!(event, Event::Data { .. })).then_some(*when)
        };
        self.events.iter().filter_map(data).collect()
    }
}

fn config(link: LinkParams) -> Config {
    Config { link, ..Config::new(7) }
}

/// Two nodes with a trail between them.
fn pair(link: LinkParams) -> (Network, Log, TrailId) {
    let mut net = Network::new(config(link), &Topology::line(2));
    let (port, _) = net.open(0, 0);
    let (_, target) = net.open(1, 0);
    let mut log = Log::default();
    net.connect(0, port, target);
    net.run(&mut log, Duration::from_secs(60));
    let trail = log.trail(0, false);
    (net, log, trail)
}

fn busy(seed: u64, signatures: Signatures) -> (Network, String) {
    let config = Config { signatures, ..Config::new(seed) };
    let mut net = Network::new(config, &Topology::random_regular(40, 4, seed));
    net.start_trace();
    let ports: Vec<_> = (0..40).map(|node| net.open(node, 0)).collect();
    for (node, (port, _)) in ports.iter().enumerate() {
        net.subscribe(node as NodeId, *port, Topic::of("x"));
    }
    let mut log = Log::default();
    for n in 0..10 {
        net.broadcast(n, ports[n as usize].0, Topic::of("x"), "question");
        net.connect(n, ports[n as usize].0, ports[39 - n as usize].1);
        let until = net.clock() + Duration::from_millis(300);
        net.run(&mut log, until);
    }
    net.crash(20);
    net.run(&mut log, Duration::from_secs(30));
    net.start(20);
    net.run(&mut log, Duration::from_secs(60));
    net.finish();
    let heard = log.events.iter().filter(|(_, _, event)| matches!(event, Event::Heard { .. })).count();
    let opened = log.events.iter().filter(|(_, _, event)| matches!(event, Event::TrailOpened { .. })).count();
    assert_eq!((heard, net.checks.failures()), (10 * 39, (&[][..], 0)));
    assert!(opened >= 20, "{opened}");
    let trace = net.trace().expect("it was started");
    (net, trace)
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_another() {
    let (net, trace) = busy(1, Signatures::Stub);
    let (again, same) = busy(1, Signatures::Stub);
    assert_eq!((trace.clone(), net.stats(), net.sent()), (same, again.stats(), again.sent()));
    assert_ne!(trace, busy(2, Signatures::Stub).1);
}

#[test]
fn real_signatures_do_the_same_as_stubs() {
    let (stub, _) = busy(1, Signatures::Stub);
    let (real, _) = busy(1, Signatures::Real);
    let (stub, real) = (stub.sent(), real.sent());
    let ratio = stub.sent as f64 / real.sent as f64;
    assert!((0.9..1.1).contains(&ratio), "{stub:?} {real:?}");
}

#[test]
fn a_frame_takes_its_line_time_and_the_delay() {
    let link = LinkParams { rate: 10_000, delay: Duration::from_millis(250), ..LinkParams::default() };
    let (mut net, mut log, trail) = pair(link);
    let start = net.clock();
    for _ in 0..3 {
        net.send_data(0, trail, vec![0; 1000]);
    }
    net.run(&mut log, start + Duration::from_secs(10));
    // Two bytes of length, ten of header.
    let line = Duration::from_nanos(wire_bytes(1012) * 1_000_000_000 / 10_000);
    let arrivals: Vec<Duration> = log.data(1).iter().map(|at| *at - start).collect();
    assert_eq!(arrivals, [1, 2, 3].map(|n| line * n + Duration::from_millis(250)));
}

#[test]
fn an_upload_is_shared_evenly_by_the_links_that_use_it() {
    let config =
        Config { upload: 20_000, queue: QueueKind::FIFO, ..config(LinkParams { rate: 0, ..LinkParams::default() }) };
    let mut net = Network::new(config, &Topology::joined(3, [(0, 1), (0, 2)]));
    let (port, _) = net.open(0, 0);
    let mut log = Log::default();
    for other in 1..3 {
        let (_, target) = net.open(other, 0);
        net.connect(0, port, target);
        net.run(&mut log, Duration::from_secs(5 * u64::from(other)));
    }
    let trails: Vec<TrailId> = log
        .events
        .iter()
        .filter_map(|(_, node, event)| match event {
            Event::TrailOpened { trail, .. } if *node == 0 => Some(*trail),
            _ => None,
        })
        .collect();
    let [first, second] = trails[..] else { panic!("two trails") };
    let start = net.clock();
    for _ in 0..100 {
        net.send_data(0, first, vec![0; 1200]);
    }
    for _ in 0..150 {
        net.send_data(0, second, vec![0; 600]);
    }
    net.run(&mut log, start + Duration::from_secs(5));
    let (large, small) = (log.data(1).len() as f64 * 1275.0, log.data(2).len() as f64 * 675.0);
    assert!((0.95..1.05).contains(&(large / small)), "{large} {small}");
    assert!((98_000.0..=100_000.0).contains(&(large + small)), "{large} {small}");
    net.finish();
    assert_eq!(net.checks.failures(), (&[][..], 0));
}

#[test]
fn losses_are_as_often_as_said_and_are_sent_again_or_not() {
    for retransmit in [true, false] {
        let link = LinkParams { loss: 0.1, retransmit, jitter: Duration::from_millis(5), ..LinkParams::default() };
        let (mut net, mut log, trail) = pair(link);
        let start = net.clock();
        for _ in 0..2000 {
            net.send_data(0, trail, vec![0; 100]);
            let until = net.clock() + Duration::from_millis(1);
            net.run(&mut log, until);
        }
        net.run(&mut log, start + Duration::from_secs(10));
        let arrived = log.data(1).len();
        let line = net.sent_by(0);
        if retransmit {
            assert_eq!(arrived, 2000);
            let again = line.resent as f64 / line.sent as f64;
            assert!((0.09..0.135).contains(&again), "{again}: 0.1 / 0.9");
        } else {
            assert!((1720..1880).contains(&arrived), "{arrived}");
            assert!(line.lost > 0 && line.resent == 0);
        }
        assert!(log.data(1).is_sorted());
        net.finish();
        assert_eq!(net.checks.failures(), (&[][..], 0));
    }
}

#[test]
fn a_tap_sees_what_is_sent_and_a_behaviour_can_keep_it() {
    struct Mute;
    impl mute_sim::Behaviour for Mute {
        fn outbound(
            &mut self,
            _: &mut Network,
            _: NodeId,
            _: mute_core::LinkId,
            _: mute_core::Hop,
            _: mute_core::wire::Frame<mute_core::wire::Verified>,
        ) -> Option<mute_core::wire::Frame<mute_core::wire::Verified>> {
            None
        }
    }
    for silent in [false, true] {
        let mut net = Network::new(config(LinkParams::default()), &Topology::line(3));
        if silent {
            net.set_behaviour(1, Some(Box::new(Mute)));
        }
        let sent = Rc::new(RefCell::new(0));
        let count = Rc::clone(&sent);
        net.tap = Some(Box::new(move |_, node, _, _| *count.borrow_mut() += u32::from(node == 1)));
        let (port, _) = net.open(0, 0);
        let (_, target) = net.open(2, 0);
        net.connect(0, port, target);
        let mut log = Log::default();
        // The address may not have walked yet, and the third try is the one that asks everybody.
        net.run(&mut log, Duration::from_secs(20));
        assert_eq!(*sent.borrow() == 0, silent);
        assert_eq!(log.events.is_empty(), silent);
    }
}

#[test]
fn a_path_that_is_not_used_fails_a_strict_run() {
    let mut net = Network::new(config(LinkParams::default()), &Topology::line(3));
    net.checks.strict = true;
    mute_sim::Checks::expect(&mut net, "nothing", 0, 2, Duration::from_secs(1));
    net.rest(Duration::from_secs(30));
    net.finish();
    let (failures, count) = net.checks.failures();
    assert!(count == 1 && failures[0].contains("nothing from node 0 did not reach node 2"), "{failures:?}");
}

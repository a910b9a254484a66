//! Sources of traffic: what they send and how they give way.

use std::time::Duration;

use mute_sim::{
    Config, LinkParams, Network, QueueKind, Topology,
    traffic::{Algorithm, Flow, FlowStats, INNER_OVERHEAD, Source, Traffic, WindowParams},
};

/// How long an address listens before somebody connects to it: its first walk leaves within two seconds.
const WALKED: Duration = Duration::from_secs(3);

/// A line of four nodes whose middle link is slow.
fn bottleneck(rate: u64, seed: u64) -> Network {
    let link = LinkParams { rate, delay: Duration::from_millis(10), ..LinkParams::default() };
    let (mark, limit) = (rate as usize / 20, rate as usize / 2);
    let queue = if seed.is_multiple_of(2) { QueueKind::Fifo { mark, limit } } else { QueueKind::default() };
    let mut net = Network::new(Config { link, queue, ..Config::new(seed) }, &Topology::line(4));
    for edge in [0, 2] {
        net.set_link(edge, LinkParams { rate: 10 * rate, ..link });
    }
    net
}

fn run(net: &mut Network, flows: &[(Source, bool)], size: Option<u64>, seconds: u64) -> Vec<FlowStats> {
    let mut traffic = Traffic::new(1);
    let open = |net: &mut Network, number: usize| (net.open(0, number as u32).0, net.open(3, number as u32).1);
    let ends: Vec<_> = (0..flows.len()).map(|number| open(net, number)).collect();
    // Addresses that have just begun to listen are not found before they have walked.
    let walked = net.clock() + WALKED;
    net.run(&mut traffic, walked);
    for ((source, download), (port, to)) in flows.iter().zip(ends) {
        traffic.start(net, Flow { node: 0, port, to, download: *download, source: *source, packet: 1200, size });
    }
    let until = net.clock() + Duration::from_secs(seconds);
    net.run(&mut traffic, until);
    net.finish();
    assert_eq!(net.checks.failures(), (&[][..], 0));
    traffic.all()
}

fn window(algorithm: Algorithm) -> Source {
    Source::Window(WindowParams { algorithm, ..WindowParams::default() })
}

#[test]
fn a_constant_source_sends_its_rate() {
    let mut net = bottleneck(100_000, 1);
    let stats = run(&mut net, &[(Source::Constant { rate: 12_000 }, false)], None, 60);
    assert!((590..=600).contains(&stats[0].received), "{stats:?}");
    assert_eq!(stats[0].goodput, stats[0].received * (1200 - INNER_OVERHEAD));
    let latency = stats[0].latency_sum / stats[0].received as f64;
    assert!((0.030..0.060).contains(&latency), "three hops of 10 ms and their lines: {latency}");
}

#[test]
fn a_window_fills_the_bottleneck_and_stays_below_its_limit() {
    for (algorithm, download) in [(Algorithm::Cubic, false), (Algorithm::NewReno, true)] {
        let mut net = bottleneck(100_000, 2);
        let stats = run(&mut net, &[(window(algorithm), download)], None, 60);
        let share = stats[0].goodput as f64 / 60.0 / (100_000.0 * 1147.0 / 1275.0);
        assert!((0.9..=1.0).contains(&share), "{algorithm:?}: {share} {stats:?}");
        assert!(stats[0].cuts > 0 && stats[0].marked > 0, "it hears of congestion: {stats:?}");
        assert_eq!(stats[0].lost, 0, "by marks, before anything is dropped: {stats:?}");
    }
}

#[test]
fn losses_are_found_and_made_good() {
    let mut net = bottleneck(100_000, 3);
    let lossy = LinkParams { rate: 100_000, loss: 0.01, retransmit: false, ..LinkParams::default() };
    net.set_link(1, lossy);
    let size = 1_000_000;
    let stats = run(&mut net, &[(window(Algorithm::Cubic), false)], Some(size), 120);
    assert!(stats[0].lost > 0 && stats[0].done.is_some() && stats[0].goodput >= size, "{stats:?}");
}

#[test]
fn two_windows_share_and_an_on_off_source_pauses() {
    let mut net = bottleneck(100_000, 4);
    let stats = run(&mut net, &[(window(Algorithm::Cubic), false), (window(Algorithm::Cubic), true)], None, 120);
    assert_eq!(stats.len(), 2);
    let mut net = bottleneck(100_000, 5);
    let both = run(&mut net, &[(window(Algorithm::Cubic), false), (window(Algorithm::Cubic), false)], None, 120);
    let sum = (both[0].goodput + both[1].goodput) as f64;
    let share = both[0].goodput as f64 / sum;
    assert!((0.3..0.7).contains(&share), "{share}");
    let second = Duration::from_secs(1);
    let on_off = Source::OnOff { rate: 12_000, on: second, off: 3 * second };
    let stats = run(&mut bottleneck(100_000, 6), &[(on_off, false)], None, 400);
    assert!((800..1250).contains(&stats[0].received), "a quarter of 4,000: {stats:?}");
}

#[test]
fn a_flow_goes_on_over_its_successors() {
    for (source, download) in [(window(Algorithm::Cubic), true), (Source::Constant { rate: 1200 }, false)] {
        let stats = run(&mut bottleneck(100_000, 7), &[(source, download)], None, 1300);
        assert!(stats[0].trails >= 3, "renewed after six to eight minutes: {stats:?}");
        let expected = if download { 1300.0 * 70.0 } else { 1300.0 };
        assert!(stats[0].received as f64 > 0.95 * expected, "{stats:?}");
    }
}

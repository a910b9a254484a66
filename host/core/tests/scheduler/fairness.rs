//! Who gets how much.

use mute_core::{
    Ecn,
    scheduler::{Ingress, Standing},
};

use crate::tools::{Run, data, jain, link, ms, numbered, port, queue};

/// 1.25 MB/s: an upload of 10 Mbit/s.
const RATE: u64 = 1_250_000;

/// A source that sends packets of `length` at `rate` bytes a second over `labels` trails.
struct Source {
    ingress: Ingress,
    labels: Vec<u64>,
    length: usize,
    rate: u64,
    next_us: u64,
    count: usize,
}

impl Source {
    fn new(ingress: impl Into<Ingress>, labels: impl IntoIterator<Item = u64>, length: usize, rate: u64) -> Self {
        Self { ingress: ingress.into(), labels: labels.into_iter().collect(), length, rate, next_us: 0, count: 0 }
    }
}

/// Runs them for so many seconds.
fn run(sources: &mut [Source], seconds: u64) -> Run {
    let mut run = Run::new(RATE);
    for now in (0..seconds * 1_000_000).step_by(100) {
        for source in &mut *sources {
            while source.next_us <= now {
                let label = source.labels[source.count % source.labels.len()];
                let frame = numbered(label, source.length, Ecn::NotCapable, now);
                run.queue.push(source.ingress, frame, ms(0) + std::time::Duration::from_micros(now));
                source.count += 1;
                source.next_us += source.length as u64 * 1_000_000 / source.rate;
            }
        }
        run.drain(now);
    }
    run
}

/// What the labels of a source have got.
fn share(run: &Run, source: &Source) -> u64 {
    source.labels.iter().filter_map(|label| run.sent.get(label)).sum()
}

#[test]
fn equal_ingresses_get_equal_shares_whatever_they_ask_for() {
    // From a fair share and a bit up to twenty times it, in packets of all sizes.
    let mut sources: Vec<_> = (0..10)
        .map(|n| Source::new(link(n), [2 * n], [300, 1400, 4000, 16_000][n as usize % 4], RATE / 9 * (1 + 2 * n)))
        .collect();
    let run = run(&mut sources, 20);
    let index = jain(sources.iter().map(|source| share(&run, source)));
    assert!(index >= 0.99, "{index}: {:?}", run.sent);
    let all: u64 = run.sent.values().sum();
    assert!(all >= RATE * 20 * 99 / 100, "the link is idle: {all}");
}

#[test]
fn a_hog_with_a_hundred_trails_counts_as_one() {
    for length in [300, 16_000] {
        let mut sources = [
            Source::new(link(1), (0..100).map(|n| 16 * n), length, 20 * RATE),
            Source::new(link(2), [16 * 1000], 1400, RATE),
        ];
        let run = run(&mut sources, 10);
        let bystander = share(&run, &sources[1]);
        assert!(bystander >= RATE / 2 * 10 * 97 / 100, "{bystander} beside packets of {length}");
    }
}

#[test]
fn a_bystander_below_its_share_loses_nothing() {
    let mut sources = [
        Source::new(link(1), (0..100).map(|n| 16 * n), 16_000, 20 * RATE),
        Source::new(link(2), [16 * 1000], 1400, RATE / 4),
    ];
    let run = run(&mut sources, 10);
    let bystander = share(&run, &sources[1]);
    assert!(bystander >= RATE / 4 * 10 * 99 / 100, "{bystander}");
    assert!(run.delays[&16_000] <= 2 * 16_000 * 1_000_000 / RATE, "{:?}", run.delays[&16_000]);
}

#[test]
fn all_identities_of_this_node_are_one_ingress() {
    let mut sources: Vec<_> = (0..9).map(|n| Source::new(port(n), [2 * n], 1400, RATE)).collect();
    sources.push(Source::new(link(1), [100], 1400, RATE));
    let run = run(&mut sources, 10);
    let neighbour = share(&run, &sources[9]);
    assert!(neighbour >= RATE / 2 * 10 * 97 / 100, "{neighbour}");
}

#[test]
fn pulses_gain_nothing() {
    // The largest packet, again when the debt for the one before is forgotten if it ever is: served at once each time it would have 0.4 of the link.
    let mut run = Run::new(RATE);
    let (mut waits, mut silent_since) = (0, 0);
    for now in (0..20_000_000).step_by(100) {
        while run.queue.bytes() < 200_000 {
            for n in 2..5 {
                run.queue.push(link(n), numbered(2 * n, 1400, Ecn::Capable0, now), crate::tools::us(now));
            }
        }
        let pulses = run.sent.get(&0).copied().unwrap_or(0);
        if pulses == waits && now >= silent_since + 20_000 {
            run.queue.push(link(1), numbered(0, 16_000, Ecn::Capable0, now), crate::tools::us(now));
            waits += 16_000;
        }
        run.drain(now);
        if run.sent.get(&0).copied().unwrap_or(0) > pulses {
            silent_since = now;
        }
    }
    let (pulses, all) = (run.sent[&0], run.sent.values().sum::<u64>());
    assert!(pulses * 100 <= all * 27, "{pulses} of {all}");
}

#[test]
fn weights_are_kept() {
    let weighing = |hop, weight| Ingress { hop, standing: Standing { weight, stranger: false } };
    let mut sources: Vec<_> =
        [1, 2, 4].into_iter().map(|n| Source::new(weighing(link(n), n as u8), [2 * n], 1400, 2 * RATE)).collect();
    let run = run(&mut sources, 10);
    let unit = RATE * 10 / 7;
    for (source, weight) in sources.iter().zip([1, 2, 4]) {
        let got = share(&run, source);
        assert!(got.abs_diff(unit * weight) * 100 <= unit * weight * 3, "{got} at {weight}");
    }
}

#[test]
fn strangers_together_get_as_much_as_one_friend() {
    let stranger = |hop| Ingress { hop, standing: Standing { weight: 1, stranger: true } };
    for (strangers, friends) in [(1, 3), (6, 2), (15, 1)] {
        let mut sources: Vec<_> = (0..strangers).map(|n| Source::new(stranger(link(n)), [2 * n], 1400, RATE)).collect();
        sources.extend((100..100 + friends).map(|n| Source::new(link(n), [2 * n], 1400, RATE)));
        let run = run(&mut sources, 10);
        let theirs: u64 = sources[..strangers as usize].iter().map(|source| share(&run, source)).sum();
        let all: u64 = run.sent.values().sum();
        let fair = 1.0 / (1 + friends) as f64;
        let share = theirs as f64 / all as f64;
        assert!((share - fair).abs() <= 0.02, "{share} of {strangers} strangers beside {friends} friends");
    }
}

#[test]
fn a_friend_with_pauses_hardly_waits_for_four_strangers() {
    // Its queue is empty again and again, when the strangers are alone; they have its half of the link between them all the same.
    let stranger = |hop| Ingress { hop, standing: Standing { weight: 1, stranger: true } };
    let mut sources: Vec<_> = (0..4).map(|n| Source::new(stranger(link(n)), [2 * n], 1400, RATE)).collect();
    sources.push(Source::new(link(9), [100], 1400, RATE * 48 / 100));
    let run = run(&mut sources, 10);
    assert!(share(&run, &sources[4]) >= RATE * 10 * 47 / 100);
    // Less than a whole turn of each of them takes.
    let turns = 4 * 4096 * 1_000_000 / RATE;
    assert!(run.delays[&100] < turns, "{} of {turns} us", run.delays[&100]);
}

#[test]
fn this_node_is_a_stranger_beside_strangers() {
    let stranger = |hop| Ingress { hop, standing: Standing { weight: 1, stranger: true } };
    let mut sources: Vec<_> = (0..7).map(|n| Source::new(stranger(link(n)), [2 * n], 1400, RATE)).collect();
    sources.push(Source::new(port(1), [100], 1400, RATE));
    let alone = run(&mut sources, 10);
    assert!(jain(sources.iter().map(|source| share(&alone, source))) >= 0.99, "{:?}", alone.sent);
    sources.push(Source::new(link(9), [200], 1400, RATE));
    sources.iter_mut().for_each(|source| source.next_us = 0);
    let beside_a_friend = run(&mut sources, 10);
    let [own, friend] = [7, 8].map(|n| share(&beside_a_friend, &sources[n]));
    assert!(own.abs_diff(RATE * 10 / 3).max(friend.abs_diff(RATE * 10 / 3)) <= RATE / 10, "{own} {friend}");
}

#[test]
fn strangers_alone_get_all() {
    let stranger = |hop| Ingress { hop, standing: Standing { weight: 1, stranger: true } };
    let mut sources: Vec<_> = (0..4).map(|n| Source::new(stranger(link(n)), [2 * n], 1400, RATE)).collect();
    let run = run(&mut sources, 5);
    assert!(run.sent.values().sum::<u64>() >= RATE * 5 * 99 / 100);
    assert!(jain(run.sent.values().copied()) >= 0.99);
}

#[test]
fn sparse_trails_go_ahead_of_the_others_of_their_ingress() {
    let mut queue = queue();
    for _ in 0..20 {
        queue.push(link(1), data(2, 16_000), ms(0));
    }
    queue.push(link(1), data(4, 300), ms(1));
    let at = (0..).map_while(|_| queue.pop(ms(2))).position(|frame| crate::tools::label_of(&frame) == 4);
    assert_eq!(at, Some(0));
}

#[test]
fn minted_labels_gain_an_eighth_at_most() {
    // A hog in the bystander's ingress, on one trail or with each packet on a trail of its own; both send as much as the link takes.
    let beside = |labels: u64| {
        let mut sources = [
            Source::new(link(1), (0..labels).map(|n| 16 * n), 1000, RATE),
            Source::new(link(1), [16 * 20_000], 16_000, RATE),
        ];
        let run = run(&mut sources, 20);
        let [hog, bystander] = [0, 1].map(|n| share(&run, &sources[n]) as f64);
        bystander / (hog + bystander)
    };
    let [one, many] = [1, 10_000].map(beside);
    assert!(many >= 0.5, "{many}: first in, first out would give a half");
    assert!(many >= one - 0.15, "{many} instead of {one}");
}

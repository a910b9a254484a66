//! What a link pays for one frame in its scheduler: `cargo run --release -p mute-core --example scheduler`

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "it measures, outside of the core")]

use std::{hint::black_box, time::Duration, time::Instant as Clock};

use bytes::Bytes;
use mute_core::{
    Ecn, Hop, Instant, Label, LinkId, Scheduler, SchedulerConfig,
    scheduler::Verdict,
    wire::{Frame, Verified},
};

const FRAMES: u64 = 10_000;
/// The fastest counts, as others use this machine too.
const ROUNDS: u64 = 200;

/// Pushes and pops while `standing` frames wait, of `length` bytes, from `ingresses`, each with `trails`.
fn measure(what: &str, standing: u64, length: usize, ingresses: u64, trails: u64) {
    let mut scheduler = Scheduler::<Verified>::new(SchedulerConfig::default());
    let body = Bytes::from(vec![0; length]);
    let frame = |n: u64| {
        let label = Label(2 * (n / ingresses % trails).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        (Hop::Link(LinkId(n % ingresses)), Frame::Data { label, ecn: Ecn::Capable0, body: body.clone() })
    };
    // 100 MB/s.
    let at = |n: u64| Instant::from_origin(Duration::from_nanos(n * 10 * length as u64));
    for n in 0..standing {
        let (hop, frame) = frame(n);
        assert_eq!(scheduler.push(hop, frame, at(0)), Verdict::Queued);
    }
    let mut fastest = f64::INFINITY;
    for round in 0..ROUNDS {
        let start = Clock::now();
        for n in round * FRAMES..(round + 1) * FRAMES {
            let (hop, frame) = frame(n);
            black_box(scheduler.push(hop, frame, at(n)));
            black_box(scheduler.pop(at(n)));
        }
        fastest = fastest.min(start.elapsed().as_nanos() as f64 / FRAMES as f64);
    }
    println!("{what:40} {fastest:6.0} ns a push and pop, {:?}", scheduler.counters());
}

fn main() {
    println!("{} bytes empty", size_of::<Scheduler<Verified>>());
    measure("nothing waits, 1 ingress, 1 trail", 0, 1400, 1, 1);
    measure("100 wait, 1 ingress, 1 trail", 100, 1400, 1, 1);
    measure("100 wait, 8 ingresses, 100 trails each", 100, 1400, 8, 100);
    measure("100 wait of 15 KB, 8 ingresses", 100, 15_000, 8, 100);
    measure("3000 wait, 16 ingresses, 100 trails each", 3000, 1400, 16, 100);
    measure("3000 wait, 64 ingresses, 100 trails each", 3000, 1400, 64, 100);
}

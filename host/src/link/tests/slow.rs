//! A link over a slow path: what waits, waits in the scheduler, and is shared fairly.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use tokio::net::UdpSocket;

use super::*;

/// 10 Mbit/s.
const RATE: u64 = 1_250_000;

/// What the path's own queue holds: 50 ms of it.
const PATH_QUEUE_BYTES: usize = 64 << 10;

/// How long a packet is on its way in either direction when nothing waits.
const DELAY: Duration = Duration::from_millis(5);

/// How long what is measured takes.
const SPAN: Duration = Duration::from_secs(6);

/// How long the link has before that to learn what the path bears.
const WARM_UP: Duration = Duration::from_secs(2);

/// Packets on their way, and when they are there.
type OnTheirWay = VecDeque<(Instant, Vec<u8>)>;

/// Stands between two sockets: what goes to `inner` is late, what comes from it also takes its time.
async fn slow_path(inner: SocketAddr) -> SocketAddr {
    let [outside, inside] = [0, 1].map(|_| std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket"));
    let address = outside.local_addr().expect("an address");
    let [outside, inside] = [outside, inside].map(|socket| {
        socket.set_nonblocking(true).expect("a socket");
        UdpSocket::from_std(socket).expect("a socket")
    });
    inside.connect(inner).await.expect("a socket");
    tokio::spawn(async move {
        let (mut to, mut there) = ([0; 2048], [0; 2048]);
        let mut peer = None;
        let (mut slow, mut fast, mut waits) = (OnTheirWay::new(), OnTheirWay::new(), 0);
        let mut free = Instant::now();
        loop {
            let due = slow.front().map(|(at, _)| *at).into_iter().chain(fast.front().map(|(at, _)| *at)).min();
            let due = due.unwrap_or_else(|| Instant::now() + Duration::from_secs(1));
            tokio::select! {
                Ok((length, from)) = outside.recv_from(&mut to) => {
                    peer = Some(from);
                    fast.push_back((Instant::now() + DELAY, to[..length].to_vec()));
                }
                Ok(length) = inside.recv(&mut there) => {
                    if waits + length <= PATH_QUEUE_BYTES {
                        waits += length;
                        free = free.max(Instant::now()) + Duration::from_nanos(length as u64 * 1_000_000_000 / RATE);
                        slow.push_back((free + DELAY, there[..length].to_vec()));
                    }
                }
                () = tokio::time::sleep_until(due.into()) => {}
            }
            while let Some((_, packet)) = slow.pop_front_if(|(at, _)| *at <= Instant::now()) {
                waits -= packet.len();
                if let Some(peer) = peer {
                    let _ = outside.send_to(&packet, peer).await;
                }
            }
            while let Some((_, packet)) = fast.pop_front_if(|(at, _)| *at <= Instant::now()) {
                let _ = inside.send(&packet).await;
            }
        }
    });
    address
}

/// What has arrived of each label: bytes, and how long each frame took.
#[derive(Default)]
struct Arrived {
    bytes: BTreeMap<u64, u64>,
    delays: BTreeMap<u64, Vec<Duration>>,
}

/// Reads all lanes and notes what comes.
fn read_all(lanes: BTreeMap<u8, RecvStream>, born: Instant) -> Arc<Mutex<Arrived>> {
    let arrived = Arc::new(Mutex::new(Arrived::default()));
    for mut stream in lanes.into_values() {
        let arrived = Arc::clone(&arrived);
        tokio::spawn(async move {
            let mut length = [0; 2];
            while stream.read_exact(&mut length).await.is_ok() {
                let mut frame = vec![0; usize::from(u16::from_be_bytes(length))];
                if stream.read_exact(&mut frame).await.is_err() {
                    return;
                }
                let number = |at: usize| u64::from_be_bytes(frame[at..at + 8].try_into().expect("eight bytes"));
                let took = born.elapsed().saturating_sub(Duration::from_micros(number(10)));
                let mut arrived = arrived.lock().expect("no panic");
                *arrived.bytes.entry(number(1)).or_default() += frame.len() as u64;
                arrived.delays.entry(number(1)).or_default().push(took);
            }
        });
    }
    arrived
}

/// Data that says when it was sent.
fn stamped(label: u64, length: usize, born: Instant) -> Frame<Verified> {
    let mut body = vec![0; length];
    body[..8].copy_from_slice(&(born.elapsed().as_micros() as u64).to_be_bytes());
    Frame::Data { label: Label(label), ecn: Ecn::Capable0, body: body.into() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_waits_in_the_scheduler_and_is_shared() {
    let mut pair = pair_over(slow_path).await;
    let born = Instant::now();
    let arrived = read_all(std::mem::take(&mut pair.lanes), born);
    // Two neighbours send all they can, one on many trails; a third sends 100 KB/s in packets that are bulk too.
    let stop = Arc::new(AtomicBool::new(false));
    let sending = {
        let stop = Arc::clone(&stop);
        async move {
            let (mut round, mut ticks) = (0_u64, tokio::time::interval(Duration::from_millis(10)));
            while !stop.load(Ordering::Relaxed) {
                ticks.tick().await;
                let mut frames = Vec::new();
                for n in 0..3 {
                    frames.push(from(1, stamped(16 * ((3 * round + n) % 100), 15_000, born)));
                    frames.push(from(2, stamped(2_002, 15_000, born)));
                }
                if round % 8 == 0 {
                    frames.push(from(3, stamped(3_002, 8_000, born)));
                }
                pair.link.queue(&mut frames);
                round += 1;
            }
            pair
        }
    };
    let sending = tokio::spawn(sending);
    tokio::time::sleep(WARM_UP).await;
    let _ = std::mem::take(&mut *arrived.lock().expect("no panic"));
    tokio::time::sleep(SPAN).await;
    let Arrived { bytes, mut delays } = std::mem::take(&mut *arrived.lock().expect("no panic"));
    stop.store(true, Ordering::Relaxed);
    let pair = sending.await.expect("no panic");
    let one: u64 = bytes.iter().filter(|(label, _)| **label < 2_000).map(|(_, bytes)| bytes).sum();
    let (two, three) = (bytes[&2_002], bytes[&3_002]);
    let late = delays.get_mut(&3_002).expect("it arrives");
    late.sort_unstable();
    let late = late[late.len() * 9 / 10];
    let all = one + two + three;
    let counters = pair.link.counters();
    println!("{all} bytes: {one}, {two}, {three}; the third's 90th percentile {late:?}; {counters:?}");
    assert!(all >= RATE * SPAN.as_secs() * 8 / 10, "the link is idle: {all}");
    assert!(one.abs_diff(two) * 10 <= one + two, "one trail beside a hundred: {two} beside {one}");
    assert!(three >= 100_000 * SPAN.as_secs() * 9 / 10, "who asks for less than its share gets it: {three}");
    assert!(late < Duration::from_millis(250), "it waits before the link, not in the scheduler: {late:?}");
    assert!(counters.marked > 0 && counters.dropped > 0);
}

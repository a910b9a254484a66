//! A neighbour that proves its key and then speaks nonsense: it is closed with a code and kept out for a while, and the
//! other links notice nothing.

mod common;

use bytes::Bytes;
use common::{
    BULK, CONTROL, End, FLOOD, INTERACTIVE, Raw, connect, framed, is_up, lay, neighbour, peer, secret, start, status,
    until,
};
use mute::{
    link::{FrameKind, PeerAddress},
    node::{Handle, NeighbourState},
};
use mute_core::{
    Ecn, IdentityKey, Label, NetworkId, Topic,
    wire::{Flood, Frame, MAX_FRAME, Phase, Signed, Stamp, Verified, kind},
};

const MALFORMED: u64 = 0x101;
const WRONG_NETWORK: u64 = 0x102;
const BAD_SIGNATURE: u64 = 0x103;
const VERSION: u64 = 0x105;
const OUT_OF_PLACE: u64 = 0x106;
const HELLO_TIMEOUT: u64 = 5;
const BACKED_OFF: u64 = 4;

fn flood(network: NetworkId, random: u64) -> Signed<Flood, Verified> {
    let unix_s = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let stamp = Stamp { minute: u32::try_from(unix_s / 60).expect("before 10000"), random };
    Signed::<Flood, _>::sign(network, &IdentityKey::from_seed(&[9; 32]), stamp, Topic::of("x"), b"?").expect("short")
}

fn encoded(frame: &Frame<Verified>) -> Bytes {
    [frame.encode_header(), frame.body()].concat().into()
}

fn close() -> Bytes {
    encoded(&Frame::Close { label: Label(1) })
}

/// A flood with one bit of its signature changed.
fn forged() -> Bytes {
    let mut bytes = encoded(&Frame::Flood { phase: Phase::Hidden, message: flood(common::NETWORK, 1) }).to_vec();
    *bytes.last_mut().expect("a signature") ^= 1;
    bytes.into()
}

/// What is said on which lane, after a proper Hello, and the code that it is closed with.
fn nonsense() -> Vec<(&'static str, u8, Bytes, u64)> {
    let foreign = encoded(&Frame::Flood { phase: Phase::Hidden, message: flood(NetworkId([8; 16]), 1) });
    let data = encoded(&Frame::Data { label: Label(0), ecn: Ecn::NotCapable, body: Bytes::from_static(b"x") });
    let garbage: Vec<u8> = (0..4096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    vec![
        ("an oversized frame", BULK, Bytes::copy_from_slice(&(MAX_FRAME as u16 + 1).to_be_bytes()), MALFORMED),
        ("an empty frame", INTERACTIVE, framed(&[]), MALFORMED),
        ("a cut frame", INTERACTIVE, framed(&[kind::DATA, 1, 2]), MALFORMED),
        ("a mark without a meaning", INTERACTIVE, framed(&[kind::DATA, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1]), MALFORMED),
        ("garbage", FLOOD, framed(&[&[kind::FLOOD], &garbage[..]].concat()), MALFORMED),
        ("a bad signature", FLOOD, forged(), BAD_SIGNATURE),
        ("a message of another network", FLOOD, foreign, WRONG_NETWORK),
        ("data on the lane of floods", FLOOD, data, OUT_OF_PLACE),
        ("a close on a lane of data", BULK + 3, close(), OUT_OF_PLACE),
        ("a lane that there is not", 7, close(), OUT_OF_PLACE),
        ("a second control lane", CONTROL, close(), OUT_OF_PLACE),
    ]
}

/// Two nodes that are linked: the second is attacked by others.
async fn victim() -> (Handle, Handle, PeerAddress) {
    let (friend, victim) = (start(1).await, start(2).await);
    connect(&friend, &victim).await;
    let place = peer(&victim).await;
    (friend, victim, place)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_nonsense_is_closed_with_its_code_and_kept_out() {
    let (friend, victim, place) = victim().await;
    for (number, (what, lane, bytes, code)) in (10..).zip(nonsense()) {
        let (raw, _control) = Raw::greet(number, &place).await;
        let _lane = raw.open(lane, &bytes).await;
        assert_eq!(raw.close_code().await, code, "{what}");
        let key = secret(number).key();
        let banned = |status: &_| neighbour(status, key).is_some_and(|n| n.state == NeighbourState::Banned);
        until(&victim, what, banned).await;
        assert_eq!(Raw::greet(number, &place).await.0.close_code().await, BACKED_OFF, "{what}");
    }
    // The link beside it is the one that was there before.
    assert!(is_up(&status(&victim).await, secret(1).key()));
    let friends = status(&friend).await;
    assert!(neighbour(&friends, place.key).is_some_and(|n| n.link.is_some() && n.last_end.is_none()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_hello_is_closed_with_its_code() {
    let (_friend, victim, place) = victim().await;
    let later = framed(&[&[kind::HELLO][..], &hello(2, &[7; 16])].concat());
    let foreign = framed(&[&[kind::HELLO][..], &hello(1, &[8; 16])].concat());
    let cases: [(_, u8, &[u8], _); 6] = [
        ("another lane first", INTERACTIVE, &framed(&[kind::HELLO]), OUT_OF_PLACE),
        ("another frame first", CONTROL, &close(), OUT_OF_PLACE),
        ("an endless hello", CONTROL, &[0xff; 8192], OUT_OF_PLACE),
        ("a broken hello", CONTROL, &framed(&[kind::HELLO, 0xc1]), MALFORMED),
        ("a later version", CONTROL, &later, VERSION),
        ("another network", CONTROL, &foreign, WRONG_NETWORK),
    ];
    for (number, (what, lane, bytes, code)) in (10..).zip(cases) {
        let raw = Raw::dial(number, &place).await;
        let _stream = raw.open(lane, bytes).await;
        assert_eq!(raw.close_code().await, code, "{what}");
    }
    // Nothing at all.
    assert_eq!(Raw::dial(30, &place).await.close_code().await, HELLO_TIMEOUT);
    assert_eq!(status(&victim).await.remotes.len(), 1);
}

/// A Hello in MessagePack: a map of `version` and `network`.
fn hello(version: u8, network: &[u8; 16]) -> Vec<u8> {
    [b"\x82\xa7version", &[version][..], b"\xa7network\xc4\x10", network].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_end_or_are_reset_are_nonsense_and_leave_is_not() {
    let (_friend, victim, place) = victim().await;
    let (raw, _control) = Raw::greet(10, &place).await;
    let mut lane = raw.open(BULK, &[]).await;
    lane.finish().expect("an open stream");
    assert_eq!(raw.close_code().await, OUT_OF_PLACE);

    let (raw, _control) = Raw::greet(11, &place).await;
    let mut lane = raw.open(BULK, &[0]).await;
    lane.reset(7_u32.into()).expect("an open stream");
    assert_eq!(raw.close_code().await, OUT_OF_PLACE);

    let (raw, mut control) = Raw::greet(12, &place).await;
    control.finish().expect("an open stream");
    assert_eq!(raw.close_code().await, 0);
    let key = secret(12).key();
    let left = |status: &_| neighbour(status, key).is_some_and(|n| n.state == NeighbourState::Down);
    until(&victim, "the leave", left).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_streams_than_there_are_lanes_are_not_given() {
    let (_friend, _victim, place) = victim().await;
    let (raw, _control) = Raw::greet(10, &place).await;
    let mut lanes = Vec::new();
    for lane in 1..7 {
        lanes.push(raw.open(lane, &[]).await);
    }
    let eighth = tokio::time::timeout(std::time::Duration::from_millis(300), raw.connection.open_uni()).await;
    assert!(eighth.is_err(), "QUIC gives no more than seven streams");
    let bidirectional = tokio::time::timeout(std::time::Duration::from_millis(300), raw.connection.open_bi()).await;
    assert!(bidirectional.is_err(), "QUIC gives no bidirectional stream");
    assert_eq!(raw.connection.max_datagram_size(), None, "QUIC takes no datagrams");
}

/// Packets to and fro until `attack` is over; returns how many went.
async fn ping_pong(here: &mut End, there: &mut End, attack: impl Future<Output = ()>) -> u64 {
    let mut attack = std::pin::pin!(attack);
    let mut count = 0;
    loop {
        let round = async {
            here.send(Bytes::from(vec![1; 15_000])).await;
            assert_eq!(there.receive().await.body.len(), 15_000);
            there.send(Bytes::from_static(b"got it")).await;
            assert_eq!(here.receive().await.body, "got it");
        };
        tokio::select! {
            () = &mut attack => return count,
            () = round => count += 1,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfers_over_other_links_go_on_under_attack() {
    let (friend, victim, place) = victim().await;
    let (mut here, mut there) = lay(&friend, &victim, 1).await;
    let attacks = async {
        for (number, (what, lane, bytes, code)) in (10..).zip(nonsense()) {
            let (raw, _control) = Raw::greet(number, &place).await;
            let _lane = raw.open(lane, &bytes).await;
            assert_eq!(raw.close_code().await, code, "{what}");
        }
        // Data and Close for labels that there are not, as fast as it goes; then honest floods over any budget.
        let (raw, mut control) = Raw::greet(40, &place).await;
        let data = encoded(&Frame::Data { label: Label(0), ecn: Ecn::NotCapable, body: vec![0; 1200].into() });
        let mut lane = raw.open(INTERACTIVE, &[]).await;
        for _ in 0..20_000 {
            lane.write_all(&data).await.expect("an open link");
        }
        for _ in 0..20_000 {
            control.write_all(&close()).await.expect("an open link");
        }
        let mut lane = raw.open(FLOOD, &[]).await;
        for random in 0..3_000 {
            // A copy of one that was checked would cost nothing.
            let message = flood(common::NETWORK, random);
            let frame = encoded(&Frame::Flood { phase: Phase::Hidden, message });
            lane.write_all(&frame).await.expect("an open link");
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        let link = neighbour(&status(&victim).await, secret(40).key()).and_then(|n| n.link.clone());
        let received = link.expect("it has broken no rule").counters.received;
        assert!(received[&FrameKind::Data].frames > 0);
        assert!(received[&FrameKind::Flood].frames < 3_000, "its floods wait for their verification");
    };
    let rounds = ping_pong(&mut here, &mut there, attacks).await;
    assert!(rounds > 0);
    let friends = status(&friend).await;
    assert!(neighbour(&friends, place.key).is_some_and(|n| n.link.is_some() && n.last_end.is_none()));
}

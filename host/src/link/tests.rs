//! A link at work against a neighbour whose streams the test reads, or does not read.

mod slow;

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use bytes::Bytes;
use mute_core::{
    Ecn, Hop, Label, LinkId, NetworkId,
    scheduler::{Ingress, Lane},
    wire::{Frame, Verified},
};
use quinn::{Connection, RecvStream, SendStream};
use tokio::sync::mpsc;

use super::{
    Bound, FromLink, Known, LinkEnd, LinkHandle, NodeSecret, SERVER_NAME, accept, bind, client_config, hello, spawn,
};

const NETWORK: NetworkId = NetworkId([7; 16]);

/// How long anything may take on a machine that is busy with something else.
const PATIENCE: Duration = Duration::from_secs(40);

/// A link, and its other side by hand.
struct Pair {
    link: LinkHandle,
    inbox: mpsc::Receiver<FromLink>,
    peer: Connection,
    /// The streams of the link, by lane; the control stream is past its Hello.
    lanes: BTreeMap<u8, RecvStream>,
    _control: SendStream,
    _sockets: [Bound; 2],
}

async fn pair() -> Pair {
    pair_over(async |address| address).await
}

/// A pair whose other side dials what `path` makes of the link's address.
async fn pair_over(path: impl AsyncFnOnce(SocketAddr) -> SocketAddr) -> Pair {
    let secrets = [1, 2].map(|n| NodeSecret::from_seed(&[n; 32]));
    let sockets = [0, 1].map(|n| bind(&secrets[n], ([127, 0, 0, 1], 0).into()).expect("a socket"));
    let (to_node, mut inbox) = mpsc::channel(8);
    tokio::spawn(accept(sockets[0].endpoint.clone(), NETWORK, to_node.clone()));
    let config = client_config(&secrets[1], secrets[0].key()).expect("a configuration");
    let address = sockets[0].endpoint.local_addr().expect("an address");
    let address = path(address).await;
    let dialling = sockets[1].endpoint.connect_with(config, address, SERVER_NAME).expect("an attempt");
    let peer = dialling.await.expect("a connection");
    let control = hello::say(&peer, NETWORK).await.expect("a hello");
    let heard = hello::hear(&peer, NETWORK).await.expect("a hello");
    let Some(FromLink::Established(established)) = inbox.recv().await else { panic!("the link is not up") };
    assert_eq!((established.key, established.dialled), (secrets[1].key(), false));
    let link = spawn(LinkId(1), established, Known::new(NETWORK, [3; 32]), to_node);
    let mut lanes = BTreeMap::from([(Lane::CONTROL.number(), heard)]);
    for _ in Lane::all().skip(1) {
        let mut stream = peer.accept_uni().await.expect("a stream");
        let mut number = [0];
        stream.read_exact(&mut number).await.expect("a lane's number");
        assert!(lanes.insert(number[0], stream).is_none());
    }
    Pair { link, inbox, peer, lanes, _control: control, _sockets: sockets }
}

fn from(link: u64, frame: Frame<Verified>) -> (Ingress, Frame<Verified>) {
    (Hop::Link(LinkId(link)).into(), frame)
}

fn data(label: u64, length: usize) -> Frame<Verified> {
    Frame::Data { label: Label(label), ecn: Ecn::Capable0, body: Bytes::from(vec![0x5a; length]) }
}

/// The next frame of a stream, without its length.
async fn frame(stream: &mut RecvStream) -> Vec<u8> {
    let mut length = [0; 2];
    let reading = async {
        stream.read_exact(&mut length).await.expect("a length");
        let mut frame = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut frame).await.expect("a frame");
        frame
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("a frame in time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_not_read_holds_up_no_other() {
    let mut pair = pair().await;
    // Nobody reads the lane of label 0: it fills QUIC's window, then the queue.
    let mut level = 0;
    let stuffing = async {
        while level < 3 {
            level = pair.link.queue(&mut (0..20).map(|_| from(2, data(0, 15_000))).collect());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, stuffing).await.expect("it fills");
    for round in 0..50 {
        let control = Frame::Close { label: Label(1_000 + round) };
        // Each line of chat comes by another neighbour: one alone would send so many that it is bulk.
        pair.link.queue(&mut vec![from(2, data(2, 15_000)), from(3 + round, data(9, 64)), from(2, control)]);
        for (lane, length) in [(Lane::CONTROL, 9), (Lane::INTERACTIVE, 10 + 64), (Lane::of_bulk(Label(2)), 10 + 15_000)]
        {
            let stream = pair.lanes.get_mut(&lane.number()).expect("each lane has a stream");
            assert_eq!(frame(stream).await.len(), length);
        }
    }
    // What waited is still there, and comes when it is read.
    let stuffed = pair.lanes.get_mut(&Lane::of_bulk(Label(0)).number()).expect("each lane has a stream");
    while pair.link.level() > 0 {
        assert_eq!(frame(stuffed).await.len(), 10 + 15_000);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_says_the_last_of_the_control_lane_first() {
    let mut pair = pair().await;
    // Behind more Data than QUIC takes.
    pair.link.queue(&mut (0..200).map(|_| from(3, data(5_000, 15_000))).collect());
    tokio::time::sleep(Duration::from_millis(20)).await;
    pair.link.queue(&mut (0..1000).map(|n| from(2, Frame::Close { label: Label(n) })).collect());
    pair.link.finish();
    let control = pair.lanes.get_mut(&Lane::CONTROL.number()).expect("a control stream");
    for n in 0..1000_u64 {
        assert_eq!(frame(control).await[1..], n.to_be_bytes());
    }
    assert_eq!(control.read(&mut [0]).await, Ok(None), "then it ends");
    let down = tokio::time::timeout(PATIENCE, pair.inbox.recv()).await.expect("the end in time");
    assert!(matches!(down, Some(FromLink::Down { link: LinkId(1), end: LinkEnd::Ours })), "{down:?}");
    assert!(
        matches!(pair.peer.closed().await, quinn::ConnectionError::ApplicationClosed(close) if close.error_code == 0_u32.into())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_neighbour_is_lost() {
    let mut pair = pair().await;
    // The neighbour's machine vanishes: nothing comes from it any more, not even acknowledgements.
    let gone = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    pair._sockets[1].endpoint.rebind(gone).expect("another socket");
    drop(pair.lanes);
    let down = tokio::time::timeout(PATIENCE, pair.inbox.recv()).await.expect("the end in time");
    assert!(matches!(down, Some(FromLink::Down { link: LinkId(1), end: LinkEnd::Lost })), "{down:?}");
}

//! Channels: nothing lost, nothing twice, and an end is only an end when it says so.

use super::{fake::Weather, *};
use crate::overlay::error::code;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_megabytes_cross_a_bad_network_whole() {
    let mut pair = Pair::new().await;
    let weather = Weather { lost: 10, doubled: 10, delayed: 50, marked: 2, forged: 20 };
    pair.net.set_weather(weather);
    let (ours, theirs) = pair.connect().await;
    let (here, mut there) = channel(&ours, &theirs).await;
    let bytes = content(50_000_000);
    let hash = blake3::hash(&bytes);
    let (sent, received) = within(async { tokio::join!(send_all(here, bytes), receive_all(&mut there)) }).await;
    assert_eq!(received, Ok((50_000_000, hash)));
    assert_eq!(sent, Ok(()));
    assert_eq!(ours.stats().bytes_sent, 50_000_000);
    assert_eq!(theirs.stats().bytes_received, 50_000_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marks_on_the_way_slow_the_sender_down() {
    let mut pair = Pair::new().await;
    let (ours, theirs) = pair.connect().await;
    let (here, mut there) = channel(&ours, &theirs).await;
    let path = || ours.0.quinn.stats().path;
    let Channel { mut writer, .. } = here;
    let mut cross = async |bytes: usize| {
        let sending = async {
            let mut rest = content(bytes);
            while !rest.is_empty() {
                writer.write(rest.split_to(rest.len().min(64 << 10))).await.expect("it is open");
            }
        };
        let receiving = async {
            let mut read = 0;
            while read < bytes {
                read += there.reader.read(bytes - read).await.expect("it is open").expect("it goes on").len();
            }
        };
        within(async { tokio::join!(sending, receiving) }).await;
    };
    cross(4_000_000).await;
    let before = path();
    pair.net.set_weather(Weather { marked: 1000, ..Weather::default() });
    cross(4_000_000).await;
    let after = path();
    assert!(after.congestion_events > before.congestion_events, "{before:?} {after:?}");
    assert_eq!(after.lost_packets, before.lost_packets, "nothing but marks tells of congestion");
    assert!(after.cwnd < before.cwnd / 2, "{before:?} {after:?}");
}

#[tokio::test]
async fn a_channel_is_heard_of_before_anything_is_written() {
    let mut pair = Pair::new().await;
    let (ours, theirs) = pair.connect().await;
    let (mut here, mut there) = channel(&ours, &theirs).await;
    // The side that accepted speaks first.
    there.writer.write(Bytes::from_static(b"welcome")).await.expect("it is open");
    assert_eq!(within(here.reader.read(100)).await, Ok(Some(Bytes::from_static(b"welcome"))));
}

#[tokio::test]
async fn each_half_ends_on_its_own() {
    let mut pair = Pair::new().await;
    let (ours, theirs) = pair.connect().await;
    let (mut here, mut there) = channel(&ours, &theirs).await;
    here.writer.write(Bytes::from_static(b"question")).await.expect("it is open");
    assert_eq!(within(here.writer.finish()).await, Ok(()));
    assert_eq!(within(there.reader.read(4)).await, Ok(Some(Bytes::from_static(b"ques"))));
    assert_eq!(within(there.reader.read(100)).await, Ok(Some(Bytes::from_static(b"tion"))));
    assert_eq!(within(there.reader.read(100)).await, Ok(None));
    assert_eq!(within(there.reader.read(100)).await, Ok(None));
    there.writer.write(Bytes::from_static(b"answer")).await.expect("the other half is open");
    assert_eq!(within(there.writer.finish()).await, Ok(()));
    assert_eq!(within(here.reader.read(100)).await, Ok(Some(Bytes::from_static(b"answer"))));
    assert_eq!(within(here.reader.read(100)).await, Ok(None));
    let again = here.writer.write(Bytes::from_static(b"more")).await.expect_err("it was finished");
    assert_eq!(again.code, code::INVALID);
}

#[tokio::test]
async fn an_empty_channel_ends_truly() {
    let mut pair = Pair::new().await;
    let (ours, theirs) = pair.connect().await;
    let (mut here, mut there) = channel(&ours, &theirs).await;
    assert_eq!(within(here.writer.finish()).await, Ok(()));
    assert_eq!(within(there.reader.read(1)).await, Ok(None));
}

#[tokio::test]
async fn a_truncated_stream_is_an_error() {
    let mut pair = Pair::new().await;
    let (ours, theirs) = pair.connect().await;
    let (mut here, mut there) = channel(&ours, &theirs).await;
    here.writer.write(Bytes::from_static(b"half of")).await.expect("it is open");
    drop(here.writer);
    let error = loop {
        match within(there.reader.read(100)).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a truncated stream looks ended"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.code, code::CANCELLED);
}

#[tokio::test]
async fn reset_and_stop_carry_their_codes() {
    let mut pair = Pair::new().await;
    let (ours, theirs) = pair.connect().await;
    let (mut here, mut there) = channel(&ours, &theirs).await;
    here.writer.reset(1234);
    let error = within(there.reader.read(1)).await.expect_err("a reset");
    assert_eq!(error.code, 1234);
    here.reader.stop(4321);
    let error = loop {
        if let Err(error) = within(there.writer.write(content(10_000))).await {
            break error;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(error.code, 4321);
}

#[tokio::test]
async fn close_carries_code_and_reason_and_ends_everything() {
    let mut pair = Pair::new().await;
    let (ours, theirs) = pair.connect().await;
    let (mut here, mut there) = channel(&ours, &theirs).await;
    here.writer.write(Bytes::from_static(b"x")).await.expect("it is open");
    ours.close(1001, "enough\n of it");
    let why = within(theirs.closed()).await;
    assert_eq!((why.code, &*why.message), (1001, "enough of it"));
    // What had arrived may be read; then there is the error, and never an end.
    let mut read = within(there.reader.read(1)).await;
    if matches!(read, Ok(Some(_))) {
        read = within(there.reader.read(1)).await;
    }
    assert_eq!(read.expect_err("closed").code, 1001);
    assert_eq!(within(theirs.accept()).await.err().expect("closed").code, 1001);
    let own = within(ours.closed()).await;
    assert_eq!(own.code, 1001);
    assert_eq!(within(here.writer.write(content(1))).await.expect_err("closed").code, 1001);
}

#[tokio::test]
async fn what_was_finished_and_read_is_acknowledged_although_the_reader_leaves_at_once() {
    let mut pair = Pair::new().await;
    let (ours, theirs) = pair.connect().await;
    let (here, mut there) = channel(&ours, &theirs).await;
    let reader = tokio::spawn(async move {
        let received = receive_all(&mut there).await;
        drop((there, theirs));
        received
    });
    assert_eq!(within(send_all(here, content(1_000_000))).await, Ok(()));
    assert_eq!(within(reader).await.expect("no panic").map(|(length, _)| length), Ok(1_000_000));
    assert_eq!(within(ours.closed()).await.code, code::CLOSED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_nobody_reads_does_not_stop_the_others() {
    let mut pair = Pair::new().await;
    let (ours, theirs) = pair.connect().await;
    let (mut stalled, _unread) = channel(&ours, &theirs).await;
    let writer = tokio::spawn(async move {
        loop {
            if stalled.writer.write(content(64 << 10)).await.is_err() {
                return;
            }
        }
    });
    settle().await;
    let (here, mut there) = channel(&ours, &theirs).await;
    let (sent, received) =
        within(async { tokio::join!(send_all(here, content(500_000)), receive_all(&mut there)) }).await;
    assert_eq!(sent, Ok(()));
    assert_eq!(received.map(|(length, _)| length), Ok(500_000));
    writer.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_channels_at_once() {
    let mut pair = Pair::new().await;
    let (ours, theirs) = pair.connect().await;
    let answering = tokio::spawn(async move {
        while let Ok(mut channel) = theirs.accept().await {
            tokio::spawn(async move {
                let (length, _) = receive_all(&mut channel).await?;
                channel.writer.write(Bytes::from(length.to_be_bytes().to_vec())).await?;
                channel.writer.finish().await
            });
        }
    });
    // More than may be open at once: the rest wait.
    let asking: Vec<_> = (0..600_usize)
        .map(|n| {
            let ours = ours.clone();
            tokio::spawn(async move {
                let mut channel = ours.open().await?;
                channel.writer.write(content(n * 10)).await?;
                channel.writer.finish().await?;
                channel.reader.read(100).await
            })
        })
        .collect();
    for (n, asked) in asking.into_iter().enumerate() {
        let answer = within(asked).await.expect("no panic");
        assert_eq!(answer, Ok(Some(Bytes::from((n * 10).to_be_bytes().to_vec()))));
    }
    drop(ours);
    within(answering).await.expect("no panic");
}

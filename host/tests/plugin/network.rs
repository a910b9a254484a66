//! Streams between two plugins' addresses.

use crate::harness::{Bench, SPECIMEN};

#[tokio::test(flavor = "multi_thread")]
async fn bytes_go_there_and_back_between_two_plugins() {
    let bench = Bench::new(&[("one", &SPECIMEN), ("two", &SPECIMEN)], &["one", "two"]).await;
    bench.running("one").await;
    let to = bench.echoing("two").await;
    for bytes in ["0", "1", "65536", "20000000"] {
        let transfer = bench.json("one", "transfer", &[("to", &to), ("bytes", bytes)]).await;
        assert_eq!(transfer["received"].to_string(), bytes);
    }
    let (one, two) = (bench.info("one"), bench.info("two"));
    assert_eq!((one.bytes_out, one.bytes_in), (20_065_537, 20_065_537));
    assert_eq!((two.bytes_in, two.bytes_out), (20_065_537, 20_065_537));
    bench.until("one", |info| info.connections == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_stream_is_never_whole() {
    let bench = Bench::new(&[("one", &SPECIMEN), ("two", &SPECIMEN)], &["one", "two"]).await;
    bench.running("one").await;
    let to = bench.echoing("two").await;
    assert_eq!(bench.said("one", "cut", &[("to", &to)]).await, "broken");
    let lines = bench.plugins.logs("two").expect("known");
    assert!(lines.iter().any(|line| line.text.starts_with("echo: ")), "the echo saw no end: {lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_stay_and_belong_to_one_plugin() {
    let bench = Bench::new(&[("one", &SPECIMEN), ("two", &SPECIMEN)], &["one", "two"]).await;
    let one = bench.echoing("one").await;
    assert_ne!(one, bench.echoing("two").await);
    assert_eq!(bench.said("one", "names", &[]).await, "[\"echo\"]");
    bench.plugins.reload("one").expect("known");
    // The order is obeyed before the command is passed on.
    assert_eq!(one, bench.said("one", "address", &[]).await);
    let error = bench.command("one", "transfer", &[("to", "nobody"), ("bytes", "1")]).await.expect_err("no address");
    assert_eq!(error.code, 8, "{error}");
}

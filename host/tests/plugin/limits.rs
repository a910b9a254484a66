//! What a plugin may use, and what it is told when it wants more.

use mute::plugin::Permissions;

use crate::harness::{Bench, SPECIMEN};

#[tokio::test(flavor = "multi_thread")]
async fn a_hoarder_is_told_its_quota_and_lives_on() {
    let bench = Bench::new(&[("one", &SPECIMEN)], &["one"]).await;
    bench.echoing("one").await;
    let hoarded = bench.json("one", "hoard", &[]).await;
    assert_eq!(hoarded["code"], 7);
    // One of the 64 is the one that echoes.
    assert_eq!(hoarded["count"], 63);
    // All were given back.
    assert_eq!(bench.json("one", "hoard", &[]).await["count"], 63);
    assert_eq!(bench.info("one").restarts, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_tasks_end_their_plugin() {
    let bench = Bench::new(&[("one", &SPECIMEN)], &["one"]).await;
    bench.running("one").await;
    bench.command("one", "tasks", &[]).await.expect_err("it has too many");
    bench.until("one", |info| info.restarts == 1).await;
    bench.running("one").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_options_end_their_plugin() {
    let bench = Bench::new(&[("one", &SPECIMEN)], &["one"]).await;
    bench.running("one").await;
    let error = bench.command("one", "options", &[]).await.expect_err("it has too many");
    assert!(error.message.contains("connect options"), "{error}");
    bench.running("one").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_logs_keeps_the_newest() {
    let bench = Bench::new(&[("one", &SPECIMEN)], &["one"]).await;
    bench.running("one").await;
    bench.command("one", "flood", &[]).await.expect("it may log");
    let lines = bench.plugins.logs("one").expect("known");
    assert_eq!(lines.len(), 256);
    assert!(lines.last().is_some_and(|line| line.text.starts_with("line 99999 ")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panics_reason_is_in_the_log() {
    let bench = Bench::new(&[("one", &SPECIMEN)], &["one"]).await;
    bench.running("one").await;
    let error = bench.command("one", "panic", &[]).await.expect_err("it panicked");
    assert!(error.message.contains("panicked"), "{error}");
    let lines = bench.plugins.logs("one").expect("known");
    assert!(lines.iter().any(|line| line.text.contains("as it was told")), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_has_a_quota_and_a_put_is_all_or_nothing() {
    let bench = Bench::new(&[("one", &SPECIMEN)], &["one"]).await;
    bench.running("one").await;
    let stored = bench.json("one", "store", &[("key", "a"), ("bytes", "400000")]).await;
    assert_eq!(stored["quota"], 1_000_000);
    let used = stored["used"].as_u64().expect("a number");
    assert!((400_000..401_000).contains(&used), "{used}");
    let error = bench.command("one", "store", &[("key", "b"), ("bytes", "700000")]).await.expect_err("too much");
    assert_eq!(error.code, 7, "{error}");
    assert_eq!(bench.store.value("one", "b/small").expect("read"), None);
    assert_eq!(bench.info("one").storage_used_bytes, used);
    let error = bench.command("one", "store", &[("key", "c"), ("bytes", "2000000")]).await.expect_err("too large");
    assert_eq!(error.code, 9, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_granted_answers_denied() {
    let bench = Bench::new(&[("poor", &SPECIMEN), ("rich", &SPECIMEN)], &["rich"]).await;
    bench.running("poor").await;
    bench.running("rich").await;
    assert_eq!(bench.info("poor").permissions, Permissions::default());
    let probed = bench.json("poor", "probe", &[]).await;
    for interface in ["routing", "storage", "folders"] {
        assert_eq!(probed[interface], 5, "{probed}");
    }
    assert_eq!((&probed["names"], &probed["quota"]), (&0.into(), &0.into()));
    assert_eq!((&probed["random"], &probed["too-random"]), (&0.into(), &9.into()));
    let probed = bench.json("rich", "probe", &[]).await;
    // No folder of that name was granted.
    assert_eq!((&probed["routing"], &probed["storage"], &probed["folders"]), (&0.into(), &0.into(), &5.into()));
}

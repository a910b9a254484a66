//! A plugin's life: starting, crashing, pausing, quarantine, stopping.

use mute::plugin::{Output, PluginState};

use crate::harness::{Bench, SPECIMEN, variant};

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_runs_stops_and_starts_again() {
    let bench = Bench::new(&[("one", &SPECIMEN)], &["one"]).await;
    let info = bench.until("one", |info| info.state == PluginState::Running && info.memory_bytes > 0).await;
    assert_eq!((info.restarts, info.last_error), (0, None));
    assert!(bench.info("one").cpu_ms < 60_000);
    bench.plugins.disable("one").await.expect("known");
    bench.until("one", |info| info.state == PluginState::Stopped).await;
    assert_eq!(bench.info("one").memory_bytes, 0);
    assert_eq!(bench.info("one").last_error, None, "it stopped in good order");
    let refused = bench.command("one", "names", &[]).await.expect_err("it is off");
    assert!(refused.message.contains("stopped"), "{refused}");
    bench.plugins.enable("one").await.expect("known");
    bench.running("one").await;
    assert!(bench.plugins.enable("two").await.is_err());
    bench.plugins.shutdown().await;
    assert!(bench.plugins.list().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_switched_off_stays_off_at_the_next_start() {
    let bench = Bench::new(&[("one", &SPECIMEN)], &["one"]).await;
    bench.running("one").await;
    bench.plugins.disable("one").await.expect("known");
    bench.plugins.shutdown().await;
    let Bench { home, store, plugins } = bench;
    drop(plugins);
    let bench = Bench::start(home, store, &["one"]).await;
    bench.until("one", |info| info.state == PluginState::Stopped && !info.hash.is_empty()).await;
    bench.plugins.enable("one").await.expect("known");
    bench.running("one").await;
}

/// Starts a specimen in a mode, and expects it in quarantine for this reason.
async fn quarantined(mode: &str, reason: &str) {
    let bench = Bench::new(&[], &["one"]).await;
    bench.set_mode("one", mode);
    std::fs::write(bench.file("one"), &*SPECIMEN).expect("dropped in");
    let info = bench.until("one", |info| info.state == PluginState::Quarantined).await;
    assert_eq!(info.restarts, 2, "{mode}");
    let error = bench.last_error("one");
    assert!(error.contains(reason), "{mode}: {error}");
    // It can be let out, with a clean record.
    bench.set_mode("one", "");
    bench.plugins.reload("one").expect("known");
    bench.running("one").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn to_return_before_being_asked_is_a_crash() {
    quarantined("return", "it returned before it was asked to stop").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn to_give_up_is_a_crash_with_its_reason() {
    quarantined("give-up", "it gave up: nothing to do here\u{fffd}[2J").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_is_a_crash() {
    quarantined("panic", "it panicked").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_loop_is_a_crash() {
    quarantined("spin", "without a pause").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn to_want_all_memory_is_a_crash() {
    quarantined("eat", "it wanted more memory than its limit of 128 MiB").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_ignores_the_stop_is_stopped() {
    let bench = Bench::new(&[("one", &SPECIMEN)], &["one"]).await;
    bench.running("one").await;
    bench.set_mode("one", "deaf");
    bench.plugins.reload("one").expect("known");
    bench.until("one", |info| info.state == PluginState::Running && info.last_error.is_none()).await;
    // Only the second stop meets the deaf one.
    bench.command("one", "lie", &[]).await.expect("it runs");
    bench.plugins.disable("one").await.expect("known");
    bench.until("one", |info| info.state == PluginState::Stopped).await;
    assert!(bench.last_error("one").contains("did not stop"), "{}", bench.last_error("one"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spinning_command_ends_its_plugin_and_no_other() {
    let bench = Bench::new(&[("good", &SPECIMEN), ("bad", &variant(&SPECIMEN, 1))], &["good", "bad"]).await;
    bench.running("bad").await;
    let to = bench.echoing("good").await;
    let arguments = [("to", to.as_str()), ("bytes", "30000000")];
    let (transfer, spun) = tokio::join!(bench.json("good", "transfer", &arguments), bench.command("bad", "spin", &[]));
    assert_eq!(transfer["received"], 30_000_000);
    let error = spun.expect_err("it was stopped");
    assert!(error.message.contains("without a pause"), "{error}");
    let good = bench.info("good");
    assert_eq!((good.restarts, good.last_error), (0, None));
    assert!(good.bytes_in >= 60_000_000 && good.bytes_out >= 60_000_000, "both ends are this plugin's");
    // The command learns of the end before the supervisor does.
    bench.until("bad", |info| info.state == PluginState::Running && info.restarts == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_work_with_pauses_is_no_crash() {
    let bench = Bench::new(&[("one", &SPECIMEN)], &["one"]).await;
    bench.running("one").await;
    let said = bench.command("one", "busy", &[("ms", "1500")]).await.expect("it is let be");
    assert_eq!(said, [Output::Text("done".to_owned())]);
    let info = bench.info("one");
    assert_eq!(info.restarts, 0);
    // A machine that is busy with other things gives it a small part of the 1,500 ms.
    assert!(info.cpu_ms >= 50, "its time is counted: {} ms", info.cpu_ms);
}

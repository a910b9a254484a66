//! Commands: listed, run, cancelled, their text cleaned.

use bytes::Bytes;
use mute::plugin::{Argument, Output};
use tokio::{sync::mpsc, time::timeout};

use crate::harness::{Bench, PATIENCE, QUITTER, SPECIMEN};

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_listed() {
    let bench = Bench::new(&[("one", &SPECIMEN)], &["one"]).await;
    bench.running("one").await;
    let commands = bench.plugins.commands("one").await.expect("it answers");
    let transfer = commands.iter().find(|command| command.name == "transfer").expect("it is there");
    assert_eq!(transfer.about, "sends bytes to an echo and compares");
    let to =
        Argument { name: "to".to_owned(), about: "whom".to_owned(), required: true, many: false, takes_value: true };
    assert_eq!(transfer.arguments[0], to);
    assert!(bench.plugins.commands("nobody").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn input_goes_in_and_output_comes_out_while_it_runs() {
    let bench = Bench::new(&[("one", &SPECIMEN)], &["one"]).await;
    bench.running("one").await;
    let (lines, input) = mpsc::channel(1);
    let mut invocation = bench.plugins.invoke("one", "shout", Vec::new(), input).expect("it runs");
    let progress = Output::Progress { label: "shouting".to_owned(), done: 1, total: Some(2), unit: "lines".to_owned() };
    assert_eq!(timeout(PATIENCE, invocation.next()).await.expect("in time"), Some(progress));
    for (line, loud) in [("hello", "HELLO"), ("", ""), ("you", "YOU")] {
        lines.send(Bytes::from_static(line.as_bytes())).await.expect("it reads");
        if !loud.is_empty() {
            let said = timeout(PATIENCE, invocation.next()).await.expect("in time");
            assert_eq!(said, Some(Output::Text(loud.to_owned())));
        }
    }
    drop(lines);
    assert_eq!(timeout(PATIENCE, invocation.next()).await.expect("in time"), None);
    timeout(PATIENCE, invocation.end()).await.expect("in time").expect("it ended well");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_can_be_cancelled_and_left() {
    let bench = Bench::new(&[("one", &SPECIMEN)], &["one"]).await;
    bench.running("one").await;
    let wait = || {
        let (_, input) = mpsc::channel(1);
        bench.plugins.invoke("one", "wait", Vec::new(), input).expect("it runs")
    };
    let mut invocation = wait();
    assert_eq!(timeout(PATIENCE, invocation.next()).await.expect("in time"), Some(Output::Text("waiting".to_owned())));
    invocation.cancel();
    let error = timeout(PATIENCE, invocation.end()).await.expect("in time").expect_err("it was cancelled");
    assert_eq!(error.code, 11, "{error}");
    // Left without a word, commands end too: else the 17th would find no place.
    for _ in 0..3 {
        let mut left: Vec<_> = (0..16).map(|_| wait()).collect();
        for invocation in &mut left {
            timeout(PATIENCE, invocation.next()).await.expect("in time").expect("it waits");
        }
    }
    assert_eq!(bench.info("one").restarts, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_is_told_to_the_commands_in_flight() {
    let bench = Bench::new(&[("one", &SPECIMEN)], &["one"]).await;
    bench.running("one").await;
    let (waited, panicked) = tokio::join!(bench.command("one", "wait", &[]), bench.command("one", "panic", &[]));
    for result in [waited, panicked] {
        let error = result.expect_err("the plugin crashed");
        assert!(error.message.contains("panicked"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn text_can_not_reach_for_the_terminal() {
    let bench = Bench::new(&[("one", &SPECIMEN)], &["one"]).await;
    bench.running("one").await;
    assert_eq!(bench.said("one", "lie", &[]).await, "\u{fffd}[2Jall fine\u{fffd}\nreally");
    let error = bench.command("one", "no\x1b[2Jsuch", &[]).await.expect_err("there is none");
    assert_eq!(error.code, 6, "{error}");
    assert!(!error.message.contains('\x1b'), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_without_commands_has_none() {
    let bench = Bench::new(&[("one", &QUITTER)], &[]).await;
    bench.until("one", |info| info.restarts > 0 || info.last_error.is_some()).await;
    // It is hardly ever running, but whoever asks gets an answer at once.
    assert!(timeout(PATIENCE, bench.plugins.commands("one")).await.is_ok());
}

//! The plugins folder: dropped in, changed, broken, removed.

use std::time::Duration;

use mute::plugin::{Origin, Permissions, PluginInfo, PluginState};

use crate::harness::{Bench, QUITTER, SPECIMEN, variant};

fn hash(component: &[u8]) -> String {
    blake3::hash(component).to_hex().to_string()
}

fn runs(info: &PluginInfo, component: &[u8]) -> bool {
    info.state == PluginState::Running && info.hash == hash(component)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_is_dropped_in_changed_and_removed() {
    let bench = Bench::new(&[], &["one"]).await;
    std::fs::write(bench.file("one"), &*SPECIMEN).expect("dropped in");
    bench.until("one", |info| runs(info, &SPECIMEN)).await;
    let address = bench.said("one", "address", &[]).await;
    bench.command("one", "store", &[("key", "kept"), ("bytes", "10")]).await.expect("stored");
    let changed = variant(&SPECIMEN, 2);
    std::fs::write(bench.file("one"), &changed).expect("changed");
    let info = bench.until("one", |info| runs(info, &changed)).await;
    assert_eq!((info.restarts, info.last_error), (0, None), "a new version is no crash");
    assert_eq!(bench.said("one", "address", &[]).await, address, "its identities stay");
    assert!(bench.store.value("one", "kept/small").expect("read").is_some(), "its values stay");
    std::fs::remove_file(bench.file("one")).expect("removed");
    let gone = async {
        while !bench.plugins.list().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(crate::harness::PATIENCE, gone).await.expect("it goes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_version_leaves_the_old_one_running() {
    let bench = Bench::new(&[("one", &SPECIMEN)], &["one"]).await;
    bench.until("one", |info| runs(info, &SPECIMEN)).await;
    let mut cut = SPECIMEN.clone();
    cut.truncate(cut.len() / 2);
    for (broken, reason) in [(b"nonsense".as_slice(), "not a WebAssembly component"), (&cut, "not a valid component")] {
        std::fs::write(bench.file("one"), broken).expect("changed");
        let said = |info: &PluginInfo| info.last_error.as_ref().is_some_and(|error| error.contains(reason));
        let info = bench.until("one", said).await;
        assert!(runs(&info, &SPECIMEN), "{info:?}");
        assert!(info.last_error.is_some_and(|error| error.contains("the old one stays")));
        bench.command("one", "names", &[]).await.expect("the old one works");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_does_not_start_gives_way_to_the_old_one() {
    let bench = Bench::new(&[("one", &SPECIMEN)], &["one"]).await;
    bench.until("one", |info| runs(info, &SPECIMEN)).await;
    let address = bench.said("one", "address", &[]).await;
    std::fs::write(bench.file("one"), &*QUITTER).expect("changed");
    let info = bench.until("one", |info| info.last_error.is_some() && runs(info, &SPECIMEN)).await;
    let error = info.last_error.unwrap_or_default();
    assert!(error.contains("did not start, the old one runs again") && error.contains("returned before"), "{error}");
    assert_eq!(bench.said("one", "address", &[]).await, address);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_plugin_is_refused_and_the_others_run() {
    let bench = Bench::new(&[("good", &SPECIMEN), ("junk", b"junk"), ("BAD", &SPECIMEN)], &[]).await;
    bench.running("good").await;
    let junk = bench.until("junk", |info| info.last_error.is_some()).await;
    assert_eq!(junk.state, PluginState::Stopped);
    let refused = bench.plugins.refused();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0].file, "BAD.wasm");
    assert_eq!(bench.info("good").last_error, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_stands_in_for_an_embedded_plugin() {
    let embedded = vec![("one", SPECIMEN.as_slice())];
    let Bench { home, store, plugins } = Bench::new(&[("one", b"junk")], &[]).await;
    plugins.shutdown().await;
    drop(plugins);
    let bench = Bench::start_with(home, store, &[], embedded).await;
    // The file is junk, so the embedded one runs, with the permissions of an embedded one.
    let info = bench.until("one", |info| runs(info, &SPECIMEN)).await;
    assert_eq!((info.origin, info.permissions), (Origin::Embedded, Permissions::ALL));
    assert!(info.last_error.is_some_and(|error| error.contains("built-in version runs")));
    let own = variant(&SPECIMEN, 3);
    std::fs::write(bench.file("one"), &own).expect("changed");
    let info = bench.until("one", |info| runs(info, &own)).await;
    assert_eq!((info.origin, info.permissions), (Origin::File, Permissions::ALL));
    std::fs::remove_file(bench.file("one")).expect("removed");
    let info = bench.until("one", |info| runs(info, &SPECIMEN)).await;
    assert_eq!(info.origin, Origin::Embedded);
}

/// A component that imports an instance of this name, and nothing else: written by hand, byte by byte.
fn importing(name: &str) -> Vec<u8> {
    let length = u8::try_from(name.len()).expect("a short name");
    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    // One type: an instance that holds nothing.
    component.extend([7, 3, 1, 0x42, 0]);
    // One import: the name, and that it is an instance of type 0.
    component.extend([10, length + 5, 1, 0, length]);
    component.extend(name.as_bytes());
    component.extend([5, 0]);
    component
}

#[tokio::test(flavor = "multi_thread")]
async fn who_imports_more_than_ours_is_refused_by_name() {
    let (foreign, ours) = (importing("wasi:cli/stdout@0.2.0"), importing("mute:plugin/log@0.1.0"));
    let bench = Bench::new(&[("foreign", &foreign), ("hollow", &ours)], &["foreign"]).await;
    let info = bench.until("foreign", |info| info.last_error.is_some()).await;
    let error = info.last_error.unwrap_or_default();
    assert_eq!(error, "it imports wasi:cli/stdout@0.2.0; a plugin may import only mute:plugin");
    assert_eq!(info.state, PluginState::Stopped);
    let info = bench.until("hollow", |info| info.last_error.is_some()).await;
    let error = info.last_error.unwrap_or_default();
    assert!(error.contains("does not export mute:plugin/service"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoiled_cache_is_compiled_over() {
    let bench = Bench::new(&[("one", &SPECIMEN)], &["one"]).await;
    bench.running("one").await;
    bench.plugins.shutdown().await;
    let Bench { home, store, plugins } = bench;
    drop(plugins);
    let cache = home.path().join("cache");
    let files =
        || -> Vec<_> { std::fs::read_dir(&cache).expect("listed").map(|entry| entry.expect("read").path()).collect() };
    let [file] = &files()[..] else { panic!("one compiled plugin, not {:?}", files()) };
    let good = std::fs::read(file).expect("read");
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle..middle + 64].fill(0xcc);
    std::fs::write(file, &bad).expect("spoiled");
    let bench = Bench::start(home, store, &["one"]).await;
    bench.running("one").await;
    bench.command("one", "names", &[]).await.expect("it works");
    assert_ne!(std::fs::read(file).expect("read"), bad, "it was compiled over");
}

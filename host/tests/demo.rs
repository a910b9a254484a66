//! The project's main job, as a newcomer sees it.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

mod support;

use serde_json::Value;
use support::{mute, run, wait_for};

#[test]
fn the_demo_shows_what_it_claims() {
    let folder = tempfile::tempdir().unwrap();
    let said = run(mute().args(["--json", "--quiet", "demo"]).env("TMPDIR", folder.path()));
    assert!(said.code == 0 && said.err.is_empty(), "{said:?}");
    let report: Value = serde_json::from_str(&said.out).unwrap();

    let files = report["files"].as_array().unwrap();
    assert!(files.len() >= 5);
    for file in files {
        assert_eq!(file["sha256_shared"], file["sha256_downloaded"], "{file}");
        assert_eq!(file["sha256_shared"].as_str().unwrap().len(), 64);
    }
    assert_eq!(report["messages"].as_array().unwrap().len(), 2);
    assert!(report["page"].as_str().unwrap().starts_with("mute1"));

    for end in report["ends"].as_array().unwrap() {
        let sockets = end["sockets"].as_array().unwrap();
        assert_eq!(sockets.len(), 2, "{end}");
        assert!(!sockets.contains(&end["other_end"]), "{end}");
        assert_eq!(end["shares_neighbour_with_other_end"], false);
    }
    let relays = report["relays"].as_array().unwrap();
    assert_eq!(relays.len(), 4);
    let carried: u64 = relays.iter().map(|relay| relay["data_bytes"].as_u64().unwrap()).sum();
    let downloaded: u64 = files.iter().map(|file| file["size_bytes"].as_u64().unwrap()).sum();
    // Two relays at least carry each byte.
    assert!(carried >= 2 * downloaded, "{carried} of {downloaded}");
    for relay in relays {
        assert_eq!(relay["data_opened"], 0, "{relay}");
        assert!(relay["floods"].as_u64().unwrap() > 0, "{relay}");
    }
    assert_eq!(support::files(folder.path()), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_folder_that_cannot_be_read_is_told_before_anything_starts() {
    let said = run(mute().args(["demo", "--share", "/nonexistent"]));
    assert!(said.failed(6).contains("cannot read the folder /nonexistent"), "{said:?}");
}

#[test]
fn ctrl_c_leaves_no_process_and_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = mute()
        .args(["demo", "--quiet"])
        .env("TMPDIR", folder.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // All six have started when the last one's home is there.
    wait_for("the start of the nodes", || {
        support::files(folder.path()).iter().any(|path| path.ends_with("bob/stderr.log")).then_some(())
    });
    let id = rustix::process::Pid::from_child(&demo);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    let code = wait_for("the end of the demo", || demo.try_wait().unwrap()).code();
    assert_eq!(code, Some(130));
    wait_for("the end of the files", || std::fs::read_dir(folder.path()).unwrap().next().is_none().then_some(()));
    assert!(!runs_with(folder.path()), "a node is left");
}

#[test]
fn nodes_end_when_the_demo_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = mute()
        .args(["demo", "--quiet"])
        .env("TMPDIR", folder.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_for("the start of the nodes", || runs_with(folder.path()).then_some(()));
    demo.kill().unwrap();
    demo.wait().unwrap();
    wait_for("the end of the nodes", || (!runs_with(folder.path())).then_some(()));
}

/// Whether a process has this folder on its command line.
fn runs_with(folder: &std::path::Path) -> bool {
    let folder = folder.to_str().expect("temporary folders are UTF-8");
    std::fs::read_dir("/proc").expect("Linux has it").flatten().any(|process| {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(folder)
    })
}
